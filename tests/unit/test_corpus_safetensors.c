/*
 * Malformed safetensors files, made by putting every bad number in every place: each is refused with a clear message,
 * nothing changes, and no more memory is taken than the limit says, whatever the file claims. Single cases are in
 * test_safetensors_malformed.c.
 */
#include "corpus_support.h"

enum { DATA_BYTES = 8 };

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"

static memory_file entry_file(const char *dtype, const char *shape, const char *begin, const char *end)
{
    char header[512];

    snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%s,%s]}}", dtype, shape,
             begin, end);
    return build(header, DATA_BYTES);
}

/* No number of bytes, elements or axes, written in any way. */
static const char *const bad_numbers[] = {
    "-1",
    "-0.5",
    "1.5",
    "8.0",
    "8e0",
    "1e400",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "null",
    "true",
    "\"8\"",
    "[8]",
    "{}",
    "0x8",
    "08",
    "+8",
    "",
};

/* Whole numbers, but not those of this file. */
static const char *const wrong_numbers[] = {
    "1",
    "7",
    "9",
    "16",
    "2147483647",
    "2147483648",
    "4294967288",
    "4294967304",
    "8589934592",
    "1099511627776",
    "9007199254740993",
    "4611686018427387904",
    "9223372036854775800",
    "9223372036854775807",
};

enum {
    NUM_BAD = (int)(sizeof bad_numbers / sizeof *bad_numbers),
    NUM_WRONG = (int)(sizeof wrong_numbers / sizeof *wrong_numbers)
};

START_TEST(bad_numbers_everywhere)
{
    int i;

    accept(entry_file("F32", "2", "0", "8"));
    for (i = 0; i < NUM_BAD; i++) {
        if (bad_numbers[i][0]) { /* an empty shape is a scalar, and its size is wrong for another reason */
            refuse(entry_file("F32", bad_numbers[i], "0", "8"), BY_BOTH, SSLCV_ERR_FORMAT, "the stream: ");
        }
        refuse(entry_file("F32", "2", bad_numbers[i], "8"), BY_BOTH, SSLCV_ERR_FORMAT, "the stream: ");
        refuse(entry_file("F32", "2", "0", bad_numbers[i]), BY_BOTH, SSLCV_ERR_FORMAT, "the stream: ");
    }
    ck_assert_int_ge(refused, 71);
}
END_TEST

START_TEST(wrong_numbers_everywhere)
{
    int i, j;

    for (i = 0; i < NUM_WRONG; i++) {
        char shape[64];

        refuse(entry_file("F32", wrong_numbers[i], "0", "8"), BY_BOTH, SSLCV_ERR_FORMAT,
               "elements of F32, but 8 bytes");
        refuse(entry_file("F32", "2", wrong_numbers[i], "8"), BY_BOTH, SSLCV_ERR_FORMAT, "tensor \"a\" has");
        refuse(entry_file("F32", "2", "0", wrong_numbers[i]), BY_BOTH, SSLCV_ERR_FORMAT, "tensor \"a\" has");
        snprintf(shape, sizeof shape, "0,%s", wrong_numbers[i]); /* an axis of length 0 hides nothing */
        refuse(entry_file("F32", shape, "0", "8"), BY_BOTH, SSLCV_ERR_FORMAT, "elements of F32, but 8 bytes");
        for (j = 8; j < NUM_WRONG; j++) {
            snprintf(shape, sizeof shape, "%s,%s,4294967296", wrong_numbers[i], wrong_numbers[j]);
            refuse(entry_file("F32", shape, "0", "8"), BY_BOTH, SSLCV_ERR_FORMAT, "a shape too large to count");
        }
    }
    ck_assert_int_ge(refused, 140);
}
END_TEST

