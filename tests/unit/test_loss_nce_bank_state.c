#include "nce_bank_support.h"

/* ---- what it remembers ---- */

START_TEST(rows_are_updated)
{
    enum { D = 5, ROWS = 12 };
    static fixture f;
    static float before[2][ROWS * D];
    sslcv_context *context = f32_context();
    sslcv_nce_bank_options o = options_of(ROWS, 4, D, SSLCV_BANK_CORE, 2, SSLCV_ESTIMATOR_NCE);
    int64_t b, r, i, d;

    set_up(&f, context, &o, 4);
    f.ids[3] = f.ids[0]; /* twice: the last counts, and meets the row as it was */
    for (b = 0; b < 2; b++) {
        loss_read(f.loss, bank_name(b), SSLCV_STATE_VALUE, SSLCV_F32, ROWS * D, before[b]);
    }
    loss_value(f.loss, &f.test);
    for (b = 0; b < 2; b++) {
        read_bank(&f, b);
        for (r = 0; r < ROWS; r++) {
            double expected[D], norm = 0.0, length = 0.0;
            int64_t found = -1;

            for (i = 0; i < 4; i++) found = f.ids[i] == r ? i : found;
            if (found < 0) {
                ck_assert_mem_eq(f.bank + r * D, before[b] + r * D, D * sizeof(float));
                continue;
            }
            for (d = 0; d < D; d++) norm += pow((double)f.x[b][found * D + d], 2.0);
            for (d = 0; d < D; d++) {
                expected[d] = 0.5 * (double)before[b][r * D + d] + 0.5 * (double)f.x[b][found * D + d] / sqrt(norm);
                length += expected[d] * expected[d];
            }
            for (d = 0; d < D; d++) CLOSE((double)f.bank[r * D + d], expected[d] / sqrt(length), 1e-6);
        }
    }
    /* At 1 all rests; at 0 rows are unit inputs; a zero input leaves a finite row. */
    OK(sslcv_loss_set(f.loss, "bank_momentum", 1.0));
    memcpy(before[1], f.bank, sizeof before[1]);
    loss_value(f.loss, &f.test);
    read_bank(&f, 1);
    ck_assert_mem_eq(before[1], f.bank, sizeof before[1]);
    OK(sslcv_loss_set(f.loss, "bank_momentum", 0.0));
    memset(f.x[1] + D, 0, D * sizeof(float));
    loss_value(f.loss, &f.test);
    read_bank(&f, 1);
    ck_assert_mem_eq(before[1] + f.ids[1] * D, f.bank + f.ids[1] * D, D * sizeof(float));
    for (d = 0; d < D; d++) {
        double norm = 0.0;

        for (i = 0; i < D; i++) norm += pow((double)f.x[1][2 * D + i], 2.0);
        CLOSE((double)f.bank[f.ids[2] * D + d], (double)f.x[1][2 * D + d] / sqrt(norm), 1e-6);
    }
    sslcv_loss_destroy(f.loss);
    sslcv_context_destroy(context);
}
END_TEST

/* Only the image moves PIRL's bank, and it is scored before. */
START_TEST(single_bank_follows_the_image)
{
    enum { D = 4, ROWS = 6 };
    static fixture f;
    sslcv_context *context = f32_context();
    sslcv_nce_bank_options o = options_of(ROWS, 3, D, SSLCV_BANK_SINGLE, 2, SSLCV_ESTIMATOR_SOFTMAX);
    double first, second;
    int64_t d;

    o.bank_momentum = 0.0;
    o.balance = 0.0;
    o.exclude_self = 1;
    set_up(&f, context, &o, 1);
    memset(f.bank, 0, sizeof f.bank);
    for (d = 0; d < ROWS; d++) f.bank[d * D + 1] = 1.0f;
    write_bank(&f, 0);
    for (d = 0; d < D; d++) f.x[0][d] = (float)(d == 0);
    first = loss_value(f.loss, &f.test);
    second = loss_value(f.loss, &f.test);
    CLOSE(first, log(4.0), 1e-6); /* orthogonal to its own row, which it then becomes */
    CLOSE(second, log(1.0 + 3.0 * exp(-1.0 / 0.07)), 1e-6);
    read_bank(&f, 0);
    for (d = 0; d < D; d++) ck_assert(f.bank[f.ids[0] * D + d] == f.x[0][d]);
    sslcv_loss_destroy(f.loss);
    sslcv_context_destroy(context);
}
END_TEST

