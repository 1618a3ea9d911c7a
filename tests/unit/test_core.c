/* lib/core: errors, options, objects, memory, context. Random numbers and compute frames have suites of their own. */
#include "support.h"

#include "core/checked.h"
#include "core/context.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/object.h"
#include "core/options.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

/* An allocator of a host: counts what is out, and fails at call number fail_at. */
typedef struct host_memory {
    int64_t calls, fail_at, blocks, bytes;
    int bad_alignment, gone;
} host_memory;

static void *host_allocate(void *user, size_t bytes, size_t alignment)
{
    host_memory *host = user;
    void *memory;

    if (host->calls++ == host->fail_at) return NULL;
    memory = aligned_alloc(alignment, bytes);
    if (alignment != 64 || bytes % alignment != 0) host->bad_alignment = 1;
    host->blocks++;
    host->bytes += (int64_t)bytes;
    return memory;
}

static void host_deallocate(void *user, void *memory, size_t bytes)
{
    host_memory *host = user;

    host->blocks--;
    host->bytes -= (int64_t)bytes;
    free(memory);
}

static sslcv_status create_with(host_memory *host, sslcv_context **context)
{
    const sslcv_allocator allocator = {sizeof allocator, host, host_allocate, host_deallocate, NULL};
    sslcv_context_options options;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = 2;
    options.allocator = &allocator;
    return sslcv_context_create(&options, context);
}

static sslcv_context *context_of(int32_t threads)
{
    sslcv_context_options options;
    sslcv_context *context = NULL;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = threads;
    OK(sslcv_context_create(&options, &context));
    return context;
}

static int64_t held(const sslcv_context *context)
{
    sslcv_context_info info = {sizeof info, 0, 0, 0, 0, NULL, 0};

    OK(sslcv_context_get_info(context, &info));
    return info.bytes;
}

/* ---- version, status, errors ---- */

START_TEST(version_is_the_header_s)
{
    char text[32];

    ck_assert_int_eq(sslcv_version(), SSLCV_VERSION);
    ck_assert_int_eq(sslcv_version(), SSLCV_VERSION_MAJOR * 1000000 + SSLCV_VERSION_MINOR * 1000 + SSLCV_VERSION_PATCH);
    snprintf(text, sizeof text, "%d.%d.%d", SSLCV_VERSION_MAJOR, SSLCV_VERSION_MINOR, SSLCV_VERSION_PATCH);
    ck_assert_str_eq(sslcv_version_string(), text);
    ck_assert_ptr_nonnull(strstr(sslcv_build_info(), text));
    ck_assert_ptr_nonnull(strstr(sslcv_build_info(), "\nonednn="));
}
END_TEST

START_TEST(every_status_has_a_name)
{
    int32_t status;

    ck_assert_str_eq(sslcv_status_string(SSLCV_OK), "ok");
    for (status = SSLCV_ERR_NOT_FOUND; status <= SSLCV_OK; status++) {
        ck_assert_str_ne(sslcv_status_string(status), "unknown status");
    }
    ck_assert_str_eq(sslcv_status_string(1), "unknown status");
    ck_assert_str_eq(sslcv_status_string(SSLCV_ERR_NOT_FOUND - 1), "unknown status");
}
END_TEST

