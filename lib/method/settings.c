/* "name=value" texts. Numbers are read by hand: strtod() follows the locale. */
#include "method/method.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int64_t find(const sslcv__settings *settings, const char *name, size_t length)
{
    int64_t i;

    for (i = 0; i < settings->count; i++) {
        if (strlen(settings->table[i].name) == length && memcmp(settings->table[i].name, name, length) == 0) return i;
    }
    return -1;
}

static sslcv_status unknown(const sslcv__settings *settings, const char *name, size_t length)
{
    char list[768];
    size_t used = 0;
    int64_t i;

    list[0] = 0;
    for (i = 0; i < settings->count; i++) {
        const int more = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", settings->table[i].name);

        if (more < 0 || (size_t)more >= sizeof list - used) break;
        used += (size_t)more;
    }
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "\"%s\" has no setting \"%.*s\"; it has %s", settings->method,
                       (int)(length < 64 ? length : 64), name, list);
}

static sslcv_status read_pair(sslcv__settings *settings, const char *pair, const char *end)
{
    const char *equals = memchr(pair, '=', (size_t)(end - pair));
    int64_t i;

    if (!equals || equals == pair || equals + 1 == end) {
        return sslcv__invalid("settings has \"%.*s\"; must be name=value", (int)(end - pair < 64 ? end - pair : 64),
                              pair);
    }
    i = find(settings, pair, (size_t)(equals - pair));
    if (i < 0) return unknown(settings, pair, (size_t)(equals - pair));
    if (settings->values[i].given) {
        return sslcv__invalid("settings has \"%s\" twice; must have it once", settings->table[i].name);
    }
    settings->values[i].text = equals + 1;
    settings->values[i].length = end - equals - 1;
    settings->values[i].given = 1;
    return SSLCV_OK;
}

sslcv_status sslcv__settings_read(const sslcv__method *method, int32_t preset, const char *text,
                                  sslcv__settings *settings)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    memset(settings, 0, sizeof *settings);
    settings->method = method->name;
    settings->table = method->settings;
    settings->count = method->num_settings;
    settings->preset = preset;
    for (i = 0; i < settings->count; i++) {
        settings->values[i].text = settings->table[i].initial[preset];
        settings->values[i].length = (int64_t)strlen(settings->values[i].text);
    }
    while (text && *text && status == SSLCV_OK) {
        const char *end = text;

        if (is_blank(*text)) {
            text++;
            continue;
        }
        while (*end && !is_blank(*end)) end++;
        status = read_pair(settings, text, end);
        text = end;
    }
    return status;
}

int sslcv__settings_given(const sslcv__settings *settings, const char *name)
{
    const int64_t i = find(settings, name, strlen(name));

    return i >= 0 && settings->values[i].given;
}

sslcv_status sslcv__settings_under(const sslcv__method *method, const sslcv__settings *host, const char *text,
                                   sslcv__settings *settings)
{
    sslcv_status status = sslcv__settings_read(method, host->preset, text, settings);
    int64_t i;

    for (i = 0; i < settings->count && status == SSLCV_OK; i++) {
        settings->values[i].given = 0;
        if (host->values[i].given) settings->values[i] = host->values[i];
    }
    return status;
}

/* ---- numbers ---- */

typedef struct cursor {
    const char *at, *end;
} cursor;

static int take_sign(cursor *c)
{
    if (c->at == c->end || (*c->at != '-' && *c->at != '+')) return 1;
    return *c->at++ == '-' ? -1 : 1;
}

