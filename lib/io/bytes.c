#include "io/bytes.h"

#include "core/checked.h"
#include "core/memory.h"
#include "core/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sslcv_status sslcv__bytes_append(sslcv__bytes *to, const void *bytes, int64_t size)
{
    int64_t wanted;

    if (size == 0) return SSLCV_OK;
    if (!sslcv__add(to->size, size, &wanted) || wanted > INT64_MAX / 2) {
        return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "out of memory: more than 2^62 bytes");
    }
    if (wanted > to->capacity) {
        const int64_t capacity = wanted < 4096 ? 4096 : 2 * wanted;
        const sslcv_status status = sslcv__grow_array(to->context, to->size, capacity, 1, (void **)&to->data);

        if (status != SSLCV_OK) return status;
        to->capacity = capacity;
    }
    memcpy(to->data + to->size, bytes, (size_t)size);
    to->size = wanted;
    return SSLCV_OK;
}

/* ---- strings ---- */

sslcv_status sslcv__utf8_check(const char *string, const char *what)
{
    const char *p = string;

    while (*p) {
        const int length = sslcv__character_bytes(p);

        if (length == 0) {
            return sslcv__invalid("%s is not valid UTF-8 at byte %lld", what, (long long)(p - string));
        }
        p += length;
    }
    return SSLCV_OK;
}

sslcv_status sslcv__bytes_string(sslcv__bytes *to, const char *string, const char *what)
{
    const char *p;
    sslcv_status status = sslcv__utf8_check(string, what);

    if (status != SSLCV_OK) return status;
    SSLCV__TRY(sslcv__bytes_append(to, "\"", 1));
    for (p = string; *p; p++) {
        char escaped[8];

        if (*p == '"' || *p == '\\') {
            const char pair[2] = {'\\', *p};
            SSLCV__TRY(sslcv__bytes_append(to, pair, 2));
        } else if ((unsigned char)*p < 0x20) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)*p);
            SSLCV__TRY(sslcv__bytes_append(to, escaped, 6));
        } else {
            SSLCV__TRY(sslcv__bytes_append(to, p, 1));
        }
    }
    SSLCV__TRY(sslcv__bytes_append(to, "\"", 1));
end:
    return status;
}

/* ---- numbers ---- */

sslcv_status sslcv__bytes_integer(sslcv__bytes *to, int64_t number)
{
    char digits[32];
    const int length = snprintf(digits, sizeof digits, "%lld", (long long)number);

    return sslcv__bytes_append(to, digits, length);
}

/**
 * Digits of number, rounded to so many, as a whole number without zeros at its end, times a power of ten. What stands
 * between the digits is the locale's point, which may have several bytes.
 */
static int64_t decimal_digits(double number, int digits, int *power)
{
    char text[64];
    const char *p;
    int64_t mantissa = 0;

    snprintf(text, sizeof text, "%.*e", digits - 1, fabs(number));
    for (p = text; *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9') mantissa = 10 * mantissa + (*p - '0');
    }
    *power = (int)strtol(p + 1, NULL, 10) - (digits - 1);
    for (; mantissa != 0 && mantissa % 10 == 0; mantissa /= 10) (*power)++;
    return mantissa;
}

/**
 * Do 15 digits say which double it is? Told for certain where both the digits and the power of ten are doubles, so that
 * one operation rounds once; 0 elsewhere. So 0.1 is written as such, not as 0.10000000000000001.
 */
static int is_short(double number)
{
    int power;
    const double mantissa = (double)decimal_digits(number, 15, &power); /* < 10^15 < 2^53 */

    if (power < -22 || power > 22) return 0;
    return (power < 0 ? mantissa / pow(10.0, -power) : mantissa * pow(10.0, power)) == fabs(number);
}

sslcv_status sslcv__bytes_real(sslcv__bytes *to, double number)
{
    char digits[64];
    const char *from;
    char *kept = digits;
    int is_point = 0;

    if (!isfinite(number)) return sslcv__bytes_append(to, "null", 4);
    snprintf(digits, sizeof digits, "%.*g", is_short(number) ? 15 : 17, number);
    for (from = digits; *from; from++) {
        if ((*from >= '0' && *from <= '9') || *from == '-' || *from == '+' || *from == 'e') {
            *kept++ = *from;
            is_point = 0;
        } else if (!is_point) {
            *kept++ = '.';
            is_point = 1;
        }
    }
    return sslcv__bytes_append(to, digits, kept - digits);
}
