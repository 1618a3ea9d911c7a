/**
 * The optimizer inside. optimizer.c makes it and adds tensors; step.c updates them.
 *
 *     groups    state (kept alive), treatment, slots: momentum and second moment of its tensors
 *     tensors   one variable each: where its gradient, value and slots lie, and its scalars in the running step
 *     chunks    pieces of tensors, none longer than CHUNK floats: what threads share out
 *
 *     | conv1.weight         | bn1.weight | bn1.bias | layer1.0.conv1.weight                  | ...
 *     | chunk 0 | chunk 1    | chunk 2    | chunk 3  | chunk 4  | chunk 5  | chunk 6          | ...
 *
 * A step is two parallel loops over all chunks: sums (is the gradient finite, norms), then updates. So a thousand small
 * tensors cost no more than one large one, and as sums are kept for each chunk and added in their order, results do not
 * depend on the number of threads.
 */
#ifndef SSLCV__OPTIMIZER_H
#define SSLCV__OPTIMIZER_H

#include <sslcv/optim.h>

#include "core/object.h"
#include "nn/variable.h"
#include "optim/update.h"

typedef struct sslcv__optimizer_group {
    sslcv_state *state; /* a reference */
    sslcv_optimizer_group options;
    sslcv__variables slots;
} sslcv__optimizer_group;

typedef struct sslcv__optimizer_tensor {
    const char *name; /* of the group's state */
    sslcv__variable *variable;
    int64_t group;
    int64_t count;          /* floats stored, with the padding of blocked layouts */
    float *momentum;        /* (count); NULL: momentum 0 */
    float *second_moment;   /* (count); NULL: not Adam */
    int64_t *steps;         /* updates it has had; NULL: not Adam */
    int32_t decays, adapts; /* by role and group */
    int32_t is_active;      /* in the running step: has a gradient and does not rest */
    uint64_t resets;        /* of the variable, that the slots have followed */
    sslcv__sums sums;       /* likewise */
    sslcv__update update;   /* likewise */
} sslcv__optimizer_tensor;

typedef struct sslcv__optimizer_chunk {
    int64_t tensor, offset, count; /* floats */
    sslcv__sums sums;
} sslcv__optimizer_chunk;

struct sslcv_optimizer {
    sslcv__object object;
    sslcv_optimizer_options options;
    sslcv__variables own; /* the three that follow */
    int64_t *step;        /* steps done */
    double *first_rate;   /* learning rate of the first */
    double *weight_decay; /* now */
    int64_t num_groups, num_tensors, num_chunks;
    sslcv__optimizer_group *groups;
    sslcv__optimizer_tensor *tensors;
    sslcv__optimizer_chunk *chunks;
};

/** Add the parameters of a state that no group holds yet, with the defaults, but those of frozen stages: what trainers do
    before the first step, after which no stage is thawed. */
sslcv_status sslcv__optimizer_add_rest(sslcv_optimizer *optimizer, sslcv_state *state);

/** Give up all groups behind the first num_groups, which must not have been stepped. */
void sslcv__optimizer_cut(sslcv_optimizer *optimizer, int64_t num_groups);

/** Bytes of momentum, second moments and counters. */
int64_t sslcv__optimizer_bytes(const sslcv_optimizer *optimizer);

/** Forget momentum, second moment and steps of tensors that have been drawn anew: sslcv__variable_reset(). */
void sslcv__optimizer_follow_resets(sslcv_optimizer *optimizer);

/** SSLCV_ERR_NUMERIC when a gradient that the next step would use is not finite. Changes nothing. */
sslcv_status sslcv__optimizer_check_gradients(sslcv_optimizer *optimizer);

/** Forget the gradients of all tensors held. */
void sslcv__optimizer_clear_gradients(sslcv_optimizer *optimizer);

#endif
