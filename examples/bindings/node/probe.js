/** Features of a data set, and how good they are. */
import { assign, blank, call, Handle, inMemory, InvalidArgumentError, make, options, withMemory } from './native.js';
import { describe, filled, int64s, plain } from './arrays.js';
import { describeBranch } from './trainer.js';

/** @typedef {import('./native.js').Hold} Hold */
/**
 * @template {import('./arrays.js').Data} [T=Float32Array]
 * @typedef {import('./arrays.js').Tensor<T>} Tensor
 */
/** @typedef {import('./data.js').Context} Context */
/** @typedef {import('./data.js').Dataset} Dataset */
/** @typedef {import('./data.js').Augmenter} Augmenter */
/** @typedef {import('./trainer.js').Branch} Branch */
const PROBE_KNN = 1;

/** @typedef {{ dataset: Dataset, augmenter: Augmenter, branch: Branch } & Record<string, any>} Embedding */

/** @param {Hold} hold @param {Embedding} given */
function describeEmbedding(hold, { dataset, augmenter, branch, ...rest }) {
    const all = assign(options('embed'), rest);
    const memory = inMemory('sslcv_branch', describeBranch(hold, { flags: 0, ...branch }));
    all.dataset = dataset.pointer;
    all.augmenter = augmenter.pointer;
    all.branches = hold(BigUint64Array.of(/** @type {bigint} */ (hold(memory))));
    all.num_branches = 1;
    return all;
}

/**
 * Runs images through the networks, as they are: rows of features, and labels, -1: none.
 * @param {Embedding} given
 * @returns {{ features: Tensor, labels: number[] }}
 */
export function embed(given) {
    return withMemory((hold) => {
        const all = describeEmbedding(hold, given);
        /** @type {BigInt64Array | null} */
        let labels = null;
        const features = filled((raw) => {
            if (raw.data !== null) labels = new BigInt64Array(Number(raw.shape[0]));
            call('embed', all, raw, hold(labels));
        });
        return { features, labels: Array.from(labels ?? [], Number) };
    });
}

/** A classifier on features. */
export class Probe extends Handle {
    /**
     * Nearest neighbors by cosine.
     * @param {Context} context
     * @param {{ neighbors?: number, temperature?: number }} [given]
     */
    static knn(context, given = {}) {
        const all = assign(options('probe', PROBE_KNN), given);
        return new Probe('probe', make('probe_create', context.pointer, all));
    }

    /** Rows with label -1 are left out. @param {Tensor} features @param {ArrayLike<number>} labels */
    fit(features, labels) {
        if (labels.length !== features.shape[0])
            throw new InvalidArgumentError(`${labels.length} labels for ${features.shape[0]} rows`);
        withMemory((hold) => call('probe_fit', this.pointer, describe(hold, features), hold(int64s(labels))));
    }

    /** (n, classes); larger is likelier. @param {Tensor} features @returns {Tensor} */
    predict(features) {
        return withMemory((hold) => {
            const raw = describe(hold, features);
            return filled((scores) => call('probe_predict', this.pointer, raw, scores));
        });
    }

    /** Embeds both, fits on one, judges on the other. @param {Embedding} train @param {Embedding} test */
    evaluate(train, test) {
        return withMemory((hold) => {
            const metrics = blank('sslcv_metrics');
            call(
                'probe_evaluate',
                this.pointer,
                describeEmbedding(hold, train),
                describeEmbedding(hold, test),
                metrics,
            );
            return plain(metrics);
        });
    }
}
