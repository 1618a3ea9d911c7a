/* States in NumPy's files: round trips, what others write, options. */
#include "npz_support.h"

#include "core/memory.h"
#include "core/tensor.h"
#include "io/npy.h"
#include "io/zip.h"

static const double four[4] = {1, 2, 3, 4};

static memory_file save_as(const sslcv_state *from, int32_t format)
{
    sslcv_save_options options;

    OK(sslcv_save_options_init(&options, sizeof options));
    options.format = format;
    return save_to_memory(from, &options);
}

/** A state of one f32 parameter "w" of this length. */
static sslcv_state *make_vector(int64_t length)
{
    sslcv_state *made;

    OK(sslcv_state_create(context, &made));
    add(made, "w", SSLCV_F32, SSLCV_ROLE_WEIGHT, 1, &length);
    return made;
}

/* ---- round trips ---- */

START_TEST(what_is_saved_comes_back)
{
    sslcv_state *other = make_state(0);
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_save_options options;

    OK(sslcv_save_options_init(&options, sizeof options));
    options.format = SSLCV_FORMAT_NPZ;
    options.generations = 1;
    OK(sslcv_state_save(state, in_folder("s.npz"), &options));
    OK(sslcv_state_save(state, in_folder("s.npz"), &options));
    OK(sslcv_state_load(other, in_folder("s.npz"), NULL, &report));
    check_equal(state, other);
    ck_assert_int_eq(report.matched, 4);
    ck_assert_int_eq(report.missing + report.unexpected + report.adapted, 0);
    ck_assert_str_eq(report.layout, "plain");
    ck_assert_int_eq(count_files(), 2); /* and the earlier one */
    sslcv_state_destroy(other);
}
END_TEST

START_TEST(opened_and_saved_again_it_is_the_same)
{
    memory_file first = save_as(state, SSLCV_FORMAT_NPZ), second;
    sslcv_state *opened;

    OK(open_from_memory(&first, NULL, &opened));
    ck_assert_int_eq(opened->count, 4);
    check_equal(state, opened);
    second = save_as(opened, SSLCV_FORMAT_NPZ);
    ck_assert_int_eq(first.size, second.size);
    ck_assert_mem_eq(first.bytes, second.bytes, (size_t)first.size);
    sslcv_state_destroy(opened);
    free(first.bytes);
    free(second.bytes);
}
END_TEST

START_TEST(a_header_is_as_numpy_writes_it)
{
    static const struct {
        int32_t dtype, ndim;
        const char *text;
    } cases[] = {
        {SSLCV_F32, 2, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"},
        {SSLCV_F16, 1, "{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }"},
        {SSLCV_F64, 0, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }"},
        {SSLCV_BOOL, 4, "{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3, 4, 9223372036854775807), }"},
        {SSLCV_U8, 8,
         "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 4, 9223372036854775807, 5, 6, 7, 8), }"},
        {SSLCV_U16, 1, "{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }"},
        {SSLCV_I32, 1, "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }"},
        {SSLCV_I64, 1, "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }"},
    };
    const int64_t shape[8] = {2, 3, 4, INT64_MAX, 5, 6, 7, 8};
    const int64_t longest[8] = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
    char header[SSLCV__NPY_MAX_HEADER];
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t bytes = sslcv__npy_header(cases[i].dtype, cases[i].ndim, shape, header);
        const size_t length = strlen(cases[i].text);

        ck_assert_int_eq(bytes % 64, 0);
        ck_assert_mem_eq(header, "\x93NUMPY\1\0", 8);
        ck_assert_int_eq((unsigned char)header[8] + 256 * header[9], bytes - 10);
        ck_assert_mem_eq(header + 10, cases[i].text, length);
        ck_assert_int_eq(header[10 + length], ' ');
        ck_assert_int_eq(header[bytes - 1], '\n');
    }
    ck_assert_int_eq(sslcv__npy_header(SSLCV_F64, 8, longest, header), 256);
    ck_assert_mem_eq(header + 227, "), }", 4);
}
END_TEST

