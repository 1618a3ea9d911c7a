/** sslcv_onnx_save(): arguments, the networks of a branch one after the other, and where the bytes go. */
#include <sslcv/onnx.h>

#include "core/error.h"
#include "core/options.h"

static const sslcv_onnx_options defaults = {.struct_size = sizeof(sslcv_onnx_options), .fold_norm = 1, .opset = 13};

sslcv_status sslcv_onnx_options_init(sslcv_onnx_options *options, size_t struct_size)
{
    return sslcv__options_init("onnx_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

#ifndef SSLCV__PROTOBUF_C

sslcv_status sslcv_onnx_save(const sslcv_branch *branch, const char *path, const sslcv_onnx_options *options)
{
    (void)branch, (void)path, (void)options;
    return sslcv__fail(
        SSLCV_ERR_UNSUPPORTED,
        "ONNX models need protobuf-c and onnx.proto (Debian's protobuf-c-compiler, libprotobuf-c-dev and "
        "libonnx-dev), which were not there when this library was built");
}

#else

#include <stdio.h>

#include "core/file.h"
#include "io/save.h"
#include "model/backbone.h"
#include "model/head.h"
#include "onnx/graph.h"

enum { MIN_OPSET = 11, MAX_OPSET = 17, MAX_SIDE = 65536 };

/* ---- arguments ---- */

static sslcv_status check_size(const char *name, int64_t value, int64_t most)
{
    if (value >= 0 && value <= most) return SSLCV_OK;
    return sslcv__invalid("onnx_options.%s is %lld; must be 0 .. %lld", name, (long long)value, (long long)most);
}

static sslcv_status check_options(const sslcv_onnx_options *o)
{
    sslcv_status status;

    SSLCV__TRY(check_size("height", o->height, MAX_SIDE));
    SSLCV__TRY(check_size("width", o->width, MAX_SIDE));
    SSLCV__TRY(check_size("batch", o->batch, INT32_MAX));
    SSLCV__TRY(check_size("fold_norm", o->fold_norm, 1));
    if (o->opset < MIN_OPSET || o->opset > MAX_OPSET) {
        return sslcv__invalid("onnx_options.opset is %d; must be %d .. %d", o->opset, MIN_OPSET, MAX_OPSET);
    }
end:
    return status;
}

static sslcv_status check_stream(const sslcv_onnx_options *o, sslcv_stream *stream)
{
    sslcv_status status;

    if (!o->stream) return sslcv__invalid("path and onnx_options.stream are both NULL");
    SSLCV__TRY(sslcv__options_read("stream", o->stream, sizeof *stream, stream, sizeof *stream));
    if (!stream->write) return sslcv__null("stream.write");
end:
    return status;
}

static sslcv_status read_branch(const sslcv_branch *given, sslcv_branch *branch)
{
    int64_t i;
    sslcv_status status;

    if (!given) return sslcv__null("branch");
    *branch = (sslcv_branch){.struct_size = sizeof *branch};
    SSLCV__TRY(sslcv__options_read("branch", given, sizeof *branch, branch, sizeof *branch));
    if (branch->source != SSLCV_SOURCE_VIEWS) {
        return sslcv__invalid("branch.source is %lld; must be SSLCV_SOURCE_VIEWS to export", (long long)branch->source);
    }
    if (branch->flags & ~(SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT | SSLCV_PASS_SHUFFLE | SSLCV_PASS_MAP)) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "branch.flags is %d; this version knows no such flag", branch->flags);
    }
    if (branch->momentum != 0) {
        return sslcv__invalid("branch.momentum is %d; must be 0 to export, with the copy itself as backbone",
                              branch->momentum);
    }
    SSLCV__TRY(sslcv__check(branch->backbone, SSLCV__BACKBONE, "branch.backbone"));
    if (branch->num_heads < 0) {
        return sslcv__invalid("branch.num_heads is %lld; must be >= 0", (long long)branch->num_heads);
    }
    if (branch->num_heads > 0 && !branch->heads) return sslcv__null("branch.heads");
    for (i = 0; i < branch->num_heads; i++) {
        SSLCV__TRY(sslcv__check(branch->heads[i], SSLCV__HEAD, "branch.heads"));
        SSLCV__TRY(sslcv__check_context(branch->heads[i], branch->backbone->object.context, "branch.heads"));
    }
end:
    return status;
}

/* ---- the model ---- */

