/*
 * Branches forward and backward. V, N, P, D: views, samples, positions, dimensions; of a slice, N is its samples.
 */
#include "train/trainer.h"

#include "core/checked.h"
#include "core/memory.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "model/backbone.h"
#include "model/head.h"
#include "nn/tape.h"

#include <string.h>

static void free_buffer(sslcv_context *context, sslcv__buffer *buffer)
{
    sslcv__free(context, buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

void sslcv__branch_empty(sslcv_context *context, sslcv__branch *branch)
{
    int64_t i, k;

    for (i = 0; i < branch->num_links; i++) {
        sslcv__link *link = &branch->links[i];

        for (k = 0; link->passes && k < branch->num_views; k++) {
            sslcv__release(link->passes[k].tape);
            link->passes[k].tape = NULL;
        }
        free_buffer(context, &link->joined);
        free_buffer(context, &link->split);
        free_buffer(context, &link->diff_input);
    }
    free_buffer(context, &branch->kept);
    free_buffer(context, &branch->pixels);
    free_buffer(context, &branch->gradient);
    free_buffer(context, &branch->part);
}

void sslcv__branch_free(sslcv_context *context, sslcv__branch *branch)
{
    int64_t i, k;

    sslcv__branch_empty(context, branch);
    for (i = 0; i < branch->num_links; i++) {
        sslcv__link *link = &branch->links[i];

        for (k = 0; link->passes && k < branch->num_views; k++) sslcv__free(context, link->passes[k].members);
        sslcv__free(context, link->passes);
        sslcv__release(link->backbone);
        sslcv__release(link->head);
    }
    sslcv__free(context, branch->links);
    sslcv__free(context, branch->views);
    sslcv__free(context, branch->stage);
}

const sslcv_tensor *sslcv__branch_output(const sslcv_trainer *trainer, int64_t index)
{
    return &trainer->branches[index].output;
}

/* ---- slices ---- */

int64_t sslcv__num_slices(int64_t batch, int64_t micro_batch)
{
    return micro_batch == 0 || micro_batch >= batch ? 1 : batch / micro_batch + (batch % micro_batch != 0);
}

sslcv__slice sslcv__slice_of(int64_t batch, int64_t num_slices, int64_t index, sslcv__phase phase)
{
    const int64_t each = batch / num_slices, longer = batch % num_slices;
    sslcv__slice slice = {phase, 0, index * each, each, batch};

    slice.first += index < longer ? index : longer;
    slice.count += index < longer;
    return slice;
}

/* The slice of a dense tensor (V, N, P, D); data NULL stays so. */
static sslcv_tensor cut(const sslcv_tensor *whole, const sslcv__slice *slice)
{
    sslcv_tensor part = *whole;

    part.shape[1] = slice->count;
    if (part.data) part.data = (float *)part.data + slice->first * part.strides[1];
    return part;
}

/* ---- passes ---- */

sslcv__link_run sslcv__link_how(const sslcv__branch *branch, const sslcv__link *link, const sslcv__choice *choice,
                                sslcv__phase phase)
{
    sslcv__link_run how = {.flags = branch->flags, .dry = phase == SSLCV__PHASE_AGAIN, .bn_splits = branch->bn_splits};
    int32_t stage = 0;

    /* Nothing is kept for a backward that no loss asks for, or that does not follow. */
    if (!branch->learns || phase == SSLCV__PHASE_SCAN) how.flags &= ~SSLCV_PASS_GRADIENT;
    if (link->backbone) {
        sslcv__backbone_find_stage(link->backbone, branch->stage, &stage); /* found when the branch was made */
        how.net = &((const sslcv_backbone *)link->runs)->net;
        how.last_node = link->backbone->stage_ends[stage];
        if (how.flags & SSLCV_PASS_GRADIENT) how.recompute = choice->recompute;
    } else {
        how.flags &= ~SSLCV_PASS_MAP;
        how.net = &((const sslcv_head *)link->runs)->net;
        how.last_node = how.net->num_nodes - 1;
    }
    return how;
}

/* What the host's views may get wrong, before a plan is made for it. */
static sslcv_status check_input(const sslcv__link *link, const sslcv_tensor *input)
{
    const int64_t d = input->shape[input->ndim - 1];
    int64_t shape[4] = {-1, 0, -1, -1};

    if (sslcv__tensor_count(input) == 0) return sslcv__invalid("images has no pixel in it");
    if (link->backbone) {
        shape[1] = link->backbone->options.channels;
        return sslcv__tensor_check_shape(input, "images", 4, shape);
    }
    return sslcv__head_check_axes(link->head, input->ndim == 4 ? input->shape[2] : 1, d);
}

/* A tape's memory grows by taking the new before giving back the old. So of two rounds the second one's is made first,
   which is the larger. */
static sslcv_status make_tape(sslcv_trainer *trainer, const sslcv__branch *branch, const sslcv__link *link,
                              sslcv__phase phase, const sslcv_tensor *input, sslcv_tape **out)
{
    const sslcv__link_run how = sslcv__link_how(branch, link, &trainer->choice, SSLCV__PHASE_AGAIN);
    const int64_t d = input->shape[input->ndim - 1], p = input->ndim == 4 ? input->shape[2] : 1;
    const int64_t rows[4] = {sslcv__tensor_count(input) / d, d, p, 1};
    sslcv__plan *plan;
    sslcv_tape *tape = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv_tape_create(trainer->object.context, &tape));
    tape->recompute = how.recompute;
    tape->dry = how.dry;
    if (phase == SSLCV__PHASE_SCAN && branch->learns) {
        SSLCV__TRY(sslcv__tape_plan(tape, link->runs, how.net, link->backbone ? input->shape : rows, how.flags,
                                    how.bn_splits, how.last_node, &plan));
    }
    *out = tape;
    tape = NULL;
end:
    sslcv__release(tape);
    return status;
}

/* What a pass draws from. All networks of a branch draw alike, so that shuffling puts the same samples together in
   each; so do both rounds of a slice, and a resumed run. */
static uint64_t random_of(const sslcv_trainer *trainer, const sslcv__branch *branch, int64_t pass,
                          const sslcv__slice *slice)
{
    const uint64_t of_step = sslcv__rng_derive(trainer->options.seed, (uint64_t)trainer->step, SSLCV__STREAM_PASSES);
    const uint64_t number = (uint64_t)(branch - trainer->branches) * SSLCV__MAX_BRANCH_VIEWS + (uint64_t)pass;

    return sslcv__pass_random(of_step, number, (uint32_t)slice->first);
}

/* The one place where the networks of a trainer run forward. */
static sslcv_status run_pass(sslcv_trainer *trainer, const sslcv__branch *branch, const sslcv__link *link,
                             const sslcv__slice *slice, const sslcv_tensor *input, sslcv__train_pass *pass)
{
    const sslcv__link_run how = sslcv__link_how(branch, link, &trainer->choice, slice->phase);
    sslcv_pass run;
    sslcv_status status;

    SSLCV__TRY(check_input(link, input));
    if (!pass->tape) SSLCV__TRY(make_tape(trainer, branch, link, slice->phase, input, &pass->tape));
    pass->tape->recompute = how.recompute;
    pass->tape->dry = how.dry;
    SSLCV__TRY(sslcv_pass_init(&run, sizeof run));
    run.flags = how.flags;
    run.bn_splits = how.bn_splits;
    run.random = random_of(trainer, branch, pass - link->passes, slice);
    if (link->backbone) {
        run.stage = branch->stage;
        status = sslcv_backbone_forward((sslcv_backbone *)link->runs, input, &run, pass->tape);
    } else {
        status = sslcv_head_forward((sslcv_head *)link->runs, input, &run, pass->tape);
    }
end:
    return status;
}

static void add_member(sslcv__link *link, int64_t pass, int64_t member)
{
    if (pass == link->num_passes) link->passes[link->num_passes++].count = 0;
    link->passes[pass].members[link->passes[pass].count++] = member;
}

int64_t sslcv__view_place(const sslcv_trainer *trainer, int64_t view)
{
    int64_t i;

    for (i = 0; trainer->chosen[i] != view; i++) continue;
    return i;
}

static int same_shape(const sslcv_trainer *trainer, int64_t view, int64_t other)
{
    const int64_t *a = trainer->view_shapes[sslcv__view_place(trainer, view)];
    const int64_t *b = trainer->view_shapes[sslcv__view_place(trainer, other)];

    return memcmp(a, b, sizeof trainer->view_shapes[0]) == 0;
}

/* The pass that a view goes into. JOINED: of a head the only one; of a backbone one for each shape, in the order in
   which shapes first appear. */
static int64_t find_pass(const sslcv_trainer *trainer, const sslcv__branch *branch, const sslcv__link *link, int64_t v)
{
    int64_t pass;

    if ((link->backbone ? branch->grouping : branch->head_grouping) != SSLCV_GROUPING_JOINED) return link->num_passes;
    if (link->head) return 0;
    for (pass = 0; pass < link->num_passes; pass++) {
        if (same_shape(trainer, branch->views[v], branch->views[link->passes[pass].members[0]])) break;
    }
    return pass;
}

void sslcv__link_group(const sslcv_trainer *trainer, const sslcv__branch *branch, sslcv__link *link)
{
    int64_t v;

    link->num_passes = 0;
    for (v = 0; v < branch->num_views; v++) add_member(link, find_pass(trainer, branch, link, v), v);
}

/* ---- forward ---- */

static sslcv_status forward_backbone(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__feed *feed,
                                     const sslcv__slice *slice, sslcv__link *link)
{
    sslcv_tensor images;
    sslcv_status status = SSLCV_OK;
    int64_t i;

    sslcv__link_group(trainer, branch, link);
    for (i = 0; i < link->num_passes; i++) {
        sslcv__train_pass *pass = &link->passes[i];

        SSLCV__TRY(sslcv__feed_images(trainer, branch, feed, slice, pass->members, pass->count, &images));
        SSLCV__TRY(run_pass(trainer, branch, link, slice, &images, pass));
    }
    SSLCV__TRY(sslcv__join(trainer, branch, link, slice->count, sslcv_tape_output, &link->joined, &link->output));
end:
    return status;
}

static sslcv_status forward_head(sslcv_trainer *trainer, const sslcv__branch *branch, const sslcv_tensor *input,
                                 const sslcv__slice *slice, sslcv__link *link)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    sslcv__link_group(trainer, branch, link);
    for (i = 0; i < link->num_passes; i++) {
        sslcv__train_pass *pass = &link->passes[i];
        sslcv_tensor rows = *input;

        rows.data = (float *)rows.data + pass->members[0] * rows.strides[0];
        rows.shape[0] = pass->count;
        SSLCV__TRY(run_pass(trainer, branch, link, slice, &rows, pass));
    }
    SSLCV__TRY(sslcv__join(trainer, branch, link, slice->count, sslcv_tape_output, &link->joined, &link->output));
end:
    return status;
}

