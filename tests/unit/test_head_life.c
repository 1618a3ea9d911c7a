/* What holds for all kinds of heads: new weights, optimizers that forget, threads, memory that runs out. */
#include "head_support.h"

#include <pthread.h>

#include <sslcv/optim.h>

/* ---- new weights ---- */

static sslcv_head *make_seeded(uint64_t seed)
{
    sslcv_mlp_options options = mlp_of(8, 16, 4, 2);
    sslcv_head *head;

    options.seed = seed;
    OK(sslcv_head_create_mlp(context, &options, &head));
    return head;
}

START_TEST(reset_is_creation_anew)
{
    const int64_t shape[2] = {6, 8};
    float x[48], one;
    const sslcv_tensor input = drawn(x, 1, 1.0f, 2, shape);
    sslcv_head *head = make_seeded(4);
    const sslcv__variable *mean = sslcv__variables_find(&head->net.variables, "1.running_mean");
    sslcv_state *state;

    run_head(head, &input, SSLCV_PASS_TRAIN);
    ck_assert(((const float *)mean->value)[0] != 0.0f);
    OK(sslcv_head_get_state(head, &state));
    OK(sslcv_state_freeze(state, "0.", 1));
    check_reset(head, make_seeded);
    ck_assert(((const float *)mean->value)[0] == 0.0f);
    one = *(const float *)sslcv__variables_find(&head->net.variables, "1.running_var")->value;
    ck_assert(one == 1.0f);
    ck_assert_int_eq(head->net.variables.items[0]->frozen, 1);
    FAILS(sslcv_head_reset(head, 0), SSLCV_ERR_INVALID_ARGUMENT, "seed is 0");
    FAILS(sslcv_head_reset(NULL, 1), SSLCV_ERR_INVALID_ARGUMENT, "head is NULL");
    sslcv_state_destroy(state);
    sslcv_head_destroy(head);
}
END_TEST

static void put_gradients(sslcv_head *head)
{
    int64_t i;

    for (i = 0; i < head->net.variables.count; i++) {
        sslcv__variable *v = head->net.variables.items[i];

        if (!v->gradient) continue;
        golden_input(50 + i, v->count, v->gradient);
        v->has_gradient = 1;
    }
}

static sslcv_optimizer *make_optimizer(sslcv_head *head, int32_t kind)
{
    sslcv_optimizer_options options;
    sslcv_optimizer *optimizer;
    sslcv_state *state;

    OK(sslcv_optimizer_options_init(&options, sizeof options, kind));
    OK(sslcv_optimizer_create(context, &options, &optimizer));
    OK(sslcv_head_get_state(head, &state));
    OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
    sslcv_state_destroy(state);
    return optimizer;
}

/* A head that is reset after steps goes on like a new one with a new optimizer. */
static void check_forgetting(int32_t kind)
{
    sslcv_head *head = make_seeded(4), *fresh = make_seeded(5);
    sslcv_optimizer *old = make_optimizer(head, kind), *young = make_optimizer(fresh, kind);
    const sslcv__variables *a = &head->net.variables, *b = &fresh->net.variables;
    int64_t i, n;

    for (n = 0; n < 3; n++) {
        put_gradients(head);
        OK(sslcv_optimizer_step(old, 0.1, -1.0));
    }
    OK(sslcv_head_reset(head, 5));
    for (n = 0; n < 2; n++) {
        put_gradients(head);
        put_gradients(fresh);
        OK(sslcv_optimizer_step(old, 0.1, -1.0));
        OK(sslcv_optimizer_step(young, 0.1, -1.0));
    }
    for (i = 0; i < a->count; i++) {
        ck_assert_mem_eq(a->items[i]->value, b->items[i]->value, (size_t)a->items[i]->stored_bytes);
    }
    sslcv_optimizer_destroy(old);
    sslcv_optimizer_destroy(young);
    sslcv_head_destroy(head);
    sslcv_head_destroy(fresh);
}

