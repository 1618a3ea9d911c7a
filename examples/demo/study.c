#include "study.h"
#include "views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

enum {
    PRETRAIN_BATCH = 256,
    SUPERVISED_BATCH = 100,
    PROJECTION_DIM = 64,
    PROBE_STEPS = 1500, /* of each linear probe, however many labels it has */
    PROBE_BATCH = 256,
    KNN_TRAIN = 3000, /* images that vote in the score during training */
    KNN_TEST = 1000,  /* and that are judged by it */
    KNN_TIMES = 10    /* scores in a run */
};

/* ---- data ---- */

static const char *const default_path = "/usr/share/datasets/fashion-mnist";

/* FOLDER/NAME.gz, or FOLDER/NAME where it has been unpacked. */
static int find_file(const char *folder, const char *name, char *path, size_t size)
{
    static const char *const endings[2] = {".gz", ""};

    for (int i = 0; i < 2; i++) {
        FILE *file;

        if (snprintf(path, size, "%s/%s%s", folder, name, endings[i]) >= (int)size) return 0;
        file = fopen(path, "rb");
        if (file) {
            fclose(file);
            return 1;
        }
    }
    return 0;
}

static sslcv_status open_part(sslcv_context *context, const char *folder, const char *part, sslcv_dataset **out)
{
    char name[64], images[4096], labels[4096];
    sslcv_dataset_options options;
    sslcv_status status;

    snprintf(name, sizeof name, "%s-images-idx3-ubyte", part);
    if (!find_file(folder, name, images, sizeof images)) return SSLCV_ERR_NOT_FOUND;
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", part);
    if (!find_file(folder, name, labels, sizeof labels)) return SSLCV_ERR_NOT_FOUND;
    TRY(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_IDX));
    options.path = images;
    options.labels_path = labels;
    TRY(sslcv_dataset_create(context, &options, out));
end:
    return status;
}

static sslcv_status first_images(sslcv_dataset *all, int64_t count, sslcv_dataset **out)
{
    int64_t *indices = malloc((size_t)count * sizeof *indices);
    sslcv_status status;

    if (!indices) return SSLCV_ERR_OUT_OF_MEMORY;
    for (int64_t i = 0; i < count; i++) indices[i] = i;
    status = sslcv_dataset_subset(all, indices, count, out);
    free(indices);
    return status;
}

/* A share of every class, the same at every call. */
static sslcv_status choose_labelled(const study *s, double share, int64_t **indices, int64_t *count)
{
    sslcv_split_options split;
    int64_t *chosen = NULL;
    sslcv_status status;

    TRY(sslcv_split_options_init(&split, sizeof split));
    split.fraction = share;
    TRY(sslcv_dataset_split(s->train, &split, NULL, 0, count));
    chosen = malloc((size_t)*count * sizeof *chosen);
    if (!chosen) {
        status = SSLCV_ERR_OUT_OF_MEMORY;
        goto end;
    }
    TRY(sslcv_dataset_split(s->train, &split, chosen, *count, count));
    *indices = chosen;
    chosen = NULL;
end:
    free(chosen);
    return status;
}

sslcv_status study_count_labels(study *s, double share, int64_t *count)
{
    int64_t *indices = NULL;
    const sslcv_status status = choose_labelled(s, share, &indices, count);

    free(indices);
    return status;
}

sslcv_status study_picture(sslcv_dataset *dataset, int64_t index, unsigned char *pixels)
{
    const int64_t shape[3] = {1, STUDY_SIDE, STUDY_SIDE};
    sslcv_tensor image;
    sslcv_status status;

    TRY(sslcv_tensor_init(&image, SSLCV_U8, pixels, 3, shape));
    TRY(sslcv_dataset_read(dataset, index, &image));
end:
    return status;
}

const char *study_class_name(int64_t label)
{
    static const char *const names[STUDY_CLASSES] = {"T-shirt", "Trouser", "Pullover", "Dress", "Coat",
                                                     "Sandal",  "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

    return label >= 0 && label < STUDY_CLASSES ? names[label] : "";
}

/* ---- networks ---- */

/* At twice the size and with the stem of ImageNet's networks, which halves the image twice, the layers see maps of 14,
   7, 4 and 2 pixels: on a CPU five times as fast as a stem that keeps 28. */
static sslcv_status make_backbone(sslcv_context *context, sslcv_backbone **backbone)
{
    sslcv_backbone_options options;
    sslcv_status status;

    TRY(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));
    options.stem = SSLCV_STEM_IMAGENET;
    options.zero_init_residual = 0; /* else the untrained network has no more than its shortcuts */
    options.channels = 1;
    options.width = 0.25;
    TRY(sslcv_backbone_create(context, &options, backbone));
end:
    return status;
}

