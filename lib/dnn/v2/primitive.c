/* An op around a primitive of oneDNN. */
#include "core/memory.h"
#include "dnn/v2/internal.h"

#include <string.h>

static dnnl_status_t append_post_ops(const sslcv__conv_post *post, dnnl_primitive_attr_t attributes)
{
    dnnl_post_ops_t post_ops;
    dnnl_status_t status = dnnl_post_ops_create(&post_ops);

    if (status != dnnl_success) return status;
    if (post->sum) status = dnnl_post_ops_append_sum(post_ops, 1.0f);
    if (status == dnnl_success && post->relu) {
        status = dnnl_post_ops_append_eltwise(post_ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
    }
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attributes, post_ops);
    dnnl_post_ops_destroy(post_ops);
    return status;
}

sslcv_status sslcv__dnn_attributes(const sslcv__conv_post *post, dnnl_primitive_attr_t *attributes)
{
    dnnl_status_t status = dnnl_primitive_attr_create(attributes);

    if (status != dnnl_success) return sslcv__dnn_fail(status, "attributes", NULL);
    status = dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && post && (post->sum || post->relu)) status = append_post_ops(post, *attributes);
    if (status == dnnl_success) return SSLCV_OK;
    dnnl_primitive_attr_destroy(*attributes);
    return sslcv__dnn_fail(status, "attributes", NULL);
}

/* ---- the ways of an op ---- */

static sslcv_status run(sslcv__op *op)
{
    sslcv__primitive *p = (sslcv__primitive *)op;
    const dnnl_status_t status = dnnl_primitive_execute(p->primitive, p->stream, p->num_arguments, p->arguments);
    const sslcv__layout *shape = op->layouts[SSLCV__SRC] ? op->layouts[SSLCV__SRC] : op->layouts[SSLCV__DIFF_DST];

    return status == dnnl_success ? SSLCV_OK : sslcv__dnn_fail(status, op->implementation, shape ? &shape->md : NULL);
}

static sslcv_status bind(sslcv__op *op, sslcv__arg arg)
{
    sslcv__primitive *p = (sslcv__primitive *)op;
    const dnnl_status_t status = dnnl_memory_set_data_handle(p->memories[arg], op->memory[arg]);

    return status == dnnl_success ? SSLCV_OK : sslcv__dnn_fail(status, "memory", &op->layouts[arg]->md);
}

static void release(sslcv__op *op)
{
    sslcv__primitive *p = (sslcv__primitive *)op;
    int i;

    for (i = 0; i < SSLCV__ARG_COUNT; i++) {
        if (p->memories[i]) dnnl_memory_destroy(p->memories[i]);
    }
    if (p->stream) dnnl_stream_destroy(p->stream);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    if (p->description) dnnl_primitive_desc_destroy(p->description);
}

static sslcv_status fold(sslcv_context *context, const sslcv__op *op, const sslcv__layout *home, const float *weights,
                         const float *scale, void *folded)
{
    const int64_t out_channels = op->layouts[SSLCV__WEIGHTS]->md.dims[0];
    float *scaled;
    sslcv_status status = sslcv__alloc(context, sslcv__layout_bytes(home), (void **)&scaled);

    if (status != SSLCV_OK) return status;
    status = sslcv__scale_filters(home, weights, scale, out_channels, scaled);
    if (status == SSLCV_OK) {
        status = sslcv__layout_convert(context, home, scaled, op->layouts[SSLCV__WEIGHTS], folded);
    }
    sslcv__free(context, scaled);
    return status;
}

static const sslcv__op_kind kind = {run, bind, release, fold};

/* ---- making one ---- */

