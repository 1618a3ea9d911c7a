/**
 * @file trainer.h
 * The trainer: branches, losses and an optimizer, stepped over a data set.
 *
 * A branch is the one notion by which a method is composed: these views go through this backbone, then through these
 * heads, with or without gradient, as themselves or as momentum (EMA) copies. A branch may also start from the output
 * of an earlier one. A loss names the branches that are its inputs.
 *
 *     SimCLR            0: {0, 1} -> b -> proj                              loss(0)
 *     supervised        0: {0} -> b -> classifier                           loss(0), labels
 *     SimCLR, watched   0: {0, 1} -> b     1: branch 0 -> proj              loss(1)
 *                                          2: branch 0, detached -> cls     loss(2), labels
 *     MoCo              0: {0} -> b -> proj   1: {1} -> EMA b -> EMA proj   loss(0, 1)
 *     SimSiam           0: {0, 1} -> b -> proj     1: branch 0 -> pred      loss(1, 0)
 *     PIRL              0: {0} -> b -> f      1: {1: 9 patches} -> b -> g   loss(0, 1)
 *
 * Three levels: a recipe (method.h) makes a trainer; a trainer is composed by hand here; or the host does without,
 * with sslcv_backbone_forward(), sslcv_loss_compute(), sslcv_tape_backward() and sslcv_optimizer_step(). All give the
 * same numbers.
 *
 * A checkpoint is the trainer's state: sslcv_trainer_get_state(), then sslcv_state_save() or sslcv_state_load() between
 * steps. It holds everything that an exact resume needs. A trainer may be fed by run(), by step(), or by both in turn.
 */
#ifndef SSLCV_TRAINER_H
#define SSLCV_TRAINER_H

#include "backbone.h"
#include "dataset.h"
#include "head.h"
#include "loss.h"
#include "optim.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_trainer sslcv_trainer;

enum { SSLCV_SOURCE_VIEWS = -1 };

/** How the views of a branch are put through a network: what batch norm sees together. */
enum sslcv_grouping {
    SSLCV_GROUPING_JOINED  = 0, /* views of one shape in one pass, and in heads all views in one pass (SimCLR, SwAV) */
    SSLCV_GROUPING_BY_VIEW = 1  /* each view in a pass of its own (BYOL, SimSiam, Barlow Twins, VICReg) */
};

/**
 * One branch. Its output has the axes (V, N, P, D): its views in their order, samples, positions, dimensions. P is the
 * view's number of patches, times the pixels of the map with SSLCV_PASS_MAP; heads may make another P. Gradients that
 * come back from several losses and branches add up. Networks may serve several branches. A branch that no loss and no
 * other used branch needs is not run; with momentum set, its copies still follow: a running average of the weights for
 * evaluation.
 */
typedef struct sslcv_branch {
    size_t             struct_size;
    int64_t            source;        /* SSLCV_SOURCE_VIEWS (default), or an earlier branch whose output goes through
                                         the heads; views, backbone, stage and flags MAP are then that branch's */
    const int64_t     *views;         /* num_views view indices; all must lead to equal P and D; copied */
    int64_t            num_views;     /* 1 .. 64; 0 with a source */
    sslcv_backbone    *backbone;      /* kept alive; NULL: heads see the pixels, D = C * H * W */
    sslcv_head *const *heads;         /* num_heads, in order; kept alive; copied */
    int64_t            num_heads;     /* default 0 */
    const char        *stage;         /* as in sslcv_pass; copied */
    int32_t            flags;         /* sum of SSLCV_PASS_TRAIN, GRADIENT, SHUFFLE, MAP; default TRAIN + GRADIENT */
    int32_t            bn_splits;     /* as in sslcv_pass, for all networks of the branch; default 1 */
    int32_t            grouping;      /* SSLCV_GROUPING_JOINED (default) or BY_VIEW: passes through the backbone */
    int32_t            head_grouping; /* passes through the heads; default JOINED */
    int32_t            momentum;      /* 1: through momentum copies of its networks, without gradient. The trainer
                                         makes one of each network when the composition is fixed; its parameters
                                         follow, its running statistics are its own where it is run with TRAIN, else
                                         those of its network. Default 0 */
    int32_t            detach;        /* 1: source's output is a constant to this branch (online classifier); default
                                         0 */
} sslcv_branch;

