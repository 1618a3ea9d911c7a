/**
 * Contrast with a memory bank.
 *
 * Wu, Xiong, Yu, Lin: Unsupervised Feature Learning via Non-Parametric Instance Discrimination, 2018.
 * Tian, Krishnan, Isola: Contrastive Multiview Coding, 2020. Misra, van der Maaten: PIRL, 2020.
 *
 * A term is one input against one bank. For one sample, u its unit row, m_0 its row of the bank, m_1 .. m_K those that
 * were drawn, s_j = u . m_j / t. Drawn row j has the rate r_j = n share_j (1 without weights), so that its noise K
 * share_j is r_j K / n. With E_j = exp(s_j) / Z n / K and e = epsilon n / K everything is in units of K / n:
 *
 *     NCE      l = -log( E_0 / (E_0 + r_0 + e) ) - sum over j of log( r_j / (E_j + r_j + e) )
 *     SOFTMAX  l = log( exp(s_0) + sum over j of exp(s_j) ) - s_0
 *
 * Both are softplus of something for the positive, softplus(x) = log(1 + exp(x)), where nothing cancels:
 *
 *     NCE      softplus(log(r_0 + e) - log E_0)  +  sum over j of log((E_j + r_j + e) / r_j)
 *     SOFTMAX  softplus(log sum over j of exp(s_j) - s_0)
 *
 * and with g = sigmoid of that something the gradients are
 *
 *     NCE      t dl/du = -g m_0 + sum over j of E_j / (E_j + r_j + e) m_j
 *     SOFTMAX  t dl/du = g ( -m_0 + sum over j of exp(s_j) / (sum of all exp(s_j)) m_j )
 */
#include "loss/nce_bank.h"

#include "core/checked.h"
#include "core/compute.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/rng.h"
#include "nn/kernels.h"
#include "nn/rows.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

enum { IMAGE = 0, TRANSFORM = 1 };

/* ---- terms ---- */

static void add_term(sslcv__nce_bank *self, int64_t input, int64_t bank)
{
    self->terms[self->num_terms++] = (sslcv__nce_term){(int32_t)input, (int32_t)bank};
}

static void set_terms(sslcv__nce_bank *self, int32_t pairing)
{
    const int64_t m = self->num_inputs;
    int64_t i, j, count = 0;

    if (pairing == SSLCV_BANK_SINGLE) {
        if (m == 2) add_term(self, TRANSFORM, 0);
        add_term(self, IMAGE, 0);
    }
    for (i = 0; i < (pairing == SSLCV_BANK_FULL ? m : pairing == SSLCV_BANK_CORE); i++) {
        for (j = i + 1; j < m; j++) {
            add_term(self, i, j);
            add_term(self, j, i);
        }
    }
    for (j = 0; j < m; j++) {
        for (i = 0; i < self->num_terms; i++) {
            if (self->terms[i].bank == j) self->order[count++] = (int32_t)i;
        }
    }
}

static double weight_of(const sslcv__nce_bank *self, int64_t t)
{
    const double balance = *self->loss.numbers[SSLCV__NCE_BALANCE];

    if (!self->single || self->num_terms == 1) return 1.0;
    return self->terms[t].input == TRANSFORM ? balance : 1.0 - balance;
}

static uint64_t key_of(const sslcv__nce_bank *self)
{
    return sslcv__draws_key((uint64_t)self->drawn[SSLCV__NCE_SEED], (uint64_t)self->drawn[SSLCV__NCE_CALLS]);
}

/* ---- memory ---- */

static sslcv_status lay_out(const sslcv__nce_bank *self, const sslcv__loss_job *job, void *base, sslcv__nce_work *work,
                            int64_t *bytes)
{
    const int64_t n = job->samples, threads = self->loss.object.context->threads;
    int64_t rows = 0, values = 0, i;
    int fits;

    *bytes = 0;
    work->parts = n < threads ? n : threads;
    work->stride = (self->dim + 15) / 16 * 16;
    fits = sslcv__multiply(n, self->dim, &values) && sslcv__multiply(work->parts, self->num_terms, &rows);
    for (i = 0; i < self->num_inputs; i++) {
        fits = fits && sslcv__loss_place(base, bytes, values, sizeof(float), &work->unit[i]) &&
               sslcv__loss_place(base, bytes, values, sizeof(float), &work->diff[i]) &&
               sslcv__loss_place(base, bytes, n, sizeof(double), &work->norms[i]);
    }
    fits = fits && sslcv__loss_place(base, bytes, self->num_terms * sizeof(double), n, &work->losses) &&
           sslcv__loss_place(base, bytes, n, sizeof(int32_t), &work->first) &&
           sslcv__loss_place(base, bytes, self->num_z, sizeof(double), &work->z) &&
           sslcv__loss_place(base, bytes, self->num_z, sizeof(double), &work->log_z) &&
           sslcv__loss_place(base, bytes, rows, sizeof(sslcv__nce_tally), &work->tallies) &&
           sslcv__multiply(rows, work->stride, &rows) &&
           sslcv__loss_place(base, bytes, rows, sizeof(float), &work->sums);
    return sslcv__loss_placed(&self->loss, job, fits);
}

