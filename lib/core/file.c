#include "core/file.h"

#include "core/checked.h"
#include "core/descriptor.h"
#include "core/error.h"
#include "core/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    FIRST_BYTES = 64 << 10, /* of a buffer whose size nobody knows beforehand */
    DEFLATE_RATIO = 1032,   /* deflate packs no tighter than this: a bound on what a gzip trailer may claim */
    MOST_AT_ONCE = 1 << 30, /* systems limit one read or write to about 2 GiB */
    COPIED_BYTES = 16 << 10,
    TEMPORARY_NAMES = 1000
};

/* ---- reading ---- */

/** Bytes that arrive in pieces. */
typedef struct buffer {
    sslcv_context *context;
    char *data;
    int64_t size, capacity;
    int64_t limit; /* capacity never exceeds it */
} buffer;

/** Room for at least one byte more; doubling, so that the copying stays linear. */
static sslcv_status make_room(buffer *bytes)
{
    int64_t capacity = bytes->capacity > bytes->limit / 2 ? bytes->limit : bytes->capacity * 2;
    void *grown = bytes->data;
    sslcv_status status;

    if (bytes->size < bytes->capacity) return SSLCV_OK;
    if (capacity < FIRST_BYTES) capacity = bytes->limit < FIRST_BYTES ? bytes->limit : FIRST_BYTES;
    status = sslcv__grow_array(bytes->context, bytes->size, capacity, 1, &grown);
    if (status != SSLCV_OK) return status;
    bytes->data = grown;
    bytes->capacity = capacity;
    return SSLCV_OK;
}

static sslcv_status too_large(const char *path, int64_t max_bytes)
{
    return sslcv__fail(SSLCV_ERR_LIMIT, "%s has more than %lld bytes, the limit given", path, (long long)max_bytes);
}

static sslcv_status open_error(const char *path, int error)
{
    sslcv__io_error("open", path, error);
    return error == ENOENT || error == ENOTDIR ? SSLCV_ERR_NOT_FOUND : SSLCV_ERR_IO;
}

/** What came, 0 at the end, -1 with errno. */
static ssize_t read_again(int fd, void *data, int64_t size)
{
    ssize_t got;

    do {
        got = read(fd, data, (size_t)(size > MOST_AT_ONCE ? MOST_AT_ONCE : size));
    } while (got < 0 && errno == EINTR);
    return got;
}

/** Reads up to the end, or until bytes->limit bytes are there. */
static sslcv_status read_all(int fd, const char *path, buffer *bytes)
{
    while (bytes->size < bytes->limit) {
        const sslcv_status status = make_room(bytes);
        ssize_t got;

        if (status != SSLCV_OK) return status;
        got = read_again(fd, bytes->data + bytes->size, bytes->capacity - bytes->size);
        if (got < 0) return sslcv__io_error("read", path, errno);
        if (got == 0) break;
        bytes->size += got;
    }
    return SSLCV_OK;
}

/** One allocation of the right size for an ordinary file; the byte more is where read_all() meets the end. */
static sslcv_status reserve_for_file(int fd, const char *path, buffer *bytes)
{
    struct stat info;

    if (fstat(fd, &info) != 0) return sslcv__io_error("read", path, errno);
    if (S_ISFIFO(info.st_mode)) return sslcv__fail(SSLCV_ERR_IO, "cannot read %s: it is a pipe", path);
    if (!S_ISREG(info.st_mode) || info.st_size <= 0) return SSLCV_OK;
    bytes->capacity = info.st_size < bytes->limit ? (int64_t)info.st_size + 1 : bytes->limit;
    return sslcv__alloc(bytes->context, bytes->capacity, (void **)&bytes->data);
}

/* ---- gzip (RFC 1952) ---- */

/**
 * XFL, the ninth byte, is 0, 2 or 4 for deflate. Checking it keeps other binary files apart: a safetensors file whose
 * header happens to have 0x..088b1f bytes begins alike, but has '{' there.
 */
static int is_gzip(const buffer *bytes)
{
    const unsigned char *p = (const unsigned char *)bytes->data;

    if (bytes->size < 3 || p[0] != 0x1f || p[1] != 0x8b || p[2] != 8) return 0;
    return bytes->size < 9 || p[8] == 0 || p[8] == 2 || p[8] == 4;
}

static voidpf zlib_allocate(voidpf context, uInt items, uInt size)
{
    void *memory;

    return sslcv__alloc_array(context, items, size, &memory) == SSLCV_OK ? memory : Z_NULL;
}

static void zlib_free(voidpf context, voidpf memory)
{
    sslcv__free(context, memory);
}

static sslcv_status zlib_error(const char *path, const z_stream *stream, int result)
{
    if (result == Z_MEM_ERROR) return SSLCV_ERR_OUT_OF_MEMORY; /* sslcv__alloc() has written the message */
    return sslcv__fail(SSLCV_ERR_FORMAT, "%s is damaged: gzip data, %s", path,
                       stream->msg ? stream->msg : "cut off before its end");
}

