/**
 * Sequences of calls: the handles that an input has made so far, and how its bytes choose among them. An input names
 * slots, never pointers, so that no dead handle is used; NULL and handles of another type are used freely.
 */
#ifndef SSLCV__FUZZ_CALLS_H
#define SSLCV__FUZZ_CALLS_H

#include "world.h"

#include <math.h>

typedef enum kind {
    CONTEXT,
    BACKBONE,
    HEAD,
    LOSS,
    OPTIMIZER,
    AUGMENTER,
    DATASET,
    LOADER,
    TAPE,
    STATE,
    TRAINER,
    PROBE,
    KINDS
} kind;

enum { SLOTS = 3, VALUES = 4096, MAX_CALLS = 64 };

typedef struct calls {
    fuzz_input in;
    fuzz_memory memory;
    void *slots[KINDS][SLOTS];
    int64_t hosts;   /* callback tables that the library holds */
    int64_t inside;  /* hooks that are running */
    uint64_t answer; /* of callbacks: bit by bit whether they fail */
} calls;

/* Arguments of every call: what it writes into goes here too. */
static union {
    float f32[VALUES];
    double f64[VALUES];
    uint8_t u8[VALUES];
} values;
static int64_t whole[VALUES];

static inline void destroy(kind k, void *handle)
{
    switch (k) {
    case CONTEXT: sslcv_context_destroy(handle); break;
    case BACKBONE: sslcv_backbone_destroy(handle); break;
    case HEAD: sslcv_head_destroy(handle); break;
    case LOSS: sslcv_loss_destroy(handle); break;
    case OPTIMIZER: sslcv_optimizer_destroy(handle); break;
    case AUGMENTER: sslcv_augmenter_destroy(handle); break;
    case DATASET: sslcv_dataset_destroy(handle); break;
    case LOADER: sslcv_loader_destroy(handle); break;
    case TAPE: sslcv_tape_destroy(handle); break;
    case STATE: sslcv_state_destroy(handle); break;
    case TRAINER: sslcv_trainer_destroy(handle); break;
    case PROBE: sslcv_probe_destroy(handle); break;
    case KINDS: break;
    }
}

/** A handle of this kind, NULL, or one of another kind: no call may take it for its own. */
static inline void *pick(calls *c, kind k)
{
    const uint64_t byte = take(&c->in, 1);

    if (byte >= 252) return c->slots[byte * 7 % KINDS][byte % SLOTS];
    return byte >= 246 ? NULL : c->slots[k][byte % SLOTS];
}

/*
 * C leaves open which argument of a call is evaluated first: so an input means the same everywhere only if no expression
 * takes bytes twice. Two picks are two statements.
 */

/** The result of a call that makes a handle: it goes into a slot, whose handle is given back. */
static inline void keep(calls *c, kind k, sslcv_status status, void *made)
{
    void **slot = &c->slots[k][take_below(&c->in, SLOTS)];

    REQUIRE(sane(status) == (made != NULL));
    if (!made) return;
    destroy(k, *slot);
    *slot = made;
}

/** Up to 4 axes of up to 6; also shapes, types and memory that no call takes. */
static inline sslcv_tensor pick_tensor(calls *c)
{
    static const int32_t dtypes[8] = {SSLCV_F32, SSLCV_F32, SSLCV_F32, SSLCV_F32, SSLCV_F32, SSLCV_U8, SSLCV_F64, 77};
    static const int64_t common[4][5] = {
        {2, 6, WORLD_SIDE * WORLD_SIDE}, {2, 6, WORLD_DIM}, {3, 2, 3, WORLD_DIM}, {4, 6, 1, WORLD_SIDE, WORLD_SIDE}};
    const uint64_t how = take(&c->in, 1);
    sslcv_tensor tensor = {0};
    int64_t shape[4] = {0};
    int32_t ndim = (int32_t)common[how & 3][0], i;

    memcpy(shape, common[how & 3] + 1, sizeof shape);
    if (how & 4) {
        ndim = (int32_t)take_below(&c->in, 5);
        for (i = 0; i < ndim; i++) shape[i] = take_below(&c->in, 7);
    }
    tensor.dtype = dtypes[how & 8 ? how >> 5 : 0];
    sslcv_tensor_init(&tensor, tensor.dtype, values.f32, ndim, shape);
    if (how == 0xf7) tensor.data = NULL;
    if (how == 0xf6) tensor.ndim = 99;
    if (how == 0xf5) tensor.shape[0] = -1;
    return tensor;
}

/** What each call finds in its arguments. */
static inline void refresh_values(calls *c)
{
    const uint64_t how = take(&c->in, 1);
    int64_t i;

    for (i = 0; i < VALUES; i++) values.f32[i] = (float)(i * 29 % 31) / 16 - 1;
    for (i = 0; i < VALUES; i++) whole[i] = how & 8 && i % 5 == 4 ? -1 : i % (how & 16 ? 7 : 3);
    if (how & 32) values.f32[how >> 6] = how & 64 ? NAN : 1e38f;
    if (how & 128) whole[how & 3] = INT64_MAX;
}

/** The next bit of what callbacks answer: 0 is success. */
static inline int32_t answer(void *user)
{
    calls *c = user;
    const int32_t bit = (int32_t)(c->answer & 1);

    c->answer >>= 1;
    return bit;
}

/** Callback tables are given back as often as they were taken. */
static inline void host_gone(void *user)
{
    calls *c = user;

    REQUIRE(c->hosts > 0);
    c->hosts--;
}

#endif
