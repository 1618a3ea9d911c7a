/* lib/io: states in safetensors files. */
#include "file_support.h"

#include "io/safetensors.h"
#include "nn/state.h"

#include <sslcv/state.h>

#include <signal.h>
#include <sys/resource.h>
#include <zlib.h>

static sslcv_context *context;
static failing_memory memory;
static sslcv_state *state; /* w: f32 (2, 3) weight; mean: f64 (2) buffer; steps: i64 scalar; on: bool (3) */

static void add(sslcv_state *to, const char *name, int32_t dtype, int32_t role, int32_t ndim, const int64_t *shape)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry, .name = name, .dtype = dtype, .role = role, .ndim = ndim};

    if (ndim) memcpy(entry.shape, shape, (size_t)ndim * sizeof *shape);
    OK(sslcv_state_add(to, &entry, NULL));
}

static void *data_of(sslcv_state *of, int64_t index)
{
    sslcv_tensor tensor;

    OK(sslcv_state_data(of, index, SSLCV_STATE_VALUE, &tensor));
    return tensor.data;
}

static sslcv_state *make_state(int filled)
{
    const int64_t matrix[2] = {2, 3}, two = 2, three = 3;
    const double mean[2] = {0.1, INFINITY};
    const int64_t steps = -5;
    sslcv_state *made;

    OK(sslcv_state_create(context, &made));
    add(made, "w", SSLCV_F32, SSLCV_ROLE_WEIGHT, 2, matrix);
    add(made, "mean", SSLCV_F64, SSLCV_ROLE_BUFFER, 1, &two);
    add(made, "steps", SSLCV_I64, SSLCV_ROLE_BUFFER, 0, NULL);
    add(made, "on", SSLCV_BOOL, SSLCV_ROLE_BUFFER, 1, &three);
    if (!filled) return made;
    golden_input(1, 6, data_of(made, 0));
    memcpy(data_of(made, 1), mean, sizeof mean);
    memcpy(data_of(made, 2), &steps, sizeof steps);
    memcpy(data_of(made, 3), "\1\0\1", 3);
    return made;
}

static void check_equal(sslcv_state *a, sslcv_state *b)
{
    static const size_t bytes[4] = {24, 16, 8, 3};
    int64_t i;

    for (i = 0; i < 4; i++) ck_assert_mem_eq(data_of(a, i), data_of(b, i), bytes[i]);
}

static void setup(void)
{
    memory = (failing_memory){0};
    context = make_context(&memory);
    make_folder();
    state = make_state(1);
}

static void teardown(void)
{
    remove_folder();
    sslcv_state_destroy(state);
    sslcv_context_destroy(context);
    ck_assert_int_eq(memory.blocks, 0);
}

/* ---- files in memory ---- */

typedef struct memory_file {
    char *bytes;
    int64_t size, place;
    int64_t step;    /* bytes a call at most */
    int64_t fail_at; /* the call that reaches it fails; 0: none */
} memory_file;

static int64_t memory_read(void *user, void *buffer, int64_t size)
{
    memory_file *file = user;
    int64_t part = file->size - file->place;

    if (file->fail_at && file->place >= file->fail_at) return -1;
    if (part > size) part = size;
    if (part > file->step) part = file->step;
    memcpy(buffer, file->bytes + file->place, (size_t)part);
    file->place += part;
    return part;
}

static int64_t memory_write(void *user, const void *buffer, int64_t size)
{
    memory_file *file = user;
    int64_t part = size < file->step ? size : file->step;

    if (file->fail_at && file->place >= file->fail_at) return -1;
    ck_assert_int_le(file->place + part, 1 << 16);
    memcpy(file->bytes + file->place, buffer, (size_t)part);
    file->place += part;
    file->size = file->place;
    return part;
}

static sslcv_stream stream_of(memory_file *file)
{
    const sslcv_stream stream = {sizeof stream, file, memory_read, memory_write};

    return stream;
}

/** A file from a header, which gets its length in front, and a data part of data_size bytes 1, 2, 3 ... */
static memory_file build(const char *header, int64_t data_size)
{
    const int64_t length = (int64_t)strlen(header);
    memory_file file = {malloc((size_t)(8 + length + data_size)), 8 + length + data_size, 0, 1 << 20, 0};
    int64_t i;

    ck_assert_ptr_nonnull(file.bytes);
    for (i = 0; i < 8; i++) file.bytes[i] = (char)(length >> (8 * i) & 0xff);
    memcpy(file.bytes + 8, header, (size_t)length);
    for (i = 0; i < data_size; i++) file.bytes[8 + length + i] = (char)(i + 1);
    return file;
}

