/* Passes with split batch norm and shuffling: groups alone, evaluation, what is kept, refused and allocated. */
#include "split_support.h"

#include <sslcv/backbone.h>
#include <sslcv/head.h>

#include "model/backbone.h"

enum { BATCH = 8, SIZE = 20, DIM = 128, PIXELS = 3 * SIZE * SIZE };

typedef struct setup {
    sslcv_backbone *backbone;
    sslcv_tensor images;
    float *pixels;
} setup;

static void begin(setup *s)
{
    const int64_t shape[4] = {BATCH, 3, SIZE, SIZE};
    sslcv_backbone_options options;

    OK(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));
    options.width = 0.25;
    options.seed = 5;
    options.stem = SSLCV_STEM_CIFAR;
    options.zero_init_residual = 0;
    OK(sslcv_backbone_create(context, &options, &s->backbone));
    s->pixels = malloc(BATCH * PIXELS * sizeof(float));
    draw(s->pixels, BATCH * PIXELS, 3);
    OK(sslcv_tensor_init(&s->images, SSLCV_F32, s->pixels, 4, shape));
}

static void end(setup *s)
{
    sslcv_backbone_destroy(s->backbone);
    free(s->pixels);
}

static void features_of(setup *s, sslcv_pass pass, float *features)
{
    sslcv_tensor output;

    OK(sslcv_backbone_forward(s->backbone, &s->images, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    memcpy(features, output.data, (size_t)(sslcv__tensor_count(&output)) * sizeof(float));
}

static int64_t gradient_count(const setup *s)
{
    const sslcv__variables *v = &s->backbone->net.variables;
    int64_t count = 0, i;

    for (i = 0; i < v->count; i++) count += v->items[i]->gradient ? v->items[i]->count : 0;
    return count;
}

/* Backward of the last pass, from the rows of g; all gradients so far in one array, which is the caller's to free. */
static float *gradients_of(setup *s, float *g)
{
    const sslcv__variables *v = &s->backbone->net.variables;
    float *all = malloc((size_t)gradient_count(s) * sizeof(float)), *next = all;
    sslcv_tensor diff;
    int64_t i;

    OK(sslcv_tape_output(tape, &diff));
    diff.data = g;
    OK(sslcv_tape_backward(tape, &diff));
    for (i = 0; i < v->count; i++) {
        if (!v->items[i]->gradient) continue;
        OK(sslcv__variable_read(context, v->items[i], SSLCV_STATE_GRADIENT, next));
        next += v->items[i]->count;
    }
    return all;
}

static void forget_gradients(setup *s)
{
    int64_t i;

    for (i = 0; i < s->backbone->net.variables.count; i++) s->backbone->net.variables.items[i]->has_gradient = 0;
}

static void use_precision(int32_t precision)
{
    sslcv_context_options options;

    tear_down();
    OK(sslcv_context_options_init(&options, sizeof options));
    options.precision = precision;
    options.winograd = 0; /* may be chosen for one batch and not for the other */
    OK(sslcv_context_create(&options, &context));
    OK(sslcv_tape_create(context, &tape));
}

static int has_bf16(void)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    use_precision(SSLCV_PRECISION_AUTO);
    OK(sslcv_context_get_info(context, &info));
    return info.precision == SSLCV_PRECISION_BF16;
}

/* Two groups in one pass, and each of them in a pass of its own: other kernels may be taken for half the images, but no
   more than rounding differs. */
START_TEST(groups_equal_passes_of_their_own)
{
    float together[BATCH * DIM], apart[BATCH * DIM], g[BATCH * DIM], own_g[BATCH * DIM];
    float *gradients, *own = NULL;
    double *expected;
    setup s;
    int k, i;

    if (_i == 1 && !has_bf16()) return;
    use_precision(_i == 1 ? SSLCV_PRECISION_BF16 : SSLCV_PRECISION_F32);
    begin(&s);
    draw(g, BATCH * DIM, 8);
    features_of(&s, pass_of(TRAIN | SSLCV_PASS_GRADIENT, 2, 0), together);
    gradients = gradients_of(&s, g);
    forget_gradients(&s);
    s.images.shape[0] = BATCH / 2;
    s.images.strides[0] = 2 * PIXELS;
    for (k = 0; k < 2; k++) {
        float rows[BATCH / 2 * DIM];

        s.images.data = s.pixels + k * PIXELS;
        features_of(&s, pass_of(TRAIN | SSLCV_PASS_GRADIENT, 1, 0), rows);
        for (i = 0; i < BATCH / 2; i++) {
            memcpy(apart + (2 * i + k) * DIM, rows + i * DIM, DIM * sizeof *rows);
            memcpy(own_g + i * DIM, g + (2 * i + k) * DIM, DIM * sizeof *g);
        }
        free(own);
        own = gradients_of(&s, own_g);
    }
    expected = to_double(apart, BATCH * DIM);
    ck_assert_double_le(distance(together, expected, BATCH * DIM), _i == 1 ? 2e-2 : 1e-5);
    free(expected);
    expected = to_double(own, gradient_count(&s));
    ck_assert_double_le(distance(gradients, expected, gradient_count(&s)), _i == 1 ? 2e-2 : 1e-5);
    free(expected);
    free(own);
    free(gradients);
    end(&s);
}
END_TEST

START_TEST(evaluation_takes_no_groups)
{
    static const int32_t flags[] = {EVALUATION, SSLCV_PASS_GRADIENT};
    float plain[BATCH * DIM], split[BATCH * DIM];
    setup s;
    int i;

    begin(&s);
    for (i = 0; i < 2; i++) {
        features_of(&s, pass_of(flags[i], 1, 0), plain);
        features_of(&s, pass_of(flags[i] | SHUFFLE, 3, 77), split); /* 3 does not divide 8, and need not */
        ck_assert_mem_eq(plain, split, sizeof plain);
    }
    /* Nor does a network in training whose norms are all frozen. */
    OK(sslcv_backbone_freeze(s.backbone, 5));
    features_of(&s, pass_of(TRAIN, 1, 0), plain);
    features_of(&s, pass_of(TRAIN | SHUFFLE, 3, 77), split);
    ck_assert_mem_eq(plain, split, sizeof plain);
    end(&s);
}
END_TEST

START_TEST(shuffling_changes_groups_alone)
{
    float plain[BATCH * DIM], other[BATCH * DIM], third[BATCH * DIM];
    setup s;

    begin(&s);
    features_of(&s, pass_of(TRAIN, 1, 0), plain);
    features_of(&s, pass_of(TRAIN | SHUFFLE, 1, 77), other);
    ck_assert_mem_eq(plain, other, sizeof plain);
    features_of(&s, pass_of(TRAIN | SHUFFLE, 2, 77), plain);
    features_of(&s, pass_of(TRAIN | SHUFFLE, 2, 77), other);
    ck_assert_mem_eq(plain, other, sizeof plain);
    features_of(&s, pass_of(TRAIN | SHUFFLE, 2, 78), other);
    features_of(&s, pass_of(TRAIN, 2, 78), third);
    ck_assert_mem_ne(plain, other, sizeof plain);
    ck_assert_mem_ne(plain, third, sizeof plain);
    ck_assert_mem_ne(other, third, sizeof plain);
    end(&s);
}
END_TEST

START_TEST(tapes_shuffle_each_pass_anew)
{
    float first[BATCH * DIM], second[BATCH * DIM], other[BATCH * DIM];
    setup s;

    begin(&s);
    features_of(&s, pass_of(TRAIN | SHUFFLE, 2, 0), first);
    features_of(&s, pass_of(TRAIN | SHUFFLE, 2, 0), second);
    ck_assert_mem_ne(first, second, sizeof first);
    sslcv_tape_destroy(tape);
    OK(sslcv_tape_create(context, &tape));
    features_of(&s, pass_of(TRAIN | SHUFFLE, 2, 0), other);
    ck_assert_mem_eq(first, other, sizeof first);
    features_of(&s, pass_of(TRAIN | SHUFFLE, 2, 0), other);
    ck_assert_mem_eq(second, other, sizeof first);
    end(&s);
}
END_TEST

START_TEST(recomputing_changes_nothing)
{
    static const int32_t ways[] = {SSLCV__RECOMPUTE_NORMS, SSLCV__RECOMPUTE_STAGE << 1, 63};
    float features[BATCH * DIM], g[BATCH * DIM], *kept, *again;
    setup s;
    int i;

    begin(&s);
    draw(g, BATCH * DIM, 8);
    tape->recompute = 0;
    features_of(&s, pass_of(TRAIN | SSLCV_PASS_GRADIENT | SHUFFLE, 4, 1), features);
    kept = gradients_of(&s, g);
    for (i = 0; i < 3; i++) {
        forget_gradients(&s);
        tape->recompute = ways[i];
        features_of(&s, pass_of(TRAIN | SSLCV_PASS_GRADIENT | SHUFFLE, 4, 1), features);
        again = gradients_of(&s, g);
        ck_assert_mem_eq(kept, again, (size_t)gradient_count(&s) * sizeof *kept);
        free(again);
    }
    free(kept);
    end(&s);
}
END_TEST

static float first_mean(const setup *s)
{
    return *(const float *)sslcv__variables_find(&s->backbone->net.variables, "bn1.running_mean")->value;
}

START_TEST(statistics_are_recorded_all_or_none)
{
    float features[BATCH * DIM], before;
    sslcv_pass pass = pass_of(TRAIN, 4, 0);
    setup s;

    begin(&s);
    before = first_mean(&s);
    tape->dry = 1;
    features_of(&s, pass, features);
    ck_assert_float_eq(first_mean(&s), before);
    tape->dry = 0;
    /* Images 3 and 7, the last group. */
    s.pixels[3 * PIXELS] = 3e38f;
    s.pixels[7 * PIXELS] = -3e38f;
    FAILS(sslcv_backbone_forward(s.backbone, &s.images, &pass, tape), SSLCV_ERR_NUMERIC, "statistics are not finite");
    ck_assert_float_eq(first_mean(&s), before);
    s.pixels[3 * PIXELS] = s.pixels[7 * PIXELS] = 0.0f;
    features_of(&s, pass, features);
    ck_assert_float_ne(first_mean(&s), before);
    end(&s);
}
END_TEST

/* ---- orders ---- */

START_TEST(shuffled_rows_meet_evenly)
{
    enum { ROUNDS = 400 };
    const int64_t shape[4] = {8, 2, 1, 1};
    float x[16];
    int with[8] = {0}, seen, k;
    uint64_t random;
    sslcv_tensor input;
    sslcv__net net;
    int32_t node;

    draw(x, 16, 1);
    OK(sslcv__net_init(&net, context, 0, 2));
    OK(sslcv__net_batch_norm(&net, 0, "n", 0, 0, &node));
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 4, shape));
    for (random = 0; random < ROUNDS; random++) {
        const int64_t *order;
        int64_t group[8];

        OK(forward(&net, &input, pass_of(TRAIN | SHUFFLE, 2, random)));
        order = sslcv__plan_memory(tape->current, tape->current->order);
        for (seen = 0, k = 0; k < 8; k++) {
            seen |= 1 << order[k];
            group[order[k]] = k / 4;
        }
        ck_assert_int_eq(seen, 255);
        for (k = 1; k < 8; k++) with[k] += group[k] == group[0];
    }
    /* Three of seven others share a row's group: 171.4 of 400, deviation 9.9. */
    for (k = 1; k < 8; k++) ck_assert_msg(abs(with[k] - 171) < 50, "rows 0 and %d meet %d times", k, with[k]);
    sslcv__net_free(&net);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(bad_splits_are_named)
{
    const int64_t rows_shape[2] = {6, 3}, one_shape[2] = {4, 3};
    sslcv_mlp_options options;
    sslcv_tensor rows;
    sslcv_head *head;
    sslcv_pass pass;
    float x[18] = {0};
    setup s;

    begin(&s);
    OK(sslcv_pass_init(&pass, sizeof pass));
    ck_assert_int_eq(pass.bn_splits, 1);
    ck_assert_uint_eq(pass.random, 0);
    pass.bn_splits = 0;
    FAILS(sslcv_backbone_forward(s.backbone, &s.images, &pass, tape), SSLCV_ERR_INVALID_ARGUMENT,
          "pass.bn_splits is 0; must be 1 or more");
    pass.bn_splits = 3;
    FAILS(sslcv_backbone_forward(s.backbone, &s.images, &pass, tape), SSLCV_ERR_INVALID_ARGUMENT,
          "bn_splits is 3; must divide the images of the pass, which are 8");
    pass.bn_splits = 16;
    FAILS(sslcv_backbone_forward(s.backbone, &s.images, &pass, tape), SSLCV_ERR_INVALID_ARGUMENT, "bn_splits is 16");
    pass.bn_splits = 8;
    OK(sslcv_backbone_forward(s.backbone, &s.images, &pass, tape)); /* an image is many values */
    pass.flags |= 32;
    FAILS(sslcv_backbone_forward(s.backbone, &s.images, &pass, tape), SSLCV_ERR_INVALID_ARGUMENT, "pass.flags is 35");

    OK(sslcv_mlp_options_init(&options, sizeof options));
    options.in_dim = options.out_dim = 3;
    OK(sslcv_head_create_mlp(context, &options, &head));
    pass = pass_of(TRAIN, 4, 0);
    OK(sslcv_tensor_init(&rows, SSLCV_F32, x, 2, rows_shape));
    FAILS(sslcv_head_forward(head, &rows, &pass, tape), SSLCV_ERR_INVALID_ARGUMENT,
          "bn_splits is 4; must divide the rows of the pass, which are 6");
    OK(sslcv_tensor_init(&rows, SSLCV_F32, x, 2, one_shape));
    FAILS(sslcv_head_forward(head, &rows, &pass, tape), SSLCV_ERR_LIMIT,
          "a group of one value a channel has no statistics");
    pass.bn_splits = 2;
    OK(sslcv_head_forward(head, &rows, &pass, tape));
    sslcv_head_destroy(head);
    end(&s);
}
END_TEST

