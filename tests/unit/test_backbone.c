/* Backbones through the public calls: passes, freezing, cloning, loading, bad input, memory that runs out. */
#include "backbone_support.h"

#include <stdio.h>

#include <sslcv/optim.h>

#include "model/backbone.h"

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

/* Frozen, thawed and frozen again between passes of one tape: memory for gradients goes and comes, plans follow. */
START_TEST(freezing_gives_memory_back)
{
    static const int32_t stages[] = {0, 2, 0, 5, 1, 0};
    const int64_t shape[4] = {4, 3, 16, 16};
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_STEM_CIFAR, 0.25), *copy;
    sslcv_context_info held = {.struct_size = sizeof held}, now = held;
    sslcv_tensor images, output, gradient;
    sslcv_state *state, *of_copy;
    float *x = make_images(&images, shape), g[4 * 128], *first = NULL, *values;
    int64_t count, index;
    size_t i;

    OK(sslcv_backbone_get_state(backbone, &state));
    golden_input(5, 4 * 128, g);
    for (i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        sslcv_state_entry entry = {.struct_size = sizeof entry};

        OK(sslcv_context_get_info(context, &held));
        OK(sslcv_backbone_freeze(backbone, stages[i]));
        OK(sslcv_context_get_info(context, &now));
        if (i > 0) ck_assert_int_eq(now.bytes<held.bytes, stages[i]> stages[i - 1]);
        OK(sslcv_backbone_forward(backbone, &images, NULL, tape));
        OK(sslcv_tape_output(tape, &output));
        output.data = g;
        OK(sslcv_tape_backward(tape, &output));
        OK(sslcv_state_find(state, "bn1.weight", &index));
        OK(sslcv_state_get_entry(state, index, &entry));
        values = read_state(state, "bn1.weight", SSLCV_STATE_GRADIENT, &count);
        ck_assert_msg((values[0] == 0.0f) == (stages[i] > 0), "%d", stages[i]);
        OK(sslcv_tensor_init(&gradient, SSLCV_F32, values, 1, entry.shape));
        if (stages[i] > 0) {
            FAILS(sslcv_state_set(state, index, SSLCV_STATE_GRADIENT, &gradient), SSLCV_ERR_STATE,
                  "bn1.weight is frozen with its stage");
        }
        if (i == 0)
            first = values;
        else
            free(values);
    }
    OK(sslcv_backbone_freeze(backbone, 3));
    OK(sslcv_backbone_clone(backbone, &copy));
    OK(sslcv_backbone_get_state(copy, &of_copy));
    values = read_state(of_copy, "bn1.weight", SSLCV_STATE_GRADIENT, &count);
    ck_assert(values[0] == 0.0f && first[0] != 0.0f);
    free(values);
    free(first);
    sslcv_state_destroy(of_copy);
    sslcv_backbone_destroy(copy);
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
    BAD(stem, 3, "backbone.stem is 3");
    BAD(norm, 4, "backbone.norm is 4");
    BAD(num_stages, 6, "backbone.num_stages is 6; must be 0 .. 5");
    BAD(project_all, 2, "backbone.project_all is 2");
    BAD(preactivation, -1, "backbone.preactivation is -1");
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

int main(void)
{
    Suite *suite = suite_create("backbone");
    TCase *behaviour = tcase_create("behaviour"), *bad = tcase_create("bad input");

    tcase_add_checked_fixture(behaviour, set_up, tear_down);
    tcase_set_timeout(behaviour, 60);
    tcase_add_test(behaviour, stages_and_maps);
    tcase_add_test(behaviour, strided_images_are_read);
    tcase_add_test(behaviour, frozen_stages_do_not_move);
    tcase_add_test(behaviour, freezing_gives_memory_back);
    tcase_add_test(behaviour, clone_is_independent);
    tcase_add_loop_test(behaviour, saved_backbone_is_recognised, 0, 4);
    suite_add_tcase(suite, behaviour);

    tcase_add_checked_fixture(bad, set_up, tear_down);
    tcase_set_timeout(bad, 60);
    tcase_add_test(bad, bad_options_are_named);
    tcase_add_test(bad, bad_images_are_named);
    tcase_add_test(bad, out_of_memory_leaves_nothing);
    suite_add_tcase(suite, bad);
    return run_suite(suite);
}
