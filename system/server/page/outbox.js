// Messages on their way out: in order, one on the wire per room, kept over a reload with the ids they were given.
//
// Only the front of a room's lane is ever sent, so a retry can't overtake what was written after it. The same id again
// is the same message, so sending again is safe, but only while the node remembers ids: a message first sent longer
// ago than the horizon is never sent again by itself.

/** Milliseconds after which a message's outcome stays unknown; well within the node's memory for ids (15 min). */
export const HORIZON = 5 * 60_000;

/** Longest message, in UTF-16 code units: what `String.length` counts. */
export const LONGEST = 1000;

/**
 * @typedef {object} Draft
 * @property {string} id
 * @property {string} room
 * @property {string} content
 * @property {"waiting" | "sending" | "sent" | "refused" | "unknown"} state `sent`: acknowledged, not yet received
 * @property {number} attempts
 * @property {number} unanswered attempts of which nothing is known
 * @property {number} [firstSent] Unix milliseconds
 * @property {string} [reason] why it was refused
 */

export class Outbox {
  /** @type {Draft[]} in the order of writing */
  drafts;
  #save;

  /**
   * @param {Draft[]} saved
   * @param {(drafts: Draft[]) => void} save called with what must survive, after every change
   */
  constructor(saved, save) {
    this.drafts = saved;
    this.#save = save;
  }

  push(room, content) {
    const draft = { id: newId(), room, content, state: "waiting", attempts: 0, unanswered: 0 };
    this.drafts.push(draft);
    this.#changed();
    return draft;
  }

  /** Puts the room's front on the wire, unless one is there already. */
  launch(room, now) {
    for (const draft of this.drafts) {
      if (draft.room !== room || !isOpen(draft)) continue;
      if (draft.state === "sending") return null;
      if (draft.firstSent !== undefined && now - draft.firstSent >= HORIZON) {
        draft.state = "unknown";
        this.#changed();
        continue;
      }
      draft.state = "sending";
      draft.attempts += 1;
      draft.unanswered += 1;
      draft.firstSent ??= now;
      this.#changed();
      return draft;
    }
    return null;
  }

  /** An ack for any attempt is the promise. */
  acked(draft) {
    if (!this.drafts.includes(draft)) return;
    draft.state = "sent";
    this.#changed();
  }

  /** It came back as everyone else gets it: there is nothing more to do for it. */
  received(room, id) {
    const at = this.drafts.findIndex((draft) => draft.id === id && draft.room === room);
    if (at < 0) return false;
    this.drafts.splice(at, 1);
    this.#changed();
    return true;
  }

  /** What was acknowledged before a gap lies in it, and will not come. */
  missed(room) {
    this.drafts = this.drafts.filter((draft) => draft.room !== room || draft.state !== "sent");
    this.#changed();
  }

  /** A late refusal of an earlier attempt settles that attempt only. `again`: it is sent again. */
  refused(draft, attempt, reason, again) {
    if (!isOpen(draft)) return;
    draft.unanswered -= 1;
    if (attempt === draft.attempts) {
      // A refused retry says nothing about an earlier attempt that was never answered.
      const end = draft.unanswered > 0 ? "unknown" : "refused";
      draft.state = again ? "waiting" : end;
      draft.reason = again ? undefined : reason;
    }
    this.#changed();
  }

  /** The answer to this attempt is late: it is sent again. */
  late(draft, attempt) {
    if (draft.state !== "sending" || draft.attempts !== attempt) return;
    draft.state = "waiting";
    this.#changed();
  }

  /** The connection is gone: nothing is on the wire any more. */
  cut() {
    for (const draft of this.drafts) if (draft.state === "sending") draft.state = "waiting";
    this.#changed();
  }

  /** The room can't be had: its messages wait for nothing. */
  abandon(room, reason) {
    for (const draft of this.drafts) {
      if (draft.room !== room || !isOpen(draft)) continue;
      draft.state = draft.unanswered > 0 ? "unknown" : "refused";
      draft.reason = reason;
    }
    this.#changed();
  }

  /** By its writer's wish: gone, or written anew. A new id, because the old one's outcome may come to be known. */
  remove(id) {
    this.drafts = this.drafts.filter((draft) => draft.id !== id);
    this.#changed();
  }

  again(id) {
    const draft = this.drafts.find((draft) => draft.id === id);
    if (!draft) return;
    this.drafts = this.drafts.filter((other) => other !== draft);
    this.push(draft.room, draft.content);
  }

  removeRoom(room) {
    this.drafts = this.drafts.filter((draft) => draft.room !== room);
    this.#changed();
  }

  of(room) {
    return this.drafts.filter((draft) => draft.room === room);
  }

  /** Messages that no node has acknowledged and that will go out by themselves. */
  get waiting() {
    return this.drafts.filter(isOpen).length;
  }

  get inFlight() {
    return this.drafts.some((draft) => draft.state === "sending");
  }

  #changed() {
    const kept = this.drafts.filter((draft) => draft.state !== "sent");
    this.#save(kept.map((draft) => (draft.state === "sending" ? { ...draft, state: "waiting" } : draft)));
  }
}

function isOpen(draft) {
  return draft.state === "waiting" || draft.state === "sending";
}

/** `crypto.randomUUID` exists in secure contexts only; random values exist everywhere. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
