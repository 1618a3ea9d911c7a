/* CMC: a network for each view, views of one crop, colour spaces, banks and Z, more views, what is refused. */
#include "recipe_support.h"

static const char small_cmc[] = TINY " epochs=4 out_dim=16 negatives=12 loss=nce";

enum { PIXELS = SIDE * SIDE };

/* ---- composition ---- */

START_TEST(test_composition)
{
    /* Twice a ResNet-18 and its linear layer. Stems of 64 channels need a projection to 4 behind them. */
    static const treatment ways[2][4] = {{{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 42},
                                          {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 80},
                                          {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 0, 2},
                                          {0}},
                                         {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 44},
                                          {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 84},
                                          {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 0, 2},
                                          {0}}};
    static const char *const texts[] = {"backbone 0: 1 channels -> 32, 44220 parameters\n" /* 44292 with 3 channels: */
                                        "backbone 1: 2 channels -> 32, 44256 parameters\n" /* 3 x 3 x 4 each */
                                        "head 0: mlp 32 -> 128, 4224 parameters\n"
                                        "head 1: mlp 32 -> 128, 4224 parameters\n"
                                        "learning rate: cosine from 0.00375 to 0, by epoch\n"
                                        "run: 200 epochs of 3 steps of 8 images\n",
                                        "backbone 0: 1 channels -> 32, 49864 parameters\n" /* 46728 + 7 x 7 x 64 each */
                                        "backbone 1: 2 channels -> 32, 53000 parameters\n"
                                        "head 0: mlp 32 -> 128, 4224 parameters\n"
                                        "head 1: mlp 32 -> 128, 4224 parameters\n"
                                        "learning rate: steps from 0.0009375, by epoch\n"
                                        "run: 240 epochs of 3 steps of 8 images\n"};
    char text[2048];
    rig r = make_recipe("cmc", _i ? "imagenet" : "cifar", TINY);

    snprintf(text, sizeof text, "%s%s",
             "branch 0: view 1 -> backbone 0 (joined) -> head 0 (mlp 32-128, joined)\n"
             "branch 1: view 2 -> backbone 1 (joined) -> head 1 (mlp 32-128, joined)\n"
             "loss 0: 1 * nce_bank(branch 0, branch 1)\n",
             texts[_i]);
    check_composition(&r, text);
    check_groups(&r, ways[_i]);
    ck_assert(r.trainer->options.optimizer->options.weight_decay == (_i ? 1e-4 : 5e-4));
    ck_assert(loss_number(&r, "temperature") == (_i ? 0.07 : 0.1));
    ck_assert(loss_number(&r, "bank_momentum") == (_i ? 0.5 : 0.9));
    ck_assert(loss_number(&r, "epsilon") == 1e-7);
    free_recipe(&r);
}
END_TEST

/* On ImageNet: tenths at 120, 160 and 200 of 240 epochs. */
START_TEST(test_rate_steps)
{
    rig r = make_recipe("cmc", "imagenet", TINY);
    const sslcv_schedule *rate = &r.trainer->learning_rate;
    static const struct {
        int64_t epoch;
        double factor;
    } points[] = {{119, 1.0}, {120, 0.1}, {159, 0.1}, {160, 0.01}, {199, 0.01}, {200, 0.001}, {239, 0.001}};
    double value;
    int i;

    for (i = 0; i < (int)(sizeof points / sizeof *points); i++) {
        OK(sslcv_schedule_value(rate, points[i].epoch * 3, 3, 240, &value));
        CLOSE(value, 0.03 * BATCH / 256 * points[i].factor, 1e-12);
    }
    free_recipe(&r);
}
END_TEST

static int has(rig *r, const char *wanted)
{
    static char text[8192];

    OK(sslcv_trainer_describe(r->trainer, text, sizeof text, NULL));
    return strstr(text, wanted) != NULL;
}

