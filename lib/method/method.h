/**
 * Recipes inside: a table of settings and a function that composes a trainer with public calls only.
 *
 *     method.c    the public calls
 *     settings.c  "name=value" texts against a table
 *     parts.c     what recipes share: networks, optimizer, schedules, the trainer
 *     bank.c      the bank loss of CMC and PIRL
 *     classifier.c  what recipes that learn from labels share
 *     simclr.c    one recipe a file ...
 *     deepcluster_labels.c  the hook of "deepcluster"
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

struct sslcv__recipe;

typedef struct sslcv__method {
    const char           *name;
    const sslcv__setting *settings;
    int64_t               num_settings;
    sslcv_status (*compose)(struct sslcv__recipe *recipe); /* after sslcv__recipe_begin(); makes recipe->trainer */
} sslcv__method;

extern const sslcv__method sslcv__method_simclr;
extern const sslcv__method sslcv__method_moco_v1;
extern const sslcv__method sslcv__method_moco_v2;
extern const sslcv__method sslcv__method_byol;
extern const sslcv__method sslcv__method_simsiam;
extern const sslcv__method sslcv__method_swav;
extern const sslcv__method sslcv__method_barlow_twins;
extern const sslcv__method sslcv__method_vicreg;
extern const sslcv__method sslcv__method_dino;
extern const sslcv__method sslcv__method_cpc;
extern const sslcv__method sslcv__method_cpc_v2;
extern const sslcv__method sslcv__method_cmc;
extern const sslcv__method sslcv__method_pirl;
extern const sslcv__method sslcv__method_deepcluster;
extern const sslcv__method sslcv__method_deepcluster_v2;
extern const sslcv__method sslcv__method_supervised;
extern const sslcv__method sslcv__method_finetune;

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

/** 1: the host has set it; else 0. */
int sslcv__settings_given(const sslcv__settings *settings, const char *name);
/** The host's settings, and where it has set nothing those of a text of the recipe's own, which count as not given. */
sslcv_status sslcv__settings_under(const sslcv__method *method, const sslcv__settings *host, const char *text,
                                   sslcv__settings *settings);

/* ---- parts.c ---- */

enum { SSLCV__RECIPE_HEADS = 8, SSLCV__RECIPE_ENCODERS = 8, SSLCV__RECIPE_VIEWS = 64, SSLCV__RECIPE_BACKBONE = -1 };

/** Parts of a recipe that draw: the k of sslcv__recipe_seed(). */
enum { SSLCV__SEED_BACKBONE = 0, SSLCV__SEED_HEAD = 1, SSLCV__SEED_RUN = 2, SSLCV__SEED_HEADS = 3, SSLCV__SEED_LOSS = 16,
       SSLCV__SEED_ENCODERS = 32 };

/**
 * A recipe in the making. sslcv_method_create() begins it, the method composes, and what is left is freed again.
 *
 *     begin      run and learning_rate, from the settings that all recipes have
 *     compose    loss, optimizer, rate, augmenter, backbone, heads: in any order, but what fails soonest first
 *                then the trainer, its branches and losses
 */
typedef struct sslcv__recipe {
    sslcv_context              *context; /* this and the next two are borrowed */
    const sslcv_method_options *options;
    const sslcv__settings      *settings;
    int32_t                     is_cifar;      /* the preset; else "imagenet" */
    int32_t                     reserved;
    sslcv_trainer_options       run;           /* of the trainer; a recipe may set more before it makes one */
    sslcv_schedule              rate, decay, ema; /* where run points */
    double                      learning_rate; /* as set, not yet scaled */
    int64_t                     feature_dim;   /* of the backbone */
    int64_t                     channels;      /* of the views, set before a backbone is made; 0: those of the images */
    int64_t                     num_views;     /* of the augmenter; 0: there is none */
    int64_t                     views[SSLCV__RECIPE_VIEWS]; /* 0, 1 .. */
    sslcv_backbone             *backbone;      /* from here on references */
    sslcv_backbone             *encoders[SSLCV__RECIPE_ENCODERS]; /* instead of it, where there are several */
    sslcv_head                 *heads[SSLCV__RECIPE_HEADS];
    sslcv_loss                 *loss;
    sslcv_augmenter            *augmenter;
    sslcv_optimizer            *optimizer;
    sslcv_trainer              *trainer;
} sslcv__recipe;

sslcv_status sslcv__recipe_begin(sslcv_context *context, const sslcv_method_options *options,
                                 const sslcv__settings *settings, sslcv__recipe *recipe);
void sslcv__recipe_free(sslcv__recipe *recipe);

/** The seed of the k-th part of a recipe: 0 stays 0, which draws from the context. */
uint64_t sslcv__recipe_seed(const sslcv_method_options *options, uint64_t k);

/** Steps of an epoch: whole batches of the data set, or as set. */
sslcv_status sslcv__recipe_epoch_steps(const sslcv__recipe *recipe, int64_t *steps);

/** Steps of the first "freeze_epochs" epochs, in which prototypes rest; 0 where an epoch's length is not known. */
sslcv_status sslcv__recipe_freeze_steps(const sslcv__recipe *recipe, int64_t *steps);

/** The host's augmenter, or one with the views of a preset of augment.h; none without data set. */
sslcv_status sslcv__recipe_augment(sslcv__recipe *recipe, const char *cifar, const char *imagenet);

