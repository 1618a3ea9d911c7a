/* Probes end to end: judged on data sets, and watching a trainer. */
#include "embed_support.h"

#include <sslcv/losses.h>

#include "eval/minimize.h"

/* ---- evaluate ---- */

static double evaluate(sslcv_probe *probe, const sslcv_embed_options *train, const sslcv_embed_options *test,
                       int64_t count)
{
    sslcv_metrics metrics = {.struct_size = sizeof metrics};

    OK(sslcv_probe_evaluate(probe, train, test, &metrics));
    ck_assert_int_eq(metrics.count, count);
    ck_assert_int_eq(metrics.num_classes, CLASSES);
    ck_assert_double_le(metrics.top1_low, metrics.top1);
    ck_assert_double_ge(metrics.top1_high, metrics.top1);
    return metrics.top1;
}

/*
 * k = 1: the nearest other row decides; with itself in, all would be right. The share right of count rows from first.
 */
static double naive_leave_one_out(const float *rows, int64_t n, int64_t d, const int64_t *labels, int64_t first,
                                  int64_t count)
{
    double right = 0;
    int64_t i, j;

    for (i = first; i < first + count; i++) {
        double best = -2;
        int64_t nearest = 0;

        for (j = 0; j < n; j++) {
            const double lengths = naive_dot(rows + i * d, rows + i * d, d) * naive_dot(rows + j * d, rows + j * d, d);
            const double cosine = naive_dot(rows + i * d, rows + j * d, d) / sqrt(lengths);

            if (j != i && cosine > best) {
                best = cosine;
                nearest = j;
            }
        }
        right += labels[i] == labels[nearest];
    }
    return right / (double)count;
}

START_TEST(evaluate_leaves_one_out)
{
    world w = make_world(make_context(2, NULL));
    sslcv_branch branch = make_branch(normal_view, 1, w.backbone, 0);
    const sslcv_branch *branches[1] = {&branch}, *same[1] = {&branch};
    const sslcv_embed_options train = make_options(&w, branches, 1), again = make_options(&w, same, 1);
    sslcv_embed_options part = train;
    sslcv_probe *probe = make_knn(w.context, 1, 0.1), *all = make_knn(w.context, COUNT - 1, 0.1);
    sslcv_probe *too_many = make_knn(w.context, COUNT, 0.1);
    sslcv_metrics metrics = {.struct_size = sizeof metrics, .count = -5};
    int64_t labels[COUNT];
    float *rows = embed(&train, COUNT, w.dim, labels);
    const double expected = naive_leave_one_out(rows, COUNT, w.dim, labels, 0, COUNT);

    CLOSE(evaluate(probe, &train, &train, COUNT), expected, 1e-12);
    CLOSE(evaluate(probe, &train, &again, COUNT), expected, 1e-12); /* embedded a second time */
    part.first = 4;
    part.count = 5; /* all of them are in train */
    CLOSE(evaluate(probe, &train, &part, 5), naive_leave_one_out(rows, COUNT, w.dim, labels, 4, 5), 1e-12);
    OK(sslcv_probe_evaluate(all, &train, &train, &metrics));
    FAILS(sslcv_probe_evaluate(too_many, &train, &train, &metrics), SSLCV_ERR_LIMIT,
          "probe.neighbors is 13; of 13 labelled rows only 12 are left");
    free(rows);
    sslcv_probe_destroy(probe);
    sslcv_probe_destroy(all);
    sslcv_probe_destroy(too_many);
    destroy_world(&w);
}
END_TEST

/* Two pictures that are one: the other one is the neighbour, the sample itself is not. */
START_TEST(evaluate_excludes_the_sample_itself)
{
    world w = make_world(make_context(1, NULL));
    sslcv_dataset *kept = w.dataset;
    sslcv_branch branch = make_branch(plain_view, 1, NULL, 0);
    const sslcv_branch *branches[1] = {&branch};
    sslcv_probe *probe = make_knn(w.context, 1, 0.1);
    sslcv_embed_options train, test;
    int64_t i, label;

    w.dataset = make_list(w.context, SSLCV_ON_ERROR_SUBSTITUTE);
    for (i = 0; i < 4; i++) {
        const int64_t shape[3] = {CHANNELS, SIDE, SIDE};
        uint8_t pixels[PIXELS];
        sslcv_tensor image;

        picture(0, i / 2, pixels); /* 0 and 1 are alike, and so are 2 and 3 */
        OK(sslcv_tensor_init(&image, SSLCV_U8, pixels, 3, shape));
        label = i == 1 ? 2 : i == 2 ? -1 : i == 3 ? 1 : 0;
        OK(sslcv_dataset_add_images(w.dataset, &image, &label, NULL));
    }
    train = test = make_options(&w, branches, 1);
    CLOSE(evaluate(probe, &train, &test, 3), 0, 0); /* 0 and 1 take each other's label; 3 has lost its twin */
    test.first = 1;
    test.count = 1;
    CLOSE(evaluate(probe, &train, &test, 1), 0, 0);
    sslcv_dataset_destroy(w.dataset);
    w.dataset = make_list(w.context, SSLCV_ON_ERROR_SUBSTITUTE); /* the same pictures, but another data set */
    for (i = 0; i < 4; i++) add_picture(w.dataset, i, i % CLASSES);
    train = test = make_options(&w, branches, 1);
    train.count = 3;
    test.first = 3; /* parts that share nothing */
    CLOSE(evaluate(probe, &train, &test, 1), 1, 0);
    sslcv_dataset_destroy(w.dataset);
    w.dataset = kept;
    sslcv_probe_destroy(probe);
    destroy_world(&w);
}
END_TEST

