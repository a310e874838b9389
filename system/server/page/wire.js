// Socket.IO 5 over Engine.IO 4 on one WebSocket: what a frame says, and a connection that answers pings, matches acks
// and notices when the node falls silent. Deliberately absent: reconnection and everything about chat, which chat.js
// decides; binary packets, other namespaces and polling, which a chat node does not speak.

/** A frame that is no packet of ours. */
export class Malformed extends Error {}

/**
 * Reads one text frame.
 * @param {string} frame
 * @returns {{ type: string, id?: number, data?: any }} `data` is the parsed JSON: the handshake of `open`, the
 *   arguments of `event` and `ack`, the body of `connect` and `connect_error`.
 */
export function read(frame) {
  switch (frame[0]) {
    case "0": return { type: "open", data: json(frame.slice(1)) };
    case "1": return { type: "close" };
    case "2": return { type: "ping" };
    case "6": return { type: "noop" };
    case "4": return readPacket(frame);
    default: throw new Malformed(`no packet: ${frame.slice(0, 40)}`);
  }
}

function readPacket(frame) {
  const [, digits, rest] = /^(\d*)(.*)$/s.exec(frame.slice(2));
  const id = digits === "" ? undefined : Number(digits);
  switch (frame[1]) {
    case "0": return { type: "connect", data: json(rest || "{}") };
    case "1": return { type: "disconnect" };
    case "2": return { type: "event", id, data: list(rest) };
    case "3": return { type: "ack", id, data: list(rest) };
    case "4": return { type: "connect_error", data: json(rest || "{}") };
    default: throw new Malformed(`no packet: ${frame.slice(0, 40)}`);
  }
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Malformed(`no JSON: ${text.slice(0, 40)}`);
  }
}

function list(text) {
  const data = json(text);
  if (!Array.isArray(data)) throw new Malformed(`no arguments: ${text.slice(0, 40)}`);
  return data;
}

/** A CONNECT to the main namespace. */
export const connect = (auth) => `40${JSON.stringify(auth)}`;

/** An event that asks for an ack. */
export const event = (id, name, payload) => `42${id}${JSON.stringify([name, payload])}`;

/** How long a node may take to accept us, in milliseconds. */
const CONNECT_WITHIN = 5000;

/**
 * One connection, from the dial to its end; it is never used again. `told` hears:
 * `event(name, payload)`, and once `closed(why, refusal)`: `refusal` is `{ code, message }` when the node refused us.
 */
export class Connection {
  #socket;
  #told;
  #acks = new Map();
  #asked = 0;
  #silence;
  #liveness = CONNECT_WITHIN;

  constructor(url, auth, told) {
    this.#told = told;
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => this.#frame(data, auth);
    this.#socket.onclose = () => this.#end("the connection was lost");
    this.#heard();
  }

  /** Sends an event; `answered(payload)` is called at most once, and never after the end. */
  ask(name, payload, answered) {
    const id = this.#asked++;
    this.#acks.set(id, answered);
    this.#socket.send(event(id, name, payload));
  }

  /** Ends it without a word to `told`. */
  close() {
    this.#told = null;
    this.#end();
  }

  #frame(data, auth) {
    if (!this.#told) return;
    this.#heard();
    try {
      this.#packet(typeof data === "string" ? read(data) : { type: "binary" }, auth);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#end(`the server sent ${error.message}`);
    }
  }

  #packet({ type, id, data }, auth) {
    switch (type) {
      case "open":
        this.#liveness = data.pingInterval + data.pingTimeout;
        this.#heard();
        return this.#socket.send(connect(auth));
      case "ping": return this.#socket.send("3");
      case "event": return this.#told.event(data[0], data[1]);
      case "ack": return this.#answer(id, data[0]);
      case "connect_error": return this.#end(data.message, { code: data.data?.code, message: data.message });
      case "close":
      case "disconnect": return this.#end("the server closed the connection");
      case "connect":
      case "noop": return undefined;
      default: throw new Malformed(`a ${type} packet`);
    }
  }

  #answer(id, payload) {
    const answered = this.#acks.get(id);
    this.#acks.delete(id);
    answered?.(payload);
  }

  #heard() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#end("the server does not answer"), this.#liveness);
  }

  #end(why, refusal) {
    clearTimeout(this.#silence);
    this.#acks.clear();
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    const told = this.#told;
    this.#told = null;
    told?.closed(why, refusal);
  }
}
