/**
 * The live picture of one namespace's clusters, and what may be done to them.
 *
 * Guarantees that an action is seen in the rows before its request is sent, that the stream alone says
 * what is true, and that whatever fails leaves its words at the row it was about. Nothing here outlives
 * the page: another page, or a reload, gets the same picture from the server.
 */
import { type ISignal, Signal } from '@lumino/signaling';

import { ClusterRequests, ClusterStream, RequestError, type StreamListener } from '../api';
import type {
  AdaptiveRange,
  ClusterEvent,
  ClusterRef,
  ClusterView,
  Connection,
  IClusters,
  NewCluster,
  PodLogs,
  Problem,
  Row,
  ServerContext,
  StreamMessage,
  Wish
} from '../tokens';
import { Collection, keyOf } from './collection';
import { Outbox } from './outbox';
import { opposite, wishAdapt, wishScale } from './wishes';

/** How often the server is asked again while something is wrong that no stream would tell. */
const TROUBLE_POLL_MS = 10_000;
/** Events follow a change; this gathers those of one. */
const EVENTS_DELAY_MS = 500;
const LOG_LINES = 1000;

/** The half of ClusterRequests that this needs; tests bring their own. */
export type Requests = Pick<
  ClusterRequests,
  'context' | 'create' | 'scale' | 'adapt' | 'remove' | 'events' | 'logs'
>;

export type StreamFactory = (
  namespace: string,
  listener: StreamListener
) => Pick<ClusterStream, 'retryNow' | 'dispose'>;

export class ClustersModel implements IClusters {
  constructor(
    private readonly requests: Requests,
    private readonly openStream: StreamFactory
  ) {}

  get changed(): ISignal<this, void> {
    return this.#changed;
  }

  get version(): number {
    return this.#version;
  }

  get namespace(): string | null {
    return this.#namespace;
  }

  get context(): ServerContext | null {
    return this.#context;
  }

  get connection(): Connection {
    return this.#connection;
  }

  get problem(): Problem | null {
    return this.#failure ?? this.#streamProblem ?? this.#context?.problem ?? null;
  }

