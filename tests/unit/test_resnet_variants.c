/* ResNets with other norms, stems and orders of layers than torchvision's: PyTorch's numbers, structure, loading. */
#include "golden_support.h"

#include <stdio.h>
#include <unistd.h>

#include "model/backbone.h"
#include "nn/plan.h"

/* ---- PyTorch ---- */

typedef struct golden_case {
    int64_t shape[4], seed;
    sslcv_backbone_options options;
    int train;
} golden_case;

static int index_of(const char *const *words, const char *word)
{
    int i = 0;

    while (words[i] && strcmp(words[i], word) != 0) i++;
    ck_assert_msg(words[i] != NULL, "%s", word);
    return i;
}

static void set_option(golden_case *c, const char *key, const char *value)
{
    static const char *const depths[] = {"", "18", "34", "50", NULL},
                             *const stems[] = {"imagenet", "cifar", "gim", NULL},
                             *const norms[] = {"none", "batch", "group", "layer", NULL};
    sslcv_backbone_options *o = &c->options;

    if (strcmp(key, "depth") == 0) o->architecture = index_of(depths, value);
    if (strcmp(key, "stem") == 0) o->stem = index_of(stems, value);
    if (strcmp(key, "norm") == 0) o->norm = index_of(norms, value);
    if (strcmp(key, "num_stages") == 0) o->num_stages = atoi(value);
    if (strcmp(key, "preactivation") == 0) o->preactivation = atoi(value);
    if (strcmp(key, "project_all") == 0) o->project_all = atoi(value);
    if (strcmp(key, "width") == 0) o->width = atof(value);
    if (strcmp(key, "train") == 0) c->train = atoi(value);
}

/* The file stands behind the case's line. */
static int find_case(FILE *file, int number, golden_case *c)
{
    char line[4096], key[16], value[16];
    int at, more;

    OK(sslcv_backbone_options_init(&c->options, sizeof c->options, SSLCV_BACKBONE_RESNET18));
    while (fgets(line, sizeof line, file)) {
        long long s[5];

        if (strncmp(line, "case", 4) != 0 || number-- > 0) continue;
        ck_assert_int_eq(sscanf(line, "case %lld %lld %lld %lld %lld%n", &s[0], &s[1], &s[2], &s[3], &s[4], &at), 5);
        for (number = 0; number < 4; number++) c->shape[number] = s[number];
        c->seed = s[4];
        for (; sscanf(line + at, "%15s %15s%n", key, value, &more) == 2; at += more) set_option(c, key, value);
        return 1;
    }
    return 0;
}

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
        if (entry.ndim == 4) {
            const double fan_out = (double)(entry.shape[0] * entry.shape[2] * entry.shape[3]);
            v[j] = (float)((double)v[j] * (float)sqrt(12.0 / fan_out));
        } else {
            v[j] = 0.25f * v[j] + (strstr(name, "weight") ? 1.0f : 0.0f);
        }
    }
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, v, entry.ndim, entry.shape));
    OK(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &tensor));
    free(v);
}

/* Weights are drawn in the order of the lines of gradients. Back to where the file stood. */
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

