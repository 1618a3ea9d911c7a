#include "faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILES = 1024, MAX_PATH = 256, MAX_NAMES = 64 };

const char *const fault_names[FAULT_CALLS] = {"open", "close",  "read", "write", "sync", "truncate", "rename",
                                              "link", "unlink", "stat", "chmod", "lock", "list"};
fault_plan fault = {.call = FAULT_NONE, .kill_at = -1};
int64_t fault_count[FAULT_CALLS];
char fault_trace[4096];

static int64_t killing; /* calls that count for kill_at */
static int interrupted[FAULT_CALLS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* What a power cut would take: bytes written and not synced, by descriptor. */
static struct open_file {
    char path[MAX_PATH]; /* "": not one of ours */
    int64_t synced;
    int copy; /* of the descriptor, for the power cut; -1: none */
    int dirty, folder;
} files[MAX_FILES];

/* Files that were closed dirty. */
static struct open_file left[MAX_NAMES];
static int num_left;

/* Names given or taken since the folder was last synced, with what stood there before under a name of its own. */
static struct {
    int call;
    char from[MAX_PATH], to[MAX_PATH], kept[MAX_PATH]; /* kept "": nothing stood at to */
} names[MAX_NAMES];
static int num_names;

int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
ssize_t __real_read(int fd, void *data, size_t size);
ssize_t __real_pread(int fd, void *data, size_t size, off_t offset);
ssize_t __real_write(int fd, const void *data, size_t size);
int __real_ftruncate(int fd, off_t size);
int __real_rename(const char *from, const char *to);
int __real_link(const char *from, const char *to);
int __real_unlink(const char *path);
int __real_stat(const char *path, struct stat *info);
int __real_lstat(const char *path, struct stat *info);
int __real_fstat(int fd, struct stat *info);
int __real_access(const char *path, int mode);
int __real_fchmod(int fd, mode_t mode);
int __real_flock(int fd, int operation);
DIR *__real_fdopendir(int fd);
int __real_closedir(DIR *folder);
struct dirent *__real_readdir(DIR *folder);

int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
ssize_t __wrap_read(int fd, void *data, size_t size);
ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_rename(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_stat(const char *path, struct stat *info);
int __wrap_lstat(const char *path, struct stat *info);
int __wrap_fstat(int fd, struct stat *info);
int __wrap_access(const char *path, int mode);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_flock(int fd, int operation);
DIR *__wrap_fdopendir(int fd);
int __wrap_closedir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder);

void fault_begin(const char *folder)
{
    fault_end();
    fault.folder = folder;
}

void fault_end(void)
{
    fault = (fault_plan){.call = FAULT_NONE, .kill_at = -1};
    memset(fault_count, 0, sizeof fault_count);
    memset(interrupted, 0, sizeof interrupted);
    fault_trace[0] = 0;
    killing = 0;
}

static int meant(const char *path)
{
    return fault.folder && strncmp(path, fault.folder, strlen(fault.folder)) == 0;
}

static const char *path_of(int fd)
{
    return fd >= 0 && fd < MAX_FILES && files[fd].path[0] && meant(files[fd].path) ? files[fd].path : NULL;
}

/* ---- the end ---- */

static void undo_names(void)
{
    while (num_names-- > 0) {
        if (names[num_names].call == FAULT_RENAME) __real_rename(names[num_names].to, names[num_names].from);
        if (names[num_names].call == FAULT_LINK) __real_unlink(names[num_names].to);
        if (names[num_names].kept[0]) __real_rename(names[num_names].kept, names[num_names].to);
    }
}

static void drop_bytes(const struct open_file *file)
{
    if (file->dirty && file->copy >= 0 && __real_ftruncate(file->copy, file->synced) != 0) abort();
}

static void end_process(int call)
{
    char text[64];
    const int length = snprintf(text, sizeof text, "dies in %s\n", fault_names[call]);
    int i;

    if (fault.farewell > 0 && pwrite(fault.farewell, text, (size_t)length, 2) != length) abort();
    for (i = 0; fault.power && i < MAX_FILES; i++) drop_bytes(&files[i]);
    for (i = 0; fault.power && i < num_left; i++) drop_bytes(&left[i]);
    if (fault.power > 1) undo_names();
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* ---- what becomes of a call ---- */

static void trace(int call, const char *path)
{
    const size_t used = strlen(fault_trace), folder = strlen(fault.folder);

    snprintf(fault_trace + used, sizeof fault_trace - used, "%s %s\n", fault_names[call],
             strlen(path) > folder ? path + folder + 1 : ".");
}

static int is_interruptible(int call)
{
    return call == FAULT_OPEN || call == FAULT_READ || call == FAULT_WRITE || call == FAULT_SYNC ||
           call == FAULT_TRUNCATE || call == FAULT_CLOSE;
}

static int counts_for_kill(int call)
{
    if (fault.kill_among == 2) return call == FAULT_SYNC || call == FAULT_LINK || call == FAULT_RENAME;
    return fault.kill_among == 0 || (call != FAULT_READ && call != FAULT_WRITE);
}

/* 0, or the error that the call shall give. *last: the process ends in this call. */
static int fate(int call, const char *path, int *last)
{
    int64_t nth;
    int error = 0;

    pthread_mutex_lock(&lock);
    nth = fault_count[call]++;
    trace(call, path);
    *last = 0;
    if (counts_for_kill(call)) *last = killing++ == fault.kill_at;
    if (call == fault.call && nth >= fault.at && nth - fault.at < fault.times) {
        error = fault.error;
    } else if (fault.interrupt && is_interruptible(call)) {
        interrupted[call] = !interrupted[call];
        if (interrupted[call]) error = EINTR;
    }
    pthread_mutex_unlock(&lock);
    if (fault.before) fault.before(call, nth, path);
    return error;
}

/* 0: go on. Else errno is set. */
static int fails(int call, const char *path)
{
    int last;
    const int error = fate(call, path, &last);

    if (last) end_process(call);
    if (error) errno = error;
    return error;
}

static size_t shortened(size_t size)
{
    return fault.most > 0 && size > (size_t)fault.most ? (size_t)fault.most : size;
}

/* ---- what a power cut needs to know ---- */

static void note_open(int fd, const char *path, int flags)
{
    struct stat info;

    if (fd < 0 || fd >= MAX_FILES) return;
    snprintf(files[fd].path, MAX_PATH, "%s", path);
    files[fd].dirty = 0;
    files[fd].copy = -1;
    files[fd].folder = __real_fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
    if (!fault.power || (flags & O_ACCMODE) == O_RDONLY) return;
    files[fd].synced = info.st_size;
    files[fd].copy = dup(fd);
}

static void note_close(int fd)
{
    if (files[fd].copy >= 0) {
        if (files[fd].dirty && num_left < MAX_NAMES) left[num_left++] = files[fd];
        if (!files[fd].dirty) __real_close(files[fd].copy);
    }
    files[fd].path[0] = 0;
    files[fd].dirty = 0;
    files[fd].copy = -1;
}

static void note_sync(int fd)
{
    struct stat info;

    if (files[fd].folder) {
        while (num_names > 0) {
            if (names[--num_names].kept[0]) __real_unlink(names[num_names].kept);
        }
    } else if (__real_fstat(fd, &info) == 0) {
        files[fd].synced = info.st_size;
        files[fd].dirty = 0;
    }
}

/* Before from becomes to, or to goes. */
static void note_name(int call, const char *from, const char *to)
{
    if (fault.power < 2 || num_names == MAX_NAMES) return;
    names[num_names].call = call;
    snprintf(names[num_names].from, MAX_PATH, "%s", from);
    snprintf(names[num_names].to, MAX_PATH, "%s", to);
    snprintf(names[num_names].kept, MAX_PATH, "%s-kept-%d", fault.folder, num_names);
    __real_unlink(names[num_names].kept);
    if (__real_link(to, names[num_names].kept) != 0) names[num_names].kept[0] = 0;
    num_names++;
}

/* ---- the calls ---- */

int __wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list arguments;
    int fd;

    va_start(arguments, flags);
    if (flags & O_CREAT) mode = (mode_t)va_arg(arguments, unsigned);
    va_end(arguments);
    if (!meant(path)) return __real_open(path, flags, mode);
    if (fails(FAULT_OPEN, path)) return -1;
    fd = __real_open(path, flags, mode);
    note_open(fd, path, flags);
    return fd;
}

/* The descriptor is gone, whatever it returns. */
int __wrap_close(int fd)
{
    const char *path = path_of(fd);
    int error;

    if (!path) return __real_close(fd);
    error = fails(FAULT_CLOSE, path);
    note_close(fd);
    __real_close(fd);
    errno = error;
    return error ? -1 : 0;
}

ssize_t __wrap_read(int fd, void *data, size_t size)
{
    const char *path = path_of(fd);

    if (!path) return __real_read(fd, data, size);
    return fails(FAULT_READ, path) ? -1 : __real_read(fd, data, shortened(size));
}

ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset)
{
    const char *path = path_of(fd);

    if (!path) return __real_pread(fd, data, size, offset);
    return fails(FAULT_READ, path) ? -1 : __real_pread(fd, data, shortened(size), offset);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    const char *path = path_of(fd);
    int error, last;

    if (!path) return __real_write(fd, data, size);
    error = fate(FAULT_WRITE, path, &last);
    files[fd].dirty = 1;
    if (last) {
        if (__real_write(fd, data, size / 2) < 0) abort();
        end_process(FAULT_WRITE);
    }
    errno = error;
    return error ? -1 : __real_write(fd, data, shortened(size));
}

