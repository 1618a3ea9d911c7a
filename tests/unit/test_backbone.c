/* Backbones and heads through the public calls: PyTorch's numbers, names, stages, freezing, cloning, loading, errors. */
#include "memory_support.h"

#include <stdio.h>

#include <sslcv/backbone.h>
#include <sslcv/head.h>
#include <sslcv/optim.h>

#include "core/rng.h"
#include "model/backbone.h"

static sslcv_context *context;
static sslcv_tape *tape;

/* Winograd's rounding, 1e-5 of the largest value, takes some values to the other side of a ReLU's kink, and a gradient
   with them: PyTorch's numbers are compared without it. */
static void set_up(void)
{
    sslcv_context_options options;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.precision = SSLCV_PRECISION_F32;
    options.winograd = 0;
    OK(sslcv_context_create(&options, &context));
    OK(sslcv_tape_create(context, &tape));
}

static void tear_down(void)
{
    sslcv_tape_destroy(tape);
    sslcv_context_destroy(context);
}

static sslcv_backbone *make(int32_t architecture, int32_t stem, double width)
{
    sslcv_backbone_options options;
    sslcv_backbone *backbone;

    OK(sslcv_backbone_options_init(&options, sizeof options, architecture));
    options.stem = stem;
    options.width = width;
    OK(sslcv_backbone_create(context, &options, &backbone));
    return backbone;
}

/* Images by the generator of golden inputs, 4 * G(3). */
static float *make_images(sslcv_tensor *images, const int64_t shape[4])
{
    const int64_t count = shape[0] * shape[1] * shape[2] * shape[3];
    float *x = malloc((size_t)count * sizeof *x);
    int64_t i;

    golden_input(3, count, x);
    for (i = 0; i < count; i++) x[i] *= 4.0f;
    OK(sslcv_tensor_init(images, SSLCV_F32, x, 4, shape));
    return x;
}

/* ---- PyTorch ---- */

static double norm_of(const float *v, int64_t count)
{
    double sum = 0;
    int64_t i;

    for (i = 0; i < count; i++) sum += (double)v[i] * v[i];
    return sqrt(sum);
}

static double along(const float *v, int64_t count, int64_t seed)
{
    float *other = malloc((size_t)count * sizeof *other);
    double sum = 0;
    int64_t i;

    golden_input(seed, count, other);
    for (i = 0; i < count; i++) sum += (double)v[i] * other[i];
    free(other);
    return sum;
}

/* The drawn weights of make_resnet.py. */
static void fill_like_golden(sslcv_state *state)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    int64_t i, j, index = 0;
    const char *last =
        sslcv_state_find(state, "layer1.0.bn3.weight", &index) == SSLCV_OK ? ".bn3.weight" : ".bn2.weight";

    index = 0;
    for (i = 0; sslcv_state_get_entry(state, i, &entry) == SSLCV_OK; i++) {
        sslcv_tensor tensor;
        int64_t count = 1;
        float *v;

        if (!(entry.role & SSLCV_ROLE_PARAMETERS)) continue;
        for (j = 0; j < entry.ndim; j++) count *= entry.shape[j];
        v = malloc((size_t)count * sizeof *v);
        golden_input(100 + index++, count, v);
        for (j = 0; j < count; j++) {
            if (entry.ndim == 4) {
                const double fan_out = (double)(entry.shape[0] * entry.shape[2] * entry.shape[3]);
                v[j] = (float)((double)v[j] * (float)sqrt(24.0 / fan_out));
            } else if (strstr(entry.name, "weight")) {
                v[j] = (float)((strstr(entry.name, last) ? 0.25 : 1.0) + 0.25 * v[j]);
            } else {
                v[j] *= 0.25f;
            }
        }
        OK(sslcv_tensor_init(&tensor, SSLCV_F32, v, entry.ndim, entry.shape));
        OK(sslcv_state_set(state, i, SSLCV_STATE_VALUE, &tensor));
        free(v);
    }
}

static float *read_state(sslcv_state *state, const char *name, int32_t part, int64_t *count)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_tensor tensor;
    int64_t index, j;
    float *v;

    OK(sslcv_state_find(state, name, &index));
    OK(sslcv_state_get_entry(state, index, &entry));
    for (*count = 1, j = 0; j < entry.ndim; j++) *count *= entry.shape[j];
    v = malloc((size_t)*count * sizeof *v);
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, v, entry.ndim, entry.shape));
    OK(sslcv_state_get(state, index, part, &tensor));
    return v;
}

typedef struct golden_case {
    char label[16];
    int64_t shape[4];
    int train;
} golden_case;

static void check_output(FILE *file, const float *y, int64_t count)
{
    double norm, value;
    int64_t i;

    ck_assert_int_eq(fscanf(file, " output %lf", &norm), 1);
    CLOSE(norm_of(y, count) / norm, 1.0, 1e-5);
    for (i = 0; i < count; i += 97) {
        ck_assert_int_eq(fscanf(file, "%lf", &value), 1);
        ck_assert_msg(fabs(y[i] - value) < 2e-5 * norm, "feature %d is %g; expected %g", (int)i, y[i], value);
    }
}

