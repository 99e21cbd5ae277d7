import { useRef, useState } from 'preact/hooks'
import { ApiError, get, p } from '../api'
import type { Query } from '../api'
import { go, to } from '../router'
import type { Delivery, Event, Page } from '../types'
import { say } from './ask'

/**
 * Find takes any id: of an event or a delivery, whole or its first 8 characters; the name of a user; or a reference.
 */
export function Find() {
  const [text, setText] = useState('')
  const [busy, setBusy] = useState(false)
  const box = useRef<HTMLInputElement>(null)

  const submit = async (e: SubmitEvent) => {
    e.preventDefault()
    const wanted = text.trim()
    if (!wanted || busy) return
    setBusy(true)
    try {
      const found = await find(wanted)
      if (found) {
        go(found)
        setText('')
      } else {
        say(`Nothing is known as “${wanted}”: no event, delivery, user or reference of the last 7 days.`, true)
      }
    } catch (err) {
      say((err as ApiError).message, true)
    }
    setBusy(false)
  }
  return (
    <form class="find" role="search" onSubmit={submit}>
      <label class="unseen" for="find">
        Find an event, delivery, user or reference
      </label>
      <input id="find" ref={box} type="search" placeholder="Any id, user or reference" spellcheck={false} autocomplete="off" value={text} aria-busy={busy} onInput={(e) => setText(e.currentTarget.value)} />
    </form>
  )
}

async function find(wanted: string): Promise<string | undefined> {
  if (/^[0-9a-f]{8}[0-9a-f-]*_[0-9_]+$/i.test(wanted)) return (await known<Delivery>(p`/v1/deliveries/${wanted}`, (d) => to.delivery(d.id)))
  if (/^[0-9a-f]{8}[0-9a-f-]*$/i.test(wanted)) {
    const event = await known<Event>(p`/v1/events/${wanted.toLowerCase()}`, (e) => to.event(e.id))
    if (event) return event
  }
  const week = new Date(Date.now() - 7 * 864e5).toISOString()
  const theirs = await get<Page<Delivery>>('/v1/deliveries', { user: wanted, since: week, limit: 1 }) // an index knows these
  if (theirs.items[0]) return to.deliveries({ user: wanted, since: '7d' })
  const byUser = await first({ user: wanted, since: week, limit: 1 })
  if (byUser) return to.deliveries({ user: wanted, since: '7d' })
  const byReference = await first({ reference: wanted, since: week, limit: 1000 })
  return byReference && to.event(byReference.id)
}

/** first is the newest event that is like that, as far as a few answers of the daemon look back. */
async function first(filter: Query): Promise<Event | undefined> {
  for (let cursor = '', n = 0; n < 4; n++) {
    const page = await get<Page<Event>>('/v1/events', { ...filter, cursor })
    if (page.items[0] || !page.next) return page.items[0]
    cursor = page.next
  }
  return undefined
}

async function known<T>(path: string, address: (item: T) => string): Promise<string | undefined> {
  try {
    return address(await get<T>(path))
  } catch (e) {
    if (e instanceof ApiError && (e.status === 404 || e.code === 'invalid_id')) return undefined
    throw e
  }
}
