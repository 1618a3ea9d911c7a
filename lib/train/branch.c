/* Branches forward and backward. V, N, P, D: views, samples, positions, dimensions. */
#include "train/trainer.h"

#include "core/checked.h"
#include "core/memory.h"
#include "core/tensor.h"

#include <string.h>

sslcv_status sslcv__buffer_reserve(sslcv_context *context, sslcv__buffer *buffer, int64_t count)
{
    void *data;
    sslcv_status status;

    if (buffer->data && count <= buffer->capacity) return SSLCV_OK;
    status = sslcv__alloc_array(context, count, sizeof(float), &data);
    if (status != SSLCV_OK) return status;
    sslcv__free(context, buffer->data);
    buffer->data = data;
    buffer->capacity = count;
    return SSLCV_OK;
}

void sslcv__branch_free(sslcv_context *context, sslcv__branch *branch)
{
    int64_t i, k;

    for (i = 0; i < branch->num_links; i++) {
        sslcv__link *link = &branch->links[i];

        for (k = 0; link->passes && k < branch->num_views; k++) {
            sslcv__release(link->passes[k].tape);
            sslcv__free(context, link->passes[k].members);
        }
        sslcv__free(context, link->passes);
        sslcv__free(context, link->joined.data);
        sslcv__free(context, link->split.data);
        sslcv__free(context, link->diff_input.data);
        sslcv__release(link->backbone);
        sslcv__release(link->head);
    }
    sslcv__free(context, branch->links);
    sslcv__free(context, branch->views);
    sslcv__free(context, branch->stage);
    sslcv__free(context, branch->pixels.data);
    sslcv__free(context, branch->gradient.data);
}

const sslcv_tensor *sslcv__branch_output(const sslcv_trainer *trainer, int64_t index)
{
    const sslcv__branch *branch = &trainer->branches[index];

    return &branch->links[branch->num_links - 1].output;
}

static void set_axes(sslcv_tensor *tensor, void *data, int64_t v, int64_t n, int64_t p, int64_t d)
{
    const int64_t shape[4] = {v, n, p, d};

    sslcv__tensor_set(tensor, SSLCV_F32, data, 4, shape);
}

/* ---- views ---- */

/* Shape of one view of the batch, (N, C, H, W). */
static sslcv_status view_shape(sslcv_trainer *trainer, const sslcv__feed *feed, int64_t view, sslcv_tensor *tensor)
{
    sslcv_status status;

    if (!feed->views) return sslcv_loader_get_views(trainer->loader, &view, 1, tensor);
    if (view >= feed->num_views || !feed->views[view].data) {
        return sslcv__invalid("views has no view %lld, which a branch uses", (long long)view);
    }
    status = sslcv__tensor_check(&feed->views[view], "views");
    if (status != SSLCV_OK) return status;
    if (feed->views[view].ndim != 4 || feed->views[view].dtype != SSLCV_F32) {
        return sslcv__invalid("views[%lld] has %d axes of %s; must be (N, C, H, W) of f32", (long long)view,
                              feed->views[view].ndim, sslcv__dtype_name(feed->views[view].dtype));
    }
    if (feed->views[view].shape[0] != feed->size) {
        return sslcv__invalid("views[%lld] has %lld images; the others have %lld", (long long)view,
                              (long long)feed->views[view].shape[0], (long long)feed->size);
    }
    *tensor = feed->views[view];
    return SSLCV_OK;
}

/* The host's views side by side: (count * N, C, H, W). Equal shapes are the caller's duty. */
static sslcv_status gather_host_views(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__feed *feed,
                                      const int64_t *members, int64_t count, sslcv_tensor *images)
{
    const sslcv_tensor *first = &feed->views[branch->views[members[0]]];
    const int64_t each = sslcv__tensor_count(first);
    int64_t shape[4], total, i;
    sslcv_status status;

    if (count == 1) {
        *images = *first;
        return SSLCV_OK;
    }
    memcpy(shape, first->shape, sizeof shape);
    if (!sslcv__multiply(each, count, &total)) return sslcv__fail(SSLCV_ERR_LIMIT, "the views are too large");
    status = sslcv__buffer_reserve(trainer->object.context, &branch->pixels, total);
    if (status != SSLCV_OK) return status;
    for (i = 0; i < count; i++) {
        sslcv_tensor dense;

        sslcv__tensor_set(&dense, SSLCV_F32, branch->pixels.data + i * each, 4, shape);
        sslcv__tensor_copy(&feed->views[branch->views[members[i]]], &dense);
    }
    shape[0] *= count;
    sslcv__tensor_set(images, SSLCV_F32, branch->pixels.data, 4, shape);
    return SSLCV_OK;
}

