#include "support.h"

#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "core/context.h"
#include "image/decode.h"
#include "image/jpeg.h"

/*
 * Golden files: tests/golden/images.txt, by make_images.py (Pillow 9.4). All but JPEG must be the same bytes; JPEG
 * decoders differ in rounding and in how they enlarge the colour planes: up to 6 of 255. With libjpeg-turbo, which is
 * also Pillow's decoder, colour and grey files must be the same bytes too.
 */
enum { MAX_LINE = 1 << 16, JPEG_TOLERANCE = 6 };

static const sslcv__decode_limits roomy = {1 << 20, 1 << 20, 0};

static struct sample {
    char name[32];
    int64_t channels, height, width, bits, size, count;
    uint8_t file[MAX_LINE / 4];
    uint16_t values[MAX_LINE / 4];
} samples[24];
static int num_samples;

static sslcv_context *context;

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static uint32_t hex_number(const char *text, int digits)
{
    uint32_t value = 0;

    while (digits-- > 0) value = value << 4 | (uint32_t)hex_digit(*text++);
    return value;
}

static void read_sample(char *line, struct sample *s)
{
    int64_t *const numbers[] = {&s->channels, &s->height, &s->width, &s->bits};
    char *save, *word = strtok_r(line, " \n", &save);
    int64_t i;

    snprintf(s->name, sizeof s->name, "%s", word);
    for (i = 0; i < 4; i++) *numbers[i] = strtoll(strtok_r(NULL, " \n", &save), NULL, 10);
    word = strtok_r(NULL, " \n", &save);
    s->size = (int64_t)strlen(word) / 2;
    for (i = 0; i < s->size; i++) s->file[i] = (uint8_t)hex_number(word + 2 * i, 2);
    word = strtok_r(NULL, " \n", &save);
    s->count = (int64_t)strlen(word) / (s->bits / 4);
    for (i = 0; i < s->count; i++) s->values[i] = (uint16_t)hex_number(word + i * (s->bits / 4), (int)s->bits / 4);
}

static void setup(void)
{
    static char line[MAX_LINE];
    FILE *file = fopen("tests/golden/images.txt", "r");

    ck_assert_msg(file != NULL, "tests/golden/images.txt is missing: run from the root of the repository");
    for (num_samples = 0; num_samples < 24 && fgets(line, sizeof line, file); num_samples++) {
        read_sample(line, &samples[num_samples]);
    }
    fclose(file);
    ck_assert_int_ge(num_samples, 19);
    OK(sslcv_context_create(NULL, &context));
}

static void teardown(void)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    OK(sslcv_context_get_info(context, &info));
    ck_assert_int_eq(info.bytes, 0); /* nothing leaked */
    sslcv_context_destroy(context);
}

static const struct sample *find(const char *name)
{
    int i;

    for (i = 0; i < num_samples; i++) {
        if (strcmp(samples[i].name, name) == 0) return &samples[i];
    }
    ck_abort_msg("no golden image %s", name);
    return NULL;
}

static int value_at(const sslcv_tensor *image, int64_t c, int64_t y, int64_t x)
{
    const int64_t at = c * image->strides[0] + y * image->strides[1] + x * image->strides[2];

    return image->dtype == SSLCV_U16 ? ((uint16_t *)image->data)[at] : ((uint8_t *)image->data)[at];
}

static int is_jpeg(const struct sample *s)
{
    return s->file[0] == 0xff;
}

/** Is libjpeg the one that decodes it? */
static int has_libjpeg(const struct sample *s)
{
    sslcv__image_header header;

    ck_assert_ptr_null(sslcv__image_header_read(s->file, s->size, &header));
    return sslcv__jpeg_supports(&header);
}

