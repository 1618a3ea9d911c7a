#include "model/backbone.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/context.h"
#include "core/options.h"
#include "core/tensor.h"
#include "nn/state.h"

static const char *const resnet_stages[] = {"stem", "layer1", "layer2", "layer3", "layer4"};
static const char *const alexnet_stages[] = {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"};
static const char *const architecture_names[] = {"",          "resnet18", "resnet34",    "resnet50",
                                                 "resnet101", "alexnet",  "alexnet_half"};
static const char *const stem_names[] = {"imagenet", "cifar", "gim"};
static const char *const norm_names[] = {"none", "batch", "group", "layer"};

static const sslcv_backbone_options defaults = {.struct_size = sizeof(sslcv_backbone_options),
                                                .stem = SSLCV_STEM_IMAGENET,
                                                .norm = SSLCV_NORM_BATCH,
                                                .zero_init_residual = 1,
                                                .channels = 3,
                                                .width = 1.0,
                                                .norm_epsilon = 1e-5,
                                                .norm_momentum = 0.1};

int sslcv__is_alexnet(int32_t architecture)
{
    return architecture == SSLCV_BACKBONE_ALEXNET || architecture == SSLCV_BACKBONE_ALEXNET_HALF;
}

static int32_t all_stages(int32_t architecture)
{
    return architecture == SSLCV_BACKBONE_ALEXNET_HALF ? 7 : 5;
}

static const char *stage_name(const sslcv_backbone *backbone, int64_t stage)
{
    return sslcv__is_alexnet(backbone->options.architecture) ? alexnet_stages[stage] : resnet_stages[stage];
}

/* ---- options ---- */

static sslcv_status check_architecture(int32_t architecture)
{
    if (architecture < SSLCV_BACKBONE_RESNET18 || architecture > SSLCV_BACKBONE_ALEXNET_HALF) {
        return sslcv__invalid("backbone.architecture is %d; must be SSLCV_BACKBONE_RESNET18 .. ALEXNET_HALF",
                              architecture);
    }
    return SSLCV_OK;
}

sslcv_status sslcv_backbone_options_init(sslcv_backbone_options *options, size_t struct_size, int32_t architecture)
{
    sslcv_backbone_options filled = defaults;
    const sslcv_status status = check_architecture(architecture);

    if (status != SSLCV_OK) return status;
    filled.architecture = architecture;
    return sslcv__options_init("backbone_options", options, struct_size, sizeof filled, &filled, sizeof filled);
}

static sslcv_status check_flag(const char *name, int32_t value)
{
    if (value == 0 || value == 1) return SSLCV_OK;
    return sslcv__invalid("backbone.%s is %d; must be 0 or 1", name, value);
}

static sslcv_status check_structure(const sslcv_backbone_options *o)
{
    sslcv_status status;

    SSLCV__TRY(check_architecture(o->architecture));
    if (o->stem < SSLCV_STEM_IMAGENET || o->stem > SSLCV_STEM_GIM) {
        return sslcv__invalid("backbone.stem is %d; must be SSLCV_STEM_IMAGENET, CIFAR or GIM", o->stem);
    }
    if (o->norm < SSLCV_NORM_NONE || o->norm > SSLCV_NORM_LAYER) {
        return sslcv__invalid("backbone.norm is %d; must be SSLCV_NORM_NONE, BATCH, GROUP or LAYER", o->norm);
    }
    if (o->num_stages < 0 || o->num_stages > all_stages(o->architecture)) {
        return sslcv__invalid("backbone.num_stages is %d; must be 0 .. %d", o->num_stages, all_stages(o->architecture));
    }
    if (o->image_size < 0 || o->image_size > 65536 || (o->image_size > 0 && sslcv__alexnet_side(o->image_size) < 1)) {
        return sslcv__invalid("backbone.image_size is %lld; must be 0 or 63 .. 65536", (long long)o->image_size);
    }
    if (sslcv__is_alexnet(o->architecture)) {
        if (o->norm != SSLCV_NORM_BATCH) return sslcv__invalid("backbone.norm is %d; AlexNet's is BATCH", o->norm);
        if (o->stem != 0 || o->project_all || o->preactivation) {
            return sslcv__invalid("backbone.stem, project_all and preactivation are for ResNets; must be 0");
        }
    }
    SSLCV__TRY(check_flag("zero_init_residual", o->zero_init_residual));
    SSLCV__TRY(check_flag("project_all", o->project_all));
    SSLCV__TRY(check_flag("preactivation", o->preactivation));
end:
    return status;
}

static sslcv_status check_options(const sslcv_backbone_options *o)
{
    const sslcv_status status = check_structure(o);

    if (status != SSLCV_OK) return status;
    if (o->reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "backbone.reserved is not 0");
    if (o->channels < 1 || o->channels > 16) {
        return sslcv__invalid("backbone.channels is %lld; must be 1 .. 16", (long long)o->channels);
    }
    if (o->stem_channels < 0 || o->stem_channels > 4096) {
        return sslcv__invalid("backbone.stem_channels is %lld; must be 0 .. 4096", (long long)o->stem_channels);
    }
    if (!(o->width >= 1.0 / 64.0 && o->width <= 16.0)) {
        return sslcv__invalid("backbone.width is %g; must be 1/64 .. 16", o->width);
    }
    if (!(o->norm_epsilon > 0.0 && o->norm_epsilon < 1.0)) {
        return sslcv__invalid("backbone.norm_epsilon is %g; must be > 0 and < 1", o->norm_epsilon);
    }
    if (!(o->norm_momentum >= 0.0 && o->norm_momentum <= 1.0)) {
        return sslcv__invalid("backbone.norm_momentum is %g; must be 0 .. 1", o->norm_momentum);
    }
    return SSLCV_OK;
}

/* ---- life ---- */

static void release_backbone(void *self)
{
    sslcv__net_free(&((sslcv_backbone *)self)->net);
}

static int64_t default_stem_channels(const sslcv_backbone_options *o)
{
    const double channels = o->architecture == SSLCV_BACKBONE_ALEXNET        ? 96.0
                            : o->architecture == SSLCV_BACKBONE_ALEXNET_HALF ? 48.0
                                                                             : 64.0;

    return (int64_t)floor(channels * o->width + 0.5);
}

sslcv_status sslcv_backbone_create(sslcv_context *context, const sslcv_backbone_options *options, sslcv_backbone **out)
{
    return sslcv__backbone_create(context, options, 0, out);
}

sslcv_status sslcv__backbone_create(sslcv_context *context, const sslcv_backbone_options *options, int64_t most_bytes,
                                    sslcv_backbone **out)
{
    sslcv_backbone_options o = defaults;
    sslcv_backbone *backbone;
    sslcv_status status = sslcv__check(context, SSLCV__CONTEXT, "context");

    if (status != SSLCV_OK) return status;
    if (!options) return sslcv__null("options");
    if (!out) return sslcv__null("backbone");
    status = sslcv__options_read("backbone_options", options, sizeof defaults, &o, sizeof o);
    if (status == SSLCV_OK) status = check_options(&o);
    if (status == SSLCV_OK) {
        status = sslcv__object_create(context, SSLCV__BACKBONE, sizeof *backbone, release_backbone, &backbone);
    }
    if (status != SSLCV_OK) return status;
    o.seed = sslcv__context_seed(context, o.seed);
    if (o.stem_channels == 0) o.stem_channels = default_stem_channels(&o);
    if (o.image_size == 0) o.image_size = 224;
    if (o.num_stages == all_stages(o.architecture)) o.num_stages = 0;
    backbone->options = o;
    backbone->most_bytes = most_bytes;
    backbone->num_stages = o.num_stages ? o.num_stages : all_stages(o.architecture);
    status = sslcv__is_alexnet(o.architecture) ? sslcv__alexnet_build(backbone) : sslcv__resnet_build(backbone);
    if (status == SSLCV_OK) {
        *out = backbone;
    } else {
        sslcv__release(backbone);
    }
    return status;
}

void sslcv_backbone_destroy(sslcv_backbone *backbone)
{
    sslcv__destroy(backbone, SSLCV__BACKBONE);
}

sslcv_status sslcv_backbone_clone(const sslcv_backbone *backbone, sslcv_backbone **copy)
{
    sslcv_backbone *made;
    sslcv_status status = sslcv__check(backbone, SSLCV__BACKBONE, "backbone");

    if (status != SSLCV_OK) return status;
    if (!copy) return sslcv__null("copy");
    status = sslcv_backbone_create(backbone->object.context, &backbone->options, &made);
    if (status != SSLCV_OK) return status;
    sslcv__net_copy_values(&made->net, &backbone->net); /* into a new one nothing is thawed, so nothing can fail */
    *copy = made;
    return SSLCV_OK;
}

/* ---- looking ---- */

void sslcv__backbone_describe(const sslcv_backbone *backbone, char *text, size_t size)
{
    const sslcv_backbone_options *o = &backbone->options;
    char stages[24] = "", side[32] = "";

    if (o->num_stages) snprintf(stages, sizeof stages, " stages=%d", o->num_stages);
    if (backbone->num_stages > 5)
        snprintf(side, sizeof side, " side=%lld", (long long)sslcv__alexnet_side(o->image_size));
    snprintf(text, size, "%s stem=%s channels=%lld stem_channels=%lld width=%g%s%s%s%s%s%s",
             architecture_names[o->architecture], stem_names[o->stem], (long long)o->channels,
             (long long)o->stem_channels, o->width,
             o->norm == SSLCV_NORM_BATCH ? "" : " norm=", o->norm == SSLCV_NORM_BATCH ? "" : norm_names[o->norm],
             o->project_all ? " project_all=1" : "", o->preactivation ? " preactivation=1" : "", stages, side);
}

sslcv_status sslcv_backbone_get_state(sslcv_backbone *backbone, sslcv_state **out)
{
    sslcv_state *state;
    char text[256];
    sslcv_status status = sslcv__check(backbone, SSLCV__BACKBONE, "backbone");

    if (status != SSLCV_OK) return status;
    if (!out) return sslcv__null("state");
    status = sslcv__state_create(backbone->object.context, &backbone->object, &state);
    if (status != SSLCV_OK) return status;
    sslcv__backbone_describe(backbone, text, sizeof text);
    status = sslcv__state_add_metadata(state, "sslcv.backbone", text);
    if (status == SSLCV_OK) status = sslcv__state_append(state, "", &backbone->net.variables);
    if (status == SSLCV_OK) {
        *out = state;
    } else {
        sslcv__release(state);
    }
    return status;
}

int64_t sslcv__backbone_dim(const sslcv_backbone *backbone, int32_t stage)
{
    return backbone->net.nodes[backbone->stage_ends[stage]].channels;
}

sslcv_status sslcv_backbone_get_info(const sslcv_backbone *backbone, sslcv_backbone_info *info)
{
    sslcv_backbone_info full = {0};
    const sslcv_status status = sslcv__check(backbone, SSLCV__BACKBONE, "backbone");

    if (status != SSLCV_OK) return status;
    full.channels = backbone->options.channels;
    full.feature_dim = sslcv__backbone_dim(backbone, backbone->num_stages - 1);
    full.num_parameters = sslcv__net_num_parameters(&backbone->net);
    full.num_stages = backbone->num_stages;
    full.frozen_stages = backbone->net.frozen_stages;
    full.architecture = backbone->options.architecture;
    full.stem = backbone->options.stem;
    full.norm = backbone->options.norm;
    full.preactivation = backbone->options.preactivation;
    full.width = backbone->options.width;
    full.stem_channels = backbone->options.stem_channels;
    full.image_size = sslcv__is_alexnet(backbone->options.architecture) ? backbone->options.image_size : 0;
    return sslcv__struct_fill("backbone_info", info, sizeof full, &full, sizeof full);
}

sslcv_status sslcv_backbone_get_stage(const sslcv_backbone *backbone, int64_t index, const char **name, int64_t *dim)
{
    const sslcv_status status = sslcv__check(backbone, SSLCV__BACKBONE, "backbone");

    if (status != SSLCV_OK) return status;
    if (index < 0 || index >= backbone->num_stages) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "stage %lld: the backbone has stages 0 .. %d", (long long)index,
                           backbone->num_stages - 1);
    }
    if (name) *name = stage_name(backbone, index);
    if (dim) *dim = sslcv__backbone_dim(backbone, (int32_t)index);
    return SSLCV_OK;
}