static memory_file save_to_memory(const sslcv_state *from, sslcv_save_options *options)
{
    sslcv_save_options defaults;
    memory_file file = {malloc(1 << 16), 0, 0, 1 << 20, 0};
    const sslcv_stream stream = stream_of(&file);

    ck_assert_ptr_nonnull(file.bytes);
    OK(sslcv_save_options_init(&defaults, sizeof defaults));
    if (!options) options = &defaults;
    options->stream = &stream;
    OK(sslcv_state_save(from, NULL, options));
    options->stream = NULL;
    return file;
}

static sslcv_status load_from_memory(sslcv_state *to, memory_file *file, sslcv_load_options *options,
                                     sslcv_load_report *report)
{
    const sslcv_stream stream = stream_of(file);
    sslcv_load_options defaults;
    sslcv_status status;

    OK(sslcv_load_options_init(&defaults, sizeof defaults));
    if (!options) options = &defaults;
    file->place = 0;
    options->stream = &stream;
    status = sslcv_state_load(to, NULL, options, report);
    options->stream = NULL;
    return status;
}

static sslcv_status open_from_memory(memory_file *file, const char *prefix, sslcv_state **opened)
{
    const sslcv_stream stream = stream_of(file);
    sslcv_load_options options;

    OK(sslcv_load_options_init(&options, sizeof options));
    file->place = 0;
    options.prefix = prefix;
    options.stream = &stream;
    return sslcv_state_open(context, NULL, &options, opened);
}

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
    REFUSED(bad.prefix = "a\xc0\x80", "a tensor's name is not valid UTF-8 at byte 1");
    bad = good;
    bad.reserved = 1;
    FAILS(sslcv_state_save(state, in_folder("x"), &bad), SSLCV_ERR_UNSUPPORTED, "save_options.reserved is not 0");
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

START_TEST(no_name_may_come_twice)
{
    sslcv_state *window;

    OK(sslcv__state_create(context, NULL, &window));
    OK(sslcv__state_append_state(window, "", state));
    OK(sslcv__state_append_state(window, "", state));
    FAILS(sslcv_state_save(window, in_folder("x"), NULL), SSLCV_ERR_INVALID_ARGUMENT, "duplicate object key");
    ck_assert_int_eq(count_files(), 0);
    sslcv_state_destroy(window);
}
END_TEST

/* ---- names ---- */

/** A state as a network's: NAMES of one float each, numbered from 1. */
static sslcv_state *make_named(const char *const *names, int count, int filled)
{
    sslcv_state *made;
    int i;

    OK(sslcv_state_create(context, &made));
    for (i = 0; i < count; i++) {
        add(made, names[i], SSLCV_F32, SSLCV_ROLE_WEIGHT, 0, NULL);
        if (filled) *(float *)data_of(made, i) = (float)(i + 1);
    }
    return made;
}

static const char *const network[] = {"conv1.weight", "bn1.weight", "layer1.0.conv1.weight"};

static void loads_by_prefix(const char *prefix, const char *extra, const char *layout)
{
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_state *from, *to = make_named(network, 3, 0);
    char names[4][64];
    const char *pointers[4] = {names[0], names[1], names[2], names[3]};
    memory_file file;
    int i;

    for (i = 0; i < 3; i++) snprintf(names[i], sizeof names[i], "%s%s", prefix, network[i]);
    snprintf(names[3], sizeof names[3], "%s", extra);
    from = make_named(pointers, extra[0] ? 4 : 3, 1);
    file = save_to_memory(from, NULL);
    /* As another program writes it: without our metadata. */
    {
        json_error_t error;
        const int64_t length = (unsigned char)file.bytes[0] + 256 * (unsigned char)file.bytes[1];
        json_t *header = json_loadb(file.bytes + 8, (size_t)length, 0, &error);
        memory_file foreign;
        char *text;

        json_object_del(header, "__metadata__");
        text = json_dumps(header, JSON_COMPACT);
        foreign = build(text, file.size - 8 - length);
        memcpy(foreign.bytes + foreign.size - (file.size - 8 - length), file.bytes + 8 + length,
               (size_t)(file.size - 8 - length));
        free(text);
        json_decref(header);
        free(file.bytes);
        file = foreign;
    }
    OK(load_from_memory(to, &file, NULL, &report));
    ck_assert_int_eq(report.matched, 3);
    ck_assert_str_eq(report.layout, layout);
    for (i = 0; i < 3; i++) ck_assert_float_eq(*(float *)data_of(to, i), (float)(i + 1));
    free(file.bytes);
    sslcv_state_destroy(from);
    sslcv_state_destroy(to);
}