/* The slice of a source's output: what it has just given, or, where it does not run again, what was kept. */
static sslcv_tensor source_output(const sslcv__branch *source, const sslcv__slice *slice)
{
    if (slice->phase == SSLCV__PHASE_AGAIN && !source->learns) return cut(&source->output, slice);
    return source->links[source->num_links - 1].output;
}

/* The whole output: the only slice's as it lies, or put together from the slices. */
static sslcv_status keep_output(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__slice *slice)
{
    const sslcv_tensor *given = &branch->links[branch->num_links - 1].output;
    const int64_t v = given->shape[0], p = given->shape[2], d = given->shape[3];
    sslcv_tensor part;
    sslcv_status status;
    int64_t total;

    if (slice->phase == SSLCV__PHASE_WHOLE) branch->output = *given;
    if (slice->phase != SSLCV__PHASE_SCAN) return SSLCV_OK;
    sslcv__set_axes(&branch->output, NULL, v, slice->batch, p, d);
    if (!branch->keeps) return SSLCV_OK;
    if (!sslcv__multiply(v * p * d, slice->batch, &total)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "the output of a branch is too large");
    }
    status = sslcv__buffer_reserve(trainer->object.context, &branch->kept, total);
    if (status != SSLCV_OK) return status;
    branch->output.data = branch->kept.data;
    part = cut(&branch->output, slice);
    sslcv__tensor_copy(given, &part);
    return SSLCV_OK;
}

