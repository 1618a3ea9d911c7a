#include "core/text.h"

int sslcv__character_bytes(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
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

/* U+0000 .. U+001F, U+007F .. U+009F. */
static int is_control(const char *p, int length)
{
    const unsigned char first = (unsigned char)p[0];

    return first < 0x20 || first == 0x7F || (length == 2 && first == 0xC2 && (unsigned char)p[1] < 0xA0);
}

void sslcv__text_clean(char *text)
{
    while (*text) {
        const int length = sslcv__character_bytes(text);

        if (length == 0 || is_control(text, length)) {
            *text++ = '?'; /* the bytes behind it stand alone then, and go the same way */
        } else {
            text += length;
        }
    }
}
