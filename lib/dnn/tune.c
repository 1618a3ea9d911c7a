#include "dnn/tune.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/backend.h"
#include "core/context.h"
#include "core/descriptor.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/openmp.h"

enum { KEY_SIZE = 224, NAME_SIZE = 24, REPEATS = 3, MAX_FILE = 1 << 20 };

typedef struct finding {
    char key[KEY_SIZE];
    char name[NAME_SIZE];
} finding;

struct sslcv__tuning {
    pthread_mutex_t lock;
    char *path; /* "": no file */
    finding *findings;
    int64_t count, capacity;
};

/* ---- findings ---- */

static const finding *find(const struct sslcv__tuning *tuning, const char *key)
{
    int64_t i;

    for (i = 0; i < tuning->count; i++) {
        if (strcmp(tuning->findings[i].key, key) == 0) return &tuning->findings[i];
    }
    return NULL;
}

static sslcv_status add(sslcv_context *context, const char *key, const char *name)
{
    struct sslcv__tuning *tuning = context->tuning;

    if (tuning->count == tuning->capacity) {
        const int64_t capacity = tuning->capacity ? 2 * tuning->capacity : 64;
        const sslcv_status status =
            sslcv__grow_array(context, tuning->count, capacity, sizeof(finding), (void **)&tuning->findings);
        if (status != SSLCV_OK) return status;
        tuning->capacity = capacity;
    }
    snprintf(tuning->findings[tuning->count].key, KEY_SIZE, "%s", key);
    snprintf(tuning->findings[tuning->count].name, NAME_SIZE, "%s", name);
    tuning->count++;
    return SSLCV_OK;
}

/* Each line: key, bar, name. */
static sslcv_status parse(sslcv_context *context, char *text)
{
    char *line, *rest = NULL;

    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *bar = strrchr(line, '|');
        sslcv_status status;

        if (strncmp(line, "sslcv-tuning 1 |", 16) != 0 || !bar || bar - line < 2 || bar[-1] != ' ' || bar[1] != ' ' ||
            bar - line >= KEY_SIZE || strlen(bar + 2) >= NAME_SIZE) {
            continue;
        }
        bar[-1] = 0;
        status = add(context, line, bar + 2);
        if (status != SSLCV_OK) return status;
    }
    return SSLCV_OK;
}

static sslcv_status read_file(sslcv_context *context, const char *path)
{
    char *text, *data;
    int64_t size;
    sslcv_status status = sslcv__file_read(context, path, MAX_FILE, (void **)&data, &size);

    if (status == SSLCV_ERR_NOT_FOUND) return SSLCV_OK;
    if (status != SSLCV_OK) return status;
    status = sslcv__alloc(context, size + 1, (void **)&text);
    if (status == SSLCV_OK) {
        memcpy(text, data, (size_t)size);
        text[size] = 0;
        status = parse(context, text);
        sslcv__free(context, text);
    }
    sslcv__free(context, data);
    return status;
}

/* One write at the file's end: lines of two processes do not mix. What fails costs a measurement next time, no more. */
static void append_line(const sslcv_context *context, const char *key, const char *name)
{
    char line[KEY_SIZE + NAME_SIZE + 8];
    ssize_t length;
    int fd, written;

    if (!context->tuning->path[0]) return;
    snprintf(line, sizeof line, "%s | %s\n", key, name);
    length = (ssize_t)strlen(line);
    fd = sslcv__open(context->tuning->path, O_WRONLY | O_APPEND | O_CREAT);
    written = fd >= 0 && write(fd, line, (size_t)length) == length;
    if (fd >= 0 && close(fd) != 0) written = 0;
    if (!written) sslcv__log(context, SSLCV_LOG_WARNING, "%s: can't be written", context->tuning->path);
}

sslcv_status sslcv__backend_open_tuning(sslcv_context *context, const char *path)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, 1, sizeof *context->tuning, (void **)&context->tuning));
    pthread_mutex_init(&context->tuning->lock, NULL);
    SSLCV__TRY(sslcv__copy_text(context, path, &context->tuning->path));
    if (path[0]) SSLCV__TRY(read_file(context, path));
end:
    return status;
}

void sslcv__backend_close_tuning(sslcv_context *context)
{
    if (!context->tuning) return;
    pthread_mutex_destroy(&context->tuning->lock);
    sslcv__free(context, context->tuning->findings);
    sslcv__free(context, context->tuning->path);
    sslcv__free(context, context->tuning);
    context->tuning = NULL;
}

/* ---- the clock ---- */

