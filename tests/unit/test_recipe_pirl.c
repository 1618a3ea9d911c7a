/* PIRL: jigsaw and rotation, what decays, which term reaches which head, the bank, what is refused. */
#include "recipe_support.h"

static const char small_pirl[] = TINY " epochs=4 out_dim=16 negatives=12";

static int has(rig *r, const char *wanted)
{
    static char text[8192];

    OK(sslcv_trainer_describe(r->trainer, text, sizeof text, NULL));
    return strstr(text, wanted) != NULL;
}

/* ---- composition ---- */

START_TEST(test_composition)
{
    static const treatment weights_only[] = {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 23}, /* 20 + f + g's two */
                                             {SSLCV_ROLE_NORM, 0, 0, 1.0, 0, 0, 40},
                                             {SSLCV_ROLE_BIAS, 0, 0, 1.0, 0, 0, 3},
                                             {0}};
    static const char *const texts[] = {"backbone 0: 3 channels -> 32, 44292 parameters\n"
                                        "head 0: mlp 32 -> 128, 4224 parameters\n"
                                        "head 1: patch_mlp 32 -> 128, 151808 parameters\n" /* 4224 + 1152 x 128 + 128 */
                                        "learning rate: cosine from 0.0009375 to 0, by epoch\n"
                                        "run: 200 epochs of 3 steps of 8 images\n",
                                        "backbone 0: 3 channels -> 32, 44772 parameters\n"
                                        "head 0: mlp 32 -> 128, 4224 parameters\n"
                                        "head 1: patch_mlp 32 -> 128, 151808 parameters\n"
                                        "learning rate: cosine from 0.0009375 to 9375e-10, by epoch\n"
                                        "run: 800 epochs of 3 steps of 8 images\n"};
    char text[2048];
    rig r = make_recipe("pirl", _i ? "imagenet" : "cifar", TINY);

    snprintf(text, sizeof text, "%s%s",
             "branch 0: view 0 -> backbone 0 (joined) -> head 0 (mlp 32-128, joined)\n"
             "branch 1: view 1 -> backbone 0 (joined) -> head 1 (patch_mlp 32-128, joined)\n"
             "loss 0: 1 * nce_bank(branch 0, branch 1)\n",
             texts[_i]);
    check_composition(&r, text);
    check_groups(&r, weights_only);
    ck_assert(r.trainer->options.optimizer->options.weight_decay == (_i ? 1e-4 : 5e-4));
    ck_assert(loss_number(&r, "temperature") == (_i ? 0.07 : 0.1));
    ck_assert(loss_number(&r, "balance") == 0.5 && loss_number(&r, "bank_momentum") == 0.5);
    ck_assert(loss_number(&r, "epsilon") == 1.0 / 8388608.0);
    free_recipe(&r);
}
END_TEST

START_TEST(test_all_decays)
{
    static const treatment all[] = {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 23},
                                    {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 40},
                                    {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 0, 3},
                                    {0}};
    rig r = make_recipe("pirl", NULL, TINY " decay=all");

    check_groups(&r, all);
    free_recipe(&r);
}
END_TEST

/* Rotation, heads of two layers, views with blur, in both presets. */
START_TEST(test_variants)
{
    static const struct {
        const char *settings, *g;
    } cases[] = {
        {"pretext=rotation", "head 1: mlp 32 -> 16, 528 parameters"},
        {"pretext=rotation blur=yes head_layers=2", "head 1: mlp 32 -> 16, 1584 parameters"}, /* 528 + 32 x 32 + 32 */
        {"loss=nce exclude_self=yes", "head 1: patch_mlp 32 -> 16, 2848 parameters"}, /* 528 + 9 x 16 x 16 + 16 */
        {"head_layers=2", "head 1: patch_mlp 32 -> 16, 3904 parameters"},
        {"head_layers=2 hidden_dim=24 blur=yes loss=softmax temperature=0.1",
         "head 1: patch_mlp 32 -> 16, 3512 parameters"}, /* 792 + 400 + 2320 */
    };
    char settings[256];
    int p;

    for (p = 0; p < 2; p++) {
        rig r;

        snprintf(settings, sizeof settings, "%s %s", small_pirl, cases[_i].settings);
        r = make_recipe("pirl", p ? "imagenet" : "cifar", settings);
        ck_assert(isfinite(step(&r)) && isfinite(step(&r)));
        ck_assert_msg(has(&r, cases[_i].g), "not %s", cases[_i].g);
        free_recipe(&r);
    }
}
END_TEST

