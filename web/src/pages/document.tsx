import { useEffect, useState } from 'preact/hooks'
import { ApiError, p, request } from '../api'
import { counted } from '../format'
import { usePoll } from '../poll'
import { useMay } from '../session'
import type { DocumentChanged } from '../types'
import { useAct } from '../ui/acts'
import { ask, say } from '../ui/ask'
import { Card } from '../ui/layout'
import { Plan } from '../ui/plan'
import { Problem } from '../ui/problem'
import { Bones } from '../ui/table'

interface Read {
  text: string
  /** The ETag of the version that is edited; undefined: a file, or nothing yet. */
  tag?: string
  new?: boolean
}

/** Document shows a developer's document, and changes it: the daemon judges it and says what it would do, first. */
export function Document({ name, read }: { name: string; read: (d: { tag?: string }) => void }) {
  const path = p`/v1/developers/${name}`
  const got = usePoll('document' + name, 0, async (signal): Promise<Read> => {
    try {
      const r = await request('GET', path, { signal, headers: { Accept: 'application/yaml' } })
      return { text: await r.text(), tag: r.headers.get('ETag') ?? undefined }
    } catch (e) {
      if (e instanceof ApiError && e.status === 404) return { text: `developer: ${name}\ndestinations: []\n`, new: true }
      throw e
    }
  })
  const configure = useMay('configure')
  const [text, setText] = useState<string>()
  const [plan, setPlan] = useState<{ of: string; changed: DocumentChanged }>()
  const [error, setError] = useState<ApiError>()
  const { busy, run } = useAct()
  useEffect(() => {
    setText(undefined)
    if (got.data || got.error) read({ tag: got.data?.tag })
  }, [got.data, !got.error])
  const current = text ?? got.data?.text ?? ''
  const touched = got.data?.new || (text !== undefined && text !== got.data?.text)
  const fixed = got.data && !got.data.new && !got.data.tag // it is a file

  const put = async (dry: boolean, reason = ''): Promise<DocumentChanged> => {
    const condition: Record<string, string> = got.data!.new ? { 'If-None-Match': '*' } : got.data!.tag ? { 'If-Match': got.data!.tag } : {}
    const r = await request('PUT', path, { query: { dry_run: dry }, body: current, headers: { 'Content-Type': 'application/yaml', ...condition }, reason })
    return r.json()
  }
  const guarded = (what: string, act: () => Promise<void>) =>
    run(what, async () => {
      setError(undefined)
      try {
        await act()
      } catch (e) {
        if (!(e instanceof ApiError)) throw e
        setError(e)
        setPlan(undefined)
      }
    })
  const look = () => guarded('Look', async () => setPlan({ of: current, changed: await put(true) }))
  const apply = () =>
    guarded('Apply', async () => {
      const steps = plan!.changed.plan
      const removed = steps.filter((s) => s.do === 'remove').length
      const reason = await ask({ title: `Change the document of ${name}?`, text: <Plan steps={steps} notes={plan!.changed.notes} />, act: removed ? `Apply, and remove ${removed}` : `Apply ${counted(steps.length, 'change')}`, danger: removed > 0 })
      if (reason === undefined) return
      const done = await put(false, reason)
      say(`Version ${done.version} of ${name} is in force.`)
      setPlan(undefined)
      got.refresh()
    })
  return (
    <Card
      title={got.data?.new ? 'A new document' : 'Document'}
      beside={
        configure &&
        !fixed &&
        got.data && (
          <>
            {touched && !got.data.new && (
              <button type="button" onClick={() => (setText(undefined), setPlan(undefined), setError(undefined))}>
                Undo
              </button>
            )}
            <button type="button" aria-disabled={!!busy || !touched} onClick={() => touched && look()}>
              Show what it would change
            </button>
            <button type="button" class="primary" aria-disabled={!!busy || plan?.of !== current} onClick={() => plan?.of === current && apply()}>
              Apply…
            </button>
          </>
        )
      }
    >
      {got.error && <Problem error={got.error} again={got.refresh} />}
      {!got.data && !got.error && <Bones rows={10} />}
      {error && <Problem error={error} />}
      {plan && plan.of === current && <Plan steps={plan.changed.plan} notes={plan.changed.notes} />}
      {got.data && (
        <>
          <label for="document" class="dim">
            {fixed ? 'A file on the daemon’s machine: change it there, and reload.' : 'YAML. A secret that stands as [redacted] keeps its value.'}
          </label>
          <textarea id="document" spellcheck={false} rows={Math.min(32, Math.max(10, current.split('\n').length + 1))} readOnly={!configure || fixed} value={current} onInput={(e) => setText(e.currentTarget.value)} />
        </>
      )}
    </Card>
  )
}
