/* Eigenvectors, and whitening by them. */
#include "loss_support.h"

#include <sslcv/probe.h>

#include "core/compute.h"
#include "eval/eigen.h"

enum { MOST = 1 << 19 };

static float features[MOST], reduced[MOST], again[MOST];
static double matrix[MOST], kept[MOST], values[512], vectors[MOST], room[512 * SSLCV__EIGEN_ROOM];

/* ---- eigenvectors ---- */

static void fill_matrix(int kind, int64_t n, sslcv__rng *rng)
{
    int64_t r, c, i;

    memset(matrix, 0, (size_t)(n * n) * sizeof *matrix);
    for (r = 0; r < n; r++) {
        for (c = 0; c <= r; c++) {
            double value = 0.0;

            switch (kind) {
            case 0: value = sslcv__rng_normal(rng); break;         /* anything */
            case 1: value = r == c ? 3.0 : 0.0; break;             /* one value n times */
            case 2: value = r == c ? (double)(r / 3) : 0.0; break; /* each thrice, 0 among them */
            case 3: value = r == c ? 2.0 + (double)(r % 2) : (r / 4 == c / 4 ? 0.5 : 0.0); break; /* blocks */
            case 4: value = r == c + 1 ? 1.0 : r == c ? fabs((double)r - 0.5 * (double)(n - 1)) : 0.0; break;
            case 5: value = 1.0; break;                   /* rank 1 */
            default: value = exp(-0.2 * (double)(r + c)); /* values over many orders */
            }
            matrix[r * n + c] = matrix[c * n + r] = value;
        }
    }
    /* Pairs of nearly equal ones. */
    for (i = 0; kind == 6 && i < n; i++) matrix[i * n + i] += 1e-9 * (double)(i % 3);
}

static void check_vectors(int64_t n, int64_t k)
{
    double largest = 1e-300, worst = 0.0, trace = 0.0, sum = 0.0;
    int64_t i, j, r, c;

    for (i = 0; i < n * n; i++) largest = fmax(largest, fabs(kept[i]));
    largest *= (double)n;
    for (i = 0; i < k; i++) {
        const double *v = vectors + i * n;

        if (i > 0) ck_assert_double_le(values[i], values[i - 1] + 1e-13 * largest);
        for (r = 0; r < n; r++) {
            double along = 0.0;

            for (c = 0; c < n; c++) along += kept[r * n + c] * v[c];
            worst = fmax(worst, fabs(along - values[i] * v[r]));
        }
        for (j = 0; j <= i; j++) {
            double product = 0.0;

            for (c = 0; c < n; c++) product += v[c] * vectors[j * n + c];
            ck_assert_msg(fabs(product - (i == j)) < 1e-11, "vectors %d and %d of %d: %g", (int)i, (int)j, (int)n,
                          product);
        }
        sum += values[i];
    }
    ck_assert_msg(worst <= 1e-12 * largest, "residual %g of %g", worst, largest);
    for (i = 0; i < n; i++) trace += kept[i * n + i];
    if (k == n) CLOSE(sum / largest, trace / largest, 1e-12);
}

