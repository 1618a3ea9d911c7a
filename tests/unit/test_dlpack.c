/* DLPack in and out, by structures written down here once more from its specification. */
#include "support.h"

#include <sslcv/tensor.h>

#include <stddef.h>
#include <stdint.h>

typedef struct DLTensor {
    void *data;
    struct {
        int32_t device_type, device_id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} DLTensor;

typedef struct DLManagedTensor {
    DLTensor dl_tensor;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensor *self);
} DLManagedTensor;

typedef struct DLManagedTensorVersioned {
    struct {
        uint32_t major, minor;
    } version;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensorVersioned *self);
    uint64_t flags;
    DLTensor dl_tensor;
} DLManagedTensorVersioned;

static const struct {
    int32_t dtype;
    uint8_t code, bits;
} types[] = {{SSLCV_F32, 2, 32}, {SSLCV_F64, 2, 64}, {SSLCV_F16, 2, 16}, {SSLCV_BF16, 4, 16}, {SSLCV_U8, 1, 8},
             {SSLCV_U16, 1, 16}, {SSLCV_I32, 0, 32}, {SSLCV_I64, 0, 64}, {SSLCV_BOOL, 6, 8}};

enum { NUM_TYPES = (int)(sizeof types / sizeof *types) };

static double memory[12]; /* of 8 bytes, so that every element is aligned */
static int64_t shape[9] = {2, 3, 1, 1, 1, 1, 1, 1, 1};

static DLTensor make_source(void)
{
    const DLTensor source = {.data = memory, .device = {1, 0}, .ndim = 2, .dtype = {2, 32, 1}, .shape = shape};

    return source;
}

/* ---- in ---- */

START_TEST(every_type_comes_in)
{
    int i;

    for (i = 0; i < NUM_TYPES; i++) {
        DLTensor source = make_source();
        sslcv_tensor tensor;

        source.dtype.code = types[i].code;
        source.dtype.bits = types[i].bits;
        OK(sslcv_tensor_from_dlpack(&source, 0, &tensor));
        ck_assert_int_eq(tensor.dtype, types[i].dtype);
        ck_assert_ptr_eq(tensor.data, memory);
        ck_assert_int_eq(tensor.ndim, 2);
        ck_assert_int_eq(tensor.shape[0], 2);
        ck_assert_int_eq(tensor.shape[1], 3);
        ck_assert_int_eq(tensor.strides[0], 3); /* NULL: dense */
        ck_assert_int_eq(tensor.strides[1], 1);
    }
}
END_TEST

START_TEST(strides_and_offset_come_in)
{
    int64_t strides[2] = {-1, 2};
    DLManagedTensorVersioned source = {.version = {1, 7}, .flags = 1, .dl_tensor = make_source()};
    DLManagedTensor old = {.dl_tensor = make_source()};
    sslcv_tensor tensor;

    source.dl_tensor.strides = old.dl_tensor.strides = strides;
    source.dl_tensor.byte_offset = old.dl_tensor.byte_offset = 4;
    OK(sslcv_tensor_from_dlpack(&source, 1, &tensor)); /* a later minor version, read-only */
    ck_assert_ptr_eq(tensor.data, (char *)memory + 4);
    ck_assert_int_eq(tensor.strides[0], -1);
    ck_assert_int_eq(tensor.strides[1], 2);
    memset(&tensor, 0, sizeof tensor);
    OK(sslcv_tensor_from_dlpack(&old, 0, &tensor));
    ck_assert_ptr_eq(tensor.data, (char *)memory + 4);
    ck_assert_int_eq(tensor.strides[0], -1);
}
END_TEST

START_TEST(scalars_and_empty_ones_come_in)
{
    int64_t none[2] = {0, 3};
    DLTensor source = make_source();
    sslcv_tensor tensor;

    source.ndim = 0;
    source.shape = NULL;
    OK(sslcv_tensor_from_dlpack(&source, 0, &tensor));
    ck_assert_int_eq(tensor.ndim, 0);
    source.ndim = 2;
    source.shape = none;
    source.data = NULL;
    OK(sslcv_tensor_from_dlpack(&source, 0, &tensor));
    ck_assert_int_eq(tensor.shape[0], 0);
    source.ndim = 8;
    source.shape = shape;
    source.data = memory;
    OK(sslcv_tensor_from_dlpack(&source, 0, &tensor));
    ck_assert_int_eq(tensor.ndim, 8);
}
END_TEST

