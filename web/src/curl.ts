// A request as a command that somebody can paste into a shell. What it quotes was written by others: inside single
// quotes a shell looks at nothing.

export interface Shown {
  target: string
  headers?: Record<string, unknown>
  key?: string
  body: string
}

export function quote(text: string): string {
  return "'" + text.replaceAll("'", `'\\''`) + "'"
}

/** headersOf lists headers, one value a line. */
export function headersOf(r: Shown): [string, string][] {
  return Object.entries(r.headers ?? {}).flatMap(([name, v]) => (Array.isArray(v) ? v : [v]).map((value): [string, string] => [name, typeof value === 'string' ? value : JSON.stringify(value)]))
}

/** Bodies beyond this are read from a file: a shell's line has an end. */
const inline = 8 << 10

/** curl returns the command, and whether it wants the body in a file. */
export function curl(r: Shown, file: string): { text: string; wantsFile: boolean } {
  const wantsFile = r.body.length > inline
  const lines = [`curl -i ${quote(r.target)}`, ...headersOf(r).map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`), `--data-binary ${wantsFile ? quote('@' + file) : quote(r.body)}`]
  return { text: lines.join(' \\\n  '), wantsFile }
}
