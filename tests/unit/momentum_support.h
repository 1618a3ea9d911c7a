/** Compositions with momentum copies, and the same by hand: public calls, a loop of the host's. */
#ifndef SSLCV__TESTS_MOMENTUM_SUPPORT_H
#define SSLCV__TESTS_MOMENTUM_SUPPORT_H

#include "trainer_support.h"

static inline sslcv_schedule schedule_of(int32_t kind, double value, double end)
{
    sslcv_schedule s;

    OK(sslcv_schedule_init(&s, sizeof s, kind, value));
    s.end_value = end;
    return s;
}

/* A branch of views through the backbone and a head; more of it is set before it is added. */
static inline sslcv_branch given_branch(rig *r, const int64_t *views, int64_t num_views, sslcv_head *const *head)
{
    sslcv_branch b;

    OK(sslcv_branch_init(&b, sizeof b));
    b.views = views;
    b.num_views = num_views;
    b.backbone = r->backbone;
    b.stage = STAGE;
    b.heads = head;
    b.num_heads = 1;
    return b;
}

static inline int64_t append(rig *r, const sslcv_branch *b)
{
    int64_t index;

    OK(sslcv_trainer_add_branch(r->trainer, b, &index));
    return index;
}

static inline void add_pair_loss(rig *r, int64_t queries, int64_t keys)
{
    const int64_t branches[2] = {queries, keys};

    OK(sslcv_trainer_add_loss(r->trainer, r->contrast, branches, 2, 1.0, NULL));
}

static const int64_t query_view[] = {0}, key_view[] = {1};

/* Queries of view 0, keys of view 1 through the copies, which run with these flags. */
static inline void compose_moco(rig *r, int32_t query_flags, int32_t key_flags)
{
    sslcv_branch b = given_branch(r, query_view, 1, &r->projection);

    b.flags = query_flags;
    append(r, &b);
    b.views = key_view;
    b.momentum = 1;
    b.flags = key_flags;
    append(r, &b);
    add_pair_loss(r, 0, 1);
}

