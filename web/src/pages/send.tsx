import { useState } from 'preact/hooks'
import { ApiError, get, p, request, send } from '../api'
import { usePoll } from '../poll'
import { to, useRoute } from '../router'
import { useMay, useSession } from '../session'
import type { Destination, Event, Explained, Page as List } from '../types'
import { useAct } from '../ui/acts'
import { Badge } from '../ui/badge'
import { Card, Page } from '../ui/layout'
import { Problem } from '../ui/problem'
import { Empty } from '../ui/table'
import { Follow } from './follow'

interface Sent {
  id: string
  deliveries: string[]
}

/** Send makes an event up, or takes one's own, says who would get it, sends it, and shows what becomes of it. */
export function Send() {
  const { developers } = useSession()
  const { query } = useRoute()
  const ingest = useMay('ingest')
  const test = useMay('test')
  const [developer, setDeveloper] = useState(query.get('developer') ?? developers?.[0] ?? '')
  const [target, setTarget] = useState(query.get('destination') ?? (ingest ? '' : '?'))
  const [body, setBody] = useState('')
  const [error, setError] = useState<ApiError>()
  const [said, setSaid] = useState<{ of: string; list: Explained[] }>()
  const [sent, setSent] = useState<Sent[]>([])
  const { busy, run } = useAct()
  const all = usePoll('destinations', 0, (signal) => get<List<Destination>>('/v1/destinations', { limit: 1000 }, signal))
  const known = (all.data?.items ?? []).filter((d) => d.state !== 'removed')
  const names = [...new Set(known.map((d) => d.developer))]
  // Where there are more than one answer lists, the developer's own are asked for.
  const more = all.data?.next ? developer : ''
  const theirs = usePoll('of' + more, 0, async (signal) => (more ? await get<List<Destination>>('/v1/destinations', { developer: more, limit: 1000 }, signal) : undefined))
  const own = more ? (theirs.data?.items ?? []).filter((d) => d.developer === developer && d.state !== 'removed') : known.filter((d) => d.developer === developer)
  const problem = faultOf(body)

  const guarded = (name: string, act: () => Promise<void>) =>
    run(name, async () => {
      setError(undefined)
      try {
        await act()
      } catch (e) {
        if (!(e instanceof ApiError)) throw e
        setError(e)
      }
    })
  const explain = () =>
    guarded('Look', async () => {
      const { destinations } = await send<{ destinations: Explained[] }>('POST', '/v1/explain', { body, headers: { 'dev-id': developer } })
      setSaid({ of: developer + body, list: destinations })
    })
  const deliver = () =>
    guarded('Send', async () => {
      if (target) {
        const got = await send<{ id: string; delivery: string }>('POST', p`/v1/destinations/${developer}/${target}/test`, { body })
        setSent([{ id: got.id, deliveries: [got.delivery] }, ...sent])
      } else {
        const got = await send<{ id: string }>('POST', '/v1/events', { body, headers: { 'dev-id': developer } })
        const event = await get<Event>(p`/v1/events/${got.id}`)
        setSent([{ id: got.id, deliveries: event.deliveries }, ...sent])
      }
    })
  if (!ingest && !test) {
    return (
      <Page name="send" title="Send">
        <Empty title="This session may not send">It needs a token that may ingest or operate, or a link that may test.</Empty>
      </Page>
    )
  }
  return (
    <Page name="send" title="Send">
      {all.error && <Problem error={all.error} again={all.refresh} />}
      {all.data && known.length === 0 && <Empty title="There are no destinations to send to">Give a developer one first.</Empty>}
      <div class="two">
        <Card title="The event">
          <MakeUp made={setBody} failed={setError} />
          <form
            class="stack"
            onSubmit={(e) => {
              e.preventDefault()
              void deliver()
            }}
          >
            <div>
              <label for="body">Body: a JSON object with a type; it is sent byte for byte</label>
              <textarea id="body" spellcheck={false} value={body} rows={16} aria-describedby="body-fault" onInput={(e) => setBody(e.currentTarget.value)} />
              <p id="body-fault" class="dim" aria-live="polite">
                {body ? problem : 'Make one up above, or write your own.'}
              </p>
            </div>
            <div class="fields">
              <div>
                <label for="developer">Developer</label>
                <input id="developer" required list="developers" autocomplete="off" spellcheck={false} value={developer} onInput={(e) => setDeveloper(e.currentTarget.value.trim())} />
                <datalist id="developers">
                  {names.map((n) => (
                    <option value={n} />
                  ))}
                </datalist>
              </div>
              <div>
                <label for="target">To</label>
                <select id="target" value={target} onChange={(e) => setTarget(e.currentTarget.value)}>
                  {ingest && <option value="">every destination that wants it</option>}
                  {!ingest && <option value="?">choose one</option>}
                  {test && own.map((d) => <option value={d.name}>{d.name} alone, as a test</option>)}
                </select>
              </div>
            </div>
            {error && <Problem error={error} />}
            <div class="dialog-acts">
              <button type="button" disabled={!!busy || !developer || !!problem} onClick={explain}>
                Show who would get it
              </button>
              <button type="submit" class="primary" disabled={!!busy || !developer || !!problem || target === '?'}>
                {busy === 'Send' ? 'Sending…' : 'Send'}
              </button>
            </div>
          </form>
        </Card>
        <div class="stack">
          <Card title="What became of it">
            {sent.length === 0 && <Empty title="Nothing was sent yet">Each delivery is followed here, as it happens.</Empty>}
            {sent.map((s) => (
              <section key={s.id} class="stack" aria-label={`Event ${s.id}`}>
                <p>
                  <a href={to.event(s.id)}>
                    <code>{s.id}</code>
                  </a>
                </p>
                {s.deliveries.length === 0 && <p class="notice">It was accepted, and no destination wants its type.</p>}
                {s.deliveries.slice(0, 20).map((id) => (
                  <Follow key={id} id={id} name="Delivery" />
                ))}
              </section>
            ))}
          </Card>
          {said && <Who said={said.list} old={said.of !== developer + body} />}
        </div>
      </div>
    </Page>
  )
}

