#include "memory_support.h"

#include <float.h>
#include <stdio.h>

#include "core/compute.h"
#include "core/rng.h"
#include "loss/sinkhorn.h"

enum { MAX_CELLS = 1 << 16, MAX_ROWS = 1024 };

/** One matrix: extra samples first, as in the library. */
typedef struct balanced {
    int64_t num_extra, rows, columns, iterations;
    double epsilon, bound;
    float scores[MAX_CELLS], codes[MAX_CELLS];
    int64_t largest[MAX_ROWS];
    double mass[MAX_ROWS];
    int in_place;
} balanced;

/* Too large for the stack, so all of them are static. */
static void set_balanced(balanced *b, int64_t rows, int64_t columns, double epsilon, int64_t iterations)
{
    memset(b, 0, sizeof *b);
    b->rows = rows;
    b->columns = columns;
    b->epsilon = epsilon;
    b->iterations = iterations;
    b->bound = INFINITY;
}

/* scores has all samples; codes gets those of the wanted ones. */
static void run(sslcv_context *context, balanced *b)
{
    const int64_t samples = b->num_extra + b->rows;
    const size_t extra = (size_t)(b->num_extra * b->columns), wanted = (size_t)(b->rows * b->columns);
    float *others = malloc((extra + 1) * sizeof *others);
    sslcv__compute frame;
    int64_t bytes;
    void *memory;

    ck_assert(extra + wanted <= MAX_CELLS && samples <= MAX_ROWS && b->columns <= MAX_ROWS);
    memcpy(others, b->scores, extra * sizeof *others);
    if (b->in_place) memcpy(b->codes, b->scores + extra, wanted * sizeof *others);
    ck_assert_int_eq(sslcv__sinkhorn_bytes(samples, b->columns, &bytes), 1);
    memory = aligned_alloc(64, (size_t)bytes);
    memset(memory, 0xff, (size_t)bytes); /* NaN for whoever reads what it has not written */
    {
        const sslcv__sinkhorn problem = {
            .scores = b->in_place ? b->codes : b->scores + extra,
            .codes = b->codes,
            .extra = others,
            .rows = b->rows,
            .num_extra = b->num_extra,
            .columns = b->columns,
            .iterations = b->iterations,
            .epsilon = b->epsilon,
            .bound = b->bound,
            .largest = b->largest,
            .mass = b->mass,
            .memory = memory,
        };

        OK(sslcv__compute_begin(context, &frame));
        sslcv__sinkhorn_run(&problem);
        sslcv__compute_end(&frame);
    }
    free(memory);
    free(others);
}

/* The published loop as it stands, on numbers with a range of e^+-11355; all samples. */
static void twin(const balanced *b, double *codes)
{
    const int64_t samples = b->num_extra + b->rows, k = b->columns, cells = samples * k;
    long double *q = malloc((size_t)cells * sizeof *q), top = -INFINITY, sum = 0.0L;
    int64_t i, j, n;

    for (i = 0; i < cells; i++) top = fmaxl(top, b->scores[i]);
    for (i = 0; i < cells; i++) sum += q[i] = expl(((long double)b->scores[i] - top) / b->epsilon);
    for (i = 0; i < cells; i++) q[i] /= sum;
    for (n = 0; n < b->iterations; n++) {
        for (j = 0; j < k; j++) {
            for (sum = 0.0L, i = 0; i < samples; i++) sum += q[i * k + j];
            for (i = 0; i < samples; i++) q[i * k + j] /= sum * (long double)k;
        }
        for (i = 0; i < samples; i++) {
            for (sum = 0.0L, j = 0; j < k; j++) sum += q[i * k + j];
            for (j = 0; j < k; j++) q[i * k + j] /= sum * (long double)samples;
        }
    }
    for (i = 0; i < cells; i++) codes[i] = (double)(q[i] * (long double)samples);
    free(q);
}

/* Some machines, and valgrind, have no more range in a long double than in a double. */
static int twin_reaches(double epsilon)
{
    volatile long double exponent = -2.0L / (long double)epsilon;

    return expl(exponent) > 0.0L;
}

