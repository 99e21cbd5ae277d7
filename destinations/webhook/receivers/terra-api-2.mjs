// npm terra-api 2, with express 5. verifyTerraWebhookSignature is async and throws:
// without await it refuses nothing.
import express from "express";
import { verifyTerraWebhookSignature } from "terra-api";

const secret = process.env.WEBHOOK_SECRET;
if (!secret) throw new Error("WEBHOOK_SECRET is not set");

const app = express();
// The raw bytes, not express.json(): the signature is that of the bytes. Bodies have up to 32 MiB.
app.post("/hooks", express.raw({ type: "*/*", limit: "32mb" }), async (req, res) => {
  try {
    await verifyTerraWebhookSignature(req.body.toString(), req.get("terra-signature"), secret);
  } catch {
    return res.sendStatus(401);
  }
  await store(req.get("x-terra-trace-id"), req.body);
  res.sendStatus(200);
});
app.listen(process.env.PORT ?? 3000, "127.0.0.1"); // behind a proxy that speaks TLS

// Keep the event here, before it is answered. A trace id that you have already is a repeat.
async function store(trace, body) {
  console.log(trace, body.length);
}
