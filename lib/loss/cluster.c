/**
 * Clusters as labels: what is remembered, and what an epoch makes of it.
 *
 * Caron, Misra, Mairal, Goyal, Bojanowski, Joulin: Unsupervised Learning of Visual Features by Contrasting Cluster
 * Assignments, 2020, appendix D (DeepCluster-v2); facebookresearch/swav, main_deepclusterv2.py.
 *
 * An epoch begins with k-means over what is remembered. Its results are put beside the old ones and taken over when all
 * sets are done: a clustering that fails or is cancelled has changed nothing.
 */
#include "loss/cluster.h"

#include "cluster/kmeans.h"
#include "cluster/nmi.h"
#include "core/checked.h"
#include "core/compute.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/rng.h"
#include "nn/softmax.h"

#include <sslcv/state.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SETS = 1024 };

static const double COLLAPSED = 0.1; /* spread of the embeddings below this */

/* ---- clustering ---- */

/** What an epoch's clustering finds, beside what there is. */
typedef struct clustering {
    int64_t *rows;     /* (num_samples): those that have one in a view's memory */
    int64_t *found;    /* (num_samples): clusters, by place in rows */
    int64_t *labels;   /* (num_sets, num_samples) */
    float *prototypes; /* (num_sets, K, dim) */
    double figures[SSLCV__CLUSTER_FIGURES];
} clustering;

/* What is there is of unit length; what a checkpoint may have brought otherwise is none. */
static int64_t list_rows(const float *memory, int64_t samples, int64_t d, int64_t *rows)
{
    int64_t count = 0, i;

    for (i = 0; i < samples; i++) {
        if (sslcv__row_dot(memory + i * d, memory + i * d, d) > 0.5) rows[count++] = i;
    }
    return count;
}

static sslcv_status cluster_set(const sslcv__cluster *self, int64_t h, uint64_t seed, clustering *c)
{
    const sslcv_cluster_options *o = &self->options;
    const float *memory = self->memory[h % o->memory_views];
    const sslcv__kmeans_settings settings = {.clusters = o->num_prototypes,
                                             .iterations = o->iterations,
                                             .seed = sslcv__rng_derive(seed, (uint64_t)h, SSLCV__STREAM_CLUSTERS),
                                             .spherical = 1};
    const int64_t count = list_rows(memory, o->num_samples, o->dim, c->rows);
    const sslcv__points points = {memory, c->rows, count, o->dim};
    int64_t *labels = c->labels + h * o->num_samples, i;
    sslcv__kmeans_result result;
    double nmi;
    sslcv_status status;

    if (count < o->num_prototypes) {
        return sslcv__fail(SSLCV_ERR_STATE,
                           "cluster remembers %lld samples; an epoch needs %lld at least, cluster.num_prototypes: pass "
                           "the data through the loss first",
                           (long long)count, (long long)o->num_prototypes);
    }
    SSLCV__TRY(sslcv__kmeans(self->loss.object.context, &points, &settings,
                             c->prototypes + h * o->num_prototypes * o->dim, c->found, NULL, &result));
    for (i = 0; i < o->num_samples; i++) labels[i] = -1;
    for (i = 0; i < count; i++) labels[c->rows[i]] = c->found[i];
    SSLCV__TRY(sslcv__nmi(self->loss.object.context, self->labels[h], labels, o->num_samples, &nmi));
    c->figures[0] += result.objective / (double)o->num_sets;
    c->figures[SSLCV__CLUSTER_USED - SSLCV__CLUSTER_OBJECTIVE] +=
        (double)result.used / (double)(o->num_prototypes * o->num_sets);
    c->figures[SSLCV__CLUSTER_NMI - SSLCV__CLUSTER_OBJECTIVE] += isnan(nmi) ? 0.0 : nmi / (double)o->num_sets;
end:
    return status;
}

/*
 * Rows that all point one way still fall into clusters, by their rounding. With m the mean of the unit rows,
 * sqrt(1 - |m|^2) is the root of the mean of their squared distances from it.
 */
static sslcv_status warn_of_collapse(const sslcv__cluster *self, int64_t epoch, int64_t *rows)
{
    const int64_t d = self->options.dim, count = list_rows(self->memory[0], self->options.num_samples, d, rows);
    double *mean, left = 1.0;
    int64_t i, k;
    const sslcv_status status = sslcv__alloc_array(self->loss.object.context, d, sizeof *mean, (void **)&mean);

    if (status != SSLCV_OK) return status;
    for (i = 0; i < count; i++) {
        const float *row = self->memory[0] + rows[i] * d;

        for (k = 0; k < d; k++) mean[k] += (double)row[k] / (double)count;
    }
    for (k = 0; k < d; k++) left -= mean[k] * mean[k];
    sslcv__free(self->loss.object.context, mean);
    if (count > 1 && left < COLLAPSED * COLLAPSED) {
        sslcv__log(self->loss.object.context, SSLCV_LOG_WARNING,
                   "cluster: in epoch %lld the embeddings of all samples point one way: they have collapsed",
                   (long long)epoch);
    }
    return SSLCV_OK;
}

