// The chat client: which rooms we are in, what is sent when, and what happens when the connection or the node goes.
//
// It promises its user what the node promises it: nothing acknowledged is lost, doubled or out of order, over lost
// connections, draining nodes and reloads. It knows no element of the page; `told` hears what changed.

import { Outbox } from "./outbox.js";
import { Room } from "./room.js";
import { Connection } from "./wire.js";

/** Milliseconds. */
const ACK_WITHIN = 5000;
const JOIN_WITHIN = 30_000;
const BACKOFF = [1000, 5000];
/** When a node limits us without saying until when, and the most that a node may ask of us. */
const UNNAMED_WAIT = 1000;
const LONGEST_WAIT = 60_000;

const TOKEN_REFUSED = new Set(["unauthenticated", "token_expired", "token_invalid"]);
const ROOM_REFUSED = new Set(["room_invalid", "room_forbidden", "room_limit"]);
const TRY_AGAIN = new Set(["rate_limited", "unavailable", "draining"]);

/** Exponential with full jitter, so that a thousand clients of a node that went do not come back as one. */
export function backoff(failures, random) {
  const [shortest, longest] = BACKOFF;
  const ceiling = Math.min(shortest * 2 ** failures, longest);
  return shortest + random() * (ceiling - shortest);
}

/**
 * What `told(what, detail)` hears:
 * - `link` `{ phase, why?, until? }`: phase `idle`, `connecting`, `up`, `moving` or `waiting` (until, Unix ms)
 * - `entry` `{ room, entry, replayed }`: a message or a gap to show; `rooms`, `queue`: these changed
 * - `limited` ms: the node asks us to send nothing for so long; 0 when that is over
 * - `notice` text; `token` why: the token is not believed, another is needed
 */
export class Chat {
  /** @type {Map<string, Room>} in the order they were joined */
  rooms = new Map();
  outbox;
  #url;
  #token;
  #me;
  #told;
  #random;
  #connection = null;
  #link = { phase: "idle" };
  /** The room that CONNECT names: its answer is an event, every other's an ack. */
  #first = null;
  #failures = 0;
  #retry;
  #joining;
  #joinLater;
  #hold;
  #moving = null;
  /** The refusal that an ack carried last: the node says each a second time, as an event. */
  #refusal = null;

  /** @param {{ url: URL, token: string, me: string, rooms: object[], queue: object[], save: Function,
   *    told: (what: string, detail?: any) => void, random?: () => number }} options */
  constructor({ url, token, me, rooms, queue, save, told, random = Math.random }) {
    this.#url = url;
    this.#token = token;
    this.#me = me;
    this.#told = told;
    this.#random = random;
    for (const saved of rooms) this.rooms.set(saved.name, new Room(saved.name, saved));
    this.outbox = new Outbox(queue, (drafts) => {
      save(drafts);
      told("queue");
    });
  }

  get link() {
    return this.#link;
  }

