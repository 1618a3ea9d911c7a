/* Parts of a data set: fractions, so many of each class, folds, lists of names. */
#include "dataset_support.h"

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

/* What is saved is read again as the same choice: by name, by number where names tell nothing. */
START_TEST(split_saved_and_read)
{
    static const int64_t chosen[] = {3, 0, 2}; /* 5.ppm or its folder's, #4.ppm */
    sslcv_dataset *folders, *list = make_classes(), *subset;
    sslcv_split_options o = split_options();
    int64_t indices[40], by_class[8], again[40], count = 0, kept;

    make_subfolder("a");
    write_ppm("a/1.ppm", 1, 1, 1);
    write_ppm("a/3.ppm", 1, 1, 1);
    write_ppm("#4.ppm", 1, 1, 1); /* sorts first */
    write_ppm("5.ppm", 1, 1, 1);
    folders = open_folder(1);
    OK(sslcv_dataset_save_list(folders, chosen, 3, in_folder("list")));
    o.list_path = in_folder("list");
    OK(sslcv_dataset_split(folders, &o, indices, 8, &count));
    ck_assert(count == 3 && indices[0] == 0 && indices[1] == 2 && indices[2] == 3);

    o = split_options(); /* pictures of a LIST have no names */
    o.fraction = 0.3;
    kept = choose(list, &o, indices, by_class);
    OK(sslcv_dataset_save_list(list, indices, kept, in_folder("list")));
    o = split_options();
    o.list_path = in_folder("list");
    ck_assert_int_eq(choose(list, &o, again, by_class), kept);
    ck_assert_mem_eq(again, indices, (size_t)kept * sizeof *indices);

    OK(sslcv_dataset_subset(folders, (const int64_t[]){0, 1, 1}, 3, &subset)); /* a name twice */
    OK(sslcv_dataset_save_list(subset, (const int64_t[]){0, 2}, 2, in_folder("list")));
    OK(sslcv_dataset_split(subset, &o, indices, 8, &count));
    ck_assert(count == 2 && indices[0] == 0 && indices[1] == 2);
    sslcv_dataset_destroy(subset);

    write_file(in_folder("list"), "#40\n", 4);
    FAILS(sslcv_dataset_split(list, &o, indices, 40, &count), SSLCV_ERR_NOT_FOUND,
          "line 1: there is no sample #40; there are #0 .. #39");
    write_file(in_folder("list"), "#3\n#x\n", 6);
    FAILS(sslcv_dataset_split(list, &o, indices, 40, &count), SSLCV_ERR_NOT_FOUND, "line 2: there is no sample #x");
    write_file(in_folder("list"), "#", 1);
    FAILS(sslcv_dataset_split(list, &o, indices, 40, &count), SSLCV_ERR_NOT_FOUND, "line 1");
    write_file(in_folder("list"), "#99999999999999999999999999\n", 28);
    FAILS(sslcv_dataset_split(list, &o, indices, 40, &count), SSLCV_ERR_NOT_FOUND, "line 1");

    FAILS(sslcv_dataset_save_list(NULL, chosen, 3, "x"), SSLCV_ERR_INVALID_ARGUMENT, "dataset is NULL");
    FAILS(sslcv_dataset_save_list(list, NULL, 3, "x"), SSLCV_ERR_INVALID_ARGUMENT, "indices is NULL");
    FAILS(sslcv_dataset_save_list(list, chosen, 0, "x"), SSLCV_ERR_INVALID_ARGUMENT, "count is 0");
    FAILS(sslcv_dataset_save_list(list, chosen, 3, NULL), SSLCV_ERR_INVALID_ARGUMENT, "path is NULL");
    indices[0] = 40;
    FAILS(sslcv_dataset_save_list(list, indices, 1, "x"), SSLCV_ERR_NOT_FOUND, "indices[0] is 40");
    FAILS(sslcv_dataset_save_list(list, chosen, 3, "/no/such/folder/x"), SSLCV_ERR_IO, "/no/such/folder/x");
    sslcv_dataset_destroy(folders);
    sslcv_dataset_destroy(list);
}
END_TEST

/* A name ends at its zero, a line does not: "a" and zeros are no sample, nor are zeros alone one without a name. */
START_TEST(split_list_with_zeros)
{
    static const int64_t sizes[] = {2, 3, 4, 8, 9, 16, 24, 40, 56, 64, 65, 200, 4000, 1000003};
    sslcv_dataset *list = make_list(context);
    sslcv_split_options o = split_options();
    char *line = calloc(1, 1000004);
    int64_t indices[4], count = 77;
    size_t i;
    int named;

    ck_assert_ptr_nonnull(line);
    OK(sslcv_dataset_add_file(list, "a", NULL, 0, 0, NULL));
    add_pixels(list, 1, 1, 1, 0);
    add_pixels(list, 1, 1, 2, 0);
    o.list_path = in_folder("list");
    for (i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        const int64_t size = sizes[i / 2];

        for (named = 0; named <= 1; named++) {
            memset(line, i % 2 ? 'b' : 0, (size_t)size);
            line[0] = 0;
            if (named) memcpy(line, "a", 2);
            line[size] = '\n';
            write_file(o.list_path, line, (size_t)size + 1);
            FAILS(sslcv_dataset_split(list, &o, indices, 4, &count), SSLCV_ERR_NOT_FOUND, "line 1: no sample is named");
        }
    }
    write_file(o.list_path, "a\n\0\n", 4);
    FAILS(sslcv_dataset_split(list, &o, indices, 4, &count), SSLCV_ERR_NOT_FOUND, "line 2: no sample is named");
    ck_assert_int_eq(count, 77);
    free(line);
    sslcv_dataset_destroy(list);
}
END_TEST

START_TEST(split_list_is_a_pipe)
{
    sslcv_dataset *list = make_classes();
    sslcv_split_options o = split_options();
    int64_t count;

    o.list_path = in_folder("list");
    ck_assert_int_eq(mkfifo(o.list_path, 0600), 0);
    alarm(5); /* a hang is a failure */
    FAILS(sslcv_dataset_split(list, &o, NULL, 0, &count), SSLCV_ERR_IO, "list: it is a pipe");
    alarm(0);
    sslcv_dataset_destroy(list);
}
END_TEST

/* A published list: file names alone, where the samples lie in a folder for each class. */
START_TEST(split_published_list)
{
    static const char text[] = "n01440764_10026.JPEG\nn01443537_2.JPEG\n";
    sslcv_split_options o = split_options();
    int64_t indices[8], count = 0;
    sslcv_dataset *dataset;

    make_subfolder("n01440764");
    make_subfolder("n01443537");
    write_ppm("n01440764/n01440764_10026.JPEG", 1, 1, 1);
    write_ppm("n01440764/n01440764_18.JPEG", 1, 1, 1);
    write_ppm("n01443537/n01443537_10026.JPEG", 1, 1, 1);
    write_ppm("n01443537/n01443537_2.JPEG", 1, 1, 1);
    dataset = open_folder(1);
    write_file(in_folder("1percent.txt"), text, sizeof text - 1);
    o.list_path = in_folder("1percent.txt");
    OK(sslcv_dataset_split(dataset, &o, indices, 8, &count));
    ck_assert(count == 2 && indices[0] == 0 && indices[1] == 3);
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

int main(void)
{
    Suite *suite = suite_create("dataset_split");

    CASE(suite, "split", split_fraction, split_per_class, split_folds, split_list, split_saved_and_read,
         split_list_with_zeros, split_list_is_a_pipe, split_published_list, split_refused);
    return run_suite(suite);
}
