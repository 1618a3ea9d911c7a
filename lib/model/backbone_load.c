/*
 * A backbone from a weights file. Names and shapes tell the architecture, so files of other libraries serve as well as
 * our own:
 *
 *     conv1.weight (stem_channels, channels, 3 or 7, ..)    layer1.0.conv1.weight (64 * width, ..)
 *     layer1.0.conv3.weight: a bottleneck                   layer3.5, layer3.22: how deep
 *     conv_block_1.0.weight, features.0.weight: an AlexNet
 *     bn1.running_mean, bn1.weight, neither: the norm       layer4.0: are all stages there?
 */
#include <stdio.h>
#include <string.h>

#include "core/checked.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"
#include "model/backbone.h"
#include "nn/state.h"

enum { NAME_SIZE = 256 };

static int64_t find(const sslcv_state *file, const char *prefix, const char *name, sslcv_state_entry *entry)
{
    char whole[NAME_SIZE];
    int64_t index;

    if (snprintf(whole, sizeof whole, "%s%s", prefix, name) >= (int)sizeof whole) return 0;
    entry->struct_size = sizeof *entry;
    return sslcv_state_find(file, whole, &index) == SSLCV_OK && sslcv_state_get_entry(file, index, entry) == SSLCV_OK;
}

/* The shortest text in front of the anchor; the online network's, where there are two, comes first. */
static int find_prefix(const sslcv_state *file, const char *anchor, char prefix[NAME_SIZE])
{
    sslcv_state_entry entry;
    size_t best = NAME_SIZE;
    int64_t i;

    for (i = 0; entry.struct_size = sizeof entry, sslcv_state_get_entry(file, i, &entry) == SSLCV_OK; i++) {
        const char *at = strstr(entry.name, anchor);

        if (!at || at[strlen(anchor)] != 0 || (size_t)(at - entry.name) >= best) continue;
        best = (size_t)(at - entry.name);
        memcpy(prefix, entry.name, best);
        prefix[best] = 0;
    }
    return best < NAME_SIZE;
}

static int has(const sslcv_state *file, const char *prefix, const char *name)
{
    sslcv_state_entry entry;

    return (int)find(file, prefix, name, &entry);
}

/* 2 to 5: there is a layer1, or the anchor would not be. */
static int32_t count_stages(const sslcv_state *file, const char *prefix)
{
    static const char *const firsts[] = {"layer2.0.conv1.weight", "layer3.0.conv1.weight", "layer4.0.conv1.weight"};
    int32_t stages = 2;

    while (stages < 5 && has(file, prefix, firsts[stages - 2])) stages++;
    return stages;
}

/* Depth of layer3 and kind of block name the architecture: 2 blocks, 6, 6 bottlenecks, 23. Without a layer3 that of
   layer1 does, 2 blocks or 3; those of 50 and 101 layers are then the same. */
static int32_t find_architecture(const sslcv_state *file, const char *prefix, int32_t stages)
{
    const int bottleneck = has(file, prefix, "layer1.0.conv3.weight");

    if (stages < 4) {
        if (bottleneck) return SSLCV_BACKBONE_RESNET50;
        return has(file, prefix, "layer1.2.conv1.weight") ? SSLCV_BACKBONE_RESNET34 : SSLCV_BACKBONE_RESNET18;
    }
    if (bottleneck) {
        return has(file, prefix, "layer3.22.conv1.weight")  ? SSLCV_BACKBONE_RESNET101
               : has(file, prefix, "layer3.5.conv1.weight") ? SSLCV_BACKBONE_RESNET50
                                                            : 0;
    }
    return has(file, prefix, "layer3.5.conv1.weight")   ? SSLCV_BACKBONE_RESNET34
           : has(file, prefix, "layer3.1.conv1.weight") ? SSLCV_BACKBONE_RESNET18
                                                        : 0;
}

/* What our files say of a backbone beside its tensors; in a checkpoint each has a text of its own. "": nothing. */
static const char *description(const sslcv_state *file, const char *prefix)
{
    char key[NAME_SIZE];
    const char *text = NULL;

    if (snprintf(key, sizeof key, "%ssslcv.backbone", prefix) < (int)sizeof key) {
        text = sslcv__state_get_metadata(file, key);
    }
    if (!text) text = sslcv__state_get_metadata(file, "sslcv.backbone");
    return text ? text : "";
}