START_TEST(sizes_do_not_fit_the_dtype)
{
    static const char *const dtypes[] = {"F64", "F16", "BF16", "I64", "U16", "U8", "BOOL"};
    static const char *const unknown[] = {"", "f32", "F8", "F8_E4M3", "I8", "U32", "C64", "F32 ", "float32"};
    size_t i;

    for (i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        refuse(entry_file(dtypes[i], "2", "0", "8"), BY_BOTH, SSLCV_ERR_FORMAT, "has 2 elements of");
    }
    for (i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        refuse(entry_file(unknown[i], "2", "0", "8"), BY_BOTH, SSLCV_ERR_UNSUPPORTED, "known are F64");
    }
    refuse(entry_file("I32", "2", "0", "8"), BY_LOAD, SSLCV_ERR_FORMAT, "is I32; ours is F32");
    refuse(entry_file("F32", "1,2", "0", "8"), BY_LOAD, SSLCV_ERR_FORMAT, "has shape (1, 2); ours is (2)");
    refuse(entry_file("F32", "1,1,1,1,1,1,1,1,2", "0", "8"), BY_BOTH, SSLCV_ERR_UNSUPPORTED, "has 9 axes; at most 8");
    refuse(entry_file("BOOL", "8", "0", "8"), BY_OPEN, SSLCV_ERR_FORMAT, "bytes other than 0 and 1");
}
END_TEST

START_TEST(header_lengths)
{
    static const uint64_t lengths[] = {0,
                                       1,
                                       66,
                                       100000000,
                                       100000001,
                                       (uint64_t)1 << 31,
                                       (uint64_t)1 << 32,
                                       ((uint64_t)1 << 63) - 9,
                                       ((uint64_t)1 << 63) - 1,
                                       (uint64_t)1 << 63,
                                       ((uint64_t)1 << 63) + 1,
                                       UINT64_MAX - 8,
                                       UINT64_MAX};
    size_t i;
    int j;

    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memory_file file = build("{" A "}", DATA_BYTES);

        for (j = 0; j < 8; j++) file.bytes[j] = (char)(lengths[i] >> (8 * j) & 0xff);
        refuse(file, BY_BOTH, SSLCV_ERR_FORMAT, "the stream");
    }
    refuse_cuts(build("{" A "}", DATA_BYTES));
}
END_TEST

/** front, then count times piece, then back. */
static memory_file repeated(const char *front, const char *piece, int64_t count, const char *back, int64_t data_bytes)
{
    const int64_t length = (int64_t)(strlen(front) + strlen(back)) + count * (int64_t)strlen(piece);
    char *header = malloc((size_t)length + 1), *p = header;
    memory_file file;
    int64_t i;

    ck_assert_ptr_nonnull(header);
    p += sprintf(p, "%s", front);
    for (i = 0; i < count; i++) p += sprintf(p, "%s", piece);
    sprintf(p, "%s", back);
    file = build(header, data_bytes);
    free(header);
    return file;
}

/** Keys that differ: front, then for i = 0 .. count - 1 a comma (not first), "i": and value, then back. */
static memory_file numbered(const char *front, int64_t count, const char *value, const char *back, int64_t data_bytes)
{
    char *header = malloc(strlen(front) + strlen(back) + (size_t)count * (strlen(value) + 16) + 1), *p = header;
    memory_file file;
    int64_t i;

    ck_assert_ptr_nonnull(header);
    p += sprintf(p, "%s", front);
    for (i = 0; i < count; i++) p += sprintf(p, "%s\"%x\":%s", i ? "," : "", (unsigned)i, value);
    sprintf(p, "%s", back);
    file = build(header, data_bytes);
    free(header);
    return file;
}

#define NOTHING "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}"
#define UNKNOWN "{\"dtype\":\"F8\",\"shape\":[0],\"data_offsets\":[0,0]}"

