import { useState } from 'preact/hooks'
import type { ApiError } from '../api'
import { Problem } from '../ui/problem'
import { brand } from '../ui/brand'

interface Props {
  problem?: ApiError
  /** The session ended under an open page. */
  ended?: boolean
  /** They came over a link to the portal, and have no token. */
  link?: boolean
  /** undefined: inside another site's page, into which nobody is to write a token. */
  logIn?: (token: string) => Promise<void>
  again?: () => void
}

/** Login asks for a token. Where a token would not help, it says what would. */
export function Login({ problem, ended, link, logIn, again }: Props) {
  const [token, setToken] = useState('')
  const [failed, setFailed] = useState<ApiError | undefined>(problem)
  const [busy, setBusy] = useState(false)
  const [byToken, setByToken] = useState(!link)

  const submit = async (e: SubmitEvent) => {
    e.preventDefault()
    setBusy(true)
    try {
      await logIn!(token.trim())
    } catch (err) {
      setFailed(err as ApiError)
      setBusy(false)
    }
  }
  return (
    <main class="alone" data-page="login">
      <div class="card login">
        <h1>{brand.name}</h1>
        {ended && !failed && byToken && <p role="status">The session has ended. Log in to go on where you were.</p>}
        {!again && !failed && !byToken && <p role="status">{ended && 'The session has ended. '}Open this page again from where you came: a link opens one session.</p>}
        {(again ? problem : failed) && <Problem error={(again ? problem : failed)!} again={again} />}
        {logIn && !byToken && (
          <button type="button" onClick={() => setByToken(true)}>
            Log in with a token
          </button>
        )}
        {logIn && byToken && (
          <form onSubmit={submit}>
            <input hidden autocomplete="username" name="username" value="token" readOnly />
            <label for="token">Token</label>
            <input
              id="token"
              type="password"
              autocomplete="current-password"
              required
              autofocus
              value={token}
              onInput={(e) => setToken(e.currentTarget.value)}
              aria-describedby="token-help"
            />
            <p id="token-help" class="dim">
              One of <code>tokens</code> in fantail.yaml. It is exchanged for a session of 12 hours and not kept in the browser.
            </p>
            <button class="primary" type="submit" disabled={busy || !token.trim()}>
              {busy ? 'Logging in…' : 'Log in'}
            </button>
          </form>
        )}
      </div>
    </main>
  )
}
