/* The engine against its naive twin: every layer, small residual graphs, tapes, memory, freezing. */
#include "net_support.h"

#include <pthread.h>

#include "nn/arena.h"

/* ---- single layers ---- */

static const struct {
    int64_t in, out, kernel, stride, padding, batch, height, width;
} convolutions[] = {{3, 64, 3, 1, 1, 2, 8, 8},   {3, 16, 7, 2, 3, 2, 15, 14}, {1, 16, 3, 1, 1, 3, 7, 9},
                    {64, 64, 3, 1, 1, 2, 8, 8},  {64, 128, 3, 2, 1, 2, 8, 8}, {64, 128, 1, 2, 0, 2, 8, 8},
                    {128, 64, 1, 1, 0, 1, 5, 3}, {5, 7, 3, 1, 1, 2, 6, 6},    {24, 40, 3, 2, 1, 2, 9, 7},
                    {96, 80, 3, 1, 1, 1, 6, 10}, {8, 8, 3, 1, 1, 4, 4, 4},    {16, 32, 1, 2, 0, 2, 7, 7},
                    {80, 112, 3, 1, 1, 2, 4, 4}, {4, 16, 5, 1, 2, 2, 6, 6},   {128, 128, 3, 1, 1, 1, 2, 2}};

START_TEST(convolution_equals_twin)
{
    const int64_t shape[4] = {convolutions[_i].batch, convolutions[_i].in, convolutions[_i].height,
                              convolutions[_i].width};
    sslcv__net net;
    int32_t node;

    OK(sslcv__net_init(&net, context, 0, shape[1]));
    OK(sslcv__net_convolution(&net, 0, "c", convolutions[_i].out, convolutions[_i].kernel, convolutions[_i].stride,
                              convolutions[_i].padding, &node));
    compare(&net, shape, ALL | SSLCV_PASS_MAP, 1);
    sslcv__net_free(&net);
}
END_TEST

START_TEST(batch_norm_equals_twin)
{
    static const int64_t channels[] = {16, 64, 5, 24, 1};
    const int64_t shape[4] = {3, channels[_i], 5, 4};
    int32_t node, flags, relu;

    for (flags = 0; flags < 4; flags++) {
        for (relu = 0; relu < 2; relu++) {
            sslcv__net net;

            OK(sslcv__net_init(&net, context, 0, shape[1]));
            OK(sslcv__net_batch_norm(&net, 0, "n", 2, relu, &node));
            compare(&net, shape, flags | SSLCV_PASS_MAP | (flags & 2 ? SSLCV_PASS_INPUT_GRADIENT : 0), 11);
            sslcv_tape_destroy(tape);
            OK(sslcv_tape_create(context, &tape));
            sslcv__net_free(&net);
        }
    }
}
END_TEST

START_TEST(pooling_equals_twin)
{
    const int64_t shape[4] = {2, _i == 0 ? 16 : 6, 9, 8};
    sslcv__net net;
    int32_t node;

    OK(sslcv__net_init(&net, context, 0, shape[1]));
    OK(sslcv__net_max_pool(&net, 0, 3, 2, 1, &node));
    compare(&net, shape, ALL, 21);
    sslcv__net_free(&net);
}
END_TEST

START_TEST(rows_equal_twin)
{
    const int64_t rows[] = {2, 5, 64, 33}, dims[] = {3, 17, 128, 32};
    const int64_t shape[4] = {rows[_i], dims[_i], 1, 1};
    sslcv__net net;
    int32_t node;

    OK(sslcv__net_init(&net, context, 1, shape[1]));
    OK(sslcv__net_linear(&net, 0, "0", 24, 0, &node));
    OK(sslcv__net_batch_norm(&net, node, "1", 2, 1, &node));
    OK(sslcv__net_linear(&net, node, "3", 10, 0, &node));
    OK(sslcv__net_batch_norm(&net, node, "4", 0, 0, &node));
    OK(sslcv__net_linear(&net, node, "5", 12, 1, &node));
    OK(sslcv__net_relu(&net, node, &node));
    OK(sslcv__net_linear(&net, node, "7", 8, 0, &node));
    OK(sslcv__net_batch_norm(&net, node, "8", 1, 0, &node));
    OK(sslcv__net_normalize(&net, node, &node));
    /* Two rows make every normalised value +-1 up to epsilon, and gradients vanish: evaluation there. */
    compare(&net, shape, rows[_i] > 2 ? ALL : SSLCV_PASS_GRADIENT, 31);
    sslcv__net_free(&net);
}
END_TEST

