/** What the suites about other libraries' files share: files with their names, made from a network of ours. */
#ifndef SSLCV__TESTS_LAYOUTS_SUPPORT_H
#define SSLCV__TESTS_LAYOUTS_SUPPORT_H

#include "file_support.h"

#include "core/memory.h"
#include "core/tensor.h"
#include "model/backbone.h"
#include "nn/state.h"

static sslcv_context *context;
static host memory;
static char path[96];
static char logged[512]; /* the last line */

static inline void keep_line(void *user, int32_t level, const char *text)
{
    (void)user;
    (void)level;
    snprintf(logged, sizeof logged, "%s", text);
}

static inline void setup(void)
{
    const sslcv_allocator allocator = {sizeof allocator, &memory, host_allocate, host_deallocate, NULL};
    sslcv_context_options options;

    memory = (host){.fail_at = -1};
    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = 1;
    options.precision = SSLCV_PRECISION_F32;
    options.allocator = &allocator;
    options.log = keep_line;
    OK(sslcv_context_create(&options, &context));
    make_folder();
    snprintf(path, sizeof path, "%s/theirs", test_folder);
    logged[0] = 0;
}

static inline void teardown(void)
{
    remove_folder();
    sslcv_context_destroy(context);
    ck_assert_int_eq(memory.out, 0);
}

static inline sslcv_backbone_options small(int32_t architecture)
{
    sslcv_backbone_options options;

    OK(sslcv_backbone_options_init(&options, sizeof options, architecture));
    options.width = 0.0625;
    options.zero_init_residual = 0;
    options.seed = 11;
    return options;
}

static inline sslcv_backbone *make(const sslcv_backbone_options *options)
{
    sslcv_backbone *made;

    OK(sslcv_backbone_create(context, options, &made));
    return made;
}

static inline sslcv_state *state_of(sslcv_backbone *backbone)
{
    sslcv_state *state;

    OK(sslcv_backbone_get_state(backbone, &state));
    return state;
}

static inline sslcv_state *empty(void)
{
    sslcv_state *state;

    OK(sslcv_state_create(context, &state));
    return state;
}

/** A tensor of ones. */
static inline void add(sslcv_state *to, const char *name, int32_t dtype, int32_t ndim, const int64_t *shape)
{
    sslcv_state_entry entry = {
        .struct_size = sizeof entry, .name = name, .dtype = dtype, .ndim = ndim, .role = SSLCV_ROLE_BUFFER};
    sslcv_tensor tensor;
    int64_t index, i;

    if (ndim) memcpy(entry.shape, shape, (size_t)ndim * sizeof *shape);
    OK(sslcv_state_add(to, &entry, &index));
    if (dtype != SSLCV_F32) return;
    OK(sslcv_state_data(to, index, SSLCV_STATE_VALUE, &tensor));
    for (i = 0; i < sslcv__tensor_count(&tensor); i++) ((float *)tensor.data)[i] = 1;
}

static inline void add_ones(sslcv_state *to, const char *name)
{
    const int64_t two = 2;

    add(to, name, SSLCV_F32, 1, &two);
}

/** Values of a tensor, to be freed; all are f32 or I64. */
static inline void *values_of(const sslcv_state *state, int64_t index, sslcv_state_entry *entry, size_t *bytes)
{
    sslcv_tensor tensor;
    void *values;
    int32_t i;

    entry->struct_size = sizeof *entry;
    OK(sslcv_state_get_entry(state, index, entry));
    *bytes = sslcv_dtype_size(entry->dtype);
    for (i = 0; i < entry->ndim; i++) *bytes *= (size_t)entry->shape[i];
    values = malloc(*bytes);
    ck_assert_ptr_nonnull(values);
    OK(sslcv_tensor_init(&tensor, entry->dtype, values, entry->ndim, entry->shape));
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor));
    return values;
}

enum { AS_HERE, SEQUENTIAL, GENERATOR, GENERATOR_SEQUENTIAL, FEATURES_IN_MODULE };

