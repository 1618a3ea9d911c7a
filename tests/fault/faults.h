/**
 * A file system that misbehaves. The programs of this folder are linked with --wrap for the calls below (see the
 * Makefile), so that those of the library, which knows nothing of it, pass through faults.c. Only files below
 * fault.folder are meant; all others behave.
 */
#ifndef SSLCV__FAULTS_H
#define SSLCV__FAULTS_H

#include <stdint.h>

typedef enum fault_call {
    FAULT_OPEN,
    FAULT_CLOSE,
    FAULT_READ, /* and pread */
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_TRUNCATE,
    FAULT_RENAME,
    FAULT_LINK,
    FAULT_UNLINK,
    FAULT_STAT, /* stat, fstat, lstat, access */
    FAULT_CHMOD,
    FAULT_LOCK,
    FAULT_LIST, /* fdopendir, readdir */
    FAULT_CALLS,
    FAULT_NONE = -1
} fault_call;

extern const char *const fault_names[FAULT_CALLS];

/** What goes wrong. All zero but call and kill_at, which are -1: nothing. */
typedef struct fault_plan {
    const char *folder;     /* NULL: nothing is meant */
    int call;               /* the calls of this kind number at .. at + times - 1 fail with error */
    int64_t at, times;
    int error;
    int interrupt;          /* each call that may be interrupted gives EINTR first */
    int64_t most;           /* > 0: reads and writes move no more bytes than that */
    int64_t kill_at;        /* SIGKILL before this call, in the middle if it writes; counted from 0 */
    int kill_among;         /* 0: all calls count for that; 1: not reads and writes; 2: only syncs, links, renames */
    int power;              /* a power cut, not a kill: bytes that were not synced are lost; 2: and names whose folder
                               was not */
    int farewell;           /* > 0: a descriptor, to which a process that dies writes in which call */
    void (*before)(int call, int64_t nth, const char *path);
} fault_plan;

extern fault_plan fault;
extern int64_t fault_count[FAULT_CALLS]; /* calls since fault_begin() */
extern char fault_trace[4096];           /* their kinds and paths without the folder, a line each; cut off at its end */

/** Nothing goes wrong below the folder, and calls count from 0. */
void fault_begin(const char *folder);
/** Nothing is meant any more. */
void fault_end(void);

#endif
