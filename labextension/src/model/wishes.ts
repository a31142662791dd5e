/**
 * Wishes: what a person asked for, shown at once, and kept until it is true.
 *
 * Pure. A wish ends when the cluster is as wished, or when somebody else changed it meanwhile.
 */
import type { AdaptiveRange, ClusterView, Wish } from '../tokens';
import { plural, sayCount, sayRange } from './words';

type RangeOrNot = AdaptiveRange | null;

function isSame(a: RangeOrNot, b: RangeOrNot): boolean {
  return (
    a === b || (a !== null && b !== null && a.minimum === b.minimum && a.maximum === b.maximum)
  );
}

/** The workers that a person scales: those of the default group. */
export function scalable(view: ClusterView): { readonly desired: number; readonly ready: number } {
  return view.groups.find(group => group.is_default) ?? view.workers;
}

/** Workers of the groups that are not scaled here. */
function othersDesired(view: ClusterView): number {
  return view.workers.desired - scalable(view).desired;
}

/** Where the first of a chain of wishes started, so that taking back goes all the way. */
function origin(
  view: ClusterView,
  earlier: Wish | null
): { from: number; fromAdaptive: RangeOrNot } {
  return earlier && earlier.kind !== 'delete' && !earlier.isTakenBack
    ? { from: earlier.from, fromAdaptive: earlier.fromAdaptive }
    : { from: scalable(view).desired, fromAdaptive: view.adaptive };
}

export function wishScale(view: ClusterView, earlier: Wish | null, to: number): Wish {
  return { kind: 'scale', ...origin(view, earlier), to, isSeen: false, isTakenBack: false };
}

export function wishAdapt(view: ClusterView, earlier: Wish | null, to: AdaptiveRange): Wish {
  return { kind: 'adapt', ...origin(view, earlier), to, isSeen: false, isTakenBack: false };
}

/** The wish to be again as before this one; null where there is no way back. */
export function opposite(view: ClusterView, wish: Wish): Wish | null {
  if (wish.kind === 'delete') {
    return null;
  }
  const back = wish.fromAdaptive
    ? wishAdapt(view, null, wish.fromAdaptive)
    : wishScale(view, null, wish.from);
  return { ...back, isTakenBack: true } as Wish;
}

function isAsked(wish: Wish, view: ClusterView): boolean {
  switch (wish.kind) {
    case 'scale':
      return view.adaptive === null && scalable(view).desired === wish.to;
    case 'adapt':
      return isSame(view.adaptive, wish.to);
    case 'delete':
      return view.state === 'deleting';
  }
}

function isTrue(wish: Wish, view: ClusterView): boolean {
  return (
    isAsked(wish, view) &&
    wish.kind !== 'delete' &&
    (wish.kind === 'adapt' || (scalable(view).ready === wish.to && view.workers.retiring === 0))
  );
}

/** The wish after the cluster was seen as `view`: the same, one step on, or null when it is over. */
export function advance(wish: Wish, view: ClusterView): Wish | null {
  if (wish.kind === 'delete') {
    return wish;
  }
  if (isTrue(wish, view)) {
    return null;
  }
  if (isAsked(wish, view)) {
    return wish.isSeen ? wish : { ...wish, isSeen: true };
  }
  // It was as asked once and is no more: somebody else wants something else.
  return wish.isSeen ? null : wish;
}

/** The count of a row: "2 of 3", or "2 → 3" while that is only wished. */
export function sayWishedCount(view: ClusterView, wish: Wish | null): string {
  if (wish?.kind === 'delete') {
    return 'deleting';
  }
  if (wish?.kind === 'scale' && wish.from !== wish.to && !wish.isTakenBack) {
    const others = othersDesired(view);
    return `${others + wish.from} → ${others + wish.to}`;
  }
  return sayCount(view);
}

/** What the wish does, for the line under the name; empty where the count says it all. */
export function sayWish(view: ClusterView, wish: Wish): string {
  switch (wish.kind) {
    case 'scale': {
      const to = othersDesired(view) + wish.to;
      if (wish.isTakenBack) {
        return `Back to ${plural(to, 'worker')}.`;
      }
      return wish.fromAdaptive
        ? `Holding at ${plural(to, 'worker')}.`
        : `Scaling from ${othersDesired(view) + wish.from} to ${to}.`;
    }
    case 'adapt':
      return `Adapting between ${wish.to.minimum} and ${wish.to.maximum}.`;
    case 'delete':
      return 'Its Pods are being ended.';
  }
}

/** Name of the link that takes the wish back; null where there is no way back. */
export function sayTakeBack(view: ClusterView, wish: Wish): string | null {
  if (wish.kind === 'delete' || wish.isTakenBack) {
    return null;
  }
  return wish.fromAdaptive
    ? `Keep ${sayRange(wish.fromAdaptive)}`
    : `Keep ${othersDesired(view) + wish.from}`;
}
