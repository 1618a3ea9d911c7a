/* ResNets at full width: PyTorch's numbers, torchvision's names and sizes, first weights, kernels. */
#include "backbone_support.h"

#include <stdio.h>

#include "model/backbone.h"

/* ---- PyTorch ---- */

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
    OK(sslcv__tape_plan(tape, &backbone->object, &backbone->net, shape, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, 1,
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

int main(void)
{
    Suite *suite = suite_create("resnet");
    TCase *numbers = tcase_create("numbers"), *structure = tcase_create("structure");

    tcase_add_checked_fixture(numbers, set_up, tear_down);
    tcase_set_timeout(numbers, 240);
    tcase_add_loop_test(numbers, resnet_equals_pytorch, 0, 3);
    tcase_add_test(numbers, winograd_is_switchable_and_near);
    suite_add_tcase(suite, numbers);

    tcase_add_checked_fixture(structure, set_up, tear_down);
    tcase_set_timeout(structure, 120);
    tcase_add_loop_test(structure, structure_is_torchvisions, 0, 4);
    tcase_add_test(structure, width_scales_all_stages);
    tcase_add_test(structure, initial_weights_are_kaimings);
    tcase_add_loop_test(structure, convolutions_are_jitted, 0, 4);
    suite_add_tcase(suite, structure);
    return run_suite(suite);
}
