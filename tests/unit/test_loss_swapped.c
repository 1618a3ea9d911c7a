#include "swapped_support.h"

#include <float.h>

/* ---- published values ---- */

static void golden_prototypes(sslcv_loss *loss)
{
    float c[12];

    golden_rows(7, 3, 4, c);
    write_values(loss, "prototypes.weight", 12, c);
}

START_TEST(published_values_and_gradients)
{
    static const struct {
        double epsilon, value, first[4], prototype[4];
    } golden[2] = {
        {.05,
         4.96000906,
         {2.19553806, 0.14835730, 0.70953647, -1.11761657},
         {-1.18399056, -0.64708216, -1.47651596, 1.32274664}},
        {.5,
         5.17145887,
         {1.61691912, 0.18945374, 0.76509091, -1.03314489},
         {-0.23108810, -0.82087518, -1.43053300, 2.18327645}},
    };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_swapped_options options = new_options(4, 3);
    float z[48], dz[48], dc[12], queue[16];
    sslcv_loss *loss;
    loss_test test;
    int g, i;

    golden_input(1, 16, z);
    golden_input(2, 16, z + 16);
    golden_input(9, 16, z + 32);
    for (g = 0; g < 2; g++) {
        options.epsilon = golden[g].epsilon;
        loss = new_loss(context, &options);
        golden_prototypes(loss);
        one_input(&test, 2, 4, 4, z, dz);
        NEAR(loss_value(loss, &test), golden[g].value, 1e-6);
        loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, dc);
        for (i = 0; i < 4; i++) NEAR(dz[i], golden[g].first[i], 1e-5);
        for (i = 0; i < 4; i++) NEAR(dc[i], golden[g].prototype[i], 1e-5);
        sslcv_loss_destroy(loss);
    }
    options.epsilon = .05;
    loss = new_loss(context, &options); /* and a small crop, which gets no code */
    golden_prototypes(loss);
    one_input(&test, 3, 4, 4, z, NULL);
    NEAR(loss_value(loss, &test), 5.76402887, 1e-6);
    sslcv_loss_destroy(loss);

    options.code_views = 1;
    options.queue_size = 4;
    loss = new_loss(context, &options);
    golden_prototypes(loss);
    golden_rows(8, 4, 4, queue);
    write_values(loss, "queue.0", 16, queue);
    one_input(&test, 2, 4, 4, z, NULL);
    NEAR(loss_value(loss, &test), 3.63883937, 1e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- against the twin ---- */

START_TEST(equals_its_twin)
{
    static const char *const names[1] = {"prototypes.weight"};
    static float z[4096], dz[4096], weight[2048], queues[8192];
    static twin t;
    sslcv_context *context = new_context(NULL, 1);
    sslcv__rng rng;
    int round, told = 0;

    sslcv__rng_init(&rng, 26, 1, 0);
    for (round = 0; round < 100; round++) {
        const int64_t prototypes = 1 + sslcv__rng_below(&rng, 40), dim = 1 + sslcv__rng_below(&rng, 12);
        sslcv_swapped_options o = new_options(dim, prototypes);
        const int64_t views = 2 + sslcv__rng_below(&rng, 4), samples = 1 + sslcv__rng_below(&rng, 7);
        sslcv_loss *loss;
        loss_test test;
        int64_t i;

        o.code_views = 1 + sslcv__rng_below(&rng, views);
        o.temperature = sslcv__rng_range(&rng, 0.08, 1.0);
        o.epsilon = sslcv__rng_range(&rng, round % 5 ? 0.04 : 0.01, 0.5);
        o.iterations = 1 + sslcv__rng_below(&rng, 5);
        o.queue_size = round % 2 ? samples + sslcv__rng_below(&rng, 20) : 0;
        o.hard_steps = round % 7 == 3 ? 9 : 8;
        loss = new_loss(context, &o);
        memset(&t, 0, sizeof t);
        t.options = o;
        t.views = views;
        t.samples = samples;
        t.hard = o.hard_steps == 9;
        random_values(&rng, o.num_prototypes * o.dim, 1.0, weight);
        unit_rows(weight, o.num_prototypes, o.dim);
        write_values(loss, "prototypes.weight", o.num_prototypes * o.dim, weight);
        random_values(&rng, o.code_views * o.queue_size * o.dim, 1.0, queues);
        unit_rows(queues, o.code_views * o.queue_size, o.dim);
        for (i = 0; i < o.code_views && o.queue_size; i++) {
            char name[24];

            snprintf(name, sizeof name, "queue.%d", (int)i);
            write_values(loss, name, o.queue_size * o.dim, queues + i * o.queue_size * o.dim);
            t.queues = queues;
        }
        random_values(&rng, views * samples * o.dim, sslcv__rng_range(&rng, 0.3, 4.0), z);
        one_input(&test, views, samples, o.dim, z, dz);
        test.call.scale = sslcv__rng_range(&rng, 0.5, 3.0);
        test.call.step = 8;
        test.call.flags = round % 3 ? SSLCV_CALL_REMEMBER : 0;
        check_twin(loss, &test, twin_value, &t, names, 1, 1e-5, 1e-4);
        if (!t.tied) CLOSE(loss_metric(loss, "top1"), t.top1, 1e-12); /* of one dimension there are only two scores */
        told += !t.tied;
        CLOSE(loss_metric(loss, "assignment_entropy"), t.entropy, 1e-5);
        sslcv_loss_destroy(loss);
    }
    ck_assert_int_gt(told, 50);
    sslcv_context_destroy(context);
}
END_TEST

/* So many prototypes that each small crop goes in a block of its own; with pairs of views there is one block. */
START_TEST(many_rows_go_in_blocks)
{
    enum { VIEWS = 3, N = 2, D = 2, K = 1 << 21 };
    sslcv_context *context = new_context(NULL, 2);
    sslcv_swapped_options options = new_options(D, K);
    float z[VIEWS * N * D] = {1, 2, -3, 1, 2, 1, 1, 1, -1, 0.5f, 0.1f, 3}, dz[VIEWS * N * D];
    float *gradient = malloc((size_t)K * D * sizeof *gradient), *sum = malloc((size_t)K * D * sizeof *sum);
    double value, mean = 0.0, largest = 0.0;
    sslcv_loss *loss;
    loss_test test;
    int64_t i;
    int small;

    options.code_views = 1;
    loss = new_loss(context, &options);
    one_input(&test, VIEWS, N, D, z, dz);
    value = loss_value(loss, &test);
    loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, (int64_t)K * D, gradient);
    for (i = 0; i < N * D; i++) ck_assert_float_eq(dz[i], 0.0f); /* the only code view predicts nothing */
    memset(sum, 0, (size_t)K * D * sizeof *sum);
    loss_write(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, (int64_t)K * D, sum);
    for (small = 1; small < VIEWS; small++) {
        float pair[2 * N * D], dpair[2 * N * D];

        memcpy(pair, z, N * D * sizeof *z);
        memcpy(pair + N * D, z + small * N * D, N * D * sizeof *z);
        one_input(&test, 2, N, D, pair, dpair);
        test.call.scale = 0.5;
        mean += loss_value(loss, &test) / 2.0;
        for (i = 0; i < N * D; i++) CLOSE(dz[small * N * D + i], dpair[N * D + i], 1e-6);
    }
    CLOSE(value, mean, 1e-6);
    loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, (int64_t)K * D, sum);
    for (i = 0; i < (int64_t)K * D; i++) largest = fmax(largest, fabs((double)gradient[i]));
    for (i = 0; i < (int64_t)K * D; i++) {
        if (fabs((double)gradient[i] - (double)sum[i]) <= 1e-4 * largest) continue;
        ck_abort_msg("gradient %d is %.9g; expected %.9g (largest %g)", (int)i, (double)gradient[i], (double)sum[i],
                     largest);
    }
    free(sum);
    free(gradient);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- identities ---- */

