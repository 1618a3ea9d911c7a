/**
 * CPC's loss: the kind, its parameters, its memory. What it computes, and how: cpc_score.c.
 */
#include "loss/cpc.h"

#include "core/checked.h"
#include "core/compute.h"
#include "core/context.h"
#include "core/options.h"
#include "core/rng.h"
#include "nn/kernels.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TOP1 = 0, MI_BOUND = 1 };
enum { BLOCK_FLOATS = 1 << 20 }; /* 4 MiB of scores */

/* ---- parameters ---- */

static int64_t variables_per_predictor(const sslcv__cpc *self)
{
    return self->o.target_dim > 0 ? 2 : 1;
}

/* Place of the first variable of a direction: numbers come before all. */
static int64_t first_variable(const sslcv__cpc *self, int64_t direction)
{
    const int64_t targets = self->o.target_dim > 0 ? 2 : 0;

    return SSLCV__CPC_NUMBERS + direction * (self->offsets * variables_per_predictor(self) + targets);
}

int64_t sslcv__cpc_weight(const sslcv__cpc *self, int64_t direction, int64_t index)
{
    return first_variable(self, direction) + index * variables_per_predictor(self);
}

static int count_parameters(sslcv__cpc *self)
{
    const sslcv_cpc_options *o = &self->o;
    int64_t targets = 0;
    int fits;

    self->offsets = o->last_offset - o->first_offset + 1;
    self->width = o->target_dim > 0 ? o->target_dim : o->dim;
    fits = sslcv__multiply(self->width, o->context_dim, &self->predictor);
    if (o->target_dim > 0) {
        fits = fits && sslcv__add(self->predictor, o->target_dim, &self->predictor) &&
               sslcv__multiply(o->target_dim, o->dim, &targets) && sslcv__add(targets, o->target_dim, &targets);
    }
    return fits && sslcv__multiply(self->offsets, self->predictor, &self->direction) &&
           sslcv__add(self->direction, targets, &self->direction);
}

static sslcv_status state_bytes(const sslcv_loss *loss, int64_t *bytes)
{
    const sslcv__cpc *self = (const sslcv__cpc *)loss;

    if (sslcv__multiply(self->direction, self->o.directions * (int64_t)sizeof(float), bytes) &&
        sslcv__add(*bytes, self->o.num_negatives > 0 ? (int64_t)sizeof(int64_t) : 0, bytes)) {
        return SSLCV_OK;
    }
    return sslcv__fail(SSLCV_ERR_LIMIT, "cpc has more parameters than fit in memory");
}

/* Uniform in +-1 / sqrt(fan in), as 1 x 1 convolutions of PyTorch. A row of values has a stream of its own. */
static void draw_values(const sslcv__cpc *self, sslcv__variable *variable, int64_t fan_in)
{
    enum { BLOCK = 4096 };
    const uint64_t seed = sslcv__rng_derive(self->o.seed, (uint64_t)self->loss.variables.count, SSLCV__STREAM_WEIGHTS);
    const int64_t blocks = (variable->count + BLOCK - 1) / BLOCK;
    const double bound = 1.0 / sqrt((double)fan_in);
    float *values = variable->value;
    int64_t b;

#pragma omp parallel for schedule(static)
    for (b = 0; b < blocks; b++) {
        const int64_t end = (b + 1) * BLOCK < variable->count ? (b + 1) * BLOCK : variable->count;
        sslcv__rng rng;
        int64_t i;

        sslcv__rng_init(&rng, seed, (uint64_t)b, 0);
        for (i = b * BLOCK; i < end; i++) values[i] = (float)sslcv__rng_range(&rng, -bound, bound);
    }
}

static sslcv_status add_parameter(sslcv__cpc *self, const char *name, const char *suffix, int64_t rows, int64_t columns,
                                  int64_t fan_in)
{
    const int64_t shape[2] = {rows, columns};
    sslcv__variable *variable;
    char whole[96];
    sslcv_status status;

    snprintf(whole, sizeof whole, "%s.%s", name, suffix);
    status =
        sslcv__variables_add(&self->loss.variables, whole, SSLCV_F32, columns > 0 ? SSLCV_ROLE_WEIGHT : SSLCV_ROLE_BIAS,
                             columns > 0 ? 2 : 1, shape, NULL, &variable);
    if (status == SSLCV_OK) draw_values(self, variable, fan_in);
    return status;
}

