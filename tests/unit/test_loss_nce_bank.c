#include "nce_bank_support.h"

/* ---- the twin ---- */

enum { MAX_BANK = 1 << 12, MAX_DRAWS = 1 << 15, TWIN_TERMS = 32 };

typedef struct pair_of {
    int input, bank;
} pair_of;

/* Options, and what a loss remembers, as the twin reads it. */
typedef struct twin {
    sslcv_nce_bank_options o;
    int64_t samples, ids[64];
    int64_t rows[MAX_DRAWS]; /* (streams, N, K) */
    double banks[4][MAX_BANK];
    double z[TWIN_TERMS];
    pair_of terms[TWIN_TERMS];
    int64_t num_terms;
} twin;

static void list_terms(twin *t)
{
    const int m = (int)t->o.num_inputs;
    int i, j;

    t->num_terms = 0;
    if (t->o.pairing == SSLCV_BANK_SINGLE) {
        if (m == 2) t->terms[t->num_terms++] = (pair_of){1, 0};
        t->terms[t->num_terms++] = (pair_of){0, 0};
        return;
    }
    for (i = 0; i < (t->o.pairing == SSLCV_BANK_CORE ? 1 : m); i++) {
        for (j = i + 1; j < m; j++) {
            t->terms[t->num_terms++] = (pair_of){i, j};
            t->terms[t->num_terms++] = (pair_of){j, i};
        }
    }
}

/* Scores of one sample in one term: m_0 first. */
static void twin_scores(const twin *t, const double *const *inputs, int64_t term, int64_t sample, double *s)
{
    const int64_t dim = t->o.dim, k = t->o.num_negatives;
    const int64_t stream = t->o.pairing == SSLCV_BANK_SINGLE ? term : 0;
    const double *x = inputs[t->terms[term].input] + sample * dim;
    double norm = 0.0;
    int64_t j, d;

    for (d = 0; d < dim; d++) norm += x[d] * x[d];
    norm = fmax(sqrt(norm), 1e-12);
    for (j = 0; j <= k; j++) {
        const int64_t row = j == 0 ? t->ids[sample] : t->rows[(stream * t->samples + sample) * k + j - 1];

        s[j] = 0.0;
        for (d = 0; d < dim; d++) s[j] += x[d] / norm * t->banks[t->terms[term].bank][row * dim + d];
        s[j] /= t->o.temperature;
    }
}

static double share(const twin *t, int64_t row)
{
    double sum = 0.0;
    int64_t r;

    if (!t->o.row_weights) return 1.0 / (double)t->o.num_samples;
    for (r = 0; r < t->o.num_samples; r++) sum += t->o.row_weights[r];
    return t->o.row_weights[row] / sum;
}

static double twin_term(const twin *t, const double *const *inputs, int64_t term)
{
    static double s[1 << 14];
    const int64_t k = t->o.num_negatives, stream = t->o.pairing == SSLCV_BANK_SINGLE ? term : 0;
    const double z = t->z[t->o.shared_z ? 0 : term];
    double total = 0.0;
    int64_t i, j;

    for (i = 0; i < t->samples; i++) {
        twin_scores(t, inputs, term, i, s);
        if (t->o.estimator == SSLCV_ESTIMATOR_SOFTMAX) {
            double sum = 0.0;

            for (j = 0; j <= k; j++) sum += exp(s[j] - s[0]);
            total += log(sum);
            continue;
        }
        for (j = 0; j <= k; j++) {
            const int64_t row = j == 0 ? t->ids[i] : t->rows[(stream * t->samples + i) * k + j - 1];
            const double p = exp(s[j]) / z, noise = (double)k * share(t, row);

            total -= log((j == 0 ? p : noise) / (p + noise + t->o.epsilon));
        }
    }
    return total / (double)t->samples;
}

static double twin_value(void *user, const double *const *inputs)
{
    const twin *t = user;
    double total = 0.0;
    int64_t i;

    for (i = 0; i < t->num_terms; i++) {
        double weight = 1.0;

        if (t->o.pairing == SSLCV_BANK_SINGLE && t->num_terms == 2) weight = i == 0 ? t->o.balance : 1.0 - t->o.balance;
        total += weight * twin_term(t, inputs, i);
    }
    return total;
}

