/** Networks become nodes of an ONNX model. */
#ifndef SSLCV__ONNX_GRAPH_H
#define SSLCV__ONNX_GRAPH_H

#include "nn/net.h"
#include "onnx/model.h"

/** What flows between networks: the name of a value, and what is known of its shape. */
typedef struct sslcv__onnx_value {
    const char *name;
    int64_t channels;
    int64_t height, width; /* 0: not known; of maps */
    int32_t rows;          /* 1: (N, D); 0: (N, D, h, w) */
    int32_t reserved;
} sslcv__onnx_value;

/**
 * Append the nodes of a network up to last_node.
 *
 * @param what   For messages: "heads[1], a patch_mlp".
 * @param prefix Of names: "heads.1".
 * @param fold   1: batch norms go into the layers before them.
 * @param value  In: the network's input; a head's may be a map, and it is then applied to each pixel. Out: its result.
 * @return SSLCV_ERR_UNSUPPORTED: a node that has no form; with what. SSLCV_ERR_LIMIT: the images are too small.
 */
sslcv_status sslcv__onnx_net(sslcv__onnx_model *model, const sslcv__net *net, int32_t last_node, const char *what,
                             const char *prefix, int32_t fold, sslcv__onnx_value *value);

/** Append the mean over the pixels of a map. */
sslcv_status sslcv__onnx_mean(sslcv__onnx_model *model, const char *prefix, sslcv__onnx_value *value);

#endif
