/* Part of winograd_template.h: products at one point, in blocks of registers. */

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
        const vector from = all(v[(r)*TILE + k]);                                                                      \
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
        store(m + (r)*TILE, x##r);                                                                                     \
        if (vectors == 2) store(m + m_step + (r)*TILE, y##r);                                                          \
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

#define NAMES(rows)                                                                                                    \
    {                                                                                                                  \
        product_##rows##x1, product_##rows##x2                                                                         \
    }

static const product_function products[WINOGRAD_MAX_ROWS][2] = {
    NAMES(1), NAMES(2), NAMES(3), NAMES(4),  NAMES(5),  NAMES(6),
#if WINOGRAD_MAX_ROWS > 6
    NAMES(7), NAMES(8), NAMES(9), NAMES(10), NAMES(11), NAMES(12), NAMES(13), NAMES(14),
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
                                                             int64_t v_next, const float *w, int64_t w_next,
                                                             int64_t w_step, float *sum, int add)
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
    for (i = 0; i < count; i++, v += v_next, w += w_next) {
        const vector w0 = load(w), w1 = vectors == 2 ? load(w + w_step) : zero();

        __builtin_prefetch(v + FETCH_TILES * v_next, 0, 3);
        __builtin_prefetch(w + FETCH_TILES * w_next, 0, 3);
        if (vectors == 2) __builtin_prefetch(w + w_step + FETCH_TILES * w_next, 0, 3);
        EACH_ROW(STEP)
    }
    EACH_ROW(STORE)
#undef STORE
#undef STEP
#undef START
}

static void outer(int64_t count, const float *v, int64_t v_next, const float *w, int64_t w_next, int64_t w_step,
                  int vectors, float *sum, int add)
{
    int c;

    if (vectors == 2) {
        for (c = 0; c < WIDTH; c += OUTER_ROWS) {
            outer_rows(OUTER_ROWS, 2, count, v + c, v_next, w, w_next, w_step, sum + c * 2 * WIDTH, add);
        }
    } else {
        for (c = 0; c < WIDTH; c += SINGLE_OUTER_ROWS) {
            outer_rows(SINGLE_OUTER_ROWS, 1, count, v + c, v_next, w, w_next, w_step, sum + c * WIDTH, add);
        }
    }
}
