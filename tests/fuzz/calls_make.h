/** Calls that make handles. */
#ifndef SSLCV__FUZZ_CALLS_MAKE_H
#define SSLCV__FUZZ_CALLS_MAKE_H

#include "calls.h"

#define MAKE(type, k, call)                                                                                            \
    do {                                                                                                               \
        type *made = NULL;                                                                                             \
        const sslcv_status made_status = (call);                                                                       \
        keep(c, k, made_status, made);                                                                                 \
    } while (0)

/** A second world of the same memory: its handles go with no others. */
static void make_context(calls *c)
{
    const sslcv_allocator allocator = {sizeof allocator, &c->memory, fuzz_allocate, fuzz_deallocate, NULL};
    sslcv_context_options options;

    MUST(sslcv_context_options_init(&options, sizeof options));
    options.threads = 1;
    options.loader_threads = 0;
    options.precision = SSLCV_PRECISION_F32;
    options.allocator = &allocator;
    MAKE(sslcv_context, CONTEXT, sslcv_context_create(&options, &made));
}

static void make_backbone(calls *c)
{
    sslcv_backbone_options options;

    MUST(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));
    options.stem = SSLCV_STEM_CIFAR;
    options.channels = 1;
    options.width = 1.0 / 64;
    options.num_stages = 1 + (int32_t)take_below(&c->in, 2);
    options.norm = (int32_t)take_below(&c->in, 2);
    MAKE(sslcv_backbone, BACKBONE, sslcv_backbone_create(pick(c, CONTEXT), &options, &made));
}

static void make_head(calls *c)
{
    static const int64_t dims[4] = {WORLD_SIDE * WORLD_SIDE, WORLD_DIM, 1, 2};
    const uint64_t how = take(&c->in, 1);
    sslcv_mlp_options options;

    MUST(sslcv_mlp_options_init(&options, sizeof options));
    options.in_dim = dims[how & 3];
    options.hidden_dim = 3;
    options.out_dim = how & 4 ? 2 : WORLD_DIM;
    options.num_layers = how & 8 ? 1 : 2;
    options.dropout = how & 16 ? 0.5 : 0;
    options.norm = how & 32 ? SSLCV_NORM_NONE : SSLCV_NORM_BATCH;
    options.normalize = how & 64 ? 1 : 0;
    MAKE(sslcv_head, HEAD, sslcv_head_create_mlp(pick(c, CONTEXT), &options, &made));
}

/* ---- of the host ---- */

/* What head.h says of it. */
static inline void require_pass(const sslcv_pass *pass)
{
    REQUIRE(pass->struct_size == sizeof *pass && pass->bn_splits >= 1 && !pass->stage);
    REQUIRE(!(pass->flags & (SSLCV_PASS_MAP | SSLCV_PASS_INPUT_GRADIENT)));
    REQUIRE(!(pass->flags & SSLCV_PASS_TRAIN) || pass->random != 0);
}

static inline int32_t host_forward(void *user, sslcv_state *state, const sslcv_tensor *in, sslcv_tensor *out,
                                   const sslcv_pass *pass)
{
    (void)state;
    (void)in;
    require_pass(pass);
    if (out->shape[0] > 0) *(float *)out->data = 1;
    return answer(user);
}

static inline int32_t host_backward(void *user, sslcv_state *state, const sslcv_tensor *in, const sslcv_tensor *out,
                                    const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *pass)
{
    (void)state;
    (void)in;
    (void)out;
    (void)diff_out;
    (void)diff_in;
    require_pass(pass);
    return answer(user);
}

