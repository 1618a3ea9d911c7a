#include "nn/naming.h"

#include <stdio.h>
#include <string.h>

/* Two projects may use one prefix: the rows with a marker come first. */
static const sslcv__naming namings[] = {
    {"", "swav", "prototypes."},
    {"", "torchvision", "layer1.0.conv1.weight"},
    {"", "plain", NULL},
    {"backbone.0.", "sslcv", NULL},
    {"module.", "swav", "module.prototypes."},
    {"module.", "torchvision", NULL},    /* DataParallel */
    {"encoder_q.0.", "mmselfsup", NULL}, /* before its version 1.0 */
    {"encoder_q.", "moco", NULL},
    {"module.encoder_q.", "moco", NULL},
    {"module.base_encoder.", "moco", NULL}, /* v3 */
    {"backbone.", "mmselfsup", "neck."},
    {"backbone.", "lightly", "projection_head."},
    {"backbone.", "solo-learn", NULL},
    {"encoder.", "solo-learn", NULL}, /* before its version 1.0.3 */
    {"_feature_blocks.", "vissl", NULL},
    {"trunk._feature_blocks.", "vissl", NULL},
    {"trunk.base_model._feature_blocks.", "vissl", NULL},
    {"classy_state_dict.base_model.model.trunk._feature_blocks.", "vissl", NULL},
    {"module.backbone.", "plain", NULL},
    {"module.encoder.", "plain", NULL},
    {"model.", "plain", NULL},
};

/* What a style makes of the beginning of a name, and of what stands within a block. */
enum { MAX_BEGINNINGS = 6 };

typedef struct replaced {
    const char *ours, *theirs;
} replaced;

static const struct {
    const char *layout;
    const char *anchor; /* a name that no style after this one has; NULL: none is needed */
    replaced beginnings[MAX_BEGINNINGS + 1];
    replaced within;
} styles[SSLCV__NUM_STYLES] = {
    [SSLCV__STYLE_PREFIXED] = {NULL, NULL, {{NULL, NULL}}, {NULL, NULL}},
    [SSLCV__STYLE_SEQUENTIAL] = {"lightly",
                                 "4.0.conv1.weight",
                                 {{"conv1.", "0."},
                                  {"bn1.", "1."},
                                  {"layer1.", "4."},
                                  {"layer2.", "5."},
                                  {"layer3.", "6."},
                                  {"layer4.", "7."},
                                  {NULL, NULL}},
                                 {NULL, NULL}},
    [SSLCV__STYLE_GENERATOR] = {"lightly",
                                "layer2.0.shortcut.0.weight",
                                {{NULL, NULL}},
                                {".downsample.", ".shortcut."}},
    [SSLCV__STYLE_GENERATOR_SEQUENTIAL] = {"lightly",
                                           "2.0.conv1.weight",
                                           {{"conv1.", "0."},
                                            {"bn1.", "1."},
                                            {"layer1.", "2."},
                                            {"layer2.", "3."},
                                            {"layer3.", "4."},
                                            {"layer4.", "5."},
                                            {NULL, NULL}},
                                           {".downsample.", ".shortcut."}},
    [SSLCV__STYLE_DEEPCLUSTER] = {"deepcluster",
                                  "features.module.0.weight",
                                  {{"features.", "features.module."}, {NULL, NULL}},
                                  {NULL, NULL}},
};

const sslcv__naming *sslcv__naming_get(int index)
{
    return index >= 0 && index < (int)(sizeof namings / sizeof namings[0]) ? &namings[index] : NULL;
}

int sslcv__naming_applies(const sslcv__naming *naming, const sslcv__names *names)
{
    return !naming->marker || names->has_beginning(names->file, naming->marker);
}

int32_t sslcv__naming_style(const char *prefix, const sslcv__names *names)
{
    char name[SSLCV__NAME_SIZE];
    int32_t style;

    /* Downwards: behind GENERATOR_SEQUENTIAL's numbers there is a "4.0.conv1.weight" too, of its layer3. */
    for (style = SSLCV__NUM_STYLES - 1; style > SSLCV__STYLE_PREFIXED; style--) {
        if (snprintf(name, sizeof name, "%s%s", prefix, styles[style].anchor) >= (int)sizeof name) continue;
        if (names->has(names->file, name)) return style;
    }
    return SSLCV__STYLE_PREFIXED;
}

const char *sslcv__naming_layout(int32_t style)
{
    return styles[style].layout;
}

int sslcv__naming_write(const char *prefix, int32_t style, const char *name, char *text, size_t size)
{
    const replaced *beginning = styles[style].beginnings, *within = &styles[style].within;
    const char *front = "", *rest = name, *at;
    int length;

    for (; beginning->ours; beginning++) {
        const size_t ours = strlen(beginning->ours);

        if (strncmp(name, beginning->ours, ours) != 0) continue;
        front = beginning->theirs;
        rest = name + ours;
        break;
    }
    at = within->ours ? strstr(rest, within->ours) : NULL;
    if (at) {
        length = snprintf(text, size, "%s%s%.*s%s%s", prefix, front, (int)(at - rest), rest, within->theirs,
                          at + strlen(within->ours));
    } else {
        length = snprintf(text, size, "%s%s%s", prefix, front, rest);
    }
    return length >= 0 && (size_t)length < size;
}
