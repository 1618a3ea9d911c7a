/**
 * @file backbone.h
 * The backbone: architecture, parameters and running statistics of the network that is to be learnt.
 *
 *     sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18);
 *     options.stem = SSLCV_STEM_CIFAR;
 *     sslcv_backbone_create(context, &options, &backbone);
 *
 * Stages in order: "stem", "layer1" ... "layer4" of a ResNet, "conv1" ... "conv5", "fc6", "fc7" of an AlexNet, pooling
 * included; or the first num_stages of them. A pass stops after a stage and gives its spatial mean, or its map with
 * SSLCV_PASS_MAP; fc6 and fc7 give rows, maps of one pixel. With preactivation the last stage ends with its norm and
 * ReLU, those before it with a bare sum.
 */
#ifndef SSLCV_BACKBONE_H
#define SSLCV_BACKBONE_H

#include "state.h"
#include "tape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_backbone sslcv_backbone;

enum sslcv_architecture {
    SSLCV_BACKBONE_RESNET18     = 1,
    SSLCV_BACKBONE_RESNET34     = 2,
    SSLCV_BACKBONE_RESNET50     = 3,
    SSLCV_BACKBONE_RESNET101    = 4,
    SSLCV_BACKBONE_ALEXNET      = 5, /* DeepCluster's convolutions, 96-256-384-384-256 */
    SSLCV_BACKBONE_ALEXNET_HALF = 6  /* CMC's, 48-128-192-192-128, with fc6 and fc7 */
};

enum sslcv_stem {
    SSLCV_STEM_IMAGENET = 0, /* 7x7 stride 2, max pooling */
    SSLCV_STEM_CIFAR    = 1, /* 3x3 stride 1, no pooling */
    SSLCV_STEM_GIM      = 2  /* 5x5 stride 1, no pooling: small patches (CPC) */
};

enum sslcv_norm {
    SSLCV_NORM_NONE  = 0, /* convolutions get a bias */
    SSLCV_NORM_BATCH = 1,
    SSLCV_NORM_GROUP = 2, /* 32 groups, which must divide the channels: width and stem_channels say so */
    SSLCV_NORM_LAYER = 3  /* one group */
};

typedef struct sslcv_backbone_options {
    size_t   struct_size;
    int32_t  architecture;        /* set by init */
    int32_t  stem;                /* SSLCV_STEM_*; default IMAGENET */
    int32_t  norm;                /* SSLCV_NORM_*; default BATCH */
    int32_t  zero_init_residual;  /* 1 (default): last norm of each block starts at 0 (off in MoCo, SwAV, PIRL); the last
                                     convolution, where norm is NONE or stands before the convolutions */
    int32_t  project_all;         /* 1: projection shortcut at the head of every stage (SimCLR's ResNet); default 0 */
    int32_t  num_stages;          /* keep only the first, stem included; 0 (default): all, 5 or 7 (CPC: 4) */
    int32_t  preactivation;       /* 1: ResNet-v2: norm and ReLU before each convolution of a block and behind the last
                                     block; the stem is a convolution alone (CPC); default 0 */
    int32_t  reserved;            /* 0 */
    int64_t  channels;            /* of the images, 1 .. 16; default 3 */
    int64_t  stem_channels;       /* of the first convolution; 0 (default): 64 * width (CMC keeps 64), AlexNet's 96 */
    int64_t  image_size;          /* height and width of the images that AlexNet's fc6 is for, 63 or more; 0 (default):
                                     224. Others may pass up to conv5. Of no effect on the rest */
    double   width;               /* factor on the channels of every stage, 1/64 .. 16; default 1 */
    double   norm_epsilon;        /* default 1e-5 */
    double   norm_momentum;       /* share of the new batch in running statistics; default 0.1 */
    uint64_t seed;                /* of the initial weights; 0: from the context */
} sslcv_backbone_options;

typedef struct sslcv_backbone_info {
    size_t  struct_size;
    int64_t channels;       /* of the images */
    int64_t feature_dim;    /* D of the last stage */
    int64_t num_parameters; /* scalars */
    int32_t num_stages;
    int32_t frozen_stages;
    int32_t architecture;   /* this and what follows: as in sslcv_backbone_options, also of a file's network */
    int32_t stem;
    int32_t norm;
    int32_t preactivation;
    double  width;
    int64_t stem_channels;
    int64_t image_size;     /* AlexNet's; 0 of others */
} sslcv_backbone_info;

