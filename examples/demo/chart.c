#include "chart.h"

#include <math.h>
#include <stdlib.h>

enum { WIDTH = 520, HEIGHT = 300, LEFT = 56, RIGHT = 16, TOP = 34, BOTTOM = 46, MAP_SIDE = 620, LEGEND = 130 };

static const char *const colors[10] = {"#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f",
                                       "#d4a72c", "#b07aa1", "#ff7eb6", "#9c755f", "#555b66"};

static const char *const style = "font-family=\"system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif\" "
                                 "font-size=\"12\" fill=\"#444\"";

/* ---- curves ---- */

int curve_add(curve *c, double x, double y)
{
    if ((c->count & (c->count - 1)) == 0) { /* full at each power of two */
        const size_t bytes = (size_t)(c->count ? 2 * c->count : 1) * sizeof(double);
        double *wider = realloc(c->x, bytes);

        if (!wider) return -1;
        c->x = wider;
        wider = realloc(c->y, bytes);
        if (!wider) return -1;
        c->y = wider;
    }
    c->x[c->count] = x;
    c->y[c->count++] = y;
    return 0;
}

void curve_free(curve *c)
{
    free(c->x);
    free(c->y);
    c->x = c->y = NULL;
    c->count = 0;
}

/* ---- axes ---- */

/** Values from low to high, with a mark every step. */
typedef struct axis {
    double low, high, step;
} axis;

static void widen(const double *values, int64_t count, axis *a)
{
    for (int64_t i = 0; i < count; i++) {
        if (values[i] < a->low) a->low = values[i];
        if (values[i] > a->high) a->high = values[i];
    }
}

/* Marks at 1, 2 or 5 times a power of ten, at most seven of them, and ends that are marks. */
static void round_axis(axis *a)
{
    const double rough = (a->high > a->low ? a->high - a->low : 1) / 6;
    const double power = pow(10, floor(log10(rough)));
    const double digits = rough / power;

    a->step = power * (digits <= 1 ? 1 : digits <= 2 ? 2 : digits <= 5 ? 5 : 10);
    a->low = floor(a->low / a->step) * a->step;
    a->high = ceil(a->high / a->step) * a->step;
    if (a->high <= a->low) a->high = a->low + a->step;
}

static double place_x(const axis *a, double x)
{
    return LEFT + (x - a->low) / (a->high - a->low) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const axis *a, double y)
{
    return HEIGHT - BOTTOM - (y - a->low) / (a->high - a->low) * (HEIGHT - TOP - BOTTOM);
}

static int64_t count_steps(const axis *a)
{
    return (int64_t)((a->high - a->low) / a->step + 0.5);
}

static void draw_grid(FILE *file, const axis *x, const axis *y)
{
    for (int64_t i = 0; i <= count_steps(y); i++) {
        const double value = y->low + (double)i * y->step, at = place_y(y, value);

        fprintf(file, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"%s\"/>", LEFT, at, WIDTH - RIGHT, at,
                i ? "#e8e8e8" : "#999");
        fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>\n", LEFT - 8, at + 4, value);
    }
    for (int64_t i = 0; i <= count_steps(x); i++) {
        const double value = x->low + (double)i * x->step, at = place_x(x, value);

        fprintf(file, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#999\"/>", at, HEIGHT - BOTTOM, at,
                HEIGHT - BOTTOM + 5);
        fprintf(file, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.6g</text>\n", at, HEIGHT - BOTTOM + 19,
                value);
    }
}

static void draw_curve(FILE *file, const curve *c, const axis *x, const axis *y, const char *look)
{
    fprintf(file, "<polyline fill=\"none\" stroke=\"#2f6db5\" stroke-linejoin=\"round\" %s points=\"", look);
    for (int64_t i = 0; i < c->count; i++) fprintf(file, "%.1f,%.1f ", place_x(x, c->x[i]), place_y(y, c->y[i]));
    fprintf(file, "\"/>\n");
}

