/**
 * The augmenter at work: chains, one view after the other.
 *
 * A view of patches runs the transforms before the cut on the image. What they leave stays in a slot of its own, and
 * each patch begins as a part of it, read where it lies, and runs the rest of the chain.
 */
#include "augment/views.h"

#include "core/object.h"
#include "core/tensor.h"

#include <string.h>

static int is_finite_image(const sslcv_tensor *image)
{
    int64_t c, y, x;
    float bad = 0.0f;

    for (c = 0; c < image->shape[0]; c++) {
        for (y = 0; y < image->shape[1]; y++) {
            const float *row = (const float *)image->data + c * image->strides[0] + y * image->strides[1];
            const int64_t step = image->strides[2];

#pragma omp simd reduction(+ : bad)
            for (x = 0; x < image->shape[2]; x++) bad += row[x * step] * 0.0f; /* 0, or not a number */
        }
    }
    return bad == 0.0f;
}

static sslcv_status check_image(const sslcv_tensor *image)
{
    static const int64_t any[3] = {-1, -1, -1};
    const sslcv_status status = sslcv__tensor_check_shape(image, "image", 3, any);
    int i;

    if (status != SSLCV_OK) return status;
    if (image->dtype != SSLCV_U8 && image->dtype != SSLCV_U16 && image->dtype != SSLCV_F32) {
        return sslcv__invalid("image.dtype is %s; must be u8, u16 or f32", sslcv__dtype_name(image->dtype));
    }
    if (image->shape[0] < 1 || image->shape[0] > SSLCV_MAX_CHANNELS) {
        return sslcv__invalid("image has %lld channels; must be 1 .. %d", (long long)image->shape[0],
                              SSLCV_MAX_CHANNELS);
    }
    for (i = 1; i < 3; i++) {
        if (image->shape[i] < 1 || image->shape[i] > INT32_MAX) {
            return sslcv__invalid("image.shape[%d] is %lld; must be 1 .. 2^31 - 1", i, (long long)image->shape[i]);
        }
    }
    return SSLCV_OK;
}

/** Transforms of a view to be run: first .. end - 1, on one patch. */
typedef struct part {
    const sslcv__augment_view *view;
    uint64_t seed;  /* of the sample */
    uint32_t index; /* of the view */
    uint32_t patch;
    int64_t first, end;
    float *out; /* where the last transform may leave the picture; NULL: nowhere */
} part;

static void start_stream(const part *p, int64_t transform, sslcv__rng *rng)
{
    sslcv__rng_init(rng, p->seed, (uint64_t)p->patch << 32 | (uint64_t)transform, p->index);
}

static sslcv_status run_part(const part *p, sslcv__picture *picture)
{
    sslcv_status status = SSLCV_OK;
    int is_applied = 1;
    sslcv__rng rng;
    int64_t i;

    for (i = p->first; i < p->end; i++) {
        const sslcv_transform *t = &p->view->transforms[i];
        const sslcv__transform_class *class = sslcv__transform_class_of(t->kind);
        int64_t shape[3];

        memcpy(shape, picture->now.shape, sizeof shape);
        if (class->shape) SSLCV__TRY(class->shape(t, shape));
        start_stream(p, i, &rng);
        if (!t->with_previous) is_applied = sslcv__rng_uniform(&rng) < t->probability;
        if (!is_applied) continue;
        if (i == p->view->num_transforms - 1) {
            picture->out = p->out;
            picture->out_floats = shape[0] * shape[1] * shape[2];
        }
        SSLCV__TRY(class->apply(t, &rng, picture));
    }
end:
    return status;
}

/** The last step, unless a transform has done it: what is still the source is converted on the way. */
static void store(const sslcv__picture *picture, float *out)
{
    const sslcv__box all = {0, 0, picture->now.shape[1], picture->now.shape[2]};

    if (picture->now.data == out) return;
    if (picture->slot >= 0)
        memcpy(out, picture->now.data, (size_t)sslcv__tensor_count(&picture->now) * sizeof *out);
    else
        sslcv__crop(&picture->now, &all, out);
}

/** A view of this run. */
typedef struct result {
    sslcv_tensor pixels; /* dense f32, once made; of the first patch */
    float *out;          /* the caller's; NULL: only other views continue from it */
    int64_t needed;
} result;

