/**
 * @file losses.h
 * The built-in losses, a block each: what it computes, options, _init(), create. docs/losses/ has a page for each with
 * derivation, cost and sources.
 *
 *     info_nce              SimCLR, MoCo           barlow_twins          Barlow Twins
 *     nce_bank              CMC, PIRL, InstDisc    vicreg                VICReg
 *     swapped               SwAV                   dino                  DINO
 *     cluster               DeepCluster-v2         cross_entropy         labels, pseudo-labels
 *     cpc                   CPC, CPC-v2            binary_cross_entropy  several labels an image
 *     cosine                BYOL, SimSiam          custom                loss.h
 *
 * In the formulas: "grad" marks an input that receives a gradient, the others are constants to the loss. mean over N is
 * over the samples of the call. unit(x) = x / max(|x|, 1e-12); gradients pass through it. cos(x, y) = unit(x).unit(y).
 * log is the natural one. Defaults are those of the authors' code for ImageNet, or of the code that is named.
 */
#ifndef SSLCV_LOSSES_H
#define SSLCV_LOSSES_H

#include "loss.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Where publications differ by a constant factor: over what, each block says. Samples are always averaged. */
enum sslcv_reduction { SSLCV_REDUCTION_MEAN = 0, SSLCV_REDUCTION_SUM = 1 };

/* ---- InfoNCE: SimCLR, MoCo ---- */

/**
 * InfoNCE. An anchor a, its positive p, its candidates C (p among them):
 *
 *     L = mean (or sum) over the anchor's views of mean over N of
 *         -log( exp(cos(a, p) / temperature) / sum over c in C of exp(cos(a, c) / temperature) )
 *
 * Inputs     one, (V, N, D) grad, V >= 2: NT-Xent. Every row is an anchor, C all V * N rows but itself; with V > 2 the
 *            mean over its V - 1 positives.
 *            two, 0 queries (V, N, D) grad, 1 keys (W, N, D), W <= V: the pairs of loss.h, mean over the keys' views.
 *            With a queue C is the positive and the queue, and keys get no gradient. Without, C is the N keys of that
 *            view, and keys are grad. Views of the queries without a pair are left out.
 * Remembers  with queue_size: "queue" (queue_size, D), the last keys of all views, unit rows; at first Gaussian ones.
 *            "queue_position", the row that the next key takes: of a batch view 0 first.
 * Metrics    "top1", "mi_bound": candidates are V * N - 1, N, or 1 + queue_size.
 * Published  SimCLR's paper: defaults; its TensorFlow code, twice that: SUM. MoCo: two inputs, V = 1, queue. Symmetric
 *            MoCo: V = W = 2, one enqueue; CIFAR demo SUM, lightly MEAN (it enqueues between the directions: to have
 *            that, append the loss twice with V = 1, weight 1/2). Keys as anchors too: append it as {0, 1} and {1, 0}.
 */
typedef struct sslcv_info_nce_options {
    size_t   struct_size;
    double   temperature; /* > 0; default 0.1 (SimCLR; its CIFAR recipe 0.5; MoCo v1 0.07, v2 0.2, CIFAR demo 0.1) */
    int64_t  queue_size;  /* rows, >= W * N; default 0: negatives from the batch (MoCo 65536, CIFAR demo 4096). A queue
                             needs two inputs */
    int64_t  dim;         /* D of the queue; default 128 */
    uint64_t seed;        /* of the first queue; 0 (default): from the context */
    int32_t  reduction;   /* SSLCV_REDUCTION_* over the anchor's views; default MEAN */
    int32_t  reserved;    /* 0 */
} sslcv_info_nce_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_info_nce_options_init(sslcv_info_nce_options *options, size_t struct_size);

/**
 * Make an InfoNCE loss.
 *
 * @param context Not NULL.
 * @param options NULL: defaults.
 * @param loss    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1 (Oord et al. 2018; SimCLR, Chen et al. 2020; MoCo, He et al. 2020)
 */
