/*
 * sslcv_embed(): a loader in order, every branch over every batch, columns side by side.
 *
 *                 branch 0                    branch 1
 *     row i    |  view 0: P x D | view 1 ..  |  view 0: P x D ..  |
 *
 * Rows of a map come from the network as (N, D, h, w) and are wanted as (N, P, D): strides say that, nothing is moved
 * before the copy into the caller's rows. In evaluation a row does not depend on its batch, so each view goes through
 * on its own.
 */
#include "eval/embed.h"

#include "core/context.h"
#include "core/memory.h"
#include "core/object.h"
#include "core/options.h"
#include "core/tensor.h"
#include "data/loader.h"
#include "eval/features.h"

#include <math.h>
#include <string.h>

typedef struct embedder {
    sslcv_context *context;
    sslcv_embed_options options;
    sslcv_branch *branches; /* num_branches */
    sslcv_tape ***tapes;    /* num_branches: one for the backbone, then one for each head */
    int64_t width;          /* d, once measured; 0: not yet */
    float *features;        /* (count, width) of the caller */
    int64_t *labels;        /* count; may be NULL */
} embedder;

static const sslcv_embed_options defaults = {.struct_size = sizeof defaults, .batch_size = 256};

sslcv_status sslcv_embed_options_init(sslcv_embed_options *options, size_t struct_size)
{
    return sslcv__options_init("embed_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

/* ---- arguments ---- */

static sslcv_status check_heads(const sslcv_branch *branch, sslcv_context *context)
{
    int64_t i;
    sslcv_status status = SSLCV_OK;

    if (branch->num_heads < 0) {
        return sslcv__invalid("branch.num_heads is %lld; must be >= 0", (long long)branch->num_heads);
    }
    if (branch->num_heads > 0 && !branch->heads) return sslcv__null("branch.heads");
    for (i = 0; i < branch->num_heads; i++) {
        SSLCV__TRY(sslcv__check(branch->heads[i], SSLCV__HEAD, "branch.heads"));
        SSLCV__TRY(sslcv__check_context(branch->heads[i], context, "branch.heads"));
    }
end:
    return status;
}

sslcv_status sslcv__embed_read_branch(const sslcv_branch *given, sslcv_context *context, sslcv_branch *branch)
{
    sslcv_status status;

    if (!given) return sslcv__null("branch");
    *branch = (sslcv_branch){.struct_size = sizeof *branch};
    SSLCV__TRY(sslcv__options_read("branch", given, sizeof *branch, branch, sizeof *branch));
    if (branch->source != SSLCV_SOURCE_VIEWS) {
        return sslcv__invalid("branch.source is %lld; must be SSLCV_SOURCE_VIEWS to embed", (long long)branch->source);
    }
    if (branch->flags & ~(SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT | SSLCV_PASS_SHUFFLE | SSLCV_PASS_MAP)) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "branch.flags is %d; this version knows no such flag", branch->flags);
    }
    branch->flags &= SSLCV_PASS_MAP; /* evaluation, whatever a trainer does with the same branch */
    if (branch->momentum != 0) {
        return sslcv__invalid("branch.momentum is %d; must be 0 to embed, with the copy itself as backbone",
                              branch->momentum);
    }
    if (branch->num_views < 1) {
        return sslcv__invalid("branch.num_views is %lld; must be >= 1", (long long)branch->num_views);
    }
    if (!branch->views) return sslcv__null("branch.views");
    if (!branch->backbone && branch->flags == SSLCV_PASS_MAP) {
        return sslcv__invalid("branch.flags is SSLCV_PASS_MAP without a backbone");
    }
    if (branch->backbone) {
        SSLCV__TRY(sslcv__check(branch->backbone, SSLCV__BACKBONE, "branch.backbone"));
        SSLCV__TRY(sslcv__check_context(branch->backbone, context, "branch.backbone"));
    }
    SSLCV__TRY(check_heads(branch, context));
end:
    return status;
}

static sslcv_status check_range(sslcv_embed_options *o)
{
    sslcv_dataset_info info = {.struct_size = sizeof info};
    const sslcv_status status = sslcv_dataset_get_info(o->dataset, &info);

    if (status != SSLCV_OK) return status;
    if (o->first < 0 || o->count < 0) {
        return sslcv__invalid("embed.first is %lld and embed.count %lld; must be >= 0", (long long)o->first,
                              (long long)o->count);
    }
    if (o->first >= info.count || o->count > info.count - o->first) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND,
                           "embed.first is %lld and embed.count %lld; the data set has %lld samples",
                           (long long)o->first, (long long)o->count, (long long)info.count);
    }
    if (o->count == 0) o->count = info.count - o->first;
    return SSLCV_OK;
}

