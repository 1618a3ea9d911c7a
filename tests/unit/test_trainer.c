/* The trainer: branches, steps, hooks, checkpoints. Nets are small: a ResNet-18 of width 1/8 on images of 16 x 16. */
#include "support.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <sslcv/sslcv.h>

#include "train/trainer.h"

enum { SAMPLES = 24, BATCH = 8, SIDE = 16, CHANNELS = 3, CLASSES = 4, DIM = 16, PIXELS = CHANNELS * SIDE * SIDE };

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
} rig_options;

static const rig_options plain = {.epochs = 4, .seed = 7};

/* Bright quadrant by class, and noise. */
static void fill_images(float *images, int64_t *labels, int64_t count)
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

static void make_data(rig *r)
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
    OK(sslcv_dataset_add_image(r->dataset, &tensor, labels));
    OK(sslcv_augmenter_create(r->context, &r->augmenter));
    OK(sslcv_augmenter_add_preset(r->augmenter, "simclr-cifar", SIDE, NULL, NULL));
    OK(sslcv_augmenter_add_preset(r->augmenter, "eval-cifar", SIDE, NULL, NULL)); /* view 2 */
}

static sslcv_head *make_head(sslcv_context *context, int64_t in, int64_t out, int32_t layers, uint64_t seed)
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

static void make_networks(rig *r)
{
    sslcv_backbone_options net;
    sslcv_backbone_info info;
    sslcv_info_nce_options nce;
    sslcv_optimizer_options sgd;

    OK(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
    net.stem = SSLCV_STEM_CIFAR;
    net.width = 0.125;
    net.seed = 11;
    OK(sslcv_backbone_create(r->context, &net, &r->backbone));
    info.struct_size = sizeof info;
    OK(sslcv_backbone_get_info(r->backbone, &info));
    r->projection = make_head(r->context, info.feature_dim, DIM, 2, 12);
    r->classifier = make_head(r->context, info.feature_dim, CLASSES, 1, 13);
    OK(sslcv_info_nce_options_init(&nce, sizeof nce));
    nce.temperature = 0.5;
    OK(sslcv_loss_create_info_nce(r->context, &nce, &r->contrast));
    OK(sslcv_loss_create_cross_entropy(r->context, NULL, &r->labels));
    OK(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    OK(sslcv_optimizer_create(r->context, &sgd, &r->optimizer));
}

static sslcv_status make_trainer(rig *r, const rig_options *o)
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
    return sslcv_trainer_create(r->context, &t, &r->trainer);
}

static void make_rig(rig *r, const rig_options *o)
{
    sslcv_context_options c;

    memset(r, 0, sizeof *r);
    OK(sslcv_context_options_init(&c, sizeof c));
    c.threads = 1;
    c.loader_threads = o->loader_threads;
    c.seed = 5;
    c.allocator = o->allocator;
    OK(sslcv_context_create(&c, &r->context));
    make_data(r);
    make_networks(r);
    OK(make_trainer(r, o));
}

static void free_rig(rig *r)
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
static int64_t add_branch(rig *r, const int64_t *views, int64_t num_views, sslcv_head *head)
{
    sslcv_branch b;
    int64_t index;

    OK(sslcv_branch_init(&b, sizeof b));
    b.views = views;
    b.num_views = num_views;
    b.backbone = r->backbone;
    b.heads = &head;
    b.num_heads = head != NULL;
    OK(sslcv_trainer_add_branch(r->trainer, &b, &index));
    return index;
}

static int64_t add_source_branch(rig *r, int64_t source, sslcv_head *head, int32_t detach)
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

static void add_loss(rig *r, sslcv_loss *loss, int64_t branch, double weight)
{
    OK(sslcv_trainer_add_loss(r->trainer, loss, &branch, 1, weight, NULL));
}

static void compose_simclr(rig *r)
{
    add_loss(r, r->contrast, add_branch(r, views_01, 2, r->projection), 1.0);
}

static void make_simclr(rig *r, const rig_options *o)
{
    make_rig(r, o);
    compose_simclr(r);
}

/* Loss of the next steps. */
static void steps(rig *r, int count, double *losses)
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

static weights read_state(sslcv_state *state, int32_t roles)
{
    weights w = {NULL, 0};

    OK(sslcv_state_get_flat(state, roles, NULL, 0, &w.count));
    w.values = malloc((size_t)w.count * sizeof *w.values + 1);
    OK(sslcv_state_get_flat(state, roles, w.values, w.count, NULL));
    sslcv_state_destroy(state);
    return w;
}

static weights read_backbone(rig *r, int32_t roles)
{
    sslcv_state *state;

    OK(sslcv_backbone_get_state(r->backbone, &state));
    return read_state(state, roles);
}

static weights read_trainer(rig *r)
{
    sslcv_state *state;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    return read_state(state, SSLCV_ROLE_ALL);
}

static int equal(weights a, weights b)
{
    const int same = a.count == b.count && memcmp(a.values, b.values, (size_t)a.count * sizeof *a.values) == 0;

    free(a.values);
    free(b.values);
    return same;
}

static double largest_difference(weights a, weights b)
{
    double largest = 0.0;
    int64_t i;

    ck_assert(a.count == b.count);
    for (i = 0; i < a.count; i++) largest = fmax(largest, fabs((double)a.values[i] - b.values[i]));
    free(a.values);
    free(b.values);
    return largest;
}

/* ---- learning ---- */

START_TEST(test_loss_falls)
{
    const rig_options o = {.epochs = 12, .seed = 7};
    double losses[36];
    rig r;

    make_rig(&r, &o);
    add_loss(&r, r.labels, add_branch(&r, view_2, 1, r.classifier), 1.0);
    steps(&r, 36, losses);
    ck_assert_msg(losses[35] < 0.3 * losses[0], "from %g to %g", losses[0], losses[35]);
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_STATE, "all 12 epochs are done");
    OK(sslcv_trainer_run(r.trainer, 0));
    free_rig(&r);
}
END_TEST

