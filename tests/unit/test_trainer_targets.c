/* Soft targets of the host in a trainer's step: the same as by hand, as labels where they say the same, and refused. */
#include "momentum_support.h"
#include "trainer_memory_support.h"

#include <sslcv/losses.h>

static const rig_options by_host = {.epochs = 4, .seed = 7, .no_data = 1, .precision = SSLCV_PRECISION_F32};

/* Views, and targets (N, DIM) in 0 .. 1 that differ from row to row; every seventh is left out. */
typedef struct soft_batch {
    host_views views;
    float values[BATCH * DIM];
    sslcv_tensor targets;
    sslcv_view_batch batch;
} soft_batch;

static void make_batch(soft_batch *b)
{
    const int64_t shape[2] = {BATCH, DIM};
    int64_t i;

    make_views(&b->views, SIDE);
    golden_input(40, BATCH * DIM, b->values);
    for (i = 0; i < BATCH * DIM; i++) b->values[i] = i % 7 == 3 ? -1.0f : b->values[i] + 0.5f;
    OK(sslcv_tensor_init(&b->targets, SSLCV_F32, b->values, 2, shape));
    OK(sslcv_view_batch_init(&b->batch, sizeof b->batch));
    b->batch.views = b->views.tensors;
    b->batch.num_views = 2;
    b->batch.targets = &b->targets;
}

/* Row i says label i % CLASSES. */
static void make_one_hot(soft_batch *b)
{
    int64_t i;

    for (i = 0; i < BATCH * DIM; i++) b->values[i] = i % DIM == i / DIM % CLASSES ? 1.0f : 0.0f;
}

static void compose_logits(rig *r, const int64_t *views, int64_t num_views, int32_t flags, sslcv_loss *loss)
{
    sslcv_branch b = given_branch(r, views, num_views, &r->projection);

    b.flags = flags;
    add_loss(r, loss, append(r, &b), 0.5);
}

static sslcv_loss *make_binary(rig *r)
{
    sslcv_loss *loss;

    OK(sslcv_loss_create_binary_cross_entropy(r->context, NULL, &loss));
    return loss;
}

/* A trainer whose one loss is binary cross-entropy of a branch of these views. */
static void make_multi_label(rig *r, const rig_options *o, int64_t num_views, int32_t flags)
{
    sslcv_loss *loss;

    make_rig(r, o);
    loss = make_binary(r);
    compose_logits(r, views_01, num_views, flags, loss);
    sslcv_loss_destroy(loss);
}

/* ---- as by hand ---- */

static double hand_binary(sslcv_loss *loss, const network *n, const sslcv_tensor *targets, float *gradient)
{
    const int64_t shape[4] = {1, BATCH, 1, DIM};
    sslcv_tensor logits, diff;
    sslcv_loss_call call;

    OK(sslcv_tensor_init(&logits, SSLCV_F32, (void *)(uintptr_t)n->outputs, 4, shape));
    OK(sslcv_tensor_init(&diff, SSLCV_F32, gradient, 4, shape));
    OK(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = &logits;
    call.diff_inputs = &diff;
    call.num_inputs = 1;
    call.targets = targets;
    call.scale = 0.5;
    OK(sslcv_loss_compute(loss, &call));
    return call.value;
}

START_TEST(binary_cross_entropy_is_as_by_hand)
{
    const int32_t flags = SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT;
    static float gradient[BATCH * DIM];
    static soft_batch b;
    sslcv_progress progress = {.struct_size = sizeof progress};
    network online, unused;
    sslcv_loss *loss;
    sslcv_state *state;
    double first = 0.0;
    rig r, s;
    int t;

    make_batch(&b);
    make_multi_label(&r, &by_host, 1, flags);
    make_rig(&s, &by_host);
    loss = make_binary(&s);
    make_pair(&s, &online, &unused, 0);
    hand_optimize(s.optimizer, &online);
    for (t = 0; t < 8; t++) {
        double value;

        OK(sslcv_trainer_step_views(r.trainer, &b.batch, &progress));
        hand_forward(&online, 0, &b.views.tensors[0], flags);
        value = 0.5 * hand_binary(loss, &online, &b.targets, gradient);
        hand_backward(&online, 0, gradient);
        OK(sslcv_optimizer_step(s.optimizer, scheduled(&r.trainer->learning_rate, t), -1.0));
        ck_assert_msg(value == progress.loss, "step %d: %.17g, by hand %.17g", t, progress.loss, value);
        if (t == 0) first = value;
    }
    ck_assert_msg(progress.loss < first, "from %g to %g", first, progress.loss);
    OK(sslcv_backbone_get_state(online.backbone, &state));
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_state(state, SSLCV_ROLE_ALL)));
    ck_assert(equal(read_head(r.projection, SSLCV_ROLE_ALL), read_head(online.head, SSLCV_ROLE_ALL)));
    free_network(&online);
    free_network(&unused);
    sslcv_loss_destroy(loss);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* All terms of classes that a row does not have are 0: not a bit differs. Of one view, and of two with one row each. */
