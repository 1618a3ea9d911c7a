/** A plan under construction: what plan.c, plan_forward.c, plan_backward.c and arena.c share. */
#ifndef SSLCV__PLAN_BUILD_H
#define SSLCV__PLAN_BUILD_H

#include "nn/arena.h"
#include "nn/plan.h"

typedef enum sslcv__step_kind {
    SSLCV__STEP_OP,                /* run op */
    SSLCV__STEP_CONV_WEIGHTS,      /* run op into the weights' gradient, or into buffer 0 and add */
    SSLCV__STEP_NORM_BACKWARD,     /* run op, then add buffers 0, 1 to the gradients of scale and shift */
    SSLCV__STEP_ADD_RELU,          /* 2 <- relu(0 + 1) */
    SSLCV__STEP_RELU_MASK,         /* 2 <- 1 where 0 > 0 */
    SSLCV__STEP_SUM,               /* 2 <- 0 + 1 */
    SSLCV__STEP_LINEAR,            /* 1 <- 0 weight' + bias */
    SSLCV__STEP_LINEAR_DATA,       /* 1 <- 0 weight */
    SSLCV__STEP_LINEAR_WEIGHTS,    /* gradient <- + 1' 0 */
    SSLCV__STEP_NORMALIZE,         /* 1 <- unit(0); 2: norms */
    SSLCV__STEP_NORMALIZE_BACKWARD /* 3 <- from 0: unit rows, 1: norms, 2: gradient */
} sslcv__step_kind;

enum { SSLCV__STEP_BUFFERS = 4 };

typedef struct sslcv__step {
    sslcv__step_kind kind;
    const char *direction;
    const sslcv__node *node;
    sslcv__op *op;
    sslcv__op *reorder;                   /* CONV_WEIGHTS: from the op's layout into the gradient's, adding */
    int32_t buffers[SSLCV__STEP_BUFFERS]; /* -1: none */
    float *memory[SSLCV__STEP_BUFFERS];   /* their places in the arena */
    int64_t count;                        /* of elements; rows of matrices */
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
    int32_t gradient; /* buffer; -1: none yet */
    int32_t consumers;
    int32_t needs_gradient;
    sslcv__op *op;                            /* forward: the hint of backward */
    int32_t mean, variance, workspace, norms; /* buffers kept for backward; -1: none */
} sslcv__value;

struct sslcv__plan {
    sslcv__plan_key key;
    sslcv_context *context;
    sslcv__node *nodes; /* of the net up to last_node, and a mean on top where the pass asks for it */
    sslcv__value *values;
    int32_t num_nodes;
    int32_t timing;
    sslcv__step *steps;
    int64_t num_steps, step_capacity, num_forward;
    sslcv__binding *bindings;
    int64_t num_bindings, binding_capacity;
    sslcv__arena_buffer *buffers;
    int64_t num_buffers, buffer_capacity;
    int64_t activation_bytes, scratch_bytes;
    char *arena;
    int32_t input, output, diff_output, diff_input; /* buffers; -1: none */
    float *ones, *zeros; /* scale and shift of norms without, as wide as the widest; gradients unused */
    float *spare;        /* likewise, for such norms' running statistics in passes that keep none */
};

/** Buffers, steps and bindings; all are owned by the plan. */
sslcv_status sslcv__plan_buffer(sslcv__plan *plan, int64_t bytes, int32_t *buffer);
/** Takes op over, also on failure; NULL for own kernels. */
sslcv_status sslcv__plan_step(sslcv__plan *plan, sslcv__step_kind kind, const char *direction, const sslcv__node *node,
                              sslcv__op *op, sslcv__step **step);
/** The last step appended uses buffer as an argument of its op ... */
sslcv_status sslcv__plan_bind(sslcv__plan *plan, sslcv__op *op, sslcv__arg arg, int32_t buffer);
/** ... or as operand number index of an own kernel. */
void sslcv__plan_operand(sslcv__plan *plan, int32_t index, int32_t buffer);
/** Keep a buffer alive from here on to the last step appended. */
void sslcv__plan_touch(sslcv__plan *plan, int32_t buffer);

/** A buffer that holds in layout wanted what buffer holds in layout: itself, or through a reorder step. */
sslcv_status sslcv__plan_reordered(sslcv__plan *plan, const sslcv__node *node, int32_t buffer,
                                   const sslcv__layout *layout, const sslcv__layout *wanted, int32_t *result);

/** The same for a variable's value: NULL in *result when its own memory serves. */
sslcv_status sslcv__plan_bind_weights(sslcv__plan *plan, const sslcv__node *node, sslcv__op *op, int32_t *reordered);

sslcv_status sslcv__plan_build_forward(sslcv__plan *plan);
sslcv_status sslcv__plan_build_backward(sslcv__plan *plan);

void sslcv__plan_conv_shape(const sslcv__plan *plan, const sslcv__node *node, sslcv__conv_shape *shape);
int sslcv__node_given_statistics(const sslcv__plan *plan, const sslcv__node *node);

#endif
