/* DeepCluster-v2: the memory that is there before the first epoch, labels and prototypes of an epoch, schedules. */
#include "deepcluster_support.h"

#define SMALL TINY " epochs=3 hidden_dim=32 out_dim=16 prototypes=5 warmup_epochs=0"

enum { OUT = 16, PROTOTYPES = 5, SETS = 3 };

START_TEST(test_composition)
{
    static const treatment lars[] = {{SSLCV_ROLE_WEIGHT, 1, 1, 1.0, 0, 0, 22},
                                     {SSLCV_ROLE_NORM, 0, 0, 1.0, 0, 0, 42},
                                     {SSLCV_ROLE_BIAS, 0, 0, 1.0, 0, 0, 2},
                                     {0}};
    static const treatment larc[] = {{SSLCV_ROLE_WEIGHT, 1, 1, 1.0, 0, 0, 22},
                                     {SSLCV_ROLE_NORM, 1, 1, 1.0, 0, 0, 42},
                                     {SSLCV_ROLE_BIAS, 1, 1, 1.0, 0, 0, 2},
                                     {0}};
    static const char *const texts[] = {
        "branch 0: views 0,1 -> backbone 0 (joined) -> head 0 (mlp 32-128, joined)\n"
        "loss 0: 1 * cluster(branch 0)\n"
        "backbone 0: 3 channels -> 32, 44292 parameters\n"
        "head 0: mlp 32 -> 128, 333952 parameters\n" /* 32 x 2048 and biases, norm, 2048 x 128 and biases */
        "learning rate: cosine from 0.01875 to 0, after a warm-up of 10 epochs\n"
        "run: 1000 epochs of 3 steps of 8 images\n",
        "branch 0: views 0,1,2,3,4,5,6,7 -> backbone 0 (joined) -> head 0 (mlp 32-128, joined)\n"
        "loss 0: 1 * cluster(branch 0)\n"
        "backbone 0: 3 channels -> 32, 44772 parameters\n"
        "head 0: mlp 32 -> 128, 333952 parameters\n"
        "learning rate: cosine from 0.009375 to 9375e-9, after a warm-up of 10 epochs\n"
        "run: 400 epochs of 3 steps of 8 images\n"};
    rig r = make_recipe("deepcluster-v2", _i ? "imagenet" : NULL, TINY " prototypes=20");
    const sslcv_optimizer_options *o = &r.trainer->options.optimizer->options;

    check_composition(&r, texts[_i]);
    check_groups(&r, _i ? larc : lars);
    ck_assert_int_eq(o->kind, _i ? SSLCV_OPTIMIZER_LARC : SSLCV_OPTIMIZER_LARS);
    ck_assert(o->weight_decay == 1e-6 && o->momentum == 0.9);
    ck_assert(o->trust == (_i ? 0.001 : 0.02) && o->trust_clip == !_i);
    ck_assert(loss_number(&r, "temperature") == 0.1);
    free_recipe(&r);
}
END_TEST

/* ---- before the first epoch ---- */

static double length(const float *row, int64_t count)
{
    double sum = 0.0;
    int64_t i;

    for (i = 0; i < count; i++) sum += (double)row[i] * row[i];
    return sqrt(sum);
}

/* Looks at the memory when the hook is done and nothing has been trained. */
static int32_t look(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    rig *r = user;
    weights first, second;
    int64_t i, differ = 0;

    (void)trainer;
    if (progress->epoch > 0) return 0;
    first = read_tensor(r, "loss.0.memory.0");
    second = read_tensor(r, "loss.0.memory.1");
    ck_assert_int_eq(first.count, SAMPLES * OUT);
    for (i = 0; i < SAMPLES; i++) {
        CLOSE(length(first.values + i * OUT, OUT), 1.0, 1e-5);
        CLOSE(length(second.values + i * OUT, OUT), 1.0, 1e-5);
        differ += memcmp(first.values + i * OUT, second.values + i * OUT, OUT * sizeof(float)) != 0;
    }
    ck_assert_int_eq(differ, SAMPLES); /* each view has its own */
    /* Rows of one batch with statistics of that batch are spread; those of frozen, fresh ones would hardly be. */
    for (i = 0; i < OUT; i++) {
        double mean = 0.0, square = 0.0;
        int64_t k;

        for (k = 0; k < SAMPLES; k++) {
            mean += first.values[k * OUT + i] / SAMPLES;
            square += first.values[k * OUT + i] * first.values[k * OUT + i] / SAMPLES;
        }
        ck_assert(square - mean * mean > 1e-4);
    }
    free(first.values);
    free(second.values);
    return 0;
}

