import { useEffect, useState } from 'preact/hooks'

// Where one is stands in the fragment: every filter, too, so that an address can be passed on and Back works.

export interface Route {
  /** Parts of the path, decoded: ['destination', 'acme', 'app']. */
  path: string[]
  query: URLSearchParams
}

/** parse reads what href writes. */
export function parse(hash: string): Route {
  const text = hash.replace(/^#\/?/, '')
  const at = text.indexOf('?')
  const path = (at < 0 ? text : text.slice(0, at)).split('/').filter(Boolean).map(decode)
  return { path, query: new URLSearchParams(at < 0 ? '' : text.slice(at + 1)) }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** href is the address of a page. Filters that are empty are left out. */
export function href(path: string[], query: Record<string, string | readonly string[] | undefined> = {}): string {
  const q = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const v of Array.isArray(value) ? value : [value]) if (v) q.append(name, v)
  }
  const text = q.toString()
  return '#/' + path.map(encodeURIComponent).join('/') + (text ? '?' + text : '')
}

export const to = {
  destination: (developer: string, name: string) => href(['destination', developer, name]),
  delivery: (id: string) => href(['delivery', id]),
  event: (id: string) => href(['event', id]),
  deliveries: (query: Record<string, string | readonly string[] | undefined> = {}) => href(['deliveries'], query),
  destinations: (query: Record<string, string | undefined> = {}) => href(['destinations'], query),
}

export function go(address: string, replace = false): void {
  if (replace) location.replace(address)
  else location.hash = address
}

export function useRoute(): Route {
  const [at, set] = useState(() => ({ hash: location.hash, route: parse(location.hash) }))
  useEffect(() => {
    const moved = () => set({ hash: location.hash, route: parse(location.hash) })
    addEventListener('hashchange', moved)
    if (location.hash !== at.hash) moved() // between the first picture and now, while nobody listened
    return () => removeEventListener('hashchange', moved)
  }, [])
  return at.route
}
