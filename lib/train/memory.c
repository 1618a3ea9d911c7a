/*
 * How much memory a step takes, foretold and held, and what is done to make it fit a budget.
 *
 * Foretelling walks through the branches as a step does, with shapes in place of data: each tape by the plans that its
 * passes will make, each buffer by the size that it will grow to. What is held afterwards is the same, byte for byte.
 *
 * A budget is met by the first of these that fits:
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
#include "core/checked.h"
#include "core/compute.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"
#include "data/dataset.h"
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

    for (i = 0; i < trainer->backbones.count; i++) add_variables(trainer->backbones.items[i].state, memory);
    for (i = 0; i < trainer->heads.count; i++) add_variables(trainer->heads.items[i].state, memory);
    memory->optimizer = sslcv__optimizer_bytes(trainer->options.optimizer);
    for (i = 0; i < trainer->losses.count; i++) {
        if (sslcv_loss_get_info(trainer->losses.items[i].handle, &info) == SSLCV_OK) memory->losses += info.bytes;
    }
    if (trainer->loader) memory->loader = sslcv__loader_bytes(trainer->loader);
    memory->scratch = trainer->statistics_bytes;
}

static void finish(const sslcv_trainer *trainer, const sslcv__choice *choice, sslcv_memory *memory)
{
    const int64_t parts[] = {memory->parameters,  memory->gradients, memory->optimizer, memory->losses,
                             memory->activations, memory->scratch,   memory->loader};
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
    sslcv__plan_key_init(&key, how->net, shape, flags, how->last_node, how->recompute);
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
        const int64_t shape[4] = {pass->count, view[0], view[1], view[2]};
        int64_t size[2] = {view[1], view[2]};

        if (view[0] != link->backbone->options.channels) {
            return sslcv__invalid("view %lld has %lld channels; the backbone takes %lld",
                                  (long long)branch->views[pass->members[0]], (long long)view[0],
                                  (long long)link->backbone->options.channels);
        }
        SSLCV__TRY(measure_tape(w, branch, link, shape));
        if (!lie_together(w, branch, pass)) {
            pixels = larger(pixels, floats(floats(pass->count, view[0], view[1], view[2]) / 4, w->largest, 1, 1));
        }
        if (branch->flags & SSLCV_PASS_MAP) {
            SSLCV__TRY(size_behind(w->trainer->object.context, how.net, how.last_node, size));
        } else {
            size[0] = size[1] = 1;
        }
        *p = size[0] * size[1];
    }
    grow(&w->memory->scratch, pixels);
    add_copies(w, branch, link, *p, *d, 0, 1);
end:
    return status;
}

static sslcv_status walk_head(const walk *w, const sslcv__branch *branch, sslcv__link *link, int64_t p, int64_t *d)
{
    const int64_t before = *d;
    int64_t i;
    sslcv_status status = SSLCV_OK;

    if (before != link->head->options.in_dim) { /* of pixels; else checked when the branch was made */
        return sslcv__invalid("input has D = %lld; the head takes %lld", (long long)before,
                              (long long)link->head->options.in_dim);
    }
    sslcv__link_group(w->trainer, branch, link);
    for (i = 0; i < link->num_passes; i++) {
        int64_t shape[4] = {0, before, 1, 1};

        if (!sslcv__multiply(link->passes[i].count, p, &shape[0])) shape[0] = INT64_MAX;
        SSLCV__TRY(measure_tape(w, branch, link, shape));
    }
    *d = link->head->options.out_dim;
    add_copies(w, branch, link, p, *d, floats(p, before, 1, 1) / 4, link == branch->links);
end:
    return status;
}

/* D of a branch without backbone, and what lays its views side by side. */
static int64_t walk_pixels(const walk *w, const sslcv__branch *branch)
{
    const int64_t *view = w->trainer->view_shapes[sslcv__view_place(w->trainer, branch->views[0])];
    const int64_t d = floats(view[0], view[1], view[2], 1) / 4;
    sslcv__train_pass *pass = &branch->links[0].passes[0];
    int64_t v;

    for (v = 0; v < branch->num_views; v++) pass->members[v] = v;
    pass->count = branch->num_views;
    if (!lie_together(w, branch, pass)) grow(&w->memory->scratch, floats(branch->num_views, w->largest, d, 1));
    return d;
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
        shape[3] = walk_pixels(w, branch);
    }
    for (; i < branch->num_links; i++) SSLCV__TRY(walk_head(w, branch, &branch->links[i], shape[2], &shape[3]));
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

static sslcv_status foretell(sslcv_trainer *trainer, const sslcv__choice *choice, sslcv_memory *memory)
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
    memory->losses = fixed.losses;
    memory->loader = fixed.loader;
    grow(&memory->scratch, fixed.scratch);
    finish(trainer, choice, memory);
end:
    return status;
}

/* ---- the budget ---- */

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
    status = foretell(s->trainer, &s->choice, &s->memory);
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
        SSLCV__TRY(foretell(trainer, &s.choice, &s.memory));
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
        memcpy(trainer->view_shapes[i], shape + 1, sizeof trainer->view_shapes[i]);
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
