/**
 * What the two context networks share: a grid, convolutions over it, and four directions around a body that knows of
 * one only.
 *
 *     input -- [turn: 4 times the rows] -- body -- [turn back: 4 times the width] -- output
 */
#ifndef SSLCV__CONTEXT_NET_H
#define SSLCV__CONTEXT_NET_H

#include "model/head.h"

/** Message names like "pixelcnn.rows". */
sslcv_status sslcv__context_net_check(const char *kind, int64_t rows, int64_t columns, int32_t directions);

/** The head's grid and its first node. */
sslcv_status sslcv__context_net_begin(sslcv_head *head, int64_t rows, int64_t columns, int32_t directions,
                                      sslcv__grid *grid, int32_t *node);

/** Behind the body, *node of which is channels wide. */
sslcv_status sslcv__context_net_end(sslcv_head *head, const sslcv__grid *grid, int32_t *node);

/**
 * A convolution over the places at offsets from each, zeros outside of the grid. Columns of its weight are blocks of
 * the input's width, in the order of the offsets.
 */
sslcv_status sslcv__context_net_convolution(sslcv_head *head, const sslcv__grid *grid, const int32_t (*offsets)[2],
                                            int32_t num_offsets, const sslcv__head_linear *linear, uint64_t seed,
                                            int32_t *node);

#endif
