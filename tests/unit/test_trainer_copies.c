/* Momentum copies as things: weights they begin with, statistics, memory, handles. */
#include "momentum_support.h"

static const rig_options by_host = {.epochs = 4, .seed = 7, .no_data = 1, .precision = SSLCV_PRECISION_F32};

/* ---- weights ---- */

START_TEST(test_first_weights)
{
    rig_options o = by_host;
    sslcv_head *head, *copies[2];
    rig r, s;

    make_moco(&r, &o);
    ck_assert(equal(read_copy(&r, SSLCV_ROLE_ALL), read_backbone(&r, SSLCV_ROLE_ALL)));
    o.ema_random_init = 1;
    make_moco(&s, &o);
    ck_assert(!equal(read_copy(&s, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    OK(sslcv_trainer_get_head(s.trainer, 0, 0, 1, &copies[0]));
    OK(sslcv_trainer_get_head(s.trainer, 1, 0, 1, &copies[1]));
    ck_assert(copies[0] == copies[1]);
    OK(sslcv_trainer_get_head(s.trainer, 1, 0, 0, &head));
    ck_assert(head == s.projection);
    ck_assert(!equal(read_head(copies[0], SSLCV_ROLE_WEIGHT), read_head(head, SSLCV_ROLE_WEIGHT)));
    sslcv_head_destroy(copies[0]);
    sslcv_head_destroy(copies[1]);
    sslcv_head_destroy(head);
    sslcv_trainer_destroy(r.trainer);
    OK(make_trainer(&r, &o));
    compose_moco(&r, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, SSLCV_PASS_TRAIN);
    ck_assert(equal(read_copy(&r, SSLCV_ROLE_ALL), read_copy(&s, SSLCV_ROLE_ALL))); /* drawn alike again */
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* ---- statistics ---- */

static double first_of(weights w)
{
    const double value = w.values[0];

    free(w.values);
    return value;
}

/* Of another view each: the copy's are its own where it is run with TRAIN, else the network's. */
START_TEST(test_statistics)
{
    static host_views v;
    rig_options o = by_host;
    sslcv_branch b;
    rig r;

    o.ema_when = SSLCV_EMA_AFTER_STEP;
    make_views(&v, SIDE);
    make_moco(&r, &o);
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    ck_assert(first_of(read_copy(&r, SSLCV_ROLE_BUFFER)) != 0.0);
    ck_assert(!equal(read_copy(&r, SSLCV_ROLE_BUFFER), read_backbone(&r, SSLCV_ROLE_BUFFER)));
    free_rig(&r);

    make_rig(&r, &o);
    compose_moco(&r, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, 0);
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    ck_assert(equal(read_copy(&r, SSLCV_ROLE_BUFFER), read_backbone(&r, SSLCV_ROLE_BUFFER)));
    free_rig(&r);

    make_simclr(&r, &o); /* a branch that nobody uses: an average of the weights, for evaluation */
    b = given_branch(&r, query_view, 1, &r.projection);
    b.momentum = 1;
    append(&r, &b);
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    ck_assert(equal(read_copy(&r, SSLCV_ROLE_BUFFER), read_backbone(&r, SSLCV_ROLE_BUFFER)));
    ck_assert(!equal(read_copy(&r, SSLCV_ROLE_PARAMETERS), read_backbone(&r, SSLCV_ROLE_PARAMETERS)));
    free_rig(&r);
}
END_TEST

/* A branch beside the run changes nothing in it. */
START_TEST(test_unused_branch_follows)
{
    const sslcv_schedule ema = schedule_of(SSLCV_SCHEDULE_CONSTANT, 0.5, 0.0);
    rig_options o = plain;
    double one[4], two[4];
    weights before, moved;
    sslcv_branch b;
    int64_t i;
    rig r;

    make_simclr(&r, &o);
    steps(&r, 4, one);
    free_rig(&r);
    o.ema = &ema;
    o.ema_when = SSLCV_EMA_AFTER_STEP;
    make_simclr(&r, &o);
    b = given_branch(&r, query_view, 1, &r.projection);
    b.momentum = 1;
    append(&r, &b);
    steps(&r, 3, two);
    before = read_copy(&r, SSLCV_ROLE_PARAMETERS);
    steps(&r, 1, two + 3);
    ck_assert_mem_eq(one, two, sizeof one);
    moved = read_backbone(&r, SSLCV_ROLE_PARAMETERS);
    for (i = 0; i < moved.count; i++) moved.values[i] = 0.5f * before.values[i] + 0.5f * moved.values[i];
    free(before.values);
    ck_assert(equal(moved, read_copy(&r, SSLCV_ROLE_PARAMETERS)));
    free_rig(&r);
}
END_TEST

/* ---- memory ---- */

static int64_t value_bytes(const sslcv_state *state)
{
    int64_t bytes = 0, i;

    for (i = 0; i < state->count; i++) bytes += state->items[i].variable->stored_bytes;
    return bytes;
}

static sslcv_memory get_memory(rig *r)
{
    sslcv_memory memory = {.struct_size = sizeof memory};

    OK(sslcv_trainer_get_memory(r->trainer, &memory));
    return memory;
}

static int64_t held_bytes(rig *r)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    OK(sslcv_context_get_info(r->context, &info));
    return info.bytes;
}

/* As foretold; a step takes nothing more; a copy that is asked for becomes a network like any other. */
START_TEST(test_memory)
{
    rig_options o = {.epochs = 4, .seed = 7, .micro_batch = _i == 0 ? 0 : 3};
    const sslcv__parts *networks[2];
    sslcv_memory foretold, held, last;
    int64_t bytes = 0;
    weights before;
    network copy = {.bn_splits = 1};
    static host_views v;
    rig r;
    int i;

    make_byol(&r, &o);
    foretold = get_memory(&r);
    networks[0] = &r.trainer->backbones;
    networks[1] = &r.trainer->heads;
    for (i = 0; i < 2; i++) bytes += value_bytes(networks[i]->items[0].copy_state);
    ck_assert_int_eq(foretold.momentum_copies, bytes);
    ck_assert_int_eq(foretold.total, foretold.parameters + foretold.gradients + foretold.optimizer + bytes +
                                         foretold.losses + foretold.activations + foretold.scratch + foretold.loader);
    OK(sslcv_trainer_run(r.trainer, 3));
    held = get_memory(&r);
    ck_assert_mem_eq(&foretold, &held, sizeof held);
    bytes = held_bytes(&r);
    OK(sslcv_trainer_run(r.trainer, 3));
    ck_assert_int_eq(held_bytes(&r), bytes);

    OK(sslcv_trainer_get_backbone(r.trainer, 1, 1, &copy.backbone));
    OK(sslcv_trainer_get_head(r.trainer, 1, 0, 1, &copy.head));
    last = get_memory(&r);
    ck_assert_int_gt(last.momentum_copies, held.momentum_copies);
    ck_assert_int_lt(last.momentum_copies, 2 * held.momentum_copies);
    make_views(&v, SIDE);
    make_tapes(&r, &copy);
    hand_forward(&copy, 0, &v.tensors[0], SSLCV_PASS_GRADIENT);
    hand_backward(&copy, 0, copy.outputs);
    before = read_copy(&r, SSLCV_ROLE_PARAMETERS);
    OK(sslcv_trainer_run(r.trainer, 1)); /* gradients of the host's do not move it */
    ck_assert(!equal(before, read_copy(&r, SSLCV_ROLE_PARAMETERS)));
    free_rig(&r);
    hand_forward(&copy, 0, &v.tensors[0], SSLCV_PASS_GRADIENT); /* it outlives the trainer */
    free_network(&copy);
}
END_TEST

/* The second round passes momentum branches by: each slice is recorded once, and the run is the whole batch's. */
START_TEST(test_caching)
{
    const int32_t still = SSLCV_PASS_GRADIENT; /* fixed statistics: slices do not see each other */
    rig_options o = {.epochs = 4, .seed = 7, .precision = SSLCV_PRECISION_F32};
    const sslcv_state *copy;
    int64_t index;
    double whole[3], cut[3];
    rig r;
    int i;

    make_rig(&r, &o);
    compose_moco(&r, still, 0);
    steps(&r, 3, whole);
    free_rig(&r);
    o.micro_batch = 3;
    make_rig(&r, &o);
    compose_moco(&r, still, 0);
    steps(&r, 3, cut);
    for (i = 0; i < 3; i++) CLOSE(cut[i], whole[i], 1e-5);
    free_rig(&r);

    make_rig(&r, &o);
    compose_moco(&r, still, SSLCV_PASS_TRAIN);
    steps(&r, 2, cut);
    copy = r.trainer->backbones.items[0].copy_state;
    OK(sslcv_state_find(copy, "bn1.num_batches_tracked", &index));
    ck_assert_int_eq(*(const int64_t *)copy->items[index].variable->value, 2 * 3);
    free_rig(&r);
}
END_TEST

/* ---- sources, text, errors ---- */

/* Copies of a backbone in one branch, of a head behind it in the next: as in one branch. */
START_TEST(test_source)
{
    rig_options o = plain;
    double one[4], two[4];
    sslcv_branch b;
    rig r;

    make_moco(&r, &o);
    steps(&r, 4, one);
    free_rig(&r);
    make_rig(&r, &o);
    b = given_branch(&r, query_view, 1, &r.projection);
    append(&r, &b);
    b.views = key_view;
    b.momentum = 1;
    b.num_heads = 0;
    append(&r, &b);
    OK(sslcv_branch_init(&b, sizeof b));
    b.source = 1;
    b.heads = &r.projection;
    b.num_heads = 1;
    b.momentum = 1;
    append(&r, &b);
    add_pair_loss(&r, 0, 2);
    steps(&r, 4, two);
    ck_assert_mem_eq(one, two, sizeof one);
    free_rig(&r);
}
END_TEST

START_TEST(test_describe)
{
    static const char *const parts[] = {"branch 1: view 1 -> momentum backbone 0 (" STAGE
                                        ", joined) -> momentum head 0 (mlp 8-16, joined)",
                                        "momentum copies, before the branches: constant from 0.999"};
    static char text[4096];
    size_t i;
    rig r;

    make_moco(&r, &by_host);
    OK(sslcv_trainer_describe(r.trainer, text, sizeof text, NULL));
    for (i = 0; i < 2; i++) ck_assert_msg(strstr(text, parts[i]) != NULL, "%s", text);
    free_rig(&r);
}
END_TEST

START_TEST(test_handles)
{
    sslcv_backbone *itself, *copy = NULL;
    sslcv_head *head = NULL;
    sslcv_branch b;
    rig r;

    make_byol(&r, &by_host);
    OK(sslcv_trainer_get_backbone(r.trainer, 1, 0, &itself));
    OK(sslcv_trainer_get_backbone(r.trainer, 0, 1, &copy));
    ck_assert(itself == r.backbone && copy != itself);
    FAILS(sslcv_backbone_freeze(copy, 1), SSLCV_ERR_STATE, "begun");
    sslcv_backbone_destroy(itself);
    sslcv_backbone_destroy(copy);
    FAILS(sslcv_trainer_get_head(r.trainer, 0, 1, 1, &head), SSLCV_ERR_NOT_FOUND, "has no momentum copy");
    FAILS(sslcv_trainer_get_head(r.trainer, 1, 1, 1, &head), SSLCV_ERR_NOT_FOUND, "index is 1");
    FAILS(sslcv_trainer_get_head(r.trainer, 1, 0, 2, &head), SSLCV_ERR_INVALID_ARGUMENT, "momentum is 2");
    FAILS(sslcv_trainer_get_backbone(r.trainer, 2, 1, &copy), SSLCV_ERR_NOT_FOUND, "branch is 2");
    FAILS(sslcv_trainer_set_metric(r.trainer, "ema_momentum", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "ema_momentum");
    ck_assert(head == NULL);
    free_rig(&r);

    make_rig(&r, &by_host);
    b = given_branch(&r, query_view, 1, &r.projection);
    append(&r, &b);
    FAILS(sslcv_trainer_get_backbone(r.trainer, 0, 1, &copy), SSLCV_ERR_STATE, "no loss yet");
    b.momentum = 2;
    FAILS(sslcv_trainer_add_branch(r.trainer, &b, NULL), SSLCV_ERR_INVALID_ARGUMENT, "branch.momentum is 2");
    b.momentum = 0;
    b.bn_splits = 0;
    FAILS(sslcv_trainer_add_branch(r.trainer, &b, NULL), SSLCV_ERR_INVALID_ARGUMENT, "branch.bn_splits is 0");
    add_loss(&r, r.labels, 0, 1.0);
    FAILS(sslcv_trainer_get_backbone(r.trainer, 0, 1, &copy), SSLCV_ERR_NOT_FOUND, "no momentum copy");
    free_rig(&r);
}
END_TEST

START_TEST(test_option_errors)
{
    static const struct {
        const char *text;
        double value, end;
        int32_t when, random;
    } cases[] = {{"trainer.ema_momentum.value is 1.5; must be 0 .. 1", 1.5, 0.0, 0, 0},
                 {"trainer.ema_momentum.value is -0.1", -0.1, 0.0, 0, 0},
                 {"trainer.ema_momentum.end_value is 2", 0.5, 2.0, 0, 0},
                 {"trainer.ema_when is 2; must be 0 .. 1", 0.5, 1.0, 2, 0},
                 {"trainer.ema_random_init is -1; must be 0 or 1", 0.5, 1.0, 0, -1}};
    rig_options o = by_host;
    sslcv_trainer *kept;
    size_t i;
    rig r;

    make_rig(&r, &o);
    kept = r.trainer;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const sslcv_schedule ema = schedule_of(SSLCV_SCHEDULE_LINEAR, cases[i].value, cases[i].end);

        o.ema = &ema;
        o.ema_when = cases[i].when;
        o.ema_random_init = cases[i].random;
        FAILS(make_trainer(&r, &o), SSLCV_ERR_INVALID_ARGUMENT, cases[i].text);
        ck_assert(r.trainer == kept);
    }
    free_rig(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer_copies");
    TCase *tests = tcase_create("trainer_copies");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_first_weights);
    tcase_add_test(tests, test_statistics);
    tcase_add_test(tests, test_unused_branch_follows);
    tcase_add_loop_test(tests, test_memory, 0, 2);
    tcase_add_test(tests, test_caching);
    tcase_add_test(tests, test_source);
    tcase_add_test(tests, test_describe);
    tcase_add_test(tests, test_handles);
    tcase_add_test(tests, test_option_errors);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
