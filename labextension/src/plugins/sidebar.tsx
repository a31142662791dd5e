/**
 * Plugin: the sidebar at the left, and the commands that lead to it.
 */
import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import { type Actions, Sidebar } from '../components';
import { type ClusterRef, CommandIDs, IClusters, type Row } from '../tokens';
import { clustersIcon } from './icon';
import { addClusterCommand, argsOf } from './target';

const ID = 'dask-k8s-sidebar';

function actionsOf(commands: CommandRegistry): Actions {
  const run = (id: string) => (ref: ClusterRef) => void commands.execute(id, argsOf(ref));
  return {
    newCluster: () => void commands.execute(CommandIDs.newCluster),
    scale: run(CommandIDs.scale),
    openDashboard: run(CommandIDs.openDashboard),
    connect: run(CommandIDs.connect),
    openLogs: run(CommandIDs.openLogs),
    remove: run(CommandIDs.remove)
  };
}

class SidebarWidget extends ReactWidget {
  constructor(
    private readonly model: IClusters,
    private readonly actions: Actions
  ) {
    super();
    this.id = ID;
    this.addClass('dk-SidebarPanel');
    this.title.icon = clustersIcon;
    this.title.caption = 'Dask clusters';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'Dask clusters');
  }

  /** Unfold a cluster and put the cursor where its workers are counted. */
  focusScale(ref: ClusterRef): void {
    this.model.setOpen(ref, true);
    // React draws what a store changed before the next key can arrive; a sidebar that is only now
    // being shown is drawn with the next frame.
    queueMicrotask(() => {
      if (!this.focusBox(ref)) {
        requestAnimationFrame(() => this.focusBox(ref));
      }
    });
  }

  /** Put the cursor where the workers of a cluster are counted; false while that is not drawn. */
  private focusBox(ref: ClusterRef): boolean {
    const row = [...this.node.querySelectorAll<HTMLElement>('.dk-Row')].find(
      node => node.dataset.key === `${ref.namespace}/${ref.name}`
    );
    const box = row?.querySelector<HTMLInputElement>('.dk-Scale input[type="number"]');
    box?.focus();
    box?.select();
    return Boolean(box);
  }

  protected override render(): React.JSX.Element {
    return <Sidebar model={this.model} actions={this.actions} />;
  }
}

export const sidebarPlugin: JupyterFrontEndPlugin<void> = {
  id: 'dask-k8s-jupyter:sidebar',
  description: 'The sidebar of Dask clusters.',
  autoStart: true,
  requires: [IClusters],
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    model: IClusters,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ): void => {
    const { commands, shell } = app;
    const widget = new SidebarWidget(model, actionsOf(commands));
    shell.add(widget, 'left', { rank: 450, type: 'Dask clusters' });
    restorer?.add(widget, ID);
    commands.addCommand(CommandIDs.show, {
      label: 'Show Dask Clusters',
      icon: clustersIcon,
      execute: () => shell.activateById(ID)
    });
    commands.addCommand(CommandIDs.checkAgain, {
      label: 'Check the Dask Clusters Again',
      execute: () => model.checkAgain()
    });
    const scale = ({ view }: Row): void => {
      shell.activateById(ID);
      widget.focusScale(view);
    };
    addClusterCommand(commands, model, CommandIDs.scale, 'Scale Dask Cluster', scale, 'scale');
    for (const command of [CommandIDs.show, CommandIDs.scale, CommandIDs.checkAgain]) {
      palette?.addItem({ command, category: 'Dask' });
    }
  }
};
