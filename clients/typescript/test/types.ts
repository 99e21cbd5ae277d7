// Types as users meet them: it must compile, and its @ts-expect-error lines must not.
import { Fantail, FantailError, verifyTerra, type Delivery, type Outcome, type State } from "fantail-client";

export async function use(): Promise<void> {
  const client = new Fantail({ url: "http://127.0.0.1:8080", token: undefined });
  const { id, duplicate } = await client.send({ developer: "acme", event: { type: "sleep", data: [] } });
  const known: true | undefined = duplicate;
  for await (const delivery of client.deliveries({ state: ["dead"], limit: 3 })) {
    const state: State = delivery.state;
    const answer: number | undefined = delivery.last_answer?.code;
    void [state, answer, known, id];
  }
  // @ts-expect-error: no such state
  client.deliveries({ state: ["gone"] });
  // @ts-expect-error: an event has a type
  void client.send({ developer: "acme", event: { data: [] } });
  // @ts-expect-error: whose it is must be said
  void client.send({ event: { type: "sleep" } });
  // @ts-expect-error: outcomes must be looked at
  client.batcher({});
  const told = (outcome: Outcome): string => (outcome.error ? outcome.error.advice : outcome.accepted.id);
  client.batcher({ onOutcome: (outcome) => void told(outcome) });
  const link = await client.portalLink({ developer: "acme", may: ["read", "retry"], ttl: 600 });
  const url: string | undefined = link.url;
  const webhook = await verifyTerra({ secret: ["a", "b"], headers: new Headers(), body: new Uint8Array() });
  const type: string = webhook.event.type;
  const attempts: Delivery["attempts"] = (await client.delivery(id)).attempts;
  void [url, type, attempts, FantailError];
}