START_TEST(vectors_of_a_matrix)
{
    static const int64_t sizes[] = {1, 2, 3, 4, 7, 21, 60, 150};
    sslcv_context *context = new_context(NULL, 2);
    sslcv__compute frame;
    sslcv__rng rng;
    size_t s;
    int kind;

    sslcv__rng_init(&rng, 1, 2, 3);
    OK(sslcv__compute_begin(context, &frame));
    for (kind = 0; kind < 7; kind++) {
        for (s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const int64_t n = sizes[s], k = s % 2 ? n : (n + 1) / 2;

            fill_matrix(kind, n, &rng);
            memcpy(kept, matrix, (size_t)(n * n) * sizeof *kept);
            OK(sslcv__eigenvectors(context, matrix, n, k, values, vectors, room));
            check_vectors(n, k);
        }
    }
    sslcv__compute_end(&frame);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- whitening ---- */

typedef struct pca_call {
    sslcv_tensor features, reduced;
} pca_call;

static void make_call(pca_call *c, int64_t n, int64_t d, int64_t k)
{
    const int64_t in[2] = {n, d}, out[2] = {n, k};

    ck_assert(n * d <= MOST);
    OK(sslcv_tensor_init(&c->features, SSLCV_F32, features, 2, in));
    OK(sslcv_tensor_init(&c->reduced, SSLCV_F32, reduced, 2, out));
}

/* Directions at random, orthogonal, whose deviations fall from 1 to ratio, on a mean. */
static void fill_features(int64_t n, int64_t d, double ratio, double mean, uint64_t seed)
{
    sslcv__rng rng;
    int64_t i, j, t;

    sslcv__rng_init(&rng, seed, 0, 0);
    for (i = 0; i < d; i++) {
        double length = 0.0;

        for (j = 0; j < d; j++) matrix[i * d + j] = sslcv__rng_normal(&rng);
        for (t = 0; t < i; t++) {
            double along = 0.0;

            for (j = 0; j < d; j++) along += matrix[i * d + j] * matrix[t * d + j];
            for (j = 0; j < d; j++) matrix[i * d + j] -= along * matrix[t * d + j];
        }
        for (j = 0; j < d; j++) length += matrix[i * d + j] * matrix[i * d + j];
        for (j = 0; j < d; j++) matrix[i * d + j] /= sqrt(length);
    }
    for (i = 0; i < n; i++) {
        for (j = 0; j < d; j++) vectors[j] = mean;
        for (t = 0; t < d; t++) {
            const double x = pow(ratio, (double)t / (double)(d > 1 ? d - 1 : 1)) * sslcv__rng_normal(&rng);

            for (j = 0; j < d; j++) vectors[j] += x * matrix[t * d + j];
        }
        for (j = 0; j < d; j++) features[i * d + j] = (float)vectors[j];
    }
}

/* The largest difference of the covariance from 1, in double; and of the mean from 0. */
static double distance_from_white(const float *x, int64_t n, int64_t k)
{
    double worst = 0.0;
    int64_t a, b, i;

    for (a = 0; a < k; a++) {
        double mean = 0.0;

        for (i = 0; i < n; i++) mean += (double)x[i * k + a] / (double)n;
        worst = fmax(worst, fabs(mean));
        for (b = 0; b <= a; b++) {
            double sum = 0.0;

            for (i = 0; i < n; i++) sum += (double)x[i * k + a] * (double)x[i * k + b];
            worst = fmax(worst, fabs(sum / (double)(n - 1) - (a == b)));
        }
    }
    return worst;
}

START_TEST(covariance_is_one)
{
    static const struct {
        int64_t n, d, k;
        double ratio, mean;
    } cases[] = {{2, 1, 1, 1.0, 0.0},      {5, 3, 2, 0.5, 0.0},       {40, 60, 39, 0.9, 0.0}, {700, 24, 24, 0.01, 0.0},
                 {1500, 40, 10, 0.1, 9.0}, {1024, 64, 64, 0.03, 1.0}, {513, 8, 8, 0.3, -50.0}};
    sslcv_context *context = new_context(NULL, 2);
    size_t c;

    for (c = 0; c < sizeof cases / sizeof *cases; c++) {
        pca_call call;
        double white;

        fill_features(cases[c].n, cases[c].d, cases[c].ratio, cases[c].mean, 4 + c);
        make_call(&call, cases[c].n, cases[c].d, cases[c].k);
        OK(sslcv_pca_whiten(context, &call.features, 0, &call.reduced));
        white = distance_from_white(reduced, cases[c].n, cases[c].k);
        ck_assert_msg(white < 2e-6, "case %d: %g", (int)c, white);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* Against eigenvectors of the covariance in double: the same columns, not only white ones. */
START_TEST(columns_are_components)
{
    enum { N = 900, D = 12, K = 5 };
    sslcv_context *context = new_context(NULL, 2);
    double mean[D] = {0.0};
    sslcv__compute frame;
    pca_call call;
    int64_t i, a, b;

    fill_features(N, D, 0.05, 2.0, 9);
    make_call(&call, N, D, K);
    OK(sslcv_pca_whiten(context, &call.features, 0, &call.reduced));
    for (i = 0; i < N * D; i++) mean[i % D] += (double)features[i] / N;
    memset(matrix, 0, D * D * sizeof *matrix);
    for (i = 0; i < N; i++) {
        for (a = 0; a < D; a++) {
            for (b = 0; b < D; b++) {
                matrix[a * D + b] +=
                    ((double)features[i * D + a] - mean[a]) * ((double)features[i * D + b] - mean[b]) / (N - 1);
            }
        }
    }
    OK(sslcv__compute_begin(context, &frame));
    OK(sslcv__eigenvectors(context, matrix, D, K, values, vectors, room));
    sslcv__compute_end(&frame);
    for (a = 0; a < K; a++) {
        double sign = 0.0;

        for (b = 0; b < D; b++) sign = fabs(vectors[a * D + b]) > fabs(sign) ? vectors[a * D + b] : sign;
        for (i = 0; i < N; i++) {
            double along = 0.0;

            for (b = 0; b < D; b++) along += ((double)features[i * D + b] - mean[b]) * vectors[a * D + b];
            CLOSE((double)reduced[i * K + a], (sign < 0.0 ? -1.0 : 1.0) * along / sqrt(values[a]), 2e-4);
        }
    }
    /* With unit rows they only are scaled. */
    memcpy(again, reduced, N * K * sizeof *again);
    OK(sslcv_pca_whiten(context, &call.features, 1, &call.reduced));
    for (i = 0; i < N; i++) {
        double length = 0.0;

        for (a = 0; a < K; a++) length += pow((double)again[i * K + a], 2.0);
        for (a = 0; a < K; a++) CLOSE((double)reduced[i * K + a], (double)again[i * K + a] / sqrt(length), 1e-6);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(bad_input)
{
    sslcv_context *context = new_context(NULL, 2);
    pca_call call;
    int64_t i;

    fill_features(50, 6, 0.5, 0.0, 3);
    make_call(&call, 50, 6, 7);
    FAILS(sslcv_pca_whiten(context, &call.features, 0, &call.reduced), SSLCV_ERR_INVALID_ARGUMENT,
          "reduced has shape (50, 7); must be (50, k) with k <= 6");
    make_call(&call, 4, 6, 4);
    FAILS(sslcv_pca_whiten(context, &call.features, 0, &call.reduced), SSLCV_ERR_INVALID_ARGUMENT,
          "must be (4, k) with k <= 3");
    make_call(&call, 50, 6, 4);
    call.reduced.shape[0] = 49;
    FAILS(sslcv_pca_whiten(context, &call.features, 0, &call.reduced), SSLCV_ERR_INVALID_ARGUMENT, "must be (50, k)");
    call.reduced.shape[0] = 50;
    FAILS(sslcv_pca_whiten(context, &call.features, 2, &call.reduced), SSLCV_ERR_INVALID_ARGUMENT, "normalize is 2");
    FAILS(sslcv_pca_whiten(context, NULL, 0, &call.reduced), SSLCV_ERR_INVALID_ARGUMENT, "features is NULL");
    FAILS(sslcv_pca_whiten(context, &call.features, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "reduced is NULL");
    features[8] = INFINITY;
    FAILS(sslcv_pca_whiten(context, &call.features, 0, &call.reduced), SSLCV_ERR_NUMERIC, "features[1][2] is inf");
    /* Three directions only. */
    for (i = 0; i < 300; i++) features[i] = i % 6 < 3 ? (float)sin((double)(i * i)) : features[i - 3] * 2.0f + 1.0f;
    FAILS(sslcv_pca_whiten(context, &call.features, 0, &call.reduced), SSLCV_ERR_NUMERIC,
          "features has 3 directions with variance; reduced asks for 4");
    make_call(&call, 50, 6, 3);
    OK(sslcv_pca_whiten(context, &call.features, 0, &call.reduced));
    for (i = 0; i < 300; i++) features[i] = 3.0f;
    FAILS(sslcv_pca_whiten(context, &call.features, 0, &call.reduced), SSLCV_ERR_NUMERIC, "features has 0 directions");
    features[0] = 4.0f;
    OK(sslcv_context_cancel(context, 1));
    FAILS(sslcv_pca_whiten(context, &call.features, 0, &call.reduced), SSLCV_ERR_CANCELLED, "cancelled");
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(allocations_may_fail)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 2);
    const int64_t before = h.out;
    int64_t n;
    pca_call call;

    fill_features(50, 6, 0.5, 0.0, 3);
    make_call(&call, 50, 6, 4);
    for (n = 0;; n++) {
        sslcv_status status;

        h.calls = 0;
        h.fail_at = n;
        status = sslcv_pca_whiten(context, &call.features, 1, &call.reduced);
        ck_assert_int_eq(h.out, before);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
    }
    ck_assert_int_gt(n, 8);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pca");
    TCase *tests = tcase_create("pca");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, vectors_of_a_matrix);
    tcase_add_test(tests, covariance_is_one);
    tcase_add_test(tests, columns_are_components);
    tcase_add_test(tests, bad_input);
    tcase_add_test(tests, allocations_may_fail);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