sslcv_status sslcv__backbone_find_stage(const sslcv_backbone *backbone, const char *name, int32_t *index)
{
    int32_t i;

    *index = backbone->num_stages - 1;
    if (!name) return SSLCV_OK;
    for (i = 0; i < backbone->num_stages; i++) {
        if (strcmp(name, stage_name(backbone, i)) == 0) {
            *index = i;
            return SSLCV_OK;
        }
    }
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "the backbone has no stage \"%s\"; its last is %s", name,
                       stage_name(backbone, backbone->num_stages - 1));
}

/* ---- freezing ---- */

sslcv_status sslcv_backbone_freeze(sslcv_backbone *backbone, int32_t num_stages)
{
    const sslcv_status status = sslcv__check(backbone, SSLCV__BACKBONE, "backbone");

    if (status != SSLCV_OK) return status;
    if (num_stages < 0 || num_stages > backbone->num_stages) {
        return sslcv__invalid("num_stages is %d; must be 0 .. %d", num_stages, backbone->num_stages);
    }
    if (backbone->fixed) {
        return sslcv__fail(SSLCV_ERR_STATE, "a trainer that uses the backbone has begun; freeze before its first step");
    }
    return sslcv__net_freeze(&backbone->net, num_stages);
}

/* ---- passes ---- */

