/* Files of other libraries are recognised by their names, whole or in part, and adapted to other images. */
#include "layouts_support.h"

/* ---- whose file is it? ---- */

static const struct {
    const char *layout, *prefix;
    int32_t architecture;
    int style;
    const char *others[5]; /* further names in the file */
    int unexpected;        /* how many of them have the prefix */
    const char *twin;      /* another network of the same architecture, which is not to be taken */
} layouts[] = {
    {"torchvision", "", SSLCV_BACKBONE_RESNET18, AS_HERE, {"fc.weight", "fc.bias"}, 2, NULL},
    {"torchvision", "module.", SSLCV_BACKBONE_RESNET50, AS_HERE, {"module.fc.weight"}, 1, NULL},
    {"swav",
     "module.",
     SSLCV_BACKBONE_RESNET50,
     AS_HERE,
     {"module.projection_head.0.weight", "module.projection_head.1.running_mean", "module.prototypes.weight"},
     3,
     NULL},
    {"swav", "module.", SSLCV_BACKBONE_RESNET18, AS_HERE, {"module.prototypes.prototypes0.weight"}, 1, NULL},
    {"swav", "", SSLCV_BACKBONE_RESNET18, AS_HERE, {"prototypes.weight"}, 1, NULL},
    {"moco",
     "module.encoder_q.",
     SSLCV_BACKBONE_RESNET18,
     AS_HERE,
     {"module.queue", "module.queue_ptr", "module.encoder_q.fc.0.weight", "module.encoder_q.fc.2.weight"},
     2,
     "module.encoder_k."},
    {"moco", "encoder_q.", SSLCV_BACKBONE_RESNET18, AS_HERE, {"queue", "encoder_q.fc.weight"}, 1, "encoder_k."},
    {"moco",
     "module.base_encoder.",
     SSLCV_BACKBONE_RESNET18,
     AS_HERE,
     {"module.base_encoder.fc.0.weight"},
     1,
     "module.momentum_encoder."},
    {"mmselfsup",
     "encoder_q.0.",
     SSLCV_BACKBONE_RESNET18,
     AS_HERE,
     {"encoder_q.1.mlp.0.weight", "queue"},
     0,
     "encoder_k.0."},
    {"mmselfsup",
     "backbone.",
     SSLCV_BACKBONE_RESNET18,
     AS_HERE,
     {"neck.mlp.0.weight", "queue"},
     0,
     "encoder_k.module.0."},
    {"solo-learn",
     "backbone.",
     SSLCV_BACKBONE_RESNET18,
     AS_HERE,
     {"projector.0.weight", "classifier.weight"},
     0,
     "momentum_backbone."},
    {"solo-learn", "encoder.", SSLCV_BACKBONE_RESNET18, AS_HERE, {"projector.0.weight"}, 0, "momentum_encoder."},
    {"vissl", "_feature_blocks.", SSLCV_BACKBONE_RESNET50, AS_HERE, {NULL}, 0, NULL},
    {"vissl", "trunk._feature_blocks.", SSLCV_BACKBONE_RESNET50, AS_HERE, {"heads.0.clf.0.weight"}, 0, NULL},
    {"vissl", "trunk.base_model._feature_blocks.", SSLCV_BACKBONE_RESNET18, AS_HERE, {NULL}, 0, NULL},
    {"vissl",
     "classy_state_dict.base_model.model.trunk._feature_blocks.",
     SSLCV_BACKBONE_RESNET18,
     AS_HERE,
     {"classy_state_dict.base_model.model.heads.0.clf.0.weight"},
     0,
     NULL},
    {"lightly",
     "backbone.",
     SSLCV_BACKBONE_RESNET18,
     SEQUENTIAL,
     {"projection_head.layers.0.weight"},
     0,
     "backbone_momentum."},
    {"lightly", "backbone.", SSLCV_BACKBONE_RESNET50, SEQUENTIAL, {"projection_head.layers.0.weight"}, 0, NULL},
    {"lightly", "", SSLCV_BACKBONE_RESNET34, SEQUENTIAL, {NULL}, 0, NULL},
    {"lightly",
     "backbone.",
     SSLCV_BACKBONE_RESNET18,
     GENERATOR_SEQUENTIAL,
     {"projection_head.layers.0.weight"},
     0,
     "backbone_momentum."},
    {"lightly", "", SSLCV_BACKBONE_RESNET50, GENERATOR_SEQUENTIAL, {NULL}, 0, NULL},
    {"lightly", "", SSLCV_BACKBONE_RESNET18, GENERATOR, {"linear.weight"}, 1, NULL},
    {"lightly", "backbone.", SSLCV_BACKBONE_RESNET101, GENERATOR, {NULL}, 0, NULL},
    {"lightly", "backbone.", SSLCV_BACKBONE_RESNET50, AS_HERE, {"projection_head.layers.0.weight"}, 0, NULL},
    {"sslcv", "backbone.0.", SSLCV_BACKBONE_RESNET18, AS_HERE, {"head.0.fc1.weight"}, 0, "momentum.backbone.0."},
    {"plain", "module.backbone.", SSLCV_BACKBONE_RESNET18, AS_HERE, {"module.projector.0.weight"}, 0, NULL},
    {"plain", "module.encoder.", SSLCV_BACKBONE_RESNET18, AS_HERE, {"module.predictor.0.weight"}, 0, NULL},
    {"plain", "", SSLCV_BACKBONE_ALEXNET, AS_HERE, {"classifier.1.weight", "top_layer.bias"}, 2, NULL},
    {"deepcluster", "", SSLCV_BACKBONE_ALEXNET, FEATURES_IN_MODULE, {"classifier.1.weight"}, 1, NULL},
    {"plain", "module.encoder.", SSLCV_BACKBONE_ALEXNET_HALF, AS_HERE, {NULL}, 0, NULL},
};

