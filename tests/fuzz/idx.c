/* IDX files of images and labels from strangers, plain and by gzip. */
#include "folders.h"
#include "streams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    const uint64_t flags = take(&in, 1);
    size_t labels = flags & 1 ? (size_t)take(&in, 1) : 0;
    char path[128], labels_path[128];
    fuzz_memory memory;
    sslcv_context *context = fuzz_context(&memory, 4 << 20);
    sslcv_dataset_options options;
    sslcv_dataset *dataset = NULL;

    if (labels > in.left) labels = in.left;
    MUST(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_IDX));
    path_of(path, "images");
    path_of(labels_path, "labels");
    options.path = path;
    options.labels_path = flags & 1 ? labels_path : NULL;
    options.channels = flags & 2 ? 3 : 0;
    options.max_file_bytes = 1 << 16;
    if (flags & 4) options.max_pixels = 16;
    write_file("labels", in.bytes, labels);
    if (flags & 8) {
        file packed = file_deflated(in.bytes + labels, in.left - labels, 15 + 16);
        write_file("images", packed.bytes, packed.size);
        file_free(&packed);
    } else {
        write_file("images", in.bytes + labels, in.left - labels);
    }
    if (sane(sslcv_dataset_create(context, &options, &dataset))) read_all(dataset);
    sslcv_dataset_destroy(dataset);
    fuzz_end(context, &memory);
    return 0;
}
