/**
 * The trainer inside.
 *
 *     batch -> views -> branch: link (backbone) -> link (head) -> output (V, N, P, D) -> losses
 *                                                                  |  gradient: the sum over losses and branches
 *                       branch with a source <---------------------+
 *
 * A link is one network of a branch with its passes; a pass is one run of the network over some of the branch's views,
 * with a tape of its own. All memory is made by the first step and reused.
 *
 * The position in the run is (epoch, index): the batch that the next step takes. The loader is a servant of it: it is
 * sent there whenever it stands elsewhere, so a run that resumes, or that was fed by the host's views in between, sees
 * what the uninterrupted one sees.
 *
 *     trainer.c  composing, and what can be asked of the parts
 *     plan.c     what is fixed with the composition: who is used, who gets gradients, what a failed step must restore
 *     branch.c   branches forward and backward
 *     step.c     one step
 *     report.c   hooks, progress, metrics
 *     state.c    the trainer's state, which is the checkpoint
 *     describe.c the composition as text, memory
 *     run.c      the loop, written with public calls
 */
#ifndef SSLCV__TRAINER_H
#define SSLCV__TRAINER_H

#include <sslcv/trainer.h>

#include "core/object.h"
#include "nn/state.h"
#include "nn/variable.h"

enum { SSLCV__MAX_BRANCH_VIEWS = 64 };

/** Floats that only ever grow. */
typedef struct sslcv__buffer {
    float  *data;
    int64_t capacity;
} sslcv__buffer;

typedef struct sslcv__train_pass {
    sslcv_tape *tape;    /* made with the first forward */
    int64_t    *members; /* positions in the branch's list of views, ascending */
    int64_t     count;
} sslcv__train_pass;

typedef struct sslcv__link {
    sslcv_backbone    *backbone; /* one of the two; a reference */
    sslcv_head        *head;
    int64_t            num_passes; /* of this step */
    sslcv__train_pass *passes;     /* one for each view at most */
    sslcv_tensor       output;     /* (V, N, P, D) */
    sslcv__buffer      joined;     /* of output, where it is not a tape's */
    sslcv__buffer      split;      /* a pass's part of the gradient, where views do not lie together */
    sslcv__buffer      diff_input; /* gradient for the link before, where it is not a tape's */
} sslcv__link;

typedef struct sslcv__branch {
    int64_t       source;
    int64_t       num_views; /* also of a branch with a source: that one's */
    int64_t      *views;
    char         *stage;
    int32_t       flags;
    int32_t       grouping;
    int32_t       head_grouping;
    int32_t       detach;
    int64_t       num_links;
    sslcv__link  *links;
    sslcv__buffer pixels;       /* views of the host that must lie together */
    sslcv__buffer gradient;     /* with respect to the output */
    int32_t       used;         /* a loss or a used branch needs it */
    int32_t       learns;       /* gradients come back to it */
    int32_t       has_gradient; /* in this step: gradient holds a sum already */
    int32_t       reserved;
} sslcv__branch;

typedef struct sslcv__criterion {
    sslcv_loss    *loss;
    double         weight;
    int64_t        num_inputs;
    int64_t       *branches;
    sslcv_tensor  *inputs;
    sslcv_tensor  *diffs;
    sslcv__buffer *own;   /* gradients of inputs whose branch holds one already */
    double         value; /* of the last step */
} sslcv__criterion;

/** A network or loss of the composition, each once however often it is used. */
typedef struct sslcv__part {
    void        *handle; /* borrowed from branch or criterion */
    sslcv_state *state;  /* a window that this trainer keeps */
    int32_t      learns; /* belongs into the optimizer */
    int32_t      trains; /* its running statistics change in a step */
} sslcv__part;

typedef struct sslcv__parts {
    int64_t      count;
    sslcv__part *items;
} sslcv__parts;

typedef struct sslcv__metric {
    char   *name;
    double  value;
    double  noted; /* of the step under way: value when it succeeds */
    int32_t shown; /* has a value */
    int32_t host;  /* of sslcv_trainer_set_metric() */
} sslcv__metric;

enum { SSLCV__SPEED_WINDOW = 20 };

/** How fast: the last steps, as a ring. */
typedef struct sslcv__speed {
    double  seconds[SSLCV__SPEED_WINDOW];
    int64_t images[SSLCV__SPEED_WINDOW];
    int64_t count; /* steps seen */
    double  began; /* clock; < 0: not yet */
} sslcv__speed;

/** What of a step goes into progress and metrics. */
typedef struct sslcv__figures {
    double loss;
    double learning_rate;
    double spread;
    double cosine;
} sslcv__figures;

/** One batch, from the loader or from the host. */
typedef struct sslcv__feed {
    int64_t             size;
    const int64_t      *ids;
    const int64_t      *labels;
    const sslcv_tensor *views; /* of the host; NULL: the loader's current batch */
    int64_t             num_views;
} sslcv__feed;

struct sslcv_trainer {
    sslcv__object         object;
    sslcv_trainer_options options; /* pointers in it are references, copies or NULL */
    sslcv_schedule        learning_rate;
    sslcv_schedule        weight_decay; /* when options.weight_decay */
    char                 *checkpoint_path;

