/**
 * The bank loss goes over its rows; nce_bank.c has the formulas.
 *
 * A drawn row is needed once: its score, its weight and its part of the gradient follow while it is in a near cache.
 * NCE's weight needs no other row; SOFTMAX's is kept relative to the largest score so far, and the sums are scaled when
 * a larger one comes. Rows are drawn in groups as they are needed; those of the next group are fetched meanwhile:
 *
 *     for each sample                                          threads
 *       for each stream of draws, for each group of 64 in it
 *         draw the next group
 *         for each term of the stream, ordered by bank         a bank's row serves all inputs that meet it
 *           scores -> weights, value -> sum of weighted rows
 *       gradients of the unit rows
 *
 * Sums within a sample run in fixed order, and over the samples too: the number of threads does not matter. NCE's first
 * call goes over the rows twice, as Z comes before all else.
 */
#include "loss/nce_bank.h"

#include "core/error.h"
#include "core/simd.h"
#include "nn/softmax.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { GROUP = SSLCV__DRAWS_GROUP };

/* ---- draws ---- */

static int64_t group_count(const sslcv__nce_bank *self, int64_t group)
{
    const int64_t left = self->num_negatives - group * GROUP;

    return left < GROUP ? left : GROUP;
}

int64_t sslcv__nce_bank_take(const sslcv__nce_pass *p, int64_t sample, int64_t stream, int64_t group, int32_t *rows)
{
    const sslcv__nce_bank *self = p->self;
    const int64_t count = group_count(self, group);
    sslcv__draw_stream name;
    int64_t j;

    if (count <= 0) return 0;
    if (self->given) {
        const int64_t *given = self->given + (stream * p->job->samples + sample) * self->num_negatives + group * GROUP;

        for (j = 0; j < count; j++) rows[j] = (int32_t)given[j];
        return count;
    }
    name = (sslcv__draw_stream){p->key, sample, p->job->ids[sample], (uint32_t)stream, 0};
    sslcv__draws_take(&self->draws, &name, group, count, rows);
    return count;
}

/* ---- a group of drawn rows, scored ---- */

SSLCV__CLONES static int64_t count_ahead(const float *dots, const int32_t *rows, int64_t count, float own,
                                         int32_t own_row)
{
    int64_t ahead = 0, j;

    for (j = 0; j < count; j++) ahead += (dots[j] >= own) & (rows[j] != own_row);
    return ahead;
}

/* x <- log E, kept where a float's exponential is far from its ends. @return Not 0: some are above. */
SSLCV__CLONES static int32_t logits_of(const float *dots, double scale, double shift, float *x)
{
    int32_t above = 0;
    int j;

    for (j = 0; j < GROUP; j++) {
        const double logit = (double)dots[j] * scale - shift;

        x[j] = (float)(logit > 80.0 ? 80.0 : (logit < -200.0 ? -200.0 : logit));
    }
    for (j = 0; j < GROUP; j++) above |= x[j] >= 80.0f;
    return above;
}

/* weights <- E / (E + r + e), factors <- (E + r + e) / r. */
SSLCV__CLONES static void weigh(const float *exponentials, const float *rates, double epsilon, float *weights,
                                double *factors)
{
    int j;

    for (j = 0; j < GROUP; j++) {
        const double e = (double)exponentials[j], r = (double)rates[j], all = e + (r + epsilon);

        weights[j] = (float)(e / all);
        factors[j] = all / r;
    }
}

/* Of four factors each; factors of a usual size are near 1. */
SSLCV__CLONES static void multiply_fours(const double *factors, double *products)
{
    enum { QUARTER = GROUP / 4 };
    int j;

    for (j = 0; j < QUARTER; j++) {
        products[j] = (factors[j] * factors[j + QUARTER]) * (factors[j + 2 * QUARTER] * factors[j + 3 * QUARTER]);
    }
}

/* Sum of the logarithms: one for all, where their product is far from the largest double. */
static double log_of_product(const double *factors)
{
    double products[GROUP / 4], all = 1.0, sum = 0.0;
    int in_range = 1, j;

    multiply_fours(factors, products);
    for (j = 0; j < GROUP / 4; j++) {
        all *= products[j];
        in_range &= products[j] < 1e18;
    }
    if (in_range) return log(all);
    for (j = 0; j < GROUP; j++) sum += log(factors[j]);
    return sum;
}

