/* Memory that runs out in the functions of tape, backbone and head. */
#include "out_of_memory_support.h"

#define HAVE (&w->have)
#define OUT  (&w->out)

/* ---- backbone ---- */

static sslcv_status create_backbone(world *w)
{
    const sslcv_backbone_options o = small_backbone();

    return sslcv_backbone_create(HAVE->context, &o, &OUT->made.backbone);
}

static sslcv_status create_alexnet(world *w)
{
    sslcv_backbone_options o;

    OK(sslcv_backbone_options_init(&o, sizeof o, SSLCV_BACKBONE_ALEXNET_HALF));
    o.width = 0.125;
    o.image_size = 64;
    o.num_stages = 6;
    o.seed = 3;
    return sslcv_backbone_create(HAVE->context, &o, &OUT->made.backbone);
}

static void have_file(world *w)
{
    sslcv_state *state;

    have_backbone(w);
    OK(sslcv_backbone_get_state(HAVE->backbone, &state));
    OK(sslcv_state_save(state, in_folder("b.safetensors"), NULL));
    sslcv_state_destroy(state);
}

static void have_frozen(world *w)
{
    have_backbone(w);
    OK(sslcv_backbone_freeze(HAVE->backbone, 2));
}

static sslcv_status describe_backbone(world *w)
{
    sslcv_backbone_info info = {.struct_size = sizeof info};

    return sslcv_backbone_get_info(HAVE->backbone, &info);
}

CALL(load_backbone, sslcv_backbone_load(HAVE->context, in_folder("b.safetensors"), NULL, &OUT->made.backbone))
CALL(clone_backbone, sslcv_backbone_clone(HAVE->backbone, &OUT->made.backbone))
CALL(window_of_backbone, sslcv_backbone_get_state(HAVE->backbone, &OUT->made.state))
CALL(stage, sslcv_backbone_get_stage(HAVE->backbone, 1, NULL, OUT->integers))
CALL(freeze, sslcv_backbone_freeze(HAVE->backbone, 1))
CALL(thaw, sslcv_backbone_freeze(HAVE->backbone, 0))

/* ---- passes ---- */

static void have_backbone_and_tape(world *w)
{
    have_backbone(w);
    have_tape(w);
}

static sslcv_status pass(world *w, int32_t flags, int32_t splits)
{
    const int64_t shape[4] = {4, 3, OOM_SIDE, OOM_SIDE};
    const sslcv_tensor images = have_values(w, 4, shape);
    sslcv_pass p;

    OK(sslcv_pass_init(&p, sizeof p));
    p.flags = flags;
    p.bn_splits = splits;
    return sslcv_backbone_forward(HAVE->backbone, &images, &p, HAVE->tape);
}

CALL(train_backbone, pass(w, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT | SSLCV_PASS_INPUT_GRADIENT, 1))
CALL(train_splits, pass(w, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT | SSLCV_PASS_SHUFFLE, 2))
CALL(evaluate_backbone, pass(w, 0, 1))
CALL(evaluate_map, pass(w, SSLCV_PASS_MAP, 1))

/* A tape that has had a pass of another kind, and its plan. */
static void have_used_tape(world *w)
{
    have_backbone_and_tape(w);
    OK(pass(w, 0, 1));
}

static void have_pass(world *w)
{
    have_backbone_and_tape(w);
    OK(train_backbone(w));
}

static void have_gradient(world *w)
{
    static float ones[4 * OOM_FEATURES] = {1.0f, -2.0f, 3.0f};
    const int64_t shape[2] = {4, OOM_FEATURES};
    sslcv_tensor diff;

    have_pass(w);
    OK(sslcv_tensor_init(&diff, SSLCV_F32, ones, 2, shape));
    OK(sslcv_tape_backward(HAVE->tape, &diff));
}

