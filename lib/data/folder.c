/*
 * A folder of image files, with all folders in it.
 *
 * Folders wait on a stack of our own, so nesting costs no call depth; it ends at MAX_DEPTH. Every real folder is read
 * once, by (device, inode), so links can neither loop nor multiply it. Of several links to one folder the first in the
 * order of names counts.
 */
#define _DEFAULT_SOURCE /* d_type */
#include "data/files.h"

#include "core/context.h"
#include "core/descriptor.h"
#include "core/memory.h"
#include "image/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 64, FIRST_CAPACITY = 64 };

typedef struct folder {
    const char *path; /* without "/" at its end; the scan's arena */
    int64_t label;
    int64_t depth; /* 0: the data set's own */
} folder;

typedef struct found_file {
    const char *path; /* the data set's arena */
    int64_t label;
} found_file;

typedef struct folder_id {
    dev_t device;
    ino_t inode;
    int32_t used;
} folder_id;

typedef struct scan {
    sslcv_dataset *dataset;
    sslcv_context *context;
    sslcv__arena arena;
    folder *stack;
    int64_t waiting, stack_capacity;
    folder_id *seen; /* hash table with open addressing; capacity a power of two, at most half full */
    int64_t num_seen, seen_capacity;
    found_file *files;
    int64_t num_files, files_capacity;
} scan;

/** Room for one element more behind used ones; doubling. */
static sslcv_status make_room(scan *s, int64_t used, int64_t *capacity, int64_t size, void **array)
{
    const int64_t larger = *capacity ? 2 * *capacity : FIRST_CAPACITY;
    sslcv_status status;

    if (used < *capacity) return SSLCV_OK;
    status = sslcv__grow_array(s->context, used, larger, size, array);
    if (status == SSLCV_OK) *capacity = larger;
    return status;
}

/* ---- names ---- */

/** "/" before every other byte, so that what is in one folder stays together. */
static int byte_rank(char c)
{
    return c == 0 ? 0 : c == '/' ? 1 : (unsigned char)c + 1;
}

static int compare_paths(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return byte_rank(*a) - byte_rank(*b);
}

static int compare_files(const void *a, const void *b)
{
    return compare_paths(((const found_file *)a)->path, ((const found_file *)b)->path);
}

/** Descending, as the stack is emptied from its end. */
static int compare_folders(const void *a, const void *b)
{
    return compare_paths(((const folder *)b)->path, ((const folder *)a)->path);
}

static sslcv_status join(scan *s, sslcv__arena *arena, const char *path, const char *name, const char **joined)
{
    const size_t path_length = strlen(path), name_length = strlen(name);
    void *memory;
    char *text;
    const sslcv_status status =
        sslcv__arena_alloc(s->context, arena, (int64_t)(path_length + name_length + 2), &memory);

    if (status != SSLCV_OK) return status;
    text = memory;
    memcpy(text, path, path_length);
    text[path_length] = '/';
    memcpy(text + path_length + 1, name, name_length + 1);
    *joined = text;
    return SSLCV_OK;
}

/* ---- each folder once ---- */

static int64_t place_of(const scan *s, const struct stat *info)
{
    const uint64_t mixed = ((uint64_t)info->st_ino ^ (uint64_t)info->st_dev << 40) * UINT64_C(0x9E3779B97F4A7C15);
    int64_t place = (int64_t)(mixed >> 32) & (s->seen_capacity - 1);

    while (s->seen[place].used && (s->seen[place].inode != info->st_ino || s->seen[place].device != info->st_dev)) {
        place = (place + 1) & (s->seen_capacity - 1);
    }
    return place;
}

static sslcv_status grow_seen(scan *s)
{
    folder_id *old = s->seen;
    const int64_t old_capacity = s->seen_capacity;
    const int64_t capacity = old_capacity ? 2 * old_capacity : FIRST_CAPACITY;
    void *table;
    int64_t i;
    const sslcv_status status = sslcv__alloc_array(s->context, capacity, sizeof *old, &table);

    if (status != SSLCV_OK) return status;
    s->seen = table;
    s->seen_capacity = capacity;
    for (i = 0; i < old_capacity; i++) {
        struct stat info = {0};

        if (!old[i].used) continue;
        info.st_dev = old[i].device;
        info.st_ino = old[i].inode;
        s->seen[place_of(s, &info)] = old[i];
    }
    sslcv__free(s->context, old);
    return SSLCV_OK;
}

