#include "data/dataset.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"

#include <string.h>

/* ---- options ---- */

static const sslcv_dataset_options defaults = {.struct_size = sizeof(sslcv_dataset_options),
                                               .max_pixels = (int64_t)1 << 27,
                                               .max_file_bytes = (int64_t)1 << 28,
                                               .max_cache_bytes = (int64_t)1 << 30};

enum { LARGEST_LABEL = INT32_MAX - 1 };

/** What sets a kind apart: the fields that it reads beyond the limits. */
typedef struct kind_info {
    int32_t kind;
    const char *name;
    int32_t has_parts, is_files, has_path, has_labels_path, has_classes;
    sslcv_status (*open)(sslcv_dataset *dataset);
} kind_info;

static const kind_info kinds[] = {
    {SSLCV_DATASET_LIST, "a list", 0, 1, 0, 0, 1, sslcv__list_open},
    {SSLCV_DATASET_FOLDER, "a folder", 0, 1, 1, 0, 0, sslcv__folder_open},
    {SSLCV_DATASET_CIFAR10, "CIFAR-10", 1, 0, 1, 0, 0, sslcv__cifar_open},
    {SSLCV_DATASET_CIFAR100, "CIFAR-100", 1, 0, 1, 0, 0, sslcv__cifar_open},
    {SSLCV_DATASET_IDX, "IDX", 0, 0, 1, 1, 0, sslcv__idx_open},
    {SSLCV_DATASET_CALLBACK, "a callback", 0, 0, 0, 0, 1, sslcv__host_open},
};

static const kind_info *find_kind(int32_t kind)
{
    size_t i;

    for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].kind == kind) return &kinds[i];
    }
    sslcv__invalid("dataset.kind is %d; must be SSLCV_DATASET_LIST, FOLDER, CIFAR10, CIFAR100, IDX or CALLBACK", kind);
    return NULL;
}

sslcv_status sslcv_dataset_options_init(sslcv_dataset_options *options, size_t struct_size, int32_t kind)
{
    sslcv_dataset_options of_kind = defaults;

    if (!find_kind(kind)) return SSLCV_ERR_INVALID_ARGUMENT;
    of_kind.kind = kind;
    return sslcv__options_init("dataset_options", options, struct_size, sizeof defaults, &of_kind, sizeof of_kind);
}

static sslcv_status not_read(const char *field, const kind_info *kind)
{
    return sslcv__invalid("dataset.%s is set; %s does not read it", field, kind->name);
}

/* A field that is set but not read is a misunderstanding: better said now than found in the results. */
static sslcv_status check_unread(const sslcv_dataset_options *o, const kind_info *kind)
{
    if (o->part != 0 && !kind->has_parts) return not_read("part", kind);
    if (o->label_folders != 0 && o->kind != SSLCV_DATASET_FOLDER) return not_read("label_folders", kind);
    if (o->channels != 0 && !kind->is_files && o->kind != SSLCV_DATASET_IDX) return not_read("channels", kind);
    if (o->cache != 0 && !kind->is_files) return not_read("cache", kind);
    if (o->min_side != 0 && !kind->is_files) return not_read("min_side", kind);
    if (o->path && !kind->has_path) return not_read("path", kind);
    if (o->labels_path && !kind->has_labels_path) return not_read("labels_path", kind);
    if (o->count != 0 && o->kind != SSLCV_DATASET_CALLBACK) return not_read("count", kind);
    if (o->num_classes != 0 && !kind->has_classes) return not_read("num_classes", kind);
    if (o->callbacks && o->kind != SSLCV_DATASET_CALLBACK) return not_read("callbacks", kind);
    return SSLCV_OK;
}

static sslcv_status check_flag(const char *field, int32_t value)
{
    if (value != 0 && value != 1) return sslcv__invalid("dataset.%s is %d; must be 0 or 1", field, value);
    return SSLCV_OK;
}

static sslcv_status check_limit(const char *field, int64_t value)
{
    if (value < 1) return sslcv__invalid("dataset.%s is %lld; must be >= 1", field, (long long)value);
    return SSLCV_OK;
}