int __wrap_fsync(int fd)
{
    const char *path = path_of(fd);

    if (path && fails(FAULT_SYNC, path)) return -1;
    if (path) note_sync(fd);
    return 0; /* a test has no use for the real one, which takes its time */
}

int __wrap_ftruncate(int fd, off_t size)
{
    const char *path = path_of(fd);

    return path && fails(FAULT_TRUNCATE, path) ? -1 : __real_ftruncate(fd, size);
}

int __wrap_rename(const char *from, const char *to)
{
    if (meant(to) && fails(FAULT_RENAME, to)) return -1;
    if (meant(to)) note_name(FAULT_RENAME, from, to);
    return __real_rename(from, to);
}

int __wrap_link(const char *from, const char *to)
{
    if (meant(to) && fails(FAULT_LINK, to)) return -1;
    if (meant(to)) note_name(FAULT_LINK, from, to);
    return __real_link(from, to);
}

int __wrap_unlink(const char *path)
{
    if (meant(path) && fails(FAULT_UNLINK, path)) return -1;
    if (meant(path)) note_name(FAULT_UNLINK, path, path);
    return __real_unlink(path);
}

int __wrap_stat(const char *path, struct stat *info)
{
    return meant(path) && fails(FAULT_STAT, path) ? -1 : __real_stat(path, info);
}

