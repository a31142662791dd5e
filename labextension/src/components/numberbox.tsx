/**
 * A number that a person types or steps: typing waits for Enter or for leaving, stepping acts at once.
 * While it may not be changed it keeps the cursor and what was typed, for the moment in which it may.
 */
import * as React from 'react';

import { parseWorkers } from '../model';

interface NumberBoxProps {
  readonly label: string;
  readonly value: number;
  readonly isDisabled: boolean;
  readonly onCommit: (value: number) => void;
}

function isTyped(event: React.ChangeEvent<HTMLInputElement>): boolean {
  // The arrows of a number field fire plain events, or replace the whole text (Firefox).
  const type = (event.nativeEvent as Partial<InputEvent>).inputType ?? '';
  return type !== '' && type !== 'insertReplacementText';
}

export function NumberBox(props: NumberBoxProps): React.JSX.Element {
  const { label, value, isDisabled, onCommit } = props;
  const [draft, setDraft] = React.useState<string | null>(null);
  const commit = (text: string): void => {
    const number = parseWorkers(text);
    setDraft(null);
    if (!isDisabled && number !== null && number !== value) {
      onCommit(number);
    }
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (event.key === 'Enter' && draft !== null && !isDisabled) {
      commit(draft);
    } else if (event.key === 'Escape' && draft !== null) {
      setDraft(null);
      event.stopPropagation();
    }
  };
  return (
    <input
      type="number"
      className="dk-Number"
      min={0}
      step={1}
      aria-label={label}
      title={label}
      readOnly={isDisabled}
      aria-disabled={isDisabled}
      aria-invalid={draft !== null && parseWorkers(draft) === null}
      value={draft ?? String(value)}
      onChange={event =>
        isTyped(event) ? setDraft(event.target.value) : commit(event.target.value)
      }
      onKeyDown={onKeyDown}
      onBlur={() => draft !== null && !isDisabled && commit(draft)}
    />
  );
}
