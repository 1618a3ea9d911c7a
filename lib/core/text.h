/** Texts that come from files and hosts: UTF-8, or what claims to be. */
#ifndef SSLCV__TEXT_H
#define SSLCV__TEXT_H

/**
 * Bytes of the character that begins at p, 0 when that is no well-formed UTF-8 (Unicode, table 3-7): the second byte's
 * range shuts out overlong forms, surrogates and what lies beyond U+10FFFF. Reads no further than a 0.
 */
int sslcv__character_bytes(const char *p);

/**
 * Make one line of UTF-8 of a message: names in it may be a stranger's, and would break lines, steer a terminal, or be
 * no text at all. Each byte of a control character, and each that is no UTF-8, becomes "?".
 */
void sslcv__text_clean(char *text);

#endif