static void make_custom_head(calls *c)
{
    sslcv_head_callbacks callbacks;
    sslcv_head *made = NULL;
    sslcv_status status;

    MUST(sslcv_head_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.user = c;
    callbacks.forward = host_forward;
    callbacks.backward = host_backward;
    callbacks.destroy = host_gone;
    callbacks.in_dim = WORLD_SIDE * WORLD_SIDE;
    callbacks.out_dim = WORLD_DIM;
    callbacks.out_patches = take_below(&c->in, 3);
    status = sslcv_head_create_custom(pick(c, CONTEXT), &callbacks, &made);
    if (made) c->hosts++;
    keep(c, HEAD, status, made);
}

static inline int32_t host_compute(void *user, sslcv_state *state, sslcv_loss_call *call)
{
    (void)state;
    call->value = 1;
    return answer(user);
}

static inline int32_t host_epoch(void *user, sslcv_state *state, int64_t epoch)
{
    (void)state;
    (void)epoch;
    return answer(user);
}

static void make_custom_loss(calls *c)
{
    sslcv_loss_callbacks callbacks;
    sslcv_loss *made = NULL;
    sslcv_status status;

    MUST(sslcv_loss_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.user = c;
    callbacks.compute = host_compute;
    callbacks.begin_epoch = host_epoch;
    callbacks.destroy = host_gone;
    callbacks.num_inputs = 1 + take_below(&c->in, 2);
    callbacks.gradient_inputs = take(&c->in, 1) & ((1u << callbacks.num_inputs) - 1);
    status = sslcv_loss_create_custom(pick(c, CONTEXT), &callbacks, &made);
    if (made) c->hosts++;
    keep(c, LOSS, status, made);
}

/* ---- losses, optimizers ---- */

static sslcv_status make_remembering_loss(sslcv_context *context, int64_t which, sslcv_loss **made)
{
    sslcv_info_nce_options info_nce;
    sslcv_nce_bank_options bank;
    sslcv_swapped_options swapped;
    sslcv_dino_options dino;
    sslcv_cluster_options cluster;

    switch (which) {
    case 0:
        MUST(sslcv_info_nce_options_init(&info_nce, sizeof info_nce));
        info_nce.queue_size = 8;
        info_nce.dim = WORLD_DIM;
        return sslcv_loss_create_info_nce(context, &info_nce, made);
    case 1:
        MUST(sslcv_nce_bank_options_init(&bank, sizeof bank));
        bank.num_samples = WORLD_SAMPLES;
        bank.num_negatives = 2;
        bank.dim = WORLD_DIM;
        return sslcv_loss_create_nce_bank(context, &bank, made);
    case 2:
        MUST(sslcv_swapped_options_init(&swapped, sizeof swapped));
        swapped.dim = WORLD_DIM;
        swapped.num_prototypes = 3;
        swapped.queue_size = 6;
        swapped.queue_start_epoch = 0;
        return sslcv_loss_create_swapped(context, &swapped, made);
    case 3:
        MUST(sslcv_dino_options_init(&dino, sizeof dino));
        dino.dim = WORLD_DIM;
        return sslcv_loss_create_dino(context, &dino, made);
    default:
        MUST(sslcv_cluster_options_init(&cluster, sizeof cluster));
        cluster.num_samples = WORLD_SAMPLES;
        cluster.dim = WORLD_DIM;
        cluster.num_prototypes = 2;
        cluster.num_sets = 1;
        return sslcv_loss_create_cluster(context, &cluster, made);
    }
}

static void make_loss(calls *c)
{
    sslcv_context *context = pick(c, CONTEXT);
    const int64_t which = take_below(&c->in, 11);

    switch (which) {
    case 0: MAKE(sslcv_loss, LOSS, sslcv_loss_create_info_nce(context, NULL, &made)); break;
    case 1: MAKE(sslcv_loss, LOSS, sslcv_loss_create_cosine(context, NULL, &made)); break;
    case 2: MAKE(sslcv_loss, LOSS, sslcv_loss_create_barlow_twins(context, NULL, &made)); break;
    case 3: MAKE(sslcv_loss, LOSS, sslcv_loss_create_vicreg(context, NULL, &made)); break;
    case 4: MAKE(sslcv_loss, LOSS, sslcv_loss_create_cross_entropy(context, NULL, &made)); break;
    case 5: MAKE(sslcv_loss, LOSS, sslcv_loss_create_binary_cross_entropy(context, NULL, &made)); break;
    default: MAKE(sslcv_loss, LOSS, make_remembering_loss(context, which - 6, &made)); break;
    }
}

static void make_optimizer(calls *c)
{
    sslcv_optimizer_options options;

    MUST(sslcv_optimizer_options_init(&options, sizeof options, 1 + (int32_t)take_below(&c->in, 6)));
    MAKE(sslcv_optimizer, OPTIMIZER, sslcv_optimizer_create(pick(c, CONTEXT), &options, &made));
}

/* ---- data ---- */

static void make_augmenter(calls *c)
{
    sslcv_context *context = pick(c, CONTEXT);

    if (take_below(&c->in, 4) != 0 && context == c->slots[CONTEXT][0] && context &&
        c->memory.limit - c->memory.bytes > 1 << 20) {
        keep(c, AUGMENTER, SSLCV_OK, world_augmenter(context));
    } else {
        MAKE(sslcv_augmenter, AUGMENTER, sslcv_augmenter_create(context, &made));
    }
}

static void make_dataset(calls *c)
{
    sslcv_dataset_options options;

    MUST(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_LIST));
    options.channels = (int32_t)take_below(&c->in, 4);
    options.cache = (int32_t)take_below(&c->in, 2);
    options.on_error = (int32_t)take_below(&c->in, 2);
    MAKE(sslcv_dataset, DATASET, sslcv_dataset_create(pick(c, CONTEXT), &options, &made));
}

static inline int32_t host_load(void *user, int64_t index, sslcv_tensor *image)
{
    static uint8_t pixels[WORLD_SIDE * WORLD_SIDE];
    static const int64_t shape[3] = {1, WORLD_SIDE, WORLD_SIDE};

    pixels[0] = (uint8_t)index;
    sslcv_tensor_init(image, SSLCV_U8, pixels, 3, shape);
    return answer(user);
}

static inline int32_t host_label(void *user, int64_t index, int64_t *label)
{
    *label = index % 3 - (index == 5);
    return answer(user);
}

static void make_host_dataset(calls *c)
{
    const sslcv_dataset_callbacks callbacks = {sizeof callbacks, c, host_load, NULL, host_label, host_gone, 0, 0};
    sslcv_dataset_options options;
    sslcv_dataset *made = NULL;
    sslcv_status status;

    MUST(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_CALLBACK));
    options.callbacks = &callbacks;
    options.count = take_below(&c->in, 9);
    options.on_error = (int32_t)take_below(&c->in, 2);
    status = sslcv_dataset_create(pick(c, CONTEXT), &options, &made);
    if (made) c->hosts++;
    keep(c, DATASET, status, made);
}

