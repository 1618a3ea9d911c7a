/* States in safetensors files: round trips, options. */
#include "safetensors_support.h"

#include <sslcv/backbone.h>

#include <signal.h>
#include <sys/resource.h>
#include <zlib.h>

/* ---- round trips ---- */

START_TEST(what_is_saved_comes_back)
{
    sslcv_state *other = make_state(0);
    sslcv_load_report report = {.struct_size = sizeof report};

    OK(sslcv_state_save(state, in_folder("s.safetensors"), NULL));
    OK(sslcv_state_load(other, in_folder("s.safetensors"), NULL, &report));
    check_equal(state, other);
    ck_assert_int_eq(report.matched, 4);
    ck_assert_int_eq(report.missing + report.unexpected + report.adapted, 0);
    ck_assert_str_eq(report.layout, "sslcv");
    ck_assert_int_eq(count_files(), 1);
    sslcv_state_destroy(other);
}
END_TEST

START_TEST(the_bytes_are_as_documented)
{
    static const char pattern[] =
        "{\"__metadata__\":{\"sslcv.checksum\":\"........\",\"sslcv.format\":\"1\",\"sslcv.version\":\"%s\"},"
        "\"mean\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]},"
        "\"steps\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[16,24]},"
        "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[24,48]},"
        "\"on\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[48,51]}}";
    memory_file file = save_to_memory(state, NULL);
    const int64_t length = file.size - 8 - 51;
    char expected[512], digits[9] = "", found[9];
    const int used = snprintf(expected, sizeof expected, pattern, sslcv_version_string());
    int64_t i;

    ck_assert_int_eq((unsigned char)file.bytes[0] + 256 * (unsigned char)file.bytes[1], length);
    ck_assert_int_eq(length % 8, 0);
    memcpy(digits, file.bytes + 8 + 35, 8);
    memset(file.bytes + 8 + 35, '.', 8);
    ck_assert_mem_eq(file.bytes + 8, expected, (size_t)used);
    for (i = used; i < length; i++) ck_assert_int_eq(file.bytes[8 + i], ' ');
    ck_assert_mem_eq(file.bytes + 8 + length, data_of(state, 1), 16);
    ck_assert_mem_eq(file.bytes + 8 + length + 24, data_of(state, 0), 24);
    memset(file.bytes + 8 + 35, '0', 8);
    snprintf(found, sizeof found, "%08lx", crc32(0, (const Bytef *)file.bytes, (uInt)file.size));
    ck_assert_str_eq(digits, found);
    free(file.bytes);
}
END_TEST

START_TEST(opened_and_saved_again_it_is_the_same)
{
    static const char *const metadata[] = {"note", "a \"quoted\" \\ line\n\x01 \xc3\xa9 \xf0\x9f\x99\x82", "", ""};
    sslcv_save_options options;
    memory_file first, second;
    sslcv_state *opened;

    OK(sslcv_save_options_init(&options, sizeof options));
    options.metadata = metadata;
    options.num_metadata = 2;
    OK(sslcv__state_add_metadata(state, "sslcv.kind", "test"));
    first = save_to_memory(state, &options);
    OK(open_from_memory(&first, NULL, &opened));
    ck_assert_str_eq(sslcv__state_get_metadata(opened, "note"), metadata[1]);
    ck_assert_str_eq(sslcv__state_get_metadata(opened, "sslcv.kind"), "test");
    ck_assert_ptr_null(sslcv__state_get_metadata(opened, "sslcv.format"));
    second = save_to_memory(opened, NULL);
    ck_assert_int_eq(first.size, second.size);
    ck_assert_mem_eq(first.bytes, second.bytes, (size_t)first.size);
    sslcv_state_destroy(opened);
    free(first.bytes);
    free(second.bytes);
}
END_TEST

