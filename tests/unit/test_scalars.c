/* Scalars in files: what the formats' bytes are, and what happens when files fail. */
#define _XOPEN_SOURCE 700
#include "file_support.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include <sslcv/sslcv.h>

#include "core/memory.h"
#include "io/scalars.h"

/* ---- TensorBoard ---- */

/* The bytes of tests/golden/scalars.txt; count of them. */
static int64_t read_golden(unsigned char *bytes, int64_t capacity)
{
    FILE *file = fopen("tests/golden/scalars.txt", "r");
    char line[256];
    int64_t count = 0;
    unsigned byte;
    const char *p;

    ck_assert_msg(file != NULL, "tests/golden/scalars.txt is missing: run from the root of the repository");
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#') continue;
        for (p = line; sscanf(p, "%2x", &byte) == 1 && count < capacity; p += 2) bytes[count++] = (unsigned char)byte;
    }
    fclose(file);
    return count;
}

/* The events of make_scalars.py. */
START_TEST(event_bytes)
{
    static char name[201];
    const sslcv__scalar first[] = {{"loss", 4.5}};
    const sslcv__scalar second[] = {{"loss", 0.1}, {"n\xc3\xa4me \xe4\xb8\xad", -0.0}, {name, 1e300}};
    const sslcv__scalar third[] = {{"a", INFINITY}, {"b", -INFINITY}, {"c", NAN}, {"d", 1e-45}};
    unsigned char golden[2048];
    const int64_t count = read_golden(golden, sizeof golden);
    sslcv__bytes record = {.context = f32_context()};

    memset(name, 'x', 200);
    OK(sslcv__event_begin(&record, 1700000000.25));
    OK(sslcv__event(&record, 1700000000.25, 0, first, 1));
    OK(sslcv__event(&record, 1700000001.5, 300, second, 3));
    OK(sslcv__event(&record, 1700000002.75, ((int64_t)1 << 40) + 7, third, 4));
    ck_assert_int_eq(record.size, count);
    ck_assert_mem_eq(record.data, golden, (size_t)count);
    sslcv__free(record.context, record.data);
    sslcv_context_destroy(record.context);
}
END_TEST

/* Path of the one event file in folder "runs/a". */
static const char *find_events(void)
{
    static char path[600];
    DIR *folder = opendir(in_folder("runs/a"));
    const struct dirent *entry;
    int count = 0;

    ck_assert_ptr_nonnull(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", in_folder("runs/a"), entry->d_name);
        count++;
    }
    closedir(folder);
    ck_assert_int_eq(count, 1);
    return path;
}

static void remove_events(void)
{
    unlink(find_events());
    rmdir(in_folder("runs/a"));
}

/* Number of records, each of which must be whole. */
static int count_records(const char *path)
{
    size_t size, at = 0;
    char *bytes = read_file(path, &size);
    int count = 0;

    for (; at < size; count++) {
        uint64_t length;

        ck_assert_uint_ge(size - at, 16);
        memcpy(&length, bytes + at, 8);
        ck_assert_uint_ge(size - at - 16, length);
        at += 16 + length;
    }
    free(bytes);
    return count;
}

START_TEST(event_files)
{
    sslcv_context *context = make_context(NULL);
    unsigned char golden[2048];
    sslcv_scalars *scalars;
    size_t size;
    char *bytes;

    OK(sslcv_scalars_open(context, SSLCV_SCALARS_TENSORBOARD, in_folder("runs/a//"), &scalars));
    ck_assert_ptr_nonnull(strstr(find_events(), "/events.out.tfevents.1"));
    ck_assert_int_eq(count_records(find_events()), 1);
    OK(sslcv_scalars_add(scalars, 7, "loss", 0.5));
    ck_assert_int_eq(count_records(find_events()), 2); /* at once */
    bytes = read_file(find_events(), &size);
    read_golden(golden, sizeof golden);
    ck_assert_mem_eq(bytes, golden, 12);           /* size of the first record */
    ck_assert_mem_eq(bytes + 21, golden + 21, 15); /* its version */
    ck_assert_mem_eq(bytes + 12 + 24 + 4 + 12 + 9, "\x10\x07*\x0d\x0a\x0b\x0a\x04loss\x15\0\0\0?", 17);
    ck_assert_uint_eq(size, 40 + 16 + 26);
    free(bytes);
    sslcv_scalars_destroy(scalars);
    sslcv_context_destroy(context);
    remove_events();
}
END_TEST

