/** One cycle of soak.c: what a host may do with the library, from the first handle to the last. */
#ifndef SSLCV__TESTS_SOAK_CYCLE_H
#define SSLCV__TESTS_SOAK_CYCLE_H

#include "../../examples/synthetic.h"
#include "../bench/bench.h"

#include <sys/stat.h>

enum { SAMPLES = 24, SIDE = 32, CROPS = 3, MAX_BATCH = 16, DIM = 16, PATH_BYTES = 256 };

static const int64_t crop_sizes[CROPS] = {16, 24, 32}, batches[4] = {6, 8, 12, MAX_BATCH};

typedef struct soak {
    char folder[64];
    int32_t threads;
    sslcv_context *context;                         /* the one that stays */
    unsigned char pixels[SAMPLES][SIDE * SIDE * 3]; /* interleaved */
} soak;

/** What a cycle makes, so that one place destroys it. NULL: not made. */
typedef struct world {
    sslcv_context *context;
    sslcv_dataset *dataset;
    sslcv_augmenter *augmenter, *plain;
    sslcv_trainer *trainer;
    sslcv_backbone *backbone, *other;
    sslcv_state *state, *opened;
    sslcv_scalars *lines, *events;
    sslcv_probe *probe;
    sslcv_loader *loader;
    sslcv_head *head, *copy;
    sslcv_tape *tape, *head_tape;
    sslcv_loss *loss;
    sslcv_optimizer *optimizer;
} world;

/* In an order that changes: none matters. */
static inline void destroy_world(const soak *s, world *w, int64_t cycle)
{
    if (cycle % 2 && w->context != s->context) sslcv_context_destroy(w->context);
    if (cycle % 3) sslcv_dataset_destroy(w->dataset);
    sslcv_optimizer_destroy(w->optimizer);
    sslcv_loss_destroy(w->loss);
    sslcv_tape_destroy(w->head_tape);
    sslcv_tape_destroy(w->tape);
    sslcv_head_destroy(w->copy);
    sslcv_head_destroy(w->head);
    sslcv_loader_destroy(w->loader);
    sslcv_probe_destroy(w->probe);
    sslcv_scalars_destroy(w->events);
    sslcv_scalars_destroy(w->lines);
    sslcv_state_destroy(w->opened);
    sslcv_state_destroy(w->state);
    sslcv_backbone_destroy(w->other);
    sslcv_backbone_destroy(w->backbone);
    sslcv_trainer_destroy(w->trainer);
    sslcv_augmenter_destroy(w->plain);
    sslcv_augmenter_destroy(w->augmenter);
    if (cycle % 3 == 0) sslcv_dataset_destroy(w->dataset);
    if (cycle % 2 == 0 && w->context != s->context) sslcv_context_destroy(w->context);
}

static inline const char *in_folder(const soak *s, const char *name, char *path)
{
    snprintf(path, PATH_BYTES, "%s/%s", s->folder, name);
    return path;
}

/* ---- begin and end ---- */

/* The images once more as files: a folder for each class. */
static inline int write_images(soak *s)
{
    char path[PATH_BYTES], name[64];
    uint64_t random = 1;
    int64_t i;

    mkdir(in_folder(s, "images", path), 0700);
    for (i = 0; i < SAMPLES; i++) {
        FILE *file;

        synthetic_draw(s->pixels[i], SIDE, SIDE * 3, i % SYNTHETIC_CLASSES, &random);
        snprintf(name, sizeof name, "images/%d", (int)(i % SYNTHETIC_CLASSES));
        mkdir(in_folder(s, name, path), 0700);
        snprintf(name, sizeof name, "images/%d/%02d.ppm", (int)(i % SYNTHETIC_CLASSES), (int)i);
        if ((file = fopen(in_folder(s, name, path), "wb")) == NULL) return 0;
        fprintf(file, "P6\n%d %d\n255\n", SIDE, SIDE);
        fwrite(s->pixels[i], 1, sizeof s->pixels[i], file);
        if (fclose(file) != 0) return 0;
    }
    return 1;
}

static inline sslcv_status make_context(const soak *s, sslcv_context **context)
{
    sslcv_context_options o;
    sslcv_status status;

    TRY(sslcv_context_options_init(&o, sizeof o));
    o.threads = s->threads;
    o.loader_threads = s->threads;
    o.seed = 3;
    TRY(sslcv_context_create(&o, context));
end:
    return status;
}

static inline sslcv_status soak_begin(soak *s)
{
    if (!write_images(s)) return SSLCV_ERR_IO;
    return make_context(s, &s->context);
}

