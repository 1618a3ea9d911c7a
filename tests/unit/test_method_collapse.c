/*
 * What keeps SimSiam and BYOL from collapse: the predictor and the stopped gradient. The same branches with one of them
 * left out end with all embeddings alike; as they should be, they don't.
 */
#include "recipe_support.h"

enum { COLLAPSE_STEPS = 100, HIDDEN = 32, OUT = 16 };

static const struct variant {
    const char *name;
    int momentum;   /* targets come from a momentum copy (BYOL) */
    int predicts;   /* with the predictor */
    int both_learn; /* the gradient of targets is not stopped */
    int collapses;
} variants[] = {
    {"SimSiam", 0, 1, 0, 0},
    {"SimSiam without predictor", 0, 0, 0, 1},
    {"SimSiam without stopped gradient", 0, 1, 1, 1},
    {"BYOL", 1, 1, 0, 0},
    {"BYOL without predictor", 1, 0, 0, 1},
};

static sslcv_backbone *make_network(sslcv_context *context)
{
    sslcv_backbone_options o;
    sslcv_backbone *backbone;

    OK(sslcv_backbone_options_init(&o, sizeof o, SSLCV_BACKBONE_RESNET18));
    o.stem = SSLCV_STEM_CIFAR;
    o.width = 0.0625;
    o.seed = 1;
    OK(sslcv_backbone_create(context, &o, &backbone));
    return backbone;
}

static sslcv_head *make_head(sslcv_context *context, int64_t in, int32_t last_norm, uint64_t seed)
{
    sslcv_mlp_options o;
    sslcv_head *head;

    OK(sslcv_mlp_options_init(&o, sizeof o));
    o.in_dim = in;
    o.hidden_dim = HIDDEN;
    o.out_dim = OUT;
    o.last_norm = last_norm;
    o.seed = seed;
    OK(sslcv_head_create_mlp(context, &o, &head));
    return head;
}

static void add_branches(rig *r, const struct variant *v, int64_t *prediction, int64_t *target)
{
    static const int64_t views[2] = {0, 1};
    sslcv_backbone *backbone = make_network(r->context);
    sslcv_head *projection = make_head(r->context, 32, SSLCV_LAST_NORM_NONE, 2);
    sslcv_head *predictor = make_head(r->context, OUT, SSLCV_LAST_NORM_NONE, 3);
    sslcv_branch branch;

    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = views;
    branch.num_views = 2;
    branch.backbone = backbone;
    branch.heads = &projection;
    branch.num_heads = 1;
    OK(sslcv_trainer_add_branch(r->trainer, &branch, target));
    *prediction = *target;
    if (v->momentum) {
        branch.momentum = 1;
        branch.flags = SSLCV_PASS_TRAIN;
        OK(sslcv_trainer_add_branch(r->trainer, &branch, target));
    }
    if (v->predicts) {
        OK(sslcv_branch_init(&branch, sizeof branch));
        branch.source = *prediction;
        branch.heads = &predictor;
        branch.num_heads = 1;
        OK(sslcv_trainer_add_branch(r->trainer, &branch, prediction));
    }
    sslcv_head_destroy(predictor);
    sslcv_head_destroy(projection);
    sslcv_backbone_destroy(backbone);
}

static rig compose(const struct variant *v)
{
    sslcv_optimizer_options sgd;
    sslcv_trainer_options o;
    sslcv_schedule rate, ema;
    sslcv_loss *loss;
    int64_t inputs[2], swapped[2];
    rig r;

    r.context = make_f32_context();
    r.dataset = make_dataset(r.context, 3, 1);
    OK(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_CONSTANT, 0.1));
    OK(sslcv_schedule_init(&ema, sizeof ema, SSLCV_SCHEDULE_CONSTANT, 0.9));
    OK(sslcv_trainer_options_init(&o, sizeof o));
    OK(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    OK(sslcv_optimizer_create(r.context, &sgd, &o.optimizer));
    o.dataset = r.dataset;
    OK(sslcv_augmenter_create(r.context, &o.augmenter));
    OK(sslcv_augmenter_add_preset(o.augmenter, "simsiam-cifar", SIDE, NULL, NULL));
    o.learning_rate = &rate;
    o.ema_momentum = &ema;
    o.ema_when = SSLCV_EMA_AFTER_STEP;
    o.batch_size = SAMPLES;
    o.epochs = COLLAPSE_STEPS;
    o.seed = 5;
    OK(sslcv_trainer_create(r.context, &o, &r.trainer));
    sslcv_augmenter_destroy(o.augmenter);
    sslcv_optimizer_destroy(o.optimizer);
    add_branches(&r, v, &inputs[0], &inputs[1]);
    OK(sslcv_loss_create_cosine(r.context, NULL, &loss));
    OK(sslcv_trainer_add_loss(r.trainer, loss, inputs, 2, 1.0, NULL));
    if (v->both_learn) { /* the same value, whose gradient goes to the other */
        swapped[0] = inputs[1];
        swapped[1] = inputs[0];
        OK(sslcv_trainer_add_loss(r.trainer, loss, swapped, 2, 1.0, NULL));
    }
    sslcv_loss_destroy(loss);
    return r;
}

static int32_t count_event(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)trainer;
    (void)progress;
    ++*(int *)user;
    return 0;
}

/* All predictions meet their targets because all are one vector; the trainer says so. */
START_TEST(test_collapse)
{
    const struct variant *v = &variants[_i];
    rig r = compose(v);
    double loss, spread;
    sslcv_hook hook;
    int events = 0, i;

    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.user = &events;
    hook.call = count_event;
    hook.events = SSLCV_EVENT_COLLAPSE;
    OK(sslcv_trainer_add_hook(r.trainer, &hook));
    for (i = 0; i < COLLAPSE_STEPS; i++) step(&r);
    loss = metric(&r, "loss.0");
    spread = metric(&r, "embedding_std");
    if (v->collapses) {
        ck_assert_msg(loss < -0.99 && spread < 0.1 && events > 0, "%s: loss %g, spread %g", v->name, loss, spread);
    } else {
        ck_assert_msg(loss > -0.95 && spread > 0.4 && events == 0, "%s: loss %g, spread %g", v->name, loss, spread);
    }
    free_recipe(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("method_collapse");
    TCase *collapse = tcase_create("collapse");

    tcase_set_timeout(collapse, 60);
    tcase_add_loop_test(collapse, test_collapse, 0, (int)(sizeof variants / sizeof variants[0]));
    suite_add_tcase(suite, collapse);
    return run_suite(suite);
}
