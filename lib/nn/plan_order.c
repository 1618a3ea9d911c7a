/*
 * The order of rows. Split batch norm takes its statistics over groups of rows; those of a group stand beside each
 * other in a plan, so that its kernels read memory as ever. Which rows these are is a matter of the order in which they
 * enter, and leave again:
 *
 *     split in 2       caller 0 1 2 3 4 5  -  plan 0 2 4 | 1 3 5       group g: rows g, g + groups ...
 *     and shuffled     caller 0 1 2 3 4 5  -  plan 3 0 5 | 4 1 2
 *
 *     order[i]         the caller's row at place i of the plan
 *
 * Rows are images, or those of heads, whatever axes they are counted by.
 */
#include <string.h>

#include "core/checked.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "nn/plan_build.h"

/* ---- building ---- */

sslcv_status sslcv__plan_build_order(sslcv__plan *plan)
{
    int64_t bytes;
    sslcv_status status;

    if (plan->key.groups == 1) return SSLCV_OK;
    if (!sslcv__multiply(plan->key.shape[0], (int64_t)sizeof(int64_t), &bytes)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "the input has too many rows");
    }
    SSLCV__TRY(sslcv__plan_buffer(plan, bytes, &plan->order));
    plan->buffers[plan->order].first = plan->buffers[plan->order].last = 0; /* filled with the input */
end:
    return status;
}

sslcv_status sslcv__plan_put_back(sslcv__plan *plan, const sslcv__node *node, const sslcv__value *value, int32_t buffer,
                                  int32_t *result)
{
    const int64_t pixels = value->shape[2] * value->shape[3];
    sslcv__step *step;
    int32_t fresh;
    sslcv_status status;

    if (plan->order < 0) {
        *result = buffer;
        return SSLCV_OK;
    }
    SSLCV__TRY(sslcv__plan_buffer(plan, plan->buffers[buffer].bytes, &fresh));
    SSLCV__TRY(sslcv__plan_step(plan, SSLCV__STEP_PUT_BACK, "reorder", node, NULL, &step));
    step->shape = (sslcv__norm_shape){.batch = value->shape[0], .channels = value->shape[1], .pixels = pixels};
    sslcv__plan_operand(plan, 0, buffer);
    sslcv__plan_operand(plan, 1, fresh);
    sslcv__plan_operand(plan, 2, plan->order);
    *result = fresh;
end:
    return status;
}

/* ---- running ---- */

void sslcv__plan_run_put_back(const sslcv__step *step)
{
    const int64_t *order = step->memory[2], rows = step->shape.batch, size = step->shape.channels * step->shape.pixels;
    const float *from = step->memory[0];
    float *to = step->memory[1];
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) memcpy(to + order[i] * size, from + i * size, (size_t)size * sizeof *to);
}

static void draw_order(int64_t *order, int64_t rows, uint64_t random)
{
    sslcv__rng rng;

    sslcv__rng_init(&rng, sslcv__rng_derive(random, 0, SSLCV__STREAM_SHUFFLE), 0, 0);
    sslcv__rng_permutation(&rng, order, rows);
}

static void split_order(int64_t *order, int64_t rows, int64_t groups)
{
    const int64_t size = rows / groups;
    int64_t i;

    for (i = 0; i < rows; i++) order[i] = i % size * groups + i / size;
}

/* One row of a tensor whose first axes count rows. */
static sslcv_tensor row_of(const sslcv_tensor *tensor, int32_t axes, int64_t index)
{
    sslcv_tensor row = *tensor;
    int64_t offset = 0;
    int32_t a;

    for (a = axes - 1; a >= 0; a--) {
        offset += index % row.shape[a] * row.strides[a];
        index /= row.shape[a];
        row.shape[a] = 1;
    }
    row.data = (char *)row.data + offset * sslcv_dtype_size(row.dtype);
    return row;
}

void sslcv__plan_set_input(sslcv__plan *plan, const sslcv_tensor *input, int shuffle, uint64_t random)
{
    int64_t *order = sslcv__plan_memory(plan, plan->order);
    float *dense = sslcv__plan_memory(plan, plan->input);
    const int64_t rows = plan->key.shape[0];
    const int32_t axes = plan->key.net->rows ? input->ndim - 1 : 1;
    int64_t i, size;

    if (!order) {
        sslcv__tensor_to_f32(input, dense);
        return;
    }
    if (shuffle)
        draw_order(order, rows, random);
    else
        split_order(order, rows, plan->key.groups);
    size = sslcv__tensor_count(input) / rows;
#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) {
        const sslcv_tensor row = row_of(input, axes, order[i]);

        sslcv__tensor_to_f32(&row, dense + i * size);
    }
}

void sslcv__plan_set_diff_output(sslcv__plan *plan, const float *diff)
{
    const int64_t *shape = plan->values[plan->num_nodes - 1].shape, *order = sslcv__plan_memory(plan, plan->order);
    const int64_t rows = shape[0], size = shape[1] * shape[2] * shape[3];
    float *to = sslcv__plan_memory(plan, plan->diff_output);
    int64_t i;

    if (!order) {
        memcpy(to, diff, (size_t)(rows * size) * sizeof *to);
        return;
    }
#pragma omp parallel for schedule(static)
    for (i = 0; i < rows; i++) memcpy(to + i * size, diff + order[i] * size, (size_t)size * sizeof *to);
}
