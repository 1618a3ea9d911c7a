#include "data_support.h"

#include "data/dataset.h"

#include <stdio.h>
#include <zlib.h>

static sslcv_context *context;
static failing_memory memory;

static void setup(void)
{
    make_folder();
    context = make_context(&memory);
}

static void teardown(void)
{
    sslcv_context_destroy(context);
    ck_assert_int_eq(memory.blocks, 0);
    remove_tree();
}

static sslcv_dataset *open_folder(int32_t label_folders)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);

    options.label_folders = label_folders;
    return make_dataset(context, &options);
}

/** A sample as dense bytes. @return Number of values. */
static int64_t read_bytes(sslcv_dataset *dataset, int64_t index, unsigned char *bytes, int64_t shape[3])
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

static sslcv_status read_any(sslcv_dataset *dataset, int64_t index)
{
    sslcv_tensor image = {0};

    return sslcv_dataset_read(dataset, index, &image);
}

static void check_names(const sslcv_dataset *dataset, int64_t count, const char *const *names)
{
    int64_t i;

    ck_assert_int_eq(info_of(dataset).count, count);
    for (i = 0; i < count; i++) ck_assert_str_eq(sample_of(dataset, i).name, names[i]);
}

/* ---- options ---- */

START_TEST(options_defaults)
{
    sslcv_dataset_options o;

    memset(&o, 0x55, sizeof o);
    OK(sslcv_dataset_options_init(&o, sizeof o, SSLCV_DATASET_FOLDER));
    ck_assert_uint_eq(o.struct_size, sizeof o);
    ck_assert_int_eq(o.kind, SSLCV_DATASET_FOLDER);
    ck_assert_int_eq(o.on_error, SSLCV_ON_ERROR_SUBSTITUTE);
    ck_assert_int_eq(o.max_pixels, (int64_t)1 << 27);
    ck_assert_int_eq(o.max_file_bytes, (int64_t)1 << 28);
    ck_assert_int_eq(o.max_cache_bytes, (int64_t)1 << 30);
    ck_assert_int_eq(o.min_side, 0);
    ck_assert_ptr_null(o.path);
    FAILS(sslcv_dataset_options_init(&o, sizeof o, 6), SSLCV_ERR_INVALID_ARGUMENT, "dataset.kind is 6");
    FAILS(sslcv_dataset_options_init(NULL, sizeof o, 1), SSLCV_ERR_INVALID_ARGUMENT, "dataset_options is NULL");
    FAILS(sslcv_dataset_options_init(&o, 8, 1), SSLCV_ERR_INVALID_ARGUMENT, "struct_size is 8");
}
END_TEST

#define REFUSED(kind, change, text)                                                                                    \
    do {                                                                                                               \
        sslcv_dataset_options refused = dataset_options(kind, NULL);                                                   \
        sslcv_dataset *none = NULL;                                                                                    \
        change;                                                                                                        \
        FAILS(sslcv_dataset_create(context, &refused, &none), SSLCV_ERR_INVALID_ARGUMENT, text);                       \
        ck_assert_ptr_null(none);                                                                                      \
    } while (0)

