/**
 * @file tensor.h
 * One description of an array in memory: images, features, gradients, weights.
 *
 *     float pixels[2 * 3 * 32 * 32];
 *     int64_t shape[4] = {2, 3, 32, 32};
 *     sslcv_tensor images;
 *     sslcv_tensor_init(&images, SSLCV_F32, pixels, 4, shape);
 *
 * A tensor owns nothing: it points at memory of the caller or of a handle, and every function says for how long. It
 * is a plain struct that never changes, so arrays of it are safe; fill it by hand if that is easier. Images have the
 * logical order channels, height, width, whatever their memory order: strides tell that. Memory needs no alignment
 * beyond that of its element.
 *
 * A tensor that a function reads is never written, though data is not const. A tensor that a function fills must have
 * dtype and shape as stated there, or data NULL, and then nothing else in it is read, to ask for them: the function
 * then sets shape, strides, ndim and dtype, writes no data and returns SSLCV_OK. Where it says "Out: borrowed", the
 * function points the tensor at memory of its own instead. "Dense" means strides of a row-major array without gaps.
 */
#ifndef SSLCV_TENSOR_H
#define SSLCV_TENSOR_H

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SSLCV_MAX_DIMS = 8 };

enum sslcv_dtype {
    SSLCV_F32  = 1,
    SSLCV_BF16 = 2,
    SSLCV_F16  = 3,
    SSLCV_F64  = 4,
    SSLCV_U8   = 5,
    SSLCV_U16  = 6,
    SSLCV_I32  = 7,
    SSLCV_I64  = 8,
    SSLCV_BOOL = 9 /* one byte, 0 or 1 */
};

typedef struct sslcv_tensor {
    void   *data;                    /* element [0, 0, ...] */
    int64_t shape[SSLCV_MAX_DIMS];   /* the first ndim entries count; each >= 0 */
    int64_t strides[SSLCV_MAX_DIMS]; /* in elements, may be negative */
    int32_t ndim;                    /* 0 .. SSLCV_MAX_DIMS */
    int32_t dtype;                   /* SSLCV_F32 ... */
} sslcv_tensor;

enum sslcv_pixel_order {
    SSLCV_PIXELS_AS_STORED = 0, /* every stored channel, in its order */
    SSLCV_PIXELS_RGB       = 1, /* the first three: RGB, RGBA, RGBX */
    SSLCV_PIXELS_BGR       = 2  /* the first three, reversed to RGB: BGR, BGRA, BGRX */
};

/**
 * Bytes of one element.
 *
 * @param dtype SSLCV_F32 ...
 * @return 1, 2, 4 or 8; 0 for an unknown dtype.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API int64_t sslcv_dtype_size(int32_t dtype);

/**
 * Describe a dense row-major array.
 *
 * @param tensor Out.
 * @param dtype  SSLCV_F32 ...
 * @param data   Borrowed; NULL makes a tensor that asks for sizes.
 * @param ndim   0 .. SSLCV_MAX_DIMS.
 * @param shape  ndim entries, each >= 0; NULL when ndim is 0. The number of bytes must fit in int64_t.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_tensor_init(sslcv_tensor *tensor, int32_t dtype, void *data, int32_t ndim,
                                         const int64_t *shape);

/**
 * Describe an interleaved picture (height x width x channels in memory, as cameras and OpenCV give it) as a tensor of
 * shape (channels, height, width), without copying: only strides and the starting address differ.
 *
 * @param tensor    Out.
 * @param dtype     SSLCV_U8 or SSLCV_U16 (0 .. full scale), or SSLCV_F32 (0 .. 1).
 * @param pixels    First byte of the top row; borrowed.
 * @param width     1 .. 2^31 - 1 pixels.
 * @param height    1 .. 2^31 - 1 pixels.
 * @param channels  Values stored per pixel, 1 .. 16 (4 for BGRA).
 * @param row_bytes Bytes from one row to the next, a multiple of the element's size; negative for bottom-up pictures;
 *                  0: no gap.
 * @param order     SSLCV_PIXELS_*; RGB and BGR need channels >= 3 and give shape[0] = 3.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_tensor_init_pixels(sslcv_tensor *tensor, int32_t dtype, const void *pixels, int64_t width,
                                                int64_t height, int64_t channels, int64_t row_bytes, int32_t order);

/**
 * Describe what a DLPack structure points to (NumPy, PyTorch, JAX), without copying. The structure stays the caller's.
 * Memory that it marks as read-only is for functions that read: the mark is not in the tensor.
 *
 * @param dlpack    versioned 0: DLTensor * or DLManagedTensor *; versioned 1: DLManagedTensorVersioned *.
 * @param versioned 0 or 1.
 * @param tensor    Out: valid as long as the DLPack structure.
 * @return SSLCV_OK; SSLCV_ERR_UNSUPPORTED (not in CPU memory, more than SSLCV_MAX_DIMS dimensions, an element type not
 *         listed above, data not aligned to its element, another major version than 1).
 * @threads Any.
 * @since   0.1 (DLPack 1.1 and the layout before 1.0)
 */
SSLCV_API sslcv_status sslcv_tensor_from_dlpack(const void *dlpack, int32_t versioned, sslcv_tensor *tensor);

/** Gives back the owner of memory that was lent. It must not call the library. */
typedef void (*sslcv_release_fn)(void *owner);

/**
 * Wrap a tensor for a DLPack consumer, without copying. The result's own deleter frees it and calls release(owner)
 * once; its memory is the C library's, not a context's, as it may outlive every context.
 *
 * @param tensor    Memory that stays valid until release is called, and that the consumer may write.
 * @param owner     Handed to release; may be NULL.
 * @param release   May be NULL. Called on whatever thread runs the deleter, which is the consumer's choice; not called
 *                  when this function fails.
 * @param versioned 0: DLManagedTensor; 1: DLManagedTensorVersioned, version 1.1.
 * @param dlpack    Out: owned; hand it on, or call its deleter.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_tensor_to_dlpack(const sslcv_tensor *tensor, void *owner, sslcv_release_fn release,
                                              int32_t versioned, void **dlpack);

#ifdef __cplusplus
}
#endif
#endif
