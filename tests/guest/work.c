#include "work.h"

#include "../../examples/synthetic.h"

#include <stdio.h>
#include <string.h>

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != SSLCV_OK) {                                                                                      \
            failed_line = __LINE__;                                                                                    \
            snprintf(message, sizeof message, "work.c:%d: %s", __LINE__, sslcv_last_error());                          \
            goto end;                                                                                                  \
        }                                                                                                              \
    } while (0)

#define TRUE(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            failed_line = __LINE__;                                                                                    \
            snprintf(message, sizeof message, "work.c:%d: %s", __LINE__, #condition);                                  \
            goto end;                                                                                                  \
        }                                                                                                              \
    } while (0)

static char message[1200];

const char *guest_error(void)
{
    return message;
}

static void path_of(char path[512], const guest_options *o, const char *name)
{
    snprintf(path, 512, "%s/%s", o->folder, name);
}

/* A JPEG of which libjpeg has something to say: its start, an unknown table, and no end. */
static const unsigned char bad_jpeg[] = {
    0xFF, 0xD8, 0xFF, 0xE0, 0,  16, 'J', 'F',  'I', 'F',  0,    1, 1, 0, 0, 1, 0, 1,  0, 0, 0xFF, 0xC0, 0,    11,
    8,    0,    16,   0,    16, 1,  1,   0x11, 0,   0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 1, 2,    3,    0xFF, 0xD9};

/* Pictures from memory, a file that is a picture, and files that are none. */
static int make_pictures(sslcv_context *context, const guest_options *o, sslcv_dataset **pictures)
{
    char path[512];
    unsigned char pnm[13 + GUEST_SIZE * GUEST_SIZE * 3] = "P6\n32 32\n255\n";
    FILE *file = NULL;
    sslcv_tensor image = {0};
    unsigned i;
    int failed_line = 0;

    for (i = 13; i < sizeof pnm; i++) pnm[i] = (unsigned char)(i * 37);
    path_of(path, o, "picture.ppm");
    TRUE((file = fopen(path, "wb")) != NULL);
    TRUE(fwrite(pnm, 1, sizeof pnm, file) == sizeof pnm);
    OK(synthetic_dataset(context, GUEST_PICTURES, GUEST_SIZE, 1, pictures));
    TRUE(fclose(file) == 0);
    OK(sslcv_dataset_add_file(*pictures, path, NULL, 0, -1, NULL));
    OK(sslcv_dataset_add_file(*pictures, NULL, bad_jpeg, sizeof bad_jpeg, -1, NULL));
    OK(sslcv_dataset_add_file(*pictures, "/nonexistent/picture.png", NULL, 0, -1, NULL));
    TRUE(sslcv_dataset_read(*pictures, GUEST_PICTURES + 1, &image) != SSLCV_OK);
    TRUE(sslcv_dataset_read(*pictures, GUEST_PICTURES + 2, &image) != SSLCV_OK);
end:
    return failed_line;
}

static int32_t after_step(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    const guest_options *o = user;

    (void)trainer;
    (void)progress;
    if (o->after_step) o->after_step();
    return 0;
}

static int train(sslcv_context *context, const guest_options *o, sslcv_dataset *pictures, sslcv_trainer **trainer)
{
    char path[512];
    sslcv_method_options method;
    sslcv_hook hook;
    sslcv_scalars *lines = NULL, *events = NULL;
    int failed_line = 0;

    OK(sslcv_method_options_init(&method, sizeof method));
    method.dataset = pictures;
    method.settings = "width=0.25 batch=8 size=16 epochs=2 learning_rate=0.01";
    path_of(path, o, "checkpoint.safetensors");
    method.checkpoint_path = path;
    OK(sslcv_method_create(context, "simclr", &method, trainer));
    path_of(path, o, "scalars.jsonl");
    OK(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, path, &lines));
    OK(sslcv_scalars_watch(lines, *trainer, 1));
    path_of(path, o, "events");
    OK(sslcv_scalars_open(context, SSLCV_SCALARS_TENSORBOARD, path, &events));
    OK(sslcv_scalars_watch(events, *trainer, 1));
    OK(sslcv_scalars_add(lines, 0, "half", 0.5));
    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.user = (void *)o;
    hook.call = after_step;
    OK(sslcv_trainer_add_hook(*trainer, &hook));
    OK(sslcv_trainer_run(*trainer, 3));
    if (o->during) o->during();
    OK(sslcv_trainer_run(*trainer, 0));
