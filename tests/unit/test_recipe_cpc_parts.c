/* CPC and CPC-v2: features, views and networks of the host, bad settings, memory that runs out. */
#include "recipe_cpc_support.h"

#include "memory_support.h"

/* ---- features: the mean of a patch's encodings ---- */

static void embed(rig *r, const sslcv_branch *branch, sslcv_augmenter *augmenter, int32_t mean, int64_t width,
                  float *features)
{
    const sslcv_branch *branches[1] = {branch};
    sslcv_embed_options o;
    sslcv_tensor t = {0};

    OK(sslcv_embed_options_init(&o, sizeof o));
    o.dataset = r->dataset;
    o.augmenter = augmenter;
    o.branches = branches;
    o.num_branches = 1;
    o.batch_size = 7;
    o.mean_positions = mean;
    OK(sslcv_embed(&o, &t, NULL));
    ck_assert(t.shape[0] == SAMPLES && t.shape[1] == width);
    t.data = features;
    OK(sslcv_embed(&o, &t, NULL));
}

/* Encodings of the patches of one sample, cut and run by hand. */
static void encode(rig *r, sslcv_backbone *backbone, sslcv_augmenter *augmenter, int64_t sample, float *encodings)
{
    static float pixels[3 * SIDE * SIDE], patches[PLACES * 3 * PATCH * PATCH];
    const int64_t shape[3] = {3, SIDE, SIDE};
    sslcv_tensor image, views = {0}, z;
    sslcv_pass pass;
    sslcv_tape *tape;

    OK(sslcv_tensor_init(&image, SSLCV_F32, pixels, 3, shape));
    OK(sslcv_dataset_read(r->dataset, sample, &image));
    OK(sslcv_augmenter_apply(augmenter, &image, 1, 0, sample, 0, &views));
    views.data = patches;
    OK(sslcv_augmenter_apply(augmenter, &image, 1, 0, sample, 0, &views));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = 0;
    OK(sslcv_tape_create(r->context, &tape));
    OK(sslcv_backbone_forward(backbone, &views, &pass, tape));
    OK(sslcv_tape_output(tape, &z));
    ck_assert(z.shape[0] == PLACES && z.shape[1] == 16);
    memcpy(encodings, z.data, PLACES * 16 * sizeof *encodings);
    sslcv_tape_destroy(tape);
}

START_TEST(test_features)
{
    static float by_hand[PLACES * 16];
    static float each[SAMPLES * PLACES * 16], means[SAMPLES * 16];
    const int64_t view = 0;
    rig r = make_row(CIFAR, "");
    sslcv_augmenter *augmenter;
    sslcv_branch branch;
    sslcv_embed_options o;
    sslcv_tensor t = {0};
    const sslcv_branch *branches[1] = {&branch};
    int64_t n, p, d;

    OK(sslcv_augmenter_create(r.context, &augmenter));
    OK(sslcv_augmenter_add_preset(augmenter, "cpc-eval-cifar", 16, NULL, NULL));
    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.flags = 0;
    OK(sslcv_trainer_get_backbone(r.trainer, 0, 0, &branch.backbone));
    embed(&r, &branch, augmenter, 0, PLACES * 16, each);
    embed(&r, &branch, augmenter, 1, 16, means);
    for (n = 0; n < SAMPLES; n++) {
        encode(&r, branch.backbone, augmenter, n, by_hand);
        for (p = 0; p < PLACES * 16; p++) CLOSE(each[n * PLACES * 16 + p], by_hand[p], 1e-5);
        for (d = 0; d < 16; d++) {
            double sum = 0.0;

            for (p = 0; p < PLACES; p++) sum += (double)each[(n * PLACES + p) * 16 + d];
            CLOSE(means[n * 16 + d], sum / PLACES, 1e-6);
        }
    }
    ck_assert_mem_ne(means, means + 16, 16 * sizeof *means);
    OK(sslcv_embed_options_init(&o, sizeof o));
    o.dataset = r.dataset;
    o.augmenter = augmenter;
    o.branches = branches;
    o.num_branches = 1;
    branch.flags = SSLCV_PASS_MAP;
    FAILS(sslcv_embed(&o, &t, NULL), SSLCV_ERR_UNSUPPORTED, "maps of patches cannot be embedded");
    o.mean_positions = 2;
    FAILS(sslcv_embed(&o, &t, NULL), SSLCV_ERR_INVALID_ARGUMENT, "embed.mean_positions is 2; must be 0 or 1");
    sslcv_backbone_destroy(branch.backbone);
    sslcv_augmenter_destroy(augmenter);
    free_recipe(&r);
}
END_TEST

/* ---- the host's parts ---- */