static sslcv_status add_predictor(sslcv__cpc *self, int64_t direction, int64_t offset)
{
    const sslcv_cpc_options *o = &self->o;
    char name[64];
    sslcv_status status;

    snprintf(name, sizeof name, "predictor.%lld.%lld", (long long)direction, (long long)offset);
    if (o->target_dim == 0) return add_parameter(self, name, "weight", o->context_dim, o->dim, o->dim);
    status = add_parameter(self, name, "weight", o->target_dim, o->context_dim, o->context_dim);
    if (status != SSLCV_OK) return status;
    return add_parameter(self, name, "bias", o->target_dim, 0, o->context_dim);
}

static sslcv_status add_target(sslcv__cpc *self, int64_t direction)
{
    char name[64];
    sslcv_status status;

    snprintf(name, sizeof name, "target.%lld", (long long)direction);
    status = add_parameter(self, name, "weight", self->o.target_dim, self->o.dim, self->o.dim);
    if (status != SSLCV_OK) return status;
    return add_parameter(self, name, "bias", self->o.target_dim, 0, self->o.dim);
}

static sslcv_status add_all(sslcv__cpc *self)
{
    sslcv_status status = SSLCV_OK;
    int64_t d, k;

    for (d = 0; d < self->o.directions; d++) {
        for (k = self->o.first_offset; k <= self->o.last_offset; k++) SSLCV__TRY(add_predictor(self, d, k));
        if (self->o.target_dim > 0) SSLCV__TRY(add_target(self, d));
    }
    if (self->o.num_negatives > 0) {
        status = sslcv__variables_add(&self->loss.variables, "draws", SSLCV_I64, SSLCV_ROLE_BUFFER, 0, NULL, NULL,
                                      &self->draws);
    }
end:
    return status;
}

static sslcv_status open_loss(sslcv_loss *loss)
{
    sslcv__compute frame;
    sslcv_status status = sslcv__compute_begin(loss->object.context, &frame);

    if (status != SSLCV_OK) return status;
    status = add_all((sslcv__cpc *)loss);
    sslcv__compute_end(&frame);
    return status;
}

/* ---- memory ---- */

/* Rows of the largest step: the first offset of an upright or a lying grid. */
static int64_t most_rows(const sslcv__cpc *self)
{
    const int64_t upright = sslcv__cpc_rows(self, 0, self->o.first_offset);
    const int64_t lying = self->o.directions > 1 ? sslcv__cpc_rows(self, 1, self->o.first_offset) : 0;

    return upright > lying ? upright : lying;
}

static int place_scores(const sslcv__cpc *self, char *base, int64_t *bytes, int64_t keys, int64_t rows,
                        sslcv__cpc_memory *work)
{
    int64_t scores;

    if (self->o.num_negatives == 0) {
        work->block = BLOCK_FLOATS / keys;
        if (work->block < 1) work->block = 1;
        if (work->block > rows) work->block = rows;
        return sslcv__multiply(work->block, keys, &scores) &&
               sslcv__loss_place(base, bytes, scores, sizeof(float), &work->scores);
    }
    return sslcv__multiply(rows, 1 + self->o.num_negatives, &scores) &&
           sslcv__loss_place(base, bytes, scores, sizeof(float), &work->scores) &&
           sslcv__loss_place(base, bytes, scores, sizeof(int32_t), &work->drawn) &&
           sslcv__loss_place(base, bytes, keys + 1, sizeof(int64_t), &work->starts) &&
           sslcv__loss_place(base, bytes, scores, sizeof(sslcv__cpc_link), &work->links);
}

/* (rows, columns) of floats. */
static int place_matrix(char *base, int64_t *bytes, int64_t rows, int64_t columns, float **matrix)
{
    int64_t count;

    return sslcv__multiply(rows, columns, &count) && sslcv__loss_place(base, bytes, count, sizeof(float), matrix);
}

