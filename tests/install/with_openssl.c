/* One program with OpenSSL's libssl and with this library: neither may catch the other's names. */
#include <openssl/ssl.h>
#include <sslcv/sslcv.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    sslcv_context *context = NULL;
    SSL *connection;

    if (!tls || !(connection = SSL_new(tls))) return 1;
    if (sslcv_context_create(NULL, &context) != SSLCV_OK) return 2;
    if (strstr(OpenSSL_version(OPENSSL_VERSION), "OpenSSL") == NULL) return 3;
    if (strcmp(sslcv_status_string(SSLCV_ERR_IO), "input or output failed") != 0) return 4;
    sslcv_context_destroy(context);
    SSL_free(connection);
    SSL_CTX_free(tls);
    puts("with_openssl.c works");
    return 0;
}
