import { useState } from 'preact/hooks'
import { p, send } from '../api'
import type { ApiError } from '../api'
import { Dialog } from '../ui/ask'
import { Problem } from '../ui/problem'
import { Copy } from '../ui/text'
import { When } from '../ui/time'

interface Rotated {
  version: number
  secret?: string
  public_key?: string
  rotate_at?: string
}

/** RotateSecret gives a destination a new secret, which it shows once. */
export function RotateSecret({ developer, name }: { developer: string; name: string }) {
  const [open, setOpen] = useState(false)
  const [hours, setHours] = useState('24')
  const [reason, setReason] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<ApiError>()
  const [made, setMade] = useState<Rotated>()
  const close = () => {
    setOpen(false)
    setMade(undefined)
    setError(undefined)
  }
  const rotate = async (e: SubmitEvent) => {
    e.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      const rotate_at = new Date(Date.now() + Number(hours) * 36e5).toISOString()
      setMade(await send<Rotated>('POST', p`/v1/developers/${developer}/destinations/${name}/rotate-secret`, { body: { rotate_at }, reason }))
    } catch (err) {
      setError(err as ApiError)
    }
    setBusy(false)
  }
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Rotate secret…
      </button>
      {open && (
        <Dialog title={`A new secret for ${developer}/${name}`} onClose={close}>
          {made ? (
            <div class="dialog-body">
              <p>
                Attempts are signed with it from <When t={made.rotate_at} /> on. It is shown this once:
              </p>
              {made.secret && (
                <p class="wrap">
                  <code>{made.secret}</code> <Copy name="The secret" text={made.secret} />
                </p>
              )}
              {made.public_key && (
                <p class="wrap">
                  Public key: <code>{made.public_key}</code> <Copy name="The public key" text={made.public_key} />
                </p>
              )}
              <div class="dialog-acts">
                <button type="button" class="primary" onClick={close}>
                  I have it
                </button>
              </div>
            </div>
          ) : (
            <form onSubmit={rotate}>
              {error && <Problem error={error} />}
              <p>The receiver has to accept it by then: requests that it refuses are retried, and die when it refuses for too long.</p>
              <label for="rotate-in">Sign with it in</label>
              <select id="rotate-in" value={hours} onChange={(e) => setHours(e.currentTarget.value)}>
                <option value="1">an hour</option>
                <option value="24">24 hours</option>
                <option value="72">3 days</option>
                <option value="168">7 days</option>
              </select>
              <label for="rotate-why">
                Reason <span class="dim">(optional; it stands in the trail)</span>
              </label>
              <input id="rotate-why" maxLength={160} value={reason} onInput={(e) => setReason(e.currentTarget.value)} />
              <div class="dialog-acts">
                <button type="button" onClick={close}>
                  Keep the old one
                </button>
                <button type="submit" class="primary" disabled={busy}>
                  Make a new secret
                </button>
              </div>
            </form>
          )}
        </Dialog>
      )}
    </>
  )
}
