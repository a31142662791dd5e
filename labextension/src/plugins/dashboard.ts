/**
 * Plugin: a cluster's own dashboard in a tab, through the notebook server's URL.
 */
import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, IFrame, MainAreaWidget } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';

import { type ClusterRef, CommandIDs, IClusters } from '../tokens';
import { clustersIcon } from './icon';
import { addClusterCommand } from './target';
import { buildClusterTabs } from './tabs';

/** Where the server's proxy has the dashboard of a cluster that is not known (yet), as in a restored tab. */
function usualPath({ namespace, name }: ClusterRef): string {
  return `dask-k8s/dashboard/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/status`;
}

function buildDashboard(baseUrl: string, path: string, ref: ClusterRef): MainAreaWidget<IFrame> {
  // Bokeh needs scripts and its own origin; its links and its downloads go to new windows.
  const content = new IFrame({
    sandbox: [
      'allow-scripts',
      'allow-same-origin',
      'allow-forms',
      'allow-popups',
      'allow-downloads'
    ],
    loading: 'eager'
  });
  content.url = URLExt.join(baseUrl, path);
  content.node.querySelector('iframe')?.setAttribute('title', `Dask dashboard of ${ref.name}`);
  const widget = new MainAreaWidget({ content });
  widget.title.label = `Dask: ${ref.name}`;
  widget.title.caption = `Dask dashboard of ${ref.namespace}/${ref.name}`;
  widget.title.icon = clustersIcon;
  return widget;
}

export const dashboardPlugin: JupyterFrontEndPlugin<void> = {
  id: 'dask-k8s-jupyter:dashboard',
  description: 'Opens the dashboards of Dask clusters.',
  autoStart: true,
  requires: [IClusters],
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    model: IClusters,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ): void => {
    const { baseUrl } = app.serviceManager.serverSettings;
    const command = CommandIDs.openDashboard;
    const tabs = buildClusterTabs({
      app,
      model,
      restorer,
      namespace: 'dask-k8s-dashboard',
      command,
      build: ref =>
        buildDashboard(baseUrl, model.find(ref)?.view.dashboard_path ?? usualPath(ref), ref)
    });
    addClusterCommand(app.commands, model, command, 'Open Dask Dashboard', ({ view }) =>
      tabs.open(view)
    );
    palette?.addItem({ command, category: 'Dask' });
  }
};
