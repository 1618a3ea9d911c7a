/**
 * JSON (RFC 8259) read from front to back: no tree, no recursion, no memory of its own, from bytes that nobody can be
 * trusted with. The caller asks for what its format has at each place, and passes over what it does not know:
 *
 *     {"shape":[2,3],"more":{"a":0}}
 *     enter '{'
 *     next   key "shape"   enter '['   next  whole 2   next  whole 3   next: none, and out
 *     next   key "more"    skip
 *     next: none, and out   end
 *
 * The first error stays, and all calls then give 0 or NULL, so that one look at it behind a loop is enough. A value that
 * is of another kind than asked for is no error: it stays where it is. A copy of the struct reads ahead.
 */
#ifndef SSLCV__JSON_H
#define SSLCV__JSON_H

#include <stdint.h>

enum { SSLCV__JSON_DEPTH = 64 }; /* brackets within each other */

typedef struct sslcv__json {
    const char *begin, *at, *end;
    char *texts;       /* where the next text goes; NULL: nowhere */
    const char *error; /* what is wrong at `at`; NULL: nothing so far */
    uint64_t objects;  /* a bit for each open bracket, the innermost lowest: 1: {, 0: [ */
    int depth;
    int is_first; /* 1: just within a bracket: no comma yet */
} sslcv__json;

/**
 * @param texts Room for size bytes: what key and text read goes there, each with its 0; all of the file's texts together
 *              are shorter than the file. NULL: they give "" instead.
 */
void sslcv__json_begin(sslcv__json *json, const char *bytes, int64_t size, char *texts);

/** Into an object, bracket '{', or an array, '['. 0: the value is something else. */
int sslcv__json_enter(sslcv__json *json, char bracket);

/** Is there another element? 0: no, and the closing bracket has been passed. In an object its key comes next. */
int sslcv__json_next(sslcv__json *json);

/** The key of an object's next element, with the colon behind it. NULL: error. */
const char *sslcv__json_key(sslcv__json *json);

/** A text without U+0000, as UTF-8. NULL: the value is something else. */
const char *sslcv__json_text(sslcv__json *json);

/** A whole number 0 .. 2^63 - 1, written as such: 1.0, 1e0, "1" and -0 are something else. */
int sslcv__json_whole(sslcv__json *json, int64_t *number);

/** Pass over a value of any kind, which is checked. */
void sslcv__json_skip(sslcv__json *json);

/** Nothing but spaces follows. 0: error. */
int sslcv__json_end(sslcv__json *json);

#endif
