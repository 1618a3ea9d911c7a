/* Data sets of image files in folders: what is found, in which order, and how it is read. */
#include "dataset_support.h"

/* ---- folder ---- */

START_TEST(folder_order_and_labels)
{
    static const char *const names[] = {"a/1.ppm", "a/deep/er/0.PPM", "a-b/x.ppm", "b.ppm"};
    const char *name;
    sslcv_dataset *dataset;
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, NULL);
    char path[128];

    make_subfolder("a-b");
    make_subfolder("empty");
    make_subfolder("a");
    make_subfolder("a/deep");
    make_subfolder("a/deep/er");
    make_subfolder(".hidden");
    write_ppm("b.ppm", 2, 2, 1);
    write_ppm("a-b/x.ppm", 2, 2, 2);
    write_ppm("a/deep/er/0.PPM", 2, 2, 3);
    write_ppm("a/1.ppm", 2, 2, 4);
    write_ppm("a/.2.ppm", 2, 2, 5);
    write_ppm(".hidden/3.ppm", 2, 2, 6);
    write_file(in_folder("a/notes.txt"), "x", 1);

    dataset = open_folder(1);
    check_names(dataset, 4, names);
    ck_assert_int_eq(info_of(dataset).num_classes, 3);
    ck_assert_int_eq(info_of(dataset).channels, 3);
    ck_assert_int_eq(info_of(dataset).height, 0);
    ck_assert_int_eq(sample_of(dataset, 0).label, 0);
    ck_assert_int_eq(sample_of(dataset, 1).label, 0);
    ck_assert_int_eq(sample_of(dataset, 2).label, 1);
    ck_assert_int_eq(sample_of(dataset, 3).label, -1);
    OK(sslcv_dataset_get_class(dataset, 0, &name));
    ck_assert_str_eq(name, "a");
    OK(sslcv_dataset_get_class(dataset, 2, &name));
    ck_assert_str_eq(name, "empty");
    FAILS(sslcv_dataset_get_class(dataset, 3, &name), SSLCV_ERR_NOT_FOUND,
          "class 3 does not exist; the data set has 3");
    FAILS(sslcv_dataset_get_class(dataset, -1, &name), SSLCV_ERR_NOT_FOUND, "class -1");
    FAILS(sslcv_dataset_get_class(dataset, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "name is NULL");
    sslcv_dataset_destroy(dataset);

    snprintf(path, sizeof path, "%s//", test_folder);
    options.path = path;
    dataset = make_dataset(context, &options);
    check_names(dataset, 4, names);
    ck_assert_int_eq(info_of(dataset).num_classes, 0);
    ck_assert_int_eq(sample_of(dataset, 0).label, -1);
    sslcv_dataset_destroy(dataset);
}
END_TEST

START_TEST(folder_links)
{
    static const char *const names[] = {"a/1.ppm", "a/link.ppm"};
    sslcv_dataset *dataset;

    make_subfolder("a");
    write_ppm("a/1.ppm", 2, 2, 1);
    ck_assert_int_eq(symlink("1.ppm", in_folder("a/link.ppm")), 0);
    ck_assert_int_eq(symlink("nowhere.ppm", in_folder("a/dangling.ppm")), 0);
    ck_assert_int_eq(symlink("..", in_folder("a/up")), 0);
    ck_assert_int_eq(symlink(".", in_folder("a/self")), 0);
    ck_assert_int_eq(symlink("a", in_folder("z")), 0);
    ck_assert_int_eq(mkfifo(in_folder("a/pipe.ppm"), 0644), 0);
    dataset = open_folder(1);
    check_names(dataset, 2, names);
    sslcv_dataset_destroy(dataset);
}
END_TEST

