/**
 * @file dataset.h
 * The data set: indexed images, with or without labels. The loader: batches of augmented views from it.
 *
 *     sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_FOLDER);
 *     options.path = "/data/unlabelled";
 *     sslcv_dataset_create(context, &options, &dataset);
 *
 * Sample indices run from 0 and never change: random draws are keyed by them. Files sort by
 * their names' bytes, folder by folder ("/" sorts before every other byte). Label -1 means none.
 */
#ifndef SSLCV_DATASET_H
#define SSLCV_DATASET_H

#include "augment.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_dataset sslcv_dataset;
typedef struct sslcv_loader  sslcv_loader;

enum sslcv_dataset_kind {
    SSLCV_DATASET_LIST     = 1, /* starts empty; filled by sslcv_dataset_add_*() */
    SSLCV_DATASET_FOLDER   = 2, /* path: folder of JPEG, PNG, BMP, PGM, PPM, recursive; hidden names are left out */
    SSLCV_DATASET_CIFAR10  = 3, /* path: folder of the binary files, also .gz: data_batch_1.bin ... 5, any of them, and
                                   test_batch.bin; or the folder around cifar-10-batches-bin */
    SSLCV_DATASET_CIFAR100 = 4, /* likewise: train.bin, test.bin; or the folder around cifar-100-binary. Fine labels */
    SSLCV_DATASET_IDX      = 5, /* path: image file, labels_path: label file or NULL; also .gz */
    SSLCV_DATASET_CALLBACK = 6  /* callbacks */
};

enum sslcv_dataset_part {
    SSLCV_PART_ALL   = 0,
    SSLCV_PART_TRAIN = 1,
    SSLCV_PART_TEST  = 2
};

enum sslcv_on_error {
    SSLCV_ON_ERROR_SUBSTITUTE = 0, /* take the next readable sample; count it, log its name once */
    SSLCV_ON_ERROR_FAIL       = 1
};

/** Images of the host. Called on the thread inside the library unless flags say otherwise. */
typedef struct sslcv_dataset_callbacks {
    size_t  struct_size;
    void   *user;
    /** Describe the pixels of a sample: (C, H, W), U8, U16 or F32, any strides. They stay valid until unload, or until
        the next load when unload is NULL. Positive: this sample is unreadable; negative: stop, with
        SSLCV_ERR_CANCELLED. */
    int32_t (*load)(void *user, int64_t index, sslcv_tensor *image);
    /** May be NULL without SSLCV_CALLBACK_ANY_THREAD. */
    void    (*unload)(void *user, int64_t index, const sslcv_tensor *image);
    /** Its label, without pixels; asked for each sample once, while the data set is made, on the thread that makes it.
        NULL: no labels. Non-zero: stop. */
    int32_t (*get_label)(void *user, int64_t index, int64_t *label);
    void    (*destroy)(void *user); /* when the data set is gone; may be NULL */
    int32_t flags;                  /* 0 or SSLCV_CALLBACK_ANY_THREAD; then load and unload may run on any thread */
    int32_t reserved;               /* 0 */
} sslcv_dataset_callbacks;

typedef struct sslcv_dataset_options {
    size_t      struct_size;
    int32_t     kind;         /* set by init */
    int32_t     part;         /* CIFAR10, CIFAR100: SSLCV_PART_ALL (default), TRAIN or TEST */
    int32_t     label_folders; /* FOLDER: 1: the first folder level is the label, in the order of the names' bytes, -1
                                  for files outside of it; 0 (default): no labels */
    int32_t     on_error;     /* SSLCV_ON_ERROR_*; default SUBSTITUTE */
    int32_t     channels;     /* FOLDER, LIST: convert files to 1 or 3 channels; 0 (default): 3. IDX: 0 (default) or 1:
                                 as stored; 3: the grey value in all three */
    int32_t     cache;        /* FOLDER, LIST: 1: keep decoded files in memory up to max_cache_bytes; default 0 */
    const char *path;         /* UTF-8 */
    const char *labels_path;
    int64_t     count;        /* CALLBACK: number of samples */
    int64_t     num_classes;  /* CALLBACK, LIST: 0 (default): no labels, or largest label + 1 */
    int64_t     max_pixels;   /* refuse larger images: width * height; default 2^27 */
    int64_t     max_file_bytes; /* of a file, unpacked; default 2^28 */
    int64_t     max_cache_bytes; /* default 2^30 */
    const sslcv_dataset_callbacks *callbacks; /* copied */
    int64_t     min_side;     /* FOLDER, LIST: > 0: the images of files are made a half, a quarter or an eighth as large
                                 while they are decoded, as long as both sides keep so many pixels. Large JPEG decode up
                                 to twice as fast, and a cache holds more; small crops then show less detail. 0
                                 (default): images as they are */
} sslcv_dataset_options;

