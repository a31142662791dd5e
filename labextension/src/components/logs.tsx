/**
 * The logs of one Pod of a cluster, and the choice of the Pod.
 */
import * as React from 'react';

import { problemOf } from '../model';
import type { ClusterRef, IClusters, PodLogs, Problem } from '../tokens';
import { Words } from './words';

interface LogsProps {
  readonly model: IClusters;
  readonly cluster: ClusterRef;
}

interface Shown {
  readonly logs: PodLogs | null;
  readonly problem: Problem | null;
  readonly isAsking: boolean;
}

export function Logs({ model, cluster }: LogsProps): React.JSX.Element {
  const [pod, setPod] = React.useState<string | null>(null);
  const { shown, refresh } = useLogs(model, cluster, pod);
  const { logs, problem, isAsking } = shown;
  return (
    <div className="dk-Logs">
      <div className="dk-LogsBar">
        <select
          aria-label={`Pod of ${cluster.name}`}
          title="Pod"
          value={logs?.pod ?? ''}
          onChange={event => setPod(event.target.value)}
        >
          {(logs?.pods ?? []).map(name => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <button type="button" className="dk-Button" onClick={refresh}>
          Refresh
        </button>
        <span role="status">{isAsking && 'Asking for the log…'}</span>
      </div>
      {problem ? (
        <p className="dk-LogsProblem" role="alert">
          <strong>{problem.title}.</strong> <Words text={problem.message} />{' '}
          {problem.fix && <Words text={problem.fix} />}
        </p>
      ) : (
        <LogText logs={logs} />
      )}
    </div>
  );
}

function LogText({ logs }: { readonly logs: PodLogs | null }): React.JSX.Element {
  const end = React.useRef<HTMLPreElement>(null);
  // The newest lines are the ones that were asked for.
  React.useEffect(() => {
    end.current?.scrollTo({ top: end.current.scrollHeight });
  }, [logs]);
  const text = logs === null ? '' : logs.text || sayNothing(logs);
  return (
    <pre className="dk-LogText" tabIndex={0} ref={end} aria-label="Log">
      {text}
    </pre>
  );
}

function sayNothing(logs: PodLogs): string {
  return logs.pods.length === 0
    ? 'There are no Pods yet: the events in the sidebar say why.'
    : 'This Pod has written nothing yet.';
}

function useLogs(
  model: IClusters,
  cluster: ClusterRef,
  pod: string | null
): { shown: Shown; refresh: () => void } {
  const [shown, setShown] = React.useState<Shown>({ logs: null, problem: null, isAsking: true });
  const [turn, setTurn] = React.useState(0);
  React.useEffect(() => {
    let isCurrent = true;
    setShown(before => ({ ...before, isAsking: true }));
    model.logs(cluster, pod).then(
      logs => isCurrent && setShown({ logs, problem: null, isAsking: false }),
      (error: unknown) =>
        isCurrent && setShown(before => ({ ...before, problem: problemOf(error), isAsking: false }))
    );
    return () => {
      isCurrent = false;
    };
  }, [model, cluster, pod, turn]);
  return { shown, refresh: () => setTurn(n => n + 1) };
}