/* ---- graphs ---- */

/* A stem and two blocks: one with an identity shortcut, one with a projection, as ResNets have them. */
static void build_residual(sslcv__net *net, int64_t channels, int64_t width)
{
    int32_t x, main, side;

    OK(sslcv__net_init(net, context, 0, channels));
    OK(sslcv__net_convolution(net, 0, "conv1", width, 3, 1, 1, &x));
    OK(sslcv__net_batch_norm(net, x, "bn1", 2, 1, &x));
    net->stage = 1;
    OK(sslcv__net_convolution(net, x, "a.conv1", width, 3, 1, 1, &main));
    OK(sslcv__net_batch_norm(net, main, "a.bn1", 2, 1, &main));
    OK(sslcv__net_convolution(net, main, "a.conv2", width, 3, 1, 1, &main));
    OK(sslcv__net_batch_norm(net, main, "a.bn2", 2, 0, &main));
    OK(sslcv__net_add_relu(net, main, x, &x));
    net->stage = 2;
    OK(sslcv__net_convolution(net, x, "b.conv1", 2 * width, 3, 2, 1, &main));
    OK(sslcv__net_batch_norm(net, main, "b.bn1", 2, 1, &main));
    OK(sslcv__net_convolution(net, main, "b.conv2", 2 * width, 3, 1, 1, &main));
    OK(sslcv__net_batch_norm(net, main, "b.bn2", 2, 0, &main));
    OK(sslcv__net_convolution(net, x, "b.side", 2 * width, 1, 2, 0, &side));
    OK(sslcv__net_batch_norm(net, side, "b.side_bn", 2, 0, &side));
    OK(sslcv__net_add_relu(net, main, side, &x));
}

START_TEST(residual_graph_equals_twin)
{
    const int64_t shape[4] = {3, 3, 7, 6};
    sslcv__net net;

    build_residual(&net, 3, _i == 0 ? 16 : 6);
    compare(&net, shape, ALL, 41);
    sslcv__net_free(&net);
}
END_TEST

START_TEST(residual_graph_equals_twin_in_other_passes)
{
    static const int32_t flags[] = {0,
                                    SSLCV_PASS_TRAIN,
                                    SSLCV_PASS_GRADIENT,
                                    SSLCV_PASS_MAP,
                                    SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT,
                                    SSLCV_PASS_GRADIENT | SSLCV_PASS_INPUT_GRADIENT | SSLCV_PASS_MAP};
    const int64_t shape[4] = {2, 2, 6, 6};
    sslcv__net net;

    build_residual(&net, 2, 16);
    compare(&net, shape, flags[_i], 51);
    sslcv__net_free(&net);
}
END_TEST

/* One value read by two convolutions and two sums: gradients from four readers. */
START_TEST(value_with_many_readers_equals_twin)
{
    const int64_t shape[4] = {2, 16, 5, 5};
    sslcv__net net;
    int32_t x, a, b, c;

    OK(sslcv__net_init(&net, context, 0, 16));
    OK(sslcv__net_convolution(&net, 0, "x", 16, 3, 1, 1, &x));
    OK(sslcv__net_convolution(&net, x, "a", 16, 3, 1, 1, &a));
    OK(sslcv__net_add_relu(&net, a, x, &b));
    OK(sslcv__net_convolution(&net, x, "c", 16, 1, 1, 0, &c));
    OK(sslcv__net_add_relu(&net, c, b, &b));
    OK(sslcv__net_add_relu(&net, b, x, &b));
    OK(sslcv__net_add_relu(&net, b, b, &b));
    compare(&net, shape, ALL, 61);
    sslcv__net_free(&net);
}
END_TEST

