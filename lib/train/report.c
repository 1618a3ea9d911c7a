/* What a run tells: hooks, progress, metrics. */
#include "train/trainer.h"

#include "core/memory.h"

#include <math.h>
#include <string.h>
#include <time.h>

double sslcv__clock(void)
{
    struct timespec now = {0, 0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- spread ---- */

/*
 * With u the rows brought to unit length, n of them, of D values:
 *
 *     spread = sqrt(D) * mean over d of the deviation (n - 1) of u_d
 *     cosine = mean over i != k of u_i.u_k = (|sum u|^2 - sum |u|^2) / (n (n - 1))
 */
sslcv_status sslcv__trainer_spread(sslcv_trainer *trainer, const sslcv_tensor *rows, double *spread, double *cosine)
{
    const int64_t n = rows->shape[0] * rows->shape[1] * rows->shape[2], d = rows->shape[3];
    const float *row = rows->data;
    double *sums, *squares, total = 0.0, lengths = 0.0, deviations = 0.0;
    int64_t i, k;
    sslcv_status status = sslcv__buffer_reserve(trainer->object.context, &trainer->scratch, 4 * d);

    if (status != SSLCV_OK) return status;
    sums = (double *)(void *)trainer->scratch.data; /* (D), and behind it the squares (D) */
    squares = sums + d;
    memset(sums, 0, 2 * (size_t)d * sizeof *sums);
    for (i = 0; i < n; i++, row += d) {
        double length = 0.0;

        for (k = 0; k < d; k++) length += (double)row[k] * row[k];
        length = 1.0 / fmax(sqrt(length), 1e-12);
        for (k = 0; k < d; k++) {
            const double u = row[k] * length;

            sums[k] += u;
            squares[k] += u * u;
        }
    }
    for (k = 0; k < d; k++) {
        const double variance = n > 1 ? (squares[k] - sums[k] * sums[k] / (double)n) / (double)(n - 1) : 0.0;

        deviations += sqrt(fmax(variance, 0.0));
        total += sums[k] * sums[k];
        lengths += squares[k];
    }
    *spread = deviations / sqrt((double)d);
    *cosine = n > 1 ? (total - lengths) / ((double)n * (double)(n - 1)) : 0.0;
    return SSLCV_OK;
}

/* ---- progress ---- */

void sslcv__speed_add(sslcv__speed *speed, double seconds, int64_t images)
{
    speed->seconds[speed->count % SSLCV__SPEED_WINDOW] = seconds;
    speed->images[speed->count % SSLCV__SPEED_WINDOW] = images;
    speed->count++;
}

/* Means over the window; 0 when there is nothing to tell from. */
static void measure_speed(const sslcv__speed *speed, double *images_per_second, double *seconds_per_step)
{
    const int64_t count = speed->count < SSLCV__SPEED_WINDOW ? speed->count : SSLCV__SPEED_WINDOW;
    double seconds = 0.0, images = 0.0;
    int64_t i;

    for (i = 0; i < count; i++) {
        seconds += speed->seconds[i];
        images += (double)speed->images[i];
    }
    *images_per_second = seconds > 0.0 ? images / seconds : 0.0;
    *seconds_per_step = count > 0 ? seconds / (double)count : 0.0;
}

int64_t sslcv__trainer_epoch_steps(const sslcv_trainer *trainer)
{
    const sslcv_trainer_options *o = &trainer->options;
    sslcv_dataset_info info;
    int64_t steps;

    if (!o->dataset) return o->steps_per_epoch;
    if (trainer->epoch_steps > 0) return trainer->epoch_steps;
    info.struct_size = sizeof info;
    if (sslcv_dataset_get_info(o->dataset, &info) != SSLCV_OK) return 1;
    steps = info.count / o->batch_size + (!o->drop_last && info.count % o->batch_size != 0);
    return steps > 0 ? steps : 1;
}

void sslcv__trainer_progress(const sslcv_trainer *trainer, int32_t event, int64_t epoch, double loss,
                             sslcv_progress *progress)
{
    const int64_t epoch_steps = sslcv__trainer_epoch_steps(trainer);
    double seconds_per_step;
    int64_t left;

    memset(progress, 0, sizeof *progress);
    progress->struct_size = sizeof *progress;
    progress->event = event;
    progress->step = trainer->step;
    progress->num_steps = trainer->options.epochs * epoch_steps;
    progress->epoch = epoch;
    progress->num_epochs = trainer->options.epochs;
    progress->loss = loss;
    progress->learning_rate = trainer->figures.learning_rate;
    progress->embedding_std = trainer->figures.spread;
    measure_speed(&trainer->speed, &progress->images_per_second, &seconds_per_step);
    if (trainer->speed.began >= 0.0) progress->seconds = sslcv__clock() - trainer->speed.began;
    left = progress->num_steps - trainer->epoch * epoch_steps - trainer->index;
    progress->seconds_left = left > 0 ? (double)left * seconds_per_step : 0.0;
}

/* ---- hooks ---- */

static int is_due(const sslcv_hook *hook, const sslcv_progress *progress)
{
    if (!(hook->events & progress->event)) return 0;
    switch (progress->event) {
    case SSLCV_EVENT_EPOCH_BEGIN: return progress->epoch % hook->every == 0;
    case SSLCV_EVENT_STEP: return progress->step % hook->every == 0;
    case SSLCV_EVENT_EPOCH_END: return (progress->epoch + 1) % hook->every == 0;
    default: return 1;
    }
}

void sslcv__trainer_tell(sslcv_trainer *trainer, int32_t event, int64_t epoch, double loss, int *stop)
{
    sslcv_progress progress;
    char before[1024];
    int64_t i;

    if (trainer->num_hooks == 0) return;
    sslcv__trainer_progress(trainer, event, epoch, loss, &progress);
    sslcv_last_error_copy(before, sizeof before);
    for (i = 0; i < trainer->num_hooks; i++) {
        const sslcv_hook *hook = &trainer->hooks[i];

        if (!is_due(hook, &progress) || hook->call(hook->user, trainer, &progress) == 0) continue;
        *stop = 1;
        /* A failure inside of the hook has said why; it stays. */
        if (strncmp(before, sslcv_last_error(), sizeof before - 1) == 0) {
            sslcv__fail(SSLCV_ERR_CANCELLED, "a hook stopped the run behind step %lld", (long long)trainer->step);
        }
        sslcv_last_error_copy(before, sizeof before);
    }
}

/* ---- metrics ---- */

static sslcv__metric *find_metric(const sslcv_trainer *trainer, const char *name)
{
    int64_t i;

    for (i = 0; i < trainer->num_metrics; i++) {
        if (strcmp(trainer->metrics[i].name, name) == 0) return &trainer->metrics[i];
    }
    return NULL;
}

static sslcv_status add_metric(sslcv_trainer *trainer, const char *name, sslcv__metric **metric)
{
    sslcv_context *context = trainer->object.context;
    char *copy = NULL;
    sslcv_status status = sslcv__copy_text(context, name, &copy);

    if (status == SSLCV_OK && trainer->num_metrics == trainer->metrics_capacity) {
        const int64_t capacity = 2 * trainer->metrics_capacity + 8;

        status =
            sslcv__grow_array(context, trainer->num_metrics, capacity, sizeof **metric, (void **)&trainer->metrics);
        if (status == SSLCV_OK) trainer->metrics_capacity = capacity;
    }
    if (status != SSLCV_OK) {
        sslcv__free(context, copy);
        return status;
    }
    *metric = &trainer->metrics[trainer->num_metrics++];
    memset(*metric, 0, sizeof **metric);
    (*metric)->name = copy;
    return SSLCV_OK;
}

sslcv_status sslcv__metric_note(sslcv_trainer *trainer, const char *name, double value)
{
    sslcv__metric *metric = find_metric(trainer, name);
    const sslcv_status status = metric ? SSLCV_OK : add_metric(trainer, name, &metric);

    if (status == SSLCV_OK) metric->noted = value;
    return status;
}

void sslcv__metrics_show(sslcv_trainer *trainer)
{
    int64_t i;

    for (i = 0; i < trainer->num_metrics; i++) {
        sslcv__metric *metric = &trainer->metrics[i];

        if (metric->host) continue;
        metric->value = metric->noted;
        metric->shown = 1;
    }
}

sslcv_status sslcv_trainer_get_metric(const sslcv_trainer *trainer, int64_t index, const char **name, double *value)
{
    const sslcv_status status = sslcv__check(trainer, SSLCV__TRAINER, "trainer");
    int64_t i, shown = 0;

    if (status != SSLCV_OK) return status;
    if (!name) return sslcv__null("name");
    if (!value) return sslcv__null("value");
    for (i = 0; i < trainer->num_metrics; i++) {
        if (!trainer->metrics[i].shown || shown++ != index) continue;
        *name = trainer->metrics[i].name;
        *value = trainer->metrics[i].value;
        return SSLCV_OK;
    }
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "index is %lld; there are %lld metrics", (long long)index,
                       (long long)shown);
}

sslcv_status sslcv_trainer_set_metric(sslcv_trainer *trainer, const char *name, double value)
{
    static const char *const own[] = {"loss", "learning_rate", "ema_momentum", "embedding_std", "embedding_cosine"};
    sslcv_status status = sslcv__check(trainer, SSLCV__TRAINER, "trainer");
    sslcv__metric *metric;
    size_t i;

    if (status != SSLCV_OK) return status;
    if (!name) return sslcv__null("name");
    for (i = 0; i < sizeof own / sizeof own[0] && strcmp(name, own[i]) != 0; i++) continue;
    if (i < sizeof own / sizeof own[0] || name[0] == 0 || strncmp(name, "loss.", 5) == 0) {
        return sslcv__invalid("name is \"%s\"; must not be empty nor one of the trainer's own", name);
    }
    metric = find_metric(trainer, name);
    if (!metric) status = add_metric(trainer, name, &metric);
    if (status != SSLCV_OK) return status;
    metric->value = value;
    metric->shown = 1;
    metric->host = 1;
    metric->published = ++trainer->num_published;
    return SSLCV_OK;
}
