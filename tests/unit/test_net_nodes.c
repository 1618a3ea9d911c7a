/* Nodes of networks without batch norm against the naive twin: group norm, bias, bare sums, ResNet-v2 blocks. */
#include "net_support.h"

#include <stdio.h>

static const int32_t passes[] = {0,
                                 SSLCV_PASS_TRAIN,
                                 SSLCV_PASS_GRADIENT,
                                 SSLCV_PASS_MAP,
                                 SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT,
                                 SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT | SSLCV_PASS_INPUT_GRADIENT | SSLCV_PASS_MAP};
enum { PASSES = sizeof passes / sizeof passes[0] };

typedef enum kind { NONE, GROUP, LAYER, KINDS } kind;

static void layer(sslcv__net *net, kind k, int32_t input, const char *name, int64_t channels, int64_t kernel,
                  int64_t stride, int32_t relu, int32_t *node)
{
    char norm[32];

    snprintf(norm, sizeof norm, "%s.norm", name);
    OK(sslcv__net_convolution(net, input, name, channels, kernel, stride, (kernel - 1) / 2, node));
    if (k == NONE)
        OK(sslcv__net_bias(net, *node, name, relu, node));
    else
        OK(sslcv__net_group_norm(net, *node, norm, k == GROUP ? 4 : 1, relu, node));
}

/* As torchvision's blocks: one with an identity shortcut, one with a projection; a max pool in between. */
static void build_residual(sslcv__net *net, kind k, int64_t width)
{
    int32_t x, main, side;

    OK(sslcv__net_init(net, context, 0, 3));
    layer(net, k, 0, "stem", width, 3, 1, 1, &x);
    OK(sslcv__net_max_pool(net, x, 3, 2, 1, &x));
    net->stage = 1;
    layer(net, k, x, "a.1", width, 3, 1, 1, &main);
    layer(net, k, main, "a.2", width, 3, 1, 0, &main);
    OK(sslcv__net_add_relu(net, main, x, &x));
    net->stage = 2;
    layer(net, k, x, "b.1", 2 * width, 3, 2, 1, &main);
    layer(net, k, main, "b.2", 2 * width, 1, 1, 0, &main);
    layer(net, k, x, "b.side", 2 * width, 1, 2, 0, &side);
    OK(sslcv__net_add_relu(net, main, side, &x));
}

static void before(sslcv__net *net, kind k, int32_t input, const char *name, int32_t *node)
{
    if (k == NONE)
        OK(sslcv__net_relu(net, input, node));
    else
        OK(sslcv__net_group_norm(net, input, name, k == GROUP ? 4 : 1, 1, node));
}

static void bare(sslcv__net *net, kind k, int32_t input, const char *name, int64_t channels, int64_t stride,
                 int32_t relu, int32_t *node)
{
    OK(sslcv__net_convolution(net, input, name, channels, 3, stride, 1, node));
    if (k == NONE) OK(sslcv__net_bias(net, *node, name, relu, node));
}

/* ResNet-v2: bare sums; a value read by a norm and by a sum. */
static void build_preactivated(sslcv__net *net, kind k, int64_t width)
{
    int32_t x, main, side;

    OK(sslcv__net_init(net, context, 0, 3));
    bare(net, k, 0, "stem", width, 1, 0, &x);
    net->stage = 1;
    before(net, k, x, "a.n1", &main);
    bare(net, k, main, "a.c1", width, 1, 1, &main);
    if (k != NONE) before(net, k, main, "a.n2", &main);
    bare(net, k, main, "a.c2", width, 1, 0, &main);
    OK(sslcv__net_add(net, main, x, &x));
    net->stage = 2;
    before(net, k, x, "b.n1", &main);
    bare(net, k, main, "b.side", 2 * width, 2, 0, &side);
    bare(net, k, main, "b.c1", 2 * width, 2, 1, &main);
    if (k != NONE) before(net, k, main, "b.n2", &main);
    bare(net, k, main, "b.c2", 2 * width, 1, 0, &main);
    OK(sslcv__net_add(net, main, side, &x));
    before(net, k, x, "end", &x);
}

START_TEST(residual_equals_twin)
{
    const int64_t shape[4] = {3, 3, 9, 8};
    sslcv__net net;
    int k;

    for (k = 0; k < KINDS; k++) {
        build_residual(&net, (kind)k, k == GROUP ? 12 : 16);
        compare(&net, shape, passes[_i], 41);
        sslcv_tape_destroy(tape);
        OK(sslcv_tape_create(context, &tape));
        sslcv__net_free(&net);
    }
}
END_TEST

START_TEST(preactivated_equals_twin)
{
    const int64_t shape[4] = {3, 3, 7, 6};
    sslcv__net net;
    int k;

    for (k = 0; k < KINDS; k++) {
        build_preactivated(&net, (kind)k, k == GROUP ? 12 : 16);
        compare(&net, shape, passes[_i], 61);
        sslcv_tape_destroy(tape);
        OK(sslcv_tape_create(context, &tape));
        sslcv__net_free(&net);
    }
}
END_TEST

