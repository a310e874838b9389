// The page: what is shown, and what its user does. Every text from elsewhere goes in as a text node, never as markup.

import { LONGEST } from "./outbox.js";
import { SHOWN } from "./room.js";

const byId = (id) => document.getElementById(id);
const STATES = { waiting: "waiting to be sent", sending: "sending…", sent: "sent" };
/** How near to the end of the log counts as reading along, in pixels. */
const NEAR = 80;

/** An element with text and children. */
function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function time(timestamp) {
  const at = new Date(timestamp);
  if (Number.isNaN(at.getTime())) return element("time", {});
  const today = at.toDateString() === new Date().toDateString();
  const clock = { hour: "2-digit", minute: "2-digit" };
  const text = at.toLocaleString([], today ? clock : { ...clock, month: "short", day: "numeric" });
  return element("time", { dateTime: at.toISOString(), title: at.toLocaleString(), textContent: text });
}

const counted = (n, one, many) => `${n} ${n === 1 ? one : many}`;

/** `does` holds what the user can do: signIn, signOut, join, leave, show, send, again, remove, retry. */
export class View {
  #me = "";
  #room = null;
  #countdown;
  #said = [];
  #saying;
  /** Whether the end of the log is in sight, and stays so when more comes. */
  #following = true;

  constructor(does) {
    const on = (id, event, run) => byId(id).addEventListener(event, run);
    const submit = (id, run) => on(id, "submit", (event) => (event.preventDefault(), run()));
    submit("sign-in", () => does.signIn(byId("token").value.trim(), byId("first-room").value.trim()));
    submit("join", () => {
      does.join(byId("room").value.trim());
      byId("room").value = "";
    });
    submit("compose", () => this.#submit(does));
    on("content", "input", () => this.#measure());
    on("content", "keydown", (event) => {
      // Enter that ends the input of a character of another script is not the writer's.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit(does);
    });
    on("sign-out", "click", () => does.signOut());
    on("retry", "click", () => does.retry());
    on("leave", "click", () => does.leave(this.#room.name));
    on("newest", "click", () => this.#toEnd());
    on("log", "scroll", () => this.#scrolled());
    new ResizeObserver(() => this.#following && this.#toEnd()).observe(byId("log"));
    on("rooms", "click", ({ target }) => target.closest("button") && does.show(target.closest("button").value));
    on("drafts", "click", ({ target }) => does[target.name]?.(target.value));
  }

  #submit(does) {
    const field = byId("content");
    const content = field.value;
    if (content.trim() === "" || content.length > LONGEST || !this.#room) return;
    field.value = "";
    this.#measure();
    does.send(this.#room.name, content);
    this.#toEnd();
  }

  #measure() {
    const field = byId("content");
    const left = LONGEST - field.value.length;
    byId("left").textContent =
      left < 0 ? `${counted(-left, "character", "characters")} too long` : left <= 100 ? `${left} left` : "";
    field.setAttribute("aria-invalid", String(left < 0));
    byId("compose").classList.toggle("too-long", left < 0);
  }

  /** The way in. `error`: why we are here again. */
  signedOut(error = "") {
    byId("welcome").hidden = false;
    byId("chat").hidden = true;
    byId("sign-in-error").textContent = error;
    byId("sign-in-error").hidden = error === "";
    byId("entries").replaceChildren();
    byId("drafts").replaceChildren();
    clearInterval(this.#countdown);
    document.title = "Chat";
    this.#room = null;
    byId("token").focus();
  }

  signedIn(me) {
    this.#me = me;
    byId("welcome").hidden = true;
    byId("chat").hidden = false;
    byId("token").value = "";
    byId("my-name").textContent = me;
    this.notice("");
    this.#measure();
  }

  rooms(rooms, current) {
    const item = (room) => {
      const button = element("button", { type: "button", value: room.name }, element("bdi", { textContent: room.name }));
      if (room.name === current) button.setAttribute("aria-current", "true");
      if (room.unread) {
        const label = element("span", { className: "visually-hidden", textContent: " unread" });
        button.append(" ", element("span", { className: "unread", textContent: room.unread }, label));
      }
      return element("li", {}, button);
    };
    const focused = document.activeElement?.closest("#rooms button")?.value;
    byId("rooms").replaceChildren(...rooms.map(item));
    if (focused !== undefined) byId("rooms").querySelector(`[value="${CSS.escape(focused)}"]`)?.focus();
    const unread = rooms.reduce((sum, room) => sum + room.unread, 0);
    document.title = `${unread ? `(${unread}) ` : ""}${current ?? "Chat"}`;
  }

  /** Brings a room to the front; null when there is none. */
  room(room) {
    this.#room = room;
    byId("room-name").textContent = room?.name ?? "No room";
    for (const id of ["leave", "compose", "log"]) byId(id).hidden = !room;
    byId("entries").replaceChildren(...(room?.entries ?? []).map((entry) => this.#entry(entry)));
    byId("empty").hidden = !!room?.entries.length;
    this.#toEnd();
    byId(room ? "content" : "room").focus();
  }

  /** One more entry of the room in front. */
  entry(entry) {
    byId("empty").hidden = true;
    byId("entries").append(this.#entry(entry));
    if (byId("entries").childElementCount > SHOWN) byId("entries").firstElementChild.remove();
    if (this.#following) this.#toEnd();
    else byId("newest").hidden = false;
  }

  #entry({ gap, sender, content, timestamp }) {
    if (gap) {
      const text = "Some messages are missing here: the server no longer holds them.";
      return element("li", { className: "gap", textContent: text });
    }
    const head = element("p", { className: "head" }, element("bdi", { className: "sender", textContent: sender }));
    head.append(" ", time(timestamp));
    const item = element("li", {}, head, element("p", { className: "content", dir: "auto", textContent: content }));
    item.classList.toggle("mine", sender === this.#me);
    return item;
  }

  drafts(drafts, waiting) {
    byId("drafts").replaceChildren(...drafts.map((draft) => this.#draft(draft)));
    byId("queue").textContent = waiting ? `${counted(waiting, "message", "messages")} waiting to be sent` : "";
    if (this.#following) this.#toEnd();
  }

  #draft({ id, state, content, reason }) {
    const text = element("p", { className: "content", dir: "auto", textContent: content });
    const item = element("li", { className: `mine ${state}` }, text);
    if (STATES[state]) {
      item.append(element("p", { className: "head", textContent: STATES[state] }));
      return item;
    }
    const why = state === "refused" ? `not sent: ${reason}` : "perhaps not sent: the server never said";
    const again = element("button", { type: "button", className: "quiet", name: "again", value: id }, "Send again");
    const remove = element("button", { type: "button", className: "quiet", name: "remove", value: id }, "Remove");
    item.append(element("p", { className: "head" }, element("span", { textContent: why }), " ", again, " ", remove));
    return item;
  }

  /** How the connection stands. Seconds count down for the eye only; the announcer hears each change once. */
  link({ phase, why, until }) {
    clearInterval(this.#countdown);
    const texts = { idle: "Not connected", connecting: "Connecting…", up: "Connected", moving: "Changing servers…" };
    const show = (text) => (byId("link-text").textContent = text);
    byId("link").className = phase;
    byId("link").title = why ?? "";
    byId("retry").hidden = phase !== "waiting";
    if (phase !== "waiting") {
      show(texts[phase]);
      if (phase !== "connecting") this.announce(texts[phase]);
      return;
    }
    const count = () => show(`Offline, trying again in ${Math.max(1, Math.ceil((until - Date.now()) / 1000))} s`);
    count();
    this.#countdown = setInterval(count, 1000);
    this.announce(`Offline: ${why}. Trying again. What you write is kept and sent later.`);
  }

  notice(text) {
    byId("notice").textContent = text;
  }

  /** The node wants nothing from us for so many milliseconds; nobody has to wait with writing. */
  limited(ms) {
    const text = `That was fast: the rest goes out by itself in ${Math.ceil(ms / 1000)} s. Write on.`;
    byId("limited").textContent = ms ? text : "";
  }

  /** Said to screen readers, when they are free; what comes in a burst is counted instead of read. */
  announce(text) {
    this.#said.push(text);
    this.#saying ??= setTimeout(() => {
      const [said, only] = [this.#said, 3];
      byId("announcer").textContent =
        said.length <= only ? said.join(". ") : `${said.at(-1)}. And ${said.length - 1} more.`;
      this.#said = [];
      this.#saying = undefined;
    }, 500);
  }

  #scrolled() {
    const log = byId("log");
    this.#following = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
    byId("newest").hidden ||= this.#following;
  }

  #toEnd() {
    byId("log").scrollTop = byId("log").scrollHeight;
    byId("newest").hidden = true;
  }
}