START_TEST(optimizers_forget_a_reset_head)
{
    check_forgetting(SSLCV_OPTIMIZER_SGD);
    check_forgetting(SSLCV_OPTIMIZER_ADAMW);
}
END_TEST

/* What is saved behind a reset has forgotten too; what is loaded behind one is not forgotten by the next step. */
START_TEST(saved_and_loaded_momentum_is_right)
{
    sslcv_head *head = make_seeded(4);
    sslcv_optimizer *optimizer = make_optimizer(head, SSLCV_OPTIMIZER_SGD);
    const int64_t count = head->net.variables.items[0]->count;
    sslcv_state *state;
    float *momentum;
    sslcv_tensor tensor;
    int64_t index, i;

    put_gradients(head);
    OK(sslcv_optimizer_step(optimizer, 0.1, -1.0));
    OK(sslcv_optimizer_get_state(optimizer, &state));
    OK(sslcv_state_find(state, "0.weight.momentum", &index));
    momentum = read_state(state, "0.weight.momentum", SSLCV_STATE_VALUE, &i);
    ck_assert(norm_of(momentum, count) > 0);
    OK(sslcv_head_reset(head, 5));
    free(momentum);
    momentum = read_state(state, "0.weight.momentum", SSLCV_STATE_VALUE, &i);
    ck_assert(norm_of(momentum, count) == 0);
    OK(sslcv_head_reset(head, 6));
    for (i = 0; i < count; i++) momentum[i] = 1.0f;
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, momentum, 2, head->net.variables.items[0]->shape));
    OK(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &tensor));
    put_gradients(head);
    memset(head->net.variables.items[0]->gradient, 0, (size_t)count * sizeof(float));
    OK(sslcv_optimizer_step(optimizer, 0.0, 0.0));
    free(momentum);
    momentum = read_state(state, "0.weight.momentum", SSLCV_STATE_VALUE, &i);
    for (i = 0; i < count; i++) CLOSE(momentum[i], 0.9, 1e-6);
    free(momentum);
    sslcv_state_destroy(state);
    sslcv_optimizer_destroy(optimizer);
    sslcv_head_destroy(head);
}
END_TEST

/* ---- many threads, little memory ---- */

typedef struct reader {
    sslcv_head *head;
    const sslcv_tensor *input;
    const float *expected;
    int64_t count;
    int32_t differs;
} reader;

static void *read_head(void *argument)
{
    reader *r = argument;
    const sslcv_pass pass = pass_of(0, 0);
    sslcv_tensor output;
    sslcv_tape *own;
    int i;

    r->differs = sslcv_tape_create(context, &own) != SSLCV_OK;
    for (i = 0; i < 20 && !r->differs; i++) {
        r->differs = sslcv_head_forward(r->head, r->input, &pass, own) != SSLCV_OK ||
                     sslcv_tape_output(own, &output) != SSLCV_OK ||
                     memcmp(output.data, r->expected, (size_t)r->count * sizeof(float)) != 0;
    }
    sslcv_tape_destroy(own);
    return NULL;
}

/* One head of each kind with a grid, weights shared by four directions, unit rows, dropout. */
static sslcv_head *make_kind(int kind)
{
    sslcv_head *head = NULL;

    if (kind == 0) {
        sslcv_mlp_options o = mlp_of(8, 16, 4, 3);

        o.dropout = 0.5;
        o.activation = SSLCV_ACTIVATION_GELU;
        OK(sslcv_head_create_mlp(context, &o, &head));
    } else if (kind == 1) {
        sslcv_patch_mlp_options o;

        OK(sslcv_patch_mlp_options_init(&o, sizeof o));
        o.in_dim = 8;
        o.num_patches = 6;
        o.num_layers = 2;
        OK(sslcv_head_create_patch_mlp(context, &o, &head));
    } else if (kind == 2) {
        sslcv_prototypes_options o;

        OK(sslcv_prototypes_options_init(&o, sizeof o));
        o.in_dim = 8;
        o.out_dim = 30;
        OK(sslcv_head_create_prototypes(context, &o, &head));
    } else if (kind == 3) {
        sslcv_pixelcnn_options o;

        OK(sslcv_pixelcnn_options_init(&o, sizeof o));
        o.in_dim = 8;
        o.rows = 2;
        o.columns = 3;
        o.directions = 4;
        OK(sslcv_head_create_pixelcnn(context, &o, &head));
    } else {
        sslcv_cpc_v2_options o;

        OK(sslcv_cpc_v2_options_init(&o, sizeof o));
        o.in_dim = 8;
        o.hidden_dim = 8;
        o.rows = 2;
        o.columns = 3;
        o.directions = 4;
        OK(sslcv_head_create_cpc_v2(context, &o, &head));
    }
    return head;
}

