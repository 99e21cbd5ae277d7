// Verifies webhooks with the libraries that receivers use. Reads a JSON array of
// cases from standard input and writes one result per case, in order:
//   { library, secret, body, header }                  terra-api-1, terra-api-2
//   { library, secret, body, id, timestamp, header }   standardwebhooks, ed25519
// body is base64, so that no JSON of ours touches its bytes; a receiver's
// framework hands it over as text. A result is { ok, error }.
import { createPublicKey, verify } from 'node:crypto';
import terra1 from 'terra-api-1';
import { verifyTerraWebhookSignature } from 'terra-api-2';
import standardwebhooks from 'standardwebhooks';

const libraries = {
  'terra-api-1': (c, body) => new terra1.Terra('dev-id', 'api-key', c.secret).checkTerraSignature(c.header, body),
  'terra-api-2': (c, body) => verifyTerraWebhookSignature(body, c.header, c.secret),
  standardwebhooks: (c, body) => {
    new standardwebhooks.Webhook(c.secret).verify(body, {
      'webhook-id': c.id,
      'webhook-timestamp': c.timestamp,
      'webhook-signature': c.header,
    });
    return true; // it throws what it refuses
  },
  // No library on npm verifies v1a: this is the specification in Node's own crypto.
  ed25519: (c, body) => {
    const x = Buffer.from(c.secret.replace(/^whpk_/, ''), 'base64').toString('base64url');
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    const content = Buffer.from(`${c.id}.${c.timestamp}.${body}`, 'utf8');
    return c.header.split(' ').some((s) => {
      const [version, signature] = s.split(',');
      return version === 'v1a' && verify(null, content, key, Buffer.from(signature, 'base64'));
    });
  },
};

let input = '';
for await (const chunk of process.stdin.setEncoding('utf8')) input += chunk;
const results = [];
for (const c of JSON.parse(input)) {
  try {
    const ok = await libraries[c.library](c, Buffer.from(c.body, 'base64').toString('utf8'));
    results.push({ ok: ok === true, error: '' });
  } catch (e) {
    results.push({ ok: false, error: String(e) });
  }
}
process.stdout.write(JSON.stringify(results));
