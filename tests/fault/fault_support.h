/** What the suites about faults share: what is left in the folder, what they write and read. */
#ifndef SSLCV__TESTS_FAULT_SUPPORT_H
#define SSLCV__TESTS_FAULT_SUPPORT_H

#include "faults.h"
#include "file_support.h"

#include <errno.h>
#include <sslcv/sslcv.h>

static sslcv_context *context;
static host memory;

static inline void setup(void)
{
    memory = (host){0};
    context = make_context(&memory);
    make_folder();
}

static inline void teardown(void)
{
    fault_end();
    remove_folder();
    sslcv_context_destroy(context);
    ck_assert_int_eq(memory.out, 0);
}

static inline int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    ck_assert_ptr_nonnull(folder);
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

static inline int count_temporaries(void)
{
    DIR *folder = opendir(test_folder);
    const struct dirent *entry;
    int count = 0;

    ck_assert_ptr_nonnull(folder);
    while ((entry = readdir(folder)) != NULL) count += strstr(entry->d_name, ".tmp.") != NULL;
    closedir(folder);
    return count;
}

/** The whole file, of malloc; "" where there is none. */
static inline char *contents(const char *path, size_t *size)
{
    if (access(path, F_OK) == 0) return read_file(path, size);
    *size = 0;
    return calloc(1, 1);
}

static inline int file_equals(const char *path, const char *bytes, size_t size)
{
    size_t own_size;
    char *own = contents(path, &own_size);
    const int equal = own_size == size && memcmp(own, bytes, size) == 0;

    free(own);
    return equal;
}

/* ---- a state, images ---- */

enum { VALUES = 1500, IMAGES = 6, SIDE = 8 };

/** Of its own: two tensors, whose values the version tells. */
static inline sslcv_state *make_state(int version, int tensors)
{
    static const char *const names[2] = {"weight", "count"};
    const int64_t shape[1] = {VALUES};
    sslcv_state *state;
    sslcv_tensor tensor;
    int64_t i, k;

    OK(sslcv_state_create(context, &state));
    for (k = 0; k < tensors; k++) {
        const sslcv_state_entry entry = {sizeof entry, names[k], {VALUES}, 1, SSLCV_F32, SSLCV_ROLE_BUFFER, 0};
        float values[VALUES];

        OK(sslcv_state_add(state, &entry, NULL));
        for (i = 0; i < VALUES; i++) values[i] = (float)(version * 10000 + i + k);
        OK(sslcv_tensor_init(&tensor, SSLCV_F32, values, 1, shape));
        OK(sslcv_state_set(state, k, SSLCV_STATE_VALUE, &tensor));
    }
    return state;
}

/** Image i, all bytes i + version. */
static inline sslcv_dataset *make_images(int version)
{
    const int64_t shape[4] = {IMAGES, 3, SIDE, SIDE};
    unsigned char pixels[IMAGES][3 * SIDE * SIDE];
    int64_t labels[IMAGES], i;
    sslcv_dataset_options o;
    sslcv_dataset *dataset;
    sslcv_tensor tensor;

    for (i = 0; i < IMAGES; i++) {
        memset(pixels[i], (int)i + version, sizeof pixels[i]);
        labels[i] = i % 2 + version;
    }
    OK(sslcv_dataset_options_init(&o, sizeof o, SSLCV_DATASET_LIST));
    OK(sslcv_dataset_create(context, &o, &dataset));
    OK(sslcv_tensor_init(&tensor, SSLCV_U8, pixels, 4, shape));
    OK(sslcv_dataset_add_images(dataset, &tensor, labels, NULL));
    return dataset;
}

/** A PPM file of one colour. */
static inline void write_image(const char *path, int colour)
{
    char bytes[16 + 3 * SIDE * SIDE];
    const int header = snprintf(bytes, sizeof bytes, "P6 %d %d 255\n", SIDE, SIDE);

    memset(bytes + header, colour, 3 * SIDE * SIDE);
    write_file(path, bytes, (size_t)header + 3 * SIDE * SIDE);
}

#endif