START_TEST(test_contrast_falls)
{
    const rig_options o = {.epochs = 12, .seed = 7};
    double losses[36];
    rig r;

    make_simclr(&r, &o);
    steps(&r, 36, losses);
    ck_assert_msg(losses[33] + losses[34] + losses[35] < losses[0] + losses[1] + losses[2] - 0.3, "from %g to %g",
                  losses[0], losses[35]);
    free_rig(&r);
}
END_TEST

START_TEST(test_same_for_any_loader_threads)
{
    const int32_t threads[] = {0, 1, 4};
    double losses[3][5];
    rig r;
    int i;

    for (i = 0; i < 3; i++) {
        const rig_options o = {.epochs = 4, .seed = 7, .loader_threads = threads[i]};

        make_simclr(&r, &o);
        steps(&r, 5, losses[i]);
        free_rig(&r);
    }
    ck_assert_mem_eq(losses[0], losses[1], sizeof losses[0]);
    ck_assert_mem_eq(losses[0], losses[2], sizeof losses[0]);
}
END_TEST

START_TEST(test_seed_matters)
{
    rig_options o = plain;
    double a[1], b[1];
    rig r;

    make_simclr(&r, &o);
    steps(&r, 1, a);
    free_rig(&r);
    o.seed = 8;
    make_simclr(&r, &o);
    steps(&r, 1, b);
    free_rig(&r);
    ck_assert(a[0] != b[0]);
}
END_TEST

START_TEST(test_last_batch_kept)
{
    const rig_options o = {.epochs = 2, .seed = 7, .keep_last = 1}; /* 9 + 9 + 6 */
    sslcv_progress progress;
    sslcv_context_info info;
    int64_t bytes = 0;
    rig r;
    int i;

    make_simclr(&r, &o);
    progress.struct_size = sizeof progress;
    info.struct_size = sizeof info;
    for (i = 0; i < 6; i++) {
        OK(sslcv_trainer_step(r.trainer, &progress));
        ck_assert_int_eq(progress.num_steps, 6);
        ck_assert_int_eq(progress.epoch, i / 3);
        OK(sslcv_context_get_info(r.context, &info));
        if (i == 3) bytes = info.bytes;
    }
    ck_assert_int_eq(info.bytes, bytes);
    free_rig(&r);
}
END_TEST

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

/* ---- the host's views ---- */

typedef struct host_views {
    float pixels[2][BATCH * PIXELS];
    int64_t labels[BATCH];
    sslcv_tensor tensors[3];
} host_views;

static void make_views(host_views *v, int64_t side)
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

/* Gradients of the backbone's parameters when its branch is run back with a gradient that is the same at all pixels. */
static weights run_back(rig *r, int32_t is_map)
{
    static host_views v;
    static float unit[2 * BATCH * 16];
    const sslcv__feed feed = {.size = BATCH, .views = v.tensors, .num_views = 2};
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
    b.stage = "layer2"; /* of width 1/8: 16 channels, 8 x 8 pixels */
    if (is_map) b.flags |= SSLCV_PASS_MAP;
    OK(sslcv_trainer_add_branch(r->trainer, &b, &index));
    add_loss(r, r->contrast, index, 1.0);
    OK(sslcv__trainer_fix(r->trainer));
    OK(sslcv__branch_forward(r->trainer, 0, &feed));
    branch = &r->trainer->branches[0];
    output = sslcv__branch_output(r->trainer, 0);
    ck_assert_int_eq(output->shape[2], is_map ? 64 : 1);
    ck_assert_int_eq(output->shape[3], 16);
    if (is_map) { /* (M, D, h, w) has become (V, N, P, D) */
        const float *turned = output->data, *given;

        OK(sslcv_tape_output(branch->links[0].passes[0].tape, &rows));
        given = rows.data;
        for (n = 0; n < 2 * BATCH; n++) {
            for (p = 0; p < 64; p++) {
                for (d = 0; d < 16; d++) ck_assert(turned[(n * 64 + p) * 16 + d] == given[(n * 16 + d) * 64 + p]);
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
    OK(sslcv__branch_backward(r->trainer, 0));
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
    FAILS(sslcv_trainer_step(s.trainer, NULL), SSLCV_ERR_INVALID_ARGUMENT, "64 positions");
    FAILS(sslcv_trainer_step(s.trainer, NULL), SSLCV_ERR_INVALID_ARGUMENT, "64 positions");
    ck_assert(equal(before, read_backbone(&s, SSLCV_ROLE_PARAMETERS)));
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* What the loader gives, handed in by the host: the same step. */
START_TEST(test_step_views_like_step)
{
    sslcv_loader_options lo;
    sslcv_loader *loader;
    sslcv_batch batch;
    sslcv_tensor views[2];
    sslcv_progress progress;
    static float copy[2][BATCH * PIXELS];
    double one[3];
    rig r, s;
    int i, k;

    make_simclr(&r, &plain);
    steps(&r, 3, one);
    make_simclr(&s, &plain);
    OK(sslcv_loader_options_init(&lo, sizeof lo));
    lo.dataset = s.dataset;
    lo.augmenter = s.augmenter;
    lo.batch_size = BATCH;
    lo.seed = 7;
    OK(sslcv_loader_create(s.context, &lo, &loader));
    batch.struct_size = sizeof batch;
    progress.struct_size = sizeof progress;
    for (i = 0; i < 3; i++) {
        OK(sslcv_loader_next(loader, &batch));
        if (i == 1) { /* and once the trainer itself, in between */
            OK(sslcv_trainer_step(s.trainer, &progress));
        } else {
            for (k = 0; k < 2; k++) {
                const int64_t view = k;

                OK(sslcv_loader_get_views(loader, &view, 1, &views[k]));
                memcpy(copy[k], views[k].data, sizeof copy[k]);
                views[k].data = copy[k];
            }
            OK(sslcv_trainer_step_views(s.trainer, views, 2, NULL, NULL, &progress));
        }
        ck_assert_msg(progress.loss == one[i], "step %d: %.17g, not %.17g", i, progress.loss, one[i]);
    }
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    sslcv_loader_destroy(loader);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* Views of two shapes: JOINED makes two passes, as BY_VIEW does. Channels-last arrays serve as they are. */
START_TEST(test_shapes_and_strides)
{
    const rig_options o = {.epochs = 4, .seed = 7, .no_data = 1};
    static host_views v;
    static float interleaved[BATCH * PIXELS];
    double loss[2];
    sslcv_progress progress;
    sslcv_branch b;
    int64_t index, n, c, y, x;
    rig r;
    int i;

    progress.struct_size = sizeof progress;
    for (i = 0; i < 2; i++) {
        make_rig(&r, &o);
        make_views(&v, SIDE);
        v.tensors[1].shape[2] = v.tensors[1].shape[3] = SIDE / 2; /* its upper left corner */
        OK(sslcv_branch_init(&b, sizeof b));
        b.views = views_01;
        b.num_views = 2;
        b.backbone = r.backbone;
        b.heads = &r.projection;
        b.num_heads = 1;
        b.grouping = i;
        OK(sslcv_trainer_add_branch(r.trainer, &b, &index));
        add_loss(&r, r.contrast, index, 1.0);
        if (i == 1) {
            for (n = 0; n < BATCH; n++) {
                for (c = 0; c < CHANNELS; c++) {
                    for (y = 0; y < SIDE; y++) {
                        for (x = 0; x < SIDE; x++) {
                            interleaved[((n * SIDE + y) * SIDE + x) * CHANNELS + c] =
                                v.pixels[0][((n * CHANNELS + c) * SIDE + y) * SIDE + x];
                        }
                    }
                }
            }
            v.tensors[0].data = interleaved;
            v.tensors[0].strides[1] = 1;
            v.tensors[0].strides[2] = SIDE * CHANNELS;
            v.tensors[0].strides[3] = CHANNELS;
        }
        OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, &progress));
        OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, &progress));
        loss[i] = progress.loss;
        free_rig(&r);
    }
    ck_assert(loss[0] == loss[1]);
}
END_TEST

START_TEST(test_step_views_errors)
{
    const rig_options o = {.epochs = 1, .seed = 7, .no_data = 1};
    static host_views v;
    rig r;

    make_simclr(&r, &o);
    make_views(&v, SIDE);
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_STATE, "no data set");
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_STATE, "no data set");
    FAILS(sslcv_trainer_step_views(r.trainer, NULL, 2, NULL, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "views is NULL");
    FAILS(sslcv_trainer_step_views(r.trainer, v.tensors, 1, NULL, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "num_views is 1; the branches use 2");
    v.tensors[1].data = NULL;
    FAILS(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "view 1");
    make_views(&v, SIDE);
    v.tensors[1].shape[0] = BATCH - 1;
    FAILS(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "views[1] has 7 images; the others have 8");
    make_views(&v, SIDE);
    v.tensors[0].ndim = 3;
    FAILS(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "views[0]");
    make_views(&v, SIDE);
    v.tensors[1].dtype = SSLCV_U8;
    FAILS(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "f32");
    make_views(&v, SIDE);
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 3, NULL, v.labels, NULL));
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 3, NULL, NULL, NULL));
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 3, NULL, NULL, NULL));
    FAILS(sslcv_trainer_step_views(r.trainer, v.tensors, 3, NULL, NULL, NULL), SSLCV_ERR_STATE, "all 1 epochs");
    free_rig(&r);
}
END_TEST

