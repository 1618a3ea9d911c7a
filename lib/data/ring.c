#include "data/ring.h"

#include "core/context.h"
#include "core/memory.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MAX_REPORTS = 1000,
    NICER = 10 /* than the thread that makes the loader; nice values */
};

/** A line for the host's log that waits for a thread inside a public call. */
typedef struct sslcv__report {
    struct sslcv__report *next;
    char text[SSLCV__SLOT_MESSAGE];
} report;

typedef struct sslcv__worker {
    sslcv__ring *ring;
    sslcv__maker maker;
    pthread_t thread;
} worker;

/* ---- making ---- */

static int take(sslcv__ring *ring, sslcv__slot **slot, int64_t *position)
{
    int64_t i;

    for (i = 0; i < ring->used; i++) {
        *slot = &ring->slots[(ring->first + i) % ring->num_slots];
        *position = sslcv__slot_take(*slot);
        if (*position >= 0) return 1;
    }
    return 0;
}

/** One sample, if there is one to make. Lock held, but not while it is made. @return 0: nothing to do. */
static int make_one(sslcv__ring *ring, const sslcv__maker *maker)
{
    sslcv__slot *slot;
    int64_t position;
    sslcv_status status;

    if (!take(ring, &slot, &position)) return 0;
    pthread_mutex_unlock(&ring->lock);
    status = sslcv__slot_make(slot, maker, position);
    pthread_mutex_lock(&ring->lock);
    sslcv__slot_finish(slot, position, status);
    if (position == 0) pthread_cond_broadcast(&ring->work);
    if (sslcv__slot_is_done(slot)) pthread_cond_signal(&ring->done);
    return 1;
}

/**
 * The threads of a training step wait for each other, so that one whose processor a loader thread takes holds up all.
 * With a lower priority we work while they wait; where batches are late, the step waits for us and leaves us all.
 */
static void give_way(void)
{
#ifdef __linux__ /* where each thread has a nice value; elsewhere this would be the host's process */
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICER); /* beyond 19 is 19; without it we go on */
#endif
}

static void *run_thread(void *self)
{
    const worker *w = self;
    sslcv__ring *ring = w->ring;

    give_way();
    pthread_mutex_lock(&ring->lock);
    while (!atomic_load(&ring->stop)) {
        if (!make_one(ring, &w->maker)) pthread_cond_wait(&ring->work, &ring->lock);
    }
    pthread_mutex_unlock(&ring->lock);
    return NULL;
}

static sslcv_status make_here(sslcv__ring *ring)
{
    sslcv_status status;
    int made;

    do {
        status = sslcv__context_check_cancel(ring->context);
        if (status != SSLCV_OK) return status;
        pthread_mutex_lock(&ring->lock);
        made = make_one(ring, &ring->workers[0].maker);
        pthread_mutex_unlock(&ring->lock);
    } while (made);
    return SSLCV_OK;
}

sslcv_status sslcv__ring_wait(sslcv__ring *ring)
{
    const sslcv__slot *slot = sslcv__ring_first(ring);

    if (ring->num_threads == 0) {
        const sslcv_status status = make_here(ring);

        if (status != SSLCV_OK) return status;
    }
    pthread_mutex_lock(&ring->lock);
    while (!sslcv__slot_is_done(slot)) pthread_cond_wait(&ring->done, &ring->lock);
    pthread_mutex_unlock(&ring->lock);
    /* The failure may have happened on another thread: its message becomes this one's. */
    return slot->status == SSLCV_OK ? SSLCV_OK : sslcv__fail(slot->status, "%s", slot->message);
}

/* ---- slots ---- */

int sslcv__ring_has_room(const sslcv__ring *ring)
{
    return ring->used < (ring->num_threads > 0 ? ring->num_slots : 1); /* alone, nobody makes anything ahead */
}

sslcv__slot *sslcv__ring_free_slot(sslcv__ring *ring)
{
    return &ring->slots[(ring->first + ring->used) % ring->num_slots];
}

void sslcv__ring_push(sslcv__ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    sslcv__slot_rewind(sslcv__ring_free_slot(ring));
    ring->used++;
    pthread_cond_broadcast(&ring->work);
    pthread_mutex_unlock(&ring->lock);
}

