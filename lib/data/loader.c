/*
 * The loader: in which order samples come, and what the host sees of the batches that the ring makes.
 *
 * The calling thread opens slots of the ring (draws the order, writes down whose turn it is), waits for the first, and
 * lends it to the host until the next call.
 */
#include "data/loader.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "data/balanced.h"
#include "data/ring.h"

#include <string.h>

enum { MAX_PREFETCH = 64 };

static const sslcv_loader_options defaults = {
    .struct_size = sizeof(sslcv_loader_options), .batch_size = 256, .prefetch = 2, .drop_last = 1};

struct sslcv_loader {
    sslcv__object object;
    sslcv_dataset *dataset;
    sslcv_augmenter *augmenter;
    sslcv_loader_options options;
    uint64_t seed;
    int64_t num_views;    /* of the augmenter */
    unsigned char *asked; /* num_views: 1 for those to be made; none set: all */
    int64_t range_first;  /* samples to walk through */
    int64_t range_count;  /* 0: to the end */

    int64_t *order;   /* of order_epoch: order_samples indices */
    int32_t *repeats; /* likewise; by class only, NULL: no sample comes twice */
    int64_t order_capacity, order_epoch, order_samples;
    const int64_t *given; /* labels instead of the data set's; borrowed; NULL: none */
    int64_t num_given;
    int64_t known_epoch, known_samples; /* an epoch keeps its samples while a LIST grows */
    int64_t stand_epoch, stand_index;   /* the batch that next() hands out */
    int64_t open_epoch, open_index;     /* the batch that is opened next */

    sslcv__ring ring;
    int32_t has_current; /* 1: the ring's first slot is the host's */
    int32_t reserved;
    int64_t *labels; /* of the current batch */
    float *gathered; /* views that are no neighbours, side by side */
    int64_t gathered_capacity;
};

/* ---- order ---- */

static int64_t samples_now(const sslcv_loader *loader)
{
    return loader->range_count ? loader->range_count : sslcv__dataset_count(loader->dataset);
}

static int64_t samples_of(const sslcv_loader *loader, int64_t epoch)
{
    return epoch == loader->known_epoch ? loader->known_samples : samples_now(loader);
}

static int64_t batches_of(const sslcv_loader *loader, int64_t samples)
{
    const int64_t size = loader->options.batch_size;

    return samples / size + (!loader->options.drop_last && samples % size != 0);
}

static int64_t label_of(const sslcv_loader *loader, int64_t sample)
{
    if (!loader->given) return sslcv__dataset_label(loader->dataset, sample);
    return sample < loader->num_given ? loader->given[sample] : -1;
}

static sslcv_status draw_by_class(sslcv_loader *loader, int64_t epoch, int64_t samples)
{
    sslcv_context *context = loader->object.context;
    int64_t *labels = NULL, i;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, samples, sizeof *labels, (void **)&labels));
    for (i = 0; i < samples; i++) labels[i] = label_of(loader, i);
    SSLCV__TRY(sslcv__order_by_class(context, labels, samples, loader->seed, epoch, loader->order, loader->repeats));
end:
    sslcv__free(context, labels);
    return status;
}

static sslcv_status grow_order(sslcv_loader *loader, int64_t samples)
{
    sslcv_context *context = loader->object.context;
    sslcv_status status = SSLCV_OK;

    if (samples <= loader->order_capacity) return SSLCV_OK;
    SSLCV__TRY(sslcv__grow_array(context, 0, samples, sizeof *loader->order, (void **)&loader->order));
    if (loader->options.sampler == SSLCV_SAMPLER_BY_CLASS) {
        SSLCV__TRY(sslcv__grow_array(context, 0, samples, sizeof *loader->repeats, (void **)&loader->repeats));
    }
    loader->order_capacity = samples;
end:
    return status;
}

