#include "io/npy.h"

#include "core/checked.h"
#include "core/error.h"

#include <stdio.h>
#include <string.h>

enum { HERE_SWAPPED = '>', HERE_ORDER = '<', SHORT_DIMS = 4, SHORT_HEADER = 192 };

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "exchange HERE_SWAPPED and HERE_ORDER; the rest of lib/io is for little-endian machines"
#endif

static const struct {
    char name[3]; /* without byte order */
    int32_t dtype;
} dtypes[] = {{"f4", SSLCV_F32}, {"f2", SSLCV_F16}, {"f8", SSLCV_F64}, {"u1", SSLCV_U8},
              {"u2", SSLCV_U16}, {"i4", SSLCV_I32}, {"i8", SSLCV_I64}, {"b1", SSLCV_BOOL}};

enum { NUM_DTYPES = (int)(sizeof dtypes / sizeof dtypes[0]) };

/* ---- writing ---- */

static const char *name_of(int32_t dtype)
{
    int i;

    for (i = 0; i < NUM_DTYPES; i++) {
        if (dtypes[i].dtype == dtype) return dtypes[i].name;
    }
    return NULL;
}

int sslcv__npy_has_dtype(int32_t dtype)
{
    return name_of(dtype) != NULL;
}

int64_t sslcv__npy_header(int32_t dtype, int32_t ndim, const int64_t *shape, char header[SSLCV__NPY_MAX_HEADER])
{
    const int bytes = ndim <= SHORT_DIMS ? SHORT_HEADER : SSLCV__NPY_MAX_HEADER,
              text_bytes = bytes - SSLCV__NPY_FRONT_1;
    char *text = header + SSLCV__NPY_FRONT_1;
    int used, i;

    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)text_bytes; /* little-endian */
    header[9] = 0;
    used = snprintf(text, (size_t)text_bytes, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                    sslcv_dtype_size(dtype) == 1 ? '|' : HERE_ORDER, name_of(dtype));
    for (i = 0; i < ndim; i++) {
        used += snprintf(text + used, (size_t)(text_bytes - used), i ? ", %lld" : "%lld", (long long)shape[i]);
    }
    used += snprintf(text + used, (size_t)(text_bytes - used), ndim == 1 ? ",), }" : "), }");
    memset(text + used, ' ', (size_t)(text_bytes - used));
    text[text_bytes - 1] = '\n';
    return bytes;
}

sslcv_status sslcv__npy_write_header(sslcv__new_file *file, int32_t dtype, int32_t ndim, const int64_t *shape)
{
    char header[SSLCV__NPY_MAX_HEADER];
    const int64_t bytes = sslcv__npy_header(dtype, ndim, shape, header);

    return sslcv__new_file_write(file, header, bytes);
}

/* ---- reading: the front ---- */

sslcv_status sslcv__npy_parse_front(const char *name, const char front[SSLCV__NPY_FRONT_2], int64_t *text_bytes)
{
    const unsigned char *p = (const unsigned char *)front;
    uint64_t length = (uint64_t)p[8] | (uint64_t)p[9] << 8;

    if (memcmp(front, "\x93NUMPY", 6) != 0) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s is no .npy file: it does not begin with \\x93NUMPY", name);
    }
    if (p[6] < 1 || p[6] > 3 || p[7] != 0) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s is an .npy file of version %d.%d; known are 1.0, 2.0 and 3.0", name,
                           (int)p[6], (int)p[7]);
    }
    if (p[6] > 1) length |= (uint64_t)p[10] << 16 | (uint64_t)p[11] << 24;
    if (length > SSLCV__NPY_MAX_TEXT) {
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s: its header would have %lld bytes; at most %d", name,
                           (long long)length, (int)SSLCV__NPY_MAX_TEXT);
    }
    *text_bytes = (int64_t)length;
    return SSLCV_OK;
}

/* ---- reading: a literal of Python. All return 1 when what they look for is there, and step over it. ---- */

typedef struct cursor {
    const char *p, *end;
} cursor;

static void skip_space(cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r')) c->p++;
}

static int take(cursor *c, char wanted)
{
    skip_space(c);
    if (c->p == c->end || *c->p != wanted) return 0;
    c->p++;
    return 1;
}

static int take_word(cursor *c, const char *word)
{
    const int64_t length = (int64_t)strlen(word);

    skip_space(c);
    if (c->end - c->p < length || memcmp(c->p, word, (size_t)length) != 0) return 0;
    c->p += length;
    return 1;
}

/** In quotes of either kind, without escapes; cut to what fits. */
static int take_string(cursor *c, char *text, int64_t size)
{
    int64_t used = 0;
    char quote;

    skip_space(c);
    if (c->p == c->end || (*c->p != '\'' && *c->p != '"')) return 0;
    quote = *c->p++;
    for (; c->p < c->end && *c->p != quote; c->p++) {
        if ((unsigned char)*c->p < 0x20 || *c->p == '\\') return 0;
        if (used < size - 1) text[used++] = *c->p;
    }
    text[used] = 0;
    if (c->p == c->end) return 0;
    c->p++;
    return 1;
}

