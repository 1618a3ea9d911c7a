/**
 * The loops of norm.c and group_norm.c: plain loops over rows of 16 lanes. For them alone, so names have no prefix
 * but those of functions.
 */
#ifndef SSLCV__NORM_ROWS_H
#define SSLCV__NORM_ROWS_H

#include "core/bf16.h"
#include "nn/norm.h"

enum { LANES = 16 };

enum {
    MEAN,
    FACTOR,
    SHIFT,
    CORRECTION,
    SLOPE,
    COEFFICIENTS
};                            /* per tile, LANES each; norm_rows.c says what for */
enum { X, Y, G, G2, INPUTS }; /* forward: r is Y */
enum { D, OUT, OUTPUTS };

typedef const float (*coefficients)[LANES];
typedef float (*sums)[LANES];

typedef struct rows {
    const void *in[INPUTS];
    void *out[OUTPUTS];
    int64_t images, image_stride; /* strides in elements */
    int64_t count, stride;        /* rows of an image */
    int32_t relu, mask, given, stream;
} rows;

/** An element of an array of f32 or bf16. */
static inline __attribute__((always_inline)) float get(const void *p, int64_t i, int bf16)
{
    return bf16 ? sslcv__f32_from_bf16(((const uint16_t *)p)[i]) : ((const float *)p)[i];
}

/** Sums over rows, f32: of x - k and of its square into s[0], s[1]. */
void sslcv__norm_rows_statistics(int bf16, const rows *v, const float *k, sums s);
/** y from x [and r]. */
void sslcv__norm_rows_apply(int bf16, const rows *v, coefficients c);
/** Sums of the masked gradient and of it times xhat into s[0], s[1]; d, where it is wanted. */
void sslcv__norm_rows_sums(int bf16, const rows *v, coefficients c, sums s);
/** The gradient with respect to x. */
void sslcv__norm_rows_gradient(int bf16, const rows *v, coefficients c);

#endif
