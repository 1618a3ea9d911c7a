/*
 * Labelled images as the command line names them, and shares of them: for pretrain.c, evaluate.c and transfer.c. Not
 * part of the library.
 */
#ifndef IMAGES_H
#define IMAGES_H

#include "synthetic.h"

#include <stdio.h>
#include <string.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

/** spec: a folder with one for each class, "cifar10:DIR", "cifar100:DIR" or "idx:IMAGES,LABELS"; part: of CIFAR. */
static inline sslcv_status open_images(sslcv_context *context, const char *spec, int32_t part, sslcv_dataset **out)
{
    static const struct {
        const char *name;
        int32_t kind;
    } kinds[] = {{"cifar10:", SSLCV_DATASET_CIFAR10},
                 {"cifar100:", SSLCV_DATASET_CIFAR100},
                 {"idx:", SSLCV_DATASET_IDX},
                 {"", SSLCV_DATASET_FOLDER}};
    sslcv_dataset_options options;
    char path[4096], *comma;
    size_t k = 0;
    sslcv_status status;

    while (strncmp(spec, kinds[k].name, strlen(kinds[k].name)) != 0) k++;
    TRY(sslcv_dataset_options_init(&options, sizeof options, kinds[k].kind));
    snprintf(path, sizeof path, "%s", spec + strlen(kinds[k].name));
    options.path = path;
    if (options.kind == SSLCV_DATASET_FOLDER) {
        options.label_folders = 1;
    } else if (options.kind == SSLCV_DATASET_IDX) {
        options.channels = 3; /* methods jitter colours, and networks have seen three */
        if ((comma = strchr(path, ',')) != NULL) {
            *comma = 0;
            options.labels_path = comma + 1;
        }
    } else {
        options.part = part;
    }
    TRY(sslcv_dataset_create(context, &options, out));
end:
    return status;
}

/** A share of each class, or with complement the rest. indices: malloc; NULL: not wanted. *chosen NULL: no image. */
static inline sslcv_status choose_share(sslcv_dataset *all, double fraction, uint64_t seed, int32_t complement,
                                        sslcv_dataset **chosen, int64_t **indices, int64_t *count)
{
    sslcv_split_options split;
    int64_t *list = NULL;
    sslcv_status status;

    *chosen = NULL;
    TRY(sslcv_split_options_init(&split, sizeof split));
    split.fraction = fraction;
    split.seed = seed;
    split.complement = complement;
    TRY(sslcv_dataset_split(all, &split, NULL, 0, count));
    if (*count == 0) goto end;
    status = SSLCV_ERR_OUT_OF_MEMORY;
    if (!(list = malloc((size_t)*count * sizeof *list))) goto end;
    TRY(sslcv_dataset_split(all, &split, list, *count, count));
    TRY(sslcv_dataset_subset(all, list, *count, chosen));
    if (indices) {
        *indices = list;
        list = NULL;
    }
end:
    free(list);
    return status;
}

/**
 * What a network learns from, with its info, and what it is judged by. test NULL: CIFAR's test images, else a fifth of
 * each class of data; data NULL: drawn pictures, by seed.
 */
static inline sslcv_status open_sets(sslcv_context *context, const char *data, const char *test, uint64_t seed,
                                     sslcv_dataset **train_set, sslcv_dataset_info *info, sslcv_dataset **test_set)
{
    sslcv_dataset *all = NULL;
    int64_t count;
    sslcv_status status;

    if (!data) {
        TRY(synthetic_dataset(context, 160, 32, seed, train_set));
        TRY(synthetic_dataset(context, 80, 32, seed + 1, test_set));
    } else if (test || strncmp(data, "cifar", 5) == 0) {
        TRY(open_images(context, data, SSLCV_PART_TRAIN, train_set));
        TRY(open_images(context, test ? test : data, SSLCV_PART_TEST, test_set));
    } else {
        TRY(open_images(context, data, SSLCV_PART_ALL, &all));
        TRY(choose_share(all, 0.8, 0, 0, train_set, NULL, &count));
        TRY(choose_share(all, 0.8, 0, 1, test_set, NULL, &count));
    }
    info->struct_size = sizeof *info;
    TRY(sslcv_dataset_get_info(*train_set, info));
    if (info->num_classes < 2 || !*test_set) {
        fprintf(stderr, "%s: the images lack labels, or are too few\n", data);
        status = SSLCV_ERR_INVALID_ARGUMENT;
    }
end:
    sslcv_dataset_destroy(all);
    return status;
}

#endif
