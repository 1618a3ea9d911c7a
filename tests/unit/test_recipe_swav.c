/* SwAV: crops and codes, prototypes that rest, the queue, the schedule. */
#include "recipe_support.h"

static const char small_swav[] = TINY " epochs=4 hidden_dim=32 out_dim=16 prototypes=12";

START_TEST(test_composition)
{
    static const treatment adam[] = {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 23},
                                     {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 42},
                                     {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 0, 1},
                                     {0}};
    static const treatment larc[] = {{SSLCV_ROLE_WEIGHT, 1, 1, 1.0, 0, 0, 23},
                                     {SSLCV_ROLE_NORM, 1, 1, 1.0, 0, 0, 42},
                                     {SSLCV_ROLE_BIAS, 1, 1, 1.0, 0, 0, 2},
                                     {0}};
    static const char *const texts[] = {
        "branch 0: views 0,1 -> backbone 0 (joined) -> head 0 (mlp 32-128, joined)\n"
        "loss 0: 1 * swapped(branch 0)\n"
        "backbone 0: 3 channels -> 32, 44292 parameters\n"
        "head 0: mlp 32 -> 128, 5312 parameters\n" /* 32 x 32, norm, 32 x 128 and biases */
        "learning rate: cosine from 625e-7 to 0, by epoch\n"
        "run: 200 epochs of 3 steps of 8 images\n",
        "branch 0: views 0,1,2,3,4,5,6,7 -> backbone 0 (joined) -> head 0 (mlp 32-128, joined)\n"
        "loss 0: 1 * swapped(branch 0)\n"
        "backbone 0: 3 channels -> 32, 44772 parameters\n"
        "head 0: mlp 32 -> 128, 333952 parameters\n" /* 32 x 2048 and biases, norm, 2048 x 128 and biases */
        "learning rate: cosine from 0.009375 to 9375e-9, after a warm-up of 10 epochs\n"
        "run: 400 epochs of 3 steps of 8 images\n"};
    rig r = make_recipe("swav", _i ? "imagenet" : "cifar", TINY);
    weights prototypes;

    check_composition(&r, texts[_i]);
    check_groups(&r, _i ? larc : adam);
    ck_assert_int_eq(r.trainer->options.optimizer->options.kind, _i ? SSLCV_OPTIMIZER_LARC : SSLCV_OPTIMIZER_ADAM);
    ck_assert(r.trainer->options.optimizer->options.weight_decay == 1e-6);
    ck_assert(loss_number(&r, "temperature") == 0.1 && loss_number(&r, "epsilon") == 0.05);
    prototypes = read_tensor(&r, "loss.0.prototypes.weight");
    ck_assert_int_eq(prototypes.count, (_i ? 3000 : 512) * 128);
    free(prototypes.values);
    free_recipe(&r);
}
END_TEST

static int has(rig *r, const char *text)
{
    static char all[8192];

    OK(sslcv_trainer_describe(r->trainer, all, sizeof all, NULL));
    return strstr(all, text) != NULL;
}

/* Large crops of one size and small ones of another: a pass each; codes for code_views of them only. */
START_TEST(test_crops)
{
    static const struct {
        const char *settings, *gives;
        int64_t queues;
    } cases[] = {{"", "gives 8 x 8 x 1 x 16\n", 2},
                 {"crops=5", "gives 5 x 8 x 1 x 16\n", 2},
                 {"crops=3 code_views=3", "gives 3 x 8 x 1 x 16\n", 3},
                 {"crops=2 code_views=1", "gives 2 x 8 x 1 x 16\n", 1}};
    char settings[256], name[48];
    sslcv_state *state;
    int64_t i, index;
    rig r;

    snprintf(settings, sizeof settings, TINY " epochs=4 hidden_dim=32 out_dim=16 prototypes=12 queue_size=16 %s",
             cases[_i].settings);
    r = make_recipe("swav", "imagenet", settings);
    step(&r);
    ck_assert(has(&r, cases[_i].gives));
    OK(sslcv_trainer_get_state(r.trainer, &state)); /* a queue for each view that gets codes */
    for (i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "loss.0.queue.%lld", (long long)i);
        ck_assert_int_eq(sslcv_state_find(state, name, &index), i < cases[_i].queues ? SSLCV_OK : SSLCV_ERR_NOT_FOUND);
    }
    sslcv_state_destroy(state);
    free_recipe(&r);
}
END_TEST