START_TEST(golden_files)
{
    const struct sample *s = &samples[_i];
    const int tolerance = !is_jpeg(s) || has_libjpeg(s) ? 0 : JPEG_TOLERANCE;
    sslcv_tensor image;
    int64_t shape[3], y, x, c;

    if (_i >= num_samples) return;
    OK(sslcv__decode_shape(context, s->file, s->size, s->name, 0, &roomy, shape));
    OK(sslcv__decode(context, s->file, s->size, s->name, 0, &roomy, &image));
    ck_assert_int_eq(image.ndim, 3);
    ck_assert_int_eq(image.dtype, s->bits == 16 ? SSLCV_U16 : SSLCV_U8);
    ck_assert(image.shape[0] == s->channels && image.shape[1] == s->height && image.shape[2] == s->width);
    ck_assert_mem_eq(shape, image.shape, sizeof shape);
    for (y = 0; y < s->height; y++) {
        for (x = 0; x < s->width; x++) {
            for (c = 0; c < s->channels; c++) {
                const int expected = s->values[(y * s->width + x) * s->channels + c];

                ck_assert_msg(abs(value_at(&image, c, y, x) - expected) <= tolerance, "%s (%d, %d, %d): %d, not %d",
                              s->name, (int)c, (int)y, (int)x, value_at(&image, c, y, x), expected);
            }
        }
    }
    sslcv__decode_free(context, &image);
    ck_assert_ptr_null(image.data);
}
END_TEST

/** Grey to colour repeats the value; colour to grey is the integer luma; shape says the same. */
START_TEST(converts_channels)
{
    static const char *const names[] = {"rgb.png", "rgb.ppm", "rgb.bmp", "grey.png", "comment.pgm", "deep.pgm"};
    sslcv_tensor image;
    int64_t shape[3], y, x;
    int i;

    for (i = 0; i < 6; i++) {
        const struct sample *s = find(names[i]);
        const int64_t channels = s->channels == 3 ? 1 : 3;

        OK(sslcv__decode_shape(context, s->file, s->size, s->name, channels, &roomy, shape));
        ck_assert_int_eq(shape[0], channels);
        OK(sslcv__decode(context, s->file, s->size, s->name, channels, &roomy, &image));
        ck_assert_int_eq(image.shape[0], channels);
        for (y = 0; y < s->height; y++) {
            for (x = 0; x < s->width; x++) {
                const uint16_t *v = s->values + (y * s->width + x) * s->channels;
                const int expected = s->channels == 3 ? (77 * v[0] + 150 * v[1] + 29 * v[2]) >> 8 : v[0];

                ck_assert_int_eq(value_at(&image, channels - 1, y, x), expected);
            }
        }
        sslcv__decode_free(context, &image);
    }
}
END_TEST

/** Mean of the golden values under a pixel of the shrunk picture. */
static double mean_under(const struct sample *s, int64_t shrink, int64_t c, int64_t y, int64_t x)
{
    double sum = 0.0;
    int64_t count = 0, i, k;

    for (i = y * shrink; i < (y + 1) * shrink && i < s->height; i++) {
        for (k = x * shrink; k < (x + 1) * shrink && k < s->width; k++, count++) {
            sum += s->values[(i * s->width + k) * s->channels + c];
        }
    }
    return sum / (double)count;
}

/** By 2, 4 or 8 as long as both sides keep min_side; means of squares, which JPEG has nearly. */
START_TEST(shrinks)
{
    static const int64_t min_sides[][2] = {{1, 8}, {3, 8}, {4, 4}, {5, 4}, {6, 2}, {10, 2}, {11, 1}, {99, 1}};
    static const char *const names[] = {"rgb.jpg", "progressive.jpeg", "444.JPG"}; /* 19 rows of 34 */
    const struct sample *s = find(names[_i]);
    size_t n;

    for (n = 0; n < sizeof min_sides / sizeof *min_sides; n++) {
        const sslcv__decode_limits limits = {1 << 20, 1 << 20, min_sides[n][0]};
        const int64_t shrink = min_sides[n][1];
        sslcv_tensor image;
        int64_t shape[3], y, x, c;

        OK(sslcv__decode_shape(context, s->file, s->size, s->name, 0, &limits, shape));
        OK(sslcv__decode(context, s->file, s->size, s->name, 0, &limits, &image));
        ck_assert_mem_eq(shape, image.shape, sizeof shape);
        ck_assert_int_eq(shape[1], (19 + shrink - 1) / shrink);
        ck_assert_int_eq(shape[2], (34 + shrink - 1) / shrink);
        for (y = 0; y < 19 / shrink; y++) { /* at the cut-off edge libjpeg's squares have what lies beyond */
            for (x = 0; x < 34 / shrink; x++) {
                for (c = 0; c < 3; c++) CLOSE(value_at(&image, c, y, x), mean_under(s, shrink, c, y, x), 6.0);
            }
        }
        sslcv__decode_free(context, &image);
    }
}
END_TEST

