/**
 * @file sslcv.h
 * Self-supervised learning for computer vision as an embeddable library: the whole interface. Not OpenSSL.
 *
 *     data set -> augmenter -> views -> branch: backbone -> heads -> loss input
 *                                       branch: ...                -> loss input   -> loss -> gradients -> optimizer
 *
 * Three levels, which mix and give the same numbers:
 *
 *   method.h   a recipe by name makes a trainer
 *   trainer.h  a trainer composed by hand from branches, losses, an optimizer
 *   tape.h     no trainer: forward, sslcv_loss_compute(), sslcv_tape_backward(), sslcv_optimizer_step()
 *
 * Rules that hold for every header, stated once:
 *
 *   Axes       Images: (M, C, H, W). Embeddings, between networks and losses: (V, N, P, D) = views, samples, positions
 *              (patches of a grid or pixels of a map, row-major), dimensions. Absent axes count as 1: (N, D), (V, N, D)
 *              and (V, N, P, D) are all accepted. The rows of a pass stand in that order too: M = V * N * P.
 *   Handles    Opaque. Every handle that comes through an out pointer, from whatever function, is a reference of the
 *              caller's, given back by sslcv_x_destroy(). Objects keep alive what they use, so the order of destruction
 *              does not matter. sslcv_retain() takes a further reference.
 *   Options    Structs led by struct_size, filled by their _init() function. Fields are only ever appended; reserved
 *              ones, and bytes beyond what this library knows, must be 0 (SSLCV_ERR_UNSUPPORTED). Booleans are int32_t
 *              0 or 1; kinds and flags are int32_t with named constants. Each kind of loss and head has a struct and a
 *              create function of its own; transforms, optimizers, data sets and probes have one struct with a kind.
 *              Pointers in options are not kept, what they point to is copied; handles are kept alive. Defaults stay as
 *              they are for as long as the soname does.
 *   Filled     Structs that the library fills (info, progress, batch, metrics ...) have no _init: set struct_size, and
 *              it writes no further. Tables of callbacks, streams, allocators and state entries have none either: set
 *              every field. Structs handed to a callback carry the library's struct_size. sslcv_tensor alone has no
 *              size: it never changes.
 *   Texts      UTF-8, ended by 0. For texts handed out it says how long they live.
 *   Sizes      Ask with a NULL buffer, then call again: the caller never has to free memory of the library.
 *   Failure    status.h. Outputs untouched, nothing to release, handles usable. The library never prints, exits,
 *              raises, or changes signal handlers, locale, environment, or the host's thread and rounding settings.
 *   Threads    A handle serves one thread at a time unless its function says otherwise; different handles are
 *              independent unless one uses the other.
 *   Callbacks  User pointer first. Called only on the thread that is inside the library, unless a table sets
 *              SSLCV_CALLBACK_ANY_THREAD. They must return: no longjmp, exception or unwinding through the library.
 *              Non-zero means stop; sslcv_last_error() then still has the last failure inside the callback, if there
 *              was one. Tables are copied. destroy(user) is called once, when the last copy is gone, on the thread that
 *              lets it go; never when the call that took the table failed.
 *   Numbers    Same build, CPU kind, threads and seed: the same bits, for any loader_threads, and after interruption
 *              and resume. Other compute threads or CPUs: within tolerance (docs/determinism.md).
 */
#ifndef SSLCV_SSLCV_H
#define SSLCV_SSLCV_H

#include "version.h"
#include "status.h"
#include "context.h"
#include "tensor.h"
#include "state.h"
#include "augment.h"
#include "dataset.h"
#include "tape.h"
#include "backbone.h"
#include "head.h"
#include "loss.h"
#include "losses.h"
#include "optim.h"
#include "trainer.h"
#include "method.h"
#include "probe.h"

#endif
