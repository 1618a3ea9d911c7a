/** How learning.c judges features: k-NN and linear probes, on plain images. */
#ifndef SSLCV__LEARNING_JUDGE_H
#define SSLCV__LEARNING_JUDGE_H

#include "learning.h"

enum { LEARNING_SHARES = 3 };

static const double learning_regression_c = 0.1;
static const double learning_presentations = 1e6; /* of labelled rows to each linear probe */

/** Where features come from. Handles are borrowed but for augmenter and backbones. */
typedef struct learning_judge {
    sslcv_context *context;
    sslcv_dataset *train, *test;
    sslcv_augmenter *plain;
    sslcv_backbone *backbones[LEARNING_MAX_FEATURES];
    sslcv_branch branches[LEARNING_MAX_FEATURES];
    const sslcv_branch *listed[LEARNING_MAX_FEATURES];
    int64_t views[LEARNING_MAX_FEATURES];
    int64_t num_branches;
} learning_judge;

/** All features of a set, and its labels. */
typedef struct learning_features {
    sslcv_tensor rows;
    int64_t *labels;
    int64_t count;
} learning_features;

static inline void learning_free_judge(learning_judge *j)
{
    int i;

    for (i = 0; i < LEARNING_MAX_FEATURES; i++) sslcv_backbone_destroy(j->backbones[i]);
    sslcv_augmenter_destroy(j->plain);
}

static inline void learning_free_features(learning_features *x)
{
    free(x->labels);
    free(x->rows.data);
}

static inline sslcv_status learning_make_judge(sslcv_trainer *trainer, const learning_row *row, learning_judge *j)
{
    int64_t i;
    sslcv_status status;

    TRY(sslcv_augmenter_create(j->context, &j->plain));
    TRY(sslcv_augmenter_add_preset(j->plain, row->plain ? row->plain : "eval-cifar", 0, NULL, NULL));
    j->num_branches = learning_num_features(row);
    for (i = 0; i < j->num_branches; i++) {
        TRY(sslcv_trainer_get_backbone(trainer, row->features[i].branch, 0, &j->backbones[i]));
        TRY(sslcv_branch_init(&j->branches[i], sizeof j->branches[i]));
        j->views[i] = row->features[i].view;
        j->branches[i].views = &j->views[i];
        j->branches[i].num_views = 1;
        j->branches[i].backbone = j->backbones[i];
        j->branches[i].flags = 0; /* evaluation */
        j->listed[i] = &j->branches[i];
    }
end:
    return status;
}

/* ---- features ---- */

static inline sslcv_status learning_embed(const learning_judge *j, sslcv_dataset *dataset, learning_features *out)
{
    sslcv_embed_options options;
    sslcv_status status;

    TRY(sslcv_embed_options_init(&options, sizeof options));
    options.dataset = dataset;
    options.augmenter = j->plain;
    options.branches = j->listed;
    options.num_branches = j->num_branches;
    options.mean_positions = 1; /* of patches */
    TRY(sslcv_embed(&options, &out->rows, NULL)); /* data is NULL: asks for the shape */
    out->count = out->rows.shape[0];
    out->rows.data = malloc((size_t)(out->count * out->rows.shape[1]) * sizeof(float));
    out->labels = malloc((size_t)out->count * sizeof *out->labels);
    if (!out->rows.data || !out->labels) return SSLCV_ERR_OUT_OF_MEMORY;
    TRY(sslcv_embed(&options, &out->rows, out->labels));
end:
    return status;
}

/** Both sets; to be freed whatever happens. */
static inline sslcv_status learning_embed_both(const learning_judge *j, learning_features *train,
                                               learning_features *test)
{
    const sslcv_status status = learning_embed(j, j->train, train);

    return status == SSLCV_OK ? learning_embed(j, j->test, test) : status;
}

/* ---- probes ---- */

/* A label of -1 keeps a row out of the fit. */
static inline sslcv_status learning_score(const learning_judge *j, const sslcv_probe_options *options,
                                          const learning_features *train, const int64_t *labels,
                                          const learning_features *test, double *top1)
{
    sslcv_metrics metrics = {.struct_size = sizeof metrics};
    sslcv_tensor scores = {0};
    sslcv_probe *probe = NULL;
    sslcv_status status;

    TRY(sslcv_probe_create(j->context, options, &probe));
    TRY(sslcv_probe_fit(probe, &train->rows, labels));
    TRY(sslcv_probe_predict(probe, &test->rows, &scores)); /* data is NULL: asks for the shape */
    scores.data = malloc((size_t)(scores.shape[0] * scores.shape[1]) * sizeof(float));
    status = SSLCV_ERR_OUT_OF_MEMORY;
    if (!scores.data) goto end;
    TRY(sslcv_probe_predict(probe, &test->rows, &scores));
    TRY(sslcv_metrics_compute(j->context, &scores, test->labels, &metrics, NULL));
    *top1 = 100.0 * metrics.top1;
end:
    free(scores.data);
    sslcv_probe_destroy(probe);
    return status;
}

static inline sslcv_status learning_knn(const learning_judge *j, const learning_features *train,
                                        const learning_features *test, double *top1)
{
    sslcv_probe_options options;
    sslcv_status status;

    TRY(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_KNN));
    options.neighbors = 200;
    options.temperature = 0.1;
    TRY(learning_score(j, &options, train, train->labels, test, top1));
end:
    return status;
}

/** Of num_rows rows that have a label. */
static inline sslcv_status learning_linear(const learning_judge *j, const learning_features *train,
                                           const int64_t *labels, int64_t num_rows, const learning_features *test,
                                           double *top1)
{
    sslcv_schedule rate;
    sslcv_probe_options options;
    sslcv_status status;

    TRY(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, 0.03));
    TRY(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_LINEAR));
    options.standardize = SSLCV_STANDARDIZE_SPREAD;
    options.learning_rate = &rate;
    options.epochs = (int64_t)(learning_presentations / (double)num_rows) + 1;
    options.weight_decay = 1.0 / (learning_regression_c * (double)num_rows);
    options.seed = 1;
    TRY(learning_score(j, &options, train, labels, test, top1));
end:
    return status;
}

/* ---- which labels ---- */

/* Rows listed in FOLDER/labels_NAME.txt. Returns how many; 0: no such file, or it is for a larger set. */
static inline int64_t learning_listed_rows(const char *folder, const char *name, int64_t *rows, int64_t capacity)
{
    char path[4096];
    int64_t count = 0;
    long long row;
    FILE *file;

    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/labels_%s.txt", folder, name);
    file = fopen(path, "r");
    if (!file) return 0;
    while (count >= 0 && fscanf(file, "%lld", &row) == 1) {
        if (row >= 0 && row < capacity && count < capacity) {
            rows[count++] = row;
        } else {
            count = -1;
        }
    }
    fclose(file);
    return count < 0 ? 0 : count;
}

static inline sslcv_status learning_drawn_rows(sslcv_dataset *dataset, double share, int64_t *rows, int64_t capacity,
                                               int64_t *count)
{
    sslcv_split_options options;
    sslcv_status status;

    TRY(sslcv_split_options_init(&options, sizeof options));
    options.fraction = share;
    TRY(sslcv_dataset_split(dataset, &options, rows, capacity, count));
end:
    return status;
}

static inline void learning_keep_rows(const int64_t *labels, int64_t count, const int64_t *rows, int64_t num_rows,
                                      int64_t *kept)
{
    int64_t i;

    for (i = 0; i < count; i++) kept[i] = -1;
    for (i = 0; i < num_rows; i++) kept[rows[i]] = labels[rows[i]];
}

#endif
