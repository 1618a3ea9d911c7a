/*
 * One step.
 *
 *     EPOCH_BEGIN -> batch -> memory -> save statistics -> branches -> losses -> backward -> optimizer -> hooks
 *                                            |                                       |
 *                                            +---- undo, when any of it fails -------+
 *
 * Momentum copies move in front of the branches or behind the optimizer. A move cannot be undone, as rounding has lost
 * what was before; so in front of a step that then fails it stands for that of the next one.
 */
#include "train/trainer.h"

#include "core/context.h"
#include "core/options.h"
#include "core/tensor.h"
#include "data/loader.h"
#include "loss/loss.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double COLLAPSED = 0.1; /* embedding_std below this */

/* ---- the batch ---- */

sslcv_status sslcv__trainer_open_loader(sslcv_trainer *trainer)
{
    const sslcv_trainer_options *o = &trainer->options;
    sslcv_loader_options options;
    sslcv_loader *loader = NULL;
    sslcv_status status;

    if (trainer->loader) return SSLCV_OK;
    SSLCV__TRY(sslcv_loader_options_init(&options, sizeof options));
    options.dataset = o->dataset;
    options.augmenter = o->augmenter;
    options.batch_size = o->batch_size;
    options.prefetch = o->prefetch;
    options.seed = o->seed;
    options.sampler = o->sampler;
    options.drop_last = o->drop_last;
    SSLCV__TRY(sslcv_loader_create(trainer->object.context, &options, &loader));
    SSLCV__TRY(sslcv__loader_select(loader, trainer->chosen, trainer->num_chosen));
    trainer->loader = loader;
    trainer->loader_epoch = trainer->loader_index = 0;
    sslcv__trainer_give_labels(trainer);
    loader = NULL;
end:
    sslcv_loader_destroy(loader);
    return status;
}

/* The batch at (epoch, index), wherever the loader stands. */
static sslcv_status next_batch(sslcv_trainer *trainer, sslcv__feed *feed)
{
    sslcv_batch batch;
    sslcv_status status;

    SSLCV__TRY(sslcv__trainer_open_loader(trainer));
    if (trainer->loader_epoch != trainer->epoch || trainer->loader_index != trainer->index) {
        SSLCV__TRY(sslcv_loader_seek(trainer->loader, trainer->epoch, trainer->index));
    }
    trainer->loader_epoch = -1; /* unknown, should this fail */
    batch.struct_size = sizeof batch;
    SSLCV__TRY(sslcv_loader_next(trainer->loader, &batch));
    trainer->epoch_steps = batch.count;
    trainer->loader_epoch = batch.index + 1 < batch.count ? batch.epoch : batch.epoch + 1;
    trainer->loader_index = batch.index + 1 < batch.count ? batch.index + 1 : 0;
    feed->size = batch.size;
    feed->ids = batch.ids;
    feed->labels = batch.labels;
end:
    return status;
}

/* ---- losses ---- */

/* Where the gradient of an input goes: the first of a step straight to its branch. */
static sslcv_status place_gradient(sslcv_trainer *trainer, sslcv__criterion *criterion, int64_t input, int wanted)
{
    sslcv__branch *branch = &trainer->branches[criterion->branches[input]];
    sslcv_tensor *diff = &criterion->diffs[input];
    sslcv__buffer *buffer = branch->of_losses ? &criterion->own[input] : &branch->gradient;
    sslcv_status status;

    *diff = criterion->inputs[input];
    diff->data = NULL;
    if (!wanted || !branch->learns) return SSLCV_OK;
    status = sslcv__buffer_reserve(trainer->object.context, buffer, sslcv__tensor_count(diff));
    if (status != SSLCV_OK) return status;
    diff->data = buffer->data;
    branch->of_losses = 1;
    return SSLCV_OK;
}

static void add_own_gradients(sslcv_trainer *trainer, const sslcv__criterion *criterion)
{
    int64_t i, k;

    for (i = 0; i < criterion->num_inputs; i++) {
        float *sum = trainer->branches[criterion->branches[i]].gradient.data;
        const float *own = criterion->diffs[i].data;
        const int64_t count = sslcv__tensor_count(&criterion->diffs[i]);

        if (!own || own == sum) continue;
        for (k = 0; k < count; k++) sum[k] += own[k];
    }
}

