/**
 * Plugin: the logs of a cluster's Pods in a tab.
 */
import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Logs } from '../components';
import { type ClusterRef, CommandIDs, IClusters } from '../tokens';
import { clustersIcon } from './icon';
import { addClusterCommand } from './target';
import { buildClusterTabs } from './tabs';

function buildLogs(model: IClusters, ref: ClusterRef): MainAreaWidget {
  const content = ReactWidget.create(<Logs model={model} cluster={ref} />);
  content.addClass('dk-LogsPanel');
  const widget = new MainAreaWidget({ content });
  widget.title.label = `Logs: ${ref.name}`;
  widget.title.caption = `Logs of ${ref.namespace}/${ref.name}`;
  widget.title.icon = clustersIcon;
  return widget;
}

export const logsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'dask-k8s-jupyter:logs',
  description: 'Shows the logs of Dask clusters.',
  autoStart: true,
  requires: [IClusters],
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    model: IClusters,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ): void => {
    const command = CommandIDs.openLogs;
    const tabs = buildClusterTabs({
      app,
      model,
      restorer,
      namespace: 'dask-k8s-logs',
      command,
      build: ref => buildLogs(model, ref)
    });
    addClusterCommand(app.commands, model, command, 'Open Dask Logs', ({ view }) =>
      tabs.open(view)
    );
    palette?.addItem({ command, category: 'Dask' });
  }
};
