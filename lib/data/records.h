/**
 * Samples that are equal records of bytes, wholly in memory: what CIFAR and IDX are made of.
 *
 *     part 0: | label, pixels | label, pixels | ...      part 1: | label, pixels | ...
 */
#ifndef SSLCV__DATA_RECORDS_H
#define SSLCV__DATA_RECORDS_H

#include "data/dataset.h"

enum { SSLCV__MAX_PARTS = 6 };

typedef struct sslcv__part {
    void *memory;                /* a whole file; owned */
    const unsigned char *pixels; /* of the part's first record, in memory */
    const unsigned char *labels; /* likewise; NULL: none */
    int64_t count;
} sslcv__part;

typedef struct sslcv__records {
    sslcv__part parts[SSLCV__MAX_PARTS];
    int64_t num_parts;
    int64_t pixel_stride; /* bytes from one record to the next */
    int64_t label_stride;
    void *label_memory; /* of a label file; owned */
    sslcv_tensor image; /* (C, H, W), U8, as every record has it; data NULL */
} sslcv__records;

/** Make an empty store and set the source. */
sslcv_status sslcv__records_open(sslcv_dataset *dataset, sslcv__records **records);

/** All parts are there: count and shape become known. */
void sslcv__records_finish(sslcv_dataset *dataset);

#endif
