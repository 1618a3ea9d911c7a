/** Structs of probes, states and contexts. */
#ifndef SSLCV__FUZZ_OPTIONS_JUDGING_H
#define SSLCV__FUZZ_OPTIONS_JUDGING_H

#include "options.h"

/* ---- judging ---- */

static void fix_embed_options(void *options, const rig *r)
{
    static const int64_t views[2] = {0, 1};
    static sslcv_branch branch;
    static const sslcv_branch *const branches[1] = {&branch};
    sslcv_embed_options *o = options;

    MUST(sslcv_branch_init(&branch, sizeof branch));
    branch.views = views;
    branch.num_views = 2;
    branch.flags = 0;
    o->dataset = r->flags & 1 ? NULL : world_dataset(r->context);
    o->augmenter = r->flags & 2 ? NULL : world_augmenter(r->context);
    o->branches = r->flags & 4 ? NULL : branches;
    if (o->num_branches > 1 || r->flags & 8) o->num_branches = 1;
}

static void drop_embed_options(void *options)
{
    const sslcv_embed_options *o = options;

    sslcv_dataset_destroy(o->dataset);
    sslcv_augmenter_destroy(o->augmenter);
}

INIT(embed_options)

static void use_embed_options(const void *options, const rig *r)
{
    float rows[2 * WORLD_SIDE * WORLD_SIDE * WORLD_SAMPLES];
    int64_t labels[WORLD_SAMPLES];
    sslcv_tensor features = {0};

    (void)r;
    if (!sane(sslcv_embed(options, &features, NULL))) return;
    REQUIRE(features.ndim == 2 && features.shape[0] <= WORLD_SAMPLES &&
            features.shape[1] <= 2 * WORLD_SIDE * WORLD_SIDE);
    features.data = rows;
    sane(sslcv_embed(options, &features, labels));
}

static void fix_probe_options(void *options, const rig *r)
{
    static sslcv_schedule rate;

    rate = world_rate();
    ((sslcv_probe_options *)options)->learning_rate = r->flags & 1 ? &rate : NULL;
}

INIT_KIND(probe_options)
CREATE(probe_options, sslcv_probe_create, sslcv_probe, sslcv_probe_destroy)

static void fix_figure_options(void *options, const rig *r)
{
    sslcv_figure_options *o = options;

    (void)r;
    if (o->draws > 1000 && o->draws <= 1000000) o->draws = 1000; /* what is allowed takes its time */
}

INIT_KIND(figure_options)

static void use_figure_options(const void *options, const rig *r)
{
    static float scores[12] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0}, truth[12] = {1, 0, 0, 0, 1, -1, 0, 0, 1, 0, 1, 0};
    static const int64_t shape[2] = {4, 3}, labels[4] = {0, 1, -1, 2};
    sslcv_figure_value value = {.struct_size = sizeof value};
    sslcv_tensor given, targets;

    MUST(sslcv_tensor_init(&given, SSLCV_F32, scores, 2, shape));
    MUST(sslcv_tensor_init(&targets, SSLCV_F32, truth, 2, shape));
    if (sane(sslcv_figure_compute(r->context, &given, r->flags & 1 ? NULL : labels, r->flags & 1 ? &targets : NULL,
                                  options, &value, NULL))) {
        REQUIRE(value.value >= 0 && value.value <= 1 && value.low <= value.high);
    }
}

static int64_t clusters;

static void fix_kmeans_options(void *options, const rig *r)
{
    (void)r;
    clusters = ((sslcv_kmeans_options *)options)->clusters;
}

INIT(kmeans_options)

