#include "core/memory.h"
#include "dnn/v2/internal.h"

#include <string.h>

sslcv_status sslcv__dnn_attributes(int accumulate, dnnl_primitive_attr_t *attributes)
{
    dnnl_post_ops_t post_ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(attributes);

    if (status != dnnl_success) return sslcv__dnn_fail(status, "attributes", NULL);
    status = dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && accumulate) {
        status = dnnl_post_ops_create(&post_ops);
        if (status == dnnl_success) status = dnnl_post_ops_append_sum(post_ops, 1.0f);
        if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*attributes, post_ops);
        if (post_ops) dnnl_post_ops_destroy(post_ops);
    }
    if (status == dnnl_success) return SSLCV_OK;
    dnnl_primitive_attr_destroy(*attributes);
    return sslcv__dnn_fail(status, "attributes", NULL);
}

sslcv_status sslcv__op_create(sslcv_context *context, const void *descriptor, const dnnl_primitive_attr_t attributes,
                              const sslcv__op *hint, const char *operation, const dnnl_memory_desc_t *shape,
                              sslcv__op **out)
{
    dnnl_primitive_desc_t description;
    dnnl_engine_t engine;
    dnnl_status_t made;
    const sslcv_status status = sslcv__dnn_engine(context, &engine);

    if (status != SSLCV_OK) return status;
    made = dnnl_primitive_desc_create(&description, descriptor, attributes, engine, hint ? hint->description : NULL);
    if (made != dnnl_success) return sslcv__dnn_fail(made, operation, shape);
    return sslcv__op_create_from(context, description, operation, shape, out);
}

sslcv_status sslcv__op_create_from(sslcv_context *context, dnnl_primitive_desc_t description, const char *operation,
                                   const dnnl_memory_desc_t *shape, sslcv__op **out)
{
    const char *implementation = "";
    dnnl_engine_t engine;
    dnnl_status_t made;
    sslcv__op *op;
    sslcv_status status = sslcv__alloc_array(context, 1, sizeof *op, (void **)&op);

    if (status != SSLCV_OK) {
        dnnl_primitive_desc_destroy(description);
        return status;
    }
    op->description = description;
    SSLCV__TRY(sslcv__dnn_engine(context, &engine));
    made = dnnl_primitive_create(&op->primitive, description);
    if (made == dnnl_success) made = dnnl_stream_create(&op->stream, engine, dnnl_stream_default_flags);
    if (made != dnnl_success) {
        status = sslcv__dnn_fail(made, operation, shape);
        goto end;
    }
    if (dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, (void *)&implementation) == dnnl_success) {
        strncpy(op->implementation, implementation, SSLCV__IMPLEMENTATION_SIZE - 1);
    }
    *out = op;
    return SSLCV_OK;
end:
    sslcv__op_free(context, op);
    return status;
}

void sslcv__op_free(sslcv_context *context, sslcv__op *op)
{
    int i;

    if (!op) return;
    for (i = 0; i < SSLCV__ARG_COUNT; i++) {
        if (op->memories[i]) dnnl_memory_destroy(op->memories[i]);
        sslcv__layout_free(context, op->layouts[i]);
    }
    if (op->stream) dnnl_stream_destroy(op->stream);
    if (op->primitive) dnnl_primitive_destroy(op->primitive);
    if (op->description) dnnl_primitive_desc_destroy(op->description);
    sslcv__free(context, op);
}

static sslcv_status add_argument(sslcv_context *context, sslcv__op *op, sslcv__arg arg, int dnnl_arg,
                                 const dnnl_memory_desc_t *md)
{
    dnnl_engine_t engine;
    dnnl_status_t made;
    sslcv_status status;

    if (!md || md->ndims == 0) return SSLCV_OK;
    SSLCV__TRY(sslcv__dnn_engine(context, &engine));
    SSLCV__TRY(sslcv__alloc(context, sizeof(sslcv__layout), (void **)&op->layouts[arg]));
    op->layouts[arg]->md = *md;
    made = dnnl_memory_create(&op->memories[arg], md, engine, NULL);
    if (made != dnnl_success) return sslcv__dnn_fail(made, "memory", md);
    op->arguments[op->num_arguments].arg = dnnl_arg;
    op->arguments[op->num_arguments].memory = op->memories[arg];
    op->num_arguments++;
end:
    return status;
}

sslcv_status sslcv__op_add_arguments(sslcv_context *context, sslcv__op *op, const sslcv__op_argument *arguments,
                                     int count)
{
    const dnnl_memory_desc_t *scratchpad = dnnl_primitive_desc_query_md(op->description, dnnl_query_scratchpad_md, 0);
    sslcv_status status = SSLCV_OK;
    int i;

    for (i = 0; i < count && status == SSLCV_OK; i++) {
        const dnnl_memory_desc_t *md =
            dnnl_primitive_desc_query_md(op->description, arguments[i].query, arguments[i].index);
        status = add_argument(context, op, arguments[i].arg, arguments[i].dnnl_arg, md);
    }
    if (status == SSLCV_OK && scratchpad && dnnl_memory_desc_get_size(scratchpad) > 0) {
        status = add_argument(context, op, SSLCV__SCRATCHPAD, DNNL_ARG_SCRATCHPAD, scratchpad);
    }
    if (status != SSLCV_OK) sslcv__op_free(context, op);
    return status;
}

sslcv_status sslcv__op_make(sslcv_context *context, const void *descriptor, const sslcv__op *hint,
                            const char *operation, const dnnl_memory_desc_t *shape, const sslcv__op_argument *arguments,
                            int count, sslcv__op **out)
{
    dnnl_primitive_attr_t attributes;
    sslcv__op *op = NULL;
    sslcv_status status = sslcv__dnn_attributes(0, &attributes);

    if (status != SSLCV_OK) return status;
    status = sslcv__op_create(context, descriptor, attributes, hint, operation, shape, &op);
    dnnl_primitive_attr_destroy(attributes);
    if (status == SSLCV_OK) status = sslcv__op_add_arguments(context, op, arguments, count);
    if (status == SSLCV_OK) *out = op;
    return status;
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
    dnnl_status_t status;

    if (!op->memories[arg]) return SSLCV_OK;
    status = dnnl_memory_set_data_handle(op->memories[arg], memory);
    return status == dnnl_success ? SSLCV_OK : sslcv__dnn_fail(status, "memory", &op->layouts[arg]->md);
}

sslcv_status sslcv__op_run(sslcv__op *op)
{
    const dnnl_status_t status = dnnl_primitive_execute(op->primitive, op->stream, op->num_arguments, op->arguments);
    const sslcv__layout *shape = op->layouts[SSLCV__SRC] ? op->layouts[SSLCV__SRC] : op->layouts[SSLCV__DIFF_DST];

    return status == dnnl_success ? SSLCV_OK : sslcv__dnn_fail(status, op->implementation, shape ? &shape->md : NULL);
}

const char *sslcv__op_implementation(const sslcv__op *op)
{
    return op->implementation;
}
