/*
 * The trainer's state: a window onto its networks, losses and optimizer, and onto a few tensors of its own.
 *
 *     backbone.0. ...   head.0. ...   momentum.backbone.0. ...   momentum.head.0. ...   loss.0. ...   optimizer. ...
 *     best.value, best.backbone.0. ...   trainer.step, trainer.epoch ...
 */
#include "train/trainer.h"

#include "core/context.h"
#include "loss/loss.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Eight bytes each, i64 or f64, without axes. */
typedef struct own_number {
    const char *name;
    size_t offset; /* in the trainer */
    int32_t dtype;
    int32_t reserved;
} own_number;

#define NUMBER(name, field, dtype)                                                                                     \
    {                                                                                                                  \
        name, offsetof(sslcv_trainer, field), dtype, 0                                                                 \
    }
static const own_number numbers[] = {NUMBER("step", step, SSLCV_I64),
                                     NUMBER("epoch", epoch, SSLCV_I64),
                                     NUMBER("batch", index, SSLCV_I64),
                                     NUMBER("seed", options.seed, SSLCV_I64),
                                     NUMBER("epoch_loss", epoch_loss, SSLCV_F64),
                                     NUMBER("epoch_losses", epoch_losses, SSLCV_I64),
                                     NUMBER("ema_step", ema_step, SSLCV_I64),
                                     NUMBER("healthy", healthy, SSLCV_I64),
                                     NUMBER("collapse_epoch", collapse_epoch, SSLCV_I64),
                                     NUMBER("composition", composition_id, SSLCV_I64),
                                     NUMBER("schedules", schedules_id, SSLCV_I64)};
#undef NUMBER
enum { NUM_NUMBERS = sizeof numbers / sizeof numbers[0], NUMBER_BYTES = 8 };

int64_t sslcv__fingerprint(int64_t before, const void *bytes, size_t size)
{
    uint64_t hash = before ? (uint64_t)before : UINT64_C(14695981039346656037);
    size_t i;

    for (i = 0; i < size; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(1099511628211);
    return (int64_t)hash;
}

static int64_t schedules_fingerprint(const sslcv_trainer *trainer)
{
    const int64_t length[3] = {trainer->options.epochs, trainer->options.steps_per_epoch, trainer->options.ema_when};
    int64_t hash = sslcv__fingerprint(0, length, sizeof length);

    hash = sslcv__fingerprint(hash, &trainer->learning_rate, sizeof trainer->learning_rate);
    hash = sslcv__fingerprint(hash, &trainer->weight_decay, sizeof trainer->weight_decay);
    return sslcv__fingerprint(hash, &trainer->ema_momentum, sizeof trainer->ema_momentum);
}

sslcv_status sslcv__trainer_init_own(sslcv_trainer *trainer)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < NUM_NUMBERS && status == SSLCV_OK; i++) {
        status = sslcv__variables_add(&trainer->own, numbers[i].name, numbers[i].dtype, SSLCV_ROLE_BUFFER, 0, NULL,
                                      NULL, NULL);
    }
    return status;
}

/* ---- around reading and writing ---- */

/* NULL: there is none. */
static sslcv_status call_part(const sslcv_state *state, int write)
{
    sslcv_status (*function)(sslcv__object * owner) = NULL;

    if (state) function = write ? state->after_write : state->before_read;
    return function ? function(state->owner) : SSLCV_OK;
}

/* The windows that this one is made of have such functions too. */
static sslcv_status call_parts(const sslcv_trainer *trainer, int write)
{
    const sslcv__parts *const all[] = {&trainer->backbones, &trainer->heads, &trainer->losses};
    sslcv_status status = call_part(trainer->optimizer_state, write);
    int64_t i, k;

    for (k = 0; k < 3; k++) {
        for (i = 0; i < all[k]->count && status == SSLCV_OK; i++) {
            status = call_part(all[k]->items[i].state, write);
            if (status == SSLCV_OK) status = call_part(all[k]->items[i].copy_state, write);
        }
    }
    return status;
}

static sslcv_status before_read(sslcv__object *owner)
{
    sslcv_trainer *trainer = (sslcv_trainer *)owner;
    int64_t i;

    trainer->schedules_id = schedules_fingerprint(trainer);
    for (i = 0; i < NUM_NUMBERS; i++) {
        memcpy(trainer->own.items[i]->value, (const char *)trainer + numbers[i].offset, NUMBER_BYTES);
    }
    return call_parts(trainer, 0);
}

/* They are counted on, so nothing near the largest number will do. */
static int is_count(int64_t number)
{
    return number >= 0 && number <= (int64_t)1 << 53;
}

