import { describe, expect, it } from 'vitest';

import {
  advance,
  opposite,
  sayTakeBack,
  sayWish,
  sayWishedCount,
  wishAdapt,
  wishScale
} from '../src/model';
import type { Wish } from '../src/tokens';
import { cluster, counts, group } from './factories';

const RANGE = { minimum: 1, maximum: 4 };

describe('a wish for more workers', () => {
  const wish = wishScale(cluster(), null, 3);

  it('is said at once, with the way back', () => {
    expect(sayWishedCount(cluster(), wish)).toBe('2 → 3');
    expect(sayWish(cluster(), wish)).toBe('Scaling from 2 to 3.');
    expect(sayTakeBack(cluster(), wish)).toBe('Keep 2');
  });

  it('lasts until all of them are ready', () => {
    const seen = advance(wish, cluster({}, 3, 2));
    expect(seen).toMatchObject({ isSeen: true });
    expect(advance(seen!, cluster({}, 3, 3))).toBeNull();
  });

  it('outlasts news from before it arrived', () => {
    expect(advance(wish, cluster())).toBe(wish);
  });

  it('ends when somebody else wants something else', () => {
    const seen = advance(wish, cluster({}, 3, 2))!;
    expect(advance(seen, cluster({}, 7, 2))).toBeNull();
  });

  it('goes back to before the first of several', () => {
    const second = wishScale(cluster(), wish, 5);
    expect(sayWishedCount(cluster(), second)).toBe('2 → 5');
    const back = opposite(cluster({}, 3, 2), second)!;
    expect(back).toMatchObject({ kind: 'scale', to: 2, isTakenBack: true });
    expect(sayTakeBack(cluster(), back)).toBeNull();
  });

  it('counts the groups that it leaves alone', () => {
    const view = cluster({
      workers: counts(6, 6),
      groups: [group('default', counts(4, 4)), group('highmem', counts(2, 2))]
    });
    const one = wishScale(view, null, 3);
    expect(sayWishedCount(view, one)).toBe('6 → 5');
    expect(sayTakeBack(view, one)).toBe('Keep 6');
  });
});

describe('a wish for fewer workers', () => {
  it('lasts while some are still leaving', () => {
    const wish = wishScale(cluster({}, 3, 3), null, 1);
    const leaving = cluster({ workers: counts(1, 1, { retiring: 2 }) }, 1, 1);
    expect(advance(wish, leaving)).not.toBeNull();
    expect(advance(wish, cluster({}, 1, 1))).toBeNull();
  });
});

describe('a wish to adapt', () => {
  const wish = wishAdapt(cluster(), null, RANGE);

  it('is true when the range is there', () => {
    expect(advance(wish, cluster())).toBe(wish);
    expect(advance(wish, cluster({ adaptive: RANGE }))).toBeNull();
  });

  it('goes back to the number there was', () => {
    expect(sayTakeBack(cluster(), wish)).toBe('Keep 2');
    expect(opposite(cluster(), wish)).toMatchObject({ kind: 'scale', to: 2 });
  });

  it('is what a fixed number goes back to', () => {
    const adaptive = cluster({ adaptive: RANGE });
    const fixed = wishScale(adaptive, null, 2);
    expect(sayTakeBack(adaptive, fixed)).toBe('Keep adaptive 1–4');
    expect(opposite(adaptive, fixed)).toMatchObject({ kind: 'adapt', to: RANGE });
  });
});

describe('a wish to delete', () => {
  it('has no way back, and lasts until the cluster is gone', () => {
    const wish: Wish = { kind: 'delete' };
    expect(opposite(cluster(), wish)).toBeNull();
    expect(sayTakeBack(cluster(), wish)).toBeNull();
    expect(advance(wish, cluster({ state: 'deleting' }))).toBe(wish);
    expect(sayWishedCount(cluster(), wish)).toBe('deleting');
  });
});
