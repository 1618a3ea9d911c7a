#include "core/object.h"

#include "core/context.h"
#include "core/memory.h"

#include <string.h>

/*
 * "SSL" + kind, far from anything that text, sizes or pointers hold by chance; and where in memory this code is, so that
 * a second copy of the library in one process, which may lay out its objects otherwise, does not take them for its own.
 */
static uint32_t magic_of(sslcv__kind kind)
{
    static const char here = 0;

    return (0xC7534C00u ^ (uint32_t)((uintptr_t)&here >> 12 << 8)) + (uint32_t)kind;
}

static const char *kind_name(sslcv__kind kind)
{
    static const char *const names[] = {"",         "context", "state", "augmenter", "dataset", "loader", "tape",
                                        "backbone", "head",    "loss",  "optimizer", "trainer", "probe",  "scalars"};
    return names[kind];
}

sslcv_status sslcv__object_create(sslcv_context *context, sslcv__kind kind, int64_t bytes, void (*release)(void *self),
                                  void *out_object)
{
    sslcv__object *object;
    sslcv_status status = sslcv__alloc(context, bytes, (void **)&object);

    if (status != SSLCV_OK) return status;
    memset(object, 0, (size_t)bytes);
    object->magic = magic_of(kind);
    object->kind = kind;
    atomic_init(&object->references, 1);
    object->context = context;
    object->bytes = bytes;
    object->release = release;
    sslcv__retain(context);
    *(void **)out_object = object;
    return SSLCV_OK;
}

void sslcv__object_init_root(sslcv__object *object, sslcv__kind kind)
{
    object->magic = magic_of(kind);
    object->kind = kind;
    atomic_init(&object->references, 1);
}

void sslcv__retain(void *object)
{
    if (object) atomic_fetch_add_explicit(&((sslcv__object *)object)->references, 1, memory_order_relaxed);
}

void sslcv__release(void *handle)
{
    sslcv__object *object = handle;
    sslcv_context *context;

    if (!object) return;
    if (atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1) return;
    if (object->release) object->release(object);
    object->magic = 0;
    context = object->context;
    if (context) {
        sslcv__free(context, object);
        sslcv__release(context);
    } else {
        sslcv__context_free((sslcv_context *)object);
    }
}

sslcv_status sslcv__check(const void *handle, sslcv__kind kind, const char *name)
{
    const sslcv__object *object = handle;

    if (!object) return sslcv__null(name);
    if (object->magic != magic_of(kind)) {
        return sslcv__invalid("%s is not a live %s handle", name, kind_name(kind));
    }
    return SSLCV_OK;
}

sslcv_status sslcv__check_context(const void *handle, const sslcv_context *context, const char *name)
{
    const sslcv__object *object = handle;

    if (object->context != context) return sslcv__invalid("%s comes from another context", name);
    return SSLCV_OK;
}

void sslcv__destroy(void *object, sslcv__kind kind)
{
    if (object && ((sslcv__object *)object)->magic == magic_of(kind)) sslcv__release(object);
}

sslcv_status sslcv_retain(void *handle)
{
    const sslcv__object *object = handle;

    if (!object) return sslcv__null("handle");
    if (object->magic <= magic_of(0) || object->magic > magic_of(SSLCV__SCALARS)) {
        return sslcv__invalid("handle is not a live handle of this library");
    }
    sslcv__retain(handle);
    return SSLCV_OK;
}
