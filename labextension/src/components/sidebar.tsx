/**
 * The whole sidebar.
 */
import * as React from 'react';

import type { IClusters, Problem, Row } from '../tokens';
import type { Actions } from './actions';
import { Empty, Waiting } from './empty';
import { Header } from './header';
import { useChanges, useNow } from './hooks';
import { ConnectionNote, ProblemNote } from './notes';
import { ClusterRow } from './row';

/** Below this age of the youngest cluster, seconds are said. */
const YOUNG_MS = 60_000;

interface SidebarProps {
  readonly model: IClusters;
  readonly actions: Actions;
}

export function Sidebar({ model, actions }: SidebarProps): React.JSX.Element {
  useChanges(model);
  const { rows, connection, isBlind } = model;
  const problem = connection.phase === 'open' || !isDown(model.problem) ? model.problem : null;
  const isEmpty = rows.length === 0 && connection.phase === 'open' && !isBlind;
  const isWaiting = rows.length === 0 && connection.phase !== 'open' && problem === null;
  const canCreate = model.context?.can.create !== false;
  const isStale = connection.phase !== 'open' || isBlind;
  return (
    <div className="dk-Sidebar" data-stale={isStale}>
      <Header
        model={model}
        hasNew={rows.length > 0 && canCreate && !isStale}
        onNewCluster={actions.newCluster}
      />
      {isEmpty && (
        <Empty
          namespace={model.namespace ?? ''}
          canCreate={canCreate}
          onNewCluster={actions.newCluster}
        />
      )}
      {isWaiting && <Waiting />}
      <Rows model={model} actions={actions} isStale={isStale} />
      <div className="dk-Notes" data-first={rows.length === 0 && isBlind}>
        <ConnectionNote
          connection={connection}
          hasRows={rows.length > 0}
          onRetry={() => model.checkAgain()}
        />
        {problem && <ProblemNote problem={problem} onCheckAgain={() => model.checkAgain()} />}
      </div>
    </div>
  );
}

/** Said by the note about the connection already. */
function isDown(problem: Problem | null): boolean {
  return problem?.code === 'server-unreachable';
}

interface RowsProps {
  readonly model: IClusters;
  readonly actions: Actions;
  readonly isStale: boolean;
}

function Rows({ model, actions, isStale }: RowsProps): React.JSX.Element | null {
  const { rows, current } = model;
  const youngest = Math.max(0, ...rows.map(row => Date.parse(row.view.created ?? '') || 0));
  const nowMs = useNow(Date.now() - youngest < YOUNG_MS ? 1000 : 15_000);
  const list = React.useRef<HTMLUListElement>(null);
  useFocusKept(list, rows);
  if (rows.length === 0) {
    return null;
  }
  const tabStop =
    rows.find(({ view }) => view.name === current?.name && view.namespace === current.namespace) ??
    rows[0];
  return (
    <ul className="dk-Rows" aria-label="Dask clusters" ref={list} onKeyDown={walk}>
      {rows.map(row => (
        <ClusterRow
          key={row.view.uid}
          model={model}
          row={row}
          actions={actions}
          nowMs={nowMs}
          isTabStop={row === tabStop}
          isStale={isStale}
        />
      ))}
    </ul>
  );
}

function headsOf(list: HTMLElement): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>('.dk-RowHead')];
}

/** The arrows walk from head to head; Escape goes back to the head from inside a row. */
function walk(event: React.KeyboardEvent<HTMLUListElement>): void {
  const target = event.target as HTMLElement;
  const heads = headsOf(event.currentTarget);
  if (event.key === 'Escape') {
    target.closest('.dk-Row')?.querySelector<HTMLElement>('.dk-RowHead')?.focus();
    return;
  }
  const index = heads.indexOf(target);
  const next = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: heads.length - 1 }[
    event.key
  ];
  if (index >= 0 && next !== undefined) {
    event.preventDefault();
    event.stopPropagation();
    heads[next]?.focus();
  }
}

/** When the row that has the focus goes, its neighbour gets it, so that the keyboard is not lost. */
function useFocusKept(list: React.RefObject<HTMLUListElement | null>, rows: readonly Row[]): void {
  const focused = React.useRef(-1);
  React.useEffect(() => {
    const node = list.current;
    if (!node) {
      focused.current = -1;
      return;
    }
    const heads = headsOf(node);
    if (focused.current >= 0 && document.activeElement === document.body) {
      heads[Math.min(focused.current, heads.length - 1)]?.focus();
    }
    focused.current = heads.findIndex(head => head === document.activeElement);
  }, [list, rows]);
}
