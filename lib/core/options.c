#include "core/options.h"

#include <string.h>

static sslcv_status check_size(const char *what, size_t given, size_t minimum)
{
    if (given < minimum) {
        return sslcv__invalid("%s.struct_size is %zu; must be at least %zu", what, given, minimum);
    }
    /* A struct that begins with a size_t has no other sizes. Within a word, a field might be cut in two. */
    if (given % sizeof given != 0) {
        return sslcv__invalid("%s.struct_size is %zu; must be a multiple of %zu", what, given, sizeof given);
    }
    return SSLCV_OK;
}

sslcv_status sslcv__options_init(const char *what, void *options, size_t struct_size, size_t minimum,
                                 const void *defaults, size_t size)
{
    sslcv_status status;

    if (!options) return sslcv__null(what);
    status = check_size(what, struct_size, minimum);
    if (status != SSLCV_OK) return status;
    memset(options, 0, struct_size);
    memcpy(options, defaults, struct_size < size ? struct_size : size);
    memcpy(options, &struct_size, sizeof struct_size);
    return SSLCV_OK;
}

sslcv_status sslcv__options_read(const char *what, const void *options, size_t minimum, void *copy, size_t size)
{
    const unsigned char *bytes = options;
    size_t given, i;
    sslcv_status status;

    if (!options) return SSLCV_OK;
    memcpy(&given, options, sizeof given);
    status = check_size(what, given, minimum);
    if (status != SSLCV_OK) return status;
    for (i = size; i < given; i++) {
        if (bytes[i] != 0) {
            return sslcv__fail(SSLCV_ERR_UNSUPPORTED,
                               "%s has %zu bytes, of which this version knows %zu; the rest must be 0", what, given,
                               size);
        }
    }
    memcpy(copy, options, given < size ? given : size);
    memcpy(copy, &size, sizeof size);
    return SSLCV_OK;
}

sslcv_status sslcv__struct_check(const char *what, const void *out, size_t minimum)
{
    size_t given;

    if (!out) return sslcv__null(what);
    memcpy(&given, out, sizeof given);
    return check_size(what, given, minimum);
}

sslcv_status sslcv__struct_fill(const char *what, void *out, size_t minimum, const void *full, size_t size)
{
    const sslcv_status status = sslcv__struct_check(what, out, minimum);
    size_t given;

    if (status != SSLCV_OK) return status;
    memcpy(&given, out, sizeof given);
    memcpy((char *)out + sizeof given, (const char *)full + sizeof given, (given < size ? given : size) - sizeof given);
    if (given > size) memset((char *)out + size, 0, given - size);
    return SSLCV_OK;
}
