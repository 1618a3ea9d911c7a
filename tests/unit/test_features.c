/* Metrics, nearest rows and collapse figures on arrays, each against a plain twin in double precision. */
#include "probe_support.h"

#include "core/compute.h"
#include "eval/eigen.h"

/* ---- metrics ---- */

START_TEST(metrics_small_case)
{
    /* Ties: row 1 has classes 0 and 2 equal, so 0 comes first; row 3 has no label. Class 3 does not occur. */
    static const float scores[] = {.1f, .7f, .2f, 0, .5f, .1f, .5f, 0, .5f, .1f, .5f, 0,
                                   9,   9,   9,   9, 1,   2,   3,   4, 0,   0,   0,   0};
    static const int64_t labels[] = {1, 0, 2, -1, 2, 0};
    static const int64_t expected[16] = {2, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1};
    sslcv_context *context = make_context(1, NULL);
    const sslcv_tensor tensor = array(scores, 6, 4);
    sslcv_metrics metrics = {.struct_size = sizeof metrics};
    int64_t confusion[16];

    memset(confusion, 0x55, sizeof confusion);
    OK(sslcv_metrics_compute(context, &tensor, labels, &metrics, confusion));
    ck_assert_int_eq(metrics.count, 5);
    ck_assert_int_eq(metrics.num_classes, 4);
    CLOSE(metrics.top1, 3.0 / 5, 1e-15);
    CLOSE(metrics.top5, 1, 0);
    CLOSE(metrics.mean_per_class, (1 + 1 + 0) / 3.0, 1e-15);
    ck_assert_mem_eq(confusion, expected, sizeof expected);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(metrics_top5)
{
    static const float scores[] = {7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const int64_t labels[] = {4, 5, 4, 5};
    sslcv_context *context = make_context(1, NULL);
    const sslcv_metrics metrics = judge(context, scores, 4, 7, labels);

    CLOSE(metrics.top1, 0, 0);
    CLOSE(metrics.top5, 0.5, 0);
    sslcv_context_destroy(context);
}
END_TEST

/* Quantiles of the binomial distribution, by direct summation elsewhere. */
START_TEST(metrics_interval)
{
    static const struct {
        int64_t n, hits, low, high;
    } cases[] = {{100, 80, 72, 88},     {10, 3, 0, 6}, {7, 1, 0, 3}, {3, 2, 0, 3},
                 {1000, 500, 469, 531}, {1, 1, 1, 1},  {5, 0, 0, 0}, {5, 5, 5, 5}};
    static float scores[2000];
    static int64_t labels[1000];
    sslcv_context *context = make_context(1, NULL);
    size_t c;
    int64_t i;

    for (i = 0; i < 1000; i++) scores[2 * i] = 1;
    for (c = 0; c < sizeof cases / sizeof *cases; c++) {
        sslcv_metrics metrics;

        for (i = 0; i < cases[c].n; i++) labels[i] = i >= cases[c].hits;
        metrics = judge(context, scores, cases[c].n, 2, labels);
        CLOSE(metrics.top1, (double)cases[c].hits / (double)cases[c].n, 1e-15);
        CLOSE(metrics.top1_low, (double)cases[c].low / (double)cases[c].n, 1e-15);
        CLOSE(metrics.top1_high, (double)cases[c].high / (double)cases[c].n, 1e-15);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(metrics_refuse)
{
    float scores[6] = {1, 2, 3, 4, 5, 6};
    int64_t labels[2] = {0, 3}, confusion[9] = {-5};
    host h;
    sslcv_context *context = make_context(1, &h);
    sslcv_tensor tensor = array(scores, 2, 3);
    sslcv_metrics metrics = {.struct_size = sizeof metrics, .count = -5};

    FAILS(sslcv_metrics_compute(NULL, &tensor, labels, &metrics, NULL), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_metrics_compute(context, NULL, labels, &metrics, NULL), SSLCV_ERR_INVALID_ARGUMENT, "scores is NULL");
    FAILS(sslcv_metrics_compute(context, &tensor, NULL, &metrics, NULL), SSLCV_ERR_INVALID_ARGUMENT, "labels is NULL");
    FAILS(sslcv_metrics_compute(context, &tensor, labels, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "metrics is NULL");
    FAILS(sslcv_metrics_compute(context, &tensor, labels, &metrics, confusion), SSLCV_ERR_INVALID_ARGUMENT,
          "labels[1] is 3; must be -1 .. 2");
    labels[1] = -2;
    FAILS(sslcv_metrics_compute(context, &tensor, labels, &metrics, confusion), SSLCV_ERR_INVALID_ARGUMENT,
          "labels[1] is -2");
    labels[0] = labels[1] = -1;
    FAILS(sslcv_metrics_compute(context, &tensor, labels, &metrics, confusion), SSLCV_ERR_INVALID_ARGUMENT,
          "no entry other than -1 among 2");
    labels[1] = 0;
    scores[1] = NAN; /* in a row without label: not looked at */
    h.fail_at = h.calls;
    FAILS(sslcv_metrics_compute(context, &tensor, labels, &metrics, confusion), SSLCV_ERR_OUT_OF_MEMORY, "");
    scores[5] = NAN;
    FAILS(sslcv_metrics_compute(context, &tensor, labels, &metrics, confusion), SSLCV_ERR_NUMERIC,
          "scores[1][2] is NaN");
    metrics.struct_size = 8;
    FAILS(sslcv_metrics_compute(context, &tensor, labels, &metrics, confusion), SSLCV_ERR_INVALID_ARGUMENT,
          "metrics.struct_size is 8");
    metrics.struct_size = sizeof metrics;
    ck_assert_int_eq(metrics.count, -5);
    ck_assert_int_eq(confusion[0], -5);
    scores[5] = 6;
    OK(sslcv_metrics_compute(context, &tensor, labels, &metrics, confusion));
    ck_assert_int_eq(metrics.count, 1);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

/* ---- nearest ---- */

/* k times the best of what is left, over all pairs. */
static void naive_nearest(const float *rows, int64_t n, const float *queries, int64_t m, int64_t d, int64_t k,
                          int64_t *indices, float *similarities)
{
    float *units = make_array(n * d), *query = make_array(d);
    double *all = calloc((size_t)n, sizeof *all);
    int64_t i, j, r;

    for (i = 0; i < n; i++) naive_unit(rows + i * d, d, units + i * d);
    for (i = 0; i < m; i++) {
        naive_unit(queries + i * d, d, query);
        for (j = 0; j < n; j++) all[j] = naive_dot(query, units + j * d, d);
        for (r = 0; r < k; r++) {
            int64_t best = 0;

            for (j = 1; j < n; j++) {
                if (all[j] > all[best]) best = j;
            }
            indices[i * k + r] = best;
            similarities[i * k + r] = (float)all[best];
            all[best] = -INFINITY;
        }
    }
    free(units);
    free(query);
    free(all);
}

static void compare_nearest(sslcv_context *context, const float *rows, int64_t n, const float *queries, int64_t m,
                            int64_t d, int64_t k)
{
    const sslcv_tensor features = array(rows, n, d), wanted = array(queries, m, d);
    int64_t *found = calloc((size_t)(2 * m * k), sizeof *found), *expected = found + m * k, i;
    float *cosines = make_array(2 * m * k), *expected_cosines = cosines + m * k;

    OK(sslcv_nearest(context, &features, &wanted, k, found, cosines));
    naive_nearest(rows, n, queries, m, d, k, expected, expected_cosines);
    for (i = 0; i < m * k; i++) {
        ck_assert_msg(found[i] == expected[i], "n %lld d %lld k %lld: query %lld neighbour %lld is %lld, not %lld",
                      (long long)n, (long long)d, (long long)k, (long long)(i / k), (long long)(i % k),
                      (long long)found[i], (long long)expected[i]);
        CLOSE(cosines[i], expected_cosines[i], 1e-7);
    }
    OK(sslcv_nearest(context, &features, &wanted, k, found, NULL));
    ck_assert_mem_eq(found, expected, (size_t)(m * k) * sizeof *found);
    free(found);
    free(cosines);
}

START_TEST(nearest_equals_double_loop)
{
    static const struct {
        int64_t n, m, d, k;
    } cases[] = {{1, 1, 1, 1},      {2, 3, 1, 2},       {5, 130, 3, 5},     {300, 7, 8, 1},
                 {300, 7, 37, 300}, {2049, 129, 5, 10}, {4500, 20, 17, 200}};
    int32_t threads;
    size_t c;

    for (threads = 1; threads <= 3; threads++) {
        sslcv_context *context = make_context(threads, NULL);

        for (c = 0; c < sizeof cases / sizeof *cases; c++) {
            float *rows = normal_array(c, cases[c].n * cases[c].d),
                  *queries = normal_array(99, cases[c].m * cases[c].d);

            compare_nearest(context, rows, cases[c].n, queries, cases[c].m, cases[c].d, cases[c].k);
            free(rows);
            free(queries);
        }
        sslcv_context_destroy(context);
    }
}
END_TEST

/* Rows that differ by less than f32 products can tell, and copies that do not differ at all. */
START_TEST(nearest_settles_near_ties)
{
    enum { N = 2500, M = 6, D = 64, K = 50 };
    sslcv_context *context = make_context(2, NULL);
    float *rows = normal_array(3, N * D), *queries = normal_array(4, M * D);
    sslcv__rng rng;
    int64_t i, j;

    sslcv__rng_init(&rng, 1, 2, 3);
    for (i = 1; i < N; i++) {
        for (j = 0; j < D; j++) {
            rows[i * D + j] = rows[j] * (1 + 1e-7f * (float)sslcv__rng_below(&rng, 4));
            if (i % 3 == 0) rows[i * D + j] = rows[(i - 1) * D + j];
        }
    }
    compare_nearest(context, rows, N, queries, M, D, K);
    free(rows);
    free(queries);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(nearest_extreme_scales)
{
    enum { N = 40, D = 9 };
    sslcv_context *context = make_context(1, NULL);
    float *rows = normal_array(5, N * D), *queries = normal_array(6, N * D);
    int64_t i;

    for (i = 0; i < N * D; i++) {
        rows[i] *= i / D % 2 ? 1e30f : 1e-30f;
        queries[i] *= i / D % 3 ? 1e35f : 1e-20f;
    }
    compare_nearest(context, rows, N, queries, N, D, N);
    free(rows);
    free(queries);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(nearest_refuses)
{
    float rows[6] = {1, 2, 3, 4, 5, 6}, queries[4] = {1, 0, 0, 1};
    int64_t indices[8];
    float similarities[8];
    host h;
    sslcv_context *context = make_context(1, &h);
    sslcv_tensor features = array(rows, 3, 2), wanted = array(queries, 2, 2), other;
    int64_t at;

    FAILS(sslcv_nearest(NULL, &features, &wanted, 1, indices, NULL), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_nearest(context, NULL, &wanted, 1, indices, NULL), SSLCV_ERR_INVALID_ARGUMENT, "features is NULL");
    FAILS(sslcv_nearest(context, &features, NULL, 1, indices, NULL), SSLCV_ERR_INVALID_ARGUMENT, "queries is NULL");
    FAILS(sslcv_nearest(context, &features, &wanted, 1, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "indices is NULL");
    FAILS(sslcv_nearest(context, &features, &wanted, 0, indices, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "k is 0; must be 1 .. 3");
    FAILS(sslcv_nearest(context, &features, &wanted, 4, indices, NULL), SSLCV_ERR_INVALID_ARGUMENT, "k is 4");
    other = array(rows, 2, 3);
    FAILS(sslcv_nearest(context, &other, &wanted, 1, indices, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "queries has 2 dimensions; features has 3");
    other = features;
    other.strides[0] = 1;
    other.strides[1] = 3;
    FAILS(sslcv_nearest(context, &other, &wanted, 1, indices, NULL), SSLCV_ERR_INVALID_ARGUMENT, "must be dense");
    other = features;
    other.dtype = SSLCV_I32;
    FAILS(sslcv_nearest(context, &other, &wanted, 1, indices, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "dtype i32; must be f32");
    other = features;
    other.shape[0] = 0;
    FAILS(sslcv_nearest(context, &other, &wanted, 1, indices, NULL), SSLCV_ERR_INVALID_ARGUMENT, "shape (0, 2)");
    other = features;
    other.ndim = 1;
    FAILS(sslcv_nearest(context, &other, &wanted, 1, indices, NULL), SSLCV_ERR_INVALID_ARGUMENT, "features");
    rows[5] = INFINITY;
    FAILS(sslcv_nearest(context, &features, &wanted, 1, indices, NULL), SSLCV_ERR_NUMERIC, "features[2][1] is inf");
    rows[5] = 6;
    queries[2] = NAN;
    FAILS(sslcv_nearest(context, &features, &wanted, 1, indices, NULL), SSLCV_ERR_NUMERIC, "queries[1][0] is");
    queries[2] = queries[3] = 0;
    FAILS(sslcv_nearest(context, &features, &wanted, 1, indices, NULL), SSLCV_ERR_NUMERIC,
          "queries[1] is a row of zeros");
    queries[2] = 1e-40f; /* a denormal, which compute frames flush */
    FAILS(sslcv_nearest(context, &features, &wanted, 1, indices, NULL), SSLCV_ERR_NUMERIC, "row of zeros");
    queries[3] = 1;
    OK(sslcv_context_cancel(context, 1));
    FAILS(sslcv_nearest(context, &features, &wanted, 1, indices, NULL), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(context, 0));

    for (at = 0;; at++) {
        const int64_t held = h.out;

        h.fail_at = h.calls + at;
        if (sslcv_nearest(context, &features, &wanted, 2, indices, similarities) == SSLCV_OK) break;
        ck_assert_int_eq(h.out, held);
    }
    ck_assert_int_gt(at, 3);
    ck_assert_int_eq(indices[0], 2); /* (5, 6) is the closest to (1, 0) */
    ck_assert_int_eq(indices[2], 0);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

/* ---- spread ---- */

static sslcv_spread spread_of(sslcv_context *context, const float *rows, int64_t n, int64_t d)
{
    const sslcv_tensor features = array(rows, n, d);
    sslcv_spread spread = {.struct_size = sizeof spread};

    OK(sslcv_spread_compute(context, &features, &spread));
    return spread;
}

START_TEST(spread_of_random_rows)
{
    enum { N = 2000, D = 20 };
    sslcv_context *context = make_context(2, NULL);
    float *rows = normal_array(1, N * D);
    const sslcv_spread spread = spread_of(context, rows, N, D);

    CLOSE(spread.std, 1, 0.01);
    CLOSE(spread.cosine, 0, 0.01);
    ck_assert_double_gt(spread.effective_rank, D - 0.1);
    ck_assert_double_le(spread.effective_rank, D + 1e-9);
    free(rows);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(spread_of_collapsed_rows)
{
    enum { N = 100, D = 300 };
    sslcv_context *context = make_context(1, NULL);
    float *rows = normal_array(1, N * D);
    sslcv_spread spread;
    int64_t i;

    for (i = D; i < N * D; i++) rows[i] = rows[i % D] * (float)(i / D); /* one direction, many lengths */
    spread = spread_of(context, rows, N, D);
    CLOSE(spread.std, 0, 1e-6);
    CLOSE(spread.cosine, 1, 1e-6);
    CLOSE(spread.effective_rank, 1, 1e-3);
    spread = spread_of(context, rows, 2, D);
    CLOSE(spread.effective_rank, 1, 1e-6);
    free(rows);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(spread_small_cases)
{
    /* Orthogonal rows of lengths 3 and 1: singular values 3, 1. */
    static const float two[] = {3, 0, 0, 0, 1, 0};
    static const float opposite[] = {1, 0, -1, 0};
    float identity[36] = {0};
    sslcv_context *context = make_context(1, NULL);
    sslcv_spread spread;
    int i;

    spread = spread_of(context, two, 2, 3);
    CLOSE(spread.effective_rank, exp(-(.75 * log(.75) + .25 * log(.25))), 1e-9);
    CLOSE(spread.cosine, 0, 1e-12);
    CLOSE(spread.std, sqrt(3) * sqrt(.5) * 2 / 3, 1e-9);
    spread = spread_of(context, opposite, 2, 2);
    CLOSE(spread.cosine, -1, 1e-12);
    CLOSE(spread.std, sqrt(2) * sqrt(2) / 2, 1e-9);
    CLOSE(spread.effective_rank, 1, 1e-9);
    for (i = 0; i < 6; i++) identity[7 * i] = 2;
    spread = spread_of(context, identity, 6, 6);
    CLOSE(spread.effective_rank, 6, 1e-9);
    CLOSE(spread.cosine, 0, 1e-12);
    spread = spread_of(context, identity, 4, 1 * 6);
    CLOSE(spread.effective_rank, 4, 1e-9);
    sslcv_context_destroy(context);
}
END_TEST

/* Pairs and dimensions one by one; the rank from the twin shape, as X and its transpose have one set of values. */
START_TEST(spread_equals_plain_sums)
{
    enum { N = 150, D = 31 };
    sslcv_context *context = make_context(3, NULL), *one = make_context(1, NULL);
    float *rows = normal_array(1, N * D), *transposed = make_array(N * D), *units = make_array(N * D);
    double cosine = 0, deviation = 0;
    sslcv_spread spread, other;
    int64_t i, j;

    for (i = 0; i < N * D; i++) rows[i] = rows[i] * (float)(1 + i % D) + 2;
    for (i = 0; i < N; i++) naive_unit(rows + i * D, D, units + i * D);
    for (i = 0; i < N; i++) {
        for (j = 0; j < N; j++) cosine += i == j ? 0 : naive_dot(units + i * D, units + j * D, D) / (N * (N - 1.0));
    }
    for (j = 0; j < D; j++) {
        double mean = 0, square = 0;

        for (i = 0; i < N; i++) mean += units[i * D + j] / (double)N;
        for (i = 0; i < N; i++) square += pow(units[i * D + j] - mean, 2) / (N - 1);
        deviation += sqrt(square) / D;
        for (i = 0; i < N; i++) transposed[j * N + i] = rows[i * D + j];
    }
    spread = spread_of(context, rows, N, D);
    CLOSE(spread.cosine, cosine, 1e-7);
    CLOSE(spread.std, deviation * sqrt(D), 1e-7);
    other = spread_of(one, transposed, D, N);
    CLOSE(spread.effective_rank, other.effective_rank, 1e-9);
    other = spread_of(one, rows, N, D);
    ck_assert_mem_eq(&spread, &other, sizeof spread);
    free(rows);
    free(transposed);
    free(units);
    sslcv_context_destroy(context);
    sslcv_context_destroy(one);
}
END_TEST

START_TEST(spread_refuses)
{
    float rows[6] = {1, 2, 3, 4, 5, 6};
    host h;
    sslcv_context *context = make_context(1, &h);
    sslcv_tensor features = array(rows, 3, 2), one = array(rows, 1, 2);
    sslcv_spread spread = {.struct_size = sizeof spread, .std = -5};
    int64_t at;

    FAILS(sslcv_spread_compute(NULL, &features, &spread), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_spread_compute(context, NULL, &spread), SSLCV_ERR_INVALID_ARGUMENT, "features is NULL");
    FAILS(sslcv_spread_compute(context, &features, NULL), SSLCV_ERR_INVALID_ARGUMENT, "spread is NULL");
    FAILS(sslcv_spread_compute(context, &one, &spread), SSLCV_ERR_INVALID_ARGUMENT, "at least 2");
    rows[0] = -INFINITY;
    FAILS(sslcv_spread_compute(context, &features, &spread), SSLCV_ERR_NUMERIC, "features[0][0] is -inf");
    rows[0] = rows[1] = 0;
    FAILS(sslcv_spread_compute(context, &features, &spread), SSLCV_ERR_NUMERIC, "features[0] is a row of zeros");
    rows[0] = 1;
    OK(sslcv_context_cancel(context, 1));
    FAILS(sslcv_spread_compute(context, &features, &spread), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(context, 0));
    for (at = 0;; at++) {
        const int64_t held = h.out;
        sslcv_status status;

        h.fail_at = h.calls + at;
        status = sslcv_spread_compute(context, &features, &spread);
        ck_assert_int_eq(h.out, held);
        if (status == SSLCV_OK) break;
        CLOSE(spread.std, -5, 0);
    }
    ck_assert_int_ge(at, 7);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

/* H diag(values) H with a reflection H, whose eigenvalues are known. */
START_TEST(eigenvalues_known)
{
    enum { N = 60 };
    static double a[N * N];
    sslcv_context *context = make_context(2, NULL);
    float *v = normal_array(8, N);
    double known[N], found[N], square = 0;
    sslcv__compute frame;
    int64_t i, j, k;

    for (i = 0; i < N; i++) {
        known[i] = i < 5 ? 0 : i < 10 ? 2 : (double)(i * i); /* repeated ones too; ascending */
        square += (double)v[i] * v[i];
    }
    for (i = 0; i < N; i++) {
        for (j = 0; j < N; j++) {
            for (k = 0; k < N; k++) {
                const double hik = (i == k) - 2 * (double)v[i] * v[k] / square;
                const double hkj = (k == j) - 2 * (double)v[k] * v[j] / square;

                a[i * N + j] += hik * known[k] * hkj;
            }
        }
    }
    OK(sslcv__compute_begin(context, &frame));
    OK(sslcv__eigenvalues(context, a, N, found));
    for (i = 0; i < N; i++) CLOSE(found[i], known[i], 1e-11);
    a[0] = -3;
    OK(sslcv__eigenvalues(context, a, 1, found));
    CLOSE(found[0], -3, 1e-14);
    memset(a, 0, sizeof a);
    OK(sslcv__eigenvalues(context, a, N, found));
    for (i = 0; i < N; i++) CLOSE(found[i], 0, 1e-300);
    a[0] = a[3] = 0; /* [0 1; 1 0] has -1 and 1 */
    a[1] = a[2] = 1;
    OK(sslcv__eigenvalues(context, a, 2, found));
    CLOSE(found[0], -1, 1e-14);
    CLOSE(found[1], 1, 1e-14);
    sslcv__compute_end(&frame);
    free(v);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("features");
    TCase *metrics = add_case(suite, "metrics");
    TCase *nearest = add_case(suite, "nearest");
    TCase *spread = add_case(suite, "spread");

    tcase_add_test(metrics, metrics_small_case);
    tcase_add_test(metrics, metrics_top5);
    tcase_add_test(metrics, metrics_interval);
    tcase_add_test(metrics, metrics_refuse);
    tcase_add_test(nearest, nearest_equals_double_loop);
    tcase_add_test(nearest, nearest_settles_near_ties);
    tcase_add_test(nearest, nearest_extreme_scales);
    tcase_add_test(nearest, nearest_refuses);
    tcase_add_test(spread, spread_of_random_rows);
    tcase_add_test(spread, spread_of_collapsed_rows);
    tcase_add_test(spread, spread_small_cases);
    tcase_add_test(spread, spread_equals_plain_sums);
    tcase_add_test(spread, spread_refuses);
    tcase_add_test(spread, eigenvalues_known);
    return run_suite(suite);
}
