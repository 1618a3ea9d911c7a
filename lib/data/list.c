/* The data set that the host fills: images and encoded files, added at any time from any thread. */
#include "data/files.h"

#include "core/checked.h"
#include "core/memory.h"
#include "core/tensor.h"

#include <string.h>

sslcv_status sslcv__list_open(sslcv_dataset *dataset)
{
    atomic_store(&dataset->num_classes, dataset->options.num_classes);
    return sslcv__files_open(dataset, 0);
}

static sslcv_status check_list(const sslcv_dataset *dataset)
{
    if (dataset->root || dataset->options.kind != SSLCV_DATASET_LIST) {
        return sslcv__fail(SSLCV_ERR_STATE, "samples can be added to a data set of kind SSLCV_DATASET_LIST only");
    }
    return SSLCV_OK;
}

/** What is known of the shape of all samples, with further ones of this shape. */
static void merge_shape(sslcv_dataset *dataset, const int64_t shape[3])
{
    int i;

    for (i = 0; i < 3; i++) {
        if (sslcv__dataset_count(dataset) == 0) {
            atomic_store(&dataset->shape[i], shape[i]);
        } else if (atomic_load(&dataset->shape[i]) != shape[i]) {
            atomic_store(&dataset->shape[i], 0);
        }
    }
}

/** The entries behind the last become samples. */
static void publish(sslcv_dataset *dataset, int64_t added, const int64_t shape[3])
{
    const int64_t first = sslcv__dataset_count(dataset);
    int64_t i;

    for (i = first; i < first + added && dataset->options.num_classes == 0; i++) {
        const int64_t classes = sslcv__files_entry(dataset, i)->label + 1;

        if (classes > (int64_t)atomic_load(&dataset->num_classes)) atomic_store(&dataset->num_classes, classes);
    }
    merge_shape(dataset, shape);
    atomic_store_explicit(&dataset->count, first + added, memory_order_release);
}

/* ---- images ---- */

/*
 * One piece of the arena for all images of a call, so that they are added all or none:
 *
 *     | tensor 0 | tensor 1 | ... | pixels 0 | pixels 1 | ...
 */
static sslcv_status copy_images(sslcv_dataset *dataset, const sslcv_tensor *image, int64_t count, sslcv_tensor **copies)
{
    const int64_t *shape = image->shape + (image->ndim == 4);
    const int64_t element = sslcv_dtype_size(image->dtype);
    int64_t heads, bytes, total, i;
    sslcv_tensor all;
    void *memory;
    sslcv_status status;

    if (!sslcv__multiply(count, sizeof(sslcv_tensor), &heads) ||
        !sslcv__multiply(sslcv__tensor_count(image), element, &bytes) || !sslcv__add(heads, bytes, &total)) {
        return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "out of memory: %lld images asked for", (long long)count);
    }
    status = sslcv__arena_alloc(dataset->object.context, &dataset->arena, total, &memory);
    if (status != SSLCV_OK) return status;

    *copies = memory;
    sslcv__tensor_set(&all, image->dtype, (char *)memory + heads, image->ndim, image->shape);
    sslcv__tensor_copy(image, &all);
    for (i = 0; i < count; i++) {
        sslcv__tensor_set(&(*copies)[i], image->dtype, (char *)all.data + i * (bytes / count), 3, shape);
    }
    return SSLCV_OK;
}

static sslcv_status append_images(sslcv_dataset *dataset, const sslcv_tensor *image, int64_t count,
                                  const int64_t *labels, int64_t *index)
{
    const int64_t first = sslcv__dataset_count(dataset);
    sslcv_tensor *copies = NULL;
    sslcv_status status;
    int64_t all, i;

    if (!sslcv__add(first, count, &all)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "a list cannot have %lld more samples", (long long)count);
    }
    for (i = 0; labels && i < count; i++) SSLCV__TRY(sslcv__dataset_check_label(dataset, labels[i], first + i));
    SSLCV__TRY(sslcv__files_reserve(dataset, all));
    SSLCV__TRY(copy_images(dataset, image, count, &copies));
    for (i = 0; i < count; i++) {
        sslcv__entry *entry = sslcv__files_entry(dataset, first + i);

        entry->path = "";
        entry->label = labels ? labels[i] : -1;
        atomic_store(&entry->pixels, &copies[i]);
    }
    publish(dataset, count, image->shape + (image->ndim == 4));
    if (index) *index = first;
end:
    return status;
}

sslcv_status sslcv_dataset_add_images(sslcv_dataset *dataset, const sslcv_tensor *image, const int64_t *labels,
                                      int64_t *index)
{
    sslcv_status status;
    int64_t count;

    SSLCV__TRY(sslcv__check(dataset, SSLCV__DATASET, "dataset"));
    if (!image) return sslcv__null("image");
    SSLCV__TRY(check_list(dataset));
    SSLCV__TRY(sslcv__dataset_check_image(dataset, image, "image"));
    count = image->ndim == 4 ? image->shape[0] : 1;
    if (count == 0) {
        if (index) *index = sslcv__dataset_count(dataset);
        return SSLCV_OK;
    }

    pthread_mutex_lock(&dataset->lock);
    status = append_images(dataset, image, count, labels, index);
    pthread_mutex_unlock(&dataset->lock);
end:
    return status;
}

/* ---- files ---- */

static sslcv_status append_file(sslcv_dataset *dataset, const char *path, const void *bytes, int64_t size,
                                int64_t label, int64_t *added)
{
    const int64_t shape[3] = {sslcv__files_channels(dataset), 0, 0};
    const int64_t index = sslcv__dataset_count(dataset);
    sslcv__entry *entry;
    void *copy;
    sslcv_status status;

    SSLCV__TRY(sslcv__dataset_check_label(dataset, label, index));
    SSLCV__TRY(sslcv__files_reserve(dataset, index + 1));
    if (path) {
        bytes = path;
        size = (int64_t)strlen(path) + 1;
    }
    SSLCV__TRY(sslcv__arena_alloc(dataset->object.context, &dataset->arena, size, &copy));
    memcpy(copy, bytes, (size_t)size);

    entry = sslcv__files_entry(dataset, index);
    entry->path = path ? copy : "";
    entry->bytes = path ? NULL : copy;
    entry->size = path ? 0 : size;
    entry->label = label;
    entry->encoded = 1;
    publish(dataset, 1, shape);
    if (added) *added = index;
end:
    return status;
}

sslcv_status sslcv_dataset_add_file(sslcv_dataset *dataset, const char *path, const void *bytes, int64_t size,
                                    int64_t label, int64_t *index)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__check(dataset, SSLCV__DATASET, "dataset"));
    if (!path && !bytes) return sslcv__invalid("path and bytes are NULL; one of them must be given");
    if (path && bytes) return sslcv__invalid("path and bytes are both given; one of them must be NULL");
    if (path && size != 0) return sslcv__invalid("size is %lld; must be 0 with a path", (long long)size);
    if (path && !path[0]) return sslcv__invalid("path is empty");
    if (bytes && size < 1) return sslcv__invalid("size is %lld; must be >= 1", (long long)size);
    SSLCV__TRY(check_list(dataset));
    if (size > dataset->options.max_file_bytes) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "the file has %lld bytes; max_file_bytes is %lld", (long long)size,
                           (long long)dataset->options.max_file_bytes);
    }

    pthread_mutex_lock(&dataset->lock);
    status = append_file(dataset, path, bytes, size, label, index);
    pthread_mutex_unlock(&dataset->lock);
end:
    return status;
}
