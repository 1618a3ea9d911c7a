/* What holds for all recipes: they learn, they resume bit for bit, they can be refused and run out of memory. */
#include "memory_support.h"
#include "recipe_support.h"

#include <unistd.h>

/* Small settings of each recipe, and what 20 steps on all 24 images bring with them. */
static const struct row {
    const char *method, *settings;
    int from;                   /* step that the last one is compared with; MoCo: the queue holds keys by then */
    double learning_rate, drop; /* of the loss, at least: half of what was measured */
} rows[] = {
    {"simclr", "out_dim=32", 0, 0.3, 0.6},
    {"moco-v1", "out_dim=32 queue_size=48 bn_splits=2", 2, 0.3, 0.25},
    {"moco-v2", "out_dim=32 queue_size=48 bn_splits=2", 2, 0.3, 0.18},
    {"byol", "hidden_dim=64 out_dim=32", 0, 0.1, 0.3},
    {"simsiam", "hidden_dim=64 out_dim=64 predictor_dim=16", 0, 0.3, 0.35},
    {"swav", "prototypes=16 queue_size=24 queue_start_epoch=1 freeze_epochs=1", 0, 0.1, 0.8},
    {"barlow-twins", "hidden_dim=64 out_dim=32", 0, 0.3, 13.0},
    {"vicreg", "hidden_dim=64 out_dim=32 warmup_epochs=1", 0, 0.3, 5.0},
    {"dino", "hidden_dim=64 out_dim=32 prototypes=32", 0, 1.0, 1.0},
    {"cmc", "out_dim=32 negatives=16", 0, 0.03, 2.5},
    {"pirl", "pretext=rotation out_dim=32 negatives=16", 0, 0.1, 0.9},
    {"deepcluster", "clusters=6 hidden_dim=16", 0, 0.3, -0.2}, /* log K at first steps, and here all are */
    {"deepcluster-v2", "hidden_dim=64 out_dim=32 prototypes=6 warmup_epochs=0", 0, 0.3, 0.4},
    {"supervised", "", 0, 0.3, 0.5},
    {"finetune", "steps=0", 0, 0.3, 0.5},
};

enum { NUM_RECIPES = sizeof rows / sizeof rows[0], LEARN_STEPS = 20 };

static int is(const struct row *row, const char *method)
{
    return strcmp(row->method, method) == 0;
}

/* What a method must be told about views of the host's. */
static const char *host_settings(const struct row *row, int has_data)
{
    if (is(row, "supervised") || is(row, "finetune")) return has_data ? "" : " classes=4";
    if (is(row, "cmc")) return has_data ? " first_view=0" : " first_view=0 bank_size=8";
    return is(row, "pirl") && !has_data ? " bank_size=8" : "";
}

static rig make_row(const struct row *row)
{
    char settings[256];

    snprintf(settings, sizeof settings, TINY " epochs=4 %s", row->settings);
    return make_recipe(row->method, NULL, settings);
}

START_TEST(test_all_are_here)
{
    const char *name;
    int64_t i, at = 0;

    for (i = 0; (name = sslcv_method_name(i)) != NULL; i++) {
        if (strncmp(name, "cpc", 3) == 0) continue; /* views of patches: test_recipe_cpc.c */
        ck_assert(at < NUM_RECIPES);
        ck_assert_str_eq(name, rows[at++].method);
    }
    ck_assert_int_eq(at, NUM_RECIPES);
}
END_TEST

/* Two views that differ little, so that few steps show something. */
static sslcv_augmenter *gentle_views(sslcv_context *context)
{
    sslcv_augmenter *augmenter;
    sslcv_transform t;
    int64_t view, i;

    OK(sslcv_augmenter_create(context, &augmenter));
    for (i = 0; i < 2; i++) {
        OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
        OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_RANDOM_RESIZED_CROP));
        t.height = t.width = SIDE;
        t.min = 0.6;
        OK(sslcv_augmenter_add_transform(augmenter, view, &t));
        OK(sslcv_transform_init(&t, sizeof t, SSLCV_TRANSFORM_HORIZONTAL_FLIP));
        OK(sslcv_augmenter_add_transform(augmenter, view, &t));
    }
    return augmenter;
}

