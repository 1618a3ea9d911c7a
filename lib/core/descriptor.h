/** Descriptors that are never the host's standard ones. Any thread. */
#ifndef SSLCV__DESCRIPTOR_H
#define SSLCV__DESCRIPTOR_H

#include <dirent.h>

/**
 * open() that goes on after a signal, closes the file in programs that the host starts, and never gives 0, 1 or 2: a
 * host may have closed those, and what it prints must not land in a file of ours.
 *
 * @param flags Of open(). A new file gets the rights that the host's umask leaves.
 * @return A descriptor, 3 or more; -1: errno tells.
 */
int sslcv__open(const char *path, int flags);

/** opendir() by such a descriptor; closedir() closes both. NULL: errno tells. */
DIR *sslcv__open_folder(const char *path);

#endif
