/**
 * The naive twin of the engine: any graph of lib/nn, forward and backward, in double precision, by plain loops over
 * plain (N, C, H, W) arrays. Slow and obvious; tests compare the engine with it.
 */
#ifndef SSLCV__TESTS_NAIVE_NET_H
#define SSLCV__TESTS_NAIVE_NET_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sslcv/state.h>
#include <sslcv/tape.h>

#include "nn/net.h"

enum { NAIVE_MAX_NODES = 200, NAIVE_MAX_VARIABLES = 400 };

typedef struct naive {
    const sslcv__net *net;
    int train;
    int num_nodes; /* with the mean on top, where there is one */
    double margin; /* smallest distance from a ReLU's kink, 0 aside */
    sslcv__node nodes[NAIVE_MAX_NODES];
    int64_t shape[NAIVE_MAX_NODES][4];
    double *y[NAIVE_MAX_NODES], *dy[NAIVE_MAX_NODES];
    double *mean[NAIVE_MAX_NODES], *variance[NAIVE_MAX_NODES]; /* of batch norms; (N, groups) of group norms */
    double *value[NAIVE_MAX_VARIABLES], *gradient[NAIVE_MAX_VARIABLES];
    int64_t groups;       /* that batch norms take their statistics of; mean and variance are (groups, channels) */
    const int64_t *group; /* of each row, set by the test; NULL: all are in one */
} naive;

static inline int64_t naive_count(const int64_t *shape)
{
    return shape[0] * shape[1] * shape[2] * shape[3];
}

static inline int naive_index(const naive *t, const sslcv__variable *variable)
{
    int i = 0;

    while (t->net->variables.items[i] != variable) i++;
    return i;
}

static inline double *naive_value(const naive *t, const sslcv__variable *variable)
{
    return variable ? t->value[naive_index(t, variable)] : NULL;
}

static inline double *naive_gradient(const naive *t, const sslcv__variable *variable)
{
    return variable ? t->gradient[naive_index(t, variable)] : NULL;
}

/* Take over graph and values. pool: put a spatial mean on top. */
static inline naive *naive_create(const sslcv__net *net, int last_node, int pool, int train)
{
    naive *t = calloc(1, sizeof *t);
    int64_t i, j;

    t->net = net;
    t->train = train;
    t->groups = 1;
    t->num_nodes = last_node + 1;
    memcpy(t->nodes, net->nodes, (size_t)t->num_nodes * sizeof *t->nodes);
    if (pool && !net->nodes[last_node].flat) {
        const sslcv__node mean = {
            .kind = SSLCV__NODE_MEAN, .inputs = {last_node, -1}, .channels = net->nodes[last_node].channels};
        t->nodes[t->num_nodes++] = mean;
    }
    for (i = 0; i < net->variables.count; i++) {
        const sslcv__variable *v = net->variables.items[i];
        float *plain = malloc((size_t)(v->count + 1) * 8);

        t->value[i] = calloc((size_t)v->count + 1, sizeof(double));
        t->gradient[i] = calloc((size_t)v->count + 1, sizeof(double));
        if (v->dtype == SSLCV_F32 && sslcv__variable_read(net->context, v, SSLCV_STATE_VALUE, plain) == SSLCV_OK) {
            for (j = 0; j < v->count; j++) t->value[i][j] = plain[j];
        }
        free(plain);
    }
    return t;
}

static inline void naive_free(naive *t)
{
    int64_t i;

    for (i = 0; i < t->num_nodes; i++) {
        free(t->y[i]);
        free(t->dy[i]);
        free(t->mean[i]);
        free(t->variance[i]);
    }
    for (i = 0; i < t->net->variables.count; i++) {
        free(t->value[i]);
        free(t->gradient[i]);
    }
    free(t);
}

/* ---- convolution: one loop nest serves all three directions ---- */

typedef enum naive_direction { NAIVE_FORWARD, NAIVE_DATA, NAIVE_WEIGHTS } naive_direction;

