import { useState } from 'preact/hooks'
import { get, p, send } from '../api'
import { absolute, acceptedAt, counted, visible } from '../format'
import { to } from '../router'
import { useMay } from '../session'
import type { Delivery as Of, Explained } from '../types'
import { useAct } from '../ui/acts'
import { ask, say } from '../ui/ask'
import { Badge } from '../ui/badge'
import { Body } from '../ui/body'
import { Card, Facts, Page } from '../ui/layout'
import { Problem } from '../ui/problem'
import { Bones, Empty, Table } from '../ui/table'
import { Copy, Text } from '../ui/text'
import { Ago, When } from '../ui/time'
import { curl, headersOf } from '../curl'
import { waiting } from './deliverytable'
import { useDelivery } from './follow'
import { TimeLine } from './timeline'
import type { ApiError } from '../api'

/** Delivery is one event on its way to one destination: every attempt, why it waits, and the request. */
export function Delivery({ id }: { id: string }) {
  const poll = useDelivery(id)
  const d = poll.data
  const missing = poll.error?.status === 404
  return (
    <Page
      name="delivery"
      title={d ? `${visible(d.type ?? 'Delivery')} to ${d.developer}/${d.destination}` : 'Delivery'}
      above={<a href={to.deliveries()}>Deliveries</a>}
      beside={
        d && (
          <>
            <Badge is={d.state} />
            <Acts d={d} changed={poll.refresh} />
          </>
        )
      }
    >
      {missing ? (
        <Empty title="There is no such delivery">
          <p>
            Nothing is known as <code>{id}</code>: it may be older than <code>retention</code> keeps.
          </p>
        </Empty>
      ) : (
        poll.error && <Problem error={poll.error} again={poll.refresh} stale={d && absolute(poll.at)} />
      )}
      {!d && !poll.error && <Bones rows={10} />}
      {d && (
        <>
          <Waiting d={d} />
          <Card title="About it">
            <Facts
              of={[
                ['Delivery', <Id id={d.id} />],
                ['Event', <a href={to.event(d.event)}><code>{d.event}</code></a>],
                ['Destination', <a href={to.destination(d.developer, d.destination)}>{d.developer}/{d.destination}</a>],
                ['Kind', d.kind],
                ['Type', d.type && visible(d.type)],
                ['User', d.user && <a href={to.deliveries({ user: d.user, developer: d.developer })}>{visible(d.user)}</a>],
                ['Accepted', <When t={acceptedAt(d.event)} fraction />],
                ['Last changed', d.changed && <When t={d.changed} fraction />],
                ['Attempts of this schedule', counted(d.tried, 'attempt')],
                ['Settings', d.frozen ? 'those of its first attempt, which may be older ones' : 'the current ones'],
              ]}
            />
          </Card>
          <Card title="What became of it">
            <TimeLine d={d} />
          </Card>
          <Request d={d} />
        </>
      )}
    </Page>
  )
}

export function Id({ id }: { id: string }) {
  return (
    <>
      <code>{id}</code> <Copy name="The id" text={id} />
    </>
  )
}

/** Waiting says why a delivery is not tried now, and why one that ended did. */
function Waiting({ d }: { d: Of }) {
  if (d.state === 'pending' && d.waits_for) {
    return (
      <p class="notice">
        It waits: {waiting[d.waits_for] ?? d.waits_for}
        {d.waits_reason && `: ${d.waits_reason}`}.{' '}
        {d.waits_until ? (
          <>
            Looked at again <Ago t={d.waits_until} ahead /> (<When t={d.waits_until} />).
          </>
        ) : (
          'Only a person, or other settings, end that.'
        )}
      </p>
    )
  }
  if (d.reason) return <p class={d.state === 'dead' ? 'problem' : 'notice'}>{d.reason}</p>
  return null
}

