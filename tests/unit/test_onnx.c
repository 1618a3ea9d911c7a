/* ONNX models read back by protobuf-c. What other programs make of them: tests/interop/onnx_interop.py. */
#include "onnx_support.h"

#ifndef SSLCV__PROTOBUF_C

START_TEST(without_protobuf_c_it_says_so)
{
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_BATCH, 0);
    const sslcv_branch branch = branch_of(backbone, NULL, 0);

    ck_assert_int_eq(defaults().opset, 13);
    FAILS(sslcv_onnx_save(&branch, in_folder("m.onnx"), NULL), SSLCV_ERR_UNSUPPORTED, "libprotobuf-c-dev");
    ck_assert_int_eq(count_files(), 0);
    ck_assert_ptr_nonnull(strstr(sslcv_build_info(), "\nprotobuf-c=none\n"));
    sslcv_backbone_destroy(backbone);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("onnx");
    TCase *tests = tcase_create("without");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, without_protobuf_c_it_says_so);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}

#else

#include <onnx.pb-c.h>

#include "onnx/graph.h"

typedef Sslcv__Onnx__ModelProto model;
typedef Sslcv__Onnx__NodeProto node;
typedef Sslcv__Onnx__AttributeProto attribute;
typedef Sslcv__Onnx__TensorProto tensor;
typedef Sslcv__Onnx__TensorShapeProto shape;

/* Saved and read back. */
static model *exported(const sslcv_branch *branch, const sslcv_onnx_options *options)
{
    memory_stream to = {.fail_at = -1};
    model *m;

    OK(save_to(branch, &to, options));
    m = sslcv__onnx__model_proto__unpack(NULL, (size_t)to.size, (const uint8_t *)to.bytes);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_eq(sslcv__onnx__model_proto__get_packed_size(m), (size_t)to.size);
    free(to.bytes);
    return m;
}

static void release(model *m)
{
    sslcv__onnx__model_proto__free_unpacked(m, NULL);
}

/* ---- looking into a model ---- */

static int count(const model *m, const char *kind)
{
    int found = 0;
    size_t i;

    for (i = 0; i < m->graph->n_node; i++) found += strcmp(m->graph->node[i]->op_type, kind) == 0;
    return found;
}

static const node *find_node(const model *m, const char *name)
{
    size_t i;

    for (i = 0; i < m->graph->n_node; i++) {
        if (strcmp(m->graph->node[i]->name, name) == 0) return m->graph->node[i];
    }
    ck_abort_msg("no node %s", name);
    return NULL;
}

static const attribute *find_attribute(const node *n, const char *name)
{
    size_t i;

    for (i = 0; i < n->n_attribute; i++) {
        if (strcmp(n->attribute[i]->name, name) == 0) return n->attribute[i];
    }
    ck_abort_msg("%s has no attribute %s", n->name, name);
    return NULL;
}

static const tensor *seek_tensor(const model *m, const char *name)
{
    size_t i;

    for (i = 0; i < m->graph->n_initializer; i++) {
        if (strcmp(m->graph->initializer[i]->name, name) == 0) return m->graph->initializer[i];
    }
    return NULL;
}

