/* The context networks of CPC: PyTorch's numbers, what a place may see, directions, grids. */
#include "head_support.h"

#include "core/compute.h"

enum { ROWS = 3, COLUMNS = 4, PLACES = ROWS * COLUMNS, IN = 5 };

static sslcv_head *make_pixelcnn(int64_t rows, int64_t columns, int32_t directions, uint64_t seed)
{
    sslcv_pixelcnn_options options;
    sslcv_head *head;

    OK(sslcv_pixelcnn_options_init(&options, sizeof options));
    options.in_dim = IN;
    options.hidden_dim = 3;
    options.out_dim = 4;
    options.rows = rows;
    options.columns = columns;
    options.num_layers = 3;
    options.directions = directions;
    options.seed = seed;
    OK(sslcv_head_create_pixelcnn(context, &options, &head));
    return head;
}

static sslcv_head *make_cpc_v2(int64_t rows, int64_t columns, int32_t directions, uint64_t seed)
{
    sslcv_cpc_v2_options options;
    sslcv_head *head;

    OK(sslcv_cpc_v2_options_init(&options, sizeof options));
    options.in_dim = IN;
    options.hidden_dim = 4;
    options.rows = rows;
    options.columns = columns;
    options.num_blocks = 3;
    options.directions = directions;
    options.seed = seed;
    OK(sslcv_head_create_cpc_v2(context, &options, &head));
    return head;
}

typedef sslcv_head *(*maker)(int64_t rows, int64_t columns, int32_t directions, uint64_t seed);
static const maker makers[2] = {make_pixelcnn, make_cpc_v2};
static const char *const names[2] = {"pixelcnn", "cpc_v2"};

/* _i: kind, then directions. */
START_TEST(contexts_as_pytorch)
{
    const int64_t shape[4] = {1, 2, PLACES, IN};
    const int32_t directions = _i / 2 ? 4 : 1;
    sslcv_head *head = makers[_i % 2](ROWS, COLUMNS, directions, 1);
    char label[32];

    snprintf(label, sizeof label, "%s_%d", names[_i % 2], directions);
    check_golden(label, head, 4, shape);
    sslcv_head_destroy(head);
}
END_TEST

static sslcv_head *make_seeded_pixelcnn(uint64_t seed)
{
    return make_pixelcnn(ROWS, COLUMNS, 4, seed);
}

static sslcv_head *make_seeded_cpc_v2(uint64_t seed)
{
    return make_cpc_v2(ROWS, COLUMNS, 4, seed);
}

START_TEST(contexts_are_described)
{
    const int64_t shape[4] = {2, 3, PLACES, IN};
    static float x[HEAD_MAX];
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape), output;
    sslcv_head_info info = {.struct_size = sizeof info};
    sslcv_head *head = makers[_i](ROWS, COLUMNS, 4, 1);

    OK(sslcv_head_get_info(head, &info));
    ck_assert_str_eq(info.kind, names[_i]);
    ck_assert_int_eq(info.in_dim, IN);
    ck_assert_int_eq(info.out_dim, _i ? 4 * IN : 4 * 4);
    output = run_head(head, &input, 0);
    ck_assert_int_eq(output.ndim, 4);
    ck_assert_mem_eq(output.shape, shape, 3 * sizeof *shape);
    ck_assert_int_eq(output.shape[3], info.out_dim);
    check_clone(head, &input);
    check_reset(head, _i ? make_seeded_cpc_v2 : make_seeded_pixelcnn);
    sslcv_head_destroy(head);
}
END_TEST

/* ---- what a place sees ---- */

/* Where place (row, column) stands in the grid turned by direction quarters: its row there. */
static int64_t turned_row(int64_t row, int64_t column, int64_t direction)
{
    switch (direction) {
    case 1: return COLUMNS - 1 - column;
    case 2: return ROWS - 1 - row;
    case 3: return column;
    default: return row;
    }
}

