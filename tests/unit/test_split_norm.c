/* The numbers of split batch norm and shuffling: against PyTorch and the naive twin. */
#include "split_support.h"

#include <stdio.h>

#include "naive_net.h"

#define NEAR(values, expected, count, what)                                                                            \
    do {                                                                                                               \
        const double near_distance = distance(values, expected, count);                                                \
        ck_assert_msg(near_distance < 2e-5, "%s: off by %g of the largest", what, near_distance);                      \
    } while (0)

static void write_variable(sslcv__variable *v, const float *plain)
{
    OK(sslcv__variable_write(context, v, SSLCV_STATE_VALUE, plain));
}

static float *read_variable(const sslcv__variable *v, int32_t part)
{
    float *plain = malloc((size_t)v->count * sizeof *plain);

    OK(sslcv__variable_read(context, v, part, plain));
    return plain;
}

/* All floating variables at random; variances positive. */
static void randomize(sslcv__net *net, uint64_t seed)
{
    int64_t i, j;

    for (i = 0; i < net->variables.count; i++) {
        sslcv__variable *v = net->variables.items[i];
        float *plain;

        if (v->dtype != SSLCV_F32) continue;
        plain = malloc((size_t)v->count * sizeof *plain);
        draw(plain, v->count, seed + 100 + (uint64_t)i);
        for (j = 0; j < v->count; j++) {
            if (v->role == SSLCV_ROLE_NORM) plain[j] = 0.5f * plain[j] + 1.0f;
            if (v->role == SSLCV_ROLE_WEIGHT) plain[j] *= 0.2f;
            if (strstr(v->name, "running_var")) plain[j] = 0.5f + plain[j] * plain[j];
        }
        write_variable(v, plain);
        free(plain);
    }
}

/* ---- known numbers ---- */

/* x = 1 2 3 4 in two groups, 1 3 and 2 4. */
START_TEST(four_values)
{
    static const float expected[4] = {-1, -1, 1, 1};
    float x[4] = {1, 2, 3, 4}, mean, variance;
    const int64_t shape[4] = {4, 1, 1, 1};
    int64_t batches;
    sslcv_tensor input, output;
    sslcv__net net;
    int32_t node, i;

    OK(sslcv__net_init(&net, context, 0, 1));
    OK(sslcv__net_batch_norm(&net, 0, "n", 2, 0, &node));
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 4, shape));
    OK(forward(&net, &input, pass_of(TRAIN, 2, 0)));
    OK(sslcv_tape_output(tape, &output));
    for (i = 0; i < 4; i++) CLOSE(((float *)output.data)[i], 0.999995 * expected[i], 1e-6);
    OK(sslcv__variable_read(context, net.nodes[node].mean, SSLCV_STATE_VALUE, &mean));
    OK(sslcv__variable_read(context, net.nodes[node].variance, SSLCV_STATE_VALUE, &variance));
    OK(sslcv__variable_read(context, net.nodes[node].batches, SSLCV_STATE_VALUE, &batches));
    CLOSE(mean, 0.25, 1e-6);
    CLOSE(variance, 1.1, 1e-6);
    ck_assert_int_eq(batches, 1);
    sslcv__net_free(&net);
}
END_TEST

static double *read_line(FILE *file, const char *what, char name[64], int64_t *count)
{
    const long before = ftell(file);
    char kind[16];
    long long n;
    double *values;
    int64_t i;

    if (fscanf(file, " %15s %63s %lld", kind, name, &n) != 3 || strcmp(kind, what) != 0) {
        fseek(file, before, SEEK_SET);
        return NULL;
    }
    values = malloc((size_t)n * sizeof *values);
    for (i = 0; i < n; i++) ck_assert_int_eq(fscanf(file, "%lf", &values[i]), 1);
    *count = n;
    return values;
}

