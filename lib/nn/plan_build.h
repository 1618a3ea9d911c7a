/**
 * A plan under construction: what its files share.
 *
 *     plan.c           buffers, steps, life, memory
 *     plan_forward.c   steps of a layer forward; also those that compute a value again in the backward half
 *     plan_backward.c  steps of a layer backward
 *     plan_order.c     the order of rows, for split batch norm
 *     plan_rows.c      layers of heads that images do not have, all of them in one file
 *     plan_fold.c      convolutions that take the norm or bias behind them into their weights (inference)
 *     plan_run.c       running steps
 *     arena.c          places in memory
 */
#ifndef SSLCV__PLAN_BUILD_H
#define SSLCV__PLAN_BUILD_H

#include "nn/arena.h"
#include "nn/norm.h"
#include "nn/plan.h"

typedef enum sslcv__step_kind {
    SSLCV__STEP_OP,                 /* run op */
    SSLCV__STEP_CONV_WEIGHTS,       /* run op into the weights' gradient, or into buffer 0 and add */
    SSLCV__STEP_NORM,               /* SSLCV__NORM_* operands */
    SSLCV__STEP_NORM_BACKWARD,      /* likewise */
    SSLCV__STEP_ADD_RELU,           /* 2 <- relu(0 + 1) */
    SSLCV__STEP_RELU,               /* 1 <- relu(0) */
    SSLCV__STEP_RELU_MASK,          /* 2 <- 1 where 0 > 0 */
    SSLCV__STEP_SUM,                /* 2 <- 0 + 1 */
    SSLCV__STEP_MEAN,               /* 1 <- spatial mean of 0 */
    SSLCV__STEP_MEAN_BACKWARD,      /* 1 <- 0 spread evenly */
    SSLCV__STEP_LINEAR,             /* 1 <- 0 weight' + bias */
    SSLCV__STEP_LINEAR_DATA,        /* 1 <- 0 weight */
    SSLCV__STEP_LINEAR_WEIGHTS,     /* gradient <- + 1' 0 */
    SSLCV__STEP_NORMALIZE,          /* 1 <- unit(0); 2: norms */
    SSLCV__STEP_NORMALIZE_BACKWARD, /* 3 <- from 0: unit rows, 1: norms, 2: gradient */
    SSLCV__STEP_PUT_BACK,           /* 1 <- 0 with rows as the caller has them; 2: the plan's order */
    SSLCV__STEP_ROWS,               /* by the node's kind; plan_rows.c */
    SSLCV__STEP_ROWS_BACKWARD       /* likewise */
} sslcv__step_kind;

/** Operands of the norm steps; what one does not need is -1. */
enum {
    SSLCV__NORM_X,
    SSLCV__NORM_Y,
    SSLCV__NORM_R, /* forward: the shortcut */
    SSLCV__NORM_G = SSLCV__NORM_R,
    SSLCV__NORM_G2,
    SSLCV__NORM_D,
    SSLCV__NORM_DIFF_X,
    SSLCV__NORM_MEAN, /* -1: the running statistics */
    SSLCV__NORM_VARIANCE,
    SSLCV__NORM_DIFF_SCALE,
    SSLCV__NORM_DIFF_SHIFT,
    SSLCV__NORM_SCRATCH,
    SSLCV__STEP_BUFFERS
};

typedef struct sslcv__step {
    sslcv__step_kind kind;
    int32_t relu;                         /* NORM */
    const char *direction;
    const sslcv__node *node;
    sslcv__op *op;
    sslcv__op *reorder;                   /* CONV_WEIGHTS: from the op's layout into the gradient's, adding */
    int32_t buffers[SSLCV__STEP_BUFFERS]; /* -1: none */
    void *memory[SSLCV__STEP_BUFFERS];    /* their places in the arena */
    int64_t count;                        /* of elements; rows of matrices */
    sslcv__norm_shape shape;              /* norms, means: how images lie; PUT_BACK: its batch is the rows */
    int32_t bf16;                         /* ADD_RELU ... SUM: elements are bf16 */
    int32_t measures;                     /* NORM: computes mean and variance first */
    sslcv__norm_mask mask;                /* NORM_BACKWARD */
    int32_t reserved;
    double seconds;
} sslcv__step;

/** An argument of an op that lies in the arena. */
typedef struct sslcv__binding {
    int32_t step, buffer;
    sslcv__op *op;
    sslcv__arg arg;
    int32_t reserved;
} sslcv__binding;

/** The result of a node, and its gradient. */
typedef struct sslcv__value {
    sslcv__layout *layout; /* of both */
    int64_t shape[4];
    int32_t buffer;
    int32_t gradients[2];  /* buffers whose sum it is; -1: none yet */
    int32_t consumers;
    int32_t last_consumer; /* node; -1: none */
    int32_t needs_gradient;
    int32_t absorbed;      /* a norm or bias that is one step with the shortcut's sum behind it: no memory of its own */
    int32_t folded;        /* a convolution, or the norm or bias, whose work a convolution's step behind it does */
    int32_t dropped;       /* not kept for backward: computed again there */
    int32_t lost;          /* dropped, and not yet computed again */
    sslcv__op *op;         /* forward: the hint of backward */
    int32_t mean, variance, workspace, norms; /* buffers kept for backward; -1: none */
} sslcv__value;

/** A convolution that holds the norm or bias behind it. */
typedef struct sslcv__fold {
    sslcv__op *op; /* borrowed from its step */
    const sslcv__node *convolution, *norm;
    void *weights; /* in the plan's constants; so is bias */
    float *bias, *scale;
} sslcv__fold;

