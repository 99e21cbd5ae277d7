import { counted } from '../format'
import type { PlanStep } from '../types'

const signs = { add: '+', change: '~', remove: '−' }
const words = { add: 'adds', change: 'changes', remove: 'removes' }

/** Plan says what a change of settings does, step by step. It names keys, and no values. */
export function Plan({ steps, notes = [] }: { steps: PlanStep[]; notes?: string[] }) {
  return (
    <>
      {steps.length === 0 && <p>It changes nothing.</p>}
      <ul class="plan">
        {steps.map((s) => (
          <li class={s.do}>
            <code aria-label={words[s.do]}>{signs[s.do]}</code> {s.developer}
            {s.destination && `/${s.destination}`}
            <span class="dim">
              {s.keys && ` ${s.keys.join(', ')}`}
              {s.destinations ? ` ${counted(s.destinations, 'destination')}` : ''}
              {s.pending ? `, ${counted(s.pending, 'pending delivery', 'pending deliveries')} wait for it to come back` : ''}
            </span>
          </li>
        ))}
      </ul>
      {notes.map((n) => (
        <p class="notice wrap">{n}</p>
      ))}
    </>
  )
}
