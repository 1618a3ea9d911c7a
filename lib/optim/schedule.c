#include <sslcv/optim.h>

#include "core/options.h"

#include <math.h>

sslcv_status sslcv_schedule_init(sslcv_schedule *schedule, size_t struct_size, int32_t kind, double value)
{
    const sslcv_schedule defaults = {.struct_size = sizeof defaults, .kind = kind, .value = value, .gamma = 0.1};

    if (kind < SSLCV_SCHEDULE_CONSTANT || kind > SSLCV_SCHEDULE_STEPS) {
        return sslcv__invalid("schedule.kind is %d; must be SSLCV_SCHEDULE_CONSTANT .. STEPS", kind);
    }
    if (!isfinite(value)) return sslcv__invalid("schedule.value is %g; must be finite", value);
    return sslcv__options_init("schedule", schedule, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_finite(const sslcv_schedule *s)
{
    const struct {
        const char *name;
        double value;
    } fields[] = {
        {"value", s->value}, {"end_value", s->end_value}, {"warmup_start", s->warmup_start}, {"gamma", s->gamma}};
    size_t i;

    for (i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!isfinite(fields[i].value)) {
            return sslcv__invalid("schedule.%s is %g; must be finite", fields[i].name, fields[i].value);
        }
    }
    return SSLCV_OK;
}

static sslcv_status check_milestones(const sslcv_schedule *s)
{
    int32_t i;

    if (s->num_milestones < 0 || s->num_milestones > SSLCV_MAX_MILESTONES) {
        return sslcv__invalid("schedule.num_milestones is %d; must be 0 .. %d", s->num_milestones,
                              SSLCV_MAX_MILESTONES);
    }
    for (i = 0; i < s->num_milestones; i++) {
        if (!(s->milestones[i] >= (i ? s->milestones[i - 1] : 0.0))) {
            return sslcv__invalid("schedule.milestones[%d] is %g; must be >= %g", i, s->milestones[i],
                                  i ? s->milestones[i - 1] : 0.0);
        }
    }
    return SSLCV_OK;
}

static sslcv_status check(const sslcv_schedule *s)
{
    sslcv_status status;

    if (s->kind < SSLCV_SCHEDULE_CONSTANT || s->kind > SSLCV_SCHEDULE_STEPS) {
        return sslcv__invalid("schedule.kind is %d; must be SSLCV_SCHEDULE_CONSTANT .. STEPS", s->kind);
    }
    if (s->by_epoch != 0 && s->by_epoch != 1) {
        return sslcv__invalid("schedule.by_epoch is %d; must be 0 or 1", s->by_epoch);
    }
    if (s->warmup_reaches != 0 && s->warmup_reaches != 1) {
        return sslcv__invalid("schedule.warmup_reaches is %d; must be 0 or 1", s->warmup_reaches);
    }
    if (!(s->warmup_epochs >= 0.0 && s->warmup_epochs <= 1e15)) {
        return sslcv__invalid("schedule.warmup_epochs is %g; must be >= 0", s->warmup_epochs);
    }
    status = check_finite(s);
    return status == SSLCV_OK ? check_milestones(s) : status;
}

/* t, w and total in steps, or in epochs by_epoch. */
static double value_at(const sslcv_schedule *s, double t, double w, double total, double epoch)
{
    double f, value = s->value;
    int32_t i;

    if (t < w) {
        const double last = s->warmup_reaches ? fmax(w - 1.0, 1.0) : w;

        return s->warmup_start + (s->value - s->warmup_start) * fmin(t / last, 1.0);
    }
    f = total > w ? fmin((t - w) / (total - w), 1.0) : 1.0;
    switch (s->kind) {
    case SSLCV_SCHEDULE_COSINE:
        return s->end_value + (s->value - s->end_value) * (1.0 + cos(3.14159265358979323846 * f)) / 2.0;
    case SSLCV_SCHEDULE_LINEAR: return s->value + (s->end_value - s->value) * f;
    case SSLCV_SCHEDULE_STEPS:
        for (i = 0; i < s->num_milestones && epoch >= s->milestones[i]; i++) value *= s->gamma;
        return value;
    default: return value;
    }
}

sslcv_status sslcv_schedule_value(const sslcv_schedule *schedule, int64_t step, int64_t steps_per_epoch, int64_t epochs,
                                  double *value)
{
    sslcv_schedule s = {.struct_size = sizeof s};
    double epoch;
    sslcv_status status;

    if (!schedule) return sslcv__null("schedule");
    SSLCV__TRY(sslcv__options_read("schedule", schedule, sizeof s, &s, sizeof s));
    SSLCV__TRY(check(&s));
    if (step < 0) return sslcv__invalid("step is %lld; must be 0 or more", (long long)step);
    if (steps_per_epoch < 1) {
        return sslcv__invalid("steps_per_epoch is %lld; must be 1 or more", (long long)steps_per_epoch);
    }
    if (epochs < 1) return sslcv__invalid("epochs is %lld; must be 1 or more", (long long)epochs);
    if (!value) return sslcv__null("value");
    if (s.by_epoch) {
        epoch = (double)(step / steps_per_epoch);
        *value = value_at(&s, epoch, s.warmup_epochs, (double)epochs, epoch);
    } else {
        epoch = (double)step / (double)steps_per_epoch;
        *value = value_at(&s, (double)step, s.warmup_epochs * (double)steps_per_epoch,
                          (double)epochs * (double)steps_per_epoch, epoch);
    }
end:
    return status;
}
