/* Memory that runs out in the functions of augmenter, data set and loader. */
#include "out_of_memory_support.h"

#define HAVE (&w->have)
#define OUT  (&w->out)

/* ---- augmenter ---- */

static void have_empty_augmenter(world *w)
{
    OK(sslcv_augmenter_create(HAVE->context, &HAVE->augmenter));
}

static void have_view(world *w)
{
    have_empty_augmenter(w);
    OK(sslcv_augmenter_add_view(HAVE->augmenter, SSLCV_SOURCE_IMAGE, NULL));
}

static sslcv_status add_crop(world *w)
{
    sslcv_transform t;

    OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RANDOM_RESIZED_CROP));
    t.height = t.width = OOM_SIDE;
    return sslcv_augmenter_add_transform(HAVE->augmenter, 0, &t);
}

static int32_t copy_pixels(void *user, const sslcv_tensor *src, sslcv_tensor *dst, uint64_t random)
{
    (void)user;
    (void)random;
    memcpy(dst->data, src->data, sizeof(float) * (size_t)(src->shape[0] * src->shape[1] * src->shape[2]));
    return 0;
}

static sslcv_status add_custom(world *w)
{
    const sslcv_transform_callbacks callbacks = {sizeof callbacks, NULL, copy_pixels, NULL, 0, 0};
    sslcv_transform t;

    OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_CUSTOM));
    t.callbacks = &callbacks;
    return sslcv_augmenter_add_transform(HAVE->augmenter, 0, &t);
}

CALL(create_augmenter, sslcv_augmenter_create(HAVE->context, &OUT->made.augmenter))
CALL(add_view, sslcv_augmenter_add_view(HAVE->augmenter, SSLCV_SOURCE_IMAGE, OUT->integers))
CALL(add_preset, sslcv_augmenter_add_preset(HAVE->augmenter, "simclr", 32, OUT->integers, OUT->integers + 1))
CALL(add_patches, sslcv_augmenter_add_preset(HAVE->augmenter, "pirl-jigsaw", 0, OUT->integers, OUT->integers + 1))

static sslcv_status describe_view(world *w)
{
    sslcv_view_info info = {.struct_size = sizeof info};

    return sslcv_augmenter_get_view(HAVE->augmenter, 0, &info);
}

static void have_everything(world *w)
{
    have_empty_augmenter(w);
    OK(sslcv_augmenter_add_preset(HAVE->augmenter, "cpc-v2-cifar", 0, NULL, NULL));
}

static sslcv_status apply(world *w)
{
    const int64_t size[3] = {3, 24, 24};
    const sslcv_tensor image = have_values(w, 3, size);
    sslcv_tensor view = {.data = NULL};

    OK(sslcv_augmenter_apply(HAVE->augmenter, &image, 1, 0, 0, 0, &view));
    ck_assert_int_le(view.shape[0] * view.shape[1] * view.shape[2] * (view.ndim > 3 ? view.shape[3] : 1), 1 << 13);
    view.data = OUT->floats;
    return sslcv_augmenter_apply(HAVE->augmenter, &image, 1, 0, 0, 0, &view);
}

static void have_views_of_one(world *w)
{
    have_augmenter(w);
}

/* ---- data sets ---- */

static void have_folder(world *w)
{
    (void)w;
    mkdir(in_folder("images"), 0755);
    mkdir(in_folder("images/cats"), 0755);
    mkdir(in_folder("images/dogs"), 0755);
    write_ppm("images/cats/a.ppm", 8, 8, 1);
    write_ppm("images/cats/b.ppm", 8, 8, 2);
    write_ppm("images/dogs/c.ppm", 8, 8, 3);
    mkdir(in_folder("cifar"), 0755);
    {
        static unsigned char records[4][3073];
        const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8};
        const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 4, 5};
        int i;

        for (i = 0; i < 4; i++) records[i][0] = (unsigned char)(2 * i);
        write_file(in_folder("cifar/data_batch_1.bin"), records, sizeof records);
        write_file(in_folder("cifar/test_batch.bin"), records, sizeof records);
        write_file(in_folder("images.idx"), images, sizeof images);
        write_file(in_folder("labels.idx"), labels, sizeof labels);
    }
}

