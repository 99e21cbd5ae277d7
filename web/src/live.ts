import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError, request } from './api'
import { covers, fits, narrowest } from './interest'
import type { Interest, Want } from './interest'
import type { LiveAttempt, DestinationTotals as Totals } from './types'

// One stream a browser, of attempts and of counters, shared by its tabs: browsers allow six connections to a host, and
// the daemon counts readers. Each tab that is looked at says what it wants; the one that has the lock follows the
// narrowest stream that covers all of it, and passes on what comes.

type Message = { t: 'want'; tab: string; wants: Want[] } | { t: 'ask' } | { t: 'attempts'; items: LiveAttempt[] } | { t: 'counters'; totals?: Totals }

/** Reader is a part of this page that is told what comes. */
interface Reader {
  want: Want
  attempts?: (items: LiveAttempt[]) => void
  /** undefined: nothing more comes for now. */
  counters?: (totals: Totals | undefined) => void
}

const tab = crypto.getRandomValues(new Uint32Array(2)).join('-')
// A frame has a session of its own: what it may see is no other tab's, and the other way round.
const shared = 'fantail-live' + (window.top === window.self ? '' : '-' + tab)
const channel = new BroadcastChannel(shared)
const mine = new Map<number, Reader>()
const others = new Map<string, Want[]>()
let nextId = 0
let leading: AbortController | undefined // of who leads, or waits to
let following: { filter: Want; stop: AbortController } | undefined

/** useLive has told called with attempts as they end, as long as the page is seen. want undefined: with none. */
export function useLive(want: Interest | undefined, told: (items: LiveAttempt[]) => void): void {
  const latest = useRef(told)
  latest.current = told
  useEffect(() => (want ? reads({ want: { attempts: want }, attempts: (items) => latest.current(items) }) : undefined), [want && JSON.stringify(want)])
}

/** Counted are the totals of all destinations that one sees, as they came last. */
export interface Counted {
  totals: Totals
  /** When they came. */
  at: number
  /** More will come: false where the stream has broken or says nothing. */
  fresh: boolean
}

/** Counters come every 2 s: after so long without, something is wrong. */
const silence = 10_000

/** useCounters follows the totals of destinations, as long as the page is seen; on false: it keeps those that it has. */
export function useCounters(on: boolean): Counted | undefined {
  const [got, set] = useState<Counted>()
  useEffect(() => {
    if (!on) return undefined
    const stale = (old: Counted | undefined) => (old?.fresh ? { ...old, fresh: false } : old)
    const end = reads({ want: { counters: true }, counters: (totals) => set((old) => (totals ? { totals, at: Date.now(), fresh: true } : stale(old))) })
    const timer = setInterval(() => {
      if (seen()) set((old) => (old && Date.now() - old.at > silence ? stale(old) : old))
    }, silence / 2)
    return () => {
      clearInterval(timer)
      end()
    }
  }, [on])
  return got
}

/** reads has r told of what it wants until the function that it returns is called. */
function reads(r: Reader): () => void {
  const id = nextId++
  mine.set(id, r)
  announce()
  return () => {
    mine.delete(id)
    announce()
  }
}

function seen(): boolean {
  return document.visibilityState === 'visible'
}

/** announce tells other tabs what this one wants, and begins or ends to lead. */
function announce(): void {
  const wants = seen() ? [...mine.values()].map((m) => m.want) : []
  channel.postMessage({ t: 'want', tab, wants } satisfies Message)
  if (wants.length && !leading) lead()
  if (!wants.length && leading) {
    leading.abort()
    leading = undefined
  }
  refit()
}

channel.onmessage = ({ data }: MessageEvent<Message>) => {
  if (data.t === 'want') {
    if (data.wants.length) others.set(data.tab, data.wants)
    else others.delete(data.tab)
    refit()
  } else if (data.t === 'ask') {
    if (seen() && mine.size) channel.postMessage({ t: 'want', tab, wants: [...mine.values()].map((m) => m.want) } satisfies Message)
  } else if (data.t === 'attempts') {
    tell(data.items)
  } else if (seen()) {
    count(data.totals)
  }
}
document.addEventListener('visibilitychange', announce)
addEventListener('pagehide', () => channel.postMessage({ t: 'want', tab, wants: [] } satisfies Message))