static sslcv_status draw_order(sslcv_loader *loader, int64_t epoch)
{
    const int64_t samples = samples_of(loader, epoch);
    sslcv__rng rng;
    sslcv_status status;
    int64_t i;

    if (loader->order_epoch == epoch && loader->order_samples == samples) return SSLCV_OK;
    loader->order_epoch = -1;
    status = grow_order(loader, samples);
    if (status != SSLCV_OK) return status;
    if (loader->options.sampler == SSLCV_SAMPLER_BY_CLASS) {
        status = draw_by_class(loader, epoch, samples);
        if (status != SSLCV_OK) return status;
    } else if (loader->options.sampler == SSLCV_SAMPLER_SHUFFLED) {
        sslcv__rng_init(&rng, sslcv__rng_derive(loader->seed, (uint64_t)epoch, SSLCV__STREAM_ORDER), 0, 0);
        sslcv__rng_permutation(&rng, loader->order, samples);
    } else {
        for (i = 0; i < samples; i++) loader->order[i] = loader->range_first + i;
    }
    loader->order_epoch = epoch;
    loader->order_samples = samples;
    return SSLCV_OK;
}

static void choose_views(const void *user, sslcv__slot *slot)
{
    const sslcv_loader *loader = user;
    const int all = memchr(loader->asked, 1, (size_t)loader->num_views) == NULL;
    int64_t i;

    slot->num_views = 0;
    for (i = 0; i < loader->num_views; i++) {
        if (all || loader->asked[i]) slot->view_indices[slot->num_views++] = i;
    }
}

/** Behind the last that a number can tell it comes again. */
static int64_t epoch_behind(int64_t epoch)
{
    return epoch < INT64_MAX ? epoch + 1 : epoch;
}

/** Put the next batch to be made into the ring, which has room. */
static sslcv_status open_slot(sslcv_loader *loader)
{
    sslcv__slot *slot = sslcv__ring_free_slot(&loader->ring);
    const int64_t start = loader->open_index * loader->options.batch_size;
    const sslcv_status status = draw_order(loader, loader->open_epoch);

    if (status != SSLCV_OK) return status;
    slot->epoch = loader->open_epoch;
    slot->index = loader->open_index;
    slot->samples = loader->order_samples;
    slot->batches = batches_of(loader, slot->samples);
    slot->size = slot->samples - start;
    if (slot->size > loader->options.batch_size) slot->size = loader->options.batch_size;
    slot->pinned = 0;
    memcpy(slot->turns, loader->order + start, (size_t)slot->size * sizeof *slot->turns);
    if (loader->repeats) {
        memcpy(slot->repeats, loader->repeats + start, (size_t)slot->size * sizeof *slot->repeats);
    }
    choose_views(loader, slot);
    sslcv__ring_push(&loader->ring);

    loader->open_index++;
    if (loader->open_index == slot->batches) {
        loader->open_epoch = epoch_behind(loader->open_epoch);
        loader->open_index = 0;
    }
    return SSLCV_OK;
}

/** Forget all batches, made or being made: the loader stands where it stood. */
static void start_over(sslcv_loader *loader)
{
    sslcv__ring_clear(&loader->ring);
    loader->has_current = 0;
    loader->open_epoch = loader->stand_epoch;
    loader->open_index = loader->stand_index;
}

static void drop_current(sslcv_loader *loader)
{
    if (loader->has_current) sslcv__ring_pop(&loader->ring);
    loader->has_current = 0;
}

/**
 * An epoch has the samples that are there when its first batch is asked for. What was made of it ahead, with fewer, is
 * made again.
 */
static void fix_epoch(sslcv_loader *loader)
{
    const sslcv__slot *slot = sslcv__ring_first(&loader->ring);

    if (loader->known_epoch != loader->stand_epoch) {
        loader->known_samples = samples_now(loader);
        loader->known_epoch = loader->stand_epoch;
    }
    if (slot && slot->samples != loader->known_samples) start_over(loader);
}

static sslcv_status fill_ring(sslcv_loader *loader)
{
    sslcv_status status = SSLCV_OK;

    while (status == SSLCV_OK && sslcv__ring_has_room(&loader->ring)) status = open_slot(loader);
    return status;
}

/* ---- life ---- */

