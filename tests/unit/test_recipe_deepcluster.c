/* DeepCluster: clusters as labels, a top layer that begins anew, Sobel, AlexNet; what it says when it cannot go on. */
#include "deepcluster_support.h"

#include "method/deepcluster.h"

#include <sslcv/probe.h>

#define SMALL TINY " epochs=3 clusters=6"

enum { CLUSTERS = 6 };

/* ---- what is composed ---- */

START_TEST(test_composition)
{
    static const treatment ways[][5] = {{{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 20},
                                         {SSLCV_ROLE_WEIGHT, 1, 0, 10.0, 0, 0, 1},
                                         {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 40},
                                         {SSLCV_ROLE_BIAS, 1, 0, 10.0, 0, 0, 1},
                                         {0}},
                                        {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 8},
                                         {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 10},
                                         {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 0, 8},
                                         {0}}};
    static const char *const settings[] = {TINY " clusters=6",
                                           "batch=8 size=95 width=0.03125 clusters=6 hidden_dim=12 prefetch=0"};
    static const char *const texts[] = {
        "branch 0: view 0 -> backbone 0 (joined) -> head 0 (mlp 32-6, joined)\n"
        "loss 0: 1 * cross_entropy(branch 0)\n"
        "backbone 0: 3 channels -> 32, 44292 parameters\n"
        "head 0: mlp 32 -> 6, 198 parameters\n"
        "learning rate: constant from 0.0015625\n"
        "run: 200 epochs of 3 steps of 8 images\n",
        /* 95 pixels: a last map of 2 x 2, and 8 channels of it */
        "branch 0: view 0 -> backbone 0 (joined) -> head 0 (custom 8-32, joined) -> head 1 (mlp 32-12, joined) "
        "-> head 2 (custom 12-12, joined) -> head 3 (mlp 12-6, joined), map\n"
        "loss 0: 1 * cross_entropy(branch 0)\n"
        "backbone 0: 2 channels -> 8, 4479 parameters\n"};
    rig r = make_recipe("deepcluster", _i ? "imagenet" : NULL, settings[_i]);
    const sslcv_optimizer *optimizer = r.trainer->options.optimizer;
    int64_t i, resting = 0;

    check_composition(&r, texts[_i]);
    check_groups(&r, ways[_i]);
    ck_assert(optimizer->options.kind == SSLCV_OPTIMIZER_SGD && optimizer->options.momentum == 0.9);
    ck_assert(optimizer->options.weight_decay == 1e-5);
    for (i = 0; i < optimizer->num_tensors; i++) {
        resting += optimizer->groups[optimizer->tensors[i].group].options.momentum == 0.0;
    }
    ck_assert_int_eq(resting, 2); /* the top layer's, which have no momentum to keep either */
    step(&r);
    free_recipe(&r);
}
END_TEST

/* Grey images, Sobel or not; views of the host. */
START_TEST(test_channels)
{
    static const struct {
        int64_t images;
        const char *settings;
        int64_t backbone;
    } cases[] = {{1, SMALL, 1}, {1, SMALL " sobel=yes", 2}, {3, SMALL " sobel=yes", 2}, {3, SMALL, 3}};
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_memory memory = {.struct_size = sizeof memory};
    sslcv_backbone *backbone;
    rig r;

    r.context = make_f32_context();
    r.dataset = make_dataset(r.context, cases[_i].images, 0);
    OK(make_method(r.context, "deepcluster", r.dataset, NULL, cases[_i].settings, 4, &r.trainer));
    OK(sslcv_trainer_get_backbone(r.trainer, 0, 0, &backbone));
    OK(sslcv_backbone_get_info(backbone, &info));
    ck_assert_int_eq(info.channels, cases[_i].backbone);
    sslcv_backbone_destroy(backbone);
    OK(sslcv_trainer_get_memory(r.trainer, &memory)); /* while there are no labels yet */
    step(&r);
    free_recipe(&r);
}
END_TEST

/* ---- an epoch's labels ---- */

/** What a hook behind the recipe's own finds with public calls. */
typedef struct witness {
    rig *r;
    int64_t epochs;
    double nmi;
    int64_t before[SAMPLES];
} witness;

