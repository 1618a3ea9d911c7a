/* AlexNets: PyTorch's numbers, stages, sizes of images, loading, freezing. */
#include "golden_support.h"

#include <unistd.h>

#include "model/backbone.h"

static sslcv_backbone *make_alexnet(int32_t architecture, double width, int64_t channels, int64_t image_size)
{
    sslcv_backbone_options options;
    sslcv_backbone *backbone;

    OK(sslcv_backbone_options_init(&options, sizeof options, architecture));
    options.width = width;
    options.channels = channels;
    options.image_size = image_size;
    OK(sslcv_backbone_create(context, &options, &backbone));
    return backbone;
}

/* ---- PyTorch ---- */

static void fill(sslcv_state *state, const char *name, int64_t seed)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_tensor tensor;
    int64_t index, count = 1, j;
    float *v;

    OK(sslcv_state_find(state, name, &index));
    OK(sslcv_state_get_entry(state, index, &entry));
    for (j = 0; j < entry.ndim; j++) count *= entry.shape[j];
    v = malloc((size_t)count * sizeof *v);
    golden_input(seed, count, v);
    for (j = 0; j < count; j++) {
        const double fan_out = entry.ndim == 4 ? (double)(entry.shape[0] * entry.shape[2] * entry.shape[3]) : 1.0;

        if (entry.ndim == 4) v[j] = (float)((double)v[j] * (float)sqrt(12.0 / fan_out));
        if (entry.ndim == 1) v[j] = 0.25f * v[j] + (strstr(name, "weight") ? 1.0f : 0.0f);
        if (entry.ndim == 2) { /* by way of 1 + v / 4, as the script rounds */
            v[j] = (float)((double)((1.0f + 0.25f * v[j]) - 1.0f) * 4.0 / sqrt((double)entry.shape[1]));
        }
    }
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, v, entry.ndim, entry.shape));
    OK(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &tensor));
    free(v);
}

static void fill_like_golden(FILE *file, sslcv_state *state, int64_t seed)
{
    const long start = ftell(file);
    char line[4096], name[64];
    int64_t index = -1; /* the input comes first */

    while (fgets(line, sizeof line, file) && strncmp(line, "end", 3) != 0) {
        if (sscanf(line, "gradient %63s", name) != 1) continue;
        if (index >= 0) fill(state, name, 1000 * seed + 100 + index);
        index++;
    }
    ck_assert_int_eq(index, count_parameters(state));
    fseek(file, start, SEEK_SET);
}