static sslcv_status make_whole(const part *p, const sslcv_tensor *source, sslcv__augment_scratch *scratch, result *r)
{
    sslcv__picture picture = {.now = *source, .scratch = scratch, .slot = -1};
    sslcv_status status;

    SSLCV__TRY(run_part(p, &picture));
    if (!r->out) {
        SSLCV__TRY(sslcv__scratch_room(scratch, SSLCV__NUM_SLOTS + p->index,
                                       sslcv__tensor_count(&picture.now) * (int64_t)sizeof *r->out, &r->out));
    }
    store(&picture, r->out);
    sslcv__tensor_set(&r->pixels, SSLCV_F32, r->out, 3, picture.now.shape);
end:
    return status;
}

/** A view's patches: how many, and where they come from. */
typedef struct patches {
    int64_t count;
    int64_t shape[3];             /* of one in the result */
    sslcv_tensor source;          /* the image that they are cut out of; of a source that is patches: the first */
    const sslcv__corner *corners; /* in the image; NULL: the source is patches */
    int64_t height, width;        /* of one in the image */
} patches;

/** What lies before the cut, and where to cut. */
static sslcv_status prepare_cut(const part *p, sslcv__augment_scratch *scratch, patches *cut)
{
    const sslcv_transform *t = &p->view->transforms[p->view->cut_at];
    sslcv__picture picture = {.now = cut->source, .scratch = scratch, .slot = -1};
    part before = *p;
    sslcv__corner *corners;
    sslcv_status status;
    sslcv__rng rng;

    before.end = p->view->cut_at;
    before.out = NULL;
    SSLCV__TRY(run_part(&before, &picture));
    SSLCV__TRY(sslcv__scratch_room(scratch, SSLCV__SLOT_PATCHES,
                                   cut->count * (int64_t)(sizeof *corners + sizeof(int64_t)), &corners));
    if (picture.slot >= 0) sslcv__scratch_swap(scratch, picture.slot, SSLCV__SLOT_WHOLE); /* out of the patches' way */
    start_stream(p, p->view->cut_at, &rng);
    sslcv__draw_patches(t, &rng, picture.now.shape[1], picture.now.shape[2], corners,
                        (int64_t *)(void *)(corners + cut->count));
    cut->source = picture.now;
    cut->corners = corners;
    cut->height = t->height;
    cut->width = t->width;
end:
    return status;
}

static sslcv_tensor patch_of(const patches *cut, int64_t index)
{
    sslcv_tensor patch = cut->source;
    int64_t offset;

    if (cut->corners) {
        offset = cut->corners[index].top * patch.strides[1] + cut->corners[index].left * patch.strides[2];
        patch.shape[1] = cut->height;
        patch.shape[2] = cut->width;
    } else {
        offset = index * sslcv__tensor_count(&patch);
    }
    patch.data = (char *)patch.data + offset * sslcv_dtype_size(patch.dtype);
    return patch;
}

static sslcv_status make_patches(part *p, patches *cut, sslcv__augment_scratch *scratch, result *r)
{
    const int64_t floats = cut->shape[0] * cut->shape[1] * cut->shape[2];
    sslcv_status status = SSLCV_OK;
    int64_t i;

    if (p->view->cut_at >= 0) SSLCV__TRY(prepare_cut(p, scratch, cut));
    if (!r->out) {
        SSLCV__TRY(sslcv__scratch_room(scratch, SSLCV__NUM_SLOTS + p->index,
                                       cut->count * floats * (int64_t)sizeof *r->out, &r->out));
    }
    p->first = p->view->cut_at + 1;
    for (i = 0; i < cut->count; i++) {
        sslcv__picture picture = {.now = patch_of(cut, i), .scratch = scratch, .slot = -1};

        p->patch = (uint32_t)i;
        p->out = r->out + i * floats;
        SSLCV__TRY(run_part(p, &picture));
        store(&picture, p->out);
    }
    sslcv__tensor_set(&r->pixels, SSLCV_F32, r->out, 3, cut->shape);
end:
    return status;
}

static sslcv_status make_view(const sslcv_augmenter *augmenter, sslcv__augment_scratch *scratch,
                              const sslcv_tensor *image, uint64_t seed, int64_t index, result *results)
{
    const sslcv__augment_view *v = &augmenter->views[index];
    const sslcv_tensor *source = v->source == SSLCV_SOURCE_IMAGE ? image : &results[v->source].pixels;
    part p = {.view = v, .seed = seed, .index = (uint32_t)index, .end = v->num_transforms};
    patches cut = {.count = v->rows * v->columns, .source = *source};
    sslcv_status status;

    if (!v->is_cut) {
        p.out = results[index].out;
        return make_whole(&p, source, scratch, &results[index]);
    }
    memcpy(cut.shape, image->shape, sizeof cut.shape);
    status = sslcv__augmenter_shape_of(augmenter, index, cut.shape);
    if (status != SSLCV_OK) return status;
    return make_patches(&p, &cut, scratch, &results[index]);
}

