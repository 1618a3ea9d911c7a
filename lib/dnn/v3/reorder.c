#include "dnn/v3/internal.h"

sslcv_status sslcv__op_reorder(sslcv_context *context, const sslcv__layout *src, const sslcv__layout *dst,
                               int accumulate, sslcv__op **out)
{
    static const sslcv__op_argument arguments[2] = {{SSLCV__SRC, DNNL_ARG_FROM, dnnl_query_src_md, 0},
                                                    {SSLCV__DST, DNNL_ARG_TO, dnnl_query_dst_md, 0}};
    const sslcv__conv_post post = {accumulate, 0};
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t made;
    sslcv__dnn_setup setup;
    const sslcv_status status = sslcv__dnn_setup_init(context, &post, &setup);

    if (status != SSLCV_OK) return status;
    made = dnnl_reorder_primitive_desc_create(&description, src->md, setup.engine, dst->md, setup.engine,
                                              setup.attributes);
    sslcv__dnn_setup_clear(&setup);
    return sslcv__op_make(context, made, description, "reorder", src->md, arguments, 2, out);
}
