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
 * Gradient caching (Gao et al. 2021) cuts the samples of a batch into slices that go through the branches one after
 * the other, with the same tapes. The loss needs all outputs at once, so there are two rounds:
 *
 *     SCAN   slice 0, slice 1 ...: forward without gradient; outputs are kept, running statistics recorded
 *            losses on all outputs: gradient with respect to each output
 *     AGAIN  slice 0, slice 1 ...: forward once more of what learns, backward with the slice's part of the gradient
 *
 * Without batch statistics no sample sees another one in its network, and the sum of the slices' gradients is the
 * batch's. Without gradient caching there is one slice and one round, WHOLE.
 *
 * The position in the run is (epoch, index): the batch that the next step takes. The loader is a servant of it: it is
 * sent there whenever it stands elsewhere, so a run that resumes, or that was fed by the host's views in between, sees
 * what the uninterrupted one sees.
 *
 *     trainer.c  composing, and what can be asked of the parts
 *     best.c     early choice: the networks after the best epoch
 *     plan.c     what is fixed with the composition: who is used, who gets gradients, what a failed step must restore
 *     parts.c    networks and losses, each once
 *     momentum.c momentum copies of networks
 *     images.c   views of a batch as what a branch takes
 *     branch.c   branches forward and backward
 *     join.c     what passes give and take, put together and taken apart
 *     step.c     one step
 *     report.c   hooks, progress, metrics
 *     state.c    the trainer's state, which is the checkpoint
 *     memory.c   how much memory a step takes
 *     budget.c   what is done about it
 *     describe.c the composition as text
 *     labels.c   labels instead of the data set's
 *     watch.c    metrics into files of scalars
 *     run.c      the loop, written with public calls
 */
#ifndef SSLCV__TRAINER_H
#define SSLCV__TRAINER_H

#include <sslcv/trainer.h>

#include "core/object.h"
#include "nn/plan.h"
#include "nn/state.h"
#include "nn/variable.h"

enum { SSLCV__MAX_BRANCH_VIEWS = 64 };

/** Floats that only ever grow. */
typedef struct sslcv__buffer {
    float  *data;
    int64_t capacity;
} sslcv__buffer;

typedef enum sslcv__phase { SSLCV__PHASE_WHOLE, SSLCV__PHASE_SCAN, SSLCV__PHASE_AGAIN } sslcv__phase;

/** Samples of a batch that go through the networks together. */
typedef struct sslcv__slice {
    sslcv__phase phase;
    int32_t      reserved;
    int64_t      first, count; /* samples */
    int64_t      batch;        /* samples of the batch */
} sslcv__slice;

/** What is done to take less memory. */
typedef struct sslcv__choice {
    int64_t micro_batch; /* samples a slice at most; 0: all */
    int32_t recompute;   /* sum of SSLCV__RECOMPUTE_* */
    int32_t reserved;
} sslcv__choice;

/** How a link's network runs: what the step and the foretelling of its memory must agree in. */
typedef struct sslcv__link_run {
    const sslcv__net *net;
    int32_t           flags;     /* SSLCV_PASS_* */
    int32_t           last_node;
    int32_t           recompute; /* SSLCV__RECOMPUTE_* */
    int32_t           dry;       /* 1: running statistics stay as they are */
    int32_t           bn_splits; /* groups of batch norm */
    int32_t           reserved;
} sslcv__link_run;

typedef struct sslcv__train_pass {
    sslcv_tape *tape;    /* made with the first forward */
    int64_t    *members; /* positions in the branch's list of views, ascending */
    int64_t     count;
} sslcv__train_pass;