static sslcv_status check_options(const sslcv_dataset_options *o, const kind_info *kind)
{
    sslcv_status status;

    SSLCV__TRY(check_unread(o, kind));
    if (o->part < SSLCV_PART_ALL || o->part > SSLCV_PART_TEST) {
        return sslcv__invalid("dataset.part is %d; must be SSLCV_PART_ALL, TRAIN or TEST", o->part);
    }
    SSLCV__TRY(check_flag("label_folders", o->label_folders));
    SSLCV__TRY(check_flag("cache", o->cache));
    if (o->on_error != SSLCV_ON_ERROR_SUBSTITUTE && o->on_error != SSLCV_ON_ERROR_FAIL) {
        return sslcv__invalid("dataset.on_error is %d; must be SSLCV_ON_ERROR_SUBSTITUTE or FAIL", o->on_error);
    }
    if (o->channels != 0 && o->channels != 1 && o->channels != 3) {
        return sslcv__invalid("dataset.channels is %d; must be 0, 1 or 3", o->channels);
    }
    if (kind->has_path && !o->path) return sslcv__null("dataset.path");
    if (o->num_classes < 0 || o->num_classes > (int64_t)LARGEST_LABEL + 1) {
        return sslcv__invalid("dataset.num_classes is %lld; must be 0 .. %lld", (long long)o->num_classes,
                              (long long)LARGEST_LABEL + 1);
    }
    if (o->min_side < 0) return sslcv__invalid("dataset.min_side is %lld; must be >= 0", (long long)o->min_side);
    SSLCV__TRY(check_limit("max_pixels", o->max_pixels));
    SSLCV__TRY(check_limit("max_file_bytes", o->max_file_bytes));
    SSLCV__TRY(check_limit("max_cache_bytes", o->max_cache_bytes));
end:
    return status;
}

/* ---- life ---- */

static void release_dataset(void *self)
{
    sslcv_dataset *dataset = self;

    if (dataset->source) dataset->source->release(dataset);
    sslcv__free(dataset->object.context, dataset->indices);
    sslcv__arena_free(dataset->object.context, &dataset->arena);
    sslcv__release(dataset->root);
    if (dataset->has_lock) pthread_mutex_destroy(&dataset->lock);
}

static sslcv_status create_empty(sslcv_context *context, sslcv_dataset **out)
{
    sslcv_dataset *dataset;
    const sslcv_status status =
        sslcv__object_create(context, SSLCV__DATASET, sizeof *dataset, release_dataset, &dataset);

    if (status != SSLCV_OK) return status;
    if (pthread_mutex_init(&dataset->lock, NULL) != 0) {
        sslcv__release(dataset);
        return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "out of memory: no mutex to be had");
    }
    dataset->has_lock = 1;
    *out = dataset;
    return SSLCV_OK;
}

static sslcv_status keep_text(sslcv_dataset *dataset, const char **text)
{
    if (!*text) return SSLCV_OK;
    return sslcv__arena_text(dataset->object.context, &dataset->arena, *text, (int64_t)strlen(*text), text);
}

sslcv_status sslcv_dataset_create(sslcv_context *context, const sslcv_dataset_options *options, sslcv_dataset **out)
{
    sslcv_dataset_options o = defaults;
    sslcv_dataset *dataset = NULL;
    const kind_info *kind;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!options) return sslcv__null("dataset_options");
    if (!out) return sslcv__null("dataset");
    SSLCV__TRY(sslcv__options_read("dataset_options", options, sizeof defaults, &o, sizeof o));
    kind = find_kind(o.kind);
    if (!kind) return SSLCV_ERR_INVALID_ARGUMENT;
    SSLCV__TRY(check_options(&o, kind));

    SSLCV__TRY(create_empty(context, &dataset));
    dataset->options = o;
    dataset->any_thread = 1;
    SSLCV__TRY(keep_text(dataset, &dataset->options.path));
    SSLCV__TRY(keep_text(dataset, &dataset->options.labels_path));
    SSLCV__TRY(kind->open(dataset));
    *out = dataset;
    dataset = NULL;
end:
    sslcv__release(dataset);
    return status;
}

void sslcv_dataset_destroy(sslcv_dataset *dataset)
{
    sslcv__destroy(dataset, SSLCV__DATASET);
}

static sslcv_status check_index(const sslcv_dataset *dataset, int64_t index)
{
    const int64_t count = sslcv__dataset_count(dataset);

    if (index < 0 || index >= count) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "sample %lld does not exist; the data set has %lld", (long long)index,
                           (long long)count);
    }
    return SSLCV_OK;
}

sslcv_status sslcv_dataset_subset(sslcv_dataset *dataset, const int64_t *indices, int64_t count, sslcv_dataset **out)
{
    sslcv_dataset *subset = NULL, *root;
    sslcv_context *context;
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(sslcv__check(dataset, SSLCV__DATASET, "dataset"));
    if (!indices) return sslcv__null("indices");
    if (!out) return sslcv__null("subset");
    if (count < 1) return sslcv__invalid("count is %lld; must be >= 1", (long long)count);
    for (i = 0; i < count; i++) SSLCV__TRY(check_index(dataset, indices[i]));

    context = dataset->object.context;
    root = dataset->root ? dataset->root : dataset;
    SSLCV__TRY(create_empty(context, &subset));
    subset->options = dataset->options;
    subset->any_thread = dataset->any_thread;
    SSLCV__TRY(sslcv__alloc_array(context, count, sizeof *subset->indices, (void **)&subset->indices));
    for (i = 0; i < count; i++) subset->indices[i] = dataset->indices ? dataset->indices[indices[i]] : indices[i];
    sslcv__retain(root);
    subset->root = root;
    atomic_store(&subset->count, count);
    *out = subset;
    subset = NULL;
end:
    sslcv__release(subset);
    return status;
}

