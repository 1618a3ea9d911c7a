#include "eval/figures.h"

#include "core/context.h"
#include "core/memory.h"
#include "core/object.h"
#include "core/options.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "eval/metrics.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_DRAWS = 1000000 };

/* What is known of the rows before any test set is drawn. */
typedef struct judged {
    const sslcv_figure_options *options;
    int64_t classes;
    int64_t count; /* rows */
    /* TOP_K, MEAN_PER_CLASS: rows with a label only */
    int64_t *labels;     /* count */
    unsigned char *hits; /* count: found among the first k; AP_*: (classes, count), by rank */
    /* AP_* */
    int32_t *order;   /* (classes, count): rows by rank */
    int64_t *lengths; /* classes: ranks, as rows may be left out of a class */
    /* of one test set */
    double *rows;  /* classes: weight of the rows that have the class */
    double *found; /* classes: of those found; AP_*: average precision */
} judged;

typedef struct scored {
    float score;
    int32_t row;
} scored;

static int is_precision(int32_t figure)
{
    return figure == SSLCV_FIGURE_AP_11 || figure == SSLCV_FIGURE_AP_AREA;
}

static sslcv_status check_figure(int32_t figure)
{
    if (figure < SSLCV_FIGURE_TOP_K || figure > SSLCV_FIGURE_AP_AREA) {
        return sslcv__invalid("figure is %d; must be SSLCV_FIGURE_TOP_K, MEAN_PER_CLASS, AP_11 or AP_AREA", figure);
    }
    return SSLCV_OK;
}

sslcv_status sslcv_figure_options_init(sslcv_figure_options *options, size_t struct_size, int32_t figure)
{
    const sslcv_figure_options defaults = {
        .struct_size = sizeof defaults, .figure = figure, .k = 1, .draws = 1000, .level = 0.95};
    const sslcv_status status = check_figure(figure);

    if (status != SSLCV_OK) return status;
    return sslcv__options_init("figure_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(const sslcv_figure_options *o)
{
    const sslcv_status status = check_figure(o->figure);

    if (status != SSLCV_OK) return status;
    if (o->reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "figure.reserved is %d; must be 0", o->reserved);
    if (o->k < 1) return sslcv__invalid("figure.k is %lld; must be >= 1", (long long)o->k);
    if (o->draws < 0 || o->draws > MAX_DRAWS) {
        return sslcv__invalid("figure.draws is %lld; must be 0 .. %d", (long long)o->draws, MAX_DRAWS);
    }
    if (!(o->level > 0 && o->level < 1)) {
        return sslcv__invalid("figure.level is %g; must be between 0 and 1", o->level);
    }
    return SSLCV_OK;
}

/* ---- before the draws ---- */

static sslcv_status read_labels(sslcv_context *context, const sslcv__features *scores, const int64_t *labels, judged *j)
{
    const int64_t k = j->options->figure == SSLCV_FIGURE_TOP_K ? j->options->k : 1;
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv__scores_check(scores, labels, &j->count));
    SSLCV__TRY(sslcv__alloc_array(context, j->count, sizeof *j->labels, (void **)&j->labels));
    SSLCV__TRY(sslcv__alloc_array(context, j->count, sizeof *j->hits, (void **)&j->hits));
    for (i = 0, j->count = 0; i < scores->n; i++) {
        if (labels[i] < 0) continue;
        j->labels[j->count] = labels[i];
        j->hits[j->count++] = sslcv__scores_rank(scores->data + i * j->classes, j->classes, labels[i]) < k;
    }
end:
    return status;
}

static int compare_scored(const void *a, const void *b)
{
    const scored *x = a, *y = b;

    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

static sslcv_status check_targets(const sslcv__features *scores, const float *targets)
{
    int64_t positives = 0, i;

    for (i = 0; i < scores->n * scores->d; i++) {
        const long long row = i / scores->d, column = i % scores->d;

        if (targets[i] != 0 && targets[i] != 1 && targets[i] != -1) {
            return sslcv__invalid("targets[%lld][%lld] is %g; must be 0, 1 or -1", row, column, (double)targets[i]);
        }
        if (isnan(scores->data[i])) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "%s[%lld][%lld] is NaN", scores->name, row, column);
        }
        positives += targets[i] == 1;
    }
    if (positives == 0) return sslcv__invalid("targets has no 1: there is nothing to find");
    return SSLCV_OK;
}

