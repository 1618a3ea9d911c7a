/** What the files of lib/dnn share: an op inside, and what a back end gives. Nobody else includes it. */
#ifndef SSLCV__OP_H
#define SSLCV__OP_H

#include "dnn/dnn.h"

enum { SSLCV__IMPLEMENTATION_SIZE = 64 };

/** The ways of a kind of op. */
typedef struct sslcv__op_kind {
    sslcv_status (*run)(sslcv__op *op);
    sslcv_status (*bind)(sslcv__op *op, sslcv__arg arg); /* memory[arg] is new; NULL: it need not know */
    void (*release)(sslcv__op *op);                      /* what is not in the fields below; NULL: nothing */
    /** sslcv__op_fold(), from weights that are f32 in the layout home. */
    sslcv_status (*fold)(sslcv_context *context, const sslcv__op *op, const sslcv__layout *home, const float *weights,
                         const float *scale, void *folded);
} sslcv__op_kind;

struct sslcv__op {
    const sslcv__op_kind *kind;
    sslcv__layout *layouts[SSLCV__ARG_COUNT];
    void *memory[SSLCV__ARG_COUNT];
    int32_t clears_scratchpad; /* 1: before each run */
    int32_t reserved;
    char implementation[SSLCV__IMPLEMENTATION_SIZE];
};

typedef enum sslcv__conv_direction {
    SSLCV__CONV_FORWARD,
    SSLCV__CONV_BACKWARD_DATA,
    SSLCV__CONV_BACKWARD_WEIGHTS
} sslcv__conv_direction;

/** "convolution forward" ... for messages. */
const char *sslcv__conv_direction_name(sslcv__conv_direction direction);

/* ---- of a back end ---- */

/**
 * A convolution by oneDNN's direct algorithm, or by its Winograd.
 *
 * @return SSLCV_ERR_UNSUPPORTED: there is none for this shape and processor.
 */
sslcv_status sslcv__backend_conv(sslcv_context *context, const sslcv__conv_shape *shape,
                                 sslcv__conv_direction direction, int winograd, const sslcv__conv_post *post,
                                 sslcv__op **out);

/** Blocks that its kernels like on this processor: 16 with AVX-512, else 8. */
int32_t sslcv__backend_block(void);

/* ---- of winograd_op.c ---- */

/** Can our own kernels run it? */
int sslcv__winograd_fits(const sslcv__conv_shape *shape);
sslcv_status sslcv__op_winograd(sslcv_context *context, const sslcv__conv_shape *shape,
                                sslcv__conv_direction direction, const sslcv__conv_post *post, sslcv__op **out);

/* ---- of small_maps.c ---- */

/** Backward weights alone: can our own kernels run it, and is the map so small that they are quicker than oneDNN's? */
int sslcv__small_maps_fit(const sslcv__conv_shape *shape);
sslcv_status sslcv__op_small_maps(sslcv_context *context, const sslcv__conv_shape *shape, sslcv__op **out);

/* ---- of op.c ---- */

/** dst, in layout home: each filter of weights times its scale. */
sslcv_status sslcv__scale_filters(const sslcv__layout *home, const float *weights, const float *scale,
                                  int64_t out_channels, float *dst);

#endif
