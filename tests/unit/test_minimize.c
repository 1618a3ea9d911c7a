/* L-BFGS on functions whose least value is known. */
#include "probe_support.h"

#include "eval/minimize.h"

static double rosenbrock(void *user, const double *x, double *gradient)
{
    const double a = 1 - x[0], b = x[1] - x[0] * x[0];
    int i;

    ++*(int *)user;
    gradient[0] = -2 * a - 400 * x[0] * b;
    gradient[1] = 200 * b;
    for (i = 2; i < 8; i++) gradient[i] = 0;
    return a * a + 100 * b * b;
}

/* What a tiny C makes of weights. */
static double steep(void *user, const double *x, double *gradient)
{
    double sum = 0;
    int i;

    (void)user;
    for (i = 0; i < 8; i++) {
        sum += 0.5e30 * x[i] * x[i];
        gradient[i] = 1e30 * x[i];
    }
    return sum;
}

static double not_finite(void *user, const double *x, double *gradient)
{
    (void)x, (void)user;
    gradient[0] = 1;
    return NAN;
}

START_TEST(minimize_rosenbrock)
{
    _Alignas(64) double x[8] = {-1.2, 1};
    sslcv_context *context = make_context(1, NULL);
    sslcv__minimum minimum;
    int calls = 0, before;

    OK(sslcv__minimize(context, rosenbrock, &calls, 5, 1e-8, x, 8, &minimum));
    ck_assert(minimum.iterations == 5 && minimum.converged == 0);
    OK(sslcv__minimize(context, rosenbrock, &calls, 1000, 1e-8, x, 8, &minimum));
    CLOSE(x[0], 1, 1e-7);
    CLOSE(x[1], 1, 1e-7);
    ck_assert(minimum.converged == 1 && minimum.iterations > 5 && minimum.iterations < 100);
    before = calls;
    OK(sslcv__minimize(context, rosenbrock, &calls, 1000, 1e-8, x, 8, &minimum)); /* is there */
    ck_assert(minimum.converged == 1 && minimum.iterations == 0 && calls <= before + 2);
    OK(sslcv__minimize(context, rosenbrock, &calls, 1000, 0, x, 8, &minimum)); /* as near as rounding lets */
    ck_assert(minimum.converged == 1);
    OK(sslcv__minimize(context, steep, NULL, 100, 0, x, 8, &minimum));
    CLOSE(x[0], 0, 1e-12);
    FAILS(sslcv__minimize(context, not_finite, NULL, 10, 0, x, 8, &minimum), SSLCV_ERR_NUMERIC, "objective is");
    sslcv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("minimize");
    TCase *minimize = add_case(suite, "minimize");

    if (sslcv__minimize_check() == SSLCV_OK) tcase_add_test(minimize, minimize_rosenbrock); /* else without liblbfgs */
    return run_suite(suite);
}
