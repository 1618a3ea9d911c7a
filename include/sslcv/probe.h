/**
 * @file probe.h
 * Judging features: embed a data set once, then k-NN, linear probe, logistic regression, metrics, collapse figures,
 * nearest neighbours. Also the tools on feature arrays that methods need: k-means, whitening.
 *
 *     sslcv_branch_init(&branch, sizeof branch);
 *     branch.views = &eval_view; branch.num_views = 1; branch.backbone = backbone; branch.flags = 0;
 *     sslcv_embed_options_init(&train, sizeof train);
 *     train.dataset = train_set; train.augmenter = augmenter; train.branches = branches; train.num_branches = 1;
 *     test = train; test.dataset = test_set;
 *     sslcv_probe_evaluate(probe, &train, &test, &metrics);
 *
 * Features are dense f32 (n, d). Labels are int64; rows with label -1 are left out of fits and figures.
 */
#ifndef SSLCV_PROBE_H
#define SSLCV_PROBE_H

#include "trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- features ---- */

/** Features are the outputs of branches, joined: so two encoders (CMC), any stage, with or without heads. */
typedef struct sslcv_embed_options {
    size_t                     struct_size;
    sslcv_dataset             *dataset;
    sslcv_augmenter           *augmenter;
    const sslcv_branch *const *branches;    /* source must be SSLCV_SOURCE_VIEWS; of flags only
                                               SSLCV_PASS_MAP is used, as networks are only evaluated */
    int64_t                    num_branches;
    int64_t                    batch_size;  /* default 256; does not change the result but for rounding */
    int64_t                    first;       /* first sample; default 0 */
    int64_t                    count;       /* samples; 0 (default): to the end. For data larger than memory, go in
                                               parts */
    uint64_t                   seed;        /* of random transforms, which evaluation views do not have */
    int64_t                    epoch;       /* likewise */
    int32_t                    mean_positions; /* 1: the mean over the positions of a sample, so d is the sum over
                                                  branches of V * D (patches: CPC); default 0 */
    int32_t                    reserved;    /* 0 */
} sslcv_embed_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_embed_options_init(sslcv_embed_options *options, size_t struct_size);

/**
 * Embed samples. One that cannot be read (where the data set's on_error is SUBSTITUTE) gives a row of zeros, label -1.
 * A row has the branches one after the other; within a branch its views, positions (patches, or pixels of the map),
 * dimensions.
 *
 * @param options  Not NULL; all of it borrowed for the call.
 * @param features (count, d) dense f32, d = sum over branches of V * P * D; data NULL asks for the shape. As it may be
 *                 large it is filled batch by batch: after a failure it holds what was done until then.
 * @param labels   Out: count labels, filled likewise; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (samples past the end, no such view or stage); SSLCV_ERR_IO, SSLCV_ERR_FORMAT
 *         (as the data set's on_error says); SSLCV_ERR_NUMERIC (a feature is not finite); SSLCV_ERR_LIMIT (images too
 *         small for the network); SSLCV_ERR_UNSUPPORTED (maps of patches); SSLCV_ERR_CANCELLED.
 * @threads Several at once, also with the same networks. Draws none of a trainer's random numbers.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_embed(const sslcv_embed_options *options, sslcv_tensor *features, int64_t *labels);

/**
 * Embed samples into files that NumPy reads, part by part, so features may be larger than memory: what sslcv_embed()
 * gives for all of them.
 *
 * @param options       As for sslcv_embed().
 * @param features_path UTF-8: .npy, (count, d) f32.
 * @param labels_path   .npy, count i64; NULL: no labels.
 * @return As sslcv_embed(); SSLCV_ERR_IO. Each file appears whole or not at all.
 * @threads As sslcv_embed(). Memory: some 64 MiB beside the networks'.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_embed_to_file(const sslcv_embed_options *options, const char *features_path,
                                           const char *labels_path);

/* ---- probes ---- */

typedef struct sslcv_probe sslcv_probe;

enum sslcv_probe_kind {
    SSLCV_PROBE_KNN      = 1, /* cosine; votes weighted by exp(similarity / temperature) */
    SSLCV_PROBE_LINEAR   = 2, /* one linear layer, softmax cross-entropy, SGD */
    SSLCV_PROBE_LOGISTIC = 3  /* the least |W|^2 / 2 + C * (sum of cross-entropies), by L-BFGS; a sweep chooses C */
};

