/*
 * What is done so that a step fits its budget: the first of these that does
 *
 *     the batch in one pass:  nothing -> norms again -> the stage that saves most again, and the next ...
 *     half of it a pass:      nothing -> norms again -> stages again ...
 *     a quarter ...
 *
 * Stages come before smaller passes: computing all of them again costs as much as part of the second round, changes no
 * bit, and leaves batch norm what it saw. Besides, each pass handles all weights, so that small ones are slow.
 */
#include "train/trainer.h"

#include "augment/augmenter.h"
#include "core/context.h"
#include "core/options.h"
#include "data/dataset.h"
#include "model/backbone.h"
#include "nn/plan.h"

#include <string.h>

/* ---- the search ---- */

/** The search for a choice. */
typedef struct search {
    sslcv_trainer *trainer;
    int64_t budget;
    int64_t least;        /* of all tried */
    sslcv__choice choice; /* the last tried */
    sslcv_memory memory;
} search;

/* Does this choice fit? Where a slice is too small for batch norm, the answer is no. */
static sslcv_status try_choice(search *s, int64_t micro_batch, int32_t recompute, int *fits)
{
    char message[1024];
    sslcv_status status;

    s->choice.micro_batch = micro_batch;
    s->choice.recompute = recompute;
    sslcv_last_error_copy(message, sizeof message);
    status = sslcv__trainer_foretell_memory(s->trainer, &s->choice, &s->memory);
    *fits = status == SSLCV_OK && s->memory.total <= s->budget;
    if (status == SSLCV_OK && s->memory.total < s->least) s->least = s->memory.total;
    if (status != SSLCV_ERR_LIMIT || micro_batch == s->trainer->options.micro_batch) return status;
    sslcv__fail(SSLCV_OK, "%s", message); /* the message of the last failure stays */
    return SSLCV_OK;
}

static int32_t most_stages(const sslcv_trainer *trainer)
{
    int32_t most = 0;
    int64_t i;

    for (i = 0; i < trainer->backbones.count; i++) {
        const sslcv_backbone *backbone = trainer->backbones.items[i].handle;

        if (backbone->num_stages > most) most = backbone->num_stages;
    }
    return most;
}

/* One stage more, and another, those that save most by themselves first. */
static sslcv_status try_stages(search *s, int64_t micro_batch, int *fits)
{
    const int32_t stages = most_stages(s->trainer);
    int64_t totals[SSLCV__MAX_STAGES];
    int32_t i, k, best, mask = SSLCV__RECOMPUTE_NORMS;
    sslcv_status status = SSLCV_OK;
    int alone;

    for (i = 0; i < stages; i++) {
        SSLCV__TRY(try_choice(s, micro_batch, SSLCV__RECOMPUTE_NORMS | SSLCV__RECOMPUTE_STAGE << i, &alone));
        totals[i] = s->memory.total;
    }
    for (k = 0; k < stages && !*fits; k++) {
        best = 0;
        for (i = 1; i < stages; i++) {
            if (totals[i] < totals[best]) best = i;
        }
        totals[best] = INT64_MAX;
        mask |= SSLCV__RECOMPUTE_STAGE << best;
        SSLCV__TRY(try_choice(s, micro_batch, mask, fits));
    }
end:
    return status;
}

static sslcv_status search_choice(search *s)
{
    const sslcv_trainer *trainer = s->trainer;
    int64_t micro_batch = trainer->options.micro_batch;
    sslcv_status status;
    int fits;

    do {
        SSLCV__TRY(try_choice(s, micro_batch, SSLCV__RECOMPUTE_NORMS, &fits));
        if (!fits) SSLCV__TRY(try_stages(s, micro_batch, &fits));
        if (!fits) micro_batch = (micro_batch ? micro_batch : trainer->batch) / 2;
    } while (!fits && trainer->options.micro_batch == 0 && micro_batch > 0);
    if (!fits) {
        status = sslcv__fail(SSLCV_ERR_LIMIT,
                             "trainer.memory_budget is %lld bytes; the least that a step of %lld images can do with is "
                             "%lld",
                             (long long)s->budget, (long long)trainer->batch, (long long)s->least);
    }
end:
    return status;
}

/* Do the batch norms of a network that trains see what they are shown, rather than running statistics? */
static int has_live_norms(const sslcv__net *net)
{
    int32_t i;

    for (i = 0; i < net->num_nodes; i++) {
        if (net->nodes[i].kind == SSLCV__NODE_BATCH_NORM && net->nodes[i].stage >= net->frozen_stages) return 1;
    }
    return 0;
}

static int cuts_norms(const sslcv_trainer *trainer)
{
    int64_t i, k;

    for (i = 0; i < trainer->num_branches; i++) {
        const sslcv__branch *branch = &trainer->branches[i];

        for (k = 0; branch->used && (branch->flags & SSLCV_PASS_TRAIN) && k < branch->num_links; k++) {
            if (has_live_norms(sslcv__link_how(branch, &branch->links[k], &trainer->choice, SSLCV__PHASE_WHOLE).net)) {
                return 1;
            }
        }
    }
    return 0;
}

