#include "core/tensor.h"

#include "core/checked.h"

#include <string.h>

static const struct {
    const char *name;
    int32_t size;
    int32_t floating;
} dtypes[] = {{"unknown", 0, 0}, {"f32", 4, 1}, {"bf16", 2, 1}, {"f16", 2, 1}, {"f64", 8, 1},
              {"u8", 1, 0},      {"u16", 2, 0}, {"i32", 4, 0},  {"i64", 8, 0}, {"bool", 1, 0}};

static int32_t known(int32_t dtype)
{
    return dtype >= SSLCV_F32 && dtype <= SSLCV_BOOL ? dtype : 0;
}

int64_t sslcv_dtype_size(int32_t dtype)
{
    return dtypes[known(dtype)].size;
}

int sslcv__dtype_is_floating(int32_t dtype)
{
    return dtypes[known(dtype)].floating;
}

const char *sslcv__dtype_name(int32_t dtype)
{
    return dtypes[known(dtype)].name;
}

void sslcv__tensor_set(sslcv_tensor *tensor, int32_t dtype, void *data, int32_t ndim, const int64_t *shape)
{
    sslcv_tensor made = {0};
    int64_t stride = 1;
    int32_t i;

    made.data = data;
    made.ndim = ndim;
    made.dtype = dtype;
    for (i = ndim - 1; i >= 0; i--) {
        made.shape[i] = shape[i];
        made.strides[i] = stride;
        if (shape[i] > 0) stride *= shape[i];
    }
    *tensor = made; /* at once: shape may be the tensor's own */
}

