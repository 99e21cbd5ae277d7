import { useState } from 'preact/hooks'
import { get } from '../api'
import { absolute, counted } from '../format'
import { useLive } from '../live'
import { usePaused } from '../poll'
import { go, to, useRoute } from '../router'
import { useMay } from '../session'
import type { Delivery, Page as List } from '../types'
import { Bulk } from '../ui/bulk'
import type { BulkAct } from '../ui/bulk'
import { useList } from '../ui/list'
import { Page } from '../ui/layout'
import { Problem } from '../ui/problem'
import { Bones, Empty } from '../ui/table'
import { asQuery, asSelection, filterOf, inWords, matches } from './deliveryfilter'
import type { Filter } from './deliveryfilter'
import { DeliveryFilters } from './deliveryfilters'
import { DeliveryTable } from './deliverytable'

/** Deliveries: what became of what was accepted, by every filter that the daemon has. */
export function Deliveries() {
  const { query } = useRoute()
  const f = filterOf(query)
  const key = JSON.stringify(f)
  const [bulk, setBulk] = useState<BulkAct>()
  const [news, setNews] = useState<{ key: string; n: number }>({ key, n: 0 })
  const retry = useMay('retry')
  const paused = usePaused()
  const list = useList<Delivery>(key, (cursor, signal) => get<List<Delivery>>('/v1/deliveries', { ...asQuery(f), detail: true, limit: 50, cursor }, signal))
  useLive(paused ? undefined : { developer: f.developer, destination: f.developer ? f.destination : '' }, (items) => {
    const n = items.reduce((sum, a) => sum + (a.lost ?? (matches(f, a) ? 1 : 0)), 0)
    if (n) setNews((old) => ({ key, n: (old.key === key ? old.n : 0) + n }))
  })
  const arrived = news.key === key ? news.n : 0
  const set = (change: Partial<Filter>) => go(to.deliveries({ ...f, ...change }), true)
  const bulks: [BulkAct, string, string[]][] = [
    ['retry', 'Retry all these…', ['dead', 'cancelled', 'delivered']],
    ['rebind', 'Move all these to current settings…', ['pending']],
    ['cancel', 'Cancel all these…', ['pending']],
  ]
  return (
    <Page
      name="deliveries"
      title="Deliveries"
      beside={
        retry && (
          <span class="acts">
            {bulks
              .filter(([, , states]) => states.includes(f.state))
              .map(([act, label]) => (
                <button type="button" onClick={() => setBulk(act)}>
                  {label}
                </button>
              ))}
          </span>
        )
      }
    >
      <DeliveryFilters key={key} f={f} set={set} />
      {list.error && <Problem error={list.error} again={list.items.length ? list.further : list.reload} />}
      <section class="card flush" aria-label="Deliveries" aria-busy={list.busy}>
        {arrived > 0 && list.loaded && (
          <p class="news" role="status">
            <button
              type="button"
              onClick={() => {
                setNews({ key, n: 0 })
                list.reload()
              }}
            >
              {counted(arrived, 'new attempt')}: show
            </button>
          </p>
        )}
        {!list.loaded && !list.error && <Bones rows={16} />}
        {list.items.length > 0 && <DeliveryTable caption={`Deliveries, newest first: ${inWords(f)}`} items={list.items} />}
        {list.loaded && list.items.length === 0 && !list.more && <Nothing f={f} />}
        {list.loaded && (list.more || list.items.length > 0) && (
          <div class="more">
            <span>
              {counted(list.items.length, 'delivery', 'deliveries')} shown{list.back ? `; everything back to ${absolute(list.back)} was looked at` : list.more ? '' : ', which is all of them'}.
            </span>
            {list.more && (
              <button type="button" disabled={list.busy} onClick={list.further}>
                {list.busy ? 'Looking…' : list.items.length ? 'Show more' : 'Look further back'}
              </button>
            )}
          </div>
        )}
      </section>
      {bulk && (
        <Bulk
          act={bulk}
          what={asSelection(f)}
          of={inWords({ ...f, state: '', since: '' })}
          onClose={(did) => {
            setBulk(undefined)
            if (did) list.reload()
          }}
        />
      )}
    </Page>
  )
}

function Nothing({ f }: { f: Filter }) {
  const narrowed = Object.values(f).some(Boolean)
  if (!narrowed) return <Empty title="Nothing was accepted yet">Events come over the API, or from Send.</Empty>
  return (
    <Empty title={`There are no deliveries ${inWords(f)}`}>
      <a href={to.deliveries({ state: f.state })}>Show those of everybody, of any time</a>
    </Empty>
  )
}