/**
 * Set the defaults.
 *
 * @param options      Out: not NULL.
 * @param struct_size  sizeof *options as the caller knows it.
 * @param architecture SSLCV_BACKBONE_RESNET18 ...
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_backbone_options_init(sslcv_backbone_options *options, size_t struct_size,
                                                   int32_t architecture);

/**
 * Make a backbone with random weights.
 *
 * @param context  Not NULL.
 * @param options  Not NULL.
 * @param backbone Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1 (He et al. 2016; initialisation as torchvision's, biases of convolutions 0)
 */
SSLCV_API sslcv_status sslcv_backbone_create(sslcv_context *context, const sslcv_backbone_options *options,
                                             sslcv_backbone **backbone);

/**
 * Make a backbone from a weights file, or from a checkpoint, of this library or another (docs/weights.md): the
 * architecture is told from names and shapes. What these cannot tell, layer norm from group norm and preactivation
 * without norms, is read from the metadata that this library writes; a file without it is taken to hold group norm and
 * no preactivation. A file of the first stages gives a backbone of those, also of the stem alone if no other tensor is
 * behind the prefix. One with layers that no architecture of this library has is refused; heads are left out.
 *
 * @param context  Not NULL.
 * @param path     As in sslcv_state_load().
 * @param options  As in sslcv_state_load(); prefix "backbone.0." takes the network of a checkpoint. With NULL, a prefix
 *                 that is not known serves too, if only one network is in the file. The number of image channels is
 *                 the file's, so that adapt_input finds nothing to do.
 * @param backbone Out: owned.
 * @return As sslcv_state_load(); SSLCV_ERR_UNSUPPORTED (no architecture of this library fits; or several networks, none
 *         of which has a known prefix).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_backbone_load(sslcv_context *context, const char *path, const sslcv_load_options *options,
                                           sslcv_backbone **backbone);

/**
 * Give back the caller's reference; NULL is accepted.
 *
 * @param backbone NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_backbone_destroy(sslcv_backbone *backbone);

/**
 * Copy architecture, parameters, statistics and frozen stages into an independent backbone.
 *
 * @param backbone Not NULL.
 * @param copy     Out: owned.
 * @return SSLCV_OK.
 * @threads One thread at a time per backbone.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_backbone_clone(const sslcv_backbone *backbone, sslcv_backbone **copy);

/**
 * Its tensors; state.h.
 *
 * @param backbone Not NULL.
 * @param state    Out: owned, keeps the backbone alive.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_backbone_get_state(sslcv_backbone *backbone, sslcv_state **state);

/**
 * Describe it.
 *
 * @param backbone Not NULL.
 * @param info     In: struct_size. Out: the rest.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_backbone_get_info(const sslcv_backbone *backbone, sslcv_backbone_info *info);

/**
 * Name and width of a stage.
 *
 * @param backbone Not NULL.
 * @param index    0 .. num_stages - 1.
 * @param name     Out: constant text; may be NULL.
 * @param dim      Out: channels of its map; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_backbone_get_stage(const sslcv_backbone *backbone, int64_t index, const char **name,
                                                int64_t *dim);

/**
 * Freeze the first stages: their parameters and running statistics do not change, their batch norm runs in evaluation
 * mode, no gradient is computed and its memory is given back: it reads as zeros and cannot be set.
 *
 * @param backbone   Not NULL.
 * @param num_stages 0: none; 1: the stem; 2: and layer1; ... all of them: a fixed feature extractor.
 * @return SSLCV_OK; SSLCV_ERR_STATE (a trainer that uses it has begun; a clone may be frozen otherwise);
 *         SSLCV_ERR_OUT_OF_MEMORY (memory for gradients of what is thawed; nothing is).
 * @threads One thread at a time per backbone.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_backbone_freeze(sslcv_backbone *backbone, int32_t num_stages);

/**
 * Run images through.
 *
 * @param backbone Not NULL.
 * @param images   (M, C, H, W), f32, any strides, normalised as the views do; borrowed for the call.
 * @param pass     NULL: defaults (training, with gradient). Output: (M, D), or (M, D, h, w) with SSLCV_PASS_MAP.
 * @param tape     Receives output and activations; replaces what it held.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such stage); SSLCV_ERR_LIMIT (too small an image for the strides, or one
 *         of another size than fc6 is for; in training one value a channel in a batch norm, as of a single image with a 1 x 1 map); SSLCV_ERR_NUMERIC (NaN
 *         or infinity in the images or in a batch's statistics; nothing has changed).
 * @threads Flags without TRAIN: any number of threads at once, each with its own tape. Else one at a time per backbone.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_backbone_forward(sslcv_backbone *backbone, const sslcv_tensor *images,
                                              const sslcv_pass *pass, sslcv_tape *tape);

#ifdef __cplusplus
}
#endif
#endif
