/**
 * @file onnx.h
 * Networks as ONNX models, for ONNX Runtime, OpenCV's DNN module and others that only infer.
 *
 *     sslcv_onnx_options_init(&options, sizeof options);
 *     options.height = options.width = 224;
 *     sslcv_onnx_save(&branch, "resnet50.onnx", &options);
 *
 * The model computes in f32 what the branch gives in evaluation, within rounding. What the views do to an image before,
 * above all mean and deviation, is not in it. docs/onnx.md has the operators, and what OpenCV asks for.
 */
#ifndef SSLCV_ONNX_H
#define SSLCV_ONNX_H

#include "trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_onnx_options {
    size_t              struct_size;
    int64_t             height, width; /* of the images, 1 .. 65536 pixels; 0 (default): any */
    int64_t             batch;         /* images at once, 1 .. 2^31 - 1; 0 (default): any */
    int32_t             fold_norm;     /* 1 (default): a batch norm goes into the weights of the layer before it; 0: it
                                          stays a BatchNormalization, with the tensors as the state has them */
    int32_t             opset;         /* 11 .. 17; default 13 */
    const sslcv_stream *stream;        /* its write; used when path is NULL */
} sslcv_onnx_options;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_onnx_options_init(sslcv_onnx_options *options, size_t struct_size);

/**
 * Write a branch's networks as an ONNX model. Its input is "images", (batch, C, H, W); its output "features", (batch,
 * D), or (batch, D, h, w) with SSLCV_PASS_MAP: the heads are then applied to every pixel of the map. Initializers have
 * the states' names behind "backbone." and "heads.0.", "heads.1." ...
 *
 * @param branch  backbone, heads, stage, and of flags SSLCV_PASS_MAP are used, views are not; no source, no momentum.
 *                Heads: MLPs (projection, predictor, classifier) and prototypes. "fc6" and "fc7" give rows, also with
 *                SSLCV_PASS_MAP.
 * @param path    UTF-8; NULL: options->stream. A file appears whole or not at all, over one that was there.
 * @param options NULL: defaults.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such stage); SSLCV_ERR_UNSUPPORTED (another kind of head; or a library
 *         built without protobuf-c: sslcv_build_info()); SSLCV_ERR_NUMERIC (a weight is not finite, also when folded);
 *         SSLCV_ERR_LIMIT (height and width too small for the strides, or not those that fc6 is for; or more than
 *         2^31 - 1 bytes, the limit of the format). Nothing has been written then. SSLCV_ERR_IO.
 * @threads One thread at a time per network.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_onnx_save(const sslcv_branch *branch, const char *path, const sslcv_onnx_options *options);

#ifdef __cplusplus
}
#endif
#endif
