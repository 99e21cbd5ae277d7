import { useEffect, useRef } from 'preact/hooks'
import { get, request } from '../api'
import { absolute, brief, bytes, count, counted, span } from '../format'
import { useCounters } from '../live'
import { useNow, usePaused, usePoll } from '../poll'
import { to } from '../router'
import { useSession } from '../session'
import type { Destination, Page as List, Readiness, DestinationTotals as Totals, Usage } from '../types'
import { Card, Facts, Figure, Page } from '../ui/layout'
import { Problem } from '../ui/problem'
import { failed24h } from '../ui/shell'
import { Bones, Empty } from '../ui/table'
import { DestinationTable, looksWrong } from './destinationtable'
import { Rates } from './rates'

const worst = 10

/** How often the list is read where counters come over the stream, and where they do not. */
const [quietly, often] = [60_000, 10_000]

/** standing is how many destinations are how. */
function standing(t: Totals): string {
  return JSON.stringify([t.failing, t.waiting, ...['active', 'paused', 'disabled', 'held', 'removed'].map((s) => t.states[s as keyof Totals['states']] ?? 0)])
}

type Overall = List<Destination> & { totals: Totals }

/** Overview: is anything late, who fails, what does it cost. */
export function Overview() {
  const { developers } = useSession()
  const live = useCounters(!usePaused())
  const all = usePoll('overview', live?.fresh ? quietly : often, (signal) => get<Overall>('/v1/destinations', { sort: 'worst', totals: true, limit: worst }, signal))
  const totals = live && live.at > all.at ? live.totals : all.data?.totals
  const known = useRef<string | undefined>(undefined)
  useEffect(() => {
    // The list is read when more or fewer are failing, held or paused than were when it was read, now and then while
    // anything else changes, and at once when the stream breaks.
    const listed = all.data?.totals
    if (!live || !listed || live.at < all.at) return
    known.current ??= standing(listed)
    const changed = standing(live.totals) !== known.current
    known.current = standing(live.totals)
    if (!live.fresh || changed || (Date.now() - all.at >= often && JSON.stringify(live.totals) !== JSON.stringify(listed))) all.refresh()
  }, [live])
  const wrong = all.data?.items.filter(looksWrong)
  return (
    <Page name="overview" title="Overview" beside={<Ready />}>
      {all.error && <Problem error={all.error} again={all.refresh} stale={all.data && absolute(all.at)} />}
      <Figures totals={totals} />
      <Card title="Needs somebody" class="flush" beside={<a href={to.destinations()}>All destinations</a>}>
        {!wrong && !all.error && <Bones rows={4} />}
        {wrong && wrong.length > 0 && <DestinationTable caption="Destinations that need somebody, worst first" items={wrong} />}
        {wrong?.length === 0 && totals?.destinations === 0 && (
          <Empty title="There are no destinations yet">
            <p>
              Give a developer a file below <code>developers/</code>, or a document with <code>fantail apply</code>, and reload.
            </p>
          </Empty>
        )}
        {wrong?.length === 0 && totals!.destinations > 0 && <Empty title="Nothing is held, paused or failing">{totals!.destinations === 1 ? 'The one destination is as it should be.' : `All ${count(totals!.destinations)} destinations are as they should be.`}</Empty>}
      </Card>
      <div class={`stack ${all.data || all.error ? '' : 'waiting'}`}>
        {!developers && <Rates />}
        <Cost whole={!developers} />
      </div>
    </Page>
  )
}

function Figures({ totals }: { totals?: Totals }) {
  const now = useNow()
  const since = totals?.oldest_pending
  const oldest = since ? Math.max(0, now - Date.parse(since)) : 0
  const s = totals?.states ?? {}
  return (
    <dl class="figures">
      <Figure name="Pending" href={to.deliveries({ state: 'pending' })} note={totals && `${count(totals.in_flight)} in flight`}>
        {count(totals?.pending)}
      </Figure>
      <Figure name="Oldest pending" tone={oldest > 3600_000 ? 'warn' : ''} note={since && brief(since, now)}>
        {!totals ? '–' : since ? span(Math.floor(oldest / 1000) * 1000) : 'none'}
      </Figure>
      <Figure name="Dead in 24 h" tone={totals?.dead_24h ? 'bad' : ''} href={failed24h}>
        {count(totals?.dead_24h)}
      </Figure>
      <Figure name="Failing" tone={totals?.failing ? 'bad' : ''} href={to.destinations({ state: 'failing' })} note="last attempt failed">
        {count(totals?.failing)}
      </Figure>
      <Figure name="Held" tone={s.held ? 'bad' : ''} href={to.destinations({ state: 'held' })} note="by the engine">
        {totals ? count(s.held ?? 0) : '–'}
      </Figure>
      <Figure name="Paused" tone={s.paused ? 'warn' : ''} href={to.destinations({ state: 'paused' })} note="by a person">
        {totals ? count(s.paused ?? 0) : '–'}
      </Figure>
      <Figure name="Destinations" href={to.destinations()} note={totals && states(totals)}>
        {count(totals?.destinations)}
      </Figure>
    </dl>
  )
}