typedef struct sslcv__link {
    sslcv_backbone    *backbone; /* one of the two; a reference */
    sslcv_head        *head;
    int64_t            in_dim, out_dim; /* of a head */
    sslcv__object     *runs;     /* the network itself or its momentum copy; borrowed; fixed with the composition */
    int64_t            pixels;   /* of the map of the last forward; 1 without */
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
    int32_t       bn_splits;
    int32_t       momentum;
    int64_t       num_links;
    sslcv__link  *links;
    sslcv_tensor  output;       /* (V, N, P, D) of the whole batch */
    sslcv__buffer kept;         /* its memory with gradient caching, where keeps */
    sslcv__buffer pixels;       /* views that must lie together */
    sslcv__buffer gradient;     /* with respect to the output */
    sslcv__buffer part;         /* a slice of it, where there are several views */
    int32_t       used;         /* a loss or a used branch needs it */
    int32_t       learns;       /* gradients come back to it */
    int32_t       keeps;        /* its whole output is asked for: by a loss, or as a source that does not run again */
    int32_t       of_losses;    /* in this step: gradient holds what losses say */
    int32_t       has_gradient; /* in this slice: gradient holds a sum already */
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
    void        *copy;   /* its momentum copy; a reference; NULL: no branch runs through it */
    sslcv_state *copy_state;
    int32_t      copied; /* a momentum branch names it */
    int32_t      copy_trains; /* the copy's own running statistics change in a step */
    sslcv_state *kept;        /* the network after the best epoch; NULL: nobody asks for it */
} sslcv__part;

typedef struct sslcv__parts {
    int64_t      count;
    sslcv__part *items;
} sslcv__parts;

typedef struct sslcv__metric {
    char   *name;
    double  value;
    double  noted; /* of the step under way: value when it succeeds */
    int64_t published; /* the last call of sslcv_trainer_set_metric() with it, counted from 1; 0: none */
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
    double ema_momentum;
    double spread;
    double cosine;
} sslcv__figures;

/** One batch, from the loader or from the host. */
typedef struct sslcv__feed {
    int64_t             size;
    const int64_t      *ids;
    const int64_t      *labels;
    const sslcv_tensor *targets; /* of the host, instead of labels; checked but for their values. NULL: none */
    const sslcv_tensor *views;   /* of the host; NULL: the loader's current batch */
    int64_t             num_views;
    const int64_t      *patches; /* of each view of the host's; NULL: 1 */
} sslcv__feed;

/** Early choice. */
typedef struct sslcv__best {
    char        *metric;   /* NULL: not asked for */
    int32_t      smallest; /* is best; else the largest */
    int32_t      reserved;
    int64_t      seen;     /* publication of the metric that was looked at last */
    sslcv_state *numbers;  /* "value", "epoch" */
    double      *value;    /* both in there */
    int64_t     *epoch;    /* -1: none yet */
} sslcv__best;

struct sslcv_trainer {
    sslcv__object         object;
    sslcv_trainer_options options; /* pointers in it are references, copies or NULL */
    sslcv_schedule        learning_rate;
    sslcv_schedule        weight_decay; /* when options.weight_decay */
    sslcv_schedule        ema_momentum;
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

    /* Memory: memory.c. */
    sslcv__choice     choice;
    int32_t           has_choice;
    int32_t           is_foretold;    /* memory holds what a step will take */
    int64_t           batch;          /* samples that choice and memory are made for */
    int64_t         (*view_shapes)[4]; /* of the views chosen: patches, channels, height, width */
    sslcv_memory      memory;

    /* The run. */
    sslcv_loader     *loader; /* made with the first batch */
    int64_t           loader_epoch, loader_index;
    int64_t           step;
    int64_t           epoch, index; /* the next batch */
    int64_t           epoch_steps;  /* batches in this epoch; 0: not known yet */
    int64_t           collapse_epoch; /* of the last COLLAPSE event; -1: none yet */
    int64_t           ema_step;       /* step that the momentum copies have last moved for; -1: none yet */
    int64_t           healthy;        /* 1: embedding_std has been 0.1 or more */
    double            epoch_loss;     /* sum over this epoch's steps so far */
    int64_t           epoch_losses;   /* their number */
    int64_t           composition_id; /* of the text above */
    int64_t           schedules_id;
    sslcv__variables  own;            /* the above as tensors "trainer.": state.c */
    sslcv__variable  *labels;         /* among them: (2, samples), of this epoch and the next; NULL: none kept */
    int32_t           epoch_begun;    /* EPOCH_BEGIN has been told */
    int32_t           resumed;        /* run() has looked for a checkpoint, or one was loaded */
    int32_t           stepped;        /* a step was made: all memory is there */
    int32_t           unsaved;        /* run() could not save; the next one begins with that */