static sslcv_status memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes)
{
    sslcv__nce_work work = {.parts = 0};

    return lay_out((const sslcv__nce_bank *)loss, job, NULL, &work, bytes);
}

/* ---- a call ---- */

static sslcv_status check(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__nce_bank *self = (const sslcv__nce_bank *)loss;
    int64_t i;

    for (i = 0; i < job->num_inputs; i++) {
        const sslcv__loss_input *in = &job->inputs[i];

        if (in->views != 1 || in->positions != 1) {
            return sslcv__invalid("inputs[%lld] has %lld %s; nce_bank takes 1", (long long)i,
                                  (long long)(in->views != 1 ? in->views : in->positions),
                                  in->views != 1 ? "views" : "positions");
        }
        if (in->dim != self->dim) {
            return sslcv__invalid("inputs[%lld] has %lld dimensions; must be nce_bank.dim, %lld", (long long)i,
                                  (long long)in->dim, (long long)self->dim);
        }
    }
    for (i = 0; i < job->samples; i++) {
        if (job->ids[i] >= self->num_samples) {
            return sslcv__invalid("call.ids[%lld] is %lld; must be below nce_bank.num_samples, %lld", (long long)i,
                                  (long long)job->ids[i], (long long)self->num_samples);
        }
    }
    /* A checkpoint may have brought anything. */
    for (i = 0; i < self->num_z; i++) {
        if (!(self->z[i] >= 0.0 && self->z[i] <= DBL_MAX)) {
            return sslcv__invalid("z[%lld] is %g; must be > 0, or 0: not yet known", (long long)i, self->z[i]);
        }
    }
    return SSLCV_OK;
}

/* From gradients by unit rows to those by inputs, in place. */
static sslcv_status finish_gradients(const sslcv__nce_bank *self, const sslcv__loss_job *job,
                                     const sslcv__nce_work *work)
{
    int64_t i;

    for (i = 0; i < self->num_inputs; i++) {
        if (!job->inputs[i].diff) continue;
        sslcv__rows_normalize_backward(work->unit[i], work->norms[i], work->diff[i], job->samples, self->dim,
                                       work->diff[i]);
        if (!sslcv__all_finite(work->diff[i], job->samples * self->dim)) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "a gradient of nce_bank is not finite; nce_bank.temperature is %g",
                               *self->loss.numbers[SSLCV__NCE_TEMPERATURE]);
        }
    }
    return SSLCV_OK;
}

static sslcv_status score(const sslcv_loss *loss, sslcv__loss_job *job)
{
    const sslcv__nce_bank *self = (const sslcv__nce_bank *)loss;
    sslcv__nce_work work;
    sslcv__nce_pass p = {.self = self, .job = job, .work = &work};
    int64_t bytes, i;
    sslcv_status status;

    SSLCV__TRY(lay_out(self, job, job->memory, &work, &bytes));
    p.key = key_of(self);
    p.inverse_temperature = 1.0 / *loss->numbers[SSLCV__NCE_TEMPERATURE];
    p.epsilon = *loss->numbers[SSLCV__NCE_EPSILON] * (double)self->num_samples / (double)self->num_negatives;
    for (i = 0; i < self->num_terms; i++) p.weights[i] = weight_of(self, i);
    for (i = 0; i < self->num_inputs; i++) {
        sslcv__rows_normalize(job->inputs[i].data, job->samples, self->dim, work.unit[i], work.norms[i]);
    }
    SSLCV__TRY(sslcv__nce_bank_find_z(&p));
    p.finds_z = 0;
    sslcv__nce_bank_pass(&p);
    sslcv__nce_bank_results(&p, job);
    SSLCV__TRY(finish_gradients(self, job, &work));
end:
    return status;
}