/* Norm and projection within 1e-4 of the norm; norms of almost nothing (shifts in front of a norm) aside. */
static void check_gradient(const char *name, const float *v, int64_t count, double norm, double projection,
                           int64_t seed)
{
    const double size = fmax(norm, 1e-2);

    ck_assert_msg(fabs(norm_of(v, count) - norm) < 1e-4 * size, "%s: norm %g; expected %g", name, norm_of(v, count),
                  norm);
    ck_assert_msg(fabs(along(v, count, seed) - projection) < 1e-4 * size, "%s: projection %g; expected %g", name,
                  along(v, count, seed), projection);
}

static void check_gradients(FILE *file, sslcv_state *state)
{
    double norm, projection;
    char name[64];
    int64_t count, seed = 900;
    long before = ftell(file);

    for (; fscanf(file, " gradient %63s %lf %lf", name, &norm, &projection) == 3; seed++, before = ftell(file)) {
        sslcv_tensor diff;

        if (strcmp(name, "input") == 0) {
            OK(sslcv_tape_diff_input(tape, &diff));
            count = diff.shape[0] * diff.shape[1] * diff.shape[2] * diff.shape[3];
            check_gradient(name, diff.data, count, norm, projection, seed);
        } else {
            float *v = read_state(state, name, SSLCV_STATE_GRADIENT, &count);
            check_gradient(name, v, count, norm, projection, seed);
            free(v);
        }
    }
    fseek(file, before, SEEK_SET);
    ck_assert_int_gt(seed, 960);
    for (; fscanf(file, " buffer %63s %lf", name, &norm) == 2; before = ftell(file)) {
        float *v = read_state(state, name, SSLCV_STATE_VALUE, &count);
        CLOSE(norm_of(v, count) / norm, 1.0, 1e-5);
        free(v);
    }
    fseek(file, before, SEEK_SET);
}

static int find_case(FILE *file, int number, golden_case *c)
{
    char line[4096];

    while (fgets(line, sizeof line, file)) {
        long long s[4];

        if (strncmp(line, "case", 4) != 0 || number-- > 0) continue;
        ck_assert_int_eq(
            sscanf(line, "case %15s %lld %lld %lld %lld %d", c->label, &s[0], &s[1], &s[2], &s[3], &c->train), 6);
        for (number = 0; number < 4; number++) c->shape[number] = s[number];
        return 1;
    }
    return 0;
}

