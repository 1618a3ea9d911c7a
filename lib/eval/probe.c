#include "eval/probe.h"

#include "core/compute.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "eval/figures.h"
#include "eval/minimize.h"

#include <math.h>

static sslcv_status check_kind(int32_t kind)
{
    if (kind < SSLCV_PROBE_KNN || kind > SSLCV_PROBE_LOGISTIC) {
        return sslcv__invalid("probe.kind is %d; must be SSLCV_PROBE_KNN, LINEAR or LOGISTIC", kind);
    }
    return SSLCV_OK;
}

static sslcv_probe_options defaults_of(int32_t kind)
{
    return (sslcv_probe_options){.struct_size = sizeof(sslcv_probe_options),
                                 .kind = kind,
                                 .neighbors = 200,
                                 .temperature = 0.1,
                                 .epochs = 100,
                                 .batch_size = 256,
                                 .momentum = 0.9,
                                 .c_first = 1e6,
                                 .c_last = 1e-5,
                                 .c_count = 45,
                                 .validation = 0.2,
                                 .iterations = 100,
                                 .tolerance = 1e-4};
}

sslcv_status sslcv_probe_options_init(sslcv_probe_options *options, size_t struct_size, int32_t kind)
{
    const sslcv_probe_options defaults = defaults_of(kind);
    const sslcv_status status = check_kind(kind);

    if (status != SSLCV_OK) return status;
    return sslcv__options_init("probe_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

/* A field that does nothing would mislead. */
static sslcv_status check_unread(const sslcv_probe_options *o)
{
    const sslcv_probe_options initial = defaults_of(o->kind);
    const char *field = NULL;

    if (o->kind != SSLCV_PROBE_KNN) {
        if (o->neighbors != initial.neighbors) field = "neighbors";
        if (o->temperature != initial.temperature) field = "temperature";
    } else {
        if (o->standardize != initial.standardize) field = "standardize";
        if (o->seed != initial.seed) field = "seed";
    }
    if (o->kind != SSLCV_PROBE_LINEAR) {
        if (o->epochs != initial.epochs) field = "epochs";
        if (o->batch_size != initial.batch_size) field = "batch_size";
        if (o->learning_rate) field = "learning_rate";
        if (o->weight_decay != initial.weight_decay) field = "weight_decay";
        if (o->momentum != initial.momentum) field = "momentum";
        if (o->first_spread != initial.first_spread) field = "first_spread";
        if (o->larc != initial.larc) field = "larc";
        if (o->nesterov != initial.nesterov) field = "nesterov";
    }
    if (o->kind != SSLCV_PROBE_LOGISTIC) {
        if (o->c_first != initial.c_first) field = "c_first";
        if (o->c_last != initial.c_last) field = "c_last";
        if (o->c_count != initial.c_count) field = "c_count";
        if (o->validation != initial.validation) field = "validation";
        if (o->iterations != initial.iterations) field = "iterations";
        if (o->tolerance != initial.tolerance) field = "tolerance";
        if (o->figure != initial.figure) field = "figure";
    }
    if (!field) return SSLCV_OK;
    return sslcv__invalid("probe.%s is set, but kind %d does not read it; leave it as init sets it", field, o->kind);
}

static sslcv_status check_knn(const sslcv_probe_options *o)
{
    if (o->neighbors < 1) {
        return sslcv__invalid("probe.neighbors is %lld; must be >= 1", (long long)o->neighbors);
    }
    if (!(o->temperature > 0) || !isfinite(o->temperature)) {
        return sslcv__invalid("probe.temperature is %g; must be > 0 and finite", o->temperature);
    }
    return SSLCV_OK;
}

static sslcv_status check_standardize(const sslcv_probe_options *o)
{
    if (o->standardize < SSLCV_STANDARDIZE_NONE || o->standardize > SSLCV_STANDARDIZE_LENGTH) {
        return sslcv__invalid("probe.standardize is %d; must be SSLCV_STANDARDIZE_NONE, SPREAD or LENGTH",
                              o->standardize);
    }
    return SSLCV_OK;
}

static sslcv_status check_not_negative(const char *name, double value)
{
    if (!(value >= 0) || !isfinite(value)) {
        return sslcv__invalid("probe.%s is %g; must be >= 0 and finite", name, value);
    }
    return SSLCV_OK;
}

static sslcv_status check_linear(const sslcv_probe_options *o)
{
    sslcv_status status;

    SSLCV__TRY(check_standardize(o));
    if (o->epochs < 1) return sslcv__invalid("probe.epochs is %lld; must be >= 1", (long long)o->epochs);
    if (o->batch_size < 1) {
        return sslcv__invalid("probe.batch_size is %lld; must be >= 1", (long long)o->batch_size);
    }
    SSLCV__TRY(check_not_negative("weight_decay", o->weight_decay));
    SSLCV__TRY(check_not_negative("first_spread", o->first_spread));
    SSLCV__TRY(check_not_negative("larc", o->larc));
    if (!(o->momentum >= 0 && o->momentum <= 1)) {
        return sslcv__invalid("probe.momentum is %g; must be 0 .. 1", o->momentum);
    }
    if (o->nesterov != 0 && o->nesterov != 1) {
        return sslcv__invalid("probe.nesterov is %d; must be 0 or 1", o->nesterov);
    }
end:
    return status;
}

static int is_positive(double value)
{
    return value > 0 && isfinite(value);
}

static sslcv_status check_logistic(const sslcv_probe_options *o)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__minimize_check());
    SSLCV__TRY(check_standardize(o));
    if (!is_positive(o->c_first) || !is_positive(o->c_last)) {
        return sslcv__invalid("probe.c_first is %g and probe.c_last %g; must be > 0 and finite", o->c_first, o->c_last);
    }
    if (o->c_count < 1) return sslcv__invalid("probe.c_count is %lld; must be >= 1", (long long)o->c_count);
    if (!(o->validation > 0 && o->validation < 1)) {
        return sslcv__invalid("probe.validation is %g; must be between 0 and 1", o->validation);
    }
    if (o->iterations < 1 || o->iterations > INT32_MAX) {
        return sslcv__invalid("probe.iterations is %lld; must be 1 .. %d", (long long)o->iterations, INT32_MAX);
    }
    SSLCV__TRY(check_not_negative("tolerance", o->tolerance));
    if (o->figure < 0 || o->figure > SSLCV_FIGURE_AP_AREA) {
        return sslcv__invalid("probe.figure is %d; must be 0 or SSLCV_FIGURE_*", o->figure);
    }
end:
    return status;
}