SSLCV_API sslcv_status sslcv_loss_create_info_nce(sslcv_context *context, const sslcv_info_nce_options *options,
                                                  sslcv_loss **loss);

/* ---- contrast with a bank: CMC, PIRL ---- */

/** Which inputs are scored against which banks. A term is (input, bank). */
enum sslcv_bank_pairing {
    SSLCV_BANK_CORE   = 0, /* a bank for each input; input 0 with each other, both ways (CMC) */
    SSLCV_BANK_FULL   = 1, /* a bank for each input; all pairs, both ways (CMC's full graph) */
    SSLCV_BANK_SINGLE = 2  /* one bank, of input 0; input 1, then input 0, against it (PIRL); only input 0 when
                              num_inputs is 1 (InstDisc) */
};

enum sslcv_bank_estimator {
    SSLCV_ESTIMATOR_NCE     = 0, /* binary, with noise correction and constant Z */
    SSLCV_ESTIMATOR_SOFTMAX = 1
};

/**
 * Contrast with a bank, a row for each sample of the data set. In a term the input f of sample i meets rows
 * m_0 .. m_K of the bank: m_0 is row i, the others are drawn. n = num_samples, K = num_negatives,
 * s_j = unit(f).m_j / temperature, P_j = exp(s_j) / Z:
 *
 *     NCE      -mean over N of [ log( P_0 / (P_0 + K/n + epsilon) )
 *                                + sum over j = 1 .. K of log( K/n / (P_j + K/n + epsilon) ) ]
 *     SOFTMAX  -mean over N of log( exp(s_0) / sum over j = 0 .. K of exp(s_j) )
 *     L        CORE, FULL: sum of the terms. SINGLE: balance * transform + (1 - balance) * image
 *
 * Z = n * mean of exp(s) over all scores of a term in the first call, positives included; constant from then on.
 *
 * Inputs     num_inputs of (1, N, dim), all grad; ids. SINGLE: 0 the image, 1 its transform.
 * Draws      with replacement over all n rows, row i possible, each as often as the others or by row_weights, whose
 *            shares then stand for 1/n in K/n. CORE, FULL: the same rows for all terms; SINGLE: fresh ones for each.
 * Remembers  "bank.0" ... (n, dim). After scoring, row i of an input's bank becomes
 *            unit(bank_momentum * row + (1 - bank_momentum) * unit(f)); of a sample twice in a batch, the last counts.
 *            It stays where bank_momentum is 1, or where that sum is shorter than 1e-12. NCE: "z", one for each term,
 *            or one; 0: not yet known. Terms in order: (0, 1), (1, 0), (0, 2), (2, 0) ...; SINGLE: (1, 0), (0, 0).
 *            "draws": calls remembered, and the seed; rows drawn are a function of both.
 * Metrics    "top1" (of the terms' anchors: m_0 scores above all drawn rows but itself), "mi_bound" (SOFTMAX:
 *            log(K + 1) less the mean over the terms; else 0), "z" (NCE: of the first term).
 * Published  CMC: defaults. PIRL as VISSL's: SINGLE, shared_z, unit_init, num_negatives 32000, epsilon 2^-23; its MLP
 *            variant: SOFTMAX, temperature 0.1. PyContrast's CMC: SOFTMAX, num_negatives 65536.
 */
