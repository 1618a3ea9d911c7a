/** sslcv_state_load() and sslcv_state_open(): whose tensors are these, do they fit, and then all of them at once. */
#include "io/tensor_file.h"

#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"
#include "io/safetensors.h"
#include "nn/state.h"

#include <stdio.h>
#include <string.h>

static const int64_t default_max_bytes = (int64_t)16 << 30;

/**
 * What others put in front of torchvision's names. The row that makes most of our names match wins, of equals the
 * first; marker, where not NULL, is a name that must be there too.
 */
static const struct {
    const char *prefix, *layout, *marker;
} namings[] = {
    {"", "torchvision", "layer1.0.conv1.weight"},
    {"", "plain", NULL},
    {"backbone.0.", "sslcv", NULL},
    {"module.", "swav", "module.prototypes.weight"},
    {"module.", "torchvision", NULL}, /* DataParallel */
    {"encoder_q.", "moco", NULL},
    {"module.encoder_q.", "moco", NULL},
    {"encoder_q.0.", "mmselfsup", NULL},
    {"backbone.", "solo-learn", NULL},
    {"encoder.", "solo-learn", NULL}, /* before its version 1.0.3 */
    {"_feature_blocks.", "vissl", NULL},
    {"trunk._feature_blocks.", "vissl", NULL},
    {"model.", "plain", NULL},
};

enum { NUM_NAMINGS = (int)(sizeof namings / sizeof namings[0]) };

/** One load under way. */
typedef struct loader {
    sslcv_context *context;
    sslcv_state *state;
    sslcv_load_options options;
    sslcv__tensor_file file;
    const char *prefix;
    const char *layout;
    sslcv__tensor_entry **found; /* for each tensor of the state, NULL: not in the file, or the role is not asked for */
    sslcv_load_report report;
    int64_t wanted; /* tensors of ours that the roles choose */
} loader;

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

/* ---- names ---- */

static int is_wanted(const loader *l, int64_t index)
{
    return (l->state->items[index].variable->role & l->options.roles) != 0;
}

static int64_t count_matches(const loader *l, const char *prefix)
{
    int64_t matches = 0, i;

    for (i = 0; i < l->state->count; i++) {
        if (is_wanted(l, i) && sslcv__tensor_file_find(&l->file, prefix, l->state->items[i].name)) matches++;
    }
    return matches;
}

static void detect_prefix(loader *l)
{
    int64_t best = 0;
    int i;

    l->prefix = "";
    l->layout = "";
    for (i = 0; i < NUM_NAMINGS; i++) {
        int64_t matches;

        if (namings[i].marker && !sslcv__tensor_file_find(&l->file, "", namings[i].marker)) continue;
        matches = count_matches(l, namings[i].prefix);
        if (matches <= best) continue;
        best = matches;
        l->prefix = namings[i].prefix;
        l->layout = namings[i].layout;
    }
    if (best > 0 && sslcv__tensor_file_metadata(&l->file, "sslcv.format")) l->layout = "sslcv";
}

/** The one tensor of an .npy file gets the name of our one tensor. */
static sslcv_status give_name(loader *l)
{
    int64_t found = -1, wanted = 0, i;

    for (i = 0; i < l->state->count; i++) {
        if (!is_wanted(l, i)) continue;
        wanted++;
        found = i;
    }
    if (wanted != 1) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND,
                           "%s is an .npy file, one array without a name; it can be for one tensor, here are %lld",
                           l->file.path, (long long)wanted);
    }
    l->file.entries[0].name = l->state->items[found].name;
    return SSLCV_OK;
}

static void choose_prefix(loader *l)
{
    if (l->file.nameless) {
        l->prefix = "";
        l->layout = "plain";
    } else if (l->options.prefix) {
        l->prefix = l->options.prefix;
        l->layout = l->prefix[0] ? "prefix" : "plain";
    } else if (l->state->strict) {
        l->prefix = "";
        l->layout = "sslcv";
    } else {
        detect_prefix(l);
    }
}

static int has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/** Which of the file's tensors are ours, under the prefix chosen; the report's numbers. */
static sslcv_status match(loader *l)
{
    const sslcv_state *state = l->state;
    const sslcv_status status = sslcv__alloc_array(l->context, state->count, sizeof *l->found, (void **)&l->found);
    int64_t i;

    if (status != SSLCV_OK) return status;
    for (i = 0; i < state->count; i++) {
        sslcv__tensor_entry *entry = sslcv__tensor_file_find(&l->file, l->prefix, state->items[i].name);

        if (entry) entry->is_ours = 1;
        if (!is_wanted(l, i)) continue;
        l->wanted++;
        l->found[i] = entry;
        if (entry) {
            l->report.matched++;
        } else {
            l->report.missing++;
        }
    }
    for (i = 0; i < l->file.count; i++) {
        const sslcv__tensor_entry *entry = &l->file.entries[i];
        if (!entry->is_ours && has_prefix(entry->name, l->prefix)) l->report.unexpected++;
    }
    if (l->report.matched == 0) l->layout = "";
    return SSLCV_OK;
}