START_TEST(known_prefixes)
{
    loads_by_prefix("", "fc.weight", "torchvision");
    loads_by_prefix("module.", "", "torchvision");
    loads_by_prefix("module.", "module.prototypes.weight", "swav");
    loads_by_prefix("encoder_q.", "encoder_k.conv1.weight", "moco");
    loads_by_prefix("module.encoder_q.", "module.queue", "moco");
    loads_by_prefix("encoder_q.0.", "", "mmselfsup");
    loads_by_prefix("backbone.", "", "solo-learn");
    loads_by_prefix("encoder.", "", "solo-learn");
    loads_by_prefix("backbone.0.", "backbone.1.conv1.weight", "sslcv");
    loads_by_prefix("_feature_blocks.", "", "vissl");
    loads_by_prefix("trunk._feature_blocks.", "", "vissl");
    loads_by_prefix("encoder.", "conv1.weight", "solo-learn"); /* one match without, three with */
}
END_TEST

START_TEST(a_prefix_of_the_caller_s)
{
    static const char *const names[] = {"net.conv1.weight", "net.bn1.weight", "net.layer1.0.conv1.weight", "net.extra",
                                        "elsewhere"};
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_state *from = make_named(names, 5, 1), *to = make_named(network, 3, 0), *opened;
    sslcv_load_options options;
    memory_file file = save_to_memory(from, NULL);
    sslcv_state_entry entry = {.struct_size = sizeof entry};

    FAILS(load_from_memory(to, &file, NULL, &report), SSLCV_ERR_NOT_FOUND,
          "of its 5 names none is \"\" and one of our 3; it has \"net.conv1.weight\", ours is \"conv1.weight\"");
    ck_assert_str_eq(report.layout, "");
    ck_assert_int_eq(report.missing, 3);
    OK(sslcv_load_options_init(&options, sizeof options));
    options.prefix = "net.";
    OK(load_from_memory(to, &file, &options, &report));
    ck_assert_str_eq(report.layout, "prefix");
    ck_assert_int_eq(report.unexpected, 1); /* those with another prefix are not looked at */
    ck_assert_float_eq(*(float *)data_of(to, 2), 3);
    options.prefix = "";
    FAILS(load_from_memory(to, &file, &options, NULL), SSLCV_ERR_NOT_FOUND, "of its 5 names none");
    OK(open_from_memory(&file, "net.", &opened));
    ck_assert_int_eq(opened->count, 4);
    OK(sslcv_state_get_entry(opened, 3, &entry));
    ck_assert_str_eq(entry.name, "extra");
    ck_assert_int_eq(entry.role, SSLCV_ROLE_BUFFER);
    sslcv_state_destroy(opened);
    FAILS(open_from_memory(&file, "nets.", &opened), SSLCV_ERR_NOT_FOUND, "none of its 5 names begins with \"nets.\"");
    free(file.bytes);
    sslcv_state_destroy(from);
    sslcv_state_destroy(to);
}
END_TEST

