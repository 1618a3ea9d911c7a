/** The head inside. */
#ifndef SSLCV__HEAD_H
#define SSLCV__HEAD_H

#include <sslcv/head.h>

#include "core/object.h"
#include "nn/net.h"
#include "nn/tape.h"

struct sslcv_head {
    sslcv__object object;
    const char *kind;
    sslcv_mlp_options options; /* as resolved: hidden_dim and seed are not 0 */
    sslcv__net net;
};

/** Text of kind and options, the same for heads whose weights fit each other. */
void sslcv__head_describe(const sslcv_head *head, char *text, size_t size);

#endif
