/*
 * Does it learn as the reference does? SimCLR with a small ResNet-18 on CIFAR-10, k-NN after each epoch, linear probes
 * at the end, beside the figures of a PyTorch run with the same settings.
 *
 *     learning --data DIR [--reference simclr.json] [--epochs 10] [--images 10000] [--json FILE]
 *     learning --data DIR --serve
 *
 * The recipe "simclr", preset "cifar", with width 0.25: stem and stages of 16, 16, 32, 64, 128 channels, projection
 * 128-128-128 with batch norm behind both layers, NT-Xent with temperature 0.5, SGD 0.12 with momentum 0.9 and weight
 * decay 5e-4 on all parameters, cosine by epoch, batches of 256 images, both views in one pass. It learns from the
 * first --images images of the training set, without their labels.
 *
 * k-NN: k 200, temperature 0.1, cosine, on the backbone's features of plain images in evaluation mode; the bank is the
 * same training images with their labels, judged are the 10,000 test images.
 *
 * Linear: softmax regression on standardised features with 1 %, 10 % and all of the labels. The reference minimises
 * 1/2 |W|^2 + C (sum of the losses) with C = 0.1; divided by C n that is the mean loss with weight decay 1 / (C n).
 *
 * With --serve it only trains, one epoch at a time, as told on standard input (serve.h): the time of an epoch with
 * decoding, augmentation and steps.
 *
 * Public headers only. A reference is a file of results with "epochs": [{"loss", "knn", "train_seconds"} ...] and
 * "linear": {"1%_C0.1" ...}; where labels_1pct.txt and labels_10pct.txt lie beside it, with one row of the training set
 * a line, those labels are used, else a balanced share that is drawn.
 */
#include "networks.h"
#include "serve.h"

#include <math.h>

enum { BATCH = 256, NUM_SHARES = 3, SERVED_EPOCHS = 1000 /* that are planned for */ };

static const double regression_c = 0.1;
static const double presentations = 1e6; /* of labelled rows to each linear probe */

typedef struct settings {
    bench_settings net; /* of these precision, winograd, width and threads */
    const char *data, *reference, *json;
    int64_t epochs, images, seed;
    int serve;
} settings;

/** What the run is made of; handles are references. */
typedef struct experiment {
    sslcv_context *context;
    sslcv_dataset *train, *test;
    sslcv_augmenter *plain; /* one view, only normalised */
    sslcv_trainer *trainer;
    sslcv_backbone *backbone;
    sslcv_branch branch;
    const sslcv_branch *branches;
    int64_t view;
    json_t *reference, *results;
    double began, trained; /* clock at the begin of an epoch, and at its end before k-NN */
    double spread;         /* sum over the epoch's steps */
    int64_t steps;
} experiment;

static void destroy_experiment(experiment *e)
{
    json_decref(e->results);
    json_decref(e->reference);
    sslcv_backbone_destroy(e->backbone);
    sslcv_trainer_destroy(e->trainer);
    sslcv_augmenter_destroy(e->plain);
    sslcv_dataset_destroy(e->test);
    sslcv_dataset_destroy(e->train);
    sslcv_context_destroy(e->context);
}

/* ---- data ---- */

static sslcv_status open_part(sslcv_context *context, const char *path, int32_t part, sslcv_dataset **out)
{
    sslcv_dataset_options options;
    sslcv_status status;

    TRY(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_CIFAR10));
    options.path = path;
    options.part = part;
    TRY(sslcv_dataset_create(context, &options, out));
end:
    return status;
}

static sslcv_status first_images(sslcv_context *context, const settings *s, sslcv_dataset **out)
{
    int64_t *indices = malloc((size_t)s->images * sizeof *indices);
    sslcv_dataset *all = NULL;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t i;

    if (!indices) goto end;
    for (i = 0; i < s->images; i++) indices[i] = i;
    TRY(open_part(context, s->data, SSLCV_DATASET_TRAIN, &all));
    TRY(sslcv_dataset_subset(all, indices, s->images, out));
end:
    sslcv_dataset_destroy(all);
    free(indices);
    return status;
}

