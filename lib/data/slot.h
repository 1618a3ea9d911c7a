/**
 * One batch in the making. Its views lie one behind the other in ascending order, so that neighbours of one shape are
 * one array:
 *
 *     data  | view 0: size * (P, C, H, W) | view 2: size * (P, C, H, W) | ...
 *
 * Whoever makes a sample first takes its position, under the loader's lock. Position 0 goes alone: its image fixes the
 * shapes of the views, and with them the memory; then the others may be taken.
 */
#ifndef SSLCV__DATA_SLOT_H
#define SSLCV__DATA_SLOT_H

#include "augment/augmenter.h"
#include "data/dataset.h"

enum { SSLCV__SLOT_MESSAGE = 1024 };

typedef struct sslcv__view {
    int64_t index;    /* in the augmenter */
    int64_t shape[4]; /* (P, C, H, W) */
    int64_t floats;   /* of one sample: P * C * H * W */
    int64_t offset;   /* of sample 0 in data, floats */
} sslcv__view;

typedef struct sslcv__slot {
    int64_t epoch, index, batches; /* its place, and the batches of its epoch */
    int64_t samples;               /* of its epoch */
    int64_t size;
    int64_t *turns;             /* size samples whose turn it is */
    int32_t *repeats;           /* size; how often that sample has had its turn in this epoch before */
    int64_t *ids;               /* size samples that came */
    unsigned char *substituted; /* size; 1 where ids differs from turns */
    sslcv__view *views;         /* num_views, ascending */
    int64_t *view_indices;
    int64_t num_views;
    float *data;
    int64_t capacity; /* of data, floats */
    int32_t pinned;   /* 1: ids are settled, no substitutes */
    int32_t shaped;   /* 1: shapes and data are ready; lock, as all that follows */
    int64_t next;     /* position to be taken next */
    int64_t end;      /* positions from here on are not to be made */
    int64_t working;  /* positions being made now */
    int64_t failed_at;
    sslcv_status status; /* of the lowest position that failed */
    int32_t reserved;
    char message[SSLCV__SLOT_MESSAGE];
} sslcv__slot;

/** What the maker of samples needs; one for each thread. */
typedef struct sslcv__maker {
    sslcv_dataset *dataset;
    const sslcv_augmenter *augmenter;
    sslcv__augment_scratch *scratch;
    float **outs; /* a pointer for each view of the augmenter */
    uint64_t seed;
    int64_t first;          /* first sample of the range that substitutes come from */
    const atomic_int *stop; /* set: give up the search for a substitute */
    /** Told of each sample that is found unreadable for the first time; last_error() says why. */
    void (*report)(void *user, int64_t sample);
    void *user;
} sslcv__maker;

sslcv_status sslcv__slot_init(sslcv_context *context, sslcv__slot *slot, int64_t batch_size, int64_t num_views);
void sslcv__slot_free(sslcv_context *context, sslcv__slot *slot);

/** Begin anew: nothing is made yet. */
void sslcv__slot_rewind(sslcv__slot *slot);

/** The position to make next; -1: none now. Lock held. */
int64_t sslcv__slot_take(sslcv__slot *slot);

/** Make the views of one position. No lock held. */
sslcv_status sslcv__slot_make(sslcv__slot *slot, const sslcv__maker *maker, int64_t position);

/** Note the outcome of a position. Lock held, on the thread that made it. */
void sslcv__slot_finish(sslcv__slot *slot, int64_t position, sslcv_status status);

/** Nothing is being made, and nothing is left to make. Lock held. */
int sslcv__slot_is_done(const sslcv__slot *slot);

/** The view with this index; NULL when it is not made here. */
const sslcv__view *sslcv__slot_find_view(const sslcv__slot *slot, int64_t index);

#endif
