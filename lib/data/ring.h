/**
 * Batches in their order, and the threads that make them.
 *
 *     slots   | first: the host's, or next to be | ready | being made | free |
 *               ^ first                                                ^ first + used
 *
 * The calling thread pushes slots behind the last, waits for the first, and pops it. Threads take positions from the
 * oldest slot that has some left, and sleep when there are none. Without threads the calling thread makes everything
 * while it waits. What a sample becomes depends on (seed, epoch, sample) alone, so it does not matter who makes it.
 */
#ifndef SSLCV__DATA_RING_H
#define SSLCV__DATA_RING_H

#include "data/slot.h"

typedef struct sslcv__ring {
    sslcv_context *context;
    sslcv_dataset *dataset;
    sslcv__slot *slots;
    int64_t num_slots;
    int64_t first, used;           /* lock; only the calling thread changes them */
    struct sslcv__worker *workers; /* workers[0] is the calling thread's; 1 .. num_threads have threads */
    int64_t num_workers, num_threads;
    pthread_mutex_t lock;
    pthread_cond_t work, done; /* there is something to make; a slot is done */
    int32_t has_lock, has_work, has_done;
    int32_t process; /* that made the threads */
    atomic_int stop;
    struct sslcv__report *reports; /* of unreadable samples, newest first; lock */
    int64_t num_reports;
} sslcv__ring;

typedef struct sslcv__ring_plan {
    sslcv_dataset *dataset; /* this and the next outlive the ring */
    const sslcv_augmenter *augmenter;
    uint64_t seed;
    int64_t batch_size, prefetch, num_threads;
} sslcv__ring_plan;

/** Threads that cannot be had are done without. On failure sslcv__ring_free() is still to be called. */
sslcv_status sslcv__ring_init(sslcv_context *context, const sslcv__ring_plan *plan, sslcv__ring *ring);

/** Joins the threads. Tolerates a ring that is all zeros. */
void sslcv__ring_free(sslcv__ring *ring);

/** SSLCV_ERR_STATE in a fork of the process that made the threads: they are not there. */
sslcv_status sslcv__ring_check_process(const sslcv__ring *ring);

int sslcv__ring_has_room(const sslcv__ring *ring);

/** The slot to fill in before sslcv__ring_push(). */
sslcv__slot *sslcv__ring_free_slot(sslcv__ring *ring);
void sslcv__ring_push(sslcv__ring *ring);

sslcv__slot *sslcv__ring_first(sslcv__ring *ring); /* NULL: empty */
void sslcv__ring_pop(sslcv__ring *ring);

/** Forget all slots, once nobody works on them any more. */
void sslcv__ring_clear(sslcv__ring *ring);

/** Wait until the first slot is done. @return The slot's own failure; SSLCV_ERR_CANCELLED, and it may be waited for
    again. */
sslcv_status sslcv__ring_wait(sslcv__ring *ring);

/** Have the first slot, which is done, made again with other views of the same samples; sslcv__ring_wait() follows. */
void sslcv__ring_remake(sslcv__ring *ring, void (*choose_views)(const void *user, sslcv__slot *slot), const void *user);

/** Substitutes come from the samples of an epoch, which begin with this one. The ring is empty. */
void sslcv__ring_set_first_sample(sslcv__ring *ring, int64_t sample);

/** Hand the host's log what the threads have to say. On a thread inside a public call. */
void sslcv__ring_log(sslcv__ring *ring);

#endif
