/* lib/core/compute.c: the frame puts the host's settings back, and refuses to compute after a fork. */
#include "support.h"

#include "core/compute.h"
#include "core/openmp.h"
#include "dnn/dnn.h"

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

static int exit_status_of(pid_t child)
{
    int status = 0;

    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
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

/* OpenMP may not give fewer threads than asked for: oneDNN would leave their work undone. */
START_TEST(frame_fixes_the_thread_count)
{
    sslcv_context *context = context_of(2);
    sslcv__compute outer, inner;
    int host;

    for (host = 1; host >= 0; host--) { /* leaves it off for the tests that follow */
        omp_set_dynamic(host);
        OK(sslcv__compute_begin(context, &outer));
        ck_assert_int_eq(omp_get_dynamic(), 0);
        OK(sslcv__compute_begin(context, &inner));
        sslcv__compute_end(&inner);
        ck_assert_int_eq(omp_get_dynamic(), 0);
        sslcv__compute_end(&outer);
        ck_assert_int_eq(omp_get_dynamic(), host);
    }
    sslcv_context_destroy(context);
}
END_TEST

/* What a process with OMP_THREAD_LIMIT=1 sees, outside of any test; 0: contexts know, and products are whole. */
static int compute_within_limit(void)
{
    enum { N = 64 };
    static float a[N * N], c[N * N];
    sslcv_context_options options;
    sslcv_context_info info = {.struct_size = sizeof info};
    sslcv_context *context = NULL;
    sslcv__compute frame;
    int wrong = 0, i;

    for (i = 0; i < N * N; i++) a[i] = 1.0f;
    if (sslcv_context_options_init(&options, sizeof options) != SSLCV_OK) return 2;
    options.threads = 2;
    if (sslcv_context_create(&options, &context) != SSLCV_OK) return 2;
    if (sslcv_context_get_info(context, &info) != SSLCV_OK) return 2;
    if (sslcv__compute_begin(context, &frame) != SSLCV_OK) return 2;
    if (sslcv__gemm(0, 0, N, N, N, 1.0f, a, N, a, N, 0.0f, c, N) != SSLCV_OK) return 2;
    sslcv__compute_end(&frame);
    for (i = 0; i < N * N; i++) wrong += c[i] != (float)N;
    sslcv_context_destroy(context);
    return info.threads == 1 && wrong == 0 ? 0 : 1;
}

static const char *own_path;

START_TEST(threads_stay_within_the_limit)
{
    const pid_t child = fork();

    if (child == 0) {
        setenv("OMP_THREAD_LIMIT", "1", 1);
        execl(own_path, own_path, "--within-limit", (char *)NULL);
        _exit(3);
    }
    ck_assert_int_eq(exit_status_of(child), 0);
}
END_TEST

#if defined(__SSE2__)
static int can_flush(void)
{
    _mm_setcsr(_mm_getcsr() | 0x8040);
    return (_mm_getcsr() & 0x8040) == 0x8040;
}

/* Without OpenMP of its own the library only has the calling thread to speak of. */
#if defined(_OPENMP)
enum { TEAM = 2 };
#else
enum { TEAM = 1 };
#endif

/* How many of a team get something else than 0 from a product below the normal floats. */
static int threads_with_denormals(void)
{
    int count = 0;

#pragma omp parallel num_threads(TEAM) reduction(+ : count)
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
    if (host_flags[_i] == 0) ck_assert_int_eq(threads_with_denormals(), TEAM);
    memset(&inner, 0, sizeof inner); /* a frame that was never begun */
    sslcv__compute_end(&inner);
    ck_assert_uint_eq(_mm_getcsr() & mask, host);
    sslcv_context_destroy(context);
}
END_TEST
#endif

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

/* A process of its own, as others of this suite may have computed in this one; 0: the child computes, and the parent. */
static int fork_first(void)
{
    sslcv_context_options options;
    sslcv_context *context = NULL;
    sslcv__compute frame;
    pid_t child;

    if (sslcv_context_options_init(&options, sizeof options) != SSLCV_OK) return 2;
    options.threads = 2;
    if (sslcv_context_create(&options, &context) != SSLCV_OK) return 2;
    child = fork();
    if (sslcv__compute_begin(context, &frame) != SSLCV_OK) return 1;
    sslcv__compute_end(&frame);
    if (child == 0) _exit(0);
    sslcv_context_destroy(context);
    return exit_status_of(child);
}

static int run_own(const char *mode)
{
    const pid_t child = fork();

    if (child == 0) {
        execl(own_path, own_path, mode, (char *)NULL);
        _exit(3);
    }
    return exit_status_of(child);
}

START_TEST(fork_before_compute_is_fine)
{
    ck_assert_int_eq(run_own("--fork-first"), 0);
}
END_TEST

/* OpenMP's threads serve all contexts of a process: one that is made in the child is refused too. */
START_TEST(new_context_in_a_fork_may_not_compute)
{
    sslcv_context *context = context_of(2);
    sslcv__compute frame;
    pid_t child;

    OK(sslcv__compute_begin(context, &frame));
    sslcv__compute_end(&frame);
    if ((child = fork()) == 0) _exit(refused_in_child(context_of(1)));
    ck_assert_int_eq(exit_status_of(child), 0);
    sslcv_context_destroy(context);
}
END_TEST

/* There a region of ours would get one thread. */
START_TEST(refused_inside_of_a_parallel_region)
{
    sslcv_context *one = context_of(1), *two = context_of(2);
    int refused = 0, done = 0;

#pragma omp parallel num_threads(2) reduction(+ : refused, done)
    {
        sslcv__compute frame;

        refused += sslcv__compute_begin(two, &frame) == SSLCV_ERR_STATE &&
                   strstr(sslcv_last_error(), "inside of an OpenMP parallel region");
        sslcv__compute_end(&frame);
        done += sslcv__compute_begin(one, &frame) == SSLCV_OK;
        sslcv__compute_end(&frame);
    }
    ck_assert_int_eq(refused, 2);
    ck_assert_int_eq(done, 2);
    sslcv_context_destroy(one);
    sslcv_context_destroy(two);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite;
    TCase *frames;

    if (argc > 1 && strcmp(argv[1], "--within-limit") == 0) return compute_within_limit();
    if (argc > 1 && strcmp(argv[1], "--fork-first") == 0) return fork_first();
    own_path = argv[0];
    suite = suite_create("compute");
    frames = tcase_create("frames");
    tcase_add_test(frames, frame_puts_the_thread_count_back);
    tcase_add_test(frames, frame_fixes_the_thread_count);
    tcase_add_test(frames, threads_stay_within_the_limit);
#if defined(__SSE2__)
    tcase_add_loop_test(frames, frame_puts_the_control_register_back, 0, sizeof host_flags / sizeof host_flags[0]);
#endif
    tcase_add_test(frames, forked_child_may_not_compute);
    tcase_add_test(frames, fork_before_compute_is_fine);
    tcase_add_test(frames, new_context_in_a_fork_may_not_compute);
    tcase_add_test(frames, refused_inside_of_a_parallel_region);
    suite_add_tcase(suite, frames);
    return run_suite(suite);
}