START_TEST(missing_and_unexpected_names)
{
    static const char *const names[] = {"conv1.weight", "fc.weight", "fc.bias"};
    char text[256] = "?";
    sslcv_load_report report = {.struct_size = sizeof report, .text = text, .text_size = sizeof text};
    sslcv_state *from = make_named(names, 3, 1), *to = make_named(network, 3, 0);
    memory_file file = save_to_memory(from, NULL);
    sslcv_load_options options;
    static const char all[] =
        "missing bn1.weight\nmissing layer1.0.conv1.weight\nunexpected fc.weight\nunexpected fc.bias\n";

    FAILS(load_from_memory(to, &file, NULL, &report), SSLCV_ERR_NOT_FOUND,
          "lacks 2 of our 3 tensors, the first is \"bn1.weight\"; load_options.partial = 1 allows that");
    ck_assert_float_eq(*(float *)data_of(to, 0), 0);
    ck_assert_str_eq(text, all);
    ck_assert_int_eq(report.text_needed, (int64_t)sizeof all);
    ck_assert_int_eq(report.matched, 1);
    ck_assert_int_eq(report.missing, 2);
    ck_assert_int_eq(report.unexpected, 2);
    OK(sslcv_load_options_init(&options, sizeof options));
    options.partial = 1;
    report.text_size = 20; /* one line and its 0, and a byte more */
    OK(load_from_memory(to, &file, &options, &report));
    ck_assert_str_eq(text, "missing bn1.weight\n");
    ck_assert_int_eq(report.text_needed, (int64_t)sizeof all);
    ck_assert_float_eq(*(float *)data_of(to, 0), 1);
    report.text_size = 1;
    OK(load_from_memory(to, &file, &options, &report));
    ck_assert_str_eq(text, "");
    report.text = NULL;
    OK(load_from_memory(to, &file, &options, &report));
    ck_assert_int_eq(report.text_needed, (int64_t)sizeof all);
    free(file.bytes);
    sslcv_state_destroy(from);
    sslcv_state_destroy(to);
}
END_TEST

START_TEST(counters_of_batches_may_be_missing)
{
    static const char *const names[] = {"bn1.weight", "bn1.num_batches_tracked"};
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_state *from = make_named(names, 1, 1), *to = make_named(names, 2, 1);
    memory_file file = save_to_memory(from, NULL);

    OK(load_from_memory(to, &file, NULL, &report));
    ck_assert_int_eq(report.missing, 1);
    ck_assert_float_eq(*(float *)data_of(to, 1), 2);
    free(file.bytes);
    sslcv_state_destroy(from);
    sslcv_state_destroy(to);
}
END_TEST

START_TEST(roles_choose)
{
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_state *other = make_state(0);
    memory_file file = save_to_memory(state, NULL);
    sslcv_load_options options;

    OK(sslcv_load_options_init(&options, sizeof options));
    options.roles = SSLCV_ROLE_WEIGHT;
    OK(load_from_memory(other, &file, &options, &report));
    ck_assert_int_eq(report.matched, 1);
    ck_assert_int_eq(report.missing, 0);
    ck_assert_int_eq(report.unexpected, 0); /* the buffers are ours, though not wanted now */
    ck_assert_mem_eq(data_of(other, 0), data_of(state, 0), 24);
    ck_assert_int_eq(*(int64_t *)data_of(other, 2), 0);
    free(file.bytes);
    sslcv_state_destroy(other);
}
END_TEST

START_TEST(other_shapes_and_dtypes)
{
    const int64_t shape[2] = {3, 2}, two = 2;
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_state *other;
    memory_file file = save_to_memory(state, NULL);

    OK(sslcv_state_create(context, &other));
    add(other, "steps", SSLCV_I64, SSLCV_ROLE_BUFFER, 0, NULL);
    add(other, "w", SSLCV_F32, SSLCV_ROLE_WEIGHT, 2, shape);
    FAILS(load_from_memory(other, &file, NULL, &report), SSLCV_ERR_FORMAT, "\"w\" has shape (2, 3); ours is (3, 2)");
    ck_assert_int_eq(report.matched, 2);
    ck_assert_int_eq(*(int64_t *)data_of(other, 0), 0);
    sslcv_state_destroy(other);
    OK(sslcv_state_create(context, &other));
    add(other, "mean", SSLCV_I64, SSLCV_ROLE_BUFFER, 1, &two);
    FAILS(load_from_memory(other, &file, NULL, NULL), SSLCV_ERR_FORMAT, "\"mean\" is F64; ours is I64");
    sslcv_state_destroy(other);
    OK(sslcv_state_create(context, &other));
    add(other, "steps", SSLCV_I64, SSLCV_ROLE_BUFFER, 1, &two);
    FAILS(load_from_memory(other, &file, NULL, NULL), SSLCV_ERR_FORMAT, "\"steps\" has shape (); ours is (2)");
    sslcv_state_destroy(other);
    OK(sslcv_state_create(context, &other));
    add(other, "mean", SSLCV_F32, SSLCV_ROLE_WEIGHT, 1, &two);
    FAILS(load_from_memory(other, &file, NULL, NULL), SSLCV_ERR_NUMERIC, "mean: element 1 is infinite");
    sslcv_state_destroy(other);
    free(file.bytes);
}
END_TEST

