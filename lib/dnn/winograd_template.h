/*
 * The Winograd kernels, for any width of vector. The file that includes this has vector, WIDTH, the operations on
 * vectors, and the shapes of the register blocks: WINOGRAD_MAX_ROWS tiles by a pair of vectors in product, OUTER_ROWS
 * or SINGLE_OUTER_ROWS channels by two vectors or one in outer.
 *
 * The transforms evaluate polynomials at 0, a, -a, b, -b and infinity. With a = 5/8 and b = 3/2 the rounding errors are
 * 2.5 times smaller than with the well-known 1 and 2 (the points are oneDNN's choice, and the error is: rms 0.8e-6 of
 * the result's with 64 channels, 1.1e-6 with 512), and all constants of B and A are exact in f32.
 *
 *          | a2b2   0   -a2-b2   0      1    0 |        | 1   1   1    1   1   0 |        row p of G, with q over the
 *          |  0   -ab2   -b2     a      1    0 |        | 0   a  -a    b  -b   0 |        other four finite points:
 *     B' = |  0    ab2   -b2    -a      1    0 |   A' = | 0   a2  a2   b2  b2  0 |
 *          |  0   -a2b   -a2     b      1    0 |        | 0   a3 -a3   b3 -b3  1 |        (1, p, p2) / prod (p - q)
 *          |  0    a2b   -a2    -b      1    0 |                                          and (0, 0, 1) for infinity
 *          |  0   a2b2    0   -a2-b2    0    1 |
 *
 * The rows of a and -a are an even part plus or minus an odd one, likewise b's: what the code computes.
 */
#include <stdint.h>

#define POINT_A 0.625f
#define POINT_B 1.5f
#define A2 (POINT_A * POINT_A)
#define B2 (POINT_B * POINT_B)
#define A3 (A2 * POINT_A)
#define B3 (B2 * POINT_B)
#define SCALE_0 (1.0 / (0.625 * 0.625 * 1.5 * 1.5))
#define SCALE_A (0.5 / (0.625 * 0.625 * (0.625 * 0.625 - 1.5 * 1.5)))
#define SCALE_B (0.5 / (1.5 * 1.5 * (1.5 * 1.5 - 0.625 * 0.625)))

enum { TILE = 6 * WIDTH, BLOCK_WEIGHTS = WIDTH * WIDTH };

/* ---- where a tile lies ---- */

typedef struct place {
    int64_t image, row, column; /* row and column of the tile */
} place;

static inline place first_place(const sslcv__winograd_tiles *tiles)
{
    const int64_t wide = tiles->images->tiles_wide, high = tiles->images->tiles_high;
    const place p = {tiles->first / (wide * high), tiles->first / wide % high, tiles->first % wide};

    return p;
}

static inline void next_place(const sslcv__winograd_images *images, place *p)
{
    if (++p->column < images->tiles_wide) return;
    p->column = 0;
    if (++p->row < images->tiles_high) return;
    p->row = 0;
    p->image++;
}

/* Offset in bytes of the block's pixel (0, 0) in the image. */
static inline int64_t plane_offset(const sslcv__winograd_tiles *tiles, int64_t image)
{
    const sslcv__winograd_images *s = tiles->images;

    return (image * s->blocks + tiles->block) * s->height * s->width * WIDTH * (s->bf16 ? 2 : 4);
}

/* The pixels that a tile reads. Rows outside of the image are rows of zeros; columns left .. right are inside. */
typedef struct window {
    const char *rows[6];
    int64_t left, right;
} window;

static const float ZEROS[6 * WIDTH] = {0};

/* The window of size x size pixels from (y0, x0) on. plane: where its block begins in src, in bytes. 1: at the edge. */
static inline int look(window *w, const sslcv__winograd_images *s, const char *src, int64_t plane, int64_t y0,
                       int64_t x0, int size)
{
    const int64_t pixel = WIDTH * (s->bf16 ? 2 : 4);
    int i;

    for (i = 0; i < size; i++) {
        const int64_t y = y0 + i;

        w->rows[i] = y < 0 || y >= s->height ? (const char *)ZEROS : src + plane + (y * s->width + x0) * pixel;
    }
    w->left = -x0;
    w->right = s->width - x0;
    return y0 < 0 || x0 < 0 || y0 + size > s->height || x0 + size > s->width;
}

