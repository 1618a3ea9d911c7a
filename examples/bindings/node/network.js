/** Networks, losses, and their tensors. */
import {
    assign,
    blank,
    call,
    cString,
    Handle,
    inMemory,
    make,
    options,
    text,
    untilNotFound,
    withMemory,
} from './native.js';
import { describe, filled, plain } from './arrays.js';

/** @typedef {import('./native.js').Hold} Hold */
/**
 * @template {import('./arrays.js').Data} [T=Float32Array]
 * @typedef {import('./arrays.js').Tensor<T>} Tensor
 */
/** @typedef {import('./data.js').Context} Context */
export const Architecture = Object.freeze({
    RESNET18: 1,
    RESNET34: 2,
    RESNET50: 3,
    RESNET101: 4,
    ALEXNET: 5,
    ALEXNET_HALF: 6,
});
export const Stem = Object.freeze({ IMAGENET: 0, CIFAR: 1, GIM: 2 });
export const Norm = Object.freeze({ NONE: 0, BATCH: 1, GROUP: 2, LAYER: 3 });
export const Role = Object.freeze({ WEIGHT: 1, BIAS: 2, NORM: 4, BUFFER: 8, PARAMETERS: 7, ALL: 15 });
const VALUE = 0;

export class State extends Handle {
    /** Any safetensors, npz or npy file. @param {Context} context @param {string} path */
    static open(context, path) {
        cString(path);
        return new State('state', make('state_open', context.pointer, path, null));
    }

    /** Safetensors; the file appears whole or not at all. @param {string} path */
    save(path) {
        cString(path);
        call('state_save', this.pointer, path, null);
    }

    /**
     * All or nothing.
     * @param {string} path
     * @param {{ prefix?: string | null, partial?: number, adapt_input?: number, roles?: number }} [given]
     */
    load(path, { prefix = null, ...given } = {}) {
        cString(path);
        return withMemory((hold) => {
            const all = assign(options('load'), given);
            all.prefix = hold(cString(prefix));
            const report = blank('sslcv_load_report');
            call('state_load', this.pointer, path, all, report);
            const { matched, missing, unexpected, adapted, layout } = report;
            return { matched, missing, unexpected, adapted, layout };
        });
    }

    /** @param {number} index */
    entry(index) {
        const entry = blank('sslcv_state_entry');
        call('state_get_entry', this.pointer, index, entry);
        const { dtype, role } = entry;
        const shape = Array.from(entry.shape).slice(0, entry.ndim).map(Number);
        return { name: text(entry.name), shape, dtype, role, frozen: entry.frozen === 1 };
    }

    /** In an order that never changes. */
    entries() {
        return untilNotFound((index) => this.entry(index));
    }

    /** @param {string} name */
    find(name) {
        return Number(make('state_find', this.pointer, name));
    }

    /** A copy of a tensor. @param {number} index */
    get(index) {
        return filled((raw) => call('state_get', this.pointer, index, VALUE, raw));
    }

    /** @param {number} index @param {Tensor<any>} values */
    set(index, values) {
        withMemory((hold) => call('state_set', this.pointer, index, VALUE, describe(hold, values)));
    }

    /** All floating tensors of these roles in one array: for federated averaging. @param {number} [roles] */
    getFlat(roles = Role.ALL) {
        const values = new Float32Array(Number(make('state_get_flat', this.pointer, roles, null, 0)));
        withMemory((hold) => make('state_get_flat', this.pointer, roles, hold(values), values.length));
        return values;
    }

    /** @param {Float32Array} values @param {number} [roles] */
    setFlat(values, roles = Role.ALL) {
        withMemory((hold) => call('state_set_flat', this.pointer, roles, hold(values), values.length));
    }
}

export class Backbone extends Handle {
    /** Random weights. @param {Context} context @param {number} architecture @param {object} [given] */
    static create(context, architecture, given = {}) {
        const all = assign(options('backbone', architecture), given);
        return new Backbone('backbone', make('backbone_create', context.pointer, all));
    }

    /**
     * From weights or a checkpoint, which tell the architecture.
     * @param {Context} context
     * @param {string} path
     * @param {{ prefix?: string | null }} [given]
     */
    static load(context, path, { prefix = null } = {}) {
        cString(path);
        return withMemory((hold) => {
            const all = Object.assign(options('load'), { prefix: hold(cString(prefix)) });
            return new Backbone('backbone', make('backbone_load', context.pointer, path, all));
        });
    }

    /** Independent, with the same weights. */
    clone() {
        return new Backbone('backbone', make('backbone_clone', this.pointer));
    }

    get info() {
        const info = blank('sslcv_backbone_info');
        call('backbone_get_info', this.pointer, info);
        return plain(info);
    }

    /** A window onto its tensors. */
    state() {
        return new State('state', make('backbone_get_state', this.pointer));
    }
}

export class Head extends Handle {
    /**
     * Projection, predictor, classifier.
     * @param {Context} context
     * @param {{ in_dim: number } & Record<string, any>} given
     */
    static mlp(context, given) {
        return new Head('head', make('head_create_mlp', context.pointer, assign(options('mlp'), given)));
    }

    state() {
        return new State('state', make('head_get_state', this.pointer));
    }
}

export class Loss extends Handle {
    /** SimCLR's and MoCo's. @param {Context} context @param {object} [given] */
    static infoNce(context, given = {}) {
        const all = assign(options('info_nce'), given);
        return new Loss('loss', make('loss_create_info_nce', context.pointer, all));
    }

    /**
     * Value, and the gradient of each input.
     * @param {Tensor[]} inputs
     * @returns {{ value: number, gradients: Tensor[] }}
     */
    compute(inputs) {
        const gradients = inputs.map(({ data, shape }) => ({ data: new Float32Array(data.length), shape }));
        const value = withMemory((hold) => {
            /** @param {Tensor[]} tensors */
            const table = (tensors) =>
                hold(Buffer.concat(tensors.map((tensor) => inMemory('sslcv_tensor', describe(hold, tensor)))));
            const request = options('loss_call');
            request.inputs = table(inputs);
            request.diff_inputs = table(gradients);
            request.num_inputs = inputs.length;
            call('loss_compute', this.pointer, request);
            return request.value;
        });
        return { value, gradients };
    }
}