struct sslcv__plan {
    sslcv__plan_key key;
    sslcv_context *context;
    sslcv__node *nodes; /* of the net up to last_node, and a mean on top where the pass asks for it */
    sslcv__value *values;
    int32_t num_nodes;
    int32_t timing;
    int32_t dtype;       /* of maps */
    int32_t again;       /* the layer being built is computed again in backward */
    sslcv__step *steps;
    int64_t num_steps, step_capacity, num_forward;
    sslcv__binding *bindings;
    int64_t num_bindings, binding_capacity;
    sslcv__arena_buffer *buffers;
    int64_t num_buffers, buffer_capacity;
    int64_t arena_bytes, scratch_bytes; /* scratch: the largest of one step, within the arena */
    char *arena;
    int32_t input, output, diff_output, diff_input; /* buffers; -1: none */
    int32_t order;                                  /* of rows, int64_t; -1: the caller's */
    int32_t plain_output;                           /* output in the plan's order; output itself where that is none */
    sslcv__fold *folds;
    int64_t num_folds;
    uint64_t folded_version; /* of the variables, when folds were made; 0: not yet */
    char *constants;         /* memory of the folds */
    int64_t views;           /* V of the running pass */
    sslcv_pass pass;         /* it */
};

/** Buffers, steps and bindings; all are owned by the plan. */
sslcv_status sslcv__plan_buffer(sslcv__plan *plan, int64_t bytes, int32_t *buffer);
/** Takes op over, also on failure; NULL for own kernels. Gives it its scratchpad. */
sslcv_status sslcv__plan_step(sslcv__plan *plan, sslcv__step_kind kind, const char *direction, const sslcv__node *node,
                              sslcv__op *op, sslcv__step **step);
/** The last step appended uses buffer as an argument of its op ... */
sslcv_status sslcv__plan_bind(sslcv__plan *plan, sslcv__op *op, sslcv__arg arg, int32_t buffer);
/** ... or as operand number index of an own kernel. */
void sslcv__plan_operand(sslcv__plan *plan, int32_t index, int32_t buffer);
/** The last step is a norm: its shape, and scratch. */
sslcv_status sslcv__plan_norm_shape(sslcv__plan *plan, const sslcv__value *value);
/** Keep a buffer alive from here on to the last step appended. */
void sslcv__plan_touch(sslcv__plan *plan, int32_t buffer);

/** A buffer that holds in layout wanted what buffer holds in layout: itself, or through a reorder step. */
sslcv_status sslcv__plan_reordered(sslcv__plan *plan, const sslcv__node *node, int32_t buffer,
                                   const sslcv__layout *layout, const sslcv__layout *wanted, int32_t *result);

/** The same for a variable's value: -1 in *reordered when its own memory serves. */
sslcv_status sslcv__plan_bind_weights(sslcv__plan *plan, const sslcv__node *node, sslcv__op *op, int32_t *reordered);

sslcv_status sslcv__plan_build_forward(sslcv__plan *plan);
/** In the backward half: steps that compute node's value again, and all it needs that is not there. */
sslcv_status sslcv__plan_need(sslcv__plan *plan, int32_t node);
sslcv_status sslcv__plan_build_backward(sslcv__plan *plan);

/** With groups: a buffer for the order, alive all the time; and a step that puts rows back into the caller's order. */
sslcv_status sslcv__plan_build_order(sslcv__plan *plan);
sslcv_status sslcv__plan_put_back(sslcv__plan *plan, const sslcv__node *node, const sslcv__value *value, int32_t buffer,
                                  int32_t *result);
void sslcv__plan_run_put_back(const sslcv__step *step);

/** Before forward is built: which values need a gradient, which are absorbed, folded, dropped. */
void sslcv__plan_decide(sslcv__plan *plan);

/** The step of a convolution with a norm in it. addend: a shortcut's buffer, which holds the result's place, or -1. */
sslcv_status sslcv__plan_build_folded(sslcv__plan *plan, int32_t convolution, int32_t norm, int32_t result,
                                      int32_t addend, int relu);
sslcv_status sslcv__plan_place_folds(sslcv__plan *plan);
/** Before a forward pass: fold again if a variable has changed. */
sslcv_status sslcv__plan_refold(sslcv__plan *plan);
void sslcv__plan_free_folds(sslcv__plan *plan);

/** Count a contribution, in its layout, towards the gradient of target, an input of node. */
sslcv_status sslcv__plan_contribute(sslcv__plan *plan, int32_t node, int32_t target, int32_t buffer);

/** Layers of heads: steps of a node, and running them. */
sslcv_status sslcv__plan_build_rows(sslcv__plan *plan, int32_t node);
sslcv_status sslcv__plan_build_rows_backward(sslcv__plan *plan, int32_t node);
sslcv_status sslcv__plan_run_rows(const sslcv__plan *plan, const sslcv__step *step);
sslcv_status sslcv__plan_run_rows_backward(const sslcv__plan *plan, const sslcv__step *step);

void *sslcv__plan_memory(const sslcv__plan *plan, int32_t buffer); /* NULL: -1 */
void sslcv__plan_conv_shape(const sslcv__plan *plan, const sslcv__node *node, sslcv__conv_shape *shape);
int sslcv__node_given_statistics(const sslcv__plan *plan, const sslcv__node *node);
/** A batch norm or group norm: made again in one pass over memory. */
int sslcv__node_is_norm(const sslcv__node *node);
int sslcv__node_trains(const sslcv__plan *plan, const sslcv__node *node);

#endif
