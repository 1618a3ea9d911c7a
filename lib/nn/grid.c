#include "nn/grid.h"

#include <string.h>

/** A place: its grid's size, and where in it. */
typedef struct place {
    int64_t rows, columns;
    int64_t row, column;
} place;

/* r: a row of an array of count rows in which the grid's directions follow one another. */
static place place_of(const sslcv__grid *grid, int64_t r, int64_t count)
{
    const int64_t size = grid->rows * grid->columns, p = r % size;
    const int64_t direction = grid->directions == 4 ? r / (count / 4) : 0;
    place at = {grid->rows, grid->columns, 0, 0};

    if (direction & 1) {
        at.rows = grid->columns;
        at.columns = grid->rows;
    }
    at.row = p / at.columns;
    at.column = p % at.columns;
    return at;
}

static int is_inside(const place *at, int64_t down, int64_t right)
{
    const int64_t row = at->row + down, column = at->column + right;

    return row >= 0 && row < at->rows && column >= 0 && column < at->columns;
}

static void add(const float *from, float *to, int64_t dim)
{
    int64_t j;

    for (j = 0; j < dim; j++) to[j] += from[j];
}

void sslcv__grid_shift(const sslcv__grid *grid, const float *x, int64_t count, int64_t dim, float *y)
{
    const size_t bytes = (size_t)dim * sizeof(float);
    int64_t r;

#pragma omp parallel for schedule(static)
    for (r = 0; r < count; r++) {
        const place at = place_of(grid, r, count);
        float *to = y + r * grid->num_offsets * dim;
        int32_t k;

        for (k = 0; k < grid->num_offsets; k++, to += dim) {
            const int64_t down = grid->offsets[k][0], right = grid->offsets[k][1];

            if (is_inside(&at, down, right)) {
                memcpy(to, x + (r + down * at.columns + right) * dim, bytes);
            } else {
                memset(to, 0, bytes);
            }
        }
    }
}

/* Each place collects from those that had it as their neighbour, so no two threads write to one. */
void sslcv__grid_shift_backward(const sslcv__grid *grid, const float *dy, int64_t count, int64_t dim, float *dx)
{
    int64_t r;

#pragma omp parallel for schedule(static)
    for (r = 0; r < count; r++) {
        const place at = place_of(grid, r, count);
        float *to = dx + r * dim;
        int32_t k;

        memset(to, 0, (size_t)dim * sizeof *to);
        for (k = 0; k < grid->num_offsets; k++) {
            const int64_t down = grid->offsets[k][0], right = grid->offsets[k][1];
            const int64_t reader = r - down * at.columns - right;

            if (is_inside(&at, -down, -right)) add(dy + (reader * grid->num_offsets + k) * dim, to, dim);
        }
    }
}

/* Where place p of the grid, as it is, stands in the grid turned by direction quarters. */
static int64_t turned(const sslcv__grid *grid, int64_t p, int64_t direction)
{
    const int64_t rows = grid->rows, columns = grid->columns, row = p / columns, column = p % columns;

    switch (direction) {
    case 1: return (columns - 1 - column) * rows + row;
    case 2: return (rows - 1 - row) * columns + columns - 1 - column;
    case 3: return column * rows + rows - 1 - row;
    default: return p;
    }
}

/* Row of the array of 4 count rows that row r of count rows stands in. */
static int64_t turned_row(const sslcv__grid *grid, int64_t r, int64_t count, int64_t direction)
{
    const int64_t size = grid->rows * grid->columns;

    return direction * count + r / size * size + turned(grid, r % size, direction);
}

void sslcv__grid_turn(const sslcv__grid *grid, const float *x, int64_t count, int64_t dim, float *y)
{
    int64_t r;

#pragma omp parallel for schedule(static)
    for (r = 0; r < count; r++) {
        int64_t d;

        for (d = 0; d < 4; d++) {
            memcpy(y + turned_row(grid, r, count, d) * dim, x + r * dim, (size_t)dim * sizeof *y);
        }
    }
}

void sslcv__grid_turn_backward(const sslcv__grid *grid, const float *dy, int64_t count, int64_t dim, float *dx)
{
    int64_t r;

#pragma omp parallel for schedule(static)
    for (r = 0; r < count; r++) {
        int64_t d;

        memcpy(dx + r * dim, dy + r * dim, (size_t)dim * sizeof *dx);
        for (d = 1; d < 4; d++) add(dy + turned_row(grid, r, count, d) * dim, dx + r * dim, dim);
    }
}

void sslcv__grid_turn_back(const sslcv__grid *grid, const float *x, int64_t count, int64_t dim, float *y)
{
    int64_t r;

#pragma omp parallel for schedule(static)
    for (r = 0; r < count; r++) {
        int64_t d;

        for (d = 0; d < 4; d++) {
            memcpy(y + (4 * r + d) * dim, x + turned_row(grid, r, count, d) * dim, (size_t)dim * sizeof *y);
        }
    }
}

void sslcv__grid_turn_back_backward(const sslcv__grid *grid, const float *dy, int64_t count, int64_t dim, float *dx)
{
    int64_t r;

#pragma omp parallel for schedule(static)
    for (r = 0; r < count; r++) {
        int64_t d;

        for (d = 0; d < 4; d++) {
            memcpy(dx + turned_row(grid, r, count, d) * dim, dy + (4 * r + d) * dim, (size_t)dim * sizeof *dx);
        }
    }
}
