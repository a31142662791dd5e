/**
 * What stands where there are no rows: what a cluster is and how to get one, or what is being waited for.
 */
import * as React from 'react';

interface EmptyProps {
  readonly namespace: string;
  readonly canCreate: boolean;
  readonly onNewCluster: () => void;
}

export function Empty({ namespace, canCreate, onNewCluster }: EmptyProps): React.JSX.Element {
  return (
    <div className="dk-Empty">
      <Picture />
      <h3>No clusters in {namespace}</h3>
      <p>
        A cluster is one scheduler and as many workers as you ask for, as Pods in this namespace.
      </p>
      {canCreate ? (
        <button
          type="button"
          className="dk-Button dk-mod-filled dk-mod-large"
          onClick={onNewCluster}
        >
          New cluster
        </button>
      ) : (
        <p>You may look here, but not make clusters.</p>
      )}
      <p className="dk-Aside">
        or in a notebook
        <code>KubeCluster(n_workers=4)</code>
      </p>
    </div>
  );
}

export function Waiting(): React.JSX.Element {
  return (
    <div className="dk-Empty dk-mod-waiting" role="status">
      <p>Asking the notebook server for your clusters…</p>
    </div>
  );
}

function Picture(): React.JSX.Element {
  return (
    <svg className="dk-Picture" viewBox="0 0 44 44" aria-hidden="true">
      <circle cx="22" cy="10" r="4" />
      <circle cx="9" cy="33" r="4" />
      <circle cx="22" cy="33" r="4" />
      <circle cx="35" cy="33" r="4" />
      <path d="M22 14v15M20 14 10.5 29M24 14l9.5 15" />
    </svg>
  );
}