/* The recipe's views are those of a preset. */
START_TEST(test_views)
{
    static const struct {
        const char *preset, *settings, *views;
    } cases[] = {
        {"cifar", "", "pirl-cifar"},
        {"imagenet", "", "pirl-jigsaw"},
        {"cifar", " pretext=rotation", "pirl-rotation-cifar"},
        {"imagenet", " pretext=rotation", "pirl-rotation"},
        {"cifar", " blur=yes", "pirl-jigsaw-blur"},
        {"imagenet", " blur=yes", "pirl-jigsaw-blur"},
        {"imagenet", " blur=yes pretext=rotation", "pirl-rotation-blur"},
    };
    enum { MOST = 9 * 3 * SIDE * SIDE };
    static const int64_t shape[3] = {3, SIDE, SIDE};
    static float pixels[3 * SIDE * SIDE], made[2][MOST];
    char settings[256];
    sslcv_augmenter *augmenters[2];
    sslcv_tensor image;
    rig r;
    int64_t view;
    int i;

    snprintf(settings, sizeof settings, "%s%s", small_pirl, cases[_i].settings);
    r = make_recipe("pirl", cases[_i].preset, settings);
    golden_input(3, 3 * SIDE * SIDE, pixels);
    for (i = 0; i < 3 * SIDE * SIDE; i++) pixels[i] += 0.5f;
    OK(sslcv_tensor_init(&image, SSLCV_F32, pixels, 3, shape));
    augmenters[0] = r.trainer->options.augmenter;
    OK(sslcv_augmenter_create(r.context, &augmenters[1]));
    OK(sslcv_augmenter_add_preset(augmenters[1], cases[_i].views, SIDE, NULL, NULL));
    for (view = 0; view < 2; view++) {
        memset(made, 0, sizeof made);
        for (i = 0; i < 2; i++) {
            sslcv_tensor out = {0};

            OK(sslcv_augmenter_apply(augmenters[i], &image, 7, 1, 5, view, &out));
            out.data = made[i];
            OK(sslcv_augmenter_apply(augmenters[i], &image, 7, 1, 5, view, &out));
        }
        ck_assert_mem_eq(made[0], made[1], sizeof made[0]);
    }
    sslcv_augmenter_destroy(augmenters[1]);
    free_recipe(&r);
}
END_TEST

/* ---- the loss ---- */

/* balance 0: only the image's term, g gets no gradient; 1: only the transform's, f gets none. */
START_TEST(test_balance)
{
    char settings[256];
    weights before[2];
    rig r;

    snprintf(settings, sizeof settings, "%s weight_decay=0 learning_rate=1 balance=%d", small_pirl, _i);
    r = make_recipe("pirl", NULL, settings);
    before[0] = read_prefix(&r, "head.0.", SSLCV_ROLE_ALL);
    before[1] = read_prefix(&r, "head.1.", SSLCV_ROLE_ALL);
    step(&r);
    ck_assert_int_eq(equal(before[0], read_prefix(&r, "head.0.", SSLCV_ROLE_ALL)), _i == 1);
    ck_assert_int_eq(equal(before[1], read_prefix(&r, "head.1.", SSLCV_ROLE_ALL)), _i == 0);
    free_recipe(&r);
}
END_TEST

