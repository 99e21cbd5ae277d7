import { useState } from 'preact/hooks'
import { bytes, count } from '../format'
import { pretty } from '../pretty'
import { Choice } from './choice'
import { Text } from './text'

const shown = 512 << 10 // characters: more makes a browser slow, and nobody reads it here

/** Body shows a body: set out in lines, or as it is. Both are text, so that numbers and order stay as they were. */
export function Body({ text, save }: { text: string; save: string }) {
  const [as, setAs] = useState<'lines' | 'raw'>('lines')
  const long = text.length > shown
  const part = long ? text.slice(0, shown) : text
  return (
    <>
      <p class="body-head">
        <Choice label="Form" options={['lines', 'raw'] as const} value={as} set={setAs} />
        <span class="dim">
          {bytes(new Blob([text]).size)}
          {long && `; the first ${count(shown)} characters are shown, the download has all`}
        </span>
      </p>
      <Text name="Body" text={as === 'raw' || long ? part : pretty(part)} whole={text} save={save} />
    </>
  )
}
