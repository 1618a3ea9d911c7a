/* Data sets: options, lists, callbacks, subsets. */
#include "dataset_support.h"

#include "data/dataset.h"

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
    FAILS(sslcv_dataset_options_init(&o, sizeof o, 7), SSLCV_ERR_INVALID_ARGUMENT, "dataset.kind is 7");
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
    REFUSED(SSLCV_DATASET_LIST, refused.part = SSLCV_PART_TEST, "dataset.part is set; a list");
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
    OK(sslcv_dataset_add_images(list, &image, NULL, NULL));
    OK(sslcv_dataset_add_images(list, &image, labels, NULL));
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
    OK(sslcv_dataset_add_images(list, &images, labels, NULL));
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
    OK(sslcv_dataset_add_file(list, in_folder("a.ppm"), NULL, 0, 2, NULL));
    OK(sslcv_dataset_add_file(list, NULL, ppm, sizeof ppm - 1, -1, NULL));
    OK(sslcv_dataset_add_file(list, in_folder("gone.ppm"), NULL, 0, 0, NULL));
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
    OK(sslcv_dataset_add_images(list, &image, &label, NULL));
    ck_assert_int_eq(info_of(list).num_classes, 3);
    FAILS(sslcv_dataset_add_images(list, &image, &too_low, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "label of sample 1 is -2; must be -1 .. 2");
    FAILS(sslcv_dataset_add_images(list, &image, &too_high, NULL), SSLCV_ERR_INVALID_ARGUMENT, "is 3; must be -1 .. 2");
    FAILS(sslcv_dataset_add_file(list, "x", NULL, 0, 3, NULL), SSLCV_ERR_INVALID_ARGUMENT, "is 3; must be -1 .. 2");
    FAILS(sslcv_dataset_add_images(list, NULL, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "image is NULL");
    image.shape[3] = 5;
    FAILS(sslcv_dataset_add_images(list, &image, NULL, NULL), SSLCV_ERR_LIMIT, "5 x 4 pixels; max_pixels is 16");
    image.ndim = 2;
    FAILS(sslcv_dataset_add_images(list, &image, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "image has 2 axes");
    OK(sslcv_tensor_init(&image, SSLCV_F64, values, 3, shape + 1));
    FAILS(sslcv_dataset_add_images(list, &image, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "dtype f64; must be u8, u16 or");
    OK(sslcv_tensor_init(&image, SSLCV_U8, values, 3, channels));
    FAILS(sslcv_dataset_add_images(list, &image, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "must have 1 .. 16 channels");
    FAILS(sslcv_dataset_add_file(list, NULL, NULL, 0, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "path and bytes are NULL");
    FAILS(sslcv_dataset_add_file(list, "a", "b", 1, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "path and bytes are both given");
    FAILS(sslcv_dataset_add_file(list, "a", NULL, 1, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "size is 1; must be 0");
    FAILS(sslcv_dataset_add_file(list, "", NULL, 0, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "path is empty");
    FAILS(sslcv_dataset_add_file(list, NULL, "b", 0, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "size is 0; must be >= 1");
    FAILS(sslcv_dataset_add_file(list, NULL, "0123456789x", 11, 0, NULL), SSLCV_ERR_LIMIT, "max_file_bytes is 10");
    ck_assert_int_eq(info_of(list).count, 1);

    OK(sslcv_dataset_subset(list, &first, 1, &subset));
    FAILS(sslcv_dataset_add_file(subset, "a", NULL, 0, 0, NULL), SSLCV_ERR_STATE, "SSLCV_DATASET_LIST only");
    sslcv_dataset_destroy(subset);
    sslcv_dataset_destroy(list);
}
END_TEST

START_TEST(list_of_more_than_can_be_counted)
{
    const int64_t one[4] = {1, 1, 1, 1};
    unsigned char value = 7;
    sslcv_dataset *list = make_list(context);
    sslcv_tensor image;

    OK(sslcv_tensor_init(&image, SSLCV_U8, &value, 4, one));
    OK(sslcv_dataset_add_images(list, &image, NULL, NULL));
    image.shape[0] = INT64_MAX;
    memset(image.strides, 0, sizeof image.strides); /* one picture, many times */
    FAILS(sslcv_dataset_add_images(list, &image, NULL, NULL), SSLCV_ERR_LIMIT,
          "a list cannot have 9223372036854775807 more samples");
    ck_assert_int_eq(info_of(list).count, 1);
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
        status = sslcv_dataset_add_images(list, &images, NULL, NULL);
        if (status == SSLCV_OK) status = sslcv_dataset_add_file(list, "name", NULL, 0, 0, NULL);
        memory.fail_at = -1;
        if (status != SSLCV_OK) {
            ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
            ck_assert(info_of(list).count == 0 || info_of(list).count == 200);
            OK(sslcv_dataset_add_images(list, &images, NULL, NULL));
            ck_assert(info_of(list).count == 200 || info_of(list).count == 400);
        }
        sslcv_dataset_destroy(list);
    }
    ck_assert_int_ge(n, 4);
}
END_TEST

/* ---- callbacks ---- */

typedef struct supplier {
    unsigned char bytes[12];
    int loads, unloads, destroyed;
    int32_t dtype;
    int32_t answer;
    int64_t bad, stop_at;
} supplier;

static int32_t host_load(void *user, int64_t index, sslcv_tensor *image)
{
    static const int64_t shape[3] = {3, 2, 2};
    supplier *h = user;

    if (index == h->bad) return h->answer;
    h->loads++;
    memset(h->bytes, (int)index, sizeof h->bytes);
    sslcv_tensor_init(image, h->dtype, h->bytes, 3, shape);
    return 0;
}

static void host_unload(void *user, int64_t index, const sslcv_tensor *image)
{
    (void)index;
    (void)image;
    ((supplier *)user)->unloads++;
}

static int32_t host_label(void *user, int64_t index, int64_t *label)
{
    *label = index % 3;
    return index == ((supplier *)user)->stop_at;
}

static void host_destroy(void *user)
{
    ((supplier *)user)->destroyed++;
}

static sslcv_dataset_callbacks host_table(supplier *h)
{
    sslcv_dataset_callbacks table = {0};

    memset(h, 0, sizeof *h);
    h->dtype = SSLCV_U8;
    h->bad = h->stop_at = -1;
    h->answer = 7;
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
    supplier h;
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
    h.answer = -7;
    FAILS(read_any(dataset, 2), SSLCV_ERR_CANCELLED, "the load callback returned -7 at sample 2");
    h.bad = -1;

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
    supplier h;
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
    OK(sslcv_dataset_add_file(list, "gone.ppm", NULL, 0, 6, NULL));
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

int main(void)
{
    Suite *suite = suite_create("dataset");

    CASE(suite, "options", options_defaults, options_refused);
    CASE(suite, "list", list_of_images, list_of_many, list_of_files, list_refuses, list_of_more_than_can_be_counted,
         list_out_of_memory);
    CASE(suite, "callbacks", callbacks, callbacks_refused);
    CASE(suite, "subset", subset_of_subset);
    return run_suite(suite);
}
