/*
 * Momentum copies of networks (He et al. 2020, eq. 2): after each move
 *
 *     copy <- m * copy + (1 - m) * network        parameters
 *
 * Running statistics are the copy's own, from its own passes in training mode; where it has none, they are the
 * network's as they stand.
 *
 *     BEFORE_FORWARD   save -> move -> branches -> losses -> backward -> optimizer     the weights before this update
 *     AFTER_STEP       save -> branches -> losses -> backward -> optimizer -> move     the new weights
 *
 * Copies are the trainer's own: until the host asks for one, it is without memory for gradients.
 */
#include "train/trainer.h"

#include "core/memory.h"
#include "core/rng.h"
#include "model/backbone.h"
#include "model/head.h"

#include <sslcv/state.h>

/* ---- made ---- */

/* Another seed than the network's, and than that of any of its tensors. */
static uint64_t other_seed(uint64_t seed)
{
    return sslcv__rng_derive(seed, UINT64_MAX, SSLCV__STREAM_WEIGHTS);
}

static sslcv_status copy_backbone(const sslcv_backbone *backbone, int32_t redrawn, sslcv_backbone **copy)
{
    sslcv_backbone_options options = backbone->options;
    sslcv_backbone *made = NULL;
    sslcv_status status;

    if (!redrawn) return sslcv_backbone_clone(backbone, copy);
    options.seed = other_seed(options.seed);
    SSLCV__TRY(sslcv_backbone_create(backbone->object.context, &options, &made));
    SSLCV__TRY(sslcv_backbone_freeze(made, backbone->net.frozen_stages)); /* their batch norms rest */
    *copy = made;
    made = NULL;
end:
    sslcv__release(made);
    return status;
}

/* No head keeps its seed: two heads of one shape must differ, so their place in the composition tells. */
static sslcv_status copy_head(const sslcv_trainer *trainer, const sslcv__part *part, sslcv_head **copy)
{
    const uint64_t place = (uint64_t)(part - trainer->heads.items);
    sslcv_head *made = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv_head_clone(part->handle, &made));
    if (trainer->options.ema_random_init) {
        SSLCV__TRY(sslcv_head_reset(made, sslcv__rng_derive(trainer->options.seed, place, SSLCV__STREAM_WEIGHTS) | 1));
    }
    *copy = made;
    made = NULL;
end:
    sslcv__release(made);
    return status;
}

static void drop_gradients(sslcv_context *context, const sslcv_state *copy)
{
    int64_t i;

    for (i = 0; i < copy->count; i++) sslcv__variable_drop_gradient(context, copy->items[i].variable);
}

sslcv_status sslcv__copy_complete(sslcv_state *copy)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < copy->count && status == SSLCV_OK; i++) {
        status = sslcv__variable_make_gradient(copy->object.context, copy->items[i].variable);
    }
    return status;
}

static sslcv_status make_copy(sslcv_trainer *trainer, int is_backbone, sslcv__part *part)
{
    sslcv_backbone *backbone;
    sslcv_head *head;
    sslcv_status status;

    if (is_backbone) {
        SSLCV__TRY(copy_backbone(part->handle, trainer->options.ema_random_init, &backbone));
        part->copy = backbone;
        SSLCV__TRY(sslcv_backbone_get_state(backbone, &part->copy_state));
    } else {
        SSLCV__TRY(copy_head(trainer, part, &head));
        part->copy = head;
        SSLCV__TRY(sslcv_head_get_state(head, &part->copy_state));
    }
    drop_gradients(trainer->object.context, part->copy_state);
end:
    return status;
}

/* What the passes of a link run through. */
static void choose_network(const sslcv_trainer *trainer, const sslcv__branch *branch, sslcv__link *link)
{
    void *network = link->backbone ? (void *)link->backbone : (void *)link->head;

    if (branch->momentum) {
        network = sslcv__find_part(link->backbone ? &trainer->backbones : &trainer->heads, network)->copy;
    }
    link->runs = network; /* every handle begins with its object */
}

sslcv_status sslcv__trainer_make_copies(sslcv_trainer *trainer)
{
    sslcv_status status = SSLCV_OK;
    int64_t i, k;

    for (i = 0; i < trainer->backbones.count; i++) {
        if (trainer->backbones.items[i].copied) SSLCV__TRY(make_copy(trainer, 1, &trainer->backbones.items[i]));
    }
    for (i = 0; i < trainer->heads.count; i++) {
        if (trainer->heads.items[i].copied) SSLCV__TRY(make_copy(trainer, 0, &trainer->heads.items[i]));
    }
    for (i = 0; i < trainer->num_branches; i++) {
        sslcv__branch *branch = &trainer->branches[i];

        for (k = 0; k < branch->num_links; k++) choose_network(trainer, branch, &branch->links[k]);
    }
end:
    return status;
}

/* ---- moved ---- */

int sslcv__trainer_has_copies(const sslcv_trainer *trainer)
{
    int64_t i;

    for (i = 0; i < trainer->num_branches; i++) {
        if (trainer->branches[i].momentum) return 1;
    }
    return 0;
}

sslcv_status sslcv__trainer_ema_momentum(const sslcv_trainer *trainer, double *momentum)
{
    const int64_t epoch_steps = sslcv__trainer_epoch_steps(trainer);

    return sslcv_schedule_value(&trainer->ema_momentum, trainer->epoch * epoch_steps + trainer->index, epoch_steps,
                                trainer->options.epochs, momentum);
}

static sslcv_status move_copy(const sslcv__part *part, double momentum)
{
    sslcv_status status = sslcv_state_lerp(part->copy_state, part->state, momentum, SSLCV_ROLE_PARAMETERS);

    if (status == SSLCV_OK && !part->copy_trains) {
        status = sslcv_state_lerp(part->copy_state, part->state, 0.0, SSLCV_ROLE_BUFFER);
    }
    return status;
}

sslcv_status sslcv__trainer_move_copies(sslcv_trainer *trainer, double momentum)
{
    const sslcv__parts *const networks[] = {&trainer->backbones, &trainer->heads};
    sslcv_status status = SSLCV_OK;
    int64_t i, k;

    if (trainer->ema_step == trainer->step || !sslcv__trainer_has_copies(trainer)) return SSLCV_OK;
    for (k = 0; k < 2; k++) {
        for (i = 0; i < networks[k]->count; i++) {
            if (networks[k]->items[i].copy) SSLCV__TRY(move_copy(&networks[k]->items[i], momentum));
        }
    }
    trainer->ema_step = trainer->step;
end:
    return status;
}
