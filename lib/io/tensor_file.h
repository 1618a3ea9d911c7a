/**
 * Files of named tensors that are read: safetensors, npz, npy. docs/checkpoint-format.md says what the bytes mean.
 *
 *     open: bytes -> told by content -> safetensors.c  JSON header, then the data part
 *                                    -> npz.c          zip archive of .npy members, or one .npy file
 *     entries: name, dtype, shape;  values of those that are wanted, one at a time
 *
 * What open finds is checked there once and for all, so that callers need check nothing but names, dtypes and shapes
 * against what they want. Members of archives are unpacked, and their checksums verified, when their values are asked
 * for: memory is then as much as a shape says that the caller has agreed to.
 */
#ifndef SSLCV__TENSOR_FILE_H
#define SSLCV__TENSOR_FILE_H

#include <sslcv/state.h>

#include "core/error.h"
#include "io/zip.h"

typedef struct sslcv__tensor_entry {
    const char *name;       /* borrowed from the file, as is dtype_name */
    const char *dtype_name; /* as the file spells it: "F32", "<f4" */
    const char *data;       /* safetensors: the values; not aligned */
    int64_t bytes;          /* of the values */
    int32_t dtype;          /* SSLCV_F32 ...; 0: one that this library does not know */
    int32_t ndim;           /* may exceed SSLCV_MAX_DIMS; shape then has the first ones */
    int64_t shape[SSLCV_MAX_DIMS];
    int32_t is_ours; /* for the loader: a tensor of the state has this name */
    int32_t swapped; /* npy: 1: the bytes of an element are in the order that is not the machine's */
    int32_t fortran; /* npy: 1: the first axis runs fastest */
    int32_t reserved;
    sslcv__zip_member member; /* npy: what the values are in; data NULL: none */
    int64_t member_front;     /* bytes of the member in front of the values */
} sslcv__tensor_entry;

/** A key of the metadata and what it says; both borrowed from the file. */
typedef struct sslcv__tensor_pair {
    const char *key, *value;
} sslcv__tensor_pair;

typedef struct sslcv__tensor_file {
    sslcv_context *context;
    const char *path; /* for messages; borrowed */
    char *bytes;      /* the whole file */
    int64_t size;
    int64_t max_bytes;
    char *texts;      /* names, dtype names, keys, values */
    int32_t nameless; /* 1: an .npy file, of one tensor that nobody named */
    int32_t reserved;
    int64_t num_metadata;         /* 0 but in safetensors */
    sslcv__tensor_pair *metadata; /* in the file's order */
    sslcv__tensor_pair **by_key;  /* sorted */
    int64_t count;
    sslcv__tensor_entry *entries;  /* in the file's order */
    sslcv__tensor_entry **by_name; /* sorted */
} sslcv__tensor_file;

/**
 * Read and check a whole file.
 *
 * @param path      NULL: from stream. Borrowed until close.
 * @param max_bytes Refuse more, also as the sum of what an archive's tensors unpack to: SSLCV_ERR_LIMIT.
 * @param file      Out: to be closed also after failure.
 */
sslcv_status sslcv__tensor_file_open(sslcv_context *context, const char *path, const sslcv_stream *stream,
                                     int64_t max_bytes, sslcv__tensor_file *file);
void sslcv__tensor_file_close(sslcv__tensor_file *file); /* zeroed is accepted */

/** The entry whose name is prefix and name joined; NULL: none. */
sslcv__tensor_entry *sslcv__tensor_file_find(const sslcv__tensor_file *file, const char *prefix, const char *name);

/** NULL: no such key. */
const char *sslcv__tensor_file_metadata(const sslcv__tensor_file *file, const char *key);

/** SSLCV_ERR_UNSUPPORTED unless the entry has a dtype and a number of axes that this library knows. */
sslcv_status sslcv__tensor_file_check_known(const sslcv__tensor_file *file, const sslcv__tensor_entry *entry);

/**
 * The values of a known entry, dense, row-major, aligned to their element. SSLCV_ERR_FORMAT: damaged in its archive, or
 * a bool other than 0 and 1.
 *
 * @param memory Out: NULL, or to be freed by sslcv__free() when the values are no longer needed.
 * @param values Out: in memory, or in the file.
 */
sslcv_status sslcv__tensor_file_values(const sslcv__tensor_file *file, const sslcv__tensor_entry *entry, void **memory,
                                       const void **values);

/* ---- for the formats ---- */

/** Room for so many entries; count stays 0. */
sslcv_status sslcv__tensor_file_reserve(sslcv__tensor_file *file, int64_t most);

/** Fill by_name. SSLCV_ERR_FORMAT: two have the same name. */
sslcv_status sslcv__tensor_file_sort(sslcv__tensor_file *file);

/** An .npz archive, or with is_archive 0 an .npy file, whose bytes are there. */
sslcv_status sslcv__npz_parse(sslcv__tensor_file *file, int is_archive);

#endif
