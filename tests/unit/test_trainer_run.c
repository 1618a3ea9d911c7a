/* The trainer run: hooks, checkpoints, resuming. */
#include "trainer_support.h"

#include <unistd.h>

START_TEST(test_events)
{
    const rig_options o = {.epochs = 3, .seed = 7};
    recorder all = {.text = ""}, some = {.text = ""};
    rig r;

    make_simclr(&r, &o);
    add_hook(&r, &all, record, 15, 1);
    add_hook(&r, &some, record, 7, 2);
    OK(sslcv_trainer_run(r.trainer, 0));
    ck_assert_str_eq(all.text, "b0 s1 s2 s3 e0 b1 s4 s5 s6 e1 b2 s7 s8 s9 e2 ");
    ck_assert_str_eq(some.text, "b0 s2 s4 s6 e1 b2 s8 ");
    free_rig(&r);
    ck_assert_int_eq(all.destroyed, 1);
    ck_assert_int_eq(some.destroyed, 1);
}
END_TEST

/* Everything that a hook must not do, and some that it may. */
static int32_t try_all(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    recorder *log = user;
    static host_views v;
    sslcv_branch branch;
    sslcv_hook hook;
    sslcv_state *state;
    sslcv_tape *tape;
    sslcv_pass pass;
    sslcv_tensor value;
    sslcv_memory memory;
    const int64_t zero = 0;
    int64_t index, step = 100;

    (void)progress;
    log->calls++;
    make_views(&v, SIDE);
    FAILS(sslcv_trainer_step(trainer, NULL), SSLCV_ERR_STATE, "a hook must not step its trainer");
    FAILS(step_views(trainer, v.tensors, 2, NULL), SSLCV_ERR_STATE, "a hook");
    FAILS(sslcv_trainer_run(trainer, 1), SSLCV_ERR_STATE, "a hook must not run its trainer");
    OK(sslcv_branch_init(&branch, sizeof branch));
    FAILS(sslcv_trainer_add_branch(trainer, &branch, NULL), SSLCV_ERR_STATE, "a hook");
    FAILS(sslcv_trainer_add_loss(trainer, log->rig->contrast, &zero, 1, 1.0, NULL), SSLCV_ERR_STATE, "a hook");
    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.call = record;
    FAILS(sslcv_trainer_add_hook(trainer, &hook), SSLCV_ERR_STATE, "a hook");
    OK(sslcv_trainer_get_state(trainer, &state));
    OK(sslcv_state_find(state, "trainer.step", &index));
    OK(sslcv_tensor_init(&value, SSLCV_I64, &step, 0, NULL));
    FAILS(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &value), SSLCV_ERR_STATE, "a hook must not load");
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &value));
    ck_assert_int_eq(step, log->calls);
    sslcv_state_destroy(state);
    OK(sslcv_trainer_set_metric(trainer, "mine", 3.0));
    memory.struct_size = sizeof memory;
    OK(sslcv_trainer_get_memory(trainer, &memory));
    OK(sslcv_tape_create(log->rig->context, &tape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = 0;
    OK(sslcv_backbone_forward(log->rig->backbone, &v.tensors[0], &pass, tape));
    sslcv_tape_destroy(tape);
    return 0;
}

START_TEST(test_hook_rules)
{
    recorder log = {.text = ""};
    double watched[3], losses[3];
    rig r, s;

    make_simclr(&r, &plain);
    add_hook(&r, &log, try_all, SSLCV_EVENT_STEP, 1);
    steps(&r, 3, watched);
    ck_assert_int_eq(log.calls, 3);
    make_simclr(&s, &plain);
    steps(&s, 3, losses);
    ck_assert_mem_eq(watched, losses, sizeof losses);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

static int32_t fail_inside(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)user;
    (void)progress;
    return sslcv_trainer_set_metric(trainer, "loss", 1.0) != SSLCV_OK;
}

static int32_t drop_trainer(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)user;
    (void)progress;
    sslcv_trainer_destroy(trainer);
    return 0;
}

START_TEST(test_hooks_stop)
{
    recorder log = {.stop_at = 2}, inner = {.text = ""}, last = {.text = ""};
    rig r;

    make_simclr(&r, &plain);
    add_hook(&r, &log, record, 15, 1);
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_CANCELLED, "a hook stopped the run behind step 2");
    OK(sslcv_trainer_run(r.trainer, 1));
    ck_assert_str_eq(log.text, "b0 s1 s2 s3 e0 ");
    add_hook(&r, &inner, fail_inside, SSLCV_EVENT_EPOCH_BEGIN, 1);
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_CANCELLED, "name is \"loss\"");
    ck_assert_str_eq(log.text, "b0 s1 s2 s3 e0 b1 ");
    OK(sslcv_trainer_run(r.trainer, 1)); /* the epoch has begun */
    ck_assert_str_eq(log.text, "b0 s1 s2 s3 e0 b1 s4 ");
    add_hook(&r, &last, drop_trainer, SSLCV_EVENT_STEP, 1);
    OK(sslcv_trainer_step(r.trainer, NULL));
    ck_assert_int_eq(last.destroyed, 1);
    r.trainer = NULL;
    free_rig(&r);
}
END_TEST