    sslcv__figures    figures;
    sslcv__speed      speed;
    sslcv__buffer     scratch; /* of the spread */
    int64_t           num_metrics, metrics_capacity;
    sslcv__metric    *metrics;
    int64_t           num_published; /* calls of sslcv_trainer_set_metric() */
    sslcv__best       best;
};

/* ---- plan.c ---- */

/** The composition does not change any more. SSLCV_ERR_STATE: no loss yet. Done already: nothing. */
sslcv_status sslcv__trainer_fix(sslcv_trainer *trainer);
void         sslcv__trainer_unfix(sslcv_trainer *trainer); /* free what it made */
void         sslcv__trainer_save_statistics(sslcv_trainer *trainer);
/** Undo what a failed step has done so far: statistics as saved, gradients cleared. */
void         sslcv__trainer_undo_step(sslcv_trainer *trainer);

/* ---- labels.c ---- */

/** Keep labels where samples are drawn by them. */
sslcv_status sslcv__trainer_fix_labels(sslcv_trainer *trainer);
/** An epoch begins: the next one's labels are this one's. */
void         sslcv__trainer_begin_labels(sslcv_trainer *trainer);
/** To the loader, when it is new, or labels are. */
void         sslcv__trainer_give_labels(sslcv_trainer *trainer);

/* ---- best.c ---- */

/** Memory for the networks of the best epoch, where that is asked for. Called once the parts are known. */
sslcv_status sslcv__trainer_fix_best(sslcv_trainer *trainer);
void         sslcv__trainer_unfix_best(sslcv_trainer *trainer);
int64_t      sslcv__trainer_best_bytes(const sslcv_trainer *trainer);
/** An epoch has ended, and hooks have published: keep the networks if it is the best so far. */
sslcv_status sslcv__trainer_note_best(sslcv_trainer *trainer, int64_t epoch);

/* ---- parts.c ---- */

sslcv__part *sslcv__find_part(const sslcv__parts *parts, const void *handle); /* NULL: none */
/** Networks and losses with their states, and the copies that momentum branches run through. */
sslcv_status sslcv__trainer_collect_parts(sslcv_trainer *trainer);
void         sslcv__trainer_free_parts(sslcv_trainer *trainer);

/* ---- momentum.c ---- */

/** A copy of each network that a momentum branch names. Called once the parts are known. */
sslcv_status sslcv__trainer_make_copies(sslcv_trainer *trainer);
/** The copies' momentum in the step under way. */
sslcv_status sslcv__trainer_ema_momentum(const sslcv_trainer *trainer, double *momentum);
/** Let the copies move towards their networks; once for each step, however often it is tried. */
sslcv_status sslcv__trainer_move_copies(sslcv_trainer *trainer, double momentum);
int          sslcv__trainer_has_copies(const sslcv_trainer *trainer);
/** Before the host is given a copy: a network like any other has memory for gradients. */
sslcv_status sslcv__copy_complete(sslcv_state *copy);

/* ---- images.c ---- */

sslcv_status sslcv__buffer_reserve(sslcv_context *context, sslcv__buffer *buffer, int64_t count);

/** One view of the whole batch, (N * P, C, H, W), any strides. */
sslcv_status sslcv__feed_view(sslcv_trainer *trainer, const sslcv__feed *feed, int64_t view, sslcv_tensor *tensor);

/** Note the shapes of all views that are used. changed: 1 when one is not as it was. */
sslcv_status sslcv__feed_shapes(sslcv_trainer *trainer, const sslcv__feed *feed, int *changed);

/** A slice of some views of a branch, which have one shape: (count * slice * P, C, H, W). */
sslcv_status sslcv__feed_images(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__feed *feed,
                                const sslcv__slice *slice, const int64_t *members, int64_t count, sslcv_tensor *images);

/** A slice of the views of a branch without backbone: (V, slice, P, C * H * W), dense. */
sslcv_status sslcv__feed_pixels(sslcv_trainer *trainer, sslcv__branch *branch, const sslcv__feed *feed,
                                const sslcv__slice *slice, sslcv_tensor *pixels);

