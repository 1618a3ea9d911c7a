/* BYOL and SimSiam: composition, groups, who learns from what. */
#include "recipe_support.h"

static const char small_byol[] = TINY " epochs=4 hidden_dim=32 out_dim=16";
static const char small_simsiam[] = TINY " epochs=4 hidden_dim=32 out_dim=32 predictor_dim=8";

START_TEST(test_byol)
{
    static const treatment sgd[] = {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 24},
                                    {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 44},
                                    {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 0, 2},
                                    {0}};
    static const treatment lars[] = {{SSLCV_ROLE_WEIGHT, 1, 1, 1.0, 0, 0, 24},
                                     {SSLCV_ROLE_NORM, 0, 0, 1.0, 0, 0, 44},
                                     {SSLCV_ROLE_BIAS, 0, 0, 1.0, 0, 0, 2},
                                     {0}};
    static const char *const texts[] = {
        "backbone 0: 3 channels -> 32, 44292 parameters\n"
        "head 0: mlp 32 -> 256, 297216 parameters\n"  /* 32 x 1024, norm, 1024 x 256 and biases */
        "head 1: mlp 256 -> 256, 526592 parameters\n" /* 256 x 1024, norm, 1024 x 256 and biases */
        "learning rate: cosine from 0.00375 to 0, by epoch\n"
        "momentum copies, behind the step: constant from 0.99\n"
        "run: 200 epochs of 3 steps of 8 images\n",
        "backbone 0: 3 channels -> 32, 44772 parameters\n"
        "head 0: mlp 32 -> 256, 1191936 parameters\n"  /* 32 x 4096 and biases, norm, 4096 x 256 */
        "head 1: mlp 256 -> 256, 2109440 parameters\n" /* 256 x 4096 and biases, norm, 4096 x 256 */
        "learning rate: cosine from 0.00625 to 0, after a warm-up of 10 epochs\n"
        "momentum copies, behind the step: cosine from 0.996 to 1\n"
        "run: 1000 epochs of 3 steps of 8 images\n"};
    char text[2048];
    rig r = make_recipe("byol", _i ? "imagenet" : "cifar", TINY);
    const sslcv_optimizer_options *o = &r.trainer->options.optimizer->options;

    snprintf(text, sizeof text, "%s%s",
             "branch 0: views 0,1 -> backbone 0 (by view) -> head 0 (mlp 32-256, by view) -> head 1 (mlp 256-256, by "
             "view)\n"
             "branch 1: views 0,1 -> momentum backbone 0 (by view) -> momentum head 0 (mlp 32-256, by view)\n"
             "loss 0: 1 * cosine(branch 0, branch 1)\n",
             texts[_i]);
    check_composition(&r, text);
    check_groups(&r, _i ? lars : sgd);
    ck_assert_int_eq(o->kind, _i ? SSLCV_OPTIMIZER_LARS : SSLCV_OPTIMIZER_SGD);
    ck_assert(o->weight_decay == (_i ? 1.5e-6 : 5e-4) && o->momentum == 0.9);
    ck_assert(!_i || o->trust == 0.001);
    ck_assert_int_eq(r.trainer->options.ema_random_init, _i);
    free_recipe(&r);
}
END_TEST

/* The squared loss is 4 + 4 times the other, and so four times the learning rate. */
START_TEST(test_byol_losses)
{
    char settings[256];
    double losses[2];
    rig r;
    int i;

    for (i = 0; i < 2; i++) {
        snprintf(settings, sizeof settings, "%s loss=%s learning_rate=%g weight_decay=%g", small_byol,
                 i ? "squared" : "cosine", i ? 0.015 : 0.06, i ? 4e-3 : 1e-3);
        r = make_recipe("byol", NULL, settings);
        step(&r);
        step(&r);
        losses[i] = step(&r);
        free_recipe(&r);
    }
    CLOSE(losses[1], 4.0 + 4.0 * losses[0], 1e-4);
}
END_TEST