START_TEST(test_learns)
{
    const struct row *row = &rows[_i];
    char settings[256];
    double losses[LEARN_STEPS];
    sslcv_method_options o;
    rig r;
    int i;

    r.context = make_f32_context();
    r.dataset = make_dataset(r.context, 3, 1);
    snprintf(settings, sizeof settings, "batch=%d epochs=%d width=0.0625 prefetch=0 learning_rate=%g %s%s", SAMPLES,
             LEARN_STEPS, row->learning_rate, row->settings, host_settings(row, 1));
    OK(sslcv_method_options_init(&o, sizeof o));
    o.dataset = r.dataset;
    o.augmenter = gentle_views(r.context);
    o.settings = settings;
    o.seed = 21;
    OK(sslcv_method_create(r.context, row->method, &o, &r.trainer));
    for (i = 0; i < LEARN_STEPS; i++) losses[i] = step(&r);
    ck_assert_msg(losses[LEARN_STEPS - 1] < losses[row->from] - row->drop, "%s: from %g to %g", row->method,
                  losses[row->from], losses[LEARN_STEPS - 1]);
    ck_assert_msg(metric(&r, "embedding_std") > 0.2, "%s: spread %g", row->method, metric(&r, "embedding_std"));
    sslcv_augmenter_destroy(o.augmenter);
    free_recipe(&r);
}
END_TEST

/* The other preset, as far as its networks fit a test. */
START_TEST(test_imagenet_runs)
{
    char settings[256];
    sslcv_progress progress = {.struct_size = sizeof progress};
    rig r;
    int i;

    snprintf(settings, sizeof settings, "batch=8 size=32 width=0.0625 architecture=resnet18 epochs=4 %s",
             rows[_i].settings);
    r = make_recipe(rows[_i].method, "imagenet", settings);
    for (i = 0; i < 3; i++) OK(sslcv_trainer_step(r.trainer, &progress));
    ck_assert(isfinite(progress.loss) && progress.learning_rate > 0.0);
    free_recipe(&r);
}
END_TEST

/* Stopped within an epoch, taken up by new objects. */
START_TEST(test_resumes)
{
    char path[] = "/tmp/sslcv_recipe_XXXXXX";
    const int file = mkstemp(path);
    double losses[4];
    weights last;
    sslcv_state *state;
    rig r = make_row(&rows[_i]), s = make_row(&rows[_i]);
    int i;

    ck_assert_int_ge(file, 0);
    close(file);
    for (i = 0; i < 5; i++) step(&r);
    OK(sslcv_trainer_get_state(r.trainer, &state));
    OK(sslcv_state_save(state, path, NULL));
    sslcv_state_destroy(state);
    for (i = 0; i < 4; i++) losses[i] = step(&r);
    last = read_prefix(&r, "", SSLCV_ROLE_ALL);
    free_recipe(&r);

    OK(sslcv_trainer_get_state(s.trainer, &state));
    OK(sslcv_state_load(state, path, NULL, NULL));
    sslcv_state_destroy(state);
    for (i = 0; i < 4; i++) ck_assert_msg(step(&s) == losses[i], "%s: step %d differs", rows[_i].method, 5 + i);
    ck_assert_msg(equal(last, read_prefix(&s, "", SSLCV_ROLE_ALL)), "%s ends otherwise", rows[_i].method);
    free_recipe(&s);
    unlink(path);
}
END_TEST

START_TEST(test_unknown_setting)
{
    char text[128];

    snprintf(text, sizeof text, "\"%s\" has no setting \"temprature\"; it has epochs, batch, size, learning_rate",
             rows[_i].method);
    refuse(rows[_i].method, NULL, "temprature=0.2", SSLCV_ERR_NOT_FOUND, text);
}
END_TEST

/* Every setting of the table is read, in both presets: nonsense in any of them is refused. */
START_TEST(test_every_setting_is_read)
{
    static const char *const presets[] = {"cifar", "imagenet"}, *const adam[] = {"swav", "dino"};
    static char help[8192];
    char settings[128], text[128];
    const char *line;
    int p;

    for (p = 0; p < 2; p++) {
        OK(sslcv_method_settings(rows[_i].method, presets[p], help, sizeof help, NULL));
        for (line = help; *line; line = strchr(line, '\n') + 1) {
            const int length = (int)strcspn(line, "=");

            if (strcmp(rows[_i].method, adam[p]) == 0 && strncmp(line, "momentum=", 9) == 0) continue;
            snprintf(settings, sizeof settings, "%s%s%s%.*s=nonsense", strncmp(line, "batch=", 6) ? "batch=8 " : "",
                     strncmp(line, "width=", 6) ? "width=0.0625 " : "",
                     strncmp(line, "architecture=", 13) ? "architecture=resnet18 " : "", length, line);
            snprintf(text, sizeof text, "%s.%.*s is \"nonsense\"", rows[_i].method, length, line);
            refuse(rows[_i].method, presets[p], settings, SSLCV_ERR_INVALID_ARGUMENT, text);
        }
    }
}
END_TEST

