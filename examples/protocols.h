/*
 * What evaluate.c and transfer.c share: what a network makes of images, and the two protocols that choose a setting on
 * held-out images, logistic regression and fine-tuning. Not part of the library.
 */
#ifndef PROTOCOLS_H
#define PROTOCOLS_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* clock_gettime() */
#endif
#include "images.h"

#include <time.h>

enum { MOST_CHOICES = 16 };

/** A network and how it is judged. */
typedef struct protocol {
    sslcv_context *context;
    sslcv_backbone *backbone;
    sslcv_augmenter *plain; /* one view, in which nothing is drawn */
    const char *preset;     /* "cifar" or "imagenet" */
    int64_t size;           /* of the views; 0: as published */
    int32_t figure;         /* SSLCV_FIGURE_* */
    /* Fine-tuning: rates and decays to choose from. */
    int64_t steps, batch, num_rates, num_decays;
    double rates[MOST_CHOICES], decays[MOST_CHOICES];
} protocol;

/** Features or logits of a data set, a row for each image. */
typedef struct features {
    sslcv_tensor rows;
    int64_t *labels;
} features;

/** What a protocol gives. */
typedef struct outcome {
    sslcv_figure_value figure;
    double choice, decay; /* logistic regression: C; fine-tuning: learning rate, weight decay */
    double seconds;
} outcome;

static inline double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- features ---- */

static inline void release_features(features *f)
{
    free(f->rows.data);
    free(f->labels);
    f->rows.data = NULL;
    f->labels = NULL;
}

static inline sslcv_status reserve_features(features *f)
{
    f->rows.data = malloc((size_t)(f->rows.shape[0] * f->rows.shape[1]) * sizeof(float));
    f->labels = malloc((size_t)f->rows.shape[0] * sizeof *f->labels);
    return f->rows.data && f->labels ? SSLCV_OK : SSLCV_ERR_OUT_OF_MEMORY;
}

/** What a branch needs to be said; branch, pointer and view live as long as embed. */
typedef struct embedding {
    sslcv_embed_options options;
    sslcv_branch branch;
    const sslcv_branch *pointer;
    sslcv_head *head;
    int64_t view;
} embedding;

/** classifier: NULL: features; else logits. */
static inline sslcv_status describe_embedding(embedding *e, sslcv_backbone *backbone, sslcv_head *classifier,
                                              sslcv_augmenter *plain, sslcv_dataset *images)
{
    sslcv_status status;

    e->head = classifier;
    e->view = 0;
    TRY(sslcv_branch_init(&e->branch, sizeof e->branch));
    e->branch.views = &e->view;
    e->branch.num_views = 1;
    e->branch.backbone = backbone;
    e->branch.heads = &e->head;
    e->branch.num_heads = classifier ? 1 : 0;
    e->branch.flags = 0; /* evaluation */
    e->pointer = &e->branch;
    TRY(sslcv_embed_options_init(&e->options, sizeof e->options));
    e->options.dataset = images;
    e->options.augmenter = plain;
    e->options.branches = &e->pointer;
    e->options.num_branches = 1;
end:
    return status;
}

static inline sslcv_status embed_images(sslcv_backbone *backbone, sslcv_head *classifier, sslcv_augmenter *plain,
                                        sslcv_dataset *images, features *f)
{
    embedding e;
    sslcv_status status;

    memset(f, 0, sizeof *f);
    TRY(describe_embedding(&e, backbone, classifier, plain, images));
    TRY(sslcv_embed(&e.options, &f->rows, NULL)); /* only asks for the shape */
    TRY(reserve_features(f));
    TRY(sslcv_embed(&e.options, &f->rows, f->labels));
end:
    if (status != SSLCV_OK) release_features(f);
    return status;
}

/** draws: of test sets, for the interval. */
static inline sslcv_status judge_scores(const protocol *p, const sslcv_tensor *scores, const int64_t *labels,
                                        int64_t draws, sslcv_figure_value *value)
{
    sslcv_figure_options options;
    sslcv_status status;

    TRY(sslcv_figure_options_init(&options, sizeof options, p->figure));
    options.draws = draws;
    value->struct_size = sizeof *value;
    TRY(sslcv_figure_compute(p->context, scores, labels, NULL, &options, value, NULL));
end:
    return status;
}

