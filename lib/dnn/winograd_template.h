/*
 * The Winograd kernels, for any width of vector. The file that includes this has vector, WIDTH, the operations on
 * vectors, and the shapes of the register blocks: WINOGRAD_MAX_ROWS tiles by a pair of vectors in product, OUTER_ROWS or
 * SINGLE_OUTER_ROWS channels by two vectors or one in outer.
 *
 * The transforms evaluate polynomials at 0, a, -a, b, -b and infinity. With a = 5/8 and b = 3/2 the rounding errors are
 * 2.5 times smaller than with the well-known 1 and 2 (the points are oneDNN's choice; rms error of 64 channels 7.6e-7
 * of the result's, of a direct sum 4.3e-7), and all constants of B and A are exact in f32.
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

enum { POINTS = SSLCV__WINOGRAD_POINTS, BLOCK_WEIGHTS = WIDTH * WIDTH };

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

/* Offset of the block's pixel (0, 0) in the image. */
static inline int64_t plane_offset(const sslcv__winograd_tiles *tiles, int64_t image)
{
    const sslcv__winograd_images *s = tiles->images;

    return (image * s->blocks + tiles->block) * s->height * s->width * WIDTH;
}

/*
 * Copy size x size pixels from (y0, x0) on into f32; outside of the image there is 0. plane: the block's pixels.
 */
static inline void copy_pixels(const sslcv__winograd_images *s, const void *src, int64_t plane, int64_t y0, int64_t x0,
                               int size, float *pixels)
{
    const int64_t left = x0 < 0 ? -x0 : 0, right = s->width - x0 < size ? s->width - x0 : size;
    int64_t i, j;

    for (i = 0; i < size; i++, pixels += size * WIDTH) {
        const int64_t y = y0 + i, offset = plane + (y * s->width + x0) * WIDTH;

        if (y < 0 || y >= s->height) {
            for (j = 0; j < size; j++) store(pixels + j * WIDTH, zero());
            continue;
        }
        for (j = 0; j < left; j++) store(pixels + j * WIDTH, zero());
        if (s->bf16) {
            const uint16_t *row = (const uint16_t *)src + offset;
            for (j = left; j < right; j++) store(pixels + j * WIDTH, load_bf16(row + j * WIDTH));
        } else {
            const float *row = (const float *)src + offset;
            for (j = left; j < right; j++) store(pixels + j * WIDTH, load(row + j * WIDTH));
        }
        for (j = right; j < size; j++) store(pixels + j * WIDTH, zero());
    }
}

/* ---- B' d B ---- */

/* B' times a line of six; results go into v, step apart. */
static inline void patch_line(vector d0, vector d1, vector d2, vector d3, vector d4, vector d5, float *v, int64_t step)
{
    const vector even_a = multiply_minus(all(B2), d2, d4), odd_a = multiply_minus(all(B2), d1, d3);
    const vector even_b = multiply_minus(all(A2), d2, d4), odd_b = multiply_minus(all(A2), d1, d3);

    store(v, multiply_add(all(A2 * B2), d0, multiply_minus(all(A2 + B2), d2, d4)));
    store(v + step, multiply_add(all(POINT_A), odd_a, even_a));
    store(v + 2 * step, multiply_minus(all(POINT_A), odd_a, even_a));
    store(v + 3 * step, multiply_add(all(POINT_B), odd_b, even_b));
    store(v + 4 * step, multiply_minus(all(POINT_B), odd_b, even_b));
    store(v + 5 * step, multiply_add(all(A2 * B2), d1, multiply_minus(all(A2 + B2), d3, d5)));
}