START_TEST(fail_keeps_status_and_message)
{
    ck_assert_str_eq(sslcv_last_error(), "");
    ck_assert_int_eq(sslcv__fail(SSLCV_ERR_LIMIT, "%d of %s", 3, "four"), SSLCV_ERR_LIMIT);
    ck_assert_str_eq(sslcv_last_error(), "3 of four");
    FAILS(sslcv__fail(SSLCV_ERR_FORMAT, "again: %s", sslcv_last_error()), SSLCV_ERR_FORMAT, "again: 3 of four");
    FAILS(sslcv__invalid("x is %d", -1), SSLCV_ERR_INVALID_ARGUMENT, "x is -1");
    FAILS(sslcv__null("loss"), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    FAILS(sslcv__io_error("open", "a/b", ENOENT), SSLCV_ERR_IO, "cannot open a/b: No such file");
    ck_assert_str_eq(sslcv_status_string(SSLCV_OK), "ok");
    ck_assert_ptr_nonnull(strstr(sslcv_last_error(), "a/b"));
}
END_TEST

/* A message of two-byte characters that is too long by any number of bytes is cut between characters. */
START_TEST(long_message_is_cut_at_a_character)
{
    char text[3000];
    size_t length, i, lead;

    for (lead = 0; lead < 2; lead++) {
        for (i = 0; i < lead; i++) text[i] = 'x';
        for (i = lead; i + 2 < sizeof text; i += 2) memcpy(text + i, "\xC3\xA9", 2);
        text[i] = 0;
        sslcv__fail(SSLCV_ERR_IO, "%s", text);
        length = strlen(sslcv_last_error());
        ck_assert_uint_ge(length, 1000);
        ck_assert_uint_eq((length - lead) % 2, 0);
        ck_assert_int_eq(memcmp(sslcv_last_error(), text, length), 0);
    }
}
END_TEST

/* Names in files are a stranger's. */
START_TEST(messages_are_one_line_of_text)
{
    static const char *const cases[][2] = {
        {"a\nb\r\tc\x1b[31m\x7f", "a?b??c?[31m?"},
        {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"},
        {"\xC2\x85 \xC2\xA0", "?? \xC2\xA0"},              /* U+0085 is a line end too */
        {"\xC3", "?"},                                     /* cut off */
        {"\xA9\xC3x \xC0\x80 \xED\xA0\x80", "??x ?? ???"}, /* alone; overlong; a surrogate */
        {"\xF4\x90\x80\x80\xFF", "?????"},                 /* beyond U+10FFFF */
    };
    char text[3000];
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sslcv__fail(SSLCV_ERR_FORMAT, "%s", cases[i][0]);
        ck_assert_str_eq(sslcv_last_error(), cases[i][1]);
    }
    memset(text, 0x80, sizeof text - 1);
    text[sizeof text - 1] = 0;
    sslcv__fail(SSLCV_ERR_FORMAT, "%s", text);
    ck_assert_uint_ge(strlen(sslcv_last_error()), 1000);
}
END_TEST

START_TEST(error_copy_asks_cuts_and_fills)
{
    char buffer[8];

    sslcv__fail(SSLCV_ERR_IO, "ab\xC3\xA9z");
    ck_assert_uint_eq(sslcv_last_error_copy(NULL, 0), 6);
    ck_assert_uint_eq(sslcv_last_error_copy(buffer, sizeof buffer), 6);
    ck_assert_str_eq(buffer, "ab\xC3\xA9z");
    memset(buffer, 'x', sizeof buffer);
    ck_assert_uint_eq(sslcv_last_error_copy(buffer, 4), 6); /* room for "ab" and half a character */
    ck_assert_str_eq(buffer, "ab");
    ck_assert_int_eq(buffer[4], 'x');
    ck_assert_uint_eq(sslcv_last_error_copy(buffer, 1), 6);
    ck_assert_str_eq(buffer, "");
    buffer[0] = 'x';
    sslcv_last_error_copy(buffer, 0);
    ck_assert_int_eq(buffer[0], 'x');
}
END_TEST

static void *fail_on_a_thread(void *seen)
{
    *(int *)seen = sslcv_last_error()[0] == 0;
    sslcv__invalid("of the other thread");
    return NULL;
}

START_TEST(each_thread_has_its_message)
{
    pthread_t thread;
    int starts_empty = 0;

    sslcv__invalid("of this thread");
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_on_a_thread, &starts_empty), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(starts_empty, 1);
    ck_assert_str_eq(sslcv_last_error(), "of this thread");
}
END_TEST

/* ---- sizes ---- */

