/*
 * One network on several data sets, as self-supervised networks are compared (Ericsson, Gouk, Hospedales: How Well Do
 * Self-Supervised Models Transfer?, 2021, tables 3 and 4): logistic regression on its features, and all of it
 * fine-tuned.
 *
 *     transfer --weights FILE.safetensors --data cifar10:DIR --data photos/train --test photos/val
 *     transfer                           two sets of drawn pictures, a network as it is born, seconds of work
 *
 *     --data SPEC        begins a data set: a folder with a folder for each class; or cifar10:DIR  cifar100:DIR
 *                        idx:IMAGES,LABELS. One that is not there is a row that says so
 *     --test SPEC        of the set before it; default: CIFAR's test images, else a fifth of each class of --data
 *     --name TEXT        of the set before it; default: its SPEC
 *     --figure NAME      of the set before it: top1 or per-class; default: per-class for the sets with which it is
 *                        customary, Aircraft, Caltech-101, Flowers and Pets, known by name; else top1
 *     --weights FILE     of a backbone
 *     --protocols LIST   of logistic,finetune; default: both
 *     --steps N, --batch N, --rates LIST, --decays LIST   of fine-tuning; default 500, 64, "0.1,0.01" and "0,1e-3".
 *                        Published: 5000, 64, "1e-1,1e-2,1e-3,1e-4" and "0,1e-6,1e-5,1e-4,1e-3", on images of 224.
 *                        A decay is of a whole step: of weights by rate * decay
 *     --preset NAME      views for cifar (default) or imagenet; --size N: of the views, in pixels
 *     --out FILE         default transfer.json
 *     --threads N        default: all
 *
 * C, rate and decay are chosen on a fifth of the training images; then all of these are learnt, and the test images
 * are looked at once. Data sets here have one label an image: for several (VOC2007) give features and targets to
 * sslcv_probe_fit_rows(), and SSLCV_FIGURE_AP_11 to sslcv_figure_compute().
 */
#include "protocols.h"

#include <ctype.h>

enum { MOST_SETS = 32, LOGISTIC = 0, FINETUNE = 1 };

typedef struct arguments {
    const char *weights, *protocols, *steps, *batch, *rates, *decays, *preset, *size, *out, *threads;
} arguments;

/** A data set of the command line, and its row. */
typedef struct set {
    const char *data, *test, *name, *figure_name;
    int32_t figure;
    int is_there;
    int64_t num_train, num_test, num_classes;
    outcome outcomes[2];
} set;

typedef struct transfer {
    const arguments *arguments;
    protocol p;
    int64_t num_sets;
    set sets[MOST_SETS + 1]; /* one more, so that --data past the last has a place */
} transfer;

/* --data begins a set; --test, --name and --figure are of the last. */
static int read_arguments(int argc, char **argv, arguments *a, transfer *t)
{
    for (int i = 1; i < argc; i += 2) { /* argv ends with NULL */
        const int begins = strcmp(argv[i], "--data") == 0;
        set *last = &t->sets[t->num_sets > 0 ? t->num_sets - 1 + begins : 0];
        const option options[] = {{"--data", &last->data},    {"--test", &last->test},
                                  {"--name", &last->name},    {"--figure", &last->figure_name},
                                  {"--weights", &a->weights}, {"--protocols", &a->protocols},
                                  {"--steps", &a->steps},     {"--batch", &a->batch},
                                  {"--rates", &a->rates},     {"--decays", &a->decays},
                                  {"--preset", &a->preset},   {"--size", &a->size},
                                  {"--out", &a->out},         {"--threads", &a->threads}};

        if (begins && t->num_sets == MOST_SETS) {
            fprintf(stderr, "more than %d data sets\n", MOST_SETS);
            return 0;
        }
        if (!take_option(options, sizeof options / sizeof options[0], argv[i], argv[i + 1])) return 0;
        if (begins) last->name = last->data;
        t->num_sets += begins;
    }
    return 1;
}

/* ---- one set ---- */

