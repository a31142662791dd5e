import { describe, expect, it } from 'vitest';

import { explainBadForm, fieldOfServer, initialForm, sayTotals, toNewCluster } from '../src/model';

const DEFAULTS = { name: 'dask', image: 'dask:1', n_workers: 2, cpu: '1', memory: '2Gi' };
const FREE = new Set<string>();
const FORM = initialForm(DEFAULTS, FREE);

describe('the form of a new cluster', () => {
  it('begins without faults, with a name that is free', () => {
    expect(explainBadForm(FORM, FREE)).toEqual({});
    expect(initialForm(DEFAULTS, new Set(['dask'])).name).toBe('dask-2');
  });

  it.each([
    [{ name: 'No' }, 'name'],
    [{ workers: '1.5' }, 'workers'],
    [{ workers: '' }, 'workers'],
    [{ cpu: 'x' }, 'cpu'],
    [{ memory: '4' }, 'memory'],
    [{ mode: 'adaptive', minimum: '-1' }, 'minimum'],
    [{ mode: 'adaptive', minimum: '3', maximum: '2' }, 'maximum'],
    [{ mode: 'adaptive', maximum: '0' }, 'maximum']
  ] as const)('%j is a fault of %s', (change, field) => {
    expect(Object.keys(explainBadForm({ ...FORM, ...change }, FREE))).toEqual([field]);
  });

  it('does not judge what is not asked', () => {
    expect(explainBadForm({ ...FORM, minimum: 'x' }, FREE)).toEqual({});
    expect(explainBadForm({ ...FORM, mode: 'adaptive', workers: 'x' }, FREE)).toEqual({});
  });

  it('sends a fixed number', () => {
    expect(toNewCluster({ ...FORM, memory: '3 GiB', cpu: '' }, 'team-a')).toEqual({
      namespace: 'team-a',
      name: 'dask',
      n_workers: 2,
      cpu: null,
      memory: '3Gi',
      image: 'dask:1'
    });
  });

  it('sends a range, which it starts at the bottom of', () => {
    expect(toNewCluster({ ...FORM, mode: 'adaptive', image: ' ' }, 'a')).toMatchObject({
      n_workers: 1,
      adapt: { minimum: 1, maximum: 4 }
    });
    expect(toNewCluster({ ...FORM, image: ' ' }, 'a')).not.toHaveProperty('image');
  });

  it('says what all of it comes to', () => {
    expect(sayTotals(FORM)).toBe('2 workers · 2 cores · 4 GiB');
    expect(sayTotals({ ...FORM, mode: 'adaptive' })).toBe('Up to 4 workers · 4 cores · 8 GiB');
    expect(sayTotals({ ...FORM, workers: 'x' })).toBe('');
  });

  it('knows the fields by the names of the server', () => {
    expect(fieldOfServer('n_workers')).toBe('workers');
    expect(fieldOfServer('quota')).toBeNull();
    expect(fieldOfServer(null)).toBeNull();
  });
});
