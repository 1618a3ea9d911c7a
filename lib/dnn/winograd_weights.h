/* Part of winograd_template.h: filters transformed, and their gradients back. */

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
