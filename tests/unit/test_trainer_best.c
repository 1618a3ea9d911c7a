/* Early choice: the networks of the best epoch are kept, survive a checkpoint, and are given back; judging a classifier. */
#include "memory_support.h"
#include "recipe_support.h"

#include <unistd.h>

enum { NUM_EPOCHS = 5 };

/* Publishes one value an epoch (none: not this time), and remembers the weights. */
typedef struct script {
    rig *r;
    const double *values;
    weights seen[NUM_EPOCHS];
    int64_t at;
} script;

static const double none = -1000.0;

static int32_t play(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    script *s = user;

    s->at = progress->epoch;
    s->seen[s->at] = read_prefix(s->r, "backbone.0.", SSLCV_ROLE_ALL);
    if (s->values[s->at] != none) OK(sslcv_trainer_set_metric(trainer, "val.top1", s->values[s->at]));
    return 0;
}

static void add_script(rig *r, const double *values, script *s)
{
    sslcv_hook hook;

    memset(s, 0, sizeof *s);
    s->r = r;
    s->values = values;
    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.user = s;
    hook.call = play;
    hook.events = SSLCV_EVENT_EPOCH_END;
    OK(sslcv_trainer_add_hook(r->trainer, &hook));
}

static void free_script(script *s)
{
    int i;

    for (i = 0; i < NUM_EPOCHS; i++) free(s->seen[i].values);
}

static rig make_run(void)
{
    return make_recipe("finetune", NULL, TINY " epochs=5 learning_rate=0.1");
}

static const struct row {
    double values[NUM_EPOCHS];
    int32_t smallest;
    int64_t best;
} rows[] = {
    {{0.1, 0.5, 0.3, 0.5, 0.4}, 0, 1}, /* of equals the first */
    {{0.5, 0.4, 0.3, 0.2, 0.1}, 0, 0},
    {{0.1, 0.2, 0.3, 0.4, 0.5}, 0, 4},
    {{0.5, 0.1, 0.3, 0.2, 0.4}, 1, 1},
    {{-1000.0, 0.1, -1000.0, 0.7, -1000.0}, 0, 3}, /* values of old do not count again */
    {{-1000.0, -1000.0, 0.1, -1000.0, -1000.0}, 0, 2},
    {{-3.0, -2.0, -4.0, -5.0, -6.0}, 0, 1},
};

enum { NUM_ROWS = sizeof rows / sizeof rows[0] };

START_TEST(test_best_is_kept)
{
    const struct row *row = &rows[_i];
    rig r = make_run();
    double value = 0.0;
    int64_t epoch = -5;
    weights end, taken;
    script s;

    OK(sslcv_trainer_keep_best(r.trainer, "val.top1", row->smallest));
    add_script(&r, row->values, &s);
    OK(sslcv_trainer_run(r.trainer, 0));
    end = read_prefix(&r, "optimizer.", SSLCV_ROLE_ALL);
    OK(sslcv_trainer_take_best(r.trainer, &value, &epoch));
    ck_assert_int_eq(epoch, row->best);
    ck_assert(value == row->values[row->best]);
    taken = read_prefix(&r, "backbone.0.", SSLCV_ROLE_ALL);
    ck_assert_mem_eq(taken.values, s.seen[epoch].values, (size_t)taken.count * sizeof(float));
    if (epoch != NUM_EPOCHS - 1) {
        ck_assert_mem_ne(taken.values, s.seen[NUM_EPOCHS - 1].values, (size_t)taken.count * sizeof(float));
    }
    ck_assert(equal(end, read_prefix(&r, "optimizer.", SSLCV_ROLE_ALL)));
    OK(sslcv_trainer_take_best(r.trainer, NULL, NULL)); /* again */
    free(taken.values);
    free_script(&s);
    free_recipe(&r);
}
END_TEST

