/* Memory of a run: gradient caching, what is foretold against what is held, budgets. */
#include "trainer_support.h"

#include <unistd.h>

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

/* Largest difference of two gradients, as part of the largest gradient of the same network. */
static double compare_gradients(const sslcv__parts *a, const sslcv__parts *b)
{
    double worst = 0.0;
    int64_t i, k, n;

    ck_assert_int_eq(a->count, b->count);
    for (i = 0; i < a->count; i++) {
        double largest = 0.0, difference = 0.0;

        for (k = 0; k < a->items[i].state->count; k++) {
            const sslcv__variable *x = a->items[i].state->items[k].variable, *y = b->items[i].state->items[k].variable;

            for (n = 0; x->gradient && n < x->stored_bytes / (int64_t)sizeof(float); n++) {
                largest = fmax(largest, fabs((double)x->gradient[n]));
                difference = fmax(difference, fabs((double)x->gradient[n] - (double)y->gradient[n]));
            }
        }
        if (difference > 0.0) worst = fmax(worst, difference / largest);
    }
    return worst;
}

static int64_t held_bytes(rig *r)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    OK(sslcv_context_get_info(r->context, &info));
    return info.bytes;
}

static sslcv_memory get_memory(rig *r)
{
    sslcv_memory memory = {.struct_size = sizeof memory};

    OK(sslcv_trainer_get_memory(r->trainer, &memory));
    return memory;
}

/* ---- gradient caching ---- */

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
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL));
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
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL));
    before = read_backbone(&r, SSLCV_ROLE_ALL);
    v.pixels[1][BATCH * PIXELS - 1] = NAN;
    FAILS(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL), SSLCV_ERR_NUMERIC, "images");
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
    const sslcv_allocator allocator = {sizeof allocator, &b, allocate, deallocate};
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

/* ---- foretold ---- */

START_TEST(test_not_known_yet)
{
    rig_options o = plain;
    sslcv_memory memory = {.struct_size = sizeof memory};
    rig r;

    o.no_data = 1;
    make_rig(&r, &o);
    FAILS(sslcv_trainer_get_memory(r.trainer, &memory), SSLCV_ERR_STATE, "no loss yet");
    compose_simclr(&r);
    FAILS(sslcv_trainer_get_memory(r.trainer, &memory), SSLCV_ERR_STATE, "without a data set");
    memory.struct_size = 4;
    FAILS(sslcv_trainer_get_memory(r.trainer, &memory), SSLCV_ERR_INVALID_ARGUMENT, "memory.struct_size");
    free_rig(&r);
}
END_TEST

