/**
 * Amounts of CPU and memory, as people type them and as Kubernetes writes them.
 *
 * Accepts what a person plainly means ("2 GiB", "0,5"); refuses what is a guess ("2" of memory).
 */

export type Parsed =
  | { readonly ok: true; readonly quantity: string | null; readonly amount: number }
  | { readonly ok: false; readonly fault: string };

const NOTHING: Parsed = { ok: true, quantity: null, amount: 0 };
const CPU = /^(\d+(?:[.,]\d+)?)\s*(m|cores?)?$/i;
const MEMORY = /^(\d+(?:[.,]\d+)?)\s*([kmgt])(i)?b?$/i;
const POWER: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4 };

/** Cores: "2", "0.5", "500m"; nothing means that no amount is set. */
export function parseCpu(text: string): Parsed {
  const trimmed = text.trim();
  if (!trimmed) {
    return NOTHING;
  }
  const match = CPU.exec(trimmed);
  const number = decimal(match?.[1]);
  if (!match || !number) {
    return { ok: false, fault: 'Write cores: 2, 0.5 or 500m; empty sets no limit' };
  }
  const isMilli = match[2]?.toLowerCase() === 'm';
  return {
    ok: true,
    quantity: isMilli ? `${number}m` : String(number),
    amount: isMilli ? number / 1000 : number
  };
}

/** Bytes: "2Gi", "2 GiB", "512Mi", "4GB"; nothing means that no amount is set. */
export function parseMemory(text: string): Parsed {
  const trimmed = text.trim();
  if (!trimmed) {
    return NOTHING;
  }
  const match = MEMORY.exec(trimmed);
  const number = decimal(match?.[1]);
  if (!match || !number) {
    const unit = /^\d+$/.test(trimmed) ? `${trimmed}Gi or ${trimmed}Mi` : '2Gi or 512Mi';
    return { ok: false, fault: `Write memory with its unit: ${unit}; empty sets no limit` };
  }
  const letter = (match[2] ?? '').toLowerCase();
  const isBinary = match[3] !== undefined;
  // Decimal kilo is the one prefix that Kubernetes writes in lower case.
  const suffix = isBinary
    ? `${letter.toUpperCase()}i`
    : letter === 'k'
      ? 'k'
      : letter.toUpperCase();
  return {
    ok: true,
    quantity: `${number}${suffix}`,
    amount: number * (isBinary ? 1024 : 1000) ** (POWER[letter] ?? 0)
  };
}

function decimal(text: string | undefined): number {
  return Number((text ?? '').replace(',', '.'));
}
