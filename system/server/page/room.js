// One room as its reader sees it: what was received, up to where, and where something is missing.

/** Entries that are kept, for the eye and over a reload. */
export const SHOWN = 500;
export const SAVED = 100;

export class Room {
  /** On the present connection: "out", "joining" or "in". */
  state = "out";
  unread = 0;
  /** The room's end when we came in: what is not beyond it was said before. */
  head;

  /**
   * @param {string} name
   * @param {{ position?: string, entries?: object[] }} [saved] what `snapshot` gave
   */
  constructor(name, { position, entries = [] } = {}) {
    this.name = name;
    /** The last offset received: the only thing that a resume may start from. */
    this.position = position;
    this.entries = entries;
  }

  /** What asks for this room, in CONNECT or `join`. A field that has no value is left out. */
  wish() {
    return this.position === undefined ? { room: this.name } : { room: this.name, offset: this.position };
  }

  /**
   * The node's answer. One that recovered us never moves us back; one that could not names where messages follow
   * from, lower or not.
   * @returns {object | null} the gap's entry, when something is missing
   */
  enter({ offset, head, recovered }) {
    this.head = head;
    if (!(recovered && this.position > offset)) this.position = offset ?? undefined;
    this.state = "in";
    return recovered ? null : this.#add({ gap: true });
  }

  /**
   * A message from the node. What comes before `joined` can't be placed: it moves nothing, so that it is replayed.
   * @returns {object | null} its entry; null when it was here before
   */
  receive({ id, sender, content, timestamp, offset }) {
    if (this.state !== "in") return null;
    if (offset !== undefined) {
      if (this.position !== undefined && offset <= this.position) return null;
      this.position = offset;
    }
    return this.#add({ id, sender, content, timestamp });
  }

  /** Our position is none for the node: what follows begins at its head, behind the gap that is returned. */
  lose() {
    this.position = undefined;
    return this.#add({ gap: true });
  }

  #add(entry) {
    this.entries.push(entry);
    if (this.entries.length > SHOWN) this.entries.shift();
    return entry;
  }

  /** Position and entries belong together: a position that is ahead of what is shown would lose messages. */
  snapshot() {
    return { name: this.name, position: this.position, entries: this.entries.slice(-SAVED) };
  }
}