static sslcv_status open_dataset(world *w, int32_t kind, const char *name, const char *labels, sslcv_dataset **dataset)
{
    sslcv_dataset_options o = dataset_options(kind, name ? in_folder(name) : NULL);

    o.label_folders = kind == SSLCV_DATASET_FOLDER;
    o.cache = kind == SSLCV_DATASET_FOLDER;
    o.labels_path = labels ? in_folder(labels) : NULL;
    return sslcv_dataset_create(HAVE->context, &o, dataset);
}

static int32_t load_one(void *user, int64_t index, sslcv_tensor *image)
{
    static unsigned char grey[16];
    const int64_t shape[3] = {1, 4, 4};

    (void)user;
    memset(grey, (int)index, sizeof grey);
    return sslcv_tensor_init(image, SSLCV_U8, grey, 3, shape);
}

static int32_t label_one(void *user, int64_t index, int64_t *label)
{
    (void)user;
    *label = index % 3;
    return 0;
}

static sslcv_status open_callbacks(world *w)
{
    const sslcv_dataset_callbacks callbacks = {
        .struct_size = sizeof callbacks, .load = load_one, .get_label = label_one};
    sslcv_dataset_options o = dataset_options(SSLCV_DATASET_CALLBACK, NULL);

    o.callbacks = &callbacks;
    o.count = 6;
    return sslcv_dataset_create(HAVE->context, &o, &OUT->made.dataset);
}

CALL(open_list, open_dataset(w, SSLCV_DATASET_LIST, NULL, NULL, &OUT->made.dataset))
CALL(open_folder, open_dataset(w, SSLCV_DATASET_FOLDER, "images", NULL, &OUT->made.dataset))
CALL(open_cifar, open_dataset(w, SSLCV_DATASET_CIFAR10, "cifar", NULL, &OUT->made.dataset))
CALL(open_idx, open_dataset(w, SSLCV_DATASET_IDX, "images.idx", "labels.idx", &OUT->made.dataset))

static void have_folder_dataset(world *w)
{
    have_folder(w);
    OK(open_dataset(w, SSLCV_DATASET_FOLDER, "images", NULL, &HAVE->dataset));
}

static void have_uncached(world *w)
{
    sslcv_dataset_options o;

    have_folder(w);
    o = dataset_options(SSLCV_DATASET_FOLDER, in_folder("images"));
    OK(sslcv_dataset_create(HAVE->context, &o, &HAVE->dataset));
}

static sslcv_status add_images(world *w)
{
    const int64_t shape[4] = {2, 3, 5, 4}, labels[2] = {1, 2};
    const sslcv_tensor images = have_values(w, 4, shape);

    return sslcv_dataset_add_images(HAVE->dataset, &images, labels, NULL);
}

static sslcv_status describe_dataset(world *w)
{
    sslcv_dataset_info info = {.struct_size = sizeof info};

    return sslcv_dataset_get_info(HAVE->dataset, &info);
}

static sslcv_status describe_sample(world *w)
{
    sslcv_sample sample = {.struct_size = sizeof sample};

    return sslcv_dataset_get_sample(HAVE->dataset, 1, &sample);
}

static sslcv_status name_class(world *w)
{
    const char *name;

    return sslcv_dataset_get_class(HAVE->dataset, 0, &name);
}

static sslcv_status read_sample(world *w)
{
    const int64_t shape[3] = {3, 8, 8};
    sslcv_tensor image;

    OK(sslcv_tensor_init(&image, HAVE->dataset ? SSLCV_U8 : SSLCV_F32, OUT->floats, 3, shape));
    return sslcv_dataset_read(HAVE->dataset, 1, &image);
}

static sslcv_status split(world *w, const char *list, int64_t folds)
{
    sslcv_split_options o;

    OK(sslcv_split_options_init(&o, sizeof o));
    o.fraction = 0.5;
    o.folds = folds;
    o.list_path = list;
    return sslcv_dataset_split(HAVE->dataset, &o, OUT->integers, 64, OUT->integers + 64);
}

static void have_list_file(world *w)
{
    have_folder_dataset(w);
    write_file(in_folder("list.txt"), "c.ppm\na.ppm\n", 12);
}

static const int64_t chosen[] = {2, 0, 2};