/* conv5 and fc7 of half AlexNets: features of 4096 / 2 channels by twice the width. */
START_TEST(test_alexnet)
{
    rig r = make_recipe("cmc", "imagenet",
                        "batch=4 size=64 architecture=alexnet width=0.03125 prefetch=0 epochs=2 out_dim=16");

    step(&r);
    ck_assert(has(&r, "backbone 0: 1 channels -> 128, ") && has(&r, "backbone 1: 2 channels -> 128, "));
    free_recipe(&r);
    refuse("cmc", NULL, "batch=8 size=32 architecture=alexnet", SSLCV_ERR_INVALID_ARGUMENT,
           "backbone.image_size is 32; must be 0 or 63");
}
END_TEST

/* ---- views ---- */

/* A view of an image by the recipe's augmenter. */
static void make_view(rig *r, const sslcv_tensor *image, int64_t view, int64_t channels, float *out)
{
    const int64_t shape[3] = {channels, SIDE, SIDE};
    sslcv_tensor tensor;

    OK(sslcv_tensor_init(&tensor, SSLCV_F32, out, 3, shape));
    OK(sslcv_augmenter_apply(r->trainer->options.augmenter, image, 7, 1, 5, view, &tensor));
}

static void fill_image(float red, float green, float blue, float *pixels, sslcv_tensor *image)
{
    static const int64_t shape[3] = {3, SIDE, SIDE};
    int i;

    for (i = 0; i < PIXELS; i++) {
        pixels[i] = red;
        pixels[PIXELS + i] = green;
        pixels[2 * PIXELS + i] = blue;
    }
    OK(sslcv_tensor_init(image, SSLCV_F32, pixels, 3, shape));
}

/* Both views are channels of one crop and flip; as in the augmenter's preset by default. */
START_TEST(test_views_share_the_crop)
{
    static const char *const more[] = {"", "jitter=yes", "crop_area=0.5", "color_space=ydbdr"};
    static float pixels[3 * PIXELS], whole[3 * PIXELS], first[PIXELS], others[2 * PIXELS], preset[3 * PIXELS];
    char settings[256];
    sslcv_tensor image;
    rig r, plain;

    snprintf(settings, sizeof settings, "%s %s", small_cmc, more[_i]);
    r = make_recipe("cmc", NULL, settings);
    plain = make_recipe("cmc", NULL, small_cmc);
    sslcv_augmenter_destroy(plain.trainer->options.augmenter);
    OK(sslcv_augmenter_create(plain.context, &plain.trainer->options.augmenter));
    OK(sslcv_augmenter_add_preset(plain.trainer->options.augmenter, "cmc-cifar", SIDE, NULL, NULL));
    fill_image(0.0f, 0.0f, 0.0f, pixels, &image);
    golden_input(3, 3 * PIXELS, pixels);
    for (int i = 0; i < 3 * PIXELS; i++) pixels[i] += 0.5f;
    make_view(&r, &image, 0, 3, whole);
    make_view(&r, &image, 1, 1, first);
    make_view(&r, &image, 2, 2, others);
    make_view(&plain, &image, 0, 3, preset);
    ck_assert_mem_eq(first, whole, sizeof first);
    ck_assert_mem_eq(others, whole + PIXELS, sizeof others);
    ck_assert_int_eq(memcmp(whole, preset, sizeof whole) == 0, _i == 0);
    free_recipe(&r);
    free_recipe(&plain);
}
END_TEST

/* A plain colour stays plain under crop and flip. Numbers worked out by hand from the definitions. */
START_TEST(test_color_spaces)
{
    static const struct {
        const char *space;
        float color[3];
        double expected[3]; /* normalised */
    } cases[] = {
        {"ydbdr", {0.2f, 0.5f, 0.9f}, {(0.4559 - 0.457) / 0.5, (0.6682 + 0.082) / 1.331, (0.4867 + 0.052) / 1.333}},
        {"ycbcr",
         {0.2f, 0.5f, 0.9f},
         {(115.8421 - 116.151) / 109.5, (184.1391 - 121.08) / 111.855, (87.1144 - 132.342) / 111.964}},
        /* The grey with L = 50: the middle of its scale, and no colour. */
        {"lab", {0.466327f, 0.466327f, 0.466327f}, {0.0, -6.025 / 92.208, 6.6895 / 101.1675}},
    };
    static float pixels[3 * PIXELS], made[3 * PIXELS];
    const float *color = cases[_i].color;
    char settings[256];
    sslcv_tensor image;
    rig r;
    int c, i;

    snprintf(settings, sizeof settings, "%s color_space=%s", small_cmc, cases[_i].space);
    r = make_recipe("cmc", NULL, settings);
    fill_image(color[0], color[1], color[2], pixels, &image);
    make_view(&r, &image, 0, 3, made);
    for (c = 0; c < 3; c++) {
        for (i = 0; i < PIXELS; i++) CLOSE((double)made[c * PIXELS + i], cases[_i].expected[c], 2e-4);
    }
    free_recipe(&r);
}
END_TEST

