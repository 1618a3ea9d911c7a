/** The tape inside: plans, the memory they share, and where the last pass stands. */
#ifndef SSLCV__TAPE_H
#define SSLCV__TAPE_H

#include <sslcv/tape.h>

#include "core/object.h"
#include "nn/plan.h"

enum { SSLCV__TAPE_MAX_PLANS = 8 }; /* the least recently used goes first */

typedef struct sslcv__tape_slot {
    sslcv__plan *plan;
    sslcv__object *owner; /* a reference of the backbone or head whose variables the plan uses */
    uint64_t last_use;
} sslcv__tape_slot;

struct sslcv_tape {
    sslcv__object object;
    sslcv__tape_slot slots[SSLCV__TAPE_MAX_PLANS];
    sslcv__plan *current; /* of the last pass; NULL: none yet */
    char *arena;
    int64_t arena_bytes;
    uint64_t uses;
    uint64_t passes;      /* with TRAIN, that went through; what the next one draws from unless it says */
    int32_t has_gradient; /* the last pass keeps what backward needs */
    int32_t run_back;     /* and has been run back */
    int32_t recompute;    /* of its passes with gradient: sum of SSLCV__RECOMPUTE_*; trainers may add stages */
    int32_t dry;          /* 1: passes leave running statistics as they are; likewise */
    sslcv_tensor output;  /* as the public call shows it */
    sslcv_tensor diff_input;
};

/** Read and check a caller's pass; NULL: defaults. */
sslcv_status sslcv__pass_read(const sslcv_pass *pass, sslcv_pass *copy);

/** As sslcv__rng_derive(), but never 0, which as the random of a pass would leave it to the tape. */
uint64_t sslcv__pass_random(uint64_t seed, uint64_t a, uint32_t b);

/**
 * One pass of a network. The output has the input's axes with another D and, where the network makes another P, that
 * (heads); or is (N, D) or (N, D, h, w).
 *
 * @param owner      Backbone or head; kept alive while the tape has a plan of it.
 * @param input      (N, C, H, W), or rows with any axes in front of D; f32, any strides; checked by the caller against
 *                   the network.
 * @param input_name For messages.
 * @param pass       As sslcv__pass_read() gives it; last_node, not its stage, says where the pass ends.
 */
sslcv_status sslcv__tape_forward(sslcv_tape *tape, sslcv__object *owner, const sslcv__net *net,
                                 const sslcv_tensor *input, const char *input_name, const sslcv_pass *pass,
                                 int32_t last_node);

/** Bytes of the tape's memory: activations with all that is kept for backward, and of scratchpads the largest. */
void sslcv__tape_memory(const sslcv_tape *tape, int64_t *activations, int64_t *scratch);

/** Make the plan of a pass, and the memory for it, without running it. */
sslcv_status sslcv__tape_plan(sslcv_tape *tape, sslcv__object *owner, const sslcv__net *net, const int64_t shape[4],
                              int32_t flags, int32_t bn_splits, int32_t last_node, sslcv__plan **plan);

/** Bytes of the memory that a pass would take, scratchpads included, without taking it. */
sslcv_status sslcv__tape_measure(const sslcv__net *net, const int64_t shape[4], int32_t flags, int32_t bn_splits,
                                 int32_t last_node, int32_t recompute, int64_t *bytes, int64_t *scratch);

#endif