typedef struct sslcv_nce_bank_options {
    size_t   struct_size;
    int64_t  num_samples;   /* n, in the data set, below 2^31; must be given */
    int64_t  num_inputs;    /* 2 .. 16; SINGLE: 1 or 2; default 2 */
    int64_t  num_negatives; /* K; default 16384 */
    int64_t  dim;           /* D; default 128 */
    double   temperature;   /* > 0; default 0.07 */
    double   bank_momentum; /* 0 .. 1; default 0.5 */
    double   balance;       /* SINGLE, two inputs: PIRL's lambda, 0 .. 1; default 0.5 */
    double   epsilon;       /* NCE: >= 0; default 1e-7 */
    uint64_t seed;          /* of bank and draws; 0 (default): from the context */
    int32_t  pairing;       /* SSLCV_BANK_*; default CORE */
    int32_t  estimator;     /* SSLCV_ESTIMATOR_*; default NCE */
    int32_t  shared_z;      /* 1: one Z, of the first call's first term (VISSL); 0 (default): one for each term (CMC) */
    int32_t  exclude_self;  /* 1: row i is not drawn, no row twice (akwasigroch's PIRL); default 0 */
    int32_t  unit_init;     /* first rows uniform in +-sqrt(3 / dim); 1: then unit (VISSL); default 0 (CMC) */
    int32_t  bank_dtype;    /* SSLCV_F32 (default) or SSLCV_BF16 */
    const double *row_weights; /* (num_samples), >= 0: how often a row is drawn, as a share of their sum; copied; NULL
                                  (default): all alike. Not with exclude_self */
} sslcv_nce_bank_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_nce_bank_options_init(sslcv_nce_bank_options *options, size_t struct_size);

/**
 * Make a bank loss.
 *
 * @param context Not NULL.
 * @param options Not NULL.
 * @param loss    Out: owned.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (exclude_self with num_negatives >= num_samples).
 * @threads Any.
 * @since   0.1 (InstDisc, Wu et al. 2018; CMC, Tian et al. 2020; PIRL, Misra and van der Maaten 2020)
 */
SSLCV_API sslcv_status sslcv_loss_create_nce_bank(sslcv_context *context, const sslcv_nce_bank_options *options,
                                                  sslcv_loss **loss);

/* ---- swapped prediction: SwAV ---- */

/**
 * Swapped prediction. With scores s_v = unit(z_v).c_k over K unit prototypes c_k:
 *
 *     L   = mean over code views i, over views v != i, over N of -sum_k q_i[k] log softmax(s_v / temperature)[k]
 *     q_i = Sinkhorn( exp(s_i / epsilon) ): iterations times, each prototype's sum over the B rows to 1/K, then each
 *           row's sum over the prototypes to 1/B; at last times B. No gradient passes through it
 *
 * Inputs     one, (V, N, dim) grad; the first code_views views get codes, each view predicts those of the others.
 * Learns     "prototypes.weight" (K, dim), uniform at first. They are scored as unit rows, and a call that remembers
 *            writes those back; the gradient is of the unit row.
 * Remembers  with queue_size: "queue.0" ... (queue_size, dim) for each code view, unit rows, the newest first, filled
 *            from queue_start_epoch on; at first 0. While the last row is not 0, it is full: then its rows are scored
 *            with the current prototypes and stand beside the batch in Sinkhorn.
 * Metrics    "top1" (the code's largest prototype is predicted), "assignment_entropy" (of the mean code, nats: log K
 *            when all prototypes are used alike). A value within 1 % of log K in 100 calls in a row is told to the log,
 * once. Published  SwAV at batch 4096: freeze_steps 313; at batch 256: queue_size 1920 (3840 for both views),
 *            freeze_steps 5005.
 */
typedef struct sslcv_swapped_options {
    size_t   struct_size;
    int64_t  dim;               /* D; default 128 */
    int64_t  num_prototypes;    /* K; default 3000 */
    int64_t  code_views;        /* 1 .. V, at most 1024; default 2 */
    double   temperature;       /* > 0; default 0.1 */
    double   epsilon;           /* > 0, entropy of the codes; default 0.05 */
    int64_t  iterations;        /* of Sinkhorn, >= 1; default 3 */
    int64_t  queue_size;        /* rows for each code view, >= N; default 0: no queue */
    int64_t  queue_start_epoch; /* default 15 */
    int64_t  freeze_steps;      /* prototypes rest (no gradient, decay, momentum) in the first steps; default 0 */
    int64_t  hard_steps;        /* codes are rounded to one-hot in the first steps (VISSL); default 0 */
    uint64_t seed;              /* of the prototypes; 0 (default): from the context */
} sslcv_swapped_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_swapped_options_init(sslcv_swapped_options *options, size_t struct_size);

