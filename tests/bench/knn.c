/*
 * Time of k-NN classification: from two arrays of features and the labels of one to scores for the other. Fit and
 * predict together, as knn_peers.py does it with scikit-learn and faiss.
 *
 *     knn [--rows 50000] [--queries 10000] [--dim 512] [--neighbours 200] [--steps 5] [--serve]
 *
 * Features are noise of a formula around 10 faint centres, cut off below 0 as behind a ReLU; the same in Python. What
 * share of queries is given its own class is the value that is compared.
 */
#include "networks.h"
#include "serve.h"

enum { CLASSES = 10 };

typedef struct workload {
    bench_settings net;
    int64_t rows, queries, dim, neighbours, steps;
    sslcv_context *context;
    sslcv_probe *probe;
    float *values, *scores; /* rows, then queries */
    int64_t *labels;        /* likewise */
    sslcv_tensor features, wanted, answer;
    double top1;
} workload;

/* -0.5 .. 0.5 */
static float noise(uint32_t i)
{
    i = (i ^ i >> 16) * 2246822519u;
    i = (i ^ i >> 13) * 3266489917u;
    return (float)((i ^ i >> 16) >> 8) / 16777216.0f - 0.5f;
}

static void fill(workload *w)
{
    const uint32_t dim = (uint32_t)w->dim, count = (uint32_t)(w->rows + w->queries);
    uint32_t i, j;

    for (i = 0; i < count; i++) {
        const uint32_t label = noise(~i) < 0.0f ? i % CLASSES : i / 7 % CLASSES;

        w->labels[i] = label;
        for (j = 0; j < dim; j++) {
            const float x = noise((i + CLASSES) * dim + j) + 0.1f * noise(label * dim + j);

            w->values[(size_t)i * dim + j] = x > 0.0f ? x : 0.0f;
        }
    }
}

static sslcv_status step(void *user)
{
    workload *w = user;
    sslcv_status status;

    TRY(sslcv_probe_fit(w->probe, &w->features, w->labels));
    TRY(sslcv_probe_predict(w->probe, &w->wanted, &w->answer));
end:
    return status;
}

static sslcv_status make_workload(workload *w)
{
    const int64_t shapes[3][2] = {{w->rows, w->dim}, {w->queries, w->dim}, {w->queries, CLASSES}};
    const size_t all = (size_t)(w->rows + w->queries);
    sslcv_metrics metrics = {.struct_size = sizeof metrics};
    sslcv_probe_options options;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;

    w->values = malloc(all * (size_t)w->dim * sizeof *w->values);
    w->labels = malloc(all * sizeof *w->labels);
    w->scores = malloc((size_t)w->queries * CLASSES * sizeof *w->scores);
    if (!w->values || !w->labels || !w->scores) goto end;
    fill(w);
    TRY(bench_make_context(&w->net, &w->context));
    TRY(sslcv_tensor_init(&w->features, SSLCV_F32, w->values, 2, shapes[0]));
    TRY(sslcv_tensor_init(&w->wanted, SSLCV_F32, w->values + w->rows * w->dim, 2, shapes[1]));
    TRY(sslcv_tensor_init(&w->answer, SSLCV_F32, w->scores, 2, shapes[2]));
    TRY(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_KNN));
    options.neighbors = w->neighbours;
    TRY(sslcv_probe_create(w->context, &options, &w->probe));
    TRY(step(w));
    TRY(sslcv_metrics_compute(w->context, &w->answer, w->labels + w->rows, &metrics, NULL));
    w->top1 = metrics.top1;
end:
    return status;
}

static void destroy_workload(workload *w)
{
    sslcv_probe_destroy(w->probe);
    sslcv_context_destroy(w->context);
    free(w->values);
    free(w->labels);
    free(w->scores);
}

static sslcv_status serve(workload *w)
{
    bench_server server = {w, w->context, bench_describe(w->context, "row", w->queries), step, NULL, NULL};
    sslcv_status status;

    if (!server.about) return SSLCV_ERR_OUT_OF_MEMORY;
    json_object_set_new(server.about, "value", json_real(w->top1));
    status = bench_serve(&server);
    json_decref(server.about);
    return status;
}

static sslcv_status report(workload *w)
{
    const double gflop = 2e-9 * (double)w->rows * (double)w->queries * (double)w->dim;
    double *seconds = calloc((size_t)w->steps, sizeof *seconds);
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t i;

    if (!seconds) goto end;
    for (i = 0; i < w->steps; i++) {
        const double start = bench_clock();

        TRY(step(w));
        seconds[i] = bench_clock() - start;
        printf("%s%.3f", i ? " " : "s: ", seconds[i]);
    }
    printf("\nmedian %.3f s, %.0f GFLOP/s of products alone; top-1 %.4f; peak of the process %.1f MiB\n",
           bench_median(seconds, w->steps), gflop / bench_median(seconds, w->steps), w->top1, bench_mib(bench_peak()));
end:
    free(seconds);
    return status;
}

int main(int argc, char **argv)
{
    workload w = {.net = {BENCH_DEFAULTS}, .rows = 50000, .queries = 10000, .dim = 512, .neighbours = 200, .steps = 5};
    int as_told = 0;
    const bench_option options[] = {
        {"rows", "with labels; default 50000", .integer = &w.rows},
        {"queries", "default 10000", .integer = &w.queries},
        {"dim", "default 512", .integer = &w.dim},
        {"neighbours", "default 200", .integer = &w.neighbours},
        {"steps", "default 5", .integer = &w.steps},
        {"threads", "default 0: the processors that this process may use", .integer = &w.net.threads},
        {"serve", "make steps as told on standard input", .flag = &as_told},
    };
    sslcv_status status;

    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (w.rows < 20 || w.queries < 1 || w.dim < 1 || w.steps < 1 || w.rows > INT32_MAX || w.queries > INT32_MAX ||
        w.dim > INT32_MAX / (w.rows + w.queries + CLASSES)) {
        fprintf(stderr, "%s: --rows must be 20 or more, others 1 or more, and all together below 2^31 values\n",
                argv[0]);
        return 2;
    }
    TRY(make_workload(&w));
    TRY(as_told ? serve(&w) : report(&w));
end:
    destroy_workload(&w);
    return bench_finish(argv[0], status);
}