/* The host's views without a data set; its augmenter with too few. Those that cluster a data set: their own suites. */
START_TEST(test_views_of_the_host)
{
    static float pixels[BATCH * 3 * SIDE * SIDE];
    int64_t labels[BATCH] = {0, 1, 2, 3, 0, 1, 2, 3}, ids[BATCH] = {0, 1, 2, 3, 4, 5, 6, 7};
    const struct row *row = &rows[_i];
    char settings[256];
    sslcv_context *context = make_f32_context();
    sslcv_dataset *dataset = make_dataset(context, 3, 1);
    sslcv_trainer *trainer = NULL;
    sslcv_method_options o;
    sslcv_tensor views[2];
    int i;

    if (strncmp(rows[_i].method, "deepcluster", strlen("deepcluster")) == 0) {
        sslcv_dataset_destroy(dataset);
        sslcv_context_destroy(context);
        return;
    }
    golden_input(1, BATCH * 3 * SIDE * SIDE, pixels);
    for (i = 0; i < 2; i++) {
        const int64_t shape[4] = {BATCH, is(row, "cmc") ? i + 1 : 3, SIDE, SIDE};

        OK(sslcv_tensor_init(&views[i], SSLCV_F32, pixels, 4, shape));
    }
    snprintf(settings, sizeof settings, TINY " epochs=1 steps_per_epoch=2 %s%s", row->settings, host_settings(row, 0));
    OK(make_method(context, row->method, NULL, NULL, settings, 1, &trainer));
    for (i = 0; i < 2; i++) OK(step_views_with(trainer, views, 2, NULL, ids, labels, NULL));
    sslcv_trainer_destroy(trainer);
    trainer = NULL;

    OK(sslcv_method_options_init(&o, sizeof o));
    OK(sslcv_augmenter_create(context, &o.augmenter));
    OK(sslcv_augmenter_add_preset(o.augmenter, "eval-cifar", SIDE, NULL, NULL));
    o.dataset = dataset;
    snprintf(settings, sizeof settings, "batch=8 width=0.0625 epochs=1 %s", row->settings);
    o.settings = settings;
    if (is(row, "supervised") || is(row, "finetune")) {
        OK(sslcv_method_create(context, row->method, &o, &trainer));
        sslcv_trainer_destroy(trainer);
    } else {
        ck_assert_int_ne(sslcv_method_create(context, row->method, &o, &trainer), SSLCV_OK);
        ck_assert_msg(strstr(sslcv_last_error(), "view") != NULL, "%s", sslcv_last_error());
        ck_assert(trainer == NULL);
    }
    sslcv_augmenter_destroy(o.augmenter);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(test_out_of_memory)
{
    host h = {.fail_at = -1};
    char settings[256];
    sslcv_context *context = new_context(&h, 1);
    sslcv_dataset *dataset = make_dataset(context, 3, 1);
    sslcv_trainer *trainer = NULL;
    sslcv_status status;
    int64_t n, held;

    snprintf(settings, sizeof settings, TINY " epochs=2 %s", rows[_i].settings);
    OK(make_method(context, rows[_i].method, dataset, NULL, settings, 1, &trainer)); /* what stays is made */
    sslcv_trainer_destroy(trainer);
    held = h.out;
    for (n = 0;; n += 1 + n / 8) {
        trainer = NULL;
        h.calls = 0;
        h.fail_at = n;
        status = make_method(context, rows[_i].method, dataset, NULL, settings, 1, &trainer);
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
    Suite *suite = suite_create("recipe");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, test_all_are_here);
    tcase_add_loop_test(all, test_learns, 0, NUM_RECIPES);
    tcase_add_loop_test(all, test_imagenet_runs, 0, NUM_RECIPES);
    tcase_add_loop_test(all, test_resumes, 0, NUM_RECIPES);
    tcase_add_loop_test(all, test_unknown_setting, 0, NUM_RECIPES);
    tcase_add_loop_test(all, test_every_setting_is_read, 0, NUM_RECIPES);
    tcase_add_loop_test(all, test_views_of_the_host, 0, NUM_RECIPES);
    tcase_add_loop_test(all, test_out_of_memory, 0, NUM_RECIPES);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