/** Links that fan out: each level has three to the next, 3^20 ways in all. */
START_TEST(folder_links_do_not_multiply)
{
    sslcv_dataset *dataset;
    char name[64], target[16];
    int level, link;

    for (level = 0; level < 20; level++) {
        snprintf(name, sizeof name, "d%02d", level);
        make_subfolder(name);
        for (link = 0; link < 3 && level < 19; link++) {
            snprintf(name, sizeof name, "d%02d/l%d", level, link);
            snprintf(target, sizeof target, "../d%02d", level + 1);
            ck_assert_int_eq(symlink(target, in_folder(name)), 0);
        }
    }
    write_ppm("d19/x.ppm", 1, 1, 1);
    dataset = open_folder(0);
    ck_assert_int_eq(info_of(dataset).count, 1);
    sslcv_dataset_destroy(dataset);
}
END_TEST

START_TEST(folder_depth)
{
    sslcv_dataset *none = NULL;
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);
    char name[160] = "d";
    int i;

    for (i = 0; i < 70; i++) {
        make_subfolder(name);
        if (i == 60) write_ppm("d/x.ppm", 1, 1, 1);
        strcat(name, "/d");
    }
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_LIMIT, "nested deeper than 64 folders");
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(folder_many_names)
{
    sslcv_dataset *dataset;
    char name[64];
    int i;

    for (i = 0; i < 150; i++) {
        snprintf(name, sizeof name, "f%03d", (i * 37) % 150);
        make_subfolder(name);
        snprintf(name, sizeof name, "f%03d/x.ppm", (i * 37) % 150);
        write_ppm(name, 1, 1, i);
    }
    dataset = open_folder(1);
    ck_assert_int_eq(info_of(dataset).count, 150);
    for (i = 0; i < 150; i++) {
        snprintf(name, sizeof name, "f%03d/x.ppm", i);
        ck_assert_str_eq(sample_of(dataset, i).name, name);
        ck_assert_int_eq(sample_of(dataset, i).label, i);
    }
    sslcv_dataset_destroy(dataset);
}
END_TEST

START_TEST(folder_not_found)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);
    sslcv_dataset *none = NULL;

    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_NOT_FOUND, test_folder);
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_NOT_FOUND, "no image in it");
    options.path = in_folder("missing");
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_NOT_FOUND, "missing: No such file");
    write_file(in_folder("file"), "x", 1);
    options.path = in_folder("file");
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_NOT_FOUND, "Not a directory");
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(folder_closed_to_us)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);
    sslcv_dataset *dataset = NULL;

    if (geteuid() == 0) {
        printf("skipped: root may read every folder\n");
        return;
    }
    make_subfolder("closed");
    write_ppm("x.ppm", 1, 1, 1);
    ck_assert_int_eq(chmod(in_folder("closed"), 0), 0);
    OK(sslcv_dataset_create(context, &options, &dataset));
    sslcv_dataset_destroy(dataset);
    options.on_error = SSLCV_ON_ERROR_FAIL;
    FAILS(sslcv_dataset_create(context, &options, &dataset), SSLCV_ERR_IO, "closed: Permission denied");
}
END_TEST

START_TEST(folder_cancelled)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);
    sslcv_dataset *dataset = NULL;

    write_ppm("x.ppm", 1, 1, 1);
    OK(sslcv_context_cancel(context, 1));
    FAILS(sslcv_dataset_create(context, &options, &dataset), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(context, 0));
    OK(sslcv_dataset_create(context, &options, &dataset));
    sslcv_dataset_destroy(dataset);
}
END_TEST

START_TEST(folder_out_of_memory)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);

    make_subfolder("a");
    make_subfolder("b");
    write_ppm("a/1.ppm", 3, 3, 1);
    write_ppm("b/1.ppm", 3, 3, 2);
    options.label_folders = 1;
    RUN_OUT_OF_MEMORY(&memory, open_and_read(&options));
}
END_TEST

/* ---- reading ---- */

