/* The trainer composed: branches, sources, shared networks; wrong use. */
#include "trainer_support.h"

/* ---- composing ---- */

/* The same network cut into a branch and one that continues it. */
START_TEST(test_source_is_the_same)
{
    double one[3], two[3];
    rig r, s;

    make_simclr(&r, &plain);
    steps(&r, 3, one);
    make_rig(&s, &plain);
    add_loss(&s, s.contrast, add_source_branch(&s, add_branch(&s, views_01, 2, NULL), s.projection, 0), 1.0);
    steps(&s, 3, two);
    ck_assert_mem_eq(one, two, sizeof one);
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* Half of a loss and the other half are the loss. */
START_TEST(test_two_losses_add_up)
{
    double one[3], two[3];
    int64_t branch;
    rig r, s;

    make_simclr(&r, &plain);
    steps(&r, 3, one);
    make_rig(&s, &plain);
    branch = add_branch(&s, views_01, 2, s.projection);
    add_loss(&s, s.contrast, branch, 0.5);
    add_loss(&s, s.contrast, branch, 0.5);
    steps(&s, 3, two);
    ck_assert_mem_eq(one, two, sizeof one);
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* A detached classifier learns and leaves the rest alone; one that is not detached does not. */
START_TEST(test_detach)
{
    double losses[3], watched[3];
    weights before, after;
    sslcv_state *state;
    int64_t source;
    rig r, s, t;

    make_simclr(&r, &plain);
    steps(&r, 3, losses);
    make_rig(&s, &plain);
    source = add_branch(&s, views_01, 2, NULL);
    add_loss(&s, s.contrast, add_source_branch(&s, source, s.projection, 0), 1.0);
    add_loss(&s, s.labels, add_source_branch(&s, source, s.classifier, 1), 1.0);
    OK(sslcv_head_get_state(s.classifier, &state));
    before = read_state(state, SSLCV_ROLE_ALL);
    steps(&s, 3, watched);
    OK(sslcv_head_get_state(s.classifier, &state));
    after = read_state(state, SSLCV_ROLE_ALL);
    ck_assert(!equal(before, after));
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    ck_assert(watched[0] > losses[0]);

    make_rig(&t, &plain);
    source = add_branch(&t, views_01, 2, NULL);
    add_loss(&t, t.contrast, add_source_branch(&t, source, t.projection, 0), 1.0);
    add_loss(&t, t.labels, add_source_branch(&t, source, t.classifier, 0), 1.0);
    steps(&t, 3, watched);
    ck_assert(!equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&t, SSLCV_ROLE_ALL)));
    free_rig(&t);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* Two branches over one backbone and head, each with half the weight, against the two views by themselves in one. */
START_TEST(test_shared_networks)
{
    static const int64_t view_0[] = {0}, view_1[] = {1};
    double one[2], two[2];
    sslcv_branch b;
    int64_t index;
    rig r, s;

    make_rig(&r, &plain);
    add_loss(&r, r.labels, add_branch(&r, view_0, 1, r.classifier), 0.5);
    add_loss(&r, r.labels, add_branch(&r, view_1, 1, r.classifier), 0.5);
    steps(&r, 2, one);
    make_rig(&s, &plain);
    OK(sslcv_branch_init(&b, sizeof b));
    b.views = views_01;
    b.num_views = 2;
    b.backbone = s.backbone;
    b.stage = STAGE;
    b.heads = &s.classifier;
    b.num_heads = 1;
    b.grouping = b.head_grouping = SSLCV_GROUPING_BY_VIEW;
    OK(sslcv_trainer_add_branch(s.trainer, &b, &index));
    add_loss(&s, s.labels, index, 1.0);
    steps(&s, 2, two);
    CLOSE(one[0], two[0], 1e-6);
    CLOSE(one[1], two[1], 1e-4);
    ck_assert(largest_difference(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)) < 1e-4);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* JOINED shows batch norm all views at once, BY_VIEW one after the other: not the same. */
START_TEST(test_grouping_matters)
{
    double one[1], two[1];
    sslcv_branch b;
    int64_t index;
    rig r, s;

    make_simclr(&r, &plain);
    steps(&r, 1, one);
    make_rig(&s, &plain);
    OK(sslcv_branch_init(&b, sizeof b));
    b.views = views_01;
    b.num_views = 2;
    b.backbone = s.backbone;
    b.stage = STAGE;
    b.heads = &s.projection;
    b.num_heads = 1;
    b.grouping = SSLCV_GROUPING_BY_VIEW;
    OK(sslcv_trainer_add_branch(s.trainer, &b, &index));
    add_loss(&s, s.contrast, index, 1.0);
    steps(&s, 1, two);
    ck_assert(one[0] != two[0]);
    CLOSE(one[0], two[0], 0.1);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

START_TEST(test_unused_branch_rests)
{
    weights before;
    char text[4096];
    double losses[2];
    rig r;

    make_rig(&r, &plain);
    before = read_backbone(&r, SSLCV_ROLE_ALL);
    add_branch(&r, views_01, 2, r.projection);
    {
        /* pixels -> classifier of its own */
        sslcv_head *linear = make_head(r.context, PIXELS, CLASSES, 1, 14);
        sslcv_branch b;
        int64_t index;

        OK(sslcv_branch_init(&b, sizeof b));
        b.views = view_2;
        b.num_views = 1;
        b.heads = &linear;
        b.num_heads = 1;
        OK(sslcv_trainer_add_branch(r.trainer, &b, &index));
        add_loss(&r, r.labels, index, 1.0);
        sslcv_head_destroy(linear);
    }
    steps(&r, 2, losses);
    ck_assert(equal(before, read_backbone(&r, SSLCV_ROLE_ALL)));
    OK(sslcv_trainer_describe(r.trainer, text, sizeof text, NULL));
    ck_assert_msg(strstr(text, "not used") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "gives 1 x 8 x 1 x 4") != NULL, "%s", text);
    free_rig(&r);
}
END_TEST

/* Without SSLCV_PASS_GRADIENT nothing comes back; without TRAIN the statistics rest. */
START_TEST(test_flags)
{
    sslcv_state *head;
    weights before, head_before;
    double losses[2];
    sslcv_branch b;
    int64_t index;
    rig r;

    make_rig(&r, &plain);
    before = read_backbone(&r, SSLCV_ROLE_ALL);
    OK(sslcv_head_get_state(r.classifier, &head));
    head_before = read_state(head, SSLCV_ROLE_ALL);
    OK(sslcv_branch_init(&b, sizeof b));
    b.views = view_2;
    b.num_views = 1;
    b.backbone = r.backbone;
    b.stage = STAGE;
    b.flags = 0;
    OK(sslcv_trainer_add_branch(r.trainer, &b, &index));
    add_loss(&r, r.labels, add_source_branch(&r, index, r.classifier, 0), 1.0);
    steps(&r, 2, losses);
    ck_assert(equal(before, read_backbone(&r, SSLCV_ROLE_ALL)));
    OK(sslcv_head_get_state(r.classifier, &head));
    ck_assert(!equal(head_before, read_state(head, SSLCV_ROLE_ALL)));
    free_rig(&r);
}
END_TEST

/* Gradients of the backbone's parameters when its branch is run back with a gradient that is the same at all pixels. */
static weights run_back(rig *r, int32_t is_map)
{
    static host_views v;
    static float unit[2 * BATCH * 16];
    const sslcv__feed feed = {.size = BATCH, .views = v.tensors, .num_views = 2};
    const sslcv__slice whole = sslcv__slice_of(BATCH, 1, 0, SSLCV__PHASE_WHOLE);
    const sslcv_tensor *output;
    sslcv_tensor rows;
    sslcv_state *state;
    sslcv__branch *branch;
    sslcv_branch b;
    weights w = {NULL, 0};
    int64_t index, n, p, d, i;
    sslcv_state_entry entry;

    make_views(&v, SIDE);
    golden_input(31, 2 * BATCH * 16, unit);
    OK(sslcv_branch_init(&b, sizeof b));
    b.views = views_01;
    b.num_views = 2;
    b.backbone = r->backbone;
    b.stage = "layer2"; /* of width 1/8: 16 channels, 4 x 4 pixels */
    if (is_map) b.flags |= SSLCV_PASS_MAP;
    OK(sslcv_trainer_add_branch(r->trainer, &b, &index));
    add_loss(r, r->contrast, index, 1.0);
    OK(sslcv__trainer_fix(r->trainer));
    OK(sslcv__trainer_ready_memory(r->trainer, &feed));
    OK(sslcv__branch_forward(r->trainer, 0, &feed, &whole));
    branch = &r->trainer->branches[0];
    output = sslcv__branch_output(r->trainer, 0);
    ck_assert_int_eq(output->shape[2], is_map ? 16 : 1);
    ck_assert_int_eq(output->shape[3], 16);
    if (is_map) { /* (M, D, h, w) has become (V, N, P, D) */
        const float *turned = output->data, *given;

        OK(sslcv_tape_output(branch->links[0].passes[0].tape, &rows));
        given = rows.data;
        for (n = 0; n < 2 * BATCH; n++) {
            for (p = 0; p < 16; p++) {
                for (d = 0; d < 16; d++) ck_assert(turned[(n * 16 + p) * 16 + d] == given[(n * 16 + d) * 16 + p]);
            }
        }
    }
    OK(sslcv__buffer_reserve(r->context, &branch->gradient, 2 * BATCH * 16 * output->shape[2]));
    for (n = 0; n < 2 * BATCH; n++) {
        for (p = 0; p < output->shape[2]; p++) {
            for (d = 0; d < 16; d++) {
                branch->gradient.data[(n * output->shape[2] + p) * 16 + d] = unit[n * 16 + d] / (float)output->shape[2];
            }
        }
    }
    branch->has_gradient = 1;
    OK(sslcv__branch_backward(r->trainer, 0, &whole));
    OK(sslcv_backbone_get_state(r->backbone, &state));
    entry.struct_size = sizeof entry;
    for (i = 0; sslcv_state_get_entry(state, i, &entry) == SSLCV_OK; i++) {
        if (strcmp(entry.name, "layer1.0.conv1.weight") != 0) continue;
        w.count = 8 * 8 * 9;
        w.values = malloc((size_t)w.count * sizeof *w.values);
        OK(sslcv_tensor_init(&rows, SSLCV_F32, w.values, entry.ndim, entry.shape));
        OK(sslcv_state_get(state, i, SSLCV_STATE_GRADIENT, &rows));
    }
    sslcv_state_destroy(state);
    return w;
}

/* A map and its mean: the same gradients. The losses of this release take one position. */
START_TEST(test_map)
{
    weights before;
    rig r, s;

    make_rig(&r, &plain);
    make_rig(&s, &plain);
    ck_assert(largest_difference(run_back(&r, 0), run_back(&s, 1)) < 1e-5);
    before = read_backbone(&s, SSLCV_ROLE_PARAMETERS);
    FAILS(sslcv_trainer_step(s.trainer, NULL), SSLCV_ERR_INVALID_ARGUMENT, "16 positions");
    FAILS(sslcv_trainer_step(s.trainer, NULL), SSLCV_ERR_INVALID_ARGUMENT, "16 positions");
    ck_assert(equal(before, read_backbone(&s, SSLCV_ROLE_PARAMETERS)));
    free_rig(&s);
    free_rig(&r);
}
END_TEST

START_TEST(test_describe)
{
    char text[4096];
    int64_t needed, again;
    double losses[1];
    rig r;

    make_rig(&r, &plain);
    OK(sslcv_trainer_describe(r.trainer, NULL, 0, &needed));
    add_loss(&r, r.labels, add_source_branch(&r, add_branch(&r, views_01, 2, NULL), r.classifier, 1), 0.25);
    OK(sslcv_trainer_describe(r.trainer, NULL, 0, &again));
    ck_assert(again > needed);
    FAILS(sslcv_trainer_describe(r.trainer, text, again - 1, NULL), SSLCV_ERR_LIMIT, "size is");
    OK(sslcv_trainer_describe(r.trainer, text, again, &needed));
    ck_assert_int_eq(needed, again);
    ck_assert_int_eq((int64_t)strlen(text), again - 1);
    ck_assert_msg(strstr(text, "branch 0: views 0,1 -> backbone 0 (layer1, joined)\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "branch 1: branch 0 detached -> head 0 (mlp 8-4, joined)\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "loss 0: 0.25 * cross_entropy(branch 1)\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "learning rate: cosine from 0.1 to 0\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "run: 4 epochs of 3 steps of 8 images\n") != NULL, "%s", text);
    steps(&r, 1, losses);
    OK(sslcv_trainer_describe(r.trainer, text, sizeof text, NULL));
    ck_assert_msg(strstr(text, "gives 2 x 8 x 1 x 8\n") != NULL, "%s", text);
    free_rig(&r);
}
END_TEST

/* ---- wrong use ---- */

static sslcv_status create_with(rig *r, void (*change)(sslcv_trainer_options *))
{
    sslcv_trainer_options t;
    sslcv_trainer *trainer = NULL;
    sslcv_schedule rate;
    sslcv_status status;

    OK(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, 0.1));
    OK(sslcv_trainer_options_init(&t, sizeof t));
    t.dataset = r->dataset;
    t.augmenter = r->augmenter;
    t.optimizer = r->optimizer;
    t.learning_rate = &rate;
    t.batch_size = BATCH;
    change(&t);
    status = sslcv_trainer_create(r->context, &t, &trainer);
    sslcv_trainer_destroy(trainer);
    return status;
}

