/* Images of the host, by its callbacks. */
#include "data/dataset.h"

#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"

#include <stdio.h>

typedef struct host {
    sslcv_dataset_callbacks table;
    int32_t is_ours; /* 1: the data set stands, so table.destroy is ours to call */
    int32_t reserved;
    int64_t *labels;     /* count; NULL: none */
    atomic_uchar *marks; /* count */
} host;

static sslcv_status load(sslcv_dataset *dataset, int64_t index, sslcv__pixels *pixels)
{
    const host *h = dataset->store;
    const sslcv_tensor none = {0};
    char image[64];
    int32_t result;
    sslcv_status status;

    pixels->image = none;
    result = h->table.load(h->table.user, index, &pixels->image);
    if (result > 0) {
        return sslcv__fail(SSLCV_ERR_IO, "sample %lld is unreadable: the load callback returned %d", (long long)index,
                           (int)result);
    }
    if (result < 0) {
        return sslcv__fail(SSLCV_ERR_CANCELLED, "the load callback returned %d at sample %lld", (int)result,
                           (long long)index);
    }
    snprintf(image, sizeof image, "image of the load callback, sample %lld,", (long long)index);
    status = sslcv__dataset_check_image(dataset, &pixels->image, image);
    if (status == SSLCV_OK && pixels->image.ndim != 3) {
        status = sslcv__invalid("%s has %d axes; must be (C, H, W)", image, pixels->image.ndim);
    }
    if (status != SSLCV_OK && h->table.unload) h->table.unload(h->table.user, index, &pixels->image);
    return status;
}

static void unload(sslcv_dataset *dataset, sslcv__pixels *pixels)
{
    const host *h = dataset->store;

    if (h->table.unload) h->table.unload(h->table.user, pixels->index, &pixels->image);
}

static int64_t label(const sslcv_dataset *dataset, int64_t index)
{
    const host *h = dataset->store;

    return h->labels ? h->labels[index] : -1;
}

static const char *name(const sslcv_dataset *dataset, int64_t index)
{
    (void)dataset;
    (void)index;
    return "";
}

static atomic_uchar *mark(const sslcv_dataset *dataset, int64_t index)
{
    const host *h = dataset->store;

    return &h->marks[index];
}

static void release(sslcv_dataset *dataset)
{
    host *h = dataset->store;

    if (h->is_ours && h->table.destroy) h->table.destroy(h->table.user);
    sslcv__free(dataset->object.context, h->labels);
    sslcv__free(dataset->object.context, h->marks);
    sslcv__free(dataset->object.context, h);
}

static sslcv_status read_table(const sslcv_dataset_options *o, sslcv_dataset_callbacks *table)
{
    sslcv_dataset_callbacks c = {0};
    sslcv_status status;

    if (!o->callbacks) return sslcv__null("dataset.callbacks");
    SSLCV__TRY(sslcv__options_read("dataset.callbacks", o->callbacks, sizeof c, &c, sizeof c));
    if (!c.load) return sslcv__null("dataset.callbacks.load");
    if (c.flags != 0 && c.flags != SSLCV_CALLBACK_ANY_THREAD) {
        return sslcv__invalid("dataset.callbacks.flags is %d; must be 0 or SSLCV_CALLBACK_ANY_THREAD", c.flags);
    }
    if (c.flags == SSLCV_CALLBACK_ANY_THREAD && !c.unload) {
        return sslcv__invalid("dataset.callbacks.unload is NULL; must be given with SSLCV_CALLBACK_ANY_THREAD");
    }
    if (c.reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "dataset.callbacks.reserved is not 0");
    if (o->count < 1) return sslcv__invalid("dataset.count is %lld; must be >= 1", (long long)o->count);
    *table = c;
end:
    return status;
}

static sslcv_status ask_labels(sslcv_dataset *dataset, host *h)
{
    int64_t classes = dataset->options.num_classes, i;
    sslcv_status status;

    atomic_store(&dataset->num_classes, classes);
    if (!h->table.get_label) return SSLCV_OK;
    SSLCV__TRY(
        sslcv__alloc_array(dataset->object.context, dataset->options.count, sizeof *h->labels, (void **)&h->labels));
    for (i = 0; i < dataset->options.count; i++) {
        SSLCV__TRY(sslcv__context_check_cancel(dataset->object.context));
        h->labels[i] = -1;
        if (h->table.get_label(h->table.user, i, &h->labels[i]) != 0) {
            return sslcv__fail(SSLCV_ERR_CANCELLED, "the get_label callback stopped at sample %lld", (long long)i);
        }
        SSLCV__TRY(sslcv__dataset_check_label(dataset, h->labels[i], i));
        if (h->labels[i] >= classes) classes = h->labels[i] + 1;
    }
    atomic_store(&dataset->num_classes, classes);
end:
    return status;
}

sslcv_status sslcv__host_open(sslcv_dataset *dataset)
{
    static const sslcv__source source = {load, unload, label, name, mark, release};
    sslcv_context *context = dataset->object.context;
    const int64_t count = dataset->options.count;
    sslcv_dataset_callbacks table;
    void *marks;
    host *h;
    sslcv_status status;

    SSLCV__TRY(read_table(&dataset->options, &table));
    SSLCV__TRY(sslcv__alloc_array(context, 1, sizeof *h, (void **)&h));
    dataset->store = h;
    dataset->source = &source;
    h->table = table;
    dataset->options.callbacks = NULL; /* the caller's; h->table is ours */
    dataset->any_thread = h->table.flags == SSLCV_CALLBACK_ANY_THREAD;
    SSLCV__TRY(sslcv__alloc_array(context, count, sizeof *h->marks, &marks));
    h->marks = marks;
    SSLCV__TRY(ask_labels(dataset, h));
    atomic_store_explicit(&dataset->count, count, memory_order_release);
    h->is_ours = 1;
end:
    return status;
}
