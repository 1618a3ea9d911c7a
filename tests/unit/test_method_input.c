/* Recipes on what a host may bring: one image, images that are all alike, images smaller than the crop, long queues. */
#include "recipe_support.h"

/* Small settings of each recipe; one that is not here gets only those that all have. Views of 16 pixels, if not set. */
static const char *const settings_of[][2] = {
    {"moco-v1", "out_dim=32 queue_size=48 bn_splits=1"},
    {"moco-v2", "out_dim=32 queue_size=48 bn_splits=1"},
    {"byol", "hidden_dim=64 out_dim=32"},
    {"simsiam", "hidden_dim=64 out_dim=64 predictor_dim=16"},
    {"swav", "out_dim=32 prototypes=16"},
    {"barlow-twins", "hidden_dim=64 out_dim=32"},
    {"vicreg", "hidden_dim=64 out_dim=32 warmup_epochs=0"},
    {"dino", "hidden_dim=64 out_dim=32 prototypes=32"},
    {"cpc-v2", "size=30"},
    {"deepcluster", "clusters=4"},
    {"finetune", "drop_last=1"},
    {"deepcluster-v2", "out_dim=32 prototypes=4"},
};

static const char *small_settings(const char *method)
{
    size_t i;

    for (i = 0; i < sizeof settings_of / sizeof settings_of[0]; i++) {
        if (strcmp(settings_of[i][0], method) == 0) return settings_of[i][1];
    }
    return "";
}

static int64_t count_methods(void)
{
    int64_t count = 0;

    while (sslcv_method_name(count)) count++;
    return count;
}

/* count images of one brightness, or of noise where that is negative. */
static sslcv_dataset *make_images(sslcv_context *context, int64_t count, int64_t height, int64_t width,
                                  float brightness)
{
    const int64_t shape[4] = {count, 3, height, width}, values = count * 3 * height * width;
    float *pixels = malloc((size_t)values * sizeof *pixels);
    int64_t *labels = malloc((size_t)count * sizeof *labels), i;
    sslcv_dataset_options o;
    sslcv_dataset *dataset;
    sslcv_tensor tensor;

    golden_input(7, values, pixels);
    for (i = 0; i < values; i++) pixels[i] = brightness < 0.0f ? pixels[i] + 0.5f : brightness;
    for (i = 0; i < count; i++) labels[i] = i % 2;
    OK(sslcv_dataset_options_init(&o, sizeof o, SSLCV_DATASET_LIST));
    o.num_classes = 2;
    OK(sslcv_dataset_create(context, &o, &dataset));
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, pixels, 4, shape));
    OK(sslcv_dataset_add_images(dataset, &tensor, labels, NULL));
    free(labels);
    free(pixels);
    return dataset;
}

static sslcv_status make_small(sslcv_context *context, int64_t index, sslcv_dataset *dataset, const char *common,
                               sslcv_trainer **trainer)
{
    const char *method = sslcv_method_name(index);
    char settings[256];

    snprintf(settings, sizeof settings, "epochs=3 width=0.0625 prefetch=0 %s %s %s",
             strstr(small_settings(method), "size=") == small_settings(method) ? "" : "size=16", common,
             small_settings(method));
    return make_method(context, method, dataset, NULL, settings, 21, trainer);
}

/* A loop goes over the largest number of recipes there may be; the rest of it is empty. */
enum { MOST_METHODS = 32 };

START_TEST(test_few_enough)
{
    ck_assert_int_le(count_methods(), MOST_METHODS);
}
END_TEST

START_TEST(test_unknown_method)
{
    sslcv_context *context = make_f32_context();
    sslcv_trainer *trainer = NULL;
    char name[64];
    int64_t i;

    FAILS(make_method(context, "SimCLR", NULL, NULL, NULL, 1, &trainer), SSLCV_ERR_NOT_FOUND,
          "there is no method \"SimCLR\"");
    for (i = 0; i < count_methods(); i++) {
        snprintf(name, sizeof name, "\"%s\"", sslcv_method_name(i));
        ck_assert_msg(strstr(sslcv_last_error(), name) != NULL, "%s is not in \"%s\"", name, sslcv_last_error());
    }
    ck_assert(trainer == NULL);
    sslcv_context_destroy(context);
}
END_TEST

/* Of batch norm, of the loss, or of clusters. */
static int says_why(const char *message)
{
    return strstr(message, "has no statistics") != NULL || strstr(message, "sample") != NULL ||
           strstr(message, "images") != NULL;
}

/* Refused where a batch is more. Where it is one image too, a step succeeds, or says what it lacks and changes nothing.
   SimCLR has no negatives then: the loss is 0. */
