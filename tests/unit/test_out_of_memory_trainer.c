/* Memory that runs out in the functions of the trainer: composing, steps, runs, looking. */
#include "out_of_memory_support.h"

#define HAVE (&w->have)
#define OUT  (&w->out)

static const int64_t views_01[] = {0, 1}, view_2[] = {2};

/* ---- composing ---- */

static sslcv_status create(world *w, const char *checkpoint, int64_t prefetch, int64_t micro_batch,
                           sslcv_trainer **trainer)
{
    sslcv_trainer_options o;
    sslcv_schedule rate;

    OK(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_COSINE, 0.1));
    OK(sslcv_trainer_options_init(&o, sizeof o));
    o.dataset = HAVE->dataset;
    o.augmenter = HAVE->augmenter;
    o.optimizer = HAVE->optimizer;
    o.learning_rate = &rate;
    o.batch_size = OOM_BATCH;
    o.epochs = 2;
    o.prefetch = prefetch;
    o.micro_batch = micro_batch;
    o.seed = 5;
    o.checkpoint_path = checkpoint;
    o.checkpoint_epochs = 0; /* at the end: a file is there only if that was saved */
    return sslcv_trainer_create(HAVE->context, &o, trainer);
}

static void have_parts(world *w)
{
    sslcv_optimizer_options o;

    have_dataset(w);
    have_augmenter(w);
    have_backbone(w);
    have_head(w);
    OK(sslcv_loss_create_info_nce(HAVE->context, NULL, &HAVE->loss));
    OK(sslcv_optimizer_options_init(&o, sizeof o, SSLCV_OPTIMIZER_SGD));
    OK(sslcv_optimizer_create(HAVE->context, &o, &HAVE->optimizer));
}

static void have_bare(world *w)
{
    have_parts(w);
    OK(create(w, NULL, 0, 0, &HAVE->trainer));
}

static sslcv_status branch(world *w, int32_t momentum, int64_t *index)
{
    sslcv_branch b;

    OK(sslcv_branch_init(&b, sizeof b));
    b.views = views_01;
    b.num_views = 2;
    b.backbone = HAVE->backbone;
    b.heads = &HAVE->head;
    b.num_heads = 1;
    b.stage = "layer1";
    b.momentum = momentum;
    return sslcv_trainer_add_branch(HAVE->trainer, &b, index);
}

static const int64_t first[] = {0}, both[] = {0, 1};

static sslcv_status loss(world *w, const int64_t *branches, int64_t count, int64_t *index)
{
    return sslcv_trainer_add_loss(HAVE->trainer, HAVE->loss, branches, count, 1.0, index);
}

static void have_branch(world *w)
{
    have_bare(w);
    OK(branch(w, 0, NULL));
}

static void have_simclr(world *w)
{
    have_branch(w);
    OK(loss(w, first, 1, NULL));
}

static void have_moco(world *w)
{
    have_branch(w);
    OK(branch(w, 1, NULL));
    OK(loss(w, both, 2, NULL));
}

static void have_micro(world *w)
{
    have_parts(w);
    OK(create(w, NULL, 0, 2, &HAVE->trainer));
    OK(branch(w, 0, NULL));
    OK(loss(w, first, 1, NULL));
}

static void have_threads(world *w)
{
    sslcv_context_destroy(HAVE->context);
    HAVE->context = new_context(&w->memory, 2);
    have_parts(w);
    OK(create(w, NULL, 2, 0, &HAVE->trainer));
    OK(branch(w, 0, NULL));
    OK(loss(w, first, 1, NULL));
}

/* With a file: what other runs have left there is gone. */
static void have_run(world *w)
{
    unlink(in_folder("run.safetensors"));
    unlink(in_folder("run.safetensors.1"));
    have_parts(w);
    OK(create(w, in_folder("run.safetensors"), 0, 0, &HAVE->trainer));
    OK(branch(w, 0, NULL));
    OK(loss(w, first, 1, NULL));
}

static int32_t nothing(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)user;
    (void)trainer;
    (void)progress;
    return 0;
}

static sslcv_status hook(world *w)
{
    sslcv_hook h;

    OK(sslcv_hook_init(&h, sizeof h));
    h.call = nothing;
    return sslcv_trainer_add_hook(HAVE->trainer, &h);
}

CALL(create_trainer, create(w, "somewhere", 0, 0, &OUT->made.trainer))
CALL(add_branch, branch(w, 1, OUT->integers))
CALL(add_loss, loss(w, first, 1, OUT->integers))
CALL(set_loss, sslcv_trainer_set_loss(HAVE->trainer, 0, HAVE->loss))

/* ---- training ---- */

