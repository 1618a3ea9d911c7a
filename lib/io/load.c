/** sslcv_state_load() and sslcv_state_open(): options, the report, and a file as a state of its own. */
#include "io/load.h"

#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/text.h"
#include "io/safetensors.h"

#include <stdio.h>
#include <string.h>

static const int64_t default_max_bytes = (int64_t)16 << 30;

sslcv_status sslcv_load_options_init(sslcv_load_options *options, size_t struct_size)
{
    const sslcv_load_options defaults = {.roles = SSLCV_ROLE_ALL, .max_bytes = default_max_bytes};

    return sslcv__options_init("load_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(const sslcv_load_options *options)
{
    const sslcv_status status = sslcv__state_check_roles(options->roles, "load_options.roles");

    if (status != SSLCV_OK) return status;
    if (options->partial != 0 && options->partial != 1) {
        return sslcv__invalid("load_options.partial is %d; must be 0 or 1", (int)options->partial);
    }
    if (options->adapt_input < SSLCV_ADAPT_NONE || options->adapt_input > SSLCV_ADAPT_FIRST) {
        return sslcv__invalid("load_options.adapt_input is %d; must be one of SSLCV_ADAPT_*, 0 .. 3",
                              (int)options->adapt_input);
    }
    if (options->reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "load_options.reserved is not 0");
    if (options->max_bytes < 1) {
        return sslcv__invalid("load_options.max_bytes is %lld; must be >= 1", (long long)options->max_bytes);
    }
    return SSLCV_OK;
}

static sslcv_status check_strict(const sslcv_load_options *options)
{
    if (options->partial == 0 && options->roles == SSLCV_ROLE_ALL && options->adapt_input == SSLCV_ADAPT_NONE) {
        return SSLCV_OK;
    }
    return sslcv__invalid(
        "load_options has partial %d, roles %d, adapt_input %d; a trainer's checkpoint is loaded whole: "
        "must be 0, SSLCV_ROLE_ALL, SSLCV_ADAPT_NONE",
        (int)options->partial, (int)options->roles, (int)options->adapt_input);
}

/** Options and file, for both public calls; options holds the defaults. */
static sslcv_status open_file(sslcv_context *context, const char *path, const sslcv_load_options *given, int strict,
                              sslcv_load_options *options, sslcv__tensor_file *file)
{
    sslcv_stream stream = {0};
    sslcv_status status;

    SSLCV__TRY(sslcv__options_read("load_options", given, sizeof *options, options, sizeof *options));
    SSLCV__TRY(check_options(options));
    if (strict) SSLCV__TRY(check_strict(options));
    if (!path) {
        if (!options->stream) return sslcv__invalid("path and load_options.stream are both NULL");
        SSLCV__TRY(sslcv__options_read("stream", options->stream, sizeof stream, &stream, sizeof stream));
        if (!stream.read) return sslcv__null("stream.read");
    }
    SSLCV__TRY(sslcv__tensor_file_open(context, path, &stream, options->max_bytes, file));
end:
    return status;
}

/* ---- the report ---- */

/** Adds "WHAT NAME\n" where it fits whole; once a line did not, no later one is written. */
static void report_line(sslcv_load_report *report, int64_t *used, const char *what, const char *name)
{
    const int64_t bytes = (int64_t)(strlen(what) + strlen(name)) + 2;
    const int fits = report->text && *used == report->text_needed && *used + bytes < report->text_size;

    if (fits) {
        snprintf(report->text + *used, (size_t)(report->text_size - *used), "%s %s", what, name);
        sslcv__text_clean(report->text + *used); /* of as many bytes as before: names are the file's */
        *used += bytes;
        memcpy(report->text + *used - 1, "\n", 2);
    }
    report->text_needed += bytes;
}

static void fill_report(sslcv__load *l, sslcv_load_report *out)
{
    sslcv_load_report *report = &l->report;
    int64_t used = 0, i;

    if (!out) return;
    if (report->text && report->text_size > 0) report->text[0] = 0;
    for (i = 0; i < l->state->count; i++) {
        if (sslcv__load_is_wanted(l, i) && !l->found[i]) report_line(report, &used, "missing", l->state->items[i].name);
    }
    for (i = 0; i < l->file.count; i++) {
        const sslcv__tensor_entry *entry = &l->file.entries[i];

        if (sslcv__load_is_unexpected(l, entry)) report_line(report, &used, "unexpected", entry->name);
    }
    for (i = 0; i < l->state->count; i++) {
        if (sslcv__load_is_adapted(l, i)) report_line(report, &used, "adapted", l->state->items[i].name);
    }
    report->text_needed++;
    snprintf(report->layout, sizeof report->layout, "%s", l->layout);
    (void)sslcv__struct_fill("load_report", out, sizeof *report, report, sizeof *report); /* checked beforehand */
}

/* ---- the calls ---- */

/** solo-learn pads its stem for small images by 2, and shapes do not tell. */
static void warn_of_padding(const sslcv__load *l)
{
    int64_t i;

    if (strcmp(l->layout, "solo-learn") != 0) return;
    for (i = 0; i < l->state->count; i++) {
        const sslcv__tensor_entry *entry = l->found[i];

        if (!entry || strcmp(l->state->items[i].name, "conv1.weight") != 0) continue;
        if (entry->ndim == 4 && entry->shape[2] == 3) {
            sslcv__log(l->context, SSLCV_LOG_WARNING,
                       "%s: if solo-learn wrote it, its 3x3 stem is padded by 2, here by 1: features will differ",
                       l->file.path);
        }
    }
}

static sslcv_status load(sslcv__load *l, sslcv_load_report *report)
{
    sslcv_status status = SSLCV_OK;

    SSLCV__TRY(sslcv__load_match(l));
    if (l->state->strict) SSLCV__TRY(sslcv__load_check_metadata(l));
    status = sslcv__load_check_names(l);
    if (status == SSLCV_OK) status = sslcv__load_check_fits(l);
    if (status != SSLCV_OK) {
        fill_report(l, report);
        goto end;
    }
    SSLCV__TRY(sslcv__load_take(l));
    fill_report(l, report);
    warn_of_padding(l);
end:
    return status;
}

sslcv_status sslcv_state_load(sslcv_state *state, const char *path, const sslcv_load_options *options,
                              sslcv_load_report *report)
{
    sslcv__load l = {.options = {.roles = SSLCV_ROLE_ALL, .max_bytes = default_max_bytes}};
    sslcv_status status = sslcv__check(state, SSLCV__STATE, "state");

    if (status != SSLCV_OK) return status;
    l.state = state;
    l.context = state->object.context;
    if (report) {
        SSLCV__TRY(sslcv__struct_check("load_report", report, sizeof l.report));
        l.report.text = report->text;
        l.report.text_size = report->text_size;
    }
    SSLCV__TRY(open_file(l.context, path, options, state->strict, &l.options, &l.file));
    SSLCV__TRY(load(&l, report));
end:
    sslcv__free(l.context, l.found);
    sslcv__tensor_file_close(&l.file);
    return status;
}

static sslcv_status copy_metadata(const sslcv__tensor_file *file, sslcv_state *state)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < file->num_metadata && status == SSLCV_OK; i++) {
        const sslcv__tensor_pair *pair = &file->metadata[i];

        if (!sslcv__safetensors_own_key(pair->key)) status = sslcv__state_add_metadata(state, pair->key, pair->value);
    }
    return status;
}

