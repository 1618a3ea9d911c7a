/* Where ONNX models go, and what is refused. Without protobuf-c there is one refusal: test_onnx.c. */
#include "onnx_support.h"

#ifdef SSLCV__PROTOBUF_C

/* ---- where it goes ---- */

START_TEST(files_and_streams_are_the_same)
{
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_BATCH, 0);
    const sslcv_branch branch = branch_of(backbone, NULL, 0);
    memory_stream to = {.fail_at = -1, .most = 1000};
    size_t size;
    char *file;

    OK(save_to(&branch, &to, NULL));
    write_file(in_folder("m.onnx"), "old", 3);
    OK(sslcv_onnx_save(&branch, in_folder("m.onnx"), NULL));
    file = read_file(in_folder("m.onnx"), &size);
    ck_assert_int_eq((int64_t)size, to.size);
    ck_assert_mem_eq(file, to.bytes, size);
    ck_assert_int_eq(count_files(), 1);
    free(file);
    free(to.bytes);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(failing_streams_and_folders)
{
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_BATCH, 0);
    const sslcv_branch branch = branch_of(backbone, NULL, 0);
    memory_stream to = {.fail_at = -1};
    int64_t whole, at;

    OK(save_to(&branch, &to, NULL));
    whole = to.size;
    for (at = 0; at < whole; at += at < 3000 ? 97 : whole / 7) {
        to.size = 0;
        to.fail_at = at;
        to.failures = 0;
        FAILS(save_to(&branch, &to, NULL), SSLCV_ERR_IO, "stream.write took -1 of");
        ck_assert_int_eq(to.failures, 1); /* it is not asked again */
    }
    free(to.bytes);
    FAILS(sslcv_onnx_save(&branch, in_folder("no/such/folder.onnx"), NULL), SSLCV_ERR_IO, "no/such/folder.onnx");
    ck_assert_int_eq(count_files(), 0);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(what_is_not_finite_is_not_written)
{
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_BATCH, 0);
    const sslcv_branch branch = branch_of(backbone, NULL, 0);
    float *variance = sslcv__variables_find(&backbone->net.variables, "layer1.0.bn1.running_var")->value;
    float *shift = sslcv__variables_find(&backbone->net.variables, "layer1.0.bn1.bias")->value;
    sslcv_onnx_options unfolded = defaults();
    memory_stream to = {.fail_at = -1};

    unfolded.fold_norm = 0;
    write_file(in_folder("m.onnx"), "old", 3);
    variance[1] = -1.0f; /* a number, but with no root */
    FAILS(sslcv_onnx_save(&branch, in_folder("m.onnx"), NULL), SSLCV_ERR_NUMERIC, "backbone.layer1.0.conv1.weight");
    OK(save_to(&branch, &to, &unfolded));
    to.size = 0;
    variance[1] = 1.0f;
    shift[0] = (float)INFINITY;
    FAILS(sslcv_onnx_save(&branch, in_folder("m.onnx"), NULL), SSLCV_ERR_NUMERIC, "backbone.layer1.0.conv1.bias");
    FAILS(save_to(&branch, &to, &unfolded), SSLCV_ERR_NUMERIC, "backbone.layer1.0.bn1.bias: element 0 is infinite");
    ck_assert_int_eq(to.size, 0);
    file_has(in_folder("m.onnx"), "old");
    ck_assert_int_eq(count_files(), 1);
    free(to.bytes);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(more_than_the_format_holds)
{
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_BATCH, 0);
    const sslcv_branch branch = branch_of(backbone, NULL, 0);
    sslcv__variable *weight = sslcv__variables_find(&backbone->net.variables, "conv1.weight");
    const int64_t real = weight->count;

    weight->count = (int64_t)1 << 29; /* as if */
    FAILS(sslcv_onnx_save(&branch, in_folder("m.onnx"), NULL), SSLCV_ERR_LIMIT, "2^31 - 1 bytes");
    weight->count = real;
    OK(sslcv_onnx_save(&branch, in_folder("m.onnx"), NULL));
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* Memory runs out in the middle of the file too. */
static sslcv_status save_whole_or_not(const sslcv_branch *branch)
{
    const sslcv_status status = sslcv_onnx_save(branch, in_folder("m.onnx"), NULL);

    ck_assert_int_eq(count_files(), status == SSLCV_OK);
    return status;
}