/* From ema_momentum to 1 over the run, never down. */
START_TEST(test_byol_momentum)
{
    rig r = make_recipe("byol", "imagenet", TINY " epochs=4 hidden_dim=8 out_dim=8 warmup_epochs=1 ema_momentum=0.5");
    const double steps = 12.0;
    double last = 0.0, value;
    int t;

    for (t = 0; t < 12; t++) {
        step(&r);
        value = metric(&r, "ema_momentum");
        CLOSE(value, 1.0 - 0.5 * (1.0 + cos(3.14159265358979323846 * t / steps)) / 2.0, 1e-12);
        ck_assert(value >= last);
        last = value;
    }
    ck_assert(last > 0.99);
    OK(sslcv_schedule_value(&r.trainer->ema_momentum, 12, 3, 4, &value));
    ck_assert(value == 1.0);
    free_recipe(&r);
}
END_TEST

/* Behind the step, with the new weights: at 0 the target is the network, which sees the same views and so has the same
   statistics; otherwise it has statistics of its own. */
START_TEST(test_byol_target_moves)
{
    char settings[256];
    rig r;
    int i;

    for (i = 0; i < 2; i++) {
        snprintf(settings, sizeof settings, "%s ema_momentum=%g", small_byol, i ? 0.5 : 0.0);
        r = make_recipe("byol", NULL, settings);
        step(&r);
        step(&r);
        ck_assert(equal(read_prefix(&r, "head.0.", SSLCV_ROLE_PARAMETERS),
                        read_prefix(&r, "momentum.head.0.", SSLCV_ROLE_PARAMETERS)) == !i);
        ck_assert(equal(read_prefix(&r, "backbone.", SSLCV_ROLE_ALL),
                        read_prefix(&r, "momentum.backbone.", SSLCV_ROLE_ALL)) == !i);
        ck_assert(equal(read_prefix(&r, "backbone.", SSLCV_ROLE_BUFFER),
                        read_prefix(&r, "momentum.backbone.", SSLCV_ROLE_BUFFER)) == !i);
        free_recipe(&r);
    }
}
END_TEST

/* All gradient comes by way of the predictor: while its last layer is 0, none reaches what is before it, neither from
   the prediction nor from the target. */
START_TEST(test_target_gives_no_gradient)
{
    const int is_simsiam = _i;
    char settings[256];
    weights backbone, projection, predictor;
    rig r;

    snprintf(settings, sizeof settings, "%s weight_decay=0", is_simsiam ? small_simsiam : small_byol);
    r = make_recipe(is_simsiam ? "simsiam" : "byol", NULL, settings);
    clear_tensor(&r, "head.1.3.weight");
    backbone = read_prefix(&r, "backbone.", SSLCV_ROLE_PARAMETERS);
    projection = read_prefix(&r, "head.0.", SSLCV_ROLE_PARAMETERS);
    predictor = read_prefix(&r, "head.1.", SSLCV_ROLE_PARAMETERS);
    step(&r);
    ck_assert(equal(backbone, read_prefix(&r, "backbone.", SSLCV_ROLE_PARAMETERS)));
    ck_assert(equal(projection, read_prefix(&r, "head.0.", SSLCV_ROLE_PARAMETERS)));
    ck_assert(!equal(predictor, read_prefix(&r, "head.1.", SSLCV_ROLE_PARAMETERS)));
    backbone = read_prefix(&r, "backbone.", SSLCV_ROLE_PARAMETERS);
    step(&r); /* the layer is not 0 any more */
    ck_assert(!equal(backbone, read_prefix(&r, "backbone.", SSLCV_ROLE_PARAMETERS)));
    free_recipe(&r);
}
END_TEST

