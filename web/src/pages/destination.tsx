import { useState } from 'preact/hooks'
import { get } from '../api'
import { absolute, count, counted } from '../format'
import { useLive } from '../live'
import { usePoll } from '../poll'
import { to } from '../router'
import { useMay } from '../session'
import type { Check, Destination as Dest, Page as List } from '../types'
import { Badge, Code } from '../ui/badge'
import { Bulk } from '../ui/bulk'
import type { BulkAct } from '../ui/bulk'
import { Figure, Page } from '../ui/layout'
import { Problem, sentence } from '../ui/problem'
import { Bones, Empty } from '../ui/table'
import { Ago, When } from '../ui/time'
import { DestinationActs } from './destinationacts'
import { Checks, Health, History, Latest, Settings } from './destinationparts'
import { daysOfCertificate, stateOf } from './destinationtable'
import { Follow } from './follow'
import { RotateSecret } from './rotatesecret'

/** Destination is one of them: how it is, what it got, what it is set to, and what happened to it. */
export function Destination({ developer, name }: { developer: string; name: string }) {
  const title = `${developer}/${name}`
  const found = usePoll('destination' + title, 5000, (signal) => find(developer, name, signal))
  const [own, setOwn] = useState<{ of: Dest | null | undefined; now: Dest }>() // what an act here has answered since the last look
  const [check, setCheck] = useState<Check>()
  const [test, setTest] = useState<string>()
  const [bulk, setBulk] = useState<BulkAct>()
  const [changes, setChanges] = useState(0)
  const [fresh, setFresh] = useState(0)
  const retry = useMay('retry')
  const configure = useMay('configure')
  useLive(found.data ? { developer, destination: name } : undefined, (items) => {
    setFresh((n) => n + items.reduce((sum, a) => sum + (a.lost ?? 1), 0))
    found.refresh()
  })

  const d = own && own.of === found.data ? own.now : found.data
  const changed = (now: Dest) => {
    setOwn({ of: found.data, now })
    setChanges((n) => n + 1)
  }
  const selection = { developer, destination: name }
  return (
    <Page
      name="destination"
      title={title}
      above={<a href={to.destinations()}>Destinations</a>}
      beside={
        d && (
          <>
            <Badge is={stateOf(d)} />
            <span class="dim">{d.kind}</span>
            <DestinationActs d={d} changed={changed} checked={setCheck} tested={setTest} />
          </>
        )
      }
    >
      {found.error && <Problem error={found.error} again={found.refresh} stale={found.data ? absolute(found.at) : undefined} />}
      {!found.data && !found.error && <Bones rows={8} />}
      {found.data === null && (
        <Empty title="There is no such destination">
          <p>
            Neither the settings nor the store know it. <a href={to.destinations({ q: name })}>Look for it by its name</a>.
          </p>
        </Empty>
      )}
      {d && (
        <>
          <Standing d={d} />
          {test && <Follow key={test} id={test} name="The test event" />}
          <Figures d={d} />
          {d.state !== 'removed' && <Health d={d} />}
          <Latest
            d={d}
            fresh={fresh}
            beside={
              <>
                {retry && (
                  <button type="button" onClick={() => setBulk('retry')}>
                    Retry all dead since…
                  </button>
                )}
                {retry && d.pending > 0 && (
                  <button type="button" onClick={() => setBulk('cancel')}>
                    Cancel pending…
                  </button>
                )}
              </>
            }
          />
          <div class="two">
            <div class="stack">
              <Checks check={check ?? d.check} />
              <History d={d} changes={changes} />
            </div>
            <Settings d={d} rebind={retry ? () => setBulk('rebind') : undefined} changes={changes} beside={configure && d.state !== 'removed' && <RotateSecret developer={developer} name={name} />} />
          </div>
          {bulk && (
            <Bulk
              act={bulk}
              what={selection}
              of={`of ${title}`}
              sinces={bulk === 'retry' ? sinces(d) : undefined}
              onClose={(did) => {
                setBulk(undefined)
                if (did) {
                  found.refresh()
                  setFresh((n) => n + 1)
                  setChanges((n) => n + 1)
                }
              }}
            />
          )}
        </>
      )}
    </Page>
  )
}