/** The source as good as CHANGE makes it bad: refused, and the tensor stays as it was. */
#define REFUSED(change, expected, text)                                                                                \
    do {                                                                                                               \
        DLTensor source = make_source();                                                                               \
        change;                                                                                                        \
        FAILS(sslcv_tensor_from_dlpack(&source, 0, &tensor), expected, text);                                          \
        ck_assert_mem_eq(&tensor, &untouched, sizeof tensor);                                                          \
    } while (0)

START_TEST(what_is_wrong_does_not_come_in)
{
    int64_t negative[2] = {2, -1}, huge[2] = {INT64_MAX, 3}, far[2] = {INT64_MAX, 1};
    DLManagedTensorVersioned other = {.version = {2, 0}, .dl_tensor = make_source()};
    sslcv_tensor tensor, untouched;
    uint8_t code, bits;

    memset(&tensor, 0x5a, sizeof tensor);
    untouched = tensor;
    REFUSED(source.device.device_type = 2, SSLCV_ERR_UNSUPPORTED, "dlpack.device_type is 2; must be 1");
    REFUSED(source.device.device_type = 0, SSLCV_ERR_UNSUPPORTED, "dlpack.device_type is 0");
    REFUSED(source.ndim = 9, SSLCV_ERR_UNSUPPORTED, "dlpack.ndim is 9; at most 8");
    REFUSED(source.ndim = -1, SSLCV_ERR_INVALID_ARGUMENT, "dlpack.ndim is -1");
    REFUSED(source.shape = NULL, SSLCV_ERR_INVALID_ARGUMENT, "dlpack.shape is NULL");
    REFUSED(source.shape = negative, SSLCV_ERR_INVALID_ARGUMENT, "shape[1] is -1");
    REFUSED(source.shape = huge, SSLCV_ERR_INVALID_ARGUMENT, "more bytes than int64_t can count");
    REFUSED(source.strides = far, SSLCV_ERR_INVALID_ARGUMENT, "dlpack.strides[0] is 9223372036854775807");
    REFUSED(source.data = NULL, SSLCV_ERR_INVALID_ARGUMENT, "dlpack.data is NULL");
    REFUSED(source.dtype.lanes = 4, SSLCV_ERR_UNSUPPORTED, "4 lanes");
    REFUSED(source.dtype.lanes = 0, SSLCV_ERR_UNSUPPORTED, "0 lanes");
    REFUSED(source.byte_offset = 2, SSLCV_ERR_UNSUPPORTED, "dlpack.data is not aligned to its element of 4 bytes");
    REFUSED(source.byte_offset = UINT64_MAX, SSLCV_ERR_INVALID_ARGUMENT, "dlpack.byte_offset is 18446744073709551615");
    for (code = 0; code < 20; code++) { /* every other type */
        for (bits = 0; bits <= 128; bits++) {
            int i;

            for (i = 0; i < NUM_TYPES && (types[i].code != code || types[i].bits != bits);) i++;
            if (i == NUM_TYPES) {
                REFUSED((source.dtype.code = code, source.dtype.bits = bits), SSLCV_ERR_UNSUPPORTED,
                        "dlpack.dtype has");
            }
        }
    }
    FAILS(sslcv_tensor_from_dlpack(&other, 1, &tensor), SSLCV_ERR_UNSUPPORTED, "dlpack.version is 2.0");
    other.version.major = 0;
    FAILS(sslcv_tensor_from_dlpack(&other, 1, &tensor), SSLCV_ERR_UNSUPPORTED, "dlpack.version is 0.0");
    FAILS(sslcv_tensor_from_dlpack(&other, 2, &tensor), SSLCV_ERR_INVALID_ARGUMENT, "versioned is 2; must be 0 or 1");
    FAILS(sslcv_tensor_from_dlpack(NULL, 1, &tensor), SSLCV_ERR_INVALID_ARGUMENT, "dlpack is NULL");
    FAILS(sslcv_tensor_from_dlpack(&other, 1, NULL), SSLCV_ERR_INVALID_ARGUMENT, "tensor is NULL");
    ck_assert_mem_eq(&tensor, &untouched, sizeof tensor);
}
END_TEST

/* ---- out ---- */

static void count_release(void *owner)
{
    ++*(int *)owner;
}

static sslcv_tensor make_tensor(int32_t dtype)
{
    sslcv_tensor tensor;

    OK(sslcv_tensor_init(&tensor, dtype, memory, 2, shape));
    tensor.strides[0] = 1;
    tensor.strides[1] = 2;
    return tensor;
}

