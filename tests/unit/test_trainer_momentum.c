/* Momentum copies: the same as by hand, moved once a step, also where steps fail or the run is taken up again. */
#include "momentum_support.h"

#include <float.h>
#include <unistd.h>

static const rig_options by_host = {.epochs = 4, .seed = 7, .no_data = 1, .precision = SSLCV_PRECISION_F32};

static double metric(rig *r, const char *wanted)
{
    const char *name;
    double value;
    int64_t i;

    for (i = 0; sslcv_trainer_get_metric(r->trainer, i, &name, &value) == SSLCV_OK; i++) {
        if (strcmp(name, wanted) == 0) return value;
    }
    return NAN;
}

/* ---- as by hand ---- */

static void compare_networks(rig *r, network *online, network *target)
{
    sslcv_state *state;
    sslcv_head *copy;

    OK(sslcv_backbone_get_state(online->backbone, &state));
    ck_assert(equal(read_backbone(r, SSLCV_ROLE_ALL), read_state(state, SSLCV_ROLE_ALL)));
    OK(sslcv_backbone_get_state(target->backbone, &state));
    ck_assert(equal(read_copy(r, SSLCV_ROLE_ALL), read_state(state, SSLCV_ROLE_ALL)));
    ck_assert(equal(read_head(r->projection, SSLCV_ROLE_ALL), read_head(online->head, SSLCV_ROLE_ALL)));
    OK(sslcv_trainer_get_head(r->trainer, 1, 0, 1, &copy));
    ck_assert(equal(read_head(copy, SSLCV_ROLE_ALL), read_head(target->head, SSLCV_ROLE_ALL)));
    sslcv_head_destroy(copy);
}

