import { useEffect, useState } from 'preact/hooks'
import { get } from '../api'
import { absolute, count, counted } from '../format'
import { usePoll } from '../poll'
import { go, to, useRoute } from '../router'
import type { Destination, Page as List, Totals } from '../types'
import { Page } from '../ui/layout'
import { Problem } from '../ui/problem'
import { Bones, Empty } from '../ui/table'
import { DestinationActs } from './destinationacts'
import { DestinationTable, idOf } from './destinationtable'

const piece = 100
const most = 1000

/** Destinations: who is how, worst first. */
export function Destinations() {
  const { query } = useRoute()
  const filter = { state: query.get('state') ?? '', q: query.get('q') ?? '', sort: query.get('sort') ?? 'worst' }
  const key = JSON.stringify(filter)
  const [limits, setLimits] = useState<Record<string, number>>({})
  const limit = limits[key] ?? piece
  const ask = { ...filter, state: filter.state === 'failing' ? '' : filter.state, failing: filter.state === 'failing', totals: true, outcomes: true, limit }
  const list = usePoll(key + limit, 10_000, (signal) => get<List<Destination> & { totals: Totals }>('/v1/destinations', ask, signal))
  const rows = useSteady(key, list.data?.items)
  const set = (change: Partial<typeof filter>) => {
    const next = { ...filter, ...change }
    go(to.destinations({ ...next, sort: next.sort === 'worst' ? '' : next.sort }), true)
  }
  return (
    <Page name="destinations" title="Destinations">
      <div class="filters">
        <States totals={list.data?.totals} state={filter.state} />
        <Search value={filter.q} set={(q) => set({ q })} />
        <label class="inline">
          Order
          <select value={filter.sort} onChange={(e) => set({ sort: e.currentTarget.value })}>
            <option value="worst">worst first</option>
            <option value="name">by name</option>
          </select>
        </label>
      </div>
      {list.error && <Problem error={list.error} again={list.refresh} stale={list.data && absolute(list.at)} />}
      <section class="card flush" aria-label="Destinations">
        {!list.data && !list.error && <Bones rows={12} />}
        {rows.moved && (
          <p class="news">
            <button type="button" onClick={rows.take}>
              {rows.added ? `${count(rows.added)} new, ` : ''}the order has changed: show it
            </button>
          </p>
        )}
        {rows.items.length > 0 && (
          <DestinationTable
            caption={`Destinations, ${filter.sort === 'name' ? 'by name' : 'worst first'}`}
            items={rows.items}
            full
            acts={(d) => <DestinationActs d={d} inRow changed={rows.put} tested={(id) => go(to.delivery(id))} />}
          />
        )}
        {list.data && rows.items.length === 0 && <Nothing filtered={!!(filter.state || filter.q)} />}
        {list.data?.next && (
          <div class="more">
            <span>{counted(rows.items.length, 'destination')} shown.</span>
            {limit < most ? (
              <button type="button" onClick={() => setLimits({ ...limits, [key]: Math.min(most, limit + (limit === piece ? 200 : 700)) })}>
                Show more
              </button>
            ) : (
              'Narrow the list down to see others.'
            )}
          </div>
        )}
      </section>
    </Page>
  )
}

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered) {
    return (
      <Empty title="No destination is like that">
        <a href={to.destinations()}>Show all destinations</a>
      </Empty>
    )
  }
  return (
    <Empty title="There are no destinations yet">
      <p>
        Give a developer a file below <code>developers/</code>, or a document with <code>fantail apply</code>, and reload.
      </p>
    </Empty>
  )
}

/** States are links: how many are how, whatever is shown below. */
function States({ totals, state }: { totals?: Totals; state: string }) {
  const { query } = useRoute()
  const of = (name: string, n: number | undefined) => (
    <li>
      <a href={to.destinations({ state: name, q: query.get('q') ?? '', sort: query.get('sort') ?? '' })} aria-current={state === name ? 'true' : undefined}>
        {name || 'all'} <span class="num">{count(n)}</span>
      </a>
    </li>
  )
  const s = totals?.states
  return (
    <nav aria-label="States">
      <ul class="tabs">
        {of('', totals?.destinations)}
        {of('failing', totals?.failing)}
        {of('held', s && (s.held ?? 0))}
        {of('paused', s && (s.paused ?? 0))}
        {of('active', s && (s.active ?? 0))}
        {of('disabled', s && (s.disabled ?? 0))}
        {!!s?.removed && of('removed', s.removed)}
      </ul>
    </nav>
  )
}

function Search({ value, set }: { value: string; set: (q: string) => void }) {
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  useEffect(() => {
    if (text === value) return
    const timer = setTimeout(() => set(text.trim()), 300)
    return () => clearTimeout(timer)
  }, [text])
  return (
    <label class="inline">
      Name or kind
      <input type="search" value={text} spellcheck={false} onInput={(e) => setText(e.currentTarget.value)} />
    </label>
  )
}

/**
 * useSteady keeps rows where they are while what they say changes: nobody clicks on what has just moved away. What
 * is new, or would stand elsewhere, is told.
 */
function useSteady(key: string, items: Destination[] | undefined) {
  const [order, setOrder] = useState<{ key: string; ids: string[] }>()
  const [own, setOwn] = useState<Record<string, Destination>>({}) // what an act here has answered since
  const fresh = items ?? []
  const ids = fresh.map(idOf)
  const known = order?.key === key ? order.ids : undefined
  useEffect(() => setOwn({}), [items])
  useEffect(() => {
    if (items && (!known || ids.length !== known.length)) setOrder({ key, ids })
  }, [key, items])
  const by = new Map(fresh.map((d) => [idOf(d), d]))
  const shown = (known ?? ids).map((id) => own[id] ?? by.get(id)).filter((d) => d !== undefined)
  return {
    items: shown,
    moved: !!known && known.length === ids.length && known.some((id, i) => id !== ids[i]),
    added: known ? ids.filter((id) => !known.includes(id)).length : 0,
    take: () => setOrder({ key, ids }),
    put: (d: Destination) => setOwn({ ...own, [idOf(d)]: { ...d, outcomes_24h: by.get(idOf(d))?.outcomes_24h } }),
  }
}
