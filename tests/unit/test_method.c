/* Recipes: against the same trainer composed by hand and the same loop without a trainer. */
#include "method_support.h"

/* ---- what a run leaves: losses of all steps and the backbone, bit for bit ---- */

typedef struct trace {
    double losses[STEPS];
    float *weights;
    int64_t count;
} trace;

static void read_backbone(sslcv_backbone *backbone, trace *t)
{
    sslcv_state *state;

    OK(sslcv_backbone_get_state(backbone, &state));
    OK(sslcv_state_get_flat(state, SSLCV_ROLE_ALL, NULL, 0, &t->count));
    t->weights = malloc((size_t)t->count * sizeof *t->weights);
    OK(sslcv_state_get_flat(state, SSLCV_ROLE_ALL, t->weights, t->count, NULL));
    sslcv_state_destroy(state);
}

static void run_trainer(sslcv_trainer *trainer, trace *t)
{
    sslcv_backbone *backbone;
    sslcv_progress progress;
    int i;

    progress.struct_size = sizeof progress;
    for (i = 0; i < STEPS; i++) {
        OK(sslcv_trainer_step(trainer, &progress));
        t->losses[i] = progress.loss;
    }
    OK(sslcv_trainer_get_backbone(trainer, 0, 0, &backbone));
    read_backbone(backbone, t);
    sslcv_backbone_destroy(backbone);
}

static void check_same(trace *a, trace *b)
{
    int i;

    for (i = 0; i < STEPS; i++) {
        ck_assert_msg(a->losses[i] == b->losses[i], "step %d: %.17g, not %.17g", i, a->losses[i], b->losses[i]);
    }
    ck_assert_int_eq(a->count, b->count);
    ck_assert_mem_eq(a->weights, b->weights, (size_t)a->count * sizeof *a->weights);
    free(b->weights);
    b->weights = NULL;
}

/* ---- the parts of SimCLR by hand ---- */

typedef struct parts {
    sslcv_dataset *dataset;
    sslcv_augmenter *augmenter;
    sslcv_backbone *backbone;
    sslcv_head *head;
    sslcv_loss *loss;
    sslcv_optimizer *optimizer;
    sslcv_schedule rate;
} parts;