/* Rows of B' d are finished one or two at a time, and read again for the next: so all stays in registers. */
static inline void patch_tile(const float *d, int64_t row, float *v, int64_t step)
{
#define D(i, j) load(d + (i)*row + (j)*WIDTH)
#define OUTER_ROW(j, i)                                                                                                \
    const vector t##j = multiply_add(all(A2 * B2), D(i, j), multiply_minus(all(A2 + B2), D(i + 2, j), D(i + 4, j)))
#define INNER_ROWS(j, point, square)                                                                                   \
    const vector even##j = multiply_minus(all(square), D(2, j), D(4, j));                                              \
    const vector odd##j = multiply_minus(all(square), D(1, j), D(3, j));                                               \
    const vector t##j = multiply_add(all(point), odd##j, even##j);                                                     \
    const vector s##j = multiply_minus(all(point), odd##j, even##j)
#define LINE(x, i) patch_line(x##0, x##1, x##2, x##3, x##4, x##5, v + 6 * (i)*step, step)
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

static void patches(const sslcv__winograd_tiles *tiles, const void *src, float *v, int64_t step)
{
    const sslcv__winograd_images *s = tiles->images;
    float pixels[36 * WIDTH];
    place p = first_place(tiles);
    int64_t i;

    for (i = 0; i < tiles->count; i++, v += WIDTH, next_place(s, &p)) {
        const int64_t plane = plane_offset(tiles, p.image), y0 = 4 * p.row - 1, x0 = 4 * p.column - 1;

        if (!s->bf16 && y0 >= 0 && x0 >= 0 && y0 + 6 <= s->height && x0 + 6 <= s->width) {
            patch_tile((const float *)src + plane + (y0 * s->width + x0) * WIDTH, s->width * WIDTH, v, step);
        } else {
            copy_pixels(s, src, plane, y0, x0, 6, pixels);
            patch_tile(pixels, 6 * WIDTH, v, step);
        }
    }
}

/* ---- A dy A' ---- */

/* A times a line of four; results go into w, step apart. */
static inline void gradient_line(vector y0, vector y1, vector y2, vector y3, float *w, int64_t step)
{
    const vector even_a = multiply_add(all(A2), y2, y0), odd_a = multiply_add(all(A2), y3, y1);
    const vector even_b = multiply_add(all(B2), y2, y0), odd_b = multiply_add(all(B2), y3, y1);

    store(w, y0);
    store(w + step, multiply_add(all(POINT_A), odd_a, even_a));
    store(w + 2 * step, multiply_minus(all(POINT_A), odd_a, even_a));
    store(w + 3 * step, multiply_add(all(POINT_B), odd_b, even_b));
    store(w + 4 * step, multiply_minus(all(POINT_B), odd_b, even_b));
    store(w + 5 * step, y3);
}

static inline void gradient_tile(const float *y, int64_t row, float *w, int64_t step)
{
#define Y(i, j) load(y + (i)*row + (j)*WIDTH)
#define INNER_ROWS(j, point, square)                                                                                   \
    const vector even##j = multiply_add(all(square), Y(2, j), Y(0, j));                                                \
    const vector odd##j = multiply_add(all(square), Y(3, j), Y(1, j));                                                 \
    const vector t##j = multiply_add(all(point), odd##j, even##j);                                                     \
    const vector s##j = multiply_minus(all(point), odd##j, even##j)
#define LINE(x, i) gradient_line(x##0, x##1, x##2, x##3, w + 6 * (i)*step, step)
    gradient_line(Y(0, 0), Y(0, 1), Y(0, 2), Y(0, 3), w, step);
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
    gradient_line(Y(3, 0), Y(3, 1), Y(3, 2), Y(3, 3), w + 30 * step, step);
#undef LINE
#undef INNER_ROWS
#undef Y
}

static void gradients(const sslcv__winograd_tiles *tiles, const void *diff_dst, float *w, int64_t step)
{
    const sslcv__winograd_images *s = tiles->images;
    float pixels[16 * WIDTH];
    place p = first_place(tiles);
    int64_t i;

    for (i = 0; i < tiles->count; i++, w += WIDTH, next_place(s, &p)) {
        const int64_t plane = plane_offset(tiles, p.image), y0 = 4 * p.row, x0 = 4 * p.column;

        if (!s->bf16 && y0 + 4 <= s->height && x0 + 4 <= s->width) {
            gradient_tile((const float *)diff_dst + plane + (y0 * s->width + x0) * WIDTH, s->width * WIDTH, w, step);
        } else {
            copy_pixels(s, diff_dst, plane, y0, x0, 4, pixels);
            gradient_tile(pixels, 4 * WIDTH, w, step);
        }
    }
}

/* ---- A' m A ---- */

typedef struct finish {
    const void *add; /* NULL: none */
    void *dst;
    vector bias, least; /* least: 0 for ReLU, else minus infinity */
    int bf16;
} finish;

/* One pixel into dst, at an offset in elements. */
static inline void put(const finish *f, int64_t offset, vector y)
{
    y = plus(y, f->bias);
    if (f->bf16) {
        if (f->add != NULL) y = plus(y, load_bf16((const uint16_t *)f->add + offset));
        store_bf16((uint16_t *)f->dst + offset, larger(f->least, y));
    } else {
        if (f->add != NULL) y = plus(y, load((const float *)f->add + offset));
        store((float *)f->dst + offset, larger(f->least, y));
    }
}

/* Pixels of the tile at this offset, those inside of the image: high x wide of 4x4. */
static inline void result_tile(const finish *f, const float *m, int64_t step, int64_t offset, int64_t row, int64_t high,
                               int64_t wide)
{
#define M(i, j) load(m + (6 * (i) + (j)) * step)
#define COLUMN(j)                                                                                                      \
    const vector sum_a##j = plus(M(1, j), M(2, j)), odd_a##j = minus(M(1, j), M(2, j));                                \
    const vector sum_b##j = plus(M(3, j), M(4, j)), odd_b##j = minus(M(3, j), M(4, j));                                \
    const vector t0##j = plus(M(0, j), plus(sum_a##j, sum_b##j));                                                      \
    const vector t1##j = multiply_add(all(POINT_A), odd_a##j, times(all(POINT_B), odd_b##j));                          \
    const vector t2##j = multiply_add(all(A2), sum_a##j, times(all(B2), sum_b##j));                                    \
    const vector t3##j = multiply_add(all(A3), odd_a##j, multiply_add(all(B3), odd_b##j, M(5, j)))
#define ROW(i)                                                                                                         \
    if (i < high) {                                                                                                    \
        const vector sum_a = plus(t##i##1, t##i##2), odd_a = minus(t##i##1, t##i##2);                                  \
        const vector sum_b = plus(t##i##3, t##i##4), odd_b = minus(t##i##3, t##i##4);                                  \
        const int64_t at = offset + (i)*row;                                                                           \
        put(f, at, plus(t##i##0, plus(sum_a, sum_b)));                                                                 \
        if (wide > 1) put(f, at + WIDTH, multiply_add(all(POINT_A), odd_a, times(all(POINT_B), odd_b)));               \
        if (wide > 2) put(f, at + 2 * WIDTH, multiply_add(all(A2), sum_a, times(all(B2), sum_b)));                     \
        if (wide > 3) put(f, at + 3 * WIDTH, multiply_add(all(A3), odd_a, multiply_add(all(B3), odd_b, t##i##5)));     \
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

static inline __attribute__((always_inline)) void results_of(const sslcv__winograd_tiles *tiles, const float *m,
                                                             int64_t step, const finish *f)
{
    const sslcv__winograd_images *s = tiles->images;
    place p = first_place(tiles);
    int64_t i;

    for (i = 0; i < tiles->count; i++, m += WIDTH, next_place(s, &p)) {
        const int64_t y = 4 * p.row, x = 4 * p.column, row = s->width * WIDTH;
        const int64_t offset = plane_offset(tiles, p.image) + y * row + x * WIDTH;

        if (y + 4 <= s->height && x + 4 <= s->width) result_tile(f, m, step, offset, row, 4, 4);
        else result_tile(f, m, step, offset, row, s->height - y, s->width - x);
    }
}

static void results(const sslcv__winograd_tiles *tiles, const float *m, int64_t step, void *dst,
                    const sslcv__winograd_post *post)
{
    finish f = {NULL, dst, zero(), all(-__builtin_inff()), 0};

    if (post != NULL) {
        f.add = post->add;
        if (post->bias != NULL) f.bias = load(post->bias + tiles->block * WIDTH);
        if (post->relu) f.least = zero();
    }
    f.bf16 = tiles->images->bf16;
    results_of(tiles, m, step, &f);
}

/* ---- products ---- */

/* X(0) X(1) ...: the rows of a register block. What is left out when rows is known leaves no trace in the code. */
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

static inline __attribute__((always_inline)) void product_rows(int rows, int vectors, int64_t in_blocks, const float *v,
                                                               int64_t v_step, const float *u, float *m, int64_t m_step)
{
    int64_t i;
    int k;

#define START(r) vector x##r = zero(), y##r = zero();
#define STEP(r)                                                                                                        \
    if (r < rows) {                                                                                                    \
        const vector from = all(v[(r)*WIDTH + k]);                                                                     \
        x##r = multiply_add(from, u0, x##r);                                                                           \
        if (vectors == 2) y##r = multiply_add(from, u1, y##r);                                                         \
    }
#define STORE(r)                                                                                                       \
    if (r < rows) {                                                                                                    \
        store(m + (r)*WIDTH, x##r);                                                                                    \
        if (vectors == 2) store(m + m_step + (r)*WIDTH, y##r);                                                         \
    }
    EACH_ROW(START)
    for (i = 0; i < in_blocks; i++, v += v_step) {
        for (k = 0; k < WIDTH; k++, u += vectors * WIDTH) {
            const vector u0 = load(u), u1 = vectors == 2 ? load(u + WIDTH) : zero();

            EACH_ROW(STEP)
        }
    }
    EACH_ROW(STORE)
#undef STORE
#undef STEP
#undef START
}

typedef void (*product_function)(int64_t in_blocks, const float *v, int64_t v_step, const float *u, float *m,
                                 int64_t m_step);

#define PRODUCT(rows, vectors)                                                                                         \
    static void product_##rows##x##vectors(int64_t in_blocks, const float *v, int64_t v_step, const float *u,          \
                                           float *m, int64_t m_step)                                                   \
    {                                                                                                                  \
        product_rows(rows, vectors, in_blocks, v, v_step, u, m, m_step);                                               \
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
    int64_t groups = (count + WINOGRAD_MAX_ROWS - 1) / WINOGRAD_MAX_ROWS;

    /* Groups of nearly the same size: a group of few rows reads as many weights as one of many. */
    for (; groups > 0; groups--) {
        const int64_t rows = (count + groups - 1) / groups;

        products[rows - 1][vectors - 1](in_blocks, v, v_step, u, m, m_step);
        v += rows * WIDTH;
        m += rows * WIDTH;
        count -= rows;
    }
}

/* rows channels of v. */
static inline __attribute__((always_inline)) void outer_rows(int rows, int vectors, int64_t count, const float *v,
                                                             const float *w, int64_t w_step, float *sum, int add)
{
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
    for (i = 0; i < count; i++, v += WIDTH, w += WIDTH) {
        const vector w0 = load(w), w1 = vectors == 2 ? load(w + w_step) : zero();

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

/* G times a line of three. */
static inline void weight_line(vector g0, vector g1, vector g2, vector u[6])
{
    const vector even_a = times(all((float)SCALE_A), multiply_add(all(A2), g2, g0));
    const vector even_b = times(all((float)SCALE_B), multiply_add(all(B2), g2, g0));

    u[0] = times(all((float)SCALE_0), g0);
    u[1] = multiply_add(all((float)(SCALE_A * 0.625)), g1, even_a);
    u[2] = multiply_minus(all((float)(SCALE_A * 0.625)), g1, even_a);
    u[3] = multiply_add(all((float)(SCALE_B * 1.5)), g1, even_b);
    u[4] = multiply_minus(all((float)(SCALE_B * 1.5)), g1, even_b);
    u[5] = g2;
}

/* The nine weights of one channel into a vector of filters: g + position * BLOCK_WEIGHTS. */
static inline void transform_channel(const float *g, vector scale, float *transformed, int64_t step)
{
    vector columns[3][6], line[6];
    int i, j;

    for (j = 0; j < 3; j++) {
        weight_line(times(scale, load(g + j * BLOCK_WEIGHTS)), times(scale, load(g + (3 + j) * BLOCK_WEIGHTS)),
                    times(scale, load(g + (6 + j) * BLOCK_WEIGHTS)), columns[j]);
    }
    for (i = 0; i < 6; i++) {
        weight_line(columns[0][i], columns[1][i], columns[2][i], line);
        for (j = 0; j < 6; j++) store(transformed + (6 * i + j) * step, line[j]);
    }
}

static void weights_forward(const float *weights, const float *scale, float *transformed, int64_t step, int64_t in_step)
{
    const vector factor = scale != NULL ? load(scale) : all(1.0f);
    int c;

    for (c = 0; c < WIDTH; c++) transform_channel(weights + c * WIDTH, factor, transformed + c * in_step, step);
}

static void weights_turned(const float *weights, float *transformed, int64_t step, int64_t in_step)
{
    float turned[9 * BLOCK_WEIGHTS];
    int s, i, o;

    for (s = 0; s < 9; s++) {
        const float *from = weights + s * BLOCK_WEIGHTS;
        float *to = turned + (8 - s) * BLOCK_WEIGHTS;

        for (o = 0; o < WIDTH; o++) {
            for (i = 0; i < WIDTH; i++) to[o * WIDTH + i] = from[i * WIDTH + o];
        }
    }
    for (o = 0; o < WIDTH; o++) transform_channel(turned + o * WIDTH, all(1.0f), transformed + o * in_step, step);
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