enum sslcv_ema_when {
    SSLCV_EMA_BEFORE_FORWARD = 0, /* before the branches run (MoCo) */
    SSLCV_EMA_AFTER_STEP     = 1  /* after the optimizer step, with the new weights (BYOL, DINO) */
};

typedef struct sslcv_trainer_options {
    size_t                struct_size;
    sslcv_dataset        *dataset;         /* kept alive; NULL: only sslcv_trainer_step_views() */
    sslcv_augmenter      *augmenter;       /* kept alive; NULL only without data set */
    sslcv_optimizer      *optimizer;       /* not NULL; kept alive */
    const sslcv_schedule *learning_rate;   /* not NULL; this and the next two are copied */
    const sslcv_schedule *weight_decay;    /* NULL (default): the optimizer's */
    const sslcv_schedule *ema_momentum;    /* of momentum copies: copy <- m * copy + (1 - m) * network, m 0 .. 1; NULL
                                              (default): constant 0.999 */
    const char           *checkpoint_path; /* run() saves here; NULL (default): it does not */
    int64_t               batch_size;      /* images a step; default 256 */
    int64_t               epochs;          /* default 200 */
    int64_t               steps_per_epoch; /* without a data set: >= 1; with one: 0 (default), the data set tells */
    int64_t               prefetch;        /* batches; default 2 */
    int64_t               memory_budget;   /* bytes: total of sslcv_memory stays within; 0 (default): no limit */
    int64_t               micro_batch;     /* images of the batch a pass, with all their views, and gradient caching
                                              over the whole batch; 0 (default): the whole batch, or less where
                                              memory_budget asks for it. Batch norm then sees micro-batches: exact only
                                              where it is frozen or absent */
    int64_t               checkpoint_epochs;  /* run() saves after every so many epochs; default 1; 0: at the end
                                                 only */
    double                checkpoint_seconds; /* and when so many have passed since the last; default 0: never */
    uint64_t              seed;            /* of order, augmentation, shuffling, dropout; 0: from the context */
    int32_t               sampler;         /* SSLCV_SAMPLER_*; default SHUFFLED */
    int32_t               drop_last;       /* default 1 */
    int32_t               ema_when;        /* SSLCV_EMA_*; default BEFORE_FORWARD */
    int32_t               ema_random_init; /* 1: momentum copies start from weights of their own (BYOL's code);
                                              default 0 */
    int32_t               resume;          /* 1: run() first loads checkpoint_path if it exists; default 0 */
    int32_t               generations;     /* earlier checkpoints kept; default 1 */
} sslcv_trainer_options;

enum sslcv_event {
    SSLCV_EVENT_EPOCH_BEGIN = 1, /* before an epoch's first step; then sslcv_loss_begin_epoch(), then its order is
                                    drawn. Told again when a hook has stopped while sslcv_context_cancel() was on */
    SSLCV_EVENT_STEP        = 2, /* after a step */
    SSLCV_EVENT_EPOCH_END   = 4, /* after an epoch's last step, before the checkpoint */
    SSLCV_EVENT_COLLAPSE    = 8  /* after a step: embedding_std has fallen below 0.1, or in all epochs so far has never
                                    been above it; at most once an epoch */
};