START_TEST(memory_that_runs_out)
{
    host memory = {.fail_at = -1};
    sslcv_backbone *backbone;
    sslcv_head *made[1];
    sslcv_branch branch;

    sslcv_context_destroy(context);
    context = make_context(&memory);
    backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_BATCH, 0);
    made[0] = make_mlp(32, 8, 1);
    branch = branch_of(backbone, made, 1);
    RUN_OUT_OF_MEMORY(&memory, save_whole_or_not(&branch));
    sslcv_head_destroy(made[0]);
    sslcv_backbone_destroy(backbone);
    sslcv_context_destroy(context); /* before the allocator goes out of scope */
    context = NULL;
}
END_TEST

/* ---- bad input ---- */

START_TEST(bad_options)
{
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_BATCH, 0);
    const sslcv_branch branch = branch_of(backbone, NULL, 0);
    const sslcv_stream deaf = {.struct_size = sizeof deaf};
    const char *const path = in_folder("m.onnx");
    sslcv_onnx_options o = defaults();

    ck_assert_int_eq(o.fold_norm, 1);
    ck_assert_int_eq(o.height + o.width + o.batch, 0);
    FAILS(sslcv_onnx_options_init(NULL, sizeof o), SSLCV_ERR_INVALID_ARGUMENT, "onnx_options is NULL");
    FAILS(sslcv_onnx_options_init(&o, 8), SSLCV_ERR_INVALID_ARGUMENT, "struct_size is 8");