/* What was written may belong to another run. read: a trainer of which only the numbers above are set. */
static sslcv_status check_numbers(const sslcv_trainer *trainer, const sslcv_trainer *read)
{
    if (read->composition_id != trainer->composition_id) {
        return sslcv__invalid("the checkpoint is of a trainer composed otherwise; this one is: %s",
                              trainer->composition);
    }
    if (!is_count(read->step) || !is_count(read->epoch) || !is_count(read->index) || !is_count(read->epoch_losses) ||
        read->options.seed == 0) {
        return sslcv__fail(SSLCV_ERR_FORMAT,
                           "the checkpoint stands at step %lld, epoch %lld, batch %lld, with %lld losses; all must be "
                           "0 .. 2^53, and its seed not 0",
                           (long long)read->step, (long long)read->epoch, (long long)read->index,
                           (long long)read->epoch_losses);
    }
    if (read->schedules_id != trainer->schedules_id) {
        sslcv__log(trainer->object.context, SSLCV_LOG_WARNING,
                   "the checkpoint was made with other schedules or epochs; the run goes on with those given now");
    }
    return SSLCV_OK;
}

static sslcv_status after_write(sslcv__object *owner)
{
    sslcv_trainer *trainer = (sslcv_trainer *)owner;
    const uint64_t seed = trainer->options.seed;
    sslcv_trainer read = {0};
    sslcv_status status;
    int64_t i;

    if (trainer->inside) return sslcv__fail(SSLCV_ERR_STATE, "a hook must not load its trainer");
    for (i = 0; i < NUM_NUMBERS; i++) {
        memcpy((char *)&read + numbers[i].offset, trainer->own.items[i]->value, NUMBER_BYTES);
    }
    status = check_numbers(trainer, &read);
    if (status == SSLCV_OK) status = call_parts(trainer, 1);
    if (status != SSLCV_OK) return status;
    for (i = 0; i < NUM_NUMBERS; i++) {
        memcpy((char *)trainer + numbers[i].offset, trainer->own.items[i]->value, NUMBER_BYTES);
    }
    if (trainer->options.seed != seed) {
        sslcv__release(trainer->loader);
        trainer->loader = NULL;
    }
    sslcv__trainer_give_labels(trainer);
    /* Where an epoch begins, losses are told so, also of one that this process has begun before. */
    for (i = 0; i < trainer->losses.count; i++) ((sslcv_loss *)trainer->losses.items[i].handle)->epoch = -1;
    trainer->epoch_begun = trainer->index > 0;
    trainer->epoch_steps = 0;
    trainer->resumed = 1;
    return SSLCV_OK;
}

/* ---- the window ---- */

/* Names "backbone.0.": parts of one kind in the order of their first use; or the copies of those that have one. */
static sslcv_status append_parts(sslcv_state *window, const char *kind, const sslcv__parts *parts, int copies)
{
    char prefix[48], key[96];
    sslcv_status status = SSLCV_OK;
    int64_t i, k;

    for (i = 0; i < parts->count; i++) {
        const sslcv_state *state = copies ? parts->items[i].copy_state : parts->items[i].state;

        if (!state) continue;
        snprintf(prefix, sizeof prefix, "%s.%lld.", kind, (long long)i);
        SSLCV__TRY(sslcv__state_append_state(window, prefix, state));
        for (k = 0; k < state->num_metadata; k++) {
            if (snprintf(key, sizeof key, "%s%s", prefix, state->metadata[2 * k]) >= (int)sizeof key) continue;
            SSLCV__TRY(sslcv__state_add_metadata(window, key, state->metadata[2 * k + 1]));
        }
    }
end:
    return status;
}

static sslcv_status append_kept(sslcv_state *window, const char *kind, const sslcv__parts *parts)
{
    char prefix[48];
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < parts->count && status == SSLCV_OK; i++) {
        snprintf(prefix, sizeof prefix, "%s.%lld.", kind, (long long)i);
        status = sslcv__state_append_state(window, prefix, parts->items[i].kept);
    }
    return status;
}

sslcv_status sslcv_trainer_get_state(sslcv_trainer *trainer, sslcv_state **out)
{
    sslcv_state *window = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(trainer, SSLCV__TRAINER, "trainer"));
    if (!out) return sslcv__null("state");
    SSLCV__TRY(sslcv__trainer_fix(trainer));
    SSLCV__TRY(sslcv__state_create(trainer->object.context, &trainer->object, &window));
    SSLCV__TRY(append_parts(window, "backbone", &trainer->backbones, 0));
    SSLCV__TRY(append_parts(window, "head", &trainer->heads, 0));
    SSLCV__TRY(append_parts(window, "momentum.backbone", &trainer->backbones, 1));
    SSLCV__TRY(append_parts(window, "momentum.head", &trainer->heads, 1));
    if (trainer->best.numbers) {
        SSLCV__TRY(sslcv__state_append_state(window, "best.", trainer->best.numbers));
        SSLCV__TRY(append_kept(window, "best.backbone", &trainer->backbones));
        SSLCV__TRY(append_kept(window, "best.head", &trainer->heads));
    }
    SSLCV__TRY(append_parts(window, "loss", &trainer->losses, 0));
    SSLCV__TRY(sslcv__state_append_state(window, "optimizer.", trainer->optimizer_state));
    SSLCV__TRY(sslcv__state_append(window, "trainer.", &trainer->own));
    SSLCV__TRY(sslcv__state_add_metadata(window, "sslcv.composition", trainer->composition));
    window->before_read = before_read;
    window->after_write = after_write;
    window->strict = 1;
    *out = window;
    window = NULL;
end:
    sslcv__release(window);
    return status;
}
