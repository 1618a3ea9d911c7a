#include "core/compute.h"

#include "core/context.h"
#include "core/openmp.h"

#include <stdatomic.h>
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

/* The process that has computed, 0: none yet. OpenMP's threads serve all contexts, so no context can tell. */
static atomic_int computed_in;

/* The flush bits of the host, of each thread in a frame: a host may have given its pool's threads different ones. */
static _Thread_local int32_t host_bits, open_frames;

/* The control register is each thread's own: the pool's threads must be told one by one. */
static void set_flush_bits_everywhere(void)
{
#pragma omp parallel
    {
        if (open_frames++ == 0) host_bits = flush_bits();
        set_flush_bits(FLUSH_BITS);
    }
}

/* for_new: of threads that were not there when the frame began; they have inherited the bits of a thread in a frame. */
static void put_flush_bits_back(int32_t for_new)
{
#pragma omp parallel
    {
        if (open_frames == 0) {
            set_flush_bits(for_new);
        } else if (--open_frames == 0) {
            set_flush_bits(host_bits);
        }
    }
}

sslcv_status sslcv__compute_begin(sslcv_context *context, sslcv__compute *frame)
{
    const int process = (int)getpid();
    const int threads = omp_get_max_threads();
    int before = 0;

    frame->threads_before = 0;
    frame->active = 0;
    if (context->threads > 1 && omp_in_parallel()) {
        /* One thread would be given, and oneDNN's gradients of filters would wait for the others for ever. */
        return sslcv__fail(SSLCV_ERR_STATE,
                           "called inside of an OpenMP parallel region, where %d threads are not to be had; call from "
                           "outside, or give the context one thread",
                           context->threads);
    }
    if (!atomic_compare_exchange_strong(&computed_in, &before, process) && before != process) {
        return sslcv__fail(SSLCV_ERR_STATE,
                           "process %d is a fork of process %d, which has computed; compute in the parent, or fork "
                           "before it computes",
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
    set_flush_bits_everywhere();
    return SSLCV_OK;
}

void sslcv__compute_end(const sslcv__compute *frame)
{
    if (!frame->active) return;
    put_flush_bits_back(frame->flush_before);
    if (frame->dynamic_before) omp_set_dynamic(1);
    if (frame->threads_before) omp_set_num_threads(frame->threads_before);
}