enum sslcv_standardize {
    SSLCV_STANDARDIZE_NONE   = 0, /* features as they are */
    SSLCV_STANDARDIZE_SPREAD = 1, /* each dimension to mean 0 and deviation 1 over the fit */
    SSLCV_STANDARDIZE_LENGTH = 2  /* each row to length 1 */
};

enum sslcv_figure {
    SSLCV_FIGURE_TOP_K          = 1, /* share of rows whose class is among the first k; ties go to the lower class */
    SSLCV_FIGURE_MEAN_PER_CLASS = 2, /* mean over the classes that occur of the share found */
    SSLCV_FIGURE_AP_11          = 3, /* mean over classes of the 11-point average precision (VOC2007) */
    SSLCV_FIGURE_AP_AREA        = 4  /* mean over classes of the area under the precision envelope (VOC2010) */
};

typedef struct sslcv_probe_options {
    size_t      struct_size;
    int32_t     kind;          /* set by init */
    int32_t     standardize;   /* LINEAR, LOGISTIC: SSLCV_STANDARDIZE_*; default NONE */
    int64_t     neighbors;     /* KNN: >= 1; default 200 */
    double      temperature;   /* KNN: > 0; default 0.1 */
    int64_t     epochs;        /* LINEAR: >= 1; default 100 */
    int64_t     batch_size;    /* LINEAR: >= 1; default 256 */
    const sslcv_schedule *learning_rate; /* LINEAR: NULL (default): cosine from 0.3 to 0; copied */
    double      weight_decay;  /* LINEAR: >= 0, of weights and biases; default 0 */
    double      momentum;      /* LINEAR: 0 .. 1; default 0.9 */
    uint64_t    seed;          /* LINEAR: of mini-batches and first weights; LOGISTIC: of the validation rows; 0
                                  (default): from the context */
    double      c_first, c_last; /* LOGISTIC: > 0; the sweep goes from c_first to c_last, evenly in log C, each fit
                                  from where the one before ended; default 1e6 .. 1e-5 */
    int64_t     c_count;       /* LOGISTIC: >= 1; values of C; default 45; 1: c_first, and nothing is chosen */
    double      validation;    /* LOGISTIC: > 0 and < 1: share of each class that chooses C; default 0.2. The last
                                  fit, with the C that was chosen, is on all rows */
    int64_t     iterations;    /* LOGISTIC: >= 1; most for each C; default 100 */
    double      tolerance;     /* LOGISTIC: >= 0; a fit ends when no partial derivative of the sum of cross-entropies
                                  plus |W|^2 / 2C is larger; default 1e-4 */
    double      first_spread;  /* LINEAR: >= 0; deviation of the first weights, which are normal; 0 (default): zeros */
    double      larc;          /* LINEAR: >= 0; trust coefficient of LARC; 0 (default): without */
    int32_t     nesterov;      /* LINEAR: 1: Nesterov's momentum; default 0 */
    int32_t     figure;        /* LOGISTIC: what the best C has most of, SSLCV_FIGURE_*, with k = 1; 0 (default):
                                  TOP_K, with targets AP_11. Of equals the first */
} sslcv_probe_options;

typedef struct sslcv_probe_info {
    size_t  struct_size;
    int64_t num_classes;      /* 0: not fitted, and all else 0 */
    int64_t dim, count;       /* of the features; rows with a label */
    double  c;                /* LOGISTIC: the C of the fit */
    double  objective;        /* LOGISTIC: |W|^2 / 2 + C * (sum of cross-entropies) of the fit */
    double  validation;       /* LOGISTIC: the figure of that C on the validation rows; 0 where nothing was chosen */
    int64_t iterations;       /* LOGISTIC: of the last fit */
    int32_t converged;        /* LOGISTIC: 1: the last fit met the tolerance, or came as near as rounding lets; 0: its
                                 iterations ran out */
    int32_t reserved;
} sslcv_probe_info;

