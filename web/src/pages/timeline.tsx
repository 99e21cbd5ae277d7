import { acceptedAt, millis, visible } from '../format'
import type { Attempt, Delivery } from '../types'
import { Badge, Code } from '../ui/badge'
import { Ago, When } from '../ui/time'

/** TimeLine is everything that happened to a delivery, oldest first, and what comes next. */
export function TimeLine({ d }: { d: Delivery }) {
  const accepted = acceptedAt(d.event)
  const attempts = d.attempts ?? []
  return (
    <ol class="line">
      <li>
        <p>
          <strong>Accepted</strong> <When t={accepted} fraction />
        </p>
      </li>
      {attempts.map((a, i) => (
        <One a={a} n={i + 1} after={Date.parse(a.at) - Date.parse(attempts[i - 1]?.at ?? accepted)} />
      ))}
      <End d={d} />
    </ol>
  )
}

function One({ a, n, after }: { a: Attempt; n: number; after: number }) {
  return (
    <li class={a.class === 'delivered' ? 'went' : 'failed-at'}>
      <p>
        <strong>Attempt {n}</strong> <Badge is={a.class} /> <Code code={a.code} /> <span class="dim">in {millis(a.ms)}</span>
      </p>
      <p class="dim">
        <When t={a.at} fraction />, {millis(after)} after {n === 1 ? 'acceptance' : 'the one before'}
        {a.address && <>, to {a.address}</>}
        {a.requests && <>, {a.requests} requests: a kept connection had ended</>}
        {!a.counted && ', which used none of its schedule'}
      </p>
      {a.answer && <pre class="answer">{visible(a.answer)}</pre>}
    </li>
  )
}

function End({ d }: { d: Delivery }) {
  if (d.state === 'pending') {
    return (
      <li class="next">
        <p>
          <strong>{d.attempts?.length ? 'Next attempt' : 'First attempt'}</strong> {d.due ? <Ago t={d.due} ahead /> : 'as soon as there is room'}
        </p>
        {d.due && (
          <p class="dim">
            <When t={d.due} fraction />
            {d.waits_for && ', and not before what it waits for ends'}
          </p>
        )}
      </li>
    )
  }
  return (
    <li class={d.state === 'delivered' ? 'went' : 'failed-at'}>
      <p>
        <strong>{d.state.charAt(0).toUpperCase() + d.state.slice(1)}</strong> <When t={d.changed} fraction />
      </p>
      {d.reason && <p class="dim wrap">{d.reason}</p>}
    </li>
  )
}
