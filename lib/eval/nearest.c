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

static void hand_out(const sslcv__neighbour *nearest, int64_t k, int64_t *indices, float *similarities)
{
    int64_t i;

    for (i = 0; i < k; i++) {
        indices[i] = nearest[i].index;
        if (similarities) similarities[i] = (float)nearest[i].similarity;
    }
}

sslcv_status sslcv_nearest(sslcv_context *context, const sslcv_tensor *features, const sslcv_tensor *queries, int64_t k,
                           int64_t *indices, float *similarities)
{
    static const sslcv__row_form length = {.kind = SSLCV_STANDARDIZE_LENGTH};
    sslcv__search search = {.context = context};
    sslcv__features rows, wanted;
    sslcv__compute frame;
    float *unit = NULL; /* (n, d) */
    int64_t first, i;
    sslcv_status status = check_arguments(context, features, queries, k, indices, &rows, &wanted);

    if (status == SSLCV_OK) status = sslcv__compute_begin(context, &frame);
    if (status != SSLCV_OK) return status;
    SSLCV__TRY(sslcv__alloc_array(context, rows.n * rows.d, sizeof(float), (void **)&unit));
    SSLCV__TRY(sslcv__search_begin(context, unit, rows.n, rows.d, k, wanted.n, &search));
    sslcv__features_gather(&rows, &length, NULL, 0, rows.n, unit);
    for (first = 0; first < wanted.n; first += search.block) {
        const int64_t count = wanted.n - first < search.block ? wanted.n - first : search.block;

        SSLCV__TRY(sslcv__search_run(&search, &wanted, first, count, NULL));
        for (i = 0; i < count; i++) {
            const int64_t at = (first + i) * k;

            hand_out(search.queries[i].candidates, k, indices + at, similarities ? similarities + at : NULL);
        }
    }
end:
    sslcv__search_end(&search);
    sslcv__free(context, unit);
    sslcv__compute_end(&frame);
    return status;
}
