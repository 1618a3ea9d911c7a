/** Embedding for the functions that do it on somebody's behalf. */
#ifndef SSLCV__EMBED_H
#define SSLCV__EMBED_H

#include <sslcv/probe.h>

#include "core/error.h"

/**
 * Read and check options with all that they point at, but for what only running the networks can tell.
 *
 * @param name    For messages: "embed_options".
 * @param options Out: all fields; branches as given; count is not 0.
 * @param context Out: of the data set; all handles come from it.
 */
sslcv_status sslcv__embed_read(const sslcv_embed_options *given, const char *name, sslcv_embed_options *options,
                               sslcv_context **context);

/** One of its branches: all fields. */
sslcv_status sslcv__embed_read_branch(const sslcv_branch *given, sslcv_context *context, sslcv_branch *branch);

/** sslcv_embed_to_file() in parts of at most so many bytes of features, but of a batch at least. */
sslcv_status sslcv__embed_to_file(const sslcv_embed_options *options, const char *features_path,
                                  const char *labels_path, int64_t part_bytes);

#endif