static sslcv_status make_head(sslcv_context *context, const sslcv_backbone *backbone, int32_t num_layers,
                              int64_t out_dim, sslcv_head **head)
{
    sslcv_backbone_info info = {0};
    sslcv_mlp_options options;
    sslcv_status status;

    info.struct_size = sizeof info;
    TRY(sslcv_backbone_get_info(backbone, &info));
    TRY(sslcv_mlp_options_init(&options, sizeof options));
    options.num_layers = num_layers;
    options.in_dim = info.feature_dim;
    options.out_dim = out_dim;
    TRY(sslcv_head_create_mlp(context, &options, head));
end:
    return status;
}

/* ---- training ---- */

/** What differs between the two ways of training. The trainer keeps what it needs. */
typedef struct training {
    sslcv_dataset *dataset;
    sslcv_augmenter *augmenter;
    sslcv_backbone *backbone;
    sslcv_head *head;
    sslcv_loss *loss;
    int64_t num_views, batch, epochs;
    double learning_rate;
} training;

static sslcv_status make_trainer(sslcv_context *context, const training *t, sslcv_trainer **out)
{
    static const int64_t views[2] = {0, 1};
    sslcv_optimizer_options adamw;
    sslcv_optimizer *optimizer = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_schedule rate;
    sslcv_trainer_options options;
    sslcv_branch branch;
    int64_t input;
    sslcv_status status;

    TRY(sslcv_optimizer_options_init(&adamw, sizeof adamw, SSLCV_OPTIMIZER_ADAMW));
    TRY(sslcv_optimizer_create(context, &adamw, &optimizer));
    TRY(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, t->learning_rate));
    TRY(sslcv_trainer_options_init(&options, sizeof options));
    options.dataset = t->dataset;
    options.augmenter = t->augmenter;
    options.optimizer = optimizer;
    options.learning_rate = &rate;
    options.batch_size = t->batch;
    options.epochs = t->epochs;
    TRY(sslcv_trainer_create(context, &options, &trainer));
    TRY(sslcv_branch_init(&branch, sizeof branch));
    branch.views = views;
    branch.num_views = t->num_views;
    branch.backbone = t->backbone;
    branch.heads = &t->head;
    branch.num_heads = 1;
    TRY(sslcv_trainer_add_branch(trainer, &branch, &input));
    TRY(sslcv_trainer_add_loss(trainer, t->loss, &input, 1, 1.0, NULL));
    *out = trainer;
    trainer = NULL;
end:
    sslcv_trainer_destroy(trainer);
    sslcv_optimizer_destroy(optimizer);
    return status;
}

static void training_free(training *t)
{
    sslcv_loss_destroy(t->loss);
    sslcv_head_destroy(t->head);
    sslcv_backbone_destroy(t->backbone);
    sslcv_augmenter_destroy(t->augmenter);
    sslcv_dataset_destroy(t->dataset);
}

/* SimCLR: two views of each image, one network, a projection, InfoNCE. */
static sslcv_status make_simclr(study *s, sslcv_backbone *backbone, sslcv_trainer **trainer)
{
    training t = {0};
    sslcv_info_nce_options nce;
    sslcv_status status;

    TRY(first_images(s->train, s->plan.pretrain_images, &t.dataset));
    TRY(views_contrast(s->context, &t.augmenter));
    TRY(make_head(s->context, backbone, 2, PROJECTION_DIM, &t.head));
    TRY(sslcv_info_nce_options_init(&nce, sizeof nce));
    nce.temperature = 0.2;
    TRY(sslcv_loss_create_info_nce(s->context, &nce, &t.loss));
    t.num_views = 2;
    t.batch = PRETRAIN_BATCH;
    t.epochs = s->plan.pretrain_epochs;
    t.learning_rate = 2e-3;
    TRY(sslcv_retain(backbone));
    t.backbone = backbone;
    TRY(make_trainer(s->context, &t, trainer));
end:
    training_free(&t);
    return status;
}

