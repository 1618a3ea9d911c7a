/* The engine of a context, the check of the library's version, and the matrix product. */
#include "core/backend.h"
#include "core/context.h"
#include "dnn/v2/internal.h"

#include <stdio.h>

#if DNNL_VERSION_MAJOR != 2 || DNNL_VERSION_MINOR < 6
#error "this back end is for oneDNN 2.6 and 2.7"
#endif

sslcv_status sslcv__backend_check(void)
{
    const dnnl_version_t *version = dnnl_version();

    /* Names and numbers of flags differ between major versions: header and library must be of one. */
    if (version->major != DNNL_VERSION_MAJOR || version->minor < 6) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "oneDNN %d.%d.%d is loaded; this build needs 2.6 or 2.7",
                           version->major, version->minor, version->patch);
    }
    return SSLCV_OK;
}

const char *sslcv__backend_cpu(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41: return "sse41";
    case dnnl_cpu_isa_avx: return "avx";
    case dnnl_cpu_isa_avx2: return "avx2";
    case dnnl_cpu_isa_avx2_vnni: return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core: return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni: return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16: return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx: return "avx512_core_amx";
    default: return "generic";
    }
}

int sslcv__backend_bf16(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

int32_t sslcv__backend_block(void)
{
    /* Each instruction set is a bit; one that builds on others has theirs too. */
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core ? 16 : 8;
}

dnnl_data_type_t sslcv__dnn_type(int32_t dtype)
{
    return dtype == SSLCV_BF16 ? dnnl_bf16 : dnnl_f32;
}

static const char *status_text(dnnl_status_t status)
{
    switch (status) {
    case dnnl_out_of_memory: return "out of memory";
    case dnnl_invalid_arguments: return "invalid arguments";
    case dnnl_unimplemented: return "unimplemented";
    case dnnl_runtime_error: return "runtime error";
    case dnnl_not_required: return "not required";
    default: return "failed";
    }
}

sslcv_status sslcv__dnn_fail(dnnl_status_t status, const char *operation, const dnnl_memory_desc_t *shape)
{
    char text[128] = "";
    int length = 0, i;

    for (i = 0; shape && i < shape->ndims; i++) {
        length +=
            snprintf(text + length, sizeof text - (size_t)length, i ? "x%lld" : " %lld", (long long)shape->dims[i]);
        if (length >= (int)sizeof text - 24) break;
    }
    return sslcv__fail(status == dnnl_out_of_memory   ? SSLCV_ERR_OUT_OF_MEMORY
                       : status == dnnl_unimplemented ? SSLCV_ERR_UNSUPPORTED
                                                      : SSLCV_ERR_BACKEND,
                       "oneDNN %s%s: %s", operation, text, status_text(status));
}

static void free_engine(void *engine)
{
    if (engine) dnnl_engine_destroy(engine);
}

sslcv_status sslcv__dnn_engine(sslcv_context *context, dnnl_engine_t *engine)
{
    void *made = atomic_load(&context->backend), *none = NULL;
    dnnl_engine_t fresh;
    dnnl_status_t status;

    if (!made) {
        status = dnnl_engine_create(&fresh, dnnl_cpu, 0);
        if (status != dnnl_success) return sslcv__dnn_fail(status, "engine", NULL);
        context->free_backend = free_engine;
        if (atomic_compare_exchange_strong(&context->backend, &none, (void *)fresh)) {
            made = fresh;
        } else { /* another thread was first */
            dnnl_engine_destroy(fresh);
            made = none;
        }
    }
    *engine = made;
    return SSLCV_OK;
}

sslcv_status sslcv__gemm(int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                         int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    const dnnl_dims_t dims = {m, n, k};
    dnnl_memory_desc_t shape;
    const dnnl_status_t status =
        dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);

    if (status == dnnl_success) return SSLCV_OK;
    dnnl_memory_desc_init_by_tag(&shape, 3, dims, dnnl_f32, dnnl_abc);
    return sslcv__dnn_fail(status, "gemm", &shape);
}