sslcv_status sslcv__embed_read(const sslcv_embed_options *given, const char *name, sslcv_embed_options *options,
                               sslcv_context **context)
{
    sslcv_branch branch;
    int64_t i;
    sslcv_status status;

    if (!given) return sslcv__null(name);
    *options = defaults;
    SSLCV__TRY(sslcv__options_read("embed_options", given, sizeof defaults, options, sizeof *options));
    SSLCV__TRY(sslcv__check(options->dataset, SSLCV__DATASET, "embed.dataset"));
    *context = ((const sslcv__object *)options->dataset)->context;
    SSLCV__TRY(sslcv__check(options->augmenter, SSLCV__AUGMENTER, "embed.augmenter"));
    SSLCV__TRY(sslcv__check_context(options->augmenter, *context, "embed.augmenter"));
    if (options->num_branches < 1) {
        return sslcv__invalid("embed.num_branches is %lld; must be >= 1", (long long)options->num_branches);
    }
    if (!options->branches) return sslcv__null("embed.branches");
    if (options->batch_size < 1) {
        return sslcv__invalid("embed.batch_size is %lld; must be >= 1", (long long)options->batch_size);
    }
    if (options->mean_positions != 0 && options->mean_positions != 1) {
        return sslcv__invalid("embed.mean_positions is %d; must be 0 or 1", options->mean_positions);
    }
    if (options->reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "embed.reserved is not 0");
    if (options->epoch < 0) return sslcv__invalid("embed.epoch is %lld; must be >= 0", (long long)options->epoch);
    SSLCV__TRY(check_range(options));
    for (i = 0; i < options->num_branches; i++) {
        SSLCV__TRY(sslcv__embed_read_branch(options->branches[i], *context, &branch));
    }
end:
    return status;
}

/* ---- what is made for the call ---- */

static sslcv_status make_tapes(embedder *e)
{
    int64_t i, k;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(e->context, e->options.num_branches, sizeof *e->branches, (void **)&e->branches));
    SSLCV__TRY(sslcv__alloc_array(e->context, e->options.num_branches, sizeof *e->tapes, (void **)&e->tapes));
    for (i = 0; i < e->options.num_branches; i++) {
        SSLCV__TRY(sslcv__embed_read_branch(e->options.branches[i], e->context, &e->branches[i]));
        SSLCV__TRY(
            sslcv__alloc_array(e->context, 1 + e->branches[i].num_heads, sizeof **e->tapes, (void **)&e->tapes[i]));
        for (k = 0; k <= e->branches[i].num_heads; k++) SSLCV__TRY(sslcv_tape_create(e->context, &e->tapes[i][k]));
    }
end:
    return status;
}

static void free_tapes(embedder *e)
{
    int64_t i, k;

    for (i = 0; e->tapes && i < e->options.num_branches; i++) {
        for (k = 0; e->tapes[i] && k <= e->branches[i].num_heads; k++) sslcv_tape_destroy(e->tapes[i][k]);
        sslcv__free(e->context, e->tapes[i]);
    }
    sslcv__free(e->context, e->tapes);
    sslcv__free(e->context, e->branches);
}

/* A loader of samples first .. first + count - 1 that makes only the views of the branches. */
static sslcv_status make_loader(const embedder *e, int64_t count, int64_t batch_size, int64_t prefetch,
                                sslcv_loader **loader)
{
    sslcv_loader_options o;
    int64_t *views = NULL, num_views = 0, i;
    sslcv_status status;

    for (i = 0; i < e->options.num_branches; i++) num_views += e->branches[i].num_views;
    SSLCV__TRY(sslcv__alloc_array(e->context, num_views, sizeof *views, (void **)&views));
    for (i = 0, num_views = 0; i < e->options.num_branches; i++) {
        memcpy(views + num_views, e->branches[i].views, (size_t)e->branches[i].num_views * sizeof *views);
        num_views += e->branches[i].num_views;
    }
    SSLCV__TRY(sslcv_loader_options_init(&o, sizeof o));
    o.dataset = e->options.dataset;
    o.augmenter = e->options.augmenter;
    o.batch_size = batch_size;
    o.prefetch = prefetch;
    o.seed = e->options.seed ? e->options.seed : 1; /* 0 would draw from the context, and change what others draw */
    o.sampler = SSLCV_SAMPLER_IN_ORDER;
    o.drop_last = 0;
    SSLCV__TRY(sslcv_loader_create(e->context, &o, loader));
    SSLCV__TRY(sslcv__loader_select(*loader, views, num_views));
    SSLCV__TRY(sslcv__loader_restrict(*loader, e->options.first, count));
    SSLCV__TRY(sslcv_loader_seek(*loader, e->options.epoch, 0));
end:
    sslcv__free(e->context, views);
    return status;
}