START_TEST(options_refused)
{
    sslcv_dataset_options o = dataset_options(SSLCV_DATASET_LIST, NULL);
    sslcv_dataset *dataset = NULL;

    REFUSED(SSLCV_DATASET_FOLDER, (void)refused, "dataset.path is NULL");
    REFUSED(SSLCV_DATASET_FOLDER, refused.path = "", "dataset.path is empty");
    REFUSED(SSLCV_DATASET_LIST, refused.path = "x", "dataset.path is set; a list does not read it");
    REFUSED(SSLCV_DATASET_LIST, refused.part = SSLCV_DATASET_TEST, "dataset.part is set; a list");
    REFUSED(SSLCV_DATASET_IDX, refused.label_folders = 1, "dataset.label_folders is set; IDX");
    REFUSED(SSLCV_DATASET_CIFAR10, refused.channels = 1, "dataset.channels is set; CIFAR-10");
    REFUSED(SSLCV_DATASET_CIFAR100, refused.cache = 1, "dataset.cache is set; CIFAR-100");
    REFUSED(SSLCV_DATASET_FOLDER, refused.labels_path = "x", "dataset.labels_path is set; a folder");
    REFUSED(SSLCV_DATASET_LIST, refused.count = 3, "dataset.count is set; a list");
    REFUSED(SSLCV_DATASET_FOLDER, refused.num_classes = 3, "dataset.num_classes is set; a folder");
    REFUSED(SSLCV_DATASET_CIFAR10, refused.part = 3, "dataset.part is 3");
    REFUSED(SSLCV_DATASET_FOLDER, refused.label_folders = 2, "dataset.label_folders is 2; must be 0 or 1");
    REFUSED(SSLCV_DATASET_LIST, refused.cache = -1, "dataset.cache is -1; must be 0 or 1");
    REFUSED(SSLCV_DATASET_LIST, refused.on_error = 2, "dataset.on_error is 2");
    REFUSED(SSLCV_DATASET_LIST, refused.channels = 4, "dataset.channels is 4; must be 0, 1 or 3");
    REFUSED(SSLCV_DATASET_LIST, refused.num_classes = -1, "dataset.num_classes is -1");
    REFUSED(SSLCV_DATASET_CIFAR10, refused.min_side = 8, "dataset.min_side is set; CIFAR-10");
    REFUSED(SSLCV_DATASET_LIST, refused.min_side = -1, "dataset.min_side is -1; must be >= 0");
    REFUSED(SSLCV_DATASET_LIST, refused.max_pixels = 0, "dataset.max_pixels is 0; must be >= 1");
    REFUSED(SSLCV_DATASET_LIST, refused.max_file_bytes = 0, "dataset.max_file_bytes is 0");
    REFUSED(SSLCV_DATASET_LIST, refused.max_cache_bytes = -5, "dataset.max_cache_bytes is -5");
    FAILS(sslcv_dataset_create(NULL, &o, &dataset), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_dataset_create(context, NULL, &dataset), SSLCV_ERR_INVALID_ARGUMENT, "dataset_options is NULL");
    FAILS(sslcv_dataset_create(context, &o, NULL), SSLCV_ERR_INVALID_ARGUMENT, "dataset is NULL");
    sslcv_dataset_destroy(NULL);
}
END_TEST

/* ---- list ---- */

START_TEST(list_of_images)
{
    /* Two BGR pictures of 2 x 3 pixels, rows padded to 8 bytes. */
    unsigned char frame[2 * 8], bytes[3 * 64];
    const int64_t labels[1] = {4};
    int64_t shape[3], i;
    sslcv_dataset *list = make_list(context);
    sslcv_tensor image;

    ck_assert_int_eq(info_of(list).count, 0);
    ck_assert_int_eq(info_of(list).num_classes, 0);
    for (i = 0; i < 16; i++) frame[i] = (unsigned char)i;
    OK(sslcv_tensor_init_pixels(&image, SSLCV_U8, frame, 2, 2, 3, 8, SSLCV_PIXELS_BGR));
    OK(sslcv_dataset_add_image(list, &image, NULL));
    OK(sslcv_dataset_add_image(list, &image, labels));
    memset(frame, 99, sizeof frame); /* it was copied */

    ck_assert_int_eq(info_of(list).count, 2);
    ck_assert_int_eq(info_of(list).num_classes, 5);
    ck_assert_int_eq(info_of(list).channels, 3);
    ck_assert_int_eq(info_of(list).height, 2);
    ck_assert_int_eq(info_of(list).width, 2);
    ck_assert_int_eq(sample_of(list, 0).label, -1);
    ck_assert_int_eq(sample_of(list, 1).label, 4);
    ck_assert_str_eq(sample_of(list, 1).name, "");
    ck_assert_int_eq(read_bytes(list, 1, bytes, shape), 12);
    ck_assert_int_eq(bytes[0], 2);  /* red of the first pixel */
    ck_assert_int_eq(bytes[3], 13); /* red of the last */
    ck_assert_int_eq(bytes[8], 0);  /* blue of the first */

    add_pixels(list, 4, 2, 1, -1);
    ck_assert_int_eq(info_of(list).channels, 3);
    ck_assert_int_eq(info_of(list).height, 0);
    ck_assert_int_eq(info_of(list).width, 2);
    sslcv_dataset_destroy(list);
}
END_TEST

START_TEST(list_of_many)
{
    const int64_t shape[4] = {300, 1, 2, 2};
    float values[300 * 4];
    int64_t labels[300], i;
    sslcv_dataset *list = make_list(context);
    sslcv_tensor images, one;
    float back[4];

    for (i = 0; i < 1200; i++) values[i] = (float)i;
    for (i = 0; i < 300; i++) labels[i] = i % 7 - 1;
    OK(sslcv_tensor_init(&images, SSLCV_F32, values, 4, shape));
    OK(sslcv_dataset_add_image(list, &images, labels));
    ck_assert_int_eq(info_of(list).count, 300);
    ck_assert_int_eq(info_of(list).num_classes, 6);
    for (i = 0; i < 300; i += 13) {
        ck_assert_int_eq(sample_of(list, i).label, i % 7 - 1);
        OK(sslcv_tensor_init(&one, SSLCV_F32, back, 3, shape + 1));
        OK(sslcv_dataset_read(list, i, &one));
        ck_assert(back[0] == (float)(4 * i) && back[3] == (float)(4 * i + 3));
    }
    sslcv_dataset_destroy(list);
}
END_TEST

