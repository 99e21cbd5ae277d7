import type { ApiError } from '../api'

/** What somebody can do about a refusal, beyond what the daemon's message says. */
const advice: Record<string, string> = {
  no_answer: 'If it stays away, look at its log, and whether /healthz answers.',
  unauthorized: 'Check the token, or open this page again from where you came: a link opens one session.',
  forbidden: 'Log in with a token that may do this.',
  forwarded: 'Set tokens in fantail.yaml, then log in with one.',
  forbidden_host: 'Open the console at localhost or 127.0.0.1, or set tokens.',
  forbidden_origin: 'Set console.public_url to the address in the browser, and reload the settings.',
  token_rate: 'Wait a moment: the page tries again by itself.',
  unreadable: 'Look at the proxy between the browser and the daemon.',
}

/** Problem says what went wrong and what to do. stale: since when what stands below is old. */
export function Problem({ error, again, stale }: { error: ApiError; again?: () => void; stale?: string }) {
  const more = advice[error.code]
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{sentence(error.message)}</strong> {more} {stale && <>What stands below is from {stale}.</>}
        {error.code && error.status > 0 && <span class="dim"> ({error.status} {error.code})</span>}
      </p>
      {error.faults.length > 0 && (
        <ul>
          {error.faults.map((f) => (
            <li>
              {f.line > 0 && `line ${f.line}: `}
              {f.message}
            </li>
          ))}
        </ul>
      )}
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  )
}

export function sentence(text: string): string {
  const t = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(t) ? t : t + '.'
}