/**
 * Make a swapped prediction loss.
 *
 * @param context Not NULL.
 * @param options NULL: defaults.
 * @param loss    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1 (SwAV, Caron et al. 2020)
 */
SSLCV_API sslcv_status sslcv_loss_create_swapped(sslcv_context *context, const sslcv_swapped_options *options,
                                                 sslcv_loss **loss);

/* ---- clusters as labels: DeepCluster-v2 ---- */

/**
 * Cross-entropy against clusters made anew each epoch. With h over num_sets sets of K prototypes:
 *
 *     L = mean over h, over V * N rows whose label l is known, of -log softmax(unit(z).C_h / temperature)[l_h]
 *
 * At sslcv_loss_begin_epoch() set h clusters memory h mod memory_views by spherical k-means from random rows (a cluster
 * without members keeps its centre); the centres become C_h, the clusters the labels. Samples without a row have none.
 *
 * Inputs     one, (V, N, dim) grad; ids.
 * Remembers  "memory.0" ... (num_samples, dim): the last unit rows of the first memory_views views of each sample, 0:
 *            none yet; "prototypes.0.weight" ... (K, dim), unit rows, not learnt by gradient; "labels.0" ...
 *            (num_samples), i64, -1: none.
 * Start      before the first begin_epoch() one pass over the data through sslcv_loss_compute() with diff_inputs NULL,
 *            which only remembers (value 0); with a trainer, in a hook at the first SSLCV_EVENT_EPOCH_BEGIN. With fewer
 *            than K samples remembered begin_epoch() is SSLCV_ERR_STATE, and leaves the loss as it is.
 * Metrics    "top1" (the label's prototype is predicted). Of the last clustering, mean over h: "objective" (cosine of
 *            rows with their centres), "used" (share of clusters with members), "nmi" (of its labels with those before,
 *            0 without any).
 * Published  the defaults, with 6 views; K 3000 three times.
 */
typedef struct sslcv_cluster_options {
    size_t   struct_size;
    int64_t  num_samples;    /* in the data set; must be given */
    int64_t  dim;            /* D; default 128 */
    int64_t  num_prototypes; /* K, <= num_samples; default 3000 */
    int64_t  num_sets;       /* 1 .. 1024; default 3 */
    int64_t  memory_views;   /* 1 .. V; default 2 */
    int64_t  iterations;     /* of k-means, >= 0; default 10 */
    double   temperature;    /* > 0; default 0.1 */
    uint64_t seed;           /* of k-means; 0 (default): from the context */
} sslcv_cluster_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_cluster_options_init(sslcv_cluster_options *options, size_t struct_size);

/**
 * Make a cluster loss.
 *
 * @param context Not NULL.
 * @param options Not NULL.
 * @param loss    Out: owned.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (more prototypes than samples).
 * @threads Any.
 * @since   0.1 (DeepCluster-v2, Caron et al. 2020)
 */
SSLCV_API sslcv_status sslcv_loss_create_cluster(sslcv_context *context, const sslcv_cluster_options *options,
                                                 sslcv_loss **loss);

/* ---- contrastive predictive coding ---- */

