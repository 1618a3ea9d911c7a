/** What the targets of files of weights do with a file, and what must be true then. */
#ifndef SSLCV__FUZZ_STATES_H
#define SSLCV__FUZZ_STATES_H

#include "streams.h"

enum { STATE_MEMORY = 4 << 20, FILE_LIMIT = 1 << 20 };

/** The bytes of a state, by a file that this library writes. */
static inline file saved(const sslcv_state *state, int32_t format)
{
    file f = {0};
    const sslcv_stream stream = file_stream(&f, 0);
    sslcv_save_options options;

    MUST(sslcv_save_options_init(&options, sizeof options));
    options.stream = &stream;
    options.format = format;
    if (!sane(sslcv_state_save(state, NULL, &options))) file_free(&f);
    return f;
}

static inline sslcv_load_options load_options(const sslcv_stream *stream)
{
    sslcv_load_options options;

    MUST(sslcv_load_options_init(&options, sizeof options));
    options.stream = stream;
    options.max_bytes = FILE_LIMIT;
    return options;
}

/** w: f32 (2, 3) weight; mean: f64 (2) buffer; steps: i64 scalar; on: bool (3); conv1.weight: f32 (2, 3, 1, 1). */
static inline sslcv_state *make_target(sslcv_context *context)
{
    static const sslcv_state_entry entries[] = {
        {.name = "w", .shape = {2, 3}, .ndim = 2, .dtype = SSLCV_F32, .role = SSLCV_ROLE_WEIGHT},
        {.name = "mean", .shape = {2}, .ndim = 1, .dtype = SSLCV_F64, .role = SSLCV_ROLE_BUFFER},
        {.name = "steps", .dtype = SSLCV_I64, .role = SSLCV_ROLE_BUFFER},
        {.name = "on", .shape = {3}, .ndim = 1, .dtype = SSLCV_BOOL, .role = SSLCV_ROLE_BUFFER},
        {.name = "conv1.weight", .shape = {2, 3, 1, 1}, .ndim = 4, .dtype = SSLCV_F32, .role = SSLCV_ROLE_WEIGHT}};
    sslcv_state *state;
    size_t i;

    MUST(sslcv_state_create(context, &state));
    for (i = 0; i < sizeof entries / sizeof *entries; i++) {
        sslcv_state_entry entry = entries[i];

        entry.struct_size = sizeof entry;
        MUST(sslcv_state_add(state, &entry, NULL));
    }
    return state;
}

/** Every entry is what it may be, and its values can be read. */
static inline void look_through(sslcv_state *state)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    int64_t index, found, i;

    for (index = 0; sslcv_state_get_entry(state, index, &entry) == SSLCV_OK; index++) {
        sslcv_tensor tensor;
        unsigned sum = 0;
        int64_t bytes = sslcv_dtype_size(entry.dtype);

        REQUIRE(bytes > 0 && entry.ndim >= 0 && entry.ndim <= SSLCV_MAX_DIMS);
        MUST(sslcv_state_find(state, entry.name, &found));
        REQUIRE(found == index);
        MUST(sslcv_state_data(state, index, SSLCV_STATE_VALUE, &tensor));
        for (i = 0; i < entry.ndim; i++) {
            REQUIRE(entry.shape[i] >= 0 && entry.shape[i] == tensor.shape[i]);
            bytes *= entry.shape[i];
        }
        for (i = 0; i < bytes; i++) sum += ((const uint8_t *)tensor.data)[i];
        REQUIRE(sum != UINT32_MAX);
    }
}

/** One line for each name, whatever the names are; without control bytes. */
static inline void check_report(const sslcv_load_report *report)
{
    int64_t lines = 0;
    const char *p;

    REQUIRE(memchr(report->text, 0, (size_t)report->text_size));
    for (p = report->text; *p; p++) {
        lines += *p == '\n';
        REQUIRE(*p == '\n' || (*p & 0xe0) != 0);
    }
    REQUIRE(lines <= report->missing + report->unexpected + report->adapted);
}