START_TEST(sizes_are_checked)
{
    const int64_t fits[3] = {3, (int64_t)1 << 31, 1 << 30}, overflows[3] = {4, (int64_t)1 << 31, 1 << 30};
    const int64_t negative[2] = {2, -1};
    int64_t result = 7;

    ck_assert_int_eq(sslcv__add(INT64_MAX - 1, 1, &result), 1);
    ck_assert_int_eq(result, INT64_MAX);
    ck_assert_int_eq(sslcv__add(INT64_MAX, 1, &result), 0);
    ck_assert_int_eq(sslcv__add(-1, 1, &result), 0);
    ck_assert_int_eq(sslcv__multiply(INT64_MAX / 2, 3, &result), 0);
    ck_assert_int_eq(sslcv__multiply(1, -1, &result), 0);
    ck_assert_int_eq(sslcv__product(overflows, 3, &result), 0);
    ck_assert_int_eq(sslcv__product(negative, 2, &result), 0);
    ck_assert_int_eq(result, INT64_MAX); /* untouched by failures */
    ck_assert_int_eq(sslcv__multiply(0, INT64_MAX, &result), 1);
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(sslcv__product(fits, 3, &result), 1);
    ck_assert_int_eq(result, (int64_t)3 << 61);
    ck_assert_int_eq(sslcv__product(NULL, 0, &result), 1);
    ck_assert_int_eq(result, 1);
}
END_TEST

/* ---- options ---- */

typedef struct first_options { /* as version 0.1 had it */
    size_t struct_size;
    int64_t a;
} first_options;

typedef struct options_now {
    size_t struct_size;
    int64_t a, b;
} options_now;

typedef struct later_options {
    size_t struct_size;
    int64_t a, b, c;
} later_options;

static const options_now option_defaults = {sizeof(options_now), 10, 20};

static sslcv_status init_options(void *options, size_t size)
{
    return sslcv__options_init("x_options", options, size, sizeof(first_options), &option_defaults,
                               sizeof option_defaults);
}

static sslcv_status read_options(const void *options, options_now *copy)
{
    *copy = option_defaults;
    return sslcv__options_read("x_options", options, sizeof(first_options), copy, sizeof *copy);
}

START_TEST(init_writes_defaults_within_struct_size)
{
    later_options options;

    memset(&options, 0x55, sizeof options);
    OK(init_options(&options, sizeof(first_options)));
    ck_assert_uint_eq(options.struct_size, sizeof(first_options));
    ck_assert_int_eq(options.a, 10);
    ck_assert_int_eq(options.b, 0x5555555555555555);

    OK(init_options(&options, sizeof options));
    ck_assert_uint_eq(options.struct_size, sizeof options);
    ck_assert_int_eq(options.b, 20);
    ck_assert_int_eq(options.c, 0);

    FAILS(init_options(NULL, sizeof options), SSLCV_ERR_INVALID_ARGUMENT, "x_options is NULL");
    FAILS(init_options(&options, 15), SSLCV_ERR_INVALID_ARGUMENT, "x_options.struct_size is 15; must be at least 16");
    FAILS(init_options(&options, 20), SSLCV_ERR_INVALID_ARGUMENT, "is 20; must be a multiple of 8");
}
END_TEST

START_TEST(read_takes_older_and_newer_structs)
{
    first_options older = {sizeof older, 1};
    later_options newer = {sizeof newer, 2, 3, 0};
    options_now copy;

    OK(read_options(NULL, &copy));
    ck_assert_int_eq(copy.a, 10);
    OK(read_options(&older, &copy));
    ck_assert_uint_eq(copy.struct_size, sizeof copy);
    ck_assert_int_eq(copy.a, 1);
    ck_assert_int_eq(copy.b, 20);
    OK(read_options(&newer, &copy));
    ck_assert_int_eq(copy.a, 2);
    ck_assert_int_eq(copy.b, 3);

    newer.c = 1;
    FAILS(read_options(&newer, &copy), SSLCV_ERR_UNSUPPORTED, "32 bytes, of which this version knows 24");
    ck_assert_int_eq(copy.a, 10);
    older.struct_size = 0;
    FAILS(read_options(&older, &copy), SSLCV_ERR_INVALID_ARGUMENT, "struct_size is 0");
    newer.struct_size = offsetof(later_options, b) + 1; /* a byte of it only */
    FAILS(read_options(&newer, &copy), SSLCV_ERR_INVALID_ARGUMENT, "is 17; must be a multiple of 8");
}
END_TEST