sslcv_status sslcv__branch_forward(sslcv_trainer *trainer, int64_t index, const sslcv__feed *feed,
                                   const sslcv__slice *slice)
{
    sslcv__branch *branch = &trainer->branches[index];
    sslcv_tensor first;
    const sslcv_tensor *input = &first;
    sslcv_status status = SSLCV_OK;
    int64_t i = 0;

    if (slice->phase == SSLCV__PHASE_AGAIN && !branch->learns) return SSLCV_OK;
    if (branch->source >= 0) {
        first = source_output(&trainer->branches[branch->source], slice);
    } else if (branch->links[0].backbone) {
        SSLCV__TRY(forward_backbone(trainer, branch, feed, slice, &branch->links[0]));
        input = &branch->links[i++].output;
    } else {
        SSLCV__TRY(sslcv__feed_pixels(trainer, branch, feed, slice, &first));
    }
    for (; i < branch->num_links; i++) {
        SSLCV__TRY(forward_head(trainer, branch, input, slice, &branch->links[i]));
        input = &branch->links[i].output;
    }
    status = keep_output(trainer, branch, slice);
end:
    return status;
}

/* ---- backward ---- */

/* The slice of the gradient of a branch's output, dense. */
static sslcv_status take_gradient(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__slice *slice,
                                  sslcv_tensor *gradient)
{
    sslcv_tensor whole = branch->output, part;
    sslcv_status status;

    whole.data = branch->gradient.data;
    *gradient = cut(&whole, slice);
    if (sslcv__tensor_is_dense(gradient)) return SSLCV_OK;
    part = *gradient;
    status = sslcv__buffer_reserve(trainer->object.context, &branch->part, sslcv__tensor_count(&part));
    if (status != SSLCV_OK) return status;
    sslcv__set_axes(gradient, branch->part.data, part.shape[0], part.shape[1], part.shape[2], part.shape[3]);
    sslcv__tensor_copy(&part, gradient);
    return SSLCV_OK;
}