START_TEST(shrinks_without_loss)
{
    static const char *const names[] = {"rgb.png", "grey.bmp", "deep.pgm", "interlaced.png"};
    static const int64_t factors[] = {4, 2, 2, 8}; /* of shorter sides of 5, 3, 4 and 9 */
    const sslcv__decode_limits limits = {1 << 20, 1 << 20, 2};
    const struct sample *s = find(names[_i]);
    const int64_t shrink = factors[_i];
    sslcv_tensor image;
    int64_t y, x, c;

    OK(sslcv__decode(context, s->file, s->size, s->name, 0, &limits, &image));
    ck_assert_int_eq(image.shape[1], (s->height + shrink - 1) / shrink);
    ck_assert_int_eq(image.shape[2], (s->width + shrink - 1) / shrink);
    for (y = 0; y < image.shape[1]; y++) {
        for (x = 0; x < image.shape[2]; x++) {
            for (c = 0; c < s->channels; c++) {
                ck_assert_int_eq(value_at(&image, c, y, x), (int)(mean_under(s, shrink, c, y, x) + 0.5));
            }
        }
    }
    sslcv__decode_free(context, &image);
}
END_TEST

/** Coded data that end within the picture are damage; and no decoder talks to the terminal. */
START_TEST(libjpeg_refuses_missing_data)
{
    static const char *const names[] = {"rgb.jpg", "progressive.jpeg", "444.JPG", "grey.jpg"};
    const struct sample *s = find(names[_i]);
    FILE *said = tmpfile();
    const int terminal = dup(2);
    uint8_t *copy = malloc((size_t)s->size);
    sslcv_tensor image = {.ndim = 77};
    int64_t at = s->size - 2, i;
    sslcv_status status;

    ck_assert(said != NULL && terminal >= 0 && copy != NULL);
    while (at > 0 && !(s->file[at] == 0xff && s->file[at + 1] == 0xda)) at--; /* the last scan */
    ck_assert_int_gt(at, 0);
    memcpy(copy, s->file, (size_t)s->size);
    i = at + 2 + (copy[at + 2] << 8 | copy[at + 3]) + 4; /* four bytes into it */
    ck_assert_int_lt(i, s->size - 2);
    copy[i] = 0xff;
    copy[i + 1] = 0xd9;
    ck_assert_int_ge(dup2(fileno(said), 2), 0);
    status = sslcv__decode(context, copy, s->size, s->name, 0, &roomy, &image);
    ck_assert_int_ge(dup2(terminal, 2), 0);
    close(terminal);
    fseek(said, 0, SEEK_END);
    ck_assert_int_eq(ftell(said), 0);
    fclose(said);
    if (has_libjpeg(s)) {
        ck_assert_int_eq(status, SSLCV_ERR_FORMAT);
        ck_assert_msg(strstr(sslcv_last_error(), "it is damaged: ") != NULL, "%s", sslcv_last_error());
        ck_assert_int_eq(image.ndim, 77);
    } else if (status == SSLCV_OK) {
        sslcv__decode_free(context, &image);
    }
    free(copy);
}
END_TEST

