/*
 * Arrays from strangers, as .npy and .npz: opened and loaded into a state. Most changed archives fail by their sums;
 * so an input can also be the arrays, of which an archive is made here.
 */
#include "states.h"

enum { RAW, STORED, DEFLATED, GZIP, MODES };

/** One member, with the header in front of it and its entry of the directory. */
static void put_member(file *archive, file *directory, const char *name, const uint8_t *bytes, size_t size,
                       int deflated)
{
    const uint64_t sum = crc32(crc32(0, Z_NULL, 0), bytes, (uInt)size), place = archive->size;
    file packed = {0};

    if (deflated) {
        packed = file_deflated(bytes, size, -15);
    } else {
        file_put(&packed, bytes, size);
    }
    file_number(archive, 0x04034b50, 4);
    file_number(directory, 0x02014b50, 4);
    file_number(directory, 20, 2);
    file_number(archive, 20, 2);
    file_number(directory, 20, 2);
    for (int both = 0; both < 2; both++) {
        file *to = both ? directory : archive;

        file_number(to, 0, 2);
        file_number(to, deflated ? 8 : 0, 2);
        file_number(to, 0x210000, 4);
        file_number(to, sum, 4);
        file_number(to, packed.size, 4);
        file_number(to, size, 4);
        file_number(to, strlen(name), 2);
        file_number(to, 0, 2);
    }
    file_number(directory, 0, 10);
    file_number(directory, place, 4);
    file_put(directory, name, strlen(name));
    file_put(archive, name, strlen(name));
    file_put(archive, packed.bytes, packed.size);
    file_free(&packed);
}

/** Arrays of "w", "mean", "steps" ..., each preceded by its length in 2 bytes. */
static file make_archive(fuzz_input *in, int deflated)
{
    static const char *const names[] = {"w.npy", "mean.npy", "steps.npy", "on.npy", "x/other.npy"};
    const size_t most = sizeof names / sizeof *names;
    file archive = {0}, directory = {0};
    size_t count = 0, place;

    for (; count < most && in->left > 0; count++) {
        size_t size = (size_t)take(in, 2);

        if (size > in->left) size = in->left;
        put_member(&archive, &directory, names[count], in->bytes, size, deflated);
        in->bytes += size;
        in->left -= size;
    }
    place = archive.size;
    file_put(&archive, directory.bytes, directory.size);
    file_number(&archive, 0x06054b50, 4);
    file_number(&archive, 0, 4);
    file_number(&archive, count, 2);
    file_number(&archive, count, 2);
    file_number(&archive, directory.size, 4);
    file_number(&archive, place, 4);
    file_number(&archive, 0, 2);
    file_free(&directory);
    return archive;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    const int64_t mode = take_below(&in, MODES);
    const uint64_t choice = take(&in, 1);
    file f = {0};

    if (mode == STORED || mode == DEFLATED) {
        f = make_archive(&in, mode == DEFLATED);
    } else if (mode == GZIP) {
        f = file_deflated(in.bytes, in.left, 15 + 16);
    } else {
        file_put(&f, in.bytes, in.left);
    }
    file_trim(&f);
    read_states(&f, choice, SSLCV_FORMAT_NPZ);
    file_free(&f);
    return 0;
}
