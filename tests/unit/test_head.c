/* MLPs through the public calls: names, axes, activations, dropout, bad input. */
#include "head_support.h"

static sslcv_head *make_head(int64_t in, int64_t hidden, int64_t out, int32_t layers, int32_t last_norm,
                             int32_t normalize)
{
    sslcv_mlp_options options;
    sslcv_head *head;

    OK(sslcv_mlp_options_init(&options, sizeof options));
    options.in_dim = in;
    options.hidden_dim = hidden;
    options.out_dim = out;
    options.num_layers = layers;
    options.last_norm = last_norm;
    options.normalize = normalize;
    OK(sslcv_head_create_mlp(context, &options, &head));
    return head;
}

START_TEST(heads_are_numbered_as_sequential)
{
    sslcv_head *head = make_head(32, 0, 16, 3, SSLCV_LAST_NORM_NO_SHIFT, 0);
    sslcv_head_info info = {.struct_size = sizeof info};
    sslcv_state *state;
    int64_t index;

    OK(sslcv_head_get_info(head, &info));
    ck_assert_str_eq(info.kind, "mlp");
    ck_assert_int_eq(info.in_dim, 32);
    ck_assert_int_eq(info.out_dim, 16);
    ck_assert_int_eq(info.num_parameters, 2 * (32 * 32 + 32 + 64) + 32 * 16 + 16 + 16);
    OK(sslcv_head_get_state(head, &state));
    OK(sslcv_state_find(state, "0.weight", &index));
    OK(sslcv_state_find(state, "1.running_mean", &index));
    OK(sslcv_state_find(state, "3.bias", &index));
    OK(sslcv_state_find(state, "6.weight", &index));
    OK(sslcv_state_find(state, "7.weight", &index));
    FAILS(sslcv_state_find(state, "7.bias", &index), SSLCV_ERR_NOT_FOUND, "7.bias");
    sslcv_state_destroy(state);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(heads_keep_axes)
{
    sslcv_head *head = make_head(8, 16, 4, 2, SSLCV_LAST_NORM_NONE, 1), *copy;
    static const int64_t axes[3][4] = {{6, 8}, {2, 3, 8}, {2, 3, 1, 8}};
    float x[48], first[24], g[24];
    sslcv_tensor input, output, diff;
    int64_t i, j;

    golden_input(1, 48, x);
    golden_input(2, 24, g);
    for (i = 0; i < 3; i++) {
        OK(sslcv_tensor_init(&input, SSLCV_F32, x, (int32_t)i + 2, axes[i]));
        OK(sslcv_head_forward(head, &input, NULL, tape));
        OK(sslcv_tape_output(tape, &output));
        ck_assert_int_eq(output.ndim, i + 2);
        for (j = 0; j < i + 1; j++) ck_assert_int_eq(output.shape[j], axes[i][j]);
        ck_assert_int_eq(output.shape[i + 1], 4);
        if (i == 0) memcpy(first, output.data, sizeof first);
        ck_assert_mem_eq(first, output.data, sizeof first);
        CLOSE(norm_of(output.data, 4), 1.0, 1e-6);
        diff = output;
        diff.data = g;
        OK(sslcv_tape_backward(tape, &diff));
        OK(sslcv_tape_diff_input(tape, &diff));
        ck_assert_int_eq(diff.ndim, i + 2);
        ck_assert_int_eq(diff.shape[i + 1], 8);
    }
    OK(sslcv_head_clone(head, &copy));
    OK(sslcv_head_forward(copy, &input, NULL, tape));
    OK(sslcv_tape_output(tape, &output));
    ck_assert_mem_eq(first, output.data, sizeof first);
    sslcv_head_destroy(copy);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(gelu_as_pytorch)
{
    const int64_t few[2] = {4, 6}, more[2] = {8, 6};
    sslcv_mlp_options options = mlp_of(6, 5, 3, 3);
    sslcv_head *head;

    options.activation = SSLCV_ACTIVATION_GELU;
    options.normalize = 1;
    options.norm = SSLCV_NORM_NONE;
    OK(sslcv_head_create_mlp(context, &options, &head));
    check_golden("mlp_gelu", head, 2, few);
    sslcv_head_destroy(head);
    options.norm = SSLCV_NORM_BATCH;
    OK(sslcv_head_create_mlp(context, &options, &head));
    check_golden("mlp_gelu_norm", head, 2, more);
    sslcv_head_destroy(head);
}
END_TEST

/* ---- dropout ---- */

/* One linear layer of dim inputs, all weights 1 and no bias: an output is the sum of what was left. */
static sslcv_head *make_dropping(int64_t dim, int64_t out, double rate)
{
    sslcv_mlp_options options = mlp_of(dim, 0, out, 1);
    sslcv_head *head;
    int64_t i;

    options.dropout = rate;
    options.last_bias = 0;
    OK(sslcv_head_create_mlp(context, &options, &head));
    ck_assert_str_eq(head->net.variables.items[0]->name, "1.weight");
    for (i = 0; i < dim * out; i++) ((float *)head->net.variables.items[0]->value)[i] = 1.0f;
    return head;
}

/* The gradient of an input is 0 where it was dropped, else 1 / (1 - rate): the mask, seen from outside. */
static void masks_of(sslcv_head *head, const sslcv_tensor *input, uint64_t random, float *mask)
{
    const sslcv_pass pass = pass_of(SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, random);
    sslcv_tensor output, diff;
    float ones[64];
    int64_t i;

    for (i = 0; i < 64; i++) ones[i] = 1.0f;
    OK(sslcv_head_forward(head, input, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    diff = output;
    diff.data = ones;
    OK(sslcv_tape_backward(tape, &diff));
    OK(sslcv_tape_diff_input(tape, &diff));
    memcpy(mask, diff.data, (size_t)elements(&diff) * sizeof *mask);
    for (i = 0; i < output.shape[0]; i++) {
        const int64_t dim = input->shape[1];
        double sum = 0;
        int64_t j;

        for (j = 0; j < dim; j++) sum += (double)mask[i * dim + j] * ((const float *)input->data)[i * dim + j];
        CLOSE(((const float *)output.data)[i], sum, 1e-5);
    }
}

START_TEST(dropout_draws_from_the_pass)
{
    enum { ROWS = 4, DIM = 1000 };
    static float x[ROWS * DIM], a[ROWS * DIM], b[ROWS * DIM];
    const int64_t shape[2] = {ROWS, DIM};
    const sslcv_tensor input = drawn(x, 1, 1.0f, 2, shape);
    sslcv_head *head = make_dropping(DIM, 1, 0.25);
    sslcv_tensor output;
    int64_t dropped = 0, equal = 0, i;

    masks_of(head, &input, 1, a);
    for (i = 0; i < ROWS * DIM; i++) {
        dropped += a[i] == 0.0f;
        if (a[i] != 0.0f) CLOSE(a[i], 4.0 / 3.0, 1e-6);
    }
    ck_assert_msg(llabs(dropped - 1000) < 140, "%lld of 4000 are dropped", (long long)dropped); /* 5 deviations */
    masks_of(head, &input, 1, b);
    ck_assert_mem_eq(a, b, sizeof a);
    masks_of(head, &input, 2, b);
    for (i = 0; i < ROWS * DIM; i++) equal += (a[i] == 0.0f) == (b[i] == 0.0f);
    ck_assert_msg(llabs(equal - 2500) < 155, "two draws agree in %lld of 4000", (long long)equal);
    output = run_head(head, &input, SSLCV_PASS_GRADIENT); /* not TRAIN: nothing is dropped */
    for (i = 0; i < ROWS; i++) {
        double sum = 0;
        int64_t j;

        for (j = 0; j < DIM; j++) sum += x[i * DIM + j];
        CLOSE(((const float *)output.data)[i], sum, 1e-5);
    }
    sslcv_head_destroy(head);
    head = make_dropping(DIM, 1, 1.0);
    masks_of(head, &input, 1, a);
    for (i = 0; i < ROWS * DIM; i++) ck_assert(a[i] == 0.0f);
    sslcv_head_destroy(head);
}
END_TEST

static void renew_tape(void)
{
    sslcv_tape_destroy(tape);
    OK(sslcv_tape_create(context, &tape));
}

/* Without a number the tape counts: passes with TRAIN that went through, whatever they drew from. */
START_TEST(tapes_draw_for_each_pass)
{
    enum { ROWS = 4, DIM = 250, PASSES = 3 };
    static float x[ROWS * DIM], masks[PASSES][ROWS * DIM], again[ROWS * DIM];
    const int64_t shape[2] = {ROWS, DIM};
    const sslcv_tensor input = drawn(x, 1, 1.0f, 2, shape);
    sslcv_head *head = make_dropping(DIM, 1, 0.25);
    sslcv_tensor output;
    float sums[ROWS];
    int i, j;

    for (i = 0; i < PASSES; i++) {
        masks_of(head, &input, 0, masks[i]);
        for (j = 0; j < i; j++) ck_assert_mem_ne(masks[i], masks[j], sizeof again);
    }
    renew_tape();
    masks_of(head, &input, 0, again);
    ck_assert_mem_eq(again, masks[0], sizeof again);
    run_head(head, &input, 0); /* draws nothing, nor counts */
    run_head(head, &input, SSLCV_PASS_GRADIENT);
    x[5] = NAN;
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_NUMERIC, "NaN"); /* nor does this */
    drawn(x, 1, 1.0f, 2, shape);
    masks_of(head, &input, 0, again);
    ck_assert_mem_eq(again, masks[1], sizeof again);
    renew_tape();
    masks_of(head, &input, 1, again);
    ck_assert_mem_ne(again, masks[0], sizeof again);
    masks_of(head, &input, 1, masks[0]);
    ck_assert_mem_eq(again, masks[0], sizeof again);
    masks_of(head, &input, 0, again);
    ck_assert_mem_eq(again, masks[2], sizeof again);
    /* NULL is 0 as well. */
    OK(sslcv_head_forward(head, &input, NULL, tape));
    OK(sslcv_tape_output(tape, &output));
    memcpy(sums, output.data, sizeof sums);
    OK(sslcv_head_forward(head, &input, NULL, tape));
    OK(sslcv_tape_output(tape, &output));
    ck_assert_mem_ne(sums, output.data, sizeof sums);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(layers_drop_for_themselves)
{
    const int64_t shape[2] = {1, 64};
    float x[64];
    const sslcv_tensor input = drawn(x, 1, 1.0f, 2, shape);
    sslcv_mlp_options options = mlp_of(64, 64, 64, 2);
    sslcv_tensor output;
    sslcv_head *head;
    int64_t i, equal = 0;
    float *first, *second;

    /* Two layers that do nothing but drop: what is left is what both have left, and is four times as large. */
    options.dropout = 0.5;
    options.norm = SSLCV_NORM_NONE;
    options.bias = options.last_bias = 0;
    OK(sslcv_head_create_mlp(context, &options, &head));
    ck_assert_int_eq(head->net.variables.count, 2);
    ck_assert_str_eq(head->net.variables.items[1]->name, "4.weight");
    first = head->net.variables.items[0]->value;
    second = head->net.variables.items[1]->value;
    memset(first, 0, 64 * 64 * sizeof *first);
    memset(second, 0, 64 * 64 * sizeof *second);
    for (i = 0; i < 64; i++) first[i * 65] = second[i * 65] = 1.0f;
    for (i = 0; i < 64; i++) x[i] = 1.0f + fabsf(x[i]);
    output = run_head(head, &input, SSLCV_PASS_TRAIN);
    for (i = 0; i < 64; i++) {
        const float y = ((const float *)output.data)[i];

        if (y != 0.0f) CLOSE(y, 4.0 * x[i], 1e-6);
        equal += y != 0.0f;
    }
    ck_assert_msg(equal > 4 && equal < 28, "%lld of 64 are left; one mask for both would leave 32", (long long)equal);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(dropout_has_its_gradient)
{
    const int64_t shape[2] = {5, 6};
    float x[30];
    sslcv_tensor input = drawn(x, 1, 2.0f, 2, shape);
    sslcv_mlp_options options = mlp_of(6, 7, 4, 3);
    sslcv_head *head;

    options.dropout = 0.3;
    options.norm = SSLCV_NORM_NONE;
    options.activation = SSLCV_ACTIVATION_GELU;
    options.normalize = 1;
    OK(sslcv_head_create_mlp(context, &options, &head));
    check_finite_differences(head, &input, SSLCV_PASS_TRAIN, 1);
    sslcv_head_destroy(head);
}
END_TEST

/* To an MLP a row is a row: one plan for all axes of as many. Only heads that go by P have one for each. */
START_TEST(rows_share_a_plan)
{
    sslcv_head *head = make_head(8, 16, 4, 2, SSLCV_LAST_NORM_NONE, 0);
    static const int64_t axes[2][4] = {{2, 3, 4, 8}, {2, 6, 2, 8}};
    float x[192];
    sslcv_tensor input, output;
    int64_t i, plans = 0;

    for (i = 0; i < 2; i++) {
        input = drawn(x, 1, 1.0f, 4, axes[i]);
        output = run_head(head, &input, 0);
        ck_assert_mem_eq(output.shape, axes[i], 3 * sizeof *axes[i]);
    }
    for (i = 0; i < SSLCV__TAPE_MAX_PLANS; i++) plans += tape->slots[i].plan != NULL;
    ck_assert_int_eq(plans, 1);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(bad_heads_are_named)
{
    sslcv_head *head = make_head(8, 16, 4, 2, SSLCV_LAST_NORM_NONE, 0), *none = NULL;
    const int64_t wide[2] = {4, 9}, one[2] = {1, 8}, line[1] = {8};
    sslcv_mlp_options options;
    sslcv_tensor input;
    float x[36] = {0};

    OK(sslcv_mlp_options_init(&options, sizeof options));
    FAILS(sslcv_head_create_mlp(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "mlp.in_dim is 0; must be 1");
    options.in_dim = 4;
    options.num_layers = 0;
    FAILS(sslcv_head_create_mlp(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "mlp.num_layers is 0");
    options.num_layers = 2;
    options.init_std = -1;
    FAILS(sslcv_head_create_mlp(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "mlp.init_std is -1");
    options.init_std = 0;
    options.dropout = 1.5;
    FAILS(sslcv_head_create_mlp(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "mlp.dropout is 1.5");
    options.dropout = 0;
    options.activation = 2;
    FAILS(sslcv_head_create_mlp(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "mlp.activation is 2");
    options.activation = 0;
    options.reserved = 1;
    FAILS(sslcv_head_create_mlp(context, &options, &none), SSLCV_ERR_UNSUPPORTED, "mlp.reserved");
    ck_assert_ptr_null(none);
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 2, wide));
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "D = 9; the head takes 8");
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 2, one));
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_LIMIT, "train with 2 or more");
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 1, line));
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "1 dimensions");
    sslcv_head_destroy(head);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head");
    TCase *tests = tcase_create("head");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, heads_are_numbered_as_sequential);
    tcase_add_test(tests, heads_keep_axes);
    tcase_add_test(tests, rows_share_a_plan);
    tcase_add_test(tests, bad_heads_are_named);
    tcase_add_test(tests, gelu_as_pytorch);
    tcase_add_test(tests, dropout_draws_from_the_pass);
    tcase_add_test(tests, tapes_draw_for_each_pass);
    tcase_add_test(tests, layers_drop_for_themselves);
    tcase_add_test(tests, dropout_has_its_gradient);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