START_TEST(evaluate_linear)
{
    world w = make_world(make_context(1, NULL));
    sslcv_branch branch = make_branch(normal_view, 1, NULL, 0);
    const sslcv_branch *branches[1] = {&branch};
    sslcv_embed_options train = make_options(&w, branches, 1), test = train;
    sslcv_metrics metrics = {.struct_size = sizeof metrics, .count = -5};
    sslcv_probe_options options = linear_options();
    sslcv_probe *probe;

    options.epochs = 40;
    options.standardize = SSLCV_STANDARDIZE_SPREAD;
    OK(sslcv_probe_create(w.context, &options, &probe));
    FAILS(sslcv_probe_evaluate(probe, &train, &test, &metrics), SSLCV_ERR_INVALID_ARGUMENT,
          "test has samples of train");
    train.count = 9;
    test.first = 8;
    FAILS(sslcv_probe_evaluate(probe, &train, &test, &metrics), SSLCV_ERR_INVALID_ARGUMENT,
          "test has samples of train");
    ck_assert_int_eq(metrics.count, -5);
    test.first = 9;
    CLOSE(evaluate(probe, &train, &test, 4), 1, 0);
    train.count = 2; /* classes 0 and 1 only: the test samples of class 2 are wrong, but counted */
    ck_assert_double_le(evaluate(probe, &train, &test, 4), 0.75);
    FAILS(sslcv_probe_evaluate(NULL, &train, &test, &metrics), SSLCV_ERR_INVALID_ARGUMENT, "probe is NULL");
    FAILS(sslcv_probe_evaluate(probe, NULL, &test, &metrics), SSLCV_ERR_INVALID_ARGUMENT, "train is NULL");
    FAILS(sslcv_probe_evaluate(probe, &train, NULL, &metrics), SSLCV_ERR_INVALID_ARGUMENT, "test is NULL");
    FAILS(sslcv_probe_evaluate(probe, &train, &test, NULL), SSLCV_ERR_INVALID_ARGUMENT, "metrics is NULL");
    sslcv_probe_destroy(probe);
    destroy_world(&w);
}
END_TEST

START_TEST(evaluate_logistic)
{
    world w = make_world(make_context(1, NULL));
    sslcv_branch branch = make_branch(normal_view, 1, NULL, 0);
    const sslcv_branch *branches[1] = {&branch};
    sslcv_embed_options train = make_options(&w, branches, 1), test = train;
    sslcv_metrics metrics = {.struct_size = sizeof metrics};
    sslcv_probe_info info = {.struct_size = sizeof info};
    sslcv_probe_options options;
    sslcv_probe *probe;

    if (sslcv__minimize_check() != SSLCV_OK) return; /* built without liblbfgs */
    OK(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_LOGISTIC));
    options.seed = 1;
    options.c_count = 5;
    OK(sslcv_probe_create(w.context, &options, &probe));
    FAILS(sslcv_probe_evaluate(probe, &train, &test, &metrics), SSLCV_ERR_INVALID_ARGUMENT,
          "test has samples of train");
    train.count = test.first = 9;
    CLOSE(evaluate(probe, &train, &test, 4), 1, 0);
    OK(sslcv_probe_get_info(probe, &info));
    ck_assert(info.count == 9 && info.num_classes == 3 && info.dim == PIXELS);
    train.count = 2; /* classes 0 and 1 only */
    FAILS(sslcv_probe_evaluate(probe, &train, &test, &metrics), SSLCV_ERR_LIMIT, "class 2 has no sample in train");
    sslcv_probe_destroy(probe);
    destroy_world(&w);
}
END_TEST

