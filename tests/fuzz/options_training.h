/** Structs of data and training. */
#ifndef SSLCV__FUZZ_OPTIONS_TRAINING_H
#define SSLCV__FUZZ_OPTIONS_TRAINING_H

#include "options.h"

/* ---- data ---- */

static int32_t get_label(void *user, int64_t index, int64_t *label)
{
    (void)user;
    *label = index % 3;
    return 0;
}

static int32_t load(void *user, int64_t index, sslcv_tensor *image)
{
    (void)index;
    (void)image;
    return refuse(user);
}

static void fix_dataset_options(void *options, const rig *r)
{
    static const sslcv_dataset_callbacks table = {.struct_size = sizeof table, .load = load, .get_label = get_label};
    sslcv_dataset_options *o = options;

    o->path = r->flags & 1 ? "/nonexistent" : NULL;
    o->labels_path = r->flags & 2 ? "/nonexistent" : NULL;
    o->callbacks = r->flags & 4 ? &table : NULL;
}

INIT_KIND(dataset_options)
CREATE(dataset_options, sslcv_dataset_create, sslcv_dataset, sslcv_dataset_destroy)

static void fix_callbacks(void *options, const rig *r)
{
    sslcv_dataset_callbacks *o = options;

    o->user = NULL;
    o->load = r->flags & 1 ? load : NULL;
    o->unload = NULL;
    o->get_label = r->flags & 2 ? get_label : NULL;
    o->destroy = NULL;
}

/* A struct without an init: its fields are all 0 but the size, which must have room. */
static sslcv_status init_zeros(void *options, size_t size, int32_t kind)
{
    (void)kind;
    memset(options, 0, size);
    if (size >= sizeof size) memcpy(options, &size, sizeof size);
    return SSLCV_OK;
}

static void use_dataset_callbacks(const void *callbacks, const rig *r)
{
    sslcv_dataset_options options;

    MUST(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_CALLBACK));
    options.count = 4;
    options.callbacks = callbacks;
    use_dataset_options(&options, r);
}

static void use_loader_options(const void *options, const rig *r)
{
    sslcv_batch batch = {.struct_size = sizeof batch};
    sslcv_loader *loader = NULL;
    sslcv_status status;

    status = sslcv_loader_create(r->context, options, &loader);
    check_out(status, loader);
    if (loader) sane(sslcv_loader_next(loader, &batch));
    sslcv_loader_destroy(loader);
}

static void fix_loader_options(void *options, const rig *r)
{
    sslcv_loader_options *o = options;

    o->dataset = r->flags & 1 ? NULL : world_dataset(r->context);
    o->augmenter = r->flags & 2 ? NULL : world_augmenter(r->context);
}

static void drop_loader_options(void *options)
{
    const sslcv_loader_options *o = options;

    sslcv_dataset_destroy(o->dataset);
    sslcv_augmenter_destroy(o->augmenter);
}

INIT(loader_options)

static int32_t apply(void *user, const sslcv_tensor *src, sslcv_tensor *dst, uint64_t random)
{
    (void)src;
    (void)random;
    memset(dst->data, 0, sizeof(float) * (size_t)(dst->shape[0] * dst->shape[1] * dst->shape[2]));
    return user != NULL;
}

static const sslcv_transform_callbacks apply_table = {.struct_size = sizeof apply_table, .apply = apply};

static void fix_transform(void *options, const rig *r)
{
    sslcv_transform *o = options;

    o->callbacks = r->flags & 1 ? &apply_table : NULL;
    if (r->flags & 2) o->height = o->width = 6;
}

INIT_KIND(transform)