START_TEST(test_collapse)
{
    recorder log = {.text = ""};
    sslcv_progress progress;
    sslcv_state_entry entry;
    sslcv_state *state;
    sslcv_tensor value;
    float *zeros;
    int64_t i, k, count;
    double losses[1];
    rig r;

    make_simclr(&r, &plain);
    add_hook(&r, &log, record, SSLCV_EVENT_COLLAPSE, 1);
    steps(&r, 1, losses);
    ck_assert_str_eq(log.text, "");
    OK(sslcv_head_get_state(r.projection, &state));
    entry.struct_size = sizeof entry;
    for (i = 0; sslcv_state_get_entry(state, i, &entry) == SSLCV_OK; i++) { /* constant output: 0 x + bias */
        if (entry.role != SSLCV_ROLE_WEIGHT || entry.shape[0] != DIM) continue;
        for (count = 1, k = 0; k < entry.ndim; k++) count *= entry.shape[k];
        zeros = calloc((size_t)count, sizeof *zeros);
        OK(sslcv_tensor_init(&value, SSLCV_F32, zeros, entry.ndim, entry.shape));
        OK(sslcv_state_set(state, i, SSLCV_STATE_VALUE, &value));
        free(zeros);
    }
    sslcv_state_destroy(state);
    progress.struct_size = sizeof progress;
    OK(sslcv_trainer_step(r.trainer, &progress));
    ck_assert_msg(progress.embedding_std < 1e-6, "%g", progress.embedding_std);
    ck_assert_str_eq(log.text, "c0 ");
    free_rig(&r);
}
END_TEST

/* ---- checkpoints ---- */

static char folder[64], path[96];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/sslcv_trainer_XXXXXX");
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/run.ckpt", folder);
}

static void remove_folder(void)
{
    char name[128];
    int i;

    unlink(path);
    for (i = 1; i < 4; i++) {
        snprintf(name, sizeof name, "%s.%d", path, i);
        unlink(name);
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

/* Stopped behind step `at` by cancel, gone on in new objects with other random seeds: as if nothing had been. */
START_TEST(test_resume_is_exact)
{
    static const int64_t stops[] = {1, 3, 5};
    recorder log = {.stop_at = stops[_i]}, rest = {.text = ""};
    const rig_options two_epochs = {.epochs = 2, .seed = 7};
    rig_options o = two_epochs;
    weights whole;
    rig r;

    make_folder();
    make_simclr(&r, &two_epochs);
    OK(sslcv_trainer_run(r.trainer, 0));
    whole = read_trainer(&r);
    free_rig(&r);

    o.checkpoint = path;
    make_simclr(&r, &o);
    add_hook(&r, &log, record, SSLCV_EVENT_STEP, 1);
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_CANCELLED, "a hook stopped the run");
    free_rig(&r);

    o.resume = 1;
    o.seed = 99;
    o.loader_threads = 1;
    make_simclr(&r, &o);
    add_hook(&r, &rest, record, SSLCV_EVENT_STEP, 1);
    OK(sslcv_trainer_run(r.trainer, 0));
    ck_assert_int_eq(rest.calls, 6 - stops[_i]);
    ck_assert(equal(whole, read_trainer(&r)));
    free_rig(&r);
    remove_folder();
}
END_TEST

/* The same objects go on too; and what run() has saved at the end of an epoch serves as well. */
START_TEST(test_cancel_and_go_on)
{
    rig_options o = plain;
    double rest[6], whole[12];
    sslcv_state *state;
    rig r;

    make_folder();
    make_simclr(&r, &plain);
    steps(&r, 12, whole);
    free_rig(&r);
    o.checkpoint = path;
    o.checkpoint_epochs = 1;
    make_simclr(&r, &o);
    OK(sslcv_trainer_run(r.trainer, 7));
    OK(sslcv_context_cancel(r.context, 1));
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_CANCELLED, "sslcv_context_cancel()");
    ck_assert_int_eq(access(path, F_OK), 0);
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_CANCELLED, "sslcv_context_cancel()");
    OK(sslcv_context_cancel(r.context, 0));
    steps(&r, 5, rest);
    ck_assert_mem_eq(rest, whole + 7, 5 * sizeof *rest);
    OK(sslcv_trainer_get_state(r.trainer, &state)); /* back to step 7 */
    OK(sslcv_state_load(state, path, NULL, NULL));
    steps(&r, 5, rest);
    ck_assert_mem_eq(rest, whole + 7, 5 * sizeof *rest);
    snprintf(path, sizeof path, "%s/run.ckpt.1", folder); /* the end of epoch 1, kept by the second save */
    OK(sslcv_state_load(state, path, NULL, NULL));
    sslcv_state_destroy(state);
    steps(&r, 6, rest);
    ck_assert_mem_eq(rest, whole + 6, sizeof rest);
    free_rig(&r);
    unlink(path);
    snprintf(path, sizeof path, "%s/run.ckpt", folder);
    remove_folder();
}
END_TEST