static void make_parts(sslcv_context *context, uint64_t seed, parts *p)
{
    sslcv_backbone_options net;
    sslcv_backbone_info info;
    sslcv_mlp_options mlp;
    sslcv_info_nce_options nce;
    sslcv_optimizer_options sgd;

    p->dataset = make_dataset(context, 3, 1);
    OK(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
    net.stem = SSLCV_STEM_CIFAR;
    net.zero_init_residual = 0;
    net.width = 0.125;
    net.seed = seed;
    OK(sslcv_backbone_create(context, &net, &p->backbone));
    info.struct_size = sizeof info;
    OK(sslcv_backbone_get_info(p->backbone, &info));
    OK(sslcv_mlp_options_init(&mlp, sizeof mlp));
    mlp.in_dim = info.feature_dim;
    mlp.out_dim = DIM;
    mlp.bias = mlp.last_bias = 0;
    mlp.last_norm = SSLCV_LAST_NORM_BATCH;
    mlp.seed = seed ? seed + 1 : 0;
    OK(sslcv_head_create_mlp(context, &mlp, &p->head));
    OK(sslcv_info_nce_options_init(&nce, sizeof nce));
    nce.temperature = 0.5;
    OK(sslcv_loss_create_info_nce(context, &nce, &p->loss));
    OK(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    sgd.weight_decay = 5e-4;
    OK(sslcv_optimizer_create(context, &sgd, &p->optimizer));
    OK(sslcv_schedule_init(&p->rate, sizeof p->rate, SSLCV_SCHEDULE_COSINE, 0.06 * BATCH / 128));
    p->rate.by_epoch = 1;
    OK(sslcv_augmenter_create(context, &p->augmenter));
    OK(sslcv_augmenter_add_preset(p->augmenter, "simclr-cifar", SIDE, NULL, NULL));
}

static void free_parts(parts *p)
{
    sslcv_dataset_destroy(p->dataset);
    sslcv_augmenter_destroy(p->augmenter);
    sslcv_backbone_destroy(p->backbone);
    sslcv_head_destroy(p->head);
    sslcv_loss_destroy(p->loss);
    sslcv_optimizer_destroy(p->optimizer);
}

static void run_composed(sslcv_context *context, uint64_t seed, trace *t)
{
    static const int64_t views[] = {0, 1};
    sslcv_trainer_options o;
    sslcv_trainer *trainer;
    sslcv_branch branch;
    int64_t input;
    parts p;

    make_parts(context, seed, &p);
    OK(sslcv_trainer_options_init(&o, sizeof o));
    o.dataset = p.dataset;
    o.augmenter = p.augmenter;
    o.optimizer = p.optimizer;
    o.learning_rate = &p.rate;
    o.batch_size = BATCH;
    o.epochs = EPOCHS;
    o.seed = seed ? seed + 2 : 0;
    OK(sslcv_trainer_create(context, &o, &trainer));
    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = views;
    branch.num_views = 2;
    branch.backbone = p.backbone;
    branch.heads = &p.head;
    branch.num_heads = 1;
    OK(sslcv_trainer_add_branch(trainer, &branch, &input));
    OK(sslcv_trainer_add_loss(trainer, p.loss, &input, 1, 1.0, NULL));
    free_parts(&p);
    run_trainer(trainer, t);
    sslcv_trainer_destroy(trainer);
}

/* One step without a trainer. */
static double step_by_hand(const parts *p, sslcv_loader *loader, sslcv_tape *tapes[2], int64_t step)
{
    static const int64_t views[] = {0, 1};
    static float gradient[2 * BATCH * DIM];
    const int64_t shape[3] = {2, BATCH, DIM};
    sslcv_tensor images, features, rows, z, diff, diff_features;
    sslcv_loss_call call;
    sslcv_batch batch;
    double rate;

    batch.struct_size = sizeof batch;
    OK(sslcv_loader_next(loader, &batch));
    if (batch.index == 0) OK(sslcv_loss_begin_epoch(p->loss, batch.epoch));
    OK(sslcv_loader_get_views(loader, views, 2, &images));
    OK(sslcv_backbone_forward(p->backbone, &images, NULL, tapes[0]));
    OK(sslcv_tape_output(tapes[0], &features));
    OK(sslcv_head_forward(p->head, &features, NULL, tapes[1]));
    OK(sslcv_tape_output(tapes[1], &rows));
    OK(sslcv_tensor_init(&z, SSLCV_F32, rows.data, 3, shape));
    OK(sslcv_tensor_init(&diff, SSLCV_F32, gradient, 3, shape));
    OK(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = &z;
    call.diff_inputs = &diff;
    call.num_inputs = 1;
    call.ids = batch.ids;
    call.step = step;
    call.epoch = batch.epoch;
    OK(sslcv_loss_compute(p->loss, &call));
    OK(sslcv_tape_backward(tapes[1], &diff));
    OK(sslcv_tape_diff_input(tapes[1], &diff_features));
    OK(sslcv_tape_backward(tapes[0], &diff_features));
    OK(sslcv_schedule_value(&p->rate, step, batch.count, EPOCHS, &rate));
    OK(sslcv_optimizer_step(p->optimizer, rate, -1.0));
    return call.value;
}

static void run_by_hand(sslcv_context *context, uint64_t seed, trace *t)
{
    sslcv_loader_options o;
    sslcv_loader *loader;
    sslcv_state *states[2];
    sslcv_tape *tapes[2];
    parts p;
    int i;

    make_parts(context, seed, &p);
    OK(sslcv_backbone_get_state(p.backbone, &states[0]));
    OK(sslcv_head_get_state(p.head, &states[1]));
    for (i = 0; i < 2; i++) {
        OK(sslcv_optimizer_add(p.optimizer, states[i], SSLCV_ROLE_PARAMETERS, NULL));
        OK(sslcv_tape_create(context, &tapes[i]));
        sslcv_state_destroy(states[i]);
    }
    OK(sslcv_loader_options_init(&o, sizeof o));
    o.dataset = p.dataset;
    o.augmenter = p.augmenter;
    o.batch_size = BATCH;
    o.seed = seed ? seed + 2 : 0;
    OK(sslcv_loader_create(context, &o, &loader));
    for (i = 0; i < STEPS; i++) t->losses[i] = step_by_hand(&p, loader, tapes, i);
    read_backbone(p.backbone, t);
    sslcv_loader_destroy(loader);
    sslcv_tape_destroy(tapes[0]);
    sslcv_tape_destroy(tapes[1]);
    free_parts(&p);
}

/* Seeds given, or all drawn from the context: in the same order on all three levels. */
START_TEST(test_three_levels)
{
    const uint64_t seed = _i ? 0 : 21;
    const int32_t threads = _i ? 1 : 2;
    trace recipe, composed, by_hand;
    sslcv_context *context = make_context(threads);
    sslcv_dataset *dataset = make_dataset(context, 3, 1);
    sslcv_trainer *trainer;

    OK(make_method(context, "simclr", dataset, NULL, small, seed, &trainer));
    sslcv_dataset_destroy(dataset);
    run_trainer(trainer, &recipe);
    sslcv_trainer_destroy(trainer);
    sslcv_context_destroy(context);

    context = make_context(threads);
    run_composed(context, seed, &composed);
    check_same(&recipe, &composed);
    sslcv_context_destroy(context);

    context = make_context(threads);
    run_by_hand(context, seed, &by_hand);
    check_same(&recipe, &by_hand);
    sslcv_context_destroy(context);
    free(recipe.weights);
}
END_TEST

START_TEST(test_supervised)
{
    sslcv_context *context = make_context(1);
    sslcv_dataset *dataset = make_dataset(context, 3, 1), *blind = make_dataset(context, 3, 0);
    const char *settings = "batch=8 epochs=12 size=16 width=0.125 learning_rate=0.8 warmup_epochs=1";
    sslcv_progress progress;
    sslcv_trainer *trainer = NULL;
    const char *name;
    double losses[12] = {0}, value;
    int i;

    OK(make_method(context, "supervised", dataset, NULL, settings, 1, &trainer));
    progress.struct_size = sizeof progress;
    for (i = 0; i < 36; i++) {
        OK(sslcv_trainer_step(trainer, &progress));
        losses[i / 3] += progress.loss / 3.0; /* of an epoch */
        if (i == 0) ck_assert(progress.learning_rate == 0.0);
    }
    CLOSE(losses[0], log(CLASSES), 0.6);
    ck_assert_msg(losses[11] < 0.7 * losses[0], "from %g to %g", losses[0], losses[11]);
    OK(sslcv_trainer_get_metric(trainer, 2, &name, &value));
    ck_assert_str_eq(name, "loss.0.top1");
    ck_assert(value >= 0.0 && value <= 1.0);
    sslcv_trainer_destroy(trainer);

    trainer = NULL;
    FAILS(make_method(context, "supervised", blind, NULL, settings, 1, &trainer), SSLCV_ERR_LIMIT,
          "the data set has no labels");
    FAILS(make_method(context, "supervised", dataset, NULL, "batch=8 classes=3", 1, &trainer), SSLCV_ERR_LIMIT,
          "supervised.classes is 3; the data set has 4");
    FAILS(make_method(context, "supervised", NULL, NULL, "steps_per_epoch=2", 1, &trainer), SSLCV_ERR_INVALID_ARGUMENT,
          "supervised.classes is 0");
    ck_assert(trainer == NULL);
    sslcv_dataset_destroy(blind);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(test_memory_settings)
{
    sslcv_context *context = make_context(1);
    sslcv_dataset *dataset = make_dataset(context, 3, 1);
    sslcv_memory memory = {.struct_size = sizeof memory};
    sslcv_trainer *trainer;

    OK(make_method(context, "simclr", dataset, "cifar",
                   "batch=8 epochs=2 size=32 width=0.0625 architecture=resnet18 memory_budget=1", 1, &trainer));
    FAILS(sslcv_trainer_get_memory(trainer, &memory), SSLCV_ERR_LIMIT, "trainer.memory_budget is 1048576 bytes");
    sslcv_trainer_destroy(trainer);
    OK(make_method(context, "simclr", dataset, "cifar",
                   "batch=8 epochs=2 size=32 width=0.0625 architecture=resnet18 micro_batch=4", 1, &trainer));
    OK(sslcv_trainer_get_memory(trainer, &memory));
    ck_assert_int_eq(memory.micro_batch, 4);
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
}
END_TEST

/* Both presets, both methods: networks as published, sizes overridden so that it fits a test. */
START_TEST(test_presets)
{
    sslcv_context *context = make_context(1);
    sslcv_dataset *dataset = make_dataset(context, 3, 1);
    const char *settings = "batch=8 epochs=20 size=32 width=0.0625 architecture=resnet18 prefetch=0";
    sslcv_progress progress;
    sslcv_trainer *trainer;
    sslcv_head *head;
    sslcv_head_info info;
    char text[4096];
    int i;

    progress.struct_size = sizeof progress;
    OK(make_method(context, "simclr", dataset, "imagenet", settings, 1, &trainer));
    OK(sslcv_trainer_describe(trainer, text, sizeof text, NULL));
    ck_assert_msg(strstr(text, "learning rate: cosine from 0.009375 to 0, after a warm-up of 10 epochs\n") != NULL,
                  "%s", text);
    OK(sslcv_trainer_step(trainer, &progress));
    ck_assert(progress.learning_rate == 0.0);
    OK(sslcv_trainer_step(trainer, &progress));
    CLOSE(progress.learning_rate, 0.3 * BATCH / 256 / 30, 1e-12);
    OK(sslcv_trainer_get_head(trainer, 0, 0, 0, &head));
    info.struct_size = sizeof info;
    OK(sslcv_head_get_info(head, &info));
    /* 32 -> 32 -> 32 -> 128 without biases; two norms of two, one of scale alone */
    ck_assert_int_eq(info.num_parameters, 32 * 32 * 2 + 32 * 128 + 2 * 2 * 32 + 128);
    sslcv_head_destroy(head);
    sslcv_trainer_destroy(trainer);

    OK(make_method(context, "supervised", dataset, "imagenet",
                   "batch=8 epochs=9 size=32 width=0.0625 architecture=resnet18", 1, &trainer));
    for (i = 0; i < 10; i++) {
        OK(sslcv_trainer_step(trainer, &progress));
        CLOSE(progress.learning_rate, (i < 9 ? 0.1 : 0.01) * BATCH / 256, 1e-12);
    }
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(test_channels_of_the_data)
{
    sslcv_context *context = make_context(1);
    sslcv_dataset *grey = make_dataset(context, 1, 0);
    sslcv_backbone *backbone;
    sslcv_backbone_info info;
    sslcv_trainer *trainer;

    OK(make_method(context, "simclr", grey, NULL, small, 1, &trainer));
    OK(sslcv_trainer_get_backbone(trainer, 0, 0, &backbone));
    info.struct_size = sizeof info;
    OK(sslcv_backbone_get_info(backbone, &info));
    ck_assert_int_eq(info.channels, 1);
    OK(sslcv_trainer_run(trainer, 1));
    sslcv_backbone_destroy(backbone);
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(grey);
    sslcv_context_destroy(context);
}
END_TEST

/* Parts of the host's; settings that they make void are refused. */
START_TEST(test_given_parts)
{
    sslcv_context *context = make_context(1);
    sslcv_method_options o;
    sslcv_trainer *trainer = NULL;
    sslcv_backbone *backbone;
    parts p;

    make_parts(context, 4, &p);
    OK(sslcv_method_options_init(&o, sizeof o));
    o.dataset = p.dataset;
    o.backbones = &p.backbone;
    o.num_backbones = 1;
    o.augmenter = p.augmenter;
    o.settings = "batch=8 epochs=1";
    OK(sslcv_method_create(context, "simclr", &o, &trainer));
    OK(sslcv_trainer_get_backbone(trainer, 0, 0, &backbone));
    ck_assert(backbone == p.backbone);
    sslcv_backbone_destroy(backbone);
    OK(sslcv_trainer_run(trainer, 0));
    sslcv_trainer_destroy(trainer);
    trainer = NULL;
    o.settings = "batch=8 width=2";
    FAILS(sslcv_method_create(context, "simclr", &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT,
          "simclr.width is set, but the backbone is given");
    o.settings = "batch=8 size=24";
    FAILS(sslcv_method_create(context, "simclr", &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT,
          "simclr.size is set, but the augmenter is given");
    o.settings = "batch=8";
    o.num_backbones = 2;
    FAILS(sslcv_method_create(context, "simclr", &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT, "num_backbones is 2");
    o.num_backbones = 1;
    o.backbones = NULL;
    FAILS(sslcv_method_create(context, "simclr", &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT, "backbones is NULL");
    ck_assert(trainer == NULL);
    free_parts(&p);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(test_without_data)
{
    static float pixels[BATCH * 3 * SIDE * SIDE];
    const int64_t shape[4] = {BATCH, 3, SIDE, SIDE};
    sslcv_context *context = make_context(1);
    sslcv_trainer *trainer = NULL;
    sslcv_tensor views[2];
    int i;

    for (i = 0; i < 2; i++) OK(sslcv_tensor_init(&views[i], SSLCV_F32, pixels, 4, shape));
    golden_input(1, BATCH * 3 * SIDE * SIDE, pixels);
    FAILS(make_method(context, "simclr", NULL, NULL, small, 1, &trainer), SSLCV_ERR_INVALID_ARGUMENT,
          "trainer.steps_per_epoch is 0");
    OK(make_method(context, "simclr", NULL, NULL, "epochs=1 steps_per_epoch=2 width=0.125", 1, &trainer));
    OK(step_views(trainer, views, 2, NULL));
    OK(step_views(trainer, views, 2, NULL));
    FAILS(step_views(trainer, views, 2, NULL), SSLCV_ERR_STATE, "all 1 epochs are done");
    sslcv_trainer_destroy(trainer);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("method");
    TCase *runs = tcase_create("runs");

    tcase_set_timeout(runs, 60);
    tcase_add_loop_test(runs, test_three_levels, 0, 2);
    tcase_add_test(runs, test_supervised);
    tcase_add_test(runs, test_presets);
    tcase_add_test(runs, test_memory_settings);
    tcase_add_test(runs, test_channels_of_the_data);
    tcase_add_test(runs, test_given_parts);
    tcase_add_test(runs, test_without_data);
    suite_add_tcase(suite, runs);
    return run_suite(suite);
}
