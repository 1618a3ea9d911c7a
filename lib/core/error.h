/**
 * The message of the last failure, one fixed buffer a thread: no allocation, so it works when memory is out.
 *
 * The lowest level that knows the facts writes the message; levels above pass the status on and do not overwrite it.
 * One line, facts first: "mlp.out_dim is 0; must be 1 .. 2^31 - 1".
 */
#ifndef SSLCV__ERROR_H
#define SSLCV__ERROR_H

#include <sslcv/status.h>

#if defined(__GNUC__)
#define SSLCV__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define SSLCV__PRINTF(text, first)
#endif

/** Write the message and hand back status, so that "return sslcv__fail(...)" is one line. */
sslcv_status sslcv__fail(sslcv_status status, const char *format, ...) SSLCV__PRINTF(2, 3);

/** The same for SSLCV_ERR_INVALID_ARGUMENT, the commonest. */
sslcv_status sslcv__invalid(const char *format, ...) SSLCV__PRINTF(1, 2);

/** A NULL argument: "NAME is NULL". */
sslcv_status sslcv__null(const char *name);

/** SSLCV_ERR_IO with the system's text for errno_value: "cannot open PATH: No such file or directory". */
sslcv_status sslcv__io_error(const char *action, const char *path, int errno_value);

/** The error handling of every function body: go to its one exit when a call fails. */
#define SSLCV__TRY(call)                                                                                               \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

#endif
