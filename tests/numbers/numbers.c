/*
 * What the library computes, as a file; and how far two such files are apart.
 *
 *     numbers OUT.safetensors [--threads N] [--seed N] [--precision f32|bf16] [--winograd 0|1]
 *     numbers --compare A.safetensors B.safetensors FEATURES LOSS STEP
 *
 * Some recipes take one step on drawn pictures. Written are the features of the pictures before it, its loss, and what
 * it changed in every parameter. Further steps would amplify last bits beyond what any tolerance could tell from a
 * fault: batch norm over small maps of a fresh network does so, here as anywhere. The three numbers are the largest
 * difference allowed in each of these, as the norm of the difference by that of the values: of each
 * parameter for STEP, of all features for FEATURES. Exit 1: beyond one of them; 2: could not be done; 77: this processor
 * lacks the precision. tests/tools/check_numbers.sh knows what is to be compared.
 */
#include "../../examples/synthetic.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

enum { PICTURES = 32, SIZE = 32, NAME_SIZE = 256 };

#define COMMON "width=0.25 batch=16 prefetch=0 "

/* Both norms, split batch norm, EMA copies, a queue, codes and covariances; SGD and LARS, whose step is proportional to
   the gradient: Adam's is its sign at first. */
static const struct {
    const char *method, *preset, *settings;
} recipes[] = {
    {"simclr", "cifar", COMMON},
    {"moco-v2", "cifar", COMMON "queue_size=64 bn_splits=2"},
    {"swav", "imagenet", COMMON "architecture=resnet18 size=32 prototypes=20 hidden_dim=64 out_dim=32 queue_size=0"},
    {"byol", "cifar", COMMON "hidden_dim=64 out_dim=32"},
    {"cpc-v2", "cifar", COMMON "architecture=resnet18"},
    {"barlow-twins", "cifar", COMMON "hidden_dim=64 out_dim=64"},
};
enum { NUM_RECIPES = sizeof recipes / sizeof recipes[0] };

/* ---- making a file ---- */

static sslcv_status add_values(sslcv_state *file, const char *name, int64_t count, sslcv_tensor *values)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    int64_t index;
    sslcv_status status;

    entry.name = name;
    entry.shape[0] = count;
    entry.ndim = 1;
    entry.dtype = SSLCV_F32;
    entry.role = SSLCV_ROLE_BUFFER;
    TRY(sslcv_state_add(file, &entry, &index));
    TRY(sslcv_state_data(file, index, SSLCV_STATE_VALUE, values));
end:
    return status;
}

static int64_t elements(const sslcv_state_entry *entry)
{
    int64_t count = 1;
    int32_t i;

    for (i = 0; i < entry->ndim; i++) count *= entry->shape[i];
    return count;
}

/* All parameters of a network under METHOD.WHAT.NAME; less those of before, where there is a before. */
static sslcv_status add_parameters(sslcv_state *file, const sslcv_state *network, sslcv_state *before,
                                   const char *method, const char *what)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_tensor values, plain;
    char name[NAME_SIZE];
    int64_t i, k, index;
    sslcv_status status = SSLCV_OK;

    for (i = 0; sslcv_state_get_entry(network, i, &entry) == SSLCV_OK; i++) {
        if (!(entry.role & SSLCV_ROLE_PARAMETERS)) continue;
        snprintf(name, sizeof name, "%s.%s.%s", method, what, entry.name);
        TRY(add_values(file, name, elements(&entry), &values));
        TRY(sslcv_tensor_init(&plain, SSLCV_F32, values.data, entry.ndim, entry.shape));
        TRY(sslcv_state_get(network, i, SSLCV_STATE_VALUE, &plain));
        if (!before) continue;
        snprintf(name, sizeof name, "%s.%s.%s", method, "before", entry.name);
        TRY(sslcv_state_find(before, name, &index));
        TRY(sslcv_state_data(before, index, SSLCV_STATE_VALUE, &plain));
        for (k = 0; k < elements(&entry); k++) ((float *)values.data)[k] -= ((const float *)plain.data)[k];
    }
end:
    return status;
}

