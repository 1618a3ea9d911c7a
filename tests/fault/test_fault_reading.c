/* Files that are read from a file system that fails, and files that vanish, shrink, grow and change meanwhile. */
#include "fault_support.h"

enum { RECORD = 3073, CIFAR_RECORDS = 4, IDX_SIDE = 20, IDX_IMAGES = 10 };

/* ---- what is read: a number that depends on every byte ---- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t mix_state(sslcv_state *state, int64_t tensors)
{
    uint64_t hash = 1;
    sslcv_tensor tensor;
    int64_t i;

    for (i = 0; i < tensors; i++) {
        OK(sslcv_state_data(state, i, SSLCV_STATE_VALUE, &tensor));
        ck_assert_int_eq(tensor.shape[0], VALUES);
        hash = mix(hash, tensor.data, VALUES * sizeof(float));
    }
    return hash;
}

/* On failure the state is as it was. */
static sslcv_status load_state(const char *path, uint64_t *hash)
{
    sslcv_state *state = make_state(7, 2);
    const uint64_t before = mix_state(state, 2);
    const sslcv_status status = sslcv_state_load(state, path, NULL, NULL);

    *hash = mix_state(state, 2);
    ck_assert_msg(status == SSLCV_OK || *hash == before, "a load failed (%s), and the state has changed",
                  sslcv_last_error());
    sslcv_state_destroy(state);
    return status;
}

static sslcv_status open_state(const char *path, uint64_t *hash)
{
    sslcv_state *state = NULL;
    const sslcv_status status = sslcv_state_open(context, path, NULL, &state);

    if (status == SSLCV_OK) *hash = mix_state(state, strstr(path, "npy") ? 1 : 2);
    sslcv_state_destroy(state);
    return status;
}

/* All images of a data set. */
static sslcv_status mix_images(sslcv_dataset *dataset, uint64_t *hash)
{
    sslcv_dataset_info info = {.struct_size = sizeof info};
    unsigned char pixels[3 * 32 * 32];
    int64_t i;
    sslcv_status status;

    status = sslcv_dataset_get_info(dataset, &info);
    for (i = 0; i < info.count && status == SSLCV_OK; i++) {
        sslcv_tensor image = {.data = NULL};
        int64_t count;

        status = sslcv_dataset_read(dataset, i, &image);
        if (status != SSLCV_OK) break;
        count = image.shape[0] * image.shape[1] * image.shape[2];
        ck_assert_int_le(count, (int64_t)sizeof pixels);
        OK(sslcv_tensor_init(&image, SSLCV_U8, pixels, 3, image.shape));
        status = sslcv_dataset_read(dataset, i, &image);
        *hash = mix(*hash, pixels, (size_t)count);
    }
    return status;
}

static sslcv_status read_images(int32_t kind, const char *path, const char *labels, uint64_t *hash)
{
    sslcv_dataset *dataset = NULL;
    sslcv_dataset_options o;
    sslcv_status status;

    OK(sslcv_dataset_options_init(&o, sizeof o, kind));
    o.path = path;
    o.labels_path = labels;
    o.on_error = SSLCV_ON_ERROR_FAIL;
    status = sslcv_dataset_create(context, &o, &dataset);
    if (status == SSLCV_OK) status = mix_images(dataset, hash);
    sslcv_dataset_destroy(dataset);
    return status;
}

static sslcv_status read_folder(const char *path, uint64_t *hash)
{
    (void)path;
    return read_images(SSLCV_DATASET_FOLDER, test_folder, NULL, hash);
}

static sslcv_status read_cifar(const char *path, uint64_t *hash)
{
    (void)path;
    return read_images(SSLCV_DATASET_CIFAR10, test_folder, NULL, hash);
}

static sslcv_status read_idx(const char *path, uint64_t *hash)
{
    return read_images(SSLCV_DATASET_IDX, path, NULL, hash);
}