  get isBlind(): boolean {
    // Clusters of a silent operator are seen all the same.
    const isStreamBlind =
      this.#streamProblem !== null && this.#streamProblem.code !== 'operator-silent';
    return this.#failure !== null || isStreamBlind;
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  get current(): ClusterRef | null {
    return this.#current && this.find(this.#current)?.view ? this.#current : null;
  }

  find(ref: ClusterRef): Row | null {
    return this.#collection.get(keyOf(ref));
  }

  /** Begin with a namespace, or with that of the server's context when it is empty. */
  async start(namespace: string): Promise<void> {
    this.#namespace = namespace || null;
    await this.refreshContext();
  }

  setNamespace(namespace: string): void {
    if (namespace === this.#namespace) {
      return;
    }
    this.#stream?.dispose();
    this.#stream = null;
    this.#collection.clear();
    this.#current = null;
    this.#streamProblem = null;
    void this.start(namespace);
  }

  checkAgain(): void {
    this.#stream?.retryNow();
    void this.refreshContext();
  }

  focus(ref: ClusterRef): void {
    if (!this.#current || keyOf(this.#current) !== keyOf(ref)) {
      this.#current = { namespace: ref.namespace, name: ref.name };
      this.notify();
    }
  }

  setOpen(ref: ClusterRef, isOpen: boolean): void {
    this.#collection.setOpen(keyOf(ref), isOpen);
    if (isOpen) {
      void this.refreshEvents(ref);
    }
    this.notify();
  }

  async create(wanted: NewCluster): Promise<void> {
    const { problem, ...view } = await this.requests.create(wanted);
    // The stream may have been faster, and then knows better.
    if (!this.find(view) && view.namespace === this.#namespace) {
      this.#collection.upsert(view);
    }
    if (problem) {
      this.#collection.setComplaint(keyOf(view), problem, view.uid);
    }
    this.focus(view);
    this.notify();
  }

  scale(ref: ClusterRef, replicas: number): void {
    const row = this.find(ref);
    if (row) {
      this.wish(row, wishScale(row.view, row.wish, replicas));
    }
  }

  adapt(ref: ClusterRef, range: AdaptiveRange): void {
    const row = this.find(ref);
    if (row) {
      this.wish(row, wishAdapt(row.view, row.wish, range));
    }
  }

  takeBack(ref: ClusterRef): void {
    const row = this.find(ref);
    const back = row?.wish ? opposite(row.view, row.wish) : null;
    if (row && back) {
      this.wish(row, back);
    }
  }

  remove(ref: ClusterRef): void {
    const row = this.find(ref);
    if (row) {
      this.wish(row, { kind: 'delete' });
    }
  }

  dismissComplaint(ref: ClusterRef): void {
    this.#collection.setComplaint(keyOf(ref), null);
    this.notify();
  }

  logs(ref: ClusterRef, pod: string | null): Promise<PodLogs> {
    return this.requests.logs(ref, pod, LOG_LINES);
  }

  dispose(): void {
    this.#stream?.dispose();
    this.#outbox.dispose();
    this.#timers.forEach(timer => clearTimeout(timer));
    Signal.clearData(this);
  }

  private wish(row: Row, wish: Wish): void {
    const { view } = row;
    this.#collection.setWish(row.key, wish);
    this.#outbox.put(row.key, () => this.send(view, wish));
    this.notify();
  }

  private async send(view: ClusterView, wish: Wish): Promise<void> {
    const ref = { namespace: view.namespace, name: view.name };
    const isSuccessor = (this.find(view)?.view.uid ?? view.uid) !== view.uid;
    if (isSuccessor && wish.kind !== 'delete') {
      // Said at the row of the successor: that is where the person looks.
      this.#collection.setComplaint(keyOf(view), replacedProblem(view));
      this.notify();
      return;
    }
    try {
      if (wish.kind === 'scale') {
        await this.requests.scale(ref, wish.to);
      } else if (wish.kind === 'adapt') {
        await this.requests.adapt(ref, wish.to);
      } else {
        await this.requests.remove(ref, view.uid);
      }
    } catch (error) {
      this.#collection.setComplaint(keyOf(ref), problemOf(error), view.uid);
      this.notify();
    }
  }

  private async refreshContext(): Promise<void> {
    const asked = this.#namespace;
    try {
      const context = await this.requests.context(asked);
      if (this.#namespace !== asked) {
        return;
      }
      this.#context = context;
      this.#failure = null;
      this.#namespace = context.namespace;
      this.#stream ??= this.openStream(context.namespace, this.#listener);
    } catch (error) {
      if (this.#namespace !== asked) {
        return;
      }
      this.#failure = problemOf(error);
    }
    this.watchTrouble();
    this.notify();
  }

  /** While something is wrong that no stream would tell, look again now and then. */
  private watchTrouble(): void {
    const isTrouble = this.#failure !== null || Boolean(this.#context?.problem);
    this.later('context', isTrouble ? TROUBLE_POLL_MS : null, () => void this.refreshContext());
  }

  private async refreshEvents(ref: ClusterRef): Promise<void> {
    let events: readonly ClusterEvent[];
    try {
      events = await this.requests.events(ref);
    } catch {
      // Events are a help, not a state: what is wrong with the connection is said elsewhere.
      return;
    }
    this.#collection.setEvents(keyOf(ref), events);
    this.notify();
  }

  private onMessage(message: StreamMessage): void {
    switch (message.type) {
      case 'snapshot':
        this.#collection.replaceAll(message.clusters);
        this.setStreamProblem(message.problem);
        break;
      case 'upsert':
        this.onUpsert(message.cluster);
        break;
      case 'remove':
        this.#collection.remove(keyOf(message), message.uid);
        break;
      case 'problem':
        this.setStreamProblem(message.problem);
        break;
    }
    this.notify();
  }

  private onUpsert(view: ClusterView): void {
    this.#collection.upsert(view);
    if (this.find(view)?.isOpen && !this.#timers.has(keyOf(view))) {
      this.later(keyOf(view), EVENTS_DELAY_MS, () => void this.refreshEvents(view));
    }
  }

  private setStreamProblem(problem: Problem | null): void {
    const isOver = this.#streamProblem !== null && problem === null;
    this.#streamProblem = problem;
    if (isOver || this.#context?.problem) {
      void this.refreshContext();
    }
  }

  private onConnection(connection: Connection): void {
    this.#connection = connection;
    // A browser does not tell why a websocket was refused; a request does.
    if (connection.phase === 'lost' || this.#failure) {
      void this.refreshContext();
    }
    this.notify();
  }

  private later(key: string, delayMs: number | null, act: () => void): void {
    const timer = this.#timers.get(key);
    if (timer !== undefined) {
      clearTimeout(timer);
      this.#timers.delete(key);
    }
    if (delayMs !== null) {
      const timeout = setTimeout(() => {
        this.#timers.delete(key);
        act();
      }, delayMs);
      this.#timers.set(key, timeout);
    }
  }

  private notify(): void {
    this.#version++;
    this.#rows = this.#collection.rows;
    this.#changed.emit();
  }

  readonly #changed = new Signal<this, void>(this);
  readonly #listener: StreamListener = {
    onMessage: message => this.onMessage(message),
    onConnection: connection => this.onConnection(connection)
  };
  readonly #collection = new Collection();
  readonly #outbox = new Outbox();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #stream: ReturnType<StreamFactory> | null = null;
  #version = 0;
  #rows: readonly Row[] = [];
  #namespace: string | null = null;
  #context: ServerContext | null = null;
  #failure: Problem | null = null;
  #streamProblem: Problem | null = null;
  #connection: Connection = { phase: 'connecting', isRetry: false };
  #current: ClusterRef | null = null;
}

/** Words for a wish whose cluster was replaced before it was sent. */
function replacedProblem(view: ClusterView): Problem {
  return {
    code: 'replaced',
    title: 'Another cluster has that name now',
    message: `${keyOf(view)} was deleted and made anew meanwhile; the new one was left as it is.`,
    fix: 'Ask again if it was meant for the new one.'
  };
}

/** Words for whatever was thrown. */
export function problemOf(error: unknown): Problem {
  if (error instanceof RequestError) {
    return error.problem;
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'error', title: 'Something went wrong', message, fix: null };
}
