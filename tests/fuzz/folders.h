/** Files for the targets of what is read by path: a folder of this process, in memory where the system has such. */
#ifndef SSLCV__FUZZ_FOLDERS_H
#define SSLCV__FUZZ_FOLDERS_H

#include "fuzz.h"

#include <dirent.h>
#include <unistd.h>

static char fuzz_folder[64];

static inline void remove_folder(void)
{
    DIR *folder = opendir(fuzz_folder);
    const struct dirent *entry;
    char path[512];

    while (folder && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", fuzz_folder, entry->d_name);
        unlink(path);
    }
    if (folder) closedir(folder);
    rmdir(fuzz_folder);
}

/** Made at the first call, and removed when the process ends. */
static inline const char *folder_path(void)
{
    if (!fuzz_folder[0]) {
        strcpy(fuzz_folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/sslcv-fuzz-XXXXXX" : "/tmp/sslcv-fuzz-XXXXXX");
        REQUIRE(mkdtemp(fuzz_folder));
        atexit(remove_folder);
    }
    return fuzz_folder;
}

/** path: 128 bytes, of the file in the folder. */
static inline void path_of(char *path, const char *name)
{
    REQUIRE(snprintf(path, 128, "%s/%s", folder_path(), name) < 128);
}

static inline void write_file(const char *name, const void *bytes, size_t size)
{
    char path[128];
    FILE *to;

    path_of(path, name);
    to = fopen(path, "wb");
    REQUIRE(to);
    REQUIRE(size == 0 || fwrite(bytes, 1, size, to) == size);
    REQUIRE(fclose(to) == 0);
}

/** A file that may be there from the input before. */
static inline void no_file(const char *name)
{
    char path[128];

    path_of(path, name);
    unlink(path);
}

/** Every sample can be described and read, or says why not. */
static inline void read_all(sslcv_dataset *dataset)
{
    sslcv_dataset_info info = {.struct_size = sizeof info};
    sslcv_sample sample = {.struct_size = sizeof sample};
    const char *name;
    int64_t index, label;

    MUST(sslcv_dataset_get_info(dataset, &info));
    REQUIRE(info.count >= 0 && info.num_classes >= 0);
    for (label = 0; label < info.num_classes; label++) {
        MUST(sslcv_dataset_get_class(dataset, label, &name));
        REQUIRE(strlen(name) < 1 << 20);
    }
    for (index = 0; index < info.count; index++) {
        sslcv_tensor image = {0};

        MUST(sslcv_dataset_get_sample(dataset, index, &sample));
        REQUIRE(sample.label >= -1 && sample.label < info.num_classes + (info.num_classes == 0));
        REQUIRE(strlen(sample.name) < 1 << 20);
        if (index >= 16) continue;
        if (sane(sslcv_dataset_read(dataset, index, &image))) {
            const int64_t values = image.shape[0] * image.shape[1] * image.shape[2];

            image.data = malloc((size_t)(values * sslcv_dtype_size(image.dtype)));
            REQUIRE(image.data);
            MUST(sslcv_dataset_read(dataset, index, &image));
            free(image.data);
        }
    }
    REQUIRE(sslcv_dataset_get_sample(dataset, info.count, &sample) == SSLCV_ERR_NOT_FOUND);
    REQUIRE(sslcv_dataset_get_class(dataset, info.num_classes, &name) == SSLCV_ERR_NOT_FOUND);
}

#endif
