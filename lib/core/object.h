/**
 * What every handle starts with.
 *
 *     struct sslcv_dataset {
 *         sslcv__object object;     first field
 *         ...
 *     };
 *
 * An object is born with one reference, holds one of its context, and is freed with the last. Objects keep alive what
 * they use by sslcv__retain(), so hosts may destroy in any order. The magic number, different for every type and
 * cleared when the object is freed, is checked by every public call.
 */
#ifndef SSLCV__OBJECT_H
#define SSLCV__OBJECT_H

#include <sslcv/context.h>

#include <stdatomic.h>

#include "core/error.h"

typedef enum sslcv__kind {
    SSLCV__CONTEXT = 1,
    SSLCV__STATE,
    SSLCV__AUGMENTER,
    SSLCV__DATASET,
    SSLCV__LOADER,
    SSLCV__TAPE,
    SSLCV__BACKBONE,
    SSLCV__HEAD,
    SSLCV__LOSS,
    SSLCV__OPTIMIZER,
    SSLCV__TRAINER,
    SSLCV__PROBE,
    SSLCV__SCALARS
} sslcv__kind;

typedef struct sslcv__object {
    uint32_t       magic;
    sslcv__kind    kind;
    atomic_int     references;
    sslcv_context *context;     /* a reference of this object's; NULL in a context itself */
    int64_t        bytes;       /* of the object, for the allocator */
    void (*release)(void *self); /* gives back what the object holds, not the object; may be NULL */
} sslcv__object;

/**
 * Allocate an object of bytes, zeroed behind its head, with one reference and a reference of its context.
 *
 * @param release Called once, with the last reference, also on an object that was only half built: every field that
 *                nobody has set yet is 0.
 */
sslcv_status sslcv__object_create(sslcv_context *context, sslcv__kind kind, int64_t bytes, void (*release)(void *self),
                                  void *out_object);

/** The head of an object that has no context: the context itself. */
void sslcv__object_init_root(sslcv__object *object, sslcv__kind kind);

void sslcv__retain(void *object);  /* NULL is accepted */
void sslcv__release(void *object); /* NULL is accepted */

/** NULL, another type, or already freed: writes a message that starts with name. */
sslcv_status sslcv__check(const void *object, sslcv__kind kind, const char *name);

/** Two handles must come from one context. */
sslcv_status sslcv__check_context(const void *object, const sslcv_context *context, const char *name);

/** The body of every sslcv_x_destroy(): nothing for NULL or a handle of another type. */
void sslcv__destroy(void *object, sslcv__kind kind);

#endif