static void log_choice(const sslcv_trainer *trainer)
{
    const int cached = sslcv__num_slices(trainer->batch, trainer->choice.micro_batch) > 1;
    const int warns = cached && cuts_norms(trainer);
    char buffer[512] = "";
    sslcv__text text = {buffer, sizeof buffer, 0};

    if (trainer->options.memory_budget > 0) {
        sslcv__text_add(&text, "memory: %lld bytes of %lld", (long long)trainer->memory.total,
                        (long long)trainer->options.memory_budget);
    } else if (cached) {
        sslcv__text_add(&text, "memory: no budget");
    } else {
        return;
    }
    sslcv__trainer_write_choice(trainer, &text);
    if (warns) sslcv__text_add(&text, "; batch norms see as many, not the batch");
    sslcv__log(trainer->object.context, warns ? SSLCV_LOG_WARNING : SSLCV_LOG_INFO, "%s", buffer);
}

/* For trainer->batch samples of trainer->view_shapes. measure: also without a budget. */
static sslcv_status choose(sslcv_trainer *trainer, int measure)
{
    search s = {.trainer = trainer, .budget = trainer->options.memory_budget, .least = INT64_MAX};
    const sslcv__choice before = trainer->choice;
    const int had_choice = trainer->has_choice;
    sslcv_status status = SSLCV_OK;
    int is_same;
    int64_t i;

    s.choice.micro_batch = trainer->options.micro_batch;
    s.choice.recompute = SSLCV__RECOMPUTE_NORMS; /* always: 2 to 3 % of a step for a third of its memory */
    trainer->has_choice = trainer->is_foretold = 0;
    if (s.budget > 0) {
        SSLCV__TRY(search_choice(&s));
    } else if (measure) {
        SSLCV__TRY(sslcv__trainer_foretell_memory(trainer, &s.choice, &s.memory));
    }
    trainer->choice = s.choice;
    trainer->memory = s.memory;
    trainer->is_foretold = s.budget > 0 || measure;
    trainer->has_choice = 1;
    is_same = had_choice && memcmp(&before, &s.choice, sizeof before) == 0;
    if (is_same && s.budget == 0) return SSLCV_OK;
    /* Tapes that have grown for other shapes or another choice would stay as large. */
    for (i = 0; i < trainer->num_branches; i++) sslcv__branch_empty(trainer->object.context, &trainer->branches[i]);
    if (!is_same) log_choice(trainer);
end:
    return status;
}

sslcv_status sslcv__trainer_ready_memory(sslcv_trainer *trainer, const sslcv__feed *feed)
{
    int changed;
    const sslcv_status status = sslcv__feed_shapes(trainer, feed, &changed);

    if (status != SSLCV_OK) return status;
    if (trainer->has_choice && feed->size <= trainer->batch && (!changed || trainer->options.memory_budget == 0)) {
        return SSLCV_OK;
    }
    trainer->batch = feed->size;
    return choose(trainer, 0);
}

/* ---- asked for ---- */

/* Shapes of the views before there are any. */
static sslcv_status foretell_shapes(sslcv_trainer *trainer)
{
    int64_t image[3], shape[4], i;
    sslcv_status status = SSLCV_OK;

    if (!trainer->options.dataset) {
        return sslcv__fail(SSLCV_ERR_STATE, "without a data set, memory is known after the first step");
    }
    sslcv__dataset_shape(trainer->options.dataset, image);
    for (i = 0; i < trainer->num_chosen; i++) {
        status = sslcv__augmenter_view_shape(trainer->options.augmenter, trainer->chosen[i], image, shape);
        if (status != SSLCV_OK) {
            return sslcv__fail(SSLCV_ERR_STATE,
                               "the shape of view %lld is not known yet; memory is known after the first step",
                               (long long)trainer->chosen[i]);
        }
        memcpy(trainer->view_shapes[i], shape, sizeof trainer->view_shapes[i]);
    }
    return status;
}

sslcv_status sslcv_trainer_get_memory(sslcv_trainer *trainer, sslcv_memory *memory)
{
    sslcv_memory full;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(trainer, SSLCV__TRAINER, "trainer"));
    SSLCV__TRY(sslcv__struct_check("memory", memory, sizeof full));
    SSLCV__TRY(sslcv__trainer_fix(trainer));
    if (!trainer->stepped && !trainer->is_foretold) {
        SSLCV__TRY(foretell_shapes(trainer));
        SSLCV__TRY(sslcv__trainer_open_loader(trainer));
        trainer->batch = trainer->options.batch_size;
        SSLCV__TRY(choose(trainer, 1));
    }
    full = trainer->memory;
    if (trainer->stepped) sslcv__trainer_held_memory(trainer, &full);
    status = sslcv__struct_fill("memory", memory, sizeof full, &full, sizeof full);
end:
    return status;
}
