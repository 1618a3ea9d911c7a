#include "io/json.h"

#include "core/text.h"

#include <string.h>

void sslcv__json_begin(sslcv__json *json, const char *bytes, int64_t size, char *texts)
{
    memset(json, 0, sizeof *json);
    json->begin = json->at = bytes;
    json->end = bytes + size;
    json->texts = texts;
}

static int fail(sslcv__json *json, const char *error)
{
    if (!json->error) json->error = error;
    return 0;
}

/** The next byte as it is; 0 at the end, or where a 0 stands, which fits nowhere either. */
static char peek(const sslcv__json *json)
{
    return json->at < json->end ? *json->at : 0;
}

/** The next byte behind spaces; 0 after an error. */
static char peek_value(sslcv__json *json)
{
    if (json->error) return 0;
    while (peek(json) == ' ' || peek(json) == '\n' || peek(json) == '\t' || peek(json) == '\r') json->at++;
    return peek(json);
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- brackets ---- */

int sslcv__json_enter(sslcv__json *json, char bracket)
{
    if (peek_value(json) != bracket) return 0;
    if (json->depth == SSLCV__JSON_DEPTH) return fail(json, "brackets more than 64 deep");
    json->at++;
    json->depth++;
    json->objects = json->objects << 1 | (bracket == '{');
    json->is_first = 1;
    return 1;
}

int sslcv__json_next(sslcv__json *json)
{
    const int is_object = json->objects & 1, is_first = json->is_first;
    const char c = peek_value(json);

    if (json->error) return 0;
    json->is_first = 0;
    if (c == (is_object ? '}' : ']')) {
        json->at++;
        json->depth--;
        json->objects >>= 1;
        return 0;
    }
    if (is_first) return 1;
    if (c != ',') return fail(json, is_object ? "no , or } behind a value" : "no , or ] behind a value");
    json->at++;
    return 1;
}

int sslcv__json_end(sslcv__json *json)
{
    peek_value(json);
    if (json->error) return 0;
    return json->at == json->end || fail(json, "something behind the end");
}

/* ---- texts ---- */

static char *put(char *to, const char *bytes, int count)
{
    if (!to) return NULL;
    memcpy(to, bytes, (size_t)count);
    return to + count;
}

static char *put_code_point(char *to, uint32_t c)
{
    const char tail = (char)(0x80 | (c & 0x3F)), second = (char)(0x80 | (c >> 6 & 0x3F));

    if (c < 0x80) return put(to, (const char[]){(char)c}, 1);
    if (c < 0x800) return put(to, (const char[]){(char)(0xC0 | c >> 6), tail}, 2);
    if (c < 0x10000) return put(to, (const char[]){(char)(0xE0 | c >> 12), second, tail}, 3);
    return put(to, (const char[]){(char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3F)), second, tail}, 4);
}

/** The letter u and four hexadecimal digits. -1: error. */
static int32_t read_unit(sslcv__json *json)
{
    int32_t unit = 0;
    int i;

    if (peek(json) != 'u') return fail(json, "half of a surrogate pair") - 1;
    json->at++;
    for (i = 0; i < 4; i++, json->at++) {
        const char c = peek(json), low = (char)(c | 0x20);

        if (!is_digit(c) && (low < 'a' || low > 'f')) return fail(json, "\\u without four hexadecimal digits") - 1;
        unit = unit << 4 | (is_digit(c) ? c - '0' : low - 'a' + 10);
    }
    return unit;
}

/** What follows a backslash. A code point beyond U+FFFF is written as two units: \uD83D\uDE00. */
static char *read_escape(sslcv__json *json, char *to)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    const char c = peek(json), *const name = c ? strchr(names, c) : NULL;
    int32_t unit, low;

    if (name) {
        json->at++;
        return put(to, means + (name - names), 1);
    }
    if (c != 'u') {
        fail(json, "an escape that there is not");
        return to;
    }
    unit = read_unit(json);
    if (unit == 0) fail(json, "U+0000 in a text");
    if (unit < 0xD800 || unit > 0xDFFF) return unit <= 0 ? to : put_code_point(to, (uint32_t)unit);
    if (unit > 0xDBFF || peek(json) != '\\') {
        fail(json, "half of a surrogate pair");
        return to;
    }
    json->at++;
    low = read_unit(json);
    if (low < 0xDC00 || low > 0xDFFF) {
        fail(json, "half of a surrogate pair");
        return to;
    }
    return put_code_point(to, 0x10000 + (((uint32_t)unit - 0xD800) << 10) + ((uint32_t)low - 0xDC00));
}

