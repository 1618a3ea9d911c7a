/** Which centre each row belongs to: the large part of k-means. */
#ifndef SSLCV__NEAREST_H
#define SSLCV__NEAREST_H

#include "cluster/kmeans.h"

/** Rows and centres of a run. Rows are brought into a form before anything looks at them. */
typedef struct sslcv__clustering {
    sslcv_context       *context;
    const sslcv__points *points;
    int64_t              clusters;
    int32_t              spherical;
    int32_t              reserved;
    float               *shift;   /* (d), taken off rows, and off centres: the mean; NULL when spherical */
    double              *scale;   /* (n), rows are multiplied by it: 1 / length; NULL unless spherical */
    float               *centres; /* (clusters, d), of rows in this form */
    float               *bias;    /* (clusters): -|c|^2 / 2; 0 when spherical */
    int32_t             *nearest; /* (n); -1: not known yet */
    int64_t              block;   /* rows a block */
    int64_t              blocks;
    double              *sums;    /* (blocks): of the objective */
    int64_t             *changes; /* (blocks): rows that have another centre than before */
    float               *scratch; /* of all threads */
    int64_t              scratch_floats; /* of one */
} sslcv__clustering;

/** Set block, blocks and scratch_floats from points and clusters. */
void sslcv__nearest_plan(sslcv__clustering *c);

/** A row in its form. i: place among the points. */
void sslcv__nearest_form(const sslcv__clustering *c, int64_t i, float *row);

/**
 * Find the centre of every row; of equally near ones the lowest. Inside a compute frame.
 *
 * @param objective Out: mean squared distance; spherical: mean cosine.
 * @param changed   Out: rows that have another centre than before.
 */
sslcv_status sslcv__nearest_find(sslcv__clustering *c, double *objective, int64_t *changed);

#endif