function Acts({ d, changed }: { d: Of; changed: () => void }) {
  const retry = useMay('retry')
  const { busy, run } = useAct()
  const name = `${visible(d.type ?? 'the delivery')} to ${d.developer}/${d.destination}`
  const act = async (path: string, reason: string | undefined, body: object, done: string) => {
    if (reason === undefined) return
    await send('POST', path, { body, reason })
    say(done)
    changed()
  }
  const again = async () => {
    const tried = counted(d.attempts?.length ?? 0, 'attempt')
    const reason =
      d.state === 'dead' || d.state === 'pending'
        ? ''
        : await ask({ title: `Deliver ${name} again?`, text: <p>It is {d.state} after {tried}. The far side gets it once more, with the same trace id.</p>, act: 'Deliver again' })
    await act(p`/v1/deliveries/${d.id}/retry`, reason, {}, 'It is due now, with current settings and a fresh schedule.')
  }
  const cancel = async () => {
    const reason = await ask({ title: `Cancel ${name}?`, text: <p>It was tried {counted(d.attempts?.length ?? 0, 'time')}, and is not tried any more. An attempt in flight ends, and counts when it succeeds.</p>, act: 'Cancel the delivery', danger: true })
    await act(p`/v1/deliveries/${d.id}/cancel`, reason, {}, 'It is cancelled.')
  }
  const rebind = () => act(p`/v1/deliveries/${d.id}/retry`, '', { rebind: true }, 'It goes out with current settings.')
  return (
    <span class="acts">
      {retry && d.state === 'pending' && (
        <button type="button" aria-disabled={!!busy} onClick={() => run('Cancel', cancel)}>
          Cancel
        </button>
      )}
      {retry && d.frozen && (
        <button type="button" aria-disabled={!!busy} onClick={() => run('Use current settings', rebind)}>
          Use current settings
        </button>
      )}
      {retry && (
        <button type="button" class="primary" aria-disabled={!!busy} onClick={() => run('Retry', again)}>
          {d.state === 'delivered' || d.state === 'cancelled' ? 'Deliver again' : 'Retry now'}
        </button>
      )}
    </span>
  )
}

/** Request is what an attempt sends, as curl too. It is read when somebody asks: that is noted in the trail. */
function Request({ d }: { d: Of }) {
  const [shown, set] = useState<(Explained & { frozen: boolean }) | undefined>()
  const [error, setError] = useState<ApiError>()
  const [busy, setBusy] = useState(false)
  const show = async () => {
    setBusy(true)
    setError(undefined)
    try {
      set(await get(p`/v1/deliveries/${d.id}/request`))
    } catch (e) {
      setError(e as ApiError)
    }
    setBusy(false)
  }
  const r = shown?.request
  const file = `${d.event}.json`
  const command = r && d.kind === 'webhook' ? curl(r, file) : undefined
  return (
    <Card title="The request">
      {error && <Problem error={error} again={show} />}
      {!shown && (
        <p>
          <button type="button" disabled={busy} onClick={show}>
            {busy ? 'Reading…' : 'Show the request'}
          </button>{' '}
          <span class="dim">It has the event’s body. That it was read is noted in the trail.</span>
        </p>
      )}
      {shown && (
        <p class="dim">
          As an attempt would make it now, {shown.frozen ? 'with the settings of its first attempt' : 'with current settings'}. Secrets, and what is signed with them, stand as [redacted].
          {shown.reason && ` ${shown.reason}`}
        </p>
      )}
      {r && (
        <>
          <Facts of={[['Target', <code>{r.target}</code>], ['Key', r.key && <code>{r.key}</code>]]} />
          {r.headers && (
            <Table
              caption="Headers"
              items={headersOf(r)}
              id={([name, value]) => name + value}
              columns={[
                { head: 'Header', cell: ([name]) => <code>{name}</code> },
                { head: 'Value', kind: 'wider', cell: ([, value]) => <code>{value}</code> },
              ]}
            />
          )}
          <Body text={r.body} save={file} />
          {command && (
            <>
              <h3>As curl</h3>
              {command.wantsFile && <p class="dim">The body is long: download it beside the command first, as {file}.</p>}
              <Text name="The request as curl" text={command.text} />
            </>
          )}
        </>
      )}
    </Card>
  )
}