static inline void naive_convolution(const sslcv__node *n, const int64_t *in, const int64_t *out, double *x, double *w,
                                     double *y, naive_direction direction)
{
    int64_t b, o, i, r, c, kr, kc;

    for (b = 0; b < out[0]; b++)
        for (o = 0; o < out[1]; o++)
            for (r = 0; r < out[2]; r++)
                for (c = 0; c < out[3]; c++)
                    for (i = 0; i < in[1]; i++)
                        for (kr = 0; kr < n->kernel; kr++)
                            for (kc = 0; kc < n->kernel; kc++) {
                                const int64_t row = r * n->stride + kr - n->padding;
                                const int64_t col = c * n->stride + kc - n->padding;
                                double *px, *pw, *py;

                                if (row < 0 || row >= in[2] || col < 0 || col >= in[3]) continue;
                                px = x + ((b * in[1] + i) * in[2] + row) * in[3] + col;
                                pw = w + ((o * in[1] + i) * n->kernel + kr) * n->kernel + kc;
                                py = y + ((b * out[1] + o) * out[2] + r) * out[3] + c;
                                if (direction == NAIVE_FORWARD) *py += *px * *pw;
                                if (direction == NAIVE_DATA) *px += *py * *pw;
                                if (direction == NAIVE_WEIGHTS) *pw += *py * *px;
                            }
}

/* An exact 0 is one in the engine too; a value close to it may round to either side. */
static inline void naive_near_kink(naive *t, double v)
{
    if (v != 0) t->margin = fmin(t->margin, fabs(v));
}

/* ---- batch norm ---- */

static inline int naive_is_in(const naive *t, int64_t row, int64_t group)
{
    return !t->group || t->group[row] == group;
}

static inline void naive_statistics(const naive *t, const int64_t *s, const double *x, int64_t c, int64_t g,
                                    double *mean, double *variance)
{
    const double n = (double)(s[0] / t->groups * s[2] * s[3]);
    double sum = 0, squares = 0;
    int64_t b, p;

    for (b = 0; b < s[0]; b++)
        for (p = 0; p < s[2] * s[3] && naive_is_in(t, b, g); p++) sum += x[(b * s[1] + c) * s[2] * s[3] + p];
    *mean = sum / n;
    for (b = 0; b < s[0]; b++)
        for (p = 0; p < s[2] * s[3] && naive_is_in(t, b, g); p++) {
            const double d = x[(b * s[1] + c) * s[2] * s[3] + p] - *mean;
            squares += d * d;
        }
    *variance = squares / n;
}

static inline int naive_given(const naive *t, const sslcv__node *n)
{
    return !t->train || n->stage < t->net->frozen_stages;
}

static inline void naive_norm_forward_of(naive *t, int i, int64_t g)
{
    const sslcv__node *n = &t->nodes[i];
    const int64_t *s = t->shape[i];
    const double *x = t->y[n->inputs[0]], *scale = naive_value(t, n->weight), *shift = naive_value(t, n->bias);
    int64_t b, c, p;

    for (c = 0; c < s[1]; c++) {
        double mean = naive_value(t, n->mean)[c], variance = naive_value(t, n->variance)[c];

        if (!naive_given(t, n)) naive_statistics(t, s, x, c, g, &mean, &variance);
        t->mean[i][g * s[1] + c] = mean;
        t->variance[i][g * s[1] + c] = variance;
        for (b = 0; b < s[0]; b++)
            for (p = 0; p < s[2] * s[3] && naive_is_in(t, b, g); p++) {
                const int64_t at = (b * s[1] + c) * s[2] * s[3] + p;
                double v = (x[at] - mean) / sqrt(variance + t->net->norm_epsilon);

                v = v * (scale ? scale[c] : 1.0) + (shift ? shift[c] : 0.0);
                if (n->relu) naive_near_kink(t, v);
                t->y[i][at] = n->relu && v < 0 ? 0 : v;
            }
    }
}

static inline void naive_norm_forward(naive *t, int i)
{
    int64_t g;

    for (g = 0; g < t->groups; g++) naive_norm_forward_of(t, i, g);
}

static inline void naive_norm_backward_of(naive *t, int i, int64_t group)
{
    const sslcv__node *n = &t->nodes[i];
    const int64_t *s = t->shape[i];
    const double *x = t->y[n->inputs[0]], *scale = naive_value(t, n->weight);
    double *dx = t->dy[n->inputs[0]];
    const double count = (double)(s[0] / t->groups * s[2] * s[3]);
    int64_t b, c, p;

    for (c = 0; c < s[1]; c++) {
        const double mean = t->mean[i][group * s[1] + c], g = scale ? scale[c] : 1.0;
        const double inverse = 1.0 / sqrt(t->variance[i][group * s[1] + c] + t->net->norm_epsilon);
        double sum = 0, along = 0;

        for (b = 0; b < s[0]; b++)
            for (p = 0; p < s[2] * s[3] && naive_is_in(t, b, group); p++) {
                const int64_t at = (b * s[1] + c) * s[2] * s[3] + p;
                if (n->relu && t->y[i][at] <= 0) t->dy[i][at] = 0;
                sum += t->dy[i][at];
                along += t->dy[i][at] * (x[at] - mean) * inverse;
            }
        if (n->weight) naive_gradient(t, n->weight)[c] += along;
        if (n->bias) naive_gradient(t, n->bias)[c] += sum;
        for (b = 0; b < s[0]; b++)
            for (p = 0; p < s[2] * s[3] && naive_is_in(t, b, group); p++) {
                const int64_t at = (b * s[1] + c) * s[2] * s[3] + p;
                const double unit = (x[at] - mean) * inverse;
                const double taken = naive_given(t, n) ? 0 : (sum + unit * along) / count;
                dx[at] += g * inverse * (t->dy[i][at] - taken);
            }
    }
}

