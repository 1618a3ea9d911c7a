/**
 * What the checks of guest manners let the library do: a shared library of its own, so that it can be linked, opened
 * and closed at run time, and bound to another copy of the library.
 */
#ifndef GUEST_WORK_H
#define GUEST_WORK_H

#include <stdint.h>

enum { GUEST_PICTURES = 24, GUEST_SIZE = 32, GUEST_VALUES = 64 };

typedef struct guest_options {
    int32_t     threads, loader_threads;
    const char *folder;       /* files are written here */
    void (*during)(void);     /* called in the middle, while loader threads are alive; NULL: nothing */
    void      (*after_step)(void); /* called after a training step, by a hook; NULL: nothing */
} guest_options;

/**
 * One program's life: pictures good and damaged, training with scalars and a checkpoint, files written and read again,
 * features, probes, clusters, calls that fail.
 *
 * @param values GUEST_VALUES numbers that depend on all of it: the same bits each time.
 * @return 0, or the line that failed; guest_error() has the message.
 */
typedef int guest_work_function(const guest_options *options, float *values);
typedef const char *guest_error_function(void);

int         guest_work(const guest_options *options, float *values);
const char *guest_error(void);

/** A context, and an augmenter made from it; to be given to another copy. guest_destroy() takes both back. */
int  guest_make(void **context, void **augmenter);
void guest_destroy(void *context, void *augmenter);
/** Whether handles of another copy are refused by status and message, whatever is asked of them. 0: all are. */
int guest_refuses(void *context, void *augmenter);

#endif
