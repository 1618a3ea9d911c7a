/* Views with patches: (N * P, C, H, W) in, (V, N, P, D) out. */
#include "trainer_support.h"

#include "loss/loss.h"

enum { PATCHES = 4, PATCH = 4, PATCH_PIXELS = CHANNELS * PATCH * PATCH, MAX_OUTPUT = 1 << 14 };

static const int64_t query_view[] = {0}, patch_view[] = {1};
static const int32_t STILL = SSLCV_PASS_GRADIENT; /* fixed statistics: no image sees another */

/* ---- a loss that keeps what it was given: half the squared distance to targets of no pattern, over N ---- */

typedef struct seen {
    int64_t shape[4];
    float values[MAX_OUTPUT];
    float diff[MAX_OUTPUT];
} seen;

static seen inputs_seen[2];

static double target_of(int64_t i)
{
    return 0.01 * (double)(i * 37 % 101) - 0.5;
}

static int64_t count_of(const sslcv__loss_input *in)
{
    return in->views * in->samples * in->positions * in->dim;
}

static sslcv_status check_none(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    (void)loss;
    (void)job;
    return SSLCV_OK;
}

static sslcv_status no_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    (void)loss;
    (void)job;
    *bytes = 0;
    return SSLCV_OK;
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    int64_t i, k;

    (void)loss;
    job->value = 0.0;
    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];
        const int64_t shape[4] = {in->views, in->samples, in->positions, in->dim};

        ck_assert_int_le(count_of(in), MAX_OUTPUT);
        memcpy(inputs_seen[i].shape, shape, sizeof shape);
        memcpy(inputs_seen[i].values, in->data, (size_t)count_of(in) * sizeof(float));
        for (k = 0; k < count_of(in); k++) {
            const double off = in->data[k] - target_of(k);

            job->value += 0.5 * off * off / (double)job->samples;
        }
    }
    return SSLCV_OK;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    int64_t i, k;

    (void)loss;
    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];

        for (k = 0; in->diff && k < count_of(in); k++) {
            in->diff[k] = (float)(job->scale * (in->data[k] - target_of(k)) / (double)job->samples);
            inputs_seen[i].diff[k] = in->diff[k];
        }
    }
}

static const sslcv__loss_kind seen_kind = {.name = "seen",
                                           .min_inputs = 1,
                                           .max_inputs = 2,
                                           .gradient_inputs = 3,
                                           .check = check_none,
                                           .memory_bytes = no_bytes,
                                           .score = score,
                                           .differentiate = differentiate};

static void add_seen(rig *r, const int64_t *branches, int64_t num_branches)
{
    sslcv_loss *loss;

    OK(sslcv__loss_create(r->context, &seen_kind, sizeof(struct sslcv_loss), &loss));
    OK(sslcv_trainer_add_loss(r->trainer, loss, branches, num_branches, 1.0, NULL));
    sslcv_loss_destroy(loss);
}

/* ---- views: 0 an image, 1 and 2 of PATCHES patches each ---- */

typedef struct patch_views {
    float image[BATCH * PIXELS];
    float pixels[2][BATCH * PATCHES * PATCH_PIXELS];
    sslcv_tensor tensors[3];
} patch_views;

static const int64_t of_view[] = {1, PATCHES, PATCHES};

static void make_patches(patch_views *v)
{
    const int64_t image[4] = {BATCH, CHANNELS, SIDE, SIDE}, patches[4] = {BATCH * PATCHES, CHANNELS, PATCH, PATCH};
    int i;

    golden_input(30, BATCH * PIXELS, v->image);
    OK(sslcv_tensor_init(&v->tensors[0], SSLCV_F32, v->image, 4, image));
    for (i = 0; i < 2; i++) {
        golden_input(31 + i, BATCH * PATCHES * PATCH_PIXELS, v->pixels[i]);
        OK(sslcv_tensor_init(&v->tensors[1 + i], SSLCV_F32, v->pixels[i], 4, patches));
    }
}