static inline void naive_norm_backward(naive *t, int i)
{
    int64_t g;

    for (g = 0; g < t->groups; g++) naive_norm_backward_of(t, i, g);
}

/* ---- group norm, bias ---- */

static inline void naive_group_norm(naive *t, int i, int backward)
{
    const sslcv__node *n = &t->nodes[i];
    const int64_t *s = t->shape[i], pixels = s[2] * s[3], size = s[1] / n->groups, all = size * pixels;
    const double *scale = naive_value(t, n->weight), *shift = naive_value(t, n->bias);
    int64_t g, k;

    for (g = 0; g < s[0] * n->groups; g++) {
        const int64_t at = g * all, channel = g % n->groups * size;
        const double *x = t->y[n->inputs[0]] + at;
        double *y = t->y[i] + at, *dy = t->dy[i] + at, *dx = t->dy[n->inputs[0]] + at;
        double mean = 0, variance = 0, inverse, sum = 0, along = 0;

        for (k = 0; k < all; k++) mean += x[k] / (double)all;
        for (k = 0; k < all; k++) variance += (x[k] - mean) * (x[k] - mean) / (double)all;
        inverse = 1.0 / sqrt(variance + t->net->norm_epsilon);
        for (k = 0; k < all; k++) {
            const int64_t c = channel + k / pixels;
            const double v = (x[k] - mean) * inverse * scale[c] + shift[c];

            if (!backward) {
                if (n->relu) naive_near_kink(t, v);
                y[k] = n->relu && v < 0 ? 0 : v;
                continue;
            }
            if (n->relu && y[k] <= 0) dy[k] = 0;
            naive_gradient(t, n->weight)[c] += dy[k] * (x[k] - mean) * inverse;
            naive_gradient(t, n->bias)[c] += dy[k];
            sum += scale[c] * dy[k];
            along += scale[c] * dy[k] * (x[k] - mean) * inverse;
        }
        for (k = 0; k < all && backward; k++) {
            const double unit = (x[k] - mean) * inverse;
            dx[k] += inverse * (scale[channel + k / pixels] * dy[k] - (sum + unit * along) / (double)all);
        }
    }
}

static inline void naive_bias(naive *t, int i, int backward)
{
    const sslcv__node *n = &t->nodes[i];
    const int64_t *s = t->shape[i], pixels = s[2] * s[3], count = naive_count(s);
    int64_t k;

    for (k = 0; k < count; k++) {
        const int64_t c = k / pixels % s[1];
        const double v = t->y[n->inputs[0]][k] + naive_value(t, n->bias)[c];

        if (backward) {
            const double d = n->relu && v <= 0 ? 0 : t->dy[i][k];
            naive_gradient(t, n->bias)[c] += d;
            t->dy[n->inputs[0]][k] += d;
        } else {
            if (n->relu) naive_near_kink(t, v);
            t->y[i][k] = n->relu && v < 0 ? 0 : v;
        }
    }
}

/* ---- pooling ---- */

/* The place of the maximum under the window; the first of equals. */
static inline int64_t naive_max_place(const sslcv__node *n, const int64_t *in, const double *plane, int64_t r,
                                      int64_t c)
{
    int64_t best = -1, kr, kc;

    for (kr = 0; kr < n->kernel; kr++)
        for (kc = 0; kc < n->kernel; kc++) {
            const int64_t row = r * n->stride + kr - n->padding, col = c * n->stride + kc - n->padding;
            if (row < 0 || row >= in[2] || col < 0 || col >= in[3]) continue;
            if (best < 0 || plane[row * in[3] + col] > plane[best]) best = row * in[3] + col;
        }
    return best;
}

