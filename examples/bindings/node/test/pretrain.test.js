/** The whole path on drawn pictures, and what must hold at the border of the two languages. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

import * as sslcv from '../index.js';
import { liveCallbacks } from '../native.js';

const SIDE = 16;
const COUNT = 64;
const settings = { epochs: 2, batch: 16, size: SIDE, temperature: 0.5 };

const folder = mkdtempSync(join(tmpdir(), 'sslcv-node-'));
after(() => rmSync(folder, { recursive: true }));
const ppm = Buffer.concat([Buffer.from('P6 16 16 255\n'), Buffer.alloc(768, 9)]);

const newContext = () => new sslcv.Context({ threads: 1, loader_threads: 1, seed: 7 });

/** Stripes of two directions with noise; the direction is the label. */
function pictures(context) {
    let noise = 1;
    const data = new Uint8Array(COUNT * 3 * SIDE * SIDE).map((_, i) => {
        noise = (Math.imul(noise, 1664525) + 1013904223) >>> 0;
        const [n, p] = [Math.floor(i / (3 * SIDE * SIDE)), i % (3 * SIDE * SIDE)];
        const place = n % 2 === 0 ? p % SIDE : Math.floor(p / SIDE) % SIDE;
        return (Math.floor(place / 4) % 2) * 180 + (noise >>> 26);
    });
    const dataset = sslcv.Dataset.list(context);
    dataset.add(
        { data, shape: [COUNT, 3, SIDE, SIDE] },
        Array.from({ length: COUNT }, (_, n) => n % 2),
    );
    return dataset;
}

const newBackbone = (context, seed = 3) =>
    sslcv.Backbone.create(context, sslcv.Architecture.RESNET18, { width: 0.125, stem: sslcv.Stem.CIFAR, seed });

const simclr = (context, dataset, backbone) =>
    sslcv.Trainer.method(context, 'simclr', { dataset, backbones: [backbone], settings, seed: 5 });

function embedding(context, dataset, backbone) {
    const augmenter = new sslcv.Augmenter(context);
    return { dataset, augmenter, branch: { views: augmenter.addPreset('eval-cifar', SIDE), backbone } };
}
const embed = (...world) => sslcv.embed(embedding(...world));

const weights = (backbone) => backbone.state().getFlat();

test('pre-trains, embeds, saves, reloads', () => {
    const context = newContext();
    const dataset = pictures(context);
    const backbone = newBackbone(context);
    const before = weights(backbone);
    const trainer = simclr(context, dataset, backbone);
    const losses = [];
    trainer.addHook(sslcv.Event.EPOCH_END, (progress, running) => {
        losses.push(progress.loss);
        assert.ok('loss.0' in running.metrics());
        running.setMetric('own', 1.5);
    });
    trainer.run();
    assert.equal(losses.length, 2);
    assert.ok(losses.every((loss) => loss > 0 && Number.isFinite(loss)));
    assert.equal(trainer.metrics().own, 1.5);
    assert.match(trainer.describe(), /info_nce/);
    assert.notDeepEqual(before, weights(backbone));

    const first = embed(context, dataset, backbone);
    assert.deepEqual(first.features.shape, [COUNT, 64]);
    assert.deepEqual(first.labels.slice(0, 3), [0, 1, 0]);
    const path = join(folder, 'backbone.safetensors');
    backbone.state().save(path);
    assert.deepEqual(embed(context, dataset, sslcv.Backbone.load(context, path)), first);
    const other = newBackbone(context, 4);
    assert.notDeepEqual(embed(context, dataset, other), first);
    const report = other.state().load(path);
    assert.deepEqual([report.missing, report.unexpected, report.layout], [0, 0, 'sslcv']);
    assert.deepEqual(embed(context, dataset, other), first);

    const probe = sslcv.Probe.knn(context, { neighbors: 5 });
    probe.fit(first.features, first.labels);
    assert.deepEqual(probe.predict(first.features).shape, [COUNT, 2]);
    const all = embedding(context, dataset, backbone);
    const metrics = probe.evaluate(all, all);
    assert.equal(metrics.count, COUNT);
    assert.ok(metrics.top1 > 0.75, `${metrics.top1}`);
});

test('failures say what is wrong', () => {
    const context = newContext();
    assert.throws(
        () => sslcv.Loss.infoNce(context, { temperature: -0.1 }),
        (error) =>
            error instanceof sslcv.InvalidArgumentError &&
            error.status === -1 &&
            error.name === 'InvalidArgumentError' &&
            /temperature is -0.1/.test(error.message),
    );
    assert.throws(() => sslcv.Dataset.folder(context, '/nowhere/at/all'), sslcv.NotFoundError);
    assert.throws(() => sslcv.Trainer.method(context, 'simclear', {}), /simclr/);
    assert.throws(() => sslcv.Loss.infoNce(context, { warmth: 1 }), /no option warmth/);
    assert.throws(() => sslcv.Dataset.folder(context, 'a\0b'), /zero byte/);
    const list = sslcv.Dataset.list(context);
    assert.throws(() => list.add({ data: new Uint8Array(11), shape: [3, 2, 2] }), /11 values/);
    assert.throws(() => list.add({ data: new Uint8Array(12), shape: [3, 2, 2] }, [1, 2]), /2 labels/);
    assert.ok(sslcv.methods().includes('moco-v2'));
    assert.match(sslcv.methodSettings('simclr'), /temperature=0.5/);
    assert.match(sslcv.version(), /^\d+\.\d+\.\d+$/);
    context.close();
    context.close();
    assert.throws(() => sslcv.Dataset.list(context), sslcv.InvalidArgumentError);
});

