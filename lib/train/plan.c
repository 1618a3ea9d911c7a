/* What is fixed with the composition. */
#include "train/trainer.h"

#include "core/memory.h"
#include "model/backbone.h"
#include "model/head.h"
#include "optim/optimizer.h"

#include <stdlib.h>
#include <string.h>

/* A branch is run when a loss, or a branch that is run, needs its output. */
static void mark_used(sslcv_trainer *trainer)
{
    int64_t i, k;

    for (i = 0; i < trainer->num_branches; i++) trainer->branches[i].used = 0;
    for (i = 0; i < trainer->num_criteria; i++) {
        for (k = 0; k < trainer->criteria[i].num_inputs; k++) {
            trainer->branches[trainer->criteria[i].branches[k]].used = 1;
        }
    }
    for (i = trainer->num_branches - 1; i >= 0; i--) {
        const sslcv__branch *branch = &trainer->branches[i];

        if (branch->used && branch->source >= 0) trainer->branches[branch->source].used = 1;
    }
}

static int may_learn(const sslcv__branch *branch)
{
    return (branch->flags & SSLCV_PASS_GRADIENT) && !branch->momentum;
}

/* Gradients come from losses, and through branches that learn to their sources. */
static sslcv_status mark_learning(sslcv_trainer *trainer)
{
    sslcv_loss_info info;
    sslcv_status status = SSLCV_OK;
    int64_t i, k;

    for (i = 0; i < trainer->num_branches; i++) trainer->branches[i].learns = 0;
    info.struct_size = sizeof info;
    for (i = 0; i < trainer->num_criteria; i++) {
        const sslcv__criterion *criterion = &trainer->criteria[i];

        SSLCV__TRY(sslcv_loss_get_info(criterion->loss, &info));
        for (k = 0; k < criterion->num_inputs; k++) {
            sslcv__branch *branch = &trainer->branches[criterion->branches[k]];

            if ((info.gradient_inputs >> k & 1) && may_learn(branch)) branch->learns = 1;
        }
    }
    for (i = trainer->num_branches - 1; i >= 0; i--) {
        const sslcv__branch *branch = &trainer->branches[i];

        if (branch->learns && branch->source >= 0 && !branch->detach && may_learn(&trainer->branches[branch->source])) {
            trainer->branches[branch->source].learns = 1;
        }
    }
end:
    return status;
}

/* With gradient caching only these outputs are put together from their slices. */
static void mark_kept(sslcv_trainer *trainer)
{
    int64_t i, k;

    for (i = 0; i < trainer->num_branches; i++) trainer->branches[i].keeps = 0;
    for (i = 0; i < trainer->num_criteria; i++) {
        for (k = 0; k < trainer->criteria[i].num_inputs; k++) {
            trainer->branches[trainer->criteria[i].branches[k]].keeps = 1;
        }
    }
    for (i = 0; i < trainer->num_branches; i++) {
        const sslcv__branch *branch = &trainer->branches[i];

        if (branch->used && branch->learns && branch->source >= 0 && !trainer->branches[branch->source].learns) {
            trainer->branches[branch->source].keeps = 1;
        }
    }
}

/* ---- the optimizer ---- */

static int is_held(const sslcv_optimizer *optimizer, const sslcv__variable *variable)
{
    int64_t i;

    for (i = 0; i < optimizer->num_tensors; i++) {
        if (optimizer->tensors[i].variable == variable) return 1;
    }
    return 0;
}

static int has_rest(const sslcv_optimizer *optimizer, const sslcv_state *state)
{
    int64_t i;

    for (i = 0; i < state->count; i++) {
        const sslcv__variable *v = state->items[i].variable;

        if (v->gradient && !is_held(optimizer, v)) return 1;
    }
    return 0;
}

/* Tensors that a group of the host's holds already stay there. */
static sslcv_status fill_optimizer(sslcv_trainer *trainer)
{
    const sslcv__parts *const all[] = {&trainer->backbones, &trainer->heads, &trainer->losses};
    sslcv_status status = SSLCV_OK;
    int64_t i, k;

    for (k = 0; k < 3; k++) {
        for (i = 0; i < all[k]->count; i++) {
            const sslcv__part *part = &all[k]->items[i];

            if (!part->learns || !has_rest(trainer->options.optimizer, part->state)) continue;
            SSLCV__TRY(sslcv__optimizer_add_rest(trainer->options.optimizer, part->state));
        }
    }
    SSLCV__TRY(sslcv_optimizer_get_state(trainer->options.optimizer, &trainer->optimizer_state));
end:
    return status;
}

/* ---- what a failed step must restore ---- */

typedef enum statistics_action { MEASURE, SAVE, RESTORE } statistics_action;

/* Those of one network, saved behind offset. Returns where the next ones begin. */
static int64_t visit_network(const sslcv_state *state, char *saved, int64_t offset, statistics_action action)
{
    int64_t i;

    for (i = 0; i < state->count; i++) {
        sslcv__variable *v = state->items[i].variable;

        if (v->role != SSLCV_ROLE_BUFFER) continue;
        if (action == SAVE) memcpy(saved + offset, v->value, (size_t)v->stored_bytes);
        if (action == RESTORE) {
            memcpy(v->value, saved + offset, (size_t)v->stored_bytes);
            sslcv__variable_changed(v);
        }
        offset += v->stored_bytes;
    }
    return offset;
}

