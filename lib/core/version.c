#include <sslcv/version.h>

#include <zlib.h>

#define TEXT_OF(x)   #x
#define TEXT(x)      TEXT_OF(x)
#define VERSION_TEXT TEXT(SSLCV_VERSION_MAJOR) "." TEXT(SSLCV_VERSION_MINOR) "." TEXT(SSLCV_VERSION_PATCH)

int32_t sslcv_version(void)
{
    return SSLCV_VERSION;
}

const char *sslcv_version_string(void)
{
    return VERSION_TEXT;
}

#ifndef SSLCV__LIBJPEG
#define SSLCV__LIBJPEG "none"
#endif
#ifndef SSLCV__LIBLBFGS
#define SSLCV__LIBLBFGS "none"
#endif
#ifndef SSLCV__PROTOBUF_C
#define SSLCV__PROTOBUF_C "none"
#endif

const char *sslcv_build_info(void)
{
    /* SSLCV__ONEDNN is the Makefile's: core may not include oneDNN's headers. */
    return "version=" VERSION_TEXT "\n"
           "compiler=" __VERSION__ "\n"
           "onednn=" SSLCV__ONEDNN "\n"
           "onednn_threading=openmp\n"
           "zlib=" ZLIB_VERSION "\n"
           "libjpeg=" SSLCV__LIBJPEG "\n"
           "liblbfgs=" SSLCV__LIBLBFGS "\n"
           "protobuf-c=" SSLCV__PROTOBUF_C "\n";
}