/* NaN is never the best, and keeping changes nothing of the training. */
START_TEST(test_nan_and_no_trace)
{
    const double values[NUM_EPOCHS] = {NAN, NAN, 0.2, NAN, 0.1};
    rig r = make_run(), plain = make_run();
    int64_t epoch;
    script s;

    OK(sslcv_trainer_keep_best(r.trainer, "val.top1", 1));
    OK(sslcv_trainer_keep_best(r.trainer, "val.top1", 0)); /* the last call holds */
    add_script(&r, values, &s);
    OK(sslcv_trainer_run(r.trainer, 0));
    OK(sslcv_trainer_run(plain.trainer, 0));
    ck_assert(
        equal(read_prefix(&r, "backbone.0.", SSLCV_ROLE_ALL), read_prefix(&plain, "backbone.0.", SSLCV_ROLE_ALL)));
    OK(sslcv_trainer_take_best(r.trainer, NULL, &epoch));
    ck_assert_int_eq(epoch, 2);
    free_script(&s);
    free_recipe(&r);
    free_recipe(&plain);
}
END_TEST

/* The trainer's own figures can be watched too, without any hook. */
START_TEST(test_own_metric)
{
    rig r = make_run();
    double value;

    OK(sslcv_trainer_keep_best(r.trainer, "loss", 1));
    OK(sslcv_trainer_run(r.trainer, 0));
    OK(sslcv_trainer_take_best(r.trainer, &value, NULL));
    ck_assert(value <= metric(&r, "loss"));
    free_recipe(&r);
}
END_TEST

START_TEST(test_checkpoint)
{
    const double values[NUM_EPOCHS] = {0.9, 0.5, 0.3, 0.5, 0.4}, rest[NUM_EPOCHS] = {none, none, none, 0.8, 0.7};
    const char *path = "test_trainer_best.safetensors";
    rig r = make_run(), resumed = make_run(), other = make_run();
    sslcv_state *state;
    double value;
    int64_t epoch;
    script s, t;

    OK(sslcv_trainer_keep_best(r.trainer, "val.top1", 0));
    add_script(&r, values, &s);
    OK(sslcv_trainer_run(r.trainer, 6)); /* two epochs */
    OK(sslcv_trainer_get_state(r.trainer, &state));
    OK(sslcv_state_save(state, path, NULL));
    sslcv_state_destroy(state);

    OK(sslcv_trainer_keep_best(resumed.trainer, "val.top1", 0));
    add_script(&resumed, rest, &t);
    OK(sslcv_trainer_get_state(resumed.trainer, &state));
    OK(sslcv_state_load(state, path, NULL, NULL));
    sslcv_state_destroy(state);
    OK(sslcv_trainer_run(resumed.trainer, 0));
    OK(sslcv_trainer_take_best(resumed.trainer, &value, &epoch));
    ck_assert_int_eq(epoch, 0);
    ck_assert(value == 0.9);
    ck_assert(equal(read_prefix(&resumed, "backbone.0.", SSLCV_ROLE_ALL), s.seen[0]));
    s.seen[0].values = NULL;

    OK(sslcv_trainer_get_state(other.trainer, &state)); /* has not asked for it */
    ck_assert_int_ne(sslcv_state_load(state, path, NULL, NULL), SSLCV_OK);
    sslcv_state_destroy(state);
    unlink(path);
    free_script(&s);
    free_script(&t);
    free_recipe(&r);
    free_recipe(&resumed);
    free_recipe(&other);
}
END_TEST

/* What is foretold of memory is held, and the copy is in it. */
START_TEST(test_memory)
{
    sslcv_memory plain = {.struct_size = sizeof plain}, before = plain, after = plain;
    rig r = make_run(), without = make_run();

    OK(sslcv_trainer_keep_best(r.trainer, "loss", 1));
    OK(sslcv_trainer_get_memory(without.trainer, &plain));
    OK(sslcv_trainer_get_memory(r.trainer, &before));
    OK(sslcv_trainer_run(r.trainer, 0));
    OK(sslcv_trainer_get_memory(r.trainer, &after));
    ck_assert_int_eq(before.total, after.total);
    ck_assert_int_le(before.total - plain.total, plain.parameters + 16); /* the copy is plain, without padding */
    ck_assert_int_ge(before.total - plain.total, plain.parameters * 8 / 10);
    ck_assert_int_eq(before.gradients, plain.gradients);
    free_recipe(&r);
    free_recipe(&without);
}
END_TEST

