/**
 * The plugins of this extension.
 */
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import {
  clustersPlugin,
  connectPlugin,
  dashboardPlugin,
  logsPlugin,
  newClusterPlugin,
  sidebarPlugin
} from './plugins';
import type { IClusters } from './tokens';

const plugins: (JupyterFrontEndPlugin<IClusters> | JupyterFrontEndPlugin<void>)[] = [
  clustersPlugin,
  sidebarPlugin,
  newClusterPlugin,
  dashboardPlugin,
  logsPlugin,
  connectPlugin
];

export default plugins;
