/* DINO: composition, groups, who sees which crops, schedules of decay and momentum, the centre. */
#include "recipe_support.h"

static const char small_dino[] = TINY " epochs=4 hidden_dim=32 out_dim=16 prototypes=24";

START_TEST(test_composition)
{
    static const treatment lightly[] = {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 23},
                                        {SSLCV_ROLE_NORM, 1, 0, 1.0, 0, 0, 42},
                                        {SSLCV_ROLE_BIAS, 1, 0, 1.0, 0, 0, 1},
                                        {0}};
    static const treatment authors[] = {{SSLCV_ROLE_WEIGHT, 1, 0, 1.0, 0, 0, 24},
                                        {SSLCV_ROLE_NORM, 0, 0, 1.0, 0, 0, 40},
                                        {SSLCV_ROLE_BIAS, 0, 0, 1.0, 0, 0, 3},
                                        {0}};
    static const char *const texts[] = {
        "branch 0: views 0,1 -> backbone 0 (by view) -> head 0 (mlp 32-16, by view) -> head 1 (prototypes 16-24, by "
        "view)\n"
        "branch 1: views 0,1 -> momentum backbone 0 (by view) -> momentum head 0 (mlp 32-16, by view) -> momentum "
        "head 1 (prototypes 16-24, by view)\n"
        "loss 0: 1 * dino(branch 0, branch 1)\n"
        "backbone 0: 3 channels -> 32, 44292 parameters\n"
        "head 0: mlp 32 -> 16, 1616 parameters\n" /* 32 x 32, norm, 32 x 16 and biases */
        "head 1: prototypes 16 -> 24, 384 parameters\n"
        "learning rate: cosine from 0.00375 to 0, by epoch\n"
        "momentum copies, behind the step: constant from 0.99\n"
        "run: 4 epochs of 3 steps of 8 images\n",
        "branch 0: views 0,1,2,3,4,5,6,7,8,9 -> backbone 0 (joined) -> head 0 (mlp 32-16, joined) -> head 1 "
        "(prototypes 16-24, joined)\n"
        "branch 1: views 0,1 -> momentum backbone 0 (joined) -> momentum head 0 (mlp 32-16, joined) -> momentum head "
        "1 (prototypes 16-24, joined)\n"
        "loss 0: 1 * dino(branch 0, branch 1)\n"
        "backbone 0: 3 channels -> 32, 44772 parameters\n"
        "head 0: mlp 32 -> 16, 2640 parameters\n" /* 32 x 32 twice and 32 x 16, with biases */
        "head 1: prototypes 16 -> 24, 384 parameters\n"
        "learning rate: cosine from 15625e-9 to 15625e-12, after a warm-up of 10 epochs\n"
        "weight decay: cosine from 0.04 to 0.4\n"
        "momentum copies, behind the step: cosine from 0.996 to 1\n"
        "run: 4 epochs of 3 steps of 8 images\n"};
    rig r = make_recipe("dino", _i ? "imagenet" : "cifar", small_dino);
    const sslcv_optimizer_options *o = &r.trainer->options.optimizer->options;

    check_composition(&r, texts[_i]);
    check_groups(&r, _i ? authors : lightly);
    ck_assert_int_eq(o->kind, _i ? SSLCV_OPTIMIZER_ADAMW : SSLCV_OPTIMIZER_SGD);
    ck_assert(o->clip_norm == (_i ? 3.0 : 0.0) && o->weight_decay == (_i ? 0.04 : 5e-4));
    ck_assert_int_eq(o->clip_each, _i);
    ck_assert(loss_number(&r, "student_temperature") == 0.1 && loss_number(&r, "teacher_temperature") == 0.04 &&
              loss_number(&r, "center_momentum") == 0.9);
    ck_assert_int_eq(r.trainer->options.ema_random_init, 0);
    free_recipe(&r);
}
END_TEST

/* The sizes of the heads where nothing is set: 2048, 256, and so many prototypes. */
START_TEST(test_published_heads)
{
    rig r = make_recipe("dino", NULL, TINY);

    check_composition(&r, "branch 0: views 0,1 -> backbone 0 (by view) -> head 0 (mlp 32-256, by view) -> head 1 "
                          "(prototypes 256-2048, by view)\n");
    free_recipe(&r);
}
END_TEST