static sslcv_status adapt(memory_file *file, int64_t channels, int32_t how, const float *expected)
{
    const int64_t shape[4] = {2, channels, 1, 2};
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_load_options options;
    sslcv_state *to;
    sslcv_status status;
    int64_t i;

    OK(sslcv_load_options_init(&options, sizeof options));
    options.adapt_input = how;
    OK(sslcv_state_create(context, &to));
    add(to, "conv1.weight", SSLCV_F32, SSLCV_ROLE_WEIGHT, 4, shape);
    for (i = 0; i < 4 * channels; i++) ((float *)data_of(to, 0))[i] = 100;
    status = load_from_memory(to, file, &options, &report);
    for (i = 0; i < 2 * channels && status == SSLCV_OK; i++) CLOSE(((float *)data_of(to, 0))[i], expected[i], 1e-6);
    ck_assert_int_eq(report.adapted, status == SSLCV_OK && channels != 3);
    sslcv_state_destroy(to);
    return status;
}

START_TEST(another_number_of_channels)
{
    /* First filter: channels (1, 2), (3, 4), (5, 6). */
    const int64_t shape[4] = {2, 3, 1, 2};
    const float one[2] = {9, 12}, mean[4] = {4.5f, 6, 4.5f, 6},
                six[12] = {.5f, 1, 1.5f, 2, 2.5f, 3, .5f, 1, 1.5f, 2, 2.5f, 3};
    const float first[2] = {1, 2}, more[8] = {1, 2, 3, 4, 5, 6, 100, 100}, same[6] = {1, 2, 3, 4, 5, 6};
    sslcv_state *from;
    memory_file file;
    int i;

    OK(sslcv_state_create(context, &from));
    add(from, "conv1.weight", SSLCV_F32, SSLCV_ROLE_WEIGHT, 4, shape);
    for (i = 0; i < 12; i++) ((float *)data_of(from, 0))[i] = (float)(i + 1);
    file = save_to_memory(from, NULL);
    OK(adapt(&file, 1, SSLCV_ADAPT_MEAN, one));
    OK(adapt(&file, 2, SSLCV_ADAPT_MEAN, mean));
    OK(adapt(&file, 6, SSLCV_ADAPT_REPEAT, six));
    OK(adapt(&file, 1, SSLCV_ADAPT_FIRST, first));
    OK(adapt(&file, 4, SSLCV_ADAPT_FIRST, more));
    OK(adapt(&file, 3, SSLCV_ADAPT_MEAN, same));
    FAILS(adapt(&file, 1, SSLCV_ADAPT_NONE, one), SSLCV_ERR_FORMAT, "has shape (2, 3, 1, 2); ours is (2, 1, 1, 2)");
    free(file.bytes);
    sslcv_state_destroy(from);
}
END_TEST

/* ---- checkpoints ---- */

