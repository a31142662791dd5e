/**
 * What the components ask for and cannot do themselves: it needs the rest of JupyterLab.
 */
import type { ClusterRef } from '../tokens';

export interface Actions {
  readonly newCluster: () => void;
  readonly scale: (ref: ClusterRef) => void;
  readonly openDashboard: (ref: ClusterRef) => void;
  readonly connect: (ref: ClusterRef) => void;
  readonly openLogs: (ref: ClusterRef) => void;
  /** Asks first. */
  readonly remove: (ref: ClusterRef) => void;
}