START_TEST(list_of_files)
{
    static const char ppm[] = "P6\n1 1\n255\nabc";
    unsigned char bytes[3 * 64];
    int64_t shape[3];
    sslcv_dataset *list = make_list(context);

    write_ppm("a.ppm", 3, 2, 5);
    OK(sslcv_dataset_add_file(list, in_folder("a.ppm"), NULL, 0, 2));
    OK(sslcv_dataset_add_file(list, NULL, ppm, sizeof ppm - 1, -1));
    OK(sslcv_dataset_add_file(list, in_folder("gone.ppm"), NULL, 0, 0));
    ck_assert_str_eq(sample_of(list, 0).name, in_folder("a.ppm"));
    ck_assert_int_eq(info_of(list).num_classes, 3);
    ck_assert_int_eq(info_of(list).channels, 3);
    ck_assert_int_eq(info_of(list).height, 0);

    ck_assert_int_eq(read_bytes(list, 0, bytes, shape), 18);
    ck_assert_int_eq(shape[1], 2);
    ck_assert_int_eq(shape[2], 3);
    ck_assert_int_eq(bytes[1], pixel(5, 3));
    ck_assert_int_eq(read_bytes(list, 1, bytes, shape), 3);
    ck_assert(bytes[0] == 'a' && bytes[1] == 'b' && bytes[2] == 'c');
    FAILS(read_any(list, 2), SSLCV_ERR_NOT_FOUND, "gone.ppm");
    FAILS(read_any(list, 2), SSLCV_ERR_NOT_FOUND, "gone.ppm");
    ck_assert_int_eq(info_of(list).failed, 1);
    sslcv_dataset_destroy(list);
}
END_TEST

START_TEST(list_refuses)
{
    const int64_t shape[4] = {1, 3, 4, 4}, channels[3] = {17, 1, 1};
    static float values[64];
    const int64_t too_low = -2, too_high = 3;
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_LIST, NULL);
    sslcv_dataset *list, *subset = NULL;
    const int64_t first = 0;
    sslcv_tensor image;
    int64_t label = 2;

    options.num_classes = 3;
    options.max_pixels = 16;
    options.max_file_bytes = 10;
    list = make_dataset(context, &options);
    ck_assert_int_eq(info_of(list).num_classes, 3);
    OK(sslcv_tensor_init(&image, SSLCV_F32, values, 4, shape));
    OK(sslcv_dataset_add_image(list, &image, &label));
    ck_assert_int_eq(info_of(list).num_classes, 3);
    FAILS(sslcv_dataset_add_image(list, &image, &too_low), SSLCV_ERR_INVALID_ARGUMENT,
          "label of sample 1 is -2; must be -1 .. 2");
    FAILS(sslcv_dataset_add_image(list, &image, &too_high), SSLCV_ERR_INVALID_ARGUMENT, "is 3; must be -1 .. 2");
    FAILS(sslcv_dataset_add_file(list, "x", NULL, 0, 3), SSLCV_ERR_INVALID_ARGUMENT, "is 3; must be -1 .. 2");
    FAILS(sslcv_dataset_add_image(list, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "image is NULL");
    image.shape[3] = 5;
    FAILS(sslcv_dataset_add_image(list, &image, NULL), SSLCV_ERR_LIMIT, "5 x 4 pixels; max_pixels is 16");
    image.ndim = 2;
    FAILS(sslcv_dataset_add_image(list, &image, NULL), SSLCV_ERR_INVALID_ARGUMENT, "image has 2 axes");
    OK(sslcv_tensor_init(&image, SSLCV_F64, values, 3, shape + 1));
    FAILS(sslcv_dataset_add_image(list, &image, NULL), SSLCV_ERR_INVALID_ARGUMENT, "dtype f64; must be u8, u16 or");
    OK(sslcv_tensor_init(&image, SSLCV_U8, values, 3, channels));
    FAILS(sslcv_dataset_add_image(list, &image, NULL), SSLCV_ERR_INVALID_ARGUMENT, "must have 1 .. 16 channels");
    FAILS(sslcv_dataset_add_file(list, NULL, NULL, 0, 0), SSLCV_ERR_INVALID_ARGUMENT, "path and bytes are NULL");
    FAILS(sslcv_dataset_add_file(list, "a", "b", 1, 0), SSLCV_ERR_INVALID_ARGUMENT, "path and bytes are both given");
    FAILS(sslcv_dataset_add_file(list, "a", NULL, 1, 0), SSLCV_ERR_INVALID_ARGUMENT, "size is 1; must be 0");
    FAILS(sslcv_dataset_add_file(list, "", NULL, 0, 0), SSLCV_ERR_INVALID_ARGUMENT, "path is empty");
    FAILS(sslcv_dataset_add_file(list, NULL, "b", 0, 0), SSLCV_ERR_INVALID_ARGUMENT, "size is 0; must be >= 1");
    FAILS(sslcv_dataset_add_file(list, NULL, "0123456789x", 11, 0), SSLCV_ERR_LIMIT, "max_file_bytes is 10");
    ck_assert_int_eq(info_of(list).count, 1);

    OK(sslcv_dataset_subset(list, &first, 1, &subset));
    FAILS(sslcv_dataset_add_file(subset, "a", NULL, 0, 0), SSLCV_ERR_STATE, "SSLCV_DATASET_LIST only");
    sslcv_dataset_destroy(subset);
    sslcv_dataset_destroy(list);
}
END_TEST