START_TEST(test_checkpoint_of_another)
{
    const int64_t branch = 0;
    sslcv_state *state;
    char weights_path[128];
    rig_options o = plain;
    rig r, s;

    make_folder();
    o.checkpoint = path;
    make_simclr(&r, &o);
    OK(sslcv_trainer_run(r.trainer, 12));
    free_rig(&r);

    make_rig(&s, &plain);
    add_branch(&s, views_01, 2, s.projection);
    OK(sslcv_trainer_add_loss(s.trainer, s.contrast, &branch, 1, 0.5, NULL));
    OK(sslcv_trainer_get_state(s.trainer, &state));
    FAILS(sslcv_state_load(state, path, NULL, NULL), SSLCV_ERR_FORMAT, "0.5 * info_nce(branch 0)");
    sslcv_state_destroy(state);
    OK(sslcv_backbone_get_state(s.backbone, &state));
    snprintf(weights_path, sizeof weights_path, "%s/weights", folder);
    OK(sslcv_state_save(state, weights_path, NULL));
    sslcv_state_destroy(state);
    OK(sslcv_trainer_get_state(s.trainer, &state));
    ck_assert_int_ne(sslcv_state_load(state, weights_path, NULL, NULL), SSLCV_OK);
    sslcv_state_destroy(state);
    unlink(weights_path);
    free_rig(&s);
    remove_folder();
}
END_TEST

/* What a checkpoint counts is counted on: nothing near the largest number will do. */
START_TEST(test_counters_of_a_checkpoint)
{
    static const char *const names[] = {"trainer.step", "trainer.epoch", "trainer.batch", "trainer.epoch_losses"};
    static const int64_t wrong[] = {INT64_MAX, INT64_MAX - 1, ((int64_t)1 << 53) + 1, -1, INT64_MIN};
    int64_t count, before, index;
    sslcv_tensor tensor;
    sslcv_state *state;
    double loss;
    size_t i, k;
    rig r;

    make_simclr(&r, &plain);
    steps(&r, 1, &loss);
    OK(sslcv_trainer_get_state(r.trainer, &state));
    OK(sslcv_tensor_init(&tensor, SSLCV_I64, &count, 0, NULL));
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        OK(sslcv_state_find(state, names[i], &index));
        OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor));
        before = count;
        for (k = 0; k < sizeof wrong / sizeof *wrong; k++) {
            count = wrong[k];
            FAILS(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &tensor), SSLCV_ERR_FORMAT, "must be 0 .. 2^53");
            OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor));
            ck_assert_int_eq(count, before);
        }
    }
    sslcv_state_destroy(state);
    steps(&r, 1, &loss);
    free_rig(&r);
}
END_TEST

START_TEST(test_network_of_a_checkpoint)
{
    sslcv_load_options load;
    sslcv_state *state;
    rig_options o = plain;
    weights trained;
    rig r, s;

    make_folder();
    o.checkpoint = path;
    o.epochs = 1;
    make_simclr(&r, &o);
    OK(sslcv_trainer_run(r.trainer, 0));
    trained = read_backbone(&r, SSLCV_ROLE_ALL);
    free_rig(&r);
    make_rig(&s, &plain);
    OK(sslcv_load_options_init(&load, sizeof load));
    load.prefix = "backbone.0.";
    OK(sslcv_backbone_get_state(s.backbone, &state));
    OK(sslcv_state_load(state, path, &load, NULL));
    sslcv_state_destroy(state);
    ck_assert(equal(trained, read_backbone(&s, SSLCV_ROLE_ALL)));
    free_rig(&s);
    remove_folder();
}
END_TEST

START_TEST(test_when_to_save)
{
    rig_options o = plain;
    rig r;

    make_folder();
    o.checkpoint = path;
    make_simclr(&r, &o); /* checkpoint_epochs 0: at the end only */
    OK(sslcv_trainer_run(r.trainer, 11));
    ck_assert_int_ne(access(path, F_OK), 0);
    OK(sslcv_trainer_run(r.trainer, 0));
    ck_assert_int_eq(access(path, F_OK), 0);
    free_rig(&r);
    remove_folder();

    make_folder();
    o.checkpoint = path;
    o.checkpoint_seconds = 1e-9;
    make_simclr(&r, &o);
    OK(sslcv_trainer_run(r.trainer, 2));
    ck_assert_int_eq(access(path, F_OK), 0);
    free_rig(&r);
    o.resume = 1;
    make_simclr(&r, &o);
    unlink(path);
    OK(sslcv_trainer_run(r.trainer, 1)); /* no file to resume from: from the start */
    free_rig(&r);
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer_run");
    TCase *tests = tcase_create("trainer_run");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_events);
    tcase_add_test(tests, test_hook_rules);
    tcase_add_test(tests, test_hooks_stop);
    tcase_add_test(tests, test_collapse);
    tcase_add_loop_test(tests, test_resume_is_exact, 0, 3);
    tcase_add_test(tests, test_cancel_and_go_on);
    tcase_add_test(tests, test_checkpoint_of_another);
    tcase_add_test(tests, test_counters_of_a_checkpoint);
    tcase_add_test(tests, test_network_of_a_checkpoint);
    tcase_add_test(tests, test_when_to_save);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
