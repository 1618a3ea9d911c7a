/**
 * What logistic regression minimises, with its gradient, in double precision and streaming over rows:
 *
 *     F(W, b) / C = sum over rows i of l(x_i W^T + b, y_i) + |W|^2 / 2C
 *
 * l is the softmax cross-entropy of a label, or, with targets, the sum over classes of the logistic loss of each.
 *
 * Parameters are one array, laid out as the products want them: classes in panels of 8, the last filled up with classes
 * that are not there, whose parameters are and stay 0; a panel has its 8 values of each dimension side by side, then
 * the 8 intercepts, then rows of 0 up to depth.
 *
 *     [panel][dimension 0 .. dim - 1 | intercept | 0 ..][class % 8]
 *
 * The same bits for any number of threads.
 */
#ifndef SSLCV__OBJECTIVE_H
#define SSLCV__OBJECTIVE_H

#include "eval/features.h"

enum { SSLCV__LANES = 8 };

typedef struct sslcv__objective {
    sslcv_context *context;
    const sslcv__features *features;
    sslcv__row_form form;
    const int64_t *labels; /* one a row of features, or NULL with targets */
    const float *targets;  /* (rows of features, classes): 1, 0, -1: left out; or NULL with labels */
    int64_t classes, panels;
    int64_t depth;  /* rows of 8 in a panel, and doubles in a row of inputs */
    float *formed;  /* (block, dim) */
    double *inputs; /* (block, depth): formed rows, 1, then 0 */
    double *scores; /* (panels, block, 8); become dl/dz */
    double *losses; /* block */
} sslcv__objective;

/** Fill in sizes and allocate; the fields from context to classes have been set. sslcv__objective_end() in any case. */
sslcv_status sslcv__objective_begin(sslcv__objective *o);
void sslcv__objective_end(sslcv__objective *o);

/** Doubles in an array of parameters; 0: more than 2^31 - 1, which liblbfgs cannot count. */
int64_t sslcv__objective_size(const sslcv__objective *o);

/**
 * F / C and its gradient over some rows. Inside a compute frame.
 *
 * @param rows       count row indices of features; each has a label.
 * @param parameters Aligned to 64 bytes, as is gradient.
 * @param gradient   Out: the gradient of F / C.
 */
double sslcv__objective_evaluate(sslcv__objective *o, double c, const int64_t *rows, int64_t count,
                                 const double *parameters, double *gradient);

/** x W^T + b of some rows: (count, classes). Inside a compute frame. */
void sslcv__objective_score(sslcv__objective *o, const int64_t *rows, int64_t count, const double *parameters,
                            float *scores);

#endif
