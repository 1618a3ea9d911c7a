/**
 * @file backbone.h
 * The backbone: architecture, parameters and running statistics of the network that is to be learnt.
 *
 *     sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18);
 *     options.stem = SSLCV_STEM_CIFAR;
 *     sslcv_backbone_create(context, &options, &backbone);
 *
 * Stages in order: "stem", "layer1" ... "layer4". A pass stops after a stage and gives its spatial mean, or its map
 * with SSLCV_PASS_MAP.
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
    SSLCV_BACKBONE_RESNET18  = 1,
    SSLCV_BACKBONE_RESNET34  = 2,
    SSLCV_BACKBONE_RESNET50  = 3,
    SSLCV_BACKBONE_RESNET101 = 4
};

enum sslcv_stem {
    SSLCV_STEM_IMAGENET = 0, /* 7x7 stride 2, max pooling */
    SSLCV_STEM_CIFAR    = 1  /* 3x3 stride 1, no pooling */
};

typedef struct sslcv_backbone_options {
    size_t   struct_size;
    int32_t  architecture;        /* set by init */
    int32_t  stem;                /* SSLCV_STEM_*; default IMAGENET */
    int32_t  zero_init_residual;  /* 1 (default): last norm of each block starts at 0 (off in MoCo, SwAV, PIRL) */
    int32_t  reserved;            /* 0 */
    int64_t  channels;            /* of the images, 1 .. 16; default 3 */
    int64_t  stem_channels;       /* of the stem's convolution; 0 (default): 64 * width (CMC keeps 64) */
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
 * @since   0.1 (He et al. 2016; initialisation as torchvision's)
 */
SSLCV_API sslcv_status sslcv_backbone_create(sslcv_context *context, const sslcv_backbone_options *options,
                                             sslcv_backbone **backbone);

/**
 * Make a backbone from a weights file, or from a checkpoint: the architecture is read from the metadata that this
 * library writes, else told from the names and shapes.
 *
 * @param context  Not NULL.
 * @param path     As in sslcv_state_load().
 * @param options  As in sslcv_state_load(); prefix "backbone.0." takes the network of a checkpoint.
 * @param backbone Out: owned.
 * @return As sslcv_state_load(); SSLCV_ERR_UNSUPPORTED (no architecture of this library fits).
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
 * mode, no gradient or memory for it is spent on them.
 *
 * @param backbone   Not NULL.
 * @param num_stages 0: none; 1: the stem; 2: and layer1; ... all of them: a fixed feature extractor.
 * @return SSLCV_OK; SSLCV_ERR_STATE (a trainer that uses it has begun).
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
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such stage); SSLCV_ERR_LIMIT (too small an image for the strides; in
 *         training one value a channel in a batch norm, as of a single image with a 1 x 1 map); SSLCV_ERR_NUMERIC (NaN
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
