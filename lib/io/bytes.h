/** Bytes put together in memory, which only ever grow: headers, lines, records. Independent of the locale. */
#ifndef SSLCV__BYTES_H
#define SSLCV__BYTES_H

#include <sslcv/context.h>

#include "core/error.h"

/** Zeroed but for context it is empty; data is freed by sslcv__free(). To be used again, set size to 0. */
typedef struct sslcv__bytes {
    sslcv_context *context;
    char *data;
    int64_t size, capacity;
} sslcv__bytes;

sslcv_status sslcv__bytes_append(sslcv__bytes *to, const void *bytes, int64_t size);
/** A JSON string (RFC 8259): in quotes, escaped. SSLCV_ERR_INVALID_ARGUMENT, with what in front: not UTF-8. */
sslcv_status sslcv__bytes_string(sslcv__bytes *to, const char *string, const char *what);
sslcv_status sslcv__bytes_integer(sslcv__bytes *to, int64_t number);
/** A JSON number that reads back as the same double; null for what JSON has no number for: NaN and infinities. */
sslcv_status sslcv__bytes_real(sslcv__bytes *to, double number);

/** SSLCV_ERR_INVALID_ARGUMENT, with what in front: not UTF-8. */
sslcv_status sslcv__utf8_check(const char *string, const char *what);

#endif