START_TEST(one_hot_targets_are_labels)
{
    static soft_batch b;
    sslcv_progress soft = {.struct_size = sizeof soft}, hard = soft;
    rig r, s;
    int t;

    make_batch(&b);
    make_one_hot(&b);
    make_rig(&r, &by_host);
    compose_logits(&r, views_01, _i + 1, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, r.labels);
    make_rig(&s, &by_host);
    compose_logits(&s, views_01, _i + 1, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, s.labels);
    for (t = 0; t < 4; t++) {
        OK(sslcv_trainer_step_views(r.trainer, &b.batch, &soft));
        OK(step_views_with(s.trainer, b.views.tensors, 2, NULL, NULL, b.views.labels, &hard));
        ck_assert_msg(soft.loss == hard.loss, "step %d: %.17g and %.17g", t, soft.loss, hard.loss);
    }
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    ck_assert(equal(read_head(r.projection, SSLCV_ROLE_ALL), read_head(s.projection, SSLCV_ROLE_ALL)));
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* ---- who gets them ---- */

typedef struct witness {
    const sslcv_tensor *targets; /* of the host */
    const int64_t *labels;
    int32_t calls;
    int32_t reserved;
} witness;

static int32_t see(void *user, sslcv_state *state, sslcv_loss_call *call)
{
    witness *w = user;

    (void)state;
    ck_assert(call->labels == w->labels && !call->targets == !w->targets);
    if (w->targets) {
        ck_assert_int_eq(call->targets->ndim, 2);
        ck_assert_mem_eq(call->targets->shape, w->targets->shape, 2 * sizeof(int64_t));
        ck_assert_mem_eq(call->targets->data, w->targets->data, sizeof(float) * BATCH * DIM);
    }
    memset(call->diff_inputs[0].data, 0, sizeof(float) * BATCH * DIM);
    call->value = 1.0;
    w->calls++;
    return 0;
}

static void add_witness(rig *r, witness *w, int64_t branch, int32_t needs_labels)
{
    sslcv_loss_callbacks callbacks;
    sslcv_loss *loss;

    OK(sslcv_loss_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.user = w;
    callbacks.compute = see;
    callbacks.needs_labels = needs_labels;
    OK(sslcv_loss_create_custom(r->context, &callbacks, &loss));
    add_loss(r, loss, branch, 1.0);
    sslcv_loss_destroy(loss);
}

/* Every loss that needs labels, and no other; in micro-batches all rows at once; beside a data set too. */
START_TEST(losses_that_need_labels_get_them)
{
    static soft_batch b;
    rig_options o = by_host;
    witness needs[2] = {{0}, {0}}, none = {0};
    int64_t branch;
    rig r;
    int i;

    o.micro_batch = _i == 1 ? 3 : 0;
    o.no_data = _i != 2;
    make_batch(&b);
    make_rig(&r, &o);
    branch = add_branch(&r, view_2, 1, r.projection);
    add_witness(&r, &needs[0], branch, 1);
    add_witness(&r, &none, branch, 0);
    add_witness(&r, &needs[1], branch, 1);
    b.batch.num_views = 3;
    for (i = 0; i < 2; i++) needs[i].targets = &b.targets;
    OK(sslcv_trainer_step_views(r.trainer, &b.batch, NULL));
    for (i = 0; i < 2; i++) {
        needs[i].targets = NULL;
        needs[i].labels = b.views.labels;
    }
    b.batch.targets = NULL;
    b.batch.labels = b.views.labels;
    OK(sslcv_trainer_step_views(r.trainer, &b.batch, NULL));
    ck_assert(needs[0].calls == 2 && none.calls == 2 && needs[1].calls == 2);
    free_rig(&r);
}
END_TEST

/* ---- micro-batches ---- */

/* Each row's logits meet that row's targets, however the batch is cut: by size, or by what fits. */
START_TEST(micro_batches_meet_their_rows)
{
    static const int64_t sizes[] = {3, 1, 7, 0};
    static soft_batch b;
    rig_options o = by_host;
    sslcv_progress whole = {.struct_size = sizeof whole}, cut = whole;
    sslcv_memory memory;
    rig r, s;
    int t;

    make_batch(&b);
    make_multi_label(&r, &o, 2, SSLCV_PASS_GRADIENT);
    r.trainer->learning_rate.value = 0.0; /* rounding does not add up */
    for (t = 0; t < 2; t++) OK(sslcv_trainer_step_views(r.trainer, &b.batch, &whole));
    memory = get_memory(&r);
    o.micro_batch = sizes[_i];
    if (o.micro_batch == 0) o.memory_budget = memory.total - memory.activations / 2;
    make_multi_label(&s, &o, 2, SSLCV_PASS_GRADIENT);
    s.trainer->learning_rate.value = 0.0;
    for (t = 0; t < 2; t++) OK(sslcv_trainer_step_views(s.trainer, &b.batch, &cut));
    memory = get_memory(&s);
    ck_assert_int_lt(memory.micro_batch, BATCH);
    CLOSE(cut.loss, whole.loss, 1e-6);
    ck_assert_double_lt(compare_gradients(&r.trainer->backbones, &s.trainer->backbones), 5e-6);
    ck_assert_double_lt(compare_gradients(&r.trainer->heads, &s.trainer->heads), 5e-6);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* ---- refused ---- */

static void refuse(rig *r, const soft_batch *b, const sslcv_tensor *targets, const char *message)
{
    sslcv_view_batch batch = b->batch;

    batch.targets = targets;
    FAILS(sslcv_trainer_step_views(r->trainer, &batch, NULL), SSLCV_ERR_INVALID_ARGUMENT, message);
    ck_assert_ptr_eq(strstr(sslcv_last_error(), message),
                     sslcv_last_error()); /* before any loss is asked: no "call." */
}

/* Nothing has happened: the step that follows is that of a trainer that was never asked. */
START_TEST(wrong_targets_are_refused)
{
    static soft_batch b;
    const int32_t flags = SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT;
    sslcv_progress asked = {.struct_size = sizeof asked}, plainly = asked;
    sslcv_tensor wrong;
    rig r, s;

    make_batch(&b);
    make_multi_label(&r, &by_host, 2, flags);
    make_multi_label(&s, &by_host, 2, flags);
    OK(sslcv_trainer_step_views(r.trainer, &b.batch, NULL));
    OK(sslcv_trainer_step_views(s.trainer, &b.batch, NULL));

    wrong = b.targets;
    wrong.shape[0] = BATCH - 1;
    refuse(&r, &b, &wrong, "targets.shape[0] is 7; must be 8");
    wrong = b.targets;
    wrong.ndim = 1;
    refuse(&r, &b, &wrong, "targets.ndim is 1; must be 2");
    wrong = b.targets;
    wrong.dtype = SSLCV_I32;
    refuse(&r, &b, &wrong, "targets.dtype is i32; must be f32");
    wrong = b.targets;
    wrong.shape[1] = DIM / 2;
    refuse(&r, &b, &wrong, "targets is not dense");
    wrong.strides[0] = DIM / 2;
    refuse(&r, &b, &wrong, "call.targets has 8 classes, inputs[0] 16; must be equal");
    wrong = b.targets;
    wrong.data = NULL;
    refuse(&r, &b, &wrong, "targets.data is NULL");
    refuse(&r, &b, NULL, "call.labels and targets are NULL; binary_cross_entropy needs one");
    b.values[3] = 1.5f;
    refuse(&r, &b, &b.targets, "call.targets[0, 3] is 1.5; must be 0 .. 1");
    make_batch(&b);
    b.batch.labels = b.views.labels;
    refuse(&r, &b, &b.targets, "labels and targets are both given");
    refuse(&r, &b, NULL, "call.targets is NULL; binary_cross_entropy needs them");
    b.batch.labels = NULL;

    OK(sslcv_trainer_step_views(r.trainer, &b.batch, &asked));
    OK(sslcv_trainer_step_views(s.trainer, &b.batch, &plainly));
    ck_assert_int_eq(asked.step, 2);
    ck_assert(asked.loss == plainly.loss);
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    ck_assert(equal(read_head(r.projection, SSLCV_ROLE_ALL), read_head(s.projection, SSLCV_ROLE_ALL)));
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* As any number that is not finite: the batch counts, and has changed nothing. */
START_TEST(targets_that_are_not_finite)
{
    static soft_batch b;
    sslcv_progress progress = {.struct_size = sizeof progress};
    weights before;
    rig r;

    make_batch(&b);
    make_multi_label(&r, &by_host, 2, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
    OK(sslcv_trainer_step_views(r.trainer, &b.batch, NULL));
    before = read_backbone(&r, SSLCV_ROLE_ALL);
    b.values[BATCH * DIM - 1] = NAN;
    FAILS(sslcv_trainer_step_views(r.trainer, &b.batch, NULL), SSLCV_ERR_NUMERIC, "call.targets has NaN or infinity");
    ck_assert(equal(before, read_backbone(&r, SSLCV_ROLE_ALL)));
    make_batch(&b);
    OK(sslcv_trainer_step_views(r.trainer, &b.batch, &progress));
    ck_assert_int_eq(progress.step, 3);
    free_rig(&r);
}
END_TEST

/* ---- the struct ---- */

START_TEST(the_struct_is_read_by_its_size)
{
    static soft_batch b;
    struct {
        sslcv_view_batch known;
        int64_t later;
    } newer;
    sslcv_view_batch batch;
    rig r;

    make_batch(&b);
    make_multi_label(&r, &by_host, 2, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
    FAILS(sslcv_view_batch_init(NULL, sizeof batch), SSLCV_ERR_INVALID_ARGUMENT, "view_batch is NULL");
    FAILS(sslcv_view_batch_init(&batch, sizeof batch - 8), SSLCV_ERR_INVALID_ARGUMENT, "view_batch.struct_size");
    FAILS(sslcv_trainer_step_views(r.trainer, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "batch is NULL");
    batch = b.batch;
    batch.struct_size -= 8;
    FAILS(sslcv_trainer_step_views(r.trainer, &batch, NULL), SSLCV_ERR_INVALID_ARGUMENT, "view_batch.struct_size");
    OK(sslcv_view_batch_init(&batch, sizeof batch));
    FAILS(sslcv_trainer_step_views(r.trainer, &batch, NULL), SSLCV_ERR_INVALID_ARGUMENT, "views is NULL");
    newer.known = b.batch;
    newer.known.struct_size = sizeof newer;
    newer.later = 1;
    FAILS(sslcv_trainer_step_views(r.trainer, &newer.known, NULL), SSLCV_ERR_UNSUPPORTED, "view_batch");
    newer.later = 0;
    OK(sslcv_trainer_step_views(r.trainer, &newer.known, NULL));
    free_rig(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer_targets");
    TCase *tests = tcase_create("targets");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, binary_cross_entropy_is_as_by_hand);
    tcase_add_loop_test(tests, one_hot_targets_are_labels, 0, 2);
    tcase_add_loop_test(tests, losses_that_need_labels_get_them, 0, 3);
    tcase_add_loop_test(tests, micro_batches_meet_their_rows, 0, 4);
    tcase_add_test(tests, wrong_targets_are_refused);
    tcase_add_test(tests, targets_that_are_not_finite);
    tcase_add_test(tests, the_struct_is_read_by_its_size);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