static sslcv_status step(world *w)
{
    sslcv_progress p, before;
    sslcv_status status;

    memset(&p, POISON, sizeof p);
    p.struct_size = sizeof p;
    memcpy(&before, &p, sizeof p);
    status = sslcv_trainer_step(HAVE->trainer, &p);
    if (status == SSLCV_OK)
        OUT->numbers[0] = p.loss;
    else
        ck_assert_mem_eq(&p, &before, sizeof p);
    return status;
}

static sslcv_status step_views(world *w)
{
    const int64_t shape[4] = {OOM_BATCH, 3, OOM_SIDE, OOM_SIDE};
    sslcv_tensor views[2];
    sslcv_view_batch batch;

    views[0] = have_values(w, 4, shape);
    views[1] = views[0];
    OK(sslcv_view_batch_init(&batch, sizeof batch));
    batch.views = views;
    batch.num_views = 2;
    return sslcv_trainer_step_views(HAVE->trainer, &batch, NULL);
}

static void have_step(world *w)
{
    have_moco(w);
    OK(sslcv_trainer_step(HAVE->trainer, NULL));
}

static void have_labelled_run(world *w)
{
    have_simclr(w);
    OK(sslcv_trainer_step(HAVE->trainer, NULL));
}

static sslcv_status set_labels(world *w)
{
    const int64_t labels[OOM_SAMPLES] = {2, 1, 0};

    return sslcv_trainer_set_labels(HAVE->trainer, labels, OOM_SAMPLES);
}

static int32_t publish(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)user;
    return sslcv_trainer_set_metric(trainer, "val", (double)progress->epoch) != SSLCV_OK;
}

static void have_best(world *w)
{
    sslcv_hook h;

    have_simclr(w);
    OK(sslcv_hook_init(&h, sizeof h));
    h.call = publish;
    h.events = SSLCV_EVENT_EPOCH_END;
    OK(sslcv_trainer_add_hook(HAVE->trainer, &h));
    OK(sslcv_trainer_keep_best(HAVE->trainer, "val", 1));
    OK(sslcv_trainer_run(HAVE->trainer, 4));
}

/* To its end, so that it comes to the same wherever it was stopped; the checkpoint is a part of the result. */
static sslcv_status run(world *w)
{
    const sslcv_status status = sslcv_trainer_run(HAVE->trainer, 0);

    if (status == SSLCV_OK) ck_assert_int_eq(access(in_folder("run.safetensors"), R_OK), 0);
    return status;
}

CALL(keep_best, sslcv_trainer_keep_best(HAVE->trainer, "val", 0))
CALL(take_best, sslcv_trainer_take_best(HAVE->trainer, OUT->numbers, OUT->integers))

/* ---- looking ---- */

static sslcv_status get_memory(world *w)
{
    sslcv_memory m, before;
    sslcv_status status;

    memset(&m, POISON, sizeof m);
    m.struct_size = sizeof m;
    memcpy(&before, &m, sizeof m);
    status = sslcv_trainer_get_memory(HAVE->trainer, &m);
    if (status == SSLCV_OK)
        OUT->integers[0] = m.total;
    else
        ck_assert_mem_eq(&m, &before, sizeof m);
    return status;
}

static sslcv_status get_metric(world *w)
{
    const char *name;

    return sslcv_trainer_get_metric(HAVE->trainer, 0, &name, OUT->numbers);
}

CALL(describe, sslcv_trainer_describe(HAVE->trainer, OUT->text, sizeof OUT->text, OUT->integers))
CALL(set_metric, sslcv_trainer_set_metric(HAVE->trainer, "mine", 0.5))
CALL(window, sslcv_trainer_get_state(HAVE->trainer, &OUT->made.state))
CALL(get_backbone, sslcv_trainer_get_backbone(HAVE->trainer, 0, 0, &OUT->made.backbone))
CALL(get_copy, sslcv_trainer_get_backbone(HAVE->trainer, 1, 1, &OUT->made.backbone))
CALL(get_head, sslcv_trainer_get_head(HAVE->trainer, 0, 0, 0, &OUT->made.head))
CALL(get_head_copy, sslcv_trainer_get_head(HAVE->trainer, 1, 0, 1, &OUT->made.head))
CALL(get_loss, sslcv_trainer_get_loss(HAVE->trainer, 0, &OUT->made.loss))

/* ---- watching ---- */

static sslcv_embed_options embed_options(world *w, const sslcv_branch *b, const sslcv_branch **list)
{
    sslcv_embed_options o;

    OK(sslcv_embed_options_init(&o, sizeof o));
    *list = b;
    o.dataset = HAVE->dataset;
    o.augmenter = HAVE->augmenter;
    o.branches = list;
    o.num_branches = 1;
    o.batch_size = OOM_BATCH;
    return o;
}

