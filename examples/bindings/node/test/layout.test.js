/** The structs of native.js beside what a C compiler makes of the headers: SSLCV_INCLUDE is their folder. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { offsetof, sizeof, structs } from '../native.js';

const compiler = process.env.CC ?? 'cc';
const include = process.env.SSLCV_INCLUDE;
const missing = !include
    ? 'SSLCV_INCLUDE is not set'
    : spawnSync(compiler, ['--version']).error
      ? `no ${compiler}`
      : false;

test('layout', { skip: missing }, () => {
    const fields = Object.entries(structs).map(([name, text]) => {
        const names = text
            .replace(/\[\d+\]/g, '')
            .split(';')
            .filter((part) => part.trim())
            .flatMap((part) => part.split(',').map((declarator) => /(\w+)\s*$/.exec(declarator)[1]));
        return [name, names];
    });
    const lines = fields.flatMap(([name, names]) => [
        `printf("${name} %zu\\n", sizeof(${name}));`,
        ...names.map(
            (field) =>
                `printf("${name}.${field} %zu %zu\\n", offsetof(${name}, ${field}), sizeof(((${name} *)0)->${field}));`,
        ),
    ]);
    const folder = mkdtempSync(join(tmpdir(), 'sslcv-layout-'));
    try {
        const source = join(folder, 'layout.c');
        writeFileSync(
            source,
            ['#include <sslcv/sslcv.h>', '#include <stdio.h>', 'int main(void)', '{', ...lines, 'return 0;', '}'].join(
                '\n',
            ),
        );
        execFileSync(compiler, ['-I', include, source, '-o', join(folder, 'layout')], { stdio: 'inherit' });
        const theirs = execFileSync(join(folder, 'layout'), { encoding: 'utf8' }).trim().split('\n');
        const ours = fields.flatMap(([name, names]) => {
            const offsets = names.map((field) => offsetof(name, field));
            // Without holes a field ends where the next begins.
            const ends = [...offsets.slice(1), sizeof(name)];
            return [
                `${name} ${sizeof(name)}`,
                ...names.map((field, i) => `${name}.${field} ${offsets[i]} ${ends[i] - offsets[i]}`),
            ];
        });
        assert.deepEqual(ours, theirs);
    } finally {
        rmSync(folder, { recursive: true });
    }
});
