/*
 * The products are our own: oneDNN 2.6 has none in double, and in f32 the gradient's rounding stops L-BFGS before the
 * solution, the sooner the larger C is. A tile is 8 x 8 sums in registers; both products are made of it.
 *
 *     scores of 8 rows:             inputs (8 rows, depth) x a panel of parameters (depth, 8)
 *     gradient of 8 dimensions:     inputs^T (8 dimensions, block) x a panel of dl/dz (block, 8)
 *
 * Every sum runs over one tile's terms in order, whichever thread has it.
 */
#include "eval/objective.h"

#include "core/checked.h"
#include "core/memory.h"
#include "core/simd.h"

#include <math.h>
#include <string.h>

enum {
    LANES = SSLCV__LANES,
    BLOCK = 512 /* rows at once: two joins of the threads a block, and inputs that the cache holds */
};

typedef double lanes __attribute__((vector_size(64), may_alias));

/* tile[m] += sum over terms t of a[m * across + t * along] * b[t] */
SSLCV__CLONES static void add_tile(const double *a, int64_t across, int64_t along, int64_t terms, const double *b,
                                   double *tile)
{
    const lanes *term = (const lanes *)(const void *)b;
    lanes *sum = (lanes *)(void *)tile;
    lanes s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3], s4 = sum[4], s5 = sum[5], s6 = sum[6], s7 = sum[7];
    int64_t t;

    for (t = 0; t < terms; t++, a += along) {
        const lanes v = term[t];

        s0 += a[0] * v;
        s1 += a[across] * v;
        s2 += a[2 * across] * v;
        s3 += a[3 * across] * v;
        s4 += a[4 * across] * v;
        s5 += a[5 * across] * v;
        s6 += a[6 * across] * v;
        s7 += a[7 * across] * v;
    }
    sum[0] = s0;
    sum[1] = s1;
    sum[2] = s2;
    sum[3] = s3;
    sum[4] = s4;
    sum[5] = s5;
    sum[6] = s6;
    sum[7] = s7;
}

sslcv_status sslcv__objective_begin(sslcv__objective *o)
{
    const int64_t dim = o->features->d;
    sslcv_status status;

    o->panels = (o->classes + LANES - 1) / LANES;
    /* An odd number of cache lines: columns of inputs would else fall into few sets of the cache. */
    o->depth = dim / LANES * LANES + LANES;
    if (o->depth / LANES % 2 == 0) o->depth += LANES;
    SSLCV__TRY(sslcv__alloc_array(o->context, BLOCK * (int64_t)sizeof(float), dim, (void **)&o->formed));
    SSLCV__TRY(sslcv__alloc_array(o->context, BLOCK * (int64_t)sizeof(double), o->depth, (void **)&o->inputs));
    SSLCV__TRY(sslcv__alloc_array(o->context, BLOCK * LANES * (int64_t)sizeof(double), o->panels, (void **)&o->scores));
    SSLCV__TRY(sslcv__alloc_array(o->context, BLOCK, sizeof(double), (void **)&o->losses));
end:
    return status;
}

void sslcv__objective_end(sslcv__objective *o)
{
    sslcv__free(o->context, o->formed);
    sslcv__free(o->context, o->inputs);
    sslcv__free(o->context, o->scores);
    sslcv__free(o->context, o->losses);
}

int64_t sslcv__objective_size(const sslcv__objective *o)
{
    const int64_t factors[3] = {o->panels, o->depth, LANES};
    int64_t size;

    return sslcv__product(factors, 3, &size) && size <= INT32_MAX ? size : 0;
}

/* Scores of rows first .. first + 7 of the block, of which count are there. */
static void score_rows(const sslcv__objective *o, const int64_t *rows, int64_t first, int64_t count,
                       const double *parameters)
{
    const int64_t dim = o->features->d;
    double *inputs = o->inputs + first * o->depth;
    int64_t i, j, p;

    for (i = 0; i < LANES; i++) {
        double *input = inputs + i * o->depth;
        float *formed = o->formed + (first + i) * dim;
        const float *given;

        if (i >= count) {
            memset(input, 0, (size_t)o->depth * sizeof *input);
            continue;
        }
        given = o->features->data + rows[first + i] * dim;
        if (o->form.kind != SSLCV_STANDARDIZE_NONE) {
            sslcv__row_form_apply(&o->form, given, dim, formed);
            given = formed;
        }
        for (j = 0; j < dim; j++) input[j] = given[j];
        for (input[j++] = 1; j < o->depth; j++) input[j] = 0;
    }
    for (p = 0; p < o->panels; p++) {
        double *tile = o->scores + (p * BLOCK + first) * LANES;

        memset(tile, 0, LANES * LANES * sizeof *tile);
        add_tile(inputs, o->depth, 1, dim + 1, parameters + p * o->depth * LANES, tile);
    }
}

static double *score_of(const sslcv__objective *o, int64_t i, int64_t c)
{
    return o->scores + (c / LANES * BLOCK + i) * LANES + c % LANES;
}

/* Where the 8 scores of a row in a panel are, and how many of them are classes. */
static double *panel_row(const sslcv__objective *o, int64_t p, int64_t i, int64_t *classes)
{
    const int64_t left = o->classes - p * LANES;

    *classes = left < LANES ? left : LANES;
    return o->scores + (p * BLOCK + i) * LANES;
}