static void release_loader(void *self)
{
    sslcv_loader *loader = self;
    sslcv_context *context = loader->object.context;

    sslcv__ring_free(&loader->ring);
    sslcv__free(context, loader->asked);
    sslcv__free(context, loader->order);
    sslcv__free(context, loader->repeats);
    sslcv__free(context, loader->labels);
    sslcv__free(context, loader->gathered);
    sslcv__release(loader->augmenter);
    sslcv__release(loader->dataset);
}

sslcv_status sslcv_loader_options_init(sslcv_loader_options *options, size_t struct_size)
{
    return sslcv__options_init("loader_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(const sslcv_loader_options *o, const sslcv_context *context)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__check(o->dataset, SSLCV__DATASET, "loader.dataset"));
    SSLCV__TRY(sslcv__check(o->augmenter, SSLCV__AUGMENTER, "loader.augmenter"));
    SSLCV__TRY(sslcv__check_context(o->dataset, context, "loader.dataset"));
    SSLCV__TRY(sslcv__check_context(o->augmenter, context, "loader.augmenter"));
    if (o->batch_size < 1 || o->batch_size > INT32_MAX) {
        return sslcv__invalid("loader.batch_size is %lld; must be 1 .. 2^31 - 1", (long long)o->batch_size);
    }
    if (o->prefetch < 0 || o->prefetch > MAX_PREFETCH) {
        return sslcv__invalid("loader.prefetch is %lld; must be 0 .. %d", (long long)o->prefetch, MAX_PREFETCH);
    }
    if (o->sampler < SSLCV_SAMPLER_SHUFFLED || o->sampler > SSLCV_SAMPLER_BY_CLASS) {
        return sslcv__invalid("loader.sampler is %d; must be SSLCV_SAMPLER_SHUFFLED, IN_ORDER or BY_CLASS", o->sampler);
    }
    if (o->drop_last != 0 && o->drop_last != 1) {
        return sslcv__invalid("loader.drop_last is %d; must be 0 or 1", o->drop_last);
    }
    if (sslcv__augmenter_num_views(o->augmenter) == 0) {
        return sslcv__fail(SSLCV_ERR_STATE, "loader.augmenter has no views");
    }
end:
    return status;
}

static sslcv_status check_samples(const sslcv_loader_options *o, int64_t samples)
{
    if (samples == 0) return sslcv__fail(SSLCV_ERR_LIMIT, "the data set is empty; a loader needs at least one sample");
    if (o->drop_last && samples < o->batch_size) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%lld samples do not fill one batch of %lld, and drop_last is 1",
                           (long long)samples, (long long)o->batch_size);
    }
    return SSLCV_OK;
}

static int64_t threads_wanted(const sslcv_context *context, const sslcv_loader_options *o)
{
    const int64_t useful = o->batch_size * (o->prefetch + 1);

    if (!sslcv__dataset_any_thread(o->dataset) || !sslcv__augmenter_any_thread(o->augmenter)) return 0;
    return context->loader_threads < useful ? context->loader_threads : useful;
}

static sslcv_status build(sslcv_loader *loader)
{
    sslcv_context *context = loader->object.context;
    const sslcv_loader_options *o = &loader->options;
    sslcv__ring_plan plan;
    sslcv_status status;

    loader->num_views = sslcv__augmenter_num_views(o->augmenter);
    loader->order_epoch = loader->known_epoch = -1;
    loader->seed = sslcv__context_seed(context, o->seed);
    SSLCV__TRY(sslcv__alloc_array(context, loader->num_views, 1, (void **)&loader->asked));
    SSLCV__TRY(sslcv__alloc_array(context, o->batch_size, sizeof *loader->labels, (void **)&loader->labels));
    plan.dataset = o->dataset;
    plan.augmenter = o->augmenter;
    plan.seed = loader->seed;
    plan.batch_size = o->batch_size;
    plan.prefetch = o->prefetch;
    plan.num_threads = threads_wanted(context, o);
    sslcv__augmenter_fix(o->augmenter);
    status = sslcv__ring_init(context, &plan, &loader->ring);
end:
    return status;
}

