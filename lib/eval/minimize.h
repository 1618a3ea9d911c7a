/** Least values of smooth functions, by liblbfgs: the one file that knows it. */
#ifndef SSLCV__MINIMIZE_H
#define SSLCV__MINIMIZE_H

#include <sslcv/context.h>

typedef struct sslcv__minimum {
    double value;
    int64_t iterations;
    int32_t converged; /* 1: by tolerance, or rounding lets it come no nearer; 0: out of iterations */
    int32_t reserved;
} sslcv__minimum;

/** Value and gradient at x: count doubles each, aligned to 64 bytes. */
typedef double (*sslcv__function)(void *user, const double *x, double *gradient);

/** SSLCV_ERR_UNSUPPORTED, with the package's name, in a build without liblbfgs. */
sslcv_status sslcv__minimize_check(void);

/**
 * L-BFGS with 10 corrections and line searches by More and Thuente, from x, until no derivative is larger than
 * tolerance. liblbfgs takes some 25 count doubles by malloc() for the call.
 *
 * @param x       In: where to begin; out: the best that was found, also after a failure. Aligned to 64 bytes.
 * @param count   A multiple of 8, below 2^31.
 * @param minimum Out.
 * @return SSLCV_ERR_CANCELLED; SSLCV_ERR_OUT_OF_MEMORY; SSLCV_ERR_NUMERIC (the function is not finite).
 */
sslcv_status sslcv__minimize(sslcv_context *context, sslcv__function function, void *user, int64_t iterations,
                             double tolerance, double *x, int64_t count, sslcv__minimum *minimum);

#endif
