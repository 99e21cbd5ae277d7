import { useState } from 'preact/hooks'
import { get, getText, p, send } from '../api'
import type { ApiError } from '../api'
import { absolute, bytes, visible } from '../format'
import { useLive } from '../live'
import { usePoll } from '../poll'
import { to } from '../router'
import { useMay } from '../session'
import type { Delivery, Destination, Event as Of, Explained, Page as List, Replay as Made } from '../types'
import { useAct } from '../ui/acts'
import { ask, say } from '../ui/ask'
import { Badge } from '../ui/badge'
import { Body } from '../ui/body'
import { Card, Facts, Page } from '../ui/layout'
import { Problem } from '../ui/problem'
import { Bones, Empty } from '../ui/table'
import { When } from '../ui/time'
import { Id } from './delivery'
import { DeliveryTable } from './deliverytable'

/** Event is what was accepted: who got it, who did not and why, and its body. */
export function Event({ id }: { id: string }) {
  const event = usePoll('event' + id, 0, (signal) => get<Of>(p`/v1/events/${id}`, undefined, signal))
  const e = event.data
  const deliveries = usePoll('deliveriesof' + (e?.id ?? ''), 10_000, async (signal) => (e ? (await get<List<Delivery>>('/v1/deliveries', { event: e.id, detail: true, limit: 200 }, signal)).items : undefined))
  useLive(e && { developer: e.developer }, (items) => {
    if (items.some((a) => a.lost || a.delivery?.startsWith(e!.id))) deliveries.refresh()
  })
  return (
    <Page name="event" title={e ? `Event ${visible(e.type)}` : 'Event'} above={<a href={to.deliveries()}>Deliveries</a>} beside={e?.gone && <Badge is={e.gone} />}>
      {event.error?.status === 404 ? (
        <Empty title="There is no such event">
          <p>
            Nothing is known as <code>{id}</code>: it may be older than <code>retention</code> keeps.
          </p>
        </Empty>
      ) : (
        event.error && <Problem error={event.error} again={event.refresh} />
      )}
      {!e && !event.error && <Bones rows={10} />}
      {e && (
        <>
          <Card title="Envelope">
            <Facts
              of={[
                ['Event', <Id id={e.id} />],
                ['Developer', e.developer],
                ['Type', visible(e.type)],
                ['Version', e.version && visible(e.version)],
                ['User', e.user && <a href={to.deliveries({ user: e.user, developer: e.developer })}>{visible(e.user)}</a>],
                ['Reference', <code>{e.reference}</code>],
                ['Accepted', <When t={e.accepted} fraction />],
                ['Ordering time', <When t={e.ordering} fraction />],
                ['Body', bytes(e.size)],
              ]}
            />
          </Card>
          <Card title="Who got it" class="flush" beside={<Replay e={e} done={deliveries.refresh} />}>
            {deliveries.error && <Problem error={deliveries.error} again={deliveries.refresh} stale={deliveries.data && absolute(deliveries.at)} />}
            {!deliveries.data && !deliveries.error && <Bones rows={2} />}
            {deliveries.data?.length === 0 && <Empty title="Nobody">{e.destinations.length ? 'Its deliveries are older than what is kept.' : 'When it was accepted, no destination of its developer wanted its type.'}</Empty>}
            {deliveries.data && deliveries.data.length > 0 && <DeliveryTable caption="Deliveries of the event" items={deliveries.data} ofEvent />}
          </Card>
          <Content e={e} got={deliveries.data?.map((d) => d.destination) ?? e.destinations} />
        </>
      )}
    </Page>
  )
}

