/** What the suites about a trainer's memory share. */
#ifndef SSLCV__TESTS_TRAINER_MEMORY_SUPPORT_H
#define SSLCV__TESTS_TRAINER_MEMORY_SUPPORT_H

#include "trainer_support.h"

static inline int64_t held_bytes(rig *r)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    OK(sslcv_context_get_info(r->context, &info));
    return info.bytes;
}

static inline sslcv_memory get_memory(rig *r)
{
    sslcv_memory memory = {.struct_size = sizeof memory};

    OK(sslcv_trainer_get_memory(r->trainer, &memory));
    return memory;
}

#endif
