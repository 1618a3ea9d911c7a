/** What the suites about files and states share: a folder of their own, whole files, an allocator that fails. */
#ifndef SSLCV__TESTS_FILE_SUPPORT_H
#define SSLCV__TESTS_FILE_SUPPORT_H

#include "memory_support.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- memory that runs out ---- */

/** A context of two threads; memory: NULL, or where it allocates, which is told at which call to fail once. */
static inline sslcv_context *make_context(host *memory)
{
    if (memory) {
        memory->fail_at = -1;
        memory->once = 1;
    }
    return new_context(memory, 2);
}

/** Run "call" with each allocation failing in turn until it succeeds; nothing may be left behind by those that fail. */
#define RUN_OUT_OF_MEMORY(memory, call)                                                                                \
    do {                                                                                                               \
        sslcv_status oom_status = SSLCV_ERR_OUT_OF_MEMORY;                                                             \
        int64_t oom_n;                                                                                                 \
        for (oom_n = 0; oom_status != SSLCV_OK; oom_n++) {                                                             \
            const int64_t oom_blocks = (memory)->out;                                                                  \
            ck_assert_int_lt(oom_n, 2000);                                                                             \
            (memory)->calls = 0;                                                                                       \
            (memory)->fail_at = oom_n;                                                                                 \
            oom_status = (call);                                                                                       \
            (memory)->fail_at = -1;                                                                                    \
            if (oom_status == SSLCV_OK) break;                                                                         \
            ck_assert_msg(oom_status == SSLCV_ERR_OUT_OF_MEMORY, "%s: allocation %d fails, and it gives %s (%s)",      \
                          #call, (int)oom_n, sslcv_status_string(oom_status), sslcv_last_error());                     \
            ck_assert_msg((memory)->out == oom_blocks, "%s: allocation %d fails, and %d blocks leak", #call,           \
                          (int)oom_n, (int)((memory)->out - oom_blocks));                                              \
        }                                                                                                              \
        ck_assert_int_gt(oom_n, 0);                                                                                    \
    } while (0)

/* ---- a folder for the test that runs ---- */

static char test_folder[64];

static inline void make_folder(void)
{
    strcpy(test_folder, "/tmp/sslcv-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(test_folder));
}

static inline void remove_folder(void)
{
    DIR *folder = opendir(test_folder);
    const struct dirent *entry;
    char path[512];

    ck_assert_ptr_nonnull(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", test_folder, entry->d_name);
        if (unlink(path) != 0) rmdir(path);
    }
    closedir(folder);
    rmdir(test_folder);
}

/** Files in the folder: leftovers are found by counting. */
static inline int count_files(void)
{
    DIR *folder = opendir(test_folder);
    const struct dirent *entry;
    int count = 0;

    ck_assert_ptr_nonnull(folder);
    while ((entry = readdir(folder)) != NULL) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/** A path in the folder; one of 32 buffers in turn. */
static inline const char *in_folder(const char *name)
{
    static char paths[32][256];
    static int next;
    char *path = paths[next++ % 32];

    snprintf(path, sizeof paths[0], "%s/%s", test_folder, name);
    return path;
}

static inline void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

/** The whole file in memory of malloc, with a 0 behind it. */
static inline char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(1 << 20);

    ck_assert_msg(file != NULL, "%s is not there", path);
    ck_assert_ptr_nonnull(bytes);
    *size = fread(bytes, 1, (1 << 20) - 1, file);
    bytes[*size] = 0;
    fclose(file);
    return bytes;
}

static inline void file_has(const char *path, const char *text)
{
    size_t size;
    char *bytes = read_file(path, &size);

    ck_assert_str_eq(bytes, text);
    free(bytes);
}

#endif
