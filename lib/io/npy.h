/** NumPy's files, written in parts: a header, then the elements as they are in memory (NEP 1, version 1.0). */
#ifndef SSLCV__NPY_H
#define SSLCV__NPY_H

#include "core/file.h"

#include <sslcv/tensor.h>

/**
 * Write the header of a dense array in row-major order; the caller writes the elements after it.
 *
 * @param dtype SSLCV_F32 or SSLCV_I64.
 * @param ndim  1 .. 4.
 */
sslcv_status sslcv__npy_write_header(sslcv__new_file *file, int32_t dtype, int32_t ndim, const int64_t *shape);

#endif
