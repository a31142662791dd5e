// @vitest-environment jsdom
import type { ServerConnection } from '@jupyterlab/services';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { backoffMs, ClusterStream } from '../src/api/stream';
import type { Connection, StreamMessage } from '../src/tokens';

class FakeSocket {
  static all: FakeSocket[] = [];
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }

  close(): void {
    this.onclose?.();
  }

  say(message: StreamMessage): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

const SNAPSHOT: StreamMessage = { type: 'snapshot', clusters: [], problem: null };
const settings = {
  wsUrl: 'ws://host/notebook/default/demo/',
  token: 'secret',
  appendToken: true,
  WebSocket: FakeSocket
} as unknown as ServerConnection.ISettings;

describe('the stream', () => {
  let states: Connection[];
  let messages: StreamMessage[];
  let stream: ClusterStream;
  const last = (): FakeSocket => FakeSocket.all[FakeSocket.all.length - 1]!;

  beforeEach(() => {
    vi.useFakeTimers();
    FakeSocket.all = [];
    states = [];
    messages = [];
    stream = new ClusterStream(settings, 'team-a', {
      onMessage: message => messages.push(message),
      onConnection: connection => states.push(connection)
    });
  });

  afterEach(() => {
    stream.dispose();
    vi.useRealTimers();
  });

  it('goes to the server with its prefix, and with its token', () => {
    expect(last().url).toBe(
      'ws://host/notebook/default/demo/dask-k8s/api/stream?namespace=team-a&token=secret'
    );
  });

  it('counts as open only once it said something', () => {
    expect(states.map(state => state.phase)).toEqual(['connecting']);
    last().say(SNAPSHOT);
    expect(states.map(state => state.phase)).toEqual(['connecting', 'open']);
    expect(messages).toEqual([SNAPSHOT]);
  });

  it('comes back by itself, later every time, and says when', () => {
    const waits = [0, 1, 2].map(() => {
      last().close();
      const state = states[states.length - 1] as Extract<Connection, { phase: 'lost' }>;
      const waitMs = state.retryAtMs - Date.now();
      vi.advanceTimersByTime(waitMs);
      return waitMs;
    });
    expect(FakeSocket.all).toHaveLength(4);
    expect(waits[0]).toBeLessThan(waits[1]!);
    expect(waits[1]).toBeLessThan(waits[2]!);
    expect(states[states.length - 1]).toEqual({ phase: 'connecting', isRetry: true });
  });

  it('begins anew with short delays after it was open', () => {
    last().close();
    vi.runOnlyPendingTimers();
    last().say(SNAPSHOT);
    last().close();
    const state = states[states.length - 1] as Extract<Connection, { phase: 'lost' }>;
    expect(state.retryAtMs - Date.now()).toBeLessThanOrEqual(1250);
  });

  it('tries at once when asked, and once only', () => {
    last().close();
    stream.retryNow();
    stream.retryNow();
    vi.runOnlyPendingTimers();
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('is silent after its end', () => {
    const socket = last();
    stream.dispose();
    socket.say(SNAPSHOT);
    vi.runOnlyPendingTimers();
    expect(messages).toEqual([]);
    expect(FakeSocket.all).toHaveLength(1);
  });
});

describe('the delay between attempts', () => {
  it.each([
    [0, 0, 750],
    [0, 1, 1250],
    [3, 0.5, 8000],
    [20, 0.5, 30_000]
  ])('attempt %d with luck %d is %d ms', (attempt, random, expected) => {
    expect(backoffMs(attempt, random)).toBe(expected);
  });
});
