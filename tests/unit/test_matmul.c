/* Products of small matrices, and upright softmaxes, which work on them, against twins in double. */
#include "support.h"

#include "nn/matmul.h"
#include "nn/softmax.h"

typedef void (*matmul_function)(const sslcv__matmul *p);

enum { NUM_KERNELS = 4, STEP = SSLCV__MATMUL_STEP };

/* Those that this processor has; NULL: not. */
static void find_kernels(matmul_function kernels[NUM_KERNELS])
{
    memset(kernels, 0, NUM_KERNELS * sizeof *kernels);
    kernels[0] = sslcv__matmul_run;
    kernels[1] = sslcv__matmul_any;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) kernels[2] = sslcv__matmul_avx2;
    if (kernels[2] && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        kernels[3] = sslcv__matmul_avx512;
    }
#endif
}

/* Whether a kernel can do n columns. */
static int takes(int kernel, int64_t n)
{
    return kernel < 3 || n % (2 * STEP) == 0;
}

/* ---- one product ---- */

/* All arrays with gaps between their rows, and c with guards in the gaps and around. */
typedef struct problem {
    sslcv__matmul p;
    float *a, *b, *c, *before;
    int64_t c_floats;
} problem;

enum { GUARD = 7, GAP = 3 };

static problem make_problem(int64_t m, int64_t n, int64_t k, int turned, int add)
{
    problem q = {.p = {.m = m, .n = n, .k = k, .b_row = n + GAP, .c_row = n + GAP, .add = add}};
    const int64_t a_floats = (m + GAP) * (k + GAP);

    q.p.a_row = turned ? 1 : k + GAP;
    q.p.a_column = turned ? m + GAP : 1;
    q.c_floats = m * q.p.c_row + 2 * GUARD;
    q.a = malloc((size_t)a_floats * sizeof(float));
    q.b = malloc((size_t)(k * q.p.b_row + 1) * sizeof(float));
    q.c = malloc((size_t)q.c_floats * sizeof(float));
    q.before = malloc((size_t)q.c_floats * sizeof(float));
    ck_assert(q.a && q.b && q.c && q.before);
    golden_input(m + n, a_floats, q.a);
    golden_input(k + 1, k * q.p.b_row, q.b);
    golden_input(n, q.c_floats, q.before);
    q.p.a = q.a;
    q.p.b = q.b;
    q.p.c = q.c + GUARD;
    q.p.next = q.b; /* any memory will do */
    q.p.next_floats = k * n;
    return q;
}

static void free_problem(problem *q)
{
    free(q->a);
    free(q->b);
    free(q->c);
    free(q->before);
}

static void run(problem *q, matmul_function kernel)
{
    memcpy(q->c, q->before, (size_t)q->c_floats * sizeof(float));
    kernel(&q->p);
}

static void check_value(const problem *q, int64_t row, int64_t column)
{
    const sslcv__matmul *p = &q->p;
    const int64_t at = GUARD + row * p->c_row + column;
    double sum = p->add ? (double)q->before[at] : 0.0, size = fabs(sum);
    int64_t i;

    for (i = 0; i < p->k; i++) {
        const double term = (double)p->a[row * p->a_row + i * p->a_column] * (double)p->b[i * p->b_row + column];

        sum += term;
        size += fabs(term);
    }
    ck_assert_msg(fabs((double)q->c[at] - sum) <= 1e-6 * size, "(%lld, %lld) of %lld x %lld x %lld is %.9g, not %.9g",
                  (long long)row, (long long)column, (long long)p->m, (long long)p->n, (long long)p->k,
                  (double)q->c[at], sum);
}

static void check_problem(const problem *q)
{
    int64_t i;

    for (i = 0; i < q->c_floats; i++) {
        const int64_t row = (i - GUARD) / q->p.c_row, column = (i - GUARD) % q->p.c_row;

        if (i >= GUARD && row < q->p.m && column < q->p.n) {
            check_value(q, row, column);
        } else {
            ck_assert_msg(q->c[i] == q->before[i], "written outside of c, at %lld", (long long)i);
        }
    }
}

static void check_kernels(int64_t m, int64_t n, int64_t k, int form)
{
    matmul_function kernels[NUM_KERNELS];
    problem q = make_problem(m, n, k, form % 2, form / 2);
    int i;

    find_kernels(kernels);
    for (i = 0; i < NUM_KERNELS; i++) {
        if (!kernels[i] || !takes(i, n)) continue;
        run(&q, kernels[i]);
        check_problem(&q);
    }
    free_problem(&q);
}

/* All rows that a tile can have, and those of two and three. */
START_TEST(products_are_those_of_the_twin)
{
    static const int64_t n[] = {16, 32, 48, 96}, k[] = {0, 1, 31, 128, 129, 300};
    int64_t m;

    for (m = 1; m <= 30; m++) check_kernels(m, n[m % 4], k[m % 6], (int)(m / 2 % 4));
    for (m = 0; m < 24; m++) check_kernels(14, n[m % 4], k[m % 6], (int)(m / 6));
}
END_TEST

