/* lib/core/file.c: whole files in, gzip unpacked; whole files out, or none. */
#include "file_support.h"

#include "core/file.h"
#include "core/memory.h"

#include <signal.h>
#include <sys/resource.h>
#include <zlib.h>

static sslcv_context *context;
static host memory;

static void setup(void)
{
    memory = (host){0};
    context = make_context(&memory);
    make_folder();
}

static void teardown(void)
{
    remove_folder();
    sslcv_context_destroy(context);
    ck_assert_int_eq(memory.out, 0);
}

/* ---- reading ---- */

static void reads(const char *path, int64_t max_bytes, const void *expected, int64_t expected_size)
{
    void *data = NULL;
    int64_t size = -1;

    OK(sslcv__file_read(context, path, max_bytes, &data, &size));
    ck_assert_int_eq(size, expected_size);
    ck_assert_ptr_nonnull(data);
    if (size > 0) ck_assert_mem_eq(data, expected, (size_t)size);
    sslcv__free(context, data);
}

static void refuses(const char *path, int64_t max_bytes, sslcv_status status, const char *text)
{
    void *data = &memory;
    int64_t size = -1;

    FAILS(sslcv__file_read(context, path, max_bytes, &data, &size), status, text);
    ck_assert_ptr_null(data);
}

static void write_gzip(const char *path, const char *mode, const void *bytes, unsigned size)
{
    gzFile file = gzopen(path, mode);

    ck_assert_ptr_nonnull(file);
    if (size) ck_assert_int_eq(gzwrite(file, bytes, size), (int)size);
    ck_assert_int_eq(gzclose(file), Z_OK);
}

START_TEST(plain_files)
{
    const char *path = in_folder("plain");
    const char bytes[] = "a\0b\r\n\xff";

    write_file(path, bytes, sizeof bytes);
    reads(path, sizeof bytes, bytes, sizeof bytes);
    reads(path, INT64_MAX, bytes, sizeof bytes);
    refuses(path, sizeof bytes - 1, SSLCV_ERR_LIMIT, "plain has more than 6 bytes");
    write_file(path, "", 0);
    reads(path, 0, "", 0);
}
END_TEST

START_TEST(files_of_unknown_size)
{
    void *data;
    int64_t size;

    OK(sslcv__file_read(context, "/proc/self/status", 1 << 20, &data, &size)); /* its st_size is 0 */
    ck_assert_int_gt(size, 5);
    ck_assert_mem_eq(data, "Name:", 5);
    sslcv__free(context, data);
    refuses("/dev/zero", 1 << 18, SSLCV_ERR_LIMIT, "/dev/zero has more than 262144 bytes");
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
    write_file(in_folder("file"), "x", 1);
    refuses(in_folder("none"), 10, SSLCV_ERR_NOT_FOUND, "none: No such file or directory");
    refuses(in_folder("file/below"), 10, SSLCV_ERR_NOT_FOUND, "file/below: Not a directory");
    refuses(test_folder, 10, SSLCV_ERR_IO, "Is a directory");
    refuses("", 10, SSLCV_ERR_NOT_FOUND, "No such file");
}
END_TEST

START_TEST(pipes_are_not_waited_for)
{
    const char *path = in_folder("pipe");

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(symlink("pipe", in_folder("link")), 0);
    alarm(5); /* a hang is a failure */
    refuses(path, 10, SSLCV_ERR_IO, "pipe: it is a pipe");
    refuses(in_folder("link"), 10, SSLCV_ERR_IO, "link: it is a pipe");
    alarm(0);
}
END_TEST

START_TEST(gzip_is_unpacked)
{
    const char *path = in_folder("packed.gz");
    static char text[300000];
    int i;

    for (i = 0; i < (int)sizeof text; i++) text[i] = (char)((unsigned)i * (unsigned)i >> 7);
    write_gzip(path, "wb9", text, sizeof text);
    reads(path, sizeof text, text, sizeof text);
    refuses(path, sizeof text - 1, SSLCV_ERR_LIMIT, "packed.gz has more than 299999 bytes");
    write_gzip(path, "wb", "", 0);
    reads(path, 0, "", 0);
    write_gzip(path, "wb1", text, 1000); /* two members, one behind the other */
    write_gzip(path, "ab", text + 1000, sizeof text - 1000);
    reads(path, sizeof text, text, sizeof text);
    write_gzip(path, "wb0", text, 5000); /* stored: longer than plain, yet within the limit */
    reads(path, 5000, text, 5000);
}
END_TEST

START_TEST(gzip_that_unpacks_to_too_much)
{
    const char *path = in_folder("bomb.gz");
    char *zeros = calloc(1, 8 << 20);
    size_t size;
    char *bytes;

    write_gzip(path, "wb9", zeros, 8 << 20);
    refuses(path, 20000, SSLCV_ERR_LIMIT, "more than 20000 bytes");
    bytes = read_file(path, &size);
    memset(bytes + size - 4, 0xff, 4); /* claims 4 GiB */
    write_file(path, bytes, size);
    refuses(path, 16 << 20, SSLCV_ERR_FORMAT, "incorrect length check");
    free(bytes);
    free(zeros);
}
END_TEST

