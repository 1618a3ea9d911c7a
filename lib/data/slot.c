#include "data/slot.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/memory.h"

#include <string.h>

sslcv_status sslcv__slot_init(sslcv_context *context, sslcv__slot *slot, int64_t batch_size, int64_t num_views)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, batch_size, sizeof *slot->turns, (void **)&slot->turns));
    SSLCV__TRY(sslcv__alloc_array(context, batch_size, sizeof *slot->repeats, (void **)&slot->repeats));
    SSLCV__TRY(sslcv__alloc_array(context, batch_size, sizeof *slot->ids, (void **)&slot->ids));
    SSLCV__TRY(sslcv__alloc_array(context, batch_size, 1, (void **)&slot->substituted));
    SSLCV__TRY(sslcv__alloc_array(context, num_views, sizeof *slot->views, (void **)&slot->views));
    SSLCV__TRY(sslcv__alloc_array(context, num_views, sizeof *slot->view_indices, (void **)&slot->view_indices));
end:
    return status;
}

void sslcv__slot_free(sslcv_context *context, sslcv__slot *slot)
{
    sslcv__free(context, slot->turns);
    sslcv__free(context, slot->repeats);
    sslcv__free(context, slot->ids);
    sslcv__free(context, slot->substituted);
    sslcv__free(context, slot->views);
    sslcv__free(context, slot->view_indices);
    sslcv__free(context, slot->data);
}

/* ---- positions ---- */

void sslcv__slot_rewind(sslcv__slot *slot)
{
    slot->shaped = 0;
    slot->next = 0;
    slot->end = slot->size;
    slot->working = 0;
    slot->failed_at = INT64_MAX;
    slot->status = SSLCV_OK;
}

int64_t sslcv__slot_take(sslcv__slot *slot)
{
    if (slot->next >= slot->end || (slot->next > 0 && !slot->shaped)) return -1;
    slot->working++;
    return slot->next++;
}

void sslcv__slot_finish(sslcv__slot *slot, int64_t position, sslcv_status status)
{
    slot->working--;
    if (status == SSLCV_OK) {
        if (position == 0) slot->shaped = 1;
        return;
    }
    /* Positions are taken in order, so the lowest that can fail is among those taken: the same for any number of
       threads. */
    if (position < slot->end) slot->end = position;
    if (position > slot->failed_at) return;
    slot->failed_at = position;
    slot->status = status;
    sslcv_last_error_copy(slot->message, sizeof slot->message);
}

int sslcv__slot_is_done(const sslcv__slot *slot)
{
    return slot->working == 0 && slot->next >= slot->end;
}

const sslcv__view *sslcv__slot_find_view(const sslcv__slot *slot, int64_t index)
{
    int64_t i;

    for (i = 0; i < slot->num_views; i++) {
        if (slot->views[i].index == index) return &slot->views[i];
    }
    return NULL;
}

/* ---- shapes ---- */

/** The first image of the batch fixes the shapes; memory grows to what they need. */
static sslcv_status fix_shapes(sslcv__slot *slot, const sslcv__maker *maker, const int64_t image[3])
{
    sslcv_context *context = maker->dataset->object.context;
    int64_t total = 0, i;
    sslcv_status status;

    for (i = 0; i < slot->num_views; i++) {
        sslcv__view *view = &slot->views[i];
        int64_t floats;

        view->index = slot->view_indices[i];
        SSLCV__TRY(sslcv__augmenter_view_shape(maker->augmenter, view->index, image, view->shape));
        view->offset = total;
        if (!sslcv__product(view->shape, 4, &view->floats) || !sslcv__multiply(view->floats, slot->size, &floats) ||
            !sslcv__add(total, floats, &total) || total > INT64_MAX / (int64_t)sizeof(float)) {
            return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "out of memory: view %lld is too large",
                               (long long)view->index);
        }
    }
    if (total > slot->capacity) {
        sslcv__free(context, slot->data);
        slot->data = NULL;
        slot->capacity = 0;
        SSLCV__TRY(sslcv__alloc(context, total * (int64_t)sizeof(float), (void **)&slot->data));
        slot->capacity = total;
    }
    status = SSLCV_OK;
end:
    return status;
}