sslcv_status sslcv_loader_create(sslcv_context *context, const sslcv_loader_options *options, sslcv_loader **out)
{
    sslcv_loader_options o = defaults;
    sslcv_loader *loader = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!options) return sslcv__null("loader_options");
    if (!out) return sslcv__null("loader");
    SSLCV__TRY(sslcv__options_read("loader_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(check_options(&o, context));
    SSLCV__TRY(check_samples(&o, sslcv__dataset_count(o.dataset)));

    SSLCV__TRY(sslcv__object_create(context, SSLCV__LOADER, sizeof *loader, release_loader, &loader));
    loader->options = o;
    sslcv__retain(o.dataset);
    loader->dataset = o.dataset;
    sslcv__retain(o.augmenter);
    loader->augmenter = o.augmenter;
    SSLCV__TRY(build(loader));
    *out = loader;
    loader = NULL;
end:
    sslcv__release(loader);
    return status;
}

void sslcv_loader_destroy(sslcv_loader *loader)
{
    sslcv__destroy(loader, SSLCV__LOADER);
}

/* ---- walking ---- */

static sslcv_status check_loader(const sslcv_loader *loader)
{
    const sslcv_status status = sslcv__check(loader, SSLCV__LOADER, "loader");

    return status == SSLCV_OK ? sslcv__ring_check_process(&loader->ring) : status;
}

/** The first slot is done and sound: it becomes the current batch. */
static void begin_batch(sslcv_loader *loader, sslcv_batch *full)
{
    const sslcv__slot *slot = sslcv__ring_first(&loader->ring);
    int64_t i;

    for (i = 0; i < slot->size; i++) loader->labels[i] = label_of(loader, slot->ids[i]);
    full->size = slot->size;
    full->epoch = slot->epoch;
    full->index = slot->index;
    full->count = slot->batches;
    full->ids = slot->ids;
    full->labels = loader->labels;

    loader->has_current = 1;
    loader->stand_epoch = slot->index + 1 == slot->batches ? epoch_behind(slot->epoch) : slot->epoch;
    loader->stand_index = slot->index + 1 == slot->batches ? 0 : slot->index + 1;
}

sslcv_status sslcv_loader_next(sslcv_loader *loader, sslcv_batch *batch)
{
    sslcv_batch full = {0};
    sslcv_status status;

    SSLCV__TRY(check_loader(loader));
    SSLCV__TRY(sslcv__struct_check("batch", batch, sizeof full));
    SSLCV__TRY(sslcv__context_check_cancel(loader->object.context));

    drop_current(loader);
    fix_epoch(loader);
    SSLCV__TRY(fill_ring(loader));
    status = sslcv__ring_wait(&loader->ring);
    sslcv__ring_log(&loader->ring);
    if (sslcv__ring_first(&loader->ring)->status != SSLCV_OK) start_over(loader);
    if (status != SSLCV_OK) goto end; /* without threads a cancelled batch stays where it is, half made */
    SSLCV__TRY(sslcv__context_check_cancel(loader->object.context));
    begin_batch(loader, &full);
    status = sslcv__struct_fill("batch", batch, sizeof full, &full, sizeof full);
end:
    return status;
}

sslcv_status sslcv_loader_seek(sslcv_loader *loader, int64_t epoch, int64_t index)
{
    int64_t batches;
    sslcv_status status;

    SSLCV__TRY(check_loader(loader));
    if (epoch < 0) return sslcv__invalid("epoch is %lld; must be >= 0", (long long)epoch);
    if (index < 0) return sslcv__invalid("index is %lld; must be >= 0", (long long)index);
    batches = batches_of(loader, samples_of(loader, epoch));
    if (index >= batches) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "batch %lld does not exist; epoch %lld has %lld", (long long)index,
                           (long long)epoch, (long long)batches);
    }
    loader->stand_epoch = epoch;
    loader->stand_index = index;
    start_over(loader);
end:
    return status;
}

