#include "loss/loss.h"

#include "core/checked.h"
#include "core/compute.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"
#include "nn/kernels.h"
#include "nn/state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const sslcv_loss_call call_defaults = {
    .struct_size = sizeof(sslcv_loss_call), .scale = 1.0, .flags = SSLCV_CALL_REMEMBER};

/* ---- creation ---- */

static void release(void *self)
{
    sslcv_loss *loss = self;

    if (loss->kind && loss->kind->release) loss->kind->release(loss);
    sslcv__variables_free(&loss->variables);
    sslcv__free(loss->object.context, loss->memory);
}

sslcv_status sslcv__loss_create(sslcv_context *context, const sslcv__loss_kind *kind, int64_t bytes, void *out)
{
    sslcv_loss *loss = NULL;
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(sslcv__object_create(context, SSLCV__LOSS, bytes, release, &loss));
    sslcv__variables_init(&loss->variables, context);
    loss->kind = kind;
    loss->epoch = -1;
    for (i = 0; i < kind->num_numbers; i++) {
        sslcv__variable *variable;

        SSLCV__TRY(sslcv__variables_add(&loss->variables, kind->numbers[i].name, SSLCV_F64, SSLCV_ROLE_BUFFER, 0, NULL,
                                        NULL, &variable));
        loss->numbers[i] = variable->value;
    }
    *(sslcv_loss **)out = loss;
    loss = NULL;
end:
    sslcv__release(loss);
    return status;
}

/* Refused by name here rather than by the system's killer of processes later. */
static sslcv_status check_physical(const sslcv_loss *loss, int64_t bytes)
{
    const int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    int64_t physical;

    if (pages <= 0 || page <= 0 || !sslcv__multiply(pages, page, &physical) || bytes <= physical) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_LIMIT, "%s needs %lld MiB for what it remembers; this machine has %lld MiB of memory",
                       loss->kind->name, (long long)(bytes >> 20), (long long)(physical >> 20));
}

sslcv_status sslcv__loss_open(sslcv_loss *loss)
{
    const int64_t before = loss->variables.count;
    int64_t bytes = 0;
    sslcv_status status = SSLCV_OK;

    if (loss->opened || !loss->kind->open) return SSLCV_OK;
    if (loss->kind->state_bytes) SSLCV__TRY(loss->kind->state_bytes(loss, &bytes));
    SSLCV__TRY(check_physical(loss, bytes));
    SSLCV__TRY(loss->kind->open(loss));
    loss->opened = 1;
end:
    if (status != SSLCV_OK) sslcv__variables_cut(&loss->variables, before);
    return status;
}

int sslcv__loss_place(void *base, int64_t *offset, int64_t count, int64_t size, void *array)
{
    int64_t bytes, end;

    if (!sslcv__multiply(count, size, &bytes) || !sslcv__add(*offset, bytes, &end) || !sslcv__add(end, 63, &end)) {
        return 0;
    }
    if (base) *(void **)array = (char *)base + *offset;
    *offset = end / 64 * 64;
    return 1;
}

sslcv_status sslcv__loss_placed(const sslcv_loss *loss, const sslcv__loss_job *job, int fits)
{
    if (fits) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_LIMIT, "%s of %lld rows of %lld does not fit in memory", loss->kind->name,
                       (long long)sslcv__loss_rows(&job->inputs[0]), (long long)job->inputs[0].dim);
}