static inline void soak_end(soak *s)
{
    sslcv_context_destroy(s->context);
}

/* ---- images ---- */

static inline int32_t load_image(void *user, int64_t index, sslcv_tensor *image)
{
    soak *s = user;

    return sslcv_tensor_init_pixels(image, SSLCV_U8, s->pixels[index], SIDE, SIDE, 3, 0, SSLCV_PIXELS_RGB) != SSLCV_OK;
}

static inline void unload_image(void *user, int64_t index, const sslcv_tensor *image)
{
    (void)user, (void)index, (void)image;
}

static inline int32_t get_label(void *user, int64_t index, int64_t *label)
{
    (void)user;
    *label = index % SYNTHETIC_CLASSES;
    return 0;
}

/* Arrays, a folder or callbacks. */
static inline sslcv_status make_dataset(soak *s, int64_t cycle, world *w)
{
    sslcv_dataset_callbacks callbacks = {.struct_size = sizeof callbacks, .user = s, .load = load_image};
    char path[PATH_BYTES];
    sslcv_dataset_options o;
    sslcv_status status;

    if (cycle % 3 == 0) return synthetic_dataset(w->context, SAMPLES, SIDE, 1, &w->dataset);
    TRY(sslcv_dataset_options_init(&o, sizeof o, cycle % 3 == 1 ? SSLCV_DATASET_FOLDER : SSLCV_DATASET_CALLBACK));
    if (cycle % 3 == 1) {
        o.path = in_folder(s, "images", path);
        o.label_folders = 1;
        o.cache = cycle % 2 != 0;
    } else {
        callbacks.unload = unload_image;
        callbacks.get_label = get_label;
        callbacks.flags = SSLCV_CALLBACK_ANY_THREAD;
        o.callbacks = &callbacks;
        o.count = SAMPLES;
        o.num_classes = SYNTHETIC_CLASSES;
    }
    TRY(sslcv_dataset_create(w->context, &o, &w->dataset));
end:
    return status;
}

/* Two views of each crop size. */
static inline sslcv_status make_views(world *w)
{
    sslcv_status status;
    int i;

    TRY(sslcv_augmenter_create(w->context, &w->augmenter));
    for (i = 0; i < CROPS; i++) {
        TRY(sslcv_augmenter_add_preset(w->augmenter, "simclr-cifar", crop_sizes[CROPS - 1 - i], NULL, NULL));
    }
    TRY(sslcv_augmenter_create(w->context, &w->plain));
    TRY(sslcv_augmenter_add_preset(w->plain, "eval-cifar", SIDE, NULL, NULL));
end:
    return status;
}

/* ---- a recipe ---- */

/* What is small and still allowed; recipes that are not here take what all take. Sizes: of the three. */
static const struct {
    const char *method, *settings;
    int64_t sizes[CROPS];
} small[] = {
    {"moco-v1", "out_dim=32 queue_size=48 bn_splits=1", {16, 24, 32}},
    {"moco-v2", "out_dim=32 queue_size=48 bn_splits=1", {16, 24, 32}},
    {"byol", "hidden_dim=64 out_dim=32", {16, 24, 32}},
    {"simsiam", "hidden_dim=64 out_dim=64 predictor_dim=16", {16, 24, 32}},
    {"swav", "out_dim=32 prototypes=16", {16, 24, 32}},
    {"barlow-twins", "hidden_dim=64 out_dim=32", {16, 24, 32}},
    {"vicreg", "hidden_dim=64 out_dim=32 warmup_epochs=0", {16, 24, 32}},
    {"dino", "hidden_dim=64 out_dim=32 prototypes=32", {16, 24, 32}},
    {"cpc-v2", "", {24, 30, 36}},
    {"pirl", "", {18, 24, 30}},
    {"deepcluster", "clusters=4", {16, 24, 32}},
    {"deepcluster-v2", "out_dim=32 prototypes=4", {16, 24, 32}},
};
enum { NUM_SMALL = sizeof small / sizeof small[0] };