START_TEST(variant_equals_pytorch)
{
    FILE *file = fopen("tests/golden/resnet_variants.txt", "r");
    sslcv_backbone *backbone;
    sslcv_state *state;
    sslcv_tensor images, output;
    sslcv_pass pass;
    golden_case c;
    float *x, *g;
    int64_t outputs, parameters, i;

    ck_assert_ptr_nonnull(file);
    ck_assert(find_case(file, _i, &c));
    OK(sslcv_backbone_create(context, &c.options, &backbone));
    OK(sslcv_backbone_get_state(backbone, &state));
    fill_like_golden(file, state, c.seed);
    parameters = count_parameters(state);
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
    for (i = 0; i <= parameters; i++) check_gradient(file, state, 900 + i);
    fclose(file);
    free(g);
    free(x);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(no_case_is_left_out)
{
    FILE *file = fopen("tests/golden/resnet_variants.txt", "r");
    golden_case c;

    ck_assert_ptr_nonnull(file);
    ck_assert(find_case(file, 13, &c));
    ck_assert(!find_case(file, 0, &c));
    fclose(file);
}
END_TEST

/* ---- passes ---- */

/* One of each kind: norms, orders, shortcuts. */
static const struct {
    int32_t architecture, stem, norm, preactivation, project_all, num_stages;
    double width;
} variants[] = {{SSLCV_BACKBONE_RESNET18, SSLCV_STEM_CIFAR, SSLCV_NORM_NONE, 0, 0, 0, 0.125},
                {SSLCV_BACKBONE_RESNET18, SSLCV_STEM_IMAGENET, SSLCV_NORM_GROUP, 0, 1, 0, 0.5},
                {SSLCV_BACKBONE_RESNET50, SSLCV_STEM_CIFAR, SSLCV_NORM_LAYER, 0, 0, 3, 0.125},
                {SSLCV_BACKBONE_RESNET34, SSLCV_STEM_GIM, SSLCV_NORM_NONE, 1, 0, 4, 0.125},
                {SSLCV_BACKBONE_RESNET50, SSLCV_STEM_GIM, SSLCV_NORM_NONE, 1, 0, 4, 0.125},
                {SSLCV_BACKBONE_RESNET18, SSLCV_STEM_CIFAR, SSLCV_NORM_BATCH, 1, 1, 0, 0.25},
                {SSLCV_BACKBONE_RESNET18, SSLCV_STEM_IMAGENET, SSLCV_NORM_GROUP, 1, 0, 2, 0.5},
                {SSLCV_BACKBONE_RESNET101, SSLCV_STEM_CIFAR, SSLCV_NORM_LAYER, 1, 0, 0, 0.0625}};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

static void set_options(sslcv_backbone_options *options, int i)
{
    OK(sslcv_backbone_options_init(options, sizeof *options, variants[i].architecture));
    options->stem = variants[i].stem;
    options->norm = variants[i].norm;
    options->preactivation = variants[i].preactivation;
    options->project_all = variants[i].project_all;
    options->num_stages = variants[i].num_stages;
    options->width = variants[i].width;
    options->zero_init_residual = 0;
}

static sslcv_backbone *make_variant(int i)
{
    sslcv_backbone_options options;
    sslcv_backbone *backbone;

    set_options(&options, i);
    OK(sslcv_backbone_create(context, &options, &backbone));
    return backbone;
}

/* Copies of features and, with gradients, of all gradients in one array. */
static float *run(sslcv_backbone *backbone, const sslcv_tensor *images, int32_t flags, int32_t recompute, float **all)
{
    const sslcv__variables *v = &backbone->net.variables;
    int64_t count = 0, features, i;
    sslcv_tensor output;
    sslcv_pass pass;
    float *copy;

    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = flags;
    tape->recompute = recompute;
    OK(sslcv_backbone_forward(backbone, images, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    features = output.shape[0] * output.shape[1];
    copy = malloc((size_t)features * sizeof *copy);
    memcpy(copy, output.data, (size_t)features * sizeof *copy);
    if (!all) return copy;
    for (i = 0; i < v->count; i++) {
        v->items[i]->has_gradient = 0;
        count += v->items[i]->gradient ? v->items[i]->count : 0;
    }
    OK(sslcv_tape_backward(tape, &output));
    *all = malloc((size_t)count * sizeof **all);
    for (count = 0, i = 0; i < v->count; i++) {
        if (!v->items[i]->gradient) continue;
        OK(sslcv__variable_read(context, v->items[i], SSLCV_STATE_GRADIENT, *all + count));
        count += v->items[i]->count;
    }
    return copy;
}

static int64_t gradient_count(const sslcv_backbone *backbone)
{
    const sslcv__variables *v = &backbone->net.variables;
    int64_t count = 0, i;

    for (i = 0; i < v->count; i++) count += v->items[i]->gradient ? v->items[i]->count : 0;
    return count;
}

START_TEST(recomputing_changes_nothing)
{
    static const int32_t ways[] = {1, 2 << 1, 62, 63};
    const int64_t shape[4] = {3, 3, 24, 24};
    sslcv_backbone *backbone = make_variant(_i);
    sslcv_tensor images;
    float *x = make_images(&images, shape), *kept, *again, *features;
    int64_t arena, way;

    free(run(backbone, &images, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, 0, &kept));
    arena = sslcv__plan_arena_bytes(tape->current);
    for (way = 0; way < 4; way++) {
        features = run(backbone, &images, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, ways[way], &again);
        ck_assert_msg(memcmp(kept, again, (size_t)gradient_count(backbone) * sizeof *kept) == 0, "way %d", (int)way);
        if (way >= 2) ck_assert_int_lt(sslcv__plan_arena_bytes(tape->current), arena);
        free(features);
        free(again);
    }
    free(kept);
    free(x);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* Inference folds what it can into the convolutions. */
START_TEST(inference_equals_evaluation)
{
    const int64_t shape[4] = {2, 3, 24, 24};
    sslcv_backbone *backbone = make_variant(_i);
    sslcv_tensor images;
    float *x = make_images(&images, shape), *a, *b, *gradients;
    const int64_t count = 2 * sslcv__backbone_dim(backbone, backbone->num_stages - 1);
    double worst = 0;
    int64_t i;

    for (i = 0; i < backbone->net.variables.count; i++) {
        sslcv__variable *v = backbone->net.variables.items[i];
        if (v->role == SSLCV_ROLE_BIAS) OK(sslcv__net_draw(&backbone->net, v, 3, 1, 0.1));
    }
    a = run(backbone, &images, SSLCV_PASS_GRADIENT, 0, &gradients);
    b = run(backbone, &images, 0, 0, NULL);
    for (i = 0; i < count; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    ck_assert_msg(worst < 1e-5 * norm_of(a, count), "off by %g of %g", worst, norm_of(a, count));
    free(gradients);
    free(a);
    free(b);
    free(x);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* Without batch norm the features of an image do not depend on the others, in training either. */
START_TEST(samples_stand_alone)
{
    const int64_t shape[4] = {3, 3, 24, 24}, pixels = 3 * 24 * 24;
    sslcv_backbone *backbone = make_variant(_i);
    const int64_t dim = sslcv__backbone_dim(backbone, backbone->num_stages - 1);
    sslcv_tensor images;
    float *x = make_images(&images, shape), *a, *b, *g;
    int64_t i;

    a = run(backbone, &images, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, 0, &g);
    free(g);
    for (i = 0; i < 2 * pixels; i++) x[i] += 0.5f;
    b = run(backbone, &images, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, 0, &g);
    free(g);
    ck_assert_int_eq(memcmp(a + 2 * dim, b + 2 * dim, (size_t)dim * sizeof *a) == 0,
                     variants[_i].norm != SSLCV_NORM_BATCH);
    ck_assert_int_ne(memcmp(a, b, (size_t)dim * sizeof *a), 0);
    free(a);
    free(b);
    free(x);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* Maps in bf16 keep 8 bits: features agree within a few hundredths. */
START_TEST(bf16_is_near)
{
    const int64_t shape[4] = {2, 3, 24, 24};
    sslcv_backbone *backbone = make_variant(_i), *half;
    const int64_t count = 2 * sslcv__backbone_dim(backbone, backbone->num_stages - 1);
    sslcv_context_options options;
    sslcv_context *f32 = context, *own;
    sslcv_tape *f32_tape = tape;
    sslcv_tensor images;
    float *x = make_images(&images, shape), *a, *b, *g;
    int64_t i;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.precision = SSLCV_PRECISION_BF16;
    if (sslcv_context_create(&options, &own) != SSLCV_OK) return; /* the processor has none */
    a = run(backbone, &images, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, 0, &g);
    free(g);
    context = own;
    OK(sslcv_tape_create(context, &tape));
    half = make_variant(_i);
    sslcv__net_copy_values(&half->net, &backbone->net);
    b = run(half, &images, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, 0, &g);
    for (i = 0; i < count; i++) b[i] -= a[i];
    ck_assert_msg(norm_of(b, count) < 0.05 * norm_of(a, count), "off by %g", norm_of(b, count) / norm_of(a, count));
    free(g);
    free(a);
    free(b);
    free(x);
    sslcv_backbone_destroy(half);
    sslcv_tape_destroy(tape);
    context = f32;
    tape = f32_tape;
    sslcv_context_destroy(own);
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* ---- structure ---- */

START_TEST(saved_variant_is_recognised)
{
    char path[] = "/tmp/sslcv_variant_XXXXXX";
    const int64_t shape[4] = {2, 3, 24, 24};
    const int fd = mkstemp(path);
    sslcv_backbone *backbone = make_variant(_i), *loaded;
    sslcv_save_options save;
    sslcv_tensor images;
    sslcv_state *state;
    float *x = make_images(&images, shape), *a, *b;
    char texts[2][256];

    ck_assert_int_ge(fd, 0);
    close(fd);
    OK(sslcv_backbone_get_state(backbone, &state));
    OK(sslcv_save_options_init(&save, sizeof save));
    save.prefix = _i % 2 ? "backbone.0." : NULL;
    OK(sslcv_state_save(state, path, &save));
    OK(sslcv_backbone_load(context, path, NULL, &loaded));
    sslcv__backbone_describe(backbone, texts[0], sizeof texts[0]);
    sslcv__backbone_describe(loaded, texts[1], sizeof texts[1]);
    if (_i != 2) ck_assert_str_eq(texts[0], texts[1]);
    a = run(backbone, &images, 0, 0, NULL);
    b = run(loaded, &images, 0, 0, NULL);
    ck_assert_mem_eq(a, b, (size_t)(2 * sslcv__backbone_dim(backbone, backbone->num_stages - 1)) * sizeof *a);
    remove(path);
    free(a);
    free(b);
    free(x);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(loaded);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(stages_are_cut_off)
{
    sslcv_backbone_options options;
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_backbone *backbone;
    const char *name;
    int64_t dim;

    OK(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET50));
    options.num_stages = 4;
    options.width = 0.125;
    OK(sslcv_backbone_create(context, &options, &backbone));
    OK(sslcv_backbone_get_info(backbone, &info));
    ck_assert_int_eq(info.num_stages, 4);
    ck_assert_int_eq(info.feature_dim, 128);
    OK(sslcv_backbone_get_stage(backbone, 3, &name, &dim));
    ck_assert_str_eq(name, "layer3");
    FAILS(sslcv_backbone_get_stage(backbone, 4, &name, &dim), SSLCV_ERR_NOT_FOUND, "stages 0 .. 3");
    FAILS(sslcv_backbone_freeze(backbone, 5), SSLCV_ERR_INVALID_ARGUMENT, "must be 0 .. 4");
    sslcv_backbone_destroy(backbone);
}
END_TEST

/* SimCLR's ResNet-18: one projection more than torchvision's 11,176,512 parameters. */
START_TEST(every_stage_may_project)
{
    sslcv_backbone_options options;
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_backbone *backbone;
    sslcv_state *state;
    int64_t index;

    OK(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));
    options.project_all = 1;
    OK(sslcv_backbone_create(context, &options, &backbone));
    OK(sslcv_backbone_get_info(backbone, &info));
    ck_assert_int_eq(info.num_parameters, 11176512 + 64 * 64 + 2 * 64);
    OK(sslcv_backbone_get_state(backbone, &state));
    OK(sslcv_state_find(state, "layer1.0.downsample.1.running_var", &index));
    FAILS(sslcv_state_find(state, "layer1.1.downsample.0.weight", &index), SSLCV_ERR_NOT_FOUND, "layer1.1");
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(backbone);
}
END_TEST

static double size_of(sslcv_state *state, const char *name)
{
    int64_t count;
    float *v = read_state(state, name, SSLCV_STATE_VALUE, &count);
    const double size = norm_of(v, count);

    free(v);
    return size;
}

/* zero_init_residual: where no norm ends the block its last convolution is 0; a norm before that is 1 as ever. */
START_TEST(blocks_start_as_shortcuts)
{
    static const int32_t norms[] = {SSLCV_NORM_NONE, SSLCV_NORM_NONE, SSLCV_NORM_BATCH, SSLCV_NORM_GROUP,
                                    SSLCV_NORM_LAYER};
    sslcv_backbone_options options;
    sslcv_backbone *backbone;
    sslcv_state *state;
    const int preactivation = _i == 1 || _i == 2;

    OK(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));
    options.norm = norms[_i];
    options.preactivation = preactivation;
    options.width = 0.5;
    OK(sslcv_backbone_create(context, &options, &backbone));
    OK(sslcv_backbone_get_state(backbone, &state));
    if (preactivation || norms[_i] == SSLCV_NORM_NONE) {
        ck_assert(size_of(state, "layer2.1.conv2.weight") == 0.0);
    } else {
        ck_assert(size_of(state, "layer2.1.bn2.weight") == 0.0);
        ck_assert(size_of(state, "layer2.1.conv2.weight") > 0.0);
    }
    ck_assert(size_of(state, "layer2.1.conv1.weight") > 0.0);
    if (norms[_i] == SSLCV_NORM_NONE) ck_assert(size_of(state, "layer2.1.conv1.bias") == 0.0);
    if (norms[_i] == SSLCV_NORM_BATCH) CLOSE(size_of(state, "layer2.1.bn2.weight"), 8.0, 1e-6);
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(groups_must_divide)
{
    sslcv_backbone_options options;
    sslcv_backbone *backbone;

    OK(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));
    options.norm = SSLCV_NORM_GROUP;
    options.width = 0.25;
    FAILS(sslcv_backbone_create(context, &options, &backbone), SSLCV_ERR_INVALID_ARGUMENT,
          "bn1 has 16 channels, which 32 groups do not divide");
    options.stem_channels = 64;
    FAILS(sslcv_backbone_create(context, &options, &backbone), SSLCV_ERR_INVALID_ARGUMENT,
          "layer1.0.bn1 has 16 channels");
    options.norm = SSLCV_NORM_LAYER;
    OK(sslcv_backbone_create(context, &options, &backbone));
    sslcv_backbone_destroy(backbone);
}
END_TEST

START_TEST(out_of_memory_leaves_nothing)
{
    static float x[2 * 3 * 64];
    const int64_t shape[4] = {2, 3, 8, 8};
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
    set_options(&net, _i);
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
    ck_assert_int_gt(n, 100);
    sslcv_context_destroy(own);
    ck_assert_int_eq(atomic_load(&limited.out), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resnet variants");
    TCase *numbers = tcase_create("numbers"), *structure = tcase_create("structure");

    tcase_add_checked_fixture(numbers, set_up, tear_down);
    tcase_set_timeout(numbers, 60);
    tcase_add_loop_test(numbers, variant_equals_pytorch, 0, 14);
    tcase_add_test(numbers, no_case_is_left_out);
    tcase_add_loop_test(numbers, recomputing_changes_nothing, 0, VARIANTS);
    tcase_add_loop_test(numbers, inference_equals_evaluation, 0, VARIANTS);
    tcase_add_loop_test(numbers, samples_stand_alone, 0, VARIANTS);
    tcase_add_loop_test(numbers, bf16_is_near, 0, VARIANTS);
    suite_add_tcase(suite, numbers);

    tcase_add_checked_fixture(structure, set_up, tear_down);
    tcase_set_timeout(structure, 120);
    tcase_add_loop_test(structure, saved_variant_is_recognised, 0, VARIANTS);
    tcase_add_test(structure, stages_are_cut_off);
    tcase_add_test(structure, every_stage_may_project);
    tcase_add_loop_test(structure, blocks_start_as_shortcuts, 0, 5);
    tcase_add_test(structure, groups_must_divide);
    tcase_add_loop_test(structure, out_of_memory_leaves_nothing, 0, VARIANTS - 1);
    suite_add_tcase(suite, structure);
    return run_suite(suite);
}
