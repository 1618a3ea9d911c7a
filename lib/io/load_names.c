/** Whose tensors are these, and are all there that must be? */
#include "io/load.h"

#include "core/memory.h"
#include "io/safetensors.h"

#include <string.h>

int sslcv__load_is_wanted(const sslcv__load *l, int64_t index)
{
    return (l->state->items[index].variable->role & l->options.roles) != 0;
}

static int has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

int sslcv__load_is_unexpected(const sslcv__load *l, const sslcv__tensor_entry *entry)
{
    return !entry->is_ours && has_prefix(entry->name, l->prefix);
}

/* ---- whose names ---- */

static int file_has(const void *file, const char *name)
{
    return sslcv__tensor_file_find(file, "", name) != NULL;
}

static int file_has_beginning(const void *file, const char *text)
{
    const sslcv__tensor_file *f = file;
    int64_t i;

    for (i = 0; i < f->count; i++) {
        if (has_prefix(f->entries[i].name, text)) return 1;
    }
    return 0;
}

static sslcv__tensor_entry *find_entry(const sslcv__load *l, const char *prefix, int32_t style, const char *name)
{
    char theirs[SSLCV__NAME_SIZE];

    if (style == SSLCV__STYLE_PREFIXED) return sslcv__tensor_file_find(&l->file, prefix, name);
    if (!sslcv__naming_write(prefix, style, name, theirs, sizeof theirs)) return NULL;
    return sslcv__tensor_file_find(&l->file, "", theirs);
}

static int64_t count_matches(const sslcv__load *l, const char *prefix, int32_t style)
{
    int64_t matches = 0, i;

    for (i = 0; i < l->state->count; i++) {
        if (sslcv__load_is_wanted(l, i) && find_entry(l, prefix, style, l->state->items[i].name)) matches++;
    }
    return matches;
}

/** The row that makes most of our names match wins, of equals the first. */
static void detect_naming(sslcv__load *l)
{
    const sslcv__names names = {&l->file, file_has, file_has_beginning};
    const sslcv__naming *naming;
    int64_t best = 0;
    int i;

    l->prefix = "";
    l->layout = "";
    for (i = 0; (naming = sslcv__naming_get(i)) != NULL; i++) {
        int32_t style;
        int64_t matches;

        if (!sslcv__naming_applies(naming, &names)) continue;
        style = sslcv__naming_style(naming->prefix, &names);
        matches = count_matches(l, naming->prefix, style);
        if (matches <= best) continue;
        best = matches;
        l->prefix = naming->prefix;
        l->style = style;
        l->layout = style == SSLCV__STYLE_PREFIXED ? naming->layout : sslcv__naming_layout(style);
    }
    if (best > 0 && sslcv__tensor_file_metadata(&l->file, "sslcv.format")) l->layout = "sslcv";
}

/** The one tensor of an .npy file gets the name of our one tensor. */
static sslcv_status give_name(sslcv__load *l)
{
    int64_t found = -1, wanted = 0, i;

    for (i = 0; i < l->state->count; i++) {
        if (!sslcv__load_is_wanted(l, i)) continue;
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

static void choose_naming(sslcv__load *l)
{
    const sslcv__names names = {&l->file, file_has, file_has_beginning};

    l->style = SSLCV__STYLE_PREFIXED;
    l->prefix = "";
    if (l->file.nameless) {
        l->layout = "plain";
    } else if (l->options.prefix) {
        l->prefix = l->options.prefix;
        l->style = sslcv__naming_style(l->prefix, &names);
        l->layout = l->prefix[0] ? "prefix" : "plain";
    } else if (l->state->strict) {
        l->layout = "sslcv";
    } else {
        detect_naming(l);
    }
}

sslcv_status sslcv__load_match(sslcv__load *l)
{
    const sslcv_state *state = l->state;
    sslcv_status status = SSLCV_OK;
    int64_t i;

    if (l->file.nameless) SSLCV__TRY(give_name(l));
    choose_naming(l);
    SSLCV__TRY(sslcv__alloc_array(l->context, state->count, sizeof *l->found, (void **)&l->found));
    for (i = 0; i < state->count; i++) {
        sslcv__tensor_entry *entry = find_entry(l, l->prefix, l->style, state->items[i].name);

        if (entry) entry->is_ours = 1;
        if (!sslcv__load_is_wanted(l, i)) continue;
        l->wanted++;
        l->found[i] = entry;
        if (entry) {
            l->report.matched++;
        } else {
            l->report.missing++;
        }
    }
    for (i = 0; i < l->file.count; i++) {
        if (sslcv__load_is_unexpected(l, &l->file.entries[i])) l->report.unexpected++;
    }
    if (l->report.matched == 0) l->layout = "";
end:
    return status;
}

/* ---- must they be there? ---- */

int sslcv__load_is_counter(const char *name)
{
    static const char counter[] = "num_batches_tracked";
    const size_t length = strlen(name);

    return length >= sizeof counter - 1 && strcmp(name + length + 1 - sizeof counter, counter) == 0;
}

/** PyTorch counts batches only since 0.4.1. */
static int may_be_missing(const sslcv__load *l, const char *name)
{
    return l->options.partial || (!l->state->strict && sslcv__load_is_counter(name));
}

static sslcv_status check_nothing_matched(const sslcv__load *l)
{
    const char *theirs = l->file.count ? l->file.entries[0].name : "", *ours = "";
    int64_t i;

    for (i = l->state->count - 1; i >= 0; i--) {
        if (sslcv__load_is_wanted(l, i)) ours = l->state->items[i].name;
    }
    return sslcv__fail(SSLCV_ERR_NOT_FOUND,
                       "%s: of its %lld names none is \"%s\" and one of our %lld; it has \"%s\", ours is \"%s\"",
                       l->file.path, (long long)l->file.count, l->prefix, (long long)l->wanted, theirs, ours);
}

sslcv_status sslcv__load_check_names(const sslcv__load *l)
{
    const char *first = NULL;
    int64_t lacking = 0, i;

    if (l->wanted > 0 && l->report.matched == 0) return check_nothing_matched(l);
    for (i = 0; i < l->state->count; i++) {
        const char *name = l->state->items[i].name;

        if (!sslcv__load_is_wanted(l, i) || l->found[i] || may_be_missing(l, name)) continue;
        if (!first) first = name;
        lacking++;
    }
    if (lacking > 0) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "%s lacks %lld of our %lld tensors, the first is \"%s\"%s",
                           l->file.path, (long long)lacking, (long long)l->wanted, first,
                           l->state->strict ? "" : "; load_options.partial = 1 allows that");
    }
    if (!l->state->strict || l->report.unexpected == 0) return SSLCV_OK;
    for (i = 0; !sslcv__load_is_unexpected(l, &l->file.entries[i]);) i++;
    return sslcv__fail(SSLCV_ERR_FORMAT,
                       "%s has %lld tensors that this trainer lacks, the first is \"%s\": a checkpoint of a "
                       "trainer composed differently",
                       l->file.path, (long long)l->report.unexpected, l->file.entries[i].name);
}

/** A checkpoint says what it is of: architecture, losses, branches. All of that must be as here. */
sslcv_status sslcv__load_check_metadata(const sslcv__load *l)
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
