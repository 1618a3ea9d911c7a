/*
 * What cgo needs on C's side: Go memory must not hold pointers to Go memory when it is handed to C, so structs that
 * point at slices are put together here; and C calls Go only by exported functions, which take numbers for closures.
 */
#ifndef SSLCV_BRIDGE_H
#define SSLCV_BRIDGE_H

#include <sslcv/sslcv.h>

/** One branch, without gradient when evaluate is 1. Arrays and handles are borrowed for the call that it is given to. */
typedef struct bridge_branch {
    int64_t source, num_views, num_heads;
    sslcv_backbone *backbone;
    const char *stage;
    int32_t momentum, detach;
} bridge_branch;

/* What a callback has left for the call that it came from: a cgo.Handle, 0: nothing. It is the thread's. */
void bridge_keep(uintptr_t value);
uintptr_t bridge_take(void);

void bridge_set_log(sslcv_context_options *options, uintptr_t log);
sslcv_status bridge_add_hook(sslcv_trainer *trainer, int32_t events, int64_t every, uintptr_t hook);

sslcv_status bridge_add_images(sslcv_dataset *dataset, int32_t dtype, void *data, int32_t ndim, const int64_t *shape,
                               const int64_t *labels);
/* data NULL asks for shape, ndim and dtype. */
sslcv_status bridge_read(sslcv_dataset *dataset, int64_t index, void *data, int32_t *dtype, int32_t *ndim,
                         int64_t *shape);
sslcv_status bridge_add_branch(sslcv_trainer *trainer, const bridge_branch *branch, const int64_t *views,
                               sslcv_head *const *heads, int64_t *index);
/* features NULL asks for the shape. */
sslcv_status bridge_embed(sslcv_dataset *dataset, sslcv_augmenter *augmenter, const bridge_branch *branch,
                          const int64_t *views, sslcv_head *const *heads, int64_t first, int64_t count, float *features,
                          int64_t shape[2], int64_t *labels);
sslcv_status bridge_state_get(sslcv_state *state, int64_t index, float *values, int32_t ndim, const int64_t *shape);
sslcv_status bridge_state_set(sslcv_state *state, int64_t index, float *values, int32_t ndim, const int64_t *shape);
sslcv_status bridge_loss_compute(sslcv_loss *loss, float *z, float *gradient, int32_t ndim, const int64_t *shape,
                                 double *value);
sslcv_status bridge_fit(sslcv_probe *probe, float *features, int64_t rows, int64_t dim, const int64_t *labels);
/* scores NULL asks for the number of classes. */
sslcv_status bridge_predict(sslcv_probe *probe, float *features, int64_t rows, int64_t dim, float *scores,
                            int64_t *classes);
sslcv_status bridge_judge(sslcv_context *context, float *scores, int64_t rows, int64_t classes, const int64_t *labels,
                          sslcv_metrics *metrics);

#endif