static void differentiate(const sslcv_loss *loss, const sslcv__loss_job *job)
{
    const sslcv__nce_bank *self = (const sslcv__nce_bank *)loss;
    sslcv__nce_work work;
    int64_t bytes, i;

    if (lay_out(self, job, job->memory, &work, &bytes) != SSLCV_OK) return;
    for (i = 0; i < self->num_inputs; i++) {
        if (!job->inputs[i].diff) continue;
        memcpy(job->inputs[i].diff, work.diff[i], (size_t)(job->samples * self->dim) * sizeof(float));
    }
}

/* All new rows from old ones first, then one after the other in: of a sample twice in a batch, the last counts. */
static void remember_rows(const sslcv__nce_bank *self, int64_t bank, const sslcv__loss_job *job, float *unit)
{
    const double momentum = *self->loss.numbers[SSLCV__NCE_BANK_MOMENTUM];
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < job->samples; i++) {
        (void)sslcv__bank_mix(&self->banks[bank], job->ids[i], momentum, unit + i * self->dim, unit + i * self->dim);
    }
    for (i = 0; i < job->samples; i++) sslcv__bank_store(&self->banks[bank], job->ids[i], unit + i * self->dim);
}

static void remember(sslcv_loss *loss, const sslcv__loss_job *job)
{
    sslcv__nce_bank *self = (sslcv__nce_bank *)loss;
    sslcv__nce_work work;
    int64_t bytes, i;

    if (lay_out(self, job, job->memory, &work, &bytes) != SSLCV_OK) return;
    for (i = 0; i < self->num_z; i++) self->z[i] = work.z[i];
    self->drawn[SSLCV__NCE_CALLS] = (int64_t)((uint64_t)self->drawn[SSLCV__NCE_CALLS] + 1);
    if (*loss->numbers[SSLCV__NCE_BANK_MOMENTUM] >= 1.0) return;
    for (i = 0; i < self->num_banks; i++) remember_rows(self, i, job, work.unit[i]);
}

/* ---- state ---- */

static sslcv_status state_bytes(const sslcv_loss *loss, int64_t *bytes)
{
    const sslcv__nce_bank *self = (const sslcv__nce_bank *)loss;
    const int64_t sizes[4] = {self->num_banks, self->num_samples, self->dim, sslcv_dtype_size(self->bank_dtype)};
    const int64_t small = self->num_z * (int64_t)sizeof(double) + 2 * (int64_t)sizeof(int64_t);

    if (sslcv__product(sizes, 4, bytes) && sslcv__add(*bytes, small, bytes)) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_LIMIT, "%lld banks of %lld rows of %lld do not fit in memory",
                       (long long)self->num_banks, (long long)self->num_samples, (long long)self->dim);
}

static sslcv_status add_bank(sslcv__nce_bank *self, int64_t i)
{
    const int64_t shape[2] = {self->num_samples, self->dim};
    sslcv__bank *bank = &self->banks[i];
    sslcv__variable *variable;
    char name[32];
    sslcv_status status;

    snprintf(name, sizeof name, "bank.%lld", (long long)i);
    status = sslcv__variables_add(&self->loss.variables, name, self->bank_dtype, SSLCV_ROLE_BUFFER, 2, shape, NULL,
                                  &variable);
    if (status != SSLCV_OK) return status;
    *bank = (sslcv__bank){variable->value, self->num_samples, self->dim, self->bank_dtype == SSLCV_BF16, 0};
    sslcv__bank_fill(bank, sslcv__rng_derive(self->seed, (uint64_t)i, SSLCV__STREAM_WEIGHTS), self->unit_init);
    return SSLCV_OK;
}

static sslcv_status open_state(sslcv_loss *loss)
{
    const int64_t two = 2;
    sslcv__nce_bank *self = (sslcv__nce_bank *)loss;
    sslcv__variable *z = NULL, *drawn;
    sslcv__compute frame = {.active = 0};
    sslcv_status status;
    int64_t i;

    SSLCV__TRY(sslcv__compute_begin(loss->object.context, &frame));
    if (self->num_z > 0) {
        SSLCV__TRY(
            sslcv__variables_add(&loss->variables, "z", SSLCV_F64, SSLCV_ROLE_BUFFER, 1, &self->num_z, NULL, &z));
        self->z = z->value;
    }
    SSLCV__TRY(sslcv__variables_add(&loss->variables, "draws", SSLCV_I64, SSLCV_ROLE_BUFFER, 1, &two, NULL, &drawn));
    self->drawn = drawn->value;
    self->drawn[SSLCV__NCE_SEED] = (int64_t)self->seed;
    for (i = 0; i < self->num_banks; i++) SSLCV__TRY(add_bank(self, i));
end:
    sslcv__compute_end(&frame);
    return status;
}