static inline sslcv_status make_recipe(const soak *s, const char *method, int64_t cycle, int64_t turn, world *w)
{
    const int multicrop = strcmp(method, "swav") == 0 || strcmp(method, "dino") == 0;
    const int64_t batch = batches[cycle % 4];
    const char *own = "";
    int64_t size = crop_sizes[turn % CROPS];
    char settings[256], path[PATH_BYTES], crop[32] = ""; /* an augmenter brings its own sizes */
    sslcv_method_options o;
    sslcv_status status;
    int i;

    for (i = 0; i < NUM_SMALL; i++) {
        if (strcmp(small[i].method, method) != 0) continue;
        own = small[i].settings;
        size = small[i].sizes[turn % CROPS];
    }
    if (!multicrop) snprintf(crop, sizeof crop, "size=%d", (int)size);
    snprintf(settings, sizeof settings, "epochs=2 width=0.0625 batch=%d prefetch=%d %s %s", (int)batch,
             (int)(cycle % 3), crop, own);
    TRY(sslcv_method_options_init(&o, sizeof o));
    o.dataset = w->dataset;
    o.settings = settings;
    o.seed = (uint64_t)cycle + 1;
    if (multicrop) o.augmenter = w->augmenter;
    o.checkpoint_path = in_folder(s, "run.safetensors", path);
    TRY(sslcv_method_create(w->context, method, &o, &w->trainer));
end:
    return status;
}

/* To the end of an epoch with hooks, saved; then a second trainer, which goes on from that. */
static inline sslcv_status pretrain(const soak *s, const char *method, int64_t cycle, int64_t turn, world *w)
{
    sslcv_save_options save;
    char path[PATH_BYTES], name[PATH_BYTES];
    sslcv_status status;

    TRY(make_recipe(s, method, cycle, turn, w));
    unlink(in_folder(s, "scalars.jsonl", path));
    TRY(sslcv_scalars_open(w->context, SSLCV_SCALARS_JSON_LINES, path, &w->lines));
    TRY(sslcv_scalars_watch(w->lines, w->trainer, 1));
    TRY(sslcv_scalars_open(w->context, SSLCV_SCALARS_TENSORBOARD, in_folder(s, "events", path), &w->events));
    TRY(sslcv_scalars_watch(w->events, w->trainer, 1));
    TRY(sslcv_trainer_run(w->trainer, SAMPLES / batches[cycle % 4]));
    TRY(sslcv_trainer_get_state(w->trainer, &w->state));
    TRY(sslcv_state_save(w->state, in_folder(s, "between.safetensors", path), NULL));
    sslcv_state_destroy(w->state);
    w->state = NULL;
    sslcv_trainer_destroy(w->trainer);
    w->trainer = NULL;

    TRY(make_recipe(s, method, cycle, turn, w));
    TRY(sslcv_trainer_get_state(w->trainer, &w->state));
    TRY(sslcv_state_load(w->state, path, NULL, NULL));
    TRY(sslcv_trainer_run(w->trainer, 0));
    TRY(sslcv_trainer_get_backbone(w->trainer, 0, 0, &w->backbone));
    sslcv_state_destroy(w->state);
    w->state = NULL;
    TRY(sslcv_backbone_get_state(w->backbone, &w->state));
    TRY(sslcv_save_options_init(&save, sizeof save));
    save.format = SSLCV_FORMAT_NPZ;
    TRY(sslcv_state_save(w->state, in_folder(s, "backbone.npz", name), &save));
    TRY(sslcv_state_open(w->context, name, NULL, &w->opened));
    TRY(sslcv_state_save(w->state, in_folder(s, "backbone.safetensors", name), NULL));
    TRY(sslcv_backbone_load(w->context, name, NULL, &w->other));
end:
    return status;
}

/* ---- a loop of the host's own ---- */

static inline sslcv_status make_own(int64_t cycle, world *w)
{
    static const int32_t optimizers[] = {SSLCV_OPTIMIZER_SGD, SSLCV_OPTIMIZER_LARS, SSLCV_OPTIMIZER_LARC,
                                         SSLCV_OPTIMIZER_ADAM, SSLCV_OPTIMIZER_ADAMW};
    sslcv_backbone_options net;
    sslcv_optimizer_options descent;
    sslcv_loader_options load;
    sslcv_mlp_options mlp;
    sslcv_status status;

    TRY(sslcv_backbone_options_init(&net, sizeof net,
                                    cycle % 4 == 1 ? SSLCV_BACKBONE_RESNET50 : SSLCV_BACKBONE_RESNET18));
    net.stem = SSLCV_STEM_CIFAR;
    net.width = 0.0625;
    net.norm = cycle % 5 == 1 ? SSLCV_NORM_LAYER : SSLCV_NORM_BATCH;
    sslcv_backbone_destroy(w->backbone);
    w->backbone = NULL;
    TRY(sslcv_backbone_create(w->context, &net, &w->backbone));
    TRY(sslcv_mlp_options_init(&mlp, sizeof mlp));
    mlp.in_dim = cycle % 4 == 1 ? 128 : 32;
    mlp.out_dim = DIM;
    TRY(sslcv_head_create_mlp(w->context, &mlp, &w->head));
    TRY(sslcv_head_clone(w->head, &w->copy));
    TRY(sslcv_tape_create(w->context, &w->tape));
    TRY(sslcv_tape_create(w->context, &w->head_tape));
    TRY(sslcv_loss_create_info_nce(w->context, NULL, &w->loss));
    TRY(sslcv_optimizer_options_init(&descent, sizeof descent, optimizers[cycle % 5]));
    TRY(sslcv_optimizer_create(w->context, &descent, &w->optimizer));
    sslcv_state_destroy(w->state);
    w->state = NULL;
    TRY(sslcv_backbone_get_state(w->backbone, &w->state));
    TRY(sslcv_optimizer_add(w->optimizer, w->state, SSLCV_ROLE_PARAMETERS, NULL));
    TRY(sslcv_loader_options_init(&load, sizeof load));
    load.dataset = w->dataset;
    load.augmenter = w->augmenter;
    load.batch_size = batches[cycle % 4];
    load.drop_last = 0; /* the last batch is another one */
    TRY(sslcv_loader_create(w->context, &load, &w->loader));
end:
    return status;
}

