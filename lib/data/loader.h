/** The loader for the trainer and for embedding: what the public calls do not offer. */
#ifndef SSLCV__LOADER_H
#define SSLCV__LOADER_H

#include <sslcv/dataset.h>

/**
 * Make these views from now on, and no others. The loader then stands before the batch that would have come next; there
 * is no current batch.
 *
 * @param views Indices in any order; repeats are fine.
 * @return SSLCV_ERR_NOT_FOUND (no such view).
 */
sslcv_status sslcv__loader_select(sslcv_loader *loader, const int64_t *views, int64_t num_views);

/**
 * Of a loader in order: walk through the samples first .. first + count - 1 only, and stand before their first batch.
 * Indices, and so ids and draws, stay those of the whole data set.
 *
 * @return SSLCV_ERR_STATE (another sampler); SSLCV_ERR_NOT_FOUND (no such samples); SSLCV_ERR_LIMIT (fewer than one
 *         batch with drop_last).
 */
sslcv_status sslcv__loader_restrict(sslcv_loader *loader, int64_t first, int64_t count);

/**
 * Labels instead of the data set's, to hand out and to draw by. With SSLCV_SAMPLER_BY_CLASS the loader then stands
 * before the batch that would have come next, and the rest of its epoch is drawn anew.
 *
 * @param labels count, one a sample; read until the next call of this; NULL: the data set's again.
 */
void sslcv__loader_set_labels(sslcv_loader *loader, const int64_t *labels, int64_t count);

/** For each image of the current batch: 1 where it stands in for an unreadable one. NULL without current batch. */
const unsigned char *sslcv__loader_substituted(const sslcv_loader *loader);

/** Batches in an epoch that began now. */
int64_t sslcv__loader_batches(const sslcv_loader *loader);

/**
 * Bytes of all batches in memory, the current one and those made ahead, with the views that are now selected. Foretold
 * where the shapes can be known before decoding; else, or where it is more, what is held now.
 */
int64_t sslcv__loader_bytes(const sslcv_loader *loader);

#endif
