/* sslcv_probe_watch(), sslcv_classifier_watch(): a hook, made of public calls only, that evaluates after epochs. */
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "eval/embed.h"
#include "eval/probe.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 40, FIGURES = 3 };

/* Embedding options with everything that they point at. */
typedef struct embed_copy {
    sslcv_embed_options options; /* struct_size 0: holds nothing */
    sslcv_branch *branches;
    const sslcv_branch **pointers;
} embed_copy;

typedef struct watch {
    sslcv_context *context;
    sslcv_probe *probe; /* NULL: a classifier's own scores are judged, and there is no train */
    embed_copy train;
    embed_copy test;
    char name[NAME_BYTES + 1];
} watch;

static void free_embed(sslcv_context *context, embed_copy *copy)
{
    int64_t i, k;

    for (i = 0; copy->branches && i < copy->options.num_branches; i++) {
        sslcv_branch *branch = &copy->branches[i];

        for (k = 0; branch->heads && k < branch->num_heads; k++) sslcv__release(branch->heads[k]);
        sslcv__release(branch->backbone);
        sslcv__free(context, (void *)(uintptr_t)branch->heads);
        sslcv__free(context, (void *)(uintptr_t)branch->views);
        sslcv__free(context, (void *)(uintptr_t)branch->stage);
    }
    sslcv__free(context, copy->branches);
    sslcv__free(context, copy->pointers);
    if (copy->options.struct_size != 0) {
        sslcv__release(copy->options.dataset);
        sslcv__release(copy->options.augmenter);
    }
}

/* branch is zeroed. */
static sslcv_status copy_branch(sslcv_context *context, const sslcv_branch *given, sslcv_branch *branch)
{
    sslcv_branch read;
    sslcv_head **heads;
    int64_t *views;
    char *stage;
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv__embed_read_branch(given, context, &read));
    SSLCV__TRY(sslcv__copy_text(context, read.stage, &stage));
    branch->stage = stage;
    SSLCV__TRY(sslcv__alloc_array(context, read.num_views, sizeof *views, (void **)&views));
    memcpy(views, read.views, (size_t)read.num_views * sizeof *views);
    branch->views = views;
    SSLCV__TRY(sslcv__alloc_array(context, read.num_heads, sizeof *heads, (void **)&heads));
    for (i = 0; i < read.num_heads; i++) sslcv__retain(heads[i] = read.heads[i]);
    branch->heads = heads;
    sslcv__retain(branch->backbone = read.backbone);
    read.stage = branch->stage;
    read.views = branch->views;
    read.heads = branch->heads;
    *branch = read;
end:
    return status;
}

static sslcv_status copy_embed(sslcv_context *context, const sslcv_embed_options *given, const char *name,
                               embed_copy *copy)
{
    sslcv_embed_options read;
    sslcv_context *own;
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv__embed_read(given, name, &read, &own));
    SSLCV__TRY(sslcv__check_context(read.dataset, context, "embed.dataset"));
    read.count = given->count; /* 0: to the end, as it will be then */
    copy->options = read;
    sslcv__retain(read.dataset);
    sslcv__retain(read.augmenter);
    SSLCV__TRY(sslcv__alloc_array(context, read.num_branches, sizeof *copy->branches, (void **)&copy->branches));
    SSLCV__TRY(sslcv__alloc_array(context, read.num_branches, sizeof *copy->pointers, (void **)&copy->pointers));
    for (i = 0; i < read.num_branches; i++) {
        SSLCV__TRY(copy_branch(context, read.branches[i], &copy->branches[i]));
        copy->pointers[i] = &copy->branches[i];
    }
    copy->options.branches = copy->pointers;
end:
    return status;
}

static void destroy_watch(void *user)
{
    watch *w = user;
    sslcv_context *context = w->context;

    free_embed(context, &w->train);
    free_embed(context, &w->test);
    sslcv__release(w->probe);
    sslcv__free(context, w);
    sslcv__release(context);
}