static sslcv_status rank_rows(sslcv_context *context, const sslcv__features *scores, const float *targets, judged *j)
{
    const int64_t n = scores->n, classes = j->classes;
    scored *ranks = NULL; /* n */
    int64_t i, c;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof *ranks, (void **)&ranks));
    for (c = 0; c < classes; c++) {
        int64_t length = 0;

        SSLCV__TRY(sslcv__context_check_cancel(context));
        for (i = 0; i < n; i++) {
            if (targets[i * classes + c] >= 0) ranks[length++] = (scored){scores->data[i * classes + c], (int32_t)i};
        }
        qsort(ranks, (size_t)length, sizeof *ranks, compare_scored);
        for (i = 0; i < length; i++) {
            j->order[c * n + i] = ranks[i].row;
            j->hits[c * n + i] = targets[ranks[i].row * classes + c] == 1;
        }
        j->lengths[c] = length;
    }
end:
    sslcv__free(context, ranks);
    return status;
}

static sslcv_status read_targets(sslcv_context *context, const sslcv__features *scores, const float *targets, judged *j)
{
    sslcv_status status;

    if (scores->n > INT32_MAX) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "scores has %lld rows; at most 2^31 - 1 can be ranked",
                           (long long)scores->n);
    }
    j->count = scores->n;
    SSLCV__TRY(check_targets(scores, targets));
    SSLCV__TRY(sslcv__alloc_array(context, j->classes, sizeof *j->lengths, (void **)&j->lengths));
    SSLCV__TRY(sslcv__alloc_array(context, j->count * j->classes, sizeof *j->hits, (void **)&j->hits));
    SSLCV__TRY(sslcv__alloc_array(context, j->count * j->classes, sizeof *j->order, (void **)&j->order));
    SSLCV__TRY(rank_rows(context, scores, targets, j));
end:
    return status;
}

/* ---- one test set ---- */

static void count_labels(const judged *j, const int32_t *weights)
{
    int64_t i;

    for (i = 0; i < j->count; i++) {
        const double weight = weights ? weights[i] : 1;

        j->rows[j->labels[i]] += weight;
        j->found[j->labels[i]] += j->hits[i] ? weight : 0;
    }
}

static void measure_precisions(const judged *j, const int32_t *weights)
{
    int64_t i, c;

    for (c = 0; c < j->classes; c++) {
        const unsigned char *hits = j->hits + c * j->count;
        const int32_t *order = j->order + c * j->count;

        for (i = 0; i < j->lengths[c]; i++) j->rows[c] += hits[i] ? weights ? weights[order[i]] : 1 : 0;
        if (j->rows[c] == 0) continue;
        j->found[c] = sslcv__average_precision(hits, order, weights, j->lengths[c], j->rows[c], j->options->figure);
    }
}

/* The figure of one test set. classes: out, those that occur. */
static double figure_of(const judged *j, const int32_t *weights, int64_t *classes)
{
    double rows = 0, found = 0, sum = 0;
    int64_t c;

    *classes = 0;
    for (c = 0; c < j->classes; c++) j->rows[c] = j->found[c] = 0;
    if (is_precision(j->options->figure)) {
        measure_precisions(j, weights);
    } else {
        count_labels(j, weights);
    }
    for (c = 0; c < j->classes; c++) {
        if (j->rows[c] == 0) continue;
        rows += j->rows[c];
        found += j->found[c];
        sum += is_precision(j->options->figure) ? j->found[c] : j->found[c] / j->rows[c];
        (*classes)++;
    }
    if (j->options->figure == SSLCV_FIGURE_TOP_K) return found / rows;
    return *classes > 0 ? sum / (double)*classes : 0;
}

static void put_classes(const judged *j, double *per_class)
{
    int64_t c;

    for (c = 0; per_class && c < j->classes; c++) {
        per_class[c] = j->rows[c] == 0 ? -1 : is_precision(j->options->figure) ? j->found[c] : j->found[c] / j->rows[c];
    }
}

/* ---- the interval ---- */