static int32_t call_inside(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)user;
    (void)progress;
    FAILS(sslcv_trainer_keep_best(trainer, "loss", 0), SSLCV_ERR_STATE, "a hook must not compose");
    FAILS(sslcv_trainer_take_best(trainer, NULL, NULL), SSLCV_ERR_STATE, "a hook must not load");
    return 0;
}

START_TEST(test_refuses)
{
    rig r = make_run();
    sslcv_hook hook;

    FAILS(sslcv_trainer_keep_best(NULL, "a", 0), SSLCV_ERR_INVALID_ARGUMENT, "trainer is NULL");
    FAILS(sslcv_trainer_keep_best(r.trainer, NULL, 0), SSLCV_ERR_INVALID_ARGUMENT, "metric is NULL");
    FAILS(sslcv_trainer_keep_best(r.trainer, "", 0), SSLCV_ERR_INVALID_ARGUMENT, "metric is");
    FAILS(sslcv_trainer_keep_best(r.trainer, "a", 2), SSLCV_ERR_INVALID_ARGUMENT, "smallest is 2");
    FAILS(sslcv_trainer_take_best(r.trainer, NULL, NULL), SSLCV_ERR_STATE, "nothing is kept");
    OK(sslcv_trainer_keep_best(r.trainer, "val.top1", 0));
    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.call = call_inside;
    OK(sslcv_trainer_add_hook(r.trainer, &hook));
    step(&r);
    FAILS(sslcv_trainer_keep_best(r.trainer, "a", 0), SSLCV_ERR_STATE, "the composition is fixed");
    FAILS(sslcv_trainer_take_best(r.trainer, NULL, NULL), SSLCV_ERR_STATE,
          "no epoch has ended with a metric \"val.top1\"");
    free_recipe(&r);
}
END_TEST

/* ---- a classifier's own figures ---- */

typedef struct judge {
    sslcv_augmenter *augmenter;
    sslcv_branch branch;
    const sslcv_branch *branches[1];
    sslcv_head *head;
    sslcv_backbone *backbone;
    sslcv_embed_options test;
} judge;

static void make_judge(rig *r, judge *j)
{
    static const int64_t view = 0;

    OK(sslcv_augmenter_create(r->context, &j->augmenter));
    OK(sslcv_augmenter_add_preset(j->augmenter, "eval-cifar", SIDE, NULL, NULL));
    OK(sslcv_trainer_get_backbone(r->trainer, 0, 0, &j->backbone));
    OK(sslcv_trainer_get_head(r->trainer, 0, 0, 0, &j->head));
    OK(sslcv_branch_init(&j->branch, sizeof j->branch));
    j->branch.views = &view;
    j->branch.num_views = 1;
    j->branch.backbone = j->backbone;
    j->branch.heads = (sslcv_head *const *)&j->head;
    j->branch.num_heads = 1;
    j->branch.flags = 0;
    j->branches[0] = &j->branch;
    OK(sslcv_embed_options_init(&j->test, sizeof j->test));
    j->test.dataset = r->dataset;
    j->test.augmenter = j->augmenter;
    j->test.branches = j->branches;
    j->test.num_branches = 1;
}

static void free_judge(judge *j)
{
    sslcv_head_destroy(j->head);
    sslcv_backbone_destroy(j->backbone);
    sslcv_augmenter_destroy(j->augmenter);
}

