/* Loaders over samples that cannot be read, or that do not fit together. */
#include "loader_support.h"

static sslcv_dataset *make_files(int32_t on_error)
{
    sslcv_dataset_options options = dataset_options(SSLCV_DATASET_FOLDER, test_folder);
    char name[16];
    int i;

    for (i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "%d.ppm", i);
        if (i == 4 || i == 5 || i == 9) {
            write_file(in_folder(name), "P6\n8 8\n255\ncut", 14);
        } else {
            write_ppm(name, SIDE, SIDE, i);
        }
    }
    options.on_error = on_error;
    options.label_folders = 0;
    return make_dataset(context, &options);
}

START_TEST(substitutes)
{
    sslcv_dataset *files = make_files(SSLCV_ON_ERROR_SUBSTITUTE);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(files, augmenter, 5);
    sslcv_loader *loader;
    sslcv_batch batch;
    int epoch, i;

    o.sampler = SSLCV_SAMPLER_IN_ORDER;
    loader = make_loader(context, &o);
    OK(sslcv_context_cancel(context, 1));
    FAILS(try_next(loader), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(context, 0));
    for (epoch = 0; epoch < 3; epoch++) {
        batch = next(loader);
        ck_assert(batch.ids[3] == 3 && batch.ids[4] == 6);
        ck_assert_int_eq(sslcv__loader_substituted(loader)[3], 0);
        ck_assert_int_eq(sslcv__loader_substituted(loader)[4], 1);
        ck_assert_str_eq(sslcv_last_error(), "cancelled by sslcv_context_cancel()"); /* success leaves it alone */
        batch = next(loader);
        ck_assert(batch.ids[0] == 6 && batch.ids[1] == 6 && batch.ids[4] == 0);
        ck_assert_int_eq(sslcv__loader_substituted(loader)[1], 0);
        ck_assert_int_eq(memcmp((float *)get_views(loader, 0, -1).data, /* the same sample, the same draws */
                                (float *)get_views(loader, 0, -1).data + VIEW_FLOATS, VIEW_FLOATS * sizeof(float)),
                         0);
    }
    ck_assert_int_eq(info_of(files).failed, 3);
    ck_assert_int_eq(num_lines, 3); /* each once */
    for (i = 0; i < 3; i++) {
        ck_assert_ptr_nonnull(strstr(log_lines[i], "is left out"));
        ck_assert_ptr_nonnull(strstr(log_lines[i], ".ppm"));
    }
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(files);
}
END_TEST

START_TEST(fails_when_told)
{
    sslcv_dataset *files = make_files(SSLCV_ON_ERROR_FAIL);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(files, augmenter, 2);
    sslcv_loader *loader;

    o.sampler = SSLCV_SAMPLER_IN_ORDER;
    loader = make_loader(context, &o);
    ck_assert_int_eq(next(loader).ids[0], 0);
    ck_assert_int_eq(next(loader).ids[0], 2);
    FAILS(try_next(loader), SSLCV_ERR_FORMAT, "4.ppm");
    FAILS(sslcv_loader_get_views(loader, (const int64_t[]){0}, 1, &(sslcv_tensor){0}), SSLCV_ERR_STATE, "no current");
    FAILS(try_next(loader), SSLCV_ERR_FORMAT, "4.ppm");
    write_ppm("4.ppm", SIDE, SIDE, 4);
    FAILS(try_next(loader), SSLCV_ERR_FORMAT, "5.ppm");
    write_ppm("5.ppm", SIDE, SIDE, 5);
    ck_assert_int_eq(next(loader).ids[1], 5); /* repaired: it stood there all the while */
    ck_assert_int_eq(next(loader).ids[0], 6);
    FAILS(try_next(loader), SSLCV_ERR_FORMAT, "9.ppm");
    OK(sslcv_loader_seek(loader, 1, 0)); /* past it */
    ck_assert_int_eq(next(loader).epoch, 1);
    ck_assert_int_eq(num_lines, 0);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(files);
}
END_TEST

START_TEST(vanishing_folder)
{
    sslcv_dataset *files = make_files(SSLCV_ON_ERROR_SUBSTITUTE);
    sslcv_augmenter *augmenter = make_augmenter(context);
    sslcv_loader_options o = loader_options(files, augmenter, 4);
    sslcv_loader *loader;
    int i;

    o.prefetch = 0;
    loader = make_loader(context, &o);
    next(loader);
    remove_tree();
    for (i = 0; i < 3; i++) FAILS(try_next(loader), SSLCV_ERR_NOT_FOUND, "none of 10 samples can be read; the last");
    ck_assert_int_eq(info_of(files).failed, 10);
    ck_assert_int_eq(num_lines, 10);

    ck_assert_int_eq(mkdir(test_folder, 0755), 0); /* it comes back: samples are tried again when it is their turn */
    for (i = 0; i < 10; i++) {
        char name[16];

        snprintf(name, sizeof name, "%d.ppm", i);
        write_ppm(name, SIDE, SIDE, i);
    }
    ck_assert_int_eq(next(loader).index, 1);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(files);
}
END_TEST

START_TEST(refused_by_a_transform)
{
    counter counters[1];
    sslcv_dataset *images = make_images(context, 8);
    sslcv_augmenter *augmenter = make_counting_augmenter(context, counters, 1, SSLCV_CALLBACK_ANY_THREAD);
    sslcv_loader_options o = loader_options(images, augmenter, 4);
    sslcv_loader *loader = make_loader(context, &o);

    counters[0].answer = 5;
    FAILS(try_next(loader), SSLCV_ERR_IO, "none of 8 samples can be read");
    ck_assert_int_eq(info_of(images).failed, 8);
    counters[0].answer = -5; /* not the sample's fault: no other one is tried */
    FAILS(try_next(loader), SSLCV_ERR_CANCELLED, "a custom transform answered -5");
    counters[0].answer = 0;
    next(loader);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
}
END_TEST

START_TEST(shapes_must_agree)
{
    sslcv_dataset *list = make_list(context);
    sslcv_augmenter *augmenter = NULL;
    sslcv_loader_options o;
    sslcv_loader *loader;
    int i;

    for (i = 0; i < 8; i++) add_pixels(list, SIDE, i == 6 ? 9 : SIDE, i, -1);
    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, NULL));
    o = loader_options(list, augmenter, 4);
    o.sampler = SSLCV_SAMPLER_IN_ORDER;
    loader = make_loader(context, &o);
    next(loader);
    ck_assert_int_eq(get_views(loader, 0, -1).shape[3], SIDE);
    FAILS(try_next(loader), SSLCV_ERR_INVALID_ARGUMENT,
          "sample 6 gives view 0 the shape (1, 3, 8, 9), sample 4 of the same batch (1, 3, 8, 8)");
    ck_assert_int_eq(info_of(list).failed, 0);
    sslcv_loader_destroy(loader);

    o.batch_size = 2; /* each batch by itself may have its own */
    o.drop_last = 0;
    OK(sslcv_dataset_add_file(list, NULL, "P6\n1 1\n255\nabc", 14, -1, NULL));
    loader = make_loader(context, &o);
    OK(sslcv_loader_seek(loader, 0, 4));
    next(loader);
    ck_assert_int_eq(get_views(loader, 0, -1).shape[3], 1);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(list);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loader_unreadable");

    CASE(suite, "unreadable", substitutes, fails_when_told, vanishing_folder, refused_by_a_transform,
         shapes_must_agree);
    return run_suite(suite);
}