/* Pixel (i, j) of the window. bf16 and edge are known where this is inlined. */
static inline __attribute__((always_inline)) vector pixel(const window *w, int bf16, int edge, int i, int j)
{
    const char *at = w->rows[i] + j * WIDTH * (bf16 ? 2 : 4);

    if (edge) {
        if (j < w->left || j >= w->right) at = (const char *)ZEROS;
        __asm__("" : "+r"(at)); /* the address is chosen, without a branch */
    }
    return bf16 ? load_bf16((const uint16_t *)(const void *)at) : load((const float *)(const void *)at);
}

/*
 * The transform of one tile is a function of its own in each of four forms: [bf16][edge]. In one big loop the compiler
 * runs out of registers for addresses.
 */
#define FOUR_FORMS(FORM) FORM(0, 0) FORM(0, 1) FORM(1, 0) FORM(1, 1)
#define TABLE(name) {{name##_00, name##_01}, {name##_10, name##_11}}

/* ---- B' d B ---- */

/* B' times a line of six; results go into v, one behind the other. */
static inline void patch_line(vector d0, vector d1, vector d2, vector d3, vector d4, vector d5, float *v)
{
    const vector even_a = multiply_minus(all(B2), d2, d4), odd_a = multiply_minus(all(B2), d1, d3);
    const vector even_b = multiply_minus(all(A2), d2, d4), odd_b = multiply_minus(all(A2), d1, d3);

    store(v, multiply_add(all(A2 * B2), d0, multiply_minus(all(A2 + B2), d2, d4)));
    store(v + WIDTH, multiply_add(all(POINT_A), odd_a, even_a));
    store(v + 2 * WIDTH, multiply_minus(all(POINT_A), odd_a, even_a));
    store(v + 3 * WIDTH, multiply_add(all(POINT_B), odd_b, even_b));
    store(v + 4 * WIDTH, multiply_minus(all(POINT_B), odd_b, even_b));
    store(v + 5 * WIDTH, multiply_add(all(A2 * B2), d1, multiply_minus(all(A2 + B2), d3, d5)));
}

static inline __attribute__((always_inline)) void patch_tile(const window *in, int bf16, int edge, float *v,
                                                             int64_t step)
{
#define D(i, j) pixel(in, bf16, edge, i, j)
#define OUTER_ROW(j, i)                                                                                                \
    const vector t##j = multiply_add(all(A2 * B2), D(i, j), multiply_minus(all(A2 + B2), D(i + 2, j), D(i + 4, j)))
#define INNER_ROWS(j, point, square)                                                                                   \
    const vector even##j = multiply_minus(all(square), D(2, j), D(4, j));                                              \
    const vector odd##j = multiply_minus(all(square), D(1, j), D(3, j));                                               \
    const vector t##j = multiply_add(all(point), odd##j, even##j);                                                     \
    const vector s##j = multiply_minus(all(point), odd##j, even##j)
#define LINE(x, i) patch_line(x##0, x##1, x##2, x##3, x##4, x##5, v + (i)*step)
    {
        OUTER_ROW(0, 0);
        OUTER_ROW(1, 0);
        OUTER_ROW(2, 0);
        OUTER_ROW(3, 0);
        OUTER_ROW(4, 0);
        OUTER_ROW(5, 0);
        LINE(t, 0);
    }
    {
        INNER_ROWS(0, POINT_A, B2);
        INNER_ROWS(1, POINT_A, B2);
        INNER_ROWS(2, POINT_A, B2);
        INNER_ROWS(3, POINT_A, B2);
        INNER_ROWS(4, POINT_A, B2);
        INNER_ROWS(5, POINT_A, B2);
        LINE(t, 1);
        LINE(s, 2);
    }
    {
        INNER_ROWS(0, POINT_B, A2);
        INNER_ROWS(1, POINT_B, A2);
        INNER_ROWS(2, POINT_B, A2);
        INNER_ROWS(3, POINT_B, A2);
        INNER_ROWS(4, POINT_B, A2);
        INNER_ROWS(5, POINT_B, A2);
        LINE(t, 3);
        LINE(s, 4);
    }
    {
        OUTER_ROW(0, 1);
        OUTER_ROW(1, 1);
        OUTER_ROW(2, 1);
        OUTER_ROW(3, 1);
        OUTER_ROW(4, 1);
        OUTER_ROW(5, 1);
        LINE(t, 5);
    }
#undef LINE
#undef INNER_ROWS
#undef OUTER_ROW
#undef D
}

