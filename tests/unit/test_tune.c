/* Algorithms of convolutions by the clock, and the file that keeps them. */
#include "support.h"

#include <stdio.h>
#include <unistd.h>

#include <sslcv/backbone.h>
#include <sslcv/tape.h>

enum { COUNT = 2 * 3 * 16 * 16, DIM = 128 };

static char path[64];
static int measurements; /* log lines of the tuner, within one test */

static void set_up(void)
{
    snprintf(path, sizeof path, "/tmp/sslcv_tune_%d", (int)getpid());
    remove(path);
    measurements = 0;
}

static void tear_down(void)
{
    remove(path);
}

static void count_lines(void *user, int32_t level, const char *text)
{
    (void)user;
    (void)level;
    measurements += strncmp(text, "tuning:", 7) == 0;
}

/* Gradients of a small network's first weights, with algorithms found by way of tuning_path. */
static void train(const char *tuning_path, int32_t threads, float *features)
{
    const int64_t shape[4] = {2, 3, 16, 16};
    static float pixels[COUNT];
    sslcv_context_options options;
    sslcv_context *context;
    sslcv_backbone_options net;
    sslcv_backbone *backbone;
    sslcv_tensor images, output;
    sslcv_tape *tape;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.precision = SSLCV_PRECISION_F32;
    options.threads = threads;
    options.tuning_path = tuning_path;
    options.log = count_lines;
    options.log_level = SSLCV_LOG_DEBUG;
    OK(sslcv_context_create(&options, &context));
    OK(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
    net.stem = SSLCV_STEM_CIFAR;
    net.width = 0.25;
    net.seed = 4;
    OK(sslcv_backbone_create(context, &net, &backbone));
    OK(sslcv_tape_create(context, &tape));
    golden_input(3, COUNT, pixels);
    OK(sslcv_tensor_init(&images, SSLCV_F32, pixels, 4, shape));
    OK(sslcv_backbone_forward(backbone, &images, NULL, tape));
    OK(sslcv_tape_output(tape, &output));
    ck_assert_int_eq(output.shape[1], DIM);
    memcpy(features, output.data, 2 * DIM * sizeof(float));
    OK(sslcv_tape_backward(tape, &output));
    sslcv_tape_destroy(tape);
    sslcv_backbone_destroy(backbone);
    sslcv_context_destroy(context);
}

static int lines_of_file(void)
{
    FILE *file = fopen(path, "r");
    char line[512];
    int lines = 0;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file)) lines += strncmp(line, "sslcv-tuning 1 | oneDNN ", 24) == 0;
    fclose(file);
    return lines;
}

START_TEST(nothing_is_timed_by_default)
{
    float features[2 * DIM];

    train(NULL, 1, features);
    ck_assert_int_eq(measurements, 0);
}
END_TEST

START_TEST(findings_are_kept_and_read)
{
    float rule[2 * DIM], timed[2 * DIM], again[2 * DIM];
    int i, lines;

    train(NULL, 1, rule);
    train(path, 1, timed);
    ck_assert_int_gt(measurements, 10);
    for (i = 0; i < 2 * DIM; i++) CLOSE(timed[i], rule[i], 1e-4);
    lines = lines_of_file();
    ck_assert_int_gt(lines, 10);

    measurements = 0;
    train(path, 1, again);
    ck_assert_int_eq(measurements, 0);
    ck_assert_int_eq(lines_of_file(), lines);
    ck_assert_int_eq(memcmp(timed, again, sizeof timed), 0);

    train(path, 2, again); /* other threads, other findings */
    ck_assert_int_gt(measurements, 0);
    ck_assert_int_eq(lines_of_file(), 2 * lines);
}
END_TEST

START_TEST(memory_alone_keeps_them_for_the_context)
{
    float features[2 * DIM];

    train("", 1, features);
    ck_assert_int_gt(measurements, 10);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

/* A file that is none, or half of one, is no more than slow. */
START_TEST(other_lines_are_skipped)
{
    static const char *const texts[] = {"",
                                        "\n\n",
                                        "sslcv-tuning 1 |",
                                        "sslcv-tuning 1 | x | ",
                                        "sslcv-tuning 9 | a | b\n",
                                        "sslcv-tuning 1 | a | a-name-longer-than-any-algorithm-has-ever-had\n"};
    FILE *file = fopen(path, "wb");
    float features[2 * DIM];
    int lines;

    ck_assert_ptr_nonnull(file);
    fputs(texts[_i], file);
    fclose(file);
    train(path, 1, features);
    ck_assert_int_gt(measurements, 10);
    lines = measurements;
    measurements = 0;
    train(path, 1, features);
    ck_assert_int_le(measurements, lines / 10); /* the line that a half one has swallowed, at most */
}
END_TEST

START_TEST(a_large_file_is_refused)
{
    enum { MOST = 1 << 20 };
    sslcv_context_options options;
    sslcv_context *context = NULL;
    char *text = malloc(MOST + 1);
    FILE *file = fopen(path, "wb");

    ck_assert(text && file);
    memset(text, '\n', MOST + 1);
    ck_assert_uint_eq(fwrite(text, 1, MOST, file), MOST);
    ck_assert_int_eq(fflush(file), 0);
    OK(sslcv_context_options_init(&options, sizeof options));
    options.tuning_path = path;
    OK(sslcv_context_create(&options, &context));
    sslcv_context_destroy(context);
    context = NULL;
    ck_assert_uint_eq(fwrite(text, 1, 1, file), 1);
    fclose(file);
    FAILS(sslcv_context_create(&options, &context), SSLCV_ERR_LIMIT, "has more than 1048576 bytes");
    ck_assert_ptr_null(context);
    free(text);
}
END_TEST

START_TEST(a_path_that_cannot_be_written_is_a_warning)
{
    float features[2 * DIM];

    train("/nonexistent/folder/tuning", 1, features);
    ck_assert_int_gt(measurements, 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tune");
    TCase *files = tcase_create("files");

    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_set_timeout(files, 60);
    tcase_add_test(files, nothing_is_timed_by_default);
    tcase_add_test(files, findings_are_kept_and_read);
    tcase_add_test(files, memory_alone_keeps_them_for_the_context);
    tcase_add_loop_test(files, other_lines_are_skipped, 0, 6);
    tcase_add_test(files, a_large_file_is_refused);
    tcase_add_test(files, a_path_that_cannot_be_written_is_a_warning);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
