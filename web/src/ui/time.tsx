import { absolute, relative } from '../format'
import { useNow } from '../poll'

/**
 * Ago says how long ago a time was; the time itself stands in its title. ahead: how far it is ahead. Else a time ahead
 * of the browser's clock, which may differ from the daemon's, is now.
 */
export function Ago({ t, none = '–', ahead }: { t?: string; none?: string; ahead?: boolean }) {
  const now = useNow()
  if (!t) return <span class="dim">{none}</span>
  return (
    <time dateTime={t} title={`${absolute(t)} (${t})`}>
      {relative(t, ahead ? now : Math.max(now, Date.parse(t)))}
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