/* What its name says, unless the command line does. */
static int32_t customary_figure(const set *s)
{
    static const char *const per_class[] = {"aircraft", "caltech", "flower", "pet"};
    char name[256];
    size_t i;

    if (s->figure_name) return strcmp(s->figure_name, "top1") == 0 ? SSLCV_FIGURE_TOP_K : SSLCV_FIGURE_MEAN_PER_CLASS;
    for (i = 0; i + 1 < sizeof name && s->name[i]; i++) name[i] = (char)tolower((unsigned char)s->name[i]);
    name[i] = 0;
    for (i = 0; i < sizeof per_class / sizeof per_class[0]; i++) {
        if (strstr(name, per_class[i])) return SSLCV_FIGURE_MEAN_PER_CLASS;
    }
    return SSLCV_FIGURE_TOP_K;
}

static sslcv_status judge_features(const protocol *p, sslcv_dataset *train, sslcv_dataset *test, outcome *o)
{
    const double begun = seconds_now();
    features of_train, of_test;
    sslcv_status status;

    memset(&of_test, 0, sizeof of_test);
    TRY(embed_images(p->backbone, NULL, p->plain, train, &of_train));
    TRY(embed_images(p->backbone, NULL, p->plain, test, &of_test));
    TRY(judge_logistic(p, &of_train, &of_test, 1, o));
    o->seconds = seconds_now() - begun;
end:
    release_features(&of_test);
    release_features(&of_train);
    return status;
}

static sslcv_status judge_set(transfer *t, set *s)
{
    const char *protocols = t->arguments->protocols;
    sslcv_dataset *train = NULL, *test = NULL;
    sslcv_dataset_info info;
    sslcv_status status;

    status = open_sets(t->p.context, s->data, s->test, (uint64_t)(s - t->sets), &train, &info, &test);
    if (status == SSLCV_ERR_NOT_FOUND) { /* a row that says so */
        status = SSLCV_OK;
        goto end;
    }
    if (status != SSLCV_OK) goto end;
    s->is_there = 1;
    s->num_train = info.count;
    s->num_classes = info.num_classes;
    TRY(sslcv_dataset_get_info(test, &info));
    s->num_test = info.count;
    t->p.figure = s->figure = customary_figure(s);
    if (strstr(protocols, "logistic")) TRY(judge_features(&t->p, train, test, &s->outcomes[LOGISTIC]));
    if (strstr(protocols, "finetune")) {
        TRY(judge_finetuning(&t->p, t->p.backbone, train, test, 0, 1, &s->outcomes[FINETUNE]));
    }
end:
    sslcv_dataset_destroy(test);
    sslcv_dataset_destroy(train);
    return status;
}

/* ---- what comes out ---- */

static void print_figure(const outcome *o)
{
    if (o->seconds > 0) {
        printf("  %6.2f %6.2f .. %5.2f", 100 * o->figure.value, 100 * o->figure.low, 100 * o->figure.high);
    } else {
        printf("  %6s %15s", "-", "");
    }
}

static void print_means(const transfer *t)
{
    printf("%-62s", "mean");
    for (int k = 0; k < 2; k++) {
        double sum = 0;
        int64_t count = 0;

        for (int64_t i = 0; i < t->num_sets; i++) {
            if (t->sets[i].outcomes[k].seconds <= 0) continue;
            sum += t->sets[i].outcomes[k].figure.value;
            count++;
        }
        if (count) {
            printf("  %6.2f of %ld sets%4s", 100 * sum / (double)count, (long)count, "");
        } else {
            printf("  %6s %15s", "-", "");
        }
    }
    printf("\n");
}

static void print_table(const transfer *t)
{
    printf("%-28s %7s %6s %7s %-10s  %-22s  %-22s\n", "data set", "train", "test", "classes", "figure",
           "logistic regression, %", "fine-tuned, %");
    for (int64_t i = 0; i < t->num_sets; i++) {
        const set *s = &t->sets[i];

        if (!s->is_there) {
            printf("%-28.28s not there\n", s->name);
            continue;
        }
        printf("%-28.28s %7ld %6ld %7ld %-10s", s->name, (long)s->num_train, (long)s->num_test, (long)s->num_classes,
               s->figure == SSLCV_FIGURE_TOP_K ? "top-1" : "per class");
        print_figure(&s->outcomes[LOGISTIC]);
        print_figure(&s->outcomes[FINETUNE]);
        printf("\n");
    }
    print_means(t);
}

