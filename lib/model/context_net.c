#include "model/context_net.h"

#include <string.h>

enum { MAX_SIDE = 1024 };

sslcv_status sslcv__context_net_check(const char *kind, int64_t rows, int64_t columns, int32_t directions)
{
    sslcv_status status;

    SSLCV__TRY(sslcv__head_check_dim(kind, "rows", rows, 1, MAX_SIDE));
    SSLCV__TRY(sslcv__head_check_dim(kind, "columns", columns, 1, MAX_SIDE));
    if (directions != 1 && directions != 4) {
        return sslcv__invalid("%s.directions is %d; must be 1 or 4", kind, directions);
    }
end:
    return status;
}

sslcv_status sslcv__context_net_begin(sslcv_head *head, int64_t rows, int64_t columns, int32_t directions,
                                      sslcv__grid *grid, int32_t *node)
{
    memset(grid, 0, sizeof *grid);
    grid->rows = rows;
    grid->columns = columns;
    grid->directions = directions;
    head->in_patches = rows * columns;
    *node = 0;
    return directions == 4 ? sslcv__net_turn(&head->net, *node, grid, node) : SSLCV_OK;
}

sslcv_status sslcv__context_net_end(sslcv_head *head, const sslcv__grid *grid, int32_t *node)
{
    sslcv_status status = SSLCV_OK;

    if (grid->directions == 4) status = sslcv__net_turn_back(&head->net, *node, grid, node);
    head->out_dim = head->net.nodes[*node].channels;
    return status;
}

sslcv_status sslcv__context_net_convolution(sslcv_head *head, const sslcv__grid *grid, const int32_t (*offsets)[2],
                                            int32_t num_offsets, const sslcv__head_linear *linear, uint64_t seed,
                                            int32_t *node)
{
    sslcv__grid seen = *grid;
    sslcv_status status;

    seen.num_offsets = num_offsets;
    memcpy(seen.offsets, offsets, (size_t)num_offsets * sizeof *offsets);
    SSLCV__TRY(sslcv__net_shift(&head->net, *node, &seen, node));
    status = sslcv__head_linear_layer(head, linear, seed, node);
end:
    return status;
}