/**
 * From the context c at (r, w) of a grid predict the encoding z at (r + k, w), for offsets k = first_offset ..
 * last_offset. With the candidates C (the positive among them) and rows r < rows - k:
 *
 *     L   = mean (or sum) over k of L_k; mean over directions
 *     L_k = mean over N, r, w of -log( exp(s(c_rw, z_r+k,w)) / sum over C of exp(s(c_rw, .)) )
 *     s   = score_scale * c.(W_k z), no bias; or with target_dim: score_scale * (A_k c + a_k).(B z + b)
 *
 * Inputs     two, both grad: 0 encodings (1, N, P, dim), 1 contexts (1, N, P, directions * context_dim), P = rows *
 *            columns, row-major; neither normalised. Part d of c sees the grid turned counter-clockwise by d * 90
 *            degrees, as the context heads' directions, and lies where the grid was before: 0 predicts what is below, 1
 *            to the left, 2 above, 3 to the right. It must not see what it predicts.
 * Candidates num_negatives > 0: the positive and so many of the batch's z, uniform with replacement over all samples,
 *            columns and rows >= k (the positive may be hit). 0: all N * P of the batch.
 * Learns     "predictor.d.k.weight" (context_dim, dim); with target_dim "predictor.d.k.weight" (target_dim,
 *            context_dim), "predictor.d.k.bias", "target.d.weight" (target_dim, dim), "target.d.bias". At first uniform
 *            in +-1 / sqrt(fan in).
 * Remembers  with num_negatives: "draws", the number of calls that remembered. Calls that do not repeat their draws.
 * Metrics    "top1" over all rows, where a draw of the positive itself is no rival; "mi_bound" over offsets and
 *            directions. Candidates are 1 + num_negatives, or N * P.
 * Published  Greedy InfoMax's CPC: defaults (the next row overlaps, so it is left out). CPC-v2's pseudo-code: offsets 3
 *            .. 3, num_negatives 0, target_dim 64, score_scale 0.1, SUM; directions 4 in the paper.
 */
typedef struct sslcv_cpc_options {
    size_t   struct_size;
    int64_t  dim;           /* of z; must be given */
    int64_t  context_dim;   /* of c in one direction; default 0: dim */
    int64_t  rows, columns; /* default 7, 7 */
    int64_t  first_offset;  /* nearest row predicted, >= 1; default 2 */
    int64_t  last_offset;   /* farthest, < rows (with 4 directions also < columns); default 6 */
    int64_t  num_negatives; /* default 16 */
    int64_t  target_dim;    /* default 0: bilinear */
    double   score_scale;   /* > 0, within float's range; default 1 */
    uint64_t seed;          /* of weights and draws; 0 (default): from the context */
    int32_t  directions;    /* 1 (default): downwards; 4: all */
    int32_t  reduction;     /* SSLCV_REDUCTION_* over k; default MEAN */
} sslcv_cpc_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_cpc_options_init(sslcv_cpc_options *options, size_t struct_size);

/**
 * Make a CPC loss.
 *
 * @param context Not NULL.
 * @param options Not NULL.
 * @param loss    Out: owned.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (last_offset outside the grid).
 * @threads Any.
 * @since   0.1 (CPC, Oord et al. 2018; Greedy InfoMax, Loewe et al. 2019; CPC-v2, Henaff et al. 2020)
 */
SSLCV_API sslcv_status sslcv_loss_create_cpc(sslcv_context *context, const sslcv_cpc_options *options,
                                             sslcv_loss **loss);

/* ---- prediction of a target: BYOL, SimSiam ---- */

/**
 * Predictions p that meet targets t:
 *
 *     L = mean (or sum) over the pairs of views of loss.h of mean over N of -cos(p, t)
 *         or, squared: |unit(p) - unit(t)|^2 = 2 - 2 cos(p, t)
 *
 * Inputs     two: 0 predictions (V, N, D) grad, 1 targets (W, N, D).
 * Metrics    "cosine", the mean over pairs and samples.
 * Published  SimSiam: defaults, -1 .. 1. BYOL: squared, SUM, 0 .. 8 with two views.
 */
typedef struct sslcv_cosine_options {
    size_t  struct_size;
    int32_t squared;   /* default 0 */
    int32_t reduction; /* SSLCV_REDUCTION_* over the pairs; default MEAN */
} sslcv_cosine_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_cosine_options_init(sslcv_cosine_options *options, size_t struct_size);

