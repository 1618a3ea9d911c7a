/* Labels instead of the data set's, and the loss that makes its own, in a trainer. */
#include "file_support.h"
#include "trainer_support.h"

#include <sslcv/losses.h>

#include "core/rng.h"

/* ---- what a loss is told ---- */

enum { MOST_CALLS = 16 };

typedef struct journal {
    int64_t calls;
    int64_t ids[MOST_CALLS][BATCH], labels[MOST_CALLS][BATCH];
    /* What a hook does: */
    rig *rig;
    int64_t now, event, at, factor; /* at this step of that event it gives labels of that factor; -1: the data set's */
    sslcv_status status;
} journal;

static int32_t note(void *user, sslcv_state *state, sslcv_loss_call *call)
{
    journal *j = user;

    (void)state;
    ck_assert(j->calls < MOST_CALLS && call->inputs[0].shape[1] == BATCH);
    memcpy(j->ids[j->calls], call->ids, BATCH * sizeof(int64_t));
    memcpy(j->labels[j->calls], call->labels, BATCH * sizeof(int64_t));
    j->calls++;
    memset(call->diff_inputs[0].data, 0, (size_t)(BATCH * FEATURES) * sizeof(float));
    call->value = 1.0;
    return 0;
}

static int64_t label_by(int64_t factor, int64_t sample)
{
    return factor < 0 ? sample % CLASSES : factor * sample % 5;
}

static sslcv_status give(rig *r, int64_t factor)
{
    int64_t labels[SAMPLES], i;

    for (i = 0; i < SAMPLES; i++) labels[i] = label_by(factor, i);
    return sslcv_trainer_set_labels(r->trainer, factor < 0 ? NULL : labels, factor < 0 ? 0 : SAMPLES);
}

static int32_t give_in_hook(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    journal *j = user;

    (void)trainer;
    if (progress->event == j->event && progress->step == j->at) j->status = give(j->rig, j->factor);
    return 0;
}

