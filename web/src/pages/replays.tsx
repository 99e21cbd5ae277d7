import { useState } from 'preact/hooks'
import { get, send } from '../api'
import { absolute, count, counted, millis, visible } from '../format'
import { usePoll } from '../poll'
import { to } from '../router'
import { useMay } from '../session'
import type { Page as List, Replay } from '../types'
import { useAct } from '../ui/acts'
import { ask, say } from '../ui/ask'
import { Badge } from '../ui/badge'
import { Page } from '../ui/layout'
import { Problem } from '../ui/problem'
import { Bones, Empty, Table } from '../ui/table'
import { Ago } from '../ui/time'
import { NewReplay } from './newreplay'

/** Replays deliver stored events again: what runs, and what has ended. */
export function Replays() {
  const may = useMay('replay')
  const [making, setMaking] = useState(false)
  const list = usePoll('replays', 3000, async (signal) => (await get<List<Replay>>('/v1/replays', { limit: 100 }, signal)).items)
  const { busy, run } = useAct()
  const cancel = async (r: Replay) => {
    const reason = await ask({
      title: `Cancel the replay ${r.id}?`,
      text: <p>It has made {count(r.made)} of {counted(r.found, 'delivery', 'deliveries')} {nameOf(r)}. What it has made still goes out.</p>,
      act: 'Cancel the replay',
      danger: true,
    })
    if (reason === undefined) return
    await send('DELETE', `/v1/replays/${r.id}`, { reason })
    say(`The replay ${r.id} is cancelled.`)
    list.refresh()
  }
  return (
    <Page
      name="replays"
      title="Replays"
      beside={
        may && (
          <span class="acts">
            <button type="button" class="primary" onClick={() => setMaking(true)}>
              Replay…
            </button>
          </span>
        )
      }
    >
      {making && (
        <NewReplay
          onClose={(begun) => {
            setMaking(false)
            if (begun) list.refresh()
          }}
        />
      )}
      {list.error && <Problem error={list.error} again={list.refresh} stale={list.data && absolute(list.at)} />}
      <section class="card flush" aria-label="Replays">
        {!list.data && !list.error && <Bones rows={5} />}
        {list.data?.length === 0 && <Empty title="Nothing was replayed yet">A replay delivers stored events again, evenly and no faster than a destination takes them.</Empty>}
        {list.data && list.data.length > 0 && (
          <Table
            caption="Replays, newest first"
            items={list.data}
            id={(r) => String(r.id)}
            columns={[
              { head: 'Begun', kind: 'opt3', cell: (r) => <Ago t={r.created} /> },
              { head: 'What', kind: 'name', cell: (r) => <What r={r} /> },
              { head: 'State', cell: (r) => <Badge is={r.state} title={r.error} /> },
              { head: 'Progress', kind: 'wide', cell: (r) => <Progress r={r} /> },
              { head: 'Rate', kind: 'num opt', cell: (r) => `${r.rate}/s` },
              { head: 'By', kind: 'opt', cell: (r) => r.by },
              {
                head: 'Actions',
                cell: (r) =>
                  may &&
                  r.state === 'running' && (
                    <button type="button" class="over" aria-label={`Cancel the replay ${r.id}`} aria-disabled={!!busy} onClick={() => run('Cancel', () => cancel(r))}>
                      Cancel
                    </button>
                  ),
              },
            ]}
          />
        )}
      </section>
    </Page>
  )
}

function nameOf(r: { developer?: string; destination?: string }): string {
  return r.destination ? `to ${r.developer}/${r.destination}` : r.developer ? `to destinations of ${r.developer}` : 'to everybody'
}

function What({ r }: { r: Replay }) {
  return (
    <p>
      {r.dry_run && <span class="dim">dry run: </span>}
      {r.states.join(', ')} {r.destination && r.developer ? <a href={to.destination(r.developer, r.destination)}>{nameOf(r)}</a> : nameOf(r)}
      <span class="dim">
        {r.events && `, ${counted(r.events.length, 'event')}`}
        {r.types && ` of type ${r.types.map(visible).join(', ')}`}
        {r.users && ` of ${counted(r.users.length, 'user')}`}
        {r.since && ` since ${absolute(r.since)}`}
        {r.until && ` until ${absolute(r.until)}`}
      </span>
    </p>
  )
}

function Progress({ r }: { r: Replay }) {
  const left = [r.pending && `${count(r.pending)} left out: one is on its way`, r.gone && `${count(r.gone)} left out: the body is gone`].filter(Boolean).join('; ')
  const took = r.ended && millis(Date.parse(r.ended) - Date.parse(r.created))
  return (
    <>
      {!r.dry_run && r.state === 'running' && r.found > 0 && <progress max={r.found} value={r.made} aria-label={`Progress of the replay ${r.id}`} />}
      {r.dry_run ? `${counted(r.found, 'delivery', 'deliveries')} would be made` : `${count(r.made)} of ${counted(r.found, 'delivery', 'deliveries')} made`}
      {took && <span class="dim"> in {took}</span>}
      {left && <span class="dim">; {left}</span>}
      {r.waiting && r.state === 'running' && <p class="dim">waits: {r.waiting}</p>}
      {r.error && <p class="bad">{r.error}</p>}
    </>
  )
}