static void embed_plainly(rig *r, float *rows)
{
    const int64_t view = 1, shape[2] = {SAMPLES, DIM};
    const sslcv_branch *branches;
    sslcv_embed_options o;
    sslcv_tensor features;
    sslcv_branch branch;

    OK(sslcv_branch_init(&branch, sizeof branch));
    OK(sslcv_trainer_get_backbone(r->trainer, 0, 0, &branch.backbone));
    branch.views = &view;
    branch.num_views = 1;
    branch.flags = 0;
    branches = &branch;
    OK(sslcv_embed_options_init(&o, sizeof o));
    o.dataset = r->dataset;
    o.augmenter = r->trainer->options.augmenter;
    o.branches = &branches;
    o.num_branches = 1;
    OK(sslcv_tensor_init(&features, SSLCV_F32, rows, 2, shape));
    OK(sslcv_embed(&o, &features, NULL));
    sslcv_backbone_destroy(branch.backbone);
}

/* The same clusters by hand: 24 images leave 23 directions. */
static void cluster_by_hand(rig *r, int64_t epoch, int64_t *labels, double *objective)
{
    const int64_t all[2] = {SAMPLES, DIM}, few[2] = {SAMPLES, SAMPLES - 1}, centres[2] = {CLUSTERS, SAMPLES - 1};
    static float features[SAMPLES * DIM], reduced[SAMPLES * DIM], middle[CLUSTERS * DIM];
    sslcv_tensor f, w, c;
    sslcv_kmeans_options o;

    embed_plainly(r, features);
    OK(sslcv_tensor_init(&f, SSLCV_F32, features, 2, all));
    OK(sslcv_tensor_init(&w, SSLCV_F32, reduced, 2, few));
    OK(sslcv_tensor_init(&c, SSLCV_F32, middle, 2, centres));
    OK(sslcv_pca_whiten(r->context, &f, 1, &w));
    OK(sslcv_kmeans_options_init(&o, sizeof o));
    o.clusters = CLUSTERS;
    OK(sslcv__deepcluster_seed(r->trainer, epoch, 0, &o.seed));
    OK(sslcv_kmeans(r->context, &w, &o, &c, labels, objective));
}

static int32_t watch_labels(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    const int64_t shape[2] = {2, SAMPLES};
    witness *w = user;
    int64_t labels[2][SAMPLES], expected[SAMPLES], i, used = 0;
    int members[CLUSTERS] = {0};
    double objective, nmi = 0.0;

    (void)trainer;
    cluster_by_hand(w->r, progress->epoch, expected, &objective);
    read_integers(w->r, "trainer.labels", 2, shape, labels[0]);
    ck_assert_mem_eq(labels[1], expected, sizeof expected);
    for (i = 0; i < SAMPLES; i++) used += members[expected[i]]++ == 0;
    if (w->epochs > 0) {
        ck_assert_mem_eq(labels[0], w->before, sizeof w->before);
        OK(sslcv_nmi(w->r->context, w->before, expected, SAMPLES, &nmi));
        ck_assert(nmi > 0.0);
    }
    ck_assert(metric(w->r, "clusters.objective") == objective);
    ck_assert(metric(w->r, "clusters.used") == (double)used / CLUSTERS);
    ck_assert(metric(w->r, "clusters.nmi") == nmi);
    ck_assert(metric(w->r, "clusters.dims") == SAMPLES - 1);
    memcpy(w->before, expected, sizeof expected);
    w->epochs++;
    return 0;
}

START_TEST(test_labels_are_clusters)
{
    rig r = make_recipe("deepcluster", NULL, SMALL);
    witness w = {.r = &r};
    sslcv_hook hook;

    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.user = &w;
    hook.call = watch_labels;
    hook.events = SSLCV_EVENT_EPOCH_BEGIN;
    OK(sslcv_trainer_add_hook(r.trainer, &hook));
    OK(sslcv_trainer_run(r.trainer, 0));
    ck_assert_int_eq(w.epochs, 3);
    free_recipe(&r);
}
END_TEST

/* ---- the top layer begins anew ---- */

static void spoil_tensor(rig *r, const char *name, float factor)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_state *state;
    sslcv_tensor tensor;
    weights w = read_tensor(r, name);
    int64_t index, i;

    for (i = 0; i < w.count; i++) w.values[i] = 0.5f + factor * w.values[i];
    OK(sslcv_trainer_get_state(r->trainer, &state));
    OK(sslcv_state_find(state, name, &index));
    OK(sslcv_state_get_entry(state, index, &entry));
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, w.values, entry.ndim, entry.shape));
    OK(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &tensor));
    sslcv_state_destroy(state);
    free(w.values);
}

/*
 * Clusters have other numbers in each epoch, so nothing of the layer that knows them by number may last: whatever it
 * was at the end of an epoch, the next one is the same, bit for bit. The weights are drawn as at first.
 */
