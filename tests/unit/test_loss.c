#include "loss_support.h"

#include "loss/loss.h"

/* What all losses do, shown by two of them. */

static sslcv_loss *new_info_nce(sslcv_context *context, double temperature, int32_t reduction)
{
    sslcv_info_nce_options options;
    sslcv_loss *loss;

    OK(sslcv_info_nce_options_init(&options, sizeof options));
    options.temperature = temperature;
    options.reduction = reduction;
    OK(sslcv_loss_create_info_nce(context, &options, &loss));
    return loss;
}

static sslcv_loss *new_cross_entropy(sslcv_context *context, double smoothing)
{
    sslcv_cross_entropy_options options;
    sslcv_loss *loss;

    OK(sslcv_cross_entropy_options_init(&options, sizeof options));
    options.label_smoothing = smoothing;
    OK(sslcv_loss_create_cross_entropy(context, &options, &loss));
    return loss;
}

static void one_input(loss_test *test, int64_t views, int64_t samples, int64_t dim, float *data, float *diff)
{
    loss_test_init(test);
    loss_test_add(test, views, samples, 1, dim, data, diff);
}

START_TEST(info_and_metrics)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *nce, *ce;
    sslcv_loss_info info = {.struct_size = sizeof info};
    const char *name = "untouched";
    double value = 77.0;

    OK(sslcv_loss_create_info_nce(context, NULL, &nce));
    OK(sslcv_loss_create_cross_entropy(context, NULL, &ce));
    OK(sslcv_loss_get_info(nce, &info));
    ck_assert_str_eq(info.kind, "info_nce");
    ck_assert_int_eq(info.min_inputs, 1);
    ck_assert_int_eq(info.max_inputs, 2);
    ck_assert_uint_eq(info.gradient_inputs, 3);
    ck_assert_int_eq(info.needs_ids + info.needs_labels, 0);
    ck_assert_int_eq(info.bytes, 8);
    OK(sslcv_loss_get_info(ce, &info));
    ck_assert_str_eq(info.kind, "cross_entropy");
    ck_assert_int_eq(info.needs_labels, 1);
    ck_assert_uint_eq(info.gradient_inputs, 1);
    ck_assert_double_eq(loss_metric(nce, "top1"), 0.0);
    FAILS(sslcv_loss_get_metric(nce, 2, &name, &value), SSLCV_ERR_NOT_FOUND, "info_nce has 2 metrics");
    FAILS(sslcv_loss_get_metric(nce, -1, &name, &value), SSLCV_ERR_INVALID_ARGUMENT, "index is -1");
    FAILS(sslcv_loss_get_metric(nce, 0, NULL, &value), SSLCV_ERR_INVALID_ARGUMENT, "name is NULL");
    FAILS(sslcv_loss_get_metric(nce, 0, &name, NULL), SSLCV_ERR_INVALID_ARGUMENT, "value is NULL");
    ck_assert_str_eq(name, "untouched");
    ck_assert_double_eq(value, 77.0);
    info.struct_size = 8;
    FAILS(sslcv_loss_get_info(nce, &info), SSLCV_ERR_INVALID_ARGUMENT, "loss_info.struct_size is 8");
    OK(sslcv_loss_begin_epoch(nce, 0));
    OK(sslcv_loss_begin_epoch(nce, 0));
    FAILS(sslcv_loss_begin_epoch(nce, -1), SSLCV_ERR_INVALID_ARGUMENT, "epoch is -1");
    sslcv_loss_destroy(ce);
    sslcv_loss_destroy(nce);
    sslcv_loss_destroy(NULL);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(numbers_change_and_are_state)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    sslcv_state *state;
    sslcv_tensor scalar;
    double number = 0.0;
    float z[32];
    int64_t index;
    loss_test test;

    OK(sslcv_loss_get_state(loss, &state));
    OK(sslcv_state_find(state, "temperature", &index));
    OK(sslcv_tensor_init(&scalar, SSLCV_F64, &number, 0, NULL));
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &scalar));
    ck_assert_double_eq(number, 0.1);
    OK(sslcv_loss_set(loss, "temperature", 0.5));
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &scalar));
    ck_assert_double_eq(number, 0.5);
    FAILS(sslcv_loss_set(loss, "temperature", 0.0), SSLCV_ERR_INVALID_ARGUMENT,
          "info_nce.temperature is 0; must be > 0");
    FAILS(sslcv_loss_set(loss, "temperature", NAN), SSLCV_ERR_INVALID_ARGUMENT, "must be > 0");
    FAILS(sslcv_loss_set(loss, "temperature", INFINITY), SSLCV_ERR_INVALID_ARGUMENT, "must be > 0");
    FAILS(sslcv_loss_set(loss, "momentum", 1.0), SSLCV_ERR_NOT_FOUND, "info_nce has no number \"momentum\"");
    FAILS(sslcv_loss_set(loss, NULL, 1.0), SSLCV_ERR_INVALID_ARGUMENT, "field is NULL");

    golden_input(1, 16, z);
    golden_input(2, 16, z + 16);
    one_input(&test, 2, 4, 4, z, NULL);
    CLOSE(loss_value(loss, &test), 1.99405125, 1e-6);
    number = -3.0; /* as a file could bring it */
    OK(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &scalar));
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "info_nce.temperature is -3");
    OK(sslcv_loss_set(loss, "temperature", 0.1));
    sslcv_loss_destroy(loss); /* the state keeps it alive */
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &scalar));
    ck_assert_double_eq(number, 0.1);
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(bad_calls_are_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    float z[96], dz[96];
    const int64_t four[4] = {2, 2, 3, 4};
    loss_test test;

    golden_input(56, 96, z);
    FAILS(sslcv_loss_compute(NULL, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    FAILS(sslcv_loss_compute(loss, NULL), SSLCV_ERR_INVALID_ARGUMENT, "call is NULL");
    FAILS(sslcv_loss_call_init(NULL, sizeof test.call), SSLCV_ERR_INVALID_ARGUMENT, "loss_call is NULL");
    OK(sslcv_loss_call_init(&test.call, sizeof test.call));
    ck_assert_double_eq(test.call.scale, 1.0);
    ck_assert_int_eq(test.call.flags, SSLCV_CALL_REMEMBER);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "call.num_inputs is 0; info_nce takes 1 .. 2");
    test.call.num_inputs = 1;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.inputs is NULL");
    test.call.num_inputs = 3;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.num_inputs is 3");

    one_input(&test, 2, 4, 4, z, dz);
    test.inputs[0].ndim = 1;
    test.inputs[0].strides[0] = 1;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0].ndim is 1");
    OK(sslcv_tensor_init(&test.inputs[0], SSLCV_F32, z, 4, four));
    test.call.diff_inputs = NULL;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] has 3 positions");
    one_input(&test, 2, 0, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0].shape[1] is 0");
    one_input(&test, 2, 4, 4, NULL, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0]");
    one_input(&test, 2, 4, 4, z, dz);
    test.inputs[0].dtype = SSLCV_F64;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0].dtype is f64; must be f32");
    one_input(&test, 2, 4, 4, z, dz);
    test.inputs[0].strides[1] = 5;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] is not dense");
    one_input(&test, 2, 4, 4, z, dz);
    test.diffs[0].shape[1] = 3;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "diff_inputs[0]");

    one_input(&test, 2, 4, 4, z, dz);
    loss_test_add(&test, 2, 3, 1, 4, z, dz);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 3 samples, inputs[0] 4");

    one_input(&test, 2, 4, 4, z, dz);
    test.call.flags = 6;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.flags is 6");
    one_input(&test, 2, 4, 4, z, dz);
    test.call.reserved = 6;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_UNSUPPORTED, "call.reserved");
    one_input(&test, 2, 4, 4, z, dz);
    test.call.scale = INFINITY;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.scale is inf");
    one_input(&test, 2, 4, 4, z, dz);
    test.call.step = -1;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.step is -1");
    test.call.step = 0;
    test.call.flags = 0;
    OK(sslcv_loss_compute(loss, &test.call));
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* NaN or infinity: value and gradients are as they were, the next call works. */
START_TEST(nan_leaves_the_call_untouched)
{
    static const float bad[3] = {NAN, INFINITY, -INFINITY};
    const int64_t labels[4] = {0, 1, 2, 3};
    sslcv_context *context = new_context(NULL, 2);
    int i, kind, j;

    for (kind = 0; kind < 2; kind++) {
        sslcv_loss *loss = kind ? new_cross_entropy(context, 0.0) : new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);

        for (i = 0; i < 3; i++) {
            float z[32], dz[32];
            loss_test test;

            golden_input(57, 32, z);
            for (j = 0; j < 32; j++) dz[j] = 5.0f;
            z[17] = bad[i];
            one_input(&test, 2, 4, 4, z, dz);
            test.call.labels = labels;
            test.call.value = 9.0;
            FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "inputs[0] has NaN or infinity");
            ck_assert_double_eq(test.call.value, 9.0);
            ck_assert_double_eq(loss_metric(loss, "top1"), 0.0);
            for (j = 0; j < 32; j++) ck_assert_float_eq(dz[j], 5.0f);
        }
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(only_wanted_gradients_are_filled)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    float z[32], all[32], part[32];
    int i;
    loss_test test;

    golden_input(58, 32, z);
    one_input(&test, 1, 4, 4, z, all);
    loss_test_add(&test, 1, 4, 1, 4, z + 16, all + 16);
    loss_value(loss, &test);
    for (i = 0; i < 32; i++) part[i] = 3.0f;
    test.diffs[0].data = NULL;
    test.diffs[1].data = part + 16;
    loss_value(loss, &test);
    for (i = 0; i < 16; i++) ck_assert_float_eq(part[i], 3.0f);
    for (i = 16; i < 32; i++) ck_assert_float_eq(part[i], all[i]);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* Memory is taken once: by the first call, or ahead of it. */
