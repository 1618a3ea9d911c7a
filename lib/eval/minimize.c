#include "eval/minimize.h"

#include "core/context.h"
#include "core/memory.h"

#ifndef SSLCV__LIBLBFGS

static sslcv_status missing(void)
{
    return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "logistic regression needs liblbfgs (Debian's liblbfgs-dev), which was "
                                              "not there when this library was built");
}

sslcv_status sslcv__minimize_check(void)
{
    return missing();
}

sslcv_status sslcv__minimize(sslcv_context *context, sslcv__function function, void *user, int64_t iterations,
                             double tolerance, double *x, int64_t count, sslcv__minimum *minimum)
{
    (void)context, (void)function, (void)user, (void)iterations, (void)tolerance, (void)x, (void)count, (void)minimum;
    return missing();
}

#else

#include <lbfgs.h>
#include <math.h>
#include <string.h>

#if LBFGS_FLOAT != 64
#error "liblbfgs must be one of double precision"
#endif

enum { STOP_CONVERGED = 1, STOP_FAILED, CORRECTIONS = 10 };

typedef struct search {
    sslcv_context *context;
    sslcv__function function;
    void *user;
    double *gradient; /* count; liblbfgs aligns its own less */
    double tolerance;
    double value;       /* at the last x */
    int64_t iterations; /* done, in all runs */
    int64_t evaluations;
    sslcv_status status;
} search;

static double largest_of(const lbfgsfloatval_t *values, int count)
{
    double largest = 0;
    int i;

    for (i = 0; i < count; i++) largest = fabs(values[i]) > largest ? fabs(values[i]) : largest;
    return largest;
}

/* After a failure: lower than all before and flat, which ends a line search; call_progress() then ends the rest. */
static lbfgsfloatval_t give_up(lbfgsfloatval_t *gradient, int count)
{
    memset(gradient, 0, (size_t)count * sizeof *gradient);
    return -1e300;
}

static lbfgsfloatval_t call_function(void *instance, const lbfgsfloatval_t *x, lbfgsfloatval_t *gradient,
                                     const int count, const lbfgsfloatval_t step)
{
    search *s = instance;

    (void)step;
    if (s->status == SSLCV_OK) s->status = sslcv__context_check_cancel(s->context);
    if (s->status != SSLCV_OK) return give_up(gradient, count);
    s->value = s->function(s->user, x, s->gradient);
    if (!isfinite(s->value)) {
        s->status =
            sslcv__fail(SSLCV_ERR_NUMERIC, "logistic regression's objective is %g; standardize the features", s->value);
        return give_up(gradient, count);
    }
    memcpy(gradient, s->gradient, (size_t)count * sizeof *gradient);
    /* Where nothing is to be done, liblbfgs would still go a step: it stops only at a gradient of 0. */
    if (s->evaluations++ == 0 && largest_of(gradient, count) <= s->tolerance) {
        memset(gradient, 0, (size_t)count * sizeof *gradient);
    }
    return s->value;
}

static int call_progress(void *instance, const lbfgsfloatval_t *x, const lbfgsfloatval_t *gradient,
                         const lbfgsfloatval_t value, const lbfgsfloatval_t x_norm, const lbfgsfloatval_t gradient_norm,
                         const lbfgsfloatval_t step, int count, int iteration, int evaluations)
{
    search *s = instance;

    (void)x, (void)value, (void)x_norm, (void)gradient_norm, (void)step, (void)iteration, (void)evaluations;
    if (s->status != SSLCV_OK) return STOP_FAILED;
    s->iterations++;
    return largest_of(gradient, count) <= s->tolerance ? STOP_CONVERGED : 0;
}

/* Did a line search find nothing lower? x is then as before it. */
static int is_stuck(int result)
{
    switch (result) {
    case LBFGSERR_OUTOFINTERVAL:
    case LBFGSERR_INCORRECT_TMINMAX:
    case LBFGSERR_ROUNDING_ERROR:
    case LBFGSERR_MINIMUMSTEP:
    case LBFGSERR_MAXIMUMSTEP:
    case LBFGSERR_MAXIMUMLINESEARCH:
    case LBFGSERR_WIDTHTOOSMALL:
    case LBFGSERR_INVALIDPARAMETERS:
    case LBFGSERR_INCREASEGRADIENT: return 1;
    default: return 0;
    }
}

sslcv_status sslcv__minimize_check(void)
{
    return SSLCV_OK;
}

/* Runs until one converges, none gets further, or iterations are out: what stops one may be its corrections, which the
   next begins without. */
static sslcv_status run(search *s, int64_t iterations, double *x, int64_t count, sslcv__minimum *minimum)
{
    lbfgs_parameter_t parameters;

    lbfgs_parameter_init(&parameters);
    parameters.m = CORRECTIONS;
    parameters.epsilon = 0; /* tolerance decides, in call_progress() */
    /* The first step is 1 / |gradient|, and a tiny C makes a gradient of any size. */
    parameters.min_step = 0;
    parameters.max_step = 1e300;
    for (;;) {
        const int64_t before = s->iterations;
        double value;
        int result;

        parameters.max_iterations = (int)(iterations - before);
        result = lbfgs((int)count, x, &value, call_function, call_progress, s, &parameters);
        if (s->status != SSLCV_OK) return s->status;
        if (result == LBFGSERR_OUTOFMEMORY) {
            return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "liblbfgs has no memory for %lld parameters", (long long)count);
        }
        minimum->converged = result >= 0 || (is_stuck(result) && s->iterations == before);
        if (minimum->converged || result == LBFGSERR_MAXIMUMITERATION || s->iterations >= iterations) break;
        if (!is_stuck(result)) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "liblbfgs fails with %d on %lld parameters", result,
                               (long long)count);
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv__minimize(sslcv_context *context, sslcv__function function, void *user, int64_t iterations,
                             double tolerance, double *x, int64_t count, sslcv__minimum *minimum)
{
    search s = {.context = context, .function = function, .user = user, .tolerance = tolerance, .status = SSLCV_OK};
    sslcv_status status;

    *minimum = (sslcv__minimum){0};
    SSLCV__TRY(sslcv__alloc_array(context, count, sizeof *s.gradient, (void **)&s.gradient));
    SSLCV__TRY(run(&s, iterations, x, count, minimum));
    minimum->iterations = s.iterations;
    minimum->value = function(user, x, s.gradient);
end:
    sslcv__free(context, s.gradient);
    return status;
}

#endif
