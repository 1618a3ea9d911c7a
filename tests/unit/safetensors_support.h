/** What the suites of safetensors files share: a small state, files in memory. */
#ifndef SSLCV__TESTS_SAFETENSORS_SUPPORT_H
#define SSLCV__TESTS_SAFETENSORS_SUPPORT_H

#include "file_support.h"

#include "nn/state.h"

#include <sslcv/state.h>

static sslcv_context *context;
static host memory;
static sslcv_state *state; /* w: f32 (2, 3) weight; mean: f64 (2) buffer; steps: i64 scalar; on: bool (3) */

static inline void add(sslcv_state *to, const char *name, int32_t dtype, int32_t role, int32_t ndim,
                       const int64_t *shape)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry, .name = name, .dtype = dtype, .role = role, .ndim = ndim};

    if (ndim) memcpy(entry.shape, shape, (size_t)ndim * sizeof *shape);
    OK(sslcv_state_add(to, &entry, NULL));
}

static inline void *data_of(sslcv_state *of, int64_t index)
{
    sslcv_tensor tensor;

    OK(sslcv_state_data(of, index, SSLCV_STATE_VALUE, &tensor));
    return tensor.data;
}

static inline sslcv_state *make_state(int filled)
{
    const int64_t matrix[2] = {2, 3}, two = 2, three = 3;
    const double mean[2] = {0.1, INFINITY};
    const int64_t steps = -5;
    sslcv_state *made;

    OK(sslcv_state_create(context, &made));
    add(made, "w", SSLCV_F32, SSLCV_ROLE_WEIGHT, 2, matrix);
    add(made, "mean", SSLCV_F64, SSLCV_ROLE_BUFFER, 1, &two);
    add(made, "steps", SSLCV_I64, SSLCV_ROLE_BUFFER, 0, NULL);
    add(made, "on", SSLCV_BOOL, SSLCV_ROLE_BUFFER, 1, &three);
    if (!filled) return made;
    golden_input(1, 6, data_of(made, 0));
    memcpy(data_of(made, 1), mean, sizeof mean);
    memcpy(data_of(made, 2), &steps, sizeof steps);
    memcpy(data_of(made, 3), "\1\0\1", 3);
    return made;
}

static inline void check_equal(sslcv_state *a, sslcv_state *b)
{
    static const size_t bytes[4] = {24, 16, 8, 3};
    int64_t i;

    for (i = 0; i < 4; i++) ck_assert_mem_eq(data_of(a, i), data_of(b, i), bytes[i]);
}

static inline void setup(void)
{
    memory = (host){0};
    context = make_context(&memory);
    make_folder();
    state = make_state(1);
}

static inline void teardown(void)
{
    remove_folder();
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
    ck_assert_int_eq(memory.out, 0);
}

/* ---- files in memory ---- */

typedef struct memory_file {
    char *bytes;
    int64_t size, place;
    int64_t step;    /* bytes a call at most */
    int64_t fail_at; /* the call that reaches it fails; 0: none */
} memory_file;

static inline int64_t memory_read(void *user, void *buffer, int64_t size)
{
    memory_file *file = user;
    int64_t part = file->size - file->place;

    if (file->fail_at && file->place >= file->fail_at) return -1;
    if (part > size) part = size;
    if (part > file->step) part = file->step;
    memcpy(buffer, file->bytes + file->place, (size_t)part);
    file->place += part;
    return part;
}

static inline int64_t memory_write(void *user, const void *buffer, int64_t size)
{
    memory_file *file = user;
    int64_t part = size < file->step ? size : file->step;

    if (file->fail_at && file->place >= file->fail_at) return -1;
    ck_assert_int_le(file->place + part, 1 << 16);
    memcpy(file->bytes + file->place, buffer, (size_t)part);
    file->place += part;
    file->size = file->place;
    return part;
}

static inline sslcv_stream stream_of(memory_file *file)
{
    const sslcv_stream stream = {sizeof stream, file, memory_read, memory_write};

    return stream;
}

/** A file from a header, which gets its length in front, and a data part of data_size bytes 1, 2, 3 ... */
static inline memory_file build(const char *header, int64_t data_size)
{
    const int64_t length = (int64_t)strlen(header);
    memory_file file = {malloc((size_t)(8 + length + data_size)), 8 + length + data_size, 0, 1 << 20, 0};
    int64_t i;

    ck_assert_ptr_nonnull(file.bytes);
    for (i = 0; i < 8; i++) file.bytes[i] = (char)(length >> (8 * i) & 0xff);
    memcpy(file.bytes + 8, header, (size_t)length);
    for (i = 0; i < data_size; i++) file.bytes[8 + length + i] = (char)(i + 1);
    return file;
}

static inline memory_file save_to_memory(const sslcv_state *from, sslcv_save_options *options)
{
    sslcv_save_options defaults;
    memory_file file = {malloc(1 << 16), 0, 0, 1 << 20, 0};
    const sslcv_stream stream = stream_of(&file);

    ck_assert_ptr_nonnull(file.bytes);
    OK(sslcv_save_options_init(&defaults, sizeof defaults));
    if (!options) options = &defaults;
    options->stream = &stream;
    OK(sslcv_state_save(from, NULL, options));
    options->stream = NULL;
    return file;
}

static inline sslcv_status load_from_memory(sslcv_state *to, memory_file *file, sslcv_load_options *options,
                                            sslcv_load_report *report)
{
    const sslcv_stream stream = stream_of(file);
    sslcv_load_options defaults;
    sslcv_status status;

    OK(sslcv_load_options_init(&defaults, sizeof defaults));
    if (!options) options = &defaults;
    file->place = 0;
    options->stream = &stream;
    status = sslcv_state_load(to, NULL, options, report);
    options->stream = NULL;
    return status;
}

static inline sslcv_status open_from_memory(memory_file *file, const char *prefix, sslcv_state **opened)
{
    const sslcv_stream stream = stream_of(file);
    sslcv_load_options options;

    OK(sslcv_load_options_init(&options, sizeof options));
    file->place = 0;
    options.prefix = prefix;
    options.stream = &stream;
    return sslcv_state_open(context, NULL, &options, opened);
}

#endif