static sslcv_status backward(world *w)
{
    static float ones[4 * OOM_FEATURES] = {1.0f, -2.0f, 3.0f};
    const int64_t shape[2] = {4, OOM_FEATURES};
    sslcv_tensor diff, in;
    sslcv_status status;

    OK(sslcv_tensor_init(&diff, SSLCV_F32, ones, 2, shape));
    status = sslcv_tape_backward(HAVE->tape, &diff);
    if (status != SSLCV_OK) return status;
    OK(sslcv_tape_diff_input(HAVE->tape, &in));
    memcpy(OUT->floats, in.data, sizeof(float) * 4 * OOM_PIXELS);
    return SSLCV_OK;
}

static sslcv_status output_of_tape(world *w)
{
    sslcv_tensor tensor;

    return sslcv_tape_output(HAVE->tape, &tensor);
}

static sslcv_status diff_of_tape(world *w)
{
    sslcv_tensor tensor;

    return sslcv_tape_diff_input(HAVE->tape, &tensor);
}

CALL(create_tape, sslcv_tape_create(HAVE->context, &OUT->made.tape))

/* ---- heads ---- */

enum { GRID = 3, CUSTOM_DIM = 8 };

static sslcv_status create_mlp(world *w)
{
    const sslcv_mlp_options o = small_mlp();

    return sslcv_head_create_mlp(HAVE->context, &o, &OUT->made.head);
}

static sslcv_status patch_mlp(world *w, sslcv_head **head)
{
    sslcv_patch_mlp_options o;

    OK(sslcv_patch_mlp_options_init(&o, sizeof o));
    o.in_dim = OOM_FEATURES;
    o.num_patches = GRID * GRID;
    o.patch_dim = o.out_dim = 4;
    o.seed = 2;
    return sslcv_head_create_patch_mlp(HAVE->context, &o, head);
}

static sslcv_status prototypes(world *w, sslcv_head **head)
{
    sslcv_prototypes_options o;

    OK(sslcv_prototypes_options_init(&o, sizeof o));
    o.in_dim = OOM_FEATURES;
    o.out_dim = 6;
    o.seed = 2;
    return sslcv_head_create_prototypes(HAVE->context, &o, head);
}

static sslcv_status pixelcnn(world *w, sslcv_head **head)
{
    sslcv_pixelcnn_options o;

    OK(sslcv_pixelcnn_options_init(&o, sizeof o));
    o.in_dim = OOM_FEATURES;
    o.rows = o.columns = GRID;
    o.num_layers = 2;
    o.directions = 4;
    o.seed = 2;
    return sslcv_head_create_pixelcnn(HAVE->context, &o, head);
}

static sslcv_status cpc_v2(world *w, sslcv_head **head)
{
    sslcv_cpc_v2_options o;

    OK(sslcv_cpc_v2_options_init(&o, sizeof o));
    o.in_dim = OOM_FEATURES;
    o.hidden_dim = 4;
    o.rows = o.columns = GRID;
    o.num_blocks = 2;
    o.seed = 2;
    return sslcv_head_create_cpc_v2(HAVE->context, &o, head);
}

static int32_t copy_forward(void *user, sslcv_state *state, const sslcv_tensor *in, sslcv_tensor *out,
                            const sslcv_pass *pass)
{
    (void)user;
    (void)state;
    (void)pass;
    memcpy(out->data, in->data, sizeof(float) * (size_t)(in->shape[0] * in->shape[1] * in->shape[2] * in->shape[3]));
    return 0;
}

static int32_t copy_backward(void *user, sslcv_state *state, const sslcv_tensor *in, const sslcv_tensor *out,
                             const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *pass)
{
    (void)out;
    (void)in;
    return copy_forward(user, state, diff_out, diff_in, pass);
}

static sslcv_status custom(world *w, sslcv_head **head)
{
    sslcv_head_callbacks c;

    OK(sslcv_head_callbacks_init(&c, sizeof c));
    c.forward = copy_forward;
    c.backward = copy_backward;
    c.in_dim = c.out_dim = CUSTOM_DIM;
    return sslcv_head_create_custom(HAVE->context, &c, head);
}