/* The twin itself against finite differences, so that both are not wrong alike. */
START_TEST(twin_equals_finite_differences)
{
    const int64_t shape[4] = {2, 2, 5, 5};
    const double step = 1e-6;
    sslcv__net net;
    naive *twin;
    double x[100], g[8], worst = 0;
    float values[100];
    int64_t i, j, k;

    build_residual(&net, 2, 2);
    randomize(&net, 71);
    draw(values, 100, 72);
    for (i = 0; i < 100; i++) x[i] = values[i];
    draw(values, 8, 73);
    for (i = 0; i < 8; i++) g[i] = values[i];
    twin = naive_create(&net, net.num_nodes - 1, 1, 1);
    naive_forward(twin, shape, x);
    naive_backward(twin, g);
    for (i = 0; i < net.variables.count; i++) {
        for (j = 0; net.variables.items[i]->gradient && j < net.variables.items[i]->count; j++) {
            double change = 0;

            for (k = 0; k < 2; k++) {
                naive *moved = naive_create(&net, net.num_nodes - 1, 1, 1);
                int64_t o;

                moved->value[i][j] += k ? -step : step;
                naive_forward(moved, shape, x);
                for (o = 0; o < 8; o++) change += (k ? -1 : 1) * g[o] * moved->y[moved->num_nodes - 1][o];
                naive_free(moved);
            }
            worst = fmax(worst, fabs(change / (2 * step) - twin->gradient[i][j]));
        }
    }
    ck_assert_msg(worst < 1e-6, "off by %g", worst);
    naive_free(twin);
    sslcv__net_free(&net);
}
END_TEST

/* ---- running statistics ---- */

START_TEST(running_statistics_move_unbiased)
{
    /* methods.md 6.4 without splits: x = 1 2 3 4: mean 2.5, unbiased variance 5/3, from 0 and 1 by a tenth. */
    float x[4] = {1, 2, 3, 4}, mean, variance;
    const int64_t shape[4] = {4, 1, 1, 1};
    int64_t batches;
    sslcv_tensor input;
    sslcv__net net;
    int32_t node;

    OK(sslcv__net_init(&net, context, 0, 1));
    OK(sslcv__net_batch_norm(&net, 0, "n", 2, 0, &node));
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 4, shape));
    OK(forward(tape, &net, &input, "input", SSLCV_PASS_TRAIN, node));
    OK(sslcv__variable_read(context, net.nodes[node].mean, SSLCV_STATE_VALUE, &mean));
    OK(sslcv__variable_read(context, net.nodes[node].variance, SSLCV_STATE_VALUE, &variance));
    OK(sslcv__variable_read(context, net.nodes[node].batches, SSLCV_STATE_VALUE, &batches));
    CLOSE(mean, 0.25, 1e-6);
    CLOSE(variance, 0.9 + 0.1 * 5.0 / 3.0, 1e-6);
    ck_assert_int_eq(batches, 1);

    OK(forward(tape, &net, &input, "input", 0, node));
    OK(sslcv__variable_read(context, net.nodes[node].mean, SSLCV_STATE_VALUE, &mean));
    CLOSE(mean, 0.25, 1e-6);

    x[2] = NAN;
    FAILS(forward(tape, &net, &input, "images", SSLCV_PASS_TRAIN, node), SSLCV_ERR_NUMERIC,
          "images has a value that is NaN");
    x[2] = 3e38f;
    x[1] = -3e38f;
    FAILS(forward(tape, &net, &input, "images", SSLCV_PASS_TRAIN, node), SSLCV_ERR_NUMERIC,
          "n.running_mean: the batch's statistics are not finite");
    OK(sslcv__variable_read(context, net.nodes[node].mean, SSLCV_STATE_VALUE, &mean));
    CLOSE(mean, 0.25, 1e-6);
    sslcv__net_free(&net);
}
END_TEST

/* Files may say anything: a counter at its end stays there. */
START_TEST(batches_are_counted_to_the_last_number)
{
    float x[4] = {1, 2, 3, 4};
    const int64_t shape[4] = {4, 1, 1, 1}, almost = INT64_MAX - 1;
    int64_t batches;
    sslcv_tensor input;
    sslcv__net net;
    int32_t node;
    int i;

    OK(sslcv__net_init(&net, context, 0, 1));
    OK(sslcv__net_batch_norm(&net, 0, "n", 2, 0, &node));
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 4, shape));
    sslcv__variable_reset(net.nodes[node].batches, &almost);
    for (i = 0; i < 2; i++) {
        OK(forward(tape, &net, &input, "input", SSLCV_PASS_TRAIN, node));
        OK(sslcv__variable_read(context, net.nodes[node].batches, SSLCV_STATE_VALUE, &batches));
        ck_assert_int_eq(batches, INT64_MAX);
    }
    sslcv__net_free(&net);
}
END_TEST

