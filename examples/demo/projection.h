/* A flat map of features: their two principal components. */
#ifndef PROJECTION_H
#define PROJECTION_H

#include <stdint.h>

/**
 * Project rows onto the two directions in which they differ most. Rows are scaled to length 1 first, as the contrastive
 * loss compares directions.
 *
 * @param rows  (count, dim), count >= 2, dim >= 2.
 * @param plane Out: (count, 2).
 * @param share Out: the part of all variance that the plane shows, 0 .. 1.
 * @return 0; -1: out of memory.
 */
int project_on_plane(const float *rows, int64_t count, int64_t dim, double *plane, double *share);

#endif
