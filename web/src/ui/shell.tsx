import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { setPaused, usePaused } from '../poll'
import { href, to, useRoute } from '../router'
import { logOut, useMay, useSession } from '../session'
import { say } from './ask'
import { brand } from './brand'
import { Find } from './find'

/** failed24h is one click away from everywhere. */
export const failed24h = to.deliveries({ state: 'dead', since: '24h' })

/** Shell is what stands around every page. */
export function Shell({ children }: { children: ComponentChildren }) {
  const { path } = useRoute()
  const maySend = [useMay('test'), useMay('ingest')].includes(true)
  const here = path[0] ?? ''
  const link = (name: string, address: string, at: string[]) => (
    <li>
      <a href={address} aria-current={at.includes(here) ? 'page' : undefined}>
        {name}
      </a>
    </li>
  )
  return (
    <>
      <a class="skip" href="#main" onClick={toMain}>
        Skip to the page
      </a>
      <header class="top">
        <a class="brand" href="#/">
          {brand.logo && <img src="logo" alt="" />}
          <span>{brand.name}</span>
        </a>
        <nav aria-label="Pages">
          <ul>
            {link('Overview', href([]), [''])}
            {link('Destinations', to.destinations(), ['destinations', 'destination'])}
            {link('Deliveries', to.deliveries(), ['deliveries', 'delivery', 'event'])}
            {maySend && link('Send', href(['send']), ['send'])}
          </ul>
        </nav>
        <div class="tools">
          <Find />
          <a class="failed" href={failed24h}>
            Failed, 24 h
          </a>
          <Refreshing />
          <Who />
        </div>
      </header>
      {children}
    </>
  )
}

/** toMain moves the focus, and leaves the address alone, which is the page's. */
function toMain(e: MouseEvent): void {
  e.preventDefault()
  const main = document.querySelector<HTMLElement>('main h1')
  main?.focus()
}

function Refreshing() {
  const paused = usePaused()
  return (
    <button type="button" class={`quiet ${paused ? 'on' : ''}`} aria-pressed={paused} title="Pages refresh by themselves, in tabs that are seen" onClick={() => setPaused(!paused)}>
      {paused ? 'Refresh is paused' : 'Pause refresh'}
    </button>
  )
}

function Who() {
  const session = useSession()
  const [busy, setBusy] = useState(false)
  if (!session.ends) return <span class="who dim">{session.name}</span>
  return (
    <span class="who">
      <span class="dim">{session.name}</span>
      <button
        type="button"
        class="quiet"
        disabled={busy}
        onClick={() => {
          setBusy(true)
          logOut().catch((e) => {
            setBusy(false)
            say(`Logging out failed: ${e.message}`, true)
          })
        }}
      >
        Log out
      </button>
    </span>
  )
}
