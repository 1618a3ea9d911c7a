/**
 * A trainer and all that it is made of, small: a ResNet-18 of width 1/8, of which only stem and layer1 are run, on
 * images of 8 x 8.
 */
#ifndef SSLCV__TESTS_TRAINER_SUPPORT_H
#define SSLCV__TESTS_TRAINER_SUPPORT_H

#include "views_support.h"

#include <stdint.h>
#include <stdio.h>

#include <sslcv/sslcv.h>

#include "train/trainer.h"

enum {
    SAMPLES = 24,
    BATCH = 8,
    SIDE = 8,
    CHANNELS = 3,
    CLASSES = 4,
    DIM = 16,
    FEATURES = 8, /* of STAGE */
    PIXELS = CHANNELS * SIDE * SIDE
};

#define STAGE "layer1"

/* ---- a trainer and all that it is made of ---- */

typedef struct rig {
    sslcv_context *context;
    sslcv_dataset *dataset;
    sslcv_augmenter *augmenter;
    sslcv_backbone *backbone;
    sslcv_head *projection;
    sslcv_head *classifier;
    sslcv_loss *contrast;
    sslcv_loss *labels;
    sslcv_optimizer *optimizer;
    sslcv_trainer *trainer;
} rig;

typedef struct rig_options {
    const sslcv_allocator *allocator;
    const char *checkpoint;
    int64_t epochs;
    int64_t checkpoint_epochs;
    double checkpoint_seconds;
    uint64_t seed; /* of the trainer */
    int32_t loader_threads;
    int32_t resume;
    int32_t no_data;
    int32_t keep_last; /* drop_last 0, batches of 9 */
    int32_t precision;
    int32_t sampler;
    int64_t micro_batch, memory_budget;
    const sslcv_schedule *ema;
    int32_t ema_when;
    int32_t ema_random_init;
    sslcv_log_fn log;
    void *log_user;
} rig_options;

static const rig_options plain = {.epochs = 4, .seed = 7};

/* Bright quadrant by class, and noise. */
static inline void fill_images(float *images, int64_t *labels, int64_t count)
{
    int64_t n, c, y, x;

    golden_input(3, count * PIXELS, images);
    for (n = 0; n < count; n++) {
        labels[n] = n % CLASSES;
        for (c = 0; c < CHANNELS; c++) {
            for (y = 0; y < SIDE; y++) {
                for (x = 0; x < SIDE; x++) {
                    float *value = &images[((n * CHANNELS + c) * SIDE + y) * SIDE + x];
                    const int64_t quadrant = (y >= SIDE / 2) * 2 + (x >= SIDE / 2);

                    *value = 0.3f + 0.2f * *value + (quadrant == labels[n] ? 0.4f : 0.0f);
                }
            }
        }
    }
}

static inline void make_data(rig *r)
{
    float images[SAMPLES * PIXELS];
    int64_t labels[SAMPLES];
    const int64_t shape[4] = {SAMPLES, CHANNELS, SIDE, SIDE};
    sslcv_dataset_options o;
    sslcv_tensor tensor;

    fill_images(images, labels, SAMPLES);
    OK(sslcv_dataset_options_init(&o, sizeof o, SSLCV_DATASET_LIST));
    OK(sslcv_dataset_create(r->context, &o, &r->dataset));
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, images, 4, shape));
    OK(sslcv_dataset_add_images(r->dataset, &tensor, labels, NULL));
    OK(sslcv_augmenter_create(r->context, &r->augmenter));
    OK(sslcv_augmenter_add_preset(r->augmenter, "simclr-cifar", SIDE, NULL, NULL));
    OK(sslcv_augmenter_add_preset(r->augmenter, "eval-cifar", SIDE, NULL, NULL)); /* view 2 */
}

static inline sslcv_head *make_head(sslcv_context *context, int64_t in, int64_t out, int32_t layers, uint64_t seed)
{
    sslcv_mlp_options o;
    sslcv_head *head;

    OK(sslcv_mlp_options_init(&o, sizeof o));
    o.in_dim = in;
    o.out_dim = out;
    o.num_layers = layers;
    o.seed = seed;
    OK(sslcv_head_create_mlp(context, &o, &head));
    return head;
}