/** Views that take part, "crops" of them; 0: all that there are, or without an augmenter the preset's number. */
sslcv_status sslcv__recipe_crops(const sslcv__recipe *recipe, int64_t cifar, int64_t imagenet, int64_t *crops);

/** The host's backbone, or a new one. */
sslcv_status sslcv__recipe_backbone(sslcv__recipe *recipe, int32_t zero_init_residual);

/** Defaults, and architecture, width, channels as set; then a new backbone of what the recipe has made of them. */
sslcv_status sslcv__recipe_backbone_options(const sslcv__recipe *recipe, sslcv_backbone_options *backbone);
sslcv_status sslcv__recipe_make_backbone(sslcv__recipe *recipe, const sslcv_backbone_options *backbone);

/** Defaults, from the features to "hidden_dim" and "out_dim" as set. */
sslcv_status sslcv__recipe_mlp_options(const sslcv__recipe *recipe, sslcv_mlp_options *mlp);
sslcv_status sslcv__recipe_head_layers(const sslcv__recipe *recipe, sslcv_mlp_options *mlp);

/** heads[slot], with the seed of that slot. */
sslcv_status sslcv__recipe_mlp(sslcv__recipe *recipe, sslcv_mlp_options *mlp, int64_t slot);

/** The optimizer, with "weight_decay" and, but for Adam, "momentum" as set. */
sslcv_status sslcv__recipe_optimizer(sslcv__recipe *recipe, sslcv_optimizer_options *optimizer);

/** Put tensors of heads[slot], or with SSLCV__RECIPE_BACKBONE of that, into a group of their own. */
sslcv_status sslcv__recipe_group(sslcv__recipe *recipe, int64_t slot, int32_t roles,
                                 const sslcv_optimizer_group *group);

/** rate: learning_rate, for so many images a step (0: for any number), after "warmup_epochs". */
sslcv_status sslcv__recipe_rate(sslcv__recipe *recipe, int32_t kind, int64_t images);

/** The share "end_rate" of the rate is left at the end. */
sslcv_status sslcv__recipe_end_rate(sslcv__recipe *recipe);

/** Momentum copies: ema is "ema_momentum"; or, where the table has "ema_schedule" and that is cosine, rises to 1. */
sslcv_status sslcv__recipe_ema(sslcv__recipe *recipe, int32_t when);

/** The trainer, without branches. */
sslcv_status sslcv__recipe_trainer(sslcv__recipe *recipe);

/**
 * Set a branch: num_views views from first_view on, through the backbone and the first num_heads heads. To be changed,
 * and then added by sslcv_trainer_add_branch().
 */
sslcv_status sslcv__recipe_branch(sslcv__recipe *recipe, int64_t first_view, int64_t num_views, int64_t num_heads,
                                  sslcv_branch *branch);

/** The trainer, one branch of the first views through backbone and first head, and the loss on that. */
sslcv_status sslcv__recipe_finish(sslcv__recipe *recipe, int64_t num_views, int32_t grouping);

/* ---- classifier.c ---- */

/**
 * "classes" as set, or as the data set has.
 *
 * @return SSLCV_ERR_LIMIT (no labels, or fewer classes than the data set has); SSLCV_ERR_INVALID_ARGUMENT (below 2).
 */
sslcv_status sslcv__recipe_classes(const sslcv__recipe *recipe, int64_t *classes);

/** heads[0]: one linear layer behind the features. init_std: as in sslcv_mlp_options. */
sslcv_status sslcv__recipe_classifier(sslcv__recipe *recipe, int64_t classes, double init_std);

/* ---- bank.c ---- */

/**
 * A bank loss by "loss", "temperature", "negatives", "bank_size", "bank_momentum", "exclude_self" and "out_dim", with a
 * row for each sample of the data set.
 *
 * @param options Defaults, and what the method alone knows: pairing, inputs, Z, first rows.
 * @return SSLCV_ERR_LIMIT (a bank smaller than the data set, or none known to make it for).
 */
sslcv_status sslcv__recipe_bank(sslcv__recipe *recipe, sslcv_nce_bank_options *options);

/** Rows of the settings that all recipes have. */
#define SSLCV__SETTINGS_RUN                                                                                            \
    {"steps_per_epoch", {"0", "0"}, "without a data set: steps that make an epoch"},                                   \
        {"prefetch", {"2", "2"}, "batches made ahead"},                                                                \
        {"memory_budget", {"0", "0"}, "MiB of the whole training; 0: no limit; see sslcv_trainer_options"},            \
        {"micro_batch", {"0", "0"}, "images a pass, with gradient caching; 0: the batch, or as the budget asks"},      \
    {                                                                                                                  \
        "checkpoint_epochs", {"1", "1"}, "epochs between checkpoints; 0: at the end only"                              \
    }

/** Rows that recipes with one ResNet have in common. Defaults of the two presets in turn. */
#define SSLCV__SETTINGS_COMMON(cifar, imagenet)                                                                        \
    {"architecture", {cifar, imagenet}, "resnet18, resnet34, resnet50 or resnet101; He et al. 2016; or alexnet"},      \
        {"width", {"1", "1"}, "factor on the channels of the backbone"},                                               \
        {"channels", {"0", "0"}, "of the images; 0: as the data set has, 3 where that is not known"},                  \
        SSLCV__SETTINGS_RUN

#endif
