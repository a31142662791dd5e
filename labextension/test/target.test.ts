// @vitest-environment jsdom
import { CommandRegistry } from '@lumino/commands';
import { Signal } from '@lumino/signaling';
import { describe, expect, it, vi } from 'vitest';

import { addClusterCommand } from '../src/plugins/target';
import type { IClusters, Problem, Row, ServerContext } from '../src/tokens';
import { cluster } from './factories';

const ROW = { view: cluster() } as Row;
const PROBLEM: Problem = { code: 'crds-missing', title: 'No', message: 'Nothing', fix: null };

function setUp(can: ServerContext['can'], rows: Row[] = [ROW], problem: Problem | null = null) {
  const owner = {};
  const model = {
    changed: new Signal<object, void>(owner),
    context: { namespace: 'default', can, problem },
    current: null,
    rows,
    find: () => rows[0] ?? null
  } as unknown as IClusters;
  const commands = new CommandRegistry();
  const execute = vi.fn();
  addClusterCommand(commands, model, 'delete-it', 'Delete', execute, 'delete');
  addClusterCommand(commands, model, 'look', 'Look', execute);
  return commands;
}

describe('a command about a cluster', () => {
  it.each([
    ['may', { delete: true }, [ROW], null, true],
    ['may not', { delete: false }, [ROW], null, false],
    ['may not something else', { scale: false }, [ROW], null, true],
    ['was not asked about', {}, [ROW], null, true],
    ['could not be asked about', { delete: false }, [ROW], PROBLEM, true],
    ['may, where there is none', { delete: true }, [], null, false]
  ] as const)('is there for who %s', (_, can, rows, problem, isEnabled) => {
    const commands = setUp(can, [...rows], problem);
    expect(commands.isEnabled('delete-it')).toBe(isEnabled);
  });

  it('that changes nothing is there for everybody', () => {
    expect(setUp({ delete: false }).isEnabled('look')).toBe(true);
  });
});
