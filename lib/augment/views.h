/** Inside the augmenter: its views. augmenter.c makes them, run.c runs them. */
#ifndef SSLCV__AUGMENT_VIEWS_H
#define SSLCV__AUGMENT_VIEWS_H

#include "augment/transform.h"
#include "core/object.h"

#include <stdatomic.h>

typedef struct sslcv__augment_view {
    int64_t          source; /* SSLCV_SOURCE_IMAGE or an earlier view */
    int64_t          num_transforms;
    sslcv_transform *transforms;    /* their callback tables are copies of ours */
    int64_t          rows, columns; /* of the grid of patches that it is, by itself or by its source; 1, 1: none */
    int64_t          cut_at;        /* index of its own transform that makes patches; -1: none */
    int32_t          is_cut;        /* 1: patches, by itself or by its source */
    int32_t          continued;     /* 1: another view starts from its result */
} sslcv__augment_view;

struct sslcv_augmenter {
    sslcv__object object;
    sslcv__augment_view *views;
    int64_t num_views;
    atomic_int fixed;                        /* 1: has been used */
    _Atomic(sslcv__augment_scratch *) spare; /* for the next sslcv_augmenter_apply(); NULL: none, or in use */
    int32_t any_thread;                      /* 0: some callback must stay on the caller's thread */
};

/** SSLCV_ERR_NOT_FOUND unless there is such a view. */
sslcv_status sslcv__augmenter_check_view(const sslcv_augmenter *augmenter, int64_t view);

/** shape, in: of the image, 0 where not known; out: of a patch of the view, 0 where it depends on that. */
sslcv_status sslcv__augmenter_shape_of(const sslcv_augmenter *augmenter, int64_t view, int64_t shape[3]);

#endif