static sslcv_status note_loss(sslcv_trainer *trainer, int64_t index)
{
    const sslcv__criterion *criterion = &trainer->criteria[index];
    char name[96];
    const char *metric;
    double value;
    sslcv_status status;
    int64_t i;

    snprintf(name, sizeof name, "loss.%lld", (long long)index);
    status = sslcv__metric_note(trainer, name, criterion->value);
    for (i = 0; i < criterion->loss->kind->num_metrics && status == SSLCV_OK; i++) {
        sslcv_loss_get_metric(criterion->loss, i, &metric, &value);
        snprintf(name, sizeof name, "loss.%lld.%s", (long long)index, metric);
        status = sslcv__metric_note(trainer, name, value);
    }
    return status;
}

static sslcv_status compute_loss(sslcv_trainer *trainer, int64_t index, const sslcv__feed *feed)
{
    sslcv__criterion *criterion = &trainer->criteria[index];
    sslcv_loss_info info;
    sslcv_loss_call call;
    sslcv_status status;
    int64_t i;

    info.struct_size = sizeof info;
    SSLCV__TRY(sslcv_loss_get_info(criterion->loss, &info));
    for (i = 0; i < criterion->num_inputs; i++) {
        criterion->inputs[i] = *sslcv__branch_output(trainer, criterion->branches[i]);
        SSLCV__TRY(place_gradient(trainer, criterion, i, (int)(info.gradient_inputs >> i & 1)));
    }
    SSLCV__TRY(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = criterion->inputs;
    call.diff_inputs = criterion->diffs;
    call.num_inputs = criterion->num_inputs;
    call.ids = feed->ids;
    call.labels = feed->labels; /* not read by losses that need none */
    call.targets = feed->targets;
    call.step = trainer->step;
    call.epoch = trainer->epoch;
    call.scale = criterion->weight;
    SSLCV__TRY(sslcv_loss_compute(criterion->loss, &call));
    criterion->value = call.value;
    add_own_gradients(trainer, criterion);
    SSLCV__TRY(note_loss(trainer, index));
end:
    return status;
}

static sslcv_status compute_losses(sslcv_trainer *trainer, const sslcv__feed *feed, sslcv__figures *figures)
{
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(sslcv__metric_note(trainer, "loss", 0.0)); /* stands first */
    figures->loss = 0.0;
    for (i = 0; i < trainer->num_criteria; i++) {
        SSLCV__TRY(compute_loss(trainer, i, feed));
        figures->loss += trainer->criteria[i].weight * trainer->criteria[i].value;
    }
    if (!isfinite(figures->loss)) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "the sum of the losses is not finite at step %lld",
                           (long long)trainer->step);
    }
    SSLCV__TRY(sslcv__trainer_spread(trainer, &trainer->criteria[0].inputs[0], &figures->spread, &figures->cosine));
end:
    return status;
}

/* ---- the update ---- */

static sslcv_status update(sslcv_trainer *trainer, sslcv__figures *figures)
{
    const int64_t epoch_steps = sslcv__trainer_epoch_steps(trainer);
    const int64_t epochs = trainer->options.epochs;
    const int64_t at = trainer->epoch * epoch_steps + trainer->index;
    double weight_decay = -1.0;
    sslcv_status status;

    SSLCV__TRY(sslcv_schedule_value(&trainer->learning_rate, at, epoch_steps, epochs, &figures->learning_rate));
    if (trainer->options.weight_decay) {
        SSLCV__TRY(sslcv_schedule_value(&trainer->weight_decay, at, epoch_steps, epochs, &weight_decay));
    }
    SSLCV__TRY(sslcv__metric_note(trainer, "loss", figures->loss));
    SSLCV__TRY(sslcv__metric_note(trainer, "learning_rate", figures->learning_rate));
    if (sslcv__trainer_has_copies(trainer)) {
        SSLCV__TRY(sslcv__metric_note(trainer, "ema_momentum", figures->ema_momentum));
    }
    SSLCV__TRY(sslcv__metric_note(trainer, "embedding_std", figures->spread));
    SSLCV__TRY(sslcv__metric_note(trainer, "embedding_cosine", figures->cosine));
    SSLCV__TRY(sslcv_optimizer_step(trainer->options.optimizer, figures->learning_rate, weight_decay));
    if (trainer->options.ema_when == SSLCV_EMA_AFTER_STEP) {
        SSLCV__TRY(sslcv__trainer_move_copies(trainer, figures->ema_momentum)); /* cannot fail where a step could run */
    }
end:
    return status;
}