/** A list or tuple of anything, to its closing bracket. */
static int skip_brackets(cursor *c)
{
    int64_t depth = 0;
    char ignored[2];

    do {
        skip_space(c);
        if (c->p == c->end) return 0;
        if (*c->p == '\'' || *c->p == '"') {
            if (!take_string(c, ignored, sizeof ignored)) return 0;
            continue;
        }
        depth += (*c->p == '[' || *c->p == '(') - (*c->p == ']' || *c->p == ')');
        c->p++;
    } while (depth > 0);
    return 1;
}

static int take_size(cursor *c, int64_t *size)
{
    const char *begin;
    int64_t value = 0;

    skip_space(c);
    for (begin = c->p; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
        if (!sslcv__multiply(value, 10, &value) || !sslcv__add(value, *c->p - '0', &value)) return 0;
    }
    if (c->p == begin) return 0;
    if (c->p < c->end && *c->p == 'L') c->p++; /* Python 2 */
    *size = value;
    return 1;
}

/* ---- reading: what the literal says ---- */

static sslcv_status bad_header(const char *name, const char *what)
{
    return sslcv__fail(SSLCV_ERR_FORMAT, "%s: its header %s", name, what);
}

static void find_dtype(sslcv__npy_array *array)
{
    const char *kind = array->dtype_name;
    const char order = *kind == '<' || *kind == '>' || *kind == '=' || *kind == '|' ? *kind++ : '=';
    int i;

    for (i = 0; i < NUM_DTYPES; i++) {
        if (strcmp(dtypes[i].name, kind) != 0) continue;
        array->dtype = dtypes[i].dtype;
        array->swapped = order == HERE_SWAPPED && sslcv_dtype_size(array->dtype) > 1;
    }
}

static sslcv_status parse_descr(const char *name, cursor *c, sslcv__npy_array *array)
{
    char *p;

    skip_space(c);
    if (c->p < c->end && (*c->p == '[' || *c->p == '(')) {
        snprintf(array->dtype_name, sizeof array->dtype_name, "a structure");
        return skip_brackets(c) ? SSLCV_OK : bad_header(name, "has a descr that does not end");
    }
    if (!take_string(c, array->dtype_name, sizeof array->dtype_name)) {
        return bad_header(name, "has no descr that is a text");
    }
    for (p = array->dtype_name; *p; p++) {
        if (*p < ' ' || *p > '~') *p = '?'; /* it is shown in messages */
    }
    find_dtype(array);
    return SSLCV_OK;
}

static sslcv_status parse_order(const char *name, cursor *c, sslcv__npy_array *array)
{
    array->fortran = take_word(c, "True");
    if (array->fortran || take_word(c, "False")) return SSLCV_OK;
    return bad_header(name, "has a fortran_order that is neither True nor False");
}

static sslcv_status parse_shape(const char *name, cursor *c, sslcv__npy_array *array)
{
    int64_t extent = 1; /* as if no axis were 0: one must not hide that the others are too long */
    int comma = 1;

    array->count = 1;
    if (!take(c, '(')) return bad_header(name, "has no shape that is a tuple");
    while (!take(c, ')')) {
        int64_t size = 0;

        if (!comma || !take_size(c, &size)) {
            return bad_header(name, "has a shape that is not of whole numbers 0 .. 2^63 - 1");
        }
        if (!sslcv__multiply(array->count, size, &array->count) || !sslcv__multiply(extent, size ? size : 1, &extent)) {
            return bad_header(name, "has a shape too large to count");
        }
        if (array->ndim < SSLCV_MAX_DIMS) array->shape[array->ndim] = size;
        array->ndim++;
        comma = take(c, ',');
    }
    if (array->ndim == 1 && !comma) return bad_header(name, "has no shape that is a tuple");
    return SSLCV_OK;
}

sslcv_status sslcv__npy_parse_text(const char *name, const char *text, int64_t bytes, sslcv__npy_array *array)
{
    static const char *const keys[3] = {"descr", "fortran_order", "shape"};
    static sslcv_status (*const parse[3])(const char *, cursor *, sslcv__npy_array *) = {parse_descr, parse_order,
                                                                                         parse_shape};
    cursor c = {text, text + bytes};
    int seen[3] = {0}, comma = 1, i;

    memset(array, 0, sizeof *array);
    if (!take(&c, '{')) return bad_header(name, "is no dictionary");
    while (!take(&c, '}')) {
        char key[SSLCV__NPY_DTYPE_NAME];
        sslcv_status status;

        if (!comma || !take_string(&c, key, sizeof key) || !take(&c, ':')) return bad_header(name, "is no dictionary");
        for (i = 0; i < 3 && strcmp(keys[i], key) != 0;) i++;
        if (i == 3) return bad_header(name, "has a key other than descr, fortran_order and shape");
        if (seen[i]++) return bad_header(name, "has a key twice");
        status = parse[i](name, &c, array);
        if (status != SSLCV_OK) return status;
        comma = take(&c, ',');
    }
    skip_space(&c);
    if (c.p != c.end) return bad_header(name, "goes on behind its dictionary");
    for (i = 0; i < 3; i++) {
        if (!seen[i]) return bad_header(name, "lacks descr, fortran_order or shape");
    }
    if (array->ndim < 2) array->fortran = 0;
    return SSLCV_OK;
}
