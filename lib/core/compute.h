/**
 * The frame around everything that computes: thread count, denormals flushed, no compute after a fork. All of it is
 * put back as it was, as the thread belongs to the host. Frames nest.
 *
 *     sslcv__compute frame;
 *     SSLCV__TRY(sslcv__compute_begin(context, &frame));
 *     ... oneDNN, "#pragma omp parallel for" ...
 *     sslcv__compute_end(&frame);
 *
 * Inside it OpenMP and oneDNN use the context's number of threads, from one pool, and never fewer: oneDNN's matrix
 * products leave the parts of missing threads undone. So OpenMP may not choose a number (OMP_DYNAMIC), and that of a
 * context is within OMP_THREAD_LIMIT from the start. Loader threads never open a frame.
 */
#ifndef SSLCV__COMPUTE_H
#define SSLCV__COMPUTE_H

#include "core/error.h"

#include <sslcv/context.h>

typedef struct sslcv__compute {
    int32_t  threads_before; /* 0: not changed */
    int32_t  active;         /* 1 from a begin that succeeded */
    int32_t  dynamic_before;
    int32_t  flush_before;   /* flush bits of the calling thread's control register */
} sslcv__compute;

/**
 * @return SSLCV_ERR_STATE in a child of a process that has computed, with whatever context: libgomp's threads do not
 *         survive a fork. Likewise inside of a parallel region, unless the context has one thread.
 */
sslcv_status sslcv__compute_begin(sslcv_context *context, sslcv__compute *frame);
void         sslcv__compute_end(const sslcv__compute *frame); /* nothing for a frame that is all 0, or was refused */

#endif
