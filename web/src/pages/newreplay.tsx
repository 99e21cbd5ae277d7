import { useRef, useState } from 'preact/hooks'
import { ApiError, get, send } from '../api'
import { absolute, count, counted, millis, since as sinceOf } from '../format'
import { useSession } from '../session'
import type { Replay } from '../types'
import { Dialog } from '../ui/ask'
import { Problem } from '../ui/problem'

const states = [
  ['dead', 'died'],
  ['delivered', 'were delivered'],
  ['cancelled', 'were cancelled'],
  ['unmatched', 'were never meant for it'],
] as const

/** NewReplay asks what is meant, has the daemon count it, and begins it at a rate. */
export function NewReplay({ onClose }: { onClose: (begun: boolean) => void }) {
  const { developers } = useSession()
  const [f, set] = useState({ developer: developers?.[0] ?? '', destination: '', types: '', since: '24h', until: '', rate: '100', reason: '', states: ['dead'] as string[] })
  const [counted_, setCounted] = useState<Replay>()
  const [busy, setBusy] = useState('')
  const [error, setError] = useState<ApiError>()
  const closed = useRef(false)

  const body = (dry: boolean) => ({
    developer: f.developer,
    ...(f.destination ? { destination: f.destination } : {}),
    ...(f.types.trim() ? { types: f.types.split(',').map((t) => t.trim()).filter(Boolean) } : {}),
    states: f.states,
    ...(sinceOf(f.since) ? { since: sinceOf(f.since) } : {}),
    ...(sinceOf(f.until) ? { until: sinceOf(f.until) } : {}),
    rate: Number(f.rate),
    ...(dry ? { dry_run: true } : {}),
  })
  const guarded = async (name: string, act: () => Promise<void>) => {
    setBusy(name)
    setError(undefined)
    try {
      await act()
    } catch (e) {
      setError(e instanceof ApiError ? e : new ApiError(0, 'fault', String(e)))
    }
    setBusy('')
  }
  const countThem = () =>
    guarded('count', async () => {
      let r = await send<Replay>('POST', '/v1/replays', { body: body(true) })
      while (r.state === 'running' && !closed.current) {
        await new Promise((done) => setTimeout(done, 500))
        r = await get<Replay>(`/v1/replays/${r.id}`)
      }
      if (r.state === 'failed') throw new ApiError(0, 'failed', r.error ?? 'the count failed')
      setCounted(r)
    })
  const begin = () =>
    guarded('begin', async () => {
      await send('POST', '/v1/replays', { body: body(false), reason: f.reason })
      onClose(true)
    })
  const close = () => {
    closed.current = true
    onClose(false)
  }
  const text = (name: 'developer' | 'destination' | 'types' | 'since' | 'until' | 'rate', label: string, more: object = {}) => (
    <div>
      <label for={'r-' + name}>{label}</label>
      <input
        id={'r-' + name}
        value={f[name]}
        spellcheck={false}
        autocomplete="off"
        onInput={(e) => {
          set({ ...f, [name]: e.currentTarget.value })
          setCounted(undefined)
        }}
        {...more}
      />
    </div>
  )
  const long = counted_ && counted_.found > 0 ? millis((counted_.found / Number(f.rate)) * 1000) : ''
  return (
    <Dialog title="Replay stored events" onClose={close}>
      <form
        onSubmit={(e) => {
          e.preventDefault()
          void (counted_ ? begin() : countThem())
        }}
      >
        <div class="fields">
          {text('developer', 'Developer', { required: true })}
          {text('destination', 'Destination', { placeholder: 'all of them' })}
          {text('types', 'Types', { placeholder: 'all, or sleep, daily' })}
          {text('since', 'Accepted since', { placeholder: '24h, or a time' })}
          {text('until', 'Until', { placeholder: 'now' })}
          {text('rate', 'Deliveries a second', { inputMode: 'numeric', required: true, pattern: '[0-9.]+' })}
        </div>
        <fieldset class="checks">
          <legend>Events whose deliveries</legend>
          {states.map(([value, label]) => (
            <label>
              <input
                type="checkbox"
                checked={f.states.includes(value)}
                onChange={(e) => {
                  set({ ...f, states: e.currentTarget.checked ? [...f.states, value] : f.states.filter((s) => s !== value) })
                  setCounted(undefined)
                }}
              />
              {label}
            </label>
          ))}
        </fieldset>
        {error && <Problem error={error} />}
        {counted_ && (
          <p role="status">
            <strong>
              {counted_.found === 0 ? 'There is nothing to replay.' : `Make ${counted(counted_.found, 'delivery', 'deliveries')} to ${f.developer}${f.destination ? '/' + f.destination : ''}?`}
            </strong>{' '}
            {counted_.found > 0 && <>At {f.rate}/s that takes {long}, or longer where a destination takes fewer.</>}
            {counted_.gone > 0 && <> {count(counted_.gone)} have no body any more.</>}
            {sinceOf(f.since) && <> Accepted since {absolute(sinceOf(f.since)!)}.</>}
          </p>
        )}
        {counted_ && counted_.found > 0 && (
          <div>
            <label for="r-reason">
              Reason <span class="dim">(optional; it stands in the trail)</span>
            </label>
            <input id="r-reason" maxLength={160} value={f.reason} onInput={(e) => set({ ...f, reason: e.currentTarget.value })} />
          </div>
        )}
        <div class="dialog-acts">
          <button type="button" onClick={close}>
            Leave it
          </button>
          <button type="submit" class="primary" disabled={!!busy || f.states.length === 0 || counted_?.found === 0}>
            {busy === 'count' ? 'Counting…' : counted_ ? `Replay ${count(counted_.found)}` : 'Count them'}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
