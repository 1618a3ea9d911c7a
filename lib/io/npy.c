#include "io/npy.h"

#include <stdio.h>
#include <string.h>

enum { HEADER_BYTES = 192, FRONT_BYTES = 10 }; /* 4 numbers of 19 digits fit; a multiple of 64, as NumPy wants */

sslcv_status sslcv__npy_write_header(sslcv__new_file *file, int32_t dtype, int32_t ndim, const int64_t *shape)
{
    const char order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>';
    const int text_bytes = HEADER_BYTES - FRONT_BYTES;
    char header[HEADER_BYTES + 1], *text = header + FRONT_BYTES;
    int used, i;

    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)text_bytes; /* little-endian */
    header[9] = 0;
    used = snprintf(text, (size_t)text_bytes, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", order,
                    dtype == SSLCV_F32 ? "f4" : "i8");
    for (i = 0; i < ndim; i++) {
        used += snprintf(text + used, (size_t)(text_bytes - used), "%lld, ", (long long)shape[i]);
    }
    used += snprintf(text + used, (size_t)(text_bytes - used), "), }");
    memset(text + used, ' ', (size_t)(text_bytes - used));
    text[text_bytes - 1] = '\n';
    return sslcv__new_file_write(file, header, HEADER_BYTES);
}
