#include "image/jpeg.h"

#include "core/error.h"

#ifdef SSLCV__LIBJPEG

#include <limits.h>
#include <setjmp.h>
#include <stdio.h> /* jpeglib.h wants FILE */
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum { ROWS = 8 }; /* asked for in one go */

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf failed;
    int two_sizes; /* 1: what libjpeg reads is not what the header says */
    char message[JMSG_LENGTH_MAX];
} decoder;

/** libjpeg's own way out of an error ends the process. */
static void leave(j_common_ptr jpeg)
{
    decoder *d = jpeg->client_data;

    jpeg->err->format_message(jpeg, d->message);
    longjmp(d->failed, 1);
}

/** Other warnings stand for pixels that are missing: libjpeg makes them up and goes on. */
static int is_harmless(int warning)
{
    return warning == JWRN_EXTRANEOUS_DATA || warning == JWRN_ADOBE_XFORM || warning == JWRN_JFIF_MAJOR ||
           warning == JWRN_BOGUS_PROGRESSION;
}

static void emit(j_common_ptr jpeg, int level)
{
    if (level < 0 && !is_harmless(jpeg->err->msg_code)) leave(jpeg);
}

static void say_nothing(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void start(decoder *d, const uint8_t *bytes, int64_t size, const sslcv__image_header *header)
{
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    const int64_t most = 32 * (header->width + 64) * (header->height + 64) + (1 << 20); /* much less is needed */

    memset(jpeg, 0, sizeof *jpeg);
    jpeg->err = jpeg_std_error(&d->errors);
    d->errors.error_exit = leave;
    d->errors.emit_message = emit;
    d->errors.output_message = say_nothing;
    jpeg->client_data = d;
    jpeg_create_decompress(jpeg);
    jpeg->mem->max_memory_to_use = most < LONG_MAX ? (long)most : LONG_MAX;
    jpeg_mem_src(jpeg, bytes, (unsigned long)size);
}

static int has_size(const struct jpeg_decompress_struct *jpeg, const sslcv__image_header *header, int64_t shrink,
                    int64_t channels)
{
    return jpeg->image_width == header->width && jpeg->image_height == header->height &&
           jpeg->output_width == (header->width + shrink - 1) / shrink &&
           jpeg->output_height == (header->height + shrink - 1) / shrink && jpeg->output_components == channels;
}

static void run(decoder *d, const sslcv__image_header *header, int64_t shrink, int64_t channels, uint8_t *pixels)
{
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    size_t row;

    jpeg_read_header(jpeg, TRUE);
    jpeg->scale_num = 1;
    jpeg->scale_denom = (unsigned)shrink;
    jpeg->out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(jpeg);
    d->two_sizes = !has_size(jpeg, header, shrink, channels);
    if (d->two_sizes) return;
    row = (size_t)jpeg->output_width * (size_t)channels;
    while (jpeg->output_scanline < jpeg->output_height) {
        const JDIMENSION left = jpeg->output_height - jpeg->output_scanline;
        JSAMPROW rows[ROWS];
        JDIMENSION i;

        for (i = 0; i < ROWS; i++) rows[i] = pixels + (jpeg->output_scanline + (i < left ? i : left - 1)) * row;
        jpeg_read_scanlines(jpeg, rows, left < ROWS ? left : ROWS);
    }
    jpeg_finish_decompress(jpeg);
}

int sslcv__jpeg_supports(const sslcv__image_header *header)
{
    return header->format == SSLCV__JPEG && (header->components == 1 || header->components == 3) &&
           header->width <= JPEG_MAX_DIMENSION && header->height <= JPEG_MAX_DIMENSION;
}

sslcv_status sslcv__jpeg_decode(const uint8_t *bytes, int64_t size, const char *name, const sslcv__image_header *header,
                                int64_t shrink, int64_t channels, uint8_t *pixels)
{
    decoder d;

    d.jpeg.mem = NULL;
    d.two_sizes = 0;
    if (setjmp(d.failed) != 0) {
        jpeg_destroy_decompress(&d.jpeg);
        if (d.errors.msg_code == JERR_OUT_OF_MEMORY) {
            return sslcv__fail(SSLCV_ERR_OUT_OF_MEMORY, "out of memory: %s: libjpeg has not enough", name);
        }
        return sslcv__fail(SSLCV_ERR_FORMAT, "%s: it is damaged: %.160s", name, d.message);
    }
    start(&d, bytes, size, header);
    run(&d, header, shrink, channels, pixels);
    jpeg_destroy_decompress(&d.jpeg);
    if (d.two_sizes) return sslcv__fail(SSLCV_ERR_FORMAT, "%s: it is damaged: it has two sizes", name);
    return SSLCV_OK;
}

#else

int sslcv__jpeg_supports(const sslcv__image_header *header)
{
    (void)header;
    return 0;
}

sslcv_status sslcv__jpeg_decode(const uint8_t *bytes, int64_t size, const char *name, const sslcv__image_header *header,
                                int64_t shrink, int64_t channels, uint8_t *pixels)
{
    (void)bytes, (void)size, (void)header, (void)shrink, (void)channels, (void)pixels;
    return sslcv__fail(SSLCV_ERR_UNSUPPORTED, "%s: this build has no libjpeg", name);
}

#endif