static inline void make_moco(rig *r, const rig_options *o)
{
    make_rig(r, o);
    compose_moco(r, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
}

/* Both views each way, view by view: the copies of backbone and projection, and a predictor that has none. */
static inline void make_byol(rig *r, const rig_options *o)
{
    sslcv_head *heads[2], *predictor;
    sslcv_branch b;

    make_rig(r, o);
    predictor = make_head(r->context, DIM, DIM, 2, 15);
    heads[0] = r->projection;
    heads[1] = predictor;
    b = given_branch(r, views_01, 2, heads);
    b.num_heads = 2;
    b.grouping = b.head_grouping = SSLCV_GROUPING_BY_VIEW;
    append(r, &b);
    b.momentum = 1;
    b.num_heads = 1;
    append(r, &b);
    add_pair_loss(r, 0, 1);
    sslcv_head_destroy(predictor);
}

/* ---- the copies ---- */

static inline weights read_copy(rig *r, int32_t roles)
{
    sslcv_backbone *copy;
    sslcv_state *state;
    weights w;

    OK(sslcv_trainer_get_backbone(r->trainer, 0, 1, &copy));
    OK(sslcv_backbone_get_state(copy, &state));
    w = read_state(state, roles);
    sslcv_backbone_destroy(copy);
    return w;
}

static inline weights read_head(sslcv_head *head, int32_t roles)
{
    sslcv_state *state;

    OK(sslcv_head_get_state(head, &state));
    return read_state(state, roles);
}

/* ---- by hand ---- */

typedef struct network {
    sslcv_backbone *backbone;
    sslcv_head *head;
    sslcv_head *predictor;   /* NULL: none */
    sslcv_tape *tapes[2][3]; /* of two views: backbone, head, predictor */
    int32_t bn_splits;
    int32_t reserved;
    float outputs[2 * BATCH * DIM];
} network;

static inline void make_tapes(rig *r, network *n)
{
    int v, k;

    for (v = 0; v < 2; v++) {
        for (k = 0; k < 3; k++) OK(sslcv_tape_create(r->context, &n->tapes[v][k]));
    }
}

static inline void free_network(network *n)
{
    int v, k;

    for (v = 0; v < 2; v++) {
        for (k = 0; k < 3; k++) sslcv_tape_destroy(n->tapes[v][k]);
    }
    sslcv_backbone_destroy(n->backbone);
    sslcv_head_destroy(n->head);
    sslcv_head_destroy(n->predictor);
}

/* References of what a rig has, and a copy of it; or what its trainer made as copies, copied. */
static inline void make_pair(rig *r, network *online, network *target, int from_trainer)
{
    sslcv_backbone *backbone = r->backbone;
    sslcv_head *head = r->projection;

    memset(online, 0, sizeof *online);
    memset(target, 0, sizeof *target);
    OK(sslcv_backbone_clone(r->backbone, &online->backbone));
    OK(sslcv_head_clone(r->projection, &online->head));
    if (from_trainer) {
        OK(sslcv_trainer_get_backbone(r->trainer, 0, 1, &backbone));
        OK(sslcv_trainer_get_head(r->trainer, 0, 0, 1, &head));
    }
    OK(sslcv_backbone_clone(backbone, &target->backbone));
    OK(sslcv_head_clone(head, &target->head));
    if (from_trainer) {
        sslcv_backbone_destroy(backbone);
        sslcv_head_destroy(head);
    }
    online->bn_splits = target->bn_splits = 1;
    make_tapes(r, online);
    make_tapes(r, target);
}

static inline void hand_forward(network *n, int view, const sslcv_tensor *images, int32_t flags)
{
    sslcv_tensor features, rows;
    sslcv_pass pass;

    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = flags;
    pass.bn_splits = n->bn_splits;
    pass.stage = STAGE;
    OK(sslcv_backbone_forward(n->backbone, images, &pass, n->tapes[view][0]));
    OK(sslcv_tape_output(n->tapes[view][0], &features));
    pass.stage = NULL;
    OK(sslcv_head_forward(n->head, &features, &pass, n->tapes[view][1]));
    OK(sslcv_tape_output(n->tapes[view][1], &rows));
    if (n->predictor) {
        OK(sslcv_head_forward(n->predictor, &rows, &pass, n->tapes[view][2]));
        OK(sslcv_tape_output(n->tapes[view][2], &rows));
    }
    memcpy(n->outputs + view * BATCH * DIM, rows.data, BATCH * DIM * sizeof(float));
}

static inline void hand_backward(network *n, int view, float *gradient)
{
    const int64_t shape[2] = {BATCH, DIM};
    sslcv_tensor diff;
    int k;

    OK(sslcv_tensor_init(&diff, SSLCV_F32, gradient + view * BATCH * DIM, 2, shape));
    for (k = n->predictor ? 2 : 1; k >= 0; k--) {
        OK(sslcv_tape_backward(n->tapes[view][k], &diff));
        if (k > 0) OK(sslcv_tape_diff_input(n->tapes[view][k], &diff));
    }
}

static inline double hand_loss(sslcv_loss *loss, int64_t views, network *queries, network *keys, float *gradient)
{
    const int64_t shape[4] = {views, BATCH, 1, DIM};
    sslcv_tensor inputs[2], diffs[2];
    sslcv_loss_call call;

    OK(sslcv_tensor_init(&inputs[0], SSLCV_F32, queries->outputs, 4, shape));
    OK(sslcv_tensor_init(&inputs[1], SSLCV_F32, keys->outputs, 4, shape));
    diffs[0] = diffs[1] = inputs[0];
    diffs[0].data = gradient;
    diffs[1].data = NULL;
    OK(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = inputs;
    call.diff_inputs = diffs;
    call.num_inputs = 2;
    OK(sslcv_loss_compute(loss, &call));
    return call.value;
}

/* target <- momentum * target + (1 - momentum) * online, parameters only. */
static inline void hand_move(const network *online, const network *target, double momentum)
{
    sslcv_state *from, *to;

    OK(sslcv_backbone_get_state(online->backbone, &from));
    OK(sslcv_backbone_get_state(target->backbone, &to));
    OK(sslcv_state_lerp(to, from, momentum, SSLCV_ROLE_PARAMETERS));
    sslcv_state_destroy(from);
    sslcv_state_destroy(to);
    OK(sslcv_head_get_state(online->head, &from));
    OK(sslcv_head_get_state(target->head, &to));
    OK(sslcv_state_lerp(to, from, momentum, SSLCV_ROLE_PARAMETERS));
    sslcv_state_destroy(from);
    sslcv_state_destroy(to);
}

static inline void hand_optimize(sslcv_optimizer *optimizer, const network *online)
{
    sslcv_state *states[3] = {NULL, NULL, NULL};
    int i;

    OK(sslcv_backbone_get_state(online->backbone, &states[0]));
    OK(sslcv_head_get_state(online->head, &states[1]));
    if (online->predictor) OK(sslcv_head_get_state(online->predictor, &states[2]));
    for (i = 0; i < 3; i++) {
        if (states[i]) OK(sslcv_optimizer_add(optimizer, states[i], SSLCV_ROLE_PARAMETERS, NULL));
        sslcv_state_destroy(states[i]);
    }
}

/* The rate that the trainer's schedule gives: step of 4 epochs of 3. */
static inline double scheduled(const sslcv_schedule *schedule, int64_t step)
{
    double value;

    OK(sslcv_schedule_value(schedule, step, 3, 4, &value));
    return value;
}

#endif