static sslcv_status read_list(const char *path, uint64_t *hash)
{
    sslcv_dataset *dataset = make_images(0);
    int64_t indices[IMAGES], count = 0;
    sslcv_split_options o;
    sslcv_status status;

    OK(sslcv_split_options_init(&o, sizeof o));
    o.list_path = path;
    status = sslcv_dataset_split(dataset, &o, indices, IMAGES, &count);
    if (status == SSLCV_OK) *hash = mix(*hash, indices, (size_t)count * sizeof *indices);
    sslcv_dataset_destroy(dataset);
    return status;
}

/* ---- what is there to be read ---- */

static void save(int32_t format, const char *path)
{
    sslcv_save_options o;
    sslcv_state *state = make_state(1, format == SSLCV_FORMAT_NPY ? 1 : 2);

    OK(sslcv_save_options_init(&o, sizeof o));
    o.format = format;
    OK(sslcv_state_save(state, path, &o));
    sslcv_state_destroy(state);
}

static void make_safetensors(const char *path)
{
    save(SSLCV_FORMAT_SAFETENSORS, path);
}

static void make_npz(const char *path)
{
    save(SSLCV_FORMAT_NPZ, path);
}

static void make_npy(const char *path)
{
    save(SSLCV_FORMAT_NPY, path);
}

static void make_image(const char *path)
{
    write_image(path, 100);
}

static void make_cifar(const char *path)
{
    static unsigned char records[CIFAR_RECORDS][RECORD];
    int i;

    for (i = 0; i < CIFAR_RECORDS; i++) {
        memset(records[i], 10 * i, RECORD);
        records[i][0] = (unsigned char)i;
    }
    write_file(path, records, sizeof records);
}

static void make_idx(const char *path)
{
    static unsigned char bytes[16 + IDX_IMAGES * IDX_SIDE * IDX_SIDE] = {0, 0, 8, 3,        0, 0, 0, IDX_IMAGES,
                                                                         0, 0, 0, IDX_SIDE, 0, 0, 0, IDX_SIDE};

    memset(bytes + 16, 50, sizeof bytes - 16);
    write_file(path, bytes, sizeof bytes);
}

static void make_list(const char *path)
{
    write_file(path, "#0\n#3\n#5\n", 9);
}

static const struct reader {
    const char *name, *file;
    void (*make)(const char *path);
    sslcv_status (*read)(const char *path, uint64_t *hash);
    int checked; /* every changed bit is found */
} readers[] = {{"safetensors", "file", make_safetensors, load_state, 1},
               {"npz", "npz", make_npz, open_state, 1},
               {"npy", "npy", make_npy, open_state, 0},
               {"folder", "image.ppm", make_image, read_folder, 0},
               {"CIFAR-10", "data_batch_1.bin", make_cifar, read_cifar, 0},
               {"IDX", "file", make_idx, read_idx, 0},
               {"list", "file", make_list, read_list, 0}};
enum { NUM_READERS = sizeof readers / sizeof readers[0] };

static uint64_t read_once(const struct reader *r)
{
    uint64_t hash = 0;

    r->make(in_folder(r->file));
    OK(r->read(in_folder(r->file), &hash));
    return hash;
}

/* ---- faults ---- */

