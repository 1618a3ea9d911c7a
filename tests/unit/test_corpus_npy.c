/*
 * Malformed .npy files: each is refused with a clear message, nothing changes, and no more memory is taken than the
 * limit says, whatever the file claims.
 */
#include "corpus_support.h"

static const struct {
    const char *text, *message;
} headers[] = {
    {"{", "is no dictionary"},
    {"}", "is no dictionary"},
    {"[]", "is no dictionary"},
    {"()", "is no dictionary"},
    {"descr: '<f4'", "is no dictionary"},
    {"{'descr'}", "is no dictionary"},
    {"{'descr' '<f4'}", "is no dictionary"},
    {"{descr: '<f4'}", "is no dictionary"},
    {"{'descr: '<f4'}", "is no dictionary"},
    {"{'descr\": '<f4'}", "is no dictionary"},
    {"{,}", "is no dictionary"},
    {"{'descr': '<f4',, 'shape': (2,)}", "is no dictionary"},
    {"{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}", "is no dictionary"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "is no dictionary"},
    {"{}", "lacks descr, fortran_order or shape"},
    {"{'descr': '<f4', 'fortran_order': False}", "lacks descr"},
    {"{'descr': '<f4', 'shape': (2,)}", "lacks descr"},
    {"{'fortran_order': False, 'shape': (2,)}", "lacks descr"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "has a key twice"},
    {"{'descr': '<f4', 'fortran_order': False, 'fortran_order': False, 'shape': (2,)}", "has a key twice"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'shape': (2,)}", "has a key twice"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", "has a key other than"},
    {"{'': '<f4'}", "has a key other than"},
    {"{'descriptor': '<f4'}", "has a key other than"},
    {"{'fortran_order_and_more': '<f4'}", "has a key other than"},
    {HEADER("<f4", "False", "(2,)") "x", "goes on behind its dictionary"},
    {HEADER("<f4", "False", "(2,)") "}", "goes on behind its dictionary"},
    {HEADER("<f4", "False", "(2,)") "{}", "goes on behind its dictionary"},
    {HEADER("<f4", "False", "(2,)") "# why", "goes on behind its dictionary"},
    {"{'descr': 4, 'fortran_order': False, 'shape': (2,)}", "has no descr that is a text"},
    {"{'descr': None, 'fortran_order': False, 'shape': (2,)}", "has no descr that is a text"},
    {"{'descr': <f4, 'fortran_order': False, 'shape': (2,)}", "has no descr that is a text"},
    {"{'descr': b'<f4', 'fortran_order': False, 'shape': (2,)}", "has no descr that is a text"},
    {"{'descr': '<f\\x34', 'fortran_order': False, 'shape': (2,)}", "has no descr that is a text"},
    {"{'descr': '<f\n4', 'fortran_order': False, 'shape': (2,)}", "has no descr that is a text"},
    {"{'descr': '<f4", "has no descr that is a text"},
    {"{'descr': ", "has no descr that is a text"},
    {"{'descr': [('a', '<f4'), 'fortran_order': False, 'shape': (2,)}", "has a descr that does not end"},
    {"{'descr': [('a', '<f4)], 'fortran_order': False, 'shape': (2,)}", "has a descr that does not end"},
    {"{'descr': [", "has a descr that does not end"},
    {HEADER("<f4", "false", "(2,)"), "neither True nor False"},
    {HEADER("<f4", "0", "(2,)"), "neither True nor False"},
    {HEADER("<f4", "'False'", "(2,)"), "neither True nor False"},
    {HEADER("<f4", "None", "(2,)"), "neither True nor False"},
    {HEADER("<f4", "", "(2,)"), "neither True nor False"},
    {HEADER("<f4", "TrueFalse", "(2,)"), "is no dictionary"},
    {HEADER("<f4", "False", "2"), "has no shape that is a tuple"},
    {HEADER("<f4", "False", "(2)"), "has no shape that is a tuple"},
    {HEADER("<f4", "False", "[2]"), "has no shape that is a tuple"},
    {HEADER("<f4", "False", "None"), "has no shape that is a tuple"},
    {HEADER("<f4", "False", "nan"), "has no shape that is a tuple"},
    {HEADER("<f4", "False", "(2 1)"), "whole numbers 0 .. 2^63 - 1"},
    {HEADER("<f4", "False", "(2,,)"), "whole numbers"},
    {HEADER("<f4", "False", "(,)"), "whole numbers"},
    {HEADER("<f4", "False", "(-2,)"), "whole numbers"},
    {HEADER("<f4", "False", "(-1, -2)"), "whole numbers"},
    {HEADER("<f4", "False", "(+2,)"), "whole numbers"},
    {HEADER("<f4", "False", "(2.0,)"), "whole numbers"},
    {HEADER("<f4", "False", "(2e0,)"), "whole numbers"},
    {HEADER("<f4", "False", "(nan,)"), "whole numbers"},
    {HEADER("<f4", "False", "(NaN,)"), "whole numbers"},
    {HEADER("<f4", "False", "(inf,)"), "whole numbers"},
    {HEADER("<f4", "False", "(None,)"), "whole numbers"},
    {HEADER("<f4", "False", "(True,)"), "whole numbers"},
    {HEADER("<f4", "False", "('2',)"), "whole numbers"},
    {HEADER("<f4", "False", "((2,),)"), "whole numbers"},
    {HEADER("<f4", "False", "(0x2,)"), "whole numbers"},
    {HEADER("<f4", "False", "(2LL,)"), "whole numbers"},
    {HEADER("<f4", "False", "(2_000,)"), "whole numbers"},
    {HEADER("<f4", "False", "(9223372036854775808,)"), "whole numbers"},
    {HEADER("<f4", "False", "(18446744073709551618,)"), "whole numbers"},
    {HEADER("<f4", "False", "(99999999999999999999999999999999999999,)"), "whole numbers"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,", "whole numbers"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2", "whole numbers"},
    {HEADER("<f4", "False", "(4294967296, 4294967296)"), "a shape too large to count"},
    {HEADER("<f4", "False", "(9223372036854775807, 9223372036854775807)"), "a shape too large to count"},
    {HEADER("<f4", "False", "(2, 3037000500, 3037000500)"), "a shape too large to count"},
    {HEADER("<f4", "False", "(0, 4294967296, 4294967296)"), "a shape too large to count"},
    {HEADER("<f4", "True", "(4294967296, 4294967296, 0)"), "a shape too large to count"},
    {HEADER("<f4", "True", "(0, 4294967296, 4294967296)"), "a shape too large to count"},
    {HEADER("<f4", "False", "(9223372036854775807,)"), "9223372036854775807 elements of <f4, but 8 bytes"},
    {HEADER("<f4", "False", "(4611686018427387906,)"), "4611686018427387906 elements of <f4, but 8 bytes"},
    {HEADER("<f4", "False", "(0, 9223372036854775807)"), "has 0 elements of <f4, but 8 bytes"},
    {HEADER("<f4", "False", "(1000000000, 1000000000)"), "1000000000000000000 elements of <f4, but 8 bytes"},
    {HEADER("<f4", "False", "(3,)"), "has 3 elements of <f4, but 8 bytes"},
    {HEADER("<f4", "False", "(1,)"), "has 1 elements of <f4, but 8 bytes"},
    {HEADER("<f4", "False", "()"), "has 1 elements of <f4, but 8 bytes"},
    {HEADER("<f4", "True", "(2, 2)"), "has 4 elements of <f4, but 8 bytes"},
    {HEADER("<f8", "False", "(2,)"), "has 2 elements of <f8, but 8 bytes"},
    {HEADER("<f2", "False", "(2,)"), "has 2 elements of <f2, but 8 bytes"},
    {HEADER(">i8", "False", "(2,)"), "has 2 elements of >i8, but 8 bytes"},
    {HEADER("|b1", "False", "(2,)"), "has 2 elements of |b1, but 8 bytes"},
};

