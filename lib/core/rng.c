#include "core/rng.h"

#include <Random123/philox.h>
#include <math.h>

static void next_block(sslcv__rng *rng)
{
    const philox4x32_key_t key = {{rng->key[0], rng->key[1]}};
    const philox4x32_ctr_t counter = {{rng->counter[0], rng->counter[1], rng->counter[2], rng->counter[3]}};
    const philox4x32_ctr_t block = philox4x32(counter, key);
    int i;

    for (i = 0; i < 4; i++) rng->block[i] = block.v[i];
    rng->counter[0]++;
    rng->used = 0;
}

void sslcv__rng_init(sslcv__rng *rng, uint64_t seed, uint64_t a, uint32_t b)
{
    rng->key[0] = (uint32_t)seed;
    rng->key[1] = (uint32_t)(seed >> 32);
    rng->counter[0] = 0;
    rng->counter[1] = b;
    rng->counter[2] = (uint32_t)a;
    rng->counter[3] = (uint32_t)(a >> 32);
    rng->used = 4;
    rng->reserved = 0;
}

uint64_t sslcv__rng_derive(uint64_t seed, uint64_t a, uint32_t b)
{
    sslcv__rng rng;

    sslcv__rng_init(&rng, seed, a, b);
    rng.counter[0] = UINT32_MAX; /* a block that no stream of this name reaches */
    return sslcv__rng_u64(&rng);
}

uint32_t sslcv__rng_u32(sslcv__rng *rng)
{
    if (rng->used == 4) next_block(rng);
    return rng->block[rng->used++];
}

uint64_t sslcv__rng_u64(sslcv__rng *rng)
{
    const uint64_t low = sslcv__rng_u32(rng);

    return low | (uint64_t)sslcv__rng_u32(rng) << 32;
}

double sslcv__rng_uniform(sslcv__rng *rng)
{
    return (double)(sslcv__rng_u64(rng) >> 11) * 0x1p-53;
}

double sslcv__rng_range(sslcv__rng *rng, double low, double high)
{
    return low + (high - low) * sslcv__rng_uniform(rng);
}

int64_t sslcv__rng_below(sslcv__rng *rng, int64_t n)
{
    const uint64_t range = (uint64_t)n;
    const uint64_t skip = (UINT64_MAX - range + 1) % range; /* 2^64 mod n: values below it would be drawn too often */
    uint64_t draw;

    do {
        draw = sslcv__rng_u64(rng);
    } while (draw < skip);
    return (int64_t)(draw % range);
}

void sslcv__rng_normal_pair(sslcv__rng *rng, double pair[2])
{
    const double radius = sqrt(-2.0 * log(1.0 - sslcv__rng_uniform(rng)));
    const double angle = 6.283185307179586476925 * sslcv__rng_uniform(rng);

    pair[0] = radius * cos(angle);
    pair[1] = radius * sin(angle);
}

double sslcv__rng_normal(sslcv__rng *rng)
{
    double pair[2];

    sslcv__rng_normal_pair(rng, pair);
    return pair[0];
}

void sslcv__rng_permutation(sslcv__rng *rng, int64_t *order, int64_t n)
{
    int64_t i;

    for (i = 0; i < n; i++) {
        const int64_t j = sslcv__rng_below(rng, i + 1);

        if (i != j) order[i] = order[j];
        order[j] = i;
    }
}
