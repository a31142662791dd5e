/**
 * What an unfolded row shows: scaling, groups, what to do with it, and what happened to it.
 */
import * as React from 'react';

import { sayClock, sayForbidden, sayGroup } from '../model';
import type { ClusterEvent, GroupView, IClusters, Row } from '../tokens';
import type { Actions } from './actions';
import { Dot } from './dot';
import { Scale } from './scale';

interface DetailsProps {
  readonly id: string;
  readonly model: IClusters;
  readonly row: Row;
  readonly actions: Actions;
  readonly isStale: boolean;
}

export function Details({ id, model, row, actions, isStale }: DetailsProps): React.JSX.Element {
  const { view, wish } = row;
  const isEnding = wish?.kind === 'delete' || view.state === 'deleting';
  const mayNotScale = sayForbidden(model.context, 'scale');
  return (
    <div className="dk-Details" id={id}>
      <div title={mayNotScale ?? undefined}>
        <Scale model={model} row={row} isDisabled={isStale || isEnding || mayNotScale !== null} />
      </div>
      <div className="dk-Groups">
        {view.groups.map(group => (
          <Group key={group.name} group={group} />
        ))}
      </div>
      <Buttons
        {...{ row, actions, isStale, isEnding }}
        mayNotDelete={sayForbidden(model.context, 'delete')}
      />
      <Events events={row.events} name={view.name} />
    </div>
  );
}

function stateOf(group: GroupView): 'running' | 'waiting' | 'failing' {
  if (group.failed > 0) {
    return 'failing';
  }
  return group.ready === group.desired && group.retiring === 0 ? 'running' : 'waiting';
}

function Group({ group }: { readonly group: GroupView }): React.JSX.Element {
  return (
    <div className="dk-Group" title={group.reason ?? sayGroup(group)}>
      <Dot state={stateOf(group)} />
      <span className="dk-GroupName">{group.short_name}</span>
      <span className="dk-GroupCount">{sayGroup(group)}</span>
    </div>
  );
}

interface ButtonsProps {
  readonly row: Row;
  readonly actions: Actions;
  readonly isStale: boolean;
  readonly isEnding: boolean;
  /** Why this person may not delete; null for who may. */
  readonly mayNotDelete: string | null;
}

function Buttons(props: ButtonsProps): React.JSX.Element {
  const { row, actions, isStale, isEnding, mayNotDelete } = props;
  const { view } = row;
  const hasDashboard = view.dashboard_path !== null && view.scheduler_ready;
  return (
    <div className="dk-Actions">
      <Button
        label="Dashboard"
        title={
          hasDashboard
            ? `Open the dashboard of ${view.name}`
            : 'The dashboard opens once the scheduler is ready'
        }
        isDisabled={isStale || !hasDashboard}
        onClick={() => actions.openDashboard(view)}
      />
      <Button
        label="Connect"
        title={`Put the code that connects to ${view.name} into the notebook`}
        isDisabled={isEnding}
        onClick={() => actions.connect(view)}
      />
      <Button
        label="Logs"
        title={`Open the logs of ${view.name}`}
        isDisabled={isStale}
        onClick={() => actions.openLogs(view)}
      />
      <Button
        label="Delete"
        title={mayNotDelete ?? `Delete ${view.name}; asks first`}
        isDisabled={isStale || isEnding || mayNotDelete !== null}
        onClick={() => actions.remove(view)}
      />
    </div>
  );
}

interface ButtonProps {
  readonly label: string;
  readonly title: string;
  readonly isDisabled: boolean;
  readonly onClick: () => void;
}

function Button({ label, title, isDisabled, onClick }: ButtonProps): React.JSX.Element {
  return (
    <button
      type="button"
      className="dk-Button"
      title={title}
      disabled={isDisabled}
      onClick={onClick}
    >
      {label}
    </button>
  );
}

interface EventsProps {
  readonly events: readonly ClusterEvent[] | null;
  readonly name: string;
}

/** Newest first, as the server sends them, in a room of a fixed height. */
function Events({ events, name }: EventsProps): React.JSX.Element {
  const newest = events ?? [];
  return (
    <ol className="dk-Events" aria-label={`Events of ${name}`} tabIndex={0}>
      {newest.map((event, index) => (
        <li key={index} title={`${event.object}: ${event.message}`} data-type={event.type}>
          <time dateTime={event.time ?? undefined}>{sayClock(event.time)}</time>
          <span>{event.message}</span>
        </li>
      ))}
      {newest.length === 0 && <li>{events ? 'No events yet' : 'Asking for events…'}</li>}
    </ol>
  );
}