  join(name) {
    if (this.rooms.has(name)) return;
    const room = new Room(name);
    this.rooms.set(name, room);
    this.#told("rooms");
    if (this.#link.phase === "up") this.#ask(room);
    else if (this.#link.phase === "idle") this.connect();
  }

  leave(name) {
    const room = this.rooms.get(name);
    if (!room) return;
    this.rooms.delete(name);
    this.outbox.removeRoom(name);
    this.#told("rooms");
    if (this.rooms.size === 0 || room === this.#first) this.#lost("idle");
    else if (this.#link.phase === "up") this.#connection.ask("leave", { room: name }, () => {});
  }

  send(room, content) {
    this.outbox.push(room, content);
    this.#pump();
  }

  again(id) {
    this.outbox.again(id);
    this.#pump();
  }

  /** Connects now, whatever is being waited for. */
  connect() {
    if (this.#connection) return;
    clearTimeout(this.#retry);
    const [first] = this.rooms.values();
    if (!first) return this.#say({ phase: "idle" });
    this.#say({ phase: "connecting" });
    this.#first = first;
    this.#expect(first);
    const told = { event: (name, payload) => this.#event(name, payload), closed: (...why) => this.#closed(...why) };
    this.#connection = new Connection(this.#url, { token: this.#token, ...first.wish() }, told);
  }

  /** Ends for good; what waits is kept for the next time. */
  close() {
    this.#cut();
    clearTimeout(this.#retry);
    this.#say({ phase: "idle" });
  }

  #event(name, payload) {
    switch (name) {
      case "chat-message": return this.#receive(payload);
      case "joined": return this.#entered(this.rooms.get(payload.room), payload);
      case "draining": return this.#draining(payload.reconnect_within_ms);
      case "error": return this.#error(payload);
      default: return undefined;
    }
  }

  #receive(message) {
    const room = this.rooms.get(message.room);
    const entry = room?.receive(message);
    if (!entry) return;
    const mine = message.sender === this.#me && this.outbox.received(room.name, message.id);
    this.#told("entry", { room, entry, replayed: message.offset !== undefined && message.offset <= room.head });
    if (mine) this.#pump();
  }

  #entered(room, joined) {
    if (room?.state !== "joining") return;
    const gap = room.enter(joined);
    if (gap) {
      this.outbox.missed(room.name);
      this.#told("entry", { room, entry: gap });
    }
    if (room === this.#first) this.#ready();
    else this.#pump();
  }

  /** The node has let us in: now the other rooms. */
  #ready() {
    this.#first = null;
    this.#failures = 0;
    if (!this.#moving) this.#say({ phase: "up" });
    this.#askForAll();
    this.#pump();
  }

  #askForAll() {
    for (const room of this.rooms.values()) if (room.state === "out") this.#ask(room);
  }

  #ask(room) {
    this.#expect(room);
    this.#connection.ask("join", room.wish(), (answer) => {
      if (this.rooms.get(room.name) !== room) return;
      if (answer.error) this.#joinRefused(room, this.#refused(answer.error));
      else this.#entered(room, answer);
    });
  }

  #expect(room) {
    room.state = "joining";
    clearTimeout(this.#joining);
    this.#joining = setTimeout(() => {
      const late = [...this.rooms.values()].some((room) => room.state === "joining");
      if (late) this.#closed("the server does not let us into a room");
    }, JOIN_WITHIN);
  }

  /** A limit is waited for; some refusals may be another node's yes; the others end the wish. */
  #joinRefused(room, { code, message, retry_after_ms: wait = UNNAMED_WAIT }) {
    if (this.#misplaced(room, code)) return this.#ask(room);
    if (code === "rate_limited") return this.#askLater(room, Math.min(wait, LONGEST_WAIT));
    if (TRY_AGAIN.has(code)) return this.#closed(message);
    this.#giveUp(room, message);
    if (room === this.#first) this.#ready();
    if (this.rooms.size === 0) this.#lost("idle");
  }

  /** Whether it was our offset that the node did not take for one: then it is dropped, and what it stood for is a gap. */
  #misplaced(room, code) {
    if (code !== "invalid_payload" || room.position === undefined) return false;
    this.outbox.missed(room.name);
    this.#told("entry", { room, entry: room.lose() });
    return true;
  }

  #askLater(room, wait) {
    room.state = "out";
    clearTimeout(this.#joinLater);
    // A node that is going away is asked for nothing: the next one is.
    this.#joinLater = setTimeout(() => this.#link.phase === "up" && this.#askForAll(), wait);
  }

