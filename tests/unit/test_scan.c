/* Rows against a queue in one pass, against a twin in double that holds all scores. */
#include "memory_support.h"

#include "core/compute.h"
#include "loss/scan.h"

typedef struct problem {
    sslcv__scan scan;
    float *rows, *candidates, *top, *pull;
    double *sum;
} problem;

static float *floats(int64_t count)
{
    float *values = malloc((size_t)count * sizeof *values);

    ck_assert(values);
    return values;
}

static problem make_problem(int64_t rows, int64_t candidates, int64_t dim, float scale)
{
    problem q = {.scan = {.num_rows = rows, .num_candidates = candidates, .dim = dim, .scale = scale}};

    q.scan.rows = q.rows = floats(rows * dim);
    q.scan.candidates = q.candidates = floats(candidates * dim);
    q.scan.top = q.top = floats(rows);
    q.scan.pull = q.pull = floats(rows * dim);
    q.scan.sum = q.sum = malloc((size_t)rows * sizeof *q.sum);
    ck_assert(q.sum);
    golden_input(rows + dim, rows * dim, q.rows);
    golden_input(candidates, candidates * dim, q.candidates);
    return q;
}

static void free_problem(problem *q)
{
    free(q->rows);
    free(q->candidates);
    free(q->top);
    free(q->pull);
    free(q->sum);
}

static void run(problem *q, int32_t threads)
{
    sslcv_context *context = new_context(NULL, threads);
    sslcv__compute frame;
    void *memory, *block;
    int64_t bytes = 0;

    q->scan.threads = threads;
    ck_assert(sslcv__scan_place(&q->scan, NULL, &bytes, &memory));
    block = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64); /* not a byte more, for tools that see what is beyond */
    ck_assert(block);
    bytes = 0;
    ck_assert(sslcv__scan_place(&q->scan, block, &bytes, &memory));
    OK(sslcv__compute_begin(context, &frame));
    OK(sslcv__scan_run(&q->scan, memory));
    sslcv__compute_end(&frame);
    sslcv_context_destroy(context);
    free(block);
}

static double score(const problem *q, int64_t row, int64_t candidate)
{
    const int64_t d = q->scan.dim;
    double sum = 0.0;
    int64_t i;

    for (i = 0; i < d; i++) sum += (double)q->rows[row * d + i] * (double)q->candidates[candidate * d + i];
    return sum;
}

/* Brings what comes with the rounded top to the exact one. tolerance: a share of what is added up. */
static void check_row(const problem *q, int64_t row, double tolerance)
{
    const sslcv__scan *s = &q->scan;
    double *scores = malloc((size_t)s->num_candidates * sizeof *scores), top = -1e300, sum = 0.0, shift;
    int64_t i, j;

    ck_assert(scores);
    for (j = 0; j < s->num_candidates; j++) {
        scores[j] = score(q, row, j);
        top = fmax(top, scores[j]);
    }
    CLOSE((double)s->top[row], top, 1e-6);
    shift = exp((double)s->scale * ((double)s->top[row] - top));
    for (j = 0; j < s->num_candidates; j++) {
        scores[j] = exp((double)s->scale * (scores[j] - top));
        sum += scores[j];
    }
    ck_assert_msg(fabs(s->sum[row] * shift / sum - 1.0) <= tolerance, "row %lld: sum %.9g, not %.9g", (long long)row,
                  s->sum[row] * shift, sum);
    for (i = 0; i < s->dim && s->pull; i++) {
        double pull = 0.0, size = 0.0;

        for (j = 0; j < s->num_candidates; j++) {
            pull += scores[j] * (double)q->candidates[j * s->dim + i];
            size += fabs(scores[j] * (double)q->candidates[j * s->dim + i]);
        }
        ck_assert_msg(fabs((double)s->pull[row * s->dim + i] * shift - pull) <= tolerance * size,
                      "row %lld, %lld: pull %.9g, not %.9g", (long long)row, (long long)i,
                      (double)s->pull[row * s->dim + i] * shift, pull);
    }
    free(scores);
}

/* Rows of several groups and panels, candidates of several parts and blocks, dimensions that are filled up or not. */
static const int64_t shapes[][3] = {{1, 1, 1},       {3, 5, 4},      {16, 127, 16},  {17, 128, 7},
                                    {32, 129, 128},  {33, 256, 48},  {45, 300, 100}, {70, 2000, 32},
                                    {257, 1000, 24}, {300, 9000, 3}, {5, 700, 1024}};