static sslcv_status publish(const watch *w, sslcv_trainer *trainer, const sslcv_metrics *metrics)
{
    static const char *const names[FIGURES] = {"top1", "top5", "mean_per_class"};
    const double values[FIGURES] = {metrics->top1, metrics->top5, metrics->mean_per_class};
    char text[NAME_BYTES + 20];
    int i;
    sslcv_status status = SSLCV_OK;

    for (i = 0; i < FIGURES && status == SSLCV_OK; i++) {
        snprintf(text, sizeof text, "%s.%s", w->name, names[i]);
        status = sslcv_trainer_set_metric(trainer, text, values[i]);
    }
    return status;
}

static int32_t call_watch(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    const watch *w = user;
    sslcv_metrics metrics = {.struct_size = sizeof metrics};
    sslcv_status status = w->probe ? sslcv_probe_evaluate(w->probe, &w->train.options, &w->test.options, &metrics)
                                   : sslcv_classifier_evaluate(&w->test.options, &metrics);

    (void)progress;
    if (status == SSLCV_OK) status = publish(w, trainer, &metrics);
    return status != SSLCV_OK;
}

static sslcv_status check_arguments(const sslcv_trainer *trainer, const char *name, int64_t epochs)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__check(trainer, SSLCV__TRAINER, "trainer"));
    if (!name) return sslcv__null("name");
    if (name[0] == 0 || strlen(name) > NAME_BYTES) {
        return sslcv__invalid("name has %zu bytes; must have 1 .. %d", strlen(name), NAME_BYTES);
    }
    if (epochs < 1) return sslcv__invalid("epochs is %lld; must be >= 1", (long long)epochs);
end:
    return status;
}

/* probe and train: both or neither. */
static sslcv_status watch_trainer(sslcv_context *context, sslcv_probe *probe, sslcv_trainer *trainer, const char *name,
                                  const sslcv_embed_options *train, const sslcv_embed_options *test, int64_t epochs)
{
    sslcv_hook hook;
    watch *w = NULL;
    sslcv_status status = sslcv__alloc_array(context, 1, sizeof *w, (void **)&w);

    if (status != SSLCV_OK) return status;
    w->context = context;
    sslcv__retain(context);
    memcpy(w->name, name, strlen(name) + 1);
    if (probe) {
        sslcv__retain(w->probe = probe);
        SSLCV__TRY(copy_embed(context, train, "train", &w->train));
    }
    SSLCV__TRY(copy_embed(context, test, "test", &w->test));
    SSLCV__TRY(sslcv_hook_init(&hook, sizeof hook));
    hook.user = w;
    hook.call = call_watch;
    hook.destroy = destroy_watch;
    hook.events = SSLCV_EVENT_EPOCH_END;
    hook.every = epochs;
    SSLCV__TRY(sslcv_trainer_add_hook(trainer, &hook));
end:
    if (status != SSLCV_OK) destroy_watch(w);
    return status;
}

sslcv_status sslcv_probe_watch(sslcv_probe *probe, sslcv_trainer *trainer, const char *name,
                               const sslcv_embed_options *train, const sslcv_embed_options *test, int64_t epochs)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__check(probe, SSLCV__PROBE, "probe"));
    SSLCV__TRY(check_arguments(trainer, name, epochs));
    SSLCV__TRY(sslcv__check_context(trainer, probe->object.context, "trainer"));
    SSLCV__TRY(watch_trainer(probe->object.context, probe, trainer, name, train, test, epochs));
end:
    return status;
}

sslcv_status sslcv_classifier_watch(sslcv_trainer *trainer, const char *name, const sslcv_embed_options *test,
                                    int64_t epochs)
{
    sslcv_status status;

    SSLCV__TRY(check_arguments(trainer, name, epochs));
    SSLCV__TRY(watch_trainer(((const sslcv__object *)(const void *)trainer)->context, NULL, trainer, name, NULL, test,
                             epochs));
end:
    return status;
}
