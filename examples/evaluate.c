/*
 * All protocols by which a pre-trained network is judged, on one labelled data set.
 *
 *     evaluate --weights FILE.safetensors --data cifar10:DIR
 *     evaluate                           pictures drawn in memory, a network as it is born, seconds of work
 *
 *     --weights FILE     of a backbone
 *     --data SPEC        a folder with a folder for each class; or cifar10:DIR  cifar100:DIR  idx:IMAGES,LABELS
 *     --test SPEC        likewise; default: CIFAR's test images, else a fifth of each class of --data
 *     --only LIST        of knn,leave-one-out,linear,logistic,few,finetune,frozen,full; default: all
 *                        few: logistic regression with few labels; finetune: fine-tuning with these; frozen, full:
 *                        fine-tuning with all labels, its first stages frozen, or nothing
 *     --scratch WORD     yes (default): a network as it is born beside each that is fine-tuned, with as many steps and
 *                        a learning rate that was chosen likewise; no; only: these alone
 *     --fractions LIST   of the labels; default 0.01,0.1
 *     --repeats N        with few labels: other labels, order and first weights each time; default 1
 *     --linear NAME      preset of the linear probe; default simclr-cifar, with --preset imagenet simclr
 *     --steps N, --batch N, --rates LIST, --decays LIST   of fine-tuning; default 500, 64, "0.3,0.1,0.03" and "0".
 *                        More than one: chosen on a fifth of the images that it learns from, never on test images.
 *                        A decay is of a whole step: of weights by rate * decay
 *     --frozen K         stages that rest; default 2: stem and layer1
 *     --preset NAME      views for cifar (default) or imagenet; --size N: of the views, in pixels
 *     --out NAME         default evaluate: NAME.json, NAME.svg, and the indices of few labels as NAME-1pct-1.txt ...
 *     --threads N        default: all
 *
 * An interval says what another test set might have given; "spread" is the deviation over repeats.
 */
#include "protocols.h"

#include <math.h>

enum { MOST_ROWS = 64, MOST_REPEATS = 32, KNN_NEIGHBOURS = 200, NAME = 280, BAR = 360, LINE = 24 };

enum { KNN, LEAVE_ONE_OUT, LINEAR, LOGISTIC, FEW, FINETUNE, FROZEN, FULL, PROTOCOLS };
static const char *const protocols[PROTOCOLS] = {"knn", "leave-one-out", "linear", "logistic",
                                                 "few", "finetune",      "frozen", "full"};

typedef struct arguments {
    const char *weights, *data, *test, *only, *scratch, *fractions, *repeats, *linear, *steps, *batch, *rates, *decays,
        *frozen, *preset, *size, *out, *threads;
} arguments;

/** A line of the table. Values of figures are 0 .. 1, means over repeats. */
typedef struct row {
    char name[64], choice[64];
    int64_t images, repeats;
    double values[MOST_REPEATS], value, low, high, spread, seconds;
    int is_scratch;
} row;

typedef struct evaluation {
    const arguments *arguments;
    protocol p;
    sslcv_dataset *train, *test;
    features train_features, test_features;
    int wanted; /* protocols */
    int64_t num_train, num_classes, repeats, frozen, num_rows;
    row rows[MOST_ROWS];
} evaluation;

static int read_arguments(int argc, char **argv, arguments *a)
{
    const option options[] = {{"--weights", &a->weights}, {"--data", &a->data},       {"--test", &a->test},
                              {"--only", &a->only},       {"--scratch", &a->scratch}, {"--fractions", &a->fractions},
                              {"--repeats", &a->repeats}, {"--linear", &a->linear},   {"--steps", &a->steps},
                              {"--batch", &a->batch},     {"--rates", &a->rates},     {"--decays", &a->decays},
                              {"--frozen", &a->frozen},   {"--preset", &a->preset},   {"--size", &a->size},
                              {"--out", &a->out},         {"--threads", &a->threads}};

    for (int i = 1; i < argc; i += 2) { /* argv ends with NULL */
        if (!take_option(options, sizeof options / sizeof options[0], argv[i], argv[i + 1])) return 0;
    }
    return 1;
}

/* The protocols of a list, as a sum of 1 << their number; 0: one of them is none. */
static int read_protocols(const char *list)
{
    int wanted = 0, k;

    for (size_t length; *list; list += length + (list[length] == ',')) {
        length = strcspn(list, ",");
        for (k = 0; k < PROTOCOLS; k++) {
            if (strlen(protocols[k]) == length && strncmp(list, protocols[k], length) == 0) break;
        }
        if (k == PROTOCOLS) return 0;
        wanted |= 1 << k;
    }
    return wanted;
}

