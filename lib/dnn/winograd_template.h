/*
 * The Winograd kernels, for any width of vector. The file that includes this has vector, WIDTH, the operations on
 * vectors, and the shapes of the register blocks: WINOGRAD_MAX_ROWS tiles by a pair of vectors in product, OUTER_ROWS
 * or SINGLE_OUTER_ROWS channels by two vectors or one in outer.
 *
 * The transforms evaluate polynomials at 0, a, -a, b, -b and infinity. With a = 5/8 and b = 3/2 the rounding errors are
 * 2.5 times smaller than with the well-known 1 and 2 (the points are oneDNN's choice, and the error is: rms 0.8e-6 of
 * the result's with 64 channels, 1.1e-6 with 512), and all constants of B and A are exact in f32.
 *
 *          | a2b2   0   -a2-b2   0      1    0 |        | 1   1   1    1   1   0 |        row p of G, with q over the
 *          |  0   -ab2   -b2     a      1    0 |        | 0   a  -a    b  -b   0 |        other four finite points:
 *     B' = |  0    ab2   -b2    -a      1    0 |   A' = | 0   a2  a2   b2  b2  0 |
 *          |  0   -a2b   -a2     b      1    0 |        | 0   a3 -a3   b3 -b3  1 |        (1, p, p2) / prod (p - q)
 *          |  0    a2b   -a2    -b      1    0 |                                          and (0, 0, 1) for infinity
 *          |  0   a2b2    0   -a2-b2    0    1 |
 *
 * The rows of a and -a are an even part plus or minus an odd one, likewise b's: what the code computes.
 *
 *     winograd_tiles.h      B' d B of images, A dy A' of gradients, A' m A of results
 *     winograd_products.h   what works at one point
 *     winograd_weights.h    G g G' of filters, G' u G of their gradients
 */
#include <stdint.h>

#define POINT_A 0.625f
#define POINT_B 1.5f
#define A2 (POINT_A * POINT_A)
#define B2 (POINT_B * POINT_B)
#define A3 (A2 * POINT_A)
#define B3 (B2 * POINT_B)
#define SCALE_0 (1.0 / (0.625 * 0.625 * 1.5 * 1.5))
#define SCALE_A (0.5 / (0.625 * 0.625 * (0.625 * 0.625 - 1.5 * 1.5)))
#define SCALE_B (0.5 / (1.5 * 1.5 * (1.5 * 1.5 - 0.625 * 0.625)))

enum { TILE = 6 * WIDTH, BLOCK_WEIGHTS = WIDTH * WIDTH };

#include "dnn/winograd_products.h"
#include "dnn/winograd_tiles.h"
#include "dnn/winograd_weights.h"

#define WINOGRAD_KERNELS                                                                                               \
    {                                                                                                                  \
        weights_forward, weights_turned, patches, gradients, product, results, outer, weight_gradients                 \
    }
