/* The k-NN probe on arrays: against golden values and what k-NN must do. */
#include "probe_support.h"

/* k = 5, T = 0.1, training rows G(13, 8 x 4), test rows G(14, 3 x 4). */
START_TEST(knn_golden)
{
    static const int64_t labels[8] = {0, 1, 2, 0, 1, 2, 0, 1};
    static const int64_t neighbours[3][5] = {{4, 7, 0, 2, 1}, {3, 1, 6, 7, 2}, {2, 3, 4, 1, 7}};
    static const double votes[3][3] = {
        {26.51011, 1533.43388, 1.49048}, {163.08691, 83.56963, .17942}, {164.23051, 57.87452, 4488.92305}};
    static const int64_t predictions[3] = {1, 0, 2};
    float train[32], test[12], similarities[15], *scores;
    int64_t indices[15], i, c;
    sslcv_context *context = make_context(2, NULL);
    sslcv_probe *probe = make_knn(context, 5, 0.1);
    sslcv_tensor features, queries;

    golden_input(13, 32, train);
    golden_input(14, 12, test);
    features = array(train, 8, 4);
    queries = array(test, 3, 4);
    OK(sslcv_nearest(context, &features, &queries, 5, indices, similarities));
    fit(probe, train, 8, 4, labels);
    scores = predict(probe, test, 3, 4, 3);
    for (i = 0; i < 3; i++) {
        ck_assert_mem_eq(indices + 5 * i, neighbours[i], sizeof neighbours[i]);
        for (c = 0; c < 3; c++) {
            CLOSE(scores[3 * i + c] * exp((double)similarities[5 * i] / 0.1), votes[i][c], 1e-5);
        }
    }
    CLOSE(judge(context, scores, 3, 3, predictions).top1, 1, 0);
    free(scores);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(knn_of_itself_is_right)
{
    enum { N = 300, D = 10 };
    sslcv_context *context = make_context(2, NULL);
    sslcv_probe *probe = make_knn(context, 1, 0.07);
    float *rows = normal_array(1, N * D), *scores;
    int64_t labels[N], i;

    for (i = 0; i < N; i++) labels[i] = i * 7 % 5;
    fit(probe, rows, N, D, labels);
    scores = predict(probe, rows, N, D, 5);
    CLOSE(judge(context, scores, N, 5, labels).top1, 1, 0);
    free(scores);
    free(rows);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

/* All rows vote alike: the majority wins everywhere. */
START_TEST(knn_of_all_is_the_majority)
{
    enum { N = 50, D = 6, M = 9 };
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe *probe = make_knn(context, N, 1e12);
    float *rows = normal_array(1, N * D), *queries = normal_array(2, M * D), *scores;
    int64_t labels[N], i;

    for (i = 0; i < N; i++) labels[i] = i % 5 == 0 ? 0 : i % 2 == 0 ? 1 : 2;
    fit(probe, rows, N, D, labels);
    scores = predict(probe, queries, M, D, 3);
    for (i = 0; i < M; i++) {
        CLOSE(scores[3 * i], 10, 1e-6);
        CLOSE(scores[3 * i + 1], 20, 1e-6);
        CLOSE(scores[3 * i + 2], 20, 1e-6);
    }
    free(scores);
    free(rows);
    free(queries);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(knn_ignores_scale)
{
    enum { N = 200, D = 12, M = 30 };
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe *probe = make_knn(context, 20, 0.1);
    float *rows = normal_array(1, N * D), *queries = normal_array(2, M * D), *scores, *scaled;
    int64_t labels[N], i;

    for (i = 0; i < N; i++) labels[i] = i % 4;
    fit(probe, rows, N, D, labels);
    scores = predict(probe, queries, M, D, 4);
    for (i = 0; i < N * D; i++) rows[i] *= i / D % 2 ? 0.125f : 1024; /* powers of 2: exactly the same */
    for (i = 0; i < M * D; i++) queries[i] *= 4096;
    fit(probe, rows, N, D, labels);
    scaled = predict(probe, queries, M, D, 4);
    ck_assert_mem_eq(scores, scaled, sizeof *scores * M * 4);
    free(scaled);
    for (i = 0; i < N * D; i++) rows[i] *= 3;
    fit(probe, rows, N, D, labels);
    scaled = predict(probe, queries, M, D, 4);
    for (i = 0; i < M * 4; i++) CLOSE(scaled[i], scores[i], 1e-5);
    free(scaled);
    free(scores);
    free(rows);
    free(queries);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

/* A temperature at which the published sum overflows even in double. */
START_TEST(knn_small_temperature)
{
    static const float rows[] = {1, 0, 0.6f, 0.8f, 0, 1}, query[] = {1, 0.1f};
    static const int64_t labels[] = {2, 0, 1};
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe *probe = make_knn(context, 3, 1e-6);
    float *scores;

    fit(probe, rows, 3, 2, labels);
    scores = predict(probe, query, 1, 2, 3);
    CLOSE(scores[0], 0, 0);
    CLOSE(scores[1], 0, 0);
    CLOSE(scores[2], 1, 0);
    free(scores);
    sslcv_probe_destroy(probe);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(knn_leaves_out_unlabelled_rows)
{
    enum { N = 90, D = 5 };
    sslcv_context *context = make_context(1, NULL);
    sslcv_probe *some = make_knn(context, 10, 0.1), *all = make_knn(context, 10, 0.1);
    float *rows = normal_array(1, N * D), *kept = make_array(N * D), *a, *b;
    int64_t labels[N], kept_labels[N], count = 0, i, j;

    for (i = 0; i < N; i++) {
        labels[i] = i % 3 == 2 ? -1 : i % 3;
        if (labels[i] < 0) {
            for (j = 0; j < D; j++) rows[i * D + j] = j == 1 ? NAN : 0; /* and are not looked at */
        } else {
            memcpy(kept + count * D, rows + i * D, D * sizeof *rows);
            kept_labels[count++] = labels[i];
        }
    }
    fit(some, rows, N, D, labels);
    fit(all, kept, count, D, kept_labels);
    a = predict(some, kept, count, D, 2);
    b = predict(all, kept, count, D, 2);
    ck_assert_mem_eq(a, b, (size_t)count * 2 * sizeof *a);
    free(a);
    free(b);
    free(rows);
    free(kept);
    sslcv_probe_destroy(some);
    sslcv_probe_destroy(all);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(knn_does_not_depend_on_threads)
{
    enum { N = 2300, D = 24, M = 140 };
    float *rows = normal_array(1, N * D), *queries = normal_array(2, M * D), *first = NULL;
    int64_t labels[N], i;
    int32_t threads;

    for (i = 0; i < N; i++) labels[i] = i % 10;
    for (threads = 1; threads <= 4; threads++) {
        sslcv_context *context = make_context(threads, NULL);
        sslcv_probe *probe = make_knn(context, 37, 0.1);
        float *scores;

        fit(probe, rows, N, D, labels);
        sslcv_context_destroy(context); /* the probe keeps it alive */
        scores = predict(probe, queries, M, D, 10);
        if (first) {
            ck_assert_mem_eq(first, scores, sizeof *scores * M * 10);
            free(scores);
        } else {
            first = scores;
        }
        sslcv_probe_destroy(probe);
    }
    free(first);
    free(rows);
    free(queries);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probe_knn");
    TCase *knn = add_case(suite, "knn");

    tcase_add_test(knn, knn_golden);
    tcase_add_test(knn, knn_of_itself_is_right);
    tcase_add_test(knn, knn_of_all_is_the_majority);
    tcase_add_test(knn, knn_ignores_scale);
    tcase_add_test(knn, knn_small_temperature);
    tcase_add_test(knn, knn_leaves_out_unlabelled_rows);
    tcase_add_test(knn, knn_does_not_depend_on_threads);
    return run_suite(suite);
}
