// Calls of the public API, which lies beside the console whatever prefix a proxy gives both.

import type { Session } from './types'

/** ApiError is what the daemon answered instead, or that it did not answer (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly faults: { line: number; message: string }[] = [],
    /** Seconds that the daemon asks to wait; 0: it did not. */
    readonly retryAfter = 0,
    /** What else it says. */
    readonly more: { session?: Session; developer?: string } = {},
  ) {
    super(message)
  }
}

/** The secret of a session inside a frame, where no cookie lives. It is kept in memory alone. */
let bearer = ''
let onLoggedOut: () => void = () => {}

export function useBearer(secret: string): void {
  bearer = secret
}

/** whenLoggedOut says what happens when a session ends under an open page. */
export function whenLoggedOut(f: () => void): void {
  onLoggedOut = f
}

export type Query = Record<string, string | number | boolean | readonly (string | number)[] | undefined>

export interface Options {
  query?: Query
  /** An object is sent as JSON, a text byte for byte. */
  body?: unknown
  headers?: Record<string, string>
  /** Why, for the trail. */
  reason?: string
  signal?: AbortSignal
}

/** url returns the relative URL of a call. What is empty is left out. */
export function url(path: string, query: Query = {}): string {
  const q = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const v of Array.isArray(value) ? value : [value]) {
      if (v !== undefined && v !== '' && v !== false) q.append(name, String(v))
    }
  }
  const text = q.toString()
  return '..' + path + (text ? '?' + text : '')
}

/**
 * p fills in a path: every part is a name or id that somebody else chose. A browser takes the parts . and .. for steps
 * to another path, however they are written: with a blank they are names that nobody has.
 */
export function p(parts: TemplateStringsArray, ...names: string[]): string {
  return parts.reduce((path, part, i) => path + encodeURIComponent((names[i - 1] ?? '').replace(/^\.{1,2}$/, ' $&')) + part)
}

/** request makes a call and returns its answer, whatever its form. It throws an ApiError. */
export async function request(method: string, path: string, o: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { ...o.headers }
  if (bearer) headers['Authorization'] = 'Bearer ' + bearer
  if (o.reason) headers['Fantail-Reason'] = encodeURIComponent(o.reason)
  let body: string | undefined
  if (o.body !== undefined) {
    body = typeof o.body === 'string' ? o.body : JSON.stringify(o.body)
    headers['Content-Type'] ??= 'application/json'
  }
  let r: Response
  try {
    r = await fetch(url(path, o.query), { method, headers, body, signal: o.signal, credentials: 'same-origin', cache: 'no-store' })
  } catch (e) {
    if (o.signal?.aborted) throw e
    throw new ApiError(0, 'no_answer', 'The daemon does not answer. It may be restarting; this page tries again by itself.')
  }
  if (r.ok || (path === '/readyz' && r.status === 503)) return r
  throw await refusal(r, path)
}

async function refusal(r: Response, path: string): Promise<ApiError> {
  const after = Number(r.headers.get('Retry-After')) || 0
  let error: ApiError
  try {
    const said = await r.json()
    error = new ApiError(r.status, said.error.code, said.error.message, said.faults ?? [], after, said)
  } catch {
    error = new ApiError(r.status, 'unreadable', `Something between this page and the daemon answered ${r.status}, not the daemon itself.`, [], after)
  }
  if (r.status === 401 && path !== '/v1/session') onLoggedOut()
  return error
}

/** get reads JSON. */
export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  return (await request('GET', path, { query, signal })).json()
}

/** getText reads an answer as text, so that no number or order of keys is lost. */
export async function getText(path: string, signal?: AbortSignal): Promise<string> {
  return (await request('GET', path, { signal })).text()
}

/** send makes a call that changes something, and reads its JSON. */
export async function send<T>(method: 'POST' | 'PUT' | 'DELETE', path: string, o: Options = {}): Promise<T> {
  const r = await request(method, path, o)
  return r.status === 204 ? (undefined as T) : r.json()
}