typedef struct sslcv_metrics {
    size_t  struct_size;
    int64_t count, num_classes;
    double  top1, top5;          /* 0 .. 1; of equal scores the lower class comes first */
    double  mean_per_class;      /* 0 .. 1: mean over the classes that occur of the share found */
    double  top1_low, top1_high; /* 95 % interval: percentile bootstrap over the test set, in its limit of many draws */
} sslcv_metrics;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @param kind        SSLCV_PROBE_*.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_probe_options_init(sslcv_probe_options *options, size_t struct_size, int32_t kind);

/**
 * The settings of a published linear probe (docs/probes.md has the table).
 *
 * @param options       Out: not NULL; LINEAR, as sslcv_probe_options_init() and the preset set it; its learning_rate
 *                      points at the schedule.
 * @param struct_size   sizeof *options as the caller knows it.
 * @param learning_rate Out: not NULL; in: struct_size. Kept by the caller until the probe is made.
 * @param name          "moco", "swav", "simclr", "simclr-cifar", "byol", "simsiam", "barlow-twins", "vicreg", "cmc",
 *                      "cmc-alexnet", "pirl", "lightly" or "solo-learn".
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such preset).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_probe_options_preset(sslcv_probe_options *options, size_t struct_size,
                                                  sslcv_schedule *learning_rate, const char *name);

/**
 * Make a probe.
 *
 * @param context Not NULL.
 * @param options Not NULL. Fields that the kind does not read must stay as init has set them.
 * @param probe   Out: owned.
 * @return SSLCV_OK; SSLCV_ERR_UNSUPPORTED (LOGISTIC in a build without liblbfgs).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_probe_create(sslcv_context *context, const sslcv_probe_options *options,
                                          sslcv_probe **probe);

/**
 * Give back the caller's reference; NULL is accepted.
 *
 * @param probe NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_probe_destroy(sslcv_probe *probe);

/**
 * Fit on features. The classes are 0 .. the largest label.
 *
 * @param probe    Not NULL; an earlier fit is replaced, or kept when this one fails.
 * @param features (n, d); copied by KNN, else borrowed for the call.
 * @param labels   n labels, -1: the row is left out.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (one class only; fewer samples than neighbours; LOGISTIC: a class without a row,
 *         no row left to choose C by); SSLCV_ERR_NUMERIC (a feature is not finite, a row that must get a length is
 *         zero, or the loss diverges); SSLCV_ERR_CANCELLED.
 * @threads One thread at a time per probe.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_probe_fit(sslcv_probe *probe, const sslcv_tensor *features, const int64_t *labels);

/**
 * Fit a LOGISTIC probe with several labels a row, or with validation rows of the caller's choice.
 *
 * @param probe          Of kind LOGISTIC; an earlier fit is replaced, or kept when this one fails.
 * @param features       (n, d); borrowed for the call.
 * @param labels         n labels, -1: the row is left out; NULL with targets.
 * @param targets        (n, classes) dense f32: 1 has it, 0 has it not, -1 left out (VOC's difficult ones): each class
 *                       against the rest, of one C; NULL with labels.
 * @param validation     Rows that choose C, all different, with the data set's own split; the sweep learns from the
 *                       others, the last fit from all. NULL: drawn, options.validation of each class; with targets, of
 *                       all rows.
 * @param num_validation 1 .. n - 1; 0 with NULL.
 * @return As sslcv_probe_fit(); SSLCV_ERR_LIMIT also: a class that all rows have, or none.
 * @threads One thread at a time per probe.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_probe_fit_rows(sslcv_probe *probe, const sslcv_tensor *features, const int64_t *labels,
                                            const sslcv_tensor *targets, const int64_t *validation,
                                            int64_t num_validation);

/**
 * What the last fit was.
 *
 * @param probe Not NULL.
 * @param info  In: struct_size. Out: the rest.
 * @return SSLCV_OK.
 * @threads Several at once.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_probe_get_info(const sslcv_probe *probe, sslcv_probe_info *info);

/**
 * Score features. KNN: the sum over a row's neighbours of each class of exp((similarity - nearest) / temperature),
 * which is the published vote divided by its largest term, so that no temperature overflows. LINEAR and
 * LOGISTIC: logits.
 *
 * @param probe    Fitted.
 * @param features (n, d), d as at the fit.
 * @param scores   (n, classes) dense f32, larger is likelier; data NULL asks for the shape. After SSLCV_ERR_CANCELLED
 *                 or SSLCV_ERR_BACKEND rows may have been written.
 * @return SSLCV_OK; SSLCV_ERR_STATE (not fitted); SSLCV_ERR_NUMERIC (as at the fit); SSLCV_ERR_CANCELLED.
 * @threads Several at once on a fitted probe.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_probe_predict(const sslcv_probe *probe, const sslcv_tensor *features,
                                           sslcv_tensor *scores);

/**
 * Embed both sets, fit on one, judge on the other.
 *
 * @param probe   Not NULL; fitted on train afterwards.
 * @param train   Labelled.
 * @param test    Labelled. Samples that are in train too, told by data set handle and index: KNN leaves each of them
 *                out of its own neighbours; LINEAR and LOGISTIC refuse.
 * @param metrics In: struct_size. Out: the rest.
 * @return As sslcv_embed() and sslcv_probe_fit().
 * @threads One thread at a time per probe.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_probe_evaluate(sslcv_probe *probe, const sslcv_embed_options *train,
                                            const sslcv_embed_options *test, sslcv_metrics *metrics);

/**
 * Evaluate during training: a hook that calls sslcv_probe_evaluate() at the end of epochs and publishes NAME.top1,
 * NAME.top5 and NAME.mean_per_class as metrics of the trainer.
 *
 * @param probe   Kept alive.
 * @param trainer Not NULL.
 * @param name    For the metrics, e.g. "knn"; 1 .. 40 bytes; copied.
 * @param train   Copied with its branches, their handles kept alive; so is test.
 * @param test    Likewise.
 * @param epochs  After every so many, >= 1.
 * @return SSLCV_OK; as sslcv_trainer_add_hook(). Training goes on bit for bit as without it. A failing evaluation
 *         stops the run with SSLCV_ERR_CANCELLED, and sslcv_last_error() says why.
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_probe_watch(sslcv_probe *probe, sslcv_trainer *trainer, const char *name,
                                         const sslcv_embed_options *train, const sslcv_embed_options *test,
                                         int64_t epochs);

/* ---- classifiers that are trained ---- */

