#include "nn/tape.h"

#include <string.h>

#include "core/compute.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "nn/kernels.h"

static const sslcv_pass pass_defaults = {sizeof(sslcv_pass), SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, 1, 0, NULL};

sslcv_status sslcv_pass_init(sslcv_pass *pass, size_t struct_size)
{
    return sslcv__options_init("pass", pass, struct_size, sizeof pass_defaults, &pass_defaults, sizeof pass_defaults);
}

sslcv_status sslcv__pass_read(const sslcv_pass *pass, sslcv_pass *copy)
{
    const int32_t known =
        SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT | SSLCV_PASS_SHUFFLE | SSLCV_PASS_MAP | SSLCV_PASS_INPUT_GRADIENT;
    sslcv_status status;

    *copy = pass_defaults;
    status = sslcv__options_read("pass", pass, sizeof pass_defaults, copy, sizeof *copy);
    if (status != SSLCV_OK) return status;
    if (copy->flags & ~known) return sslcv__invalid("pass.flags is %d; must be a sum of SSLCV_PASS_*", copy->flags);
    if (copy->bn_splits < 1) return sslcv__invalid("pass.bn_splits is %d; must be 1 or more", copy->bn_splits);
    return SSLCV_OK;
}

uint64_t sslcv__pass_random(uint64_t seed, uint64_t a, uint32_t b)
{
    const uint64_t random = sslcv__rng_derive(seed, a, b);

    return random != 0 ? random : 1;
}

/* ---- life ---- */

static void empty_slot(sslcv_tape *tape, sslcv__tape_slot *slot)
{
    if (slot->plan && slot->plan == tape->current) tape->current = NULL;
    sslcv__plan_free(slot->plan);
    sslcv__release(slot->owner);
    memset(slot, 0, sizeof *slot);
}

static void release_tape(void *self)
{
    sslcv_tape *tape = self;
    int i;

    for (i = 0; i < SSLCV__TAPE_MAX_PLANS; i++) empty_slot(tape, &tape->slots[i]);
    sslcv__free(tape->object.context, tape->arena);
}

sslcv_status sslcv_tape_create(sslcv_context *context, sslcv_tape **tape)
{
    sslcv_status status = sslcv__check(context, SSLCV__CONTEXT, "context");

    if (status != SSLCV_OK) return status;
    if (!tape) return sslcv__null("tape");
    status = sslcv__object_create(context, SSLCV__TAPE, sizeof **tape, release_tape, tape);
    /* 2 to 3 % of a step for a third of its memory. */
    if (status == SSLCV_OK) (*tape)->recompute = SSLCV__RECOMPUTE_NORMS;
    return status;
}

void sslcv_tape_destroy(sslcv_tape *tape)
{
    sslcv__destroy(tape, SSLCV__TAPE);
}

/* ---- plans ---- */

static sslcv__tape_slot *find_slot(sslcv_tape *tape, const sslcv__plan_key *key)
{
    int i;

    for (i = 0; i < SSLCV__TAPE_MAX_PLANS; i++) {
        if (tape->slots[i].plan && memcmp(sslcv__plan_get_key(tape->slots[i].plan), key, sizeof *key) == 0) {
            return &tape->slots[i];
        }
    }
    return NULL;
}

static sslcv__tape_slot *oldest_slot(sslcv_tape *tape)
{
    sslcv__tape_slot *oldest = &tape->slots[0];
    int i;

    for (i = 1; i < SSLCV__TAPE_MAX_PLANS; i++) {
        if (tape->slots[i].last_use < oldest->last_use) oldest = &tape->slots[i];
    }
    return oldest;
}

/* All plans of a tape share its arena; when it must grow, all of them move. */
static sslcv_status make_room(sslcv_tape *tape, sslcv__plan *plan)
{
    const int64_t bytes = sslcv__plan_arena_bytes(plan);
    char *arena;
    int i;
    sslcv_status status = SSLCV_OK;

    if (bytes > tape->arena_bytes) {
        status = sslcv__alloc(tape->object.context, bytes, (void **)&arena);
        if (status != SSLCV_OK) return status;
        sslcv__free(tape->object.context, tape->arena);
        tape->arena = arena;
        tape->arena_bytes = bytes;
        tape->current = NULL; /* what the last pass has left is gone */
        for (i = 0; i < SSLCV__TAPE_MAX_PLANS; i++) {
            if (tape->slots[i].plan) SSLCV__TRY(sslcv__plan_place(tape->slots[i].plan, arena));
        }
    }
    status = sslcv__plan_place(plan, tape->arena);
end:
    return status;
}

static sslcv_status find_plan(sslcv_tape *tape, sslcv__object *owner, const sslcv__plan_key *key, sslcv__plan **out)
{
    sslcv__tape_slot *slot = find_slot(tape, key);
    sslcv__plan *plan;
    sslcv_status status = SSLCV_OK;

    if (!slot) {
        SSLCV__TRY(sslcv__plan_create(key, &plan));
        status = make_room(tape, plan);
        if (status != SSLCV_OK) {
            sslcv__plan_free(plan);
            return status;
        }
        slot = oldest_slot(tape);
        empty_slot(tape, slot);
        slot->plan = plan;
        slot->owner = owner;
        sslcv__retain(owner);
    }
    slot->last_use = ++tape->uses;
    *out = slot->plan;
end:
    return status;
}