/* Every image is remembered; the run's own networks, statistics included, are as they were. */
START_TEST(test_memory_is_filled)
{
    rig r = make_recipe("deepcluster-v2", NULL, SMALL " learning_rate=0");
    weights before, after;
    int64_t tracked;
    sslcv_hook hook;

    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.user = &r;
    hook.call = look;
    hook.events = SSLCV_EVENT_EPOCH_BEGIN;
    OK(sslcv_trainer_add_hook(r.trainer, &hook));
    before = read_prefix(&r, "backbone.0.", SSLCV_ROLE_PARAMETERS);
    CLOSE(step(&r), log(PROTOTYPES), 3.0);
    after = read_prefix(&r, "backbone.0.", SSLCV_ROLE_PARAMETERS);
    ck_assert(equal(before, after));
    read_integers(&r, "backbone.0.bn1.num_batches_tracked", 0, NULL, &tracked);
    ck_assert_int_eq(tracked, 1); /* of the step, views joined */
    free_recipe(&r);
}
END_TEST

/* Whole batches only: a sample of none has no label in the first epoch. */
START_TEST(test_last_batch_is_left_out)
{
    const int64_t shape[1] = {SAMPLES};
    rig r = make_recipe("deepcluster-v2", NULL,
                        "batch=10 size=16 width=0.0625 prefetch=0 epochs=2 hidden_dim=32 out_dim=16 prototypes=5");
    int64_t labels[SAMPLES], i, none = 0;

    step(&r);
    read_integers(&r, "loss.0.labels.0", 1, shape, labels);
    for (i = 0; i < SAMPLES; i++) none += labels[i] < 0;
    ck_assert_int_eq(none, SAMPLES - 20);
    free_recipe(&r);
}
END_TEST

/* ---- labels and prototypes ---- */

/* Unit rows that rest for an epoch and are made anew by the next; labels are there for all, in each set. */
START_TEST(test_prototypes)
{
    const int64_t shape[1] = {SAMPLES};
    char name[48];
    rig r = make_recipe("deepcluster-v2", NULL, SMALL);
    weights before[SETS];
    int64_t labels[SETS][SAMPLES], i, h;
    int t;

    for (t = 0; t < 6; t++) {
        step(&r);
        for (h = 0; h < SETS; h++) {
            weights now;

            snprintf(name, sizeof name, "loss.0.prototypes.%d.weight", (int)h);
            now = read_tensor(&r, name);
            ck_assert_int_eq(now.count, PROTOTYPES * OUT);
            for (i = 0; i < PROTOTYPES; i++) CLOSE(length(now.values + i * OUT, OUT), 1.0, 1e-5);
            if (t > 0) {
                const int same = memcmp(now.values, before[h].values, (size_t)now.count * sizeof(float)) == 0;

                ck_assert_int_eq(same, t != 3);
                free(before[h].values);
            }
            before[h] = now;
            snprintf(name, sizeof name, "loss.0.labels.%d", (int)h);
            read_integers(&r, name, 1, shape, labels[h]);
            for (i = 0; i < SAMPLES; i++) ck_assert(labels[h][i] >= 0 && labels[h][i] < PROTOTYPES);
        }
        ck_assert(memcmp(labels[0], labels[2], sizeof labels[0]) != 0); /* of one memory, by other first centres */
        ck_assert(metric(&r, "loss.0.used") > 0.5 && metric(&r, "loss.0.objective") > 0.3);
        ck_assert(t < 3 ? metric(&r, "loss.0.nmi") == 0.0 : metric(&r, "loss.0.nmi") > 0.0);
    }
    for (h = 0; h < SETS; h++) free(before[h].values);
    free_recipe(&r);
}
END_TEST

START_TEST(test_loss_begins_at_the_logarithm)
{
    rig r = make_recipe("deepcluster-v2", NULL, SMALL " temperature=1000000");

    CLOSE(step(&r), log(PROTOTYPES), 1e-4);
    free_recipe(&r);
}
END_TEST

/* Small crops learn too, but only the first views are remembered. */
START_TEST(test_crops)
{
    rig r = make_recipe("deepcluster-v2", "imagenet", TINY " crops=3 memory_views=1 prototypes=5 hidden_dim=32 sets=2");
    sslcv_state *state;
    int64_t index;

    step(&r);
    OK(sslcv_trainer_get_state(r.trainer, &state));
    OK(sslcv_state_find(state, "loss.0.memory.0", &index));
    FAILS(sslcv_state_find(state, "loss.0.memory.1", &index), SSLCV_ERR_NOT_FOUND, "memory.1");
    OK(sslcv_state_find(state, "loss.0.labels.1", &index));
    FAILS(sslcv_state_find(state, "loss.0.labels.2", &index), SSLCV_ERR_NOT_FOUND, "labels.2");
    sslcv_state_destroy(state);
    free_recipe(&r);
}
END_TEST

/* ---- resumed, cut short ---- */

START_TEST(test_resumes)
{
    check_resumes("deepcluster-v2", SMALL);
}
END_TEST

START_TEST(test_cancels)
{
    check_cancels("deepcluster-v2", SMALL, 12, -1);
}
END_TEST

START_TEST(test_out_of_memory)
{
    check_out_of_memory("deepcluster-v2", SMALL);
}
END_TEST

/* ---- bad input ---- */

