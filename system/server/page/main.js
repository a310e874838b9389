// Ties the page to the chat: signs in, and tells each what the other did.

import { Chat } from "./chat.js";
import { Store } from "./store.js";
import { View } from "./view.js";

const SOCKET = new URL("socket.io/?EIO=4&transport=websocket", document.baseURI);
SOCKET.protocol = SOCKET.protocol.replace("http", "ws");

let chat = null;
let store = null;
let me = "";
let current = null;

const view = new View({
  signIn(token, room) {
    Store.token = token;
    start(token, room);
  },
  signOut() {
    const unsent = count(chat.outbox.drafts);
    if (unsent && !confirm(`${unsent} of your messages are not sent. Sign out and drop them?`)) return;
    stop();
    store.forget();
    Store.token = null;
    view.signedOut();
  },
  join(name) {
    view.notice("");
    chat.join(name);
    show(name);
  },
  leave(name) {
    const unsent = count(chat.outbox.of(name));
    if (unsent && !confirm(`${unsent} of your messages in this room are not sent. Leave and drop them?`)) return;
    chat.leave(name);
  },
  show(name) {
    view.notice("");
    show(name);
  },
  send: (room, content) => chat.send(room, content),
  again: (id) => chat.again(id),
  remove: (id) => chat.outbox.remove(id),
  retry: () => chat.connect(),
});

/** The token's subject, for the eye; with no authentication the token itself is the name. The node decides. */
function nameIn(token) {
  try {
    const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(claims), (character) => character.charCodeAt(0));
    return String(JSON.parse(new TextDecoder().decode(bytes)).sub ?? token);
  } catch {
    return token;
  }
}

function start(token, room) {
  me = nameIn(token);
  store = new Store(me, () => view.notice("This browser does not keep your messages when the page is reloaded."));
  const save = (drafts) => (store.queue = drafts);
  chat = new Chat({ url: SOCKET, token, me, rooms: store.rooms, queue: store.queue, save, told });
  view.signedIn(me);
  if (room) chat.join(room);
  show(room ?? (chat.rooms.has(store.front) ? store.front : chat.rooms.keys().next().value));
  chat.connect();
}

function stop() {
  if (!chat) return;
  keep();
  const ended = chat;
  chat = null;
  ended.close();
}

function told(what, detail) {
  if (!chat) return;
  switch (what) {
    case "entry": return entry(detail);
    case "rooms": return chat.rooms.has(current) ? list() : show(chat.rooms.keys().next().value);
    case "queue": return queue();
    case "link": return view.link(detail);
    case "limited": return view.limited(detail);
    case "notice": return view.notice(detail);
    case "token":
      stop();
      Store.token = null;
      return view.signedOut(`${detail}. Your unsent messages are kept for when you sign in again.`);
    default: return undefined;
  }
}

function entry({ room, entry, replayed }) {
  const front = room.name === current;
  if (front) view.entry(entry);
  if (entry.gap) return view.announce("Some messages are missing.");
  if (!front || document.hidden) {
    room.unread += front ? 0 : 1;
    list();
  }
  const news = entry.sender !== me && (front || !replayed);
  if (news) view.announce(`${front ? "" : `${room.name}: `}${entry.sender}: ${entry.content}`);
  return undefined;
}

function show(name) {
  current = chat.rooms.has(name) ? name : null;
  const room = chat.rooms.get(current) ?? null;
  if (room) room.unread = 0;
  view.room(room);
  list();
  queue();
}

const list = () => view.rooms([...chat.rooms.values()], current);
const queue = () => view.drafts(current === null ? [] : chat.outbox.of(current), chat.outbox.waiting);

const count = (drafts) => drafts.filter(({ state }) => state !== "sent").length;

function keep() {
  if (!chat) return;
  store.rooms = [...chat.rooms.values()].map((room) => room.snapshot());
  store.front = current;
}

addEventListener("pagehide", keep);
document.addEventListener("visibilitychange", () => document.hidden && keep());
addEventListener("online", () => chat?.connect());
addEventListener("beforeunload", (event) => chat?.outbox.waiting && event.preventDefault());

if (Store.token) start(Store.token);
else view.signedOut();