/* Foretelling takes no activations, changes no result, and fixes the composition. */
START_TEST(test_foretelling_leaves_no_trace)
{
    double one[2], two[2];
    sslcv_memory foretold, held;
    sslcv_branch branch;
    char text[4096];
    int64_t before, index;
    rig r, s;

    make_simclr(&r, &plain);
    steps(&r, 2, one);
    make_simclr(&s, &plain);
    before = held_bytes(&s);
    foretold = get_memory(&s);
    ck_assert(held_bytes(&s) - before < foretold.total - foretold.activations);
    OK(sslcv_branch_init(&branch, sizeof branch));
    FAILS(sslcv_trainer_add_branch(s.trainer, &branch, &index), SSLCV_ERR_STATE, "is fixed");
    OK(sslcv_trainer_describe(s.trainer, text, sizeof text, NULL));
    ck_assert_msg(strstr(text, "gives 2 x 8 x 1 x 16\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "memory: ") != NULL && strstr(text, "cached") == NULL, "%s", text);
    steps(&s, 2, two);
    ck_assert_mem_eq(one, two, sizeof one);
    held = get_memory(&s);
    ck_assert_mem_eq(&foretold, &held, sizeof held);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* ---- budgets ---- */

typedef struct notes {
    char text[1024];
    int32_t lines, level;
} notes;

static void note(void *user, int32_t level, const char *text)
{
    notes *n = user;

    if (strncmp(text, "memory: ", 8) != 0) return;
    snprintf(n->text, sizeof n->text, "%s", text);
    n->lines++;
    n->level = level;
}

/* Budgets that the last choice just misses, down to none that fits: each is kept, each choice is slower than the last. */
START_TEST(test_budgets)
{
    notes log = {.text = ""};
    rig_options o = {.epochs = 4, .seed = 7, .log = note, .log_user = &log};
    sslcv_memory memory, held, last = {0};
    double whole[1], losses[1];
    char text[4096];
    int64_t least = 0, choices = 0;
    sslcv_status status;
    rig r;

    make_simclr(&r, &o);
    steps(&r, 1, whole);
    last = get_memory(&r);
    ck_assert_int_eq(log.lines, 0);
    free_rig(&r);
    for (o.memory_budget = last.total;; o.memory_budget = memory.total - 1) {
        memory.struct_size = sizeof memory;
        log.lines = 0;
        make_simclr(&r, &o);
        status = sslcv_trainer_get_memory(r.trainer, &memory);
        if (status != SSLCV_OK) break;
        ck_assert_int_le(memory.total, o.memory_budget);
        ck_assert_int_eq(log.lines, 1);
        steps(&r, 1, losses);
        held = get_memory(&r);
        ck_assert_mem_eq(&memory, &held, sizeof held);
        ck_assert_int_le(memory.micro_batch, last.micro_batch);
        OK(sslcv_trainer_describe(r.trainer, text, sizeof text, NULL));
        if (memory.micro_batch == BATCH) { /* what is computed again is the same */
            ck_assert(losses[0] == whole[0]);
            ck_assert_int_eq(log.level, SSLCV_LOG_INFO);
            ck_assert_int_ge(memory.recomputed_stages, last.recomputed_stages);
            ck_assert(choices == 0 || strstr(text, "computed again in backward: norms") != NULL);
        } else {
            char wanted[64];

            snprintf(wanted, sizeof wanted, "gradients cached, %lld of 8 images a pass", (long long)memory.micro_batch);
            ck_assert_msg(strstr(text, wanted) != NULL, "%s", text);
            ck_assert_msg(strstr(log.text, wanted) != NULL && strstr(log.text, "batch norms see") != NULL, "%s",
                          log.text);
            ck_assert_int_eq(log.level, SSLCV_LOG_WARNING);
        }
        last = memory;
        choices++;
        free_rig(&r);
    }
    ck_assert_int_eq(status, SSLCV_ERR_LIMIT);
    ck_assert_int_eq(sscanf(sslcv_last_error(),
                            "trainer.memory_budget is %*d bytes; the least that a step of 8 images can do with is %ld",
                            &least),
                     1);
    ck_assert_int_eq(least, last.total);
    ck_assert_int_lt(last.micro_batch, BATCH);
    ck_assert_int_ge(choices, 3);
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_LIMIT, "the least that a step of 8 images");
    free_rig(&r);
}
END_TEST

/* A size that was given is kept to, budget or not. */
START_TEST(test_budget_and_micro_batch)
{
    rig_options o = {.epochs = 4, .seed = 7, .micro_batch = 4};
    sslcv_memory memory;
    rig r;

    make_simclr(&r, &o);
    memory = get_memory(&r);
    free_rig(&r);
    o.memory_budget = memory.total;
    make_simclr(&r, &o);
    memory = get_memory(&r);
    ck_assert_int_eq(memory.micro_batch, 4);
    free_rig(&r);
    o.memory_budget = memory.parameters;
    make_simclr(&r, &o);
    memory.struct_size = sizeof memory;
    FAILS(sslcv_trainer_get_memory(r.trainer, &memory), SSLCV_ERR_LIMIT, "trainer.memory_budget is");
    free_rig(&r);
}
END_TEST

/* The host's batches grow: what is done is decided again. */
START_TEST(test_budget_for_growing_batches)
{
    static host_views v;
    rig_options o = {.epochs = 4, .seed = 7, .no_data = 1};
    sslcv_memory small, large, again;
    rig r;
    int i;

    make_simclr(&r, &o);
    make_views(&v, SIDE);
    for (i = 0; i < 2; i++) v.tensors[i].shape[0] = 4;
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL));
    small = get_memory(&r);
    free_rig(&r);
    o.memory_budget = small.total + small.activations / 4;
    make_simclr(&r, &o);
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL));
    small = get_memory(&r);
    ck_assert_int_eq(small.micro_batch, 4);
    ck_assert_int_eq(small.recomputed_stages, 0);
    for (i = 0; i < 2; i++) v.tensors[i].shape[0] = BATCH;
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL));
    large = get_memory(&r);
    ck_assert(large.micro_batch < BATCH || large.recomputed_stages > 0);
    ck_assert_int_le(large.total, o.memory_budget);
    for (i = 0; i < 2; i++) v.tensors[i].shape[0] = 4;
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL));
    again = get_memory(&r);
    ck_assert_int_le(again.total, o.memory_budget);
    free_rig(&r);
}
END_TEST