/* ---- views ---- */

static sslcv_status check_views(const sslcv_loader *loader, const int64_t *views, int64_t num_views)
{
    int64_t i;

    if (!views) return sslcv__null("views");
    if (num_views < 1) return sslcv__invalid("num_views is %lld; must be >= 1", (long long)num_views);
    for (i = 0; i < num_views; i++) {
        if (views[i] < 0 || views[i] >= loader->num_views) {
            return sslcv__fail(SSLCV_ERR_NOT_FOUND, "view %lld does not exist; the augmenter has %lld",
                               (long long)views[i], (long long)loader->num_views);
        }
    }
    return SSLCV_OK;
}

/** The current batch once more, with all views asked for so far: its first making lacks one of them. */
static sslcv_status make_again(sslcv_loader *loader, sslcv__slot *slot)
{
    sslcv_status status;

    sslcv__ring_remake(&loader->ring, choose_views, loader);
    status = sslcv__ring_wait(&loader->ring);
    if (status != SSLCV_OK) slot->num_views = 0;
    return status;
}

static sslcv_status make_views(sslcv_loader *loader, sslcv__slot *slot, const int64_t *views, int64_t num_views)
{
    int missing = 0;
    int64_t i;

    for (i = 0; i < num_views; i++) {
        loader->asked[views[i]] = 1;
        missing |= sslcv__slot_find_view(slot, views[i]) == NULL;
    }
    return missing ? make_again(loader, slot) : SSLCV_OK;
}

/** @param adjacent Out: 1 when the views lie one behind the other as asked for. */
static sslcv_status compare_views(const sslcv__slot *slot, const int64_t *views, int64_t num_views, int *adjacent)
{
    const sslcv__view *first = sslcv__slot_find_view(slot, views[0]);
    int64_t i;

    *adjacent = 1;
    for (i = 1; i < num_views; i++) {
        const sslcv__view *view = sslcv__slot_find_view(slot, views[i]);
        const int64_t *a = first->shape, *b = view->shape;

        if (memcmp(a, b, sizeof first->shape) != 0) {
            return sslcv__invalid("view %lld has the shape (%lld, %lld, %lld, %lld), view %lld (%lld, %lld, %lld, "
                                  "%lld); views of one array must be equal",
                                  (long long)views[0], (long long)a[0], (long long)a[1], (long long)a[2],
                                  (long long)a[3], (long long)views[i], (long long)b[0], (long long)b[1],
                                  (long long)b[2], (long long)b[3]);
        }
        if (view->offset != first->offset + i * slot->size * first->floats) *adjacent = 0;
    }
    return SSLCV_OK;
}

static sslcv_status gather(sslcv_loader *loader, const sslcv__slot *slot, const int64_t *views, int64_t num_views)
{
    const int64_t floats = slot->size * sslcv__slot_find_view(slot, views[0])->floats;
    int64_t total, i;

    if (!sslcv__multiply(num_views, floats, &total)) total = INT64_MAX;
    if (total > loader->gathered_capacity) {
        const sslcv_status status =
            sslcv__grow_array(loader->object.context, 0, total, sizeof(float), (void **)&loader->gathered);

        if (status != SSLCV_OK) return status;
        loader->gathered_capacity = total;
    }
    for (i = 0; i < num_views; i++) {
        memcpy(loader->gathered + i * floats, slot->data + sslcv__slot_find_view(slot, views[i])->offset,
               (size_t)floats * sizeof(float));
    }
    return SSLCV_OK;
}