static sslcv_status check_images(const sslcv_backbone *backbone, const sslcv_tensor *images)
{
    const int64_t shape[4] = {-1, backbone->options.channels, -1, -1};
    sslcv_status status = SSLCV_OK;

    if (!images) return sslcv__null("images");
    SSLCV__TRY(sslcv__tensor_check_shape(images, "images", 4, shape));
    if (images->dtype != SSLCV_F32) {
        return sslcv__invalid("images are %s; must be f32, normalised as the views do",
                              sslcv__dtype_name(images->dtype));
    }
    if (images->shape[0] < 1) return sslcv__invalid("images has no image in it");
    if (images->shape[2] < 1 || images->shape[3] < 1) return sslcv__invalid("images has no pixel in it");
end:
    return status;
}

sslcv_status sslcv_backbone_forward(sslcv_backbone *backbone, const sslcv_tensor *images, const sslcv_pass *pass,
                                    sslcv_tape *tape)
{
    sslcv_pass p;
    int32_t stage;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(backbone, SSLCV__BACKBONE, "backbone"));
    SSLCV__TRY(sslcv__check(tape, SSLCV__TAPE, "tape"));
    SSLCV__TRY(sslcv__check_context(tape, backbone->object.context, "tape"));
    SSLCV__TRY(check_images(backbone, images));
    SSLCV__TRY(sslcv__pass_read(pass, &p));
    SSLCV__TRY(sslcv__backbone_find_stage(backbone, p.stage, &stage));
    status =
        sslcv__tape_forward(tape, &backbone->object, &backbone->net, images, "images", &p, backbone->stage_ends[stage]);
end:
    return status;
}
