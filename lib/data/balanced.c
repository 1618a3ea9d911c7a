#include "data/balanced.h"

#include "core/memory.h"
#include "core/rng.h"

#include <stdlib.h>
#include <string.h>

typedef struct member {
    int64_t label, sample;
} member;

/** One class among the sorted members. */
typedef struct member_run {
    member *members;
    int64_t count;
} member_run;

static int compare(const void *left, const void *right)
{
    const member *a = left, *b = right;

    if (a->label != b->label) return a->label < b->label ? -1 : 1;
    return (a->sample > b->sample) - (a->sample < b->sample);
}

static member_run run_at(member *members, int64_t count, int64_t at)
{
    int64_t end = at;

    while (end < count && members[end].label == members[at].label) end++;
    return (member_run){members + at, end - at};
}

/* Different ones by the first steps of a shuffle, else each for itself. */
static void draw(const member_run *run, int64_t wanted, sslcv__rng *rng, int64_t *out)
{
    int64_t i;

    for (i = 0; i < wanted; i++) {
        const int64_t from = run->count > wanted ? i : 0, at = from + sslcv__rng_below(rng, run->count - from);
        const member drawn = run->members[at];

        out[i] = drawn.sample;
        if (run->count <= wanted) continue;
        run->members[at] = run->members[i];
        run->members[i] = drawn;
    }
}

static void count_repeats(const int64_t *order, int64_t n, int32_t *seen, int32_t *repeats)
{
    int64_t i;

    memset(seen, 0, (size_t)n * sizeof *seen);
    for (i = 0; i < n; i++) repeats[i] = seen[order[i]]++;
}

/* Numbers of classes do not matter, only who is together: name each by its first sample. Returns how many there are. */
static int64_t sort_members(member *members, int64_t count)
{
    int64_t classes = 0, at, i;

    qsort(members, (size_t)count, sizeof *members, compare);
    for (at = 0; at < count; classes++) {
        const member_run run = run_at(members, count, at);

        for (i = 0; i < run.count; i++) run.members[i].label = run.members[0].sample;
        at += run.count;
    }
    qsort(members, (size_t)count, sizeof *members, compare);
    return classes;
}

/* All draws, then a shuffle of which only the first n places are made. */
static void draw_all(member *members, int64_t count, int64_t classes, int64_t n, uint64_t seed, int64_t *drawn,
                     int64_t *order)
{
    const int64_t wanted = n / classes + 1, total = wanted * classes;
    int64_t at, class_index = 0, i;
    sslcv__rng rng;

    for (at = 0; at < count; class_index++) {
        const member_run run = run_at(members, count, at);

        at += run.count;
        sslcv__rng_init(&rng, seed, (uint64_t)run.members[0].label, 1);
        draw(&run, wanted, &rng, drawn + class_index * wanted);
    }
    sslcv__rng_init(&rng, seed, 0, 0);
    for (i = 0; i < n; i++) {
        const int64_t from = i + sslcv__rng_below(&rng, total - i);

        order[i] = drawn[from];
        drawn[from] = drawn[i];
    }
}

sslcv_status sslcv__order_by_class(sslcv_context *context, const int64_t *labels, int64_t n, uint64_t seed,
                                   int64_t epoch, int64_t *order, int32_t *repeats)
{
    const uint64_t key = sslcv__rng_derive(seed, (uint64_t)epoch, SSLCV__STREAM_ORDER);
    member *members = NULL;
    int64_t *drawn = NULL;
    int32_t *seen = NULL;
    int64_t count = 0, classes, i;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof *members, (void **)&members));
    for (i = 0; i < n; i++) {
        if (labels[i] >= 0) members[count++] = (member){labels[i], i};
    }
    if (count == 0) {
        status = sslcv__fail(SSLCV_ERR_LIMIT, "none of %lld samples has a label; SSLCV_SAMPLER_BY_CLASS needs one",
                             (long long)n);
        goto end;
    }
    classes = sort_members(members, count);
    SSLCV__TRY(sslcv__alloc_array(context, n + classes, sizeof *drawn, (void **)&drawn));
    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof *seen, (void **)&seen));
    draw_all(members, count, classes, n, key, drawn, order);
    count_repeats(order, n, seen, repeats);
end:
    sslcv__free(context, members);
    sslcv__free(context, drawn);
    sslcv__free(context, seen);
    return status;
}