#define BAD(field, value, text)                                                                                        \
    do {                                                                                                               \
        o = defaults();                                                                                                \
        o.field = (value);                                                                                             \
        FAILS(sslcv_onnx_save(&branch, path, &o), SSLCV_ERR_INVALID_ARGUMENT, "onnx_options." text);                   \
    } while (0)
    BAD(opset, 10, "opset is 10; must be 11 .. 17");
    BAD(opset, 18, "opset is 18; must be 11 .. 17");
    BAD(height, -1, "height is -1; must be 0 .. 65536");
    BAD(width, 65537, "width is 65537; must be 0 .. 65536");
    BAD(batch, (int64_t)1 << 31, "batch is 2147483648; must be 0 .. 2147483647");
    BAD(fold_norm, 2, "fold_norm is 2; must be 0 .. 1");
    FAILS(sslcv_onnx_save(&branch, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "onnx_options.stream are both NULL");
    o = defaults();
    o.stream = &deaf;
    FAILS(sslcv_onnx_save(&branch, NULL, &o), SSLCV_ERR_INVALID_ARGUMENT, "stream.write is NULL");
    ck_assert_int_eq(count_files(), 0);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(bad_branches)
{
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_BATCH, 0);
    sslcv_backbone *alexnet = make(SSLCV_BACKBONE_ALEXNET_HALF, SSLCV_NORM_BATCH, 0);
    sslcv_context *const here = context;
    sslcv_head *mlp = make_mlp(16, 8, 0), *foreign;
    const char *const path = in_folder("m.onnx");
    sslcv_onnx_options o = defaults();
    sslcv_branch branch = branch_of(NULL, NULL, 0);

    FAILS(sslcv_onnx_save(NULL, path, NULL), SSLCV_ERR_INVALID_ARGUMENT, "branch is NULL");
    FAILS(sslcv_onnx_save(&branch, path, NULL), SSLCV_ERR_INVALID_ARGUMENT, "branch.backbone is NULL");
    branch = branch_of(backbone, NULL, 1);
    FAILS(sslcv_onnx_save(&branch, path, NULL), SSLCV_ERR_INVALID_ARGUMENT, "branch.heads is NULL");
    branch.num_heads = -1;
    FAILS(sslcv_onnx_save(&branch, path, NULL), SSLCV_ERR_INVALID_ARGUMENT, "branch.num_heads is -1");
    branch = branch_of(backbone, &mlp, 1);
    FAILS(sslcv_onnx_save(&branch, path, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "branch.heads[0] takes D = 16; what comes before it gives 32");
    branch = branch_of(backbone, NULL, 0);
    branch.source = 0;
    FAILS(sslcv_onnx_save(&branch, path, NULL), SSLCV_ERR_INVALID_ARGUMENT, "branch.source is 0");
    branch = branch_of(backbone, NULL, 0);
    branch.momentum = 1;
    FAILS(sslcv_onnx_save(&branch, path, NULL), SSLCV_ERR_INVALID_ARGUMENT, "branch.momentum is 1");
    branch = branch_of(backbone, NULL, 0);
    branch.stage = "layer9";
    FAILS(sslcv_onnx_save(&branch, path, NULL), SSLCV_ERR_NOT_FOUND, "layer9");
    context = f32_context();
    foreign = make_mlp(32, 8, 0);
    branch = branch_of(backbone, &foreign, 1);
    FAILS(sslcv_onnx_save(&branch, path, NULL), SSLCV_ERR_INVALID_ARGUMENT, "branch.heads");
    sslcv_head_destroy(foreign);
    sslcv_context_destroy(context);
    context = here;

    branch = branch_of(alexnet, NULL, 0);
    o.height = o.width = 20;
    FAILS(sslcv_onnx_save(&branch, path, &o), SSLCV_ERR_LIMIT,
          "onnx_options.height and width are too small for backbone");
    o.height = o.width = 224;
    FAILS(sslcv_onnx_save(&branch, path, &o), SSLCV_ERR_LIMIT, "leave a map of 6 x 6");
    o.height = o.width = 64;
    OK(sslcv_onnx_save(&branch, path, &o));
    sslcv_head_destroy(mlp);
    sslcv_backbone_destroy(alexnet);
    sslcv_backbone_destroy(backbone);
}
END_TEST

static int32_t nothing(void *user, sslcv_state *state, const sslcv_tensor *in, sslcv_tensor *out,
                       const sslcv_pass *pass)
{
    (void)user, (void)state, (void)in, (void)out, (void)pass;
    return 0;
}

static int32_t nothing_back(void *user, sslcv_state *state, const sslcv_tensor *in, const sslcv_tensor *out,
                            const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *pass)
{
    (void)user, (void)state, (void)in, (void)out, (void)diff_out, (void)diff_in, (void)pass;
    return 0;
}

START_TEST(heads_without_a_form)
{
    static const char *const texts[4] = {"branch.heads[0], a patch_mlp,", "branch.heads[0], a pixelcnn,",
                                         "branch.heads[0], a cpc_v2,", "branch.heads[0], a custom,"};
    sslcv_backbone *backbone = make(SSLCV_BACKBONE_RESNET18, SSLCV_NORM_BATCH, 0);
    sslcv_patch_mlp_options patch;
    sslcv_pixelcnn_options pixel;
    sslcv_cpc_v2_options second;
    sslcv_head_callbacks callbacks;
    sslcv_head *made[4];
    int i;

    OK(sslcv_patch_mlp_options_init(&patch, sizeof patch));
    OK(sslcv_pixelcnn_options_init(&pixel, sizeof pixel));
    OK(sslcv_cpc_v2_options_init(&second, sizeof second));
    OK(sslcv_head_callbacks_init(&callbacks, sizeof callbacks));
    patch.in_dim = pixel.in_dim = second.in_dim = callbacks.in_dim = callbacks.out_dim = 32;
    callbacks.forward = nothing;
    callbacks.backward = nothing_back;
    OK(sslcv_head_create_patch_mlp(context, &patch, &made[0]));
    OK(sslcv_head_create_pixelcnn(context, &pixel, &made[1]));
    OK(sslcv_head_create_cpc_v2(context, &second, &made[2]));
    OK(sslcv_head_create_custom(context, &callbacks, &made[3]));
    for (i = 0; i < 4; i++) {
        const sslcv_branch branch = branch_of(backbone, &made[i], 1);

        FAILS(sslcv_onnx_save(&branch, in_folder("m.onnx"), NULL), SSLCV_ERR_UNSUPPORTED, texts[i]);
        sslcv_head_destroy(made[i]);
    }
    ck_assert_int_eq(count_files(), 0);
    sslcv_backbone_destroy(backbone);
}
END_TEST

#endif

int main(void)
{
    Suite *suite = suite_create("onnx_errors");
    TCase *tests = tcase_create("errors");

#ifdef SSLCV__PROTOBUF_C
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, files_and_streams_are_the_same);
    tcase_add_test(tests, failing_streams_and_folders);
    tcase_add_test(tests, what_is_not_finite_is_not_written);
    tcase_add_test(tests, more_than_the_format_holds);
    tcase_add_test(tests, memory_that_runs_out);
    tcase_add_test(tests, bad_options);
    tcase_add_test(tests, bad_branches);
    tcase_add_test(tests, heads_without_a_form);
#endif
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