/* ---- tapes ---- */

static void fill_and_describe(float *x, sslcv_tensor *input, int64_t batch, uint64_t seed)
{
    const int64_t shape[4] = {batch, 3, 8, 8};

    draw(x, naive_count(shape), seed);
    OK(sslcv_tensor_init(input, SSLCV_F32, x, 4, shape));
}

START_TEST(two_tapes_alive_accumulate)
{
    const int64_t shape[4] = {4, 3, 8, 8};
    float x[768];
    double *exact, g[4 * 32];
    sslcv_tape *other;
    sslcv_tensor input, output, diff;
    float values[4 * 32];
    sslcv__net net;
    naive *twin;
    int64_t i;

    build_residual(&net, 3, 16);
    randomize(&net, 81);
    OK(sslcv_tape_create(context, &other));
    fill_and_describe(x, &input, 4, 82);
    draw(values, 4 * 32, 83);
    for (i = 0; i < 4 * 32; i++) g[i] = values[i];
    exact = to_double(x, 768);
    twin = naive_create(&net, net.num_nodes - 1, 1, 1);
    naive_forward(twin, shape, exact);
    naive_backward(twin, g);

    OK(forward(tape, &net, &input, "input", 3, net.num_nodes - 1));
    OK(forward(other, &net, &input, "input", 3, net.num_nodes - 1));
    OK(sslcv_tape_output(tape, &output));
    diff = output;
    diff.data = values;
    OK(sslcv_tape_backward(tape, &diff));
    OK(sslcv_tape_backward(other, &diff));
    compare_gradients(&net, twin, 2.0);
    FAILS(sslcv_tape_backward(tape, &diff), SSLCV_ERR_STATE, "already been run back");
    FAILS(sslcv_tape_diff_input(tape, &diff), SSLCV_ERR_STATE, "SSLCV_PASS_INPUT_GRADIENT");
    sslcv_tape_destroy(other);
    naive_free(twin);
    free(exact);
    sslcv__net_free(&net);
}
END_TEST

START_TEST(wrong_order_is_refused)
{
    float x[768], g[128] = {0};
    const int64_t shape[1] = {128}, few[1] = {127};
    sslcv_tensor input, output, diff;
    sslcv__net net;

    build_residual(&net, 3, 16);
    OK(sslcv_tensor_init(&diff, SSLCV_F32, g, 1, shape));
    FAILS(sslcv_tape_output(tape, &output), SSLCV_ERR_STATE, "no forward pass yet");
    FAILS(sslcv_tape_backward(tape, &diff), SSLCV_ERR_STATE, "no forward pass yet");
    FAILS(sslcv_tape_diff_input(tape, &output), SSLCV_ERR_STATE, "not been run back");
    fill_and_describe(x, &input, 4, 1);
    OK(forward(tape, &net, &input, "input", 0, net.num_nodes - 1));
    FAILS(sslcv_tape_backward(tape, &diff), SSLCV_ERR_STATE, "without SSLCV_PASS_GRADIENT");
    OK(forward(tape, &net, &input, "input", 3, net.num_nodes - 1));
    OK(sslcv_tensor_init(&diff, SSLCV_F32, g, 1, few));
    FAILS(sslcv_tape_backward(tape, &diff), SSLCV_ERR_INVALID_ARGUMENT, "127 elements; the output has 128");
    OK(sslcv_tensor_init(&diff, SSLCV_F32, g, 1, shape));
    OK(sslcv_tape_backward(tape, &diff));
    FAILS(sslcv_tape_output(NULL, &output), SSLCV_ERR_INVALID_ARGUMENT, "tape is NULL");
    FAILS(sslcv_tape_output(tape, NULL), SSLCV_ERR_INVALID_ARGUMENT, "output is NULL");
    FAILS(sslcv_tape_backward((sslcv_tape *)context, &diff), SSLCV_ERR_INVALID_ARGUMENT, "not a live tape");
    sslcv__net_free(&net);
}
END_TEST