/** Each failing allocation leaves the list as it was, and the same call succeeds once there is memory. */
START_TEST(list_out_of_memory)
{
    static unsigned char bytes[200 * 3 * 8 * 8];
    const int64_t shape[4] = {200, 3, 8, 8};
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    sslcv_tensor images;
    int n;

    OK(sslcv_tensor_init(&images, SSLCV_U8, bytes, 4, shape));
    for (n = 0; status != SSLCV_OK; n++) {
        sslcv_dataset *list = make_list(context);

        memory.calls = 0;
        memory.fail_at = n;
        status = sslcv_dataset_add_image(list, &images, NULL);
        if (status == SSLCV_OK) status = sslcv_dataset_add_file(list, "name", NULL, 0, 0);
        memory.fail_at = -1;
        if (status != SSLCV_OK) {
            ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
            ck_assert(info_of(list).count == 0 || info_of(list).count == 200);
            OK(sslcv_dataset_add_image(list, &images, NULL));
            ck_assert(info_of(list).count == 200 || info_of(list).count == 400);
        }
        sslcv_dataset_destroy(list);
    }
    ck_assert_int_ge(n, 4);
}
END_TEST

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

static sslcv_status open_and_read(const sslcv_dataset_options *options)
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
    check_cifar(SSLCV_DATASET_CIFAR10, test_folder, SSLCV_DATASET_ALL, 9, 20);
    check_cifar(SSLCV_DATASET_CIFAR10, test_folder, SSLCV_DATASET_TRAIN, 7, 20);
    check_cifar(SSLCV_DATASET_CIFAR10, test_folder, SSLCV_DATASET_TEST, 2, 90);

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
    check_cifar(SSLCV_DATASET_CIFAR10, test_folder, SSLCV_DATASET_TRAIN, 3, 5);
    make_subfolder("cifar-100-binary");
    write_cifar("cifar-100-binary/train.bin", 2, 3, 6, 0);
    write_cifar("cifar-100-binary/test.bin.gz", 2, 5, 7, 1);
    check_cifar(SSLCV_DATASET_CIFAR100, test_folder, SSLCV_DATASET_ALL, 8, 6);
    check_cifar(SSLCV_DATASET_CIFAR100, test_folder, SSLCV_DATASET_TEST, 5, 7);
    check_cifar(SSLCV_DATASET_CIFAR100, in_folder("cifar-100-binary"), SSLCV_DATASET_TEST, 5, 7);
}
END_TEST

START_TEST(cifar_damaged)
{
    static unsigned char record[3073];
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_CIFAR10, test_folder);
    sslcv_dataset *none = NULL;

    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_NOT_FOUND, "no data_batch_1.bin in it");
    options.part = SSLCV_DATASET_TEST;
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

/* ---- callbacks ---- */

typedef struct host {
    unsigned char bytes[12];
    int loads, unloads, destroyed;
    int32_t dtype;
    int64_t bad, stop_at;
} host;

