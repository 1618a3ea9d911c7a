#include "cpc_support.h"

#include "loss/loss.h"

/* ---- what a call leaves ---- */

enum { SMALL = 2 * 12 * 4 }; /* values of two images, 4 x 3 places, 4 dimensions */

static sslcv_cpc_options small_options(int64_t negatives, int64_t target_dim)
{
    sslcv_cpc_options o = new_options(4, 4, 3);

    o.last_offset = 2;
    o.num_negatives = negatives;
    o.target_dim = target_dim;
    return o;
}

static int64_t read_draws(sslcv_loss *loss)
{
    int64_t draws;

    loss_read(loss, "draws", SSLCV_STATE_VALUE, SSLCV_I64, 1, &draws);
    return draws;
}

START_TEST(draws_advance_with_calls_that_remember)
{
    sslcv_context *context = new_context(NULL, 2);
    const sslcv_cpc_options o = small_options(5, 0);
    sslcv_loss *loss = new_cpc(context, &o), *other = new_cpc(context, &o);
    float z[SMALL], c[SMALL], dz[3][SMALL];
    double values[3];
    int64_t draws = 1, i;
    loss_test t;

    golden_input(11, SMALL, z);
    golden_input(12, SMALL, c);
    set_call(&t, &o, 2, z, c, dz[0], NULL);
    t.call.flags = 0;
    for (i = 0; i < 2; i++) {
        t.diffs[0].data = dz[i];
        values[i] = loss_value(loss, &t);
        ck_assert_int_eq(read_draws(loss), 0);
    }
    ck_assert_double_eq(values[0], values[1]);
    ck_assert_mem_eq(dz[0], dz[1], sizeof dz[0]);
    t.call.flags = SSLCV_CALL_REMEMBER;
    for (i = 0; i < 3; i++) {
        t.diffs[0].data = dz[i];
        values[i] = loss_value(loss, &t);
        ck_assert_int_eq(read_draws(loss), i + 1);
    }
    ck_assert(values[0] != values[1] && values[1] != values[2]);
    /* Another of the same seed, put there by its state, goes on alike. */
    loss_write(other, "draws", SSLCV_STATE_VALUE, SSLCV_I64, 1, &draws);
    for (i = 1; i < 3; i++) {
        t.diffs[0].data = dz[0];
        ck_assert_double_eq(loss_value(other, &t), values[i]);
        ck_assert_mem_eq(dz[0], dz[i], sizeof dz[0]);
    }
    z[7] = NAN;
    FAILS(sslcv_loss_compute(loss, &t.call), SSLCV_ERR_NUMERIC, "inputs[0] has NaN");
    ck_assert_int_eq(read_draws(loss), 3);
    sslcv_loss_destroy(loss);
    sslcv_loss_destroy(other);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(gradients_of_parameters_add_up)
{
    sslcv_context *context = new_context(NULL, 2);
    const sslcv_cpc_options o = small_options(0, 3);
    sslcv_loss *loss = new_cpc(context, &o);
    sslcv_state *state;
    float z[SMALL], c[SMALL], dz[SMALL], once[12], now[12];
    loss_test t;
    int i;

    golden_input(13, SMALL, z);
    golden_input(14, SMALL, c);
    set_call(&t, &o, 2, z, c, dz, NULL);
    loss_value(loss, &t);
    loss_read(loss, "predictor.0.2.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, once);
    t.call.scale = 3.0;
    t.diffs[0].data = NULL; /* those of the parameters all the same */
    loss_value(loss, &t);
    loss_read(loss, "predictor.0.2.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, now);
    for (i = 0; i < 12; i++) ck_assert_float_eq_tol(now[i], 4.0f * once[i], 1e-6f);
    t.call.diff_inputs = NULL; /* value only */
    loss_value(loss, &t);
    loss_read(loss, "predictor.0.2.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, once);
    ck_assert_mem_eq(once, now, sizeof now);
    /* Frozen ones get none. */
    OK(sslcv_loss_get_state(loss, &state));
    OK(sslcv_state_freeze(state, "predictor.0.2", 1));
    sslcv_state_destroy(state);
    t.call.diff_inputs = t.diffs;
    loss_value(loss, &t);
    loss_read(loss, "predictor.0.2.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, once);
    ck_assert_mem_eq(once, now, sizeof now);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(info_names_and_first_values)
{
    static const char *const names[] = {
        "score_scale",        "predictor.0.1.weight", "predictor.0.1.bias", "predictor.0.2.weight",
        "predictor.0.2.bias", "target.0.weight",      "target.0.bias",      "draws"};
    sslcv_context *context = new_context(NULL, 2);
    sslcv_cpc_options o = small_options(16, 16);
    sslcv_loss *loss, *same, *other;
    sslcv_loss_info info = {.struct_size = sizeof info};
    sslcv_state *state;
    int64_t bytes, i, index;
    float a[64], b[64], largest = 0.0f;
    double sum = 0.0;

    o.dim = 4;
    loss = new_cpc(context, &o);
    same = new_cpc(context, &o);
    o.seed = 6;
    other = new_cpc(context, &o);
    OK(sslcv_loss_get_info(loss, &info));
    bytes = info.bytes;
    ck_assert_str_eq(info.kind, "cpc");
    ck_assert(info.min_inputs == 2 && info.max_inputs == 2 && info.gradient_inputs == 3);
    ck_assert(info.needs_ids == 0 && info.needs_labels == 0);
    ck_assert_int_eq(bytes, 3 * (64 + 16) * 4 + 8 + 8);
    OK(sslcv_loss_get_state(loss, &state));
    for (i = 0; i < 8; i++) {
        OK(sslcv_state_find(state, names[i], &index));
        ck_assert_int_eq(index, i);
    }
    sslcv_state_destroy(state);
    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_int_eq(info.bytes, bytes);
    loss_read(loss, "target.0.weight", SSLCV_STATE_VALUE, SSLCV_F32, 64, a);
    for (i = 0; i < 64; i++) {
        largest = fmaxf(largest, fabsf(a[i]));
        sum += (double)a[i];
    }
    ck_assert(largest <= 0.5f && largest > 0.45f && fabs(sum) < 8.0); /* +-1 / sqrt(4) */
    loss_read(same, "target.0.weight", SSLCV_STATE_VALUE, SSLCV_F32, 64, b);
    ck_assert_mem_eq(a, b, sizeof a);
    loss_read(other, "target.0.weight", SSLCV_STATE_VALUE, SSLCV_F32, 64, b);
    ck_assert_mem_ne(a, b, sizeof a);
    loss_read(loss, "predictor.0.1.weight", SSLCV_STATE_VALUE, SSLCV_F32, 64, b);
    ck_assert_mem_ne(a, b, sizeof a);
    sslcv_loss_destroy(loss);
    sslcv_loss_destroy(same);
    sslcv_loss_destroy(other);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- hard numbers ---- */

START_TEST(large_scores_do_not_overflow)
{
    sslcv_context *context = new_context(NULL, 2);
    sslcv_cpc_options o = small_options(_i ? 8 : 0, 0);
    float z[SMALL], c[SMALL], dz[SMALL], dc[SMALL], zero[16] = {0}, before[16], now[16];
    sslcv_loss *loss;
    loss_test t;
    int64_t draws = 0;
    int i;

    loss = new_cpc(context, &o);
    set_identity(loss);
    for (i = 0; i < SMALL; i++) {
        z[i] = i / 4 % 2 ? 100.0f : -100.0f;
        c[i] = 25.0f; /* scores of +-1e4 */
    }
    set_call(&t, &o, 2, z, c, dz, dc);
    loss_value(loss, &t);
    ck_assert_double_gt(t.call.value, 3e3);
    ck_assert_double_lt(t.call.value, 2e4);
    for (i = 0; i < SMALL; i++) ck_assert(isfinite(dz[i]) && isfinite(dc[i]));
    /* Scores, or only gradients, beyond what a float holds: an error, and nothing written. */
    for (i = 0; i < SMALL; i++) {
        z[i] *= 1e18f;
        c[i] *= 1e19f;
        dz[i] = dc[i] = 5.0f;
    }
    t.call.value = 9.0;
    if (o.num_negatives) draws = read_draws(loss);
    loss_read(loss, "predictor.0.1.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 16, before);
    FAILS(sslcv_loss_compute(loss, &t.call), SSLCV_ERR_NUMERIC, "the value of cpc is");
    loss_write(loss, "predictor.0.1.weight", SSLCV_STATE_VALUE, SSLCV_F32, 16, zero);
    loss_write(loss, "predictor.0.2.weight", SSLCV_STATE_VALUE, SSLCV_F32, 16, zero);
    FAILS(sslcv_loss_compute(loss, &t.call), SSLCV_ERR_NUMERIC, "a gradient of cpc overflows");
    for (i = 0; i < SMALL; i++) ck_assert(dz[i] == 5.0f && dc[i] == 5.0f);
    ck_assert_double_eq(t.call.value, 9.0);
    loss_read(loss, "predictor.0.1.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 16, now);
    ck_assert_mem_eq(now, before, sizeof now);
    if (o.num_negatives) ck_assert_int_eq(read_draws(loss), draws);
    /* Zeros, and the smallest and largest scale. */
    memset(z, 0, sizeof z);
    CLOSE(loss_value(loss, &t), log(o.num_negatives ? 9.0 : 24.0), 1e-6);
    golden_input(15, SMALL, z);
    golden_input(16, SMALL, c);
    set_identity(loss);
    OK(sslcv_loss_set(loss, "score_scale", 1e-300));
    CLOSE(loss_value(loss, &t), log(o.num_negatives ? 9.0 : 24.0), 1e-6);
    OK(sslcv_loss_set(loss, "score_scale", 1e30));
    loss_value(loss, &t);
    ck_assert(isfinite(t.call.value));
    for (i = 0; i < SMALL; i++) ck_assert(isfinite(dz[i]) && isfinite(dc[i]));
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- bad input ---- */

START_TEST(options_are_checked)
{
    sslcv_context *context = new_context(NULL, 1);
    const sslcv_cpc_options good = small_options(0, 0);
    sslcv_cpc_options bad;
    sslcv_loss *loss = NULL;
    sslcv_state *state = NULL;

    FAILS(sslcv_loss_create_cpc(context, NULL, &loss), SSLCV_ERR_INVALID_ARGUMENT, "options is NULL");
    FAILS(sslcv_loss_create_cpc(context, &good, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    FAILS(sslcv_loss_create_cpc(NULL, &good, &loss), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
#define BAD(field, number, status, text)                                                                               \
    bad = good;                                                                                                        \
    bad.field = number;                                                                                                \
    FAILS(sslcv_loss_create_cpc(context, &bad, &loss), status, text)
    BAD(dim, 0, SSLCV_ERR_INVALID_ARGUMENT, "cpc.dim is 0; must be 1 ..");
    BAD(context_dim, -1, SSLCV_ERR_INVALID_ARGUMENT, "cpc.context_dim is -1; must be 0 ..");
    BAD(rows, 0, SSLCV_ERR_INVALID_ARGUMENT, "cpc.rows is 0; must be 1 ..");
    BAD(columns, INT64_MAX, SSLCV_ERR_INVALID_ARGUMENT, "cpc.columns is 9223372036854775807; must be 1 ..");
    BAD(columns, INT32_MAX, SSLCV_ERR_LIMIT, "cpc.rows * columns is 8589934588; must be");
    BAD(first_offset, 0, SSLCV_ERR_INVALID_ARGUMENT, "cpc.first_offset is 0; must be 1 ..");
    BAD(last_offset, 0, SSLCV_ERR_INVALID_ARGUMENT, "cpc.last_offset is 0; must be 1 ..");
    BAD(last_offset, 4, SSLCV_ERR_LIMIT, "cpc.last_offset is 4; must be less than rows 4");
    BAD(num_negatives, -2, SSLCV_ERR_INVALID_ARGUMENT, "cpc.num_negatives is -2; must be 0 ..");
    BAD(target_dim, -1, SSLCV_ERR_INVALID_ARGUMENT, "cpc.target_dim is -1; must be 0 ..");
    BAD(score_scale, 0.0, SSLCV_ERR_INVALID_ARGUMENT, "cpc.score_scale is 0; must be > 0");
    BAD(score_scale, (double)NAN, SSLCV_ERR_INVALID_ARGUMENT, "cpc.score_scale is nan; must be > 0");
    BAD(score_scale, 1e39, SSLCV_ERR_INVALID_ARGUMENT, "cpc.score_scale is 1e+39; must be");
    BAD(directions, 2, SSLCV_ERR_INVALID_ARGUMENT, "cpc.directions is 2; must be 1 or 4");
    BAD(reduction, 2, SSLCV_ERR_INVALID_ARGUMENT, "cpc.reduction is 2; must be");
#undef BAD
    bad = good;
    bad.directions = 4;
    bad.columns = 2;
    FAILS(sslcv_loss_create_cpc(context, &bad, &loss), SSLCV_ERR_LIMIT,
          "last_offset is 2; must be less than columns 2");
    bad = good;
    bad.dim = bad.context_dim = INT32_MAX;
    OK(sslcv_loss_create_cpc(context, &bad, &loss));
    FAILS(sslcv_loss_get_state(loss, &state), SSLCV_ERR_LIMIT, "cpc has more parameters than fit");
    sslcv_loss_destroy(loss);
    bad.dim = bad.context_dim = 1 << 20;
    OK(sslcv_loss_create_cpc(context, &bad, &loss)); /* memory is taken later */
    FAILS(sslcv_loss_get_state(loss, &state), SSLCV_ERR_LIMIT, "cpc needs");
    FAILS(sslcv_loss_set(loss, "score_scale", -1.0), SSLCV_ERR_INVALID_ARGUMENT, "cpc.score_scale is -1");
    FAILS(sslcv_loss_set(loss, "temperature", 1.0), SSLCV_ERR_NOT_FOUND, "cpc has no number \"temperature\"");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(bad_calls_are_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    const sslcv_cpc_options o = small_options(2, 0);
    sslcv_loss *loss = new_cpc(context, &o);
    float z[2 * SMALL], c[2 * SMALL];
    loss_test t;

    golden_input(17, 2 * SMALL, z);
    golden_input(18, 2 * SMALL, c);
    set_call(&t, &o, 2, z, c, NULL, NULL);
    loss_value(loss, &t);
#define BAD(input, axis, extent, text)                                                                                 \
    set_call(&t, &o, 2, z, c, NULL, NULL);                                                                             \
    t.inputs[input].shape[axis] = extent;                                                                              \
    t.inputs[input].strides[2] = t.inputs[input].shape[3];                                                             \
    t.inputs[input].strides[1] = t.inputs[input].shape[2] * t.inputs[input].shape[3];                                  \
    t.inputs[input].strides[0] = t.inputs[input].shape[1] * t.inputs[input].strides[1];                                \
    t.call.diff_inputs = NULL;                                                                                         \
    FAILS(sslcv_loss_compute(loss, &t.call), SSLCV_ERR_INVALID_ARGUMENT, text)
    BAD(0, 0, 2, "inputs[0] has 2 views; cpc takes 1");
    BAD(1, 0, 2, "inputs[1] has 2 views; cpc takes 1");
    BAD(0, 2, 11, "inputs[0] has 11 positions; must be 12, cpc's rows * columns");
    BAD(1, 2, 24, "inputs[1] has 24 positions; must be 12");
    BAD(0, 3, 3, "inputs[0] has 3 dimensions; must be 4, cpc's dim");
    BAD(1, 3, 5, "inputs[1] has 5 dimensions; must be 4, cpc's directions * context_dim");
    BAD(1, 1, 1, "inputs[1] has 1 samples, inputs[0] 2; must be equal");
#undef BAD
    set_call(&t, &o, 2, z, c, NULL, NULL);
    t.call.num_inputs = 1;
    FAILS(sslcv_loss_compute(loss, &t.call), SSLCV_ERR_INVALID_ARGUMENT, "call.num_inputs is 1; cpc takes 2 .. 2");
    ck_assert_int_eq(read_draws(loss), 1);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- memory and threads ---- */

static sslcv_status create_and_compute(sslcv_context *context, const sslcv_cpc_options *o, loss_test *t,
                                       sslcv_loss **out)
{
    sslcv_loss *loss = NULL;
    sslcv_status status = sslcv_loss_create_cpc(context, o, &loss);

    if (status == SSLCV_OK) status = sslcv_loss_compute(loss, &t->call);
    if (status != SSLCV_OK) {
        sslcv_loss_destroy(loss);
        loss = NULL;
    }
    *out = loss;
    return status;
}

START_TEST(any_allocation_may_fail)
{
    const sslcv_cpc_options o = small_options(_i ? 3 : 0, 3);
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    const int64_t before = h.out;
    float z[SMALL], c[SMALL], dz[SMALL];
    sslcv_loss *loss = NULL;
    int64_t n, calls;
    loss_test t;

    golden_input(19, SMALL, z);
    golden_input(20, SMALL, c);
    set_call(&t, &o, 2, z, c, dz, NULL);
    for (n = 0; !loss; n++) {
        sslcv_status status;

        ck_assert_int_lt(n, 100);
        h.calls = 0;
        h.fail_at = n;
        status = create_and_compute(context, &o, &t, &loss);
        ck_assert_int_eq(status, loss ? SSLCV_OK : SSLCV_ERR_OUT_OF_MEMORY);
        if (!loss) ck_assert_int_eq(h.out, before);
    }
    ck_assert_int_gt(n, 10);
    /* A smaller call, and one without gradients, take nothing more. */
    calls = h.calls;
    loss_value(loss, &t);
    set_call(&t, &o, 1, z, c, NULL, NULL);
    loss_value(loss, &t);
    ck_assert_int_eq(h.calls, calls);
    OK(sslcv__loss_reserve(loss, t.inputs, 2));
    ck_assert_int_eq(h.calls, calls);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

START_TEST(same_bits_each_time)
{
    enum { SAMPLES = 5, PLACES = 30, DIM = 33, COUNT = SAMPLES * PLACES * DIM };
    static float z[COUNT], c[4 * COUNT], dz[3][COUNT], dc[3][4 * COUNT], dw[3][DIM * DIM];
    double values[3];
    int run;
    int64_t i;

    golden_input(21, COUNT, z);
    golden_input(22, 4 * COUNT, c);
    for (run = 0; run < 3; run++) {
        sslcv_context *context = new_context(NULL, run < 2 ? 2 : 1);
        sslcv_cpc_options o = new_options(DIM, 6, 5);
        sslcv_loss *loss;
        loss_test t;

        o.last_offset = 3;
        o.directions = 4;
        o.num_negatives = _i ? 16 : 0;
        loss = new_cpc(context, &o);
        set_call(&t, &o, SAMPLES, z, c, dz[run], dc[run]);
        values[run] = loss_value(loss, &t);
        loss_read(loss, "predictor.3.2.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, DIM * DIM, dw[run]);
        sslcv_loss_destroy(loss);
        sslcv_context_destroy(context);
    }
    ck_assert_double_eq(values[0], values[1]);
    ck_assert_mem_eq(dz[0], dz[1], sizeof dz[0]);
    ck_assert_mem_eq(dc[0], dc[1], sizeof dc[0]);
    ck_assert_mem_eq(dw[0], dw[1], sizeof dw[0]);
    CLOSE(values[2], values[0], 1e-6);
    for (i = 0; i < COUNT; i++) ck_assert_float_eq_tol(dz[2][i], dz[0][i], 1e-7f);
    for (i = 0; i < 4 * COUNT; i++) ck_assert_float_eq_tol(dc[2][i], dc[0][i], 1e-7f);
    for (i = 0; i < DIM * DIM; i++) ck_assert_float_eq_tol(dw[2][i], dw[0][i], 1e-7f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_cpc_calls");
    TCase *tests = tcase_create("calls");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, large_scores_do_not_overflow, 0, 2);
    tcase_add_test(tests, draws_advance_with_calls_that_remember);
    tcase_add_test(tests, gradients_of_parameters_add_up);
    tcase_add_test(tests, info_names_and_first_values);
    tcase_add_test(tests, options_are_checked);
    tcase_add_test(tests, bad_calls_are_refused);
    tcase_add_loop_test(tests, any_allocation_may_fail, 0, 2);
    tcase_add_loop_test(tests, same_bits_each_time, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
