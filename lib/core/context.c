#define _GNU_SOURCE /* sched_getaffinity */
#include "core/context.h"

#include "core/openmp.h"
#include "core/options.h"
#include "core/rng.h"
#include "core/text.h"
#include "core/backend.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 4096 };

static void *allocate_default(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    return aligned_alloc(alignment, bytes);
}

static void deallocate_default(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

static const sslcv_context_options defaults = {
    .struct_size = sizeof(sslcv_context_options), .loader_threads = -1, .winograd = 1, .log_level = SSLCV_LOG_INFO};

static int32_t usable_cpus(void)
{
    cpu_set_t cpus;
    int32_t count = 1;

    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) count = (int32_t)CPU_COUNT(&cpus);
    return count < 1 ? 1 : count;
}

/* No more than OpenMP will give; see compute.h. */
static int32_t compute_threads(int32_t wanted)
{
    const int32_t threads = wanted ? wanted : usable_cpus(), limit = (int32_t)omp_get_thread_limit();

    return limit > 0 && limit < threads ? limit : threads;
}

sslcv_status sslcv_context_options_init(sslcv_context_options *options, size_t struct_size)
{
    return sslcv__options_init("context_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(const sslcv_context_options *o)
{
    if (o->threads < 0 || o->threads > MAX_THREADS) {
        return sslcv__invalid("context.threads is %d; must be 0 .. %d", o->threads, MAX_THREADS);
    }
    if (o->loader_threads < -1 || o->loader_threads > MAX_THREADS) {
        return sslcv__invalid("context.loader_threads is %d; must be -1 .. %d", o->loader_threads, MAX_THREADS);
    }
    if (o->precision < SSLCV_PRECISION_AUTO || o->precision > SSLCV_PRECISION_BF16) {
        return sslcv__invalid("context.precision is %d; must be SSLCV_PRECISION_AUTO, F32 or BF16", o->precision);
    }
    if (o->precision == SSLCV_PRECISION_BF16 && !sslcv__backend_bf16()) {
        return sslcv__fail(SSLCV_ERR_UNSUPPORTED,
                           "context.precision is BF16, but this processor (%s) has no bf16 arithmetic of its own",
                           sslcv__backend_cpu());
    }
    if (o->winograd != 0 && o->winograd != 1) {
        return sslcv__invalid("context.winograd is %d; must be 0 or 1", o->winograd);
    }
    if (o->log_level < SSLCV_LOG_ERROR || o->log_level > SSLCV_LOG_DEBUG) {
        return sslcv__invalid("context.log_level is %d; must be SSLCV_LOG_ERROR .. DEBUG", o->log_level);
    }
    if (o->reserved != 0) return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "context.reserved is not 0");
    return SSLCV_OK;
}

static sslcv_status read_allocator(const sslcv_allocator *given, sslcv_allocator *allocator)
{
    const sslcv_status status =
        sslcv__options_read("allocator", given, sizeof *allocator, allocator, sizeof *allocator);

    if (status != SSLCV_OK) return status;
    if (!allocator->allocate || !allocator->deallocate) {
        return sslcv__invalid("allocator has a NULL function; must have both");
    }
    return SSLCV_OK;
}

sslcv_status sslcv_context_create(const sslcv_context_options *options, sslcv_context **out)
{
    sslcv_context_options o = defaults;
    sslcv_allocator allocator = {sizeof allocator, NULL, allocate_default, deallocate_default, NULL};
    sslcv_context *context;
    sslcv_status status;

    if (!out) return sslcv__null("context");
    status = sslcv__options_read("context_options", options, sizeof o, &o, sizeof o);
    if (status == SSLCV_OK) status = check_options(&o);
    if (status == SSLCV_OK) status = read_allocator(o.allocator, &allocator);
    if (status == SSLCV_OK) status = sslcv__backend_check();
    if (status != SSLCV_OK) return status;

    context = allocator.allocate(allocator.user, (sizeof *context + 63) / 64 * 64, 64);
    if (!context) {
        return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "out of memory: %zu bytes asked for", sizeof *context);
    }
    memset(context, 0, sizeof *context);
    sslcv__object_init_root(&context->object, SSLCV__CONTEXT);
    context->allocator = allocator;
    context->log = o.log;
    context->log_user = o.log_user;
    context->log_level = o.log_level;
    context->threads = compute_threads(o.threads);
    context->loader_threads = o.loader_threads >= 0 ? o.loader_threads : context->threads;
    context->precision = o.precision;
    if (o.precision == SSLCV_PRECISION_AUTO) {
        context->precision = sslcv__backend_bf16() ? SSLCV_PRECISION_BF16 : SSLCV_PRECISION_F32;
        sslcv__log(context, SSLCV_LOG_INFO, "precision: %s", sslcv__backend_bf16() ? "bf16" : "f32");
    }
    context->winograd = o.winograd;
    context->seed = o.seed;
    if (o.tuning_path) {
        status = sslcv__backend_open_tuning(context, o.tuning_path);
        if (status != SSLCV_OK) {
            sslcv__context_free(context);
            return status;
        }
    }
    context->log_destroy = o.log_destroy;
    *out = context;
    return SSLCV_OK;
}

void sslcv__context_free(sslcv_context *context)
{
    const sslcv_allocator allocator = context->allocator;
    void (*const log_destroy)(void *user) = context->log_destroy;
    void *const log_user = context->log_user;

    sslcv__backend_close_tuning(context);
    if (context->free_backend) context->free_backend(atomic_load(&context->backend));
    allocator.deallocate(allocator.user, context, (sizeof *context + 63) / 64 * 64);
    if (allocator.destroy) allocator.destroy(allocator.user);
    if (log_destroy) log_destroy(log_user);
}

void sslcv_context_destroy(sslcv_context *context)
{
    sslcv__destroy(context, SSLCV__CONTEXT);
}

sslcv_status sslcv_context_cancel(sslcv_context *context, int32_t on)
{
    const sslcv_status status = sslcv__check(context, SSLCV__CONTEXT, "context");

    if (status != SSLCV_OK) return status;
    atomic_store(&context->cancelled, on != 0);
    return SSLCV_OK;
}

sslcv_status sslcv_context_get_info(const sslcv_context *context, sslcv_context_info *info)
{
    sslcv_context_info full = {0};
    const sslcv_status status = sslcv__check(context, SSLCV__CONTEXT, "context");

    if (status != SSLCV_OK) return status;
    full.threads = context->threads;
    full.loader_threads = context->loader_threads;
    full.precision = context->precision;
    full.cancelled = atomic_load(&context->cancelled);
    full.cpu = sslcv__backend_cpu();
    full.bytes = (int64_t)atomic_load(&context->bytes);
    return sslcv__struct_fill("context_info", info, sizeof full, &full, sizeof full);
}

uint64_t sslcv__context_seed(sslcv_context *context, uint64_t seed)
{
    if (seed != 0) return seed;
    do {
        seed = sslcv__rng_derive(context->seed, atomic_fetch_add(&context->seeds_drawn, 1), 0);
    } while (seed == 0);
    return seed;
}

sslcv_status sslcv__context_check_cancel(const sslcv_context *context)
{
    if (!atomic_load_explicit(&context->cancelled, memory_order_relaxed)) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_CANCELLED, "cancelled by sslcv_context_cancel()");
}

void sslcv__log(const sslcv_context *context, int32_t level, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    if (!context->log || level > context->log_level) return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sslcv__text_clean(text);
    context->log(context->log_user, level, text);
}
