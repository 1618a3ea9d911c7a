/* The page: index.html, self-contained, with the table, the curves, the map and the neighbours. */
#ifndef PAGE_H
#define PAGE_H

#include "chart.h"

#include <stdint.h>

enum { PAGE_ROWS = 4, PAGE_SHARES = 3, PAGE_QUERIES = 10, PAGE_NEIGHBOURS = 8 };

/** A picture with what is known of it. */
typedef struct page_picture {
    unsigned char *pixels; /* side * side grey values */
    int64_t label;
    double similarity; /* to the query; of the query itself: unused */
} page_picture;

/** Everything that the page shows. */
typedef struct page {
    const char *summary; /* a sentence on what was done, plain text */
    const char *row_names[PAGE_ROWS];
    const char *share_names[PAGE_SHARES];
    double accuracy[PAGE_ROWS][PAGE_SHARES]; /* 0 .. 1 */
    chart loss, knn;
    chart_map map;
    double map_share;                                         /* of the variance that the map shows */
    page_picture pictures[PAGE_QUERIES][1 + PAGE_NEIGHBOURS]; /* the query first */
    int64_t side;                                             /* of the pictures, in pixels */
    const char *(*class_name)(int64_t label);
} page;

/** Write FOLDER/index.html, and the same pictures as files: loss.svg, knn.svg, map.svg, neighbours.png.
    @return 0; -1: a file could not be written, errno tells why. */
int page_write(const page *p, const char *folder);

/** Index of the best row in a column; the last row, which sees labels only, competes too. */
int page_best(const page *p, int share);

#endif