START_TEST(event_file_is_new)
{
    sslcv_context *context = make_context(NULL);
    sslcv_scalars *scalars[3];
    int i;

    for (i = 0; i < 3; i++) OK(sslcv_scalars_open(context, SSLCV_SCALARS_TENSORBOARD, test_folder, &scalars[i]));
    ck_assert_int_eq(count_files(), 3);
    for (i = 0; i < 3; i++) sslcv_scalars_destroy(scalars[i]);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- JSON lines ---- */

START_TEST(json_lines)
{
    const sslcv__scalar first[] = {{"loss", 4.5}};
    const sslcv__scalar second[] = {{"a", NAN}, {"b", INFINITY}, {"\"\\\n\xc3\xa4", -1e-7}};
    sslcv__bytes lines = {.context = f32_context()};

    OK(sslcv__json_line(&lines, 1700000000.25, 0, first, 1));
    OK(sslcv__json_line(&lines, 1700000001.9994, INT64_MAX, second, 3));
    OK(sslcv__bytes_append(&lines, "", 1));
    ck_assert_str_eq(lines.data, "{\"step\":0,\"time\":1700000000.25,\"loss\":4.5}\n"
                                 "{\"step\":9223372036854775807,\"time\":1700000001.999,\"a\":null,\"b\":null,"
                                 "\"\\\"\\\\\\u000a\xc3\xa4\":-1e-07}\n");
    sslcv__free(lines.context, lines.data);
    sslcv_context_destroy(lines.context);
}
END_TEST

static const char *number_text(sslcv__bytes *to, double number)
{
    to->size = 0;
    OK(sslcv__bytes_real(to, number));
    OK(sslcv__bytes_append(to, "", 1));
    return to->data;
}

/* Short where short is exact; else as many digits as it takes. */
START_TEST(numbers)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {0.1, "0.1"},
        {-0.3, "-0.3"},
        {0.996, "0.996"},
        {0.06, "0.06"},
        {1e-7, "1e-07"},
        {1e22, "1e+22"},
        {1e23, "9.9999999999999992e+22"},
        {0.0, "0"},
        {-0.0, "-0"},
        {250.0, "250"},
        {123456789012345.0, "123456789012345"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3.0, "0.33333333333333331"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {5e-324, "4.9406564584124654e-324"},
        {NAN, "null"},
        {-INFINITY, "null"},
    };
    sslcv__bytes to = {.context = f32_context()};
    uint64_t state = 1;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_str_eq(number_text(&to, cases[i].number), cases[i].text);
    }
    for (i = 0; i < 100000; i++) {
        double number, back;

        state = state * 6364136223846793005u + 1442695040888963407u;
        memcpy(&number, &state, sizeof number);
        if (i % 4 == 1) number = (double)(state >> 40) / 1000.0;
        if (i % 4 == 2) number = (double)(state >> 11) * 1e-19;
        if (i % 4 == 3) number = (float)((double)(state >> 40) / 1e6);
        if (!isfinite(number)) continue;
        back = strtod(number_text(&to, number), NULL);
        ck_assert_msg(memcmp(&back, &number, sizeof back) == 0, "%.17g is written as %s", number, to.data);
    }
    setlocale(LC_ALL, "de_DE.UTF-8"); /* where it is installed, 0,5 is its way to write 0.5 */
    ck_assert_str_eq(number_text(&to, 0.1), "0.1");
    ck_assert_str_eq(number_text(&to, 1.0 / 3.0), "0.33333333333333331");
    setlocale(LC_ALL, "C");
    sslcv__free(to.context, to.data);
    sslcv_context_destroy(to.context);
}
END_TEST

