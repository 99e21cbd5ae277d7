import { useEffect, useState } from 'preact/hooks'
import { ApiError, get, p, send } from '../api'
import { usePoll } from '../poll'
import type { Page as List, PortalLink } from '../types'
import { useAct } from '../ui/acts'
import { ask, say } from '../ui/ask'
import { Card } from '../ui/layout'
import { Problem } from '../ui/problem'
import { Empty, Table } from '../ui/table'
import { Copy } from '../ui/text'
import { Ago } from '../ui/time'

const rights = ['retry', 'test', 'replay', 'configure'] as const

/** PortalLinks let a developer see what is theirs, for a while. */
export function PortalLinks({ developer, read }: { developer: string; read: () => void }) {
  const list = usePoll('links' + developer, 15_000, async (signal) => (await get<List<PortalLink>>('/v1/portal-links', { developer, limit: 100 }, signal)).items)
  const known = !!(list.data || list.error)
  useEffect(() => {
    if (known) read()
  }, [known])
  const [may, setMay] = useState<string[]>([])
  const [hours, setHours] = useState('1')
  const [made, setMade] = useState<PortalLink>()
  const [error, setError] = useState<ApiError>()
  const { busy, run } = useAct()
  const make = (e: SubmitEvent) => {
    e.preventDefault()
    void run('Make a link', async () => {
      setError(undefined)
      try {
        setMade(await send<PortalLink>('POST', '/v1/portal-links', { body: { developer, may: ['read', ...may], ttl: Number(hours) * 3600 } }))
        list.refresh()
      } catch (err) {
        if (!(err instanceof ApiError)) throw err
        setError(err)
      }
    })
  }
  const revoke = async (l: PortalLink) => {
    const reason = await ask({ title: `Revoke the link ${l.id}?`, text: <p>It is a link to the portal of {developer}{l.used ? ', and the session that it opened ends' : ' that nobody has used yet'}.</p>, act: 'Revoke', danger: true })
    if (reason === undefined) return
    await send('DELETE', p`/v1/portal-links/${l.id}`, { reason })
    say('The link is revoked.')
    list.refresh()
  }
  return (
    <Card title="Links to the portal">
      <form class="checks" onSubmit={make} aria-label="Make a link to the portal">
        <span>Besides reading:</span>
        {rights.map((r) => (
          <label>
            <input type="checkbox" checked={may.includes(r)} onChange={(e) => setMay(e.currentTarget.checked ? [...may, r] : may.filter((x) => x !== r))} />
            {r}
          </label>
        ))}
        <label for="link-ttl" class="unseen">
          For how long
        </label>
        <select id="link-ttl" value={hours} onChange={(e) => setHours(e.currentTarget.value)}>
          <option value="1">for an hour</option>
          <option value="8">for 8 hours</option>
          <option value="24">for 24 hours</option>
        </select>
        <button type="submit" disabled={!!busy}>
          Make a link
        </button>
      </form>
      {error && <Problem error={error} />}
      {made?.url && (
        <p class="notice info wrap" role="status">
          It opens one session, and is shown this once: <code>{made.url}</code> <Copy name="The link" text={made.url} />
        </p>
      )}
      {list.error && <Problem error={list.error} again={list.refresh} />}
      {list.data?.length === 0 && <Empty title="No link lives">A link opens one session of the developer, and ends with it.</Empty>}
      {list.data && list.data.length > 0 && (
        <Table
          caption={`Links to the portal of ${developer}`}
          items={list.data}
          id={(l) => l.id}
          columns={[
            { head: 'Link', kind: 'name', cell: (l) => <code>{l.id}</code> },
            { head: 'May', cell: (l) => l.may.join(', ') },
            { head: 'By', kind: 'opt', cell: (l) => l.by },
            { head: 'Used', kind: 'num', cell: (l) => <Ago t={l.used} none="not yet" /> },
            { head: 'Ends', kind: 'num', cell: (l) => <Ago t={l.ends} ahead /> },
            {
              head: 'Actions',
              cell: (l) => (
                <button type="button" class="quiet" aria-label={`Revoke ${l.id}`} onClick={() => run('Revoke', () => revoke(l))}>
                  Revoke
                </button>
              ),
            },
          ]}
        />
      )}
    </Card>
  )
}