static void use_kmeans_options(const void *options, const rig *r)
{
    static float rows[16];
    int64_t assignments[8], shape[2] = {8, 2}, i;
    sslcv_tensor features, centroids;
    float centres[16];

    for (i = 0; i < 16; i++) rows[i] = (float)(i * i % 11) + 1;
    memcpy(centres, rows, sizeof centres);
    MUST(sslcv_tensor_init(&features, SSLCV_F32, rows, 2, shape));
    shape[0] = clusters > 0 && clusters <= 8 ? clusters : 8;
    MUST(sslcv_tensor_init(&centroids, SSLCV_F32, centres, 2, shape));
    if (!sane(sslcv_kmeans(r->context, &features, options, &centroids, assignments, NULL))) return;
    for (i = 0; i < 8; i++) REQUIRE(assignments[i] >= 0 && assignments[i] < clusters);
}

/* ---- states, contexts ---- */

static int64_t sink(void *user, const void *bytes, int64_t size)
{
    (void)user;
    (void)bytes;
    return size;
}

static int64_t source(void *user, void *bytes, int64_t size)
{
    (void)user;
    (void)bytes;
    (void)size;
    return 0;
}

static void fix_save_options(void *options, const rig *r)
{
    static const char *const pairs[4] = {"a", "b", "sslcv.c", "d"};
    static const sslcv_stream stream = {.struct_size = sizeof stream, .read = source, .write = sink};
    sslcv_save_options *o = options;

    o->prefix = r->flags & 1 ? "x." : NULL;
    o->metadata = r->flags & 2 ? pairs : NULL;
    if (o->num_metadata > 2) o->num_metadata = 2;
    o->stream = r->flags & 4 ? NULL : &stream;
}

INIT(save_options)

static void use_save_options(const void *options, const rig *r)
{
    sslcv_head *head = world_head(r->context);
    sslcv_state *state;

    MUST(sslcv_head_get_state(head, &state));
    sane(sslcv_state_save(state, NULL, options));
    sslcv_state_destroy(state);
    sslcv_head_destroy(head);
}

static void fix_load_options(void *options, const rig *r)
{
    static const sslcv_stream stream = {.struct_size = sizeof stream, .read = source, .write = sink};
    sslcv_load_options *o = options;

    o->prefix = r->flags & 1 ? "x." : NULL;
    o->stream = r->flags & 4 ? NULL : &stream;
}

INIT(load_options)

static void use_load_options(const void *options, const rig *r)
{
    sslcv_state *state = NULL;
    sslcv_status status;

    status = sslcv_state_open(r->context, NULL, options, &state);
    check_out(status, state);
    sslcv_state_destroy(state);
}

static void fix_state_entry(void *options, const rig *r)
{
    ((sslcv_state_entry *)options)->name = r->flags & 1 ? NULL : r->flags & 2 ? "" : "a";
}

static void use_state_entry(const void *options, const rig *r)
{
    sslcv_state *state;
    sslcv_tensor tensor;
    int64_t index = -77;

    MUST(sslcv_state_create(r->context, &state));
    if (sane(sslcv_state_add(state, options, &index))) {
        MUST(sslcv_state_data(state, index, SSLCV_STATE_VALUE, &tensor));
    } else {
        REQUIRE(index == -77);
    }
    sslcv_state_destroy(state);
}

/* How often a context has given its log back. */
static int logs_closed;

static void close_log(void *closed)
{
    ++*(int *)closed;
}

static void fix_context_options(void *options, const rig *r)
{
    sslcv_context_options *o = options;

    (void)r;
    o->allocator = NULL;
    o->log = NULL;
    o->log_user = &logs_closed;
    o->log_destroy = close_log;
    o->tuning_path = NULL;
}

INIT(context_options)

static void use_context_options(const void *options, const rig *r)
{
    sslcv_context *context = NULL;
    sslcv_status status;
    size_t size;

    (void)r;
    memcpy(&size, options, sizeof size);
    logs_closed = 0;
    status = sslcv_context_create(options, &context);
    check_out(status, context);
    REQUIRE(logs_closed == 0);
    sslcv_context_destroy(context);
    REQUIRE(logs_closed == (context && size >= sizeof(sslcv_context_options)));
}

#endif