START_TEST(gzip_cut_anywhere)
{
    const char *path = in_folder("cut.gz");
    size_t size, i;
    char *bytes;

    write_gzip(path, "wb", "some text, some more text", 25);
    bytes = read_file(path, &size);
    for (i = 3; i < size; i++) {
        write_file(path, bytes, i);
        refuses(path, 1000, SSLCV_ERR_FORMAT, "cut.gz is damaged: gzip data, cut off before its end");
    }
    bytes[size] = 'x';
    write_file(path, bytes, size + 1);
    refuses(path, 1000, SSLCV_ERR_FORMAT, "cut.gz is damaged");
    free(bytes);
}
END_TEST

START_TEST(gzip_with_any_bit_flipped)
{
    const char *path = in_folder("flipped.gz");
    size_t size, i;
    char *bytes;

    write_gzip(path, "wb", "some text, some more text", 25);
    bytes = read_file(path, &size);
    for (i = 0; i < 8 * size; i++) {
        void *data = NULL;
        int64_t got = 0;

        bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
        write_file(path, bytes, size);
        if (sslcv__file_read(context, path, 1000, &data, &got) == SSLCV_OK) {
            /* No longer told to be gzip, or a bit of the header that means nothing. */
            ck_assert((got == (int64_t)size && memcmp(data, bytes, size) == 0) ||
                      (got == 25 && memcmp(data, "some text, some more text", 25) == 0));
        }
        sslcv__free(context, data);
        bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
    }
    free(bytes);
}
END_TEST

START_TEST(bytes_that_only_begin_like_gzip)
{
    const char bytes[] = "\x1f\x8b\x08\0\0\0\0\0{\"a\":{}} and more";

    write_file(in_folder("header"), bytes, sizeof bytes);
    reads(in_folder("header"), 100, bytes, sizeof bytes);
}
END_TEST

START_TEST(reading_without_memory)
{
    void *data = NULL;
    int64_t size;

    write_file(in_folder("plain"), "text", 4);
    write_gzip(in_folder("packed"), "wb", "text", 4);
    RUN_OUT_OF_MEMORY(&memory, sslcv__file_read(context, in_folder("plain"), 10, &data, &size));
    sslcv__free(context, data);
    RUN_OUT_OF_MEMORY(&memory, sslcv__file_read(context, in_folder("packed"), 10, &data, &size));
    ck_assert_mem_eq(data, "text", 4);
    sslcv__free(context, data);
    RUN_OUT_OF_MEMORY(&memory, sslcv__file_read(context, "/proc/self/status", 1 << 20, &data, &size));
    sslcv__free(context, data);
}
END_TEST

/* ---- writing ---- */

static sslcv_status save_text(const char *path, const char *text, int32_t generations)
{
    sslcv__new_file *file;
    sslcv_status status = sslcv__new_file_open(context, path, &file);

    if (status != SSLCV_OK) return status;
    status = sslcv__new_file_write(file, text, (int64_t)strlen(text));
    if (status == SSLCV_OK) return sslcv__new_file_commit(file, generations);
    sslcv__new_file_discard(file);
    return status;
}