START_TEST(test_one_image)
{
    sslcv_progress progress = {.struct_size = sizeof progress};
    char message[512];
    sslcv_status status;
    weights before;
    rig r = {0};

    if (_i >= count_methods()) return;
    r.context = make_f32_context();
    r.dataset = make_images(r.context, 1, SIDE, SIDE, -1.0f);
    FAILS(make_small(r.context, _i, r.dataset, "batch=8", &r.trainer), SSLCV_ERR_LIMIT, "; ");
    ck_assert_msg(strstr(sslcv_last_error(), "the data set has 1 ") != NULL ||
                      strstr(sslcv_last_error(), "whole batches") != NULL,
                  "%s", sslcv_last_error());
    ck_assert(r.trainer == NULL);
    status = make_small(r.context, _i, r.dataset, "batch=1", &r.trainer);
    if (status == SSLCV_OK) {
        before = read_prefix(&r, "backbone.", SSLCV_ROLE_ALL);
        status = sslcv_trainer_step(r.trainer, &progress);
        snprintf(message, sizeof message, "%s", sslcv_last_error());
        ck_assert(equal(before, read_prefix(&r, "backbone.", SSLCV_ROLE_ALL)) == (status != SSLCV_OK));
        ck_assert(status != SSLCV_OK || isfinite(progress.loss));
    } else {
        snprintf(message, sizeof message, "%s", sslcv_last_error());
    }
    ck_assert_msg(status == SSLCV_OK || (status == SSLCV_ERR_LIMIT && says_why(message)), "%s: %s (%s)",
                  sslcv_method_name(_i), sslcv_status_string(status), message);
    if (strcmp(sslcv_method_name(_i), "simclr") == 0) ck_assert(status == SSLCV_OK && progress.loss == 0.0);
    free_recipe(&r);
}
END_TEST

static int32_t count_event(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)trainer;
    ck_assert_int_eq(progress->event, SSLCV_EVENT_COLLAPSE);
    ck_assert(progress->embedding_std < 0.1);
    ++*(int *)user;
    return 0;
}

/* Black images stay black in all views: embeddings are equal. That is said in every epoch, and nothing becomes NaN; or,
   where there is nothing to cluster, the run ends with a word about it. */
START_TEST(test_images_all_alike)
{
    int events = 0;
    sslcv_hook hook;
    rig r = {0};

    if (_i >= count_methods() || strcmp(sslcv_method_name(_i), "supervised") == 0) return;
    r.context = make_f32_context();
    r.dataset = make_images(r.context, 16, SIDE, SIDE, 0.0f);
    OK(make_small(r.context, _i, r.dataset, "batch=8", &r.trainer));
    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.user = &events;
    hook.call = count_event;
    hook.events = SSLCV_EVENT_COLLAPSE;
    OK(sslcv_trainer_add_hook(r.trainer, &hook));
    if (sslcv_trainer_run(r.trainer, 0) == SSLCV_OK) {
        ck_assert_msg(events == 3, "%s: %d events in 3 epochs", sslcv_method_name(_i), events);
    } else {
        ck_assert_msg(strstr(sslcv_last_error(), "has collapsed") != NULL, "%s", sslcv_last_error());
    }
    free_recipe(&r);
}
END_TEST

/* They are made larger: a crop is a share of the image, not so many pixels. One pixel is an image as well. */
START_TEST(test_images_smaller_than_the_crop)
{
    static const int64_t sides[2][2] = {{5, 3}, {1, 1}};
    int k;

    if (_i >= count_methods()) return;
    for (k = 0; k < 2; k++) {
        sslcv_progress progress = {.struct_size = sizeof progress};
        rig r = {0};

        r.context = make_f32_context();
        r.dataset = make_images(r.context, 16, sides[k][0], sides[k][1], -1.0f);
        OK(make_small(r.context, _i, r.dataset, "batch=8", &r.trainer));
        OK(sslcv_trainer_step(r.trainer, &progress));
        OK(sslcv_trainer_step(r.trainer, &progress));
        ck_assert(isfinite(progress.loss));
        free_recipe(&r);
    }
}
END_TEST

/* A queue need not be a multiple of the keys of a step, and may be longer than the data set. */
START_TEST(test_queues)
{
    static const char *const settings[] = {TINY " epochs=4 out_dim=16 bn_splits=1 symmetric=no queue_size=20",
                                           TINY " epochs=4 out_dim=16 bn_splits=1 symmetric=no queue_size=1000"};
    rig r = make_recipe("moco-v2", NULL, settings[_i]);
    const int64_t rows = _i ? 1000 : 20;
    weights first = read_tensor(&r, "loss.0.queue"), last;
    int64_t i, replaced = 0;

    ck_assert_int_eq(first.count, rows * 16);
    for (i = 0; i < 5; i++) ck_assert(isfinite(step(&r)));
    last = read_tensor(&r, "loss.0.queue");
    for (i = 0; i < rows; i++) replaced += memcmp(first.values + i * 16, last.values + i * 16, 16 * sizeof(float)) != 0;
    ck_assert_int_eq(replaced, _i ? 5 * BATCH : 20);
    free(first.values);
    free(last.values);
    free_recipe(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("method_input");
    TCase *input = tcase_create("input");

    tcase_set_timeout(input, 60);
    tcase_add_test(input, test_few_enough);
    tcase_add_test(input, test_unknown_method);
    tcase_add_loop_test(input, test_one_image, 0, MOST_METHODS);
    tcase_add_loop_test(input, test_images_all_alike, 0, MOST_METHODS);
    tcase_add_loop_test(input, test_images_smaller_than_the_crop, 0, MOST_METHODS);
    tcase_add_loop_test(input, test_queues, 0, 2);
    suite_add_tcase(suite, input);
    return run_suite(suite);
}