static const char *const unknown[] = {"",    "f",   "<f",  "4",   "<f3", "<f16", "<c8",    "<i2",     "<u4",
                                      "<u8", "|i1", "|S4", "<U2", "|O",  "|V4",  "<M8",    "<m8[ns]", "<f4 ",
                                      "<<4", "f44", "!f4", "@f4", "<b8", "<F4",  "float32"};

START_TEST(npy_headers)
{
    size_t i;

    accept(npy_file(1, GOOD, two_values, 8)); /* what the table starts from is good */
    for (i = 0; i < sizeof headers / sizeof *headers; i++) {
        refuse(npy_file(1, headers[i].text, two_values, 8), BY_BOTH, SSLCV_ERR_FORMAT, headers[i].message);
    }
    for (i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        char text[128], message[64];

        snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (2,)}", unknown[i]);
        snprintf(message, sizeof message, "has dtype %s; known are f8", unknown[i]);
        refuse(npy_file(1, text, two_values, 8), BY_BOTH, SSLCV_ERR_UNSUPPORTED, message);
    }
    refuse(npy_file(1, HEADER("\xff\x7f", "False", "(2,)"), two_values, 8), BY_BOTH, SSLCV_ERR_UNSUPPORTED,
           "has dtype ??; known");
    ck_assert_int_ge(refused, 110);
}
END_TEST