/* The file without the times in it, and with all of them checked to be about now. */
static void lines_are(const char *path, const char *expected)
{
    size_t size;
    char *bytes = read_file(path, &size), *from = bytes, *to = bytes, *mark;

    while ((mark = strstr(from, ",\"time\":")) != NULL) {
        memmove(to, from, (size_t)(mark - from));
        to += mark - from;
        ck_assert(fabs(strtod(mark + 8, &from) - (double)time(NULL)) < 600.0);
    }
    memmove(to, from, strlen(from) + 1);
    ck_assert_str_eq(bytes, expected);
    free(bytes);
}

START_TEST(json_file)
{
    const char *path = in_folder("a.jsonl");
    sslcv_context *context = make_context(NULL);
    sslcv_scalars *scalars;

    OK(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, path, &scalars));
    OK(sslcv_retain(scalars));
    sslcv_scalars_destroy(scalars);
    OK(sslcv_scalars_add(scalars, 10, "loss", 0.5));
    lines_are(path, "{\"step\":10,\"loss\":0.5}\n"); /* at once */
    sslcv_context_destroy(context);
    OK(sslcv_scalars_add(scalars, 11, "loss", NAN));
    sslcv_scalars_destroy(scalars);
    sslcv_scalars_destroy(NULL);

    context = make_context(NULL);
    OK(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, path, &scalars));
    OK(sslcv_scalars_add(scalars, 12, "x", 3.0));
    sslcv_scalars_destroy(scalars);
    lines_are(path, "{\"step\":10,\"loss\":0.5}\n{\"step\":11,\"loss\":null}\n{\"step\":12,\"x\":3}\n");
    sslcv_context_destroy(context);
}
END_TEST

/* A line that others have left open stays as it is, and ours are lines. */
START_TEST(json_after_open_line)
{
    const char *path = in_folder("a.jsonl");
    sslcv_context *context = make_context(NULL);
    sslcv_scalars *scalars;

    write_file(path, "{\"step\":1}\n{\"ste", 16);
    OK(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, path, &scalars));
    OK(sslcv_scalars_add(scalars, 2, "x", 3.0));
    OK(sslcv_scalars_add(scalars, 3, "x", 4.0));
    lines_are(path, "{\"step\":1}\n{\"ste\n{\"step\":2,\"x\":3}\n{\"step\":3,\"x\":4}\n");
    sslcv_scalars_destroy(scalars);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- what goes wrong ---- */

