import type { Query } from '../api'
import { absolute, since as sinceOf } from '../format'
import type { LiveAttempt } from '../types'
import type { Selection } from '../ui/bulk'

/** Filter is what the address of the list says; "" is anything. */
export interface Filter {
  [name: string]: string
  state: string
  developer: string
  destination: string
  event: string
  type: string
  user: string
  class: string
  code: string
  since: string
  until: string
}

export function filterOf(q: URLSearchParams): Filter {
  const of = (name: string) => q.get(name) ?? ''
  return {
    state: of('state'), developer: of('developer'), destination: of('destination'), event: of('event'), type: of('type'), user: of('user'), class: of('class'), code: of('code'),
    since: of('since'), until: of('until'),
  }
}

/** asQuery is a filter as the list takes it. */
export function asQuery(f: Filter): Query {
  return { state: f.state, developer: f.developer, destination: f.developer && f.destination, event: f.event, type: f.type, user: f.user, class: f.class, code: f.code, since: sinceOf(f.since), until: sinceOf(f.until) }
}

/** asSelection is a filter as a change of many takes it. */
export function asSelection(f: Filter): Selection {
  return {
    state: f.state, developer: f.developer, destination: f.developer && f.destination, event: f.event, user: f.user, since: sinceOf(f.since), until: sinceOf(f.until),
    types: f.type ? [f.type] : [], classes: f.class ? [f.class] : [], codes: f.code !== '' ? [Number(f.code)] : [],
  }
}

/** inWords says what a filter selects. */
export function inWords(f: Filter): string {
  const said = [
    f.state && `that are ${f.state}`,
    f.developer && f.destination ? `of ${f.developer}/${f.destination}` : f.developer ? `of ${f.developer}` : 'of everybody',
    f.event && `of the event ${f.event}`,
    f.type && `of type ${f.type}`,
    f.user && `of the user ${f.user}`,
    f.class && `whose last attempt was ${f.class}`,
    f.code !== '' && (f.code === '0' ? 'that got no answer' : `answered ${f.code}`),
    f.since && `since ${/^\d+[smhd]$/.test(f.since) ? f.since + ' ago' : absolute(f.since)}`,
    f.until && `until ${absolute(sinceOf(f.until) ?? f.until)}`,
  ]
  return said.filter(Boolean).join(' ')
}

/** matches tells whether an attempt is about a delivery that the filter would list now. */
export function matches(f: Filter, a: LiveAttempt): boolean {
  return (
    (!f.state || f.state === a.state) &&
    (!f.developer || f.developer === a.developer) &&
    (!f.destination || f.destination === a.destination) &&
    (!f.type || f.type === a.type) &&
    (!f.class || f.class === a.class) &&
    (f.code === '' || Number(f.code) === (a.code ?? 0)) &&
    (!f.event || !!a.delivery?.startsWith(f.event)) &&
    (!f.user || f.user === a.user) &&
    !f.until
  )
}
