/** The text of a header, written: JSON strings (RFC 8259) and numbers, independent of the locale. */
#include "io/safetensors.h"

#include "core/checked.h"
#include "core/memory.h"

#include <stdio.h>
#include <string.h>

sslcv_status sslcv__safetensors_append(sslcv__safetensors_text *text, const char *bytes, int64_t size)
{
    int64_t wanted;

    if (size == 0) return SSLCV_OK;
    if (!sslcv__add(text->size, size, &wanted) || wanted > SSLCV__SAFETENSORS_MAX_HEADER) {
        return sslcv__fail(SSLCV_ERR_LIMIT,
                           "names, shapes and metadata take more than %d bytes, the limit of a safetensors header",
                           (int)SSLCV__SAFETENSORS_MAX_HEADER);
    }
    if (wanted > text->capacity) {
        const int64_t capacity = wanted < 4096 ? 4096 : 2 * wanted;
        const sslcv_status status = sslcv__grow_array(text->context, text->size, capacity, 1, (void **)&text->data);

        if (status != SSLCV_OK) return status;
        text->capacity = capacity;
    }
    memcpy(text->data + text->size, bytes, (size_t)size);
    text->size = wanted;
    return SSLCV_OK;
}

/**
 * Bytes of the character that begins at p, 0 when that is no well-formed UTF-8 (Unicode, table 3-7): the second byte's
 * range shuts out overlong forms, surrogates and what lies beyond U+10FFFF.
 */
static int character_bytes(const unsigned char *p)
{
    const int length = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    const unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    int i;

    if (length > 1 && (p[1] < low || p[1] > high)) return 0;
    for (i = 2; i < length; i++) {
        if (p[i] < 0x80 || p[i] > 0xBF) return 0;
    }
    return length;
}

sslcv_status sslcv__safetensors_append_string(sslcv__safetensors_text *text, const char *string, const char *what)
{
    const char *p = string;
    sslcv_status status;

    SSLCV__TRY(sslcv__safetensors_append(text, "\"", 1));
    while (*p) {
        const int length = character_bytes((const unsigned char *)p);
        char escaped[8];

        if (length == 0) {
            status = sslcv__invalid("%s is not valid UTF-8 at byte %lld", what, (long long)(p - string));
            goto end;
        }
        if (*p == '"' || *p == '\\') {
            const char pair[2] = {'\\', *p};
            SSLCV__TRY(sslcv__safetensors_append(text, pair, 2));
        } else if ((unsigned char)*p < 0x20) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)*p);
            SSLCV__TRY(sslcv__safetensors_append(text, escaped, 6));
        } else {
            SSLCV__TRY(sslcv__safetensors_append(text, p, length));
        }
        p += length;
    }
    SSLCV__TRY(sslcv__safetensors_append(text, "\"", 1));
end:
    return status;
}

sslcv_status sslcv__safetensors_append_number(sslcv__safetensors_text *text, int64_t number)
{
    char digits[32];
    const int length = snprintf(digits, sizeof digits, "%lld", (long long)number);

    return sslcv__safetensors_append(text, digits, length);
}