/* ---- rows ---- */

/* A row under the name, with the outcome as one of its repeats. */
static void add_outcome(evaluation *e, const char *name, const char *choice, int64_t images, const outcome *o)
{
    row *r = e->num_rows ? &e->rows[e->num_rows - 1] : NULL;
    double squares = 0;

    if (!r || strcmp(r->name, name) != 0) {
        if (e->num_rows == MOST_ROWS) return;
        r = &e->rows[e->num_rows++];
        snprintf(r->name, sizeof r->name, "%s", name);
        r->is_scratch = strncmp(name, "scratch", 7) == 0;
    }
    if (r->repeats == MOST_REPEATS) return;
    r->images = images;
    r->values[r->repeats++] = o->figure.value;
    r->value += (o->figure.value - r->value) / (double)r->repeats;
    r->low += (o->figure.low - r->low) / (double)r->repeats;
    r->high += (o->figure.high - r->high) / (double)r->repeats;
    r->seconds += o->seconds;
    for (int64_t i = 0; i < r->repeats; i++) squares += (r->values[i] - r->value) * (r->values[i] - r->value);
    r->spread = r->repeats > 1 ? sqrt(squares / (double)(r->repeats - 1)) : 0;
    if (strlen(r->choice) + strlen(choice) + 2 < sizeof r->choice) {
        if (r->repeats > 1) strcat(r->choice, " ");
        strcat(r->choice, choice);
    }
    fprintf(stderr, "%s: %.1f %%\n", name, 100 * o->figure.value);
}

static void add_chosen(evaluation *e, const char *name, const char *letter, int64_t images, const outcome *o)
{
    char choice[32];

    snprintf(choice, sizeof choice, "%s %.3g", letter, o->choice);
    add_outcome(e, name, choice, images, o);
}

/* ---- protocols on features ---- */

static sslcv_status judge_knn(evaluation *e)
{
    sslcv_probe_options options;
    embedding of_train;
    sslcv_metrics metrics;
    sslcv_probe *probe = NULL;
    outcome o;
    char choice[32];
    sslcv_status status;

    TRY(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_KNN));
    options.neighbors = e->num_train / e->num_classes / 2; /* well below the images of a class */
    if (options.neighbors < 1) options.neighbors = 1;
    if (options.neighbors > KNN_NEIGHBOURS) options.neighbors = KNN_NEIGHBOURS;
    snprintf(choice, sizeof choice, "k %ld", (long)options.neighbors);
    if (e->wanted & 1 << KNN) {
        TRY(judge_probe(&e->p, &options, &e->train_features, &e->test_features, &o));
        add_outcome(e, "k-NN", choice, e->num_train, &o);
    }
    if (e->wanted & 1 << LEAVE_ONE_OUT) { /* one handle as both sets: no image is its own neighbour */
        const double start = seconds_now();

        TRY(describe_embedding(&of_train, e->p.backbone, NULL, e->p.plain, e->train));
        TRY(sslcv_probe_create(e->p.context, &options, &probe));
        metrics.struct_size = sizeof metrics;
        TRY(sslcv_probe_evaluate(probe, &of_train.options, &of_train.options, &metrics));
        o.figure.value = metrics.top1;
        o.figure.low = metrics.top1_low;
        o.figure.high = metrics.top1_high;
        o.seconds = seconds_now() - start;
        add_outcome(e, "k-NN, leave-one-out", choice, e->num_train - 1, &o);
    }
end:
    sslcv_probe_destroy(probe);
    return status;
}

static sslcv_status judge_linear(evaluation *e)
{
    const char *preset = e->arguments->linear;
    sslcv_schedule rate;
    sslcv_probe_options options;
    outcome o;
    sslcv_status status;

    if (!preset) preset = strcmp(e->p.preset, "cifar") == 0 ? "simclr-cifar" : "simclr";
    rate.struct_size = sizeof rate;
    TRY(sslcv_probe_options_preset(&options, sizeof options, &rate, preset));
    options.seed = 1;
    TRY(judge_probe(&e->p, &options, &e->train_features, &e->test_features, &o));
    add_outcome(e, "linear probe", preset, e->num_train, &o);
end:
    return status;
}