START_TEST(resnet_equals_pytorch)
{
    FILE *file = fopen("tests/golden/resnet.txt", "r");
    sslcv_backbone *backbone;
    sslcv_state *state;
    sslcv_tensor images, output;
    sslcv_pass pass;
    golden_case c;
    float *x, *g;
    int64_t outputs;

    ck_assert_ptr_nonnull(file);
    ck_assert(find_case(file, _i, &c));
    backbone = make(strcmp(c.label, "resnet18") == 0 ? SSLCV_BACKBONE_RESNET18 : SSLCV_BACKBONE_RESNET50,
                    c.shape[2] == 32 ? SSLCV_STEM_CIFAR : SSLCV_STEM_IMAGENET, 1.0);
    OK(sslcv_backbone_get_state(backbone, &state));
    fill_like_golden(state);
    x = make_images(&images, c.shape);
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = SSLCV_PASS_GRADIENT | SSLCV_PASS_INPUT_GRADIENT | (c.train ? SSLCV_PASS_TRAIN : 0);
    OK(sslcv_backbone_forward(backbone, &images, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    outputs = output.shape[0] * output.shape[1];
    check_output(file, output.data, outputs);
    g = malloc((size_t)outputs * sizeof *g);
    golden_input(2, outputs, g);
    output.data = g;
    OK(sslcv_tape_backward(tape, &output));
    check_gradients(file, state);
    fclose(file);
    free(g);
    free(x);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* ---- structure ---- */

START_TEST(structure_is_torchvisions)
{
    static const struct {
        int32_t architecture;
        int64_t parameters, dim; /* of torchvision's models without fc */
    } known[] = {{SSLCV_BACKBONE_RESNET18, 11176512, 512},
                 {SSLCV_BACKBONE_RESNET34, 21284672, 512},
                 {SSLCV_BACKBONE_RESNET50, 23508032, 2048},
                 {SSLCV_BACKBONE_RESNET101, 42500160, 2048}};
    sslcv_backbone *backbone = make(known[_i].architecture, SSLCV_STEM_IMAGENET, 1.0);
    sslcv_backbone_info info = {.struct_size = sizeof info};
    const char *name;
    int64_t dim, index;
    sslcv_state *state;

    OK(sslcv_backbone_get_info(backbone, &info));
    ck_assert_int_eq(info.num_parameters, known[_i].parameters);
    ck_assert_int_eq(info.feature_dim, known[_i].dim);
    ck_assert_int_eq(info.num_stages, 5);
    OK(sslcv_backbone_get_stage(backbone, 2, &name, &dim));
    ck_assert_str_eq(name, "layer2");
    ck_assert_int_eq(dim, known[_i].dim / 4);
    FAILS(sslcv_backbone_get_stage(backbone, 5, NULL, NULL), SSLCV_ERR_NOT_FOUND, "stages 0 .. 4");
    OK(sslcv_backbone_get_state(backbone, &state));
    OK(sslcv_state_find(state, "layer2.0.downsample.1.running_var", &index));
    OK(sslcv_state_find(state, "bn1.num_batches_tracked", &index));
    OK(sslcv_state_find(state, "layer4.1.conv2.weight", &index));
    FAILS(sslcv_state_find(state, "fc.weight", &index), SSLCV_ERR_NOT_FOUND, "fc.weight");
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* 701,466 parameters with a 10-way layer of 1,290: the network of the published small-image curves. */
START_TEST(width_scales_all_stages)
{
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_STEM_CIFAR, 0.25);
    sslcv_backbone_info info = {.struct_size = sizeof info};

    OK(sslcv_backbone_get_info(backbone, &info));
    ck_assert_int_eq(info.num_parameters, 701466 - 1290);
    ck_assert_int_eq(info.feature_dim, 128);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(initial_weights_are_kaimings)
{
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_STEM_CIFAR, 1.0), *same, *other;
    sslcv_backbone_options options = backbone->options;
    sslcv_state *state, *states[2];
    int64_t count, i;
    float *v, *w;
    double mean = 0;

    OK(sslcv_backbone_get_state(backbone, &state));
    v = read_state(state, "layer3.0.conv2.weight", SSLCV_STATE_VALUE, &count);
    for (i = 0; i < count; i++) mean += v[i] / (double)count;
    CLOSE(mean, 0.0, 1e-3);
    CLOSE(norm_of(v, count) / sqrt((double)count) / sqrt(2.0 / (9 * 256)), 1.0, 1e-2);
    OK(sslcv_backbone_create(context, &options, &same));
    options.seed++;
    OK(sslcv_backbone_create(context, &options, &other));
    OK(sslcv_backbone_get_state(same, &states[0]));
    OK(sslcv_backbone_get_state(other, &states[1]));
    w = read_state(states[0], "layer3.0.conv2.weight", SSLCV_STATE_VALUE, &count);
    ck_assert_mem_eq(v, w, (size_t)count * sizeof *v);
    free(w);
    w = read_state(states[1], "layer3.0.conv2.weight", SSLCV_STATE_VALUE, &count);
    ck_assert_float_ne(v[0], w[0]);
    free(w);
    free(v);
    v = read_state(state, "layer3.0.bn2.weight", SSLCV_STATE_VALUE, &count);
    ck_assert_float_eq(v[0], 0.0f); /* zero_init_residual */
    free(v);
    v = read_state(state, "layer3.0.bn1.weight", SSLCV_STATE_VALUE, &count);
    ck_assert_float_eq(v[0], 1.0f);
    free(v);
    for (i = 0; i < 2; i++) sslcv_state_destroy(states[i]);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(other);
    sslcv_backbone_destroy(same);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* On a CPU with AVX2 or more every convolution of every ResNet has a kernel of its own: none falls back to the slow
   reference or to im2col. */
START_TEST(convolutions_are_jitted)
{
    static const int32_t architectures[] = {SSLCV_BACKBONE_RESNET18, SSLCV_BACKBONE_RESNET50};
    sslcv_context_info info = {.struct_size = sizeof info};
    const int64_t shape[4] = {4, 3, _i % 2 ? 32 : 96, _i % 2 ? 32 : 96};
    sslcv_backbone *backbone = make(architectures[_i / 2], _i % 2, 1.0);
    int64_t convolutions = 0, i;
    sslcv__plan *plan;

    OK(sslcv_context_get_info(context, &info));
    if (strcmp(info.cpu, "sse41") == 0 || strcmp(info.cpu, "avx") == 0 || strcmp(info.cpu, "generic") == 0) return;
    OK(sslcv__tape_plan(tape, &backbone->object, &backbone->net, shape, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT,
                        backbone->stage_ends[4], &plan));
    for (i = 0; i < sslcv__plan_num_steps(plan); i++) {
        sslcv__step_info step;

        sslcv__plan_get_step(plan, i, &step);
        if (strcmp(step.layer, "convolution") != 0 || strcmp(step.direction, "reorder") == 0 ||
            strcmp(step.implementation, "own") == 0) {
            continue;
        }
        ck_assert_msg(!strstr(step.implementation, "ref") && !strstr(step.implementation, "gemm"), "%s %s: %s",
                      step.variable, step.direction, step.implementation);
        convolutions++;
    }
    ck_assert_int_ge(convolutions, 3 * 20 - 1);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* ---- passes ---- */

START_TEST(stages_and_maps)
{
    static const int64_t side[] = {12, 12, 6, 3, 2}, dims[] = {16, 16, 32, 64, 128};
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_STEM_CIFAR, 0.25);
    const int64_t shape[4] = {2, 3, 12, 12};
    sslcv_tensor images, output;
    sslcv_pass pass;
    float *x = make_images(&images, shape), mean = 0;
    int64_t i, p;

    OK(sslcv_pass_init(&pass, sizeof pass));
    for (i = 0; i < 5; i++) {
        OK(sslcv_backbone_get_stage(backbone, i, &pass.stage, NULL));
        pass.flags = SSLCV_PASS_MAP;
        OK(sslcv_backbone_forward(backbone, &images, &pass, tape));
        OK(sslcv_tape_output(tape, &output));
        ck_assert_int_eq(output.ndim, 4);
        ck_assert_int_eq(output.shape[1], dims[i]);
        ck_assert_int_eq(output.shape[2], side[i]);
        ck_assert_int_eq(output.shape[3], side[i]);
        for (mean = 0, p = 0; p < side[i] * side[i]; p++) mean += ((float *)output.data)[p];
        pass.flags = 0;
        OK(sslcv_backbone_forward(backbone, &images, &pass, tape));
        OK(sslcv_tape_output(tape, &output));
        ck_assert_int_eq(output.ndim, 2);
        CLOSE(*(float *)output.data, mean / (float)(side[i] * side[i]), 1e-5);
    }
    free(x);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* A BGR picture, turned around and strided, gives what its dense copy gives. */
START_TEST(strided_images_are_read)
{
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_STEM_CIFAR, 0.25);
    const int64_t shape[4] = {1, 3, 8, 8};
    float dense[192], interleaved[192];
    sslcv_tensor images, output;
    sslcv_pass pass;
    float first;
    int64_t c, p;

    golden_input(3, 192, dense);
    for (c = 0; c < 3; c++)
        for (p = 0; p < 64; p++) interleaved[p * 3 + 2 - c] = dense[c * 64 + p];
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = 0;
    OK(sslcv_tensor_init(&images, SSLCV_F32, dense, 4, shape));
    OK(sslcv_backbone_forward(backbone, &images, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    first = ((float *)output.data)[5];
    images.data = interleaved + 2;
    images.strides[1] = -1;
    images.strides[2] = 24;
    images.strides[3] = 3;
    OK(sslcv_backbone_forward(backbone, &images, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    ck_assert_float_eq(((float *)output.data)[5], first);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(winograd_is_switchable_and_near)
{
    sslcv_context_options options;
    sslcv_backbone_options net;
    float results[2][512];
    double worst = 0;
    int i, j;

    for (i = 0; i < 2; i++) {
        const int64_t shape[4] = {2, 3, 32, 32};
        sslcv_context *own;
        sslcv_backbone *backbone;
        sslcv_tape *own_tape;
        sslcv_tensor images, output;
        float *x = make_images(&images, shape);

        OK(sslcv_context_options_init(&options, sizeof options));
        options.winograd = i;
        options.precision = SSLCV_PRECISION_F32;
        OK(sslcv_context_create(&options, &own));
        OK(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
        net.stem = SSLCV_STEM_CIFAR;
        net.zero_init_residual = 0;
        net.seed = 3;
        OK(sslcv_backbone_create(own, &net, &backbone));
        OK(sslcv_tape_create(own, &own_tape));
        OK(sslcv_backbone_forward(backbone, &images, NULL, own_tape));
        OK(sslcv_tape_output(own_tape, &output));
        memcpy(results[i], output.data, sizeof results[i]);
        sslcv_tape_destroy(own_tape);
        sslcv_backbone_destroy(backbone);
        sslcv_context_destroy(own);
        free(x);
    }
    for (j = 0; j < 512; j++) worst = fmax(worst, fabs(results[0][j] - results[1][j]));
    ck_assert_msg(worst < 1e-4, "off by %g", worst);
}
END_TEST

/* ---- freezing, cloning, life ---- */

START_TEST(frozen_stages_do_not_move)
{
    const int64_t shape[4] = {4, 3, 16, 16};
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_STEM_CIFAR, 0.25);
    sslcv_optimizer_options sgd;
    sslcv_optimizer *optimizer;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_tensor images, output;
    sslcv_state *state;
    float *x = make_images(&images, shape), g[4 * 128];
    float *before[4], *after;
    static const char *const names[4] = {"layer1.1.conv2.weight", "layer1.0.bn1.running_mean", "layer2.0.conv1.weight",
                                         "layer2.0.bn1.running_mean"};
    int64_t count, i, index;

    OK(sslcv_backbone_get_state(backbone, &state));
    OK(sslcv_backbone_freeze(backbone, 2));
    OK(sslcv_state_find(state, "layer1.1.conv2.weight", &index));
    OK(sslcv_state_get_entry(state, index, &entry));
    ck_assert_int_eq(entry.frozen, 1);
    for (i = 0; i < 4; i++) before[i] = read_state(state, names[i], SSLCV_STATE_VALUE, &count);
    OK(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    OK(sslcv_optimizer_create(context, &sgd, &optimizer));
    OK(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_PARAMETERS, NULL));
    OK(sslcv_backbone_forward(backbone, &images, NULL, tape));
    OK(sslcv_tape_output(tape, &output));
    golden_input(5, 4 * 128, g);
    output.data = g;
    OK(sslcv_tape_backward(tape, &output));
    OK(sslcv_optimizer_step(optimizer, 0.1, -1.0));
    for (i = 0; i < 4; i++) {
        after = read_state(state, names[i], SSLCV_STATE_VALUE, &count);
        ck_assert_msg((memcmp(before[i], after, (size_t)count * sizeof *after) == 0) == (i < 2), "%s", names[i]);
        free(after);
        free(before[i]);
    }
    OK(sslcv_backbone_freeze(backbone, 0));
    OK(sslcv_state_get_entry(state, index, &entry));
    ck_assert_int_eq(entry.frozen, 0);
    FAILS(sslcv_backbone_freeze(backbone, 6), SSLCV_ERR_INVALID_ARGUMENT, "num_stages is 6; must be 0 .. 5");
    sslcv_optimizer_destroy(optimizer);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(backbone);
    free(x);
}
END_TEST

START_TEST(clone_is_independent)
{
    const int64_t shape[4] = {2, 3, 8, 8};
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_STEM_CIFAR, 0.25), *copy;
    sslcv_tensor images, output;
    sslcv_pass pass;
    float *x = make_images(&images, shape), first[128];

    OK(sslcv_backbone_forward(backbone, &images, NULL, tape)); /* moves running statistics */
    OK(sslcv_backbone_clone(backbone, &copy));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = 0;
    OK(sslcv_backbone_forward(backbone, &images, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    memcpy(first, output.data, sizeof first);
    OK(sslcv_backbone_forward(backbone, &images, NULL, tape));
    OK(sslcv_backbone_forward(copy, &images, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    ck_assert_mem_eq(output.data, first, sizeof first);
    sslcv_backbone_destroy(backbone);
    sslcv_backbone_destroy(copy); /* while the tape still holds plans of both */
    OK(sslcv_tape_output(tape, &output));
    free(x);
}
END_TEST

START_TEST(saved_backbone_is_recognised)
{
    static const int32_t architectures[] = {SSLCV_BACKBONE_RESNET18, SSLCV_BACKBONE_RESNET34, SSLCV_BACKBONE_RESNET50,
                                            SSLCV_BACKBONE_RESNET101};
    sslcv_backbone_options options;
    sslcv_backbone *backbone, *loaded;
    sslcv_save_options save;
    sslcv_load_options load;
    sslcv_state *state, *states;
    char path[] = "/tmp/sslcv_backbone_XXXXXX";
    const int fd = mkstemp(path);
    int64_t count;
    float *a, *b;

    ck_assert_int_ge(fd, 0);
    OK(sslcv_backbone_options_init(&options, sizeof options, architectures[_i]));
    options.stem = _i % 2;
    options.channels = 1 + _i;
    options.width = 0.125;
    options.stem_channels = _i == 2 ? 24 : 0;
    OK(sslcv_backbone_create(context, &options, &backbone));
    OK(sslcv_backbone_get_state(backbone, &state));
    OK(sslcv_save_options_init(&save, sizeof save));
    save.prefix = _i == 3 ? "some.where." : _i == 1 ? "backbone.0." : NULL; /* 1: as in a checkpoint */
    OK(sslcv_state_save(state, path, &save));
    OK(sslcv_load_options_init(&load, sizeof load));
    load.prefix = _i == 3 ? save.prefix : NULL;
    OK(sslcv_backbone_load(context, path, &load, &loaded));
    ck_assert_int_eq(loaded->options.architecture, options.architecture);
    ck_assert_int_eq(loaded->options.stem, options.stem);
    ck_assert_int_eq(loaded->options.channels, options.channels);
    ck_assert_int_eq(loaded->options.stem_channels, backbone->options.stem_channels);
    OK(sslcv_backbone_get_state(loaded, &states));
    a = read_state(state, "layer4.0.conv2.weight", SSLCV_STATE_VALUE, &count);
    b = read_state(states, "layer4.0.conv2.weight", SSLCV_STATE_VALUE, &count);
    ck_assert_mem_eq(a, b, (size_t)count * sizeof *a);
    free(a);
    free(b);
    load.prefix = "nowhere.";
    FAILS(sslcv_backbone_load(context, path, &load, &loaded), SSLCV_ERR_UNSUPPORTED, "no ResNet-18, 34, 50 or 101");
    FAILS(sslcv_backbone_load(context, "/nonexistent", NULL, &loaded), SSLCV_ERR_NOT_FOUND, "/nonexistent");
    FAILS(sslcv_backbone_load(context, NULL, NULL, &loaded), SSLCV_ERR_INVALID_ARGUMENT, "are both NULL");
    remove(path);
    sslcv_state_destroy(states);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(loaded);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* ---- bad input ---- */

START_TEST(bad_options_are_named)
{
    sslcv_backbone_options options;
    sslcv_backbone *backbone = NULL;

#define BAD(field, value, text)                                                                                        \
    OK(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));                                \
    options.field = value;                                                                                             \
    FAILS(sslcv_backbone_create(context, &options, &backbone), SSLCV_ERR_INVALID_ARGUMENT, text);                      \
    ck_assert_ptr_null(backbone)
    BAD(architecture, 9, "backbone.architecture is 9");
    BAD(stem, 2, "backbone.stem is 2");
    BAD(channels, 17, "backbone.channels is 17; must be 1 .. 16");
    BAD(channels, 0, "backbone.channels is 0");
    BAD(width, NAN, "backbone.width is nan");
    BAD(width, 1000, "backbone.width is 1000; must be 1/64 .. 16");
    BAD(norm_epsilon, 0, "backbone.norm_epsilon is 0");
    BAD(norm_momentum, -1, "backbone.norm_momentum is -1");
    BAD(zero_init_residual, 2, "backbone.zero_init_residual is 2");
    BAD(stem_channels, -1, "backbone.stem_channels is -1");
#undef BAD
    FAILS(sslcv_backbone_options_init(&options, 8, SSLCV_BACKBONE_RESNET18), SSLCV_ERR_INVALID_ARGUMENT,
          "struct_size is 8");
    FAILS(sslcv_backbone_options_init(&options, sizeof options, 0), SSLCV_ERR_INVALID_ARGUMENT, "architecture is 0");
    FAILS(sslcv_backbone_create(context, NULL, &backbone), SSLCV_ERR_INVALID_ARGUMENT, "options is NULL");
    FAILS(sslcv_backbone_create(NULL, &options, &backbone), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
}
END_TEST

START_TEST(bad_images_are_named)
{
    static float x[2 * 3 * 64] = {0};
    const int64_t good[4] = {2, 3, 8, 8}, grey[4] = {2, 1, 8, 8}, none[4] = {0, 3, 8, 8}, one[4] = {1, 3, 8, 8},
                  flat[3] = {3, 8, 8};
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_STEM_CIFAR, 0.25);
    sslcv_backbone *small = make(SSLCV_BACKBONE_RESNET18, SSLCV_STEM_IMAGENET, 0.25);
    sslcv_context *other;
    sslcv_tape *foreign;
    sslcv_tensor images, output;
    sslcv_pass pass;

    OK(sslcv_tensor_init(&images, SSLCV_F32, x, 4, grey));
    FAILS(sslcv_backbone_forward(backbone, &images, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "images");
    OK(sslcv_tensor_init(&images, SSLCV_F32, x, 3, flat));
    FAILS(sslcv_backbone_forward(backbone, &images, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "images");
    OK(sslcv_tensor_init(&images, SSLCV_F32, x, 4, none));
    FAILS(sslcv_backbone_forward(backbone, &images, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "no image");
    OK(sslcv_tensor_init(&images, SSLCV_U8, x, 4, good));
    FAILS(sslcv_backbone_forward(backbone, &images, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT,
          "images are u8; must be f32");
    OK(sslcv_tensor_init(&images, SSLCV_F32, NULL, 4, good));
    FAILS(sslcv_backbone_forward(backbone, &images, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "images");
    FAILS(sslcv_backbone_forward(backbone, NULL, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "images is NULL");
    FAILS(sslcv_tape_output(tape, &output), SSLCV_ERR_STATE, "no forward pass");

    /* One 8 x 8 image: layer4's map is 1 x 1, so its norms see one value a channel. */
    OK(sslcv_tensor_init(&images, SSLCV_F32, x, 4, one));
    FAILS(sslcv_backbone_forward(backbone, &images, NULL, tape), SSLCV_ERR_LIMIT, "layer4.0.bn1");
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = 0;
    OK(sslcv_backbone_forward(backbone, &images, &pass, tape));
    OK(sslcv_backbone_forward(small, &images, &pass, tape)); /* down to 1 x 1, which suffices */
    pass.stage = "layer9";
    FAILS(sslcv_backbone_forward(backbone, &images, &pass, tape), SSLCV_ERR_NOT_FOUND, "no stage \"layer9\"");
    pass.stage = NULL;
    pass.flags = 4096;
    FAILS(sslcv_backbone_forward(backbone, &images, &pass, tape), SSLCV_ERR_INVALID_ARGUMENT, "pass.flags is 4096");
    pass.flags = 0;
    x[17] = INFINITY;
    FAILS(sslcv_backbone_forward(backbone, &images, &pass, tape), SSLCV_ERR_NUMERIC, "images has a value that is NaN");
    x[17] = 0;
    OK(sslcv_context_create(NULL, &other));
    OK(sslcv_tape_create(other, &foreign));
    FAILS(sslcv_backbone_forward(backbone, &images, &pass, foreign), SSLCV_ERR_INVALID_ARGUMENT, "another context");
    FAILS(sslcv_backbone_forward((sslcv_backbone *)tape, &images, &pass, tape), SSLCV_ERR_INVALID_ARGUMENT,
          "not a live backbone");
    OK(sslcv_backbone_forward(backbone, &images, &pass, tape)); /* still usable */
    sslcv_tape_destroy(foreign);
    sslcv_context_destroy(other);
    sslcv_backbone_destroy(small);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* ---- out of memory ---- */

START_TEST(out_of_memory_leaves_nothing)
{
    static float x[192];
    const int64_t shape[4] = {1, 3, 8, 8};
    host limited = {.fail_at = -1};
    sslcv_backbone_options net;
    sslcv_context *own;
    sslcv_context_info info = {.struct_size = sizeof info};
    sslcv_tensor images, output;
    sslcv_pass pass;
    int64_t empty;
    int n, done = 0;

    own = new_context(&limited, 0);
    OK(sslcv_context_get_info(own, &info));
    empty = info.bytes;
    OK(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
    net.stem = SSLCV_STEM_CIFAR;
    net.width = 0.125;
    OK(sslcv_tensor_init(&images, SSLCV_F32, x, 4, shape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = SSLCV_PASS_GRADIENT;
    for (n = 0; !done; n += 1 + n / 8) { /* every early allocation, then a sample: there are thousands */
        sslcv_backbone *backbone = NULL;
        sslcv_tape *own_tape = NULL;
        sslcv_status status;

        atomic_store(&limited.fail_at, atomic_load(&limited.calls) + n);
        status = sslcv_backbone_create(own, &net, &backbone);
        if (status == SSLCV_OK) status = sslcv_tape_create(own, &own_tape);
        if (status == SSLCV_OK) status = sslcv_backbone_forward(backbone, &images, &pass, own_tape);
        done = status == SSLCV_OK;
        if (!done) ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        atomic_store(&limited.fail_at, -1);
        if (own_tape && !done) {
            ck_assert_int_eq(sslcv_tape_output(own_tape, &output), SSLCV_ERR_STATE);
            OK(sslcv_backbone_forward(backbone, &images, &pass, own_tape)); /* usable afterwards */
        }
        sslcv_tape_destroy(own_tape);
        sslcv_backbone_destroy(backbone);
        OK(sslcv_context_get_info(own, &info));
        ck_assert_int_eq(info.bytes, empty);
    }
    ck_assert_int_gt(n, 100);
    sslcv_context_destroy(own);
    ck_assert_int_eq(atomic_load(&limited.out), 0);
}
END_TEST

/* ---- heads ---- */

static sslcv_head *make_head(int64_t in, int64_t hidden, int64_t out, int32_t layers, int32_t last_norm,
                             int32_t normalize)
{
    sslcv_mlp_options options;
    sslcv_head *head;

    OK(sslcv_mlp_options_init(&options, sizeof options));
    options.in_dim = in;
    options.hidden_dim = hidden;
    options.out_dim = out;
    options.num_layers = layers;
    options.last_norm = last_norm;
    options.normalize = normalize;
    OK(sslcv_head_create_mlp(context, &options, &head));
    return head;
}

START_TEST(heads_are_numbered_as_sequential)
{
    sslcv_head *head = make_head(32, 0, 16, 3, SSLCV_LAST_NORM_NO_SHIFT, 0);
    sslcv_head_info info = {.struct_size = sizeof info};
    sslcv_state *state;
    int64_t index;

    OK(sslcv_head_get_info(head, &info));
    ck_assert_str_eq(info.kind, "mlp");
    ck_assert_int_eq(info.in_dim, 32);
    ck_assert_int_eq(info.out_dim, 16);
    ck_assert_int_eq(info.num_parameters, 2 * (32 * 32 + 32 + 64) + 32 * 16 + 16 + 16);
    OK(sslcv_head_get_state(head, &state));
    OK(sslcv_state_find(state, "0.weight", &index));
    OK(sslcv_state_find(state, "1.running_mean", &index));
    OK(sslcv_state_find(state, "3.bias", &index));
    OK(sslcv_state_find(state, "6.weight", &index));
    OK(sslcv_state_find(state, "7.weight", &index));
    FAILS(sslcv_state_find(state, "7.bias", &index), SSLCV_ERR_NOT_FOUND, "7.bias");
    sslcv_state_destroy(state);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(heads_keep_axes)
{
    sslcv_head *head = make_head(8, 16, 4, 2, SSLCV_LAST_NORM_NONE, 1), *copy;
    static const int64_t axes[3][4] = {{6, 8}, {2, 3, 8}, {2, 3, 1, 8}};
    float x[48], first[24], g[24];
    sslcv_tensor input, output, diff;
    int64_t i, j;

    golden_input(1, 48, x);
    golden_input(2, 24, g);
    for (i = 0; i < 3; i++) {
        OK(sslcv_tensor_init(&input, SSLCV_F32, x, (int32_t)i + 2, axes[i]));
        OK(sslcv_head_forward(head, &input, NULL, tape));
        OK(sslcv_tape_output(tape, &output));
        ck_assert_int_eq(output.ndim, i + 2);
        for (j = 0; j < i + 1; j++) ck_assert_int_eq(output.shape[j], axes[i][j]);
        ck_assert_int_eq(output.shape[i + 1], 4);
        if (i == 0) memcpy(first, output.data, sizeof first);
        ck_assert_mem_eq(first, output.data, sizeof first);
        CLOSE(norm_of(output.data, 4), 1.0, 1e-6);
        diff = output;
        diff.data = g;
        OK(sslcv_tape_backward(tape, &diff));
        OK(sslcv_tape_diff_input(tape, &diff));
        ck_assert_int_eq(diff.ndim, i + 2);
        ck_assert_int_eq(diff.shape[i + 1], 8);
    }
    OK(sslcv_head_clone(head, &copy));
    OK(sslcv_head_forward(copy, &input, NULL, tape));
    OK(sslcv_tape_output(tape, &output));
    ck_assert_mem_eq(first, output.data, sizeof first);
    sslcv_head_destroy(copy);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(bad_heads_are_named)
{
    sslcv_head *head = make_head(8, 16, 4, 2, SSLCV_LAST_NORM_NONE, 0), *none = NULL;
    const int64_t wide[2] = {4, 9}, one[2] = {1, 8}, line[1] = {8};
    sslcv_mlp_options options;
    sslcv_tensor input;
    float x[36] = {0};

    OK(sslcv_mlp_options_init(&options, sizeof options));
    FAILS(sslcv_head_create_mlp(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "mlp.in_dim is 0; must be 1");
    options.in_dim = 4;
    options.num_layers = 0;
    FAILS(sslcv_head_create_mlp(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "mlp.num_layers is 0");
    options.num_layers = 2;
    options.init_std = -1;
    FAILS(sslcv_head_create_mlp(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "mlp.init_std is -1");
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 2, wide));
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "D = 9; the head takes 8");
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 2, one));
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_LIMIT, "train with 2 or more");
    OK(sslcv_tensor_init(&input, SSLCV_F32, x, 1, line));
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "1 dimensions");
    sslcv_head_destroy(head);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backbone");
    TCase *numbers = tcase_create("numbers"), *behaviour = tcase_create("behaviour"), *bad = tcase_create("bad input");

    tcase_add_checked_fixture(numbers, set_up, tear_down);
    tcase_set_timeout(numbers, 240);
    tcase_add_loop_test(numbers, resnet_equals_pytorch, 0, 3);
    tcase_add_loop_test(numbers, structure_is_torchvisions, 0, 4);
    tcase_add_test(numbers, width_scales_all_stages);
    tcase_add_test(numbers, initial_weights_are_kaimings);
    tcase_add_loop_test(numbers, convolutions_are_jitted, 0, 4);
    suite_add_tcase(suite, numbers);

    tcase_add_checked_fixture(behaviour, set_up, tear_down);
    tcase_set_timeout(behaviour, 120);
    tcase_add_test(behaviour, stages_and_maps);
    tcase_add_test(behaviour, strided_images_are_read);
    tcase_add_test(behaviour, winograd_is_switchable_and_near);
    tcase_add_test(behaviour, frozen_stages_do_not_move);
    tcase_add_test(behaviour, clone_is_independent);
    tcase_add_loop_test(behaviour, saved_backbone_is_recognised, 0, 4);
    tcase_add_test(behaviour, heads_are_numbered_as_sequential);
    tcase_add_test(behaviour, heads_keep_axes);
    suite_add_tcase(suite, behaviour);

    tcase_add_checked_fixture(bad, set_up, tear_down);
    tcase_set_timeout(bad, 240);
    tcase_add_test(bad, bad_options_are_named);
    tcase_add_test(bad, bad_images_are_named);
    tcase_add_test(bad, out_of_memory_leaves_nothing);
    tcase_add_test(bad, bad_heads_are_named);
    suite_add_tcase(suite, bad);
    return run_suite(suite);
}
