/* Heads in trainers: a grid and its context, patches merged into one, heads of the host. */
#include "trainer_support.h"

enum { PLACES = SIDE * SIDE, OUT = 6 }; /* STAGE's map is as large as the images */

/* Views through the backbone as maps, P = PLACES, and through a head unless it is NULL. */
static int64_t add_map(rig *r, const int64_t *views, int64_t num_views, sslcv_head *head)
{
    sslcv_branch b;
    int64_t index;

    OK(sslcv_branch_init(&b, sizeof b));
    b.views = views;
    b.num_views = num_views;
    b.backbone = r->backbone;
    b.stage = STAGE;
    b.flags |= SSLCV_PASS_MAP;
    b.heads = &head;
    b.num_heads = head != NULL;
    OK(sslcv_trainer_add_branch(r->trainer, &b, &index));
    return index;
}

static sslcv_head *make_pixelcnn(rig *r)
{
    sslcv_pixelcnn_options o;
    sslcv_head *head;

    OK(sslcv_pixelcnn_options_init(&o, sizeof o));
    o.in_dim = FEATURES;
    o.rows = o.columns = SIDE;
    o.num_layers = 2;
    o.directions = 4;
    o.seed = 3;
    OK(sslcv_head_create_pixelcnn(r->context, &o, &head));
    return head;
}

START_TEST(contexts_learn_to_predict)
{
    rig_options o = plain;
    sslcv_cpc_options c;
    sslcv_loss *loss;
    sslcv_head *head;
    int64_t inputs[2];
    double values[40];
    rig r;

    o.epochs = 20;
    make_rig(&r, &o);
    head = make_pixelcnn(&r);
    OK(sslcv_cpc_options_init(&c, sizeof c));
    c.rows = c.columns = SIDE;
    c.dim = c.context_dim = FEATURES;
    c.first_offset = c.last_offset = 2;
    c.directions = 4;
    c.num_negatives = 8;
    OK(sslcv_loss_create_cpc(r.context, &c, &loss));
    inputs[0] = add_map(&r, views_01, 1, NULL);
    inputs[1] = add_source_branch(&r, inputs[0], head, 0);
    OK(sslcv_trainer_add_loss(r.trainer, loss, inputs, 2, 1.0, NULL));
    steps(&r, 40, values);
    ck_assert_msg(values[0] > 1.9 && values[39] < values[0] - 0.3, "from %g to %g; log 9 is 2.197", values[0],
                  values[39]);
    sslcv_loss_destroy(loss);
    sslcv_head_destroy(head);
    free_rig(&r);
}
END_TEST

static sslcv_head *make_patches(rig *r)
{
    sslcv_patch_mlp_options o;
    sslcv_head *head;

    OK(sslcv_patch_mlp_options_init(&o, sizeof o));
    o.in_dim = FEATURES;
    o.num_patches = PLACES;
    o.patch_dim = 4;
    o.out_dim = OUT;
    o.seed = 3;
    OK(sslcv_head_create_patch_mlp(r->context, &o, &head));
    return head;
}

/* Whole, or in slices: the head has no batch norm, so both are the same but for rounding and the backbone's. */
START_TEST(patches_become_one_embedding)
{
    rig_options o = plain;
    sslcv_memory planned = {.struct_size = sizeof planned}, taken = planned;
    sslcv_tensor output;
    sslcv_head *head;
    int64_t branch, i;
    double values[3];
    rig r;

    o.micro_batch = _i ? BATCH / 2 : 0;
    make_rig(&r, &o);
    head = make_patches(&r);
    branch = add_map(&r, views_01, 2, head);
    add_loss(&r, r.contrast, branch, 1.0);
    OK(sslcv_trainer_get_memory(r.trainer, &planned));
    steps(&r, 3, values);
    for (i = 0; i < 3; i++) ck_assert(isfinite(values[i]));
    OK(sslcv_trainer_get_memory(r.trainer, &taken));
    ck_assert_int_eq(planned.activations, taken.activations);
    ck_assert_int_eq(planned.scratch, taken.scratch);
    output = r.trainer->branches[branch].output;
    ck_assert_int_eq(output.shape[0], 2);
    ck_assert_int_eq(output.shape[1], BATCH);
    ck_assert_int_eq(output.shape[2], 1);
    ck_assert_int_eq(output.shape[3], OUT);
    sslcv_head_destroy(head);
    free_rig(&r);
}
END_TEST