START_TEST(fill_stays_within_the_caller_s_struct)
{
    const options_now full = {0, 1, 2};
    later_options out;

    memset(&out, 0x55, sizeof out);
    out.struct_size = sizeof(first_options);
    OK(sslcv__struct_fill("x_info", &out, sizeof(first_options), &full, sizeof full));
    ck_assert_int_eq(out.a, 1);
    ck_assert_int_eq(out.b, 0x5555555555555555);
    out.struct_size = sizeof out;
    OK(sslcv__struct_fill("x_info", &out, sizeof(first_options), &full, sizeof full));
    ck_assert_uint_eq(out.struct_size, sizeof out);
    ck_assert_int_eq(out.b, 2);
    ck_assert_int_eq(out.c, 0); /* a newer program sees what an older library does not know */

    out.struct_size = 8;
    FAILS(sslcv__struct_fill("x_info", &out, 16, &full, sizeof full), SSLCV_ERR_INVALID_ARGUMENT,
          "x_info.struct_size is 8");
    out.struct_size = 23;
    FAILS(sslcv__struct_check("x_info", &out, 16), SSLCV_ERR_INVALID_ARGUMENT, "x_info.struct_size is 23");
    FAILS(sslcv__struct_check("x_info", NULL, 16), SSLCV_ERR_INVALID_ARGUMENT, "x_info is NULL");
}
END_TEST

/* ---- memory ---- */

START_TEST(memory_is_aligned_and_counted)
{
    static const int64_t sizes[] = {0, 1, 63, 64, 65, 100000};
    host_memory host = {.fail_at = -1};
    sslcv_context *context = NULL;
    void *blocks[6];
    int i;

    OK(create_with(&host, &context));
    ck_assert_int_eq(held(context), 0);
    for (i = 0; i < 6; i++) {
        const int64_t before = held(context);

        OK(sslcv__alloc(context, sizes[i], &blocks[i]));
        ck_assert_uint_eq((uintptr_t)blocks[i] % 64, 0);
        ck_assert_int_ge(held(context) - before, sizes[i]);
        memset(blocks[i], 0x55, (size_t)sizes[i]);
    }
    for (i = 0; i < 6; i++) sslcv__free(context, blocks[i]);
    sslcv__free(context, NULL);
    ck_assert_int_eq(held(context), 0);
    sslcv_context_destroy(context);
    ck_assert_int_eq(host.blocks, 0);
    ck_assert_int_eq(host.bytes, 0);
    ck_assert_int_eq(host.bad_alignment, 0);
}
END_TEST

