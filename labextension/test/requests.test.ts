// @vitest-environment jsdom
import { ServerConnection } from '@jupyterlab/services';
import { describe, expect, it } from 'vitest';

import { ClusterRequests, RequestError } from '../src/api';

const REF = { namespace: 'default', name: 'demo' };

interface Seen {
  readonly url: string;
  readonly method: string;
  readonly body: string;
}

/** Requests to a server that answers everything alike, and what it was asked. */
function serverSaying(status: number, body: unknown): { requests: ClusterRequests; seen: Seen[] } {
  const seen: Seen[] = [];
  const settings = ServerConnection.makeSettings({
    baseUrl: 'http://host/prefix/',
    token: '',
    fetch: async (input: RequestInfo | URL) => {
      const request = input as Request;
      // JupyterLab adds the time, so that no cache answers.
      const url = request.url.replace(/[?&]\d+$/, '');
      seen.push({ url, method: request.method, body: await request.text() });
      return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status });
    }
  });
  return { requests: new ClusterRequests(settings), seen };
}

async function refusalOf(promise: Promise<unknown>): Promise<RequestError> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason
  );
  expect(error).toBeInstanceOf(RequestError);
  return error as RequestError;
}

describe('a request', () => {
  it('goes below the base URL of the server', async () => {
    const { requests, seen } = serverSaying(200, {});
    await requests.scale(REF, 3);
    expect(seen).toEqual([
      {
        url: 'http://host/prefix/dask-k8s/api/clusters/default/demo/scale',
        method: 'PUT',
        body: '{"replicas":3}'
      }
    ]);
  });

  it('that nobody clicked for is no activity', async () => {
    const { requests, seen } = serverSaying(200, { events: [] });
    await requests.events(REF);
    await requests.context('team-a');
    expect(seen.map(({ url }) => url.split('?')[1])).toEqual([
      'no_track_activity=1',
      'no_track_activity=1&namespace=team-a'
    ]);
  });

  it('that is refused carries the words and the field', async () => {
    const problem = { code: 'invalid', title: 'No', message: 'Too long', fix: null };
    const { requests } = serverSaying(400, { problem, field: 'name' });
    const error = await refusalOf(requests.remove(REF, 'uid'));
    expect(error.problem).toEqual(problem);
    expect(error.field).toBe('name');
  });

  it.each([
    [404, 'extension-missing'],
    [403, 'signed-out'],
    [502, 'error']
  ])('answered with %d by somebody else has words too', async (status, code) => {
    const { requests } = serverSaying(status, '<html>');
    expect((await refusalOf(requests.context(null))).problem.code).toBe(code);
  });

  it('that reaches nobody has words too', async () => {
    const settings = ServerConnection.makeSettings({
      baseUrl: 'http://host/',
      fetch: () => Promise.reject(new TypeError('Failed to fetch'))
    });
    const error = await refusalOf(new ClusterRequests(settings).context(null));
    expect(error.problem.code).toBe('server-unreachable');
  });
});
