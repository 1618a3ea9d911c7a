#include "cpc_support.h"

/* ---- the twin ---- */

typedef struct twin {
    sslcv_cpc_options o;
    int64_t samples, draws;
    const char *names[MAX_PARAMETERS]; /* all parameters, in the order of the state */
    double values[MAX_PARAMETERS][MAX_WIDTH * MAX_WIDTH];
    int64_t given[MAX_PARAMETERS]; /* place among the twin's inputs; -1: values */
    int64_t num_parameters;
    char text[MAX_PARAMETERS][40];
    double top1, mean;
} twin;

/* The grid turned counter-clockwise, once: the last column becomes the first row. */
static void turn(int64_t *grid, int64_t *rows, int64_t *columns)
{
    int64_t old[MAX_PLACES], i, j;
    const int64_t r = *rows, c = *columns;

    memcpy(old, grid, sizeof old);
    for (i = 0; i < c; i++) {
        for (j = 0; j < r; j++) grid[i * r + j] = old[j * c + c - 1 - i];
    }
    *rows = c;
    *columns = r;
}

static const double *parameter(const twin *t, const double *const *inputs, int64_t i)
{
    return t->given[i] >= 0 ? inputs[2 + t->given[i]] : t->values[i];
}

static double twin_score(const twin *t, const double *const *inputs, int64_t d, int64_t k, const double *c,
                         const double *z)
{
    const sslcv_cpc_options *o = &t->o;
    const int64_t offsets = o->last_offset - o->first_offset + 1, cd = context_dim(o);
    const int64_t each = o->target_dim ? 2 : 1, first = d * (offsets * each + (o->target_dim ? 2 : 0));
    const double *w = parameter(t, inputs, first + (k - o->first_offset) * each);
    double s = 0.0;
    int64_t i, j;

    if (o->target_dim == 0) {
        for (i = 0; i < cd; i++) {
            for (j = 0; j < o->dim; j++) s += c[i] * w[i * o->dim + j] * z[j];
        }
        return o->score_scale * s;
    }
    for (i = 0; i < o->target_dim; i++) {
        const double *b = parameter(t, inputs, first + offsets * 2);
        double p = parameter(t, inputs, first + (k - o->first_offset) * 2 + 1)[i];
        double q = parameter(t, inputs, first + offsets * 2 + 1)[i];

        for (j = 0; j < cd; j++) p += w[i * cd + j] * c[j];
        for (j = 0; j < o->dim; j++) q += b[i * o->dim + j] * z[j];
        s += p * q;
    }
    return o->score_scale * s;
}

/* One place's loss. candidates: rows of z, of which the first is the positive. */
static double twin_row(twin *t, const double *const *inputs, int64_t d, int64_t k, int64_t from,
                       const int64_t *candidates, int64_t count)
{
    const sslcv_cpc_options *o = &t->o;
    const double *c = inputs[1] + (from * o->directions + d) * context_dim(o);
    double s[1 + MAX_ROWS] = {0.0}, top, sum = 0.0;
    int64_t first = 1, j;

    for (j = 0; j < count; j++) s[j] = twin_score(t, inputs, d, k, c, inputs[0] + candidates[j] * o->dim);
    for (top = s[0], j = 1; j < count; j++) {
        top = fmax(top, s[j]);
        if (candidates[j] != candidates[0] && s[j] >= s[0]) first = 0;
    }
    for (j = 0; j < count; j++) sum += exp(s[j] - top);
    t->top1 += (double)first;
    return log(sum) + top - s[0];
}

/* The streams of draws are a promise too: resumed runs meet the same negatives. */
static void twin_draws(const twin *t, int64_t d, int64_t k, int64_t from, const int64_t *to, int64_t rows,
                       int64_t *candidates)
{
    const uint64_t call = sslcv__rng_derive(t->o.seed, (uint64_t)t->draws, SSLCV__STREAM_NEGATIVES);
    sslcv__rng rng;
    int64_t j;

    sslcv__rng_init(&rng, sslcv__rng_derive(call, (uint64_t)k, (uint32_t)d), (uint64_t)from, 0);
    for (j = 1; j <= t->o.num_negatives; j++) candidates[j] = to[sslcv__rng_below(&rng, rows)];
}

