/* Fine-tuning: what the protocols set, what frozen stages are spared, and what both ends of freezing are equal to. */
#include "recipe_support.h"

#include "model/backbone.h"

enum { STAGES = 5 };

static sslcv_backbone *make_backbone(sslcv_context *context)
{
    sslcv_backbone_options o;
    sslcv_backbone *backbone;

    OK(sslcv_backbone_options_init(&o, sizeof o, SSLCV_BACKBONE_RESNET18));
    o.stem = SSLCV_STEM_CIFAR;
    o.width = 0.0625;
    o.seed = 5;
    OK(sslcv_backbone_create(context, &o, &backbone));
    return backbone;
}

static sslcv_status make_finetune(rig *r, sslcv_backbone *backbone, sslcv_augmenter *augmenter, const char *method,
                                  const char *settings)
{
    sslcv_method_options o;

    OK(sslcv_method_options_init(&o, sizeof o));
    o.dataset = r->dataset;
    o.backbones = &backbone;
    o.num_backbones = 1;
    o.augmenter = augmenter;
    o.settings = settings;
    o.seed = 21;
    return sslcv_method_create(r->context, method, &o, &r->trainer);
}

static rig begin(void)
{
    rig r = {NULL, NULL, NULL};

    r.context = make_f32_context();
    r.dataset = make_dataset(r.context, 3, 1);
    return r;
}

/* ---- protocols ---- */

static const struct protocol {
    const char *name;
    int64_t batch, epochs; /* of 24 samples */
    double rate, head_rate;
    int32_t kind, by_epoch, optimizer, nesterov;
    double milestones[2], gamma;
} protocols[] = {
    {"transfer", 64, 5000, 0.01, 0.01, SSLCV_SCHEDULE_COSINE, 0, SSLCV_OPTIMIZER_SGD, 1, {0}, 0.1},
    {"swav-1", 256, 20, 0.02, 5, SSLCV_SCHEDULE_STEPS, 0, SSLCV_OPTIMIZER_SGD, 0, {12, 16}, 0.2},
    {"swav-10", 256, 20, 0.01, 0.2, SSLCV_SCHEDULE_STEPS, 0, SSLCV_OPTIMIZER_SGD, 0, {12, 16}, 0.2},
    {"barlow-twins-1", 256, 20, 0.005, 0.5, SSLCV_SCHEDULE_COSINE, 1, SSLCV_OPTIMIZER_SGD, 0, {0}, 0.1},
    {"vicreg-1", 256, 20, 0.03, 0.08, SSLCV_SCHEDULE_COSINE, 1, SSLCV_OPTIMIZER_SGD, 0, {0}, 0.1},
    {"simclr-v2-1", 1024, 60, 0.16, 0.16, SSLCV_SCHEDULE_COSINE, 0, SSLCV_OPTIMIZER_LARS_CLASSIC, 0, {0}, 0.1},
    {"vissl", 256, 70, 0.05, 0.05, SSLCV_SCHEDULE_STEPS, 0, SSLCV_OPTIMIZER_SGD, 1, {30, 70}, 0.1},
};

enum { NUM_PROTOCOLS = sizeof protocols / sizeof protocols[0] };

START_TEST(test_protocols)
{
    const struct protocol *p = &protocols[_i];
    const int is_lars = p->optimizer == SSLCV_OPTIMIZER_LARS_CLASSIC;
    const treatment ways[] = {{SSLCV_ROLE_WEIGHT, 1, is_lars, 1.0, 0, 0, 20},
                              {SSLCV_ROLE_NORM, !is_lars, 0, 1.0, 0, 0, 40},
                              {SSLCV_ROLE_WEIGHT, 1, 0, p->head_rate / p->rate, 0, 0, 1},
                              {SSLCV_ROLE_BIAS, !is_lars, 0, p->head_rate / p->rate, 0, 0, 1},
                              {0, 0, 0, 0, 0, 0, 0}};
    const treatment alike[] = {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 21},
                               {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 40},
                               {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 0, 1},
                               {0, 0, 0, 0, 0, 0, 0}};
    char settings[128];
    const sslcv_trainer_options *o;
    const sslcv_schedule *rate;
    rig r;

    snprintf(settings, sizeof settings, "size=16 width=0.0625 prefetch=0 protocol=%s", p->name);
    r = make_recipe("finetune", NULL, settings);
    o = &r.trainer->options;
    rate = &r.trainer->learning_rate;
    ck_assert_int_eq(o->batch_size, p->batch);
    ck_assert_int_eq(o->epochs, p->epochs);
    CLOSE(rate->value, p->rate, 1e-15);
    ck_assert_int_eq(rate->kind, p->kind);
    ck_assert_int_eq(rate->by_epoch, p->by_epoch);
    ck_assert_int_eq(rate->num_milestones, p->kind == SSLCV_SCHEDULE_STEPS ? 2 : 0);
    ck_assert(rate->milestones[0] == p->milestones[0] && rate->milestones[1] == p->milestones[1]);
    ck_assert(rate->gamma == p->gamma);
    ck_assert_int_eq(o->optimizer->options.kind, p->optimizer);
    ck_assert_int_eq(o->optimizer->options.nesterov, p->nesterov);
    ck_assert(o->optimizer->options.weight_decay == 0.0 && o->drop_last == 0);
    check_groups(&r, p->head_rate == p->rate && !is_lars ? alike : ways);
    free_recipe(&r);
}
END_TEST