/* One slice through all branches. */
static sslcv_status forward(sslcv_trainer *trainer, const sslcv__feed *feed, const sslcv__slice *slice)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < trainer->num_branches; i++) {
        if (trainer->branches[i].used) SSLCV__TRY(sslcv__branch_forward(trainer, i, feed, slice));
    }
end:
    return status;
}

/* And back: from what the losses say, and what branches add to that of their sources. */
static sslcv_status backward(sslcv_trainer *trainer, const sslcv__slice *slice)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < trainer->num_branches; i++) trainer->branches[i].has_gradient = trainer->branches[i].of_losses;
    for (i = trainer->num_branches - 1; i >= 0; i--) {
        if (trainer->branches[i].used) SSLCV__TRY(sslcv__branch_backward(trainer, i, slice));
    }
end:
    return status;
}

/* Values of the losses, and the gradients of all parameters. */
static sslcv_status differentiate(sslcv_trainer *trainer, const sslcv__feed *feed, sslcv__figures *figures)
{
    const int64_t slices = sslcv__num_slices(feed->size, trainer->choice.micro_batch);
    sslcv__slice slice = sslcv__slice_of(feed->size, 1, 0, SSLCV__PHASE_WHOLE);
    sslcv_status status = SSLCV_OK;
    int64_t i;

    if (slices == 1) {
        SSLCV__TRY(forward(trainer, feed, &slice));
        SSLCV__TRY(compute_losses(trainer, feed, figures));
        return backward(trainer, &slice);
    }
    for (i = 0; i < slices; i++) {
        SSLCV__TRY(sslcv__context_check_cancel(trainer->object.context)); /* while no loss has remembered anything */
        slice = sslcv__slice_of(feed->size, slices, i, SSLCV__PHASE_SCAN);
        SSLCV__TRY(forward(trainer, feed, &slice));
    }
    SSLCV__TRY(compute_losses(trainer, feed, figures));
    for (i = 0; i < slices; i++) {
        slice = sslcv__slice_of(feed->size, slices, i, SSLCV__PHASE_AGAIN);
        SSLCV__TRY(forward(trainer, feed, &slice));
        SSLCV__TRY(backward(trainer, &slice));
    }
end:
    return status;
}

/* From the batch to new parameters, or to the old ones. */
static sslcv_status learn(sslcv_trainer *trainer, const sslcv__feed *feed, sslcv__figures *figures)
{
    sslcv_status status;
    int64_t i;

    sslcv__trainer_save_statistics(trainer);
    for (i = 0; i < trainer->num_branches; i++) trainer->branches[i].of_losses = 0;
    SSLCV__TRY(sslcv__trainer_ema_momentum(trainer, &figures->ema_momentum));
    if (trainer->options.ema_when == SSLCV_EMA_BEFORE_FORWARD) {
        SSLCV__TRY(sslcv__trainer_move_copies(trainer, figures->ema_momentum));
    }
    SSLCV__TRY(differentiate(trainer, feed, figures));
    SSLCV__TRY(update(trainer, figures));
end:
    if (status != SSLCV_OK) sslcv__trainer_undo_step(trainer);
    return status;
}

/* ---- around it ---- */

