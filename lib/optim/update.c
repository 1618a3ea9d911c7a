#include "optim/update.h"

#include <math.h>

sslcv__sums sslcv__update_sums(const float *restrict g, const float *restrict w, int64_t count)
{
    double gg = 0.0, gw = 0.0, ww = 0.0;
    int64_t i;

    if (!w) {
#pragma omp simd reduction(+ : gg)
        for (i = 0; i < count; i++) gg += (double)g[i] * (double)g[i];
    } else {
#pragma omp simd reduction(+ : gg, gw, ww)
        for (i = 0; i < count; i++) {
            const double gradient = (double)g[i], weight = (double)w[i];

            gg += gradient * gradient;
            gw += gradient * weight;
            ww += weight * weight;
        }
    }
    return (sslcv__sums){gg, gw, ww};
}

void sslcv__update_plain(const sslcv__update *u, int64_t count, const float *restrict g, float *restrict w)
{
    const float gradient = u->gradient, decay = u->decay, rate = u->rate;
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) w[i] -= rate * (gradient * g[i] + decay * w[i]);
}

void sslcv__update_momentum(const sslcv__update *u, int64_t count, const float *restrict g, float *restrict w,
                            float *restrict v)
{
    const float gradient = u->gradient, decay = u->decay, momentum = u->momentum, rate = u->rate;
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) {
        const float velocity = momentum * v[i] + (gradient * g[i] + decay * w[i]);

        v[i] = velocity;
        w[i] -= rate * velocity;
    }
}

void sslcv__update_nesterov(const sslcv__update *u, int64_t count, const float *restrict g, float *restrict w,
                            float *restrict v)
{
    const float gradient = u->gradient, decay = u->decay, momentum = u->momentum, rate = u->rate;
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) {
        const float d = gradient * g[i] + decay * w[i];
        const float velocity = momentum * v[i] + d;

        v[i] = velocity;
        w[i] -= rate * (d + momentum * velocity);
    }
}

void sslcv__update_adam(const sslcv__update *u, int64_t count, const float *restrict g, float *restrict w,
                        float *restrict m, float *restrict s)
{
    const sslcv__update c = *u;
    int64_t i;

#pragma omp simd
    for (i = 0; i < count; i++) {
        const float d = c.gradient * g[i] + c.decay * w[i];
        const float mean = c.beta1 * m[i] + c.rest1 * d;
        const float square = c.beta2 * s[i] + c.rest2 * d * d;

        m[i] = mean;
        s[i] = square;
        w[i] -= c.shrink * w[i] + c.rate * mean / (c.root * sqrtf(square) + c.epsilon);
    }
}
