// The client and the real daemon.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import test from "node:test";
import { Fantail, verifyStandard, verifyTerra } from "fantail-client";

const client = new Fantail({ url: process.env.FANTAIL_URL, token: process.env.FANTAIL_TOKEN, reason: "a test" });
const developer = "typescript";
const secret = "a-secret-of-the-test";
const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const genuine = [];
const forged = [];

async function until(done) {
  for (const end = Date.now() + 60_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const value = await done();
    if (value) return value;
  }
  assert.fail("it never happened");
}

async function collect(list) {
  const all = [];
  for await (const item of list) all.push(item);
  return all;
}

test("the daemon", async (t) => {
  const server = createServer(async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const given = { headers: req.headers, body: Buffer.concat(chunks) };
    try {
      const webhook = req.url === "/terra" ? await verifyTerra({ secret: ["an-old-secret-of-acme", secret], ...given }) : await verifyStandard({ secret: key, ...given });
      genuine.push({ url: req.url, ...webhook });
      res.writeHead(200).end();
    } catch (error) {
      forged.push(error);
      res.writeHead(401).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${server.address().port}`;
  const document = {
    developer,
    destinations: [
      { name: "app", kind: "webhook", settings: { url: `${url}/terra`, secret, allow_http: true } },
      { name: "standard", kind: "webhook", events: ["sleep"], settings: { url: `${url}/standard`, secret: key, signing: "standard-webhooks", allow_http: true } },
    ],
  };

  await t.test("documents", async () => {
    const dry = await client.putDeveloper(developer, document, { dryRun: true });
    assert.equal(dry.dry_run, true);
    const made = await client.putDeveloper(developer, document, { ifVersion: 0 });
    assert.equal(made.version, 1);
    await assert.rejects(client.putDeveloper(developer, document, { ifVersion: 7 }), { status: 412 });
    const { text, version } = await client.developer(developer);
    assert.ok(version === 1 && text.includes("[redacted]") && !text.includes(secret));
    await assert.rejects(client.putDeveloper(developer, "developer: typescript\nfrobnicate: 1\n"), (error) => error.faults[0].line === 2);
    await client.putDestination(developer, "third", `name: third\nkind: webhook\nsettings: { url: "${url}/x", secret: "${secret}", allow_http: true }\n`);
    assert.match((await client.destination(developer, "third")).text, /third/);
    await client.deleteDestination(developer, "third", { ifVersion: 2 });
    assert.equal((await client.restore(developer, 2)).version, 4);
    assert.equal((await client.restore(developer, 1, { allowRemoval: true })).version, 5);
    assert.deepEqual((await client.versions(developer)).map((v) => v.version), [5, 4, 3, 2, 1]);
    assert.ok((await client.version(developer, 2)).text.includes("third"));
    assert.ok((await collect(client.developers({ q: "typesc" }))).some((d) => d.developer === developer));
  });

  let event;
  await t.test("an event arrives, signed, at both webhooks", async () => {
    event = await client.send({ developer, event: { type: "sleep", user: { user_id: "u é" }, data: [] }, reference: "order-17", ordering: new Date("2026-07-01T09:12:33Z"), idempotencyKey: "k1" });
    assert.deepEqual([event.reference, event.deliveries], ["order-17", 2]);
    const again = await client.send({ developer, event: { type: "sleep", user: { user_id: "u é" }, data: [] }, idempotencyKey: "k1" });
    assert.deepEqual([again.id, again.duplicate], [event.id, true]);
    await until(() => genuine.length === 2);
    assert.deepEqual(forged, []);
    assert.deepEqual(genuine.map((g) => g.url).sort(), ["/standard", "/terra"]);
    for (const g of genuine) assert.deepEqual([g.event.user.user_id, g.id.startsWith(event.id)], ["u é", true]);
    assert.equal(Buffer.from(await client.eventBody(event.id)).toString(), '{"type":"sleep","user":{"user_id":"u é"},"data":[]}');
  });

  await t.test("a batch tells each event", async () => {
    const outcomes = await client.sendBatch([
      { developer, event: { type: "auth" } },
      { developer: "nobody", event: { type: "auth" } },
      { developer, body: '{\n"type":"auth"}' },
      { developer, body: "no JSON" },
    ]);
    assert.deepEqual(outcomes.map((o) => (o.accepted ? "accepted" : o.error.code)), ["accepted", "unknown_developer", "accepted", "invalid_json"]);
    assert.equal(Buffer.from(await client.eventBody(outcomes[2].accepted.id)).toString(), '{\n"type":"auth"}');
    let accepted = 0;
    const batcher = client.batcher({ onOutcome: (o) => void (accepted += o.accepted ? 1 : 0), maxEvents: 40 });
    for (let n = 0; n < 100; n++) await batcher.add({ developer, event: { type: "daily", n } });
    await batcher.close();
    assert.equal(accepted, 100);
  });

  await t.test("what became of it", async () => {
    const [delivery] = await until(async () => {
      const found = await collect(client.deliveries({ developer, event: event.id, state: ["delivered"], detail: true }));
      return found.length === 2 && found;
    });
    assert.deepEqual([delivery.type, delivery.last_answer.code], ["sleep", 200]);
    assert.equal((await client.delivery(delivery.id)).attempts.length, 1);
    assert.equal((await client.event(event.id)).user, "u é");
    assert.equal((await collect(client.events({ developer, type: ["daily"], limit: 30 }))).length, 30);
    assert.equal((await client.retryDelivery(delivery.id)).to, "pending");
    await until(() => genuine.length >= 3);
    assert.ok((await client.retryDeliveries({ developer, state: "dead" })).matched === 0);
    await client.cancelDeliveries({ developer });
    const replay = await client.replay({ developer, states: ["cancelled"], types: ["sleep"] });
    await until(async () => (await client.getReplay(replay.id)).state === "finished");
    assert.ok((await collect(client.replays({ developer }))).length >= 1);
    assert.ok((await client.usage({ developer, by: "destination" })).items.length >= 1);
    assert.ok((await client.audit({ developer, deep: true })).every((row) => row.balanced));
    assert.ok((await collect(client.changes({ developer, call: "retryDelivery" })))[0].reason === "a test");
    assert.equal((await client.series({ developer, destination: "app", range: "24h" })).step_seconds, 300);
  });

  await t.test("explain", async () => {
    const { destinations } = await client.explain({ developer, event: { type: "auth" } });
    assert.deepEqual(destinations.map((d) => d.decision), ["sends", "filtered"]);
    assert.ok((await client.eventTypes()).some((type) => type.type === "sleep" && type.generated));
  });

  await t.test("destinations", async () => {
    const silent = new Fantail({ url: process.env.FANTAIL_URL, token: process.env.FANTAIL_TOKEN });
    assert.equal((await silent.pause(developer, "app", "lunch")).state, "paused");
    assert.equal((await collect(client.destinations({ developer, state: "paused" })))[0].reason, "lunch");
    assert.equal((await client.resume(developer, "app")).state, "active");
    assert.ok((await collect(client.history(developer, "app"))).length >= 2);
    assert.equal((await client.check(developer, "app")).check.result, "ok");
    assert.match((await client.test(developer, "app", { type: "daily" })).reference, /^fantail-test-/);
    assert.equal((await client.rebind(developer, "app")).rebound, 0);
    assert.equal((await client.destinationSettings(developer, "app")).settings.settings.secret, "[redacted]");
    assert.ok((await client.rotateSecret(developer, "app")).secret.length >= 16);
  });

  await t.test("a link to the portal", async () => {
    const link = await client.portalLink({ developer, may: ["read", "retry"], ttl: 600 });
    assert.match(link.url, /^http:\/\/console\.example\//);
    assert.ok((await collect(client.portalLinks({ developer }))).some((l) => l.id === link.id && !l.url));
    await client.revokePortalLink(link.id);
    assert.ok(!(await collect(client.portalLinks({ developer }))).some((l) => l.id === link.id));
    await assert.rejects(client.portalLink({ developer: "nobody" }), { status: 404 });
  });

  await t.test("the daemon itself, and the end", async () => {
    assert.equal((await client.ready()).ready, true);
    assert.ok((await client.limits()).body > 0);
    assert.equal((await client.egress()).proxy, false);
    assert.ok((await client.payloadLink(event.id)).url.startsWith("http://events.example/"));
    assert.ok((await client.eraseUser(developer, "u é")).events >= 1);
    await assert.rejects(client.eventBody(event.id), { status: 410, code: "gone" });
    await assert.rejects(new Fantail({ url: process.env.FANTAIL_URL, token: "another-token-than-that" }).limits(), (error) => error.status === 401 && error.advice.includes("token"));
    await client.deleteDeveloper(developer, "erase");
    await assert.rejects(client.developer(developer), { status: 404 });
  });
});
