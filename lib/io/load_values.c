/** Do the file's tensors fit ours, and then all of them at once. */
#include "io/load.h"

#include "core/memory.h"
#include "core/tensor.h"
#include "io/safetensors.h"

#include <stdio.h>
#include <string.h>

/* ---- shapes ---- */

enum { SHAPE_TEXT = 21 * SSLCV_MAX_DIMS + 8 };

/** "(64, 3, 7, 7)" */
static const char *shape_text(const int64_t *shape, int32_t ndim, char text[SHAPE_TEXT])
{
    int used = 1;
    int32_t i;

    text[0] = '(';
    for (i = 0; i < ndim && i < SSLCV_MAX_DIMS; i++) {
        used += snprintf(text + used, (size_t)(SHAPE_TEXT - used), i ? ", %lld" : "%lld", (long long)shape[i]);
    }
    memcpy(text + used, ")", 2);
    return text;
}

static int is_convertible(int32_t from, int32_t to)
{
    return from == to || (sslcv__dtype_is_floating(from) && sslcv__dtype_is_floating(to));
}

/** The layer that sees the images, of each architecture. */
static int is_first_convolution(const char *name)
{
    return strcmp(name, "conv1.weight") == 0 || strcmp(name, "features.0.weight") == 0 ||
           strcmp(name, "conv_block_1.0.weight") == 0;
}

/** Does the first convolution differ in its input channels alone, and has the caller said what to do then? */
static int is_adaptable(const sslcv__load *l, const sslcv__state_item *item, const sslcv__tensor_entry *entry)
{
    const int64_t *ours = item->variable->shape, *theirs = entry->shape;

    return l->options.adapt_input != SSLCV_ADAPT_NONE && is_first_convolution(item->name) &&
           item->variable->ndim == 4 && entry->ndim == 4 && ours[0] == theirs[0] && ours[1] != theirs[1] &&
           ours[2] == theirs[2] && ours[3] == theirs[3] && theirs[1] > 0;
}

int sslcv__load_is_adapted(const sslcv__load *l, int64_t index)
{
    return l->found[index] && is_adaptable(l, &l->state->items[index], l->found[index]);
}

/** Some programs make an axis of one element where PyTorch counts batches in a scalar. */
static int is_counter_of_one(const sslcv__load *l, const sslcv__state_item *item, const sslcv__tensor_entry *entry)
{
    return !l->state->strict && item->variable->ndim == 0 && entry->ndim == 1 && entry->shape[0] == 1 &&
           sslcv__load_is_counter(item->name);
}

static sslcv_status check_fit(const sslcv__load *l, const sslcv__state_item *item, const sslcv__tensor_entry *entry)
{
    const sslcv__variable *variable = item->variable;
    char ours[SHAPE_TEXT], theirs[SHAPE_TEXT];
    const sslcv_status status = sslcv__tensor_file_check_known(&l->file, entry);

    if (status != SSLCV_OK) return status;
    if (!is_convertible(entry->dtype, variable->dtype)) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s: \"%s\" is %s; ours is %s", l->file.path, entry->name,
                           entry->dtype_name, sslcv__safetensors_dtype_name(variable->dtype));
    }
    if (is_adaptable(l, item, entry) || is_counter_of_one(l, item, entry)) return SSLCV_OK;
    if (entry->ndim == variable->ndim &&
        memcmp(entry->shape, variable->shape, (size_t)entry->ndim * sizeof *entry->shape) == 0) {
        return SSLCV_OK;
    }
    return sslcv__fail(SSLCV_ERR_FORMAT, "%s: \"%s\" has shape %s; ours is %s", l->file.path, entry->name,
                       shape_text(entry->shape, entry->ndim, theirs),
                       shape_text(variable->shape, variable->ndim, ours));
}

sslcv_status sslcv__load_check_fits(sslcv__load *l)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < l->state->count && status == SSLCV_OK; i++) {
        if (!l->found[i]) continue;
        status = check_fit(l, &l->state->items[i], l->found[i]);
        if (status == SSLCV_OK && sslcv__load_is_adapted(l, i)) l->report.adapted++;
    }
    return status;
}