/* A data set of one channel and a backbone of three: the message has both. */
START_TEST(evaluate_refuses_other_channels)
{
    world w = make_world(make_context(1, NULL));
    sslcv_branch branch = make_branch(plain_view, 1, w.backbone, 0);
    const sslcv_branch *branches[1] = {&branch};
    sslcv_embed_options options = make_options(&w, branches, 1);
    sslcv_metrics metrics = {.struct_size = sizeof metrics};
    sslcv_dataset *grey = make_list(w.context, SSLCV_ON_ERROR_FAIL);
    const int64_t shape[3] = {1, SIDE, SIDE};
    uint8_t pixels[SIDE * SIDE] = {0};
    sslcv_probe *probe = make_knn(w.context, 1, 0.1);
    sslcv_tensor image;
    int64_t label;

    OK(sslcv_tensor_init(&image, SSLCV_U8, pixels, 3, shape));
    for (label = 0; label < 4; label++) OK(sslcv_dataset_add_images(grey, &image, &label, NULL));
    options.dataset = grey;
    FAILS(sslcv_probe_evaluate(probe, &options, &options, &metrics), SSLCV_ERR_INVALID_ARGUMENT,
          "the data set gives view 0 1 channels; the backbone takes 3");
    sslcv_probe_destroy(probe);
    sslcv_dataset_destroy(grey);
    destroy_world(&w);
}
END_TEST

/* ---- watch ---- */

static sslcv_trainer *make_trainer(const world *w)
{
    static const int64_t views[2] = {2, 2}, inputs[1] = {0};
    sslcv_optimizer_options optimizer_options;
    sslcv_trainer_options options;
    sslcv_info_nce_options loss_options;
    sslcv_schedule rate;
    sslcv_optimizer *optimizer;
    sslcv_trainer *trainer;
    sslcv_loss *loss;
    sslcv_branch branch;

    OK(sslcv_optimizer_options_init(&optimizer_options, sizeof optimizer_options, SSLCV_OPTIMIZER_SGD));
    OK(sslcv_optimizer_create(w->context, &optimizer_options, &optimizer));
    OK(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_CONSTANT, 0.01));
    OK(sslcv_trainer_options_init(&options, sizeof options));
    options.dataset = w->dataset;
    options.augmenter = w->augmenter;
    options.optimizer = optimizer;
    options.learning_rate = &rate;
    options.batch_size = 6;
    options.epochs = 4;
    OK(sslcv_trainer_create(w->context, &options, &trainer));
    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = views;
    branch.num_views = 2;
    branch.backbone = w->backbone;
    branch.heads = (sslcv_head *const *)&w->head;
    branch.num_heads = 1;
    OK(sslcv_trainer_add_branch(trainer, &branch, NULL));
    OK(sslcv_info_nce_options_init(&loss_options, sizeof loss_options));
    OK(sslcv_loss_create_info_nce(w->context, &loss_options, &loss));
    OK(sslcv_trainer_add_loss(trainer, loss, inputs, 1, 1.0, NULL));
    sslcv_loss_destroy(loss);
    sslcv_optimizer_destroy(optimizer);
    return trainer;
}

/* Value of a metric; -1: no such metric. */
static double metric(const sslcv_trainer *trainer, const char *wanted)
{
    const char *name;
    double value;
    int64_t i;

    for (i = 0; sslcv_trainer_get_metric(trainer, i, &name, &value) == SSLCV_OK; i++) {
        if (strcmp(name, wanted) == 0) return value;
    }
    return -1;
}

/* A short run with or without a probe that watches; the weights it ends with. */
static float *run_watched(int watched, int64_t *count)
{
    world w = make_world(make_context(2, NULL));
    sslcv_trainer *trainer = make_trainer(&w);
    sslcv_state *state;
    float *weights;

    if (watched) {
        char stage[8] = "layer3";
        int64_t views[1] = {1};
        sslcv_branch branch = make_branch(views, 1, w.backbone, 0);
        const sslcv_branch *branches[1] = {&branch};
        const sslcv_embed_options embedding = make_options(&w, branches, 1);
        sslcv_probe *probe = make_knn(w.context, 3, 0.1);

        branch.stage = stage;
        OK(sslcv_probe_watch(probe, trainer, "knn", &embedding, &embedding, 2));
        sslcv_probe_destroy(probe);
        views[0] = 99; /* all of it has been copied */
        memset(stage, 'x', 7);
        memset(&branch, 0x55, sizeof branch);
        branches[0] = NULL;
    }
    OK(sslcv_trainer_run(trainer, 2)); /* epoch 0: two batches of 6 */
    ck_assert(metric(trainer, "knn.top1") == -1);
    OK(sslcv_trainer_run(trainer, 0));
    if (watched) {
        const double top1 = metric(trainer, "knn.top1");

        ck_assert(top1 >= 0 && top1 <= 1);
        CLOSE(metric(trainer, "knn.top5"), 1, 0);
        ck_assert(metric(trainer, "knn.mean_per_class") >= 0);
    }
    OK(sslcv_backbone_get_state(w.backbone, &state));
    OK(sslcv_state_get_flat(state, SSLCV_ROLE_ALL, NULL, 0, count));
    weights = make_array(*count);
    OK(sslcv_state_get_flat(state, SSLCV_ROLE_ALL, weights, *count, count));
    sslcv_state_destroy(state);
    sslcv_trainer_destroy(trainer);
    destroy_world(&w);
    return weights;
}

