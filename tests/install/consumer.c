/* A C program as a user would write it: makes a context, sees a version and an error message. */
#include <sslcv/sslcv.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    sslcv_context_options options;
    sslcv_context *context = NULL;

    if (strcmp(sslcv_version_string(), EXPECTED_VERSION) != 0) return 1;
    if (sslcv_context_options_init(&options, sizeof options) != SSLCV_OK) return 2;
    options.threads = -1;
    if (sslcv_context_create(&options, &context) != SSLCV_ERR_INVALID_ARGUMENT || context) return 3;
    if (!strstr(sslcv_last_error(), "threads is -1")) return 4;
    options.threads = 1;
    if (sslcv_context_create(&options, &context) != SSLCV_OK) return 5;
    sslcv_context_destroy(context);
    puts("consumer.c works");
    return 0;
}