static void score_nce(const sslcv__nce_pass *p, double log_z, const int32_t *rows, int64_t count, float *dots,
                      float *weights, sslcv__nce_tally *sums)
{
    float rates[GROUP], x[GROUP];
    double factors[GROUP];
    int32_t above;
    int64_t j;

    for (j = count; j < GROUP; j++) dots[j] = dots[0];
    for (j = 0; j < GROUP; j++) rates[j] = 1.0f;
    for (j = 0; p->self->draws.rates && j < count; j++) rates[j] = p->self->draws.rates[rows[j]];
    above = logits_of(dots, p->inverse_temperature, log_z, x);
    (void)sslcv__row_exp(x, GROUP, 0.0f, 1.0f, x);
    weigh(x, rates, p->epsilon, weights, factors);
    for (j = count; j < GROUP; j++) factors[j] = 1.0;
    sums->loss += log_of_product(factors);
    for (j = 0; above && j < count; j++) {
        sums->loss += fmax((double)dots[j] * p->inverse_temperature - log_z - 80.0, 0.0);
    }
}

/* weighted: rows so far, NULL: none. weights <- exp(s - top / t). */
static void score_softmax(const sslcv__nce_pass *p, int64_t count, float *dots, float *weights, float *weighted,
                          sslcv__nce_tally *sums)
{
    const float top = sslcv__row_max(dots, count);
    int64_t j;

    if (!(top <= sums->top)) {
        const double factor = exp(((double)sums->top - (double)top) * p->inverse_temperature);

        if (weighted) sslcv__row_scale(weighted, p->self->dim, (float)factor);
        sums->sum *= factor;
        sums->top = top;
    }
    for (j = count; j < GROUP; j++) dots[j] = dots[0];
    (void)logits_of(dots, p->inverse_temperature, (double)sums->top * p->inverse_temperature, weights);
    sums->sum += sslcv__row_exp(weights, count, 0.0f, 1.0f, weights);
}

/* ---- one sample ---- */

/* softplus(x), g <- sigmoid(x). */
static double softplus(double x, double *g)
{
    const double small = exp(-fabs(x));

    *g = x > 0.0 ? 1.0 / (1.0 + small) : small / (1.0 + small);
    return fmax(x, 0.0) + log1p(small);
}

static const float *unit_of(const sslcv__nce_pass *p, int64_t t, int64_t sample)
{
    return p->work->unit[p->self->terms[t].input] + sample * p->self->dim;
}

static int wants_rows(const sslcv__nce_pass *p, int64_t t)
{
    return !p->finds_z && p->job->inputs[p->self->terms[t].input].diff != NULL;
}

static double log_z_of(const sslcv__nce_pass *p, int64_t t)
{
    return p->work->log_z[p->self->num_z == 1 ? 0 : t];
}

static void score_group(const sslcv__nce_pass *p, int64_t sample, int64_t t, const int32_t *rows, int64_t count,
                        const sslcv__bank_next *next, float *weighted, sslcv__nce_tally *sums)
{
    const sslcv__nce_bank *self = p->self;
    const sslcv__bank *bank = &self->banks[self->terms[t].bank];
    float dots[GROUP], weights[GROUP];

    sslcv__bank_dot(bank, rows, count, unit_of(p, t, sample), next, dots);
    sums->ahead += count_ahead(dots, rows, count, sums->own, (int32_t)p->job->ids[sample]);
    if (!wants_rows(p, t)) weighted = NULL;
    if (!p->finds_z && self->estimator == SSLCV_ESTIMATOR_NCE) {
        score_nce(p, log_z_of(p, t), rows, count, dots, weights, sums);
    } else {
        score_softmax(p, count, dots, weights, weighted, sums);
    }
    if (weighted) sslcv__bank_add(bank, rows, count, weights, weighted);
}

/* Terms of a stream: all, by bank, or the one that has the stream's number. */
static int64_t term_at(const sslcv__nce_bank *self, int64_t stream, int64_t i)
{
    return self->single ? stream : self->order[i];
}

