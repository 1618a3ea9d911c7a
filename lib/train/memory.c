/*
 * How much memory a step takes, foretold and held.
 *
 * Foretelling walks through the branches as a step does, with shapes in place of data: each tape by the plans that its
 * passes will make, each buffer by the size that it will grow to. What is held afterwards is the same, byte for byte.
 */
#include "train/trainer.h"

#include "core/checked.h"
#include "core/compute.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "data/loader.h"
#include "loss/loss.h"
#include "model/backbone.h"
#include "model/head.h"
#include "nn/plan.h"
#include "nn/tape.h"
#include "optim/optimizer.h"

#include <string.h>

/* Sums stop at the end of the range: what is as large fits no budget. */
static void grow(int64_t *sum, int64_t bytes)
{
    if (!sslcv__add(*sum, bytes, sum)) *sum = INT64_MAX;
}

static int64_t floats(int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int64_t axes[] = {a, b, c, d, sizeof(float)};
    int64_t bytes;

    return sslcv__product(axes, 5, &bytes) ? bytes : INT64_MAX;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- what does not depend on the choice ---- */

static void add_copy(const sslcv_state *state, sslcv_memory *memory)
{
    int64_t i;

    for (i = 0; state && i < state->count; i++) {
        const sslcv__variable *v = state->items[i].variable;

        memory->momentum_copies += v->gradient ? 2 * v->stored_bytes : v->stored_bytes;
    }
}

static void add_variables(const sslcv_state *state, sslcv_memory *memory)
{
    int64_t i;

    for (i = 0; i < state->count; i++) {
        const sslcv__variable *v = state->items[i].variable;

        memory->parameters += v->stored_bytes;
        if (v->gradient) memory->gradients += v->stored_bytes;
    }
}

static void add_fixed(const sslcv_trainer *trainer, sslcv_memory *memory)
{
    sslcv_loss_info info = {.struct_size = sizeof info};
    int64_t i;

    for (i = 0; i < trainer->backbones.count; i++) {
        add_variables(trainer->backbones.items[i].state, memory);
        add_copy(trainer->backbones.items[i].copy_state, memory);
    }
    for (i = 0; i < trainer->heads.count; i++) {
        add_variables(trainer->heads.items[i].state, memory);
        add_copy(trainer->heads.items[i].copy_state, memory);
    }
    memory->optimizer = sslcv__optimizer_bytes(trainer->options.optimizer);
    for (i = 0; i < trainer->losses.count; i++) {
        if (sslcv_loss_get_info(trainer->losses.items[i].handle, &info) == SSLCV_OK) memory->losses += info.bytes;
    }
    if (trainer->loader) memory->loader = sslcv__loader_bytes(trainer->loader);
    memory->scratch = trainer->statistics_bytes + sslcv__trainer_best_bytes(trainer);
}

static void finish(const sslcv_trainer *trainer, const sslcv__choice *choice, sslcv_memory *memory)
{
    const int64_t parts[] = {memory->parameters, memory->gradients,   memory->optimizer, memory->momentum_copies,
                             memory->losses,     memory->activations, memory->scratch,   memory->loader};
    int32_t stages = choice->recompute / SSLCV__RECOMPUTE_STAGE;
    size_t i;

    memory->struct_size = sizeof *memory;
    for (i = 0; i < sizeof parts / sizeof parts[0]; i++) grow(&memory->total, parts[i]);
    memory->micro_batch =
        sslcv__num_slices(trainer->batch, choice->micro_batch) > 1 ? choice->micro_batch : trainer->batch;
    for (; stages; stages &= stages - 1) memory->recomputed_stages++;
}

/* ---- held ---- */

static int64_t buffer_bytes(const sslcv__buffer *buffer)
{
    return buffer->capacity * (int64_t)sizeof(float);
}

static void add_tape(const sslcv_tape *tape, sslcv_memory *memory)
{
    int64_t activations, scratch;
    int i;

    sslcv__tape_memory(tape, &activations, &scratch);
    memory->activations += activations;
    memory->scratch += scratch;
    for (i = 0; i < SSLCV__TAPE_MAX_PLANS; i++) {
        if (tape->slots[i].plan) memory->activations += sslcv__plan_constant_bytes(tape->slots[i].plan);
    }
}

static void add_branch(const sslcv__branch *branch, sslcv_memory *memory)
{
    int64_t i, k;

    memory->activations += buffer_bytes(&branch->kept);
    memory->scratch += buffer_bytes(&branch->pixels) + buffer_bytes(&branch->gradient) + buffer_bytes(&branch->part);
    for (i = 0; i < branch->num_links; i++) {
        const sslcv__link *link = &branch->links[i];

        memory->activations += buffer_bytes(&link->joined);
        memory->scratch += buffer_bytes(&link->split) + buffer_bytes(&link->diff_input);
        for (k = 0; k < branch->num_views; k++) {
            if (link->passes[k].tape) add_tape(link->passes[k].tape, memory);
        }
    }
}

void sslcv__trainer_held_memory(const sslcv_trainer *trainer, sslcv_memory *memory)
{
    int64_t i, k;

    memset(memory, 0, sizeof *memory);
    add_fixed(trainer, memory);
    memory->scratch += buffer_bytes(&trainer->scratch);
    for (i = 0; i < trainer->num_branches; i++) add_branch(&trainer->branches[i], memory);
    for (i = 0; i < trainer->num_criteria; i++) {
        for (k = 0; k < trainer->criteria[i].num_inputs; k++) {
            memory->scratch += buffer_bytes(&trainer->criteria[i].own[k]);
        }
    }
    finish(trainer, &trainer->choice, memory);
}

/* ---- foretold: tapes ---- */

/** A walk through the branches. */
typedef struct walk {
    sslcv_trainer *trainer;
    const sslcv__choice *choice;
    int64_t slices;
    int64_t largest; /* samples of the first slice; the last one may have one less */
    int64_t smallest;
    sslcv_memory *memory;
} walk;

/* What a plan takes, without taking the arena. constants: added up, as each plan has its own. */
static sslcv_status measure_plan(const sslcv_trainer *trainer, const sslcv__link_run *how, const int64_t shape[4],
                                 int64_t *arena, int64_t *scratch, int64_t *constants)
{
    const int32_t flags = how->flags | (how->dry ? SSLCV__PASS_DRY : 0);
    sslcv__plan_key key;
    sslcv__plan *plan;
    sslcv__compute frame;
    sslcv_status status = sslcv__compute_begin(trainer->object.context, &frame);

    if (status != SSLCV_OK) return status;
    sslcv__plan_key_init(&key, how->net, shape, flags, how->bn_splits, how->last_node, how->recompute);
    status = sslcv__plan_create(&key, &plan);
    if (status == SSLCV_OK) {
        *arena = larger(*arena, sslcv__plan_arena_bytes(plan));
        *scratch = larger(*scratch, sslcv__plan_scratch_bytes(plan));
        grow(constants, sslcv__plan_constant_bytes(plan));
        sslcv__plan_free(plan);
    }
    sslcv__compute_end(&frame);
    return status;
}

/* The plans that a tape will hold: each phase, and both sizes of slices. shape: of one sample, its first axis rows. */
static sslcv_status measure_tape(const walk *w, const sslcv__branch *branch, const sslcv__link *link,
                                 const int64_t shape[4])
{
    static const sslcv__phase whole[] = {SSLCV__PHASE_WHOLE}, cached[] = {SSLCV__PHASE_SCAN, SSLCV__PHASE_AGAIN};
    const sslcv__phase *phases = w->slices > 1 ? cached : whole;
    const int num_phases = w->slices > 1 && branch->learns ? 2 : 1;
    int64_t arena = 0, scratch = 0, constants = 0, size, of_slice[4];
    sslcv_status status = SSLCV_OK;
    int i;

    memcpy(of_slice, shape, sizeof of_slice);
    for (i = 0; i < num_phases; i++) {
        const sslcv__link_run how = sslcv__link_how(branch, link, w->choice, phases[i]);

        for (size = w->largest; size >= w->smallest; size--) {
            if (!sslcv__multiply(shape[0], size, &of_slice[0])) {
                return sslcv__fail(SSLCV_ERR_LIMIT, "a batch of %lld images is too large", (long long)size);
            }
            SSLCV__TRY(measure_plan(w->trainer, &how, of_slice, &arena, &scratch, &constants));
        }
    }
    grow(&w->memory->activations, larger(arena - scratch, 0));
    grow(&w->memory->activations, constants);
    grow(&w->memory->scratch, scratch);
end:
    return status;
}

/* Height and width behind a node. Nodes keep their sizes but for convolutions and pooling. */
static sslcv_status size_behind(sslcv_context *context, const sslcv__net *net, int32_t last, int64_t size[2])
{
    int64_t(*sizes)[2];
    sslcv_status status = sslcv__alloc_array(context, last + 1, sizeof *sizes, (void **)&sizes);
    int32_t i;
    int k;

    if (status != SSLCV_OK) return status;
    for (i = 0; i <= last; i++) {
        const sslcv__node *node = &net->nodes[i];
        const int cuts = node->kind == SSLCV__NODE_CONVOLUTION || node->kind == SSLCV__NODE_MAX_POOL;

        for (k = 0; k < 2; k++) {
            sizes[i][k] = i == 0 ? size[k] : sizes[node->inputs[0]][k];
            if (node->flat) sizes[i][k] = 1;
            if (cuts) sizes[i][k] = sslcv__conv_out_size(sizes[i][k], node->kernel, node->stride, node->padding);
        }
    }
    memcpy(size, sizes[last], sizeof sizes[last]);
    sslcv__free(context, sizes);
    return SSLCV_OK;
}

/* ---- foretold: branches ---- */

/* Do these views of a whole batch lie one behind the other? The host's may, but need not. */
static int lie_together(const walk *w, const sslcv__branch *branch, const sslcv__train_pass *pass)
{
    const int64_t first = sslcv__view_place(w->trainer, branch->views[pass->members[0]]);
    int64_t i;

    if (!w->trainer->options.dataset || w->slices > 1) return pass->count == 1;
    for (i = 1; i < pass->count; i++) {
        if (sslcv__view_place(w->trainer, branch->views[pass->members[i]]) != first + i) return 0;
    }
    return 1;
}

/* What join() and split() copy. p, d: of the output; before: values of one sample of the input. */
static void add_copies(const walk *w, const sslcv__branch *branch, const sslcv__link *link, int64_t p, int64_t d,
                       int64_t before, int is_first)
{
    const sslcv__branch *source = branch->source >= 0 && !branch->detach ? &w->trainer->branches[branch->source] : NULL;
    const int is_map = link->backbone && (branch->flags & SSLCV_PASS_MAP);
    int64_t most = 0, i;

    if (link->num_passes > 1 || is_map) {
        grow(&w->memory->activations, floats(branch->num_views, w->largest, p, d));
    }
    if (!branch->learns) return;
    for (i = 0; i < link->num_passes; i++) {
        const sslcv__train_pass *pass = &link->passes[i];
        const int together = pass->members[pass->count - 1] - pass->members[0] == pass->count - 1;

        if (!together || is_map) most = larger(most, floats(pass->count, w->largest, p, d));
    }
    grow(&w->memory->scratch, most);
    if (link->num_passes > 1 && (!is_first || (source && source->learns))) {
        grow(&w->memory->scratch, floats(branch->num_views, w->largest, before, 1));
    }
}

static sslcv_status walk_backbone(const walk *w, const sslcv__branch *branch, sslcv__link *link, int64_t *p, int64_t *d)
{
    const sslcv__link_run how = sslcv__link_how(branch, link, w->choice, SSLCV__PHASE_WHOLE);
    int64_t pixels = 0, i;
    sslcv_status status = SSLCV_OK;

    sslcv__link_group(w->trainer, branch, link);
    *d = how.net->nodes[how.last_node].channels;
    for (i = link->num_passes - 1; i >= 0; i--) { /* the first is left in p */
        const sslcv__train_pass *pass = &link->passes[i];
        const int64_t *view = w->trainer->view_shapes[sslcv__view_place(w->trainer, branch->views[pass->members[0]])];
        int64_t shape[4] = {0, view[1], view[2], view[3]}, size[2] = {view[2], view[3]};

        if (!sslcv__multiply(pass->count, view[0], &shape[0])) shape[0] = INT64_MAX;
        if (view[1] != link->backbone->options.channels) {
            return sslcv__invalid("view %lld has %lld channels; the backbone takes %lld",
                                  (long long)branch->views[pass->members[0]], (long long)view[1],
                                  (long long)link->backbone->options.channels);
        }
        SSLCV__TRY(measure_tape(w, branch, link, shape));
        if (!lie_together(w, branch, pass)) {
            pixels = larger(pixels, floats(floats(shape[0], view[1], view[2], view[3]) / 4, w->largest, 1, 1));
        }
        if (branch->flags & SSLCV_PASS_MAP) {
            SSLCV__TRY(size_behind(w->trainer->object.context, how.net, how.last_node, size));
        } else {
            size[0] = size[1] = 1;
        }
        if (!sslcv__multiply(view[0], size[0] * size[1], p)) *p = INT64_MAX;
    }
    grow(&w->memory->scratch, pixels);
    add_copies(w, branch, link, *p, *d, 0, 1);
end:
    return status;
}

static sslcv_status walk_head(const walk *w, const sslcv__branch *branch, sslcv__link *link, int64_t *p, int64_t *d)
{
    const int64_t patches = *p, before = *d;
    int64_t i;
    sslcv_status status = SSLCV_OK;

    SSLCV__TRY(sslcv__head_check_axes(link->head, patches, before));
    sslcv__link_group(w->trainer, branch, link);
    for (i = 0; i < link->num_passes; i++) {
        int64_t shape[4] = {0, before, patches, 1};

        if (!sslcv__multiply(link->passes[i].count, patches, &shape[0])) shape[0] = INT64_MAX;
        SSLCV__TRY(measure_tape(w, branch, link, shape));
    }
    *d = link->head->out_dim;
    if (link->head->out_patches) *p = link->head->out_patches;
    add_copies(w, branch, link, *p, *d, floats(patches, before, 1, 1) / 4, link == branch->links);
end:
    return status;
}

/* P and D of a branch without backbone, and what lays its views side by side. */
static void walk_pixels(const walk *w, const sslcv__branch *branch, int64_t *p, int64_t *d)
{
    const int64_t *view = w->trainer->view_shapes[sslcv__view_place(w->trainer, branch->views[0])];
    sslcv__train_pass *pass = &branch->links[0].passes[0];
    int64_t v;

    *p = view[0];
    *d = floats(view[1], view[2], view[3], 1) / 4;
    for (v = 0; v < branch->num_views; v++) pass->members[v] = v;
    pass->count = branch->num_views;
    if (!lie_together(w, branch, pass)) grow(&w->memory->scratch, floats(branch->num_views, w->largest, *p, *d));
}

/* Leaves the shape of the output in the branch, for those behind it. */
static sslcv_status walk_branch(const walk *w, sslcv__branch *branch)
{
    int64_t shape[4] = {branch->num_views, w->trainer->batch, 1, 0}, i = 0, output;
    sslcv_status status = SSLCV_OK;

    if (branch->source >= 0) {
        shape[2] = w->trainer->branches[branch->source].output.shape[2];
        shape[3] = w->trainer->branches[branch->source].output.shape[3];
    } else if (branch->links[0].backbone) {
        SSLCV__TRY(walk_backbone(w, branch, &branch->links[i++], &shape[2], &shape[3]));
    } else {
        walk_pixels(w, branch, &shape[2], &shape[3]);
    }
    for (; i < branch->num_links; i++) SSLCV__TRY(walk_head(w, branch, &branch->links[i], &shape[2], &shape[3]));
    sslcv__tensor_set(&branch->output, SSLCV_F32, NULL, 4, shape);
    output = floats(shape[0], shape[1], shape[2], shape[3]);
    if (w->slices > 1 && branch->keeps) grow(&w->memory->activations, output);
    if (branch->learns) {
        grow(&w->memory->scratch, output);
        if (w->slices > 1 && branch->num_views > 1) {
            grow(&w->memory->scratch, floats(shape[0], w->largest, shape[2], shape[3]));
        }
    }
end:
    return status;
}

/* Losses take their memory now; gradients of a branch's second loss go through a buffer of their own. */
static sslcv_status walk_losses(const walk *w)
{
    sslcv_trainer *trainer = w->trainer;
    sslcv_loss_info info = {.struct_size = sizeof info};
    sslcv_status status = SSLCV_OK;
    int64_t i, k;

    for (i = 0; i < trainer->num_branches; i++) trainer->branches[i].of_losses = 0;
    for (i = 0; i < trainer->num_criteria; i++) {
        sslcv__criterion *criterion = &trainer->criteria[i];

        SSLCV__TRY(sslcv_loss_get_info(criterion->loss, &info));
        for (k = 0; k < criterion->num_inputs; k++) {
            sslcv__branch *branch = &trainer->branches[criterion->branches[k]];
            const int64_t *shape = branch->output.shape;

            criterion->inputs[k] = branch->output;
            if (!(info.gradient_inputs >> k & 1) || !branch->learns) continue;
            if (branch->of_losses) grow(&w->memory->scratch, floats(shape[0], shape[1], shape[2], shape[3]));
            branch->of_losses = 1;
        }
        SSLCV__TRY(sslcv__loss_reserve(criterion->loss, criterion->inputs, criterion->num_inputs));
    }
    grow(&w->memory->scratch, floats(4, trainer->criteria[0].inputs[0].shape[3], 1, 1)); /* of the spread */
end:
    return status;
}

sslcv_status sslcv__trainer_foretell_memory(sslcv_trainer *trainer, const sslcv__choice *choice, sslcv_memory *memory)
{
    const int64_t slices = sslcv__num_slices(trainer->batch, choice->micro_batch);
    sslcv_memory fixed = {0};
    walk w = {.trainer = trainer, .choice = choice, .slices = slices, .memory = memory};
    sslcv_status status = SSLCV_OK;
    int64_t i;

    memset(memory, 0, sizeof *memory);
    w.largest = sslcv__slice_of(trainer->batch, slices, 0, SSLCV__PHASE_WHOLE).count;
    w.smallest = sslcv__slice_of(trainer->batch, slices, slices - 1, SSLCV__PHASE_WHOLE).count;
    for (i = 0; i < trainer->num_branches; i++) {
        if (trainer->branches[i].used) SSLCV__TRY(walk_branch(&w, &trainer->branches[i]));
    }
    SSLCV__TRY(walk_losses(&w));
    add_fixed(trainer, &fixed);
    memory->parameters = fixed.parameters;
    memory->gradients = fixed.gradients;
    memory->optimizer = fixed.optimizer;
    memory->momentum_copies = fixed.momentum_copies;
    memory->losses = fixed.losses;
    memory->loader = fixed.loader;
    grow(&memory->scratch, fixed.scratch);
    finish(trainer, choice, memory);
end:
    return status;
}
