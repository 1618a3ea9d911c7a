/* lib/core/rng.c: known answers of Philox, distributions, independence of streams. */
#include "support.h"

#include "core/rng.h"

/* Philox4x32-10: counter, key, block; Random123's own known answers (tests/kat_vectors of its source). */
static const struct philox_answer {
    uint32_t counter[4], key[2], block[4];
} philox_answers[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

START_TEST(philox_gives_known_answers)
{
    const struct philox_answer *answer = &philox_answers[_i];
    sslcv__rng rng;
    int i;

    sslcv__rng_init(&rng, 0, 0, 0);
    memcpy(rng.counter, answer->counter, sizeof rng.counter);
    memcpy(rng.key, answer->key, sizeof rng.key);
    for (i = 0; i < 4; i++) ck_assert_uint_eq(sslcv__rng_u32(&rng), answer->block[i]);
}
END_TEST

START_TEST(streams_are_named_by_all_their_numbers)
{
    static const struct {
        uint64_t seed, a;
        uint32_t b;
    } names[] = {{0, 0, 0}, {1, 0, 0}, {(uint64_t)1 << 32, 0, 0}, {0, 1, 0}, {0, (uint64_t)1 << 32, 0}, {0, 0, 1}};
    uint64_t first[6], derived[6];
    sslcv__rng rng;
    int i, j;

    for (i = 0; i < 6; i++) {
        sslcv__rng_init(&rng, names[i].seed, names[i].a, names[i].b);
        first[i] = sslcv__rng_u64(&rng);
        derived[i] = sslcv__rng_derive(names[i].seed, names[i].a, names[i].b);
        for (j = 0; j < i; j++) {
            ck_assert_uint_ne(first[i], first[j]);
            ck_assert_uint_ne(derived[i], derived[j]);
        }
        for (j = 0; j <= i; j++) ck_assert_uint_ne(derived[i], first[j]);
    }
    sslcv__rng_init(&rng, 1, 0, 0);
    ck_assert_uint_eq(sslcv__rng_u64(&rng), first[1]);
    for (i = 0; i < 100; i++) ck_assert_uint_ne(sslcv__rng_u64(&rng), first[1]); /* later blocks differ */
}
END_TEST

START_TEST(draws_have_their_distribution)
{
    enum { N = 100000 };
    double sum = 0, squares = 0, normal_sum = 0, normal_squares = 0, fourth = 0;
    int64_t counts[7] = {0};
    sslcv__rng rng;
    int i;

    sslcv__rng_init(&rng, 5, 0, 0);
    for (i = 0; i < N; i++) {
        const double u = sslcv__rng_uniform(&rng), r = sslcv__rng_range(&rng, -2, 3), z = sslcv__rng_normal(&rng);
        const int64_t k = sslcv__rng_below(&rng, 7);

        ck_assert(u >= 0 && u < 1 && r >= -2 && r < 3 && k >= 0 && k < 7 && isfinite(z));
        sum += u;
        squares += u * u;
        normal_sum += z;
        normal_squares += z * z;
        fourth += z * z * z * z;
        counts[k]++;
    }
    /* Five deviations of each mean's own spread. */
    ck_assert_double_eq_tol(sum / N, 0.5, 5 * sqrt(1.0 / 12 / N));
    ck_assert_double_eq_tol(squares / N, 1.0 / 3, 5 * sqrt(4.0 / 45 / N));
    ck_assert_double_eq_tol(normal_sum / N, 0, 5 * sqrt(1.0 / N));
    ck_assert_double_eq_tol(normal_squares / N, 1, 5 * sqrt(2.0 / N));
    ck_assert_double_eq_tol(fourth / N, 3, 5 * sqrt(96.0 / N));
    for (i = 0; i < 7; i++) ck_assert_double_eq_tol((double)counts[i] / N, 1.0 / 7, 5 * sqrt(6.0 / 49 / N));
    for (i = 0; i < 10; i++) ck_assert_int_eq(sslcv__rng_below(&rng, 1), 0);
    ck_assert_int_ge(sslcv__rng_below(&rng, INT64_MAX), 0);
}
END_TEST

START_TEST(permutations_are_even)
{
    int64_t order[3], counts[27] = {0}, seen = 0;
    sslcv__rng rng;
    int i;

    sslcv__rng_init(&rng, 9, 0, 0);
    for (i = 0; i < 6000; i++) {
        sslcv__rng_permutation(&rng, order, 3);
        ck_assert_int_eq((1 << order[0]) | (1 << order[1]) | (1 << order[2]), 7);
        counts[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    for (i = 0; i < 27; i++) {
        if (counts[i] == 0) continue;
        seen++;
        ck_assert_double_eq_tol((double)counts[i], 1000, 150);
    }
    ck_assert_int_eq(seen, 6);
    sslcv__rng_permutation(&rng, order, 1);
    ck_assert_int_eq(order[0], 0);
    sslcv__rng_permutation(&rng, NULL, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("random numbers");
    TCase *streams = tcase_create("streams");

    tcase_add_loop_test(streams, philox_gives_known_answers, 0, sizeof philox_answers / sizeof philox_answers[0]);
    tcase_add_test(streams, streams_are_named_by_all_their_numbers);
    tcase_add_test(streams, draws_have_their_distribution);
    tcase_add_test(streams, permutations_are_even);
    suite_add_tcase(suite, streams);
    return run_suite(suite);
}
