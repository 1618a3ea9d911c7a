/*
 * Embed a folder of images with a saved backbone, save the features, and look for what is alike.
 *
 *     embed_folder FOLDER WEIGHTS.safetensors OUT.safetensors [SIZE]     SIZE: pixels of the square crop, 224
 *     embed_folder                                                       drawn pictures and a network as it is born
 *
 * Shows sslcv_embed(), which writes straight into memory of a state, so that the file needs no second copy, and
 * sslcv_nearest(). OUT holds one tensor, "features", a row for each image in the order of their names. Rows of images
 * that could not be read are zeros.
 */
#include "synthetic.h"

#include <stdio.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

enum { NEIGHBOURS = 6 };

static sslcv_status open_folder(sslcv_context *context, const char *path, sslcv_dataset **images)
{
    sslcv_dataset_options options;
    sslcv_status status;

    if (!path) return synthetic_dataset(context, 40, 32, 1, images);
    TRY(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_FOLDER));
    options.path = path;
    TRY(sslcv_dataset_create(context, &options, images));
end:
    return status;
}

static sslcv_status open_backbone(sslcv_context *context, const char *path, sslcv_backbone **backbone)
{
    sslcv_backbone_options options;
    sslcv_status status;

    if (path) return sslcv_backbone_load(context, path, NULL, backbone);
    TRY(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));
    options.stem = SSLCV_STEM_CIFAR;
    options.width = 0.25;
    TRY(sslcv_backbone_create(context, &options, backbone));
end:
    return status;
}

/* A state of one tensor, as large as the features. It is a file to be: features points at its memory. */
static sslcv_status make_file(sslcv_context *context, const sslcv_embed_options *embed, sslcv_state **file,
                              sslcv_tensor *features)
{
    sslcv_state_entry entry = {0};
    int64_t index;
    sslcv_status status;

    features->data = NULL;
    TRY(sslcv_embed(embed, features, NULL)); /* only asks for the shape: (images, D) */
    entry.struct_size = sizeof entry;
    entry.name = "features";
    entry.ndim = 2;
    entry.shape[0] = features->shape[0];
    entry.shape[1] = features->shape[1];
    entry.dtype = SSLCV_F32;
    entry.role = SSLCV_ROLE_BUFFER;
    TRY(sslcv_state_create(context, file));
    TRY(sslcv_state_add(*file, &entry, &index));
    TRY(sslcv_state_data(*file, index, SSLCV_STATE_VALUE, features));
end:
    return status;
}

static sslcv_status print_neighbours(sslcv_context *context, sslcv_dataset *images, const sslcv_tensor *features)
{
    sslcv_tensor query = *features; /* the first row */
    int64_t found[NEIGHBOURS];
    float similarity[NEIGHBOURS];
    const int64_t k = features->shape[0] < NEIGHBOURS ? features->shape[0] : NEIGHBOURS;
    sslcv_sample sample = {sizeof sample, NULL, 0};
    sslcv_status status;

    query.shape[0] = 1;
    TRY(sslcv_nearest(context, features, &query, k, found, similarity));
    for (int64_t i = 0; i < k; i++) {
        TRY(sslcv_dataset_get_sample(images, found[i], &sample));
        printf("%s %lld%s%s, similarity %.3f\n", i ? "  near" : "image", (long long)found[i], sample.name[0] ? " " : "",
               sample.name, (double)similarity[i]);
    }
end:
    return status;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 3 ? argv[1] : NULL;
    const char *weights = argc > 3 ? argv[2] : NULL;
    const char *out = argc > 3 ? argv[3] : "features.safetensors";
    const long size = argc > 4 ? strtol(argv[4], NULL, 10) : folder ? 224 : 32;
    sslcv_context *context = NULL;
    sslcv_dataset *images = NULL;
    sslcv_backbone *backbone = NULL;
    sslcv_augmenter *augmenter = NULL;
    sslcv_state *file = NULL;
    sslcv_branch branch;
    const sslcv_branch *branches = &branch;
    sslcv_embed_options embed;
    sslcv_tensor features;
    int64_t view;
    sslcv_status status;

    if (argc != 1 && argc != 4 && argc != 5) {
        fprintf(stderr, "usage: %s [FOLDER WEIGHTS OUT [SIZE]]\n", argv[0]);
        return 2;
    }
    TRY(sslcv_context_create(NULL, &context));
    TRY(open_folder(context, folder, &images));
    TRY(open_backbone(context, weights, &backbone));
    TRY(sslcv_augmenter_create(context, &augmenter));
    TRY(sslcv_augmenter_add_preset(augmenter, "eval", size, &view, NULL));

    TRY(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.backbone = backbone;
    branch.flags = 0; /* evaluation */
    TRY(sslcv_embed_options_init(&embed, sizeof embed));
    embed.dataset = images;
    embed.augmenter = augmenter;
    embed.branches = &branches;
    embed.num_branches = 1;

    TRY(make_file(context, &embed, &file, &features));
    TRY(sslcv_embed(&embed, &features, NULL));
    TRY(sslcv_state_save(file, out, NULL));
    printf("wrote %s: %lld features for each of %lld images\n", out, (long long)features.shape[1],
           (long long)features.shape[0]);
    TRY(print_neighbours(context, images, &features));

end:
    if (status != SSLCV_OK) fprintf(stderr, "%s: %s\n", sslcv_status_string(status), sslcv_last_error());
    sslcv_state_destroy(file);
    sslcv_augmenter_destroy(augmenter);
    sslcv_backbone_destroy(backbone);
    sslcv_dataset_destroy(images);
    sslcv_context_destroy(context);
    return status == SSLCV_OK ? 0 : 1;
}
