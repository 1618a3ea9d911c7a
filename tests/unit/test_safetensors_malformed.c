/* Safetensors files that are no such files: refused, and nothing changes. */
#include "safetensors_support.h"

#define A                            "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define ENTRY(dtype, shape, offsets) "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const struct {
    const char *header;
    int64_t data_size;
    const char *text;
} malformed[] = {
    {"", 0, "does not begin with {"},
    {"{", 0, "does not begin with {"},
    {"[]", 0, "does not begin with {"},
    {" {}", 0, "does not begin with {"},
    {"xx", 8, "does not begin with {"},
    {"{ ", 0, "cannot be read at byte"},
    {"{}}", 0, "cannot be read at byte"},
    {"{} {}", 0, "cannot be read at byte"},
    {"{}", 1, "its tensors have 0 bytes, its data part has 1"},
    {"{" A, 8, "cannot be read at byte"},
    {"{" A ",}", 8, "cannot be read at byte"},
    {"{" A "," A "}", 8, "has two tensors named \"a\""},
    {"{" A ",\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}", 12, "has two tensors named \"a\""},
    {"{" A "}\xff", 8, "cannot be read at byte"},
    {"{\"\\u0000\":1}", 0, "cannot be read at byte"},
    {"{\"\xc3\":1}", 0, "cannot be read at byte"},
    {"{\"a\":NaN}", 0, "cannot be read at byte"},
    {"{\"a\":1}", 0, "tensor \"a\" is not an object"},
    {"{\"a\":null}", 0, "tensor \"a\" is not an object"},
    {"{\"a\":[]}", 0, "tensor \"a\" is not an object"},
    {"{\"a\":{}}", 0, "tensor \"a\" has no dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "has no data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "has no shape"},
    {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "has no dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     "has dtype, shape or data_offsets twice"},
    {ENTRY("32", "[2]", "[0,8]"), 8, "has no dtype that is a text"},
    {ENTRY("null", "[2]", "[0,8]"), 8, "has no dtype that is a text"},
    {ENTRY("\"F32\"", "2", "[0,8]"), 8, "has no shape that is an array"},
    {ENTRY("\"F32\"", "{}", "[0,8]"), 8, "has no shape that is an array"},
    {ENTRY("\"F32\"", "[-2]", "[0,8]"), 8, "whole numbers >= 0"},
    {ENTRY("\"F32\"", "[2.0]", "[0,8]"), 8, "whole numbers >= 0"},
    {ENTRY("\"F32\"", "[2e0]", "[0,8]"), 8, "whole numbers >= 0"},
    {ENTRY("\"F32\"", "[\"2\"]", "[0,8]"), 8, "whole numbers >= 0"},
    {ENTRY("\"F32\"", "[true]", "[0,4]"), 4, "whole numbers >= 0"},
    {ENTRY("\"F32\"", "[[2]]", "[0,8]"), 8, "whole numbers >= 0"},
    {ENTRY("\"F32\"", "[NaN]", "[0,8]"), 8, "cannot be read at byte"},
    {ENTRY("\"F32\"", "[9223372036854775808]", "[0,8]"), 8, "whole numbers >= 0"},
    {ENTRY("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "a shape too large to count"},
    {ENTRY("\"F32\"", "[0,4294967296,4294967296]", "[0,0]"), 0, "a shape too large to count"},
    {ENTRY("\"F32\"", "[4294967296,0,4294967296]", "[0,0]"), 0, "a shape too large to count"},
    {ENTRY("\"F32\"", "[4611686018427387904]", "[0,0]"), 0, "has 4611686018427387904 elements of F32, but 0 bytes"},
    {ENTRY("\"F32\"", "[3]", "[0,8]"), 8, "has 3 elements of F32, but 8 bytes"},
    {ENTRY("\"F16\"", "[2]", "[0,8]"), 8, "has 2 elements of F16, but 8 bytes"},
    {ENTRY("\"F32\"", "[]", "[0,8]"), 8, "has 1 elements of F32, but 8 bytes"},
    {ENTRY("\"F32\"", "[2]", "8"), 8, "has no data_offsets"},
    {ENTRY("\"F32\"", "[2]", "[8]"), 8, "has no data_offsets"},
    {ENTRY("\"F32\"", "[2]", "[0,8,8]"), 8, "has no data_offsets"},
    {ENTRY("\"F32\"", "[2]", "[0.0,8]"), 8, "has no data_offsets"},
    {ENTRY("\"F32\"", "[2]", "[-8,0]"), 8, "has no data_offsets"},
    {ENTRY("\"F32\"", "[2]", "[8,0]"), 8, "has data_offsets 8 and 0"},
    {ENTRY("\"F32\"", "[2]", "[0,9223372036854775807]"), 8, "the data part has 8 bytes"},
    {ENTRY("\"F32\"", "[2]", "[0,8]"), 7, "the data part has 7 bytes"},
    {ENTRY("\"F32\"", "[2]", "[0,8]"), 9, "its tensors have 8 bytes, its data part has 9"},
    {ENTRY("\"F32\"", "[2]", "[1,9]"), 9, "tensor \"a\" begins at byte 1 of the data part; must be 0"},
    {"{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[9,13]}}", 13,
     "\"b\" begins at byte 9 of the data part; must be 8"},
    {"{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
     "\"b\" begins at byte 4 of the data part; must be 8"},
    {"{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     "begins at byte 0 of the data part; must be 8"},
    {"{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}", 8,
     "\"b\" begins at byte 4 of the data part; must be 8"},
    {"{" A ",\"b\":{\"dtype\":\"F8\",\"shape\":[9],\"data_offsets\":[8,17]}}", 16, "has data_offsets 8 and 17"},
    {"{\"__metadata__\":[]," A "}", 8, "__metadata__ is not an object"},
    {"{\"__metadata__\":\"x\"," A "}", 8, "__metadata__ is not an object"},
    {"{\"__metadata__\":null," A "}", 8, "__metadata__ is not an object"},
    {"{\"__metadata__\":{}," A ",\"__metadata__\":{}}", 8, "has __metadata__ twice"},
    {"{\"__metadata__\":{\"k\":\"\",\"j\":\"\",\"k\":\"\"}," A "}", 8, "__metadata__ has \"k\" twice"},
    {"{\"__metadata__\":{\"k\":\"\",}," A "}", 8, "cannot be read at byte"},
    {"{\"__metadata__\":{\"k\":nil}," A "}", 8, "cannot be read at byte"},
    {"{\"__metadata__\":{\"k\":1}," A "}", 8, "__metadata__ has \"k\", which is not a text"},
    {"{\"__metadata__\":{\"k\":{}}," A "}", 8, "__metadata__ has \"k\", which is not a text"},
    {"{\"__metadata__\":{\"sslcv.format\":\"1\"}," A "}", 8, "is damaged, or another program has changed it"},
    {"{\"__metadata__\":{\"sslcv.checksum\":\"00000000\"}," A "}", 8, "is damaged, or another program"},
    {"{\"__metadata__\":{\"sslcv.format\":\"1\",\"sslcv.checksum\":\"00000000\"}," A "}", 8,
     "is damaged, or another program"},
    {"{\"__metadata__\":{\"sslcv.checksum\":\"00000000\",\"sslcv.format\":\"1\"}," A "}", 8,
     "sslcv.checksum says 00000000"},
    {"{\"__metadata__\":{\"sslcv.checksum\":\"\",\"sslcv.format\":\"1\"}," A "}", 8, "sslcv.checksum says "},
};

static sslcv_state *make_target(void)
{
    const int64_t two = 2;
    sslcv_state *target;

    OK(sslcv_state_create(context, &target));
    add(target, "a", SSLCV_F32, SSLCV_ROLE_WEIGHT, 1, &two);
    ((float *)data_of(target, 0))[1] = 42;
    return target;
}

START_TEST(malformed_headers)
{
    sslcv_state *target = make_target(), *opened = NULL;
    memory_file file = build("{" A "}", 8);
    size_t i;

    OK(load_from_memory(target, &file, NULL, NULL)); /* what the table starts from is good */
    ((float *)data_of(target, 0))[1] = 42;
    free(file.bytes);
    for (i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        file = build(malformed[i].header, malformed[i].data_size);
        FAILS(load_from_memory(target, &file, NULL, NULL), SSLCV_ERR_FORMAT, malformed[i].text);
        FAILS(open_from_memory(&file, NULL, &opened), SSLCV_ERR_FORMAT, malformed[i].text);
        ck_assert_float_eq(((float *)data_of(target, 0))[1], 42);
        ck_assert_ptr_null(opened);
        free(file.bytes);
    }
    file = build("{\"__metadata__\":{\"sslcv.checksum\":\"00000000\",\"sslcv.format\":\"2\"}," A "}", 8);
    FAILS(load_from_memory(target, &file, NULL, NULL), SSLCV_ERR_UNSUPPORTED,
          "has sslcv.format 2; this version reads 1");
    free(file.bytes);
    sslcv_state_destroy(target);
}
END_TEST

START_TEST(malformed_starts)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } starts[] = {
        {"", 0, "has 0 bytes; a safetensors file has at least 10"},
        {"\2\0\0\0\0\0\0", 7, "has 7 bytes"},
        {"\2\0\0\0\0\0\0\0", 8, "its header has 2 bytes, of which 0 are there"},
        {"\2\0\0\0\0\0\0\0{", 9, "of which 1 are there"},
        {"\1\xe1\xf5\5\0\0\0\0{}", 10, "its header would have 100000001 bytes; at most 100000000"},
        {"\0\xe1\xf5\5\0\0\0\0{}", 10, "its header has 100000000 bytes, of which 2 are there"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "would have 18446744073709551615 bytes"},
        {"\2\0\0\0\0\0\0\x80{}", 10, "would have 9223372036854775810 bytes"},
        {"PK\3\4 and so on, as torch.save() does", 30, "is a damaged zip archive"},
    };
    sslcv_state *target = make_target();
    size_t i;

    for (i = 0; i < sizeof starts / sizeof *starts; i++) {
        write_file(in_folder("x"), starts[i].bytes, starts[i].size);
        FAILS(sslcv_state_load(target, in_folder("x"), NULL, NULL), SSLCV_ERR_FORMAT, starts[i].text);
        FAILS(sslcv_state_load(target, in_folder("x"), NULL, NULL), SSLCV_ERR_FORMAT, test_folder);
    }
    ck_assert_float_eq(((float *)data_of(target, 0))[1], 42);
    sslcv_state_destroy(target);
}
END_TEST

START_TEST(nested_without_end)
{
    const int depth = 100000;
    char *header = malloc((size_t)depth * 5 + 8);
    memory_file file;
    int i;

    for (i = 0; i < depth; i++) memcpy(header + 5 * i, "{\"a\":", 5);
    header[5 * depth] = 0;
    file = build(header, 0);
    FAILS(load_from_memory(state, &file, NULL, NULL), SSLCV_ERR_FORMAT, "cannot be read at byte");
    free(header);
    free(file.bytes);
}
END_TEST

START_TEST(cut_at_every_byte)
{
    sslcv_state *other = make_state(0), *zeros = make_state(0), *opened = NULL;
    memory_file file = save_to_memory(state, NULL);
    const int64_t size = file.size;

    for (file.size = 0; file.size < size; file.size++) {
        ck_assert_int_eq(load_from_memory(other, &file, NULL, NULL), SSLCV_ERR_FORMAT);
        ck_assert_int_eq(open_from_memory(&file, NULL, &opened), SSLCV_ERR_FORMAT);
        check_equal(other, zeros);
    }
    file.bytes[size] = 0;
    file.size = size + 1;
    ck_assert_int_eq(load_from_memory(other, &file, NULL, NULL), SSLCV_ERR_FORMAT);
    check_equal(other, zeros);
    free(file.bytes);
    sslcv_state_destroy(zeros);
    sslcv_state_destroy(other);
}
END_TEST

START_TEST(every_bit_flipped)
{
    sslcv_state *other = make_state(0), *zeros = make_state(0);
    memory_file file = save_to_memory(state, NULL);
    int64_t i;

    for (i = 0; i < 8 * file.size; i++) {
        sslcv_status status;

        file.bytes[i / 8] = (char)(file.bytes[i / 8] ^ 1 << i % 8);
        status = load_from_memory(other, &file, NULL, NULL);
        ck_assert_msg(status == SSLCV_ERR_FORMAT || status == SSLCV_ERR_UNSUPPORTED, "bit %d of byte %d: %s",
                      (int)(i % 8), (int)(i / 8), sslcv_status_string(status));
        check_equal(other, zeros);
        file.bytes[i / 8] = (char)(file.bytes[i / 8] ^ 1 << i % 8);
    }
    OK(load_from_memory(other, &file, NULL, NULL));
    free(file.bytes);
    sslcv_state_destroy(zeros);
    sslcv_state_destroy(other);
}
END_TEST

START_TEST(every_bit_flipped_in_a_file_of_others)
{
    sslcv_state *target = make_target();
    memory_file file = build("{" A "}", 8);
    int64_t i;

    for (i = 0; i < 8 * file.size; i++) {
        file.bytes[i / 8] = (char)(file.bytes[i / 8] ^ 1 << i % 8);
        /* Without a checksum the data may be anything; but never other than the file's. */
        if (load_from_memory(target, &file, NULL, NULL) == SSLCV_OK) {
            ck_assert_mem_eq(data_of(target, 0), file.bytes + file.size - 8, 8);
        }
        file.bytes[i / 8] = (char)(file.bytes[i / 8] ^ 1 << i % 8);
    }
    free(file.bytes);
    sslcv_state_destroy(target);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors_malformed");
    TCase *bad = tcase_create("malformed");

    tcase_add_checked_fixture(bad, setup, teardown);
    tcase_add_test(bad, malformed_headers);
    tcase_add_test(bad, malformed_starts);
    tcase_add_test(bad, nested_without_end);
    tcase_add_test(bad, cut_at_every_byte);
    tcase_add_test(bad, every_bit_flipped);
    tcase_add_test(bad, every_bit_flipped_in_a_file_of_others);
    suite_add_tcase(suite, bad);
    return run_suite(suite);
}