START_TEST(test_classifier)
{
    rig r = make_run(), plain = make_run();
    sslcv_metrics metrics = {.struct_size = sizeof metrics}, naive = {.struct_size = sizeof naive};
    sslcv_tensor logits = {.data = NULL};
    float values[SAMPLES * CLASSES];
    int64_t labels[SAMPLES], epoch;
    double value;
    judge j;

    make_judge(&r, &j);
    OK(sslcv_trainer_keep_best(r.trainer, "val.top1", 0));
    OK(sslcv_classifier_watch(r.trainer, "val", &j.test, 1));
    OK(sslcv_trainer_run(r.trainer, 0));
    OK(sslcv_trainer_run(plain.trainer, 0));
    ck_assert(equal(read_prefix(&r, "optimizer.", SSLCV_ROLE_ALL), read_prefix(&plain, "optimizer.", SSLCV_ROLE_ALL)));
    OK(sslcv_trainer_take_best(r.trainer, &value, &epoch));
    OK(sslcv_classifier_evaluate(&j.test, &metrics));
    ck_assert(metrics.top1 == value && metrics.count == SAMPLES && metrics.num_classes == CLASSES);
    OK(sslcv_embed(&j.test, &logits, NULL));
    logits.data = values;
    OK(sslcv_embed(&j.test, &logits, labels));
    OK(sslcv_metrics_compute(r.context, &logits, labels, &naive, NULL));
    ck_assert(naive.top1 == metrics.top1 && naive.mean_per_class == metrics.mean_per_class);
    free_judge(&j);
    free_recipe(&r);
    free_recipe(&plain);
}
END_TEST

START_TEST(test_classifier_refuses)
{
    rig r = make_run();
    sslcv_metrics metrics = {.struct_size = sizeof metrics};
    sslcv_embed_options bad;
    sslcv_dataset *blind;
    judge j;

    make_judge(&r, &j);
    FAILS(sslcv_classifier_evaluate(NULL, &metrics), SSLCV_ERR_INVALID_ARGUMENT, "NULL");
    FAILS(sslcv_classifier_evaluate(&j.test, NULL), SSLCV_ERR_INVALID_ARGUMENT, "NULL");
    FAILS(sslcv_classifier_watch(NULL, "val", &j.test, 1), SSLCV_ERR_INVALID_ARGUMENT, "trainer is NULL");
    FAILS(sslcv_classifier_watch(r.trainer, "", &j.test, 1), SSLCV_ERR_INVALID_ARGUMENT, "name has 0 bytes");
    FAILS(sslcv_classifier_watch(r.trainer, "val", NULL, 1), SSLCV_ERR_INVALID_ARGUMENT, "NULL");
    FAILS(sslcv_classifier_watch(r.trainer, "val", &j.test, 0), SSLCV_ERR_INVALID_ARGUMENT, "epochs is 0");
    bad = j.test;
    bad.dataset = blind = make_dataset(r.context, 3, 0);
    FAILS(sslcv_classifier_evaluate(&bad, &metrics), SSLCV_ERR_LIMIT, "has a label");
    sslcv_dataset_destroy(blind);
    free_judge(&j);
    free_recipe(&r);
}
END_TEST

START_TEST(test_out_of_memory)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    rig r = {context, make_dataset(context, 3, 1), NULL};
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t n, failed = 0;

    for (n = 0; status != SSLCV_OK; n += 1 + n / 8) {
        OK(make_method(context, "finetune", r.dataset, NULL, TINY " epochs=2", 1, &r.trainer));
        h.calls = 0;
        h.fail_at = n;
        status = sslcv_trainer_keep_best(r.trainer, "loss", 1);
        if (status == SSLCV_OK) {
            sslcv_state *state = NULL;

            status = sslcv_trainer_get_state(r.trainer, &state);
            sslcv_state_destroy(state);
        }
        h.fail_at = -1;
        if (status != SSLCV_OK) {
            ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
            failed++;
        }
        sslcv_trainer_destroy(r.trainer);
    }
    ck_assert(failed > 20);
    sslcv_dataset_destroy(r.dataset);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer_best");
    TCase *best = tcase_create("best"), *classifier = tcase_create("classifier");

    tcase_set_timeout(best, 60);
    tcase_add_loop_test(best, test_best_is_kept, 0, NUM_ROWS);
    tcase_add_test(best, test_nan_and_no_trace);
    tcase_add_test(best, test_own_metric);
    tcase_add_test(best, test_checkpoint);
    tcase_add_test(best, test_memory);
    tcase_add_test(best, test_refuses);
    tcase_add_test(best, test_out_of_memory);
    suite_add_tcase(suite, best);
    tcase_set_timeout(classifier, 60);
    tcase_add_test(classifier, test_classifier);
    tcase_add_test(classifier, test_classifier_refuses);
    suite_add_tcase(suite, classifier);
    return run_suite(suite);
}
