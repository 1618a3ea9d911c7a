/** Calls that compose and train. */
#ifndef SSLCV__FUZZ_CALLS_TRAIN_H
#define SSLCV__FUZZ_CALLS_TRAIN_H

#include "calls.h"

static void add_branch(calls *c)
{
    static const int64_t views[4] = {0, 1, 0, 5};
    const uint64_t how = take(&c->in, 1);
    sslcv_head *heads[2] = {NULL, NULL};
    sslcv_branch branch;
    int64_t index = -77;

    MUST(sslcv_branch_init(&branch, sizeof branch));
    branch.source = how & 1 ? take_below(&c->in, 4) - 1 : SSLCV_SOURCE_VIEWS;
    branch.views = views + (how >> 1 & 1);
    branch.num_views = branch.source >= 0 ? 0 : 1 + (int64_t)(how >> 2 & 1);
    branch.backbone = how & 8 ? pick(c, BACKBONE) : NULL;
    branch.num_heads = (int64_t)(how >> 4 & 1) + (int64_t)(how >> 5 & 1);
    if (branch.num_heads > 0) heads[0] = pick(c, HEAD);
    if (branch.num_heads > 1) heads[1] = pick(c, HEAD);
    branch.heads = heads;
    if (how & 64) branch.flags = (int32_t)take(&c->in, 1);
    branch.momentum = how & 128 ? 1 : 0;
    if (branch.momentum) branch.flags &= ~SSLCV_PASS_GRADIENT;
    branch.detach = branch.source >= 0 && take_below(&c->in, 4) == 0;
    if (!sane(sslcv_trainer_add_branch(pick(c, TRAINER), &branch, &index))) REQUIRE(index == -77);
}

static void add_loss(calls *c)
{
    const int64_t first = take_below(&c->in, 4), second = take_below(&c->in, 4), branches[2] = {first, second};
    const int64_t count = 1 + take_below(&c->in, 2);
    sslcv_trainer *trainer = pick(c, TRAINER);

    sane(sslcv_trainer_add_loss(trainer, pick(c, LOSS), branches, count, values.f32[3], NULL));
}

static void set_loss(calls *c)
{
    sslcv_trainer *trainer = pick(c, TRAINER);
    const int64_t index = take_below(&c->in, 3);

    sane(sslcv_trainer_set_loss(trainer, index, pick(c, LOSS)));
}

/** From inside of a step: what must be refused, what must work; or the trainer's handle is given back. */
static inline int32_t host_hook(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    calls *c = user;
    sslcv_memory held = {.struct_size = sizeof held};
    sslcv_head *head = NULL;

    REQUIRE(c->inside == 0);
    c->inside++;
    REQUIRE(progress->step >= 0);
    REQUIRE(sslcv_trainer_step(trainer, NULL) == SSLCV_ERR_STATE);
    REQUIRE(sslcv_trainer_run(trainer, 1) == SSLCV_ERR_STATE);
    switch (take_below(&c->in, 8)) {
    case 0: sane(sslcv_trainer_set_metric(trainer, "host", 1)); break;
    case 1: sane(sslcv_trainer_get_memory(trainer, &held)); break;
    case 2: sane(sslcv_trainer_set_labels(trainer, whole, take_below(&c->in, 9))); break;
    case 3:
        if (sane(sslcv_trainer_get_head(trainer, 0, 0, 0, &head))) sane(sslcv_head_reset(head, 5));
        sslcv_head_destroy(head);
        break;
    case 4: sane(sslcv_context_cancel(c->slots[CONTEXT][0], 1)); break;
    case 5: sane(sslcv_trainer_take_best(trainer, NULL, NULL)); break;
    default: break;
    }
    c->inside--;
    return answer(c);
}

static void add_hook(calls *c)
{
    sslcv_hook hook;

    MUST(sslcv_hook_init(&hook, sizeof hook));
    hook.user = c;
    hook.call = host_hook;
    hook.destroy = host_gone;
    hook.events = (int32_t)take_below(&c->in, 17);
    if (sane(sslcv_trainer_add_hook(pick(c, TRAINER), &hook))) c->hosts++;
}

static void step(calls *c)
{
    sslcv_progress progress = {.struct_size = sizeof progress};
    sslcv_trainer *trainer = pick(c, TRAINER);

    sane(sslcv_trainer_step(trainer, take_below(&c->in, 2) ? &progress : NULL));
}

