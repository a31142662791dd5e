/**
 * A choice between a few words, all in view.
 */
import * as React from 'react';

interface SegmentsProps<T extends string> {
  readonly label: string;
  readonly choices: readonly (readonly [value: T, label: string])[];
  readonly value: T;
  readonly isDisabled?: boolean;
  readonly onChange: (value: T) => void;
}

export function Segments<T extends string>(props: SegmentsProps<T>): React.JSX.Element {
  const { label, choices, value, isDisabled = false, onChange } = props;
  const name = React.useId();
  return (
    <span className="dk-Segments" role="radiogroup" aria-label={label}>
      {choices.map(([choice, text]) => (
        <label key={choice}>
          <input
            type="radio"
            name={name}
            value={choice}
            checked={choice === value}
            disabled={isDisabled}
            onChange={() => onChange(choice)}
          />
          <span>{text}</span>
        </label>
      ))}
    </span>
  );
}
