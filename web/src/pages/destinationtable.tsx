import { count } from '../format'
import { to } from '../router'
import type { Destination } from '../types'
import { Badge, Code } from '../ui/badge'
import { Spark } from '../ui/plot'
import { Table } from '../ui/table'
import type { Column } from '../ui/table'
import { Ago } from '../ui/time'

/** looksWrong tells whether somebody should look at a destination. */
export function looksWrong(d: Destination): boolean {
  const active = d.state === 'active' && (!!d.reason || (!!d.waits_for && d.waits_for !== 'rate') || d.dead_24h > 0 || d.check?.result === 'fail')
  return active || d.state === 'held' || d.state === 'paused' || (d.state === 'removed' && d.pending > 0)
}

/** stateOf is the state, and of an active destination whether it fails. */
export function stateOf(d: Destination): string {
  return d.state === 'active' && d.failed_attempts > 0 ? 'failing' : d.state
}

export const nameOf = (d: { developer: string; name: string }): string => `${d.developer}/${d.name}`
export const idOf = (d: Destination): string => `${d.developer}/${d.name}/${d.kind}/${d.state === 'removed'}`

/** daysOfCertificate is how long the far side's certificate still counts; undefined where none is known. */
export function daysOfCertificate(d: Destination): number | undefined {
  return d.check?.certificate_expires ? Math.floor((Date.parse(d.check.certificate_expires) - Date.now()) / 864e5) : undefined
}

interface Props {
  caption: string
  items: Destination[]
  /** Columns for whoever looks at all of them. */
  full?: boolean
  acts?: (d: Destination) => preact.JSX.Element
}

/** DestinationTable lists destinations with what is wrong with them. */
export function DestinationTable({ caption, items, full, acts }: Props) {
  const columns: Column<Destination>[] = [
    {
      head: 'Destination',
      kind: 'name',
      cell: (d) => (
        <>
          <a class="row-link" href={to.destination(d.developer, d.name)}>
            {nameOf(d)}
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
  ]
  if (full) {
    columns.splice(5, 0, { head: 'In flight', kind: 'num opt1', cell: (d) => count(d.in_flight) })
    columns.push(
      { head: 'Certificate', kind: 'num opt1', cell: (d) => <Certificate d={d} /> },
      { head: 'Last 24 h', kind: 'opt2', cell: (d) => d.outcomes_24h && <Spark {...d.outcomes_24h} /> },
    )
  }
  if (acts) columns.push({ head: 'Actions', kind: 'opt2', cell: acts })
  return <Table caption={caption} items={items} id={idOf} columns={columns} />
}

function Certificate({ d }: { d: Destination }) {
  const days = daysOfCertificate(d)
  if (days === undefined) return <span class="dim">–</span>
  return <span class={days < 21 ? 'bad' : ''}>{days} d</span>
}

/** Why says what is wrong, and until when it waits; where nothing is wrong, the last answer. */
export function Why({ d }: { d: Destination }) {
  const days = daysOfCertificate(d)
  return (
    <>
      {d.reason ? (
        <span class="clip" title={d.reason}>
          {d.reason}
        </span>
      ) : (
        d.last_answer && (
          <span class="dim">
            {d.last_answer.class}, <Code code={d.last_answer.code} />
          </span>
        )
      )}
      {d.waits_for && d.waits_until && (
        <span class="dim">
          {' '}
          {d.waits_for}, tried <Ago t={d.waits_until} ahead />
        </span>
      )}
      {d.breaker === 'open' && d.waits_for !== 'breaker' && <span class="dim"> breaker open</span>}
      {d.check?.result === 'fail' && <span class="bad clip">check: {d.check.findings.map((f) => f.message).join('; ')}</span>}
      {days !== undefined && days < 21 && <span class="bad"> certificate ends in {days} days</span>}
    </>
  )
}