static void make_journal(rig *r, journal *j, const rig_options *o)
{
    sslcv_loss_callbacks callbacks;
    sslcv_loss *loss;

    memset(j, 0, sizeof *j);
    make_rig(r, o);
    OK(sslcv_loss_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.user = j;
    callbacks.compute = note;
    callbacks.needs_ids = callbacks.needs_labels = 1;
    OK(sslcv_loss_create_custom(r->context, &callbacks, &loss));
    add_loss(r, loss, add_branch(r, view_2, 1, NULL), 1.0);
    sslcv_loss_destroy(loss);
    j->rig = r;
    j->event = -1;
}

static void check_labels(const journal *j, int64_t call, int64_t factor)
{
    int64_t i;

    for (i = 0; i < BATCH; i++) ck_assert_int_eq(j->labels[call][i], label_by(factor, j->ids[call][i]));
}

static const rig_options epochs_4 = {.epochs = 4, .seed = 7};

/* From the next epoch on, wherever in an epoch they are given; at its beginning, in that one. */
START_TEST(labels_hold_from_the_next_epoch_on)
{
    /* Event and step of the hook; the epoch in which its labels first hold. 3 steps an epoch. */
    static const int64_t cases[][3] = {{SSLCV_EVENT_EPOCH_BEGIN, 3, 1},
                                       {SSLCV_EVENT_STEP, 4, 2},
                                       {SSLCV_EVENT_EPOCH_END, 3, 1},
                                       {SSLCV_EVENT_EPOCH_BEGIN, 0, 0}};
    size_t c;
    int64_t k;

    for (c = 0; c < sizeof cases / sizeof *cases; c++) {
        sslcv_hook hook;
        journal j;
        rig r;

        make_journal(&r, &j, &epochs_4);
        j.event = cases[c][0];
        j.at = cases[c][1];
        j.factor = 7;
        OK(sslcv_hook_init(&hook, sizeof hook));
        hook.user = &j;
        hook.call = give_in_hook;
        hook.events = (int32_t)j.event;
        OK(sslcv_trainer_add_hook(r.trainer, &hook));
        OK(sslcv_trainer_run(r.trainer, 9));
        OK(j.status);
        for (k = 0; k < 9; k++) check_labels(&j, k, k / 3 < cases[c][2] ? -1 : 7);
        OK(give(&r, -1)); /* and back */
        OK(sslcv_trainer_run(r.trainer, 0));
        for (k = 9; k < 12; k++) check_labels(&j, k, -1);
        free_rig(&r);
    }
}
END_TEST

static void save(rig *r)
{
    sslcv_state *state;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    OK(sslcv_state_save(state, in_folder("run.safetensors"), NULL));
    sslcv_state_destroy(state);
}

static sslcv_status load(rig *r)
{
    sslcv_state *state;
    sslcv_status status;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    status = sslcv_state_load(state, in_folder("run.safetensors"), NULL, NULL);
    sslcv_state_destroy(state);
    return status;
}

/* Drawn by given labels, and stopped anywhere: the run goes on as if it had not been. */
START_TEST(checkpoints_keep_labels)
{
    const rig_options by_class = {.epochs = 4, .seed = 7, .sampler = SSLCV_SAMPLER_BY_CLASS};
    journal whole, half, rest;
    rig r;
    int64_t stop, k, i, of_class[5] = {0};

    make_folder();
    make_journal(&r, &whole, &by_class);
    OK(sslcv_trainer_run(r.trainer, 2));
    OK(give(&r, 3));
    OK(sslcv_trainer_run(r.trainer, 3));
    OK(give(&r, 2));
    OK(sslcv_trainer_run(r.trainer, 0));
    free_rig(&r);
    for (k = 0; k < 12; k++) check_labels(&whole, k, k < 3 ? -1 : k < 6 ? 3 : 2);
    for (k = 3; k < 6; k++) {
        for (i = 0; i < BATCH; i++) of_class[whole.labels[k][i]]++;
    }
    for (i = 0; i < 5; i++) ck_assert(of_class[i] >= 4 && of_class[i] <= 5); /* 24 / 5 + 1 of each, 1 cut off */

    for (stop = 1; stop < 10; stop++) {
        make_journal(&r, &half, &by_class);
        for (k = 0; k < stop; k++) {
            if (k == 2) OK(give(&r, 3));
            if (k == 5) OK(give(&r, 2));
            OK(sslcv_trainer_run(r.trainer, 1));
        }
        save(&r);
        free_rig(&r);
        make_journal(&r, &rest, &by_class);
        if (stop % 2) OK(sslcv_trainer_run(r.trainer, 4)); /* a loader that stands elsewhere */
        OK(load(&r));
        rest.calls = 0;
        for (k = stop; k < 12; k++) {
            if (k == 2) OK(give(&r, 3));
            if (k == 5) OK(give(&r, 2));
            OK(sslcv_trainer_run(r.trainer, 1));
            ck_assert_mem_eq(rest.ids[k - stop], whole.ids[k], sizeof whole.ids[k]);
            ck_assert_mem_eq(rest.labels[k - stop], whole.labels[k], sizeof whole.labels[k]);
        }
        free_rig(&r);
    }
    remove_folder();
}
END_TEST

/* With other samplers they are kept from the first ones given on. */
START_TEST(shuffled_runs_keep_labels_too)
{
    journal j;
    rig r;
    int64_t k;

    make_folder();
    make_journal(&r, &j, &epochs_4);
    OK(give(&r, 3));
    OK(sslcv_trainer_run(r.trainer, 2));
    save(&r);
    free_rig(&r);
    make_journal(&r, &j, &epochs_4);
    FAILS(load(&r), SSLCV_ERR_FORMAT, "trainer.labels");
    OK(give(&r, 4)); /* any */
    OK(load(&r));
    OK(sslcv_trainer_run(r.trainer, 4));
    for (k = 0; k < 4; k++) check_labels(&j, k, 3);
    free_rig(&r);
    remove_folder();
}
END_TEST

START_TEST(bad_input)
{
    const rig_options no_data = {.epochs = 1, .seed = 7, .no_data = 1};
    const rig_options by_class = {.epochs = 4, .seed = 7, .sampler = SSLCV_SAMPLER_BY_CLASS};
    int64_t labels[SAMPLES + 1] = {0}, i;
    journal j;
    rig r;

    make_journal(&r, &j, &by_class);
    FAILS(sslcv_trainer_set_labels(NULL, labels, SAMPLES), SSLCV_ERR_INVALID_ARGUMENT, "trainer is NULL");
    FAILS(sslcv_trainer_set_labels(r.trainer, labels, SAMPLES + 1), SSLCV_ERR_INVALID_ARGUMENT,
          "count is 25; must be 24, the samples of the data set");
    labels[3] = -2;
    FAILS(sslcv_trainer_set_labels(r.trainer, labels, SAMPLES), SSLCV_ERR_INVALID_ARGUMENT,
          "labels[3] is -2; must be -1 or more");
    for (i = 0; i < SAMPLES; i++) labels[i] = -1;
    OK(sslcv_trainer_set_labels(r.trainer, labels, SAMPLES));
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_LIMIT, "none of 24 samples has a label");
    OK(sslcv_trainer_set_labels(r.trainer, NULL, 0));
    OK(sslcv_trainer_step(r.trainer, NULL));
    check_labels(&j, 0, -1);
    free_rig(&r);
    make_journal(&r, &j, &no_data);
    FAILS(sslcv_trainer_set_labels(r.trainer, labels, SAMPLES), SSLCV_ERR_STATE, "the trainer has no data set");
    free_rig(&r);
}
END_TEST