static void release(sslcv_loss *loss)
{
    sslcv__draws_free(&((sslcv__nce_bank *)loss)->draws, loss->object.context);
}

/* ---- creation ---- */

static const sslcv__loss_number numbers[] = {
    [SSLCV__NCE_TEMPERATURE] = {"temperature", DBL_MIN, DBL_MAX, "> 0"},
    [SSLCV__NCE_BANK_MOMENTUM] = {"bank_momentum", 0.0, 1.0, "0 .. 1"},
    [SSLCV__NCE_BALANCE] = {"balance", 0.0, 1.0, "0 .. 1"},
    [SSLCV__NCE_EPSILON] = {"epsilon", 0.0, DBL_MAX, ">= 0"},
};
static const char *const metrics[] = {
    [SSLCV__NCE_TOP1] = "top1", [SSLCV__NCE_MI_BOUND] = "mi_bound", [SSLCV__NCE_Z] = "z"};

static const sslcv__loss_kind kind = {
    .name = "nce_bank",
    .numbers = numbers,
    .num_numbers = SSLCV__NCE_NUMBERS,
    .metrics = metrics,
    .num_metrics = SSLCV__NCE_METRICS,
    .min_inputs = 1,
    .max_inputs = SSLCV__LOSS_MAX_INPUTS,
    .needs_ids = 1,
    .check = check,
    .memory_bytes = memory_bytes,
    .score = score,
    .differentiate = differentiate,
    .state_bytes = state_bytes,
    .open = open_state,
    .remember = remember,
    .release = release,
};

static const sslcv_nce_bank_options defaults = {
    .struct_size = sizeof defaults,
    .num_inputs = 2,
    .num_negatives = 16384,
    .dim = 128,
    .temperature = 0.07,
    .bank_momentum = 0.5,
    .balance = 0.5,
    .epsilon = 1e-7,
    .bank_dtype = SSLCV_F32,
};

