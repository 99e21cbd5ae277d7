import { useState } from 'preact/hooks'
import type { Session } from '../types'
import { brand } from '../ui/brand'

interface Props {
  /** Who they are now. */
  session: Session
  /** Whose portal the link opens. */
  developer: string
  stay: () => void
  open: () => void
}

/**
 * ReplaceSession asks before a link ends the session that there is: anybody can have somebody follow a link of theirs, and whoever
 * takes its portal for their own tells it what is nobody else's affair. The link is not used up by the question.
 */
export function ReplaceSession({ session, developer, stay, open }: Props) {
  const [busy, setBusy] = useState(false)
  const act = (f: () => void) => () => {
    setBusy(true)
    f()
  }
  const now = session.via ? `the portal of ${session.developers?.join(', ')}` : session.name
  return (
    <main class="alone" data-page="replace-session">
      <div class="card login">
        <h1>{brand.name}</h1>
        <p role="status" class="wrap">
          You are signed in as <strong>{now}</strong>. This link opens the portal of <strong>{developer}</strong> instead, and ends that session.
        </p>
        <p class="dim">Open it only if you know who gave it to you: what you do and write from then on is theirs.</p>
        <div class="dialog-acts">
          <button type="button" class="primary" disabled={busy} onClick={act(stay)}>
            Stay signed in
          </button>
          <button type="button" disabled={busy} onClick={act(open)}>
            Open the link instead
          </button>
        </div>
      </div>
    </main>
  )
}
