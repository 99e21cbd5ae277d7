import { useState } from 'preact/hooks'
import { get } from '../api'
import { count, counted } from '../format'
import { go, href, useRoute } from '../router'
import { useMay } from '../session'
import type { DocumentHead, Page as List } from '../types'
import { Badge } from '../ui/badge'
import { Page } from '../ui/layout'
import { useList } from '../ui/list'
import { Problem } from '../ui/problem'
import { Bones, Empty, Table } from '../ui/table'
import { Ago } from '../ui/time'

/** Developers are those who have a document, or a file. */
export function Developers() {
  const { query } = useRoute()
  const q = query.get('q') ?? ''
  const [text, setText] = useState(q)
  const configure = useMay('configure')
  const list = useList<DocumentHead>('developers' + q, (cursor, signal) => get<List<DocumentHead>>('/v1/developers', { q, limit: 100, cursor }, signal))
  return (
    <Page name="developers" title="Developers">
      <div class="filters">
        <form
          class="inline-form"
          onSubmit={(e) => {
            e.preventDefault()
            go(href(['developers'], { q: text.trim() }), true)
          }}
        >
          <label class="unseen" for="dev-q">
            Part of the name
          </label>
          <input id="dev-q" type="search" placeholder="Part of the name" value={text} spellcheck={false} onInput={(e) => setText(e.currentTarget.value)} />
          <button type="submit">Find</button>
          {configure && text.trim() && !list.items.some((d) => d.developer === text.trim()) && <a href={href(['developer', text.trim()])}>New developer {text.trim()}</a>}
        </form>
      </div>
      {list.error && <Problem error={list.error} again={list.reload} />}
      <section class="card flush" aria-label="Developers">
        {!list.loaded && !list.error && <Bones rows={8} />}
        {list.loaded && list.items.length === 0 && <Empty title={q ? `No developer’s name has “${q}” in it` : 'There are no developers yet'}>Write a name above to make a document for one.</Empty>}
        {list.items.length > 0 && (
          <Table
            caption="Developers, by name"
            items={list.items}
            id={(d) => d.developer}
            columns={[
              {
                head: 'Developer',
                kind: 'name',
                cell: (d) => (
                  <a class="row-link" href={href(['developer', d.developer])}>
                    {d.developer}
                  </a>
                ),
              },
              { head: 'Destinations', kind: 'num', cell: (d) => count(d.destinations ?? 0) },
              { head: 'State', kind: 'wide', cell: (d) => (d.faults?.length ? <><Badge is="fail" /> <span class="clip" title={d.faults.join('\n')}>{d.faults[0]}</span></> : <Badge is="ok" />) },
              { head: 'Version', kind: 'num opt', cell: (d) => d.version ?? 'a file' },
              { head: 'Changed', kind: 'num opt', cell: (d) => <Ago t={d.at} /> },
              { head: 'By', kind: 'opt', cell: (d) => d.by ?? '–' },
            ]}
          />
        )}
        {list.more && (
          <div class="more">
            <span>{counted(list.items.length, 'developer')} shown.</span>
            <button type="button" disabled={list.busy} onClick={list.further}>
              Show more
            </button>
          </div>
        )}
      </section>
    </Page>
  )
}
