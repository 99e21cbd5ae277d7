// signing: standard-webhooks. npm standardwebhooks, with express 5; verify throws.
import express from "express";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET); // whsec_...; it takes no empty one

const app = express();
// The raw bytes, not express.json(): the signature is that of the bytes. Bodies have up to 32 MiB.
app.post("/hooks", express.raw({ type: "*/*", limit: "32mb" }), async (req, res) => {
  try {
    webhook.verify(req.body, req.headers);
  } catch {
    return res.sendStatus(401);
  }
  await store(req.get("webhook-id"), req.body);
  res.sendStatus(200);
});
app.listen(process.env.PORT ?? 3000, "127.0.0.1"); // behind a proxy that speaks TLS

// Keep the event here, before it is answered. An id that you have already is a repeat.
async function store(id, body) {
  console.log(id, body.length);
}