/** PyTorch counts batches only since 0.4.1. */
static int may_be_missing(const loader *l, const char *name)
{
    static const char counter[] = "num_batches_tracked";
    const size_t length = strlen(name);

    if (l->options.partial) return 1;
    return !l->state->strict && length >= sizeof counter - 1 &&
           strcmp(name + length + 1 - sizeof counter, counter) == 0;
}

static sslcv_status check_nothing_matched(const loader *l)
{
    const char *theirs = l->file.count ? l->file.entries[0].name : "", *ours = "";
    int64_t i;

    for (i = l->state->count - 1; i >= 0; i--) {
        if (is_wanted(l, i)) ours = l->state->items[i].name;
    }
    return sslcv__fail(SSLCV_ERR_NOT_FOUND,
                       "%s: of its %lld names none is \"%s\" and one of our %lld; it has \"%s\", ours is \"%s\"",
                       l->file.path, (long long)l->file.count, l->prefix, (long long)l->wanted, theirs, ours);
}

static sslcv_status check_names(const loader *l)
{
    const char *first = NULL;
    int64_t lacking = 0, i;

    if (l->wanted > 0 && l->report.matched == 0) return check_nothing_matched(l);
    for (i = 0; i < l->state->count; i++) {
        const char *name = l->state->items[i].name;

        if (!is_wanted(l, i) || l->found[i] || may_be_missing(l, name)) continue;
        if (!first) first = name;
        lacking++;
    }
    if (lacking > 0) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "%s lacks %lld of our %lld tensors, the first is \"%s\"%s",
                           l->file.path, (long long)lacking, (long long)l->wanted, first,
                           l->state->strict ? "" : "; load_options.partial = 1 allows that");
    }
    if (!l->state->strict || l->report.unexpected == 0) return SSLCV_OK;
    for (i = 0; l->file.entries[i].is_ours || !has_prefix(l->file.entries[i].name, l->prefix);) i++;
    return sslcv__fail(SSLCV_ERR_FORMAT,
                       "%s has %lld tensors that this trainer lacks, the first is \"%s\": a checkpoint of a "
                       "trainer composed differently",
                       l->file.path, (long long)l->report.unexpected, l->file.entries[i].name);
}

/** A checkpoint says what it is of: architecture, losses, branches. All of that must be as here. */
static sslcv_status check_strict_metadata(const loader *l)
{
    const sslcv_state *state = l->state;
    int64_t i;

    for (i = 0; i < state->num_metadata; i++) {
        const char *key = state->metadata[2 * i], *ours = state->metadata[2 * i + 1];
        const char *theirs = sslcv__tensor_file_metadata(&l->file, key);

        if (!has_prefix(key, "sslcv.") || sslcv__safetensors_own_key(key)) continue;
        if (!theirs) {
            return sslcv__fail(SSLCV_ERR_FORMAT, "%s is no checkpoint of such a trainer: it has no %s; must be \"%s\"",
                               l->file.path, key, ours);
        }
        if (strcmp(theirs, ours) != 0) {
            return sslcv__fail(SSLCV_ERR_FORMAT,
                               "%s is a checkpoint of another trainer: its %s is \"%s\"; must be \"%s\"", l->file.path,
                               key, theirs, ours);
        }
    }
    return SSLCV_OK;
}

/* ---- shapes ---- */

enum { SHAPE_TEXT = 21 * SSLCV_MAX_DIMS + 8 };

/** "(64, 3, 7, 7)" */
static const char *shape_text(const int64_t *shape, int32_t ndim, char text[SHAPE_TEXT])
{
    int used = 1;
    int32_t i;

    text[0] = '(';
    for (i = 0; i < ndim && i < SSLCV_MAX_DIMS; i++) {
        used += snprintf(text + used, (size_t)(SHAPE_TEXT - used), i ? ", %lld" : "%lld", (long long)shape[i]);
    }
    memcpy(text + used, ")", 2);
    return text;
}

static int is_convertible(int32_t from, int32_t to)
{
    return from == to || (sslcv__dtype_is_floating(from) && sslcv__dtype_is_floating(to));
}

/** Does the first convolution differ in its input channels alone, and has the caller said what to do then? */
static int is_adaptable(const loader *l, const sslcv__state_item *item, const sslcv__tensor_entry *entry)
{
    const int64_t *ours = item->variable->shape, *theirs = entry->shape;

    return l->options.adapt_input != SSLCV_ADAPT_NONE && strcmp(item->name, "conv1.weight") == 0 &&
           item->variable->ndim == 4 && entry->ndim == 4 && ours[0] == theirs[0] && ours[1] != theirs[1] &&
           ours[2] == theirs[2] && ours[3] == theirs[3] && theirs[1] > 0;
}

