/**
 * Saving, for the formats: where bytes go, and one tensor in the form that a file has it.
 *
 *     save.c       options, safetensors, files and streams
 *     save_npz.c   NumPy's formats
 *
 * Every format makes two passes over the tensors: the first for checksums and to find what cannot be saved, before any
 * file is touched; the second writes.
 */
#ifndef SSLCV__SAVE_H
#define SSLCV__SAVE_H

#include <sslcv/state.h>

#include "core/file.h"
#include "io/bytes.h"
#include "nn/state.h"

/** Where bytes go: a file, a stream, or with both NULL the checksum (CRC-32). */
typedef struct sslcv__sink {
    unsigned long checksum;
    sslcv__new_file *file;
    const sslcv_stream *stream;
} sslcv__sink;

typedef struct sslcv__saver {
    sslcv_context *context;
    const sslcv_state *state;
    sslcv_save_options options;
    sslcv__bytes header;           /* safetensors: all that is in front of the data; npz, npy: names, each with its 0 */
    struct sslcv__npz_part *parts; /* npz, npy: the tensors chosen */
    int64_t num_parts;
} sslcv__saver;

sslcv_status sslcv__save_put(sslcv__sink *to, const void *data, int64_t size);

/** One tensor in plain layout and the file's dtype. SSLCV_ERR_NUMERIC: a parameter that is not finite there. */
sslcv_status sslcv__save_put_tensor(const sslcv__saver *s, const sslcv__state_item *item, sslcv__sink *to);

/** The dtype that a tensor gets in the file. */
int32_t sslcv__save_dtype(const sslcv__saver *s, const sslcv__variable *variable);

/** What is written must be read again: tensors' names, which are sorted, must differ. */
sslcv_status sslcv__save_check_unique(const char **names, int64_t count);

/** The first pass for NumPy's formats: options->format tells which. */
sslcv_status sslcv__npz_prepare(sslcv__saver *s);

/** The second. */
sslcv_status sslcv__npz_put(const sslcv__saver *s, sslcv__sink *to);

#endif