typedef struct sslcv_dataset_info {
    size_t  struct_size;
    int64_t count;
    int64_t num_classes; /* 0 without labels */
    int64_t channels, height, width; /* 0 where samples differ or are not known before decoding */
    int64_t failed;      /* different samples found unreadable so far, by loaders and sslcv_dataset_read() */
} sslcv_dataset_info;

typedef struct sslcv_sample {
    size_t      struct_size;
    const char *name;        /* path relative to the data set's, path as added, or ""; valid as long as the data set */
    int64_t     label;       /* -1: none */
} sslcv_sample;

typedef struct sslcv_split_options {
    size_t      struct_size;
    double      fraction;    /* 0 .. 1 of the samples (default 1); ignored when per_class > 0 or folds > 0 */
    int64_t     per_class;   /* samples of each class; default 0 */
    int64_t     folds;       /* k-fold: number of folds, default 0; */
    int64_t     fold;        /* and which one to choose, 0 .. folds - 1 */
    const char *list_path;   /* text file with one sample name a line, or its part behind the last "/" (ImageNet 1 %
                                lists), or "#" and an index; default NULL */
    uint64_t    seed;        /* default 0: taken as it is, so that splits are the same everywhere */
    int32_t     balanced;    /* 1 (default): the same share of every class, at least one sample each; samples without
                                label count as one more class */
    int32_t     complement;  /* 1: choose all others instead */
} sslcv_split_options;

