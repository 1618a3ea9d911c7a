/**
 * @file version.h
 * Version of the interface, and the export mark that every public function carries.
 *
 * sslcv is self-supervised learning for computer vision. It is not OpenSSL and shares no name with it.
 * Targets are 64-bit (oneDNN runs on nothing else): size_t and pointers have 8 bytes in every layout below.
 */
#ifndef SSLCV_VERSION_H
#define SSLCV_VERSION_H

#include <stddef.h>
#include <stdint.h>

#if defined(SSLCV_STATIC)
#define SSLCV_API
#elif defined(_WIN32) && defined(SSLCV_BUILD)
#define SSLCV_API __declspec(dllexport)
#elif defined(_WIN32)
#define SSLCV_API __declspec(dllimport)
#elif defined(__GNUC__)
#define SSLCV_API __attribute__((visibility("default")))
#else
#define SSLCV_API
#endif

#define SSLCV_VERSION_MAJOR 0
#define SSLCV_VERSION_MINOR 1
#define SSLCV_VERSION_PATCH 0
#define SSLCV_VERSION (SSLCV_VERSION_MAJOR * 1000000 + SSLCV_VERSION_MINOR * 1000 + SSLCV_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Version of the library that is running (the macros above are the version compiled against,
 * SSLCV_VERSION as this function gives it).
 *
 * @return major * 1000000 + minor * 1000 + patch.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API int32_t sslcv_version(void);

/**
 * The same as text, for example "0.1.0".
 *
 * @return Constant text, never NULL, never to be freed.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API const char *sslcv_version_string(void);

/**
 * How this library was built: one "name=value" a line (compiler, onednn, onednn_threading, zlib ...).
 *
 * @return Constant text, never NULL, never to be freed.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API const char *sslcv_build_info(void);

#ifdef __cplusplus
}
#endif
#endif