/* The rows of the images that were chosen. */
static sslcv_status gather(const features *all, const int64_t *indices, int64_t count, features *some)
{
    const size_t dim = (size_t)all->rows.shape[1];
    const int64_t shape[2] = {count, all->rows.shape[1]};
    sslcv_status status;

    memset(some, 0, sizeof *some);
    TRY(sslcv_tensor_init(&some->rows, SSLCV_F32, NULL, 2, shape));
    TRY(reserve_features(some));
    for (int64_t i = 0; i < count; i++) {
        memcpy((float *)some->rows.data + (size_t)i * dim, (const float *)all->rows.data + (size_t)indices[i] * dim,
               dim * sizeof(float));
        some->labels[i] = all->labels[indices[i]];
    }
end:
    return status;
}

/* ---- fine-tuning ---- */

/* A network like the given one, as it is born: the ResNet with batch norm that has as many features and parameters. */
static sslcv_status make_alike(const evaluation *e, uint64_t seed, sslcv_backbone **out)
{
    static const int32_t kinds[] = {SSLCV_BACKBONE_RESNET18, SSLCV_BACKBONE_RESNET34, SSLCV_BACKBONE_RESNET50,
                                    SSLCV_BACKBONE_RESNET101};
    sslcv_backbone_options options;
    sslcv_backbone_info given, made;
    sslcv_status status;

    given.struct_size = made.struct_size = sizeof given;
    TRY(sslcv_backbone_get_info(e->p.backbone, &given));
    for (int k = 0; k < 8; k++) {
        TRY(sslcv_backbone_options_init(&options, sizeof options, kinds[k / 2]));
        options.stem = k % 2 ? SSLCV_STEM_IMAGENET : SSLCV_STEM_CIFAR;
        options.channels = given.channels;
        options.width = (double)given.feature_dim / (k / 2 < 2 ? 512 : 2048);
        options.seed = seed;
        TRY(sslcv_backbone_create(e->p.context, &options, out));
        TRY(sslcv_backbone_get_info(*out, &made));
        if (made.feature_dim == given.feature_dim && made.num_parameters == given.num_parameters) goto end;
        sslcv_backbone_destroy(*out);
        *out = NULL;
    }
    fprintf(stderr, "nothing from scratch: the network is no ResNet that this program can make\n");
end:
    return status;
}

/* Fine-tuning and, beside it, the same from scratch. what: name of the row behind "fine-tuned, " and "scratch, ". */
static sslcv_status judge_tuned(evaluation *e, sslcv_dataset *train, int64_t images, int64_t frozen, uint64_t seed,
                                int is_scratch, const char *what)
{
    sslcv_backbone *born = NULL;
    char name[64];
    outcome o;
    sslcv_status status = SSLCV_OK;

    if (is_scratch) TRY(make_alike(e, seed, &born));
    if (is_scratch && !born) goto end;
    TRY(judge_finetuning(&e->p, is_scratch ? born : e->p.backbone, train, e->test, frozen, seed, &o));
    snprintf(name, sizeof name, "%s, %s", is_scratch ? "scratch" : "fine-tuned", what);
    add_chosen(e, name, "rate", images, &o);
end:
    sslcv_backbone_destroy(born);
    return status;
}

/* kind: 0: logistic regression, 1: fine-tuning, 2: from scratch; with a share of the labels, chosen anew each time. */
static sslcv_status judge_few(evaluation *e, double fraction, int kind)
{
    sslcv_dataset *few = NULL;
    features some;
    int64_t *indices = NULL, count;
    char name[64], path[4096];
    outcome o;
    sslcv_status status = SSLCV_OK;

    memset(&some, 0, sizeof some);
    for (int64_t i = 1; i <= e->repeats; i++) {
        TRY(choose_share(e->train, fraction, (uint64_t)i, 0, &few, &indices, &count));
        snprintf(path, sizeof path, "%s-%gpct-%ld.txt", e->arguments->out, 100 * fraction, (long)i);
        TRY(sslcv_dataset_save_list(e->train, indices, count, path));
        if (kind == 0) {
            TRY(gather(&e->train_features, indices, count, &some));
            TRY(judge_logistic(&e->p, &some, &e->test_features, (uint64_t)i, &o));
            snprintf(name, sizeof name, "logistic regression, %g %%", 100 * fraction);
            add_chosen(e, name, "C", count, &o);
        } else {
            snprintf(name, sizeof name, "%g %%", 100 * fraction);
            TRY(judge_tuned(e, few, count, 0, (uint64_t)i, kind == 2, name));
        }
        release_features(&some);
        sslcv_dataset_destroy(few);
        free(indices);
        few = NULL;
        indices = NULL;
    }
end:
    release_features(&some);
    sslcv_dataset_destroy(few);
    free(indices);
    return status;
}

