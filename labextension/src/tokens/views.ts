/**
 * The JSON that the server extension speaks, as types.
 *
 * Field names are those on the wire; a unit is in the name. Nothing here computes.
 */

export type ClusterState = 'running' | 'waiting' | 'failing' | 'suspended' | 'deleting';

export interface WorkerCounts {
  readonly desired: number;
  readonly ready: number;
  readonly pending: number;
  readonly running: number;
  readonly failed: number;
  readonly retiring: number;
}

export interface AdaptiveRange {
  readonly minimum: number;
  readonly maximum: number;
}

export interface GroupView extends WorkerCounts {
  readonly name: string;
  readonly short_name: string;
  readonly is_default: boolean;
  /** 0 where the group sets no amount. */
  readonly cores_each: number;
  readonly memory_bytes_each: number;
  readonly reason: string | null;
  /** null where the number of its workers is fixed. */
  readonly adaptive: AdaptiveRange | null;
}

/** What names one cluster. */
export interface ClusterRef {
  readonly namespace: string;
  readonly name: string;
}

export interface ClusterView extends ClusterRef {
  readonly uid: string;
  /** ISO 8601. */
  readonly created: string | null;
  readonly state: ClusterState;
  /** Why it waits or fails, in words; null when it is well. */
  readonly reason: string | null;
  readonly workers: WorkerCounts;
  /** Of the desired workers together; 0 means unknown. */
  readonly cores: number;
  readonly memory_bytes: number;
  readonly groups: readonly GroupView[];
  /** Of the default group. */
  readonly adaptive: AdaptiveRange | null;
  readonly scheduler_ready: boolean;
  readonly scheduler_address: string | null;
  /** Relative to the server's base URL; null until there is something to show. */
  readonly dashboard_path: string | null;
  readonly image: string | null;
  readonly connect_code: string;
}

export interface Problem {
  readonly code: string;
  readonly title: string;
  readonly message: string;
  /** What to do; a command in it stands between backticks. */
  readonly fix: string | null;
}

export interface ClusterDefaults {
  readonly name: string;
  readonly image: string;
  readonly n_workers: number;
  readonly cpu: string | null;
  readonly memory: string | null;
}

export interface ServerContext {
  readonly namespace: string;
  /** null where this person may not list namespaces. */
  readonly namespaces: readonly string[] | null;
  readonly defaults: ClusterDefaults;
  readonly problem: Problem | null;
  /** What Kubernetes lets this person do; what is left out may be tried. */
  readonly can: {
    readonly create?: boolean;
    readonly scale?: boolean;
    readonly delete?: boolean;
  };
}

export interface NewCluster extends ClusterRef {
  readonly n_workers: number;
  readonly cpu: string | null;
  readonly memory: string | null;
  readonly image?: string;
  readonly adapt?: AdaptiveRange;
}

export interface ClusterEvent {
  /** ISO 8601, or null where Kubernetes gave none. */
  readonly time: string | null;
  readonly type: string;
  readonly object: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
}

export interface PodLogs {
  readonly pods: readonly string[];
  readonly pod: string | null;
  readonly text: string;
}

export type StreamMessage =
  | {
      readonly type: 'snapshot';
      readonly clusters: readonly ClusterView[];
      readonly problem: Problem | null;
    }
  | { readonly type: 'upsert'; readonly cluster: ClusterView }
  | {
      readonly type: 'remove';
      readonly namespace: string;
      readonly name: string;
      readonly uid: string;
    }
  | { readonly type: 'problem'; readonly problem: Problem | null };
