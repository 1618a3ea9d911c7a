/**
 * Scalars by step, written to a file at once: a record of a step's values is put together in memory, then written as a
 * whole. Should that fail halfway, as on a full disk, the half is cut off again, so that a file never has a torn record
 * in its middle, behind which readers would find nothing.
 *
 *     scalars.c      the public calls, the file
 *     json_lines.c   a record as a line of JSON
 *     tensorboard.c  a record as TensorBoard's event files have it
 *     train/watch.c  a trainer's metrics, by a hook
 */
#ifndef SSLCV__SCALARS_H
#define SSLCV__SCALARS_H

#include <sslcv/io.h>

#include "io/bytes.h"

typedef struct sslcv__scalar {
    const char *name; /* borrowed */
    double value;
} sslcv__scalar;

/** A name that no format has trouble with, or SSLCV_ERR_INVALID_ARGUMENT. */
sslcv_status sslcv__scalars_check_name(const char *name);

/** Write one record. count >= 1 values of different names, which have been checked; step >= 0. */
sslcv_status sslcv__scalars_write(sslcv_scalars *scalars, int64_t step, const sslcv__scalar *values, int64_t count);

/* ---- formats: append to what is there; seconds: since 1970 ---- */

sslcv_status sslcv__json_line(sslcv__bytes *to, double seconds, int64_t step, const sslcv__scalar *values,
                              int64_t count);

/** What an event file begins with. */
sslcv_status sslcv__event_begin(sslcv__bytes *to, double seconds);
sslcv_status sslcv__event(sslcv__bytes *to, double seconds, int64_t step, const sslcv__scalar *values, int64_t count);

#endif
