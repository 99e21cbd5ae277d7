import { useState } from 'preact/hooks'
import { visible } from '../format'
import { say } from './ask'

/**
 * Text shows what somebody else wrote, byte for byte: as a text node, so that it can do nothing, in a box that scrolls
 * by keyboard as well.
 */
export function Text({ name, text, whole = text, save }: { name: string; text: string; whole?: string; save?: string }) {
  const [wrap, setWrap] = useState(true)
  return (
    <div class="text">
      <div class="text-acts">
        <button type="button" class="quiet" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
          Wrap lines
        </button>
        <Copy name={name} text={whole} />
        {save && (
          <button type="button" class="quiet" onClick={() => download(whole, save)}>
            Download
          </button>
        )}
      </div>
      <pre class={wrap ? 'wrapped' : ''} tabIndex={0} role="region" aria-label={name}>
        {visible(text)}
      </pre>
    </div>
  )
}

export function Copy({ name, text }: { name: string; text: string }) {
  return (
    <button
      type="button"
      class="quiet"
      aria-label={`Copy: ${name}`}
      onClick={() =>
        copy(text).then(
          () => say(`${name}: copied.`),
          () => say('The browser does not let this page copy: select the text.', true),
        )
      }
    >
      Copy
    </button>
  )
}

/** copy works over plain HTTP too, where browsers have no clipboard for pages. */
async function copy(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  const box = document.createElement('textarea')
  box.value = text
  ;(document.querySelector('dialog[open]') ?? document.body).append(box)
  box.select()
  const done = document.execCommand('copy')
  box.remove()
  if (!done) throw new Error('refused')
}

export function download(text: string, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/octet-stream' }))
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