/* ---- branch.c ---- */

/** Slices of a batch; with one, the round is WHOLE. */
int64_t sslcv__num_slices(int64_t batch, int64_t micro_batch);
/** The slice of this index; sizes differ by one at most, larger ones first. */
sslcv__slice sslcv__slice_of(int64_t batch, int64_t num_slices, int64_t index, sslcv__phase phase);

sslcv__link_run sslcv__link_how(const sslcv__branch *branch, const sslcv__link *link, const sslcv__choice *choice,
                                sslcv__phase phase);
/** Sort the views of a branch into a link's passes: backbones by the shapes of views. */
void            sslcv__link_group(const sslcv_trainer *trainer, const sslcv__branch *branch, sslcv__link *link);
/** Place of a view among those chosen. */
int64_t         sslcv__view_place(const sslcv_trainer *trainer, int64_t view);

/** The slices of each phase come in their order; nothing between the last backward and the next forward. */
sslcv_status sslcv__branch_forward(sslcv_trainer *trainer, int64_t index, const sslcv__feed *feed,
                                   const sslcv__slice *slice);
sslcv_status sslcv__branch_backward(sslcv_trainer *trainer, int64_t index, const sslcv__slice *slice);
void         sslcv__branch_free(sslcv_context *context, sslcv__branch *branch);
/** Give back what forward and backward have taken. */
void         sslcv__branch_empty(sslcv_context *context, sslcv__branch *branch);
/** Output of a branch in this step: the whole batch's. */
const sslcv_tensor *sslcv__branch_output(const sslcv_trainer *trainer, int64_t index);

/* ---- join.c ---- */

void sslcv__set_axes(sslcv_tensor *tensor, void *data, int64_t v, int64_t n, int64_t p, int64_t d);
int  sslcv__gives_map(const sslcv__branch *branch, const sslcv__link *link);

typedef sslcv_status (*sslcv__tape_getter)(const sslcv_tape *tape, sslcv_tensor *tensor);

/**
 * What the passes of a link give, as one (V, N, P, D): the tape's own memory where one pass gives rows, else copied
 * into joined.
 */
sslcv_status sslcv__join(sslcv_trainer *trainer, const sslcv__branch *branch, sslcv__link *link, int64_t samples,
                         sslcv__tape_getter get, sslcv__buffer *joined, sslcv_tensor *out);

/** The part of gradient (V, N, P, D) that belongs to a pass, in the order of its output. */
sslcv_status sslcv__split(sslcv_trainer *trainer, const sslcv__branch *branch, const sslcv__train_pass *pass,
                          sslcv__link *link, const sslcv_tensor *gradient, sslcv_tensor *out);

/* ---- memory.c ---- */

/** What a step on trainer->batch samples of trainer->view_shapes takes; leaves shapes in the branches' outputs. */
sslcv_status sslcv__trainer_foretell_memory(sslcv_trainer *trainer, const sslcv__choice *choice, sslcv_memory *memory);
/** What is held now. */
void         sslcv__trainer_held_memory(const sslcv_trainer *trainer, sslcv_memory *memory);

/* ---- budget.c ---- */

/**
 * Before a step on this batch: what is to be done about memory is decided, again if the batch is of another shape than
 * the one that it was decided for.
 *
 * @return SSLCV_ERR_LIMIT: nothing fits memory_budget; the message has the least that would.
 */
sslcv_status sslcv__trainer_ready_memory(sslcv_trainer *trainer, const sslcv__feed *feed);

/* ---- step.c ---- */

sslcv_status sslcv__trainer_open_loader(sslcv_trainer *trainer); /* done already: nothing */

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
/** "; gradients cached, 64 of 256 images a pass"; nothing where nothing is done. */
void sslcv__trainer_write_choice(const sslcv_trainer *trainer, sslcv__text *text);
/** The composition in one line: what a checkpoint must agree with. */
void sslcv__trainer_write_composition(const sslcv_trainer *trainer, sslcv__text *text);

#endif