START_TEST(content_counts_not_the_name)
{
    const struct sample *s = find("rgb.png");
    sslcv_tensor image;

    OK(sslcv__decode(context, s->file, s->size, "photo.jpg", 0, &roomy, &image));
    ck_assert_uint_eq(value_at(&image, 1, 2, 3), s->values[(2 * 7 + 3) * 3 + 1]);
    sslcv__decode_free(context, &image);
}
END_TEST

START_TEST(refuses_what_is_no_image)
{
    static const char text[] = "This is not a picture at all, but it is long enough to be one.";
    sslcv_tensor image = {.ndim = 77};
    int64_t shape[3] = {7, 7, 7};

    FAILS(sslcv__decode(context, text, sizeof text, "notes.jpg", 0, &roomy, &image), SSLCV_ERR_FORMAT,
          "notes.jpg: it is not a JPEG");
    FAILS(sslcv__decode(context, text, 0, "a.png", 0, &roomy, &image), SSLCV_ERR_FORMAT, "a.png: it is empty");
    FAILS(sslcv__decode(context, NULL, 10, "a.png", 0, &roomy, &image), SSLCV_ERR_FORMAT, "a.png: it is empty");
    FAILS(sslcv__decode_shape(context, "P5", 2, "a.pgm", 0, &roomy, shape), SSLCV_ERR_FORMAT, "a.pgm");
    FAILS(sslcv__decode_shape(context, "P5 0 1 255\n", 11, "a.pgm", 0, &roomy, shape), SSLCV_ERR_FORMAT, "width");
    FAILS(sslcv__decode_shape(context, "P5 1 1 0\n1", 10, "a.pgm", 0, &roomy, shape), SSLCV_ERR_FORMAT, "full scale");
    FAILS(sslcv__decode_shape(context, "P5 1 1 70000\n1", 14, "a.pgm", 0, &roomy, shape), SSLCV_ERR_FORMAT, "scale");
    FAILS(sslcv__decode_shape(context, "P5 99999999999 1 255\n1", 22, "a.pgm", 0, &roomy, shape), SSLCV_ERR_FORMAT,
          "a.pgm");
    FAILS(sslcv__decode(context, text, sizeof text, "a", 2, &roomy, &image), SSLCV_ERR_INVALID_ARGUMENT,
          "channels is 2");
    ck_assert(image.ndim == 77 && shape[0] == 7);
}
END_TEST

/** No beginning of a file decodes: what is cut off is an error, not grey pixels. */
START_TEST(refuses_truncated_files)
{
    const struct sample *s = &samples[_i];
    sslcv_tensor image = {.ndim = 77};
    int64_t size;

    if (_i >= num_samples) return;
    for (size = 0; size < s->size; size++) {
        uint8_t *copy = malloc((size_t)size + 1); /* of the exact size, so that tools see a read beyond it */

        memcpy(copy, s->file, (size_t)size);
        FAILS(sslcv__decode(context, copy, size, s->name, 0, &roomy, &image), SSLCV_ERR_FORMAT, s->name);
        free(copy);
    }
    ck_assert_int_eq(image.ndim, 77);
}
END_TEST

/** A damaged byte gives an error or a picture, never a crash; PNG tells by its checksums. */
START_TEST(survives_damaged_files)
{
    const struct sample *s = &samples[_i];
    int64_t i, accepted = 0;
    int bit;

    if (_i >= num_samples) return;
    for (i = 0; i < s->size; i++) {
        for (bit = 1; bit < 256; bit <<= 3) {
            uint8_t *copy = malloc((size_t)s->size);
            sslcv_tensor image;
            sslcv_status status;

            memcpy(copy, s->file, (size_t)s->size);
            copy[i] ^= (uint8_t)bit;
            status = sslcv__decode(context, copy, s->size, s->name, 0, &roomy, &image);
            if (status == SSLCV_OK) {
                sslcv__decode_free(context, &image);
                accepted++;
            } else {
                ck_assert_msg(status == SSLCV_ERR_FORMAT || status == SSLCV_ERR_LIMIT, "%s", sslcv_last_error());
            }
            free(copy);
        }
    }
    if (strstr(s->name, ".png")) ck_assert_int_eq(accepted, 0);
}
END_TEST

