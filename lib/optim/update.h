/**
 * The arithmetic of optimizers on plain runs of floats. Scalars are worked out in double by the caller and rounded
 * once; elements are f32, and each is read and written once. On the calling thread alone.
 */
#ifndef SSLCV__UPDATE_H
#define SSLCV__UPDATE_H

#include <stdint.h>

/** Scalars of one tensor in one step. */
typedef struct sslcv__update {
    float gradient; /* d = gradient * g + decay * w: clipping, trust ratio and coupled decay are in these */
    float decay;
    float momentum;
    float rate;         /* of SGD and LARS: w -= rate * v; of Adam with 1 / (1 - beta1^t) */
    float shrink;       /* ADAMW: w -= shrink * w */
    float beta1, beta2; /* Adam */
    float rest1, rest2; /* 1 - beta1, 1 - beta2 */
    float root;         /* 1 / sqrt(1 - beta2^t) */
    float epsilon;
} sslcv__update;

/** Sums of products; of a gradient with NaN or infinity, gg is not finite. */
typedef struct sslcv__sums {
    double gg, gw, ww;
} sslcv__sums;

/** w NULL: gg only. */
sslcv__sums sslcv__update_sums(const float *g, const float *w, int64_t count);

/** w -= rate * d */
void sslcv__update_plain(const sslcv__update *u, int64_t count, const float *g, float *w);

/** v = momentum * v + d;  w -= rate * v */
void sslcv__update_momentum(const sslcv__update *u, int64_t count, const float *g, float *w, float *v);

/** v = momentum * v + d;  w -= rate * (d + momentum * v) */
void sslcv__update_nesterov(const sslcv__update *u, int64_t count, const float *g, float *w, float *v);

/** m = beta1 m + (1 - beta1) d;  s = beta2 s + (1 - beta2) d^2;  w -= shrink w + rate m / (root sqrt(s) + epsilon) */
void sslcv__update_adam(const sslcv__update *u, int64_t count, const float *g, float *w, float *m, float *s);

#endif
