import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

// Questions before what is dangerous, and words about what was done. Both stand once in the page.

interface Question {
  title: string
  /** What will happen, with its figure and the name of what it happens to. */
  text: ComponentChildren
  /** What the button says: the act, not "OK". */
  act: string
  danger?: boolean
}

let show: (q: (Question & { answered: (reason: string | undefined) => void }) | undefined) => void = () => {}

/** ask returns why somebody does it ("" where they do not say), or undefined when they do not. */
export function ask(q: Question): Promise<string | undefined> {
  return new Promise((answered) => show({ ...q, answered }))
}

/** Asking shows the question of ask. */
export function Asking() {
  const [q, set] = useState<(Question & { answered: (reason: string | undefined) => void }) | undefined>()
  const [reason, setReason] = useState('')
  show = (next) => {
    setReason('')
    set(next)
  }
  if (!q) return null
  const answer = (r: string | undefined) => {
    set(undefined)
    q.answered(r)
  }
  return (
    <Dialog title={q.title} onClose={() => answer(undefined)}>
      <form
        onSubmit={(e) => {
          e.preventDefault()
          answer(reason)
        }}
      >
        <div class="dialog-text">{q.text}</div>
        <label for="why">
          Reason <span class="dim">(optional; it stands in the trail)</span>
        </label>
        <input id="why" maxLength={160} value={reason} onInput={(e) => setReason(e.currentTarget.value)} />
        <div class="dialog-acts">
          <button type="button" onClick={() => answer(undefined)}>
            Keep as it is
          </button>
          <button type="submit" class={q.danger ? 'danger' : 'primary'}>
            {q.act}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

/** Dialog is the browser's own: it keeps the focus, gives it back, and Escape closes it. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null
    box.current!.showModal()
    return () => before?.focus?.()
  }, [])
  return (
    <dialog
      ref={box}
      aria-labelledby="dialog-title"
      onCancel={(e) => {
        e.preventDefault()
        onClose()
      }}
    >
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  )
}

let tell: (text: string, bad: boolean) => void = () => {}

/** say tells what was done, also to who does not see it. bad: it was not. */
export function say(text: string, bad = false): void {
  tell(text, bad)
}

/** Saying shows what say says, for a while. */
export function Saying() {
  const [said, set] = useState<{ text: string; bad: boolean; n: number }>()
  tell = (text, bad) => set((old) => ({ text, bad, n: (old?.n ?? 0) + 1 }))
  useEffect(() => {
    if (!said || said.bad) return
    const timer = setTimeout(() => set(undefined), 8000)
    return () => clearTimeout(timer)
  }, [said])
  return (
    <div class={`saying ${said ? 'on' : ''} ${said?.bad ? 'bad' : ''}`}>
      <p role="status" aria-live="polite">
        {said?.text}
      </p>
      {said && (
        <button type="button" aria-label="Dismiss" onClick={() => set(undefined)}>
          ×
        </button>
      )}
    </div>
  )
}