static sslcv_branch judged(world *w)
{
    sslcv_branch b;

    OK(sslcv_branch_init(&b, sizeof b));
    b.views = view_2;
    b.num_views = 1;
    b.backbone = HAVE->backbone;
    b.heads = &HAVE->head;
    b.num_heads = 1;
    b.flags = 0;
    return b;
}

static void have_probe(world *w)
{
    sslcv_probe_options o;

    have_simclr(w);
    OK(sslcv_probe_options_init(&o, sizeof o, SSLCV_PROBE_KNN));
    o.neighbors = 3;
    OK(sslcv_probe_create(HAVE->context, &o, &HAVE->probe));
}

static void have_scalars(world *w)
{
    have_simclr(w);
    OK(sslcv_scalars_open(HAVE->context, SSLCV_SCALARS_JSON_LINES, in_folder("lines"), &HAVE->scalars));
}

static sslcv_status watch_probe(world *w)
{
    const sslcv_branch b = judged(w), *list;
    const sslcv_embed_options o = embed_options(w, &b, &list);

    return sslcv_probe_watch(HAVE->probe, HAVE->trainer, "knn", &o, &o, 1);
}

static sslcv_status watch_classifier(world *w)
{
    const sslcv_branch b = judged(w), *list;
    const sslcv_embed_options o = embed_options(w, &b, &list);

    return sslcv_classifier_watch(HAVE->trainer, "val", &o, 1);
}

CALL(watch_scalars, sslcv_scalars_watch(HAVE->scalars, HAVE->trainer, 1))

static const scenario scenarios[] = {
    {"sslcv_trainer_create", have_parts, create_trainer, 0, 0},
    {"sslcv_trainer_add_branch", have_bare, add_branch, 0, 0},
    {"sslcv_trainer_add_loss", have_branch, add_loss, 0, 0},
    {"sslcv_trainer_add_hook", have_bare, hook, 0, 0},
    {"sslcv_trainer_set_loss", have_simclr, set_loss, ALLOCATES_NOTHING, 0},
    {"sslcv_trainer_step", have_simclr, step, KEEPS, 100},
    {"sslcv_trainer_step", have_moco, step, KEEPS, 100},
    {"sslcv_trainer_step", have_micro, step, KEEPS, 60},
    {"sslcv_trainer_step", have_threads, step, THREADS, 30},
    {"sslcv_trainer_step", have_step, step, ALLOCATES_NOTHING, 0},
    {"sslcv_trainer_step_views", have_simclr, step_views, KEEPS, 60},
    {"sslcv_trainer_run", have_run, run, KEEPS | GOES_ON, 60},
    {"sslcv_trainer_set_labels", have_simclr, set_labels, 0, 0},
    {"sslcv_trainer_set_labels", have_labelled_run, set_labels, 0, 0},
    {"sslcv_trainer_keep_best", have_simclr, keep_best, 0, 0},
    {"sslcv_trainer_take_best", have_best, take_best, 0, 0},
    {"sslcv_trainer_get_memory", have_moco, get_memory, KEEPS, 60},
    {"sslcv_trainer_get_metric", have_step, get_metric, ALLOCATES_NOTHING, 0},
    {"sslcv_trainer_describe", have_simclr, describe, ALLOCATES_NOTHING, 0},
    {"sslcv_trainer_describe", have_step, describe, ALLOCATES_NOTHING, 0},
    {"sslcv_trainer_set_metric", have_simclr, set_metric, 0, 0},
    {"sslcv_trainer_get_state", have_simclr, window, KEEPS, 0},
    {"sslcv_trainer_get_state", have_moco, window, KEEPS, 60},
    {"sslcv_trainer_get_backbone", have_moco, get_backbone, ALLOCATES_NOTHING, 0},
    {"sslcv_trainer_get_backbone", have_moco, get_copy, KEEPS, 60},
    {"sslcv_trainer_get_head", have_moco, get_head, ALLOCATES_NOTHING, 0},
    {"sslcv_trainer_get_head", have_moco, get_head_copy, KEEPS, 60},
    {"sslcv_trainer_get_loss", have_moco, get_loss, ALLOCATES_NOTHING, 0},
    {"sslcv_probe_watch", have_probe, watch_probe, 0, 0},
    {"sslcv_classifier_watch", have_simclr, watch_classifier, 0, 0},
    {"sslcv_scalars_watch", have_scalars, watch_scalars, 0, 0},
};

SCENARIO_SUITE("out_of_memory_trainer")