static sslcv_status check_options(const sslcv_probe_options *o)
{
    sslcv_status status;

    SSLCV__TRY(check_kind(o->kind));
    SSLCV__TRY(check_unread(o));
    status = o->kind == SSLCV_PROBE_KNN      ? check_knn(o)
             : o->kind == SSLCV_PROBE_LINEAR ? check_linear(o)
                                             : check_logistic(o);
end:
    return status;
}

/* The caller's, or a cosine from 0.3 to 0. */
static sslcv_status read_schedule(const sslcv_probe_options *o, sslcv_schedule *schedule)
{
    double value;
    sslcv_status status;

    SSLCV__TRY(sslcv_schedule_init(schedule, sizeof *schedule, SSLCV_SCHEDULE_COSINE, 0.3));
    SSLCV__TRY(
        sslcv__options_read("probe.learning_rate", o->learning_rate, sizeof *schedule, schedule, sizeof *schedule));
    SSLCV__TRY(sslcv_schedule_value(schedule, 0, 1, o->epochs, &value));
end:
    return status;
}

static void release(void *self)
{
    sslcv_probe *probe = self;

    sslcv__fit_free(probe->object.context, &probe->fit);
}

sslcv_status sslcv_probe_create(sslcv_context *context, const sslcv_probe_options *options, sslcv_probe **out)
{
    sslcv_probe_options o = {.kind = 0};
    sslcv_schedule schedule = {.struct_size = 0};
    sslcv_probe *probe;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!options) return sslcv__null("options");
    if (!out) return sslcv__null("probe");
    SSLCV__TRY(sslcv__options_read("probe_options", options, sizeof o, &o, sizeof o));
    SSLCV__TRY(check_options(&o));
    if (o.kind == SSLCV_PROBE_LINEAR) SSLCV__TRY(read_schedule(&o, &schedule));

    SSLCV__TRY(sslcv__object_create(context, SSLCV__PROBE, sizeof *probe, release, &probe));
    probe->options = o;
    probe->schedule = schedule;
    probe->options.learning_rate = &probe->schedule;
    if (o.kind != SSLCV_PROBE_KNN) probe->options.seed = sslcv__context_seed(context, o.seed);
    *out = probe;