end:
    sslcv_scalars_destroy(events);
    sslcv_scalars_destroy(lines);
    return failed_line;
}

/* The checkpoint is there by now; the network as safetensors and npz, and read again. */
static int files(sslcv_context *context, const guest_options *o, sslcv_backbone *backbone)
{
    static const char *const names[] = {"checkpoint.safetensors", "network.safetensors", "network.npz"};
    char path[512];
    sslcv_save_options save;
    sslcv_state *network = NULL, *file = NULL;
    unsigned i;
    int failed_line = 0;

    OK(sslcv_backbone_get_state(backbone, &network));
    OK(sslcv_save_options_init(&save, sizeof save));
    path_of(path, o, names[1]);
    OK(sslcv_state_save(network, path, &save));
    save.format = SSLCV_FORMAT_NPZ;
    path_of(path, o, names[2]);
    OK(sslcv_state_save(network, path, &save));
    for (i = 0; i < 3; i++) {
        path_of(path, o, names[i]);
        OK(sslcv_state_open(context, path, NULL, &file));
        sslcv_state_destroy(file);
        file = NULL;
    }
    TRUE(sslcv_state_open(context, "/nonexistent/file", NULL, &file) == SSLCV_ERR_NOT_FOUND);
    path_of(path, o, "picture.ppm");
    TRUE(sslcv_state_open(context, path, NULL, &file) == SSLCV_ERR_FORMAT);
    path_of(path, o, "no/such/folder");
    TRUE(sslcv_state_save(network, path, NULL) == SSLCV_ERR_IO);
end:
    sslcv_state_destroy(file);
    sslcv_state_destroy(network);
    return failed_line;
}

/* Features, a probe on them, clusters and principal components of them: numbers into values. */
static int judge(sslcv_context *context, sslcv_dataset *pictures, sslcv_backbone *backbone, float *values)
{
    static float features[GUEST_PICTURES * 512], centroids[3 * 512], reduced[GUEST_PICTURES * 2];
    static float scores[GUEST_PICTURES * SYNTHETIC_CLASSES];
    int64_t labels[GUEST_PICTURES], assignments[GUEST_PICTURES], view, views, i;
    int64_t shape[2] = {GUEST_PICTURES, 0}, scores_shape[2] = {GUEST_PICTURES, SYNTHETIC_CLASSES};
    int64_t centroids_shape[2] = {3, 0}, reduced_shape[2] = {GUEST_PICTURES, 2};
    sslcv_embed_options embed;
    sslcv_kmeans_options kmeans;
    sslcv_probe_options probe_options;
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_augmenter *plain = NULL;
    sslcv_probe *probe = NULL;
    sslcv_branch branch;
    const sslcv_branch *branches = &branch;
    sslcv_tensor tensor, more;
    double objective;
    int failed_line = 0;

    OK(sslcv_augmenter_create(context, &plain));
    OK(sslcv_augmenter_add_preset(plain, "eval-cifar", GUEST_SIZE, &view, &views));
    OK(sslcv_backbone_get_info(backbone, &info));
    TRUE(info.feature_dim <= 512);
    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.backbone = backbone;
    branch.flags = 0;
    OK(sslcv_embed_options_init(&embed, sizeof embed));
    embed.dataset = pictures;
    embed.augmenter = plain;
    embed.branches = &branches;
    embed.num_branches = 1;
    embed.count = GUEST_PICTURES;
    embed.batch_size = 10;
    shape[1] = centroids_shape[1] = info.feature_dim;
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, features, 2, shape));
    OK(sslcv_embed(&embed, &tensor, labels));
    for (i = 0; i < 16; i++) values[i] = features[i * 7];
    OK(sslcv_probe_options_init(&probe_options, sizeof probe_options, SSLCV_PROBE_LINEAR));
    probe_options.epochs = 2;
    OK(sslcv_probe_create(context, &probe_options, &probe));
    OK(sslcv_probe_fit(probe, &tensor, labels));
    OK(sslcv_tensor_init(&more, SSLCV_F32, scores, 2, scores_shape));
    OK(sslcv_probe_predict(probe, &tensor, &more));
    for (i = 0; i < 16; i++) values[16 + i] = scores[i];
    OK(sslcv_kmeans_options_init(&kmeans, sizeof kmeans));
    kmeans.clusters = 3;
    OK(sslcv_tensor_init(&more, SSLCV_F32, centroids, 2, centroids_shape));
    OK(sslcv_kmeans(context, &tensor, &kmeans, &more, assignments, &objective));
    for (i = 0; i < 16; i++) values[32 + i] = centroids[i];
    OK(sslcv_tensor_init(&more, SSLCV_F32, reduced, 2, reduced_shape));
    OK(sslcv_pca_whiten(context, &tensor, 0, &more));
    for (i = 0; i < 16; i++) values[48 + i] = reduced[i];