/* Behind the step, with the new weights; the prototypes' copy as well. */
START_TEST(test_teacher_moves)
{
    char settings[256];
    weights center;
    double sum = 0.0;
    int64_t i;
    rig r;

    snprintf(settings, sizeof settings, "%s ema_momentum=0", small_dino);
    r = make_recipe("dino", NULL, settings);
    step(&r);
    ck_assert(equal(read_prefix(&r, "backbone.", SSLCV_ROLE_PARAMETERS),
                    read_prefix(&r, "momentum.backbone.", SSLCV_ROLE_PARAMETERS)));
    ck_assert(equal(read_prefix(&r, "head.", SSLCV_ROLE_PARAMETERS),
                    read_prefix(&r, "momentum.head.", SSLCV_ROLE_PARAMETERS)));
    center = read_tensor(&r, "loss.0.center");
    ck_assert_int_eq(center.count, 24);
    for (i = 0; i < center.count; i++) sum += fabs(center.values[i]);
    ck_assert(sum > 0.0);
    free(center.values);
    free_recipe(&r);
}
END_TEST

/* In the first epoch, with their gradient, decay and momentum; the teacher's copies with them. */
START_TEST(test_prototypes_rest)
{
    static const char *const names[] = {"head.1.prototypes.weight", "momentum.head.1.prototypes.weight"};
    weights first[2], other, now;
    int64_t i, t;
    rig r = make_recipe("dino", "imagenet",
                        TINY " hidden_dim=32 out_dim=16 prototypes=24 crops=2 warmup_epochs=0 ema_momentum=0.5");

    for (i = 0; i < 2; i++) first[i] = read_tensor(&r, names[i]);
    other = read_tensor(&r, "head.0.0.weight");
    for (t = 1; t <= 4; t++) {
        step(&r);
        for (i = 0; i < 2; i++) {
            now = read_tensor(&r, names[i]);
            ck_assert_int_eq(memcmp(now.values, first[i].values, (size_t)now.count * sizeof *now.values) == 0, t <= 3);
            free(now.values);
        }
    }
    ck_assert(!equal(other, read_tensor(&r, "head.0.0.weight")));
    for (i = 0; i < 2; i++) free(first[i].values);
    free_recipe(&r);
}
END_TEST

static int has(rig *r, const char *text)
{
    static char all[8192];

    OK(sslcv_trainer_describe(r->trainer, all, sizeof all, NULL));
    return strstr(all, text) != NULL;
}

START_TEST(test_crops)
{
    rig r = make_recipe("dino", "imagenet", TINY " epochs=4 hidden_dim=32 out_dim=16 prototypes=24 crops=4");

    step(&r);
    ck_assert(has(&r, "gives 4 x 8 x 1 x 24\n") && has(&r, "gives 2 x 8 x 1 x 24\n"));
    free_recipe(&r);
}
END_TEST

/* SGD as the authors advise for ResNets: no schedule of the decay is left. */
START_TEST(test_settings)
{
    rig r = make_recipe("dino", "imagenet",
                        TINY " prototypes=24 optimizer=sgd learning_rate=0.03 weight_decay=1e-4 end_decay=1");

    ck_assert_int_eq(r.trainer->options.optimizer->options.kind, SSLCV_OPTIMIZER_SGD);
    ck_assert(!has(&r, "weight decay:"));
    free_recipe(&r);
    refuse("dino", NULL, TINY " optimizer=lars", SSLCV_ERR_INVALID_ARGUMENT, "must be one of sgd, adamw");
    refuse("dino", NULL, TINY " crops=3", SSLCV_ERR_LIMIT, "dino.crops is 3; the augmenter has 2 views");
    refuse("dino", NULL, TINY " crops=1", SSLCV_ERR_LIMIT, "\"dino\" has 1 views to use; must have 2 .. 64");
    refuse("dino", NULL, TINY " center_momentum=2", SSLCV_ERR_INVALID_ARGUMENT, "dino.center_momentum is \"2\"");
    refuse("dino", NULL, TINY " teacher_temperature=0", SSLCV_ERR_INVALID_ARGUMENT,
           "dino.teacher_temperature is \"0\"");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_dino");
    TCase *dino = tcase_create("dino");

    tcase_set_timeout(dino, 60);
    tcase_add_loop_test(dino, test_composition, 0, 2);
    tcase_add_test(dino, test_published_heads);
    tcase_add_test(dino, test_teacher_moves);
    tcase_add_test(dino, test_prototypes_rest);
    tcase_add_test(dino, test_crops);
    tcase_add_test(dino, test_settings);
    suite_add_tcase(suite, dino);
    return run_suite(suite);
}