/**
 * Make a cosine loss.
 *
 * @param context Not NULL.
 * @param options NULL: defaults.
 * @param loss    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1 (BYOL, Grill et al. 2020; SimSiam, Chen and He 2021)
 */
SSLCV_API sslcv_status sslcv_loss_create_cosine(sslcv_context *context, const sslcv_cosine_options *options,
                                                sslcv_loss **loss);

/* ---- Barlow Twins ---- */

/**
 * Redundancy reduction. With Z_v = z_v less its mean over N, over sqrt(biased variance + 1e-5), and C = Z_0^T Z_1 / N:
 *
 *     L = sum_i (C_ii - 1)^2 + off_diagonal * sum over i != j of C_ij^2
 *
 * Inputs     one, (2, N, D) grad, N >= 2.
 * Metrics    "on_diagonal", "off_diagonal": the two sums.
 * Published  the authors' code: defaults; lightly 0.005. solo-learn's scale_loss is the weight at
 *            sslcv_trainer_add_loss().
 */
typedef struct sslcv_barlow_twins_options {
    size_t struct_size;
    double off_diagonal; /* lambda, 0 .. 3.4e38; default 0.0051 */
} sslcv_barlow_twins_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_barlow_twins_options_init(sslcv_barlow_twins_options *options, size_t struct_size);

/**
 * Make a Barlow Twins loss.
 *
 * @param context Not NULL.
 * @param options NULL: defaults.
 * @param loss    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1 (Zbontar et al. 2021)
 */
SSLCV_API sslcv_status sslcv_loss_create_barlow_twins(sslcv_context *context, const sslcv_barlow_twins_options *options,
                                                      sslcv_loss **loss);

/* ---- VICReg ---- */

/**
 * Variance, invariance, covariance. var and cov are over the samples, by N - 1:
 *
 *     L =   weight_invariance * mean over N, D of (z_0 - z_1)^2
 *         + weight_variance   * 1/2 sum over v of mean over D of max(0, 1 - sqrt(var(z_v) + 1e-4))
 *         + weight_covariance * sum over v of sum over i != j of cov(z_v)_ij^2 / D
 *
 * Inputs     one, (2, N, D) grad, N >= 2. Refused when covariances leave the range of f32.
 * Metrics    "invariance", "variance", "covariance": the three terms without their weights.
 * Published  the authors' code: defaults. The paper's formula, invariance by N only and variance not halved:
 *            weight_invariance 25 D, weight_variance 50.
 */
typedef struct sslcv_vicreg_options {
    size_t struct_size;
    double weight_invariance; /* 0 .. 3.4e38; default 25 */
    double weight_variance;   /* likewise; default 25 */
    double weight_covariance; /* likewise; default 1 */
} sslcv_vicreg_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_vicreg_options_init(sslcv_vicreg_options *options, size_t struct_size);

/**
 * Make a VICReg loss.
 *
 * @param context Not NULL.
 * @param options NULL: defaults.
 * @param loss    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1 (Bardes et al. 2022)
 */
SSLCV_API sslcv_status sslcv_loss_create_vicreg(sslcv_context *context, const sslcv_vicreg_options *options,
                                                sslcv_loss **loss);

/* ---- self-distillation: DINO ---- */

/**
 * Self-distillation. Scores s of the student, t of the teacher:
 *
 *     L = mean over the pairs of views of loss.h, over N, of
 *         -sum_k softmax((t - center) / teacher_temperature)[k] log softmax(s / student_temperature)[k]
 *
 * Inputs     two: 0 student (V, N, dim) grad, 1 teacher (W, N, dim), its first W views. Both end in
 *            sslcv_head_create_prototypes(), the teacher's in a momentum copy.
 * Remembers  "center" (dim), at first 0. After scoring it becomes center_momentum * center + (1 - center_momentum) *
 *            mean of t over W and N.
 * Metrics    "assignment_entropy" (of the teacher's mean assignment), "teacher_entropy" (mean of its rows'),
 *            "divergence" (mean Kullback-Leibler divergence of student from teacher); nats. Collapse: teacher_entropy
 *            at log dim, or assignment_entropy at 0.
 * Published  defaults. A warm-up of teacher_temperature: sslcv_loss_set() in a hook.
 */
