#include "io/scalars.h"

#include "core/descriptor.h"
#include "core/memory.h"
#include "core/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_NAME = 1024, FILE_NAMES = 1000, FILE_NAME_BYTES = 96 };

struct sslcv_scalars {
    sslcv__object object;
    int32_t format;
    int fd;              /* -1: not open */
    char *path;          /* of the file, for messages too */
    int64_t lacks_end;   /* 1: the file does not end with a line's end, though it should */
    sslcv__bytes record; /* made here, then written */
};

static double seconds_since_1970(void)
{
    struct timespec now = {0, 0};

    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- the file ---- */

/* Without what has been written of a record. */
static int cut_back(const sslcv_scalars *s, off_t size)
{
    int result;

    do {
        result = ftruncate(s->fd, size);
    } while (result != 0 && errno == EINTR);
    return result;
}

/* The record into the file, whole or not at all. */
static sslcv_status write_record(sslcv_scalars *s)
{
    struct stat info;
    int64_t done = 0;

    if (fstat(s->fd, &info) != 0) return sslcv__io_error("write", s->path, errno);
    if (info.st_nlink == 0) return sslcv__fail(SSLCV_ERR_IO, "cannot write %s: it has been deleted", s->path);
    while (done < s->record.size) {
        const ssize_t written = write(s->fd, s->record.data + done, (size_t)(s->record.size - done));
        const int error = written == 0 ? ENOSPC : errno;

        if (written < 0 && error == EINTR) continue;
        if (written <= 0) {
            if (done > 0 && cut_back(s, info.st_size) != 0) s->lacks_end = 1;
            return sslcv__io_error("write", s->path, error);
        }
        done += written;
    }
    return SSLCV_OK;
}

/* To be appended to; more_flags: O_EXCL when it must be new. Not blocking: a pipe is refused, not waited for. */
static int open_path(const char *path, int more_flags)
{
    return sslcv__open(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK | more_flags);
}

/* Ours start on a line of their own, also behind a line that was cut off or that somebody left open. */
static sslcv_status open_json_lines(sslcv_scalars *s, const char *path)
{
    struct stat info;
    char last = '\n';
    ssize_t got = 0;
    sslcv_status status;

    SSLCV__TRY(sslcv__copy_text(s->object.context, path, &s->path));
    s->fd = open_path(path, 0);
    if (s->fd < 0 || fstat(s->fd, &info) != 0) return sslcv__io_error("open", path, errno);
    if (!S_ISREG(info.st_mode)) {
        return sslcv__fail(SSLCV_ERR_IO, "cannot write scalars to %s: it is not an ordinary file", path);
    }
    while (info.st_size > 0 && (got = pread(s->fd, &last, 1, info.st_size - 1)) < 0 && errno == EINTR) continue;
    if (got < 0) return sslcv__io_error("read", path, errno);
    s->lacks_end = last != '\n';
end:
    return status;
}

/* A folder and those above it. That one of them is there already, or is no folder, the next call will tell. */
static void make_folders(char *path)
{
    char *slash = path;

    while ((slash = strchr(slash + 1, '/')) != NULL) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    mkdir(path, 0777);
}

/*
 * A new file in the folder. TensorBoard looks for "tfevents" in names, and reads files in the order of their names,
 * which therefore begin with the time.
 */
static sslcv_status open_tensorboard(sslcv_scalars *s, const char *folder)
{
    const int64_t size = (int64_t)strlen(folder) + FILE_NAME_BYTES;
    const double now = seconds_since_1970();
    int number;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc(s->object.context, size, (void **)&s->path));
    memcpy(s->path, folder, strlen(folder) + 1);
    make_folders(s->path);
    for (number = 0; s->fd < 0 && number < FILE_NAMES; number++) {
        snprintf(s->path, (size_t)size, "%s/events.out.tfevents.%010lld.%ld.%d", folder, (long long)now, (long)getpid(),
                 number);
        s->fd = open_path(s->path, O_EXCL);
        if (s->fd < 0 && errno != EEXIST) break;
    }
    if (s->fd < 0) return sslcv__io_error("create", s->path, errno);
    status = sslcv__event_begin(&s->record, now);
    if (status == SSLCV_OK) status = write_record(s);
    if (status != SSLCV_OK) unlink(s->path);
end:
    return status;
}

