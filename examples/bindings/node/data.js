/** Context, data sets, views. */
import {
    assign,
    blank,
    call,
    cString,
    createContext,
    Handle,
    InvalidArgumentError,
    make,
    options,
    text,
    untilNotFound,
    withMemory,
} from './native.js';
import { describe, filled, int64s, plain } from './arrays.js';

/** @typedef {import('./native.js').Hold} Hold */
/**
 * @template {import('./arrays.js').Data} [T=Float32Array]
 * @typedef {import('./arrays.js').Tensor<T>} Tensor
 */
export const LogLevel = Object.freeze({ ERROR: 1, WARNING: 2, INFO: 3, DEBUG: 4 });
const DatasetKind = { LIST: 1, FOLDER: 2 };

export class Context extends Handle {
    /**
     * @param {{ threads?: number, loader_threads?: number, precision?: number, seed?: number | bigint,
     *     log_level?: number, log?: (level: number, line: string) => void }} [given] log must not call the library.
     */
    constructor({ log, ...given } = {}) {
        super('context', createContext(assign(options('context'), given), log));
    }

    /** Asks long calls to stop; on until cleared by false. @param {boolean} [on] */
    cancel(on = true) {
        call('context_cancel', this.pointer, Number(on));
    }

    get info() {
        const info = blank('sslcv_context_info');
        call('context_get_info', this.pointer, info);
        return { ...plain(info), cpu: text(info.cpu) };
    }
}

export class Dataset extends Handle {
    /** @param {Context} context @param {number} kind @param {string | null} path @param {object} given */
    static #make(context, kind, path, given) {
        return withMemory((hold) => {
            const all = assign(options('dataset', kind), given);
            all.path = hold(cString(path));
            return new Dataset('dataset', make('dataset_create', context.pointer, all));
        });
    }

    /** Empty; add() and addFile() fill it. @param {Context} context @param {object} [given] */
    static list(context, given = {}) {
        return Dataset.#make(context, DatasetKind.LIST, null, given);
    }

    /**
     * All images below a folder. label_folders: 1: its first level names the class.
     * @param {Context} context
     * @param {string} path
     * @param {object} [given]
     */
    static folder(context, path, given = {}) {
        return Dataset.#make(context, DatasetKind.FOLDER, path, given);
    }

    /**
     * Copies an image (C, H, W) or several (N, C, H, W).
     * @param {Tensor<any>} images
     * @param {ArrayLike<number> | null} [labels] one each
     */
    add(images, labels = null) {
        const count = images.shape.length === 4 ? images.shape[0] : 1;
        if (labels && labels.length !== count)
            throw new InvalidArgumentError(`${labels.length} labels for ${count} images`);
        withMemory((hold) => {
            call('dataset_add_images', this.pointer, describe(hold, images), hold(labels && int64s(labels)), null);
        });
    }

    /**
     * A JPEG, PNG, BMP, PGM or PPM, read when needed.
     * @param {string} path
     * @param {number} [label] -1: none
     */
    addFile(path, label = -1) {
        cString(path);
        call('dataset_add_file', this.pointer, path, null, 0, label, null);
    }

    get info() {
        const info = blank('sslcv_dataset_info');
        call('dataset_get_info', this.pointer, info);
        return plain(info);
    }

    /** @param {number} index */
    sample(index) {
        const sample = blank('sslcv_sample');
        call('dataset_get_sample', this.pointer, index, sample);
        return { name: text(sample.name), label: sample.label };
    }

    samples() {
        return untilNotFound((index) => this.sample(index));
    }

    classes() {
        return untilNotFound((label) => text(make('dataset_get_class', this.pointer, label)));
    }

    /** Pixels of a sample, (C, H, W), as they are stored. @param {number} index */
    read(index) {
        return filled((raw) => call('dataset_read', this.pointer, index, raw));
    }

    /** Chosen samples, which share the pixels. @param {ArrayLike<number>} indices */
    subset(indices) {
        const pointer = withMemory((hold) =>
            make('dataset_subset', this.pointer, hold(int64s(indices)), indices.length),
        );
        return new Dataset('dataset', pointer);
    }
}

export class Augmenter extends Handle {
    /** @param {Context} context */
    constructor(context) {
        super('augmenter', make('augmenter_create', context.pointer));
    }

    /**
     * Appends published views and tells their indices.
     * @param {string} preset
     * @param {number} [size] pixels; 0: as published
     */
    addPreset(preset, size = 0) {
        const [first, count] = [[0], [0]];
        call('augmenter_add_preset', this.pointer, preset, size, first, count);
        return Array.from({ length: Number(count[0]) }, (_, i) => Number(first[0]) + i);
    }
}