/* The place from (row, column) next below in the grid turned by direction quarters; -1: none. */
static int64_t next_below(int64_t row, int64_t column, int64_t direction)
{
    static const int64_t step[4][2] = {{1, 0}, {0, -1}, {-1, 0}, {0, 1}}; /* as the cpc loss has it */
    const int64_t r = row + step[direction][0], c = column + step[direction][1];

    return r < 0 || r >= ROWS || c < 0 || c >= COLUMNS ? -1 : r * COLUMNS + c;
}

/* Change one place: the parts of direction d change in the rows of the grid turned by d from the place's row on, and in
   no row above; at the place itself and, as each layer looks one row up, at the one next below. */
START_TEST(contexts_see_their_row_and_those_above)
{
    const int64_t shape[4] = {1, 1, PLACES, IN};
    float x[PLACES * IN];
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape), output;
    sslcv_head *head = makers[_i](ROWS, COLUMNS, 4, 3);
    static float before[HEAD_MAX];
    int64_t place, other, d, below;

    draw_head(head, 1.5f);
    output = run_head(head, &input, 0);
    memcpy(before, output.data, (size_t)elements(&output) * sizeof *before);
    for (place = 0; place < PLACES; place++) {
        const int64_t part = output.shape[3] / 4, row = place / COLUMNS, column = place % COLUMNS;
        const float kept = x[place * IN];

        x[place * IN] += 0.5f;
        output = run_head(head, &input, 0);
        for (other = 0; other < PLACES; other++) {
            for (d = 0; d < 4; d++) {
                const int64_t at = (other * 4 + d) * part;
                const int changed = memcmp((float *)output.data + at, before + at, (size_t)part * sizeof *before) != 0;
                const int above = turned_row(other / COLUMNS, other % COLUMNS, d) < turned_row(row, column, d);

                below = next_below(row, column, d);
                if (above) ck_assert_msg(!changed, "part %d of place %d sees place %d", (int)d, (int)other, (int)place);
                if (other == place || other == below) {
                    ck_assert_msg(changed, "part %d of place %d does not see place %d", (int)d, (int)other, (int)place);
                }
            }
        }
        x[place * IN] = kept;
        output = run_head(head, &input, 0);
        ck_assert_mem_eq(output.data, before, (size_t)elements(&output) * sizeof *before);
    }
    sslcv_head_destroy(head);
}
END_TEST

/* On a square grid: turning the input turns the output, and its parts by one. */
START_TEST(turned_grids_turn_the_parts)
{
    enum { SIDE = 4 };
    const int64_t shape[4] = {1, 1, SIDE * SIDE, IN};
    float x[SIDE * SIDE * IN], y[SIDE * SIDE * IN];
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape), turned = drawn(y, 1, 2.0f, 4, shape), output;
    sslcv_head *head = makers[_i](SIDE, SIDE, 4, 3);
    static float before[HEAD_MAX];
    int64_t row, column, d, i, part;

    output = run_head(head, &input, 0);
    part = output.shape[3] / 4;
    memcpy(before, output.data, (size_t)elements(&output) * sizeof *before);
    for (row = 0; row < SIDE; row++) { /* counter-clockwise by 90 degrees */
        for (column = 0; column < SIDE; column++) {
            memcpy(y + (row * SIDE + column) * IN, x + (column * SIDE + SIDE - 1 - row) * IN, IN * sizeof *x);
        }
    }
    output = run_head(head, &turned, 0);
    for (row = 0; row < SIDE; row++) {
        for (column = 0; column < SIDE; column++) {
            for (d = 0; d < 4; d++) {
                const float *now = (const float *)output.data + ((row * SIDE + column) * 4 + d) * part;
                const float *was = before + ((column * SIDE + SIDE - 1 - row) * 4 + (d + 1) % 4) * part;

                for (i = 0; i < part; i++) CLOSE(now[i], was[i], 1e-6);
            }
        }
    }
    sslcv_head_destroy(head);
}
END_TEST

