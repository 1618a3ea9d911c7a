/*
 * The binary version of CIFAR-10 and CIFAR-100 (Krizhevsky 2009). A record of 32 x 32 pixels, planes red, green, blue:
 *
 *     CIFAR-10    | label | 3072 bytes |
 *     CIFAR-100   | coarse label | fine label | 3072 bytes |
 */
#include "data/records.h"

#include "core/context.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/tensor.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SIDE = 32, PIXEL_BYTES = 3 * SIDE * SIDE };

typedef struct cifar {
    const char *name;
    const char *folder;      /* as the published archive unpacks */
    const char *class_names; /* file with one name a line */
    const char *train[5];    /* NULL behind the last */
    const char *test;
    int64_t label_bytes; /* in front of the pixels; the last is the label */
    int64_t classes;
} cifar;

static const cifar cifar10 = {
    "CIFAR-10",
    "cifar-10-batches-bin",
    "batches.meta.txt",
    {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
    "test_batch.bin",
    1,
    10};

static const cifar cifar100 = {"CIFAR-100", "cifar-100-binary", "fine_label_names.txt", {"train.bin"}, "test.bin", 2,
                               100};

enum { PATH_SIZE = 4096 };

/** Folder, file and ending as one path; 0 when there is no such file. */
static int find(char path[PATH_SIZE], const char *folder, const char *inner, const char *file)
{
    static const char *const endings[] = {"", ".gz"};
    struct stat info;
    size_t i;

    for (i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const int length =
            snprintf(path, PATH_SIZE, "%s%s%s/%s%s", folder, inner[0] ? "/" : "", inner, file, endings[i]);

        if (length > 0 && length < PATH_SIZE && stat(path, &info) == 0 && S_ISREG(info.st_mode)) return 1;
    }
    return 0;
}

static sslcv_status check_records(const cifar *set, const char *path, const unsigned char *bytes, int64_t size)
{
    const int64_t record = set->label_bytes + PIXEL_BYTES;
    int64_t i;

    if (size == 0 || size % record != 0) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s has %lld bytes; %s needs a multiple of %lld", path, (long long)size,
                           set->name, (long long)record);
    }
    for (i = 0; i < size / record; i++) {
        const int label = bytes[i * record + set->label_bytes - 1];

        if (label >= set->classes) {
            return sslcv__fail(SSLCV_ERR_FORMAT, "%s has label %d in record %lld; %s has labels 0 .. %lld", path, label,
                               (long long)i, set->name, (long long)set->classes - 1);
        }
    }
    return SSLCV_OK;
}

static sslcv_status add_part(sslcv_dataset *dataset, const cifar *set, const char *path)
{
    sslcv__records *records = dataset->store;
    sslcv__part *part = &records->parts[records->num_parts];
    int64_t size;
    sslcv_status status;

    SSLCV__TRY(sslcv__context_check_cancel(dataset->object.context));
    SSLCV__TRY(sslcv__file_read(dataset->object.context, path, dataset->options.max_file_bytes, &part->memory, &size));
    SSLCV__TRY(check_records(set, path, part->memory, size));
    part->labels = (const unsigned char *)part->memory + set->label_bytes - 1;
    part->pixels = part->labels + 1;
    part->count = size / records->pixel_stride;
    records->num_parts++;
end:
    return status;
}

static sslcv_status add_parts(sslcv_dataset *dataset, const cifar *set, const char *inner)
{
    const sslcv__records *records = dataset->store;
    const char *folder = dataset->options.path;
    const int32_t part = dataset->options.part;
    char path[PATH_SIZE];
    sslcv_status status = SSLCV_OK;
    int i;

    for (i = 0; part != SSLCV_PART_TEST && i < 5 && set->train[i]; i++) {
        if (find(path, folder, inner, set->train[i])) SSLCV__TRY(add_part(dataset, set, path));
    }
    if (part != SSLCV_PART_TRAIN && find(path, folder, inner, set->test)) {
        SSLCV__TRY(add_part(dataset, set, path));
    }
    if (records->num_parts == 0) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "%s has no %s in it, nor has %s/%s", folder,
                           part == SSLCV_PART_TEST ? set->test : set->train[0], folder, set->folder);
    }
end:
    return status;
}

/** Names that are there: a line each, at most one a class. The file is optional, so a missing one is no failure. */
static sslcv_status read_class_names(sslcv_dataset *dataset, const cifar *set, const char *inner)
{
    sslcv_context *context = dataset->object.context;
    char path[PATH_SIZE];
    const char *text, *end, *line;
    void *bytes = NULL, *names;
    int64_t size, length;
    sslcv_status status;

    if (!find(path, dataset->options.path, inner, set->class_names)) return SSLCV_OK;
    SSLCV__TRY(sslcv__file_read(context, path, dataset->options.max_file_bytes, &bytes, &size));
    SSLCV__TRY(sslcv__arena_alloc(context, &dataset->arena, set->classes * (int64_t)sizeof(char *), &names));
    dataset->classes = names;
    text = bytes;
    for (end = text + size; text < end && dataset->num_class_names < set->classes; text = line + 1) {
        line = memchr(text, '\n', (size_t)(end - text));
        if (!line) line = end;
        length = line - text;
        if (length > 0 && text[length - 1] == '\r') length--;
        if (length == 0) continue;
        SSLCV__TRY(
            sslcv__arena_text(context, &dataset->arena, text, length, &dataset->classes[dataset->num_class_names]));
        dataset->num_class_names++;
    }
end:
    sslcv__free(context, bytes);
    return status;
}

/** Are the files in the folder itself? Else they are expected where the archive puts them. */
static const char *inner_folder(const sslcv_dataset *dataset, const cifar *set)
{
    char path[PATH_SIZE];
    int i;

    for (i = 0; i < 5 && set->train[i]; i++) {
        if (find(path, dataset->options.path, "", set->train[i])) return "";
    }
    return find(path, dataset->options.path, "", set->test) ? "" : set->folder;
}

sslcv_status sslcv__cifar_open(sslcv_dataset *dataset)
{
    static const int64_t shape[3] = {3, SIDE, SIDE};
    const cifar *set = dataset->options.kind == SSLCV_DATASET_CIFAR10 ? &cifar10 : &cifar100;
    const char *inner = inner_folder(dataset, set);
    sslcv__records *records;
    sslcv_status status;

    SSLCV__TRY(sslcv__records_open(dataset, &records));
    sslcv__tensor_set(&records->image, SSLCV_U8, NULL, 3, shape);
    records->pixel_stride = records->label_stride = set->label_bytes + PIXEL_BYTES;
    SSLCV__TRY(add_parts(dataset, set, inner));
    SSLCV__TRY(read_class_names(dataset, set, inner));
    atomic_store(&dataset->num_classes, set->classes);
    sslcv__records_finish(dataset);
end:
    return status;
}
