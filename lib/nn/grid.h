/**
 * Rows as the places of grids: row r belongs to place r % P of grid r / P, places counted row by row. Context networks
 * of CPC are made of these: a masked convolution is the neighbours that it sees side by side, then a linear layer.
 *
 * With four directions a batch of grids stands four times in one array, so that one set of weights sees all of them in
 * one pass: as they are, then turned counter-clockwise by 90 degrees, 180 and 270. Turned by 90 or 270 degrees, a grid
 * of R rows and C columns has C rows and R columns:
 *
 *     0 1 2     2 5     5 4 3     3 0
 *     3 4 5     1 4     2 1 0     4 1
 *               0 3               5 2
 */
#ifndef SSLCV__GRID_H
#define SSLCV__GRID_H

#include <stdint.h>

enum { SSLCV__GRID_OFFSETS = 6 };

typedef struct sslcv__grid {
    int64_t rows, columns; /* before turning */
    int32_t directions;    /* 1, or 4: quarter d of the grids is turned by d quarters */
    int32_t num_offsets;
    int32_t offsets[SSLCV__GRID_OFFSETS][2]; /* of neighbours: rows down, columns to the right */
} sslcv__grid;

/* Arrays do not overlap; count: rows of x, whole grids. Inside a compute frame. */

/** y: (count, num_offsets dim) <- the neighbours of each place side by side, zeros for those outside of the grid. */
void sslcv__grid_shift(const sslcv__grid *grid, const float *x, int64_t count, int64_t dim, float *y);
void sslcv__grid_shift_backward(const sslcv__grid *grid, const float *dy, int64_t count, int64_t dim, float *dx);

/** y: (4 count, dim) <- all grids, then all of them turned by one quarter, two, three. directions is 4. */
void sslcv__grid_turn(const sslcv__grid *grid, const float *x, int64_t count, int64_t dim, float *y);
void sslcv__grid_turn_backward(const sslcv__grid *grid, const float *dy, int64_t count, int64_t dim, float *dx);

/** y: (count, 4 dim) <- x: (4 count, dim), turned back, what belongs to one place side by side. */
void sslcv__grid_turn_back(const sslcv__grid *grid, const float *x, int64_t count, int64_t dim, float *y);
void sslcv__grid_turn_back_backward(const sslcv__grid *grid, const float *dy, int64_t count, int64_t dim, float *dx);

#endif
