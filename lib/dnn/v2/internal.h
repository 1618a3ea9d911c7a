/** What the files of the oneDNN 2.x back end share. */
#ifndef SSLCV__DNN_V2_INTERNAL_H
#define SSLCV__DNN_V2_INTERNAL_H

#include "dnn/op.h"

#include <oneapi/dnnl/dnnl.h>

struct sslcv__layout {
    dnnl_memory_desc_t md;
};

/** An op that is a primitive of oneDNN. */
typedef struct sslcv__primitive {
    sslcv__op             op;          /* first */
    dnnl_primitive_desc_t description; /* the hint of the backward op */
    dnnl_primitive_t      primitive;
    dnnl_stream_t         stream;
    dnnl_memory_t         memories[SSLCV__ARG_COUNT];
    dnnl_exec_arg_t       arguments[SSLCV__ARG_COUNT];
    int                   num_arguments;
} sslcv__primitive;

/** Message with operation and shape; the text of a oneDNN status alone says nothing. */
sslcv_status sslcv__dnn_fail(dnnl_status_t status, const char *operation, const dnnl_memory_desc_t *shape);

dnnl_data_type_t sslcv__dnn_type(int32_t dtype);

/** The context's engine, made when first asked for. */
sslcv_status sslcv__dnn_engine(sslcv_context *context, dnnl_engine_t *engine);

/** One argument of a new op: ours, and which descriptor of the primitive it is. Empty descriptors are skipped. */
typedef struct sslcv__op_argument {
    sslcv__arg   arg;
    int          dnnl_arg;
    dnnl_query_t query;
    int          index;
} sslcv__op_argument;

/**
 * Make an op.
 *
 * @param descriptor Of the operation.
 * @param post       Of an inference convolution; NULL: none.
 * @param hint       The forward op of a backward one; else NULL.
 * @param operation  For messages; so is shape.
 * @param out        SSLCV_ERR_UNSUPPORTED when oneDNN has no such implementation: the caller may try another algorithm.
 */
sslcv_status sslcv__op_make(sslcv_context *context, const void *descriptor, const sslcv__conv_post *post,
                            const sslcv__op *hint, const char *operation, const dnnl_memory_desc_t *shape,
                            const sslcv__op_argument *arguments, int count, sslcv__op **out);

/** The same from a primitive descriptor, which the op takes over, also on failure. */
sslcv_status sslcv__op_make_from(sslcv_context *context, dnnl_primitive_desc_t description, const char *operation,
                                 const dnnl_memory_desc_t *shape, const sslcv__op_argument *arguments, int count,
                                 sslcv__op **out);

/** Attributes with the user's scratchpad, and what is done to a result. To be destroyed. */
sslcv_status sslcv__dnn_attributes(const sslcv__conv_post *post, dnnl_primitive_attr_t *attributes);

#endif
