/* One line of JSON a step: what pandas.read_json(lines=True), jq and most else take without being told anything. */
#include "io/scalars.h"

#include <math.h>
#include <string.h>

static sslcv_status append(sslcv__bytes *to, const char *bytes)
{
    return sslcv__bytes_append(to, bytes, (int64_t)strlen(bytes));
}

sslcv_status sslcv__json_line(sslcv__bytes *to, double seconds, int64_t step, const sslcv__scalar *values,
                              int64_t count)
{
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(append(to, "{\"step\":"));
    SSLCV__TRY(sslcv__bytes_integer(to, step));
    SSLCV__TRY(append(to, ",\"time\":"));
    SSLCV__TRY(sslcv__bytes_real(to, floor(1000.0 * seconds + 0.5) / 1000.0));
    for (i = 0; i < count; i++) {
        SSLCV__TRY(append(to, ","));
        SSLCV__TRY(sslcv__bytes_string(to, values[i].name, "name"));
        SSLCV__TRY(append(to, ":"));
        SSLCV__TRY(sslcv__bytes_real(to, values[i].value));
    }
    SSLCV__TRY(append(to, "}\n"));
end:
    return status;
}
