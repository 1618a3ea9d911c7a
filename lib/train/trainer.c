#include "train/trainer.h"

#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "model/backbone.h"

#include <math.h>
#include <string.h>

static const sslcv_trainer_options defaults = {.struct_size = sizeof(sslcv_trainer_options),
                                               .batch_size = 256,
                                               .epochs = 200,
                                               .prefetch = 2,
                                               .checkpoint_epochs = 1,
                                               .sampler = SSLCV_SAMPLER_SHUFFLED,
                                               .drop_last = 1,
                                               .ema_when = SSLCV_EMA_BEFORE_FORWARD,
                                               .generations = 1};
static const sslcv_branch branch_defaults = {.struct_size = sizeof(sslcv_branch),
                                             .source = SSLCV_SOURCE_VIEWS,
                                             .flags = SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT,
                                             .bn_splits = 1,
                                             .grouping = SSLCV_GROUPING_JOINED,
                                             .head_grouping = SSLCV_GROUPING_JOINED};
static const sslcv_hook hook_defaults = {.struct_size = sizeof(sslcv_hook), .events = SSLCV_EVENT_STEP, .every = 1};

enum {
    BRANCH_FLAGS = SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT | SSLCV_PASS_SHUFFLE | SSLCV_PASS_MAP,
    ALL_EVENTS = SSLCV_EVENT_EPOCH_BEGIN | SSLCV_EVENT_STEP | SSLCV_EVENT_EPOCH_END | SSLCV_EVENT_COLLAPSE
};