/* A bias whose result two convolutions and a sum read: its gradient comes in parts, and it has no ReLU to mask. */
START_TEST(bias_with_many_readers_equals_twin)
{
    const int64_t shape[4] = {2, 3, 6, 5};
    int32_t x, a, b, c;
    sslcv__net net;

    OK(sslcv__net_init(&net, context, 0, 3));
    bare(&net, NONE, 0, "x", 16, 1, _i, &x);
    bare(&net, NONE, x, "a", 16, 1, 0, &a);
    bare(&net, NONE, x, "b", 16, 1, 1, &b);
    OK(sslcv__net_add(&net, a, x, &c));
    OK(sslcv__net_add(&net, c, b, &c));
    OK(sslcv__net_add_relu(&net, c, x, &c));
    compare(&net, shape, ALL | SSLCV_PASS_MAP, 71);
    sslcv__net_free(&net);
}
END_TEST

/* Frozen stages and frozen variables: no gradient, the rest as ever. */
START_TEST(frozen_parts_rest)
{
    const int64_t shape[4] = {2, 3, 8, 8};
    sslcv_tensor images, output;
    sslcv__net net;
    float *x = malloc(2 * 3 * 64 * sizeof *x);
    int64_t i;

    build_residual(&net, (kind)_i, 16);
    randomize(&net, 5);
    draw(x, 2 * 3 * 64, 9);
    OK(sslcv_tensor_init(&images, SSLCV_F32, x, 4, shape));
    net.frozen_stages = 2;
    for (i = 0; i < net.variables.count; i++) {
        net.variables.items[i]->frozen = net.variables.items[i]->name[0] != 'b' ||
                                         strcmp(net.variables.items[i]->name, "b.2.bias") == 0 ||
                                         strcmp(net.variables.items[i]->name, "b.2.norm.bias") == 0;
    }
    OK(forward(tape, &net, &images, "images", SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, net.num_nodes - 1));
    OK(sslcv_tape_output(tape, &output));
    OK(sslcv_tape_backward(tape, &output));
    for (i = 0; i < net.variables.count; i++) {
        const sslcv__variable *v = net.variables.items[i];
        ck_assert_msg(v->has_gradient == !v->frozen, "%s", v->name);
    }
    sslcv__net_free(&net);
    free(x);
}
END_TEST

/* Rows behind images, as AlexNet has them: flattened in the order of channels, rows, columns. */
START_TEST(flat_rows_equal_twin)
{
    static const int64_t channels[] = {16, 6, 32};
    const int64_t shape[4] = {5, 3, 7, 6};
    sslcv__net net;
    int32_t x;
    int i;

    for (i = 0; i < 3; i++) {
        OK(sslcv__net_init(&net, context, 0, 3));
        OK(sslcv__net_convolution(&net, 0, "c", channels[i], 3, 1, 1, &x));
        /* The gradient of a bias in front of a norm that measures is 0 and the rest rounding. */
        if ((passes[_i] & 3) != 3) OK(sslcv__net_bias(&net, x, "c", 0, &x));
        OK(sslcv__net_batch_norm(&net, x, "n", 2, 1, &x));
        OK(sslcv__net_max_pool(&net, x, 3, 2, 0, &x));
        OK(sslcv__net_flatten(&net, x, channels[i] * 6, &x));
        OK(sslcv__net_linear(&net, x, "l", 20, 1, &x));
        OK(sslcv__net_relu(&net, x, &x)); /* else the norm takes back what shifts all samples */
        OK(sslcv__net_batch_norm(&net, x, "m", 2, 1, &x));
        compare(&net, shape, passes[_i], 81);
        sslcv_tape_destroy(tape);
        OK(sslcv_tape_create(context, &tape));
        sslcv__net_free(&net);
    }
}
END_TEST

START_TEST(groups_must_divide)
{
    sslcv__net net;
    int32_t node;

    OK(sslcv__net_init(&net, context, 0, 24));
    FAILS(sslcv__net_group_norm(&net, 0, "n", 32, 1, &node), SSLCV_ERR_INVALID_ARGUMENT,
          "n: 24 channels cannot be cut into 32 groups");
    sslcv__net_free(&net);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net nodes");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, residual_equals_twin, 0, PASSES);
    tcase_add_loop_test(all, preactivated_equals_twin, 0, PASSES);
    tcase_add_loop_test(all, bias_with_many_readers_equals_twin, 0, 2);
    tcase_add_loop_test(all, frozen_parts_rest, 0, KINDS);
    tcase_add_loop_test(all, flat_rows_equal_twin, 0, PASSES);
    tcase_add_test(all, groups_must_divide);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
