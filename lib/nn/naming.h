/**
 * What others call the tensors that we call as torchvision does. docs/weights.md has the table with its sources.
 *
 *     their name = prefix + our name, parts of which are replaced by the style
 *
 *     "module.encoder_q." "layer1.0.conv1.weight"                    PREFIXED
 *     "backbone." "4.0.conv1.weight"                                 SEQUENTIAL: layer1 is child 4 of torchvision's
 *     "backbone." "3.0.shortcut.0.weight"                            GENERATOR_SEQUENTIAL: layer2 is child 3
 */
#ifndef SSLCV__NAMING_H
#define SSLCV__NAMING_H

#include <stddef.h>
#include <stdint.h>

enum { SSLCV__NAME_SIZE = 256 }; /* of names that a style rewrites, with the prefix and the ending 0 */

enum sslcv__naming_style {
    SSLCV__STYLE_PREFIXED = 0,             /* our names */
    SSLCV__STYLE_SEQUENTIAL = 1,           /* nn.Sequential over the children of torchvision's ResNet */
    SSLCV__STYLE_GENERATOR = 2,            /* lightly's own ResNet */
    SSLCV__STYLE_GENERATOR_SEQUENTIAL = 3, /* nn.Sequential over its children */
    SSLCV__STYLE_DEEPCLUSTER = 4,          /* DataParallel around the convolutions of an AlexNet alone */
    SSLCV__NUM_STYLES = 5
};

typedef struct sslcv__naming {
    const char *prefix;
    const char *layout; /* as reported, where the style is PREFIXED */
    const char *marker; /* not NULL: a name that begins so must be there too */
} sslcv__naming;

/** The known prefixes; of several that serve as well the first is meant. NULL: index is past the end. */
const sslcv__naming *sslcv__naming_get(int index);

/** Names of a file. */
typedef struct sslcv__names {
    const void *file;
    int (*has)(const void *file, const char *name);           /* exactly this one */
    int (*has_beginning)(const void *file, const char *text); /* one that begins so */
} sslcv__names;

/** Does the row's marker allow it? */
int sslcv__naming_applies(const sslcv__naming *naming, const sslcv__names *names);

/** The style of the network behind a prefix, told by names that only one style has. */
int32_t sslcv__naming_style(const char *prefix, const sslcv__names *names);

/** What a style is called in reports; NULL for PREFIXED. */
const char *sslcv__naming_layout(int32_t style);

/** Their name of one of ours. 0: it does not fit into size. */
int sslcv__naming_write(const char *prefix, int32_t style, const char *name, char *text, size_t size);

#endif