static inline void make_networks(rig *r)
{
    sslcv_backbone_options net;
    sslcv_info_nce_options nce;
    sslcv_optimizer_options sgd;

    OK(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
    net.stem = SSLCV_STEM_CIFAR;
    net.width = 0.125;
    net.seed = 11;
    OK(sslcv_backbone_create(r->context, &net, &r->backbone));
    r->projection = make_head(r->context, FEATURES, DIM, 2, 12);
    r->classifier = make_head(r->context, FEATURES, CLASSES, 1, 13);
    OK(sslcv_info_nce_options_init(&nce, sizeof nce));
    nce.temperature = 0.5;
    OK(sslcv_loss_create_info_nce(r->context, &nce, &r->contrast));
    OK(sslcv_loss_create_cross_entropy(r->context, NULL, &r->labels));
    OK(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    OK(sslcv_optimizer_create(r->context, &sgd, &r->optimizer));
}

static inline sslcv_status make_trainer(rig *r, const rig_options *o)
{
    sslcv_trainer_options t;
    sslcv_schedule rate;

    OK(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, 0.1));
    OK(sslcv_trainer_options_init(&t, sizeof t));
    if (!o->no_data) t.dataset = r->dataset;
    t.augmenter = r->augmenter;
    t.optimizer = r->optimizer;
    t.learning_rate = &rate;
    t.checkpoint_path = o->checkpoint;
    t.batch_size = o->keep_last ? BATCH + 1 : BATCH;
    t.drop_last = !o->keep_last;
    t.epochs = o->epochs;
    t.steps_per_epoch = o->no_data ? 3 : 0;
    t.checkpoint_epochs = o->checkpoint_epochs;
    t.checkpoint_seconds = o->checkpoint_seconds;
    t.seed = o->seed;
    t.resume = o->resume;
    t.sampler = o->sampler;
    t.micro_batch = o->micro_batch;
    t.memory_budget = o->memory_budget;
    t.ema_momentum = o->ema;
    t.ema_when = o->ema_when;
    t.ema_random_init = o->ema_random_init;
    return sslcv_trainer_create(r->context, &t, &r->trainer);
}

static inline void make_rig(rig *r, const rig_options *o)
{
    sslcv_context_options c;

    memset(r, 0, sizeof *r);
    OK(sslcv_context_options_init(&c, sizeof c));
    c.threads = 1;
    c.loader_threads = o->loader_threads;
    c.seed = 5;
    c.allocator = o->allocator;
    c.precision = o->precision;
    c.log = o->log;
    c.log_user = o->log_user;
    OK(sslcv_context_create(&c, &r->context));
    make_data(r);
    make_networks(r);
    OK(make_trainer(r, o));
}

static inline void free_rig(rig *r)
{
    sslcv_trainer_destroy(r->trainer);
    sslcv_optimizer_destroy(r->optimizer);
    sslcv_loss_destroy(r->labels);
    sslcv_loss_destroy(r->contrast);
    sslcv_head_destroy(r->classifier);
    sslcv_head_destroy(r->projection);
    sslcv_backbone_destroy(r->backbone);
    sslcv_augmenter_destroy(r->augmenter);
    sslcv_dataset_destroy(r->dataset);
    sslcv_context_destroy(r->context);
}

static const int64_t views_01[] = {0, 1}, view_2[] = {2};

/* Views through the backbone, and through a head unless it is NULL. */
static inline int64_t add_branch(rig *r, const int64_t *views, int64_t num_views, sslcv_head *head)
{
    sslcv_branch b;
    int64_t index;

    OK(sslcv_branch_init(&b, sizeof b));
    b.views = views;
    b.num_views = num_views;
    b.backbone = r->backbone;
    b.stage = STAGE;
    b.heads = &head;
    b.num_heads = head != NULL;
    OK(sslcv_trainer_add_branch(r->trainer, &b, &index));
    return index;
}

static inline int64_t add_source_branch(rig *r, int64_t source, sslcv_head *head, int32_t detach)
{
    sslcv_branch b;
    int64_t index;

    OK(sslcv_branch_init(&b, sizeof b));
    b.source = source;
    b.heads = &head;
    b.num_heads = 1;
    b.detach = detach;
    OK(sslcv_trainer_add_branch(r->trainer, &b, &index));
    return index;
}

static inline void add_loss(rig *r, sslcv_loss *loss, int64_t branch, double weight)
{
    OK(sslcv_trainer_add_loss(r->trainer, loss, &branch, 1, weight, NULL));
}

static inline void compose_simclr(rig *r)
{
    add_loss(r, r->contrast, add_branch(r, views_01, 2, r->projection), 1.0);
}

static inline void make_simclr(rig *r, const rig_options *o)
{
    make_rig(r, o);
    compose_simclr(r);
}

/* Loss of the next steps. */
static inline void steps(rig *r, int count, double *losses)
{
    sslcv_progress progress;
    int i;

    progress.struct_size = sizeof progress;
    for (i = 0; i < count; i++) {
        OK(sslcv_trainer_step(r->trainer, &progress));
        losses[i] = progress.loss;
    }
}

/* ---- weights, to be compared bit for bit ---- */

typedef struct weights {
    float *values;
    int64_t count;
} weights;

static inline weights read_state(sslcv_state *state, int32_t roles)
{
    weights w = {NULL, 0};

    OK(sslcv_state_get_flat(state, roles, NULL, 0, &w.count));
    w.values = malloc((size_t)w.count * sizeof *w.values + 1);
    OK(sslcv_state_get_flat(state, roles, w.values, w.count, NULL));
    sslcv_state_destroy(state);
    return w;
}

static inline weights read_backbone(rig *r, int32_t roles)
{
    sslcv_state *state;

    OK(sslcv_backbone_get_state(r->backbone, &state));
    return read_state(state, roles);
}

static inline weights read_trainer(rig *r)
{
    sslcv_state *state;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    return read_state(state, SSLCV_ROLE_ALL);
}

static inline int equal(weights a, weights b)
{
    const int same = a.count == b.count && memcmp(a.values, b.values, (size_t)a.count * sizeof *a.values) == 0;

    free(a.values);
    free(b.values);
    return same;
}

static inline double largest_difference(weights a, weights b)
{
    double largest = 0.0;
    int64_t i;

    ck_assert(a.count == b.count);
    for (i = 0; i < a.count; i++) largest = fmax(largest, fabs((double)a.values[i] - b.values[i]));
    free(a.values);
    free(b.values);
    return largest;
}

/* ---- the host's views ---- */

typedef struct host_views {
    float pixels[2][BATCH * PIXELS];
    int64_t labels[BATCH];
    sslcv_tensor tensors[3];
} host_views;

static inline void make_views(host_views *v, int64_t side)
{
    const int64_t shape[4] = {BATCH, CHANNELS, side, side};
    int i;

    for (i = 0; i < 2; i++) {
        golden_input(20 + i, BATCH * PIXELS, v->pixels[i]);
        OK(sslcv_tensor_init(&v->tensors[i], SSLCV_F32, v->pixels[i], 4, shape));
    }
    for (i = 0; i < BATCH; i++) v->labels[i] = i % CLASSES;
    v->tensors[2] = v->tensors[0];
}

/* ---- hooks ---- */

typedef struct recorder {
    char text[512];
    int64_t stop_at; /* step at which it asks to stop */
    int32_t destroyed;
    int32_t calls;
    sslcv_status inner;
    rig *rig;
} recorder;

static inline int32_t record(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    recorder *log = user;
    const char letter = progress->event == SSLCV_EVENT_EPOCH_BEGIN ? 'b'
                        : progress->event == SSLCV_EVENT_STEP      ? 's'
                        : progress->event == SSLCV_EVENT_EPOCH_END ? 'e'
                                                                   : 'c';
    const size_t used = strlen(log->text);

    (void)trainer;
    log->calls++;
    snprintf(log->text + used, sizeof log->text - used, "%c%lld ", letter,
             (long long)(letter == 's' ? progress->step : progress->epoch));
    return letter == 's' && log->stop_at != 0 && progress->step == log->stop_at;
}

static inline void count_destroy(void *user)
{
    ((recorder *)user)->destroyed++;
}

static inline void add_hook(rig *r, recorder *log, int32_t (*call)(void *, sslcv_trainer *, const sslcv_progress *),
                            int32_t events, int32_t every)
{
    sslcv_hook hook;

    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.user = log;
    hook.call = call;
    hook.destroy = count_destroy;
    hook.events = events;
    hook.every = every;
    log->rig = r;
    OK(sslcv_trainer_add_hook(r->trainer, &hook));
}

/* ---- out of memory ---- */

typedef struct budget {
    int64_t left; /* allocations that succeed; < 0: all */
    int64_t held;
} budget;

static inline void *allocate(void *user, size_t bytes, size_t alignment)
{
    budget *b = user;

    if (b->left == 0) return NULL;
    if (b->left > 0) b->left--;
    b->held++;
    return aligned_alloc(alignment, bytes);
}

static inline void deallocate(void *user, void *memory, size_t bytes)
{
    (void)bytes;
    ((budget *)user)->held--;
    free(memory);
}

#endif
