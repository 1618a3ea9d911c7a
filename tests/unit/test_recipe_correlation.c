/* Barlow Twins and VICReg: composition, groups, rates. */
#include "recipe_support.h"

START_TEST(test_barlow_twins)
{
    static const treatment sgd[] = {
        {SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 22}, {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 42}, {0}};
    static const treatment lars[] = {
        {SSLCV_ROLE_WEIGHT, 1, 1, 1.0, 0, 0, 23}, {SSLCV_ROLE_NORM, 0, 0, 0.024, 0, 0, 44}, {0}};
    static const char *const texts[] = {"branch 0: views 0,1 -> backbone 0 (by view) -> head 0 (mlp 32-64, by view)\n"
                                        "loss 0: 1 * barlow_twins(branch 0)\n"
                                        "backbone 0: 3 channels -> 32, 44292 parameters\n"
                                        "head 0: mlp 32 -> 64, 4704 parameters\n" /* 32 x 48, norm, 48 x 64 */
                                        "learning rate: cosine from 0.00375 to 0, by epoch\n"
                                        "run: 200 epochs of 3 steps of 8 images\n",
                                        "branch 0: views 0,1 -> backbone 0 (by view) -> head 0 (mlp 32-64, by view)\n"
                                        "loss 0: 1 * barlow_twins(branch 0)\n"
                                        "backbone 0: 3 channels -> 32, 44772 parameters\n"
                                        "head 0: mlp 32 -> 64, 7104 parameters\n" /* one layer more: 48 x 48, norm */
                                        "learning rate: cosine from 0.00625 to 625e-8, after a warm-up of 10 epochs\n"
                                        "run: 1000 epochs of 3 steps of 8 images\n"};
    rig r = make_recipe("barlow-twins", _i ? "imagenet" : "cifar", TINY " hidden_dim=48 out_dim=64");

    check_composition(&r, texts[_i]);
    check_groups(&r, _i ? lars : sgd);
    ck_assert(loss_number(&r, "off_diagonal") == (_i ? 0.0051 : 0.005));
    ck_assert(r.trainer->options.optimizer->options.weight_decay == (_i ? 1e-6 : 5e-4));
    free_recipe(&r);
}
END_TEST