START_TEST(test_simsiam)
{
    static const treatment lightly[] = {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 24},
                                        {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 46},
                                        {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 0, 1},
                                        {0}};
    static const treatment authors[] = {
        {SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 23},                                        /* 20 and three layers */
        {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 44},   {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 1, 1}, /* frozen */
        {SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 1, 0, 2},                                         /* the predictor: rate fixed */
        {SSLCV_ROLE_NORM, 1, 0, 1.0, 1, 0, 2},    {SSLCV_ROLE_BIAS, 1, 0, 1.0, 1, 0, 1}, {0}};
    static const char *const texts[] = {
        "backbone 0: 3 channels -> 32, 44292 parameters\n"
        "head 0: mlp 32 -> 2048, 4268032 parameters\n"
        "head 1: mlp 2048 -> 2048, 2100224 parameters\n"
        "learning rate: cosine from 0.06 to 0, by epoch\n" /* whatever the batch */
        "run: 200 epochs of 3 steps of 8 images\n",
        "backbone 0: 3 channels -> 32, 44772 parameters\n"
        "head 0: mlp 32 -> 2048, 69760 parameters\n" /* 32-32-2048: as wide as the features */
        "head 1: mlp 2048 -> 2048, 2100224 parameters\n"
        "learning rate: cosine from 0.0015625 to 0, by epoch\n"
        "run: 100 epochs of 3 steps of 8 images\n"};
    char text[2048];
    rig r = make_recipe("simsiam", _i ? "imagenet" : "cifar", TINY);

    snprintf(text, sizeof text, "%s%s",
             "branch 0: views 0,1 -> backbone 0 (by view) -> head 0 (mlp 32-2048, by view)\n"
             "branch 1: branch 0 -> head 1 (mlp 2048-2048, by view)\n"
             "loss 0: 1 * cosine(branch 1, branch 0)\n",
             texts[_i]);
    check_composition(&r, text);
    check_groups(&r, _i ? authors : lightly);
    free_recipe(&r);
}
END_TEST

/* The frozen bias stays, also under decay; and what is left of the rate is 0 in the end but for the predictor. */
START_TEST(test_simsiam_frozen_and_fixed)
{
    char settings[256];
    weights bias, backbone, predictor;
    rig r;
    int i;

    snprintf(settings, sizeof settings, "%s momentum=0", small_simsiam);
    r = make_recipe("simsiam", "imagenet", settings);
    bias = read_tensor(&r, "head.0.6.bias");
    for (i = 0; i < 11; i++) step(&r);
    ck_assert(equal(bias, read_tensor(&r, "head.0.6.bias")));
    backbone = read_prefix(&r, "backbone.", SSLCV_ROLE_PARAMETERS);
    predictor = read_prefix(&r, "head.1.", SSLCV_ROLE_PARAMETERS);
    r.trainer->learning_rate.value = 0.0; /* as far down as a schedule goes */
    step(&r);
    ck_assert(equal(backbone, read_prefix(&r, "backbone.", SSLCV_ROLE_PARAMETERS)));
    ck_assert(!equal(predictor, read_prefix(&r, "head.1.", SSLCV_ROLE_PARAMETERS)));
    free_recipe(&r);
}
END_TEST

START_TEST(test_settings)
{
    rig r = make_recipe("simsiam", "imagenet", TINY " fix_predictor_rate=0 warmup_epochs=2");

    free_recipe(&r);
    refuse("simsiam", "imagenet", TINY " warmup_epochs=2", SSLCV_ERR_INVALID_ARGUMENT,
           "simsiam.warmup_epochs is 2; must be 0 with fix_predictor_rate");
    refuse("simsiam", NULL, TINY " fix_predictor_rate=2", SSLCV_ERR_INVALID_ARGUMENT,
           "simsiam.fix_predictor_rate is \"2\"");
    refuse("simsiam", NULL, TINY " ema_momentum=0.9", SSLCV_ERR_NOT_FOUND, "has no setting \"ema_momentum\"");
    refuse("byol", NULL, TINY " loss=mse", SSLCV_ERR_INVALID_ARGUMENT, "must be one of cosine, squared");
    refuse("byol", NULL, TINY " ema_schedule=linear", SSLCV_ERR_INVALID_ARGUMENT, "must be one of constant, cosine");
    refuse("byol", NULL, TINY " ema_momentum=2", SSLCV_ERR_INVALID_ARGUMENT, "byol.ema_momentum is \"2\"");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_byol");
    TCase *byol = tcase_create("byol and simsiam");

    tcase_set_timeout(byol, 60);
    tcase_add_loop_test(byol, test_byol, 0, 2);
    tcase_add_test(byol, test_byol_losses);
    tcase_add_test(byol, test_byol_momentum);
    tcase_add_test(byol, test_byol_target_moves);
    tcase_add_loop_test(byol, test_target_gives_no_gradient, 0, 2);
    tcase_add_loop_test(byol, test_simsiam, 0, 2);
    tcase_add_test(byol, test_simsiam_frozen_and_fixed);
    tcase_add_test(byol, test_settings);
    suite_add_tcase(suite, byol);
    return run_suite(suite);
}
