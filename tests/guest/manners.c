/*
 * A host that looks at itself before the library works, while it does, and after: what belongs to the host must be as
 * it was. Linked with the shared library as programs are.
 *
 *     manners FOLDER [closed]
 *
 * closed: descriptors 0, 1 and 2 are closed, and must be free again afterwards, and never the library's. A comma locale
 * is used where LOCPATH and LC_ALL give one. Says nothing itself: its findings go to FOLDER/report, so that whatever is
 * written to its standard output is the library's. Exit 1: there are findings.
 */
#define _GNU_SOURCE
#include "work.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <math.h>
#include <omp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

enum { TEXT = 1 << 16, HOST_THREADS = 3 };

extern char **environ;

static char report[TEXT];
static const char *work_folder;
static int standard_closed, failures;

static void __attribute__((format(printf, 1, 2))) found(const char *format, ...)
{
    size_t length = strlen(report);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(report + length, sizeof report - length, format, arguments);
    va_end(arguments);
    length = strlen(report);
    snprintf(report + length, sizeof report - length, "\n");
    failures++;
}

/* ---- what belongs to the host, as text: "NAME: VALUE" lines ---- */

static char *put(char *at, const char *end, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(at, (size_t)(end - at), format, arguments);
    va_end(arguments);
    return at + strlen(at);
}

static unsigned control_register(void)
{
#if defined(__SSE2__)
    return _mm_getcsr() & ~0x3Fu; /* without the sticky exceptions */
#else
    return 0;
#endif
}

static char *put_signals(char *at, const char *end)
{
    struct sigaction action;
    sigset_t mask, pending;
    struct itimerval timer;
    stack_t stack;
    int i;

    sigprocmask(SIG_SETMASK, NULL, &mask);
    sigpending(&pending);
    for (i = 1; i < NSIG; i++) {
        if (sigaction(i, NULL, &action) != 0) continue;
        at = put(at, end, "signal %d: %p %x mask %d pending %d\n", i, (void *)action.sa_handler,
                 (unsigned)action.sa_flags, sigismember(&mask, i), sigismember(&pending, i));
    }
    sigaltstack(NULL, &stack);
    at = put(at, end, "signal stack: %p %d\n", stack.ss_sp, stack.ss_flags);
    for (i = ITIMER_REAL; i <= ITIMER_PROF; i++) {
        getitimer((__itimer_which_t)i, &timer);
        at = put(at, end, "timer %d: %ld\n", i, (long)timer.it_value.tv_sec);
    }
    return at;
}

static char *put_process(char *at, const char *end)
{
    char folder[1024] = "";
    const mode_t mask = umask(0);
    struct rlimit limit;
    char **variable;
    int i;

    umask(mask);
    at = put(at, end, "umask: %o\n", (unsigned)mask);
    if (getcwd(folder, sizeof folder)) at = put(at, end, "folder: %s\n", folder);
    at = put(at, end, "locale: %s, point %s\n", setlocale(LC_ALL, NULL), localeconv()->decimal_point);
    at = put(at, end, "thread's locale: %p\n", (void *)uselocale((locale_t)0));
    at = put(at, end, "nice: %d\n", getpriority(PRIO_PROCESS, 0));
    for (i = 0; i < RLIMIT_NLIMITS; i++) {
        if (getrlimit((__rlimit_resource_t)i, &limit) == 0)
            at = put(at, end, "limit %d: %ld\n", i, (long)limit.rlim_cur);
    }
    at = put(at, end, "environment: %p\n", (void *)environ);
    for (variable = environ; *variable; variable++) at = put(at, end, "%p %.60s\n", (void *)*variable, *variable);
    return at;
}

static char *put_thread(char *at, const char *end)
{
    cpu_set_t cpus;
    omp_sched_t kind;
    int i, chunk;

    CPU_ZERO(&cpus);
    sched_getaffinity(0, sizeof cpus, &cpus);
    at = put(at, end, "processors:");
    for (i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &cpus)) at = put(at, end, " %d", i);
    }
    omp_get_schedule(&kind, &chunk);
    at = put(at, end, "\nscheduling: %d\n", sched_getscheduler(0));
    at = put(at, end, "OpenMP: %d threads, dynamic %d, levels %d, schedule %d %d, device %d\n", omp_get_max_threads(),
             omp_get_dynamic(), omp_get_max_active_levels(), (int)kind, chunk, omp_get_default_device());
    return put(at, end, "rounding: %d, control register %x\n", fegetround(), control_register());
}

static void describe(char text[TEXT])
{
    char *at = text;

    text[0] = 0;
    at = put_signals(at, text + TEXT);
    at = put_process(at, text + TEXT);
    put_thread(at, text + TEXT);
}

