/**
 * Plugin: the live picture of the clusters, which all the others share.
 */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { ClusterRequests, ClusterStream } from '../api';
import { ClustersModel } from '../model';
import { IClusters } from '../tokens';
import { readSettings } from './settings';

export const clustersPlugin: JupyterFrontEndPlugin<IClusters> = {
  id: 'dask-k8s-jupyter:clusters',
  description: 'Provides the Dask clusters of a namespace, live.',
  autoStart: true,
  optional: [ISettingRegistry],
  provides: IClusters,
  activate: (app: JupyterFrontEnd, registry: ISettingRegistry | null): IClusters => {
    const { serverSettings } = app.serviceManager;
    const model = new ClustersModel(
      new ClusterRequests(serverSettings),
      (namespace, listener) => new ClusterStream(serverSettings, namespace, listener)
    );
    // Nothing here may hold up the start of JupyterLab.
    void app.restored
      .then(() => readSettings(registry))
      .then(({ namespace }) => model.start(namespace));
    return model;
  }
};