START_TEST(test_top_layer_begins_anew)
{
    rig r = make_recipe("deepcluster", NULL, SMALL " learning_rate=0"), s;
    weights first, second;
    double mean = 0.0, square = 0.0;
    int i;

    step(&r);
    first = read_tensor(&r, "head.0.0.weight");
    for (i = 0; i < first.count; i++) {
        mean += first.values[i] / (double)first.count;
        square += first.values[i] * first.values[i] / (double)first.count;
    }
    CLOSE(sqrt(square), 0.01, 0.002);
    CLOSE(mean, 0.0, 0.002);
    for (i = 0; i < 3; i++) step(&r);
    second = read_tensor(&r, "head.0.0.weight");
    ck_assert(!equal(first, second));
    second = read_tensor(&r, "head.0.0.bias");
    for (i = 0; i < second.count; i++) ck_assert(second.values[i] == 0.0f);
    free(second.values);
    free_recipe(&r);

    r = make_recipe("deepcluster", NULL, SMALL);
    s = make_recipe("deepcluster", NULL, SMALL);
    for (i = 0; i < 3; i++) ck_assert(step(&r) == step(&s));
    spoil_tensor(&s, "head.0.0.weight", -3.0f);
    spoil_tensor(&s, "head.0.0.bias", 2.0f);
    for (i = 0; i < 3; i++) ck_assert(step(&r) == step(&s));
    ck_assert(equal(read_prefix(&r, "", SSLCV_ROLE_ALL), read_prefix(&s, "", SSLCV_ROLE_ALL)));
    free_recipe(&s);
    free_recipe(&r);
}
END_TEST

/* ---- it learns ---- */

/* The network comes to tell clusters soon: later epochs get farther below log K, with a new top layer each. */
START_TEST(test_learns)
{
    double begin = 0.0, first = 0.0, last = 0.0;
    rig r = make_recipe("deepcluster", NULL,
                        "batch=4 size=16 width=0.0625 prefetch=0 epochs=20 clusters=4 learning_rate=3 top_rate=10");
    int i;

    for (i = 0; i < 120; i++) {
        const double loss = step(&r);

        if (i % 6 == 0) begin += loss / 20;
        first += i < 30 ? loss / 30 : 0.0;
        last += i >= 90 ? loss / 30 : 0.0;
    }
    CLOSE(begin, log(4.0), 0.05);
    ck_assert_msg(last < 0.9 * first, "from %g to %g", first, last);
    free_recipe(&r);
}
END_TEST

/* ---- resumed, cut short ---- */

START_TEST(test_resumes)
{
    static const char *const settings[] = {SMALL, SMALL " hidden_dim=16 sobel=yes"};

    check_resumes("deepcluster", settings[_i]);
}
END_TEST

START_TEST(test_cancels)
{
    check_cancels("deepcluster", SMALL, 12, 2 * SAMPLES + 12); /* in the clustering of epochs 0 and 1 */
}
END_TEST

START_TEST(test_out_of_memory)
{
    check_out_of_memory("deepcluster", SMALL " hidden_dim=8");
}
END_TEST

/* A clustering that fails leaves no labels: steps are refused until the run is taken up from a checkpoint. */
START_TEST(test_no_clusters_no_steps)
{
    source s;
    rig r;

    fill_source(&s);
    s.fail_at = 2 * SAMPLES + 3;
    r = make_from_source(&s, make_f32_context(), "deepcluster", SMALL);
    ck_assert_int_eq(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_CANCELLED);
    ck_assert_int_eq(r.trainer->epoch, 1);
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_LIMIT, "none of 24 samples has a label");
    free_recipe(&r);
}
END_TEST

/* ---- bad input ---- */

static void set_all(source *s, float value)
{
    int64_t i;

    for (i = 0; i < SAMPLES * PIXELS; i++) s->images[i / PIXELS][i % PIXELS] = value;
}

/* One picture many times: said, not learnt. Two pictures are one direction, and two clusters. */
START_TEST(test_collapse_is_told)
{
    source s;
    rig r;
    int64_t i;

    fill_source(&s);
    set_all(&s, 0.4f);
    r = make_from_source(&s, make_f32_context(), "deepcluster", SMALL);
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_CANCELLED,
          "deepcluster has collapsed: the features of all 24 images are the same");
    ck_assert_int_eq(r.trainer->step, 0);
    free_recipe(&r);
    for (i = 0; i < PIXELS; i++) s.images[5][i] = 0.9f;
    r = make_from_source(&s, make_f32_context(), "deepcluster", TINY " epochs=1 clusters=2");
    OK(sslcv_trainer_run(r.trainer, 1));
    ck_assert(metric(&r, "clusters.dims") == 1.0 && metric(&r, "clusters.used") == 1.0);
    free_recipe(&r);
}
END_TEST