static sslcv_status check_fit(const loader *l, const sslcv__state_item *item, const sslcv__tensor_entry *entry)
{
    const sslcv__variable *variable = item->variable;
    char ours[SHAPE_TEXT], theirs[SHAPE_TEXT];
    const sslcv_status status = sslcv__tensor_file_check_known(&l->file, entry);

    if (status != SSLCV_OK) return status;
    if (!is_convertible(entry->dtype, variable->dtype)) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s: \"%s\" is %s; ours is %s", l->file.path, entry->name,
                           entry->dtype_name, sslcv__safetensors_dtype_name(variable->dtype));
    }
    if (is_adaptable(l, item, entry)) return SSLCV_OK;
    if (entry->ndim == variable->ndim &&
        memcmp(entry->shape, variable->shape, (size_t)entry->ndim * sizeof *entry->shape) == 0) {
        return SSLCV_OK;
    }
    return sslcv__fail(SSLCV_ERR_FORMAT, "%s: \"%s\" has shape %s; ours is %s", l->file.path, entry->name,
                       shape_text(entry->shape, entry->ndim, theirs),
                       shape_text(variable->shape, variable->ndim, ours));
}

static sslcv_status check_fits(loader *l)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < l->state->count && status == SSLCV_OK; i++) {
        if (!l->found[i]) continue;
        status = check_fit(l, &l->state->items[i], l->found[i]);
        if (status == SSLCV_OK && is_adaptable(l, &l->state->items[i], l->found[i])) l->report.adapted++;
    }
    return status;
}

/* ---- values ---- */

/** The file's values as a tensor; memory: NULL, or to be freed. */
static sslcv_status entry_tensor(const loader *l, const sslcv__tensor_entry *entry, void **memory, sslcv_tensor *tensor)
{
    const void *values;
    const sslcv_status status = sslcv__tensor_file_values(&l->file, entry, memory, &values);

    if (status != SSLCV_OK) return status;
    /* A tensor that is read is never written, though its data is not const. */
    sslcv__tensor_set(tensor, entry->dtype, (void *)(uintptr_t)values, entry->ndim, entry->shape);
    return SSLCV_OK;
}

/**
 * theirs: (O, F, K), ours: (O, C, K), K the kernel's elements. A grey image of value v in all channels then gives what
 * it gave before: the sum over the channels is kept (for REPEAT when C is a multiple of F).
 */
static void adapt_channels(int32_t how, const float *theirs, int64_t f, float *ours, int64_t c, int64_t o, int64_t k)
{
    const double scale = (double)f / (double)c;
    int64_t i, j, n, m;

    for (i = 0; i < o; i++) {
        for (j = 0; j < c; j++) {
            for (n = 0; n < k; n++) {
                const float *channels = theirs + i * f * k + n;
                float *value = &ours[(i * c + j) * k + n];
                double sum = 0;

                for (m = 0; m < f; m++) sum += channels[m * k];
                if (how == SSLCV_ADAPT_MEAN) *value = (float)(sum / (double)c);
                if (how == SSLCV_ADAPT_REPEAT) *value = (float)(channels[j % f * k] * scale);
                if (how == SSLCV_ADAPT_FIRST && j < f) *value = channels[j * k];
            }
        }
    }
}

static sslcv_status stage_adapted(const loader *l, sslcv__state_update *update, int64_t index, const sslcv_tensor *file)
{
    const sslcv__variable *variable = l->state->items[index].variable;
    const int64_t *shape = variable->shape;
    float *theirs = NULL, *ours = NULL;
    sslcv_tensor values;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(l->context, sslcv__tensor_count(file), sizeof *theirs, (void **)&theirs));
    SSLCV__TRY(sslcv__alloc_array(l->context, variable->count, sizeof *ours, (void **)&ours));
    sslcv__tensor_to_f32(file, theirs);
    if (variable->dtype == SSLCV_F32) {
        SSLCV__TRY(sslcv__variable_read(l->context, variable, SSLCV_STATE_VALUE, ours));
    }
    adapt_channels(l->options.adapt_input, theirs, file->shape[1], ours, shape[1], shape[0], shape[2] * shape[3]);
    sslcv__tensor_set(&values, SSLCV_F32, ours, 4, shape);
    SSLCV__TRY(sslcv__state_update_stage(update, index, SSLCV_STATE_VALUE, &values));
end:
    sslcv__free(l->context, ours);
    sslcv__free(l->context, theirs);
    return status;
}

