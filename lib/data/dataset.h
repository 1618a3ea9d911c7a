/**
 * The inside of a data set, and what the loader, the trainer and embedding ask of it.
 *
 *     sslcv_dataset --- count, labels, failure marks, limits
 *         |
 *         +- source: how this kind gives pixels, labels and names
 *         |    files     LIST, FOLDER      table of entries, decoded when asked for
 *         |    records   CIFAR, IDX        blocks of equal records, wholly in memory
 *         |    host      CALLBACK          the host's functions
 *         +- root, indices                 a subset has no source of its own: each index leads into its root
 *
 * What has been published never changes or moves, so readers take no lock: a LIST first writes an entry, then raises
 * count (release), and a reader looks at count (acquire) before it touches an entry. Adding takes the lock.
 */
#ifndef SSLCV__DATASET_H
#define SSLCV__DATASET_H

#include <sslcv/dataset.h>

#include <pthread.h>
#include <stdatomic.h>

#include "core/object.h"
#include "data/arena.h"

/** Pixels of one sample, lent by its data set. */
typedef struct sslcv__pixels {
    sslcv_tensor image; /* (C, H, W), U8, U16 or F32, any strides */
    int64_t index;      /* in the root */
    int32_t owned;      /* for the source's use */
    int32_t reserved;
} sslcv__pixels;

/** How a kind of data set works. index is checked by the caller; all but load and unload may run on any thread. */
typedef struct sslcv__source {
    sslcv_status (*load)(sslcv_dataset *dataset, int64_t index, sslcv__pixels *pixels);
    void (*unload)(sslcv_dataset *dataset, sslcv__pixels *pixels);
    int64_t (*label)(const sslcv_dataset *dataset, int64_t index);
    const char *(*name)(const sslcv_dataset *dataset, int64_t index);
    atomic_uchar *(*mark)(const sslcv_dataset *dataset, int64_t index); /* set once found unreadable; NULL: cannot be */
    void (*release)(sslcv_dataset *dataset);                            /* tolerates a half-built store */
} sslcv__source;

struct sslcv_dataset {
    sslcv__object object;
    const sslcv__source *source;
    void *store;                   /* the source's; NULL in a subset */
    sslcv_dataset *root;           /* of a subset, kept alive; else NULL */
    int64_t *indices;              /* of a subset: count entries, into root */
    sslcv_dataset_options options; /* texts are the arena's */
    sslcv__arena arena;            /* lock */
    const char **classes;          /* num_class_names; the arena's */
    int64_t num_class_names;
    atomic_int_fast64_t shape[3]; /* (C, H, W), 0 where samples differ or are unknown; only ever turn to 0 */
    atomic_int_fast64_t count;
    atomic_int_fast64_t num_classes;
    atomic_int_fast64_t failed;
    pthread_mutex_t lock;
    int32_t has_lock;
    int32_t any_thread; /* 1: load and unload may run on any thread */
};

/* ---- for the loader, the trainer and embedding; handles are checked, indices in range ---- */

int64_t sslcv__dataset_count(const sslcv_dataset *dataset);
int64_t sslcv__dataset_num_classes(const sslcv_dataset *dataset);
int64_t sslcv__dataset_label(const sslcv_dataset *dataset, int64_t index);
const char *sslcv__dataset_name(const sslcv_dataset *dataset, int64_t index);

/** Labels of the samples first .. first + count - 1, all of which exist. */
void sslcv__dataset_labels(const sslcv_dataset *dataset, int64_t first, int64_t count, int64_t *labels);

/** 1: sslcv__dataset_load() may run on any thread, several at once. */
int sslcv__dataset_any_thread(const sslcv_dataset *dataset);

/** (C, H, W) of every sample; 0 where they differ or are not known before decoding. */
void sslcv__dataset_shape(const sslcv_dataset *dataset, int64_t shape[3]);

/** Borrow the pixels of a sample. Each success is followed by sslcv__dataset_unload(). */
sslcv_status sslcv__dataset_load(sslcv_dataset *dataset, int64_t index, sslcv__pixels *pixels);
void sslcv__dataset_unload(sslcv_dataset *dataset, sslcv__pixels *pixels);

/** Does this status say that a sample is bad, rather than the call, the memory or the program? */
int sslcv__dataset_is_unreadable(sslcv_status status);

/** Has the sample been found unreadable before? Such samples are not asked to stand in for others. */
int sslcv__dataset_is_marked(const sslcv_dataset *dataset, int64_t index);

/** Mark a sample as unreadable. @return 1: this is news, so it should be logged. */
int sslcv__dataset_mark(sslcv_dataset *dataset, int64_t index);

/* ---- between the files of lib/data ---- */

/** The kinds fill a data set whose options have been read and whose lock is ready. */
sslcv_status sslcv__folder_open(sslcv_dataset *dataset);
sslcv_status sslcv__list_open(sslcv_dataset *dataset);
sslcv_status sslcv__cifar_open(sslcv_dataset *dataset);
sslcv_status sslcv__idx_open(sslcv_dataset *dataset);
sslcv_status sslcv__host_open(sslcv_dataset *dataset);

/** Labels are -1 .. most, or less where num_classes was given. */
sslcv_status sslcv__dataset_check_label(const sslcv_dataset *dataset, int64_t label, int64_t index);

/** Is it an image that a data set may hold? (C, H, W) with 1 .. 16 channels, U8, U16 or F32, not over max_pixels. */
sslcv_status sslcv__dataset_check_image(const sslcv_dataset *dataset, const sslcv_tensor *image, const char *name);

#endif