/* The first line that differs is told. */
static void compare(const char *what, const char *before, const char *after)
{
    while (*before && *after) {
        const size_t a = strcspn(before, "\n"), b = strcspn(after, "\n");

        if (a != b || strncmp(before, after, a) != 0) {
            found("%s: \"%.*s\" has become \"%.*s\"", what, (int)a, before, (int)b, after);
            return;
        }
        before += a + (before[a] != 0);
        after += b + (after[b] != 0);
    }
    if (*before || *after) found("%s: lines more or less", what);
}

/* ---- threads and descriptors ---- */

static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *entry;
    int count = 0;

    while ((entry = readdir(tasks)) != NULL) count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

static void describe_descriptors(char text[TEXT])
{
    char *at = text, link[64], target[512];
    int fd;

    text[0] = 0;
    for (fd = 0; fd < 256; fd++) {
        ssize_t length;

        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        length = readlink(link, target, sizeof target - 1);
        if (length < 0) continue;
        target[length] = 0;
        at = put(at, text + TEXT, "descriptor %d: %s\n", fd, target);
    }
}

/* Descriptors of files in the folder are the library's: above the standard ones, and closed in a program that the host
   starts. */
static void look_at_descriptors(void)
{
    char link[64], target[512];
    int fd;

    for (fd = 0; fd < 256; fd++) {
        ssize_t length;

        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        length = readlink(link, target, sizeof target - 1);
        if (length < 0) continue;
        target[length] = 0;
        if (strncmp(target, work_folder, strlen(work_folder)) != 0) continue;
        if (fd <= 2) found("%s is open as descriptor %d", target, fd);
        if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC)) found("%s would be open in programs that the host starts", target);
    }
}

/* Every thread but this one and OpenMP's blocks all signals, so that the host's handlers never run there. */
static void look_at_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *entry;
    int blocking = 0;

    while ((entry = readdir(tasks)) != NULL) {
        char path[600], line[256];
        FILE *status;

        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        status = fopen(path, "r");
        while (status && fgets(line, sizeof line, status)) {
            unsigned long long mask;

            if (sscanf(line, "SigBlk: %llx", &mask) == 1) blocking += (mask & 1u << (SIGTERM - 1)) != 0;
        }
        if (status) fclose(status);
    }
    closedir(tasks);
    if (blocking != 2) found("2 loader threads must block signals, %d do", blocking);
}

static void during(void)
{
    look_at_descriptors();
    look_at_threads();
}

static void after_step(void)
{
    look_at_descriptors();
}

/* In "closed": calls that use a file come here first. Whatever number a file of the library gets, for however short a
   time, it must not be used under that of a standard descriptor. */
static _Atomic int standard_used;

static void look_at_use(int fd)
{
    char link[32], target[512];
    ssize_t length;

    if (!standard_closed || fd < 0 || fd > 2) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, target, sizeof target - 1);
    if (length < 0) return;
    target[length] = 0;
    if (strncmp(target, work_folder, strlen(work_folder)) == 0) standard_used = 1 + fd;
}

ssize_t read(int fd, void *bytes, size_t size)
{
    look_at_use(fd);
    return syscall(SYS_read, fd, bytes, size);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    look_at_use(fd);
    return syscall(SYS_pread64, fd, bytes, size, offset);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    look_at_use(fd);
    return syscall(SYS_write, fd, bytes, size);
}

int fsync(int fd)
{
    look_at_use(fd);
    return (int)syscall(SYS_fsync, fd);
}

/* Reads the folder itself, so that it can say what it was given. */
DIR *fdopendir(int fd)
{
    DIR *(*const next)(int) = (DIR * (*)(int)) dlsym(RTLD_NEXT, "fdopendir");

    look_at_use(fd);
    return next(fd);
}

/* ---- the host's OpenMP pool ---- */

#if defined(__SSE2__)
/* The host's threads, each with flags of its own. */
static void set_pool_flags(void)
{
#pragma omp parallel num_threads(HOST_THREADS)
    _mm_setcsr((_mm_getcsr() & ~0x8040u) | (omp_get_thread_num() % 2 ? 0x8040u : 0u));
}

static void look_at_pool_flags(void)
{
    unsigned flags[HOST_THREADS];
    int i;

#pragma omp parallel num_threads(HOST_THREADS)
    flags[omp_get_thread_num()] = _mm_getcsr() & 0x8040u;
    for (i = 0; i < HOST_THREADS; i++) {
        if (flags[i] != (i % 2 ? 0x8040u : 0u)) found("thread %d of the host's pool has other denormal flags", i);
    }
}
#else
static void set_pool_flags(void)
{
}

static void look_at_pool_flags(void)
{
}
#endif

static void work(const char *what, const guest_options *options, float values[GUEST_VALUES])
{
    static char before[TEXT], after[TEXT], open_before[TEXT], open_after[TEXT];

    describe(before);
    describe_descriptors(open_before);
    errno = EXDEV;
    if (guest_work(options, values) != 0) found("%s: %s", what, guest_error());
    describe(after);
    describe_descriptors(open_after);
    compare(what, before, after);
    compare(what, open_before, open_after);
}