START_TEST(watch_does_not_disturb)
{
    int64_t count, other;
    float *plain = run_watched(0, &count), *watched = run_watched(1, &other);

    ck_assert_int_eq(count, other);
    ck_assert_mem_eq(plain, watched, (size_t)count * sizeof *plain);
    free(plain);
    free(watched);
}
END_TEST

/* A probe that can't be fitted stops the run, and says why. */
START_TEST(watch_failure_stops_the_run)
{
    world w = make_world(make_context(1, NULL));
    sslcv_trainer *trainer = make_trainer(&w);
    sslcv_branch branch = make_branch(normal_view, 1, w.backbone, 0);
    const sslcv_branch *branches[1] = {&branch};
    const sslcv_embed_options embedding = make_options(&w, branches, 1);
    sslcv_probe *probe = make_knn(w.context, 200, 0.1);

    OK(sslcv_probe_watch(probe, trainer, "knn", &embedding, &embedding, 1));
    FAILS(sslcv_trainer_run(trainer, 0), SSLCV_ERR_CANCELLED, "probe.neighbors is 200");
    sslcv_probe_destroy(probe);
    sslcv_trainer_destroy(trainer);
    destroy_world(&w);
}
END_TEST

START_TEST(watch_refuses)
{
    host h;
    world w = make_world(make_context(1, &h));
    sslcv_trainer *trainer = make_trainer(&w);
    sslcv_branch branch = make_branch(normal_view, 1, w.backbone, 0);
    const sslcv_branch *branches[1] = {&branch};
    const sslcv_embed_options good = make_options(&w, branches, 1);
    sslcv_embed_options bad = good;
    sslcv_probe *probe = make_knn(w.context, 1, 0.1);
    int64_t at, held;

    FAILS(sslcv_probe_watch(NULL, trainer, "knn", &good, &good, 1), SSLCV_ERR_INVALID_ARGUMENT, "probe is NULL");
    FAILS(sslcv_probe_watch(probe, NULL, "knn", &good, &good, 1), SSLCV_ERR_INVALID_ARGUMENT, "trainer is NULL");
    FAILS(sslcv_probe_watch(probe, trainer, NULL, &good, &good, 1), SSLCV_ERR_INVALID_ARGUMENT, "name is NULL");
    FAILS(sslcv_probe_watch(probe, trainer, "", &good, &good, 1), SSLCV_ERR_INVALID_ARGUMENT, "name has 0 bytes");
    FAILS(sslcv_probe_watch(probe, trainer, "12345678901234567890123456789012345678901", &good, &good, 1),
          SSLCV_ERR_INVALID_ARGUMENT, "name has 41 bytes");
    FAILS(sslcv_probe_watch(probe, trainer, "knn", NULL, &good, 1), SSLCV_ERR_INVALID_ARGUMENT, "train is NULL");
    FAILS(sslcv_probe_watch(probe, trainer, "knn", &good, NULL, 1), SSLCV_ERR_INVALID_ARGUMENT, "test is NULL");
    FAILS(sslcv_probe_watch(probe, trainer, "knn", &good, &good, 0), SSLCV_ERR_INVALID_ARGUMENT, "epochs is 0");
    bad.batch_size = -1;
    FAILS(sslcv_probe_watch(probe, trainer, "knn", &good, &bad, 1), SSLCV_ERR_INVALID_ARGUMENT,
          "embed.batch_size is -1");
    for (at = 0, held = h.out;; at++) {
        h.fail_at = h.calls + at;
        if (sslcv_probe_watch(probe, trainer, "knn", &good, &good, 1) == SSLCV_OK) break;
        ck_assert_int_eq(h.out, held);
    }
    ck_assert_int_ge(at, 9);
    h.fail_at = -1;
    sslcv_probe_destroy(probe);
    sslcv_trainer_destroy(trainer);
    destroy_world(&w);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probe_evaluate");
    TCase *evaluation = add_case(suite, "evaluate");
    TCase *watch = add_case(suite, "watch");

    tcase_add_test(evaluation, evaluate_leaves_one_out);
    tcase_add_test(evaluation, evaluate_excludes_the_sample_itself);
    tcase_add_test(evaluation, evaluate_linear);
    tcase_add_test(evaluation, evaluate_logistic);
    tcase_add_test(evaluation, evaluate_refuses_other_channels);
    tcase_add_test(watch, watch_does_not_disturb);
    tcase_add_test(watch, watch_failure_stops_the_run);
    tcase_add_test(watch, watch_refuses);
    return run_suite(suite);
}