/* What becomes of them in a state is many times larger: not before the file is known to be taken. */
START_TEST(many_small_things)
{
    refuse(numbered("{\"__metadata__\":{", 60000, "\"\"", "},\"a\":" UNKNOWN "}", 0), BY_OPEN, SSLCV_ERR_UNSUPPORTED,
           "known are F64");
    refuse(numbered("{\"__metadata__\":{", 65537, "\"\"", "}," A "}", 8), BY_BOTH, SSLCV_ERR_LIMIT,
           "__metadata__ has 65537 keys; at most 65536");
    refuse(numbered("{", 20000, NOTHING, ",\"x\":" UNKNOWN "}", 0), BY_OPEN, SSLCV_ERR_UNSUPPORTED, "known are F64");
    accept(numbered("{\"__metadata__\":{", 65536, "\"\"", "}," A "}", 8));
}
END_TEST

START_TEST(deep_and_wide)
{
    static const char *const pieces[] = {"[", "{\"a\":", "[[],", "[{},"};
    size_t i;

    for (i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        refuse(repeated("{\"a\":", pieces[i], 50000, "", 0), BY_BOTH, SSLCV_ERR_FORMAT, "cannot be read at byte");
        refuse(repeated("{\"__metadata__\":", pieces[i], 50000, "", 0), BY_BOTH, SSLCV_ERR_FORMAT,
               "cannot be read at byte");
    }
    /* What takes most memory for its length: the limit is for them. */
    refuse(repeated("{\"a\":[", "[],", 100000, "[]]}", 0), BY_BOTH, SSLCV_ERR_FORMAT, "is not an object");
    refuse(repeated("{\"a\":[", "{},", 100000, "{}]}", 0), BY_BOTH, SSLCV_ERR_FORMAT, "is not an object");
    refuse(repeated("{\"a\":[", "0,", 100000, "0]}", 0), BY_BOTH, SSLCV_ERR_FORMAT, "is not an object");
    refuse(repeated("{\"a\":[", "\"\",", 100000, "0]}", 0), BY_BOTH, SSLCV_ERR_FORMAT, "is not an object");
    refuse(repeated("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8],\"shape\":[", "2,", 100000, "2]}}", 8), BY_BOTH,
           SSLCV_ERR_FORMAT, "a shape too large to count");
    refuse(repeated("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4],\"shape\":[", "1,", 100000, "1]}}", 4), BY_BOTH,
           SSLCV_ERR_UNSUPPORTED, "has 100001 axes; at most 8");
    refuse(repeated("{", "\"\":0,", 100000, "\"\":0}", 0), BY_BOTH, SSLCV_ERR_FORMAT, "is not an object");
    refuse(repeated("{", "\"\":{\"dtype\":\"\",\"shape\":[],\"data_offsets\":[0,0]},", 10000, "\"\":0}", 0), BY_BOTH,
           SSLCV_ERR_FORMAT, "is not an object");
    refuse(repeated("{", "\"\":{\"dtype\":\"\",\"shape\":[],\"data_offsets\":[0,0]},", 10000,
                    "\"\":{\"dtype\":\"\",\"shape\":[],\"data_offsets\":[0,0]}}", 0),
           BY_BOTH, SSLCV_ERR_FORMAT, "has two tensors named \"\"");
    refuse(repeated("{\"__metadata__\":{", "\"\":\"\",", 60000, "\"\":\"\"}}", 0), BY_BOTH, SSLCV_ERR_FORMAT,
           "__metadata__ has \"\" twice");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("corpus_safetensors");
    TCase *bad = tcase_create("malformed");

    tcase_add_checked_fixture(bad, corpus_setup, corpus_teardown);
    tcase_add_test(bad, bad_numbers_everywhere);
    tcase_add_test(bad, wrong_numbers_everywhere);
    tcase_add_test(bad, sizes_do_not_fit_the_dtype);
    tcase_add_test(bad, header_lengths);
    tcase_add_test(bad, deep_and_wide);
    tcase_add_test(bad, many_small_things);
    suite_add_tcase(suite, bad);
    return run_suite(suite);
}
