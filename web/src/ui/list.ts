import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError } from '../api'
import type { Page } from '../types'

export interface Listed<T> {
  items: T[]
  /** There is more to look at. */
  more: boolean
  /** Down to which acceptance everything was looked at; undefined: to the end. */
  back: string | undefined
  error: ApiError | undefined
  busy: boolean
  /** The first answer has come. */
  loaded: boolean
  further: () => void
  reload: () => void
}

const rounds = 4 // answers that one look may take: the daemon bounds how far it reads for one

/** useList reads a list piece by piece. It begins anew when key changes; what is shown moves for nobody else. */
export function useList<T>(key: string, read: (cursor: string, signal: AbortSignal) => Promise<Page<T>>): Listed<T> {
  const fresh = { key, items: [] as T[], next: '', back: undefined as string | undefined, error: undefined as ApiError | undefined, busy: true, loaded: false }
  const [state, set] = useState(fresh)
  const latest = useRef(read)
  latest.current = read
  const end = useRef<AbortController | undefined>(undefined)

  const look = async (items: T[], cursor: string) => {
    end.current?.abort()
    const own = (end.current = new AbortController())
    set((s) => ({ ...(s.key === key ? s : fresh), busy: true }))
    try {
      const before = items.length
      let page: Page<T> = { items: [], next: cursor }
      for (let n = 0; n < rounds; n++) {
        page = await latest.current(page.next, own.signal)
        items = [...items, ...page.items]
        if (!page.next || items.length > before) break
      }
      if (!own.signal.aborted) set({ key, items, next: page.next, back: page.looked_back_to, error: undefined, busy: false, loaded: true })
    } catch (e) {
      if (own.signal.aborted) return
      const error = e instanceof ApiError ? e : new ApiError(0, 'fault', 'This page has a fault: ' + String(e))
      set((s) => ({ ...s, error, busy: false }))
    }
  }
  useEffect(() => {
    void look([], '')
    return () => end.current?.abort()
  }, [key])

  const s = state.key === key ? state : fresh
  return {
    ...s,
    more: s.next !== '',
    further: () => void look(s.items, s.next),
    reload: () => void look([], ''),
  }
}
