// What the client does when the daemon is busy, away, slow, or something else.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import test from "node:test";
import { Fantail, FantailError } from "fantail-client";

// fake answers requests in turn, the last answer for ever, and keeps what was asked.
async function fake(t, ...answers) {
  const asked = [];
  const server = createServer(async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    asked.push({ method: req.method, url: req.url, headers: req.headers, body: Buffer.concat(chunks).toString() });
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    if (typeof answer === "function") return answer(req, res, asked.at(-1));
    res.writeHead(answer.status ?? 200, answer.headers ?? {}).end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? {}));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { asked, url: `http://127.0.0.1:${server.address().port}` };
}

const refused = (status, code, headers = {}) => ({ status, headers, body: { error: { code, message: "because" } } });
const accepted = { status: 202, body: { id: "e", reference: "r", deliveries: 1 } };
const lines = (asked) => asked.body.trimEnd().split("\n").map((line) => JSON.parse(line));

test("an event is sent again with the same key, and Retry-After is kept", async (t) => {
  const { asked, url } = await fake(t, refused(503, "unavailable", { "retry-after": "1" }), accepted);
  const began = Date.now();
  const client = new Fantail({ url, token: "token", reason: "a é", brand: "zebra" });
  await client.send({ developer: "acme", body: ' {"type":"x"}\n', reference: "ref", ordering: 1782897153000 });
  assert.ok(Date.now() - began >= 1000);
  assert.equal(asked.length, 2);
  assert.equal(asked[0].headers["idempotency-key"], asked[1].headers["idempotency-key"]);
  assert.match(asked[0].headers["idempotency-key"], /^[0-9a-f-]{36}$/);
  assert.equal(asked[1].body, ' {"type":"x"}\n');
  const h = asked[0].headers;
  assert.deepEqual([h.authorization, h["dev-id"], h["zebra-reference"], h["zebra-ordering-timestamp"], h["fantail-reason"]], ["Bearer token", "acme", "ref", "1782897153000", "a%20%C3%A9"]);
});

test("what is no event is not sent", async (t) => {
  const { asked, url } = await fake(t, accepted);
  const client = new Fantail({ url });
  assert.throws(() => client.send({ developer: "acme" }), TypeError);
  assert.throws(() => client.send({ developer: "acme", body: "", }), TypeError);
  assert.equal(asked.length, 0);
});

test("a refusal is not tried again, and says what to do", async (t) => {
  const { asked, url } = await fake(t, refused(404, "unknown_developer"));
  await assert.rejects(new Fantail({ url }).send({ developer: "nobody", event: { type: "x" } }), (error) => {
    assert.ok(error instanceof FantailError);
    assert.deepEqual([error.code, error.status, error.message, error.temporary], ["unknown_developer", 404, "because", false]);
    assert.match(error.advice, /document/);
    return true;
  });
  assert.equal(asked.length, 1);
});

test("what may do harm is tried once", async (t) => {
  const { asked, url } = await fake(t, refused(503, "unavailable"));
  const client = new Fantail({ url });
  for (const call of [() => client.test("acme", "app"), () => client.portalLink({ developer: "acme" }), () => client.replay({ developer: "acme" }), () => client.rotateSecret("acme", "app")]) await assert.rejects(call(), FantailError);
  assert.equal(asked.length, 4);
});

test("patience ends", async (t) => {
  const { asked, url } = await fake(t, refused(503, "unavailable", { "retry-after": "60" }));
  await assert.rejects(new Fantail({ url, patience: 1000 }).limits(), { code: "unavailable", retryAfter: 60 });
  assert.equal(asked.length, 1);
});

test("a fault of the network is tried again", async (t) => {
  const { asked, url } = await fake(t, (req) => req.socket.destroy(), { body: { ready: true } });
  await new Fantail({ url }).limits();
  assert.equal(asked.length, 2);
});

test("nobody there, no answer, a signal, another program, a redirect", async (t) => {
  await assert.rejects(new Fantail({ url: "http://127.0.0.1:1", patience: 0 }).limits(), { code: "no_answer", status: 0 });
  const { url } = await fake(t, () => {});
  await assert.rejects(new Fantail({ url, timeout: 50, patience: 0 }).limits(), { code: "timeout" });
  await assert.rejects(new Fantail({ url }).limits({ signal: AbortSignal.timeout(50) }), { name: "TimeoutError" });
  const html = await fake(t, { body: "<html>" });
  await assert.rejects(new Fantail({ url: html.url }).limits(), { code: "unreadable_answer" });
  const other = await fake(t, accepted);
  const away = await fake(t, { status: 307, headers: { location: other.url } });
  await assert.rejects(new Fantail({ url: away.url, token: "secret" }).limits(), FantailError);
  assert.equal(other.asked.length, 0);
});