typedef struct sslcv_progress {
    size_t  struct_size;
    int32_t event;             /* one SSLCV_EVENT_* */
    int32_t reserved;
    int64_t step, num_steps;   /* steps done, steps of the whole run */
    int64_t epoch, num_epochs; /* current epoch from 0, epochs of the run */
    double  loss;              /* of this step: sum of weight * value; at epoch events the epoch's mean */
    double  learning_rate;     /* of this step */
    double  embedding_std;     /* mean per-dimension spread of the first loss input, times sqrt(D): 1 is healthy, 0
                                  collapsed */
    double  images_per_second; /* over the last 20 steps */
    double  seconds;           /* since the run or its resumption began */
    double  seconds_left;      /* estimate; 0 when unknown */
} sslcv_progress;

/** One batch that the host made: its views, and what losses take beside them. */
typedef struct sslcv_view_batch {
    size_t              struct_size;
    const sslcv_tensor *views;     /* num_views arrays (N * P, C, H, W), f32, any strides, by view index, equal N, the
                                      patches of a sample one behind the other. Those that no branch uses may have data
                                      NULL */
    int64_t             num_views; /* >= the highest view index used by a branch, plus 1 */
    const int64_t      *patches;   /* num_views numbers P; NULL (default): 1 each */
    const int64_t      *ids;       /* N sample indices; NULL (default) if no loss needs them */
    const int64_t      *labels;    /* N labels, -1: none; NULL (default) if no loss needs them, or with targets */
    const sslcv_tensor *targets;   /* (N, C) dense f32, soft targets instead of labels (mixup, several labels an image)
                                      for losses that need either; NULL (default): none, and always with labels */
} sslcv_view_batch;

/**
 * Something of the host that happens during training. Called on the thread inside step() or run(). It may call anything
 * but what steps, composes or loads the same trainer (SSLCV_ERR_STATE).
 */
typedef struct sslcv_hook {
    size_t  struct_size;
    void   *user;
    /** progress: valid during the call. Non-zero: stop after this event, with SSLCV_ERR_CANCELLED. */
    int32_t (*call)(void *user, sslcv_trainer *trainer, const sslcv_progress *progress);
    void    (*destroy)(void *user); /* when the trainer is gone; may be NULL. A user that owns a reference of the
                                       trainer would keep it for ever */
    int64_t every;                  /* >= 1; default 1. EPOCH_BEGIN: before epochs 0, every ...; STEP and EPOCH_END:
                                       after every so many; COLLAPSE: each time */
    int32_t events;                 /* sum of SSLCV_EVENT_*; default STEP */
    int32_t reserved;               /* 0 */
} sslcv_hook;

typedef struct sslcv_memory {
    size_t  struct_size;
    int64_t parameters;  /* bytes, with running statistics */
    int64_t gradients;   /* of the parameters */
    int64_t optimizer;   /* momentum and the like */
    int64_t momentum_copies; /* of networks; of those asked for by sslcv_trainer_get_backbone(), _get_head(), with the
                                memory of their gradients */
    int64_t losses;      /* what they remember, and their working memory */
    int64_t activations; /* of all passes, with what is kept for backward */
    int64_t scratch;     /* of all passes, and the trainer's own, with what sslcv_trainer_keep_best() keeps */
    int64_t loader;      /* prefetched batches */
    int64_t total;       /* the sum */
    int64_t micro_batch; /* chosen: images a pass at most; the batch's: all in one */
    int64_t recomputed_stages; /* chosen: stages of which backward computes all but the ends of blocks again (results
                                  of batch norm are in any case) */
} sslcv_memory;

/* ---- compose ---- */

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_options_init(sslcv_trainer_options *options, size_t struct_size);

