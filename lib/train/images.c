/* Views of a batch, from the loader or from the host, as what a branch takes. */
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

sslcv_status sslcv__feed_view(sslcv_trainer *trainer, const sslcv__feed *feed, int64_t view, sslcv_tensor *tensor)
{
    const int64_t patches = feed->views && feed->patches ? feed->patches[view] : 1;
    int64_t images = 0;
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
    if (patches < 1) {
        return sslcv__invalid("patches[%lld] is %lld; must be 1 or more", (long long)view, (long long)patches);
    }
    if (!sslcv__multiply(feed->size, patches, &images) || feed->views[view].shape[0] != images) {
        return sslcv__invalid(
            "views[%lld] has %lld images; the others have %lld samples, and it has %lld patches of each",
            (long long)view, (long long)feed->views[view].shape[0], (long long)feed->size, (long long)patches);
    }
    *tensor = feed->views[view];
    return SSLCV_OK;
}

sslcv_status sslcv__feed_shapes(sslcv_trainer *trainer, const sslcv__feed *feed, int *changed)
{
    sslcv_tensor view;
    sslcv_status status = SSLCV_OK;
    int64_t i;

    *changed = 0;
    for (i = 0; i < trainer->num_chosen; i++) {
        int64_t *shape = trainer->view_shapes[i];

        SSLCV__TRY(sslcv__feed_view(trainer, feed, trainer->chosen[i], &view));
        view.shape[0] /= feed->size;
        if (memcmp(shape, view.shape, sizeof trainer->view_shapes[i]) != 0) *changed = 1;
        memcpy(shape, view.shape, sizeof trainer->view_shapes[i]);
    }
end:
    return status;
}

/* A slice of a view: its samples with all their patches. */
static sslcv_status cut_view(sslcv_trainer *trainer, const sslcv__feed *feed, const sslcv__slice *slice, int64_t view,
                             sslcv_tensor *tensor)
{
    const sslcv_status status = sslcv__feed_view(trainer, feed, view, tensor);
    int64_t patches;

    if (status != SSLCV_OK) return status;
    patches = tensor->shape[0] / feed->size;
    tensor->data = (float *)tensor->data + slice->first * patches * tensor->strides[0];
    tensor->shape[0] = slice->count * patches;
    return SSLCV_OK;
}

sslcv_status sslcv__feed_images(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__feed *feed,
                                const sslcv__slice *slice, const int64_t *members, int64_t count, sslcv_tensor *images)
{
    sslcv_tensor first, next, dense;
    int64_t shape[4], each, total, i;
    sslcv_status status;
    int adjacent;

    SSLCV__TRY(cut_view(trainer, feed, slice, branch->views[members[0]], &first));
    *images = first;
    if (count == 1) return SSLCV_OK;
    memcpy(shape, first.shape, sizeof shape);
    each = sslcv__tensor_count(&first);
    adjacent = sslcv__tensor_is_dense(&first);
    for (i = 1; adjacent && i < count; i++) {
        SSLCV__TRY(cut_view(trainer, feed, slice, branch->views[members[i]], &next));
        adjacent = sslcv__tensor_is_dense(&next) && (float *)next.data == (float *)first.data + i * each;
    }
    if (!adjacent) {
        if (!sslcv__multiply(each, count, &total)) return sslcv__fail(SSLCV_ERR_LIMIT, "the views are too large");
        SSLCV__TRY(sslcv__buffer_reserve(trainer->object.context, &branch->pixels, total));
        for (i = 0; i < count; i++) {
            SSLCV__TRY(cut_view(trainer, feed, slice, branch->views[members[i]], &next));
            sslcv__tensor_set(&dense, SSLCV_F32, branch->pixels.data + i * each, 4, shape);
            sslcv__tensor_copy(&next, &dense);
        }
    }
    shape[0] *= count;
    sslcv__tensor_set(images, SSLCV_F32, adjacent ? first.data : branch->pixels.data, 4, shape);
end:
    return status;
}

sslcv_status sslcv__feed_pixels(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__feed *feed,
                                const sslcv__slice *slice, sslcv_tensor *pixels)
{
    sslcv_tensor first, next;
    int64_t *members = branch->links[0].passes[0].members, shape[4], p, d;
    sslcv_status status;
    int64_t v;

    SSLCV__TRY(sslcv__feed_view(trainer, feed, branch->views[0], &first));
    for (v = 0; v < branch->num_views; v++) {
        SSLCV__TRY(sslcv__feed_view(trainer, feed, branch->views[v], &next));
        if (memcmp(first.shape, next.shape, sizeof shape) != 0) {
            return sslcv__invalid(
                "views %lld and %lld have different shapes; a branch without backbone needs equal ones",
                (long long)branch->views[0], (long long)branch->views[v]);
        }
        members[v] = v;
    }
    SSLCV__TRY(sslcv__feed_images(trainer, branch, feed, slice, members, branch->num_views, pixels));
    p = first.shape[0] / feed->size;
    d = pixels->shape[1] * pixels->shape[2] * pixels->shape[3];
    if (!sslcv__tensor_is_dense(pixels)) { /* one view of the host's, as it lies there */
        sslcv_tensor dense;

        SSLCV__TRY(sslcv__buffer_reserve(trainer->object.context, &branch->pixels, slice->count * p * d));
        sslcv__tensor_set(&dense, SSLCV_F32, branch->pixels.data, 4, pixels->shape);
        sslcv__tensor_copy(pixels, &dense);
        *pixels = dense;
    }
    shape[0] = branch->num_views;
    shape[1] = slice->count;
    shape[2] = p;
    shape[3] = d;
    sslcv__tensor_set(pixels, SSLCV_F32, pixels->data, 4, shape);
end:
    return status;
}