/* ---- banks ---- */

static void read_z(rig *r, int64_t count, double *z)
{
    sslcv_state *state;
    sslcv_tensor tensor;
    int64_t index;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    OK(sslcv_state_find(state, "loss.0.z", &index));
    OK(sslcv_tensor_init(&tensor, SSLCV_F64, z, 1, &count));
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor));
    sslcv_state_destroy(state);
}

/* A step writes the rows of its own images, the same in both banks, and Z once. */
START_TEST(test_banks)
{
    static const char *const names[] = {"loss.0.bank.0", "loss.0.bank.1"};
    weights before[2], after[2];
    double z[2], again[2], length;
    rig r = make_recipe("cmc", NULL, small_cmc);
    int t, b, i, d, written[SAMPLES] = {0}, changed[2];

    for (t = 0; t < 3; t++) { /* an epoch */
        for (b = 0; b < 2; b++) before[b] = read_tensor(&r, names[b]);
        step(&r);
        read_z(&r, 2, t ? again : z);
        if (t) ck_assert_mem_eq(z, again, sizeof z);
        ck_assert(z[0] > 0.0 && z[1] > 0.0 && z[0] != z[1]);
        for (b = 0; b < 2; b++) after[b] = read_tensor(&r, names[b]);
        ck_assert_int_eq(after[0].count, SAMPLES * 16);
        for (i = 0; i < SAMPLES; i++) {
            for (b = 0; b < 2; b++) {
                const float *row = after[b].values + i * 16;

                changed[b] = memcmp(before[b].values + i * 16, row, 16 * sizeof(float)) != 0;
                for (length = 0.0, d = 0; d < 16; d++) length += (double)row[d] * (double)row[d];
                if (changed[b]) CLOSE(length, 1.0, 1e-5);
            }
            ck_assert_int_eq(changed[0], changed[1]);
            written[i] += changed[0];
        }
        ck_assert_mem_ne(after[0].values, after[1].values, SAMPLES * 16 * sizeof(float));
        for (b = 0; b < 2; b++) {
            free(before[b].values);
            free(after[b].values);
        }
    }
    for (i = 0; i < SAMPLES; i++) ck_assert_int_eq(written[i], 1);
    free_recipe(&r);
}
END_TEST

/* ---- more views ---- */

/* Crops of the image of their own, with 3 channels, 1, 2 and 3 of them. */
static sslcv_augmenter *several_views(sslcv_context *context)
{
    static const int64_t counts[4] = {3, 1, 2, 3};
    sslcv_augmenter *augmenter;
    sslcv_transform t;
    int64_t view, i;

    OK(sslcv_augmenter_create(context, &augmenter));
    for (i = 0; i < 4; i++) {
        OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
        OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RANDOM_RESIZED_CROP));
        t.height = t.width = SIDE;
        OK(sslcv_augmenter_add_transform(augmenter, view, &t));
        if (counts[i] == 3) continue; /* its shape follows the image's */
        OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_SELECT_CHANNELS));
        t.count = counts[i];
        OK(sslcv_augmenter_add_transform(augmenter, view, &t));
    }
    return augmenter;
}

static rig make_with_views(const char *settings, sslcv_backbone *const *backbones, int64_t num_backbones)
{
    sslcv_method_options o;
    rig r;

    r.context = make_f32_context();
    r.dataset = make_dataset(r.context, 3, 1);
    r.trainer = NULL;
    OK(sslcv_method_options_init(&o, sizeof o));
    o.dataset = r.dataset;
    o.augmenter = several_views(r.context);
    o.settings = settings;
    o.seed = 21;
    o.backbones = backbones;
    o.num_backbones = num_backbones;
    OK(sslcv_method_create(r.context, "cmc", &o, &r.trainer));
    sslcv_augmenter_destroy(o.augmenter);
    return r;
}

