/*
 * Multinomial logistic regression with a sweep over C, as transfer is judged (Ericsson, Gouk and Hospedales 2021):
 *
 *     rows -> those that learn, those that choose
 *     for C from c_first to c_last, each from where the one before ended:
 *         W, b = argmin of objective.h over the rows that learn
 *         figure on the rows that choose; more than the best so far: keep C, W, b
 *     from the best: argmin over all rows
 *
 * Intercepts are not penalised, so a class that no row has would send its own to minus infinity: that is refused.
 */
#include "eval/figures.h"
#include "eval/minimize.h"
#include "eval/objective.h"
#include "eval/probe.h"

#include "core/memory.h"
#include "core/rng.h"

#include <math.h>
#include <string.h>

typedef struct regression {
    const sslcv_probe *probe;
    const sslcv__fit_rows *given;
    sslcv__fit *fit;
    sslcv__objective objective;
    int64_t size;            /* parameters */
    double *parameters;      /* size */
    double *best;            /* size: of the best C so far */
    int64_t *rows;           /* all that are fitted on: first those that learn, then those that choose */
    int64_t count, learning; /* of rows; of those that learn */
    unsigned char *chooses;  /* rows of features */
    sslcv__features scores;  /* (count - learning, classes) of the rows that choose */
    int64_t *labels;         /* of the rows that choose; NULL with targets */
    float *targets;          /* (count - learning, classes) of the rows that choose; NULL with labels */
    float *values;           /* scores' */
    double c;                /* of the present fit */
    const int64_t *fitted;   /* and its rows */
    int64_t num_fitted;
} regression;

/* ---- which rows ---- */

static int is_used(const regression *r, int64_t row)
{
    return !r->given->labels || r->given->labels[row] >= 0;
}

static sslcv_status read_validation(regression *r)
{
    const int64_t n = r->given->features->n;
    int64_t i;

    for (i = 0; i < r->given->num_validation; i++) {
        const int64_t row = r->given->validation[i];

        if (row < 0 || row >= n) {
            return sslcv__invalid("validation[%lld] is %lld; must be 0 .. %lld", (long long)i, (long long)row,
                                  (long long)n - 1);
        }
        if (r->chooses[row]) return sslcv__invalid("validation has row %lld twice", (long long)row);
        r->chooses[row] = 1;
    }
    return SSLCV_OK;
}

/* A share of the members, drawn; of two or more at least one and never all. */
static void draw_share(regression *r, int64_t group, const int64_t *members, int64_t size, int64_t *order)
{
    const sslcv_probe_options *o = &r->probe->options;
    int64_t share = llround(o->validation * (double)size), i;
    sslcv__rng rng;

    if (size < 2) return;
    if (share < 1) share = 1;
    if (share > size - 1) share = size - 1;
    sslcv__rng_init(&rng, sslcv__rng_derive(o->seed, 0, SSLCV__STREAM_SPLIT), (uint64_t)group, 0);
    sslcv__rng_permutation(&rng, order, size);
    for (i = 0; i < share; i++) r->chooses[members[order[i]]] = 1;
}

/* With targets all rows are one group. */
static sslcv_status draw_validation(regression *r)
{
    sslcv_context *context = r->probe->object.context;
    const int64_t n = r->given->features->n, groups = r->given->labels ? r->fit->num_classes : 1;
    int64_t *starts = NULL, *members = NULL, *order = NULL, i, group; /* a counting sort by class */
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, groups + 2, sizeof *starts, (void **)&starts));
    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof *members, (void **)&members));
    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof *order, (void **)&order));
    for (i = 0; i < n; i++) {
        if (is_used(r, i)) starts[2 + (r->given->labels ? r->given->labels[i] : 0)]++;
    }
    for (group = 2; group < groups + 2; group++) starts[group] += starts[group - 1];
    for (i = 0; i < n; i++) {
        if (is_used(r, i)) members[starts[1 + (r->given->labels ? r->given->labels[i] : 0)]++] = i;
    }
    for (group = 0; group < groups; group++) {
        draw_share(r, group, members + starts[group], starts[group + 1] - starts[group], order);
    }
end:
    sslcv__free(context, starts);
    sslcv__free(context, members);
    sslcv__free(context, order);
    return status;
}

static sslcv_status choose_rows(regression *r)
{
    const int64_t n = r->given->features->n;
    int64_t i;
    sslcv_status status = SSLCV_OK;

    if (r->probe->options.c_count > 1) {
        SSLCV__TRY(r->given->validation ? read_validation(r) : draw_validation(r));
    }
    for (i = 0; i < n; i++) {
        if (is_used(r, i) && !r->chooses[i]) r->rows[r->count++] = i;
    }
    r->learning = r->count;
    for (i = 0; i < n; i++) {
        if (is_used(r, i) && r->chooses[i]) r->rows[r->count++] = i;
    }
    if (r->learning == 0) return sslcv__fail(SSLCV_ERR_LIMIT, "validation leaves no labelled row to learn from");
    if (r->probe->options.c_count > 1 && r->learning == r->count) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "no row is left to choose C by: no class has two, or none of validation "
                                            "has a label; set probe.c_count to 1");
    }
