/*
 * A product, for any width of vector. The file that includes this has WIDTH, the values of a vector, MAX_ROWS, the rows
 * of a tile (at most 14), and MATMUL, the function's name. The Makefile has it compiled with products and sums fused.
 */
#include "nn/matmul.h"

typedef float vector __attribute__((vector_size(WIDTH * sizeof(float))));
/* In memory: at any float. */
typedef float stored __attribute__((vector_size(WIDTH * sizeof(float)), aligned(sizeof(float)), may_alias));

/*
 * X(row, group, place): the rows of a tile, three to a pointer, as an address can have a distance once and twice: with
 * a register for each of 14 distances the compiler runs out of them. What is left out when rows is known leaves no
 * trace in the code.
 */
#define EACH_ROW(X)                                                                                                    \
    X(0, 0, 0)                                                                                                         \
    X(1, 0, 1)                                                                                                         \
    X(2, 0, 2)                                                                                                         \
    X(3, 1, 0)                                                                                                         \
    X(4, 1, 1)                                                                                                         \
    X(5, 1, 2)                                                                                                         \
    X(6, 2, 0)                                                                                                         \
    X(7, 2, 1)                                                                                                         \
    X(8, 2, 2)                                                                                                         \
    X(9, 3, 0)                                                                                                         \
    X(10, 3, 1)                                                                                                        \
    X(11, 3, 2)                                                                                                        \
    X(12, 4, 0)                                                                                                        \
    X(13, 4, 1)

/* a, b and c begin at the tile. */
static inline __attribute__((always_inline)) void tile(int rows, const sslcv__matmul *p, int64_t k, const float *a,
                                                       const float *b, float *c, int add)
{
    const int64_t a_row = p->a_row, a_column = p->a_column, b_row = p->b_row, c_row = p->c_row;
    const float *a0 = a, *a1 = a0 + 3 * a_row, *a2 = a1 + 3 * a_row, *a3 = a2 + 3 * a_row, *a4 = a3 + 3 * a_row;
    int64_t i;

#define START(r, group, place) vector x##r = {0.0f}, y##r = {0.0f};
#define STEP(r, group, place)                                                                                          \
    if (r < rows) {                                                                                                    \
        x##r += a##group[(place)*a_row] * b0;                                                                          \
        y##r += a##group[(place)*a_row] * b1;                                                                          \
    }
#define ADD(r, group, place)                                                                                           \
    if (r < rows) {                                                                                                    \
        x##r += *(const stored *)(c + (r)*c_row);                                                                      \
        y##r += *(const stored *)(c + (r)*c_row + WIDTH);                                                              \
    }
#define STORE(r, group, place)                                                                                         \
    if (r < rows) {                                                                                                    \
        *(stored *)(c + (r)*c_row) = x##r;                                                                             \
        *(stored *)(c + (r)*c_row + WIDTH) = y##r;                                                                     \
    }
    EACH_ROW(START)
    for (i = 0; i < k; i++) {
        const vector b0 = *(const stored *)b, b1 = *(const stored *)(b + WIDTH);

        EACH_ROW(STEP)
        a0 += a_column;
        a1 += a_column;
        a2 += a_column;
        a3 += a_column;
        a4 += a_column;
        b += b_row;
    }
    if (add) {
        EACH_ROW(ADD)
    }
    EACH_ROW(STORE)
#undef STORE
#undef ADD
#undef STEP
#undef START
}

typedef void (*tile_function)(const sslcv__matmul *p, int64_t k, const float *a, const float *b, float *c, int add);

#define TILE(rows)                                                                                                     \
    static void tile_##rows(const sslcv__matmul *p, int64_t k, const float *a, const float *b, float *c, int add)      \
    {                                                                                                                  \
        tile(rows, p, k, a, b, c, add);                                                                                \
    }

TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
#if MAX_ROWS > 6
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)
TILE(13)
TILE(14)
#endif

static const tile_function tiles[MAX_ROWS] = {
    tile_1, tile_2, tile_3, tile_4,  tile_5,  tile_6,
#if MAX_ROWS > 6
    tile_7, tile_8, tile_9, tile_10, tile_11, tile_12, tile_13, tile_14,
#endif
};

/* What is fetched: a share before each tile, as more at once would wait for memory. */
typedef struct ahead {
    const float *at;
    int64_t left, share;
} ahead;

static void fetch(ahead *next)
{
    enum { LINE = 16 };
    int64_t i;

    for (i = 0; i < next->share && next->left > 0; i += LINE, next->at += LINE, next->left -= LINE) {
        __builtin_prefetch(next->at, 0, 2);
    }
}

/* All rows of c, in tiles of nearly the same size: one of few rows reads as much of b as one of many. */
static void column_of_tiles(const sslcv__matmul *p, int64_t k, const float *a, const float *b, float *c, int add,
                            ahead *next)
{
    int64_t left = p->m, groups;

    for (groups = (left + MAX_ROWS - 1) / MAX_ROWS; groups > 0; groups--) {
        const int64_t rows = (left + groups - 1) / groups;

        fetch(next);
        tiles[rows - 1](p, k, a, b, c, add);
        a += rows * p->a_row;
        c += rows * p->c_row;
        left -= rows;
    }
}

void MATMUL(const sslcv__matmul *p)
{
    enum { DEPTH = SSLCV__MATMUL_DEPTH };
    const int64_t chains = p->k > DEPTH ? (p->k + DEPTH - 1) / DEPTH : 1;
    const int64_t count = p->n / (2 * WIDTH) * chains * ((p->m + MAX_ROWS - 1) / MAX_ROWS);
    ahead next = {p->next, p->next_floats, count > 0 ? (p->next_floats + count - 1) / count : 0};
    int64_t i, j;

    for (j = 0; j < p->n; j += 2 * WIDTH) {
        for (i = 0; i < chains; i++) {
            const int64_t from = i * DEPTH, k = i + 1 < chains ? DEPTH : p->k - from;

            column_of_tiles(p, k, p->a + from * p->a_column, p->b + from * p->b_row + j, p->c + j, p->add || i > 0,
                            &next);
        }
    }
}
