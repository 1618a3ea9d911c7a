/**
 * @file probe.h
 * Judging features: embed a data set once, then k-NN, linear probe, metrics, collapse figures, nearest neighbours. Also
 * the tools on feature arrays that methods need: k-means, whitening.
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
    const sslcv_branch *const *branches;    /* source must be SSLCV_SOURCE_VIEWS; flags 0 or SSLCV_PASS_MAP, as
                                               networks are only evaluated */
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

/* ---- probes ---- */

typedef struct sslcv_probe sslcv_probe;

enum sslcv_probe_kind {
    SSLCV_PROBE_KNN    = 1, /* cosine; votes weighted by exp(similarity / temperature) */
    SSLCV_PROBE_LINEAR = 2  /* one linear layer, softmax cross-entropy, SGD */
};

enum sslcv_standardize {
    SSLCV_STANDARDIZE_NONE   = 0, /* features as they are */
    SSLCV_STANDARDIZE_SPREAD = 1, /* each dimension to mean 0 and deviation 1 over the fit */
    SSLCV_STANDARDIZE_LENGTH = 2  /* each row to length 1 */
};

typedef struct sslcv_probe_options {
    size_t      struct_size;
    int32_t     kind;          /* set by init */
    int32_t     standardize;   /* LINEAR: SSLCV_STANDARDIZE_*; default NONE */
    int64_t     neighbours;    /* KNN: >= 1; default 200 */
    double      temperature;   /* KNN: > 0; default 0.1 */
    int64_t     epochs;        /* LINEAR: >= 1; default 100 */
    int64_t     batch_size;    /* LINEAR: >= 1; default 256 */
    const sslcv_schedule *learning_rate; /* LINEAR: NULL (default): cosine from 0.3 to 0; copied */
    double      weight_decay;  /* LINEAR: >= 0, of weights and biases; default 0 */
    double      momentum;      /* LINEAR: 0 .. 1; default 0.9 */
    uint64_t    seed;          /* LINEAR: of the mini-batches; 0 (default): from the context */
} sslcv_probe_options;

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
 * Make a probe.
 *
 * @param context Not NULL.
 * @param options Not NULL. Fields that the kind does not read are ignored.
 * @param probe   Out: owned.
 * @return SSLCV_OK.
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
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (one class only; fewer samples than neighbours); SSLCV_ERR_NUMERIC (a feature is
 *         not finite, a row that must get a length is zero, or the loss diverges); SSLCV_ERR_CANCELLED.
 * @threads One thread at a time per probe.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_probe_fit(sslcv_probe *probe, const sslcv_tensor *features, const int64_t *labels);

/**
 * Score features. KNN: the sum over a row's neighbours of each class of exp((similarity - nearest) / temperature),
 * which is the published vote divided by its largest term, so that no temperature overflows. LINEAR: logits.
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
 *                out of its own neighbours; LINEAR refuses.
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
 * @param epochs  After every so many, 1 .. 2^31 - 1.
 * @return SSLCV_OK; as sslcv_trainer_add_hook(). Training goes on bit for bit as without it. A failing evaluation
 *         stops the run with SSLCV_ERR_CANCELLED, and sslcv_last_error() says why.
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_probe_watch(sslcv_probe *probe, sslcv_trainer *trainer, const char *name,
                                         const sslcv_embed_options *train, const sslcv_embed_options *test,
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