/* Only the image writes the bank: with another g the rows after a step are the same bits. */
START_TEST(test_image_writes_the_bank)
{
    weights before, after;
    double length;
    rig r = make_recipe("pirl", NULL, small_pirl), other = make_recipe("pirl", NULL, small_pirl);
    int i, d, changed = 0;

    clear_tensor(&other, "head.1.join.weight");
    before = read_tensor(&r, "loss.0.bank.0");
    step(&r);
    step(&other);
    ck_assert(equal(read_tensor(&r, "loss.0.bank.0"), read_tensor(&other, "loss.0.bank.0")));
    after = read_tensor(&r, "loss.0.bank.0");
    ck_assert_int_eq(after.count, SAMPLES * 16);
    for (i = 0; i < SAMPLES; i++) {
        const float *row = after.values + i * 16;

        changed += memcmp(before.values + i * 16, row, 16 * sizeof(float)) != 0;
        for (length = 0.0, d = 0; d < 16; d++) length += (double)row[d] * (double)row[d];
        CLOSE(length, 1.0, 1e-5); /* from the beginning */
    }
    ck_assert_int_eq(changed, BATCH);
    free(before.values);
    free(after.values);
    free_recipe(&r);
    free_recipe(&other);
}
END_TEST

/* One Z for both terms, of the transform's first scores, and constant from then on. */
START_TEST(test_one_z)
{
    const int64_t one = 1;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    double z[2] = {0.0, 0.0};
    char settings[256];
    sslcv_state *state;
    sslcv_tensor tensor;
    int64_t index;
    rig r;
    int i;

    snprintf(settings, sizeof settings, "%s loss=nce", small_pirl);
    r = make_recipe("pirl", NULL, settings);
    OK(sslcv_trainer_get_state(r.trainer, &state));
    for (i = 0; i < 2; i++) {
        step(&r);
        OK(sslcv_state_find(state, "loss.0.z", &index));
        OK(sslcv_state_get_entry(state, index, &entry));
        ck_assert(entry.ndim == 1 && entry.shape[0] == 1);
        OK(sslcv_tensor_init(&tensor, SSLCV_F64, &z[i], 1, &one));
        OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor));
    }
    ck_assert(z[0] > 0.0 && z[0] == z[1]);
    sslcv_state_destroy(state);
    free_recipe(&r);
}
END_TEST

/* ---- views of the host ---- */

static sslcv_augmenter *grid_views(sslcv_context *context, int64_t grid)
{
    sslcv_augmenter *augmenter;
    sslcv_transform t;
    int64_t view, i;

    OK(sslcv_augmenter_create(context, &augmenter));
    for (i = 0; i < 2; i++) {
        OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
        OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RANDOM_RESIZED_CROP));
        t.height = t.width = SIDE;
        OK(sslcv_augmenter_add_transform(augmenter, view, &t));
        if (i == 0 || grid == 1) continue;
        OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_PATCHES));
        t.rows = t.columns = grid;
        t.height = t.width = SIDE / grid;
        t.placement = SSLCV_PLACEMENT_CELL;
        OK(sslcv_augmenter_add_transform(augmenter, view, &t));
    }
    return augmenter;
}

/* Grids of the host's, and none where there must be one. */
START_TEST(test_other_grids)
{
    static const struct {
        int64_t grid;
        const char *settings, *text; /* of the head, or why not */
        sslcv_status status;
    } cases[] = {
        {2, "", "patch_mlp 32 -> 16, 1568 parameters", SSLCV_OK},
        {1, "", "pirl.pretext is jigsaw; view 1 of the augmenter has 1 patch", SSLCV_ERR_LIMIT},
        {2, " pretext=rotation", "pirl.pretext is rotation; view 1 of the augmenter has 4 patches", SSLCV_ERR_LIMIT},
        {8, "", "patches of \"pirl\" are 2 x 2 pixels; must be at least 4 x 4", SSLCV_ERR_LIMIT},
    };
    char settings[256];
    sslcv_method_options o;
    rig r;

    r.context = make_f32_context();
    r.dataset = make_dataset(r.context, 3, 1);
    r.trainer = NULL;
    OK(sslcv_method_options_init(&o, sizeof o));
    snprintf(settings, sizeof settings, "batch=8 width=0.0625 prefetch=0 epochs=1 out_dim=16 negatives=12%s",
             cases[_i].settings);
    o.dataset = r.dataset;
    o.augmenter = grid_views(r.context, cases[_i].grid);
    o.settings = settings;
    if (cases[_i].status == SSLCV_OK) {
        OK(sslcv_method_create(r.context, "pirl", &o, &r.trainer));
        step(&r);
        ck_assert(has(&r, cases[_i].text));
    } else {
        FAILS(sslcv_method_create(r.context, "pirl", &o, &r.trainer), cases[_i].status, cases[_i].text);
        ck_assert(r.trainer == NULL);
    }
    sslcv_augmenter_destroy(o.augmenter);
    free_recipe(&r);
}
END_TEST

