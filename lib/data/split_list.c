/*
 * Lists of samples. Published ones have file names ("n01440764_10026.JPEG"); ours have names as the data set gives
 * them, and numbers where those tell no sample apart.
 */
#include "data/split_list.h"

#include "core/file.h"
#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LIST_BYTES = 1 << 28 };

typedef struct list {
    const char *path;
    int64_t count;         /* samples of the data set */
    unsigned char *chosen; /* count */
} list;

typedef struct named {
    const char *name;
    int64_t sample;
} named;

static int compare_named(const void *a, const void *b)
{
    const named *x = a, *y = b;
    const int difference = strcmp(x->name, y->name);

    return difference ? difference : (x->sample > y->sample) - (x->sample < y->sample);
}

static const char *base_name(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? slash + 1 : name;
}

static int is_name(const char *name, const char *line, int64_t length)
{
    return strlen(name) == (size_t)length && memcmp(name, line, (size_t)length) == 0; /* a line may have zeros in it */
}

/** The first entry of a sorted table that is not before the line. */
static int64_t lower_bound(const named *table, int64_t count, const char *line, int64_t length)
{
    int64_t low = 0, high = count;

    while (low < high) {
        const int64_t middle = low + (high - low) / 2;

        if (strncmp(table[middle].name, line, (size_t)length) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/** @return Number of entries with this name, from *first on. */
static int64_t find_named(const named *table, int64_t count, const char *line, int64_t length, int64_t *first)
{
    int64_t found = 0;

    *first = lower_bound(table, count, line, length);
    while (*first + found < count && is_name(table[*first + found].name, line, length)) found++;
    return found;
}

/* The number behind "#". */
static sslcv_status choose_index(const list *s, const char *line, int64_t length, int64_t number)
{
    int64_t index = 0, i;

    for (i = 1; i < length && line[i] >= '0' && line[i] <= '9' && index < s->count; i++) {
        index = 10 * index + (line[i] - '0');
    }
    if (length < 2 || i < length || index >= s->count) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "%s, line %lld: there is no sample %.*s; there are #0 .. #%lld",
                           s->path, (long long)number, length < 40 ? (int)length : 40, line, (long long)s->count - 1);
    }
    s->chosen[index] = 1;
    return SSLCV_OK;
}

static sslcv_status choose_line(const list *s, const named *names, const named *bases, const char *line, int64_t length,
                                int64_t number)
{
    const char *path = s->path;
    const int shown = length < 200 ? (int)length : 200;
    int64_t first, found, i;

    if (line[0] == '#') return choose_index(s, line, length, number);
    found = find_named(names, s->count, line, length, &first);
    for (i = 0; i < found; i++) s->chosen[names[first + i].sample] = 1;
    if (found > 0) return SSLCV_OK;

    found = find_named(bases, s->count, line, length, &first);
    if (found == 0) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "%s, line %lld: no sample is named %.*s", path, (long long)number,
                           shown, line);
    }
    if (found > 1) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s, line %lld: %lld samples are named %.*s; give their folders too", path,
                           (long long)number, (long long)found, shown, line);
    }
    s->chosen[bases[first].sample] = 1;
    return SSLCV_OK;
}

static sslcv_status choose_lines(const list *s, const named *names, const named *bases, const char *text, int64_t size)
{
    const char *end = text + size, *line = text;
    int64_t number = 1;
    sslcv_status status = SSLCV_OK;

    for (; line < end && status == SSLCV_OK; number++) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        int64_t length;

        if (!next) next = end;
        length = next - line;
        if (length > 0 && line[length - 1] == '\r') length--;
        if (length > 0) status = choose_line(s, names, bases, line, length, number);
        line = next + 1;
    }
    return status;
}

static named *sort_names(const sslcv_dataset *dataset, int64_t count, int bases, named *table)
{
    int64_t i;

    for (i = 0; i < count; i++) {
        const char *name = sslcv__dataset_name(dataset, i);

        table[i] = (named){bases ? base_name(name) : name, i};
    }
    qsort(table, (size_t)count, sizeof *table, compare_named);
    return table;
}