START_TEST(read_refuses)
{
    const int64_t shape[3] = {3, 2, 2};
    unsigned char bytes[24];
    sslcv_dataset *dataset;
    sslcv_tensor image;
    int i;

    write_ppm("x.ppm", 2, 2, 1);
    dataset = open_folder(0);
    OK(sslcv_tensor_init(&image, SSLCV_U8, bytes, 3, shape));
    OK(sslcv_dataset_read(dataset, 0, &image));
    for (i = 0; i < 12; i++) ck_assert_int_eq(bytes[i], pixel(1, i % 4 * 3 + i / 4));
    /* Into every second byte, upside down. */
    image.data = bytes + 4;
    image.strides[0] = 8;
    image.strides[1] = -4;
    image.strides[2] = 2;
    OK(sslcv_dataset_read(dataset, 0, &image));
    for (i = 0; i < 12; i++) {
        ck_assert_int_eq(bytes[4 + i / 4 * 8 - i / 2 % 2 * 4 + i % 2 * 2], pixel(1, i % 4 * 3 + i / 4));
    }
    image.dtype = SSLCV_F32;
    FAILS(sslcv_dataset_read(dataset, 0, &image), SSLCV_ERR_INVALID_ARGUMENT, "image");
    FAILS(sslcv_dataset_read(dataset, 1, &image), SSLCV_ERR_NOT_FOUND, "sample 1 does not exist; the data set has 1");
    FAILS(sslcv_dataset_read(dataset, -1, &image), SSLCV_ERR_NOT_FOUND, "sample -1");
    FAILS(sslcv_dataset_read(dataset, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "image is NULL");
    FAILS(sslcv_dataset_read(NULL, 0, &image), SSLCV_ERR_INVALID_ARGUMENT, "dataset is NULL");
    ck_assert_int_eq(info_of(dataset).failed, 0);
    sslcv_dataset_destroy(dataset);
}
END_TEST

START_TEST(read_a_pipe)
{
    sslcv_dataset *dataset;

    write_ppm("x.ppm", 2, 2, 1);
    dataset = open_folder(0);
    ck_assert_int_eq(unlink(in_folder("x.ppm")), 0);
    ck_assert_int_eq(mkfifo(in_folder("x.ppm"), 0600), 0);
    alarm(5); /* a hang is a failure */
    FAILS(read_any(dataset, 0), SSLCV_ERR_IO, "x.ppm: it is a pipe");
    alarm(0);
    sslcv_dataset_destroy(dataset);
}
END_TEST

START_TEST(read_damaged)
{
    static const char *const statuses[] = {"0empty.ppm", "1cut.ppm", "2text.png", "3good.ppm", "4large.ppm"};
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);
    sslcv_dataset *dataset;

    write_file(in_folder(statuses[0]), "", 0);
    write_file(in_folder(statuses[1]), "P6\n4 4\n255\nabc", 14);
    write_file(in_folder(statuses[2]), "this is no image", 16);
    write_ppm(statuses[3], 4, 4, 1);
    write_ppm(statuses[4], 5, 4, 1);
    options.max_pixels = 16;
    dataset = make_dataset(context, &options);
    check_names(dataset, 5, statuses);
    FAILS(read_any(dataset, 0), SSLCV_ERR_FORMAT, statuses[0]);
    FAILS(read_any(dataset, 1), SSLCV_ERR_FORMAT, statuses[1]);
    FAILS(read_any(dataset, 2), SSLCV_ERR_FORMAT, statuses[2]);
    OK(read_any(dataset, 3));
    FAILS(read_any(dataset, 4), SSLCV_ERR_LIMIT, statuses[4]);
    ck_assert_int_eq(unlink(in_folder(statuses[3])), 0);
    FAILS(read_any(dataset, 3), SSLCV_ERR_NOT_FOUND, statuses[3]);
    ck_assert_int_eq(info_of(dataset).failed, 5);
    sslcv_dataset_destroy(dataset);

    write_ppm(statuses[3], 4, 4, 1);
    options.max_file_bytes = 30;
    dataset = make_dataset(context, &options);
    FAILS(read_any(dataset, 3), SSLCV_ERR_LIMIT, "more than 30 bytes");
    sslcv_dataset_destroy(dataset);
}
END_TEST