START_TEST(heads_that_want_another_grid_are_refused)
{
    sslcv_memory memory = {.struct_size = sizeof memory};
    sslcv_head *head;
    rig r;

    make_rig(&r, &plain);
    head = make_patches(&r);
    add_loss(&r, r.contrast, add_branch(&r, views_01, 2, head), 1.0); /* the mean: P = 1 */
    FAILS(sslcv_trainer_get_memory(r.trainer, &memory), SSLCV_ERR_INVALID_ARGUMENT,
          "P = 1 patches; the head, patch_mlp, takes 64");
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_INVALID_ARGUMENT, "P = 1 patches");
    sslcv_head_destroy(head);
    free_rig(&r);
}
END_TEST

/* ---- the host's ---- */

typedef struct scaler {
    int32_t fails;
} scaler;

static float *data_of(sslcv_state *state, int32_t part)
{
    sslcv_tensor tensor;

    OK(sslcv_state_data(state, 0, part, &tensor));
    return tensor.data;
}

static int32_t forward(void *user, sslcv_state *state, const sslcv_tensor *in, sslcv_tensor *out,
                       const sslcv_pass *pass)
{
    const float *s = data_of(state, SSLCV_STATE_VALUE), *x = in->data;
    float *y = out->data;
    int64_t i;

    (void)user;
    (void)pass;
    for (i = 0; i < in->shape[0] * in->strides[0]; i++) y[i] = s[i % FEATURES] * x[i];
    return 0;
}

static int32_t backward(void *user, sslcv_state *state, const sslcv_tensor *in, const sslcv_tensor *out,
                        const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *pass)
{
    const float *s = data_of(state, SSLCV_STATE_VALUE), *x = in->data, *dy = diff_out->data;
    float *ds = data_of(state, SSLCV_STATE_GRADIENT), *dx = diff_in->data;
    int64_t i;

    (void)out;
    (void)pass;
    for (i = 0; i < in->shape[0] * in->strides[0]; i++) {
        ds[i % FEATURES] += x[i] * dy[i];
        dx[i] = s[i % FEATURES] * dy[i];
    }
    return ((scaler *)user)->fails;
}

static sslcv_status add_scale(sslcv_head *head, const char *name)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_state *state;
    sslcv_status status;
    int64_t i;

    OK(sslcv_head_get_state(head, &state));
    entry.name = name;
    entry.role = SSLCV_ROLE_WEIGHT;
    entry.dtype = SSLCV_F32;
    entry.ndim = 1;
    entry.shape[0] = FEATURES;
    status = sslcv_state_add(state, &entry, NULL);
    for (i = 0; status == SSLCV_OK && i < FEATURES; i++) data_of(state, SSLCV_STATE_VALUE)[i] = 1.0f;
    sslcv_state_destroy(state);
    return status;
}

START_TEST(hosts_train_with_the_rest)
{
    scaler mine = {0};
    sslcv_head_callbacks c;
    sslcv_head *head;
    sslcv_state *state;
    int64_t index;
    double values[4];
    float scale;
    rig r;

    make_rig(&r, &plain);
    OK(sslcv_head_callbacks_init(&c, sizeof c));
    c.user = &mine;
    c.forward = forward;
    c.backward = backward;
    c.in_dim = c.out_dim = FEATURES;
    OK(sslcv_head_create_custom(r.context, &c, &head));
    OK(add_scale(head, "scale"));
    add_loss(&r, r.contrast, add_branch(&r, views_01, 2, head), 1.0);
    steps(&r, 2, values);
    OK(sslcv_trainer_get_state(r.trainer, &state));
    OK(sslcv_state_find(state, "head.0.scale", &index));
    OK(sslcv_state_find(state, "optimizer.scale.momentum", &index));
    sslcv_state_destroy(state);
    FAILS(add_scale(head, "late"), SSLCV_ERR_STATE, "a trainer has begun");
    OK(sslcv_head_get_state(head, &state));
    scale = *data_of(state, SSLCV_STATE_VALUE);
    ck_assert(scale != 1.0f);
    mine.fails = 1;
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_CANCELLED, "backward of a custom head answered 1");
    ck_assert(*data_of(state, SSLCV_STATE_VALUE) == scale);
    mine.fails = 0;
    steps(&r, 1, values);
    ck_assert(*data_of(state, SSLCV_STATE_VALUE) != scale);
    sslcv_state_destroy(state);
    sslcv_head_destroy(head);
    free_rig(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head_trainer");
    TCase *tests = tcase_create("trainer");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, contexts_learn_to_predict);
    tcase_add_loop_test(tests, patches_become_one_embedding, 0, 2);
    tcase_add_test(tests, heads_that_want_another_grid_are_refused);
    tcase_add_test(tests, hosts_train_with_the_rest);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
