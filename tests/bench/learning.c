/*
 * Does each method learn, and as its reference does? A small ResNet-18 on CIFAR-10: k-NN after each epoch, linear
 * probes at the end, beside the figures of a PyTorch run with the same settings.
 *
 *     learning --list
 *     learning --data DIR [--run simclr] [--references DIR] [--precision bf16] [--seed 2] [--weights F] [--json FILE]
 *     learning --data DIR --method NAME [--settings TEXT]
 *     learning --data DIR [--run simclr] --serve [--steps N]
 *
 * Experiments are rows of the table in learning.h. All have the preset "cifar" with width 0.25, that is a stem and
 * stages of 16, 16, 32, 64, 128 channels, batches of 256 images and 10 epochs of the first 10,000 images of the
 * training set. Only "supervised" sees their labels.
 *
 * k-NN: k 200, temperature 0.1, cosine, on the backbone's features of plain images in evaluation mode; the bank is the
 * same training images with their labels, judged are the 10,000 test images.
 *
 * Linear: softmax regression on standardised features with 1 %, 10 % and all of the labels. The reference minimises
 * 1/2 |W|^2 + C (sum of the losses) with C = 0.1; divided by C n that is the mean loss with weight decay 1 / (C n).
 *
 * With --serve it only trains, an epoch or --steps at a time, as told on standard input (serve.h): decoding, views and
 * steps.
 *
 * Public headers only. A reference is a file of results with "epochs": [{"loss", "knn", "train_seconds"} ...] and
 * "linear": {"1%_C0.1" ...}; where labels_1pct.txt and labels_10pct.txt lie beside it, with one row of the training set
 * a line, those labels are used, else a balanced share that is drawn.
 */
#include "learning_judge.h"
#include "networks.h"
#include "serve.h"

#include <math.h>

enum { SERVED_EPOCHS = 1000 /* that are planned for */ };

typedef struct settings {
    bench_settings net; /* of these precision, winograd, width and threads */
    const char *data, *run, *method, *text, *references, *weights, *json;
    int64_t epochs, images, seed, steps;
    int serve, list;
} settings;

/** What a run is made of; handles are references. */
typedef struct experiment {
    const learning_row *row;
    sslcv_context *context;
    sslcv_dataset *train, *test;
    sslcv_trainer *trainer;
    learning_judge judge;
    json_t *reference, *results;
    double began, spread; /* clock at the begin of an epoch; sum over its steps */
    int64_t steps;
} experiment;

static void destroy_experiment(experiment *e)
{
    json_decref(e->results);
    json_decref(e->reference);
    learning_free_judge(&e->judge);
    sslcv_trainer_destroy(e->trainer);
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
    TRY(open_part(context, s->data, SSLCV_PART_TRAIN, &all));
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

static void print_epoch(const experiment *e, const sslcv_progress *progress, double seconds, double last_loss,
                        double knn, double judged)
{
    printf("%5lld %8.5f %8.4f %7.2f %6.3f %8.1f %9.1f %7.1f", (long long)progress->epoch + 1, progress->learning_rate,
           progress->loss, knn, e->spread / (double)e->steps, seconds, (double)(e->steps * LEARNING_BATCH) / seconds,
           judged);
    if (e->reference) {
        printf(" | %8.4f %7.2f %8.1f", reference_epoch(e, progress->epoch, "loss"),
               reference_epoch(e, progress->epoch, "knn"), reference_epoch(e, progress->epoch, "train_seconds"));
    }
    putchar('\n');
    fflush(stdout);
    json_array_append_new(json_object_get(e->results, "epochs"),
                          json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "epoch",
                                    (json_int_t)progress->epoch + 1, "lr", progress->learning_rate, "loss",
                                    progress->loss, "last_loss", last_loss, "knn", knn, "std_embedding",
                                    e->spread / (double)e->steps, "train_seconds", seconds, "eval_seconds", judged));
}

static sslcv_status judge_knn(const experiment *e, double *knn)
{
    learning_features train = {0}, test = {0};
    sslcv_status status;

    TRY(learning_embed_both(&e->judge, &train, &test));
    TRY(learning_knn(&e->judge, &train, &test, knn));
end:
    learning_free_features(&test);
    learning_free_features(&train);
    return status;
}