enum { NUM_LAYOUTS = (int)(sizeof layouts / sizeof layouts[0]) };

static sslcv_backbone_options options_of(int layout)
{
    sslcv_backbone_options options = small(layouts[layout].architecture);

    if (options.architecture == SSLCV_BACKBONE_ALEXNET_HALF) options.image_size = 63;
    return options;
}

/** The network in a file of that library; its twin stands in front, with other values. */
static void save_layout(int i, sslcv_backbone *backbone)
{
    sslcv_state *file = empty();
    int j;

    if (layouts[i].twin) add_network(file, backbone, layouts[i].style, layouts[i].twin, 0.5f);
    for (j = 0; j < 5 && layouts[i].others[j]; j++) add_ones(file, layouts[i].others[j]);
    add_network(file, backbone, layouts[i].style, layouts[i].prefix, 1.0f);
    save_and_close(file);
}

START_TEST(a_layout_is_recognised)
{
    sslcv_backbone_options options = options_of(_i);
    sslcv_backbone *backbone = make(&options), *loaded, *other;
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_load_options load;
    sslcv_state *state;

    save_layout(_i, backbone);
    OK(sslcv_backbone_load(context, path, NULL, &loaded));
    check_same_network(loaded, backbone);
    options.seed = 12;
    other = make(&options);
    state = state_of(other);
    OK(sslcv_state_load(state, path, NULL, &report));
    ck_assert_str_eq(report.layout, layouts[_i].layout);
    ck_assert_int_eq(report.matched, state->count);
    ck_assert_int_eq(report.missing, 0);
    ck_assert_int_eq(report.unexpected, layouts[_i].unexpected);
    check_same_weights(other, backbone);
    sslcv_backbone_destroy(other);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(loaded);
    /* A prefix of the caller's has its style found too. */
    OK(sslcv_load_options_init(&load, sizeof load));
    load.prefix = layouts[_i].prefix;
    OK(sslcv_backbone_load(context, path, &load, &loaded));
    check_same_network(loaded, backbone);
    sslcv_backbone_destroy(loaded);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* ---- other images ---- */

/* The file's first convolution has c + 1 in channel c of filter 0, twice that in filter 1 ... */
static void set_first(sslcv_state *file)
{
    sslcv_tensor tensor;
    int64_t i, c, k, index = 0;
    float *w;

    for (;; index++) {
        OK(sslcv_state_data(file, index, SSLCV_STATE_VALUE, &tensor));
        if (tensor.ndim == 4) break;
    }
    ck_assert_int_eq(tensor.shape[1], 3);
    w = tensor.data;
    for (i = 0; i < tensor.shape[0]; i++) {
        for (c = 0; c < 3; c++) {
            for (k = 0; k < tensor.shape[2] * tensor.shape[3]; k++) *w++ = (float)((c + 1) * (i + 1));
        }
    }
}

static const struct {
    int64_t channels;
    int32_t how;
    float expected[6]; /* of filter 0; -1: as it was */
} adaptations[] = {
    {1, SSLCV_ADAPT_MEAN, {6}},
    {2, SSLCV_ADAPT_MEAN, {3, 3}},
    {6, SSLCV_ADAPT_MEAN, {1, 1, 1, 1, 1, 1}},
    {1, SSLCV_ADAPT_REPEAT, {3}},
    {2, SSLCV_ADAPT_REPEAT, {1.5f, 3}},
    {6, SSLCV_ADAPT_REPEAT, {0.5f, 1, 1.5f, 0.5f, 1, 1.5f}},
    {1, SSLCV_ADAPT_FIRST, {1}},
    {2, SSLCV_ADAPT_FIRST, {1, 2}},
    {6, SSLCV_ADAPT_FIRST, {1, 2, 3, -1, -1, -1}},
};

enum { NUM_ADAPTATIONS = (int)(sizeof adaptations / sizeof adaptations[0]) };

static void check_adapted(int layout, int a)
{
    sslcv_backbone_options options = options_of(layout);
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_load_options load;
    sslcv_state_entry entry;
    sslcv_backbone *backbone;
    sslcv_state *state;
    size_t bytes;
    float *before, *after;
    int64_t i, kernel, c;

    options.channels = adaptations[a].channels;
    backbone = make(&options);
    state = state_of(backbone);
    before = values_of(state, 0, &entry, &bytes);
    FAILS(sslcv_state_load(state, path, NULL, NULL), SSLCV_ERR_FORMAT, "has shape");
    OK(sslcv_load_options_init(&load, sizeof load));
    load.adapt_input = adaptations[a].how;
    OK(sslcv_state_load(state, path, &load, &report));
    ck_assert_int_eq(report.adapted, 1);
    ck_assert_int_eq(report.matched, state->count);
    after = values_of(state, 0, &entry, &bytes);
    kernel = entry.shape[2] * entry.shape[3];
    for (i = 0; i < (int64_t)(bytes / sizeof *after); i++) {
        c = i / kernel % options.channels;
        if (adaptations[a].expected[c] < 0) {
            ck_assert_float_eq(after[i], before[i]);
        } else {
            CLOSE(after[i], adaptations[a].expected[c] * (float)(i / kernel / options.channels + 1), 1e-6);
        }
    }
    free(before);
    free(after);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(backbone);
}

START_TEST(the_first_layer_is_adapted)
{
    sslcv_backbone_options options = options_of(_i);
    sslcv_backbone *backbone = make(&options);
    sslcv_state *file = empty();
    int a;

    add_network(file, backbone, layouts[_i].style, layouts[_i].prefix, 1.0f);
    set_first(file);
    save_and_close(file);
    for (a = 0; a < NUM_ADAPTATIONS; a++) check_adapted(_i, a);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* ---- parts of a network ---- */

START_TEST(stages_of_a_network)
{
    static const int32_t norms[] = {SSLCV_NORM_BATCH, SSLCV_NORM_GROUP, SSLCV_NORM_NONE};
    sslcv_backbone_options options = small(_i % 2 ? SSLCV_BACKBONE_RESNET50 : SSLCV_BACKBONE_RESNET34);
    sslcv_backbone *backbone, *loaded;
    sslcv_state *file = empty();

    options.num_stages = 1 + _i / 2 % 4;
    options.norm = norms[_i / 8 % 3];
    options.preactivation = _i >= 24 && options.norm != SSLCV_NORM_NONE; /* without norms no name tells */
    options.width = options.norm == SSLCV_NORM_GROUP ? 0.5 : 0.0625;
    options.stem = _i % 3;
    options.channels = 2;
    backbone = make(&options);
    add_network(file, backbone, AS_HERE, _i % 2 ? "module." : "", 1.0f);
    save_and_close(file);
    OK(sslcv_backbone_load(context, path, NULL, &loaded));
    check_same_weights(loaded, backbone);
    ck_assert_int_eq(loaded->num_stages, options.num_stages);
    ck_assert_int_eq(loaded->options.stem, options.stem);
    ck_assert_int_eq(loaded->options.norm, options.norm);
    ck_assert_int_eq(loaded->options.preactivation, options.preactivation);
    if (options.num_stages > 1) ck_assert_int_eq(loaded->options.architecture, options.architecture);
    sslcv_backbone_destroy(loaded);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(a_stem_is_alone)
{
    static const struct {
        int64_t kernel;
        const char *other;
        int is_stem;
    } cases[] = {{7, NULL, 1}, {5, NULL, 1}, {5, "conv2.weight", 0}, {5, "fc.weight", 0}, {4, NULL, 0}, {11, NULL, 0}};
    const int64_t shape[4] = {8, 3, cases[_i].kernel, cases[_i].kernel};
    sslcv_backbone *loaded;
    sslcv_state *file = empty();

    add(file, "conv1.weight", SSLCV_F32, 4, shape);
    if (cases[_i].other) add_ones(file, cases[_i].other);
    add(file, "conv1.bias", SSLCV_F32, 1, shape);
    save_and_close(file);
    if (cases[_i].is_stem) {
        OK(sslcv_backbone_load(context, path, NULL, &loaded));
        ck_assert_int_eq(loaded->num_stages, 1);
        sslcv_backbone_destroy(loaded);
    } else {
        FAILS(sslcv_backbone_load(context, path, NULL, &loaded), SSLCV_ERR_UNSUPPORTED, "not a ResNet");
    }
}
END_TEST

/* ---- prefixes that nobody knows ---- */

START_TEST(the_only_network_is_taken)
{
    const sslcv_backbone_options options = small(SSLCV_BACKBONE_RESNET18);
    sslcv_backbone *backbone = make(&options), *loaded;
    sslcv_state *file = empty();
    sslcv_load_options load;

    add_network(file, backbone, AS_HERE, "teacher.", 1.0f);
    save(file);
    OK(sslcv_backbone_load(context, path, NULL, &loaded));
    check_same_network(loaded, backbone);
    sslcv_backbone_destroy(loaded);
    add_network(file, backbone, AS_HERE, "student.", 0.5f);
    save_and_close(file);
    FAILS(sslcv_backbone_load(context, path, NULL, &loaded), SSLCV_ERR_UNSUPPORTED,
          "several networks, \"teacher.\" and \"student.\"");
    OK(sslcv_load_options_init(&load, sizeof load));
    load.prefix = "teacher.";
    OK(sslcv_backbone_load(context, path, &load, &loaded));
    check_same_network(loaded, backbone);
    sslcv_backbone_destroy(loaded);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(memory_runs_out)
{
    const sslcv_backbone_options options = small(SSLCV_BACKBONE_RESNET18);
    sslcv_backbone *backbone = make(&options);
    sslcv_state *state = state_of(backbone), *file = empty();
    sslcv_load_options load;

    OK(sslcv_load_options_init(&load, sizeof load));
    load.roles = SSLCV_ROLE_WEIGHT;
    load.adapt_input = SSLCV_ADAPT_MEAN;
    add_network(file, backbone, SEQUENTIAL, "backbone.", 1.0f);
    save_and_close(file);
    RUN_OUT_OF_MEMORY(&memory, sslcv_state_load(state, path, &load, NULL));
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(backbone);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layouts");
    TCase *known = tcase_create("known"), *parts = tcase_create("parts");

    tcase_add_checked_fixture(known, setup, teardown);
    tcase_add_loop_test(known, a_layout_is_recognised, 0, NUM_LAYOUTS);
    tcase_add_loop_test(known, the_first_layer_is_adapted, 0, NUM_LAYOUTS);
    tcase_add_test(known, memory_runs_out);
    suite_add_tcase(suite, known);
    tcase_add_checked_fixture(parts, setup, teardown);
    tcase_add_loop_test(parts, stages_of_a_network, 0, 40);
    tcase_add_loop_test(parts, a_stem_is_alone, 0, 6);
    tcase_add_test(parts, the_only_network_is_taken);
    suite_add_tcase(suite, parts);
    return run_suite(suite);
}