function states(t: Totals): string {
  const said = (['active', 'disabled', 'removed'] as const).filter((s) => t.states[s]).map((s) => `${count(t.states[s])} ${s}`)
  return said.join(', ')
}

function Ready() {
  const ready = usePoll('ready', 15_000, async (signal): Promise<Readiness> => (await request('GET', '/readyz', { signal })).json())
  if (!ready.data) return ready.error ? <span class="badge bad">no answer</span> : null
  const { problems, warnings = [] } = ready.data
  return (
    <>
      <span class={`badge ${ready.data.ready ? 'good' : 'bad'}`}>{ready.data.ready ? 'takes events' : 'takes no events'}</span>
      {problems.map((text) => (
        <span class="bad wrap">{text}</span>
      ))}
      {warnings.length > 0 && (
        <details class="warnings">
          <summary>{counted(warnings.length, 'warning')}</summary>
          <ul class="note-list">
            {warnings.map((text) => (
              <li class="wrap">{text}</li>
            ))}
          </ul>
        </details>
      )}
    </>
  )
}

/** Cost is what is kept, and whether what was accepted is all somewhere. */
function Cost({ whole }: { whole: boolean }) {
  const usage = usePoll('usage', 60_000, (signal) => get<Usage>('/v1/usage', { since: '2000-01-01', by: 'day' }, signal))
  const disk = usePoll('disk', 60_000, async (signal) => (whole ? gauges(await (await request('GET', '/metrics', { query: { 'name[]': diskMetrics }, signal })).text()) : {}))
  const rows = usage.data?.items ?? []
  const sum = (of: 'accepted' | 'delivered' | 'pending' | 'dead' | 'cancelled') => rows.reduce((n, r) => n + r[of], 0)
  const adds = rows.every((r) => r.accepted === r.delivered + r.pending + r.dead + r.cancelled)
  const today = rows.find((r) => r.day === new Date().toISOString().slice(0, 10))
  const d = disk.data ?? {}
  return (
    <Card title="What was accepted, and what became of it">
      {usage.error && <Problem error={usage.error} again={usage.refresh} />}
      {!usage.data && !usage.error && <Bones rows={2} />}
      {usage.data && (
        <>
          <p>
            {rows.length === 0 ? (
              'Nothing was accepted yet.'
            ) : adds ? (
              <>
                <span class="badge good">adds up</span> {counted(sum('accepted'), 'delivery', 'deliveries')} accepted = {count(sum('delivered'))} delivered + {count(sum('pending'))} pending +{' '}
                {count(sum('dead'))} dead + {count(sum('cancelled'))} cancelled.
              </>
            ) : (
              <>
                <span class="badge bad">does not add up</span> Run <code>fantail audit --deep</code>, and keep a backup.
              </>
            )}
          </p>
          <Facts
            of={[
              ['Accepted today (UTC)', counted(today?.accepted ?? 0, 'delivery', 'deliveries')],
              ['Attempts today', today?.attempts == null ? undefined : count(today.attempts)],
              ['Bodies today', today?.bytes == null ? undefined : bytes(today.bytes)],
              ['Store', d.fantail_store_bytes === undefined ? undefined : bytes(d.fantail_store_bytes)],
              ['Free disk', d.fantail_disk_free_bytes === undefined ? undefined : <Free free={d.fantail_disk_free_bytes} reserve={d.fantail_disk_reserve_bytes ?? 0} />],
            ]}
          />
        </>
      )}
    </Card>
  )
}

function Free({ free, reserve }: { free: number; reserve: number }) {
  return (
    <span class={free < 2 * reserve ? 'bad' : ''}>
      {bytes(free)} <span class="dim">(below {bytes(reserve)} no events are taken)</span>
    </span>
  )
}

const diskMetrics = ['fantail_store_bytes', 'fantail_disk_free_bytes', 'fantail_disk_reserve_bytes']

/** gauges reads metrics without labels. */
function gauges(text: string): Record<string, number | undefined> {
  return Object.fromEntries([...text.matchAll(/^(\w+) ([0-9.eE+-]+)$/gm)].map((m) => [m[1]!, Number(m[2])]))
}
