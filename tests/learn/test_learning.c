/*
 * Does each method learn? A small network is pre-trained on 5,000 images of CIFAR-10 for two minutes at most. A linear
 * probe on its features, with all labels of these images, must then find the classes of 5,000 others better than on the
 * features of the network as it was at first, by a margin that three seeds don't miss.
 *
 *     test_learning [--data DIR] [--seed N] [--threads N] [--settings "name=value ..."]
 *     CK_RUN_CASE=byol test_learning
 *
 * The random network is judged twice: with running statistics 0 and 1 as it begins, and with those of the images. The
 * better one counts, which is the first. Images are taken at 16 pixels: a quarter of the time, and still real ones.
 *
 * One thread unless told otherwise: sums then have the same order on every machine, and beside other programs the two
 * threads of so small a network lose more to waiting than they gain.
 *
 * Each method of the library must have a row. docs/testing.md has what the rows' margins come from.
 */
#include "judge.h"

#include <stdio.h>
#include <time.h>

typedef struct row {
    const char *method, *settings;
    double margin;      /* points above the better random network, at least */
    const char *preset; /* of the views that features are taken from; NULL: "eval-cifar" */
    int64_t size;       /* of the views in pixels; 0: SIZE */
    int64_t networks;   /* 0: 1 */
} row;

/* A ResNet-18 with features of 64 numbers, of 128 numbers. */
#define SMALL  "width=0.125 "
#define LARGER "width=0.25 "

enum { TRAIN_IMAGES = 5000, TEST_IMAGES = 5000, SIZE = 16 };

/* Heads are made for such features, and queues for 5,000 images; rates and momenta for some 600 steps. */
static const row rows[] = {
    {"simclr", SMALL "epochs=8 batch=64", 2.5, NULL, 0, 0},
    {"moco-v1", SMALL "epochs=8 batch=64 learning_rate=0.12 queue_size=1024 bn_splits=2", 2.5, NULL, 0, 0},
    {"moco-v2", SMALL "epochs=8 batch=64 warmup_epochs=2 queue_size=1024 bn_splits=2 symmetric=no", 1.8, NULL, 0, 0},
    {"byol", SMALL "epochs=16 batch=32 learning_rate=0.24 warmup_epochs=2 hidden_dim=128 out_dim=64", 1.7, NULL, 0, 0},
    {"swav", LARGER "epochs=16 batch=128 learning_rate=0.002 prototypes=100", 2, NULL, 0, 0},
    {"barlow-twins", LARGER "epochs=8 batch=64 hidden_dim=512 out_dim=512", 2.4, NULL, 0, 0},
    {"vicreg", SMALL "epochs=8 batch=64 hidden_dim=256 out_dim=256 warmup_epochs=1", 1.9, NULL, 0, 0},
    {"dino", SMALL "epochs=16 batch=32 learning_rate=0.24 warmup_epochs=2 hidden_dim=128 out_dim=64 prototypes=128",
     2.3, NULL, 0, 0},
    {"simsiam",
     LARGER "epochs=20 batch=32 learning_rate=0.06 warmup_epochs=3 hidden_dim=256 out_dim=256 predictor_dim=64", 3,
     NULL, 0, 0},
    {"cpc",
     SMALL "architecture=resnet18 stem=cifar stages=5 norm=none context=residual hidden_dim=64 last_offset=4 "
           "learning_rate=4e-4 epochs=8 batch=32",
     1.7, "cpc-eval-cifar", 0, 0},
    {"cpc-v2", SMALL "architecture=resnet18 learning_rate=4e-4 epochs=4 batch=32", 2, "cpc-v2-eval-cifar", 30, 0},
    {"cmc", SMALL "epochs=24 batch=64 negatives=1024 exclude_self=yes", 1.8, "cmc-eval-cifar", 0, 2},
    {"pirl", SMALL "epochs=10 batch=64 learning_rate=0.12 negatives=1024", 2.3, NULL, 0, 0},
    {"deepcluster", SMALL "epochs=16 batch=32 clusters=100", 0.7, NULL, 0, 0},
    {"deepcluster-v2", SMALL "epochs=8 batch=64 prototypes=100 warmup_epochs=1 hidden_dim=0", 2.4, NULL, 0, 0},
    {"supervised", SMALL "epochs=6 batch=64", 4, NULL, 0, 0},
    {"finetune", SMALL "epochs=6 learning_rate=0.05 weight_decay=5e-4 init_std=0", 4, NULL, 0, 0}, /* from scratch */
};
enum { NUM_ROWS = sizeof rows / sizeof rows[0] };

static struct {
    const char *data, *settings;
    unsigned long seed, threads;
} arguments = {"../shared/data/cifar10", NULL, 1, 1};

static double clock_seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static sslcv_dataset *first_images(sslcv_context *context, int32_t part, int64_t count)
{
    int64_t *indices = malloc((size_t)count * sizeof *indices), i;
    sslcv_dataset_options options;
    sslcv_dataset *all, *first;

    OK(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_CIFAR10));
    options.path = arguments.data;
    options.part = part;
    OK(sslcv_dataset_create(context, &options, &all));
    for (i = 0; i < count; i++) indices[i] = i;
    OK(sslcv_dataset_subset(all, indices, count, &first));
    sslcv_dataset_destroy(all);
    free(indices);
    return first;
}

