#include "eval/probe.h"

#include "core/compute.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"

#include <math.h>

sslcv_status sslcv_probe_options_init(sslcv_probe_options *options, size_t struct_size, int32_t kind)
{
    const sslcv_probe_options defaults = {.struct_size = sizeof defaults,
                                          .kind = kind,
                                          .neighbours = 200,
                                          .temperature = 0.1,
                                          .epochs = 100,
                                          .batch_size = 256,
                                          .momentum = 0.9};

    if (kind != SSLCV_PROBE_KNN && kind != SSLCV_PROBE_LINEAR) {
        return sslcv__invalid("probe.kind is %d; must be SSLCV_PROBE_KNN or LINEAR", kind);
    }
    return sslcv__options_init("probe_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_knn(const sslcv_probe_options *o)
{
    if (o->neighbours < 1) {
        return sslcv__invalid("probe.neighbours is %lld; must be >= 1", (long long)o->neighbours);
    }
    if (!(o->temperature > 0) || !isfinite(o->temperature)) {
        return sslcv__invalid("probe.temperature is %g; must be > 0 and finite", o->temperature);
    }
    return SSLCV_OK;
}

static sslcv_status check_linear(const sslcv_probe_options *o)
{
    if (o->standardize < SSLCV_STANDARDIZE_NONE || o->standardize > SSLCV_STANDARDIZE_LENGTH) {
        return sslcv__invalid("probe.standardize is %d; must be SSLCV_STANDARDIZE_NONE, SPREAD or LENGTH",
                              o->standardize);
    }
    if (o->epochs < 1) return sslcv__invalid("probe.epochs is %lld; must be >= 1", (long long)o->epochs);
    if (o->batch_size < 1) {
        return sslcv__invalid("probe.batch_size is %lld; must be >= 1", (long long)o->batch_size);
    }
    if (!(o->weight_decay >= 0) || !isfinite(o->weight_decay)) {
        return sslcv__invalid("probe.weight_decay is %g; must be >= 0 and finite", o->weight_decay);
    }
    if (!(o->momentum >= 0 && o->momentum <= 1)) {
        return sslcv__invalid("probe.momentum is %g; must be 0 .. 1", o->momentum);
    }
    return SSLCV_OK;
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
    if (o.kind != SSLCV_PROBE_KNN && o.kind != SSLCV_PROBE_LINEAR) {
        return sslcv__invalid("probe.kind is %d; must be SSLCV_PROBE_KNN or LINEAR", o.kind);
    }
    SSLCV__TRY(o.kind == SSLCV_PROBE_KNN ? check_knn(&o) : check_linear(&o));
    if (o.kind == SSLCV_PROBE_LINEAR) SSLCV__TRY(read_schedule(&o, &schedule));

    SSLCV__TRY(sslcv__object_create(context, SSLCV__PROBE, sizeof *probe, release, &probe));
    probe->options = o;
    probe->schedule = schedule;
    probe->options.learning_rate = &probe->schedule;
    if (o.kind == SSLCV_PROBE_LINEAR) probe->options.seed = sslcv__context_seed(context, o.seed);
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

sslcv_status sslcv__probe_fit(sslcv_probe *probe, const sslcv__features *features, const int64_t *labels,
                              int64_t min_classes)
{
    sslcv_context *context = probe->object.context;
    sslcv__fit made = {0};
    sslcv__compute frame;
    int64_t count, classes;
    sslcv_status status = sslcv__labels_check(labels, features->n, &count, &classes);

    if (status != SSLCV_OK) return status;
    made.num_classes = classes > min_classes ? classes : min_classes;
    status = sslcv__compute_begin(context, &frame);
    if (status != SSLCV_OK) return status;
    status = probe->options.kind == SSLCV_PROBE_KNN ? sslcv__knn_fit(probe, features, labels, count, &made)
                                                    : sslcv__linear_fit(probe, features, labels, count, &made);
    sslcv__compute_end(&frame);
    if (status == SSLCV_OK) {
        const sslcv__fit before = probe->fit;

        probe->fit = made;
        made = before;
    }
    sslcv__fit_free(context, &made);
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