/* MoCo: the move, then queries and keys. Keys in training mode, and in evaluation, where weights are folded. */
START_TEST(test_moco_by_hand)
{
    static host_views v;
    static float gradient[BATCH * DIM];
    const sslcv_schedule ema = schedule_of(SSLCV_SCHEDULE_CONSTANT, 0.75, 0.0);
    const int32_t key_flags = _i == 0 ? SSLCV_PASS_TRAIN : 0;
    rig_options o = by_host;
    sslcv_progress progress = {.struct_size = sizeof progress};
    network online, target;
    rig r, s;
    int t;

    o.ema = &ema;
    make_views(&v, SIDE);
    make_rig(&r, &o);
    compose_moco(&r, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, key_flags | SSLCV_PASS_GRADIENT);
    make_rig(&s, &o);
    make_pair(&s, &online, &target, 0);
    hand_optimize(s.optimizer, &online);
    for (t = 0; t < 5; t++) {
        double loss;

        OK(step_views(r.trainer, v.tensors, 2, &progress));
        hand_move(&online, &target, 0.75);
        if (key_flags == 0) { /* no passes of its own to take statistics from */
            sslcv_state *from, *to;

            OK(sslcv_backbone_get_state(online.backbone, &from));
            OK(sslcv_backbone_get_state(target.backbone, &to));
            OK(sslcv_state_lerp(to, from, 0.0, SSLCV_ROLE_BUFFER));
            sslcv_state_destroy(from);
            sslcv_state_destroy(to);
            OK(sslcv_head_get_state(online.head, &from));
            OK(sslcv_head_get_state(target.head, &to));
            OK(sslcv_state_lerp(to, from, 0.0, SSLCV_ROLE_BUFFER));
            sslcv_state_destroy(from);
            sslcv_state_destroy(to);
        }
        hand_forward(&online, 0, &v.tensors[0], SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
        hand_forward(&target, 0, &v.tensors[1], key_flags);
        loss = hand_loss(s.contrast, 1, &online, &target, gradient);
        hand_backward(&online, 0, gradient);
        OK(sslcv_optimizer_step(s.optimizer, scheduled(&s.trainer->learning_rate, t), -1.0));
        ck_assert_msg(loss == progress.loss, "step %d: %.17g, by hand %.17g", t, progress.loss, loss);
        ck_assert(metric(&r, "ema_momentum") == 0.75);
    }
    compare_networks(&r, &online, &target);
    free_network(&online);
    free_network(&target);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* BYOL: two views each way, copies with weights of their own that move behind the optimizer, by a schedule. */
START_TEST(test_byol_by_hand)
{
    static host_views v;
    static float gradient[2 * BATCH * DIM];
    const sslcv_schedule ema = schedule_of(SSLCV_SCHEDULE_COSINE, 0.5, 1.0);
    rig_options o = by_host;
    sslcv_progress progress = {.struct_size = sizeof progress};
    network online, target;
    double momentum = 0.0;
    rig r, s;
    int t, i;

    o.ema = &ema;
    o.ema_when = SSLCV_EMA_AFTER_STEP;
    o.ema_random_init = 1;
    make_views(&v, SIDE);
    make_byol(&r, &o);
    make_rig(&s, &o);
    make_pair(&r, &online, &target, 1);
    online.predictor = make_head(r.context, DIM, DIM, 2, 15);
    sslcv_optimizer_destroy(s.optimizer);
    {
        sslcv_optimizer_options sgd;

        OK(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
        OK(sslcv_optimizer_create(r.context, &sgd, &s.optimizer));
    }
    hand_optimize(s.optimizer, &online);
    for (t = 0; t < 5; t++) {
        double loss;

        OK(step_views(r.trainer, v.tensors, 2, &progress));
        for (i = 0; i < 2; i++) hand_forward(&online, i, &v.tensors[i], SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
        for (i = 0; i < 2; i++) hand_forward(&target, i, &v.tensors[i], SSLCV_PASS_TRAIN);
        loss = hand_loss(r.contrast, 2, &online, &target, gradient);
        for (i = 1; i >= 0; i--) hand_backward(&online, i, gradient);
        OK(sslcv_optimizer_step(s.optimizer, scheduled(&r.trainer->learning_rate, t), -1.0));
        ck_assert(scheduled(&ema, t) > momentum);
        momentum = scheduled(&ema, t);
        hand_move(&online, &target, momentum);
        ck_assert_msg(loss == progress.loss, "step %d: %.17g, by hand %.17g", t, progress.loss, loss);
        ck_assert(metric(&r, "ema_momentum") == momentum);
    }
    compare_networks(&r, &online, &target);
    free_network(&online);
    free_network(&target);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* theta_k(t) = theta_q + m^t (theta_k(0) - theta_q) where the networks rest. */
START_TEST(test_moves_by_the_power)
{
    const sslcv_schedule ema = schedule_of(SSLCV_SCHEDULE_CONSTANT, 0.9, 0.0);
    rig_options o = {.epochs = 4, .seed = 7};
    double losses[6], power = pow(0.9, 6);
    weights first, last, goal;
    int64_t i;
    rig r;

    o.ema = &ema;
    o.ema_when = _i == 0 ? SSLCV_EMA_BEFORE_FORWARD : SSLCV_EMA_AFTER_STEP;
    o.ema_random_init = 1;
    make_moco(&r, &o);
    r.trainer->learning_rate.value = 0.0;
    first = read_copy(&r, SSLCV_ROLE_PARAMETERS);
    steps(&r, 6, losses);
    last = read_copy(&r, SSLCV_ROLE_PARAMETERS);
    goal = read_backbone(&r, SSLCV_ROLE_PARAMETERS);
    for (i = 0; i < first.count; i++) {
        CLOSE(last.values[i], goal.values[i] + power * (first.values[i] - goal.values[i]), 1e-6);
    }
    free(first.values);
    free(last.values);
    free(goal.values);
    free_rig(&r);
}
END_TEST

/* ---- a step that fails ---- */

/* Before the branches: moved once, and not again by the step that stands for it. Behind the step: not at all. */
START_TEST(test_failed_steps)
{
    static host_views v;
    const int before_branches = _i == 0;
    const sslcv_schedule ema = schedule_of(SSLCV_SCHEDULE_CONSTANT, 0.5, 0.0);
    rig_options o = by_host;
    weights statistics, after_failure;
    rig r;
    int i;

    o.ema = &ema;
    o.ema_when = before_branches ? SSLCV_EMA_BEFORE_FORWARD : SSLCV_EMA_AFTER_STEP;
    make_moco(&r, &o);
    make_views(&v, SIDE);
    for (i = 0; i < 2; i++) OK(step_views(r.trainer, v.tensors, 2, NULL));
    statistics = read_copy(&r, SSLCV_ROLE_BUFFER);
    after_failure = read_copy(&r, SSLCV_ROLE_PARAMETERS);
    r.trainer->criteria[0].weight = DBL_MAX; /* found out behind the keys */
    FAILS(step_views(r.trainer, v.tensors, 2, NULL), SSLCV_ERR_NUMERIC, "");
    ck_assert(equal(statistics, read_copy(&r, SSLCV_ROLE_BUFFER)));
    ck_assert_int_eq(equal(after_failure, read_copy(&r, SSLCV_ROLE_PARAMETERS)), !before_branches);
    after_failure = read_copy(&r, SSLCV_ROLE_PARAMETERS);
    r.trainer->criteria[0].weight = 1.0;
    OK(sslcv_context_cancel(r.context, 1));
    FAILS(step_views(r.trainer, v.tensors, 2, NULL), SSLCV_ERR_CANCELLED, "");
    OK(sslcv_context_cancel(r.context, 0));
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    ck_assert_int_eq(equal(after_failure, read_copy(&r, SSLCV_ROLE_PARAMETERS)), before_branches);
    after_failure = read_copy(&r, SSLCV_ROLE_PARAMETERS);
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    ck_assert(!equal(after_failure, read_copy(&r, SSLCV_ROLE_PARAMETERS)));
    free_rig(&r);
}
END_TEST

/* Any allocation of the first steps fails: they are asked for again, and the run is as if none had. */
START_TEST(test_out_of_memory)
{
    budget b = {-1, 0};
    const sslcv_allocator allocator = {sizeof allocator, &b, allocate, deallocate, NULL};
    const sslcv_schedule ema = schedule_of(SSLCV_SCHEDULE_CONSTANT, 0.5, 0.0);
    rig_options o = {.epochs = 4, .seed = 7};
    sslcv_backbone *copy;
    sslcv_status status;
    weights whole;
    int64_t n;
    rig r;
    int i;

    o.ema = &ema;
    o.ema_random_init = _i;
    make_moco(&r, &o);
    OK(sslcv_trainer_run(r.trainer, 2));
    whole = read_trainer(&r);
    free_rig(&r);
    o.allocator = &allocator;
    make_moco(&r, &o);
    for (n = 0;; n += 1 + n / 16) {
        b.left = n;
        status = sslcv_trainer_get_backbone(r.trainer, 0, 1, &copy);
        b.left = -1;
        if (status == SSLCV_OK) break;
        ck_assert_msg(status == SSLCV_ERR_OUT_OF_MEMORY, "%s at %lld", sslcv_last_error(), (long long)n);
    }
    sslcv_backbone_destroy(copy);
    for (i = 0; i < 2; i++) {
        for (n = 0;; n += 1 + n / 4) { /* the farther, the sparser: plans are many allocations */
            b.left = n;
            status = sslcv_trainer_step(r.trainer, NULL);
            b.left = -1;
            if (status == SSLCV_OK) break;
            ck_assert_msg(status == SSLCV_ERR_OUT_OF_MEMORY, "%s at %lld", sslcv_last_error(), (long long)n);
        }
    }
    ck_assert(equal(whole, read_trainer(&r)));
    free_rig(&r);
    ck_assert_int_eq(b.held, 0);
}
END_TEST

/* ---- checkpoints ---- */

/* Stopped in the middle of an epoch, behind a step or behind one that failed; gone on in new objects. */
START_TEST(test_resume_is_exact)
{
    static host_views bad;
    const sslcv_schedule ema = schedule_of(SSLCV_SCHEDULE_COSINE, 0.5, 1.0);
    rig_options o = {.epochs = 3, .seed = 7};
    char path[64];
    sslcv_state *state;
    weights whole;
    int64_t index;
    rig r, s;

    o.ema = &ema;
    o.ema_when = _i % 2 ? SSLCV_EMA_AFTER_STEP : SSLCV_EMA_BEFORE_FORWARD;
    o.ema_random_init = _i % 2;
    make_views(&bad, SIDE);
    bad.pixels[1][7] = NAN;
    snprintf(path, sizeof path, "/tmp/sslcv_momentum_%ld", (long)getpid());
    make_byol(&r, &o);
    OK(sslcv_trainer_run(r.trainer, 4));
    if (_i >= 2) {
        FAILS(step_views(r.trainer, bad.tensors, 2, NULL), SSLCV_ERR_NUMERIC, "");
    }
    OK(sslcv_trainer_get_state(r.trainer, &state));
    OK(sslcv_state_find(state, "momentum.backbone.0.conv1.weight", &index));
    OK(sslcv_state_find(state, "momentum.head.0.0.weight", &index));
    FAILS(sslcv_state_find(state, "momentum.head.1.0.weight", &index), SSLCV_ERR_NOT_FOUND, "");
    OK(sslcv_state_find(state, "trainer.ema_step", &index));
    OK(sslcv_state_save(state, path, NULL));
    sslcv_state_destroy(state);
    OK(sslcv_trainer_run(r.trainer, 3));
    whole = read_trainer(&r);
    free_rig(&r);

    make_byol(&s, &o);
    s.trainer->options.seed = 99; /* the checkpoint brings its own */
    OK(sslcv_trainer_get_state(s.trainer, &state));
    OK(sslcv_state_load(state, path, NULL, NULL));
    sslcv_state_destroy(state);
    OK(sslcv_trainer_run(s.trainer, 3));
    ck_assert(equal(whole, read_trainer(&s)));
    free_rig(&s);
    make_simclr(&s, &o);
    OK(sslcv_trainer_get_state(s.trainer, &state));
    ck_assert(sslcv_state_load(state, path, NULL, NULL) != SSLCV_OK);
    sslcv_state_destroy(state);
    free_rig(&s);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer_momentum");
    TCase *tests = tcase_create("trainer_momentum");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_moco_by_hand, 0, 2);
    tcase_add_test(tests, test_byol_by_hand);
    tcase_add_loop_test(tests, test_moves_by_the_power, 0, 2);
    tcase_add_loop_test(tests, test_failed_steps, 0, 2);
    tcase_add_loop_test(tests, test_out_of_memory, 0, 2);
    tcase_add_loop_test(tests, test_resume_is_exact, 0, 4);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
