import { createContext } from 'preact'
import type { ComponentChildren } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'
import { ApiError, get, send, useBearer, whenLoggedOut } from './api'
import { Login } from './pages/login'
import { ReplaceSession } from './pages/replacesession'
import type { Right, Session } from './types'

const Current = createContext<Session>({ name: '', may: [] })

/** useSession says who looks at the pages. */
export function useSession(): Session {
  return useContext(Current)
}

/** useMay tells whether the session has a right. operate includes what links to the portal name one by one. */
export function useMay(right: Right): boolean {
  const { may } = useSession()
  return may.includes(right) || (may.includes('operate') && ['retry', 'test', 'replay', 'read'].includes(right))
}

/** framed tells whether another site's page shows this one: it sees no cookie of ours. */
const framed = window.top !== window.self

/** logIn begins a session with a token or with the code of a link. replace: the one that there is may end. */
async function logIn(by: { token: string } | { code: string; replace?: boolean }): Promise<Session> {
  const s = await send<Session>('POST', '/v1/session', { body: framed ? { ...by, bearer: true } : by })
  if (s.bearer) useBearer(s.bearer)
  return s
}

export async function logOut(): Promise<void> {
  await send('DELETE', '/v1/session')
  location.reload()
}

/** codeOfLink takes the code of a portal link out of the address, so that nobody passes it on. */
function codeOfLink(): string | undefined {
  const m = /^#link=(.+)$/.exec(location.hash)
  if (!m) return undefined
  history.replaceState(null, '', location.pathname + '#/')
  try {
    return decodeURIComponent(m[1]!)
  } catch {
    return m[1] // cut short or mangled on its way: the daemon says that it opens nothing
  }
}
const first = codeOfLink()

type State =
  | { now: 'asking' }
  | { now: 'in'; session: Session }
  | { now: 'out'; problem?: ApiError; ended?: boolean; link?: boolean }
  | { now: 'refused'; problem: ApiError; again: () => void }
  /** A link would end the session that there is. */
  | { now: 'replacing'; code: string; session: Session; developer: string }

// Tabs share a cookie: what one shows under a name must not go on when another has logged in under a second one.
const others = framed ? undefined : new BroadcastChannel('fantail-session')
if (others) others.onmessage = () => location.reload()

/** Gate asks for a token where there is no session, and shows its children where there is one. */
export function Gate({ children }: { children: ComponentChildren }) {
  const [state, set] = useState<State>({ now: 'asking' })

  const begin = async (code?: string, replace?: boolean) => {
    try {
      const session = code ? await logIn({ code, replace }) : await get<Session>('/v1/session')
      if (code) others?.postMessage('')
      set({ now: 'in', session })
    } catch (e) {
      const problem = e as ApiError
      const { session, developer } = problem.more
      if (code && session && developer) set({ now: 'replacing', code, session, developer })
      else if (problem.status === 401) set({ now: 'out', problem: code ? problem : undefined, link: !!code })
      else set({ now: 'refused', problem, again: () => void begin(code, replace) })
    }
  }
  useEffect(() => {
    whenLoggedOut(() => set((was) => (was.now === 'out' ? was : { now: 'out', ended: true, link: was.now === 'in' && !!was.session.via })))
    void begin(first)
    // A link that is opened in a tab that shows the pages already changes the fragment alone. A frame keeps its session
    // in memory: loaded again it would open the link without a question.
    const moved = () => {
      const code = codeOfLink()
      if (!code) return
      set({ now: 'asking' })
      void begin(code)
    }
    addEventListener('hashchange', moved)
    return () => removeEventListener('hashchange', moved)
  }, [])

  const byToken = async (token: string) => {
    const session = await logIn({ token })
    others?.postMessage('')
    set({ now: 'in', session })
  }

  switch (state.now) {
    case 'asking':
      return <main class="alone" data-page="loading" aria-busy="true"></main>
    case 'out':
      return <Login problem={state.problem} ended={state.ended} link={state.link || framed} logIn={framed ? undefined : byToken} />
    case 'refused':
      return <Login problem={state.problem} again={state.again} />
    case 'replacing':
      return <ReplaceSession session={state.session} developer={state.developer} stay={() => void begin()} open={() => void begin(state.code, true)} />
    case 'in':
      return <Current.Provider value={state.session}>{children}</Current.Provider>
  }
}