START_TEST(each_call_fails)
{
    static const int errors[] = {EIO, EACCES, ESTALE};
    const struct reader *r = &readers[_i];
    const uint64_t expected = read_once(r);
    const int descriptors = count_descriptors();
    const int64_t blocks = memory.out;
    int64_t counts[FAULT_CALLS], at;
    uint64_t hash = 0;
    int call, k, failures = 0, told = 0;

    fault_begin(test_folder);
    OK(r->read(in_folder(r->file), &hash));
    memcpy(counts, fault_count, sizeof counts);
    fault_end();
    ck_assert(counts[FAULT_OPEN] >= 1 && counts[FAULT_READ] >= 2);
    for (call = 0; call < FAULT_CALLS; call++) {
        for (at = 0; at < counts[call]; at++) {
            for (k = 0; k < 3; k++, failures++) {
                sslcv_status status;

                fault_begin(test_folder);
                fault.call = call;
                fault.at = at;
                fault.times = 1;
                fault.error = errors[k];
                hash = 0;
                status = r->read(in_folder(r->file), &hash);
                fault_end();
                ck_assert_msg(status == SSLCV_OK ? hash == expected
                                                 : status == SSLCV_ERR_IO || status == SSLCV_ERR_NOT_FOUND,
                              "%s, %s %d: %s: %s, %s", r->name, fault_names[call], (int)at, strerror(errors[k]),
                              sslcv_status_string(status), sslcv_last_error());
                ck_assert_msg(status == SSLCV_OK || strstr(sslcv_last_error(), test_folder) != NULL, "\"%s\"",
                              sslcv_last_error());
                ck_assert_int_eq(memory.out, blocks);
                ck_assert_int_eq(count_descriptors(), descriptors);
                told += status != SSLCV_OK;
                if (call == FAULT_OPEN || call == FAULT_READ) ck_assert_int_ne(status, SSLCV_OK);
            }
        }
    }
    printf("reading %s: %d faults, %d told\n", r->name, failures, told);
    OK(r->read(in_folder(r->file), &hash));
}
END_TEST

START_TEST(interrupted_and_short)
{
    const struct reader *r = &readers[_i];
    const uint64_t expected = read_once(r);
    int k;

    for (k = 0; k < 3; k++) {
        uint64_t hash = 0;

        fault_begin(test_folder);
        fault.interrupt = k != 1;
        fault.most = k == 0 ? 0 : 1;
        OK(r->read(in_folder(r->file), &hash));
        ck_assert_int_ge(fault_count[FAULT_READ], k == 0 ? 3 : 9);
        fault_end();
        ck_assert_uint_eq(hash, expected);
    }
}
END_TEST

/* ---- files that change ---- */

static const struct reader *changing;
static int64_t change_at; /* the read before which it happens; -1: opening */

