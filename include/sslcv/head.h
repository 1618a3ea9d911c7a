/**
 * @file head.h
 * The head: what stands between features and loss. Projection, predictor, classifier, patch head, context network.
 *
 *     sslcv_mlp_options_init(&options, sizeof options);
 *     options.in_dim = 512; options.hidden_dim = 512; options.out_dim = 128;
 *     sslcv_head_create_mlp(context, &options, &head);
 *
 * First the kinds, each with its options and its create function; then what all heads share. Nothing but creation
 * differs between kinds.
 *
 *     mlp           projection, predictor, classifier       pixelcnn      context network (CPC)
 *     patch_mlp     an MLP a patch, then joined (PIRL)      cpc_v2        context network (CPC-v2)
 *     prototypes    unit rows (DINO)                        custom        callbacks
 *
 * Input and output have the axes (V, N, P, D) of sslcv.h; axes that an input lacks are 1. An MLP works on D alone; the
 * patch head merges P into one vector; a context network mixes along P.
 */
#ifndef SSLCV_HEAD_H
#define SSLCV_HEAD_H

#include "backbone.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_head sslcv_head;

/* ---- multi-layer perceptron ---- */

enum sslcv_activation {
    SSLCV_ACTIVATION_RELU = 0,
    SSLCV_ACTIVATION_GELU = 1  /* x Phi(x), not the approximation by tanh */
};

enum sslcv_last_norm {
    SSLCV_LAST_NORM_NONE     = 0,
    SSLCV_LAST_NORM_BATCH    = 1,
    SSLCV_LAST_NORM_NO_SHIFT = 2, /* scale without shift (SimCLR) */
    SSLCV_LAST_NORM_PLAIN    = 3  /* neither (SimSiam, Barlow Twins) */
};

/**
 * num_layers linear layers: in_dim -> hidden_dim ... -> out_dim, each but the last followed by norm and activation; the
 * last by last_norm, then normalize. One layer is a classifier.
 */
