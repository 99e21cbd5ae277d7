import { useState } from 'preact/hooks'
import { get } from '../api'
import { count, counted, since as sinceOf, visible } from '../format'
import { go, href, to, useRoute } from '../router'
import type { Act, AuditRow, Page as List } from '../types'
import { useAct } from '../ui/acts'
import { Badge } from '../ui/badge'
import { Card, Page } from '../ui/layout'
import { useList } from '../ui/list'
import { Problem } from '../ui/problem'
import { Bones, Empty, Table } from '../ui/table'
import { When } from '../ui/time'

const sinces = [['', 'any time'], ['24h', 'the last 24 h'], ['7d', 'the last 7 days'], ['30d', 'the last 30 days']] as const

/** Trail: who did what, when and why; and whether everything accepted is somewhere. */
export function Trail() {
  const { query } = useRoute()
  const f = { developer: query.get('developer') ?? '', by: query.get('by') ?? '', call: query.get('call') ?? '', since: query.get('since') ?? '' }
  const [draft, setDraft] = useState(f)
  const list = useList<Act>(JSON.stringify(f), (cursor, signal) => get<List<Act>>('/v1/changes', { ...f, since: sinceOf(f.since), limit: 50, cursor }, signal))
  const set = (next: typeof f) => go(href(['trail'], next), true)
  const text = (name: 'developer' | 'by' | 'call', label: string, placeholder = '') => (
    <div>
      <label for={'t-' + name}>{label}</label>
      <input id={'t-' + name} value={draft[name]} placeholder={placeholder} spellcheck={false} autocomplete="off" onInput={(e) => setDraft({ ...draft, [name]: e.currentTarget.value.trim() })} />
    </div>
  )
  return (
    <Page name="trail" title="Trail">
      <Audit />
      <form
        class="card filter-form"
        aria-label="Filters"
        onSubmit={(e) => {
          e.preventDefault()
          set(draft)
        }}
      >
        <div class="fields">
          {text('developer', 'Developer')}
          {text('by', 'By', 'name of a token')}
          {text('call', 'What', 'pauseDestination')}
          <div>
            <label for="t-since">When</label>
            <select id="t-since" value={f.since} onChange={(e) => set({ ...draft, since: e.currentTarget.value })}>
              {sinces.map(([value, label]) => (
                <option value={value}>{label}</option>
              ))}
            </select>
          </div>
          <div class="go">
            <button type="submit">Filter</button>
            <a href={href(['trail'])}>Clear</a>
          </div>
        </div>
      </form>
      {list.error && <Problem error={list.error} again={list.items.length ? list.further : list.reload} />}
      <section class="card flush" aria-label="Who did what" aria-busy={list.busy}>
        {!list.loaded && !list.error && <Bones rows={10} />}
        {list.loaded && list.items.length === 0 && !list.more && <Empty title="Nobody did such a thing">Changes, refusals, and reads of bodies stand here.</Empty>}
        {list.items.length > 0 && (
          <Table
            caption="Who did what, newest first"
            items={list.items}
            id={(a) => a.at + a.call + (a.object ?? '') + (a.by ?? '')}
            columns={[
              { head: 'When', kind: 'wraps', cell: (a) => <When t={a.at} /> },
              { head: 'By', kind: 'opt3', cell: (a) => (a.by ? <>{a.by}{a.via && <span class="dim"> over {a.via}</span>}</> : <span class="dim">nobody known</span>) },
              { head: 'What', kind: 'words', cell: (a) => <>{words(a.call)}{a.count > 1 && <span class="dim"> × {count(a.count)}</span>}</> },
              { head: 'To', kind: 'name', cell: (a) => <Object a={a} /> },
              { head: 'Why', kind: 'wide opt', cell: (a) => (a.reason ? visible(a.reason) : <span class="dim">–</span>) },
              { head: 'Result', kind: 'opt3', cell: (a) => <Badge is={a.result} /> },
            ]}
          />
        )}
        {list.more && (
          <div class="more">
            <button type="button" disabled={list.busy} onClick={list.further}>
              {list.busy ? 'Looking…' : 'Show more'}
            </button>
          </div>
        )}
      </section>
    </Page>
  )
}

/** words lets the name of a call break where a word begins, and nowhere else. */
function words(call: string) {
  return call.split(/(?=[A-Z.])/).map((word, i) => (i ? [<wbr />, word] : word))
}

/** Object is what it was done to, as a link where there is a page for it. */
function Object({ a }: { a: Act }) {
  const whose = a.developer ? `${a.developer}${a.object ? '/' : ''}` : ''
  const name = a.object ? visible(a.object) : ''
  if (!whose && !name) return <span class="dim">the daemon</span>
  if (a.object && /^[0-9a-f-]{36}_/.test(a.object)) return <a href={to.delivery(a.object)}>{name}</a>
  if (a.object && /^[0-9a-f-]{36}$/.test(a.object)) return <a href={to.event(a.object)}>{name}</a>
  if (a.developer && a.object && /Destination$|Secret$/.test(a.call)) return <a href={to.destination(a.developer, a.object)}>{whose + name}</a>
  return <>{whose + name}</>
}

/** Audit says whether what was accepted is delivered, pending, dead or cancelled, by destination; deep, it counts again. */
function Audit() {
  const [rows, setRows] = useState<{ deep: boolean; rows: AuditRow[] }>()
  const { busy, run } = useAct()
  const audit = (deep: boolean) => run('Audit', async () => setRows({ deep, rows: await get<AuditRow[]>('/v1/audit', { deep }) }))
  const bad = rows?.rows.filter((r) => !r.balanced) ?? []
  const sum = (of: 'accepted' | 'delivered' | 'pending' | 'dead' | 'cancelled') => (rows?.rows ?? []).reduce((n, r) => n + r[of], 0)
  return (
    <Card
      title="Audit"
      beside={
        <>
          <button type="button" aria-disabled={!!busy} onClick={() => audit(false)}>
            Add up
          </button>
          <button type="button" aria-disabled={!!busy} onClick={() => audit(true)}>
            {busy ? 'Counting…' : 'Count everything again'}
          </button>
        </>
      }
    >
      {!rows && <p class="dim">Everything accepted is delivered, pending, dead or cancelled. Counting again takes about a second for each million deliveries.</p>}
      {rows && (
        <p role="status">
          <Badge is={bad.length ? 'failed' : 'ok'} /> {counted(rows.rows.length, 'destination')}: {count(sum('accepted'))} accepted = {count(sum('delivered'))} delivered + {count(sum('pending'))} pending +{' '}
          {count(sum('dead'))} dead + {count(sum('cancelled'))} cancelled{rows.deep ? ', counted again' : ', by the counters'}.
        </p>
      )}
      {bad.length > 0 && (
        <Table
          caption="Destinations that do not add up"
          items={bad}
          id={(r) => `${r.developer}/${r.destination}/${r.kind}`}
          columns={[
            { head: 'Destination', kind: 'name', cell: (r) => `${r.developer}/${r.destination}` },
            { head: 'Accepted', kind: 'num', cell: (r) => count(r.accepted) },
            { head: 'Delivered', kind: 'num', cell: (r) => count(r.delivered) },
            { head: 'Pending', kind: 'num', cell: (r) => count(r.pending) },
            { head: 'Dead', kind: 'num', cell: (r) => count(r.dead) },
            { head: 'Cancelled', kind: 'num', cell: (r) => count(r.cancelled) },
          ]}
        />
      )}
    </Card>
  )
}
