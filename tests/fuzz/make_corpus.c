/*
 * Makes the first seeds of corpus/: a good file of every kind, and what the targets put in front of one.
 *
 *     make_corpus FOLDER
 *
 * What fuzzing has added since has the name of its content (SHA-1), as libFuzzer gives it.
 */
#include <sys/stat.h>

#include "states.h"

#include <jpeglib.h>

static const char *root;

/** prefix and bytes as corpus/TARGET/NAME. */
static void seed(const char *target, const char *name, const char *prefix, size_t prefix_size, const void *bytes,
                 size_t size)
{
    char path[512];
    FILE *to;

    snprintf(path, sizeof path, "%s/%s", root, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
    to = fopen(path, "wb");
    REQUIRE(to);
    REQUIRE(fwrite(prefix, 1, prefix_size, to) == prefix_size);
    REQUIRE(fwrite(bytes, 1, size, to) == size);
    REQUIRE(fclose(to) == 0);
}

static void seed_file(const char *target, const char *name, const char *prefix, size_t prefix_size, file *f)
{
    seed(target, name, prefix, prefix_size, f->bytes, f->size);
    file_free(f);
}

#define SEED_TEXT(target, name, text) seed(target, name, "", 0, text, sizeof(text) - 1)

/* ---- images ---- */

static void put_big(file *f, uint64_t number, int bytes)
{
    for (; bytes > 0; bytes--) file_number(f, number >> 8 * (bytes - 1) & 255, 1);
}

static void put_chunk(file *png, const char *type, const void *bytes, size_t size)
{
    const size_t from = png->size + 4;

    put_big(png, size, 4);
    file_put(png, type, 4);
    file_put(png, bytes, size);
    put_big(png, crc32(crc32(0, Z_NULL, 0), png->bytes + from, (uInt)(png->size - from)), 4);
}

/** rows: already filtered, each with its filter in front. */
static void seed_png(const char *name, int width, int height, int bits, int color, int interlaced, const uint8_t *rows,
                     size_t size)
{
    file png = {0}, header = {0}, packed = file_deflated(rows, size, 15);

    file_put(&png, "\x89PNG\r\n\x1a\n", 8);
    put_big(&header, (uint64_t)width, 4);
    put_big(&header, (uint64_t)height, 4);
    put_big(&header, (uint64_t)bits, 1);
    put_big(&header, (uint64_t)color, 1);
    put_big(&header, (uint64_t)interlaced, 3);
    put_chunk(&png, "IHDR", header.bytes, header.size);
    if (color == 3) {
        put_chunk(&png, "PLTE", "\0\0\0\377\0\0\0\377\0\0\0\377", 12);
        put_chunk(&png, "tRNS", "\0\377\200\100", 4);
    }
    if (color == 2) put_chunk(&png, "tRNS", "\0\1\0\2\0\3", 6);
    put_chunk(&png, "IDAT", packed.bytes, packed.size);
    put_chunk(&png, "IEND", NULL, 0);
    seed_file("image", name, "\0", 1, &png);
    file_free(&header);
    file_free(&packed);
}

static void seed_pngs(void)
{
    uint8_t rows[5 * (1 + 5 * 8)];
    size_t i;
    int y;

    for (i = 0; i < sizeof rows; i++) rows[i] = (uint8_t)(i * 31);
    for (y = 0; y < 5; y++) rows[y * 16] = (uint8_t)y; /* every filter */
    seed_png("rgb.png", 5, 5, 8, 2, 0, rows, 5 * 16);
    for (y = 0; y < 5; y++) rows[y * 41] = (uint8_t)(4 - y);
    seed_png("rgba16.png", 5, 5, 16, 6, 0, rows, 5 * 41);
    for (y = 0; y < 5; y++) rows[y * 6] = (uint8_t)y;
    seed_png("grey.png", 5, 5, 8, 0, 0, rows, 5 * 6);
    for (y = 0; y < 5; y++) rows[y * 11] = 0;
    seed_png("grey_alpha.png", 5, 5, 8, 4, 0, rows, 5 * 11);
    for (y = 0; y < 5; y++) rows[y * 3] = 0;
    seed_png("palette2.png", 5, 5, 2, 3, 0, rows, 5 * 3);
    for (y = 0; y < 5; y++) rows[y * 2] = 0;
    seed_png("grey1.png", 5, 5, 1, 0, 0, rows, 5 * 2);
    memset(rows, 0, sizeof rows);
    seed_png("interlaced.png", 5, 5, 8, 0, 1, rows, 42);
}

static void seed_jpeg(const char *name, int width, int height, int channels, int progressive, int restart,
                      const char *prefix)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL, row[64 * 3];
    unsigned long size = 0;
    JSAMPROW rows[1] = {row};
    int i;

    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &size);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = channels;
    jpeg.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    if (progressive) jpeg_simple_progression(&jpeg);
    jpeg.restart_interval = (unsigned)restart;
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        for (i = 0; i < width * channels; i++) row[i] = (unsigned char)(i * 13 + (int)jpeg.next_scanline * 29);
        jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    seed("image", name, prefix, 1, bytes, size);
    free(bytes);
}