START_TEST(one_tensor_without_a_name)
{
    sslcv_state *one = make_vector(2), *other = make_vector(2), *opened, *mixed = make_state(0);
    const float values[2] = {1.5f, -2};
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_load_options options;
    memory_file file;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    const int64_t matrix[2] = {2, 3};

    memcpy(data_of(one, 0), values, sizeof values);
    file = save_as(one, SSLCV_FORMAT_NPY);
    ck_assert_int_eq(file.size, 192 + 8);
    ck_assert_mem_eq(file.bytes + 192, values, 8);
    OK(sslcv_load_options_init(&options, sizeof options));
    options.prefix = "nowhere."; /* not read */
    OK(load_from_memory(other, &file, &options, &report));
    ck_assert_mem_eq(data_of(other, 0), values, 8);
    ck_assert_int_eq(report.matched, 1);
    ck_assert_str_eq(report.layout, "plain");
    OK(open_from_memory(&file, NULL, &opened));
    OK(sslcv_state_get_entry(opened, 0, &entry));
    ck_assert_str_eq(entry.name, "arr_0");
    FAILS(load_from_memory(mixed, &file, NULL, NULL), SSLCV_ERR_NOT_FOUND, "for one tensor, here are 4");
    options.roles = SSLCV_ROLE_WEIGHT; /* of which there is one, of another shape */
    FAILS(load_from_memory(mixed, &file, &options, NULL), SSLCV_ERR_FORMAT, "\"w\" has shape (2); ours is (2, 3)");
    free(file.bytes);

    /* The roles choose one of several; and a gzip file is unpacked first. */
    {
        sslcv_save_options save;
        gzFile packed;

        OK(sslcv_save_options_init(&save, sizeof save));
        save.format = SSLCV_FORMAT_NPY;
        save.roles = SSLCV_ROLE_WEIGHT;
        file = save_to_memory(state, &save);
        packed = gzopen(in_folder("w.npy.gz"), "wb");
        ck_assert_int_eq(gzwrite(packed, file.bytes, (unsigned)file.size), file.size);
        gzclose(packed);
        options.roles = SSLCV_ROLE_WEIGHT;
        OK(sslcv_state_load(mixed, in_folder("w.npy.gz"), &options, NULL));
        ck_assert_mem_eq(data_of(mixed, 0), data_of(state, 0), sizeof(float) * (size_t)(matrix[0] * matrix[1]));
        save.roles = SSLCV_ROLE_ALL;
        FAILS(sslcv_state_save(state, in_folder("no.npy"), &save), SSLCV_ERR_UNSUPPORTED, "the roles choose 4");
        free(file.bytes);
    }
    sslcv_state_destroy(opened);
    sslcv_state_destroy(mixed);
    sslcv_state_destroy(other);
    sslcv_state_destroy(one);
}
END_TEST

START_TEST(nothing_and_scalars_and_empty_ones)
{
    const int64_t empty[3] = {2, 0, 3};
    sslcv_state *made, *opened;
    memory_file file;

    OK(sslcv_state_create(context, &made));
    file = save_as(made, SSLCV_FORMAT_NPZ);
    ck_assert_int_eq(file.size, 22);
    OK(open_from_memory(&file, NULL, &opened));
    ck_assert_int_eq(opened->count, 0);
    sslcv_state_destroy(opened);
    free(file.bytes);
    add(made, "empty", SSLCV_F64, SSLCV_ROLE_BUFFER, 3, empty);
    add(made, "gr\xc3\xbc\xc3\x9f/e \xf0\x9f\x99\x82", SSLCV_F16, SSLCV_ROLE_BUFFER, 0, NULL);
    memcpy(data_of(made, 1), "\0\x3c", 2);
    file = save_as(made, SSLCV_FORMAT_NPZ);
    OK(open_from_memory(&file, NULL, &opened));
    ck_assert_int_eq(opened->count, 2);
    ck_assert_str_eq(opened->items[1].name, made->items[1].name);
    ck_assert_int_eq(opened->items[0].variable->shape[2], 3);
    ck_assert_mem_eq(data_of(opened, 1), "\0\x3c", 2);
    sslcv_state_destroy(opened);
    sslcv_state_destroy(made);
    free(file.bytes);
}
END_TEST

