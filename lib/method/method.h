/**
 * Recipes inside: a table of settings and a function that composes a trainer with public calls only.
 *
 *     method.c    the public calls
 *     settings.c  "name=value" texts against a table
 *     parts.c     what recipes share: the backbone, the trainer
 *     simclr.c    one recipe a file ...
 */
#ifndef SSLCV__METHOD_H
#define SSLCV__METHOD_H

#include <sslcv/losses.h>
#include <sslcv/method.h>

#include "core/error.h"

enum { SSLCV__PRESET_CIFAR = 0, SSLCV__PRESET_IMAGENET = 1, SSLCV__NUM_PRESETS = 2, SSLCV__MAX_SETTINGS = 32 };

typedef struct sslcv__setting {
    const char *name;
    const char *initial[SSLCV__NUM_PRESETS]; /* as text */
    const char *meaning;                     /* with its source */
} sslcv__setting;

/** A table and the values that hold: the table's or the host's. */
typedef struct sslcv__settings {
    const char           *method;
    const sslcv__setting *table;
    int64_t               count;
    int32_t               preset;
    int32_t               reserved;
    struct {
        const char *text; /* borrowed; not ended by 0 */
        int64_t     length;
        int64_t     given; /* 1: by the host */
    } values[SSLCV__MAX_SETTINGS];
} sslcv__settings;

typedef struct sslcv__method {
    const char           *name;
    const sslcv__setting *settings;
    int64_t               num_settings;
    sslcv_status (*create)(sslcv_context *context, const sslcv_method_options *options,
                           const sslcv__settings *settings, sslcv_trainer **out);
} sslcv__method;

extern const sslcv__method sslcv__method_simclr;
extern const sslcv__method sslcv__method_supervised;

/* ---- settings.c ---- */

/**
 * Read texts such as "temperature=0.2 epochs=100".
 *
 * @param text Borrowed for as long as settings is used; NULL: nothing.
 * @return SSLCV_ERR_NOT_FOUND (no such name; the message lists them); SSLCV_ERR_INVALID_ARGUMENT.
 */
sslcv_status sslcv__settings_read(const sslcv__method *method, int32_t preset, const char *text,
                                  sslcv__settings *settings);

/** Values by name, checked. Ranges include both ends. A name that is not in the table gives SSLCV_ERR_NOT_FOUND. */
sslcv_status sslcv__settings_integer(const sslcv__settings *settings, const char *name, int64_t low, int64_t high,
                                     int64_t *value);
sslcv_status sslcv__settings_real(const sslcv__settings *settings, const char *name, double low, double high,
                                  double *value);
/** words: ended by NULL; value: index of the one that is given. */
sslcv_status sslcv__settings_word(const sslcv__settings *settings, const char *name, const char *const *words,
                                  int32_t *value);
/** SSLCV_ERR_INVALID_ARGUMENT when the host has set one of names (ended by NULL); why: "the backbone is given". */
sslcv_status sslcv__settings_refuse(const sslcv__settings *settings, const char *const *names, const char *why);

/* ---- parts.c ---- */

/** What a recipe is made of; handles are references. */
typedef struct sslcv__recipe {
    sslcv_backbone  *backbone;
    sslcv_head      *head;
    sslcv_loss      *loss;
    sslcv_augmenter *augmenter;
    sslcv_optimizer *optimizer;
    sslcv_trainer   *trainer;
    int64_t          feature_dim;
    int64_t          batch, epochs;
    double           learning_rate; /* as set, not yet scaled */
} sslcv__recipe;

void sslcv__recipe_free(sslcv__recipe *recipe);

/** The seed of the k-th part of a recipe: 0 stays 0, which draws from the context. */
uint64_t sslcv__recipe_seed(const sslcv_method_options *options, uint64_t k);

/** Batch, epochs, learning rate: the settings that all recipes have. First, as what is wrong is then soon told. */
sslcv_status sslcv__recipe_begin(const sslcv__settings *settings, sslcv__recipe *recipe);

/** The host's backbone, or a new one. */
sslcv_status sslcv__recipe_backbone(sslcv_context *context, const sslcv_method_options *options,
                                    const sslcv__settings *settings, int32_t zero_init_residual,
                                    sslcv__recipe *recipe);

/** The host's augmenter, or one with the views of a preset of augment.h; none without data set. */
sslcv_status sslcv__recipe_augment(sslcv_context *context, const sslcv_method_options *options,
                                   const sslcv__settings *settings, const char *preset, sslcv__recipe *recipe);

/** The trainer around the optimizer, and one branch: these views, through backbone and head, to the loss. */
sslcv_status sslcv__recipe_finish(sslcv_context *context, const sslcv_method_options *options,
                                  const sslcv__settings *settings, const sslcv_schedule *learning_rate,
                                  int64_t num_views, sslcv__recipe *recipe);

/** Rows that recipes have in common. Defaults of the two presets in turn. */
#define SSLCV__SETTINGS_COMMON(cifar, imagenet)                                                                        \
    {"architecture", {cifar, imagenet}, "resnet18, resnet34, resnet50 or resnet101; He et al. 2016"},                  \
        {"width", {"1", "1"}, "factor on the channels of the backbone"},                                               \
        {"channels", {"0", "0"}, "of the images; 0: as the data set has, 3 where that is not known"},                  \
        {"steps_per_epoch", {"0", "0"}, "without a data set: steps that make an epoch"},                               \
        {"prefetch", {"2", "2"}, "batches made ahead"},                                                                \
        {"memory_budget", {"0", "0"}, "MiB of the whole training; 0: no limit; see sslcv_trainer_options"},            \
        {"micro_batch", {"0", "0"}, "images a pass, with gradient caching; 0: the batch, or as the budget asks"},      \
    {                                                                                                                  \
        "checkpoint_epochs", {"1", "1"}, "epochs between checkpoints; 0: at the end only"                              \
    }

#endif