static void init_key(const sslcv_tape *tape, sslcv__plan_key *key, const sslcv__net *net, const int64_t shape[4],
                     int32_t flags, int32_t bn_splits, int32_t last_node)
{
    const int32_t recompute = (flags & SSLCV_PASS_GRADIENT) && !net->rows ? tape->recompute : 0;

    sslcv__plan_key_init(key, net, shape, flags | (tape->dry ? SSLCV__PASS_DRY : 0), bn_splits, last_node, recompute);
}

sslcv_status sslcv__tape_measure(const sslcv__net *net, const int64_t shape[4], int32_t flags, int32_t bn_splits,
                                 int32_t last_node, int32_t recompute, int64_t *bytes, int64_t *scratch)
{
    sslcv__plan_key key;
    sslcv__plan *plan;
    sslcv__compute frame;
    sslcv_status status = sslcv__compute_begin(net->context, &frame);

    if (status != SSLCV_OK) return status;
    sslcv__plan_key_init(&key, net, shape, flags, bn_splits, last_node, recompute);
    status = sslcv__plan_create(&key, &plan);
    if (status == SSLCV_OK) {
        *bytes = sslcv__plan_arena_bytes(plan);
        *scratch = sslcv__plan_scratch_bytes(plan);
        sslcv__plan_free(plan);
    }
    sslcv__compute_end(&frame);
    return status;
}

sslcv_status sslcv__tape_plan(sslcv_tape *tape, sslcv__object *owner, const sslcv__net *net, const int64_t shape[4],
                              int32_t flags, int32_t bn_splits, int32_t last_node, sslcv__plan **out)
{
    sslcv__plan_key key;
    sslcv__compute frame;
    sslcv_status status = sslcv__compute_begin(tape->object.context, &frame);

    if (status != SSLCV_OK) return status;
    init_key(tape, &key, net, shape, flags, bn_splits, last_node);
    status = find_plan(tape, owner, &key, out);
    sslcv__compute_end(&frame);
    return status;
}

void sslcv__tape_memory(const sslcv_tape *tape, int64_t *activations, int64_t *scratch)
{
    int i;

    *scratch = 0;
    for (i = 0; i < SSLCV__TAPE_MAX_PLANS; i++) {
        if (tape->slots[i].plan && sslcv__plan_scratch_bytes(tape->slots[i].plan) > *scratch) {
            *scratch = sslcv__plan_scratch_bytes(tape->slots[i].plan);
        }
    }
    *activations = tape->arena_bytes > *scratch ? tape->arena_bytes - *scratch : 0;
}

/* ---- passes ---- */

/* V, N and P of rows: (N, D), (V, N, D) or (V, N, P, D). */
static void axes_of_rows(const sslcv_tensor *input, int64_t axes[3])
{
    axes[0] = input->ndim >= 3 ? input->shape[0] : 1;
    axes[1] = input->ndim >= 2 ? input->shape[input->ndim >= 3] : 1;
    axes[2] = input->ndim >= 4 ? input->shape[2] : 1;
}

/* The output with the axes of the caller's input, its last one aside: (V, N, P, D) stay apart through heads. One that
   has another P has all four. */
static void set_output(sslcv_tape *tape, const sslcv_tensor *input, int rows)
{
    const int64_t *given = sslcv__plan_get_key(tape->current)->shape;
    int64_t shape[4], axes[SSLCV_MAX_DIMS];
    float *data = (float *)(uintptr_t)sslcv__plan_output(tape->current, shape);

    if (rows && shape[0] != given[0]) {
        axes_of_rows(input, axes);
        axes[2] = shape[0] / (axes[0] * axes[1]);
        axes[3] = shape[1];
        sslcv__tensor_set(&tape->output, SSLCV_F32, data, 4, axes);
    } else if (rows) {
        memcpy(axes, input->shape, sizeof axes);
        axes[input->ndim - 1] = shape[1];
        sslcv__tensor_set(&tape->output, SSLCV_F32, data, input->ndim, axes);
    } else {
        const int map = (sslcv__plan_get_key(tape->current)->flags & SSLCV_PASS_MAP) != 0;
        sslcv__tensor_set(&tape->output, SSLCV_F32, data, map ? 4 : 2, shape);
    }
}

static void set_diff_input(sslcv_tape *tape, const sslcv_tensor *input)
{
    float *data = (float *)(uintptr_t)sslcv__plan_diff_input(tape->current);

    memset(&tape->diff_input, 0, sizeof tape->diff_input);
    if (data) sslcv__tensor_set(&tape->diff_input, SSLCV_F32, data, input->ndim, input->shape);
}