static sslcv_status judge_all(evaluation *e)
{
    const int scratch = strcmp(e->arguments->scratch, "no") != 0, tuned = strcmp(e->arguments->scratch, "only") != 0;
    double fractions[MOST_CHOICES];
    const int64_t count = read_numbers(e->arguments->fractions, fractions);
    char what[64];
    outcome o;
    sslcv_status status;

    TRY(judge_knn(e));
    if (e->wanted & 1 << LINEAR) TRY(judge_linear(e));
    if (e->wanted & 1 << LOGISTIC) {
        TRY(judge_logistic(&e->p, &e->train_features, &e->test_features, 1, &o));
        add_chosen(e, "logistic regression", "C", e->num_train, &o);
    }
    for (int64_t i = 0; i < count; i++) {
        if (e->wanted & 1 << FEW) TRY(judge_few(e, fractions[i], 0));
        if ((e->wanted & 1 << FINETUNE) && tuned) TRY(judge_few(e, fractions[i], 1));
        if ((e->wanted & 1 << FINETUNE) && scratch) TRY(judge_few(e, fractions[i], 2));
    }
    if (e->wanted & 1 << FROZEN) {
        snprintf(what, sizeof what, "%ld stages frozen", (long)e->frozen);
        TRY(judge_tuned(e, e->train, e->num_train, e->frozen, 1, 0, what));
    }
    if ((e->wanted & 1 << FULL) && tuned) TRY(judge_tuned(e, e->train, e->num_train, 0, 1, 0, "all labels"));
    if ((e->wanted & 1 << FULL) && scratch) TRY(judge_tuned(e, e->train, e->num_train, 0, 1, 1, "all labels"));
end:
    return status;
}

/* ---- what comes out ---- */

static void print_table(const evaluation *e)
{
    printf("%-32s %8s %7s %16s %7s %8s  %s\n", "protocol", "labels", "top-1 %", "95 % interval", "spread", "seconds",
           "chosen");
    for (int64_t i = 0; i < e->num_rows; i++) {
        const row *r = &e->rows[i];
        char spread[16] = "";

        if (r->repeats > 1) snprintf(spread, sizeof spread, "%.2f", 100 * r->spread);
        printf("%-32s %8ld %7.2f %7.2f .. %5.2f %7s %8.1f  %s\n", r->name, (long)r->images, 100 * r->value,
               100 * r->low, 100 * r->high, spread, r->seconds, r->choice);
    }
}

static void write_json(const evaluation *e, FILE *file)
{
    fprintf(file, "{\"weights\": ");
    write_text(file, e->arguments->weights);
    fprintf(file, ", \"data\": ");
    write_text(file, e->arguments->data);
    fprintf(file, ", \"figure\": \"top1\", \"steps\": %ld, \"batch\": %ld, \"rows\": [", (long)e->p.steps,
            (long)e->p.batch);
    for (int64_t i = 0; i < e->num_rows; i++) {
        const row *r = &e->rows[i];

        fprintf(file, "%s\n {\"protocol\": \"%s\", \"images\": %ld, \"top1\": %.6f, \"low\": %.6f, \"high\": %.6f, ",
                i ? "," : "", r->name, (long)r->images, r->value, r->low, r->high);
        fprintf(file, "\"spread\": %.6f, \"seconds\": %.1f, \"chosen\": \"%s\", \"repeats\": [", r->spread, r->seconds,
                r->choice);
        for (int64_t k = 0; k < r->repeats; k++) fprintf(file, "%s%.6f", k ? ", " : "", r->values[k]);
        fprintf(file, "]}");
    }
    fprintf(file, "\n]}\n");
}