/* ---- not finite ---- */

/* Values that overflow inside: batch norm has recorded them when the loss finds out. All is put back. */
START_TEST(test_numeric_failure_changes_nothing)
{
    static host_views v;
    sslcv_progress progress;
    sslcv_trainer *failed;
    weights before;
    int64_t i;
    rig r, s;

    make_simclr(&r, &plain);
    make_views(&v, SIDE);
    progress.struct_size = sizeof progress;
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, &progress));
    before = read_backbone(&r, SSLCV_ROLE_ALL);
    for (i = 0; i < BATCH * PIXELS; i++) v.pixels[0][i] = i % 2 ? 3e38f : -3e38f;
    progress.loss = -1.0;
    FAILS(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, &progress), SSLCV_ERR_NUMERIC, "");
    ck_assert(progress.loss == -1.0);
    ck_assert(equal(before, read_backbone(&r, SSLCV_ROLE_ALL)));
    before = read_backbone(&r, SSLCV_ROLE_ALL);
    v.pixels[1][5] = NAN;
    FAILS(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL), SSLCV_ERR_NUMERIC, "");
    ck_assert(equal(before, read_backbone(&r, SSLCV_ROLE_ALL)));

    /* The fourth step, the first of the next epoch, is as in a run that has stood there all the time. */
    OK(sslcv_trainer_step(r.trainer, &progress));
    ck_assert_int_eq(progress.step, 4);
    ck_assert_int_eq(progress.epoch, 1);
    make_simclr(&s, &plain);
    failed = s.trainer;
    make_views(&v, SIDE);
    OK(sslcv_trainer_step_views(failed, v.tensors, 2, NULL, NULL, NULL));
    v.pixels[1][5] = NAN;
    FAILS(sslcv_trainer_step_views(failed, v.tensors, 2, NULL, NULL, NULL), SSLCV_ERR_NUMERIC, "");
    FAILS(sslcv_trainer_step_views(failed, v.tensors, 2, NULL, NULL, NULL), SSLCV_ERR_NUMERIC, "");
    OK(sslcv_trainer_step(failed, NULL));
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* ---- hooks ---- */

typedef struct recorder {
    char text[512];
    int64_t stop_at; /* step at which it asks to stop */
    int32_t destroyed;
    int32_t calls;
    sslcv_status inner;
    rig *rig;
} recorder;