START_TEST(kernels_with_fma_agree_bit_by_bit)
{
    matmul_function kernels[NUM_KERNELS];
    problem whole = make_problem(33, 48, 300, 0, 1), one = make_problem(33, 48, 300, 0, 1);
    float *c = malloc((size_t)whole.c_floats * sizeof *c);
    int64_t i;

    find_kernels(kernels);
    if (kernels[2]) {
        run(&whole, kernels[0]);
        run(&one, kernels[2]);
        ck_assert(memcmp(whole.c, one.c, (size_t)whole.c_floats * sizeof *c) == 0);
        memcpy(c, whole.c, (size_t)whole.c_floats * sizeof *c);
        memcpy(whole.c, whole.before, (size_t)whole.c_floats * sizeof *c);
        for (i = 0; i < 33; i++) { /* a row at a time, 16 columns at a time */
            sslcv__matmul row = whole.p;

            row.m = 1;
            row.n = STEP;
            row.a += i * row.a_row;
            row.c += i * row.c_row;
            for (; row.b < whole.p.b + 48; row.b += STEP, row.c += STEP) sslcv__matmul_run(&row);
        }
        ck_assert(memcmp(whole.c, c, (size_t)whole.c_floats * sizeof *c) == 0);
    }
    free(c);
    free_problem(&whole);
    free_problem(&one);
}
END_TEST

START_TEST(turned_rows_have_zeros_behind)
{
    const float from[6] = {1, 2, 3, 4, 5, 6};
    float to[3 * 4 + 1] = {0}, expected[3 * 4 + 1] = {1, 4, 0, 0, 2, 5, 0, 0, 3, 6, 0, 0, 9};

    to[12] = 9;
    sslcv__matmul_turn(from, 2, 3, 4, to);
    ck_assert(memcmp(to, expected, sizeof to) == 0);
}
END_TEST

/* ---- upright softmaxes ---- */

START_TEST(columns_have_their_largest_value)
{
    enum { ROWS = 45, COLUMNS = 48 };
    float x[ROWS * COLUMNS], top[COLUMNS];
    int i, r;

    golden_input(3, ROWS * COLUMNS, x);
    for (i = 0; i < COLUMNS; i++) top[i] = i % 2 ? 0.49f : -1.0f;
    sslcv__columns_max(x, ROWS, COLUMNS, top);
    for (i = 0; i < COLUMNS; i++) {
        float expected = i % 2 ? 0.49f : -1.0f;

        for (r = 0; r < ROWS; r++) expected = fmaxf(expected, x[r * COLUMNS + i]);
        ck_assert(top[i] == expected);
    }
}
END_TEST

START_TEST(columns_of_exponentials_and_their_sums)
{
    enum { ROWS = 71, COLUMNS = 48 };
    static const float scales[4] = {0.5f, 14.0f, 300.0f, 1e30f};
    float x[ROWS * COLUMNS], y[ROWS * COLUMNS], top[COLUMNS];
    double sum[COLUMNS];
    int i, r, s;

    golden_input(5, ROWS * COLUMNS, x);
    for (s = 0; s < 4; s++) {
        for (i = 0; i < COLUMNS; i++) {
            top[i] = x[i];
            sum[i] = 1.0;
        }
        sslcv__columns_max(x, ROWS, COLUMNS, top);
        memcpy(y, x, sizeof y);
        sslcv__columns_exp(y, ROWS, COLUMNS, top, scales[s], sum);
        for (i = 0; i < COLUMNS; i++) {
            double expected = 1.0;

            for (r = 0; r < ROWS; r++) {
                const float argument = scales[s] * (x[r * COLUMNS + i] - top[i]);
                const double e = argument < -87.3f ? 0.0 : exp((double)argument);

                ck_assert_msg(fabs((double)y[r * COLUMNS + i] - e) <= 2.5e-7 * e, "exp(%.9g) is %.9g, not %.9g",
                              (double)argument, (double)y[r * COLUMNS + i], e);
                expected += e;
            }
            CLOSE(sum[i], expected, 1e-6);
        }
    }
}
END_TEST

START_TEST(nan_stays_in_its_column)
{
    enum { ROWS = 3, COLUMNS = 16 };
    float x[ROWS * COLUMNS] = {0}, top[COLUMNS] = {0};
    double sum[COLUMNS] = {0};
    int i;

    x[COLUMNS + 4] = NAN;
    x[COLUMNS + 5] = -INFINITY;
    sslcv__columns_max(x, ROWS, COLUMNS, top);
    sslcv__columns_exp(x, ROWS, COLUMNS, top, 2.0f, sum);
    for (i = 0; i < COLUMNS; i++) ck_assert(i == 4 ? isnan(sum[i]) : sum[i] == (i == 5 ? 2.0 : 3.0));
}
END_TEST

int main(void)
{
    TCase *matmul = tcase_create("matmul"), *columns = tcase_create("columns");
    Suite *suite = suite_create("matmul");

    tcase_set_timeout(matmul, 30);
    tcase_add_test(matmul, products_are_those_of_the_twin);
    tcase_add_test(matmul, kernels_with_fma_agree_bit_by_bit);
    tcase_add_test(matmul, turned_rows_have_zeros_behind);
    tcase_add_test(columns, columns_have_their_largest_value);
    tcase_add_test(columns, columns_of_exponentials_and_their_sums);
    tcase_add_test(columns, nan_stays_in_its_column);
    suite_add_tcase(suite, matmul);
    suite_add_tcase(suite, columns);
    return run_suite(suite);
}
