/**
 * bf16: the upper half of a float. Inline and without branches, so that loops of them are vectorised, also inside
 * functions marked SSLCV__CLONES.
 */
#ifndef SSLCV__BF16_H
#define SSLCV__BF16_H

#include <stdint.h>
#include <string.h>

static inline float sslcv__f32_from_bf16(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float value;

    memcpy(&value, &wide, sizeof value);
    return value;
}

/** To the nearest, ties to even; a NaN stays one. */
static inline uint16_t sslcv__f32_to_bf16(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    /* Rounding could carry a NaN's bits into the sign. One shift behind the choice: all of it stays 32 bits wide. */
    bits = (bits & 0x7fffffffu) > 0x7f800000u ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u);
    return (uint16_t)(bits >> 16);
}

#endif
