import { afterEach, beforeEach, describe, expect, it, type Mock, vi } from 'vitest';

import { RequestError, type StreamListener } from '../src/api';
import { ClustersModel, NewClusterDraft, type Requests } from '../src/model';
import type { ClusterView, Problem, ServerContext } from '../src/tokens';
import { cluster, counts } from './factories';

const REF = { namespace: 'default', name: 'demo' };
const CONTEXT: ServerContext = {
  namespace: 'default',
  namespaces: null,
  defaults: { name: 'dask', image: 'dask:1', n_workers: 2, cpu: '1', memory: '2Gi' },
  problem: null,
  can: { create: true }
};
const PROBLEM: Problem = { code: 'forbidden', title: 'No', message: 'You may not', fix: null };
const OPEN = { phase: 'open' } as const;

describe('the model', () => {
  let requests: { [name in keyof Requests]: Mock<Requests[name]> };
  let listener: StreamListener;
  let model: ClustersModel;
  const hear = (...clusters: ClusterView[]): void => {
    listener.onConnection(OPEN);
    listener.onMessage({ type: 'snapshot', clusters, problem: null });
  };
  const row = () => model.find(REF);

  beforeEach(async () => {
    vi.useFakeTimers();
    requests = {
      context: vi.fn(() => Promise.resolve(CONTEXT)),
      create: vi.fn(),
      scale: vi.fn(() => Promise.resolve()),
      adapt: vi.fn(() => Promise.resolve()),
      remove: vi.fn(() => Promise.resolve()),
      events: vi.fn(() => Promise.resolve([])),
      logs: vi.fn()
    };
    model = new ClustersModel(requests, (_, heard) => {
      listener = heard;
      return { retryNow: vi.fn(), dispose: vi.fn() };
    });
    await model.start('');
  });

  afterEach(() => {
    model.dispose();
    vi.useRealTimers();
  });

  it('takes the namespace of the context where none is set', () => {
    expect(model.namespace).toBe('default');
  });

  it('keeps the oldest first, whatever order they come in', () => {
    hear(
      cluster({ name: 'new', created: '2026-11-20T11:00:00Z' }),
      cluster({ name: 'b' }),
      cluster({ name: 'a' })
    );
    expect(model.rows.map(({ view }) => view.name)).toEqual(['a', 'b', 'new']);
  });

  it('shows a wish before anything is sent, and sends the last of quick ones', async () => {
    hear(cluster());
    model.scale(REF, 3);
    model.scale(REF, 4);
    expect(row()?.wish).toMatchObject({ from: 2, to: 4 });
    expect(requests.scale).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(300);
    expect(requests.scale.mock.calls).toEqual([[REF, 4]]);
  });

  it('takes a wish back with a request of its own', async () => {
    hear(cluster());
    model.scale(REF, 4);
    await vi.advanceTimersByTimeAsync(300);
    listener.onMessage({ type: 'upsert', cluster: cluster({}, 4, 2) });
    model.takeBack(REF);
    await vi.advanceTimersByTimeAsync(300);
    expect(requests.scale.mock.calls).toEqual([
      [REF, 4],
      [REF, 2]
    ]);
    listener.onMessage({ type: 'upsert', cluster: cluster() });
    expect(row()?.wish).toBeNull();
  });

  it('never lets two requests of a cluster overtake each other', async () => {
    hear(cluster());
    let finish: () => void = () => undefined;
    requests.scale.mockImplementationOnce(
      () =>
        new Promise<void>(done => {
          finish = done;
        })
    );
    model.scale(REF, 3);
    await vi.advanceTimersByTimeAsync(300);
    model.scale(REF, 5);
    await vi.advanceTimersByTimeAsync(300);
    expect(requests.scale).toHaveBeenCalledTimes(1);
    finish();
    await vi.advanceTimersByTimeAsync(0);
    expect(requests.scale.mock.calls[1]).toEqual([REF, 5]);
  });

  it('leaves the words of a failure at the row, until they are dismissed', async () => {
    hear(cluster());
    requests.scale.mockRejectedValueOnce(new RequestError(PROBLEM, 403));
    model.scale(REF, 3);
    await vi.advanceTimersByTimeAsync(300);
    expect(row()).toMatchObject({ wish: null, complaint: PROBLEM });
    model.dismissComplaint(REF);
    expect(row()?.complaint).toBeNull();
  });

  it('forgets a cluster that was deleted, and not the next of its name', () => {
    const first = cluster({ uid: '1' });
    hear(first);
    model.remove(REF);
    expect(row()?.wish).toEqual({ kind: 'delete' });
    listener.onMessage({ type: 'upsert', cluster: cluster({ uid: '2' }) });
    listener.onMessage({ type: 'remove', ...REF, uid: '1' });
    expect(row()).toMatchObject({ wish: null, view: { uid: '2' } });
  });

  it('deletes the cluster that was seen, whoever has its name by then', async () => {
    hear(cluster({ uid: '1' }));
    model.remove(REF);
    listener.onMessage({ type: 'upsert', cluster: cluster({ uid: '2' }) });
    await vi.advanceTimersByTimeAsync(300);
    expect(requests.remove).toHaveBeenCalledWith(expect.objectContaining(REF), '1');
  });

  it('blames no cluster for what failed with an earlier one of its name', async () => {
    hear(cluster({ uid: '1' }));
    requests.remove.mockRejectedValueOnce(new RequestError(PROBLEM, 404));
    model.remove(REF);
    listener.onMessage({ type: 'upsert', cluster: cluster({ uid: '2' }) });
    await vi.advanceTimersByTimeAsync(300);
    expect(requests.remove).toHaveBeenCalledTimes(1);
    expect(row()).toMatchObject({ complaint: null, view: { uid: '2' } });
  });

  it('scales no cluster because an earlier one was to be scaled, and says so at it', async () => {
    hear(cluster({ uid: '1' }));
    model.scale(REF, 9);
    listener.onMessage({ type: 'upsert', cluster: cluster({ uid: '2' }) });
    await vi.advanceTimersByTimeAsync(300);
    expect(requests.scale).not.toHaveBeenCalled();
    expect(row()).toMatchObject({
      wish: null,
      complaint: { code: 'replaced' },
      view: { uid: '2' }
    });
    expect(row()?.complaint?.message).toContain('default/demo was deleted and made anew');
  });

  it('says at the new cluster what of the wish could not be had', async () => {
    hear();
    requests.create.mockResolvedValue({ ...cluster(), problem: PROBLEM });
    await model.create({ ...REF, n_workers: 2, cpu: null, memory: null });
    expect(row()).toMatchObject({ complaint: PROBLEM });
    expect(row()?.view).not.toHaveProperty('problem');
  });

  it('takes no failure of a namespace that is left for one of the next', async () => {
    let fail: (reason: unknown) => void = () => undefined;
    requests.context.mockReturnValueOnce(new Promise((_, reject) => (fail = reject)));
    model.setNamespace('slow');
    model.setNamespace('default');
    await vi.advanceTimersByTimeAsync(0);
    fail(new RequestError({ ...PROBLEM, code: 'signed-out' }, 403));
    await vi.advanceTimersByTimeAsync(0);
    expect(model.problem).toBeNull();
  });

  it('keeps what is unfolded when the stream begins anew', () => {
    hear(cluster());
    model.setOpen(REF, true);
    hear(cluster({ workers: counts(2, 1) }));
    expect(row()?.isOpen).toBe(true);
    hear();
    expect(model.rows).toEqual([]);
  });

  it('shows a new cluster at once, but lets the stream know better', async () => {
    hear();
    requests.create.mockResolvedValueOnce(cluster({ state: 'waiting' }));
    await model.create({ ...REF, n_workers: 2, cpu: null, memory: null });
    expect(row()?.view.state).toBe('waiting');
    expect(model.current).toEqual(REF);
    hear(cluster());
    requests.create.mockResolvedValueOnce(cluster({ state: 'waiting' }));
    await model.create({ ...REF, n_workers: 2, cpu: null, memory: null });
    expect(row()?.view.state).toBe('running');
  });

  it('is blind to what the stream cannot see, but not to a silent operator', () => {
    hear(cluster());
    listener.onMessage({ type: 'problem', problem: { ...PROBLEM, code: 'api-unreachable' } });
    expect(model.isBlind).toBe(true);
    listener.onMessage({ type: 'problem', problem: { ...PROBLEM, code: 'operator-silent' } });
    expect(model.isBlind).toBe(false);
    expect(model.problem?.code).toBe('operator-silent');
  });

  it('asks why when the connection is lost, and keeps the rows', async () => {
    hear(cluster());
    requests.context.mockRejectedValue(new RequestError({ ...PROBLEM, code: 'signed-out' }, 403));
    listener.onConnection({ phase: 'lost', retryAtMs: 0 });
    await vi.advanceTimersByTimeAsync(0);
    expect(model.problem?.code).toBe('signed-out');
    expect(model.rows).toHaveLength(1);
    requests.context.mockResolvedValue(CONTEXT);
    listener.onConnection(OPEN);
    await vi.advanceTimersByTimeAsync(0);
    expect(model.problem).toBeNull();
  });

  it('looks again by itself while something is wrong, and no longer', async () => {
    requests.context.mockResolvedValueOnce({ ...CONTEXT, problem: PROBLEM });
    model.checkAgain();
    await vi.advanceTimersByTimeAsync(0);
    expect(model.problem).toEqual(PROBLEM);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(model.problem).toBeNull();
    requests.context.mockClear();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(requests.context).not.toHaveBeenCalled();
  });

  it('asks for events when a row is unfolded, and after it changed', async () => {
    hear(cluster());
    expect(requests.events).not.toHaveBeenCalled();
    model.setOpen(REF, true);
    await vi.advanceTimersByTimeAsync(0);
    expect(row()?.events).toEqual([]);
    listener.onMessage({ type: 'upsert', cluster: cluster({}, 3, 2) });
    listener.onMessage({ type: 'upsert', cluster: cluster({}, 3, 3) });
    await vi.advanceTimersByTimeAsync(1000);
    expect(requests.events).toHaveBeenCalledTimes(2);
  });

  describe('while a cluster is being described', () => {
    it('sends nothing that is known to be wrong', async () => {
      hear(cluster());
      const draft = new NewClusterDraft(model);
      draft.change({ name: 'demo' });
      expect(await draft.submit()).toBe(false);
      expect(draft.faults.name).toContain('already');
      expect(requests.create).not.toHaveBeenCalled();
    });

    it('puts a refusal at its field, until that is changed', async () => {
      const draft = new NewClusterDraft(model);
      requests.create.mockRejectedValueOnce(
        new RequestError({ ...PROBLEM, code: 'invalid', message: 'is too much' }, 400, 'memory')
      );
      expect(await draft.submit()).toBe(false);
      expect(draft.faults).toEqual({ memory: 'Is too much.' });
      draft.change({ cpu: '2' });
      expect(draft.faults).toHaveProperty('memory');
      draft.change({ memory: '1Gi' });
      expect(draft.faults).toEqual({});
    });

    it('puts a name that is taken at the name', async () => {
      const draft = new NewClusterDraft(model);
      requests.create.mockRejectedValueOnce(
        new RequestError({ ...PROBLEM, code: 'name-taken' }, 409)
      );
      await draft.submit();
      expect(draft.faults.name).toContain('already');
    });

    it('says a refusal of the whole, and sends once however often it is told to', async () => {
      const draft = new NewClusterDraft(model);
      requests.create.mockRejectedValueOnce(new RequestError(PROBLEM, 403));
      const answers = await Promise.all([draft.submit(), draft.submit()]);
      expect(answers).toEqual([false, false]);
      expect(requests.create).toHaveBeenCalledTimes(1);
      expect(draft.refusal).toBe('You may not.');
    });
  });
});
