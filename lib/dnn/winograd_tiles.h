/* Part of winograd_template.h: tiles of images and of gradients transformed, and those of results back. */

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
