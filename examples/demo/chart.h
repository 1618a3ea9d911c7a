/* Charts as SVG: a curve over steps, and a map of points in classes. Each is a whole <svg> element, for a page or for a
   file of its own. */
#ifndef CHART_H
#define CHART_H

#include <stdint.h>
#include <stdio.h>

/** Points of one curve, in the order of x. */
typedef struct curve {
    double *x, *y;
    int64_t count;
} curve;

/** @return 0; -1: out of memory, the curve is as it was. */
int curve_add(curve *c, double x, double y);
void curve_free(curve *c);

typedef struct chart {
    const char *title, *x_label, *y_label;
    const curve *fine;   /* drawn thin and pale: every value; may be NULL */
    const curve *strong; /* drawn thick */
    int32_t markers;     /* 1: a dot at each point of strong */
} chart;

void chart_draw(FILE *file, const chart *c);

typedef struct chart_map {
    const double *plane;   /* (count, 2) */
    const int64_t *labels; /* 0 .. num_classes - 1 */
    int64_t count, num_classes;
    const char *(*class_name)(int64_t label);
} chart_map;

void chart_draw_map(FILE *file, const chart_map *m);

#endif
