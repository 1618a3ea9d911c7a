/** The augmenter: how views are made, and what shapes they have. */
#include "augment/views.h"

#include "core/memory.h"
#include "core/options.h"

#include <string.h>

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
        sslcv__augment_view *v = &augmenter->views[--augmenter->num_views];

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

sslcv_status sslcv__augmenter_check_view(const sslcv_augmenter *augmenter, int64_t view)
{
    if (view >= 0 && view < augmenter->num_views) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "view is %lld; the augmenter has %lld views", (long long)view,
                       (long long)augmenter->num_views);
}

sslcv_status sslcv_augmenter_add_view(sslcv_augmenter *augmenter, int64_t source, int64_t *index)
{
    sslcv_status status;
    sslcv__augment_view *v;

    SSLCV__TRY(check_open(augmenter));
    if (source != SSLCV_SOURCE_IMAGE && (source < 0 || source >= augmenter->num_views)) {
        return sslcv__invalid("source is %lld; must be SSLCV_SOURCE_IMAGE or a view below %lld", (long long)source,
                              (long long)augmenter->num_views);
    }
    SSLCV__TRY(sslcv__grow_array(augmenter->object.context, augmenter->num_views, augmenter->num_views + 1, sizeof *v,
                                 (void **)&augmenter->views));
    v = &augmenter->views[augmenter->num_views];
    v->source = source;
    v->rows = v->columns = 1;
    v->cut_at = -1;
    if (source != SSLCV_SOURCE_IMAGE) {
        sslcv__augment_view *from = &augmenter->views[source];

        from->continued = 1;
        v->rows = from->rows;
        v->columns = from->columns;
        v->is_cut = from->is_cut;
    }
    if (index) *index = augmenter->num_views;
    augmenter->num_views++;
end:
    return status;
}

/** What a transform asks of the chain that it follows, as far as it is known without an image. */
static sslcv_status check_place(const sslcv_augmenter *augmenter, int64_t index, const sslcv_transform *t)
{
    const sslcv__transform_class *class = sslcv__transform_class_of(t->kind);
    const sslcv__augment_view *v = &augmenter->views[index];
    int64_t shape[3] = {0, 0, 0};
    sslcv_status status;

    if (t->with_previous && v->num_transforms == 0) {
        return sslcv__invalid("%s.with_previous is 1; must be 0 for the first transform of a view", class->name);
    }
    if (t->kind == SSLCV_TRANSFORM_PATCHES && v->is_cut) {
        return sslcv__fail(SSLCV_ERR_STATE, "the view is patches already; they can't be cut into patches");
    }
    SSLCV__TRY(sslcv__augmenter_shape_of(augmenter, index, shape));
    if (class->shape) SSLCV__TRY(class->shape(t, shape));
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

sslcv_status sslcv_augmenter_add_transform(sslcv_augmenter *augmenter, int64_t index, const sslcv_transform *transform)
{
    sslcv_transform t = {0};
    sslcv_status status;
    sslcv__augment_view *v;

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
    SSLCV__TRY(check_place(augmenter, index, &t));
    SSLCV__TRY(sslcv__grow_array(augmenter->object.context, v->num_transforms, v->num_transforms + 1, sizeof t,
                                 (void **)&v->transforms));
    if (t.callbacks) {
        SSLCV__TRY(copy_callbacks(augmenter->object.context, &t));
        if (t.callbacks->flags != SSLCV_CALLBACK_ANY_THREAD) augmenter->any_thread = 0;
    }
    if (t.kind == SSLCV_TRANSFORM_PATCHES) {
        v->rows = t.rows;
        v->columns = t.columns;
        v->cut_at = v->num_transforms;
        v->is_cut = 1;
    }
    v->transforms[v->num_transforms++] = t;
end:
    return status;
}

/* ---- shapes ---- */

/** The view that lies depth steps before a view, towards the image. */
static const sslcv__augment_view *ancestor(const sslcv_augmenter *augmenter, int64_t index, int64_t depth)
{
    for (; depth > 0; depth--) index = augmenter->views[index].source;
    return &augmenter->views[index];
}

sslcv_status sslcv__augmenter_shape_of(const sslcv_augmenter *augmenter, int64_t index, int64_t shape[3])
{
    int64_t depth = 0, at, i;
    sslcv_status status = SSLCV_OK;

    for (at = index; augmenter->views[at].source != SSLCV_SOURCE_IMAGE; at = augmenter->views[at].source) depth++;
    for (; depth >= 0; depth--) {
        const sslcv__augment_view *v = ancestor(augmenter, index, depth);

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
    SSLCV__TRY(sslcv__augmenter_check_view(augmenter, index));
    SSLCV__TRY(sslcv__augmenter_shape_of(augmenter, index, shape));
    full.channels = shape[0];
    full.height = shape[1];
    full.width = shape[2];
    full.rows = augmenter->views[index].rows;
    full.columns = augmenter->views[index].columns;
    SSLCV__TRY(sslcv__struct_fill("view_info", info, sizeof full, &full, sizeof full));
end:
    return status;
}

sslcv_status sslcv__augmenter_view_shape(const sslcv_augmenter *augmenter, int64_t index, const int64_t image[3],
                                         int64_t shape[4])
{
    int64_t made[3] = {image[0], image[1], image[2]};
    sslcv_status status;

    SSLCV__TRY(sslcv__augmenter_check_view(augmenter, index));
    SSLCV__TRY(sslcv__augmenter_shape_of(augmenter, index, made));
    if (made[0] == 0 || made[1] == 0 || made[2] == 0) {
        return sslcv__invalid("the shape of view %lld depends on the images', which differ or are not known",
                              (long long)index);
    }
    shape[0] = augmenter->views[index].rows * augmenter->views[index].columns;
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
