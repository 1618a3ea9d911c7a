/**
 * Figures of scores with intervals, for sslcv_figure_compute() and for the choice of C.
 *
 * A test set that the bootstrap draws is a weight for each row: how often it was drawn. NULL: all once.
 */
#ifndef SSLCV__FIGURES_H
#define SSLCV__FIGURES_H

#include "eval/features.h"

/**
 * Average precision of a ranking, best first (VOC devkit). A rank of weight w is w ranks of equal kind in a row; their
 * last one has the largest precision, so the others change nothing.
 *
 * @param hits      n ranks: 1 has the class.
 * @param order     n rows, of whose weights those of the ranks are; read with weights only.
 * @param weights   One a row, or NULL.
 * @param positives >= 1: all that should have been found, also where the ranking lacks some (detection).
 * @param figure    SSLCV_FIGURE_AP_11 or AP_AREA.
 */
double sslcv__average_precision(const unsigned char *hits, const int32_t *order, const int32_t *weights, int64_t n,
                                double positives, int32_t figure);

/**
 * sslcv_figure_compute() on what has been read; one of labels and targets is not NULL.
 *
 * @param value Out: all but struct_size.
 */
sslcv_status sslcv__figure_compute(sslcv_context *context, const sslcv__features *scores, const int64_t *labels,
                                   const float *targets, const sslcv_figure_options *options, sslcv_figure_value *value,
                                   double *per_class);

/** Read (n, classes) targets; classes -1: as many as there are. */
sslcv_status sslcv__targets_read(const sslcv_tensor *tensor, int64_t n, int64_t classes, const float **targets);

#endif