static void check_lent(const DLTensor *lent, int type)
{
    ck_assert_ptr_eq(lent->data, memory);
    ck_assert_int_eq(lent->device.device_type, 1);
    ck_assert_int_eq(lent->device.device_id, 0);
    ck_assert_int_eq(lent->ndim, 2);
    ck_assert_int_eq(lent->dtype.code, types[type].code);
    ck_assert_int_eq(lent->dtype.bits, types[type].bits);
    ck_assert_int_eq(lent->dtype.lanes, 1);
    ck_assert_int_eq(lent->shape[0], 2);
    ck_assert_int_eq(lent->shape[1], 3);
    ck_assert_int_eq(lent->strides[0], 1);
    ck_assert_int_eq(lent->strides[1], 2);
    ck_assert_uint_eq(lent->byte_offset, 0);
}

START_TEST(every_type_goes_out)
{
    int released = 0, i;

    for (i = 0; i < NUM_TYPES; i++) {
        sslcv_tensor tensor = make_tensor(types[i].dtype), back;
        DLManagedTensorVersioned *versioned;
        DLManagedTensor *managed;
        void *out;

        OK(sslcv_tensor_to_dlpack(&tensor, &released, count_release, 1, &out));
        versioned = out;
        ck_assert_int_eq(versioned->version.major, 1);
        ck_assert_int_eq(versioned->version.minor, 1);
        ck_assert_uint_eq(versioned->flags, 0);
        check_lent(&versioned->dl_tensor, i);
        OK(sslcv_tensor_from_dlpack(out, 1, &back));
        ck_assert_mem_eq(back.strides, tensor.strides, sizeof back.strides[0] * 2);
        ck_assert_int_eq(back.dtype, tensor.dtype);

        OK(sslcv_tensor_to_dlpack(&tensor, &released, count_release, 0, &out));
        managed = out;
        memset(&tensor, 0, sizeof tensor); /* it need not live on */
        check_lent(&managed->dl_tensor, i);
        ck_assert_int_eq(released, 2 * i);
        managed->deleter(managed);
        ck_assert_int_eq(released, 2 * i + 1);
        versioned->deleter(versioned);
        ck_assert_int_eq(released, 2 * i + 2);
    }
}
END_TEST

START_TEST(nobody_need_be_told)
{
    sslcv_tensor tensor = make_tensor(SSLCV_F32);
    DLManagedTensor *managed;
    void *out;

    OK(sslcv_tensor_to_dlpack(&tensor, NULL, NULL, 0, &out));
    managed = out;
    managed->deleter(managed);
}
END_TEST

START_TEST(what_is_wrong_does_not_go_out)
{
    sslcv_tensor tensor = make_tensor(SSLCV_F32);
    int released = 0;
    void *out = &released;

    FAILS(sslcv_tensor_to_dlpack(NULL, &released, count_release, 1, &out), SSLCV_ERR_INVALID_ARGUMENT,
          "tensor is NULL");
    FAILS(sslcv_tensor_to_dlpack(&tensor, &released, count_release, 1, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "dlpack is NULL");
    FAILS(sslcv_tensor_to_dlpack(&tensor, &released, count_release, -1, &out), SSLCV_ERR_INVALID_ARGUMENT,
          "versioned is -1");
    tensor.dtype = 0;
    FAILS(sslcv_tensor_to_dlpack(&tensor, &released, count_release, 1, &out), SSLCV_ERR_INVALID_ARGUMENT,
          "tensor.dtype is 0");
    tensor = make_tensor(SSLCV_F32);
    tensor.data = NULL;
    FAILS(sslcv_tensor_to_dlpack(&tensor, &released, count_release, 1, &out), SSLCV_ERR_INVALID_ARGUMENT,
          "tensor.data is NULL");
    tensor = make_tensor(SSLCV_F32);
    tensor.ndim = 9;
    FAILS(sslcv_tensor_to_dlpack(&tensor, &released, count_release, 0, &out), SSLCV_ERR_INVALID_ARGUMENT,
          "tensor.ndim is 9");
    ck_assert_ptr_eq(out, &released);
    ck_assert_int_eq(released, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dlpack");
    TCase *in = tcase_create("in"), *out = tcase_create("out");

    tcase_add_test(in, every_type_comes_in);
    tcase_add_test(in, strides_and_offset_come_in);
    tcase_add_test(in, scalars_and_empty_ones_come_in);
    tcase_add_test(in, what_is_wrong_does_not_come_in);
    suite_add_tcase(suite, in);
    tcase_add_test(out, every_type_goes_out);
    tcase_add_test(out, nobody_need_be_told);
    tcase_add_test(out, what_is_wrong_does_not_go_out);
    suite_add_tcase(suite, out);
    return run_suite(suite);
}