/** faultOf says why a text is no event; "" where it is one. The daemon judges it again. */
function faultOf(text: string): string {
  if (!text.trim()) return 'There is no body yet.'
  try {
    const v: unknown = JSON.parse(text)
    if (typeof v !== 'object' || v === null || Array.isArray(v)) return 'It is no JSON object.'
    if (typeof (v as { type?: unknown }).type !== 'string') return 'It has no type.'
    return ''
  } catch (e) {
    return `It is no JSON: ${(e as Error).message}`
  }
}

/** MakeUp has the daemon make an event up, as its tests and `fantail generate` do. */
function MakeUp({ made, failed }: { made: (body: string) => void; failed: (e: ApiError | undefined) => void }) {
  const types = usePoll('types', 0, async (signal) => (await get<List<{ type: string; generated: boolean }>>('/v1/event-types', undefined, signal)).items.filter((t) => t.generated).map((t) => t.type))
  const [type, setType] = useState('activity')
  const [provider, setProvider] = useState('')
  const [user, setUser] = useState('')
  const [seed, setSeed] = useState('')
  const { busy, run } = useAct()
  const make = (e: SubmitEvent) => {
    e.preventDefault()
    void run('Make up', async () => {
      failed(undefined)
      try {
        // As text: a seed, and numbers of the body, may be larger than what a script's numbers hold.
        const r = await request('GET', p`/v1/event-types/${type}/example`, { query: { provider, user, seed } })
        made(await r.text())
      } catch (err) {
        failed(err as ApiError)
      }
    })
  }
  const text = (id: string, label: string, value: string, set: (v: string) => void, placeholder: string) => (
    <div>
      <label for={id}>{label}</label>
      <input id={id} value={value} placeholder={placeholder} spellcheck={false} autocomplete="off" onInput={(e) => set(e.currentTarget.value.trim())} />
    </div>
  )
  return (
    <form class="fields" onSubmit={make} aria-label="Make an event up">
      <div>
        <label for="type">Type</label>
        <select id="type" value={type} onChange={(e) => setType(e.currentTarget.value)}>
          {(types.data ?? ['activity']).map((t) => (
            <option value={t}>{t}</option>
          ))}
        </select>
      </div>
      {text('provider', 'Provider', provider, setProvider, 'GARMIN')}
      {text('user', 'User', user, setUser, 'a fresh one')}
      {text('seed', 'Seed', seed, setSeed, 'any')}
      <div class="go">
        <button type="submit" disabled={!!busy}>
          Make it up
        </button>
      </div>
    </form>
  )
}

function Who({ said, old }: { said: Explained[]; old: boolean }) {
  return (
    <Card title="Who would get it" beside={old && <span class="dim">of the body before</span>}>
      {said.length === 0 && <Empty title="Nobody">The developer has no destinations.</Empty>}
      <ul class="findings">
        {said.map((x) => (
          <li>
            <Badge is={x.decision} /> <a href={to.destination(x.developer, x.destination)}>{x.developer}/{x.destination}</a>
            {x.reason && <span class="dim wrap"> {x.reason}</span>}
            {x.request && (
              <p class="dim wrap">
                <code>{x.request.key ?? x.request.target}</code>
              </p>
            )}
          </li>
        ))}
      </ul>
    </Card>
  )
}