/** find returns a destination as it is now; null: there is none. What is in the settings goes before what was removed. */
async function find(developer: string, name: string, signal: AbortSignal): Promise<Dest | null> {
  const list = await get<List<Dest>>('/v1/destinations', { developer, q: `${developer}/${name}`, limit: 1000 }, signal)
  const same = list.items.filter((d) => d.developer === developer && d.name === name)
  return same.find((d) => d.state !== 'removed') ?? same[0] ?? null
}

/** sinces are the times that somebody may mean: since it last worked, and round ones. */
function sinces(d: Dest): [string, string | undefined][] {
  const ago = (ms: number) => new Date(Date.now() - ms).toISOString()
  const last: [string, string | undefined][] = d.last_success ? [[`its last success, ${absolute(d.last_success)}`, d.last_success]] : []
  return [['ever', undefined], ...last, ['an hour ago', ago(36e5)], ['24 hours ago', ago(864e5)], ['7 days ago', ago(7 * 864e5)]]
}

/** Standing says what is wrong, since when, what the far side said last, and what will happen. */
function Standing({ d }: { d: Dest }) {
  const last = d.last_answer
  const wrong = d.state !== 'active' || d.reason || d.waits_for
  const days = daysOfCertificate(d)
  const kind = d.state === 'held' || d.failed_attempts > 0 ? 'problem' : wrong ? 'notice' : 'notice good'
  return (
    <section class={`standing ${kind}`} aria-label="How it is">
      <p>
        <strong>{wrong ? sentence(d.reason ?? `it is ${d.state}`) : last ? 'It takes what it is sent.' : 'Nothing was sent yet.'}</strong>
        {d.since && (
          <>
            {' '}
            {d.state} since <When t={d.since} />.
          </>
        )}
      </p>
      {last && (
        <p class="wrap">
          Last answer <Ago t={last.at} />: <Code code={last.code} />, {last.class}
          {last.fault && <>, {last.fault}</>}
          {last.answer && (
            <>
              : <code>{last.answer}</code>
            </>
          )}
        </p>
      )}
      {d.failed_attempts > 0 && (
        <p>
          {counted(d.failed_attempts, 'attempt')} failed since{' '}
          {d.last_success ? (
            <>
              the last success, <When t={d.last_success} />
            </>
          ) : (
            'the first one: none has ever succeeded'
          )}
          .
        </p>
      )}
      {d.waits_until && (
        <p>
          It is tried <Ago t={d.waits_until} ahead /> (<When t={d.waits_until} />).
        </p>
      )}
      {days !== undefined && days < 21 && <p class="bad">Its certificate ends in {counted(days, 'day')}.</p>}
    </section>
  )
}

function Figures({ d }: { d: Dest }) {
  const of = { developer: d.developer, destination: d.name }
  const days = daysOfCertificate(d)
  return (
    <dl class="figures">
      <Figure name="Pending" href={to.deliveries({ ...of, state: 'pending' })} note={`${count(d.in_flight)} in flight`}>
        {count(d.pending)}
      </Figure>
      <Figure name="Oldest pending" note={d.oldest_pending && absolute(d.oldest_pending)}>
        <Ago t={d.oldest_pending} none="none" />
      </Figure>
      <Figure name="Dead in 24 h" tone={d.dead_24h ? 'bad' : ''} href={to.deliveries({ ...of, state: 'dead', since: '24h' })}>
        {count(d.dead_24h)}
      </Figure>
      <Figure name="Last success" note={d.last_success && absolute(d.last_success)}>
        <Ago t={d.last_success} none="never" />
      </Figure>
      <Figure name="Breaker" tone={d.breaker === 'open' ? 'warn' : ''} note={d.breaker === 'open' ? 'one attempt at a time' : ''}>
        {d.breaker}
      </Figure>
      <Figure name="Certificate" tone={days !== undefined && days < 21 ? 'bad' : ''}>
        {days === undefined ? '–' : counted(days, 'day')}
      </Figure>
    </dl>
  )
}