static int32_t host_load(void *user, int64_t index, sslcv_tensor *image)
{
    static const int64_t shape[3] = {3, 2, 2};
    host *h = user;

    if (index == h->bad) return 7;
    h->loads++;
    memset(h->bytes, (int)index, sizeof h->bytes);
    sslcv_tensor_init(image, h->dtype, h->bytes, 3, shape);
    return 0;
}

static void host_unload(void *user, int64_t index, const sslcv_tensor *image)
{
    (void)index;
    (void)image;
    ((host *)user)->unloads++;
}

static int32_t host_label(void *user, int64_t index, int64_t *label)
{
    *label = index % 3;
    return index == ((host *)user)->stop_at;
}

static void host_destroy(void *user)
{
    ((host *)user)->destroyed++;
}

static sslcv_dataset_callbacks host_table(host *h)
{
    sslcv_dataset_callbacks table = {0};

    memset(h, 0, sizeof *h);
    h->dtype = SSLCV_U8;
    h->bad = h->stop_at = -1;
    table.struct_size = sizeof table;
    table.user = h;
    table.load = host_load;
    table.unload = host_unload;
    table.get_label = host_label;
    table.destroy = host_destroy;
    return table;
}

START_TEST(callbacks)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_CALLBACK, NULL);
    unsigned char bytes[12];
    sslcv_dataset *dataset, *subset = NULL;
    const int64_t last = 4;
    int64_t shape[3];
    host h;
    sslcv_dataset_callbacks table = host_table(&h);

    options.callbacks = &table;
    options.count = 5;
    dataset = make_dataset(context, &options);
    memset(&table, 0, sizeof table); /* it was copied */
    ck_assert_int_eq(info_of(dataset).count, 5);
    ck_assert_int_eq(info_of(dataset).num_classes, 3);
    ck_assert_int_eq(info_of(dataset).channels, 0);
    ck_assert_int_eq(sample_of(dataset, 4).label, 1);
    read_bytes(dataset, 3, bytes, shape);
    ck_assert_int_eq(bytes[11], 3);
    ck_assert(h.loads == 2 && h.unloads == 2);
    h.bad = 2;
    FAILS(read_any(dataset, 2), SSLCV_ERR_IO, "sample 2 is unreadable: the load callback returned 7");
    ck_assert_int_eq(info_of(dataset).failed, 1);
    h.dtype = SSLCV_I64;
    FAILS(read_any(dataset, 3), SSLCV_ERR_INVALID_ARGUMENT, "load callback, sample 3, has dtype i64");
    ck_assert_int_eq(h.loads, h.unloads);
    OK(sslcv_dataset_subset(dataset, &last, 1, &subset));
    sslcv_dataset_destroy(dataset);
    ck_assert_int_eq(h.destroyed, 0);
    sslcv_dataset_destroy(subset);
    ck_assert_int_eq(h.destroyed, 1);
}
END_TEST

START_TEST(callbacks_refused)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_CALLBACK, NULL);
    sslcv_dataset *none = NULL;
    host h;
    sslcv_dataset_callbacks table = host_table(&h);

    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "dataset.callbacks is NULL");
    options.callbacks = &table;
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "dataset.count is 0");
    options.count = 5;
    options.num_classes = 2;
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT,
          "label of sample 2 is 2; must be -1 .. 1");
    options.num_classes = 0;
    h.stop_at = 3;
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_CANCELLED, "stopped at sample 3");
    table.flags = 2;
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "callbacks.flags is 2");
    table.flags = SSLCV_CALLBACK_ANY_THREAD;
    table.unload = NULL;
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "callbacks.unload is NULL");
    table.flags = 0;
    table.load = NULL;
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "callbacks.load is NULL");
    table.struct_size = 8;
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "callbacks.struct_size is 8");
    table = host_table(&h);
    table.reserved = 1;
    FAILS(sslcv_dataset_create(context, &options, &none), SSLCV_ERR_UNSUPPORTED, "callbacks.reserved is not 0");
    ck_assert_int_eq(h.destroyed, 0);
    ck_assert_ptr_null(none);

    table = host_table(&h);
    table.destroy = NULL; /* each success of the loop would count */
    RUN_OUT_OF_MEMORY(&memory, open_and_read(&options));
}
END_TEST

/* ---- subsets ---- */

