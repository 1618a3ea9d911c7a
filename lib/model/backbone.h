/** The backbone inside: options, graph, and which node ends each stage. */
#ifndef SSLCV__BACKBONE_H
#define SSLCV__BACKBONE_H

#include <sslcv/backbone.h>

#include "core/object.h"
#include "nn/net.h"
#include "nn/tape.h"

enum { SSLCV__MAX_STAGES = 7 };

struct sslcv_backbone {
    sslcv__object object;
    sslcv_backbone_options options; /* as resolved: stem_channels, image_size and seed are not 0 */
    sslcv__net net;
    int32_t num_stages;
    int32_t fixed; /* 1: a trainer that uses it has begun; freezing is refused */
    int32_t stage_ends[SSLCV__MAX_STAGES];
    int32_t reserved;
    int64_t most_bytes; /* of values while it is built; 0: any */
};

/** sslcv_backbone_create() that ends with SSLCV_ERR_LIMIT where values would take more; 0: any. */
sslcv_status sslcv__backbone_create(sslcv_context *context, const sslcv_backbone_options *options, int64_t most_bytes,
                                    sslcv_backbone **out);

/** Build the graph of a ResNet and draw its weights; options have been checked, num_stages is set. */
sslcv_status sslcv__resnet_build(sslcv_backbone *backbone);
/** Likewise of an AlexNet. */
sslcv_status sslcv__alexnet_build(sslcv_backbone *backbone);
/** Height and width of AlexNet's last map; 0: the images are too small. */
int64_t sslcv__alexnet_side(int64_t image_size);
int sslcv__is_alexnet(int32_t architecture);

/** NULL: the last stage. SSLCV_ERR_NOT_FOUND lists the stages. */
sslcv_status sslcv__backbone_find_stage(const sslcv_backbone *backbone, const char *name, int32_t *index);

/** D of the features behind a stage. */
int64_t sslcv__backbone_dim(const sslcv_backbone *backbone, int32_t stage);

/** Text of architecture and options, the same for networks whose weights fit each other; loading reads it as well. */
void sslcv__backbone_describe(const sslcv_backbone *backbone, char *text, size_t size);

#endif