static int lay_out(const sslcv__cpc *self, const sslcv__loss_job *job, char *base, sslcv__cpc_memory *work,
                   int64_t *bytes)
{
    const sslcv_cpc_options *o = &self->o;
    int64_t keys, rows;

    *bytes = 0;
    memset(work, 0, sizeof *work);
    return sslcv__multiply(job->samples, o->rows * o->columns, &keys) &&
           sslcv__multiply(job->samples, most_rows(self), &rows) &&
           sslcv__loss_place(base, bytes, rows, sizeof(int32_t), &work->from) &&
           sslcv__loss_place(base, bytes, rows, sizeof(int32_t), &work->to) &&
           sslcv__loss_place(base, bytes, rows, sizeof(double), &work->losses) &&
           sslcv__loss_place(base, bytes, rows, sizeof(int32_t), &work->firsts) &&
           place_matrix(base, bytes, rows, o->context_dim, &work->contexts) &&
           place_matrix(base, bytes, rows, self->width, &work->queries) &&
           place_matrix(base, bytes, rows, self->width, &work->diff_queries) &&
           (o->target_dim == 0 || (place_matrix(base, bytes, keys, o->target_dim, &work->keys) &&
                                   place_matrix(base, bytes, keys, o->target_dim, &work->diff_keys))) &&
           place_matrix(base, bytes, keys, o->dim, &work->diff_encodings) &&
           place_matrix(base, bytes, keys, o->directions * o->context_dim, &work->diff_contexts) &&
           place_matrix(base, bytes, o->directions, self->direction, &work->diff_parameters) &&
           place_scores(self, base, bytes, keys, rows, work);
}

static sslcv_status memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    sslcv__cpc_memory work;

    return sslcv__loss_placed(loss, job, lay_out((const sslcv__cpc *)loss, job, NULL, &work, bytes));
}

/* ---- the kind ---- */

static sslcv_status check_input(const sslcv__loss_job *job, int64_t index, int64_t positions, int64_t dim)
{
    const sslcv__loss_input *in = &job->inputs[index];

    if (in->views != 1) {
        return sslcv__invalid("inputs[%lld] has %lld views; cpc takes 1, as (1, N, P, D)", (long long)index,
                              (long long)in->views);
    }
    if (in->positions != positions) {
        return sslcv__invalid("inputs[%lld] has %lld positions; must be %lld, cpc's rows * columns", (long long)index,
                              (long long)in->positions, (long long)positions);
    }
    if (in->dim != dim) {
        return sslcv__invalid("inputs[%lld] has %lld dimensions; must be %lld, cpc's %s", (long long)index,
                              (long long)in->dim, (long long)dim,
                              index == SSLCV__CPC_ENCODINGS ? "dim" : "directions * context_dim");
    }
    return SSLCV_OK;
}

static sslcv_status check(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__cpc *self = (const sslcv__cpc *)loss;
    const int64_t positions = self->o.rows * self->o.columns;
    sslcv_status status = check_input(job, SSLCV__CPC_ENCODINGS, positions, self->o.dim);

    if (status == SSLCV_OK)
        status = check_input(job, SSLCV__CPC_CONTEXTS, positions, self->o.directions * self->o.context_dim);
    if (status != SSLCV_OK) return status;
    if (job->samples > INT32_MAX / positions) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "cpc of %lld samples of %lld positions: more than 2^31 - 1",
                           (long long)job->samples, (long long)positions);
    }
    return SSLCV_OK;
}

