/**
 * A network: a static graph of layers over variables. It holds no activations: those are a tape's (nn/plan.h), so
 * several passes over one network may be alive at once.
 *
 * Nodes stand in topological order; node 0 is the input. Backbones take images (N, C, H, W), heads take rows (N, D).
 *
 *     input - conv - norm+relu - conv - norm - add+relu - ...
 *                             \________________/
 */
#ifndef SSLCV__NET_H
#define SSLCV__NET_H

#include <sslcv/tape.h>

#include "nn/grid.h"
#include "nn/variable.h"

typedef enum sslcv__node_kind {
    SSLCV__NODE_INPUT,
    SSLCV__NODE_CONVOLUTION,
    SSLCV__NODE_BATCH_NORM, /* with a ReLU behind it when relu is 1 */
    SSLCV__NODE_RELU,
    SSLCV__NODE_MAX_POOL,
    SSLCV__NODE_ADD,        /* with a ReLU behind it when relu is 1 */
    SSLCV__NODE_MEAN,       /* over height and width; put on top by the plan, not in graphs */
    SSLCV__NODE_LINEAR,     /* rows only */
    SSLCV__NODE_NORMALIZE,  /* each row to length 1; rows only */
    SSLCV__NODE_GROUP_NORM, /* with a ReLU behind it when relu is 1 */
    SSLCV__NODE_BIAS,       /* of the convolution before it; with a ReLU behind it when relu is 1 */
    SSLCV__NODE_FLATTEN,    /* images (N, C, h, w) become rows (N, C h w); behind it stand nodes of rows */
    /* Rows only, net_rows.c; beside each what it makes of (rows, D). */
    SSLCV__NODE_GELU,        /* x Phi(x), with the normal distribution itself, not tanh */
    SSLCV__NODE_DROPOUT,     /* in training: 0 at random, the rest larger by as much */
    SSLCV__NODE_ROW_SUM,     /* of two nodes */
    SSLCV__NODE_GATE,        /* (rows, 2 D) to (rows, D): tanh of one half times the sigmoid of the other */
    SSLCV__NODE_JOIN,        /* (rows / P, P D): the patches of a sample side by side; the same memory */
    SSLCV__NODE_SHIFT,       /* (rows, K D): K neighbours of each place side by side; nn/grid.h */
    SSLCV__NODE_TURN,        /* (4 rows, D): all grids, then all turned by 90 degrees, 180, 270 */
    SSLCV__NODE_TURN_BACK,   /* (rows / 4, 4 D): and back, what belongs to one place side by side */
    SSLCV__NODE_UNIT_LINEAR, /* linear, but for rows of the weight that count as unit vectors */
    SSLCV__NODE_HOST         /* callbacks */
} sslcv__node_kind;

/** A layer of the host. Tensors are (V, N, P, D), theirs only for the call; so is pass, the effective one. */
typedef struct sslcv__host_layer {
    void *self;
    int64_t patches; /* P of the result; 0: as at the input */
    sslcv_status (*forward)(void *self, const sslcv_tensor *in, sslcv_tensor *out, const sslcv_pass *pass);
    sslcv_status (*backward)(void *self, const sslcv_tensor *in, const sslcv_tensor *out, const sslcv_tensor *diff_out,
                             sslcv_tensor *diff_in, const sslcv_pass *pass);
} sslcv__host_layer;

typedef struct sslcv__node {
    sslcv__node_kind kind;
    int32_t inputs[2]; /* nodes before this one; -1: none */
    int32_t stage;
    int32_t relu;
    int64_t channels; /* of the result */
    int64_t groups;   /* of channels, of group norm */
    int32_t flat;     /* 1: a flatten, or behind one */
    int32_t reserved;
    int64_t kernel, stride, padding;
    int64_t patches;                            /* JOIN */
    double rate;                                /* DROPOUT: share that is 0 */
    sslcv__grid grid;                           /* SHIFT, TURN, TURN_BACK */
    const sslcv__host_layer *host;              /* borrowed */
    sslcv__variable *weight;                    /* convolution, linear; of norms the scale, NULL: 1 */
    sslcv__variable *bias;                      /* bias; linear, NULL: none; of norms the shift, NULL: 0 */
    sslcv__variable *mean, *variance, *batches; /* running statistics of batch norm */
} sslcv__node;

typedef struct sslcv__net {
    sslcv_context *context; /* borrowed from the owner */
    sslcv__variables variables;
    sslcv__node *nodes;
    int32_t num_nodes;
    int32_t capacity;
    int32_t rows;  /* 1: takes rows, 0: images */
    int32_t stage; /* that the next node belongs to */
    int32_t frozen_stages; /* set by sslcv__net_freeze() */
    int32_t by_patches; /* 1: what it does with rows depends on their P */
    double norm_epsilon, norm_momentum;
    int64_t freezes; /* how often that has changed: plans made before hold addresses that are gone */
} sslcv__net;

