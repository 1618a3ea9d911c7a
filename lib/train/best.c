/*
 * Early choice: a copy of the networks as they were after the best epoch so far. It belongs to the trainer's state:
 *
 *     best.value, best.epoch   best.backbone.0. ...   best.head.0. ...
 *
 * Copies are states of their own, plain and with no memory for gradients: every tensor is a buffer there.
 */
#include "train/trainer.h"

#include "core/context.h"
#include "core/memory.h"
#include "nn/state.h"

#include <math.h>
#include <string.h>

/* ---- what is asked for ---- */

sslcv_status sslcv_trainer_keep_best(sslcv_trainer *trainer, const char *metric, int32_t smallest)
{
    char *copy;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(trainer, SSLCV__TRAINER, "trainer"));
    if (!metric) return sslcv__null("metric");
    if (metric[0] == 0) return sslcv__invalid("metric is \"\"; must be a name");
    if (smallest != 0 && smallest != 1) return sslcv__invalid("smallest is %d; must be 0 or 1", smallest);
    if (trainer->inside) return sslcv__fail(SSLCV_ERR_STATE, "a hook must not compose its trainer");
    if (trainer->fixed) {
        return sslcv__fail(SSLCV_ERR_STATE, "the composition is fixed; ask for the best before the first step");
    }
    SSLCV__TRY(sslcv__copy_text(trainer->object.context, metric, &copy));
    sslcv__free(trainer->object.context, trainer->best.metric);
    trainer->best.metric = copy;
    trainer->best.smallest = smallest;
end:
    return status;
}

/* ---- memory for it ---- */

/* A tensor of zeros for each of a network's. */
static sslcv_status make_copy(sslcv_context *context, sslcv__part *part)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_status status = sslcv_state_create(context, &part->kept);
    int64_t i;

    for (i = 0; i < part->state->count && status == SSLCV_OK; i++) {
        SSLCV__TRY(sslcv_state_get_entry(part->state, i, &entry));
        entry.role = SSLCV_ROLE_BUFFER;
        entry.frozen = 0;
        status = sslcv_state_add(part->kept, &entry, NULL);
    }
end:
    return status;
}

static sslcv_status make_numbers(sslcv__best *best, sslcv_context *context)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry, .name = "value", .dtype = SSLCV_F64};
    sslcv_tensor tensor;
    sslcv_status status;

    entry.role = SSLCV_ROLE_BUFFER;
    SSLCV__TRY(sslcv_state_create(context, &best->numbers));
    SSLCV__TRY(sslcv_state_add(best->numbers, &entry, NULL));
    entry.name = "epoch";
    entry.dtype = SSLCV_I64;
    SSLCV__TRY(sslcv_state_add(best->numbers, &entry, NULL));
    SSLCV__TRY(sslcv_state_data(best->numbers, 0, SSLCV_STATE_VALUE, &tensor));
    best->value = tensor.data;
    SSLCV__TRY(sslcv_state_data(best->numbers, 1, SSLCV_STATE_VALUE, &tensor));
    best->epoch = tensor.data;
    *best->epoch = -1;
end:
    return status;
}

sslcv_status sslcv__trainer_fix_best(sslcv_trainer *trainer)
{
    sslcv__parts *const networks[] = {&trainer->backbones, &trainer->heads};
    sslcv_context *context = trainer->object.context;
    int64_t i, k;
    sslcv_status status = SSLCV_OK;

    if (!trainer->best.metric) return SSLCV_OK;
    SSLCV__TRY(make_numbers(&trainer->best, context));
    for (k = 0; k < 2; k++) {
        for (i = 0; i < networks[k]->count; i++) SSLCV__TRY(make_copy(context, &networks[k]->items[i]));
    }
end:
    return status;
}

void sslcv__trainer_unfix_best(sslcv_trainer *trainer)
{
    sslcv__release(trainer->best.numbers);
    trainer->best.numbers = NULL;
}

static int64_t bytes_of(const sslcv_state *state)
{
    int64_t bytes = 0, i;

    for (i = 0; state && i < state->count; i++) bytes += state->items[i].variable->stored_bytes;
    return bytes;
}

int64_t sslcv__trainer_best_bytes(const sslcv_trainer *trainer)
{
    const sslcv__parts *const networks[] = {&trainer->backbones, &trainer->heads};
    int64_t bytes = bytes_of(trainer->best.numbers), i, k;

    for (k = 0; k < 2; k++) {
        for (i = 0; i < networks[k]->count; i++) bytes += bytes_of(networks[k]->items[i].kept);
    }
    return bytes;
}

/* ---- in and out ---- */

/* keep: from the networks into the copies; else back. */
static sslcv_status move(sslcv_trainer *trainer, int keep)
{
    sslcv__parts *const networks[] = {&trainer->backbones, &trainer->heads};
    sslcv_status status = SSLCV_OK;
    int64_t i, k;

    for (k = 0; k < 2; k++) {
        for (i = 0; i < networks[k]->count; i++) {
            const sslcv__part *part = &networks[k]->items[i];

            SSLCV__TRY(sslcv_state_lerp(keep ? part->kept : part->state, keep ? part->state : part->kept, 0.0,
                                        SSLCV_ROLE_ALL));
        }
    }
end:
    return status;
}

/* 1: the metric is there, new since the last look, and better than any before. */
static int is_better(sslcv_trainer *trainer, double *value)
{
    sslcv__best *best = &trainer->best;
    int64_t i;

    for (i = 0; i < trainer->num_metrics && strcmp(trainer->metrics[i].name, best->metric) != 0; i++) continue;
    if (i == trainer->num_metrics || !trainer->metrics[i].shown) return 0;
    if (trainer->metrics[i].host && trainer->metrics[i].published <= best->seen) return 0;
    best->seen = trainer->metrics[i].published;
    *value = trainer->metrics[i].value;
    if (isnan(*value)) return 0;
    return *best->epoch < 0 || (best->smallest ? *value < *best->value : *value > *best->value);
}

sslcv_status sslcv__trainer_note_best(sslcv_trainer *trainer, int64_t epoch)
{
    double value;
    sslcv_status status;

    if (!trainer->best.metric || !is_better(trainer, &value)) return SSLCV_OK;
    *trainer->best.epoch = -1; /* of a copy that fails half way nothing is left to take */
    SSLCV__TRY(move(trainer, 1));
    *trainer->best.value = value;
    *trainer->best.epoch = epoch;
end:
    return status;
}

sslcv_status sslcv_trainer_take_best(sslcv_trainer *trainer, double *value, int64_t *epoch)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__check(trainer, SSLCV__TRAINER, "trainer"));
    if (trainer->inside) return sslcv__fail(SSLCV_ERR_STATE, "a hook must not load its trainer");
    if (!trainer->best.metric) {
        return sslcv__fail(SSLCV_ERR_STATE, "nothing is kept; sslcv_trainer_keep_best() asks for it");
    }
    SSLCV__TRY(sslcv__trainer_fix(trainer));
    if (*trainer->best.epoch < 0) {
        return sslcv__fail(SSLCV_ERR_STATE, "no epoch has ended with a metric \"%s\" yet", trainer->best.metric);
    }
    SSLCV__TRY(move(trainer, 0));
    if (value) *value = *trainer->best.value;
    if (epoch) *epoch = *trainer->best.epoch;
end:
    return status;
}