/** What the trailer says of the unpacked size, modulo 2^32, if that can be true; else a guess. */
static int64_t expected_size(const buffer *packed)
{
    const unsigned char *end = (const unsigned char *)packed->data + packed->size;
    int64_t told;

    if (packed->size < 18) return FIRST_BYTES; /* less than an empty member */
    told = (int64_t)end[-4] | (int64_t)end[-3] << 8 | (int64_t)end[-2] << 16 | (int64_t)end[-1] << 24;
    return told <= packed->size * DEFLATE_RATIO ? told : FIRST_BYTES;
}

static uInt clip(int64_t size)
{
    return size > MOST_AT_ONCE ? (uInt)MOST_AT_ONCE : (uInt)size;
}

/** All members of a gzip file, one behind the other; stops early when out->limit bytes are there. */
static sslcv_status unpack(const char *path, const buffer *packed, buffer *out)
{
    z_stream stream = {0};
    int64_t used = 0;
    int result;
    sslcv_status status = SSLCV_OK;

    stream.zalloc = zlib_allocate;
    stream.zfree = zlib_free;
    stream.opaque = out->context;
    result = inflateInit2(&stream, 16 + MAX_WBITS); /* 16: gzip, not zlib */
    if (result != Z_OK) return zlib_error(path, &stream, result);
    while (out->size < out->limit && (result != Z_STREAM_END || used < packed->size)) {
        if (result == Z_STREAM_END) inflateReset(&stream);
        SSLCV__TRY(make_room(out));
        stream.next_in = (Bytef *)packed->data + used;
        stream.avail_in = clip(packed->size - used);
        stream.next_out = (Bytef *)out->data + out->size;
        stream.avail_out = clip(out->capacity - out->size);
        result = inflate(&stream, Z_NO_FLUSH); /* Z_BUF_ERROR: there is nothing left to read */
        used = (int64_t)((char *)stream.next_in - packed->data);
        out->size = (int64_t)((char *)stream.next_out - out->data);
        if (result != Z_OK && result != Z_STREAM_END) {
            status = zlib_error(path, &stream, result);
            goto end;
        }
    }
end:
    inflateEnd(&stream);
    return status;
}

static sslcv_status unpack_in_place(const char *path, buffer *bytes, int64_t limit)
{
    buffer out = {0};
    const int64_t expected = expected_size(bytes);
    sslcv_status status;

    out.context = bytes->context;
    out.limit = limit;
    out.capacity = expected < limit ? expected + 1 : limit;
    status = sslcv__alloc(out.context, out.capacity, (void **)&out.data);
    if (status == SSLCV_OK) status = unpack(path, bytes, &out);
    if (status != SSLCV_OK) {
        sslcv__free(out.context, out.data);
        return status;
    }
    sslcv__free(bytes->context, bytes->data);
    *bytes = out;
    return SSLCV_OK;
}

sslcv_status sslcv__file_read(sslcv_context *context, const char *path, int64_t max_bytes, void **data, int64_t *size)
{
    buffer bytes = {0};
    int64_t limit;
    int fd;
    sslcv_status status = SSLCV_OK;

    *data = NULL;
    *size = 0;
    if (max_bytes < 0) max_bytes = 0;
    if (max_bytes > INT64_MAX / 4) max_bytes = INT64_MAX / 4;
    limit = max_bytes + 1; /* the byte that is too many */
    bytes.context = context;
    bytes.limit = limit + max_bytes / 1024 + 1024; /* what does not compress becomes a little longer */
    fd = sslcv__open(path, O_RDONLY | O_NONBLOCK); /* a pipe is refused, not waited for */
    if (fd < 0) return open_error(path, errno);
    SSLCV__TRY(reserve_for_file(fd, path, &bytes));
    SSLCV__TRY(read_all(fd, path, &bytes));
    if (is_gzip(&bytes)) SSLCV__TRY(unpack_in_place(path, &bytes, limit));
    if (bytes.size > max_bytes) SSLCV__TRY(too_large(path, max_bytes));
    if (!bytes.data) SSLCV__TRY(sslcv__alloc(context, 0, (void **)&bytes.data));
    *data = bytes.data;
    *size = bytes.size;
end:
    close(fd);
    if (status != SSLCV_OK) sslcv__free(context, bytes.data);
    return status;
}

/* ---- writing ---- */

struct sslcv__new_file {
    sslcv_context *context;
    char *path;
    char *temporary;   /* path with ".tmp.PID.N"; "" before it exists and after it is gone */
    char *numbered;    /* two names of earlier generations */
    int64_t name_size; /* bytes of each name's buffer */
    int fd;            /* -1: closed */
    int lock;          /* a second descriptor, which keeps the lock until the file has its name; -1: none */
};