static sslcv_status gather_views(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__feed *feed,
                                 const int64_t *members, int64_t count, sslcv_tensor *images)
{
    int64_t views[SSLCV__MAX_BRANCH_VIEWS], i;

    if (feed->views) return gather_host_views(trainer, branch, feed, members, count, images);
    for (i = 0; i < count; i++) views[i] = branch->views[members[i]];
    return sslcv_loader_get_views(trainer->loader, views, count, images);
}

/* ---- passes ---- */

static int same_image_shape(const sslcv_tensor *a, const sslcv_tensor *b)
{
    return a->shape[1] == b->shape[1] && a->shape[2] == b->shape[2] && a->shape[3] == b->shape[3];
}

static void add_member(sslcv__link *link, int64_t pass, int64_t member)
{
    if (pass == link->num_passes) link->passes[link->num_passes++].count = 0;
    link->passes[pass].members[link->passes[pass].count++] = member;
}

/* A backbone's passes: JOINED: one for each shape, in the order in which shapes first appear. */
static sslcv_status group_views(sslcv_trainer *trainer, const sslcv__branch *branch, const sslcv__feed *feed,
                                sslcv__link *link)
{
    sslcv_tensor shape, other;
    sslcv_status status = SSLCV_OK;
    int64_t v, pass;

    link->num_passes = 0;
    for (v = 0; v < branch->num_views; v++) {
        SSLCV__TRY(view_shape(trainer, feed, branch->views[v], &shape));
        pass = branch->grouping == SSLCV_GROUPING_JOINED ? 0 : link->num_passes;
        for (; pass < link->num_passes; pass++) {
            SSLCV__TRY(view_shape(trainer, feed, branch->views[link->passes[pass].members[0]], &other));
            if (same_image_shape(&shape, &other)) break;
        }
        add_member(link, pass, v);
    }
end:
    return status;
}

/* A head's passes: all views, or each by itself. */
static void group_rows(const sslcv__branch *branch, sslcv__link *link)
{
    int64_t v;

    link->num_passes = 0;
    for (v = 0; v < branch->num_views; v++) {
        add_member(link, branch->head_grouping == SSLCV_GROUPING_JOINED ? 0 : link->num_passes, v);
    }
}

static sslcv_status ready_tape(sslcv_trainer *trainer, sslcv__train_pass *pass)
{
    return pass->tape ? SSLCV_OK : sslcv_tape_create(trainer->object.context, &pass->tape);
}

/* ---- putting passes together and taking them apart ---- */

/* P and D of what a pass gives: rows (M, D), maps (M, D, h, w), or the axes of a head's input. */
static void positions_of(const sslcv_tensor *given, int is_map, int64_t *p, int64_t *d)
{
    *d = is_map ? given->shape[1] : given->shape[given->ndim - 1];
    *p = is_map ? given->shape[2] * given->shape[3] : given->ndim == 4 ? given->shape[2] : 1;
}

/* (samples, from, to) to (samples, to, from): maps keep their pixels together, embeddings their dimensions. */
static void turn(const float *src, float *dst, int64_t samples, int64_t from, int64_t to)
{
    int64_t n, i, k;

    for (n = 0; n < samples; n++, src += from * to, dst += from * to) {
        for (k = 0; k < to; k++) {
            for (i = 0; i < from; i++) dst[k * from + i] = src[i * to + k];
        }
    }
}

typedef sslcv_status (*tape_getter)(const sslcv_tape *tape, sslcv_tensor *tensor);

/*
 * What the passes of a link give, as one (V, N, P, D): the tape's own memory where one pass gives rows, else copied
 * into joined.
 */
static sslcv_status join(sslcv_trainer *trainer, const sslcv__branch *branch, const sslcv__link *link, int64_t samples,
                         int is_map, tape_getter get, sslcv__buffer *joined, sslcv_tensor *out)
{
    int64_t p = 0, d = 0, each, total, next_p, next_d, i, k;
    sslcv_tensor given;
    sslcv_status status;

    SSLCV__TRY(get(link->passes[0].tape, &given));
    positions_of(&given, is_map, &p, &d);
    if (link->num_passes == 1 && !is_map) {
        set_axes(out, given.data, branch->num_views, samples, p, d);
        return SSLCV_OK;
    }
    each = samples * p * d;
    if (!sslcv__multiply(each, branch->num_views, &total)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "the output of a branch is too large");
    }
    SSLCV__TRY(sslcv__buffer_reserve(trainer->object.context, joined, total));
    for (i = 0; i < link->num_passes; i++) {
        const sslcv__train_pass *pass = &link->passes[i];

        SSLCV__TRY(get(pass->tape, &given));
        positions_of(&given, is_map, &next_p, &next_d);
        if (next_p != p || next_d != d) {
            return sslcv__invalid(
                "view %lld gives %lld positions of %lld values, view %lld %lld of %lld; must be equal "
                "in a branch",
                (long long)branch->views[link->passes[0].members[0]], (long long)p, (long long)d,
                (long long)branch->views[pass->members[0]], (long long)next_p, (long long)next_d);
        }
        for (k = 0; k < pass->count; k++) {
            const float *src = (const float *)given.data + k * each;
            float *dst = joined->data + pass->members[k] * each;

            if (is_map) {
                turn(src, dst, samples, d, p);
            } else {
                memcpy(dst, src, (size_t)each * sizeof *dst);
            }
        }
    }
    set_axes(out, joined->data, branch->num_views, samples, p, d);