/* ---- asking ---- */

/** A sample's place in the data set that has it: itself, or the root of a subset. */
static const sslcv_dataset *locate(const sslcv_dataset *dataset, int64_t *index)
{
    if (!dataset->root) return dataset;
    *index = dataset->indices[*index];
    return dataset->root;
}

int64_t sslcv__dataset_count(const sslcv_dataset *dataset)
{
    return (int64_t)atomic_load_explicit(&dataset->count, memory_order_acquire);
}

int64_t sslcv__dataset_num_classes(const sslcv_dataset *dataset)
{
    return (int64_t)atomic_load(&(dataset->root ? dataset->root : dataset)->num_classes);
}

int64_t sslcv__dataset_label(const sslcv_dataset *dataset, int64_t index)
{
    const sslcv_dataset *root = locate(dataset, &index);

    return root->source->label(root, index);
}

void sslcv__dataset_labels(const sslcv_dataset *dataset, int64_t first, int64_t count, int64_t *labels)
{
    int64_t i;

    for (i = 0; i < count; i++) labels[i] = sslcv__dataset_label(dataset, first + i);
}

const char *sslcv__dataset_name(const sslcv_dataset *dataset, int64_t index)
{
    const sslcv_dataset *root = locate(dataset, &index);

    return root->source->name(root, index);
}

int sslcv__dataset_any_thread(const sslcv_dataset *dataset)
{
    return dataset->any_thread;
}

void sslcv__dataset_shape(const sslcv_dataset *dataset, int64_t shape[3])
{
    const sslcv_dataset *root = dataset->root ? dataset->root : dataset;
    int i;

    for (i = 0; i < 3; i++) shape[i] = (int64_t)atomic_load(&root->shape[i]);
}

sslcv_status sslcv__dataset_load(sslcv_dataset *dataset, int64_t index, sslcv__pixels *pixels)
{
    sslcv_dataset *root = dataset->root ? dataset->root : dataset;

    locate(dataset, &index);
    pixels->index = index;
    pixels->owned = 0;
    return root->source->load(root, index, pixels);
}

void sslcv__dataset_unload(sslcv_dataset *dataset, sslcv__pixels *pixels)
{
    sslcv_dataset *root = dataset->root ? dataset->root : dataset;

    if (root->source->unload) root->source->unload(root, pixels);
}

int sslcv__dataset_is_unreadable(sslcv_status status)
{
    return status == SSLCV_ERR_IO || status == SSLCV_ERR_FORMAT || status == SSLCV_ERR_NOT_FOUND ||
           status == SSLCV_ERR_LIMIT || status == SSLCV_ERR_UNSUPPORTED;
}

int sslcv__dataset_is_marked(const sslcv_dataset *dataset, int64_t index)
{
    const sslcv_dataset *root = locate(dataset, &index);
    const atomic_uchar *mark = root->source->mark ? root->source->mark(root, index) : NULL;

    return mark && atomic_load_explicit(mark, memory_order_relaxed);
}

int sslcv__dataset_mark(sslcv_dataset *dataset, int64_t index)
{
    sslcv_dataset *root = dataset->root ? dataset->root : dataset;
    atomic_uchar *mark;

    locate(dataset, &index);
    mark = root->source->mark ? root->source->mark(root, index) : NULL;
    if (!mark || atomic_exchange(mark, 1)) return 0;
    atomic_fetch_add(&root->failed, 1);
    return 1;
}

sslcv_status sslcv__dataset_check_label(const sslcv_dataset *dataset, int64_t label, int64_t index)
{
    const int64_t classes = dataset->options.num_classes;
    const int64_t most = classes > 0 ? classes - 1 : LARGEST_LABEL;

    if (label < -1 || label > most) {
        return sslcv__invalid("label of sample %lld is %lld; must be -1 .. %lld", (long long)index, (long long)label,
                              (long long)most);
    }
    return SSLCV_OK;
}

