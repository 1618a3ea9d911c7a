/** What learning.c runs: rows of a table. */
#ifndef SSLCV__LEARNING_H
#define SSLCV__LEARNING_H

#include "bench.h"

enum { LEARNING_BATCH = 256, LEARNING_MAX_FEATURES = 4 };

/** One part of the features: a view of the plain views, through the backbone of a branch. */
typedef struct learning_feature {
    int64_t branch, view;
} learning_feature;

/**
 * One experiment. Epochs and batch are the same for all and not among the settings, nor is the width but where a method
 * has several networks. Settings make a run like its reference's, or have sizes of heads that suit 128 features.
 */
typedef struct learning_row {
    const char *name, *method, *settings;
    const char *reference; /* file of a PyTorch curve; NULL: there is none */
    const char *plain;     /* preset of the views that are judged; NULL: "eval-cifar". Of patches the mean */
    int64_t num_features;  /* 0: one, the first view through the backbone of branch 0 */
    learning_feature features[LEARNING_MAX_FEATURES];
    int untrained; /* 1: judged as it begins */
} learning_row;

/*
 * Reference: width 16/64 of a ResNet-18, batches of 256, 390 steps, learning rates for that batch. The presets "cifar"
 * have its rates, decays, views and norms; heads are made narrower as there.
 */
static const learning_row learning_rows[] = {
    {.name = "random", .method = "supervised", .settings = "", .untrained = 1},
    {.name = "supervised", .method = "supervised", .settings = "", .reference = "supervised.json"},
    {.name = "simclr", .method = "simclr", .settings = "", .reference = "simclr.json"},
    {.name = "moco-v1", .method = "moco-v1", .settings = "learning_rate=0.12"},
    {.name = "moco-v2", .method = "moco-v2", .settings = "symmetric=no", .reference = "moco.json"},
    {.name = "swav", .method = "swav", .settings = "prototypes=512", .reference = "swav.json"},
    {.name = "swav-100", .method = "swav", .settings = "prototypes=100", .reference = "swav_p100.json"},
    {.name = "byol", .method = "byol", .settings = "hidden_dim=256 out_dim=128", .reference = "byol.json"},
    {.name = "simsiam",
     .method = "simsiam",
     .settings = "hidden_dim=512 out_dim=512 predictor_dim=128",
     .reference = "simsiam.json"},
    {.name = "barlow-twins", .method = "barlow-twins", .settings = "hidden_dim=512 out_dim=512"},
    {.name = "vicreg", .method = "vicreg", .settings = "hidden_dim=512 out_dim=512 warmup_epochs=1"},
    {.name = "cpc",
     .method = "cpc",
     .settings = "architecture=resnet18 learning_rate=2e-4 schedule=cosine stem=cifar stages=5 norm=none context=residual "
                 "context_layers=4 hidden_dim=64 first_offset=2 last_offset=4 negatives=16 reduction=mean",
     .reference = "cpc.json",
     .plain = "cpc-eval-cifar"},
    {.name = "cpc-v2",
     .method = "cpc-v2",
     .settings = "architecture=resnet18 learning_rate=2e-4",
     .plain = "cpc-v2-eval-cifar"},
    {.name = "cmc",
     .method = "cmc",
     .settings = "width=0.125 loss=nce temperature=0.07 learning_rate=0.03 bank_momentum=0.5",
     .reference = "cmc.json",
     .plain = "cmc-eval-cifar",
     .num_features = 2,
     .features = {{0, 1}, {1, 2}}},
    {.name = "cmc-softmax",
     .method = "cmc",
     .settings = "width=0.125 bank_momentum=0.5",
     .reference = "cmc_softmax.json",
     .plain = "cmc-eval-cifar",
     .num_features = 2,
     .features = {{0, 1}, {1, 2}}},
    {.name = "cmc-0.9",
     .method = "cmc",
     .settings = "width=0.125",
     .plain = "cmc-eval-cifar",
     .num_features = 2,
     .features = {{0, 1}, {1, 2}}},
    {.name = "pirl", .method = "pirl", .settings = "decay=all", .reference = "pirl.json"},
    {.name = "pirl-0.12",
     .method = "pirl",
     .settings = "decay=all learning_rate=0.12",
     .reference = "pirl_lr0.12.json"},
    {.name = "deepcluster", .method = "deepcluster", .settings = "clusters=50"},
    {.name = "deepcluster-v2",
     .method = "deepcluster-v2",
     .settings = "prototypes=300 warmup_epochs=1 hidden_dim=0"},
    {.name = "dino", .method = "dino", .settings = "hidden_dim=512 out_dim=128 prototypes=512"},
};

enum { LEARNING_ROWS = sizeof learning_rows / sizeof learning_rows[0] };

/** NULL: no such row. */
static inline const learning_row *learning_find(const char *name)
{
    int i;

    for (i = 0; i < LEARNING_ROWS; i++) {
        if (strcmp(learning_rows[i].name, name) == 0) return &learning_rows[i];
    }
    return NULL;
}

static inline int64_t learning_num_features(const learning_row *row)
{
    return row->num_features ? row->num_features : 1;
}

#endif
