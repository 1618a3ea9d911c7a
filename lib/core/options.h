/**
 * One reader and one writer for every struct that crosses the interface. All such structs begin with size_t
 * struct_size, the size as the caller's header has it:
 *
 *     caller's struct   |#########|              older header: what it lacks keeps its default
 *     ours              |#############|
 *     caller's struct   |#############00000|     newer header: what we do not know must be 0
 */
#ifndef SSLCV__OPTIONS_H
#define SSLCV__OPTIONS_H

#include "core/error.h"

/**
 * Fill a caller's options struct with defaults, never beyond struct_size.
 *
 * @param what     Name for messages: "context_options".
 * @param minimum  Size of the struct in version 0.1.
 * @param defaults size bytes; its struct_size does not matter.
 */
sslcv_status sslcv__options_init(const char *what, void *options, size_t struct_size, size_t minimum,
                                 const void *defaults, size_t size);

/**
 * Read a caller's options struct (or a struct that a caller fills, such as a branch).
 *
 * @param options NULL leaves copy as it is.
 * @param copy    In: size bytes of defaults. Out: the caller's values in front; its struct_size is size.
 * @return SSLCV_ERR_UNSUPPORTED when bytes beyond size are not 0.
 */
sslcv_status sslcv__options_read(const char *what, const void *options, size_t minimum, void *copy, size_t size);

/** Fill a caller's info struct, whose struct_size the caller has set, from a full one; what lies beyond becomes 0. */
sslcv_status sslcv__struct_fill(const char *what, void *out, size_t minimum, const void *full, size_t size);

/** Check a caller's info struct before the work is done whose result will fill it. */
sslcv_status sslcv__struct_check(const char *what, const void *out, size_t minimum);

#endif
