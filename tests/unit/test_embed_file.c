/* Features in files of NumPy's format: the same bytes as in memory, whole or not at all. */
#include "embed_support.h"

#include "eval/embed.h"

#include <stdio.h>
#include <unistd.h>

enum { HEADER = 192 };

static char folder[] = "/tmp/sslcv_embed_XXXXXX", features_path[64], labels_path[64];

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(features_path, sizeof features_path, "%s/features.npy", folder);
    snprintf(labels_path, sizeof labels_path, "%s/labels.npy", folder);
}

static void tear_down(void)
{
    unlink(features_path);
    unlink(labels_path);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left in it */
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
}

/* A header with this text, then these bytes, then the end. */
static void check_file(const char *path, const char *text, const void *bytes, size_t size)
{
    static const unsigned char front[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, HEADER - 10, 0};
    FILE *file = fopen(path, "rb");
    char header[HEADER], *content = malloc(size + 1);

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(header, 1, HEADER, file), HEADER);
    ck_assert_mem_eq(header, front, sizeof front);
    ck_assert_mem_eq(header + 10, text, strlen(text));
    ck_assert_int_eq(header[10 + strlen(text)], ' ');
    ck_assert_int_eq(header[HEADER - 1], '\n');
    ck_assert_uint_eq(fread(content, 1, size + 1, file), size);
    ck_assert_mem_eq(content, bytes, size);
    free(content);
    fclose(file);
}

START_TEST(file_holds_what_memory_holds)
{
    int64_t part_bytes[3] = {1, 0, 1 << 20}; /* a batch; two batches; all */
    world w = make_world(make_context(1, NULL));
    sslcv_branch branch = make_branch(normal_view, 1, w.backbone, 0), stage = branch;
    const sslcv_branch *branches[2] = {&branch, &stage};
    sslcv_embed_options options = make_options(&w, branches, 2);
    sslcv_tensor shape = {.data = NULL};
    int64_t labels[COUNT], width;
    char text[100];
    float *whole;
    size_t i;

    stage.stage = "layer2";
    OK(sslcv_embed(&options, &shape, NULL));
    width = shape.shape[1];
    ck_assert_int_gt(width, w.dim);
    whole = embed(&options, COUNT, width, labels);
    snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (13, %d), }", (int)width);
    part_bytes[1] = 4 * width * 11;
    for (i = 0; i < sizeof part_bytes / sizeof *part_bytes; i++) {
        OK(sslcv__embed_to_file(&options, features_path, labels_path, part_bytes[i]));
        check_file(features_path, text, whole, (size_t)(COUNT * width) * sizeof *whole);
        check_file(labels_path, "{'descr': '<i8', 'fortran_order': False, 'shape': (13,), }", labels, sizeof labels);
    }
    options.first = 5;
    OK(sslcv_embed_to_file(&options, features_path, NULL)); /* the rest; over the file that is there */
    snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (8, %d), }", (int)width);
    free(whole);
    whole = embed(&options, 8, width, NULL);
    check_file(features_path, text, whole, (size_t)(8 * width) * sizeof *whole);
    free(whole);
    destroy_world(&w);
}
END_TEST

START_TEST(file_refuses)
{
    host h;
    world w = make_world(make_context(1, &h));
    sslcv_branch branch = make_branch(plain_view, 1, NULL, 0);
    const sslcv_branch *branches[1] = {&branch};
    sslcv_embed_options options = make_options(&w, branches, 1);
    int64_t at, held;

    FAILS(sslcv_embed_to_file(NULL, features_path, NULL), SSLCV_ERR_INVALID_ARGUMENT, "embed_options is NULL");
    FAILS(sslcv_embed_to_file(&options, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "features_path is NULL");
    FAILS(sslcv_embed_to_file(&options, "/no/such/folder/x.npy", NULL), SSLCV_ERR_IO, "/no/such/folder/x.npy");
    FAILS(sslcv_embed_to_file(&options, features_path, "/no/such/folder/x.npy"), SSLCV_ERR_IO, "/no/such/folder");
    ck_assert_int_ne(access(features_path, F_OK), 0);
    for (at = 0, held = h.out;; at++) {
        h.fail_at = h.calls + at;
        if (sslcv__embed_to_file(&options, features_path, labels_path, 1) == SSLCV_OK) break;
        ck_assert_int_ne(access(features_path, F_OK), 0);
        ck_assert_int_ne(access(labels_path, F_OK), 0);
        ck_assert_int_eq(h.out, held);
    }
    ck_assert_int_ge(at, 10);
    h.fail_at = -1;
    destroy_world(&w);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("embed_file");
    TCase *files = add_case(suite, "files");

    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_add_test(files, file_holds_what_memory_holds);
    tcase_add_test(files, file_refuses);
    return run_suite(suite);
}