static void count_warnings(void *user, int32_t level, const char *text)
{
    if (level == SSLCV_LOG_WARNING && strstr(text, "the embeddings of all samples point one way")) ++*(int *)user;
}

/* One picture many times: that is told, and learns nothing. */
START_TEST(test_collapse_is_told)
{
    sslcv_context_options o;
    sslcv_context *context;
    int warnings = 0;
    int64_t i;
    source s;
    rig r;

    fill_source(&s);
    for (i = 0; i < SAMPLES * PIXELS; i++) s.images[i / PIXELS][i % PIXELS] = 0.0f; /* no jitter changes black */
    OK(sslcv_context_options_init(&o, sizeof o));
    o.threads = 1;
    o.loader_threads = 0;
    o.log = count_warnings;
    o.log_user = &warnings;
    o.precision = SSLCV_PRECISION_F32;
    OK(sslcv_context_create(&o, &context));
    r = make_from_source(&s, context, "deepcluster-v2", SMALL);
    for (i = 0; i < 4; i++) step(&r);
    ck_assert_int_eq(warnings, 2); /* once an epoch */
    ck_assert(metric(&r, "embedding_std") < 0.01);
    free_recipe(&r);
}
END_TEST

START_TEST(test_settings)
{
    const char *name = "deepcluster-v2";

    refuse(name, NULL, TINY, SSLCV_ERR_LIMIT,
           "deepcluster-v2.prototypes is 3000; must be at most 24, the images of whole batches");
    refuse(name, NULL, "batch=10 size=16 width=0.0625 prototypes=21", SSLCV_ERR_LIMIT,
           "prototypes is 21; must be at most 20");
    refuse(name, NULL, SMALL " memory_views=3", SSLCV_ERR_LIMIT, "deepcluster-v2.memory_views is 3; there are 2 crops");
    refuse(name, NULL, SMALL " crops=3", SSLCV_ERR_LIMIT, "deepcluster-v2.crops is 3; the augmenter has 2 views");
    refuse(name, NULL, SMALL " sets=0", SSLCV_ERR_INVALID_ARGUMENT, "deepcluster-v2.sets is \"0\"");
    refuse(name, NULL, SMALL " temperature=0", SSLCV_ERR_INVALID_ARGUMENT, "deepcluster-v2.temperature is \"0\"");
}
END_TEST

/* Without a data set the host gives the loss its first embeddings. */
START_TEST(test_views_of_the_host)
{
    static float pixels[BATCH * PIXELS], rows[2 * BATCH * OUT];
    const int64_t shape[4] = {BATCH, 3, SIDE, SIDE}, axes[3] = {2, BATCH, OUT};
    int64_t ids[BATCH], i;
    sslcv_context *context = make_f32_context();
    sslcv_trainer *trainer = NULL;
    sslcv_tensor views[2], input;
    sslcv_loss_call call;
    sslcv_loss *loss;

    FAILS(make_method(context, "deepcluster-v2", NULL, NULL, SMALL " steps_per_epoch=2", 1, &trainer),
          SSLCV_ERR_INVALID_ARGUMENT, "deepcluster-v2.samples is 0; must be given without a data set");
    OK(make_method(context, "deepcluster-v2", NULL, NULL, SMALL " steps_per_epoch=2 samples=8", 1, &trainer));
    golden_input(1, BATCH * PIXELS, pixels);
    golden_input(2, 2 * BATCH * OUT, rows);
    for (i = 0; i < BATCH; i++) ids[i] = i;
    for (i = 0; i < 2; i++) OK(sslcv_tensor_init(&views[i], SSLCV_F32, pixels, 4, shape));
    FAILS(step_views_with(trainer, views, 2, NULL, ids, NULL, NULL), SSLCV_ERR_STATE, "cluster remembers 0 samples");
    OK(sslcv_tensor_init(&input, SSLCV_F32, rows, 3, axes));
    OK(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = &input;
    call.num_inputs = 1;
    call.ids = ids;
    OK(sslcv_trainer_get_loss(trainer, 0, &loss));
    OK(sslcv_loss_compute(loss, &call));
    sslcv_loss_destroy(loss);
    for (i = 0; i < 6; i++) OK(step_views_with(trainer, views, 2, NULL, ids, NULL, NULL));
    sslcv_trainer_destroy(trainer);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_deepcluster_v2");
    TCase *tests = tcase_create("deepcluster_v2");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_composition, 0, 2);
    tcase_add_test(tests, test_memory_is_filled);
    tcase_add_test(tests, test_last_batch_is_left_out);
    tcase_add_test(tests, test_prototypes);
    tcase_add_test(tests, test_loss_begins_at_the_logarithm);
    tcase_add_test(tests, test_crops);
    tcase_add_test(tests, test_resumes);
    tcase_add_test(tests, test_cancels);
    tcase_add_test(tests, test_out_of_memory);
    tcase_add_test(tests, test_collapse_is_told);
    tcase_add_test(tests, test_settings);
    tcase_add_test(tests, test_views_of_the_host);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
