/**
 * sslcv_state inside: a window onto the variables of one object, or a set of its own.
 *
 *     state --> owner (kept alive)
 *       entries: "backbone.0.conv1.weight" -> variable of the backbone
 *                "optimizer.conv1.weight.momentum" -> variable of the optimizer ...
 */
#ifndef SSLCV__STATE_H
#define SSLCV__STATE_H

#include <sslcv/state.h>

#include "core/object.h"
#include "nn/variable.h"

typedef struct sslcv__state_item {
    char            *name; /* prefix and the variable's name; owned */
    sslcv__variable *variable;
} sslcv__state_item;

struct sslcv_state {
    sslcv__object      object;
    sslcv__object     *owner;    /* a reference; NULL: a state of its own */
    sslcv__variables   own;      /* of a state of its own */
    sslcv__variables  *grows;    /* borrowed: a set of the owner's that hosts may add to; NULL: a fixed window */
    int64_t            count;
    sslcv__state_item *items;
    int64_t            num_metadata;
    char             **metadata; /* 2 * num_metadata texts: key, value ...; written in front of the host's */
    /* Around reading and writing values, for owners that keep some in another form; may be NULL. before_read brings the
       variables up to date; after_write takes them over. */
    sslcv_status (*before_read)(sslcv__object *owner);
    sslcv_status (*after_write)(sslcv__object *owner);
    int32_t            strict;   /* 1: a load must match every name, no partial (a trainer's checkpoint) */
    int32_t            reserved;
};

/** A window without entries; it keeps owner alive. */
sslcv_status sslcv__state_create(sslcv_context *context, sslcv__object *owner, sslcv_state **out);

/** Append all variables of a set, each name with prefix in front ("" for none). */
sslcv_status sslcv__state_append(sslcv_state *state, const char *prefix, const sslcv__variables *set);

/** Append the entries of another window. */
sslcv_status sslcv__state_append_state(sslcv_state *state, const char *prefix, const sslcv_state *other);

/** Metadata that tells what the tensors are: "architecture=resnet18". Both copied. */
sslcv_status sslcv__state_add_metadata(sslcv_state *state, const char *key, const char *value);

/** NULL: no such key. Borrowed. */
const char *sslcv__state_get_metadata(const sslcv_state *state, const char *key);

/** Index of a name, looked for from a first guess on; -1: no such name. */
int64_t sslcv__state_find(const sslcv_state *state, const char *name, int64_t guess);

/** Append what grows has more than the window: tensors that were added by way of another. Nothing for other states. */
sslcv_status sslcv__state_follow(sslcv_state *state);

/** Append a tensor to a state of its own or one that grows; its name is known to be new. */
sslcv_status sslcv__state_add(sslcv_state *state, const char *name, int32_t dtype, int32_t role, int32_t ndim,
                              const int64_t *shape, sslcv__variable **out);

/** Bytes of the values of all parameters as they lie in memory; gradients and each optimizer slot take as much. */
int64_t sslcv__state_parameter_bytes(const sslcv_state *state);

/** The hook before_read, if there is one. */
sslcv_status sslcv__state_before_read(const sslcv_state *state);

/** "roles is 16; must be a sum of SSLCV_ROLE_* bits, 1 .. 15"; what: the name of the argument. */
sslcv_status sslcv__state_check_roles(int32_t roles, const char *what);

/* ---- values between dtypes ---- */

/** src to dst of the same shape; one dtype, or both floating, else SSLCV_ERR_INVALID_ARGUMENT with name. */
sslcv_status sslcv__state_convert(sslcv_context *context, const sslcv_tensor *src, const sslcv_tensor *dst,
                                  const char *name);

/** SSLCV_ERR_NUMERIC: the dense array of a floating dtype has a NaN or infinity; the message has name and place. */
sslcv_status sslcv__state_check_finite(int32_t dtype, const void *values, int64_t count, const char *name);

/* ---- a change of several tensors that happens whole or not at all ---- */

/**
 * New values wait beside the old ones; commit only exchanges memory, and exchanges it back when after_write refuses.
 *
 *     begin: before_read;  stage, stage, stage: check, convert, may fail;  commit: exchange, after_write;  free
 */
typedef struct sslcv__state_update {
    sslcv_state          *state; /* borrowed */
    int64_t               count;
    struct sslcv__staged *items;
} sslcv__state_update;

sslcv_status sslcv__state_update_begin(sslcv__state_update *update, sslcv_state *state);
void         sslcv__state_update_free(sslcv__state_update *update); /* before or after commit; zeroed is accepted */

/** values: the entry's shape, any strides, a dtype that converts to the entry's. Parameters must be finite. */
sslcv_status sslcv__state_update_stage(sslcv__state_update *update, int64_t index, int32_t part,
                                       const sslcv_tensor *values);
sslcv_status sslcv__state_update_commit(sslcv__state_update *update);

#endif