START_TEST(arguments)
{
    sslcv_context *context = make_context(NULL);
    sslcv_scalars *scalars = NULL;
    char name[1026];

    FAILS(sslcv_scalars_open(NULL, 1, test_folder, &scalars), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_scalars_open(context, 0, test_folder, &scalars), SSLCV_ERR_INVALID_ARGUMENT, "format is 0");
    FAILS(sslcv_scalars_open(context, 3, test_folder, &scalars), SSLCV_ERR_INVALID_ARGUMENT, "format is 3");
    FAILS(sslcv_scalars_open(context, 1, NULL, &scalars), SSLCV_ERR_INVALID_ARGUMENT, "path is NULL");
    FAILS(sslcv_scalars_open(context, 2, "", &scalars), SSLCV_ERR_INVALID_ARGUMENT, "path is empty");
    FAILS(sslcv_scalars_open(context, 1, test_folder, NULL), SSLCV_ERR_INVALID_ARGUMENT, "scalars is NULL");
    ck_assert_ptr_null(scalars);
    ck_assert_int_eq(count_files(), 0);

    OK(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, in_folder("a"), &scalars));
    memset(name, 'x', sizeof name);
    name[1025] = 0;
    FAILS(sslcv_scalars_add(NULL, 0, "a", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "scalars is NULL");
    FAILS(sslcv_scalars_add((sslcv_scalars *)(void *)context, 0, "a", 1.0), SSLCV_ERR_INVALID_ARGUMENT,
          "not a live scalars handle");
    FAILS(sslcv_scalars_add(scalars, -1, "a", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "step is -1; must be >= 0");
    FAILS(sslcv_scalars_add(scalars, 0, NULL, 1.0), SSLCV_ERR_INVALID_ARGUMENT, "name is NULL");
    FAILS(sslcv_scalars_add(scalars, 0, "", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "name has 0 bytes");
    FAILS(sslcv_scalars_add(scalars, 0, name, 1.0), SSLCV_ERR_INVALID_ARGUMENT, "name has 1025 bytes");
    FAILS(sslcv_scalars_add(scalars, 0, "step", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "name is \"step\"");
    FAILS(sslcv_scalars_add(scalars, 0, "time", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "name is \"time\"");
    FAILS(sslcv_scalars_add(scalars, 0, "ab\xff", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "not valid UTF-8 at byte 2");
    file_has(in_folder("a"), "");
    name[1024] = 0;
    OK(sslcv_scalars_add(scalars, 0, name, 1.0));
    sslcv_scalars_destroy(scalars);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(paths)
{
    sslcv_context *context = make_context(NULL);
    sslcv_scalars *scalars = NULL;

    FAILS(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, in_folder("no/a"), &scalars), SSLCV_ERR_IO,
          "/no/a: No such file or directory");
    FAILS(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, test_folder, &scalars), SSLCV_ERR_IO, "directory");
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    FAILS(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, in_folder("pipe"), &scalars), SSLCV_ERR_IO, "pipe");
    FAILS(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, "/dev/null", &scalars), SSLCV_ERR_IO,
          "not an ordinary file");
    write_file(in_folder("file"), "x", 1);
    FAILS(sslcv_scalars_open(context, SSLCV_SCALARS_TENSORBOARD, in_folder("file"), &scalars), SSLCV_ERR_IO,
          "Not a directory");
    FAILS(sslcv_scalars_open(context, SSLCV_SCALARS_TENSORBOARD, in_folder("file/b"), &scalars), SSLCV_ERR_IO,
          "Not a directory");
    FAILS(sslcv_scalars_open(context, SSLCV_SCALARS_TENSORBOARD, "/proc/no", &scalars), SSLCV_ERR_IO,
          "/proc/no/events");
    ck_assert_ptr_null(scalars);
    ck_assert_int_eq(count_files(), 2);
    sslcv_context_destroy(context);
}
END_TEST

/*
 * No file of this process may grow beyond so many bytes; what is written until there is written. Check writes files
 * too, so nothing may be asserted before the limit is gone.
 */
static int limit_files(rlim_t bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0) return -1;
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    return setrlimit(RLIMIT_FSIZE, &limit);
}

/* Lines that begin as ours do; no other may be there. */
static int count_lines(const char *path)
{
    size_t size;
    char *bytes = read_file(path, &size), *at = bytes;
    int count = 0;

    for (; *at; count++) {
        ck_assert_msg(strncmp(at, "{\"step\":", 8) == 0 && strchr(at, '\n') != NULL, "no line: %s", at);
        at = strchr(at, '\n') + 1;
    }
    free(bytes);
    return count;
}

START_TEST(full_disk)
{
    const int32_t format = _i;
    sslcv_context *context = make_context(NULL);
    const char *path = in_folder(format == SSLCV_SCALARS_JSON_LINES ? "a" : "runs/a");
    sslcv_scalars *scalars, *other = NULL;
    sslcv_status status = SSLCV_OK, again, opened;
    char message[256];
    int whole = 0, set, lifted;

    OK(sslcv_scalars_open(context, format, path, &scalars));
    if (format == SSLCV_SCALARS_TENSORBOARD) path = find_events();
    set = limit_files(200);
    while (status == SSLCV_OK && whole < 100) {
        status = sslcv_scalars_add(scalars, whole, "loss", 1.0);
        whole += status == SSLCV_OK;
    }
    again = sslcv_scalars_add(scalars, 5, "loss", 1.0);
    set += limit_files(20);
    opened = sslcv_scalars_open(context, SSLCV_SCALARS_TENSORBOARD, in_folder("runs/b"), &other);
    sslcv_last_error_copy(message, sizeof message);
    lifted = limit_files(RLIM_INFINITY);

    ck_assert(set == 0 && lifted == 0 && whole > 0 && whole < 100);
    ck_assert(status == SSLCV_ERR_IO && again == SSLCV_ERR_IO && opened == SSLCV_ERR_IO && !other);
    ck_assert_msg(strstr(message, "cannot write ") && strstr(message, "/runs/b/events.out"), "%s", message);
    ck_assert_int_eq(rmdir(in_folder("runs/b")), 0); /* nothing in it */
    OK(sslcv_scalars_add(scalars, 1000, "loss", 1.0));
    sslcv_scalars_destroy(scalars);
    if (format == SSLCV_SCALARS_TENSORBOARD) {
        ck_assert_int_eq(count_records(path), 1 + whole + 1);
        remove_events();
    } else {
        ck_assert_int_eq(count_lines(path), whole + 1);
    }
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(vanished)
{
    sslcv_context *context = make_context(NULL);
    sslcv_scalars *lines, *events;

    OK(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, in_folder("a"), &lines));
    OK(sslcv_scalars_open(context, SSLCV_SCALARS_TENSORBOARD, in_folder("runs/a"), &events));
    unlink(in_folder("a"));
    remove_events();
    FAILS(sslcv_scalars_add(lines, 0, "loss", 1.0), SSLCV_ERR_IO, "/a: it has been deleted");
    FAILS(sslcv_scalars_add(events, 0, "loss", 1.0), SSLCV_ERR_IO, "it has been deleted");
    sslcv_scalars_destroy(lines);
    sslcv_scalars_destroy(events);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(out_of_memory)
{
    const int32_t format = _i;
    host memory = {0};
    sslcv_context *context = make_context(&memory);
    const char *path = in_folder(format == SSLCV_SCALARS_JSON_LINES ? "a" : "runs/a");
    sslcv_scalars *scalars = NULL;

    RUN_OUT_OF_MEMORY(&memory, sslcv_scalars_open(context, format, path, &scalars));
    if (format == SSLCV_SCALARS_JSON_LINES) { /* the other has taken its memory when it was opened */
        RUN_OUT_OF_MEMORY(&memory, sslcv_scalars_add(scalars, 0, "loss", 1.0));
        lines_are(path, "{\"step\":0,\"loss\":1}\n");
    }
    sslcv_scalars_destroy(scalars);
    sslcv_context_destroy(context);
    ck_assert_int_eq(memory.out, 0);
    if (format == SSLCV_SCALARS_TENSORBOARD) remove_events(); /* one: failures have left none */
}
END_TEST

static void remove_all(void)
{
    rmdir(in_folder("runs"));
    remove_folder();
}

int main(void)
{
    Suite *suite = suite_create("scalars");
    TCase *formats = tcase_create("formats"), *failures = tcase_create("failures");

    tcase_add_checked_fixture(formats, make_folder, remove_all);
    tcase_add_test(formats, event_bytes);
    tcase_add_test(formats, event_files);
    tcase_add_test(formats, event_file_is_new);
    tcase_add_test(formats, json_lines);
    tcase_add_test(formats, numbers);
    tcase_add_test(formats, json_file);
    tcase_add_test(formats, json_after_open_line);
    suite_add_tcase(suite, formats);
    tcase_add_checked_fixture(failures, make_folder, remove_all);
    tcase_add_test(failures, arguments);
    tcase_add_test(failures, paths);
    tcase_add_loop_test(failures, full_disk, SSLCV_SCALARS_TENSORBOARD, SSLCV_SCALARS_JSON_LINES + 1);
    tcase_add_test(failures, vanished);
    tcase_add_loop_test(failures, out_of_memory, SSLCV_SCALARS_TENSORBOARD, SSLCV_SCALARS_JSON_LINES + 1);
    suite_add_tcase(suite, failures);
    return run_suite(suite);
}