static int32_t record(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
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

static void count_destroy(void *user)
{
    ((recorder *)user)->destroyed++;
}

static void add_hook(rig *r, recorder *log, int32_t (*call)(void *, sslcv_trainer *, const sslcv_progress *),
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

START_TEST(test_events)
{
    const rig_options o = {.epochs = 3, .seed = 7};
    recorder all = {.text = ""}, some = {.text = ""};
    rig r;

    make_simclr(&r, &o);
    add_hook(&r, &all, record, 15, 1);
    add_hook(&r, &some, record, 7, 2);
    OK(sslcv_trainer_run(r.trainer, 0));
    ck_assert_str_eq(all.text, "b0 s1 s2 s3 e0 b1 s4 s5 s6 e1 b2 s7 s8 s9 e2 ");
    ck_assert_str_eq(some.text, "b0 s2 s4 s6 e1 b2 s8 ");
    free_rig(&r);
    ck_assert_int_eq(all.destroyed, 1);
    ck_assert_int_eq(some.destroyed, 1);
}
END_TEST

/* Everything that a hook must not do, and some that it may. */
static int32_t try_all(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    recorder *log = user;
    static host_views v;
    sslcv_branch branch;
    sslcv_hook hook;
    sslcv_state *state;
    sslcv_tape *tape;
    sslcv_pass pass;
    sslcv_tensor value;
    sslcv_memory memory;
    const int64_t zero = 0;
    int64_t index, step = 100;

    (void)progress;
    log->calls++;
    make_views(&v, SIDE);
    FAILS(sslcv_trainer_step(trainer, NULL), SSLCV_ERR_STATE, "a hook must not step its trainer");
    FAILS(sslcv_trainer_step_views(trainer, v.tensors, 2, NULL, NULL, NULL), SSLCV_ERR_STATE, "a hook");
    FAILS(sslcv_trainer_run(trainer, 1), SSLCV_ERR_STATE, "a hook must not run its trainer");
    OK(sslcv_branch_init(&branch, sizeof branch));
    FAILS(sslcv_trainer_add_branch(trainer, &branch, NULL), SSLCV_ERR_STATE, "a hook");
    FAILS(sslcv_trainer_add_loss(trainer, log->rig->contrast, &zero, 1, 1.0, NULL), SSLCV_ERR_STATE, "a hook");
    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.call = record;
    FAILS(sslcv_trainer_add_hook(trainer, &hook), SSLCV_ERR_STATE, "a hook");
    OK(sslcv_trainer_get_state(trainer, &state));
    OK(sslcv_state_find(state, "trainer.step", &index));
    OK(sslcv_tensor_init(&value, SSLCV_I64, &step, 0, NULL));
    FAILS(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &value), SSLCV_ERR_STATE, "a hook must not load");
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &value));
    ck_assert_int_eq(step, log->calls);
    sslcv_state_destroy(state);
    OK(sslcv_trainer_set_metric(trainer, "mine", 3.0));
    memory.struct_size = sizeof memory;
    OK(sslcv_trainer_get_memory(trainer, &memory));
    OK(sslcv_tape_create(log->rig->context, &tape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = 0;
    OK(sslcv_backbone_forward(log->rig->backbone, &v.tensors[0], &pass, tape));
    sslcv_tape_destroy(tape);
    return 0;
}

START_TEST(test_hook_rules)
{
    recorder log = {.text = ""};
    double watched[3], losses[3];
    rig r, s;

    make_simclr(&r, &plain);
    add_hook(&r, &log, try_all, SSLCV_EVENT_STEP, 1);
    steps(&r, 3, watched);
    ck_assert_int_eq(log.calls, 3);
    make_simclr(&s, &plain);
    steps(&s, 3, losses);
    ck_assert_mem_eq(watched, losses, sizeof losses);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

static int32_t fail_inside(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)user;
    (void)progress;
    return sslcv_trainer_set_metric(trainer, "loss", 1.0) != SSLCV_OK;
}

static int32_t drop_trainer(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)user;
    (void)progress;
    sslcv_trainer_destroy(trainer);
    return 0;
}

START_TEST(test_hooks_stop)
{
    recorder log = {.stop_at = 2}, inner = {.text = ""}, last = {.text = ""};
    rig r;

    make_simclr(&r, &plain);
    add_hook(&r, &log, record, 15, 1);
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_CANCELLED, "a hook stopped the run behind step 2");
    OK(sslcv_trainer_run(r.trainer, 1));
    ck_assert_str_eq(log.text, "b0 s1 s2 s3 e0 ");
    add_hook(&r, &inner, fail_inside, SSLCV_EVENT_EPOCH_BEGIN, 1);
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_CANCELLED, "name is \"loss\"");
    ck_assert_str_eq(log.text, "b0 s1 s2 s3 e0 b1 ");
    OK(sslcv_trainer_run(r.trainer, 1)); /* the epoch has begun */
    ck_assert_str_eq(log.text, "b0 s1 s2 s3 e0 b1 s4 ");
    add_hook(&r, &last, drop_trainer, SSLCV_EVENT_STEP, 1);
    OK(sslcv_trainer_step(r.trainer, NULL));
    ck_assert_int_eq(last.destroyed, 1);
    r.trainer = NULL;
    free_rig(&r);
}
END_TEST

START_TEST(test_collapse)
{
    recorder log = {.text = ""};
    sslcv_progress progress;
    sslcv_state_entry entry;
    sslcv_state *state;
    sslcv_tensor value;
    float *zeros;
    int64_t i, k, count;
    double losses[1];
    rig r;

    make_simclr(&r, &plain);
    add_hook(&r, &log, record, SSLCV_EVENT_COLLAPSE, 1);
    steps(&r, 1, losses);
    ck_assert_str_eq(log.text, "");
    OK(sslcv_head_get_state(r.projection, &state));
    entry.struct_size = sizeof entry;
    for (i = 0; sslcv_state_get_entry(state, i, &entry) == SSLCV_OK; i++) { /* constant output: 0 x + bias */
        if (entry.role != SSLCV_ROLE_WEIGHT || entry.shape[0] != DIM) continue;
        for (count = 1, k = 0; k < entry.ndim; k++) count *= entry.shape[k];
        zeros = calloc((size_t)count, sizeof *zeros);
        OK(sslcv_tensor_init(&value, SSLCV_F32, zeros, entry.ndim, entry.shape));
        OK(sslcv_state_set(state, i, SSLCV_STATE_VALUE, &value));
        free(zeros);
    }
    sslcv_state_destroy(state);
    progress.struct_size = sizeof progress;
    OK(sslcv_trainer_step(r.trainer, &progress));
    ck_assert_msg(progress.embedding_std < 1e-6, "%g", progress.embedding_std);
    ck_assert_str_eq(log.text, "c0 ");
    free_rig(&r);
}
END_TEST

