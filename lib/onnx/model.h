/**
 * An ONNX model under construction: protobuf-c's messages, and all memory of theirs.
 *
 *     create -> input -> (node, attributes, tensors) ... -> output -> check -> write -> free
 *
 * The messages are small. Weights are not copied into them: a message holds where a variable is, and writing unpacks
 * one after the other into one buffer as large as the largest.
 *
 * Nodes stand in topological order, as the format wants it. Names are unique by construction.
 */
#ifndef SSLCV__ONNX_MODEL_H
#define SSLCV__ONNX_MODEL_H

#include "io/save.h"
#include "nn/variable.h"

typedef struct sslcv__onnx_model sslcv__onnx_model;

sslcv_status sslcv__onnx_create(sslcv_context *context, int32_t opset, sslcv__onnx_model **model);
void sslcv__onnx_free(sslcv__onnx_model *model); /* NULL is accepted */

/** Memory that lives as long as the model, zeroed. */
sslcv_status sslcv__onnx_memory(sslcv__onnx_model *model, int64_t count, int64_t size, void **memory);
/** Likewise, a text. */
sslcv_status sslcv__onnx_text(sslcv__onnx_model *model, char **text, const char *format, ...) SSLCV__PRINTF(3, 4);

/** Its texts are copied, also those of the following calls. */
sslcv_status sslcv__onnx_metadata(sslcv__onnx_model *model, const char *key, const char *value);

/** An axis of an input or output: a size; or 0 and a name. */
typedef struct sslcv__onnx_axis {
    int64_t size;
    const char *name;
} sslcv__onnx_axis;

sslcv_status sslcv__onnx_input(sslcv__onnx_model *model, const char *name, const sslcv__onnx_axis *axes, int32_t ndim);
sslcv_status sslcv__onnx_output(sslcv__onnx_model *model, const char *name, const sslcv__onnx_axis *axes, int32_t ndim);

/** Append a node of one output, which is its name too. inputs end with NULL; "" is one left out. */
sslcv_status sslcv__onnx_node(sslcv__onnx_model *model, const char *kind, const char *const *inputs,
                              const char *output);
/** Give the last node's output this name: nobody reads it yet. */
sslcv_status sslcv__onnx_rename_last(sslcv__onnx_model *model, const char *output);

/** Attributes of the last node. */
sslcv_status sslcv__onnx_float(sslcv__onnx_model *model, const char *name, float value);
sslcv_status sslcv__onnx_integer(sslcv__onnx_model *model, const char *name, int64_t value);
sslcv_status sslcv__onnx_integers(sslcv__onnx_model *model, const char *name, const int64_t *values, int64_t count);

/** An initializer. shape has as many elements as values; both are copied. One of that name already: nothing. */
sslcv_status sslcv__onnx_floats(sslcv__onnx_model *model, const char *name, int32_t ndim, const int64_t *shape,
                                const float *values);
sslcv_status sslcv__onnx_int64s(sslcv__onnx_model *model, const char *name, int64_t count, const int64_t *values);
/** Likewise, count times value. */
sslcv_status sslcv__onnx_constant(sslcv__onnx_model *model, const char *name, int64_t count, float value);

/**
 * An initializer with a variable's values, read when the model is written.
 *
 * @param scales Factors of the rows, shape[0] of them, from sslcv__onnx_memory(); NULL: none.
 */
sslcv_status sslcv__onnx_variable(sslcv__onnx_model *model, const char *name, int32_t ndim, const int64_t *shape,
                                  const sslcv__variable *variable, const double *scales);

/** SSLCV_ERR_LIMIT: too large for the format; SSLCV_ERR_NUMERIC: a value that is not finite. */
sslcv_status sslcv__onnx_check(sslcv__onnx_model *model);
sslcv_status sslcv__onnx_write(sslcv__onnx_model *model, sslcv__sink *to);

#endif
