/* Data sets in files of many images: CIFAR and IDX. */
#include "dataset_support.h"

#include <zlib.h>

/* ---- CIFAR ---- */

/** count records; label i % classes, pixels pixel(seed + i, ...). */
static void write_cifar(const char *name, int label_bytes, int count, int seed, int packed)
{
    unsigned char record[2 + 3072];
    gzFile file = gzopen(in_folder(name), packed ? "wb" : "wbT");
    int i, k;

    ck_assert_ptr_nonnull(file);
    for (i = 0; i < count; i++) {
        record[0] = record[label_bytes - 1] = (unsigned char)(i % 10);
        if (label_bytes == 2) record[0] = 77;
        for (k = 0; k < 3072; k++) record[label_bytes + k] = pixel(seed + i, k);
        ck_assert_int_eq(gzwrite(file, record, (unsigned)(label_bytes + 3072)), label_bytes + 3072);
    }
    ck_assert_int_eq(gzclose(file), Z_OK);
}

static void check_cifar(int32_t kind, const char *path, int32_t part, int64_t count, int first_seed)
{
    sslcv_dataset_options options = dataset_options(kind, path);
    unsigned char bytes[3072];
    sslcv_dataset *dataset;
    int64_t shape[3], i;

    options.part = part;
    dataset = make_dataset(context, &options);
    ck_assert_int_eq(info_of(dataset).count, count);
    ck_assert_int_eq(info_of(dataset).num_classes, kind == SSLCV_DATASET_CIFAR10 ? 10 : 100);
    ck_assert_int_eq(info_of(dataset).height, 32);
    ck_assert_int_eq(read_bytes(dataset, 1, bytes, shape), 3072);
    ck_assert_int_eq(sample_of(dataset, 1).label, 1);
    ck_assert_str_eq(sample_of(dataset, 1).name, "");
    for (i = 0; i < 3072; i++) ck_assert_int_eq(bytes[i], pixel(first_seed + 1, i));
    sslcv_dataset_destroy(dataset);
}

START_TEST(cifar10)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_CIFAR10, test_folder);
    unsigned char bytes[3072];
    sslcv_dataset *dataset;
    const char *name;
    int64_t shape[3];

    write_cifar("data_batch_5.bin", 1, 3, 50, 0);
    write_cifar("data_batch_2.bin.gz", 1, 4, 20, 1);
    write_cifar("test_batch.bin", 1, 2, 90, 0);
    write_file(in_folder("batches.meta.txt"), "cat\r\ndog\n\n", 10);
    check_cifar(SSLCV_DATASET_CIFAR10, test_folder, SSLCV_PART_ALL, 9, 20);
    check_cifar(SSLCV_DATASET_CIFAR10, test_folder, SSLCV_PART_TRAIN, 7, 20);
    check_cifar(SSLCV_DATASET_CIFAR10, test_folder, SSLCV_PART_TEST, 2, 90);

    dataset = make_dataset(context, &options);
    read_bytes(dataset, 5, bytes, shape); /* the second of batch 5 */
    ck_assert_int_eq(bytes[100], pixel(51, 100));
    read_bytes(dataset, 8, bytes, shape);
    ck_assert_int_eq(bytes[100], pixel(91, 100));
    OK(sslcv_dataset_get_class(dataset, 1, &name));
    ck_assert_str_eq(name, "dog");
    OK(sslcv_dataset_get_class(dataset, 2, &name));
    ck_assert_str_eq(name, "");
    sslcv_dataset_destroy(dataset);
    RUN_OUT_OF_MEMORY(&memory, open_and_read(&options));
}
END_TEST

