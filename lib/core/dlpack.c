/**
 * DLPack in and out (https://dmlc.github.io/dlpack). The structures are written down here from its specification, for
 * only their layout in memory counts; a test has its own copy of them.
 */
#include "core/tensor.h"

#include <stdlib.h>
#include <string.h>

/* ---- the layout, in DLPack's terms ---- */

enum { DEVICE_CPU = 1, MAJOR_VERSION = 1, MINOR_VERSION = 1 };

enum { CODE_INT = 0, CODE_UINT = 1, CODE_FLOAT = 2, CODE_BFLOAT = 4, CODE_BOOL = 6 };

typedef struct dl_tensor {
    void *data;
    int32_t device_type;
    int32_t device_id;
    int32_t ndim;
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
    int64_t *shape;
    int64_t *strides; /* in elements; NULL: dense */
    uint64_t byte_offset;
} dl_tensor;

/** Before version 1.0. */
typedef struct dl_managed {
    dl_tensor tensor;
    void *manager;
    void (*deleter)(struct dl_managed *self);
} dl_managed;

typedef struct dl_versioned {
    uint32_t major, minor;
    void *manager;
    void (*deleter)(struct dl_versioned *self);
    uint64_t flags;
    dl_tensor tensor;
} dl_versioned;

static const struct {
    int32_t dtype;
    uint8_t code, bits;
} types[] = {{SSLCV_F32, CODE_FLOAT, 32}, {SSLCV_BF16, CODE_BFLOAT, 16}, {SSLCV_F16, CODE_FLOAT, 16},
             {SSLCV_F64, CODE_FLOAT, 64}, {SSLCV_U8, CODE_UINT, 8},      {SSLCV_U16, CODE_UINT, 16},
             {SSLCV_I32, CODE_INT, 32},   {SSLCV_I64, CODE_INT, 64},     {SSLCV_BOOL, CODE_BOOL, 8}};

enum { NUM_TYPES = (int)(sizeof types / sizeof types[0]) };

/* ---- in ---- */

static sslcv_status check_versioned(int32_t versioned)
{
    if (versioned == 0 || versioned == 1) return SSLCV_OK;
    return sslcv__invalid("versioned is %d; must be 0 or 1", (int)versioned);
}

static sslcv_status check_source(const dl_tensor *source)
{
    if (source->device_type != DEVICE_CPU) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "dlpack.device_type is %d; must be 1, memory of the CPU",
                           (int)source->device_type);
    }
    if (source->ndim > SSLCV_MAX_DIMS) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "dlpack.ndim is %d; at most %d", (int)source->ndim,
                           (int)SSLCV_MAX_DIMS);
    }
    if (source->ndim < 0) return sslcv__invalid("dlpack.ndim is %d; must be >= 0", (int)source->ndim);
    if (source->ndim > 0 && !source->shape) return sslcv__null("dlpack.shape");
    return SSLCV_OK;
}

static sslcv_status find_dtype(const dl_tensor *source, int32_t *dtype)
{
    int i;

    for (i = 0; i < NUM_TYPES && source->lanes == 1; i++) {
        if (types[i].code != source->code || types[i].bits != source->bits) continue;
        *dtype = types[i].dtype;
        return SSLCV_OK;
    }
    return sslcv__fail(SSLCV_ERR_UNSUPPORTED,
                       "dlpack.dtype has code %d, %d bits, %d lanes; must be a float of 16, 32 or 64 bits, bfloat of "
                       "16, int of 32 or 64, uint of 8 or 16, or bool of 8, of one lane",
                       (int)source->code, (int)source->bits, (int)source->lanes);
}