end:
    sslcv_probe_destroy(probe);
    sslcv_augmenter_destroy(plain);
    return failed_line;
}

/* Convolutions timed, and what was found kept in a file. */
static int tune(const sslcv_context_options *like, const guest_options *o)
{
    static float pixels[3 * GUEST_SIZE * GUEST_SIZE];
    const int64_t shape[4] = {1, 3, GUEST_SIZE, GUEST_SIZE};
    char path[512];
    sslcv_context_options options = *like;
    sslcv_backbone_options network;
    sslcv_context *context = NULL;
    sslcv_backbone *backbone = NULL;
    sslcv_tape *tape = NULL;
    sslcv_tensor image;
    sslcv_pass pass;
    int failed_line = 0;

    path_of(path, o, "tuning");
    options.tuning_path = path;
    OK(sslcv_context_create(&options, &context));
    OK(sslcv_backbone_options_init(&network, sizeof network, SSLCV_BACKBONE_RESNET18));
    network.width = 0.25;
    OK(sslcv_backbone_create(context, &network, &backbone));
    OK(sslcv_tape_create(context, &tape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = 0;
    OK(sslcv_tensor_init(&image, SSLCV_F32, pixels, 4, shape));
    OK(sslcv_backbone_forward(backbone, &image, &pass, tape));
end:
    sslcv_tape_destroy(tape);
    sslcv_backbone_destroy(backbone);
    sslcv_context_destroy(context);
    return failed_line;
}

int guest_work(const guest_options *o, float *values)
{
    sslcv_context_options options;
    sslcv_context *context = NULL;
    sslcv_dataset *pictures = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_backbone *backbone = NULL;
    int failed_line = 0;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = o->threads;
    options.loader_threads = o->loader_threads;
    options.seed = 7;
    options.precision = SSLCV_PRECISION_F32;
    OK(sslcv_context_create(&options, &context));
    if ((failed_line = make_pictures(context, o, &pictures)) != 0) goto end;
    if ((failed_line = train(context, o, pictures, &trainer)) != 0) goto end;
    OK(sslcv_trainer_get_backbone(trainer, 0, 0, &backbone));
    if ((failed_line = files(context, o, backbone)) != 0) goto end;
    if ((failed_line = judge(context, pictures, backbone, values)) != 0) goto end;
    if ((failed_line = tune(&options, o)) != 0) goto end;
    OK(sslcv_context_cancel(context, 1));
end:
    sslcv_backbone_destroy(backbone);
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(pictures);
    sslcv_context_destroy(context);
    return failed_line;
}

int guest_make(void **context, void **augmenter)
{
    sslcv_context *c = NULL;
    sslcv_augmenter *a = NULL;

    if (sslcv_context_create(NULL, &c) != SSLCV_OK || sslcv_augmenter_create(c, &a) != SSLCV_OK) return 1;
    *context = c;
    *augmenter = a;
    return 0;
}

void guest_destroy(void *context, void *augmenter)
{
    sslcv_augmenter_destroy(augmenter);
    sslcv_context_destroy(context);
}

int guest_refuses(void *context, void *augmenter)
{
    sslcv_context_info info = {.struct_size = sizeof info};
    sslcv_augmenter *a = NULL;
    int64_t view;
    int wrong = 0;

    wrong += sslcv_context_get_info(context, &info) != SSLCV_ERR_INVALID_ARGUMENT;
    wrong += strstr(sslcv_last_error(), "not a live context handle") == NULL;
    wrong += sslcv_context_cancel(context, 1) != SSLCV_ERR_INVALID_ARGUMENT;
    wrong += sslcv_augmenter_create(context, &a) != SSLCV_ERR_INVALID_ARGUMENT;
    wrong += sslcv_augmenter_add_view(augmenter, -1, &view) != SSLCV_ERR_INVALID_ARGUMENT;
    wrong += sslcv_retain(context) != SSLCV_ERR_INVALID_ARGUMENT;
    guest_destroy(context, augmenter); /* does nothing */
    return wrong;
}