CALL(add_bytes, sslcv_dataset_add_file(HAVE->dataset, NULL, "P5 1 1 255 x", 12, 1, NULL))
CALL(add_path, sslcv_dataset_add_file(HAVE->dataset, "somewhere.png", NULL, 0, 1, NULL))
CALL(split_share, split(w, NULL, 0))
CALL(split_folds, split(w, NULL, 3))
CALL(split_list, split(w, in_folder("list.txt"), 0))
CALL(save_list, sslcv_dataset_save_list(HAVE->dataset, chosen, 3, in_folder("saved.txt")))
CALL(take_subset, sslcv_dataset_subset(HAVE->dataset, chosen, 3, &OUT->made.dataset))

/* ---- loader ---- */

static sslcv_status open_loader(world *w, int32_t sampler, int64_t prefetch, sslcv_loader **loader)
{
    sslcv_loader_options o;

    OK(sslcv_loader_options_init(&o, sizeof o));
    o.dataset = HAVE->dataset;
    o.augmenter = HAVE->augmenter;
    o.batch_size = OOM_BATCH;
    o.prefetch = prefetch;
    o.seed = 5;
    o.sampler = sampler;
    return sslcv_loader_create(HAVE->context, &o, loader);
}

static void have_source(world *w)
{
    have_dataset(w);
    have_augmenter(w);
}

static void have_files_source(world *w)
{
    have_uncached(w);
    OK(sslcv_dataset_subset(HAVE->dataset, (const int64_t[]){0, 1, 2, 0, 1, 2, 0, 1}, 8, &OUT->made.dataset));
    sslcv_dataset_destroy(HAVE->dataset);
    HAVE->dataset = OUT->made.dataset;
    memset(&OUT->made, POISON, sizeof OUT->made);
    have_augmenter(w);
}

static void have_loader(world *w)
{
    have_source(w);
    OK(open_loader(w, SSLCV_SAMPLER_SHUFFLED, 0, &HAVE->loader));
}

static void have_loader_by_class(world *w)
{
    have_source(w);
    OK(open_loader(w, SSLCV_SAMPLER_BY_CLASS, 0, &HAVE->loader));
}

static void have_loader_of_files(world *w)
{
    have_files_source(w);
    OK(open_loader(w, SSLCV_SAMPLER_IN_ORDER, 0, &HAVE->loader));
}

/* The context of the world computes with one thread and loads with as many; this one has three of each. */
static void have_loader_threads(world *w)
{
    sslcv_context_destroy(HAVE->context);
    HAVE->context = new_context(&w->memory, 3);
    have_source(w);
    OK(open_loader(w, SSLCV_SAMPLER_SHUFFLED, 2, &HAVE->loader));
}

static void have_batch(world *w)
{
    sslcv_batch batch = {.struct_size = sizeof batch};

    have_loader(w);
    OK(sslcv_loader_next(HAVE->loader, &batch));
}

static void take_batch(world *w, const sslcv_batch *batch)
{
    memcpy(OUT->integers, batch->ids, (size_t)batch->size * sizeof *batch->ids);
    memcpy(OUT->integers + batch->size, batch->labels, (size_t)batch->size * sizeof *batch->labels);
}

static sslcv_status next(world *w)
{
    sslcv_batch batch, before;
    sslcv_status status;

    memset(&batch, POISON, sizeof batch);
    batch.struct_size = sizeof batch;
    memcpy(&before, &batch, sizeof batch);
    status = sslcv_loader_next(HAVE->loader, &batch);
    if (status == SSLCV_OK)
        take_batch(w, &batch);
    else
        ck_assert_mem_eq(&batch, &before, sizeof batch);
    return status;
}

static sslcv_status views(world *w, int64_t first, int64_t second)
{
    const int64_t both[2] = {first, second};
    sslcv_tensor images, before;
    sslcv_status status;

    memset(&images, POISON, sizeof images);
    memcpy(&before, &images, sizeof images);
    status = sslcv_loader_get_views(HAVE->loader, both, 2, &images);
    if (status == SSLCV_OK)
        memcpy(OUT->floats, images.data, sizeof(float) * 2 * OOM_BATCH * OOM_PIXELS);
    else
        ck_assert_mem_eq(&images, &before, sizeof images);
    return status;
}

