import { get } from '../api'
import { absolute, count, millis } from '../format'
import { usePoll } from '../poll'
import type { Daemon, Page as List } from '../types'
import { Badge } from '../ui/badge'
import { Page } from '../ui/layout'
import { Problem } from '../ui/problem'
import { Bones, Empty, Table } from '../ui/table'
import { Ago } from '../ui/time'

/** Daemons are those that work on one store: who is alive, and who delivers what. */
export function Daemons() {
  const list = usePoll('daemons', 5000, async (signal) => (await get<List<Daemon>>('/v1/daemons', undefined, signal)).items)
  return (
    <Page name="daemons" title="Daemons">
      {list.error && <Problem error={list.error} again={list.refresh} stale={list.data && absolute(list.at)} />}
      <section class="card flush" aria-label="Daemons">
        {!list.data && !list.error && <Bones rows={4} />}
        {list.data?.length === 0 && <Empty title="There is one daemon">It keeps its events in a store of its own. Several daemons share one in PostgreSQL.</Empty>}
        {list.data && list.data.length > 0 && (
          <Table
            caption="Daemons on this store, by name"
            items={list.data}
            id={(d) => d.id}
            columns={[
              { head: 'Name', kind: 'name', cell: (d) => <>{d.name}{d.self && <span class="dim"> (this one)</span>}</> },
              { head: 'State', cell: (d) => <Badge is={d.alive ? 'alive' : 'dead'} /> },
              { head: 'Slots', kind: 'num', cell: (d) => <span title={d.slots.join(', ')}>{count(d.slots.length)}</span> },
              { head: 'Seen', kind: 'num', cell: (d) => <Ago t={d.seen} /> },
              { head: 'Started', kind: 'num opt', cell: (d) => <Ago t={d.started} /> },
              { head: 'Clock off by', kind: 'num opt', cell: (d) => millis(Math.abs(d.clock_offset_ms)) },
              { head: 'Version', kind: 'opt', cell: (d) => d.version },
              {
                head: 'Settings',
                kind: 'opt',
                cell: (d) => (d.same_keys && d.same_files ? 'as here' : <span class="bad">{[!d.same_keys && 'other keys', !d.same_files && 'other files'].filter(Boolean).join(', ')}</span>),
              },
            ]}
          />
        )}
      </section>
    </Page>
  )
}
