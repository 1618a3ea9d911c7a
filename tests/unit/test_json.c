/* JSON that is read: what it takes and refuses, against tables and against jansson. */
#include "support.h"

#include "io/json.h"

#include <jansson.h>

/** A reader of a copy that ends where its memory does: a byte read beyond it is seen by AddressSanitizer. */
static char *copy_of(const char *text, int64_t size)
{
    char *const copy = malloc(size ? (size_t)size : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, (size_t)size);
    return copy;
}

/** Pass over it all. NULL: it is JSON. */
static const char *error_of(const char *text, int64_t size, int64_t *place)
{
    char *const bytes = copy_of(text, size);
    sslcv__json json;

    sslcv__json_begin(&json, bytes, size, NULL);
    sslcv__json_skip(&json);
    ck_assert_int_eq(sslcv__json_end(&json), !json.error);
    if (place) *place = json.at - json.begin;
    ck_assert(json.at <= json.end);
    free(bytes);
    return json.error;
}

/* ---- what is read ---- */

START_TEST(an_object)
{
    static const char text[] =
        " {\"shape\" : [ 2 , 3 ],\n\t\"more\":{\"a\":[null,[],{}]} , \"empty\":{},\"name\":\"x\"}\r\n ";
    char texts[sizeof text];
    int64_t number = 0;
    sslcv__json json, ahead;

    sslcv__json_begin(&json, text, sizeof text - 1, texts);
    ck_assert_int_eq(sslcv__json_enter(&json, '['), 0); /* it is an object: nothing happens */
    ck_assert_ptr_null(sslcv__json_text(&json));
    ck_assert_int_eq(sslcv__json_whole(&json, &number), 0);
    ck_assert_int_eq(sslcv__json_enter(&json, '{'), 1);
    ck_assert_int_eq(sslcv__json_next(&json), 1);
    ck_assert_str_eq(sslcv__json_key(&json), "shape");
    ahead = json;
    sslcv__json_skip(&ahead);
    ck_assert_int_eq(sslcv__json_next(&ahead), 1);
    ck_assert_int_eq(sslcv__json_enter(&json, '['), 1);
    ck_assert_int_eq(sslcv__json_next(&json), 1);
    ck_assert_int_eq(sslcv__json_whole(&json, &number), 1);
    ck_assert_int_eq(number, 2);
    ck_assert_int_eq(sslcv__json_next(&json), 1);
    ck_assert_int_eq(sslcv__json_whole(&json, &number), 1);
    ck_assert_int_eq(number, 3);
    ck_assert_int_eq(sslcv__json_next(&json), 0);
    ck_assert_int_eq(sslcv__json_next(&json), 1);
    ck_assert_ptr_eq(json.at, ahead.at); /* reading ahead comes to the same place */
    ck_assert_str_eq(sslcv__json_key(&json), "more");
    sslcv__json_skip(&json);
    ck_assert_int_eq(sslcv__json_next(&json), 1);
    ck_assert_str_eq(sslcv__json_key(&json), "empty");
    ck_assert_int_eq(sslcv__json_enter(&json, '{'), 1);
    ck_assert_int_eq(sslcv__json_next(&json), 0);
    ck_assert_int_eq(sslcv__json_next(&json), 1);
    ck_assert_str_eq(sslcv__json_key(&json), "name");
    ck_assert_int_eq(sslcv__json_enter(&json, '{'), 0);
    ck_assert_str_eq(sslcv__json_text(&json), "x");
    ck_assert_int_eq(sslcv__json_next(&json), 0);
    ck_assert_int_eq(sslcv__json_end(&json), 1);
    ck_assert_mem_eq(texts, "shape\0more\0empty\0name\0x", 24); /* what was passed over is not among them */
}
END_TEST