static void write_outcome(FILE *file, const char *name, const char *choice, const outcome *o)
{
    if (o->seconds <= 0) return;
    fprintf(file, ", \"%s\": {\"value\": %.6f, \"low\": %.6f, \"high\": %.6f, ", name, o->figure.value, o->figure.low,
            o->figure.high);
    fprintf(file, "\"%s\": %.6g, \"weight_decay\": %.6g, \"seconds\": %.1f}", choice, o->choice, o->decay, o->seconds);
}

static sslcv_status write_json(const transfer *t)
{
    FILE *file = fopen(t->arguments->out, "w");
    int failed;

    if (!file) {
        fprintf(stderr, "cannot write %s\n", t->arguments->out);
        return SSLCV_ERR_IO;
    }
    fprintf(file, "[");
    for (int64_t i = 0; i < t->num_sets; i++) {
        const set *s = &t->sets[i];

        fprintf(file, "%s\n {\"set\": ", i ? "," : "");
        write_text(file, s->name);
        fprintf(file, ", \"there\": %s", s->is_there ? "true" : "false");
        if (s->is_there) {
            fprintf(file, ", \"train\": %ld, \"test\": %ld, \"classes\": %ld, \"figure\": \"%s\"", (long)s->num_train,
                    (long)s->num_test, (long)s->num_classes, s->figure == SSLCV_FIGURE_TOP_K ? "top1" : "per-class");
        }
        write_outcome(file, "logistic", "c", &s->outcomes[LOGISTIC]);
        write_outcome(file, "finetune", "learning_rate", &s->outcomes[FINETUNE]);
        fprintf(file, "}");
    }
    fprintf(file, "\n]\n");
    failed = ferror(file);
    if (fclose(file) != 0 || failed) return SSLCV_ERR_IO;
    printf("wrote %s\n", t->arguments->out);
    return SSLCV_OK;
}

/* ---- the whole ---- */

static sslcv_status run(transfer *t)
{
    sslcv_status status;

    TRY(open_protocol(&t->p, t->arguments->weights, (int32_t)atol(t->arguments->threads)));
    for (int64_t i = 0; i < t->num_sets; i++) TRY(judge_set(t, &t->sets[i]));
    print_table(t);
    TRY(write_json(t));
end:
    close_protocol(&t->p);
    return status;
}

int main(int argc, char **argv)
{
    arguments a = {NULL, "logistic,finetune", NULL, "64", NULL, NULL, "cifar", "0", "transfer.json", "0"};
    static transfer t; /* zeros */
    int is_drawn;
    sslcv_status status;

    if (!read_arguments(argc, argv, &a, &t)) return 2;
    is_drawn = t.num_sets == 0;
    if (is_drawn) {
        t.num_sets = 3;
        t.sets[0].name = "drawn pictures";
        t.sets[1].name = "more pictures, as flowers";
        t.sets[2].name = t.sets[2].data = "cifar10:no-such-folder";
    }
    t.arguments = &a;
    t.p.preset = a.preset;
    t.p.size = atol(a.size);
    t.p.steps = atol(a.steps ? a.steps : is_drawn ? "40" : "500");
    t.p.batch = is_drawn ? 16 : atol(a.batch);
    t.p.num_rates = read_numbers(a.rates ? a.rates : is_drawn ? "0.05" : "0.1,0.01", t.p.rates);
    t.p.num_decays = read_numbers(a.decays ? a.decays : is_drawn ? "0" : "0,1e-3", t.p.decays);
    if (!t.p.num_rates || !t.p.num_decays) {
        fprintf(stderr, "rates and decays are numbers with commas between, at most %d\n", MOST_CHOICES);
        return 2;
    }
    if ((status = run(&t)) != SSLCV_OK) {
        fprintf(stderr, "%s: %s\n", sslcv_status_string(status), sslcv_last_error());
    }
    return status == SSLCV_OK ? 0 : 1;
}