/* ---- one line an epoch ---- */

/* A number of the reference's epoch; NAN where there is none. */
static double reference_epoch(const experiment *e, int64_t epoch, const char *name)
{
    const json_t *value = json_object_get(json_array_get(json_object_get(e->reference, "epochs"), (size_t)epoch), name);

    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static double metric(const sslcv_trainer *trainer, const char *wanted)
{
    const char *name;
    double value;
    int64_t i;

    for (i = 0; sslcv_trainer_get_metric(trainer, i, &name, &value) == SSLCV_OK; i++) {
        if (strcmp(name, wanted) == 0) return value;
    }
    return (double)NAN;
}

/* Before the k-NN score is taken. */
static int32_t keep_time(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    experiment *e = user;

    (void)trainer;
    if (progress->event == SSLCV_EVENT_EPOCH_BEGIN) {
        e->began = bench_clock();
        e->spread = 0.0;
        e->steps = 0;
    } else if (progress->event == SSLCV_EVENT_STEP) {
        e->spread += progress->embedding_std;
        e->steps++;
    } else {
        e->trained = bench_clock();
    }
    return 0;
}

/* After it. */
static int32_t print_epoch(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    experiment *e = user;
    const double seconds = e->trained - e->began, knn = 100.0 * metric(trainer, "knn.top1");
    const double spread = e->spread / (double)e->steps;

    printf("%5lld %8.5f %8.4f %7.2f %6.3f %8.1f %9.1f %7.1f", (long long)progress->epoch + 1, progress->learning_rate,
           progress->loss, knn, spread, seconds, (double)(e->steps * BATCH) / seconds, bench_clock() - e->trained);
    if (e->reference) {
        printf(" | %8.4f %7.2f %8.1f", reference_epoch(e, progress->epoch, "loss"),
               reference_epoch(e, progress->epoch, "knn"), reference_epoch(e, progress->epoch, "train_seconds"));
    }
    putchar('\n');
    fflush(stdout);
    json_array_append_new(json_object_get(e->results, "epochs"),
                          json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "epoch", (json_int_t)progress->epoch + 1,
                                    "lr", progress->learning_rate, "loss", progress->loss, "knn", knn, "std_embedding",
                                    spread, "train_seconds", seconds, "eval_seconds", bench_clock() - e->trained));
    return 0;
}

/* ---- the run ---- */

static sslcv_status make_trainer(const settings *s, experiment *e)
{
    char text[128];
    sslcv_method_options options;
    sslcv_status status;

    snprintf(text, sizeof text, "width=%g epochs=%lld batch=%d", s->net.width, (long long)s->epochs, BATCH);
    TRY(sslcv_method_options_init(&options, sizeof options));
    options.dataset = e->train;
    options.preset = "cifar";
    options.settings = text;
    options.seed = (uint64_t)s->seed;
    TRY(sslcv_method_create(e->context, "simclr", &options, &e->trainer));
    TRY(sslcv_trainer_get_backbone(e->trainer, 0, 0, &e->backbone));
    TRY(sslcv_augmenter_create(e->context, &e->plain));
    TRY(sslcv_augmenter_add_preset(e->plain, "eval-cifar", 0, &e->view, NULL));
    TRY(sslcv_branch_init(&e->branch, sizeof e->branch));
    e->branch.views = &e->view;
    e->branch.num_views = 1;
    e->branch.backbone = e->backbone;
    e->branch.flags = 0; /* evaluation */
    e->branches = &e->branch;
end:
    return status;
}

static sslcv_status embed_options(const experiment *e, sslcv_dataset *dataset, sslcv_embed_options *options)
{
    const sslcv_status status = sslcv_embed_options_init(options, sizeof *options);

    options->dataset = dataset;
    options->augmenter = e->plain;
    options->branches = &e->branches;
    options->num_branches = 1;
    return status;
}