static void take_over(sslcv__cluster *self, const clustering *c)
{
    const int64_t samples = self->options.num_samples, values = self->options.num_prototypes * self->options.dim;
    int64_t h;

    for (h = 0; h < self->options.num_sets; h++) {
        memcpy(self->labels[h], c->labels + h * samples, (size_t)samples * sizeof(int64_t));
        memcpy(self->prototypes[h], c->prototypes + h * values, (size_t)values * sizeof(float));
    }
    memcpy(self->figures, c->figures, sizeof c->figures);
}

static sslcv_status begin_epoch(sslcv_loss *loss, int64_t epoch)
{
    sslcv__cluster *self = (sslcv__cluster *)loss;
    sslcv_context *context = loss->object.context;
    const sslcv_cluster_options *o = &self->options;
    const uint64_t seed = sslcv__rng_derive((uint64_t)*self->seed, (uint64_t)epoch, SSLCV__STREAM_CLUSTERS);
    const int64_t values = o->num_sets * o->num_prototypes * o->dim; /* as much as is remembered */
    clustering c = {.figures = {0.0}};
    sslcv__compute frame = {.active = 0};
    sslcv_status status;
    int64_t h;

    SSLCV__TRY(sslcv__alloc_array(context, o->num_samples, sizeof(int64_t), (void **)&c.rows));
    SSLCV__TRY(sslcv__alloc_array(context, o->num_samples, sizeof(int64_t), (void **)&c.found));
    SSLCV__TRY(sslcv__alloc_array(context, o->num_sets * o->num_samples, sizeof(int64_t), (void **)&c.labels));
    SSLCV__TRY(sslcv__alloc_array(context, values, sizeof(float), (void **)&c.prototypes));
    SSLCV__TRY(sslcv__compute_begin(context, &frame));
    for (h = 0; h < o->num_sets; h++) SSLCV__TRY(cluster_set(self, h, seed, &c));
    SSLCV__TRY(warn_of_collapse(self, epoch, c.rows));
    take_over(self, &c);
end:
    sslcv__compute_end(&frame);
    sslcv__free(context, c.rows);
    sslcv__free(context, c.found);
    sslcv__free(context, c.labels);
    sslcv__free(context, c.prototypes);
    return status;
}

/* ---- state ---- */

static sslcv_status state_bytes(const sslcv_loss *loss, int64_t *bytes)
{
    const sslcv_cluster_options *o = &((const sslcv__cluster *)loss)->options;
    const int64_t memory[4] = {o->memory_views, o->num_samples, o->dim, sizeof(float)};
    const int64_t prototypes[4] = {o->num_sets, o->num_prototypes, o->dim, sizeof(float)};
    const int64_t labels[3] = {o->num_sets, o->num_samples, sizeof(int64_t)};
    int64_t more, small = (int64_t)sizeof(int64_t) + SSLCV__CLUSTER_FIGURES * (int64_t)sizeof(double);

    if (sslcv__product(memory, 4, bytes) && sslcv__product(prototypes, 4, &more) && sslcv__add(*bytes, more, bytes) &&
        sslcv__product(labels, 3, &more) && sslcv__add(*bytes, more, bytes) && sslcv__add(*bytes, small, bytes)) {
        return SSLCV_OK;
    }
    return sslcv__fail(SSLCV_ERR_LIMIT, "%lld samples of %lld values and %lld prototypes do not fit in memory",
                       (long long)o->num_samples, (long long)o->dim, (long long)o->num_prototypes);
}

/* NAME.i or NAME.i.weight. */
static sslcv_status add_variable(sslcv__cluster *self, const char *format, int64_t i, int32_t dtype, int32_t ndim,
                                 int64_t rows, void *value)
{
    const int64_t shape[2] = {rows, self->options.dim};
    sslcv__variable *variable;
    char name[48];
    sslcv_status status;

    snprintf(name, sizeof name, format, (long long)i);
    status = sslcv__variables_add(&self->loss.variables, name, dtype, SSLCV_ROLE_BUFFER, ndim, shape, NULL, &variable);
    if (status == SSLCV_OK) *(void **)value = variable->value;
    return status;
}

static sslcv_status open_state(sslcv_loss *loss)
{
    sslcv__cluster *self = (sslcv__cluster *)loss;
    const sslcv_cluster_options *o = &self->options;
    sslcv_status status;
    int64_t i, k;

    SSLCV__TRY(add_variable(self, "seed", 0, SSLCV_I64, 1, 1, &self->seed));
    SSLCV__TRY(add_variable(self, "clustering", 0, SSLCV_F64, 1, SSLCV__CLUSTER_FIGURES, &self->figures));
    for (i = 0; i < o->memory_views; i++) {
        SSLCV__TRY(add_variable(self, "memory.%lld", i, SSLCV_F32, 2, o->num_samples, &self->memory[i]));
    }
    for (i = 0; i < o->num_sets; i++) {
        SSLCV__TRY(
            add_variable(self, "prototypes.%lld.weight", i, SSLCV_F32, 2, o->num_prototypes, &self->prototypes[i]));
        SSLCV__TRY(add_variable(self, "labels.%lld", i, SSLCV_I64, 1, o->num_samples, &self->labels[i]));
        for (k = 0; k < o->num_samples; k++) self->labels[i][k] = -1;
    }
    *self->seed = (int64_t)o->seed;
end:
    return status;
}