static void build_golden_block(sslcv__net *net)
{
    int32_t main, side, x;
    int64_t i, j, index = 0;

    OK(sslcv__net_init(net, context, 0, 4));
    OK(sslcv__net_convolution(net, 0, "conv1", 8, 3, 2, 1, &main));
    OK(sslcv__net_batch_norm(net, main, "bn1", 2, 1, &main));
    OK(sslcv__net_convolution(net, main, "conv2", 8, 3, 1, 1, &main));
    OK(sslcv__net_batch_norm(net, main, "bn2", 2, 0, &main));
    OK(sslcv__net_convolution(net, 0, "side", 8, 1, 2, 0, &side));
    OK(sslcv__net_batch_norm(net, side, "side_bn", 2, 0, &side));
    OK(sslcv__net_add_relu(net, main, side, &x));
    for (i = 0; i < net->variables.count; i++) {
        sslcv__variable *v = net->variables.items[i];
        float plain[1000];

        if (!v->gradient) continue;
        golden_input(100 + index++, v->count, plain);
        for (j = 0; j < v->count && strstr(v->name, "bn") && strstr(v->name, ".weight"); j++) plain[j] += 1.0f;
        write_variable(v, plain);
    }
}

START_TEST(block_equals_pytorch)
{
    FILE *file = fopen("tests/golden/split_norm.txt", "r");
    const int64_t shape[4] = {6, 4, 7, 7};
    float x[1176], g[768];
    sslcv_tensor input, output, diff;
    char name[64];
    double *expected;
    int64_t count, i, read = 0;
    sslcv__net net;

    ck_assert_ptr_nonnull(file);
    while (fgetc(file) != '\n') continue; /* the comment */
    build_golden_block(&net);
    golden_input(3, 1176, x);
    for (i = 0; i < 1176; i++) x[i] *= 4.0f;
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 4, shape));
    OK(forward(&net, &input, pass_of(ALL | MAP, 3, 0)));
    OK(sslcv_tape_output(tape, &output));
    expected = read_line(file, "output", name, &count);
    ck_assert_ptr_nonnull(expected);
    ck_assert_int_eq(count, sslcv__tensor_count(&output));
    NEAR(output.data, expected, count, "output");
    free(expected);
    golden_input(2, 768, g);
    output.data = g;
    OK(sslcv_tape_backward(tape, &output));
    OK(sslcv_tape_diff_input(tape, &diff));
    expected = read_line(file, "input", name, &count);
    ck_assert_ptr_nonnull(expected);
    NEAR(diff.data, expected, count, "input gradient");
    free(expected);
    while ((expected = read_line(file, read < 9 ? "gradient" : "buffer", name, &count)) != NULL) {
        const sslcv__variable *v = sslcv__variables_find(&net.variables, name);
        float *values = read_variable(v, read < 9 ? SSLCV_STATE_GRADIENT : SSLCV_STATE_VALUE);

        ck_assert_int_eq(count, v->count);
        NEAR(values, expected, count, name);
        free(values);
        free(expected);
        read++;
    }
    ck_assert_int_eq(read, 15);
    sslcv__net_free(&net);
    fclose(file);
}
END_TEST

/* ---- against the twin ---- */

/* Values in their order, as a caller with other strides has them: pixels before channels; samples before views. */
static float *store(const sslcv__net *net, const int64_t shape[4], const float *x, sslcv_tensor *input)
{
    const int64_t count = naive_count(shape), d = shape[1], v = 2, p = 2, n = shape[0] / 4;
    const int64_t *s = shape, axes[4] = {v, n, p, d};
    float *memory = malloc((size_t)count * sizeof *memory);
    int64_t i, j, k, l;

    OK(sslcv_tensor_init(input, SSLCV_F32, memory, 4, net->rows ? axes : shape));
    if (net->rows) {
        input->strides[0] = p * d;
        input->strides[1] = v * p * d;
    } else {
        input->strides[0] = s[1] * s[2] * s[3];
        input->strides[1] = 1;
        input->strides[2] = s[3] * s[1];
        input->strides[3] = s[1];
    }
    for (i = 0; i < input->shape[0]; i++)
        for (j = 0; j < input->shape[1]; j++)
            for (k = 0; k < input->shape[2]; k++)
                for (l = 0; l < input->shape[3]; l++)
                    memory[i * input->strides[0] + j * input->strides[1] + k * input->strides[2] +
                           l * input->strides[3]] = *x++;
    return memory;
}

/* The group of each row, from the order in which the plan has them. */
static void read_groups(int64_t rows, int64_t groups, int shuffle, int64_t *group)
{
    const int64_t *order = sslcv__plan_memory(tape->current, tape->current->order);
    int64_t i;

    ck_assert_ptr_nonnull(order);
    for (i = 0; i < rows; i++) group[order[i]] = i / (rows / groups);
    for (i = 0; i < rows && !shuffle; i++) ck_assert_int_eq(group[i], i % groups);
}