static void write_key(const sslcv_context *context, const sslcv__conv_shape *s, sslcv__conv_direction direction,
                      const sslcv__conv_post *post, char *key)
{
    static const char *const directions[] = {"forward", "backward-data", "backward-weights"};

    snprintf(key, KEY_SIZE,
             "sslcv-tuning 1 | oneDNN " SSLCV__ONEDNN
             " | %s | threads %d | %s%s %s %lldx%lldx%lldx%lld %lldx%lldx%lld/%lld+%lld%s",
             sslcv__backend_cpu(), context->threads, directions[direction], post ? "-inference" : "",
             s->dtype == SSLCV_BF16 ? "bf16" : "f32", (long long)s->batch, (long long)s->in_channels,
             (long long)s->in_height, (long long)s->in_width, (long long)s->out_channels, (long long)s->kernel_height,
             (long long)s->kernel_width, (long long)s->stride, (long long)s->padding, post && post->sum ? " sum" : "");
}

static int64_t rounded(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Seconds of the fastest of a few runs over arrays of zeros. */
static sslcv_status time_op(sslcv_context *context, sslcv__op *op, double *seconds)
{
    char *memory, *place;
    int64_t bytes = 0;
    int i;
    sslcv_status status;

    for (i = 0; i < SSLCV__ARG_COUNT; i++) bytes += rounded(sslcv__op_bytes(op, i));
    status = sslcv__alloc_array(context, bytes, 1, (void **)&memory);
    if (status != SSLCV_OK) return status;
    for (i = 0, place = memory; i < SSLCV__ARG_COUNT; i++) {
        SSLCV__TRY(sslcv__op_bind(op, i, place));
        place += rounded(sslcv__op_bytes(op, i));
    }
    for (i = 0; i <= REPEATS; i++) {
        const double start = omp_get_wtime();
        double took;

        SSLCV__TRY(sslcv__op_run(op));
        took = omp_get_wtime() - start;
        if (i == 1 || (i > 1 && took < *seconds)) *seconds = took; /* the first touches the memory */
    }
end:
    sslcv__free(context, memory);
    return status;
}

static sslcv_status measure(sslcv_context *context, const sslcv__candidate *candidates, int count,
                            const sslcv__conv_shape *shape, sslcv__conv_direction direction,
                            const sslcv__conv_post *post, const char **name)
{
    double best = -1.0;
    int i;
    sslcv_status status = SSLCV_OK;

    for (i = 0; i < count; i++) {
        sslcv__op *op = NULL;
        double seconds = 0.0;

        status = candidates[i].make(context, shape, direction, post, &op);
        if (status == SSLCV_ERR_UNSUPPORTED) continue;
        if (status == SSLCV_OK) status = time_op(context, op, &seconds);
        sslcv__op_free(context, op);
        if (status != SSLCV_OK) return status;
        sslcv__log(context, SSLCV_LOG_DEBUG, "tuning: %s %lldx%lldx%lldx%lld: %s %.3f ms",
                   sslcv__conv_direction_name(direction), (long long)shape->batch, (long long)shape->in_channels,
                   (long long)shape->in_height, (long long)shape->in_width, candidates[i].name, 1e3 * seconds);
        if (best < 0.0 || seconds < best) {
            best = seconds;
            *name = candidates[i].name;
        }
    }
    return best < 0.0 ? status : SSLCV_OK;
}

sslcv_status sslcv__tune(sslcv_context *context, const sslcv__candidate *candidates, int count,
                         const sslcv__conv_shape *shape, sslcv__conv_direction direction, const sslcv__conv_post *post,
                         sslcv__op **out)
{
    char key[KEY_SIZE];
    const char *name = NULL;
    const finding *known;
    int i;
    sslcv_status status = SSLCV_OK;

    write_key(context, shape, direction, post, key);
    pthread_mutex_lock(&context->tuning->lock);
    known = find(context->tuning, key);
    for (i = 0; known && i < count; i++) {
        if (strcmp(known->name, candidates[i].name) == 0) name = candidates[i].name;
    }
    if (!name) {
        status = measure(context, candidates, count, shape, direction, post, &name);
        if (status == SSLCV_OK) status = add(context, key, name);
        if (status == SSLCV_OK) append_line(context, key, name);
    }
    pthread_mutex_unlock(&context->tuning->lock);
    if (status != SSLCV_OK) return status;
    for (i = 0; strcmp(candidates[i].name, name) != 0;) i++;
    return candidates[i].make(context, shape, direction, post, out);
}