static void make_subset(calls *c)
{
    const int64_t count = take_below(&c->in, 9);

    MAKE(sslcv_dataset, DATASET, sslcv_dataset_subset(pick(c, DATASET), whole, count, &made));
}

static void make_loader(calls *c)
{
    sslcv_loader_options options;

    MUST(sslcv_loader_options_init(&options, sizeof options));
    options.dataset = pick(c, DATASET);
    options.augmenter = pick(c, AUGMENTER);
    options.batch_size = take_below(&c->in, 5);
    options.sampler = (int32_t)take_below(&c->in, 4);
    options.drop_last = (int32_t)take_below(&c->in, 2);
    MAKE(sslcv_loader, LOADER, sslcv_loader_create(pick(c, CONTEXT), &options, &made));
}

/* ---- the rest ---- */

static void make_tape(calls *c)
{
    MAKE(sslcv_tape, TAPE, sslcv_tape_create(pick(c, CONTEXT), &made));
}

static void make_trainer(calls *c)
{
    const sslcv_schedule rate = world_rate();
    const uint64_t how = take(&c->in, 1);
    sslcv_trainer_options options = world_trainer_options(&rate);

    options.dataset = how & 1 ? NULL : pick(c, DATASET);
    options.augmenter = how & 2 ? NULL : pick(c, AUGMENTER);
    options.optimizer = pick(c, OPTIMIZER);
    options.steps_per_epoch = how & 4 ? 2 : 0;
    options.batch_size = 1 + (int64_t)(how >> 3 & 3);
    options.micro_batch = how & 32 ? 1 : 0;
    options.sampler = how & 64 ? SSLCV_SAMPLER_BY_CLASS : SSLCV_SAMPLER_SHUFFLED;
    options.ema_when = how & 128 ? 1 : 0;
    MAKE(sslcv_trainer, TRAINER, sslcv_trainer_create(pick(c, CONTEXT), &options, &made));
}