/* Views that have gone through one pass become two of different shapes: the first pass gives back what it had. */
START_TEST(test_budget_for_other_shapes)
{
    static host_views v;
    rig_options o = {.epochs = 4, .seed = 7, .no_data = 1};
    sslcv_memory equal_views, other_views;
    rig r;

    make_views(&v, SIDE);
    make_simclr(&r, &o);
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL));
    equal_views = get_memory(&r);
    free_rig(&r);
    o.memory_budget = equal_views.total + 2 * BATCH * PIXELS * 4; /* had the views not lain together */
    make_simclr(&r, &o);
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL));
    v.tensors[1].shape[2] = v.tensors[1].shape[3] = SIDE / 2;
    OK(sslcv_trainer_step_views(r.trainer, v.tensors, 2, NULL, NULL, NULL));
    other_views = get_memory(&r);
    ck_assert_int_le(other_views.total, o.memory_budget);
    ck_assert_int_eq(other_views.micro_batch, BATCH);
    free_rig(&r);
}
END_TEST

START_TEST(test_options)
{
    const rig_options budget_negative = {.epochs = 1, .memory_budget = -1}, micro = {.epochs = 1, .micro_batch = -1};
    rig_options o = plain;
    rig r;

    make_rig(&r, &o);
    sslcv_trainer_destroy(r.trainer);
    r.trainer = NULL;
    FAILS(make_trainer(&r, &budget_negative), SSLCV_ERR_INVALID_ARGUMENT, "trainer.memory_budget is -1");
    FAILS(make_trainer(&r, &micro), SSLCV_ERR_INVALID_ARGUMENT, "trainer.micro_batch is -1");
    free_rig(&r);
}
END_TEST

/* ---- the process ---- */

/** What an allocator has given. */
typedef struct usage {
    int64_t held, peak; /* bytes */
} usage;

static void *meter_take(void *user, size_t bytes, size_t alignment)
{
    usage *m = user;

    m->held += (int64_t)bytes;
    if (m->held > m->peak) m->peak = m->held;
    return aligned_alloc(alignment, bytes);
}

static void meter_give(void *user, void *memory, size_t bytes)
{
    ((usage *)user)->held -= (int64_t)bytes;
    free(memory);
}

/* Bytes of a line of /proc/self/status; 0: there is none. */
static int64_t process_bytes(const char *line)
{
    FILE *file = fopen("/proc/self/status", "r");
    char text[128];
    long long kibibytes = 0;

    while (file && fgets(text, sizeof text, file)) {
        if (strncmp(text, line, strlen(line)) == 0) sscanf(text + strlen(line), ": %lld", &kibibytes);
    }
    if (file) fclose(file);
    return 1024 * kibibytes;
}

enum { BESIDE = 20 << 20 }; /* bytes: compiled kernels, oneDNN's objects, code and stacks of the thread pool */

typedef struct peaks {
    int64_t foretold, allocator, process;
} peaks;