/* The host's settings win over the protocol's, and decide how long it is. */
START_TEST(test_host_wins)
{
    static const struct {
        const char *settings;
        int64_t batch, epochs;
    } cases[] = {
        {"protocol=swav-1 batch=8 epochs=7", 8, 7},
        {"protocol=swav-1 batch=8 steps=10", 8, 4}, /* 3 steps an epoch */
        {"batch=10 steps=7", 10, 3},                /* 3, of which the last has 4 samples */
        {"batch=10 steps=7 drop_last=1", 10, 4},    /* 2 */
        {"batch=8 epochs=2", 8, 2},
        {"batch=8 steps=0", 8, 20},
    };
    char settings[128];
    size_t i;
    rig r;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(settings, sizeof settings, "size=16 width=0.0625 %s", cases[i].settings);
        r = make_recipe("finetune", NULL, settings);
        ck_assert_int_eq(r.trainer->options.batch_size, cases[i].batch);
        ck_assert_int_eq(r.trainer->options.epochs, cases[i].epochs);
        free_recipe(&r);
    }
    r = make_recipe("finetune", NULL, TINY " learning_rate=0 head_learning_rate=0.5");
    ck_assert(r.trainer->learning_rate.value == 0.5);
    free_recipe(&r);
}
END_TEST

START_TEST(test_refuses)
{
    refuse("finetune", NULL, "protocol=swav", SSLCV_ERR_INVALID_ARGUMENT, "must be one of transfer, swav-1, swav-10");
    refuse("finetune", NULL, "steps=5 epochs=5", SSLCV_ERR_INVALID_ARGUMENT, "finetune.epochs is set, but steps");
    refuse("finetune", NULL, "width=0.0625 frozen_stages=6", SSLCV_ERR_LIMIT, "the backbone has 5 stages");
    refuse("finetune", NULL, "optimizer=lars", SSLCV_ERR_INVALID_ARGUMENT, "finetune.nesterov is 1");
    refuse("finetune", NULL, "schedule=steps first_drop=0.9", SSLCV_ERR_LIMIT, "must be >= first_drop, 0.9");
    refuse("finetune", NULL, "classes=3", SSLCV_ERR_LIMIT, "finetune.classes is 3; the data set has 4");
}
END_TEST

/* ---- freezing ---- */

static int is_frozen_name(const char *name, int stages)
{
    static const char *const layers[] = {"layer1.", "layer2.", "layer3.", "layer4."};
    int i;

    for (i = 0; i < 4; i++) {
        if (strncmp(name, layers[i], 7) == 0) return i + 1 < stages;
    }
    return stages > 0;
}

/* Three steps with K stages frozen: their tensors, statistics too, have the same bits; all others have moved. */
START_TEST(test_frozen_stages)
{
    char settings[128];
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_state *state, *old;
    sslcv_backbone *backbone, *before;
    rig r = begin();
    int64_t i;

    backbone = make_backbone(r.context);
    OK(sslcv_backbone_clone(backbone, &before));
    snprintf(settings, sizeof settings, "batch=8 epochs=3 prefetch=0 size=16 learning_rate=0.1 frozen_stages=%d", _i);
    OK(make_finetune(&r, backbone, NULL, "finetune", settings));
    for (i = 0; i < 3; i++) step(&r);
    OK(sslcv_backbone_get_state(backbone, &state));
    OK(sslcv_backbone_get_state(before, &old));
    for (i = 0; sslcv_state_get_entry(state, i, &entry) == SSLCV_OK; i++) {
        const sslcv__variable *v = sslcv__variables_find(&backbone->net.variables, entry.name);
        const int rests = is_frozen_name(entry.name, _i);

        if (entry.dtype != SSLCV_F32) continue;
        ck_assert_msg(equal(copy_tensor(state, entry.name), copy_tensor(old, entry.name)) == rests, "%s", entry.name);
        if (entry.role & SSLCV_ROLE_PARAMETERS) ck_assert_msg((v->gradient == NULL) == rests, "%s", entry.name);
    }
    sslcv_state_destroy(old);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(before);
    sslcv_backbone_destroy(backbone);
    free_recipe(&r);
}
END_TEST