/* Banks, draws and Z as they stand before the next call of these inputs. */
static void read_twin(twin *t, sslcv_loss *loss, const loss_test *test)
{
    const int64_t banks = t->o.pairing == SSLCV_BANK_SINGLE ? 1 : t->o.num_inputs;
    static float rows[MAX_BANK];
    static double s[1 << 14], inputs[4][LOSS_MAX_VALUES];
    const double *in[4];
    int64_t b, i, j;

    list_terms(t);
    ck_assert_int_le(t->o.num_samples * t->o.dim, MAX_BANK);
    for (b = 0; b < banks; b++) {
        loss_read(loss, bank_name(b), SSLCV_STATE_VALUE, SSLCV_F32, t->o.num_samples * t->o.dim, rows);
        for (i = 0; i < t->o.num_samples * t->o.dim; i++) t->banks[b][i] = (double)rows[i];
    }
    ck_assert_int_le(sslcv__nce_bank_streams(loss) * t->samples * t->o.num_negatives, MAX_DRAWS);
    OK(sslcv__nce_bank_get_draws(loss, t->ids, t->samples, t->rows));
    if (t->o.estimator != SSLCV_ESTIMATOR_NCE) return;
    loss_read(loss, "z", SSLCV_STATE_VALUE, SSLCV_F64, t->o.shared_z ? 1 : t->num_terms, t->z);
    for (i = 0; i < t->o.num_inputs; i++) {
        for (j = 0; j < loss_test_count(test, i); j++) {
            inputs[i][j] = (double)((const float *)test->inputs[i].data)[j];
        }
        in[i] = inputs[i];
    }
    for (b = 0; b < (t->o.shared_z ? 1 : t->num_terms); b++) {
        double sum = 0.0;

        if (t->z[b] != 0.0) continue;
        for (i = 0; i < t->samples; i++) {
            twin_scores(t, in, b, i, s);
            for (j = 0; j <= t->o.num_negatives; j++) sum += exp(s[j]);
        }
        t->z[b] = (double)t->o.num_samples * sum / (double)(t->samples * (t->o.num_negatives + 1));
    }
}

/* ---- published values ---- */

static const int64_t golden_ids[4] = {2, 0, 5, 3};
static const int64_t golden_draws[2][4][3] = {{{1, 4, 0}, {3, 3, 5}, {2, 1, 4}, {0, 2, 5}},
                                              {{3, 5, 1}, {2, 4, 1}, {0, 0, 3}, {4, 1, 2}}};