/**
 * Make a trainer without branches.
 *
 * @param context Not NULL.
 * @param options Not NULL.
 * @param trainer Out: owned.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (fewer samples than a batch with drop_last, or none).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_create(sslcv_context *context, const sslcv_trainer_options *options,
                                            sslcv_trainer **trainer);

/**
 * Give back the caller's reference; NULL is accepted.
 *
 * @param trainer NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_trainer_destroy(sslcv_trainer *trainer);

/**
 * Set the defaults.
 *
 * @param branch      Out: not NULL.
 * @param struct_size sizeof *branch as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_branch_init(sslcv_branch *branch, size_t struct_size);

/**
 * Append a branch. Branches run in this order.
 *
 * @param trainer Not NULL.
 * @param branch  Not NULL; its arrays are copied, its handles kept alive.
 * @param index   Out: its index, from 0; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such view, stage or source); SSLCV_ERR_STATE (the composition is fixed:
 *         a step was made, or the state asked for; or inside a hook).
 * @threads One thread at a time per trainer (so for all that follow).
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_add_branch(sslcv_trainer *trainer, const sslcv_branch *branch, int64_t *index);

/**
 * Append a loss. The total is the sum of weight * value; a branch may feed several losses. A loss may be appended
 * several times: its calls come in that order, its state is one.
 *
 * @param trainer      Not NULL.
 * @param loss         Kept alive.
 * @param branches     Branch of input 0, of input 1 ...
 * @param num_branches As many as the loss takes.
 * @param weight       Finite.
 * @param index        Out: its index, from 0; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such branch); SSLCV_ERR_STATE (the composition is fixed; or
 *         inside a hook).
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_add_loss(sslcv_trainer *trainer, sslcv_loss *loss, const int64_t *branches,
                                              int64_t num_branches, double weight, int64_t *index);

/**
 * Replace a loss, as that of a recipe by the host's own. Inputs and weight stay.
 *
 * @param trainer Not NULL.
 * @param index   From 0.
 * @param loss    Kept alive; takes as many inputs as the one before.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such loss); SSLCV_ERR_STATE (the composition is fixed; or inside a hook).
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_set_loss(sslcv_trainer *trainer, int64_t index, sslcv_loss *loss);

/**
 * Set the defaults.
 *
 * @param hook        Out: not NULL.
 * @param struct_size sizeof *hook as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_hook_init(sslcv_hook *hook, size_t struct_size);

/**
 * Append a hook: progress display, cancel, re-clustering, logging. Hooks run in this order, at any time of a run.
 *
 * @param trainer Not NULL.
 * @param hook    Copied.
 * @return SSLCV_OK; SSLCV_ERR_STATE (inside a hook). On failure hook->destroy is not called.
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_add_hook(sslcv_trainer *trainer, const sslcv_hook *hook);

/* ---- train ---- */