static sslcv_status add_hook(experiment *e, int32_t (*call)(void *, sslcv_trainer *, const sslcv_progress *),
                             int32_t events)
{
    sslcv_hook hook;
    sslcv_status status;

    TRY(sslcv_hook_init(&hook, sizeof hook));
    hook.user = e;
    hook.call = call;
    hook.events = events;
    TRY(sslcv_trainer_add_hook(e->trainer, &hook));
end:
    return status;
}

/* Hooks run in the order in which they were added, so the score lies between the two of ours. */
static sslcv_status watch(experiment *e)
{
    sslcv_embed_options bank, judged;
    sslcv_probe_options options;
    sslcv_probe *probe = NULL;
    sslcv_status status;

    TRY(embed_options(e, e->train, &bank));
    TRY(embed_options(e, e->test, &judged));
    TRY(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_KNN));
    options.neighbours = 200;
    options.temperature = 0.1;
    TRY(sslcv_probe_create(e->context, &options, &probe));
    TRY(add_hook(e, keep_time, SSLCV_EVENT_EPOCH_BEGIN | SSLCV_EVENT_STEP | SSLCV_EVENT_EPOCH_END));
    TRY(sslcv_probe_watch(probe, e->trainer, "knn", &bank, &judged, 1));
    TRY(add_hook(e, print_epoch, SSLCV_EVENT_EPOCH_END));
end:
    sslcv_probe_destroy(probe);
    return status;
}

/* ---- linear probes ---- */

/** All features of a set, and its labels. */
typedef struct embedded {
    sslcv_tensor features;
    int64_t *labels;
    int64_t count;
} embedded;

static void free_embedded(embedded *x)
{
    free(x->labels);
    free(x->features.data);
}

static sslcv_status embed(const experiment *e, sslcv_dataset *dataset, embedded *out)
{
    sslcv_embed_options options;
    sslcv_status status;

    TRY(embed_options(e, dataset, &options));
    TRY(sslcv_embed(&options, &out->features, NULL)); /* data is NULL: asks for the shape */
    out->count = out->features.shape[0];
    out->features.data = malloc((size_t)(out->count * out->features.shape[1]) * sizeof(float));
    out->labels = malloc((size_t)out->count * sizeof *out->labels);
    if (!out->features.data || !out->labels) return SSLCV_ERR_OUT_OF_MEMORY;
    TRY(sslcv_embed(&options, &out->features, out->labels));
end:
    return status;
}

/* Rows listed in FOLDER/labels_NAME.txt, where FOLDER is the reference's. Returns how many; 0: no such file. */
static int64_t listed_rows(const char *reference, const char *name, int64_t *rows, int64_t capacity)
{
    const char *slash = reference ? strrchr(reference, '/') : NULL;
    char path[4096];
    int64_t count = 0;
    long long row;
    FILE *file;

    if (!reference) return 0;
    snprintf(path, sizeof path, "%.*slabels_%s.txt", slash ? (int)(slash - reference) + 1 : 0, reference, name);
    file = fopen(path, "r");
    if (!file) return 0;
    while (count < capacity && fscanf(file, "%lld", &row) == 1) {
        if (row >= 0 && row < capacity) rows[count++] = row;
    }
    fclose(file);
    return count;
}

static sslcv_status drawn_rows(sslcv_dataset *dataset, double share, int64_t *rows, int64_t capacity, int64_t *count)
{
    sslcv_split_options options;
    sslcv_status status;

    TRY(sslcv_split_options_init(&options, sizeof options));
    options.fraction = share;
    TRY(sslcv_dataset_split(dataset, &options, rows, capacity, count));
end:
    return status;
}

/* A label of -1 keeps a row out of the fit. */
static void keep_rows(const int64_t *labels, int64_t count, const int64_t *rows, int64_t num_rows, int64_t *kept)
{
    int64_t i;

    for (i = 0; i < count; i++) kept[i] = -1;
    for (i = 0; i < num_rows; i++) kept[rows[i]] = labels[rows[i]];
}