test('a hook stops, and the next run goes on', () => {
    const context = newContext();
    const dataset = pictures(context);
    const [whole, parts] = [newBackbone(context), newBackbone(context)];
    simclr(context, dataset, whole).run();

    const trainer = simclr(context, dataset, parts);
    let [last, escaped] = [0, null];
    trainer.addHook(sslcv.Event.STEP, ({ step }, running) => {
        [last, escaped] = [step, running];
        return step !== 3;
    });
    assert.throws(() => trainer.run(), sslcv.CancelledError);
    assert.equal(last, 3);
    trainer.run();
    assert.equal(last, 8);
    assert.deepEqual(weights(parts), weights(whole));
    assert.throws(() => trainer.step(), sslcv.StateError);
    assert.throws(() => escaped.metrics(), sslcv.InvalidArgumentError);

    context.cancel();
    assert.equal(context.info.cancelled, 1);
    const again = simclr(context, dataset, parts);
    assert.throws(() => again.step(), sslcv.CancelledError);
    context.cancel(false);
    assert.equal(again.step().step, 1);
});

test('what a hook throws does not pass through C', () => {
    const context = newContext();
    const dataset = pictures(context);
    const backbone = newBackbone(context);
    const trainer = simclr(context, dataset, backbone);
    const error = new Error('step 2');
    trainer.addHook(sslcv.Event.STEP, ({ step }) => {
        if (step === 2) throw error;
    });
    assert.throws(
        () => trainer.run(),
        (thrown) => thrown === error,
    );
    trainer.run();

    // Within a hook a call may throw in its turn: it is the same error at every border.
    const outer = simclr(context, dataset, backbone);
    outer.addHook(sslcv.Event.STEP, () => {
        const inner = simclr(context, dataset, newBackbone(context));
        inner.addHook(sslcv.Event.STEP, () => {
            throw error;
        });
        inner.step();
    });
    assert.throws(
        () => outer.step(),
        (thrown) => thrown === error,
    );
    const later = simclr(context, dataset, backbone);
    later.addHook(sslcv.Event.STEP, async () => {});
    assert.throws(() => later.step(), /must not be async/);
});

test('steps leave time for the rest of the program', async () => {
    const context = newContext();
    const trainer = simclr(context, pictures(context), newBackbone(context));
    let ticks = 0;
    let next = setImmediate(function tick() {
        ticks++;
        next = setImmediate(tick);
    });
    const seen = [];
    for await (const progress of trainer.steps()) seen.push(progress.step);
    clearImmediate(next);
    assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.ok(ticks >= 7, `${ticks} ticks`);
});

test('a worker trains while this thread is free', async () => {
    const path = join(folder, 'worker.safetensors');
    const program = `
        import { workerData } from 'node:worker_threads';
        const sslcv = await import(workerData.module);
        const context = new sslcv.Context({ threads: 1, seed: 7 });
        const dataset = sslcv.Dataset.list(context);
        dataset.add({ data: workerData.pixels, shape: [32, 3, 16, 16] });
        const backbone = sslcv.Backbone.create(context, sslcv.Architecture.RESNET18, { width: 0.125, stem: 1 });
        let steps = 0;
        const settings = 'epochs=1 batch=16 size=16';
        const trainer = sslcv.Trainer.method(context, 'simclr', { dataset, backbones: [backbone], settings });
        trainer.addHook(sslcv.Event.STEP, () => { steps++; });
        trainer.run();
        if (steps !== 2) throw new Error('no hook');
        backbone.state().save(workerData.path);`;
    const pixels = new Uint8Array(32 * 768).map((_, i) => (i * 7919) % 251);
    const module = new URL('../index.js', import.meta.url).href;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), {
        workerData: { module, path, pixels },
    });
    const code = await new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
    assert.equal(code, 0);
    assert.equal(sslcv.Backbone.load(newContext(), path).info.feature_dim, 64);
});