/** Bytes of the character at hand, 0: no UTF-8. At the end of the file there is no 0 to stop at. */
static int character_bytes(const sslcv__json *json)
{
    const size_t left = (size_t)(json->end - json->at);
    char last[5] = {0};

    if (left >= 4) return sslcv__character_bytes(json->at);
    memcpy(last, json->at, left);
    return sslcv__character_bytes(last);
}

const char *sslcv__json_text(sslcv__json *json)
{
    char *const text = json->texts, *to = text;

    if (peek_value(json) != '"') return NULL;
    json->at++;
    while (!json->error && peek(json) != '"') {
        if (json->at == json->end) {
            fail(json, "a text without end");
        } else if (*json->at == '\\') {
            json->at++;
            to = read_escape(json, to);
        } else if ((unsigned char)*json->at < 0x20) {
            fail(json, "a control character in a text");
        } else {
            const int bytes = character_bytes(json);

            if (bytes == 0) fail(json, "a text that is no UTF-8");
            to = put(to, json->at, bytes);
            json->at += bytes;
        }
    }
    if (json->error) return NULL;
    json->at++;
    if (!text) return "";
    *to++ = 0;
    json->texts = to;
    return text;
}

const char *sslcv__json_key(sslcv__json *json)
{
    const char *const key = sslcv__json_text(json);

    if (!key) {
        fail(json, "no key");
        return NULL;
    }
    if (peek_value(json) != ':') {
        fail(json, "no : behind a key");
        return NULL;
    }
    json->at++;
    return key;
}

/* ---- numbers and other values ---- */

static int skip_digits(sslcv__json *json)
{
    if (!is_digit(peek(json))) return fail(json, "a number without digits");
    while (is_digit(peek(json))) json->at++;
    return 1;
}

static void skip_number(sslcv__json *json)
{
    if (peek(json) == '-') json->at++;
    if (peek(json) == '0') {
        json->at++;
    } else if (!skip_digits(json)) {
        return;
    }
    if (peek(json) == '.') {
        json->at++;
        if (!skip_digits(json)) return;
    }
    if (peek(json) != 'e' && peek(json) != 'E') return;
    json->at++;
    if (peek(json) == '+' || peek(json) == '-') json->at++;
    skip_digits(json);
}

int sslcv__json_whole(sslcv__json *json, int64_t *number)
{
    sslcv__json ahead = *json;
    const char c = peek_value(&ahead), *p;
    int64_t value = 0;

    if (!is_digit(c)) return 0;
    p = ahead.at;
    skip_number(&ahead);
    for (; p < ahead.at; p++) {
        if (!is_digit(*p) || value > (INT64_MAX - (*p - '0')) / 10) return 0;
        value = 10 * value + (*p - '0');
    }
    *json = ahead;
    *number = value;
    return 1;
}

static int skip_word(sslcv__json *json, const char *word)
{
    const size_t length = strlen(word);

    if ((size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0) return 0;
    json->at += length;
    return 1;
}

/** A value, or the bracket that begins one. */
static void skip_first(sslcv__json *json)
{
    const char c = peek_value(json);

    if (json->error) return;
    if (c == '{' || c == '[') {
        sslcv__json_enter(json, c);
    } else if (c == '"') {
        sslcv__json_text(json);
    } else if (c == '-' || is_digit(c)) {
        skip_number(json);
    } else if (!skip_word(json, "null") && !skip_word(json, "true") && !skip_word(json, "false")) {
        fail(json, "no value");
    }
}

void sslcv__json_skip(sslcv__json *json)
{
    char *const texts = json->texts;
    const int depth = json->depth;

    json->texts = NULL;
    skip_first(json);
    while (!json->error && json->depth > depth) {
        if (!sslcv__json_next(json)) continue;
        if (json->objects & 1) sslcv__json_key(json);
        skip_first(json);
    }
    json->texts = texts;
}
