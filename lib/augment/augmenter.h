/** The augmenter for the loader: several views of one image at once, on any thread. */
#ifndef SSLCV__AUGMENTER_H
#define SSLCV__AUGMENTER_H

#include <sslcv/augment.h>

/** Working memory of one thread that runs chains; grows to what the images need, then allocates nothing more. */
typedef struct sslcv__augment_scratch sslcv__augment_scratch;

sslcv_status sslcv__augment_scratch_create(sslcv_context *context, sslcv__augment_scratch **out);
void         sslcv__augment_scratch_free(sslcv__augment_scratch *scratch); /* NULL is accepted */

int64_t sslcv__augmenter_num_views(const sslcv_augmenter *augmenter);

/** 1: every transform may run on any thread; 0: a custom one must stay on the caller's. */
int sslcv__augmenter_any_thread(const sslcv_augmenter *augmenter);

/** From now on the augmenter is fixed; loaders and trainers call it. */
void sslcv__augmenter_fix(sslcv_augmenter *augmenter);

/**
 * Shape of a view for images of a shape.
 *
 * @param image (C, H, W); 0 where not known or differing between samples.
 * @param shape Out: (P, C, H, W). SSLCV_ERR_INVALID_ARGUMENT when it depends on what is not known, or when the chain
 *              cannot take such images (a channel count that a transform does not know).
 */
sslcv_status sslcv__augmenter_view_shape(const sslcv_augmenter *augmenter, int64_t view, const int64_t image[3],
                                         int64_t shape[4]);

/**
 * Make views of one image. What a view continues from is computed once.
 *
 * @param image (C, H, W), U8, U16 or F32, any strides.
 * @param views Ascending indices.
 * @param outs  For each, room for its (P, C, H, W) dense f32.
 */
sslcv_status sslcv__augmenter_run(const sslcv_augmenter *augmenter, sslcv__augment_scratch *scratch,
                                  const sslcv_tensor *image, uint64_t seed, int64_t epoch, int64_t sample,
                                  const int64_t *views, int64_t num_views, float *const *outs);

#endif