/* ---- probes ---- */

/** Fit on train, judge on test. */
static inline sslcv_status judge_probe(const protocol *p, const sslcv_probe_options *options, const features *train,
                                       const features *test, outcome *o)
{
    const double start = seconds_now();
    features scores;
    sslcv_probe *probe = NULL;
    sslcv_probe_info info;
    sslcv_status status;

    memset(&scores, 0, sizeof scores);
    TRY(sslcv_probe_create(p->context, options, &probe));
    TRY(sslcv_probe_fit(probe, &train->rows, train->labels));
    TRY(sslcv_probe_predict(probe, &test->rows, &scores.rows)); /* only asks for the shape */
    TRY(reserve_features(&scores));
    TRY(sslcv_probe_predict(probe, &test->rows, &scores.rows));
    TRY(judge_scores(p, &scores.rows, test->labels, 1000, &o->figure));
    info.struct_size = sizeof info;
    TRY(sslcv_probe_get_info(probe, &info));
    o->choice = info.c;
    o->decay = 0;
    o->seconds = seconds_now() - start;
end:
    release_features(&scores);
    sslcv_probe_destroy(probe);
    return status;
}

/** Of 45 values of C the one that does best on a fifth of train; C = 1 where a class has too few images for that. */
static inline sslcv_status judge_logistic(const protocol *p, const features *train, const features *test, uint64_t seed,
                                          outcome *o)
{
    sslcv_probe_options options;
    sslcv_status status;

    TRY(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_LOGISTIC));
    options.figure = p->figure;
    options.seed = seed;
    status = judge_probe(p, &options, train, test, o);
    if (status == SSLCV_ERR_LIMIT) {
        options.c_count = 1;
        options.c_first = 1;
        status = judge_probe(p, &options, train, test, o);
    }
end:
    return status;
}

/* ---- fine-tuning ---- */

/** A copy of start with a new classifier learns train for p->steps; the figure is of test. frozen: first stages. */
static inline sslcv_status finetune_once(const protocol *p, const sslcv_backbone *start, sslcv_dataset *train,
                                         sslcv_dataset *test, int64_t frozen, uint64_t seed, int64_t draws, outcome *o)
{
    sslcv_backbone *backbone = NULL;
    sslcv_head *classifier = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_method_options options;
    features logits;
    char settings[256], size[32] = "";
    sslcv_status status;

    memset(&logits, 0, sizeof logits);
    if (p->size > 0) snprintf(size, sizeof size, " size=%ld", (long)p->size);
    snprintf(settings, sizeof settings, "steps=%ld batch=%ld learning_rate=%.9g weight_decay=%.9g frozen_stages=%ld%s",
             (long)p->steps, (long)p->batch, o->choice, o->decay, (long)frozen, size);
    TRY(sslcv_backbone_clone(start, &backbone));
    TRY(sslcv_method_options_init(&options, sizeof options));
    options.dataset = train;
    options.backbones = &backbone;
    options.num_backbones = 1;
    options.preset = p->preset;
    options.settings = settings;
    options.seed = seed;
    TRY(sslcv_method_create(p->context, "finetune", &options, &trainer));
    TRY(sslcv_trainer_get_head(trainer, 0, 0, 0, &classifier));
    TRY(sslcv_trainer_run(trainer, 0));
    TRY(embed_images(backbone, classifier, p->plain, test, &logits));
    TRY(judge_scores(p, &logits.rows, logits.labels, draws, &o->figure));
end:
    release_features(&logits);
    sslcv_trainer_destroy(trainer);
    sslcv_head_destroy(classifier);
    sslcv_backbone_destroy(backbone);
    return status;
}