START_TEST(no_tensors_at_all)
{
    sslcv_state *empty, *opened;
    sslcv_state_entry entry = {.struct_size = sizeof entry};

    OK(sslcv_state_create(context, &empty));
    OK(sslcv_state_save(empty, in_folder("empty"), NULL));
    OK(sslcv_state_load(empty, in_folder("empty"), NULL, NULL));
    OK(sslcv_state_open(context, in_folder("empty"), NULL, &opened));
    FAILS(sslcv_state_get_entry(opened, 0, &entry), SSLCV_ERR_NOT_FOUND, "the state has 0 tensors");
    FAILS(sslcv_state_load(state, in_folder("empty"), NULL, NULL), SSLCV_ERR_NOT_FOUND, "of its 0 names none");
    sslcv_state_destroy(opened);
    sslcv_state_destroy(empty);
}
END_TEST

START_TEST(tensors_without_elements)
{
    const int64_t shape[3] = {4, 0, 2};
    sslcv_state *from, *opened;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    memory_file file;

    OK(sslcv_state_create(context, &from));
    add(from, "none", SSLCV_F32, SSLCV_ROLE_WEIGHT, 3, shape);
    add(from, "one", SSLCV_F32, SSLCV_ROLE_WEIGHT, 0, NULL);
    add(from, "more", SSLCV_F32, SSLCV_ROLE_WEIGHT, 3, shape);
    file = save_to_memory(from, NULL);
    OK(open_from_memory(&file, NULL, &opened));
    OK(sslcv_state_get_entry(opened, 0, &entry));
    ck_assert_int_eq(entry.shape[0], 4);
    ck_assert_int_eq(entry.shape[1], 0);
    OK(load_from_memory(from, &file, NULL, NULL));
    free(file.bytes);
    sslcv_state_destroy(opened);
    sslcv_state_destroy(from);
}
END_TEST

START_TEST(parameters_in_fewer_bits)
{
    const int32_t dtypes[3] = {SSLCV_F32, SSLCV_BF16, SSLCV_F16};
    const double tolerance[3] = {0, 1.0 / 256, 1.0 / 2048};
    sslcv_save_options options;
    int d, i;

    OK(sslcv_save_options_init(&options, sizeof options));
    for (d = 0; d < 3; d++) {
        sslcv_state *other = make_state(0);
        memory_file file;

        options.dtype = dtypes[d];
        file = save_to_memory(state, &options);
        ck_assert_int_eq(file.size % 8, d == 0 ? 3 : 7); /* 51 or 39 bytes of data behind the header */
        OK(load_from_memory(other, &file, NULL, NULL));
        for (i = 0; i < 6; i++) CLOSE(((float *)data_of(other, 0))[i], ((float *)data_of(state, 0))[i], tolerance[d]);
        ck_assert_mem_eq(data_of(other, 1), data_of(state, 1), 16); /* buffers stay as they are */
        free(file.bytes);
        sslcv_state_destroy(other);
    }
}
END_TEST

START_TEST(what_is_not_finite_is_not_saved)
{
    sslcv_save_options options;
    float *w = data_of(state, 0);

    OK(sslcv_state_save(state, in_folder("kept"), NULL));
    w[4] = 1e6f;
    OK(sslcv_save_options_init(&options, sizeof options));
    options.dtype = SSLCV_F16;
    FAILS(sslcv_state_save(state, in_folder("kept"), &options), SSLCV_ERR_NUMERIC, "w: element 4 is infinite in f16");
    w[4] = NAN;
    FAILS(sslcv_state_save(state, in_folder("kept"), NULL), SSLCV_ERR_NUMERIC, "w: element 4 is not a number in f32");
    options.dtype = 0;
    options.roles = SSLCV_ROLE_BUFFER;
    OK(sslcv_state_save(state, in_folder("buffers"), &options));
    w[4] = 0;
    OK(sslcv_state_load(state, in_folder("kept"), NULL, NULL));
    ck_assert_float_ne(w[4], 0);
}
END_TEST

