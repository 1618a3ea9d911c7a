/* MoCo v1 and v2: composition, groups, how keys move, their queue, against the same composed by hand. */
#include "recipe_support.h"

static const char small_moco[] = TINY " epochs=4 queue_size=24 out_dim=16 bn_splits=2";

START_TEST(test_v1)
{
    static const treatment all[] = {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 21},
                                    {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 40},
                                    {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 0, 1},
                                    {0}};
    static const char *const texts[] = {"backbone 0: 3 channels -> 32, 44292 parameters\n"
                                        "head 0: mlp 32 -> 128, 4224 parameters\n" /* 32 x 128 and biases */
                                        "learning rate: cosine from 0.0009375 to 0, by epoch\n"
                                        "momentum copies, before the branches: constant from 0.99\n"
                                        "run: 200 epochs of 3 steps of 8 images\n",
                                        "backbone 0: 3 channels -> 32, 44772 parameters\n"
                                        "head 0: mlp 32 -> 128, 4224 parameters\n"
                                        "learning rate: steps from 0.0009375, by epoch\n"
                                        "momentum copies, before the branches: constant from 0.999\n"
                                        "run: 200 epochs of 3 steps of 8 images\n"};
    char text[2048];
    rig r = make_recipe("moco-v1", _i ? "imagenet" : "cifar", TINY);

    snprintf(text, sizeof text, "%s%s",
             "branch 0: view 0 -> backbone 0 (by view) -> head 0 (mlp 32-128, by view), batch norm over 8 groups\n"
             "branch 1: view 1 -> momentum backbone 0 (by view) -> momentum head 0 (mlp 32-128, by view), shuffled, "
             "batch norm over 8 groups\n"
             "loss 0: 1 * info_nce(branch 0, branch 1)\n",
             texts[_i]);
    check_composition(&r, text);
    check_groups(&r, all);
    ck_assert(loss_number(&r, "temperature") == (_i ? 0.07 : 0.1));
    ck_assert_int_eq(r.trainer->options.ema_random_init, 0);
    free_recipe(&r);
}
END_TEST

START_TEST(test_v2)
{
    static const treatment all[] = {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 22},
                                    {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 40},
                                    {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 0, 2},
                                    {0}};
    static const char *const texts[] = {
        "branch 0: views 0,1 -> backbone 0 (by view) -> head 0 (mlp 32-128, by view), batch norm over 8 groups\n"
        "branch 1: views 0,1 -> momentum backbone 0 (by view) -> momentum head 0 (mlp 32-128, by view), shuffled, "
        "batch norm over 8 groups\n"
        "loss 0: 1 * info_nce(branch 0, branch 1)\n"
        "backbone 0: 3 channels -> 32, 44292 parameters\n"
        "head 0: mlp 32 -> 128, 5280 parameters\n" /* 32 x 32 and 32 x 128 with biases, no norm */
        "learning rate: cosine from 0.00375 to 0, by epoch\n"
        "momentum copies, before the branches: constant from 0.99\n"
        "run: 200 epochs of 3 steps of 8 images\n",
        "branch 0: view 0 -> backbone 0 (by view) -> head 0 (mlp 32-128, by view), batch norm over 8 groups\n"
        "branch 1: view 1 -> momentum backbone 0 (by view) -> momentum head 0 (mlp 32-128, by view), shuffled, "
        "batch norm over 8 groups\n"
        "loss 0: 1 * info_nce(branch 0, branch 1)\n"
        "backbone 0: 3 channels -> 32, 44772 parameters\n"
        "head 0: mlp 32 -> 128, 5280 parameters\n"
        "learning rate: cosine from 0.0009375 to 0, by epoch\n"
        "momentum copies, before the branches: constant from 0.999\n"
        "run: 200 epochs of 3 steps of 8 images\n"};
    rig r = make_recipe("moco-v2", _i ? "imagenet" : "cifar", TINY);

    check_composition(&r, texts[_i]);
    check_groups(&r, all);
    ck_assert(loss_number(&r, "temperature") == (_i ? 0.2 : 0.1));
    free_recipe(&r);
}
END_TEST