test("addresses that are none", () => {
  for (const url of ["", "localhost:8080", "ftp://x", "http://x?y=1", "http://x/#a", "http://me:pw@x"]) assert.throws(() => new Fantail({ url }), (error) => error instanceof TypeError && !error.message.includes("pw"));
});

test("lists follow cursors over empty pages, stop at a limit, and never turn for ever", async (t) => {
  const page = (ids, next) => ({ body: { items: ids.map((id) => ({ id })), next } });
  const all = async (list) => {
    const ids = [];
    for await (const item of list) ids.push(item.id);
    return ids;
  };
  let f = await fake(t, page(["a"], "1"), page([], "2"), page(["b"], ""));
  assert.deepEqual(await all(new Fantail({ url: f.url }).deliveries({ state: ["dead", "pending"], developer: "a&b" })), ["a", "b"]);
  assert.equal(f.asked[0].url, "/v1/deliveries?state=dead&state=pending&developer=a%26b&limit=1000");
  assert.equal(f.asked[2].url, "/v1/deliveries?state=dead&state=pending&developer=a%26b&limit=1000&cursor=2");
  f = await fake(t, page(["a", "b"], "1"), page(["c", "d"], "2"));
  assert.deepEqual(await all(new Fantail({ url: f.url }).events({ limit: 3 })), ["a", "b", "c"]);
  assert.match(f.asked[1].url, /limit=1&/);
  f = await fake(t, page(["a"], "1"), page(["b"], "1"));
  await assert.rejects(all(new Fantail({ url: f.url }).events()), /does not move on/);
});

test("a batch goes on with the lines that have no answer", async (t) => {
  const ok = (n) => `{"line":${n},"status":202,"id":"e${n}","reference":"r","deliveries":1}\n`;
  const { asked, url } = await fake(
    t,
    (req, res) => {
      res.writeHead(200);
      res.write(ok(1) + '{"line":2,"status":404,"error":{"code":"unknown_developer","message":"no"}}\n{"line":3,"stat', () => res.destroy());
    },
    { status: 200, body: '{"line":1,"status":429,"error":{"code":"limited","message":"wait"}}\n' + ok(2) },
    { status: 200, body: '{"line":1,"status":200,"id":"e9","reference":"r","deliveries":1,"duplicate":true}\n' },
  );
  const requests = ["a", "b", "c", "d"].map((type) => ({ developer: "acme", event: { type } }));
  const outcomes = await new Fantail({ url }).sendBatch(requests);
  assert.deepEqual(outcomes.map((o) => o.accepted?.id ?? o.error.code), ["e1", "unknown_developer", "e9", "e2"]);
  assert.equal(outcomes[2].accepted.duplicate, true);
  assert.equal(outcomes[1].request, requests[1]);
  assert.deepEqual(asked.map((a) => lines(a).map((l) => l.event.type).join("")), ["abcd", "cd", "c"]);
  assert.equal(lines(asked[0])[2].idempotency_key, lines(asked[2])[0].idempotency_key);
});

test("a batch that is too large is halved, and one line that is too large is refused", async (t) => {
  const { asked, url } = await fake(t, (req, res, a) => {
    const all = lines(a);
    if (a.body.includes("big") || all.length > 2) return res.writeHead(413).end('{"error":{"code":"too_large","message":"no"}}');
    res.writeHead(200).end(all.map((l, i) => `{"line":${i + 1},"status":202,"id":"${l.event.type}","reference":"r","deliveries":1}\n`).join(""));
  });
  const outcomes = await new Fantail({ url }).sendBatch(["a", "b", "big", "c"].map((type) => ({ developer: "acme", event: { type } })));
  assert.deepEqual(outcomes.map((o) => o.accepted?.id ?? o.error.code), ["a", "b", "too_large", "c"]);
  assert.ok(asked.length >= 4);
});

test("a line that the daemon did not read goes again", async (t) => {
  const ok = (n, id) => `{"line":${n},"status":202,"id":"${id}","reference":"r","deliveries":1}\n`;
  const unread = '{"line":2,"status":413,"error":{"code":"too_large","message":"none is read from here on"}}\n';
  const { url } = await fake(t, { status: 200, body: ok(1, "first") + unread }, { status: 200, body: ok(1, "second") });
  const outcomes = await new Fantail({ url }).sendBatch(["a", "b"].map((type) => ({ developer: "acme", event: { type } })));
  assert.deepEqual(outcomes.map((o) => o.accepted?.id), ["first", "second"]);
});