/** dtype, ndim and shape; the bytes of such an array must fit. An axis of length 0 does not hide one too long. */
static sslcv_status check_layout(const char *name, int32_t dtype, int32_t ndim, const int64_t *shape)
{
    int64_t bytes = sslcv_dtype_size(dtype);
    int32_t i;

    if (bytes == 0) return sslcv__invalid("%s.dtype is %d; must be SSLCV_F32 .. SSLCV_BOOL", name, dtype);
    if (ndim < 0 || ndim > SSLCV_MAX_DIMS) {
        return sslcv__invalid("%s.ndim is %d; must be 0 .. %d", name, ndim, SSLCV_MAX_DIMS);
    }
    for (i = 0; i < ndim; i++) {
        if (shape[i] < 0) return sslcv__invalid("%s.shape[%d] is %lld; must be >= 0", name, i, (long long)shape[i]);
        if (shape[i] > 0 && !sslcv__multiply(bytes, shape[i], &bytes)) {
            return sslcv__invalid("%s has more bytes than int64_t can count; shape[%d] is %lld", name, i,
                                  (long long)shape[i]);
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv_tensor_init(sslcv_tensor *tensor, int32_t dtype, void *data, int32_t ndim, const int64_t *shape)
{
    sslcv_status status;

    if (!tensor) return sslcv__null("tensor");
    if (!shape && ndim > 0) return sslcv__null("shape");
    status = check_layout("tensor", dtype, ndim, shape);
    if (status == SSLCV_OK) sslcv__tensor_set(tensor, dtype, data, ndim, shape);
    return status;
}

static sslcv_status check_pixels(int32_t dtype, int64_t width, int64_t height, int64_t channels, int32_t order)
{
    if (dtype != SSLCV_U8 && dtype != SSLCV_U16 && dtype != SSLCV_F32) {
        return sslcv__invalid("pixels.dtype is %d; must be SSLCV_U8, SSLCV_U16 or SSLCV_F32", dtype);
    }
    if (width < 1 || width > INT32_MAX) {
        return sslcv__invalid("pixels.width is %lld; must be 1 .. 2^31 - 1", (long long)width);
    }
    if (height < 1 || height > INT32_MAX) {
        return sslcv__invalid("pixels.height is %lld; must be 1 .. 2^31 - 1", (long long)height);
    }
    if (channels < 1 || channels > 16) {
        return sslcv__invalid("pixels.channels is %lld; must be 1 .. 16", (long long)channels);
    }
    if (order < SSLCV_PIXELS_AS_STORED || order > SSLCV_PIXELS_BGR) {
        return sslcv__invalid("pixels.order is %d; must be SSLCV_PIXELS_AS_STORED, RGB or BGR", order);
    }
    if (order != SSLCV_PIXELS_AS_STORED && channels < 3) {
        return sslcv__invalid("pixels.channels is %lld; must be >= 3 for RGB and BGR", (long long)channels);
    }
    return SSLCV_OK;
}

sslcv_status sslcv_tensor_init_pixels(sslcv_tensor *tensor, int32_t dtype, const void *pixels, int64_t width,
                                      int64_t height, int64_t channels, int64_t row_bytes, int32_t order)
{
    const int64_t size = sslcv_dtype_size(dtype);
    sslcv_tensor made = {0};
    sslcv_status status;
    int64_t row, all;

    if (!tensor) return sslcv__null("tensor");
    if (!pixels) return sslcv__null("pixels");
    status = check_pixels(dtype, width, height, channels, order);
    if (status != SSLCV_OK) return status;

    row = width * channels * size; /* < 2^38 */
    if (row_bytes == 0) row_bytes = row;
    if (row_bytes % size != 0 || (row_bytes < row && row_bytes > -row)) {
        return sslcv__invalid(
            "pixels.row_bytes is %lld; must be 0 or a multiple of %lld that holds a row of %lld bytes",
            (long long)row_bytes, (long long)size, (long long)row);
    }
    if (row_bytes < -INT64_MAX || !sslcv__multiply(height, row_bytes < 0 ? -row_bytes : row_bytes, &all)) {
        return sslcv__invalid("pixels.row_bytes is %lld; %lld rows must fit in int64_t", (long long)row_bytes,
                              (long long)height);
    }
    made.ndim = 3;
    made.dtype = dtype;
    made.shape[0] = order == SSLCV_PIXELS_AS_STORED ? channels : 3;
    made.shape[1] = height;
    made.shape[2] = width;
    made.strides[0] = order == SSLCV_PIXELS_BGR ? -1 : 1;
    made.strides[1] = row_bytes / size;
    made.strides[2] = channels;
    memcpy(&made.data, &pixels, sizeof pixels); /* read only; tensors have no const */
    if (order == SSLCV_PIXELS_BGR) made.data = (char *)made.data + 2 * size;
    *tensor = made;
    return SSLCV_OK;
}

/* ---- checks ---- */

int64_t sslcv__tensor_count(const sslcv_tensor *tensor)
{
    int64_t count = 1;
    int32_t i;

    for (i = 0; i < tensor->ndim; i++) count *= tensor->shape[i];
    return count;
}

int sslcv__tensor_is_dense(const sslcv_tensor *tensor)
{
    int64_t stride = 1;
    int32_t i;

    if (sslcv__tensor_count(tensor) == 0) return 1;
    for (i = tensor->ndim - 1; i >= 0; i--) {
        if (tensor->shape[i] > 1 && tensor->strides[i] != stride) return 0;
        stride *= tensor->shape[i];
    }
    return 1;
}

/** The element that is furthest from data must be within what an address can tell. */
static sslcv_status check_reach(const sslcv_tensor *tensor, const char *name)
{
    int64_t reach = sslcv_dtype_size(tensor->dtype), axis;
    int32_t i;

    for (i = 0; i < tensor->ndim; i++) {
        const int64_t stride = tensor->strides[i];

        if (tensor->shape[i] <= 1) continue;
        if (stride < -INT64_MAX || !sslcv__multiply(tensor->shape[i] - 1, stride < 0 ? -stride : stride, &axis) ||
            !sslcv__multiply(axis, sslcv_dtype_size(tensor->dtype), &axis) || !sslcv__add(reach, axis, &reach)) {
            return sslcv__invalid("%s.strides[%d] is %lld; its last element is out of reach", name, i,
                                  (long long)stride);
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv__tensor_check(const sslcv_tensor *tensor, const char *name)
{
    sslcv_status status;

    if (!tensor) return sslcv__null(name);
    status = check_layout(name, tensor->dtype, tensor->ndim, tensor->shape);
    if (status != SSLCV_OK) return status;
    if (sslcv__tensor_count(tensor) == 0) return SSLCV_OK;
    if (!tensor->data) return sslcv__invalid("%s.data is NULL", name);
    return check_reach(tensor, name);
}

sslcv_status sslcv__tensor_check_dense(const sslcv_tensor *tensor, const char *name)
{
    const sslcv_status status = sslcv__tensor_check(tensor, name);

    if (status != SSLCV_OK) return status;
    if (tensor->dtype != SSLCV_F32) {
        return sslcv__invalid("%s.dtype is %s; must be f32", name, sslcv__dtype_name(tensor->dtype));
    }
    if (!sslcv__tensor_is_dense(tensor)) return sslcv__invalid("%s is not dense", name);
    return SSLCV_OK;
}

sslcv_status sslcv__tensor_check_shape(const sslcv_tensor *tensor, const char *name, int32_t ndim, const int64_t *shape)
{
    const sslcv_status status = sslcv__tensor_check(tensor, name);
    int32_t i;

    if (status != SSLCV_OK) return status;
    if (tensor->ndim != ndim) return sslcv__invalid("%s.ndim is %d; must be %d", name, tensor->ndim, ndim);
    for (i = 0; i < ndim; i++) {
        if (shape[i] >= 0 && tensor->shape[i] != shape[i]) {
            return sslcv__invalid("%s.shape[%d] is %lld; must be %lld", name, i, (long long)tensor->shape[i],
                                  (long long)shape[i]);
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv__tensor_answer(sslcv_tensor *tensor, const char *name, int32_t dtype, int32_t ndim,
                                  const int64_t *shape, int *asks)
{
    if (!tensor) return sslcv__null(name);
    *asks = tensor->data == NULL;
    if (*asks) {
        sslcv__tensor_set(tensor, dtype, NULL, ndim, shape);
        return SSLCV_OK;
    }
    if (tensor->dtype != dtype) {
        return sslcv__invalid("%s.dtype is %s; must be %s", name, sslcv__dtype_name(tensor->dtype),
                              sslcv__dtype_name(dtype));
    }
    return sslcv__tensor_check_shape(tensor, name, ndim, shape);
}

/* ---- single values ---- */

float sslcv__f32_from_f16(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    const uint32_t exponent = bits >> 10 & 0x1fu, fraction = bits & 0x3ffu;
    uint32_t wide = sign | (exponent + 112) << 23 | fraction << 13;
    float value;

    if (exponent == 31) wide = sign | 0x7f800000u | fraction << 13;
    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 */
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    memcpy(&value, &wide, sizeof value);
    return value;
}

uint16_t sslcv__f32_to_f16(float value)
{
    uint32_t bits, sign, magnitude, shift, half;

    memcpy(&bits, &value, sizeof bits);
    sign = bits >> 16 & 0x8000u;
    magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* from 65520 on it rounds to infinity */
    if (magnitude >= 0x38800000u) {                                  /* normal: from 2^-14 on */
        magnitude -= 112u << 23;
        return (uint16_t)(sign | (magnitude + 0xfffu + (magnitude >> 13 & 1u)) >> 13);
    }
    if (magnitude < 0x33000000u) return (uint16_t)sign; /* below 2^-25 */
    shift = 126u - (magnitude >> 23);                   /* subnormal: to multiples of 2^-24 */
    magnitude = (magnitude & 0x7fffffu) | 0x800000u;
    half = 1u << (shift - 1);
    return (uint16_t)(sign | (magnitude + half - 1u + (magnitude >> shift & 1u)) >> shift);
}

/* ---- conversion: axes are merged to as few as possible, then one call does a run of the last ---- */

typedef struct plan {
    int64_t shape[SSLCV_MAX_DIMS];
    int64_t a[SSLCV_MAX_DIMS], b[SSLCV_MAX_DIMS]; /* strides of the two sides */
    int32_t ndim;                                 /* >= 1 */
    int32_t reserved;
} plan;

/** An axis of length 1 vanishes; two neighbours merge when both sides step through them as through one. */
static void make_plan(const sslcv_tensor *a, const sslcv_tensor *b, plan *p)
{
    int32_t i, last = -1;

    for (i = 0; i < a->ndim; i++) {
        const int64_t n = a->shape[i];

        if (n == 1) continue;
        if (last >= 0 && p->a[last] == n * a->strides[i] && p->b[last] == n * b->strides[i]) {
            p->shape[last] *= n;
        } else {
            p->shape[++last] = n;
        }
        p->a[last] = a->strides[i];
        p->b[last] = b->strides[i];
    }
    if (last < 0) {
        p->shape[++last] = 1;
        p->a[last] = p->b[last] = 1;
    }
    p->ndim = last + 1;
}

/** count elements from a, stride_a apart, to b, stride_b apart. */
typedef void run_fn(const void *a, int64_t stride_a, void *b, int64_t stride_b, int64_t count);

static void for_each_run(const plan *p, const char *a, int64_t size_a, char *b, int64_t size_b, run_fn *run)
{
    const int32_t inner = p->ndim - 1;
    int64_t index[SSLCV_MAX_DIMS] = {0}, at_a = 0, at_b = 0;
    int32_t axis;

    do {
        run(a + at_a * size_a, p->a[inner], b + at_b * size_b, p->b[inner], p->shape[inner]);
        for (axis = inner - 1; axis >= 0; axis--) {
            at_a += p->a[axis];
            at_b += p->b[axis];
            if (++index[axis] < p->shape[axis]) break;
            at_a -= p->a[axis] * p->shape[axis];
            at_b -= p->b[axis] * p->shape[axis];
            index[axis] = 0;
        }
    } while (axis >= 0);
}

/** A run whose element becomes EXPRESSION of s; both sides without gaps is the case that the compiler vectorises. */
#define RUN(name, from, to, expression)                                                                                \
    static void name(const void *a, int64_t stride_a, void *b, int64_t stride_b, int64_t count)                        \
    {                                                                                                                  \
        const from *src = a;                                                                                           \
        to *dst = b;                                                                                                   \
        int64_t i;                                                                                                     \
                                                                                                                       \
        if (stride_a == 1 && stride_b == 1) {                                                                          \
            for (i = 0; i < count; i++) {                                                                              \
                const from s = src[i];                                                                                 \
                dst[i] = expression;                                                                                   \
            }                                                                                                          \
        } else {                                                                                                       \
            for (i = 0; i < count; i++) {                                                                              \
                const from s = src[i * stride_a];                                                                      \
                dst[i * stride_b] = expression;                                                                        \
            }                                                                                                          \
        }                                                                                                              \
    }

RUN(copy_1, uint8_t, uint8_t, s)
RUN(copy_2, uint16_t, uint16_t, s)
RUN(copy_4, uint32_t, uint32_t, s)
RUN(copy_8, uint64_t, uint64_t, s)
RUN(from_u8, uint8_t, float, (float)s)
RUN(from_u16, uint16_t, float, (float)s)
RUN(from_i32, int32_t, float, (float)s)
RUN(from_i64, int64_t, float, (float)s)
RUN(from_f64, double, float, (float)s)
RUN(from_bf16, uint16_t, float, sslcv__f32_from_bf16(s))
RUN(from_f16, uint16_t, float, sslcv__f32_from_f16(s))
RUN(to_f64, float, double, s)
RUN(to_bf16, float, uint16_t, sslcv__f32_to_bf16(s))
RUN(to_f16, float, uint16_t, sslcv__f32_to_f16(s))

void sslcv__tensor_to_f32(const sslcv_tensor *tensor, float *dense)
{
    static run_fn *const runs[] = {NULL,    copy_4,   from_bf16, from_f16, from_f64,
                                   from_u8, from_u16, from_i32,  from_i64, from_u8};
    sslcv_tensor target;
    plan p;

    if (sslcv__tensor_count(tensor) == 0) return;
    sslcv__tensor_set(&target, SSLCV_F32, dense, tensor->ndim, tensor->shape);
    make_plan(tensor, &target, &p);
    for_each_run(&p, tensor->data, sslcv_dtype_size(tensor->dtype), (char *)dense, 4, runs[tensor->dtype]);
}

sslcv_status sslcv__tensor_from_f32(const float *dense, const sslcv_tensor *tensor, const char *name)
{
    static run_fn *const runs[] = {NULL, copy_4, to_bf16, to_f16, to_f64};
    sslcv_tensor source;
    plan p;

    if (!sslcv__dtype_is_floating(tensor->dtype)) {
        return sslcv__invalid("%s.dtype is %s; must be f32, bf16, f16 or f64", name, sslcv__dtype_name(tensor->dtype));
    }
    if (sslcv__tensor_count(tensor) == 0) return SSLCV_OK;
    sslcv__tensor_set(&source, SSLCV_F32, NULL, tensor->ndim, tensor->shape);
    make_plan(&source, tensor, &p);
    for_each_run(&p, (const char *)dense, 4, tensor->data, sslcv_dtype_size(tensor->dtype), runs[tensor->dtype]);
    return SSLCV_OK;
}

void sslcv__tensor_copy(const sslcv_tensor *src, const sslcv_tensor *dst)
{
    const int64_t size = sslcv_dtype_size(src->dtype);
    plan p;

    if (sslcv__tensor_count(src) == 0) return;
    make_plan(src, dst, &p);
    for_each_run(&p, src->data, size, dst->data, size,
                 size == 1   ? copy_1
                 : size == 2 ? copy_2
                 : size == 4 ? copy_4
                             : copy_8);
}
