/* Clusters as labels: DeepCluster-v2. */
#include "loss_checks.h"

enum { MOST = 1 << 13, SAMPLES = 40, DIM = 7, CLUSTERS = 6, VIEWS = 3 };

static float x[MOST], diff[MOST], rows[MOST];
static int64_t ids[2048], labels[256];

static const char *name_of(const char *format, int64_t i)
{
    static char name[48];

    snprintf(name, sizeof name, format, (int)i);
    return name;
}

static sslcv_cluster_options options_of(int64_t samples, int64_t dim, int64_t prototypes, int64_t sets)
{
    sslcv_cluster_options o;

    OK(sslcv_cluster_options_init(&o, sizeof o));
    o.num_samples = samples;
    o.dim = dim;
    o.num_prototypes = prototypes;
    o.num_sets = sets;
    o.seed = 5;
    return o;
}

static sslcv_loss *new_loss(sslcv_context *context, const sslcv_cluster_options *o)
{
    sslcv_loss *loss;

    OK(sslcv_loss_create_cluster(context, o, &loss));
    return loss;
}

static void read_labels(sslcv_loss *loss, int64_t h, int64_t samples)
{
    loss_read(loss, name_of("labels.%d", h), SSLCV_STATE_VALUE, SSLCV_I64, samples, labels);
}

static void read_rows(sslcv_loss *loss, const char *format, int64_t i, int64_t count)
{
    loss_read(loss, name_of(format, i), SSLCV_STATE_VALUE, SSLCV_F32, count, rows);
}

/* Samples from first on, all in one call that only remembers: views of a sample are near to each other. */
static void pass_data(sslcv_loss *loss, int64_t first, int64_t samples, int64_t dim, int64_t views, uint64_t seed)
{
    loss_test test;
    sslcv__rng rng;
    int64_t v, i;

    ck_assert_int_le(views * samples * dim, MOST);
    sslcv__rng_init(&rng, seed, 0, 0);
    random_values(&rng, samples * dim, 1.0, x);
    for (v = 1; v < views; v++) {
        for (i = 0; i < samples * dim; i++) {
            x[v * samples * dim + i] = x[i] + 0.1f * (float)sslcv__rng_normal(&rng);
        }
    }
    for (i = 0; i < samples; i++) ids[i] = first + i;
    loss_test_init(&test);
    loss_test_add(&test, views, samples, 1, dim, x, NULL);
    test.call.diff_inputs = NULL;
    test.call.ids = ids;
    loss_value(loss, &test);
}

/* ---- comparison ---- */

typedef struct twin {
    sslcv_cluster_options o;
    int64_t views, samples;
    int64_t labels[8][256]; /* of the call's samples */
    double prototypes[8][MOST];
} twin;

static void read_twin(twin *t, sslcv_loss *loss)
{
    int64_t h, i;

    for (h = 0; h < t->o.num_sets; h++) {
        read_labels(loss, h, t->o.num_samples);
        for (i = 0; i < t->samples; i++) t->labels[h][i] = labels[ids[i]];
        read_rows(loss, "prototypes.%d.weight", h, t->o.num_prototypes * t->o.dim);
        for (i = 0; i < t->o.num_prototypes * t->o.dim; i++) t->prototypes[h][i] = (double)rows[i];
    }
}

static double twin_row(const twin *t, const double *z, const double *prototypes, int64_t label)
{
    double norm = 0.0, sum = 0.0, own = 0.0, top = -INFINITY, s[256];
    int64_t k, d;

    for (d = 0; d < t->o.dim; d++) norm += z[d] * z[d];
    norm = fmax(sqrt(norm), 1e-12);
    for (k = 0; k < t->o.num_prototypes; k++) {
        s[k] = 0.0;
        for (d = 0; d < t->o.dim; d++) s[k] += z[d] / norm * prototypes[k * t->o.dim + d] / t->o.temperature;
        if (k == label) own = s[k];
        top = fmax(top, s[k]);
    }
    for (k = 0; k < t->o.num_prototypes; k++) sum += exp(s[k] - top);
    return log(sum) + top - own;
}