/* Add to a slice of the gradient of a branch's output; the first to come sets it. */
static sslcv_status add_gradient(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__slice *slice,
                                 const sslcv_tensor *gradient)
{
    const sslcv_tensor *whole = &branch->output;
    const int64_t each = slice->count * whole->strides[1];
    sslcv_status status = sslcv__buffer_reserve(trainer->object.context, &branch->gradient, sslcv__tensor_count(whole));
    int64_t v, i;

    if (status != SSLCV_OK) return status;
    for (v = 0; v < whole->shape[0]; v++) {
        const float *src = (const float *)gradient->data + v * each;
        float *dst = branch->gradient.data + v * whole->strides[0] + slice->first * whole->strides[1];

        if (branch->has_gradient) {
            for (i = 0; i < each; i++) dst[i] += src[i];
        } else {
            memcpy(dst, src, (size_t)each * sizeof *dst);
        }
    }
    branch->has_gradient = 1;
    return SSLCV_OK;
}

sslcv_status sslcv__branch_backward(sslcv_trainer *trainer, int64_t index, const sslcv__slice *slice)
{
    sslcv__branch *branch = &trainer->branches[index];
    sslcv__branch *source = branch->source >= 0 && !branch->detach ? &trainer->branches[branch->source] : NULL;
    sslcv_tensor gradient, part;
    sslcv_status status = SSLCV_OK;
    int64_t i, k;

    if (!branch->learns || !branch->has_gradient) return SSLCV_OK;
    SSLCV__TRY(take_gradient(trainer, branch, slice, &gradient));
    for (i = branch->num_links - 1; i >= 0; i--) {
        sslcv__link *link = &branch->links[i];

        for (k = link->num_passes - 1; k >= 0; k--) {
            SSLCV__TRY(sslcv__split(trainer, branch, &link->passes[k], link, &gradient, &part));
            SSLCV__TRY(sslcv_tape_backward(link->passes[k].tape, &part));
        }
        if (i > 0 || (source && source->learns)) {
            SSLCV__TRY(sslcv__join(trainer, branch, link, gradient.shape[1], sslcv_tape_diff_input, &link->diff_input,
                                   &gradient));
        }
    }
    if (source && source->learns) SSLCV__TRY(add_gradient(trainer, source, slice, &gradient));
end:
    return status;
}