/* ---- memory ---- */

/* Each allocation in turn fails: nothing is left, and the tape works when there is memory again. Passes of sizes and
   splits that it has seen allocate nothing, whatever they draw. */
START_TEST(memory_may_run_out)
{
    host h = {.fail_at = -1};
    const int64_t shape[4] = {8, 3, 6, 6};
    float x[8 * 108], g[8 * 16] = {0};
    sslcv_tensor input, diff;
    sslcv__net net;
    long long first, after;
    sslcv_status status;
    uint64_t round;

    tear_down();
    context = new_context(&h, 0);
    build_residual(&net, 3, 8);
    draw(x, 8 * 108, 1);
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 4, shape));
    OK(sslcv_tape_create(context, &tape));
    OK(forward(&net, &input, pass_of(ALL, 1, 0)));
    for (first = 0, status = SSLCV_ERR_OUT_OF_MEMORY; status == SSLCV_ERR_OUT_OF_MEMORY; first++) {
        sslcv_tape_destroy(tape);
        OK(sslcv_tape_create(context, &tape));
        atomic_store(&h.fail_at, atomic_load(&h.calls) + first);
        status = forward(&net, &input, pass_of(ALL | SHUFFLE, 4, 0));
        atomic_store(&h.fail_at, -1);
        if (status == SSLCV_ERR_OUT_OF_MEMORY) OK(forward(&net, &input, pass_of(ALL | SHUFFLE, 4, 0)));
    }
    ck_assert_int_eq(status, SSLCV_OK);
    ck_assert_int_gt(first, 10);
    after = atomic_load(&h.calls);
    for (round = 0; round < 4; round++) {
        OK(forward(&net, &input, pass_of(round % 2 ? ALL : ALL | SHUFFLE, 4, round)));
        OK(sslcv_tape_output(tape, &diff));
        diff.data = g;
        OK(sslcv_tape_backward(tape, &diff));
    }
    ck_assert_int_eq(atomic_load(&h.calls), after);
    sslcv__net_free(&net);
    tear_down(); /* before the allocator goes out of scope */
    ck_assert_int_eq(atomic_load(&h.out), 0);
    set_up();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("split_pass");
    TCase *tests = tcase_create("passes");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, groups_equal_passes_of_their_own, 0, 2);
    tcase_add_test(tests, evaluation_takes_no_groups);
    tcase_add_test(tests, shuffling_changes_groups_alone);
    tcase_add_test(tests, tapes_shuffle_each_pass_anew);
    tcase_add_test(tests, recomputing_changes_nothing);
    tcase_add_test(tests, statistics_are_recorded_all_or_none);
    tcase_add_test(tests, shuffled_rows_meet_evenly);
    tcase_add_test(tests, bad_splits_are_named);
    tcase_add_test(tests, memory_may_run_out);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