function tell(items: LiveAttempt[]): void {
  for (const m of mine.values()) {
    const some = items.filter((a) => a.lost || (m.want.attempts && fits(m.want.attempts, a)))
    if (some.length) m.attempts?.(some)
  }
}

function count(totals: Totals | undefined): void {
  for (const m of mine.values()) m.counters?.(totals)
}

/** wanted is what somebody wants, here or in another tab. */
function wanted(): Want {
  return narrowest([...[...mine.values()].map((m) => m.want), ...[...others.values()].flat()])
}

/** refit begins another stream where the one that is followed does not do any more. */
function refit(): void {
  if (following && !covers(following.filter, wanted())) following.stop.abort()
}

function lead(): void {
  const own = (leading = new AbortController())
  const run = () => follow(own.signal)
  // Locks exist only over TLS and on loopback: elsewhere each tab that is seen follows by itself.
  const held = navigator.locks ? navigator.locks.request(shared, { signal: own.signal }, run) : run()
  held.catch(() => {}) // aborted while it waited
}

async function follow(ended: AbortSignal): Promise<void> {
  channel.postMessage({ t: 'ask' } satisfies Message)
  for (let failures = 0; !ended.aborted; ) {
    const filter = wanted()
    const stop = new AbortController()
    const end = () => stop.abort()
    ended.addEventListener('abort', end)
    following = { filter, stop }
    let wait = 0
    try {
      await read(filter, stop.signal)
      failures = 0
    } catch (e) {
      if (!stop.signal.aborted) {
        channel.postMessage({ t: 'counters' } satisfies Message)
        count(undefined)
        failures++
        wait = Math.max(e instanceof ApiError ? e.retryAfter * 1000 : 0, Math.min(30_000, 1000 * 2 ** Math.min(failures, 5)))
        if (e instanceof ApiError && (e.status === 401 || e.status === 403)) wait = 60_000
      }
    }
    following = undefined
    ended.removeEventListener('abort', end)
    if (wait && !ended.aborted) await pause(wait, ended)
  }
}

function pause(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms)
    ended.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true })
  })
}

/** read passes on what one answer tells. Attempts are gathered for a quarter of a second: a page draws no faster. */
async function read({ attempts, counters }: Want, signal: AbortSignal): Promise<void> {
  const what = [attempts ? 'attempts' : '', counters ? 'counters' : ''].filter(Boolean)
  const r = await request('GET', '/v1/live', { query: { ...attempts, tell: what }, signal })
  const reader = r.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  let gathered: LiveAttempt[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  const flush = () => {
    timer = undefined
    channel.postMessage({ t: 'attempts', items: gathered } satisfies Message)
    tell(gathered)
    gathered = []
  }
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) throw new ApiError(0, 'ended', 'the stream ended')
      const events = (text + value).split('\n\n')
      text = events.pop() ?? ''
      for (const event of events) {
        const [, name, data] = /^event: (\w+)\ndata: (.*)$/m.exec(event) ?? []
        if (name === 'attempt') gathered.push(JSON.parse(data!))
        if (name === 'counters') {
          const totals: Totals = JSON.parse(data!)
          channel.postMessage({ t: 'counters', totals } satisfies Message)
          count(totals)
        }
      }
      // Who falls behind loses the middle, and is told so, as from the daemon.
      if (gathered.length > 500) gathered = [...gathered.slice(-499), { lost: gathered.length - 499 }]
      if (gathered.length && timer === undefined) timer = setTimeout(flush, 250)
    }
  } finally {
    clearTimeout(timer)
    reader.cancel().catch(() => {})
  }
}
