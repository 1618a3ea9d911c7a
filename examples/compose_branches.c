/*
 * A method composed by hand: SimCLR, and beside it a classifier that learns from the labels without disturbing it.
 *
 *     compose_branches [EPOCHS]
 *
 * Shows the middle of the three levels. A branch says which views go through which networks, a loss names the branches
 * that are its inputs, and a branch may start from another branch:
 *
 *     branch 0: views {0, 1} -> backbone                                 the features, shared
 *     branch 1: branch 0 -> projection                                   -> InfoNCE
 *     branch 2: branch 0, detached -> classifier                         -> cross-entropy with the labels
 *
 * "Detached" cuts the gradient: the classifier sees the features, the features do not see the classifier. Its figures
 * tell during the run how much the network knows already.
 */
#include "synthetic.h"

#include <stdio.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

/** Everything that the trainer is made of. It keeps what it needs; these are our own references. */
typedef struct parts {
    sslcv_dataset *images;
    sslcv_augmenter *augmenter;
    sslcv_backbone *backbone;
    sslcv_head *projection, *classifier;
    sslcv_loss *contrast, *classes;
    sslcv_optimizer *optimizer;
} parts;

static void destroy_parts(parts *p)
{
    sslcv_optimizer_destroy(p->optimizer);
    sslcv_loss_destroy(p->classes);
    sslcv_loss_destroy(p->contrast);
    sslcv_head_destroy(p->classifier);
    sslcv_head_destroy(p->projection);
    sslcv_backbone_destroy(p->backbone);
    sslcv_augmenter_destroy(p->augmenter);
    sslcv_dataset_destroy(p->images);
}

static sslcv_status make_networks(sslcv_context *context, parts *p)
{
    sslcv_backbone_options net;
    sslcv_backbone_info info = {0};
    sslcv_mlp_options mlp;
    sslcv_status status;

    TRY(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
    net.stem = SSLCV_STEM_CIFAR;
    net.width = 0.25;
    TRY(sslcv_backbone_create(context, &net, &p->backbone));
    info.struct_size = sizeof info;
    TRY(sslcv_backbone_get_info(p->backbone, &info));

    TRY(sslcv_mlp_options_init(&mlp, sizeof mlp)); /* two layers with batch norm between */
    mlp.in_dim = info.feature_dim;
    mlp.out_dim = 32;
    TRY(sslcv_head_create_mlp(context, &mlp, &p->projection));
    mlp.num_layers = 1;
    mlp.out_dim = SYNTHETIC_CLASSES;
    TRY(sslcv_head_create_mlp(context, &mlp, &p->classifier));
end:
    return status;
}

static sslcv_status make_parts(sslcv_context *context, parts *p)
{
    sslcv_info_nce_options nce;
    sslcv_optimizer_options sgd;
    sslcv_status status;

    TRY(synthetic_dataset(context, 96, 32, 1, &p->images));
    TRY(sslcv_augmenter_create(context, &p->augmenter));
    TRY(sslcv_augmenter_add_preset(p->augmenter, "simclr-cifar", 32, NULL, NULL)); /* views 0 and 1 */
    TRY(make_networks(context, p));
    TRY(sslcv_info_nce_options_init(&nce, sizeof nce));
    nce.temperature = 0.5;
    TRY(sslcv_loss_create_info_nce(context, &nce, &p->contrast));
    TRY(sslcv_loss_create_cross_entropy(context, NULL, &p->classes));
    TRY(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    sgd.weight_decay = 5e-4;
    TRY(sslcv_optimizer_create(context, &sgd, &p->optimizer));
end:
    return status;
}

static sslcv_status compose(sslcv_context *context, const parts *p, int64_t epochs, sslcv_trainer **trainer)
{
    static const int64_t both[2] = {0, 1};
    sslcv_schedule rate;
    sslcv_trainer_options options;
    sslcv_branch branch;
    int64_t features, contrasted, classified;
    sslcv_status status;

    TRY(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, 0.06));
    TRY(sslcv_trainer_options_init(&options, sizeof options));
    options.dataset = p->images;
    options.augmenter = p->augmenter;
    options.optimizer = p->optimizer;
    options.learning_rate = &rate;
    options.batch_size = 32;
    options.epochs = epochs;
    TRY(sslcv_trainer_create(context, &options, trainer));

    TRY(sslcv_branch_init(&branch, sizeof branch));
    branch.views = both;
    branch.num_views = 2;
    branch.backbone = p->backbone;
    TRY(sslcv_trainer_add_branch(*trainer, &branch, &features));

    TRY(sslcv_branch_init(&branch, sizeof branch));
    branch.source = features;
    branch.heads = &p->projection;
    branch.num_heads = 1;
    TRY(sslcv_trainer_add_branch(*trainer, &branch, &contrasted));
    branch.heads = &p->classifier;
    branch.detach = 1;
    TRY(sslcv_trainer_add_branch(*trainer, &branch, &classified));

    TRY(sslcv_trainer_add_loss(*trainer, p->contrast, &contrasted, 1, 1.0, NULL));
    TRY(sslcv_trainer_add_loss(*trainer, p->classes, &classified, 1, 1.0, NULL));
end:
    return status;
}

static int32_t show(void *user, sslcv_trainer *trainer, const sslcv_progress *p)
{
    const char *name;
    double value;

    (void)user;
    printf("epoch %lld of %lld:", (long long)p->epoch + 1, (long long)p->num_epochs);
    for (int64_t i = 0; sslcv_trainer_get_metric(trainer, i, &name, &value) == SSLCV_OK; i++) {
        printf("  %s %.4g", name, value);
    }
    printf("\n");
    return 0;
}

int main(int argc, char **argv)
{
    const long epochs = argc > 1 ? strtol(argv[1], NULL, 10) : 3;
    sslcv_context *context = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_hook hook;
    parts p = {0};
    sslcv_status status;

    TRY(sslcv_context_create(NULL, &context));
    TRY(make_parts(context, &p));
    TRY(compose(context, &p, epochs, &trainer));
    TRY(sslcv_hook_init(&hook, sizeof hook));
    hook.call = show;
    hook.events = SSLCV_EVENT_EPOCH_END;
    TRY(sslcv_trainer_add_hook(trainer, &hook));
    TRY(sslcv_trainer_run(trainer, 0));

end:
    if (status != SSLCV_OK) fprintf(stderr, "%s: %s\n", sslcv_status_string(status), sslcv_last_error());
    sslcv_trainer_destroy(trainer);
    destroy_parts(&p);
    sslcv_context_destroy(context);
    return status == SSLCV_OK ? 0 : 1;
}