  #giveUp(room, message) {
    this.rooms.delete(room.name);
    this.outbox.abandon(room.name, message);
    this.#told("notice", `You are not in “${room.name}”: ${message}`);
    this.#told("rooms");
  }

  /** The contract says every refusal twice when an ack was asked for, and the one of CONNECT's room only so. */
  #error({ code, message }) {
    const said = this.#refusal?.code === code && this.#refusal.message === message;
    this.#refusal = null;
    if (said) return;
    if (TOKEN_REFUSED.has(code)) this.#tokenRefused(message);
    else if (this.#first) this.#joinRefused(this.#first, { code, message });
    else this.#told("notice", message);
  }

  #refused(refusal) {
    this.#refusal = refusal;
    return refusal;
  }

  #tokenRefused(message) {
    this.close();
    this.#told("token", message);
  }

  /** Sends what may be sent: one message per room we are in. */
  #pump() {
    if (this.#link.phase !== "up" || this.#hold) return;
    for (const room of this.rooms.values()) if (room.state === "in") this.#launch(room);
  }

  #launch(room) {
    const draft = this.outbox.launch(room.name, Date.now());
    if (!draft) return;
    const { id, content, attempts: attempt } = draft;
    const late = setTimeout(() => {
      this.outbox.late(draft, attempt);
      this.#settled();
    }, ACK_WITHIN);
    this.#connection.ask("chat-message", { id, room: room.name, content }, (answer) => {
      clearTimeout(late);
      if (answer.error) this.#messageRefused(draft, attempt, this.#refused(answer.error));
      else this.outbox.acked(draft);
      this.#settled();
    });
  }

  #messageRefused(draft, attempt, { code, message, retry_after_ms: wait = UNNAMED_WAIT }) {
    this.outbox.refused(draft, attempt, message, TRY_AGAIN.has(code));
    if (code === "draining") this.#draining(UNNAMED_WAIT);
    else if (TRY_AGAIN.has(code)) this.#holdFor(Math.min(wait, LONGEST_WAIT), code);
  }

  /** The limit is the socket's, so every room waits. */
  #holdFor(wait, code) {
    clearTimeout(this.#hold);
    this.#hold = setTimeout(() => {
      this.#release();
      this.#pump();
    }, wait);
    if (code === "rate_limited") this.#told("limited", wait);
  }

  #release() {
    clearTimeout(this.#hold);
    this.#hold = undefined;
    this.#told("limited", 0);
  }

  #settled() {
    if (this.#moving?.due && !this.outbox.inFlight) this.#move();
    else this.#pump();
  }

  /** Goes within the first half of the time given, at a random moment; the second half is left for acks in flight. */
  #draining(within) {
    if (this.#moving || !this.#connection) return;
    this.#say({ phase: "moving" });
    const due = () => {
      this.#moving.due = true;
      this.#settled();
    };
    this.#moving = {
      due: false,
      soon: setTimeout(due, this.#random() * Math.min(within / 2, BACKOFF[1])),
      latest: setTimeout(() => this.#move(), within),
    };
  }

  #move() {
    this.#cut();
    this.connect();
  }

  #closed(why, refusal) {
    const first = this.#first;
    this.#cut();
    if (TOKEN_REFUSED.has(refusal?.code)) return this.#tokenRefused(refusal.message);
    if (first && this.#misplaced(first, refusal?.code)) return this.#lost("idle");
    if (ROOM_REFUSED.has(refusal?.code) && first) this.#giveUp(first, refusal.message);
    this.#lost("waiting", why);
  }

  /** Without a connection: idle when nobody wants one, else until the next try. */
  #lost(phase, why) {
    this.#cut();
    clearTimeout(this.#retry);
    if (this.rooms.size === 0) return this.#say({ phase: "idle" });
    if (phase === "idle") return this.connect();
    this.#failures += 1;
    const wait = backoff(this.#failures, this.#random);
    this.#say({ phase: "waiting", why, until: Date.now() + wait });
    this.#retry = setTimeout(() => this.connect(), wait);
  }

  #cut() {
    this.#connection?.close();
    this.#connection = this.#first = this.#refusal = null;
    clearTimeout(this.#joining);
    clearTimeout(this.#joinLater);
    clearTimeout(this.#moving?.soon);
    clearTimeout(this.#moving?.latest);
    this.#moving = null;
    this.#release();
    for (const room of this.rooms.values()) room.state = "out";
    this.outbox.cut();
  }

  #say(link) {
    this.#link = link;
    this.#told("link", link);
  }
}