static inline void naive_max_pool(naive *t, int i, int backward)
{
    const sslcv__node *n = &t->nodes[i];
    const int64_t *s = t->shape[i], *in = t->shape[n->inputs[0]];
    int64_t plane, r, c;

    for (plane = 0; plane < s[0] * s[1]; plane++)
        for (r = 0; r < s[2]; r++)
            for (c = 0; c < s[3]; c++) {
                const int64_t at = (plane * s[2] + r) * s[3] + c, from = plane * in[2] * in[3];
                const int64_t place = naive_max_place(n, in, t->y[n->inputs[0]] + from, r, c);
                if (backward) {
                    t->dy[n->inputs[0]][from + place] += t->dy[i][at];
                } else {
                    t->y[i][at] = t->y[n->inputs[0]][from + place];
                }
            }
}

/* ---- rows ---- */

static inline double naive_norm_of(const double *x, int64_t d)
{
    double sum = 0;
    int64_t j;

    for (j = 0; j < d; j++) sum += x[j] * x[j];
    return fmax(sqrt(sum), 1e-12);
}

static inline void naive_normalize(naive *t, int i, int backward)
{
    const int64_t rows = t->shape[i][0], d = t->shape[i][1];
    const double *x = t->y[t->nodes[i].inputs[0]];
    int64_t r, j;

    for (r = 0; r < rows; r++) {
        const double norm = naive_norm_of(x + r * d, d);
        double along = 0;

        for (j = 0; j < d; j++) along += backward ? t->y[i][r * d + j] * t->dy[i][r * d + j] : 0;
        for (j = 0; j < d; j++) {
            if (backward) {
                t->dy[t->nodes[i].inputs[0]][r * d + j] += (t->dy[i][r * d + j] - t->y[i][r * d + j] * along) / norm;
            } else {
                t->y[i][r * d + j] = x[r * d + j] / norm;
            }
        }
    }
}

static inline void naive_linear(naive *t, int i, int backward)
{
    const sslcv__node *n = &t->nodes[i];
    const int64_t rows = t->shape[i][0], out = t->shape[i][1], in = t->shape[n->inputs[0]][1];
    const double *w = naive_value(t, n->weight), *bias = naive_value(t, n->bias);
    double *x = t->y[n->inputs[0]];
    int64_t r, o, k;

    for (r = 0; r < rows; r++)
        for (o = 0; o < out; o++) {
            double sum = bias ? bias[o] : 0;

            if (backward && bias) naive_gradient(t, n->bias)[o] += t->dy[i][r * out + o];
            for (k = 0; k < in; k++) {
                sum += x[r * in + k] * w[o * in + k];
                if (backward) {
                    naive_gradient(t, n->weight)[o * in + k] += t->dy[i][r * out + o] * x[r * in + k];
                    t->dy[n->inputs[0]][r * in + k] += t->dy[i][r * out + o] * w[o * in + k];
                }
            }
            if (!backward) t->y[i][r * out + o] = sum;
        }
}

/* ---- whole graphs ---- */

static inline void naive_shape(naive *t, int i, const int64_t *input)
{
    const sslcv__node *n = &t->nodes[i];
    int64_t *s = t->shape[i];
    const int64_t *in = n->inputs[0] < 0 ? input : t->shape[n->inputs[0]];

    memcpy(s, in, 4 * sizeof *s);
    s[1] = n->channels;
    if (n->kind == SSLCV__NODE_CONVOLUTION || n->kind == SSLCV__NODE_MAX_POOL) {
        s[2] = (in[2] + 2 * n->padding - n->kernel) / n->stride + 1;
        s[3] = (in[3] + 2 * n->padding - n->kernel) / n->stride + 1;
    }
    if (n->kind == SSLCV__NODE_MEAN || n->kind == SSLCV__NODE_FLATTEN) s[2] = s[3] = 1;
}