START_TEST(cifar_inner_folder)
{
    make_subfolder("cifar-10-batches-bin");
    write_cifar("cifar-10-batches-bin/data_batch_1.bin", 1, 3, 5, 0);
    check_cifar(SSLCV_DATASET_CIFAR10, test_folder, SSLCV_PART_TRAIN, 3, 5);
    make_subfolder("cifar-100-binary");
    write_cifar("cifar-100-binary/train.bin", 2, 3, 6, 0);
    write_cifar("cifar-100-binary/test.bin.gz", 2, 5, 7, 1);
    check_cifar(SSLCV_DATASET_CIFAR100, test_folder, SSLCV_PART_ALL, 8, 6);
    check_cifar(SSLCV_DATASET_CIFAR100, test_folder, SSLCV_PART_TEST, 5, 7);
    check_cifar(SSLCV_DATASET_CIFAR100, in_folder("cifar-100-binary"), SSLCV_PART_TEST, 5, 7);
}
END_TEST

START_TEST(cifar_damaged)
{
    static unsigned char record[3073];
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_CIFAR10, test_folder);
    sslcv_dataset *none = NULL;

    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_NOT_FOUND, "no data_batch_1.bin in it");
    options.part = SSLCV_PART_TEST;
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_NOT_FOUND, "no test_batch.bin in it");
    write_file(in_folder("test_batch.bin"), record, 3072);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_FORMAT,
          "3072 bytes; CIFAR-10 needs a multiple of 3073");
    write_file(in_folder("test_batch.bin"), record, 0);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_FORMAT, "0 bytes");
    record[0] = 10;
    write_file(in_folder("test_batch.bin"), record, 3073);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_FORMAT, "label 10 in record 0");
    options.max_file_bytes = 3000;
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_LIMIT, "test_batch.bin");
    ck_assert_ptr_null(none);
}
END_TEST

/* ---- IDX ---- */

static void write_idx(const char *name, unsigned magic, const unsigned *sizes, int num_sizes, int bytes)
{
    unsigned char file[512] = {0};
    int i;

    for (i = 0; i <= num_sizes; i++) {
        const unsigned value = i ? sizes[i - 1] : magic;

        file[4 * i] = (unsigned char)(value >> 24);
        file[4 * i + 1] = (unsigned char)(value >> 16);
        file[4 * i + 2] = (unsigned char)(value >> 8);
        file[4 * i + 3] = (unsigned char)value;
    }
    for (i = 0; i < bytes; i++) file[4 * (num_sizes + 1) + i] = (unsigned char)i;
    write_file(in_folder(name), file, (size_t)(4 * (num_sizes + 1) + bytes));
}

START_TEST(idx)
{
    static const unsigned images[3] = {4, 2, 3}, labels[1] = {4};
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_IDX, NULL);
    unsigned char bytes[18];
    sslcv_dataset *dataset;
    int64_t shape[3];

    write_idx("images", 0x803, images, 3, 24);
    write_idx("labels", 0x801, labels, 1, 4);
    options.path = in_folder("images");
    dataset = make_dataset(context, &options);
    ck_assert_int_eq(info_of(dataset).count, 4);
    ck_assert_int_eq(info_of(dataset).num_classes, 0);
    ck_assert_int_eq(info_of(dataset).channels, 1);
    ck_assert_int_eq(sample_of(dataset, 3).label, -1);
    ck_assert_int_eq(read_bytes(dataset, 3, bytes, shape), 6);
    ck_assert(shape[1] == 2 && shape[2] == 3 && bytes[0] == 18 && bytes[5] == 23);
    sslcv_dataset_destroy(dataset);

    options.labels_path = in_folder("labels");
    options.channels = 3;
    dataset = make_dataset(context, &options);
    ck_assert_int_eq(info_of(dataset).num_classes, 4);
    ck_assert_int_eq(sample_of(dataset, 3).label, 3);
    ck_assert_int_eq(read_bytes(dataset, 1, bytes, shape), 18);
    ck_assert(bytes[0] == 6 && bytes[6] == 6 && bytes[12] == 6 && bytes[17] == 11);
    sslcv_dataset_destroy(dataset);
    RUN_OUT_OF_MEMORY(&memory, open_and_read(&options));
}
END_TEST