/* Part 0 of four directions is what one direction gives, with the same weights. */
START_TEST(one_direction_is_the_first_of_four)
{
    const int64_t shape[4] = {2, 2, PLACES, IN};
    static float x[HEAD_MAX], before[HEAD_MAX];
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape), output;
    sslcv_head *four = makers[_i](ROWS, COLUMNS, 4, 3), *one = makers[_i](ROWS, COLUMNS, 1, 3);
    int64_t r, i, part;

    output = run_head(four, &input, 0);
    memcpy(before, output.data, (size_t)elements(&output) * sizeof *before);
    output = run_head(one, &input, 0);
    part = output.shape[3];
    for (r = 0; r < 4 * PLACES; r++) {
        for (i = 0; i < part; i++) CLOSE(((const float *)output.data)[r * part + i], before[r * 4 * part + i], 1e-6);
    }
    sslcv_head_destroy(four);
    sslcv_head_destroy(one);
}
END_TEST

START_TEST(gates_have_their_gradient)
{
    const int64_t shape[4] = {1, 2, PLACES, IN};
    float x[2 * PLACES * IN];
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape);
    sslcv_head *head = makers[0](ROWS, COLUMNS, 4, 3);

    draw_head(head, 1.0f);
    check_finite_differences(head, &input, SSLCV_PASS_TRAIN, 5);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(other_grids_are_refused)
{
    const int64_t shape[4] = {1, 2, PLACES - 1, IN}, line[2] = {PLACES, IN};
    static float x[HEAD_MAX];
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape);
    sslcv_head *head = makers[_i](ROWS, COLUMNS, 1, 3);

    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "P = 11 patches; the head");
    input = drawn(x, 1, 2.0f, 2, line);
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_INVALID_ARGUMENT, "takes 12");
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(bad_contexts_are_named)
{
    sslcv_pixelcnn_options p;
    sslcv_cpc_v2_options c;
    sslcv_head *none = NULL;

    OK(sslcv_pixelcnn_options_init(&p, sizeof p));
    ck_assert_int_eq(p.rows * p.columns, 49);
    ck_assert_int_eq(p.num_layers, 4);
    FAILS(sslcv_head_create_pixelcnn(context, &p, &none), SSLCV_ERR_INVALID_ARGUMENT, "pixelcnn.in_dim is 0");
    p.in_dim = 4;
    p.directions = 2;
    FAILS(sslcv_head_create_pixelcnn(context, &p, &none), SSLCV_ERR_INVALID_ARGUMENT,
          "pixelcnn.directions is 2; must be 1 or 4");
    p.directions = 1;
    p.rows = 0;
    FAILS(sslcv_head_create_pixelcnn(context, &p, &none), SSLCV_ERR_INVALID_ARGUMENT, "pixelcnn.rows is 0");
    p.rows = 7;
    p.num_layers = 0;
    FAILS(sslcv_head_create_pixelcnn(context, &p, &none), SSLCV_ERR_INVALID_ARGUMENT, "pixelcnn.num_layers is 0");
    OK(sslcv_cpc_v2_options_init(&c, sizeof c));
    ck_assert_int_eq(c.hidden_dim, 256);
    ck_assert_int_eq(c.num_blocks, 5);
    c.in_dim = 4;
    c.hidden_dim = 0;
    FAILS(sslcv_head_create_cpc_v2(context, &c, &none), SSLCV_ERR_INVALID_ARGUMENT, "cpc_v2.hidden_dim is 0");
    c.hidden_dim = 4;
    c.columns = 5000;
    FAILS(sslcv_head_create_cpc_v2(context, &c, &none), SSLCV_ERR_INVALID_ARGUMENT, "cpc_v2.columns is 5000");
    c.columns = 7;
    c.num_blocks = -1;
    FAILS(sslcv_head_create_cpc_v2(context, &c, &none), SSLCV_ERR_INVALID_ARGUMENT, "cpc_v2.num_blocks");
    ck_assert_ptr_null(none);
}
END_TEST

/* ---- grids ---- */