CALL(create_loader, open_loader(w, SSLCV_SAMPLER_SHUFFLED, 0, &OUT->made.loader))
CALL(create_loader_by_class, open_loader(w, SSLCV_SAMPLER_BY_CLASS, 0, &OUT->made.loader))
CALL(neighbours, views(w, 0, 1))
CALL(strangers, views(w, 2, 0))
CALL(seek, sslcv_loader_seek(HAVE->loader, 1, 1))

static sslcv_status seek_then_next(world *w)
{
    const sslcv_status status = sslcv_loader_seek(HAVE->loader, 2, 1);

    return status == SSLCV_OK ? next(w) : status;
}

static const scenario scenarios[] = {
    {"sslcv_augmenter_create", NULL, create_augmenter, 0, 0},
    {"sslcv_augmenter_add_view", have_empty_augmenter, add_view, 0, 0},
    {"sslcv_augmenter_add_view", have_view, add_view, 0, 0},
    {"sslcv_augmenter_add_transform", have_view, add_crop, 0, 0},
    {"sslcv_augmenter_add_transform", have_view, add_custom, KEEPS, 0},
    {"sslcv_augmenter_add_preset", have_empty_augmenter, add_preset, KEEPS, 0},
    {"sslcv_augmenter_add_preset", have_empty_augmenter, add_patches, KEEPS, 0},
    {"sslcv_augmenter_get_view", have_view, describe_view, ALLOCATES_NOTHING, 0},
    {"sslcv_augmenter_apply", have_views_of_one, apply, KEEPS, 0},
    {"sslcv_augmenter_apply", have_everything, apply, KEEPS, 0},
    {"sslcv_dataset_create", NULL, open_list, 0, 0},
    {"sslcv_dataset_create", have_folder, open_folder, 0, 0},
    {"sslcv_dataset_create", have_folder, open_cifar, 0, 0},
    {"sslcv_dataset_create", have_folder, open_idx, 0, 0},
    {"sslcv_dataset_create", NULL, open_callbacks, 0, 0},
    {"sslcv_dataset_add_images", have_dataset, add_images, 0, 0},
    {"sslcv_dataset_add_file", have_dataset, add_bytes, 0, 0},
    {"sslcv_dataset_add_file", have_dataset, add_path, 0, 0},
    {"sslcv_dataset_get_info", have_dataset, describe_dataset, ALLOCATES_NOTHING, 0},
    {"sslcv_dataset_get_sample", have_dataset, describe_sample, ALLOCATES_NOTHING, 0},
    {"sslcv_dataset_get_class", have_folder_dataset, name_class, ALLOCATES_NOTHING, 0},
    {"sslcv_dataset_read", have_folder_dataset, read_sample, ABSORBS, 0},
    {"sslcv_dataset_read", have_uncached, read_sample, 0, 0},
    {"sslcv_dataset_split", have_dataset, split_share, 0, 0},
    {"sslcv_dataset_split", have_dataset, split_folds, 0, 0},
    {"sslcv_dataset_split", have_list_file, split_list, 0, 0},
    {"sslcv_dataset_save_list", have_folder_dataset, save_list, 0, 0},
    {"sslcv_dataset_subset", have_folder_dataset, take_subset, 0, 0},
    {"sslcv_loader_create", have_source, create_loader, 0, 0},
    {"sslcv_loader_create", have_source, create_loader_by_class, 0, 0},
    {"sslcv_loader_next", have_loader, next, KEEPS, 0},
    {"sslcv_loader_next", have_loader_by_class, next, KEEPS, 0},
    {"sslcv_loader_next", have_loader_of_files, next, KEEPS, 0},
    {"sslcv_loader_next", have_loader_threads, next, THREADS, 0},
    {"sslcv_loader_get_views", have_batch, neighbours, ALLOCATES_NOTHING, 0},
    {"sslcv_loader_get_views", have_batch, strangers, 0, 0},
    {"sslcv_loader_seek", have_loader, seek, ALLOCATES_NOTHING, 0},
    {"sslcv_loader_seek", have_loader, seek_then_next, KEEPS, 0},
};

SCENARIO_SUITE("out_of_memory_data")
