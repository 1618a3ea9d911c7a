#include "augment/transform.h"

#include "core/memory.h"
#include "core/object.h"
#include "core/options.h"
#include "core/tensor.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

struct view {
    int64_t source; /* SSLCV_SOURCE_IMAGE or an earlier view */
    int64_t num_transforms;
    sslcv_transform *transforms; /* their callback tables are copies of ours */
    int32_t continued;           /* 1: another view starts from its result */
    int32_t reserved;
};

struct sslcv_augmenter {
    sslcv__object object;
    struct view *views;
    int64_t num_views;
    atomic_int fixed;                        /* 1: has been used */
    _Atomic(sslcv__augment_scratch *) spare; /* for the next sslcv_augmenter_apply(); NULL: none, or in use */
    int32_t any_thread;                      /* 0: some callback must stay on the caller's thread */
};

/* ---- making ---- */

static void free_transform(sslcv_context *context, const sslcv_transform *t)
{
    void *table = NULL;

    if (!t->callbacks) return;
    if (t->callbacks->destroy) t->callbacks->destroy(t->callbacks->user);
    memcpy(&table, &t->callbacks, sizeof table);
    sslcv__free(context, table);
}

void sslcv__augmenter_drop_views(sslcv_augmenter *augmenter, int64_t keep)
{
    sslcv_context *context = augmenter->object.context;
    int64_t i;

    while (augmenter->num_views > keep) {
        struct view *v = &augmenter->views[--augmenter->num_views];

        for (i = 0; i < v->num_transforms; i++) free_transform(context, &v->transforms[i]);
        sslcv__free(context, v->transforms);
    }
}

static void release(void *self)
{
    sslcv_augmenter *augmenter = self;

    sslcv__augmenter_drop_views(augmenter, 0);
    sslcv__free(augmenter->object.context, augmenter->views);
    sslcv__augment_scratch_free(atomic_load(&augmenter->spare));
}

sslcv_status sslcv_augmenter_create(sslcv_context *context, sslcv_augmenter **augmenter)
{
    sslcv_augmenter *made;
    sslcv_status status = sslcv__check(context, SSLCV__CONTEXT, "context");

    if (status != SSLCV_OK) return status;
    if (!augmenter) return sslcv__null("augmenter");
    status = sslcv__object_create(context, SSLCV__AUGMENTER, sizeof *made, release, &made);
    if (status != SSLCV_OK) return status;
    atomic_init(&made->fixed, 0);
    atomic_init(&made->spare, NULL);
    made->any_thread = 1;
    *augmenter = made;
    return SSLCV_OK;
}

void sslcv_augmenter_destroy(sslcv_augmenter *augmenter)
{
    sslcv__destroy(augmenter, SSLCV__AUGMENTER);
}

static sslcv_status check_open(const sslcv_augmenter *augmenter)
{
    const sslcv_status status = sslcv__check(augmenter, SSLCV__AUGMENTER, "augmenter");

    if (status != SSLCV_OK || !atomic_load(&augmenter->fixed)) return status;
    return sslcv__fail(SSLCV_ERR_STATE, "augmenter has been used; nothing can be added any more");
}

static sslcv_status check_view(const sslcv_augmenter *augmenter, int64_t view)
{
    if (view >= 0 && view < augmenter->num_views) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "view is %lld; the augmenter has %lld views", (long long)view,
                       (long long)augmenter->num_views);
}

sslcv_status sslcv_augmenter_add_view(sslcv_augmenter *augmenter, int64_t source, int64_t *index)
{
    sslcv_status status;
    struct view *v;

    SSLCV__TRY(check_open(augmenter));
    if (source != SSLCV_SOURCE_IMAGE && (source < 0 || source >= augmenter->num_views)) {
        return sslcv__invalid("source is %lld; must be SSLCV_SOURCE_IMAGE or a view below %lld", (long long)source,
                              (long long)augmenter->num_views);
    }
    SSLCV__TRY(sslcv__grow_array(augmenter->object.context, augmenter->num_views, augmenter->num_views + 1, sizeof *v,
                                 (void **)&augmenter->views));
    v = &augmenter->views[augmenter->num_views];
    v->source = source;
    if (source != SSLCV_SOURCE_IMAGE) augmenter->views[source].continued = 1;
    if (index) *index = augmenter->num_views;
    augmenter->num_views++;
end:
    return status;
}