static sslcv_status fit_and_judge(const experiment *e, const embedded *train, const int64_t *labels, int64_t num_rows,
                                  const embedded *test, double *top1)
{
    sslcv_metrics metrics = {.struct_size = sizeof metrics};
    sslcv_tensor scores = {0};
    sslcv_schedule rate;
    sslcv_probe_options options;
    sslcv_probe *probe = NULL;
    sslcv_status status;

    TRY(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, 0.03));
    TRY(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_LINEAR));
    options.standardize = SSLCV_STANDARDIZE_SPREAD;
    options.learning_rate = &rate;
    options.epochs = (int64_t)(presentations / (double)num_rows) + 1;
    options.weight_decay = 1.0 / (regression_c * (double)num_rows);
    options.seed = 1;
    TRY(sslcv_probe_create(e->context, &options, &probe));
    TRY(sslcv_probe_fit(probe, &train->features, labels));
    TRY(sslcv_probe_predict(probe, &test->features, &scores)); /* data is NULL: asks for the shape */
    scores.data = malloc((size_t)(scores.shape[0] * scores.shape[1]) * sizeof(float));
    status = SSLCV_ERR_OUT_OF_MEMORY;
    if (!scores.data) goto end;
    TRY(sslcv_probe_predict(probe, &test->features, &scores));
    TRY(sslcv_metrics_compute(e->context, &scores, test->labels, &metrics, NULL));
    *top1 = 100.0 * metrics.top1;
end:
    free(scores.data);
    sslcv_probe_destroy(probe);
    return status;
}

static void print_linear(experiment *e, const char *name, int64_t num_rows, double top1)
{
    char key[32];
    const json_t *reference;

    snprintf(key, sizeof key, "%s%%_C%g", name, regression_c);
    reference = json_object_get(json_object_get(e->reference, "linear"), key);
    printf("linear probe, %4s %% of the labels (%lld): %6.2f", name, (long long)num_rows, top1);
    if (reference) printf(" | %6.2f", json_number_value(reference));
    putchar('\n');
    json_object_set_new(json_object_get(e->results, "linear"), key, json_real(top1));
}

static sslcv_status judge(const settings *s, experiment *e)
{
    static const struct {
        const char *name, *file;
        double share;
    } shares[NUM_SHARES] = {{"1", "1pct", 0.01}, {"10", "10pct", 0.1}, {"100", "100pct", 1.0}};
    embedded train = {0}, test = {0};
    int64_t *rows = malloc((size_t)s->images * sizeof *rows), *labels = malloc((size_t)s->images * sizeof *labels);
    int64_t num_rows;
    double top1;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int i;

    if (!rows || !labels) goto end;
    TRY(embed(e, e->train, &train));
    TRY(embed(e, e->test, &test));
    putchar('\n');
    for (i = 0; i < NUM_SHARES; i++) {
        num_rows = i + 1 == NUM_SHARES ? 0 : listed_rows(s->reference, shares[i].file, rows, s->images);
        if (num_rows == 0) TRY(drawn_rows(e->train, shares[i].share, rows, s->images, &num_rows));
        keep_rows(train.labels, train.count, rows, num_rows, labels);
        TRY(fit_and_judge(e, &train, labels, num_rows, &test, &top1));
        print_linear(e, shares[i].name, num_rows, top1);
    }
end:
    free(labels);
    free(rows);
    free_embedded(&test);
    free_embedded(&train);
    return status;
}

/* ---- epochs as told ---- */

static sslcv_status run_epoch(void *user)
{
    experiment *e = user;

    return sslcv_trainer_run(e->trainer, e->steps);
}

static sslcv_status serve(const settings *s, experiment *e)
{
    bench_server server = {e, e->context, NULL, run_epoch, NULL, NULL};
    sslcv_status status;

    e->steps = s->images / BATCH;
    server.about = bench_describe(e->context, "image", e->steps * BATCH);
    if (!server.about) return SSLCV_ERR_OUT_OF_MEMORY;
    status = bench_serve(&server);
    json_decref(server.about);
    return status;
}

