/*
 * Weights from strangers, as safetensors: opened, loaded into a state, and taken for a backbone. What is opened can be
 * saved, and is the same when opened again; what cannot be loaded changes nothing.
 */
#include "states.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    const uint64_t flags = take(&in, 1), choice = take(&in, 1);
    file f = {0};

    if (flags & 1) {
        f = file_mended(in.bytes, in.left);
    } else {
        file_put(&f, in.bytes, in.left);
    }
    if (flags & 2) {
        const file plain = f;
        f = file_deflated(plain.bytes, plain.size, 15 + 16);
        free(plain.bytes);
    }
    file_trim(&f);
    read_states(&f, choice, SSLCV_FORMAT_SAFETENSORS);
    if (flags & 4) read_backbone(&f, choice);
    file_free(&f);
    return 0;
}