sslcv_status sslcv__loss_check_positions(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    int64_t i;

    for (i = 0; i < job->num_inputs; i++) {
        if (job->inputs[i].positions != 1) {
            return sslcv__invalid("inputs[%lld] has %lld positions; %s takes 1", (long long)i,
                                  (long long)job->inputs[i].positions, loss->kind->name);
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv__loss_check_pairs(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__loss_input *in = job->inputs;
    const sslcv_status status = sslcv__loss_check_positions(loss, job);

    if (status != SSLCV_OK) return status;
    if (in[1].dim != in[0].dim) {
        return sslcv__invalid("inputs[1] has %lld dimensions, inputs[0] %lld; must be equal", (long long)in[1].dim,
                              (long long)in[0].dim);
    }
    if (in[1].views > in[0].views) {
        return sslcv__invalid("inputs[1] has %lld views; must be 1 .. %lld as inputs[0]", (long long)in[1].views,
                              (long long)in[0].views);
    }
    return SSLCV_OK;
}

void sslcv_loss_destroy(sslcv_loss *loss)
{
    sslcv__destroy(loss, SSLCV__LOSS);
}

void sslcv__loss_close(sslcv_loss *loss)
{
    loss->variables.closed = 1;
}

/* ---- numbers and figures ---- */

static sslcv_status check_number(const sslcv_loss *loss, int64_t index, double value)
{
    const sslcv__loss_number *number = &loss->kind->numbers[index];

    if (value >= number->low && value <= number->high) return SSLCV_OK;
    return sslcv__invalid("%s.%s is %g; must be %s", loss->kind->name, number->name, value, number->allowed);
}

sslcv_status sslcv__loss_set_number(sslcv_loss *loss, int64_t index, double value)
{
    const sslcv_status status = check_number(loss, index, value);

    if (status == SSLCV_OK) *loss->numbers[index] = value;
    return status;
}

sslcv_status sslcv_loss_set(sslcv_loss *loss, const char *field, double value)
{
    const sslcv_status status = sslcv__check(loss, SSLCV__LOSS, "loss");
    int64_t i;

    if (status != SSLCV_OK) return status;
    if (!field) return sslcv__null("field");
    for (i = 0; i < loss->kind->num_numbers; i++) {
        if (strcmp(field, loss->kind->numbers[i].name) == 0) return sslcv__loss_set_number(loss, i, value);
    }
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "%s has no number \"%.64s\"", loss->kind->name, field);
}

sslcv_status sslcv_loss_get_metric(const sslcv_loss *loss, int64_t index, const char **name, double *value)
{
    const sslcv_status status = sslcv__check(loss, SSLCV__LOSS, "loss");

    if (status != SSLCV_OK) return status;
    if (!name || !value) return sslcv__null(name ? "value" : "name");
    if (index < 0) return sslcv__invalid("index is %lld; must be 0 or more", (long long)index);
    if (index >= loss->kind->num_metrics) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "%s has %lld metrics, no number %lld", loss->kind->name,
                           (long long)loss->kind->num_metrics, (long long)index);
    }
    *name = loss->kind->metrics[index];
    *value = loss->metrics[index];
    return SSLCV_OK;
}

sslcv_status sslcv_loss_get_info(const sslcv_loss *loss, sslcv_loss_info *info)
{
    const sslcv_status status = sslcv__check(loss, SSLCV__LOSS, "loss");
    sslcv_loss_info full = {.struct_size = sizeof full};
    int64_t i;

    if (status != SSLCV_OK) return status;
    if (!loss->opened && loss->kind->state_bytes) {
        const sslcv_status counted = loss->kind->state_bytes(loss, &full.bytes);

        if (counted != SSLCV_OK) return counted;
    }
    full.kind = loss->kind->name;
    full.needs_ids = loss->kind->needs_ids;
    full.needs_labels = loss->kind->needs_labels;
    full.min_inputs = loss->kind->min_inputs;
    full.max_inputs = loss->kind->max_inputs;
    full.gradient_inputs = loss->kind->gradient_inputs;
    full.bytes += loss->memory_bytes;
    for (i = 0; i < loss->variables.count; i++) full.bytes += loss->variables.items[i]->stored_bytes;
    return sslcv__struct_fill("loss_info", info, sizeof full, &full, sizeof full);
}

sslcv_status sslcv_loss_get_state(sslcv_loss *loss, sslcv_state **out)
{
    sslcv_state *state = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(loss, SSLCV__LOSS, "loss"));
    if (!out) return sslcv__null("state");
    SSLCV__TRY(sslcv__loss_open(loss));
    SSLCV__TRY(sslcv__state_create(loss->object.context, &loss->object, &state));
    if (loss->kind->takes_tensors) state->grows = &loss->variables;
    SSLCV__TRY(sslcv__state_append(state, "", &loss->variables));
    *out = state;
    state = NULL;
end:
    sslcv__release(state);
    return status;
}

/* ---- a call becomes a job ---- */

sslcv_status sslcv_loss_call_init(sslcv_loss_call *call, size_t struct_size)
{
    return sslcv__options_init("loss_call", call, struct_size, sizeof call_defaults, &call_defaults,
                               sizeof call_defaults);
}

/* (N, D), (V, N, D) or (V, N, P, D). */
static sslcv_status read_shape(const sslcv_tensor *tensor, int64_t index, sslcv__loss_input *input)
{
    const int64_t *shape = tensor->shape;
    const int32_t ndim = tensor->ndim;
    int32_t i;

    if (ndim < 2 || ndim > 4) {
        return sslcv__invalid("inputs[%lld].ndim is %d; must be 2 (N, D), 3 (V, N, D) or 4 (V, N, P, D)",
                              (long long)index, ndim);
    }
    for (i = 0; i < ndim; i++) {
        if (shape[i] < 1) {
            return sslcv__invalid("inputs[%lld].shape[%d] is %lld; must be 1 or more", (long long)index, i,
                                  (long long)shape[i]);
        }
    }
    input->views = ndim > 2 ? shape[0] : 1;
    input->samples = shape[ndim > 2 ? 1 : 0];
    input->positions = ndim > 3 ? shape[2] : 1;
    input->dim = shape[ndim - 1];
    return SSLCV_OK;
}

