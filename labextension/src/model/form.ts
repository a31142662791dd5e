/**
 * The form of a new cluster: what was typed, what is wrong with it, and what is sent.
 *
 * Pure. A fault is one sentence that says what to write.
 */
import type { ClusterDefaults, NewCluster } from '../tokens';
import { explainBadName, proposeName } from './names';
import { parseCpu, parseMemory, type Parsed } from './quantities';
import { plural, sayCores, sayMemory } from './words';

export interface FormValues {
  readonly name: string;
  readonly mode: 'fixed' | 'adaptive';
  readonly workers: string;
  readonly minimum: string;
  readonly maximum: string;
  readonly cpu: string;
  readonly memory: string;
  readonly image: string;
}

export type Field = Exclude<keyof FormValues, 'mode'>;
export type Faults = Readonly<Partial<Record<Field, string>>>;

const FIELD_OF_SERVER: Readonly<Record<string, Field>> = {
  name: 'name',
  n_workers: 'workers',
  adapt: 'maximum',
  minimum: 'minimum',
  maximum: 'maximum',
  cpu: 'cpu',
  memory: 'memory',
  image: 'image'
};

/** The field that the server means, or null when it is none of the form. */
export function fieldOfServer(field: string | null): Field | null {
  return FIELD_OF_SERVER[field ?? ''] ?? null;
}

export function initialForm(defaults: ClusterDefaults, taken: ReadonlySet<string>): FormValues {
  return {
    name: proposeName(defaults.name, taken),
    mode: 'fixed',
    workers: String(defaults.n_workers),
    minimum: '1',
    maximum: String(Math.max(4, defaults.n_workers)),
    cpu: defaults.cpu ?? '',
    memory: defaults.memory ?? '',
    image: defaults.image
  };
}

/** A whole number of workers, or null. */
export function parseWorkers(text: string): number | null {
  return /^\d{1,5}$/.test(text.trim()) ? Number(text) : null;
}

/** What is wrong with a range of workers, by its ends. */
export function explainBadRange(minimum: string, maximum: string): Faults {
  const [low, high] = [parseWorkers(minimum), parseWorkers(maximum)];
  if (low === null) {
    return { minimum: 'Write a whole number, 0 or more' };
  }
  if (high === null || high < 1) {
    return { maximum: 'Write a whole number, 1 or more' };
  }
  return low > high ? { maximum: `At least the minimum, ${low}` } : {};
}

export function explainBadForm(values: FormValues, taken: ReadonlySet<string>): Faults {
  const faults: Partial<Record<Field, string>> = {};
  const badName = explainBadName(values.name, taken);
  if (badName) {
    faults.name = badName;
  }
  if (values.mode === 'adaptive') {
    Object.assign(faults, explainBadRange(values.minimum, values.maximum));
  } else if (parseWorkers(values.workers) === null) {
    faults.workers = 'Write a whole number, 0 or more';
  }
  const amounts: readonly (readonly [Field, Parsed])[] = [
    ['cpu', parseCpu(values.cpu)],
    ['memory', parseMemory(values.memory)]
  ];
  for (const [field, parsed] of amounts) {
    if (!parsed.ok) {
      faults[field] = parsed.fault;
    }
  }
  return faults;
}

/** What to send for a form without faults. */
export function toNewCluster(values: FormValues, namespace: string): NewCluster {
  const [cpu, memory] = [parseCpu(values.cpu), parseMemory(values.memory)];
  const image = values.image.trim();
  const isAdaptive = values.mode === 'adaptive';
  return {
    namespace,
    name: values.name,
    n_workers: Number(isAdaptive ? values.minimum : values.workers),
    cpu: cpu.ok ? cpu.quantity : null,
    memory: memory.ok ? memory.quantity : null,
    ...(image ? { image } : {}),
    ...(isAdaptive
      ? { adapt: { minimum: Number(values.minimum), maximum: Number(values.maximum) } }
      : {})
  };
}

/** "2 workers · 4 cores · 8 GiB", or up to how much; empty while the numbers make no sense. */
export function sayTotals(values: FormValues): string {
  const isAdaptive = values.mode === 'adaptive';
  const workers = parseWorkers(isAdaptive ? values.maximum : values.workers);
  if (workers === null) {
    return '';
  }
  const [cpu, memory] = [parseCpu(values.cpu), parseMemory(values.memory)];
  const parts = [
    `${isAdaptive ? 'Up to ' : ''}${plural(workers, 'worker')}`,
    cpu.ok ? sayCores(cpu.amount * workers) : '',
    memory.ok ? sayMemory(memory.amount * workers) : ''
  ];
  return parts.filter(Boolean).join(' · ');
}