/* ---- values ---- */

/** The file's values as a tensor; memory: NULL, or to be freed. */
static sslcv_status entry_tensor(const sslcv__load *l, const sslcv__tensor_entry *entry, void **memory,
                                 sslcv_tensor *tensor)
{
    const void *values;
    const sslcv_status status = sslcv__tensor_file_values(&l->file, entry, memory, &values);

    if (status != SSLCV_OK) return status;
    /* A tensor that is read is never written, though its data is not const. */
    sslcv__tensor_set(tensor, entry->dtype, (void *)(uintptr_t)values, entry->ndim, entry->shape);
    return SSLCV_OK;
}

/**
 * theirs: (O, F, K), ours: (O, C, K), K the kernel's elements. A grey image of value v in all channels then gives what
 * it gave before: the sum over the channels is kept (for REPEAT when C is a multiple of F).
 */
static void adapt_channels(int32_t how, const float *theirs, int64_t f, float *ours, int64_t c, int64_t o, int64_t k)
{
    const double scale = (double)f / (double)c;
    int64_t i, j, n, m;

    for (i = 0; i < o; i++) {
        for (j = 0; j < c; j++) {
            for (n = 0; n < k; n++) {
                const float *channels = theirs + i * f * k + n;
                float *value = &ours[(i * c + j) * k + n];
                double sum = 0;

                for (m = 0; m < f; m++) sum += channels[m * k];
                if (how == SSLCV_ADAPT_MEAN) *value = (float)(sum / (double)c);
                if (how == SSLCV_ADAPT_REPEAT) *value = (float)(channels[j % f * k] * scale);
                if (how == SSLCV_ADAPT_FIRST && j < f) *value = channels[j * k];
            }
        }
    }
}

static sslcv_status stage_adapted(const sslcv__load *l, sslcv__state_update *update, int64_t index,
                                  const sslcv_tensor *file)
{
    const sslcv__variable *variable = l->state->items[index].variable;
    const int64_t *shape = variable->shape;
    float *theirs = NULL, *ours = NULL;
    sslcv_tensor values;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(l->context, sslcv__tensor_count(file), sizeof *theirs, (void **)&theirs));
    SSLCV__TRY(sslcv__alloc_array(l->context, variable->count, sizeof *ours, (void **)&ours));
    sslcv__tensor_to_f32(file, theirs);
    if (variable->dtype == SSLCV_F32) {
        SSLCV__TRY(sslcv__variable_read(l->context, variable, SSLCV_STATE_VALUE, ours));
    }
    adapt_channels(l->options.adapt_input, theirs, file->shape[1], ours, shape[1], shape[0], shape[2] * shape[3]);
    sslcv__tensor_set(&values, SSLCV_F32, ours, 4, shape);
    SSLCV__TRY(sslcv__state_update_stage(update, index, SSLCV_STATE_VALUE, &values));
end:
    sslcv__free(l->context, ours);
    sslcv__free(l->context, theirs);
    return status;
}

static sslcv_status stage_entry(const sslcv__load *l, sslcv__state_update *update, int64_t index)
{
    const sslcv__tensor_entry *entry = l->found[index];
    sslcv_tensor values;
    void *memory;
    sslcv_status status = entry_tensor(l, entry, &memory, &values);

    if (status != SSLCV_OK) return status;
    if (is_counter_of_one(l, &l->state->items[index], entry)) values.ndim = 0;
    if (is_adaptable(l, &l->state->items[index], entry)) {
        status = stage_adapted(l, update, index, &values);
    } else {
        status = sslcv__state_update_stage(update, index, SSLCV_STATE_VALUE, &values);
    }
    sslcv__free(l->context, memory);
    return status;
}

sslcv_status sslcv__load_take(const sslcv__load *l)
{
    sslcv__state_update update = {0};
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv__state_update_begin(&update, l->state));
    for (i = 0; i < l->state->count; i++) {
        if (l->found[i]) SSLCV__TRY(stage_entry(l, &update, i));
    }
    SSLCV__TRY(sslcv__state_update_commit(&update));
end:
    sslcv__state_update_free(&update);
    return status;
}