static void seed_bmp(const char *name, int bits)
{
    file bmp = {0};
    int i;

    file_put(&bmp, "BM", 2);
    file_number(&bmp, 0, 8);
    file_number(&bmp, bits == 8 ? 54 + 16 : 54, 4);
    file_number(&bmp, 40, 4);
    file_number(&bmp, 3, 4);
    file_number(&bmp, bits == 32 ? (uint32_t)-2 : 2, 4);
    file_number(&bmp, 1, 2);
    file_number(&bmp, (uint64_t)bits, 2);
    file_number(&bmp, 0, 16);
    file_number(&bmp, bits == 8 ? 4 : 0, 8);
    for (i = 0; i < 48; i++) file_number(&bmp, (uint64_t)(bits == 8 && i >= 16 ? i % 4 : i * 5), 1);
    seed_file("image", name, "\0", 1, &bmp);
}

static void seed_images(void)
{
    seed_pngs();
    seed_jpeg("rgb.jpg", 17, 9, 3, 0, 0, "\2");
    seed_jpeg("grey.jpg", 9, 17, 1, 0, 0, "\0");
    seed_jpeg("progressive.jpg", 17, 17, 3, 1, 0, "\2");
    seed_jpeg("restart.jpg", 33, 17, 3, 0, 1, "\1");
    seed_jpeg("cmyk.jpg", 9, 9, 4, 0, 0, "\2");
    seed_jpeg("shrunk.jpg", 33, 33, 3, 0, 0, "\x2a");
    seed_bmp("rgb.bmp", 24);
    seed_bmp("rgbx.bmp", 32);
    seed_bmp("palette.bmp", 8);
    SEED_TEXT("image", "grey.pgm", "\0P5\n# so\n3 2 255\n123456");
    SEED_TEXT("image", "rgb.ppm", "\2P6 2 2 200\n123456789abc");
    SEED_TEXT("image", "rgb16.ppm", "\2P6 1 1 65535\n123456");
}

/* ---- states ---- */

static void seed_states(void)
{
    static const char torchvision[] =
        "{\"conv1.weight\":{\"dtype\":\"F32\",\"shape\":[2,3,1,1],\"data_offsets\":[0,24]},"
        "\"module.w\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[24,36]}}";
    static const char odd[] =
        "{\"__metadata__\":{\"a\":\"\\u00e9\\ud83d\\ude00\"},\"x\":{\"dtype\":\"BF16\",\"shape\":[0,7],"
        "\"data_offsets\":[0,0]},\"y\":{\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[0,3]}}";
    fuzz_memory memory;
    sslcv_context *context = fuzz_context(&memory, STATE_MEMORY);
    sslcv_state *state = make_target(context);
    file own = saved(state, SSLCV_FORMAT_SAFETENSORS), archive = saved(state, SSLCV_FORMAT_NPZ), f = {0};

    seed("safetensors", "own", "\1\0", 2, own.bytes + 8, own.size - 8);
    seed("safetensors", "own_gz", "\3\1", 2, own.bytes + 8, own.size - 8);
    seed("safetensors", "own_raw", "\0\0", 2, own.bytes, own.size);
    file_put(&f, torchvision, sizeof torchvision - 1);
    file_number(&f, 0x3f800000, 4);
    for (int i = 0; i < 8; i++) file_number(&f, 0x3c003c00, 4);
    seed("safetensors", "torchvision", "\5\30", 2, f.bytes, f.size);
    seed("safetensors", "adapted", "\1\32", 2, f.bytes, f.size);
    file_free(&f);
    file_put(&f, odd, sizeof odd - 1);
    file_put(&f, "123", 3);
    seed_file("safetensors", "odd", "\1\0", 2, &f);
    seed("numpy", "own.npz", "\0\0", 2, archive.bytes, archive.size);
    seed("numpy", "own.npz.gz", "\3\0", 2, archive.bytes, archive.size);
    file_free(&own);
    file_free(&archive);
    sslcv_state_destroy(state);
    fuzz_end(context, &memory);
}