sslcv_status sslcv_trainer_options_init(sslcv_trainer_options *options, size_t struct_size)
{
    return sslcv__options_init("trainer_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

sslcv_status sslcv_branch_init(sslcv_branch *branch, size_t struct_size)
{
    return sslcv__options_init("branch", branch, struct_size, sizeof branch_defaults, &branch_defaults,
                               sizeof branch_defaults);
}

sslcv_status sslcv_hook_init(sslcv_hook *hook, size_t struct_size)
{
    return sslcv__options_init("hook", hook, struct_size, sizeof hook_defaults, &hook_defaults, sizeof hook_defaults);
}

/* ---- create and destroy ---- */

static sslcv_status check_flag(const char *name, int32_t value)
{
    if (value == 0 || value == 1) return SSLCV_OK;
    return sslcv__invalid("%s is %d; must be 0 or 1", name, value);
}

static sslcv_status check_range(const char *name, int64_t value, int64_t low, int64_t high)
{
    if (value >= low && value <= high) return SSLCV_OK;
    return sslcv__invalid("%s is %lld; must be %lld .. %lld", name, (long long)value, (long long)low, (long long)high);
}

static sslcv_status check_numbers(const sslcv_trainer_options *o)
{
    sslcv_status status;

    SSLCV__TRY(check_range("trainer.batch_size", o->batch_size, 1, INT32_MAX));
    SSLCV__TRY(check_range("trainer.epochs", o->epochs, 1, INT32_MAX));
    SSLCV__TRY(check_range("trainer.prefetch", o->prefetch, 0, 64));
    SSLCV__TRY(check_range("trainer.memory_budget", o->memory_budget, 0, INT64_MAX));
    SSLCV__TRY(check_range("trainer.micro_batch", o->micro_batch, 0, INT32_MAX));
    SSLCV__TRY(check_range("trainer.checkpoint_epochs", o->checkpoint_epochs, 0, INT32_MAX));
    SSLCV__TRY(check_range("trainer.generations", o->generations, 0, 9));
    SSLCV__TRY(check_range("trainer.sampler", o->sampler, SSLCV_SAMPLER_SHUFFLED, SSLCV_SAMPLER_BY_CLASS));
    SSLCV__TRY(check_flag("trainer.drop_last", o->drop_last));
    SSLCV__TRY(check_range("trainer.ema_when", o->ema_when, SSLCV_EMA_BEFORE_FORWARD, SSLCV_EMA_AFTER_STEP));
    SSLCV__TRY(check_flag("trainer.ema_random_init", o->ema_random_init));
    SSLCV__TRY(check_flag("trainer.resume", o->resume));
    if (!isfinite(o->checkpoint_seconds) || o->checkpoint_seconds < 0) {
        status = sslcv__invalid("trainer.checkpoint_seconds is %g; must be >= 0", o->checkpoint_seconds);
    }
    if (o->resume && !o->checkpoint_path) {
        status = sslcv__invalid("trainer.resume is 1; must be 0 without checkpoint_path");
    }
end:
    return status;
}

/* Data set and augmenter, or neither and the host's views. */
static sslcv_status check_data(sslcv_context *context, const sslcv_trainer_options *o)
{
    sslcv_dataset_info info = {sizeof info, 0, 0, 0, 0, 0, 0};
    sslcv_status status = SSLCV_OK;

    if (o->augmenter) {
        SSLCV__TRY(sslcv__check(o->augmenter, SSLCV__AUGMENTER, "trainer.augmenter"));
        SSLCV__TRY(sslcv__check_context(o->augmenter, context, "trainer.augmenter"));
    }
    if (!o->dataset) return check_range("trainer.steps_per_epoch", o->steps_per_epoch, 1, INT32_MAX);
    SSLCV__TRY(sslcv__check(o->dataset, SSLCV__DATASET, "trainer.dataset"));
    SSLCV__TRY(sslcv__check_context(o->dataset, context, "trainer.dataset"));
    if (!o->augmenter) return sslcv__invalid("trainer.augmenter is NULL; must be given with a data set");
    if (o->steps_per_epoch != 0) {
        return sslcv__invalid("trainer.steps_per_epoch is %lld; must be 0 with a data set, which tells it",
                              (long long)o->steps_per_epoch);
    }
    SSLCV__TRY(sslcv_dataset_get_info(o->dataset, &info));
    if (info.count == 0 || (o->drop_last && info.count < o->batch_size)) {
        status = sslcv__fail(SSLCV_ERR_LIMIT, "the data set has %lld samples; must have at least %lld, one batch",
                             (long long)info.count, (long long)(o->drop_last ? o->batch_size : 1));
    }
end:
    return status;
}

static sslcv_status read_schedule(const char *name, const sslcv_schedule *given, sslcv_schedule *copy)
{
    double value;
    sslcv_status status = sslcv_schedule_init(copy, sizeof *copy, SSLCV_SCHEDULE_CONSTANT, 0.0);

    if (status == SSLCV_OK) status = sslcv__options_read(name, given, sizeof *copy, copy, sizeof *copy);
    if (status == SSLCV_OK) status = sslcv_schedule_value(copy, 0, 1, 1, &value);
    return status;
}

/* A share of 1 at every step, whatever the length of the run. */
static sslcv_status read_ema(const sslcv_schedule *given, sslcv_schedule *copy)
{
    const struct {
        const char *name;
        const double *value;
    } fields[] = {{"value", &copy->value},
                  {"end_value", &copy->end_value},
                  {"warmup_start", &copy->warmup_start},
                  {"gamma", &copy->gamma}};
    sslcv_status status = read_schedule("trainer.ema_momentum", given, copy);
    size_t i;

    if (!given) copy->value = 0.999;
    for (i = 0; status == SSLCV_OK && i < sizeof fields / sizeof *fields; i++) {
        if (!(*fields[i].value >= 0.0 && *fields[i].value <= 1.0)) {
            status = sslcv__invalid("trainer.ema_momentum.%s is %g; must be 0 .. 1", fields[i].name, *fields[i].value);
        }
    }
    return status;
}

static void free_criterion(sslcv_context *context, sslcv__criterion *criterion)
{
    int64_t i;

    sslcv__release(criterion->loss);
    for (i = 0; criterion->own && i < criterion->num_inputs; i++) sslcv__free(context, criterion->own[i].data);
    sslcv__free(context, criterion->own);
    sslcv__free(context, criterion->branches);
    sslcv__free(context, criterion->inputs);
    sslcv__free(context, criterion->diffs);
}

static void release(void *self)
{
    sslcv_trainer *trainer = self;
    sslcv_context *context = trainer->object.context;
    int64_t i;

    for (i = 0; i < trainer->num_hooks; i++) {
        if (trainer->hooks[i].destroy) trainer->hooks[i].destroy(trainer->hooks[i].user);
    }
    sslcv__free(context, trainer->hooks);
    sslcv__release(trainer->loader);
    sslcv__trainer_unfix(trainer);
    for (i = 0; i < trainer->num_criteria; i++) free_criterion(context, &trainer->criteria[i]);
    sslcv__free(context, trainer->criteria);
    for (i = 0; i < trainer->num_branches; i++) sslcv__branch_free(context, &trainer->branches[i]);
    sslcv__free(context, trainer->branches);
    for (i = 0; i < trainer->num_metrics; i++) sslcv__free(context, trainer->metrics[i].name);
    sslcv__free(context, trainer->metrics);
    sslcv__free(context, trainer->scratch.data);
    sslcv__free(context, trainer->checkpoint_path);
    sslcv__free(context, trainer->best.metric);
    sslcv__variables_free(&trainer->own);
    sslcv__release(trainer->options.optimizer);
    sslcv__release(trainer->options.augmenter);
    sslcv__release(trainer->options.dataset);
}

/* The options with references of their own; pointers that are copied elsewhere become NULL. */
static void keep_options(sslcv_trainer *trainer, const sslcv_trainer_options *o)
{
    trainer->options = *o;
    trainer->options.learning_rate = NULL;
    trainer->options.weight_decay = o->weight_decay ? &trainer->weight_decay : NULL;
    trainer->options.ema_momentum = NULL;
    trainer->options.checkpoint_path = NULL;
    trainer->options.seed = sslcv__context_seed(trainer->object.context, o->seed);
    sslcv__retain(o->dataset);
    sslcv__retain(o->augmenter);
    sslcv__retain(o->optimizer);
    trainer->ema_step = -1;
    trainer->collapse_epoch = -1;
    trainer->speed.began = -1.0;
}

sslcv_status sslcv_trainer_create(sslcv_context *context, const sslcv_trainer_options *options, sslcv_trainer **out)
{
    sslcv_trainer_options o = defaults;
    sslcv_schedule learning_rate, weight_decay, ema_momentum;
    sslcv_trainer *trainer = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!options) return sslcv__null("options");
    if (!out) return sslcv__null("trainer");
    SSLCV__TRY(sslcv__options_read("trainer_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(check_numbers(&o));
    SSLCV__TRY(sslcv__check(o.optimizer, SSLCV__OPTIMIZER, "trainer.optimizer"));
    SSLCV__TRY(sslcv__check_context(o.optimizer, context, "trainer.optimizer"));
    if (!o.learning_rate) return sslcv__null("trainer.learning_rate");
    SSLCV__TRY(read_schedule("trainer.learning_rate", o.learning_rate, &learning_rate));
    SSLCV__TRY(read_schedule("trainer.weight_decay", o.weight_decay, &weight_decay));
    SSLCV__TRY(read_ema(o.ema_momentum, &ema_momentum));
    SSLCV__TRY(check_data(context, &o));

    SSLCV__TRY(sslcv__object_create(context, SSLCV__TRAINER, sizeof *trainer, release, &trainer));
    sslcv__variables_init(&trainer->own, context);
    trainer->learning_rate = learning_rate;
    trainer->weight_decay = weight_decay;
    trainer->ema_momentum = ema_momentum;
    SSLCV__TRY(sslcv__copy_text(context, o.checkpoint_path, &trainer->checkpoint_path));
    SSLCV__TRY(sslcv__trainer_init_own(trainer));
    keep_options(trainer, &o);
    *out = trainer;
    trainer = NULL;
end:
    sslcv__release(trainer);
    return status;
}

void sslcv_trainer_destroy(sslcv_trainer *trainer)
{
    sslcv__destroy(trainer, SSLCV__TRAINER);
}

/* ---- compose ---- */

static sslcv_status check_open(const sslcv_trainer *trainer)
{
    const sslcv_status status = sslcv__check(trainer, SSLCV__TRAINER, "trainer");

    if (status != SSLCV_OK) return status;
    if (trainer->inside) return sslcv__fail(SSLCV_ERR_STATE, "a hook must not change its trainer");
    if (trainer->fixed) {
        return sslcv__fail(SSLCV_ERR_STATE, "the composition is fixed: a step was made, or the state was asked for");
    }
    return SSLCV_OK;
}

static sslcv_status check_views(const sslcv_trainer *trainer, const sslcv_branch *b)
{
    sslcv_view_info info;
    sslcv_status status = SSLCV_OK;
    int64_t i;

    if (b->source != SSLCV_SOURCE_VIEWS) {
        if (b->source < 0 || b->source >= trainer->num_branches) {
            return sslcv__fail(SSLCV_ERR_NOT_FOUND, "branch.source is %lld; must be SSLCV_SOURCE_VIEWS or 0 .. %lld",
                               (long long)b->source, (long long)trainer->num_branches - 1);
        }
        if (b->num_views != 0 || b->backbone || b->stage || (b->flags & SSLCV_PASS_MAP)) {
            return sslcv__invalid("branch has a source and also views, backbone, stage or SSLCV_PASS_MAP; must have "
                                  "heads only");
        }
        return b->num_heads > 0 ? SSLCV_OK : sslcv__invalid("branch.num_heads is 0; must be >= 1 with a source");
    }
    SSLCV__TRY(check_range("branch.num_views", b->num_views, 1, SSLCV__MAX_BRANCH_VIEWS));
    if (!b->views) return sslcv__null("branch.views");
    info.struct_size = sizeof info;
    for (i = 0; i < b->num_views; i++) {
        SSLCV__TRY(check_range("branch.views", b->views[i], 0, INT32_MAX));
        if (trainer->options.augmenter) {
            SSLCV__TRY(sslcv_augmenter_get_view(trainer->options.augmenter, b->views[i], &info));
        }
    }
end:
    return status;
}

/* Width of the output of a branch's backbone; 0 for pixels. */
static sslcv_status check_backbone(const sslcv_trainer *trainer, const sslcv_branch *b, int64_t *dim)
{
    const char *name;
    sslcv_status status = SSLCV_OK;
    int64_t i;

    *dim = 0;
    if (!b->backbone) {
        if (b->stage || (b->flags & SSLCV_PASS_MAP)) {
            return sslcv__invalid("branch has no backbone but a stage or SSLCV_PASS_MAP; must have neither");
        }
        return b->num_heads > 0 || b->source != SSLCV_SOURCE_VIEWS
                   ? SSLCV_OK
                   : sslcv__invalid("branch has neither backbone nor heads; must have one of them");
    }
    SSLCV__TRY(sslcv__check(b->backbone, SSLCV__BACKBONE, "branch.backbone"));
    SSLCV__TRY(sslcv__check_context(b->backbone, trainer->object.context, "branch.backbone"));
    for (i = 0; i < b->backbone->num_stages; i++) {
        SSLCV__TRY(sslcv_backbone_get_stage(b->backbone, i, &name, dim));
        if (b->stage && strcmp(name, b->stage) == 0) return SSLCV_OK;
    }
    if (b->stage) {
        status =
            sslcv__fail(SSLCV_ERR_NOT_FOUND, "branch.stage is \"%s\"; the backbone has none of that name", b->stage);
    }
end:
    return status;
}

/* Each head must take what the network before it gives; dim 0: not known yet. */
static sslcv_status check_heads(const sslcv_trainer *trainer, const sslcv_branch *b, int64_t dim)
{
    sslcv_head_info info;
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(check_range("branch.num_heads", b->num_heads, 0, 64));
    if (b->num_heads > 0 && !b->heads) return sslcv__null("branch.heads");
    info.struct_size = sizeof info;
    for (i = 0; i < b->num_heads; i++) {
        SSLCV__TRY(sslcv__check(b->heads[i], SSLCV__HEAD, "branch.heads"));
        SSLCV__TRY(sslcv__check_context(b->heads[i], trainer->object.context, "branch.heads"));
        SSLCV__TRY(sslcv_head_get_info(b->heads[i], &info));
        if (dim != 0 && info.in_dim != dim) {
            return sslcv__invalid("branch.heads[%lld] takes %lld values; the network before it gives %lld",
                                  (long long)i, (long long)info.in_dim, (long long)dim);
        }
        dim = info.out_dim;
    }
end:
    return status;
}

/* Width of a branch's output; 0: pixels. */
static void output_dim(const sslcv__branch *branch, int64_t *dim)
{
    const sslcv__link *last = &branch->links[branch->num_links - 1];
    const char *name;
    int64_t i;

    *dim = last->out_dim;
    if (last->head) return;
    for (i = 0; sslcv_backbone_get_stage(last->backbone, i, &name, dim) == SSLCV_OK; i++) {
        if (branch->stage && strcmp(name, branch->stage) == 0) break;
    }
}

static sslcv_status check_branch(const sslcv_trainer *trainer, const sslcv_branch *b)
{
    int64_t dim = 0;
    sslcv_status status;

    if (b->flags & ~BRANCH_FLAGS) {
        return sslcv__invalid("branch.flags is %d; must be a sum of SSLCV_PASS_TRAIN, GRADIENT, SHUFFLE and MAP",
                              b->flags);
    }
    SSLCV__TRY(check_range("branch.grouping", b->grouping, SSLCV_GROUPING_JOINED, SSLCV_GROUPING_BY_VIEW));
    SSLCV__TRY(check_range("branch.head_grouping", b->head_grouping, SSLCV_GROUPING_JOINED, SSLCV_GROUPING_BY_VIEW));
    SSLCV__TRY(check_range("branch.bn_splits", b->bn_splits, 1, INT32_MAX));
    SSLCV__TRY(check_flag("branch.momentum", b->momentum));
    SSLCV__TRY(check_flag("branch.detach", b->detach));
    if (b->detach && b->source == SSLCV_SOURCE_VIEWS) {
        return sslcv__invalid("branch.detach is 1; must be 0 without a source");
    }
    SSLCV__TRY(check_views(trainer, b));
    SSLCV__TRY(check_backbone(trainer, b, &dim));
    if (b->source != SSLCV_SOURCE_VIEWS) output_dim(&trainer->branches[b->source], &dim);
    SSLCV__TRY(check_heads(trainer, b, dim));
end:
    return status;
}

static sslcv_status make_link(sslcv_context *context, int64_t num_views, sslcv_backbone *backbone, sslcv_head *head,
                              sslcv__link *link)
{
    sslcv_head_info info = {.struct_size = sizeof info};
    sslcv_status status = head ? sslcv_head_get_info(head, &info) : SSLCV_OK;
    int64_t i;

    sslcv__retain(backbone);
    link->backbone = backbone;
    sslcv__retain(head);
    link->head = head;
    link->in_dim = info.in_dim;
    link->out_dim = info.out_dim;
    link->pixels = 1;
    if (status == SSLCV_OK) {
        status = sslcv__alloc_array(context, num_views, sizeof *link->passes, (void **)&link->passes);
    }
    for (i = 0; status == SSLCV_OK && i < num_views; i++) {
        status = sslcv__alloc_array(context, num_views, sizeof(int64_t), (void **)&link->passes[i].members);
    }
    return status;
}

static sslcv_status make_branch(const sslcv_trainer *trainer, const sslcv_branch *b, sslcv__branch *branch)
{
    sslcv_context *context = trainer->object.context;
    sslcv_status status;
    int64_t i;

    branch->source = b->source;
    branch->num_views = b->source == SSLCV_SOURCE_VIEWS ? b->num_views : trainer->branches[b->source].num_views;
    branch->flags = b->flags;
    branch->grouping = b->grouping;
    branch->head_grouping = b->head_grouping;
    branch->detach = b->detach;
    branch->bn_splits = b->bn_splits;
    branch->momentum = b->momentum;
    SSLCV__TRY(sslcv__copy_text(context, b->stage, &branch->stage));
    SSLCV__TRY(sslcv__alloc_array(context, branch->num_views, sizeof(int64_t), (void **)&branch->views));
    if (b->source == SSLCV_SOURCE_VIEWS) {
        memcpy(branch->views, b->views, (size_t)branch->num_views * sizeof(int64_t));
    }
    SSLCV__TRY(sslcv__alloc_array(context, b->num_heads + 1, sizeof *branch->links, (void **)&branch->links));
    if (b->backbone) {
        SSLCV__TRY(make_link(context, branch->num_views, b->backbone, NULL, &branch->links[branch->num_links++]));
    }
    for (i = 0; i < b->num_heads; i++) {
        SSLCV__TRY(make_link(context, branch->num_views, NULL, b->heads[i], &branch->links[branch->num_links++]));
    }
end:
    return status;
}

sslcv_status sslcv_trainer_add_branch(sslcv_trainer *trainer, const sslcv_branch *given, int64_t *index)
{
    sslcv_branch b = branch_defaults;
    sslcv__branch branch = {0};
    sslcv_status status;

    SSLCV__TRY(check_open(trainer));
    if (!given) return sslcv__null("branch");
    SSLCV__TRY(sslcv__options_read("branch", given, sizeof branch_defaults, &b, sizeof b));
    SSLCV__TRY(check_branch(trainer, &b));
    SSLCV__TRY(make_branch(trainer, &b, &branch));
    SSLCV__TRY(sslcv__grow_array(trainer->object.context, trainer->num_branches, trainer->num_branches + 1,
                                 sizeof branch, (void **)&trainer->branches));
    trainer->branches[trainer->num_branches] = branch;
    memset(&branch, 0, sizeof branch);
    if (index) *index = trainer->num_branches;
    trainer->num_branches++;
end:
    if (branch.num_views > 0) sslcv__branch_free(trainer->object.context, &branch);
    return status;
}

static sslcv_status check_loss(const sslcv_trainer *trainer, sslcv_loss *loss, const int64_t *branches,
                               int64_t num_branches, double weight)
{
    sslcv_loss_info info;
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(sslcv__check(loss, SSLCV__LOSS, "loss"));
    SSLCV__TRY(sslcv__check_context(loss, trainer->object.context, "loss"));
    info.struct_size = sizeof info;
    SSLCV__TRY(sslcv_loss_get_info(loss, &info));
    if (num_branches < info.min_inputs || num_branches > info.max_inputs) {
        return sslcv__invalid("num_branches is %lld; \"%s\" takes %lld .. %lld", (long long)num_branches, info.kind,
                              (long long)info.min_inputs, (long long)info.max_inputs);
    }
    if (!branches) return sslcv__null("branches");
    for (i = 0; i < num_branches; i++) {
        if (branches[i] < 0 || branches[i] >= trainer->num_branches) {
            return sslcv__fail(SSLCV_ERR_NOT_FOUND, "branches[%lld] is %lld; the trainer has %lld branches",
                               (long long)i, (long long)branches[i], (long long)trainer->num_branches);
        }
    }
    if (!isfinite(weight)) status = sslcv__invalid("weight is %g; must be finite", weight);
end:
    return status;
}

static sslcv_status make_criterion(sslcv_context *context, sslcv_loss *loss, const int64_t *branches,
                                   int64_t num_branches, double weight, sslcv__criterion *criterion)
{
    sslcv_status status;

    sslcv__retain(loss);
    criterion->loss = loss;
    criterion->weight = weight;
    criterion->num_inputs = num_branches;
    SSLCV__TRY(sslcv__alloc_array(context, num_branches, sizeof(int64_t), (void **)&criterion->branches));
    memcpy(criterion->branches, branches, (size_t)num_branches * sizeof(int64_t));
    SSLCV__TRY(sslcv__alloc_array(context, num_branches, sizeof *criterion->inputs, (void **)&criterion->inputs));
    SSLCV__TRY(sslcv__alloc_array(context, num_branches, sizeof *criterion->diffs, (void **)&criterion->diffs));
    SSLCV__TRY(sslcv__alloc_array(context, num_branches, sizeof *criterion->own, (void **)&criterion->own));
end:
    return status;
}

sslcv_status sslcv_trainer_add_loss(sslcv_trainer *trainer, sslcv_loss *loss, const int64_t *branches,
                                    int64_t num_branches, double weight, int64_t *index)
{
    sslcv__criterion criterion = {0};
    sslcv_status status;

    SSLCV__TRY(check_open(trainer));
    SSLCV__TRY(check_loss(trainer, loss, branches, num_branches, weight));
    SSLCV__TRY(make_criterion(trainer->object.context, loss, branches, num_branches, weight, &criterion));
    SSLCV__TRY(sslcv__grow_array(trainer->object.context, trainer->num_criteria, trainer->num_criteria + 1,
                                 sizeof criterion, (void **)&trainer->criteria));
    trainer->criteria[trainer->num_criteria] = criterion;
    memset(&criterion, 0, sizeof criterion);
    if (index) *index = trainer->num_criteria;
    trainer->num_criteria++;
end:
    if (criterion.loss) free_criterion(trainer->object.context, &criterion);
    return status;
}

sslcv_status sslcv_trainer_set_loss(sslcv_trainer *trainer, int64_t index, sslcv_loss *loss)
{
    sslcv__criterion *criterion;
    sslcv_status status;

    SSLCV__TRY(check_open(trainer));
    if (index < 0 || index >= trainer->num_criteria) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "index is %lld; the trainer has %lld losses", (long long)index,
                           (long long)trainer->num_criteria);
    }
    criterion = &trainer->criteria[index];
    SSLCV__TRY(check_loss(trainer, loss, criterion->branches, criterion->num_inputs, criterion->weight));
    sslcv__retain(loss);
    sslcv__release(criterion->loss);
    criterion->loss = loss;
end:
    return status;
}

sslcv_status sslcv_trainer_add_hook(sslcv_trainer *trainer, const sslcv_hook *given)
{
    sslcv_hook hook = hook_defaults;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(trainer, SSLCV__TRAINER, "trainer"));
    if (trainer->inside) return sslcv__fail(SSLCV_ERR_STATE, "a hook must not change its trainer");
    if (!given) return sslcv__null("hook");
    SSLCV__TRY(sslcv__options_read("hook", given, sizeof hook_defaults, &hook, sizeof hook));
    if (!hook.call) return sslcv__null("hook.call");
    SSLCV__TRY(check_range("hook.events", hook.events, 1, ALL_EVENTS));
    SSLCV__TRY(check_range("hook.every", hook.every, 1, INT64_MAX));
    SSLCV__TRY(sslcv__grow_array(trainer->object.context, trainer->num_hooks, trainer->num_hooks + 1, sizeof hook,
                                 (void **)&trainer->hooks));
    trainer->hooks[trainer->num_hooks++] = hook;
end:
    return status;
}
