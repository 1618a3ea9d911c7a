/**
 * The header of NumPy's files (NEP 1): the one home of the format, for .npy files, for the members of .npz archives,
 * and for files that are written in parts.
 *
 *     | "\x93NUMPY", version, header's length | header: a Python literal | elements |
 *       8 bytes               2, or 4 from     {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 *                             version 2.0 on
 */
#ifndef SSLCV__NPY_H
#define SSLCV__NPY_H

#include "core/file.h"

#include <sslcv/tensor.h>

/* ---- writing: version 1.0, row-major, the machine's byte order ---- */

enum { SSLCV__NPY_MAX_HEADER = 256 }; /* bytes written at most: 8 numbers of 19 digits fit */

/** 1: NumPy has such a type; not bf16. */
int sslcv__npy_has_dtype(int32_t dtype);

/**
 * The bytes in front of the elements of a dense array in row-major order; a multiple of 64, as NumPy wants.
 *
 * @param dtype  One that NumPy has.
 * @param ndim   0 .. SSLCV_MAX_DIMS.
 * @param header Out.
 * @return Bytes of header used.
 */
int64_t sslcv__npy_header(int32_t dtype, int32_t ndim, const int64_t *shape, char header[SSLCV__NPY_MAX_HEADER]);

/** Write it; the caller writes the elements after it. */
sslcv_status sslcv__npy_write_header(sslcv__new_file *file, int32_t dtype, int32_t ndim, const int64_t *shape);

/* ---- reading: versions 1.0, 2.0 and 3.0, either order of axes and bytes ---- */

enum {
    SSLCV__NPY_FRONT_1 = 10,     /* bytes in front of the header in version 1.0 */
    SSLCV__NPY_FRONT_2 = 12,     /* from version 2.0 on; byte 6 is the first digit */
    SSLCV__NPY_MAX_TEXT = 65535, /* bytes of a header that is read; NumPy itself takes 10000 */
    SSLCV__NPY_DTYPE_NAME = 16
};

typedef struct sslcv__npy_array {
    int32_t dtype; /* 0: one that this library does not know */
    int32_t ndim;  /* may exceed SSLCV_MAX_DIMS; shape then has the first ones */
    int64_t shape[SSLCV_MAX_DIMS];
    int64_t count;                          /* elements */
    int32_t swapped;                        /* 1: elements of several bytes in the order that is not the machine's */
    int32_t fortran;                        /* 1: two axes or more, the first runs fastest */
    char dtype_name[SSLCV__NPY_DTYPE_NAME]; /* "<f4"; cut off; "a structure" */
} sslcv__npy_array;

/**
 * The header's length, 0 .. SSLCV__NPY_MAX_TEXT, from the bytes in front of it. SSLCV_ERR_FORMAT, name in front: none
 * of NumPy's files.
 */
sslcv_status sslcv__npy_parse_front(const char *name, const char front[SSLCV__NPY_FRONT_2], int64_t *text_bytes);

/** The text. SSLCV_ERR_FORMAT, name in front: not a header as NumPy's; also shapes that int64_t cannot count. */
sslcv_status sslcv__npy_parse_text(const char *name, const char *text, int64_t bytes, sslcv__npy_array *array);

#endif