end:
    return status;
}

void sslcv_probe_destroy(sslcv_probe *probe)
{
    sslcv__destroy(probe, SSLCV__PROBE);
}

void sslcv__fit_free(sslcv_context *context, sslcv__fit *fit)
{
    sslcv__free(context, fit->rows);
    sslcv__free(context, fit->labels);
    sslcv__free(context, fit->weights);
    sslcv__free(context, fit->bias);
    sslcv__free(context, fit->mean);
    sslcv__free(context, fit->scale);
}

/* given has been read; classes are known. */
static sslcv_status fit_anew(sslcv_probe *probe, const sslcv__fit_rows *given, int64_t count, int64_t classes)
{
    sslcv_context *context = probe->object.context;
    sslcv__fit made = {.num_classes = classes, .labelled = count};
    sslcv__compute frame;
    sslcv_status status = sslcv__compute_begin(context, &frame);

    if (status != SSLCV_OK) return status;
    switch (probe->options.kind) {
    case SSLCV_PROBE_KNN: status = sslcv__knn_fit(probe, given->features, given->labels, count, &made); break;
    case SSLCV_PROBE_LINEAR: status = sslcv__linear_fit(probe, given->features, given->labels, count, &made); break;
    default: status = sslcv__logistic_fit(probe, given, &made);
    }
    sslcv__compute_end(&frame);
    if (status == SSLCV_OK) {
        const sslcv__fit before = probe->fit;

        probe->fit = made;
        made = before;
    }
    sslcv__fit_free(context, &made);
    return status;
}

/* A figure of labels cannot choose by targets, nor the other way round. */
static sslcv_status check_figure(const sslcv_probe *probe, int has_targets)
{
    const int32_t figure = probe->options.figure;
    const int is_precision = figure == SSLCV_FIGURE_AP_11 || figure == SSLCV_FIGURE_AP_AREA;

    if (probe->options.kind != SSLCV_PROBE_LOGISTIC || figure == 0 || has_targets == is_precision) return SSLCV_OK;
    return sslcv__invalid("probe.figure is %d, which reads %s", figure, is_precision ? "targets" : "labels");
}

sslcv_status sslcv__probe_fit(sslcv_probe *probe, const sslcv__features *features, const int64_t *labels,
                              int64_t min_classes)
{
    const sslcv__fit_rows given = {.features = features, .labels = labels};
    int64_t count, classes;
    sslcv_status status;

    SSLCV__TRY(check_figure(probe, 0));
    SSLCV__TRY(sslcv__labels_check(labels, features->n, &count, &classes));
    SSLCV__TRY(fit_anew(probe, &given, count, classes > min_classes ? classes : min_classes));
end:
    return status;
}

sslcv_status sslcv_probe_fit(sslcv_probe *probe, const sslcv_tensor *features, const int64_t *labels)
{
    sslcv__features read;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(probe, SSLCV__PROBE, "probe"));
    SSLCV__TRY(sslcv__features_read(features, "features", &read));
    SSLCV__TRY(sslcv__probe_fit(probe, &read, labels, 0));