/* Each stage that rests gives back gradients, momentum and activations. */
START_TEST(test_frozen_memory)
{
    sslcv_memory memory = {.struct_size = sizeof memory}, last = {.struct_size = sizeof last};
    char settings[128];
    int64_t all = 0;
    int k;

    for (k = 0; k <= STAGES; k++) {
        rig r;

        snprintf(settings, sizeof settings, "batch=24 epochs=1 prefetch=0 size=16 width=0.0625 frozen_stages=%d", k);
        r = make_recipe("finetune", NULL, settings);
        step(&r);
        OK(sslcv_trainer_get_memory(r.trainer, &memory));
        if (k == 0) {
            all = memory.total;
        } else {
            ck_assert_int_lt(memory.gradients, last.gradients);
            ck_assert_int_lt(memory.optimizer, last.optimizer);
            ck_assert_int_lt(memory.total, all); /* not stage by stage: what rests has a copy of folded weights */
            ck_assert_int_eq(memory.parameters, last.parameters);
        }
        last = memory;
        free_recipe(&r);
    }
    ck_assert_int_eq(last.gradients, (32 + 1) * CLASSES * (int64_t)sizeof(float)); /* of the classifier alone */
}
END_TEST

static sslcv_augmenter *eval_view(sslcv_context *context)
{
    sslcv_augmenter *augmenter;

    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_preset(augmenter, "eval-cifar", SIDE, NULL, NULL));
    return augmenter;
}

/* (SAMPLES, d) features of the backbone, behind the head where there is one. */
static float *embed(const rig *r, sslcv_backbone *backbone, sslcv_head *head, sslcv_augmenter *augmenter,
                    int64_t *labels, sslcv_tensor *features)
{
    static const int64_t view = 0;
    sslcv_branch branch;
    const sslcv_branch *branches = &branch;
    sslcv_embed_options o;

    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.backbone = backbone;
    branch.heads = (sslcv_head *const *)&head;
    branch.num_heads = head ? 1 : 0;
    branch.flags = 0;
    OK(sslcv_embed_options_init(&o, sizeof o));
    o.dataset = r->dataset;
    o.augmenter = augmenter;
    o.branches = &branches;
    o.num_branches = 1;
    features->data = NULL;
    OK(sslcv_embed(&o, features, NULL));
    features->data = malloc((size_t)(features->shape[0] * features->shape[1]) * sizeof(float));
    OK(sslcv_embed(&o, features, labels));
    return features->data;
}

static void clear_head(sslcv_head *head)
{
    sslcv_state *state;
    float *zeros;
    int64_t count;

    OK(sslcv_head_get_state(head, &state));
    OK(sslcv_state_get_flat(state, SSLCV_ROLE_PARAMETERS, NULL, 0, &count));
    zeros = calloc((size_t)count, sizeof *zeros);
    OK(sslcv_state_set_flat(state, SSLCV_ROLE_PARAMETERS, zeros, count));
    sslcv_state_destroy(state);
    free(zeros);
}