/** On an image of one, two or three channels, whichever it takes. */
static void use_transform(const void *options, const rig *r)
{
    static float pixels[3 * 8 * 8];
    const int64_t shape[3] = {r->flags & 4 ? 1 : r->flags & 8 ? 2 : 3, 8, 8};
    sslcv_augmenter *augmenter;
    sslcv_tensor image, out = {0};
    int64_t view, i;

    for (i = 0; i < 3 * 8 * 8; i++) pixels[i] = (float)(i % 17) / 16;
    MUST(sslcv_augmenter_create(r->context, &augmenter));
    MUST(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
    MUST(sslcv_tensor_init(&image, SSLCV_F32, pixels, 3, shape));
    if (sane(sslcv_augmenter_add_transform(augmenter, view, options)) &&
        sane(sslcv_augmenter_apply(augmenter, &image, r->flags, 0, 0, view, &out))) {
        int64_t values = 1;

        for (i = 0; i < out.ndim; i++) values *= out.shape[i];
        REQUIRE(values > 0);
        if (values <= 1 << 16) {
            out.data = malloc((size_t)values * sizeof(float));
            REQUIRE(out.data);
            sane(sslcv_augmenter_apply(augmenter, &image, r->flags, 0, 0, view, &out));
            free(out.data);
        }
    }
    sslcv_augmenter_destroy(augmenter);
}

/* ---- training ---- */

static void fix_trainer_options(void *options, const rig *r)
{
    static sslcv_schedule rate;
    sslcv_trainer_options *o = options;

    rate = world_rate();
    o->dataset = r->flags & 1 ? NULL : world_dataset(r->context);
    o->augmenter = r->flags & 2 ? NULL : world_augmenter(r->context);
    o->optimizer = r->flags & 4 ? NULL : world_optimizer(r->context);
    o->learning_rate = r->flags & 8 ? NULL : &rate;
    o->weight_decay = r->flags & 16 ? &rate : NULL;
    o->ema_momentum = r->flags & 32 ? &rate : NULL;
    o->checkpoint_path = NULL;
    if (r->flags & 64) o->batch_size = 2;
}

static void drop_trainer_options(void *options)
{
    const sslcv_trainer_options *o = options;

    sslcv_dataset_destroy(o->dataset);
    sslcv_augmenter_destroy(o->augmenter);
    sslcv_optimizer_destroy(o->optimizer);
}

INIT(trainer_options)

/** With SimCLR's loss on its branch. */
static void train(sslcv_trainer *trainer, const sslcv_branch *branch, const rig *r)
{
    const int64_t first = 0;
    sslcv_memory held = {.struct_size = sizeof held};
    sslcv_progress progress = {.struct_size = sizeof progress};
    sslcv_loss *loss;
    int64_t needed;
    int i;

    if (!sane(sslcv_trainer_add_branch(trainer, branch, NULL))) return;
    MUST(sslcv_loss_create_info_nce(r->context, NULL, &loss));
    MUST(sslcv_trainer_add_loss(trainer, loss, &first, 1, 1, NULL));
    sslcv_loss_destroy(loss);
    sane(sslcv_trainer_get_memory(trainer, &held));
    for (i = 0; i < 2; i++) sane(sslcv_trainer_step(trainer, &progress));
    MUST(sslcv_trainer_describe(trainer, NULL, 0, &needed));
}

static void use_trainer_options(const void *options, const rig *r)
{
    static const int64_t views[2] = {0, 1};
    sslcv_head *head = world_head(r->context);
    sslcv_trainer *trainer = NULL;
    sslcv_branch branch;
    sslcv_status status;

    MUST(sslcv_branch_init(&branch, sizeof branch));
    branch.views = views;
    branch.num_views = 2;
    branch.heads = &head;
    branch.num_heads = 1;
    status = sslcv_trainer_create(r->context, options, &trainer);
    check_out(status, trainer);
    if (trainer) train(trainer, &branch, r);
    sslcv_trainer_destroy(trainer);
    sslcv_head_destroy(head);
}

static sslcv_trainer *make_trainer(const rig *r)
{
    const sslcv_schedule rate = world_rate();
    sslcv_trainer_options options = world_trainer_options(&rate);
    sslcv_trainer *trainer;

    options.dataset = world_dataset(r->context);
    options.augmenter = world_augmenter(r->context);
    options.optimizer = world_optimizer(r->context);
    MUST(sslcv_trainer_create(r->context, &options, &trainer));
    drop_trainer_options(&options);
    return trainer;
}

static void fix_branch(void *options, const rig *r)
{
    static const int64_t views[3] = {0, 1, 7};
    static sslcv_head *heads[2];
    sslcv_branch *o = options;

    heads[0] = heads[1] = r->flags & 1 ? NULL : world_head(r->context);
    o->views = views;
    if (o->num_views > 3) o->num_views = 3;
    if (r->flags & 2) o->num_views = 2;
    o->backbone = NULL;
    o->heads = heads;
    o->num_heads = r->flags & 4 && o->num_heads < 2 ? o->num_heads : 1;
    o->stage = r->flags & 8 ? "layer9" : NULL;
}

static void drop_branch(void *options)
{
    sslcv_head_destroy(((sslcv_branch *)options)->heads[0]);
}

INIT(branch)

static void use_branch(const void *options, const rig *r)
{
    sslcv_trainer *trainer = make_trainer(r);

    train(trainer, options, r);
    sslcv_trainer_destroy(trainer);
}

static void fix_view_batch(void *options, const rig *r)
{
    static float pixels[6 * WORLD_SIDE * WORLD_SIDE], rows[6 * WORLD_DIM];
    static const int64_t numbers[6] = {0, 1, 2, 0, 1, 2}, patches[2] = {2, 1};
    static const int64_t images[4] = {6, 1, WORLD_SIDE, WORLD_SIDE}, classes[2] = {6, WORLD_DIM};
    static sslcv_tensor views[2], targets;
    sslcv_view_batch *o = options;
    size_t i;

    for (i = 0; i < sizeof pixels / sizeof *pixels; i++) pixels[i] = (float)(i * 7 % 13) / 8;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) rows[i] = (float)(i % 3) / 2;
    for (i = 0; i < 2; i++) MUST(sslcv_tensor_init(&views[i], SSLCV_F32, pixels, 4, images));
    MUST(sslcv_tensor_init(&targets, SSLCV_F32, rows, 2, classes));
    if (r->flags & 4) targets.shape[0] = 5;
    o->views = r->flags & 1 ? views : NULL;
    o->num_views = o->num_views > 2 || r->flags & 2 ? 2 : o->num_views;
    o->patches = r->flags & 8 ? patches : NULL;
    o->ids = numbers;
    o->labels = r->flags & 16 ? NULL : numbers;
    o->targets = r->flags & 32 ? &targets : NULL;
}