static sslcv_trainer *make_trainer(sslcv_context *context, const row *r, sslcv_dataset *images, judged *j)
{
    const int size = (int)(r->size ? r->size : SIZE);
    char settings[512];
    sslcv_method_options options;
    sslcv_trainer *trainer;

    snprintf(settings, sizeof settings, "size=%d %s", size, arguments.settings ? arguments.settings : r->settings);
    OK(sslcv_method_options_init(&options, sizeof options));
    options.dataset = images;
    options.settings = settings;
    options.seed = arguments.seed;
    OK(sslcv_method_create(context, r->method, &options, &trainer));
    judge_begin(context, trainer, r->preset ? r->preset : "eval-cifar", size, r->networks ? r->networks : 1, j);
    return trainer;
}

/* The better of the random network with statistics 0 and 1, and with those of the images. */
static double judge_random(sslcv_context *context, const row *r, sslcv_dataset *train, sslcv_dataset *test,
                           double scores[2])
{
    judged j;
    sslcv_trainer *trainer = make_trainer(context, r, train, &j);

    scores[0] = judge(&j, train, test);
    judge_refresh(&j, train);
    scores[1] = judge(&j, train, test);
    judge_end(&j);
    sslcv_trainer_destroy(trainer);
    return fmax(scores[0], scores[1]);
}

static double judge_trained(sslcv_context *context, const row *r, sslcv_dataset *train, sslcv_dataset *test)
{
    const double wall = clock_seconds(CLOCK_MONOTONIC), processor = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    judged j;
    sslcv_trainer *trainer = make_trainer(context, r, train, &j);
    double score;

    OK(sslcv_trainer_run(trainer, 0));
    printf("%s: %.0f s, of the processor %.0f s\n", r->method, clock_seconds(CLOCK_MONOTONIC) - wall,
           clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - processor);
    score = judge(&j, train, test);
    judge_end(&j);
    sslcv_trainer_destroy(trainer);
    return score;
}

static int is_known(const char *method)
{
    const char *name;
    int64_t i;

    for (i = 0; (name = sslcv_method_name(i)) != NULL; i++) {
        if (strcmp(name, method) == 0) return 1;
    }
    return 0;
}

START_TEST(test_each_has_a_row)
{
    const char *name;
    int64_t i, k;

    for (i = 0; (name = sslcv_method_name(i)) != NULL; i++) {
        for (k = 0; k < NUM_ROWS && strcmp(rows[k].method, name) != 0; k++) continue;
        ck_assert_msg(k < NUM_ROWS, "nobody has seen \"%s\" learn: it needs a row", name);
    }
    for (k = 0; k < NUM_ROWS; k++) ck_assert_msg(is_known(rows[k].method), "there is no \"%s\"", rows[k].method);
}
END_TEST

START_TEST(test_learns)
{
    const row *r = &rows[_i];
    sslcv_context_options options;
    sslcv_context *context;
    sslcv_dataset *train, *test;
    double random[2], best, trained;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = (int32_t)arguments.threads;
    OK(sslcv_context_create(&options, &context));
    train = first_images(context, SSLCV_PART_TRAIN, TRAIN_IMAGES);
    test = first_images(context, SSLCV_PART_TEST, TEST_IMAGES);
    best = judge_random(context, r, train, test, random);
    trained = judge_trained(context, r, train, test);
    printf("%s, seed %lu: random %.2f, with the images' statistics %.2f, trained %.2f: %+.2f, at least %+.2f\n",
           r->method, arguments.seed, random[0], random[1], trained, trained - best, r->margin);
    fflush(stdout);
    sslcv_dataset_destroy(test);
    sslcv_dataset_destroy(train);
    sslcv_context_destroy(context);
    ck_assert_msg(trained >= best + r->margin, "%s: %.2f, the random network %.2f", r->method, trained, best);
}
END_TEST

static int read_arguments(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (value && strcmp(argv[i], "--data") == 0) {
            arguments.data = value;
        } else if (value && strcmp(argv[i], "--seed") == 0) {
            arguments.seed = strtoul(value, NULL, 10);
        } else if (value && strcmp(argv[i], "--threads") == 0) {
            arguments.threads = strtoul(value, NULL, 10);
        } else if (value && strcmp(argv[i], "--settings") == 0) {
            arguments.settings = value;
        } else {
            fprintf(stderr, "%s: must be --data DIR, --seed N, --threads N or --settings TEXT\n", argv[i]);
            return 0;
        }
    }
    return 1;
}

static int has_data(void)
{
    static const char *const names[] = {"test_batch.bin", "test_batch.bin.gz"};
    char path[4096];
    FILE *file = NULL;
    int i;

    for (i = 0; i < 2 && !file; i++) {
        snprintf(path, sizeof path, "%s/%s", arguments.data, names[i]);
        file = fopen(path, "rb");
    }
    if (!file) return 0;
    fclose(file);
    return 1;
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("learning");
    TCase *table = tcase_create("table");
    int i;

    if (!read_arguments(argc, argv)) return 2;
    tcase_add_test(table, test_each_has_a_row);
    suite_add_tcase(suite, table);
    if (!has_data()) printf("no CIFAR-10 in %s: whether methods learn is not tested\n", arguments.data);
    for (i = 0; i < NUM_ROWS && has_data(); i++) {
        TCase *one = tcase_create(rows[i].method);

        tcase_set_timeout(one, 3600); /* the machine may be busy */
        tcase_add_loop_test(one, test_learns, i, i + 1);
        suite_add_tcase(suite, one);
    }
    return run_suite(suite);
}
