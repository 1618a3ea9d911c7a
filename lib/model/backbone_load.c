/*
 * A backbone from a weights file. Names and shapes tell the architecture, so files of other libraries serve as well as
 * our own:
 *
 *     conv1.weight (stem_channels, channels, 3 or 7, ..)    layer1.0.conv1.weight (64 * width, ..)
 *     layer1.0.conv3.weight: a bottleneck                   layer3.5, layer3.22: how deep
 *     conv_block_1.0.weight, features.0.weight: an AlexNet
 *     bn1.running_mean, bn1.weight, neither: the norm       layer4.0: are all stages there?
 *
 *     state_open: all names -> locate: prefix, style -> read_options -> create -> check_body -> state_load
 */
#include <stdio.h>
#include <string.h>

#include "core/checked.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"
#include "model/backbone.h"
#include "model/backbone_file.h"
#include "nn/state.h"

/* 1 to 5 */
static int32_t count_stages(const sslcv__network *n)
{
    static const char *const firsts[] = {"layer1.0.conv1.weight", "layer2.0.conv1.weight", "layer3.0.conv1.weight",
                                         "layer4.0.conv1.weight"};
    int32_t stages = 1;

    while (stages < 5 && sslcv__network_has(n, firsts[stages - 1])) stages++;
    return stages;
}

/* Depth of layer3 and kind of block name the architecture: 2 blocks, 6, 6 bottlenecks, 23. Without a layer3 that of
   layer1 does, 2 blocks or 3; those of 50 and 101 layers are then the same. */
static int32_t find_architecture(const sslcv__network *n, int32_t stages)
{
    const int bottleneck = sslcv__network_has(n, "layer1.0.conv3.weight");

    if (stages < 4) {
        if (bottleneck) return SSLCV_BACKBONE_RESNET50;
        return sslcv__network_has(n, "layer1.2.conv1.weight") ? SSLCV_BACKBONE_RESNET34 : SSLCV_BACKBONE_RESNET18;
    }
    if (bottleneck) {
        return sslcv__network_has(n, "layer3.22.conv1.weight")  ? SSLCV_BACKBONE_RESNET101
               : sslcv__network_has(n, "layer3.5.conv1.weight") ? SSLCV_BACKBONE_RESNET50
                                                                : 0;
    }
    return sslcv__network_has(n, "layer3.5.conv1.weight")   ? SSLCV_BACKBONE_RESNET34
           : sslcv__network_has(n, "layer3.1.conv1.weight") ? SSLCV_BACKBONE_RESNET18
                                                            : 0;
}

/* What our files say of a backbone beside its tensors; in a checkpoint each has a text of its own. "": nothing. */
static const char *description(const sslcv__network *n)
{
    char key[SSLCV__NAME_SIZE];
    const char *text = NULL;

    if (snprintf(key, sizeof key, "%ssslcv.backbone", n->prefix) < (int)sizeof key) {
        text = sslcv__state_get_metadata(n->file, key);
    }
    if (!text) text = sslcv__state_get_metadata(n->file, "sslcv.backbone");
    return text ? text : "";
}