/**
 * Judge a network that ends in a classifier: embed, and take the features for scores.
 *
 * @param test    Labelled; one row of scores a sample, one score a class: a branch of one view, the backbone, and heads
 *                of which the last is the classifier.
 * @param metrics In: struct_size. Out: the rest.
 * @return As sslcv_embed(); SSLCV_ERR_LIMIT (no label); SSLCV_ERR_INVALID_ARGUMENT (also: a label that has no score).
 * @threads Several at once.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_classifier_evaluate(const sslcv_embed_options *test, sslcv_metrics *metrics);

/**
 * Judge during training: a hook that calls sslcv_classifier_evaluate() at the end of epochs and publishes NAME.top1,
 * NAME.top5 and NAME.mean_per_class as metrics of the trainer, for curves and for sslcv_trainer_keep_best().
 *
 * @param trainer Not NULL.
 * @param name    For the metrics, e.g. "val"; 1 .. 40 bytes; copied.
 * @param test    As in evaluate(); copied with its branches, their handles kept alive.
 * @param epochs  After every so many, >= 1.
 * @return As sslcv_probe_watch().
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_classifier_watch(sslcv_trainer *trainer, const char *name, const sslcv_embed_options *test,
                                              int64_t epochs);

/* ---- figures ---- */

/**
 * Judge scores.
 *
 * @param context   Not NULL: memory.
 * @param scores    (n, classes) f32: logits, or what sslcv_probe_predict() gives.
 * @param labels    n labels, -1: the row is left out.
 * @param metrics   In: struct_size. Out: the rest.
 * @param confusion Out: classes * classes counts, [truth][prediction]; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_NUMERIC (NaN).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_metrics_compute(sslcv_context *context, const sslcv_tensor *scores, const int64_t *labels,
                                             sslcv_metrics *metrics, int64_t *confusion);

typedef struct sslcv_figure_options {
    size_t   struct_size;
    int32_t  figure;  /* set by init */
    int32_t  reserved; /* 0 */
    int64_t  k;       /* TOP_K: >= 1; default 1 */
    int64_t  draws;   /* of test sets, 0 .. 1000000; default 1000; 0: no interval */
    double   level;   /* of the interval, > 0 and < 1; default 0.95 */
    uint64_t seed;    /* of the draws; default 0: taken as it is, so that an interval is the same everywhere */
} sslcv_figure_options;

