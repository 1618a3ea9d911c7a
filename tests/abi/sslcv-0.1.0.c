/*
 * A host of version 0.1.0: compiled against that version's headers (sslcv-0.1.0.h), linked with today's library, as an
 * application is that nobody compiles again. It goes on working for as long as the soname is libsslcv.so.0.
 *
 *     sslcv-0.1.0 FOLDER            FOLDER: where it may write
 *     sslcv-0.1.0 FOLDER write      also writes the file of weights that is kept beside this program
 *
 * Released: never edited.
 */
#include "sslcv-0.1.0.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define TRUE(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("sslcv-0.1.0.c:%d: %s (%s)\n", __LINE__, #condition, sslcv_last_error());                           \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)
#define OK(call) TRUE((call) == SSLCV_OK)

/* ---- defaults: each init fills its struct, nothing behind it, with the values of 0.1.0 ---- */

enum { GUARD = 64 };

/* FNV-1a, over the fields as they lie in memory. */
static uint64_t hash_of(uint64_t before, const unsigned char *bytes, size_t size)
{
    uint64_t hash = before ^ 14695981039346656037u;
    size_t i;

    for (i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}

/* The struct of each kind, as its init leaves it, in one number; a guard stands behind it. */
#define DEFAULTS_OF(name, kinds, call, expected)                                                                       \
    do {                                                                                                               \
        union {                                                                                                        \
            unsigned char bytes[sizeof(sslcv_##name) + GUARD];                                                         \
            sslcv_##name s;                                                                                            \
        } room;                                                                                                        \
        uint64_t hash = 0;                                                                                             \
        int32_t kind;                                                                                                  \
        size_t i;                                                                                                      \
                                                                                                                       \
        for (kind = 1; kind <= (kinds); kind++) {                                                                      \
            memset(room.bytes, 0x55, sizeof room.bytes);                                                               \
            OK(call);                                                                                                  \
            TRUE(room.s.struct_size == sizeof room.s);                                                                 \
            for (i = sizeof room.s; i < sizeof room.bytes; i++) TRUE(room.bytes[i] == 0x55);                           \
            hash = hash_of(hash, room.bytes, sizeof room.s);                                                           \
        }                                                                                                              \
        if (hash != (expected)) {                                                                                      \
            printf("defaults of sslcv_%s have changed: 0x%016llx\n", #name, (unsigned long long)hash);                 \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)
#define DEFAULTS(name, expected) DEFAULTS_OF(name, 1, sslcv_##name##_init(&room.s, sizeof room.s), expected)
#define DEFAULTS_BY_KIND(name, kinds, expected)                                                                        \
    DEFAULTS_OF(name, kinds, sslcv_##name##_init(&room.s, sizeof room.s, kind), expected)

static void defaults(void)
{
    DEFAULTS(context_options, 0x2f7744e6251c7cc3u);
    DEFAULTS_BY_KIND(transform, 31, 0xaae9795e4054e336u);
    DEFAULTS_BY_KIND(dataset_options, 6, 0xe0954bcd1ea3cda7u);
    DEFAULTS(split_options, 0xd6eb5bbe34d8d239u);
    DEFAULTS(loader_options, 0x54f6f390c701e351u);
    DEFAULTS(pass, 0x6a4018c1d46448b7u);
    DEFAULTS_BY_KIND(backbone_options, 6, 0xa05509a7db4dd0f3u);
    DEFAULTS(mlp_options, 0x9e27917ecbfcb57eu);
    DEFAULTS(patch_mlp_options, 0x7e4b33257a1b6ecdu);
    DEFAULTS(prototypes_options, 0x5ffa32d41614de2cu);
    DEFAULTS(pixelcnn_options, 0xa8b1ede01f9560f0u);
    DEFAULTS(cpc_v2_options, 0x7224117ae2a7c696u);
    DEFAULTS(head_callbacks, 0x60aad30d522d4865u);
    DEFAULTS(loss_callbacks, 0x89013f99a7d87645u);
    DEFAULTS(loss_call, 0x7799cb60dcbc2e39u);
    DEFAULTS(info_nce_options, 0x2076e2bf42df67d4u);
    DEFAULTS(nce_bank_options, 0x60cf831eb16b99a7u);
    DEFAULTS(swapped_options, 0x0101dcbbbdacc96eu);
    DEFAULTS(cluster_options, 0xff0916c01ef8e256u);
    DEFAULTS(cpc_options, 0x3a60893400f21e4du);
    DEFAULTS(cosine_options, 0x78017c3a9250e875u);
    DEFAULTS(barlow_twins_options, 0x68a748146b8d0f11u);
    DEFAULTS(vicreg_options, 0xff157f959e545ed8u);
    DEFAULTS(dino_options, 0x63d3b4ec8e46789bu);
    DEFAULTS(cross_entropy_options, 0x78017c3a9250e875u);
    DEFAULTS(binary_cross_entropy_options, 0x78017c3a9250e875u);
    DEFAULTS_BY_KIND(optimizer_options, 6, 0xc6b9bdf482c55069u);
    DEFAULTS(optimizer_group, 0xcae7b88629bd1bc4u);
    DEFAULTS_OF(schedule, 3, sslcv_schedule_init(&room.s, sizeof room.s, kind, 0.5), 0xb04c146bd4f5ea7du);
    DEFAULTS(trainer_options, 0x4ca14eddd5524581u);
    DEFAULTS(view_batch, 0xb67ef63ab6720e7du);
    DEFAULTS(branch, 0x7d56637c60d82807u);
    DEFAULTS(hook, 0xfffa62eedd2ac6d6u);
    DEFAULTS(method_options, 0x7cc618eba4336db5u);
    DEFAULTS(embed_options, 0xc443e2d883e577a2u);
    DEFAULTS_BY_KIND(probe_options, 3, 0xcd46867f498df57du);
    DEFAULTS_BY_KIND(figure_options, 4, 0xaa63a47d372fb984u);
    DEFAULTS(kmeans_options, 0x3211b9df0e2ed9b9u);
    DEFAULTS(save_options, 0xee4600f6f0851162u);
    DEFAULTS(load_options, 0x00cc77a77469701eu);
    DEFAULTS(onnx_options, 0x8c5666fe8d534e09u);
}

/* ---- a host's own table of pictures, and a loss of its own ---- */

enum { PICTURES = 24, SIDE = 16, CLASSES = 3, DIM = 16, BATCH = 8 };

static unsigned char pictures[PICTURES][3][SIDE][SIDE];

static int32_t load_picture(void *user, int64_t index, sslcv_tensor *image)
{
    static const int64_t shape[3] = {3, SIDE, SIDE};

    ++*(int *)user;
    return sslcv_tensor_init(image, SSLCV_U8, pictures[index], 3, shape) != SSLCV_OK;
}

static int32_t picture_label(void *user, int64_t index, int64_t *label)
{
    (void)user;
    *label = index % CLASSES;
    return 0;
}

static void pictures_gone(void *user)
{
    *(int *)user = -1;
}

static sslcv_dataset *make_pictures(sslcv_context *context, int *loads)
{
    sslcv_dataset_callbacks callbacks;
    sslcv_dataset_options options;
    sslcv_dataset_info info;
    sslcv_dataset *dataset = NULL;
    uint32_t random = 1;
    int i;

    for (i = 0; i < PICTURES * 3 * SIDE * SIDE; i++) {
        random = random * 1664525u + 1013904223u;
        (&pictures[0][0][0][0])[i] = (unsigned char)((random >> 26) + (unsigned)(i / (3 * SIDE * SIDE) % CLASSES) * 64);
    }
    memset(&callbacks, 0, sizeof callbacks);
    callbacks.struct_size = sizeof callbacks;
    callbacks.user = loads;
    callbacks.load = load_picture;
    callbacks.get_label = picture_label;
    callbacks.destroy = pictures_gone;
    OK(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_CALLBACK));
    options.count = PICTURES;
    options.num_classes = CLASSES;
    options.callbacks = &callbacks;
    OK(sslcv_dataset_create(context, &options, &dataset));
    memset(&info, 0x55, sizeof info);
    info.struct_size = sizeof info;
    OK(sslcv_dataset_get_info(dataset, &info));
    TRUE(info.count == PICTURES && info.num_classes == CLASSES);
    return dataset;
}

/* The mean square of all numbers, which pulls everything to 0. */
static int32_t shrink(void *user, sslcv_state *state, sslcv_loss_call *call)
{
    const sslcv_tensor *z = &call->inputs[0];
    const float *x = z->data;
    const int64_t size = z->shape[0] * z->shape[1] * z->shape[2] * z->shape[3];
    int64_t i;

    (void)state;
    ++*(int *)user;
    call->value = 0;
    for (i = 0; i < size; i++) call->value += (double)x[i] * x[i] / (double)size;
    if (call->diff_inputs && call->diff_inputs[0].data) {
        float *diff = call->diff_inputs[0].data;

        for (i = 0; i < size; i++) diff[i] = (float)(call->scale * 2 * x[i] / (double)size);
    }
    return 0;
}

/* ---- the lowest level: passes, loss, optimizer ---- */

static sslcv_loss *make_loss(sslcv_context *context, int own, int *calls)
{
    sslcv_loss_callbacks callbacks;
    sslcv_info_nce_options nce;
    sslcv_loss *loss = NULL;

    if (own) {
        OK(sslcv_loss_callbacks_init(&callbacks, sizeof callbacks));
        callbacks.user = calls;
        callbacks.compute = shrink;
        callbacks.num_inputs = 1;
        callbacks.gradient_inputs = 1;
        OK(sslcv_loss_create_custom(context, &callbacks, &loss));
        return loss;
    }
    OK(sslcv_info_nce_options_init(&nce, sizeof nce));
    nce.temperature = 0.5;
    OK(sslcv_loss_create_info_nce(context, &nce, &loss));
    return loss;
}

static void loop(sslcv_context *context, sslcv_dataset *dataset, int own)
{
    static float gradient[2 * BATCH * DIM];
    static const int64_t both[2] = {0, 1}, shape[3] = {2, BATCH, DIM};
    sslcv_backbone_options network;
    sslcv_mlp_options mlp;
    sslcv_optimizer_options adam;
    sslcv_loader_options loading;
    sslcv_backbone_info info;
    sslcv_batch batch;
    sslcv_schedule schedule;
    sslcv_augmenter *augmenter = NULL;
    sslcv_loader *loader = NULL;
    sslcv_backbone *backbone = NULL;
    sslcv_head *head = NULL;
    sslcv_tape *tapes[2] = {NULL, NULL};
    sslcv_state *states[2] = {NULL, NULL};
    sslcv_optimizer *optimizer = NULL;
    int64_t first, count, step;
    double values[9], rate;
    int calls = 0, i;
    sslcv_loss *loss = make_loss(context, own, &calls);

    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_preset(augmenter, "simclr-cifar", SIDE, &first, &count));
    TRUE(first == 0 && count == 2);
    OK(sslcv_loader_options_init(&loading, sizeof loading));
    loading.dataset = dataset;
    loading.augmenter = augmenter;
    loading.batch_size = BATCH;
    loading.seed = 1;
    OK(sslcv_loader_create(context, &loading, &loader));
    OK(sslcv_backbone_options_init(&network, sizeof network, SSLCV_BACKBONE_RESNET18));
    network.stem = SSLCV_STEM_CIFAR;
    network.width = 0.125;
    network.seed = 1;
    OK(sslcv_backbone_create(context, &network, &backbone));
    memset(&info, 0x55, sizeof info);
    info.struct_size = sizeof info;
    OK(sslcv_backbone_get_info(backbone, &info));
    TRUE(info.channels == 3 && info.feature_dim == 64 && info.num_stages == 5 && info.frozen_stages == 0);
    OK(sslcv_mlp_options_init(&mlp, sizeof mlp));
    mlp.in_dim = info.feature_dim;
    mlp.out_dim = DIM;
    mlp.seed = 2;
    OK(sslcv_head_create_mlp(context, &mlp, &head));
    OK(sslcv_optimizer_options_init(&adam, sizeof adam, SSLCV_OPTIMIZER_ADAM));
    OK(sslcv_optimizer_create(context, &adam, &optimizer));
    OK(sslcv_backbone_get_state(backbone, &states[0]));
    OK(sslcv_head_get_state(head, &states[1]));
    for (i = 0; i < 2; i++) {
        OK(sslcv_optimizer_add(optimizer, states[i], SSLCV_ROLE_PARAMETERS, NULL));
        OK(sslcv_tape_create(context, &tapes[i]));
    }
    OK(sslcv_schedule_init(&schedule, sizeof schedule, SSLCV_SCHEDULE_COSINE, 0.003));
    batch.struct_size = sizeof batch;
    for (step = 0; step < 9; step++) {
        sslcv_tensor images, features, embeddings, z, diff_z, diff_features;
        sslcv_loss_call call;

        OK(sslcv_loader_next(loader, &batch));
        TRUE(batch.size == BATCH && batch.count == PICTURES / BATCH && batch.epoch == step / 3);
        for (i = 0; i < BATCH; i++) TRUE(batch.labels[i] == batch.ids[i] % CLASSES);
        OK(sslcv_loader_get_views(loader, both, 2, &images));
        TRUE(images.ndim == 4 && images.shape[0] == 2 * BATCH && images.dtype == SSLCV_F32);
        OK(sslcv_backbone_forward(backbone, &images, NULL, tapes[0]));
        OK(sslcv_tape_output(tapes[0], &features));
        OK(sslcv_head_forward(head, &features, NULL, tapes[1]));
        OK(sslcv_tape_output(tapes[1], &embeddings));
        OK(sslcv_tensor_init(&z, SSLCV_F32, embeddings.data, 3, shape));
        OK(sslcv_tensor_init(&diff_z, SSLCV_F32, gradient, 3, shape));
        OK(sslcv_loss_call_init(&call, sizeof call));
        call.inputs = &z;
        call.diff_inputs = &diff_z;
        call.num_inputs = 1;
        OK(sslcv_loss_compute(loss, &call));
        OK(sslcv_tape_backward(tapes[1], &diff_z));
        OK(sslcv_tape_diff_input(tapes[1], &diff_features));
        OK(sslcv_tape_backward(tapes[0], &diff_features));
        OK(sslcv_schedule_value(&schedule, step, 3, 3, &rate));
        OK(sslcv_optimizer_step(optimizer, rate, -1.0));
        values[step] = call.value;
    }
    TRUE(values[6] + values[7] + values[8] < values[0] + values[1] + values[2]); /* it learns */
    TRUE(calls == (own ? 9 : 0));
    sslcv_optimizer_destroy(optimizer);
    for (i = 0; i < 2; i++) {
        sslcv_state_destroy(states[i]);
        sslcv_tape_destroy(tapes[i]);
    }
    sslcv_head_destroy(head);
    sslcv_backbone_destroy(backbone);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_loss_destroy(loss);
}

/* ---- the highest level: a recipe, a hook, a checkpoint, features, a probe ---- */

static int32_t count_steps(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)trainer;
    TRUE(progress->struct_size >= sizeof *progress && progress->epoch >= 0 && isfinite(progress->loss));
    ++*(int *)user;
    return 0;
}

static void judge(sslcv_context *context, sslcv_dataset *dataset, sslcv_backbone *backbone)
{
    static const int64_t view = 0;
    sslcv_augmenter *plain = NULL;
    sslcv_branch branch;
    const sslcv_branch *branches = &branch;
    sslcv_embed_options embed;
    sslcv_probe_options knn;
    sslcv_probe *probe = NULL;
    sslcv_metrics metrics;
    int64_t first, count;

    OK(sslcv_augmenter_create(context, &plain));
    OK(sslcv_augmenter_add_preset(plain, "eval-cifar", SIDE, &first, &count));
    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.backbone = backbone;
    branch.flags = 0;
    OK(sslcv_embed_options_init(&embed, sizeof embed));
    embed.dataset = dataset;
    embed.augmenter = plain;
    embed.branches = &branches;
    embed.num_branches = 1;
    embed.count = PICTURES;
    OK(sslcv_probe_options_init(&knn, sizeof knn, SSLCV_PROBE_KNN));
    knn.neighbors = 1;
    OK(sslcv_probe_create(context, &knn, &probe));
    memset(&metrics, 0x55, sizeof metrics);
    metrics.struct_size = sizeof metrics;
    OK(sslcv_probe_evaluate(probe, &embed, &embed, &metrics));
    TRUE(metrics.count == PICTURES && metrics.num_classes == CLASSES && metrics.top1 > 0.4);
    sslcv_probe_destroy(probe);
    sslcv_augmenter_destroy(plain);
}

static void recipe(sslcv_context *context, sslcv_dataset *dataset, const char *folder)
{
    char path[1024];
    sslcv_method_options options;
    sslcv_hook hook;
    sslcv_trainer *trainer = NULL;
    sslcv_backbone *backbone = NULL;
    sslcv_state *file = NULL;
    sslcv_state_entry entry;
    int steps = 0;

    snprintf(path, sizeof path, "%s/checkpoint.safetensors", folder);
    remove(path);
    OK(sslcv_method_options_init(&options, sizeof options));
    options.dataset = dataset;
    options.settings = "width=0.125 batch=8 size=16 epochs=2";
    options.checkpoint_path = path;
    options.seed = 1;
    OK(sslcv_method_create(context, "moco-v2", &options, &trainer));
    OK(sslcv_hook_init(&hook, sizeof hook));
    hook.user = &steps;
    hook.call = count_steps;
    OK(sslcv_trainer_add_hook(trainer, &hook));
    OK(sslcv_trainer_run(trainer, 0));
    TRUE(steps == 6);
    OK(sslcv_trainer_get_backbone(trainer, 0, 0, &backbone));
    sslcv_trainer_destroy(trainer);
    judge(context, dataset, backbone);
    sslcv_backbone_destroy(backbone);
    OK(sslcv_state_open(context, path, NULL, &file));
    entry.struct_size = sizeof entry;
    OK(sslcv_state_get_entry(file, 0, &entry));
    TRUE(entry.name && entry.ndim >= 0 && entry.ndim <= SSLCV_MAX_DIMS);
    sslcv_state_destroy(file);
}

/* ---- weights that 0.1.0 has saved ---- */

static void weights(sslcv_context *context, int write)
{
    static const float expected[8] = {0.069688022f, 0.032545235f, 0.64258212f, 0.035034548f,
                                      0.097894073f, 0.62496823f,  0.05213799f, 0.05362872f};
    static const int64_t shape[4] = {1, 3, SIDE, SIDE};
    static float pixels[3 * SIDE * SIDE];
    const char *path = "tests/abi/sslcv-0.1.0.safetensors";
    sslcv_backbone_options network;
    sslcv_backbone *backbone = NULL;
    sslcv_state *state = NULL;
    sslcv_tape *tape = NULL;
    sslcv_pass pass;
    sslcv_tensor image, features;
    int i;

    for (i = 0; i < 3 * SIDE * SIDE; i++) pixels[i] = (float)(i * 7 % 31) / 31;
    if (write) {
        OK(sslcv_backbone_options_init(&network, sizeof network, SSLCV_BACKBONE_RESNET18));
        network.stem = SSLCV_STEM_CIFAR;
        network.num_stages = 3;
        network.width = 0.0625;
        network.zero_init_residual = 0;
        network.seed = 1;
        OK(sslcv_backbone_create(context, &network, &backbone));
        OK(sslcv_backbone_get_state(backbone, &state));
        OK(sslcv_state_save(state, path, NULL));
        sslcv_state_destroy(state);
        sslcv_backbone_destroy(backbone);
        backbone = NULL;
    }
    OK(sslcv_backbone_load(context, path, NULL, &backbone));
    OK(sslcv_tape_create(context, &tape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = 0;
    OK(sslcv_tensor_init(&image, SSLCV_F32, pixels, 4, shape));
    if (backbone) {
        OK(sslcv_backbone_forward(backbone, &image, &pass, tape));
        OK(sslcv_tape_output(tape, &features));
        TRUE(features.shape[features.ndim - 1] == 8);
        for (i = 0; i < 8; i++) {
            const double value = ((const float *)features.data)[i];

            if (write) printf("%.8gf%s", value, i < 7 ? ", " : "\n");
            TRUE(write || fabs(value - expected[i]) <= 1e-5);
        }
    }
    sslcv_tape_destroy(tape);
    sslcv_backbone_destroy(backbone);
}

/* ---- a host's memory and log ---- */

static int64_t blocks;

static void *take(void *user, size_t size, size_t alignment)
{
    void *block = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);

    (void)user;
    if (block) __atomic_add_fetch(&blocks, 1, __ATOMIC_RELAXED);
    return block;
}

static void give_back(void *user, void *block, size_t size)
{
    (void)user;
    (void)size;
    if (block) __atomic_sub_fetch(&blocks, 1, __ATOMIC_RELAXED);
    free(block);
}

int main(int argc, char **argv)
{
    sslcv_allocator allocator;
    sslcv_context_options options;
    sslcv_context_info info;
    sslcv_context *context = NULL;
    sslcv_dataset *dataset;
    int loads = 0;

    if (argc < 2) return 2;
    TRUE(sslcv_version() >= SSLCV_VERSION);
    memset(&allocator, 0, sizeof allocator);
    allocator.struct_size = sizeof allocator;
    allocator.allocate = take;
    allocator.deallocate = give_back;
    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = 2;
    options.precision = SSLCV_PRECISION_F32;
    options.seed = 1;
    options.allocator = &allocator;
    OK(sslcv_context_create(&options, &context));
    info.struct_size = sizeof info;
    OK(sslcv_context_get_info(context, &info));
    TRUE(info.precision == SSLCV_PRECISION_F32 && info.cpu);
    TRUE(strcmp(sslcv_status_string(SSLCV_ERR_FORMAT), sslcv_status_string(SSLCV_OK)) != 0);
    TRUE(sslcv_context_create(NULL, NULL) == SSLCV_ERR_INVALID_ARGUMENT);
    defaults();
    dataset = make_pictures(context, &loads);
    loop(context, dataset, 0);
    loop(context, dataset, 1);
    recipe(context, dataset, argv[1]);
    weights(context, argc > 2);
    TRUE(loads > PICTURES && blocks > 0);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
    TRUE(loads == -1 && blocks == 0);
    return failures > 0;
}
