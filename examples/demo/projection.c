#include "projection.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ITERATIONS = 200 };

/* unit: (count, dim), the rows at length 1, less their mean. */
static void scale_and_center(const float *rows, int64_t count, int64_t dim, double *unit)
{
    for (int64_t i = 0; i < count; i++) {
        double square = 0;

        for (int64_t j = 0; j < dim; j++) square += (double)rows[i * dim + j] * rows[i * dim + j];
        for (int64_t j = 0; j < dim; j++) unit[i * dim + j] = rows[i * dim + j] / sqrt(square + 1e-24);
    }
    for (int64_t j = 0; j < dim; j++) {
        double mean = 0;

        for (int64_t i = 0; i < count; i++) mean += unit[i * dim + j];
        mean /= (double)count;
        for (int64_t i = 0; i < count; i++) unit[i * dim + j] -= mean;
    }
}

/* covariance: (dim, dim), the sum over rows of x x^T. */
static void sum_products(const double *unit, int64_t count, int64_t dim, double *covariance)
{
    memset(covariance, 0, (size_t)(dim * dim) * sizeof *covariance);
    for (int64_t i = 0; i < count; i++) {
        const double *x = unit + i * dim;

        for (int64_t j = 0; j < dim; j++) {
            for (int64_t k = 0; k < dim; k++) covariance[j * dim + k] += x[j] * x[k];
        }
    }
}

/* Power iteration: repeated multiplication turns any vector towards the eigenvector of the largest eigenvalue. */
static double find_direction(const double *covariance, int64_t dim, double *direction, double *scratch)
{
    double length = 0;

    for (int64_t j = 0; j < dim; j++) direction[j] = 1.0 / (double)(j + 1);
    for (int64_t n = 0; n < ITERATIONS; n++) {
        length = 0;
        for (int64_t j = 0; j < dim; j++) {
            scratch[j] = 0;
            for (int64_t k = 0; k < dim; k++) scratch[j] += covariance[j * dim + k] * direction[k];
            length += scratch[j] * scratch[j];
        }
        length = sqrt(length) + 1e-300;
        for (int64_t j = 0; j < dim; j++) direction[j] = scratch[j] / length;
    }
    return length; /* the eigenvalue */
}

/* Take the direction out, so that the next search finds the second one. */
static void deflate(double *covariance, int64_t dim, const double *direction, double eigenvalue)
{
    for (int64_t j = 0; j < dim; j++) {
        for (int64_t k = 0; k < dim; k++) covariance[j * dim + k] -= eigenvalue * direction[j] * direction[k];
    }
}

int project_on_plane(const float *rows, int64_t count, int64_t dim, double *plane, double *share)
{
    double *unit = malloc((size_t)(count * dim) * sizeof *unit);
    double *covariance = malloc((size_t)(dim * dim) * sizeof *covariance);
    double *vectors = malloc((size_t)dim * 2 * sizeof *vectors); /* direction, scratch */
    double total = 0, shown = 0;
    int result = -1;

    if (!unit || !covariance || !vectors) goto end;
    scale_and_center(rows, count, dim, unit);
    sum_products(unit, count, dim, covariance);
    for (int64_t j = 0; j < dim; j++) total += covariance[j * dim + j];
    for (int64_t axis = 0; axis < 2; axis++) {
        const double eigenvalue = find_direction(covariance, dim, vectors, vectors + dim);

        for (int64_t i = 0; i < count; i++) {
            double sum = 0;

            for (int64_t j = 0; j < dim; j++) sum += unit[i * dim + j] * vectors[j];
            plane[i * 2 + axis] = sum;
        }
        deflate(covariance, dim, vectors, eigenvalue);
        shown += eigenvalue;
    }
    *share = total > 0 ? shown / total : 0;
    result = 0;
end:
    free(vectors);
    free(covariance);
    free(unit);
    return result;
}
