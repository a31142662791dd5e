/**
 * Sends the last of many wishes: quick clicks become one request, and requests of one cluster never
 * overtake each other.
 */

/** Long enough to gather the clicks of a stepper, short enough that nobody waits for it. */
export const QUIET_MS = 250;

interface Slot {
  timer: ReturnType<typeof setTimeout> | null;
  send: (() => Promise<void>) | null;
  isSending: boolean;
}

export class Outbox {
  /** Send after a quiet moment, in place of whatever was put for `key` and not yet sent. */
  put(key: string, send: () => Promise<void>): void {
    const slot = this.slots.get(key) ?? { timer: null, send: null, isSending: false };
    this.slots.set(key, slot);
    slot.send = send;
    if (slot.timer !== null) {
      clearTimeout(slot.timer);
    }
    slot.timer = setTimeout(() => {
      slot.timer = null;
      void this.flush(key, slot);
    }, QUIET_MS);
  }

  dispose(): void {
    for (const slot of this.slots.values()) {
      if (slot.timer !== null) {
        clearTimeout(slot.timer);
      }
    }
    this.slots.clear();
  }

  private async flush(key: string, slot: Slot): Promise<void> {
    const { send } = slot;
    if (slot.isSending || !send) {
      return;
    }
    slot.send = null;
    slot.isSending = true;
    try {
      await send();
    } finally {
      slot.isSending = false;
    }
    // Something may have been put while this was under way, and its quiet moment may be over.
    if (slot.timer === null) {
      await this.flush(key, slot);
    }
  }

  private readonly slots = new Map<string, Slot>();
}