static sslcv_status describe(const dl_tensor *source, sslcv_tensor *tensor)
{
    sslcv_tensor made = {0};
    int32_t dtype = 0;
    sslcv_status status;

    SSLCV__TRY(check_source(source));
    SSLCV__TRY(find_dtype(source, &dtype));
    /* Shapes first: what follows multiplies and adds. */
    SSLCV__TRY(sslcv_tensor_init(&made, dtype, source->data, source->ndim, source->shape));
    if (source->strides && source->ndim > 0) {
        memcpy(made.strides, source->strides, (size_t)source->ndim * sizeof *made.strides);
    }
    SSLCV__TRY(sslcv__tensor_check(&made, "dlpack"));
    if (made.data) {
        const uintptr_t address = (uintptr_t)made.data;

        if (source->byte_offset > UINTPTR_MAX - address) {
            return sslcv__invalid("dlpack.byte_offset is %llu; it leads out of memory",
                                  (unsigned long long)source->byte_offset);
        }
        if ((address + source->byte_offset) % (uintptr_t)sslcv_dtype_size(dtype) != 0) {
            return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "dlpack.data is not aligned to its element of %d bytes",
                               (int)sslcv_dtype_size(dtype));
        }
        made.data = (char *)made.data + source->byte_offset;
    }
    *tensor = made;
end:
    return status;
}

sslcv_status sslcv_tensor_from_dlpack(const void *dlpack, int32_t versioned, sslcv_tensor *tensor)
{
    const sslcv_status status = check_versioned(versioned);
    const dl_versioned *whole = dlpack;

    if (status != SSLCV_OK) return status;
    if (!dlpack) return sslcv__null("dlpack");
    if (!tensor) return sslcv__null("tensor");
    if (!versioned) return describe(dlpack, tensor); /* a DLManagedTensor begins with its DLTensor */
    if (whole->major != MAJOR_VERSION) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "dlpack.version is %u.%u; this library knows 1.x",
                           (unsigned)whole->major, (unsigned)whole->minor);
    }
    return describe(&whole->tensor, tensor);
}

/* ---- out ---- */

/** One block; the consumer sees only head, and gives it to its deleter. */
typedef struct lent {
    union {
        dl_managed managed;
        dl_versioned versioned;
    } head;
    int64_t shape[SSLCV_MAX_DIMS], strides[SSLCV_MAX_DIMS];
    void *owner;
    sslcv_release_fn release;
} lent;

static void give_back(lent *block)
{
    const sslcv_release_fn release = block->release;
    void *owner = block->owner;

    free(block);
    if (release) release(owner);
}

static void delete_managed(dl_managed *self)
{
    if (self) give_back(self->manager);
}

static void delete_versioned(dl_versioned *self)
{
    if (self) give_back(self->manager);
}

static void fill(const sslcv_tensor *tensor, lent *block, dl_tensor *to)
{
    int i;

    for (i = 0; types[i].dtype != tensor->dtype;) i++; /* the tensor has been checked */
    memcpy(block->shape, tensor->shape, (size_t)tensor->ndim * sizeof *block->shape);
    memcpy(block->strides, tensor->strides, (size_t)tensor->ndim * sizeof *block->strides);
    to->data = tensor->data;
    to->device_type = DEVICE_CPU;
    to->ndim = tensor->ndim;
    to->code = types[i].code;
    to->bits = types[i].bits;
    to->lanes = 1;
    to->shape = block->shape;
    to->strides = block->strides;
}

sslcv_status sslcv_tensor_to_dlpack(const sslcv_tensor *tensor, void *owner, sslcv_release_fn release,
                                    int32_t versioned, void **dlpack)
{
    lent *block;
    sslcv_status status = check_versioned(versioned);

    if (status == SSLCV_OK) status = sslcv__tensor_check(tensor, "tensor");
    if (status != SSLCV_OK) return status;
    if (!dlpack) return sslcv__null("dlpack");
    block = malloc(sizeof *block);
    if (!block) return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "out of memory: a DLPack structure");
    memset(block, 0, sizeof *block);
    block->owner = owner;
    block->release = release;
    if (versioned) {
        block->head.versioned.major = MAJOR_VERSION;
        block->head.versioned.minor = MINOR_VERSION;
        block->head.versioned.manager = block;
        block->head.versioned.deleter = delete_versioned;
        fill(tensor, block, &block->head.versioned.tensor);
    } else {
        block->head.managed.manager = block;
        block->head.managed.deleter = delete_managed;
        fill(tensor, block, &block->head.managed.tensor);
    }
    *dlpack = block;
    return SSLCV_OK;
}