INIT(view_batch)

static void use_view_batch(const void *options, const rig *r)
{
    static const int64_t view = 0, first = 0;
    sslcv_progress progress = {.struct_size = sizeof progress};
    sslcv_trainer *trainer = make_trainer(r);
    sslcv_head *head = world_head(r->context);
    sslcv_loss *loss;
    sslcv_branch branch;
    int i;

    MUST(r->flags & 64 ? sslcv_loss_create_binary_cross_entropy(r->context, NULL, &loss)
                       : sslcv_loss_create_cross_entropy(r->context, NULL, &loss));
    MUST(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.heads = &head;
    branch.num_heads = 1;
    MUST(sslcv_trainer_add_branch(trainer, &branch, NULL));
    MUST(sslcv_trainer_add_loss(trainer, loss, &first, 1, 1, NULL));
    for (i = 0; i < 2; i++) sane(sslcv_trainer_step_views(trainer, options, &progress));
    sslcv_trainer_destroy(trainer);
    sslcv_loss_destroy(loss);
    sslcv_head_destroy(head);
}

static int32_t call(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)trainer;
    (void)progress;
    return refuse(user);
}

static void fix_hook(void *options, const rig *r)
{
    sslcv_hook *o = options;

    o->user = NULL;
    o->call = r->flags & 1 ? NULL : call;
    o->destroy = NULL;
}

INIT(hook)

static void use_hook(const void *options, const rig *r)
{
    sslcv_trainer *trainer = make_trainer(r);

    sane(sslcv_trainer_add_hook(trainer, options));
    sslcv_trainer_destroy(trainer);
}

static void fix_method_options(void *options, const rig *r)
{
    sslcv_method_options *o = options;

    o->dataset = NULL;
    o->backbones = NULL;
    o->augmenter = NULL;
    o->preset = r->flags & 1 ? "imagenet" : NULL;
    o->settings = "steps_per_epoch=2 epochs=1 batch=2 size=16 classes=2 bank_size=8";
    o->checkpoint_path = NULL;
}

INIT(method_options)

static void use_method_options(const void *options, const rig *r)
{
    sslcv_trainer *trainer = NULL;
    sslcv_status status;

    status = sslcv_method_create(r->context, sslcv_method_name((int64_t)(r->flags >> 1 & 15)), options, &trainer);
    check_out(status, trainer);
    sslcv_trainer_destroy(trainer);
}

static void fix_pass(void *options, const rig *r)
{
    ((sslcv_pass *)options)->stage = r->flags & 1 ? "layer1" : NULL;
}

INIT(pass)

static void use_pass(const void *options, const rig *r)
{
    static float rows[6 * WORLD_SIDE * WORLD_SIDE];
    static const int64_t shape[2] = {6, WORLD_SIDE * WORLD_SIDE};
    sslcv_head *head = world_head(r->context);
    sslcv_tape *tape;
    sslcv_tensor input, output;
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) rows[i] = (float)(i * 7 % 13);
    MUST(sslcv_tensor_init(&input, SSLCV_F32, rows, 2, shape));
    MUST(sslcv_tape_create(r->context, &tape));
    if (sane(sslcv_head_forward(head, &input, options, tape))) {
        MUST(sslcv_tape_output(tape, &output));
        sane(sslcv_tape_backward(tape, &output));
    }
    sslcv_tape_destroy(tape);
    sslcv_head_destroy(head);
}

#endif
