/**
 * @file tape.h
 * The tape: what one forward pass leaves behind for its backward pass, and all memory that the pass needs.
 *
 *     sslcv_tape_create(context, &tape);                       once
 *     sslcv_backbone_forward(backbone, &images, &pass, tape);  each step: images -> features
 *     sslcv_tape_output(tape, &features);
 *     ...                                                      loss: features -> diff
 *     sslcv_tape_backward(tape, &diff);                        adds to the parameters' gradients
 *
 * The network itself only holds parameters and their gradients. So several tapes may be alive over one network (two
 * views in two passes, crops of two sizes), and threads that each have a tape may share a network for passes with
 * flags 0. A tape is reused pass after pass; once it has seen a shape, a pass of that shape allocates nothing.
 */
#ifndef SSLCV_TAPE_H
#define SSLCV_TAPE_H

#include "context.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_tape sslcv_tape;

/** How a network is run. The same bits serve single passes and the branches of a trainer. */
enum sslcv_pass_flag {
    SSLCV_PASS_TRAIN    = 1, /* batch norm uses and records the batch's statistics, dropout is on; without: running
                                statistics, no dropout */
    SSLCV_PASS_GRADIENT = 2, /* keep what backward needs; also without TRAIN, as detectors are fine-tuned */
    SSLCV_PASS_SHUFFLE  = 4, /* permute the batch before, and back after, so that bn_splits group it at random (MoCo) */
    SSLCV_PASS_MAP      = 8, /* the stage's whole feature map instead of its spatial mean */
    SSLCV_PASS_INPUT_GRADIENT = 16 /* a backbone gives the gradient with respect to its images too (heads always do) */
};

/**
 * bn_splits must divide the images of a TRAIN pass (of heads: the rows), and leave each group more than one value a
 * channel. Where no batch norm takes statistics of the batch, bn_splits, SHUFFLE and random change nothing; nor do
 * SHUFFLE and random with bn_splits 1.
 */
typedef struct sslcv_pass {
    size_t      struct_size;
    int32_t     flags;     /* sum of SSLCV_PASS_*; default TRAIN + GRADIENT; 0: evaluation */
    int32_t     bn_splits; /* batch norm over this many groups, group g = rows g, g + s, g + 2s ...; default 1 */
    uint64_t    random;    /* what shuffling and dropout draw from; equal numbers draw alike. 0 (default): in TRAIN
                              passes the tape makes it of the number of those that it has run forward so far, so that
                              the same calls draw the same and each pass another; a new tape begins anew */
    const char *stage;     /* backbones: stop after this stage; NULL (default): the last */
} sslcv_pass;

/**
 * Set the defaults.
 *
 * @param pass        Out: not NULL.
 * @param struct_size sizeof *pass as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_pass_init(sslcv_pass *pass, size_t struct_size);

/**
 * Make an empty tape.
 *
 * @param context Not NULL.
 * @param tape    Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_tape_create(sslcv_context *context, sslcv_tape **tape);

/**
 * Give back the caller's reference; NULL is accepted.
 *
 * @param tape NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_tape_destroy(sslcv_tape *tape);

/**
 * Result of the last forward pass.
 *
 * @param tape   Not NULL.
 * @param output Out: dense f32; borrowed until the tape's next pass or its destruction.
 * @return SSLCV_OK; SSLCV_ERR_STATE (no forward pass yet).
 * @threads One thread at a time per tape.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_tape_output(const sslcv_tape *tape, sslcv_tensor *output);

/**
 * Run the last forward pass backwards. Gradients are added to those of the network's parameters; frozen ones get none.
 * Once per forward pass, but that of a custom head which has failed may be run again. Where oneDNN fails, some of the
 * gradients may have been added.
 *
 * @param tape        Last used with SSLCV_PASS_GRADIENT.
 * @param diff_output Gradient of the loss with respect to the output: as many elements in the same order, dense f32;
 *                    how they are cut into axes does not matter, so (V, N, D) serves for an output (V * N, D).
 * @return SSLCV_OK; SSLCV_ERR_STATE (no forward pass, or none with a gradient, or already run back).
 * @threads One thread at a time per tape and per network.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_tape_backward(sslcv_tape *tape, const sslcv_tensor *diff_output);

/**
 * Gradient with respect to the input, after sslcv_tape_backward(): what the network before this one is run back with.
 *
 * @param tape       Not NULL.
 * @param diff_input Out: dense f32 of the input's shape; borrowed until the tape's next pass or its destruction.
 * @return SSLCV_OK; SSLCV_ERR_STATE (not run back; or a backbone without SSLCV_PASS_INPUT_GRADIENT).
 * @threads One thread at a time per tape.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_tape_diff_input(const sslcv_tape *tape, sslcv_tensor *diff_input);

#ifdef __cplusplus
}
#endif
#endif