void sslcv__new_file_discard(sslcv__new_file *file)
{
    sslcv_context *context;

    if (!file) return;
    context = file->context;
    if (file->temporary && file->temporary[0]) unlink(file->temporary);
    if (file->fd >= 0) close(file->fd);
    if (file->lock >= 0) close(file->lock);
    sslcv__free(context, file->numbered);
    sslcv__free(context, file->temporary);
    sslcv__free(context, file->path);
    sslcv__free(context, file);
}

/** The permissions that the new file shall have; devices, pipes and folders are not to be renamed over. */
static sslcv_status check_target(const char *path, mode_t *mode)
{
    struct stat info;

    *mode = 0;
    if (!path[0]) return sslcv__fail(SSLCV_ERR_IO, "cannot create a file: its path is empty");
    if (stat(path, &info) != 0) return errno == ENOENT ? SSLCV_OK : sslcv__io_error("create", path, errno);
    if (!S_ISREG(info.st_mode)) {
        return sslcv__fail(SSLCV_ERR_IO, "cannot create %s: it exists and is not an ordinary file", path);
    }
    *mode = info.st_mode & 0777;
    return SSLCV_OK;
}

/** The folder of the path, in the buffer of the earlier names. */
static const char *folder_of(const sslcv__new_file *file)
{
    char *folder = file->numbered;
    const char *slash = strrchr(file->path, '/');
    const size_t length = slash ? (size_t)(slash - file->path) : 0;

    if (!slash) return ".";
    if (length == 0) return "/";
    memcpy(folder, file->path, length);
    folder[length] = 0;
    return folder;
}

/** "NAME.tmp.PID.N", both of digits. */
static int is_temporary(const char *name, const char *of)
{
    const size_t length = strlen(of);
    const char *end;

    if (strncmp(name, of, length) != 0 || strncmp(name + length, ".tmp.", 5) != 0) return 0;
    name += length + 5;
    end = name + strspn(name, "0123456789");
    return end > name && *end == '.' && end[1] && end[1 + strspn(end + 1, "0123456789")] == 0;
}

/** By lock, not by process: whether one lives cannot be told from another container or machine. */
static void remove_if_abandoned(const char *path)
{
    const int fd = sslcv__open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
    struct stat ours, there;

    if (fd < 0) return;
    /* Under its name there may be another one by now. */
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &ours) == 0 && lstat(path, &there) == 0 &&
        ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
        unlink(path);
    }
    close(fd);
}

/** What processes that were killed have left beside the path. That it fails is no harm to the new file. */
static void remove_abandoned(const sslcv__new_file *file)
{
    const char *slash = strrchr(file->path, '/'), *name = slash ? slash + 1 : file->path;
    DIR *folder = sslcv__open_folder(folder_of(file));
    const struct dirent *entry;

    while (folder && (entry = readdir(folder)) != NULL) {
        if (!is_temporary(entry->d_name, name)) continue;
        /* The name is the path's but for its end; an end longer than any of ours is nobody's. */
        if (snprintf(file->temporary, (size_t)file->name_size, "%.*s%s", (int)(name - file->path), file->path,
                     entry->d_name) < file->name_size) {
            remove_if_abandoned(file->temporary);
        }
    }
    if (folder) closedir(folder);
    file->temporary[0] = 0;
}

/** 0: another open() has taken it for abandoned, and removes it, between its creation here and the lock. */
static int lock_temporary(const sslcv__new_file *file)
{
    struct stat info;

    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK; /* a file system without locks */
    return fstat(file->fd, &info) != 0 || info.st_nlink > 0;
}

static sslcv_status create_temporary(sslcv__new_file *file)
{
    int number;

    for (number = 0; number < TEMPORARY_NAMES; number++) {
        snprintf(file->temporary, (size_t)file->name_size, "%s.tmp.%ld.%d", file->path, (long)getpid(), number);
        file->fd = sslcv__open(file->temporary, O_WRONLY | O_CREAT | O_EXCL);
        if (file->fd >= 0 && lock_temporary(file)) return SSLCV_OK;
        if (file->fd >= 0) {
            close(file->fd);
            file->fd = -1;
            errno = EEXIST;
        }
        if (errno != EEXIST) break;
    }
    file->temporary[0] = 0; /* not ours */
    return sslcv__io_error("create", file->path, errno);
}

