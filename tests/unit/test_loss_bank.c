#include "support.h"

#include "core/bf16.h"
#include "core/rng.h"
#include "loss/bank.h"
#include "loss/draws.h"

enum { GROUP = SSLCV__DRAWS_GROUP };

/* All count draws of one stream. */
static void take(const sslcv__draws *draws, uint64_t key, int64_t position, int64_t own, uint32_t number, int64_t count,
                 int32_t *rows)
{
    const sslcv__draw_stream stream = {key, position, own, number, 0};
    int64_t j;

    for (j = 0; j < count; j += GROUP) {
        sslcv__draws_take(draws, &stream, j / GROUP, count - j < GROUP ? count - j : GROUP, rows + j);
    }
}

/* Sum of (found - expected)^2 / expected lies around cells - 1, with a deviation of sqrt(2 (cells - 1)). */
static void check_fit(const int64_t *counts, const double *shares, int64_t cells, int64_t total)
{
    double sum = 0.0, freedom = -1.0;
    int64_t i;

    for (i = 0; i < cells; i++) {
        const double expected = shares[i] * (double)total;

        if (expected == 0.0) {
            ck_assert_int_eq(counts[i], 0);
            continue;
        }
        sum += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
        freedom += 1.0;
    }
    ck_assert_msg(fabs(sum - freedom) <= 5.0 * sqrt(2.0 * freedom) + 1e-9, "fit %g with %g degrees of freedom", sum,
                  freedom);
}

/* ---- draws ---- */

START_TEST(words_are_those_of_the_generator)
{
    uint32_t words[GROUP];
    int64_t group;
    int b, i;

    for (group = 0; group < 3; group++) {
        sslcv__rng rng;

        sslcv__rng_init(&rng, 0x123456789abcdefu, 77u + ((uint64_t)5 << 32), 3);
        for (i = 0; i < group * GROUP; i++) (void)sslcv__rng_u32(&rng);
        sslcv__draws_words(0x123456789abcdefu, 77 + ((int64_t)5 << 32), 3, group, words);
        for (b = 0; b < GROUP / 4; b++) {
            for (i = 0; i < 4; i++) ck_assert_uint_eq(words[16 * i + b], sslcv__rng_u32(&rng));
        }
    }
}
END_TEST

START_TEST(rows_are_drawn_alike)
{
    static const int64_t sizes[] = {1, 2, 3, 7, 64, 100, 1000};
    size_t s;

    for (s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const int64_t n = sizes[s];
        static int64_t counts[1000];
        static double shares[1000];
        static int32_t rows[5000];
        sslcv__draws draws;
        int64_t i, j;

        OK(sslcv__draws_init(&draws, NULL, n, 0, NULL));
        memset(counts, 0, sizeof counts);
        for (i = 0; i < n; i++) shares[i] = 1.0 / (double)n;
        for (i = 0; i < 40; i++) {
            take(&draws, sslcv__draws_key(9, (uint64_t)i % 4), i, 0, 0, 5000, rows);
            for (j = 0; j < 5000; j++) {
                ck_assert(rows[j] >= 0 && rows[j] < n);
                counts[rows[j]]++;
            }
        }
        if (n > 1) check_fit(counts, shares, n, 40 * 5000);
    }
}
END_TEST

/* With 3 * 2^29 rows, 8 words make 3 rows: without redrawing, each third row would be drawn 2/8 of the time. */
START_TEST(words_in_excess_are_drawn_again)
{
    static int32_t rows[100000];
    static const double shares[3] = {1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0};
    int64_t counts[3] = {0, 0, 0}, j;
    sslcv__draws draws;

    OK(sslcv__draws_init(&draws, NULL, (int64_t)3 << 29, 0, NULL));
    take(&draws, 5, 0, 0, 0, 100000, rows);
    for (j = 0; j < 100000; j++) counts[rows[j] % 3]++;
    check_fit(counts, shares, 3, 100000);
    OK(sslcv__draws_init(&draws, NULL, INT32_MAX, 0, NULL));
    take(&draws, 5, 0, 0, 0, 100000, rows);
    for (j = 0; j < 100000; j++) ck_assert(rows[j] >= 0 && rows[j] < INT32_MAX);
}
END_TEST