/* A sample's row is its own after epochs in any order. */
START_TEST(rows_belong_to_their_samples)
{
    enum { ROWS = 23, BATCH = 5 };
    static fixture f;
    sslcv_context *context = f32_context();
    sslcv_nce_bank_options o = options_of(ROWS, 3, 2, SSLCV_BANK_SINGLE, 1, SSLCV_ESTIMATOR_NCE);
    int64_t order[ROWS], epoch, at, i, r;
    sslcv__rng rng;

    o.bank_momentum = 0.0;
    set_up(&f, context, &o, BATCH);
    sslcv__rng_init(&rng, 1, 2, 3);
    for (epoch = 0; epoch < 2; epoch++) {
        sslcv__rng_permutation(&rng, order, ROWS);
        for (at = 0; at < ROWS; at += BATCH) {
            const int64_t count = ROWS - at < BATCH ? ROWS - at : BATCH; /* the last batch is smaller */

            for (i = 0; i < count; i++) {
                f.ids[i] = order[at + i];
                f.x[0][2 * i] = (float)cos((double)order[at + i]);
                f.x[0][2 * i + 1] = (float)sin((double)order[at + i]);
            }
            f.test.call.num_inputs = 0;
            loss_test_add(&f.test, 1, count, 1, 2, f.x[0], f.diff[0]);
            loss_value(f.loss, &f.test);
        }
    }
    read_bank(&f, 0);
    for (r = 0; r < ROWS; r++) {
        CLOSE((double)f.bank[2 * r], cos((double)r), 1e-6);
        CLOSE((double)f.bank[2 * r + 1], sin((double)r), 1e-6);
    }
    sslcv_loss_destroy(f.loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(z_is_set_once)
{
    static fixture f;
    sslcv_context *context = f32_context();
    int32_t shared;

    for (shared = 0; shared < 2; shared++) {
        sslcv_nce_bank_options o = options_of(40, 20, 8, SSLCV_BANK_CORE, 2, SSLCV_ESTIMATOR_NCE);
        const int64_t count = shared ? 1 : 2;
        double z[2] = {-1.0, -1.0}, again[2], set[2] = {40.0, 80.0};
        double before;

        o.shared_z = shared;
        set_up(&f, context, &o, 6);
        f.test.call.flags = 0;
        before = loss_value(f.loss, &f.test);
        loss_read(f.loss, "z", SSLCV_STATE_VALUE, SSLCV_F64, count, z);
        ck_assert(z[0] == 0.0 && loss_metric(f.loss, "z") > 0.0);
        f.test.call.flags = SSLCV_CALL_REMEMBER;
        ck_assert(loss_value(f.loss, &f.test) == before);
        loss_read(f.loss, "z", SSLCV_STATE_VALUE, SSLCV_F64, count, z);
        ck_assert(z[0] > 0.0 && z[0] == loss_metric(f.loss, "z"));
        loss_value(f.loss, &f.test);
        loss_read(f.loss, "z", SSLCV_STATE_VALUE, SSLCV_F64, count, again);
        ck_assert_mem_eq(z, again, (size_t)count * sizeof *z);
        loss_write(f.loss, "z", SSLCV_STATE_VALUE, SSLCV_F64, count, set);
        loss_value(f.loss, &f.test);
        ck_assert(loss_metric(f.loss, "z") == 40.0);
        /* What a file may bring. */
        set[0] = -1.0;
        loss_write(f.loss, "z", SSLCV_STATE_VALUE, SSLCV_F64, count, set);
        FAILS(sslcv_loss_compute(f.loss, &f.test.call), SSLCV_ERR_INVALID_ARGUMENT, "z[0] is -1; must be > 0");
        set[0] = NAN;
        loss_write(f.loss, "z", SSLCV_STATE_VALUE, SSLCV_F64, count, set);
        FAILS(sslcv_loss_compute(f.loss, &f.test.call), SSLCV_ERR_INVALID_ARGUMENT, "z[0] is nan");
        sslcv_loss_destroy(f.loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* Everything a loss remembers, as bytes. */
static int64_t copy_state(sslcv_loss *loss, char *bytes, int set)
{
    sslcv_state *state;
    int64_t at = 0, i;

    OK(sslcv_loss_get_state(loss, &state));
    for (i = 0;; i++) {
        sslcv_state_entry entry = {.struct_size = sizeof entry};
        sslcv_tensor tensor;

        if (sslcv_state_get_entry(state, i, &entry) != SSLCV_OK) break;
        OK(sslcv_tensor_init(&tensor, entry.dtype, bytes + at, entry.ndim, entry.shape));
        OK(set ? sslcv_state_set(state, i, SSLCV_STATE_VALUE, &tensor)
               : sslcv_state_get(state, i, SSLCV_STATE_VALUE, &tensor));
        at += (loss_entry_count(&entry) * sslcv_dtype_size(entry.dtype) + 63) / 64 * 64;
        ck_assert_int_lt(at, 1 << 15);
    }
    sslcv_state_destroy(state);
    return at;
}

/* Draws follow the seed and the calls that remember, whatever they remember. */
START_TEST(draws_advance)
{
    static fixture f;
    sslcv_context *context = f32_context();
    sslcv_nce_bank_options o = options_of(1000, 40, 4, SSLCV_BANK_CORE, 2, SSLCV_ESTIMATOR_NCE);
    int64_t first[2 * 40], again[2 * 40], drawn[2];

    o.bank_momentum = 1.0;
    set_up(&f, context, &o, 2);
    OK(sslcv__nce_bank_get_draws(f.loss, f.ids, 2, first));
    ck_assert_mem_ne(first, first + 40, 40 * sizeof *first);
    read_bank(&f, 0);
    loss_value(f.loss, &f.test);
    memcpy(f.diff, f.bank, sizeof f.diff);
    read_bank(&f, 0);
    ck_assert_mem_eq(f.diff, f.bank, 4000 * sizeof(float)); /* first rows have no unit length, and keep theirs */
    OK(sslcv__nce_bank_get_draws(f.loss, f.ids, 2, again));
    ck_assert_mem_ne(first, again, sizeof first);
    loss_read(f.loss, "draws", SSLCV_STATE_VALUE, SSLCV_I64, 2, drawn);
    ck_assert(drawn[0] == 1 && drawn[1] == 5);
    sslcv_loss_destroy(f.loss);
    o.seed = 6;
    set_up(&f, context, &o, 2);
    OK(sslcv__nce_bank_get_draws(f.loss, f.ids, 2, again));
    ck_assert_mem_ne(first, again, sizeof first);
    sslcv_loss_destroy(f.loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(state_in_and_out)
{
    static _Alignas(64) char saved[1 << 15], later[1 << 15], other[1 << 15];
    static fixture f, g;
    sslcv_context *context = f32_context();
    int32_t estimator, pairing, i;

    for (estimator = 0; estimator < 2; estimator++) {
        for (pairing = 0; pairing < 3; pairing++) {
            sslcv_nce_bank_options o = options_of(25, 70, 8, pairing, 2, estimator);
            double value;

            o.bank_dtype = pairing == SSLCV_BANK_FULL ? SSLCV_BF16 : SSLCV_F32;
            memset(saved, 0, sizeof saved);
            memset(later, 0, sizeof later);
            memset(other, 0, sizeof other);
            set_up(&f, context, &o, 6);
            for (i = 0; i < 3; i++) loss_value(f.loss, &f.test);
            (void)copy_state(f.loss, saved, 0);
            /* Without REMEMBER nothing changes, and the next call draws the same. */
            f.test.call.flags = 0;
            value = loss_value(f.loss, &f.test);
            ck_assert(loss_value(f.loss, &f.test) == value);
            (void)copy_state(f.loss, later, 0);
            ck_assert_mem_eq(saved, later, sizeof saved);
            /* Neither does a call that fails. */
            f.test.call.flags = SSLCV_CALL_REMEMBER;
            f.x[1][3] = NAN;
            FAILS(sslcv_loss_compute(f.loss, &f.test.call), SSLCV_ERR_NUMERIC, "inputs[1]");
            golden_input(21, 48, f.x[1]);
            (void)copy_state(f.loss, later, 0);
            ck_assert_mem_eq(saved, later, sizeof saved);
            ck_assert(loss_value(f.loss, &f.test) == value);
            f.test.call.flags = 0;
            ck_assert(loss_value(f.loss, &f.test) != value);
            f.test.call.flags = SSLCV_CALL_REMEMBER;
            loss_value(f.loss, &f.test);
            (void)copy_state(f.loss, later, 0);
            /* Another loss, of another seed, goes on from there. */
            o.seed = 99;
            set_up(&g, context, &o, 6);
            (void)copy_state(g.loss, saved, 1);
            ck_assert(loss_value(g.loss, &g.test) == value);
            loss_value(g.loss, &g.test);
            (void)copy_state(g.loss, other, 0);
            ck_assert_mem_eq(other, later, sizeof other);
            ck_assert_mem_eq(f.diff[0], g.diff[0], 48 * sizeof(float));
            sslcv_loss_destroy(f.loss);
            sslcv_loss_destroy(g.loss);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(bad_calls_are_refused)
{
    static fixture f;
    sslcv_context *context = f32_context();
    const sslcv_nce_bank_options o = options_of(10, 6, 8, SSLCV_BANK_CORE, 2, SSLCV_ESTIMATOR_NCE);

    set_up(&f, context, &o, 3);
    f.ids[1] = 10;
    FAILS(sslcv_loss_compute(f.loss, &f.test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "call.ids[1] is 10; must be below nce_bank.num_samples, 10");
    f.ids[1] = -1;
    FAILS(sslcv_loss_compute(f.loss, &f.test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.ids[1] is -1");
    f.ids[1] = 9;
    f.test.call.ids = NULL;
    FAILS(sslcv_loss_compute(f.loss, &f.test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.ids is NULL");
    f.test.call.ids = f.ids;
    f.test.call.num_inputs = 1;
    FAILS(sslcv_loss_compute(f.loss, &f.test.call), SSLCV_ERR_INVALID_ARGUMENT, "nce_bank takes 2 .. 2");
    loss_test_add(&f.test, 1, 3, 1, 7, f.x[1], f.diff[1]);
    FAILS(sslcv_loss_compute(f.loss, &f.test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 7 dimensions");
    f.test.call.num_inputs = 1;
    loss_test_add(&f.test, 2, 3, 1, 8, f.x[1], f.diff[1]);
    FAILS(sslcv_loss_compute(f.loss, &f.test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 2 views");
    f.test.call.num_inputs = 1;
    loss_test_add(&f.test, 1, 3, 2, 8, f.x[1], f.diff[1]);
    FAILS(sslcv_loss_compute(f.loss, &f.test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 2 positions");
    sslcv_loss_destroy(f.loss);
    sslcv_context_destroy(context);
}
END_TEST

#define REFUSED(field, wrong, status, text)                                                                            \
    do {                                                                                                               \
        sslcv_nce_bank_options refused = good;                                                                         \
        refused.field = (wrong);                                                                                       \
        FAILS(sslcv_loss_create_nce_bank(context, &refused, &loss), status, text);                                     \
        ck_assert_ptr_null(loss);                                                                                      \
    } while (0)

START_TEST(options_are_checked)
{
    sslcv_context *context = f32_context();
    const sslcv_nce_bank_options good = options_of(10, 6, 8, SSLCV_BANK_CORE, 2, SSLCV_ESTIMATOR_NCE);
    const double weights[10] = {1, 1, -2};
    sslcv_nce_bank_options o = good;
    sslcv_loss_info info = {.struct_size = sizeof info};
    sslcv_loss *loss = NULL;
    sslcv_state *state = NULL;

    REFUSED(num_samples, 0, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.num_samples is 0; must be 1 .. 2147483647");
    REFUSED(num_samples, (int64_t)1 << 31, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.num_samples is 2147483648");
    REFUSED(num_negatives, 0, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.num_negatives is 0");
    REFUSED(dim, -1, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.dim is -1");
    REFUSED(num_inputs, 1, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.num_inputs is 1; must be 2 .. 16");
    REFUSED(num_inputs, 17, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.num_inputs is 17");
    REFUSED(temperature, 0.0, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.temperature is 0; must be > 0");
    REFUSED(temperature, NAN, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.temperature is nan");
    REFUSED(bank_momentum, 1.1, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.bank_momentum is 1.1; must be 0 .. 1");
    REFUSED(balance, -0.1, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.balance is -0.1; must be 0 .. 1");
    REFUSED(epsilon, -1e-9, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.epsilon is -1e-09; must be >= 0");
    REFUSED(pairing, 3, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.pairing is 3; must be 0 .. 2");
    REFUSED(estimator, 2, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.estimator is 2");
    REFUSED(shared_z, 2, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.shared_z is 2");
    REFUSED(exclude_self, -1, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.exclude_self is -1");
    REFUSED(unit_init, 5, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.unit_init is 5");
    REFUSED(bank_dtype, SSLCV_F64, SSLCV_ERR_INVALID_ARGUMENT, "nce_bank.bank_dtype is");
    REFUSED(row_weights, weights, SSLCV_ERR_INVALID_ARGUMENT, "row_weights[2] is -2");
    FAILS(sslcv_loss_create_nce_bank(context, NULL, &loss), SSLCV_ERR_INVALID_ARGUMENT, "options is NULL");
    FAILS(sslcv_loss_create_nce_bank(context, &good, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    o.exclude_self = 1;
    o.row_weights = weights;
    FAILS(sslcv_loss_create_nce_bank(context, &o, &loss), SSLCV_ERR_INVALID_ARGUMENT, "row_weights");
    o.row_weights = NULL;
    o.num_negatives = 10;
    FAILS(sslcv_loss_create_nce_bank(context, &o, &loss), SSLCV_ERR_LIMIT, "nce_bank.num_negatives is 10");
    o.num_negatives = 9;
    o.num_inputs = 3;
    o.pairing = SSLCV_BANK_SINGLE;
    FAILS(sslcv_loss_create_nce_bank(context, &o, &loss), SSLCV_ERR_INVALID_ARGUMENT, "must be 1 .. 2");

    /* More than any machine has: told before, refused at use. */
    o = good;
    o.num_samples = INT32_MAX;
    o.dim = 1 << 20;
    loss = new_loss(context, &o);
    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_int_ge(info.bytes, 2 * (int64_t)INT32_MAX * (1 << 20) * 4);
    ck_assert(info.min_inputs == 2 && info.max_inputs == 2 && info.gradient_inputs == 3 && info.needs_ids == 1);
    FAILS(sslcv_loss_get_state(loss, &state), SSLCV_ERR_LIMIT, "nce_bank needs");
    sslcv_loss_destroy(loss);
    loss = NULL;
    o.dim = INT32_MAX;
    FAILS(sslcv_loss_create_nce_bank(context, &o, &loss), SSLCV_ERR_LIMIT, "do not fit in memory");
    sslcv_context_destroy(context);
}
END_TEST

/* ---- memory and threads ---- */

static sslcv_status create_and_compute(sslcv_context *context, const sslcv_nce_bank_options *o, sslcv_state **state)
{
    static float x[3][64], diff[3][64];
    static const int64_t ids[4] = {1, 2, 3, 4};
    sslcv_loss *loss = NULL;
    sslcv_status status = sslcv_loss_create_nce_bank(context, o, &loss);
    loss_test test;
    int64_t i;

    loss_test_init(&test);
    for (i = 0; i < o->num_inputs; i++) {
        golden_input(i, 32, x[i]);
        loss_test_add(&test, 1, 4, 1, 8, x[i], diff[i]);
    }
    test.call.ids = ids;
    if (status == SSLCV_OK) status = sslcv_loss_compute(loss, &test.call);
    if (status == SSLCV_OK) status = sslcv_loss_get_state(loss, state);
    sslcv_loss_destroy(loss);
    return status;
}

START_TEST(any_allocation_may_fail)
{
    static const double weights[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    sslcv_nce_bank_options o = options_of(10, 6, 8, SSLCV_BANK_CORE, 3, SSLCV_ESTIMATOR_NCE);
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    const int64_t before = h.out;
    sslcv_state *state = NULL;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t n;

    o.row_weights = weights;
    for (n = 0; status != SSLCV_OK; n++) {
        ck_assert_int_lt(n, 100);
        h.calls = 0;
        h.fail_at = n;
        status = create_and_compute(context, &o, &state);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        ck_assert_ptr_null(state);
        ck_assert_int_eq(h.out, before);
    }
    ck_assert_int_gt(n, 10);
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

START_TEST(steady_calls_allocate_nothing)
{
    static fixture f;
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 2);
    const sslcv_nce_bank_options o = options_of(30, 100, 8, SSLCV_BANK_FULL, 3, SSLCV_ESTIMATOR_NCE);
    int64_t calls, i;

    set_up(&f, context, &o, 6);
    loss_value(f.loss, &f.test);
    calls = h.calls;
    for (i = 0; i < 3; i++) {
        f.test.call.num_inputs = 0;
        loss_test_add(&f.test, 1, 6 - i, 1, 8, f.x[0], f.diff[0]);
        loss_test_add(&f.test, 1, 6 - i, 1, 8, f.x[1], NULL);
        loss_test_add(&f.test, 1, 6 - i, 1, 8, f.x[2], f.diff[2]);
        loss_value(f.loss, &f.test);
    }
    ck_assert_int_eq(h.calls, calls);
    sslcv_loss_destroy(f.loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

/* Each sample is one thread's, and what is summed over samples is summed in their order. */
START_TEST(threads_do_not_matter)
{
    static fixture f, first;
    static float bank[1 << 14];
    int32_t estimator, threads;
    double value = 0.0;

    for (estimator = 0; estimator < 2; estimator++) {
        for (threads = 1; threads <= 4; threads++) {
            sslcv_context *context = new_context(NULL, threads);
            const sslcv_nce_bank_options o = options_of(100, 200, 33, SSLCV_BANK_CORE, 3, estimator);
            int64_t i;

            set_up(&f, context, &o, 9);
            for (i = 0; i < 2; i++) loss_value(f.loss, &f.test);
            read_bank(&f, 2);
            if (threads == 1) {
                memcpy(first.diff, f.diff, sizeof f.diff);
                memcpy(bank, f.bank, sizeof bank);
                value = f.test.call.value;
            }
            ck_assert(f.test.call.value == value);
            ck_assert_mem_eq(first.diff, f.diff, sizeof f.diff);
            ck_assert_mem_eq(bank, f.bank, (size_t)bank_count(&f) * sizeof *bank);
            sslcv_loss_destroy(f.loss);
            sslcv_context_destroy(context);
        }
    }
}
END_TEST

/* Only wanted gradients are filled; a value alone is the same value. */
START_TEST(gradients_on_demand)
{
    static fixture f;
    static float before[1 << 12];
    sslcv_context *context = f32_context();
    int32_t estimator;

    for (estimator = 0; estimator < 2; estimator++) {
        const sslcv_nce_bank_options o = options_of(30, 100, 8, SSLCV_BANK_CORE, 2, estimator);
        double value;

        set_up(&f, context, &o, 6);
        f.test.call.flags = 0;
        value = loss_value(f.loss, &f.test);
        memcpy(before, f.diff[0], sizeof before);
        memset(f.diff, 0, sizeof f.diff);
        f.test.diffs[1].data = NULL;
        ck_assert(loss_value(f.loss, &f.test) == value);
        ck_assert_mem_eq(before, f.diff[0], sizeof before);
        ck_assert(f.diff[1][0] == 0.0f);
        f.test.call.diff_inputs = NULL;
        ck_assert(loss_value(f.loss, &f.test) == value);
        sslcv_loss_destroy(f.loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_nce_bank_state");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 120);
    tcase_add_test(all, rows_are_updated);
    tcase_add_test(all, single_bank_follows_the_image);
    tcase_add_test(all, rows_belong_to_their_samples);
    tcase_add_test(all, z_is_set_once);
    tcase_add_test(all, draws_advance);
    tcase_add_test(all, state_in_and_out);
    tcase_add_test(all, bad_calls_are_refused);
    tcase_add_test(all, options_are_checked);
    tcase_add_test(all, any_allocation_may_fail);
    tcase_add_test(all, steady_calls_allocate_nothing);
    tcase_add_test(all, threads_do_not_matter);
    tcase_add_test(all, gradients_on_demand);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