/* ---- checkpoints ---- */

static char folder[64], path[96];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/sslcv_trainer_XXXXXX");
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/run.ckpt", folder);
}

static void remove_folder(void)
{
    char name[128];
    int i;

    unlink(path);
    for (i = 1; i < 4; i++) {
        snprintf(name, sizeof name, "%s.%d", path, i);
        unlink(name);
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

/* Stopped behind step `at` by cancel, gone on in new objects with other random seeds: as if nothing had been. */
START_TEST(test_resume_is_exact)
{
    static const int64_t stops[] = {1, 3, 5};
    recorder log = {.stop_at = stops[_i]}, rest = {.text = ""};
    rig_options o = plain;
    weights whole;
    rig r;

    make_folder();
    make_simclr(&r, &plain);
    OK(sslcv_trainer_run(r.trainer, 0));
    whole = read_trainer(&r);
    free_rig(&r);

    o.checkpoint = path;
    make_simclr(&r, &o);
    add_hook(&r, &log, record, SSLCV_EVENT_STEP, 1);
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_CANCELLED, "a hook stopped the run");
    free_rig(&r);

    o.resume = 1;
    o.seed = 99;
    o.loader_threads = 1;
    make_simclr(&r, &o);
    add_hook(&r, &rest, record, SSLCV_EVENT_STEP, 1);
    OK(sslcv_trainer_run(r.trainer, 0));
    ck_assert_int_eq(rest.calls, 12 - stops[_i]);
    ck_assert(equal(whole, read_trainer(&r)));
    free_rig(&r);
    remove_folder();
}
END_TEST

/* The same objects go on too; and what run() has saved at the end of an epoch serves as well. */
START_TEST(test_cancel_and_go_on)
{
    rig_options o = plain;
    double rest[6], whole[12];
    sslcv_state *state;
    rig r;

    make_folder();
    make_simclr(&r, &plain);
    steps(&r, 12, whole);
    free_rig(&r);
    o.checkpoint = path;
    o.checkpoint_epochs = 1;
    make_simclr(&r, &o);
    OK(sslcv_trainer_run(r.trainer, 7));
    OK(sslcv_context_cancel(r.context, 1));
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_CANCELLED, "sslcv_context_cancel()");
    ck_assert_int_eq(access(path, F_OK), 0);
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_CANCELLED, "sslcv_context_cancel()");
    OK(sslcv_context_cancel(r.context, 0));
    steps(&r, 5, rest);
    ck_assert_mem_eq(rest, whole + 7, 5 * sizeof *rest);
    OK(sslcv_trainer_get_state(r.trainer, &state)); /* back to step 7 */
    OK(sslcv_state_load(state, path, NULL, NULL));
    steps(&r, 5, rest);
    ck_assert_mem_eq(rest, whole + 7, 5 * sizeof *rest);
    snprintf(path, sizeof path, "%s/run.ckpt.1", folder); /* the end of epoch 1, kept by the second save */
    OK(sslcv_state_load(state, path, NULL, NULL));
    sslcv_state_destroy(state);
    steps(&r, 6, rest);
    ck_assert_mem_eq(rest, whole + 6, sizeof rest);
    free_rig(&r);
    unlink(path);
    snprintf(path, sizeof path, "%s/run.ckpt", folder);
    remove_folder();
}
END_TEST

START_TEST(test_checkpoint_of_another)
{
    const int64_t branch = 0;
    sslcv_state *state;
    char weights_path[128];
    rig_options o = plain;
    rig r, s;

    make_folder();
    o.checkpoint = path;
    make_simclr(&r, &o);
    OK(sslcv_trainer_run(r.trainer, 12));
    free_rig(&r);

    make_rig(&s, &plain);
    add_branch(&s, views_01, 2, s.projection);
    OK(sslcv_trainer_add_loss(s.trainer, s.contrast, &branch, 1, 0.5, NULL));
    OK(sslcv_trainer_get_state(s.trainer, &state));
    FAILS(sslcv_state_load(state, path, NULL, NULL), SSLCV_ERR_FORMAT, "0.5 * info_nce(branch 0)");
    sslcv_state_destroy(state);
    OK(sslcv_backbone_get_state(s.backbone, &state));
    snprintf(weights_path, sizeof weights_path, "%s/weights", folder);
    OK(sslcv_state_save(state, weights_path, NULL));
    sslcv_state_destroy(state);
    OK(sslcv_trainer_get_state(s.trainer, &state));
    ck_assert_int_ne(sslcv_state_load(state, weights_path, NULL, NULL), SSLCV_OK);
    sslcv_state_destroy(state);
    unlink(weights_path);
    free_rig(&s);
    remove_folder();
}
END_TEST

START_TEST(test_network_of_a_checkpoint)
{
    sslcv_load_options load;
    sslcv_state *state;
    rig_options o = plain;
    weights trained;
    rig r, s;

    make_folder();
    o.checkpoint = path;
    o.epochs = 1;
    make_simclr(&r, &o);
    OK(sslcv_trainer_run(r.trainer, 0));
    trained = read_backbone(&r, SSLCV_ROLE_ALL);
    free_rig(&r);
    make_rig(&s, &plain);
    OK(sslcv_load_options_init(&load, sizeof load));
    load.prefix = "backbone.0.";
    OK(sslcv_backbone_get_state(s.backbone, &state));
    OK(sslcv_state_load(state, path, &load, NULL));
    sslcv_state_destroy(state);
    ck_assert(equal(trained, read_backbone(&s, SSLCV_ROLE_ALL)));
    free_rig(&s);
    remove_folder();
}
END_TEST

