/**
 * @file io.h
 * Out to other programs: scalars by step, for TensorBoard or as JSON lines. Weights are in state.h, DLPack in tensor.h.
 *
 *     sslcv_scalars_open(context, SSLCV_SCALARS_TENSORBOARD, "runs/simclr", &scalars);
 *     sslcv_scalars_watch(scalars, trainer, 10);
 *     sslcv_trainer_run(trainer, 0);
 *     sslcv_scalars_destroy(scalars);
 *
 * Whatever a call has written is with the system when it returns: a process that dies loses nothing of it.
 */
#ifndef SSLCV_IO_H
#define SSLCV_IO_H

#include "trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_scalars sslcv_scalars;

enum sslcv_scalars_format {
    SSLCV_SCALARS_TENSORBOARD = 1, /* event files: values as f32, also NaN and infinities */
    SSLCV_SCALARS_JSON_LINES  = 2  /* {"step":10,"time":1700000000.25,"loss":4.5}: an object a line, time in seconds
                                      since 1970; values as f64, NaN and infinities as null; numbers with a point,
                                      whatever the locale */
};

/**
 * Open a file for scalars by step. Appends to JSON lines; TensorBoard gets a new event file, and shows all files of a
 * folder as one run.
 *
 * @param context Not NULL.
 * @param format  SSLCV_SCALARS_*.
 * @param path    UTF-8: the file, or for TensorBoard the folder (made when absent, with those above it).
 * @param scalars Out: owned.
 * @return SSLCV_OK; SSLCV_ERR_IO (also: path is there, and is no ordinary file).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_scalars_open(sslcv_context *context, int32_t format, const char *path,
                                          sslcv_scalars **scalars);

/**
 * Give back the caller's reference; with the last one the file is closed. NULL is accepted.
 *
 * @param scalars NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_scalars_destroy(sslcv_scalars *scalars);

/**
 * Write one scalar, as a record or line of its own.
 *
 * @param scalars Not NULL.
 * @param step    Position on the axis, >= 0.
 * @param name    UTF-8, 1 .. 1024 bytes; not "step" or "time".
 * @param value   Any.
 * @return SSLCV_OK; SSLCV_ERR_IO (the system's text; or the file has been deleted). What was half written is taken
 *         back, so that a later call can succeed.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_scalars_add(sslcv_scalars *scalars, int64_t step, const char *name, double value);

/**
 * Write a trainer's metrics by a hook, for as long as it lives: all of one step as one record or line. What the
 * trainer measures itself is written after every so many steps; what hooks publish (sslcv_trainer_set_metric()), when
 * there is a new value, then and at the end of epochs. Hooks run in their order, so add those first.
 *
 * @param scalars Kept alive by the trainer.
 * @param trainer Not NULL.
 * @param steps   After every so many steps, >= 1.
 * @return SSLCV_OK; as sslcv_trainer_add_hook(). A failing write is logged as a warning, the first of a row of them,
 *         and does not stop training; metrics whose names sslcv_scalars_add() would refuse are left out, likewise.
 * @threads One thread at a time per trainer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_scalars_watch(sslcv_scalars *scalars, sslcv_trainer *trainer, int64_t steps);

#ifdef __cplusplus
}
#endif
#endif
