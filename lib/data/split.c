/*
 * Choosing samples. Samples are grouped by class, each group is put into a random order of its own, keyed by seed and
 * class, and the choice is taken from its front: so a smaller share is part of a larger one, and what happens in one
 * class does not touch another.
 */
#include "data/dataset.h"
#include "data/split_list.h"

#include "core/checked.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/rng.h"

#include <math.h>

static const sslcv_split_options defaults = {
    .struct_size = sizeof(sslcv_split_options), .fraction = 1.0, .balanced = 1};

sslcv_status sslcv_split_options_init(sslcv_split_options *options, size_t struct_size)
{
    return sslcv__options_init("split_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(const sslcv_split_options *o)
{
    if (!(o->fraction >= 0.0 && o->fraction <= 1.0)) {
        return sslcv__invalid("split.fraction is %g; must be 0 .. 1", o->fraction);
    }
    if (o->per_class < 0) return sslcv__invalid("split.per_class is %lld; must be >= 0", (long long)o->per_class);
    if (o->folds < 0 || o->folds == 1) {
        return sslcv__invalid("split.folds is %lld; must be 0, or >= 2", (long long)o->folds);
    }
    if (o->fold < 0 || o->fold >= (o->folds ? o->folds : 1)) {
        return sslcv__invalid("split.fold is %lld; must be 0 .. %lld", (long long)o->fold,
                              (long long)(o->folds ? o->folds - 1 : 0));
    }
    if ((o->per_class > 0) + (o->folds > 0) + (o->list_path != NULL) > 1) {
        return sslcv__invalid("split.per_class, folds and list_path exclude each other; give one of them");
    }
    if (o->balanced != 0 && o->balanced != 1) {
        return sslcv__invalid("split.balanced is %d; must be 0 or 1", o->balanced);
    }
    if (o->complement != 0 && o->complement != 1) {
        return sslcv__invalid("split.complement is %d; must be 0 or 1", o->complement);
    }
    return SSLCV_OK;
}

typedef struct split {
    const sslcv_dataset *dataset;
    sslcv_context *context;
    const sslcv_split_options *options;
    int64_t count;
    int64_t num_groups;
    int64_t *starts;       /* num_groups + 1: group g is members[starts[g]] .. */
    int64_t *members;      /* count sample indices, ascending in each group */
    int64_t *order;        /* of one group */
    unsigned char *chosen; /* count */
} split;

/* ---- by class ---- */

static int is_by_class(const sslcv_split_options *o)
{
    return o->balanced || o->per_class > 0;
}

/** 0 for samples without label, else label + 1; all in group 0 when classes do not matter. */
static int64_t group_of(const split *s, int64_t sample)
{
    return is_by_class(s->options) ? sslcv__dataset_label(s->dataset, sample) + 1 : 0;
}

/** A counting sort. */
static sslcv_status make_groups(split *s)
{
    int64_t group, i;
    sslcv_status status;

    s->num_groups = is_by_class(s->options) ? sslcv__dataset_num_classes(s->dataset) + 1 : 1;
    SSLCV__TRY(sslcv__alloc_array(s->context, s->num_groups + 1, sizeof *s->starts, (void **)&s->starts));
    SSLCV__TRY(sslcv__alloc_array(s->context, s->count, sizeof *s->members, (void **)&s->members));
    SSLCV__TRY(sslcv__alloc_array(s->context, s->count, sizeof *s->order, (void **)&s->order));
    for (i = 0; i < s->count; i++) s->starts[group_of(s, i)]++;
    for (i = 0, group = 0; group <= s->num_groups; group++) {
        const int64_t size = s->starts[group];

        s->starts[group] = i;
        i += size;
    }
    for (i = 0; i < s->count; i++) s->members[s->starts[group_of(s, i)]++] = i;
    for (group = s->num_groups; group > 0; group--) s->starts[group] = s->starts[group - 1];
    s->starts[0] = 0;
end:
    return status;
}

/** How many of a group's samples to take from the front of its order. */
static sslcv_status share_of(const split *s, int64_t group, int64_t size, int64_t *share)
{
    const sslcv_split_options *o = s->options;
    const char *name = "";

    if (o->per_class == 0) {
        *share = llround(o->fraction * (double)size);
        if (*share == 0 && size > 0 && o->balanced && o->fraction > 0) *share = 1;
        return SSLCV_OK;
    }
    *share = group == 0 ? 0 : o->per_class;
    if (size >= *share) return SSLCV_OK;
    sslcv_dataset_get_class(s->dataset, group - 1, &name);
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "class %lld%s%s has %lld samples; split.per_class is %lld",
                       (long long)group - 1, name[0] ? " " : "", name, (long long)size, (long long)o->per_class);
}

/**
 * Folds are dealt like cards, on and on through all groups: every class is spread evenly, and the folds differ by one
 * sample at most.
 */
static sslcv_status choose_from_groups(split *s)
{
    const sslcv_split_options *o = s->options;
    const uint64_t seed = sslcv__rng_derive(o->seed, 0, SSLCV__STREAM_SPLIT);
    int64_t group, i;

    for (group = 0; group < s->num_groups; group++) {
        const int64_t start = s->starts[group], size = s->starts[group + 1] - start;
        int64_t share = 0;
        sslcv__rng rng;

        if (o->folds == 0) {
            const sslcv_status status = share_of(s, group, size, &share);

            if (status != SSLCV_OK) return status;
        }
        sslcv__rng_init(&rng, seed, (uint64_t)group, 0);
        sslcv__rng_permutation(&rng, s->order, size);
        for (i = 0; i < size; i++) {
            const int is_in = o->folds ? (start + i) % o->folds == o->fold : i < share;

            if (is_in) s->chosen[s->members[start + s->order[i]]] = 1;
        }
    }
    return SSLCV_OK;
}

static sslcv_status choose_by_class(split *s)
{
    sslcv_status status;

    if (s->options->per_class > 0 && sslcv__dataset_num_classes(s->dataset) == 0) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "split.per_class is %lld, but the data set has no labels",
                           (long long)s->options->per_class);
    }
    if (s->options->folds > s->count) {
        return sslcv__invalid("split.folds is %lld; the data set has %lld samples", (long long)s->options->folds,
                              (long long)s->count);
    }
    SSLCV__TRY(make_groups(s));
    SSLCV__TRY(choose_from_groups(s));