test("a batch whose daemon stays away tells each event, and one without rights throws", async (t) => {
  const away = await fake(t, refused(503, "unavailable"));
  const outcomes = await new Fantail({ url: away.url, patience: 0 }).sendBatch([{ developer: "acme", event: { type: "a" } }]);
  assert.equal(outcomes[0].error.code, "unavailable");
  const no = await fake(t, refused(401, "unauthorized"));
  await assert.rejects(new Fantail({ url: no.url }).sendBatch([{ developer: "acme", event: { type: "a" } }]), { status: 401 });
});

test("bodies that span lines go as base64, others as they are", async (t) => {
  const { asked, url } = await fake(t, (req, res, a) => res.writeHead(200).end(lines(a).map((_, i) => `{"line":${i + 1},"status":202,"id":"e","reference":"r","deliveries":1}\n`).join("")));
  await new Fantail({ url }).sendBatch(['{ "type" : 1.0e5 }', '{\n"type":"é"}', ' {"type":"x"}'].map((body) => ({ developer: 'a"b', body })));
  assert.ok(asked[0].body.includes('"event":{ "type" : 1.0e5 }}\n'));
  const [, two, three] = lines(asked[0]);
  assert.equal(Buffer.from(two.body, "base64").toString(), '{\n"type":"é"}');
  assert.equal(Buffer.from(three.body, "base64").toString(), ' {"type":"x"}');
});