typedef void (*window_function)(const window *in, float *v, int64_t step);

#define FORM(bf16, edge)                                                                                               \
    static __attribute__((noinline)) void patch_tile_##bf16##edge(const window *in, float *v, int64_t step)            \
    {                                                                                                                  \
        patch_tile(in, bf16, edge, v, step);                                                                           \
    }
FOUR_FORMS(FORM)
#undef FORM

static void patches(const sslcv__winograd_tiles *tiles, const void *src, float *v, int64_t step)
{
    const sslcv__winograd_images *s = tiles->images;
    static const window_function table[2][2] = TABLE(patch_tile);
    const window_function *forms = table[s->bf16 != 0];
    place p = first_place(tiles);
    window w;
    int64_t i;

    for (i = 0; i < tiles->count; i++, v += TILE, next_place(s, &p)) {
        const int edge = look(&w, s, src, plane_offset(tiles, p.image), 4 * p.row - 1, 4 * p.column - 1, 6);

        forms[edge](&w, v, step);
    }
}

/* ---- A dy A' ---- */

/* A times a line of four; results go into w, one behind the other. */
static inline void gradient_line(vector y0, vector y1, vector y2, vector y3, float *w)
{
    const vector even_a = multiply_add(all(A2), y2, y0), odd_a = multiply_add(all(A2), y3, y1);
    const vector even_b = multiply_add(all(B2), y2, y0), odd_b = multiply_add(all(B2), y3, y1);

    store(w, y0);
    store(w + WIDTH, multiply_add(all(POINT_A), odd_a, even_a));
    store(w + 2 * WIDTH, multiply_minus(all(POINT_A), odd_a, even_a));
    store(w + 3 * WIDTH, multiply_add(all(POINT_B), odd_b, even_b));
    store(w + 4 * WIDTH, multiply_minus(all(POINT_B), odd_b, even_b));
    store(w + 5 * WIDTH, y3);
}

static inline __attribute__((always_inline)) void gradient_tile(const window *in, int bf16, int edge, float *w,
                                                                int64_t step)
{
#define Y(i, j) pixel(in, bf16, edge, i, j)
#define INNER_ROWS(j, point, square)                                                                                   \
    const vector even##j = multiply_add(all(square), Y(2, j), Y(0, j));                                                \
    const vector odd##j = multiply_add(all(square), Y(3, j), Y(1, j));                                                 \
    const vector t##j = multiply_add(all(point), odd##j, even##j);                                                     \
    const vector s##j = multiply_minus(all(point), odd##j, even##j)
#define LINE(x, i) gradient_line(x##0, x##1, x##2, x##3, w + (i)*step)
    gradient_line(Y(0, 0), Y(0, 1), Y(0, 2), Y(0, 3), w);
    {
        INNER_ROWS(0, POINT_A, A2);
        INNER_ROWS(1, POINT_A, A2);
        INNER_ROWS(2, POINT_A, A2);
        INNER_ROWS(3, POINT_A, A2);
        LINE(t, 1);
        LINE(s, 2);
    }
    {
        INNER_ROWS(0, POINT_B, B2);
        INNER_ROWS(1, POINT_B, B2);
        INNER_ROWS(2, POINT_B, B2);
        INNER_ROWS(3, POINT_B, B2);
        LINE(t, 3);
        LINE(s, 4);
    }
    gradient_line(Y(3, 0), Y(3, 1), Y(3, 2), Y(3, 3), w + 5 * step);
#undef LINE
#undef INNER_ROWS
#undef Y
}

#define FORM(bf16, edge)                                                                                               \
    static __attribute__((noinline)) void gradient_tile_##bf16##edge(const window *in, float *w, int64_t step)         \
    {                                                                                                                  \
        gradient_tile(in, bf16, edge, w, step);                                                                        \
    }
