/**
 * @file context.h
 * The context: threads, seed, precision, allocator, log. Every other handle is made from one and keeps it alive.
 *
 *     sslcv_context_options options;
 *     sslcv_context *context;
 *     sslcv_context_options_init(&options, sizeof options);
 *     options.seed = 42;
 *     if (sslcv_context_create(&options, &context) != SSLCV_OK) puts(sslcv_last_error());
 *     ...
 *     sslcv_context_destroy(context);
 *
 * Handles made from one context work together; handles of two contexts do not mix (SSLCV_ERR_INVALID_ARGUMENT).
 * A process that has computed and then forks must not compute in the child: such a call returns SSLCV_ERR_STATE.
 * So does one inside of an OpenMP parallel region, unless its context has one thread.
 */
#ifndef SSLCV_CONTEXT_H
#define SSLCV_CONTEXT_H

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_context sslcv_context;

enum sslcv_precision {
    SSLCV_PRECISION_AUTO = 0, /* BF16 where the CPU computes in it by instructions of its own (AVX512_BF16, AMX), else
                                 F32; the choice goes to the log */
    SSLCV_PRECISION_F32  = 1,
    SSLCV_PRECISION_BF16 = 2  /* feature maps of backbones, and their gradients, are stored in bf16; weights, their
                                 gradients, statistics, heads, losses and optimizers stay f32 */
};

enum sslcv_log_level { SSLCV_LOG_ERROR = 1, SSLCV_LOG_WARNING = 2, SSLCV_LOG_INFO = 3, SSLCV_LOG_DEBUG = 4 };

/**
 * Receives one log line. Called only on a thread that is inside a call of this library; lines that arise on the
 * library's own threads wait until then. It must not call the library.
 *
 * @param user  As given in the options.
 * @param level SSLCV_LOG_*.
 * @param text  One line of UTF-8 without line end; valid during the call.
 */
typedef void (*sslcv_log_fn)(void *user, int32_t level, const char *text);

/** Where memory comes from. What oneDNN allocates inside itself does not pass here. */
typedef struct sslcv_allocator {
    size_t struct_size;                                              /* sizeof(sslcv_allocator) */
    void  *user;                                                     /* handed to both functions */
    void *(*allocate)(void *user, size_t bytes, size_t alignment);   /* NULL when out of memory; any thread */
    void  (*deallocate)(void *user, void *memory, size_t bytes);     /* memory is not NULL; any thread */
    void  (*destroy)(void *user);                                    /* once, behind the last deallocate(), when the
                                                                        context and all made from it are gone, on the
                                                                        thread that lets go the last; may be NULL */
} sslcv_allocator;

typedef struct sslcv_context_options {
    size_t                 struct_size;
    int32_t                threads;        /* compute threads; 0 (default): the CPUs this process may use; in either
                                              case no more than OMP_THREAD_LIMIT allows */
    int32_t                loader_threads; /* of each loader, to decode and augment; -1 (default): as threads; 0:
                                              none, the calling thread does it */
    int32_t                precision;      /* SSLCV_PRECISION_*; default AUTO */
    int32_t                winograd;       /* 1 (default): where it is faster; 0: never */
    uint64_t               seed;           /* default 0; see sslcv_context_create() */
    const sslcv_allocator *allocator;      /* NULL (default): malloc; the struct is copied */
    sslcv_log_fn           log;            /* NULL (default): silence */
    void                  *log_user;
    int32_t                log_level;      /* highest level delivered; default SSLCV_LOG_INFO */
    int32_t                reserved;       /* 0 */
    const char            *tuning_path;    /* NULL (default): a convolution's algorithm follows a fixed rule by its
                                              shape, so that results stay the same; else the candidates are timed when
                                              a shape is first seen (results may then differ in their last digits from
                                              run to run), and what was found is kept in this file, which processes on
                                              machines alike may share; "": in memory only */
    void                 (*log_destroy)(void *user); /* gets log_user when the context is gone, that is when the last
                                              handle made from it is; may be NULL */
} sslcv_context_options;

typedef struct sslcv_context_info {
    size_t      struct_size;
    int32_t     threads;        /* as resolved */
    int32_t     loader_threads; /* as resolved */
    int32_t     precision;      /* as resolved: SSLCV_PRECISION_F32 or BF16 */
    int32_t     cancelled;      /* 1 while sslcv_context_cancel() is on */
    const char *cpu;            /* instruction set in use, e.g. "avx512_core_bf16"; valid as long as the context */
    int64_t     bytes;          /* memory now held by this context and all handles made from it */
} sslcv_context_info;

/**
 * Set every field to its default. Every *_init() of this library does the same for its struct, and never writes past
 * struct_size bytes, so that a program compiled against an older header keeps working.
 *
 * @param options     Not NULL.
 * @param struct_size sizeof(sslcv_context_options) as the caller knows it.
 * @return SSLCV_OK; SSLCV_ERR_INVALID_ARGUMENT (size below that of version 0.1, or no multiple of 8, which no
 *         such struct has).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_context_options_init(sslcv_context_options *options, size_t struct_size);

/**
 * Make a context. Wherever an object has a seed field, 0 means: draw from the context's seed and the number of
 * seeds drawn from it so far. The same calls in the same order therefore give the same networks.
 *
 * @param options NULL: all defaults.
 * @param context Out: owned; sslcv_context_destroy().
 * @return SSLCV_OK; SSLCV_ERR_UNSUPPORTED (oneDNN older than 2.6; PRECISION_BF16 on a CPU without it). On failure
 *         neither log_destroy nor the allocator's destroy is called.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_context_create(const sslcv_context_options *options, sslcv_context **context);

/**
 * Give back the caller's reference. This rule holds for every sslcv_*_destroy(): the object lives on while another
 * object needs it, so the order of destruction does not matter; the pointer is dead for the caller at once; NULL is
 * accepted and does nothing.
 *
 * @param context NULL or a context.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_context_destroy(sslcv_context *context);

/**
 * Take one more reference of a handle, for a second owner; the sslcv_*_destroy() of its type gives it back.
 *
 * @param handle Any handle of this library; the counter is atomic.
 * @return SSLCV_OK; SSLCV_ERR_INVALID_ARGUMENT (NULL, or no handle).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_retain(void *handle);

/**
 * Ask every long call on this context (run, step, embed, probe, dataset scan) to stop: each returns
 * SSLCV_ERR_CANCELLED at its next check, within one training step or one batch, with its object in a usable state.
 * The request stays on, so none is lost; clear it before going on. Callbacks can also stop their own call by
 * returning non-zero.
 *
 * @param context Not NULL.
 * @param on      1: stop; 0: clear.
 * @return SSLCV_OK.
 * @threads Any, at any time; also from a signal handler.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_context_cancel(sslcv_context *context, int32_t on);

/**
 * What the context resolved to.
 *
 * @param context Not NULL.
 * @param info    In: struct_size set to sizeof *info (so for every *_info struct). Out: the rest.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_context_get_info(const sslcv_context *context, sslcv_context_info *info);

#ifdef __cplusplus
}
#endif
#endif