static double row_sum(const balanced *b, int64_t row)
{
    double sum = 0.0;
    int64_t k;

    for (k = 0; k < b->columns; k++) sum += (double)b->codes[row * b->columns + k];
    return sum;
}

static double column_sum(const balanced *b, int64_t column)
{
    double sum = 0.0;
    int64_t i;

    for (i = 0; i < b->rows; i++) sum += (double)b->codes[i * b->columns + column];
    return sum;
}

/* What holds for any codes. */
static void check_codes(const balanced *b)
{
    int64_t i, k;

    for (i = 0; i < b->rows; i++) {
        const float *code = b->codes + i * b->columns;

        for (k = 0; k < b->columns; k++) {
            ck_assert(isfinite(code[k]) && code[k] >= 0.0f);
            ck_assert(k < b->largest[i] ? code[k] < code[b->largest[i]] : code[k] <= code[b->largest[i]]);
        }
        CLOSE(row_sum(b, i), 1.0, 1e-6);
    }
    for (k = 0; k < b->columns; k++) CLOSE(b->mass[k], column_sum(b, k), 1e-6);
}

static void random_scores(sslcv__rng *rng, int64_t count, double scale, float *scores)
{
    int64_t i;

    for (i = 0; i < count; i++) scores[i] = (float)(scale * tanh(sslcv__rng_normal(rng)));
}

/* ---- published values ---- */

/* z1 = nG(1), C = nG(7, 3 x 4). */
static void golden_scores(float *scores)
{
    float z[16], c[12];
    int64_t n, k, j;

    golden_input(1, 16, z);
    golden_input(7, 12, c);
    for (n = 0; n < 4; n++) {
        for (k = 0; k < 3; k++) {
            double dot = 0.0, zz = 0.0, cc = 0.0;

            for (j = 0; j < 4; j++) {
                dot += (double)z[n * 4 + j] * (double)c[k * 4 + j];
                zz += (double)z[n * 4 + j] * (double)z[n * 4 + j];
                cc += (double)c[k * 4 + j] * (double)c[k * 4 + j];
            }
            scores[n * 3 + k] = (float)(dot / sqrt(zz * cc));
        }
    }
}