static inline void naive_forward(naive *t, const int64_t input[4], const double *x)
{
    int64_t k;
    int i;

    t->margin = 1e9;
    for (i = 0; i < t->num_nodes; i++) {
        const sslcv__node *n = &t->nodes[i];
        const double *a = n->inputs[0] < 0 ? NULL : t->y[n->inputs[0]],
                     *b = n->inputs[1] < 0 ? NULL : t->y[n->inputs[1]];
        int64_t count;

        naive_shape(t, i, input);
        count = naive_count(t->shape[i]);
        free(t->y[i]);
        t->y[i] = calloc((size_t)count, sizeof(double));
        free(t->dy[i]);
        t->dy[i] = calloc((size_t)count, sizeof(double));
        if (n->kind == SSLCV__NODE_BATCH_NORM && !t->mean[i]) {
            t->mean[i] = calloc((size_t)(t->groups * n->channels), sizeof(double));
            t->variance[i] = calloc((size_t)(t->groups * n->channels), sizeof(double));
        }
        switch (n->kind) {
        case SSLCV__NODE_INPUT: memcpy(t->y[i], x, (size_t)count * sizeof *x); break;
        case SSLCV__NODE_CONVOLUTION:
            naive_convolution(n, t->shape[n->inputs[0]], t->shape[i], t->y[n->inputs[0]], naive_value(t, n->weight),
                              t->y[i], NAIVE_FORWARD);
            break;
        case SSLCV__NODE_BATCH_NORM: naive_norm_forward(t, i); break;
        case SSLCV__NODE_RELU:
            for (k = 0; k < count; k++) {
                naive_near_kink(t, a[k]);
                t->y[i][k] = a[k] > 0 ? a[k] : 0;
            }
            break;
        case SSLCV__NODE_ADD:
            for (k = 0; k < count; k++) {
                if (n->relu) naive_near_kink(t, a[k] + b[k]);
                t->y[i][k] = n->relu && a[k] + b[k] < 0 ? 0 : a[k] + b[k];
            }
            break;
        case SSLCV__NODE_GROUP_NORM: naive_group_norm(t, i, 0); break;
        case SSLCV__NODE_BIAS: naive_bias(t, i, 0); break;
        case SSLCV__NODE_FLATTEN: memcpy(t->y[i], a, (size_t)count * sizeof *a); break;
        case SSLCV__NODE_MAX_POOL: naive_max_pool(t, i, 0); break;
        case SSLCV__NODE_MEAN: {
            const int64_t pixels = t->shape[n->inputs[0]][2] * t->shape[n->inputs[0]][3];
            for (k = 0; k < count * pixels; k++) t->y[i][k / pixels] += a[k] / (double)pixels;
            break;
        }
        case SSLCV__NODE_LINEAR: naive_linear(t, i, 0); break;
        case SSLCV__NODE_NORMALIZE: naive_normalize(t, i, 0); break;
        default: break; /* layers of heads alone have suites of their own: test_head_*.c */
        }
    }
}

/* Gradients are added; dy of node 0 is the input's. */
static inline void naive_backward(naive *t, const double *diff_output)
{
    int64_t k;
    int i;

    memcpy(t->dy[t->num_nodes - 1], diff_output, (size_t)naive_count(t->shape[t->num_nodes - 1]) * sizeof(double));
    for (i = t->num_nodes - 1; i > 0; i--) {
        const sslcv__node *n = &t->nodes[i];
        double *da = t->dy[n->inputs[0]], *db = n->inputs[1] < 0 ? NULL : t->dy[n->inputs[1]];
        const int64_t count = naive_count(t->shape[i]), *in = t->shape[n->inputs[0]];

        switch (n->kind) {
        case SSLCV__NODE_INPUT: break;
        case SSLCV__NODE_CONVOLUTION:
            naive_convolution(n, in, t->shape[i], da, naive_value(t, n->weight), t->dy[i], NAIVE_DATA);
            naive_convolution(n, in, t->shape[i], t->y[n->inputs[0]], naive_gradient(t, n->weight), t->dy[i],
                              NAIVE_WEIGHTS);
            break;
        case SSLCV__NODE_BATCH_NORM: naive_norm_backward(t, i); break;
        case SSLCV__NODE_RELU:
            for (k = 0; k < count; k++) da[k] += t->y[i][k] > 0 ? t->dy[i][k] : 0;
            break;
        case SSLCV__NODE_GROUP_NORM: naive_group_norm(t, i, 1); break;
        case SSLCV__NODE_BIAS: naive_bias(t, i, 1); break;
        case SSLCV__NODE_FLATTEN:
            for (k = 0; k < count; k++) da[k] += t->dy[i][k];
            break;
        case SSLCV__NODE_ADD:
            for (k = 0; k < count; k++) {
                const double d = !n->relu || t->y[i][k] > 0 ? t->dy[i][k] : 0;
                da[k] += d;
                db[k] += d;
            }
            break;
        case SSLCV__NODE_MAX_POOL: naive_max_pool(t, i, 1); break;
        case SSLCV__NODE_MEAN: {
            const int64_t pixels = in[2] * in[3];
            for (k = 0; k < count * pixels; k++) da[k] += t->dy[i][k / pixels] / (double)pixels;
            break;
        }
        case SSLCV__NODE_LINEAR: naive_linear(t, i, 1); break;
        case SSLCV__NODE_NORMALIZE: naive_normalize(t, i, 1); break;
        default: break; /* layers of heads alone have suites of their own: test_head_*.c */
        }
    }
}

#endif
