/** What the files of the oneDNN 3.x back end share. */
#ifndef SSLCV__DNN_V3_INTERNAL_H
#define SSLCV__DNN_V3_INTERNAL_H

#include "dnn/op.h"

#include <oneapi/dnnl/dnnl.h>

/** Descriptors are handles from 3.0 on: each layout owns one. */
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

/** Message with operation and shape (NULL: none); the text of a oneDNN status alone says nothing. */
sslcv_status sslcv__dnn_fail(dnnl_status_t status, const char *operation, const_dnnl_memory_desc_t shape);

dnnl_data_type_t sslcv__dnn_type(int32_t dtype);

/** The context's engine, made when first asked for. */
sslcv_status sslcv__dnn_engine(sslcv_context *context, dnnl_engine_t *engine);

/** What a descriptor holds. The pointers are into it. */
typedef struct sslcv__dnn_dims {
    dnnl_data_type_t  type;
    int               ndims; /* 0: of nothing */
    const dnnl_dim_t *dims, *padded;
} sslcv__dnn_dims;

sslcv__dnn_dims sslcv__dnn_dims_of(const_dnnl_memory_desc_t md);

/** One argument of a new op: ours, and which descriptor of the primitive it is. Empty descriptors are skipped. */
typedef struct sslcv__op_argument {
    sslcv__arg   arg;
    int          dnnl_arg;
    dnnl_query_t query;
    int          index;
} sslcv__op_argument;

/** What every primitive descriptor is made with. */
typedef struct sslcv__dnn_setup {
    dnnl_engine_t         engine;     /* the context's */
    dnnl_primitive_attr_t attributes; /* the user's scratchpad, and what is done to a result */
} sslcv__dnn_setup;

/** post: what is done to a result; NULL: nothing. On SSLCV_OK to be cleared. */
sslcv_status sslcv__dnn_setup_init(sslcv_context *context, const sslcv__conv_post *post, sslcv__dnn_setup *setup);
void         sslcv__dnn_setup_clear(sslcv__dnn_setup *setup);

/**
 * Make an op.
 *
 * @param made        Of the call that made description; on failure there is none, and that is reported.
 * @param description The op takes it over, also on failure.
 * @param operation   For messages; so is shape.
 * @param out         SSLCV_ERR_UNSUPPORTED when oneDNN has no such implementation.
 */
sslcv_status sslcv__op_make(sslcv_context *context, dnnl_status_t made, dnnl_primitive_desc_t description,
                            const char *operation, const_dnnl_memory_desc_t shape,
                            const sslcv__op_argument *arguments, int count, sslcv__op **out);

#endif
