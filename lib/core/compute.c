#include "core/compute.h"

#include "core/context.h"

#include <omp.h>
#include <unistd.h>

#if defined(__SSE2__)
#include <immintrin.h>
enum { FLUSH_BITS = 0x8040 }; /* MXCSR: flush results to zero, take denormal inputs as zero */

static int32_t flush_bits(void)
{
    return (int32_t)(_mm_getcsr() & FLUSH_BITS);
}

static void set_flush_bits(int32_t bits)
{
    _mm_setcsr((_mm_getcsr() & ~(unsigned)FLUSH_BITS) | (unsigned)bits);
}
#else
enum { FLUSH_BITS = 0 };

static int32_t flush_bits(void)
{
    return 0;
}

static void set_flush_bits(int32_t bits)
{
    (void)bits;
}
#endif

/* The control register is each thread's own: the pool's threads must be told one by one. */
static void set_flush_bits_everywhere(int32_t bits)
{
#pragma omp parallel
    set_flush_bits(bits);
}

sslcv_status sslcv__compute_begin(sslcv_context *context, sslcv__compute *frame)
{
    const int process = (int)getpid();
    const int before = atomic_exchange(&context->computed_in, process);
    const int threads = omp_get_max_threads();

    frame->threads_before = 0;
    frame->active = 0;
    if (before != 0 && before != process) {
        atomic_store(&context->computed_in, before);
        return sslcv__fail(SSLCV_ERR_STATE,
                           "process %d is a fork of process %d, which has computed with this context; compute "
                           "in the parent, or before it forks",
                           process, before);
    }
    if (threads != context->threads) {
        /* A setting of the calling thread alone, put back at the end; oneDNN offers no other way. */
        frame->threads_before = threads;
        omp_set_num_threads(context->threads);
    }
    frame->active = 1;
    frame->dynamic_before = omp_get_dynamic();
    if (frame->dynamic_before) omp_set_dynamic(0);
    frame->flush_before = flush_bits();
    set_flush_bits_everywhere(FLUSH_BITS);
    return SSLCV_OK;
}

void sslcv__compute_end(const sslcv__compute *frame)
{
    if (!frame->active) return;
    set_flush_bits_everywhere(frame->flush_before);
    if (frame->dynamic_before) omp_set_dynamic(1);
    if (frame->threads_before) omp_set_num_threads(frame->threads_before);
}
