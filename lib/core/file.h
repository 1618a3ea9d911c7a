/** Files read whole and written whole. Paths are UTF-8 as the system takes them. Any thread. */
#ifndef SSLCV__FILE_H
#define SSLCV__FILE_H

#include <sslcv/context.h>

/**
 * Read a whole file; one compressed by gzip comes unpacked.
 *
 * @param max_bytes Refuse more, unpacked: SSLCV_ERR_LIMIT.
 * @param data      Out: owned; sslcv__free(). NULL on failure.
 * @return SSLCV_ERR_NOT_FOUND; SSLCV_ERR_IO; SSLCV_ERR_FORMAT (damaged gzip); SSLCV_ERR_LIMIT. The message has the
 *         path.
 */
sslcv_status sslcv__file_read(sslcv_context *context, const char *path, int64_t max_bytes, void **data, int64_t *size);

/**
 * A file that appears whole or not at all: written beside its place, synced, renamed over it.
 *
 *     open(path) -> "path.tmp.PID.N" -> write ...
 *                 -> commit: fsync, [path -> path.1 -> path.2 ...], rename, fsync folder
 *                 -> discard: unlink
 *
 * Whoever writes holds a lock (flock) on the temporary file; open() removes those of the same path that nobody has
 * locked: left behind by processes that were killed.
 */
typedef struct sslcv__new_file sslcv__new_file;

sslcv_status sslcv__new_file_open(sslcv_context *context, const char *path, sslcv__new_file **file);
sslcv_status sslcv__new_file_write(sslcv__new_file *file, const void *data, int64_t size);
/** generations: so many earlier files stay as path.1, path.2 ...; 0 .. 9. Frees file, whatever it returns. */
sslcv_status sslcv__new_file_commit(sslcv__new_file *file, int32_t generations);
void         sslcv__new_file_discard(sslcv__new_file *file); /* NULL is accepted; frees it */

#endif