enum { NUM_SHAPES = (int)(sizeof shapes / sizeof *shapes) };

START_TEST(scan_is_that_of_the_twin)
{
    problem q = make_problem(shapes[_i][0], shapes[_i][1], shapes[_i][2], 2.5f);
    float *whole_top = floats(shapes[_i][0]);
    int64_t r;

    run(&q, 2);
    for (r = 0; r < q.scan.num_rows; r += r < 40 ? 1 : 31) check_row(&q, r, 1e-5);
    check_row(&q, q.scan.num_rows - 1, 1e-5);
    memcpy(whole_top, q.top, (size_t)shapes[_i][0] * sizeof *whole_top);
    q.scan.pull = NULL;
    run(&q, 1);
    check_row(&q, q.scan.num_rows - 1, 1e-5);
    ck_assert(memcmp(whole_top, q.top, (size_t)shapes[_i][0] * sizeof *whole_top) == 0);
    free(whole_top);
    free_problem(&q);
}
END_TEST

/* The largest score grows from block to block, by what makes all before it vanish or nearly so. */
START_TEST(scores_that_grow)
{
    enum { ROWS = 40, CANDIDATES = 1500, DIM = 20 };
    static const float scales[3] = {0.01f, 1.0f, 20.0f};
    problem q = make_problem(ROWS, CANDIDATES, DIM, scales[_i]);
    int64_t i, r;

    for (r = 0; r < ROWS; r++) q.rows[r * DIM] = r % 2 ? 1.0f : -1.0f;
    for (i = 0; i < CANDIDATES; i++) q.candidates[i * DIM] = (float)i * 0.03f;
    run(&q, 2);
    for (r = 0; r < ROWS; r++) check_row(&q, r, 1e-5 + (double)scales[_i] * 45.0 * 0x1p-22); /* of the scores */
    free_problem(&q);
}
END_TEST

START_TEST(threads_give_equal_bits)
{
    enum { ROWS = 50, CANDIDATES = 3000, DIM = 33 };
    problem one = make_problem(ROWS, CANDIDATES, DIM, 10.0f), more = make_problem(ROWS, CANDIDATES, DIM, 10.0f);
    int32_t threads;

    run(&one, 1);
    for (threads = 2; threads <= 5; threads++) {
        run(&more, threads);
        ck_assert(memcmp(one.top, more.top, ROWS * sizeof *one.top) == 0);
        ck_assert(memcmp(one.sum, more.sum, ROWS * sizeof *one.sum) == 0);
        ck_assert(memcmp(one.pull, more.pull, ROWS * DIM * sizeof *one.pull) == 0);
    }
    free_problem(&one);
    free_problem(&more);
}
END_TEST

START_TEST(nan_stays_in_its_row)
{
    enum { ROWS = 20, CANDIDATES = 600, DIM = 8 };
    problem q = make_problem(ROWS, CANDIDATES, DIM, 10.0f);
    int64_t r;

    q.rows[7 * DIM + 2] = NAN;
    run(&q, 2);
    for (r = 0; r < ROWS; r++) {
        if (r == 7) {
            ck_assert(isnan(q.sum[r]) && isnan(q.pull[r * DIM]));
        } else {
            check_row(&q, r, 1e-5);
        }
    }
    free_problem(&q);
}
END_TEST

START_TEST(sizes_beyond_memory_are_refused)
{
    const sslcv__scan scan = {.num_rows = 256, .num_candidates = INT64_C(1) << 20, .dim = INT64_MAX / 64, .threads = 2};
    int64_t bytes = 0;
    void *memory;

    ck_assert(!sslcv__scan_place(&scan, NULL, &bytes, &memory));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("scan");
    Suite *suite = suite_create("scan");

    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, scan_is_that_of_the_twin, 0, NUM_SHAPES);
    tcase_add_loop_test(tcase, scores_that_grow, 0, 3);
    tcase_add_test(tcase, threads_give_equal_bits);
    tcase_add_test(tcase, nan_stays_in_its_row);
    tcase_add_test(tcase, sizes_beyond_memory_are_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