static const float *values_of(const model *m, const char *name, int64_t expected)
{
    const tensor *t = seek_tensor(m, name);
    int64_t n = 1;
    size_t i;

    ck_assert_msg(t != NULL, "no initializer %s", name);
    ck_assert_int_eq(t->data_type, SSLCV__ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    for (i = 0; i < t->n_dims; i++) n *= t->dims[i];
    ck_assert_int_eq(n, expected);
    ck_assert_uint_eq(t->raw_data.len, (size_t)n * sizeof(float));
    return (const float *)(const void *)t->raw_data.data;
}

/* Whatever is read is an input, an initializer or a result before it; no result has a name twice. */
static void check_names(const model *m)
{
    const Sslcv__Onnx__GraphProto *g = m->graph;
    size_t i, j, k;

    for (i = 0; i < g->n_node; i++) {
        ck_assert_uint_eq(g->node[i]->n_output, 1);
        for (j = 0; j < g->node[i]->n_input; j++) {
            const char *name = g->node[i]->input[j];
            int known = !*name || strcmp(name, "images") == 0 || seek_tensor(m, name) != NULL;

            for (k = 0; k < i && !known; k++) known = strcmp(g->node[k]->output[0], name) == 0;
            ck_assert_msg(known, "%s reads %s, which is not there", g->node[i]->name, name);
        }
        for (k = 0; k < i; k++) {
            ck_assert_str_ne(g->node[k]->output[0], g->node[i]->output[0]);
            ck_assert_str_ne(g->node[k]->name, g->node[i]->name);
        }
        ck_assert_ptr_null(seek_tensor(m, g->node[i]->output[0]));
        for (j = 0; j < g->node[i]->n_attribute; j++) ck_assert_int_eq(g->node[i]->attribute[j]->has_type, 1);
    }
    for (i = 0; i < g->n_initializer; i++) ck_assert_ptr_eq(seek_tensor(m, g->initializer[i]->name), g->initializer[i]);
    ck_assert_str_eq(g->node[g->n_node - 1]->output[0], "features");
}

/* An axis: "batch", or "32". */
static void check_axes(const Sslcv__Onnx__ValueInfoProto *value, const char *name, const char *const *axes, size_t n)
{
    const shape *s = value->type->tensor_type->shape;
    char text[32];
    size_t i;

    ck_assert_str_eq(value->name, name);
    ck_assert_int_eq(value->type->tensor_type->elem_type, SSLCV__ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    ck_assert_uint_eq(s->n_dim, n);
    for (i = 0; i < n; i++) {
        if (s->dim[i]->value_case == SSLCV__ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM) {
            ck_assert_str_eq(s->dim[i]->dim_param, axes[i]);
        } else {
            snprintf(text, sizeof text, "%lld", (long long)s->dim[i]->dim_value);
            ck_assert_str_eq(text, axes[i]);
        }
    }
}

static void check_integers(const node *n, const char *name, const int64_t *expected, size_t number)
{
    const attribute *a = find_attribute(n, name);

    ck_assert_int_eq(a->type, SSLCV__ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    ck_assert_uint_eq(a->n_ints, number);
    ck_assert_mem_eq(a->ints, expected, number * sizeof *expected);
}

/* ---- what is in it ---- */

START_TEST(a_resnet_folded)
{
    static const char *const in[4] = {"batch", "3", "height", "width"}, *const out[2] = {"batch", "32"};
    static const int64_t three[2] = {3, 3}, one[2] = {1, 1}, two[2] = {2, 2}, pads[4] = {1, 1, 1, 1}, none[4] = {0};
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_BATCH, 0);
    const sslcv_branch branch = branch_of(backbone, NULL, 0);
    model *m = exported(&branch, NULL);

    ck_assert_int_eq(m->ir_version, 7);
    ck_assert_uint_eq(m->n_opset_import, 1);
    ck_assert_int_eq(m->opset_import[0]->version, 13);
    ck_assert_str_eq(m->opset_import[0]->domain, "");
    ck_assert_str_eq(m->producer_name, "sslcv");
    ck_assert_str_eq(m->producer_version, sslcv_version_string());
    ck_assert_uint_eq(m->n_metadata_props, 2);
    ck_assert_str_eq(m->metadata_props[0]->key, "sslcv.backbone");
    ck_assert_ptr_nonnull(strstr(m->metadata_props[0]->value, "resnet18 stem=cifar"));
    ck_assert_str_eq(m->metadata_props[1]->value, "layer4");
    ck_assert_uint_eq(m->graph->n_input, 1);
    ck_assert_uint_eq(m->graph->n_output, 1);
    check_axes(m->graph->input[0], "images", in, 4);
    check_axes(m->graph->output[0], "features", out, 2);
    check_names(m);
    ck_assert_int_eq(count(m, "Conv"), 20);
    ck_assert_int_eq(count(m, "BatchNormalization"), 0);
    ck_assert_int_eq(count(m, "Relu"), 17);
    ck_assert_int_eq(count(m, "Add"), 8);
    ck_assert_int_eq(count(m, "GlobalAveragePool"), 1);
    ck_assert_int_eq(count(m, "Flatten"), 1);
    ck_assert_uint_eq(m->graph->n_node, 47);
    ck_assert_uint_eq(m->graph->n_initializer, 40);
    check_integers(find_node(m, "backbone.conv1"), "kernel_shape", three, 2);
    check_integers(find_node(m, "backbone.conv1"), "strides", one, 2);
    check_integers(find_node(m, "backbone.conv1"), "pads", pads, 4);
    check_integers(find_node(m, "backbone.layer2.0.downsample.0"), "kernel_shape", one, 2);
    check_integers(find_node(m, "backbone.layer2.0.downsample.0"), "strides", two, 2);
    check_integers(find_node(m, "backbone.layer2.0.downsample.0"), "pads", none, 4);
    release(m);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* a = scale / sqrt(variance + epsilon): weights a W, bias (bias - mean) a + shift. */
START_TEST(folding_is_exact_to_the_last_rounding)
{
    static const char *const tail[4] = {"weight", "bias", "running_mean", "running_var"};
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_ALEXNET, SSLCV_NORM_BATCH, 0); /* a bias before each norm */
    const sslcv_branch branch = branch_of(backbone, NULL, 0);
    const int64_t channels = 6, each = 3 * 11 * 11;
    float *norm[4], *bias, *weight = malloc((size_t)(channels * each) * sizeof *weight);
    const float *got;
    sslcv_onnx_options options = defaults();
    char name[64];
    int64_t i, j;
    model *m;

    for (i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "features.1.%s", tail[i]);
        norm[i] = sslcv__variables_find(&backbone->net.variables, name)->value;
        for (j = 0; j < channels; j++) norm[i][j] = 0.3f + 0.1f * (float)(i + j);
    }
    bias = sslcv__variables_find(&backbone->net.variables, "features.0.bias")->value;
    for (j = 0; j < channels; j++) bias[j] = 0.7f - 0.2f * (float)j;
    OK(sslcv__variable_read(context, sslcv__variables_find(&backbone->net.variables, "features.0.weight"),
                            SSLCV_STATE_VALUE, weight));

    m = exported(&branch, NULL);
    got = values_of(m, "backbone.features.0.weight", channels * each);
    for (i = 0; i < channels * each; i++) {
        const double a = norm[0][i / each] / sqrt((double)norm[3][i / each] + 1e-5);

        ck_assert_msg(got[i] == (float)(a * (double)weight[i]), "weight %d", (int)i);
    }
    got = values_of(m, "backbone.features.0.bias", channels);
    for (i = 0; i < channels; i++) {
        const double a = norm[0][i] / sqrt((double)norm[3][i] + 1e-5);

        CLOSE(got[i], ((double)bias[i] - norm[2][i]) * a + norm[1][i], 1e-7);
    }
    ck_assert_ptr_null(seek_tensor(m, "backbone.features.1.weight"));
    release(m);

    options.fold_norm = 0; /* all as they are; a bias still belongs to its convolution */
    m = exported(&branch, &options);
    check_names(m);
    ck_assert_int_eq(count(m, "BatchNormalization"), 5);
    ck_assert_mem_eq(values_of(m, "backbone.features.0.weight", channels * each), weight,
                     (size_t)(channels * each) * sizeof *weight);
    ck_assert_mem_eq(values_of(m, "backbone.features.0.bias", channels), bias, (size_t)channels * sizeof *bias);
    for (i = 0; i < 4; i++) {
        const node *n = find_node(m, "backbone.features.1");

        snprintf(name, sizeof name, "backbone.features.1.%s", tail[i]);
        ck_assert_str_eq(n->input[1 + i], name);
        ck_assert_mem_eq(values_of(m, name, channels), norm[i], (size_t)channels * sizeof(float));
        ck_assert(find_attribute(n, "epsilon")->f == 1e-5f);
    }
    release(m);
    free(weight);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(sizes_stages_and_maps)
{
    static const char *const in[4] = {"5", "3", "32", "48"}, *const out[4] = {"5", "8", "16", "24"};
    static const char *const any[4] = {"batch", "8", "map_height", "map_width"};
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_BATCH, 1);
    sslcv_branch branch = branch_of(backbone, NULL, 0);
    sslcv_onnx_options options = defaults();
    int32_t opset;
    model *m;

    branch.stage = "layer2";
    branch.flags |= SSLCV_PASS_MAP; /* beside TRAIN and GRADIENT, which a trainer's branch has */
    m = exported(&branch, &options);
    check_axes(m->graph->output[0], "features", any, 4);
    release(m);
    options.height = 32;
    options.width = 48;
    options.batch = 5;
    m = exported(&branch, &options);
    check_names(m);
    check_axes(m->graph->input[0], "images", in, 4);
    check_axes(m->graph->output[0], "features", out, 4);
    ck_assert_int_eq(count(m, "GlobalAveragePool"), 0);
    ck_assert_int_eq(count(m, "Conv"), 10);
    ck_assert_int_gt(count(m, "BatchNormalization"), 0); /* nothing before them could take them */
    release(m);
    for (opset = 11; opset <= 17; opset++) {
        options.opset = opset;
        m = exported(&branch, &options);
        ck_assert_int_eq(m->opset_import[0]->version, opset);
        ck_assert_int_eq(m->ir_version, opset < 12 ? 6 : opset < 15 ? 7 : 8);
        release(m);
    }
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(group_norm_is_an_instance_norm_of_groups)
{
    static const int64_t apart[3] = {0, 1, -1}, back[4] = {0, 4, 32, 48};
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_LAYER, 0);
    sslcv_branch branch = branch_of(backbone, NULL, 0);
    sslcv_onnx_options options = defaults();
    model *m;

    branch.stage = "stem";
    m = exported(&branch, &options);
    check_names(m);
    ck_assert_int_eq(count(m, "InstanceNormalization"), 1);
    ck_assert_int_eq(count(m, "Reshape"), 2);
    ck_assert_int_eq(count(m, "Shape"), 1);
    ck_assert_mem_eq(seek_tensor(m, "backbone.bn1.groups_shape")->raw_data.data, apart, sizeof apart);
    release(m);
    options.height = 32;
    options.width = 48;
    m = exported(&branch, &options);
    check_names(m);
    ck_assert_int_eq(count(m, "Shape"), 0);
    ck_assert_mem_eq(seek_tensor(m, "backbone.bn1.map_shape")->raw_data.data, back, sizeof back);
    ck_assert(find_attribute(find_node(m, "backbone.bn1"), "epsilon")->f == 0.0f);
    ck_assert(find_attribute(find_node(m, "backbone.bn1.norm"), "epsilon")->f == 1e-5f);
    release(m);
    sslcv_backbone_destroy(backbone);
}
END_TEST

static sslcv_head *make_prototypes(int64_t in, int64_t out)
{
    sslcv_prototypes_options options;
    sslcv_head *head;

    OK(sslcv_prototypes_options_init(&options, sizeof options));
    options.in_dim = in;
    options.out_dim = out;
    options.seed = 5;
    OK(sslcv_head_create_prototypes(context, &options, &head));
    return head;
}

/* No network of ours has that as yet. */
START_TEST(what_others_read_too_is_not_folded)
{
    const sslcv__onnx_axis axes[4] = {{1, NULL}, {3, NULL}, {8, NULL}, {8, NULL}};
    sslcv__onnx_value value = {.name = "images", .channels = 3, .height = 8, .width = 8};
    memory_stream to = {.fail_at = -1};
    const sslcv_stream stream = {.struct_size = sizeof stream, .user = &to, .write = take};
    sslcv__sink sink = {.stream = &stream};
    sslcv__onnx_model *made;
    sslcv__net net;
    int32_t conv, relu, norm, sum;
    model *m;

    OK(sslcv__net_init(&net, context, 0, 3));
    OK(sslcv__net_convolution(&net, 0, "conv", 4, 3, 1, 1, &conv));
    OK(sslcv__net_relu(&net, conv, &relu));
    OK(sslcv__net_batch_norm(&net, conv, "norm", 2, 0, &norm));
    OK(sslcv__net_add(&net, relu, norm, &sum));
    OK(sslcv__onnx_create(context, 13, &made));
    OK(sslcv__onnx_input(made, "images", axes, 4));
    OK(sslcv__onnx_net(made, &net, sum, "a network", "net", 1, &value));
    OK(sslcv__onnx_rename_last(made, "features"));
    OK(sslcv__onnx_output(made, "features", axes, 4));
    OK(sslcv__onnx_check(made));
    OK(sslcv__onnx_write(made, &sink));
    m = sslcv__onnx__model_proto__unpack(NULL, (size_t)to.size, (const uint8_t *)to.bytes);
    ck_assert_ptr_nonnull(m);
    check_names(m);
    ck_assert_int_eq(count(m, "BatchNormalization"), 1);
    ck_assert_str_eq(find_node(m, "net.node2")->input[0], "net.conv");
    ck_assert_str_eq(find_node(m, "net.norm")->input[0], "net.conv");
    release(m);
    sslcv__onnx_free(made);
    sslcv__net_free(&net);
    free(to.bytes);
}
END_TEST

START_TEST(heads)
{
    static const char *const out[2] = {"batch", "7"}, *const map[4] = {"batch", "7", "map_height", "map_width"};
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_NONE, 0);
    sslcv_head *made[2] = {make_mlp(32, 8, 1), make_prototypes(8, 7)};
    sslcv_branch branch = branch_of(backbone, made, 2);
    const float *rows;
    model *m = exported(&branch, NULL);
    int64_t i, j;

    check_names(m);
    check_axes(m->graph->output[0], "features", out, 2);
    ck_assert_int_eq(count(m, "Gemm"), 3);
    ck_assert_int_eq(find_attribute(find_node(m, "heads.0.1"), "transB")->i, 1);
    ck_assert_int_eq(count(m, "Dropout") + count(m, "BatchNormalization"), 0);
    ck_assert_int_eq(count(m, "Erf"), 1);
    ck_assert_int_eq(count(m, "ReduceL2"), 2);
    ck_assert(*values_of(m, "root_half", 1) == (float)sqrt(0.5));
    ck_assert(*values_of(m, "one", 1) == 1.0f && *values_of(m, "half", 1) == 0.5f);
    ck_assert(*values_of(m, "length_floor", 1) == 1e-12f);
    ck_assert_uint_eq(m->n_metadata_props, 4);
    ck_assert_str_eq(m->metadata_props[3]->key, "sslcv.heads.1");
    ck_assert_str_eq(m->metadata_props[3]->value, "prototypes 8-7");
    rows = values_of(m, "heads.1.prototypes.weight", 56);
    for (i = 0; i < 7; i++) {
        double length = 0;

        for (j = 0; j < 8; j++) length += (double)rows[8 * i + j] * (double)rows[8 * i + j];
        CLOSE(length, 1.0, 1e-6);
    }
    release(m);
    branch.flags = SSLCV_PASS_MAP; /* on every pixel */
    m = exported(&branch, NULL);
    check_names(m);
    check_axes(m->graph->output[0], "features", map, 4);
    ck_assert_int_eq(count(m, "Gemm") + count(m, "Flatten"), 0);
    ck_assert_int_eq(count(m, "Conv"), 20 + 3);
    ck_assert_uint_eq(seek_tensor(m, "heads.1.prototypes.weight")->n_dims, 4);
    release(m);
    sslcv_head_destroy(made[0]);
    sslcv_head_destroy(made[1]);
    sslcv_backbone_destroy(backbone);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("onnx");
    TCase *tests = tcase_create("models");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_resnet_folded);
    tcase_add_test(tests, folding_is_exact_to_the_last_rounding);
    tcase_add_test(tests, sizes_stages_and_maps);
    tcase_add_test(tests, group_norm_is_an_instance_norm_of_groups);
    tcase_add_test(tests, what_others_read_too_is_not_folded);
    tcase_add_test(tests, heads);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}

#endif
