/**
 * Plugin: puts the code that connects to a cluster into the notebook, and runs it.
 *
 * Never twice into one notebook: where the cell is there already, that one is run again.
 */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, ISessionContextDialogs } from '@jupyterlab/apputils';
import {
  INotebookTracker,
  type Notebook,
  NotebookActions,
  type NotebookPanel
} from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { CommandIDs, IClusters } from '../tokens';
import { readSettings } from './settings';
import { addClusterCommand } from './target';

/** The notebook that is open, or a new one with the usual kernel. */
async function notebookOf(app: JupyterFrontEnd, tracker: INotebookTracker): Promise<NotebookPanel> {
  const panel =
    tracker.currentWidget ??
    ((await app.commands.execute('notebook:create-new', {
      activate: true,
      kernelName: app.serviceManager.kernelspecs.specs?.default ?? ''
    })) as NotebookPanel);
  await panel.context.ready;
  await panel.sessionContext.ready;
  // A kernel that still starts forgets what it is told to run; its first answer says that it is there.
  await panel.sessionContext.session?.kernel?.info;
  return panel;
}

/** Make the cell with this code the active one, adding it below the active one where there is none. */
function activateCell(notebook: Notebook, code: string): void {
  const sourceOf = (index: number): string | undefined =>
    notebook.widgets[index]?.model.sharedModel.getSource();
  const index = notebook.widgets.findIndex(
    (cell, at) => cell.model.type === 'code' && sourceOf(at) === code
  );
  notebook.deselectAll();
  if (index >= 0) {
    notebook.activeCellIndex = index;
    return;
  }
  const isBlank = notebook.activeCell?.model.type === 'code' && !sourceOf(notebook.activeCellIndex);
  if (!isBlank) {
    NotebookActions.insertBelow(notebook);
  }
  notebook.activeCell?.model.sharedModel.setSource(code);
}

export const connectPlugin: JupyterFrontEndPlugin<void> = {
  id: 'dask-k8s-jupyter:connect',
  description: 'Connects notebooks to Dask clusters.',
  autoStart: true,
  requires: [IClusters, INotebookTracker],
  optional: [ICommandPalette, ISettingRegistry, ISessionContextDialogs],
  activate: (
    app: JupyterFrontEnd,
    model: IClusters,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    registry: ISettingRegistry | null,
    dialogs: ISessionContextDialogs | null
  ): void => {
    const command = CommandIDs.connect;
    const connect = async (code: string): Promise<void> => {
      const panel = await notebookOf(app, tracker);
      activateCell(panel.content, code);
      app.shell.activateById(panel.id);
      const { runsOnConnect } = await readSettings(registry);
      if (runsOnConnect) {
        // What comes next is written below.
        const { content, sessionContext } = panel;
        await NotebookActions.runAndAdvance(content, sessionContext, dialogs ?? undefined);
      }
    };
    addClusterCommand(
      app.commands,
      model,
      command,
      'Connect Notebook to Dask Cluster',
      ({ view }) => connect(view.connect_code)
    );
    palette?.addItem({ command, category: 'Dask' });
  }
};
