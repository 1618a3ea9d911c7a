/* lib/core/compute.c: the frame puts the host's settings back, and refuses to compute after a fork. */
#include "support.h"

#include "core/compute.h"

#include <omp.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

static sslcv_context *context_of(int32_t threads)
{
    sslcv_context_options options;
    sslcv_context *context = NULL;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = threads;
    OK(sslcv_context_create(&options, &context));
    return context;
}

START_TEST(frame_puts_the_thread_count_back)
{
    sslcv_context *two = context_of(2), *one = context_of(1);
    sslcv__compute outer, inner;

    omp_set_num_threads(3);
    OK(sslcv__compute_begin(two, &outer));
    ck_assert_int_eq(omp_get_max_threads(), 2);
    OK(sslcv__compute_begin(one, &inner));
    ck_assert_int_eq(omp_get_max_threads(), 1);
    sslcv__compute_end(&inner);
    ck_assert_int_eq(omp_get_max_threads(), 2);
    sslcv__compute_end(&outer);
    ck_assert_int_eq(omp_get_max_threads(), 3);
    sslcv_context_destroy(one);
    sslcv_context_destroy(two);
}
END_TEST

#if defined(__SSE2__)
static int can_flush(void)
{
    _mm_setcsr(_mm_getcsr() | 0x8040);
    return (_mm_getcsr() & 0x8040) == 0x8040;
}

/* How many of two threads get something else than 0 from a product below the normal floats. */
static int threads_with_denormals(void)
{
    int count = 0;

#pragma omp parallel num_threads(2) reduction(+ : count)
    {
        volatile float tiny = 1e-30f;
        volatile float product = tiny * 1e-10f;

        count += product != 0.0f;
    }
    return count;
}

/* The host's own flags: none, flush to zero alone, denormals are zero alone, both. */
static const unsigned host_flags[] = {0, 0x8000, 0x0040, 0x8040};

START_TEST(frame_puts_the_control_register_back)
{
    const unsigned mask = ~0x3Fu; /* without the sticky exceptions */
    const unsigned host = (_mm_getcsr() & mask & ~0x8040u) | host_flags[_i];
    sslcv_context *context = context_of(2);
    sslcv__compute outer, inner;

    if (!can_flush()) { /* valgrind leaves these bits alone */
        sslcv_context_destroy(context);
        return;
    }
    _mm_setcsr(host);
    OK(sslcv__compute_begin(context, &outer));
    ck_assert_uint_eq(_mm_getcsr() & 0x8040, 0x8040);
    ck_assert_int_eq(threads_with_denormals(), 0);
    OK(sslcv__compute_begin(context, &inner));
    sslcv__compute_end(&inner);
    ck_assert_uint_eq(_mm_getcsr() & 0x8040, 0x8040);
    sslcv__compute_end(&outer);
    ck_assert_uint_eq(_mm_getcsr() & mask, host);
    if (host_flags[_i] == 0) ck_assert_int_eq(threads_with_denormals(), 2);
    memset(&inner, 0, sizeof inner); /* a frame that was never begun */
    sslcv__compute_end(&inner);
    ck_assert_uint_eq(_mm_getcsr() & mask, host);
    sslcv_context_destroy(context);
}
END_TEST
#endif

static int exit_status_of(pid_t child)
{
    int status = 0;

    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What a child sees: 0 when compute is refused, every time, and the message names the parent. Destroys the context. */
static int refused_in_child(sslcv_context *context)
{
    char parent[32];
    sslcv__compute frame;
    int refused;

    snprintf(parent, sizeof parent, "fork of process %d", (int)getppid());
    refused = sslcv__compute_begin(context, &frame) == SSLCV_ERR_STATE && strstr(sslcv_last_error(), parent) &&
              sslcv__compute_begin(context, &frame) == SSLCV_ERR_STATE;
    if (refused) sslcv__compute_end(&frame); /* as a common exit does */
    sslcv_context_destroy(context);
    return refused ? 0 : 1;
}

START_TEST(forked_child_may_not_compute)
{
    sslcv_context *context = context_of(2);
    sslcv__compute frame;
    pid_t child;

    OK(sslcv__compute_begin(context, &frame));
    sslcv__compute_end(&frame);
    if ((child = fork()) == 0) _exit(refused_in_child(context));
    ck_assert_int_eq(exit_status_of(child), 0);
    OK(sslcv__compute_begin(context, &frame)); /* the parent goes on */
    sslcv__compute_end(&frame);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(fork_before_compute_is_fine)
{
    sslcv_context *context = context_of(1);
    sslcv__compute frame;
    pid_t child;

    if ((child = fork()) == 0) {
        const int refused = refused_in_child(context);

        _exit(refused ? 0 : 1);
    }
    ck_assert_int_eq(exit_status_of(child), 0);
    OK(sslcv__compute_begin(context, &frame));
    sslcv__compute_end(&frame);
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compute");
    TCase *frames = tcase_create("frames");

    tcase_add_test(frames, frame_puts_the_thread_count_back);
#if defined(__SSE2__)
    tcase_add_loop_test(frames, frame_puts_the_control_register_back, 0, sizeof host_flags / sizeof host_flags[0]);
#endif
    tcase_add_test(frames, forked_child_may_not_compute);
    tcase_add_test(frames, fork_before_compute_is_fine);
    suite_add_tcase(suite, frames);
    return run_suite(suite);
}
