import { useState } from 'preact/hooks'
import { since as sinceOf } from '../format'
import { to } from '../router'
import { attemptClasses, deliveryStates } from '../types'
import type { Filter } from './deliveryfilter'

const sinces = [
  ['', 'any time'],
  ['1h', 'the last hour'],
  ['24h', 'the last 24 h'],
  ['7d', 'the last 7 days'],
  ['30d', 'the last 30 days'],
] as const

/** DeliveryFilters are all filters of the list. States are links; the rest counts when it is entered. */
export function DeliveryFilters({ f, set }: { f: Filter; set: (change: Partial<Filter>) => void }) {
  const [draft, setDraft] = useState(f)
  const [wrong, setWrong] = useState('')
  const known = sinces.some(([value]) => value === f.since)
  const [exact, setExact] = useState(!known || !!f.until)
  const apply = (e?: Event) => {
    e?.preventDefault()
    if (draft.destination && !draft.developer) return setWrong('A destination needs its developer: names are each developer’s own.')
    for (const t of ['since', 'until']) if (draft[t] && !sinceOf(draft[t])) return setWrong(`${t} is a time such as 2026-07-01T09:12:33Z, or 24h.`)
    if (draft.code && !/^\d+$/.test(draft.code)) return setWrong('A code is a number such as 500; 0 is no answer.')
    setWrong('')
    set(draft)
  }
  const text = (name: keyof Filter & string, label: string, more: object = {}) => (
    <div>
      <label for={'f-' + name}>{label}</label>
      <input id={'f-' + name} value={draft[name]} spellcheck={false} autocomplete="off" onInput={(e) => setDraft({ ...draft, [name]: e.currentTarget.value.trim() })} {...more} />
    </div>
  )
  return (
    <form class="card filter-form" onSubmit={apply} aria-label="Filters">
      <nav aria-label="States">
        <ul class="tabs">
          {['', ...deliveryStates].map((state) => (
            <li>
              <a href={to.deliveries({ ...f, state })} aria-current={f.state === state ? 'true' : undefined}>
                {state || 'any state'}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="fields">
        {text('developer', 'Developer')}
        {text('destination', 'Destination')}
        {text('type', 'Type')}
        {text('user', 'User')}
        <div>
          <label for="f-class">Last attempt</label>
          <select id="f-class" value={f.class} onChange={(e) => set({ ...draft, class: e.currentTarget.value })}>
            <option value="">any</option>
            {attemptClasses.map((c) => (
              <option value={c}>{c}</option>
            ))}
          </select>
        </div>
        {text('code', 'Answer', { placeholder: '500', inputMode: 'numeric' })}
        {text('event', 'Event')}
        {!exact && (
          <div>
            <label for="f-since">Accepted in</label>
            <select id="f-since" value={f.since} onChange={(e) => (e.currentTarget.value === 'exact' ? setExact(true) : set({ ...draft, since: e.currentTarget.value, until: '' }))}>
              {sinces.map(([value, label]) => (
                <option value={value}>{label}</option>
              ))}
              <option value="exact">from … to …</option>
            </select>
          </div>
        )}
        {exact && text('since', 'From', { placeholder: '2026-07-01T09:12:33Z' })}
        {exact && text('until', 'To', { placeholder: '2026-07-02T00:00:00Z' })}
        <div class="go">
          <button type="submit">Filter</button>
          <a href={to.deliveries()}>Clear</a>
        </div>
      </div>
      {wrong && (
        <p class="bad" role="alert">
          {wrong}
        </p>
      )}
    </form>
  )
}
