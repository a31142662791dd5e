/**
 * How many workers: a fixed number, or a range that the cluster adapts in.
 *
 * A number acts at once, because it can be taken back; a range acts when both ends are said.
 * What may not be changed for now keeps the focus: a disabled field would lose it.
 */
import * as React from 'react';

import { explainBadRange, parseWorkers, scalable } from '../model';
import type { IClusters, Row } from '../tokens';
import { NumberBox } from './numberbox';
import { Segments } from './segments';

interface ScaleProps {
  readonly model: IClusters;
  readonly row: Row;
  readonly isDisabled: boolean;
}

type Mode = 'fixed' | 'adaptive';
const MODES = [
  ['fixed', 'Fixed'],
  ['adaptive', 'Adaptive']
] as const;

function modeOf({ view, wish }: Row): Mode {
  const isAdaptive =
    wish && wish.kind !== 'delete' ? wish.kind === 'adapt' : view.adaptive !== null;
  return isAdaptive ? 'adaptive' : 'fixed';
}

export function Scale({ model, row, isDisabled }: ScaleProps): React.JSX.Element {
  const [drafted, setDrafted] = React.useState<Mode | null>(null);
  const mode = drafted ?? modeOf(row);
  const onMode = (next: Mode): void => {
    if (next === 'fixed' && modeOf(row) === 'adaptive') {
      // To hold what is there is harmless, so it needs no second click.
      model.scale(row.view, scalable(row.view).desired);
      setDrafted(null);
    } else {
      setDrafted(next === modeOf(row) ? null : next);
    }
  };
  return (
    <div className="dk-Scale">
      <Segments
        label={`How ${row.view.name} scales`}
        choices={MODES}
        value={mode}
        isDisabled={isDisabled}
        onChange={onMode}
      />
      {mode === 'fixed' ? (
        <Fixed model={model} row={row} isDisabled={isDisabled} />
      ) : (
        <Range model={model} row={row} isDisabled={isDisabled} onApplied={() => setDrafted(null)} />
      )}
    </div>
  );
}

/** A round end for the slider, with room to grow. */
export function sliderEnd(workers: number): number {
  const ends = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
  return ends.find(end => end >= workers * 2) ?? workers * 2;
}

function Fixed({ model, row, isDisabled }: ScaleProps): React.JSX.Element {
  const wanted = row.wish?.kind === 'scale' ? row.wish.to : scalable(row.view).desired;
  const [dragged, setDragged] = React.useState<number | null>(null);
  // The end grows with the cluster and never shrinks under the finger.
  const end = React.useRef(0);
  end.current = Math.max(end.current, sliderEnd(wanted));
  const release = (): void => {
    if (dragged !== null && dragged !== wanted && !isDisabled) {
      model.scale(row.view, dragged);
    }
    setDragged(null);
  };
  const shown = dragged ?? wanted;
  return (
    <span className="dk-Fixed">
      <input
        type="range"
        className="dk-Slider"
        min={0}
        max={end.current}
        value={Math.min(shown, end.current)}
        aria-disabled={isDisabled}
        style={{ '--dk-share': `${(100 * shown) / end.current}%` } as React.CSSProperties}
        aria-label={`Workers of ${row.view.name}`}
        aria-valuetext={`${shown} workers`}
        onChange={event => !isDisabled && setDragged(Number(event.target.value))}
        onPointerUp={release}
        onKeyUp={release}
        onBlur={release}
      />
      <NumberBox
        label={`Number of workers of ${row.view.name}`}
        value={shown}
        isDisabled={isDisabled}
        onCommit={replicas => model.scale(row.view, replicas)}
      />
    </span>
  );
}

function Range(props: ScaleProps & { readonly onApplied: () => void }): React.JSX.Element {
  const { model, row, isDisabled, onApplied } = props;
  const wished = row.wish?.kind === 'adapt' ? row.wish.to : row.view.adaptive;
  const initial = wished ?? { minimum: 1, maximum: Math.max(4, scalable(row.view).desired) };
  const [minimum, setMinimum] = React.useState(String(initial.minimum));
  const [maximum, setMaximum] = React.useState(String(initial.maximum));
  const faults = explainBadRange(minimum, maximum);
  const range = { minimum: parseWorkers(minimum) ?? 0, maximum: parseWorkers(maximum) ?? 0 };
  const isSame = wished?.minimum === range.minimum && wished.maximum === range.maximum;
  const fault = faults.minimum ?? faults.maximum;
  const apply = (event: React.FormEvent): void => {
    event.preventDefault();
    if (!fault && !isSame && !isDisabled) {
      model.adapt(row.view, range);
      onApplied();
    }
  };
  const box = (label: string, value: string, set: (text: string) => void): React.JSX.Element => (
    <input
      type="number"
      className="dk-Number"
      min={0}
      aria-label={`${label} number of workers of ${row.view.name}`}
      title={`${label} number of workers`}
      value={value}
      readOnly={isDisabled}
      aria-disabled={isDisabled}
      onChange={event => set(event.target.value)}
    />
  );
  return (
    <form className="dk-Range" onSubmit={apply} noValidate>
      {box('Smallest', minimum, setMinimum)}
      <span>–</span>
      {box('Largest', maximum, setMaximum)}
      <button
        type="submit"
        className="dk-Button dk-Apply"
        aria-label={`Apply the range to ${row.view.name}`}
        disabled={isDisabled || isSame || fault !== undefined}
        title={fault ?? 'Let the cluster choose its workers in this range'}
      >
        <span className="dk-ApplyText">Apply</span>
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M3 8.5l3.500 3.500L13 4.500" />
        </svg>
      </button>
    </form>
  );
}
