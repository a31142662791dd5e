/**
 * Requests to the server extension: the one file that fetches.
 *
 * Guarantees that whatever fails becomes a RequestError whose problem a person can read and act on.
 * Keeps no state. Requests that nobody clicked for carry `no_track_activity`, so that an idle server
 * can still be culled.
 */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type {
  AdaptiveRange,
  ClusterEvent,
  ClusterRef,
  ClusterView,
  NewCluster,
  PodLogs,
  Problem,
  ServerContext
} from '../tokens';

export const API_PATH = 'dask-k8s/api';

/** A request that failed, with words for it, and the field of a form that it is about. */
export class RequestError extends Error {
  constructor(
    readonly problem: Problem,
    readonly status: number,
    readonly field: string | null = null
  ) {
    super(problem.message);
    this.name = 'RequestError';
  }
}

type Query = Readonly<Record<string, string>>;
const BACKGROUND: Query = { no_track_activity: '1' };

/** The HTTP half of the server extension's API. */
export class ClusterRequests {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  context(namespace: string | null): Promise<ServerContext> {
    return this.request('GET', ['context'], namespace ? { ...BACKGROUND, namespace } : BACKGROUND);
  }

  /** Beside the new cluster, what of the wish could not be had. */
  create(wanted: NewCluster): Promise<ClusterView & { readonly problem?: Problem }> {
    return this.request('POST', ['clusters'], {}, wanted);
  }

  async scale(ref: ClusterRef, replicas: number): Promise<void> {
    await this.request('PUT', [...path(ref), 'scale'], {}, { replicas });
  }

  async adapt(ref: ClusterRef, range: AdaptiveRange): Promise<void> {
    await this.request('PUT', [...path(ref), 'adapt'], {}, range);
  }

  /** Deletes the cluster with this uid and no later one of its name. */
  async remove(ref: ClusterRef, uid: string): Promise<void> {
    await this.request('DELETE', path(ref), { uid });
  }

  async events(ref: ClusterRef): Promise<readonly ClusterEvent[]> {
    const answer = await this.request<{ events: ClusterEvent[] }>(
      'GET',
      [...path(ref), 'events'],
      BACKGROUND
    );
    return answer.events;
  }

  logs(ref: ClusterRef, pod: string | null, tailLines: number): Promise<PodLogs> {
    const tail = String(tailLines);
    return this.request('GET', [...path(ref), 'logs'], pod ? { pod, tail } : { tail });
  }

  private async request<T>(
    method: string,
    segments: readonly string[],
    query: Query,
    body?: object
  ): Promise<T> {
    const url =
      URLExt.join(this.settings.baseUrl, API_PATH, ...segments.map(encodeURIComponent)) +
      URLExt.objectToQueryString({ ...query });
    const init: RequestInit = body
      ? { method, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }
      : { method };
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(url, init, this.settings);
    } catch (cause) {
      throw new RequestError(serverUnreachable(cause), 0);
    }
    const answer = await readJson(response);
    if (!response.ok) {
      throw refusal(response, answer);
    }
    return answer as T;
  }
}

function path(ref: ClusterRef): string[] {
  return ['clusters', ref.namespace, ref.name];
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return text ? (JSON.parse(text) as unknown) : null;
  } catch {
    return null;
  }
}

function refusal(response: Response, answer: unknown): RequestError {
  const { problem, field } = (answer ?? {}) as { problem?: Problem; field?: string };
  return new RequestError(problem ?? withoutWords(response), response.status, field ?? null);
}

function serverUnreachable(cause: unknown): Problem {
  return {
    code: 'server-unreachable',
    title: 'The notebook server does not answer',
    message: cause instanceof Error ? cause.message : String(cause),
    fix: 'Look whether it still runs, or whether the network is down.'
  };
}

/** Words for an answer that is not from our extension: a proxy, a login page, or nobody at all. */
function withoutWords(response: Response): Problem {
  if (response.status === 404) {
    return {
      code: 'extension-missing',
      title: 'The server half of this extension is not running',
      message: 'The notebook server knows nothing of Dask clusters.',
      fix: 'Run `jupyter server extension enable dask_k8s_jupyter.server` and restart the server.'
    };
  }
  if (response.status === 401 || response.status === 403) {
    return {
      code: 'signed-out',
      title: 'The notebook server wants you to sign in again',
      message: `It answered ${response.status} ${response.statusText}.`,
      fix: 'Reload this page.'
    };
  }
  return {
    code: 'error',
    title: 'The notebook server could not do this',
    message: `It answered ${response.status} ${response.statusText}.`,
    fix: 'Its log says more.'
  };
}
