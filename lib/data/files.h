/**
 * Samples that are files or images in memory, one entry each: what LIST and FOLDER are made of.
 *
 * Entries live in chunks that double, so they never move while a LIST grows:
 *
 *     chunks[0]: 64 entries   chunks[1]: 128   chunks[2]: 256 ...
 */
#ifndef SSLCV__DATA_FILES_H
#define SSLCV__DATA_FILES_H

#include "data/dataset.h"

enum { SSLCV__FILE_CHUNKS = 48, SSLCV__FIRST_CHUNK = 64 };

typedef struct sslcv__entry {
    const char *path;  /* "" for images from memory */
    const void *bytes; /* encoded image; NULL: in the file at path, or not encoded */
    int64_t size;      /* of bytes */
    int64_t label;
    _Atomic(sslcv_tensor *) pixels; /* added ones (the arena's), or decoded ones (the cache's); fixed once set */
    atomic_uchar mark;
    unsigned char encoded; /* 1: pixels are the cache's */
    unsigned char reserved[6];
} sslcv__entry;

typedef struct sslcv__files {
    sslcv__entry *chunks[SSLCV__FILE_CHUNKS];
    int64_t name_offset; /* names are paths from this byte on */
    atomic_int_fast64_t cached_bytes;
} sslcv__files;

/** Make the store and set the source. */
sslcv_status sslcv__files_open(sslcv_dataset *dataset, int64_t name_offset);

/** Room for count entries in all. Growing and publishing belong to one thread at a time. */
sslcv_status sslcv__files_reserve(sslcv_dataset *dataset, int64_t count);

/** Where an entry is or will be; within what was reserved. */
sslcv__entry *sslcv__files_entry(const sslcv_dataset *dataset, int64_t index);

/** Channels that encoded files are converted to. */
int64_t sslcv__files_channels(const sslcv_dataset *dataset);

#endif
