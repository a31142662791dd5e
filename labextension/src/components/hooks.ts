/**
 * Hooks: the model as React sees it, and the time.
 */
import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

interface Source {
  readonly changed: ISignal<unknown, void>;
  readonly version: number;
}

/** Render again with every change of a model. */
export function useChanges(source: Source): void {
  const subscribe = React.useCallback(
    (onChange: () => void) => {
      source.changed.connect(onChange);
      return () => {
        source.changed.disconnect(onChange);
      };
    },
    [source]
  );
  React.useSyncExternalStore(subscribe, () => source.version);
}

/** The time, renewed every `intervalMs`. */
export function useNow(intervalMs: number): number {
  const [now, setNow] = React.useState(Date.now);
  React.useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs]);
  // Between two ticks something newer than the last of them may be shown.
  return Math.max(now, Date.now() - intervalMs);
}
