#include "model/backbone_file.h"

#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "nn/state.h"

static const char resnet[] = "layer1.0.conv1.weight", half[] = "conv_block_1.0.weight", full[] = "features.0.weight";

int sslcv__network_find(const sslcv__network *n, const char *name, sslcv_state_entry *entry)
{
    char whole[SSLCV__NAME_SIZE];
    int64_t index;

    if (!sslcv__naming_write(n->prefix, n->style, name, whole, sizeof whole)) return 0;
    entry->struct_size = sizeof *entry;
    return sslcv_state_find(n->file, whole, &index) == SSLCV_OK &&
           sslcv_state_get_entry(n->file, index, entry) == SSLCV_OK;
}

int sslcv__network_has(const sslcv__network *n, const char *name)
{
    sslcv_state_entry entry;

    return sslcv__network_find(n, name, &entry);
}

int sslcv__network_convolution(const sslcv__network *n, const char *name, sslcv_state_entry *entry)
{
    return sslcv__network_find(n, name, entry) && entry->ndim == 4;
}

/* ---- where is it? ---- */

static const char *get_name(const sslcv_state *file, int64_t index)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};

    return sslcv_state_get_entry(file, index, &entry) == SSLCV_OK ? entry.name : NULL;
}

static int begins(const char *name, const char *text)
{
    return strncmp(name, text, strlen(text)) == 0;
}

static int file_has(const void *file, const char *name)
{
    int64_t index;

    return sslcv_state_find(file, name, &index) == SSLCV_OK;
}

static int file_has_beginning(const void *file, const char *text)
{
    const char *name;
    int64_t i;

    for (i = 0; (name = get_name(file, i)) != NULL; i++) {
        if (begins(name, text)) return 1;
    }
    return 0;
}

/* Nothing but a stem: any file may have a conv1.weight, so nothing else may be behind the prefix. */
static int is_stem(const sslcv__network *n)
{
    sslcv_state_entry stem;
    const char *name;
    int64_t i;

    if (!sslcv__network_convolution(n, "conv1.weight", &stem) || stem.shape[2] != stem.shape[3]) return 0;
    if (stem.shape[2] != 3 && stem.shape[2] != 5 && stem.shape[2] != 7) return 0;
    for (i = 0; (name = get_name(n->file, i)) != NULL; i++) {
        const char *rest = name + strlen(n->prefix);

        if (!begins(name, n->prefix)) continue;
        if (!begins(rest, "conv1.") && !begins(rest, "bn1.") && !begins(rest, "norm.")) return 0;
    }
    return 1;
}

static int try_prefix(sslcv__network *n, const char *prefix)
{
    const sslcv__names names = {n->file, file_has, file_has_beginning};

    if (strlen(prefix) >= sizeof n->prefix) return 0;
    memcpy(n->prefix, prefix, strlen(prefix) + 1);
    n->style = sslcv__naming_style(prefix, &names);
    return sslcv__network_has(n, resnet) || sslcv__network_has(n, half) || sslcv__network_has(n, full) || is_stem(n);
}

static int try_known_prefixes(sslcv__network *n)
{
    const sslcv__names names = {n->file, file_has, file_has_beginning};
    const sslcv__naming *naming;
    int i;

    for (i = 0; (naming = sslcv__naming_get(i)) != NULL; i++) {
        if (sslcv__naming_applies(naming, &names) && try_prefix(n, naming->prefix)) return 1;
    }
    return 0;
}

/* What stands in front of an anchor, of all names that end in it; one that is the only one serves as prefix. */
static sslcv_status search_prefix(sslcv__network *n, int32_t *found)
{
    const char *const anchors[] = {resnet, half, full};
    char prefix[SSLCV__NAME_SIZE] = "";
    const char *name;
    int64_t i;
    size_t a;

    *found = 0;
    for (i = 0; (name = get_name(n->file, i)) != NULL; i++) {
        for (a = 0; a < sizeof anchors / sizeof anchors[0]; a++) {
            const size_t length = strlen(name), end = strlen(anchors[a]);

            if (length < end || strcmp(name + length - end, anchors[a]) != 0) continue;
            if (length - end >= sizeof prefix) continue;
            if (*found) {
                return sslcv__fail(SSLCV_ERR_UNSUPPORTED,
                                   "%s has several networks, \"%s\" and \"%.*s\" and maybe more; load_options.prefix "
                                   "must say which",
                                   n->path, prefix, (int)(length - end), name);
            }
            *found = 1;
            memcpy(prefix, name, length - end);
            prefix[length - end] = 0;
        }
    }
    if (*found) (void)try_prefix(n, prefix);
    return SSLCV_OK;
}

sslcv_status sslcv__network_locate(sslcv__network *n, const char *prefix, int32_t *known)
{
    int32_t found = 0;
    sslcv_status status;

    *known = 0;
    if (prefix) {
        if (try_prefix(n, prefix)) return SSLCV_OK;
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s: no ResNet-18, 34, 50 or 101 and no AlexNet is behind \"%s\"",
                           n->path, prefix);
    }
    *known = try_known_prefixes(n);
    if (*known) return SSLCV_OK;
    status = search_prefix(n, &found);
    if (status != SSLCV_OK || found) return status;
    return sslcv__fail(
        SSLCV_ERR_UNSUPPORTED,
        "%s has no name that ends in layer1.0.conv1.weight: not a ResNet; nor in %s or %s: not an AlexNet", n->path,
        half, full);
}

/* ---- are all of its layers ours? ---- */

/* Layers beyond those of the architecture, or within its blocks, make another network of it. Heads do not. */
static int is_of_body(const sslcv__network *n, const char *name)
{
    static const char *const parts[] = {"layer", "conv1.", "bn1.", "maxpool.", "features.", "conv_block_"};
    const char *rest = name + strlen(n->prefix);
    size_t i;

    if (!begins(name, n->prefix)) return 0;
    if (n->style == SSLCV__STYLE_SEQUENTIAL || n->style == SSLCV__STYLE_GENERATOR_SEQUENTIAL) {
        return rest[0] >= '0' && rest[0] <= '9';
    }
    for (i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (begins(rest, parts[i])) return 1;
    }
    return 0;
}

sslcv_status sslcv__network_check_body(const sslcv__network *n, const sslcv_state *ours)
{
    const char *theirs, *name;
    int64_t i, j;

    for (i = 0; (theirs = get_name(n->file, i)) != NULL; i++) {
        int is_ours = 0;

        if (!is_of_body(n, theirs)) continue;
        for (j = 0; !is_ours && (name = get_name(ours, j)) != NULL; j++) {
            char whole[SSLCV__NAME_SIZE];

            is_ours = sslcv__naming_write(n->prefix, n->style, name, whole, sizeof whole) && strcmp(whole, theirs) == 0;
        }
        if (!is_ours) {
            return sslcv__fail(SSLCV_ERR_UNSUPPORTED,
                               "%s: \"%s\" is no part of the network that the other names tell: not an architecture of "
                               "this library",
                               n->path, theirs);
        }
    }
    return SSLCV_OK;
}