/**
 * One step on the next batch: views, branches, losses, backward, optimizer, momentum copies; then the hooks. The first
 * one makes all memory of the run; those that follow allocate nothing.
 *
 * @param trainer  Not NULL.
 * @param progress NULL, or in: struct_size; out: the rest.
 * @return SSLCV_OK; SSLCV_ERR_NUMERIC (loss or gradient not finite: no parameter, running statistic or optimizer slot
 *         has changed; the batch counts as a step, the next call takes the next one; with BEFORE_FORWARD, momentum
 *         copies have followed, and the next step does not make them follow again: so after any failure. A queue or
 *         bank may have remembered the batch, where its loss was computed before the failure);
 *         SSLCV_ERR_STATE (no loss yet; no data set; all epochs done; inside a hook);
 *         SSLCV_ERR_LIMIT (a batch too small for batch norm or the loss; or nothing fits memory_budget);
 *         SSLCV_ERR_IO, SSLCV_ERR_FORMAT (data set; the next call asks for the same batch again);
 *         SSLCV_ERR_CANCELLED (by the context: no step was made; by a hook: after the step it was told of).
 * @threads One thread at a time per trainer; trainers that share a network count as one.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_step(sslcv_trainer *trainer, sslcv_progress *progress);

/**
 * Set the defaults: no views, nothing beside them.
 *
 * @param batch       Out: not NULL.
 * @param struct_size sizeof *batch as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_view_batch_init(sslcv_view_batch *batch, size_t struct_size);

/**
 * One step on views that the host made. With a data set it stands for the batch whose turn it is.
 *
 * @param trainer  Not NULL.
 * @param batch    Not NULL; all that it leads to is borrowed for the call. targets go to each loss that needs labels,
 *                 and must have its C and its range; micro-batches cut the views, losses see all N rows. NaN or
 *                 infinity in targets is as one in the loss.
 * @param progress As in step().
 * @return As step().
 * @threads As step().
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_step_views(sslcv_trainer *trainer, const sslcv_view_batch *batch,
                                                sslcv_progress *progress);

/**
 * Step until all epochs are done, with hooks and checkpoints. A run that was stopped goes on where it was. A failed
 * step ends it with that step's status and without a checkpoint; the next run() goes on as step() would. So does a
 * checkpoint that cannot be written; the next run() first writes it.
 *
 * @param trainer   Not NULL.
 * @param max_steps Return SSLCV_OK after so many steps; 0: no such limit.
 * @return SSLCV_OK; SSLCV_ERR_CANCELLED (after a checkpoint, when there is a path); else as step(),
 *         sslcv_state_save() and, with resume, sslcv_state_load().
 * @threads As step().
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_run(sslcv_trainer *trainer, int64_t max_steps);

/**
 * Use other labels than the data set's from the next epoch on: pseudo-labels. Checkpoints keep them as "trainer.labels"
 * (2, count), those of this epoch and of the next, with SSLCV_SAMPLER_BY_CLASS always, else once labels were given. So
 * before such a checkpoint is loaded into a new trainer with another sampler, give it any.
 *
 * @param trainer Not NULL.
 * @param labels  One per sample, -1: none; copied. NULL: the data set's again.
 * @param count   Samples in the data set.
 * @return SSLCV_OK. Called at SSLCV_EVENT_EPOCH_BEGIN it holds for that epoch.
 *         SSLCV_ERR_STATE (no data set, or it has grown since labels were kept).
 * @threads One thread at a time per trainer.
 * @since   0.1 (DeepCluster)
 */
SSLCV_API sslcv_status sslcv_trainer_set_labels(sslcv_trainer *trainer, const int64_t *labels, int64_t count);

/**
 * Early choice: keep a copy of the networks as they are at the end of the epoch with the best metric so far. It is
 * looked at after all hooks of SSLCV_EVENT_EPOCH_END, and only where it is new. Of equals the first is kept; NaN never
 * is. Checkpoints hold the copy ("best."), so a trainer that loads one must have asked for it too.
 *
 * @param trainer  Not NULL.
 * @param metric   One of sslcv_trainer_get_metric(), such as "val.top1" of sslcv_classifier_watch(); copied. An epoch
 *                 without it is none of those to choose from.
 * @param smallest 0: the largest is best; 1: the smallest.
 * @return SSLCV_OK; SSLCV_ERR_STATE (the composition is fixed; or inside a hook).
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_keep_best(sslcv_trainer *trainer, const char *metric, int32_t smallest);

/**
 * Give the networks the weights and running statistics that were kept. Momentum copies, losses and the optimizer stay
 * as they are.
 *
 * @param trainer Not NULL.
 * @param value   Out: the metric of that epoch; may be NULL.
 * @param epoch   Out: the epoch, from 0; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_STATE (nothing kept: not asked for, or no epoch has ended with that metric; or inside a
 *         hook); SSLCV_ERR_OUT_OF_MEMORY (some networks may have theirs already; call again).
 * @threads As step().
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_take_best(sslcv_trainer *trainer, double *value, int64_t *epoch);

/* ---- look ---- */