FOUR_FORMS(FORM)
#undef FORM

static void gradients(const sslcv__winograd_tiles *tiles, const void *diff_dst, float *w, int64_t step)
{
    const sslcv__winograd_images *s = tiles->images;
    static const window_function table[2][2] = TABLE(gradient_tile);
    const window_function *forms = table[s->bf16 != 0];
    place p = first_place(tiles);
    window in;
    int64_t i;

    for (i = 0; i < tiles->count; i++, w += TILE, next_place(s, &p)) {
        const int edge = look(&in, s, diff_dst, plane_offset(tiles, p.image), 4 * p.row, 4 * p.column, 4);

        forms[edge](&in, w, step);
    }
}

/* ---- A' m A ---- */

enum { PLAIN, EDGE, STREAM };

typedef struct finish {
    const char *add; /* NULL: none */
    char *dst;
    vector bias, least; /* least: 0 for ReLU, else minus infinity */
} finish;

/* What dst gets at an offset in bytes. bf16 is known where this is inlined. */
static inline __attribute__((always_inline)) vector finished(const finish *f, int bf16, int64_t offset, vector y)
{
    y = plus(y, f->bias);
    if (f->add != NULL) {
        const void *add = f->add + offset;
        y = plus(y, bf16 ? load_bf16((const uint16_t *)add) : load((const float *)add));
    }
    return larger(f->least, y);
}

/* Two pixels, side by side. stream: past the caches. */
static inline __attribute__((always_inline)) void put_pair(const finish *f, int bf16, int stream, int64_t offset,
                                                           vector y0, vector y1)
{
    const int64_t bytes = WIDTH * (bf16 ? 2 : 4);
    void *to = f->dst + offset;

    y0 = finished(f, bf16, offset, y0);
    y1 = finished(f, bf16, offset + bytes, y1);
    if (bf16) {
        store_bf16_pair((uint16_t *)to, y0, y1, stream);
    } else if (stream) {
        store_stream((float *)to, y0);
        store_stream((float *)to + WIDTH, y1);
    } else {
        store((float *)to, y0);
        store((float *)to + WIDTH, y1);
    }
}

static inline __attribute__((always_inline)) void put(const finish *f, int bf16, int64_t offset, vector y)
{
    void *to = f->dst + offset;

    y = finished(f, bf16, offset, y);
    if (bf16) store_bf16((uint16_t *)to, y);
    else store((float *)to, y);
}

