/** What all suites share. Check forks: nothing may compute outside of tests and checked fixtures. */
#ifndef SSLCV__TESTS_SUPPORT_H
#define SSLCV__TESTS_SUPPORT_H

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sslcv/context.h>

/** The call succeeds, or the test fails with the library's message. */
#define OK(call)                                                                                                       \
    do {                                                                                                               \
        const sslcv_status ok_status = (call);                                                                         \
        ck_assert_msg(ok_status == SSLCV_OK, "%s: %s (%s)", #call, sslcv_status_string(ok_status),                     \
                      sslcv_last_error());                                                                             \
    } while (0)

/** The call fails with this status, and the message has this text. */
#define FAILS(call, expected, text)                                                                                    \
    do {                                                                                                               \
        const sslcv_status fails_status = (call);                                                                      \
        ck_assert_msg(fails_status == (expected), "%s gives %s, not %s (%s)", #call,                                   \
                      sslcv_status_string(fails_status), sslcv_status_string(expected), sslcv_last_error());           \
        ck_assert_msg(strstr(sslcv_last_error(), (text)) != NULL, "%s: \"%s\" is not in \"%s\"", #call, (text),        \
                      sslcv_last_error());                                                                             \
    } while (0)

/** |value - expected| <= tolerance * max(1, |expected|). */
#define CLOSE(value, expected, tolerance)                                                                              \
    do {                                                                                                               \
        const double close_value = (value), close_expected = (expected);                                               \
        ck_assert_msg(fabs(close_value - close_expected) <= (tolerance)*fmax(1.0, fabs(close_expected)),               \
                      "%s is %.9g; expected %.9g within %g", #value, close_value, close_expected,                      \
                      (double)(tolerance));                                                                            \
    } while (0)

/** The generator of golden inputs: s0 = 1000 * seed + 7, s <- (1103515245 s + 12345) mod 2^31, value s / 2^31 - 0.5. */
static inline void golden_input(int64_t seed, int64_t count, float *values)
{
    uint64_t s = (uint64_t)(1000 * seed + 7);
    int64_t i;

    for (i = 0; i < count; i++) {
        s = (1103515245u * s + 12345u) % 2147483648u;
        values[i] = (float)((double)s / 2147483648.0 - 0.5);
    }
}

/** A context whose results are compared with f32 ones, also where AUTO would choose bf16. */
static inline sslcv_context *f32_context(void)
{
    sslcv_context_options options;
    sslcv_context *context;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.precision = SSLCV_PRECISION_F32;
    OK(sslcv_context_create(&options, &context));
    return context;
}

/** Runs one suite; the exit status of a test program. */
static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