/** Rate and decay that do best on held, learnt from rest; the first of equals. Rates at which it diverges are none. */
static inline sslcv_status choose_rate(const protocol *p, const sslcv_backbone *start, sslcv_dataset *rest,
                                       sslcv_dataset *held, int64_t frozen, uint64_t seed, outcome *best)
{
    double most = -1.0;
    outcome tried;
    sslcv_status status;

    for (int64_t i = 0; i < p->num_rates * p->num_decays; i++) {
        tried.choice = p->rates[i / p->num_decays];
        tried.decay = p->decays[i % p->num_decays] / tried.choice; /* what counts is the product (Ericsson et al.) */
        status = finetune_once(p, start, rest, held, frozen, seed, 0, &tried);
        if (status == SSLCV_ERR_NUMERIC) continue;
        if (status != SSLCV_OK) return status;
        if (tried.figure.value > most) {
            most = tried.figure.value;
            best->choice = tried.choice;
            best->decay = tried.decay;
        }
    }
    return SSLCV_OK;
}

/** Choose rate and decay on a fifth of train, then learn all of it. One try, or too few images: the first of each. */
static inline sslcv_status judge_finetuning(const protocol *p, const sslcv_backbone *start, sslcv_dataset *train,
                                            sslcv_dataset *test, int64_t frozen, uint64_t seed, outcome *o)
{
    const double begun = seconds_now();
    sslcv_dataset *rest = NULL, *held = NULL;
    int64_t count;
    sslcv_status status;

    o->choice = p->rates[0];
    o->decay = p->decays[0] / p->rates[0];
    if (p->num_rates * p->num_decays > 1) {
        TRY(choose_share(train, 0.8, seed, 0, &rest, NULL, &count));
        TRY(choose_share(train, 0.8, seed, 1, &held, NULL, &count));
        if (held) TRY(choose_rate(p, start, rest, held, frozen, seed, o));
    }
    TRY(finetune_once(p, start, train, test, frozen, seed, 1000, o));
    o->seconds = seconds_now() - begun;
end:
    sslcv_dataset_destroy(held);
    sslcv_dataset_destroy(rest);
    return status;
}

/* ---- command line, files ---- */

typedef struct option {
    const char *name, **value;
} option;

/** Take "name value" into the option of that name; 0: there is none, or no value. */
static inline int take_option(const option *options, size_t count, const char *name, const char *value)
{
    for (size_t k = 0; k < count && value; k++) {
        if (strcmp(name, options[k].name) != 0) continue;
        *options[k].value = value;
        return 1;
    }
    fprintf(stderr, "%s: no option, or without a value; see the head of the source\n", name);
    return 0;
}

/** "0.1,0.01" into at most MOST_CHOICES numbers; how many, 0 where the text is none. */
static inline int64_t read_numbers(const char *text, double *numbers)
{
    int64_t count = 0;
    char *end;

    do {
        if (count == MOST_CHOICES) return 0;
        numbers[count++] = strtod(text, &end);
        if (end == text || (*end != ',' && *end != 0)) return 0;
        text = end + 1;
    } while (*end == ',');
    return count;
}

/** JSON's text of any bytes. */
static inline void write_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (; text && *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', file);
        fputc((unsigned char)*text < 32 ? ' ' : *text, file);
    }
    fputc('"', file);
}

static inline void close_protocol(protocol *p)
{
    sslcv_augmenter_destroy(p->plain);
    sslcv_backbone_destroy(p->backbone);
    sslcv_context_destroy(p->context);
}

/** Context, plain view and network; weights NULL: a small network as it is born. Close it also after a failure. */
static inline sslcv_status open_protocol(protocol *p, const char *weights, int32_t threads)
{
    sslcv_context_options options;
    sslcv_backbone_options network;
    sslcv_status status;

    TRY(sslcv_context_options_init(&options, sizeof options));
    options.threads = threads;
    TRY(sslcv_context_create(&options, &p->context));
    TRY(sslcv_augmenter_create(p->context, &p->plain));
    TRY(sslcv_augmenter_add_preset(p->plain, strcmp(p->preset, "cifar") == 0 ? "eval-cifar" : "eval", p->size, NULL,
                                   NULL));
    if (weights) {
        TRY(sslcv_backbone_load(p->context, weights, NULL, &p->backbone));
    } else {
        TRY(sslcv_backbone_options_init(&network, sizeof network, SSLCV_BACKBONE_RESNET18));
        network.stem = SSLCV_STEM_CIFAR;
        network.width = 0.125;
        network.seed = 1000;
        TRY(sslcv_backbone_create(p->context, &network, &p->backbone));
    }
end:
    return status;
}

#endif
