/**
 * Variables: the named tensors that an object owns, parameters and buffers alike, in a fixed order.
 *
 * A parameter lies in the layout its convolution wants (NULL: plain), and so do its gradient and the optimizer's slots
 * for it: updates are element by element over count_stored floats, whatever the layout; the padding of blocked layouts
 * is 0 and stays 0. Only reading and writing by name converts.
 */
#ifndef SSLCV__VARIABLE_H
#define SSLCV__VARIABLE_H

#include "dnn/dnn.h"

#include <sslcv/tensor.h>

typedef struct sslcv__variable {
    char          *name;
    int32_t        dtype; /* SSLCV_F32 for parameters */
    int32_t        role;  /* one SSLCV_ROLE_* bit */
    int32_t        ndim;
    int32_t        frozen;
    int64_t        shape[SSLCV_MAX_DIMS]; /* plain */
    int64_t        count;                 /* elements of the plain form */
    int64_t        stored_bytes;          /* of value, and of gradient, as they lie in memory */
    sslcv__layout *layout;                /* NULL: plain */
    void          *value;
    float         *gradient;              /* NULL: not a parameter, or one that rests without memory for it */
    int32_t        has_gradient;          /* 0: gradient holds nothing yet; the next writer overwrites it */
    int32_t        reserved;
    uint64_t       version;               /* sslcv__variable_changed() */
    uint64_t       resets;                /* sslcv__variable_reset() */
} sslcv__variable;

typedef struct sslcv__variables {
    sslcv_context    *context; /* borrowed from the owner */
    int64_t           count;
    sslcv__variable **items;   /* their addresses never change */
    int32_t           closed;  /* 1: somebody counts on what there is; hosts may add no more */
    int32_t           reserved;
    int64_t           bytes;   /* of all values added, where there is a most */
    int64_t           most;    /* SSLCV_ERR_LIMIT beyond so many; 0: any */
} sslcv__variables;

void sslcv__variables_init(sslcv__variables *set, sslcv_context *context);
void sslcv__variables_free(sslcv__variables *set); /* zeroed sets are accepted */

/**
 * Append one, of zeros.
 *
 * @param layout NULL: plain; else copied, for SSLCV_F32 only.
 * @param out    May be NULL.
 */
sslcv_status sslcv__variables_add(sslcv__variables *set, const char *name, int32_t dtype, int32_t role, int32_t ndim,
                                  const int64_t *shape, const sslcv__layout *layout, sslcv__variable **out);

/** Who writes to a value says so: what was derived from it (folded weights) is then made again. */
static inline void sslcv__variable_changed(sslcv__variable *variable)
{
    variable->version++;
}

/** Begin anew: stored_bytes of values, NULL: zeros; no gradient. Optimizers forget what they keep of the variable. */
void sslcv__variable_reset(sslcv__variable *variable, const void *value);

/** Free all from the count-th on: the last additions, taken back. */
void sslcv__variables_cut(sslcv__variables *set, int64_t count);

/** NULL: no such name. */
sslcv__variable *sslcv__variables_find(const sslcv__variables *set, const char *name);

/** Dense plain copy out of and into a variable; part: SSLCV_STATE_VALUE or GRADIENT (zeros when it has none yet). */
sslcv_status sslcv__variable_read(sslcv_context *context, const sslcv__variable *variable, int32_t part, void *dense);
sslcv_status sslcv__variable_write(sslcv_context *context, sslcv__variable *variable, int32_t part, const void *dense);

/** Memory for a parameter's gradient, where it has none; and back again. Plans bind its address. */
sslcv_status sslcv__variable_make_gradient(sslcv_context *context, sslcv__variable *variable);
void         sslcv__variable_drop_gradient(sslcv_context *context, sslcv__variable *variable);

/* The steps of these two, for those who need memory of their own between them. */
int64_t sslcv__variable_dense_bytes(const sslcv__variable *variable);
/** Where a part lies; NULL: a gradient without memory. SSLCV_ERR_INVALID_ARGUMENT: no such part, or the gradient of a
    buffer. */
sslcv_status sslcv__variable_memory(const sslcv__variable *variable, int32_t part, void **stored);
/** SSLCV_ERR_STATE, for those who would write to a gradient without memory. */
sslcv_status sslcv__variable_rests(const sslcv__variable *variable);
/** From stored_bytes as they lie in memory to the plain form, and back. */
sslcv_status sslcv__variable_unpack(sslcv_context *context, const sslcv__variable *variable, const void *stored,
                                    void *dense);
sslcv_status sslcv__variable_pack(sslcv_context *context, const sslcv__variable *variable, const void *dense,
                                  void *stored);

#endif