end:
    return status;
}

/* ---- refusals ---- */

static sslcv_status check_classes(const regression *r, int64_t *seen)
{
    int64_t i, c;

    for (i = 0; i < r->given->features->n; i++) {
        if (r->given->labels[i] >= 0) seen[r->given->labels[i]]++;
    }
    for (c = 0; c < r->fit->num_classes; c++) {
        if (seen[c] == 0) {
            return sslcv__fail(SSLCV_ERR_LIMIT,
                               "class %lld has no sample in %s; logistic regression needs one of each class 0 .. %lld",
                               (long long)c, r->given->features->name, (long long)r->fit->num_classes - 1);
        }
    }
    return SSLCV_OK;
}

static sslcv_status check_targets(const regression *r, int64_t *seen)
{
    const int64_t classes = r->fit->num_classes;
    int64_t i, c;

    for (i = 0; i < r->given->features->n; i++) {
        for (c = 0; c < classes; c++) {
            const float target = r->given->targets[i * classes + c];

            if (target != 0 && target != 1 && target != -1) {
                return sslcv__invalid("targets[%lld][%lld] is %g; must be 0, 1 or -1", (long long)i, (long long)c,
                                      (double)target);
            }
            seen[c] |= target > 0 ? 1 : target < 0 ? 0 : 2;
        }
    }
    for (c = 0; c < classes; c++) {
        if (seen[c] != 3) {
            return sslcv__fail(SSLCV_ERR_LIMIT, "class %lld: no row has target %d; a fit needs rows of 0 and of 1",
                               (long long)c, seen[c] == 1 ? 0 : 1);
        }
    }
    return SSLCV_OK;
}

static sslcv_status check_rows(const regression *r)
{
    int64_t *seen = NULL; /* num_classes */
    sslcv_status status;

    SSLCV__TRY(sslcv__features_check(r->given->features, r->given->labels,
                                     r->probe->options.standardize == SSLCV_STANDARDIZE_LENGTH));
    SSLCV__TRY(sslcv__alloc_array(r->probe->object.context, r->fit->num_classes, sizeof *seen, (void **)&seen));
    status = r->given->labels ? check_classes(r, seen) : check_targets(r, seen);
end:
    sslcv__free(r->probe->object.context, seen);
    return status;
}

/* ---- fits ---- */

static double call_objective(void *user, const double *x, double *gradient)
{
    regression *r = user;

    return sslcv__objective_evaluate(&r->objective, r->c, r->fitted, r->num_fitted, x, gradient);
}

/* From parameters, on the first count rows. */
static sslcv_status fit_rows(regression *r, double c, int64_t count, sslcv__minimum *minimum)
{
    const sslcv_probe_options *o = &r->probe->options;

    r->c = c;
    r->fitted = r->rows;
    r->num_fitted = count;
    return sslcv__minimize(r->probe->object.context, call_objective, r, o->iterations, o->tolerance, r->parameters,
                           r->size, minimum);
}

/* The figure of parameters on the rows that choose. */
static sslcv_status judge(regression *r, double *value)
{
    const int32_t given = r->probe->options.figure;
    sslcv_figure_options figure;
    sslcv_figure_value full = {.struct_size = sizeof full};
    sslcv_status status;

    SSLCV__TRY(sslcv_figure_options_init(&figure, sizeof figure,
                                         given              ? given
                                         : r->given->labels ? SSLCV_FIGURE_TOP_K
                                                            : SSLCV_FIGURE_AP_11));
    figure.draws = 0;
    sslcv__objective_score(&r->objective, r->rows + r->learning, r->scores.n, r->parameters, r->values);
    SSLCV__TRY(
        sslcv__figure_compute(r->probe->object.context, &r->scores, r->labels, r->targets, &figure, &full, NULL));
    *value = full.value;
end:
    return status;
}

static double sweep_value(const sslcv_probe_options *o, int64_t i)
{
    if (i == 0) return o->c_first;
    if (i == o->c_count - 1) return o->c_last;
    return exp(log(o->c_first) + (log(o->c_last) - log(o->c_first)) * (double)i / (double)(o->c_count - 1));
}

/* Leaves the best C in fit, its parameters in parameters. */
static sslcv_status sweep(regression *r)
{
    const sslcv_probe_options *o = &r->probe->options;
    int64_t i;
    sslcv_status status = SSLCV_OK;

    r->fit->c = o->c_first;
    if (o->c_count == 1) return SSLCV_OK;
    r->fit->validation = -1;
    for (i = 0; i < o->c_count; i++) {
        const double c = sweep_value(o, i);
        sslcv__minimum minimum;
        double value;

        SSLCV__TRY(fit_rows(r, c, r->learning, &minimum));
        SSLCV__TRY(judge(r, &value));
        if (value > r->fit->validation) {
            r->fit->validation = value;
            r->fit->c = c;
            memcpy(r->best, r->parameters, (size_t)r->size * sizeof *r->best);
        }
    }
    memcpy(r->parameters, r->best, (size_t)r->size * sizeof *r->best);
end:
    return status;
}

