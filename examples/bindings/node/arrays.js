/** Typed arrays for C, and from it. */
import { blank, call, InvalidArgumentError, withMemory } from './native.js';

/** @typedef {import('./native.js').Hold} Hold */
/**
 * @typedef {Float32Array | Float64Array | Uint8Array | Uint8ClampedArray | Uint16Array | Int32Array |
 *     BigInt64Array} Data
 */
/** @template {Data} [T=Float32Array] @typedef {{ data: T, shape: number[] }} Tensor */

/** By SSLCV_F32 ... @type {Record<number, any>} */
const arrays = {
    1: Float32Array,
    4: Float64Array,
    5: Uint8Array,
    6: Uint16Array,
    7: Int32Array,
    8: BigInt64Array,
    9: Uint8Array,
};

/** @param {Data} data */
function dtypeOf(data) {
    if (data instanceof Uint8ClampedArray) return 5;
    const found = Object.entries(arrays).find(([, type]) => data instanceof type);
    if (!found) throw new InvalidArgumentError('not an array that the library knows');
    return Number(found[0]);
}

/** @param {Hold} hold @param {Tensor<any>} tensor */
export function describe(hold, { data, shape }) {
    if (shape.reduce((n, d) => n * d, 1) !== data.length) {
        throw new InvalidArgumentError(`${data.length} values do not fill the shape ${shape.join(' x ')}`);
    }
    const raw = {};
    const dims = hold(BigInt64Array.from(shape, BigInt));
    call('tensor_init', raw, dtypeOf(data), hold(data), shape.length, dims);
    return raw;
}

/**
 * What a function fills that is asked for shape and type first.
 * @param {(raw: any) => void} fill
 * @returns {Tensor<any>}
 */
export function filled(fill) {
    const raw = blank('sslcv_tensor');
    fill(raw);
    const shape = Array.from(raw.shape).slice(0, raw.ndim).map(Number);
    const type = arrays[raw.dtype];
    if (!type) throw new InvalidArgumentError(`JavaScript has no array for dtype ${raw.dtype}`);
    const tensor = { data: new type(shape.reduce((n, d) => n * d, 1)), shape };
    withMemory((hold) => fill(describe(hold, tensor)));
    return tensor;
}

/** @param {ArrayLike<number | bigint>} values */
export const int64s = (values) => BigInt64Array.from(Array.from(values), BigInt);

/** @param {any} raw */
export const plain = (raw) =>
    Object.fromEntries(Object.entries(raw).filter(([name]) => name !== 'struct_size' && name !== 'reserved'));