/* ---- options ---- */

START_TEST(options_of_saving)
{
    static const char *const metadata[] = {"note", "x"};
    const int64_t two = 2;
    sslcv_state *half = make_vector(2), *opened;
    const float values[2] = {1, -2};
    sslcv_save_options options;
    memory_file file;

    memcpy(data_of(half, 0), values, sizeof values);
    OK(sslcv_save_options_init(&options, sizeof options));
    options.format = SSLCV_FORMAT_NPZ;
    options.dtype = SSLCV_F16;
    options.prefix = "net.";
    file = save_to_memory(half, &options);
    OK(open_from_memory(&file, "net.", &opened));
    ck_assert_str_eq(opened->items[0].name, "w");
    ck_assert_int_eq(opened->items[0].variable->dtype, SSLCV_F16);
    ck_assert_mem_eq(data_of(opened, 0), "\0\x3c\0\xc0", 4);
    sslcv_state_destroy(opened);
    free(file.bytes);
    options.dtype = SSLCV_BF16;
    FAILS(sslcv_state_save(half, in_folder("x"), &options), SSLCV_ERR_UNSUPPORTED, "as bf16, which NumPy does not");
    options.dtype = 0;
    options.metadata = metadata;
    options.num_metadata = 1;
    FAILS(sslcv_state_save(half, in_folder("x"), &options), SSLCV_ERR_UNSUPPORTED, "save_options.metadata is given");
    options.num_metadata = 0;
    options.format = 3;
    FAILS(sslcv_state_save(half, in_folder("x"), &options), SSLCV_ERR_INVALID_ARGUMENT, "save_options.format is 3");
    options.format = SSLCV_FORMAT_NPZ;
    ((float *)data_of(half, 0))[1] = NAN;
    FAILS(sslcv_state_save(half, in_folder("x"), &options), SSLCV_ERR_NUMERIC, "w");
    options.prefix = "\xff";
    FAILS(sslcv_state_save(half, in_folder("x"), &options), SSLCV_ERR_INVALID_ARGUMENT, "not valid UTF-8");
    ck_assert_int_eq(count_files(), 0);
    add(half, "buffer", SSLCV_BF16, SSLCV_ROLE_BUFFER, 1, &two);
    options.prefix = NULL;
    FAILS(sslcv_state_save(half, in_folder("x"), &options), SSLCV_ERR_UNSUPPORTED, "\"buffer\" is to be saved as bf16");
    sslcv_state_destroy(half);
}
END_TEST

START_TEST(names_too_long_or_twice)
{
    char *prefix = malloc(70000);
    sslcv_state *one = make_vector(1), *twice;
    sslcv_save_options options;

    memset(prefix, 'x', 70000);
    OK(sslcv_save_options_init(&options, sizeof options));
    options.format = SSLCV_FORMAT_NPZ;
    options.prefix = prefix;
    prefix[65530] = 0;
    OK(sslcv_state_save(one, in_folder("long.npz"), &options));
    OK(sslcv_state_load(
        one, in_folder("long.npz"),
        &(sslcv_load_options){
            .struct_size = sizeof(sslcv_load_options), .roles = SSLCV_ROLE_ALL, .max_bytes = 1 << 20, .prefix = prefix},
        NULL));
    prefix[65530] = 'x';
    prefix[65531] = 0;
    FAILS(sslcv_state_save(one, in_folder("x"), &options), SSLCV_ERR_LIMIT, "has 65532 bytes; at most 65531");
    OK(sslcv__state_create(context, &one->object, &twice));
    OK(sslcv__state_append_state(twice, "", one));
    OK(sslcv__state_append_state(twice, "", one));
    options.prefix = NULL;
    FAILS(sslcv_state_save(twice, in_folder("x"), &options), SSLCV_ERR_INVALID_ARGUMENT,
          "two tensors would be \"w.npy\"");
    sslcv_state_destroy(twice);
    sslcv_state_destroy(one);
    free(prefix);
}
END_TEST

