/* The engine of a context, the check of the library's version, and the matrix product. */
#include "core/backend.h"
#include "core/context.h"
#include "dnn/v3/internal.h"

#include <stdio.h>

#if DNNL_VERSION_MAJOR != 3
#error "this back end is for oneDNN 3.x"
#endif

sslcv_status sslcv__backend_check(void)
{
    const dnnl_version_t *version = dnnl_version();

    /* Names and numbers of flags differ between major versions: header and library must be of one. Minor versions may
       differ, as nothing is used here that 3.0 has not. */
    if (version->major != DNNL_VERSION_MAJOR) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "oneDNN %d.%d.%d is loaded; this build needs 3.x", version->major,
                           version->minor, version->patch);
    }
    return SSLCV_OK;
}

/* Each instruction set is a bit; one that builds on others has theirs too. */
static int has_isa(dnnl_cpu_isa_t isa)
{
    return (dnnl_get_effective_cpu_isa() & isa) == isa;
}

const char *sslcv__backend_cpu(void)
{
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } sets[] = {{dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
                {dnnl_cpu_isa_avx512_core_fp16, "avx512_core_fp16"},
                {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
                {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
                {dnnl_cpu_isa_avx512_core, "avx512_core"},
                {dnnl_cpu_isa_avx2_vnni_2, "avx2_vnni_2"},
                {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
                {dnnl_cpu_isa_avx2, "avx2"},
                {dnnl_cpu_isa_avx, "avx"},
                {dnnl_cpu_isa_sse41, "sse41"}};
    size_t i;

    for (i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (has_isa(sets[i].isa)) return sets[i].name;
    }
    return "generic";
}

/* avx2_vnni_2 knows bf16 too, but has no backward convolutions. */
int sslcv__backend_bf16(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core_bf16);
}

int32_t sslcv__backend_block(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core) ? 16 : 8;
}

dnnl_data_type_t sslcv__dnn_type(int32_t dtype)
{
    return dtype == SSLCV_BF16 ? dnnl_bf16 : dnnl_f32;
}

sslcv__dnn_dims sslcv__dnn_dims_of(const_dnnl_memory_desc_t md)
{
    sslcv__dnn_dims d = {dnnl_data_type_undef, 0, NULL, NULL};
    const dnnl_dims_t *dims, *padded;

    if (md && dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &d.ndims) == dnnl_success &&
        dnnl_memory_desc_query(md, dnnl_query_data_type, &d.type) == dnnl_success &&
        dnnl_memory_desc_query(md, dnnl_query_dims, (void *)&dims) == dnnl_success &&
        dnnl_memory_desc_query(md, dnnl_query_padded_dims, (void *)&padded) == dnnl_success) {
        d.dims = *dims;
        d.padded = *padded;
    } else {
        d.ndims = 0;
    }
    return d;
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

static sslcv_status fail(dnnl_status_t status, const char *operation, int ndims, const dnnl_dim_t *dims)
{
    char text[128] = "";
    int length = 0, i;

    for (i = 0; i < ndims; i++) {
        length += snprintf(text + length, sizeof text - (size_t)length, i ? "x%lld" : " %lld", (long long)dims[i]);
        if (length >= (int)sizeof text - 24) break;
    }
    return sslcv__fail(status == dnnl_out_of_memory   ? SSLCV_ERR_OUT_OF_MEMORY
                       : status == dnnl_unimplemented ? SSLCV_ERR_UNSUPPORTED
                                                      : SSLCV_ERR_BACKEND,
                       "oneDNN %s%s: %s", operation, text, status_text(status));
}

sslcv_status sslcv__dnn_fail(dnnl_status_t status, const char *operation, const_dnnl_memory_desc_t shape)
{
    const sslcv__dnn_dims d = sslcv__dnn_dims_of(shape);

    return fail(status, operation, d.ndims, d.dims);
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
    const dnnl_status_t status =
        dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);

    return status == dnnl_success ? SSLCV_OK : fail(status, "gemm", 3, dims);
}