static int compare_values(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static sslcv_status bootstrap(sslcv_context *context, const judged *j, sslcv_figure_value *value)
{
    const sslcv_figure_options *o = j->options;
    int32_t *weights = NULL; /* count */
    double *values = NULL;   /* draws */
    int64_t draw, skipped, i, classes;
    sslcv_status status;

    if (o->draws == 0) return SSLCV_OK;
    SSLCV__TRY(sslcv__alloc_array(context, j->count, sizeof *weights, (void **)&weights));
    SSLCV__TRY(sslcv__alloc_array(context, o->draws, sizeof *values, (void **)&values));
    for (draw = 0; draw < o->draws; draw++) {
        sslcv__rng rng;

        SSLCV__TRY(sslcv__context_check_cancel(context));
        sslcv__rng_init(&rng, sslcv__rng_derive(o->seed, (uint64_t)draw, SSLCV__STREAM_PROBE), 0, 0);
        for (i = 0; i < j->count; i++) weights[i] = 0;
        for (i = 0; i < j->count; i++) weights[sslcv__rng_below(&rng, j->count)]++;
        values[draw] = figure_of(j, weights, &classes);
    }
    qsort(values, (size_t)o->draws, sizeof *values, compare_values);
    skipped = (int64_t)((1 - o->level) / 2 * (double)o->draws + 1e-9); /* 1 - 0.9 is a little less than 0.1 */
    if (skipped > (o->draws - 1) / 2) skipped = (o->draws - 1) / 2; /* a level next to 0 leaves those in the middle */
    value->low = values[skipped];
    value->high = values[o->draws - 1 - skipped];
end:
    sslcv__free(context, weights);
    sslcv__free(context, values);
    return status;
}

sslcv_status sslcv__figure_compute(sslcv_context *context, const sslcv__features *scores, const int64_t *labels,
                                   const float *targets, const sslcv_figure_options *options, sslcv_figure_value *value,
                                   double *per_class)
{
    judged j = {.options = options, .classes = scores->d};
    sslcv_status status;

    SSLCV__TRY(is_precision(options->figure) ? read_targets(context, scores, targets, &j)
                                             : read_labels(context, scores, labels, &j));
    SSLCV__TRY(sslcv__alloc_array(context, j.classes, sizeof *j.rows, (void **)&j.rows));
    SSLCV__TRY(sslcv__alloc_array(context, j.classes, sizeof *j.found, (void **)&j.found));
    value->count = j.count;
    SSLCV__TRY(bootstrap(context, &j, value)); /* first, as it may fail */
    value->value = figure_of(&j, NULL, &value->classes);
    if (options->draws == 0) value->low = value->high = value->value;
    put_classes(&j, per_class);
end:
    sslcv__free(context, j.labels);
    sslcv__free(context, j.hits);
    sslcv__free(context, j.order);
    sslcv__free(context, j.lengths);
    sslcv__free(context, j.rows);
    sslcv__free(context, j.found);
    return status;
}

sslcv_status sslcv__targets_read(const sslcv_tensor *tensor, int64_t n, int64_t classes, const float **targets)
{
    sslcv__features read;
    const sslcv_status status = sslcv__features_read(tensor, "targets", &read);

    if (status != SSLCV_OK) return status;
    if (read.n != n || (classes >= 0 && read.d != classes)) {
        return sslcv__invalid("targets has shape (%lld, %lld); must be (%lld, %lld)", (long long)read.n,
                              (long long)read.d, (long long)n, (long long)(classes < 0 ? read.d : classes));
    }
    *targets = read.data;
    return SSLCV_OK;
}

sslcv_status sslcv_figure_compute(sslcv_context *context, const sslcv_tensor *scores, const int64_t *labels,
                                  const sslcv_tensor *targets, const sslcv_figure_options *options,
                                  sslcv_figure_value *value, double *per_class)
{
    sslcv_figure_options o = {.figure = 0};
    sslcv_figure_value full = {.struct_size = sizeof full};
    const float *target_values = NULL;
    sslcv__features read;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    SSLCV__TRY(sslcv__features_read(scores, "scores", &read));
    if (!options) return sslcv__null("figure_options");
    SSLCV__TRY(sslcv__options_read("figure_options", options, sizeof o, &o, sizeof o));
    SSLCV__TRY(check_options(&o));
    SSLCV__TRY(sslcv__struct_check("figure_value", value, sizeof full));
    if (is_precision(o.figure)) {
        if (labels) return sslcv__invalid("labels is given; average precision reads targets");
        SSLCV__TRY(sslcv__targets_read(targets, read.n, read.d, &target_values));
    } else {
        if (!labels) return sslcv__null("labels");
        if (targets) return sslcv__invalid("targets is given; figure %d reads labels", o.figure);
    }
    SSLCV__TRY(sslcv__figure_compute(context, &read, labels, target_values, &o, &full, per_class));
    SSLCV__TRY(sslcv__struct_fill("figure_value", value, sizeof full, &full, sizeof full));
end:
    return status;
}
