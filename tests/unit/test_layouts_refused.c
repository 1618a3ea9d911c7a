/* Files with a ResNet's names that compute something else are refused; what cannot be told is warned of. */
#include "layouts_support.h"

/** A copy of a file without the tensor of one name, which add() then gives another shape. */
static sslcv_state *without(sslcv_state *file, const char *name)
{
    sslcv_state *copy = empty();
    int64_t i, index;

    for (i = 0; i < file->count; i++) {
        sslcv_state_entry entry;
        size_t bytes;
        void *values = values_of(file, i, &entry, &bytes);
        sslcv_tensor tensor;

        if (strcmp(entry.name, name) != 0) {
            OK(sslcv_state_add(copy, &entry, &index));
            OK(sslcv_tensor_init(&tensor, entry.dtype, values, entry.ndim, entry.shape));
            OK(sslcv_state_set(copy, index, SSLCV_STATE_VALUE, &tensor));
        }
        free(values);
    }
    sslcv_state_destroy(file);
    return copy;
}

static const struct {
    int32_t architecture;
    int style;
    const char *less, *more; /* a name that is taken away, and one that is put in */
    int64_t shape[4];        /* of more; 0: two ones */
    const char *message;
} refused[] = {
    {SSLCV_BACKBONE_RESNET50,
     AS_HERE,
     "layer1.0.conv2.weight",
     "layer1.0.conv2.weight",
     {4, 1, 3, 3},
     "\"layer1.0.conv2.weight\" is from 1 to 4 channels; in a ResNet of this library it is from 4 to as many, in a "
     "ResNeXt"},
    {SSLCV_BACKBONE_RESNET50,
     AS_HERE,
     "layer3.0.conv2.weight",
     "layer3.0.conv2.weight",
     {16, 4, 3, 3},
     "\"layer3.0.conv2.weight\" is from 4 to 16 channels"},
    {SSLCV_BACKBONE_RESNET50,
     AS_HERE,
     "layer1.0.conv3.weight",
     "layer1.0.conv3.weight",
     {8, 4, 1, 1},
     "\"layer1.0.conv3.weight\" is from 4 to 8 channels; in a ResNet of this library it is to 4 times as many, in a "
     "Wide"},
    {SSLCV_BACKBONE_RESNET50, AS_HERE, "conv1.weight", "conv1.0.weight", {4, 3, 3, 3}, "its stem is of several"},
    {SSLCV_BACKBONE_RESNET18,
     AS_HERE,
     "layer2.0.downsample.1.weight",
     "layer2.0.downsample.1.weight",
     {8, 4, 1, 1},
     "its shortcuts are pooled"},
    {SSLCV_BACKBONE_RESNET50, AS_HERE, NULL, "layer1.0.se.fc1.weight", {0}, "\"layer1.0.se.fc1.weight\" is no part"},
    {SSLCV_BACKBONE_RESNET101, AS_HERE, NULL, "layer3.23.conv1.weight", {0}, "\"layer3.23.conv1.weight\" is no part"},
    {SSLCV_BACKBONE_RESNET18, AS_HERE, NULL, "layer1.2.conv1.weight", {0}, "\"layer1.2.conv1.weight\" is no part"},
    {SSLCV_BACKBONE_RESNET18, AS_HERE, NULL, "maxpool.0.weight", {0}, "\"maxpool.0.weight\" is no part"},
    {SSLCV_BACKBONE_RESNET18, SEQUENTIAL, NULL, "8.weight", {0}, "\"8.weight\" is no part"},
    {SSLCV_BACKBONE_RESNET18, GENERATOR_SEQUENTIAL, NULL, "6.weight", {0}, "\"6.weight\" is no part"},
    {SSLCV_BACKBONE_ALEXNET, AS_HERE, NULL, "features.3.weight", {0}, "\"features.3.weight\" is no part"},
    {SSLCV_BACKBONE_RESNET18,
     AS_HERE,
     "conv1.weight",
     "conv1.weight",
     {9000, 3, 7, 7},
     "not an architecture of this library: backbone.stem_channels is 9000"},
};