typedef struct sslcv_figure_value {
    size_t  struct_size;
    int64_t count;     /* rows judged; with targets: all */
    int64_t classes;   /* in the mean: those that occur */
    double  value;     /* 0 .. 1 */
    double  low, high; /* quantiles (1 - level) / 2 and (1 + level) / 2 of the figure over test sets of as many rows,
                          drawn from this one with replacement; value without draws */
} sslcv_figure_value;

/**
 * Set the defaults of a figure.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @param figure      SSLCV_FIGURE_*.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_figure_options_init(sslcv_figure_options *options, size_t struct_size, int32_t figure);

/**
 * One figure of scores, with its interval by the percentile bootstrap over the test set (Efron 1979).
 *
 * Average precision ranks the rows of a class by score, of equal ones the earlier row first. With recall r and
 * precision p after each rank, AP_11 is the mean over t = 0, 0.1 .. 1 of the largest p where r >= t, with t = i * 0.1
 * as computed in f64 (so recalls of exactly 0.3, 0.6 and 0.7 fall short, as in published code), and AP_AREA the sum
 * over ranks of the growth of r times the largest p from there on. A class without a 1 is not in the mean; nor in that
 * of a draw that misses it.
 *
 * @param context   Not NULL: memory, cancel.
 * @param scores    (n, classes) f32: logits, or what sslcv_probe_predict() gives.
 * @param labels    For TOP_K, MEAN_PER_CLASS: n labels, -1: the row is left out; else NULL.
 * @param targets   For AP_*: (n, classes) dense f32: 1, 0, or -1 (the row is left out of this class); else NULL.
 * @param options   Not NULL.
 * @param value     In: struct_size. Out: the rest.
 * @param per_class Out: classes values: average precisions, else shares found (of k); -1 for a class that does not
 *                  occur; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_INVALID_ARGUMENT (also: nothing to judge); SSLCV_ERR_NUMERIC (NaN); SSLCV_ERR_CANCELLED.
 * @threads Any. Memory: 24 bytes a row, and for AP_* 8 bytes a score.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_figure_compute(sslcv_context *context, const sslcv_tensor *scores, const int64_t *labels,
                                            const sslcv_tensor *targets, const sslcv_figure_options *options,
                                            sslcv_figure_value *value, double *per_class);

typedef struct sslcv_spread {
    size_t struct_size;
    double std;             /* mean per-dimension deviation of L2-normalised rows, times sqrt(d): 1 healthy, 0
                               collapsed */
    double cosine;          /* mean cosine of different rows: 0 healthy, 1 collapsed */
    double effective_rank;  /* exp of the entropy of the singular values, 1 .. min(n, d) (RankMe); of the features as
                               they are, from at most 8192 evenly spaced rows */
} sslcv_spread;