static const rig_options by_host = {.epochs = 4, .seed = 7, .no_data = 1, .precision = SSLCV_PRECISION_F32};

static int64_t branch_of(rig *r, const int64_t *views, int64_t num_views, sslcv_head *head, int32_t flags,
                         int32_t grouping)
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
    b.flags = flags;
    b.grouping = b.head_grouping = grouping;
    OK(sslcv_trainer_add_branch(r->trainer, &b, &index));
    return index;
}

static void step_patches(rig *r, patch_views *v, int64_t num_views)
{
    OK(step_views_with(r->trainer, v->tensors, num_views, of_view, NULL, NULL, NULL));
}

/* ---- as by hand ---- */

/* An image and its patches through one backbone and one head, as PIRL has them: three steps. */
START_TEST(test_by_hand)
{
    static patch_views v;
    static float rows[2][BATCH * PATCHES * DIM];
    const int64_t shapes[2][4] = {{1, BATCH, 1, DIM}, {1, BATCH, PATCHES, DIM}};
    const int64_t in[2][4] = {{1, BATCH, 1, FEATURES}, {1, BATCH, PATCHES, FEATURES}};
    int64_t branches[2];
    sslcv_tape *tapes[2][2];
    sslcv_tensor t, diff;
    sslcv_state *state;
    sslcv_pass pass;
    rig r, s;
    int step, i;

    make_patches(&v);
    make_rig(&r, &by_host);
    branches[0] = branch_of(&r, query_view, 1, r.projection, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, 0);
    branches[1] = branch_of(&r, patch_view, 1, r.projection, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, 0);
    add_seen(&r, branches, 2);
    make_rig(&s, &by_host);
    OK(sslcv_backbone_get_state(s.backbone, &state));
    OK(sslcv_optimizer_add(s.optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
    sslcv_state_destroy(state);
    OK(sslcv_head_get_state(s.projection, &state));
    OK(sslcv_optimizer_add(s.optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
    sslcv_state_destroy(state);
    OK(sslcv_pass_init(&pass, sizeof pass));
    for (i = 0; i < 4; i++) OK(sslcv_tape_create(s.context, &tapes[i / 2][i % 2]));
    for (step = 0; step < 3; step++) {
        double rate;

        step_patches(&r, &v, 2);
        for (i = 0; i < 2; i++) {
            pass.stage = STAGE;
            OK(sslcv_backbone_forward(s.backbone, &v.tensors[i], &pass, tapes[i][0]));
            OK(sslcv_tape_output(tapes[i][0], &t));
            OK(sslcv_tensor_init(&t, SSLCV_F32, t.data, 4, in[i]));
            pass.stage = NULL;
            OK(sslcv_head_forward(s.projection, &t, &pass, tapes[i][1]));
            OK(sslcv_tape_output(tapes[i][1], &t));
            ck_assert_mem_eq(inputs_seen[i].shape, shapes[i], sizeof shapes[i]);
            ck_assert_mem_eq(inputs_seen[i].values, t.data, (size_t)(i ? PATCHES : 1) * BATCH * DIM * sizeof(float));
            memcpy(rows[i], inputs_seen[i].diff, (size_t)(i ? PATCHES : 1) * BATCH * DIM * sizeof(float));
        }
        for (i = 1; i >= 0; i--) {
            OK(sslcv_tensor_init(&diff, SSLCV_F32, rows[i], 4, shapes[i]));
            OK(sslcv_tape_backward(tapes[i][1], &diff));
            OK(sslcv_tape_diff_input(tapes[i][1], &diff));
            OK(sslcv_tape_backward(tapes[i][0], &diff));
        }
        OK(sslcv_schedule_value(&r.trainer->learning_rate, step, 3, 4, &rate));
        OK(sslcv_optimizer_step(s.optimizer, rate, -1.0));
    }
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    for (i = 0; i < 4; i++) sslcv_tape_destroy(tapes[i / 2][i % 2]);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* ---- shapes and order ---- */

/* Two views of four patches each give what eight views of one patch give, in another order. */
START_TEST(test_like_views)
{
    static const int64_t both[] = {1, 2}, eight[] = {0, 1, 2, 3, 4, 5, 6, 7};
    static patch_views v;
    static float single[2 * PATCHES][BATCH * PATCH_PIXELS], first[MAX_OUTPUT];
    const int64_t shape[4] = {BATCH, CHANNELS, PATCH, PATCH}, expected[4] = {2, BATCH, PATCHES, DIM};
    sslcv_tensor tensors[2 * PATCHES];
    int64_t branch, view, n, p, d;
    rig r;

    make_patches(&v);
    make_rig(&r, &by_host);
    branch = branch_of(&r, both, 2, r.projection, STILL, _i);
    add_seen(&r, &branch, 1);
    step_patches(&r, &v, 3);
    ck_assert_mem_eq(inputs_seen[0].shape, expected, sizeof expected);
    memcpy(first, inputs_seen[0].values, sizeof first);
    free_rig(&r);

    for (view = 0; view < 2 * PATCHES; view++) {
        for (n = 0; n < BATCH; n++) {
            memcpy(single[view] + n * PATCH_PIXELS,
                   v.pixels[view / PATCHES] + (n * PATCHES + view % PATCHES) * PATCH_PIXELS,
                   PATCH_PIXELS * sizeof(float));
        }
        OK(sslcv_tensor_init(&tensors[view], SSLCV_F32, single[view], 4, shape));
    }
    make_rig(&r, &by_host);
    r.trainer->options.augmenter = NULL; /* it has three views only */
    branch = branch_of(&r, eight, 8, r.projection, STILL, _i);
    r.trainer->options.augmenter = r.augmenter;
    add_seen(&r, &branch, 1);
    OK(step_views(r.trainer, tensors, 8, NULL));
    for (view = 0; view < 2; view++) {
        for (n = 0; n < BATCH; n++) {
            for (p = 0; p < PATCHES; p++) {
                for (d = 0; d < DIM; d++) {
                    CLOSE(first[((view * BATCH + n) * PATCHES + p) * DIM + d],
                          inputs_seen[0].values[((view * PATCHES + p) * BATCH + n) * DIM + d], 1e-6);
                }
            }
        }
    }
    free_rig(&r);
}
END_TEST

/* The map of each patch: P = patches * pixels, patch by patch; and its gradient finds the way back. */
START_TEST(test_maps)
{
    static patch_views v;
    const int64_t expected[4] = {1, BATCH, PATCHES * PATCH * PATCH, FEATURES};
    sslcv_tape *tape;
    sslcv_tensor map, diff;
    sslcv_state *states[2];
    sslcv_pass pass;
    int64_t branch, i, k, pixel, d, index;
    float *gradients[2], *turned;
    rig r, s;

    make_patches(&v);
    make_rig(&r, &by_host);
    make_rig(&s, &by_host);
    branch = branch_of(&r, patch_view, 1, NULL, STILL | SSLCV_PASS_MAP, 0);
    add_seen(&r, &branch, 1);
    step_patches(&r, &v, 2);
    ck_assert_mem_eq(inputs_seen[0].shape, expected, sizeof expected);

    OK(sslcv_tape_create(s.context, &tape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = STILL | SSLCV_PASS_MAP;
    pass.stage = STAGE;
    OK(sslcv_backbone_forward(s.backbone, &v.tensors[1], &pass, tape));
    OK(sslcv_tape_output(tape, &map));
    turned = malloc((size_t)MAX_OUTPUT * sizeof *turned);
    for (i = 0; i < BATCH * PATCHES; i++) {
        for (pixel = 0; pixel < PATCH * PATCH; pixel++) {
            for (d = 0; d < FEATURES; d++) {
                const int64_t at = (i * FEATURES + d) * PATCH * PATCH + pixel;
                const int64_t row = (i * PATCH * PATCH + pixel) * FEATURES + d;

                ck_assert(((const float *)map.data)[at] == inputs_seen[0].values[row]);
                turned[at] = inputs_seen[0].diff[row];
            }
        }
    }
    OK(sslcv_tensor_init(&diff, SSLCV_F32, turned, 4, map.shape));
    OK(sslcv_tape_backward(tape, &diff));
    OK(sslcv_backbone_get_state(r.backbone, &states[0]));
    OK(sslcv_backbone_get_state(s.backbone, &states[1]));
    OK(sslcv_state_find(states[0], "conv1.weight", &index));
    for (k = 0; k < 2; k++) {
        const sslcv__variable *weight = states[k]->items[index].variable;

        gradients[k] = weight->gradient;
        ck_assert_int_eq(weight->stored_bytes, states[0]->items[index].variable->stored_bytes);
    }
    ck_assert_mem_eq(gradients[0], gradients[1], (size_t)states[0]->items[index].variable->stored_bytes);
    sslcv_state_destroy(states[0]);
    sslcv_state_destroy(states[1]);
    free(turned);
    sslcv_tape_destroy(tape);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* A branch without backbone: heads see each patch's pixels; also of views that do not lie dense. */
START_TEST(test_pixels)
{
    static patch_views v;
    static float wide[BATCH * PATCHES * 2 * PATCH_PIXELS];
    const int64_t expected[4] = {1, BATCH, PATCHES, DIM}, shape[4] = {BATCH * PATCHES, CHANNELS, PATCH, PATCH};
    sslcv_head *head;
    sslcv_branch b;
    int64_t index, i;
    float first[BATCH * PATCHES * DIM];
    rig r;
    int k;

    for (k = 0; k < 2; k++) {
        make_patches(&v);
        if (k == 1) { /* every second image of an array */
            for (i = 0; i < BATCH * PATCHES; i++) {
                memcpy(wide + 2 * i * PATCH_PIXELS, v.pixels[0] + i * PATCH_PIXELS, PATCH_PIXELS * sizeof(float));
            }
            OK(sslcv_tensor_init(&v.tensors[1], SSLCV_F32, wide, 4, shape));
            v.tensors[1].strides[0] = 2 * PATCH_PIXELS;
        }
        make_rig(&r, &by_host);
        head = make_head(r.context, PATCH_PIXELS, DIM, 1, 14);
        OK(sslcv_branch_init(&b, sizeof b));
        b.views = patch_view;
        b.num_views = 1;
        b.heads = &head;
        b.num_heads = 1;
        OK(sslcv_trainer_add_branch(r.trainer, &b, &index));
        add_seen(&r, &index, 1);
        step_patches(&r, &v, 2);
        ck_assert_mem_eq(inputs_seen[0].shape, expected, sizeof expected);
        if (k == 0) memcpy(first, inputs_seen[0].values, sizeof first);
        ck_assert_mem_eq(inputs_seen[0].values, first, sizeof first);
        sslcv_head_destroy(head);
        free_rig(&r);
    }
}
END_TEST

/* ---- slices and memory ---- */

static void compose_pirl(rig *r)
{
    int64_t branches[2];

    branches[0] = branch_of(r, query_view, 1, r->projection, STILL, 0);
    branches[1] = branch_of(r, patch_view, 1, r->projection, STILL, 0);
    add_seen(r, branches, 2);
}

static void compose_two_views(rig *r)
{
    static const int64_t both[] = {1, 2};
    const int64_t branch = branch_of(r, both, 2, r->projection, STILL, 0);

    add_seen(r, &branch, 1);
}

static void compose_by_view(rig *r)
{
    static const int64_t swapped[] = {2, 1};
    const int64_t branch = branch_of(r, swapped, 2, r->projection, STILL, 1);

    add_seen(r, &branch, 1);
}

static void compose_maps(rig *r)
{
    const int64_t branch = branch_of(r, patch_view, 1, r->projection, STILL | SSLCV_PASS_MAP, 0);

    add_seen(r, &branch, 1);
}

static void (*const compositions[])(rig *r) = {compose_pirl, compose_two_views, compose_by_view, compose_maps};

/* Slices cut samples with all their patches: the batch's gradients, and memory as foretold for a budget. */
START_TEST(test_slices)
{
    static patch_views v;
    rig_options o = by_host;
    sslcv_memory foretold, held = {.struct_size = sizeof held};
    static float whole[MAX_OUTPUT];
    double difference;
    rig r, s;
    int i;

    make_patches(&v);
    make_rig(&r, &o);
    compositions[_i](&r);
    for (i = 0; i < 2; i++) step_patches(&r, &v, 3);
    memcpy(whole, inputs_seen[0].values, sizeof whole);
    o.micro_batch = 3;
    o.memory_budget = INT64_C(1) << 40;
    make_rig(&s, &o);
    compositions[_i](&s);
    for (i = 0; i < 2; i++) step_patches(&s, &v, 3);
    for (i = 0; i < inputs_seen[0].shape[0] * BATCH * inputs_seen[0].shape[2] * DIM; i++) {
        CLOSE(inputs_seen[0].values[i], whole[i], 1e-5);
    }
    difference = largest_difference(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL));
    ck_assert_msg(difference < 1e-5, "%g", difference);
    foretold = s.trainer->memory;
    OK(sslcv_trainer_get_memory(s.trainer, &held));
    ck_assert_mem_eq(&foretold, &held, sizeof held);
    ck_assert_int_eq(held.micro_batch, 3);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* ---- errors ---- */

START_TEST(test_errors)
{
    static const int64_t mixed[] = {0, 1};
    static const int64_t none[] = {1, 0, 0}, three[] = {1, 3, 3}, first_three[] = {3, 4, 4}, negative[] = {-1, 4, 4};
    static patch_views v;
    int64_t branches[2];
    rig r;

    make_patches(&v);
    make_rig(&r, &by_host);
    branches[0] = branch_of(&r, query_view, 1, NULL, STILL, 0);
    branches[1] = branch_of(&r, patch_view, 1, NULL, STILL, 0);
    add_seen(&r, branches, 2);
#define REFUSED(patches, text)                                                                                         \
    FAILS(step_views_with(r.trainer, v.tensors, 2, patches, NULL, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, text)
    REFUSED(NULL, "views[1] has 32 images; the others have 8 samples, and it has 1 patches of each");
    REFUSED(none, "patches[1] is 0; must be 1 or more");
    REFUSED(three, "views[1] has 32 images; the others have 8 samples, and it has 3 patches of each");
    REFUSED(first_three, "patches[0] is 3; must be 1 or more, and divide the 8 images");
    REFUSED(negative, "patches[0] is -1");
    step_patches(&r, &v, 2);
    free_rig(&r);

    make_rig(&r, &by_host);
    branches[0] = branch_of(&r, mixed, 2, NULL, STILL, _i);
    add_seen(&r, branches, 1);
    FAILS(step_views_with(r.trainer, v.tensors, 2, of_view, NULL, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "view 0 gives 1 positions of 8 values, view 1 4 of 8; must be equal in a branch");
    free_rig(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer_patches");
    TCase *tests = tcase_create("trainer_patches");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_by_hand);
    tcase_add_loop_test(tests, test_like_views, 0, 2);
    tcase_add_test(tests, test_maps);
    tcase_add_test(tests, test_pixels);
    tcase_add_loop_test(tests, test_slices, 0, 4);
    tcase_add_loop_test(tests, test_errors, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