test("the batcher gathers by count, size and time, and waits for room", async (t) => {
  const held = [];
  const { asked, url } = await fake(t, (req, res, a) => {
    const answer = () => res.writeHead(200).end(lines(a).map((l, i) => `{"line":${i + 1},"status":202,"id":"${l.event.n}","reference":"r","deliveries":1}\n`).join(""));
    held.length < 1 ? held.push(answer) : answer();
  });
  const seen = [];
  const event = (n) => ({ developer: "acme", event: { type: "x", n, pad: "x".repeat(100) } });
  const size = JSON.stringify(event(0).event).length;
  const batcher = new Fantail({ url }).batcher({ onOutcome: (o) => void seen.push(o.accepted.id), maxEvents: 3, maxWait: 20, maxPending: 4 * (size + 512) });
  for (let n = 0; n < 4; n++) await batcher.add(event(n)); // the first three are under way
  let fifth = false;
  const waiting = batcher.add(event(4)).then(() => (fifth = true));
  while (held.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(fifth, false);
  held[0]();
  await waiting;
  await batcher.close();
  assert.deepEqual(seen, ["0", "1", "2", "3", "4"]);
  assert.equal(lines(asked[0]).length, 3);
  await assert.rejects(batcher.add(event(5)), /closed/);

  const big = new Fantail({ url }).batcher({ onOutcome: () => {}, maxWait: 60_000, maxBytes: 2 * size });
  const before = asked.length;
  for (let n = 0; n < 4; n++) await big.add(event(n));
  await big.flush();
  assert.deepEqual(asked.slice(before).map((a) => lines(a).length), [2, 2]);
});

test("what a callback throws comes out of flush", async (t) => {
  const { url } = await fake(t, { status: 200, body: '{"line":1,"status":202,"id":"e","reference":"r","deliveries":1}\n' });
  const batcher = new Fantail({ url }).batcher({
    onOutcome: () => {
      throw new Error("the callback's");
    },
  });
  await batcher.add({ developer: "acme", event: { type: "x" } });
  await assert.rejects(batcher.flush(), /the callback's/);
  await batcher.close();
});

test("a callback may add, and what waits for it is refused", async (t) => {
  const { asked, url } = await fake(t, (req, res, a) => res.writeHead(200).end(lines(a).map((_, i) => `{"line":${i + 1},"status":202,"id":"e","reference":"r","deliveries":1}\n`).join("")));
  const wrong = [];
  let later;
  const batcher = new Fantail({ url }).batcher({
    maxPending: 1,
    async onOutcome({ request }) {
      await new Promise((resolve) => setImmediate(resolve));
      if (request.developer === "acme") await batcher.add({ developer: "other", body: "x".repeat(100) });
      for (const wait of ["flush", "close"]) await batcher[wait]().catch((error) => wrong.push(error.message));
      later ??= new Promise((resolve) => setImmediate(resolve)).then(() => batcher.flush()); // nothing waits for it
    },
  });
  await batcher.add({ developer: "acme", body: "{}" });
  await batcher.flush();
  await later;
  await batcher.close();
  assert.equal(wrong.length, 4);
  for (const message of wrong) assert.match(message, /onOutcome cannot/);
  assert.deepEqual(asked.flatMap(lines).map((line) => line.dev_id), ["acme", "other"]);
});

test("bounds that are undefined are the usual ones, and those that bound nothing are refused", async (t) => {
  const { asked, url } = await fake(t, (req, res, a) => res.writeHead(200).end(lines(a).map((_, i) => `{"line":${i + 1},"status":202,"id":"e","reference":"r","deliveries":1}\n`).join("")));
  const client = new Fantail({ url });
  const onOutcome = () => {};
  for (const name of ["maxEvents", "maxBytes", "maxWait", "maxPending"])
    for (const value of [NaN, -1, "many"]) assert.throws(() => client.batcher({ onOutcome, [name]: value }), { name: "RangeError", message: new RegExp(name) });
  assert.throws(() => client.batcher({ onOutcome, maxEvents: 0 }), RangeError);
  const batcher = client.batcher({ onOutcome, maxEvents: undefined, maxBytes: undefined, maxWait: undefined, maxPending: undefined });
  for (let n = 0; n < 3; n++) await batcher.add({ developer: "acme", body: "{}" });
  await batcher.close();
  assert.equal(lines(asked[0]).length, 3);
});

test("many small events are bounded, too", async (t) => {
  const { url } = await fake(t, (req, res, a) => res.writeHead(200).end(lines(a).map((_, i) => `{"line":${i + 1},"status":202,"id":"e","reference":"r","deliveries":1}\n`).join("")));
  const batcher = new Fantail({ url }).batcher({ onOutcome: () => {}, maxWait: 60_000, maxPending: 10_000 });
  let room = 0;
  const all = Array.from({ length: 100 }, () => batcher.add({ developer: "acme", body: "{}" }).then(() => room++));
  await Promise.resolve().then(() => {});
  assert.ok(room < 25, `${room} at once`);
  await Promise.all(all);
  await batcher.close();
});

test("a batch that fails halfway tells what was accepted", async (t) => {
  const { asked, url } = await fake(t, (req, res, a) => {
    if (asked.length > 1) return res.writeHead(401).end('{"error":{"code":"unauthorized","message":"no"}}');
    res.writeHead(200).end(lines(a).map((_, i) => `{"line":${i + 1},"status":202,"id":"e","reference":"r","deliveries":1}\n`).join(""));
  });
  const outcomes = await new Fantail({ url }).sendBatch(Array.from({ length: 1002 }, (_, n) => ({ developer: "acme", event: { type: "x", n } })));
  assert.equal(outcomes.filter((o) => o.accepted).length, 1000);
  assert.deepEqual(outcomes.slice(1000).map((o) => [o.error.code, o.request.event.n]), [["unauthorized", 1000], ["unauthorized", 1001]]);
});

test("a proxy whose daemon is away is asked again", async (t) => {
  for (const status of [502, 504]) {
    const { asked, url } = await fake(t, { status, body: "<html>" }, accepted);
    await new Fantail({ url }).send({ developer: "acme", event: { type: "x" } });
    assert.equal(asked.length, 2);
  }
});

test("answers that are none are not believed", async (t) => {
  for (const body of ['{"line":1,"status":202}\n', "null\n", '{"ok":true}\n', '{"line":1,"status":404,"error":"no"}\n', " ".repeat(1 << 20)]) {
    const { url } = await fake(t, { status: 200, body });
    await assert.rejects(new Fantail({ url, patience: 0 }).sendBatch([{ developer: "acme", event: { type: "x" } }]), { code: "unreadable_answer" }, body.slice(0, 50));
  }
  for (const body of ['{"error":"no"}', '{"error":{"code":5,"message":{}}}', '{"error":null}', "<html>"]) {
    const { url } = await fake(t, { status: 500, body });
    await assert.rejects(new Fantail({ url }).limits(), { code: "refused", status: 500, advice: "" });
  }
  const { url } = await fake(t, refused(500, "constructor"));
  await assert.rejects(new Fantail({ url }).limits(), { code: "constructor", advice: "" });
});

test("an endless refusal is not read to its end, and its connection is given up", async (t) => {
  let ended;
  const gone = new Promise((resolve) => (ended = resolve));
  const { url } = await fake(t, (req, res) => {
    res.on("close", ended).writeHead(500);
    const more = () => {
      while (!res.destroyed && res.write(" ".repeat(1 << 20)));
    };
    res.on("drain", more);
    more();
  });
  await assert.rejects(new Fantail({ url }).limits(), { code: "unreadable_answer" });
  await gone;
});

test("a wait that is longer than a timer's longest does not end at once", async (t) => {
  const { asked, url } = await fake(t, refused(503, "unavailable", { "retry-after": "99999999999" }));
  await assert.rejects(new Fantail({ url, patience: Infinity }).limits({ signal: AbortSignal.timeout(100) }), { name: "TimeoutError" });
  assert.equal(asked.length, 1);
});
