// The page's modules by themselves, run in the page: returns { passed, failed }.
const at = (file) => import(new URL(file, document.querySelector("script[src]").src));
const { read, event, connect, Malformed } = await at("wire.js");
const { Room, SHOWN } = await at("room.js");
const { Outbox, HORIZON } = await at("outbox.js");
const { backoff } = await at("chat.js");

const report = { passed: 0, failed: [] };
const test = (promise, run) => {
  try {
    run();
    report.passed += 1;
  } catch (error) {
    report.failed.push(`${promise}: ${error.message}`);
  }
};
const same = (found, wanted) => {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${a} is not ${b}`);
};
/** Reproducible, so that a failure can be looked at: mulberry32. */
const random = ((seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
})(7);

test("packets are read", () => {
  same(read('0{"pingInterval":1}'), { type: "open", data: { pingInterval: 1 } });
  same([read("1"), read("2"), read("6"), read("41")].map(({ type }) => type), ["close", "ping", "noop", "disconnect"]);
  same(read('40{"sid":"x"}'), { type: "connect", data: { sid: "x" } });
  same(read('42["joined",{"a":1}]').data, ["joined", { a: 1 }]);
  same(read('4312[{"id":"x"}]'), { type: "ack", id: 12, data: [{ id: "x" }] });
  same(read('44{"message":"no"}').data, { message: "no" });
  same(read('42["a","line\u2028\nb"]'.replace("\n", "\\n")).data[1], "line\u2028\nb");
});

test("what is no packet is malformed", () => {
  for (const frame of ["", "9", "4", "49", "42", "42{}", "42[", "4212", "0", "0{", "42/admin,[]", "451-[]", "\u{1f980}"]) {
    let refused = false;
    try {
      read(frame);
    } catch (error) {
      refused = error instanceof Malformed;
    }
    same([frame, refused], [frame, true]);
  }
});

test("packets are written", () => {
  same(connect({ token: "t", room: "r" }), '40{"token":"t","room":"r"}');
  same(event(7, "chat-message", { content: '"\n\ud800' }), '427["chat-message",{"content":"\\"\\n\\ud800"}]');
});

test("delays stay within their bounds and use them", () => {
  const delays = Array.from({ length: 400 }, (_, n) => backoff(1 + (n % 40), random));
  same(delays.every((delay) => delay >= 1000 && delay <= 5000), true);
  same([delays.some((d) => d < 1500), delays.some((d) => d > 4500), backoff(1, () => 1)], [true, true, 2000]);
});

const offset = (n) => n.toString(16).padStart(20, "0");
const message = (n, id = `m${n}`) => ({ id, room: "r", sender: "s", content: `${n}`, timestamp: 1, offset: offset(n) });

test("whatever comes is shown once and in order", () => {
  for (let round = 0; round < 200; round++) {
    const room = new Room("r");
    room.enter({ offset: offset(3), head: offset(10), recovered: true });
    for (let n = 0; n < 60; n++) room.receive(message(Math.floor(random() * 30)));
    const shown = room.entries.map(({ content }) => Number(content));
    same(shown.every((n, i) => n > 3 && (i === 0 || n > shown[i - 1])), true);
    same(room.position, offset(shown.at(-1) ?? 3));
  }
});

test("a position is what was received, or what the node says after a loss", () => {
  const room = new Room("r", { position: offset(9) });
  same(room.receive(message(12)), null);
  same([room.position, room.wish()], [offset(9), { room: "r", offset: offset(9) }]);
  same([room.enter({ offset: offset(4), head: offset(4), recovered: true }), room.position], [null, offset(9)]);
  same([room.enter({ offset: offset(4), head: offset(4), recovered: false }), room.position], [{ gap: true }, offset(4)]);
  same(room.receive(message(5)).content, "5");
  same(new Room("new").wish(), { room: "new" });
});

test("a room holds no more than it shows", () => {
  const room = new Room("r");
  room.enter({ offset: offset(0), head: offset(0), recovered: true });
  for (let n = 1; n <= SHOWN + 7; n++) room.receive(message(n));
  same([room.entries.length, room.entries[0].content], [SHOWN, "8"]);
  same(new Room("r", JSON.parse(JSON.stringify(room.snapshot()))).position, room.position);
});

test("without offsets everything is shown", () => {
  const room = new Room("r");
  room.enter({ offset: null, head: null, recovered: true });
  const { offset: _, ...plain } = message(1);
  same([room.receive(plain).content, room.receive(plain).content, room.position], ["1", "1", undefined]);
});

/** A node behind a bad line: it stores an id once; requests and answers get lost; the page is reloaded at times. */
test("whatever gets lost, every message is stored once and in the order of writing", () => {
  for (let round = 0; round < 300; round++) {
    let [saved, stored, written, now] = [[], [], 0, 0];
    let outbox = new Outbox([], (drafts) => (saved = JSON.parse(JSON.stringify(drafts))));
    const step = () => {
      const dice = random();
      now += Math.floor(random() * 400);
      if (dice < 0.25 && written < 12) return outbox.push("r", `${written++}`);
      if (dice < 0.35) return outbox.cut();
      if (dice < 0.4) return (outbox = new Outbox(saved, (drafts) => (saved = JSON.parse(JSON.stringify(drafts)))));
      const draft = outbox.launch("r", now);
      if (!draft) return outbox.cut();
      const { id, content, attempts } = draft;
      if (random() < 0.3) return outbox.late(draft, attempts);
      if (random() < 0.2) return outbox.refused(draft, attempts, "later", true);
      if (!stored.some((kept) => kept.id === id)) stored.push({ id, content });
      if (random() < 0.3) return outbox.late(draft, attempts);
      return random() < 0.5 ? outbox.acked(draft) : outbox.received("r", id);
    };
    for (let n = 0; n < 80; n++) step();
    for (let n = 0; outbox.waiting && n < 500; n++) {
      const draft = outbox.launch("r", now);
      if (!draft) outbox.cut();
      else if (stored.some((kept) => kept.id === draft.id) || stored.push(draft)) outbox.acked(draft);
    }
    same(stored.map(({ content }) => Number(content)), Array.from({ length: written }, (_, n) => n));
  }
});

test("one message per room is on the wire, and a retry is not overtaken", () => {
  const outbox = new Outbox([], () => {});
  for (const [room, content] of [["r", "x"], ["r", "y"], ["q", "z"]]) outbox.push(room, content);
  const first = outbox.launch("r", 0);
  same([first.content, outbox.launch("r", 0), outbox.launch("q", 0).content], ["x", null, "z"]);
  outbox.late(first, 1);
  same([outbox.launch("r", 1).content, first.attempts, outbox.launch("r", 1)], ["x", 2, null]);
  outbox.acked(first);
  same(outbox.launch("r", 2).content, "y");
});

test("what was first sent too long ago is not sent again by itself", () => {
  const outbox = new Outbox([], () => {});
  const draft = outbox.push("r", "x");
  outbox.push("r", "y");
  outbox.launch("r", 1000);
  outbox.cut();
  same(outbox.launch("r", 1000 + HORIZON).content, "y");
  same([draft.state, outbox.waiting], ["unknown", 1]);
  outbox.again(draft.id);
  same(outbox.drafts.map(({ content }) => content), ["y", "x"]);
  same(outbox.drafts[1].id === draft.id, false);
});

test("a refusal ends a message only when no attempt may have come through", () => {
  const outbox = new Outbox([], () => {});
  const draft = outbox.push("r", "x");
  outbox.launch("r", 0);
  outbox.refused(draft, 1, "no", false);
  same([draft.state, draft.reason], ["refused", "no"]);
  const other = outbox.push("r", "y");
  outbox.launch("r", 0);
  outbox.late(other, 1);
  outbox.launch("r", 1);
  outbox.refused(other, 2, "no", false);
  same(other.state, "unknown");
  same(outbox.received("r", other.id), true);
});

return report;