/* Four views: 3 pairs with the first, 6 in all, a Z for each of their two directions. Of two views core is full. */
START_TEST(test_more_views)
{
    static const char *const four = "batch=8 width=0.0625 prefetch=0 epochs=2 negatives=12 first_view=0 loss=nce";
    double z[12], losses[2];
    char settings[256];
    int i, t;
    rig r;

    for (i = 0; i < 2; i++) {
        const int64_t terms = i ? 12 : 6;

        snprintf(settings, sizeof settings, "%s pairs=%s", four, i ? "full" : "core");
        r = make_with_views(settings, NULL, 0);
        step(&r);
        ck_assert(has(&r, "backbone 0: 3 channels") && has(&r, "backbone 1: 1 channels"));
        ck_assert(has(&r, "backbone 2: 2 channels") && has(&r, "backbone 3: 3 channels"));
        read_z(&r, terms, z);
        for (t = 0; t < terms; t++) ck_assert(z[t] > 0.0);
        free_recipe(&r);
    }
    for (i = 0; i < 2; i++) {
        snprintf(settings, sizeof settings, "%s pairs=%s", small_cmc, i ? "full" : "core");
        r = make_recipe("cmc", NULL, settings);
        for (t = 0; t < 2; t++) losses[i] = step(&r);
        free_recipe(&r);
    }
    ck_assert(losses[0] == losses[1]);
}
END_TEST