sslcv_status study_measure(study *s, double *seconds)
{
    enum { WARM_UP = 3, STEPS = 8 };
    sslcv_backbone *backbone = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_progress progress = {0};
    double before;
    sslcv_status status;

    TRY(make_backbone(s->context, &backbone));
    TRY(make_simclr(s, backbone, &trainer));
    progress.struct_size = sizeof progress;
    for (int i = 0; i < WARM_UP; i++) TRY(sslcv_trainer_step(trainer, &progress));
    before = progress.seconds;
    for (int i = 0; i < STEPS; i++) TRY(sslcv_trainer_step(trainer, &progress));
    *seconds = (progress.seconds - before) / STEPS;
end:
    sslcv_trainer_destroy(trainer);
    sslcv_backbone_destroy(backbone);
    return status;
}

/* ---- pre-training, watched ---- */

typedef struct monitor {
    study_watch watch;
    void *user;
    sslcv_probe *knn;
    sslcv_embed_options train, test;
    double score;
    int64_t every; /* steps from one score to the next */
} monitor;

/* Runs inside the trainer after each step. The labels serve this score and nothing else. */
static int32_t on_step(void *user, sslcv_trainer *trainer, const sslcv_progress *step)
{
    monitor *m = user;
    const int64_t left = step->num_steps - step->step;
    sslcv_metrics metrics = {0};
    study_progress progress = {step, m->score, 0};

    (void)trainer;
    if (left == 0 || (step->step % m->every == 0 && left >= m->every / 2)) {
        metrics.struct_size = sizeof metrics;
        if (sslcv_probe_evaluate(m->knn, &m->train, &m->test, &metrics) != SSLCV_OK) return 1;
        m->score = progress.knn = metrics.top1;
        progress.knn_new = 1;
    }
    m->watch(m->user, &progress);
    return 0;
}

static sslcv_status describe_embedding(sslcv_dataset *dataset, sslcv_augmenter *augmenter,
                                       const sslcv_branch *const *branches, sslcv_embed_options *options)
{
    sslcv_status status;

    TRY(sslcv_embed_options_init(options, sizeof *options));
    options->dataset = dataset;
    options->augmenter = augmenter;
    options->branches = branches;
    options->num_branches = 1;
end:
    return status;
}

/* What is taken from the network: one of the following. */
typedef enum output {
    OUTPUT_PIXELS, /* nothing: the image itself */
    OUTPUT_MAP,    /* the map in the middle, where what and where are both known: for the linear classifier */
    OUTPUT_VECTOR, /* the mean of the last map, which the projection is made from: for looking alike */
    OUTPUT_LOGITS  /* what a classifier makes of that */
} output;

static sslcv_status describe_branch(output wanted, sslcv_backbone *backbone, sslcv_head *const *head,
                                    sslcv_branch *branch)
{
    static const int64_t view = 0;
    sslcv_status status;

    TRY(sslcv_branch_init(branch, sizeof *branch));
    branch->views = &view;
    branch->num_views = 1;
    branch->backbone = wanted == OUTPUT_PIXELS ? NULL : backbone;
    branch->heads = head;
    branch->num_heads = wanted == OUTPUT_LOGITS ? 1 : 0;
    branch->stage = wanted == OUTPUT_MAP ? "layer2" : NULL;
    branch->flags = wanted == OUTPUT_MAP ? SSLCV_PASS_MAP : 0; /* without the others: evaluation */
end:
    return status;
}

static sslcv_status make_knn(sslcv_context *context, sslcv_probe **knn)
{
    sslcv_probe_options options;
    sslcv_status status;

    TRY(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_KNN));
    options.neighbors = 20;
    TRY(sslcv_probe_create(context, &options, knn));
end:
    return status;
}

sslcv_status study_pretrain(study *s, study_watch watch, void *user)
{
    monitor m = {0};
    sslcv_augmenter *plain = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_branch branch;
    const sslcv_branch *branches = &branch;
    sslcv_hook hook;
    const int64_t steps = s->plan.pretrain_images / PRETRAIN_BATCH * s->plan.pretrain_epochs;
    sslcv_status status;

    TRY(views_plain(s->context, 1, &plain));
    TRY(describe_branch(OUTPUT_VECTOR, s->network, NULL, &branch));
    TRY(describe_embedding(s->train, plain, &branches, &m.train));
    TRY(describe_embedding(s->test, plain, &branches, &m.test));
    TRY(make_knn(s->context, &m.knn));
    m.train.count = KNN_TRAIN;
    m.test.count = KNN_TEST;
    m.score = -1;
    m.every = steps / KNN_TIMES > 0 ? steps / KNN_TIMES : 1;
    m.watch = watch;
    m.user = user;

    TRY(make_simclr(s, s->network, &trainer));
    TRY(sslcv_hook_init(&hook, sizeof hook));
    hook.user = &m;
    hook.call = on_step;
    TRY(sslcv_trainer_add_hook(trainer, &hook));
    TRY(sslcv_trainer_run(trainer, 0));
end:
    sslcv_trainer_destroy(trainer);
    sslcv_probe_destroy(m.knn);
    sslcv_augmenter_destroy(plain);
    return status;
}