START_TEST(steady_calls_allocate_nothing)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    sslcv_loss_info info = {.struct_size = sizeof info};
    float z[64], dz[64];
    int64_t calls, bytes;
    loss_test test;

    golden_input(59, 64, z);
    one_input(&test, 2, 8, 4, z, dz);
    OK(sslcv__loss_reserve(loss, test.inputs, 1));
    OK(sslcv_loss_get_info(loss, &info));
    bytes = info.bytes;
    ck_assert_int_ge(bytes, 2 * 64 * 4 + 16 * 16 * 4);
    calls = h.calls;
    loss_value(loss, &test);
    one_input(&test, 2, 4, 4, z, dz);
    loss_value(loss, &test);
    one_input(&test, 1, 8, 4, z, dz);
    loss_test_add(&test, 1, 8, 1, 4, z + 32, dz + 32);
    loss_value(loss, &test);
    ck_assert_int_eq(h.calls, calls);
    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_int_eq(info.bytes, bytes);
    FAILS(sslcv__loss_reserve(loss, test.inputs, 3), SSLCV_ERR_INVALID_ARGUMENT, "call.num_inputs is 3");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

static sslcv_status create_and_compute(sslcv_context *context, int kind, sslcv_state **state)
{
    const int64_t labels[4] = {0, 1, 2, 3};
    float z[32], dz[32];
    sslcv_loss *loss = NULL;
    sslcv_status status;
    loss_test test;

    golden_input(60, 32, z);
    one_input(&test, 2, 4, 4, z, dz);
    test.call.labels = labels;
    status =
        kind ? sslcv_loss_create_cross_entropy(context, NULL, &loss) : sslcv_loss_create_info_nce(context, NULL, &loss);
    if (status == SSLCV_OK) status = sslcv_loss_compute(loss, &test.call);
    if (status == SSLCV_OK) status = sslcv_loss_get_state(loss, state);
    ck_assert(loss != NULL || status == SSLCV_ERR_OUT_OF_MEMORY);
    sslcv_loss_destroy(loss);
    return status;
}