START_TEST(subset_of_subset)
{
    const int64_t first[4] = {5, 1, 5, 3}, second[3] = {3, 0, 0}, wrong[1] = {4};
    sslcv_dataset *list = make_list(context), *a = NULL, *b = NULL;
    unsigned char bytes[3];
    int64_t shape[3], labels[3];
    int i;

    for (i = 0; i < 6; i++) add_pixels(list, 1, 1, i, i);
    OK(sslcv_dataset_add_file(list, "gone.ppm", NULL, 0, 6));
    OK(sslcv_dataset_subset(list, first, 4, &a));
    OK(sslcv_dataset_subset(a, second, 3, &b));
    FAILS(sslcv_dataset_subset(a, wrong, 1, &b), SSLCV_ERR_NOT_FOUND, "sample 4 does not exist; the data set has 4");
    FAILS(sslcv_dataset_subset(a, wrong, 0, &b), SSLCV_ERR_INVALID_ARGUMENT, "count is 0");
    FAILS(sslcv_dataset_subset(a, NULL, 1, &b), SSLCV_ERR_INVALID_ARGUMENT, "indices is NULL");
    sslcv_dataset_destroy(a);
    FAILS(read_any(list, 6), SSLCV_ERR_NOT_FOUND, "gone.ppm");
    sslcv_dataset_destroy(list);

    ck_assert_int_eq(info_of(b).count, 3);
    ck_assert_int_eq(info_of(b).num_classes, 7);
    ck_assert_int_eq(info_of(b).failed, 0);
    sslcv__dataset_labels(b, 0, 3, labels);
    ck_assert(labels[0] == 3 && labels[1] == 5 && labels[2] == 5);
    read_bytes(b, 0, bytes, shape);
    ck_assert_int_eq(bytes[1], pixel(3, 1));
    sslcv_dataset_destroy(b);
}
END_TEST

/* ---- splits ---- */

/** 10 samples of class 0, 20 of class 1, 7 of class 3 (no class 2), 3 without label. */
static sslcv_dataset *make_classes(void)
{
    sslcv_dataset *list = make_list(context);
    int i;

    for (i = 0; i < 40; i++) add_pixels(list, 1, 1, i, i % 4 == 0 ? 0 : i < 27 ? 1 : i < 34 ? (i % 2 ? 1 : 3) : 3);
    return list;
}

static sslcv_split_options split_options(void)
{
    sslcv_split_options o;

    OK(sslcv_split_options_init(&o, sizeof o));
    return o;
}

static int64_t choose(const sslcv_dataset *dataset, const sslcv_split_options *o, int64_t *indices, int64_t *by_class)
{
    int64_t count = -1, asked = -1, i;

    OK(sslcv_dataset_split(dataset, o, NULL, 0, &asked));
    OK(sslcv_dataset_split(dataset, o, indices, asked, &count));
    ck_assert_int_eq(count, asked);
    memset(by_class, 0, 8 * sizeof *by_class);
    for (i = 0; i < count; i++) {
        if (i > 0) ck_assert_int_gt(indices[i], indices[i - 1]);
        by_class[sample_of(dataset, indices[i]).label + 1]++;
    }
    return count;
}

START_TEST(split_fraction)
{
    sslcv_dataset *list = make_classes();
    sslcv_split_options o = split_options();
    int64_t small[40], large[40], classes[8], all[8], rest[8], count, i, k, found = 0;

    ck_assert_int_eq(choose(list, &o, large, all), 40);
    o.fraction = 0.3;
    count = choose(list, &o, small, classes);
    for (i = 0; i < 5; i++) ck_assert_int_eq(classes[i], all[i] ? (llround(0.3 * (double)all[i])) : 0);
    o.complement = 1;
    ck_assert_int_eq(choose(list, &o, large, rest), 40 - count);
    for (i = 0; i < 5; i++) ck_assert_int_eq(classes[i] + rest[i], all[i]);
    o.complement = 0;
    o.fraction = 0.6; /* contains the 0.3 */
    k = choose(list, &o, large, rest);
    for (i = 0; i < k && found < count; i++) found += large[i] == small[found];
    ck_assert_int_eq(found, count);
    o.fraction = 0.001; /* one of each */
    choose(list, &o, small, classes);
    for (i = 0; i < 5; i++) ck_assert_int_eq(classes[i], all[i] > 0);
    o.balanced = 0;
    ck_assert_int_eq(choose(list, &o, small, classes), 0);
    o.fraction = 0.5;
    ck_assert_int_eq(choose(list, &o, small, classes), 20);
    o.seed = 1;
    ck_assert_int_eq(choose(list, &o, large, classes), 20);
    ck_assert_int_ne(memcmp(small, large, 20 * sizeof *small), 0);
    sslcv_dataset_destroy(list);
}
END_TEST