START_TEST(a_file_appears_at_commit)
{
    const char *path = in_folder("new");
    sslcv__new_file *file;

    OK(sslcv__new_file_open(context, path, &file));
    OK(sslcv__new_file_write(file, "one ", 4));
    OK(sslcv__new_file_write(file, "", 0));
    OK(sslcv__new_file_write(file, "two", 3));
    ck_assert_int_ne(access(path, F_OK), 0);
    OK(sslcv__new_file_commit(file, 0));
    file_has(path, "one two");
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(a_relative_path)
{
    char before[256];

    ck_assert_ptr_nonnull(getcwd(before, sizeof before));
    ck_assert_int_eq(chdir(test_folder), 0);
    OK(save_text("here", "text", 1));
    OK(save_text("here", "more", 1));
    ck_assert_int_eq(chdir(before), 0);
    file_has(in_folder("here"), "more");
    file_has(in_folder("here.1"), "text");
}
END_TEST

START_TEST(discard_leaves_what_was_there)
{
    const char *path = in_folder("kept");
    sslcv__new_file *file;

    OK(save_text(path, "old", 0));
    OK(sslcv__new_file_open(context, path, &file));
    OK(sslcv__new_file_write(file, "new", 3));
    sslcv__new_file_discard(file);
    sslcv__new_file_discard(NULL);
    file_has(path, "old");
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(two_writers_of_one_path)
{
    const char *path = in_folder("shared");
    sslcv__new_file *a, *b;

    OK(sslcv__new_file_open(context, path, &a));
    OK(sslcv__new_file_open(context, path, &b));
    OK(sslcv__new_file_write(a, "a", 1));
    OK(sslcv__new_file_write(b, "b", 1));
    OK(sslcv__new_file_commit(b, 0));
    OK(sslcv__new_file_commit(a, 0));
    file_has(path, "a");
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(generations)
{
    const char *path = in_folder("g");
    const char *const texts[] = {"0", "1", "2", "3", "4"};
    int i;

    for (i = 0; i < 5; i++) OK(save_text(path, texts[i], 3));
    file_has(path, "4");
    file_has(in_folder("g.1"), "3");
    file_has(in_folder("g.2"), "2");
    file_has(in_folder("g.3"), "1");
    ck_assert_int_eq(count_files(), 4);
    OK(save_text(path, "5", 0)); /* the earlier ones stay as they are */
    file_has(path, "5");
    file_has(in_folder("g.1"), "3");
    ck_assert_int_eq(unlink(path), 0);
    OK(save_text(path, "6", 3)); /* nothing to keep: nothing moves */
    file_has(in_folder("g.1"), "3");
    ck_assert_int_eq(count_files(), 4);
}
END_TEST

START_TEST(permissions_are_kept)
{
    const char *path = in_folder("private");
    struct stat info;

    OK(save_text(path, "a", 0));
    ck_assert_int_eq(chmod(path, 0600), 0);
    OK(save_text(path, "b", 0));
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600);
}
END_TEST

START_TEST(paths_that_cannot_be_written)
{
    FAILS(save_text(in_folder("none/file"), "a", 0), SSLCV_ERR_IO, "none/file: No such file or directory");
    FAILS(save_text(test_folder, "a", 0), SSLCV_ERR_IO, "it exists and is not an ordinary file");
    FAILS(save_text("/dev/null", "a", 0), SSLCV_ERR_IO,
          "cannot create /dev/null: it exists and is not an ordinary file");
    FAILS(save_text("", "a", 0), SSLCV_ERR_IO, "cannot create");
    write_file(in_folder("file"), "x", 1);
    FAILS(save_text(in_folder("file/below"), "a", 0), SSLCV_ERR_IO, "Not a directory");
    if (geteuid() != 0) { /* root may write everywhere */
        ck_assert_int_eq(chmod(test_folder, 0500), 0);
        FAILS(save_text(in_folder("file"), "a", 0), SSLCV_ERR_IO, "Permission denied");
        ck_assert_int_eq(chmod(test_folder, 0700), 0);
    }
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(a_generation_that_is_in_the_way)
{
    const char *path = in_folder("g");

    OK(save_text(path, "old", 0));
    ck_assert_int_eq(mkdir(in_folder("g.1"), 0700), 0);
    FAILS(save_text(path, "new", 1), SSLCV_ERR_IO, "cannot replace");
    file_has(path, "old");
    ck_assert_int_eq(count_files(), 2);
}
END_TEST

START_TEST(disk_full)
{
    const struct rlimit full = {100000, RLIM_INFINITY}, plenty = {RLIM_INFINITY, RLIM_INFINITY};
    const char *path = in_folder("large");
    char *zeros = calloc(1, 200000);
    sslcv__new_file *file;

    OK(save_text(path, "old", 0));
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &full), 0);
    OK(sslcv__new_file_open(context, path, &file));
    /* The first write is cut short by the limit, its second half fails. */
    FAILS(sslcv__new_file_write(file, zeros, 200000), SSLCV_ERR_IO, "large: File too large");
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &plenty), 0);
    sslcv__new_file_discard(file);
    file_has(path, "old");
    ck_assert_int_eq(count_files(), 1);
    free(zeros);
}
END_TEST

START_TEST(writing_without_memory)
{
    RUN_OUT_OF_MEMORY(&memory, save_text(in_folder("new"), "text", 0));
    file_has(in_folder("new"), "text");
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *reading = tcase_create("reading"), *writing = tcase_create("writing");

    tcase_add_checked_fixture(reading, setup, teardown);
    tcase_add_test(reading, plain_files);
    tcase_add_test(reading, files_of_unknown_size);
    tcase_add_test(reading, files_that_cannot_be_read);
    tcase_add_test(reading, pipes_are_not_waited_for);
    tcase_add_test(reading, gzip_is_unpacked);
    tcase_add_test(reading, gzip_that_unpacks_to_too_much);
    tcase_add_test(reading, gzip_cut_anywhere);
    tcase_add_test(reading, gzip_with_any_bit_flipped);
    tcase_add_test(reading, bytes_that_only_begin_like_gzip);
    tcase_add_test(reading, reading_without_memory);
    tcase_add_checked_fixture(writing, setup, teardown);
    tcase_add_test(writing, a_file_appears_at_commit);
    tcase_add_test(writing, a_relative_path);
    tcase_add_test(writing, discard_leaves_what_was_there);
    tcase_add_test(writing, two_writers_of_one_path);
    tcase_add_test(writing, generations);
    tcase_add_test(writing, permissions_are_kept);
    tcase_add_test(writing, paths_that_cannot_be_written);
    tcase_add_test(writing, a_generation_that_is_in_the_way);
    tcase_add_test(writing, disk_full);
    tcase_add_test(writing, writing_without_memory);
    suite_add_tcase(suite, reading);
    suite_add_tcase(suite, writing);
    return run_suite(suite);
}