static sslcv_status add_backbone(sslcv__onnx_model *model, const sslcv_branch *branch, const sslcv_onnx_options *o,
                                 sslcv__onnx_value *value)
{
    const sslcv_backbone *backbone = branch->backbone;
    const sslcv__onnx_axis axes[4] = {
        {o->batch, "batch"}, {value->channels, NULL}, {o->height, "height"}, {o->width, "width"}};
    const char *stage_name;
    char text[256];
    int32_t stage;
    sslcv_status status;

    SSLCV__TRY(sslcv__backbone_find_stage(backbone, branch->stage, &stage));
    sslcv__backbone_describe(backbone, text, sizeof text);
    SSLCV__TRY(sslcv__onnx_metadata(model, "sslcv.backbone", text));
    SSLCV__TRY(sslcv_backbone_get_stage(backbone, stage, &stage_name, NULL));
    SSLCV__TRY(sslcv__onnx_metadata(model, "sslcv.stage", stage_name));
    SSLCV__TRY(sslcv__onnx_input(model, value->name, axes, 4));
    SSLCV__TRY(sslcv__onnx_net(model, &backbone->net, backbone->stage_ends[stage], "backbone", "backbone", o->fold_norm,
                               value));
    if (!value->rows && !(branch->flags & SSLCV_PASS_MAP)) {
        SSLCV__TRY(sslcv__onnx_mean(model, "backbone", value));
    }
end:
    return status;
}

static sslcv_status add_head(sslcv__onnx_model *model, const sslcv_branch *branch, int64_t index,
                             const sslcv_onnx_options *o, sslcv__onnx_value *value)
{
    const sslcv_head *head = branch->heads[index];
    char key[40], what[64], prefix[32], text[256];
    sslcv_status status;

    if (head->in_dim != value->channels) {
        return sslcv__invalid("branch.heads[%lld] takes D = %lld; what comes before it gives %lld", (long long)index,
                              (long long)head->in_dim, (long long)value->channels);
    }
    snprintf(what, sizeof what, "branch.heads[%lld], a %s,", (long long)index, head->kind->name);
    snprintf(prefix, sizeof prefix, "heads.%lld", (long long)index);
    snprintf(key, sizeof key, "sslcv.%s", prefix);
    sslcv__head_describe(head, text, sizeof text);
    SSLCV__TRY(sslcv__onnx_metadata(model, key, text));
    SSLCV__TRY(sslcv__onnx_net(model, &head->net, head->net.num_nodes - 1, what, prefix, o->fold_norm, value));
end:
    return status;
}

static sslcv_status build(sslcv__onnx_model *model, const sslcv_branch *branch, const sslcv_onnx_options *o)
{
    sslcv__onnx_value value = {
        .name = "images", .channels = branch->backbone->options.channels, .height = o->height, .width = o->width};
    sslcv__onnx_axis axes[4] = {{o->batch, "batch"}, {0, NULL}, {0, "map_height"}, {0, "map_width"}};
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(add_backbone(model, branch, o, &value));
    for (i = 0; i < branch->num_heads; i++) SSLCV__TRY(add_head(model, branch, i, o, &value));
    SSLCV__TRY(sslcv__onnx_rename_last(model, "features"));
    axes[1].size = value.channels;
    axes[2].size = value.height;
    axes[3].size = value.width;
    status = sslcv__onnx_output(model, "features", axes, value.rows ? 2 : 4);
end:
    return status;
}

static sslcv_status write_file(sslcv__onnx_model *model, sslcv_context *context, const char *path)
{
    sslcv__sink to = {0};
    sslcv_status status = sslcv__new_file_open(context, path, &to.file);

    if (status != SSLCV_OK) return status;
    status = sslcv__onnx_write(model, &to);
    if (status == SSLCV_OK) return sslcv__new_file_commit(to.file, 0);
    sslcv__new_file_discard(to.file);
    return status;
}

sslcv_status sslcv_onnx_save(const sslcv_branch *branch, const char *path, const sslcv_onnx_options *options)
{
    sslcv__onnx_model *model = NULL;
    sslcv_onnx_options o = defaults;
    sslcv_branch b;
    sslcv_stream stream = {0};
    sslcv_context *context;
    sslcv_status status;

    SSLCV__TRY(read_branch(branch, &b));
    SSLCV__TRY(sslcv__options_read("onnx_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(check_options(&o));
    if (!path) SSLCV__TRY(check_stream(&o, &stream));
    context = b.backbone->object.context;
    SSLCV__TRY(sslcv__onnx_create(context, o.opset, &model));
    SSLCV__TRY(build(model, &b, &o));
    SSLCV__TRY(sslcv__onnx_check(model));
    if (path) {
        SSLCV__TRY(write_file(model, context, path));
    } else {
        sslcv__sink to = {.stream = &stream};
        SSLCV__TRY(sslcv__onnx_write(model, &to));
    }
end:
    sslcv__onnx_free(model);
    return status;
}

#endif
