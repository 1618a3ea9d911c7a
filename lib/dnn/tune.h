/**
 * Algorithms chosen by the clock: where the context has a tuning path, a convolution's candidates are run when it is
 * first planned, and the fastest is taken from then on. What was found can be kept in a file of lines
 *
 *     sslcv-tuning 1 | oneDNN 2.6.3 | avx512_core_bf16 | threads 2 | forward f32 256x64x32x32 64x3x3/1+1 | winograd
 *
 * that processes append to; lines of other processors, thread counts and versions are skipped, and so is what is no
 * such line.
 */
#ifndef SSLCV__TUNE_H
#define SSLCV__TUNE_H

#include "dnn/op.h"

/** A way to run a convolution; its name goes into the file. */
typedef struct sslcv__candidate {
    const char *name;
    sslcv_status (*make)(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__conv_direction direction,
                         const sslcv__conv_post *post, sslcv__op **out); /* SSLCV_ERR_UNSUPPORTED: not this one */
} sslcv__candidate;

/** The op of the fastest candidate, measured now or before. The first is taken where none can be timed. */
sslcv_status sslcv__tune(sslcv_context *context, const sslcv__candidate *candidates, int count,
                         const sslcv__conv_shape *shape, sslcv__conv_direction direction, const sslcv__conv_post *post,
                         sslcv__op **out);

#endif