static double twin_step(twin *t, const double *const *inputs, int64_t d, int64_t k)
{
    const int64_t places = t->o.rows * t->o.columns, keys = t->samples * places;
    int64_t grid[MAX_PLACES], rows = t->o.rows, columns = t->o.columns, i, j, m = 0;
    int64_t from[MAX_ROWS], to[MAX_ROWS], candidates[1 + MAX_ROWS];
    double sum = 0.0;

    for (i = 0; i < places; i++) grid[i] = i;
    for (i = 0; i < d; i++) turn(grid, &rows, &columns);
    for (i = 0; i < t->samples; i++) {
        for (j = 0; j < (rows - k) * columns; j++, m++) {
            from[m] = i * places + grid[j];
            to[m] = i * places + grid[j + k * columns];
        }
    }
    for (i = 0; i < m; i++) {
        int64_t count = 1;

        candidates[0] = to[i];
        if (t->o.num_negatives > 0) {
            twin_draws(t, d, k, from[i], to, m, candidates);
            count += t->o.num_negatives;
        } else {
            for (j = 0; j < keys; j++) {
                if (j != to[i]) candidates[count++] = j;
            }
        }
        sum += twin_row(t, inputs, d, k, from[i], candidates, count);
    }
    t->mean += (double)m; /* rows of all steps, for now */
    return sum / (double)m;
}

static double twin_value(void *user, const double *const *inputs)
{
    twin *t = user;
    const sslcv_cpc_options *o = &t->o;
    const double offsets = (double)(o->last_offset - o->first_offset + 1);
    double sum = 0.0;
    int64_t d, k;

    t->top1 = t->mean = 0.0;
    for (d = 0; d < o->directions; d++) {
        for (k = o->first_offset; k <= o->last_offset; k++) sum += twin_step(t, inputs, d, k);
    }
    t->top1 /= t->mean;
    t->mean = sum / (offsets * o->directions);
    return o->reduction == SSLCV_REDUCTION_SUM ? t->mean * offsets : t->mean;
}

static void make_twin(sslcv_loss *loss, const sslcv_cpc_options *o, int64_t samples, twin *t)
{
    sslcv_state *state;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    int64_t i, k;

    memset(t, 0, sizeof *t);
    t->o = *o;
    t->samples = samples;
    OK(sslcv_loss_get_state(loss, &state));
    for (i = 0; sslcv_state_get_entry(state, i, &entry) == SSLCV_OK; i++) {
        float values[MAX_WIDTH * MAX_WIDTH];
        sslcv_tensor tensor;

        if (strcmp(entry.name, "draws") == 0) {
            OK(sslcv_tensor_init(&tensor, SSLCV_I64, &t->draws, 0, NULL));
            OK(sslcv_state_get(state, i, SSLCV_STATE_VALUE, &tensor));
        }
        if (entry.role == SSLCV_ROLE_BUFFER) continue;
        ck_assert_int_lt(t->num_parameters, MAX_PARAMETERS);
        OK(sslcv_tensor_init(&tensor, SSLCV_F32, values, entry.ndim, entry.shape));
        OK(sslcv_state_get(state, i, SSLCV_STATE_VALUE, &tensor));
        for (k = 0; k < loss_entry_count(&entry); k++) t->values[t->num_parameters][k] = (double)values[k];
        snprintf(t->text[t->num_parameters], sizeof t->text[0], "%s", entry.name);
        t->given[t->num_parameters++] = -1;
    }
    sslcv_state_destroy(state);
}

/* ---- published values ---- */

