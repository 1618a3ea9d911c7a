/*
 * A backbone from a weights file. Names and shapes tell the architecture, so files of other libraries serve as well as
 * our own:
 *
 *     conv1.weight (stem_channels, channels, 3 or 7, ..)    layer1.0.conv1.weight (64 * width, ..)
 *     layer1.0.conv3.weight: a bottleneck                   layer3.5, layer3.22: how deep
 */
#include <stdio.h>
#include <string.h>

#include "core/checked.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"
#include "model/backbone.h"

enum { NAME_SIZE = 256 };

static int64_t find(const sslcv_state *file, const char *prefix, const char *name, sslcv_state_entry *entry)
{
    char whole[NAME_SIZE];
    int64_t index;

    if (snprintf(whole, sizeof whole, "%s%s", prefix, name) >= (int)sizeof whole) return 0;
    entry->struct_size = sizeof *entry;
    return sslcv_state_find(file, whole, &index) == SSLCV_OK && sslcv_state_get_entry(file, index, entry) == SSLCV_OK;
}

/* The shortest text in front of "layer1.0.conv1.weight"; the online network's, where there are two, comes first. */
static int find_prefix(const sslcv_state *file, char prefix[NAME_SIZE])
{
    static const char anchor[] = "layer1.0.conv1.weight";
    sslcv_state_entry entry;
    size_t best = NAME_SIZE;
    int64_t i;

    for (i = 0; entry.struct_size = sizeof entry, sslcv_state_get_entry(file, i, &entry) == SSLCV_OK; i++) {
        const char *at = strstr(entry.name, anchor);

        if (!at || at[sizeof anchor - 1] != 0 || (size_t)(at - entry.name) >= best) continue;
        best = (size_t)(at - entry.name);
        memcpy(prefix, entry.name, best);
        prefix[best] = 0;
    }
    return best < NAME_SIZE;
}

/* Depth of layer3 and kind of block name the architecture: 2 blocks, 6, 6 bottlenecks, 23. */
static int32_t find_architecture(const sslcv_state *file, const char *prefix)
{
    sslcv_state_entry entry;

    if (find(file, prefix, "layer1.0.conv3.weight", &entry)) {
        return find(file, prefix, "layer3.22.conv1.weight", &entry)  ? SSLCV_BACKBONE_RESNET101
               : find(file, prefix, "layer3.5.conv1.weight", &entry) ? SSLCV_BACKBONE_RESNET50
                                                                     : 0;
    }
    return find(file, prefix, "layer3.5.conv1.weight", &entry)   ? SSLCV_BACKBONE_RESNET34
           : find(file, prefix, "layer3.1.conv1.weight", &entry) ? SSLCV_BACKBONE_RESNET18
                                                                 : 0;
}

static sslcv_status read_options(const sslcv_state *file, const char *path, const char *prefix,
                                 sslcv_backbone_options *o)
{
    char found[NAME_SIZE] = "";
    sslcv_state_entry stem, layer;
    sslcv_status status;

    if (!prefix) {
        if (!find_prefix(file, found)) {
            return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s has no name that ends in layer1.0.conv1.weight: not a ResNet",
                               path);
        }
        prefix = found;
    }
    if (!find(file, prefix, "conv1.weight", &stem) || !find(file, prefix, "layer1.0.conv1.weight", &layer) ||
        !find_architecture(file, prefix) || stem.ndim != 4 || layer.ndim != 4) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s: no ResNet-18, 34, 50 or 101 is behind \"%s\"", path, prefix);
    }
    status = sslcv_backbone_options_init(o, sizeof *o, find_architecture(file, prefix));
    if (status != SSLCV_OK) return status;
    o->stem = stem.shape[2] == 3 ? SSLCV_STEM_CIFAR : SSLCV_STEM_IMAGENET;
    o->stem_channels = stem.shape[0];
    o->channels = stem.shape[1];
    o->width = (double)layer.shape[0] / 64.0;
    o->seed = 1; /* all weights are read; the context's draws stay as they are */
    return SSLCV_OK;
}

/* ---- a stream is read once, and then twice from memory ---- */

typedef struct memory {
    char *data;
    int64_t size, capacity, position;
} memory;

static int64_t read_memory(void *user, void *buffer, int64_t size)
{
    memory *m = user;
    const int64_t left = m->size - m->position, count = size < left ? size : left;

    memcpy(buffer, m->data + m->position, (size_t)count);
    m->position += count;
    return count;
}

static sslcv_status read_all(sslcv_context *context, const sslcv_load_options *options, memory *m)
{
    sslcv_stream stream = {0};
    int64_t count = 1;
    sslcv_status status = SSLCV_OK;

    if (!options->stream) return sslcv__invalid("path and load_options.stream are both NULL");
    SSLCV__TRY(sslcv__options_read("stream", options->stream, sizeof stream, &stream, sizeof stream));
    if (!stream.read) return sslcv__null("stream.read");
    while (count > 0) {
        if (m->size == m->capacity) {
            const int64_t capacity = m->capacity ? 2 * m->capacity : 1 << 20;
            SSLCV__TRY(sslcv__grow_array(context, m->size, capacity, 1, (void **)&m->data));
            m->capacity = capacity;
        }
        count = stream.read(stream.user, m->data + m->size, m->capacity - m->size);
        if (count < 0 || count > m->capacity - m->size) return sslcv__fail(SSLCV_ERR_IO, "the stream's read failed");
        m->size += count;
        if (m->size > options->max_bytes) {
            return sslcv__fail(SSLCV_ERR_LIMIT, "the stream has more than load_options.max_bytes = %lld bytes",
                               (long long)options->max_bytes);
        }
    }
end:
    return status;
}

sslcv_status sslcv_backbone_load(sslcv_context *context, const char *path, const sslcv_load_options *options,
                                 sslcv_backbone **out)
{
    const char *name = path ? path : "the stream";
    sslcv_load_options o, open;
    sslcv_backbone_options net;
    sslcv_backbone *backbone = NULL;
    sslcv_state *file = NULL, *state = NULL;
    memory m = {0};
    sslcv_stream again = {sizeof again, &m, read_memory, NULL};
    sslcv_status status;

    status = sslcv__check(context, SSLCV__CONTEXT, "context");
    if (status != SSLCV_OK) return status;
    if (!out) return sslcv__null("backbone");
    SSLCV__TRY(sslcv_load_options_init(&o, sizeof o));
    SSLCV__TRY(sslcv__options_read("load_options", options, sizeof o, &o, sizeof o));
    if (!path) {
        SSLCV__TRY(read_all(context, &o, &m));
        o.stream = &again;
    }
    open = o;
    open.prefix = NULL;
    SSLCV__TRY(sslcv_state_open(context, path, &open, &file));
    SSLCV__TRY(read_options(file, name, o.prefix, &net));
    m.position = 0;
    SSLCV__TRY(sslcv_backbone_create(context, &net, &backbone));
    SSLCV__TRY(sslcv_backbone_get_state(backbone, &state));
    SSLCV__TRY(sslcv_state_load(state, path, &o, NULL));
    *out = backbone;
    backbone = NULL;
end:
    sslcv_state_destroy(state);
    sslcv_backbone_destroy(backbone);
    sslcv_state_destroy(file);
    sslcv__free(context, m.data);
    return status;
}