/* The peak is that of training alone: it is read before anything is embedded. */
static int32_t end_epoch(experiment *e, const sslcv_progress *progress)
{
    const double ended = bench_clock(), last_loss = json_number_value(json_object_get(e->results, "last_loss"));
    double knn;

    if (progress->epoch == 0) json_object_set_new(e->results, "peak_bytes", json_integer(bench_peak()));
    if (judge_knn(e, &knn) != SSLCV_OK) {
        fprintf(stderr, "k-NN: %s\n", sslcv_last_error());
        return 1;
    }
    print_epoch(e, progress, ended - e->began, last_loss, knn, bench_clock() - ended);
    return 0;
}

static int32_t watch(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    experiment *e = user;

    (void)trainer;
    if (progress->event == SSLCV_EVENT_EPOCH_END) return end_epoch(e, progress);
    if (progress->event == SSLCV_EVENT_EPOCH_BEGIN) {
        e->began = bench_clock();
        e->spread = 0.0;
        e->steps = 0;
    } else {
        e->spread += progress->embedding_std;
        e->steps++;
        json_object_set_new(e->results, progress->step == 1 ? "first_loss" : "last_loss", json_real(progress->loss));
    }
    return 0;
}

/* ---- the run ---- */

static sslcv_status make_trainer(const settings *s, experiment *e)
{
    char text[512], width[32];
    sslcv_method_options options;
    sslcv_status status;

    snprintf(width, sizeof width, "width=%g ", s->net.width);
    snprintf(text, sizeof text, "epochs=%lld batch=%d %s%s", (long long)s->epochs, LEARNING_BATCH,
             strstr(e->row->settings, "width=") ? "" : width, e->row->settings);
    TRY(sslcv_method_options_init(&options, sizeof options));
    options.dataset = e->train;
    options.preset = "cifar";
    options.settings = text;
    options.seed = (uint64_t)s->seed;
    TRY(sslcv_method_create(e->context, e->row->method, &options, &e->trainer));
    json_object_set_new(e->results, "settings", json_string(text));
    e->judge.context = e->context;
    e->judge.train = e->train;
    e->judge.test = e->test;
    if (!s->serve) TRY(learning_make_judge(e->trainer, e->row, &e->judge));
end:
    return status;
}

/* A tensor of the file, for the network and for its momentum copy. */
static sslcv_status give_weight(sslcv_state *state, const char *name, const sslcv_tensor *value)
{
    char copy[512];
    int64_t index;
    sslcv_status status;

    TRY(sslcv_state_find(state, name, &index));
    TRY(sslcv_state_set(state, index, SSLCV_STATE_VALUE, value));
    snprintf(copy, sizeof copy, "momentum.%s", name);
    if (sslcv_state_find(state, copy, &index) == SSLCV_OK) {
        status = sslcv_state_set(state, index, SSLCV_STATE_VALUE, value);
    }
end:
    return status;
}

/* Begin from the weights of a file, with the names of a checkpoint: "backbone.0.conv1.weight", "head.0.0.weight" ... */
static sslcv_status load_weights(const settings *s, experiment *e)
{
    sslcv_state *file = NULL, *state = NULL;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_tensor value;
    int64_t i;
    sslcv_status status;

    TRY(sslcv_state_open(e->context, s->weights, NULL, &file));
    TRY(sslcv_trainer_get_state(e->trainer, &state));
    for (i = 0; sslcv_state_get_entry(file, i, &entry) == SSLCV_OK; i++) {
        TRY(sslcv_state_data(file, i, SSLCV_STATE_VALUE, &value));
        TRY(give_weight(state, entry.name, &value));
    }
end:
    sslcv_state_destroy(state);
    sslcv_state_destroy(file);
    return status;
}

static sslcv_status train(experiment *e)
{
    sslcv_hook hook;
    sslcv_status status;

    TRY(sslcv_hook_init(&hook, sizeof hook));
    hook.user = e;
    hook.call = watch;
    hook.events = SSLCV_EVENT_EPOCH_BEGIN | SSLCV_EVENT_STEP | SSLCV_EVENT_EPOCH_END;
    TRY(sslcv_trainer_add_hook(e->trainer, &hook));
    TRY(sslcv_trainer_run(e->trainer, 0));
end:
    return status;
}

/* ---- linear probes ---- */