sslcv__slot *sslcv__ring_first(sslcv__ring *ring)
{
    return ring->used > 0 ? &ring->slots[ring->first] : NULL;
}

void sslcv__ring_pop(sslcv__ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->first = (ring->first + 1) % ring->num_slots;
    ring->used--;
    pthread_mutex_unlock(&ring->lock);
}

void sslcv__ring_clear(sslcv__ring *ring)
{
    int64_t i;

    pthread_mutex_lock(&ring->lock);
    for (i = 0; i < ring->used; i++) {
        sslcv__slot *slot = &ring->slots[(ring->first + i) % ring->num_slots];

        if (slot->end > slot->next) slot->end = slot->next;
    }
    for (i = 0; i < ring->used; i++) {
        const sslcv__slot *slot = &ring->slots[(ring->first + i) % ring->num_slots];

        while (!sslcv__slot_is_done(slot)) pthread_cond_wait(&ring->done, &ring->lock);
    }
    ring->first = ring->used = 0;
    pthread_mutex_unlock(&ring->lock);
}

void sslcv__ring_remake(sslcv__ring *ring, void (*choose_views)(const void *user, sslcv__slot *slot), const void *user)
{
    sslcv__slot *slot = sslcv__ring_first(ring);

    pthread_mutex_lock(&ring->lock);
    slot->pinned = 1;
    choose_views(user, slot);
    sslcv__slot_rewind(slot);
    pthread_cond_broadcast(&ring->work);
    pthread_mutex_unlock(&ring->lock);
}

void sslcv__ring_set_first_sample(sslcv__ring *ring, int64_t sample)
{
    int64_t i;

    for (i = 0; i < ring->num_workers; i++) ring->workers[i].maker.first = sample;
}

/* ---- reports of unreadable samples ---- */

static void add_report(void *user, int64_t sample)
{
    sslcv__ring *ring = user;
    const char *name = sslcv__dataset_name(ring->dataset, sample);
    char reason[SSLCV__SLOT_MESSAGE];
    report *r;

    sslcv_last_error_copy(reason, sizeof reason);
    if (sslcv__alloc(ring->context, sizeof *r, (void **)&r) == SSLCV_OK) {
        sslcv__fail(SSLCV_OK, "sample %lld%s%s is left out: %s", (long long)sample, name[0] ? " " : "", name, reason);
        sslcv_last_error_copy(r->text, sizeof r->text);
        pthread_mutex_lock(&ring->lock);
        if (ring->num_reports++ < MAX_REPORTS) {
            r->next = ring->reports;
            ring->reports = r;
            r = NULL;
        }
        pthread_mutex_unlock(&ring->lock);
        sslcv__free(ring->context, r);
    }
    sslcv__fail(SSLCV_OK, "%s", reason); /* the caller still wants it; without memory the sample is only counted */
}

void sslcv__ring_log(sslcv__ring *ring)
{
    report *newest, *oldest = NULL, *next;

    pthread_mutex_lock(&ring->lock);
    newest = ring->reports;
    ring->reports = NULL;
    pthread_mutex_unlock(&ring->lock);
    for (; newest; newest = next) {
        next = newest->next;
        newest->next = oldest;
        oldest = newest;
    }
    for (; oldest; oldest = next) {
        next = oldest->next;
        sslcv__log(ring->context, SSLCV_LOG_WARNING, "%s", oldest->text);
        sslcv__free(ring->context, oldest);
    }
}

/* ---- life ---- */

static int is_forked(const sslcv__ring *ring)
{
    return ring->num_threads > 0 && ring->process != (int32_t)getpid();
}

sslcv_status sslcv__ring_check_process(const sslcv__ring *ring)
{
    if (!is_forked(ring)) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_STATE,
                       "process %d is a fork of process %d, which has the loader's threads; make loaders after forks",
                       (int)getpid(), (int)ring->process);
}

static sslcv_status init_locks(sslcv__ring *ring)
{
    ring->has_lock = pthread_mutex_init(&ring->lock, NULL) == 0;
    ring->has_work = pthread_cond_init(&ring->work, NULL) == 0;
    ring->has_done = pthread_cond_init(&ring->done, NULL) == 0;
    if (ring->has_lock && ring->has_work && ring->has_done) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "out of memory: no mutex or condition to be had");
}