enum { KINDS = 5 };

START_TEST(threads_share_a_head)
{
    const int64_t shape[4] = {2, 3, 6, 8};
    static float x[HEAD_MAX];
    const sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape);
    sslcv_head *head = make_kind(_i);
    sslcv_tensor output = run_head(head, &input, 0);
    pthread_t threads[3];
    reader readers[3];
    int i;

    for (i = 0; i < 3; i++) {
        readers[i] = (reader){head, &input, output.data, elements(&output), 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_head, &readers[i]), 0);
    }
    for (i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(readers[i].differs, 0);
    }
    check_clone(head, &input);
    sslcv_head_destroy(head);
}
END_TEST

static sslcv_status everything(sslcv_context *in, sslcv_head *head, const sslcv_tensor *input)
{
    sslcv_tape *own = NULL;
    sslcv_head *copy = NULL;
    sslcv_state *state = NULL;
    sslcv_tensor output;
    static float g[HEAD_MAX];
    sslcv_status status;

    SSLCV__TRY(sslcv_tape_create(in, &own));
    SSLCV__TRY(sslcv_head_clone(head, &copy));
    SSLCV__TRY(sslcv_head_get_state(copy, &state));
    SSLCV__TRY(sslcv_head_reset(copy, 3));
    SSLCV__TRY(sslcv_head_forward(copy, input, NULL, own));
    SSLCV__TRY(sslcv_tape_output(own, &output));
    output.data = g;
    status = sslcv_tape_backward(own, &output);
end:
    sslcv_state_destroy(state);
    sslcv_head_destroy(copy);
    sslcv_tape_destroy(own);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    const int64_t shape[4] = {2, 3, 6, 8};
    static float x[HEAD_MAX];
    const sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape);
    sslcv_context *const outer = context;
    host h = {0};
    sslcv_head *head;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t n;

    atomic_store(&h.fail_at, -1);
    context = new_context(&h, 1);
    head = make_kind(_i);
    for (n = 0; status != SSLCV_OK; n++) {
        const long long before = atomic_load(&h.out);

        ck_assert_int_lt(n, 1000);
        atomic_store(&h.calls, 0);
        atomic_store(&h.fail_at, n);
        status = everything(context, head, &input);
        atomic_store(&h.fail_at, -1);
        ck_assert(status == SSLCV_OK || status == SSLCV_ERR_OUT_OF_MEMORY);
        ck_assert_int_eq(atomic_load(&h.out), before);
    }
    ck_assert_int_gt(n, 20);
    sslcv_head_destroy(head);
    sslcv_context_destroy(context);
    ck_assert_int_eq(atomic_load(&h.out), 0);
    context = outer;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head_life");
    TCase *reset = tcase_create("reset"), *kinds = tcase_create("kinds");

    tcase_add_checked_fixture(reset, set_up, tear_down);
    tcase_add_test(reset, reset_is_creation_anew);
    tcase_add_test(reset, optimizers_forget_a_reset_head);
    tcase_add_test(reset, saved_and_loaded_momentum_is_right);
    suite_add_tcase(suite, reset);
    tcase_add_checked_fixture(kinds, set_up, tear_down);
    tcase_add_loop_test(kinds, threads_share_a_head, 0, KINDS);
    tcase_add_loop_test(kinds, every_allocation_may_fail, 0, KINDS);
    suite_add_tcase(suite, kinds);
    return run_suite(suite);
}