START_TEST(read_grey)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);
    unsigned char bytes[64];
    sslcv_dataset *dataset;
    int64_t shape[3];

    write_file(in_folder("x.pgm"), "P5\n2 1\n255\nab", 13);
    dataset = make_dataset(context, &options);
    ck_assert_int_eq(read_bytes(dataset, 0, bytes, shape), 6);
    ck_assert(bytes[0] == 'a' && bytes[2] == 'a' && bytes[4] == 'a' && bytes[5] == 'b');
    sslcv_dataset_destroy(dataset);
    options.channels = 1;
    dataset = make_dataset(context, &options);
    ck_assert_int_eq(info_of(dataset).channels, 1);
    ck_assert_int_eq(read_bytes(dataset, 0, bytes, shape), 2);
    ck_assert(bytes[0] == 'a' && bytes[1] == 'b');
    sslcv_dataset_destroy(dataset);
}
END_TEST

START_TEST(cache)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);
    unsigned char first[48], again[48];
    sslcv_dataset *dataset;
    int64_t shape[3];

    write_ppm("0.ppm", 4, 4, 1);
    write_ppm("1.ppm", 4, 4, 2);
    options.cache = 1;
    options.max_cache_bytes = 60; /* room for one of the two, 48 bytes each */
    dataset = make_dataset(context, &options);
    read_bytes(dataset, 0, first, shape);
    read_bytes(dataset, 1, again, shape);
    ck_assert_int_eq(unlink(in_folder("0.ppm")), 0);
    ck_assert_int_eq(unlink(in_folder("1.ppm")), 0);
    read_bytes(dataset, 0, again, shape);
    ck_assert_int_eq(memcmp(first, again, sizeof first), 0);
    FAILS(read_any(dataset, 1), SSLCV_ERR_NOT_FOUND, "1.ppm");
    sslcv_dataset_destroy(dataset);
}
END_TEST

/** Files are made smaller while they are decoded, and cached so. */
START_TEST(smaller_images)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);
    unsigned char large[3 * 12 * 17], small[3 * 6 * 9], again[3 * 20 * 5];
    sslcv_dataset *dataset;
    int64_t shape[3];

    write_ppm("0.ppm", 17, 12, 1);
    write_ppm("1.ppm", 5, 20, 2);
    dataset = make_dataset(context, &options);
    read_bytes(dataset, 0, large, shape);
    ck_assert(shape[1] == 12 && shape[2] == 17);
    sslcv_dataset_destroy(dataset);
    options.min_side = 6;
    options.cache = 1;
    dataset = make_dataset(context, &options);
    read_bytes(dataset, 0, small, shape);
    ck_assert(shape[1] == 6 && shape[2] == 9);
    ck_assert_int_eq(small[0], (large[0] + large[1] + large[17] + large[18] + 2) / 4);
    ck_assert_int_eq(unlink(in_folder("0.ppm")), 0);
    read_bytes(dataset, 0, again, shape);
    ck_assert_int_eq(memcmp(small, again, sizeof small), 0);
    read_bytes(dataset, 1, again, shape); /* smaller than that already */
    ck_assert(shape[1] == 20 && shape[2] == 5);
    sslcv_dataset_destroy(dataset);
}
END_TEST

/* ---- real data ---- */

START_TEST(real_photos)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, shared_data("photos/train"));
    static unsigned char bytes[3 * 144 * 144];
    sslcv_dataset *dataset;
    const char *name;
    int64_t shape[3], i;

    if (!options.path) return;
    options.label_folders = 1;
    dataset = make_dataset(context, &options);
    ck_assert_int_eq(info_of(dataset).count, 800);
    ck_assert_int_eq(info_of(dataset).num_classes, 10);
    OK(sslcv_dataset_get_class(dataset, 9, &name));
    ck_assert_str_eq(name, "tench");
    for (i = 0; i < 800; i += 40) {
        ck_assert_int_eq(sample_of(dataset, i).label, i / 80);
        ck_assert_int_eq(read_bytes(dataset, i, bytes, shape), 3 * 144 * 144);
    }
    sslcv_dataset_destroy(dataset);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dataset_folder");

    CASE(suite, "folder", folder_order_and_labels, folder_links, folder_links_do_not_multiply, folder_depth,
         folder_many_names, folder_not_found, folder_closed_to_us, folder_cancelled, folder_out_of_memory);
    CASE(suite, "read", read_refuses, read_a_pipe, read_damaged, read_grey, cache, smaller_images);
    CASE(suite, "real", real_photos);
    return run_suite(suite);
}