CALL(create_patch_mlp, patch_mlp(w, &OUT->made.head))
CALL(create_prototypes, prototypes(w, &OUT->made.head))
CALL(create_pixelcnn, pixelcnn(w, &OUT->made.head))
CALL(create_cpc_v2, cpc_v2(w, &OUT->made.head))
CALL(create_custom, custom(w, &OUT->made.head))

static void have_head_and_tape(world *w)
{
    have_head(w);
    have_tape(w);
}

#define HAVE_HEAD(kind)                                                                                                \
    static void have_##kind(world *w)                                                                                  \
    {                                                                                                                  \
        OK(kind(w, &HAVE->head));                                                                                      \
        have_tape(w);                                                                                                  \
    }
HAVE_HEAD(patch_mlp)
HAVE_HEAD(prototypes)
HAVE_HEAD(pixelcnn)
HAVE_HEAD(cpc_v2)
HAVE_HEAD(custom)

static sslcv_status train_head(world *w)
{
    const int64_t shape[4] = {2, 3, GRID * GRID, OOM_FEATURES};
    const sslcv_tensor input = have_values(w, 4, shape);

    return sslcv_head_forward(HAVE->head, &input, NULL, HAVE->tape);
}

static sslcv_status backward_head(world *w)
{
    sslcv_tensor out, in;
    static float values[4096];
    sslcv_status status;
    int64_t i, count = 1;

    OK(sslcv_tape_output(HAVE->tape, &out));
    for (i = 0; i < out.ndim; i++) count *= out.shape[i];
    ck_assert_int_le(count, 4096);
    golden_input(9, count, values);
    out.data = values;
    status = sslcv_tape_backward(HAVE->tape, &out);
    if (status != SSLCV_OK) return status;
    OK(sslcv_tape_diff_input(HAVE->tape, &in));
    memcpy(OUT->floats, in.data, sizeof(float) * 2 * 3 * GRID * GRID * OOM_FEATURES);
    return SSLCV_OK;
}

#define HAVE_PASS(kind)                                                                                                \
    static void have_pass_of_##kind(world *w)                                                                          \
    {                                                                                                                  \
        have_##kind(w);                                                                                                \
        OK(train_head(w));                                                                                             \
    }
HAVE_PASS(head_and_tape)
HAVE_PASS(patch_mlp)
HAVE_PASS(prototypes)
HAVE_PASS(pixelcnn)
HAVE_PASS(cpc_v2)
HAVE_PASS(custom)

static sslcv_status describe_head(world *w)
{
    sslcv_head_info info = {.struct_size = sizeof info};

    return sslcv_head_get_info(HAVE->head, &info);
}

CALL(clone_head, sslcv_head_clone(HAVE->head, &OUT->made.head))
CALL(window_of_head, sslcv_head_get_state(HAVE->head, &OUT->made.state))
CALL(reset_head, sslcv_head_reset(HAVE->head, 77))

/* ---- ONNX ---- */

#ifdef SSLCV__PROTOBUF_C
#define ONNX_FLAGS 0
static sslcv_status save_onnx(world *w)
{
    sslcv_branch branch;

    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.backbone = HAVE->backbone;
    return sslcv_onnx_save(&branch, in_folder("b.onnx"), NULL);
}
#else
#define ONNX_FLAGS ALLOCATES_NOTHING
static sslcv_status save_onnx(world *w)
{
    (void)w;
    return SSLCV_OK; /* the library has been built without */
}
#endif