static void change(const char *mode, long at, const char *bytes, size_t size)
{
    FILE *file = fopen(in_folder(changing->file), mode);

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static int is_now(int call, int64_t nth)
{
    return change_at < 0 ? call == FAULT_OPEN : call == FAULT_READ && nth == change_at;
}

static void vanish(int call, int64_t nth, const char *path)
{
    (void)path;
    if (!is_now(call, nth)) return;
    fault.before = NULL;
    unlink(in_folder(changing->file));
}

static void shrink(int call, int64_t nth, const char *path)
{
    struct stat info;

    (void)path;
    if (!is_now(call, nth)) return;
    fault.before = NULL;
    ck_assert_int_eq(stat(in_folder(changing->file), &info), 0);
    ck_assert_int_eq(truncate(in_folder(changing->file), info.st_size * 3 / 4 - 1), 0);
}

static void grow(int call, int64_t nth, const char *path)
{
    (void)path;
    if (!is_now(call, nth)) return;
    fault.before = NULL;
    change("ab", 0, "and more of it", 14);
}

static void alter(int call, int64_t nth, const char *path)
{
    (void)path;
    if (!is_now(call, nth)) return;
    fault.before = NULL;
    change("r+b", -3, "\x55", 1);
}

static sslcv_status read_while(const struct reader *r, void (*before)(int, int64_t, const char *), int64_t at,
                               uint64_t *hash)
{
    const int descriptors = count_descriptors();
    const int64_t blocks = memory.out;
    struct stat info;
    sslcv_status status;

    r->make(in_folder(r->file));
    ck_assert_int_eq(stat(in_folder(r->file), &info), 0);
    changing = r;
    change_at = at;
    *hash = 0;
    fault_begin(test_folder);
    fault.most = info.st_size / 4 + 1;
    fault.before = before;
    status = r->read(in_folder(r->file), hash);
    ck_assert_ptr_null(fault.before);
    fault_end();
    ck_assert_int_eq(memory.out, blocks);
    ck_assert_int_eq(count_descriptors(), descriptors);
    return status;
}

START_TEST(files_change)
{
    const struct reader *r = &readers[_i];
    const uint64_t expected = read_once(r);
    const int is_folder = strcmp(r->name, "folder") == 0;
    const int is_list = strcmp(r->name, "list") == 0; /* any text of whole lines is one */
    uint64_t hash;
    int64_t at;

    ck_assert_int_eq(read_while(r, vanish, -1, &hash), SSLCV_ERR_NOT_FOUND);
    for (at = 0; at < 3; at++) {
        /* What is open stays; images are opened twice, for their shape and for their pixels. */
        const sslcv_status status = read_while(r, vanish, at, &hash);

        ck_assert(status == SSLCV_OK ? hash == expected : is_folder && status == SSLCV_ERR_NOT_FOUND);
    }
    for (at = -1; at < 3; at++) {
        sslcv_status status = read_while(r, shrink, at, &hash);

        if (!is_list) {
            ck_assert_msg(status == SSLCV_ERR_FORMAT, "%s shrinks at %d: %s", r->name, (int)at,
                          sslcv_status_string(status));
            ck_assert_ptr_nonnull(strstr(sslcv_last_error(), r->file));
        }
        status = read_while(r, grow, at, &hash);
        ck_assert_msg(status == SSLCV_ERR_FORMAT || status == SSLCV_ERR_NOT_FOUND ||
                          (status == SSLCV_OK && hash == expected),
                      "%s grows at %d: %s", r->name, (int)at, sslcv_status_string(status));
        status = read_while(r, alter, at, &hash);
        if (r->checked) ck_assert_int_eq(status, SSLCV_ERR_FORMAT);
    }
}
END_TEST

/* A folder was looked through; then files go. The loader takes others in their place, and what comes back is read. */
START_TEST(images_vanish)
{
    sslcv_dataset_info info = {.struct_size = sizeof info};
    sslcv_batch batch = {.struct_size = sizeof batch};
    sslcv_dataset *dataset = NULL;
    sslcv_augmenter *augmenter;
    sslcv_loader *loader;
    sslcv_loader_options load;
    sslcv_dataset_options o;
    char name[32];
    int i;

    for (i = 0; i < IMAGES; i++) {
        snprintf(name, sizeof name, "%d.ppm", i);
        write_image(in_folder(name), i);
    }
    OK(sslcv_dataset_options_init(&o, sizeof o, SSLCV_DATASET_FOLDER));
    o.path = test_folder;
    OK(sslcv_dataset_create(context, &o, &dataset));
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_view(augmenter, -1, NULL));
    OK(sslcv_loader_options_init(&load, sizeof load));
    load.dataset = dataset;
    load.augmenter = augmenter;
    load.batch_size = IMAGES;
    load.sampler = SSLCV_SAMPLER_IN_ORDER;
    load.prefetch = 0;
    OK(sslcv_loader_create(context, &load, &loader));
    ck_assert_int_eq(unlink(in_folder("2.ppm")), 0);
    OK(sslcv_loader_next(loader, &batch));
    ck_assert_int_eq(batch.ids[2], 3);
    OK(sslcv_dataset_get_info(dataset, &info));
    ck_assert_int_eq(info.failed, 1);
    for (i = 0; i < IMAGES; i++) {
        snprintf(name, sizeof name, "%d.ppm", i);
        unlink(in_folder(name));
    }
    FAILS(sslcv_loader_next(loader, &batch), SSLCV_ERR_NOT_FOUND, ".ppm");
    for (i = 0; i < IMAGES; i++) {
        snprintf(name, sizeof name, "%d.ppm", i);
        write_image(in_folder(name), i);
    }
    OK(sslcv_loader_next(loader, &batch));
    ck_assert_int_eq(batch.ids[2], 2);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(dataset);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fault_reading");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, each_call_fails, 0, NUM_READERS);
    tcase_add_loop_test(all, interrupted_and_short, 0, NUM_READERS);
    tcase_add_loop_test(all, files_change, 0, NUM_READERS);
    tcase_add_test(all, images_vanish);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
