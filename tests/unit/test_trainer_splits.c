/*
 * Branches with split batch norm and shuffling.
 *
 * These tests need passes that know bn_splits and SSLCV_PASS_SHUFFLE. Where the library still refuses them
 * (SSLCV_ERR_UNSUPPORTED), only test_refused() has something to test and the others pass by.
 */
#include "momentum_support.h"

static const rig_options by_host = {.epochs = 4, .seed = 7, .no_data = 1, .precision = SSLCV_PRECISION_F32};

enum { SPLITS = 2, LEARNS = SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT };

/* Is there split batch norm? */
static int is_built(rig *r)
{
    static host_views v;
    sslcv_status status;
    sslcv_tape *tape;
    sslcv_pass pass;

    make_views(&v, SIDE);
    OK(sslcv_tape_create(r->context, &tape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.bn_splits = SPLITS;
    pass.flags = SSLCV_PASS_GRADIENT;
    status = sslcv_backbone_forward(r->backbone, &v.tensors[0], &pass, tape);
    sslcv_tape_destroy(tape);
    if (status != SSLCV_ERR_UNSUPPORTED) OK(status);
    return status == SSLCV_OK;
}

/* MoCo's: queries as they come, keys shuffled or not, both in groups. */
static int make_split_moco(rig *r, const rig_options *o, int32_t splits, int32_t shuffle)
{
    sslcv_branch b;

    make_rig(r, o);
    b = given_branch(r, query_view, 1, &r->projection);
    b.bn_splits = splits;
    append(r, &b);
    b.views = key_view;
    b.momentum = 1;
    b.flags = SSLCV_PASS_TRAIN | shuffle;
    append(r, &b);
    add_pair_loss(r, 0, 1);
    return is_built(r);
}

START_TEST(test_refused)
{
    static host_views v;
    rig r;

    make_views(&v, SIDE);
    if (!make_split_moco(&r, &by_host, _i ? SPLITS : 1, _i ? 0 : SSLCV_PASS_SHUFFLE)) {
        const weights before = read_copy(&r, SSLCV_ROLE_BUFFER);

        FAILS(step_views(r.trainer, v.tensors, 2, NULL), SSLCV_ERR_UNSUPPORTED, "pass");
        ck_assert(equal(before, read_copy(&r, SSLCV_ROLE_BUFFER)));
    }
    free_rig(&r);
}
END_TEST

START_TEST(test_by_hand)
{
    static host_views v;
    static float gradient[BATCH * DIM];
    sslcv_progress progress = {.struct_size = sizeof progress};
    network online, target;
    sslcv_state *state;
    rig r, s;
    int t;

    make_views(&v, SIDE);
    if (!make_split_moco(&r, &by_host, SPLITS, 0)) {
        free_rig(&r);
        return;
    }
    make_rig(&s, &by_host);
    make_pair(&s, &online, &target, 0);
    online.bn_splits = target.bn_splits = SPLITS;
    hand_optimize(s.optimizer, &online);
    for (t = 0; t < 4; t++) {
        double loss;

        OK(step_views(r.trainer, v.tensors, 2, &progress));
        hand_move(&online, &target, 0.999);
        hand_forward(&online, 0, &v.tensors[0], LEARNS);
        hand_forward(&target, 0, &v.tensors[1], SSLCV_PASS_TRAIN);
        loss = hand_loss(s.contrast, 1, &online, &target, gradient);
        hand_backward(&online, 0, gradient);
        OK(sslcv_optimizer_step(s.optimizer, scheduled(&s.trainer->learning_rate, t), -1.0));
        ck_assert_msg(loss == progress.loss, "step %d: %.17g, by hand %.17g", t, progress.loss, loss);
    }
    OK(sslcv_backbone_get_state(online.backbone, &state));
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_state(state, SSLCV_ROLE_ALL)));
    OK(sslcv_backbone_get_state(target.backbone, &state));
    ck_assert(equal(read_copy(&r, SSLCV_ROLE_ALL), read_state(state, SSLCV_ROLE_ALL)));
    free_network(&online);
    free_network(&target);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* Groups matter, and so does who is in them; the draw is the step's, also in a run that was taken up again. */
START_TEST(test_shuffle)
{
    rig_options o = {.epochs = 4, .seed = 7};
    const char *path = "/tmp/sslcv_splits";
    double plain_losses[6], split[6], shuffled[6], resumed[3];
    sslcv_state *state;
    char name[64];
    rig r;
    int built;

    snprintf(name, sizeof name, "%s_%p", path, (void *)&r);
    built = make_split_moco(&r, &o, SPLITS, SSLCV_PASS_SHUFFLE);
    if (built) steps(&r, 6, shuffled);
    free_rig(&r);
    if (!built) return;
    make_split_moco(&r, &o, SPLITS, 0);
    steps(&r, 6, split);
    free_rig(&r);
    make_split_moco(&r, &o, 1, 0);
    steps(&r, 6, plain_losses);
    free_rig(&r);
    ck_assert(split[0] != plain_losses[0]);
    ck_assert(shuffled[0] != split[0]);
    ck_assert(shuffled[5] != split[5]);

    make_split_moco(&r, &o, SPLITS, SSLCV_PASS_SHUFFLE);
    OK(sslcv_trainer_run(r.trainer, 3));
    OK(sslcv_trainer_get_state(r.trainer, &state));
    OK(sslcv_state_save(state, name, NULL));
    sslcv_state_destroy(state);
    free_rig(&r);
    o.seed = 99;
    make_split_moco(&r, &o, SPLITS, SSLCV_PASS_SHUFFLE);
    OK(sslcv_trainer_get_state(r.trainer, &state));
    OK(sslcv_state_load(state, name, NULL, NULL));
    sslcv_state_destroy(state);
    remove(name);
    steps(&r, 3, resumed);
    ck_assert_mem_eq(resumed, shuffled + 3, sizeof resumed);
    free_rig(&r);
}
END_TEST

/* Gradient caching: the second round of a slice groups its samples as the first one did. */
START_TEST(test_both_rounds_alike)
{
    rig_options o = {.epochs = 4, .seed = 7, .micro_batch = BATCH / 2};
    const sslcv__branch *branch;
    double losses[2];
    sslcv_branch b;
    rig r;

    make_rig(&r, &o);
    b = given_branch(&r, views_01, 2, &r.projection);
    b.flags = LEARNS | SSLCV_PASS_SHUFFLE;
    b.bn_splits = SPLITS;
    b.grouping = b.head_grouping = SSLCV_GROUPING_BY_VIEW;
    append(&r, &b);
    add_loss(&r, r.contrast, 0, 1.0);
    if (is_built(&r)) {
        int view;

        steps(&r, 2, losses);
        branch = &r.trainer->branches[0];
        for (view = 0; view < 2; view++) { /* the last slice: outputs kept, and outputs made again */
            const float *kept = (const float *)branch->output.data + (view * BATCH + BATCH / 2) * DIM;
            const float *again = (const float *)branch->links[1].output.data + view * BATCH / 2 * DIM;

            ck_assert_mem_eq(kept, again, BATCH / 2 * DIM * sizeof(float));
        }
    }
    free_rig(&r);
}
END_TEST

START_TEST(test_indivisible)
{
    rig r;

    if (make_split_moco(&r, &plain, 3, 0)) {
        sslcv_status status = sslcv_trainer_step(r.trainer, NULL);

        ck_assert_msg(status != SSLCV_OK && strstr(sslcv_last_error(), "3") != NULL, "%s", sslcv_last_error());
    }
    free_rig(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer_splits");
    TCase *tests = tcase_create("trainer_splits");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_refused, 0, 2);
    tcase_add_test(tests, test_by_hand);
    tcase_add_test(tests, test_shuffle);
    tcase_add_test(tests, test_both_rounds_alike);
    tcase_add_test(tests, test_indivisible);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
