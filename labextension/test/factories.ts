/**
 * Clusters for tests: well by default, with what a test is about given by name.
 */
import type { ClusterView, GroupView, WorkerCounts } from '../src/tokens';

const GIB = 1024 ** 3;

export function counts(
  desired: number,
  ready: number,
  more: Partial<WorkerCounts> = {}
): WorkerCounts {
  return {
    desired,
    ready,
    running: ready,
    pending: desired - ready,
    failed: 0,
    retiring: 0,
    ...more
  };
}

export function group(short: string, workers: WorkerCounts): GroupView {
  return {
    ...workers,
    name: `demo-${short}`,
    short_name: short,
    is_default: short === 'default',
    cores_each: 1,
    memory_bytes_each: 2 * GIB,
    reason: null,
    adaptive: null
  };
}

export function cluster(
  more: Partial<ClusterView> = {},
  desired = 2,
  ready = desired
): ClusterView {
  const name = more.name ?? 'demo';
  return {
    namespace: 'default',
    name,
    uid: `uid-of-${name}`,
    created: '2026-11-20T10:00:00Z',
    state: 'running',
    reason: null,
    workers: counts(desired, ready),
    cores: desired,
    memory_bytes: desired * 2 * GIB,
    groups: [group('default', counts(desired, ready))],
    adaptive: null,
    scheduler_ready: true,
    scheduler_address: null,
    dashboard_path: `dask-k8s/dashboard/default/${name}/status`,
    image: 'ghcr.io/dask/dask:latest',
    connect_code: 'client = connect()',
    ...more
  };
}