/* <grid(x), y> = <x, grid'(y)>: each backward loop is the transpose of its forward one. */
START_TEST(backward_is_the_transpose)
{
    const sslcv__grid grid = {2, 3, 4, 3, {{-1, 0}, {0, 1}, {1, -2}}};
    enum { COUNT = 48, DIM = 2, MAX = 4 * COUNT * DIM };
    float x[MAX], y[MAX], gx[MAX], gy[MAX];
    sslcv__compute frame;
    int64_t i, in, out;
    double a = 0, b = 0;

    in = _i == 2 ? 4 * COUNT * DIM : COUNT * DIM;
    out = _i == 0 ? 3 * COUNT * DIM : 4 * COUNT * DIM;
    golden_input(1, in, x);
    golden_input(2, out, y);
    OK(sslcv__compute_begin(context, &frame));
    if (_i == 0) sslcv__grid_shift(&grid, x, COUNT, DIM, gx);
    if (_i == 0) sslcv__grid_shift_backward(&grid, y, COUNT, DIM, gy);
    if (_i == 1) sslcv__grid_turn(&grid, x, COUNT, DIM, gx);
    if (_i == 1) sslcv__grid_turn_backward(&grid, y, COUNT, DIM, gy);
    if (_i == 2) sslcv__grid_turn_back(&grid, x, COUNT, DIM, gx);
    if (_i == 2) sslcv__grid_turn_back_backward(&grid, y, COUNT, DIM, gy);
    sslcv__compute_end(&frame);
    for (i = 0; i < out; i++) a += (double)gx[i] * y[i];
    for (i = 0; i < in; i++) b += (double)x[i] * gy[i];
    CLOSE(a, b, 1e-5);
    ck_assert(fabs(a) > 1e-3);
}
END_TEST

/* The drawing in grid.h. */
START_TEST(grids_turn_counter_clockwise)
{
    static const float expected[4][6] = {
        {0, 1, 2, 3, 4, 5}, {2, 5, 1, 4, 0, 3}, {5, 4, 3, 2, 1, 0}, {3, 0, 4, 1, 5, 2}};
    const sslcv__grid grid = {.rows = 2, .columns = 3, .directions = 4};
    float x[12], y[48], z[48];
    sslcv__compute frame;
    int64_t i, d;

    for (i = 0; i < 12; i++) x[i] = (float)i;
    OK(sslcv__compute_begin(context, &frame));
    sslcv__grid_turn(&grid, x, 12, 1, y);
    sslcv__grid_turn_back(&grid, y, 12, 1, z);
    sslcv__compute_end(&frame);
    for (i = 0; i < 48; i++) {
        d = i / 12;
        ck_assert(y[i] == expected[d][i % 6] + (i % 12 < 6 ? 0.0f : 6.0f));
        ck_assert(z[i] == (float)(i / 4));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head_context");
    TCase *contexts = tcase_create("contexts"), *grids = tcase_create("grids");

    tcase_add_checked_fixture(contexts, set_up, tear_down);
    tcase_add_loop_test(contexts, contexts_as_pytorch, 0, 4);
    tcase_add_loop_test(contexts, contexts_are_described, 0, 2);
    tcase_add_loop_test(contexts, contexts_see_their_row_and_those_above, 0, 2);
    tcase_add_loop_test(contexts, turned_grids_turn_the_parts, 0, 2);
    tcase_add_loop_test(contexts, one_direction_is_the_first_of_four, 0, 2);
    tcase_add_test(contexts, gates_have_their_gradient);
    tcase_add_loop_test(contexts, other_grids_are_refused, 0, 2);
    tcase_add_test(contexts, bad_contexts_are_named);
    suite_add_tcase(suite, contexts);
    tcase_add_checked_fixture(grids, set_up, tear_down);
    tcase_add_loop_test(grids, backward_is_the_transpose, 0, 3);
    tcase_add_test(grids, grids_turn_counter_clockwise);
    suite_add_tcase(suite, grids);
    return run_suite(suite);
}
