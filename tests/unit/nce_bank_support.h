/** What tests of the bank loss share: options, and one loss with inputs of its own. */
#ifndef SSLCV__TESTS_NCE_BANK_SUPPORT_H
#define SSLCV__TESTS_NCE_BANK_SUPPORT_H

#include "loss_support.h"

#include "loss/nce_bank.h"

static inline sslcv_nce_bank_options options_of(int64_t rows, int64_t negatives, int64_t dim, int32_t pairing,
                                         int64_t num_inputs, int32_t estimator)
{
    sslcv_nce_bank_options o;

    OK(sslcv_nce_bank_options_init(&o, sizeof o));
    o.num_samples = rows;
    o.num_negatives = negatives;
    o.dim = dim;
    o.pairing = pairing;
    o.num_inputs = num_inputs;
    o.estimator = estimator;
    o.seed = 5;
    return o;
}

static inline sslcv_loss *new_loss(sslcv_context *context, const sslcv_nce_bank_options *o)
{
    sslcv_loss *loss;

    OK(sslcv_loss_create_nce_bank(context, o, &loss));
    return loss;
}

static inline const char *bank_name(int64_t bank)
{
    static const char *const names[] = {"bank.0", "bank.1", "bank.2", "bank.3"};

    return names[bank];
}

/* One loss with inputs of its own, for tests of one thing. */
typedef struct fixture {
    sslcv_nce_bank_options o;
    sslcv_loss *loss;
    loss_test test;
    int64_t ids[32];
    float x[4][1 << 12], diff[4][1 << 12], bank[1 << 14];
} fixture;

static inline void set_up(fixture *f, sslcv_context *context, const sslcv_nce_bank_options *o, int64_t samples)
{
    int64_t i;

    f->o = *o;
    f->loss = new_loss(context, o);
    loss_test_init(&f->test);
    for (i = 0; i < o->num_inputs; i++) {
        golden_input(20 + i, samples * o->dim, f->x[i]);
        loss_test_add(&f->test, 1, samples, 1, o->dim, f->x[i], f->diff[i]);
    }
    for (i = 0; i < samples; i++) f->ids[i] = (3 * i + 1) % o->num_samples;
    f->test.call.ids = f->ids;
}

static inline int64_t bank_count(const fixture *f)
{
    return f->o.num_samples * f->o.dim;
}

static inline void write_bank(fixture *f, int64_t bank)
{
    loss_write(f->loss, bank_name(bank), SSLCV_STATE_VALUE, SSLCV_F32, bank_count(f), f->bank);
}

static inline void read_bank(fixture *f, int64_t bank)
{
    loss_read(f->loss, bank_name(bank), SSLCV_STATE_VALUE, SSLCV_F32, bank_count(f), f->bank);
}

#endif
