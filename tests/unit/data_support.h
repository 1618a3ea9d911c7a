/** What the suites of data sets and loaders share: small images, folders with folders in them. */
#ifndef SSLCV__TESTS_DATA_SUPPORT_H
#define SSLCV__TESTS_DATA_SUPPORT_H

#include "file_support.h"

#include <sslcv/dataset.h>

/** Byte i of the pixels that go with a seed. */
static inline unsigned char pixel(int seed, int64_t i)
{
    return (unsigned char)(seed * 37 + i * 11 + i * i / 7);
}

/** A binary PPM. The path is taken relative to the test's folder. */
static inline void write_ppm(const char *name, int width, int height, int seed)
{
    unsigned char bytes[32 + 3 * 64 * 64];
    const int header = snprintf((char *)bytes, 32, "P6\n%d %d\n255\n", width, height);
    int i;

    ck_assert_int_le(width * height, 64 * 64);
    for (i = 0; i < 3 * width * height; i++) bytes[header + i] = pixel(seed, i);
    write_file(in_folder(name), bytes, (size_t)(header + 3 * width * height));
}

static inline void make_subfolder(const char *name)
{
    ck_assert_int_eq(mkdir(in_folder(name), 0755), 0);
}

/** The test's folder with all that is in it. */
static inline void remove_tree(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", test_folder);
    ck_assert_int_eq(system(command), 0);
}

static inline sslcv_dataset_options dataset_options(int32_t kind, const char *path)
{
    sslcv_dataset_options options;

    OK(sslcv_dataset_options_init(&options, sizeof options, kind));
    options.path = path;
    return options;
}

static inline sslcv_dataset *make_dataset(sslcv_context *context, const sslcv_dataset_options *options)
{
    sslcv_dataset *dataset = NULL;

    OK(sslcv_dataset_create(context, options, &dataset));
    return dataset;
}

static inline sslcv_dataset *make_list(sslcv_context *context)
{
    const sslcv_dataset_options options = dataset_options(SSLCV_DATASET_LIST, NULL);

    return make_dataset(context, &options);
}

/** An image (3, height, width) of pixel(seed, i). */
static inline void add_pixels(sslcv_dataset *list, int height, int width, int seed, int64_t label)
{
    const int64_t shape[3] = {3, height, width};
    unsigned char bytes[3 * 64 * 64];
    sslcv_tensor image;
    int i;

    for (i = 0; i < 3 * height * width; i++) bytes[i] = pixel(seed, i);
    OK(sslcv_tensor_init(&image, SSLCV_U8, bytes, 3, shape));
    OK(sslcv_dataset_add_images(list, &image, &label, NULL));
}

static inline sslcv_dataset_info info_of(const sslcv_dataset *dataset)
{
    sslcv_dataset_info info;

    info.struct_size = sizeof info;
    OK(sslcv_dataset_get_info(dataset, &info));
    return info;
}

static inline sslcv_sample sample_of(const sslcv_dataset *dataset, int64_t index)
{
    sslcv_sample sample;

    sample.struct_size = sizeof sample;
    OK(sslcv_dataset_get_sample(dataset, index, &sample));
    return sample;
}

/** The project's own image data, where they are: NULL says that they are not. */
static inline const char *shared_data(const char *name)
{
    static char path[512];
    const char *root = getenv("SSLCV_TEST_DATA");

    snprintf(path, sizeof path, "%s/%s", root ? root : "../shared/data", name);
    if (access(path, R_OK) == 0) return path;
    printf("skipped: %s is not there\n", path);
    return NULL;
}

/* ---- cases ---- */

static inline void add_case(Suite *suite, const char *name, SFun setup, SFun teardown, const TTest *const *tests,
                            int count)
{
    TCase *tcase = tcase_create(name);
    int i;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    for (i = 0; i < count; i++) tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
}

/** A case of tests between setup() and teardown(), which each suite has its own of. */
#define CASE(suite, name, ...)                                                                                         \
    do {                                                                                                               \
        const TTest *const tests[] = {__VA_ARGS__};                                                                    \
        add_case(suite, name, setup, teardown, tests, (int)(sizeof tests / sizeof tests[0]));                          \
    } while (0)

#endif