static void no_change(sslcv_trainer_options *t)
{
    (void)t;
}

static void batch_0(sslcv_trainer_options *t)
{
    t->batch_size = 0;
}

static void batch_25(sslcv_trainer_options *t)
{
    t->batch_size = SAMPLES + 1;
}

static void epochs_0(sslcv_trainer_options *t)
{
    t->epochs = 0;
}

static void no_optimizer(sslcv_trainer_options *t)
{
    t->optimizer = NULL;
}

static void no_rate(sslcv_trainer_options *t)
{
    t->learning_rate = NULL;
}

static void no_augmenter(sslcv_trainer_options *t)
{
    t->augmenter = NULL;
}

static void steps_with_data(sslcv_trainer_options *t)
{
    t->steps_per_epoch = 3;
}

static void no_steps(sslcv_trainer_options *t)
{
    t->dataset = NULL;
}

static void resume_nowhere(sslcv_trainer_options *t)
{
    t->resume = 1;
}

static void seconds_negative(sslcv_trainer_options *t)
{
    t->checkpoint_seconds = -1;
}

static void generations_10(sslcv_trainer_options *t)
{
    t->generations = 10;
}

static void drop_2(sslcv_trainer_options *t)
{
    t->drop_last = 2;
}

static void sampler_9(sslcv_trainer_options *t)
{
    t->sampler = 9;
}