/** A table of codes that says it has more than there can be: a decoder that believes it writes beyond its memory. */
START_TEST(refuses_too_many_huffman_codes)
{
    const struct sample *s = &samples[_i];
    sslcv_tensor image = {.ndim = 77};
    uint8_t *copy;
    int64_t at = 2;

    if (_i >= num_samples || !is_jpeg(s)) return;
    copy = malloc((size_t)s->size);
    memcpy(copy, s->file, (size_t)s->size);
    while (at < s->size - 21 && !(copy[at] == 0xff && copy[at + 1] == 0xc4)) at++;
    ck_assert_int_lt(at, s->size - 21);
    memset(copy + at + 5, 255, 16); /* behind marker, length and the table's number: codes of each length */
    FAILS(sslcv__decode(context, copy, s->size, s->name, 0, &roomy, &image), SSLCV_ERR_FORMAT, "damaged Huffman table");
    ck_assert_int_eq(image.ndim, 77);
    free(copy);
}
END_TEST

START_TEST(limits)
{
    static const uint8_t sof[] = {0xff, 0xd8, 0xff, 0xc0, 0,    17, 8, 0xea, 0x60, 0xea, 0x60, 3,
                                  1,    0x22, 0,    2,    0x11, 1,  3, 0x11, 1,    0xff, 0xd9};
    const sslcv__decode_limits few_pixels = {34, 1 << 20, 0}, few_bytes = {1 << 20, 50, 0};
    const struct sample *s = find("rgb.png");
    uint8_t copy[sizeof s->file];
    sslcv_tensor image;
    int64_t shape[3];

    FAILS(sslcv__decode(context, s->file, s->size, "a.png", 0, &few_pixels, &image), SSLCV_ERR_LIMIT,
          "a.png has 7 x 5 pixels; the limit is 34");
    FAILS(sslcv__decode(context, s->file, s->size, "a.png", 0, &few_bytes, &image), SSLCV_ERR_LIMIT,
          "bytes; the limit is 50");
    memcpy(copy, s->file, (size_t)s->size);
    memcpy(copy + 16, "\0\0\xea\x60\0\0\xea\x60", 8);
    FAILS(sslcv__decode(context, copy, s->size, "huge.png", 0, &roomy, &image), SSLCV_ERR_LIMIT,
          "huge.png has 60000 x 60000 pixels");
    FAILS(sslcv__decode_shape(context, copy, s->size, "huge.png", 0, &roomy, shape), SSLCV_ERR_LIMIT, "60000 x 60000");
    FAILS(sslcv__decode(context, sof, sizeof sof, "huge.jpg", 0, &roomy, &image), SSLCV_ERR_LIMIT, "60000 x 60000");
    FAILS(sslcv__decode(context, "P5 999999999 999999999 255\n", 27, "huge.pgm", 0, &roomy, &image), SSLCV_ERR_LIMIT,
          "huge.pgm");
}
END_TEST

/* Grey, 8 x 8, progressive: one scan of the first coefficient, then one of each other, again for each lower bit. */
static int64_t put_scans(uint8_t *file, int scans)
{
    static const uint8_t frame[] = {0xff, 0xc2, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0}, one_code[16] = {1};
    int64_t size = 0;
    int i;

    memcpy(file, "\xff\xd8\xff\xdb\0\x43", 7);
    memset(file + 7, 1, 64);
    memcpy(file + 71, frame, sizeof frame);
    size = 71 + (int64_t)sizeof frame;
    for (i = 0; i < 2; i++, size += 22) { /* codes of 0 for the first and the others; each has one, of the value 0 */
        memcpy(file + size, "\xff\xc4\0\x14", 4);
        file[size + 4] = (uint8_t)(i << 4);
        memcpy(file + size + 5, one_code, 16);
        file[size + 21] = 0;
    }
    for (i = 0; i < scans; i++, size += 11) {
        const int place = i == 0 ? 0 : 1 + (i - 1) % 63, pass = (i - 1) / 63;
        const uint8_t scan[11] = {
            0xff, 0xda, 0, 8, 1, 1, 0, (uint8_t)place, (uint8_t)place, i == 0 ? 0 : pass ? 0x32 - 0x11 * (pass - 1) : 3,
            0x7f};

        memcpy(file + size, scan, sizeof scan);
    }
    memcpy(file + size, "\xff\xd9", 2);
    return size + 2;
}

