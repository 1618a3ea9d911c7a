/** A backbone in a file of weights: under which prefix it stands, and in whose names. */
#ifndef SSLCV__BACKBONE_FILE_H
#define SSLCV__BACKBONE_FILE_H

#include <sslcv/state.h>

#include "nn/naming.h"

typedef struct sslcv__network {
    const sslcv_state *file; /* all of its tensors; borrowed, as is path */
    const char *path;        /* for messages */
    char prefix[SSLCV__NAME_SIZE];
    int32_t style; /* SSLCV__STYLE_* */
    int32_t reserved;
} sslcv__network;

/**
 * Find it: behind the caller's prefix, else the first known one, else the only one.
 *
 * @param n      file and path are set. Out: prefix and style.
 * @param prefix NULL: any.
 * @param known  Out: 1 when sslcv_state_load() will find the same prefix by itself.
 * @return SSLCV_ERR_UNSUPPORTED (no network; or several with prefixes that are not known).
 */
sslcv_status sslcv__network_locate(sslcv__network *n, const char *prefix, int32_t *known);

/** name: one of ours. 0: there is none; entry is then undefined. */
int sslcv__network_find(const sslcv__network *n, const char *name, sslcv_state_entry *entry);
int sslcv__network_has(const sslcv__network *n, const char *name);
int sslcv__network_convolution(const sslcv__network *n, const char *name, sslcv_state_entry *entry); /* of 4 axes */

/** SSLCV_ERR_UNSUPPORTED: the network has layers that ours, whose tensors these are, lacks. */
sslcv_status sslcv__network_check_body(const sslcv__network *n, const sslcv_state *ours);

#endif