START_TEST(streams_that_take_and_give_little)
{
    sslcv_state *other = make_state(0);
    memory_file whole = save_to_memory(state, NULL), file = {malloc(1 << 16), 0, 0, 3, 0};
    const sslcv_stream stream = stream_of(&file);
    sslcv_save_options options;

    OK(sslcv_save_options_init(&options, sizeof options));
    options.stream = &stream;
    OK(sslcv_state_save(state, NULL, &options));
    ck_assert_int_eq(file.size, whole.size);
    ck_assert_mem_eq(file.bytes, whole.bytes, (size_t)whole.size);
    OK(load_from_memory(other, &file, NULL, NULL));
    check_equal(state, other);
    file.place = 0;
    file.fail_at = 100;
    FAILS(sslcv_state_save(state, NULL, &options), SSLCV_ERR_IO, "stream.write took -1 of");
    FAILS(load_from_memory(other, &file, NULL, NULL), SSLCV_ERR_IO, "stream.read gave -1 for");
    file.fail_at = file.step = 0;
    FAILS(sslcv_state_save(state, NULL, &options), SSLCV_ERR_IO, "stream.write took 0 of");
    free(file.bytes);
    free(whole.bytes);
    sslcv_state_destroy(other);
}
END_TEST

START_TEST(compressed_files)
{
    memory_file file = save_to_memory(state, NULL);
    sslcv_state *other = make_state(0);
    gzFile packed = gzopen(in_folder("s.gz"), "wb");

    ck_assert_int_eq(gzwrite(packed, file.bytes, (unsigned)file.size), (int)file.size);
    ck_assert_int_eq(gzclose(packed), Z_OK);
    OK(sslcv_state_load(other, in_folder("s.gz"), NULL, NULL));
    check_equal(state, other);
    free(file.bytes);
    sslcv_state_destroy(other);
}
END_TEST

START_TEST(earlier_files_are_kept)
{
    sslcv_save_options options;
    int64_t *steps = data_of(state, 2);

    OK(sslcv_save_options_init(&options, sizeof options));
    options.generations = 2;
    for (*steps = 1; *steps <= 4; (*steps)++) OK(sslcv_state_save(state, in_folder("c"), &options));
    ck_assert_int_eq(count_files(), 3);
    OK(sslcv_state_load(state, in_folder("c.2"), NULL, NULL));
    ck_assert_int_eq(*steps, 2);
    OK(sslcv_state_load(state, in_folder("c"), NULL, NULL));
    ck_assert_int_eq(*steps, 4);
}
END_TEST

START_TEST(a_save_that_fails_leaves_the_old_file)
{
    const struct rlimit full = {300, RLIM_INFINITY}, plenty = {RLIM_INFINITY, RLIM_INFINITY};
    sslcv_state *other = make_state(0);

    OK(sslcv_state_save(state, in_folder("c"), NULL));
    FAILS(sslcv_state_save(state, in_folder("none/c"), NULL), SSLCV_ERR_IO, "none/c: No such file or directory");
    FAILS(sslcv_state_save(state, test_folder, NULL), SSLCV_ERR_IO, "not an ordinary file");
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &full), 0);
    FAILS(sslcv_state_save(other, in_folder("c"), NULL), SSLCV_ERR_IO, "c: File too large");
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &plenty), 0);
    OK(sslcv_state_load(other, in_folder("c"), NULL, NULL));
    check_equal(state, other);
    ck_assert_int_eq(count_files(), 1);
    sslcv_state_destroy(other);
}
END_TEST

START_TEST(files_without_memory)
{
    sslcv_state *other = make_state(0), *opened = NULL;
    const char *path = in_folder("c");
    sslcv_save_options options;

    OK(sslcv_save_options_init(&options, sizeof options));
    options.dtype = SSLCV_BF16;
    RUN_OUT_OF_MEMORY(&memory, sslcv_state_save(state, path, &options));
    RUN_OUT_OF_MEMORY(&memory, sslcv_state_load(other, path, NULL, NULL));
    RUN_OUT_OF_MEMORY(&memory, sslcv_state_open(context, path, NULL, &opened));
    ck_assert_mem_eq(data_of(other, 1), data_of(state, 1), 16);
    sslcv_state_destroy(opened);
    sslcv_state_destroy(other);
}
END_TEST

START_TEST(a_load_without_memory_changes_nothing)
{
    sslcv_state *other = make_state(0), *zeros = make_state(0);
    int64_t n;

    OK(sslcv_state_save(state, in_folder("c"), NULL));
    for (n = 0;; n++) {
        sslcv_status status;

        memory.calls = 0;
        memory.fail_at = n;
        status = sslcv_state_load(other, in_folder("c"), NULL, NULL);
        memory.fail_at = -1;
        if (status == SSLCV_OK) break;
        check_equal(other, zeros);
    }
    ck_assert_int_gt(n, 5);
    check_equal(other, state);
    sslcv_state_destroy(zeros);
    sslcv_state_destroy(other);
}
END_TEST