end:
    return status;
}

sslcv_status sslcv_probe_fit_rows(sslcv_probe *probe, const sslcv_tensor *features, const int64_t *labels,
                                  const sslcv_tensor *targets, const int64_t *validation, int64_t num_validation)
{
    sslcv__features read;
    sslcv__fit_rows given = {&read, labels, NULL, validation, num_validation};
    int64_t count, classes;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(probe, SSLCV__PROBE, "probe"));
    if (probe->options.kind != SSLCV_PROBE_LOGISTIC) {
        return sslcv__invalid("probe.kind is %d; must be SSLCV_PROBE_LOGISTIC", probe->options.kind);
    }
    SSLCV__TRY(sslcv__features_read(features, "features", &read));
    if (!labels == !targets) return sslcv__invalid("give one of labels and targets; the other is NULL");
    SSLCV__TRY(check_figure(probe, targets != NULL));
    if (validation ? num_validation < 1 || num_validation >= read.n : num_validation != 0) {
        return sslcv__invalid("num_validation is %lld; must be 1 .. %lld, or 0 without validation",
                              (long long)num_validation, (long long)read.n - 1);
    }
    if (labels) {
        SSLCV__TRY(sslcv__labels_check(labels, read.n, &count, &classes));
    } else {
        SSLCV__TRY(sslcv__targets_read(targets, read.n, -1, &given.targets));
        count = read.n;
        classes = targets->shape[1];
    }
    SSLCV__TRY(fit_anew(probe, &given, count, classes));
end:
    return status;
}

sslcv_status sslcv_probe_get_info(const sslcv_probe *probe, sslcv_probe_info *info)
{
    sslcv_probe_info full = {.struct_size = sizeof full};
    sslcv_status status;

    SSLCV__TRY(sslcv__check(probe, SSLCV__PROBE, "probe"));
    full.num_classes = probe->fit.num_classes;
    full.dim = probe->fit.dim;
    full.count = probe->fit.labelled;
    full.c = probe->fit.c;
    full.objective = probe->fit.objective;
    full.validation = probe->fit.validation;
    full.iterations = probe->fit.iterations;
    full.converged = (int32_t)probe->fit.converged;
    SSLCV__TRY(sslcv__struct_fill("probe_info", info, sizeof full, &full, sizeof full));
end:
    return status;
}

sslcv_status sslcv__probe_score(const sslcv_probe *probe, const sslcv__features *features, const int64_t *exclude,
                                float *scores)
{
    sslcv__compute frame;
    sslcv_status status;

    if (features->d != probe->fit.dim) {
        return sslcv__invalid("%s has %lld dimensions; the probe was fitted on %lld", features->name,
                              (long long)features->d, (long long)probe->fit.dim);
    }
    status = sslcv__compute_begin(probe->object.context, &frame);
    if (status != SSLCV_OK) return status;
    status = probe->options.kind == SSLCV_PROBE_KNN ? sslcv__knn_score(probe, features, exclude, scores)
                                                    : sslcv__linear_score(probe, features, scores);
    sslcv__compute_end(&frame);
    return status;
}

sslcv_status sslcv_probe_predict(const sslcv_probe *probe, const sslcv_tensor *features, sslcv_tensor *scores)
{
    sslcv__features read;
    int asks;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(probe, SSLCV__PROBE, "probe"));
    SSLCV__TRY(sslcv__features_read(features, "features", &read));
    if (probe->fit.num_classes == 0) {
        return sslcv__fail(SSLCV_ERR_STATE, "the probe is not fitted; call sslcv_probe_fit() first");
    }
    SSLCV__TRY(sslcv__features_answer(scores, "scores", read.n, probe->fit.num_classes, &asks));
    if (!asks) SSLCV__TRY(sslcv__probe_score(probe, &read, NULL, scores->data));
end:
    return status;
}
