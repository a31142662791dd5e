/**
 * What plugins share: the live picture of the clusters, and what may be done to them.
 */
import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

import type {
  AdaptiveRange,
  ClusterEvent,
  ClusterRef,
  ClusterView,
  NewCluster,
  PodLogs,
  Problem,
  ServerContext
} from './views';

/** How the stream of changes is: being opened, open, or lost and tried again at `retryAtMs`. */
export type Connection =
  | { readonly phase: 'connecting'; readonly isRetry: boolean }
  | { readonly phase: 'open' }
  | { readonly phase: 'lost'; readonly retryAtMs: number };

/** A wish is what a person asked for and what is not yet true. */
export type Wish =
  | {
      readonly kind: 'scale';
      /** The desired workers, and the adaptive range if any, before the first wish. */
      readonly from: number;
      readonly fromAdaptive: AdaptiveRange | null;
      readonly to: number;
      /** Whether the cluster's own spec already says so. */
      readonly isSeen: boolean;
      readonly isTakenBack: boolean;
    }
  | {
      readonly kind: 'adapt';
      readonly from: number;
      readonly fromAdaptive: AdaptiveRange | null;
      readonly to: AdaptiveRange;
      readonly isSeen: boolean;
      readonly isTakenBack: boolean;
    }
  | { readonly kind: 'delete' };

/** One cluster as the sidebar shows it. */
export interface Row {
  readonly key: string;
  readonly view: ClusterView;
  readonly wish: Wish | null;
  /** What the last action failed with. */
  readonly complaint: Problem | null;
  readonly isOpen: boolean;
  /** null until they were asked for. */
  readonly events: readonly ClusterEvent[] | null;
}

export interface IClusters {
  readonly changed: ISignal<IClusters, void>;
  /** Grows with every change. */
  readonly version: number;
  readonly namespace: string | null;
  readonly context: ServerContext | null;
  readonly connection: Connection;
  /** What keeps the clusters from being seen or started; null when nothing does. */
  readonly problem: Problem | null;
  /** Whether the rows are only the last that was known, because of the problem. */
  readonly isBlind: boolean;
  /** Oldest first, so that nothing moves when one is added. */
  readonly rows: readonly Row[];
  /** The row that had the focus last. */
  readonly current: ClusterRef | null;

  find(ref: ClusterRef): Row | null;
  setNamespace(namespace: string): void;
  checkAgain(): void;
  focus(ref: ClusterRef): void;
  setOpen(ref: ClusterRef, isOpen: boolean): void;

  /** Rejects with what is wrong, and with the field where there is one. */
  create(wanted: NewCluster): Promise<void>;
  scale(ref: ClusterRef, replicas: number): void;
  adapt(ref: ClusterRef, range: AdaptiveRange): void;
  takeBack(ref: ClusterRef): void;
  remove(ref: ClusterRef): void;
  dismissComplaint(ref: ClusterRef): void;
  logs(ref: ClusterRef, pod: string | null): Promise<PodLogs>;
}

export const IClusters = new Token<IClusters>(
  'dask-k8s-jupyter:IClusters',
  'The Dask clusters of a namespace, live, and what may be done to them.'
);