/* Without a data set: 9 patches an image, and ids of the images. */
START_TEST(test_jigsaw_of_the_host)
{
    static const int64_t patches[2] = {1, 9};
    static float pixels[BATCH * 9 * 3 * 8 * 8];
    const int64_t shapes[2][4] = {{BATCH, 3, 8, 8}, {BATCH * 9, 3, 8, 8}};
    int64_t ids[BATCH] = {3, 4, 5, 6, 7, 8, 9, 30};
    sslcv_context *context = make_f32_context();
    sslcv_trainer *trainer;
    sslcv_tensor views[2];
    int i;

    golden_input(1, BATCH * 9 * 3 * 8 * 8, pixels);
    for (i = 0; i < 2; i++) OK(sslcv_tensor_init(&views[i], SSLCV_F32, pixels, 4, shapes[i]));
    OK(make_method(context, "pirl", NULL, NULL,
                   "batch=8 width=0.0625 epochs=1 steps_per_epoch=2 negatives=12 bank_size=30", 1, &trainer));
    FAILS(step_views_with(trainer, views, 2, patches, NULL, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "ids");
    FAILS(step_views_with(trainer, views, 2, patches, ids, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "call.ids[7] is 30; must be below nce_bank.num_samples, 30");
    ids[7] = 29;
    OK(step_views_with(trainer, views, 2, patches, ids, NULL, NULL));
    sslcv_trainer_destroy(trainer);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(test_refused)
{
    static const struct {
        const char *settings;
        sslcv_status status;
        const char *text;
    } cases[] = {
        {"size=16 bank_size=23", SSLCV_ERR_LIMIT, "pirl.bank_size is 23; must be at least 24"},
        {"size=16 exclude_self=yes negatives=24", SSLCV_ERR_LIMIT, "num_negatives"},
        {"size=8", SSLCV_ERR_LIMIT, "patches of \"pirl\" are 3 x 3 pixels; must be at least 4 x 4"},
        {"size=16 pretext=puzzle", SSLCV_ERR_INVALID_ARGUMENT, "pirl.pretext is \"puzzle\"; must be one of jigsaw"},
        {"size=16 balance=1.5", SSLCV_ERR_INVALID_ARGUMENT, "pirl.balance is \"1.5\"; must be a number, 0 .. 1"},
    };
    char settings[256];
    sslcv_context *context = make_f32_context();
    sslcv_trainer *trainer = NULL;
    int i;

    for (i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        snprintf(settings, sizeof settings, "batch=8 width=0.0625 %s", cases[i].settings);
        refuse("pirl", NULL, settings, cases[i].status, cases[i].text);
    }
    FAILS(make_method(context, "pirl", NULL, NULL, TINY " steps_per_epoch=2", 1, &trainer), SSLCV_ERR_LIMIT,
          "pirl.bank_size is 0, and there is no data set to tell");
    ck_assert(trainer == NULL);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_pirl");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, test_composition, 0, 2);
    tcase_add_test(all, test_all_decays);
    tcase_add_loop_test(all, test_variants, 0, 5);
    tcase_add_loop_test(all, test_views, 0, 7);
    tcase_add_loop_test(all, test_balance, 0, 2);
    tcase_add_test(all, test_image_writes_the_bank);
    tcase_add_test(all, test_one_z);
    tcase_add_loop_test(all, test_other_grids, 0, 4);
    tcase_add_test(all, test_jigsaw_of_the_host);
    tcase_add_test(all, test_refused);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
