/* How images are shown to the network: chains of transforms. Each function makes an augmenter, owned by the caller. */
#ifndef VIEWS_H
#define VIEWS_H

#include <sslcv/sslcv.h>

/** Views 0 and 1: two changed copies, for pre-training. */
sslcv_status views_contrast(sslcv_context *context, sslcv_augmenter **augmenter);

/** View 0: slightly changed, for training with labels. */
sslcv_status views_supervised(sslcv_context *context, sslcv_augmenter **augmenter);

/** View 0: unchanged, for judging. enlarge 1: as the network wants it; 0: the pixels themselves. */
sslcv_status views_plain(sslcv_context *context, int32_t enlarge, sslcv_augmenter **augmenter);

#endif
