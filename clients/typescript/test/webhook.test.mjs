// Cases made with Fantail's own package of signatures.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { SignatureError, verifyStandard, verifyTerra } from "fantail-client";

const cases = JSON.parse(readFileSync(process.env.FANTAIL_SIGNATURES, "utf8"));
const lower = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

async function outcome(c, more = {}) {
  const verify = c.scheme === "terra" ? verifyTerra : verifyStandard;
  try {
    const { event, id } = await verify({ secret: c.secrets, headers: lower(c.headers), body: Buffer.from(c.body, "base64"), now: c.now * 1000, ...more });
    assert.ok(event.type && id);
    return "ok";
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    return error.code;
  }
}

test("signatures", async () => {
  assert.ok(cases.length > 40);
  for (const c of cases) assert.equal(await outcome(c), c.want, `${c.scheme}: ${c.name}`);
});

test("the body as text, and headers of fetch", async () => {
  for (const c of cases.filter((c) => c.want === "ok")) {
    assert.equal(await outcome(c, { body: Buffer.from(c.body, "base64").toString(), headers: { get: (name) => lower(c.headers)[name.toLowerCase()] ?? null } }), "ok");
  }
});

test("an empty secret, no secret, and a body that was parsed are faults of the caller", async () => {
  const c = cases[0];
  for (const more of [{ secret: "" }, { secret: [] }, { secret: ["x", ""] }, { secret: ["x", undefined] }, { secret: undefined }, { body: JSON.parse("{}") }]) await assert.rejects(outcome(c, more), TypeError);
  const standard = cases.find((c) => c.scheme === "standard");
  for (const secret of ["no-prefix-at-all", "whsec_", "whsec_AAAA", "whpk_AAAA", "whsk_AAAA"]) await assert.rejects(outcome(standard, { secret }), TypeError);
});

test("a tolerance or a time that is no number lets nothing pass", async () => {
  for (const c of cases.filter((c) => c.want === "ok")) {
    assert.equal(await outcome(c, { tolerance: NaN }), "time");
    assert.equal(await outcome(c, { now: NaN }), "time");
  }
});

test("headers as a gateway has them, and twice", async () => {
  for (const c of cases.filter((c) => c.want === "ok")) {
    const upper = Object.fromEntries(Object.entries(c.headers).map(([name, value]) => [name.toUpperCase(), value]));
    assert.equal(await outcome(c, { headers: upper }), "ok");
    assert.equal(await outcome(c, { headers: { ...upper, ...lower(c.headers) } }), "malformed");
  }
});
