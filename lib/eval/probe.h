/**
 * The probe inside: one options struct, one fit. A kind is a pair of functions, in a file of its own: one makes a fit,
 * one scores rows with it. A fit is made whole before it replaces the one before.
 */
#ifndef SSLCV__PROBE_H
#define SSLCV__PROBE_H

#include <sslcv/probe.h>

#include "core/object.h"
#include "eval/features.h"

/** What a fit leaves behind. Fields of the other kind are 0. */
typedef struct sslcv__fit {
    int64_t num_classes; /* 0: not fitted */
    int64_t dim;
    /* KNN */
    int64_t count;   /* labelled rows */
    float *rows;     /* (count, dim), each of length 1 */
    int64_t *labels; /* count */
    /* LINEAR, LOGISTIC */
    float *weights; /* (num_classes, dim) */
    float *bias;    /* num_classes */
    float *mean;    /* dim; NULL unless SSLCV_STANDARDIZE_SPREAD */
    float *scale;   /* dim; likewise */
    /* for sslcv_probe_get_info() */
    int64_t labelled; /* rows with a label */
    double c, objective, validation;
    int64_t iterations, converged;
} sslcv__fit;

/** What a fit is made of. */
typedef struct sslcv__fit_rows {
    const sslcv__features *features;
    const int64_t *labels;     /* one a row, -1: left out; NULL with targets */
    const float *targets;      /* (rows, classes); NULL with labels */
    const int64_t *validation; /* row indices, not checked yet; NULL: to be drawn */
    int64_t num_validation;
} sslcv__fit_rows;

struct sslcv_probe {
    sslcv__object object;
    sslcv_probe_options options; /* learning_rate points at schedule; seed is drawn */
    sslcv_schedule schedule;
    sslcv__fit fit;
};

void sslcv__fit_free(sslcv_context *context, sslcv__fit *fit); /* zeroed ones are accepted */

/**
 * Fit anew. labels have been checked: count of them are >= 0, all below fit->num_classes. *fit is zeroed but for
 * num_classes; after a failure the caller frees what is in it. Inside a compute frame.
 */
sslcv_status sslcv__knn_fit(const sslcv_probe *probe, const sslcv__features *features, const int64_t *labels,
                            int64_t count, sslcv__fit *fit);
sslcv_status sslcv__linear_fit(const sslcv_probe *probe, const sslcv__features *features, const int64_t *labels,
                               int64_t count, sslcv__fit *fit);
sslcv_status sslcv__logistic_fit(const sslcv_probe *probe, const sslcv__fit_rows *given, sslcv__fit *fit);

/** Fill mean and scale: 1 / deviation, of count rows of features; a constant dimension gets 1, so becomes 0. */
sslcv_status sslcv__fit_measure_spread(const sslcv_probe *probe, const sslcv__features *features, const int64_t *rows,
                                       int64_t count, sslcv__fit *fit);

/** scores: (n, num_classes). exclude: sslcv__search_run(). LOGISTIC is scored as LINEAR. Inside a compute frame. */
sslcv_status sslcv__knn_score(const sslcv_probe *probe, const sslcv__features *features, const int64_t *exclude,
                              float *scores);
sslcv_status sslcv__linear_score(const sslcv_probe *probe, const sslcv__features *features, float *scores);

/** sslcv_probe_fit() with at least so many classes: the test set may have some that the training set lacks. */
sslcv_status sslcv__probe_fit(sslcv_probe *probe, const sslcv__features *features, const int64_t *labels,
                              int64_t min_classes);

/** sslcv_probe_predict() into memory of the library. */
sslcv_status sslcv__probe_score(const sslcv_probe *probe, const sslcv__features *features, const int64_t *exclude,
                                float *scores);

#endif