START_TEST(what_computes_otherwise_is_refused)
{
    const sslcv_backbone_options options = small(refused[_i].architecture);
    sslcv_backbone *backbone = make(&options), *loaded = NULL;
    sslcv_state *file = empty();

    add_network(file, backbone, refused[_i].style, "", 1.0f);
    if (refused[_i].less) file = without(file, refused[_i].less);
    if (refused[_i].shape[0]) {
        add(file, refused[_i].more, SSLCV_F32, 4, refused[_i].shape);
    } else {
        add_ones(file, refused[_i].more);
    }
    save_and_close(file);
    FAILS(sslcv_backbone_load(context, path, NULL, &loaded), SSLCV_ERR_UNSUPPORTED, refused[_i].message);
    ck_assert_ptr_null(loaded);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* Shapes without elements cost nothing: ten names and 9 KB ask for the 94 MB of a ResNet-50. */
START_TEST(a_small_file_makes_no_large_network)
{
    static const struct {
        const char *name;
        int32_t ndim;
        int64_t shape[4];
    } tensors[] = {{"conv1.weight", 4, {64, 3, 7, 7}},
                   {"layer1.0.conv1.weight", 4, {64, 0, 1, 1}},
                   {"layer1.0.conv3.weight", 4, {256, 0, 1, 1}},
                   {"layer2.0.conv1.weight", 4, {1, 0, 1, 1}},
                   {"layer3.0.conv1.weight", 4, {1, 0, 1, 1}},
                   {"layer3.5.conv1.weight", 4, {1, 0, 1, 1}},
                   {"layer4.0.conv1.weight", 4, {1, 0, 1, 1}},
                   {"bn1.weight", 1, {0}},
                   {"layer1.0.bn1.weight", 1, {0}},
                   {"layer1.0.bn1.running_mean", 1, {0}}};
    sslcv_backbone *loaded = NULL;
    sslcv_state *file = empty();
    size_t i;

    for (i = 0; i < sizeof tensors / sizeof *tensors; i++)
        add(file, tensors[i].name, SSLCV_U8, tensors[i].ndim, tensors[i].shape);
    save_and_close(file);
    memory.most = memory.held;
    FAILS(sslcv_backbone_load(context, path, NULL, &loaded), SSLCV_ERR_LIMIT, "bytes of tensors");
    ck_assert_ptr_null(loaded);
    ck_assert_int_lt(memory.most - memory.held, 4 << 20);
}
END_TEST

/* What is refused above is no honest file: of any float type, or a part. */
START_TEST(a_larger_network_loads)
{
    static const int32_t dtypes[3] = {SSLCV_F32, SSLCV_BF16, SSLCV_F16};
    sslcv_backbone_options options = small(SSLCV_BACKBONE_RESNET18);
    sslcv_backbone *backbone, *loaded;
    sslcv_load_options load;
    sslcv_save_options how;
    sslcv_state *file;
    int i;

    options.width = 0.5; /* 11 MB, so that the megabyte which is always free does not matter */
    backbone = make(&options);
    file = state_of(backbone);
    OK(sslcv_save_options_init(&how, sizeof how));
    for (i = 0; i < 3; i++) {
        how.dtype = dtypes[i];
        OK(sslcv_state_save(file, path, &how));
        OK(sslcv_backbone_load(context, path, NULL, &loaded));
        if (i == 0) check_same_weights(backbone, loaded);
        sslcv_backbone_destroy(loaded);
    }
    sslcv_state_destroy(file);

    OK(sslcv_load_options_init(&load, sizeof load));
    file = empty();
    add_network(file, backbone, AS_HERE, "", 1.0f);
    save_and_close(without(file, "layer4.1.conv2.weight"));
    FAILS(sslcv_backbone_load(context, path, NULL, &loaded), SSLCV_ERR_NOT_FOUND, "layer4.1.conv2.weight");
    load.partial = 1;
    load.max_bytes = 16 << 20;
    OK(sslcv_backbone_load(context, path, &load, &loaded));
    sslcv_backbone_destroy(loaded);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(a_counter_may_have_an_axis)
{
    const sslcv_backbone_options options = small(SSLCV_BACKBONE_RESNET18);
    const int64_t sizes[2] = {1, 2};
    sslcv_backbone *backbone = make(&options), *loaded;
    sslcv_state *file = empty(), *state;
    sslcv_tensor tensor;
    int64_t count = 0, index;

    add_network(file, backbone, AS_HERE, "", 1.0f);
    file = without(file, "bn1.num_batches_tracked");
    add(file, "bn1.num_batches_tracked", SSLCV_I64, 1, &sizes[_i]);
    OK(sslcv_state_data(file, file->count - 1, SSLCV_STATE_VALUE, &tensor));
    *(int64_t *)tensor.data = 77;
    save_and_close(file);
    if (_i == 1) {
        FAILS(sslcv_backbone_load(context, path, NULL, &loaded), SSLCV_ERR_FORMAT, "has shape (2); ours is ()");
    } else {
        OK(sslcv_backbone_load(context, path, NULL, &loaded));
        state = state_of(loaded);
        OK(sslcv_state_find(state, "bn1.num_batches_tracked", &index));
        OK(sslcv_tensor_init(&tensor, SSLCV_I64, &count, 0, NULL));
        OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor));
        ck_assert_int_eq(count, 77);
        sslcv_state_destroy(state);
        sslcv_backbone_destroy(loaded);
    }
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* solo-learn's stem for small images has the shape of ours and another padding. */
START_TEST(a_small_stem_of_solo_learn_is_warned_of)
{
    static const char *const prefixes[] = {"backbone.", "backbone.", ""};
    sslcv_backbone_options options = small(SSLCV_BACKBONE_RESNET18);
    sslcv_backbone *backbone, *loaded;
    sslcv_state *file = empty();

    options.stem = _i == 1 ? SSLCV_STEM_IMAGENET : SSLCV_STEM_CIFAR;
    backbone = make(&options);
    add_network(file, backbone, AS_HERE, prefixes[_i], 1.0f);
    save_and_close(file);
    OK(sslcv_backbone_load(context, path, NULL, &loaded));
    ck_assert_int_eq(strstr(logged, "its 3x3 stem is padded by 2") != NULL, _i == 0);
    sslcv_backbone_destroy(loaded);
    sslcv_backbone_destroy(backbone);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layouts_refused");
    TCase *cases = tcase_create("cases");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, what_computes_otherwise_is_refused, 0, (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(cases, a_small_file_makes_no_large_network);
    tcase_add_test(cases, a_larger_network_loads);
    tcase_add_loop_test(cases, a_counter_may_have_an_axis, 0, 2);
    tcase_add_loop_test(cases, a_small_stem_of_solo_learn_is_warned_of, 0, 3);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
