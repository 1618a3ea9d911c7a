/** Overflow-safe sizes. All return 1 when the result fits into int64_t (and is written), else 0. Operands are >= 0. */
#ifndef SSLCV__CHECKED_H
#define SSLCV__CHECKED_H

#include <stdint.h>

static inline int sslcv__add(int64_t a, int64_t b, int64_t *sum)
{
    if (a < 0 || b < 0 || a > INT64_MAX - b) return 0;
    *sum = a + b;
    return 1;
}

static inline int sslcv__multiply(int64_t a, int64_t b, int64_t *product)
{
    if (a < 0 || b < 0 || (a != 0 && b > INT64_MAX / a)) return 0;
    *product = a * b;
    return 1;
}

/** Product of count factors; 1 for none. */
static inline int sslcv__product(const int64_t *factors, int64_t count, int64_t *product)
{
    int64_t result = 1, i;

    for (i = 0; i < count; i++) {
        if (!sslcv__multiply(result, factors[i], &result)) return 0;
    }
    *product = result;
    return 1;
}

#endif