/* ---- files of others ---- */

/** Opens one .npy file with this text and data, and compares with 2 x 2 doubles. */
static void check_reads(int version, const char *text, const void *data, int64_t size)
{
    pile *p = calloc(1, sizeof *p);
    sslcv_state *opened;
    memory_file file;
    double values[4];
    const int64_t shape[2] = {2, 2};
    sslcv_tensor tensor;

    ck_assert_ptr_nonnull(p);
    npy_add(p, version, text, data, size);
    file = pile_file(p);
    OK(open_from_memory(&file, NULL, &opened));
    if (sslcv__dtype_is_floating(opened->items[0].variable->dtype)) {
        OK(sslcv_tensor_init(&tensor, SSLCV_F64, values, 2, shape));
        OK(sslcv_state_get(opened, 0, SSLCV_STATE_VALUE, &tensor));
        ck_assert_mem_eq(values, four, sizeof values);
    } else {
        ck_assert_mem_eq(data_of(opened, 0), "\1\0\2\0\3\0\4", 7); /* <u2 */
    }
    sslcv_state_destroy(opened);
    free(file.bytes);
    free(p);
}

START_TEST(either_order_of_axes_and_bytes)
{
    static const double fortran[4] = {1, 3, 2, 4};
    static const char big_f4[] = "\x3f\x80\0\0\x40\0\0\0\x40\x40\0\0\x40\x80\0\0";
    static const char big_f4_fortran[] = "\x3f\x80\0\0\x40\x40\0\0\x40\0\0\0\x40\x80\0\0";

    check_reads(1, HEADER("<f8", "False", "(2, 2)"), four, 32);
    check_reads(1, HEADER("=f8", "False", "(2, 2)"), four, 32);
    check_reads(1, HEADER("f8", "False", "(2, 2)"), four, 32);
    check_reads(1, HEADER("<f8", "True", "(2, 2)"), fortran, 32);
    check_reads(1, HEADER(">f4", "False", "(2, 2)"), big_f4, 16);
    check_reads(1, HEADER(">f4", "True", "(2, 2)"), big_f4_fortran, 16);
    check_reads(1, HEADER(">f2", "False", "(2, 2)"), "\x3c\0\x40\0\x42\0\x44", 8);
    check_reads(1, HEADER(">u2", "False", "(2, 2)"), "\0\1\0\2\0\3\0\4", 8);
    check_reads(1, HEADER(">u2", "True", "(2, 2)"), "\0\1\0\3\0\2\0\4", 8);
    check_reads(1, HEADER("<u2", "True", "(2, 2)"), "\1\0\3\0\2\0\4\0", 8);
}
END_TEST

START_TEST(any_spelling)
{
    check_reads(1, "{\"shape\":(2,2),\"fortran_order\":False,\"descr\":\"<f8\"}", four, 32);
    check_reads(1, " \t{ 'descr' : '<f8' ,\n'fortran_order' :False , 'shape':( 2 , 2 , ) , } \n \r", four, 32);
    check_reads(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 2L)}", four, 32); /* Python 2 */
    check_reads(2, HEADER("<f8", "False", "(2, 2)"), four, 32);
    check_reads(3, HEADER("<f8", "False", "(2, 2)"), four, 32);
}
END_TEST