/**
 * Memory that the run takes. Before the first step it is foretold: the composition is fixed from then on, and what
 * memory_budget asks for is decided; the activations' memory is not taken yet. After it, it is what is held.
 *
 * @param trainer Not NULL.
 * @param memory  In: struct_size. Out: the rest.
 * @return SSLCV_OK; SSLCV_ERR_STATE (no loss yet; or before the first step, and the shapes of the views are not known:
 *         no data set, or images of many sizes that no transform makes equal); SSLCV_ERR_LIMIT (nothing fits
 *         memory_budget, the message has the least that would; or a batch too small for batch norm).
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_get_memory(sslcv_trainer *trainer, sslcv_memory *memory);

/**
 * The composition as text for people and logs: branches with their networks, losses, optimizer, schedule; after the
 * first step also shapes and memory. Its wording may change.
 *
 * @param trainer Not NULL.
 * @param text    NULL asks for the size.
 * @param size    Bytes in text.
 * @param needed  Out: bytes, with the ending 0; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (size too small; nothing written).
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_describe(sslcv_trainer *trainer, char *text, int64_t size, int64_t *needed);

/**
 * Figures of the last step, to show or log: "loss", "loss.0", "loss.0.top1" (those of sslcv_loss_get_metric()),
 * "learning_rate", "ema_momentum" (with momentum copies), "embedding_std" and "embedding_cosine" (spread and mean
 * cosine of the rows of the first loss input, brought to unit length), and those of sslcv_trainer_set_metric().
 *
 * @param trainer Not NULL.
 * @param index   From 0.
 * @param name    Out: valid as long as the trainer.
 * @param value   Out.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (past the last).
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_get_metric(const sslcv_trainer *trainer, int64_t index, const char **name,
                                                double *value);

/**
 * Publish a figure under a name, for hooks that measure something.
 *
 * @param trainer Not NULL.
 * @param name    Copied. Refused: the trainer's own ("loss", "learning_rate", "ema_momentum", "embedding_std",
 *                "embedding_cosine") and all that begin with "loss.".
 * @param value   Any.
 * @return SSLCV_OK.
 * @threads One thread at a time per trainer; also inside hooks.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_set_metric(sslcv_trainer *trainer, const char *name, double value);

/**
 * Everything that a run is: networks ("backbone.0." ..., "head.0." ..., numbered as they first appear in the branches),
 * their momentum copies ("momentum.backbone.0." ..., "momentum.head.0." ..., with the numbers of their networks),
 * losses ("loss.0." ...), optimizer ("optimizer."), position and random keys ("trainer."). Fixes the composition. A
 * load takes only a checkpoint of a trainer composed alike; it also takes over the checkpoint's seed.
 *
 * @param trainer Not NULL.
 * @param state   Out: owned, keeps the trainer alive.
 * @return SSLCV_OK; SSLCV_ERR_STATE (no loss yet).
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_get_state(sslcv_trainer *trainer, sslcv_state **state);

/**
 * The backbone of a branch.
 *
 * @param trainer  Not NULL.
 * @param branch   Index.
 * @param momentum 1: its momentum copy, whichever branch is run through that; fixes the composition. 0: itself, also of
 *                 a branch that runs through the copy.
 * @param backbone Out: owned (a reference of the caller's own).
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such branch, or it has none, or no momentum copy); with momentum
 *         SSLCV_ERR_STATE (no loss yet).
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_get_backbone(sslcv_trainer *trainer, int64_t branch, int32_t momentum,
                                                   sslcv_backbone **backbone);

/**
 * A head of a branch.
 *
 * @param trainer  Not NULL.
 * @param branch   Index.
 * @param index    Of the head in the branch.
 * @param momentum As for backbones.
 * @param head     Out: owned.
 * @return As for backbones.
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_get_head(sslcv_trainer *trainer, int64_t branch, int64_t index, int32_t momentum,
                                               sslcv_head **head);

/**
 * A loss.
 *
 * @param trainer Not NULL.
 * @param index   From 0.
 * @param loss    Out: owned.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_trainer_get_loss(sslcv_trainer *trainer, int64_t index, sslcv_loss **loss);

#ifdef __cplusplus
}
#endif
#endif