START_TEST(idx_damaged)
{
    static const unsigned sizes[3] = {4, 2, 3}, five[1] = {5}, four[1] = {4}, none_at_all[3] = {0, 2, 3},
                          flat[3] = {4, 0, 3}, huge[3] = {0xffffffff, 0xffff, 0xffff};
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_IDX, in_folder("i"));
    sslcv_dataset *none = NULL;

    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_NOT_FOUND, "No such file");
    write_idx("i", 0x803, sizes, 2, 0);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_FORMAT, "12 bytes; an IDX header has 16");
    write_idx("i", 0xd03, sizes, 3, 24);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_FORMAT, "begins with 0x00000d03");
    write_idx("i", 0x803, sizes, 3, 23);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_FORMAT,
          "23 bytes behind its header, which announces 4 images of 3 x 2");
    write_idx("i", 0x803, none_at_all, 3, 0);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_NOT_FOUND, "no image");
    write_idx("i", 0x803, flat, 3, 0);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_FORMAT, "images of 3 x 0 pixels");
    write_idx("i", 0x803, huge, 3, 0);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_LIMIT, "max_pixels");
    options.max_pixels = INT64_MAX;
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_FORMAT, "announces 4294967295 images");

    write_idx("i", 0x803, sizes, 3, 24);
    options.labels_path = in_folder("l");
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_NOT_FOUND, "/l: No such file");
    write_idx("l", 0x803, four, 1, 4);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_FORMAT, "IDX labels begin with 0x00000801");
    write_idx("l", 0x801, four, 1, 3);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_FORMAT, "3 bytes behind its header, which");
    write_idx("l", 0x801, five, 1, 5);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_FORMAT, "has 5 labels; ");
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(idx_is_a_pipe)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_IDX, in_folder("images"));
    sslcv_dataset *none = NULL;

    ck_assert_int_eq(mkfifo(options.path, 0600), 0);
    alarm(5); /* a hang is a failure */
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_IO, "images: it is a pipe");
    alarm(0);
    ck_assert_ptr_null(none);
}
END_TEST

/* ---- real data ---- */

START_TEST(real_cifar10)
{
    static const int64_t expected[10] = {1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981};
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_CIFAR10, shared_data("cifar10"));
    int64_t counts[10] = {0}, i;
    sslcv_dataset *dataset;
    const char *name;

    if (!options.path) return;
    options.part = SSLCV_PART_TRAIN;
    dataset = make_dataset(context, &options);
    ck_assert_int_eq(info_of(dataset).count, 20000);
    for (i = 0; i < 10000; i++) counts[sample_of(dataset, i).label]++;
    for (i = 0; i < 10; i++) ck_assert_int_eq(counts[i], expected[i]);
    OK(sslcv_dataset_get_class(dataset, 6, &name));
    ck_assert_str_eq(name, "frog");
    sslcv_dataset_destroy(dataset);
}
END_TEST

START_TEST(real_fashion_mnist)
{
    sslcv_dataset_options options =
        dataset_options(SSLCV_DATASET_IDX, "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz");
    int64_t counts[10] = {0}, i;
    sslcv_dataset *dataset;

    if (access(options.path, R_OK) != 0) {
        printf("skipped: %s is not there\n", options.path);
        return;
    }
    options.labels_path = "/usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz";
    dataset = make_dataset(context, &options);
    ck_assert_int_eq(info_of(dataset).count, 10000);
    ck_assert_int_eq(info_of(dataset).num_classes, 10);
    ck_assert_int_eq(info_of(dataset).width, 28);
    for (i = 0; i < 10000; i++) counts[sample_of(dataset, i).label]++;
    for (i = 0; i < 10; i++) ck_assert_int_eq(counts[i], 1000);
    sslcv_dataset_destroy(dataset);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dataset_files");

    CASE(suite, "cifar", cifar10, cifar_inner_folder, cifar_damaged);
    CASE(suite, "idx", idx, idx_damaged, idx_is_a_pipe);
    CASE(suite, "real", real_cifar10, real_fashion_mnist);
    return run_suite(suite);
}
