/* k-means of both kinds, and how two clusterings compare. */
#include "loss_support.h"

#include <sslcv/probe.h>

#include "cluster/kmeans.h"
#include "core/compute.h"

enum { MOST_ROWS = 4096, MOST_VALUES = 1 << 18, MOST_CLUSTERS = 1100 };

static float points[MOST_VALUES], centres[MOST_VALUES], others[MOST_VALUES];
static int64_t found[MOST_ROWS], expected[MOST_ROWS];
static double history[64];

static sslcv__kmeans_result run(sslcv_context *context, const sslcv__points *p, const sslcv__kmeans_settings *s)
{
    sslcv__kmeans_result result = {0.0, 0, 0};
    sslcv__compute frame;

    OK(sslcv__compute_begin(context, &frame));
    OK(sslcv__kmeans(context, p, s, centres, found, history, &result));
    sslcv__compute_end(&frame);
    return result;
}

/* Groups that lie apart, so that no row is near to two centres; offset: of all. */
static void make_groups(sslcv__rng *rng, int64_t n, int64_t d, int64_t groups, double offset)
{
    int64_t i, j;

    for (i = 0; i < n; i++) {
        sslcv__rng group;

        sslcv__rng_init(&group, 99, (uint64_t)(i % groups), 0);
        for (j = 0; j < d; j++) {
            points[i * d + j] = (float)(offset + 3.0 * sslcv__rng_normal(&group) + 0.3 * sslcv__rng_normal(rng));
        }
    }
}

/* ---- published values ---- */