/* All tapes of all crop sizes are one: it is made for other shapes each time. */
static inline sslcv_status own_loop(int64_t cycle, world *w)
{
    static float gradient[2 * MAX_BATCH * DIM];
    sslcv_batch batch = {.struct_size = sizeof batch};
    int64_t i, k;
    sslcv_status status;

    TRY(make_own(cycle, w));
    for (i = 0; i * batches[cycle % 4] < SAMPLES; i++) {
        TRY(sslcv_loader_next(w->loader, &batch));
        for (k = 0; k < CROPS; k++) {
            const int64_t views[2] = {2 * k, 2 * k + 1}, shape[3] = {2, batch.size, DIM};
            sslcv_tensor images, features, rows, diff_rows, diff_features;
            sslcv_loss_call call;

            TRY(sslcv_loader_get_views(w->loader, views, 2, &images));
            TRY(sslcv_backbone_forward(w->backbone, &images, NULL, w->tape));
            TRY(sslcv_tape_output(w->tape, &features));
            TRY(sslcv_head_forward(w->head, &features, NULL, w->head_tape));
            TRY(sslcv_tape_output(w->head_tape, &rows));
            TRY(sslcv_tensor_init(&rows, SSLCV_F32, rows.data, 3, shape));
            TRY(sslcv_tensor_init(&diff_rows, SSLCV_F32, gradient, 3, shape));
            TRY(sslcv_loss_call_init(&call, sizeof call));
            call.inputs = &rows;
            call.diff_inputs = &diff_rows;
            call.num_inputs = 1;
            TRY(sslcv_loss_compute(w->loss, &call));
            TRY(sslcv_tape_backward(w->head_tape, &diff_rows));
            TRY(sslcv_tape_diff_input(w->head_tape, &diff_features));
            TRY(sslcv_tape_backward(w->tape, &diff_features));
        }
        TRY(sslcv_optimizer_step(w->optimizer, 1e-3, -1.0));
    }
end:
    return status;
}

/* ---- what is looked at ---- */

