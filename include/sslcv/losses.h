/**
 * @file losses.h
 * The built-in losses, a block each: what it computes, options, _init(), create. docs/losses/ has a page for each with
 * derivation, cost and sources.
 *
 *     info_nce        SimCLR, and other contrast within a batch
 *     cross_entropy   labels, pseudo-labels, soft targets
 *
 * In the formulas: "grad" marks an input that receives a gradient, the others are constants to the loss. mean over N is
 * over the samples of the call. unit(x) = x / max(|x|, 1e-12); gradients pass through it. cos(x, y) = unit(x).unit(y).
 * log is the natural one. Defaults are those of the authors' code for ImageNet.
 */
#ifndef SSLCV_LOSSES_H
#define SSLCV_LOSSES_H

#include "loss.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Where publications differ by a constant factor: over what, each block says. Samples are always averaged. */
enum sslcv_reduction { SSLCV_REDUCTION_MEAN = 0, SSLCV_REDUCTION_SUM = 1 };

/* ---- InfoNCE: SimCLR ---- */

/**
 * InfoNCE. An anchor a, its positive p, its candidates C (p among them):
 *
 *     L = mean (or sum) over the anchor's views of mean over N of
 *         -log( exp(cos(a, p) / temperature) / sum over c in C of exp(cos(a, c) / temperature) )
 *
 * Inputs     one, (V, N, D) grad, V >= 2: NT-Xent. Every row is an anchor, C all V * N rows but itself; with V > 2 the
 *            mean over its V - 1 positives.
 *            two, 0 queries (V, N, D) grad, 1 keys (W, N, D) grad, W <= V: the pairs of loss.h, mean over the keys'
 *            views; C is the N keys of that view. Views of the queries without a pair are left out.
 * Metrics    "top1", "mi_bound": candidates are V * N - 1, or N.
 * Published  SimCLR's paper: defaults; its TensorFlow code, twice that: SUM. Keys as anchors too: call it again with
 *            the inputs exchanged, or append it to a trainer as {0, 1} and {1, 0}.
 */
typedef struct sslcv_info_nce_options {
    size_t  struct_size;
    double  temperature; /* > 0; default 0.1 (SimCLR; its CIFAR recipe 0.5) */
    int32_t reduction;   /* SSLCV_REDUCTION_* over the anchor's views; default MEAN */
    int32_t reserved;    /* 0 */
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
 * @since   0.1 (Oord et al. 2018; SimCLR, Chen et al. 2020)
 */
SSLCV_API sslcv_status sslcv_loss_create_info_nce(sslcv_context *context, const sslcv_info_nce_options *options,
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

#ifdef __cplusplus
}
#endif
#endif