/* From what the twin had before the pass to what the network has after it: the mean of what groups would have made. */
static void compare_running(const sslcv__net *net, const naive *twin)
{
    const double momentum = net->norm_momentum;
    int64_t c, g;
    int i;

    for (i = 0; i < net->num_nodes; i++) {
        const sslcv__node *n = &net->nodes[i];
        const int64_t *s = twin->shape[i];
        const double count = (double)(s[0] / twin->groups * s[2] * s[3]);
        float *mean, *variance;
        double *means, *variances;

        if (n->kind != SSLCV__NODE_BATCH_NORM) continue;
        mean = read_variable(n->mean, SSLCV_STATE_VALUE);
        variance = read_variable(n->variance, SSLCV_STATE_VALUE);
        means = calloc((size_t)s[1], sizeof *means);
        variances = calloc((size_t)s[1], sizeof *variances);
        for (c = 0; c < s[1]; c++) {
            const double old_mean = naive_value(twin, n->mean)[c], old_variance = naive_value(twin, n->variance)[c];

            for (g = 0; g < twin->groups; g++) {
                const double v = twin->variance[i][g * s[1] + c] * count / (count - 1);

                means[c] += ((1 - momentum) * old_mean + momentum * twin->mean[i][g * s[1] + c]) / (double)twin->groups;
                variances[c] += ((1 - momentum) * old_variance + momentum * v) / (double)twin->groups;
            }
            if (naive_given(twin, n)) {
                means[c] = old_mean;
                variances[c] = old_variance;
            }
        }
        NEAR(mean, means, s[1], n->mean->name);
        NEAR(variance, variances, s[1], n->variance->name);
        free(variances);
        free(means);
        free(variance);
        free(mean);
    }
}

static void compare_backward(const sslcv__net *net, naive *twin, sslcv_pass pass, uint64_t seed)
{
    const int64_t outputs = naive_count(twin->shape[twin->num_nodes - 1]);
    const sslcv__plan *plan = tape->current;
    float *g = malloc((size_t)outputs * sizeof *g);
    double *exact_g;
    sslcv_tensor diff;
    int64_t i;

    draw(g, outputs, seed);
    exact_g = to_double(g, outputs);
    naive_backward(twin, exact_g);
    OK(sslcv_tensor_init(&diff, SSLCV_F32, g, 1, &outputs));
    /* The order is there when the gradient comes. */
    ck_assert_int_ge(plan->buffers[plan->order].last, plan->buffers[plan->diff_output].first);
    OK(sslcv_tape_backward(tape, &diff));
    for (i = 0; i < net->variables.count; i++) {
        const sslcv__variable *v = net->variables.items[i];
        float *plain;

        if (!v->gradient || !v->has_gradient) continue;
        plain = read_variable(v, SSLCV_STATE_GRADIENT);
        NEAR(plain, twin->gradient[i], v->count, v->name);
        free(plain);
    }
    if (net->rows || (pass.flags & SSLCV_PASS_INPUT_GRADIENT)) {
        OK(sslcv_tape_diff_input(tape, &diff));
        NEAR(diff.data, twin->dy[0], naive_count(twin->shape[0]), "input gradient");
    }
    free(exact_g);
    free(g);
}

/* One pass of the engine and of the twin. Draws again where a value lies so near to a ReLU's kink that rounding could
   put it on the other side. */
static void compare(sslcv__net *net, const int64_t shape[4], sslcv_pass pass, uint64_t seed)
{
    const int64_t count = naive_count(shape);
    int64_t *group = malloc((size_t)shape[0] * sizeof *group);
    float *x = malloc((size_t)count * sizeof *x), *memory = NULL;
    double *exact = NULL;
    naive *twin = NULL;
    sslcv_tensor input, output;

    do {
        if (twin) naive_free(twin);
        free(exact);
        free(memory);
        randomize(net, seed++);
        draw(x, count, seed);
        exact = to_double(x, count);
        twin = naive_create(net, net->num_nodes - 1, !net->rows && !(pass.flags & MAP), 1);
        memory = store(net, shape, x, &input);
        OK(forward(net, &input, pass));
        read_groups(shape[0], pass.bn_splits, pass.flags & SHUFFLE, group);
        twin->groups = pass.bn_splits;
        twin->group = group;
        naive_forward(twin, shape, exact);
    } while (twin->margin < 2e-6);

    OK(sslcv_tape_output(tape, &output));
    NEAR(output.data, twin->y[twin->num_nodes - 1], sslcv__tensor_count(&output), "output");
    compare_running(net, twin);
    if (pass.flags & SSLCV_PASS_GRADIENT) compare_backward(net, twin, pass, seed + 7);
    naive_free(twin);
    free(memory);
    free(exact);
    free(x);
    free(group);
}