#define NPY(descr, order, shape, data) "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }\n" data

/** An .npy file, with its length in front. */
static void put_npy(file *f, int version, const char *text, size_t size)
{
    const size_t header = strcspn(text, "\n") + 1;

    file_number(f, size + 8 + (version == 1 ? 2 : 4), 2);
    file_put(f, "\x93NUMPY", 6);
    file_number(f, (uint64_t)version, 2);
    file_number(f, header, version == 1 ? 2 : 4);
    file_put(f, text, size);
}

static void seed_arrays(void)
{
    static const char w[] = NPY("<f4", "False", "(2, 3)", "111122223333444455556666");
    static const char turned[] = NPY(">f4", "True", "(2, 3)", "111122223333444455556666");
    static const char mean[] = NPY("<f8", "False", "(2,)", "1111111122222222");
    static const char steps[] = NPY("<i8", "False", "()", "12345678");
    static const char on[] = NPY("|b1", "False", "(3,)", "\0\1\0");
    file f = {0};

    put_npy(&f, 1, w, sizeof w - 1);
    put_npy(&f, 1, mean, sizeof mean - 1);
    put_npy(&f, 2, steps, sizeof steps - 1);
    put_npy(&f, 3, on, sizeof on - 1);
    seed("numpy", "stored", "\1\0", 2, f.bytes, f.size);
    seed_file("numpy", "deflated", "\2\11", 2, &f);
    put_npy(&f, 1, turned, sizeof turned - 1);
    seed("numpy", "turned", "\1\10", 2, f.bytes, f.size);
    seed("numpy", "turned.npy", "\0\100", 2, f.bytes + 2, f.size - 2);
    seed("numpy", "turned.npy.gz", "\3\100", 2, f.bytes + 2, f.size - 2);
    file_free(&f);
}

/* Each goes on from a good file that the target makes itself. */
static void seed_checkpoints(void)
{
    SEED_TEXT("checkpoint", "as_it_is", "\1");
    SEED_TEXT("checkpoint", "tensors", "\1\40\0\10\377\377\377\377\377\377\377\377\100\1\4\0\0\200\77\20\200\1x");
    SEED_TEXT("checkpoint", "counters", "\1\0\0\200\1\60\0\200\2\150\0\200\3\0\1\200\4\30\1\200\5\40\1\200\377");
    SEED_TEXT("checkpoint", "header", "\1\20\200\1y\200\204\20abcdefghijklmnop");
}

/* ---- data sets, texts ---- */

static void seed_datasets(void)
{
    SEED_TEXT("idx", "images", "\0\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\3aaaaaabbbbbb");
    SEED_TEXT("idx", "labels", "\3\12\0\0\10\1\0\0\0\2\5\7\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\3aaaaaabbbbbb");
    SEED_TEXT("idx", "images_gz", "\10\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\3aaaaaabbbbbb");
    SEED_TEXT("cifar", "ten", "\0\1\1\14\1\1\14\3\0\0\1airplane\nautomobile\n");
    SEED_TEXT("cifar", "ten_gz", "\2\15\1\14\0\0\0\3\0\0\2airplane\r\n\n\nbird");
    SEED_TEXT("cifar", "hundred", "\1\1\2\14\15\4\30\0\0\0\1\1\1\1");
    SEED_TEXT("tuning", "lines",
              "sslcv-tuning 1 | oneDNN 2.6.3 | avx2 | threads 1 | forward f32 2x64x32x32 64x3x3/1+1 | winograd\n"
              "sslcv-tuning 1 |\n\nnone");
    SEED_TEXT("split", "list", "\100a/1.png\nn01440764_10026.JPEG\n#5\r\n\n\xc3\xa9.png");
    SEED_TEXT("split", "fraction", "\60\3\1\0\0\0\0\0\0\340\77");
    SEED_TEXT("split", "folds", "\11\1\3\2");
    SEED_TEXT("split", "per_class", "\6\1\1");
}

