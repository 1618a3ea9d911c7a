#include "eval/features.h"

#include "core/tensor.h"

#include <float.h>
#include <math.h>

/* Classes are columns of score matrices; more than this is a label array that is none. */
enum { MAX_LABEL = (1 << 24) - 1 };

static sslcv_status check_dense(const sslcv_tensor *tensor, const char *name)
{
    if (tensor->dtype != SSLCV_F32) {
        return sslcv__invalid("%s has dtype %s; must be f32", name, sslcv__dtype_name(tensor->dtype));
    }
    if (!sslcv__tensor_is_dense(tensor)) return sslcv__invalid("%s has gaps between its elements; must be dense", name);
    return SSLCV_OK;
}

sslcv_status sslcv__features_read(const sslcv_tensor *tensor, const char *name, sslcv__features *features)
{
    static const int64_t any[2] = {-1, -1};
    sslcv_status status;

    if (!tensor) return sslcv__null(name);
    status = sslcv__tensor_check_shape(tensor, name, 2, any);
    if (status == SSLCV_OK) status = check_dense(tensor, name);
    if (status != SSLCV_OK) return status;
    if (tensor->shape[0] == 0 || tensor->shape[1] == 0) {
        return sslcv__invalid("%s has shape (%lld, %lld); both must be >= 1", name, (long long)tensor->shape[0],
                              (long long)tensor->shape[1]);
    }
    *features = (sslcv__features){name, tensor->data, tensor->shape[0], tensor->shape[1]};
    return SSLCV_OK;
}

sslcv_status sslcv__features_answer(sslcv_tensor *tensor, const char *name, int64_t n, int64_t d, int *asks)
{
    const int64_t shape[2] = {n, d};
    const sslcv_status status = sslcv__tensor_answer(tensor, name, SSLCV_F32, 2, shape, asks);

    if (status != SSLCV_OK || *asks) return status;
    return check_dense(tensor, name);
}

/* The first value that is not finite, or d. */
static int64_t find_bad(const float *row, int64_t d, int *is_zero)
{
    int nonzero = 0;
    int64_t i;

    for (i = 0; i < d; i++) {
        if (!isfinite(row[i])) break;
        /* As compute frames see it: denormals are zeros. */
        nonzero |= fabsf(row[i]) >= FLT_MIN;
    }
    *is_zero = !nonzero;
    return i;
}

sslcv_status sslcv__features_check(const sslcv__features *features, const int64_t *skip, int need_length)
{
    int64_t i;

    for (i = 0; i < features->n; i++) {
        const float *row = features->data + i * features->d;
        int is_zero;
        int64_t bad;

        if (skip && skip[i] < 0) continue;
        bad = find_bad(row, features->d, &is_zero);
        if (bad < features->d) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "%s[%lld][%lld] is %g; must be finite", features->name, (long long)i,
                               (long long)bad, (double)row[bad]);
        }
        if (need_length && is_zero) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "%s[%lld] is a row of zeros, which has no direction", features->name,
                               (long long)i);
        }
    }
    return SSLCV_OK;
}

void sslcv__row_normalize(const float *row, int64_t d, float *unit)
{
    double sum = 0, factor;
    int64_t i;

    for (i = 0; i < d; i++) sum += (double)row[i] * (double)row[i];
    factor = 1 / sqrt(sum);
    for (i = 0; i < d; i++) unit[i] = (float)((double)row[i] * factor);
}

void sslcv__row_form_apply(const sslcv__row_form *form, const float *row, int64_t d, float *out)
{
    int64_t i;

    switch (form->kind) {
    case SSLCV_STANDARDIZE_SPREAD:
        for (i = 0; i < d; i++) out[i] = (row[i] - form->mean[i]) * form->scale[i];
        break;
    case SSLCV_STANDARDIZE_LENGTH: sslcv__row_normalize(row, d, out); break;
    default:
        for (i = 0; i < d; i++) out[i] = row[i];
    }
}

void sslcv__features_gather(const sslcv__features *features, const sslcv__row_form *form, const int64_t *rows,
                            int64_t first, int64_t count, float *dense)
{
    const int64_t d = features->d;
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < count; i++) {
        sslcv__row_form_apply(form, features->data + (rows ? rows[i] : first + i) * d, d, dense + i * d);
    }
}

sslcv_status sslcv__labels_check(const int64_t *labels, int64_t n, int64_t *count, int64_t *classes)
{
    int64_t labelled = 0, low = 0, high = -1, i;

    if (!labels) return sslcv__null("labels");
    for (i = 0; i < n; i++) {
        if (labels[i] < -1 || labels[i] > MAX_LABEL) {
            return sslcv__invalid("labels[%lld] is %lld; must be -1 .. %d", (long long)i, (long long)labels[i],
                                  MAX_LABEL);
        }
        if (labels[i] < 0) continue;
        if (labelled == 0 || labels[i] < low) low = labels[i];
        if (labels[i] > high) high = labels[i];
        labelled++;
    }
    if (labelled == 0) return sslcv__fail(SSLCV_ERR_LIMIT, "none of the %lld rows has a label", (long long)n);
    if (low == high) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "all %lld labelled rows have label %lld; a fit needs two classes",
                           (long long)labelled, (long long)low);
    }
    *count = labelled;
    *classes = high + 1;
    return SSLCV_OK;
}
