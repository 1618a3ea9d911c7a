/**
 * Around a callback of the host that stops the work by answering other than 0: which message the caller then reads.
 *
 *     sslcv__callback_begin(&callback);
 *     answer = host.compute(...);
 *     status = sslcv__callback_answer(&callback, "compute of a custom loss", answer);
 */
#ifndef SSLCV__CALLBACK_H
#define SSLCV__CALLBACK_H

#include "core/error.h"

/** The message of the thread's last failure, put aside so that one from inside is told apart. */
typedef struct sslcv__callback {
    char before[1024];
} sslcv__callback;

void sslcv__callback_begin(sslcv__callback *callback);

/**
 * A failure inside of a callback that stops has said why; that stays. One that it has dealt with stays likewise.
 *
 * @param name For the message of one that stops in silence.
 * @return SSLCV_ERR_CANCELLED unless answer is 0.
 */
sslcv_status sslcv__callback_answer(const sslcv__callback *callback, const char *name, int32_t answer);

#endif