/* ---- settings of a host that are not the usual ones ---- */

static void same_values(const char *what, const float *a, const float *b)
{
    int i;

    for (i = 0; i < GUEST_VALUES; i++) {
        if (!isfinite(a[i])) found("%s: value %d is not finite", what, i);
    }
    if (memcmp(a, b, GUEST_VALUES * sizeof *a) != 0) found("%s: other results", what);
}

static void unusual_floating_point(const guest_options *options, const float *expected)
{
    float values[GUEST_VALUES];

#if defined(__SSE2__)
    const unsigned usual = _mm_getcsr();

    _mm_setcsr(usual | 0x8040);
    work("denormals flushed by the host", options, values);
    same_values("denormals flushed by the host", values, expected);
    _mm_setcsr(usual);
#endif
    fesetround(FE_UPWARD);
    work("rounding upward", options, values);
    fesetround(FE_TONEAREST);
    (void)expected;
}

/* In a parallel region of the host: refused with two threads, where oneDNN would wait for ever; with one it works. */
static void work_inside(const guest_options *options)
{
    guest_options one = *options;
    float values[GUEST_VALUES];

    if (guest_work(options, values) == 0 || !strstr(guest_error(), "inside of an OpenMP parallel region")) {
        found("inside of the host's parallel region: %s", guest_error());
    }
    one.threads = 1;
    one.during = NULL;
    work("inside of the host's parallel region", &one, values);
}

static void unusual_openmp(const guest_options *options, const float *expected)
{
    float values[GUEST_VALUES];

    omp_set_num_threads(HOST_THREADS);
    omp_set_dynamic(1);
    omp_set_schedule(omp_sched_guided, 5);
    work("the host's OpenMP settings", options, values);
    same_values("the host's OpenMP settings", values, expected);
    omp_set_dynamic(0);
#pragma omp parallel num_threads(HOST_THREADS)
#pragma omp single
    work_inside(options);
    set_pool_flags();
    work("the host's OpenMP pool", options, values);
    same_values("the host's OpenMP pool", values, expected);
}

/* No more rights than the mask leaves, and no less. */
static void look_at_rights(void)
{
    static const char *const names[] = {"checkpoint.safetensors", "network.npz", "scalars.jsonl", "tuning"};
    char path[600];
    struct stat info;
    unsigned i;

    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", work_folder, names[i]);
        if (stat(path, &info) != 0) {
            found("%s is not there", path);
        } else if ((info.st_mode & 0777) != 0640) {
            found("%s has the rights %o; must be 640", path, (unsigned)info.st_mode & 0777);
        }
    }
}

static void look_at_numbers(void)
{
    char path[600], line[4096] = "";
    FILE *file;

    snprintf(path, sizeof path, "%s/scalars.jsonl", work_folder);
    file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file)) found("%s cannot be read", path);
    if (file) fclose(file);
    if (!strstr(line, "\"half\":0.5}")) found("numbers have no points: %s", line);
}

static void leave_now(int signal)
{
    (void)signal;
    _exit(9);
}

static void write_report(void)
{
    char path[600];
    int fd, length = (int)strlen(report);

    snprintf(path, sizeof path, "%s/report", work_folder);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, report, (size_t)length) != length) _exit(8);
    close(fd);
}

int main(int argc, char **argv)
{
    float values[GUEST_VALUES] = {0}, again[GUEST_VALUES] = {0};
    guest_options options = {2, 2, NULL, NULL, NULL};
    int threads, fd;

    if (argc < 2) return 2;
    options.folder = work_folder = argv[1];
    options.during = during;
    options.after_step = after_step;
    standard_closed = argc > 2 && strcmp(argv[2], "closed") == 0;
    for (fd = 0; standard_closed && fd <= 2; fd++) close(fd);
    umask(027);
    signal(SIGUSR1, leave_now);
    setlocale(LC_ALL, "");
    if (standard_closed) {
        work("closed", &options, values);
        if (standard_used) found("a file was used as descriptor %d", standard_used - 1);
        for (fd = 0; fd <= 2; fd++) {
            if (fcntl(fd, F_GETFD) >= 0) found("descriptor %d is open at the end", fd);
        }
        write_report();
        return failures > 0;
    }
    work("first", &options, values);
    look_at_rights();
    look_at_numbers();
    threads = count_threads(); /* this one, and OpenMP's pool of two */
    if (threads > 2) found("%d threads are left, beside OpenMP's and this one", threads - 2);
    work("second", &options, again);
    same_values("second", again, values);
    if (count_threads() != threads) found("%d threads have become %d", threads, count_threads());
    unusual_floating_point(&options, values);
    unusual_openmp(&options, values);
    look_at_pool_flags();
    write_report();
    return failures > 0;
}
