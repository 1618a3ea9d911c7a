#include "info_nce_support.h"

/* InfoNCE with a queue; its twin and what it shares with the batch are in test_loss_info_nce.c. */

static void read_queue(sslcv_loss *loss, int64_t count, float *rows)
{
    loss_read(loss, "queue", SSLCV_STATE_VALUE, SSLCV_F32, count, rows);
}

static int64_t position_of(sslcv_loss *loss)
{
    int64_t position;

    loss_read(loss, "queue_position", SSLCV_STATE_VALUE, SSLCV_I64, 1, &position);
    return position;
}

static void random_units(sslcv__rng *rng, int64_t rows, int64_t dim, float *values)
{
    int64_t i, j;

    random_values(rng, rows * dim, 1.0, values);
    for (i = 0; i < rows; i++) {
        double length = 0.0;

        for (j = 0; j < dim; j++) length += (double)values[i * dim + j] * (double)values[i * dim + j];
        for (j = 0; j < dim; j++) values[i * dim + j] = (float)((double)values[i * dim + j] / sqrt(length));
    }
}

static double dot_of(const float *a, const float *b, int64_t dim)
{
    double sum = 0.0;
    int64_t j;

    for (j = 0; j < dim; j++) sum += (double)a[j] * (double)b[j];
    return sum;
}

/* ---- values ---- */