/* v1 on ImageNet: tenths at 120 and 160 of 200 epochs. */
START_TEST(test_rate_steps)
{
    rig r = make_recipe("moco-v1", "imagenet", TINY " epochs=200 queue_size=24 weight_decay=0.25 momentum=0.5");
    const sslcv_schedule *rate = &r.trainer->learning_rate;
    const sslcv_optimizer_options *sgd = &r.trainer->options.optimizer->options;
    double value;

    ck_assert_int_eq(sgd->kind, SSLCV_OPTIMIZER_SGD);
    ck_assert(sgd->weight_decay == 0.25 && sgd->momentum == 0.5);
    OK(sslcv_schedule_value(rate, 119 * 3 + 2, 3, 200, &value));
    CLOSE(value, 0.03 * BATCH / 256, 1e-15);
    OK(sslcv_schedule_value(rate, 120 * 3, 3, 200, &value));
    CLOSE(value, 0.003 * BATCH / 256, 1e-15);
    OK(sslcv_schedule_value(rate, 160 * 3, 3, 200, &value));
    CLOSE(value, 0.0003 * BATCH / 256, 1e-15);
    free_recipe(&r);
}
END_TEST

/* With momentum 1 the key network stays, with 0 it is the query network of before the step;
   its running statistics are its own in either case. */
START_TEST(test_keys_move)
{
    const double momentum = _i;
    char settings[256];
    weights before;
    rig r;
    int i;

    snprintf(settings, sizeof settings, "%s ema_momentum=%d", small_moco, _i);
    r = make_recipe("moco-v2", NULL, settings);
    ck_assert(
        equal(read_prefix(&r, "backbone.", SSLCV_ROLE_ALL), read_prefix(&r, "momentum.backbone.", SSLCV_ROLE_ALL)));
    ck_assert(equal(read_prefix(&r, "head.", SSLCV_ROLE_ALL), read_prefix(&r, "momentum.head.", SSLCV_ROLE_ALL)));
    for (i = 0; i < 3; i++) {
        const weights statistics = read_prefix(&r, "momentum.backbone.", SSLCV_ROLE_BUFFER);

        before = read_prefix(&r, momentum == 1.0 ? "momentum.backbone." : "backbone.", SSLCV_ROLE_PARAMETERS);
        step(&r);
        ck_assert(equal(before, read_prefix(&r, "momentum.backbone.", SSLCV_ROLE_PARAMETERS)));
        ck_assert(!equal(statistics, read_prefix(&r, "momentum.backbone.", SSLCV_ROLE_BUFFER)));
        ck_assert(metric(&r, "ema_momentum") == momentum);
    }
    ck_assert(!equal(read_prefix(&r, "backbone.", SSLCV_ROLE_BUFFER),
                     read_prefix(&r, "momentum.backbone.", SSLCV_ROLE_BUFFER)));
    ck_assert(!equal(read_prefix(&r, "backbone.", SSLCV_ROLE_PARAMETERS),
                     read_prefix(&r, "momentum.backbone.", SSLCV_ROLE_PARAMETERS)));
    free_recipe(&r);
}
END_TEST

/* Keys of one view, or of both, take the queue's rows from 0 on. */
START_TEST(test_queue)
{
    static const struct {
        const char *symmetric;
        int64_t keys;
    } cases[] = {{"no", BATCH}, {"mean", 2 * BATCH}, {"sum", 2 * BATCH}};
    const int64_t keys = cases[_i].keys;
    char settings[256];
    weights queue, after;
    rig r;

    snprintf(settings, sizeof settings, "%s symmetric=%s", small_moco, cases[_i].symmetric);
    r = make_recipe(_i == 2 ? "moco-v1" : "moco-v2", NULL, settings);
    queue = read_tensor(&r, "loss.0.queue");
    ck_assert_int_eq(queue.count, 24 * 16);
    step(&r);
    after = read_tensor(&r, "loss.0.queue");
    ck_assert(memcmp(queue.values, after.values, (size_t)keys * 16 * sizeof(float)) != 0);
    ck_assert_mem_eq(queue.values + keys * 16, after.values + keys * 16, (size_t)(24 - keys) * 16 * sizeof(float));
    free(queue.values);
    free(after.values);
    free_recipe(&r);
}
END_TEST