static int is_digit(const cursor *c)
{
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

/* Digits into mantissa; those beyond its 19 count in *dropped. Returns how many there were. */
static int take_digits(cursor *c, uint64_t *mantissa, int *dropped)
{
    int count = 0;

    for (; is_digit(c); c->at++, count++) {
        if (*mantissa > (UINT64_MAX - 9) / 10 || *dropped > 0) {
            (*dropped)++;
        } else {
            *mantissa = 10 * *mantissa + (uint64_t)(*c->at - '0');
        }
    }
    return count;
}

/*
 * Decimal to double. Exact (as strtod) for up to 15 digits and powers of ten within 1e-22 .. 1e22, where mantissa and
 * power are both doubles and one operation rounds once; beyond that within a unit in the last place or two.
 */
static int parse_real(const char *text, int64_t length, double *value)
{
    cursor c = {text, text + length};
    const int sign = take_sign(&c);
    uint64_t mantissa = 0, exponent = 0;
    int dropped = 0, ignored = 0, point = 0, power, digits = take_digits(&c, &mantissa, &dropped);

    power = dropped;
    if (c.at < c.end && *c.at == '.') {
        c.at++;
        point = take_digits(&c, &mantissa, &dropped);
        power = dropped - point;
    }
    if (digits + point == 0) return 0;
    if (c.at < c.end && (*c.at == 'e' || *c.at == 'E')) {
        int direction;

        c.at++;
        direction = take_sign(&c);
        if (take_digits(&c, &exponent, &ignored) == 0 || ignored > 0 || exponent > 400) return 0;
        power += direction * (int)exponent;
    }
    if (c.at != c.end) return 0;
    *value = power < 0 ? (double)mantissa / pow(10.0, -power) : (double)mantissa * pow(10.0, power);
    *value *= sign;
    return isfinite(*value);
}

static int parse_integer(const char *text, int64_t length, int64_t *value)
{
    cursor c = {text, text + length};
    const int sign = take_sign(&c);
    uint64_t mantissa = 0;
    int dropped = 0;

    if (take_digits(&c, &mantissa, &dropped) == 0 || dropped > 0 || c.at != c.end || mantissa > INT64_MAX) return 0;
    *value = sign * (int64_t)mantissa;
    return 1;
}

/* ---- values ---- */

static sslcv_status find_value(const sslcv__settings *settings, const char *name, int64_t *index)
{
    *index = find(settings, name, strlen(name));
    return *index < 0 ? unknown(settings, name, strlen(name)) : SSLCV_OK;
}

/* "simclr.epochs is 1.5; must be " for the message's beginning. */
static int shown_length(const sslcv__settings *settings, int64_t i)
{
    return settings->values[i].length < 64 ? (int)settings->values[i].length : 64;
}

sslcv_status sslcv__settings_integer(const sslcv__settings *settings, const char *name, int64_t low, int64_t high,
                                     int64_t *value)
{
    int64_t i, read;
    const sslcv_status status = find_value(settings, name, &i);

    if (status != SSLCV_OK) return status;
    if (!parse_integer(settings->values[i].text, settings->values[i].length, &read) || read < low || read > high) {
        return sslcv__invalid("%s.%s is \"%.*s\"; must be a whole number, %lld .. %lld", settings->method, name,
                              shown_length(settings, i), settings->values[i].text, (long long)low, (long long)high);
    }
    *value = read;
    return SSLCV_OK;
}

sslcv_status sslcv__settings_real(const sslcv__settings *settings, const char *name, double low, double high,
                                  double *value)
{
    double read;
    int64_t i;
    const sslcv_status status = find_value(settings, name, &i);

    if (status != SSLCV_OK) return status;
    if (!parse_real(settings->values[i].text, settings->values[i].length, &read) || read < low || read > high) {
        return sslcv__invalid("%s.%s is \"%.*s\"; must be a number, %g .. %g", settings->method, name,
                              shown_length(settings, i), settings->values[i].text, low, high);
    }
    *value = read;
    return SSLCV_OK;
}

sslcv_status sslcv__settings_word(const sslcv__settings *settings, const char *name, const char *const *words,
                                  int32_t *value)
{
    char list[256];
    size_t used = 0;
    int64_t i;
    int32_t k;
    const sslcv_status status = find_value(settings, name, &i);

    if (status != SSLCV_OK) return status;
    list[0] = 0;
    for (k = 0; words[k]; k++) {
        if ((int64_t)strlen(words[k]) == settings->values[i].length &&
            memcmp(words[k], settings->values[i].text, strlen(words[k])) == 0) {
            *value = k;
            return SSLCV_OK;
        }
        if (used < sizeof list) used += (size_t)snprintf(list + used, sizeof list - used, k ? ", %s" : "%s", words[k]);
    }
    return sslcv__invalid("%s.%s is \"%.*s\"; must be one of %s", settings->method, name, shown_length(settings, i),
                          settings->values[i].text, list);
}

sslcv_status sslcv__settings_refuse(const sslcv__settings *settings, const char *const *names, const char *why)
{
    int64_t i;

    for (; *names; names++) {
        i = find(settings, *names, strlen(*names));
        if (i >= 0 && settings->values[i].given) {
            return sslcv__invalid("%s.%s is set, but %s; it would do nothing", settings->method, *names, why);
        }
    }
    return SSLCV_OK;
}
