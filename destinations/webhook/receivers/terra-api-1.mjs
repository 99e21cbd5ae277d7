// npm terra-api 1.4, with express 5. checkTerraSignature throws at what is no signature,
// and does not look at the time.
import express from "express";
import terra from "terra-api";

const secret = process.env.WEBHOOK_SECRET;
if (!secret) throw new Error("WEBHOOK_SECRET is not set");
const client = new terra.Terra("dev-id", "api-key", secret);

function genuine(header, body) {
  try {
    const age = Date.now() / 1000 - Number(/^t=(\d+),/.exec(header)[1]);
    return client.checkTerraSignature(header, body.toString()) && Math.abs(age) <= 300;
  } catch {
    return false;
  }
}

const app = express();
// The raw bytes, not express.json(): the signature is that of the bytes. Bodies have up to 32 MiB.
app.post("/hooks", express.raw({ type: "*/*", limit: "32mb" }), async (req, res) => {
  if (!genuine(req.get("terra-signature"), req.body)) return res.sendStatus(401);
  await store(req.get("x-terra-trace-id"), req.body);
  res.sendStatus(200);
});
app.listen(process.env.PORT ?? 3000, "127.0.0.1"); // behind a proxy that speaks TLS

// Keep the event here, before it is answered. A trace id that you have already is a repeat.
async function store(trace, body) {
  console.log(trace, body.length);
}
