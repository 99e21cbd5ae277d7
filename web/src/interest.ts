// What tabs want of the stream that they share, and the narrowest stream that has all of it.

/** Interest says whose attempts are wanted; empty: all. */
export interface Interest {
  developer?: string
  destination?: string
}

/** Want is what a part of a page wants, or what a stream tells of. */
export interface Want {
  /** undefined: none. */
  attempts?: Interest
  counters?: boolean
}

/** fits tells whether filter lets pass what is of somebody. */
export function fits(filter: Interest, of: Interest): boolean {
  return (!filter.developer || filter.developer === of.developer) && (!filter.destination || filter.destination === of.destination)
}

/** narrowest is the stream that has all of wants, and as few attempts besides as one stream can. */
export function narrowest(wants: Want[]): Want {
  return { attempts: common(wants.flatMap((w) => w.attempts ?? [])), counters: wants.some((w) => w.counters) }
}

function common([first, ...rest]: Interest[]): Interest | undefined {
  if (!first) return undefined
  if (!first.developer || rest.some((w) => w.developer !== first.developer)) return {}
  if (!first.destination || rest.some((w) => w.destination !== first.destination)) return { developer: first.developer }
  return { developer: first.developer, destination: first.destination }
}

/**
 * covers tells whether a stream still does for what is wanted. One that has more attempts than are wanted does: another
 * would miss those that end between the two. Where none are wanted it would carry all of them to nobody.
 */
export function covers(stream: Want, wanted: Want): boolean {
  if (wanted.counters && !stream.counters) return false
  if (!wanted.attempts) return !stream.attempts || !wanted.counters
  return !!stream.attempts && fits(stream.attempts, wanted.attempts)
}
