import { absolute, relative } from '../format'
import { useNow } from '../poll'

/** Ago says how long ago a time was, or how far ahead it is; the time itself stands in its title. */
export function Ago({ t, none = '–' }: { t?: string; none?: string }) {
  const now = useNow()
  if (!t) return <span class="dim">{none}</span>
  return (
    <time dateTime={t} title={`${absolute(t)} (${t})`}>
      {relative(t, now)}
    </time>
  )
}

/** When says a time in full, with its zone. */
export function When({ t, fraction, none = '–' }: { t?: string; fraction?: boolean; none?: string }) {
  if (!t) return <span class="dim">{none}</span>
  return (
    <time dateTime={t} title={t}>
      {absolute(t, fraction)}
    </time>
  )
}