/* One step of a ResNet-18 as it is used, images of 32 x 32. */
static void measure_peaks(int64_t batch, int64_t memory_budget, int64_t micro_batch, peaks *out)
{
    static float pixels[64 * 3 * 32 * 32];
    const int64_t shape[4] = {64, 3, 32, 32};
    usage meter = {0, 0};
    const sslcv_allocator allocator = {sizeof allocator, &meter, meter_take, meter_give};
    sslcv_context_options c;
    sslcv_dataset_options d;
    sslcv_method_options m;
    sslcv_memory memory = {.struct_size = sizeof memory};
    sslcv_dataset *dataset;
    sslcv_trainer *trainer;
    sslcv_context *context;
    sslcv_tensor images;
    char settings[64];
    int64_t before, held_before, i;

    for (i = 0; i < 64 * 3 * 32 * 32; i++) pixels[i] = (float)(i * 7919 % 1000) / 1000.0f;
    OK(sslcv_context_options_init(&c, sizeof c));
    c.allocator = &allocator;
    c.threads = 1;
    c.loader_threads = 0;
    OK(sslcv_context_create(&c, &context));
    OK(sslcv_dataset_options_init(&d, sizeof d, SSLCV_DATASET_LIST));
    OK(sslcv_dataset_create(context, &d, &dataset));
    OK(sslcv_tensor_init(&images, SSLCV_F32, pixels, 4, shape));
    OK(sslcv_dataset_add_image(dataset, &images, NULL));
    before = process_bytes("VmRSS");
    held_before = meter.held;
    OK(sslcv_method_options_init(&m, sizeof m));
    m.dataset = dataset;
    snprintf(settings, sizeof settings, "size=32 batch=%lld epochs=1", (long long)batch);
    m.settings = settings;
    OK(sslcv_method_create(context, "simclr", &m, &trainer));
    trainer->options.memory_budget = memory_budget;
    trainer->options.micro_batch = micro_batch;
    OK(sslcv_trainer_get_memory(trainer, &memory));
    meter.peak = meter.held;
    OK(sslcv_trainer_run(trainer, 1));
    out->foretold = memory.total;
    out->allocator = meter.peak - held_before;
    out->process = before > 0 ? process_bytes("VmHWM") - before : 0;
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
}

/* What is foretold is what the library takes, within 5 %, and what the process grows by, but for what lies beside. */
START_TEST(test_peak_is_foretold)
{
    static const int64_t batches[] = {4, 16, 16, 16}, budgets[] = {0, 0, 200 << 20, 0}, parts[] = {0, 0, 0, 4};
    const char *fork = getenv("CK_FORK");
    peaks p;

    if (fork && strcmp(fork, "no") == 0) return; /* under a tool: the process is not itself, and this is slow */
    measure_peaks(batches[_i], budgets[_i], parts[_i], &p);
    printf("batch %lld: foretold %.1f MiB, taken from the allocator %.1f MiB, growth of the process %.1f MiB\n",
           (long long)batches[_i], (double)p.foretold / 1048576, (double)p.allocator / 1048576,
           (double)p.process / 1048576);
    ck_assert_msg(llabs(p.allocator - p.foretold) <= p.foretold / 20, "%lld, not %lld", (long long)p.allocator,
                  (long long)p.foretold);
    if (p.process == 0) return;
    ck_assert_int_ge(p.process, p.foretold - p.foretold / 20);
    ck_assert_int_le(p.process, p.foretold + p.foretold / 20 + BESIDE);
    if (budgets[_i] > 0) ck_assert_int_le(p.foretold, budgets[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tests = tcase_create("memory");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_caching_is_exact, 0, NUM_COMPOSITIONS);
    tcase_add_test(tests, test_maps_are_cut);
    tcase_add_test(tests, test_large_micro_batch_is_none);
    tcase_add_loop_test(tests, test_statistics_are_recorded_once, 0, 2);
    tcase_add_test(tests, test_failed_step_changes_nothing);
    tcase_add_test(tests, test_steps_allocate_nothing);
    tcase_add_test(tests, test_out_of_memory);
    tcase_add_test(tests, test_not_known_yet);
    tcase_add_test(tests, test_foretelling_leaves_no_trace);
    tcase_add_test(tests, test_budgets);
    tcase_add_test(tests, test_budget_and_micro_batch);
    tcase_add_test(tests, test_budget_for_growing_batches);
    tcase_add_test(tests, test_budget_for_other_shapes);
    tcase_add_test(tests, test_options);
    tcase_add_loop_test(tests, test_peak_is_foretold, 0, 4);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