START_TEST(split_per_class)
{
    /* Seed 0, worked out apart from the library from Philox4x32-10 and Fisher-Yates: the same on every machine. */
    static const int64_t expected[6] = {3, 6, 11, 12, 13, 14};
    sslcv_dataset *list = make_list(context);
    sslcv_split_options o = split_options();
    int64_t indices[16], classes[8];
    int i;

    for (i = 0; i < 16; i++) add_pixels(list, 1, 1, i, i == 15 ? -1 : i % 2);
    o.per_class = 3;
    ck_assert_int_eq(choose(list, &o, indices, classes), 6);
    ck_assert(classes[0] == 0 && classes[1] == 3 && classes[2] == 3);
    for (i = 0; i < 6; i++) ck_assert_int_eq(indices[i], expected[i]);
    o.per_class = 8;
    FAILS(sslcv_dataset_split(list, &o, NULL, 0, indices), SSLCV_ERR_NOT_FOUND,
          "class 1 has 7 samples; split.per_class is 8");
    sslcv_dataset_destroy(list);
    list = make_list(context);
    add_pixels(list, 1, 1, 1, -1);
    FAILS(sslcv_dataset_split(list, &o, NULL, 0, indices), SSLCV_ERR_NOT_FOUND, "the data set has no labels");
    sslcv_dataset_destroy(list);
}
END_TEST

START_TEST(split_folds)
{
    sslcv_dataset *list = make_classes();
    sslcv_split_options o = split_options();
    int64_t indices[40], classes[8], all[8], seen[40] = {0}, i;

    choose(list, &o, indices, all);
    for (o.balanced = 0; o.balanced <= 1; o.balanced++) {
        memset(seen, 0, sizeof seen);
        o.folds = 7;
        for (o.fold = 0; o.fold < 7; o.fold++) {
            const int64_t count = choose(list, &o, indices, classes);

            ck_assert(count == 5 || count == 6);
            for (i = 0; i < count; i++) seen[indices[i]]++;
            for (i = 0; i < 5 && o.balanced; i++) {
                ck_assert(classes[i] == all[i] / 7 || classes[i] == all[i] / 7 + (all[i] % 7 != 0));
            }
        }
        for (i = 0; i < 40; i++) ck_assert_int_eq(seen[i], 1);
        o.fold = 0;
    }
    o.balanced = 1;
    o.complement = 1;
    o.fold = 6;
    ck_assert_int_eq(choose(list, &o, indices, classes), 35);
    sslcv_dataset_destroy(list);
}
END_TEST

START_TEST(split_list)
{
    static const char *const texts[] = {"b/2.ppm\r\n\n1.ppm\nb/2.ppm", "x.ppm\n", "a/1.ppm\n3.ppm\n", "b/2\n", ""};
    sslcv_dataset *dataset;
    sslcv_split_options o = split_options();
    int64_t indices[8], count = 0;
    int i;

    make_subfolder("a");
    make_subfolder("b");
    write_ppm("a/1.ppm", 1, 1, 1);
    write_ppm("a/3.ppm", 1, 1, 1);
    write_ppm("b/2.ppm", 1, 1, 1);
    write_ppm("b/3.ppm", 1, 1, 1);
    dataset = open_folder(1);
    for (i = 0; i < 5; i++) {
        char name[32];

        snprintf(name, sizeof name, "list%d", i);
        write_file(in_folder(name), texts[i], strlen(texts[i]));
    }
    o.list_path = in_folder("list0");
    OK(sslcv_dataset_split(dataset, &o, indices, 8, &count));
    ck_assert(count == 2 && indices[0] == 0 && indices[1] == 2);
    o.complement = 1;
    OK(sslcv_dataset_split(dataset, &o, indices, 8, &count));
    ck_assert(count == 2 && indices[0] == 1 && indices[1] == 3);
    o.list_path = in_folder("list1");
    FAILS(sslcv_dataset_split(dataset, &o, indices, 8, &count), SSLCV_ERR_NOT_FOUND,
          "line 1: no sample is named x.ppm");
    o.list_path = in_folder("list2");
    FAILS(sslcv_dataset_split(dataset, &o, indices, 8, &count), SSLCV_ERR_FORMAT, "line 2: 2 samples are named 3.ppm");
    o.list_path = in_folder("list3");
    FAILS(sslcv_dataset_split(dataset, &o, indices, 8, &count), SSLCV_ERR_NOT_FOUND, "no sample is named b/2");
    o.list_path = in_folder("list4");
    o.complement = 0;
    OK(sslcv_dataset_split(dataset, &o, NULL, 0, &count));
    ck_assert_int_eq(count, 0);
    o.list_path = in_folder("list5");
    FAILS(sslcv_dataset_split(dataset, &o, indices, 8, &count), SSLCV_ERR_NOT_FOUND, "list5");
    sslcv_dataset_destroy(dataset);
}
END_TEST

