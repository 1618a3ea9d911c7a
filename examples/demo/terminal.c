#include "terminal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR_CELLS = 24, TITLE_WIDTH = 34 };

double clock_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

const char *with_commas(int64_t count, char *buffer)
{
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%lld", (long long)count);
    char *end = buffer;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *end++ = ',';
        *end++ = digits[i];
    }
    *end = '\0';
    return buffer;
}

void bar_begin(bar *b, const char *title)
{
    b->title = title;
    b->begun = clock_seconds();
    b->moving = isatty(STDOUT_FILENO);
    b->printed = -1;
    if (b->moving) {
        printf("%-*s ...", TITLE_WIDTH, title);
        fflush(stdout);
    }
}

void bar_show(bar *b, double share, const char *details)
{
    const int32_t tenths = (int32_t)(share * 10), cells = (int32_t)(share * BAR_CELLS);
    char drawing[BAR_CELLS + 1];

    if (b->moving) {
        memset(drawing, '.', BAR_CELLS);
        memset(drawing, '#', (size_t)cells);
        drawing[BAR_CELLS] = '\0';
        printf("\r%s [%s] %3.0f %%  %s\033[K", b->title, drawing, 100 * share, details);
    } else {
        if (tenths == b->printed) return;
        b->printed = tenths;
        printf("%s %3.0f %%  %s\n", b->title, 100 * share, details);
    }
    fflush(stdout);
}

void bar_end(bar *b, const char *result)
{
    printf("%s%-*s %-30s %5.1f s\n", b->moving ? "\r\033[K" : "", TITLE_WIDTH, b->title, result,
           clock_seconds() - b->begun);
    fflush(stdout);
}
