/**
 * The live half of the server extension's API: one websocket, opened again whenever it is lost.
 *
 * Guarantees that a connection counts as open only once it has said something (a proxy may accept a
 * websocket and then drop it), and that attempts back off up to half a minute, with jitter.
 * Interprets nothing of what it carries.
 */
import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';

import type { Connection, StreamMessage } from '../tokens';
import { API_PATH } from './requests';

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

export interface StreamListener {
  onMessage(message: StreamMessage): void;
  onConnection(connection: Connection): void;
}

/** Delay before attempt `attempt` (0 is the first after a loss); `random` lies in [0, 1). */
export function backoffMs(attempt: number, random: number): number {
  const delay = Math.min(FIRST_DELAY_MS * 2 ** attempt, LONGEST_DELAY_MS);
  return Math.round(delay * (0.75 + random / 2));
}

export class ClusterStream {
  constructor(
    private readonly settings: ServerConnection.ISettings,
    private readonly namespace: string,
    private readonly listener: StreamListener
  ) {
    window.addEventListener('online', this.retryNow);
    this.open();
  }

  /** Try again at once, unless it is open. */
  readonly retryNow = (): void => {
    if (this.timer !== null) {
      window.clearTimeout(this.timer);
      this.timer = null;
      this.open();
    }
  };

  dispose(): void {
    this.isDisposed = true;
    window.removeEventListener('online', this.retryNow);
    if (this.timer !== null) {
      window.clearTimeout(this.timer);
    }
    this.socket?.close();
  }

  private url(): string {
    const { wsUrl, token, appendToken } = this.settings;
    const query = {
      namespace: this.namespace,
      ...(appendToken && token ? { token } : {})
    };
    return URLExt.join(wsUrl, API_PATH, 'stream') + URLExt.objectToQueryString(query);
  }

  private open(): void {
    this.listener.onConnection({ phase: 'connecting', isRetry: this.attempt > 0 });
    const socket = new this.settings.WebSocket(this.url());
    this.socket = socket;
    socket.onmessage = event => this.onMessage(event.data as string);
    // An error is always followed by a close, which is where trying again begins.
    socket.onclose = () => this.onClose();
  }

  private onMessage(text: string): void {
    if (this.isDisposed) {
      return;
    }
    const message = JSON.parse(text) as StreamMessage;
    if (message.type === 'snapshot') {
      this.attempt = 0;
      this.listener.onConnection({ phase: 'open' });
    }
    this.listener.onMessage(message);
  }

  private onClose(): void {
    if (this.isDisposed) {
      return;
    }
    const delayMs = backoffMs(this.attempt++, Math.random());
    this.timer = window.setTimeout(() => {
      this.timer = null;
      this.open();
    }, delayMs);
    this.listener.onConnection({ phase: 'lost', retryAtMs: Date.now() + delayMs });
  }

  private socket: WebSocket | null = null;
  private timer: number | null = null;
  private attempt = 0;
  private isDisposed = false;
}