typedef struct sslcv_dino_options {
    size_t  struct_size;
    int64_t dim;                 /* prototypes; default 65536 */
    double  student_temperature; /* > 0; default 0.1 */
    double  teacher_temperature; /* > 0; default 0.04 */
    double  center_momentum;     /* 0 .. 1; default 0.9 */
} sslcv_dino_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dino_options_init(sslcv_dino_options *options, size_t struct_size);

/**
 * Make a DINO loss.
 *
 * @param context Not NULL.
 * @param options NULL: defaults.
 * @param loss    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1 (Caron et al. 2021)
 */
SSLCV_API sslcv_status sslcv_loss_create_dino(sslcv_context *context, const sslcv_dino_options *options,
                                              sslcv_loss **loss);

/* ---- cross-entropy ---- */

/**
 * Classification: labels of the data set, or pseudo-labels (DeepCluster), or soft targets.
 *
 *     L = mean over V * N rows x of -sum_c y[c] log softmax(x)[c]
 *     y = (1 - label_smoothing) * onehot(label) + label_smoothing / C; or the row of targets, smoothed likewise
 *
 * Inputs     one, logits (V, N, C) grad; labels 0 .. C - 1, or targets (N, C), >= 0, if there are any. Rows with label
 *            -1 are left out of sum and count; if all are, the value is 0.
 * Metrics    "top1", of the rows that count; with targets, of their first largest entry.
 */
typedef struct sslcv_cross_entropy_options {
    size_t struct_size;
    double label_smoothing; /* 0 .. 1; default 0 */
} sslcv_cross_entropy_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_cross_entropy_options_init(sslcv_cross_entropy_options *options, size_t struct_size);

/**
 * Make a cross-entropy loss.
 *
 * @param context Not NULL.
 * @param options NULL: defaults.
 * @param loss    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loss_create_cross_entropy(sslcv_context *context,
                                                       const sslcv_cross_entropy_options *options, sslcv_loss **loss);

/* ---- binary cross-entropy ---- */

/**
 * Several labels an image, a yes or no for each class.
 *
 *     L = mean over V * N rows, mean (or sum) over classes c, of -( y log sigmoid(x) + (1 - y) log(1 - sigmoid(x)) )
 *
 * Inputs     one, logits (V, N, C) grad; targets (N, C), 0 .. 1. Entries below 0 are left out of sum and count (VOC's
 *            "difficult"), and so are rows that have no others; if all are, the value is 0. MEAN is over all entries
 *            that count, however many a row has.
 * Metrics    "accuracy": share of the entries that count on their target's side of 1/2; a logit of 0 has none.
 */
typedef struct sslcv_binary_cross_entropy_options {
    size_t  struct_size;
    int32_t reduction; /* SSLCV_REDUCTION_* over classes; default MEAN (PyTorch) */
    int32_t reserved;  /* 0 */
} sslcv_binary_cross_entropy_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_binary_cross_entropy_options_init(sslcv_binary_cross_entropy_options *options,
                                                               size_t struct_size);

/**
 * Make a binary cross-entropy loss.
 *
 * @param context Not NULL.
 * @param options NULL: defaults.
 * @param loss    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loss_create_binary_cross_entropy(sslcv_context *context,
                                                              const sslcv_binary_cross_entropy_options *options,
                                                              sslcv_loss **loss);

#ifdef __cplusplus
}
#endif
#endif