static double twin_value(void *user, const double *const *inputs)
{
    const twin *t = user;
    double total = 0.0;
    int64_t h, v, i;

    for (h = 0; h < t->o.num_sets; h++) {
        double sum = 0.0;
        int64_t count = 0;

        for (v = 0; v < t->views; v++) {
            for (i = 0; i < t->samples; i++) {
                if (t->labels[h][i] < 0) continue;
                sum += twin_row(t, inputs[0] + (v * t->samples + i) * t->o.dim, t->prototypes[h], t->labels[h][i]);
                count++;
            }
        }
        if (count > 0) total += sum / (double)count / (double)t->o.num_sets;
    }
    return total;
}

START_TEST(equals_its_twin)
{
    static twin t;
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    int trial;

    sslcv__rng_init(&rng, 3, 3, 3);
    for (trial = 0; trial < 100; trial++) {
        const int64_t all = 1 + sslcv__rng_below(&rng, 60), known = 1 + sslcv__rng_below(&rng, all);
        sslcv_loss *loss;
        loss_test test;
        int64_t i;

        t.o = options_of(all, 1 + sslcv__rng_below(&rng, 30), 1 + sslcv__rng_below(&rng, known),
                         1 + sslcv__rng_below(&rng, 3));
        t.o.memory_views = 1 + sslcv__rng_below(&rng, 2);
        t.o.iterations = sslcv__rng_below(&rng, 4);
        t.o.temperature = trial % 3 == 0 ? 0.05 : 0.1 + sslcv__rng_uniform(&rng);
        t.views = t.o.memory_views + sslcv__rng_below(&rng, 2);
        t.samples = 1 + sslcv__rng_below(&rng, 6);
        loss = new_loss(context, &t.o);
        pass_data(loss, all - known, known, t.o.dim, t.o.memory_views, 100 + (uint64_t)trial);
        OK(sslcv_loss_begin_epoch(loss, 0));
        loss_test_init(&test);
        for (i = 0; i < t.samples; i++) ids[i] = sslcv__rng_below(&rng, all);
        random_values(&rng, t.views * t.samples * t.o.dim, trial % 2 ? 1.0 : 10.0, x);
        /* In one dimension a unit row does not move, and what is left of a gradient is rounding. */
        loss_test_add(&test, t.views, t.samples, 1, t.o.dim, x, t.o.dim > 1 ? diff : NULL);
        test.call.ids = ids;
        test.call.scale = trial % 2 ? 1.0 : -3.0;
        read_twin(&t, loss);
        check_twin(loss, &test, twin_value, &t, NULL, 0, 1e-5, 1e-4);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* Many prototypes: more than one block of rows. */
START_TEST(blocks_of_rows)
{
    enum { K = 9000, N = 300, D = 3, V = 2 };
    static float big[K * D], values[V * N * D], gradients[V * N * D];
    static int64_t all[K];
    sslcv_context *context = f32_context();
    const sslcv_cluster_options o = options_of(K, D, K, 1);
    sslcv_loss *loss = new_loss(context, &o);
    double expected = 0.0;
    loss_test test;
    int64_t r, k, d;

    golden_rows(4, K, D, big);
    loss_write(loss, "prototypes.0.weight", SSLCV_STATE_VALUE, SSLCV_F32, K * D, big);
    for (k = 0; k < K; k++) all[k] = k;
    loss_write(loss, "labels.0", SSLCV_STATE_VALUE, SSLCV_I64, K, all);
    golden_rows(5, V * N, D, values);
    loss_test_init(&test);
    loss_test_add(&test, V, N, 1, D, values, gradients);
    test.call.ids = all;
    loss_value(loss, &test);
    for (r = 0; r < V * N; r++) {
        double sum = 0.0, own = 0.0;

        for (k = 0; k < K; k++) {
            double s = 0.0;

            for (d = 0; d < D; d++) s += (double)values[r * D + d] * (double)big[k * D + d] / o.temperature;
            sum += exp(s);
            own = k == r % N ? s : own;
        }
        expected += (log(sum) - own) / (V * N);
    }
    CLOSE(test.call.value, expected, 1e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- identities ---- */

START_TEST(uniform_scores)
{
    sslcv_context *context = f32_context();
    sslcv_cluster_options o = options_of(3000, 2, 3000, 3);
    sslcv_loss *loss = new_loss(context, &o);
    loss_test test;

    ck_assert(o.memory_views == 2 && o.iterations == 10 && o.temperature == 0.1);
    o.temperature = 1e9;
    pass_data(loss, 0, 2000, 2, 2, 3);
    FAILS(sslcv_loss_begin_epoch(loss, 0), SSLCV_ERR_STATE, "cluster remembers 2000 samples; an epoch needs 3000");
    sslcv_loss_destroy(loss);
    o.num_samples = 2000;
    o.num_prototypes = 1500;
    loss = new_loss(context, &o);
    pass_data(loss, 0, 2000, 2, 2, 3);
    OK(sslcv_loss_begin_epoch(loss, 0));
    loss_test_init(&test);
    loss_test_add(&test, 2, 50, 1, 2, x, diff);
    test.call.ids = ids;
    CLOSE(loss_value(loss, &test), log(1500.0), 1e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* With as many clusters as samples each is its own class: instance discrimination. */
START_TEST(each_its_own_class)
{
    enum { N = 30, D = 16 };
    static int64_t seen[N];
    sslcv_context *context = f32_context();
    sslcv_cluster_options o = options_of(N, D, N, 2);
    sslcv_loss *loss;
    double expected = 0.0;
    loss_test test;
    int64_t h, i, k, d;

    o.memory_views = 1;
    loss = new_loss(context, &o);
    pass_data(loss, 0, N, D, 1, 8);
    OK(sslcv_loss_begin_epoch(loss, 0));
    for (h = 0; h < 2; h++) {
        memset(seen, 0, sizeof seen);
        read_labels(loss, h, N);
        for (i = 0; i < N; i++) seen[labels[i]]++;
        for (i = 0; i < N; i++) ck_assert_int_eq(seen[i], 1);
    }
    read_rows(loss, "memory.%d", 0, N * D);
    for (i = 0; i < N; i++) {
        double sum = 0.0;

        for (k = 0; k < N; k++) {
            double s = 0.0;

            for (d = 0; d < D; d++) s += (double)rows[i * D + d] * (double)rows[k * D + d];
            sum += exp((s - 1.0) / o.temperature);
        }
        expected += log(sum) / N;
    }
    loss_test_init(&test);
    loss_test_add(&test, 1, N, 1, D, x, diff);
    test.call.ids = ids;
    CLOSE(loss_value(loss, &test), expected, 1e-5);
    ck_assert_double_eq(loss_metric(loss, "top1"), 1.0);
    ck_assert_double_eq(loss_metric(loss, "used"), 1.0);
    CLOSE(loss_metric(loss, "objective"), 1.0, 1e-6);
    ck_assert_double_eq(loss_metric(loss, "nmi"), 0.0);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what an epoch begins with ---- */

static sslcv_loss *clustered(sslcv_context *context, const sslcv_cluster_options *o, int64_t known, int64_t epoch)
{
    sslcv_loss *loss = new_loss(context, o);

    pass_data(loss, o->num_samples - known, known, o->dim, o->memory_views, 21);
    OK(sslcv_loss_begin_epoch(loss, epoch));
    return loss;
}

/* Set h has the memory of view h mod memory_views: each sample there has the prototype nearest to its row. */
START_TEST(labels_are_clusters)
{
    static float memory[SAMPLES * DIM], wide[2 * 8 * DIM];
    const sslcv_cluster_options o = options_of(SAMPLES, DIM, CLUSTERS, 3);
    sslcv_context *context = f32_context();
    sslcv_loss *loss = clustered(context, &o, SAMPLES - 4, 0);
    double objective = 0.0, half, top1;
    loss_test test;
    int64_t h, i, k, d;

    for (h = 0; h < 3; h++) {
        read_rows(loss, "memory.%d", h % 2, SAMPLES * DIM);
        memcpy(memory, rows, sizeof memory);
        read_rows(loss, "prototypes.%d.weight", h, CLUSTERS * DIM);
        read_labels(loss, h, SAMPLES);
        for (i = 0; i < SAMPLES; i++) {
            double best = -2.0, own = -2.0;

            ck_assert((labels[i] < 0) == (i < 4));
            if (labels[i] < 0) continue;
            for (k = 0; k < CLUSTERS; k++) {
                double s = 0.0;

                for (d = 0; d < DIM; d++) s += (double)memory[i * DIM + d] * (double)rows[k * DIM + d];
                best = fmax(best, s);
                own = k == labels[i] ? s : own;
            }
            ck_assert_double_ge(own, best - 1e-6);
            objective += own / (3.0 * (SAMPLES - 4));
        }
        for (k = 0; k < CLUSTERS; k++) {
            double square = 0.0;

            for (d = 0; d < DIM; d++) square += pow((double)rows[k * DIM + d], 2.0);
            CLOSE(square, 1.0, 1e-6);
        }
    }

    /* Samples that are not known count for nothing: four known ones alone, and before four others. */
    for (i = 0; i < 8; i++) ids[i] = i < 4 ? 10 + i : i - 4;
    for (i = 0; i < 2; i++) memcpy(wide + i * 8 * DIM, x + i * 4 * DIM, 4 * DIM * sizeof(float));
    for (i = 0; i < 2; i++) memcpy(wide + (i * 8 + 4) * DIM, x, 4 * DIM * sizeof(float));
    loss_test_init(&test);
    loss_test_add(&test, 2, 4, 1, DIM, x, diff);
    test.call.ids = ids;
    test.call.flags = 0;
    half = loss_value(loss, &test);
    top1 = loss_metric(loss, "top1");
    ck_assert_double_gt(half, 0.0);
    CLOSE(loss_metric(loss, "objective"), objective, 1e-6);
    test.call.num_inputs = 0;
    loss_test_add(&test, 2, 8, 1, DIM, wide, diff);
    CLOSE(loss_value(loss, &test), half, 1e-6);
    CLOSE(loss_metric(loss, "top1"), top1, 1e-12);
    for (i = 4 * DIM; i < 8 * DIM; i++) ck_assert(diff[i] == 0.0f && diff[8 * DIM + i] == 0.0f);
    test.call.num_inputs = 0;
    loss_test_add(&test, 2, 4, 1, DIM, x, diff);
    test.call.ids = ids + 4;
    ck_assert_double_eq(loss_value(loss, &test), 0.0);
    for (i = 0; i < 8 * DIM; i++) ck_assert(diff[i] == 0.0f);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(rows_are_remembered)
{
    const sslcv_cluster_options o = options_of(SAMPLES, DIM, CLUSTERS, 3);
    sslcv_context *context = f32_context();
    sslcv_loss *loss = clustered(context, &o, SAMPLES, 0);
    static unsigned char before[SNAPSHOT];
    static float old[SAMPLES * DIM];
    loss_test test;
    int64_t bytes, v, i, d;

    loss_test_init(&test);
    golden_input(3, VIEWS * 3 * DIM, x);
    loss_test_add(&test, VIEWS, 3, 1, DIM, x, diff);
    ids[0] = 5;
    ids[1] = 9;
    ids[2] = 5; /* twice: the last counts */
    test.call.ids = ids;
    test.call.flags = 0;
    memset(before, 0, sizeof before);
    loss_snapshot(loss, before, &bytes);
    loss_value(loss, &test);
    check_state_equals(loss, before, bytes);
    test.call.flags = SSLCV_CALL_REMEMBER;
    for (v = 0; v < 2; v++) {
        read_rows(loss, "memory.%d", v, SAMPLES * DIM);
        memcpy(old, rows, sizeof old);
        loss_value(loss, &test);
        read_rows(loss, "memory.%d", v, SAMPLES * DIM);
        for (i = 0; i < SAMPLES; i++) {
            const float *from = x + (v * 3 + (i == 5 ? 2 : 1)) * DIM;
            double norm = 0.0;

            if (i != 5 && i != 9) {
                ck_assert_mem_eq(rows + i * DIM, old + i * DIM, DIM * sizeof(float));
                continue;
            }
            for (d = 0; d < DIM; d++) norm += pow((double)from[d], 2.0);
            for (d = 0; d < DIM; d++) CLOSE((double)rows[i * DIM + d], (double)from[d] / sqrt(norm), 1e-6);
        }
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

static void copy_state(sslcv_loss *from, sslcv_loss *to)
{
    sslcv_state *source, *target;

    OK(sslcv_loss_get_state(from, &source));
    OK(sslcv_loss_get_state(to, &target));
    OK(sslcv_state_lerp(target, source, 0.0, SSLCV_ROLE_ALL));
    sslcv_state_destroy(source);
    sslcv_state_destroy(target);
}

/* Out of one loss and into another: the next epochs are the same bits; seeds and epochs make others. */
START_TEST(state_goes_on)
{
    sslcv_cluster_options o = options_of(SAMPLES, DIM, CLUSTERS, 3);
    static unsigned char first[SNAPSHOT], again[SNAPSHOT];
    sslcv_context *context = f32_context();
    sslcv_loss *one = clustered(context, &o, SAMPLES, 0), *two;
    int64_t bytes, h, seeds = 0, epochs = 0, i;
    static int64_t kept[3][SAMPLES];

    o.seed = 6; /* the state brings that of the run */
    two = new_loss(context, &o);
    memset(first, 0, sizeof first);
    loss_snapshot(one, first, &bytes);
    OK(sslcv_loss_begin_epoch(one, 0)); /* begun already */
    check_state_equals(one, first, bytes);
    copy_state(one, two);
    check_state_equals(two, first, bytes);
    for (h = 0; h < 3; h++) {
        read_labels(one, h, SAMPLES);
        memcpy(kept[h], labels, sizeof kept[h]);
    }
    OK(sslcv_loss_begin_epoch(one, 1));
    OK(sslcv_loss_begin_epoch(two, 1));
    memset(again, 0, sizeof again);
    loss_snapshot(one, again, &bytes);
    check_state_equals(two, again, bytes);
    for (h = 0; h < 3; h++) {
        read_labels(one, h, SAMPLES);
        for (i = 0; i < SAMPLES; i++) epochs += labels[i] != kept[h][i];
    }
    ck_assert_int_gt(epochs, 0);
    {
        loss_test test;
        double nmi;

        loss_test_init(&test);
        loss_test_add(&test, 2, 4, 1, DIM, x, diff);
        test.call.ids = ids;
        loss_value(one, &test);
        nmi = loss_metric(one, "nmi");
        ck_assert(nmi > 0.2 && nmi < 1.0);
    }
    sslcv_loss_destroy(two);
    two = clustered(context, &o, SAMPLES, 0);
    for (h = 0; h < 3; h++) {
        read_labels(two, h, SAMPLES);
        for (i = 0; i < SAMPLES; i++) seeds += labels[i] != kept[h][i];
    }
    ck_assert_int_gt(seeds, 0);
    sslcv_loss_destroy(one);
    sslcv_loss_destroy(two);
    sslcv_context_destroy(context);
}
END_TEST

/* An epoch that cannot begin leaves all as it is: memory, cancel, too few rows. */
START_TEST(failed_epochs)
{
    const sslcv_cluster_options o = options_of(SAMPLES, DIM, CLUSTERS, 3);
    host h = {.fail_at = -1};
    static unsigned char before[SNAPSHOT];
    sslcv_context *context = new_context(&h, 2);
    sslcv_loss *loss = clustered(context, &o, SAMPLES, 0);
    int64_t bytes, n, out;

    memset(before, 0, sizeof before);
    loss_snapshot(loss, before, &bytes);
    OK(sslcv_context_cancel(context, 1));
    FAILS(sslcv_loss_begin_epoch(loss, 1), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(context, 0));
    check_state_equals(loss, before, bytes);
    out = h.out;
    for (n = 0;; n++) {
        sslcv_status status;

        h.calls = 0;
        h.fail_at = n;
        status = sslcv_loss_begin_epoch(loss, 1);
        h.fail_at = -1;
        ck_assert_int_eq(h.out, out);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        check_state_equals(loss, before, bytes);
    }
    ck_assert_int_gt(n, 10);
    sslcv_loss_destroy(loss);
    loss = new_loss(context, &o);
    FAILS(sslcv_loss_begin_epoch(loss, 0), SSLCV_ERR_STATE,
          "cluster remembers 0 samples; an epoch needs 6 at least, cluster.num_prototypes: pass the data");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

/* ---- what holds for all losses ---- */

static sslcv_status create_empty(sslcv_context *context, sslcv_loss **loss)
{
    const sslcv_cluster_options o = options_of(SAMPLES, DIM, CLUSTERS, 3);

    return sslcv_loss_create_cluster(context, &o, loss);
}

static sslcv_status create_clustered(sslcv_context *context, sslcv_loss **loss)
{
    const sslcv_cluster_options o = options_of(SAMPLES, DIM, CLUSTERS, 3);

    *loss = clustered(context, &o, SAMPLES, 0);
    return SSLCV_OK;
}

static void fill(loss_test *test, int64_t samples)
{
    static int64_t rotated[SAMPLES];
    int64_t i;

    for (i = 0; i < SAMPLES; i++) rotated[i] = (7 * i + 3) % SAMPLES;
    golden_input(6, VIEWS * samples * DIM, x);
    loss_test_init(test);
    loss_test_add(test, VIEWS, samples, 1, DIM, x, diff);
    test->call.ids = rotated;
}

static const loss_case empty = {"cluster", create_empty, fill}, full = {"cluster", create_clustered, fill};

START_TEST(common_rules)
{
    check_finite_inputs(&full);
    check_bad_calls(&full);
    check_steady_calls(&empty);
    check_allocations(&empty);
    check_threads(&full, 40, 1e-5);
    check_scale(&full, 1e-6);
}
END_TEST

START_TEST(bad_input)
{
    sslcv_cluster_options o = options_of(SAMPLES, DIM, CLUSTERS, 3);
    sslcv_context *context = f32_context();
    sslcv_loss *loss = NULL;
    loss_test test;
    int64_t i;

    o.num_samples = 0;
    FAILS(sslcv_loss_create_cluster(context, &o, &loss), SSLCV_ERR_INVALID_ARGUMENT, "cluster.num_samples is 0");
    o.num_samples = 5;
    FAILS(sslcv_loss_create_cluster(context, &o, &loss), SSLCV_ERR_LIMIT,
          "cluster.num_prototypes is 6; must be 1 .. 5");
    o = options_of(SAMPLES, 0, CLUSTERS, 3);
    FAILS(sslcv_loss_create_cluster(context, &o, &loss), SSLCV_ERR_INVALID_ARGUMENT, "cluster.dim is 0");
    o = options_of(SAMPLES, DIM, 0, 3);
    FAILS(sslcv_loss_create_cluster(context, &o, &loss), SSLCV_ERR_INVALID_ARGUMENT, "cluster.num_prototypes is 0");
    o = options_of(SAMPLES, DIM, CLUSTERS, 0);
    FAILS(sslcv_loss_create_cluster(context, &o, &loss), SSLCV_ERR_INVALID_ARGUMENT, "cluster.num_sets is 0");
    o.num_sets = 3;
    o.memory_views = 0;
    FAILS(sslcv_loss_create_cluster(context, &o, &loss), SSLCV_ERR_INVALID_ARGUMENT, "cluster.memory_views is 0");
    o.memory_views = 2;
    o.iterations = -1;
    FAILS(sslcv_loss_create_cluster(context, &o, &loss), SSLCV_ERR_INVALID_ARGUMENT, "cluster.iterations is -1");
    o.iterations = 3;
    o.temperature = 0.0;
    FAILS(sslcv_loss_create_cluster(context, &o, &loss), SSLCV_ERR_INVALID_ARGUMENT, "cluster.temperature is 0");
    o.temperature = NAN;
    FAILS(sslcv_loss_create_cluster(context, &o, &loss), SSLCV_ERR_INVALID_ARGUMENT, "cluster.temperature is nan");
    FAILS(sslcv_loss_create_cluster(context, NULL, &loss), SSLCV_ERR_INVALID_ARGUMENT, "options is NULL");
    o = options_of(INT32_MAX, INT32_MAX, CLUSTERS, 3);
    o.memory_views = 4;
    FAILS(sslcv_loss_create_cluster(context, &o, &loss), SSLCV_ERR_LIMIT, "do not fit in memory");
    ck_assert_ptr_null(loss);

    o = options_of(SAMPLES, DIM, CLUSTERS, 3);
    loss = clustered(context, &o, SAMPLES, 0);
    fill(&test, 4);
    test.call.ids = NULL;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "call.ids is NULL");
    ids[0] = ids[1] = ids[2] = 1;
    ids[3] = SAMPLES;
    test.call.ids = ids;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT,
          "call.ids[3] is 40; must be below cluster.num_samples, 40");
    ids[3] = 2;
    test.call.num_inputs = 0;
    loss_test_add(&test, 1, 4, 1, DIM, x, diff);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] has 1 views; must be");
    test.call.num_inputs = 0;
    loss_test_add(&test, 2, 4, 1, DIM + 1, x, diff);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "inputs[0] has 8 dimensions");
    test.call.num_inputs = 0;
    loss_test_add(&test, 2, 4, 1, DIM, x, diff);
    OK(sslcv_loss_set(loss, "temperature", 1e-30));
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "temperature 1e-30 are too large");
    OK(sslcv_loss_set(loss, "temperature", 1e-300));
    test.call.diff_inputs = NULL;
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_NUMERIC, "too large");
    OK(sslcv_loss_set(loss, "temperature", 0.1));
    test.call.diff_inputs = test.diffs;
    memset(x, 0, DIM * sizeof *x); /* a row of zeros */
    ck_assert(isfinite(loss_value(loss, &test)));
    for (i = 0; i < 8 * DIM; i++) ck_assert(isfinite(diff[i]));
    /* A checkpoint with a label that is none. */
    for (i = 0; i < SAMPLES; i++) labels[i] = 1;
    labels[2] = CLUSTERS;
    loss_write(loss, "labels.1", SSLCV_STATE_VALUE, SSLCV_I64, SAMPLES, labels);
    FAILS(sslcv_loss_compute(loss, &test.call), SSLCV_ERR_INVALID_ARGUMENT, "labels.1[2] is 6; must be -1 .. 5");
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_cluster");
    TCase *tests = tcase_create("loss_cluster");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, equals_its_twin);
    tcase_add_test(tests, blocks_of_rows);
    tcase_add_test(tests, uniform_scores);
    tcase_add_test(tests, each_its_own_class);
    tcase_add_test(tests, labels_are_clusters);
    tcase_add_test(tests, rows_are_remembered);
    tcase_add_test(tests, state_goes_on);
    tcase_add_test(tests, failed_epochs);
    tcase_add_test(tests, common_rules);
    tcase_add_test(tests, bad_input);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