sslcv_status sslcv__tape_forward(sslcv_tape *tape, sslcv__object *owner, const sslcv__net *net,
                                 const sslcv_tensor *input, const char *input_name, const sslcv_pass *pass,
                                 int32_t last_node)
{
    const int64_t count = sslcv__tensor_count(input), columns = input->shape[input->ndim - 1];
    int64_t rows_shape[4] = {columns ? count / columns : 0, columns, 1, 1}, axes[3];
    const int train = (pass->flags & SSLCV_PASS_TRAIN) != 0;
    sslcv_pass run = *pass;
    sslcv__plan *plan;
    sslcv__plan_key key;
    sslcv__compute frame;
    sslcv_status status = sslcv__compute_begin(tape->object.context, &frame);

    if (status != SSLCV_OK) return status;
    if (train && run.random == 0) run.random = sslcv__pass_random(0, tape->passes, SSLCV__STREAM_PASSES);
    axes_of_rows(input, axes);
    rows_shape[2] = axes[2];
    init_key(tape, &key, net, net->rows ? rows_shape : input->shape, pass->flags, pass->bn_splits, last_node);
    SSLCV__TRY(find_plan(tape, owner, &key, &plan));
    tape->current = NULL; /* until the pass is through */
    sslcv__plan_set_input(plan, input, run.flags & SSLCV_PASS_SHUFFLE, run.random);
    if (!sslcv__all_finite(sslcv__plan_input(plan), count)) {
        status = sslcv__fail(SSLCV_ERR_NUMERIC, "%s has a value that is NaN or infinite", input_name);
        goto end;
    }
    sslcv__plan_set_pass(plan, axes[0], &run);
    SSLCV__TRY(sslcv__plan_forward(plan));
    tape->current = plan;
    tape->passes += train;
    tape->has_gradient = (pass->flags & SSLCV_PASS_GRADIENT) != 0;
    tape->run_back = 0;
    set_output(tape, input, net->rows);
    set_diff_input(tape, input);
end:
    sslcv__compute_end(&frame);
    return status;
}

sslcv_status sslcv_tape_output(const sslcv_tape *tape, sslcv_tensor *output)
{
    const sslcv_status status = sslcv__check(tape, SSLCV__TAPE, "tape");

    if (status != SSLCV_OK) return status;
    if (!output) return sslcv__null("output");
    if (!tape->current) return sslcv__fail(SSLCV_ERR_STATE, "the tape has no forward pass yet");
    *output = tape->output;
    return SSLCV_OK;
}

static sslcv_status check_backward(const sslcv_tape *tape, const sslcv_tensor *diff_output)
{
    sslcv_status status = sslcv__check(tape, SSLCV__TAPE, "tape");

    if (status != SSLCV_OK) return status;
    if (!diff_output) return sslcv__null("diff_output");
    if (!tape->current) return sslcv__fail(SSLCV_ERR_STATE, "the tape has no forward pass yet");
    if (!tape->has_gradient) {
        return sslcv__fail(SSLCV_ERR_STATE, "the tape's last pass was run without SSLCV_PASS_GRADIENT");
    }
    if (tape->run_back) return sslcv__fail(SSLCV_ERR_STATE, "the tape's last pass has already been run back");
    status = sslcv__tensor_check(diff_output, "diff_output");
    if (status != SSLCV_OK) return status;
    if (diff_output->dtype != SSLCV_F32 || !sslcv__tensor_is_dense(diff_output)) {
        return sslcv__invalid("diff_output is not dense f32");
    }
    if (sslcv__tensor_count(diff_output) != sslcv__tensor_count(&tape->output)) {
        return sslcv__invalid("diff_output has %lld elements; the output has %lld",
                              (long long)sslcv__tensor_count(diff_output),
                              (long long)sslcv__tensor_count(&tape->output));
    }
    return SSLCV_OK;
}

sslcv_status sslcv_tape_backward(sslcv_tape *tape, const sslcv_tensor *diff_output)
{
    sslcv__compute frame;
    sslcv_status status = check_backward(tape, diff_output);

    if (status == SSLCV_OK) status = sslcv__compute_begin(tape->object.context, &frame);
    if (status != SSLCV_OK) return status;
    sslcv__plan_set_diff_output(tape->current, diff_output->data);
    status = sslcv__plan_backward(tape->current);
    /* A network that fails half-way has added some gradients. A layer of the host's has put back what was there. */
    tape->run_back = status == SSLCV_OK || !sslcv__plan_get_key(tape->current)->net->by_patches;
    sslcv__compute_end(&frame);
    return status;
}

sslcv_status sslcv_tape_diff_input(const sslcv_tape *tape, sslcv_tensor *diff_input)
{
    const sslcv_status status = sslcv__check(tape, SSLCV__TAPE, "tape");

    if (status != SSLCV_OK) return status;
    if (!diff_input) return sslcv__null("diff_input");
    if (!tape->current || !tape->run_back) return sslcv__fail(SSLCV_ERR_STATE, "the tape has not been run back");
    if (!tape->diff_input.data) {
        return sslcv__fail(SSLCV_ERR_STATE, "the tape's last pass was run without SSLCV_PASS_INPUT_GRADIENT");
    }
    *diff_input = tape->diff_input;
    return SSLCV_OK;
}