sslcv_status sslcv__augmenter_run(const sslcv_augmenter *augmenter, sslcv__augment_scratch *scratch,
                                  const sslcv_tensor *image, uint64_t seed, int64_t epoch, int64_t sample,
                                  const int64_t *views, int64_t num_views, float *const *outs)
{
    const uint64_t epoch_seed = sslcv__rng_derive(seed, (uint64_t)epoch, SSLCV__STREAM_VIEWS);
    const uint64_t sample_seed = sslcv__rng_derive(epoch_seed, (uint64_t)sample, 0);
    const int64_t bytes = augmenter->num_views * (int64_t)sizeof(result);
    sslcv_status status;
    result *results;
    int64_t i, at;

    SSLCV__TRY(check_image(image));
    if (image->dtype == SSLCV_F32 && !is_finite_image(image)) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "the image has a value that is not finite");
    }
    SSLCV__TRY(sslcv__scratch_room(scratch, SSLCV__SLOT_RESULTS, bytes, &results));
    memset(results, 0, (size_t)bytes);
    for (i = 0; i < num_views; i++) {
        SSLCV__TRY(sslcv__augmenter_check_view(augmenter, views[i]));
        results[views[i]].out = outs[i];
        for (at = views[i]; at != SSLCV_SOURCE_IMAGE; at = augmenter->views[at].source) results[at].needed = 1;
    }
    for (at = 0; at < augmenter->num_views; at++) {
        if (results[at].needed) SSLCV__TRY(make_view(augmenter, scratch, image, sample_seed, at, results));
    }
end:
    return status;
}

/** Patches of which a later one may fail: out is set when all are made. */
static sslcv_status run_apart(const sslcv_augmenter *augmenter, sslcv__augment_scratch *scratch,
                              const sslcv_tensor *image, uint64_t seed, int64_t epoch, int64_t sample, int64_t view,
                              sslcv_tensor *out)
{
    const int64_t bytes = sslcv__tensor_count(out) * (int64_t)sizeof(float);
    sslcv_status status;
    float *room;

    SSLCV__TRY(sslcv__scratch_room(scratch, SSLCV__SLOT_ANSWER, bytes, &room));
    SSLCV__TRY(sslcv__augmenter_run(augmenter, scratch, image, seed, epoch, sample, &view, 1, &room));
    memcpy(out->data, room, (size_t)bytes);
end:
    return status;
}

sslcv_status sslcv_augmenter_apply(sslcv_augmenter *augmenter, const sslcv_tensor *image, uint64_t seed, int64_t epoch,
                                   int64_t sample, int64_t view, sslcv_tensor *out)
{
    sslcv__augment_scratch *scratch = NULL;
    int64_t shape[4];
    sslcv_status status;
    float *data;
    int asks;

    SSLCV__TRY(sslcv__check(augmenter, SSLCV__AUGMENTER, "augmenter"));
    SSLCV__TRY(sslcv__augmenter_check_view(augmenter, view));
    SSLCV__TRY(check_image(image));
    if (epoch < 0) return sslcv__invalid("epoch is %lld; must be >= 0", (long long)epoch);
    if (sample < 0) return sslcv__invalid("sample is %lld; must be >= 0", (long long)sample);
    SSLCV__TRY(sslcv__augmenter_view_shape(augmenter, view, image->shape, shape));
    if (shape[0] > 1)
        SSLCV__TRY(sslcv__tensor_answer(out, "out", SSLCV_F32, 4, shape, &asks));
    else
        SSLCV__TRY(sslcv__tensor_answer(out, "out", SSLCV_F32, 3, shape + 1, &asks));
    if (asks) return SSLCV_OK;
    if (!sslcv__tensor_is_dense(out)) return sslcv__invalid("out is not dense");

    sslcv__augmenter_fix(augmenter);
    data = out->data;
    scratch = atomic_exchange(&augmenter->spare, NULL);
    if (!scratch) SSLCV__TRY(sslcv__augment_scratch_create(augmenter->object.context, &scratch));
    if (shape[0] > 1)
        SSLCV__TRY(run_apart(augmenter, scratch, image, seed, epoch, sample, view, out));
    else
        SSLCV__TRY(sslcv__augmenter_run(augmenter, scratch, image, seed, epoch, sample, &view, 1, &data));
end:
    if (scratch) sslcv__augment_scratch_free(atomic_exchange(&augmenter->spare, scratch));
    return status;
}
