#include "bridge.h"

#include "_cgo_export.h"

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        const sslcv_status status_ = (call);                                                                           \
        if (status_ != SSLCV_OK) return status_;                                                                       \
    } while (0)

/* ---- callbacks ---- */

static _Thread_local uintptr_t kept;

void bridge_keep(uintptr_t value)
{
    kept = value;
}

uintptr_t bridge_take(void)
{
    const uintptr_t value = kept;

    kept = 0;
    return value;
}

static void write_log(void *user, int32_t level, const char *text)
{
    sslcvGoLog((uintptr_t)user, level, (char *)text);
}

static void drop(void *user)
{
    sslcvGoDrop((uintptr_t)user);
}

void bridge_set_log(sslcv_context_options *options, uintptr_t log)
{
    options->log = write_log;
    options->log_user = (void *)log;
    options->log_destroy = drop;
}

static int32_t call_hook(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    return sslcvGoHook((uintptr_t)user, trainer, (sslcv_progress *)progress);
}

sslcv_status bridge_add_hook(sslcv_trainer *trainer, int32_t events, int64_t every, uintptr_t hook)
{
    sslcv_hook options;

    TRY(sslcv_hook_init(&options, sizeof options));
    options.user = (void *)hook;
    options.call = call_hook;
    options.destroy = drop;
    options.events = events;
    options.every = every;
    return sslcv_trainer_add_hook(trainer, &options);
}

/* ---- arrays ---- */

sslcv_status bridge_add_images(sslcv_dataset *dataset, int32_t dtype, void *data, int32_t ndim, const int64_t *shape,
                               const int64_t *labels)
{
    sslcv_tensor images;

    TRY(sslcv_tensor_init(&images, dtype, data, ndim, shape));
    return sslcv_dataset_add_images(dataset, &images, labels, NULL);
}

sslcv_status bridge_read(sslcv_dataset *dataset, int64_t index, void *data, int32_t *dtype, int32_t *ndim,
                         int64_t *shape)
{
    sslcv_tensor image = {0};
    int32_t i;

    if (data) TRY(sslcv_tensor_init(&image, *dtype, data, *ndim, shape));
    TRY(sslcv_dataset_read(dataset, index, &image));
    *dtype = image.dtype;
    *ndim = image.ndim;
    for (i = 0; i < image.ndim; i++) shape[i] = image.shape[i];
    return SSLCV_OK;
}

static sslcv_status fill_branch(sslcv_branch *to, const bridge_branch *from, const int64_t *views,
                                sslcv_head *const *heads)
{
    TRY(sslcv_branch_init(to, sizeof *to));
    to->source = from->source;
    to->views = views;
    to->num_views = from->num_views;
    to->backbone = from->backbone;
    to->heads = heads;
    to->num_heads = from->num_heads;
    to->stage = from->stage;
    to->momentum = from->momentum;
    to->detach = from->detach;
    return SSLCV_OK;
}

sslcv_status bridge_add_branch(sslcv_trainer *trainer, const bridge_branch *branch, const int64_t *views,
                               sslcv_head *const *heads, int64_t *index)
{
    sslcv_branch filled;

    TRY(fill_branch(&filled, branch, views, heads));
    return sslcv_trainer_add_branch(trainer, &filled, index);
}

sslcv_status bridge_embed(sslcv_dataset *dataset, sslcv_augmenter *augmenter, const bridge_branch *branch,
                          const int64_t *views, sslcv_head *const *heads, int64_t first, int64_t count, float *features,
                          int64_t shape[2], int64_t *labels)
{
    sslcv_branch filled;
    const sslcv_branch *branches[1] = {&filled};
    sslcv_embed_options options;
    sslcv_tensor rows = {0};

    TRY(fill_branch(&filled, branch, views, heads));
    filled.flags = 0;
    TRY(sslcv_embed_options_init(&options, sizeof options));
    options.dataset = dataset;
    options.augmenter = augmenter;
    options.branches = branches;
    options.num_branches = 1;
    options.first = first;
    options.count = count;
    if (features) TRY(sslcv_tensor_init(&rows, SSLCV_F32, features, 2, shape));
    TRY(sslcv_embed(&options, &rows, labels));
    shape[0] = rows.shape[0];
    shape[1] = rows.shape[1];
    return SSLCV_OK;
}

sslcv_status bridge_state_get(sslcv_state *state, int64_t index, float *values, int32_t ndim, const int64_t *shape)
{
    sslcv_tensor tensor;

    TRY(sslcv_tensor_init(&tensor, SSLCV_F32, values, ndim, shape));
    return sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor);
}

sslcv_status bridge_state_set(sslcv_state *state, int64_t index, float *values, int32_t ndim, const int64_t *shape)
{
    sslcv_tensor tensor;

    TRY(sslcv_tensor_init(&tensor, SSLCV_F32, values, ndim, shape));
    return sslcv_state_set(state, index, SSLCV_STATE_VALUE, &tensor);
}

sslcv_status bridge_loss_compute(sslcv_loss *loss, float *z, float *gradient, int32_t ndim, const int64_t *shape,
                                 double *value)
{
    sslcv_tensor input, diff_input;
    sslcv_loss_call call;

    TRY(sslcv_tensor_init(&input, SSLCV_F32, z, ndim, shape));
    TRY(sslcv_tensor_init(&diff_input, SSLCV_F32, gradient, ndim, shape));
    TRY(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = &input;
    call.diff_inputs = &diff_input;
    call.num_inputs = 1;
    TRY(sslcv_loss_compute(loss, &call));
    *value = call.value;
    return SSLCV_OK;
}

sslcv_status bridge_fit(sslcv_probe *probe, float *features, int64_t rows, int64_t dim, const int64_t *labels)
{
    const int64_t shape[2] = {rows, dim};
    sslcv_tensor tensor;

    TRY(sslcv_tensor_init(&tensor, SSLCV_F32, features, 2, shape));
    return sslcv_probe_fit(probe, &tensor, labels);
}

sslcv_status bridge_predict(sslcv_probe *probe, float *features, int64_t rows, int64_t dim, float *scores,
                            int64_t *classes)
{
    const int64_t shape[2] = {rows, dim}, scores_shape[2] = {rows, *classes};
    sslcv_tensor tensor, out = {0};

    TRY(sslcv_tensor_init(&tensor, SSLCV_F32, features, 2, shape));
    if (scores) TRY(sslcv_tensor_init(&out, SSLCV_F32, scores, 2, scores_shape));
    TRY(sslcv_probe_predict(probe, &tensor, &out));
    *classes = out.shape[1];
    return SSLCV_OK;
}

sslcv_status bridge_judge(sslcv_context *context, float *scores, int64_t rows, int64_t classes, const int64_t *labels,
                          sslcv_metrics *metrics)
{
    const int64_t shape[2] = {rows, classes};
    sslcv_tensor tensor;

    TRY(sslcv_tensor_init(&tensor, SSLCV_F32, scores, 2, shape));
    return sslcv_metrics_compute(context, &tensor, labels, metrics, NULL);
}
