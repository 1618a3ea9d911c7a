/*
 * Does a process that lives long grow? Cycles of everything, in one process: every recipe in turn, three crop sizes,
 * changing batches, contexts and all kinds of handles made and destroyed, states saved and loaded, features embedded,
 * probes fitted, calls that fail.
 *
 *     soak [--seconds 3600] [--threads 1] [--leak memory,handle,descriptor,thread]
 *
 * Sixty readings, each between two cycles, when everything but one context is destroyed. It exits with 1
 *
 *  - when resident memory grows by more than 2 MiB over the second half of the run, by the line of Theil and Sen (the
 *    median of the slopes between all pairs of readings), which a few odd readings do not bend;
 *  - when, after the first quarter, what the context holds, the open descriptors or the threads are more than ever in
 *    that quarter;
 *  - when oneDNN's cache of primitives holds more than its capacity.
 *
 * --leak forgets what is named, in each cycle, to see that it is found.
 */
#include "cycle.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>

enum { READINGS = 60, LEAKED_BYTES = 256 << 10 };

static const double allowed_growth = 2.0; /* MiB */

/* oneDNN's own, for its tests; not in its headers, and perhaps not in every build of it. */
extern int cache_entries(int *entries) __asm__("_ZN4dnnl4impl24get_primitive_cache_sizeEPi") __attribute__((weak));

typedef struct reading {
    double seconds;
    int64_t cycles, resident, held; /* bytes of the process; of these held by the context that stays */
    int descriptors, threads;
    int primitives, capacity; /* of oneDNN's cache; -1: not known */
} reading;

/* ---- what is read ---- */

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    int count = -1; /* the folder's own */

    while (folder && (entry = readdir(folder)) != NULL) count += entry->d_name[0] != '.';
    if (folder) closedir(folder);
    return count;
}

static int count_threads(void)
{
    char line[128];
    int count = -1;
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof line, file) && sscanf(line, "Threads: %d", &count) != 1) continue;
    if (file) fclose(file);
    return count;
}

static sslcv_status read_all(const soak *s, double start, int64_t cycles, reading *r)
{
    sslcv_context_info info = {.struct_size = sizeof info};
    const sslcv_status status = sslcv_context_get_info(s->context, &info);

    malloc_trim(0); /* what the C library keeps for the next cycle, which is another each time, would hide a leak */
    r->seconds = bench_clock() - start;
    r->cycles = cycles;
    r->resident = bench_resident();
    r->held = info.bytes;
    r->descriptors = count_descriptors();
    r->threads = count_threads();
    r->primitives = r->capacity = -1;
    if (dnnl_get_primitive_cache_capacity(&r->capacity) != dnnl_success) r->capacity = -1;
    if (cache_entries && cache_entries(&r->primitives) != 0) r->primitives = -1;
    printf("%7.0f s %6lld cycles  resident %8.2f MiB  held %lld B  descriptors %d  threads %d  primitives %d of %d\n",
           r->seconds, (long long)cycles, bench_mib(r->resident), (long long)r->held, r->descriptors, r->threads,
           r->primitives, r->capacity);
    fflush(stdout);
    return status;
}

/* ---- what is judged ---- */