static sslcv_status with_augmenter(rig *r, int64_t size, int64_t cells, int64_t side, const char *settings,
                                   sslcv_trainer **trainer)
{
    sslcv_method_options o;
    sslcv_transform t;
    sslcv_status status;

    OK(sslcv_method_options_init(&o, sizeof o));
    OK(sslcv_augmenter_create(r->context, &o.augmenter));
    OK(sslcv_augmenter_add_view(o.augmenter, SSLCV_SOURCE_IMAGE, NULL));
    OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RANDOM_CROP));
    t.height = t.width = size;
    OK(sslcv_augmenter_add_transform(o.augmenter, 0, &t));
    if (cells > 1) {
        OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_PATCHES));
        t.rows = t.columns = cells;
        t.height = t.width = side;
        OK(sslcv_augmenter_add_transform(o.augmenter, 0, &t));
    }
    o.dataset = r->dataset;
    o.settings = settings;
    o.seed = 5;
    *trainer = NULL;
    status = sslcv_method_create(r->context, "cpc", &o, trainer);
    sslcv_augmenter_destroy(o.augmenter);
    return status;
}

START_TEST(test_views_of_the_host)
{
    rig r = make_row(CIFAR, "");
    sslcv_progress progress = {.struct_size = sizeof progress};
    sslcv_trainer *trainer;

    OK(with_augmenter(&r, 16, 3, 8, NARROW " last_offset=2", &trainer));
    OK(sslcv_trainer_step(trainer, &progress));
    CLOSE(progress.loss, log(17.0), 0.03);
    sslcv_trainer_destroy(trainer);
    FAILS(with_augmenter(&r, 16, 3, 8, NARROW, &trainer), SSLCV_ERR_LIMIT,
          "cpc.last_offset is 6; must be below 3, as there are 3 x 3 patches");
    FAILS(with_augmenter(&r, 16, 3, 8, NARROW " grid=7", &trainer), SSLCV_ERR_LIMIT,
          "cpc.grid is 7; view 0 has 3 x 3 patches");
    FAILS(with_augmenter(&r, 16, 1, 0, NARROW, &trainer), SSLCV_ERR_LIMIT, "as there are 1 x 1 patches");
    FAILS(with_augmenter(&r, 16, 3, 8, NARROW " size=16", &trainer), SSLCV_ERR_INVALID_ARGUMENT,
          "cpc.size is set, but the augmenter is given");
    OK(with_augmenter(&r, 24, 3, 12, NARROW " last_offset=2", &trainer)); /* images are smaller: seen when they come */
    FAILS(sslcv_trainer_step(trainer, &progress), SSLCV_ERR_INVALID_ARGUMENT, "random_crop");
    sslcv_trainer_destroy(trainer);
    free_recipe(&r);
}
END_TEST