/** An empty graph whose node 0 is the input. */
sslcv_status sslcv__net_init(sslcv__net *net, sslcv_context *context, int32_t rows, int64_t channels);
void sslcv__net_free(sslcv__net *net);

/**
 * Append a layer behind node input; *node receives its index. name is the layer's: "layer1.0.conv1"; its variables are
 * called name.weight and so on, as in torchvision.
 */
sslcv_status sslcv__net_convolution(sslcv__net *net, int32_t input, const char *name, int64_t channels, int64_t kernel,
                                    int64_t stride, int64_t padding, int32_t *node);
/** affine: 0: neither scale nor shift; 1: scale; 2: both. */
sslcv_status sslcv__net_batch_norm(sslcv__net *net, int32_t input, const char *name, int32_t affine, int32_t relu,
                                   int32_t *node);
/** With scale and shift. groups divides the channels. */
sslcv_status sslcv__net_group_norm(sslcv__net *net, int32_t input, const char *name, int64_t groups, int32_t relu,
                                   int32_t *node);
/** The bias of convolution input, of that name: a node of its own, which inference folds into the convolution. Nobody else
    may read the convolution's result: the bias is added in place. */
sslcv_status sslcv__net_bias(sslcv__net *net, int32_t input, const char *name, int32_t relu, int32_t *node);
sslcv_status sslcv__net_relu(sslcv__net *net, int32_t input, int32_t *node);
sslcv_status sslcv__net_max_pool(sslcv__net *net, int32_t input, int64_t kernel, int64_t stride, int64_t padding,
                                 int32_t *node);
sslcv_status sslcv__net_add_relu(sslcv__net *net, int32_t a, int32_t b, int32_t *node);
sslcv_status sslcv__net_add(sslcv__net *net, int32_t a, int32_t b, int32_t *node);
sslcv_status sslcv__net_linear(sslcv__net *net, int32_t input, const char *name, int64_t channels, int32_t bias,
                               int32_t *node);
/** channels: C h w of the images that the network is for; a pass with others fails. */
sslcv_status sslcv__net_flatten(sslcv__net *net, int32_t input, int64_t channels, int32_t *node);
sslcv_status sslcv__net_normalize(sslcv__net *net, int32_t input, int32_t *node);

/* ---- heads: net_rows.c ---- */

sslcv_status sslcv__net_gelu(sslcv__net *net, int32_t input, int32_t *node);
sslcv_status sslcv__net_dropout(sslcv__net *net, int32_t input, double rate, int32_t *node);
sslcv_status sslcv__net_row_sum(sslcv__net *net, int32_t a, int32_t b, int32_t *node);
sslcv_status sslcv__net_gate(sslcv__net *net, int32_t input, int32_t *node);
sslcv_status sslcv__net_join(sslcv__net *net, int32_t input, int64_t patches, int32_t *node);
sslcv_status sslcv__net_shift(sslcv__net *net, int32_t input, const sslcv__grid *grid, int32_t *node);
sslcv_status sslcv__net_turn(sslcv__net *net, int32_t input, const sslcv__grid *grid, int32_t *node);
sslcv_status sslcv__net_turn_back(sslcv__net *net, int32_t input, const sslcv__grid *grid, int32_t *node);
sslcv_status sslcv__net_unit_linear(sslcv__net *net, int32_t input, const char *name, int64_t channels, int32_t *node);
sslcv_status sslcv__net_host(sslcv__net *net, int32_t input, const sslcv__host_layer *host, int64_t channels,
                             int32_t *node);

/* ---- values ---- */

/** Append a node as it is; name.what becomes a variable of it. For files of this module. */
sslcv_status sslcv__net_append(sslcv__net *net, const sslcv__node *node, int32_t *index);
sslcv_status sslcv__net_add_weight(sslcv__net *net, const char *layer, int64_t out, int64_t in,
                                   sslcv__variable **weight);

/** Draw each element of the plain form: normal, or uniform in [-spread, spread). Keyed by (seed, index). */
sslcv_status sslcv__net_draw(sslcv__net *net, sslcv__variable *variable, uint64_t seed, int32_t normal, double spread);
sslcv_status sslcv__net_fill(sslcv__net *net, sslcv__variable *variable, float value);

int64_t sslcv__net_num_parameters(const sslcv__net *net); /* scalars */

/** Copy all values from a network of the same structure. */
/**
 * Let the first stages rest: parameters frozen, and their gradients' memory given back; those that no longer rest get it
 * again. SSLCV_ERR_OUT_OF_MEMORY: nothing is thawed.
 */
sslcv_status sslcv__net_freeze(sslcv__net *net, int32_t num_stages);

sslcv_status sslcv__net_copy_values(sslcv__net *to, const sslcv__net *from);

#endif
