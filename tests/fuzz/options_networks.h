/** Structs of networks, losses and optimizers. */
#ifndef SSLCV__FUZZ_OPTIONS_NETWORKS_H
#define SSLCV__FUZZ_OPTIONS_NETWORKS_H

#include "options.h"

/* ---- networks ---- */

INIT_KIND(backbone_options)
CREATE(backbone_options, sslcv_backbone_create, sslcv_backbone, sslcv_backbone_destroy)

static void fix_backbone_options(void *options, const rig *r)
{
    sslcv_backbone_options *o = options;

    if ((r->flags & 192) == 192) return;
    o->num_stages = 1 + (int32_t)(r->flags & 1); /* or weights would be drawn all the time */
    o->width = 1.0 / 64;
}

#define HEAD(name, create)                                                                                             \
    INIT(name##_options)                                                                                               \
    CREATE(name##_options, create, sslcv_head, sslcv_head_destroy)                                                     \
    static void fix_##name##_options(void *options, const rig *r)                                                      \
    {                                                                                                                  \
        if (r->flags & 1) ((sslcv_##name##_options *)options)->in_dim = 4;                                             \
    }
HEAD(mlp, sslcv_head_create_mlp)
HEAD(patch_mlp, sslcv_head_create_patch_mlp)
HEAD(prototypes, sslcv_head_create_prototypes)
HEAD(pixelcnn, sslcv_head_create_pixelcnn)
HEAD(cpc_v2, sslcv_head_create_cpc_v2)

static int32_t forward(void *user, sslcv_state *state, const sslcv_tensor *in, sslcv_tensor *out,
                       const sslcv_pass *pass)
{
    (void)state;
    (void)in;
    (void)out;
    (void)pass;
    return refuse(user);
}

static int32_t backward(void *user, sslcv_state *state, const sslcv_tensor *in, const sslcv_tensor *out,
                        const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *pass)
{
    (void)diff_out;
    (void)diff_in;
    return forward(user, state, in, (sslcv_tensor *)(uintptr_t)out, pass);
}

static void fix_head_callbacks(void *options, const rig *r)
{
    sslcv_head_callbacks *o = options;

    o->user = NULL;
    o->forward = r->flags & 1 ? forward : NULL;
    o->backward = r->flags & 2 ? backward : NULL;
    o->destroy = NULL;
}

INIT(head_callbacks)
CREATE(head_callbacks, sslcv_head_create_custom, sslcv_head, sslcv_head_destroy)

/* ---- losses ---- */

#define LOSS(name)                                                                                                     \
    INIT(name##_options)                                                                                               \
    CREATE(name##_options, sslcv_loss_create_##name, sslcv_loss, sslcv_loss_destroy)
LOSS(info_nce)
LOSS(nce_bank)
LOSS(swapped)
LOSS(cluster)
LOSS(cpc)
LOSS(cosine)
LOSS(barlow_twins)
LOSS(vicreg)
LOSS(dino)
LOSS(cross_entropy)
LOSS(binary_cross_entropy)

static void fix_nce_bank_options(void *options, const rig *r)
{
    static const double weights[8] = {1, 2, 0, 4, 5, 6, 7, 8};
    sslcv_nce_bank_options *o = options;

    if (r->flags & 1) o->num_samples = 8;
    o->row_weights = r->flags & 2 && o->num_samples <= 8 ? weights : NULL;
}

static void fix_cluster_options(void *options, const rig *r)
{
    if (r->flags & 1) ((sslcv_cluster_options *)options)->num_samples = 3000;
}

static void fix_cpc_options(void *options, const rig *r)
{
    if (r->flags & 1) ((sslcv_cpc_options *)options)->dim = 4;
}

static int32_t compute(void *user, sslcv_state *state, sslcv_loss_call *call)
{
    (void)state;
    (void)call;
    return refuse(user);
}

static void fix_loss_callbacks(void *options, const rig *r)
{
    sslcv_loss_callbacks *o = options;

    o->user = NULL;
    o->compute = r->flags & 1 ? compute : NULL;
    o->begin_epoch = NULL;
    o->destroy = NULL;
}

INIT(loss_callbacks)
CREATE(loss_callbacks, sslcv_loss_create_custom, sslcv_loss, sslcv_loss_destroy)

static void fix_loss_call(void *options, const rig *r)
{
    static float rows[2][24];
    static const int64_t ids[3] = {0, 1, 2}, shape[3] = {2, 3, 4};
    static sslcv_tensor inputs[2], diffs[2];
    sslcv_loss_call *o = options;
    int i;

    for (i = 0; i < 2; i++) {
        MUST(sslcv_tensor_init(&inputs[i], SSLCV_F32, rows[i], 3, shape));
        MUST(sslcv_tensor_init(&diffs[i], SSLCV_F32, r->flags & 16 ? rows[1 - i] : NULL, 3, shape));
    }
    for (i = 0; i < 24; i++) rows[0][i] = rows[1][23 - i] = (float)i / 8;
    o->inputs = inputs;
    o->diff_inputs = r->flags & 1 ? diffs : NULL;
    o->num_inputs = o->num_inputs > 2 ? 2 : o->num_inputs;
    o->ids = r->flags & 2 ? ids : NULL;
    o->labels = r->flags & 4 ? ids : NULL;
    o->targets = r->flags & 8 ? inputs : NULL;
}

INIT(loss_call)

static void use_loss_call(const void *options, const rig *r)
{
    sslcv_loss *loss;

    MUST(r->flags & 32 ? sslcv_loss_create_cross_entropy(r->context, NULL, &loss)
                       : sslcv_loss_create_info_nce(r->context, NULL, &loss));
    sane(sslcv_loss_compute(loss, (sslcv_loss_call *)(uintptr_t)options));
    sslcv_loss_destroy(loss);
}

/* ---- optimizers ---- */

INIT_KIND(optimizer_options)
CREATE(optimizer_options, sslcv_optimizer_create, sslcv_optimizer, sslcv_optimizer_destroy)
INIT(optimizer_group)

static void use_optimizer_group(const void *options, const rig *r)
{
    sslcv_head *head = world_head(r->context);
    sslcv_optimizer *optimizer = world_optimizer(r->context);
    sslcv_state *state;

    MUST(sslcv_head_get_state(head, &state));
    if (sane(sslcv_optimizer_add(optimizer, state, SSLCV_ROLE_PARAMETERS, options))) {
        sane(sslcv_optimizer_step(optimizer, 0.1, -1));
    }
    sslcv_state_destroy(state);
    sslcv_optimizer_destroy(optimizer);
    sslcv_head_destroy(head);
}

static sslcv_status init_schedule(void *options, size_t size, int32_t kind)
{
    return sslcv_schedule_init(options, size, kind, 0.5);
}

static void use_schedule(const void *options, const rig *r)
{
    static const int64_t steps[8] = {0, 1, 9, 10, 100, 1000000, INT64_MAX, -1}, epochs[4] = {1, 10, INT64_MAX, 0};
    double value = -77;

    if (!sane(sslcv_schedule_value(options, steps[r->flags & 7], r->flags & 8 ? INT64_MAX : 5,
                                   epochs[r->flags >> 4 & 3], &value))) {
        REQUIRE(value == -77);
    }
}

#endif
