/**
 * The form of a new cluster. What is wrong stands under its field; each field has room for that.
 */
import * as React from 'react';

import type { Faults, Field, FormValues, NewClusterDraft } from '../model';
import { sayTotals } from '../model';
import { useChanges } from './hooks';
import { Segments } from './segments';

const HINTS: Readonly<Record<Field, string>> = {
  name: "Lower-case letters, digits and '-'",
  workers: 'As many as it starts with; scale it any time',
  minimum: '',
  maximum: 'The cluster chooses by its work, between these two',
  cpu: 'Cores, such as 2 or 0.5; empty sets no limit',
  memory: 'With a unit, such as 2Gi; empty sets no limit',
  image: 'Scheduler and workers run it; it needs the Dask of your notebook'
};

export function NewClusterForm({ draft }: { readonly draft: NewClusterDraft }): React.JSX.Element {
  useChanges(draft);
  const { values, faults, isStrict, refusal, isBusy } = draft;
  const onChange = (change: Partial<FormValues>): void => draft.change(change);
  const props = { values, faults, isStrict, onChange };
  const text = (field: Field, label: string): React.JSX.Element => (
    <TextField key={field} {...props} field={field} label={label} />
  );
  return (
    <div className="dk-Form" aria-busy={isBusy}>
      {text('name', 'Name')}
      <div className="dk-Field">
        <span className="dk-Label">Workers</span>
        <div className="dk-Workers">
          <Segments
            label="How the cluster scales"
            choices={[
              ['fixed', 'Fixed'],
              ['adaptive', 'Adaptive']
            ]}
            value={values.mode}
            onChange={mode => onChange({ mode })}
          />
          {values.mode === 'fixed' ? (
            <Count {...props} field="workers" label="Number of workers" />
          ) : (
            <>
              <Count {...props} field="minimum" label="Smallest number of workers" />
              <span>to</span>
              <Count {...props} field="maximum" label="Largest number of workers" />
            </>
          )}
        </div>
        <Hint {...props} fields={values.mode === 'fixed' ? ['workers'] : ['minimum', 'maximum']} />
      </div>
      {text('cpu', 'CPU each')}
      {text('memory', 'Memory each')}
      {text('image', 'Image')}
      <p className="dk-Summary" role="status" data-bad={refusal !== null}>
        {refusal ?? (isBusy ? 'Creating…' : sayTotals(values))}
      </p>
    </div>
  );
}

interface FormProps {
  readonly values: FormValues;
  readonly faults: Faults;
  readonly isStrict: boolean;
  readonly onChange: (change: Partial<FormValues>) => void;
}

interface FieldProps extends FormProps {
  readonly field: Field;
  readonly label: string;
}

function TextField(props: FieldProps): React.JSX.Element {
  const { field, label, values, faults, onChange } = props;
  const id = React.useId();
  const [isLeft, setIsLeft] = React.useState(false);
  // A name is judged with every letter, the rest once it is written.
  const isJudged = field === 'name' || isLeft || props.isStrict;
  return (
    <div className="dk-Field">
      <label className="dk-Label" htmlFor={id}>
        {label}
      </label>
      <input
        id={id}
        className="dk-Text"
        type="text"
        spellCheck={false}
        autoComplete="off"
        name={field}
        value={values[field]}
        aria-invalid={isJudged && faults[field] !== undefined}
        aria-describedby={`${id}-hint`}
        onChange={event => onChange({ [field]: event.target.value })}
        onBlur={() => setIsLeft(true)}
      />
      <Hint {...props} id={`${id}-hint`} fields={isJudged ? [field] : []} hintOf={field} />
    </div>
  );
}

function Count({ field, label, values, faults, onChange }: FieldProps): React.JSX.Element {
  return (
    <input
      type="number"
      className="dk-Number"
      min={0}
      name={field}
      aria-label={label}
      title={label}
      aria-invalid={faults[field] !== undefined}
      value={values[field]}
      onChange={event => onChange({ [field]: event.target.value })}
    />
  );
}

interface HintProps extends FormProps {
  readonly id?: string;
  /** The fields whose faults are said here. */
  readonly fields: readonly Field[];
  readonly hintOf?: Field;
}

function Hint({ id, fields, hintOf, faults }: HintProps): React.JSX.Element {
  const fault = fields.map(field => faults[field]).find(Boolean);
  const hint = hintOf ?? fields[fields.length - 1];
  return (
    <p className="dk-Hint" id={id} data-bad={fault !== undefined}>
      {fault ?? (hint && HINTS[hint])}
    </p>
  );
}
