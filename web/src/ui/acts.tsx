import { useState } from 'preact/hooks'
import { ApiError } from '../api'
import { say } from './ask'

/** useAct runs one act at a time, says when it failed, and tells which one is on its way. */
export function useAct(): { busy: string; run: (name: string, act: () => Promise<void>) => Promise<void> } {
  const [busy, setBusy] = useState('')
  const run = async (name: string, act: () => Promise<void>) => {
    if (busy) return
    setBusy(name)
    try {
      await act()
    } catch (e) {
      say(`${name} failed: ${e instanceof ApiError ? e.message : String(e)}`, true)
    }
    setBusy('')
  }
  return { busy, run }
}
