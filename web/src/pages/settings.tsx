import { useState } from 'preact/hooks'
import { ApiError, get, request, send } from '../api'
import { usePoll } from '../poll'
import { useMay } from '../session'
import type { PlanStep, Readiness } from '../types'
import { useAct } from '../ui/acts'
import { ask, say } from '../ui/ask'
import { Badge } from '../ui/badge'
import { Card, Facts, Page } from '../ui/layout'
import { Plan } from '../ui/plan'
import { Problem } from '../ui/problem'
import { Bones } from '../ui/table'
import { Text } from '../ui/text'

interface Reloaded {
  plan: PlanStep[]
  notes?: string[]
  at_next_start?: string[]
}

/** Settings are those of the daemon as they count, what a reload would change, and where its connections come from. */
export function Settings() {
  const shown = usePoll('settings', 0, (signal) => get<{ settings: object }>('/v1/settings', undefined, signal))
  const ready = usePoll('ready', 15_000, async (signal): Promise<Readiness> => (await request('GET', '/readyz', { signal })).json())
  const egress = usePoll('egress', 0, (signal) => get<{ source: string[]; proxy: boolean }>('/v1/egress', undefined, signal))
  const operate = useMay('operate')
  const r = ready.data
  return (
    <Page name="settings" title="Settings">
      <Card title="The daemon" beside={r && <Badge is={r.ready ? 'ok' : 'fail'} />}>
        {ready.error && <Problem error={ready.error} again={ready.refresh} />}
        <Facts
          of={[
            ['Version', r?.version],
            ['Connections come from', egress.data && (egress.data.source.length ? egress.data.source.join(', ') : 'an address that the system chooses')],
            ['Proxy', egress.data && (egress.data.proxy ? 'yes' : 'none')],
          ]}
        />
        {[...(r?.problems ?? []), ...(r?.warnings ?? [])].map((text) => (
          <p class="notice wrap">{text}</p>
        ))}
      </Card>
      {operate && <Reload />}
      {operate && <Backup />}
      <Card title="fantail.yaml, as it counts">
        {shown.error && <Problem error={shown.error} again={shown.refresh} />}
        {!shown.data && !shown.error && <Bones rows={12} />}
        {shown.data && <Text name="Settings" text={JSON.stringify(shown.data.settings, null, 2)} />}
      </Card>
    </Page>
  )
}

/** Reload shows what reading the files again would do, and does it. */
function Reload() {
  const [plan, setPlan] = useState<Reloaded>()
  const [error, setError] = useState<ApiError>()
  const { busy, run } = useAct()
  const reload = (dry: boolean, reason = '') =>
    run('Reload', async () => {
      setError(undefined)
      try {
        const done = await send<Reloaded>('POST', '/v1/reload', { query: { dry_run: dry }, reason })
        setPlan(dry ? done : undefined)
        if (!dry) say('The settings are in force.')
      } catch (e) {
        if (!(e instanceof ApiError)) throw e
        setError(e)
        setPlan(undefined)
      }
    })
  const apply = async () => {
    const n = plan!.plan.filter((s) => s.do === 'remove').length
    const reason = await ask({ title: 'Reload the settings?', text: <Plan steps={plan!.plan} notes={plan!.notes} />, act: n ? `Reload, and remove ${n}` : 'Reload', danger: n > 0 })
    if (reason !== undefined) await reload(false, reason)
  }
  return (
    <Card
      title="Reload"
      beside={
        <>
          <button type="button" aria-disabled={!!busy} onClick={() => reload(true)}>
            Show what it would change
          </button>
          {plan && (
            <button type="button" class="primary" aria-disabled={!!busy} onClick={apply}>
              Reload…
            </button>
          )}
        </>
      }
    >
      {!plan && !error && <p class="dim">The files are read again, each developer for themselves. A fault in fantail.yaml keeps everything as it was.</p>}
      {error && (
        <>
          <Problem error={new ApiError(error.status, error.code, 'The settings were refused')} />
          <Text name="Faults" text={error.message} />
        </>
      )}
      {plan && <Plan steps={plan.plan} notes={plan.notes} />}
      {plan?.at_next_start && <p class="notice">At the next start: {plan.at_next_start.join(', ')}</p>}
    </Card>
  )
}

/** Backup writes a copy of the store on the daemon's machine. */
function Backup() {
  const [dir, setDir] = useState('')
  const { busy, run } = useAct()
  return (
    <Card title="Backup">
      <form
        class="inline-form"
        onSubmit={(e) => {
          e.preventDefault()
          void run('The backup', async () => {
            const done = await send<{ dir: string; ms: number }>('POST', '/v1/backup', { body: { dir } })
            say(`A consistent copy of the store is in ${done.dir}.`)
            setDir('')
          })
        }}
      >
        <label class="unseen" for="backup-dir">
          Folder on the daemon’s machine, which does not exist yet
        </label>
        <input id="backup-dir" required placeholder="/var/backups/fantail-1" spellcheck={false} value={dir} onInput={(e) => setDir(e.currentTarget.value.trim())} />
        <button type="submit" disabled={!!busy || !dir}>
          {busy ? 'Writing…' : 'Write a copy'}
        </button>
      </form>
      <p class="dim">A consistent copy of the store, on the daemon’s machine, in a folder that does not exist yet. The daemon goes on working.</p>
    </Card>
  )
}