/* Running statistics of all networks and copies that train, one after the other. Returns their bytes. */
static int64_t visit_statistics(const sslcv_trainer *trainer, statistics_action action)
{
    const sslcv__parts *const networks[] = {&trainer->backbones, &trainer->heads};
    int64_t i, k, offset = 0;

    for (k = 0; k < 2; k++) {
        for (i = 0; i < networks[k]->count; i++) {
            const sslcv__part *part = &networks[k]->items[i];

            if (part->trains) offset = visit_network(part->state, trainer->statistics, offset, action);
            if (part->copy_trains) offset = visit_network(part->copy_state, trainer->statistics, offset, action);
        }
    }
    return offset;
}

void sslcv__trainer_save_statistics(sslcv_trainer *trainer)
{
    visit_statistics(trainer, SAVE);
}

void sslcv__trainer_undo_step(sslcv_trainer *trainer)
{
    const sslcv__parts *const all[] = {&trainer->backbones, &trainer->heads, &trainer->losses};
    int64_t i, k, n;

    visit_statistics(trainer, RESTORE);
    for (k = 0; k < 3; k++) {
        for (i = 0; i < all[k]->count; i++) {
            const sslcv_state *state = all[k]->items[i].state;

            for (n = 0; n < state->count; n++) state->items[n].variable->has_gradient = 0;
        }
    }
}

/* ---- views ---- */

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* The view indices that used branches read, ascending, each once. */
static sslcv_status choose_views(sslcv_trainer *trainer)
{
    int64_t i, k, count = 0, unique = 0;
    sslcv_status status;

    for (i = 0; i < trainer->num_branches; i++) {
        if (trainer->branches[i].used && trainer->branches[i].source < 0) count += trainer->branches[i].num_views;
    }
    status = sslcv__alloc_array(trainer->object.context, count, sizeof(int64_t), (void **)&trainer->chosen);
    if (status != SSLCV_OK) return status;
    count = 0;
    for (i = 0; i < trainer->num_branches; i++) {
        const sslcv__branch *branch = &trainer->branches[i];

        if (!branch->used || branch->source >= 0) continue;
        for (k = 0; k < branch->num_views; k++) trainer->chosen[count++] = branch->views[k];
    }
    qsort(trainer->chosen, (size_t)count, sizeof(int64_t), compare);
    for (i = 0; i < count; i++) {
        if (i == 0 || trainer->chosen[i] != trainer->chosen[i - 1]) trainer->chosen[unique++] = trainer->chosen[i];
    }
    trainer->num_chosen = unique;
    trainer->num_views = trainer->chosen[unique - 1] + 1;
    return sslcv__alloc_array(trainer->object.context, unique, sizeof *trainer->view_shapes,
                              (void **)&trainer->view_shapes);
}

/* ---- all of it ---- */

static sslcv_status write_composition(sslcv_trainer *trainer)
{
    sslcv__text text = {0};
    sslcv_status status;

    sslcv__trainer_write_composition(trainer, &text);
    status = sslcv__alloc(trainer->object.context, text.needed + 1, (void **)&trainer->composition);
    if (status != SSLCV_OK) return status;
    text.text = trainer->composition;
    text.size = text.needed + 1;
    text.needed = 0;
    sslcv__trainer_write_composition(trainer, &text);
    trainer->composition_id = sslcv__fingerprint(0, trainer->composition, (size_t)text.needed);
    return SSLCV_OK;
}

sslcv_status sslcv__trainer_fix(sslcv_trainer *trainer)
{
    sslcv_optimizer *optimizer = trainer->options.optimizer;
    const int64_t num_groups = optimizer->num_groups;
    sslcv_status status;
    int64_t i;

    if (trainer->fixed) return SSLCV_OK;
    if (trainer->num_criteria == 0) return sslcv__fail(SSLCV_ERR_STATE, "the trainer has no loss yet");
    mark_used(trainer);
    SSLCV__TRY(mark_learning(trainer));
    mark_kept(trainer);
    SSLCV__TRY(sslcv__trainer_collect_parts(trainer));
    SSLCV__TRY(sslcv__trainer_fix_best(trainer));
    SSLCV__TRY(fill_optimizer(trainer));
    SSLCV__TRY(choose_views(trainer));
    trainer->statistics_bytes = visit_statistics(trainer, MEASURE);
    SSLCV__TRY(sslcv__alloc(trainer->object.context, trainer->statistics_bytes, &trainer->statistics));
    SSLCV__TRY(write_composition(trainer));
    SSLCV__TRY(sslcv__trainer_fix_labels(trainer));
    for (i = 0; i < trainer->backbones.count; i++) {
        sslcv_backbone *copy = trainer->backbones.items[i].copy;

        ((sslcv_backbone *)trainer->backbones.items[i].handle)->fixed = 1;
        if (copy) copy->fixed = 1;
    }
    trainer->fixed = 1;
end:
    if (status != SSLCV_OK) {
        sslcv__trainer_unfix(trainer);
        sslcv__optimizer_cut(optimizer, num_groups); /* so that the host may still group these tensors otherwise */
    }
    return status;
}

void sslcv__trainer_unfix(sslcv_trainer *trainer)
{
    sslcv_context *context = trainer->object.context;

    sslcv__trainer_free_parts(trainer);
    sslcv__trainer_unfix_best(trainer);
    sslcv__release(trainer->optimizer_state);
    trainer->optimizer_state = NULL;
    sslcv__free(context, trainer->chosen);
    trainer->chosen = NULL;
    sslcv__free(context, trainer->view_shapes);
    trainer->view_shapes = NULL;
    sslcv__free(context, trainer->statistics);
    trainer->statistics = NULL;
    sslcv__free(context, trainer->composition);
    trainer->composition = NULL;
    trainer->fixed = 0;
}
