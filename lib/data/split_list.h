/** Choices as text files: a sample name a line, or "#" and an index. */
#ifndef SSLCV__SPLIT_LIST_H
#define SSLCV__SPLIT_LIST_H

#include "data/dataset.h"

/**
 * Read a list.
 *
 * @param count  Samples that may be chosen, from the first on: a LIST may have grown since the caller looked.
 * @param chosen count: set to 1 for those of the list, else left as it is.
 * @return As sslcv_dataset_split(), with the line's number.
 */
sslcv_status sslcv__split_list_choose(const sslcv_dataset *dataset, const char *path, int64_t count,
                                      unsigned char *chosen);

#endif