/* ---- networks ---- */

/*
 * A tensor of the axes (1, N, P, D) over what a network or a view gives: (N, D), (N, D, h, w) or (N, C, H, W); with
 * patches N times their number in place of N, and no map.
 */
static sslcv_tensor as_positions(const sslcv_tensor *from, int64_t n, int is_map)
{
    sslcv_tensor to = {.data = from->data, .ndim = 4, .dtype = SSLCV_F32};
    const int64_t each = n > 0 ? sslcv__tensor_count(from) / n : 0;
    const int64_t positions = is_map ? from->shape[2] * from->shape[3] : n > 0 ? from->shape[0] / n : 1;

    to.shape[0] = 1;
    to.shape[1] = n;
    to.shape[2] = positions;
    to.shape[3] = each / positions;
    to.strides[0] = n * each;
    to.strides[1] = each;
    to.strides[2] = is_map ? 1 : to.shape[3]; /* positions of one channel of a map lie side by side */
    to.strides[3] = is_map ? positions : 1;
    return to;
}

/* The commonest mistake, in words of data set and backbone: the backbone knows only of its images. */
static sslcv_status check_channels(const sslcv_branch *branch, int64_t view, const sslcv_tensor *images)
{
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_status status;

    if (!branch->backbone) return SSLCV_OK;
    status = sslcv_backbone_get_info(branch->backbone, &info);
    if (status == SSLCV_OK && images->shape[1] != info.channels) {
        return sslcv__invalid("the data set gives view %lld %lld channels; the backbone takes %lld", (long long)view,
                              (long long)images->shape[1], (long long)info.channels);
    }
    return status;
}

/* One view of n samples through one branch: (1, n, P, D), valid until the next call. */
static sslcv_status run_view(const embedder *e, int64_t index, int64_t n, const sslcv_tensor *images,
                             sslcv_tensor *output)
{
    const sslcv_branch *branch = &e->branches[index];
    const int is_map = branch->flags == SSLCV_PASS_MAP;
    sslcv_tensor current = *images;
    sslcv_pass pass;
    int64_t i;
    sslcv_status status;

    if (is_map && images->shape[0] != n) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "branch.flags is SSLCV_PASS_MAP; maps of patches cannot be embedded");
    }
    SSLCV__TRY(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = branch->flags;
    pass.stage = branch->stage;
    if (branch->backbone) {
        SSLCV__TRY(sslcv_backbone_forward(branch->backbone, &current, &pass, e->tapes[index][0]));
        SSLCV__TRY(sslcv_tape_output(e->tapes[index][0], &current));
    }
    current = as_positions(&current, n, is_map);
    pass.flags = 0;
    pass.stage = NULL;
    for (i = 0; i < branch->num_heads; i++) {
        SSLCV__TRY(sslcv_head_forward(branch->heads[i], &current, &pass, e->tapes[index][1 + i]));
        SSLCV__TRY(sslcv_tape_output(e->tapes[index][1 + i], &current));
    }
    *output = current;
end:
    return status;
}

/* ---- rows ---- */

/* The mean over P of (1, N, P, D) into rows row .. row + N - 1, from column on. */
static void put_means(const embedder *e, int64_t row, const sslcv_tensor *output, int64_t column)
{
    const int64_t *stride = output->strides;
    int64_t n, p, d;

    for (n = 0; n < output->shape[1]; n++) {
        float *dst = e->features + (row + n) * e->width + column;

        for (d = 0; d < output->shape[3]; d++) {
            const float *from = (const float *)output->data + n * stride[1] + d * stride[3];
            double sum = 0.0;

            for (p = 0; p < output->shape[2]; p++) sum += (double)from[p * stride[2]];
            dst[d] = (float)(sum / (double)output->shape[2]);
        }
    }
}

/* All of it, or its mean over P, likewise. */
static void put_columns(const embedder *e, int64_t row, const sslcv_tensor *output, int64_t column)
{
    sslcv_tensor dst = *output;

    if (e->options.mean_positions) {
        put_means(e, row, output, column);
        return;
    }
    dst.data = e->features + row * e->width + column;
    dst.strides[0] = 0;
    dst.strides[1] = e->width;
    dst.strides[2] = dst.shape[3];
    dst.strides[3] = 1;
    sslcv__tensor_copy(output, &dst);
}

