/** What the tests of CPC's loss share: options, calls, weights. */
#ifndef SSLCV__TESTS_CPC_SUPPORT_H
#define SSLCV__TESTS_CPC_SUPPORT_H

#include "loss_support.h"

/* Shapes of the tests are small; places, samples and widths have their bounds here. */
enum { MAX_PLACES = 36, MAX_SAMPLES = 4, MAX_WIDTH = 16, MAX_PARAMETERS = 40, MAX_ROWS = MAX_PLACES * MAX_SAMPLES };

static inline sslcv_cpc_options new_options(int64_t dim, int64_t rows, int64_t columns)
{
    sslcv_cpc_options o;

    OK(sslcv_cpc_options_init(&o, sizeof o));
    o.dim = dim;
    o.rows = rows;
    o.columns = columns;
    o.first_offset = o.last_offset = 1;
    o.num_negatives = 0;
    o.seed = 5;
    return o;
}

static inline sslcv_loss *new_cpc(sslcv_context *context, const sslcv_cpc_options *o)
{
    sslcv_loss *loss;

    OK(sslcv_loss_create_cpc(context, o, &loss));
    return loss;
}

static inline int64_t context_dim(const sslcv_cpc_options *o)
{
    return o->context_dim ? o->context_dim : o->dim;
}

/* A call; diffs may be NULL. */
static inline void set_call(loss_test *t, const sslcv_cpc_options *o, int64_t samples, float *z, float *c, float *dz,
                     float *dc)
{
    const int64_t places = o->rows * o->columns;
    const int64_t shapes[2][4] = {{1, samples, places, o->dim}, {1, samples, places, o->directions * context_dim(o)}};

    memset(t, 0, sizeof *t);
    loss_test_init(t);
    t->call.num_inputs = 2;
    OK(sslcv_tensor_init(&t->inputs[0], SSLCV_F32, z, 4, shapes[0]));
    OK(sslcv_tensor_init(&t->diffs[0], SSLCV_F32, dz, 4, shapes[0]));
    OK(sslcv_tensor_init(&t->inputs[1], SSLCV_F32, c, 4, shapes[1]));
    OK(sslcv_tensor_init(&t->diffs[1], SSLCV_F32, dc, 4, shapes[1]));
}

/* Identity weights and zero biases for all parameters. */
static inline void set_identity(sslcv_loss *loss)
{
    sslcv_state *state;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    int64_t i, k;

    OK(sslcv_loss_get_state(loss, &state));
    for (i = 0; sslcv_state_get_entry(state, i, &entry) == SSLCV_OK; i++) {
        float values[MAX_WIDTH * MAX_WIDTH] = {0};
        sslcv_tensor tensor;

        if (entry.role == SSLCV_ROLE_BUFFER) continue;
        for (k = 0; entry.ndim == 2 && k < entry.shape[0]; k++) values[k * entry.shape[1] + k] = 1.0f;
        OK(sslcv_tensor_init(&tensor, SSLCV_F32, values, entry.ndim, entry.shape));
        OK(sslcv_state_set(state, i, SSLCV_STATE_VALUE, &tensor));
    }
    sslcv_state_destroy(state);
}

#endif
