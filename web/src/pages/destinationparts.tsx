import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { get, p } from '../api'
import { count, counted, millis } from '../format'
import { usePoll } from '../poll'
import { to } from '../router'
import type { Act, Check, Delivery, Destination, Page as List, Series } from '../types'
import { Badge } from '../ui/badge'
import { Card } from '../ui/layout'
import { useList } from '../ui/list'
import { Problem } from '../ui/problem'
import { Text } from '../ui/text'
import { Bones, Empty, Table } from '../ui/table'
import { Ago, When } from '../ui/time'
import { DeliveryTable } from './deliverytable'
import { Plots } from './rates'

/** Health plots what happened over a day. */
export function Health({ d }: { d: Destination }) {
  const series = usePoll(`series${d.developer}/${d.name}`, 60_000, (signal) => get<Series>('/v1/series', { developer: d.developer, destination: d.name, range: '24h' }, signal))
  const known = series.data?.pending.some((v) => v !== null)
  return (
    <Card title="Last 24 hours">
      {series.error && <Problem error={series.error} again={series.refresh} />}
      {!series.data && !series.error && <Bones rows={10} />}
      {series.data && !known && <Empty title="Nothing is recorded yet">It is recorded from now on, in steps of 5 minutes.</Empty>}
      {series.data && known && <Plots series={series.data} />}
    </Card>
  )
}

/** Latest are the newest deliveries; newer ones announce themselves. */
export function Latest({ d, fresh, beside }: { d: Destination; fresh: number; beside: ComponentChildren }) {
  const of = { developer: d.developer, destination: d.name }
  const list = useList<Delivery>(`latest${d.developer}/${d.name}`, (cursor, signal) => get<List<Delivery>>('/v1/deliveries', { ...of, detail: true, limit: 10, cursor }, signal))
  const [seen, setSeen] = useState(fresh)
  const news = fresh - seen
  return (
    <Card
      title="Deliveries"
      class="flush"
      beside={
        <>
          {news > 0 && list.loaded && (
            <button
              type="button"
              onClick={() => {
                setSeen(fresh)
                list.reload()
              }}
            >
              {counted(news, 'new attempt')}: show
            </button>
          )}
          {beside}
          <a href={to.deliveries({ ...of, state: 'dead' })}>Dead</a>
          <a href={to.deliveries(of)}>All</a>
        </>
      }
    >
      {list.error && <Problem error={list.error} again={list.reload} />}
      {!list.loaded && !list.error && <Bones rows={6} />}
      {list.loaded && list.items.length === 0 && <Empty title="Nothing was accepted for it yet">Send it a test event to see what it gets.</Empty>}
      {list.items.length > 0 && <DeliveryTable caption={`The newest deliveries to ${d.developer}/${d.name}`} items={list.items.slice(0, 10)} ofOne />}
    </Card>
  )
}

/** Checks is what the last check found. */
export function Checks({ check }: { check?: Check }) {
  return (
    <Card title="Check" beside={check && <Badge is={check.result} />}>
      {!check && <Empty title="It was not checked since the daemon's start">Check looks at DNS, guard, TLS, credentials and rights, and sends nothing.</Empty>}
      {check && (
        <>
          <p class="dim">
            <Ago t={check.at} />, in {millis(check.ms)}
          </p>
          {check.findings.length === 0 && <p>Nothing is wrong.</p>}
          <ul class="findings">
            {check.findings.map((f) => (
              <li>
                <Badge is={f.result} /> <strong>{f.name}</strong> <span class="wrap">{f.message}</span>
                {f.advice && <p class="dim wrap">{f.advice}</p>}
              </li>
            ))}
          </ul>
        </>
      )}
    </Card>
  )
}

/** History is what happened to it, and by whom. */
export function History({ d, changes }: { d: Destination; changes: number }) {
  const list = useList<Act>(`history${d.developer}/${d.name}/${changes}`, (cursor, signal) => get<List<Act>>(p`/v1/destinations/${d.developer}/${d.name}/history`, { limit: 20, cursor }, signal))
  if (d.state === 'removed') return null
  return (
    <Card title="What happened to it" class="flush">
      {list.error && <Problem error={list.error} again={list.reload} />}
      {!list.loaded && !list.error && <Bones rows={3} />}
      {list.loaded && list.items.length === 0 && <Empty title="Nothing is known">Pauses, holds and changed settings stand here, with who did it and why.</Empty>}
      {list.items.length > 0 && (
        <Table
          caption="What happened to the destination"
          items={list.items}
          id={(a) => a.at + a.call}
          columns={[
            { head: 'When', cell: (a) => <When t={a.at} /> },
            { head: 'What', cell: (a) => (a.state ? <Badge is={a.state} title={a.call} /> : a.call) },
            { head: 'By', cell: (a) => a.by ?? a.via ?? '–' },
            { head: 'Why', kind: 'wide opt', cell: (a) => a.reason ?? <span class="dim">–</span> },
          ]}
        />
      )}
      {list.more && (
        <div class="more">
          <button type="button" disabled={list.busy} onClick={list.further}>
            Show more
          </button>
        </div>
      )}
    </Card>
  )
}

interface Shown {
  settings: Record<string, unknown>
  frozen: { id: string; pending: number; more?: boolean; settings?: Record<string, unknown>; problem?: string }[]
}

/** Settings are those that count, and those that deliveries are still frozen to. Secrets stand as [redacted]. */
export function Settings({ d, rebind, beside, changes }: { d: Destination; rebind?: () => void; beside: ComponentChildren; changes: number }) {
  const shown = usePoll(`settings${d.developer}/${d.name}/${changes}`, 30_000, async (signal) =>
    d.state === 'removed' ? undefined : get<Shown>(p`/v1/destinations/${d.developer}/${d.name}/settings`, undefined, signal),
  )
  const frozen = shown.data?.frozen ?? []
  return (
    <Card title="Settings" beside={beside}>
      {shown.error && <Problem error={shown.error} again={shown.refresh} />}
      {!shown.data && !shown.error && (d.state === 'removed' ? <p>It is not in the settings any more. What is pending waits for one of its name to come back.</p> : <Bones rows={8} />)}
      {shown.data && <Text name="Settings" text={JSON.stringify(shown.data.settings, null, 2)} />}
      {frozen.map((f) => (
        <details>
          <summary>
            {count(f.pending)}
            {f.more && '+'} pending with older settings
          </summary>
          {f.problem ? <p class="bad">{f.problem}</p> : <Text name="Older settings" text={JSON.stringify(f.settings, null, 2)} />}
        </details>
      ))}
      {frozen.length > 0 && rebind && (
        <button type="button" onClick={rebind}>
          Move them to current settings…
        </button>
      )}
    </Card>
  )
}
