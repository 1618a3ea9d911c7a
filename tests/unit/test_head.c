/* Heads through the public calls: names, axes, bad input. */
#include "backbone_support.h"

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
    tcase_add_test(tests, bad_heads_are_named);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
