/** What the files of the oneDNN 2.x back end share. */
#ifndef SSLCV__DNN_V2_INTERNAL_H
#define SSLCV__DNN_V2_INTERNAL_H

#include "dnn/dnn.h"

#include <oneapi/dnnl/dnnl.h>

struct sslcv__layout {
    dnnl_memory_desc_t md;
};

enum { SSLCV__IMPLEMENTATION_SIZE = 64 };

struct sslcv__op {
    dnnl_primitive_desc_t description; /* the hint of the backward op */
    dnnl_primitive_t      primitive;
    dnnl_stream_t         stream;
    sslcv__layout        *layouts[SSLCV__ARG_COUNT];
    dnnl_memory_t         memories[SSLCV__ARG_COUNT];
    dnnl_exec_arg_t       arguments[SSLCV__ARG_COUNT];
    int                   num_arguments;
    char                  implementation[SSLCV__IMPLEMENTATION_SIZE];
};

/** Message with operation and shape; the text of a oneDNN status alone says nothing. */
sslcv_status sslcv__dnn_fail(dnnl_status_t status, const char *operation, const dnnl_memory_desc_t *shape);

/** The context's engine, made when first asked for. */
sslcv_status sslcv__dnn_engine(sslcv_context *context, dnnl_engine_t *engine);

/**
 * Make an op from an op descriptor, without its arguments.
 *
 * @param operation For messages.
 * @param shape     For messages.
 * @param hint      The forward op of a backward one; else NULL.
 * @param out       SSLCV_ERR_UNSUPPORTED when oneDNN has no such implementation: the caller may try another algorithm.
 */
sslcv_status sslcv__op_create(sslcv_context *context, const void *descriptor, const dnnl_primitive_attr_t attributes,
                              const sslcv__op *hint, const char *operation, const dnnl_memory_desc_t *shape,
                              sslcv__op **out);

/** The same from a primitive descriptor, which the op takes over, also on failure. */
sslcv_status sslcv__op_create_from(sslcv_context *context, dnnl_primitive_desc_t description, const char *operation,
                                   const dnnl_memory_desc_t *shape, sslcv__op **out);

/** One argument of a new op: ours, and which descriptor of the primitive it is. Empty descriptors are skipped. */
typedef struct sslcv__op_argument {
    sslcv__arg   arg;
    int          dnnl_arg;
    dnnl_query_t query;
    int          index;
} sslcv__op_argument;

/** Add arguments and the scratchpad; frees the op when that fails. */
sslcv_status sslcv__op_add_arguments(sslcv_context *context, sslcv__op *op, const sslcv__op_argument *arguments,
                                     int count);

/** sslcv__op_create() with plain attributes, then its arguments. */
sslcv_status sslcv__op_make(sslcv_context *context, const void *descriptor, const sslcv__op *hint, const char *operation,
                            const dnnl_memory_desc_t *shape, const sslcv__op_argument *arguments, int count,
                            sslcv__op **out);

/** Attributes with the user's scratchpad; accumulate adds to dst (reorders). To be destroyed. */
sslcv_status sslcv__dnn_attributes(int accumulate, dnnl_primitive_attr_t *attributes);

#endif
