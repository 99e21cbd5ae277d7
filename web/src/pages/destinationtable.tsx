import { count } from '../format'
import { to } from '../router'
import type { Destination } from '../types'
import { Badge, Code } from '../ui/badge'
import { Table } from '../ui/table'
import { Ago } from '../ui/time'

/** looksWrong tells whether somebody should look at a destination. */
export function looksWrong(d: Destination): boolean {
  return d.state === 'held' || d.state === 'paused' || (d.state === 'active' && (!!d.reason || !!d.waits_for || d.dead_24h > 0 || d.check?.result === 'fail')) || (d.state === 'removed' && d.pending > 0)
}

/** stateOf is the state, and of an active destination whether it fails. */
export function stateOf(d: Destination): string {
  return d.state === 'active' && d.failed_attempts > 0 ? 'failing' : d.state
}

/** DestinationTable lists destinations with what is wrong with them. */
export function DestinationTable({ caption, items }: { caption: string; items: Destination[] }) {
  return (
    <Table
      caption={caption}
      items={items}
      id={(d) => `${d.developer}/${d.name}/${d.kind}`}
      columns={[
        {
          head: 'Destination',
          cell: (d) => (
            <>
              <a class="row-link" href={to.destination(d.developer, d.name)}>
                {d.developer}/{d.name}
              </a>{' '}
              <span class="dim">{d.kind}</span>
            </>
          ),
        },
        { head: 'State', cell: (d) => <Badge is={stateOf(d)} /> },
        { head: 'Why', kind: 'wide opt', cell: (d) => <Why d={d} /> },
        { head: 'Pending', kind: 'num', cell: (d) => count(d.pending) },
        { head: 'Oldest', kind: 'num opt', cell: (d) => <Ago t={d.oldest_pending} /> },
        { head: 'Dead 24 h', kind: 'num', cell: (d) => (d.dead_24h ? <span class="bad">{count(d.dead_24h)}</span> : '0') },
        { head: 'Last success', kind: 'num opt', cell: (d) => <Ago t={d.last_success} none="never" /> },
      ]}
    />
  )
}

/** Why says what is wrong, and until when it waits. */
export function Why({ d }: { d: Destination }) {
  const certificate = d.check?.certificate_expires && Math.floor((Date.parse(d.check.certificate_expires) - Date.now()) / 864e5)
  return (
    <>
      {d.reason && (
        <span class="clip" title={d.reason}>
          {d.reason}
        </span>
      )}
      {!d.reason && d.last_answer && (
        <span class="dim">
          {d.last_answer.class}, <Code code={d.last_answer.code} />
        </span>
      )}
      {d.waits_for && d.waits_until && (
        <span class="dim">
          {' '}
          {d.waits_for}: tried <Ago t={d.waits_until} />
        </span>
      )}
      {certificate !== undefined && typeof certificate === 'number' && certificate < 21 && <span class="bad"> certificate ends in {certificate} days</span>}
    </>
  )
}