/* Norms stand behind the stem, or with preactivation in the first block alone, or behind a stem without blocks. */
static void find_norm(const sslcv__network *n, const char *text, sslcv_backbone_options *o)
{
    const char *norm = o->num_stages > 1 ? "layer1.0.bn1" : sslcv__network_has(n, "norm.weight") ? "norm" : "bn1";
    char name[SSLCV__NAME_SIZE];

    snprintf(name, sizeof name, "%s.weight", norm);
    if (!sslcv__network_has(n, name)) {
        o->norm = SSLCV_NORM_NONE;
        o->preactivation = strstr(text, " preactivation=1") != NULL;
        return;
    }
    o->preactivation = !sslcv__network_has(n, "bn1.weight");
    snprintf(name, sizeof name, "%s.running_mean", norm);
    o->norm = sslcv__network_has(n, name)   ? SSLCV_NORM_BATCH
              : strstr(text, " norm=layer") ? SSLCV_NORM_LAYER
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

static sslcv_status read_alexnet(const sslcv__network *n, int half, sslcv_backbone_options *o)
{
    const char *const *names = half ? half_names : full_names;
    sslcv_state_entry first, next;
    int32_t stages = 0;
    sslcv_status status;

    if (!sslcv__network_convolution(n, names[0], &first)) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s: no AlexNet is behind \"%s\"", n->path, n->prefix);
    }
    while (names[stages] && sslcv__network_has(n, names[stages])) stages++;
    status = sslcv_backbone_options_init(o, sizeof *o, half ? SSLCV_BACKBONE_ALEXNET_HALF : SSLCV_BACKBONE_ALEXNET);
    if (status != SSLCV_OK) return status;
    o->channels = first.shape[1];
    o->stem_channels = first.shape[0];
    o->width = (double)first.shape[0] / (half ? 48.0 : 96.0);
    if (stages > 1 && sslcv__network_find(n, names[1], &next))
        o->width = (double)next.shape[0] / (half ? 128.0 : 256.0);
    if (stages > 5 && sslcv__network_find(n, names[4], &first) && sslcv__network_find(n, names[5], &next)) {
        o->image_size = find_image_size(next.shape[1] / (first.shape[0] > 0 ? first.shape[0] : 1));
    }
    o->num_stages = stages;
    o->seed = 1;
    return SSLCV_OK;
}

/*
 * The 3x3 convolution of each stage, as wide as the stage: groups (ResNeXt) and other widths show there. A file that has
 * them all is also no smaller than some part of the network that is made from it.
 */
static sslcv_status check_widths(const sslcv__network *n, int32_t stages)
{
    char name[] = "layer1.0.conv2.weight";
    sslcv_state_entry first, second, third;
    int64_t width;
    int32_t stage;

    if (!sslcv__network_convolution(n, "layer1.0.conv1.weight", &first)) return SSLCV_OK;
    width = first.shape[0];
    for (stage = 1; stage < stages; stage++, width *= 2) {
        name[5] = (char)('0' + stage);
        if (!sslcv__network_convolution(n, name, &second) || (second.shape[0] == width && second.shape[1] == width))
            continue;
        return sslcv__fail(
            SSLCV_ERR_UNSUPPORTED,
            "%s: \"%s\" is from %lld to %lld channels; in a ResNet of this library it is from %lld to as "
            "many, in a ResNeXt from fewer",
            n->path, second.name, (long long)second.shape[1], (long long)second.shape[0], (long long)width);
    }
    if (sslcv__network_convolution(n, "layer1.0.conv3.weight", &third) && third.shape[0] / 4 != first.shape[0]) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED,
                           "%s: \"%s\" is from %lld to %lld channels; in a ResNet of this library it is to 4 times as "
                           "many, in a Wide ResNet to fewer",
                           n->path, third.name, (long long)third.shape[1], (long long)third.shape[0]);
    }
    return SSLCV_OK;
}

/* What has torchvision's names, but computes something else. */
static sslcv_status check_blocks(const sslcv__network *n, int32_t stages)
{
    sslcv_state_entry pooled;

    if (sslcv__network_has(n, "conv1.0.weight")) {
        return sslcv__fail(
            SSLCV_ERR_UNSUPPORTED,
            "%s: its stem is of several convolutions (\"%sconv1.0.weight\"); in a ResNet of this library "
            "it is one",
            n->path, n->prefix);
    }
    if (sslcv__network_convolution(n, "layer1.0.downsample.1.weight", &pooled) ||
        sslcv__network_convolution(n, "layer2.0.downsample.1.weight", &pooled)) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED,
                           "%s: its shortcuts are pooled before they are projected (\"%s\"), as in ResNet-D; in a "
                           "ResNet of this library they are not",
                           n->path, pooled.name);
    }
    return check_widths(n, stages);
}