/* Bytes a second, over readings first .. count - 1. */
static double slope(const reading *readings, int first, int count)
{
    static double slopes[READINGS * READINGS];
    int64_t n = 0;
    int i, j;

    for (i = first; i < count; i++) {
        for (j = i + 1; j < count; j++) {
            slopes[n++] =
                (double)(readings[j].resident - readings[i].resident) / (readings[j].seconds - readings[i].seconds);
        }
    }
    return bench_median(slopes, n);
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int judge_most(const char *what, int64_t early, int64_t late)
{
    printf("%s: at most %lld in the first quarter, %lld later%s\n", what, (long long)early, (long long)late,
           late > early ? ": GROWN" : "");
    return late > early;
}

/* How many of the criteria are not met. */
static int judge(const reading *readings, int count)
{
    const double span = readings[count - 1].seconds - readings[count / 2].seconds;
    const double per_second = slope(readings, count / 2, count), growth = per_second * span / 1048576.0;
    int64_t held[2] = {0, 0}, descriptors[2] = {0, 0}, threads[2] = {0, 0}, primitives = 0;
    int i, failures = growth > allowed_growth;

    printf("resident: %.2f MiB at half time, %.2f at the end; the line rises by %.3f MiB in the second half "
           "(%.2f MiB/h), %.0f allowed%s\n",
           bench_mib(readings[count / 2].resident), bench_mib(readings[count - 1].resident), growth,
           per_second * 3600.0 / 1048576.0, allowed_growth, failures ? ": GROWN" : "");
    for (i = 0; i < count; i++) {
        const int late = i >= count / 4;

        held[late] = most(held[late], readings[i].held);
        descriptors[late] = most(descriptors[late], readings[i].descriptors);
        threads[late] = most(threads[late], readings[i].threads);
        primitives = most(primitives, readings[i].primitives);
    }
    failures += judge_most("bytes held by the context that stays", held[0], held[1]);
    failures += judge_most("descriptors", descriptors[0], descriptors[1]);
    failures += judge_most("threads", threads[0], threads[1]);
    if (primitives == 0) {
        printf("primitives: this oneDNN does not tell how many its cache has; its capacity is %d\n",
               readings[0].capacity);
    } else {
        const int over = readings[0].capacity >= 0 && primitives > readings[0].capacity;

        printf("primitives in oneDNN's cache: at most %lld, capacity %d%s\n", (long long)primitives,
               readings[0].capacity, over ? ": TOO MANY" : "");
        failures += over;
    }
    return failures;
}

/* ---- leaks, planted ---- */

static void *sleep_for_ever(void *nothing)
{
    for (;;) pause();
    return nothing;
}

static sslcv_status forget(const soak *s, const char *leak)
{
    sslcv_head *head = NULL;
    sslcv_mlp_options o;
    pthread_t thread;
    sslcv_status status = SSLCV_OK;

    if (!leak) return SSLCV_OK;
    if (strstr(leak, "memory")) {
        /* Nobody has the pointer any more when this function ends. */
        char *volatile forgotten = malloc(LEAKED_BYTES);

        if (forgotten) memset(forgotten, 1, LEAKED_BYTES);
    }
    if (strstr(leak, "handle")) {
        TRY(sslcv_mlp_options_init(&o, sizeof o));
        o.in_dim = 8;
        TRY(sslcv_head_create_mlp(s->context, &o, &head));
    }
    if (strstr(leak, "descriptor") && open("/dev/null", O_RDONLY) < 0) status = SSLCV_ERR_IO;
    if (strstr(leak, "thread") && pthread_create(&thread, NULL, sleep_for_ever, NULL) != 0) {
        status = SSLCV_ERR_BACKEND;
    }
end:
    return status;
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    char name[512];

    while (folder && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (unlink(name) != 0) remove_folder(name);
    }
    if (folder) closedir(folder);
    rmdir(path);
}

int main(int argc, char **argv)
{
    double seconds = 3600.0;
    int64_t threads = 1, cycles = 0;
    const char *leak = NULL;
    const bench_option options[] = {
        {"seconds", "default 3600", .real = &seconds},
        {"threads", "of every context, and of its loaders; default 1", .integer = &threads},
        {"leak", "memory,handle,descriptor,thread or some of them: forget one in each cycle", .text = &leak},
    };
    static reading readings[READINGS];
    static soak s = {.folder = "/tmp/sslcv-soak-XXXXXX"};
    int count = 0, failures = 1;
    double start;
    sslcv_status status = SSLCV_ERR_IO;

    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (!mkdtemp(s.folder)) return 1;
    s.threads = (int32_t)threads;
    TRY(soak_begin(&s));
    start = bench_clock();
    while (count < READINGS) {
        TRY(soak_cycle(&s, cycles++));
        TRY(forget(&s, leak));
        if (bench_clock() - start >= seconds * (count + 1) / READINGS) {
            TRY(read_all(&s, start, cycles, &readings[count]));
            count++;
        }
    }
    failures = judge(readings, count);
    printf("soak: %lld cycles in %.0f s: %s\n", (long long)cycles, bench_clock() - start,
           failures ? "it GROWS" : "flat");
end:
    soak_end(&s);
    remove_folder(s.folder);
    if (status != SSLCV_OK) return bench_finish(argv[0], status);
    return failures > 0;
}
