/** What the suites of data sets share: a context that can run out of memory, a folder, samples read as bytes. */
#ifndef SSLCV__TESTS_DATASET_SUPPORT_H
#define SSLCV__TESTS_DATASET_SUPPORT_H

#include "data_support.h"

static sslcv_context *context;
static host memory;

static inline void setup(void)
{
    make_folder();
    context = make_context(&memory);
}

static inline void teardown(void)
{
    sslcv_context_destroy(context);
    ck_assert_int_eq(memory.out, 0);
    remove_tree();
}

static inline sslcv_dataset *open_folder(int32_t label_folders)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);

    options.label_folders = label_folders;
    return make_dataset(context, &options);
}

/** A sample as dense bytes. @return Number of values. */
static inline int64_t read_bytes(sslcv_dataset *dataset, int64_t index, unsigned char *bytes, int64_t shape[3])
{
    sslcv_tensor image = {0};

    OK(sslcv_dataset_read(dataset, index, &image));
    ck_assert_int_eq(image.ndim, 3);
    ck_assert_int_eq(image.dtype, SSLCV_U8);
    memcpy(shape, image.shape, 3 * sizeof *shape);
    image.data = bytes;
    OK(sslcv_dataset_read(dataset, index, &image));
    return shape[0] * shape[1] * shape[2];
}

static inline sslcv_status read_any(sslcv_dataset *dataset, int64_t index)
{
    sslcv_tensor image = {0};

    return sslcv_dataset_read(dataset, index, &image);
}

static inline void check_names(const sslcv_dataset *dataset, int64_t count, const char *const *names)
{
    int64_t i;

    ck_assert_int_eq(info_of(dataset).count, count);
    for (i = 0; i < count; i++) ck_assert_str_eq(sample_of(dataset, i).name, names[i]);
}

static inline sslcv_status open_and_read(const sslcv_dataset_options *options)
{
    sslcv_dataset *dataset = NULL, *subset = NULL;
    const int64_t chosen[2] = {1, 0};
    sslcv_split_options split;
    sslcv_tensor image = {0};
    int64_t count;
    sslcv_status status = sslcv_dataset_create(context, options, &dataset);

    if (status != SSLCV_OK) {
        ck_assert_ptr_null(dataset);
        return status;
    }
    OK(sslcv_split_options_init(&split, sizeof split));
    split.fraction = 0.5;
    status = sslcv_dataset_subset(dataset, chosen, 2, &subset);
    if (status == SSLCV_OK) status = sslcv_dataset_read(subset, 0, &image);
    if (status == SSLCV_OK) status = sslcv_dataset_split(subset, &split, NULL, 0, &count);
    sslcv_dataset_destroy(dataset);
    sslcv_dataset_destroy(subset);
    return status;
}

#endif