sslcv_status sslcv_nce_bank_options_init(sslcv_nce_bank_options *options, size_t struct_size)
{
    return sslcv__options_init("nce_bank_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_size(const char *name, int64_t value)
{
    if (value >= 1 && value <= INT32_MAX) return SSLCV_OK;
    return sslcv__invalid("nce_bank.%s is %lld; must be 1 .. 2147483647", name, (long long)value);
}

static sslcv_status check_choice(const char *name, int32_t value, int32_t last)
{
    if (value >= 0 && value <= last) return SSLCV_OK;
    return sslcv__invalid("nce_bank.%s is %d; must be 0 .. %d", name, (int)value, (int)last);
}

static sslcv_status check_inputs(const sslcv_nce_bank_options *o)
{
    const int64_t low = o->pairing == SSLCV_BANK_SINGLE ? 1 : 2;
    const int64_t high = o->pairing == SSLCV_BANK_SINGLE ? 2 : SSLCV__LOSS_MAX_INPUTS;

    if (o->num_inputs >= low && o->num_inputs <= high) return SSLCV_OK;
    return sslcv__invalid("nce_bank.num_inputs is %lld; must be %lld .. %lld with this pairing",
                          (long long)o->num_inputs, (long long)low, (long long)high);
}

static sslcv_status check_options(const sslcv_nce_bank_options *o)
{
    sslcv_status status;

    SSLCV__TRY(check_size("num_samples", o->num_samples));
    SSLCV__TRY(check_size("num_negatives", o->num_negatives));
    SSLCV__TRY(check_size("dim", o->dim));
    SSLCV__TRY(check_choice("pairing", o->pairing, SSLCV_BANK_SINGLE));
    SSLCV__TRY(check_choice("estimator", o->estimator, SSLCV_ESTIMATOR_SOFTMAX));
    SSLCV__TRY(check_choice("shared_z", o->shared_z, 1));
    SSLCV__TRY(check_choice("exclude_self", o->exclude_self, 1));
    SSLCV__TRY(check_choice("unit_init", o->unit_init, 1));
    SSLCV__TRY(check_inputs(o));
    if (o->bank_dtype != SSLCV_F32 && o->bank_dtype != SSLCV_BF16) {
        return sslcv__invalid("nce_bank.bank_dtype is %d; must be SSLCV_F32 or SSLCV_BF16", (int)o->bank_dtype);
    }
    if (o->exclude_self && o->row_weights) {
        return sslcv__invalid("nce_bank.row_weights is not NULL; must be NULL with exclude_self");
    }
    if (o->exclude_self && o->num_negatives >= o->num_samples) {
        return sslcv__fail(SSLCV_ERR_LIMIT,
                           "nce_bank.num_negatives is %lld; must be below num_samples, %lld, with "
                           "exclude_self",
                           (long long)o->num_negatives, (long long)o->num_samples);
    }
end:
    return status;
}

/* Numbers that o brought through the checks. */
static void set_sizes(sslcv__nce_bank *self, const sslcv_nce_bank_options *o)
{
    self->num_samples = o->num_samples;
    self->num_inputs = o->num_inputs;
    self->num_negatives = o->num_negatives;
    self->dim = o->dim;
    self->estimator = o->estimator;
    self->unit_init = o->unit_init;
    self->bank_dtype = o->bank_dtype;
    self->single = o->pairing == SSLCV_BANK_SINGLE;
    self->num_banks = self->single ? 1 : o->num_inputs;
    set_terms(self, o->pairing);
    if (o->estimator == SSLCV_ESTIMATOR_NCE) self->num_z = o->shared_z ? 1 : self->num_terms;
    self->kind = kind;
    self->kind.min_inputs = self->kind.max_inputs = o->num_inputs;
    self->kind.gradient_inputs = (UINT64_C(1) << o->num_inputs) - 1;
    self->loss.kind = &self->kind;
}

sslcv_status sslcv_loss_create_nce_bank(sslcv_context *context, const sslcv_nce_bank_options *options, sslcv_loss **out)
{
    sslcv_nce_bank_options o = defaults;
    sslcv__nce_bank *self = NULL;
    sslcv_status status;
    int64_t bytes;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!options || !out) return sslcv__null(options ? "loss" : "options");
    SSLCV__TRY(sslcv__options_read("nce_bank_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(check_options(&o));
    SSLCV__TRY(sslcv__loss_create(context, &kind, sizeof *self, &self));
    set_sizes(self, &o);
    SSLCV__TRY(state_bytes(&self->loss, &bytes));
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, SSLCV__NCE_TEMPERATURE, o.temperature));
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, SSLCV__NCE_BANK_MOMENTUM, o.bank_momentum));
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, SSLCV__NCE_BALANCE, o.balance));
    SSLCV__TRY(sslcv__loss_set_number(&self->loss, SSLCV__NCE_EPSILON, o.epsilon));
    SSLCV__TRY(sslcv__draws_init(&self->draws, context, o.num_samples, o.exclude_self, o.row_weights));
    self->seed = sslcv__context_seed(context, o.seed);
    *out = &self->loss;
    self = NULL;
end:
    sslcv__release(self);
    return status;
}

/* ---- for tests ---- */

int64_t sslcv__nce_bank_streams(const sslcv_loss *loss)
{
    const sslcv__nce_bank *self = (const sslcv__nce_bank *)loss;

    return self->single ? self->num_terms : 1;
}

void sslcv__nce_bank_set_draws(sslcv_loss *loss, const int64_t *rows)
{
    ((sslcv__nce_bank *)loss)->given = rows;
}

sslcv_status sslcv__nce_bank_get_draws(sslcv_loss *loss, const int64_t *ids, int64_t samples, int64_t *rows)
{
    const sslcv__loss_job job = {.samples = samples, .ids = ids};
    sslcv__nce_pass p = {.self = (sslcv__nce_bank *)loss, .job = &job};
    const sslcv__nce_bank *self = p.self;
    const sslcv_status status = sslcv__loss_open(loss);
    int64_t stream, i, group, count, j;

    if (status != SSLCV_OK) return status;
    p.key = key_of(self);
    for (stream = 0; stream < sslcv__nce_bank_streams(loss); stream++) {
        for (i = 0; i < samples; i++) {
            int32_t drawn[SSLCV__DRAWS_GROUP];

            for (group = 0; (count = sslcv__nce_bank_take(&p, i, stream, group, drawn)) > 0; group++) {
                for (j = 0; j < count; j++) *rows++ = drawn[j];
            }
        }
    }
    return SSLCV_OK;
}