/** @param is_new Out: 1 at the first sight of the folder. */
static sslcv_status see(scan *s, const struct stat *info, int *is_new)
{
    folder_id *id;

    if (2 * (s->num_seen + 1) > s->seen_capacity) {
        const sslcv_status status = grow_seen(s);

        if (status != SSLCV_OK) return status;
    }
    id = &s->seen[place_of(s, info)];
    *is_new = !id->used;
    if (id->used) return SSLCV_OK;
    id->used = 1;
    id->device = info->st_dev;
    id->inode = info->st_ino;
    s->num_seen++;
    return SSLCV_OK;
}

/* ---- reading one folder ---- */

/** DT_REG, DT_DIR, or DT_UNKNOWN for everything that is neither; links count as what they lead to. */
static int type_of(DIR *directory, const struct dirent *item)
{
    struct stat info;

    if (item->d_type == DT_REG || item->d_type == DT_DIR) return item->d_type;
    if (item->d_type != DT_LNK && item->d_type != DT_UNKNOWN) return DT_UNKNOWN;
    if (fstatat(dirfd(directory), item->d_name, &info, 0) != 0) return DT_UNKNOWN;
    return S_ISREG(info.st_mode) ? DT_REG : S_ISDIR(info.st_mode) ? DT_DIR : DT_UNKNOWN;
}

static sslcv_status push_folder(scan *s, const folder *parent, const char *name)
{
    folder *child;
    sslcv_status status;

    if (parent->depth >= MAX_DEPTH) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s/%s is nested deeper than %d folders", parent->path, name, MAX_DEPTH);
    }
    SSLCV__TRY(make_room(s, s->waiting, &s->stack_capacity, sizeof *s->stack, (void **)&s->stack));
    child = &s->stack[s->waiting];
    SSLCV__TRY(join(s, &s->arena, parent->path, name, &child->path));
    child->label = parent->label;
    child->depth = parent->depth + 1;
    s->waiting++;
end:
    return status;
}

static sslcv_status take_file(scan *s, const folder *parent, const char *name)
{
    found_file *file;
    sslcv_status status;

    SSLCV__TRY(make_room(s, s->num_files, &s->files_capacity, sizeof *s->files, (void **)&s->files));
    file = &s->files[s->num_files];
    SSLCV__TRY(join(s, &s->dataset->arena, parent->path, name, &file->path));
    file->label = parent->label;
    s->num_files++;
end:
    return status;
}

static sslcv_status read_items(scan *s, const folder *parent, DIR *directory)
{
    const struct dirent *item;
    sslcv_status status = SSLCV_OK;

    while (status == SSLCV_OK) {
        int type;

        SSLCV__TRY(sslcv__context_check_cancel(s->context));
        errno = 0;
        item = readdir(directory);
        if (!item) return errno ? sslcv__io_error("read folder", parent->path, errno) : SSLCV_OK;
        if (item->d_name[0] == '.') continue;
        type = type_of(directory, item);
        if (type == DT_DIR) {
            status = push_folder(s, parent, item->d_name);
        } else if (type == DT_REG && sslcv__is_image_name(item->d_name)) {
            status = take_file(s, parent, item->d_name);
        }
    }
end:
    return status;
}

static sslcv_status cannot_open(scan *s, const folder *f, int error)
{
    if (f->depth > 0 && error == EACCES && s->dataset->options.on_error == SSLCV_ON_ERROR_SUBSTITUTE) {
        sslcv__log(s->context, SSLCV_LOG_WARNING, "folder %s may not be read; it is left out", f->path);
        return SSLCV_OK;
    }
    sslcv__io_error("open folder", f->path[0] ? f->path : "/", error);
    return f->depth == 0 && (error == ENOENT || error == ENOTDIR) ? SSLCV_ERR_NOT_FOUND : SSLCV_ERR_IO;
}