START_TEST(any_allocation_may_fail)
{
    int kind;

    for (kind = 0; kind < 2; kind++) {
        host h = {.fail_at = -1};
        sslcv_context *context = new_context(&h, 1);
        const int64_t before = h.out;
        sslcv_state *state = NULL;
        int64_t n;
        sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;

        for (n = 0; status != SSLCV_OK; n++) {
            ck_assert_int_lt(n, 100);
            h.calls = 0;
            h.fail_at = n;
            status = create_and_compute(context, kind, &state);
            if (status == SSLCV_OK) break;
            ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
            ck_assert_ptr_null(state);
            ck_assert_int_eq(h.out, before);
        }
        ck_assert_int_gt(n, 3);
        sslcv_state_destroy(state);
        sslcv_context_destroy(context);
        ck_assert_int_eq(h.out, 0);
    }
}
END_TEST

START_TEST(same_bits_each_time)
{
    enum { COUNT = 2 * 40 * 33 };
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *loss = new_info_nce(context, 0.1, SSLCV_REDUCTION_MEAN);
    static float z[COUNT], first[COUNT], again[COUNT];
    double value;
    int round;
    loss_test test;

    golden_input(61, COUNT, z);
    one_input(&test, 2, 40, 33, z, first);
    value = loss_value(loss, &test);
    one_input(&test, 2, 40, 33, z, again);
    for (round = 0; round < 5; round++) {
        ck_assert_double_eq(loss_value(loss, &test), value);
        ck_assert_mem_eq(again, first, sizeof first);
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, info_and_metrics);
    tcase_add_test(all, numbers_change_and_are_state);
    tcase_add_test(all, bad_calls_are_refused);
    tcase_add_test(all, nan_leaves_the_call_untouched);
    tcase_add_test(all, only_wanted_gradients_are_filled);
    tcase_add_test(all, steady_calls_allocate_nothing);
    tcase_add_test(all, any_allocation_may_fail);
    tcase_add_test(all, same_bits_each_time);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
