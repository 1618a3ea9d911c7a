/** Losses and calls of InfoNCE, in a batch and against a queue. */
#ifndef SSLCV__TESTS_INFO_NCE_SUPPORT_H
#define SSLCV__TESTS_INFO_NCE_SUPPORT_H

#include "loss_support.h"

static inline sslcv_info_nce_options options_of(double temperature, int64_t queue_size, int64_t dim)
{
    sslcv_info_nce_options options;

    OK(sslcv_info_nce_options_init(&options, sizeof options));
    options.temperature = temperature;
    options.queue_size = queue_size;
    options.dim = dim;
    return options;
}

static inline sslcv_loss *new_loss(sslcv_context *context, double temperature, int64_t queue_size, int64_t dim,
                            int32_t reduction)
{
    sslcv_info_nce_options options = options_of(temperature, queue_size, dim);
    sslcv_loss *loss;

    options.reduction = reduction;
    OK(sslcv_loss_create_info_nce(context, &options, &loss));
    return loss;
}

static inline void one_input(loss_test *test, int64_t views, int64_t samples, int64_t dim, float *data, float *diff)
{
    loss_test_init(test);
    loss_test_add(test, views, samples, 1, dim, data, diff);
}

static inline void two_inputs(loss_test *test, int64_t samples, int64_t dim, float *q, float *dq, float *k, float *dk)
{
    one_input(test, 1, samples, dim, q, dq);
    loss_test_add(test, 1, samples, 1, dim, k, dk);
}

static inline void write_queue(sslcv_loss *loss, int64_t count, float *rows)
{
    loss_write(loss, "queue", SSLCV_STATE_VALUE, SSLCV_F32, count, rows);
}

#endif
