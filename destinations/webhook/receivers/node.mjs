// Node.js without a library.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secret = process.env.WEBHOOK_SECRET;
if (!secret) throw new Error("WEBHOOK_SECRET is not set");

// body is the raw bytes, a Buffer: JSON that was parsed and printed again has another signature.
function genuine(header, body) {
  const [, t, v1] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(header) ?? [];
  if (!t) return false;
  const want = createHmac("sha256", secret).update(`${t}.`).update(body).digest();
  return timingSafeEqual(want, Buffer.from(v1, "hex")) && Math.abs(Date.now() / 1000 - t) <= 300;
}

async function read(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    if ((size += chunk.length) > 32 << 20) throw new Error("a body of more than 32 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

createServer(async (req, res) => {
  try {
    const body = await read(req);
    if (!genuine(req.headers["terra-signature"], body)) return res.writeHead(401).end();
    await store(req.headers["x-terra-trace-id"], body);
    res.writeHead(200).end();
  } catch (err) {
    console.error(err);
    res.writeHead(500).end(); // the event comes again
  }
}).listen(process.env.PORT ?? 3000, "127.0.0.1"); // behind a proxy that speaks TLS

// Keep the event here, before it is answered. A trace id that you have already is a repeat.
async function store(trace, body) {
  console.log(trace, body.length);
}
