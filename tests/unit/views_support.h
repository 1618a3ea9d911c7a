/* Steps on views of the host's. */
#ifndef SSLCV__TESTS_VIEWS_SUPPORT_H
#define SSLCV__TESTS_VIEWS_SUPPORT_H

#include "support.h"

#include <sslcv/sslcv.h>

static inline sslcv_status step_views_with(sslcv_trainer *trainer, const sslcv_tensor *views, int64_t num_views,
                                           const int64_t *patches, const int64_t *ids, const int64_t *labels,
                                           sslcv_progress *progress)
{
    sslcv_view_batch batch;

    OK(sslcv_view_batch_init(&batch, sizeof batch));
    batch.views = views;
    batch.num_views = num_views;
    batch.patches = patches;
    batch.ids = ids;
    batch.labels = labels;
    return sslcv_trainer_step_views(trainer, &batch, progress);
}

/* And nothing beside them. */
static inline sslcv_status step_views(sslcv_trainer *trainer, const sslcv_tensor *views, int64_t num_views,
                                      sslcv_progress *progress)
{
    return step_views_with(trainer, views, num_views, NULL, NULL, NULL, progress);
}

#endif
