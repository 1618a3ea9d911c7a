/**
 * What judges networks in the learning tests: features of images as a method's networks see them, a linear probe on
 * these. Public calls only.
 *
 *     judge_begin     the trainer's networks, each behind the view that it is judged by
 *     judge_refresh   batch norm's running statistics become those of these views
 *     judge           top-1 of a linear probe, in per cent
 *     judge_end
 */
#ifndef SSLCV__TESTS_JUDGE_H
#define SSLCV__TESTS_JUDGE_H

#include "support.h"

#include <sslcv/sslcv.h>

enum { JUDGE_NETWORKS = 4, JUDGE_BATCH = 128 };

typedef struct judged {
    sslcv_context *context;
    sslcv_augmenter *augmenter;
    int64_t num_networks;
    int64_t views[JUDGE_NETWORKS];
    sslcv_backbone *backbones[JUDGE_NETWORKS];
    sslcv_branch branches[JUDGE_NETWORKS];
    const sslcv_branch *pointers[JUDGE_NETWORKS];
} judged;

/** All features of a set, and its labels. */
typedef struct embedded {
    sslcv_tensor features;
    int64_t *labels;
} embedded;

/**
 * Branch i of the trainer is judged by the network that it has and view i of the preset; of a preset with one view more
 * than that (a whole and its channels), by view i + 1.
 */
static inline void judge_begin(sslcv_context *context, sslcv_trainer *trainer, const char *preset, int64_t size,
                               int64_t num_networks, judged *j)
{
    int64_t first, count, i;

    memset(j, 0, sizeof *j);
    j->context = context;
    j->num_networks = num_networks;
    OK(sslcv_augmenter_create(context, &j->augmenter));
    OK(sslcv_augmenter_add_preset(j->augmenter, preset, size, &first, &count));
    ck_assert_int_le(num_networks, JUDGE_NETWORKS);
    ck_assert_int_le(num_networks, count);
    for (i = 0; i < num_networks; i++) {
        j->views[i] = first + count - num_networks + i;
        OK(sslcv_trainer_get_backbone(trainer, i, 0, &j->backbones[i]));
        OK(sslcv_branch_init(&j->branches[i], sizeof j->branches[i]));
        j->branches[i].views = &j->views[i];
        j->branches[i].num_views = 1;
        j->branches[i].backbone = j->backbones[i];
        j->branches[i].flags = 0; /* evaluation */
        j->pointers[i] = &j->branches[i];
    }
}

static inline void judge_end(judged *j)
{
    int64_t i;

    for (i = 0; i < j->num_networks; i++) sslcv_backbone_destroy(j->backbones[i]);
    sslcv_augmenter_destroy(j->augmenter);
}

static inline void judge_refresh(judged *j, sslcv_dataset *images)
{
    sslcv_loader_options options;
    sslcv_loader *loader;
    sslcv_batch batch;
    sslcv_tape *tape;
    sslcv_pass pass;
    sslcv_tensor views;
    int64_t i;

    OK(sslcv_loader_options_init(&options, sizeof options));
    options.dataset = images;
    options.augmenter = j->augmenter;
    options.batch_size = JUDGE_BATCH;
    OK(sslcv_loader_create(j->context, &options, &loader));
    OK(sslcv_tape_create(j->context, &tape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = SSLCV_PASS_TRAIN;
    batch.struct_size = sizeof batch;
    do {
        OK(sslcv_loader_next(loader, &batch));
        for (i = 0; i < j->num_networks; i++) {
            OK(sslcv_loader_get_views(loader, &j->views[i], 1, &views));
            OK(sslcv_backbone_forward(j->backbones[i], &views, &pass, tape));
        }
    } while (batch.index + 1 < batch.count);
    sslcv_tape_destroy(tape);
    sslcv_loader_destroy(loader);
}

/* Rows (networks, positions, D) become (networks, D): the mean over a view's patches. */
static inline void pool_patches(const judged *j, embedded *x)
{
    const int64_t rows = x->features.shape[0], wide = x->features.shape[1];
    sslcv_backbone_info info = {.struct_size = sizeof info};
    float *values = x->features.data;
    int64_t dim = 0, positions, n, k, p, d;

    for (k = 0; k < j->num_networks; k++) {
        OK(sslcv_backbone_get_info(j->backbones[k], &info));
        dim = info.feature_dim;
        if (wide == j->num_networks * dim) return;
    }
    positions = wide / (j->num_networks * dim); /* networks of one width */
    for (n = 0; n < rows * j->num_networks; n++) {
        for (d = 0; d < dim; d++) {
            double sum = 0.0;

            for (p = 0; p < positions; p++) sum += (double)values[(n * positions + p) * dim + d];
            values[n * dim + d] = (float)(sum / (double)positions); /* never ahead of what is read */
        }
    }
    ck_assert(wide == positions * j->num_networks * dim);
    OK(sslcv_tensor_init(&x->features, SSLCV_F32, values, 2, (int64_t[]){rows, j->num_networks * dim}));
}

static inline embedded judge_embed(const judged *j, sslcv_dataset *images)
{
    sslcv_embed_options options;
    embedded x = {{0}, NULL};

    OK(sslcv_embed_options_init(&options, sizeof options));
    options.dataset = images;
    options.augmenter = j->augmenter;
    options.branches = j->pointers;
    options.num_branches = j->num_networks;
    OK(sslcv_embed(&options, &x.features, NULL)); /* data is NULL: asks for the shape */
    x.features.data = malloc((size_t)(x.features.shape[0] * x.features.shape[1]) * sizeof(float));
    x.labels = malloc((size_t)x.features.shape[0] * sizeof *x.labels);
    ck_assert(x.features.data != NULL && x.labels != NULL);
    OK(sslcv_embed(&options, &x.features, x.labels));
    pool_patches(j, &x);
    return x;
}

/**
 * Softmax regression on standardised features with all labels of train: 1/2 |W|^2 + C (sum of the losses) with C = 0.1,
 * which divided by C n is the mean loss with weight decay 1 / (C n).
 */
static inline double judge(const judged *j, sslcv_dataset *train, sslcv_dataset *test)
{
    embedded a = judge_embed(j, train), b = judge_embed(j, test);
    sslcv_metrics metrics = {.struct_size = sizeof metrics};
    sslcv_tensor scores = {0};
    sslcv_schedule rate;
    sslcv_probe_options options;
    sslcv_probe *probe;

    OK(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, 0.03));
    OK(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_LINEAR));
    options.standardize = SSLCV_STANDARDIZE_SPREAD;
    options.learning_rate = &rate;
    options.epochs = 100;
    options.weight_decay = 10.0 / (double)a.features.shape[0];
    options.seed = 1;
    OK(sslcv_probe_create(j->context, &options, &probe));
    OK(sslcv_probe_fit(probe, &a.features, a.labels));
    OK(sslcv_probe_predict(probe, &b.features, &scores)); /* data is NULL: asks for the shape */
    scores.data = malloc((size_t)(scores.shape[0] * scores.shape[1]) * sizeof(float));
    ck_assert(scores.data != NULL);
    OK(sslcv_probe_predict(probe, &b.features, &scores));
    OK(sslcv_metrics_compute(j->context, &scores, b.labels, &metrics, NULL));
    sslcv_probe_destroy(probe);
    free(scores.data);
    free(a.features.data);
    free(b.features.data);
    free(a.labels);
    free(b.labels);
    return 100.0 * metrics.top1;
}

#endif