static sslcv_status init_worker(sslcv__ring *ring, const sslcv__ring_plan *plan, worker *w)
{
    const int64_t num_views = sslcv__augmenter_num_views(plan->augmenter);
    sslcv_status status;

    w->ring = ring;
    w->maker.dataset = plan->dataset;
    w->maker.augmenter = plan->augmenter;
    w->maker.seed = plan->seed;
    w->maker.stop = &ring->stop;
    w->maker.report = add_report;
    w->maker.user = ring;
    SSLCV__TRY(sslcv__alloc_array(ring->context, num_views, sizeof *w->maker.outs, (void **)&w->maker.outs));
    SSLCV__TRY(sslcv__augment_scratch_create(ring->context, &w->maker.scratch));
end:
    return status;
}

/** Signals are the host's: its handlers must not run on our threads. */
static void start_threads(sslcv__ring *ring, int64_t wanted)
{
    sigset_t all, before;
    int64_t i;

    if (wanted == 0) return;
    ring->process = (int32_t)getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (i = 1; i <= wanted; i++) {
        if (pthread_create(&ring->workers[i].thread, NULL, run_thread, &ring->workers[i]) != 0) break;
        ring->num_threads = i;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ring->num_threads == wanted) return;
    sslcv__log(ring->context, SSLCV_LOG_WARNING, "the system gave a loader %lld of %lld threads",
               (long long)ring->num_threads, (long long)wanted);
}

sslcv_status sslcv__ring_init(sslcv_context *context, const sslcv__ring_plan *plan, sslcv__ring *ring)
{
    const int64_t num_views = sslcv__augmenter_num_views(plan->augmenter);
    sslcv_status status;
    int64_t i;

    ring->context = context;
    ring->dataset = plan->dataset;
    SSLCV__TRY(init_locks(ring));
    ring->num_slots = plan->num_threads > 0 ? plan->prefetch + 1 : 1;
    SSLCV__TRY(sslcv__alloc_array(context, ring->num_slots, sizeof *ring->slots, (void **)&ring->slots));
    for (i = 0; i < ring->num_slots; i++) {
        SSLCV__TRY(sslcv__slot_init(context, &ring->slots[i], plan->batch_size, num_views));
    }
    SSLCV__TRY(sslcv__alloc_array(context, plan->num_threads + 1, sizeof *ring->workers, (void **)&ring->workers));
    ring->num_workers = plan->num_threads + 1;
    for (i = 0; i < ring->num_workers; i++) SSLCV__TRY(init_worker(ring, plan, &ring->workers[i]));
    start_threads(ring, plan->num_threads);
end:
    return status;
}

/** In a fork there is nothing to join, and the lock may be held by a thread that is not there. */
static void join_threads(sslcv__ring *ring)
{
    int64_t i;

    if (ring->num_threads == 0 || is_forked(ring)) return;
    pthread_mutex_lock(&ring->lock);
    atomic_store(&ring->stop, 1);
    pthread_cond_broadcast(&ring->work);
    pthread_mutex_unlock(&ring->lock);
    for (i = 1; i <= ring->num_threads; i++) pthread_join(ring->workers[i].thread, NULL);
}

void sslcv__ring_free(sslcv__ring *ring)
{
    report *next;
    int64_t i;

    join_threads(ring);
    for (i = 0; i < ring->num_workers; i++) {
        sslcv__augment_scratch_free(ring->workers[i].maker.scratch);
        sslcv__free(ring->context, ring->workers[i].maker.outs);
    }
    for (i = 0; ring->slots && i < ring->num_slots; i++) sslcv__slot_free(ring->context, &ring->slots[i]);
    for (; ring->reports; ring->reports = next) {
        next = ring->reports->next;
        sslcv__free(ring->context, ring->reports);
    }
    if (ring->workers) sslcv__free(ring->context, ring->workers);
    if (ring->slots) sslcv__free(ring->context, ring->slots);
    if (is_forked(ring)) return;
    if (ring->has_done) pthread_cond_destroy(&ring->done);
    if (ring->has_work) pthread_cond_destroy(&ring->work);
    if (ring->has_lock) pthread_mutex_destroy(&ring->lock);
}