/**
 * Set the defaults of a kind.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @param kind        SSLCV_DATASET_*.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dataset_options_init(sslcv_dataset_options *options, size_t struct_size, int32_t kind);

/**
 * Open a data set. A folder's names are read now, pixels when asked for; CIFAR and IDX files are read whole.
 *
 * @param context Not NULL.
 * @param options Not NULL; copied with its texts. A field that its kind does not read must be as init left it.
 * @param dataset Out: owned.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such path, or no image in it); SSLCV_ERR_IO; SSLCV_ERR_FORMAT;
 *         SSLCV_ERR_LIMIT (a file over max_file_bytes, images over max_pixels, folders nested deeper than 64);
 *         SSLCV_ERR_CANCELLED. On failure callbacks->destroy is not called.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dataset_create(sslcv_context *context, const sslcv_dataset_options *options,
                                            sslcv_dataset **dataset);

/**
 * Give back the caller's reference; NULL is accepted.
 *
 * @param dataset NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_dataset_destroy(sslcv_dataset *dataset);

/**
 * Append images from memory to a LIST: a camera frame, an array of another library.
 *
 * @param dataset Kind SSLCV_DATASET_LIST. It may grow while loaders run: an epoch has the samples that were there
 *                when its order was drawn.
 * @param image   (C, H, W) or (N, C, H, W), U8, U16 or F32, any strides; copied.
 * @param labels  One per image, -1: none; NULL: no labels.
 * @param index   Out: of the first of them; the others follow it. May be NULL.
 * @return SSLCV_OK; SSLCV_ERR_STATE (another kind); SSLCV_ERR_LIMIT (over max_pixels). All images are added or none.
 * @threads Any, also while other threads read or add.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dataset_add_images(sslcv_dataset *dataset, const sslcv_tensor *image,
                                                const int64_t *labels, int64_t *index);

/**
 * Append an encoded image (JPEG, PNG, BMP, PGM, PPM) to a LIST, by memory or by path.
 *
 * @param dataset Kind SSLCV_DATASET_LIST.
 * @param path    UTF-8, read when needed; NULL: bytes.
 * @param bytes   Copied; NULL with path.
 * @param size    Bytes; 0 with path.
 * @param label   -1: none.
 * @param index   Out: of this sample. May be NULL.
 * @return SSLCV_OK; SSLCV_ERR_STATE (another kind); SSLCV_ERR_LIMIT (over max_file_bytes). Pixels are checked when
 *         read.
 * @threads Any, also while other threads read or add.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dataset_add_file(sslcv_dataset *dataset, const char *path, const void *bytes, int64_t size,
                                              int64_t label, int64_t *index);

/**
 * Describe the whole.
 *
 * @param dataset Not NULL.
 * @param info    In: struct_size. Out: the rest.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dataset_get_info(const sslcv_dataset *dataset, sslcv_dataset_info *info);

/**
 * Describe one sample without decoding it.
 *
 * @param dataset Not NULL.
 * @param index   0 .. count - 1.
 * @param sample  In: struct_size. Out: the rest.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dataset_get_sample(const sslcv_dataset *dataset, int64_t index, sslcv_sample *sample);

/**
 * Name of a class: folder, or as published.
 *
 * @param dataset Not NULL.
 * @param label   0 .. num_classes - 1.
 * @param name    Out: "" where there is none; valid as long as the data set.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such class).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dataset_get_class(const sslcv_dataset *dataset, int64_t label, const char **name);

/**
 * Decode one sample. Never substitutes: so bad files are found by a loop over all.
 *
 * @param dataset Not NULL.
 * @param index   0 .. count - 1.
 * @param image   (C, H, W) in the stored element type, any strides; data NULL asks for shape and type (which decodes
 *                the file too: ask once where all images are alike).
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such sample, or its file is gone); SSLCV_ERR_IO (also: the callback's
 *         answer was positive); SSLCV_ERR_FORMAT; SSLCV_ERR_LIMIT; SSLCV_ERR_CANCELLED (it was negative).
 * @threads Any, several at once, unless callbacks lack SSLCV_CALLBACK_ANY_THREAD.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dataset_read(sslcv_dataset *dataset, int64_t index, sslcv_tensor *image);

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_split_options_init(sslcv_split_options *options, size_t struct_size);

/**
 * Choose samples: a share of the labels, a fold, a published list. Same options, same choice, on every machine. For
 * one seed a smaller fraction or per_class is part of a larger one.
 *
 * @param dataset  Not NULL.
 * @param options  Not NULL.
 * @param indices  Out: ascending; NULL asks for the count. Store them with the results.
 * @param capacity Entries in indices.
 * @param count    Out: entries chosen.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (capacity too small); SSLCV_ERR_NOT_FOUND (a listed name, or a class too small);
 *         SSLCV_ERR_IO (list_path); SSLCV_ERR_FORMAT (a listed name that several samples share).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dataset_split(const sslcv_dataset *dataset, const sslcv_split_options *options,
                                           int64_t *indices, int64_t capacity, int64_t *count);

/**
 * Save a choice beside its results: a text file that list_path reads again, one name a line; "#" and the index for a
 * sample without a name, or with one that another has too.
 *
 * @param dataset Not NULL.
 * @param indices 0 .. count - 1 of dataset.
 * @param count   >= 1.
 * @param path    UTF-8; the file appears whole or not at all.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such sample); SSLCV_ERR_IO.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dataset_save_list(const sslcv_dataset *dataset, const int64_t *indices, int64_t count,
                                               const char *path);

/**
 * A data set of chosen samples, in the given order; its indices run from 0. Shares the pixels, keeps dataset alive.
 *
 * @param dataset Not NULL.
 * @param indices 0 .. count - 1 of dataset, may repeat; copied.
 * @param count   >= 1.
 * @param subset  Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_dataset_subset(sslcv_dataset *dataset, const int64_t *indices, int64_t count,
                                            sslcv_dataset **subset);

/* ---- loader ---- */

enum sslcv_sampler {
    SSLCV_SAMPLER_SHUFFLED = 0, /* every sample once an epoch, in an order drawn from (seed, epoch) */
    SSLCV_SAMPLER_IN_ORDER = 1,
    SSLCV_SAMPLER_BY_CLASS = 2  /* as many images as there are samples, all classes equally often, with replacement
                                   where a class has too few (DeepCluster); samples without label do not come. A sample
                                   that comes again in an epoch, for the r-th time, r from 0, has the views that
                                   sslcv_augmenter_apply() makes for epoch + r * 2^32 */
};

