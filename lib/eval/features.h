/**
 * Arrays of features as callers hand them in: (n, d) dense f32, one row a sample.
 *
 * Rows are brought into a form before anything looks at them: as they are, standardised, or of length 1.
 */
#ifndef SSLCV__FEATURES_H
#define SSLCV__FEATURES_H

#include <sslcv/probe.h>

#include "core/error.h"

typedef struct sslcv__features {
    const char *name; /* for messages */
    const float *data;
    int64_t n, d; /* both >= 1 */
} sslcv__features;

/** How rows are brought into a form. mean and scale have d values, and are read by SSLCV_STANDARDIZE_SPREAD only. */
typedef struct sslcv__row_form {
    int32_t kind; /* SSLCV_STANDARDIZE_* */
    int32_t reserved;
    const float *mean;
    const float *scale;
} sslcv__row_form;

/** An argument that a public function reads. */
sslcv_status sslcv__features_read(const sslcv_tensor *tensor, const char *name, sslcv__features *features);

/** An array that a public function fills: dense f32 (n, d). Data NULL: *asks is 1 and the tensor says that. */
sslcv_status sslcv__features_answer(sslcv_tensor *tensor, const char *name, int64_t n, int64_t d, int *asks);

/**
 * Every value finite, and every row other than zero where rows get a length.
 *
 * @param skip NULL, or n labels: rows with a negative one are not looked at.
 * @return SSLCV_ERR_NUMERIC, naming the first row at fault.
 */
sslcv_status sslcv__features_check(const sslcv__features *features, const int64_t *skip, int need_length);

/**
 * Copy rows in a form. They have passed sslcv__features_check(). Inside a compute frame.
 *
 * @param rows  count row indices; NULL: first, first + 1 ...
 * @param dense Out: (count, d).
 */
void sslcv__features_gather(const sslcv__features *features, const sslcv__row_form *form, const int64_t *rows,
                            int64_t first, int64_t count, float *dense);

/** One row in a form. */
void sslcv__row_form_apply(const sslcv__row_form *form, const float *row, int64_t d, float *out);

/** One row to length 1; the norm is summed in double precision, in order, the result rounded to f32. */
void sslcv__row_normalize(const float *row, int64_t d, float *unit);

/**
 * Labels of a fit: each -1 or more.
 *
 * @param count   Out: rows with a label.
 * @param classes Out: largest label + 1; at least 2.
 * @return SSLCV_ERR_LIMIT: labels of fewer than two classes.
 */
sslcv_status sslcv__labels_check(const int64_t *labels, int64_t n, int64_t *count, int64_t *classes);

#endif