sslcv_status sslcv_loader_get_views(sslcv_loader *loader, const int64_t *views, int64_t num_views, sslcv_tensor *images)
{
    const sslcv__view *first;
    int64_t shape[4];
    sslcv__slot *slot;
    int adjacent;
    sslcv_status status;

    SSLCV__TRY(check_loader(loader));
    if (!images) return sslcv__null("images");
    SSLCV__TRY(check_views(loader, views, num_views));
    if (!loader->has_current) {
        return sslcv__fail(SSLCV_ERR_STATE, "there is no current batch; sslcv_loader_next() gets one");
    }
    slot = sslcv__ring_first(&loader->ring);
    SSLCV__TRY(make_views(loader, slot, views, num_views));
    SSLCV__TRY(compare_views(slot, views, num_views, &adjacent));
    if (!adjacent) SSLCV__TRY(gather(loader, slot, views, num_views));

    first = sslcv__slot_find_view(slot, views[0]);
    memcpy(shape, first->shape, sizeof shape);
    shape[0] *= num_views * slot->size;
    sslcv__tensor_set(images, SSLCV_F32, adjacent ? slot->data + first->offset : loader->gathered, 4, shape);
end:
    return status;
}

/* ---- for the trainer and embedding ---- */

sslcv_status sslcv__loader_select(sslcv_loader *loader, const int64_t *views, int64_t num_views)
{
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(check_loader(loader));
    SSLCV__TRY(check_views(loader, views, num_views));
    memset(loader->asked, 0, (size_t)loader->num_views);
    for (i = 0; i < num_views; i++) loader->asked[views[i]] = 1;
    start_over(loader);
end:
    return status;
}

sslcv_status sslcv__loader_restrict(sslcv_loader *loader, int64_t first, int64_t count)
{
    sslcv_status status;
    int64_t samples;

    SSLCV__TRY(check_loader(loader));
    if (loader->options.sampler != SSLCV_SAMPLER_IN_ORDER) {
        return sslcv__fail(SSLCV_ERR_STATE, "a range of samples needs SSLCV_SAMPLER_IN_ORDER");
    }
    samples = sslcv__dataset_count(loader->dataset);
    if (first < 0 || count < 1 || first > samples - count) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "samples %lld .. %lld do not exist; the data set has %lld",
                           (long long)first, (long long)first + count - 1, (long long)samples);
    }
    SSLCV__TRY(check_samples(&loader->options, count));
    loader->stand_epoch = loader->stand_index = 0;
    start_over(loader);
    loader->range_first = first;
    loader->range_count = count;
    loader->order_epoch = loader->known_epoch = -1;
    sslcv__ring_set_first_sample(&loader->ring, first);
end:
    return status;
}

void sslcv__loader_set_labels(sslcv_loader *loader, const int64_t *labels, int64_t count)
{
    loader->given = labels;
    loader->num_given = count;
    if (loader->options.sampler != SSLCV_SAMPLER_BY_CLASS) return; /* labels are looked up when a batch is handed out */
    loader->order_epoch = -1;
    start_over(loader);
}

const unsigned char *sslcv__loader_substituted(const sslcv_loader *loader)
{
    return loader->has_current ? loader->ring.slots[loader->ring.first].substituted : NULL;
}

int64_t sslcv__loader_batches(const sslcv_loader *loader)
{
    return batches_of(loader, samples_now(loader));
}

int64_t sslcv__loader_bytes(const sslcv_loader *loader)
{
    const int all = memchr(loader->asked, 1, (size_t)loader->num_views) == NULL;
    char message[SSLCV__SLOT_MESSAGE];
    int64_t image[3], shape[4], floats, total = 0, held = 0, i;

    for (i = 0; i < loader->ring.num_slots; i++) held += loader->ring.slots[i].capacity;
    sslcv__dataset_shape(loader->dataset, image);
    sslcv_last_error_copy(message, sizeof message);
    for (i = 0; i < loader->num_views; i++) {
        if (!all && !loader->asked[i]) continue;
        if (sslcv__augmenter_view_shape(loader->augmenter, i, image, shape) != SSLCV_OK ||
            !sslcv__product(shape, 4, &floats) || !sslcv__add(total, floats, &total)) {
            sslcv__fail(SSLCV_OK, "%s", message);
            return held * (int64_t)sizeof(float);
        }
    }
    floats = loader->ring.num_slots * loader->options.batch_size * (int64_t)sizeof(float);
    held *= (int64_t)sizeof(float);
    return sslcv__multiply(total, floats, &total) && total > held ? total : held;
}
