/**
 * A loss of the host: three callbacks, and tensors that the host adds to the loss's state.
 *
 *     host's handle of the state ----> loss ----> variables <---- state for the callbacks
 *          keeps the loss alive         |  owns                        ^  keeps nothing alive: no cycle
 *                                       +------------------------------+
 *
 * The host's gradients go to working memory and reach the caller's arrays only when all is well. Those of parameters
 * it adds in place, so what was there is kept aside and put back when the call fails.
 */
#include "loss/loss.h"

#include "core/callback.h"
#include "core/checked.h"
#include "core/options.h"
#include "core/tensor.h"
#include "nn/kernels.h"
#include "nn/state.h"

#include <math.h>
#include <string.h>

typedef struct custom {
    sslcv_loss loss;
    sslcv__loss_kind kind;     /* of this loss alone, as hosts choose inputs and needs */
    sslcv_loss_callbacks host; /* zero until the loss is the host's: a half-built one must not call destroy */
    sslcv_state *state;        /* handed to callbacks */
} custom;

/** Working memory of a job, one block. */
typedef struct workspace {
    float *diffs[SSLCV__LOSS_MAX_INPUTS]; /* of inputs that receive a gradient */
    int32_t *had_gradient;                /* of each variable, before the call */
    float *gradients;                     /* of the parameters, one after the other; set where had_gradient */
} workspace;

/* ---- memory ---- */

static int lay_out(const custom *self, const sslcv__loss_job *job, char *base, workspace *work, int64_t *bytes)
{
    const sslcv__variables *set = &self->loss.variables;
    int64_t parameters = 0, i;
    int fits = 1;

    *bytes = 0;
    for (i = 0; i < job->num_inputs && fits; i++) {
        const sslcv__loss_input *in = &job->inputs[i];

        if (!(self->kind.gradient_inputs >> i & 1)) continue;
        fits = sslcv__loss_place(base, bytes, sslcv__loss_rows(in) * in->dim, sizeof(float), &work->diffs[i]);
    }
    for (i = 0; i < set->count && fits; i++) {
        if (set->items[i]->gradient) fits = sslcv__add(parameters, set->items[i]->count, &parameters);
    }
    return fits && sslcv__loss_place(base, bytes, set->count, sizeof(int32_t), &work->had_gradient) &&
           sslcv__loss_place(base, bytes, parameters, sizeof(float), &work->gradients);
}

static sslcv_status memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    workspace work = {.had_gradient = NULL};

    return sslcv__loss_placed(loss, job, lay_out((const custom *)loss, job, NULL, &work, bytes));
}

/* ---- gradients of parameters ---- */

static void keep_gradients(const custom *self, const workspace *work)
{
    const sslcv__variables *set = &self->loss.variables;
    float *kept = work->gradients;
    int64_t i;

    for (i = 0; i < set->count; i++) {
        const sslcv__variable *v = set->items[i];

        work->had_gradient[i] = v->has_gradient;
        if (!v->gradient) continue;
        if (v->has_gradient) memcpy(kept, v->gradient, (size_t)v->stored_bytes);
        kept += v->count;
    }
}

/* count: variables before the call; the host may have added more. */
static void restore_gradients(const custom *self, const workspace *work, int64_t count)
{
    const sslcv__variables *set = &self->loss.variables;
    const float *kept = work->gradients;
    int64_t i;

    for (i = 0; i < set->count; i++) {
        sslcv__variable *v = set->items[i];

        v->has_gradient = i < count ? work->had_gradient[i] : 0;
        if (!v->gradient || i >= count) continue;
        if (v->has_gradient) memcpy(v->gradient, kept, (size_t)v->stored_bytes);
        kept += v->count;
    }
}

/* ---- one call ---- */

/** What the host is shown; its arrays live as long as the call. */
typedef struct stage {
    sslcv_loss_call call;
    sslcv_tensor inputs[SSLCV__LOSS_MAX_INPUTS], diffs[SSLCV__LOSS_MAX_INPUTS], targets;
} stage;

static void set_stage(const sslcv__loss_job *job, const workspace *work, stage *s)
{
    int64_t i;

    s->call = (sslcv_loss_call){.struct_size = sizeof s->call,
                                .inputs = s->inputs,
                                .diff_inputs = job->wants_parameters ? s->diffs : NULL,
                                .num_inputs = job->num_inputs,
                                .ids = job->ids,
                                .labels = job->labels,
                                .targets = job->targets ? &s->targets : NULL,
                                .step = job->step,
                                .epoch = job->epoch,
                                .scale = job->scale,
                                .flags = job->flags};
    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];
        const int64_t shape[4] = {in->views, in->samples, in->positions, in->dim};

        /* A tensor that is read is never written, though its data is not const. */
        sslcv__tensor_set(&s->inputs[i], SSLCV_F32, (void *)(uintptr_t)in->data, 4, shape);
        sslcv__tensor_set(&s->diffs[i], SSLCV_F32, in->diff ? work->diffs[i] : NULL, 4, shape);
        if (in->diff) memset(work->diffs[i], 0, (size_t)(sslcv__loss_rows(in) * in->dim) * sizeof(float));
    }
    if (job->targets) {
        const int64_t shape[2] = {job->samples, job->num_targets};

        sslcv__tensor_set(&s->targets, SSLCV_F32, (void *)(uintptr_t)job->targets, 2, shape);
    }
}

