/**
 * Tabs in the main area that belong to one cluster each: one of a kind, restored with the page.
 */
import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { type MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';

import type { ClusterRef, IClusters } from '../tokens';

export interface ClusterTabs {
  /** Show the tab of a cluster, making it where there is none. */
  open(ref: ClusterRef): void;
}

export interface ClusterTabOptions {
  readonly app: JupyterFrontEnd;
  readonly model: IClusters;
  readonly restorer: ILayoutRestorer | null;
  /** Also the prefix of the ids of the tabs. */
  readonly namespace: string;
  /** The command that opens such a tab. */
  readonly command: string;
  readonly build: (ref: ClusterRef) => MainAreaWidget;
}

export function buildClusterTabs(options: ClusterTabOptions): ClusterTabs {
  const { app, model, restorer, namespace, command, build } = options;
  const tracker = new WidgetTracker<MainAreaWidget>({ namespace });
  const refs = new WeakMap<Widget, ClusterRef>();
  const idOf = (ref: ClusterRef): string => `${namespace}-${ref.namespace}-${ref.name}`;
  const open = ({ namespace: ns, name }: ClusterRef): void => {
    const ref = { namespace: ns, name };
    let widget = tracker.find(known => known.id === idOf(ref));
    if (!widget) {
      widget = build(ref);
      widget.id = idOf(ref);
      widget.title.closable = true;
      widget.toolbar.hide();
      refs.set(widget, ref);
      void tracker.add(widget);
      watchEnd(model, ref, widget);
    }
    if (!widget.isAttached) {
      app.shell.add(widget, 'main', { mode: 'tab-after' });
    }
    app.shell.activateById(widget.id);
  };
  // A restored page runs this before any cluster is known; a person's command wants a known one.
  const restore = `${command}-tab`;
  app.commands.addCommand(restore, {
    execute: args => open(args as unknown as ClusterRef)
  });
  void restorer?.restore(tracker, {
    command: restore,
    args: widget => ({ ...refs.get(widget) }),
    name: widget => widget.id,
    when: app.serviceManager.ready
  });
  return { open };
}

/** Say in the tab when its cluster is gone, and no longer when there is one of the name again. */
function watchEnd(model: IClusters, ref: ClusterRef, widget: MainAreaWidget): void {
  const note = new Widget();
  note.addClass('dk-Gone');
  note.node.textContent = `The cluster ${ref.name} is gone. What stands here is the last that was seen of it.`;
  note.hide();
  widget.contentHeader.addWidget(note);
  const update = (): void => {
    const isKnown = model.connection.phase === 'open' && model.namespace === ref.namespace;
    if (isKnown) {
      note.setHidden(model.find(ref) !== null);
    }
  };
  model.changed.connect(update);
  widget.disposed.connect(() => model.changed.disconnect(update));
  update();
}
