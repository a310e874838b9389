// What survives a reload of this tab: who we are, the rooms with their positions, and the queue. It is the tab's own
// (sessionStorage): two tabs are two readers with two positions, and a token is not left behind on a disk.

const TOKEN = "chat.token";

/** Reads and writes; `failed` hears once when the browser does not keep the queue. */
export class Store {
  #name;
  #failed;

  /** @param {string} name whose rooms and queue these are */
  constructor(name, failed) {
    this.#name = name;
    this.#failed = failed;
  }

  static get token() {
    return read(TOKEN);
  }

  static set token(token) {
    try {
      if (token === null) sessionStorage.removeItem(TOKEN);
      else sessionStorage.setItem(TOKEN, JSON.stringify(token));
    } catch {
      // Then the token is asked for again after a reload.
    }
  }

  get queue() {
    return read(this.#key("queue")) ?? [];
  }

  set queue(drafts) {
    if (this.#write("queue", drafts)) return;
    this.#failed?.();
    this.#failed = null;
  }

  get rooms() {
    return read(this.#key("rooms")) ?? [];
  }

  /** Snapshots of rooms. When they are too large, they are kept without what they showed, which was read. */
  set rooms(rooms) {
    if (!this.#write("rooms", rooms)) this.#write("rooms", rooms.map(emptied));
  }

  /** The room that is shown. */
  get front() {
    return read(this.#key("front"));
  }

  set front(name) {
    this.#write("front", name);
  }

  /** Nothing that anybody said stays behind; where each room was left does. */
  forget() {
    this.queue = [];
    this.#write("rooms", this.rooms.map(emptied));
  }

  #key(what) {
    return `chat.${what}.${this.#name}`;
  }

  #write(what, value) {
    try {
      sessionStorage.setItem(this.#key(what), JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }
}

function emptied({ name, position }) {
  return { name, position };
}

function read(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}