static void score_stream(const sslcv__nce_pass *p, int64_t sample, int64_t stream, float *weighted,
                         sslcv__nce_tally *sums)
{
    const sslcv__nce_bank *self = p->self;
    const int64_t terms = self->single ? 1 : self->num_terms;
    int32_t rows[2][GROUP];
    int64_t counts[2], group, i;

    counts[0] = sslcv__nce_bank_take(p, sample, stream, 0, rows[0]);
    for (group = 0; counts[group & 1] > 0; group++) {
        const int64_t now = group & 1, then = 1 - now;

        counts[then] = sslcv__nce_bank_take(p, sample, stream, group + 1, rows[then]);
        for (i = 0; i < terms; i++) {
            const int64_t t = term_at(self, stream, i), last = i + 1 == terms;
            const int64_t following = term_at(self, stream, last ? 0 : i + 1);
            sslcv__bank_next next = {&self->banks[self->terms[following].bank], rows[last ? then : now],
                                     counts[last ? then : now]};

            if (!last && next.bank == &self->banks[self->terms[t].bank]) next.bank = NULL;
            score_group(p, sample, t, rows[now], counts[now], &next, weighted + t * p->work->stride, &sums[t]);
        }
    }
}

static void start_sample(const sslcv__nce_pass *p, int64_t sample, float *weighted, sslcv__nce_tally *sums)
{
    const sslcv__nce_bank *self = p->self;
    const int32_t own = (int32_t)p->job->ids[sample];
    int64_t t;

    memset(weighted, 0, (size_t)(self->num_terms * p->work->stride) * sizeof *weighted);
    for (t = 0; t < self->num_terms; t++) {
        sums[t] = (sslcv__nce_tally){.top = -INFINITY};
        sslcv__bank_dot(&self->banks[self->terms[t].bank], &own, 1, unit_of(p, t, sample), NULL, &sums[t].own);
    }
}

/* log of the sum of exp(s) over all rows, m_0 among them. */
static double log_sum(const sslcv__nce_pass *p, const sslcv__nce_tally *sums)
{
    const double own = (double)sums->own * p->inverse_temperature;
    double g;

    return own + softplus((double)sums->top * p->inverse_temperature + log(sums->sum) - own, &g);
}

/* The loss of one term, and of its gradient by the unit row: by the weighted rows, by m_0. */
static double finish_term(const sslcv__nce_pass *p, int64_t sample, int64_t t, const sslcv__nce_tally *sums,
                          double *by_rows, double *by_own)
{
    const sslcv__nce_bank *self = p->self;
    const double own = (double)sums->own * p->inverse_temperature;
    double loss, g;

    if (self->estimator == SSLCV_ESTIMATOR_NCE) {
        const float *rates = self->draws.rates;
        const double noise = (rates ? (double)rates[p->job->ids[sample]] : 1.0) + p->epsilon;

        *by_rows = 1.0;
        return sums->loss + softplus(log(noise) - (own - log_z_of(p, t)), by_own);
    }
    loss = softplus((double)sums->top * p->inverse_temperature + log(sums->sum) - own, &g);
    *by_own = g;
    *by_rows = g / sums->sum;
    return loss;
}

static void finish_sample(const sslcv__nce_pass *p, int64_t sample, const float *weighted, const sslcv__nce_tally *sums)
{
    const sslcv__nce_bank *self = p->self;
    const sslcv__nce_work *work = p->work;
    const int64_t dim = self->dim, samples = p->job->samples;
    const int32_t own = (int32_t)p->job->ids[sample];
    int64_t t;

    work->first[sample] = 0;
    for (t = 0; t < self->num_inputs && !p->finds_z; t++) {
        memset(work->diff[t] + sample * dim, 0, (size_t)dim * sizeof(float));
    }
    for (t = 0; t < self->num_terms; t++) {
        float *diff = work->diff[self->terms[t].input] + sample * dim;
        double factor = p->weights[t] * p->inverse_temperature * p->job->scale / (double)samples, by_rows, by_own;
        float away;

        if (p->finds_z) {
            work->losses[t * samples + sample] = log_sum(p, &sums[t]);
            continue;
        }
        work->losses[t * samples + sample] = finish_term(p, sample, t, &sums[t], &by_rows, &by_own);
        work->first[sample] += sums[t].ahead == 0;
        if (!wants_rows(p, t)) continue;
        away = (float)(-factor * by_own);
        sslcv__row_add(weighted + t * work->stride, dim, (float)(factor * by_rows), diff);
        sslcv__bank_add(&self->banks[self->terms[t].bank], &own, 1, &away, diff);
    }
}