static void begin_svg(FILE *file, int width, int height, const char *title)
{
    fprintf(
        file,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" %s role=\"img\" "
        "aria-label=\"%s\">\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
        width, height, width, height, style, title, width, height);
}

void chart_draw(FILE *file, const chart *c)
{
    axis x = {0, 0, 0}, y = {INFINITY, -INFINITY, 0};

    widen(c->strong->x, c->strong->count, &x);
    widen(c->strong->y, c->strong->count, &y);
    if (c->fine) widen(c->fine->y, c->fine->count, &y);
    if (c->strong->count == 0) y.low = y.high = 0;
    round_axis(&x);
    round_axis(&y);

    begin_svg(file, WIDTH, HEIGHT, c->title);
    fprintf(file, "<text x=\"%d\" y=\"20\" font-size=\"14\" font-weight=\"600\" fill=\"#222\">%s</text>\n", LEFT,
            c->title);
    draw_grid(file, &x, &y);
    fprintf(file, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8,
            c->x_label);
    fprintf(file, "<text transform=\"translate(14 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            (TOP + HEIGHT - BOTTOM) / 2, c->y_label);
    if (c->fine) draw_curve(file, c->fine, &x, &y, "stroke-width=\"1\" stroke-opacity=\"0.3\"");
    draw_curve(file, c->strong, &x, &y, "stroke-width=\"2.2\"");
    for (int64_t i = 0; c->markers && i < c->strong->count; i++) {
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.4\" fill=\"#2f6db5\"/>\n", place_x(&x, c->strong->x[i]),
                place_y(&y, c->strong->y[i]));
    }
    fprintf(file, "</svg>\n");
}

/* ---- map ---- */

/* The map's extent on both axes, equally scaled, so that distances mean the same in all directions. */
static void frame_map(const chart_map *m, double *center_x, double *center_y, double *scale)
{
    axis x = {INFINITY, -INFINITY, 0}, y = {INFINITY, -INFINITY, 0};
    double extent;

    for (int64_t i = 0; i < m->count; i++) {
        widen(&m->plane[i * 2], 1, &x);
        widen(&m->plane[i * 2 + 1], 1, &y);
    }
    extent = fmax(fmax(x.high - x.low, y.high - y.low), 1e-12);
    *center_x = (x.low + x.high) / 2;
    *center_y = (y.low + y.high) / 2;
    *scale = (MAP_SIDE - 24) / extent;
}

static void draw_legend(FILE *file, const chart_map *m)
{
    for (int64_t c = 0; c < m->num_classes; c++) {
        const int y = 28 + 24 * (int)c;

        fprintf(file,
                "<circle cx=\"%d\" cy=\"%d\" r=\"6\" fill=\"%s\"/><text x=\"%d\" y=\"%d\" font-size=\"13\">%s</text>\n",
                MAP_SIDE + 18, y, colors[c % 10], MAP_SIDE + 32, y + 4, m->class_name(c));
    }
}

void chart_draw_map(FILE *file, const chart_map *m)
{
    double center_x, center_y, scale;

    frame_map(m, &center_x, &center_y, &scale);
    begin_svg(file, MAP_SIDE + LEGEND, MAP_SIDE, "map of the embeddings");
    fprintf(file,
            "<rect x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#ccc\"/>\n<g "
            "fill-opacity=\"0.7\">\n",
            MAP_SIDE - 1, MAP_SIDE - 1);
    for (int64_t i = 0; i < m->count; i++) {
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\" fill=\"%s\"/>\n",
                MAP_SIDE / 2 + (m->plane[i * 2] - center_x) * scale,
                MAP_SIDE / 2 - (m->plane[i * 2 + 1] - center_y) * scale, colors[m->labels[i] % 10]);
    }
    fprintf(file, "</g>\n");
    draw_legend(file, m);
    fprintf(file, "</svg>\n");
}