static const scenario scenarios[] = {
    {"sslcv_backbone_create", NULL, create_backbone, 0, 0},
    {"sslcv_backbone_create", NULL, create_alexnet, 0, 0},
    {"sslcv_backbone_load", have_file, load_backbone, 0, 0},
    {"sslcv_backbone_clone", have_backbone, clone_backbone, 0, 0},
    {"sslcv_backbone_clone", have_frozen, clone_backbone, 0, 0},
    {"sslcv_backbone_get_state", have_backbone, window_of_backbone, 0, 0},
    {"sslcv_backbone_get_info", have_backbone, describe_backbone, ALLOCATES_NOTHING, 0},
    {"sslcv_backbone_get_stage", have_backbone, stage, ALLOCATES_NOTHING, 0},
    {"sslcv_backbone_freeze", have_backbone, freeze, ALLOCATES_NOTHING, 0},
    {"sslcv_backbone_freeze", have_frozen, thaw, 0, 0},
    {"sslcv_backbone_forward", have_backbone_and_tape, train_backbone, KEEPS, 0},
    {"sslcv_backbone_forward", have_backbone_and_tape, train_splits, KEEPS, 0},
    {"sslcv_backbone_forward", have_backbone_and_tape, evaluate_backbone, KEEPS, 0},
    {"sslcv_backbone_forward", have_backbone_and_tape, evaluate_map, KEEPS, 0},
    {"sslcv_backbone_forward", have_used_tape, train_backbone, KEEPS, 0},
    {"sslcv_tape_create", NULL, create_tape, 0, 0},
    {"sslcv_tape_output", have_pass, output_of_tape, ALLOCATES_NOTHING, 0},
    {"sslcv_tape_backward", have_pass, backward, ALLOCATES_NOTHING, 0},
    {"sslcv_tape_diff_input", have_gradient, diff_of_tape, ALLOCATES_NOTHING, 0},
    {"sslcv_head_create_mlp", NULL, create_mlp, 0, 0},
    {"sslcv_head_create_patch_mlp", NULL, create_patch_mlp, 0, 0},
    {"sslcv_head_create_prototypes", NULL, create_prototypes, 0, 0},
    {"sslcv_head_create_pixelcnn", NULL, create_pixelcnn, 0, 0},
    {"sslcv_head_create_cpc_v2", NULL, create_cpc_v2, 0, 0},
    {"sslcv_head_create_custom", NULL, create_custom, 0, 0},
    {"sslcv_head_forward", have_head_and_tape, train_head, KEEPS, 0},
    {"sslcv_head_forward", have_patch_mlp, train_head, KEEPS, 0},
    {"sslcv_head_forward", have_prototypes, train_head, KEEPS, 0},
    {"sslcv_head_forward", have_pixelcnn, train_head, KEEPS, 0},
    {"sslcv_head_forward", have_cpc_v2, train_head, KEEPS, 0},
    {"sslcv_head_forward", have_custom, train_head, KEEPS, 0},
    {"sslcv_tape_backward", have_pass_of_head_and_tape, backward_head, ALLOCATES_NOTHING, 0},
    {"sslcv_tape_backward", have_pass_of_patch_mlp, backward_head, ALLOCATES_NOTHING, 0},
    {"sslcv_tape_backward", have_pass_of_prototypes, backward_head, ALLOCATES_NOTHING, 0},
    {"sslcv_tape_backward", have_pass_of_pixelcnn, backward_head, ALLOCATES_NOTHING, 0},
    {"sslcv_tape_backward", have_pass_of_cpc_v2, backward_head, ALLOCATES_NOTHING, 0},
    {"sslcv_tape_backward", have_pass_of_custom, backward_head, 0, 0},
    {"sslcv_head_clone", have_head, clone_head, 0, 0},
    {"sslcv_head_clone", have_custom, clone_head, 0, 0},
    {"sslcv_head_get_state", have_head, window_of_head, 0, 0},
    {"sslcv_head_get_info", have_head, describe_head, ALLOCATES_NOTHING, 0},
    {"sslcv_head_reset", have_head, reset_head, 0, 0},
    {"sslcv_head_reset", have_pixelcnn, reset_head, 0, 0},
    {"sslcv_onnx_save", have_backbone, save_onnx, ONNX_FLAGS, 0},
};

SCENARIO_SUITE("out_of_memory_networks")