static void print_linear(experiment *e, const char *name, int64_t num_rows, double top1)
{
    char key[32];
    const json_t *reference;

    snprintf(key, sizeof key, "%s%%_C%g", name, learning_regression_c);
    reference = json_object_get(json_object_get(e->reference, "linear"), key);
    printf("linear probe, %4s %% of the labels (%lld): %6.2f", name, (long long)num_rows, top1);
    if (reference) printf(" | %6.2f", json_number_value(reference));
    putchar('\n');
    json_object_set_new(json_object_get(e->results, "linear"), key, json_real(top1));
}

static sslcv_status judge_linear(const settings *s, experiment *e, const learning_features *train,
                                 const learning_features *test)
{
    static const struct {
        const char *name, *file;
        double share;
    } shares[LEARNING_SHARES] = {{"1", "1pct", 0.01}, {"10", "10pct", 0.1}, {"100", "100pct", 1.0}};
    int64_t *rows = malloc((size_t)s->images * sizeof *rows), *labels = malloc((size_t)s->images * sizeof *labels);
    int64_t num_rows;
    double top1;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int i;

    if (!rows || !labels) goto end;
    putchar('\n');
    for (i = 0; i < LEARNING_SHARES; i++) {
        num_rows = shares[i].share == 1.0 ? 0 : learning_listed_rows(s->references, shares[i].file, rows, s->images);
        if (num_rows == 0) TRY(learning_drawn_rows(e->train, shares[i].share, rows, s->images, &num_rows));
        learning_keep_rows(train->labels, train->count, rows, num_rows, labels);
        TRY(learning_linear(&e->judge, train, labels, num_rows, test, &top1));
        print_linear(e, shares[i].name, num_rows, top1);
    }
end:
    free(labels);
    free(rows);
    return status;
}

static sslcv_status judge(const settings *s, experiment *e)
{
    learning_features train = {0}, test = {0};
    double knn;
    sslcv_status status;

    TRY(learning_embed_both(&e->judge, &train, &test));
    TRY(learning_knn(&e->judge, &train, &test, &knn));
    printf("\nk-NN at the end: %.2f", knn);
    json_object_set_new(e->results, "knn", json_real(knn));
    TRY(judge_linear(s, e, &train, &test));
end:
    learning_free_features(&test);
    learning_free_features(&train);
    return status;
}

/* ---- steps as told ---- */

static sslcv_status run_steps(void *user)
{
    experiment *e = user;

    return sslcv_trainer_run(e->trainer, e->steps);
}

static sslcv_status serve(const settings *s, experiment *e)
{
    bench_server server = {e, e->context, NULL, run_steps, NULL, NULL};
    sslcv_status status;

    e->steps = s->steps ? s->steps : s->images / LEARNING_BATCH;
    server.about = bench_describe(e->context, "image", e->steps * LEARNING_BATCH);
    if (!server.about) return SSLCV_ERR_OUT_OF_MEMORY;
    status = bench_serve(&server);
    json_decref(server.about);
    return status;
}

/* ---- main ---- */

static void list_rows(void)
{
    int i;

    for (i = 0; i < LEARNING_ROWS; i++) {
        const learning_row *row = &learning_rows[i];

        printf("%s\t%s\t%s\t%s\n", row->name, row->method, row->reference ? row->reference : "", row->settings);
    }
}

static void describe(const experiment *e, const settings *s)
{
    sslcv_context_info info = {.struct_size = sizeof info};
    char today[32] = "";
    time_t now = time(NULL);
    struct tm date;

    if (sslcv_context_get_info(e->context, &info) != SSLCV_OK) return;
    if (gmtime_r(&now, &date)) strftime(today, sizeof today, "%Y-%m-%d", &date);
    json_object_update_new(e->results,
                           json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:f}", "run", e->row->name,
                                     "method", e->row->method, "version", sslcv_version_string(), "instruction_set",
                                     info.cpu, "precision", info.precision == SSLCV_PRECISION_F32 ? "f32" : "bf16",
                                     "date", today, "threads", (int)info.threads, "images", (json_int_t)s->images,
                                     "seed", (json_int_t)s->seed, "width", s->net.width));
    printf("%s on %lld images of CIFAR-10, ResNet-18 with width %g, %lld epochs, seed %lld; sslcv %s, %s, %d threads\n",
           e->row->method, (long long)s->images, s->net.width, (long long)s->epochs, (long long)s->seed,
           sslcv_version_string(), info.cpu, (int)info.threads);
    if (e->row->settings[0]) printf("%s\n", e->row->settings);
    if (e->row->untrained) return;
    printf("\nepoch     rate     loss  k-NN %% spread  train s  images/s  eval s");
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