/**
 * Collapse figures of an array. The rank takes some n d^2 + 4 d^3 / 3 operations: a third of a second for d = 512
 * and ten seconds for d = 2048 on one core.
 *
 * @param context  Not NULL: memory, threads, cancel.
 * @param features (n, d), n >= 2.
 * @param spread   In: struct_size. Out: the rest.
 * @return SSLCV_OK; SSLCV_ERR_NUMERIC (a feature is not finite, or a row is zero); SSLCV_ERR_CANCELLED.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_spread_compute(sslcv_context *context, const sslcv_tensor *features,
                                            sslcv_spread *spread);

/**
 * Nearest rows by cosine, exact: retrieval. A similarity is the dot product, in double precision, of the two rows
 * scaled to length 1 and rounded to f32; so neighbours do not depend on the number of threads or on the CPU.
 *
 * @param context      Not NULL: memory (a copy of features), threads, cancel.
 * @param features     (n, d).
 * @param queries      (m, d).
 * @param k            1 .. n.
 * @param indices      Out: m * k rows of features, nearest first; ties go to the lower index. After
 *                     SSLCV_ERR_CANCELLED or SSLCV_ERR_BACKEND rows may have been written.
 * @param similarities Out: m * k cosines, likewise; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_NUMERIC (a feature is not finite, or a row is zero); SSLCV_ERR_CANCELLED.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_nearest(sslcv_context *context, const sslcv_tensor *features, const sslcv_tensor *queries,
                                     int64_t k, int64_t *indices, float *similarities);

/**
 * Normalised mutual information of two labellings: their mutual information over the mean of their entropies. 1: each
 * tells the other; 0: nothing. Numbers of classes do not matter, only who is together.
 *
 * @param context Not NULL: memory.
 * @param a       n labels; samples with a negative one in a or b are left out.
 * @param b       Likewise.
 * @param n       Samples, >= 1.
 * @param value   Out: 0 .. 1; 1 where both have one class only.
 * @return SSLCV_OK; SSLCV_ERR_INVALID_ARGUMENT (also: no sample has both labels).
 * @threads Any.
 * @since   0.1 (DeepCluster's monitor)
 */
SSLCV_API sslcv_status sslcv_nmi(sslcv_context *context, const int64_t *a, const int64_t *b, int64_t n, double *value);

/* ---- clusters ---- */

typedef struct sslcv_kmeans_options {
    size_t   struct_size;
    int64_t  clusters;    /* 1 .. n, below 2^31 */
    int64_t  iterations;  /* most rounds of moving centroids, >= 0; default 20. It stops when nothing changes */
    uint64_t seed;        /* of first centroids and splits; 0 (default): from the context */
    int32_t  spherical;   /* 1: cosine, centroids of length 1, and a cluster without members keeps its centroid;
                             0 (default): Euclidean, and a cluster without members splits a large one */
    int32_t  warm_start;  /* 1: begin from the given centroids; 0 (default): from different random rows */
} sslcv_kmeans_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_kmeans_options_init(sslcv_kmeans_options *options, size_t struct_size);

/**
 * Cluster features: rounds of giving each row to its nearest centroid, and moving centroids to the mean of their rows;
 * in the end each row to its nearest. The same bits for any number of threads.
 *
 * @param context     Not NULL: memory (centroids, 12 bytes a row, 20 when spherical, and a few MiB for each thread),
 *                    threads, seed, cancel.
 * @param features    (n, d).
 * @param options     Not NULL.
 * @param centroids   (clusters, d) dense f32; read when warm_start is 1, then filled.
 * @param assignments Out: n cluster indices; of equally near ones the lowest.
 * @param objective   Out: mean squared distance to the own centroid; spherical: mean cosine with it. May be NULL.
 * @return SSLCV_OK; SSLCV_ERR_NUMERIC (a feature is not finite; spherical: a row is zero); SSLCV_ERR_CANCELLED.
 *         Outputs are untouched then.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_kmeans(sslcv_context *context, const sslcv_tensor *features,
                                    const sslcv_kmeans_options *options, sslcv_tensor *centroids, int64_t *assignments,
                                    double *objective);

/**
 * Principal components with whitening: subtract the mean, project on the k directions of largest variance, divide by
 * the root of each variance. Columns of the result have covariance 0 with each other and variance 1, within some 1e-6.
 *
 * @param context   Not NULL: memory (16 d^2 bytes), threads, cancel.
 * @param features  (n, d), n >= 2.
 * @param normalize 1: then each row to length 1, as DeepCluster does; 0: not.
 * @param reduced   (n, k) dense f32, k <= d and k < n; filled, components of larger variance first.
 * @return SSLCV_OK; SSLCV_ERR_NUMERIC (a feature is not finite; fewer than k directions with variance, where less than
 *         1e-6 of the largest counts as none); SSLCV_ERR_CANCELLED. Some of reduced may have been written then.
 * @threads Any.
 * @since   0.1 (DeepCluster)
 */
SSLCV_API sslcv_status sslcv_pca_whiten(sslcv_context *context, const sslcv_tensor *features, int32_t normalize,
                                        sslcv_tensor *reduced);

#ifdef __cplusplus
}
#endif
#endif
