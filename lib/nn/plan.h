/**
 * A plan: one network fixed for one batch size, image size and kind of pass. It has a program of steps, forward and
 * backward, and knows for every buffer when it is first written and last read; buffers that are not alive together
 * share memory:
 *
 *     steps      forward ..................... | backward .................
 *     conv out   ====-------------------------------====          kept: batch norm's backward reads it
 *     norm out       ====--------------------====                 kept: the next convolution's backward reads it
 *     sum            ==                                           a pass without gradient would end here
 *     gradients                                  ==  ==  ==       reuse what the forward pass no longer needs
 *     scratchpads   =  = ===  =  =  = == =  = =  = =                alive during one step
 *     ---------------------------------------------------------
 *     one arena, offsets by first fit, largest first
 *
 * With split batch norm rows stand in an order of the plan's own (plan_order.c). All that goes in and comes out is in
 * the caller's.
 *
 * Running a plan creates and allocates nothing. The tape owns the arena's memory and lends it to its plans.
 */
#ifndef SSLCV__PLAN_H
#define SSLCV__PLAN_H

#include <sslcv/tensor.h>

#include "nn/net.h"

typedef struct sslcv__plan sslcv__plan;

/** What of a forward pass is not kept for backward, but computed again there. Results are the same, bit by bit. */
enum {
    SSLCV__RECOMPUTE_NORMS = 1, /* norm [+ shortcut] [+ ReLU], from the convolution's result: one pass over memory */
    SSLCV__RECOMPUTE_STAGE = 2  /* << stage: all within that stage but the ends of its blocks */
};

enum { SSLCV__PASS_DRY = 1 << 16 }; /* beside SSLCV_PASS_TRAIN: running statistics stay as they are */

/** What a plan is for. Two passes with equal keys share a plan. Compared bytewise: set every field. */
typedef struct sslcv__plan_key {
    const sslcv__net *net;
    int64_t shape[4];  /* of the input; rows: (rows, D, P, 1), P 1 unless the net goes by it */
    int32_t flags;     /* SSLCV_PASS_* but SHUFFLE */
    int32_t last_node; /* the pass stops behind it */
    uint64_t frozen;   /* digest of what is frozen */
    int32_t recompute; /* sum of SSLCV__RECOMPUTE_* */
    int32_t groups;    /* that batch norms take their statistics of; 1 where none takes any */
} sslcv__plan_key;

/** Fills net's part: the digest, and whether bn_splits matter. */
void sslcv__plan_key_init(sslcv__plan_key *key, const sslcv__net *net, const int64_t shape[4], int32_t flags,
                          int32_t bn_splits, int32_t last_node, int32_t recompute);

/**
 * @return SSLCV_ERR_LIMIT (image too small for the strides; one value a channel in a batch norm in training, or in a
 *         group of it); SSLCV_ERR_INVALID_ARGUMENT (groups do not divide the rows).
 */
sslcv_status sslcv__plan_create(const sslcv__plan_key *key, sslcv__plan **out);
void sslcv__plan_free(sslcv__plan *plan); /* NULL is accepted */

const sslcv__plan_key *sslcv__plan_get_key(const sslcv__plan *plan);
int64_t sslcv__plan_arena_bytes(const sslcv__plan *plan);    /* activations and scratchpads */
int64_t sslcv__plan_scratch_bytes(const sslcv__plan *plan);  /* of these the largest scratchpad */
int64_t sslcv__plan_constant_bytes(const sslcv__plan *plan); /* folded weights, which the plan owns */

/** Give the plan its memory, arena_bytes of it aligned to 64. Again when the tape's memory has moved. */
sslcv_status sslcv__plan_place(sslcv__plan *plan, char *arena);

/** What of a pass is not in the key: V of its rows (V, N, P, D), and itself, which is copied and kept for backward. */
void sslcv__plan_set_pass(sslcv__plan *plan, int64_t views, const sslcv_pass *pass);

/**
 * Fill the input. The first axes of the tensor count rows: one of images, all but the last of rows.
 *
 * @param shuffle With groups: rows make them up at random, keyed by random. Else group g is rows g, g + groups ...
 */
void sslcv__plan_set_input(sslcv__plan *plan, const sslcv_tensor *input, int shuffle, uint64_t random);
const float *sslcv__plan_input(const sslcv__plan *plan);                    /* dense, in the plan's order */
const float *sslcv__plan_output(const sslcv__plan *plan, int64_t shape[4]); /* dense: (N, D, 1, 1) or (N, D, h, w) */
void sslcv__plan_set_diff_output(sslcv__plan *plan, const float *diff);     /* before backward */
const float *sslcv__plan_diff_input(const sslcv__plan *plan);               /* NULL: the plan has none */

/**
 * Forward. In training the running statistics follow at its end, all or none.
 *
 * @return SSLCV_ERR_NUMERIC (statistics of the batch are not finite: nothing has changed).
 */
sslcv_status sslcv__plan_forward(sslcv__plan *plan);
sslcv_status sslcv__plan_backward(sslcv__plan *plan);

/* ---- looking into it: sslcv_trainer_describe(), benchmarks ---- */

typedef struct sslcv__step_info {
    const char *layer;          /* "convolution" ... */
    const char *direction;      /* "forward", "backward data", "backward weights", "backward" */
    const char *implementation; /* oneDNN's name, or "own" */
    const char *variable;       /* "layer1.0.conv1.weight"; "" */
    double seconds;             /* spent since timing was switched on */
} sslcv__step_info;

int64_t sslcv__plan_num_steps(const sslcv__plan *plan);
void sslcv__plan_get_step(const sslcv__plan *plan, int64_t index, sslcv__step_info *info);
void sslcv__plan_set_timing(sslcv__plan *plan, int on);

#endif