/* Finite inputs have a finite loss, but products of large ones may overflow on the way back. */
static sslcv_status check_gradients(const sslcv__cpc *self, const sslcv__cpc_memory *work, const sslcv__loss_job *job)
{
    const sslcv_cpc_options *o = &self->o;
    const int64_t keys = job->samples * o->rows * o->columns;

    if ((!job->inputs[SSLCV__CPC_ENCODINGS].diff || sslcv__all_finite(work->diff_encodings, keys * o->dim)) &&
        (!job->inputs[SSLCV__CPC_CONTEXTS].diff ||
         sslcv__all_finite(work->diff_contexts, keys * o->directions * o->context_dim)) &&
        (!job->wants_parameters || sslcv__all_finite(work->diff_parameters, o->directions * self->direction))) {
        return SSLCV_OK;
    }
    return sslcv__fail(SSLCV_ERR_NUMERIC, "a gradient of cpc overflows; its inputs or weights are too large");
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const sslcv__cpc *self = (const sslcv__cpc *)loss;
    const sslcv_cpc_options *o = &self->o;
    const int64_t keys = job->samples * o->rows * o->columns;
    const double steps = (double)(self->offsets * o->directions);
    const double share = 1.0 / (o->reduction == SSLCV_REDUCTION_SUM ? (double)o->directions : steps);
    const int differentiates = job->wants_diff || job->wants_parameters;
    sslcv__cpc_totals sums = {0.0, 0, 0};
    sslcv__cpc_memory work;
    int64_t bytes, d;
    sslcv_status status;

    SSLCV__TRY(sslcv__loss_placed(loss, job, lay_out(self, job, job->memory, &work, &bytes)));
    if (differentiates) {
        memset(work.diff_encodings, 0, (size_t)(keys * o->dim) * sizeof(float));
        memset(work.diff_contexts, 0, (size_t)(keys * o->directions * o->context_dim) * sizeof(float));
    }
    for (d = 0; d < o->directions; d++) SSLCV__TRY(sslcv__cpc_score(self, d, share, &work, job, &sums));
    job->value = share * sums.loss;
    job->metrics[TOP1] = (double)sums.first / (double)sums.rows;
    job->metrics[MI_BOUND] = log((double)(o->num_negatives > 0 ? 1 + o->num_negatives : keys)) - sums.loss / steps;
    if (differentiates && isfinite(job->value)) status = check_gradients(self, &work, job);
end:
    return status;
}

/* The gradient of one parameter, to what may be there already. */
static void give_gradient(sslcv__variable *variable, const float *diff)
{
    if (variable->frozen) return;
    if (variable->has_gradient) {
        sslcv__sum(variable->gradient, diff, variable->gradient, variable->count);
    } else {
        memcpy(variable->gradient, diff, (size_t)variable->count * sizeof(float));
    }
    variable->has_gradient = 1;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__cpc *self = (const sslcv__cpc *)loss;
    const sslcv__loss_input *z = &job->inputs[SSLCV__CPC_ENCODINGS], *c = &job->inputs[SSLCV__CPC_CONTEXTS];
    const float *diff;
    sslcv__cpc_memory work;
    int64_t bytes, i;

    if (!lay_out(self, job, job->memory, &work, &bytes)) return;
    if (z->diff) memcpy(z->diff, work.diff_encodings, (size_t)(sslcv__loss_rows(z) * z->dim) * sizeof(float));
    if (c->diff) memcpy(c->diff, work.diff_contexts, (size_t)(sslcv__loss_rows(c) * c->dim) * sizeof(float));
    if (!job->wants_parameters) return;
    diff = work.diff_parameters;
    for (i = SSLCV__CPC_NUMBERS; i < first_variable(self, self->o.directions); i++) {
        give_gradient(loss->variables.items[i], diff);
        diff += loss->variables.items[i]->count;
    }
}

static void remember(sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__cpc *self = (const sslcv__cpc *)loss;

    (void)job;
    if (self->draws) ++*(uint64_t *)self->draws->value;
}

/* ---- creation ---- */

static const sslcv__loss_number numbers[] = {
    [SSLCV__CPC_SCORE_SCALE] = {"score_scale", DBL_MIN, FLT_MAX, "> 0 and no more than 3.4e38"}};
static const char *const metrics[] = {[TOP1] = "top1", [MI_BOUND] = "mi_bound"};

