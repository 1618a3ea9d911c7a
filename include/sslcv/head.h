/**
 * @file head.h
 * The head: what stands between features and loss. Projection, predictor, classifier.
 *
 *     sslcv_mlp_options_init(&options, sizeof options);
 *     options.in_dim = 512; options.hidden_dim = 512; options.out_dim = 128;
 *     sslcv_head_create_mlp(context, &options, &head);
 *
 * First the kinds, each with its options and its create function; then what all heads share. Nothing but creation
 * differs between kinds.
 *
 *     mlp           projection, predictor, classifier
 *
 * Input and output have the axes (V, N, P, D) of sslcv.h. An MLP works on D alone.
 */
#ifndef SSLCV_HEAD_H
#define SSLCV_HEAD_H

#include "backbone.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_head sslcv_head;

/* ---- multi-layer perceptron ---- */

enum sslcv_norm {
    SSLCV_NORM_NONE  = 0,
    SSLCV_NORM_BATCH = 1
};

enum sslcv_last_norm {
    SSLCV_LAST_NORM_NONE     = 0,
    SSLCV_LAST_NORM_BATCH    = 1,
    SSLCV_LAST_NORM_NO_SHIFT = 2, /* scale without shift (SimCLR) */
    SSLCV_LAST_NORM_PLAIN    = 3  /* neither (SimSiam, Barlow Twins) */
};

/**
 * num_layers linear layers: in_dim -> hidden_dim ... -> out_dim, each but the last followed by norm and ReLU; the
 * last by last_norm, then normalize. One layer is a classifier.
 */
typedef struct sslcv_mlp_options {
    size_t   struct_size;
    int64_t  in_dim;     /* >= 1; must be given */
    int64_t  hidden_dim; /* default 0: in_dim */
    int64_t  out_dim;    /* default 128 */
    double   init_std;   /* > 0: normal weights and zero biases; 0 (default): uniform as torchvision's */
    uint64_t seed;       /* 0 (default): from the context */
    int32_t  num_layers; /* default 2 */
    int32_t  norm;       /* SSLCV_NORM_* after hidden layers; default BATCH */
    int32_t  last_norm;  /* SSLCV_LAST_NORM_*; default NONE */
    int32_t  bias;       /* of hidden layers; default 1 */
    int32_t  last_bias;  /* of the last layer; default 1 */
    int32_t  normalize;  /* 1: L2-normalise each output row; default 0, as losses normalise what they must */
} sslcv_mlp_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_mlp_options_init(sslcv_mlp_options *options, size_t struct_size);

/**
 * Make an MLP with random weights.
 *
 * @param context Not NULL.
 * @param options Not NULL.
 * @param head    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_head_create_mlp(sslcv_context *context, const sslcv_mlp_options *options,
                                             sslcv_head **head);

/* ---- all heads ---- */

typedef struct sslcv_head_info {
    size_t      struct_size;
    const char *kind; /* constant text: "mlp" */
    int64_t     in_dim, out_dim;
    int64_t     num_parameters;
} sslcv_head_info;

/**
 * Give back the caller's reference; NULL is accepted.
 *
 * @param head NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_head_destroy(sslcv_head *head);

/**
 * Copy into an independent head.
 *
 * @param head Not NULL.
 * @param copy Out: owned.
 * @return SSLCV_OK.
 * @threads One thread at a time per head.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_head_clone(const sslcv_head *head, sslcv_head **copy);

/**
 * Its tensors; state.h.
 *
 * @param head  Not NULL.
 * @param state Out: owned, keeps the head alive.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_head_get_state(sslcv_head *head, sslcv_state **state);

/**
 * Describe it.
 *
 * @param head Not NULL.
 * @param info In: struct_size. Out: the rest.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_head_get_info(const sslcv_head *head, sslcv_head_info *info);

/**
 * Run features through.
 *
 * @param head  Not NULL.
 * @param input (N, D), (V, N, D) or (V, N, P, D), f32, any strides; borrowed for the call (the tape keeps what it
 *              needs).
 * @param pass  NULL: defaults. Output: the axes of the input, with P and D as this head makes them.
 * @param tape  Receives output and activations; replaces what it held.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (a single row through a batch norm in training); SSLCV_ERR_NUMERIC (NaN or infinity
 *         in the input; nothing has changed).
 * @threads As sslcv_backbone_forward().
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_head_forward(sslcv_head *head, const sslcv_tensor *input, const sslcv_pass *pass,
                                          sslcv_tape *tape);

#ifdef __cplusplus
}
#endif
#endif
