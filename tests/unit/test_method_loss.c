/* A recipe with another loss than its own. */
#include "recipe_support.h"

static const char small_simsiam[] = TINY " epochs=4 hidden_dim=32 out_dim=32 predictor_dim=8";

/* Half the mean squared entry of input 0: it draws all predictions to 0. */
static int32_t compute(void *user, sslcv_state *state, sslcv_loss_call *call)
{
    const sslcv_tensor *p = &call->inputs[0];
    const int64_t count = p->shape[0] * p->shape[1] * p->shape[2] * p->shape[3];
    const float *values = p->data;
    float *diffs = call->diff_inputs ? call->diff_inputs[0].data : NULL;
    double sum = 0.0;
    int64_t i;

    (void)state;
    ++*(int *)user;
    for (i = 0; i < count; i++) {
        sum += 0.5 * (double)values[i] * (double)values[i];
        if (diffs) diffs[i] = (float)(call->scale * (double)values[i] / (double)count);
    }
    call->value = sum / (double)count;
    return 0;
}

static sslcv_loss *make_custom(sslcv_context *context, int64_t num_inputs, int *calls)
{
    sslcv_loss_callbacks callbacks;
    sslcv_loss *loss;

    OK(sslcv_loss_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.user = calls;
    callbacks.compute = compute;
    callbacks.num_inputs = num_inputs;
    OK(sslcv_loss_create_custom(context, &callbacks, &loss));
    return loss;
}

/* The same loss anew: the same run, bit for bit. */
START_TEST(test_same_kind)
{
    rig r = make_recipe("simsiam", NULL, small_simsiam), s = make_recipe("simsiam", NULL, small_simsiam);
    sslcv_loss *loss, *found;
    int i;

    OK(sslcv_loss_create_cosine(s.context, NULL, &loss));
    OK(sslcv_trainer_set_loss(s.trainer, 0, loss));
    OK(sslcv_trainer_get_loss(s.trainer, 0, &found));
    ck_assert(found == loss);
    sslcv_loss_destroy(found);
    sslcv_loss_destroy(loss);
    for (i = 0; i < 4; i++) ck_assert(step(&r) == step(&s));
    ck_assert(equal(read_prefix(&r, "", SSLCV_ROLE_ALL), read_prefix(&s, "", SSLCV_ROLE_ALL)));
    free_recipe(&s);
    free_recipe(&r);
}
END_TEST

START_TEST(test_other_kind)
{
    rig r = make_recipe("simsiam", NULL, small_simsiam);
    sslcv_loss *loss;
    double first, last = 0.0;
    char text[4096];
    int calls = 0, i;

    loss = make_custom(r.context, 2, &calls);
    OK(sslcv_trainer_set_loss(r.trainer, 0, loss));
    sslcv_loss_destroy(loss);
    OK(sslcv_trainer_describe(r.trainer, text, sizeof text, NULL));
    ck_assert_msg(strstr(text, "loss 0: 1 * custom(branch 1, branch 0)\n") != NULL, "%s", text);
    first = step(&r);
    ck_assert(first > 0.0);
    for (i = 0; i < 8; i++) last = step(&r);
    ck_assert_msg(last < first, "from %g to %g", first, last);
    ck_assert_int_eq(calls, 9);
    free_recipe(&r);
}
END_TEST

START_TEST(test_errors)
{
    rig r = make_recipe("simsiam", NULL, small_simsiam), s = make_recipe("simsiam", NULL, small_simsiam);
    int calls = 0;
    sslcv_loss *loss = make_custom(r.context, 2, &calls), *one = make_custom(r.context, 1, &calls);

    FAILS(sslcv_trainer_set_loss(NULL, 0, loss), SSLCV_ERR_INVALID_ARGUMENT, "trainer is NULL");
    FAILS(sslcv_trainer_set_loss(r.trainer, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    FAILS(sslcv_trainer_set_loss(r.trainer, 1, loss), SSLCV_ERR_NOT_FOUND, "index is 1; the trainer has 1 losses");
    FAILS(sslcv_trainer_set_loss(r.trainer, -1, loss), SSLCV_ERR_NOT_FOUND, "index is -1");
    FAILS(sslcv_trainer_set_loss(r.trainer, 0, one), SSLCV_ERR_INVALID_ARGUMENT,
          "num_branches is 2; \"custom\" takes 1 .. 1");
    FAILS(sslcv_trainer_set_loss(s.trainer, 0, loss), SSLCV_ERR_INVALID_ARGUMENT, "context");
    step(&r); /* as it was */
    ck_assert_int_eq(calls, 0);
    FAILS(sslcv_trainer_set_loss(r.trainer, 0, loss), SSLCV_ERR_STATE, "the composition is fixed");
    sslcv_loss_destroy(one);
    sslcv_loss_destroy(loss);
    free_recipe(&s);
    free_recipe(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("method_loss");
    TCase *losses = tcase_create("losses");

    tcase_set_timeout(losses, 60);
    tcase_add_test(losses, test_same_kind);
    tcase_add_test(losses, test_other_kind);
    tcase_add_test(losses, test_errors);
    suite_add_tcase(suite, losses);
    return run_suite(suite);
}
