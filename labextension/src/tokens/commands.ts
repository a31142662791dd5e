/**
 * Ids of the commands. All take `{namespace, name}` and fall back to the row that has the focus.
 */
export namespace CommandIDs {
  export const show = 'dask-k8s:show';
  export const newCluster = 'dask-k8s:new-cluster';
  export const checkAgain = 'dask-k8s:check-again';
  export const scale = 'dask-k8s:scale';
  export const remove = 'dask-k8s:delete';
  export const openDashboard = 'dask-k8s:open-dashboard';
  export const openLogs = 'dask-k8s:open-logs';
  export const connect = 'dask-k8s:connect';
}
