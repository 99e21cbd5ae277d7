import { p, send } from '../api'
import { counted, relative } from '../format'
import { useMay } from '../session'
import type { Check, Destination } from '../types'
import { useAct } from '../ui/acts'
import { ask, say } from '../ui/ask'

interface Props {
  d: Destination
  /** The buttons stand in a row of a list, where each has to say what it is about. */
  inRow?: boolean
  changed: (now: Destination) => void
  checked?: (check: Check) => void
  tested: (delivery: string) => void
}

/** DestinationActs are what somebody can do to a destination, as far as they may. */
export function DestinationActs({ d, inRow, changed, checked, tested }: Props) {
  const operate = useMay('operate')
  const test = useMay('test')
  const { busy, run } = useAct()
  const name = `${d.developer}/${d.name}`
  const path = (act: string) => p`/v1/destinations/${d.developer}/${d.name}/${act}`

  const pause = async () => {
    const oldest = d.oldest_pending ? `, the oldest accepted ${relative(d.oldest_pending, Date.now())}` : ''
    const reason = await ask({
      title: `Pause ${name}?`,
      text: (
        <p>
          No attempt starts until somebody resumes it. {counted(d.pending, 'pending delivery', 'pending deliveries')}
          {oldest} will wait, and so will all that come. What is in flight ends.
        </p>
      ),
      act: 'Pause',
    })
    if (reason === undefined) return
    changed(await send<Destination>('POST', path('pause'), { body: reason ? { reason } : {} }))
    say(`${name} is paused.`)
  }
  const resume = async () => {
    changed(await send<Destination>('POST', path('resume'), { body: {} }))
    say(`${name} is resumed.`)
  }
  const check = async () => {
    const now = await send<Destination>('POST', path('check'), { body: {} })
    changed(now)
    if (now.check) checked?.(now.check)
    const bad = now.check?.findings.filter((f) => f.result !== 'ok') ?? []
    say(bad.length ? `${name}: ${bad.map((f) => f.message).join('; ')}` : `${name} was checked: nothing is wrong.`, now.check?.result === 'fail')
  }
  const sendTest = async () => {
    const sent = await send<{ delivery: string; destination: Destination }>('POST', path('test'))
    changed(sent.destination)
    tested(sent.delivery)
  }

  if (d.state === 'removed') return null
  const button = (label: string, act: () => Promise<void>, kind = '') => (
    <button type="button" class={inRow ? 'quiet' : kind} aria-disabled={busy !== ''} aria-label={inRow ? `${label} ${name}` : undefined} onClick={() => run(label, act)}>
      {busy === label ? label + '…' : inRow ? (label === 'Send test event' ? 'Test' : label) : label}
    </button>
  )
  const halted = d.state === 'paused' || d.state === 'held' || d.waits_for === 'throttled'
  return (
    <span class={inRow ? 'over row-acts' : 'acts'}>
      {operate && halted && button('Resume', resume)}
      {operate && d.state !== 'paused' && d.state !== 'disabled' && button('Pause', pause)}
      {test && button('Check', check)}
      {test && button('Send test event', sendTest, 'primary')}
    </span>
  )
}