/** Names are looked up whole first, then by what is behind their last "/". */
sslcv_status sslcv__split_list_choose(const sslcv_dataset *dataset, const char *path, int64_t count,
                                      unsigned char *chosen)
{
    sslcv_context *context = dataset->object.context;
    const list s = {path, count, chosen};
    named *names = NULL, *bases = NULL;
    void *text = NULL;
    int64_t size;
    sslcv_status status;

    SSLCV__TRY(sslcv__file_read(context, path, MAX_LIST_BYTES, &text, &size));
    SSLCV__TRY(sslcv__alloc_array(context, s.count, sizeof *names, (void **)&names));
    SSLCV__TRY(sslcv__alloc_array(context, s.count, sizeof *bases, (void **)&bases));
    sort_names(dataset, s.count, 0, names);
    sort_names(dataset, s.count, 1, bases);
    status = choose_lines(&s, names, bases, text, size);
end:
    sslcv__free(context, names);
    sslcv__free(context, bases);
    sslcv__free(context, text);
    return status;
}

/* ---- writing ---- */

/* Would the name, as a line, be read back as this sample and no other? */
static int tells_apart(const named *names, int64_t count, const char *name)
{
    int64_t first;

    if (name[0] == 0 || name[0] == '#' || strpbrk(name, "\r\n")) return 0;
    return find_named(names, count, name, (int64_t)strlen(name), &first) == 1;
}

static sslcv_status write_line(sslcv__new_file *file, const char *name, int64_t index)
{
    char number[32];
    sslcv_status status;

    if (name) {
        SSLCV__TRY(sslcv__new_file_write(file, name, (int64_t)strlen(name)));
        SSLCV__TRY(sslcv__new_file_write(file, "\n", 1));
    } else {
        const int length = snprintf(number, sizeof number, "#%lld\n", (long long)index);

        SSLCV__TRY(sslcv__new_file_write(file, number, length));
    }
end:
    return status;
}

static sslcv_status check_save(const sslcv_dataset *dataset, const int64_t *indices, int64_t count, const char *path)
{
    const sslcv_status status = sslcv__check(dataset, SSLCV__DATASET, "dataset");
    int64_t i, samples;

    if (status != SSLCV_OK) return status;
    if (!indices) return sslcv__null("indices");
    if (!path) return sslcv__null("path");
    if (count < 1) return sslcv__invalid("count is %lld; must be >= 1", (long long)count);
    samples = sslcv__dataset_count(dataset);
    for (i = 0; i < count; i++) {
        if (indices[i] < 0 || indices[i] >= samples) {
            return sslcv__fail(SSLCV_ERR_NOT_FOUND, "indices[%lld] is %lld; the data set has %lld samples",
                               (long long)i, (long long)indices[i], (long long)samples);
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv_dataset_save_list(const sslcv_dataset *dataset, const int64_t *indices, int64_t count,
                                     const char *path)
{
    sslcv__new_file *file = NULL;
    sslcv_context *context;
    named *names = NULL;
    int64_t samples, i;
    sslcv_status status = check_save(dataset, indices, count, path);

    if (status != SSLCV_OK) return status;
    context = dataset->object.context;
    samples = sslcv__dataset_count(dataset);
    SSLCV__TRY(sslcv__alloc_array(context, samples, sizeof *names, (void **)&names));
    sort_names(dataset, samples, 0, names);
    SSLCV__TRY(sslcv__new_file_open(context, path, &file));
    for (i = 0; i < count; i++) {
        const char *name = sslcv__dataset_name(dataset, indices[i]);

        SSLCV__TRY(write_line(file, tells_apart(names, samples, name) ? name : NULL, indices[i]));
    }
    status = sslcv__new_file_commit(file, 0);
    file = NULL;
end:
    sslcv__new_file_discard(file);
    sslcv__free(context, names);
    return status;
}