static sslcv_status stage_entry(const loader *l, sslcv__state_update *update, int64_t index)
{
    const sslcv__tensor_entry *entry = l->found[index];
    sslcv_tensor values;
    void *memory;
    sslcv_status status = entry_tensor(l, entry, &memory, &values);

    if (status != SSLCV_OK) return status;
    if (is_adaptable(l, &l->state->items[index], entry)) {
        status = stage_adapted(l, update, index, &values);
    } else {
        status = sslcv__state_update_stage(update, index, SSLCV_STATE_VALUE, &values);
    }
    sslcv__free(l->context, memory);
    return status;
}

static sslcv_status take_values(const loader *l)
{
    sslcv__state_update update = {0};
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv__state_update_begin(&update, l->state));
    for (i = 0; i < l->state->count; i++) {
        if (l->found[i]) SSLCV__TRY(stage_entry(l, &update, i));
    }
    SSLCV__TRY(sslcv__state_update_commit(&update));
end:
    sslcv__state_update_free(&update);
    return status;
}

/* ---- the report ---- */

/** Adds "WHAT NAME\n" where it fits whole; once a line did not, no later one is written. */
static void report_line(sslcv_load_report *report, int64_t *used, const char *what, const char *name)
{
    const int64_t bytes = (int64_t)(strlen(what) + strlen(name)) + 2;
    const int fits = report->text && *used == report->text_needed && *used + bytes < report->text_size;

    if (fits) {
        snprintf(report->text + *used, (size_t)(report->text_size - *used), "%s %s\n", what, name);
        *used += bytes;
    }
    report->text_needed += bytes;
}

static void fill_report(loader *l, sslcv_load_report *out)
{
    sslcv_load_report *report = &l->report;
    int64_t used = 0, i;

    if (!out) return;
    if (report->text && report->text_size > 0) report->text[0] = 0;
    for (i = 0; i < l->state->count; i++) {
        if (is_wanted(l, i) && !l->found[i]) report_line(report, &used, "missing", l->state->items[i].name);
    }
    for (i = 0; i < l->file.count; i++) {
        const sslcv__tensor_entry *entry = &l->file.entries[i];
        if (!entry->is_ours && has_prefix(entry->name, l->prefix))
            report_line(report, &used, "unexpected", entry->name);
    }
    for (i = 0; i < l->state->count; i++) {
        if (l->found[i] && is_adaptable(l, &l->state->items[i], l->found[i])) {
            report_line(report, &used, "adapted", l->state->items[i].name);
        }
    }
    report->text_needed++;
    snprintf(report->layout, sizeof report->layout, "%s", l->layout);
    (void)sslcv__struct_fill("load_report", out, sizeof *report, report, sizeof *report); /* checked beforehand */
}

/* ---- the calls ---- */

static sslcv_status load(loader *l, sslcv_load_report *report)
{
    sslcv_status status = SSLCV_OK;

    if (l->file.nameless) SSLCV__TRY(give_name(l));
    choose_prefix(l);
    SSLCV__TRY(match(l));
    if (l->state->strict) SSLCV__TRY(check_strict_metadata(l));
    status = check_names(l);
    if (status == SSLCV_OK) status = check_fits(l);
    if (status != SSLCV_OK) {
        fill_report(l, report);
        goto end;
    }
    SSLCV__TRY(take_values(l));
    fill_report(l, report);
end:
    return status;
}

sslcv_status sslcv_state_load(sslcv_state *state, const char *path, const sslcv_load_options *options,
                              sslcv_load_report *report)
{
    loader l = {.options = {.roles = SSLCV_ROLE_ALL, .max_bytes = default_max_bytes}};
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
    const char *key;
    json_t *value;

    json_object_foreach(file->metadata, key, value)
    {
        sslcv_status status = SSLCV_OK;

        if (!sslcv__safetensors_own_key(key)) status = sslcv__state_add_metadata(state, key, json_string_value(value));
        if (status != SSLCV_OK) return status;
    }
    return SSLCV_OK;
}

static sslcv_status copy_entries(const sslcv__tensor_file *file, const char *prefix, sslcv_state *state)
{
    sslcv_status status = SSLCV_OK;
    void *memory = NULL;
    int64_t i;

    for (i = 0; i < file->count; i++) {
        const sslcv__tensor_entry *entry = &file->entries[i];
        const void *values;
        sslcv__variable *variable;

        if (!has_prefix(entry->name, prefix)) continue;
        SSLCV__TRY(sslcv__tensor_file_check_known(file, entry));
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
    SSLCV__TRY(copy_metadata(&file, opened));
    SSLCV__TRY(copy_entries(&file, wanted.prefix && !file.nameless ? wanted.prefix : "", opened));
    *state = opened;
    opened = NULL;
end:
    sslcv__release(opened);
    sslcv__tensor_file_close(&file);
    return status;
}
