#include "dnn/v2/internal.h"

sslcv_status sslcv__op_reorder(sslcv_context *context, const sslcv__layout *src, const sslcv__layout *dst,
                               int accumulate, sslcv__op **out)
{
    static const sslcv__op_argument arguments[2] = {{SSLCV__SRC, DNNL_ARG_FROM, dnnl_query_src_md, 0},
                                                    {SSLCV__DST, DNNL_ARG_TO, dnnl_query_dst_md, 0}};
    const sslcv__conv_post post = {accumulate, 0};
    dnnl_primitive_attr_t attributes;
    dnnl_primitive_desc_t description;
    dnnl_engine_t engine;
    dnnl_status_t made;
    sslcv_status status = sslcv__dnn_engine(context, &engine);

    if (status == SSLCV_OK) status = sslcv__dnn_attributes(&post, &attributes);
    if (status != SSLCV_OK) return status;
    made = dnnl_reorder_primitive_desc_create(&description, &src->md, engine, &dst->md, engine, attributes);
    dnnl_primitive_attr_destroy(attributes);
    if (made != dnnl_success) return sslcv__dnn_fail(made, "reorder", &src->md);
    return sslcv__op_make_from(context, description, "reorder", &src->md, arguments, 2, out);
}