/** t->callbacks becomes a copy. */
static sslcv_status copy_callbacks(sslcv_context *context, sslcv_transform *t)
{
    sslcv_transform_callbacks read = {0}, *copy;
    sslcv_status status;

    SSLCV__TRY(sslcv__options_read("transform_callbacks", t->callbacks, sizeof read, &read, sizeof read));
    if (!read.apply) return sslcv__null("transform_callbacks.apply");
    if (read.flags != 0 && read.flags != SSLCV_CALLBACK_ANY_THREAD) {
        return sslcv__invalid("transform_callbacks.flags is %d; must be 0 or SSLCV_CALLBACK_ANY_THREAD", read.flags);
    }
    if (read.reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "transform_callbacks.reserved is not 0");
    SSLCV__TRY(sslcv__alloc(context, sizeof *copy, (void **)&copy));
    *copy = read;
    t->callbacks = copy;
end:
    return status;
}

sslcv_status sslcv_augmenter_add(sslcv_augmenter *augmenter, int64_t index, const sslcv_transform *transform)
{
    sslcv_transform t = {0};
    sslcv_status status;
    struct view *v;

    SSLCV__TRY(check_open(augmenter));
    if (index < 0 || index >= augmenter->num_views) {
        return sslcv__invalid("view is %lld; must be 0 .. %lld", (long long)index, (long long)augmenter->num_views - 1);
    }
    v = &augmenter->views[index];
    if (v->continued) {
        return sslcv__fail(SSLCV_ERR_STATE,
                           "another view continues from view %lld; nothing can be added to it any more",
                           (long long)index);
    }
    if (!transform) return sslcv__null("transform");
    SSLCV__TRY(sslcv__options_read("transform", transform, sizeof t, &t, sizeof t));
    SSLCV__TRY(sslcv__transform_check(&t));
    SSLCV__TRY(sslcv__grow_array(augmenter->object.context, v->num_transforms, v->num_transforms + 1, sizeof t,
                                 (void **)&v->transforms));
    if (t.callbacks) {
        SSLCV__TRY(copy_callbacks(augmenter->object.context, &t));
        if (t.callbacks->flags != SSLCV_CALLBACK_ANY_THREAD) augmenter->any_thread = 0;
    }
    v->transforms[v->num_transforms++] = t;
end:
    return status;
}

/* ---- shapes ---- */

/** The view that lies depth steps before a view, towards the image. */
static const struct view *ancestor(const sslcv_augmenter *augmenter, int64_t index, int64_t depth)
{
    for (; depth > 0; depth--) index = augmenter->views[index].source;
    return &augmenter->views[index];
}

/** shape, in: of the image, 0 where not known; out: of the view, 0 where it depends on that. */
static sslcv_status shape_of(const sslcv_augmenter *augmenter, int64_t index, int64_t shape[3])
{
    int64_t depth = 0, at, i;
    sslcv_status status = SSLCV_OK;

    for (at = index; augmenter->views[at].source != SSLCV_SOURCE_IMAGE; at = augmenter->views[at].source) depth++;
    for (; depth >= 0; depth--) {
        const struct view *v = ancestor(augmenter, index, depth);

        for (i = 0; i < v->num_transforms; i++) {
            const sslcv__transform_class *class = sslcv__transform_class_of(v->transforms[i].kind);

            if (class->shape) SSLCV__TRY(class->shape(&v->transforms[i], shape));
        }
    }
end:
    return status;
}

sslcv_status sslcv_augmenter_get_view(const sslcv_augmenter *augmenter, int64_t index, sslcv_view_info *info)
{
    sslcv_view_info full = {0};
    int64_t shape[3] = {0, 0, 0};
    sslcv_status status;

    SSLCV__TRY(sslcv__check(augmenter, SSLCV__AUGMENTER, "augmenter"));
    SSLCV__TRY(check_view(augmenter, index));
    SSLCV__TRY(shape_of(augmenter, index, shape));
    full.channels = shape[0];
    full.height = shape[1];
    full.width = shape[2];
    SSLCV__TRY(sslcv__struct_fill("view_info", info, sizeof full, &full, sizeof full));
end:
    return status;
}

sslcv_status sslcv__augmenter_view_shape(const sslcv_augmenter *augmenter, int64_t index, const int64_t image[3],
                                         int64_t shape[4])
{
    int64_t made[3] = {image[0], image[1], image[2]};
    sslcv_status status;

    SSLCV__TRY(check_view(augmenter, index));
    SSLCV__TRY(shape_of(augmenter, index, made));
    if (made[0] == 0 || made[1] == 0 || made[2] == 0) {
        return sslcv__invalid("the shape of view %lld depends on the images', which differ or are not known",
                              (long long)index);
    }
    shape[0] = 1;
    memcpy(shape + 1, made, sizeof made);
end:
    return status;
}