static sslcv_status add_argument(sslcv_context *context, sslcv__primitive *p, sslcv__arg arg, int dnnl_arg,
                                 const dnnl_memory_desc_t *md)
{
    dnnl_engine_t engine;
    dnnl_status_t made;
    sslcv_status status;

    if (!md || md->ndims == 0) return SSLCV_OK;
    SSLCV__TRY(sslcv__dnn_engine(context, &engine));
    SSLCV__TRY(sslcv__alloc(context, sizeof(sslcv__layout), (void **)&p->op.layouts[arg]));
    p->op.layouts[arg]->md = *md;
    made = dnnl_memory_create(&p->memories[arg], md, engine, NULL);
    if (made != dnnl_success) return sslcv__dnn_fail(made, "memory", md);
    p->arguments[p->num_arguments].arg = dnnl_arg;
    p->arguments[p->num_arguments].memory = p->memories[arg];
    p->num_arguments++;
end:
    return status;
}

static sslcv_status add_arguments(sslcv_context *context, sslcv__primitive *p, const sslcv__op_argument *arguments,
                                  int count)
{
    const dnnl_memory_desc_t *scratchpad = dnnl_primitive_desc_query_md(p->description, dnnl_query_scratchpad_md, 0);
    sslcv_status status = SSLCV_OK;
    int i;

    for (i = 0; i < count && status == SSLCV_OK; i++) {
        const dnnl_memory_desc_t *md =
            dnnl_primitive_desc_query_md(p->description, arguments[i].query, arguments[i].index);
        status = add_argument(context, p, arguments[i].arg, arguments[i].dnnl_arg, md);
    }
    if (status == SSLCV_OK && scratchpad && dnnl_memory_desc_get_size(scratchpad) > 0) {
        status = add_argument(context, p, SSLCV__SCRATCHPAD, DNNL_ARG_SCRATCHPAD, scratchpad);
    }
    return status;
}

sslcv_status sslcv__op_make_from(sslcv_context *context, dnnl_primitive_desc_t description, const char *operation,
                                 const dnnl_memory_desc_t *shape, const sslcv__op_argument *arguments, int count,
                                 sslcv__op **out)
{
    const char *implementation = "";
    dnnl_engine_t engine;
    dnnl_status_t made;
    sslcv__primitive *p;
    sslcv_status status = sslcv__alloc_array(context, 1, sizeof *p, (void **)&p);

    if (status != SSLCV_OK) {
        dnnl_primitive_desc_destroy(description);
        return status;
    }
    p->op.kind = &kind;
    p->description = description;
    SSLCV__TRY(sslcv__dnn_engine(context, &engine));
    made = dnnl_primitive_create(&p->primitive, description);
    if (made == dnnl_success) made = dnnl_stream_create(&p->stream, engine, dnnl_stream_default_flags);
    if (made != dnnl_success) {
        status = sslcv__dnn_fail(made, operation, shape);
        goto end;
    }
    if (dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, (void *)&implementation) == dnnl_success) {
        strncpy(p->op.implementation, implementation, SSLCV__IMPLEMENTATION_SIZE - 1);
    }
    SSLCV__TRY(add_arguments(context, p, arguments, count));
    *out = &p->op;
    return SSLCV_OK;
end:
    sslcv__op_free(context, &p->op);
    return status;
}

sslcv_status sslcv__op_make(sslcv_context *context, const void *descriptor, const sslcv__conv_post *post,
                            const sslcv__op *hint, const char *operation, const dnnl_memory_desc_t *shape,
                            const sslcv__op_argument *arguments, int count, sslcv__op **out)
{
    const sslcv__primitive *forward = (const sslcv__primitive *)hint;
    dnnl_primitive_attr_t attributes;
    dnnl_primitive_desc_t description;
    dnnl_engine_t engine;
    dnnl_status_t made;
    sslcv_status status = sslcv__dnn_engine(context, &engine);

    if (status == SSLCV_OK) status = sslcv__dnn_attributes(post, &attributes);
    if (status != SSLCV_OK) return status;
    made =
        dnnl_primitive_desc_create(&description, descriptor, attributes, engine, forward ? forward->description : NULL);
    dnnl_primitive_attr_destroy(attributes);
    if (made != dnnl_success) return sslcv__dnn_fail(made, operation, shape);
    return sslcv__op_make_from(context, description, operation, shape, arguments, count, out);
}