static sslcv_status add_features(sslcv_context *context, sslcv_state *file, sslcv_dataset *pictures,
                                 sslcv_backbone *backbone, const char *method)
{
    sslcv_embed_options embed;
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_augmenter *plain = NULL;
    sslcv_branch branch;
    const sslcv_branch *branches = &branch;
    sslcv_tensor values, features;
    int64_t shape[2] = {PICTURES, 0}, view, views;
    char name[NAME_SIZE];
    sslcv_status status;

    TRY(sslcv_augmenter_create(context, &plain));
    TRY(sslcv_augmenter_add_preset(plain, "eval-cifar", SIZE, &view, &views));
    TRY(sslcv_backbone_get_info(backbone, &info));
    TRY(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.backbone = backbone;
    branch.flags = 0; /* evaluation */
    TRY(sslcv_embed_options_init(&embed, sizeof embed));
    embed.dataset = pictures;
    embed.augmenter = plain;
    embed.branches = &branches;
    embed.num_branches = 1;
    shape[1] = info.feature_dim;
    snprintf(name, sizeof name, "%s.features", method);
    TRY(add_values(file, name, shape[0] * shape[1], &values));
    TRY(sslcv_tensor_init(&features, SSLCV_F32, values.data, 2, shape));
    TRY(sslcv_embed(&embed, &features, NULL));
end:
    sslcv_augmenter_destroy(plain);
    return status;
}

static sslcv_status train(sslcv_context *context, sslcv_dataset *pictures, int recipe, uint64_t seed, sslcv_state *file)
{
    const char *method = recipes[recipe].method;
    sslcv_progress progress = {.struct_size = sizeof progress};
    sslcv_method_options options;
    sslcv_trainer *trainer = NULL;
    sslcv_backbone *backbone = NULL;
    sslcv_state *network = NULL, *before = NULL;
    sslcv_tensor loss;
    char name[NAME_SIZE];
    sslcv_status status;

    TRY(sslcv_method_options_init(&options, sizeof options));
    options.dataset = pictures;
    options.settings = recipes[recipe].settings;
    options.preset = recipes[recipe].preset;
    options.seed = seed;
    TRY(sslcv_method_create(context, method, &options, &trainer));
    TRY(sslcv_trainer_get_backbone(trainer, 0, 0, &backbone));
    TRY(sslcv_backbone_get_state(backbone, &network));
    TRY(sslcv_state_create(context, &before));
    TRY(add_parameters(before, network, NULL, method, "before"));
    TRY(add_features(context, file, pictures, backbone, method));
    TRY(sslcv_trainer_step(trainer, &progress));
    snprintf(name, sizeof name, "%s.loss", method);
    TRY(add_values(file, name, 1, &loss));
    *(float *)loss.data = (float)progress.loss;
    TRY(add_parameters(file, network, before, method, "step"));
end:
    sslcv_state_destroy(before);
    sslcv_state_destroy(network);
    sslcv_backbone_destroy(backbone);
    sslcv_trainer_destroy(trainer);
    return status;
}

static sslcv_status make_file(const char *path, const sslcv_context_options *options, uint64_t seed)
{
    sslcv_context *context = NULL;
    sslcv_context_info info = {.struct_size = sizeof info};
    sslcv_dataset *pictures = NULL;
    sslcv_state *file = NULL;
    int i;
    sslcv_status status;

    TRY(sslcv_context_create(options, &context));
    TRY(sslcv_context_get_info(context, &info));
    TRY(synthetic_dataset(context, PICTURES, SIZE, 1, &pictures));
    TRY(sslcv_state_create(context, &file));
    for (i = 0; i < NUM_RECIPES; i++) TRY(train(context, pictures, i, seed, file));
    TRY(sslcv_state_save(file, path, NULL));
    printf("%s\n", info.cpu);
end:
    sslcv_state_destroy(file);
    sslcv_dataset_destroy(pictures);
    sslcv_context_destroy(context);
    return status;
}

/* ---- comparing two ---- */

enum { FEATURES, LOSS, STEP, KINDS };

static const char *const kinds[KINDS] = {".features", ".loss", ".step."};

typedef struct apart {
    double most;
    char where[NAME_SIZE];
} apart;

static sslcv_status compare_tensors(sslcv_state *a, sslcv_state *b, int64_t i, const char *name, apart most[KINDS])
{
    sslcv_tensor x, y;
    double scale = 0, difference = 0;
    int64_t k, index;
    int kind = 0;
    sslcv_status status;

    while (kind < KINDS && !strstr(name, kinds[kind])) kind++;
    if (kind == KINDS) return SSLCV_ERR_FORMAT;
    TRY(sslcv_state_find(b, name, &index));
    TRY(sslcv_state_data(a, i, SSLCV_STATE_VALUE, &x));
    TRY(sslcv_state_data(b, index, SSLCV_STATE_VALUE, &y));
    if (x.shape[0] != y.shape[0]) return SSLCV_ERR_FORMAT;
    for (k = 0; k < x.shape[0]; k++) {
        const double p = ((const float *)x.data)[k], q = ((const float *)y.data)[k];

        scale += p * p;
        difference += (p - q) * (p - q);
    }
    if (difference != 0 && !(sqrt(difference / scale) <= most[kind].most)) {
        most[kind].most = isfinite(difference / scale) ? sqrt(difference / scale) : INFINITY;
        snprintf(most[kind].where, sizeof most[kind].where, "%s", name);
    }
end:
    return status;
}

static sslcv_status compare_files(const char *path_a, const char *path_b, apart most[KINDS])
{
    sslcv_context *context = NULL;
    sslcv_state *a = NULL, *b = NULL;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    int64_t i;
    sslcv_status status;

    TRY(sslcv_context_create(NULL, &context));
    TRY(sslcv_state_open(context, path_a, NULL, &a));
    TRY(sslcv_state_open(context, path_b, NULL, &b));
    for (i = 0; sslcv_state_get_entry(a, i, &entry) == SSLCV_OK; i++) {
        TRY(compare_tensors(a, b, i, entry.name, most));
    }
    if (i == 0) status = SSLCV_ERR_FORMAT;
end:
    sslcv_state_destroy(b);
    sslcv_state_destroy(a);
    sslcv_context_destroy(context);
    return status;
}

static int compare(char **argv)
{
    static const char *const titles[KINDS] = {"features", "loss", "step"};
    apart most[KINDS] = {{0}};
    int kind, beyond = 0;
    const sslcv_status status = compare_files(argv[2], argv[3], most);

    if (status != SSLCV_OK) {
        fprintf(stderr, "numbers: %s: %s\n", sslcv_status_string(status), sslcv_last_error());
        return 2;
    }
    for (kind = 0; kind < KINDS; kind++) {
        const double allowed = strtod(argv[4 + kind], NULL);

        printf("%s %s %.1e", kind ? "," : "", titles[kind], most[kind].most);
        if (!(most[kind].most <= allowed)) {
            printf(" (%s; at most %.1e)", most[kind].where, allowed);
            beyond = 1;
        }
    }
    printf("\n");
    return beyond;
}

int main(int argc, char **argv)
{
    sslcv_context_options options;
    uint64_t seed = 1;
    int i;
    sslcv_status status;

    if (argc == 7 && strcmp(argv[1], "--compare") == 0) return compare(argv);
    if (argc < 2 || argc % 2 != 0) {
        fprintf(stderr, "numbers OUT [--threads N] [--seed N] [--precision f32|bf16] [--winograd 0|1]\n"
                        "numbers --compare A B FEATURES LOSS STEP\n");
        return 2;
    }
    TRY(sslcv_context_options_init(&options, sizeof options));
    options.threads = 1;
    options.loader_threads = 0;
    options.seed = 1;
    options.precision = SSLCV_PRECISION_F32;
    for (i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--threads") == 0) options.threads = (int32_t)strtol(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seed") == 0) seed = strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--winograd") == 0) options.winograd = argv[i + 1][0] != '0';
        if (strcmp(argv[i], "--precision") == 0 && strcmp(argv[i + 1], "bf16") == 0) {
            options.precision = SSLCV_PRECISION_BF16;
        }
    }
    status = make_file(argv[1], &options, seed);
    if (status == SSLCV_ERR_UNSUPPORTED && options.precision == SSLCV_PRECISION_BF16) return 77;
end:
    if (status != SSLCV_OK) fprintf(stderr, "numbers: %s: %s\n", sslcv_status_string(status), sslcv_last_error());
    return status == SSLCV_OK ? 0 : 2;
}