static sslcv_status check_shapes(const sslcv__slot *slot, const sslcv__maker *maker, int64_t sample,
                                 const int64_t image[3])
{
    int64_t i;

    for (i = 0; i < slot->num_views; i++) {
        const sslcv__view *view = &slot->views[i];
        const int64_t *first = view->shape;
        const char *name;
        int64_t shape[4];
        const sslcv_status status = sslcv__augmenter_view_shape(maker->augmenter, view->index, image, shape);

        if (status != SSLCV_OK) return status;
        if (memcmp(shape, first, sizeof shape) == 0) continue;
        name = sslcv__dataset_name(maker->dataset, sample);
        return sslcv__invalid("sample %lld%s%s gives view %lld the shape (%lld, %lld, %lld, %lld), sample %lld of the "
                              "same batch (%lld, %lld, %lld, %lld); a crop or resize makes them equal",
                              (long long)sample, name[0] ? " " : "", name, (long long)view->index, (long long)shape[0],
                              (long long)shape[1], (long long)shape[2], (long long)shape[3], (long long)slot->ids[0],
                              (long long)first[0], (long long)first[1], (long long)first[2], (long long)first[3]);
    }
    return SSLCV_OK;
}

/* ---- samples ---- */

/**
 * Put the views of a sample at a position.
 *
 * @param is_bad Out: 1 when the failure is the sample's, so that another may take its place.
 */
static sslcv_status make_views(sslcv__slot *slot, const sslcv__maker *maker, int64_t position, int64_t sample,
                               int *is_bad)
{
    sslcv__pixels pixels;
    /* A sample that comes once more in an epoch comes with other views; the sum may go round. */
    const int64_t epoch = (int64_t)((uint64_t)slot->epoch + ((uint64_t)slot->repeats[position] << 32));
    sslcv_status status = sslcv__dataset_load(maker->dataset, sample, &pixels);
    int64_t i;

    *is_bad = sslcv__dataset_is_unreadable(status);
    if (status != SSLCV_OK) return status;
    if (position == 0) {
        SSLCV__TRY(fix_shapes(slot, maker, pixels.image.shape));
    } else {
        SSLCV__TRY(check_shapes(slot, maker, sample, pixels.image.shape));
    }
    for (i = 0; i < slot->num_views; i++) {
        maker->outs[i] = slot->data + slot->views[i].offset + position * slot->views[i].floats;
    }
    status = sslcv__augmenter_run(maker->augmenter, maker->scratch, &pixels.image, maker->seed, epoch, sample,
                                  slot->view_indices, slot->num_views, maker->outs);
    /* A custom transform has refused the image, or a value is not finite. */
    *is_bad = status == SSLCV_ERR_IO || status == SSLCV_ERR_NUMERIC;
end:
    sslcv__dataset_unload(maker->dataset, &pixels);
    return status;
}

/**
 * The next readable sample in the order of the data set takes the place of an unreadable one. It ends after one round,
 * and samples that have been found unreadable are passed over: with nothing left to read, later calls fail at once.
 */
static sslcv_status substitute(sslcv__slot *slot, const sslcv__maker *maker, int64_t position, sslcv_status status)
{
    const int64_t turn = slot->turns[position] - maker->first;
    int64_t step;
    int is_bad;

    for (step = 1; step < slot->samples; step++) {
        const int64_t sample = maker->first + (turn + step) % slot->samples;

        if (atomic_load_explicit(maker->stop, memory_order_relaxed)) return status;
        if (sslcv__dataset_is_marked(maker->dataset, sample)) continue;
        if (sslcv__context_check_cancel(maker->dataset->object.context) != SSLCV_OK) return SSLCV_ERR_CANCELLED;
        status = make_views(slot, maker, position, sample, &is_bad);
        if (status == SSLCV_OK) {
            slot->ids[position] = sample;
            slot->substituted[position] = 1;
            return SSLCV_OK;
        }
        if (!is_bad) return status;
        if (sslcv__dataset_mark(maker->dataset, sample)) maker->report(maker->user, sample);
    }
    return sslcv__fail(status, "none of %lld samples can be read; the last failure: %s", (long long)slot->samples,
                       sslcv_last_error());
}

sslcv_status sslcv__slot_make(sslcv__slot *slot, const sslcv__maker *maker, int64_t position)
{
    const int64_t sample = slot->pinned ? slot->ids[position] : slot->turns[position];
    char message[SSLCV__SLOT_MESSAGE];
    sslcv_status status;
    int is_bad, is_news;

    slot->ids[position] = sample;
    if (!slot->pinned) slot->substituted[position] = 0;
    sslcv_last_error_copy(message, sizeof message);
    status = make_views(slot, maker, position, sample, &is_bad);
    if (status == SSLCV_OK || !is_bad) return status;

    is_news = sslcv__dataset_mark(maker->dataset, sample);
    if (slot->pinned || maker->dataset->options.on_error == SSLCV_ON_ERROR_FAIL) return status;
    if (is_news) maker->report(maker->user, sample);
    status = substitute(slot, maker, position, status);
    /* A call that succeeds leaves the message of the last failure alone. */
    if (status == SSLCV_OK) sslcv__fail(SSLCV_OK, "%s", message);
    return status;
}
