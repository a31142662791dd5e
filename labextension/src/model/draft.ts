/**
 * A new cluster while it is being described: the form's values, what is wrong with them, and sending them.
 *
 * Guarantees that nothing is sent twice, and that a refusal stands at its field until that is changed.
 */
import { type ISignal, Signal } from '@lumino/signaling';

import { RequestError } from '../api';
import type { ClusterDefaults, IClusters } from '../tokens';
import { problemOf } from './clusters';
import {
  explainBadForm,
  type Faults,
  type Field,
  fieldOfServer,
  type FormValues,
  initialForm,
  toNewCluster
} from './form';
import { NAME_TAKEN } from './names';
import { sayCapitalized, saySentences } from './words';

/** For a server that has not told its own yet. */
const NO_DEFAULTS: ClusterDefaults = {
  name: 'dask',
  image: '',
  n_workers: 2,
  cpu: null,
  memory: null
};

export class NewClusterDraft {
  constructor(private readonly model: IClusters) {
    this.#values = initialForm(model.context?.defaults ?? NO_DEFAULTS, this.takenNames());
  }

  get changed(): ISignal<this, void> {
    return this.#changed;
  }

  get version(): number {
    return this.#version;
  }

  get values(): FormValues {
    return this.#values;
  }

  get faults(): Faults {
    return { ...this.#refused, ...explainBadForm(this.#values, this.takenNames()) };
  }

  /** What the server refused, where it is about no field. */
  get refusal(): string | null {
    return this.#refusal;
  }

  /** Whether fields that were not left yet show their faults too. */
  get isStrict(): boolean {
    return this.#isStrict;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  change(change: Partial<FormValues>): void {
    this.#values = { ...this.#values, ...change };
    // What the server said was about what stood there before.
    const changed = Object.keys(change);
    this.#refused = Object.fromEntries(
      Object.entries(this.#refused).filter(([field]) => !changed.includes(field))
    );
    this.#refusal = null;
    this.notify();
  }

  /** Send the form; says whether there is a cluster now. */
  async submit(): Promise<boolean> {
    const { namespace } = this.model;
    this.#isStrict = true;
    if (this.#isBusy || namespace === null || Object.keys(this.faults).length > 0) {
      this.notify();
      return false;
    }
    this.#isBusy = true;
    this.#refusal = null;
    this.notify();
    try {
      await this.model.create(toNewCluster(this.#values, namespace));
      return true;
    } catch (error) {
      this.refuse(error);
      return false;
    } finally {
      this.#isBusy = false;
      this.notify();
    }
  }

  private refuse(error: unknown): void {
    const { code, message, fix } = problemOf(error);
    const words = sayCapitalized(saySentences(message, fix).replaceAll('`', ''));
    const field = fieldOf(error);
    if (code === 'name-taken') {
      this.#refused = { name: NAME_TAKEN };
    } else if (field) {
      this.#refused = { [field]: words };
    } else {
      this.#refusal = words;
    }
  }

  private takenNames(): ReadonlySet<string> {
    return new Set(this.model.rows.map(row => row.view.name));
  }

  private notify(): void {
    this.#version++;
    this.#changed.emit();
  }

  readonly #changed = new Signal<this, void>(this);
  #values: FormValues;
  #refused: Faults = {};
  #refusal: string | null = null;
  #isStrict = false;
  #isBusy = false;
  #version = 0;
}

function fieldOf(error: unknown): Field | null {
  return error instanceof RequestError ? fieldOfServer(error.field) : null;
}
