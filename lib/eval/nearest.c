/* sslcv_nearest(): retrieval, straight on the search that the k-NN probe uses. */
#include "eval/search.h"

#include "core/compute.h"
#include "core/memory.h"
#include "core/object.h"

static sslcv_status check_arguments(sslcv_context *context, const sslcv_tensor *features, const sslcv_tensor *queries,
                                    int64_t k, const int64_t *indices, sslcv__features *rows, sslcv__features *wanted)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    SSLCV__TRY(sslcv__features_read(features, "features", rows));
    SSLCV__TRY(sslcv__features_read(queries, "queries", wanted));
    if (!indices) return sslcv__null("indices");
    if (rows->d != wanted->d) {
        return sslcv__invalid("queries has %lld dimensions; features has %lld", (long long)wanted->d,
                              (long long)rows->d);
    }
    if (k < 1 || k > rows->n) {
        return sslcv__invalid("k is %lld; must be 1 .. %lld, the rows of features", (long long)k, (long long)rows->n);
    }
    SSLCV__TRY(sslcv__features_check(rows, NULL, 1));
    SSLCV__TRY(sslcv__features_check(wanted, NULL, 1));
end:
    return status;
}

/** Where neighbours go. */
typedef struct answer {
    int64_t k;
    int64_t *indices;
    float *similarities; /* may be NULL */
} answer;

static void hand_out(void *user, int thread, int64_t query, const sslcv__neighbour *nearest)
{
    const answer *out = user;
    int64_t i;

    (void)thread;
    for (i = 0; i < out->k; i++) {
        out->indices[query * out->k + i] = nearest[i].index;
        if (out->similarities) out->similarities[query * out->k + i] = (float)nearest[i].similarity;
    }
}

sslcv_status sslcv_nearest(sslcv_context *context, const sslcv_tensor *features, const sslcv_tensor *queries, int64_t k,
                           int64_t *indices, float *similarities)
{
    static const sslcv__row_form length = {.kind = SSLCV_STANDARDIZE_LENGTH};
    answer out = {k, indices, similarities};
    sslcv__features rows, wanted;
    sslcv__search search;
    sslcv__compute frame;
    float *unit = NULL; /* (n, d) */
    sslcv_status status = check_arguments(context, features, queries, k, indices, &rows, &wanted);

    if (status == SSLCV_OK) status = sslcv__compute_begin(context, &frame);
    if (status != SSLCV_OK) return status;
    SSLCV__TRY(sslcv__alloc_array(context, rows.n * rows.d, sizeof(float), (void **)&unit));
    sslcv__features_gather(&rows, &length, NULL, 0, rows.n, unit);
    search = (sslcv__search){unit, rows.n, rows.d, k, &wanted, NULL, hand_out, &out};
    SSLCV__TRY(sslcv__search_run(context, &search));
end:
    sslcv__free(context, unit);
    sslcv__compute_end(&frame);
    return status;
}