/* A row of the table, or with --method one of the command line's. Ends the program where there is no such thing. */
static void choose_row(const char *program, const settings *s, learning_row *given, experiment *e)
{
    char path[4096];

    e->row = s->method ? given : learning_find(s->run);
    if (!e->row) {
        fprintf(stderr, "%s: no experiment %s; --list tells which there are\n", program, s->run);
        exit(2);
    }
    if (s->text && !s->method) {
        *given = *e->row;
        given->settings = s->text;
        e->row = given;
    }
    if (!s->references || !e->row->reference) return;
    snprintf(path, sizeof path, "%s/%s", s->references, e->row->reference);
    e->reference = json_load_file(path, 0, NULL);
    if (!e->reference) printf("no JSON in %s: no reference\n", path);
}

static sslcv_status run(const settings *s, experiment *e)
{
    sslcv_status status;

    TRY(bench_make_context(&s->net, &e->context));
    TRY(first_images(e->context, s, &e->train));
    if (s->serve) {
        TRY(make_trainer(s, e));
        return serve(s, e);
    }
    TRY(open_part(e->context, s->data, SSLCV_PART_TEST, &e->test));
    TRY(make_trainer(s, e));
    if (s->weights) TRY(load_weights(s, e));
    warn_about_reference(s, e);
    describe(e, s);
    if (!e->row->untrained) TRY(train(e));
    TRY(judge(s, e));
    if (s->json && json_dump_file(e->results, s->json, JSON_INDENT(1) | JSON_REAL_PRECISION(8)) != 0) {
        fprintf(stderr, "%s was not written\n", s->json);
        status = SSLCV_ERR_IO;
    }
end:
    return status;
}

int main(int argc, char **argv)
{
    settings s = {.net = {BENCH_DEFAULTS},
                  .data = "../shared/data/cifar10",
                  .run = "simclr",
                  .epochs = 10,
                  .images = 10000,
                  .seed = 1};
    const bench_option options[] = {
        {"data", "folder of CIFAR-10's binary files, also .gz; default ../shared/data/cifar10", .text = &s.data},
        {"run", "experiment; default simclr", .text = &s.run},
        {"list", "which experiments there are: name, method, reference, settings", .flag = &s.list},
        {"method", "in place of an experiment", .text = &s.method},
        {"settings", "\"name=value ...\" of the method, in place of the experiment's", .text = &s.text},
        {"references", "folder of results to compare with, JSON", .text = &s.references},
        {"weights", "begin with those of a file, named as in a checkpoint", .text = &s.weights},
        {"epochs", "default 10", .integer = &s.epochs},
        {"images", "of the training set, from its first; default 10000", .integer = &s.images},
        {"width", "default 0.25", .real = &s.net.width},
        {"precision", "f32 (default), bf16 or auto", .text = &s.net.precision},
        {"winograd", "1 (default): allowed; 0: never", .integer = &s.net.winograd},
        {"seed", "default 1", .integer = &s.seed},
        {"threads", "default 0: the processors that this process may use", .integer = &s.net.threads},
        {"json", "write the results there", .text = &s.json},
        {"serve", "train as told on standard input", .flag = &s.serve},
        {"steps", "with --serve: at a time; default 0: an epoch", .integer = &s.steps},
    };
    learning_row given = {0};
    experiment e = {0};
    sslcv_status status;

    s.net.width = 0.25;
    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (s.list) {
        list_rows();
        return 0;
    }
    if (s.images < LEARNING_BATCH || s.epochs < 1 || s.steps < 0) {
        fprintf(stderr, "%s: --images must be %d or more, --epochs 1, --steps 0\n", argv[0], LEARNING_BATCH);
        return 2;
    }
    given.name = given.method = s.method;
    given.settings = s.text ? s.text : "";
    choose_row(argv[0], &s, &given, &e);
    if (s.serve) s.epochs = SERVED_EPOCHS;
    e.results = json_pack("{s:[], s:{}}", "epochs", "linear");
    status = run(&s, &e);
    destroy_experiment(&e);
    return bench_finish(argv[0], status);
}