/* ---- memory ---- */

START_TEST(seen_shapes_allocate_nothing)
{
    host counting = {.fail_at = -1};
    static float x[8 * 192];
    float g[8 * 32] = {0};
    sslcv_tensor input, diff;
    sslcv__net net;
    long long before = 0;
    int round;

    tear_down();
    context = new_context(&counting, 0);
    OK(sslcv_tape_create(context, &tape));
    build_residual(&net, 3, 16);
    for (round = 0; round < 6; round++) {
        fill_and_describe(x, &input, 4 + 4 * (round % 2), (uint64_t)round);
        if (round == 2) before = atomic_load(&counting.calls);
        OK(forward(tape, &net, &input, "input", 3, net.num_nodes - 1));
        OK(sslcv_tape_output(tape, &diff));
        diff.data = g;
        OK(sslcv_tape_backward(tape, &diff));
    }
    ck_assert_int_eq(atomic_load(&counting.calls), before);
    sslcv__net_free(&net);
    tear_down(); /* before the allocator goes out of scope */
    ck_assert_int_eq(atomic_load(&counting.out), 0);
    set_up();
}
END_TEST

START_TEST(more_shapes_than_plans_are_kept)
{
    static float x[12 * 192];
    sslcv_tensor input, output;
    float first = 0;
    sslcv__net net;
    int64_t batch;
    int round;

    build_residual(&net, 3, 16);
    for (round = 0; round < 2; round++) {
        for (batch = 1; batch <= 12; batch++) {
            fill_and_describe(x, &input, batch, 5);
            OK(forward(tape, &net, &input, "input", 0, net.num_nodes - 1));
            OK(sslcv_tape_output(tape, &output));
            if (batch == 1 && round == 0) first = *(float *)output.data;
            CLOSE(*(float *)output.data, first, 1e-5);
        }
    }
    sslcv__net_free(&net);
}
END_TEST

START_TEST(arena_keeps_the_living_apart)
{
    enum { COUNT = 200 };
    sslcv__arena_buffer buffers[COUNT] = {{0}};
    int64_t total, need[100] = {0}, most = 0, i, j;
    sslcv__rng rng;

    sslcv__rng_init(&rng, (uint64_t)_i, 0, 0);
    for (i = 0; i < COUNT; i++) {
        buffers[i].bytes = 1 + sslcv__rng_below(&rng, 100000);
        buffers[i].first = sslcv__rng_below(&rng, 100);
        buffers[i].last = buffers[i].first + sslcv__rng_below(&rng, 100 - buffers[i].first);
    }
    OK(sslcv__arena_place(context, buffers, COUNT, &total));
    for (i = 0; i < COUNT; i++) {
        ck_assert_int_eq(buffers[i].offset % 64, 0);
        ck_assert_int_ge(buffers[i].offset, 0);
        ck_assert_int_le(buffers[i].offset + buffers[i].bytes, total);
        for (j = buffers[i].first; j <= buffers[i].last; j++) need[j] += buffers[i].bytes;
        for (j = 0; j < i; j++) {
            const int together = buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
            const int overlap = buffers[i].offset < buffers[j].offset + buffers[j].bytes &&
                                buffers[j].offset < buffers[i].offset + buffers[i].bytes;
            ck_assert(!(together && overlap));
        }
    }
    for (i = 0; i < 100; i++) most = need[i] > most ? need[i] : most;
    ck_assert_int_le(total, most + most / 3);
}
END_TEST

/* ---- freezing ---- */

START_TEST(frozen_stages_rest)
{
    static float x[768], before[16], after[16];
    float g[128];
    sslcv_tensor input, diff;
    sslcv__net net;
    int64_t i;

    build_residual(&net, 3, 16);
    randomize(&net, 91);
    net.frozen_stages = 2; /* stem and first block */
    fill_and_describe(x, &input, 4, 92);
    draw(g, 128, 93);
    OK(sslcv__variable_read(context, sslcv__variables_find(&net.variables, "bn1.running_mean"), SSLCV_STATE_VALUE,
                            before));
    OK(forward(tape, &net, &input, "input", 3, net.num_nodes - 1));
    OK(sslcv_tape_output(tape, &diff));
    diff.data = g;
    OK(sslcv_tape_backward(tape, &diff));
    OK(sslcv__variable_read(context, sslcv__variables_find(&net.variables, "bn1.running_mean"), SSLCV_STATE_VALUE,
                            after));
    ck_assert_mem_eq(before, after, sizeof before);
    for (i = 0; i < net.variables.count; i++) {
        const sslcv__variable *v = net.variables.items[i];
        if (v->gradient) ck_assert_int_eq(v->has_gradient, v->name[0] == 'b' && v->name[1] == '.');
    }
    sslcv__net_free(&net);
}
END_TEST

