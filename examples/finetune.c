/*
 * Fine-tune a pre-trained network with few labels, then judge it on images that it has not seen.
 *
 *     finetune TRAIN TEST WEIGHTS.safetensors [FRACTION [FROZEN [SIZE]]]     folders with a folder for each class
 *     finetune                                                               drawn pictures, a network as it is born
 *
 * FRACTION of the labels is used (0.1), the first FROZEN stages stay as they are (2: stem and layer1), SIZE is the crop
 * in pixels (224).
 *
 * Shows choosing a share of the labels, freezing stages, a learning rate of its own for the new classifier, and the
 * figures of a classifier: the logits of a data set are the features of a branch that ends in it.
 */
#include "synthetic.h"

#include <stdio.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

enum { TRAIN_VIEW, EVAL_VIEW, NUM_VIEWS };

/** What the command line says. */
typedef struct settings {
    const char *train_path, *test_path, *weights; /* NULL: drawn pictures, random weights */
    double fraction;
    int32_t frozen_stages;
    int64_t size;
} settings;

typedef struct model {
    sslcv_backbone *backbone;
    sslcv_head *classifier;
} model;

static sslcv_status open_labelled(sslcv_context *context, const char *path, uint64_t seed, sslcv_dataset **out)
{
    sslcv_dataset_options options;
    sslcv_status status;

    if (!path) return synthetic_dataset(context, 120, 32, seed, out);
    TRY(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_FOLDER));
    options.path = path;
    options.label_folders = 1;
    TRY(sslcv_dataset_create(context, &options, out));
end:
    return status;
}

/* The same share of every class; same options, same choice. */
static sslcv_status choose_few(sslcv_dataset *all, double fraction, sslcv_dataset **few)
{
    sslcv_split_options split;
    int64_t *indices = NULL, count;
    sslcv_status status;

    TRY(sslcv_split_options_init(&split, sizeof split));
    split.fraction = fraction;
    TRY(sslcv_dataset_split(all, &split, NULL, 0, &count)); /* only asks how many */
    indices = malloc((size_t)count * sizeof *indices);
    if (!indices) {
        status = SSLCV_ERR_OUT_OF_MEMORY;
        goto end;
    }
    TRY(sslcv_dataset_split(all, &split, indices, count, &count));
    TRY(sslcv_dataset_subset(all, indices, count, few));
    printf("%lld labelled images\n", (long long)count);
end:
    free(indices);
    return status;
}