/* Norms stand behind the stem, or with preactivation in the first block alone. */
static void find_norm(const sslcv_state *file, const char *prefix, const char *text, sslcv_backbone_options *o)
{
    if (!has(file, prefix, "layer1.0.bn1.weight")) {
        o->norm = SSLCV_NORM_NONE;
        o->preactivation = strstr(text, " preactivation=1") != NULL;
        return;
    }
    o->preactivation = !has(file, prefix, "bn1.weight");
    o->norm = has(file, prefix, "layer1.0.bn1.running_mean") ? SSLCV_NORM_BATCH
              : strstr(text, " norm=layer")                  ? SSLCV_NORM_LAYER
                                                             : SSLCV_NORM_GROUP;
}

static const char *const full_names[] = {"features.0.weight",  "features.4.weight",  "features.8.weight",
                                         "features.11.weight", "features.14.weight", NULL};
static const char *const half_names[] = {
    "conv_block_1.0.weight", "conv_block_2.0.weight", "conv_block_3.0.weight", "conv_block_4.0.weight",
    "conv_block_5.0.weight", "fc6.0.weight",          "fc7.0.weight",          NULL};

/* An image size whose last map has so many values as fc6 takes of each channel. */
static int64_t find_image_size(int64_t values)
{
    int64_t size = 63;

    while (size < 65536 && sslcv__alexnet_side(size) * sslcv__alexnet_side(size) < values) size++;
    return size;
}

static sslcv_status read_alexnet(const sslcv_state *file, const char *path, const char *prefix, int half,
                                 sslcv_backbone_options *o)
{
    const char *const *names = half ? half_names : full_names;
    sslcv_state_entry first, next;
    int32_t stages = 0;
    sslcv_status status;

    if (!find(file, prefix, names[0], &first) || first.ndim != 4) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s: no AlexNet is behind \"%s\"", path, prefix);
    }
    while (names[stages] && has(file, prefix, names[stages])) stages++;
    status = sslcv_backbone_options_init(o, sizeof *o, half ? SSLCV_BACKBONE_ALEXNET_HALF : SSLCV_BACKBONE_ALEXNET);
    if (status != SSLCV_OK) return status;
    o->channels = first.shape[1];
    o->stem_channels = first.shape[0];
    o->width = (double)first.shape[0] / (half ? 48.0 : 96.0);
    if (stages > 1 && find(file, prefix, names[1], &next)) o->width = (double)next.shape[0] / (half ? 128.0 : 256.0);
    if (stages > 5 && find(file, prefix, names[4], &first) && find(file, prefix, names[5], &next)) {
        o->image_size = find_image_size(next.shape[1] / (first.shape[0] > 0 ? first.shape[0] : 1));
    }
    o->num_stages = stages;
    o->seed = 1;
    return SSLCV_OK;
}

static sslcv_status read_options(const sslcv_state *file, const char *path, const char *prefix,
                                 sslcv_backbone_options *o)
{
    char found[NAME_SIZE] = "";
    sslcv_state_entry stem, layer;
    int32_t stages;
    sslcv_status status;

    if (!prefix) {
        if (!find_prefix(file, "layer1.0.conv1.weight", found) && !find_prefix(file, half_names[0], found) &&
            !find_prefix(file, full_names[0], found)) {
            return sslcv__fail(SSLCV_ERR_UNSUPPORTED,
                               "%s has no name that ends in layer1.0.conv1.weight: not a ResNet; nor in %s or %s: not "
                               "an AlexNet",
                               path, half_names[0], full_names[0]);
        }
        prefix = found;
    }
    if (has(file, prefix, half_names[0])) return read_alexnet(file, path, prefix, 1, o);
    if (has(file, prefix, full_names[0])) return read_alexnet(file, path, prefix, 0, o);
    stages = count_stages(file, prefix);
    if (!find(file, prefix, "conv1.weight", &stem) || !find(file, prefix, "layer1.0.conv1.weight", &layer) ||
        !find_architecture(file, prefix, stages) || stem.ndim != 4 || layer.ndim != 4) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s: no ResNet-18, 34, 50 or 101 is behind \"%s\"", path, prefix);
    }
    status = sslcv_backbone_options_init(o, sizeof *o, find_architecture(file, prefix, stages));
    if (status != SSLCV_OK) return status;
    o->stem = stem.shape[2] == 3 ? SSLCV_STEM_CIFAR : stem.shape[2] == 5 ? SSLCV_STEM_GIM : SSLCV_STEM_IMAGENET;
    o->stem_channels = stem.shape[0];
    o->channels = stem.shape[1];
    o->width = (double)layer.shape[0] / 64.0;
    o->num_stages = stages;
    /* A projection that neither stride nor width asks for. */
    o->project_all = find(file, prefix, "layer1.0.downsample.0.weight", &layer) && layer.shape[0] == layer.shape[1];
    find_norm(file, prefix, description(file, prefix), o);
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
