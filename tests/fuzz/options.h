/** What the target of options does with a struct: init, fix, use, drop. */
#ifndef SSLCV__FUZZ_OPTIONS_H
#define SSLCV__FUZZ_OPTIONS_H

#include "world.h"

#include <math.h>

typedef struct rig {
    sslcv_context *context;
    uint64_t flags;
} rig;

/* What init and use of a subject are called with: a struct of its own type. */
typedef struct subject {
    size_t size;
    sslcv_status (*init)(void *options, size_t size, int32_t kind);
    void (*fix)(void *options, const rig *r);       /* pointers; fields that must be given. NULL: nothing */
    void (*use)(const void *options, const rig *r); /* make and destroy */
    void (*drop)(void *options);                    /* what fix has made. NULL: nothing */
} subject;

/* ---- small pieces that the subjects share ---- */

static inline int32_t refuse(void *user)
{
    (void)user;
    return 1;
}

static void check_out(sslcv_status status, const void *out)
{
    REQUIRE(sane(status) == (out != NULL));
}

#define INIT(name)                                                                                                     \
    static sslcv_status init_##name(void *options, size_t size, int32_t kind)                                          \
    {                                                                                                                  \
        (void)kind;                                                                                                    \
        return sslcv_##name##_init(options, size);                                                                     \
    }
#define INIT_KIND(name)                                                                                                \
    static sslcv_status init_##name(void *options, size_t size, int32_t kind)                                          \
    {                                                                                                                  \
        return sslcv_##name##_init(options, size, kind);                                                               \
    }
#define CREATE(name, create, type, destroy)                                                                            \
    static void use_##name(const void *options, const rig *r)                                                          \
    {                                                                                                                  \
        type *made = NULL;                                                                                             \
        const sslcv_status status = create(r->context, options, &made);                                                \
        check_out(status, made);                                                                                       \
        destroy(made);                                                                                                 \
    }

#endif
