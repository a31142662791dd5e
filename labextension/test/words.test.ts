import { describe, expect, it } from 'vitest';

import {
  explainBadName,
  parseCpu,
  parseMemory,
  proposeName,
  sayAge,
  sayCapitalized,
  sayCores,
  sayFacts,
  sayGroup,
  sayMemory,
  sayReady,
  saySentences,
  sayShort,
  splitCommands
} from '../src/model';
import { cluster, counts, group } from './factories';

const GIB = 1024 ** 3;
const NOW = Date.parse('2026-11-20T10:00:00Z');
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();

describe('a name', () => {
  it.each([['a'], ['demo'], ['a-1'], ['0'], ['a'.repeat(53)]])('%s is accepted', name => {
    expect(explainBadName(name, new Set())).toBeNull();
  });

  it.each([
    ['', 'needed'],
    ['Demo', 'a-z'],
    ['a_b', 'a-z'],
    ['-a', 'a-z'],
    ['a-', 'a-z'],
    ['a b', 'a-z'],
    ['a'.repeat(54), 'at most 53'],
    ['taken', 'already']
  ])('%s is refused with words', (name, words) => {
    expect(explainBadName(name, new Set(['taken']))).toContain(words);
  });

  it('is proposed so that it is free', () => {
    expect(proposeName('dask', new Set())).toBe('dask');
    expect(proposeName('dask', new Set(['dask', 'dask-2']))).toBe('dask-3');
  });
});

describe('an amount of CPU', () => {
  it.each([
    ['2', '2', 2],
    [' 0.5 ', '0.5', 0.5],
    ['0,5', '0.5', 0.5],
    ['500m', '500m', 0.5],
    ['2 cores', '2', 2],
    ['', null, 0]
  ])('%j is read', (text, quantity, amount) => {
    expect(parseCpu(text)).toEqual({ ok: true, quantity, amount });
  });

  it.each([['two'], ['0'], ['-1'], ['1Gi']])('%j is refused', text => {
    expect(parseCpu(text).ok).toBe(false);
  });
});

describe('an amount of memory', () => {
  it.each([
    ['2Gi', '2Gi', 2 * GIB],
    ['2 GiB', '2Gi', 2 * GIB],
    ['512mi', '512Mi', GIB / 2],
    ['4GB', '4G', 4e9],
    ['64k', '64k', 64_000],
    ['1.5Gi', '1.5Gi', 1.5 * GIB],
    ['', null, 0]
  ])('%j is read', (text, quantity, amount) => {
    expect(parseMemory(text)).toEqual({ ok: true, quantity, amount });
  });

  it.each([['much'], ['0Gi'], ['2 bytes']])('%j is refused', text => {
    expect(parseMemory(text).ok).toBe(false);
  });

  it('without a unit is a guess, and the fault says both', () => {
    expect(parseMemory('4')).toMatchObject({
      fault: expect.stringContaining('4Gi or 4Mi') as string
    });
  });
});

describe('what is said', () => {
  it.each([
    [12, '12 s'],
    [0, '0 s'],
    [-5, '0 s'],
    [14 * 60, '14 min'],
    [3 * 3600, '3 h'],
    [49 * 3600, '2 days']
  ])('of an age of %d s', (seconds, words) => {
    expect(sayAge(ago(seconds), NOW)).toBe(words);
  });

  it.each([
    [48 * GIB, '48 GiB'],
    [1.5 * GIB, '1.5 GiB'],
    [GIB / 2, '512 MiB'],
    [0, '']
  ])('of %d bytes', (bytes, words) => {
    expect(sayMemory(bytes)).toBe(words);
  });

  it.each([
    [1, '1 core'],
    [12, '12 cores'],
    [0.25, '0.25 cores'],
    [0, '']
  ])('of %d cores', (cores, words) => {
    expect(sayCores(cores)).toBe(words);
  });

  it('of a cluster, with unknown amounts left out', () => {
    const view = cluster({ created: ago(840), adaptive: { minimum: 1, maximum: 4 } });
    expect(sayFacts(view, NOW)).toBe('2 cores · 4 GiB · adaptive 1–4 · 14 min');
    expect(sayFacts({ ...view, cores: 0, memory_bytes: 0, adaptive: null }, NOW)).toBe('14 min');
  });

  it('of a group', () => {
    expect(sayGroup(group('default', counts(4, 3)))).toBe('3 of 4 · 1 core, 2 GiB');
    const gpu = { ...group('gpu', counts(0, 0)), adaptive: { minimum: 0, maximum: 8 } };
    expect(sayGroup(gpu)).toBe('0 of 0 · adaptive 0–8 · 1 core, 2 GiB');
  });

  it('of workers that leave', () => {
    expect(sayReady(counts(2, 2, { retiring: 2 }))).toBe('4 → 2');
  });

  it('as sentences, whoever forgot the full stop', () => {
    expect(saySentences('It fails', 'Ask.')).toBe('It fails. Ask.');
    expect(saySentences('It fails.', null)).toBe('It fails.');
  });

  it('with a capital, but never in a name', () => {
    expect(sayCapitalized('a text is needed')).toBe('A text is needed');
    expect(sayCapitalized('default/demo exists')).toBe('default/demo exists');
  });

  it('in short where there is no room, cut between words', () => {
    expect(sayShort('short enough', 20)).toBe('short enough');
    expect(sayShort('this is by far too long', 12)).toBe('this is by…');
    expect(sayShort('x'.repeat(30), 10)).toHaveLength(6);
  });

  it('with its commands apart', () => {
    expect(splitCommands('Run `dask-k8s up` now')).toEqual(['Run ', 'dask-k8s up', ' now']);
  });
});
