import { useState } from 'preact/hooks'
import { get, p } from '../api'
import { bytes, count } from '../format'
import { usePoll } from '../poll'
import { href, to } from '../router'
import { useMay, useSession } from '../session'
import type { DocumentHead, Usage } from '../types'
import { Card, Page } from '../ui/layout'
import { Problem } from '../ui/problem'
import { Bones, Empty, Table } from '../ui/table'
import { When } from '../ui/time'
import { Document } from './document'
import { PortalLinks } from './portallinks'

/** Developer is one of them: the document, what was accepted day by day, links to the portal. */
export function Developer({ name }: { name: string }) {
  const link = useMay('link')
  const read = useMay('read')
  const [document, setDocument] = useState<{ tag?: string }>() // tag: of the version in the store; a file has none
  const [linksRead, setLinksRead] = useState(!link)
  return (
    <Page name="developer" title={name} above={!useSession().developers && <a href={href(['developers'])}>Developers</a>} beside={<a href={to.destinations({ q: name + '/' })}>Destinations</a>}>
      <Document name={name} read={setDocument} />
      <div class={`stack ${document && linksRead ? '' : 'waiting'}`}>
        {link && <PortalLinks developer={name} read={() => setLinksRead(true)} />}
        <div class="two">
          {read && <Days developer={name} />}
          {document?.tag && <Versions name={name} newest={document.tag} />}
        </div>
      </div>
    </Page>
  )
}

function Days({ developer }: { developer: string }) {
  const usage = usePoll('usage' + developer, 60_000, async (signal) => (await get<Usage>('/v1/usage', { developer, by: 'day' }, signal)).items.slice().reverse())
  return (
    <Card title="Day by day (UTC)" class="flush">
      {usage.error && <Problem error={usage.error} again={usage.refresh} />}
      {!usage.data && !usage.error && <Bones rows={4} />}
      {usage.data?.length === 0 && <Empty title="Nothing was accepted in 30 days" />}
      {usage.data && usage.data.length > 0 && (
        <Table
          caption={`Deliveries of ${developer} by day`}
          items={usage.data}
          id={(u) => u.day!}
          columns={[
            { head: 'Day', cell: (u) => <span class="num">{u.day}</span> },
            { head: 'Accepted', kind: 'num', cell: (u) => count(u.accepted) },
            { head: 'Delivered', kind: 'num', cell: (u) => count(u.delivered) },
            { head: 'Dead', kind: 'num', cell: (u) => (u.dead ? <span class="bad">{count(u.dead)}</span> : '0') },
            { head: 'Attempts', kind: 'num opt', cell: (u) => (u.attempts === null ? '–' : count(u.attempts)) },
            { head: 'Bodies', kind: 'num opt', cell: (u) => (u.bytes === null ? '–' : bytes(u.bytes)) },
          ]}
        />
      )}
    </Card>
  )
}

function Versions({ name, newest }: { name: string; newest: string }) {
  const list = usePoll(`versions${name}/${newest}`, 0, async (signal) => (await get<{ items: DocumentHead[] }>(p`/v1/developers/${name}/versions`, undefined, signal)).items)
  return (
    <Card title="Versions" class="flush">
      {list.error && <Problem error={list.error} again={list.refresh} />}
      {!list.data && !list.error && <Bones rows={4} />}
      {list.data && (
        <Table
          caption={`Versions of the document of ${name}, newest first`}
          items={list.data}
          id={(v) => String(v.version)}
          columns={[
            { head: 'Version', kind: 'num', cell: (v) => v.version },
            { head: 'When', cell: (v) => <When t={v.at} /> },
            { head: 'By', cell: (v) => v.by ?? '–' },
            { head: 'Destinations', kind: 'num', cell: (v) => (v.deleted ? 'deleted' : v.destinations === undefined ? '–' : count(v.destinations)) },
          ]}
        />
      )}
    </Card>
  )
}