static sslcv_status read_folder(scan *s, const folder *f)
{
    const int64_t first = s->waiting;
    DIR *directory = sslcv__open_folder(f->path[0] ? f->path : "/");
    struct stat info;
    int is_new;
    sslcv_status status;

    if (!directory) return cannot_open(s, f, errno);
    if (fstat(dirfd(directory), &info) != 0) {
        status = sslcv__io_error("read folder", f->path, errno);
        goto end;
    }
    SSLCV__TRY(see(s, &info, &is_new));
    if (is_new) SSLCV__TRY(read_items(s, f, directory));
    if (s->waiting > first) qsort(s->stack + first, (size_t)(s->waiting - first), sizeof *s->stack, compare_folders);
end:
    closedir(directory);
    return status;
}

/* ---- the whole ---- */

/** The stack holds the first level, descending: the last is class 0. */
static sslcv_status name_classes(scan *s)
{
    sslcv_dataset *dataset = s->dataset;
    const int64_t count = s->waiting;
    void *names;
    int64_t i;
    sslcv_status status;

    if (!dataset->options.label_folders) return SSLCV_OK;
    SSLCV__TRY(sslcv__arena_alloc(s->context, &dataset->arena, count * (int64_t)sizeof(char *), &names));
    dataset->classes = names;
    for (i = 0; i < count; i++) {
        folder *f = &s->stack[count - 1 - i];
        const char *name = strrchr(f->path, '/') + 1;

        SSLCV__TRY(sslcv__arena_text(s->context, &dataset->arena, name, (int64_t)strlen(name), &dataset->classes[i]));
        f->label = i;
    }
    dataset->num_class_names = count;
    atomic_store(&dataset->num_classes, count);
end:
    return status;
}

static sslcv_status read_tree(scan *s, const char *root)
{
    folder f = {root, -1, 0};
    sslcv_status status;

    SSLCV__TRY(read_folder(s, &f));
    SSLCV__TRY(name_classes(s));
    while (s->waiting > 0) {
        f = s->stack[--s->waiting];
        SSLCV__TRY(read_folder(s, &f));
    }
end:
    return status;
}

static sslcv_status make_entries(scan *s)
{
    sslcv_dataset *dataset = s->dataset;
    sslcv_status status;
    int64_t i;

    if (s->num_files == 0) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "%s has no image in it (JPEG, PNG, BMP, PGM, PPM)",
                           dataset->options.path);
    }
    qsort(s->files, (size_t)s->num_files, sizeof *s->files, compare_files);
    SSLCV__TRY(sslcv__files_reserve(dataset, s->num_files));
    for (i = 0; i < s->num_files; i++) {
        sslcv__entry *entry = sslcv__files_entry(dataset, i);

        entry->path = s->files[i].path;
        entry->label = s->files[i].label;
        entry->encoded = 1;
    }
    atomic_store(&dataset->shape[0], sslcv__files_channels(dataset));
    atomic_store_explicit(&dataset->count, s->num_files, memory_order_release);
end:
    return status;
}

sslcv_status sslcv__folder_open(sslcv_dataset *dataset)
{
    scan s = {.dataset = dataset, .context = dataset->object.context};
    const char *path = dataset->options.path, *root;
    int64_t length = (int64_t)strlen(path);
    sslcv_status status;

    while (length > 0 && path[length - 1] == '/') length--;
    if (!path[0]) return sslcv__invalid("dataset.path is empty");
    SSLCV__TRY(sslcv__files_open(dataset, length + 1));
    SSLCV__TRY(sslcv__arena_text(s.context, &s.arena, path, length, &root));
    SSLCV__TRY(read_tree(&s, root));
    SSLCV__TRY(make_entries(&s));
end:
    sslcv__free(s.context, s.stack);
    sslcv__free(s.context, s.seen);
    sslcv__free(s.context, s.files);
    sslcv__arena_free(s.context, &s.arena);
    return status;
}
