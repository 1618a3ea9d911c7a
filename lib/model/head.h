/**
 * The head inside. head.c has what all share; a kind is a file of its own that reads its options and builds a graph
 * over rows:
 *
 *     mlp.c   patch_mlp.c   prototypes.c   pixelcnn.c, cpc_v2.c (with context_net.c)   custom_head.c
 */
#ifndef SSLCV__HEAD_H
#define SSLCV__HEAD_H

#include <sslcv/head.h>

#include "core/object.h"
#include "nn/net.h"
#include "nn/tape.h"

/** As resolved: no seed, and no width that "0" leaves to another. */
typedef union sslcv__head_options {
    sslcv_mlp_options mlp;
    sslcv_patch_mlp_options patch_mlp;
    sslcv_prototypes_options prototypes;
    sslcv_pixelcnn_options pixelcnn;
    sslcv_cpc_v2_options cpc_v2;
    struct sslcv__head_host *host; /* borrowed while a head is made of it */
} sslcv__head_options;

typedef struct sslcv__head_kind {
    const char *name;
    /** Into a head whose options and in_dim are set and whose net is its input: out_dim, patches, the graph, and initial
        values. seed 0: weights and biases stay 0, as they are copied over. */
    sslcv_status (*build)(sslcv_head *head, uint64_t seed);
    /** Text of the options, the same for heads whose weights fit each other. */
    void (*describe)(const sslcv_head *head, char *text, size_t size);
} sslcv__head_kind;

struct sslcv_head {
    sslcv__object object;
    const sslcv__head_kind *kind;
    sslcv__head_options options;
    int64_t in_dim, out_dim;
    int64_t in_patches;  /* P that it takes; 0: any */
    int64_t out_patches; /* P that it gives; 0: as it takes */
    sslcv__net net;
    struct sslcv__custom_head *custom; /* what custom heads have besides; NULL */
};

/** seed: as kind's build() takes it. */
sslcv_status sslcv__head_create(sslcv_context *context, const sslcv__head_kind *kind,
                                const sslcv__head_options *options, int64_t in_dim, uint64_t seed, sslcv_head **out);

/** The way of all public create functions but the custom one's: options are the resolved ones, seed that of the host. */
sslcv_status sslcv__head_create_seeded(sslcv_context *context, const sslcv__head_kind *kind,
                                       const sslcv__head_options *options, int64_t in_dim, uint64_t seed,
                                       sslcv_head **out);

/** Before anything else of a create function. */
sslcv_status sslcv__head_check_create(sslcv_context *context, const void *options, sslcv_head **out);

/** Kind and its text. */
void sslcv__head_describe(const sslcv_head *head, char *text, size_t size);

/** SSLCV_ERR_INVALID_ARGUMENT: it does not take rows of d values in p patches. */
sslcv_status sslcv__head_check_axes(const sslcv_head *head, int64_t p, int64_t d);

/** A trainer has begun: hosts may add no more tensors. */
void sslcv__head_close(sslcv_head *head);

/* ---- for kinds ---- */

enum { SSLCV__HEAD_MAX_DIM = 1 << 24, SSLCV__HEAD_MAX_LAYERS = 64 };

/** "mlp.in_dim is 0; must be 1 .. 16777216" */
sslcv_status sslcv__head_check_dim(const char *kind, const char *name, int64_t value, int64_t least, int64_t most);

/** A linear layer behind *node, and its initial values. */
typedef struct sslcv__head_linear {
    const char *name;
    int64_t channels;
    int32_t bias;
    int32_t reserved;
    int64_t fan_in; /* 0: what it reads. Weights and biases start uniform in +-1 / sqrt(fan_in), as PyTorch's */
    double std;     /* > 0: normal weights and zero biases instead */
} sslcv__head_linear;

sslcv_status sslcv__head_linear_layer(sslcv_head *head, const sslcv__head_linear *linear, uint64_t seed, int32_t *node);

/* ---- custom heads ---- */

/** When a head is given back; nothing for other kinds. */
void sslcv__custom_head_free(sslcv_head *head);

#endif