static const sslcv__loss_kind kind = {
    .name = "cpc",
    .numbers = numbers,
    .num_numbers = SSLCV__CPC_NUMBERS,
    .metrics = metrics,
    .num_metrics = 2,
    .min_inputs = 2,
    .max_inputs = 2,
    .gradient_inputs = 1u << SSLCV__CPC_ENCODINGS | 1u << SSLCV__CPC_CONTEXTS,
    .has_parameters = 1,
    .check = check,
    .memory_bytes = memory_bytes,
    .score = score,
    .differentiate = differentiate,
    .state_bytes = state_bytes,
    .open = open_loss,
    .remember = remember,
};

static const sslcv_cpc_options defaults = {.struct_size = sizeof defaults,
                                           .rows = 7,
                                           .columns = 7,
                                           .first_offset = 2,
                                           .last_offset = 6,
                                           .num_negatives = 16,
                                           .score_scale = 1.0,
                                           .directions = 1,
                                           .reduction = SSLCV_REDUCTION_MEAN};

sslcv_status sslcv_cpc_options_init(sslcv_cpc_options *options, size_t struct_size)
{
    return sslcv__options_init("cpc_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_range(const char *name, int64_t value, int64_t least)
{
    if (value >= least && value <= INT32_MAX) return SSLCV_OK;
    return sslcv__invalid("cpc.%s is %lld; must be %lld .. 2^31 - 1", name, (long long)value, (long long)least);
}

static sslcv_status check_grid(const sslcv_cpc_options *o)
{
    const int64_t columns = o->directions == 4 ? o->columns : INT32_MAX;
    sslcv_status status;

    SSLCV__TRY(check_range("rows", o->rows, 1));
    SSLCV__TRY(check_range("columns", o->columns, 1));
    SSLCV__TRY(check_range("first_offset", o->first_offset, 1));
    SSLCV__TRY(check_range("last_offset", o->last_offset, o->first_offset));
    if (o->rows * o->columns > INT32_MAX) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "cpc.rows * columns is %lld; must be 1 .. 2^31 - 1",
                           (long long)(o->rows * o->columns));
    }
    if (o->last_offset >= o->rows || o->last_offset >= columns) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "cpc.last_offset is %lld; must be less than %s %lld",
                           (long long)o->last_offset, o->last_offset >= o->rows ? "rows" : "columns",
                           (long long)(o->last_offset >= o->rows ? o->rows : o->columns));
    }
end:
    return status;
}

static sslcv_status check_options(const sslcv_cpc_options *o)
{
    sslcv_status status;

    if (o->directions != 1 && o->directions != 4) {
        return sslcv__invalid("cpc.directions is %d; must be 1 or 4", o->directions);
    }
    if (o->reduction != SSLCV_REDUCTION_MEAN && o->reduction != SSLCV_REDUCTION_SUM) {
        return sslcv__invalid("cpc.reduction is %d; must be SSLCV_REDUCTION_MEAN or SUM", o->reduction);
    }
    SSLCV__TRY(check_range("dim", o->dim, 1));
    SSLCV__TRY(check_range("context_dim", o->context_dim, 0));
    SSLCV__TRY(check_range("num_negatives", o->num_negatives, 0));
    SSLCV__TRY(check_range("target_dim", o->target_dim, 0));
    SSLCV__TRY(check_grid(o));
end:
    return status;
}

sslcv_status sslcv_loss_create_cpc(sslcv_context *context, const sslcv_cpc_options *options, sslcv_loss **out)
{
    sslcv_cpc_options o = defaults;
    sslcv__cpc *self = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!options || !out) return sslcv__null(options ? "loss" : "options");
    SSLCV__TRY(sslcv__options_read("cpc_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(check_options(&o));
    if (o.context_dim == 0) o.context_dim = o.dim;
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *self, &self));
    self->o = o;
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, SSLCV__CPC_SCORE_SCALE, o.score_scale));
    if (!count_parameters(self)) {
        status = sslcv__fail(SSLCV_ERR_LIMIT, "cpc has more parameters than fit in memory");
        goto end;
    }
    self->o.seed = sslcv__context_seed(context, o.seed);
    *out = &self->loss;
    self = NULL;
end:
    sslcv__release(self);
    return status;
}