static sslcv_status begin_epoch(sslcv_trainer *trainer)
{
    sslcv_status status = SSLCV_OK;
    int stop = 0;
    int64_t i;

    if (trainer->index > 0) return SSLCV_OK;
    if (!trainer->epoch_begun) {
        const double mean = trainer->epoch_losses ? trainer->epoch_loss / (double)trainer->epoch_losses : 0.0;

        sslcv__trainer_tell(trainer, SSLCV_EVENT_EPOCH_BEGIN, trainer->epoch, mean, &stop);
        /* The context's cancel may have cut short what a hook makes for the epoch, such as labels: it is told again. */
        if (stop && sslcv__context_check_cancel(trainer->object.context) != SSLCV_OK) return SSLCV_ERR_CANCELLED;
        trainer->epoch_begun = 1;
        trainer->epoch_loss = 0.0;
        trainer->epoch_losses = 0;
        if (stop) return SSLCV_ERR_CANCELLED;
    }
    sslcv__trainer_begin_labels(trainer);
    for (i = 0; i < trainer->losses.count; i++) {
        SSLCV__TRY(sslcv_loss_begin_epoch(trainer->losses.items[i].handle, trainer->epoch));
    }
end:
    return status;
}

/* The batch is done with. 1: it was its epoch's last. */
static int advance(sslcv_trainer *trainer)
{
    trainer->step++;
    trainer->index++;
    if (trainer->index < sslcv__trainer_epoch_steps(trainer)) return 0;
    trainer->index = 0;
    trainer->epoch++;
    trainer->epoch_begun = 0;
    return 1;
}

/* The batch has no result, and counts as a step. A move of the momentum copies is the next step's. */
static void skip(sslcv_trainer *trainer)
{
    const int has_moved = trainer->ema_step == trainer->step;

    advance(trainer);
    if (has_moved) trainer->ema_step = trainer->step;
}

/* All events of a step, whatever the hooks of one of them answer. */
static sslcv_status tell_step(sslcv_trainer *trainer, int64_t epoch, int epoch_ended)
{
    const double loss = trainer->figures.loss;
    int stop = 0;

    sslcv__trainer_tell(trainer, SSLCV_EVENT_STEP, epoch, loss, &stop);
    if (trainer->figures.spread >= COLLAPSED) {
        trainer->healthy = 1;
    } else if ((trainer->healthy || epoch_ended) && trainer->collapse_epoch != epoch) { /* the first steps may be low */
        trainer->collapse_epoch = epoch;
        sslcv__trainer_tell(trainer, SSLCV_EVENT_COLLAPSE, epoch, loss, &stop);
    }
    if (epoch_ended) {
        const double mean = trainer->epoch_losses ? trainer->epoch_loss / (double)trainer->epoch_losses : 0.0;

        sslcv__trainer_tell(trainer, SSLCV_EVENT_EPOCH_END, epoch, mean, &stop);
        if (sslcv__trainer_note_best(trainer, epoch) != SSLCV_OK) stop = 1;
    }
    return stop ? SSLCV_ERR_CANCELLED : SSLCV_OK;
}

static sslcv_status check_ready(sslcv_trainer *trainer, const sslcv_progress *progress)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__check(trainer, SSLCV__TRAINER, "trainer"));
    if (progress) SSLCV__TRY(sslcv__struct_check("progress", progress, sizeof *progress));
    if (trainer->inside) return sslcv__fail(SSLCV_ERR_STATE, "a hook must not step its trainer");
    SSLCV__TRY(sslcv__trainer_fix(trainer));
    if (trainer->epoch >= trainer->options.epochs) {
        return sslcv__fail(SSLCV_ERR_STATE, "all %lld epochs are done", (long long)trainer->options.epochs);
    }
    SSLCV__TRY(sslcv__context_check_cancel(trainer->object.context));
end:
    return status;
}

/* feed: without views it is still to be filled. */
static sslcv_status step(sslcv_trainer *trainer, sslcv__feed *feed, sslcv_progress *progress)
{
    const int64_t epoch = trainer->epoch;
    const double began = sslcv__clock();
    sslcv__figures figures = {0};
    sslcv_progress full;
    sslcv_status status;
    int epoch_ended;

    sslcv__retain(trainer); /* a hook may give up the host's last reference */
    trainer->inside = 1;
    if (trainer->speed.began < 0.0) trainer->speed.began = began;
    SSLCV__TRY(begin_epoch(trainer));
    if (!feed->views) SSLCV__TRY(next_batch(trainer, feed));
    SSLCV__TRY(sslcv__trainer_ready_memory(trainer, feed));
    status = learn(trainer, feed, &figures);
    if (status == SSLCV_ERR_NUMERIC) skip(trainer);
    if (status != SSLCV_OK) goto end;

    trainer->stepped = 1;
    trainer->figures = figures;
    trainer->epoch_loss += figures.loss;
    trainer->epoch_losses++;
    sslcv__metrics_show(trainer);
    epoch_ended = advance(trainer);
    sslcv__speed_add(&trainer->speed, sslcv__clock() - began, feed->size);
    SSLCV__TRY(tell_step(trainer, epoch, epoch_ended));
    if (progress) {
        sslcv__trainer_progress(trainer, SSLCV_EVENT_STEP, epoch, figures.loss, &full);
        status = sslcv__struct_fill("progress", progress, sizeof full, &full, sizeof full);
    }
end:
    trainer->inside = 0;
    sslcv__release(trainer);
    return status;
}