/* ---- main ---- */

static void print_head(const experiment *e, const settings *s)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    if (sslcv_context_get_info(e->context, &info) != SSLCV_OK) return;
    printf("simclr on %lld images of CIFAR-10, ResNet-18 with width %g, %lld epochs, seed %lld; sslcv %s, %s, %d "
           "threads\n\n",
           (long long)s->images, s->net.width, (long long)s->epochs, (long long)s->seed, sslcv_version_string(),
           info.cpu, (int)info.threads);
    printf("epoch     rate     loss  k-NN %% spread  train s  images/s  eval s");
    if (e->reference) printf(" | reference: loss, k-NN %%, train s");
    putchar('\n');
}

static void warn_about_reference(const settings *s, const experiment *e)
{
    const json_t *theirs = json_object_get(e->reference, "settings");
    const json_int_t epochs = json_integer_value(json_object_get(theirs, "epochs"));
    const json_int_t images = json_integer_value(json_object_get(theirs, "images"));

    if (epochs && epochs != s->epochs) {
        printf("the reference ran %lld epochs: its learning rate fell at another pace, its probes came at their end\n",
               (long long)epochs);
    }
    if (images && images != s->images) printf("the reference learnt from %lld images\n", (long long)images);
}

int main(int argc, char **argv)
{
    settings s = {.net = {BENCH_DEFAULTS}, .data = "../shared/data/cifar10", .epochs = 10, .images = 10000, .seed = 1};
    const bench_option options[] = {
        {"data", "folder of CIFAR-10's binary files, also .gz; default ../shared/data/cifar10", .text = &s.data},
        {"reference", "results of a run to compare with, JSON", .text = &s.reference},
        {"epochs", "default 10", .integer = &s.epochs},
        {"images", "of the training set, from its first; default 10000", .integer = &s.images},
        {"width", "default 0.25", .real = &s.net.width},
        {"precision", "f32 (default) or bf16", .text = &s.net.precision},
        {"winograd", "1 (default): allowed; 0: never", .integer = &s.net.winograd},
        {"seed", "default 1", .integer = &s.seed},
        {"threads", "default 0: the processors that this process may use", .integer = &s.net.threads},
        {"json", "write the results there", .text = &s.json},
        {"serve", "train epochs as told on standard input", .flag = &s.serve},
    };
    experiment e = {0};
    sslcv_status status;

    s.net.width = 0.25;
    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (s.images < BATCH || s.epochs < 1) {
        fprintf(stderr, "%s: --images must be %d or more, --epochs 1 or more\n", argv[0], BATCH);
        return 2;
    }
    if (s.reference && !(e.reference = json_load_file(s.reference, 0, NULL))) {
        fprintf(stderr, "%s: no JSON in %s\n", argv[0], s.reference);
        return 2;
    }
    e.results = json_pack("{s:s, s:[], s:{}}", "method", "simclr", "epochs", "linear");
    TRY(bench_make_context(&s.net, &e.context));
    TRY(first_images(e.context, &s, &e.train));
    if (s.serve) {
        s.epochs = SERVED_EPOCHS;
        TRY(make_trainer(&s, &e));
        TRY(serve(&s, &e));
        goto end;
    }
    TRY(open_part(e.context, s.data, SSLCV_DATASET_TEST, &e.test));
    TRY(make_trainer(&s, &e));
    TRY(watch(&e));
    warn_about_reference(&s, &e);
    print_head(&e, &s);
    TRY(sslcv_trainer_run(e.trainer, 0));
    TRY(judge(&s, &e));
    if (s.json && json_dump_file(e.results, s.json, JSON_INDENT(1) | JSON_REAL_PRECISION(8)) != 0) {
        fprintf(stderr, "%s: %s was not written\n", argv[0], s.json);
        status = SSLCV_ERR_IO;
    }
end:
    destroy_experiment(&e);
    return bench_finish(argv[0], status);
}