START_TEST(spherical_has_the_published_values)
{
    static const int64_t assignment[12] = {0, 1, 2, 1, 0, 1, 2, 1, 1, 0, 1, 0};
    static const double centre[4] = {-.460016, -.560173, .669612, .161898};
    const sslcv__points p = {points, NULL, 12, 4};
    const sslcv__kmeans_settings s = {.clusters = 3, .iterations = 10, .spherical = 1, .warm_start = 1};
    sslcv_context *context = new_context(NULL, 2);
    sslcv__kmeans_result result;
    int64_t i;

    golden_rows(15, 12, 4, points);
    memcpy(centres, points, 12 * sizeof(float));
    result = run(context, &p, &s);
    for (i = 0; i < 12; i++) ck_assert_int_eq(found[i], assignment[i]);
    for (i = 0; i < 4; i++) CLOSE((double)centres[i], centre[i], 1e-6);
    CLOSE(12.0 * history[0], 6.610813, 1e-6);
    CLOSE(12.0 * history[2], 7.674990, 1e-6);
    ck_assert_double_eq(history[10], history[2]);
    ck_assert_double_eq(result.objective, history[10]);
    ck_assert_int_le(result.rounds, 4);
    ck_assert_int_eq(result.used, 3);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- comparison ---- */

typedef struct twin {
    int64_t n, d, k, iterations;
    int spherical;
    const int64_t *rows;
    double x[MOST_VALUES], c[MOST_VALUES], objective;
} twin;

static void unit(double *x, int64_t d)
{
    double sum = 0.0;
    int64_t j;

    for (j = 0; j < d; j++) sum += x[j] * x[j];
    for (j = 0; sum > 0.0 && j < d; j++) x[j] /= sqrt(sum);
}

static void twin_assign(twin *t)
{
    int64_t i, k, j;

    t->objective = 0.0;
    for (i = 0; i < t->n; i++) {
        double best = -INFINITY;

        for (k = 0; k < t->k; k++) {
            double score = 0.0;

            for (j = 0; j < t->d; j++) {
                const double x = t->x[i * t->d + j], c = t->c[k * t->d + j];

                score += t->spherical ? x * c : -(x - c) * (x - c);
            }
            if (score > best) {
                best = score;
                expected[i] = k;
            }
        }
        t->objective += (t->spherical ? best : -best) / (double)t->n;
    }
}

static void twin_run(twin *t)
{
    int64_t round, i, k, j;

    for (i = 0; i < t->n; i++) {
        const int64_t row = t->rows ? t->rows[i] : i;

        for (j = 0; j < t->d; j++) t->x[i * t->d + j] = (double)points[row * t->d + j];
        if (t->spherical) unit(t->x + i * t->d, t->d);
    }
    for (i = 0; i < t->k; i++) {
        for (j = 0; j < t->d; j++) t->c[i * t->d + j] = (double)centres[i * t->d + j];
        if (t->spherical) unit(t->c + i * t->d, t->d);
    }
    for (round = 0; round < t->iterations; round++) {
        twin_assign(t);
        for (k = 0; k < t->k; k++) {
            int64_t members = 0;

            for (i = 0; i < t->n; i++) members += expected[i] == k;
            if (members == 0) continue;
            for (j = 0; j < t->d; j++) {
                double sum = 0.0;

                for (i = 0; i < t->n; i++) sum += expected[i] == k ? t->x[i * t->d + j] : 0.0;
                t->c[k * t->d + j] = sum / (double)members;
            }
            if (t->spherical) unit(t->c + k * t->d, t->d);
        }
    }
    twin_assign(t);
}

/* Groups and centres from among them: nobody is on an edge, so both must agree to the last row. */
START_TEST(equals_its_twin)
{
    static twin t;
    static int64_t rows[MOST_ROWS];
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    int trial;

    sslcv__rng_init(&rng, 5, 5, 5);
    for (trial = 0; trial < 40; trial++) {
        const int64_t all = 1 + sslcv__rng_below(&rng, trial % 8 ? 300 : 1500), step = 1 + trial % 3;
        const int64_t groups = 1 + sslcv__rng_below(&rng, 12);
        sslcv__kmeans_settings s = {.warm_start = 1};
        sslcv__points p = {points, rows, (all + step - 1) / step, 8 + sslcv__rng_below(&rng, 40)};
        sslcv__kmeans_result result;
        int64_t i, j;

        make_groups(&rng, all, p.d, groups, trial % 5 == 0 ? 1000.0 : 0.0);
        for (i = 0; i < p.n; i++) rows[i] = (p.n - 1 - i) * step;
        if (step == 1) p.rows = NULL;
        s.clusters = 1 + sslcv__rng_below(&rng, groups < p.n ? groups : p.n);
        s.iterations = trial % 4;
        s.spherical = trial % 2;
        for (i = 0; i < s.clusters; i++) {
            for (j = 0; j < p.d; j++) centres[i * p.d + j] = points[(p.rows ? p.rows[i] : i) * p.d + j];
        }
        t.n = p.n;
        t.d = p.d;
        t.k = s.clusters;
        t.iterations = s.iterations;
        t.spherical = s.spherical;
        t.rows = p.rows;
        twin_run(&t);
        result = run(context, &p, &s);
        for (i = 0; i < p.n; i++) ck_assert_msg(found[i] == expected[i], "trial %d, row %d", trial, (int)i);
        for (i = 0; i < s.clusters * p.d; i++) CLOSE((double)centres[i], t.c[i], 2e-6);
        CLOSE(result.objective, t.objective, trial % 5 == 0 ? 1e-4 : 1e-6);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* More clusters than go in one tile, on rows without groups: each row has the nearest of the centres that come out. */
START_TEST(rows_have_the_nearest_centre)
{
    sslcv_context *context = new_context(NULL, 2);
    int32_t spherical;

    for (spherical = 0; spherical < 2; spherical++) {
        const sslcv__points p = {points, NULL, 2500, 21};
        const sslcv__kmeans_settings s = {.clusters = 1030, .iterations = 3, .seed = 4, .spherical = spherical};
        double objective = 0.0;
        int64_t i, k, j;
        sslcv__kmeans_result result;

        golden_input(31, p.n * p.d, points);
        result = run(context, &p, &s);
        for (i = 0; i < p.n; i++) {
            double best = -INFINITY, own = 0.0, length = 0.0;

            for (j = 0; j < p.d; j++) length += pow((double)points[i * p.d + j], 2.0);
            for (k = 0; k < s.clusters; k++) {
                double score = 0.0;

                for (j = 0; j < p.d; j++) {
                    const double x = (double)points[i * p.d + j], c = (double)centres[k * p.d + j];

                    score += spherical ? x * c / sqrt(length) : -(x - c) * (x - c);
                }
                best = fmax(best, score);
                if (k == found[i]) own = score;
            }
            ck_assert_msg(own >= best - 1e-6, "row %d: %g, best %g", (int)i, own, best);
            objective += fabs(own) / (double)p.n;
        }
        CLOSE(result.objective, objective, 1e-6);
        ck_assert_int_le(result.used, s.clusters);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(objective_never_gets_worse)
{
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    int trial, i;

    sslcv__rng_init(&rng, 6, 6, 6);
    for (trial = 0; trial < 60; trial++) {
        const sslcv__points p = {points, NULL, 2 + sslcv__rng_below(&rng, 600), 1 + sslcv__rng_below(&rng, 20)};
        const sslcv__kmeans_settings s = {.clusters = 1 + sslcv__rng_below(&rng, p.n < 100 ? p.n : 100),
                                          .iterations = 20,
                                          .seed = 1 + (uint64_t)trial,
                                          .spherical = trial % 2};
        const double sign = s.spherical ? 1.0 : -1.0;

        random_values(&rng, p.n * p.d, 1.0, points);
        /* Rows that are alike leave clusters without members. */
        for (i = 0; trial % 3 == 0 && i < p.n * p.d; i++) points[i] = points[i % (7 * p.d)];
        run(context, &p, &s);
        for (i = 1; i <= 20; i++) {
            ck_assert_msg(sign * (history[i] - history[i - 1]) >= -1e-6, "trial %d, round %d: %.9g after %.9g", trial,
                          i, history[i], history[i - 1]);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- clusters without members ---- */

START_TEST(empty_clusters)
{
    const sslcv__points p = {points, NULL, 400, 6};
    sslcv__kmeans_settings s = {.clusters = 8, .iterations = 10, .seed = 3, .warm_start = 1};
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    sslcv__kmeans_result result;
    float far[6];
    int64_t i, j;

    sslcv__rng_init(&rng, 7, 7, 7);
    make_groups(&rng, p.n, p.d, 8, 0.0);
    /* Two centres in groups, six where nobody is: splits find the others. */
    for (i = 0; i < 8; i++) {
        for (j = 0; j < 6; j++) centres[i * 6 + j] = i < 2 ? points[i * 6 + j] : 1000.0f + (float)i;
    }
    result = run(context, &p, &s);
    ck_assert_int_eq(result.used, 8);
    ck_assert_double_lt(history[10], 0.5 * history[0]);

    /* Spherical: the one that nobody is near to stays where it is. */
    s.spherical = 1;
    for (i = 0; i < p.n; i++) points[i * 6] = 20.0f + fabsf(points[i * 6]);
    memset(far, 0, sizeof far);
    far[0] = -2.0f;
    memcpy(centres, points, 12 * sizeof(float));
    for (i = 2; i < 8; i++) memcpy(centres + i * 6, far, sizeof far);
    result = run(context, &p, &s);
    ck_assert_int_eq(result.used, 2);
    for (i = 2; i < 8; i++) ck_assert(centres[i * 6] == -1.0f && centres[i * 6 + 1] == 0.0f);

    /* All rows alike: one cluster has them, and nothing is left to split by. */
    for (i = 0; i < 400 * 6; i++) points[i] = points[i % 6];
    s.warm_start = 0;
    result = run(context, &p, &s);
    ck_assert_int_eq(result.used, 1);
    CLOSE(result.objective, 1.0, 1e-6);
    s.spherical = 0;
    result = run(context, &p, &s);
    CLOSE(result.objective, 0.0, 1e-6);
    for (i = 0; i < 8 * 6; i++) ck_assert(isfinite(centres[i]));
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(as_many_clusters_as_rows)
{
    const sslcv__points p = {points, NULL, 37, 5};
    sslcv__kmeans_settings s = {.clusters = 37, .iterations = 5, .seed = 2};
    sslcv_context *context = new_context(NULL, 2);
    int64_t i, k;

    golden_input(9, 37 * 5, points);
    for (s.spherical = 0; s.spherical < 2; s.spherical++) {
        const sslcv__kmeans_result result = run(context, &p, &s);

        ck_assert_int_eq(result.used, 37);
        ck_assert_int_eq(result.rounds, 2);
        CLOSE(result.objective, s.spherical ? 1.0 : 0.0, 1e-6);
        for (i = 0; i < 37; i++) {
            for (k = 0; k < i; k++) ck_assert_int_ne(found[i], found[k]);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- threads and seeds ---- */

START_TEST(same_for_any_threads)
{
    static const int32_t threads[4] = {1, 2, 2, 3};
    const sslcv__points p = {points, NULL, 3000, 19};
    int32_t spherical;
    int i;

    golden_input(12, p.n * p.d, points);
    for (spherical = 0; spherical < 2; spherical++) {
        sslcv__kmeans_settings s = {.clusters = 600, .iterations = 4, .seed = 8, .spherical = spherical};
        sslcv__kmeans_result first = {0.0, 0, 0};

        for (i = 0; i < 4; i++) {
            sslcv_context *context = new_context(NULL, threads[i]);
            const sslcv__kmeans_result result = run(context, &p, &s);

            if (i == 0) {
                first = result;
                memcpy(others, centres, sizeof others);
                memcpy(expected, found, sizeof expected);
            }
            ck_assert_double_eq(result.objective, first.objective);
            ck_assert_mem_eq(others, centres, (size_t)(600 * p.d) * sizeof *centres);
            ck_assert_mem_eq(expected, found, (size_t)p.n * sizeof *found);
            if (i == 3) {
                s.seed = 9;
                ck_assert_double_ne(run(context, &p, &s).objective, first.objective);
            }
            sslcv_context_destroy(context);
        }
    }
}
END_TEST

/* ---- the public call ---- */

typedef struct call {
    sslcv_tensor features, centroids;
    sslcv_kmeans_options options;
    double objective;
} call;

static void make_call(call *c, int64_t n, int64_t d, int64_t k)
{
    const int64_t shape[2] = {n, d}, centre_shape[2] = {k, d};

    golden_input(14, n * d, points);
    OK(sslcv_tensor_init(&c->features, SSLCV_F32, points, 2, shape));
    OK(sslcv_tensor_init(&c->centroids, SSLCV_F32, centres, 2, centre_shape));
    OK(sslcv_kmeans_options_init(&c->options, sizeof c->options));
    c->options.clusters = k;
    c->options.seed = 3;
    c->objective = -7.0;
}

static sslcv_status make_clusters(sslcv_context *context, call *c)
{
    return sslcv_kmeans(context, &c->features, &c->options, &c->centroids, found, &c->objective);
}

START_TEST(bad_input)
{
    sslcv_context *context = new_context(NULL, 2);
    call c;

    make_call(&c, 50, 3, 4);
    ck_assert(c.options.iterations == 20 && c.options.spherical == 0 && c.options.warm_start == 0);
    found[0] = 77;
    centres[0] = 5.0f;
    c.options.clusters = 51;
    FAILS(make_clusters(context, &c), SSLCV_ERR_INVALID_ARGUMENT, "kmeans.clusters is 51; must be 1 .. 50");
    c.options.clusters = 0;
    FAILS(make_clusters(context, &c), SSLCV_ERR_INVALID_ARGUMENT, "kmeans.clusters is 0");
    c.options.clusters = 5;
    FAILS(make_clusters(context, &c), SSLCV_ERR_INVALID_ARGUMENT, "centroids has shape (4, 3); must be (5, 3)");
    c.options.clusters = 4;
    c.options.iterations = -1;
    FAILS(make_clusters(context, &c), SSLCV_ERR_INVALID_ARGUMENT, "kmeans.iterations is -1");
    c.options.iterations = 2;
    c.options.spherical = 2;
    FAILS(make_clusters(context, &c), SSLCV_ERR_INVALID_ARGUMENT, "kmeans.spherical is 2");
    c.options.spherical = 0;
    c.options.warm_start = -1;
    FAILS(make_clusters(context, &c), SSLCV_ERR_INVALID_ARGUMENT, "kmeans.warm_start is -1");
    c.options.warm_start = 0;
    points[7] = NAN;
    FAILS(make_clusters(context, &c), SSLCV_ERR_NUMERIC, "features[2][1] is nan");
    points[7] = 0.0f;
    points[6] = points[8] = 0.0f;
    c.options.spherical = 1;
    FAILS(make_clusters(context, &c), SSLCV_ERR_NUMERIC, "features[2] is a row of zeros");
    points[8] = 0.5f;
    c.options.warm_start = 1;
    memset(centres, 0, 12 * sizeof *centres);
    FAILS(make_clusters(context, &c), SSLCV_ERR_NUMERIC, "centroids[0] is a row of zeros");
    centres[0] = 5.0f;
    centres[5] = INFINITY;
    c.options.spherical = 0;
    FAILS(make_clusters(context, &c), SSLCV_ERR_NUMERIC, "centroids[1][2] is inf");
    FAILS(sslcv_kmeans(context, &c.features, NULL, &c.centroids, found, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "options is NULL");
    FAILS(sslcv_kmeans(context, &c.features, &c.options, &c.centroids, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "assignments is NULL");
    c.options.warm_start = 0;
    OK(sslcv_context_cancel(context, 1));
    FAILS(make_clusters(context, &c), SSLCV_ERR_CANCELLED, "cancelled");
    ck_assert(found[0] == 77 && centres[0] == 5.0f && c.objective == -7.0);
    OK(sslcv_context_cancel(context, 0));
    OK(make_clusters(context, &c));
    ck_assert(found[0] < 4 && c.objective > 0.0);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(allocations_may_fail)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 2);
    const int64_t labels[6] = {0, 1, 0, 1, 2, 2};
    int32_t spherical;
    double nmi;
    call c;

    for (spherical = 0; spherical < 2; spherical++) {
        const int64_t before = h.out;
        int64_t n;

        make_call(&c, 60, 4, 5);
        c.options.spherical = spherical;
        for (n = 0;; n++) {
            sslcv_status status;

            h.calls = 0;
            h.fail_at = n;
            status = make_clusters(context, &c);
            if (status == SSLCV_OK) break;
            ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
            ck_assert(h.out == before && c.objective == -7.0);
        }
        ck_assert_int_gt(n, 8);
        ck_assert_int_eq(h.out, before);
        h.fail_at = -1;
    }
    h.calls = 0;
    h.fail_at = 0;
    FAILS(sslcv_nmi(context, labels, labels, 6, &nmi), SSLCV_ERR_OUT_OF_MEMORY, "");
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

/* ---- mutual information ---- */

static double nmi_of(sslcv_context *context, const int64_t *a, const int64_t *b, int64_t n)
{
    double value, back;

    OK(sslcv_nmi(context, a, b, n, &value));
    OK(sslcv_nmi(context, b, a, n, &back));
    CLOSE(value, back, 1e-12);
    ck_assert(value >= 0.0 && value <= 1.0);
    return value;
}

START_TEST(mutual_information)
{
    enum { N = 3000 };
    static int64_t a[N], b[N], renamed[N];
    const int64_t x[4] = {0, 0, 1, 1}, y[4] = {0, 0, 1, 2}, crossed[4] = {5, 6, 5, 6}, one[4] = {3, 3, 3, 3};
    const int64_t holes[6] = {0, 0, 1, 1, -1, 4}, more[6] = {0, 0, 1, 2, 7, -1}, none[2] = {-1, -1};
    sslcv_context *context = new_context(NULL, 1);
    sslcv__rng rng;
    double value = 9.0;
    int64_t i;

    CLOSE(nmi_of(context, x, y, 4), 0.8, 1e-12);
    CLOSE(nmi_of(context, x, crossed, 4), 0.0, 1e-12);
    ck_assert_double_eq(nmi_of(context, one, one, 4), 1.0);
    CLOSE(nmi_of(context, x, one, 4), 0.0, 1e-12);
    CLOSE(nmi_of(context, holes, more, 6), 0.8, 1e-12);
    sslcv__rng_init(&rng, 2, 2, 2);
    for (i = 0; i < N; i++) {
        a[i] = sslcv__rng_below(&rng, 10);
        b[i] = sslcv__rng_below(&rng, 10);
        renamed[i] = INT64_C(1) << (60 - 3 * a[i]);
    }
    CLOSE(nmi_of(context, a, a, N), 1.0, 1e-12);
    CLOSE(nmi_of(context, a, renamed, N), 1.0, 1e-12);
    ck_assert_double_lt(nmi_of(context, a, b, N), 0.02);
    FAILS(sslcv_nmi(context, none, x, 2, &value), SSLCV_ERR_INVALID_ARGUMENT, "no sample has a label in both");
    FAILS(sslcv_nmi(context, x, y, 0, &value), SSLCV_ERR_INVALID_ARGUMENT, "n is 0");
    FAILS(sslcv_nmi(context, NULL, y, 4, &value), SSLCV_ERR_INVALID_ARGUMENT, "a is NULL");
    ck_assert_double_eq(value, 9.0);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kmeans");
    TCase *tests = tcase_create("kmeans");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, spherical_has_the_published_values);
    tcase_add_test(tests, equals_its_twin);
    tcase_add_test(tests, rows_have_the_nearest_centre);
    tcase_add_test(tests, objective_never_gets_worse);
    tcase_add_test(tests, empty_clusters);
    tcase_add_test(tests, as_many_clusters_as_rows);
    tcase_add_test(tests, same_for_any_threads);
    tcase_add_test(tests, bad_input);
    tcase_add_test(tests, allocations_may_fail);
    tcase_add_test(tests, mutual_information);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