START_TEST(a_strict_state_takes_its_own_kind_only)
{
    static const char *const names[] = {"a", "b"};
    sslcv_state *trainer = make_named(names, 2, 1), *less = make_named(names, 1, 1);
    sslcv_load_options options;
    memory_file whole, part;

    OK(sslcv__state_add_metadata(trainer, "sslcv.architecture", "resnet18"));
    OK(sslcv__state_add_metadata(trainer, "note", "of today"));
    OK(sslcv__state_add_metadata(less, "sslcv.architecture", "resnet18"));
    whole = save_to_memory(trainer, NULL);
    part = save_to_memory(less, NULL);
    trainer->strict = less->strict = 1;
    strcpy(trainer->metadata[3], "other"); /* not the library's: may differ */
    OK(load_from_memory(trainer, &whole, NULL, NULL));
    FAILS(load_from_memory(trainer, &part, NULL, NULL), SSLCV_ERR_NOT_FOUND,
          "lacks 1 of our 2 tensors, the first is \"b\"");
    FAILS(load_from_memory(less, &whole, NULL, NULL), SSLCV_ERR_FORMAT,
          "has 1 tensors that this trainer lacks, the first is \"b\"");
    OK(sslcv_load_options_init(&options, sizeof options));
    options.partial = 1;
    FAILS(load_from_memory(trainer, &whole, &options, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loaded whole");
    trainer->metadata[1][6] = '3';
    FAILS(load_from_memory(trainer, &whole, NULL, NULL), SSLCV_ERR_FORMAT,
          "its sslcv.architecture is \"resnet18\"; must be \"resnet38\"");
    trainer->metadata[0][6] = 'x';
    FAILS(load_from_memory(trainer, &whole, NULL, NULL), SSLCV_ERR_FORMAT, "it has no sslcv.xrchitecture");
    free(whole.bytes);
    free(part.bytes);
    sslcv_state_destroy(less);
    sslcv_state_destroy(trainer);
}
END_TEST

static int refused_writes;

static sslcv_status refuse_write(sslcv__object *owner)
{
    (void)owner;
    refused_writes++;
    return SSLCV_ERR_STATE;
}

START_TEST(an_owner_may_refuse_what_was_loaded)
{
    sslcv_state *other = make_state(0), *zeros = make_state(0);
    memory_file file = save_to_memory(state, NULL);

    refused_writes = 0;
    other->after_write = refuse_write;
    ck_assert_int_eq(load_from_memory(other, &file, NULL, NULL), SSLCV_ERR_STATE);
    ck_assert_int_eq(refused_writes, 1);
    check_equal(other, zeros);
    free(file.bytes);
    sslcv_state_destroy(zeros);
    sslcv_state_destroy(other);
}
END_TEST

/* ---- files of others ---- */

START_TEST(a_file_as_python_writes_it)
{
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"bn1.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                                 "\"conv1.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[8,16]},"
                                 "\"half\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[16,20]}}     ";
    const unsigned char data[20] = {7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0x80, 0x3f, 0, 0xc0};
    memory_file file = build(header, sizeof data);
    sslcv_state *opened;
    float values[2];
    const int64_t two = 2;
    sslcv_tensor tensor;

    memcpy(file.bytes + file.size - sizeof data, data, sizeof data);
    OK(open_from_memory(&file, NULL, &opened));
    ck_assert_int_eq(opened->count, 3);
    ck_assert_int_eq(*(int64_t *)data_of(opened, 0), 7);
    ck_assert_float_eq(((float *)data_of(opened, 1))[0], 1);
    ck_assert_float_eq(((float *)data_of(opened, 1))[1], -2);
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, values, 1, &two));
    OK(sslcv_state_get(opened, 2, SSLCV_STATE_VALUE, &tensor));
    ck_assert_float_eq(values[1], -2);
    ck_assert_str_eq(sslcv__state_get_metadata(opened, "format"), "pt");
    sslcv_state_destroy(opened);
    free(file.bytes);
}
END_TEST

