/**
 * What the library does with tensors of any dtype and strides: check them, and bring them to dense f32 and back.
 *
 * All but the checks expect tensors that have passed sslcv__tensor_check(). None allocates. Any thread.
 */
#ifndef SSLCV__TENSOR_H
#define SSLCV__TENSOR_H

#include <sslcv/tensor.h>

#include "core/bf16.h"
#include "core/error.h"

/**
 * Can every element be reached? ndim, shapes and dtype in range, bytes fit in int64_t, data not NULL unless there are
 * no elements. The message starts with name.
 */
sslcv_status sslcv__tensor_check(const sslcv_tensor *tensor, const char *name);

/** Check, and it must be dense f32. */
sslcv_status sslcv__tensor_check_dense(const sslcv_tensor *tensor, const char *name);

/** Check, and ndim and each shape must be these; -1 in shape: any. */
sslcv_status sslcv__tensor_check_shape(const sslcv_tensor *tensor, const char *name, int32_t ndim,
                                       const int64_t *shape);

/**
 * The rule for tensors that a public function fills. Data NULL: *asks is 1 and the tensor now says what is wanted,
 * dense. Else *asks is 0 and the tensor has this dtype and shape, whatever its strides.
 */
sslcv_status sslcv__tensor_answer(sslcv_tensor *tensor, const char *name, int32_t dtype, int32_t ndim,
                                  const int64_t *shape, int *asks);

/** Describe a dense array whose shape is known to be fine. */
void sslcv__tensor_set(sslcv_tensor *tensor, int32_t dtype, void *data, int32_t ndim, const int64_t *shape);

int64_t sslcv__tensor_count(const sslcv_tensor *tensor); /* elements */

/** Strides of a row-major array without gaps? Those of axes of length 1 do not matter. */
int sslcv__tensor_is_dense(const sslcv_tensor *tensor);

int sslcv__dtype_is_floating(int32_t dtype);  /* F32, BF16, F16, F64 */
const char *sslcv__dtype_name(int32_t dtype); /* "f32"; "unknown" */

/** Values as they are (no scaling) to a dense row-major array; any dtype. i64 and f64 round to nearest. */
void sslcv__tensor_to_f32(const sslcv_tensor *tensor, float *dense);

/** The way back, rounding to nearest even. Of a floating dtype only: SSLCV_ERR_INVALID_ARGUMENT, with name. */
sslcv_status sslcv__tensor_from_f32(const float *dense, const sslcv_tensor *tensor, const char *name);

/** src and dst have one dtype and shape, any strides, and do not overlap. */
void sslcv__tensor_copy(const sslcv_tensor *src, const sslcv_tensor *dst);

/** Single values, by bits; those of bf16 are in core/bf16.h. */
float sslcv__f32_from_f16(uint16_t bits);
uint16_t sslcv__f32_to_f16(float value);

#endif