/* Scores of row i of the block become dl/dz, 0 for classes that are not there. @return l. */
static double softmax_row(const sslcv__objective *o, int64_t i, int64_t label)
{
    const double own = *score_of(o, i, label);
    double largest = own, sum = 0;
    int64_t p, c, classes;

    for (p = 0; p < o->panels; p++) {
        const double *z = panel_row(o, p, i, &classes);

        for (c = 0; c < classes; c++) largest = z[c] > largest ? z[c] : largest;
    }
    for (p = 0; p < o->panels; p++) {
        double *z = panel_row(o, p, i, &classes);

        for (c = 0; c < LANES; c++) z[c] = c < classes ? exp(z[c] - largest) : 0;
        for (c = 0; c < classes; c++) sum += z[c];
    }
    for (p = 0; p < o->panels; p++) {
        double *z = panel_row(o, p, i, &classes);

        for (c = 0; c < classes; c++) z[c] /= sum;
    }
    *score_of(o, i, label) -= 1;
    return largest - own + log(sum);
}

/* The same for targets. */
static double logistic_row(const sslcv__objective *o, int64_t i, const float *targets)
{
    double loss = 0;
    int64_t p, c, classes;

    for (p = 0; p < o->panels; p++) {
        double *z = panel_row(o, p, i, &classes);

        for (c = 0; c < LANES; c++) {
            const double target = c < classes ? targets[p * LANES + c] : -1, small = exp(z[c] < 0 ? z[c] : -z[c]);

            if (target >= 0) loss += (z[c] > 0 ? z[c] : 0) - target * z[c] + log1p(small);
            z[c] = target < 0 ? 0 : (z[c] > 0 ? 1 : small) / (1 + small) - target;
        }
    }
    return loss;
}

/* Rows first .. first + 7 of the block: from features to dl/dz and losses. */
static void differentiate_rows(const sslcv__objective *o, const int64_t *rows, int64_t first, int64_t count,
                               const double *parameters)
{
    int64_t i, p;

    score_rows(o, rows, first, count, parameters);
    for (i = first; i < first + LANES; i++) {
        o->losses[i] = 0;
        if (i < first + count) {
            o->losses[i] = o->labels ? softmax_row(o, i, o->labels[rows[i]])
                                     : logistic_row(o, i, o->targets + rows[i] * o->classes);
        } else { /* behind the last row */
            for (p = 0; p < o->panels; p++) memset(score_of(o, i, p * LANES), 0, LANES * sizeof(double));
        }
    }
}

/* One block of rows, added to gradient. @return Their losses. */
static double add_block(const sslcv__objective *o, const int64_t *rows, int64_t count, const double *parameters,
                        double *gradient)
{
    const int64_t strips = (count + LANES - 1) / LANES, tiles = o->depth / LANES * o->panels;
    double sum = 0;
    int64_t i;

#pragma omp parallel for schedule(static)
    for (i = 0; i < strips; i++) {
        const int64_t left = count - i * LANES;

        differentiate_rows(o, rows, i * LANES, left < LANES ? left : LANES, parameters);
    }
#pragma omp parallel for schedule(static)
    for (i = 0; i < tiles; i++) {
        const int64_t p = i % o->panels, first = i / o->panels * LANES;

        add_tile(o->inputs + first, 1, o->depth, strips * LANES, o->scores + p * BLOCK * LANES,
                 gradient + (p * o->depth + first) * LANES);
    }
    for (i = 0; i < count; i++) sum += o->losses[i];
    return sum;
}

double sslcv__objective_evaluate(sslcv__objective *o, double c, const int64_t *rows, int64_t count,
                                 const double *parameters, double *gradient)
{
    const int64_t weights = o->features->d * LANES, panel = o->depth * LANES;
    double value = 0, square = 0;
    int64_t first, p, j;

    memset(gradient, 0, (size_t)(o->panels * panel) * sizeof *gradient);
    for (first = 0; first < count; first += BLOCK) {
        value += add_block(o, rows + first, count - first < BLOCK ? count - first : BLOCK, parameters, gradient);
    }
    for (p = 0; p < o->panels; p++) {
        for (j = p * panel; j < p * panel + weights; j++) {
            square += parameters[j] * parameters[j];
            gradient[j] += parameters[j] / c;
        }
    }
    return value + square / (2 * c);
}

void sslcv__objective_score(sslcv__objective *o, const int64_t *rows, int64_t count, const double *parameters,
                            float *scores)
{
    int64_t first;

    for (first = 0; first < count; first += BLOCK) {
        const int64_t block = count - first < BLOCK ? count - first : BLOCK, strips = (block + LANES - 1) / LANES;
        int64_t i, c;

#pragma omp parallel for schedule(static)
        for (i = 0; i < strips; i++) {
            const int64_t left = block - i * LANES;

            score_rows(o, rows + first, i * LANES, left < LANES ? left : LANES, parameters);
        }
        for (i = 0; i < block; i++) {
            for (c = 0; c < o->classes; c++) scores[(first + i) * o->classes + c] = (float)*score_of(o, i, c);
        }
    }
}