/* Predictions and targets as they are: identity weights. form 1: bilinear, which has one factor in place of two. */
static double golden(sslcv_context *context, int64_t offset, int form, float *dz, float *dc)
{
    sslcv_cpc_options o = new_options(2, 3, 2);
    float z[24], c[24];
    sslcv_loss *loss;
    loss_test t;
    double value;

    o.first_offset = o.last_offset = offset;
    o.target_dim = form ? 0 : 2;
    o.score_scale = 0.1;
    loss = new_cpc(context, &o);
    set_identity(loss);
    golden_input(1, 24, c);
    golden_input(2, 24, z);
    set_call(&t, &o, 2, z, c, dz, dc);
    value = loss_value(loss, &t);
    CLOSE(loss_metric(loss, "mi_bound"), log(12.0) - value, 1e-9);
    sslcv_loss_destroy(loss);
    return value;
}

START_TEST(published_values_and_gradients)
{
    sslcv_context *context = new_context(NULL, 2);
    float dz[24], dc[24];

    CLOSE(golden(context, 2, _i, dz, dc), 2.49119816, 4e-9);
    CLOSE(golden(context, 1, _i, dz, dc), 2.48221345, 4e-9);
    CLOSE(dc[0] / -0.00231725, 1.0, 1e-5);
    CLOSE(dc[1] / 0.00213719, 1.0, 1e-5);
    ck_assert(dc[8] == 0.0f && dc[9] == 0.0f);
    CLOSE(dz[0] / 0.00012823, 1.0, 5e-5); /* as many digits as there are */
    CLOSE(dz[1] / 0.00023449, 1.0, 5e-5);
    sslcv_context_destroy(context);
}
END_TEST

/* Encodings are the unit vectors: the loss is 0 only where contexts name the places that are asked for. */
static void check_labels(sslcv_context *context, sslcv_cpc_options o, int64_t samples, const int64_t *labels)
{
    const int64_t keys = samples * o.rows * o.columns;
    float z[MAX_WIDTH * MAX_WIDTH] = {0}, c[4 * MAX_WIDTH * MAX_WIDTH] = {0};
    sslcv_loss *loss;
    loss_test t;
    int64_t i;

    o.dim = keys;
    loss = new_cpc(context, &o);
    set_identity(loss);
    for (i = 0; i < keys; i++) z[i * keys + i] = 1.0f;
    for (i = 0; i < keys * o.directions; i++) {
        if (labels[i] >= 0) c[i * keys + labels[i]] = 50.0f;
    }
    set_call(&t, &o, samples, z, c, NULL, NULL);
    CLOSE(loss_value(loss, &t), 0.0, 1e-6);
    ck_assert_double_eq(loss_metric(loss, "top1"), 1.0);
    sslcv_loss_destroy(loss);
}