static void prefetch_65(sslcv_trainer_options *t)
{
    t->prefetch = 65;
}

static void foreign_optimizer(sslcv_trainer_options *t)
{
    t->optimizer = (sslcv_optimizer *)(void *)t->dataset;
}

START_TEST(test_create_errors)
{
    static const struct {
        void (*change)(sslcv_trainer_options *);
        sslcv_status status;
        const char *text;
    } cases[] = {
        {batch_0, SSLCV_ERR_INVALID_ARGUMENT, "trainer.batch_size is 0; must be 1 .. 2147483647"},
        {batch_25, SSLCV_ERR_LIMIT, "the data set has 24 samples; must have at least 25"},
        {epochs_0, SSLCV_ERR_INVALID_ARGUMENT, "trainer.epochs is 0"},
        {no_optimizer, SSLCV_ERR_INVALID_ARGUMENT, "trainer.optimizer is NULL"},
        {no_rate, SSLCV_ERR_INVALID_ARGUMENT, "trainer.learning_rate is NULL"},
        {no_augmenter, SSLCV_ERR_INVALID_ARGUMENT, "trainer.augmenter is NULL"},
        {steps_with_data, SSLCV_ERR_INVALID_ARGUMENT, "trainer.steps_per_epoch is 3; must be 0"},
        {no_steps, SSLCV_ERR_INVALID_ARGUMENT, "trainer.steps_per_epoch is 0; must be 1"},
        {resume_nowhere, SSLCV_ERR_INVALID_ARGUMENT, "trainer.resume is 1"},
        {seconds_negative, SSLCV_ERR_INVALID_ARGUMENT, "trainer.checkpoint_seconds is -1"},
        {generations_10, SSLCV_ERR_INVALID_ARGUMENT, "trainer.generations is 10; must be 0 .. 9"},
        {drop_2, SSLCV_ERR_INVALID_ARGUMENT, "trainer.drop_last is 2; must be 0 or 1"},
        {sampler_9, SSLCV_ERR_INVALID_ARGUMENT, "trainer.sampler is 9"},
        {prefetch_65, SSLCV_ERR_INVALID_ARGUMENT, "trainer.prefetch is 65"},
        {foreign_optimizer, SSLCV_ERR_INVALID_ARGUMENT, "trainer.optimizer is not a live optimizer handle"},
    };
    sslcv_trainer *trainer = NULL;
    sslcv_trainer_options t;
    size_t i;
    rig r;

    make_rig(&r, &plain);
    OK(create_with(&r, no_change));
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FAILS(create_with(&r, cases[i].change), cases[i].status, cases[i].text);
    }
    OK(sslcv_trainer_options_init(&t, sizeof t));
    FAILS(sslcv_trainer_create(NULL, &t, &trainer), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_trainer_create(r.context, NULL, &trainer), SSLCV_ERR_INVALID_ARGUMENT, "options is NULL");
    FAILS(sslcv_trainer_create(r.context, &t, NULL), SSLCV_ERR_INVALID_ARGUMENT, "trainer is NULL");
    FAILS(sslcv_trainer_options_init(&t, 8), SSLCV_ERR_INVALID_ARGUMENT, "trainer_options.struct_size is 8");
    FAILS(sslcv_trainer_options_init(NULL, sizeof t), SSLCV_ERR_INVALID_ARGUMENT, "NULL");
    ck_assert(trainer == NULL);
    free_rig(&r);
}
END_TEST

