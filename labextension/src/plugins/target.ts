/**
 * Which cluster a command is about.
 */
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { sayForbidden } from '../model';
import type { ClusterRef, IClusters, Row } from '../tokens';

/** The cluster of the arguments, else the row that had the focus last, else the only one there is. */
export function targetOf(model: IClusters, args: ReadonlyPartialJSONObject): Row | null {
  const { namespace, name } = args;
  if (typeof namespace === 'string' && typeof name === 'string') {
    return model.find({ namespace, name });
  }
  if (model.current) {
    return model.find(model.current);
  }
  return model.rows.length === 1 ? (model.rows[0] ?? null) : null;
}

export function argsOf({ namespace, name }: ClusterRef): { namespace: string; name: string } {
  return { namespace, name };
}

/** A command about one cluster; it is enabled while there is one, and for who may do it. */
export function addClusterCommand(
  commands: CommandRegistry,
  model: IClusters,
  id: string,
  verb: string,
  execute: (row: Row, args: ReadonlyPartialJSONObject) => unknown,
  needs?: 'scale' | 'delete'
): void {
  const isForbidden = (): boolean =>
    needs !== undefined && sayForbidden(model.context, needs) !== null;
  commands.addCommand(id, {
    label: args => {
      const row = targetOf(model, args);
      return row ? `${verb}: ${row.view.name}` : verb;
    },
    isEnabled: args => targetOf(model, args) !== null && !isForbidden(),
    execute: args => {
      const row = targetOf(model, args);
      return row ? execute(row, args) : undefined;
    }
  });
  model.changed.connect(() => commands.notifyCommandChanged(id));
}
