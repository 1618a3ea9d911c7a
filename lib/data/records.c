#include "data/records.h"

#include "core/memory.h"

static const sslcv__part *find_part(const sslcv__records *records, int64_t *index)
{
    const sslcv__part *part = records->parts;

    for (; *index >= part->count; part++) *index -= part->count;
    return part;
}

static sslcv_status load(sslcv_dataset *dataset, int64_t index, sslcv__pixels *pixels)
{
    const sslcv__records *records = dataset->store;
    const sslcv__part *part = find_part(records, &index);
    const int64_t offset = part->pixels - (const unsigned char *)part->memory;

    pixels->image = records->image;
    pixels->image.data = (unsigned char *)part->memory + offset + index * records->pixel_stride;
    return SSLCV_OK;
}

static int64_t label(const sslcv_dataset *dataset, int64_t index)
{
    const sslcv__records *records = dataset->store;
    const sslcv__part *part = find_part(records, &index);

    return part->labels ? part->labels[index * records->label_stride] : -1;
}

static const char *name(const sslcv_dataset *dataset, int64_t index)
{
    (void)dataset;
    (void)index;
    return "";
}

static void release(sslcv_dataset *dataset)
{
    sslcv__records *records = dataset->store;
    int64_t i;

    for (i = 0; i < SSLCV__MAX_PARTS; i++) sslcv__free(dataset->object.context, records->parts[i].memory);
    sslcv__free(dataset->object.context, records->label_memory);
    sslcv__free(dataset->object.context, records);
}

sslcv_status sslcv__records_open(sslcv_dataset *dataset, sslcv__records **out)
{
    static const sslcv__source source = {load, NULL, label, name, NULL, release};
    sslcv__records *records;
    const sslcv_status status = sslcv__alloc_array(dataset->object.context, 1, sizeof *records, (void **)&records);

    if (status != SSLCV_OK) return status;
    dataset->store = records;
    dataset->source = &source;
    *out = records;
    return SSLCV_OK;
}

void sslcv__records_finish(sslcv_dataset *dataset)
{
    const sslcv__records *records = dataset->store;
    int64_t count = 0, i;

    for (i = 0; i < records->num_parts; i++) count += records->parts[i].count;
    for (i = 0; i < 3; i++) atomic_store(&dataset->shape[i], records->image.shape[i]);
    atomic_store_explicit(&dataset->count, count, memory_order_release);
}