START_TEST(npy_fronts)
{
    static const struct {
        char front[24];
        const char *message;
    } fronts[] = {
        {"\x93NUMPX\1\0\x10\0      ", "is not a safetensors file"},
        {"\x93numpy\1\0\x10\0      ", "is not a safetensors file"},
        {"\x93NUMPY\0\0\x10\0      ", "of version 0.0; known are 1.0, 2.0 and 3.0"},
        {"\x93NUMPY\4\0\x10\0      ", "of version 4.0"},
        {"\x93NUMPY\1\1\x10\0      ", "of version 1.1"},
        {"\x93NUMPY\xff\xff\x10\0      ", "of version 255.255"},
        {"\x93NUMPY\1\0\0\0        ", "is no dictionary"},
        {"\x93NUMPY\1\0\1\0        ", "is no dictionary"},
        {"\x93NUMPY\1\0\x28\0      ", "its header has 40 bytes, of which 22 are there"},
        {"\x93NUMPY\1\0\xff\xff      ", "its header has 65535 bytes, of which 22 are there"},
        {"\x93NUMPY\2\0\xff\xff\0\0", "its header has 65535 bytes, of which 20 are there"},
        {"\x93NUMPY\2\0\0\0\1\0", "its header would have 65536 bytes; at most 65535"},
        {"\x93NUMPY\2\0\xff\xff\xff\x7f", "would have 2147483647 bytes"},
        {"\x93NUMPY\3\0\xff\xff\xff\xff", "would have 4294967295 bytes"},
        {"\x93NUMPY\3\0\0\0\0\x80", "would have 2147483648 bytes"},
    };
    size_t i;

    for (i = 0; i < sizeof fronts / sizeof *fronts; i++) {
        memory_file file = {calloc(1, 33), 32, 0, 1 << 20, 0};

        memcpy(file.bytes, fronts[i].front, 12);
        refuse(file, BY_BOTH, SSLCV_ERR_FORMAT, fronts[i].message);
    }
    refuse_cuts(npy_file(1, GOOD, two_values, 8));
    refuse_cuts(npy_file(2, GOOD, two_values, 8));
}
END_TEST

START_TEST(npy_values)
{
    const float bad[2] = {1, NAN};
    char *deep = malloc(65535);
    int i;

    refuse(npy_file(1, GOOD, bad, 8), BY_LOAD, SSLCV_ERR_NUMERIC, "a");
    refuse(npy_file(1, HEADER("<i4", "False", "(2,)"), two_values, 8), BY_LOAD, SSLCV_ERR_FORMAT,
           "is <i4; ours is F32");
    refuse(npy_file(1, HEADER("<f4", "False", "(1, 2)"), two_values, 8), BY_LOAD, SSLCV_ERR_FORMAT,
           "has shape (1, 2); ours is (2)");
    refuse(npy_file(1, HEADER("|b1", "False", "(8,)"), "\0\1\0\1\0\1\0\2", 8), BY_OPEN, SSLCV_ERR_FORMAT,
           "bytes other than 0 and 1");
    refuse(npy_file(1, HEADER("<f4", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 2)"), two_values, 8), BY_BOTH,
           SSLCV_ERR_UNSUPPORTED, "has 9 axes; at most 8");
    for (i = 0; i < 4; i++) { /* brackets without end, of which none may cost a frame of the stack */
        memset(deep, i % 2 ? '(' : '[', 60000);
        memcpy(deep, i < 2 ? "{'descr': " : "{'shape': (", i < 2 ? 10 : 11);
        deep[60000] = 0;
        refuse(npy_file(1, deep, two_values, 8), BY_BOTH, SSLCV_ERR_FORMAT,
               i < 2 ? "a descr that does not end" : "whole numbers");
    }
    free(deep);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("corpus_npy");
    TCase *npy = tcase_create("npy");

    tcase_add_checked_fixture(npy, corpus_setup, corpus_teardown);
    tcase_add_test(npy, npy_headers);
    tcase_add_test(npy, npy_fronts);
    tcase_add_test(npy, npy_values);
    suite_add_tcase(suite, npy);
    return run_suite(suite);
}
