/**
 * Plugin: making a cluster in a dialog, and deleting one after a question.
 */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, showDialog } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import { NewClusterForm } from '../components';
import { NewClusterDraft, plural, sayForbidden } from '../model';
import { type ClusterView, CommandIDs, IClusters, type Row } from '../tokens';
import { addClusterCommand } from './target';

/** A dialog that stays open until its form was accepted, or until it is cancelled. */
class NewClusterDialog extends Dialog<unknown> {
  constructor(private readonly draft: NewClusterDraft) {
    super({
      title: 'New cluster',
      body: ReactWidget.create(<NewClusterForm draft={draft} />),
      buttons: [
        Dialog.cancelButton({ className: 'dk-mod-plain' }),
        Dialog.okButton({ label: 'Create' })
      ],
      focusNodeSelector: 'input[name="name"]'
    });
    this.addClass('dk-NewCluster');
    this.node.setAttribute('aria-label', 'New cluster');
  }

  override resolve(index?: number): void {
    if (index === CANCEL) {
      super.resolve(CANCEL);
      return;
    }
    void this.draft.submit().then(isMade => {
      if (isMade) {
        super.resolve(CREATE);
      } else {
        this.node.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
      }
    });
  }
}

const CANCEL = 0;
const CREATE = 1;

async function confirmDelete(view: ClusterView): Promise<boolean> {
  const { namespace, name, workers } = view;
  const result = await showDialog({
    title: `Delete ${name}?`,
    body:
      `The scheduler and ${plural(workers.desired, 'worker')} of ${namespace}/${name} end now, ` +
      'with all they hold in memory. This cannot be taken back.',
    buttons: [
      Dialog.cancelButton({ className: 'dk-mod-plain' }),
      Dialog.warnButton({ label: 'Delete' })
    ],
    defaultButton: 0
  });
  return result.button.accept;
}

export const newClusterPlugin: JupyterFrontEndPlugin<void> = {
  id: 'dask-k8s-jupyter:new-cluster',
  description: 'Makes and deletes Dask clusters.',
  autoStart: true,
  requires: [IClusters],
  optional: [ICommandPalette],
  activate: (app: JupyterFrontEnd, model: IClusters, palette: ICommandPalette | null): void => {
    const { commands } = app;
    commands.addCommand(CommandIDs.newCluster, {
      label: 'New Dask Cluster…',
      isEnabled: () => model.namespace !== null && sayForbidden(model.context, 'create') === null,
      execute: async () => {
        await new NewClusterDialog(new NewClusterDraft(model)).launch();
      }
    });
    model.changed.connect(() => commands.notifyCommandChanged(CommandIDs.newCluster));
    const remove = async ({ view }: Row): Promise<void> => {
      if (await confirmDelete(view)) {
        model.remove(view);
      }
    };
    addClusterCommand(commands, model, CommandIDs.remove, 'Delete Dask Cluster', remove, 'delete');
    for (const command of [CommandIDs.newCluster, CommandIDs.remove]) {
      palette?.addItem({ command, category: 'Dask' });
    }
  }
};
