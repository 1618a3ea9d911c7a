/**
 * All memory of the library. It comes from the context's allocator, is aligned to 64 bytes, and is counted there.
 * Allowed on any thread, also on loader threads.
 */
#ifndef SSLCV__MEMORY_H
#define SSLCV__MEMORY_H

#include <sslcv/context.h>

/** bytes >= 0; 0 gives a pointer that must be freed too. On failure *memory is NULL and the message is set. */
sslcv_status sslcv__alloc(sslcv_context *context, int64_t bytes, void **memory);

/** count * size bytes, overflow checked, zeroed. */
sslcv_status sslcv__alloc_array(sslcv_context *context, int64_t count, int64_t size, void **memory);

/** Room for count elements of size in an array that holds old_count; contents kept; *memory untouched on failure. */
sslcv_status sslcv__grow_array(sslcv_context *context, int64_t old_count, int64_t count, int64_t size, void **memory);

/** A copy of text with its 0; NULL gives NULL. */
sslcv_status sslcv__copy_text(sslcv_context *context, const char *text, char **copy);

void sslcv__free(sslcv_context *context, void *memory); /* NULL is accepted */

#endif
