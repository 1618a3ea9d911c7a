/* Memory that runs out in the functions of losses, optimizer and schedule. */
#include "out_of_memory_support.h"

#define HAVE (&w->have)
#define OUT  (&w->out)

enum { VIEWS = 2, ROWS = 6, DIM = 8, GRID = 4, BANK = 10 };

/* ---- creation ---- */

static const double weights[BANK] = {1.0, 2.0, 1.0, 1.0, 1.0, 3.0, 1.0, 1.0, 1.0, 1.0};

/* A loss of each kind, with what it remembers. */
#define LOSS(kind, ...)                                                                                                \
    static sslcv_status kind(world *w, sslcv_loss **loss)                                                              \
    {                                                                                                                  \
        sslcv_##kind##_options o;                                                                                      \
                                                                                                                       \
        OK(sslcv_##kind##_options_init(&o, sizeof o));                                                                 \
        __VA_ARGS__;                                                                                                   \
        return sslcv_loss_create_##kind(HAVE->context, &o, loss);                                                      \
    }                                                                                                                  \
    CALL(create_##kind, kind(w, &OUT->made.loss))                                                                      \
    static void have_##kind(world *w)                                                                                  \
    {                                                                                                                  \
        OK(kind(w, &HAVE->loss));                                                                                      \
    }

LOSS(info_nce, o.queue_size = 16, o.dim = DIM, o.seed = 2)
LOSS(nce_bank, o.num_samples = BANK, o.num_negatives = 4, o.dim = DIM, o.seed = 2, o.row_weights = weights)
LOSS(swapped, o.dim = DIM, o.num_prototypes = 5, o.queue_size = 12, o.queue_start_epoch = 0, o.seed = 2)
LOSS(cluster, o.num_samples = BANK, o.dim = DIM, o.num_prototypes = 3, o.num_sets = 2, o.seed = 2)
LOSS(cpc, o.dim = DIM, o.rows = o.columns = GRID, o.last_offset = 3, o.num_negatives = 3, o.directions = 4, o.seed = 2)
LOSS(dino, o.dim = DIM)
LOSS(cosine, o.squared = 1)
LOSS(barlow_twins, o.off_diagonal = 0.1)
LOSS(vicreg, o.weight_variance = 20.0)
LOSS(cross_entropy, o.label_smoothing = 0.1)
LOSS(binary_cross_entropy, o.reduction = SSLCV_REDUCTION_SUM)

static int32_t sum_up(void *user, sslcv_state *state, sslcv_loss_call *call)
{
    (void)user;
    (void)state;
    call->value = 3.0;
    memcpy(call->diff_inputs[0].data, call->inputs[0].data, sizeof(float) * VIEWS * ROWS * DIM);
    return 0;
}

static sslcv_status custom(world *w, sslcv_loss **loss)
{
    sslcv_loss_callbacks c;

    OK(sslcv_loss_callbacks_init(&c, sizeof c));
    c.compute = sum_up;
    return sslcv_loss_create_custom(HAVE->context, &c, loss);
}

CALL(create_custom, custom(w, &OUT->made.loss))

static void have_custom(world *w)
{
    OK(custom(w, &HAVE->loss));
}

/* ---- calls ---- */

typedef struct shape {
    int64_t views, positions, dim;
} shape;

static sslcv_status compute(world *w, int inputs, const shape *shapes, int64_t value_only)
{
    static float values[2][4096];
    static const int64_t ids[ROWS] = {0, 3, 1, 7, 4, 9}, labels[ROWS] = {0, 1, 2, 3, -1, 1};
    static float target_values[ROWS * DIM];
    sslcv_tensor in[2], diff[2], targets;
    sslcv_loss_info info = {.struct_size = sizeof info};
    float *to = OUT->floats;
    sslcv_status status;
    sslcv_loss_call c;
    int64_t i;

    OK(sslcv_loss_get_info(HAVE->loss, &info));
    OK(sslcv_loss_call_init(&c, sizeof c));
    for (i = 0; i < inputs; i++) {
        const int64_t axes[4] = {shapes[i].views, ROWS, shapes[i].positions, shapes[i].dim};
        const int64_t count = axes[0] * axes[1] * axes[2] * axes[3];

        ck_assert_int_le(count, 4096);
        golden_input(5 + i, count, values[i]);
        OK(sslcv_tensor_init(&in[i], SSLCV_F32, values[i], 4, axes));
        OK(sslcv_tensor_init(&diff[i], SSLCV_F32, info.gradient_inputs >> i & 1 ? to : NULL, 4, axes));
        to += count;
    }
    ck_assert_int_le(to - OUT->floats, (int)(sizeof OUT->floats / sizeof *to));
    c.inputs = in;
    c.diff_inputs = value_only ? NULL : diff;
    c.num_inputs = inputs;
    if (info.needs_ids) c.ids = ids;
    if (strcmp(info.kind, "binary_cross_entropy") == 0) {
        const int64_t axes[2] = {ROWS, DIM};

        for (i = 0; i < ROWS * DIM; i++) target_values[i] = (float)(i % 2);
        OK(sslcv_tensor_init(&targets, SSLCV_F32, target_values, 2, axes));
        c.targets = &targets;
    } else if (info.needs_labels) {
        c.labels = labels;
    }
    c.value = 1e30;
    status = sslcv_loss_compute(HAVE->loss, &c);
    if (status == SSLCV_OK)
        OUT->numbers[0] = c.value;
    else
        ck_assert(c.value == 1e30);
    return status;
}

static const shape two_views[] = {{VIEWS, 1, DIM}, {VIEWS, 1, DIM}}, one_view[] = {{1, 1, DIM}, {1, 1, DIM}};
static const shape grids[] = {{1, GRID *GRID, DIM}, {1, GRID *GRID, 4 * DIM}};

CALL(one_of_two_views, compute(w, 1, two_views, 0))
CALL(two_of_two_views, compute(w, 2, two_views, 0))
CALL(two_of_one_view, compute(w, 2, one_view, 0))
CALL(two_grids, compute(w, 2, grids, 0))
CALL(remember, compute(w, 1, two_views, 1))

/* So many samples are remembered that they can be clustered. */
static void have_memory(world *w)
{
    have_cluster(w);
    OK(remember(w));
    memset(&OUT->numbers, POISON, sizeof OUT->numbers);
}

static void have_clusters(world *w)
{
    have_memory(w);
    OK(sslcv_loss_begin_epoch(HAVE->loss, 0));
}

static sslcv_status describe_loss(world *w)
{
    sslcv_loss_info info = {.struct_size = sizeof info};

    return sslcv_loss_get_info(HAVE->loss, &info);
}

static sslcv_status read_metric(world *w)
{
    const char *name;

    return sslcv_loss_get_metric(HAVE->loss, 0, &name, OUT->numbers);
}

CALL(begin_epoch, sslcv_loss_begin_epoch(HAVE->loss, 0))
CALL(window_of_loss, sslcv_loss_get_state(HAVE->loss, &OUT->made.state))
CALL(set_number, sslcv_loss_set(HAVE->loss, "temperature", 0.3))

/* ---- optimizer ---- */

static sslcv_status create_optimizer(world *w, int32_t kind, sslcv_optimizer **optimizer)
{
    sslcv_optimizer_options o;

    OK(sslcv_optimizer_options_init(&o, sizeof o, kind));
    return sslcv_optimizer_create(HAVE->context, &o, optimizer);
}

static void have_optimizer(world *w, int32_t kind)
{
    have_head(w);
    OK(sslcv_head_get_state(HAVE->head, &w->second));
    OK(create_optimizer(w, kind, &HAVE->optimizer));
}

static void have_sgd(world *w)
{
    have_optimizer(w, SSLCV_OPTIMIZER_SGD);
}

static void have_adam(world *w)
{
    have_optimizer(w, SSLCV_OPTIMIZER_ADAM);
}

static sslcv_status add(world *w)
{
    sslcv_optimizer_group group;

    OK(sslcv_optimizer_group_init(&group, sizeof group));
    group.rate_scale = 2.0;
    return sslcv_optimizer_add(HAVE->optimizer, w->second, SSLCV_ROLE_PARAMETERS, &group);
}

static void have_added(world *w)
{
    float values[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    const int64_t axes[1] = {4};
    sslcv_tensor gradient;
    int64_t index;

    have_adam(w);
    OK(add(w));
    OK(sslcv_tensor_init(&gradient, SSLCV_F32, values, 1, axes));
    OK(sslcv_state_find(w->second, "3.bias", &index));
    OK(sslcv_state_set(w->second, index, SSLCV_STATE_GRADIENT, &gradient));
}

CALL(create_sgd, create_optimizer(w, SSLCV_OPTIMIZER_SGD, &OUT->made.optimizer))
CALL(window_of_optimizer, sslcv_optimizer_get_state(HAVE->optimizer, &OUT->made.state))
CALL(step, sslcv_optimizer_step(HAVE->optimizer, 0.1, -1.0))

static const scenario scenarios[] = {
    {"sslcv_loss_create_info_nce", NULL, create_info_nce, 0, 0},
    {"sslcv_loss_create_nce_bank", NULL, create_nce_bank, 0, 0},
    {"sslcv_loss_create_swapped", NULL, create_swapped, 0, 0},
    {"sslcv_loss_create_cluster", NULL, create_cluster, 0, 0},
    {"sslcv_loss_create_cpc", NULL, create_cpc, 0, 0},
    {"sslcv_loss_create_dino", NULL, create_dino, 0, 0},
    {"sslcv_loss_create_cosine", NULL, create_cosine, 0, 0},
    {"sslcv_loss_create_barlow_twins", NULL, create_barlow_twins, 0, 0},
    {"sslcv_loss_create_vicreg", NULL, create_vicreg, 0, 0},
    {"sslcv_loss_create_cross_entropy", NULL, create_cross_entropy, 0, 0},
    {"sslcv_loss_create_binary_cross_entropy", NULL, create_binary_cross_entropy, 0, 0},
    {"sslcv_loss_create_custom", NULL, create_custom, 0, 0},
    {"sslcv_loss_compute", have_info_nce, two_of_two_views, KEEPS, 0},
    {"sslcv_loss_compute", have_nce_bank, two_of_one_view, KEEPS, 0},
    {"sslcv_loss_compute", have_swapped, one_of_two_views, KEEPS, 0},
    {"sslcv_loss_compute", have_cluster, remember, KEEPS, 0},
    {"sslcv_loss_compute", have_clusters, one_of_two_views, ALLOCATES_NOTHING, 0},
    {"sslcv_loss_compute", have_cpc, two_grids, KEEPS, 0},
    {"sslcv_loss_compute", have_dino, two_of_two_views, KEEPS, 0},
    {"sslcv_loss_compute", have_cosine, two_of_two_views, KEEPS, 0},
    {"sslcv_loss_compute", have_barlow_twins, one_of_two_views, KEEPS, 0},
    {"sslcv_loss_compute", have_vicreg, one_of_two_views, KEEPS, 0},
    {"sslcv_loss_compute", have_cross_entropy, one_of_two_views, KEEPS, 0},
    {"sslcv_loss_compute", have_binary_cross_entropy, one_of_two_views, KEEPS, 0},
    {"sslcv_loss_compute", have_custom, one_of_two_views, KEEPS, 0},
    {"sslcv_loss_begin_epoch", have_memory, begin_epoch, KEEPS, 0},
    {"sslcv_loss_get_info", have_swapped, describe_loss, ALLOCATES_NOTHING, 0},
    {"sslcv_loss_get_metric", have_swapped, read_metric, ALLOCATES_NOTHING, 0},
    {"sslcv_loss_get_state", have_swapped, window_of_loss, KEEPS, 0},
    {"sslcv_loss_get_state", have_nce_bank, window_of_loss, KEEPS, 0},
    {"sslcv_loss_set", have_swapped, set_number, ALLOCATES_NOTHING, 0},
    {"sslcv_optimizer_create", NULL, create_sgd, 0, 0},
    {"sslcv_optimizer_add", have_sgd, add, KEEPS, 0},
    {"sslcv_optimizer_add", have_adam, add, KEEPS, 0},
    {"sslcv_optimizer_get_state", have_added, window_of_optimizer, 0, 0},
    {"sslcv_optimizer_step", have_added, step, ALLOCATES_NOTHING, 0},
};

SCENARIO_SUITE("out_of_memory_losses")