START_TEST(arrays_are_zeroed_and_grow)
{
    sslcv_context *context = context_of(1);
    int64_t *numbers = NULL;
    char *text = NULL;
    int i;

    OK(sslcv__grow_array(context, 0, 4, sizeof *numbers, (void **)&numbers));
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(numbers[i], 0);
        numbers[i] = i;
    }
    OK(sslcv__grow_array(context, 4, 100, sizeof *numbers, (void **)&numbers));
    for (i = 0; i < 100; i++) ck_assert_int_eq(numbers[i], i < 4 ? i : 0);
    sslcv__free(context, numbers);

    OK(sslcv__copy_text(context, "name", &text));
    ck_assert_str_eq(text, "name");
    sslcv__free(context, text);
    OK(sslcv__copy_text(context, NULL, &text));
    ck_assert_ptr_null(text);
    ck_assert_int_eq(held(context), 0);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(memory_that_cannot_be_is_refused)
{
    sslcv_context *context = context_of(1);
    int64_t *numbers = NULL;
    void *memory = &numbers;

    FAILS(sslcv__alloc(context, INT64_MAX, &memory), SSLCV_ERR_OUT_OF_MEMORY, "9223372036854775807 bytes asked for");
    ck_assert_ptr_null(memory);
    FAILS(sslcv__alloc(context, -1, &memory), SSLCV_ERR_OUT_OF_MEMORY, "out of memory");
    FAILS(sslcv__alloc_array(context, INT64_MAX / 4, 8, &memory), SSLCV_ERR_OUT_OF_MEMORY, "elements of 8 bytes");
    FAILS(sslcv__alloc_array(context, -1, 8, &memory), SSLCV_ERR_OUT_OF_MEMORY, "-1 elements");
    OK(sslcv__alloc_array(context, 2, sizeof *numbers, (void **)&numbers));
    memory = numbers;
    FAILS(sslcv__grow_array(context, 2, INT64_MAX / 4, 8, &memory), SSLCV_ERR_OUT_OF_MEMORY, "out of memory");
    ck_assert_ptr_eq(memory, numbers);
    sslcv__free(context, numbers);
    ck_assert_int_eq(held(context), 0);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- objects ---- */

typedef struct thing {
    sslcv__object object;
    void *memory;
    int *released;
} thing;

static void release_thing(void *self)
{
    thing *t = self;

    sslcv__free(t->object.context, t->memory);
    if (t->released) ++*t->released;
}

static sslcv_status create_thing(sslcv_context *context, int *released, thing **out)
{
    sslcv_status status;
    thing *t;

    SSLCV__TRY(sslcv__object_create(context, SSLCV__LOSS, sizeof *t, release_thing, &t));
    status = sslcv__alloc(context, 1000, &t->memory);
    if (status != SSLCV_OK) {
        sslcv__release(t);
        goto end;
    }
    t->released = released;
    *out = t;
end:
    return status;
}

START_TEST(objects_outlive_their_context_s_handle)
{
    host_memory host = {.fail_at = -1};
    sslcv_context *context = NULL;
    int released = 0;
    thing *t = NULL;

    OK(create_with(&host, &context));
    OK(create_thing(context, &released, &t));
    sslcv_context_destroy(context);
    ck_assert_int_eq(host.blocks, 3);

    OK(sslcv_retain(t)); /* a second owner */
    sslcv__destroy(t, SSLCV__LOSS);
    ck_assert_int_eq(released, 0);
    sslcv__destroy(t, SSLCV__HEAD); /* of another type: nothing happens */
    ck_assert_int_eq(released, 0);
    sslcv__destroy(t, SSLCV__LOSS);
    ck_assert_int_eq(released, 1);
    ck_assert_int_eq(host.blocks, 0);
    ck_assert_int_eq(host.bytes, 0);
    sslcv__destroy(NULL, SSLCV__LOSS);
    sslcv_context_destroy(NULL);
}
END_TEST

START_TEST(handles_are_checked)
{
    sslcv_context *context = context_of(1), *other = context_of(1);
    char text[64] = "no handle at all";
    thing *t = NULL;

    OK(create_thing(context, NULL, &t));
    OK(sslcv__check(t, SSLCV__LOSS, "loss"));
    FAILS(sslcv__check(NULL, SSLCV__LOSS, "loss"), SSLCV_ERR_INVALID_ARGUMENT, "loss is NULL");
    FAILS(sslcv__check(context, SSLCV__LOSS, "loss"), SSLCV_ERR_INVALID_ARGUMENT, "loss is not a live loss handle");
    FAILS(sslcv__check(t, SSLCV__CONTEXT, "context"), SSLCV_ERR_INVALID_ARGUMENT, "not a live context handle");
    FAILS(sslcv_context_cancel((sslcv_context *)t, 1), SSLCV_ERR_INVALID_ARGUMENT, "not a live context handle");
    OK(sslcv__check_context(t, context, "loss"));
    FAILS(sslcv__check_context(t, other, "loss"), SSLCV_ERR_INVALID_ARGUMENT, "loss comes from another context");
    FAILS(sslcv_retain(NULL), SSLCV_ERR_INVALID_ARGUMENT, "handle is NULL");
    FAILS(sslcv_retain(text), SSLCV_ERR_INVALID_ARGUMENT, "not a live handle");
    OK(sslcv_retain(context));
    sslcv_context_destroy(context);
    sslcv_context_destroy(context);
    sslcv_context_destroy(other);
    sslcv__release(t);
}
END_TEST

START_TEST(any_allocation_may_fail)
{
    host_memory host = {.fail_at = 0};
    sslcv_context *context = NULL;
    thing *t = NULL;

    FAILS(create_with(&host, &context), SSLCV_ERR_OUT_OF_MEMORY, "out of memory");
    ck_assert_ptr_null(context);
    ck_assert_int_eq(host.blocks, 0);

    for (host.fail_at = 1; host.fail_at <= 2; host.fail_at++) {
        host.calls = 0;
        OK(create_with(&host, &context));
        FAILS(create_thing(context, NULL, &t), SSLCV_ERR_OUT_OF_MEMORY, "out of memory");
        ck_assert_ptr_null(t);
        ck_assert_int_eq(held(context), 0);
        OK(create_thing(context, NULL, &t)); /* the context is usable after it */
        sslcv__release(t);
        t = NULL;
        sslcv_context_destroy(context);
        context = NULL;
        ck_assert_int_eq(host.blocks, 0);
    }
}
END_TEST

/* ---- context ---- */

START_TEST(context_defaults_and_info)
{
    sslcv_context_options options;
    sslcv_context_info info = {sizeof info, 0, 0, 0, 0, NULL, 0};
    sslcv_context *context = NULL;

    OK(sslcv_context_options_init(&options, sizeof options));
    ck_assert_int_eq(options.threads, 0);
    ck_assert_int_eq(options.loader_threads, -1);
    ck_assert_int_eq(options.precision, SSLCV_PRECISION_AUTO);
    ck_assert_int_eq(options.winograd, 1);
    ck_assert_uint_eq(options.seed, 0);
    ck_assert_ptr_null(options.allocator);
    ck_assert_int_eq(options.log_level, SSLCV_LOG_INFO);
    OK(sslcv_context_create(NULL, &context));
    OK(sslcv_context_get_info(context, &info));
    ck_assert_int_ge(info.threads, 1);
    ck_assert_int_eq(info.loader_threads, info.threads);
    /* AUTO goes by the processor. */
    ck_assert_int_eq(info.precision,
                     strstr(info.cpu, "bf16") || strstr(info.cpu, "amx") ? SSLCV_PRECISION_BF16 : SSLCV_PRECISION_F32);
    ck_assert_int_eq(info.cancelled, 0);
    ck_assert_int_eq(info.bytes, 0);
    ck_assert_uint_gt(strlen(info.cpu), 0);
    info.struct_size = 8;
    FAILS(sslcv_context_get_info(context, &info), SSLCV_ERR_INVALID_ARGUMENT, "context_info.struct_size is 8");
    FAILS(sslcv_context_get_info(context, NULL), SSLCV_ERR_INVALID_ARGUMENT, "context_info is NULL");
    FAILS(sslcv_context_get_info(NULL, &info), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_context_create(NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    sslcv_context_destroy(context);
}
END_TEST

/* Each row spoils one field. */
static const struct bad_option {
    size_t offset;
    int32_t value;
    sslcv_status status;
    const char *message;
} bad_options[] = {
    {offsetof(sslcv_context_options, threads), -1, SSLCV_ERR_INVALID_ARGUMENT, "context.threads is -1; must be 0 .."},
    {offsetof(sslcv_context_options, threads), 5000, SSLCV_ERR_INVALID_ARGUMENT, "context.threads is 5000"},
    {offsetof(sslcv_context_options, loader_threads), -2, SSLCV_ERR_INVALID_ARGUMENT, "context.loader_threads is -2"},
    {offsetof(sslcv_context_options, precision), 7, SSLCV_ERR_INVALID_ARGUMENT, "context.precision is 7"},
    {offsetof(sslcv_context_options, winograd), 2, SSLCV_ERR_INVALID_ARGUMENT, "context.winograd is 2; must be 0 or 1"},
    {offsetof(sslcv_context_options, log_level), 0, SSLCV_ERR_INVALID_ARGUMENT, "context.log_level is 0"},
    {offsetof(sslcv_context_options, reserved), 1, SSLCV_ERR_UNSUPPORTED, "context.reserved is not 0"},
};

START_TEST(context_refuses_bad_options)
{
    const struct bad_option *bad = &bad_options[_i];
    sslcv_context_options options;
    sslcv_context *context = NULL;

    OK(sslcv_context_options_init(&options, sizeof options));
    memcpy((char *)&options + bad->offset, &bad->value, sizeof bad->value);
    FAILS(sslcv_context_create(&options, &context), bad->status, bad->message);
    ck_assert_ptr_null(context);
}
END_TEST

START_TEST(context_refuses_bad_allocators)
{
    host_memory host = {.fail_at = -1};
    sslcv_allocator allocator = {8, &host, host_allocate, host_deallocate, NULL};
    sslcv_context_options options;
    sslcv_context *context = NULL;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.allocator = &allocator;
    FAILS(sslcv_context_create(&options, &context), SSLCV_ERR_INVALID_ARGUMENT, "allocator.struct_size is 8");
    allocator.struct_size = sizeof allocator;
    allocator.deallocate = NULL;
    FAILS(sslcv_context_create(&options, &context), SSLCV_ERR_INVALID_ARGUMENT, "allocator has a NULL function");
    ck_assert_int_eq(host.calls, 0);
    ck_assert_ptr_null(context);
}
END_TEST

static void host_gone(void *user)
{
    host_memory *host = user;

    ck_assert_int_eq(host->blocks, 0); /* behind the last deallocate */
    host->gone++;
}

START_TEST(allocator_s_destroy_is_called_last)
{
    host_memory host = {.fail_at = 0};
    sslcv_allocator allocator = {sizeof allocator, &host, host_allocate, host_deallocate, host_gone};
    sslcv_context_options options;
    sslcv_context *context = NULL;
    thing *t = NULL;
    int released = 0;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.allocator = &allocator;
    FAILS(sslcv_context_create(&options, &context), SSLCV_ERR_OUT_OF_MEMORY, "out of memory");
    allocator.struct_size += 4;
    FAILS(sslcv_context_create(&options, &context), SSLCV_ERR_INVALID_ARGUMENT, "must be a multiple of 8");
    allocator.struct_size -= 4;
    ck_assert_int_eq(host.gone, 0);
    OK(sslcv_context_create(&options, &context));
    OK(create_thing(context, &released, &t));
    memset(&allocator, 0, sizeof allocator); /* it was copied */
    sslcv_context_destroy(context);
    ck_assert_int_eq(host.gone, 0);
    sslcv__destroy(t, SSLCV__LOSS);
    ck_assert_int_eq(host.gone, 1);
}
END_TEST

START_TEST(cancel_is_sticky)
{
    sslcv_context *context = context_of(1);

    OK(sslcv__context_check_cancel(context));
    OK(sslcv_context_cancel(context, 1));
    FAILS(sslcv__context_check_cancel(context), SSLCV_ERR_CANCELLED, "cancelled by sslcv_context_cancel()");
    FAILS(sslcv__context_check_cancel(context), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(context, 0));
    OK(sslcv__context_check_cancel(context));
    FAILS(sslcv_context_cancel(NULL, 1), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(seeds_are_drawn_in_order)
{
    sslcv_context_options options;
    sslcv_context *a = NULL, *b = NULL;
    uint64_t first;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.seed = 42;
    OK(sslcv_context_create(&options, &a));
    OK(sslcv_context_create(&options, &b));
    first = sslcv__context_seed(a, 0);
    ck_assert_uint_ne(first, 0);
    ck_assert_uint_eq(sslcv__context_seed(b, 0), first);
    ck_assert_uint_eq(sslcv__context_seed(b, 7), 7); /* one's own draws nothing */
    ck_assert_uint_eq(sslcv__context_seed(a, 0), sslcv__context_seed(b, 0));
    ck_assert_uint_ne(sslcv__context_seed(a, 0), first);
    sslcv_context_destroy(a);
    sslcv_context_destroy(b);
}
END_TEST

typedef struct log_lines {
    int32_t count, level;
    char text[2000];
} log_lines;

static void keep_line(void *user, int32_t level, const char *text)
{
    log_lines *lines = user;

    lines->count++;
    lines->level = level;
    snprintf(lines->text, sizeof lines->text, "%s", text);
}

START_TEST(log_obeys_its_level)
{
    char longer[3000];
    log_lines lines = {0, 0, ""};
    sslcv_context_options options;
    sslcv_context *context = NULL, *silent = context_of(1);

    OK(sslcv_context_options_init(&options, sizeof options));
    options.log = keep_line;
    options.log_user = &lines;
    options.log_level = SSLCV_LOG_WARNING;
    OK(sslcv_context_create(&options, &context));
    sslcv__log(context, SSLCV_LOG_INFO, "too low");
    ck_assert_int_eq(lines.count, 0);
    sslcv__log(context, SSLCV_LOG_WARNING, "%d files", 3);
    ck_assert_int_eq(lines.count, 1);
    ck_assert_int_eq(lines.level, SSLCV_LOG_WARNING);
    ck_assert_str_eq(lines.text, "3 files");
    sslcv__log(context, SSLCV_LOG_WARNING, "a\nb\x1b");
    ck_assert_str_eq(lines.text, "a?b?");
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    sslcv__log(context, SSLCV_LOG_ERROR, "%s", longer);
    ck_assert_int_eq(lines.count, 3);
    ck_assert_uint_lt(strlen(lines.text), 1024);
    sslcv__log(silent, SSLCV_LOG_ERROR, "to nobody");
    sslcv_context_destroy(context);
    sslcv_context_destroy(silent);
}
END_TEST

static void let_go(void *user)
{
    (*(int *)user)++;
}

START_TEST(log_destroy_follows_the_last_handle)
{
    int calls = 0, released = 0;
    sslcv_context_options options;
    sslcv_context *context = NULL;
    thing *t = NULL;

    OK(sslcv_context_options_init(&options, sizeof options));
    ck_assert_ptr_null((void *)(uintptr_t)options.log_destroy);
    options.log_user = &calls;
    options.log_destroy = let_go;
    options.threads = -1;
    ck_assert_int_eq(sslcv_context_create(&options, &context), SSLCV_ERR_INVALID_ARGUMENT);
    options.threads = 1;
    options.tuning_path = "/";
    ck_assert_int_ne(sslcv_context_create(&options, &context), SSLCV_OK);
    ck_assert_int_eq(calls, 0);
    options.tuning_path = NULL;
    OK(sslcv_context_create(&options, &context));
    OK(create_thing(context, &released, &t));
    sslcv_context_destroy(context);
    ck_assert_int_eq(calls, 0);
    sslcv__destroy(t, SSLCV__LOSS);
    ck_assert_int_eq(calls, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core");
    TCase *errors = tcase_create("errors");
    TCase *options = tcase_create("options");
    TCase *memory = tcase_create("memory");
    TCase *objects = tcase_create("objects");
    TCase *context = tcase_create("context");

    tcase_add_test(errors, version_is_the_header_s);
    tcase_add_test(errors, every_status_has_a_name);
    tcase_add_test(errors, fail_keeps_status_and_message);
    tcase_add_test(errors, long_message_is_cut_at_a_character);
    tcase_add_test(errors, messages_are_one_line_of_text);
    tcase_add_test(errors, error_copy_asks_cuts_and_fills);
    tcase_add_test(errors, each_thread_has_its_message);
    suite_add_tcase(suite, errors);
    tcase_add_test(options, sizes_are_checked);
    tcase_add_test(options, init_writes_defaults_within_struct_size);
    tcase_add_test(options, read_takes_older_and_newer_structs);
    tcase_add_test(options, fill_stays_within_the_caller_s_struct);
    suite_add_tcase(suite, options);
    tcase_add_test(memory, memory_is_aligned_and_counted);
    tcase_add_test(memory, arrays_are_zeroed_and_grow);
    tcase_add_test(memory, memory_that_cannot_be_is_refused);
    suite_add_tcase(suite, memory);
    tcase_add_test(objects, objects_outlive_their_context_s_handle);
    tcase_add_test(objects, handles_are_checked);
    tcase_add_test(objects, any_allocation_may_fail);
    suite_add_tcase(suite, objects);
    tcase_add_test(context, context_defaults_and_info);
    tcase_add_loop_test(context, context_refuses_bad_options, 0, sizeof bad_options / sizeof bad_options[0]);
    tcase_add_test(context, context_refuses_bad_allocators);
    tcase_add_test(context, allocator_s_destroy_is_called_last);
    tcase_add_test(context, cancel_is_sticky);
    tcase_add_test(context, seeds_are_drawn_in_order);
    tcase_add_test(context, log_obeys_its_level);
    tcase_add_test(context, log_destroy_follows_the_last_handle);
    suite_add_tcase(suite, context);
    return run_suite(suite);
}