START_TEST(published_values)
{
    static const double scores[12] = {.058671, -.656095, .514769,  .599272,  -.035189, -.032783,
                                      .515097, .220860,  -.610137, -.191730, .798417,  -.652254};
    static const struct {
        double epsilon;
        int64_t iterations;
        double codes[12], sums[3];
    } golden[] = {
        {.05, 1, {.000017, 0, .999983, .999979, 0, .000021, .999939, .000061, 0, 0, 1, 0}, {0}},
        {.05,
         3,
         {.000004, 0, .999996, .999917, 0, .000083, .999754, .000246, 0, 0, 1, 0},
         {1.999675, 1.000246, 1.000079}},
        {.05,
         200,
         {0, 0, 1, .666315, .000369, .333316, .667018, .332965, .000017, 0, 1, 0},
         {1.333333, 1.333333, 1.333333}},
        {.5,
         3,
         {.154554, .039929, .805517, .527787, .160110, .312102, .549572, .329230, .121197, .103616, .810035, .086349},
         {1.335530, 1.339305, 1.325166}},
    };
    static const double wrong[3] = {.157443, .042053, .800503};
    sslcv_context *context = new_context(NULL, 1);
    size_t g;
    int64_t i;

    for (g = 0; g < sizeof golden / sizeof *golden; g++) {
        static balanced b;

        set_balanced(&b, 4, 3, golden[g].epsilon, golden[g].iterations);
        golden_scores(b.scores);
        for (i = 0; i < 12; i++) CLOSE(b.scores[i], scores[i], 1e-6);
        run(context, &b);
        for (i = 0; i < 12; i++) CLOSE(b.codes[i], golden[g].codes[i], 1e-6);
        for (i = 0; i < 3 && golden[g].sums[0] > 0.0; i++) CLOSE(b.mass[i], golden[g].sums[i], 1e-6);
        check_codes(&b);
    }
    {
        /* A maximum for each sample gives other codes. */
        static balanced b, other;

        set_balanced(&b, 4, 3, .5, 3);
        other = b;
        golden_scores(b.scores);
        golden_scores(other.scores);
        for (i = 0; i < 12; i++) {
            const float *row = b.scores + i / 3 * 3;

            other.scores[i] -= fmaxf(row[0], fmaxf(row[1], row[2]));
        }
        run(context, &b);
        run(context, &other);
        for (i = 0; i < 3; i++) {
            CLOSE(other.codes[i], wrong[i], 1e-6);
            ck_assert(fabs((double)b.codes[i] - wrong[i]) > 1e-3);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- against the twin ---- */

START_TEST(equals_its_twin)
{
    static const double epsilons[] = {5.0, 0.5, 0.05, 0.032, 0.02, 0.01, 0.001, 0.0003};
    static double exact[MAX_CELLS];
    sslcv_context *context = new_context(NULL, 1);
    sslcv__rng rng;
    int round;

    sslcv__rng_init(&rng, 2, 6, 0);
    for (round = 0; round < 200; round++) {
        const double epsilon = epsilons[sslcv__rng_below(&rng, 8)], span = sslcv__rng_range(&rng, 0.1, 1.0);
        static balanced b;
        int64_t i;

        set_balanced(&b, 1 + sslcv__rng_below(&rng, 60), 1 + sslcv__rng_below(&rng, 90), epsilon,
                     1 + sslcv__rng_below(&rng, 6));
        if (round % 3 == 0) b.num_extra = sslcv__rng_below(&rng, 100);
        if (round % 4 == 0) b.bound = 1.0;
        b.in_place = round % 2;
        random_scores(&rng, (b.num_extra + b.rows) * b.columns, span, b.scores);
        run(context, &b);
        check_codes(&b);
        if (!twin_reaches(epsilon)) continue;
        twin(&b, exact);
        for (i = 0; i < b.rows * b.columns; i++) {
            const double expected = exact[b.num_extra * b.columns + i];

            ck_assert_msg(fabs((double)b.codes[i] - expected) <= 1e-5 * expected + 1e-9,
                          "round %d, epsilon %g, %d + %d x %d: code %d is %.9g; expected %.9g", round, epsilon,
                          (int)b.num_extra, (int)b.rows, (int)b.columns, (int)i, (double)b.codes[i], expected);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

/* Chunks of more than the least number of rows, and columns in more than one block. */
START_TEST(large_matrices)
{
    static double exact[MAX_CELLS];
    static const int64_t sizes[3][3] = {{700, 300, 40}, {0, 1000, 60}, {20, 50, 777}};
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    int s, logarithms;
    int64_t i;

    sslcv__rng_init(&rng, 2, 6, 1);
    for (s = 0; s < 3; s++) {
        for (logarithms = 0; logarithms < 2; logarithms++) {
            static balanced b;

            set_balanced(&b, sizes[s][1], sizes[s][2], logarithms ? 0.01 : 0.05, 3);
            b.num_extra = sizes[s][0];
            random_scores(&rng, (b.num_extra + b.rows) * b.columns, 0.9, b.scores);
            run(context, &b);
            twin(&b, exact);
            check_codes(&b);
            for (i = 0; i < b.rows * b.columns; i++) {
                CLOSE(b.codes[i], exact[b.num_extra * b.columns + i], 2e-6);
            }
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- identities ---- */

START_TEST(a_shift_of_all_scores_changes_nothing)
{
    static const double epsilons[2] = {0.05, 0.01};
    sslcv_context *context = new_context(NULL, 1);
    sslcv__rng rng;
    int64_t i;
    int e;

    for (e = 0; e < 2; e++) {
        static balanced b, shifted;

        set_balanced(&b, 20, 30, epsilons[e], 3);
        shifted = b;
        sslcv__rng_init(&rng, 3, 0, 0);
        for (i = 0; i < 600; i++) b.scores[i] = (float)sslcv__rng_below(&rng, 128) / 128.0f;
        for (i = 0; i < 600; i++) shifted.scores[i] = b.scores[i] - 2.5f; /* exact */
        run(context, &b);
        run(context, &shifted);
        for (i = 0; i < 600; i++) ck_assert(fabsf(b.codes[i] - shifted.codes[i]) <= 1e-12f + 1e-6f * b.codes[i]);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(permutations_pass_through)
{
    enum { ROWS = 37, COLUMNS = 21 };
    sslcv_context *context = new_context(NULL, 1);
    static balanced b, turned;
    int64_t rows[ROWS], columns[COLUMNS], i, k;
    sslcv__rng rng;

    set_balanced(&b, ROWS, COLUMNS, 0.05, 3);
    turned = b;
    sslcv__rng_init(&rng, 4, 0, 0);
    random_scores(&rng, ROWS * COLUMNS, 1.0, b.scores);
    sslcv__rng_permutation(&rng, rows, ROWS);
    sslcv__rng_permutation(&rng, columns, COLUMNS);
    for (i = 0; i < ROWS; i++) {
        for (k = 0; k < COLUMNS; k++) turned.scores[i * COLUMNS + k] = b.scores[rows[i] * COLUMNS + columns[k]];
    }
    run(context, &b);
    run(context, &turned);
    for (i = 0; i < ROWS; i++) {
        for (k = 0; k < COLUMNS; k++) {
            CLOSE(turned.codes[i * COLUMNS + k], b.codes[rows[i] * COLUMNS + columns[k]], 1e-6);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(more_iterations_use_prototypes_more_alike)
{
    sslcv_context *context = new_context(NULL, 1);
    static balanced b;
    double before = INFINITY;
    sslcv__rng rng;
    int64_t k;

    set_balanced(&b, 50, 10, 0.1, 1);
    sslcv__rng_init(&rng, 5, 0, 0);
    random_scores(&rng, 500, 0.8, b.scores);
    for (; b.iterations <= 64; b.iterations *= 4) {
        double worst = 0.0;

        run(context, &b);
        check_codes(&b);
        for (k = 0; k < 10; k++) worst = fmax(worst, fabs(b.mass[k] - 5.0));
        ck_assert_double_lt(worst, before);
        before = worst;
    }
    ck_assert_double_lt(before, 1e-4);
    sslcv_context_destroy(context);
}
END_TEST

/* One sample gets all prototypes alike, equal scores too, and marginals that match stay. */
START_TEST(where_nothing_is_left_to_choose)
{
    static const double epsilons[3] = {0.05, 0.01, 1e-6};
    sslcv_context *context = new_context(NULL, 1);
    sslcv__rng rng;
    int64_t i, k;
    int e;

    sslcv__rng_init(&rng, 6, 0, 0);
    for (e = 0; e < 3; e++) {
        static balanced one, equal;
        static balanced ring, single;

        set_balanced(&one, 1, 33, epsilons[e], 3);
        set_balanced(&equal, 9, 17, epsilons[e], 3);
        set_balanced(&ring, 12, 12, epsilons[e], 3);
        set_balanced(&single, 5, 1, epsilons[e], 3);
        random_scores(&rng, 33, 1.0, one.scores);
        run(context, &one);
        for (k = 0; k < 33; k++) CLOSE(one.codes[k], 1.0 / 33.0, 1e-6);
        for (i = 0; i < 9 * 17; i++) equal.scores[i] = 0.7f;
        run(context, &equal);
        for (i = 0; i < 9 * 17; i++) CLOSE(equal.codes[i], 1.0 / 17.0, 1e-7);
        ck_assert_int_eq(equal.largest[8], 0);
        for (i = 0; i < 144; i++) ring.scores[i] = 0.05f * (float)((i / 12 + i % 12) % 12); /* each row and column */
        run(context, &ring);
        for (i = 0; i < 144; i++) {
            double sum = 0.0;

            for (k = 0; k < 12; k++) sum += exp(((double)ring.scores[k] - (double)ring.scores[i]) / epsilons[e]);
            CLOSE(ring.codes[i], 1.0 / sum, 1e-6);
        }
        random_scores(&rng, 5, 1.0, single.scores);
        run(context, &single);
        for (i = 0; i < 5; i++) CLOSE(single.codes[i], 1.0, 1e-7);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* As many samples as prototypes, each near its own: one-hot codes, found also where greedy choice is wrong. */
START_TEST(small_epsilon_assigns)
{
    enum { N = 40 };
    static const double epsilons[4] = {0.03, 0.003, 1e-5, DBL_MIN};
    sslcv_context *context = new_context(NULL, 1);
    sslcv__rng rng;
    int64_t order[N], i, k;
    int e;

    sslcv__rng_init(&rng, 7, 0, 0);
    sslcv__rng_permutation(&rng, order, N);
    for (e = 0; e < 4; e++) {
        static balanced b;

        set_balanced(&b, N, N, epsilons[e], 3);
        random_scores(&rng, N * N, 0.1, b.scores);
        for (i = 0; i < N; i++) b.scores[i * N + order[i]] = 0.9f;
        run(context, &b);
        check_codes(&b);
        for (i = 0; i < N; i++) {
            ck_assert_int_eq(b.largest[i], order[i]);
            for (k = 0; k < N; k++) CLOSE(b.codes[i * N + k], k == order[i] ? 1.0 : 0.0, 1e-6);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(entropy_grows_with_epsilon)
{
    static const double epsilons[6] = {0.02, 0.05, 0.1, 0.3, 1.0, 10.0};
    sslcv_context *context = new_context(NULL, 1);
    static balanced b;
    double before = -1e-6;
    sslcv__rng rng;
    int64_t i;
    int e;

    set_balanced(&b, 30, 12, 1.0, 500);
    sslcv__rng_init(&rng, 8, 0, 0);
    random_scores(&rng, 360, 0.9, b.scores);
    for (e = 0; e < 6; e++) {
        double entropy = 0.0;

        b.epsilon = epsilons[e];
        run(context, &b);
        for (i = 0; i < 360; i++) entropy -= b.codes[i] > 0.0f ? (double)b.codes[i] * log((double)b.codes[i]) : 0.0;
        ck_assert_double_ge(entropy, before);
        before = entropy;
    }
    CLOSE(before / 30.0, log(12.0), 1e-3);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what breaks a naive one ---- */

START_TEST(extreme_scores_stay_finite)
{
    static const double epsilons[] = {0.05, 0.01, 1e-3, 1e-10, 1e-100, DBL_MIN, 1e10, DBL_MAX};
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    size_t e;
    int kind;
    int64_t i;

    sslcv__rng_init(&rng, 9, 0, 0);
    for (e = 0; e < sizeof epsilons / sizeof *epsilons; e++) {
        for (kind = 0; kind < 5; kind++) {
            static balanced b;

            set_balanced(&b, 24, 19, epsilons[e], 3);
            b.num_extra = kind == 4 ? 7 : 0;
            for (i = 0; i < 31 * 19; i++) {
                const float sign = sslcv__rng_below(&rng, 2) ? 1.0f : -1.0f;

                if (kind == 0) b.scores[i] = sign;
                if (kind == 1)
                    b.scores[i] = b.scores[i % 19] = i < 19 ? 0.3f * sign : b.scores[i % 19]; /* one sample */
                if (kind == 2) b.scores[i] = i % 19 == 4 ? -1.0f : 0.9f * sign;               /* unused */
                if (kind == 3) b.scores[i] = i / 19 == 4 ? -1.0f : 1.0f;                      /* far away */
                if (kind == 4) b.scores[i] = 1e4f * sign;
            }
            run(context, &b);
            check_codes(&b);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

/* An unused prototype gets its share all the same: it is only relative scores that count. */
START_TEST(a_dead_prototype_is_used_again)
{
    sslcv_context *context = new_context(NULL, 1);
    static double exact[MAX_CELLS];
    static balanced b;
    sslcv__rng rng;
    int64_t i;

    set_balanced(&b, 24, 6, 0.01, 3);
    sslcv__rng_init(&rng, 10, 0, 0);
    random_scores(&rng, 144, 0.02, b.scores);
    for (i = 0; i < 24; i++) b.scores[i * 6 + 2] -= 0.97f;
    run(context, &b);
    twin(&b, exact);
    for (i = 0; i < 144; i++) CLOSE(b.codes[i], exact[i], 2e-6);
    ck_assert_double_gt(b.mass[2], 2.0);
    sslcv_context_destroy(context);
}
END_TEST

/* Just below and just above the span that goes without logarithms. */
START_TEST(both_ways_agree)
{
    static const double epsilons[2] = {2.0 / 64.0 * 1.0001, 2.0 / 64.0 * 0.9999};
    static double exact[MAX_CELLS];
    sslcv_context *context = new_context(NULL, 1);
    int e;

    for (e = 0; e < 2; e++) {
        static balanced b;
        sslcv__rng rng;
        int64_t i;

        set_balanced(&b, 40, 25, epsilons[e], 3);
        sslcv__rng_init(&rng, 11, 0, 0);
        for (i = 0; i < 1000; i++) b.scores[i] = (float)sslcv__rng_range(&rng, -1.0, 1.0);
        b.scores[0] = 1.0f;
        b.scores[7] = -1.0f;
        run(context, &b);
        twin(&b, exact);
        for (i = 0; i < 1000; i++) {
            ck_assert(fabs((double)b.codes[i] - exact[i]) <= 1e-5 * exact[i] + 1e-12);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(same_bits_for_any_number_of_threads)
{
    static const double epsilons[2] = {0.05, 0.01};
    int e;

    for (e = 0; e < 2; e++) {
        static float first[MAX_CELLS];
        static double mass[MAX_ROWS];
        int32_t threads;

        for (threads = 1; threads <= 3; threads++) {
            sslcv_context *context = new_context(NULL, threads);
            static balanced b;
            sslcv__rng rng;

            set_balanced(&b, 99, 301, epsilons[e], 3);
            sslcv__rng_init(&rng, 12, 0, 0);
            b.num_extra = 45;
            random_scores(&rng, 144 * 301, 0.95, b.scores);
            run(context, &b);
            if (threads == 1) memcpy(first, b.codes, sizeof first);
            if (threads == 1) memcpy(mass, b.mass, sizeof mass);
            ck_assert_mem_eq(first, b.codes, sizeof first);
            ck_assert_mem_eq(mass, b.mass, sizeof mass);
            sslcv_context_destroy(context);
        }
    }
}
END_TEST

START_TEST(sizes_are_checked)
{
    int64_t bytes;

    ck_assert_int_eq(sslcv__sinkhorn_bytes(INT64_MAX / 2, 3000, &bytes), 0);
    ck_assert_int_eq(sslcv__sinkhorn_bytes(512, INT64_MAX / 100, &bytes), 0);
    ck_assert_int_eq(sslcv__sinkhorn_bytes(1, 1, &bytes), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sinkhorn");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, published_values);
    tcase_add_test(all, equals_its_twin);
    tcase_add_test(all, large_matrices);
    tcase_add_test(all, a_shift_of_all_scores_changes_nothing);
    tcase_add_test(all, permutations_pass_through);
    tcase_add_test(all, more_iterations_use_prototypes_more_alike);
    tcase_add_test(all, where_nothing_is_left_to_choose);
    tcase_add_test(all, small_epsilon_assigns);
    tcase_add_test(all, entropy_grows_with_epsilon);
    tcase_add_test(all, extreme_scores_stay_finite);
    tcase_add_test(all, a_dead_prototype_is_used_again);
    tcase_add_test(all, both_ways_agree);
    tcase_add_test(all, same_bits_for_any_number_of_threads);
    tcase_add_test(all, sizes_are_checked);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