START_TEST(weights_set_how_often)
{
    static const double cases[][8] = {{1, 1, 1, 1, 1, 1, 1, 1},
                                      {0, 0, 0, 0, 0, 0, 0, 3},
                                      {5, 0, 1e-3, 0, 2, 0, 0, 0.5},
                                      {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8},
                                      {1e-300, 3e-300, 0, 1e-300, 0, 0, 0, 0},
                                      {1e299, 1e299, 0, 1e299, 0, 0, 0, 3e299}};
    sslcv_context *context = f32_context();
    static int32_t rows[200000];
    size_t c;

    for (c = 0; c < sizeof cases / sizeof *cases; c++) {
        int64_t counts[8] = {0}, j;
        double shares[8], sum = 0.0;
        sslcv__draws draws;

        for (j = 0; j < 8; j++) sum += cases[c][j];
        for (j = 0; j < 8; j++) shares[j] = cases[c][j] / sum;
        OK(sslcv__draws_init(&draws, context, 8, 0, cases[c]));
        take(&draws, 11, (int64_t)c, 0, 2, 200000, rows);
        for (j = 0; j < 200000; j++) counts[rows[j]]++;
        check_fit(counts, shares, 8, 200000);
        for (j = 0; j < 8; j++) CLOSE((double)draws.rates[j], 8.0 * shares[j], 1e-6);
        sslcv__draws_free(&draws, context);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* The shares that the tables stand for, exactly: of many rows, many of them 0. Rounding gives none to those. */
START_TEST(tables_hold_the_weights)
{
    enum { ROWS = 3001 };
    sslcv_context *context = f32_context();
    static double weights[ROWS], found[ROWS];
    sslcv__rng rng;
    int64_t r, trial;

    sslcv__rng_init(&rng, 3, 0, 0);
    for (trial = 0; trial < 300; trial++) {
        const int64_t rows = trial ? 2 + trial % 40 : ROWS;
        double sum = 0.0;
        sslcv__draws draws;

        for (r = 0; r < rows; r++) weights[r] = r % 3 == 0 ? 0.0 : -log(1.0 - sslcv__rng_uniform(&rng));
        for (r = 0; r < rows; r++) sum += weights[r];
        OK(sslcv__draws_init(&draws, context, rows, 0, weights));
        memset(found, 0, sizeof found);
        for (r = 0; r < rows; r++) {
            const double kept = draws.other[r] == r ? 1.0 : (double)draws.keep[r] / 4294967296.0;

            found[r] += kept;
            found[draws.other[r]] += 1.0 - kept;
        }
        for (r = 0; r < rows; r++) {
            ck_assert_msg(fabs(found[r] / (double)rows - weights[r] / sum) < 1e-9, "row %d: %g, not %g", (int)r,
                          found[r] / (double)rows, weights[r] / sum);
            if (weights[r] == 0.0) ck_assert(found[r] == 0.0);
        }
        sslcv__draws_free(&draws, context);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(weights_are_checked)
{
    sslcv_context *context = f32_context();
    double weights[4] = {1, 1, 1, 1};
    sslcv__draws draws;

    weights[2] = -1;
    FAILS(sslcv__draws_init(&draws, context, 4, 0, weights), SSLCV_ERR_INVALID_ARGUMENT, "row_weights[2] is -1");
    weights[2] = NAN;
    FAILS(sslcv__draws_init(&draws, context, 4, 0, weights), SSLCV_ERR_INVALID_ARGUMENT, "row_weights[2] is");
    weights[2] = INFINITY;
    FAILS(sslcv__draws_init(&draws, context, 4, 0, weights), SSLCV_ERR_INVALID_ARGUMENT, "row_weights[2] is inf");
    memset(weights, 0, sizeof weights);
    FAILS(sslcv__draws_init(&draws, context, 4, 0, weights), SSLCV_ERR_INVALID_ARGUMENT, "sum of row_weights is 0");
    sslcv_context_destroy(context);
}
END_TEST

/* As many as there are others: each of them once, in an order that the key decides. */
START_TEST(distinct_rows_are_a_permutation)
{
    static int32_t rows[70000], again[GROUP];
    static int8_t seen[70000];
    int64_t n;

    for (n = 2; n <= 66000; n = n < 300 ? n + 1 : n * 15) {
        const int64_t own = (n * 7) % n;
        const sslcv__draw_stream stream = {sslcv__draws_key(1, (uint64_t)n), 5, own, 0, 0};
        sslcv__draws draws;
        int64_t j;

        OK(sslcv__draws_init(&draws, NULL, n, 1, NULL));
        take(&draws, stream.key, 5, own, 0, n - 1, rows);
        memset(seen, 0, sizeof seen);
        for (j = 0; j < n - 1; j++) {
            ck_assert(rows[j] >= 0 && rows[j] < n && rows[j] != own && !seen[rows[j]]);
            seen[rows[j]] = 1;
        }
        /* A part alone is the same part. */
        sslcv__draws_take(&draws, &stream, (n - 2) / GROUP, 1, again);
        ck_assert_int_eq(again[0], rows[(n - 2) / GROUP * GROUP]);
    }
}
END_TEST

/* Of 7 rows, two that are not the own one: all 30 ordered pairs alike. */
START_TEST(distinct_rows_are_drawn_alike)
{
    enum { TRIALS = 60000 };
    int64_t counts[49] = {0}, i;
    double shares[49] = {0};
    sslcv__draws draws;

    OK(sslcv__draws_init(&draws, NULL, 7, 1, NULL));
    for (i = 0; i < TRIALS; i++) {
        int32_t rows[2];

        take(&draws, sslcv__draws_key(3, (uint64_t)(i / 100)), i % 100, 4, 0, 2, rows);
        counts[7 * rows[0] + rows[1]]++;
    }
    for (i = 0; i < 49; i++) shares[i] = i / 7 == i % 7 || i / 7 == 4 || i % 7 == 4 ? 0.0 : 1.0 / 30.0;
    check_fit(counts, shares, 49, TRIALS);
}
END_TEST

START_TEST(streams_differ_and_repeat)
{
    int32_t first[100], other[100];
    const uint64_t key = sslcv__draws_key(1, 0);
    sslcv__draws draws;
    int32_t distinct;

    for (distinct = 0; distinct < 2; distinct++) {
        OK(sslcv__draws_init(&draws, NULL, 1 << 20, distinct, NULL));
        take(&draws, key, 3, 10, 0, 100, first);
        take(&draws, key, 3, 10, 0, 100, other);
        ck_assert_mem_eq(first, other, sizeof first);
        take(&draws, sslcv__draws_key(1, 1), 3, 10, 0, 100, other);
        ck_assert_mem_ne(first, other, sizeof first);
        take(&draws, sslcv__draws_key(2, 0), 3, 10, 0, 100, other);
        ck_assert_mem_ne(first, other, sizeof first);
        take(&draws, key, 4, 10, 0, 100, other);
        ck_assert_mem_ne(first, other, sizeof first);
        take(&draws, key, 3, 10, 1, 100, other);
        ck_assert_mem_ne(first, other, sizeof first);
    }
}
END_TEST

/* ---- rows ---- */

enum { ROWS = 90, MAX_DIM = 200 };

typedef struct test_bank {
    sslcv__bank bank;
    float rows[ROWS * MAX_DIM], x[MAX_DIM]; /* what the bank holds, as floats */
    uint16_t narrow[ROWS * MAX_DIM];
} test_bank;

static void make_bank(test_bank *t, int64_t dim, int bf16)
{
    int64_t i;

    t->bank = (sslcv__bank){bf16 ? (void *)t->narrow : (void *)t->rows, ROWS, dim, bf16, 0};
    golden_input(dim, ROWS * dim, t->rows);
    golden_input(dim + 1, dim, t->x);
    for (i = 0; bf16 && i < ROWS * dim; i++) {
        uint32_t bits;

        memcpy(&bits, &t->rows[i], sizeof bits);
        bits &= 0xffff0000u;
        t->narrow[i] = (uint16_t)(bits >> 16);
        memcpy(&t->rows[i], &bits, sizeof bits);
    }
}

START_TEST(dots_and_sums_equal_double)
{
    static const int64_t dims[] = {1, 3, 15, 16, 17, 63, 64, 65, 128, 200};
    static test_bank t;
    int32_t rows[GROUP];
    float weights[GROUP], dots[GROUP], sum[MAX_DIM];
    size_t d;
    int64_t j, k, count;

    for (d = 0; d < 2 * (sizeof dims / sizeof *dims); d++) {
        const int64_t dim = dims[d / 2];

        make_bank(&t, dim, (int)(d % 2));
        golden_input(5, GROUP, weights);
        for (j = 0; j < GROUP; j++) rows[j] = (int32_t)((j * 37) % ROWS);
        for (count = 1; count <= GROUP; count += count < 6 ? 1 : 29) {
            const sslcv__bank_next next = {&t.bank, rows, count};

            sslcv__bank_dot(&t.bank, rows, count, t.x, count % 2 ? &next : NULL, dots);
            for (j = 0; j < count; j++) {
                double exact = 0.0;

                for (k = 0; k < dim; k++) exact += (double)t.rows[rows[j] * dim + k] * (double)t.x[k];
                ck_assert_msg(fabs((double)dots[j] - exact) < 3e-6, "dim %d row %d: %g not %g", (int)dim, (int)j,
                              (double)dots[j], exact);
            }
            for (k = 0; k < dim; k++) sum[k] = (float)k;
            sslcv__bank_add(&t.bank, rows, count, weights, sum);
            for (k = 0; k < dim; k++) {
                double exact = (double)k;

                for (j = 0; j < count; j++) exact += (double)weights[j] * (double)t.rows[rows[j] * dim + k];
                ck_assert(fabs((double)sum[k] - exact) < 3e-6 + 1e-7 * exact);
            }
        }
    }
}
END_TEST

/* A row's score does not depend on the rows beside it: equal rows tie, wherever they stand. */
START_TEST(equal_rows_have_equal_dots)
{
    static test_bank t;
    int32_t rows[7];
    float dots[7], alone;
    int64_t dim, j;

    for (dim = 1; dim < MAX_DIM; dim += 13) {
        make_bank(&t, dim, 0);
        for (j = 0; j < 7; j++) rows[j] = j % 3 == 1 ? 5 : 8;
        sslcv__bank_dot(&t.bank, rows, 7, t.x, NULL, dots);
        sslcv__bank_dot(&t.bank, &rows[1], 1, t.x, NULL, &alone);
        ck_assert(dots[1] == alone && dots[4] == alone && dots[0] == dots[6] && dots[2] == dots[3]);
    }
}
END_TEST

START_TEST(first_rows)
{
    static float rows[500 * 100], again[500 * 100];
    static uint16_t narrow[500 * 100];
    sslcv__bank bank = {rows, 500, 100, 0, 0}, half = {narrow, 500, 100, 1, 0};
    const double bound = sqrt(3.0 / 100.0);
    double sum = 0.0, squares = 0.0;
    int64_t i, j;

    sslcv__bank_fill(&bank, 7, 0);
    for (i = 0; i < 500 * 100; i++) {
        ck_assert(fabs((double)rows[i]) <= bound && rows[i] != 0.0f);
        sum += (double)rows[i];
        squares += (double)rows[i] * (double)rows[i];
    }
    ck_assert(fabs(sum / 50000.0) < 4.0 * 0.1 / sqrt(50000.0));
    CLOSE(squares / 500.0, 1.0, 0.01); /* unit length in expectation */
    memcpy(again, rows, sizeof again);
    sslcv__bank_fill(&bank, 7, 0);
    ck_assert_mem_eq(rows, again, sizeof rows);
    sslcv__bank_fill(&half, 7, 0);
    for (i = 0; i < 500 * 100; i++) ck_assert_uint_eq(narrow[i], sslcv__f32_to_bf16(rows[i]));
    sslcv__bank_fill(&bank, 8, 1);
    ck_assert_mem_ne(rows, again, sizeof rows);
    for (i = 0; i < 500; i++) {
        squares = 0.0;
        for (j = 0; j < 100; j++) squares += (double)rows[i * 100 + j] * (double)rows[i * 100 + j];
        CLOSE(squares, 1.0, 1e-6);
    }
    bank.dim = 1;
    sslcv__bank_fill(&bank, 8, 1);
    for (i = 0; i < 500; i++) ck_assert(fabsf(rows[i]) == 1.0f);
}
END_TEST

START_TEST(rows_are_mixed)
{
    float rows[4] = {0.6f, 0.8f, 0.0f, 0.0f}, x[2] = {1.0f, 0.0f}, out[2];
    const sslcv__bank bank = {rows, 2, 2, 0, 0};

    ck_assert(sslcv__bank_mix(&bank, 0, 0.5, x, out));
    CLOSE((double)out[0], 0.8 / sqrt(0.8), 1e-6);
    CLOSE((double)out[1], 0.4 / sqrt(0.8), 1e-6);
    ck_assert(sslcv__bank_mix(&bank, 0, 0.0, x, x));
    ck_assert(x[0] == 1.0f && x[1] == 0.0f);
    /* What cancels leaves no direction: the row stays. */
    x[0] = -0.6f;
    x[1] = -0.8f;
    ck_assert(!sslcv__bank_mix(&bank, 0, 0.5, x, x));
    ck_assert(x[0] == 0.6f && x[1] == 0.8f);
    x[0] = x[1] = 0.0f;
    ck_assert(!sslcv__bank_mix(&bank, 1, 0.5, x, x));
    ck_assert(x[0] == 0.0f && x[1] == 0.0f);
    x[0] = 3.0f;
    sslcv__bank_store(&bank, 1, x);
    ck_assert(rows[2] == 3.0f && rows[0] == 0.6f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_bank");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, words_are_those_of_the_generator);
    tcase_add_test(all, rows_are_drawn_alike);
    tcase_add_test(all, words_in_excess_are_drawn_again);
    tcase_add_test(all, weights_set_how_often);
    tcase_add_test(all, tables_hold_the_weights);
    tcase_add_test(all, weights_are_checked);
    tcase_add_test(all, distinct_rows_are_a_permutation);
    tcase_add_test(all, distinct_rows_are_drawn_alike);
    tcase_add_test(all, streams_differ_and_repeat);
    tcase_add_test(all, dots_and_sums_equal_double);
    tcase_add_test(all, equal_rows_have_equal_dots);
    tcase_add_test(all, first_rows);
    tcase_add_test(all, rows_are_mixed);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
