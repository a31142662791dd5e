/**
 * The one spot of colour of a row or a group.
 */
import * as React from 'react';

import type { ClusterState } from '../tokens';

export function Dot({ state }: { readonly state: ClusterState }): React.JSX.Element {
  return <span className="dk-Dot" data-state={state} aria-hidden="true" />;
}