/** Open, save, open again, save: the files are equal. Then load into a state: all or nothing. */
static inline void read_states(file *f, uint64_t choice, int32_t format)
{
    static const char *const prefixes[4] = {NULL, "", "module.", "backbone.0."};
    const sslcv_stream stream = file_stream(f, choice & 1 ? 7 : 0);
    sslcv_load_options options = load_options(&stream);
    fuzz_memory memory;
    sslcv_context *context = fuzz_context(&memory, STATE_MEMORY);
    sslcv_state *state = NULL, *again = NULL, *target = make_target(context);
    char text[256];
    sslcv_load_report report = {.struct_size = sizeof report, .text = text, .text_size = sizeof text};
    file before, after;

    options.prefix = prefixes[choice >> 1 & 3];
    if (sane(sslcv_state_open(context, NULL, &options, &state))) {
        look_through(state);
        before = saved(state, format);
        if (before.bytes) {
            const sslcv_stream own = file_stream(&before, 0);
            sslcv_status status;

            options = load_options(&own);
            options.max_bytes = (int64_t)before.size * 2;
            status = sslcv_state_open(context, NULL, &options, &again);
            REQUIRE(status == SSLCV_OK || status == SSLCV_ERR_OUT_OF_MEMORY);
            if (status == SSLCV_OK) {
                after = saved(again, format);
                REQUIRE(before.size == after.size && memcmp(before.bytes, after.bytes, after.size) == 0);
                file_free(&after);
                sslcv_state_destroy(again);
            }
        }
        file_free(&before);
        sslcv_state_destroy(state);
    } else {
        REQUIRE(!state);
    }

    f->place = 0;
    options = load_options(&stream);
    options.prefix = prefixes[choice >> 1 & 3];
    options.partial = choice >> 3 & 1;
    options.adapt_input = choice >> 4 & 3;
    options.roles = choice & 64 ? SSLCV_ROLE_WEIGHT : SSLCV_ROLE_ALL;
    before = saved(target, SSLCV_FORMAT_SAFETENSORS);
    REQUIRE(before.bytes);
    memset(text, 'x', sizeof text);
    if (sane(sslcv_state_load(target, NULL, &options, &report))) {
        REQUIRE(report.matched + report.adapted > 0);
        check_report(&report);
        look_through(target);
    } else {
        after = saved(target, SSLCV_FORMAT_SAFETENSORS);
        REQUIRE(before.size == after.size && memcmp(before.bytes, after.bytes, after.size) == 0);
        file_free(&after);
    }
    file_free(&before);
    sslcv_state_destroy(target);
    fuzz_end(context, &memory);
}

/** What the file says of an architecture is believed only as far as its tensors go. */
static inline void read_backbone(file *f, uint64_t choice)
{
    const sslcv_stream stream = file_stream(f, choice & 1 ? 7 : 0);
    sslcv_load_options options = load_options(&stream);
    fuzz_memory memory;
    sslcv_context *context = fuzz_context(&memory, STATE_MEMORY);
    sslcv_backbone *backbone = NULL;
    sslcv_status status;

    options.partial = choice >> 3 & 1;
    status = sslcv_backbone_load(context, NULL, &options, &backbone);
    /* A small file that is neither packed nor a part asks for a network that fits into the memory there is. */
    REQUIRE(status != SSLCV_ERR_OUT_OF_MEMORY || options.partial || f->size > 1 << 14 || f->bytes[8] != '{');
    if (sane(status)) {
        sslcv_backbone_info info = {.struct_size = sizeof info};

        MUST(sslcv_backbone_get_info(backbone, &info));
        REQUIRE(info.num_stages >= 1 && info.feature_dim >= 1);
        sslcv_backbone_destroy(backbone);
    } else {
        REQUIRE(!backbone);
    }
    fuzz_end(context, &memory);
}

#endif