START_TEST(test_when_to_save)
{
    rig_options o = plain;
    rig r;

    make_folder();
    o.checkpoint = path;
    make_simclr(&r, &o); /* checkpoint_epochs 0: at the end only */
    OK(sslcv_trainer_run(r.trainer, 11));
    ck_assert_int_ne(access(path, F_OK), 0);
    OK(sslcv_trainer_run(r.trainer, 0));
    ck_assert_int_eq(access(path, F_OK), 0);
    free_rig(&r);
    remove_folder();

    make_folder();
    o.checkpoint = path;
    o.checkpoint_seconds = 1e-9;
    make_simclr(&r, &o);
    OK(sslcv_trainer_run(r.trainer, 2));
    ck_assert_int_eq(access(path, F_OK), 0);
    free_rig(&r);
    o.resume = 1;
    make_simclr(&r, &o);
    unlink(path);
    OK(sslcv_trainer_run(r.trainer, 1)); /* no file to resume from: from the start */
    free_rig(&r);
    remove_folder();
}
END_TEST

/* ---- data that fails or grows ---- */

typedef struct flaky {
    float *images;
    int32_t calls;
    int32_t fail_at; /* this call of load fails */
    int32_t reserved;
} flaky;

static int32_t load_flaky(void *user, int64_t index, sslcv_tensor *image)
{
    const int64_t shape[3] = {CHANNELS, SIDE, SIDE};
    flaky *f = user;

    if (++f->calls == f->fail_at) return 1;
    return sslcv_tensor_init(image, SSLCV_F32, f->images + index * PIXELS, 3, shape) != SSLCV_OK;
}

/* A batch that cannot be read is asked for again, and the run is as if it had been readable at once. */
START_TEST(test_data_failure)
{
    static float images[SAMPLES * PIXELS];
    static int64_t labels[SAMPLES];
    sslcv_dataset_callbacks callbacks = {.struct_size = sizeof callbacks, .load = load_flaky};
    flaky f = {.images = images, .fail_at = 13};
    sslcv_dataset_options d;
    double one[5], two[5];
    rig_options o = plain;
    rig r;

    make_simclr(&r, &plain);
    steps(&r, 5, one);
    free_rig(&r);

    fill_images(images, labels, SAMPLES);
    callbacks.user = &f;
    make_rig(&r, &o);
    sslcv_trainer_destroy(r.trainer);
    sslcv_dataset_destroy(r.dataset);
    OK(sslcv_dataset_options_init(&d, sizeof d, SSLCV_DATASET_CALLBACK));
    d.count = SAMPLES;
    d.callbacks = &callbacks;
    d.on_error = SSLCV_ON_ERROR_FAIL;
    OK(sslcv_dataset_create(r.context, &d, &r.dataset));
    OK(make_trainer(&r, &o));
    compose_simclr(&r);
    steps(&r, 1, two);
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_IO, "");
    steps(&r, 4, two + 1);
    ck_assert_mem_eq(one, two, sizeof one);
    free_rig(&r);
}
END_TEST

static int32_t add_images(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    static float images[BATCH * PIXELS];
    const int64_t shape[4] = {BATCH, CHANNELS, SIDE, SIDE};
    recorder *log = user;
    sslcv_tensor tensor;

    (void)trainer;
    if (progress->epoch > 0) return 0;
    golden_input(9, BATCH * PIXELS, images);
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, images, 4, shape));
    OK(sslcv_dataset_add_image(log->rig->dataset, &tensor, NULL));
    return 0;
}

START_TEST(test_data_grows)
{
    const rig_options o = {.epochs = 2, .seed = 7};
    recorder all = {.text = ""}, grow = {.text = ""};
    rig r;

    make_simclr(&r, &o);
    add_hook(&r, &all, record, 7, 1);
    add_hook(&r, &grow, add_images, SSLCV_EVENT_EPOCH_END, 1);
    OK(sslcv_trainer_run(r.trainer, 0));
    ck_assert_str_eq(all.text, "b0 s1 s2 s3 e0 b1 s4 s5 s6 s7 e1 ");
    free_rig(&r);
}
END_TEST

/* ---- two at once ---- */

static void *train_alone(void *user)
{
    rig r;

    make_simclr(&r, &plain);
    steps(&r, 3, user);
    free_rig(&r);
    return NULL;
}

START_TEST(test_two_threads)
{
    double losses[3][3];
    pthread_t threads[2];
    int i;

    train_alone(losses[2]);
    for (i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, train_alone, losses[i]), 0);
    for (i = 0; i < 2; i++) ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_mem_eq(losses[0], losses[2], sizeof losses[0]);
    ck_assert_mem_eq(losses[1], losses[2], sizeof losses[1]);
}
END_TEST

/* ---- looking ---- */