START_TEST(alexnet_equals_pytorch)
{
    static const double widths[] = {0.125, 0.25, 0.25};
    FILE *file = fopen("tests/golden/alexnet.txt", "r");
    char line[4096], label[16];
    long long s[4], seed;
    int64_t shape[4], outputs, parameters, i;
    int train = 0, number = _i;
    sslcv_backbone *backbone;
    sslcv_state *state;
    sslcv_tensor images, output;
    sslcv_pass pass;
    float *x, *g;

    ck_assert_ptr_nonnull(file);
    do ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
    while (strncmp(line, "case", 4) != 0 || number-- > 0);
    ck_assert_int_eq(
        sscanf(line, "case %15s %lld %lld %lld %lld %lld %d", label, &s[0], &s[1], &s[2], &s[3], &seed, &train), 7);
    for (i = 0; i < 4; i++) shape[i] = s[i];
    backbone = make_alexnet(strcmp(label, "half") == 0 ? SSLCV_BACKBONE_ALEXNET_HALF : SSLCV_BACKBONE_ALEXNET,
                            widths[_i], shape[1], shape[2]);
    OK(sslcv_backbone_get_state(backbone, &state));
    fill_like_golden(file, state, seed);
    parameters = count_parameters(state);
    x = make_images(&images, shape);
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = SSLCV_PASS_GRADIENT | SSLCV_PASS_INPUT_GRADIENT | (train ? SSLCV_PASS_TRAIN : 0);
    OK(sslcv_backbone_forward(backbone, &images, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    outputs = output.shape[0] * output.shape[1];
    check_output(file, output.data, outputs);
    g = malloc((size_t)outputs * sizeof *g);
    golden_input(2, outputs, g);
    output.data = g;
    OK(sslcv_tape_backward(tape, &output));
    for (i = 0; i <= parameters; i++) check_gradient(file, state, 900 + i);
    fclose(file);
    free(g);
    free(x);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* ---- structure ---- */

/* As many scalars as the authors' networks have up to there. */
START_TEST(sizes_are_the_authors)
{
    sslcv_backbone *full = make_alexnet(SSLCV_BACKBONE_ALEXNET, 1, 2, 0);
    sslcv_backbone *half = make_alexnet(SSLCV_BACKBONE_ALEXNET_HALF, 1, 1, 0);
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_state *state;
    int64_t index;

    OK(sslcv_backbone_get_info(full, &info));
    ck_assert_int_eq(info.num_parameters, 2 * 121 * 96 + 96 * 25 * 256 + 256 * 9 * 384 + 384 * 9 * 384 + 384 * 9 * 256 +
                                              3 * (96 + 256 + 384 + 384 + 256));
    ck_assert_int_eq(info.feature_dim, 256);
    ck_assert_int_eq(info.num_stages, 5);
    OK(sslcv_backbone_get_info(half, &info));
    ck_assert_int_eq(info.num_parameters, 121 * 48 + 48 * 25 * 128 + 128 * 9 * 192 + 192 * 9 * 192 + 192 * 9 * 128 +
                                              2 * (48 + 128 + 192 + 192 + 128) + 128 * 36 * 2048 + 2048 * 2048 +
                                              2 * 3 * 2048);
    ck_assert_int_eq(info.feature_dim, 2048);
    ck_assert_int_eq(info.num_stages, 7);
    OK(sslcv_backbone_get_state(half, &state));
    OK(sslcv_state_find(state, "conv_block_5.1.running_var", &index));
    OK(sslcv_state_find(state, "fc7.1.num_batches_tracked", &index));
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(half);
    sslcv_backbone_destroy(full);
}
END_TEST

START_TEST(stages_and_maps)
{
    static const char *const names[] = {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"};
    static const int64_t dims[] = {12, 32, 48, 48, 32, 512, 512}, side[] = {15, 7, 7, 7, 3, 1, 1};
    sslcv_backbone *backbone = make_alexnet(SSLCV_BACKBONE_ALEXNET_HALF, 0.25, 3, 128);
    const int64_t shape[4] = {2, 3, 128, 128};
    sslcv_tensor images, output;
    sslcv_pass pass;
    float *x = make_images(&images, shape);
    int64_t i, dim;

    OK(sslcv_pass_init(&pass, sizeof pass));
    for (i = 0; i < 7; i++) {
        OK(sslcv_backbone_get_stage(backbone, i, &pass.stage, &dim));
        ck_assert_str_eq(pass.stage, names[i]);
        ck_assert_int_eq(dim, dims[i]);
        pass.flags = SSLCV_PASS_MAP;
        OK(sslcv_backbone_forward(backbone, &images, &pass, tape));
        OK(sslcv_tape_output(tape, &output));
        ck_assert_int_eq(output.shape[1], dims[i]);
        ck_assert_int_eq(output.shape[2], side[i]);
        pass.flags = SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT;
        OK(sslcv_backbone_forward(backbone, &images, &pass, tape));
        OK(sslcv_tape_output(tape, &output));
        ck_assert_int_eq(output.ndim, 2);
        ck_assert_int_eq(output.shape[1], dims[i]);
        OK(sslcv_tape_backward(tape, &output));
    }
    free(x);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(bad_input_is_named)
{
    static float x[2 * 3 * 96 * 96];
    const int64_t small[4] = {2, 3, 56, 56}, other[4] = {2, 3, 96, 96};
    sslcv_backbone *backbone = make_alexnet(SSLCV_BACKBONE_ALEXNET_HALF, 0.25, 3, 128), *none;
    sslcv_backbone_options options;
    sslcv_tensor images;
    sslcv_pass pass;

    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = 0;
    OK(sslcv_tensor_init(&images, SSLCV_F32, x, 4, other));
    FAILS(sslcv_backbone_forward(backbone, &images, &pass, tape), SSLCV_ERR_LIMIT,
          "images of 96 x 96 pixels leave 32 x 2 x 2 values to flatten; the layer behind takes 288");
    pass.stage = "conv5"; /* serves any size */
    OK(sslcv_backbone_forward(backbone, &images, &pass, tape));
    OK(sslcv_tensor_init(&images, SSLCV_F32, x, 4, small));
    FAILS(sslcv_backbone_forward(backbone, &images, &pass, tape), SSLCV_ERR_LIMIT, "56 x 56 pixels are too small");
    sslcv_backbone_destroy(backbone);

#define BAD(field, value, text)                                                                                        \
    OK(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_ALEXNET));                                 \
    options.field = value;                                                                                             \
    FAILS(sslcv_backbone_create(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, text)
    BAD(image_size, 62, "backbone.image_size is 62; must be 0 or 63 .. 65536");
    BAD(norm, SSLCV_NORM_GROUP, "backbone.norm is 2; AlexNet's is BATCH");
    BAD(stem, SSLCV_STEM_CIFAR, "are for ResNets");
    BAD(preactivation, 1, "are for ResNets");
    BAD(num_stages, 6, "backbone.num_stages is 6; must be 0 .. 5");
#undef BAD
}
END_TEST

START_TEST(saved_alexnet_is_recognised)
{
    static const int64_t sizes[] = {0, 100, 224, 63}, stages[] = {0, 0, 0, 3};
    const int32_t architecture = _i % 2 ? SSLCV_BACKBONE_ALEXNET_HALF : SSLCV_BACKBONE_ALEXNET;
    char path[] = "/tmp/sslcv_alexnet_XXXXXX", texts[2][256];
    const int fd = mkstemp(path);
    sslcv_backbone_options options;
    sslcv_backbone *backbone, *loaded;
    sslcv_save_options save;
    sslcv_state *state;

    ck_assert_int_ge(fd, 0);
    close(fd);
    OK(sslcv_backbone_options_init(&options, sizeof options, architecture));
    options.width = 0.125;
    options.channels = 1 + _i;
    options.image_size = sizes[_i];
    options.num_stages = (int32_t)stages[_i];
    OK(sslcv_backbone_create(context, &options, &backbone));
    OK(sslcv_backbone_get_state(backbone, &state));
    OK(sslcv_save_options_init(&save, sizeof save));
    save.prefix = _i ? "backbone.0." : NULL;
    OK(sslcv_state_save(state, path, &save));
    OK(sslcv_backbone_load(context, path, NULL, &loaded));
    sslcv__backbone_describe(backbone, texts[0], sizeof texts[0]);
    sslcv__backbone_describe(loaded, texts[1], sizeof texts[1]);
    ck_assert_str_eq(texts[0], texts[1]);
    ck_assert_mem_eq(loaded->net.variables.items[0]->value, backbone->net.variables.items[0]->value,
                     (size_t)backbone->net.variables.items[0]->stored_bytes);
    remove(path);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(loaded);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* Maps in bf16, rows in f32. */
START_TEST(bf16_is_near)
{
    const int64_t shape[4] = {4, 3, 100, 100};
    sslcv_context *f32 = context, *own;
    sslcv_context_options options;
    sslcv_backbone *backbone[2];
    sslcv_tensor images, output;
    sslcv_pass pass;
    float *x = make_images(&images, shape), features[2][4 * 256];
    int i;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.precision = SSLCV_PRECISION_BF16;
    if (sslcv_context_create(&options, &own) != SSLCV_OK) return; /* the processor has none */
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = SSLCV_PASS_GRADIENT; /* evaluation: a batch of four has no steady statistics */
    for (i = 0; i < 2; i++) {
        sslcv_tape *own_tape;

        context = i ? own : f32;
        backbone[i] = make_alexnet(SSLCV_BACKBONE_ALEXNET_HALF, 0.125, 3, 100);
        if (i) sslcv__net_copy_values(&backbone[1]->net, &backbone[0]->net);
        OK(sslcv_tape_create(context, &own_tape));
        OK(sslcv_backbone_forward(backbone[i], &images, &pass, own_tape));
        OK(sslcv_tape_output(own_tape, &output));
        memcpy(features[i], output.data, sizeof features[i]);
        OK(sslcv_tape_backward(own_tape, &output));
        sslcv_tape_destroy(own_tape);
    }
    for (i = 0; i < 4 * 256; i++) features[1][i] -= features[0][i];
    ck_assert_msg(norm_of(features[1], 4 * 256) < 0.02 * norm_of(features[0], 4 * 256), "off by %g",
                  norm_of(features[1], 4 * 256) / norm_of(features[0], 4 * 256));
    for (i = 0; i < 2; i++) sslcv_backbone_destroy(backbone[i]);
    context = f32;
    sslcv_context_destroy(own);
    free(x);
}
END_TEST

START_TEST(out_of_memory_leaves_nothing)
{
    static float x[2 * 3 * 64 * 64];
    const int64_t shape[4] = {2, 3, 64, 64};
    host limited = {.fail_at = -1};
    sslcv_backbone_options net;
    sslcv_context *own = new_context(&limited, 0);
    sslcv_context_info info = {.struct_size = sizeof info};
    sslcv_tensor images;
    sslcv_pass pass;
    int64_t empty;
    int n, done = 0;

    OK(sslcv_context_get_info(own, &info));
    empty = info.bytes;
    OK(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_ALEXNET_HALF));
    net.width = 0.125;
    net.image_size = 64;
    OK(sslcv_tensor_init(&images, SSLCV_F32, x, 4, shape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = SSLCV_PASS_GRADIENT;
    for (n = 0; !done; n += 1 + n / 6) {
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
        sslcv_tape_destroy(own_tape);
        sslcv_backbone_destroy(backbone);
        OK(sslcv_context_get_info(own, &info));
        ck_assert_int_eq(info.bytes, empty);
    }
    ck_assert_int_gt(n, 50);
    sslcv_context_destroy(own);
    ck_assert_int_eq(atomic_load(&limited.out), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alexnet");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, alexnet_equals_pytorch, 0, 3);
    tcase_add_test(all, sizes_are_the_authors);
    tcase_add_test(all, stages_and_maps);
    tcase_add_test(all, bad_input_is_named);
    tcase_add_loop_test(all, saved_alexnet_is_recognised, 0, 4);
    tcase_add_test(all, bf16_is_near);
    tcase_add_test(all, out_of_memory_leaves_nothing);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