/* ---- options ---- */

START_TEST(save_options_are_checked)
{
    static const char *const pairs[] = {"k", "v", "k", "w"}, *const reserved[] = {"sslcv.x", "v"},
                             *const hole[] = {"k", NULL}, *const binary[] = {"k", "\xff"};
    sslcv_save_options good, bad;
    sslcv_stream stream = {.struct_size = sizeof stream};

    OK(sslcv_save_options_init(&good, sizeof good));
    ck_assert_int_eq(good.roles, SSLCV_ROLE_ALL);
#define REFUSED(change, text)                                                                                          \
    bad = good;                                                                                                        \
    change;                                                                                                            \
    FAILS(sslcv_state_save(state, in_folder("x"), &bad), SSLCV_ERR_INVALID_ARGUMENT, text)
    REFUSED(bad.dtype = SSLCV_F64, "save_options.dtype is f64 (4)");
    REFUSED(bad.dtype = -1, "save_options.dtype is unknown (-1)");
    REFUSED(bad.roles = 0, "save_options.roles is 0");
    REFUSED(bad.generations = 10, "save_options.generations is 10; must be 0 .. 9");
    REFUSED(bad.generations = -1, "save_options.generations is -1");
    REFUSED(bad.num_metadata = -1, "save_options.num_metadata is -1");
    REFUSED(bad.num_metadata = 1, "save_options.metadata is NULL");
    REFUSED((bad.num_metadata = 2, bad.metadata = pairs), "has the key \"k\" twice");
    REFUSED((bad.num_metadata = 1, bad.metadata = reserved), "\"sslcv.\" is kept for the library");
    REFUSED((bad.num_metadata = 1, bad.metadata = hole), "has NULL in pair 0");
    REFUSED((bad.num_metadata = 1, bad.metadata = binary), "k is not valid UTF-8 at byte 0");
    REFUSED(bad.format = 3, "save_options.format is 3; must be one of SSLCV_FORMAT_*");
    REFUSED(bad.format = -1, "save_options.format is -1");
    REFUSED(bad.prefix = "a\xc0\x80", "a tensor's name is not valid UTF-8 at byte 1");
    FAILS(sslcv_state_save(state, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "path and save_options.stream are both NULL");
    good.stream = &stream;
    FAILS(sslcv_state_save(state, NULL, &good), SSLCV_ERR_INVALID_ARGUMENT, "stream.write is NULL");
    FAILS(sslcv_state_save(NULL, "x", NULL), SSLCV_ERR_INVALID_ARGUMENT, "state is NULL");
    ck_assert_int_eq(count_files(), 0);
#undef REFUSED
}
END_TEST

START_TEST(load_options_are_checked)
{
    sslcv_load_options good, bad;
    sslcv_load_report report = {.struct_size = 8};
    sslcv_stream stream = {.struct_size = sizeof stream};
    sslcv_state *opened = NULL;

    OK(sslcv_state_save(state, in_folder("x"), NULL));
    OK(sslcv_load_options_init(&good, sizeof good));
    ck_assert_int_eq(good.max_bytes, (int64_t)16 << 30);
#define REFUSED(change, text)                                                                                          \
    bad = good;                                                                                                        \
    change;                                                                                                            \
    FAILS(sslcv_state_load(state, in_folder("x"), &bad, NULL), SSLCV_ERR_INVALID_ARGUMENT, text)
    REFUSED(bad.partial = 2, "load_options.partial is 2");
    REFUSED(bad.adapt_input = 4, "load_options.adapt_input is 4");
    REFUSED(bad.adapt_input = -1, "load_options.adapt_input is -1");
    REFUSED(bad.roles = 16, "load_options.roles is 16");
    REFUSED(bad.max_bytes = 0, "load_options.max_bytes is 0");
    bad = good;
    bad.reserved = 1;
    FAILS(sslcv_state_load(state, in_folder("x"), &bad, NULL), SSLCV_ERR_UNSUPPORTED, "load_options.reserved is not 0");
    bad = good;
    bad.max_bytes = 100;
    FAILS(sslcv_state_load(state, in_folder("x"), &bad, NULL), SSLCV_ERR_LIMIT, "more than 100 bytes");
    FAILS(sslcv_state_load(state, NULL, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "load_options.stream are both NULL");
    good.stream = &stream;
    FAILS(sslcv_state_load(state, NULL, &good, NULL), SSLCV_ERR_INVALID_ARGUMENT, "stream.read is NULL");
    FAILS(sslcv_state_load(state, in_folder("x"), NULL, &report), SSLCV_ERR_INVALID_ARGUMENT,
          "load_report.struct_size");
    FAILS(sslcv_state_load(state, in_folder("none"), NULL, NULL), SSLCV_ERR_NOT_FOUND, "none: No such file");
    FAILS(sslcv_state_open(context, in_folder("none"), NULL, &opened), SSLCV_ERR_NOT_FOUND, "none: No such file");
    FAILS(sslcv_state_open(context, in_folder("x"), NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "state is NULL");
    FAILS(sslcv_state_open(NULL, in_folder("x"), NULL, &opened), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    ck_assert_ptr_null(opened);
#undef REFUSED
}
END_TEST

START_TEST(a_stream_has_its_limit_too)
{
    memory_file file = save_to_memory(state, NULL);
    sslcv_load_options options;

    OK(sslcv_load_options_init(&options, sizeof options));
    options.max_bytes = file.size - 1;
    FAILS(load_from_memory(state, &file, &options, NULL), SSLCV_ERR_LIMIT, "the stream has more than");
    options.max_bytes = file.size;
    OK(load_from_memory(state, &file, &options, NULL));
    free(file.bytes);
}
END_TEST

/** Zeros without end. */
static int64_t read_zeros(void *user, void *buffer, int64_t size)
{
    (void)user;
    memset(buffer, 0, (size_t)size);
    return size;
}

/* While a buffer grows there are two; no more is asked for than the byte that is too many. */
START_TEST(a_stream_takes_twice_its_limit_at_most)
{
    const sslcv_stream stream = {sizeof stream, NULL, read_zeros, NULL};
    const long long before = memory.held, limit = 4 << 20;
    sslcv_load_options options;
    sslcv_state *opened = NULL;
    sslcv_backbone *backbone = NULL;

    OK(sslcv_load_options_init(&options, sizeof options));
    options.stream = &stream;
    options.max_bytes = limit;
    memory.most = before;
    FAILS(sslcv_state_open(context, NULL, &options, &opened), SSLCV_ERR_LIMIT, "the stream has more than");
    ck_assert_int_le(memory.most - before, 2 * limit + 10000);
    memory.most = before;
    FAILS(sslcv_backbone_load(context, NULL, &options, &backbone), SSLCV_ERR_LIMIT, "the stream has more than");
    ck_assert_int_le(memory.most - before, 2 * limit + 10000);
    ck_assert_int_eq(memory.held, before);
}
END_TEST

START_TEST(a_file_may_not_be_a_pipe)
{
    sslcv_state *opened = NULL;

    ck_assert_int_eq(mkfifo(in_folder("x"), 0600), 0);
    alarm(5); /* a hang is a failure */
    FAILS(sslcv_state_load(state, in_folder("x"), NULL, NULL), SSLCV_ERR_IO, "x: it is a pipe");
    FAILS(sslcv_state_open(context, in_folder("x"), NULL, &opened), SSLCV_ERR_IO, "x: it is a pipe");
    alarm(0);
}
END_TEST

START_TEST(a_tensor_may_not_be_called_metadata)
{
    sslcv_save_options options;
    sslcv_state *other;

    OK(sslcv_state_create(context, &other));
    add(other, "metadata__", SSLCV_F32, SSLCV_ROLE_BUFFER, 0, NULL);
    OK(sslcv_save_options_init(&options, sizeof options));
    options.prefix = "__";
    FAILS(sslcv_state_save(other, in_folder("x"), &options), SSLCV_ERR_INVALID_ARGUMENT, "\"__metadata__\"");
    sslcv_state_destroy(other);
}
END_TEST

/* As many keys as a file may have are read again; one more is not written. */
START_TEST(as_many_keys_as_are_read)
{
    enum { MOST = 65533 };
    sslcv_state *window, *opened;
    sslcv_save_options save;
    const char *pair[2] = {"more", ""};
    int i;

    OK(sslcv__state_create(context, NULL, &window));
    OK(sslcv__state_append_state(window, "", state));
    for (i = 0; i < MOST; i++) {
        char key[16];

        snprintf(key, sizeof key, "%d", i);
        OK(sslcv__state_add_metadata(window, key, ""));
    }
    OK(sslcv_state_save(window, in_folder("most"), NULL));
    OK(sslcv_state_open(context, in_folder("most"), NULL, &opened));
    ck_assert_int_eq(opened->num_metadata, MOST);
    sslcv_state_destroy(opened);
    OK(sslcv_save_options_init(&save, sizeof save));
    save.metadata = pair;
    save.num_metadata = 1;
    FAILS(sslcv_state_save(window, in_folder("x"), &save), SSLCV_ERR_LIMIT,
          "65534 keys of metadata; at most 65533 fit");
    save.num_metadata = INT64_MAX;
    FAILS(sslcv_state_save(state, in_folder("x"), &save), SSLCV_ERR_LIMIT, "keys of metadata; at most 65533 fit");
    ck_assert_int_eq(count_files(), 1);
    sslcv_state_destroy(window);
}
END_TEST

START_TEST(no_name_may_come_twice)
{
    const int64_t two = 2;
    sslcv_state *window, *other;
    sslcv_save_options save;

    OK(sslcv__state_create(context, NULL, &window));
    OK(sslcv__state_append_state(window, "", state));
    OK(sslcv_state_create(context, &other));
    add(other, "mean", SSLCV_F64, SSLCV_ROLE_BUFFER, 1, &two);
    OK(sslcv__state_append_state(window, "", other));
    FAILS(sslcv_state_save(window, in_folder("x"), NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "the state cannot be saved: two tensors would be \"mean\"");
    ck_assert_int_eq(count_files(), 0);
    OK(sslcv_save_options_init(&save, sizeof save));
    save.roles = SSLCV_ROLE_WEIGHT; /* they are buffers: the file has neither */
    OK(sslcv_state_save(window, in_folder("x"), &save));
    sslcv_state_destroy(window);
    sslcv_state_destroy(other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *trips = tcase_create("round trips"), *options = tcase_create("options");

    tcase_add_checked_fixture(trips, setup, teardown);
    tcase_add_test(trips, what_is_saved_comes_back);
    tcase_add_test(trips, the_bytes_are_as_documented);
    tcase_add_test(trips, opened_and_saved_again_it_is_the_same);
    tcase_add_test(trips, no_tensors_at_all);
    tcase_add_test(trips, tensors_without_elements);
    tcase_add_test(trips, parameters_in_fewer_bits);
    tcase_add_test(trips, what_is_not_finite_is_not_saved);
    tcase_add_test(trips, streams_that_take_and_give_little);
    tcase_add_test(trips, compressed_files);
    tcase_add_test(trips, earlier_files_are_kept);
    tcase_add_test(trips, a_save_that_fails_leaves_the_old_file);
    tcase_add_test(trips, files_without_memory);
    tcase_add_test(trips, a_load_without_memory_changes_nothing);
    suite_add_tcase(suite, trips);
    tcase_add_checked_fixture(options, setup, teardown);
    tcase_add_test(options, save_options_are_checked);
    tcase_add_test(options, load_options_are_checked);
    tcase_add_test(options, a_stream_has_its_limit_too);
    tcase_add_test(options, a_stream_takes_twice_its_limit_at_most);
    tcase_add_test(options, a_file_may_not_be_a_pipe);
    tcase_add_test(options, a_tensor_may_not_be_called_metadata);
    tcase_add_test(options, as_many_keys_as_are_read);
    tcase_add_test(options, no_name_may_come_twice);
    suite_add_tcase(suite, options);
    return run_suite(suite);
}