sslcv_status sslcv__dataset_check_image(const sslcv_dataset *dataset, const sslcv_tensor *image, const char *name)
{
    const int64_t *shape = image->shape + (image->ndim == 4);
    sslcv_status status;
    int64_t pixels;

    SSLCV__TRY(sslcv__tensor_check(image, name));
    if (image->ndim != 3 && image->ndim != 4) {
        return sslcv__invalid("%s has %d axes; must be (C, H, W)", name, image->ndim);
    }
    if (image->dtype != SSLCV_U8 && image->dtype != SSLCV_U16 && image->dtype != SSLCV_F32) {
        return sslcv__invalid("%s has dtype %s; must be u8, u16 or f32", name, sslcv__dtype_name(image->dtype));
    }
    if (shape[0] < 1 || shape[0] > SSLCV_MAX_CHANNELS || shape[1] < 1 || shape[2] < 1) {
        return sslcv__invalid("%s has the shape (%lld, %lld, %lld); must have 1 .. %d channels and at least one pixel",
                              name, (long long)shape[0], (long long)shape[1], (long long)shape[2], SSLCV_MAX_CHANNELS);
    }
    if (!sslcv__multiply(shape[1], shape[2], &pixels) || pixels > dataset->options.max_pixels) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s has %lld x %lld pixels; max_pixels is %lld", name, (long long)shape[2],
                           (long long)shape[1], (long long)dataset->options.max_pixels);
    }
end:
    return status;
}

/* ---- public questions ---- */

/* A subset counts those of its own samples that its root has found unreadable. */
static int64_t count_failed(const sslcv_dataset *dataset)
{
    int64_t failed = 0, i;

    if (!dataset->root) return (int64_t)atomic_load(&dataset->failed);
    if (atomic_load(&dataset->root->failed) == 0) return 0;
    for (i = 0; i < sslcv__dataset_count(dataset); i++) failed += sslcv__dataset_is_marked(dataset, i);
    return failed;
}

sslcv_status sslcv_dataset_get_info(const sslcv_dataset *dataset, sslcv_dataset_info *info)
{
    sslcv_dataset_info full = {0};
    int64_t shape[3];
    sslcv_status status;

    SSLCV__TRY(sslcv__check(dataset, SSLCV__DATASET, "dataset"));
    SSLCV__TRY(sslcv__struct_check("dataset_info", info, sizeof full));
    sslcv__dataset_shape(dataset, shape);
    full.count = sslcv__dataset_count(dataset);
    full.num_classes = sslcv__dataset_num_classes(dataset);
    full.channels = shape[0];
    full.height = shape[1];
    full.width = shape[2];
    full.failed = count_failed(dataset);
    status = sslcv__struct_fill("dataset_info", info, sizeof full, &full, sizeof full);
end:
    return status;
}

sslcv_status sslcv_dataset_get_sample(const sslcv_dataset *dataset, int64_t index, sslcv_sample *sample)
{
    sslcv_sample full = {0};
    sslcv_status status;

    SSLCV__TRY(sslcv__check(dataset, SSLCV__DATASET, "dataset"));
    SSLCV__TRY(sslcv__struct_check("sample", sample, sizeof full));
    SSLCV__TRY(check_index(dataset, index));
    full.name = sslcv__dataset_name(dataset, index);
    full.label = sslcv__dataset_label(dataset, index);
    status = sslcv__struct_fill("sample", sample, sizeof full, &full, sizeof full);
end:
    return status;
}

sslcv_status sslcv_dataset_get_class(const sslcv_dataset *dataset, int64_t label, const char **name)
{
    const sslcv_dataset *root;
    int64_t classes;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(dataset, SSLCV__DATASET, "dataset"));
    if (!name) return sslcv__null("name");
    classes = sslcv__dataset_num_classes(dataset);
    if (label < 0 || label >= classes) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "class %lld does not exist; the data set has %lld", (long long)label,
                           (long long)classes);
    }
    root = dataset->root ? dataset->root : dataset;
    *name = label < root->num_class_names ? root->classes[label] : "";
end:
    return status;
}

sslcv_status sslcv_dataset_read(sslcv_dataset *dataset, int64_t index, sslcv_tensor *image)
{
    sslcv__pixels pixels;
    sslcv_status status;
    int asks;

    SSLCV__TRY(sslcv__check(dataset, SSLCV__DATASET, "dataset"));
    if (!image) return sslcv__null("image");
    SSLCV__TRY(check_index(dataset, index));
    status = sslcv__dataset_load(dataset, index, &pixels);
    if (sslcv__dataset_is_unreadable(status)) sslcv__dataset_mark(dataset, index);
    if (status != SSLCV_OK) return status;

    status = sslcv__tensor_answer(image, "image", pixels.image.dtype, 3, pixels.image.shape, &asks);
    if (status == SSLCV_OK && !asks) sslcv__tensor_copy(&pixels.image, image);
    sslcv__dataset_unload(dataset, &pixels);
end:
    return status;
}
