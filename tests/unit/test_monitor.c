/* Monitors of pre-training, on any labelled set and at any interval, leave its bits alone. */
#include "recipe_support.h"

#include "eval/minimize.h"

/* Coarser noise than the training set's, and half the samples without a label. */
static sslcv_dataset *make_other_set(sslcv_context *context)
{
    static float images[SAMPLES * 3 * SIDE * SIDE];
    const int64_t shape[4] = {SAMPLES, 3, SIDE, SIDE}, pixels = 3 * SIDE * SIDE;
    int64_t labels[SAMPLES], i;
    sslcv_dataset_options o;
    sslcv_dataset *dataset;
    sslcv_tensor tensor;

    golden_input(17, SAMPLES * pixels, images);
    for (i = 0; i < SAMPLES * pixels; i++) images[i] = 0.5f + 0.8f * images[i];
    for (i = 0; i < SAMPLES; i++) labels[i] = i % 2 ? i / 2 % 3 : -1;
    OK(sslcv_dataset_options_init(&o, sizeof o, SSLCV_DATASET_LIST));
    o.num_classes = 3;
    OK(sslcv_dataset_create(context, &o, &dataset));
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, images, 4, shape));
    OK(sslcv_dataset_add_images(dataset, &tensor, labels, NULL));
    return dataset;
}

/* Probes of all kinds with seeds from the context; of the trainer's own network, and judged on another data set. */
static void add_probes(rig *r, int64_t epochs)
{
    static const int64_t view = 0;
    static const int32_t kinds[] = {SSLCV_PROBE_KNN, SSLCV_PROBE_LINEAR, SSLCV_PROBE_LOGISTIC};
    static const char *const names[] = {"knn", "linear", "logistic"};
    sslcv_dataset *other = make_other_set(r->context);
    sslcv_embed_options train, test;
    sslcv_augmenter *augmenter;
    sslcv_backbone *backbone;
    sslcv_probe_options o;
    sslcv_probe *probe;
    sslcv_branch branch;
    const sslcv_branch *branches = &branch;
    int i;

    OK(sslcv_augmenter_create(r->context, &augmenter));
    OK(sslcv_augmenter_add_preset(augmenter, "finetune-cifar", SIDE, NULL, NULL)); /* this one draws, too */
    OK(sslcv_trainer_get_backbone(r->trainer, 0, 0, &backbone));
    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.backbone = backbone;
    branch.flags = 0;
    OK(sslcv_embed_options_init(&train, sizeof train));
    train.dataset = other;
    train.augmenter = augmenter;
    train.branches = &branches;
    train.num_branches = 1;
    train.count = SAMPLES / 2;
    test = train;
    test.first = SAMPLES / 2;
    for (i = 0; i < (sslcv__minimize_check() == SSLCV_OK ? 3 : 2); i++) {
        OK(sslcv_probe_options_init(&o, sizeof o, kinds[i]));
        if (kinds[i] == SSLCV_PROBE_KNN) o.neighbors = 3;
        if (kinds[i] == SSLCV_PROBE_LINEAR) o.epochs = 2, o.first_spread = 0.01;
        if (kinds[i] == SSLCV_PROBE_LOGISTIC) o.c_count = 2, o.validation = 0.5;
        OK(sslcv_probe_create(r->context, &o, &probe));
        OK(sslcv_probe_watch(probe, r->trainer, names[i], &train, &test, epochs));
        sslcv_probe_destroy(probe);
    }
    sslcv_backbone_destroy(backbone);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(other);
}

/* An online probe: a classifier on the detached output of the backbone, with the labels of the training set. */
static void add_classifier(rig *r)
{
    sslcv_branch branch;
    sslcv_mlp_options mlp;
    sslcv_head *head;
    sslcv_loss *loss;
    sslcv_backbone *backbone;
    static const int64_t view = 0;
    int64_t index;

    OK(sslcv_mlp_options_init(&mlp, sizeof mlp));
    mlp.num_layers = 1;
    mlp.in_dim = 32;
    mlp.out_dim = CLASSES;
    OK(sslcv_head_create_mlp(r->context, &mlp, &head));
    OK(sslcv_trainer_get_backbone(r->trainer, 0, 0, &backbone));
    OK(sslcv_branch_init(&branch, sizeof branch)); /* evaluated, and without gradient: features of a view */
    branch.views = &view;
    branch.num_views = 1;
    branch.backbone = backbone;
    branch.flags = 0;
    OK(sslcv_trainer_add_branch(r->trainer, &branch, &index));
    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.source = index;
    branch.heads = (sslcv_head *const *)&head;
    branch.num_heads = 1;
    branch.detach = 1;
    OK(sslcv_trainer_add_branch(r->trainer, &branch, &index));
    OK(sslcv_loss_create_cross_entropy(r->context, NULL, &loss));
    OK(sslcv_trainer_add_loss(r->trainer, loss, &index, 1, 1.0, NULL));
    sslcv_loss_destroy(loss);
    sslcv_backbone_destroy(backbone);
    sslcv_head_destroy(head);
}

/* Recipes that draw in as many ways as there are: views, order; queue and split batch norm; prototypes. */
static const char *const methods[][2] = {
    {"simclr", TINY " epochs=3 out_dim=32"},
    {"moco-v2", TINY " epochs=3 out_dim=32 queue_size=48 bn_splits=2"},
    {"swav", TINY " epochs=3 out_dim=32 prototypes=16 queue_size=24 queue_start_epoch=1"},
};

enum { NUM_METHODS = sizeof methods / sizeof methods[0], NUM_MONITORS = 3 };

/* Trained with a monitor (0: none), all seeds from the context. */
static rig train(int method, int monitor)
{
    rig r;

    r.context = make_f32_context();
    r.dataset = make_dataset(r.context, 3, 1);
    OK(make_method(r.context, methods[method][0], r.dataset, NULL, methods[method][1], 0, &r.trainer));
    if (monitor == 1) add_probes(&r, 1);
    if (monitor == 2) add_probes(&r, 2);
    if (monitor == 3) add_classifier(&r);
    OK(sslcv_trainer_run(r.trainer, 0));
    return r;
}

START_TEST(test_leaves_no_trace)
{
    const int method = _i / NUM_MONITORS, monitor = 1 + _i % NUM_MONITORS;
    rig plain = train(method, 0), watched = train(method, monitor);

    ck_assert(equal(read_prefix(&plain, "backbone.0.", SSLCV_ROLE_ALL),
                    read_prefix(&watched, "backbone.0.", SSLCV_ROLE_ALL)));
    ck_assert(equal(read_prefix(&plain, "head.0.", SSLCV_ROLE_ALL), read_prefix(&watched, "head.0.", SSLCV_ROLE_ALL)));
    ck_assert(metric(&plain, "loss.0") == metric(&watched, "loss.0"));
    if (monitor == 3) {
        ck_assert(metric(&watched, "loss.1.top1") >= 0.0);
    } else {
        ck_assert(metric(&watched, "knn.top1") >= 0.0 && metric(&watched, "linear.top1") >= 0.0);
    }
    free_recipe(&plain);
    free_recipe(&watched);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("monitor");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, test_leaves_no_trace, 0, NUM_METHODS * NUM_MONITORS);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