static void make_method(calls *c)
{
    sslcv_backbone *backbones[2];
    const size_t limit = c->memory.limit;
    sslcv_method_options options;
    sslcv_context *context;

    MUST(sslcv_method_options_init(&options, sizeof options));
    backbones[0] = pick(c, BACKBONE);
    backbones[1] = pick(c, BACKBONE);
    options.dataset = pick(c, DATASET);
    options.augmenter = pick(c, AUGMENTER);
    options.backbones = backbones;
    options.num_backbones = take_below(&c->in, 3);
    options.settings = "epochs=2 batch=2 size=4 steps_per_epoch=2";
    context = pick(c, CONTEXT);
    /* A recipe's own backbone is large: drawing its weights would be most of what is ever run. */
    if (limit > c->memory.bytes + (1 << 20)) c->memory.limit = c->memory.bytes + (1 << 20);
    MAKE(sslcv_trainer, TRAINER,
         sslcv_method_create(context, sslcv_method_name(take_below(&c->in, 18)), &options, &made));
    c->memory.limit = limit;
}

static void make_probe(calls *c)
{
    sslcv_probe_options options;

    MUST(sslcv_probe_options_init(&options, sizeof options, 1 + (int32_t)take_below(&c->in, 3)));
    options.neighbors = 1 + take_below(&c->in, 4);
    options.epochs = 2;
    options.batch_size = 2;
    options.c_count = 2;
    options.iterations = 5;
    MAKE(sslcv_probe, PROBE, sslcv_probe_create(pick(c, CONTEXT), &options, &made));
}

static void clone_backbone(calls *c)
{
    MAKE(sslcv_backbone, BACKBONE, sslcv_backbone_clone(pick(c, BACKBONE), &made));
}

static void clone_head(calls *c)
{
    MAKE(sslcv_head, HEAD, sslcv_head_clone(pick(c, HEAD), &made));
}

static void get_state(calls *c)
{
    switch (take_below(&c->in, 6)) {
    case 0: MAKE(sslcv_state, STATE, sslcv_backbone_get_state(pick(c, BACKBONE), &made)); break;
    case 1: MAKE(sslcv_state, STATE, sslcv_head_get_state(pick(c, HEAD), &made)); break;
    case 2: MAKE(sslcv_state, STATE, sslcv_loss_get_state(pick(c, LOSS), &made)); break;
    case 3: MAKE(sslcv_state, STATE, sslcv_optimizer_get_state(pick(c, OPTIMIZER), &made)); break;
    case 4: MAKE(sslcv_state, STATE, sslcv_trainer_get_state(pick(c, TRAINER), &made)); break;
    default: MAKE(sslcv_state, STATE, sslcv_state_create(pick(c, CONTEXT), &made)); break;
    }
}

static void open_state(calls *c)
{
    MAKE(sslcv_state, STATE, sslcv_state_open(pick(c, CONTEXT), "/nonexistent", NULL, &made));
}

#endif