START_TEST(contexts_predict_the_published_places)
{
    static const int64_t one[12] = {2, 3, 4, 5, -1, -1, 8, 9, 10, 11, -1, -1};
    static const int64_t two[12] = {4, 5, -1, -1, -1, -1, 10, 11, -1, -1, -1, -1};
    /* Of 0 1 2 / 3 4 5 each place's neighbour below, left, above, right. */
    static const int64_t around[24] = {3,  -1, -1, 1, 4,  0, -1, 2, 5,  1, -1, -1,
                                       -1, -1, 0,  4, -1, 3, 1,  5, -1, 4, 2,  -1};
    sslcv_context *context = new_context(NULL, 2);
    sslcv_cpc_options o = new_options(1, 3, 2);

    check_labels(context, o, 2, one);
    o.first_offset = o.last_offset = 2;
    check_labels(context, o, 2, two);
    o = new_options(1, 2, 3);
    o.directions = 4;
    check_labels(context, o, 1, around);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- identities ---- */

START_TEST(equal_scores_give_the_logarithm)
{
    sslcv_context *context = new_context(NULL, 2);
    sslcv_cpc_options o = new_options(4, 5, 3);
    float z[180], c[180];
    sslcv_loss *loss;
    loss_test t;
    int form;
    int64_t i;

    for (form = 0; form < 4; form++) {
        o.num_negatives = form % 2 ? 16 : 0;
        o.target_dim = form / 2 ? 3 : 0;
        o.last_offset = 3;
        loss = new_cpc(context, &o);
        for (i = 0; i < 180; i++) z[i] = (float)(i % 4) - 1.0f;
        golden_input(3, 180, c);
        set_call(&t, &o, 3, z, c, NULL, NULL);
        CLOSE(loss_value(loss, &t), o.num_negatives ? log(17.0) : log(45.0), 1e-6);
        CLOSE(loss_metric(loss, "mi_bound"), 0.0, 1e-6);
        ck_assert_double_eq(loss_metric(loss, "top1"), 0.0); /* a tie is not first */
        /* Zero predictions of any encodings. */
        golden_input(4, 180, z);
        memset(c, 0, sizeof c);
        if (o.target_dim) set_identity(loss);
        CLOSE(loss_value(loss, &t), o.num_negatives ? log(17.0) : log(45.0), 1e-6);
        sslcv_loss_destroy(loss);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(order_of_images_does_not_matter)
{
    enum { PLACES = 12, DIM = 5, COUNT = 3 * PLACES * DIM, IMAGE = PLACES * DIM };
    static const int64_t order[3] = {2, 0, 1};
    sslcv_context *context = new_context(NULL, 2);
    sslcv_cpc_options o = new_options(DIM, 4, 3);
    float z[2][COUNT], c[2][COUNT], dz[2][COUNT], dc[2][COUNT];
    sslcv_loss *loss;
    double values[2];
    loss_test t;
    int64_t i, k;

    o.last_offset = 2;
    loss = new_cpc(context, &o);
    golden_input(5, COUNT, z[0]);
    golden_input(6, COUNT, c[0]);
    for (i = 0; i < 3; i++) {
        memcpy(z[1] + i * IMAGE, z[0] + order[i] * IMAGE, IMAGE * sizeof(float));
        memcpy(c[1] + i * IMAGE, c[0] + order[i] * IMAGE, IMAGE * sizeof(float));
    }
    for (i = 0; i < 2; i++) {
        set_call(&t, &o, 3, z[i], c[i], dz[i], dc[i]);
        values[i] = loss_value(loss, &t);
    }
    CLOSE(values[0], values[1], 1e-6);
    for (i = 0; i < 3; i++) {
        for (k = 0; k < IMAGE; k++) {
            ck_assert_float_eq_tol(dz[1][i * IMAGE + k], dz[0][order[i] * IMAGE + k], 1e-7f);
            ck_assert_float_eq_tol(dc[1][i * IMAGE + k], dc[0][order[i] * IMAGE + k], 1e-7f);
        }
    }
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* With the grid turned, direction d sees what direction d + 1 saw; with its weights and contexts the loss is equal. */
START_TEST(turning_the_grid_permutes_directions)
{
    enum { PLACES = 12, DIM = 3, CD = 2, COUNT = 2 * PLACES * DIM };
    sslcv_context *context = new_context(NULL, 2);
    sslcv_cpc_options o = new_options(DIM, 3, 4);
    float z[2][COUNT], c[2][2 * PLACES * 4 * CD], weight[4][CD * DIM];
    int64_t grid[MAX_PLACES], rows = 3, columns = 4, d, i, n;
    sslcv_loss *loss[2];
    double values[2], wrong;
    loss_test t;
    char name[40];

    o.context_dim = CD;
    o.directions = 4;
    loss[0] = new_cpc(context, &o);
    golden_input(7, COUNT, z[0]);
    golden_input(8, 2 * PLACES * 4 * CD, c[0]);
    for (i = 0; i < 2 * PLACES * 4 * CD; i++) c[0][i] *= 8.0f;
    set_call(&t, &o, 2, z[0], c[0], NULL, NULL);
    values[0] = loss_value(loss[0], &t);

    for (i = 0; i < PLACES; i++) grid[i] = i;
    turn(grid, &rows, &columns);
    for (n = 0; n < 2; n++) {
        for (i = 0; i < PLACES; i++) {
            memcpy(z[1] + (n * PLACES + i) * DIM, z[0] + (n * PLACES + grid[i]) * DIM, DIM * sizeof(float));
            for (d = 0; d < 4; d++) {
                memcpy(c[1] + ((n * PLACES + i) * 4 + d) * CD, c[0] + ((n * PLACES + grid[i]) * 4 + (d + 1) % 4) * CD,
                       CD * sizeof(float));
            }
        }
    }
    o.rows = 4;
    o.columns = 3;
    loss[1] = new_cpc(context, &o);
    for (d = 0; d < 4; d++) {
        snprintf(name, sizeof name, "predictor.%d.1.weight", (int)d);
        loss_read(loss[0], name, SSLCV_STATE_VALUE, SSLCV_F32, CD * DIM, weight[d]);
    }
    set_call(&t, &o, 2, z[1], c[1], NULL, NULL);
    wrong = loss_value(loss[1], &t);
    for (d = 0; d < 4; d++) {
        snprintf(name, sizeof name, "predictor.%d.1.weight", (int)d);
        loss_write(loss[1], name, SSLCV_STATE_VALUE, SSLCV_F32, CD * DIM, weight[(d + 1) % 4]);
    }
    values[1] = loss_value(loss[1], &t);
    CLOSE(values[1], values[0], 1e-6);
    ck_assert_double_gt(fabs(wrong - values[0]), 1e-4);
    sslcv_loss_destroy(loss[0]);
    sslcv_loss_destroy(loss[1]);
    sslcv_context_destroy(context);
}
END_TEST

/* With equal scores a draw adds 1 / (1 + negatives) to its key's gradient, and the positive takes 1 off: the counts of
   draws can be read from dz. */
START_TEST(negatives_are_uniform_over_the_rows_that_can_be_asked_for)
{
    enum { SAMPLES = 3, PLACES = 20, NEGATIVES = 499, KEYS = SAMPLES * 16 };
    sslcv_context *context = new_context(NULL, 2);
    sslcv_cpc_options o = new_options(1, 5, 4);
    float z[SAMPLES * PLACES], c[SAMPLES * PLACES], dz[SAMPLES * PLACES];
    const double expected = NEGATIVES;
    sslcv_loss *loss;
    double chi = 0.0;
    loss_test t;
    int64_t i;

    o.num_negatives = NEGATIVES;
    loss = new_cpc(context, &o);
    set_identity(loss);
    for (i = 0; i < SAMPLES * PLACES; i++) z[i] = c[i] = 1.0f;
    set_call(&t, &o, SAMPLES, z, c, dz, NULL);
    loss_value(loss, &t);
    for (i = 0; i < SAMPLES * PLACES; i++) {
        const double drawn = ((double)dz[i] * KEYS + 1.0) * (NEGATIVES + 1) - 1.0; /* KEYS rows; its own positive */

        if (i % PLACES < 4) {
            ck_assert_float_eq(dz[i], 0.0f);
        } else {
            CLOSE(drawn, round(drawn), 1e-4);
            chi += (drawn - expected) * (drawn - expected) / expected;
        }
    }
    ck_assert_double_lt(chi, 85.0); /* 47 degrees of freedom: once in a thousand */
    ck_assert_double_gt(chi, 20.0);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(a_single_place_can_only_be_right)
{
    sslcv_context *context = new_context(NULL, 1);
    sslcv_cpc_options o = new_options(1, 2, 1);
    float z[2] = {3.0f, -2.0f}, c[2] = {1.5f, 0.5f}, dz[2], dc[2];
    sslcv_loss *loss;
    loss_test t;

    o.num_negatives = 3; /* all hit the positive: no rivals, but candidates */
    loss = new_cpc(context, &o);
    set_call(&t, &o, 1, z, c, dz, dc);
    CLOSE(loss_value(loss, &t), log(4.0), 1e-7);
    ck_assert_double_eq(loss_metric(loss, "top1"), 1.0);
    ck_assert_float_eq_tol(dz[1], 0.0f, 1e-7f);
    ck_assert(dz[0] == 0.0f && dc[1] == 0.0f);
    ck_assert_float_eq_tol(dc[0], 0.0f, 1e-7f);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- the twin ---- */

static int is_target_bias(const char *name)
{
    return strncmp(name, "target.", 7) == 0 && strcmp(name + 8, ".bias") == 0;
}

static void random_case(sslcv_context *context, sslcv__rng *rng, int round)
{
    static float z[MAX_ROWS * 6], c[MAX_ROWS * 24], dz[MAX_ROWS * 6], dc[MAX_ROWS * 24];
    static twin t;
    const char *names[LOSS_MAX_INPUTS];
    const int64_t samples = 1 + sslcv__rng_below(rng, round % 10 ? 2 : 3);
    sslcv_cpc_options o =
        new_options(1 + sslcv__rng_below(rng, 5), 2 + sslcv__rng_below(rng, 3), 1 + sslcv__rng_below(rng, 3));
    sslcv_loss *loss;
    loss_test test;
    int64_t i, p, num_names = 0, smallest;

    o.directions = o.columns > 1 && round % 3 == 0 ? 4 : 1;
    smallest = o.directions == 4 && o.columns < o.rows ? o.columns : o.rows;
    o.first_offset = 1 + sslcv__rng_below(rng, smallest - 1);
    o.last_offset = o.first_offset + sslcv__rng_below(rng, smallest - o.first_offset);
    o.context_dim = sslcv__rng_below(rng, 5);
    o.target_dim = round % 2 ? 1 + sslcv__rng_below(rng, 4) : 0;
    o.num_negatives = round % 4 < 2 ? 0 : 1 + sslcv__rng_below(rng, 20);
    o.score_scale = exp(sslcv__rng_normal(rng));
    /* A single place: its gradients are 0, and what is left of rounding is compared with 1e-7. */
    if (samples == 1 && o.last_offset == smallest - 1) o.score_scale = 0.05;
    o.reduction = round % 5 == 0 ? SSLCV_REDUCTION_SUM : SSLCV_REDUCTION_MEAN;
    o.seed = 1 + (uint64_t)round;
    loss = new_cpc(context, &o);
    make_twin(loss, &o, samples, &t);
    /* As many parameters as fit. The target's bias adds the same to all scores of a row: its gradient is 0. */
    p = sslcv__rng_below(rng, t.num_parameters);
    for (i = 0; num_names < 14 && i < t.num_parameters; i++, p = (p + 1) % t.num_parameters) {
        if (is_target_bias(t.text[p])) continue;
        names[num_names] = t.text[p];
        t.given[p] = num_names++;
    }
    random_values(rng, samples * o.rows * o.columns * o.dim, 1.0, z);
    random_values(rng, samples * o.rows * o.columns * o.directions * context_dim(&o), 1.0, c);
    set_call(&test, &o, samples, z, c, dz, dc);
    test.call.scale = exp(sslcv__rng_normal(rng));
    if (round % 7 == 0) test.diffs[round % 2].data = NULL;
    check_twin(loss, &test, twin_value, &t, names, num_names, 2e-6, 1e-4);
    for (i = 0; i < t.num_parameters; i++) {
        float bias[MAX_WIDTH];

        if (!is_target_bias(t.text[i])) continue;
        loss_read(loss, t.text[i], SSLCV_STATE_GRADIENT, SSLCV_F32, o.target_dim, bias);
        for (p = 0; p < o.target_dim; p++) {
            ck_assert_double_lt(fabs((double)bias[p]), 1e-6 * test.call.scale * fmax(1.0, o.score_scale));
        }
    }
    {
        const double *inputs[LOSS_MAX_INPUTS] = {NULL};
        static double exact[2][MAX_ROWS * 24];
        const int64_t candidates = o.num_negatives ? 1 + o.num_negatives : samples * o.rows * o.columns;

        for (i = 0; i < samples * o.rows * o.columns * o.dim; i++) exact[0][i] = (double)z[i];
        for (i = 0; i < loss_test_count(&test, 1); i++) exact[1][i] = (double)c[i];
        for (i = 0; i < t.num_parameters; i++) t.given[i] = -1;
        inputs[0] = exact[0];
        inputs[1] = exact[1];
        twin_value(&t, inputs);
        CLOSE(loss_metric(loss, "top1"), t.top1, 1e-12);
        CLOSE(loss_metric(loss, "mi_bound"), log((double)candidates) - t.mean, 3e-6);
    }
    sslcv_loss_destroy(loss);
}

START_TEST(equals_its_twin)
{
    sslcv_context *context = new_context(NULL, 1 + _i);
    sslcv__rng rng;
    int round;

    sslcv__rng_init(&rng, 71, 0, 0);
    for (round = 0; round < 100; round++) {
        if (round % 2 == _i) random_case(context, &rng, round);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* More rows than a block of scores takes, against fewer by the same code: the mean over samples of a block each. */
START_TEST(large_batches_go_in_blocks)
{
    enum { SAMPLES = 60, PLACES = 49, DIM = 4, COUNT = SAMPLES * PLACES * DIM };
    sslcv_context *context = new_context(NULL, 2);
    sslcv_cpc_options o = new_options(DIM, 7, 7);
    static float z[COUNT], c[COUNT], dz[COUNT], dc[COUNT];
    double expected = 0.0, largest = 0.0, sum[DIM] = {0.0};
    static double exact[2][COUNT];
    const double *inputs[2] = {exact[0], exact[1]};
    sslcv_loss *loss;
    loss_test t;
    int64_t i, j, m = 0, k;

    loss = new_cpc(context, &o);
    set_identity(loss);
    golden_input(9, COUNT, z);
    golden_input(10, COUNT, c);
    for (i = 0; i < COUNT; i++) {
        exact[0][i] = (double)z[i];
        exact[1][i] = (double)c[i];
    }
    set_call(&t, &o, SAMPLES, z, c, dz, dc);
    for (i = 0; i < SAMPLES * PLACES; i++) {
        double total = 0.0, positive = 0.0;

        if (i % PLACES >= 42) continue;
        for (j = 0; j < SAMPLES * PLACES; j++) {
            double s = 0.0;

            for (k = 0; k < DIM; k++) s += inputs[1][i * DIM + k] * inputs[0][j * DIM + k];
            total += exp(s);
            if (j == i + 7) positive = s;
        }
        expected += log(total) - positive;
        m++;
    }
    CLOSE(loss_value(loss, &t), expected / (double)m, 1e-6);
    /* dL/dz sums to 0 weighted by nothing: each row of dL/ds does. */
    for (i = 0; i < COUNT; i++) {
        sum[i % DIM] += (double)dz[i];
        largest = fmax(largest, fabs((double)dz[i]));
    }
    for (k = 0; k < DIM; k++) ck_assert_double_lt(fabs(sum[k]), 1e-4 * largest * SAMPLES);
    sslcv_loss_destroy(loss);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_cpc");
    TCase *tests = tcase_create("values");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, published_values_and_gradients, 0, 2);
    tcase_add_test(tests, contexts_predict_the_published_places);
    tcase_add_test(tests, equal_scores_give_the_logarithm);
    tcase_add_test(tests, order_of_images_does_not_matter);
    tcase_add_test(tests, turning_the_grid_permutes_directions);
    tcase_add_test(tests, negatives_are_uniform_over_the_rows_that_can_be_asked_for);
    tcase_add_test(tests, a_single_place_can_only_be_right);
    tcase_add_loop_test(tests, equals_its_twin, 0, 2);
    tcase_add_test(tests, large_batches_go_in_blocks);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
