/**
 * One load of a file into a state, in three steps, before anything of the state changes:
 *
 *     load_names.c    whose names are these? -> found, numbers of the report
 *     load_values.c   do shapes and dtypes fit? -> adapted; all values staged, then taken at once
 *     load.c          the public calls, options, the report
 */
#ifndef SSLCV__LOAD_H
#define SSLCV__LOAD_H

#include "io/tensor_file.h"
#include "nn/naming.h"
#include "nn/state.h"

typedef struct sslcv__load {
    sslcv_context *context;
    sslcv_state *state;
    sslcv_load_options options;
    sslcv__tensor_file file;
    const char *prefix;
    const char *layout;
    int32_t style; /* SSLCV__STYLE_* */
    int32_t reserved;
    sslcv__tensor_entry **found; /* for each tensor of the state, NULL: not in the file, or the role is not asked for */
    sslcv_load_report report;
    int64_t wanted; /* tensors of ours that the roles choose */
} sslcv__load;

/** Is this tensor of the state of the roles that are asked for? */
int sslcv__load_is_wanted(const sslcv__load *l, int64_t index);

/** Is this tensor of the file among those that were looked at, but not ours? */
int sslcv__load_is_unexpected(const sslcv__load *l, const sslcv__tensor_entry *entry);

/** "num_batches_tracked" of some norm? */
int sslcv__load_is_counter(const char *name);

/** Find prefix, style and layout, fill found and the report's numbers. SSLCV_ERR_NOT_FOUND: an npy file for many. */
sslcv_status sslcv__load_match(sslcv__load *l);

/** SSLCV_ERR_NOT_FOUND: names that must be there are not; SSLCV_ERR_FORMAT: a checkpoint of another trainer. */
sslcv_status sslcv__load_check_names(const sslcv__load *l);
sslcv_status sslcv__load_check_metadata(const sslcv__load *l); /* of a trainer's state */

/** Will its channels be adapted? */
int sslcv__load_is_adapted(const sslcv__load *l, int64_t index);

/** SSLCV_ERR_FORMAT: a shape or dtype differs. Counts what is adapted. */
sslcv_status sslcv__load_check_fits(sslcv__load *l);

/** All values that were found, or none. */
sslcv_status sslcv__load_take(const sslcv__load *l);

#endif