/** Their name of one of ours, spelt out apart from the library. */
static inline void rename_to(int style, const char *prefix, const char *ours, char *theirs, size_t size)
{
    const int numbered = style == SEQUENTIAL || style == GENERATOR_SEQUENTIAL, first = style == SEQUENTIAL ? 4 : 2;
    const char *inner = strstr(ours, "downsample");
    char start[64], rest[128];
    int layer;

    snprintf(start, sizeof start, "%s", ours);
    rest[0] = 0;
    if (inner && style >= GENERATOR && style <= GENERATOR_SEQUENTIAL) {
        start[inner - ours] = 0;
        snprintf(rest, sizeof rest, "shortcut%s", inner + strlen("downsample"));
    }
    if (style == FEATURES_IN_MODULE && sscanf(start, "features.%63s", rest) == 1) {
        snprintf(theirs, size, "%sfeatures.module.%s", prefix, rest);
    } else if (!numbered) {
        snprintf(theirs, size, "%s%s%s", prefix, start, rest);
    } else if (sscanf(start, "layer%d", &layer) == 1) {
        snprintf(theirs, size, "%s%d%s%s", prefix, first + layer - 1, start + strlen("layer1"), rest);
    } else {
        snprintf(theirs, size, "%s%d%s", prefix, start[0] == 'b', strchr(start, '.'));
    }
}

/** Add all tensors of a network under their names; scale: of the floats. */
static inline void add_network(sslcv_state *to, sslcv_backbone *backbone, int style, const char *prefix, float scale)
{
    sslcv_state *from = state_of(backbone);
    int64_t i, j, index;

    for (i = 0; i < from->count; i++) {
        char name[256];
        size_t bytes;
        sslcv_state_entry entry;
        void *values = values_of(from, i, &entry, &bytes);
        sslcv_tensor tensor;

        rename_to(style, prefix, entry.name, name, sizeof name);
        for (j = 0; entry.dtype == SSLCV_F32 && j < (int64_t)(bytes / sizeof(float)); j++)
            ((float *)values)[j] *= scale;
        entry.name = name;
        entry.role = SSLCV_ROLE_BUFFER;
        OK(sslcv_state_add(to, &entry, &index));
        OK(sslcv_tensor_init(&tensor, entry.dtype, values, entry.ndim, entry.shape));
        OK(sslcv_state_set(to, index, SSLCV_STATE_VALUE, &tensor));
        free(values);
    }
    sslcv_state_destroy(from);
}

/** As npz: a format without our metadata, so that nothing but names and shapes tells what is in it. */
static inline void save(const sslcv_state *state)
{
    sslcv_save_options options;

    OK(sslcv_save_options_init(&options, sizeof options));
    options.format = SSLCV_FORMAT_NPZ;
    OK(sslcv_state_save(state, path, &options));
}

static inline void save_and_close(sslcv_state *state)
{
    save(state);
    sslcv_state_destroy(state);
}

static inline void check_same_weights(sslcv_backbone *a, sslcv_backbone *b)
{
    sslcv_state *states[2] = {state_of(a), state_of(b)};
    int64_t i;

    ck_assert_int_eq(states[0]->count, states[1]->count);
    for (i = 0; i < states[0]->count; i++) {
        sslcv_state_entry entries[2];
        size_t bytes[2];
        void *x = values_of(states[0], i, &entries[0], &bytes[0]), *y = values_of(states[1], i, &entries[1], &bytes[1]);

        ck_assert_str_eq(entries[0].name, entries[1].name);
        ck_assert_uint_eq(bytes[0], bytes[1]);
        ck_assert_msg(memcmp(x, y, bytes[0]) == 0, "%s differs", entries[0].name);
        free(x);
        free(y);
    }
    sslcv_state_destroy(states[0]);
    sslcv_state_destroy(states[1]);
}

static inline void check_same_network(sslcv_backbone *a, sslcv_backbone *b)
{
    char texts[2][256];

    sslcv__backbone_describe(a, texts[0], sizeof texts[0]);
    sslcv__backbone_describe(b, texts[1], sizeof texts[1]);
    ck_assert_str_eq(texts[0], texts[1]);
    check_same_weights(a, b);
}

#endif