static void release(sslcv_loss *loss)
{
    sslcv__cluster *self = (sslcv__cluster *)loss;

    sslcv__free(loss->object.context, self->memory);
    sslcv__free(loss->object.context, self->prototypes);
    sslcv__free(loss->object.context, self->labels);
}

/* ---- creation ---- */

static const sslcv__loss_number numbers[] = {[SSLCV__CLUSTER_TEMPERATURE] = {"temperature", DBL_MIN, DBL_MAX, "> 0"}};
static const char *const metrics[] = {[SSLCV__CLUSTER_TOP1] = "top1",
                                      [SSLCV__CLUSTER_OBJECTIVE] = "objective",
                                      [SSLCV__CLUSTER_USED] = "used",
                                      [SSLCV__CLUSTER_NMI] = "nmi"};

static const sslcv__loss_kind kind = {
    .name = "cluster",
    .numbers = numbers,
    .num_numbers = 1,
    .metrics = metrics,
    .num_metrics = SSLCV__CLUSTER_METRICS,
    .min_inputs = 1,
    .max_inputs = 1,
    .gradient_inputs = 1,
    .needs_ids = 1,
    .check = sslcv__cluster_check,
    .memory_bytes = sslcv__cluster_memory_bytes,
    .score = sslcv__cluster_score,
    .differentiate = sslcv__cluster_differentiate,
    .state_bytes = state_bytes,
    .open = open_state,
    .remember = sslcv__cluster_remember,
    .begin_epoch = begin_epoch,
    .release = release,
};

static const sslcv_cluster_options defaults = {
    .struct_size = sizeof defaults,
    .dim = 128,
    .num_prototypes = 3000,
    .num_sets = 3,
    .memory_views = 2,
    .iterations = 10,
    .temperature = 0.1,
};

sslcv_status sslcv_cluster_options_init(sslcv_cluster_options *options, size_t struct_size)
{
    return sslcv__options_init("cluster_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_range(const char *name, int64_t value, int64_t low, int64_t high)
{
    if (value >= low && value <= high) return SSLCV_OK;
    return sslcv__invalid("cluster.%s is %lld; must be %lld .. %lld", name, (long long)value, (long long)low,
                          (long long)high);
}

static sslcv_status check_options(const sslcv_cluster_options *o)
{
    sslcv_status status;

    SSLCV__TRY(check_range("num_samples", o->num_samples, 1, INT32_MAX));
    SSLCV__TRY(check_range("dim", o->dim, 1, INT32_MAX));
    SSLCV__TRY(check_range("num_prototypes", o->num_prototypes, 1, INT32_MAX));
    SSLCV__TRY(check_range("num_sets", o->num_sets, 1, MAX_SETS));
    SSLCV__TRY(check_range("memory_views", o->memory_views, 1, MAX_SETS));
    SSLCV__TRY(check_range("iterations", o->iterations, 0, INT32_MAX));
    if (o->num_prototypes > o->num_samples) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "cluster.num_prototypes is %lld; must be 1 .. %lld, cluster.num_samples",
                           (long long)o->num_prototypes, (long long)o->num_samples);
    }
end:
    return status;
}

sslcv_status sslcv_loss_create_cluster(sslcv_context *context, const sslcv_cluster_options *options, sslcv_loss **out)
{
    sslcv_cluster_options o = defaults;
    sslcv__cluster *self = NULL;
    sslcv_status status;
    int64_t bytes;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!options || !out) return sslcv__null(options ? "loss" : "options");
    SSLCV__TRY(sslcv__options_read("cluster_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(check_options(&o));
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *self, &self));
    self->options = o;
    self->options.seed = sslcv__context_seed(context, o.seed);
    SSLCV__TRY(state_bytes(&self->loss, &bytes));
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, SSLCV__CLUSTER_TEMPERATURE, o.temperature));
    SSLCV__TRY(sslcv__alloc_array(context, o.memory_views, sizeof(float *), (void **)&self->memory));
    SSLCV__TRY(sslcv__alloc_array(context, o.num_sets, sizeof(float *), (void **)&self->prototypes));
    SSLCV__TRY(sslcv__alloc_array(context, o.num_sets, sizeof(int64_t *), (void **)&self->labels));
    *out = &self->loss;
    self = NULL;
end:
    sslcv__release(self);
    return status;
}