static sslcv_status read_diff(const sslcv_loss *loss, const sslcv_tensor *diff, const sslcv_tensor *input,
                              int64_t index, sslcv__loss_job *job)
{
    char name[40];
    sslcv_status status;

    if (!diff->data) return SSLCV_OK;
    snprintf(name, sizeof name, "diff_inputs[%lld]", (long long)index);
    if (!(loss->kind->gradient_inputs >> index & 1)) {
        return sslcv__invalid("%s.data is not NULL; this input of %s gets no gradient", name, loss->kind->name);
    }
    status = sslcv__tensor_check_dense(diff, name);
    if (status == SSLCV_OK) status = sslcv__tensor_check_shape(diff, name, input->ndim, input->shape);
    if (status != SSLCV_OK) return status;
    job->inputs[index].diff = diff->data;
    job->wants_diff = 1;
    return SSLCV_OK;
}

static sslcv_status read_inputs(const sslcv_loss *loss, const sslcv_loss_call *call, sslcv__loss_job *job)
{
    int64_t i;

    for (i = 0; i < call->num_inputs; i++) {
        const sslcv_tensor *tensor = &call->inputs[i];
        char name[40];
        sslcv_status status;

        snprintf(name, sizeof name, "inputs[%lld]", (long long)i);
        status = sslcv__tensor_check_dense(tensor, name);
        if (status == SSLCV_OK) status = read_shape(tensor, i, &job->inputs[i]);
        if (status != SSLCV_OK) return status;
        if (job->inputs[i].samples != job->inputs[0].samples) {
            return sslcv__invalid("%s has %lld samples, inputs[0] %lld; must be equal", name,
                                  (long long)job->inputs[i].samples, (long long)job->inputs[0].samples);
        }
        job->inputs[i].data = tensor->data;
        if (call->diff_inputs) status = read_diff(loss, &call->diff_inputs[i], tensor, i, job);
        if (status != SSLCV_OK) return status;
    }
    job->wants_parameters = loss->kind->has_parameters && call->diff_inputs;
    job->num_inputs = call->num_inputs;
    job->samples = job->inputs[0].samples;
    return SSLCV_OK;
}

static sslcv_status read_ids(const sslcv_loss *loss, const sslcv_loss_call *call, sslcv__loss_job *job)
{
    int64_t i;

    if (!call->ids) return sslcv__invalid("call.ids is NULL; %s needs them", loss->kind->name);
    for (i = 0; i < job->samples; i++) {
        if (call->ids[i] < 0) {
            return sslcv__invalid("call.ids[%lld] is %lld; must be 0 or more", (long long)i, (long long)call->ids[i]);
        }
    }
    job->ids = call->ids;
    return SSLCV_OK;
}

static sslcv_status read_labels(const sslcv_loss *loss, const sslcv_loss_call *call, sslcv__loss_job *job)
{
    const sslcv__loss_kind *kind = loss->kind;
    const int64_t shape[2] = {job->samples, -1};
    sslcv_status status;

    if (kind->needs_ids) {
        status = read_ids(loss, call, job);
        if (status != SSLCV_OK) return status;
    }
    if (!kind->needs_labels) return SSLCV_OK;
    if (!call->targets) {
        job->labels = call->labels;
        if (!call->labels) return sslcv__invalid("call.labels and targets are NULL; %s needs one", kind->name);
        return SSLCV_OK;
    }
    status = sslcv__tensor_check_dense(call->targets, "call.targets");
    if (status == SSLCV_OK) status = sslcv__tensor_check_shape(call->targets, "call.targets", 2, shape);
    if (status != SSLCV_OK) return status;
    job->targets = call->targets->data;
    job->num_targets = call->targets->shape[1];
    return SSLCV_OK;
}

static sslcv_status check_num_inputs(const sslcv_loss *loss, int64_t num_inputs)
{
    const sslcv__loss_kind *kind = loss->kind;

    if (num_inputs >= kind->min_inputs && num_inputs <= kind->max_inputs) return SSLCV_OK;
    return sslcv__invalid("call.num_inputs is %lld; %s takes %lld .. %lld", (long long)num_inputs, kind->name,
                          (long long)kind->min_inputs, (long long)kind->max_inputs);
}

