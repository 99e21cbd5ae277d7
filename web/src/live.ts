import { useEffect, useRef } from 'preact/hooks'
import { ApiError, request } from './api'
import type { LiveAttempt } from './types'

// One stream of attempts a browser, shared by its tabs: browsers allow six connections to a host, and the daemon
// counts readers. Each tab that is looked at says what it wants; the one that has the lock follows the narrowest
// stream that covers all of it, and passes on what comes.

/** Interest says whose attempts are wanted; empty: all. */
export interface Interest {
  developer?: string
  destination?: string
}

type Message = { t: 'want'; tab: string; wants: Interest[] } | { t: 'ask' } | { t: 'attempts'; items: LiveAttempt[] }

const tab = crypto.getRandomValues(new Uint32Array(2)).join('-')
const channel = new BroadcastChannel('fantail-live')
const mine = new Map<number, { want: Interest; told: (items: LiveAttempt[]) => void }>()
const others = new Map<string, Interest[]>()
let nextId = 0
let leading: AbortController | undefined // of who leads, or waits to
let following: { filter: Interest; stop: AbortController } | undefined

/** useLive has told called with attempts as they end, as long as the page is seen. want undefined: with none. */
export function useLive(want: Interest | undefined, told: (items: LiveAttempt[]) => void): void {
  const latest = useRef(told)
  latest.current = told
  useEffect(() => {
    if (!want) return
    const id = nextId++
    mine.set(id, { want, told: (items) => latest.current(items) })
    announce()
    return () => {
      mine.delete(id)
      announce()
    }
  }, [want && JSON.stringify(want)])
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
  } else {
    tell(data.items)
  }
}
document.addEventListener('visibilitychange', announce)
addEventListener('pagehide', () => channel.postMessage({ t: 'want', tab, wants: [] } satisfies Message))

function tell(items: LiveAttempt[]): void {
  for (const m of mine.values()) {
    const some = items.filter((a) => a.lost || covers(m.want, a))
    if (some.length) m.told(some)
  }
}

function covers(filter: Interest, of: Interest): boolean {
  return (!filter.developer || filter.developer === of.developer) && (!filter.destination || filter.destination === of.destination)
}

/** narrowest is the filter of one stream that has all that somebody wants. */
function narrowest(): Interest {
  const all = [...[...mine.values()].map((m) => m.want), ...[...others.values()].flat()]
  const [first, ...rest] = all
  if (!first?.developer || rest.some((w) => w.developer !== first.developer)) return {}
  if (!first.destination || rest.some((w) => w.destination !== first.destination)) return { developer: first.developer }
  return { developer: first.developer, destination: first.destination }
}

/** refit begins another stream where the one that is followed does not cover what is wanted. */
function refit(): void {
  if (following && !covers(following.filter, narrowest())) following.stop.abort()
}

function lead(): void {
  const own = (leading = new AbortController())
  const run = () => follow(own.signal)
  // Locks exist only over TLS and on loopback: elsewhere each tab that is seen follows by itself.
  const held = navigator.locks ? navigator.locks.request('fantail-live', { signal: own.signal }, run) : run()
  held.catch(() => {}) // aborted while it waited
}

async function follow(ended: AbortSignal): Promise<void> {
  channel.postMessage({ t: 'ask' } satisfies Message)
  for (let failures = 0; !ended.aborted; ) {
    const filter = narrowest()
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
async function read(filter: Interest, signal: AbortSignal): Promise<void> {
  const r = await request('GET', '/v1/live', { query: { ...filter }, signal })
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
        const data = /^event: attempt\ndata: (.*)$/m.exec(event)
        if (data) gathered.push(JSON.parse(data[1]!))
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