START_TEST(nothing_to_tell_gives_the_logarithm)
{
    enum { N = 6, D = 8, K = 3000 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_swapped_options options = new_options(D, K);
    static float weight[K * D];
    float z[3 * N * D], dz[3 * N * D];
    sslcv_loss *loss = new_loss(context, &options);
    loss_test test;
    int64_t i;

    golden_rows(5, 3 * N, D, z);
    for (i = 0; i < K * D; i++) weight[i] = i % D == 0 ? 1.0f : 0.0f; /* prototypes alike */
    write_values(loss, "prototypes.weight", K * D, weight);
    one_input(&test, 3, N, D, z, dz);
    CLOSE(loss_value(loss, &test), log(3000.0), 1e-6);
    CLOSE(test.call.value, 8.0064, 1e-4);
    CLOSE(loss_metric(loss, "assignment_entropy"), log(3000.0), 1e-6);
    ck_assert_double_eq(loss_metric(loss, "top1"), 0.0); /* a tie is not first */
    for (i = 0; i < 3 * N * D; i++) CLOSE(dz[i], 0.0, 1e-6);
    sslcv_loss_destroy(loss);

    loss = new_loss(context, &options); /* a batch of one: any scores, but codes without content */
    one_input(&test, 2, 1, D, z, dz);
    loss_value(loss, &test);
    CLOSE(loss_metric(loss, "assignment_entropy"), log(3000.0), 1e-5);
    OK(sslcv_loss_set(loss, "temperature", 1e9));
    CLOSE(loss_value(loss, &test), log(3000.0), 1e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* Two equal views on their prototypes, one each: one-hot codes, and a softmax that is known. */
START_TEST(one_prototype_each)
{
    enum { N = 16 };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_swapped_options options = new_options(N, N);
    float z[2 * N * N], weight[N * N];
    sslcv_loss *loss;
    loss_test test;
    int64_t i;

    options.epsilon = 0.002;
    loss = new_loss(context, &options);
    for (i = 0; i < N * N; i++) weight[i] = z[i] = z[N * N + i] = i % (N + 1) == 0 ? 1.0f : 0.0f;
    write_values(loss, "prototypes.weight", N * N, weight);
    one_input(&test, 2, N, N, z, NULL);
    CLOSE(loss_value(loss, &test), log(1.0 + (N - 1.0) * exp(-10.0)), 1e-8);
    ck_assert_double_eq(loss_metric(loss, "top1"), 1.0);
    CLOSE(loss_metric(loss, "assignment_entropy"), log((double)N), 1e-6);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* dL/ds = (softmax - q) / (t N (V - 1) |A|), so its sum over prototypes is 0: seen with prototypes that span D = K. */
START_TEST(gradients_are_orthogonal_to_their_rows)
{
    enum { N = 9, D = 12, COUNT = 3 * N * D };
    sslcv_context *context = new_context(NULL, 1);
    sslcv_swapped_options options = new_options(D, D);
    float z[COUNT], dz[COUNT], longer[COUNT], dlonger[COUNT], weight[D * D];
    double value;
    sslcv_loss *loss;
    loss_test test;
    int64_t i, j;

    loss = new_loss(context, &options);
    for (i = 0; i < D * D; i++) weight[i] = i % (D + 1) == 0 ? 1.0f : 0.0f;
    write_values(loss, "prototypes.weight", D * D, weight);
    golden_input(53, COUNT, z);
    for (i = 0; i < COUNT; i++) longer[i] = 64.0f * z[i];
    one_input(&test, 3, N, D, z, dz);
    value = loss_value(loss, &test);
    one_input(&test, 3, N, D, longer, dlonger);
    CLOSE(loss_value(loss, &test), value, 1e-7);
    for (i = 0; i < 3 * N; i++) {
        double along = 0.0;

        for (j = 0; j < D; j++) {
            along += (double)z[i * D + j] * (double)dz[i * D + j];
            CLOSE(dlonger[i * D + j], (double)dz[i * D + j] / 64.0, 1e-8);
        }
        CLOSE(along, 0.0, 1e-6);
    }
    /* Of all prototypes together in the direction of the all-ones vector's scores: sum over k of dL/dc_k = sum over
       rows of u (sum over k of dL/ds) = 0. */
    loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, D * D, weight);
    for (j = 0; j < D; j++) {
        double sum = 0.0;

        for (i = 0; i < D; i++) sum += (double)weight[i * D + j];
        CLOSE(sum, 0.0, 2e-6);
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- edges ---- */

START_TEST(extreme_inputs_stay_finite)
{
    static const double temperatures[] = {0.1, 1e-4, 1e-15, 1e30}, epsilons[] = {0.05, 0.01, 1e-30, DBL_MIN, 1e30};
    sslcv_context *context = new_context(NULL, 2);
    float z[24], dz[24], weight[12];
    size_t t, e;
    int64_t i;

    golden_input(55, 24, z);
    for (i = 0; i < 4; i++) z[i] = 0.0f;                          /* a zero vector */
    for (i = 4; i < 8; i++) z[i] *= 1e-30f;                       /* below the floor of the norm */
    for (i = 8; i < 12; i++) z[i] = (float)((double)z[i] * 6e38); /* up to the largest floats */
    for (i = 20; i < 24; i++) z[i] = -z[i - 4] * 1e6f;            /* an exact opposite */
    for (t = 0; t < sizeof temperatures / sizeof *temperatures; t++) {
        for (e = 0; e < sizeof epsilons / sizeof *epsilons; e++) {
            sslcv_swapped_options options = new_options(4, 3);
            sslcv_loss *loss;
            loss_test test;

            options.temperature = temperatures[t];
            options.epsilon = epsilons[e];
            loss = new_loss(context, &options);
            golden_rows(7, 3, 4, weight);
            memset(weight + 4, 0, 4 * sizeof *weight); /* a prototype of zeros, another of large numbers */
            for (i = 8; i < 12; i++) weight[i] *= 1e38f;
            write_values(loss, "prototypes.weight", 12, weight);
            one_input(&test, 2, 3, 4, z, dz);
            ck_assert(isfinite(loss_value(loss, &test)));
            for (i = 0; i < 24; i++) ck_assert(isfinite(dz[i]));
            loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, 12, weight);
            for (i = 0; i < 12; i++) ck_assert(isfinite(weight[i]));
            CLOSE(loss_metric(loss, "assignment_entropy"), 0.55, 0.56);
            OK(sslcv_loss_set(loss, "temperature", 1e-300)); /* there are no gradients, but a value */
            test.call.diff_inputs = NULL;
            ck_assert(loss_value(loss, &test) > 0.0);
            ck_assert(isfinite(test.call.value));
            sslcv_loss_destroy(loss);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(same_bits_each_time_and_close_for_two_threads)
{
    enum { VIEWS = 4, N = 33, D = 24, K = 130, COUNT = VIEWS * N * D };
    static float z[COUNT], dz[3][COUNT], weight[3][K * D];
    double values[3];
    int64_t i;
    int run;

    golden_input(61, COUNT, z);
    for (run = 0; run < 3; run++) {
        sslcv_context *context = new_context(NULL, run < 2 ? 2 : 1);
        const sslcv_swapped_options options = new_options(D, K);
        sslcv_loss *loss = new_loss(context, &options);
        loss_test test;

        one_input(&test, VIEWS, N, D, z, dz[run]);
        values[run] = loss_value(loss, &test);
        loss_read(loss, "prototypes.weight", SSLCV_STATE_GRADIENT, SSLCV_F32, K * D, weight[run]);
        sslcv_loss_destroy(loss);
        sslcv_context_destroy(context);
    }
    ck_assert_double_eq(values[0], values[1]);
    ck_assert_mem_eq(dz[0], dz[1], sizeof dz[0]);
    ck_assert_mem_eq(weight[0], weight[1], sizeof weight[0]);
    CLOSE(values[2], values[0], 1e-7);
    for (i = 0; i < COUNT; i++) CLOSE(dz[2][i], dz[0][i], 1e-7);
    for (i = 0; i < K * D; i++) CLOSE(weight[2][i], weight[0][i], 1e-6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_swapped");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, published_values_and_gradients);
    tcase_add_test(all, equals_its_twin);
    tcase_add_test(all, many_rows_go_in_blocks);
    tcase_add_test(all, nothing_to_tell_gives_the_logarithm);
    tcase_add_test(all, one_prototype_each);
    tcase_add_test(all, gradients_are_orthogonal_to_their_rows);
    tcase_add_test(all, extreme_inputs_stay_finite);
    tcase_add_test(all, same_bits_each_time_and_close_for_two_threads);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