end:
    return status;
}

/* The part of gradient (V, N, P, D) that belongs to a pass, in the order of its output. */
static sslcv_status split(sslcv_trainer *trainer, const sslcv__train_pass *pass, sslcv__link *link,
                          const sslcv_tensor *gradient, int is_map, sslcv_tensor *out)
{
    const int64_t samples = gradient->shape[1], p = gradient->shape[2], d = gradient->shape[3];
    const int64_t each = samples * p * d;
    const float *all = gradient->data;
    const int together = pass->members[pass->count - 1] - pass->members[0] == pass->count - 1;
    sslcv_status status;
    int64_t k;

    if (together && !is_map) {
        /* A tensor that is read is never written, though its data is not const. */
        set_axes(out, (float *)gradient->data + pass->members[0] * each, pass->count, samples, p, d);
        return SSLCV_OK;
    }
    status = sslcv__buffer_reserve(trainer->object.context, &link->split, pass->count * each);
    if (status != SSLCV_OK) return status;
    for (k = 0; k < pass->count; k++) {
        float *dst = link->split.data + k * each;

        if (is_map) {
            turn(all + pass->members[k] * each, dst, samples, p, d);
        } else {
            memcpy(dst, all + pass->members[k] * each, (size_t)each * sizeof *dst);
        }
    }
    set_axes(out, link->split.data, pass->count, samples, p, d);
    return SSLCV_OK;
}

/* ---- forward ---- */

static int is_map(const sslcv__branch *branch, const sslcv__link *link)
{
    return link->backbone && (branch->flags & SSLCV_PASS_MAP);
}

/* Nothing is kept for a backward that no loss asks for. */
static sslcv_status make_pass(const sslcv__branch *branch, const sslcv__link *link, sslcv_pass *pass)
{
    const sslcv_status status = sslcv_pass_init(pass, sizeof *pass);

    if (status != SSLCV_OK) return status;
    pass->flags = branch->flags;
    if (!branch->learns) pass->flags &= ~SSLCV_PASS_GRADIENT;
    if (link->head) pass->flags &= ~SSLCV_PASS_MAP;
    if (link->backbone) pass->stage = branch->stage;
    return SSLCV_OK;
}

static sslcv_status forward_backbone(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__feed *feed,
                                     sslcv__link *link)
{
    sslcv_tensor images;
    sslcv_pass pass;
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(make_pass(branch, link, &pass));
    SSLCV__TRY(group_views(trainer, branch, feed, link));
    for (i = 0; i < link->num_passes; i++) {
        sslcv__train_pass *run = &link->passes[i];

        SSLCV__TRY(ready_tape(trainer, run));
        SSLCV__TRY(gather_views(trainer, branch, feed, run->members, run->count, &images));
        SSLCV__TRY(sslcv_backbone_forward(link->backbone, &images, &pass, run->tape));
    }
    SSLCV__TRY(
        join(trainer, branch, link, feed->size, is_map(branch, link), sslcv_tape_output, &link->joined, &link->output));
end:
    return status;
}

static sslcv_status forward_head(sslcv_trainer *trainer, const sslcv__branch *branch, const sslcv_tensor *input,
                                 sslcv__link *link)
{
    const int64_t n = input->shape[1], p = input->shape[2], d = input->shape[3];
    sslcv_tensor rows;
    sslcv_pass pass;
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(make_pass(branch, link, &pass));
    group_rows(branch, link);
    for (i = 0; i < link->num_passes; i++) {
        sslcv__train_pass *run = &link->passes[i];

        SSLCV__TRY(ready_tape(trainer, run));
        set_axes(&rows, (float *)input->data + run->members[0] * n * p * d, run->count, n, p, d);
        SSLCV__TRY(sslcv_head_forward(link->head, &rows, &pass, run->tape));
    }
    SSLCV__TRY(join(trainer, branch, link, n, 0, sslcv_tape_output, &link->joined, &link->output));
end:
    return status;
}