/** Each scan costs a walk over all blocks, however few bytes it has. */
START_TEST(refuses_too_many_scans)
{
    static const int good[] = {1, 64, 127, 128}, bad[] = {129, 200};
    uint8_t file[4096];
    sslcv_tensor image = {.ndim = 77};
    int64_t size, shape[3] = {7};
    size_t i;

    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        size = put_scans(file, bad[i]);
        FAILS(sslcv__decode(context, file, size, "a.jpg", 0, &roomy, &image), SSLCV_ERR_FORMAT,
              "it has too many scans");
        ck_assert_int_eq(image.ndim, 77);
    }
    for (i = 0; i < sizeof good / sizeof *good; i++) {
        size = put_scans(file, good[i]);
        OK(sslcv__decode_shape(context, file, size, "a.jpg", 0, &roomy, shape));
        ck_assert(shape[0] == 1 && shape[1] == 8 && shape[2] == 8);
        OK(sslcv__decode(context, file, size, "a.jpg", 0, &roomy, &image));
        ck_assert_uint_eq(value_at(&image, 0, 3, 5), 128);
        sslcv__decode_free(context, &image);
    }
}
END_TEST

static int64_t put_chunk(uint8_t *at, const char *type, const uint8_t *body, uint32_t size)
{
    uint32_t crc, i;

    memcpy(at + 4, type, 4);
    memcpy(at + 8, body, size);
    crc = (uint32_t)crc32(crc32(0, Z_NULL, 0), at + 4, size + 4);
    for (i = 0; i < 4; i++) {
        at[i] = (uint8_t)(size >> (24 - 8 * i));
        at[8 + size + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    return size + 12;
}

/** What decoders must know is refused where they don't, whatever its checksum says; what they may skip is skipped. */
START_TEST(unknown_chunks_of_png)
{
    static const uint8_t header[13] = {0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0}, row[2] = {0, 200};
    static const char *const types[] = {"ABCD", "CgBI", "abCD", "teSt"};
    uint8_t packed[64], file[256];
    uLongf packed_size;
    size_t i;

    for (i = 0; i < 4; i++) {
        sslcv_tensor image = {.ndim = 77};
        int64_t size = 8;

        packed_size = sizeof packed;
        ck_assert_int_eq(compress2(packed, &packed_size, row, sizeof row, 9), Z_OK);
        memcpy(file, "\x89PNG\r\n\x1a\n", 8);
        size += put_chunk(file + size, "IHDR", header, 13);
        size += put_chunk(file + size, types[i], row, 2);
        size += put_chunk(file + size, "IDAT", packed, (uint32_t)packed_size);
        size += put_chunk(file + size, "IEND", header, 0);
        if (i < 2) {
            FAILS(sslcv__decode(context, file, size, "a.png", 0, &roomy, &image), SSLCV_ERR_FORMAT,
                  "a.png: it is damaged: it has a chunk that is not known");
            ck_assert_int_eq(image.ndim, 77);
        } else {
            OK(sslcv__decode(context, file, size, "a.png", 0, &roomy, &image));
            ck_assert_uint_eq(value_at(&image, 0, 0, 0), 200);
            sslcv__decode_free(context, &image);
        }
    }
}
END_TEST

/** A picture of 1 x 1 whose data unpack to 16 MB. */
START_TEST(refuses_a_zip_bomb)
{
    static const uint8_t header[13] = {0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0};
    static uint8_t zeros[1 << 24], packed[1 << 16], file[1 << 17];
    uLongf packed_size = sizeof packed;
    int64_t size = 8;
    sslcv_tensor image;

    ck_assert_int_eq(compress2(packed, &packed_size, zeros, sizeof zeros, 9), Z_OK);
    memcpy(file, "\x89PNG\r\n\x1a\n", 8);
    size += put_chunk(file + size, "IHDR", header, 13);
    size += put_chunk(file + size, "IDAT", packed, (uint32_t)packed_size);
    size += put_chunk(file + size, "IEND", header, 0);
    FAILS(sslcv__decode(context, file, size, "bomb.png", 0, &roomy, &image), SSLCV_ERR_FORMAT,
          "bomb.png: it is damaged: it unpacks to more");
}
END_TEST

/* ---- out of memory ---- */

static int64_t countdown = -1; /* allocations until one fails; < 0: never */

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    if (countdown == 0) return NULL;
    if (countdown > 0) countdown--;
    return aligned_alloc(alignment, bytes);
}

static void deallocate(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

START_TEST(out_of_memory)
{
    const sslcv_allocator allocator = {sizeof allocator, NULL, allocate, deallocate, NULL};
    const sslcv__decode_limits small = {1 << 20, 1 << 20, 1};
    const struct sample *s = &samples[_i];
    sslcv_context_options options;
    sslcv_context *poor;
    sslcv_tensor image = {.ndim = 77};
    sslcv_status status;
    int64_t n;

    if (_i >= num_samples) return;
    OK(sslcv_context_options_init(&options, sizeof options));
    options.allocator = &allocator;
    OK(sslcv_context_create(&options, &poor));
    for (n = 0;; n++) {
        countdown = n;
        status = sslcv__decode(poor, s->file, s->size, s->name, 3, &small, &image);
        countdown = -1;
        if (status == SSLCV_OK) break;
        ck_assert_msg(status == SSLCV_ERR_OUT_OF_MEMORY, "%s: %s", s->name, sslcv_last_error());
        ck_assert_int_eq(image.ndim, 77);
        ck_assert_int_eq((int64_t)atomic_load(&poor->bytes), 0);
    }
    ck_assert_int_ge(n, 1);
    sslcv__decode_free(poor, &image);
    sslcv_context_destroy(poor);
}
END_TEST

START_TEST(image_names)
{
    static const char *const yes[] = {"a.jpg", "b.JPEG", "c/d.Png", "x.y.bmp", "p.pgm", "q.PPM"};
    static const char *const no[] = {"", "jpg", ".jpg", "d/.png", "a.jp", "a.jpgx", "a.gif", "a.png.txt", "a.", "png."};
    size_t i;

    for (i = 0; i < sizeof yes / sizeof *yes; i++) ck_assert_msg(sslcv__is_image_name(yes[i]), "%s", yes[i]);
    for (i = 0; i < sizeof no / sizeof *no; i++) ck_assert_msg(!sslcv__is_image_name(no[i]), "%s", no[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("image");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, golden_files, 0, 19);
    tcase_add_test(tests, converts_channels);
    tcase_add_loop_test(tests, shrinks, 0, 3);
    tcase_add_loop_test(tests, shrinks_without_loss, 0, 4);
    tcase_add_loop_test(tests, libjpeg_refuses_missing_data, 0, 4);
    tcase_add_test(tests, content_counts_not_the_name);
    tcase_add_test(tests, refuses_what_is_no_image);
    tcase_add_loop_test(tests, refuses_truncated_files, 0, 19);
    tcase_add_loop_test(tests, survives_damaged_files, 0, 19);
    tcase_add_loop_test(tests, refuses_too_many_huffman_codes, 0, 19);
    tcase_add_test(tests, limits);
    tcase_add_test(tests, refuses_too_many_scans);
    tcase_add_test(tests, unknown_chunks_of_png);
    tcase_add_test(tests, refuses_a_zip_bomb);
    tcase_add_loop_test(tests, out_of_memory, 0, 19);
    tcase_add_test(tests, image_names);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