/* ---- DeepCluster-v2: the loss makes labels ---- */

/* Before the first epoch the data go through the loss once; here as random rows. */
static int32_t pass_data(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    const int64_t shape[3] = {2, SAMPLES, DIM};
    static float rows[2 * SAMPLES * DIM];
    int64_t ids[SAMPLES], i;
    sslcv_loss_call call;
    sslcv_tensor input;

    (void)trainer;
    if (progress->epoch > 0) return 0;
    golden_input(5, 2 * SAMPLES * DIM, rows);
    for (i = 0; i < SAMPLES; i++) ids[i] = i;
    OK(sslcv_tensor_init(&input, SSLCV_F32, rows, 3, shape));
    OK(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = &input;
    call.num_inputs = 1;
    call.ids = ids;
    OK(sslcv_loss_compute(user, &call));
    ck_assert_double_eq(call.value, 0.0);
    return 0;
}

static void make_clusters(rig *r, int with_hook)
{
    const rig_options o = {.epochs = 3, .seed = 7};
    sslcv_cluster_options options;
    sslcv_hook hook;

    make_rig(r, &o);
    OK(sslcv_cluster_options_init(&options, sizeof options));
    options.num_samples = SAMPLES;
    options.dim = DIM;
    options.num_prototypes = 5;
    options.seed = 4;
    sslcv_loss_destroy(r->contrast);
    OK(sslcv_loss_create_cluster(r->context, &options, &r->contrast));
    compose_simclr(r);
    if (!with_hook) return;
    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.user = r->contrast;
    hook.call = pass_data;
    hook.events = SSLCV_EVENT_EPOCH_BEGIN;
    OK(sslcv_trainer_add_hook(r->trainer, &hook));
}

START_TEST(clusters_are_learnt_and_resumed)
{
    double losses[9];
    int64_t stop;
    rig whole, r;

    make_folder();
    make_clusters(&r, 0);
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_STATE, "cluster remembers 0 samples");
    free_rig(&r);
    make_clusters(&whole, 1);
    steps(&whole, 9, losses);
    for (stop = 0; stop < 9; stop++) ck_assert(isfinite(losses[stop]) && losses[stop] > 0.0);
    for (stop = 0; stop < 8; stop++) {
        double again[9];

        make_clusters(&r, 1);
        if (stop > 0) steps(&r, (int)stop, again);
        save(&r);
        if (stop == 3) {
            /* Back to the beginning of an epoch that this process has begun: it is clustered again, not forgotten. */
            steps(&r, 2, again);
        } else {
            free_rig(&r);
            make_clusters(&r, 1);
        }
        OK(load(&r));
        steps(&r, 9 - (int)stop, again);
        ck_assert_mem_eq(again, losses + stop, (size_t)(9 - stop) * sizeof *again);
        ck_assert(equal(read_trainer(&whole), read_trainer(&r)));
        free_rig(&r);
    }
    free_rig(&whole);
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer_labels");
    TCase *tests = tcase_create("trainer_labels");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, labels_hold_from_the_next_epoch_on);
    tcase_add_test(tests, checkpoints_keep_labels);
    tcase_add_test(tests, shuffled_runs_keep_labels_too);
    tcase_add_test(tests, bad_input);
    tcase_add_test(tests, clusters_are_learnt_and_resumed);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