static sslcv_status read_resnet(const sslcv__network *n, sslcv_backbone_options *o)
{
    const int32_t stages = count_stages(n), architecture = find_architecture(n, stages);
    sslcv_state_entry stem, layer;
    sslcv_status status;

    SSLCV__TRY(check_blocks(n, stages));
    if (!architecture || !sslcv__network_convolution(n, "conv1.weight", &stem) ||
        (stages > 1 && !sslcv__network_convolution(n, "layer1.0.conv1.weight", &layer))) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s: no ResNet-18, 34, 50 or 101 is behind \"%s\"", n->path,
                           n->prefix);
    }
    SSLCV__TRY(sslcv_backbone_options_init(o, sizeof *o, architecture));
    o->stem = stem.shape[2] == 3 ? SSLCV_STEM_CIFAR : stem.shape[2] == 5 ? SSLCV_STEM_GIM : SSLCV_STEM_IMAGENET;
    o->stem_channels = stem.shape[0];
    o->channels = stem.shape[1];
    if (stages > 1) o->width = (double)layer.shape[0] / 64.0;
    o->num_stages = stages;
    /* A projection that neither stride nor width asks for. */
    o->project_all = sslcv__network_find(n, "layer1.0.downsample.0.weight", &layer) && layer.shape[0] == layer.shape[1];
    find_norm(n, description(n), o);
end:
    return status;
}

static sslcv_status read_options(const sslcv__network *n, sslcv_backbone_options *o)
{
    const sslcv_status status = sslcv__network_has(n, half_names[0])   ? read_alexnet(n, 1, o)
                                : sslcv__network_has(n, full_names[0]) ? read_alexnet(n, 0, o)
                                                                       : read_resnet(n, o);

    o->seed = 1; /* all weights are read; the context's draws stay as they are */
    return status;
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
    const int64_t most = options->max_bytes < INT64_MAX ? options->max_bytes + 1 : INT64_MAX; /* one byte too many */
    sslcv_stream stream = {0};
    int64_t count = 1;
    sslcv_status status = SSLCV_OK;

    if (!options->stream) return sslcv__invalid("path and load_options.stream are both NULL");
    SSLCV__TRY(sslcv__options_read("stream", options->stream, sizeof stream, &stream, sizeof stream));
    if (!stream.read) return sslcv__null("stream.read");
    while (count > 0) {
        if (m->size == m->capacity) {
            const int64_t wanted = m->capacity == 0 ? 1 << 20 : m->capacity > most / 2 ? most : 2 * m->capacity;
            const int64_t capacity = wanted < most ? wanted : most;

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

/* A few names and shapes must not make a network that is far larger than all that the file has; what may lack is little. */
static int64_t most_bytes(const sslcv__network *n, const sslcv_load_options *options)
{
    int64_t elements = options->max_bytes, most, i;

    if (!options->partial) {
        for (i = 0, elements = 0; i < n->file->count; i++)
            elements += n->file->items[i].variable->count; /* in memory */
    }
    return sslcv__multiply(elements, 8, &most) && sslcv__add(most, 1 << 20, &most) ? most : INT64_MAX;
}

/* Options that no backbone can have are the file's fault, not the caller's. */
static sslcv_status create(const sslcv__network *n, sslcv_context *context, const sslcv_backbone_options *options,
                           int64_t most, sslcv_backbone **backbone)
{
    const sslcv_status status = sslcv__backbone_create(context, options, most, backbone);
    char text[256];

    if (status != SSLCV_ERR_INVALID_ARGUMENT) return status;
    sslcv_last_error_copy(text, sizeof text);
    return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s: not an architecture of this library: %s", n->path, text);
}

sslcv_status sslcv_backbone_load(sslcv_context *context, const char *path, const sslcv_load_options *options,
                                 sslcv_backbone **out)
{
    sslcv__network n = {.path = path ? path : "the stream"};
    sslcv_load_options o, open;
    sslcv_backbone_options net;
    sslcv_backbone *backbone = NULL;
    sslcv_state *file = NULL, *state = NULL;
    memory m = {0};
    sslcv_stream again = {sizeof again, &m, read_memory, NULL};
    int32_t known;
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
    n.file = file;
    SSLCV__TRY(sslcv__network_locate(&n, o.prefix, &known));
    SSLCV__TRY(read_options(&n, &net));
    m.position = 0;
    SSLCV__TRY(create(&n, context, &net, most_bytes(&n, &o), &backbone));
    SSLCV__TRY(sslcv_backbone_get_state(backbone, &state));
    SSLCV__TRY(sslcv__network_check_body(&n, state));
    if (!known) o.prefix = n.prefix;
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