int64_t sslcv__augmenter_num_views(const sslcv_augmenter *augmenter)
{
    return augmenter->num_views;
}

int sslcv__augmenter_any_thread(const sslcv_augmenter *augmenter)
{
    return augmenter->any_thread;
}

void sslcv__augmenter_fix(sslcv_augmenter *augmenter)
{
    atomic_store(&augmenter->fixed, 1);
}

/* ---- running ---- */

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

/**
 * One view's chain, from its source to the picture.
 *
 * @param seed Of this view of this sample.
 * @param out  Where the last transform may leave the picture; NULL: nowhere.
 */
static sslcv_status run_chain(const struct view *v, int64_t index, uint64_t seed, float *out, sslcv__picture *picture)
{
    sslcv_status status = SSLCV_OK;
    sslcv__rng rng;
    int64_t i;

    for (i = 0; i < v->num_transforms; i++) {
        const sslcv_transform *t = &v->transforms[i];
        const sslcv__transform_class *class = sslcv__transform_class_of(t->kind);
        int64_t shape[3];

        memcpy(shape, picture->now.shape, sizeof shape);
        if (class->shape) SSLCV__TRY(class->shape(t, shape));
        sslcv__rng_init(&rng, seed, (uint64_t)i, (uint32_t)index);
        if (sslcv__rng_uniform(&rng) >= t->probability) continue;
        if (i == v->num_transforms - 1) {
            picture->out = out;
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
    sslcv_tensor pixels; /* dense f32, once made */
    float *out;          /* the caller's; NULL: only other views continue from it */
    int64_t needed;
} result;

static sslcv_status make_view(const sslcv_augmenter *augmenter, sslcv__augment_scratch *scratch,
                              const sslcv_tensor *image, uint64_t seed, int64_t index, result *results)
{
    const struct view *v = &augmenter->views[index];
    result *r = &results[index];
    sslcv__picture picture = {0};
    sslcv_status status;

    picture.now = v->source == SSLCV_SOURCE_IMAGE ? *image : results[v->source].pixels;
    picture.scratch = scratch;
    picture.slot = -1;
    SSLCV__TRY(run_chain(v, index, seed, r->out, &picture));
    if (!r->out) {
        SSLCV__TRY(sslcv__scratch_room(scratch, SSLCV__NUM_SLOTS + index,
                                       sslcv__tensor_count(&picture.now) * (int64_t)sizeof *r->out, &r->out));
    }
    store(&picture, r->out);
    sslcv__tensor_set(&r->pixels, SSLCV_F32, r->out, 3, picture.now.shape);
end:
    return status;
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
        SSLCV__TRY(check_view(augmenter, views[i]));
        results[views[i]].out = outs[i];
        for (at = views[i]; at != SSLCV_SOURCE_IMAGE; at = augmenter->views[at].source) results[at].needed = 1;
    }
    for (at = 0; at < augmenter->num_views; at++) {
        if (results[at].needed) SSLCV__TRY(make_view(augmenter, scratch, image, sample_seed, at, results));
    }
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
    SSLCV__TRY(check_view(augmenter, view));
    SSLCV__TRY(check_image(image));
    if (epoch < 0) return sslcv__invalid("epoch is %lld; must be >= 0", (long long)epoch);
    if (sample < 0) return sslcv__invalid("sample is %lld; must be >= 0", (long long)sample);
    SSLCV__TRY(sslcv__augmenter_view_shape(augmenter, view, image->shape, shape));
    SSLCV__TRY(sslcv__tensor_answer(out, "out", SSLCV_F32, 3, shape + 1, &asks));
    if (asks) return SSLCV_OK;
    if (!sslcv__tensor_is_dense(out)) return sslcv__invalid("out is not dense");

    sslcv__augmenter_fix(augmenter);
    data = out->data;
    scratch = atomic_exchange(&augmenter->spare, NULL);
    if (!scratch) SSLCV__TRY(sslcv__augment_scratch_create(augmenter->object.context, &scratch));
    SSLCV__TRY(sslcv__augmenter_run(augmenter, scratch, image, seed, epoch, sample, &view, 1, &data));
end:
    if (scratch) sslcv__augment_scratch_free(atomic_exchange(&augmenter->spare, scratch));
    return status;
}