START_TEST(texts_and_escapes)
{
    static const struct {
        const char *text, *means;
    } table[] = {
        {"\"\"", ""},
        {"\"a b\"", "a b"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u00E9\\u20aC\\uFFFF\"", "A\xc3\xa9\xc3\xa9\xe2\x82\xac\xef\xbf\xbf"},
        {"\"\\ud83d\\uDE00\\uD800\\udc00\\uDBFF\\uDFFF\"", "\xf0\x9f\x98\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"\"\\u007f\\u0080\\u07ff\\u0800\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80"},
        {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f"},
    };
    size_t i;

    for (i = 0; i < sizeof table / sizeof *table; i++) {
        const int64_t size = (int64_t)strlen(table[i].text);
        char *const bytes = copy_of(table[i].text, size), *const room = malloc((size_t)size);
        sslcv__json json;

        sslcv__json_begin(&json, bytes, size, room);
        ck_assert_ptr_eq(sslcv__json_text(&json), room);
        ck_assert_str_eq(room, table[i].means);
        ck_assert_int_eq(json.texts - room, (int64_t)strlen(room) + 1);
        ck_assert_int_eq(sslcv__json_end(&json), 1);
        sslcv__json_begin(&json, bytes, size, NULL);
        ck_assert_str_eq(sslcv__json_text(&json), "");
        ck_assert_int_eq(sslcv__json_end(&json), 1);
        free(room);
        free(bytes);
    }
}
END_TEST

START_TEST(whole_numbers)
{
    static const struct {
        const char *text;
        int64_t number; /* -1: none */
    } table[] = {
        {"0", 0},
        {"7]", 7},
        {" 1234567890123456789 ", 1234567890123456789},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", -1},
        {"9223372036854775810", -1},
        {"92233720368547758070", -1},
        {"18446744073709551616", -1},
        {"-0", -1},
        {"-1", -1},
        {"1.0", -1},
        {"1e0", -1},
        {"1E2", -1},
        {"1.", -1},
        {"1e", -1},
        {"\"1\"", -1},
        {"[1]", -1},
        {"true", -1},
        {"", -1},
    };
    size_t i;

    for (i = 0; i < sizeof table / sizeof *table; i++) {
        const int64_t size = (int64_t)strlen(table[i].text);
        char *const bytes = copy_of(table[i].text, size);
        int64_t number = -2;
        sslcv__json json;

        sslcv__json_begin(&json, bytes, size, NULL);
        ck_assert_int_eq(sslcv__json_whole(&json, &number), table[i].number >= 0);
        ck_assert_int_eq(number, table[i].number >= 0 ? table[i].number : -2);
        ck_assert_ptr_null(json.error);
        if (table[i].number < 0) ck_assert_ptr_eq(json.at, bytes);
        free(bytes);
    }
}
END_TEST

/* ---- what is refused ---- */

START_TEST(errors)
{
    static const struct {
        const char *text;
        int place; /* of the first byte that cannot be */
        const char *error;
    } table[] = {
        {"", 0, "no value"},
        {"  ", 2, "no value"},
        {"nul", 0, "no value"},
        {"nil", 0, "no value"},
        {"True", 0, "no value"},
        {"NaN", 0, "no value"},
        {"-Infinity", 1, "a number without digits"},
        {"+1", 0, "no value"},
        {".5", 0, "no value"},
        {"1.", 2, "a number without digits"},
        {"1.e1", 2, "a number without digits"},
        {"1e+", 3, "a number without digits"},
        {"-", 1, "a number without digits"},
        {"01", 1, "something behind the end"},
        {"1 2", 2, "something behind the end"},
        {"{}}", 2, "something behind the end"},
        {"{", 1, "no key"},
        {"[", 1, "no value"},
        {"[1", 2, "no , or ] behind a value"},
        {"[1}", 2, "no , or ] behind a value"},
        {"[1,]", 3, "no value"},
        {"[,1]", 1, "no value"},
        {"{\"a\":1]", 6, "no , or } behind a value"},
        {"{\"a\":1,}", 7, "no key"},
        {"{\"a\"}", 4, "no : behind a key"},
        {"{\"a\":}", 5, "no value"},
        {"{1:1}", 1, "no key"},
        {"{\"a\":1 \"b\":2}", 7, "no , or } behind a value"},
        {"\"", 1, "a text without end"},
        {"\"\\\"", 3, "a text without end"},
        {"\"\\", 2, "an escape that there is not"},
        {"\"\\x41\"", 2, "an escape that there is not"},
        {"\"\\u12\"", 5, "\\u without four hexadecimal digits"},
        {"\"\\u12g4\"", 5, "\\u without four hexadecimal digits"},
        {"\"\\u0000\"", 7, "U+0000 in a text"},
        {"\"\\ud800\"", 7, "half of a surrogate pair"},
        {"\"\\udc00\"", 7, "half of a surrogate pair"},
        {"\"\\ud800\\n\"", 8, "half of a surrogate pair"},
        {"\"\\ud800\\ud800\"", 13, "half of a surrogate pair"},
        {"\"a\nb\"", 2, "a control character in a text"},
        {"\"\x1f\"", 1, "a control character in a text"},
        {"\"\x80\"", 1, "a text that is no UTF-8"},
        {"\"\xc3\"", 1, "a text that is no UTF-8"},
        {"\"\xc3", 1, "a text that is no UTF-8"},
        {"\"\xe2\x82", 1, "a text that is no UTF-8"},
        {"\"\xf0\x9f", 1, "a text that is no UTF-8"},
        {"\"\xf0\x9f\x98", 1, "a text that is no UTF-8"},
        {"\"\xc0\xaf\"", 1, "a text that is no UTF-8"},
        {"\"\xed\xa0\x80\"", 1, "a text that is no UTF-8"},
        {"\"\xf4\x90\x80\x80\"", 1, "a text that is no UTF-8"},
    };
    size_t i;

    for (i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t place;
        const char *const error = error_of(table[i].text, (int64_t)strlen(table[i].text), &place);

        ck_assert_msg(error && strcmp(error, table[i].error) == 0, "%s: %s", table[i].text, error ? error : "is taken");
        ck_assert_msg(place == table[i].place, "%s: byte %d", table[i].text, (int)place);
    }
    ck_assert_str_eq(error_of("[\0]", 3, NULL), "no value"); /* a 0 ends nothing */
    ck_assert_str_eq(error_of("\"\0\"", 3, NULL), "a control character in a text");
}
END_TEST

START_TEST(an_error_stays)
{
    static const char text[] = "[1 2, 3]";
    char texts[sizeof text];
    int64_t number = 5;
    sslcv__json json;
    const char *at;

    sslcv__json_begin(&json, text, sizeof text - 1, texts);
    ck_assert_int_eq(sslcv__json_enter(&json, '['), 1);
    ck_assert_int_eq(sslcv__json_next(&json), 1);
    ck_assert_int_eq(sslcv__json_whole(&json, &number), 1);
    ck_assert_int_eq(sslcv__json_next(&json), 0);
    at = json.at;
    ck_assert_int_eq(*at, '2');
    ck_assert_int_eq(sslcv__json_next(&json), 0);
    ck_assert_int_eq(sslcv__json_whole(&json, &number), 0);
    ck_assert_ptr_null(sslcv__json_text(&json));
    ck_assert_ptr_null(sslcv__json_key(&json));
    ck_assert_int_eq(sslcv__json_enter(&json, '['), 0);
    sslcv__json_skip(&json);
    ck_assert_int_eq(sslcv__json_end(&json), 0);
    ck_assert_ptr_eq(json.at, at);
    ck_assert_str_eq(json.error, "no , or ] behind a value");
}
END_TEST

START_TEST(brackets_within_each_other)
{
    char text[5 * (SSLCV__JSON_DEPTH + 1) + 1];
    int kinds, depth, i;

    for (kinds = 0; kinds < 3; kinds++) {
        for (depth = SSLCV__JSON_DEPTH; depth <= SSLCV__JSON_DEPTH + 1; depth++) {
            char *p = text;

            for (i = 0; i < depth; i++) {
                const int is_object = kinds == 2 ? i % 2 : kinds;

                p += sprintf(p, is_object && i + 1 < depth ? "{\"\":" : is_object ? "{" : "[");
            }
            for (i = depth - 1; i >= 0; i--) *p++ = (kinds == 2 ? i % 2 : kinds) ? '}' : ']';
            if (depth == SSLCV__JSON_DEPTH) {
                ck_assert_ptr_null(error_of(text, p - text, NULL));
            } else {
                ck_assert_str_eq(error_of(text, p - text, NULL), "brackets more than 64 deep");
            }
        }
    }
}
END_TEST

/* ---- against jansson ---- */

static uint32_t randomness = 1;

static uint32_t random_below(uint32_t n)
{
    randomness = randomness * 1664525u + 1013904223u;
    return (randomness >> 8) % n;
}

/** The texts of an array, one after the other, or an object's keys, as both read them. */
static void compare_texts(const char *text, int64_t size, const json_t *theirs)
{
    char *const bytes = copy_of(text, size), *const room = malloc((size_t)size);
    const int is_object = json_is_object(theirs);
    size_t i = 0;
    sslcv__json json;

    ck_assert_ptr_nonnull(room);
    sslcv__json_begin(&json, bytes, size, room);
    ck_assert_int_eq(sslcv__json_enter(&json, is_object ? '{' : '['), 1);
    for (; sslcv__json_next(&json); i++) {
        const char *const value = is_object ? sslcv__json_key(&json) : sslcv__json_text(&json);

        if (is_object) {
            ck_assert_ptr_nonnull(json_object_get(theirs, value));
        } else {
            const char *const other = json_string_value(json_array_get(theirs, i));

            ck_assert_int_eq(value != NULL, other != NULL);
            if (value) ck_assert_str_eq(value, other);
        }
        if (is_object || !value) sslcv__json_skip(&json);
    }
    ck_assert_int_eq(sslcv__json_end(&json), 1);
    if (!is_object) ck_assert_uint_eq(i, json_array_size(theirs));
    free(room);
    free(bytes);
}

START_TEST(the_same_as_jansson)
{
    static const char *const seeds[] = {
        "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}  ",
        "[\"\\u00e9\\ud83d\\ude00\", \"\xc3\xa9\xf0\x9f\x98\x80\", \"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\"]",
        "[0, -1, 1.5, 1e3, -2.5E-3, 12345678901234567, true, false, null, {}, [], [[]], {\"a\":{\"b\":[{}]}}]",
        "[\"a\",\"b\\u0041\",\"\xe2\x82\xac\",1,[\"c\"],{\"d\":\"e\"}]",
    };
    static const char pieces[] = "{}[]:,\"\\u0019aefdDbnrtE+-. \n\x80\xbf\xc3\xe2\xed\xa0\xf0\xf4\x90\x7f\x1f";
    enum { ROUNDS = 200000, ROOM = 256 };
    int round, valid = 0, invalid = 0;

    for (round = 0; round < ROUNDS; round++) {
        const char *const seed = seeds[random_below(sizeof seeds / sizeof *seeds)];
        int64_t size = (int64_t)strlen(seed);
        char text[ROOM];
        uint32_t changes = random_below(4);
        json_error_t why;
        const char *error;
        json_t *theirs;

        memcpy(text, seed, (size_t)size);
        while (changes-- > 0 && size > 1) {
            const int64_t place = random_below((uint32_t)size);

            switch (random_below(4)) {
            case 0: text[place] = pieces[random_below(sizeof pieces - 1)]; break;
            case 1: memmove(text + place, text + place + 1, (size_t)(size-- - place - 1)); break;
            case 2:
                memmove(text + place + 1, text + place, (size_t)(size++ - place));
                text[place] = pieces[random_below(sizeof pieces - 1)];
                break;
            default: text[place] = text[random_below((uint32_t)size)];
            }
        }
        error = error_of(text, size, NULL);
        theirs = json_loadb(text, (size_t)size, JSON_DECODE_ANY, &why);
        /* It also refuses numbers that do not fit into a long long or double, which are JSON. */
        if (theirs || json_error_code(&why) != json_error_numeric_overflow) {
            ck_assert_msg(!error == !!theirs, "%.*s: %s; jansson: %s", (int)size, text, error ? error : "taken",
                          theirs ? "taken" : why.text);
        }
        if (json_is_array(theirs) || json_is_object(theirs)) compare_texts(text, size, theirs);
        valid += theirs != NULL;
        invalid += theirs == NULL;
        json_decref(theirs);
    }
    ck_assert_int_gt(valid, ROUNDS / 4);
    ck_assert_int_gt(invalid, ROUNDS / 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("reading");

    tcase_add_test(tests, an_object);
    tcase_add_test(tests, texts_and_escapes);
    tcase_add_test(tests, whole_numbers);
    tcase_add_test(tests, errors);
    tcase_add_test(tests, an_error_stays);
    tcase_add_test(tests, brackets_within_each_other);
    tcase_add_test(tests, the_same_as_jansson);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