START_TEST(deflated_described_behind_and_of_64_bits)
{
    const member_lies behind = {.flags = 8}, sizes_64 = {.extra_64 = 1};
    const double other[4] = {5, 6, 7, 8};
    archive *a = make_archive();
    memory_file file;
    sslcv_state *opened;

    array_add(a, "deflated.npy", 1, HEADER("<f8", "True", "(4, 1)"), four, 32, NULL);
    array_add(a, "behind.npy", 0, HEADER("<f8", "False", "(4,)"), other, 32, &behind);
    pile_add(&a->body, "PK\7\10 sizes, which nobody reads", 25);
    array_add(a, "long.npy", 0, HEADER("<f8", "False", "(2, 2)"), four, 32, &sizes_64);
    array_add(a, "long deflated.npy", 1, HEADER("<f8", "False", "(2, 2)"), other, 32, &sizes_64);
    file = archive_file(a, NULL);
    OK(open_from_memory(&file, NULL, &opened));
    ck_assert_int_eq(opened->count, 4);
    ck_assert_str_eq(opened->items[3].name, "long deflated");
    ck_assert_mem_eq(data_of(opened, 0), four, 32);
    ck_assert_mem_eq(data_of(opened, 1), other, 32);
    ck_assert_mem_eq(data_of(opened, 2), four, 32);
    ck_assert_mem_eq(data_of(opened, 3), other, 32);
    sslcv_state_destroy(opened);
    free(file.bytes);
    free(a);
}
END_TEST

START_TEST(unknown_dtypes_harm_only_who_wants_them)
{
    sslcv_state *to = make_vector(2), *opened = NULL;
    const float values[2] = {3, 4};
    const char letters[40] = {0};
    archive *a = make_archive();
    memory_file file;

    array_add(a, "text.npy", 0, HEADER("<U5", "False", "(2,)"), letters, sizeof letters, NULL);
    array_add(a, "records.npy", 1,
              "{'descr': [('a', '<f4'), (\"]\", [('b', '<i8', (2,))])], 'fortran_order': False, 'shape': (1,)}", values,
              8, NULL);
    array_add(a, "w.npy", 1, HEADER("<f4", "False", "(2,)"), values, 8, NULL);
    file = archive_file(a, NULL);
    OK(load_from_memory(to, &file, NULL, NULL));
    ck_assert_mem_eq(data_of(to, 0), values, 8);
    FAILS(open_from_memory(&file, NULL, &opened), SSLCV_ERR_UNSUPPORTED, "\"text\" has dtype <U5; known are f8, f4");
    FAILS(open_from_memory(&file, "rec", &opened), SSLCV_ERR_UNSUPPORTED, "\"records\" has dtype a structure");
    ck_assert_ptr_null(opened);
    free(file.bytes);
    free(a);
    sslcv_state_destroy(to);
}
END_TEST

/* ---- archives of 64 bits, written small ---- */

START_TEST(sizes_and_offsets_of_64_bits_are_read_again)
{
    const char *const names[2] = {"a.npy", "b.npy"};
    char data[2][SSLCV__NPY_MAX_HEADER];
    enum { BYTES = 192 + 4 };
    sslcv__bytes to = {.context = context}, directory = {.context = context};
    const int64_t one = 1;
    memory_file file = {0};
    sslcv_state *opened;
    int64_t limit;
    int i;

    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(sslcv__npy_header(SSLCV_I32, 1, &one, data[i]), 192);
        memcpy(data[i] + 192, i ? "\2\0\0" : "\1\0\0", 4);
    }
    for (limit = 1; limit < 500; limit += 100) { /* all, some, and none of the numbers do not fit */
        int64_t offset;

        to.size = directory.size = 0;
        for (i = 0; i < 2; i++) {
            const sslcv__zip_part part = {.name = names[i],
                                          .name_bytes = 5,
                                          .bytes = BYTES,
                                          .offset = to.size,
                                          .crc = (uint32_t)crc32(crc32(0, Z_NULL, 0), (const Bytef *)data[i], BYTES)};

            OK(sslcv__zip_append_local(&to, &part, limit));
            OK(sslcv__zip_append_central(&directory, &part, limit));
            OK(sslcv__bytes_append(&to, data[i], BYTES));
        }
        offset = to.size;
        OK(sslcv__bytes_append(&to, directory.data, directory.size));
        OK(sslcv__zip_append_end(&to, 2, offset, directory.size, limit));
        file.bytes = to.data;
        file.size = to.size;
        file.step = 1 << 20;
        OK(open_from_memory(&file, NULL, &opened));
        ck_assert_int_eq(*(int32_t *)data_of(opened, 0), 1);
        ck_assert_int_eq(*(int32_t *)data_of(opened, 1), 2);
        sslcv_state_destroy(opened);
    }
    sslcv__free(context, directory.data);
    sslcv__free(context, to.data);
}
END_TEST

