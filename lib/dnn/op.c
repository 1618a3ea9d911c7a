#include "dnn/op.h"

#include <string.h>

#include "core/compute.h"
#include "core/memory.h"

void sslcv__op_free(sslcv_context *context, sslcv__op *op)
{
    int i;

    if (!op) return;
    if (op->kind && op->kind->release) op->kind->release(op);
    for (i = 0; i < SSLCV__ARG_COUNT; i++) sslcv__layout_free(context, op->layouts[i]);
    sslcv__free(context, op);
}

const sslcv__layout *sslcv__op_layout(const sslcv__op *op, sslcv__arg arg)
{
    return op->layouts[arg];
}

int64_t sslcv__op_bytes(const sslcv__op *op, sslcv__arg arg)
{
    return op->layouts[arg] ? sslcv__layout_bytes(op->layouts[arg]) : 0;
}

sslcv_status sslcv__op_bind(sslcv__op *op, sslcv__arg arg, void *memory)
{
    if (!op->layouts[arg]) return SSLCV_OK;
    op->memory[arg] = memory;
    return op->kind->bind ? op->kind->bind(op, arg) : SSLCV_OK;
}

sslcv_status sslcv__op_run(sslcv__op *op)
{
    if (op->clears_scratchpad && op->memory[SSLCV__SCRATCHPAD]) {
        memset(op->memory[SSLCV__SCRATCHPAD], 0, (size_t)sslcv__op_bytes(op, SSLCV__SCRATCHPAD));
    }
    return op->kind->run(op);
}

const char *sslcv__op_implementation(const sslcv__op *op)
{
    return op->implementation;
}

sslcv_status sslcv__op_fold(sslcv_context *context, const sslcv__op *op, const sslcv__layout *home,
                            const float *weights, const float *scale, void *folded)
{
    return op->kind->fold(context, op, home, weights, scale, folded);
}

sslcv_status sslcv__scale_filters(const sslcv__layout *home, const float *weights, const float *scale,
                                  int64_t out_channels, float *dst)
{
    const int64_t count = sslcv__layout_bytes(home) / (int64_t)sizeof(float);
    sslcv__layout_form form;
    int64_t i;
    const sslcv_status status = sslcv__layout_filter_form(home, &form);

    if (status != SSLCV_OK) return status;
#pragma omp parallel for schedule(static)
    for (i = 0; i < count / form.block; i++) {
        const int64_t first = i * form.block / form.block_stride * form.block;
        int64_t k;

        /* Beyond the last filter there is padding, which is 0. */
        for (k = 0; k < form.block; k++) {
            const float by = first + k < out_channels ? scale[first + k] : 0.0f;
            dst[i * form.block + k] = weights[i * form.block + k] * by;
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv__layout_convert(sslcv_context *context, const sslcv__layout *from, const void *src,
                                   const sslcv__layout *to, void *dst)
{
    sslcv__op *op = NULL;
    sslcv__compute frame;
    void *scratch = NULL;
    sslcv_status status;

    if (sslcv__layout_equal(from, to)) {
        memcpy(dst, src, (size_t)sslcv__layout_bytes(from));
        return SSLCV_OK;
    }
    status = sslcv__compute_begin(context, &frame);
    if (status != SSLCV_OK) return status;
    SSLCV__TRY(sslcv__op_reorder(context, from, to, 0, &op));
    SSLCV__TRY(sslcv__alloc(context, sslcv__op_bytes(op, SSLCV__SCRATCHPAD), &scratch));
    SSLCV__TRY(sslcv__op_bind(op, SSLCV__SRC, (void *)(uintptr_t)src)); /* read only */
    SSLCV__TRY(sslcv__op_bind(op, SSLCV__DST, dst));
    SSLCV__TRY(sslcv__op_bind(op, SSLCV__SCRATCHPAD, scratch));
    status = sslcv__op_run(op);
end:
    sslcv__free(context, scratch);
    sslcv__op_free(context, op);
    sslcv__compute_end(&frame);
    return status;
}