static void step_views(calls *c)
{
    const sslcv_tensor first = pick_tensor(c), second = pick_tensor(c), views[2] = {first, second};
    const uint64_t how = take(&c->in, 1);
    const int64_t patches[2] = {1 + (int64_t)(how >> 3 & 1), 1};
    sslcv_view_batch batch;

    MUST(sslcv_view_batch_init(&batch, sizeof batch));
    batch.views = views;
    batch.num_views = (int64_t)(how & 1) + 1;
    batch.patches = how & 2 ? patches : NULL;
    batch.ids = how & 4 ? whole : NULL;
    batch.labels = how & 16 ? whole : NULL;
    batch.targets = how & 32 ? &second : NULL;
    sane(sslcv_trainer_step_views(pick(c, TRAINER), &batch, NULL));
}

static void run(calls *c)
{
    sslcv_trainer *trainer = pick(c, TRAINER);

    sane(sslcv_trainer_run(trainer, take_below(&c->in, 4)));
}

static void set_labels(calls *c)
{
    const int64_t count = take_below(&c->in, 9);
    sslcv_trainer *trainer = pick(c, TRAINER);

    sane(sslcv_trainer_set_labels(trainer, take_below(&c->in, 4) ? whole : NULL, count));
}

static void keep_best(calls *c)
{
    static const char *const names[4] = {"loss", "host", "", NULL};
    const char *name = names[take_below(&c->in, 4)];
    sslcv_trainer *trainer = pick(c, TRAINER);

    sane(sslcv_trainer_keep_best(trainer, name, (int32_t)take_below(&c->in, 3)));
}

static void take_best(calls *c)
{
    double value;
    int64_t epoch;

    sane(sslcv_trainer_take_best(pick(c, TRAINER), &value, &epoch));
}

static void look_at_trainer(calls *c)
{
    sslcv_trainer *trainer = pick(c, TRAINER);
    sslcv_memory held = {.struct_size = sizeof held};
    int64_t needed = 0, written = 0;
    char *text;

    if (sane(sslcv_trainer_get_memory(trainer, &held))) REQUIRE(held.total >= 0);
    if (!sane(sslcv_trainer_describe(trainer, NULL, 0, &needed))) return;
    text = malloc((size_t)needed);
    REQUIRE(text);
    if (sane(sslcv_trainer_describe(trainer, text, needed, &written))) REQUIRE(strlen(text) + 1 == (size_t)needed);
    free(text);
}

static void take_parts(calls *c)
{
    sslcv_trainer *trainer = pick(c, TRAINER);
    const int64_t branch = take_below(&c->in, 4);
    const int32_t momentum = (int32_t)take_below(&c->in, 2);

    switch (take_below(&c->in, 3)) {
    case 0: MAKE(sslcv_backbone, BACKBONE, sslcv_trainer_get_backbone(trainer, branch, momentum, &made)); break;
    case 1: MAKE(sslcv_head, HEAD, sslcv_trainer_get_head(trainer, branch, 0, momentum, &made)); break;
    default: MAKE(sslcv_loss, LOSS, sslcv_trainer_get_loss(trainer, branch, &made)); break;
    }
}

static void metrics(calls *c)
{
    static const char *const names[4] = {"host", "loss", "loss.0", NULL};
    sslcv_trainer *trainer = pick(c, TRAINER);
    const char *name = NULL;
    double value;

    if (sane(sslcv_trainer_get_metric(trainer, take_below(&c->in, 8), &name, &value))) REQUIRE(strlen(name) < 256);
    sane(sslcv_trainer_set_metric(trainer, names[take_below(&c->in, 4)], 2));
}

static void watch(calls *c)
{
    static const int64_t view = 0;
    sslcv_branch branch;
    const sslcv_branch *branches[1] = {&branch};
    sslcv_head *head = pick(c, HEAD);
    sslcv_embed_options options;
    sslcv_probe *probe = pick(c, PROBE);
    sslcv_trainer *trainer = pick(c, TRAINER);

    MUST(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.heads = &head;
    branch.num_heads = 1;
    branch.flags = 0;
    MUST(sslcv_embed_options_init(&options, sizeof options));
    options.dataset = pick(c, DATASET);
    options.augmenter = pick(c, AUGMENTER);
    options.branches = branches;
    options.num_branches = 1;
    if (take_below(&c->in, 2)) {
        sane(sslcv_probe_watch(probe, trainer, "probe", &options, &options, 1));
    } else {
        sane(sslcv_classifier_watch(trainer, "val", &options, 1));
    }
}

#endif
