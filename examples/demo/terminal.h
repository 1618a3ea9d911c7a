/* What the demo prints: a bar that moves on a terminal, plain lines in a file or pipe, and the table. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdint.h>

/** A long piece of work as the reader sees it. */
typedef struct bar {
    const char *title;
    double begun;    /* seconds of the clock */
    int32_t moving;  /* 1: standard output is a terminal */
    int32_t printed; /* tenths of the work already told, in plain lines; -1: none */
} bar;

void bar_begin(bar *b, const char *title);

/** share: 0 .. 1 of the work done; details: what else there is to say. */
void bar_show(bar *b, double share, const char *details);

/** result: one line that stays, with the time that the work took. */
void bar_end(bar *b, const char *result);

/** Seconds of a clock that only goes forward. */
double clock_seconds(void);

/** The count with a comma every three digits, in a buffer of at least 27 bytes, which is returned. */
const char *with_commas(int64_t count, char *buffer);

#endif
