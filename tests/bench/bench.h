/** What the programs of this folder share: clock, memory of the process, command line, failing. */
#ifndef SSLCV__BENCH_H
#define SSLCV__BENCH_H

#include <sslcv/sslcv.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/** In a function with "sslcv_status status" and a label "end". */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

/** Seconds from some point in the past. */
static inline double bench_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/** Bytes of the process that are in memory now; 0 where the system does not tell. */
static inline int64_t bench_resident(void)
{
    long long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file) return 0;
    if (fscanf(file, "%lld %lld", &total, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (int64_t)sysconf(_SC_PAGESIZE);
}

/**
 * The most that has been in memory, in bytes. Not from getrusage(), whose figure begins with that of the process which
 * started this one.
 */
static inline int64_t bench_peak(void)
{
    long long kib = 0;
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");

    if (!file) return 0;
    while (fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %lld kB", &kib) != 1) continue;
    fclose(file);
    return kib * 1024;
}

static inline double bench_mib(int64_t bytes)
{
    return (double)bytes / 1048576.0;
}

static inline int bench_compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/** Sorts values. */
static inline double bench_median(double *values, int64_t count)
{
    qsort(values, (size_t)count, sizeof *values, bench_compare);
    return count % 2 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

/** One option of a command line: "--name VALUE", or "--name" alone where flag is set. */
typedef struct bench_option {
    const char *name, *meaning;
    const char **text; /* of the four, the one that is not NULL is set */
    int64_t *integer;
    double *real;
    int *flag;
} bench_option;

/** Prints usage, and ends the program with 2 on an option it does not know, 0 on --help. */
static inline void bench_usage(const char *program, const bench_option *options, int count, int status)
{
    FILE *out = status ? stderr : stdout;
    int i;

    fprintf(out, "usage: %s", program);
    for (i = 0; i < count; i++) fprintf(out, " [--%s%s]", options[i].name, options[i].flag ? "" : " X");
    fputc('\n', out);
    for (i = 0; i < count; i++) fprintf(out, "  --%-12s %s\n", options[i].name, options[i].meaning);
    exit(status);
}

static inline void bench_parse(int argc, char **argv, const bench_option *options, int count)
{
    int at, i;

    for (at = 1; at < argc; at++) {
        const char *name = argv[at];
        char *end = NULL;

        for (i = 0; i < count && (strncmp(name, "--", 2) != 0 || strcmp(name + 2, options[i].name) != 0); i++) continue;
        if (i == count) bench_usage(argv[0], options, count, strcmp(name, "--help") == 0 ? 0 : 2);
        if (options[i].flag) {
            *options[i].flag = 1;
            continue;
        }
        if (++at == argc) bench_usage(argv[0], options, count, 2);
        if (options[i].text) *options[i].text = argv[at];
        if (options[i].integer) *options[i].integer = strtoll(argv[at], &end, 10);
        if (options[i].real) *options[i].real = strtod(argv[at], &end);
        if (end && (end == argv[at] || *end)) {
            fprintf(stderr, "%s: --%s %s is not a number\n", argv[0], options[i].name, argv[at]);
            exit(2);
        }
    }
}

/** Exit status of a program; tells what went wrong. */
static inline int bench_finish(const char *program, sslcv_status status)
{
    if (status == SSLCV_OK) return 0;
    fprintf(stderr, "%s: %s: %s\n", program, sslcv_status_string(status), sslcv_last_error());
    return 1;
}

#endif
