/**
 * The rows of the sidebar, in their order, as the stream tells them.
 *
 * Keeps views, wishes, complaints, events and what is unfolded; knows neither requests nor signals.
 */
import type { ClusterEvent, ClusterRef, ClusterView, Problem, Row, Wish } from '../tokens';
import { advance } from './wishes';

export function keyOf(ref: ClusterRef): string {
  return `${ref.namespace}/${ref.name}`;
}

function isBefore(a: ClusterView, b: ClusterView): number {
  // Kubernetes counts whole seconds, so the name breaks ties.
  const [first, second] = [a, b].map(view => Date.parse(view.created ?? ''));
  return (first ?? 0) - (second ?? 0) || (a.name < b.name ? -1 : 1);
}

export class Collection {
  /** Oldest first: a new cluster moves no other. */
  get rows(): readonly Row[] {
    return [...this.byKey.values()].sort((a, b) => isBefore(a.view, b.view));
  }

  get(key: string): Row | null {
    return this.byKey.get(key) ?? null;
  }

  /** Take over all there is; what was known of a cluster that is still there stays. */
  replaceAll(views: readonly ClusterView[]): void {
    const keys = new Set(views.map(keyOf));
    for (const key of this.byKey.keys()) {
      if (!keys.has(key)) {
        this.byKey.delete(key);
      }
    }
    views.forEach(view => this.upsert(view));
  }

  upsert(view: ClusterView): void {
    const key = keyOf(view);
    const known = this.byKey.get(key);
    // Another uid is another cluster that got the same name: nothing of the first one holds.
    const row: Row =
      known?.view.uid === view.uid
        ? { ...known, view, wish: known.wish && advance(known.wish, view) }
        : { key, view, wish: null, complaint: null, isOpen: false, events: null };
    this.byKey.set(key, row);
  }

  remove(key: string, uid: string): void {
    if (this.byKey.get(key)?.view.uid === uid) {
      this.byKey.delete(key);
    }
  }

  clear(): void {
    this.byKey.clear();
  }

  setWish(key: string, wish: Wish | null): void {
    const view = this.byKey.get(key)?.view;
    this.patch(key, { wish: view && wish ? advance(wish, view) : null, complaint: null });
  }

  /** With `uid`, only of that very cluster: the next of its name is not to blame. */
  setComplaint(key: string, complaint: Problem | null, uid?: string): void {
    if (uid === undefined || this.byKey.get(key)?.view.uid === uid) {
      this.patch(key, complaint ? { wish: null, complaint } : { complaint });
    }
  }

  setOpen(key: string, isOpen: boolean): void {
    this.patch(key, { isOpen });
  }

  setEvents(key: string, events: readonly ClusterEvent[]): void {
    this.patch(key, { events });
  }

  private patch(key: string, change: Partial<Row>): void {
    const row = this.byKey.get(key);
    if (row) {
      this.byKey.set(key, { ...row, ...change });
    }
  }

  private readonly byKey = new Map<string, Row>();
}