/* ---- features ---- */

void study_features_free(study_features *features)
{
    free(features->values.data);
    free(features->labels);
    memset(features, 0, sizeof *features);
}

static sslcv_status allocate_features(study_features *features)
{
    const sslcv_tensor *values = &features->values; /* of a known shape, without memory */
    const size_t rows = (size_t)values->shape[0], row_size = (size_t)values->shape[1] * sizeof(float);

    features->values.data = malloc(rows * row_size);
    features->labels = malloc(rows * sizeof *features->labels);
    return features->values.data && features->labels ? SSLCV_OK : SSLCV_ERR_OUT_OF_MEMORY;
}

static sslcv_status embed(study *s, output wanted, sslcv_backbone *backbone, sslcv_head *head, sslcv_dataset *dataset,
                          study_features *out)
{
    sslcv_augmenter *plain = NULL;
    sslcv_branch branch;
    const sslcv_branch *branches = &branch;
    sslcv_embed_options options;
    study_features features = {0};
    sslcv_status status;

    TRY(views_plain(s->context, wanted != OUTPUT_PIXELS, &plain));
    TRY(describe_branch(wanted, backbone, &head, &branch));
    TRY(describe_embedding(dataset, plain, &branches, &options));
    TRY(sslcv_embed(&options, &features.values, NULL)); /* only asks for the shape */
    TRY(allocate_features(&features));
    TRY(sslcv_embed(&options, &features.values, features.labels));
    *out = features;
    memset(&features, 0, sizeof features);
end:
    study_features_free(&features);
    sslcv_augmenter_destroy(plain);
    return status;
}

sslcv_status study_embed(study *s, study_kind kind, study_features *train, study_features *test)
{
    static const output outputs[] = {OUTPUT_PIXELS, OUTPUT_MAP, OUTPUT_VECTOR};
    sslcv_status status;

    TRY(embed(s, outputs[kind], s->network, NULL, s->train, train));
    TRY(embed(s, outputs[kind], s->network, NULL, s->test, test));
end:
    return status;
}

/* ---- judging ---- */

/* Scores of the test images: (count, classes). */
static sslcv_status judge(study *s, const sslcv_tensor *scores, const int64_t *labels, double *accuracy)
{
    sslcv_metrics metrics = {0};
    sslcv_status status;

    metrics.struct_size = sizeof metrics;
    TRY(sslcv_metrics_compute(s->context, scores, labels, &metrics, NULL));
    *accuracy = metrics.top1;
end:
    return status;
}

static sslcv_status choose_rows(const study_features *all, const int64_t *indices, int64_t count, study_features *few)
{
    const int64_t shape[2] = {count, all->values.shape[1]};
    const size_t row_size = (size_t)shape[1] * sizeof(float);
    sslcv_status status;

    TRY(sslcv_tensor_init(&few->values, SSLCV_F32, NULL, 2, shape));
    TRY(allocate_features(few));
    for (int64_t i = 0; i < count; i++) {
        memcpy((char *)few->values.data + (size_t)i * row_size,
               (const char *)all->values.data + (size_t)indices[i] * row_size, row_size);
        few->labels[i] = all->labels[indices[i]];
    }
end:
    return status;
}

/* The same for all rows of the table. As many steps whatever the number of labels; a penalty that is one prior on the
   weights whatever the number of labels; a rate that falls with the number of features, as the largest curvature of
   the loss on standardised features grows with it. */
static sslcv_status make_linear_probe(study *s, int64_t labels, int64_t dim, sslcv_probe **probe)
{
    const int64_t batches = (labels + PROBE_BATCH - 1) / PROBE_BATCH;
    sslcv_probe_options options;
    sslcv_schedule rate;
    sslcv_status status;

    TRY(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, 4.0 / (double)dim));
    TRY(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_LINEAR));
    options.standardize = SSLCV_STANDARDIZE_SPREAD;
    options.batch_size = PROBE_BATCH;
    options.epochs = (PROBE_STEPS + batches - 1) / batches;
    options.learning_rate = &rate;
    options.weight_decay = 20.0 / (double)labels;
    TRY(sslcv_probe_create(s->context, &options, probe));
