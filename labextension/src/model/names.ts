/**
 * The rule for cluster names: that of Kubernetes, short enough for the names of what a cluster makes.
 */

/** Longest name whose scheduler's Service still fits in 63 characters. */
export const MAX_CLUSTER_NAME_LENGTH = 53;

export const NAME_TAKEN = 'There is a cluster of this name already';

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** What is wrong with a name, in one sentence, or null when nothing is. */
export function explainBadName(name: string, taken: ReadonlySet<string>): string | null {
  if (!name) {
    return 'A name is needed';
  }
  if (name.length > MAX_CLUSTER_NAME_LENGTH) {
    return `${name.length} characters; at most ${MAX_CLUSTER_NAME_LENGTH} fit`;
  }
  if (!NAME.test(name)) {
    return "Use a-z, 0-9 and '-', with a letter or digit first and last";
  }
  return taken.has(name) ? NAME_TAKEN : null;
}

/** The first of `base`, `base-2`, `base-3` … that is free. */
export function proposeName(base: string, taken: ReadonlySet<string>): string {
  let name = base;
  for (let n = 2; taken.has(name); n++) {
    name = `${base}-${n}`;
  }
  return name;
}
