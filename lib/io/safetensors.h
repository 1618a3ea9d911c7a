/**
 * The safetensors container, read and written. docs/checkpoint-format.md says what the bytes mean.
 *
 *     | u64 N | N bytes of JSON, padded with spaces | data part: the tensors, without gaps |
 *       8       {"__metadata__":{...},"NAME":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},...}
 *
 * Reading takes any such file; what it finds is checked here once and for all, so that callers need check nothing but
 * names, dtypes and shapes against what they want.
 */
#ifndef SSLCV__SAFETENSORS_H
#define SSLCV__SAFETENSORS_H

#include "io/tensor_file.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little-endian, and so must be the machine"
#endif

enum { SSLCV__SAFETENSORS_MAX_HEADER = 100000000 }; /* bytes; the limit of the reference reader */
enum { SSLCV__SAFETENSORS_MAX_PAIRS = 1 << 16 };      /* of metadata; a state keeps 300 bytes for each, however short */

/* Files of this library begin with SSLCV__SAFETENSORS_START behind the length, then 8 hexadecimal digits: the CRC-32 of
   the whole file with zeros in place of the digits. */
#define SSLCV__SAFETENSORS_START "{\"__metadata__\":{\"sslcv.checksum\":\""
enum { SSLCV__SAFETENSORS_DIGITS = 8 };

/** Metadata that is the container's own; the rest belongs to the state. */
int sslcv__safetensors_own_key(const char *key);

/* ---- reading ---- */

/** A file whose bytes are there. */
sslcv_status sslcv__safetensors_parse(sslcv__tensor_file *file);

/* ---- writing ---- */

/** The dtype's name in files, "F32"; NULL: none. */
const char *sslcv__safetensors_dtype_name(int32_t dtype);

#endif
