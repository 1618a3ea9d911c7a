/* sslcv_scalars_watch(): a hook that writes metrics. */
#include "train/trainer.h"

#include "core/context.h"
#include "core/memory.h"
#include "io/scalars.h"

#include <string.h>

typedef struct watch {
    sslcv_context *context;
    sslcv_scalars *scalars;
    int64_t steps;
    int64_t seen; /* of the host's publications, those that are written */
    int64_t capacity;
    sslcv__scalar *values; /* of one record */
    int32_t is_failing;    /* the last write failed, and that has been logged */
    int32_t has_refused;   /* a name was left out, and that has been logged */
} watch;

static void destroy_watch(void *user)
{
    watch *w = user;
    sslcv_context *context = w->context;

    sslcv__free(context, w->values);
    sslcv__release(w->scalars);
    sslcv__free(context, w);
    sslcv__release(context);
}

/* 1 when a metric belongs into the record of an event: the trainer's own at steps, the host's when they are new. */
static int belongs(watch *w, const sslcv__metric *metric, int32_t event)
{
    if (!metric->shown) return 0;
    if (metric->host ? metric->published <= w->seen : event != SSLCV_EVENT_STEP) return 0;
    if (sslcv__scalars_check_name(metric->name) == SSLCV_OK) return 1;
    if (!w->has_refused) sslcv__log(w->context, SSLCV_LOG_WARNING, "a metric is not written: %s", sslcv_last_error());
    w->has_refused = 1;
    return 0;
}

/* Into w->values. */
static sslcv_status collect(watch *w, const sslcv_trainer *trainer, int32_t event, int64_t *count)
{
    int64_t i;
    sslcv_status status = SSLCV_OK;

    *count = 0;
    if (w->capacity < trainer->num_metrics) {
        SSLCV__TRY(sslcv__grow_array(w->context, 0, trainer->num_metrics, sizeof *w->values, (void **)&w->values));
        w->capacity = trainer->num_metrics;
    }
    for (i = 0; i < trainer->num_metrics; i++) {
        const sslcv__metric *metric = &trainer->metrics[i];

        if (!belongs(w, metric, event)) continue;
        w->values[*count].name = metric->name;
        w->values[(*count)++].value = metric->value;
    }
end:
    return status;
}

static void write_metrics(watch *w, const sslcv_trainer *trainer, const sslcv_progress *progress)
{
    int64_t count;
    sslcv_status status = collect(w, trainer, progress->event, &count);

    if (status == SSLCV_OK && count == 0) return;
    if (status == SSLCV_OK) status = sslcv__scalars_write(w->scalars, progress->step, w->values, count);
    if (status == SSLCV_OK) {
        w->seen = trainer->num_published;
    } else if (!w->is_failing) {
        sslcv__log(w->context, SSLCV_LOG_WARNING, "scalars of step %lld are not written: %s", (long long)progress->step,
                   sslcv_last_error());
    }
    w->is_failing = status != SSLCV_OK;
}

/* Hours of training are worth more than their record: a failure is logged, and the message of an earlier one stays. */
static int32_t call_watch(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    watch *w = user;
    char before[1024];

    if (progress->event == SSLCV_EVENT_STEP && progress->step % w->steps != 0) return 0;
    sslcv_last_error_copy(before, sizeof before);
    write_metrics(w, trainer, progress);
    if (strcmp(before, sslcv_last_error()) != 0) sslcv__fail(SSLCV_OK, "%s", before);
    return 0;
}

sslcv_status sslcv_scalars_watch(sslcv_scalars *scalars, sslcv_trainer *trainer, int64_t steps)
{
    const sslcv__object *object = (const sslcv__object *)(const void *)scalars;
    sslcv_hook hook;
    watch *w = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(scalars, SSLCV__SCALARS, "scalars"));
    SSLCV__TRY(sslcv__check(trainer, SSLCV__TRAINER, "trainer"));
    SSLCV__TRY(sslcv__check_context(trainer, object->context, "trainer"));
    if (steps < 1) return sslcv__invalid("steps is %lld; must be >= 1", (long long)steps);
    SSLCV__TRY(sslcv__alloc_array(object->context, 1, sizeof *w, (void **)&w));
    sslcv__retain(w->context = object->context);
    sslcv__retain(w->scalars = scalars);
    w->steps = steps;
    SSLCV__TRY(sslcv_hook_init(&hook, sizeof hook));
    hook.user = w;
    hook.call = call_watch;
    hook.destroy = destroy_watch;
    hook.events = SSLCV_EVENT_STEP | SSLCV_EVENT_EPOCH_END;
    SSLCV__TRY(sslcv_trainer_add_hook(trainer, &hook));
end:
    if (status != SSLCV_OK && w) destroy_watch(w);
    return status;
}
