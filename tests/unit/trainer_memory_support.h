/** What the suites about a trainer's memory share. */
#ifndef SSLCV__TESTS_TRAINER_MEMORY_SUPPORT_H
#define SSLCV__TESTS_TRAINER_MEMORY_SUPPORT_H

#include "trainer_support.h"

static inline int64_t held_bytes(rig *r)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    OK(sslcv_context_get_info(r->context, &info));
    return info.bytes;
}

static inline sslcv_memory get_memory(rig *r)
{
    sslcv_memory memory = {.struct_size = sizeof memory};

    OK(sslcv_trainer_get_memory(r->trainer, &memory));
    return memory;
}

/* Largest difference of two gradients, as part of the largest gradient of the same network. */
static inline double compare_gradients(const sslcv__parts *a, const sslcv__parts *b)
{
    double worst = 0.0;
    int64_t i, k, n;

    ck_assert_int_eq(a->count, b->count);
    for (i = 0; i < a->count; i++) {
        double largest = 0.0, difference = 0.0;

        for (k = 0; k < a->items[i].state->count; k++) {
            const sslcv__variable *x = a->items[i].state->items[k].variable, *y = b->items[i].state->items[k].variable;

            for (n = 0; x->gradient && n < x->stored_bytes / (int64_t)sizeof(float); n++) {
                largest = fmax(largest, fabs((double)x->gradient[n]));
                difference = fmax(difference, fabs((double)x->gradient[n] - (double)y->gradient[n]));
            }
        }
        if (difference > 0.0) worst = fmax(worst, difference / largest);
    }
    return worst;
}

#endif