static sslcv_status check_rows(const embedder *e, int64_t row, int64_t count)
{
    const float *rows = e->features + row * e->width;
    int64_t i;

    for (i = 0; i < count * e->width; i++) {
        if (!isfinite(rows[i])) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "feature %lld of sample %lld is %g; must be finite",
                               (long long)(i % e->width), (long long)(e->options.first + row + i / e->width),
                               (double)rows[i]);
        }
    }
    return SSLCV_OK;
}

/* Labels; and zeros where another sample stands in for one that cannot be read. */
static void put_labels(const embedder *e, int64_t row, const sslcv_batch *batch, const unsigned char *substituted)
{
    int64_t i, k;

    for (i = 0; i < batch->size; i++, row++) {
        for (k = 0; substituted[i] && k < e->width; k++) e->features[row * e->width + k] = 0;
        if (e->labels) e->labels[row] = substituted[i] ? -1 : batch->labels[i];
    }
}

enum { MEASURE = -1 };

/* All branches over the loader's batch of n, into the rows from row on. MEASURE: only find the width. */
static sslcv_status run_branches(embedder *e, sslcv_loader *loader, int64_t n, int64_t row)
{
    int64_t column = 0, i, v;
    sslcv_status status = SSLCV_OK;

    for (i = 0; i < e->options.num_branches; i++) {
        const sslcv_branch *branch = &e->branches[i];
        int64_t first = 0; /* values of the branch's first view */

        for (v = 0; v < branch->num_views; v++) {
            sslcv_tensor images, output;
            int64_t each;

            SSLCV__TRY(sslcv_loader_get_views(loader, &branch->views[v], 1, &images));
            if (row == MEASURE) SSLCV__TRY(check_channels(branch, branch->views[v], &images));
            SSLCV__TRY(run_view(e, i, n, &images, &output));
            each = output.shape[3] * (e->options.mean_positions ? 1 : output.shape[2]);
            if (v == 0) first = each;
            if (each != first) {
                return sslcv__invalid("view %lld gives %lld features an image, view %lld of the same branch %lld",
                                      (long long)branch->views[v], (long long)each, (long long)branch->views[0],
                                      (long long)first);
            }
            if (row != MEASURE && each <= e->width - column) put_columns(e, row, &output, column);
            column += each;
        }
    }
    if (row != MEASURE && column != e->width) {
        return sslcv__invalid("sample %lld gives %lld features; sample %lld gave %lld: views must bring all images to "
                              "one size",
                              (long long)(e->options.first + row), (long long)column, (long long)e->options.first,
                              (long long)e->width);
    }
    e->width = column;
end:
    return status;
}

/* What one sample gives: every argument that the networks could refuse has then been refused. The loader goes over all
   samples, as the first may be one that cannot be read: the next stands in for it. */
static sslcv_status measure(embedder *e)
{
    sslcv_batch batch = {.struct_size = sizeof batch};
    sslcv_loader *loader = NULL;
    sslcv_status status;

    SSLCV__TRY(make_loader(e, e->options.count, 1, 0, &loader));
    SSLCV__TRY(sslcv_loader_next(loader, &batch));
    SSLCV__TRY(run_branches(e, loader, batch.size, MEASURE));
end:
    sslcv_loader_destroy(loader);
    return status;
}

static sslcv_status embed_all(embedder *e)
{
    const int64_t count = e->options.count, size = e->options.batch_size < count ? e->options.batch_size : count;
    sslcv_loader *loader = NULL;
    int64_t row = 0;
    sslcv_status status;

    SSLCV__TRY(make_loader(e, count, size, size < count ? 2 : 1, &loader));
    while (row < count) {
        sslcv_batch batch = {.struct_size = sizeof batch};

        SSLCV__TRY(sslcv__context_check_cancel(e->context));
        SSLCV__TRY(sslcv_loader_next(loader, &batch));
        SSLCV__TRY(run_branches(e, loader, batch.size, row));
        SSLCV__TRY(check_rows(e, row, batch.size));
        put_labels(e, row, &batch, sslcv__loader_substituted(loader));
        row += batch.size;
    }
end:
    sslcv_loader_destroy(loader);
    return status;
}

sslcv_status sslcv_embed(const sslcv_embed_options *given, sslcv_tensor *features, int64_t *labels)
{
    embedder e = {.labels = labels};
    int asks;
    sslcv_status status = sslcv__embed_read(given, "embed_options", &e.options, &e.context);

    if (status != SSLCV_OK) return status;
    SSLCV__TRY(make_tapes(&e));
    SSLCV__TRY(measure(&e));
    SSLCV__TRY(sslcv__features_answer(features, "features", e.options.count, e.width, &asks));
    if (asks) goto end;
    e.features = features->data;
    SSLCV__TRY(embed_all(&e));
end:
    free_tapes(&e);
    return status;
}