START_TEST(test_branch_errors)
{
    const int64_t no_view[] = {3};
    sslcv_branch b, good;
    sslcv_head *heads[2];
    int64_t index = -7;
    rig r;

    make_rig(&r, &plain);
    OK(sslcv_branch_init(&good, sizeof good));
    good.views = views_01;
    good.num_views = 2;
    good.backbone = r.backbone;
    good.stage = STAGE;
    heads[0] = r.projection;
    heads[1] = r.classifier;
    good.heads = heads;
    good.num_heads = 1;
#define REFUSED(change, status, text)                                                                                  \
    do {                                                                                                               \
        b = good;                                                                                                      \
        change;                                                                                                        \
        FAILS(sslcv_trainer_add_branch(r.trainer, &b, &index), status, text);                                          \
    } while (0)
    REFUSED(b.views = NULL, SSLCV_ERR_INVALID_ARGUMENT, "branch.views is NULL");
    REFUSED(b.num_views = 0, SSLCV_ERR_INVALID_ARGUMENT, "branch.num_views is 0");
    REFUSED(b.views = no_view; b.num_views = 1, SSLCV_ERR_NOT_FOUND, "3");
    REFUSED(b.stage = "layer9", SSLCV_ERR_NOT_FOUND, "branch.stage is \"layer9\"");
    REFUSED(b.backbone = NULL; b.stage = "layer1", SSLCV_ERR_INVALID_ARGUMENT, "no backbone");
    REFUSED(b.backbone = NULL; b.stage = NULL;
            b.num_heads = 0, SSLCV_ERR_INVALID_ARGUMENT, "neither backbone nor heads");
    REFUSED(b.flags = 64, SSLCV_ERR_INVALID_ARGUMENT, "branch.flags is 64");
    REFUSED(b.flags |= SSLCV_PASS_INPUT_GRADIENT, SSLCV_ERR_INVALID_ARGUMENT, "branch.flags");
    REFUSED(b.grouping = 2, SSLCV_ERR_INVALID_ARGUMENT, "branch.grouping is 2");
    REFUSED(b.head_grouping = -1, SSLCV_ERR_INVALID_ARGUMENT, "branch.head_grouping is -1");
    REFUSED(b.detach = 1, SSLCV_ERR_INVALID_ARGUMENT, "branch.detach is 1; must be 0 without a source");
    REFUSED(b.source = 0, SSLCV_ERR_NOT_FOUND, "branch.source is 0");
    REFUSED(b.heads = NULL, SSLCV_ERR_INVALID_ARGUMENT, "branch.heads is NULL");
    REFUSED(b.num_heads = 2, SSLCV_ERR_INVALID_ARGUMENT,
            "branch.heads[1] takes 8 values; the network before it gives 16");
    REFUSED(b.stage = "layer2", SSLCV_ERR_INVALID_ARGUMENT, "branch.heads[0] takes 8 values");
    ck_assert_int_eq(index, -7);
    OK(sslcv_trainer_add_branch(r.trainer, &good, &index));
    ck_assert_int_eq(index, 0);
    REFUSED(b.source = 0, SSLCV_ERR_INVALID_ARGUMENT, "must have heads only");
    REFUSED(b.source = 0; b.num_views = 0; b.backbone = NULL; b.stage = NULL;
            b.num_heads = 0, SSLCV_ERR_INVALID_ARGUMENT, "branch.num_heads is 0");
    REFUSED(b.source = 0; b.num_views = 0; b.backbone = NULL;
            b.stage = NULL, SSLCV_ERR_INVALID_ARGUMENT,
            "branch.heads[0] takes 8 values; the network before it gives 16");
#undef REFUSED
    free_rig(&r);
}
END_TEST

