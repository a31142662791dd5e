/**
 * One cluster: whether it is well, how many of how many, and why not where it is not.
 */
import * as React from 'react';

import {
  sayCapitalized,
  sayFacts,
  sayForbidden,
  sayRow,
  saySentences,
  sayShort,
  sayTakeBack,
  sayWish,
  sayWishedCount
} from '../model';
import type { ClusterState, IClusters, Row, WorkerCounts } from '../tokens';
import type { Actions } from './actions';
import { Details } from './details';
import { Dot } from './dot';
import { Link } from './words';

interface ClusterRowProps {
  readonly model: IClusters;
  readonly row: Row;
  readonly actions: Actions;
  readonly nowMs: number;
  /** Whether Tab reaches this row; the arrows reach all. */
  readonly isTabStop: boolean;
  /** Whether this is the last that was known, and nothing can be done now. */
  readonly isStale: boolean;
}

export function ClusterRow(props: ClusterRowProps): React.JSX.Element {
  const { model, row, actions, nowMs, isTabStop, isStale } = props;
  const { view, wish, isOpen } = row;
  const id = React.useId();
  const count = sayWishedCount(view, wish);
  const why = reasonOf(row);
  const state = wish?.kind === 'delete' ? 'deleting' : view.state;
  const toggle = (): void => model.setOpen(view, !isOpen);
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const act = rowKeys(props)[event.key];
    if (act && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      event.stopPropagation();
      act();
    }
  };
  return (
    <li className="dk-Row" data-state={state} data-key={row.key} data-open={isOpen}>
      <div
        className="dk-RowHead"
        role="button"
        tabIndex={isTabStop ? 0 : -1}
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        aria-label={sayRow(view, count)}
        aria-keyshortcuts="Enter S Delete"
        onClick={toggle}
        onKeyDown={onKeyDown}
        onFocus={() => model.focus(view)}
      >
        <Dot state={state} />
        <span className="dk-Name" title={view.name}>
          {view.name}
        </span>
        <span className="dk-Count">{count}</span>
        <Bar
          counts={view.workers}
          isShown={state !== 'running' || wish !== null || view.workers.retiring > 0}
        />
        {(isOpen || !why) && (
          <span className="dk-Facts" title={sayFacts(view, nowMs)}>
            {sayFacts(view, nowMs)}
          </span>
        )}
      </div>
      {why && <Why {...{ row, model, state }} text={why} onLogs={() => actions.openLogs(view)} />}
      {isOpen && <Details id={id} model={model} row={row} actions={actions} isStale={isStale} />}
    </li>
  );
}

function rowKeys({ model, row, actions, isStale }: ClusterRowProps): Record<string, () => void> {
  const { view, isOpen } = row;
  const toggle = (): void => model.setOpen(view, !isOpen);
  const when = (what: 'scale' | 'delete', act: () => void): (() => void) =>
    isStale || sayForbidden(model.context, what) !== null ? () => undefined : act;
  return {
    Enter: toggle,
    ' ': toggle,
    ArrowRight: () => model.setOpen(view, true),
    ArrowLeft: () => model.setOpen(view, false),
    s: when('scale', () => actions.scale(view)),
    S: when('scale', () => actions.scale(view)),
    Delete: when('delete', () => actions.remove(view))
  };
}

/** What the line under the name says: what went wrong, what it waits for, or what is being done. */
function reasonOf({ view, wish, complaint }: Row): string | null {
  if (complaint) {
    return saySentences(complaint.message, complaint.fix);
  }
  return view.reason === null
    ? wish && sayWish(view, wish)
    : sayCapitalized(saySentences(view.reason));
}

interface WhyProps {
  readonly model: IClusters;
  readonly row: Row;
  readonly text: string;
  readonly state: ClusterState;
  readonly onLogs: () => void;
}

/** Why it is not well, and what to do about it. A folded row says the beginning of what is long. */
function Why({ model, row, text, state, onLogs }: WhyProps): React.JSX.Element {
  const { view, wish, complaint, isOpen } = row;
  const words = text.replaceAll('`', '');
  const takeBack = wish && sayTakeBack(view, wish);
  return (
    <p className="dk-Why" data-state={complaint ? 'failing' : state} role="status" title={words}>
      <span className="dk-WhyText">{isOpen ? words : sayShort(words)}</span>{' '}
      {takeBack && <Link label={takeBack} onClick={() => model.takeBack(view)} />}
      {complaint && <Link label="Dismiss" onClick={() => model.dismissComplaint(view)} />}
      {state === 'failing' && !isOpen && <Link label="Logs" onClick={onLogs} />}
    </p>
  );
}

interface BarProps {
  readonly counts: WorkerCounts;
  readonly isShown: boolean;
}

/** Ready, on their way, failed and retiring, as shares of all; its place is kept when it is not shown. */
function Bar({ counts, isShown }: BarProps): React.JSX.Element {
  const whole = Math.max(counts.desired, counts.ready + counts.retiring, 1);
  const share = (n: number): React.CSSProperties => ({ width: `${(100 * n) / whole}%` });
  const coming = Math.max(0, Math.min(counts.desired, whole) - counts.ready - counts.failed);
  return (
    <span className="dk-Bar" data-shown={isShown} aria-hidden="true">
      <i data-part="ready" style={share(counts.ready)} />
      <i data-part="failed" style={share(counts.failed)} />
      <i data-part="coming" style={share(coming)} />
      <i data-part="retiring" style={share(counts.retiring)} />
    </span>
  );
}