static sslcv_status copy_entries(const sslcv__tensor_file *file, const char *prefix, sslcv_state *state)
{
    sslcv_status status = SSLCV_OK;
    void *memory = NULL;
    int64_t i;

    /* All of them, before what is refused has been paid for. */
    for (i = 0; i < file->count; i++) {
        if (strncmp(file->entries[i].name, prefix, strlen(prefix)) == 0)
            SSLCV__TRY(sslcv__tensor_file_check_known(file, &file->entries[i]));
    }
    for (i = 0; i < file->count; i++) {
        const sslcv__tensor_entry *entry = &file->entries[i];
        const void *values;
        sslcv__variable *variable;

        if (strncmp(entry->name, prefix, strlen(prefix)) != 0) continue;
        SSLCV__TRY(sslcv__tensor_file_values(file, entry, &memory, &values));
        SSLCV__TRY(sslcv__state_add(state, entry->name + strlen(prefix), entry->dtype, SSLCV_ROLE_BUFFER, entry->ndim,
                                    entry->shape, &variable));
        memcpy(variable->value, values, (size_t)entry->bytes);
        sslcv__free(state->object.context, memory);
        memory = NULL;
    }
    if (file->count > 0 && state->count == 0) {
        status = sslcv__fail(SSLCV_ERR_NOT_FOUND, "%s: none of its %lld names begins with \"%s\"; it has \"%s\"",
                             file->path, (long long)file->count, prefix, file->entries[0].name);
    }
end:
    sslcv__free(state->object.context, memory);
    return status;
}

sslcv_status sslcv_state_open(sslcv_context *context, const char *path, const sslcv_load_options *options,
                              sslcv_state **state)
{
    sslcv_load_options wanted = {.roles = SSLCV_ROLE_ALL, .max_bytes = default_max_bytes};
    sslcv__tensor_file file = {0};
    sslcv_state *opened = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!state) return sslcv__null("state");
    SSLCV__TRY(open_file(context, path, options, 0, &wanted, &file));
    SSLCV__TRY(sslcv__state_create(context, NULL, &opened));
    SSLCV__TRY(copy_entries(&file, wanted.prefix && !file.nameless ? wanted.prefix : "", opened));
    SSLCV__TRY(copy_metadata(&file, opened));
    *state = opened;
    opened = NULL;
end:
    sslcv__release(opened);
    sslcv__tensor_file_close(&file);
    return status;
}
