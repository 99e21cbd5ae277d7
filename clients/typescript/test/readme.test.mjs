// The code of the README, as it stands there.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import test from "node:test";
import { Fantail } from "fantail-client";

const client = new Fantail({ url: process.env.FANTAIL_URL, token: process.env.FANTAIL_TOKEN });

async function listening(port) {
  for (const end = Date.now() + 60_000; ; ) {
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch (refused) {
      if (Date.now() > end) throw refused;
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      socket.destroy();
    }
  }
}

test("the README's code works", async (t) => {
  const port = Number(process.env.PORT);
  const secret = "a-secret-of-the-readme";
  await client.putDeveloper("acme", {
    developer: "acme",
    destinations: [{ name: "app", kind: "webhook", settings: { url: `http://127.0.0.1:${port}/`, secret, allow_http: true } }],
  });
  const files = readdirSync(".").filter((name) => /^readme\d+\.mjs$/.test(name)).sort();
  assert.ok(files.length >= 3);
  const said = {};
  const start = (file) => {
    const child = spawn(process.execPath, [file], { env: { ...process.env, WEBHOOK_SECRET: secret } });
    said[file] = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said[file] += text));
    return child;
  };
  const { readFileSync } = await import("node:fs");
  const server = files.find((file) => readFileSync(file, "utf8").includes("createServer"));
  const child = start(server);
  t.after(() => child.kill());
  await listening(port); // else the first attempt is refused, and the next one is due in 30 s
  for (const file of files.filter((file) => file !== server)) {
    const [code] = await once(start(file), "exit");
    assert.equal(code, 0, `${file}: ${said[file]}`);
  }
  for (const end = Date.now() + 60_000; !said[server].includes("sleep") && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.match(said[server], /sleep/);
  assert.ok(Object.values(said).some((text) => text.includes("http://console.example/")), JSON.stringify(said));
  const all = [];
  for await (const delivery of client.deliveries({ developer: "acme", state: ["dead"] })) all.push(delivery);
  assert.deepEqual(all, []);
});
