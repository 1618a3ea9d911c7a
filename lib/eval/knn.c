/*
 * k-nearest-neighbour classification of features (Wu et al. 2018, "Unsupervised feature learning via non-parametric
 * instance discrimination"):
 *
 *     score of class c = sum over the k nearest rows i with label c of exp(s_i / T)
 *
 * s is the cosine. We divide by the largest term, exp(s_1 / T): the order of classes is the same, the nearest row's
 * vote is 1, and nothing overflows however small T is.
 */
#include "eval/probe.h"

#include "core/context.h"
#include "core/memory.h"
#include "core/openmp.h"
#include "eval/search.h"

#include <math.h>

static const sslcv__row_form length = {.kind = SSLCV_STANDARDIZE_LENGTH};

/* Indices of the rows that have a label. */
static void list_labelled(const int64_t *labels, int64_t n, int64_t *rows)
{
    int64_t count = 0, i;

    for (i = 0; i < n; i++) {
        if (labels[i] >= 0) rows[count++] = i;
    }
}

sslcv_status sslcv__knn_fit(const sslcv_probe *probe, const sslcv__features *features, const int64_t *labels,
                            int64_t count, sslcv__fit *fit)
{
    sslcv_context *context = probe->object.context;
    int64_t *rows = NULL; /* count: their indices in features */
    int64_t i;
    sslcv_status status;

    if (count < probe->options.neighbors) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "probe.neighbors is %lld; there are only %lld labelled rows",
                           (long long)probe->options.neighbors, (long long)count);
    }
    SSLCV__TRY(sslcv__features_check(features, labels, 1));
    SSLCV__TRY(sslcv__alloc_array(context, count, sizeof *rows, (void **)&rows));
    SSLCV__TRY(sslcv__alloc_array(context, count, sizeof *fit->labels, (void **)&fit->labels));
    SSLCV__TRY(sslcv__alloc_array(context, count * features->d, sizeof *fit->rows, (void **)&fit->rows));
    list_labelled(labels, features->n, rows);
    sslcv__features_gather(features, &length, rows, 0, count, fit->rows);
    for (i = 0; i < count; i++) fit->labels[i] = labels[rows[i]];
    fit->count = count;
    fit->dim = features->d;
end:
    sslcv__free(context, rows);
    return status;
}

/** Where votes go. */
typedef struct election {
    const sslcv_probe *probe;
    double *votes; /* (threads, num_classes), in double so that k votes do not lose what sets two classes apart */
    float *scores; /* (queries, num_classes) */
} election;

static void vote(void *user, int thread, int64_t query, const sslcv__neighbour *nearest)
{
    const election *e = user;
    const sslcv__fit *fit = &e->probe->fit;
    double *votes = e->votes + thread * fit->num_classes;
    float *scores = e->scores + query * fit->num_classes;
    int64_t i;

    for (i = 0; i < fit->num_classes; i++) votes[i] = 0;
    for (i = 0; i < e->probe->options.neighbors; i++) {
        votes[fit->labels[nearest[i].index]] +=
            exp((nearest[i].similarity - nearest[0].similarity) / e->probe->options.temperature);
    }
    for (i = 0; i < fit->num_classes; i++) scores[i] = (float)votes[i];
}

static sslcv_status check_excluded(const sslcv_probe *probe, const int64_t *exclude)
{
    if (exclude && probe->options.neighbors >= probe->fit.count) {
        return sslcv__fail(
            SSLCV_ERR_LIMIT, "probe.neighbors is %lld; of %lld labelled rows only %lld are left beside each row itself",
            (long long)probe->options.neighbors, (long long)probe->fit.count, (long long)probe->fit.count - 1);
    }
    return SSLCV_OK;
}

sslcv_status sslcv__knn_score(const sslcv_probe *probe, const sslcv__features *features, const int64_t *exclude,
                              float *scores)
{
    sslcv_context *context = probe->object.context;
    const sslcv__fit *fit = &probe->fit;
    election e = {probe, NULL, scores};
    const sslcv__search search = {fit->rows, fit->count, fit->dim, probe->options.neighbors,
                                  features,  exclude,    vote,     &e};
    sslcv_status status;

    SSLCV__TRY(sslcv__features_check(features, NULL, 1));
    SSLCV__TRY(check_excluded(probe, exclude));
    SSLCV__TRY(
        sslcv__alloc_array(context, omp_get_max_threads() * fit->num_classes, sizeof *e.votes, (void **)&e.votes));
    SSLCV__TRY(sslcv__search_run(context, &search));
end:
    sslcv__free(context, e.votes);
    return status;
}