static inline sslcv_status evaluate(const soak *s, int64_t cycle, world *w)
{
    static const int32_t kinds[3] = {SSLCV_PROBE_KNN, SSLCV_PROBE_LINEAR, SSLCV_PROBE_LOGISTIC};
    static const int64_t view = 0;
    sslcv_metrics metrics = {.struct_size = sizeof metrics};
    sslcv_probe_options probe;
    sslcv_embed_options embed, train, test;
    sslcv_branch branch;
    const sslcv_branch *const branches[1] = {&branch};
    char features[PATH_BYTES], labels[PATH_BYTES];
    sslcv_status status;

    TRY(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.backbone = w->backbone;
    branch.flags = 0;
    TRY(sslcv_embed_options_init(&embed, sizeof embed));
    embed.dataset = w->dataset;
    embed.augmenter = w->plain;
    embed.branches = branches;
    embed.num_branches = 1;
    embed.batch_size = 1 + cycle % SAMPLES;
    TRY(sslcv_embed_to_file(&embed, in_folder(s, "features.npy", features), in_folder(s, "labels.npy", labels)));
    sslcv_state_destroy(w->opened);
    w->opened = NULL;
    TRY(sslcv_state_open(w->context, features, NULL, &w->opened));
    TRY(sslcv_probe_options_init(&probe, sizeof probe, kinds[cycle % 3]));
    probe.neighbors = 5;
    probe.epochs = 3;
    probe.c_count = 3;
    TRY(sslcv_probe_create(w->context, &probe, &w->probe));
    train = test = embed;
    train.count = test.first = SAMPLES / 2;
    TRY(sslcv_probe_evaluate(w->probe, &train, &test, &metrics));
end:
    return status;
}

static inline sslcv_status group(world *w)
{
    float rows[SAMPLES * DIM], centroids[4 * DIM], reduced[SAMPLES * 8], similarities[SAMPLES * 3];
    const int64_t row_shape[2] = {SAMPLES, DIM}, centroid_shape[2] = {4, DIM}, reduced_shape[2] = {SAMPLES, 8};
    int64_t assignments[SAMPLES], nearest[SAMPLES * 3], i;
    sslcv_spread spread = {.struct_size = sizeof spread};
    sslcv_kmeans_options kmeans;
    sslcv_tensor a, b, c;
    uint64_t random = 9;
    double objective;
    sslcv_status status;

    for (i = 0; i < SAMPLES * DIM; i++) rows[i] = (float)synthetic_random(&random, 1000) / 1000.0f;
    TRY(sslcv_tensor_init(&a, SSLCV_F32, rows, 2, row_shape));
    TRY(sslcv_tensor_init(&b, SSLCV_F32, centroids, 2, centroid_shape));
    TRY(sslcv_tensor_init(&c, SSLCV_F32, reduced, 2, reduced_shape));
    TRY(sslcv_kmeans_options_init(&kmeans, sizeof kmeans));
    kmeans.clusters = 4;
    TRY(sslcv_kmeans(w->context, &a, &kmeans, &b, assignments, &objective));
    TRY(sslcv_pca_whiten(w->context, &a, 1, &c));
    TRY(sslcv_spread_compute(w->context, &a, &spread));
    TRY(sslcv_nearest(w->context, &a, &a, 3, nearest, similarities));
end:
    return status;
}

/* ---- calls that fail, each on its way ---- */

static inline sslcv_status wants(sslcv_status given, sslcv_status wanted)
{
    if (given == wanted) return SSLCV_OK;
    fprintf(stderr, "a call gives %s where %s is due\n", sslcv_status_string(given), sslcv_status_string(wanted));
    return given == SSLCV_OK ? SSLCV_ERR_STATE : given;
}

static inline sslcv_status fail(const soak *s, int64_t cycle, world *w)
{
    sslcv_state *none = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_method_options o;
    char path[PATH_BYTES];
    sslcv_status status;
    FILE *file;

    TRY(wants(sslcv_state_open(w->context, in_folder(s, "none", path), NULL, &none), SSLCV_ERR_NOT_FOUND));
    in_folder(s, "between.safetensors", path);
    if (truncate(path, 1000 + cycle % 1000) != 0) return SSLCV_ERR_IO; /* its header is longer */
    TRY(wants(sslcv_state_open(w->context, path, NULL, &none), SSLCV_ERR_FORMAT));
    TRY(wants(sslcv_state_save(w->opened, in_folder(s, "none/file", path), NULL), SSLCV_ERR_IO));
    TRY(sslcv_method_options_init(&o, sizeof o));
    o.dataset = w->dataset;
    o.settings = "batch=25"; /* one more than there are */
    TRY(wants(sslcv_method_create(w->context, "simclr", &o, &trainer), SSLCV_ERR_LIMIT));
    TRY(wants(sslcv_method_create(w->context, "none", &o, &trainer), SSLCV_ERR_NOT_FOUND));
    if (cycle % 4 == 0) { /* events pile up else */
        snprintf(path, sizeof path, "rm -rf %s/events", s->folder);
        if ((file = popen(path, "r")) == NULL || pclose(file) != 0) status = SSLCV_ERR_IO;
    }
end:
    return status;
}

/** Every second one in a context of its own. */
static inline sslcv_status soak_cycle(soak *s, int64_t cycle)
{
    int64_t methods = 0;
    const char *method;
    world w = {.context = s->context};
    sslcv_status status;

    while (sslcv_method_name(methods)) methods++;
    method = sslcv_method_name(cycle % methods);
    if (cycle % 2) {
        w.context = NULL;
        TRY(make_context(s, &w.context));
    }
    TRY(make_dataset(s, cycle, &w));
    TRY(make_views(&w));
    TRY(pretrain(s, method, cycle, cycle / methods, &w));
    TRY(own_loop(cycle, &w));
    TRY(evaluate(s, cycle, &w));
    TRY(group(&w));
    TRY(fail(s, cycle, &w));
end:
    if (status != SSLCV_OK) fprintf(stderr, "cycle %lld, %s:\n", (long long)cycle, method);
    destroy_world(s, &w, cycle);
    return status;
}

#endif
