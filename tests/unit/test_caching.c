/* Gradient caching: micro-batches whose gradients, statistics and failures are the batch's. */
#include "trainer_memory_support.h"

static const int64_t view_0[] = {0};

/* ---- compositions; all with running statistics, so that no image sees another ---- */

static int64_t add_given_branch(rig *r, const int64_t *views, int64_t num_views, sslcv_head *head, int32_t flags,
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

static int64_t continue_branch(rig *r, int64_t source, sslcv_head *head, int32_t grouping, int32_t detach)
{
    sslcv_branch b;
    int64_t index;

    OK(sslcv_branch_init(&b, sizeof b));
    b.source = source;
    b.heads = &head;
    b.num_heads = 1;
    b.flags = SSLCV_PASS_GRADIENT;
    b.head_grouping = grouping;
    b.detach = detach;
    OK(sslcv_trainer_add_branch(r->trainer, &b, &index));
    return index;
}

static void compose_joined(rig *r)
{
    add_loss(r, r->contrast, add_given_branch(r, views_01, 2, r->projection, SSLCV_PASS_GRADIENT, 0), 1.0);
}

static void compose_by_view(rig *r)
{
    add_loss(r, r->contrast, add_given_branch(r, views_01, 2, r->projection, SSLCV_PASS_GRADIENT, 1), 1.0);
}

/* One output under two losses: the second gradient goes through a buffer of its own. */
static void compose_two_losses(rig *r)
{
    const int64_t branch = add_given_branch(r, views_01, 2, r->classifier, SSLCV_PASS_GRADIENT, 0);

    add_loss(r, r->contrast, branch, 0.7);
    add_loss(r, r->labels, branch, 0.3);
}

/* Three ways back to one backbone, one of them shut. */
static void compose_sources(rig *r)
{
    const int64_t source = add_given_branch(r, views_01, 2, NULL, SSLCV_PASS_GRADIENT, 0);

    add_loss(r, r->contrast, continue_branch(r, source, r->projection, 0, 0), 1.0);
    add_loss(r, r->contrast, source, 0.5);
    add_loss(r, r->labels, continue_branch(r, source, r->classifier, 1, 1), 1.0);
}

/* No loss of its own: the first branch that comes back sets its gradient, the other adds. */
static void compose_shared_source(rig *r)
{
    const int64_t source = add_given_branch(r, views_01, 2, NULL, SSLCV_PASS_GRADIENT, 0);

    add_loss(r, r->contrast, continue_branch(r, source, r->projection, 0, 0), 1.0);
    add_loss(r, r->labels, continue_branch(r, source, r->classifier, 1, 0), 1.0);
}

/* A backbone that does not learn under a head that does. */
static void compose_still_source(rig *r)
{
    const int64_t source = add_given_branch(r, views_01, 2, NULL, 0, 0);

    add_loss(r, r->contrast, continue_branch(r, source, r->projection, 1, 0), 1.0);
}

/* Two networks that share one, and views that do not lie together. */
static void compose_two_branches(rig *r)
{
    static const int64_t views_20[] = {2, 0};
    const int64_t a = add_given_branch(r, views_20, 2, r->projection, SSLCV_PASS_GRADIENT, 0);
    const int64_t b = add_given_branch(r, view_0, 1, r->classifier, SSLCV_PASS_GRADIENT, 1);

    add_loss(r, r->contrast, a, 1.0);
    add_loss(r, r->labels, b, 1.0);
}

static void compose_pixels(rig *r)
{
    sslcv_head *linear = make_head(r->context, PIXELS, CLASSES, 1, 14);
    sslcv_branch b;
    int64_t index;

    OK(sslcv_branch_init(&b, sizeof b));
    b.views = views_01;
    b.num_views = 2;
    b.heads = &linear;
    b.num_heads = 1;
    b.flags = SSLCV_PASS_GRADIENT;
    OK(sslcv_trainer_add_branch(r->trainer, &b, &index));
    add_loss(r, r->labels, index, 1.0);
    sslcv_head_destroy(linear);
}

static void (*const compositions[])(rig *r) = {compose_joined,       compose_by_view,       compose_two_losses,
                                               compose_sources,      compose_shared_source, compose_still_source,
                                               compose_two_branches, compose_pixels};
enum { NUM_COMPOSITIONS = sizeof compositions / sizeof compositions[0] };

/* Running statistics that are not those of a fresh network. */
static void move_statistics(rig *r)
{
    static host_views v;
    sslcv_tape *tape;
    sslcv_pass pass;
    int i;

    make_views(&v, SIDE);
    OK(sslcv_tape_create(r->context, &tape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = SSLCV_PASS_TRAIN;
    for (i = 0; i < 4; i++) OK(sslcv_backbone_forward(r->backbone, &v.tensors[i % 2], &pass, tape));
    sslcv_tape_destroy(tape);
}

/* The gradients of micro-batches are the batch's, whatever their size, and memory is as foretold. Two steps, as the
   first finds zeros in all buffers; with learning rate 0 rounding does not add up. */
START_TEST(test_caching_is_exact)
{
    static const int64_t sizes[] = {3, 1, 7};
    rig_options o = {.epochs = 4, .seed = 7, .precision = SSLCV_PRECISION_F32};
    double whole[2], cut[2];
    sslcv_memory foretold, held;
    rig r, s;

    make_rig(&r, &o);
    move_statistics(&r);
    compositions[_i](&r);
    r.trainer->learning_rate.value = 0.0;
    steps(&r, 2, whole);
    o.micro_batch = sizes[_i % 3];
    make_rig(&s, &o);
    move_statistics(&s);
    compositions[_i](&s);
    foretold = get_memory(&s);
    ck_assert_int_eq(foretold.micro_batch, sizes[_i % 3]);
    s.trainer->learning_rate.value = 0.0;
    steps(&s, 2, cut);
    held = get_memory(&s);
    ck_assert_mem_eq(&foretold, &held, sizeof held);
    CLOSE(cut[0], whole[0], 1e-6);
    CLOSE(cut[1], whole[1], 1e-6);
    ck_assert_msg(compare_gradients(&r.trainer->backbones, &s.trainer->backbones) < 5e-6, "%g",
                  compare_gradients(&r.trainer->backbones, &s.trainer->backbones));
    ck_assert_msg(compare_gradients(&r.trainer->heads, &s.trainer->heads) < 5e-6, "%g",
                  compare_gradients(&r.trainer->heads, &s.trainer->heads));
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* Maps: the slices of a gradient (V, N, P, D) run back, against the whole. No loss of this release takes maps. */
START_TEST(test_maps_are_cut)
{
    static host_views v;
    const sslcv__feed feed = {.size = BATCH, .views = v.tensors, .num_views = 2};
    rig_options o = {.epochs = 4, .seed = 7, .no_data = 1, .precision = SSLCV_PRECISION_F32};
    sslcv__branch *branch;
    rig r[2];
    int64_t i, index, k;

    make_views(&v, SIDE);
    for (k = 0; k < 2; k++) {
        const int64_t slices = k == 0 ? 1 : 3;
        sslcv__slice slice;
        int64_t count;

        o.micro_batch = k == 0 ? 0 : 3;
        make_rig(&r[k], &o);
        index = add_given_branch(&r[k], views_01, 2, NULL, SSLCV_PASS_GRADIENT | SSLCV_PASS_MAP, 0);
        add_loss(&r[k], r[k].contrast, index, 1.0);
        OK(sslcv__trainer_fix(r[k].trainer));
        OK(sslcv__trainer_ready_memory(r[k].trainer, &feed));
        branch = &r[k].trainer->branches[0];
        for (i = 0; i < slices; i++) {
            slice = sslcv__slice_of(BATCH, slices, i, k == 0 ? SSLCV__PHASE_WHOLE : SSLCV__PHASE_SCAN);
            OK(sslcv__branch_forward(r[k].trainer, 0, &feed, &slice));
        }
        count = 2 * BATCH * branch->output.shape[2] * branch->output.shape[3];
        OK(sslcv__buffer_reserve(r[k].context, &branch->gradient, count));
        golden_input(41, count, branch->gradient.data);
        branch->has_gradient = 1;
        for (i = 0; i < slices; i++) {
            slice = sslcv__slice_of(BATCH, slices, i, k == 0 ? SSLCV__PHASE_WHOLE : SSLCV__PHASE_AGAIN);
            if (k == 1) OK(sslcv__branch_forward(r[k].trainer, 0, &feed, &slice));
            OK(sslcv__branch_backward(r[k].trainer, 0, &slice));
        }
    }
    for (i = 0; i < 2 * BATCH * 64 * FEATURES; i++) {
        CLOSE(((const float *)sslcv__branch_output(r[0].trainer, 0)->data)[i],
              ((const float *)sslcv__branch_output(r[1].trainer, 0)->data)[i], 1e-5);
    }
    ck_assert(compare_gradients(&r[0].trainer->backbones, &r[1].trainer->backbones) < 5e-6);
    free_rig(&r[1]);
    free_rig(&r[0]);
}
END_TEST

/* A micro-batch that holds the batch: nothing is cut. */
START_TEST(test_large_micro_batch_is_none)
{
    static const int64_t sizes[] = {BATCH, 1000};
    rig_options o = plain;
    double one[3], two[3];
    rig r, s;
    int i;

    make_simclr(&r, &o);
    steps(&r, 3, one);
    for (i = 0; i < 2; i++) {
        o.micro_batch = sizes[i];
        make_simclr(&s, &o);
        steps(&s, 3, two);
        ck_assert_mem_eq(one, two, sizeof one);
        ck_assert_int_eq(get_memory(&s).micro_batch, BATCH);
        ck_assert_int_eq(get_memory(&s).total, get_memory(&r).total);
        ck_assert(equal(read_trainer(&r), read_trainer(&s)));
        free_rig(&s);
    }
    free_rig(&r);
}
END_TEST

static int64_t batches_tracked(rig *r)
{
    sslcv_tensor value;
    sslcv_state *state;
    int64_t index, count = -1;

    OK(sslcv_backbone_get_state(r->backbone, &state));
    OK(sslcv_state_find(state, "bn1.num_batches_tracked", &index));
    OK(sslcv_tensor_init(&value, SSLCV_I64, &count, 0, NULL));
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &value));
    sslcv_state_destroy(state);
    return count;
}

/* Slices of 3, 3 and 2: batch norm records each once, whether its branch learns or not; a step of its own does so. */
START_TEST(test_statistics_are_recorded_once)
{
    static const int64_t starts[] = {0, 3, 6, 8};
    static host_views v;
    static float images[2 * 3 * PIXELS];
    rig_options o = {.epochs = 4, .seed = 7, .micro_batch = 3, .no_data = 1};
    sslcv_tape *tape;
    sslcv_pass pass;
    sslcv_tensor batch;
    rig r, s;
    int i, k;

    make_views(&v, SIDE);
    make_rig(&r, &o);
    if (_i == 0) {
        compose_simclr(&r);
    } else {
        const int64_t source = add_given_branch(&r, views_01, 2, NULL, SSLCV_PASS_TRAIN, 0);

        add_loss(&r, r.contrast, continue_branch(&r, source, r.projection, 0, 0), 1.0);
    }
    make_rig(&s, &o);
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    ck_assert_int_eq(batches_tracked(&r), 3);

    OK(sslcv_tape_create(s.context, &tape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = SSLCV_PASS_TRAIN;
    pass.stage = STAGE;
    for (i = 0; i < 3; i++) {
        const int64_t count = starts[i + 1] - starts[i], shape[4] = {2 * count, CHANNELS, SIDE, SIDE};

        for (k = 0; k < 2; k++) {
            memcpy(images + k * count * PIXELS, v.pixels[k] + starts[i] * PIXELS,
                   (size_t)(count * PIXELS) * sizeof *images);
        }
        OK(sslcv_tensor_init(&batch, SSLCV_F32, images, 4, shape));
        OK(sslcv_backbone_forward(s.backbone, &batch, &pass, tape));
    }
    sslcv_tape_destroy(tape);
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_BUFFER), read_backbone(&s, SSLCV_ROLE_BUFFER)));
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* The last image of all is not a number: the slices before it have been recorded, and are taken back. */
START_TEST(test_failed_step_changes_nothing)
{
    static host_views v;
    rig_options o = {.epochs = 4, .seed = 7, .micro_batch = 3, .no_data = 1};
    weights before;
    rig r;

    make_simclr(&r, &o);
    make_views(&v, SIDE);
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    before = read_backbone(&r, SSLCV_ROLE_ALL);
    v.pixels[1][BATCH * PIXELS - 1] = NAN;
    FAILS(step_views(r.trainer, v.tensors, 2, NULL), SSLCV_ERR_NUMERIC, "images");
    ck_assert(equal(before, read_backbone(&r, SSLCV_ROLE_ALL)));
    ck_assert_int_eq(batches_tracked(&r), 3);
    free_rig(&r);
}
END_TEST

/* Batches of 9, 9 and 6, cut to 5 + 4 and 3 + 3: after the first epoch nothing more is taken. */
START_TEST(test_steps_allocate_nothing)
{
    const rig_options o = {.epochs = 3, .seed = 7, .keep_last = 1, .micro_batch = 5};
    double losses[6];
    int64_t bytes;
    rig r;

    make_simclr(&r, &o);
    steps(&r, 3, losses);
    bytes = held_bytes(&r);
    steps(&r, 6, losses);
    ck_assert_int_eq(held_bytes(&r), bytes);
    ck_assert_int_eq(get_memory(&r).micro_batch, 5);
    free_rig(&r);
}
END_TEST

START_TEST(test_out_of_memory)
{
    budget b = {-1, 0};
    const sslcv_allocator allocator = {sizeof allocator, &b, allocate, deallocate, NULL};
    rig_options o = {.epochs = 4, .seed = 7, .micro_batch = 5};
    sslcv_memory memory, foretold = {.struct_size = sizeof foretold};
    double losses[1];
    sslcv_progress progress;
    sslcv_branch branch;
    sslcv_status status;
    int64_t n;
    rig r;
    int i;

    for (i = 0; i < 2; i++) {
        if (i == 1) o.allocator = &allocator;
        make_rig(&r, &o);
        OK(sslcv_branch_init(&branch, sizeof branch));
        branch.views = views_01;
        branch.num_views = 2;
        branch.backbone = r.backbone;
        branch.stage = "stem";
        branch.heads = &r.projection;
        branch.num_heads = 1;
        OK(sslcv_trainer_add_branch(r.trainer, &branch, NULL));
        add_loss(&r, r.contrast, 0, 1.0);
        if (i == 0) {
            steps(&r, 1, losses);
            free_rig(&r);
        }
    }
    for (n = 0;; n++) {
        b.left = n;
        status = sslcv_trainer_get_memory(r.trainer, &foretold);
        b.left = -1;
        if (status == SSLCV_OK) break;
        ck_assert_msg(status == SSLCV_ERR_OUT_OF_MEMORY, "%s at %lld", sslcv_last_error(), (long long)n);
    }
    progress.struct_size = sizeof progress;
    for (n = 0;; n++) {
        b.left = n;
        status = sslcv_trainer_step(r.trainer, &progress);
        b.left = -1;
        if (status == SSLCV_OK) break;
        ck_assert_msg(status == SSLCV_ERR_OUT_OF_MEMORY, "%s at %lld", sslcv_last_error(), (long long)n);
    }
    ck_assert_msg(progress.loss == losses[0], "%.17g, not %.17g", progress.loss, losses[0]);
    memory = get_memory(&r);
    ck_assert_mem_eq(&foretold, &memory, sizeof memory);
    free_rig(&r);
    ck_assert_int_eq(b.held, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("caching");
    TCase *tests = tcase_create("caching");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_caching_is_exact, 0, NUM_COMPOSITIONS);
    tcase_add_test(tests, test_maps_are_cut);
    tcase_add_test(tests, test_large_micro_batch_is_none);
    tcase_add_loop_test(tests, test_statistics_are_recorded_once, 0, 2);
    tcase_add_test(tests, test_failed_step_changes_nothing);
    tcase_add_test(tests, test_steps_allocate_nothing);
    tcase_add_test(tests, test_out_of_memory);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