static const struct {
    int64_t width;
    int32_t splits, flags, recompute, frozen;
} graphs[] = {{16, 2, ALL, 1, 0},
              {16, 4, ALL, 1, 0},
              {6, 2, ALL, 0, 0},
              {6, 4, ALL | MAP, 63, 0},
              {16, 8, ALL, 1, 0}, /* an image each */
              {16, 4, TRAIN, 0, 0},
              {16, 4, TRAIN | MAP, 0, 0},
              {16, 2, ALL & ~SSLCV_PASS_INPUT_GRADIENT, 1, 1},
              {16, 2, TRAIN, 0, 2},
              {16, 4, ALL, 0, 2}, /* norms with given statistics, through which a gradient goes */
              {16, 4, ALL | SHUFFLE, 1, 0},
              {6, 2, ALL | SHUFFLE | MAP, 0, 0},
              {16, 4, TRAIN | SHUFFLE, 0, 1}};

START_TEST(residual_graph_equals_twin)
{
    const int64_t shape[4] = {8, 3, 7, 6};
    sslcv__net net;

    build_residual(&net, 3, graphs[_i].width);
    net.frozen_stages = graphs[_i].frozen;
    tape->recompute = graphs[_i].recompute;
    compare(&net, shape, pass_of(graphs[_i].flags, graphs[_i].splits, 17), 41);
    sslcv__net_free(&net);
}
END_TEST

static void build_head(sslcv__net *net)
{
    int32_t node;

    OK(sslcv__net_init(net, context, 1, 17));
    OK(sslcv__net_linear(net, 0, "0", 24, 0, &node));
    OK(sslcv__net_batch_norm(net, node, "1", 2, 1, &node));
    OK(sslcv__net_linear(net, node, "3", 10, 0, &node));
    OK(sslcv__net_batch_norm(net, node, "4", 0, 0, &node));
    OK(sslcv__net_linear(net, node, "5", 12, 1, &node));
    OK(sslcv__net_normalize(net, node, &node));
}

START_TEST(head_equals_twin)
{
    static const int32_t splits[] = {2, 4, 6, 8, 4, 2},
                         flags[] = {ALL, ALL, ALL, TRAIN, ALL | SHUFFLE, TRAIN | SHUFFLE};
    const int64_t shape[4] = {24, 17, 1, 1};
    sslcv__net net;

    build_head(&net);
    compare(&net, shape, pass_of(flags[_i], splits[_i], 5), 51);
    sslcv__net_free(&net);
}
END_TEST

/* Groups of two rows: every normalised value is +-1 but for epsilon, and gradients vanish; so statistics alone. */
START_TEST(pairs_equal_twin)
{
    const int64_t shape[4] = {24, 17, 1, 1};
    sslcv__net net;
    int32_t node;

    OK(sslcv__net_init(&net, context, 1, 17));
    OK(sslcv__net_linear(&net, 0, "0", 24, 0, &node));
    OK(sslcv__net_batch_norm(&net, node, "1", 2, 0, &node));
    compare(&net, shape, pass_of(_i ? TRAIN | SHUFFLE : TRAIN, 12, 9), 61);
    sslcv__net_free(&net);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("split_norm");
    TCase *tests = tcase_create("numbers");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, four_values);
    tcase_add_test(tests, block_equals_pytorch);
    tcase_add_loop_test(tests, residual_graph_equals_twin, 0, (int)(sizeof graphs / sizeof graphs[0]));
    tcase_add_loop_test(tests, head_equals_twin, 0, 6);
    tcase_add_loop_test(tests, pairs_equal_twin, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