START_TEST(moco_has_the_published_values)
{
    static const struct {
        double temperature, value, first[4];
    } golden[2] = {
        {0.07, 6.51311096, {-0.01155244, 0.15950495, 0.58473467, -0.56022787}},
        {0.2, 2.64006786, {-0.04496826, 0.27590578, 0.82429437, -0.70097813}},
    };
    sslcv_context *context = new_context(NULL, 1);
    float q[16], k[16], dq[16], queue[20];
    int i, j;
    loss_test test;

    golden_input(1, 16, q);
    golden_input(2, 16, k);
    golden_rows(3, 5, 4, queue);
    two_inputs(&test, 4, 4, q, dq, k, NULL);
    for (i = 0; i < 2; i++) {
        sslcv_loss *loss =
            new_loss(context, golden[i].temperature, 5, 4, SSLCV_REDUCTION_SUM); /* one view: no matter */

        write_queue(loss, 20, queue);
        CLOSE(loss_value(loss, &test) / golden[i].value, 1.0, 1e-6);
        for (j = 0; j < 4; j++) CLOSE(dq[j], golden[i].first[j], 1e-6);
        CLOSE(loss_metric(loss, "mi_bound"), log(6.0) - test.call.value, 1e-12);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(identities_with_a_queue)
{
    enum { N = 3, D = 4 };
    static const int64_t sizes[3] = {5, 4096, 65536};
    static const double all_equal[3] = {1.791759, 8.3180, 11.0904};
    static float queue[65536 * D];
    sslcv_context *context = new_context(NULL, 2);
    float q[N * D] = {0}, dq[N * D];
    int64_t i, s;
    loss_test test;

    for (i = 0; i < N; i++) q[i * D] = 3.0f;
    two_inputs(&test, N, D, q, dq, q, NULL);
    for (s = 0; s < 3; s++) {
        const int64_t size = sizes[s];
        sslcv_loss *loss = new_loss(context, 0.07, size, D, SSLCV_REDUCTION_MEAN);

        memset(queue, 0, sizeof queue);
        for (i = 0; i < size; i++) queue[i * D] = 1.0f;
        write_queue(loss, size * D, queue);
        test.call.flags = 0;
        CLOSE(loss_value(loss, &test), log((double)size + 1.0), 1e-9);
        CLOSE(test.call.value, all_equal[s], 1e-4);
        CLOSE(loss_metric(loss, "top1"), 0.0, 0.0); /* a tie */
        CLOSE(loss_metric(loss, "mi_bound"), 0.0, 1e-9);
        for (i = 0; i < N * D; i++) CLOSE(dq[i], 0.0, 1e-7);

        memset(queue, 0, sizeof queue); /* orthogonal */
        for (i = 0; i < size; i++) queue[i * D + 1 + i % 3] = i % 2 ? 1.0f : -1.0f;
        write_queue(loss, size * D, queue);
        CLOSE(loss_value(loss, &test) / log1p((double)size * exp(-1.0 / 0.07)), 1.0, 1e-5);
        CLOSE(loss_metric(loss, "top1"), 1.0, 0.0);
        if (size == 65536) CLOSE(test.call.value, 0.0401, 1e-4);

        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* Each sample alone against the keys of the others is the batch. */
START_TEST(queue_of_the_other_keys_is_the_batch)
{
    enum { N = 7, D = 5 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *batch = new_loss(context, 0.1, 0, D, SSLCV_REDUCTION_MEAN);
    sslcv_loss *alone = new_loss(context, 0.1, N - 1, D, SSLCV_REDUCTION_MEAN);
    float q[N * D], k[N * D], dq[N * D], whole[N * D], queue[(N - 1) * D];
    double sum = 0.0, first = 0.0;
    int64_t i;
    loss_test test;

    golden_input(62, N * D, q);
    golden_rows(63, N, D, k);
    for (i = 0; i < N; i++) {
        memcpy(queue, k, (size_t)(i * D) * sizeof *k);
        memcpy(queue + i * D, k + (i + 1) * D, (size_t)((N - 1 - i) * D) * sizeof *k);
        write_queue(alone, (N - 1) * D, queue);
        two_inputs(&test, 1, D, q + i * D, dq + i * D, k + i * D, NULL);
        test.call.flags = 0;
        sum += loss_value(alone, &test) / N;
        first += loss_metric(alone, "top1") / N;
        CLOSE(loss_metric(alone, "mi_bound"), log((double)N) - test.call.value, 1e-12);
    }
    two_inputs(&test, N, D, q, whole, k, NULL);
    CLOSE(loss_value(batch, &test), sum, 1e-6);
    CLOSE(loss_metric(batch, "top1"), first, 1e-12);
    for (i = 0; i < N * D; i++) CLOSE(N * (double)whole[i], dq[i], 1e-5);
    sslcv_loss_destroy(alone);
    sslcv_loss_destroy(batch);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(top1_counts_a_positive_ahead_of_all)
{
    enum { N = 4, D = 3, K = 6 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 0.1, K, D, SSLCV_REDUCTION_MEAN);
    /* Cosines with the keys: 1, 0, -1, 0.8; with the best of the queue: 0.6, 0, -0.6, 0.8. */
    float q[N * D] = {1, 0, 0, 0, 0, 1, -1, 0, 0, 0.8f, 0.6f, 0}, k[N * D] = {1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0};
    float queue[K * D] = {0.6f, -0.8f, 0, 0.6f, -0.8f, 0, 0.6f, -0.8f, 0, 0.6f, -0.8f, 0, 0.6f, -0.8f, 0, 1, 0, 0};
    loss_test test;

    two_inputs(&test, N, D, q, NULL, k, NULL);
    test.call.flags = 0;
    queue[15] = 0.6f;
    queue[16] = -0.8f;
    write_queue(loss, K * D, queue);
    loss_value(loss, &test);
    CLOSE(loss_metric(loss, "top1"), 0.5, 0.0); /* query 1 has a tie, query 2 a negative that is nearer */
    queue[15] = 1.0f;
    queue[16] = 0.0f;
    write_queue(loss, K * D, queue);
    loss_value(loss, &test);
    CLOSE(loss_metric(loss, "top1"), 0.0, 0.0); /* now queries 0 and 3 have ties too */
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* Collapse: query, key and queue are one vector, up to rounding. */
START_TEST(top1_is_zero_in_collapse)
{
    enum { D = 67, K = 20 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 0.07, K, D, SSLCV_REDUCTION_MEAN);
    float q[D], queue[K * D];
    int64_t seed, i;
    loss_test test;

    two_inputs(&test, 1, D, q, NULL, q, NULL);
    test.call.flags = 0;
    for (seed = 0; seed < 50; seed++) {
        golden_input(200 + seed, D, q);
        golden_rows(200 + seed, 1, D, queue);
        for (i = 1; i < K; i++) memcpy(queue + i * D, queue, D * sizeof *queue);
        write_queue(loss, K * D, queue);
        CLOSE(loss_value(loss, &test), log(K + 1.0), 1e-5);
        ck_assert_double_eq(loss_metric(loss, "top1"), 0.0);
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* Groups of queries, parts of the queue and blocks of parts, the last of each shorter; some maxima come late. */
START_TEST(long_queues)
{
    enum { N = 300, D = 5, K = 40003 };
    static const int64_t looked_at[] = {0, 1, 149, 150, 159, 160, 255, 256, 299};
    static float q[N * D], k[N * D], queue[K * D], dq[2][N * D];
    const double t = 0.05;
    double values[2], exact = 0.0;
    sslcv__rng rng;
    int32_t threads;
    int64_t i, j, r;
    size_t l;

    sslcv__rng_init(&rng, 8, 0, 0);
    random_units(&rng, N, D, q);
    random_units(&rng, N, D, k);
    random_units(&rng, K, D, queue);
    memcpy(queue + (K - 1) * D, q, D * sizeof *q);        /* the nearest row of all is the very last */
    memcpy(queue + 1249 * D, q + 255 * D, D * sizeof *q); /* or late in a part */
    for (threads = 1; threads <= 2; threads++) {
        sslcv_context *context = new_context(NULL, threads);
        sslcv_loss *loss = new_loss(context, t, K, D, SSLCV_REDUCTION_MEAN);
        loss_test test;

        write_queue(loss, K * D, queue);
        two_inputs(&test, N, D, q, dq[threads - 1], k, NULL);
        test.call.flags = 0;
        values[threads - 1] = loss_value(loss, &test);
        test.call.diff_inputs = NULL;
        ck_assert_double_eq(loss_value(loss, &test), values[threads - 1]);
        sslcv_loss_destroy(loss);
        sslcv_context_destroy(context);
    }
    ck_assert_double_eq(values[0], values[1]); /* bit for bit, whatever the number of threads */
    ck_assert_mem_eq(dq[0], dq[1], sizeof dq[0]);
    for (r = 0; r < N; r++) {
        const double positive = dot_of(q + r * D, k + r * D, D) / t;
        double sum = exp(positive), gradient[D] = {0.0}, along = 0.0;
        int seen = 0;

        for (i = 0; i < K; i++) sum += exp(dot_of(q + r * D, queue + i * D, D) / t);
        exact += (log(sum) - positive) / N;
        for (l = 0; l < sizeof looked_at / sizeof *looked_at; l++) seen |= looked_at[l] == r;
        if (!seen) continue;
        for (i = 0; i < K; i++) {
            const double p = exp(dot_of(q + r * D, queue + i * D, D) / t) / sum;

            for (j = 0; j < D; j++) gradient[j] += p / t * (double)queue[i * D + j];
        }
        for (j = 0; j < D; j++) gradient[j] += (exp(positive) / sum - 1.0) / t * (double)k[r * D + j];
        for (j = 0; j < D; j++) along += gradient[j] * (double)q[r * D + j];
        for (j = 0; j < D; j++) CLOSE(N * (double)dq[0][r * D + j], gradient[j] - along * (double)q[r * D + j], 2e-5);
    }
    CLOSE(values[0], exact, 1e-6);
}
END_TEST

/* ---- what it remembers ---- */

/* The ring that the queue must be: keys of view 0 first, the oldest overwritten. */
START_TEST(keys_go_round)
{
    enum { K = 10, D = 3, W = 2, N = 2, CALLS = 8 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 0.1, K, D, SSLCV_REDUCTION_MEAN);
    float q[W * N * D], k[W * N * D], queue[K * D], before[K * D];
    int64_t call, i, j, at = 0;
    loss_test test;

    golden_input(70, W * N * D, q);
    one_input(&test, W, N, D, q, NULL);
    loss_test_add(&test, W, N, 1, D, k, NULL);
    ck_assert_int_eq(position_of(loss), 0);
    for (call = 0; call < CALLS; call++) {
        golden_input(71 + call, W * N * D, k);
        read_queue(loss, K * D, before);
        loss_value(loss, &test);
        for (i = 0; i < W * N; i++, at = (at + 1) % K) {
            const double length = sqrt(dot_of(k + i * D, k + i * D, D));

            for (j = 0; j < D; j++) before[at * D + j] = (float)((double)k[i * D + j] / length);
        }
        ck_assert_int_eq(position_of(loss), at);
        read_queue(loss, K * D, queue);
        for (i = 0; i < K * D; i++) CLOSE(queue[i], before[i], 1e-7);
    }
    sslcv_loss_destroy(loss);

    loss = new_loss(context, 0.1, W * N, D, SSLCV_REDUCTION_MEAN); /* all of it at once */
    loss_value(loss, &test);
    ck_assert_int_eq(position_of(loss), 0);
    read_queue(loss, W * N * D, queue);
    for (i = 0; i < W * N; i++) CLOSE(dot_of(queue + i * D, k + i * D, D), sqrt(dot_of(k + i * D, k + i * D, D)), 1e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(rows_that_no_key_took_keep_their_bits)
{
    enum { K = 9, D = 4, N = 4 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 0.1, K, D, SSLCV_REDUCTION_MEAN);
    float q[N * D], before[K * D], after[K * D];
    loss_test test;

    golden_input(80, N * D, q);
    two_inputs(&test, N, D, q, NULL, q, NULL);
    read_queue(loss, K * D, before);
    loss_value(loss, &test);
    read_queue(loss, K * D, after);
    ck_assert_mem_eq(after + N * D, before + N * D, (K - N) * D * sizeof *after);
    ck_assert_mem_ne(after, before, N * D * sizeof *after);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* In the first call a batch's own keys are no negatives, in the second they are. */
START_TEST(scores_come_before_remembering)
{
    enum { K = 8, D = 8, N = 4 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 0.1, K, D, SSLCV_REDUCTION_MEAN);
    float q[N * D] = {0}, queue[K * D] = {0};
    int64_t i;
    loss_test test;

    for (i = 0; i < N; i++) q[i * D + i] = 1.0f;
    for (i = 0; i < K; i++) queue[i * D + D - 1] = 1.0f;
    write_queue(loss, K * D, queue);
    two_inputs(&test, N, D, q, NULL, q, NULL);
    CLOSE(loss_value(loss, &test), log1p(K * exp(-10.0)), 1e-9);
    CLOSE(loss_value(loss, &test), log(2.0 + (K - 1) * exp(-10.0)), 1e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

typedef struct memory {
    float queue[16 * 4];
    int64_t position;
} memory;

static memory memory_of(sslcv_loss *loss)
{
    memory m;

    read_queue(loss, 16 * 4, m.queue);
    m.position = position_of(loss);
    return m;
}

static int same_memory(const memory *a, const memory *b)
{
    return memcmp(a->queue, b->queue, sizeof a->queue) == 0 && a->position == b->position;
}

START_TEST(it_goes_on_from_its_state)
{
    enum { N = 5, D = 4 };
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *first = new_loss(context, 0.1, 16, D, SSLCV_REDUCTION_MEAN);
    sslcv_loss *second = new_loss(context, 0.1, 16, D, SSLCV_REDUCTION_MEAN);
    float q[N * D], k[N * D], dq[2][N * D];
    memory before, after;
    double value;
    int64_t call;
    loss_test test;

    two_inputs(&test, N, D, q, dq[0], k, NULL);
    for (call = 0; call < 4; call++) {
        golden_input(90 + call, N * D, q);
        golden_input(190 + call, N * D, k);
        loss_value(first, &test);
    }
    before = memory_of(first);
    test.call.flags = 0; /* evaluation: nothing is remembered */
    value = loss_value(first, &test);
    after = memory_of(first);
    ck_assert(same_memory(&before, &after));

    write_queue(second, 16 * D, before.queue);
    loss_write(second, "queue_position", SSLCV_STATE_VALUE, SSLCV_I64, 1, &before.position);
    test.call.flags = SSLCV_CALL_REMEMBER;
    ck_assert_double_eq(loss_value(first, &test), value);
    test.diffs[0].data = dq[1];
    ck_assert_double_eq(loss_value(second, &test), value);
    ck_assert_mem_eq(dq[0], dq[1], sizeof dq[0]);
    before = memory_of(first);
    after = memory_of(second);
    ck_assert(same_memory(&before, &after));
    sslcv_loss_destroy(second);
    sslcv_loss_destroy(first);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(failures_leave_it_as_it_was)
{
    enum { N = 3, D = 4 };
    static const float bad[3] = {NAN, INFINITY, -INFINITY};
    sslcv_context *context = new_context(NULL, 2);
    sslcv_loss *loss = new_loss(context, 0.1, 16, D, SSLCV_REDUCTION_MEAN);
    float q[N * D], k[N * D], dq[N * D], queue[16 * D];
    memory before, after;
    int64_t i, j, where;
    loss_test test;

    golden_input(95, N * D, q);
    golden_input(96, N * D, k);
    two_inputs(&test, N, D, q, dq, k, NULL);
    loss_value(loss, &test);
    before = memory_of(loss);
    for (j = 0; j < N * D; j++) dq[j] = 5.0f;
    test.call.value = 9.0;
    for (i = 0; i < 3; i++) {
        for (where = 0; where < 2; where++) {
            float *x = where ? k : q;
            const float kept = x[7];

            x[7] = bad[i];
            FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC,
                  where ? "inputs[1] has NaN or infinity" : "inputs[0] has NaN or infinity");
            x[7] = kept;
        }
        memcpy(queue, before.queue, sizeof queue); /* as a damaged file could bring it */
        queue[21] = bad[i];
        write_queue(loss, 16 * D, queue);
        FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "of info_nce ");
        write_queue(loss, 16 * D, before.queue);
    }
    after = memory_of(loss);
    ck_assert(same_memory(&before, &after));
    ck_assert_double_eq(test.call.value, 9.0);
    for (j = 0; j < N * D; j++) ck_assert_float_eq(dq[j], 5.0f);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(first_rows)
{
    enum { K = 1000, D = 7 };
    static float rows[4][K * D];
    sslcv_info_nce_options options = options_of(0.1, K, D);
    double mean[D] = {0.0};
    sslcv_context *context = new_context(NULL, 1);
    int64_t i, j;

    for (i = 0; i < 4; i++) { /* seed 3, 3, 4, and that of the context */
        const uint64_t seeds[4] = {3, 3, 4, 0};
        sslcv_loss *loss;

        options.seed = seeds[i];
        options.queue_size = i == 1 ? K - 300 : K;
        OK(sslcv_loss_create_info_nce(context, &options, &loss));
        read_queue(loss, options.queue_size * D, rows[i]);
        sslcv_loss_destroy(loss);
    }
    ck_assert_mem_eq(rows[0], rows[1], (K - 300) * D * sizeof(float));
    for (i = 0; i < K; i++) {
        CLOSE(dot_of(rows[0] + i * D, rows[0] + i * D, D), 1.0, 1e-6);
        for (j = 0; j < D; j++) mean[j] += (double)rows[0][i * D + j] / K;
        ck_assert_mem_ne(rows[0] + i * D, rows[2] + i * D, D * sizeof(float));
        ck_assert_mem_ne(rows[0] + i * D, rows[3] + i * D, D * sizeof(float));
    }
    for (j = 0; j < D; j++) CLOSE(mean[j], 0.0, 0.06); /* five deviations */
    sslcv_context_destroy(context);
}
END_TEST

/* ---- bad input, memory ---- */

START_TEST(bad_options_are_refused)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_info_nce_options options = options_of(0.1, -1, 4);
    sslcv_loss *loss = NULL;

    FAILS(sslcv_loss_create_info_nce(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT,
          "info_nce.queue_size is -1; must be 0 or more");
    options = options_of(0.1, 16, 0);
    FAILS(sslcv_loss_create_info_nce(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT,
          "info_nce.dim is 0; must be 1 or more");
    options = options_of(0.1, INT64_MAX / 8, 128);
    FAILS(sslcv_loss_create_info_nce(context, &options, &loss), SSLCV_ERR_LIMIT,
          "info_nce.queue_size 1152921504606846975");
    options = options_of(NAN, 16, 4);
    FAILS(sslcv_loss_create_info_nce(context, &options, &loss), SSLCV_ERR_INVALID_ARGUMENT, "info_nce.temperature is");
    ck_assert_ptr_null(loss);
    options = options_of(0.1, (int64_t)1 << 40, 128);
    OK(sslcv_loss_create_info_nce(context, &options, &loss));
    {
        sslcv_state *state = NULL;

        FAILS(sslcv_loss_get_state(loss, &state), SSLCV_ERR_LIMIT, "info_nce needs 536870912 MiB");
        ck_assert_ptr_null(state);
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(bad_calls_are_refused)
{
    enum { D = 4 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_loss *loss = new_loss(context, 0.1, 16, D, SSLCV_REDUCTION_MEAN);
    sslcv_loss_info info = {.struct_size = sizeof info};
    float q[20 * D], k[20 * D], dk[20 * D];
    int64_t position = 16;
    loss_test test;

    golden_input(97, 20 * D, q);
    golden_input(98, 20 * D, k);
    OK(sslcv_loss_get_info(loss, &info));
    ck_assert_int_eq(info.min_inputs, 2);
    ck_assert_int_eq(info.max_inputs, 2);
    ck_assert_uint_eq(info.gradient_inputs, 1);
    one_input(&test, 2, 4, D, q, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "call.num_inputs is 1; info_nce takes 2 .. 2");
    two_inputs(&test, 4, D, q, NULL, k, dk);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "diff_inputs[1].data is not NULL; this input of info_nce gets no gradient");
    two_inputs(&test, 4, D - 1, q, NULL, k, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "inputs have 3 dimensions; the queue's info_nce.dim is 4");
    two_inputs(&test, 17, D, q, NULL, k, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "inputs[1] has 1 views of 17 keys; info_nce.queue_size is 16");
    one_input(&test, 2, 9, D, q, NULL);
    loss_test_add(&test, 2, 9, 1, D, k, NULL);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[1] has 2 views of 9 keys");
    two_inputs(&test, 4, D, q, NULL, k, NULL);
    loss_write(loss, "queue_position", SSLCV_STATE_VALUE, SSLCV_I64, 1, &position);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "queue_position is 16; must be 0 .. 15");
    position = -1;
    loss_write(loss, "queue_position", SSLCV_STATE_VALUE, SSLCV_I64, 1, &position);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "queue_position is -1");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* Queue and working memory are told before they are taken, and taken once. */
START_TEST(memory_is_taken_once)
{
    enum { K = 100, D = 4, N = 8 };
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 2);
    sslcv_loss *loss = new_loss(context, 0.1, K, D, SSLCV_REDUCTION_MEAN);
    sslcv_loss_info before = {.struct_size = sizeof before}, after = before;
    float q[N * D], dq[N * D];
    int64_t calls, call;
    loss_test test;

    golden_input(99, N * D, q);
    two_inputs(&test, N, D, q, dq, q, NULL);
    OK(sslcv_loss_get_info(loss, &before));
    ck_assert_int_eq(before.bytes, 8 + K * D * 4 + 8); /* temperature, queue, position */
    read_queue(loss, K * D, (float[K * D]){0});
    OK(sslcv_loss_get_info(loss, &after));
    ck_assert_int_eq(after.bytes, before.bytes);
    loss_value(loss, &test);
    calls = h.calls;
    for (call = 0; call < 3; call++) loss_value(loss, &test);
    two_inputs(&test, N - 3, D, q, dq, q, NULL);
    loss_value(loss, &test);
    ck_assert_int_eq(h.calls, calls);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

static sslcv_status create_and_compute(sslcv_context *context, sslcv_state **state)
{
    const sslcv_info_nce_options options = options_of(0.1, 12, 4);
    float q[16], dq[16];
    sslcv_loss *loss = NULL;
    sslcv_status status;
    loss_test test;

    golden_input(60, 16, q);
    two_inputs(&test, 4, 4, q, dq, q, NULL);
    status = sslcv_loss_create_info_nce(context, &options, &loss);
    if (status == SSLCV_OK) status = sslcv_loss_compute(loss, &test.call);
    if (status == SSLCV_OK) status = sslcv_loss_get_state(loss, state);
    ck_assert(loss != NULL || status == SSLCV_ERR_OUT_OF_MEMORY);
    sslcv_loss_destroy(loss);
    return status;
}

START_TEST(any_allocation_may_fail)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    const int64_t before = h.out;
    sslcv_state *state = NULL;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t n;

    for (n = 0; status != SSLCV_OK; n++) {
        ck_assert_int_lt(n, 100);
        h.calls = 0;
        h.fail_at = n;
        status = create_and_compute(context, &state);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        ck_assert_ptr_null(state);
        ck_assert_int_eq(h.out, before);
    }
    ck_assert_int_gt(n, 8);
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_queue");
    TCase *values = tcase_create("values"), *remembers = tcase_create("remembers"), *bad = tcase_create("bad input");

    tcase_set_timeout(values, 60);
    tcase_add_test(values, moco_has_the_published_values);
    tcase_add_test(values, identities_with_a_queue);
    tcase_add_test(values, queue_of_the_other_keys_is_the_batch);
    tcase_add_test(values, top1_counts_a_positive_ahead_of_all);
    tcase_add_test(values, top1_is_zero_in_collapse);
    tcase_add_test(values, long_queues);
    suite_add_tcase(suite, values);
    tcase_add_test(remembers, keys_go_round);
    tcase_add_test(remembers, rows_that_no_key_took_keep_their_bits);
    tcase_add_test(remembers, scores_come_before_remembering);
    tcase_add_test(remembers, it_goes_on_from_its_state);
    tcase_add_test(remembers, failures_leave_it_as_it_was);
    tcase_add_test(remembers, first_rows);
    suite_add_tcase(suite, remembers);
    tcase_add_test(bad, bad_options_are_refused);
    tcase_add_test(bad, bad_calls_are_refused);
    tcase_add_test(bad, memory_is_taken_once);
    tcase_add_test(bad, any_allocation_may_fail);
    suite_add_tcase(suite, bad);
    return run_suite(suite);
}