/* NaN from the host goes no further. The value itself is checked for all kinds of losses; here it decides early. */
static sslcv_status check_results(const custom *self, const sslcv__loss_job *job, const workspace *work)
{
    int64_t i;

    if (!isfinite(job->value)) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "the value of a custom loss is %g", job->value);
    }
    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];

        if (in->diff && !sslcv__all_finite(work->diffs[i], sslcv__loss_rows(in) * in->dim)) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "a custom loss left NaN or infinity in diff_inputs[%lld]",
                               (long long)i);
        }
    }
    for (i = 0; i < self->loss.variables.count; i++) {
        const sslcv__variable *v = self->loss.variables.items[i];

        if (v->has_gradient && !sslcv__all_finite(v->gradient, v->count)) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "a custom loss left NaN or infinity in the gradient of %s", v->name);
        }
    }
    return SSLCV_OK;
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const custom *self = (const custom *)loss;
    const int64_t count = loss->variables.count;
    sslcv__callback callback;
    workspace work = {.had_gradient = NULL};
    stage s;
    int64_t bytes;
    int32_t answer;
    sslcv_status status;

    SSLCV__TRY(sslcv__loss_placed(loss, job, lay_out(self, job, job->memory, &work, &bytes)));
    SSLCV__TRY(sslcv__state_follow(self->state));
    keep_gradients(self, &work);
    set_stage(job, &work, &s);
    sslcv__callback_begin(&callback);
    answer = self->host.compute(self->host.user, self->state, &s.call);
    job->value = s.call.value;
    status = sslcv__callback_answer(&callback, "compute of a custom loss", answer);
    if (status == SSLCV_OK) status = check_results(self, job, &work);
    if (status != SSLCV_OK || !job->wants_parameters) restore_gradients(self, &work, count);
end:
    return status;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    workspace work = {.had_gradient = NULL};
    int64_t bytes, i;

    /* A parameter that the host has added meanwhile lies behind the rest: the layout of the gradients is as before. */
    if (!lay_out((const custom *)loss, job, job->memory, &work, &bytes)) return;
    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];

        if (in->diff) memcpy(in->diff, work.diffs[i], (size_t)(sslcv__loss_rows(in) * in->dim) * sizeof(float));
    }
}

static sslcv_status check(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    (void)loss;
    (void)job;
    return SSLCV_OK; /* what it can take, the host knows */
}

static sslcv_status begin_epoch(sslcv_loss *loss, int64_t epoch)
{
    const custom *self = (const custom *)loss;
    sslcv__callback callback;
    int32_t answer;
    sslcv_status status = sslcv__state_follow(self->state);

    if (status != SSLCV_OK) return status;
    sslcv__callback_begin(&callback);
    answer = self->host.begin_epoch(self->host.user, self->state, epoch);
    return sslcv__callback_answer(&callback, "begin_epoch of a custom loss", answer);
}

static void release(sslcv_loss *loss)
{
    custom *self = (custom *)loss;

    if (self->host.destroy) self->host.destroy(self->host.user);
    sslcv__release(self->state);
}

/* ---- creation ---- */

static const sslcv__loss_kind kind = {
    .name = "custom",
    .has_parameters = 1,
    .takes_tensors = 1,
    .check = check,
    .memory_bytes = memory_bytes,
    .score = score,
    .differentiate = differentiate,
    .release = release,
};

static const sslcv_loss_callbacks defaults = {.struct_size = sizeof defaults, .num_inputs = 1, .gradient_inputs = 1};

sslcv_status sslcv_loss_callbacks_init(sslcv_loss_callbacks *callbacks, size_t struct_size)
{
    return sslcv__options_init("loss_callbacks", callbacks, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_callbacks(const sslcv_loss_callbacks *c)
{
    if (!c->compute) return sslcv__null("loss_callbacks.compute");
    if (c->num_inputs < 1 || c->num_inputs > SSLCV__LOSS_MAX_INPUTS) {
        return sslcv__invalid("loss_callbacks.num_inputs is %lld; must be 1 .. %d", (long long)c->num_inputs,
                              SSLCV__LOSS_MAX_INPUTS);
    }
    if (c->gradient_inputs >> c->num_inputs != 0) {
        return sslcv__invalid("loss_callbacks.gradient_inputs is 0x%llx; must have bits of %lld inputs only",
                              (unsigned long long)c->gradient_inputs, (long long)c->num_inputs);
    }
    if ((c->needs_ids != 0 && c->needs_ids != 1) || (c->needs_labels != 0 && c->needs_labels != 1)) {
        const int ids = c->needs_ids != 0 && c->needs_ids != 1;

        return sslcv__invalid("loss_callbacks.%s is %d; must be 0 or 1", ids ? "needs_ids" : "needs_labels",
                              ids ? c->needs_ids : c->needs_labels);
    }
    return SSLCV_OK;
}

static void choose_kind(custom *self, const sslcv_loss_callbacks *c)
{
    self->kind = kind;
    self->kind.min_inputs = self->kind.max_inputs = c->num_inputs;
    self->kind.gradient_inputs = c->gradient_inputs;
    self->kind.needs_ids = c->needs_ids;
    self->kind.needs_labels = c->needs_labels;
    self->kind.begin_epoch = c->begin_epoch ? begin_epoch : NULL;
    self->loss.kind = &self->kind;
}

sslcv_status sslcv_loss_create_custom(sslcv_context *context, const sslcv_loss_callbacks *callbacks, sslcv_loss **out)
{
    sslcv_loss_callbacks c = defaults;
    custom *self = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!callbacks || !out) return sslcv__null(callbacks ? "loss" : "callbacks");
    SSLCV__TRY(sslcv__options_read("loss_callbacks", callbacks, sizeof defaults, &c, sizeof c));
    SSLCV__TRY(check_callbacks(&c));
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *self, &self));
    choose_kind(self, &c);
    SSLCV__TRY(sslcv__state_create(context, NULL, &self->state));
    self->state->grows = &self->loss.variables;
    self->host = c;
    *out = &self->loss;
    self = NULL;
end:
    sslcv__release(self);
    return status;
}
