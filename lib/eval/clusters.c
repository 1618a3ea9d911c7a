/* k-means and NMI as the host calls them. */
#include "eval/features.h"

#include "cluster/kmeans.h"
#include "cluster/nmi.h"
#include "core/compute.h"
#include "core/context.h"
#include "core/options.h"

#include <math.h>

static const sslcv_kmeans_options defaults = {.struct_size = sizeof defaults, .iterations = 20};

sslcv_status sslcv_kmeans_options_init(sslcv_kmeans_options *options, size_t struct_size)
{
    return sslcv__options_init("kmeans_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(const sslcv_kmeans_options *o, int64_t n)
{
    const int64_t most = n < INT32_MAX ? n : INT32_MAX;

    if (o->clusters < 1 || o->clusters > most) {
        return sslcv__invalid("kmeans.clusters is %lld; must be 1 .. %lld", (long long)o->clusters, (long long)most);
    }
    if (o->iterations < 0 || o->iterations > INT32_MAX) {
        return sslcv__invalid("kmeans.iterations is %lld; must be 0 .. 2147483647", (long long)o->iterations);
    }
    if (o->spherical != 0 && o->spherical != 1) {
        return sslcv__invalid("kmeans.spherical is %d; must be 0 or 1", (int)o->spherical);
    }
    if (o->warm_start != 0 && o->warm_start != 1) {
        return sslcv__invalid("kmeans.warm_start is %d; must be 0 or 1", (int)o->warm_start);
    }
    return SSLCV_OK;
}

sslcv_status sslcv_kmeans(sslcv_context *context, const sslcv_tensor *features, const sslcv_kmeans_options *options,
                          sslcv_tensor *centroids, int64_t *assignments, double *objective)
{
    sslcv_kmeans_options o = defaults;
    sslcv__kmeans_settings settings = {.clusters = 0};
    sslcv__kmeans_result result;
    sslcv__features read, centres;
    sslcv__points points = {.rows = NULL};
    sslcv__compute frame = {.active = 0};
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!options || !assignments) return sslcv__null(options ? "assignments" : "options");
    SSLCV__TRY(sslcv__options_read("kmeans_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(sslcv__features_read(features, "features", &read));
    SSLCV__TRY(check_options(&o, read.n));
    SSLCV__TRY(sslcv__features_read(centroids, "centroids", &centres));
    if (centres.n != o.clusters || centres.d != read.d) {
        return sslcv__invalid("centroids has shape (%lld, %lld); must be (%lld, %lld)", (long long)centres.n,
                              (long long)centres.d, (long long)o.clusters, (long long)read.d);
    }
    SSLCV__TRY(sslcv__features_check(&read, NULL, o.spherical));
    points.data = read.data;
    points.n = read.n;
    points.d = read.d;
    settings = (sslcv__kmeans_settings){.clusters = o.clusters,
                                        .iterations = o.iterations,
                                        .seed = sslcv__context_seed(context, o.seed),
                                        .spherical = o.spherical,
                                        .warm_start = o.warm_start};
    SSLCV__TRY(sslcv__compute_begin(context, &frame));
    SSLCV__TRY(sslcv__kmeans(context, &points, &settings, centroids->data, assignments, NULL, &result));
    if (objective) *objective = result.objective;
end:
    sslcv__compute_end(&frame);
    return status;
}

sslcv_status sslcv_nmi(sslcv_context *context, const int64_t *a, const int64_t *b, int64_t n, double *value)
{
    double found;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!a || !b || !value) return sslcv__null(!a ? "a" : !b ? "b" : "value");
    if (n < 1) return sslcv__invalid("n is %lld; must be 1 or more", (long long)n);
    SSLCV__TRY(sslcv__nmi(context, a, b, n, &found));
    if (isnan(found)) return sslcv__invalid("no sample has a label in both a and b");
    *value = found;
end:
    return status;
}