static void release(void *self)
{
    sslcv_scalars *s = self;

    if (s->fd >= 0) close(s->fd);
    sslcv__free(s->object.context, s->record.data);
    sslcv__free(s->object.context, s->path);
}

sslcv_status sslcv_scalars_open(sslcv_context *context, int32_t format, const char *path, sslcv_scalars **out)
{
    sslcv_scalars *s = NULL;
    sslcv_status status = sslcv__check(context, SSLCV__CONTEXT, "context");

    if (status != SSLCV_OK) return status;
    if (format != SSLCV_SCALARS_TENSORBOARD && format != SSLCV_SCALARS_JSON_LINES) {
        return sslcv__invalid("format is %d; must be SSLCV_SCALARS_TENSORBOARD or JSON_LINES", (int)format);
    }
    if (!path) return sslcv__null("path");
    if (!path[0]) return sslcv__invalid("path is empty");
    if (!out) return sslcv__null("scalars");
    SSLCV__TRY(sslcv__object_create(context, SSLCV__SCALARS, sizeof *s, release, &s));
    s->format = format;
    s->fd = -1;
    s->record.context = context;
    SSLCV__TRY(format == SSLCV_SCALARS_TENSORBOARD ? open_tensorboard(s, path) : open_json_lines(s, path));
    *out = s;
end:
    if (status != SSLCV_OK) sslcv__release(s);
    return status;
}

void sslcv_scalars_destroy(sslcv_scalars *scalars)
{
    sslcv__destroy(scalars, SSLCV__SCALARS);
}

/* ---- values ---- */

sslcv_status sslcv__scalars_check_name(const char *name)
{
    if (!name) return sslcv__null("name");
    if (name[0] == 0 || strlen(name) > MAX_NAME) {
        return sslcv__invalid("name has %zu bytes; must have 1 .. %d", strlen(name), MAX_NAME);
    }
    if (strcmp(name, "step") == 0 || strcmp(name, "time") == 0) {
        return sslcv__invalid("name is \"%s\"; it belongs to the line itself", name);
    }
    return sslcv__utf8_check(name, "name");
}

sslcv_status sslcv__scalars_write(sslcv_scalars *scalars, int64_t step, const sslcv__scalar *values, int64_t count)
{
    const double now = seconds_since_1970();
    sslcv__bytes *record = &scalars->record;
    sslcv_status status = SSLCV_OK;

    record->size = 0;
    if (scalars->format == SSLCV_SCALARS_TENSORBOARD) {
        SSLCV__TRY(sslcv__event(record, now, step, values, count));
    } else {
        if (scalars->lacks_end) SSLCV__TRY(sslcv__bytes_append(record, "\n", 1));
        SSLCV__TRY(sslcv__json_line(record, now, step, values, count));
    }
    SSLCV__TRY(write_record(scalars));
    scalars->lacks_end = 0;
end:
    return status;
}

sslcv_status sslcv_scalars_add(sslcv_scalars *scalars, int64_t step, const char *name, double value)
{
    const sslcv__scalar scalar = {name, value};
    sslcv_status status;

    SSLCV__TRY(sslcv__check(scalars, SSLCV__SCALARS, "scalars"));
    if (step < 0) return sslcv__invalid("step is %lld; must be >= 0", (long long)step);
    SSLCV__TRY(sslcv__scalars_check_name(name));
    SSLCV__TRY(sslcv__scalars_write(scalars, step, &scalar, 1));
end:
    return status;
}
