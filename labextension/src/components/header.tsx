/**
 * Head of the sidebar: its name, the namespace, and the way to a new cluster.
 */
import * as React from 'react';

import type { IClusters } from '../tokens';

interface HeaderProps {
  readonly model: IClusters;
  readonly hasNew: boolean;
  readonly onNewCluster: () => void;
}

export function Header({ model, hasNew, onNewCluster }: HeaderProps): React.JSX.Element {
  return (
    <header className="dk-Header">
      <h2>Dask clusters</h2>
      <Namespace model={model} />
      {hasNew && (
        <button
          type="button"
          className="dk-Button dk-mod-filled dk-New"
          title="Make a cluster"
          onClick={onNewCluster}
        >
          New
        </button>
      )}
    </header>
  );
}

function Namespace({ model }: { readonly model: IClusters }): React.JSX.Element | null {
  const { context, namespace } = model;
  if (namespace === null) {
    return null;
  }
  const names = context?.namespaces ?? [];
  if (names.length < 2) {
    return (
      <span className="dk-Namespace" title={`Namespace ${namespace}`}>
        {namespace}
      </span>
    );
  }
  return (
    <select
      className="dk-Namespace"
      aria-label="Namespace"
      title="Namespace"
      value={namespace}
      onChange={event => model.setNamespace(event.target.value)}
    >
      {[...new Set([namespace, ...names])].sort().map(name => (
        <option key={name}>{name}</option>
      ))}
    </select>
  );
}