/* Everything frozen, one batch of all samples, no augmentation: the linear probe, within rounding. */
START_TEST(test_all_frozen_is_the_linear_probe)
{
    rig r = begin();
    sslcv_backbone *backbone = make_backbone(r.context);
    sslcv_augmenter *augmenter = eval_view(r.context);
    sslcv_probe_options o;
    sslcv_schedule rate;
    sslcv_probe *probe;
    sslcv_head *head;
    sslcv_tensor features, logits, scores = {.data = NULL};
    float *x, *tuned, *probed;
    int64_t labels[SAMPLES], i;

    OK(make_finetune(&r, backbone, augmenter, "finetune",
                     "batch=24 epochs=30 prefetch=0 learning_rate=0.5 weight_decay=0.01 frozen_stages=all"));
    OK(sslcv_trainer_get_head(r.trainer, 0, 0, 0, &head));
    clear_head(head);
    OK(sslcv_trainer_run(r.trainer, 0));
    tuned = embed(&r, backbone, head, augmenter, labels, &logits);
    x = embed(&r, backbone, NULL, augmenter, labels, &features);

    OK(sslcv_probe_options_init(&o, sizeof o, SSLCV_PROBE_LINEAR));
    OK(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, 0.5));
    o.learning_rate = &rate;
    o.epochs = 30;
    o.batch_size = 24;
    o.weight_decay = 0.01;
    o.nesterov = 1;
    OK(sslcv_probe_create(r.context, &o, &probe));
    OK(sslcv_probe_fit(probe, &features, labels));
    OK(sslcv_probe_predict(probe, &features, &scores));
    scores.data = probed = malloc((size_t)(SAMPLES * CLASSES) * sizeof *probed);
    OK(sslcv_probe_predict(probe, &features, &scores));
    for (i = 0; i < SAMPLES * CLASSES; i++) CLOSE(tuned[i], probed[i], 2e-5);
    ck_assert(fabsf(tuned[0]) > 0.1f);
    sslcv_probe_destroy(probe);
    sslcv_head_destroy(head);
    sslcv_augmenter_destroy(augmenter);
    sslcv_backbone_destroy(backbone);
    free(probed);
    free(tuned);
    free(x);
    free_recipe(&r);
}
END_TEST

/* Nothing frozen, also after it was: training as another recipe does it, bit for bit. */
START_TEST(test_none_frozen_is_training)
{
    rig r = begin(), s = begin();
    sslcv_backbone *one = make_backbone(r.context), *other = make_backbone(s.context);
    int i;

    OK(sslcv_backbone_freeze(one, 3));
    OK(make_finetune(&r, one, NULL, "finetune",
                     "batch=8 epochs=2 prefetch=0 size=16 learning_rate=0.06 schedule=cosine-by-epoch nesterov=0 "
                     "weight_decay=5e-4 init_std=0 frozen_stages=0"));
    OK(make_finetune(&s, other, NULL, "supervised", "batch=8 epochs=2 prefetch=0 size=16 learning_rate=0.96"));
    for (i = 0; i < 6; i++) ck_assert(step(&r) == step(&s));
    ck_assert(equal(read_prefix(&r, "backbone.0.", SSLCV_ROLE_ALL), read_prefix(&s, "backbone.0.", SSLCV_ROLE_ALL)));
    ck_assert(equal(read_prefix(&r, "head.0.", SSLCV_ROLE_ALL), read_prefix(&s, "head.0.", SSLCV_ROLE_ALL)));
    sslcv_backbone_destroy(one);
    sslcv_backbone_destroy(other);
    free_recipe(&r);
    free_recipe(&s);
}
END_TEST

/* What is said of frozen stages: nothing leaves the backbone's, and a trainer that has begun keeps them. */
START_TEST(test_whose_stages)
{
    sslcv_backbone_info info = {.struct_size = sizeof info};
    rig r = begin();
    sslcv_backbone *backbone = make_backbone(r.context);
    sslcv_trainer *first;

    OK(sslcv_backbone_freeze(backbone, 2));
    OK(make_finetune(&r, backbone, NULL, "finetune", "batch=8 epochs=1 prefetch=0 size=16"));
    OK(sslcv_backbone_get_info(backbone, &info));
    ck_assert_int_eq(info.frozen_stages, 2);
    step(&r);
    first = r.trainer;
    r.trainer = NULL;
    FAILS(make_finetune(&r, backbone, NULL, "finetune", "batch=8 frozen_stages=3"), SSLCV_ERR_STATE, "has begun");
    OK(make_finetune(&r, backbone, NULL, "finetune", "batch=8 frozen_stages=2"));
    sslcv_trainer_destroy(first);
    sslcv_backbone_destroy(backbone);
    free_recipe(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_finetune");
    TCase *settings = tcase_create("settings"), *freezing = tcase_create("freezing");

    tcase_set_timeout(settings, 60);
    tcase_add_loop_test(settings, test_protocols, 0, NUM_PROTOCOLS);
    tcase_add_test(settings, test_host_wins);
    tcase_add_test(settings, test_refuses);
    suite_add_tcase(suite, settings);
    tcase_set_timeout(freezing, 60);
    tcase_add_loop_test(freezing, test_frozen_stages, 0, STAGES + 1);
    tcase_add_test(freezing, test_frozen_memory);
    tcase_add_test(freezing, test_all_frozen_is_the_linear_probe);
    tcase_add_test(freezing, test_none_frozen_is_training);
    tcase_add_test(freezing, test_whose_stages);
    suite_add_tcase(suite, freezing);
    return run_suite(suite);
}