static void seed_settings(void)
{
    static const char *const texts[] = {"epochs=2 batch=4 steps_per_epoch=3 size=8",
                                        "epochs=2 batch=4 steps_per_epoch=3 size=8 classes=3 queue=8 dim=4 hidden=4",
                                        "steps_per_epoch=3 bank_size=9 negatives=2 dim=4 temperature=0.5",
                                        "learning_rate=1e-3 weight_decay=-1 epochs=0x10",
                                        "nothing=1",
                                        "epochs",
                                        "=",
                                        "epochs=nan batch=99999999999999999999"};
    char name[32], prefix[2];
    size_t i;
    int64_t method;

    for (i = 0; i < sizeof texts / sizeof *texts; i++) {
        snprintf(name, sizeof name, "text%d", (int)i);
        seed("settings", name, "\0\0", 2, texts[i], strlen(texts[i]));
    }
    for (method = 0; sslcv_method_name(method); method++) {
        snprintf(name, sizeof name, "%s", sslcv_method_name(method));
        prefix[0] = strcmp(name, "cmc") == 0 ? 8 : 0;
        prefix[1] = (char)method;
        seed("settings", name, prefix, 2, "steps_per_epoch=3 epochs=2 batch=4 size=16 classes=3 bank_size=9", 65);
    }
}

/** Numbers of calls.c's operations, each with the byte of its values and its arguments. */
static void seed_calls(void)
{
    /* Step three times */
    SEED_TEXT("calls", "steps", "\001\040\000\000\001\040\000\000\001\040\000\000\001");
    /* Run; look at the trainer and its metrics */
    SEED_TEXT("calls", "run", "\001\042\000\002\000\046\000\000\050\000\000\000\000");
    /* A trainer's state; step; a file; run */
    SEED_TEXT("calls", "checkpoint",
              "\001\030\000\004\000\001\040\000\000\000\062\000\001\001\000\000\042\000\000\000");
    /* Embed, fit a probe */
    SEED_TEXT("calls", "judging",
              "\001\067\000\000\000\003\000\000\000\001\000\000\001\000\070\000\000\001\001\000\000\000");
    /* Forward, backward, optimizer, loss */
    SEED_TEXT("calls", "by_hand",
              "\001\052\000\000\000\003\000\000\000\053\000\000\000\001\056\000\000\000\000\054\000\000\001\001\006");
    /* A hook; steps; it stops one; trainer and context are given back */
    SEED_TEXT(
        "calls", "hook",
        "\001\037\000\002\000\040\000\000\000\003\005\000\001\000\040\000\000\000\004\000\000\012\000\000\000\000\000");
    /* No memory for a step, then enough */
    SEED_TEXT("calls", "starved", "\001\003\000\003\040\000\000\000\004\000\040\000\000\000");
    /* A recipe; a loader and its batch */
    SEED_TEXT("calls", "recipe",
              "\001\024\000\000\000\000\000\001\000\001\040\000\000\001\021\000\000\000\002\000\000\000\000\066\000\000"
              "\000\001\001\001");
    /* A second context, a head, a loss and a data set of the host */
    SEED_TEXT("calls", "host", "\000\006\000\001\011\000\000\000\000\013\000\000\001\000\000\017\000\006\000\000\000");
}

/** Each struct as init leaves it; every transform, backbone, optimizer and probe there is. */
static void seed_options(void)
{
    static const char many[][2] = {{0, 6}, {20, 6}, {23, 9}, {26, 31}, {33, 3}, {34, 4}};
    char bytes[4] = {0, 1, 3, 0}, name[32];
    size_t i;

    for (bytes[0] = 0; bytes[0] < 41; bytes[0]++) {
        snprintf(name, sizeof name, "subject%02d", bytes[0]);
        seed("options", name, bytes, sizeof bytes, "", 0);
    }
    for (i = 0; i < sizeof many / sizeof *many; i++) {
        bytes[0] = many[i][0];
        for (bytes[1] = 2; bytes[1] <= many[i][1]; bytes[1]++) {
            snprintf(name, sizeof name, "subject%02d_kind%02d", bytes[0], bytes[1]);
            seed("options", name, bytes, sizeof bytes, "", 0);
        }
    }
    /* Steps with targets: of both losses that take them; with too few rows; beside labels */
    SEED_TEXT("options", "targets_cross_entropy", "\050\001\063\000");
    SEED_TEXT("options", "targets_binary", "\050\001\163\000");
    SEED_TEXT("options", "targets_short", "\050\001\067\000");
    SEED_TEXT("options", "targets_and_labels", "\050\001\043\000");
}

int main(int argc, char **argv)
{
    if (argc != 2) return EXIT_FAILURE;
    root = argv[1];
    mkdir(root, 0777);
    seed_images();
    seed_states();
    seed_arrays();
    seed_checkpoints();
    seed_datasets();
    seed_settings();
    seed_options();
    seed_calls();
    return EXIT_SUCCESS;
}
