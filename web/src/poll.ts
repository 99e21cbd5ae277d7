import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { ApiError } from './api'

// Pages read again by themselves: never in a hidden tab, never while paused, and never twice at a time.

const pauseKey = 'fantail-paused'
const pauseListeners = new Set<() => void>()

function stored(): boolean {
  try {
    return localStorage.getItem(pauseKey) === '1'
  } catch {
    return false // a frame of another site may have no storage
  }
}

let paused = stored()

/** setPaused holds all refreshing, in every tab. */
export function setPaused(on: boolean): void {
  paused = on
  try {
    localStorage.setItem(pauseKey, on ? '1' : '0')
  } catch {
    // this tab alone, then
  }
  pauseListeners.forEach((f) => f())
}
addEventListener('storage', (e) => {
  if (e.key !== pauseKey) return
  paused = stored()
  pauseListeners.forEach((f) => f())
})

export function usePaused(): boolean {
  const [, redraw] = useState(0)
  useEffect(() => {
    const f = () => redraw((n) => n + 1)
    pauseListeners.add(f)
    return () => void pauseListeners.delete(f)
  }, [])
  return paused
}

export interface Polled<T> {
  /** The last answer, also while a newer one is on its way or has failed. */
  data: T | undefined
  error: ApiError | undefined
  /** When data came. */
  at: number
  refresh: () => void
}

/** usePoll reads now, when key changes, and every ms after an answer; ms 0: only now. Another ms counts from the next answer on. */
export function usePoll<T>(key: string, ms: number, read: (signal: AbortSignal) => Promise<T>): Polled<T> {
  const [got, set] = useState<{ key: string; data?: T; error?: ApiError; at: number }>({ key, at: 0 })
  const latest = useRef(read)
  latest.current = read
  const every = useRef(ms)
  every.current = ms
  const again = useRef<() => void>(() => {})

  useEffect(() => {
    const end = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let busy = false
    let wanted = false
    let answered = 0
    const run = async () => {
      clearTimeout(timer)
      if (busy) {
        wanted = true
        return
      }
      busy = true
      let next = every.current
      try {
        const data = await latest.current(end.signal)
        if (!end.signal.aborted) set({ key, data, at: Date.now() })
      } catch (e) {
        if (end.signal.aborted) return
        const error = e instanceof ApiError ? e : new ApiError(0, 'fault', 'This page has a fault: ' + String(e))
        set((old) => ({ key, data: old.key === key ? old.data : undefined, at: old.at, error }))
        next = later(error, every.current)
      }
      busy = false
      answered = Date.now()
      if (wanted) {
        wanted = false
        void run()
      } else if (next) {
        timer = setTimeout(tick, next)
      }
    }
    const tick = () => {
      if (document.visibilityState === 'visible' && !paused) void run()
    }
    const awake = () => {
      if (every.current && Date.now() - answered >= every.current && !busy) tick()
    }
    again.current = () => void run()
    document.addEventListener('visibilitychange', awake)
    pauseListeners.add(awake)
    void run()
    return () => {
      end.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', awake)
      pauseListeners.delete(awake)
    }
  }, [key])

  const current = got.key === key ? got : { data: undefined, error: undefined, at: 0 }
  return { data: current.data, error: current.error, at: current.at, refresh: useCallback(() => again.current(), []) }
}

/** later is when what failed is tried again: a daemon that is away or busy soon, a refusal never. */
function later(error: ApiError, ms: number): number {
  if (error.status === 0 || error.status >= 500 || error.status === 429) return Math.max(ms, 5000, error.retryAfter * 1000)
  return 0
}

const clocks = new Set<(now: number) => void>()
setInterval(() => {
  if (document.visibilityState === 'visible') clocks.forEach((f) => f(Date.now()))
}, 5000)

/** useNow is the time, for what says how long ago something was. It moves on every five seconds. */
export function useNow(): number {
  const [, set] = useState(0)
  useEffect(() => {
    clocks.add(set)
    return () => void clocks.delete(set)
  }, [])
  return Date.now()
}