START_TEST(test_one_image)
{
    source s;
    sslcv_dataset_options o;
    sslcv_context *context = make_f32_context();
    const sslcv_dataset_callbacks callbacks = {.struct_size = sizeof callbacks, .user = &s, .load = load_image};
    sslcv_trainer *trainer = NULL;
    sslcv_dataset *dataset;

    fill_source(&s);
    OK(sslcv_dataset_options_init(&o, sizeof o, SSLCV_DATASET_CALLBACK));
    o.callbacks = &callbacks;
    o.count = 1;
    OK(sslcv_dataset_create(context, &o, &dataset));
    FAILS(make_method(context, "deepcluster", dataset, NULL, "batch=1 size=16 width=0.0625 clusters=2", 1, &trainer),
          SSLCV_ERR_LIMIT, "deepcluster.clusters is 2; the data set has 1 images");
    FAILS(
        make_method(context, "deepcluster-v2", dataset, NULL, "batch=1 size=16 width=0.0625 prototypes=2", 1, &trainer),
        SSLCV_ERR_LIMIT, "deepcluster-v2.prototypes is 2; must be at most 1");
    FAILS(make_method(context, "deepcluster", NULL, NULL, TINY " steps_per_epoch=1", 1, &trainer),
          SSLCV_ERR_INVALID_ARGUMENT, "\"deepcluster\" has no data set");
    ck_assert(trainer == NULL);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(test_settings)
{
    refuse("deepcluster", NULL, TINY " clusters=25", SSLCV_ERR_LIMIT,
           "deepcluster.clusters is 25; the data set has 24 images");
    refuse("deepcluster", NULL, TINY, SSLCV_ERR_LIMIT, "deepcluster.clusters is 100; the data set has 24 images");
    refuse("deepcluster", NULL, TINY " clusters=1", SSLCV_ERR_INVALID_ARGUMENT, "deepcluster.clusters is \"1\"");
    refuse("deepcluster", NULL, TINY " dims=0", SSLCV_ERR_INVALID_ARGUMENT, "deepcluster.dims is \"0\"");
    refuse("deepcluster", NULL, TINY " dropout=2", SSLCV_ERR_INVALID_ARGUMENT, "deepcluster.dropout is \"2\"");
    refuse("deepcluster", NULL, TINY " sobel=maybe", SSLCV_ERR_INVALID_ARGUMENT, "deepcluster.sobel is \"maybe\"");
}
END_TEST

START_TEST(test_views_of_the_host)
{
    sslcv_method_options o;
    sslcv_trainer *trainer = NULL;
    sslcv_context *context = make_f32_context();

    OK(sslcv_method_options_init(&o, sizeof o));
    o.dataset = make_dataset(context, 3, 0);
    OK(sslcv_augmenter_create(context, &o.augmenter));
    OK(sslcv_augmenter_add_preset(o.augmenter, "deepcluster-cifar", SIDE, NULL, NULL));
    o.settings = "batch=8 width=0.0625 epochs=1 clusters=6";
    FAILS(sslcv_method_create(context, "deepcluster", &o, &trainer), SSLCV_ERR_NOT_FOUND,
          "the augmenter has 1 views; \"deepcluster\" needs 2");
    OK(sslcv_augmenter_add_preset(o.augmenter, "eval-cifar", SIDE, NULL, NULL));
    o.settings = "batch=8 width=0.0625 epochs=1 clusters=6 sobel=yes";
    FAILS(sslcv_method_create(context, "deepcluster", &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT,
          "deepcluster.sobel is set, but the augmenter is given");
    o.settings = "batch=8 width=0.0625 epochs=1 clusters=6";
    OK(sslcv_method_create(context, "deepcluster", &o, &trainer));
    OK(sslcv_trainer_run(trainer, 0));
    sslcv_trainer_destroy(trainer);
    sslcv_augmenter_destroy(o.augmenter);
    sslcv_dataset_destroy(o.dataset);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_deepcluster");
    TCase *tests = tcase_create("deepcluster");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_composition, 0, 2);
    tcase_add_loop_test(tests, test_channels, 0, 4);
    tcase_add_test(tests, test_labels_are_clusters);
    tcase_add_test(tests, test_top_layer_begins_anew);
    tcase_add_test(tests, test_learns);
    tcase_add_loop_test(tests, test_resumes, 0, 2);
    tcase_add_test(tests, test_cancels);
    tcase_add_test(tests, test_out_of_memory);
    tcase_add_test(tests, test_no_clusters_no_steps);
    tcase_add_test(tests, test_collapse_is_told);
    tcase_add_test(tests, test_one_image);
    tcase_add_test(tests, test_settings);
    tcase_add_test(tests, test_views_of_the_host);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
