import { useRef, useState } from 'preact/hooks'
import { ApiError, send } from '../api'
import { absolute, count, counted } from '../format'
import type { Step } from '../types'
import { Dialog } from './ask'
import { Problem } from './problem'

/** Selection says which deliveries are meant, as the API takes it. */
export interface Selection {
  developer?: string
  destination?: string
  state?: string
  event?: string
  since?: string
  until?: string
  types?: string[]
  user?: string
  classes?: string[]
  codes?: number[]
}

export type BulkAct = 'retry' | 'cancel' | 'rebind'

const words: Record<BulkAct, { act: string; state: string; done: string; effect: string; left: string }> = {
  retry: {
    act: 'Retry', state: 'dead', done: 'are due now', effect: 'They become due now, with current settings and a fresh schedule.',
    left: 'were left alone: their body is gone, or another delivery of the event is pending or has arrived since.',
  },
  cancel: { act: 'Cancel', state: 'pending', done: 'were cancelled', effect: 'They are not attempted any more. What is in flight ends, and counts when it succeeds.', left: 'had changed meanwhile.' },
  rebind: { act: 'Move', state: 'pending', done: 'go out with current settings', effect: 'They keep their schedule and go out with current settings.', left: 'have current settings, or had changed meanwhile.' },
}

interface Props {
  act: BulkAct
  what: Selection
  /** What is meant, in words: "of globex/hooks". */
  of: string
  /** Asks since when, before it counts. */
  sinces?: [name: string, since: string | undefined][]
  onClose: (changed: boolean) => void
}

type Phase = { is: 'choosing' } | { is: 'counting'; n: number } | { is: 'asking'; n: number } | { is: 'doing'; n: number; matched: number; changed: number } | { is: 'done'; changed: number; matched: number; stopped: boolean } | { is: 'failed'; error: ApiError; changed: number }

/** Bulk changes what a filter selects at the daemon, however much that is: it counts, asks, and shows how far it is. */
export function Bulk({ act, what, of, sinces, onClose }: Props) {
  const w = words[act]
  const state = what.state ?? w.state
  const [phase, set] = useState<Phase>(sinces ? { is: 'choosing' } : { is: 'counting', n: 0 })
  const [since, setSince] = useState(what.since)
  const [reason, setReason] = useState('')
  const stop = useRef(false)
  const started = useRef(false)

  const each = async (extra: object, told: (sum: Step) => void): Promise<Step> => {
    const all = what.developer || what.event ? {} : { all: true }
    const body = without({ ...what, ...all, since, state, ...(act === 'rebind' ? { rebind: true } : {}), ...extra })
    const sum: Step = { matched: 0, changed: 0, next: '' }
    do {
      const step = await send<Step>('POST', act === 'cancel' ? '/v1/deliveries/cancel' : '/v1/deliveries/retry', { body: without({ ...body, cursor: sum.next }), reason })
      sum.matched += step.matched
      sum.changed += step.changed
      sum.next = step.next
      told(sum)
    } while (sum.next && !stop.current)
    return sum
  }
  let changed = 0
  const guarded = async (f: () => Promise<void>) => {
    stop.current = false
    try {
      await f()
    } catch (e) {
      set({ is: 'failed', error: e instanceof ApiError ? e : new ApiError(0, 'fault', String(e)), changed })
    }
  }
  const counting = () =>
    guarded(async () => {
      set({ is: 'counting', n: 0 })
      const sum = await each({ dry_run: true }, (s) => set({ is: 'counting', n: s.matched }))
      if (!stop.current) set({ is: 'asking', n: sum.matched })
    })
  const doing = (n: number) =>
    guarded(async () => {
      set({ is: 'doing', n, matched: 0, changed: 0 })
      const sum = await each({}, (s) => {
        changed = s.changed
        set({ is: 'doing', n, matched: s.matched, changed: s.changed })
      })
      set({ is: 'done', changed: sum.changed, matched: sum.matched, stopped: sum.next !== '' })
    })
  if (phase.is === 'counting' && !started.current) {
    started.current = true
    void counting()
  }
  const name = `${state} deliveries ${of}${since ? ` accepted since ${absolute(since)}` : ''}`
  const close = () => {
    stop.current = true
    onClose(phase.is === 'doing' || phase.is === 'done' || (phase.is === 'failed' && phase.changed > 0))
  }
  return (
    <Dialog title={`${w.act} ${state} deliveries`} onClose={close}>
      <div class="dialog-body">
        {phase.is === 'choosing' && (
          <form
            onSubmit={(e) => {
              e.preventDefault()
              started.current = true
              void counting()
            }}
          >
            <label for="bulk-since">Accepted since</label>
            <select id="bulk-since" value={since ?? ''} onChange={(e) => setSince(e.currentTarget.value || undefined)}>
              {sinces!.map(([label, value]) => (
                <option value={value ?? ''}>{label}</option>
              ))}
            </select>
            <Acts close={close}>
              <button type="submit" class="primary">
                Count them
              </button>
            </Acts>
          </form>
        )}
        {phase.is === 'counting' && (
          <>
            <p role="status">
              Counting {name}: {count(phase.n)} so far…
            </p>
            <progress />
            <Acts close={close} />
          </>
        )}
        {phase.is === 'asking' && phase.n === 0 && (
          <>
            <p role="status">There are no {name}.</p>
            <Acts close={close} word="Close" />
          </>
        )}
        {phase.is === 'asking' && phase.n > 0 && (
          <form
            onSubmit={(e) => {
              e.preventDefault()
              void doing(phase.n)
            }}
          >
            <p role="status">
              <strong>
                {w.act} {count(phase.n)} {name}?
              </strong>{' '}
              {w.effect}
            </p>
            <label for="bulk-why">
              Reason <span class="dim">(optional; it stands in the trail)</span>
            </label>
            <input id="bulk-why" maxLength={160} value={reason} onInput={(e) => setReason(e.currentTarget.value)} />
            <Acts close={close} word="Keep as they are">
              <button type="submit" class={act === 'cancel' ? 'danger' : 'primary'}>
                {w.act} {count(phase.n)}
              </button>
            </Acts>
          </form>
        )}
        {phase.is === 'doing' && (
          <>
            <p role="status">
              {count(phase.matched)} of {count(phase.n)} looked at, {count(phase.changed)} {w.done}…
            </p>
            <progress max={phase.n} value={Math.min(phase.matched, phase.n)} aria-label="Progress" />
            <Acts close={() => (stop.current = true)} word="Stop" />
          </>
        )}
        {phase.is === 'done' && (
          <>
            <p role="status">
              {phase.stopped && 'Stopped. '}
              {counted(phase.changed, 'delivery', 'deliveries')} {w.done}.
              {phase.matched > phase.changed && ` ${count(phase.matched - phase.changed)} ${w.left}`}
            </p>
            <Acts close={close} word="Close" />
          </>
        )}
        {phase.is === 'failed' && (
          <>
            <Problem error={phase.error} />
            {phase.changed > 0 && <p>{counted(phase.changed, 'delivery', 'deliveries')} {w.done} before that, and stay so.</p>}
            <Acts close={close} word="Close" />
          </>
        )}
      </div>
    </Dialog>
  )
}

function Acts({ close, word = 'Leave it', children }: { close: () => void; word?: string; children?: preact.ComponentChildren }) {
  return (
    <div class="dialog-acts">
      <button type="button" onClick={close}>
        {word}
      </button>
      {children}
    </div>
  )
}

/** without leaves out what says nothing, which the API refuses. */
function without(o: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined && v !== '' && !(Array.isArray(v) && v.length === 0)))
}
