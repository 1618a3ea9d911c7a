#include "core/callback.h"

void sslcv__callback_begin(sslcv__callback *callback)
{
    sslcv_last_error_copy(callback->before, sizeof callback->before);
    sslcv__fail(SSLCV_OK, "%s", "");
}

sslcv_status sslcv__callback_answer(const sslcv__callback *callback, const char *name, int32_t answer)
{
    const int is_silent = sslcv_last_error()[0] == 0;

    if (answer == 0) return is_silent ? sslcv__fail(SSLCV_OK, "%s", callback->before) : SSLCV_OK;
    if (!is_silent) return SSLCV_ERR_CANCELLED;
    return sslcv__fail(SSLCV_ERR_CANCELLED, "%s answered %d", name, answer);
}