/** Content is the body, and who would get such an event now. It is read when somebody asks: that is noted in the trail. */
function Content({ e, got }: { e: Of; got: string[] }) {
  const [text, setText] = useState<string>()
  const [others, setOthers] = useState<Explained[]>()
  const [error, setError] = useState<ApiError>()
  const [busy, setBusy] = useState(false)
  const show = async () => {
    setBusy(true)
    setError(undefined)
    try {
      const body = await getText(p`/v1/events/${e.id}/body`)
      setText(body)
      const said = await send<{ destinations: Explained[] }>('POST', '/v1/explain', { body, headers: { 'dev-id': e.developer } })
      setOthers(said.destinations.filter((x) => !got.includes(x.destination)))
    } catch (err) {
      setError(err as ApiError)
    }
    setBusy(false)
  }
  if (e.gone) {
    return (
      <Card title="Body">
        <Empty title={`The body is ${e.gone}`}>{e.gone === 'erased' ? 'The data of its user was erased.' : 'It is older than retention.bodies keeps.'}</Empty>
      </Card>
    )
  }
  return (
    <Card title="Body, and who did not get it">
      {error && <Problem error={error} again={show} />}
      {text === undefined && (
        <p>
          <button type="button" disabled={busy} onClick={show}>
            {busy ? 'Reading…' : 'Show the body'}
          </button>{' '}
          <span class="dim">That it was read is noted in the trail.</span>
        </p>
      )}
      {others && others.length > 0 && (
        <ul class="findings">
          {others.map((x) => (
            <li>
              <Badge is={x.decision} /> <a href={to.destination(x.developer, x.destination)}>{x.developer}/{x.destination}</a> did not get it.{' '}
              <span class="dim">{x.decision === 'filtered' ? x.reason : `It would now${x.reason ? `: ${x.reason}` : ''}; it, or its filter, came later.`}</span>
            </li>
          ))}
        </ul>
      )}
      {others?.length === 0 && <p class="dim">Every destination of {e.developer} has a delivery of it.</p>}
      {text !== undefined && <Body text={text} save={`${e.id}.json`} />}
    </Card>
  )
}

/** Replay delivers the event once more to one destination, as a delivery of its own. */
function Replay({ e, done }: { e: Of; done: () => void }) {
  const may = useMay('replay')
  const { busy, run } = useAct()
  const [to, setTo] = useState('')
  const all = usePoll('of' + e.developer, 0, async (signal) => (may ? (await get<List<Destination>>('/v1/destinations', { developer: e.developer, limit: 1000 }, signal)).items.filter((d) => d.state !== 'removed') : []))
  if (!may || e.gone || !all.data?.length) return null
  const replay = async () => {
    const reason = await ask({
      title: `Replay the event to ${e.developer}/${to}?`,
      text: <p>It is delivered once more, as a delivery of its own with its own trace id. Nothing is made while a delivery of it is pending there.</p>,
      act: 'Replay',
    })
    if (reason === undefined) return
    let r = await send<Made>('POST', '/v1/replays', {
      body: { developer: e.developer, destination: to, events: [e.id], states: ['dead', 'delivered', 'cancelled', 'unmatched'] },
      reason,
    })
    for (let tries = 0; r.state === 'running' && tries < 20; tries++) {
      await new Promise((wake) => setTimeout(wake, 250))
      r = await get<Made>(`/v1/replays/${r.id}`)
    }
    const name = `${e.developer}/${to}`
    if (r.state === 'running') say(`The replay to ${name} has begun, and waits${r.waiting ? `: ${r.waiting}` : ''}. It stands among the replays.`)
    else if (r.made) say(`A new delivery to ${name} was made.`)
    else say(r.error || (r.gone ? 'Nothing was made: the body is gone.' : `Nothing was made: a delivery to ${name} is pending.`), true)
    done()
  }
  return (
    <form
      class="inline-form"
      onSubmit={(ev) => {
        ev.preventDefault()
        void run('Replay', replay)
      }}
    >
      <label class="unseen" for="replay-to">
        Replay to
      </label>
      <select id="replay-to" value={to} onChange={(ev) => setTo(ev.currentTarget.value)}>
        <option value="">Replay to…</option>
        {all.data.map((d) => (
          <option value={d.name}>{d.name}</option>
        ))}
      </select>
      <button type="submit" disabled={!to || !!busy}>
        Replay
      </button>
    </form>
  )
}