/* Pixels as embeddings: all views of a branch, (V, N, 1, C * H * W). */
static sslcv_status gather_pixels(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__feed *feed,
                                  sslcv_tensor *pixels)
{
    sslcv_tensor first, next;
    int64_t *members = branch->links[0].passes[0].members;
    sslcv_status status;
    int64_t v, d;

    SSLCV__TRY(view_shape(trainer, feed, branch->views[0], &first));
    for (v = 0; v < branch->num_views; v++) {
        SSLCV__TRY(view_shape(trainer, feed, branch->views[v], &next));
        if (!same_image_shape(&first, &next)) {
            return sslcv__invalid(
                "views %lld and %lld have different shapes; a branch without backbone needs equal ones",
                (long long)branch->views[0], (long long)branch->views[v]);
        }
        members[v] = v;
    }
    SSLCV__TRY(gather_views(trainer, branch, feed, members, branch->num_views, pixels));
    d = pixels->shape[1] * pixels->shape[2] * pixels->shape[3];
    if (!sslcv__tensor_is_dense(pixels)) { /* one view of the host's, as it lies there */
        sslcv_tensor dense;

        SSLCV__TRY(sslcv__buffer_reserve(trainer->object.context, &branch->pixels, feed->size * d));
        sslcv__tensor_set(&dense, SSLCV_F32, branch->pixels.data, 4, pixels->shape);
        sslcv__tensor_copy(pixels, &dense);
        *pixels = dense;
    }
    set_axes(pixels, pixels->data, branch->num_views, feed->size, 1, d);
end:
    return status;
}

sslcv_status sslcv__branch_forward(sslcv_trainer *trainer, int64_t index, const sslcv__feed *feed)
{
    sslcv__branch *branch = &trainer->branches[index];
    sslcv_tensor pixels;
    const sslcv_tensor *input = &pixels;
    sslcv_status status = SSLCV_OK;
    int64_t i = 0;

    branch->has_gradient = 0;
    if (branch->source >= 0) {
        input = sslcv__branch_output(trainer, branch->source);
    } else if (branch->links[0].backbone) {
        SSLCV__TRY(forward_backbone(trainer, branch, feed, &branch->links[0]));
        input = &branch->links[i++].output;
    } else {
        SSLCV__TRY(gather_pixels(trainer, branch, feed, &pixels));
    }
    for (; i < branch->num_links; i++) {
        SSLCV__TRY(forward_head(trainer, branch, input, &branch->links[i]));
        input = &branch->links[i].output;
    }
end:
    return status;
}

/* ---- backward ---- */

/* Add to the gradient of a branch's output; the first to come sets it. */
static sslcv_status add_gradient(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv_tensor *gradient)
{
    const int64_t count = sslcv__tensor_count(gradient);
    const float *src = gradient->data;
    const sslcv_status status = sslcv__buffer_reserve(trainer->object.context, &branch->gradient, count);
    int64_t i;

    if (status != SSLCV_OK) return status;
    if (branch->has_gradient) {
        for (i = 0; i < count; i++) branch->gradient.data[i] += src[i];
    } else {
        memcpy(branch->gradient.data, src, (size_t)count * sizeof *src);
    }
    branch->has_gradient = 1;
    return SSLCV_OK;
}

sslcv_status sslcv__branch_backward(sslcv_trainer *trainer, int64_t index)
{
    sslcv__branch *branch = &trainer->branches[index];
    sslcv__branch *source = branch->source >= 0 && !branch->detach ? &trainer->branches[branch->source] : NULL;
    sslcv_tensor gradient = *sslcv__branch_output(trainer, index), part;
    sslcv_status status = SSLCV_OK;
    int64_t i, k;

    if (!branch->learns || !branch->has_gradient) return SSLCV_OK;
    gradient.data = branch->gradient.data;
    for (i = branch->num_links - 1; i >= 0; i--) {
        sslcv__link *link = &branch->links[i];

        for (k = link->num_passes - 1; k >= 0; k--) {
            SSLCV__TRY(split(trainer, &link->passes[k], link, &gradient, is_map(branch, link), &part));
            SSLCV__TRY(sslcv_tape_backward(link->passes[k].tape, &part));
        }
        if (i > 0 || (source && source->learns)) {
            SSLCV__TRY(
                join(trainer, branch, link, gradient.shape[1], 0, sslcv_tape_diff_input, &link->diff_input, &gradient));
        }
    }
    if (source && source->learns) SSLCV__TRY(add_gradient(trainer, source, &gradient));
end:
    return status;
}
