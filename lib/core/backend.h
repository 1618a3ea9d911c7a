/** What the core asks of the compute core above it. lib/dnn/ defines these; core includes nothing of it. */
#ifndef SSLCV__BACKEND_H
#define SSLCV__BACKEND_H

#include "core/error.h"

#include <sslcv/context.h>

sslcv_status sslcv__backend_check(void); /* SSLCV_ERR_UNSUPPORTED: the library that is loaded is too old or too new */
const char  *sslcv__backend_cpu(void);   /* instruction set in use, constant text: "avx512_core_bf16" */
int          sslcv__backend_bf16(void);  /* 1: the processor computes in bf16, with its own instructions */

/* Algorithms by the clock, where the host asks for it: the context's tuning. path "": kept in no file. */
sslcv_status sslcv__backend_open_tuning(sslcv_context *context, const char *path);
void         sslcv__backend_close_tuning(sslcv_context *context);

#endif
