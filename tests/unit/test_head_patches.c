/* The heads of patches (PIRL) and of prototypes (DINO). */
#include "head_support.h"

/* ---- patches ---- */

static sslcv_head *make_patches(int64_t in, int64_t patches, int32_t layers, uint64_t seed)
{
    sslcv_patch_mlp_options options;
    sslcv_head *head;

    OK(sslcv_patch_mlp_options_init(&options, sizeof options));
    ck_assert_int_eq(options.num_patches, 9);
    options.in_dim = in;
    options.num_patches = patches;
    options.hidden_dim = layers > 1 ? 5 : 0;
    options.patch_dim = 3;
    options.out_dim = 4;
    options.num_layers = layers;
    options.seed = seed;
    OK(sslcv_head_create_patch_mlp(context, &options, &head));
    return head;
}

static sslcv_head *make_seeded_patches(uint64_t seed)
{
    return make_patches(6, 4, 2, seed);
}

START_TEST(patches_as_pytorch)
{
    const int64_t shape[4] = {1, 3, 4, 6};
    sslcv_head *head = make_seeded_patches(1);

    check_golden("patch_mlp", head, 4, shape);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(patches_merge_into_one)
{
    const int64_t shape[4] = {2, 3, 4, 6}, expected[4] = {2, 3, 1, 4};
    static float x[HEAD_MAX];
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape), output, diff;
    sslcv_head_info info = {.struct_size = sizeof info};
    sslcv_head *head = make_seeded_patches(1);

    output = run_head(head, &input, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
    ck_assert_int_eq(output.ndim, 4);
    ck_assert_mem_eq(output.shape, expected, sizeof expected);
    diff = output;
    diff.data = x;
    OK(sslcv_tape_backward(tape, &diff));
    OK(sslcv_tape_diff_input(tape, &diff));
    ck_assert_mem_eq(diff.shape, shape, sizeof shape);
    OK(sslcv_head_get_info(head, &info));
    ck_assert_str_eq(info.kind, "patch_mlp");
    ck_assert_int_eq(info.in_dim, 6);
    ck_assert_int_eq(info.out_dim, 4);
    ck_assert_int_eq(info.num_parameters, 6 * 5 + 5 + 5 * 3 + 3 + 12 * 4 + 4);
    check_clone(head, &input);
    check_reset(head, make_seeded_patches);
    sslcv_head_destroy(head);
}
END_TEST

/* Columns of "join" that belong to patch i are those at i * patch_dim. */
START_TEST(permuted_patches_and_columns_agree)
{
    static const int64_t order[4] = {2, 0, 3, 1};
    const int64_t shape[4] = {1, 5, 4, 6};
    float x[120], moved[120], first[20], weight[48], *join;
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape), other = drawn(moved, 1, 2.0f, 4, shape), output;
    sslcv_head *head = make_patches(6, 4, 1, 3);
    int64_t n, p, i;

    output = run_head(head, &input, 0);
    memcpy(first, output.data, sizeof first);
    for (n = 0; n < 5; n++) {
        for (p = 0; p < 4; p++) memcpy(moved + (n * 4 + p) * 6, x + (n * 4 + order[p]) * 6, 6 * sizeof *x);
    }
    output = run_head(head, &other, 0);
    for (i = 0, n = 0; i < 20; i++) n += fabsf(((float *)output.data)[i] - first[i]) > 1e-3f;
    ck_assert_int_gt(n, 15); /* the order matters */
    join = sslcv__variables_find(&head->net.variables, "join.weight")->value;
    memcpy(weight, join, sizeof weight);
    for (n = 0; n < 4; n++) {
        for (p = 0; p < 4; p++) memcpy(join + n * 12 + p * 3, weight + n * 12 + order[p] * 3, 3 * sizeof *join);
    }
    output = run_head(head, &other, 0);
    for (i = 0; i < 20; i++) CLOSE(((float *)output.data)[i], first[i], 1e-6);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(patches_have_their_gradient)
{
    const int64_t shape[4] = {1, 2, 4, 6};
    float x[48];
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape);
    sslcv_head *head = make_patches(6, 4, 1, 3); /* without the ReLU, linear */

    check_finite_differences(head, &input, SSLCV_PASS_TRAIN, 1);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(other_numbers_of_patches_are_refused)
{
    const int64_t three[3] = {2, 3, 6}, four[4] = {2, 2, 2, 6}, one[2] = {3, 6};
    static float x[HEAD_MAX];
    sslcv_tensor input = drawn(x, 1, 1.0f, 4, four);
    sslcv_head *head = make_patches(6, 4, 1, 1), *none = NULL;
    sslcv_patch_mlp_options options;
    sslcv_tensor output;

    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT,
          "P = 2 patches; the head, patch_mlp, takes 4");
    input = drawn(x, 1, 1.0f, 3, three);
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "P = 1 patches");
    sslcv_head_destroy(head);
    head = make_patches(6, 1, 1, 1); /* one patch: any axes */
    input = drawn(x, 1, 1.0f, 2, one);
    output = run_head(head, &input, 0);
    ck_assert_int_eq(output.ndim, 2);
    sslcv_head_destroy(head);

    OK(sslcv_patch_mlp_options_init(&options, sizeof options));
    FAILS(sslcv_head_create_patch_mlp(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "patch_mlp.in_dim is 0");
    options.in_dim = 4;
    options.num_patches = 0;
    FAILS(sslcv_head_create_patch_mlp(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT,
          "patch_mlp.num_patches is 0; must be 1 .. 4096");
    options.num_patches = 9;
    options.num_layers = 0;
    FAILS(sslcv_head_create_patch_mlp(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "patch_mlp.num_layers");
    options.num_layers = 1;
    options.reserved = 1;
    FAILS(sslcv_head_create_patch_mlp(context, &options, &none), SSLCV_ERR_UNSUPPORTED, "patch_mlp.reserved");
    FAILS(sslcv_head_create_patch_mlp(context, NULL, &none), SSLCV_ERR_INVALID_ARGUMENT, "options is NULL");
    FAILS(sslcv_head_create_patch_mlp(context, &options, NULL), SSLCV_ERR_INVALID_ARGUMENT, "head is NULL");
    FAILS(sslcv_head_create_patch_mlp(NULL, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    ck_assert_ptr_null(none);
}
END_TEST

/* ---- prototypes ---- */

static sslcv_head *make_prototypes(int64_t in, int64_t out, uint64_t seed)
{
    sslcv_prototypes_options options;
    sslcv_head *head;

    OK(sslcv_prototypes_options_init(&options, sizeof options));
    ck_assert_int_eq(options.out_dim, 65536);
    options.in_dim = in;
    options.out_dim = out;
    options.seed = seed;
    OK(sslcv_head_create_prototypes(context, &options, &head));
    return head;
}

static sslcv_head *make_seeded_prototypes(uint64_t seed)
{
    return make_prototypes(4, 7, seed);
}

START_TEST(prototypes_as_pytorch)
{
    const int64_t shape[2] = {5, 4};
    sslcv_head *head = make_seeded_prototypes(1);

    check_golden("prototypes", head, 2, shape);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(lengths_of_prototypes_do_not_count)
{
    const int64_t shape[4] = {2, 5, 1, 4};
    float x[40], first[70];
    sslcv_tensor input = drawn(x, 1, 1.0f, 4, shape), output, diff;
    sslcv_head *head = make_seeded_prototypes(1);
    sslcv__variable *weight = head->net.variables.items[0];
    int64_t i, k;

    ck_assert_str_eq(weight->name, "prototypes.weight");
    output = run_head(head, &input, 0);
    memcpy(first, output.data, sizeof first);
    for (i = 0; i < 70; i++) ck_assert(fabsf(first[i]) <= 1.0f + 1e-6f); /* cosines */
    for (i = 0; i < weight->count; i++) ((float *)weight->value)[i] *= (float)(1 + i / 4);
    for (i = 0; i < 40; i++) x[i] *= 3.0f;
    output = run_head(head, &input, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
    for (i = 0; i < 70; i++) CLOSE(((float *)output.data)[i], first[i], 2e-6);
    diff = drawn(first, 2, 1.0f, 4, output.shape);
    OK(sslcv_tape_backward(tape, &diff));
    for (k = 0; k < 7; k++) { /* no gradient along a prototype */
        const float *w = (const float *)weight->value + 4 * k, *g = weight->gradient + 4 * k;
        double along = 0;

        for (i = 0; i < 4; i++) along += (double)w[i] * g[i];
        ck_assert_msg(fabs(along) <= 1e-5 * norm_of(w, 4) * fmax(norm_of(g, 4), 1e-3), "%g along prototype %d", along,
                      (int)k);
    }
    check_clone(head, &input);
    check_reset(head, make_seeded_prototypes);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(prototypes_have_their_gradient)
{
    const int64_t shape[2] = {3, 4};
    float x[12];
    sslcv_tensor input = drawn(x, 1, 2.0f, 2, shape);
    sslcv_head *head = make_prototypes(4, 300, 1); /* more than one block of columns */

    draw_head(head, 2.0f);
    check_finite_differences(head, &input, SSLCV_PASS_TRAIN, 7);
    sslcv_head_destroy(head);
}
END_TEST

/* Gradients of two passes add up; a frozen layer gets none, but hands one on. */
START_TEST(gradients_of_prototypes_add_up)
{
    const int64_t shape[2] = {3, 4};
    float x[12], g[21], once[28];
    sslcv_tensor input = drawn(x, 1, 2.0f, 2, shape), output, diff;
    sslcv_head *head = make_seeded_prototypes(1);
    sslcv__variable *weight = head->net.variables.items[0];
    int64_t i, n;

    for (n = 0; n < 2; n++) {
        output = run_head(head, &input, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
        diff = drawn(g, 2, 1.0f, 2, output.shape);
        OK(sslcv_tape_backward(tape, &diff));
        if (n == 0) memcpy(once, weight->gradient, sizeof once);
    }
    for (i = 0; i < 28; i++) CLOSE(weight->gradient[i], 2.0 * once[i], 1e-6);
    weight->frozen = 1;
    weight->has_gradient = 0;
    run_head(head, &input, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
    OK(sslcv_tape_backward(tape, &diff));
    OK(sslcv_tape_diff_input(tape, &diff));
    ck_assert_int_eq(weight->has_gradient, 0);
    ck_assert(norm_of(diff.data, 12) > 1e-3);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(bad_prototypes_are_named)
{
    sslcv_prototypes_options options;
    sslcv_head *none = NULL;

    OK(sslcv_prototypes_options_init(&options, sizeof options));
    FAILS(sslcv_head_create_prototypes(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT,
          "prototypes.in_dim is 0; must be 1");
    options.in_dim = 4;
    options.out_dim = 0;
    FAILS(sslcv_head_create_prototypes(context, &options, &none), SSLCV_ERR_INVALID_ARGUMENT, "prototypes.out_dim");
    FAILS(sslcv_head_create_prototypes(context, NULL, &none), SSLCV_ERR_INVALID_ARGUMENT, "options is NULL");
    ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head_patches");
    TCase *patches = tcase_create("patches"), *prototypes = tcase_create("prototypes");

    tcase_add_checked_fixture(patches, set_up, tear_down);
    tcase_add_test(patches, patches_as_pytorch);
    tcase_add_test(patches, patches_merge_into_one);
    tcase_add_test(patches, permuted_patches_and_columns_agree);
    tcase_add_test(patches, patches_have_their_gradient);
    tcase_add_test(patches, other_numbers_of_patches_are_refused);
    suite_add_tcase(suite, patches);
    tcase_add_checked_fixture(prototypes, set_up, tear_down);
    tcase_add_test(prototypes, prototypes_as_pytorch);
    tcase_add_test(prototypes, lengths_of_prototypes_do_not_count);
    tcase_add_test(prototypes, prototypes_have_their_gradient);
    tcase_add_test(prototypes, gradients_of_prototypes_add_up);
    tcase_add_test(prototypes, bad_prototypes_are_named);
    suite_add_tcase(suite, prototypes);
    return run_suite(suite);
}