/* ---- memory ---- */

static sslcv_status save_npz(sslcv_state *from, memory_file *file)
{
    const sslcv_stream stream = stream_of(file);
    sslcv_save_options options;

    OK(sslcv_save_options_init(&options, sizeof options));
    options.format = SSLCV_FORMAT_NPZ;
    options.stream = &stream;
    file->place = file->size = 0;
    return sslcv_state_save(from, NULL, &options);
}

START_TEST(memory_runs_out)
{
    archive *a = make_archive();
    sslcv_state *to = make_vector(4), *opened = NULL;
    memory_file file, saved = {malloc(1 << 16), 0, 0, 1 << 20, 0};
    sslcv_load_options options;

    array_add(a, "w.npy", 1, HEADER(">f8", "True", "(2, 2)"), four, 32, NULL);
    array_add(a, "x.npy", 0, HEADER("<f8", "True", "(2, 2)"), four, 32, NULL);
    file = archive_file(a, NULL);
    RUN_OUT_OF_MEMORY(&memory, open_from_memory(&file, NULL, &opened));
    sslcv_state_destroy(opened);
    RUN_OUT_OF_MEMORY(&memory, save_npz(state, &saved));
    free(file.bytes);
    free(a);
    a = make_archive();
    array_add(a, "w.npy", 1, HEADER("<f8", "False", "(4,)"), four, 32, NULL);
    file = archive_file(a, NULL);
    OK(sslcv_load_options_init(&options, sizeof options));
    RUN_OUT_OF_MEMORY(&memory, load_from_memory(to, &file, &options, NULL));
    ck_assert_float_eq(((float *)data_of(to, 0))[3], 4);
    free(file.bytes);
    free(saved.bytes);
    free(a);
    sslcv_state_destroy(to);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("npz");
    TCase *round = tcase_create("round trips"), *others = tcase_create("files of others");

    tcase_add_checked_fixture(round, setup, teardown);
    tcase_add_test(round, what_is_saved_comes_back);
    tcase_add_test(round, opened_and_saved_again_it_is_the_same);
    tcase_add_test(round, a_header_is_as_numpy_writes_it);
    tcase_add_test(round, one_tensor_without_a_name);
    tcase_add_test(round, nothing_and_scalars_and_empty_ones);
    tcase_add_test(round, options_of_saving);
    tcase_add_test(round, names_too_long_or_twice);
    suite_add_tcase(suite, round);
    tcase_add_checked_fixture(others, setup, teardown);
    tcase_add_test(others, either_order_of_axes_and_bytes);
    tcase_add_test(others, any_spelling);
    tcase_add_test(others, deflated_described_behind_and_of_64_bits);
    tcase_add_test(others, unknown_dtypes_harm_only_who_wants_them);
    tcase_add_test(others, sizes_and_offsets_of_64_bits_are_read_again);
    tcase_add_test(others, memory_runs_out);
    suite_add_tcase(suite, others);
    return run_suite(suite);
}