/* In the first epoch prototypes only get their unit length again. */
START_TEST(test_prototypes_rest)
{
    char settings[256];
    weights first, later;
    rig r;
    int64_t i;

    snprintf(settings, sizeof settings, "%s warmup_epochs=0 freeze_epochs=1 learning_rate=10 crops=2", small_swav);
    r = make_recipe("swav", "imagenet", settings);
    step(&r);
    first = read_tensor(&r, "loss.0.prototypes.weight");
    step(&r);
    step(&r); /* the last of the epoch */
    later = read_tensor(&r, "loss.0.prototypes.weight");
    for (i = 0; i < first.count; i++) CLOSE(later.values[i], first.values[i], 1e-6);
    free(later.values);
    step(&r);
    later = read_tensor(&r, "loss.0.prototypes.weight");
    ck_assert(!equal(first, later));
    free_recipe(&r);
}
END_TEST

/* Empty before its epoch, then full after as many steps as it takes. */
START_TEST(test_queue)
{
    char settings[256];
    weights queue;
    rig r;
    int64_t filled, i, t;

    snprintf(settings, sizeof settings, "%s queue_size=16 queue_start_epoch=1", small_swav);
    r = make_recipe("swav", NULL, settings);
    for (t = 1; t <= 6; t++) {
        step(&r);
        queue = read_tensor(&r, "loss.0.queue.1");
        ck_assert_int_eq(queue.count, 16 * 16);
        for (filled = 0, i = 0; i < 16; i++) filled += queue.values[i * 16] != 0.0f;
        ck_assert_int_eq(filled, t <= 3 ? 0 : t == 4 ? 8 : 16);
        free(queue.values);
    }
    free_recipe(&r);
}
END_TEST

/* The published run at batch 4096, of 100 steps with 10 of warm-up: start 0.3, base 4.8, final 0.0048. */
START_TEST(test_schedule)
{
    static const struct {
        int64_t step;
        double rate;
    } published[] = {{0, 0.3}, {5, 2.8}, {9, 4.8}, {10, 4.8}, {55, 2.4024}, {99, 0.00626055}};
    sslcv_context *context = make_f32_context();
    sslcv_trainer *trainer;
    double rate;
    size_t i;

    OK(make_method(context, "swav", NULL, "imagenet",
                   "batch=4096 epochs=100 steps_per_epoch=1 width=0.0625 architecture=resnet18", 1, &trainer));
    for (i = 0; i < sizeof published / sizeof published[0]; i++) {
        OK(sslcv_schedule_value(&trainer->learning_rate, published[i].step, 1, 100, &rate));
        CLOSE(rate, published[i].rate, 1e-6);
    }
    sslcv_trainer_destroy(trainer);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(test_settings)
{
    refuse("swav", NULL, TINY " queue_size=7", SSLCV_ERR_LIMIT,
           "swav.queue_size is 7; must be 0, or at least the batch, 8");
    refuse("swav", NULL, TINY " crops=3", SSLCV_ERR_LIMIT, "swav.crops is 3; the augmenter has 2 views");
    refuse("swav", "imagenet", TINY " crops=9", SSLCV_ERR_LIMIT, "swav.crops is 9; the augmenter has 8 views");
    refuse("swav", NULL, TINY " crops=1", SSLCV_ERR_LIMIT, "\"swav\" has 1 views to use; must have 2 .. 64");
    refuse("swav", NULL, TINY " code_views=3", SSLCV_ERR_LIMIT, "swav.code_views is 3; there are 2 crops");
    refuse("swav", NULL, TINY " prototypes=0", SSLCV_ERR_INVALID_ARGUMENT, "swav.prototypes is \"0\"");
    refuse("swav", NULL, TINY " epsilon=0", SSLCV_ERR_INVALID_ARGUMENT, "swav.epsilon is \"0\"");
    refuse("swav", NULL, TINY " end_rate=2", SSLCV_ERR_INVALID_ARGUMENT, "swav.end_rate is \"2\"");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_swav");
    TCase *swav = tcase_create("swav");

    tcase_set_timeout(swav, 60);
    tcase_add_loop_test(swav, test_composition, 0, 2);
    tcase_add_loop_test(swav, test_crops, 0, 4);
    tcase_add_test(swav, test_prototypes_rest);
    tcase_add_test(swav, test_queue);
    tcase_add_test(swav, test_schedule);
    tcase_add_test(swav, test_settings);
    suite_add_tcase(suite, swav);
    return run_suite(suite);
}