/* Pixels of the tile at this offset, those inside of the image: high x wide of 4x4. row: bytes. */
static inline __attribute__((always_inline)) void result_tile(const finish *f, int bf16, int form, const float *m,
                                                              int64_t step, int64_t offset, int64_t row, int64_t high,
                                                              int64_t wide)
{
#define M(i, j) load(m + (i)*step + (j)*WIDTH)
#define COLUMN(j)                                                                                                      \
    const vector sum_a##j = plus(M(1, j), M(2, j)), odd_a##j = minus(M(1, j), M(2, j));                                \
    const vector sum_b##j = plus(M(3, j), M(4, j)), odd_b##j = minus(M(3, j), M(4, j));                                \
    const vector t0##j = plus(M(0, j), plus(sum_a##j, sum_b##j));                                                      \
    const vector t1##j = multiply_add(all(POINT_A), odd_a##j, times(all(POINT_B), odd_b##j));                          \
    const vector t2##j = multiply_add(all(A2), sum_a##j, times(all(B2), sum_b##j));                                    \
    const vector t3##j = multiply_add(all(A3), odd_a##j, multiply_add(all(B3), odd_b##j, M(5, j)))
#define ROW(i)                                                                                                         \
    if (form != EDGE || i < high) {                                                                                    \
        const int64_t at = offset + (i)*row, bytes = WIDTH * (bf16 ? 2 : 4);                                           \
        const vector sum_a = plus(t##i##1, t##i##2), odd_a = minus(t##i##1, t##i##2);                                  \
        const vector sum_b = plus(t##i##3, t##i##4), odd_b = minus(t##i##3, t##i##4);                                  \
        const vector y0 = plus(t##i##0, plus(sum_a, sum_b));                                                           \
        const vector y1 = multiply_add(all(POINT_A), odd_a, times(all(POINT_B), odd_b));                               \
        const vector y2 = multiply_add(all(A2), sum_a, times(all(B2), sum_b));                                         \
        const vector y3 = multiply_add(all(A3), odd_a, multiply_add(all(B3), odd_b, t##i##5));                         \
        if (form != EDGE) {                                                                                            \
            put_pair(f, bf16, form == STREAM, at, y0, y1);                                                             \
            put_pair(f, bf16, form == STREAM, at + 2 * bytes, y2, y3);                                                 \
        } else {                                                                                                       \
            put(f, bf16, at, y0);                                                                                      \
            if (wide > 1) put(f, bf16, at + bytes, y1);                                                                \
            if (wide > 2) put(f, bf16, at + 2 * bytes, y2);                                                            \
            if (wide > 3) put(f, bf16, at + 3 * bytes, y3);                                                            \
        }                                                                                                              \
    }
    COLUMN(0);
    COLUMN(1);
    COLUMN(2);
    COLUMN(3);
    COLUMN(4);
    COLUMN(5);
    ROW(0)
    ROW(1)
    ROW(2)
    ROW(3)
#undef ROW
#undef COLUMN
#undef M
}

typedef void (*result_function)(const finish *f, const float *m, int64_t step, int64_t offset, int64_t row,
                                int64_t high, int64_t wide);

#define FORM(bf16, form)                                                                                               \
    static __attribute__((noinline)) void result_tile_##bf16##form(const finish *f, const float *m, int64_t step,      \
                                                                   int64_t offset, int64_t row, int64_t high,          \
                                                                   int64_t wide)                                       \
    {                                                                                                                  \
        result_tile(f, bf16, form, m, step, offset, row, high, wide);                                                  \
    }
FOUR_FORMS(FORM) FORM(0, 2) FORM(1, 2)
#undef FORM

static void results(const sslcv__winograd_tiles *tiles, const float *m, int64_t step, void *dst,
                    const sslcv__winograd_post *post, int stream)
{
    const sslcv__winograd_images *s = tiles->images;
    const int64_t bytes = WIDTH * (s->bf16 ? 2 : 4), row = s->width * bytes;
    static const result_function table[2][3] = {{result_tile_00, result_tile_01, result_tile_02},
                                                {result_tile_10, result_tile_11, result_tile_12}};
    const result_function *forms = table[s->bf16 != 0];
    const int whole = stream ? STREAM : PLAIN;
    finish f = {NULL, dst, zero(), all(-__builtin_inff())};
    place p = first_place(tiles);
    int64_t i;

    if (post != NULL) {
        f.add = post->add;
        if (post->bias != NULL) f.bias = load(post->bias + tiles->block * WIDTH);
        if (post->relu) f.least = zero();
    }
    for (i = 0; i < tiles->count; i++, m += TILE, next_place(s, &p)) {
        const int64_t y = 4 * p.row, x = 4 * p.column;
        const int64_t offset = plane_offset(tiles, p.image) + y * row + x * bytes;
        const int edge = y + 4 > s->height || x + 4 > s->width;

        forms[edge ? EDGE : whole](&f, m, step, offset, row, s->height - y, s->width - x);
    }
    if (stream) fence();
}

/* ---- products ---- */

/* X(0) X(1) ...: the rows of a register block. What is left out when rows is known leaves no trace in the code. */
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

static inline __attribute__((always_inline)) void product_rows(int rows, int vectors, int64_t in_blocks, const float *v,
                                                               int64_t v_step, const float *u, float *m, int64_t m_step,
                                                               int add)
{
    int64_t i;
    int k;

#define START(r) vector x##r = zero(), y##r = zero();
#define STEP(r)                                                                                                        \
    if (r < rows) {                                                                                                    \
        const vector from = all(v[(r)*TILE + k]);                                                                     \
        x##r = multiply_add(from, u0, x##r);                                                                           \
        if (vectors == 2) y##r = multiply_add(from, u1, y##r);                                                         \
    }
#define FETCH(r)                                                                                                       \
    if (r < rows) __builtin_prefetch(v + v_step + (r)*TILE, 0, 3);
#define ADD(r)                                                                                                         \
    if (r < rows) {                                                                                                    \
        x##r = plus(load(m + (r)*TILE), x##r);                                                                         \
        if (vectors == 2) y##r = plus(load(m + m_step + (r)*TILE), y##r);                                              \
    }
#define STORE(r)                                                                                                       \
    if (r < rows) {                                                                                                    \
        store(m + (r)*TILE, x##r);                                                                                    \
        if (vectors == 2) store(m + m_step + (r)*TILE, y##r);                                                         \
    }
    EACH_ROW(START)
    for (i = 0; i < in_blocks; i++, v += v_step) {
        EACH_ROW(FETCH) /* the processor does not foresee the step */
        for (k = 0; k < WIDTH; k++, u += vectors * WIDTH) {
            const vector u0 = load(u), u1 = vectors == 2 ? load(u + WIDTH) : zero();

            EACH_ROW(STEP)
        }
    }
    if (add) {
        EACH_ROW(ADD)
    }
    EACH_ROW(STORE)
#undef STORE
#undef ADD
#undef FETCH
#undef STEP
#undef START
}

typedef void (*product_function)(int64_t in_blocks, const float *v, int64_t v_step, const float *u, float *m,
                                 int64_t m_step, int add);

#define PRODUCT(rows, vectors)                                                                                         \
    static void product_##rows##x##vectors(int64_t in_blocks, const float *v, int64_t v_step, const float *u,          \
                                           float *m, int64_t m_step, int add)                                          \
    {                                                                                                                  \
        product_rows(rows, vectors, in_blocks, v, v_step, u, m, m_step, add);                                          \
    }
#define PRODUCTS(rows) PRODUCT(rows, 1) PRODUCT(rows, 2)

PRODUCTS(1)
PRODUCTS(2)
PRODUCTS(3)
PRODUCTS(4)
PRODUCTS(5)
PRODUCTS(6)
#if WINOGRAD_MAX_ROWS > 6
PRODUCTS(7)
PRODUCTS(8)
PRODUCTS(9)
PRODUCTS(10)
PRODUCTS(11)
PRODUCTS(12)
PRODUCTS(13)
PRODUCTS(14)
#endif

#define NAMES(rows) {product_##rows##x1, product_##rows##x2}

static const product_function products[WINOGRAD_MAX_ROWS][2] = {
    NAMES(1),  NAMES(2),  NAMES(3),  NAMES(4),  NAMES(5),  NAMES(6),
#if WINOGRAD_MAX_ROWS > 6
    NAMES(7),  NAMES(8),  NAMES(9),  NAMES(10), NAMES(11), NAMES(12), NAMES(13), NAMES(14),
#endif
};

static void product(int64_t count, int64_t in_blocks, const float *v, int64_t v_step, const float *u, int vectors,
                    float *m, int64_t m_step)
{
    enum { CHAIN_BLOCKS = 128 / WIDTH };
    int64_t groups = (count + WINOGRAD_MAX_ROWS - 1) / WINOGRAD_MAX_ROWS;

    /* Groups of nearly the same size: a group of few rows reads as many weights as one of many. */
    for (; groups > 0; groups--) {
        const int64_t rows = (count + groups - 1) / groups;
        const product_function multiply = products[rows - 1][vectors - 1];
        int64_t i;

        /* Sums of sums of 128 channels: one chain over 512 has twice the rounding error. */
        for (i = 0; i < in_blocks; i += CHAIN_BLOCKS) {
            const int64_t blocks = in_blocks - i < CHAIN_BLOCKS ? in_blocks - i : CHAIN_BLOCKS;

            multiply(blocks, v + i * v_step, v_step, u + i * WIDTH * vectors * WIDTH, m, m_step, i > 0);
        }
        v += rows * TILE;
        m += rows * TILE;
        count -= rows;
    }
}

/* rows channels of v. */
static inline __attribute__((always_inline)) void outer_rows(int rows, int vectors, int64_t count, const float *v,
                                                             const float *w, int64_t w_step, float *sum, int add)
{
    enum { FETCH_TILES = 16 };
    int64_t i;

#define START(r)                                                                                                       \
    vector x##r = zero(), y##r = zero();                                                                               \
    if (r < rows && add) {                                                                                             \
        x##r = load(sum + (r)*vectors * WIDTH);                                                                        \
        if (vectors == 2) y##r = load(sum + (r)*vectors * WIDTH + WIDTH);                                              \
    }
#define STEP(r)                                                                                                        \
    if (r < rows) {                                                                                                    \
        const vector from = all(v[r]);                                                                                 \
        x##r = multiply_add(from, w0, x##r);                                                                           \
        if (vectors == 2) y##r = multiply_add(from, w1, y##r);                                                         \
    }
#define STORE(r)                                                                                                       \
    if (r < rows) {                                                                                                    \
        store(sum + (r)*vectors * WIDTH, x##r);                                                                        \
        if (vectors == 2) store(sum + (r)*vectors * WIDTH + WIDTH, y##r);                                              \
    }
    EACH_ROW(START)
    for (i = 0; i < count; i++, v += TILE, w += TILE) {
        const vector w0 = load(w), w1 = vectors == 2 ? load(w + w_step) : zero();

        __builtin_prefetch(v + FETCH_TILES * TILE, 0, 3);
        __builtin_prefetch(w + FETCH_TILES * TILE, 0, 3);
        if (vectors == 2) __builtin_prefetch(w + w_step + FETCH_TILES * TILE, 0, 3);
        EACH_ROW(STEP)
    }
    EACH_ROW(STORE)
#undef STORE
#undef STEP
#undef START
}

static void outer(int64_t count, const float *v, const float *w, int64_t w_step, int vectors, float *sum, int add)
{
    int c;

    if (vectors == 2) {
        for (c = 0; c < WIDTH; c += OUTER_ROWS) {
            outer_rows(OUTER_ROWS, 2, count, v + c, w, w_step, sum + c * 2 * WIDTH, add);
        }
    } else {
        for (c = 0; c < WIDTH; c += SINGLE_OUTER_ROWS) {
            outer_rows(SINGLE_OUTER_ROWS, 1, count, v + c, w, w_step, sum + c * WIDTH, add);
        }
    }
}

/* ---- G g G' ---- */

static const float G[6][3] = {
    {(float)SCALE_0, 0.0f, 0.0f},
    {(float)SCALE_A, (float)(SCALE_A * 0.625), (float)(SCALE_A * 0.625 * 0.625)},
    {(float)SCALE_A, (float)(SCALE_A * -0.625), (float)(SCALE_A * 0.625 * 0.625)},
    {(float)SCALE_B, (float)(SCALE_B * 1.5), (float)(SCALE_B * 1.5 * 1.5)},
    {(float)SCALE_B, (float)(SCALE_B * -1.5), (float)(SCALE_B * 1.5 * 1.5)},
    {0.0f, 0.0f, 1.0f},
};

/* G times a line of three; results go to u, step apart. */
static inline void weight_line(vector g0, vector g1, vector g2, float *u, int64_t step, int stream)
{
    const vector even_a = times(all((float)SCALE_A), multiply_add(all(A2), g2, g0));
    const vector even_b = times(all((float)SCALE_B), multiply_add(all(B2), g2, g0));
    const vector odd_a = times(all((float)(SCALE_A * 0.625)), g1), odd_b = times(all((float)(SCALE_B * 1.5)), g1);
    const vector u0 = times(all((float)SCALE_0), g0);

    if (stream) {
        store_stream(u, u0);
        store_stream(u + step, plus(even_a, odd_a));
        store_stream(u + 2 * step, minus(even_a, odd_a));
        store_stream(u + 3 * step, plus(even_b, odd_b));
        store_stream(u + 4 * step, minus(even_b, odd_b));
        store_stream(u + 5 * step, g2);
    } else {
        store(u, u0);
        store(u + step, plus(even_a, odd_a));
        store(u + 2 * step, minus(even_a, odd_a));
        store(u + 3 * step, plus(even_b, odd_b));
        store(u + 4 * step, minus(even_b, odd_b));
        store(u + 5 * step, g2);
    }
}

/*
 * b channels into one or two vectors of filters. Line by line for all channels: all points at once would write to 36
 * places a power of two apart, more than a set of the cache has room for.
 */
static inline void transform_weights(const float *const blocks[2], int vectors, const float *scale, float *transformed,
                                     int64_t step, int stream)
{
    int i, c, j, k;

    for (i = 0; i < 6; i++) {
        for (c = 0; c < WIDTH; c++) {
            for (k = 0; k < vectors; k++) {
                const float *g = blocks[k] + c * WIDTH;
                const vector factor = scale != NULL ? load(scale + k * WIDTH) : all(1.0f);
                vector line[3];

                for (j = 0; j < 3; j++) {
                    const vector g0 = load(g + j * BLOCK_WEIGHTS), g1 = load(g + (3 + j) * BLOCK_WEIGHTS);
                    const vector g2 = load(g + (6 + j) * BLOCK_WEIGHTS);
                    const vector outer_two = multiply_add(all(G[i][2]), g2, times(all(G[i][0]), g0));

                    line[j] = times(factor, multiply_add(all(G[i][1]), g1, outer_two));
                }
                weight_line(line[0], line[1], line[2], transformed + 6 * i * step + (c * vectors + k) * WIDTH, step,
                            stream);
            }
        }
    }
    if (stream) fence();
}

static void weights_forward(const float *const blocks[2], int vectors, const float *scale, float *transformed,
                            int64_t step, int stream)
{
    transform_weights(blocks, vectors, scale, transformed, step, stream);
}

static void weights_turned(const float *const blocks[2], int vectors, float *transformed, int64_t step, int stream)
{
    float turned[2][9 * BLOCK_WEIGHTS];
    const float *const turned_blocks[2] = {turned[0], turned[1]};
    int k, s;

    for (k = 0; k < vectors; k++) {
        for (s = 0; s < 9; s++) transpose(blocks[k] + s * BLOCK_WEIGHTS, turned[k] + (8 - s) * BLOCK_WEIGHTS);
    }
    transform_weights(turned_blocks, vectors, NULL, transformed, step, stream);
}

/* ---- G' u G ---- */

/* G' times a line of six. */
static inline void weight_gradient_line(const vector u[6], vector g[3])
{
    const vector sum_a = plus(u[1], u[2]), odd_a = minus(u[1], u[2]);
    const vector sum_b = plus(u[3], u[4]), odd_b = minus(u[3], u[4]);
    const vector scaled_a = times(all((float)SCALE_A), sum_a), scaled_b = times(all((float)SCALE_B), sum_b);

    g[0] = multiply_add(all((float)SCALE_0), u[0], plus(scaled_a, scaled_b));
    g[1] = multiply_add(all((float)(SCALE_A * 0.625)), odd_a, times(all((float)(SCALE_B * 1.5)), odd_b));
    g[2] = multiply_add(all(A2), scaled_a, multiply_add(all(B2), scaled_b, u[5]));
}

static void weight_gradients(const float *sums, int parts, int64_t part_step, int64_t step, int64_t in_step,
                             float *diff_weights, int add)
{
    int c, i, j, k;

    for (c = 0; c < WIDTH; c++) {
        const float *channel = sums + c * in_step;
        float *result = diff_weights + c * WIDTH;
        vector lines[3][6], column[6], g[3];

        for (j = 0; j < 6; j++) {
            for (i = 0; i < 6; i++) {
                const float *point = channel + (6 * i + j) * step;

                column[i] = load(point);
                for (k = 1; k < parts; k++) column[i] = plus(column[i], load(point + k * part_step));
            }
            weight_gradient_line(column, g);
            for (i = 0; i < 3; i++) lines[i][j] = g[i];
        }
        for (i = 0; i < 3; i++) {
            weight_gradient_line(lines[i], g);
            for (j = 0; j < 3; j++) {
                float *to = result + (3 * i + j) * BLOCK_WEIGHTS;
                store(to, add ? plus(load(to), g[j]) : g[j]);
            }
        }
    }
}

#define WINOGRAD_KERNELS                                                                                               \
    {                                                                                                                  \
        weights_forward, weights_turned, patches, gradients, product, results, outer, weight_gradients                 \
    }