typedef struct sslcv_loader_options {
    size_t           struct_size;
    sslcv_dataset   *dataset;    /* not NULL; kept alive */
    sslcv_augmenter *augmenter;  /* not NULL; kept alive */
    int64_t          batch_size; /* images; default 256 */
    int64_t          prefetch;   /* batches made ahead by the context's loader_threads, 0 .. 64; default 2. Threads
                                    and prefetch do not change what comes out */
    uint64_t         seed;       /* 0: from the context */
    int32_t          sampler;    /* SSLCV_SAMPLER_*; default SHUFFLED */
    int32_t          drop_last;  /* 1 (default): skip the last batch of an epoch when it is not full */
} sslcv_loader_options;

typedef struct sslcv_batch {
    size_t         struct_size;
    int64_t        size;   /* images in this batch */
    int64_t        epoch;  /* from 0 */
    int64_t        index;  /* of the batch in its epoch, from 0 */
    int64_t        count;  /* batches in this epoch */
    const int64_t *ids;    /* size sample indices, of substitutes where there are any; borrowed until the next
                              sslcv_loader_next() or _seek() */
    const int64_t *labels; /* size labels, -1: none; borrowed likewise */
} sslcv_batch;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loader_options_init(sslcv_loader_options *options, size_t struct_size);

/**
 * Make a loader; it stands before batch 0 of epoch 0. Trainers have their own; this is for loops of the host, and for
 * hosts that want only the augmentation. The augmenter is fixed from now on.
 *
 * Callbacks (of data set or augmenter) without SSLCV_CALLBACK_ANY_THREAD make the loader work on the calling thread.
 *
 * @param context Not NULL.
 * @param options Not NULL.
 * @param loader  Out: owned.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (no samples, or fewer than one batch with drop_last); SSLCV_ERR_STATE (augmenter
 *         without views).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loader_create(sslcv_context *context, const sslcv_loader_options *options,
                                           sslcv_loader **loader);

/**
 * Give back the caller's reference; with the last one its threads are stopped and joined. NULL is accepted.
 *
 * @param loader NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_loader_destroy(sslcv_loader *loader);

/**
 * Go to the next batch; after an epoch's last the next epoch begins, without end. After a failure there is no current
 * batch, and the loader stands before the one that failed: call again to retry it, or seek past it.
 *
 * @param loader Not NULL.
 * @param batch  In: struct_size. Out: the rest.
 * @return SSLCV_OK; SSLCV_ERR_IO, _FORMAT, _NOT_FOUND or _LIMIT (unreadable sample with ON_ERROR_FAIL, or none
 *         readable), likewise _NUMERIC (a pixel is not finite); SSLCV_ERR_INVALID_ARGUMENT (images of one batch lead
 *         to different shapes of a view); SSLCV_ERR_CANCELLED (also: a callback's answer was negative); SSLCV_ERR_STATE
 *         (in a fork of the process that made the loader's threads).
 * @threads One thread at a time per loader.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loader_next(sslcv_loader *loader, sslcv_batch *batch);

/**
 * Views of the current batch, several as one array: first all of views[0], then all of views[1] ... Neighbours in
 * ascending order come without a copy. The first batch is made with all views, later ones with those that have been
 * asked for so far; another view is made when asked for.
 *
 * @param loader    Not NULL.
 * @param views     View indices of equal shape.
 * @param num_views >= 1.
 * @param images    Out: (num_views * size * P, C, H, W), dense f32; borrowed until the loader's next call.
 * @return SSLCV_OK; SSLCV_ERR_STATE (no current batch); SSLCV_ERR_NOT_FOUND (no such view); as sslcv_loader_next() when
 *         a view must be made first.
 * @threads One thread at a time per loader.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loader_get_views(sslcv_loader *loader, const int64_t *views, int64_t num_views,
                                              sslcv_tensor *images);

/**
 * Stand before another batch, as when a run is resumed. What then comes is what would have come without seeking.
 *
 * @param loader Not NULL.
 * @param epoch  >= 0.
 * @param index  Batch in that epoch.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (index past the epoch's end).
 * @threads One thread at a time per loader.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loader_seek(sslcv_loader *loader, int64_t epoch, int64_t index);

#ifdef __cplusplus
}
#endif
#endif
