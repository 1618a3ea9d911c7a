/* The search below k-NN and sslcv_nearest(): groups, parts and leaving out, against a plain double loop. */
#include "probe_support.h"

#include "core/compute.h"
#include "eval/search.h"

typedef struct found {
    int64_t k;
    int64_t *indices;     /* (m, k) */
    double *similarities; /* (m, k) */
    int64_t *calls;       /* (m) */
} found;

static void take(void *user, int thread, int64_t query, const sslcv__neighbour *nearest)
{
    const found *f = user;
    int64_t i;

    (void)thread;
    f->calls[query]++;
    for (i = 0; i < f->k; i++) {
        f->indices[query * f->k + i] = nearest[i].index;
        f->similarities[query * f->k + i] = nearest[i].similarity;
    }
}

static float *unit_rows(uint64_t seed, int64_t n, int64_t d)
{
    float *rows = normal_array(seed, n * d), *units = make_array(n * d);
    int64_t i;

    for (i = 0; i < n; i++) naive_unit(rows + i * d, d, units + i * d);
    free(rows);
    return units;
}

/* The place of a row in the order of nearness: how many are nearer, the lower one of equals. */
static int64_t rank_of(const double *all, int64_t n, int64_t row, int64_t excluded)
{
    int64_t rank = 0, j;

    for (j = 0; j < n; j++) {
        rank += j != excluded && (all[j] > all[row] || (all[j] == all[row] && j < row));
    }
    return rank;
}

static void check_found(const sslcv__search *s, const found *f)
{
    double *all = calloc((size_t)s->n, sizeof *all);
    float *unit = make_array(s->d);
    int64_t i, j;

    for (i = 0; i < s->queries->n; i++) {
        const int64_t excluded = s->exclude ? s->exclude[i] : -1;

        ck_assert_int_eq(f->calls[i], 1);
        naive_unit(s->queries->data + i * s->d, s->d, unit);
        for (j = 0; j < s->n; j++) all[j] = naive_dot(unit, s->rows + j * s->d, s->d);
        for (j = 0; j < f->k; j++) {
            const int64_t row = f->indices[i * f->k + j];

            ck_assert_int_ne(row, excluded);
            ck_assert_int_eq(rank_of(all, s->n, row, excluded), j);
            CLOSE(f->similarities[i * f->k + j], all[row], 1e-14);
        }
    }
    free(all);
    free(unit);
}

/* Every third query leaves out the row that would be its first neighbour. */
static void check_search(int32_t threads, int64_t n, int64_t m, int64_t d, int64_t k)
{
    sslcv_context *context = make_context(threads, NULL);
    float *rows = unit_rows((uint64_t)n, n, d), *wanted = normal_array(77, m * d);
    const sslcv__features queries = {"queries", wanted, m, d};
    int64_t *exclude = calloc((size_t)m, sizeof *exclude), i;
    found f = {k, calloc((size_t)(m * k), sizeof(int64_t)), calloc((size_t)(m * k), sizeof(double)),
               calloc((size_t)m, sizeof(int64_t))};
    sslcv__search s = {rows, n, d, k, &queries, NULL, take, &f};
    sslcv__compute frame;

    OK(sslcv__compute_begin(context, &frame));
    OK(sslcv__search_run(context, &s));
    check_found(&s, &f);
    if (k < n) {
        for (i = 0; i < m; i++) exclude[i] = i % 3 == 0 ? f.indices[i * k] : -1;
        memset(f.calls, 0, (size_t)m * sizeof *f.calls);
        s.exclude = exclude;
        OK(sslcv__search_run(context, &s));
        check_found(&s, &f);
    }
    sslcv__compute_end(&frame);
    free(rows);
    free(wanted);
    free(exclude);
    free(f.indices);
    free(f.similarities);
    free(f.calls);
    sslcv_context_destroy(context);
}

START_TEST(search_in_groups)
{
    check_search(2, 700, 300, 33, 3); /* more groups than threads */
    check_search(1, 130, 500, 5, 20);
    check_search(3, 257, 33, 16, 100); /* a panel of one query */
}
END_TEST

START_TEST(search_in_parts)
{
    check_search(3, 2000, 1, 20, 10); /* fewer groups than threads */
    check_search(4, 1500, 40, 7, 60);
    check_search(4, 140, 2, 7, 140); /* parts have fewer rows than are wanted */
    check_search(4, 140, 2, 7, 139);
}
END_TEST

/* Rows a page apart are copied. */
START_TEST(search_of_pages)
{
    check_search(2, 300, 70, 1024, 4);
    check_search(2, 131, 3, 2048, 9);
}
END_TEST

/* Products that are wrong by almost the margin, either way: the nearest are the same. */
START_TEST(candidates_within_margin)
{
    enum { N = 3000, D = 8, K = 7 };
    float *rows = unit_rows(3, N, D), *unit = unit_rows(4, 1, D);
    const sslcv__candidate_rule rule = {rows, D, K, sslcv__candidates_room(N, K), 0.05};
    sslcv__candidates c = {.unit = unit};
    double all[N];
    sslcv__rng rng;
    int64_t i, round, added = 0;

    c.products = calloc((size_t)rule.room, sizeof *c.products);
    c.indices = calloc((size_t)rule.room, sizeof *c.indices);
    c.nearest = calloc((size_t)rule.room, sizeof *c.nearest);
    sslcv__rng_init(&rng, 1, 2, 3);
    for (i = 0; i < N; i++) all[i] = naive_dot(unit, rows + i * D, D);
    for (round = 0; round < 20; round++) {
        sslcv__candidates_clear(&c);
        for (i = 0; i < N; i++) {
            const float product = (float)(all[i] + (sslcv__rng_below(&rng, 2) ? 0.0499 : -0.0499));

            if (product < c.least) continue;
            sslcv__candidates_add(&rule, &c, product, i);
            added++;
        }
        sslcv__candidates_settle(&rule, &c);
        sslcv__candidates_sort(&c);
        ck_assert_int_eq(c.found, K);
        for (i = 0; i < K; i++) ck_assert_int_eq(rank_of(all, N, c.nearest[i].index, -1), i);
    }
    ck_assert_int_lt(added, 20 * N / 2); /* and most are turned away at once */
    free(rows);
    free(unit);
    free(c.products);
    free(c.indices);
    free(c.nearest);
}
END_TEST

START_TEST(search_is_cancelled)
{
    sslcv_context *context = make_context(2, NULL);
    float *rows = unit_rows(1, 50, 4);
    const sslcv__features queries = {"queries", rows, 50, 4};
    const sslcv__search s = {rows, 50, 4, 1, &queries, NULL, take, NULL};
    sslcv__compute frame;

    OK(sslcv__compute_begin(context, &frame));
    OK(sslcv_context_cancel(context, 1));
    FAILS(sslcv__search_run(context, &s), SSLCV_ERR_CANCELLED, "cancelled");
    sslcv__compute_end(&frame);
    free(rows);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("search");
    TCase *search = add_case(suite, "search");

    tcase_add_test(search, search_in_groups);
    tcase_add_test(search, search_in_parts);
    tcase_add_test(search, search_of_pages);
    tcase_add_test(search, candidates_within_margin);
    tcase_add_test(search, search_is_cancelled);
    return run_suite(suite);
}
