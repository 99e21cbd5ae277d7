import { get, p } from '../api'
import { useLive } from '../live'
import { usePoll } from '../poll'
import { to } from '../router'
import type { Delivery } from '../types'
import { Badge, Code } from '../ui/badge'
import { Problem } from '../ui/problem'
import { waiting } from './deliverytable'
import { millis, unended } from '../format'
import { Ago } from '../ui/time'

/** useDelivery is a delivery as it is now: it follows attempts, and looks again while it is pending. */
export function useDelivery(id: string) {
  const poll = usePoll('delivery' + id, 5000, (signal) => get<Delivery>(p`/v1/deliveries/${id}`, undefined, signal))
  const d = poll.data
  useLive(d && { developer: d.developer, destination: d.destination }, (items) => {
    if (items.some((a) => a.lost || a.delivery === d?.id)) poll.refresh()
  })
  return poll
}

/** Follow says what becomes of one delivery, as it happens. */
export function Follow({ id, name }: { id: string; name: string }) {
  const { data: d, error } = useDelivery(id)
  const last = d?.attempts?.at(-1)
  return (
    <div class={`follow ${d?.state === 'delivered' ? 'good' : d?.state === 'dead' ? 'fault' : 'info'} notice`} role="status" aria-live="polite">
      {error && <Problem error={error} />}
      {!d && !error && `${name} is accepted…`}
      {d && (
        <>
          <a href={to.delivery(d.id)}>{name}</a> to {d.developer}/{d.destination}: <Badge is={d.state} />{' '}
          {last ? (
            <>
              {last.class !== d.state && <>{last.class}, </>}
              <Code code={last.code} /> after {millis(last.ms)}
              {last.class !== 'delivered' && last.answer && <>: {unended(last.answer)}</>}
            </>
          ) : d.waits_for ? (
            waiting[d.waits_for] ?? d.waits_for
          ) : (
            'not tried yet'
          )}
          {d.state === 'pending' && d.due && last && (
            <>
              ; next attempt <Ago t={d.due} ahead />
            </>
          )}
        </>
      )}
    </div>
  )
}