/* The host's networks in their order, of different kinds, for the first views. */
START_TEST(test_given_backbones)
{
    static const int64_t channels[2] = {1, 2};
    static const double widths[2] = {0.0625, 0.125};
    sslcv_context *context = make_f32_context();
    sslcv_dataset *dataset = make_dataset(context, 3, 1);
    sslcv_backbone *backbones[2], *got;
    sslcv_backbone_options net;
    sslcv_method_options o;
    sslcv_trainer *trainer = NULL;
    int64_t i;

    for (i = 0; i < 2; i++) {
        OK(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
        net.stem = SSLCV_STEM_CIFAR;
        net.channels = channels[i];
        net.width = widths[i];
        OK(sslcv_backbone_create(context, &net, &backbones[i]));
    }
    OK(sslcv_method_options_init(&o, sizeof o));
    o.dataset = dataset;
    o.backbones = backbones;
    o.num_backbones = 2;
    o.settings = "batch=8 size=16 prefetch=0 epochs=1 negatives=12";
    OK(sslcv_method_create(context, "cmc", &o, &trainer));
    for (i = 0; i < 2; i++) {
        OK(sslcv_trainer_get_backbone(trainer, i, 0, &got));
        ck_assert(got == backbones[i]);
        sslcv_backbone_destroy(got);
    }
    OK(sslcv_trainer_run(trainer, 0));
    sslcv_trainer_destroy(trainer);
    trainer = NULL;
    o.settings = "batch=8 size=16 width=1";
    FAILS(sslcv_method_create(context, "cmc", &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT,
          "cmc.width is set, but the backbones are given");
    o.settings = "batch=8 size=16";
    o.num_backbones = 1;
    FAILS(sslcv_method_create(context, "cmc", &o, &trainer), SSLCV_ERR_LIMIT, "must have 2 .. 8");
    o.num_backbones = 9;
    FAILS(sslcv_method_create(context, "cmc", &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT, "num_backbones is 9");
    o.num_backbones = 2;
    got = backbones[1];
    backbones[1] = NULL;
    FAILS(sslcv_method_create(context, "cmc", &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT, "NULL");
    backbones[1] = got;
    ck_assert(trainer == NULL);
    for (i = 0; i < 2; i++) sslcv_backbone_destroy(backbones[i]);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- features ---- */

/* Those of both networks side by side. */
START_TEST(test_features)
{
    static const int64_t views[2] = {1, 2};
    rig r = make_recipe("cmc", NULL, small_cmc);
    sslcv_branch branches[2];
    const sslcv_branch *both[2] = {&branches[0], &branches[1]};
    sslcv_embed_options o;
    sslcv_tensor features = {0};
    float values[SAMPLES * 64];
    int64_t labels[SAMPLES], i;

    OK(sslcv_embed_options_init(&o, sizeof o));
    OK(sslcv_augmenter_create(r.context, &o.augmenter));
    OK(sslcv_augmenter_add_preset(o.augmenter, "cmc-eval-cifar", SIDE, NULL, NULL));
    for (i = 0; i < 2; i++) {
        OK(sslcv_branch_init(&branches[i], sizeof branches[i]));
        OK(sslcv_trainer_get_backbone(r.trainer, i, 0, &branches[i].backbone));
        branches[i].views = &views[i];
        branches[i].num_views = 1;
        branches[i].flags = 0;
    }
    o.dataset = r.dataset;
    o.branches = both;
    o.num_branches = 2;
    OK(sslcv_embed(&o, &features, NULL));
    ck_assert(features.shape[0] == SAMPLES && features.shape[1] == 64);
    features.data = values;
    OK(sslcv_embed(&o, &features, labels));
    for (i = 0; i < SAMPLES * 64; i++) ck_assert(isfinite(values[i]));
    for (i = 0; i < 2; i++) sslcv_backbone_destroy(branches[i].backbone);
    sslcv_augmenter_destroy(o.augmenter);
    free_recipe(&r);
}
END_TEST

/* ---- what contradicts ---- */

START_TEST(test_refused)
{
    static const struct {
        const char *settings;
        sslcv_status status;
        const char *text;
    } cases[] = {
        {"bank_size=23", SSLCV_ERR_LIMIT, "cmc.bank_size is 23; must be at least 24, the samples of the data set"},
        {"exclude_self=yes negatives=24", SSLCV_ERR_LIMIT, "num_negatives"},
        {"first_view=2", SSLCV_ERR_LIMIT, "\"cmc\" has 1 views from cmc.first_view, 2, on; must have 2 .. 8"},
        {"color_space=rgb", SSLCV_ERR_INVALID_ARGUMENT, "cmc.color_space is \"rgb\"; must be one of lab, ydbdr, ycbcr"},
        {"loss=mse", SSLCV_ERR_INVALID_ARGUMENT, "cmc.loss is \"mse\"; must be one of nce, softmax"},
    };
    char settings[256];
    sslcv_context *context = make_f32_context();
    sslcv_dataset *gray = make_dataset(context, 1, 1), *dataset = make_dataset(context, 3, 1);
    sslcv_trainer *trainer = NULL;
    sslcv_method_options o;
    int i;

    for (i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        snprintf(settings, sizeof settings, TINY " %s", cases[i].settings);
        refuse("cmc", NULL, settings, cases[i].status, cases[i].text);
    }
    FAILS(make_method(context, "cmc", gray, NULL, TINY, 1, &trainer), SSLCV_ERR_LIMIT, "images have 1 channels");
    FAILS(make_method(context, "cmc", NULL, NULL, TINY " steps_per_epoch=2", 1, &trainer), SSLCV_ERR_LIMIT,
          "cmc.bank_size is 0, and there is no data set to tell");
    OK(sslcv_method_options_init(&o, sizeof o));
    o.dataset = dataset;
    o.augmenter = several_views(context);
    o.settings = "batch=8 jitter=yes";
    FAILS(sslcv_method_create(context, "cmc", &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT,
          "cmc.jitter is set, but the augmenter is given");
    ck_assert(trainer == NULL);
    sslcv_augmenter_destroy(o.augmenter);
    sslcv_dataset_destroy(gray);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_cmc");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, test_composition, 0, 2);
    tcase_add_test(all, test_rate_steps);
    tcase_add_test(all, test_alexnet);
    tcase_add_loop_test(all, test_views_share_the_crop, 0, 4);
    tcase_add_loop_test(all, test_color_spaces, 0, 3);
    tcase_add_test(all, test_banks);
    tcase_add_test(all, test_more_views);
    tcase_add_test(all, test_given_backbones);
    tcase_add_test(all, test_features);
    tcase_add_test(all, test_refused);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