/* ---- memory ---- */

static sslcv_status allocate(regression *r)
{
    sslcv_context *context = r->probe->object.context;
    const int64_t n = r->given->features->n, classes = r->fit->num_classes;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof *r->rows, (void **)&r->rows));
    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof *r->chooses, (void **)&r->chooses));
    SSLCV__TRY(sslcv__objective_begin(&r->objective));
    r->size = sslcv__objective_size(&r->objective);
    if (r->size == 0) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%lld classes of %lld dimensions are more than 2^31 - 1 parameters",
                           (long long)classes, (long long)r->given->features->d);
    }
    SSLCV__TRY(sslcv__alloc_array(context, r->size, sizeof *r->parameters, (void **)&r->parameters));
    SSLCV__TRY(sslcv__alloc_array(context, r->size, sizeof *r->best, (void **)&r->best));
    SSLCV__TRY(sslcv__alloc_array(context, classes * r->given->features->d, sizeof(float), (void **)&r->fit->weights));
    SSLCV__TRY(sslcv__alloc_array(context, classes, sizeof(float), (void **)&r->fit->bias));
end:
    return status;
}

/* What the figure reads of the rows that choose. */
static sslcv_status gather_choosing(regression *r)
{
    sslcv_context *context = r->probe->object.context;
    const int64_t count = r->count - r->learning, classes = r->fit->num_classes;
    const int64_t *rows = r->rows + r->learning;
    int64_t i;
    sslcv_status status = SSLCV_OK;

    if (count == 0) return SSLCV_OK;
    SSLCV__TRY(sslcv__alloc_array(context, count, classes * (int64_t)sizeof(float), (void **)&r->values));
    if (r->given->labels) {
        SSLCV__TRY(sslcv__alloc_array(context, count, sizeof(int64_t), (void **)&r->labels));
        for (i = 0; i < count; i++) r->labels[i] = r->given->labels[rows[i]];
    } else {
        SSLCV__TRY(sslcv__alloc_array(context, count, classes * (int64_t)sizeof(float), (void **)&r->targets));
        for (i = 0; i < count; i++) {
            memcpy(r->targets + i * classes, r->given->targets + rows[i] * classes, (size_t)classes * sizeof(float));
        }
    }
    r->scores = (sslcv__features){"scores", r->values, count, classes};
end:
    return status;
}

static void release(regression *r)
{
    sslcv_context *context = r->probe->object.context;

    sslcv__objective_end(&r->objective);
    sslcv__free(context, r->rows);
    sslcv__free(context, r->chooses);
    sslcv__free(context, r->parameters);
    sslcv__free(context, r->best);
    sslcv__free(context, r->labels);
    sslcv__free(context, r->targets);
    sslcv__free(context, r->values);
}

/* Mean and scale of the form, of all rows that have a label: those that choose too, as the last fit needs. */
static sslcv_status prepare_form(regression *r)
{
    sslcv_status status = SSLCV_OK;

    r->objective.form.kind = r->probe->options.standardize;
    if (r->objective.form.kind == SSLCV_STANDARDIZE_SPREAD) {
        SSLCV__TRY(sslcv__fit_measure_spread(r->probe, r->given->features, r->rows, r->count, r->fit));
        r->objective.form.mean = r->fit->mean;
        r->objective.form.scale = r->fit->scale;
    }
end:
    return status;
}

static void keep_parameters(const regression *r)
{
    const int64_t dim = r->given->features->d, depth = r->objective.depth;
    int64_t c, j;

    for (c = 0; c < r->fit->num_classes; c++) {
        const double *panel = r->parameters + c / SSLCV__LANES * depth * SSLCV__LANES + c % SSLCV__LANES;

        for (j = 0; j < dim; j++) r->fit->weights[c * dim + j] = (float)panel[j * SSLCV__LANES];
        r->fit->bias[c] = (float)panel[dim * SSLCV__LANES];
    }
}

sslcv_status sslcv__logistic_fit(const sslcv_probe *probe, const sslcv__fit_rows *given, sslcv__fit *fit)
{
    regression r = {.probe = probe, .given = given, .fit = fit};
    sslcv__minimum minimum;
    sslcv_status status;

    r.objective = (sslcv__objective){.context = probe->object.context,
                                     .features = given->features,
                                     .labels = given->labels,
                                     .targets = given->targets,
                                     .classes = fit->num_classes};
    SSLCV__TRY(check_rows(&r));
    SSLCV__TRY(allocate(&r));
    SSLCV__TRY(choose_rows(&r));
    SSLCV__TRY(prepare_form(&r));
    SSLCV__TRY(gather_choosing(&r));
    SSLCV__TRY(sweep(&r));
    SSLCV__TRY(fit_rows(&r, fit->c, r.count, &minimum));
    keep_parameters(&r);
    fit->dim = given->features->d;
    fit->labelled = r.count;
    fit->objective = fit->c * minimum.value;
    fit->iterations = minimum.iterations;
    fit->converged = minimum.converged;
end:
    release(&r);
    return status;
}