START_TEST(test_loss_errors)
{
    const int64_t branches[2] = {0, 0}, none[1] = {4};
    sslcv_backbone *backbone;
    sslcv_head *head;
    sslcv_loss *loss;
    sslcv_state *state;
    sslcv_hook hook;
    rig r;

    make_rig(&r, &plain);
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_STATE, "no loss yet");
    FAILS(sslcv_trainer_get_state(r.trainer, &state), SSLCV_ERR_STATE, "no loss yet");
    add_branch(&r, views_01, 2, r.projection);
    FAILS(sslcv_trainer_add_loss(r.trainer, r.contrast, none, 1, 1.0, NULL), SSLCV_ERR_NOT_FOUND, "branches[0] is 4");
    FAILS(sslcv_trainer_add_loss(r.trainer, r.contrast, NULL, 1, 1.0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "branches");
    FAILS(sslcv_trainer_add_loss(r.trainer, r.labels, branches, 2, 1.0, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "num_branches is 2; \"cross_entropy\" takes 1");
    FAILS(sslcv_trainer_add_loss(r.trainer, r.contrast, branches, 1, NAN, NULL), SSLCV_ERR_INVALID_ARGUMENT, "weight");
    FAILS(sslcv_trainer_add_loss(r.trainer, NULL, branches, 1, 1.0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    OK(sslcv_trainer_add_loss(r.trainer, r.contrast, branches, 1, 1.0, NULL));
    OK(sslcv_hook_init(&hook, sizeof hook));
    FAILS(sslcv_trainer_add_hook(r.trainer, &hook), SSLCV_ERR_INVALID_ARGUMENT, "hook.call is NULL");
    hook.call = record;
    hook.every = 0;
    FAILS(sslcv_trainer_add_hook(r.trainer, &hook), SSLCV_ERR_INVALID_ARGUMENT, "hook.every is 0");
    hook.every = 1;
    hook.events = 16;
    FAILS(sslcv_trainer_add_hook(r.trainer, &hook), SSLCV_ERR_INVALID_ARGUMENT, "hook.events is 16");
    OK(sslcv_trainer_get_backbone(r.trainer, 0, 0, &backbone));
    ck_assert(backbone == r.backbone);
    sslcv_backbone_destroy(backbone);
    OK(sslcv_trainer_get_head(r.trainer, 0, 0, 0, &head));
    ck_assert(head == r.projection);
    sslcv_head_destroy(head);
    OK(sslcv_trainer_get_loss(r.trainer, 0, &loss));
    ck_assert(loss == r.contrast);
    sslcv_loss_destroy(loss);
    FAILS(sslcv_trainer_get_backbone(r.trainer, 1, 0, &backbone), SSLCV_ERR_NOT_FOUND, "branch is 1");
    FAILS(sslcv_trainer_get_head(r.trainer, 0, 1, 0, &head), SSLCV_ERR_NOT_FOUND, "index is 1; branch 0 has 1 heads");
    FAILS(sslcv_trainer_get_loss(r.trainer, 1, &loss), SSLCV_ERR_NOT_FOUND, "index is 1");
    OK(sslcv_trainer_run(r.trainer, 1));
    FAILS(sslcv_trainer_add_loss(r.trainer, r.contrast, branches, 1, 1.0, NULL), SSLCV_ERR_STATE, "is fixed");
    FAILS(sslcv_trainer_run(r.trainer, -1), SSLCV_ERR_INVALID_ARGUMENT, "max_steps is -1");
    FAILS(sslcv_backbone_freeze(r.backbone, 1), SSLCV_ERR_STATE, "begun");
    FAILS(sslcv_trainer_run(NULL, 1), SSLCV_ERR_INVALID_ARGUMENT, "trainer is NULL");
    free_rig(&r);
}
END_TEST

START_TEST(test_destroy_in_any_order)
{
    sslcv_state *state;
    rig r;

    make_simclr(&r, &plain);
    sslcv_context_destroy(r.context);
    sslcv_dataset_destroy(r.dataset);
    sslcv_augmenter_destroy(r.augmenter);
    sslcv_optimizer_destroy(r.optimizer);
    sslcv_backbone_destroy(r.backbone);
    sslcv_head_destroy(r.projection);
    sslcv_head_destroy(r.classifier);
    sslcv_loss_destroy(r.contrast);
    sslcv_loss_destroy(r.labels);
    OK(sslcv_trainer_run(r.trainer, 2));
    OK(sslcv_trainer_get_state(r.trainer, &state));
    sslcv_trainer_destroy(r.trainer);
    free(read_state(state, SSLCV_ROLE_ALL).values);
}
END_TEST

START_TEST(test_create_out_of_memory)
{
    budget b = {-1, 0};
    const sslcv_allocator allocator = {sizeof allocator, &b, allocate, deallocate, NULL};
    rig_options o = plain;
    sslcv_status status;
    int64_t n, held;
    rig r;

    o.allocator = &allocator;
    o.checkpoint = "/nowhere";
    make_rig(&r, &o);
    sslcv_trainer_destroy(r.trainer);
    held = b.held;
    for (n = 0;; n++) {
        r.trainer = NULL;
        b.left = n;
        status = make_trainer(&r, &o);
        b.left = -1;
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        ck_assert(r.trainer == NULL);
        ck_assert_int_eq(b.held, held);
    }
    ck_assert(n > 3);
    free_rig(&r);
    ck_assert_int_eq(b.held, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer_compose");
    TCase *tests = tcase_create("trainer_compose");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_source_is_the_same);
    tcase_add_test(tests, test_two_losses_add_up);
    tcase_add_test(tests, test_detach);
    tcase_add_test(tests, test_shared_networks);
    tcase_add_test(tests, test_grouping_matters);
    tcase_add_test(tests, test_unused_branch_rests);
    tcase_add_test(tests, test_flags);
    tcase_add_test(tests, test_map);
    tcase_add_test(tests, test_describe);
    tcase_add_test(tests, test_create_errors);
    tcase_add_test(tests, test_branch_errors);
    tcase_add_test(tests, test_loss_errors);
    tcase_add_test(tests, test_destroy_in_any_order);
    tcase_add_test(tests, test_create_out_of_memory);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