sslcv_status sslcv_trainer_step(sslcv_trainer *trainer, sslcv_progress *progress)
{
    sslcv__feed feed = {0};
    const sslcv_status status = check_ready(trainer, progress);

    if (status != SSLCV_OK) return status;
    if (!trainer->options.dataset) {
        return sslcv__fail(SSLCV_ERR_STATE, "the trainer has no data set; only sslcv_trainer_step_views() feeds it");
    }
    return step(trainer, &feed, progress);
}

/* Their number of classes and their values are for the losses to check. */
static sslcv_status check_targets(const sslcv_view_batch *batch, int64_t size)
{
    const int64_t shape[2] = {size, -1};
    sslcv_status status;

    if (!batch->targets) return SSLCV_OK;
    if (batch->labels) return sslcv__invalid("labels and targets are both given; one must be NULL");
    status = sslcv__tensor_check_shape(batch->targets, "targets", 2, shape);
    return status == SSLCV_OK ? sslcv__tensor_check_dense(batch->targets, "targets") : status;
}

static sslcv_status read_batch(const sslcv_trainer *trainer, const sslcv_view_batch *batch, sslcv__feed *feed)
{
    const int64_t chosen = trainer->chosen[0];
    const sslcv_tensor *first;
    int64_t of_sample;

    if (!batch->views) return sslcv__null("views");
    if (batch->num_views < trainer->num_views) {
        return sslcv__invalid("num_views is %lld; the branches use %lld", (long long)batch->num_views,
                              (long long)trainer->num_views);
    }
    first = &batch->views[chosen];
    if (!first->data || first->ndim != 4 || first->shape[0] < 1) {
        return sslcv__invalid("views[%lld] must be an array (N, C, H, W) with N >= 1", (long long)chosen);
    }
    of_sample = batch->patches ? batch->patches[chosen] : 1;
    if (of_sample < 1 || first->shape[0] % of_sample != 0) {
        return sslcv__invalid("patches[%lld] is %lld; must be 1 or more, and divide the %lld images of the view",
                              (long long)chosen, (long long)of_sample, (long long)first->shape[0]);
    }
    feed->size = first->shape[0] / of_sample;
    feed->patches = batch->patches;
    feed->ids = batch->ids;
    feed->labels = batch->labels;
    feed->targets = batch->targets;
    feed->views = batch->views;
    feed->num_views = batch->num_views;
    return check_targets(batch, feed->size);
}

static const sslcv_view_batch batch_defaults = {.struct_size = sizeof batch_defaults};

sslcv_status sslcv_view_batch_init(sslcv_view_batch *batch, size_t struct_size)
{
    return sslcv__options_init("view_batch", batch, struct_size, sizeof batch_defaults, &batch_defaults,
                               sizeof batch_defaults);
}

sslcv_status sslcv_trainer_step_views(sslcv_trainer *trainer, const sslcv_view_batch *given, sslcv_progress *progress)
{
    sslcv_view_batch batch = batch_defaults;
    sslcv__feed feed = {0};
    sslcv_status status;

    SSLCV__TRY(check_ready(trainer, progress));
    if (!given) return sslcv__null("batch");
    SSLCV__TRY(sslcv__options_read("view_batch", given, sizeof batch, &batch, sizeof batch));
    SSLCV__TRY(read_batch(trainer, &batch, &feed));
    status = step(trainer, &feed, progress);
end:
    return status;
}
