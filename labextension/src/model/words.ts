/**
 * How amounts, ages and counts are said. Pure; the time comes in as an argument.
 */
import type { AdaptiveRange, ClusterView, GroupView, ServerContext, WorkerCounts } from '../tokens';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function plural(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

/** One decimal below ten, none from ten on. */
function short(number: number): string {
  return number >= 10 ? String(Math.round(number)) : String(Number(number.toFixed(1)));
}

/** "12 cores", "0.5 cores"; empty when unknown. */
export function sayCores(cores: number): string {
  // Quarters of a core are common, and a rounded one would be another amount.
  const number = cores < 1 ? Number(cores.toFixed(2)) : short(cores);
  return cores > 0 ? `${number} ${cores === 1 ? 'core' : 'cores'}` : '';
}

/** "48 GiB", "512 MiB"; empty when unknown. */
export function sayMemory(bytes: number): string {
  if (bytes <= 0) {
    return '';
  }
  let [size, unit] = [bytes, 0];
  for (; size >= 1000 && unit < UNITS.length - 1; unit++) {
    size /= 1024;
  }
  return `${short(size)} ${UNITS[unit] ?? ''}`;
}

/** "12 s", "14 min", "3 h", "5 days", of an ISO 8601 time and now; empty when unknown. */
export function sayAge(created: string | null, nowMs: number): string {
  if (created === null) {
    return '';
  }
  // The clock that wrote it may be ahead of this one.
  const seconds = Math.max(0, (nowMs - Date.parse(created)) / 1000);
  if (seconds < 60) {
    return `${Math.floor(seconds)} s`;
  }
  if (seconds < 3600) {
    return `${Math.floor(seconds / 60)} min`;
  }
  return seconds < 48 * 3600
    ? `${Math.floor(seconds / 3600)} h`
    : `${Math.floor(seconds / 86400)} days`;
}

/** "14:02" of an ISO 8601 time, by this person's clock. */
export function sayClock(time: string | null): string {
  const date = time ? new Date(time) : null;
  if (!date || Number.isNaN(date.getTime())) {
    return '';
  }
  const two = (n: number) => String(n).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

export function sayRange(range: AdaptiveRange): string {
  return `adaptive ${range.minimum}–${range.maximum}`;
}

/** "12 cores · 48 GiB · adaptive 1–4 · 14 min"; what may be cut off where it is narrow comes last. */
export function sayFacts(view: ClusterView, nowMs: number): string {
  return [
    sayCores(view.cores),
    sayMemory(view.memory_bytes),
    view.adaptive ? sayRange(view.adaptive) : '',
    sayAge(view.created, nowMs)
  ]
    .filter(Boolean)
    .join(' · ');
}

/** "2 of 3"; the state where counting says nothing. */
export function sayCount(view: ClusterView): string {
  if (view.state === 'deleting' || view.state === 'suspended') {
    return view.state;
  }
  return sayReady(view.workers);
}

/** "2 of 3"; "4 → 2" while some of them are leaving. */
export function sayReady(counts: WorkerCounts): string {
  const present = counts.ready + counts.retiring;
  if (present > counts.desired) {
    return `${present} → ${counts.desired}`;
  }
  return `${counts.ready} of ${counts.desired}`;
}

/** "4 of 4 · adaptive 1–8 · 2 cores, 8 GiB". */
export function sayGroup(group: GroupView): string {
  const each = [sayCores(group.cores_each), sayMemory(group.memory_bytes_each)].filter(Boolean);
  const range = group.adaptive ? sayRange(group.adaptive) : '';
  return [sayReady(group), range, each.join(', ')].filter(Boolean).join(' · ');
}

/** What a screen reader says of a row. */
export function sayRow(view: ClusterView, count: string): string {
  return `${view.name}, ${view.state}, ${count} workers`;
}

/** A sentence of the server's that begins a line; a name at its beginning stays as it is. */
export function sayCapitalized(text: string): string {
  return /^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/** Two sentences, whether or not they end in a full stop. */
export function saySentences(...sentences: readonly (string | null)[]): string {
  return sentences
    .filter(sentence => sentence)
    .map(sentence => (/[.!?…]$/.test(sentence ?? '') ? sentence : `${sentence ?? ''}.`))
    .join(' ');
}

/** The beginning of a long text, cut between words; a folded row has room for four lines. */
export function sayShort(text: string, length = 120): string {
  if (text.length <= length) {
    return text;
  }
  const cut = text.slice(0, length);
  return `${cut.slice(0, Math.max(cut.lastIndexOf(' '), length / 2))}…`;
}

/** Text with commands between backticks, taken apart: odd parts are commands. */
export function splitCommands(text: string): readonly string[] {
  return text.split('`');
}

/** Why this person may not do it; null for who may, and where nobody could ask. */
export function sayForbidden(
  context: ServerContext | null,
  what: 'create' | 'scale' | 'delete'
): string | null {
  const isForbidden = context !== null && context.problem === null && context.can[what] === false;
  return isForbidden ? `You may not ${what} clusters in ${context.namespace}` : null;
}