/* The authors' rates at batch 2048: 1.6 of weights, 0.0384 of biases and norms, 0.001 of that in the end. */
START_TEST(test_barlow_twins_rates)
{
    sslcv_context *context = make_f32_context();
    sslcv_trainer *trainer;
    double rate;

    OK(make_method(context, "barlow-twins", NULL, "imagenet",
                   "epochs=100 steps_per_epoch=10 width=0.0625 architecture=resnet18 hidden_dim=8 out_dim=8", 1,
                   &trainer));
    OK(sslcv_schedule_value(&trainer->learning_rate, 50, 10, 100, &rate));
    CLOSE(rate, 0.8, 1e-12);
    OK(sslcv_schedule_value(&trainer->learning_rate, 100, 10, 100, &rate));
    CLOSE(rate, 1.6, 1e-12);
    CLOSE(rate * trainer->options.optimizer->groups[0].options.rate_scale, 0.0048 * 2048 / 256, 1e-12);
    OK(sslcv_schedule_value(&trainer->learning_rate, 1000, 10, 100, &rate));
    CLOSE(rate, 0.0016, 1e-12);
    sslcv_trainer_destroy(trainer);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(test_vicreg)
{
    static const treatment solo_learn[] = {{SSLCV_ROLE_WEIGHT, 1, 1, 1.0, 0, 0, 23},
                                           {SSLCV_ROLE_NORM, 0, 0, 1.0, 0, 0, 44},
                                           {SSLCV_ROLE_BIAS, 0, 0, 1.0, 0, 0, 3},
                                           {0}};
    static const treatment authors[] = {{SSLCV_ROLE_WEIGHT, 1, 1, 1.0, 0, 0, 23},
                                        {SSLCV_ROLE_NORM, 0, 0, 1.0, 0, 0, 44},
                                        {SSLCV_ROLE_BIAS, 0, 0, 1.0, 0, 0, 2},
                                        {0}};
    static const char *const texts[] = {
        "branch 0: views 0,1 -> backbone 0 (by view) -> head 0 (mlp 32-64, by view)\n"
        "loss 0: 1 * vicreg(branch 0)\n"
        "backbone 0: 3 channels -> 32, 44292 parameters\n"
        "head 0: mlp 32 -> 64, 7264 parameters\n" /* 32 x 48, 48 x 48, 48 x 64, all with biases, two norms */
        "learning rate: cosine from 0.009375 to 0, after a warm-up of 10 epochs\n"
        "run: 200 epochs of 3 steps of 8 images\n",
        "branch 0: views 0,1 -> backbone 0 (by view) -> head 0 (mlp 32-64, by view)\n"
        "loss 0: 1 * vicreg(branch 0)\n"
        "backbone 0: 3 channels -> 32, 44772 parameters\n"
        "head 0: mlp 32 -> 64, 7200 parameters\n" /* without biases of the last */
        "learning rate: cosine from 0.00625 to 625e-8, after a warm-up of 10 epochs\n"
        "run: 1000 epochs of 3 steps of 8 images\n"};
    rig r = make_recipe("vicreg", _i ? "imagenet" : "cifar", TINY " hidden_dim=48 out_dim=64");
    const sslcv_optimizer_options *o = &r.trainer->options.optimizer->options;

    check_composition(&r, texts[_i]);
    check_groups(&r, _i ? authors : solo_learn);
    ck_assert_int_eq(o->kind, _i ? SSLCV_OPTIMIZER_LARS : SSLCV_OPTIMIZER_LARC);
    ck_assert(o->trust == (_i ? 0.001 : 0.02) && o->trust_clip == !_i && o->weight_decay == (_i ? 1e-6 : 1e-4));
    ck_assert(loss_number(&r, "weight_invariance") == 25.0 && loss_number(&r, "weight_variance") == 25.0 &&
              loss_number(&r, "weight_covariance") == 1.0);
    free_recipe(&r);
}
END_TEST

START_TEST(test_settings)
{
    static const char all[] = TINY " hidden_dim=8 out_dim=8 weight_invariance=1 weight_variance=2 weight_covariance=3";
    rig r = make_recipe("vicreg", NULL, all);

    ck_assert(loss_number(&r, "weight_invariance") == 1.0 && loss_number(&r, "weight_variance") == 2.0 &&
              loss_number(&r, "weight_covariance") == 3.0);
    free_recipe(&r);
    refuse("vicreg", NULL, TINY " trust=0", SSLCV_ERR_INVALID_ARGUMENT, "vicreg.trust is \"0\"");
    refuse("vicreg", NULL, TINY " weight_variance=-1", SSLCV_ERR_INVALID_ARGUMENT, "vicreg.weight_variance is \"-1\"");
    refuse("barlow-twins", NULL, TINY " vector_rate=-1", SSLCV_ERR_INVALID_ARGUMENT,
           "barlow-twins.vector_rate is \"-1\"");
    refuse("barlow-twins", NULL, TINY " head_layers=0", SSLCV_ERR_INVALID_ARGUMENT,
           "barlow-twins.head_layers is \"0\"");
    refuse("barlow-twins", NULL, TINY " temperature=1", SSLCV_ERR_NOT_FOUND, "has no setting \"temperature\"");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_correlation");
    TCase *both = tcase_create("barlow twins and vicreg");

    tcase_set_timeout(both, 60);
    tcase_add_loop_test(both, test_barlow_twins, 0, 2);
    tcase_add_test(both, test_barlow_twins_rates);
    tcase_add_loop_test(both, test_vicreg, 0, 2);
    tcase_add_test(both, test_settings);
    suite_add_tcase(suite, both);
    return run_suite(suite);
}
