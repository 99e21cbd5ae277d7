import { acceptedAt, unended, visible } from '../format'
import { useNow } from '../poll'
import { to } from '../router'
import type { Delivery } from '../types'
import { Badge, Code } from '../ui/badge'
import { Table } from '../ui/table'
import type { Column } from '../ui/table'
import { Ago } from '../ui/time'

interface Props {
  caption: string
  items: Delivery[]
  /** Whose they are stands above the table already. */
  ofOne?: boolean
  /** They are of one event, which is described above. */
  ofEvent?: boolean
  mark?: (d: Delivery) => string | undefined
}

/** DeliveryTable lists deliveries, which need detail. */
export function DeliveryTable({ caption, items, ofOne, ofEvent, mark }: Props) {
  const envelope: Column<Delivery>[] = [
    { head: 'Type', kind: 'opt3', cell: (d) => (d.type && visible(d.type)) ?? <span class="dim">–</span> },
    { head: 'User', kind: 'opt', cell: (d) => (d.user ? <span class="user" title={visible(d.user)}>{visible(d.user)}</span> : <span class="dim">–</span>) },
  ]
  const columns: Column<Delivery>[] = [
    {
      head: 'Accepted',
      kind: 'short',
      cell: (d) => (
        <a class="row-link" href={to.delivery(d.id)}>
          <Ago t={acceptedAt(d.event)} />
        </a>
      ),
    },
    ...(ofEvent ? [] : envelope),
    { head: 'State', cell: (d) => <Badge is={d.state} title={d.reason} /> },
    { head: 'Last answer', kind: 'wide', cell: (d) => <LastAnswer d={d} /> },
    { head: 'Attempts', kind: 'num opt', cell: (d) => d.tried },
    { head: 'Next', kind: 'num opt', cell: (d) => <Next d={d} /> },
  ]
  if (!ofOne) {
    columns.splice(1, 0, {
      head: 'Destination',
      kind: 'name',
      cell: (d) => (
        <a class="over clip" title={`${d.developer}/${d.destination}`} href={to.destination(d.developer, d.destination)}>
          {d.developer}/{d.destination}
        </a>
      ),
    })
  }
  return <Table caption={caption} items={items} id={(d) => d.id} columns={columns} mark={mark} />
}

function LastAnswer({ d }: { d: Delivery }) {
  const last = d.last_answer
  if (!last) return <span class="dim">{d.waits_for ? waiting[d.waits_for] ?? d.waits_for : 'none yet'}</span>
  return (
    <span class="clip" title={last.answer}>
      <Code code={last.code} /> {last.class !== 'delivered' && <span class="long">{visible(last.fault || unended(last.answer ?? '') || last.class)}</span>}
    </span>
  )
}

function Next({ d }: { d: Delivery }) {
  const now = useNow()
  if (d.state !== 'pending' || (d.waits_for && !d.last_answer)) return <span class="dim">–</span> // why it waits stands in place of an answer
  if (d.waits_for) return <span title={d.waits_reason}>{waiting[d.waits_for] ?? d.waits_for}</span>
  const late = !!d.due && Date.parse(d.due) < now - 1000 // in flight, or waits for its turn
  return (
    <>
      {late && 'due '}
      <Ago t={d.due} ahead />
    </>
  )
}

/** Why a delivery is not tried when it is due. */
export const waiting: Record<string, string> = {
  removed: 'its destination is removed',
  disabled: 'its destination is disabled',
  paused: 'its destination is paused',
  held: 'its destination is held',
  apart: 'its destination waits apart',
  throttled: 'its far side asked to wait',
  breaker: 'its far side fails: one attempt at a time',
  settings: 'its settings cannot be opened',
  engine: 'after a fault of the daemon',
  rate: 'the rate of the settings',
}