end:
    return status;
}

sslcv_status study_probe(study *s, const study_features *train, const study_features *test, double share,
                         double *accuracy)
{
    const int64_t shape[2] = {test->values.shape[0], STUDY_CLASSES};
    float *memory = malloc((size_t)(shape[0] * shape[1]) * sizeof *memory);
    study_features few = {0};
    int64_t *indices = NULL, count;
    sslcv_probe *probe = NULL;
    sslcv_tensor scores;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;

    if (!memory) goto end;
    TRY(choose_labelled(s, share, &indices, &count));
    TRY(make_linear_probe(s, count, train->values.shape[1], &probe));
    if (count == train->values.shape[0]) {
        TRY(sslcv_probe_fit(probe, &train->values, train->labels));
    } else {
        TRY(choose_rows(train, indices, count, &few));
        TRY(sslcv_probe_fit(probe, &few.values, few.labels));
    }
    TRY(sslcv_tensor_init(&scores, SSLCV_F32, memory, 2, shape));
    TRY(sslcv_probe_predict(probe, &test->values, &scores));
    TRY(judge(s, &scores, test->labels, accuracy));
end:
    sslcv_probe_destroy(probe);
    study_features_free(&few);
    free(indices);
    free(memory);
    return status;
}

sslcv_status study_supervised(study *s, double share, double *accuracy)
{
    training t = {0};
    study_features logits = {0};
    sslcv_trainer *trainer = NULL;
    int64_t *indices = NULL, count;
    sslcv_status status;

    TRY(choose_labelled(s, share, &indices, &count));
    TRY(sslcv_dataset_subset(s->train, indices, count, &t.dataset));
    TRY(views_supervised(s->context, &t.augmenter));
    TRY(make_backbone(s->context, &t.backbone));
    TRY(make_head(s->context, t.backbone, 1, STUDY_CLASSES, &t.head));
    TRY(sslcv_loss_create_cross_entropy(s->context, NULL, &t.loss));
    t.num_views = 1;
    t.batch = SUPERVISED_BATCH;
    t.epochs = s->plan.supervised_steps / (count / t.batch);
    if (t.epochs < 1) t.epochs = 1;
    t.learning_rate = 2e-3;
    TRY(make_trainer(s->context, &t, &trainer));
    TRY(sslcv_trainer_run(trainer, 0));
    TRY(embed(s, OUTPUT_LOGITS, t.backbone, t.head, s->test, &logits));
    TRY(judge(s, &logits.values, logits.labels, accuracy));
end:
    study_features_free(&logits);
    sslcv_trainer_destroy(trainer);
    training_free(&t);
    free(indices);
    return status;
}

sslcv_status study_nearest(study *s, const study_features *train, const study_features *test, const int64_t *queries,
                           int64_t count, int64_t k, int64_t *indices, float *similarities)
{
    study_features chosen = {0};
    sslcv_status status;

    TRY(choose_rows(test, queries, count, &chosen));
    TRY(sslcv_nearest(s->context, &train->values, &chosen.values, k, indices, similarities));
end:
    study_features_free(&chosen);
    return status;
}

/* ---- open, close, save ---- */

sslcv_status study_open(study *s, const char *path, const study_plan *plan)
{
    sslcv_context_options options;
    sslcv_dataset *all = NULL;
    sslcv_status status;

    s->plan = *plan;
    TRY(sslcv_context_options_init(&options, sizeof options));
    options.seed = 1;
    TRY(sslcv_context_create(&options, &s->context));
    TRY(open_part(s->context, path ? path : default_path, "train", &all));
    TRY(open_part(s->context, path ? path : default_path, "t10k", &s->test));
    TRY(first_images(all, plan->train_images, &s->train));
    TRY(make_backbone(s->context, &s->network));
end:
    sslcv_dataset_destroy(all);
    return status;
}

void study_close(study *s)
{
    sslcv_backbone_destroy(s->network);
    sslcv_dataset_destroy(s->test);
    sslcv_dataset_destroy(s->train);
    sslcv_context_destroy(s->context);
    memset(s, 0, sizeof *s);
}

void study_cancel(study *s)
{
    if (s->context) sslcv_context_cancel(s->context, 1);
}

sslcv_status study_save(study *s, const char *path)
{
    sslcv_state *weights = NULL;
    sslcv_status status;

    TRY(sslcv_backbone_get_state(s->network, &weights));
    TRY(sslcv_state_save(weights, path, NULL));
end:
    sslcv_state_destroy(weights);
    return status;
}