int __wrap_lstat(const char *path, struct stat *info)
{
    return meant(path) && fails(FAULT_STAT, path) ? -1 : __real_lstat(path, info);
}

int __wrap_fstat(int fd, struct stat *info)
{
    const char *path = path_of(fd);

    return path && fails(FAULT_STAT, path) ? -1 : __real_fstat(fd, info);
}

int __wrap_access(const char *path, int mode)
{
    return meant(path) && fails(FAULT_STAT, path) ? -1 : __real_access(path, mode);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    const char *path = path_of(fd);

    return path && fails(FAULT_CHMOD, path) ? -1 : __real_fchmod(fd, mode);
}

int __wrap_flock(int fd, int operation)
{
    const char *path = path_of(fd);

    return path && fails(FAULT_LOCK, path) ? -1 : __real_flock(fd, operation);
}

DIR *__wrap_fdopendir(int fd)
{
    const char *path = path_of(fd);

    return path && fails(FAULT_LIST, path) ? NULL : __real_fdopendir(fd);
}

/* Closes the descriptor of the open() before. */
int __wrap_closedir(DIR *folder)
{
    const int fd = dirfd(folder);

    if (path_of(fd)) note_close(fd);
    return __real_closedir(folder);
}

struct dirent *__wrap_readdir(DIR *folder)
{
    return fault.folder && fails(FAULT_LIST, fault.folder) ? NULL : __real_readdir(folder);
}