typedef struct sslcv_mlp_options {
    size_t   struct_size;
    int64_t  in_dim;     /* >= 1; must be given */
    int64_t  hidden_dim; /* default 0: in_dim */
    int64_t  out_dim;    /* default 128 */
    double   dropout;    /* before each layer, 0 .. 1, in TRAIN passes; draws: sslcv_pass.random; default 0 */
    double   init_std;   /* > 0: normal weights and zero biases; 0 (default): uniform as torchvision's */
    uint64_t seed;       /* 0 (default): from the context */
    int32_t  num_layers; /* default 2 */
    int32_t  norm;       /* SSLCV_NORM_* after hidden layers; default BATCH */
    int32_t  last_norm;  /* SSLCV_LAST_NORM_*; default NONE */
    int32_t  activation; /* SSLCV_ACTIVATION_*; default RELU */
    int32_t  bias;       /* of hidden layers; default 1 */
    int32_t  last_bias;  /* of the last layer; default 1 */
    int32_t  normalize;  /* 1: L2-normalise each output row; default 0, as losses normalise what they must */
    int32_t  reserved;   /* 0 */
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

/* ---- patch head: PIRL ---- */

/**
 * An MLP in_dim -> patch_dim on each patch, with ReLU between its layers, the results joined in the patches' order:
 * num_patches * patch_dim -> out_dim, linear. Output: P = 1. VISSL's jigsaw head: defaults; its MLP variant: 2 layers.
 * Tensors: "patch.0", "patch.2" ... as in nn.Sequential, and "join", whose columns are blocks of patch_dim a patch.
 */
typedef struct sslcv_patch_mlp_options {
    size_t   struct_size;
    int64_t  in_dim;      /* >= 1; must be given */
    int64_t  num_patches; /* P at the input; default 9 */
    int64_t  hidden_dim;  /* default 0: in_dim */
    int64_t  patch_dim;   /* default 128 */
    int64_t  out_dim;     /* default 128 */
    uint64_t seed;        /* 0 (default): from the context */
    int32_t  num_layers;  /* of the MLP on each patch; default 1 */
    int32_t  reserved;    /* 0 */
} sslcv_patch_mlp_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_patch_mlp_options_init(sslcv_patch_mlp_options *options, size_t struct_size);

/**
 * Make a patch head with random weights.
 *
 * @param context Not NULL.
 * @param options Not NULL.
 * @param head    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1 (PIRL, Misra and van der Maaten 2020)
 */
SSLCV_API sslcv_status sslcv_head_create_patch_mlp(sslcv_context *context, const sslcv_patch_mlp_options *options,
                                                   sslcv_head **head);

/* ---- prototypes: DINO's last layer ---- */

/**
 * Scores against prototypes: L2-normalise, then one linear layer with unit rows and no bias. Only the directions of the
 * rows of "prototypes.weight" count, and gradients are those of directions (weight normalisation with gain 1). For
 * prototypes that a momentum copy must follow (DINO); those of SwAV and DeepCluster-v2 are in their losses.
 */
typedef struct sslcv_prototypes_options {
    size_t   struct_size;
    int64_t  in_dim;  /* >= 1; must be given */
    int64_t  out_dim; /* prototypes; default 65536 */
    uint64_t seed;    /* 0 (default): from the context */
} sslcv_prototypes_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_prototypes_options_init(sslcv_prototypes_options *options, size_t struct_size);

/**
 * Make a head of prototypes with random weights.
 *
 * @param context Not NULL.
 * @param options Not NULL.
 * @param head    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1 (DINO, Caron et al. 2021)
 */
SSLCV_API sslcv_status sslcv_head_create_prototypes(sslcv_context *context, const sslcv_prototypes_options *options,
                                                    sslcv_head **head);

/* ---- context network: CPC ---- */

/**
 * Gated masked convolutions over a rows x columns grid: 3x3, nothing from below; tanh * sigmoid gates, vertical to
 * horizontal stack, residual from the second layer on; at last 1x1 to out_dim. The context at a row depends on that
 * row and those above it, as Greedy InfoMax has it; each layer looks one row up and one column aside. Its weights see
 * the places of a convolution side by side: columns are blocks of the input's width, from left to right, top to bottom.
 */
typedef struct sslcv_pixelcnn_options {
    size_t   struct_size;
    int64_t  in_dim;        /* >= 1; must be given */
    int64_t  hidden_dim;    /* default 0: in_dim */
    int64_t  out_dim;       /* in one direction; default 0: in_dim */
    int64_t  rows, columns; /* P = rows * columns; default 7, 7 */
    uint64_t seed;          /* 0 (default): from the context */
    int32_t  num_layers;    /* default 4 */
    int32_t  directions;    /* 1 (default), or 4: run on the grid turned counter-clockwise by 0, 90, 180, 270 degrees
                               with one set of weights, turned back, D joined: 4 * out_dim, as the cpc loss reads it */
} sslcv_pixelcnn_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_pixelcnn_options_init(sslcv_pixelcnn_options *options, size_t struct_size);

/**
 * Make a PixelCNN with random weights.
 *
 * @param context Not NULL.
 * @param options Not NULL.
 * @param head    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1 (Oord et al. 2016; CPC, Oord et al. 2018; Greedy InfoMax, Loewe et al. 2019)
 */
SSLCV_API sslcv_status sslcv_head_create_pixelcnn(sslcv_context *context, const sslcv_pixelcnn_options *options,
                                                  sslcv_head **head);

/* ---- context network: CPC-v2 ---- */

/**
 * Residual blocks over a rows x columns grid: 1x1 to hidden_dim, ReLU, 1x3, 2x1 with a zero row on top, ReLU, 1x1 back
 * to in_dim, added; a ReLU after the last. A block looks one row up and one column aside. Output: in_dim.
 */
typedef struct sslcv_cpc_v2_options {
    size_t   struct_size;
    int64_t  in_dim;        /* >= 1; must be given */
    int64_t  hidden_dim;    /* default 256 */
    int64_t  rows, columns; /* P = rows * columns; default 7, 7 */
    uint64_t seed;          /* 0 (default): from the context */
    int32_t  num_blocks;    /* default 5 */
    int32_t  directions;    /* 1 (default), or 4, as in sslcv_pixelcnn_options: 4 * in_dim */
} sslcv_cpc_v2_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_cpc_v2_options_init(sslcv_cpc_v2_options *options, size_t struct_size);

/**
 * Make a context network of CPC-v2 with random weights.
 *
 * @param context Not NULL.
 * @param options Not NULL.
 * @param head    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1 (CPC-v2, Henaff et al. 2020, appendix)
 */
SSLCV_API sslcv_status sslcv_head_create_cpc_v2(sslcv_context *context, const sslcv_cpc_v2_options *options,
                                                    sslcv_head **head);

/* ---- a head of the host ---- */

/**
 * A head of the host. Its parameters are tensors added to its state (sslcv_state_add()), so they are saved, optimised
 * and copied for EMA like any others; state is that of the copy being run, lent for the call. Called on the thread inside
 * the library, which it may call, but not this head. Arrays are dense f32 and hold zeros where they are to be filled.
 * What it leaves is checked: NaN or infinity is SSLCV_ERR_NUMERIC. A backward that fails leaves gradients as they were.
 *
 * pass is the library's struct, valid during the call. backward sees what the forward that it runs back has seen.
 *
 *     struct_size    the library's sizeof (sslcv_pass): fields behind it are not there
 *     flags          TRAIN, GRADIENT, SHUFFLE as given to sslcv_head_forward(), or of the trainer's branch; there
 *                    GRADIENT only where a backward may follow. MAP and INPUT_GRADIENT never
 *     bn_splits      as given, for a batch norm of the host's own; rows of in and out are in the caller's order
 *     random         what to draw from. TRAIN: never 0, the number given, the trainer's or the tape's (tape.h), so that
 *                    backward can draw again what forward has drawn; else as given
 *     stage          NULL
 */
typedef struct sslcv_head_callbacks {
    size_t  struct_size;
    void   *user;
    /** in: (V, N, P, in_dim); out: (V, N, out_patches, out_dim), to be filled. Non-zero: stop. */
    int32_t (*forward)(void *user, sslcv_state *state, const sslcv_tensor *in, sslcv_tensor *out,
                       const sslcv_pass *pass);
    /** in, out, pass: as at forward. Fill diff_in, add to the gradients in state. Non-zero: stop. */
    int32_t (*backward)(void *user, sslcv_state *state, const sslcv_tensor *in, const sslcv_tensor *out,
                        const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *pass);
    void    (*destroy)(void *user); /* once, when the last head that shares the table is gone; may be NULL */
    int64_t in_dim;                 /* >= 1 */
    int64_t out_dim;                /* >= 1 */
    int64_t out_patches;            /* P at the output; 0: as at the input */
} sslcv_head_callbacks;

/**
 * Set the defaults: NULL and 0.
 *
 * @param callbacks   Out: not NULL.
 * @param struct_size sizeof *callbacks as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_head_callbacks_init(sslcv_head_callbacks *callbacks, size_t struct_size);

/**
 * Make a head of the host.
 *
 * @param context   Not NULL.
 * @param callbacks Not NULL; copied.
 * @param head      Out: owned.
 * @return SSLCV_OK. On failure callbacks->destroy is not called.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_head_create_custom(sslcv_context *context, const sslcv_head_callbacks *callbacks,
                                                sslcv_head **head);

/* ---- all heads ---- */

typedef struct sslcv_head_info {
    size_t      struct_size;
    const char *kind; /* constant text: "mlp", "patch_mlp" ... "custom"; names as above */
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
 * Copy into an independent head; custom heads share their callbacks.
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
 * Draw new weights, as at creation; running statistics begin anew, custom tensors become zero, gradients are gone. What
 * is frozen is drawn too, and stays frozen. Optimizers that hold the head forget what they keep of it: momentum, second
 * moment, number of updates. Momentum copies stay as they are.
 *
 * @param head Not NULL.
 * @param seed Other than 0.
 * @return SSLCV_OK.
 * @threads One thread at a time per head.
 * @since   0.1 (DeepCluster re-makes its classifier every epoch)
 */
SSLCV_API sslcv_status sslcv_head_reset(sslcv_head *head, uint64_t seed);

/**
 * Run features through.
 *
 * @param head  Not NULL.
 * @param input (N, D), (V, N, D) or (V, N, P, D), f32, any strides; borrowed for the call (the tape keeps what it
 *              needs).
 * @param pass  NULL: defaults. Output: the axes of the input, with P and D as this head makes them.
 * @param tape  Receives output and activations; replaces what it held.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (a single row through a batch norm in training); SSLCV_ERR_NUMERIC (NaN or infinity
 *         in the input; nothing has changed; or in what a custom head gives); SSLCV_ERR_CANCELLED (custom head failed).
 * @threads As sslcv_backbone_forward(); custom heads one thread at a time.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_head_forward(sslcv_head *head, const sslcv_tensor *input, const sslcv_pass *pass,
                                          sslcv_tape *tape);

#ifdef __cplusplus
}
#endif
#endif