START_TEST(cmc_has_the_published_values)
{
    static const double d0[4] = {1.03202075, -0.61753725, -2.70764882, 2.63253252};
    static const double d1[4] = {-0.30153917, 0.90030207, 2.34837432, 3.34145119};
    static const double row[4] = {-0.034549, 0.504304, -0.605116, -0.615076};
    sslcv_context *context = f32_context();
    int32_t estimator;
    int64_t i;

    for (estimator = 0; estimator < 2; estimator++) {
        const sslcv_nce_bank_options o = options_of(6, 3, 4, SSLCV_BANK_CORE, 2, estimator);
        sslcv_loss *loss = new_loss(context, &o);
        float x[2][16], diff[2][16], bank[2][24];
        double z[2];
        loss_test test;

        loss_test_init(&test);
        for (i = 0; i < 2; i++) {
            golden_input(i + 1, 16, x[i]);
            golden_input(i + 4, 24, bank[i]);
            loss_write(loss, bank_name(i), SSLCV_STATE_VALUE, SSLCV_F32, 24, bank[i]);
            loss_test_add(&test, 1, 4, 1, 4, x[i], diff[i]);
        }
        test.call.ids = golden_ids;
        sslcv__nce_bank_set_draws(loss, &golden_draws[0][0][0]);
        loss_value(loss, &test);
        if (estimator == SSLCV_ESTIMATOR_SOFTMAX) {
            CLOSE(test.call.value, 0.31628409 + 3.04334036, 1e-5);
            CLOSE(loss_metric(loss, "mi_bound"), log(4.0) - test.call.value / 2.0, 1e-9);
            ck_assert(loss_metric(loss, "z") == 0.0);
        } else {
            CLOSE(test.call.value, 6.58067495, 1e-5);
            loss_read(loss, "z", SSLCV_STATE_VALUE, SSLCV_F64, 2, z);
            CLOSE(z[0], 2273.25102619, 1e-5);
            CLOSE(z[1], 252.04766755, 1e-5);
            ck_assert(loss_metric(loss, "z") == z[0] && loss_metric(loss, "mi_bound") == 0.0);
            for (i = 0; i < 4; i++) {
                CLOSE((double)diff[0][i], d0[i], 1e-5);
                CLOSE((double)diff[1][i], d1[i], 1e-5);
            }
        }
        loss_read(loss, "bank.0", SSLCV_STATE_VALUE, SSLCV_F32, 24, bank[0]);
        for (i = 0; i < 4; i++) CLOSE((double)bank[0][8 + i], row[i], 1e-6);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(pirl_has_the_published_values)
{
    static const double values[2][3] = {{9.56885793, 13.85969501, 11.71427647},
                                        {7.25987868, 7.74636276, 0.5 * (7.25987868 + 7.74636276)}};
    static const double balances[3] = {1.0, 0.0, 0.5};
    sslcv_context *context = f32_context();
    int32_t estimator;
    int64_t i, c;

    for (estimator = 0; estimator < 2; estimator++) {
        sslcv_nce_bank_options o = options_of(6, 3, 4, SSLCV_BANK_SINGLE, 2, estimator);
        float x[2][16], diff[2][16], bank[24], zero[16] = {0};
        sslcv_loss *loss;
        double z;
        loss_test test;

        o.epsilon = 0x1p-23;
        o.shared_z = o.unit_init = 1;
        loss = new_loss(context, &o);
        golden_rows(6, 6, 4, bank);
        loss_write(loss, "bank.0", SSLCV_STATE_VALUE, SSLCV_F32, 24, bank);
        loss_test_init(&test);
        for (i = 0; i < 2; i++) {
            golden_rows(i + 1, 4, 4, x[i]);
            loss_test_add(&test, 1, 4, 1, 4, x[i], diff[i]);
        }
        test.call.ids = golden_ids;
        test.call.flags = 0;
        sslcv__nce_bank_set_draws(loss, &golden_draws[0][0][0]);
        for (c = 0; c < 3; c++) {
            OK(sslcv_loss_set(loss, "balance", balances[c]));
            CLOSE(loss_value(loss, &test), values[estimator][c], 1e-5);
            if (c < 2) ck_assert_mem_eq(diff[c], zero, sizeof zero); /* the other one's gradient */
        }
        test.call.flags = SSLCV_CALL_REMEMBER;
        loss_value(loss, &test);
        if (estimator == SSLCV_ESTIMATOR_NCE) {
            loss_read(loss, "z", SSLCV_STATE_VALUE, SSLCV_F64, 1, &z);
            CLOSE(z, 95508.73706782, 1e-5);
        }
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- comparison ---- */

static sslcv_nce_bank_options random_options(sslcv__rng *rng, double *weights)
{
    static const double temperatures[] = {0.07, 0.1, 0.3, 1.0};
    const int64_t rows = 1 + sslcv__rng_below(rng, 40), dim = 1 + sslcv__rng_below(rng, rows < 20 ? 80 : 20);
    const int32_t pairing = (int32_t)sslcv__rng_below(rng, 3), single = pairing == SSLCV_BANK_SINGLE;
    const int64_t inputs = single ? 1 + sslcv__rng_below(rng, 2) : 2 + sslcv__rng_below(rng, 3);
    sslcv_nce_bank_options o =
        options_of(rows, 1 + sslcv__rng_below(rng, 150), dim, pairing, inputs, (int32_t)sslcv__rng_below(rng, 2));
    int64_t i;

    o.temperature = temperatures[sslcv__rng_below(rng, 4)];
    o.epsilon = sslcv__rng_below(rng, 2) ? 1e-7 : 0.01;
    o.balance = sslcv__rng_uniform(rng);
    o.shared_z = (int32_t)sslcv__rng_below(rng, 2);
    o.unit_init = (int32_t)sslcv__rng_below(rng, 2);
    o.bank_dtype = sslcv__rng_below(rng, 2) ? SSLCV_F32 : SSLCV_BF16;
    o.seed = 1 + (uint64_t)sslcv__rng_below(rng, 1000);
    if (sslcv__rng_below(rng, 3) == 0 && o.num_negatives < rows) o.exclude_self = 1;
    if (o.exclude_self || sslcv__rng_below(rng, 2)) return o;
    for (i = 0; i < rows; i++) weights[i] = 0.1 + sslcv__rng_uniform(rng);
    o.row_weights = weights;
    return o;
}

START_TEST(equals_its_twin)
{
    static twin t;
    static float x[4][LOSS_MAX_VALUES], diff[4][LOSS_MAX_VALUES];
    double weights[64];
    sslcv_context *context = new_context(NULL, 2);
    sslcv__rng rng;
    int trial;

    sslcv__rng_init(&rng, 4, 4, 4);
    for (trial = 0; trial < 100; trial++) {
        sslcv_loss *loss;
        loss_test test;
        int64_t i;

        t.o = random_options(&rng, weights);
        t.samples = 1 + sslcv__rng_below(&rng, t.o.dim > 20 ? 2 : 5);
        loss = new_loss(context, &t.o);
        loss_test_init(&test);
        for (i = 0; i < t.samples; i++) t.ids[i] = sslcv__rng_below(&rng, t.o.num_samples);
        for (i = 0; i < t.o.num_inputs; i++) {
            random_values(&rng, t.samples * t.o.dim, i == 1 ? 10.0 : 1.0, x[i]);
            /* With one row its parts cancel, and what is left of a gradient is rounding. */
            loss_test_add(&test, 1, t.samples, 1, t.o.dim, x[i], t.o.num_samples > 1 ? diff[i] : NULL);
        }
        test.call.ids = t.ids;
        test.call.scale = trial % 2 ? 1.0 : -3.0;
        /* The second call has Z and other draws. */
        for (i = 0; i < 2; i++) {
            read_twin(&t, loss, &test);
            check_twin(loss, &test, twin_value, &t, NULL, 0, 1e-5, 1e-4);
        }
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- identities ---- */

START_TEST(equal_scores)
{
    static fixture f;
    sslcv_context *context = f32_context();
    int32_t estimator;
    int64_t i, k;

    for (estimator = 0; estimator < 2; estimator++) {
        for (k = 1; k <= 16384; k *= 128) {
            sslcv_nce_bank_options o = options_of(50, k, 8, SSLCV_BANK_CORE, 2, estimator);
            const double all = log((double)k + 1.0);

            o.epsilon = 0.0;
            set_up(&f, context, &o, 3);
            for (i = 0; i < bank_count(&f); i++) f.bank[i] = (float)(i % 8 == 0);
            for (i = 0; i < 24; i++) f.x[0][i] = f.x[1][i] = (float)(i % 8);
            write_bank(&f, 0);
            write_bank(&f, 1);
            CLOSE(loss_value(f.loss, &f.test), 2.0 * (estimator ? all : all + (double)k * log(1.0 + 1.0 / (double)k)),
                  1e-6);
            if (estimator) CLOSE(loss_metric(f.loss, "mi_bound"), 0.0, 1e-6);
            /* Other rows tie with m_0; the own one, if drawn, does not count. */
            ck_assert(loss_metric(f.loss, "top1") < 1.0 && (k < 128 || loss_metric(f.loss, "top1") == 0.0));
            sslcv_loss_destroy(f.loss);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(perfect_positive)
{
    enum { K = 30 };
    static fixture f;
    sslcv_context *context = f32_context();
    sslcv_nce_bank_options o = options_of(40, K, 16, SSLCV_BANK_SINGLE, 1, SSLCV_ESTIMATOR_SOFTMAX);
    int64_t i;

    o.exclude_self = 1;
    set_up(&f, context, &o, 2);
    f.ids[1] = f.ids[0];
    for (i = 0; i < bank_count(&f); i++) f.bank[i] = (float)(i % 16 == (i / 16 == f.ids[0] ? 3 : 5));
    write_bank(&f, 0);
    for (i = 0; i < 32; i++) f.x[0][i] = i % 16 == 3 ? 2.5f : 0.0f;
    CLOSE(loss_value(f.loss, &f.test), log(1.0 + K * exp(-1.0 / 0.07)), 1e-6);
    ck_assert(loss_metric(f.loss, "top1") == 1.0);
    sslcv_loss_destroy(f.loss);
    sslcv_context_destroy(context);
}
END_TEST

/* Both banks hold the batch's unit rows, every other row is drawn: InfoNCE within the batch, in both directions. */
START_TEST(full_banks_are_in_batch_contrast)
{
    enum { N = 7, D = 10 };
    static fixture f, g;
    sslcv_context *context = f32_context();
    sslcv_nce_bank_options o = options_of(N, N - 1, D, SSLCV_BANK_CORE, 2, SSLCV_ESTIMATOR_SOFTMAX);
    sslcv_info_nce_options in_batch;
    sslcv_loss *other;
    double sum;
    int64_t i;

    o.exclude_self = 1;
    o.bank_momentum = 0.0;
    set_up(&f, context, &o, N);
    for (i = 0; i < N; i++) f.ids[i] = i;
    loss_value(f.loss, &f.test);
    OK(sslcv_info_nce_options_init(&in_batch, sizeof in_batch));
    in_batch.temperature = o.temperature;
    OK(sslcv_loss_create_info_nce(context, &in_batch, &other));
    loss_test_init(&g.test);
    for (i = 0; i < 2; i++) loss_test_add(&g.test, 1, N, 1, D, f.x[i], g.diff[i]);
    sum = loss_value(other, &g.test);
    g.test.inputs[0].data = f.x[1];
    g.test.inputs[1].data = f.x[0];
    sum += loss_value(other, &g.test);
    CLOSE(loss_value(f.loss, &f.test), sum, 1e-5);
    sslcv_loss_destroy(other);
    sslcv_loss_destroy(f.loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(pairings)
{
    static fixture core, full;
    sslcv_context *context = f32_context();
    int32_t estimator;

    for (estimator = 0; estimator < 2; estimator++) {
        sslcv_nce_bank_options o = options_of(20, 9, 6, SSLCV_BANK_CORE, 2, estimator);

        set_up(&core, context, &o, 4);
        o.pairing = SSLCV_BANK_FULL;
        set_up(&full, context, &o, 4);
        ck_assert(loss_value(core.loss, &core.test) == loss_value(full.loss, &full.test));
        ck_assert_mem_eq(core.diff[0], full.diff[0], 24 * sizeof(float));
        sslcv_loss_destroy(core.loss);
        sslcv_loss_destroy(full.loss);
        /* 3 pairs, and 6, each of two terms that are log(K + 1) and more at collapse. */
        o.num_inputs = 4;
        o.epsilon = 0.0;
        o.estimator = SSLCV_ESTIMATOR_SOFTMAX;
        set_up(&full, context, &o, 4);
        o.pairing = SSLCV_BANK_CORE;
        set_up(&core, context, &o, 4);
        memset(core.x, 0, sizeof core.x);
        memset(full.x, 0, sizeof full.x);
        CLOSE(loss_value(core.loss, &core.test), 6.0 * log(10.0), 1e-6);
        CLOSE(loss_value(full.loss, &full.test), 12.0 * log(10.0), 1e-6);
        sslcv_loss_destroy(core.loss);
        sslcv_loss_destroy(full.loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(gradients_are_orthogonal_to_their_rows)
{
    static fixture f;
    static float before[1 << 12];
    sslcv_context *context = f32_context();
    int32_t estimator;
    int64_t i, d;

    for (estimator = 0; estimator < 2; estimator++) {
        const sslcv_nce_bank_options o = options_of(30, 50, 20, SSLCV_BANK_CORE, 2, estimator);
        double value;

        set_up(&f, context, &o, 5);
        f.test.call.flags = 0;
        value = loss_value(f.loss, &f.test);
        memcpy(before, f.diff[0], sizeof before);
        for (i = 0; i < 5; i++) {
            double sum = 0.0, size = 0.0;

            for (d = 0; d < 20; d++) {
                sum += (double)f.x[0][i * 20 + d] * (double)f.diff[0][i * 20 + d];
                size += fabs((double)f.x[0][i * 20 + d] * (double)f.diff[0][i * 20 + d]);
            }
            ck_assert(size > 1e-4 && fabs(sum) < 1e-5 * size);
        }
        /* The length of an input does not matter; gradients shrink with it. */
        for (i = 0; i < 100; i++) f.x[0][i] *= 4.0f;
        CLOSE(loss_value(f.loss, &f.test), value, 1e-12);
        for (i = 0; i < 100; i++) CLOSE(4.0 * (double)f.diff[0][i], (double)before[i], 1e-6);
        sslcv_loss_destroy(f.loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- edges ---- */

static int all_finite(const fixture *f)
{
    int64_t i, j;

    for (i = 0; i < f->o.num_inputs; i++) {
        for (j = 0; j < loss_test_count(&f->test, i); j++) {
            if (!isfinite(f->diff[i][j])) return 0;
        }
    }
    return isfinite(f->test.call.value);
}

START_TEST(extremes_stay_finite)
{
    static const double temperatures[] = {1e-300, 1e-30, 1e-6, 1e-3, 0.01, 1e3, 1e300};
    static const double epsilons[] = {0.0, 1e-300, 1.0, 1e30, 1e300};
    static fixture f;
    sslcv_context *context = f32_context();
    size_t t, e;
    int32_t estimator, any = 0;
    sslcv_status status;

    for (t = 0; t < 7; t++) {
        for (e = 0; e < 5; e++) {
            for (estimator = 0; estimator < 2; estimator++) {
                sslcv_nce_bank_options o = options_of(30, 100, 8, SSLCV_BANK_SINGLE, 2, estimator);
                double z = 30.0;

                o.temperature = temperatures[t];
                o.epsilon = epsilons[e];
                set_up(&f, context, &o, 4);
                memset(f.x[0], 0, 8 * sizeof(float)); /* a zero row */
                if (estimator == SSLCV_ESTIMATOR_NCE && t < 4) {
                    /* No number is e^1000. */
                    status = sslcv_loss_compute(f.loss, &f.test.call);
                    ck_assert(status == SSLCV_ERR_NUMERIC || all_finite(&f));
                    sslcv_loss_destroy(f.loss);
                    o.shared_z = 1;
                    set_up(&f, context, &o, 4);
                    loss_write(f.loss, "z", SSLCV_STATE_VALUE, SSLCV_F64, 1, &z);
                }
                status = sslcv_loss_compute(f.loss, &f.test.call);
                ck_assert(status == SSLCV_ERR_NUMERIC || (status == SSLCV_OK && all_finite(&f)));
                any += status == SSLCV_OK;
                sslcv_loss_destroy(f.loss);
            }
        }
    }
    ck_assert_int_gt(any, 50);
    sslcv_context_destroy(context);
}
END_TEST

/* Sharp scores, far outside of a float's exponentials, against the twin with logarithms. */
START_TEST(large_scores_are_exact)
{
    static fixture f;
    sslcv_context *context = f32_context();
    sslcv_nce_bank_options o = options_of(2, 5, 2, SSLCV_BANK_SINGLE, 1, SSLCV_ESTIMATOR_NCE);
    double z = 1.0;

    o.temperature = 1e-3;
    set_up(&f, context, &o, 1);
    f.ids[0] = 0;
    memset(f.bank, 0, sizeof f.bank);
    f.bank[0] = -1.0f;
    f.bank[2] = 1.0f;
    write_bank(&f, 0);
    loss_write(f.loss, "z", SSLCV_STATE_VALUE, SSLCV_F64, 1, &z);
    f.x[0][0] = 3.0f;
    f.x[0][1] = 0.0f;
    sslcv__nce_bank_set_draws(f.loss, (const int64_t[5]){1, 1, 1, 0, 1});
    /* s = -1000, 1000 x 4; noise 5/2: log(P_0 / ..) = -1000 - log 2.5, log(.. / P_j) = log 2.5 - 1000. */
    CLOSE(loss_value(f.loss, &f.test), 1000.0 + log(2.5) + 4.0 * (1000.0 - log(2.5)), 1e-9);
    ck_assert(all_finite(&f) && f.diff[0][0] == 0.0f);
    sslcv_loss_destroy(f.loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(damaged_banks_are_refused)
{
    static const float bad[] = {NAN, INFINITY, 1e38f};
    static fixture f;
    sslcv_context *context = f32_context();
    int32_t estimator;
    size_t b;

    for (estimator = 0; estimator < 2; estimator++) {
        for (b = 0; b < 3; b++) {
            const sslcv_nce_bank_options o = options_of(10, 100, 24, SSLCV_BANK_SINGLE, 1, estimator);
            sslcv_status status;

            set_up(&f, context, &o, 3);
            read_bank(&f, 0);
            memcpy(&f.bank[24 * 5], &bad[b], sizeof bad[b]);
            f.bank[24 * 5 + 20] = -f.bank[24 * 5];
            write_bank(&f, 0);
            status = sslcv_loss_compute(f.loss, &f.test.call);
            ck_assert(status == SSLCV_ERR_NUMERIC || (b == 2 && status == SSLCV_OK && all_finite(&f)));
            sslcv_loss_destroy(f.loss);
        }
    }
    sslcv_context_destroy(context);
}
END_TEST

/* ---- metrics ---- */

START_TEST(top1_counts_rows_that_win)
{
    static const int64_t draws[2][3] = {{0, 0, 1}, {1, 1, 0}};
    static fixture f;
    sslcv_context *context = f32_context();
    sslcv_nce_bank_options o = options_of(2, 3, 2, SSLCV_BANK_SINGLE, 1, SSLCV_ESTIMATOR_SOFTMAX);

    o.bank_momentum = 1.0;
    set_up(&f, context, &o, 2);
    f.ids[0] = 0;
    f.ids[1] = 1;
    memcpy(f.bank, (const float[4]){1, 0, 0, 1}, 4 * sizeof(float));
    write_bank(&f, 0);
    sslcv__nce_bank_set_draws(f.loss, &draws[0][0]);
    memcpy(f.x[0], (const float[4]){1, 0, 1, 0}, 4 * sizeof(float));
    loss_value(f.loss, &f.test);
    ck_assert(loss_metric(f.loss, "top1") == 0.5);
    memcpy(f.x[0], (const float[4]){1, 0, 0, 1}, 4 * sizeof(float));
    loss_value(f.loss, &f.test);
    ck_assert(loss_metric(f.loss, "top1") == 1.0); /* own rows that were drawn are no rivals */
    memcpy(f.x[0], (const float[4]){1, 1, 1, 1}, 4 * sizeof(float));
    loss_value(f.loss, &f.test);
    ck_assert(loss_metric(f.loss, "top1") == 0.0);
    CLOSE(loss_metric(f.loss, "mi_bound"), 0.0, 1e-7);
    sslcv_loss_destroy(f.loss);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_nce_bank");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 120);
    tcase_add_test(all, cmc_has_the_published_values);
    tcase_add_test(all, pirl_has_the_published_values);
    tcase_add_test(all, equals_its_twin);
    tcase_add_test(all, equal_scores);
    tcase_add_test(all, perfect_positive);
    tcase_add_test(all, full_banks_are_in_batch_contrast);
    tcase_add_test(all, pairings);
    tcase_add_test(all, gradients_are_orthogonal_to_their_rows);
    tcase_add_test(all, extremes_stay_finite);
    tcase_add_test(all, large_scores_are_exact);
    tcase_add_test(all, damaged_banks_are_refused);
    tcase_add_test(all, top1_counts_rows_that_win);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