end:
    return status;
}

/* ---- the whole ---- */

static sslcv_status hand_out(const split *s, int64_t *indices, int64_t capacity, int64_t *count)
{
    const unsigned char wanted = s->options->complement ? 0 : 1;
    int64_t total = 0, i;

    for (i = 0; i < s->count; i++) total += s->chosen[i] == wanted;
    if (indices && capacity < total) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "capacity is %lld; %lld samples are chosen", (long long)capacity,
                           (long long)total);
    }
    *count = total;
    for (i = 0; indices && i < s->count; i++) {
        if (s->chosen[i] == wanted) *indices++ = i;
    }
    return SSLCV_OK;
}

sslcv_status sslcv_dataset_split(const sslcv_dataset *dataset, const sslcv_split_options *options, int64_t *indices,
                                 int64_t capacity, int64_t *count)
{
    sslcv_split_options o = defaults;
    split s = {.dataset = dataset, .options = &o};
    sslcv_status status;

    SSLCV__TRY(sslcv__check(dataset, SSLCV__DATASET, "dataset"));
    if (!options) return sslcv__null("split_options");
    if (!count) return sslcv__null("count");
    SSLCV__TRY(sslcv__options_read("split_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(check_options(&o));

    s.context = dataset->object.context;
    s.count = sslcv__dataset_count(dataset);
    SSLCV__TRY(sslcv__alloc_array(s.context, s.count, 1, (void **)&s.chosen));
    SSLCV__TRY(o.list_path ? sslcv__split_list_choose(dataset, o.list_path, s.count, s.chosen) : choose_by_class(&s));
    status = hand_out(&s, indices, capacity, count);
end:
    if (s.context) {
        sslcv__free(s.context, s.chosen);
        sslcv__free(s.context, s.order);
        sslcv__free(s.context, s.members);
        sslcv__free(s.context, s.starts);
    }
    return status;
}