static sslcv_status read_call(const sslcv_loss *loss, const sslcv_loss_call *call, sslcv__loss_job *job)
{
    sslcv_loss_call c = call_defaults;
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(sslcv__options_read("loss_call", call, sizeof c, &c, sizeof c));
    if (c.reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "call.reserved is not 0");
    if (c.flags & ~SSLCV_CALL_REMEMBER) return sslcv__invalid("call.flags is %d; must be SSLCV_CALL_* bits", c.flags);
    if (!isfinite(c.scale)) return sslcv__invalid("call.scale is %g; must be finite", c.scale);
    if (c.step < 0 || c.epoch < 0) {
        return sslcv__invalid("call.%s is %lld; must be 0 or more", c.step < 0 ? "step" : "epoch",
                              (long long)(c.step < 0 ? c.step : c.epoch));
    }
    SSLCV__TRY(check_num_inputs(loss, c.num_inputs));
    if (!c.inputs) return sslcv__null("call.inputs");
    job->scale = c.scale;
    job->step = c.step;
    job->epoch = c.epoch;
    job->flags = c.flags;
    SSLCV__TRY(read_inputs(loss, &c, job));
    SSLCV__TRY(read_labels(loss, &c, job));
    SSLCV__TRY(loss->kind->check(loss, job));
    /* A checkpoint may have brought any number. */
    for (i = 0; i < loss->kind->num_numbers; i++) SSLCV__TRY(check_number(loss, i, *loss->numbers[i]));
end:
    return status;
}

static sslcv_status grow_memory(sslcv_loss *loss, const sslcv__loss_job *job)
{
    void *memory;
    int64_t bytes;
    sslcv_status status = loss->kind->memory_bytes(loss, job, &bytes);

    if (status != SSLCV_OK || bytes <= loss->memory_bytes) return status;
    status = sslcv__alloc(loss->object.context, bytes, &memory);
    if (status != SSLCV_OK) return status;
    sslcv__free(loss->object.context, loss->memory);
    loss->memory = memory;
    loss->memory_bytes = bytes;
    return SSLCV_OK;
}

sslcv_status sslcv__loss_reserve(sslcv_loss *loss, const sslcv_tensor *inputs, int64_t num_inputs)
{
    sslcv__loss_job job = {.num_inputs = num_inputs};
    sslcv_status status = check_num_inputs(loss, num_inputs);
    int64_t i;

    if (status == SSLCV_OK) status = sslcv__loss_open(loss);
    for (i = 0; i < num_inputs && status == SSLCV_OK; i++) status = read_shape(&inputs[i], i, &job.inputs[i]);
    job.samples = job.inputs[0].samples;
    return status == SSLCV_OK ? grow_memory(loss, &job) : status;
}

/* ---- evaluation ---- */

static sslcv_status check_finite(const sslcv__loss_job *job)
{
    int64_t i;

    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];

        if (!sslcv__all_finite(in->data, in->views * in->samples * in->positions * in->dim)) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "inputs[%lld] has NaN or infinity", (long long)i);
        }
    }
    if (job->targets && !sslcv__all_finite(job->targets, job->samples * job->num_targets)) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "call.targets has NaN or infinity");
    }
    return SSLCV_OK;
}

static sslcv_status run(sslcv_loss *loss, sslcv__loss_job *job)
{
    sslcv_status status = check_finite(job);

    if (status == SSLCV_OK) status = loss->kind->score(loss, job);
    if (status != SSLCV_OK) return status;
    if (!isfinite(job->value)) {
        return sslcv__fail(SSLCV_ERR_NUMERIC, "the value of %s is %g", loss->kind->name, job->value);
    }
    if (job->wants_diff || job->wants_parameters) loss->kind->differentiate(loss, job);
    if ((job->flags & SSLCV_CALL_REMEMBER) && loss->kind->remember) loss->kind->remember(loss, job);
    return SSLCV_OK;
}

sslcv_status sslcv_loss_compute(sslcv_loss *loss, sslcv_loss_call *call)
{
    sslcv__loss_job job = {.num_inputs = 0};
    sslcv__compute frame;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(loss, SSLCV__LOSS, "loss"));
    if (!call) return sslcv__null("call");
    SSLCV__TRY(sslcv__loss_open(loss));
    SSLCV__TRY(read_call(loss, call, &job));
    SSLCV__TRY(grow_memory(loss, &job));
    job.memory = loss->memory;
    SSLCV__TRY(sslcv__compute_begin(loss->object.context, &frame));
    status = run(loss, &job);
    sslcv__compute_end(&frame);
    if (status != SSLCV_OK) goto end;
    memcpy(loss->metrics, job.metrics, sizeof job.metrics);
    call->value = job.value;
end:
    return status;
}

sslcv_status sslcv_loss_begin_epoch(sslcv_loss *loss, int64_t epoch)
{
    sslcv_status status = sslcv__check(loss, SSLCV__LOSS, "loss");

    if (status != SSLCV_OK) return status;
    if (epoch < 0) return sslcv__invalid("epoch is %lld; must be 0 or more", (long long)epoch);
    if (epoch == loss->epoch || !loss->kind->begin_epoch) return SSLCV_OK;
    status = sslcv__loss_open(loss);
    if (status == SSLCV_OK) status = loss->kind->begin_epoch(loss, epoch);
    if (status == SSLCV_OK) loss->epoch = epoch;
    return status;
}
