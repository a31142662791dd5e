/**
 * The settings of this extension, with their defaults where the registry has none.
 */
import type { ISettingRegistry } from '@jupyterlab/settingregistry';

const ID = 'dask-k8s-jupyter:plugin';

export interface Settings {
  /** Namespace to begin with; empty means that of the server's Kubernetes context. */
  readonly namespace: string;
  /** Whether Connect runs the cell that it inserts. */
  readonly runsOnConnect: boolean;
}

export async function readSettings(registry: ISettingRegistry | null): Promise<Settings> {
  let composite: Partial<Record<string, unknown>> = {};
  try {
    composite = (await registry?.load(ID))?.composite ?? {};
  } catch (error) {
    console.warn(`The settings of ${ID} cannot be read; going on with the defaults.`, error);
  }
  const { namespace, runOnConnect } = composite;
  return {
    namespace: typeof namespace === 'string' ? namespace : '',
    runsOnConnect: runOnConnect !== false
  };
}