/* ---- sharing ---- */

typedef struct reader {
    const sslcv__net *net;
    const sslcv_tensor *input;
    float result[128];
    sslcv_status status;
} reader;

static void *read_network(void *user)
{
    reader *r = user;
    sslcv_tape *own = NULL;
    sslcv_tensor output;
    int i;

    r->status = sslcv_tape_create(context, &own);
    for (i = 0; i < 20 && r->status == SSLCV_OK; i++) {
        r->status = forward(own, r->net, r->input, "input", 0, r->net->num_nodes - 1);
    }
    if (r->status == SSLCV_OK) r->status = sslcv_tape_output(own, &output);
    if (r->status == SSLCV_OK) memcpy(r->result, output.data, sizeof r->result);
    sslcv_tape_destroy(own);
    return NULL;
}

START_TEST(threads_share_a_network)
{
    enum { READERS = 4 };
    static float x[768];
    pthread_t threads[READERS];
    reader readers[READERS];
    sslcv_tensor input;
    sslcv__net net;
    int i;

    build_residual(&net, 3, 16);
    randomize(&net, 101);
    fill_and_describe(x, &input, 4, 102);
    for (i = 0; i < READERS; i++) {
        readers[i].net = &net;
        readers[i].input = &input;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_network, &readers[i]), 0);
    }
    for (i = 0; i < READERS; i++) pthread_join(threads[i], NULL);
    for (i = 0; i < READERS; i++) {
        ck_assert_int_eq(readers[i].status, SSLCV_OK);
        ck_assert_mem_eq(readers[i].result, readers[0].result, sizeof readers[0].result);
    }
    sslcv__net_free(&net);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net");
    TCase *layers = tcase_create("layers"), *graphs = tcase_create("graphs"), *tapes = tcase_create("tapes");

    tcase_add_checked_fixture(layers, set_up, tear_down);
    tcase_set_timeout(layers, 60);
    tcase_add_loop_test(layers, convolution_equals_twin, 0, (int)(sizeof convolutions / sizeof *convolutions));
    tcase_add_loop_test(layers, batch_norm_equals_twin, 0, 5);
    tcase_add_loop_test(layers, pooling_equals_twin, 0, 2);
    tcase_add_loop_test(layers, rows_equal_twin, 0, 4);
    tcase_add_test(layers, running_statistics_move_unbiased);
    tcase_add_test(layers, batches_are_counted_to_the_last_number);
    suite_add_tcase(suite, layers);

    tcase_add_checked_fixture(graphs, set_up, tear_down);
    tcase_set_timeout(graphs, 120);
    tcase_add_loop_test(graphs, residual_graph_equals_twin, 0, 2);
    tcase_add_loop_test(graphs, residual_graph_equals_twin_in_other_passes, 0, 6);
    tcase_add_test(graphs, value_with_many_readers_equals_twin);
    tcase_add_test(graphs, twin_equals_finite_differences);
    suite_add_tcase(suite, graphs);

    tcase_add_checked_fixture(tapes, set_up, tear_down);
    tcase_set_timeout(tapes, 120);
    tcase_add_test(tapes, two_tapes_alive_accumulate);
    tcase_add_test(tapes, wrong_order_is_refused);
    tcase_add_test(tapes, seen_shapes_allocate_nothing);
    tcase_add_test(tapes, more_shapes_than_plans_are_kept);
    tcase_add_loop_test(tapes, arena_keeps_the_living_apart, 0, 20);
    tcase_add_test(tapes, frozen_stages_rest);
    tcase_add_test(tapes, threads_share_a_network);
    suite_add_tcase(suite, tapes);
    return run_suite(suite);
}