/* Bars from 0 to 100 %, each with its interval; grey: from scratch. */
static void write_picture(const evaluation *e, FILE *file)
{
    const int height = (int)e->num_rows * LINE + 50, width = NAME + BAR + 70, bottom = height - 30;

    fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" ", width,
            height, width, height);
    fprintf(file, "font-family=\"sans-serif\" font-size=\"12\" fill=\"#444\">\n<rect width=\"100%%\" height=\"100%%\" "
                  "fill=\"#fff\"/>\n");
    for (int percent = 0; percent <= 100; percent += 20) {
        const double x = NAME + BAR * percent / 100.0;

        fprintf(file, "<line x1=\"%.1f\" y1=\"10\" x2=\"%.1f\" y2=\"%d\" stroke=\"#e4e4e4\"/>", x, x, bottom);
        fprintf(file, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d %%</text>\n", x, bottom + 18, percent);
    }
    for (int64_t i = 0; i < e->num_rows; i++) {
        const row *r = &e->rows[i];
        const double y = 16 + LINE * (double)i, middle = y + LINE / 2 - 4;

        fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s (%ld)</text>", NAME - 8, middle + 4, r->name,
                (long)r->images);
        fprintf(file, "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", NAME, y, BAR * r->value,
                LINE - 8, r->is_scratch ? "#b8bcc4" : "#4e79a7");
        fprintf(file, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#222\" stroke-width=\"2\"/>",
                NAME + BAR * r->low, middle, NAME + BAR * r->high, middle);
        fprintf(file, "<text x=\"%.1f\" y=\"%.1f\">%.1f</text>\n", NAME + BAR * r->high + 6, middle + 4,
                100 * r->value);
    }
    fprintf(file, "</svg>\n");
}

static sslcv_status write_file(const evaluation *e, const char *ending, void (*write)(const evaluation *e, FILE *file))
{
    char path[4096];
    FILE *file;
    int failed;

    snprintf(path, sizeof path, "%s%s", e->arguments->out, ending);
    file = fopen(path, "w");
    if (file) write(e, file);
    failed = !file || ferror(file);
    if (file && fclose(file) != 0) failed = 1;
    printf("%s %s\n", failed ? "cannot write" : "wrote", path);
    return failed ? SSLCV_ERR_IO : SSLCV_OK;
}

/* ---- the whole ---- */

static sslcv_status evaluate(evaluation *e)
{
    const arguments *a = e->arguments;
    sslcv_dataset_info info;
    sslcv_status status;

    TRY(open_protocol(&e->p, a->weights, (int32_t)atol(a->threads)));
    TRY(open_sets(e->p.context, a->data, a->test, 1, &e->train, &info, &e->test));
    e->num_train = info.count;
    e->num_classes = info.num_classes;
    TRY(embed_images(e->p.backbone, NULL, e->p.plain, e->train, &e->train_features));
    TRY(embed_images(e->p.backbone, NULL, e->p.plain, e->test, &e->test_features));
    TRY(judge_all(e));
    print_table(e);
    TRY(write_file(e, ".json", write_json));
    TRY(write_file(e, ".svg", write_picture));
end:
    release_features(&e->test_features);
    release_features(&e->train_features);
    sslcv_dataset_destroy(e->test);
    sslcv_dataset_destroy(e->train);
    close_protocol(&e->p);
    return status;
}

int main(int argc, char **argv)
{
    arguments a = {NULL,  NULL,    NULL, "knn,leave-one-out,linear,logistic,few,finetune,frozen,full",
                   "yes", NULL,    "1",  NULL,
                   NULL,  "64",    NULL, "0",
                   "2",   "cifar", "0",  "evaluate",
                   "0"};
    static evaluation e; /* zeros */
    double fractions[MOST_CHOICES];
    sslcv_status status;

    if (!read_arguments(argc, argv, &a)) return 2;
    if (!a.fractions) a.fractions = a.data ? "0.01,0.1" : "0.25";
    if (!a.rates) a.rates = a.data ? "0.3,0.1,0.03" : "0.1";
    if (!a.steps) a.steps = a.data ? "500" : "20";
    e.arguments = &a;
    e.wanted = read_protocols(a.only);
    e.p.preset = a.preset;
    e.p.figure = SSLCV_FIGURE_TOP_K;
    e.p.size = atol(a.size);
    e.p.steps = atol(a.steps);
    e.p.batch = a.data ? atol(a.batch) : 16;
    e.p.num_rates = read_numbers(a.rates, e.p.rates);
    e.p.num_decays = read_numbers(a.decays, e.p.decays);
    e.repeats = atol(a.repeats);
    e.frozen = atol(a.frozen);
    if (!e.p.num_rates || !e.p.num_decays || !read_numbers(a.fractions, fractions) || !e.wanted) {
        fprintf(stderr,
                "rates, decays and fractions are numbers with commas between, at most %d; --only is as in the "
                "head of evaluate.c\n",
                MOST_CHOICES);
        return 2;
    }
    if ((status = evaluate(&e)) != SSLCV_OK) {
        fprintf(stderr, "%s: %s\n", sslcv_status_string(status), sslcv_last_error());
    }
    return status == SSLCV_OK ? 0 : 1;
}