static sslcv_status make_model(sslcv_context *context, const settings *s, int64_t num_classes, model *m)
{
    sslcv_backbone_options net;
    sslcv_backbone_info info = {0};
    sslcv_mlp_options mlp;
    sslcv_status status;

    if (s->weights) {
        TRY(sslcv_backbone_load(context, s->weights, NULL, &m->backbone));
    } else {
        TRY(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
        net.stem = SSLCV_STEM_CIFAR;
        net.width = 0.25;
        TRY(sslcv_backbone_create(context, &net, &m->backbone));
    }
    TRY(sslcv_backbone_freeze(m->backbone, s->frozen_stages));
    info.struct_size = sizeof info;
    TRY(sslcv_backbone_get_info(m->backbone, &info));
    TRY(sslcv_mlp_options_init(&mlp, sizeof mlp));
    mlp.num_layers = 1; /* one linear layer */
    mlp.in_dim = info.feature_dim;
    mlp.out_dim = num_classes;
    mlp.init_std = 0.01;
    TRY(sslcv_head_create_mlp(context, &mlp, &m->classifier));
end:
    return status;
}

/* What is new learns ten times as fast as what is pre-trained. */
static sslcv_status make_optimizer(sslcv_context *context, const model *m, sslcv_optimizer **optimizer)
{
    sslcv_state *states[2] = {NULL, NULL};
    sslcv_optimizer_options sgd;
    sslcv_optimizer_group fast;
    sslcv_status status;

    TRY(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    TRY(sslcv_optimizer_create(context, &sgd, optimizer));
    TRY(sslcv_optimizer_group_init(&fast, sizeof fast));
    fast.rate_scale = 10;
    TRY(sslcv_backbone_get_state(m->backbone, &states[0]));
    TRY(sslcv_head_get_state(m->classifier, &states[1]));
    TRY(sslcv_optimizer_add(*optimizer, states[0], SSLCV_ROLE_PARAMETERS, NULL));
    TRY(sslcv_optimizer_add(*optimizer, states[1], SSLCV_ROLE_PARAMETERS, &fast));
end:
    sslcv_state_destroy(states[1]);
    sslcv_state_destroy(states[0]);
    return status;
}

static sslcv_status describe_branch(const model *m, const int64_t *view, int32_t flags, sslcv_branch *branch)
{
    sslcv_status status;

    TRY(sslcv_branch_init(branch, sizeof *branch));
    branch->views = view;
    branch->num_views = 1;
    branch->backbone = m->backbone;
    branch->heads = &m->classifier;
    branch->num_heads = 1;
    branch->flags = flags;
end:
    return status;
}

static sslcv_status train(sslcv_context *context, const model *m, sslcv_dataset *few, sslcv_augmenter *augmenter)
{
    static const int64_t view = TRAIN_VIEW;
    sslcv_loss *loss = NULL;
    sslcv_optimizer *optimizer = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_schedule rate;
    sslcv_trainer_options options;
    sslcv_branch branch;
    int64_t input;
    sslcv_status status;

    TRY(sslcv_loss_create_cross_entropy(context, NULL, &loss));
    TRY(make_optimizer(context, m, &optimizer));
    TRY(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, 0.02));
    TRY(sslcv_trainer_options_init(&options, sizeof options));
    options.dataset = few;
    options.augmenter = augmenter;
    options.optimizer = optimizer;
    options.learning_rate = &rate;
    options.batch_size = 16;
    options.epochs = 15;
    TRY(sslcv_trainer_create(context, &options, &trainer));
    TRY(describe_branch(m, &view, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, &branch));
    TRY(sslcv_trainer_add_branch(trainer, &branch, &input));
    TRY(sslcv_trainer_add_loss(trainer, loss, &input, 1, 1.0, NULL));
    TRY(sslcv_trainer_run(trainer, 0));
end:
    sslcv_trainer_destroy(trainer);
    sslcv_optimizer_destroy(optimizer);
    sslcv_loss_destroy(loss);
    return status;
}

static sslcv_status judge(sslcv_context *context, const model *m, sslcv_dataset *test, sslcv_augmenter *augmenter)
{
    static const int64_t view = EVAL_VIEW;
    sslcv_branch branch;
    const sslcv_branch *branches = &branch;
    sslcv_embed_options embed;
    sslcv_tensor logits = {0};
    sslcv_metrics metrics = {0};
    int64_t *labels = NULL;
    sslcv_status status;

    TRY(describe_branch(m, &view, 0, &branch)); /* no flags: evaluation */
    TRY(sslcv_embed_options_init(&embed, sizeof embed));
    embed.dataset = test;
    embed.augmenter = augmenter;
    embed.branches = &branches;
    embed.num_branches = 1;
    TRY(sslcv_embed(&embed, &logits, NULL)); /* only asks for the shape: (images, classes) */
    logits.data = malloc((size_t)(logits.shape[0] * logits.shape[1]) * sizeof(float));
    labels = malloc((size_t)logits.shape[0] * sizeof *labels);
    if (!logits.data || !labels) {
        status = SSLCV_ERR_OUT_OF_MEMORY;
        goto end;
    }
    TRY(sslcv_embed(&embed, &logits, labels));
    metrics.struct_size = sizeof metrics;
    TRY(sslcv_metrics_compute(context, &logits, labels, &metrics, NULL));
    printf("right: %.1f %% of %lld test images (95 %% interval %.1f .. %.1f)\n", 100 * metrics.top1,
           (long long)metrics.count, 100 * metrics.top1_low, 100 * metrics.top1_high);
end:
    free(logits.data);
    free(labels);
    return status;
}

static sslcv_status run(sslcv_context *context, const settings *s)
{
    sslcv_dataset *train_set = NULL, *few = NULL, *test_set = NULL;
    sslcv_augmenter *augmenter = NULL;
    sslcv_dataset_info info = {0};
    model m = {NULL, NULL};
    sslcv_status status;

    TRY(open_labelled(context, s->train_path, 1, &train_set));
    TRY(open_labelled(context, s->test_path, 2, &test_set));
    TRY(choose_few(train_set, s->fraction, &few));
    TRY(sslcv_augmenter_create(context, &augmenter)); /* in the order of TRAIN_VIEW, EVAL_VIEW */
    TRY(sslcv_augmenter_add_preset(augmenter, "finetune", s->size, NULL, NULL));
    TRY(sslcv_augmenter_add_preset(augmenter, "eval", s->size, NULL, NULL));
    info.struct_size = sizeof info;
    TRY(sslcv_dataset_get_info(train_set, &info));
    TRY(make_model(context, s, info.num_classes, &m));
    TRY(train(context, &m, few, augmenter));
    TRY(judge(context, &m, test_set, augmenter));
end:
    sslcv_head_destroy(m.classifier);
    sslcv_backbone_destroy(m.backbone);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(few);
    sslcv_dataset_destroy(test_set);
    sslcv_dataset_destroy(train_set);
    return status;
}

int main(int argc, char **argv)
{
    settings s = {NULL, NULL, NULL, 0.2, 0, 32};
    sslcv_context *context = NULL;
    sslcv_status status;

    if (argc != 1 && (argc < 4 || argc > 7)) {
        fprintf(stderr, "usage: %s [TRAIN TEST WEIGHTS [FRACTION [FROZEN [SIZE]]]]\n", argv[0]);
        return 2;
    }
    if (argc > 1) {
        s.train_path = argv[1];
        s.test_path = argv[2];
        s.weights = argv[3];
        s.fraction = argc > 4 ? strtod(argv[4], NULL) : 0.1;
        s.frozen_stages = argc > 5 ? (int32_t)strtol(argv[5], NULL, 10) : 2;
        s.size = argc > 6 ? strtol(argv[6], NULL, 10) : 224;
    }
    if ((status = sslcv_context_create(NULL, &context)) == SSLCV_OK) status = run(context, &s);
    if (status != SSLCV_OK) fprintf(stderr, "%s: %s\n", sslcv_status_string(status), sslcv_last_error());
    sslcv_context_destroy(context);
    return status == SSLCV_OK ? 0 : 1;
}