    int64_t           num_branches;
    sslcv__branch    *branches;
    int64_t           num_criteria;
    sslcv__criterion *criteria;
    int64_t           num_hooks;
    sslcv_hook       *hooks;

    /* Fixed with the composition. */
    int32_t           fixed;
    int32_t           inside; /* a step is under way: hooks must not start another */
    sslcv__parts      backbones;
    sslcv__parts      heads;
    sslcv__parts      losses;
    sslcv_state      *optimizer_state;
    char             *composition;    /* what a checkpoint must agree with */
    int64_t           statistics_bytes;
    void             *statistics;     /* running statistics as they were before the step */
    int64_t           num_views;      /* highest view index used, plus 1 */
    int64_t          *chosen;         /* the view indices used, ascending */
    int64_t           num_chosen;

    /* The run. */
    sslcv_loader     *loader; /* made with the first batch */
    int64_t           loader_epoch, loader_index;
    int64_t           step;
    int64_t           epoch, index; /* the next batch */
    int64_t           epoch_steps;  /* batches in this epoch; 0: not known yet */
    int64_t           collapse_epoch; /* of the last COLLAPSE event; -1: none yet */
    int64_t           healthy;        /* 1: embedding_std has been 0.1 or more */
    double            epoch_loss;     /* sum over this epoch's steps so far */
    int64_t           epoch_losses;   /* their number */
    int64_t           composition_id; /* of the text above */
    int64_t           schedules_id;
    sslcv__variables  own;            /* the above as tensors "trainer.": state.c */
    int32_t           epoch_begun;    /* EPOCH_BEGIN has been told */
    int32_t           resumed;        /* run() has looked for a checkpoint, or one was loaded */
    int32_t           stepped;        /* a step was made: all memory is there */
    int32_t           reserved;

    sslcv__figures    figures;
    sslcv__speed      speed;
    sslcv__buffer     scratch; /* of the spread */
    int64_t           num_metrics, metrics_capacity;
    sslcv__metric    *metrics;
};

/* ---- plan.c ---- */

/** The composition does not change any more. SSLCV_ERR_STATE: no loss yet. Done already: nothing. */
sslcv_status sslcv__trainer_fix(sslcv_trainer *trainer);
void         sslcv__trainer_unfix(sslcv_trainer *trainer); /* free what it made */
void         sslcv__trainer_save_statistics(sslcv_trainer *trainer);
/** Undo what a failed step has done so far: statistics as saved, gradients cleared. */
void         sslcv__trainer_undo_step(sslcv_trainer *trainer);

/* ---- branch.c ---- */

sslcv_status sslcv__buffer_reserve(sslcv_context *context, sslcv__buffer *buffer, int64_t count);
sslcv_status sslcv__branch_forward(sslcv_trainer *trainer, int64_t index, const sslcv__feed *feed);
sslcv_status sslcv__branch_backward(sslcv_trainer *trainer, int64_t index);
void         sslcv__branch_free(sslcv_context *context, sslcv__branch *branch);
/** Output of a branch in this step. */
const sslcv_tensor *sslcv__branch_output(const sslcv_trainer *trainer, int64_t index);

/* ---- report.c ---- */

double sslcv__clock(void); /* seconds, monotonic */
/** Spread and mean cosine of rows (V, N, P, D) brought to unit length; trainer.h says what they mean. */
sslcv_status sslcv__trainer_spread(sslcv_trainer *trainer, const sslcv_tensor *rows, double *spread, double *cosine);

void sslcv__speed_add(sslcv__speed *speed, double seconds, int64_t images);

/** Batches an epoch: as the loader said last, else as the data set or the options tell. */
int64_t sslcv__trainer_epoch_steps(const sslcv_trainer *trainer);

/** How things stand. epoch: the one to be told; loss: to be shown. */
void sslcv__trainer_progress(const sslcv_trainer *trainer, int32_t event, int64_t epoch, double loss,
                             sslcv_progress *progress);

/** Tell the hooks. *stop is set when one asks for it, else left alone; sslcv_last_error() then says why. */
void sslcv__trainer_tell(sslcv_trainer *trainer, int32_t event, int64_t epoch, double loss, int *stop);

/** A figure of the step under way; shown once sslcv__metrics_show() is called. */
sslcv_status sslcv__metric_note(sslcv_trainer *trainer, const char *name, double value);
void         sslcv__metrics_show(sslcv_trainer *trainer);

/* ---- state.c ---- */

sslcv_status sslcv__trainer_init_own(sslcv_trainer *trainer);
int64_t      sslcv__fingerprint(int64_t before, const void *bytes, size_t size); /* FNV-1a; before: 0 to begin */

/* ---- describe.c ---- */

/** Text that grows into a buffer; with text NULL it only counts. */
typedef struct sslcv__text {
    char   *text;
    int64_t size;
    int64_t needed; /* without the ending 0 */
} sslcv__text;

void sslcv__text_add(sslcv__text *text, const char *format, ...) SSLCV__PRINTF(2, 3);
void sslcv__text_number(sslcv__text *text, double value); /* with a point, whatever the locale */
/** The composition in one line: what a checkpoint must agree with. */
void sslcv__trainer_write_composition(const sslcv_trainer *trainer, sslcv__text *text);

#endif
