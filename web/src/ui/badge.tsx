const tones: Record<string, string> = {
  active: 'good', delivered: 'good', ok: 'good', closed: 'good', sends: 'good', finished: 'good',
  pending: 'info', waits: 'info', running: 'info', throttled: 'warn',
  paused: 'warn', held: 'bad', failing: 'bad', open: 'warn', warn: 'warn', transient: 'warn', interrupted: 'warn',
  dead: 'bad', fail: 'bad', fails: 'bad', failed: 'bad', rejected: 'bad', misconfigured: 'bad', expired: 'bad',
}

/** Badge is a state as a word; its colour only repeats what the word says. */
export function Badge({ is, title }: { is: string; title?: string }) {
  return (
    <span class={`badge ${tones[is] ?? 'idle'}`} title={title}>
      {is}
    </span>
  )
}

/** Code is what a far side answered with; 0 means that it answered nothing. */
export function Code({ code }: { code?: number }) {
  return code ? <span class="code-n">{code}</span> : <span class="dim">no answer</span>
}