START_TEST(any_order_any_alignment)
{
    /* The header's order is not that of the data, and nothing is aligned. */
    memory_file file = build("{\"c\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[3,7]},"
                             "\"e\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[3,3]},"
                             "\"a\":{\"data_offsets\":[0,1],\"dtype\":\"U8\",\"shape\":[1],\"later\":{\"key\":1}},"
                             "\"b\":{\"dtype\":\"I16\",\"shape\":[1],\"data_offsets\":[1,3]}}",
                             7);
    const int64_t one = 1;
    const unsigned char expected[4] = {4, 5, 6, 7};
    sslcv_state *to, *opened = NULL;
    sslcv_load_report report = {.struct_size = sizeof report};

    OK(sslcv_state_create(context, &to));
    add(to, "a", SSLCV_U8, SSLCV_ROLE_BUFFER, 1, &one);
    add(to, "c", SSLCV_F32, SSLCV_ROLE_WEIGHT, 1, &one);
    OK(load_from_memory(to, &file, NULL, &report)); /* an unknown dtype does no harm where nobody wants it */
    ck_assert_str_eq(report.layout, "plain");
    ck_assert_int_eq(report.unexpected, 2);
    ck_assert_mem_eq(data_of(to, 1), expected, 4);
    ck_assert_uint_eq(*(unsigned char *)data_of(to, 0), 1);
    add(to, "b", SSLCV_I32, SSLCV_ROLE_BUFFER, 1, &one);
    FAILS(load_from_memory(to, &file, NULL, NULL), SSLCV_ERR_UNSUPPORTED, "tensor \"b\" has dtype I16");
    FAILS(open_from_memory(&file, NULL, &opened), SSLCV_ERR_UNSUPPORTED, "tensor \"b\" has dtype I16");
    ck_assert_ptr_null(opened);
    sslcv_state_destroy(to);
    free(file.bytes);
    file = build("{\"t\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1);
    FAILS(open_from_memory(&file, NULL, &opened), SSLCV_ERR_UNSUPPORTED, "tensor \"t\" has 9 axes; at most 8");
    free(file.bytes);
    file = build(
        "{\"t\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]},\"z\":{\"dtype\":\"BOOL\",\"shape\":[1],"
        "\"data_offsets\":[1,2]}}",
        2);
    FAILS(open_from_memory(&file, NULL, &opened), SSLCV_ERR_FORMAT,
          "tensor \"z\" is BOOL, but has bytes other than 0 and 1");
    free(file.bytes);
}
END_TEST

/* ---- malformed files ---- */

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
    {"{ ", 0, "no valid JSON"},
    {"{}}", 0, "no valid JSON"},
    {"{} {}", 0, "no valid JSON"},
    {"{}", 1, "its tensors have 0 bytes, its data part has 1"},
    {"{" A, 8, "no valid JSON"},
    {"{" A ",}", 8, "no valid JSON"},
    {"{" A "," A "}", 8, "duplicate object key"},
    {"{" A "}\xff", 8, "no valid JSON"},
    {"{\"\\u0000\":1}", 0, "no valid JSON"},
    {"{\"\xc3\":1}", 0, "no valid JSON"},
    {"{\"a\":NaN}", 0, "no valid JSON"},
    {"{\"a\":1}", 0, "tensor \"a\" is not an object"},
    {"{\"a\":null}", 0, "tensor \"a\" is not an object"},
    {"{\"a\":[]}", 0, "tensor \"a\" is not an object"},
    {"{\"a\":{}}", 0, "tensor \"a\" has no dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "has no data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "has no shape that is an array"},
    {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "has no dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "duplicate object key"},
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
    {ENTRY("\"F32\"", "[NaN]", "[0,8]"), 8, "no valid JSON"},
    {ENTRY("\"F32\"", "[9223372036854775808]", "[0,8]"), 8, "no valid JSON"},
    {ENTRY("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "a shape too large to count"},
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
        {"PK\3\4 and so on, as torch.save() does", 30, "is a zip archive"},
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
    FAILS(load_from_memory(state, &file, NULL, NULL), SSLCV_ERR_FORMAT, "no valid JSON");
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
    Suite *suite = suite_create("safetensors");
    TCase *trips = tcase_create("round trips"), *options = tcase_create("options"), *names = tcase_create("names");
    TCase *others = tcase_create("files of others"), *bad = tcase_create("malformed");

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
    tcase_add_checked_fixture(options, setup, teardown);
    tcase_add_test(options, save_options_are_checked);
    tcase_add_test(options, load_options_are_checked);
    tcase_add_test(options, a_stream_has_its_limit_too);
    tcase_add_test(options, a_tensor_may_not_be_called_metadata);
    tcase_add_test(options, no_name_may_come_twice);
    tcase_add_checked_fixture(names, setup, teardown);
    tcase_add_test(names, known_prefixes);
    tcase_add_test(names, a_prefix_of_the_caller_s);
    tcase_add_test(names, missing_and_unexpected_names);
    tcase_add_test(names, counters_of_batches_may_be_missing);
    tcase_add_test(names, roles_choose);
    tcase_add_test(names, other_shapes_and_dtypes);
    tcase_add_test(names, another_number_of_channels);
    tcase_add_test(names, a_strict_state_takes_its_own_kind_only);
    tcase_add_test(names, an_owner_may_refuse_what_was_loaded);
    tcase_add_checked_fixture(others, setup, teardown);
    tcase_add_test(others, a_file_as_python_writes_it);
    tcase_add_test(others, any_order_any_alignment);
    tcase_add_checked_fixture(bad, setup, teardown);
    tcase_add_test(bad, malformed_headers);
    tcase_add_test(bad, malformed_starts);
    tcase_add_test(bad, nested_without_end);
    tcase_add_test(bad, cut_at_every_byte);
    tcase_add_test(bad, every_bit_flipped);
    tcase_add_test(bad, every_bit_flipped_in_a_file_of_others);
    suite_add_tcase(suite, trips);
    suite_add_tcase(suite, options);
    suite_add_tcase(suite, names);
    suite_add_tcase(suite, others);
    suite_add_tcase(suite, bad);
    return run_suite(suite);
}