test('the log is heard, and may throw', () => {
    const images = join(folder, 'log');
    mkdirSync(images);
    writeFileSync(join(images, 'broken.png'), 'no picture');
    writeFileSync(join(images, 'fine.ppm'), ppm);
    const lines = [];
    let loud = false;
    const context = new sslcv.Context({
        threads: 1,
        log: (level, line) => {
            lines.push(`${level} ${line}`);
            if (loud) throw new Error('in the log');
        },
    });
    const backbone = newBackbone(context);
    const [one, two] = [1, 2].map(() => embedding(context, sslcv.Dataset.folder(context, images), backbone));
    const callbacks = liveCallbacks();
    context.close(); // the others hold it, and its log
    assert.equal(liveCallbacks(), callbacks);
    const { labels, features } = sslcv.embed(one);
    assert.deepEqual(labels, [-1, -1]);
    assert.ok(
        features.data.subarray(0, 64).every((value) => value === 0),
        'a row of zeros for what cannot be read',
    );
    assert.ok(
        lines.some((line) => line.includes('broken.png')),
        lines.join('\n'),
    );
    loud = true;
    assert.throws(() => sslcv.embed(two), /in the log/);
    loud = false;
    sslcv.embed(two);
    for (const handle of [backbone, one.dataset, one.augmenter, two.dataset, two.augmenter]) handle.close();
    assert.equal(liveCallbacks(), callbacks - 1);
});

test('hooks end with their trainer', async () => {
    const context = newContext();
    const dataset = pictures(context);
    const backbone = newBackbone(context);
    const before = liveCallbacks();
    const trainer = simclr(context, dataset, backbone);
    trainer.addHook(sslcv.Event.STEP, () => {});
    trainer.step();
    const state = trainer.state();
    trainer.close();
    assert.equal(liveCallbacks(), before + 1, 'the state keeps the trainer');
    assert.ok([...state.entries()].some((entry) => entry.name === 'backbone.0.conv1.weight'));
    state.close();
    assert.equal(liveCallbacks(), before);
    assert.throws(
        () => simclr(context, dataset, backbone).addHook(sslcv.Event.STEP, () => {}, -1),
        sslcv.InvalidArgumentError,
    );
    assert.equal(liveCallbacks(), before, 'a hook that was refused is given back');

    // What is not closed is collected.
    const hook = (() => {
        const forgotten = simclr(context, dataset, backbone);
        const callback = () => {};
        forgotten.addHook(sslcv.Event.STEP, callback);
        forgotten.step();
        return new WeakRef(callback);
    })();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc');
    for (let tries = 0; hook.deref() && tries < 500; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        collect();
    }
    assert.equal(hook.deref(), undefined);
});

test('composes by hand', () => {
    const context = newContext();
    const dataset = pictures(context);
    const backbone = newBackbone(context);
    const head = sslcv.Head.mlp(context, { in_dim: backbone.info.feature_dim, out_dim: 16 });
    const optimizer = new sslcv.Optimizer(context, sslcv.OptimizerKind.SGD);
    optimizer.add(backbone.state());
    optimizer.add(head.state());
    const augmenter = new sslcv.Augmenter(context);
    const views = augmenter.addPreset('simclr-cifar', SIDE);
    const trainer = sslcv.Trainer.compose(context, {
        dataset,
        augmenter,
        optimizer,
        learning_rate: sslcv.schedule(sslcv.ScheduleKind.COSINE, 0.05),
        batch_size: 16,
        epochs: 1,
    });
    const branch = trainer.addBranch({ views, backbone, heads: [head] });
    trainer.addLoss(sslcv.Loss.infoNce(context, { temperature: 0.5 }), [branch]);
    trainer.run();
    assert.deepEqual(weights(trainer.backbone(branch)), weights(backbone));

    const state = backbone.state();
    const index = state.find('conv1.weight');
    const first = state.get(index);
    assert.deepEqual(first.shape, [8, 3, 3, 3]);
    first.data[0] = 0.25;
    state.set(index, first);
    assert.equal(weights(backbone)[0], 0.25);
    const flat = weights(backbone).fill(0.5);
    state.setFlat(flat);
    assert.deepEqual(weights(backbone), flat);
    assert.deepEqual(dataset.read(0).shape, [3, SIDE, SIDE]);
    assert.deepEqual(
        [...dataset.subset([5, 4]).samples()].map(({ label }) => label),
        [1, 0],
    );
});

test('a gradient is that of its value', () => {
    const context = newContext();
    const loss = sslcv.Loss.infoNce(context, { temperature: 0.5 });
    const data = Float32Array.from({ length: 16 }, (_, i) => (((i * 37) % 17) - 8) / 5);
    const z = { data, shape: [2, 4, 2] };
    const { gradients } = loss.compute([z]);
    const step = 1e-2;
    data[5] += step;
    const above = loss.compute([z]).value;
    data[5] -= 2 * step;
    const below = loss.compute([z]).value;
    assert.ok(Math.abs((above - below) / (2 * step) - gradients[0].data[5]) < 1e-3);
});

test('folders', () => {
    const images = join(folder, 'images');
    for (const name of ['cat', 'dog']) {
        mkdirSync(join(images, name), { recursive: true });
        writeFileSync(join(images, name, '1.ppm'), ppm);
    }
    const context = newContext();
    const dataset = sslcv.Dataset.folder(context, images, { label_folders: true });
    assert.deepEqual([...dataset.classes()], ['cat', 'dog']);
    assert.deepEqual(dataset.sample(1), { name: 'dog/1.ppm', label: 1 });
    const list = sslcv.Dataset.list(context);
    list.addFile(join(images, 'cat', '1.ppm'));
    assert.equal(list.info.count, 1);
});