/* ---- all samples ---- */

void sslcv__nce_bank_pass(const sslcv__nce_pass *p)
{
    const sslcv__nce_bank *self = p->self;
    const sslcv__nce_work *work = p->work;
    const int64_t samples = p->job->samples;
    int64_t part;

#pragma omp parallel for schedule(static)
    for (part = 0; part < work->parts; part++) {
        float *weighted = work->sums + part * self->num_terms * work->stride;
        sslcv__nce_tally *sums = work->tallies + part * self->num_terms;
        int64_t sample, stream;

        for (sample = part * samples / work->parts; sample < (part + 1) * samples / work->parts; sample++) {
            start_sample(p, sample, weighted, sums);
            for (stream = 0; stream < (self->single ? self->num_terms : 1); stream++)
                score_stream(p, sample, stream, weighted, sums);
            finish_sample(p, sample, weighted, sums);
        }
    }
}

/* log of the mean of exp(s) over the samples and rows of one term. */
static double log_mean(const sslcv__nce_pass *p, int64_t t)
{
    const int64_t samples = p->job->samples;
    const double *logs = p->work->losses + t * samples;
    double top = logs[0], sum = 0.0;
    int64_t i;

    for (i = 1; i < samples; i++) top = fmax(top, logs[i]);
    for (i = 0; i < samples; i++) sum += exp(logs[i] - top);
    return top + log(sum) - log((double)samples * (double)(p->self->num_negatives + 1));
}

/* Z of this call: as remembered, or found now. */
sslcv_status sslcv__nce_bank_find_z(sslcv__nce_pass *p)
{
    const sslcv__nce_bank *self = p->self;
    const double n = (double)self->num_samples;
    const sslcv__nce_work *work = p->work;
    int64_t i, unset = 0;

    for (i = 0; i < self->num_z; i++) unset += self->z[i] == 0.0;
    if (unset) {
        p->finds_z = 1;
        sslcv__nce_bank_pass(p);
    }
    for (i = 0; i < self->num_z; i++) {
        work->z[i] = self->z[i] == 0.0 ? exp(log(n) + log_mean(p, i)) : self->z[i];
        if (!(work->z[i] >= DBL_MIN && work->z[i] <= DBL_MAX)) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "Z of nce_bank would be %g; nce_bank.temperature is %g", work->z[i],
                               *self->loss.numbers[SSLCV__NCE_TEMPERATURE]);
        }
        work->log_z[i] = log(work->z[i]) + log((double)self->num_negatives / n);
    }
    return SSLCV_OK;
}

void sslcv__nce_bank_results(const sslcv__nce_pass *p, sslcv__loss_job *job)
{
    const sslcv__nce_bank *self = p->self;
    const int64_t samples = job->samples;
    const double count = (double)samples * (double)self->num_terms;
    double value = 0.0, all = 0.0;
    int64_t first = 0, t, i;

    for (t = 0; t < self->num_terms; t++) {
        double sum = 0.0;

        for (i = 0; i < samples; i++) sum += p->work->losses[t * samples + i];
        value += p->weights[t] * (sum / (double)samples);
        all += sum;
    }
    for (i = 0; i < samples; i++) first += p->work->first[i];
    job->value = value;
    job->metrics[SSLCV__NCE_TOP1] = (double)first / count;
    job->metrics[SSLCV__NCE_MI_BOUND] = 0.0;
    job->metrics[SSLCV__NCE_Z] = 0.0;
    if (self->estimator == SSLCV_ESTIMATOR_NCE) {
        job->metrics[SSLCV__NCE_Z] = p->work->z[0];
    } else {
        job->metrics[SSLCV__NCE_MI_BOUND] = log((double)self->num_negatives + 1.0) - all / count;
    }
}
