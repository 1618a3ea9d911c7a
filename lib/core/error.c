#include "core/error.h"

#include "core/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 1024, CHARACTER = 4 };

static _Thread_local char message[MESSAGE_SIZE];

/* Cuts at a whole UTF-8 character: a continuation byte is 10xxxxxx. */
static size_t whole_characters(const char *text, size_t length)
{
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) length--;
    return length;
}

static void write_message(const char *format, va_list arguments)
{
    char
        text[MESSAGE_SIZE + CHARACTER]; /* arguments may point into the old message; and a cut falls into a whole one */
    const int length = vsnprintf(text, sizeof text, format, arguments);
    size_t end = length < 0 ? 0 : (size_t)length;

    if (length < 0) text[0] = 0;
    sslcv__text_clean(text);
    if (end >= MESSAGE_SIZE) end = whole_characters(text, MESSAGE_SIZE - 1);
    memcpy(message, text, end);
    message[end] = 0;
}

sslcv_status sslcv__fail(sslcv_status status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_message(format, arguments);
    va_end(arguments);
    return status;
}

sslcv_status sslcv__invalid(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_message(format, arguments);
    va_end(arguments);
    return SSLCV_ERR_INVALID_ARGUMENT;
}

sslcv_status sslcv__null(const char *name)
{
    return sslcv__invalid("%s is NULL", name);
}

sslcv_status sslcv__io_error(const char *action, const char *path, int errno_value)
{
    char text[128] = "";

    /* The XSI form; its GNU twin returns the text instead of filling the buffer. */
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    const char *given = strerror_r(errno_value, text, sizeof text);
#else
    const char *given = text;
    if (strerror_r(errno_value, text, sizeof text) != 0) snprintf(text, sizeof text, "error %d", errno_value);
#endif
    return sslcv__fail(SSLCV_ERR_IO, "cannot %s %s: %s", action, path, given);
}

const char *sslcv_last_error(void)
{
    return message;
}

size_t sslcv_last_error_copy(char *buffer, size_t size)
{
    const size_t length = strlen(message);

    if (buffer && size > 0) {
        const size_t end = length < size ? length : whole_characters(message, size - 1);
        memcpy(buffer, message, end);
        buffer[end] = 0;
    }
    return length + 1;
}

const char *sslcv_status_string(sslcv_status status)
{
    switch (status) {
    case SSLCV_OK: return "ok";
    case SSLCV_ERR_INVALID_ARGUMENT: return "invalid argument";
    case SSLCV_ERR_OUT_OF_MEMORY: return "out of memory";
    case SSLCV_ERR_IO: return "input or output failed";
    case SSLCV_ERR_FORMAT: return "damaged or unknown format";
    case SSLCV_ERR_UNSUPPORTED: return "unsupported";
    case SSLCV_ERR_STATE: return "wrong state";
    case SSLCV_ERR_LIMIT: return "limit exceeded";
    case SSLCV_ERR_BACKEND: return "oneDNN failed";
    case SSLCV_ERR_CANCELLED: return "cancelled";
    case SSLCV_ERR_NUMERIC: return "not a finite number";
    case SSLCV_ERR_NOT_FOUND: return "not found";
    default: return "unknown status";
    }
}