#define SPLIT_REFUSED(change, text)                                                                                    \
    do {                                                                                                               \
        sslcv_split_options refused = split_options();                                                                 \
        int64_t untouched = 77;                                                                                        \
        change;                                                                                                        \
        FAILS(sslcv_dataset_split(list, &refused, NULL, 0, &untouched), SSLCV_ERR_INVALID_ARGUMENT, text);             \
        ck_assert_int_eq(untouched, 77);                                                                               \
    } while (0)

START_TEST(split_refused)
{
    sslcv_dataset *list = make_classes();
    sslcv_split_options o = split_options();
    int64_t indices[40], count = 77;

    SPLIT_REFUSED(refused.fraction = 1.5, "split.fraction is 1.5; must be 0 .. 1");
    SPLIT_REFUSED(refused.fraction = NAN, "split.fraction is");
    SPLIT_REFUSED(refused.per_class = -1, "split.per_class is -1");
    SPLIT_REFUSED(refused.folds = 1, "split.folds is 1");
    SPLIT_REFUSED(refused.folds = 41, "split.folds is 41; the data set has 40 samples");
    SPLIT_REFUSED(refused.fold = 1, "split.fold is 1; must be 0 .. 0");
    SPLIT_REFUSED((refused.folds = 3, refused.fold = 3), "split.fold is 3; must be 0 .. 2");
    SPLIT_REFUSED((refused.folds = 3, refused.per_class = 3), "exclude each other");
    SPLIT_REFUSED(refused.balanced = 2, "split.balanced is 2");
    SPLIT_REFUSED(refused.complement = -1, "split.complement is -1");
    FAILS(sslcv_dataset_split(list, &o, indices, 39, &count), SSLCV_ERR_LIMIT, "capacity is 39; 40 samples are chosen");
    FAILS(sslcv_dataset_split(list, NULL, indices, 39, &count), SSLCV_ERR_INVALID_ARGUMENT, "split_options is NULL");
    FAILS(sslcv_dataset_split(list, &o, indices, 39, NULL), SSLCV_ERR_INVALID_ARGUMENT, "count is NULL");
    ck_assert_int_eq(count, 77);
    sslcv_dataset_destroy(list);
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
    options.part = SSLCV_DATASET_TRAIN;
    dataset = make_dataset(context, &options);
    ck_assert_int_eq(info_of(dataset).count, 20000);
    for (i = 0; i < 10000; i++) counts[sample_of(dataset, i).label]++;
    for (i = 0; i < 10; i++) ck_assert_int_eq(counts[i], expected[i]);
    OK(sslcv_dataset_get_class(dataset, 6, &name));
    ck_assert_str_eq(name, "frog");
    sslcv_dataset_destroy(dataset);
}
END_TEST

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

static void add_case(Suite *suite, const char *name, const TTest *const *tests, int count)
{
    TCase *tcase = tcase_create(name);
    int i;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    for (i = 0; i < count; i++) tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
}

#define CASE(suite, name, ...)                                                                                         \
    do {                                                                                                               \
        const TTest *const tests[] = {__VA_ARGS__};                                                                    \
        add_case(suite, name, tests, (int)(sizeof tests / sizeof tests[0]));                                           \
    } while (0)

int main(void)
{
    Suite *suite = suite_create("data");

    CASE(suite, "options", options_defaults, options_refused);
    CASE(suite, "list", list_of_images, list_of_many, list_of_files, list_refuses, list_out_of_memory);
    CASE(suite, "folder", folder_order_and_labels, folder_links, folder_links_do_not_multiply, folder_depth,
         folder_many_names, folder_not_found, folder_closed_to_us, folder_cancelled, folder_out_of_memory);
    CASE(suite, "read", read_refuses, read_damaged, read_grey, cache, smaller_images);
    CASE(suite, "cifar", cifar10, cifar_inner_folder, cifar_damaged);
    CASE(suite, "idx", idx, idx_damaged);
    CASE(suite, "callbacks", callbacks, callbacks_refused);
    CASE(suite, "subset", subset_of_subset);
    CASE(suite, "split", split_fraction, split_per_class, split_folds, split_list, split_refused);
    CASE(suite, "real", real_cifar10, real_photos, real_fashion_mnist);
    return run_suite(suite);
}