START_TEST(test_metrics)
{
    static const char *const names[] = {"loss",          "loss.0",        "loss.0.top1",     "loss.0.mi_bound",
                                        "learning_rate", "embedding_std", "embedding_cosine"};
    const char *name;
    double value, losses[2];
    size_t i;
    rig r;

    make_simclr(&r, &plain);
    FAILS(sslcv_trainer_get_metric(r.trainer, 0, &name, &value), SSLCV_ERR_NOT_FOUND, "there are 0 metrics");
    FAILS(sslcv_trainer_set_metric(r.trainer, "loss", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "name is \"loss\"");
    FAILS(sslcv_trainer_set_metric(r.trainer, "loss.7", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "name is \"loss.7\"");
    FAILS(sslcv_trainer_set_metric(r.trainer, "", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "name is \"\"");
    steps(&r, 2, losses);
    OK(sslcv_trainer_set_metric(r.trainer, "knn.top1", 0.25));
    OK(sslcv_trainer_set_metric(r.trainer, "knn.top1", 0.5));
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        OK(sslcv_trainer_get_metric(r.trainer, (int64_t)i, &name, &value));
        ck_assert_str_eq(name, names[i]);
        if (i < 2) ck_assert(value == losses[1]);
        if (i == 5) ck_assert_msg(value > 0.2 && value < 1.2, "%g", value);
        if (i == 6) ck_assert_msg(value > -0.5 && value < 1.0, "%g", value);
    }
    OK(sslcv_trainer_get_metric(r.trainer, 7, &name, &value));
    ck_assert_str_eq(name, "knn.top1");
    ck_assert(value == 0.5);
    FAILS(sslcv_trainer_get_metric(r.trainer, 8, &name, &value), SSLCV_ERR_NOT_FOUND, "index is 8");
    free_rig(&r);
}
END_TEST

START_TEST(test_progress)
{
    sslcv_progress progress;
    rig r;

    make_simclr(&r, &plain);
    progress.struct_size = sizeof progress;
    OK(sslcv_trainer_step(r.trainer, &progress));
    ck_assert_int_eq(progress.event, SSLCV_EVENT_STEP);
    ck_assert_int_eq(progress.step, 1);
    ck_assert_int_eq(progress.num_steps, 12);
    ck_assert_int_eq(progress.epoch, 0);
    ck_assert_int_eq(progress.num_epochs, 4);
    CLOSE(progress.learning_rate, 0.1, 1e-12);
    ck_assert(progress.images_per_second > 0 && progress.seconds > 0 && progress.seconds_left > 0);
    CLOSE(progress.seconds_left, 11 * BATCH / progress.images_per_second, 1e-6);
    OK(sslcv_trainer_step(r.trainer, &progress));
    CLOSE(progress.learning_rate, 0.05 * (1 + cos(3.14159265358979 / 12)), 1e-12);
    progress.struct_size = 4;
    FAILS(sslcv_trainer_step(r.trainer, &progress), SSLCV_ERR_INVALID_ARGUMENT, "progress.struct_size");
    free_rig(&r);
}
END_TEST

START_TEST(test_memory)
{
    sslcv_memory memory;
    sslcv_context_info info;
    sslcv_backbone_info net;
    sslcv_head_info head;
    int64_t bytes;
    rig r;

    make_simclr(&r, &plain);
    memory.struct_size = sizeof memory;
    FAILS(sslcv_trainer_get_memory(r.trainer, &memory), SSLCV_ERR_STATE, "after the first step");
    OK(sslcv_trainer_run(r.trainer, 1));
    OK(sslcv_trainer_get_memory(r.trainer, &memory));
    net.struct_size = sizeof net;
    head.struct_size = sizeof head;
    OK(sslcv_backbone_get_info(r.backbone, &net));
    OK(sslcv_head_get_info(r.projection, &head));
    bytes = 4 * (net.num_parameters + head.num_parameters);
    ck_assert(memory.gradients >= bytes && memory.parameters > memory.gradients);
    ck_assert(memory.optimizer >= bytes && memory.losses > 0 && memory.activations > 0 && memory.scratch > 0);
    ck_assert(memory.loader >= 2 * BATCH * PIXELS * 4);
    ck_assert_int_eq(memory.total, memory.parameters + memory.gradients + memory.optimizer + memory.losses +
                                       memory.activations + memory.scratch + memory.loader);
    info.struct_size = sizeof info;
    OK(sslcv_context_get_info(r.context, &info));
    ck_assert(memory.total < info.bytes);
    bytes = info.bytes;
    OK(sslcv_trainer_run(r.trainer, 11));
    OK(sslcv_context_get_info(r.context, &info));
    ck_assert_int_eq(info.bytes, bytes); /* steps allocate nothing */
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
    ck_assert_msg(strstr(text, "branch 0: views 0,1 -> backbone 0 (joined)\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "branch 1: branch 0 detached -> head 0 (mlp 64-4, joined)\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "loss 0: 0.25 * cross_entropy(branch 1)\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "learning rate: cosine from 0.1 to 0\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "run: 4 epochs of 3 steps of 8 images\n") != NULL, "%s", text);
    steps(&r, 1, losses);
    OK(sslcv_trainer_describe(r.trainer, text, sizeof text, NULL));
    ck_assert_msg(strstr(text, "gives 2 x 8 x 1 x 64\n") != NULL, "%s", text);
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
    REFUSED(b.backbone = NULL; b.num_heads = 0, SSLCV_ERR_INVALID_ARGUMENT, "neither backbone nor heads");
    REFUSED(b.flags = 64, SSLCV_ERR_INVALID_ARGUMENT, "branch.flags is 64");
    REFUSED(b.flags |= SSLCV_PASS_INPUT_GRADIENT, SSLCV_ERR_INVALID_ARGUMENT, "branch.flags");
    REFUSED(b.grouping = 2, SSLCV_ERR_INVALID_ARGUMENT, "branch.grouping is 2");
    REFUSED(b.head_grouping = -1, SSLCV_ERR_INVALID_ARGUMENT, "branch.head_grouping is -1");
    REFUSED(b.detach = 1, SSLCV_ERR_INVALID_ARGUMENT, "branch.detach is 1; must be 0 without a source");
    REFUSED(b.source = 0, SSLCV_ERR_NOT_FOUND, "branch.source is 0");
    REFUSED(b.heads = NULL, SSLCV_ERR_INVALID_ARGUMENT, "branch.heads is NULL");
    REFUSED(b.num_heads = 2, SSLCV_ERR_INVALID_ARGUMENT,
            "branch.heads[1] takes 64 values; the network before it gives 16");
    REFUSED(b.stage = "layer1", SSLCV_ERR_INVALID_ARGUMENT, "branch.heads[0] takes 64 values");
    ck_assert_int_eq(index, -7);
    OK(sslcv_trainer_add_branch(r.trainer, &good, &index));
    ck_assert_int_eq(index, 0);
    REFUSED(b.source = 0, SSLCV_ERR_INVALID_ARGUMENT, "must have heads only");
    REFUSED(b.source = 0; b.num_views = 0; b.backbone = NULL;
            b.num_heads = 0, SSLCV_ERR_INVALID_ARGUMENT, "branch.num_heads is 0");
    REFUSED(b.source = 0; b.num_views = 0; b.backbone = NULL, SSLCV_ERR_INVALID_ARGUMENT,
                                           "branch.heads[0] takes 64 values; the network before it gives 16");
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
    OK(sslcv_trainer_get_backbone(r.trainer, 0, &backbone));
    ck_assert(backbone == r.backbone);
    sslcv_backbone_destroy(backbone);
    OK(sslcv_trainer_get_head(r.trainer, 0, 0, &head));
    ck_assert(head == r.projection);
    sslcv_head_destroy(head);
    OK(sslcv_trainer_get_loss(r.trainer, 0, &loss));
    ck_assert(loss == r.contrast);
    sslcv_loss_destroy(loss);
    FAILS(sslcv_trainer_get_backbone(r.trainer, 1, &backbone), SSLCV_ERR_NOT_FOUND, "branch is 1");
    FAILS(sslcv_trainer_get_head(r.trainer, 0, 1, &head), SSLCV_ERR_NOT_FOUND, "index is 1; branch 0 has 1 heads");
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

/* ---- out of memory ---- */

typedef struct budget {
    int64_t left; /* allocations that succeed; < 0: all */
    int64_t held;
} budget;

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    budget *b = user;

    if (b->left == 0) return NULL;
    if (b->left > 0) b->left--;
    b->held++;
    return aligned_alloc(alignment, bytes);
}

static void deallocate(void *user, void *memory, size_t bytes)
{
    (void)bytes;
    ((budget *)user)->held--;
    free(memory);
}

/* Composing, then one step, with an allocator that fails at the n-th request. What failed can be asked for again. */
START_TEST(test_out_of_memory)
{
    budget b = {-1, 0};
    const sslcv_allocator allocator = {sizeof allocator, &b, allocate, deallocate};
    rig_options o = plain;
    double losses[2], loss = 0.0;
    sslcv_progress progress;
    weights before;
    int64_t n, branch = 0;
    sslcv_branch given;
    sslcv_status status;
    rig r;

    make_simclr(&r, &plain);
    steps(&r, 1, losses);
    free_rig(&r);

    o.allocator = &allocator;
    make_rig(&r, &o);
    OK(sslcv_branch_init(&given, sizeof given));
    given.views = views_01;
    given.num_views = 2;
    given.backbone = r.backbone;
    given.heads = &r.projection;
    given.num_heads = 1;
    given.stage = "layer4";
    for (n = 0;; n++) {
        b.left = n;
        status = sslcv_trainer_add_branch(r.trainer, &given, NULL);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
    }
    for (n = 0;; n++) {
        b.left = n;
        status = sslcv_trainer_add_loss(r.trainer, r.contrast, &branch, 1, 1.0, NULL);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
    }
    b.left = -1;
    before = read_backbone(&r, SSLCV_ROLE_ALL);
    progress.struct_size = sizeof progress;
    for (n = 0;; n++) {
        b.left = n;
        status = sslcv_trainer_step(r.trainer, &progress);
        b.left = -1;
        if (status == SSLCV_OK) break;
        ck_assert_msg(status == SSLCV_ERR_OUT_OF_MEMORY, "%s at %lld", sslcv_last_error(), (long long)n);
        if (n % 16 == 0) ck_assert(equal(before, read_backbone(&r, SSLCV_ROLE_ALL)));
        if (n % 16 == 0) before = read_backbone(&r, SSLCV_ROLE_ALL);
    }
    free(before.values);
    loss = progress.loss;
    ck_assert_msg(loss == losses[0], "%.17g, not %.17g", loss, losses[0]);
    free_rig(&r);
    ck_assert_int_eq(b.held, 0);
}
END_TEST

START_TEST(test_create_out_of_memory)
{
    budget b = {-1, 0};
    const sslcv_allocator allocator = {sizeof allocator, &b, allocate, deallocate};
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
    Suite *suite = suite_create("trainer");
    TCase *learn = tcase_create("learn"), *look = tcase_create("look"), *wrong = tcase_create("wrong");

    tcase_set_timeout(learn, 60);
    tcase_set_timeout(look, 60);
    tcase_set_timeout(wrong, 60);
    tcase_add_test(learn, test_loss_falls);
    tcase_add_test(learn, test_contrast_falls);
    tcase_add_test(learn, test_same_for_any_loader_threads);
    tcase_add_test(learn, test_seed_matters);
    tcase_add_test(learn, test_last_batch_kept);
    tcase_add_test(learn, test_source_is_the_same);
    tcase_add_test(learn, test_two_losses_add_up);
    tcase_add_test(learn, test_detach);
    tcase_add_test(learn, test_shared_networks);
    tcase_add_test(learn, test_grouping_matters);
    tcase_add_test(learn, test_unused_branch_rests);
    tcase_add_test(learn, test_flags);
    tcase_add_test(learn, test_map);
    tcase_add_test(learn, test_step_views_like_step);
    tcase_add_test(learn, test_shapes_and_strides);
    tcase_add_test(learn, test_numeric_failure_changes_nothing);
    suite_add_tcase(suite, learn);
    tcase_add_test(look, test_events);
    tcase_add_test(look, test_hook_rules);
    tcase_add_test(look, test_hooks_stop);
    tcase_add_test(look, test_collapse);
    tcase_add_loop_test(look, test_resume_is_exact, 0, 3);
    tcase_add_test(look, test_cancel_and_go_on);
    tcase_add_test(look, test_checkpoint_of_another);
    tcase_add_test(look, test_network_of_a_checkpoint);
    tcase_add_test(look, test_when_to_save);
    tcase_add_test(look, test_data_failure);
    tcase_add_test(look, test_data_grows);
    tcase_add_test(look, test_two_threads);
    tcase_add_test(look, test_metrics);
    tcase_add_test(look, test_progress);
    tcase_add_test(look, test_memory);
    tcase_add_test(look, test_describe);
    suite_add_tcase(suite, look);
    tcase_add_test(wrong, test_step_views_errors);
    tcase_add_test(wrong, test_create_errors);
    tcase_add_test(wrong, test_branch_errors);
    tcase_add_test(wrong, test_loss_errors);
    tcase_add_test(wrong, test_destroy_in_any_order);
    tcase_add_test(wrong, test_out_of_memory);
    tcase_add_test(wrong, test_create_out_of_memory);
    suite_add_tcase(suite, wrong);
    return run_suite(suite);
}