sslcv_status sslcv__new_file_open(sslcv_context *context, const char *path, sslcv__new_file **out)
{
    sslcv__new_file *file;
    mode_t mode;
    sslcv_status status = sslcv__alloc_array(context, 1, sizeof *file, (void **)&file);

    if (status != SSLCV_OK) return status;
    file->context = context;
    file->fd = file->lock = -1;
    file->name_size = (int64_t)strlen(path) + 64;
    SSLCV__TRY(sslcv__copy_text(context, path, &file->path));
    SSLCV__TRY(sslcv__alloc_array(context, file->name_size, 1, (void **)&file->temporary));
    SSLCV__TRY(sslcv__alloc_array(context, file->name_size, 2, (void **)&file->numbered));
    SSLCV__TRY(check_target(path, &mode));
    remove_abandoned(file);
    SSLCV__TRY(create_temporary(file));
    /* Whoever could read the old one can read the new one; where the system refuses that, the usual mode serves. */
    if (mode != 0 && fchmod(file->fd, mode) != 0) errno = 0;
    *out = file;
end:
    if (status != SSLCV_OK) sslcv__new_file_discard(file);
    return status;
}

sslcv_status sslcv__new_file_write(sslcv__new_file *file, const void *data, int64_t size)
{
    const char *next = data;

    while (size > 0) {
        const ssize_t done = write(file->fd, next, (size_t)(size > MOST_AT_ONCE ? MOST_AT_ONCE : size));

        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return sslcv__io_error("write", file->path, done == 0 ? ENOSPC : errno);
        next += done;
        size -= done;
    }
    return SSLCV_OK;
}

static const char *numbered_name(sslcv__new_file *file, int32_t number, int which)
{
    char *name = file->numbered + which * file->name_size;

    snprintf(name, (size_t)file->name_size, "%s.%d", file->path, (int)number);
    return name;
}

/** Where the file system knows no second names. */
static sslcv_status copy_file(sslcv__new_file *file, const char *path)
{
    char bytes[COPIED_BYTES];
    sslcv__new_file *copy = NULL;
    const int fd = sslcv__open(file->path, O_RDONLY);
    ssize_t got;
    sslcv_status status;

    if (fd < 0) return sslcv__io_error("open", file->path, errno);
    SSLCV__TRY(sslcv__new_file_open(file->context, path, &copy));
    while ((got = read_again(fd, bytes, sizeof bytes)) > 0) SSLCV__TRY(sslcv__new_file_write(copy, bytes, got));
    if (got < 0) SSLCV__TRY(sslcv__io_error("read", file->path, errno));
    status = sslcv__new_file_commit(copy, 0);
    copy = NULL;
end:
    sslcv__new_file_discard(copy);
    close(fd);
    return status;
}

/**
 * Make room for path.1 and put the present file there. It gets a second name instead of being moved: a crash at any
 * moment leaves a whole file under path.
 */
static sslcv_status keep_generations(sslcv__new_file *file, int32_t generations)
{
    const char *first;
    int32_t i;

    if (generations <= 0 || access(file->path, F_OK) != 0) return SSLCV_OK;
    for (i = generations - 1; i >= 1; i--) {
        const char *from = numbered_name(file, i, 0), *to = numbered_name(file, i + 1, 1);

        if (rename(from, to) != 0 && errno != ENOENT) return sslcv__io_error("rename", from, errno);
    }
    first = numbered_name(file, 1, 0);
    if (unlink(first) != 0 && errno != ENOENT) return sslcv__io_error("replace", first, errno);
    return link(file->path, first) == 0 ? SSLCV_OK : copy_file(file, first);
}

/** A rename lasts through a power cut only when the folder is written too. Not every file system can be asked to. */
static sslcv_status sync_folder(const sslcv__new_file *file)
{
    const int fd = sslcv__open(folder_of(file), O_RDONLY);
    int error = 0;

    if (fd < 0) return SSLCV_OK;
    while (fsync(fd) != 0 && (error = errno) == EINTR) error = 0;
    close(fd);
    if (error != EIO && error != ENOSPC && error != EDQUOT) return SSLCV_OK;
    return sslcv__io_error("sync the folder of", file->path, error);
}

sslcv_status sslcv__new_file_commit(sslcv__new_file *file, int32_t generations)
{
    int closed;
    sslcv_status status = SSLCV_OK;

    while (fsync(file->fd) != 0) {
        if (errno == EINTR) continue;
        if (errno == EINVAL) break; /* a file system that cannot */
        SSLCV__TRY(sslcv__io_error("sync", file->path, errno));
    }
    file->lock = fcntl(file->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (file->lock < 0) SSLCV__TRY(sslcv__io_error("close", file->path, errno));
    closed = close(file->fd);
    file->fd = -1;
    if (closed != 0 && errno != EINTR) SSLCV__TRY(sslcv__io_error("close", file->path, errno));
    SSLCV__TRY(keep_generations(file, generations));
    if (rename(file->temporary, file->path) != 0) SSLCV__TRY(sslcv__io_error("rename to", file->path, errno));
    file->temporary[0] = 0;
    SSLCV__TRY(sync_folder(file));
end:
    sslcv__new_file_discard(file);
    return status;
}