/* Without a data set the grid is the preset's, or as set. */
START_TEST(test_patches_of_the_host)
{
    static float patches[9 * 2 * 3 * 8 * 8];
    const int64_t shape[4] = {18, 3, 8, 8}, count = 9;
    sslcv_context *context = make_f32_context();
    sslcv_trainer *trainer;
    sslcv_tensor view;

    golden_input(2, 9 * 2 * 3 * 8 * 8, patches);
    OK(sslcv_tensor_init(&view, SSLCV_F32, patches, 4, shape));
    OK(make_method(context, "cpc-v2", NULL, NULL, NARROW " steps_per_epoch=2 grid=3 last_offset=2", 1, &trainer));
    OK(step_views_with(trainer, &view, 1, &count, NULL, NULL, NULL));
    sslcv_trainer_destroy(trainer);
    OK(make_method(context, "cpc-v2", NULL, NULL, NARROW " steps_per_epoch=2", 1, &trainer)); /* 5 x 5 */
    ck_assert_int_ne(step_views_with(trainer, &view, 1, &count, NULL, NULL, NULL), SSLCV_OK);
    ck_assert_msg(strstr(sslcv_last_error(), "25") != NULL, "%s", sslcv_last_error());
    sslcv_trainer_destroy(trainer);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(test_backbone_of_the_host)
{
    rig r = make_row(CIFAR, "");
    sslcv_backbone_options b;
    sslcv_backbone *backbone;
    sslcv_method_options o;
    sslcv_trainer *trainer = NULL;

    OK(sslcv_backbone_options_init(&b, sizeof b, SSLCV_BACKBONE_RESNET18));
    b.width = 0.0625;
    b.stem = SSLCV_STEM_CIFAR;
    b.norm = SSLCV_NORM_LAYER;
    OK(sslcv_backbone_create(r.context, &b, &backbone));
    OK(sslcv_method_options_init(&o, sizeof o));
    o.dataset = r.dataset;
    o.backbones = &backbone;
    o.num_backbones = 1;
    o.settings = "batch=8 size=16 prefetch=0";
    OK(sslcv_method_create(r.context, "cpc", &o, &trainer));
    OK(sslcv_trainer_step(trainer, NULL));
    sslcv_trainer_destroy(trainer);
    trainer = NULL;
    o.settings = "batch=8 size=16 norm=none";
    FAILS(sslcv_method_create(r.context, "cpc", &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT,
          "cpc.norm is set, but the backbone is given");
    sslcv_backbone_destroy(backbone);
    free_recipe(&r);
}
END_TEST

/* ---- settings ---- */

START_TEST(test_settings)
{
    refuse("cpc", NULL, NARROW " size=30", SSLCV_ERR_INVALID_ARGUMENT,
           "patches: 7 rows of height 8 in an image of height 30 lie 22 / 6 pixels apart");
    refuse("cpc-v2", NULL, NARROW " size=32", SSLCV_ERR_INVALID_ARGUMENT, "patches: 5 rows of height 11");
    refuse("cpc", NULL, NARROW " size=16 last_offset=7", SSLCV_ERR_LIMIT,
           "cpc.last_offset is 7; must be below 7, as there are 7 x 7 patches");
    refuse("cpc-v2", NULL, NARROW " size=12 last_offset=5", SSLCV_ERR_LIMIT,
           "cpc-v2.last_offset is 5; must be below 5");
    refuse("cpc", NULL, NARROW " size=16 first_offset=4 last_offset=3", SSLCV_ERR_INVALID_ARGUMENT,
           "cpc.last_offset is \"3\"; must be a whole number, 4 .. 255");
    refuse("cpc", NULL, NARROW " size=16 first_offset=0", SSLCV_ERR_INVALID_ARGUMENT, "cpc.first_offset is \"0\"");
    refuse("cpc", NULL, NARROW " size=16 grid=5", SSLCV_ERR_LIMIT, "cpc.grid is 5; view 0 has 7 x 7 patches");
    refuse("cpc", NULL, NARROW " size=16 directions=2", SSLCV_ERR_INVALID_ARGUMENT, "must be one of 1, 4");
    refuse("cpc", NULL, NARROW " size=16 norm=group", SSLCV_ERR_INVALID_ARGUMENT, "backbone.norm is GROUP");
    refuse("cpc", NULL, "batch=25 width=0.0625 size=16", SSLCV_ERR_LIMIT, "25");
}
END_TEST

/* Every setting of the table is read: nonsense in any of them is refused. */
START_TEST(test_every_setting_is_read)
{
    static char help[8192];
    char settings[128], text[128];
    const char *line;

    OK(sslcv_method_settings(rows[_i].method, rows[_i].preset, help, sizeof help, NULL));
    for (line = help; *line; line = strchr(line, '\n') + 1) {
        const int length = (int)strcspn(line, "=");

        snprintf(settings, sizeof settings, "%s%s%s%.*s=nonsense", strncmp(line, "batch=", 6) ? "batch=8 " : "",
                 strncmp(line, "width=", 6) ? "width=0.0625 " : "",
                 strncmp(line, "architecture=", 13) ? "architecture=resnet18 " : "", length, line);
        snprintf(text, sizeof text, "%s.%.*s is \"nonsense\"", rows[_i].method, length, line);
        refuse(rows[_i].method, rows[_i].preset, settings, SSLCV_ERR_INVALID_ARGUMENT, text);
    }
    refuse(rows[_i].method, rows[_i].preset, "temprature=0.2", SSLCV_ERR_NOT_FOUND, "has no setting \"temprature\"");
}
END_TEST

START_TEST(test_out_of_memory)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    sslcv_dataset *dataset = make_dataset(context, 3, 1);
    const struct row *row = &rows[_i];
    sslcv_trainer *trainer = NULL;
    sslcv_status status;
    int64_t n, held;

    OK(make_method(context, row->method, dataset, row->preset, row->settings, 1, &trainer)); /* what stays is made */
    sslcv_trainer_destroy(trainer);
    held = h.out;
    for (n = 0;; n += 1 + n / 8) {
        trainer = NULL;
        h.calls = 0;
        h.fail_at = n;
        status = make_method(context, row->method, dataset, row->preset, row->settings, 1, &trainer);
        h.fail_at = -1;
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        ck_assert(trainer == NULL);
        ck_assert_int_eq(h.out, held);
    }
    ck_assert(n > 100);
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_cpc_parts");
    TCase *cpc = tcase_create("cpc");

    tcase_set_timeout(cpc, 180);
    tcase_add_test(cpc, test_features);
    tcase_add_test(cpc, test_views_of_the_host);
    tcase_add_test(cpc, test_patches_of_the_host);
    tcase_add_test(cpc, test_backbone_of_the_host);
    tcase_add_test(cpc, test_settings);
    tcase_add_loop_test(cpc, test_every_setting_is_read, 0, NUM_ROWS);
    tcase_add_loop_test(cpc, test_out_of_memory, 0, NUM_ROWS);
    suite_add_tcase(suite, cpc);
    return run_suite(suite);
}