/* Both directions summed are twice their mean; their mean is not one direction. */
START_TEST(test_symmetric)
{
    static const char *const words[] = {"no", "mean", "sum"};
    char settings[256];
    double losses[3];
    rig r;
    int i;

    for (i = 0; i < 3; i++) {
        snprintf(settings, sizeof settings, "%s symmetric=%s", small_moco, words[i]);
        r = make_recipe("moco-v2", NULL, settings);
        losses[i] = step(&r);
        free_recipe(&r);
    }
    CLOSE(losses[2], 2.0 * losses[1], 1e-6);
    ck_assert(fabs(losses[0] - losses[1]) > 1e-6);
}
END_TEST

/* ---- against the same composed by hand ---- */

typedef struct parts {
    sslcv_augmenter *augmenter;
    sslcv_backbone *backbone;
    sslcv_head *projection;
    sslcv_loss *loss;
    sslcv_optimizer *optimizer;
} parts;

static void make_parts(sslcv_context *context, parts *p)
{
    sslcv_backbone_options net;
    sslcv_mlp_options mlp;
    sslcv_info_nce_options nce;
    sslcv_optimizer_options sgd;

    OK(sslcv_augmenter_create(context, &p->augmenter));
    OK(sslcv_augmenter_add_preset(p->augmenter, "moco-cifar", SIDE, NULL, NULL));
    OK(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
    net.stem = SSLCV_STEM_CIFAR;
    net.zero_init_residual = 0;
    net.width = 0.0625;
    net.seed = 21;
    OK(sslcv_backbone_create(context, &net, &p->backbone));
    OK(sslcv_mlp_options_init(&mlp, sizeof mlp));
    mlp.in_dim = 32;
    mlp.out_dim = 16;
    mlp.norm = SSLCV_NORM_NONE;
    mlp.seed = 22;
    OK(sslcv_head_create_mlp(context, &mlp, &p->projection));
    OK(sslcv_info_nce_options_init(&nce, sizeof nce));
    nce.temperature = 0.1;
    nce.queue_size = 24;
    nce.dim = 16;
    nce.seed = 21 + 16;
    OK(sslcv_loss_create_info_nce(context, &nce, &p->loss));
    OK(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    sgd.weight_decay = 5e-4;
    OK(sslcv_optimizer_create(context, &sgd, &p->optimizer));
}

static void free_parts(parts *p)
{
    sslcv_augmenter_destroy(p->augmenter);
    sslcv_backbone_destroy(p->backbone);
    sslcv_head_destroy(p->projection);
    sslcv_loss_destroy(p->loss);
    sslcv_optimizer_destroy(p->optimizer);
}

static rig compose(const int32_t key_flags)
{
    static const int64_t query_view[] = {0}, key_view[] = {1};
    sslcv_schedule rate, ema;
    sslcv_trainer_options o;
    sslcv_branch b;
    int64_t inputs[2];
    parts p;
    rig r;

    r.context = make_f32_context();
    r.dataset = make_dataset(r.context, 3, 1);
    make_parts(r.context, &p);
    OK(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, 0.06 * BATCH / 128));
    rate.by_epoch = 1;
    OK(sslcv_schedule_init(&ema, sizeof ema, SSLCV_SCHEDULE_CONSTANT, 0.99));
    OK(sslcv_trainer_options_init(&o, sizeof o));
    o.dataset = r.dataset;
    o.augmenter = p.augmenter;
    o.optimizer = p.optimizer;
    o.learning_rate = &rate;
    o.ema_momentum = &ema;
    o.batch_size = BATCH;
    o.epochs = 4;
    o.seed = 23;
    OK(sslcv_trainer_create(r.context, &o, &r.trainer));
    OK(sslcv_branch_init(&b, sizeof b));
    b.views = query_view;
    b.num_views = 1;
    b.backbone = p.backbone;
    b.heads = &p.projection;
    b.num_heads = 1;
    b.bn_splits = 2;
    OK(sslcv_trainer_add_branch(r.trainer, &b, &inputs[0]));
    b.views = key_view;
    b.momentum = 1;
    b.flags = key_flags;
    OK(sslcv_trainer_add_branch(r.trainer, &b, &inputs[1]));
    OK(sslcv_trainer_add_loss(r.trainer, p.loss, inputs, 2, 1.0, NULL));
    free_parts(&p);
    return r;
}

/* Without shuffling the keys are others. */
START_TEST(test_by_hand)
{
    char settings[256];
    double losses[5], unshuffled = 0.0;
    rig r, hand = compose(SSLCV_PASS_TRAIN | SSLCV_PASS_SHUFFLE), plain = compose(SSLCV_PASS_TRAIN);
    int i;

    snprintf(settings, sizeof settings, "%s symmetric=no", small_moco);
    r = make_recipe("moco-v2", NULL, settings);
    for (i = 0; i < 5; i++) losses[i] = step(&r);
    for (i = 0; i < 5; i++) {
        ck_assert(step(&hand) == losses[i]);
        unshuffled += fabs(step(&plain) - losses[i]);
    }
    ck_assert(equal(read_prefix(&r, "", SSLCV_ROLE_ALL), read_prefix(&hand, "", SSLCV_ROLE_ALL)));
    ck_assert(unshuffled > 1e-4);
    free_recipe(&plain);
    free_recipe(&hand);
    free_recipe(&r);
}
END_TEST

START_TEST(test_settings)
{
    rig r = make_recipe("moco-v2", NULL, TINY " queue_size=16 bn_splits=1");
    char text[4096];

    OK(sslcv_trainer_describe(r.trainer, text, sizeof text, NULL));
    ck_assert(strstr(text, "shuffled") == NULL && strstr(text, "groups") == NULL);
    free_recipe(&r);
    refuse("moco-v2", NULL, TINY " queue_size=15", SSLCV_ERR_LIMIT,
           "moco-v2.queue_size is 15; must be at least 16, the keys of a step");
    refuse("moco-v1", NULL, TINY " queue_size=7", SSLCV_ERR_LIMIT,
           "moco-v1.queue_size is 7; must be at least 8, the keys of a step");
    refuse("moco-v1", NULL, TINY " queue_size=0", SSLCV_ERR_INVALID_ARGUMENT, "moco-v1.queue_size is \"0\"");
    refuse("moco-v2", NULL, TINY " bn_splits=3", SSLCV_ERR_LIMIT,
           "moco-v2.bn_splits is 3; must divide the batch, which is 8");
    refuse("moco-v2", NULL, TINY " symmetric=yes", SSLCV_ERR_INVALID_ARGUMENT, "must be one of no, mean, sum");
    refuse("moco-v2", NULL, TINY " ema_momentum=1.5", SSLCV_ERR_INVALID_ARGUMENT, "moco-v2.ema_momentum is \"1.5\"");
    refuse("moco-v1", NULL, TINY " hidden_dim=4", SSLCV_ERR_NOT_FOUND, "\"moco-v1\" has no setting \"hidden_dim\"");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_moco");
    TCase *moco = tcase_create("moco");

    tcase_set_timeout(moco, 60);
    tcase_add_loop_test(moco, test_v1, 0, 2);
    tcase_add_loop_test(moco, test_v2, 0, 2);
    tcase_add_test(moco, test_rate_steps);
    tcase_add_loop_test(moco, test_keys_move, 0, 2);
    tcase_add_loop_test(moco, test_queue, 0, 3);
    tcase_add_test(moco, test_symmetric);
    tcase_add_test(moco, test_by_hand);
    tcase_add_test(moco, test_settings);
    suite_add_tcase(suite, moco);
    return run_suite(suite);
}
