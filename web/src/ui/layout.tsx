import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { brand } from './brand'

interface PageProps {
  name: string
  title: string
  /** Stands beside the title: states, actions. */
  beside?: ComponentChildren
  above?: ComponentChildren
  children: ComponentChildren
}

/** Page is what all pages have: the title, which gets the focus when one comes from another page. */
export function Page({ name, title, beside, above, children }: PageProps) {
  const head = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${title} · ${brand.name}`
  }, [title])
  const shown = useRef('')
  useEffect(() => {
    // A title that comes with the data takes the focus from nobody who has gone on meanwhile.
    const at = document.activeElement
    const another = shown.current !== name || !at || at === document.body
    shown.current = name
    if (!another) return
    if (arrived) head.current?.focus({ preventScroll: true })
    arrived = true
    scrollTo(0, 0)
  }, [name, title])
  return (
    <main id="main" data-page={name}>
      {above && <p class="above">{above}</p>}
      <div class="page-head">
        <h1 ref={head} tabIndex={-1}>
          {title}
        </h1>
        <div class="beside">{beside}</div>
      </div>
      {children}
    </main>
  )
}
let arrived = false // the first page leaves the focus where the browser has it

/** Card is a part of a page with a title of its own. */
export function Card({ title, beside, children, class: kind = '' }: { title?: string; beside?: ComponentChildren; children: ComponentChildren; class?: string }) {
  return (
    <section class={`card ${kind}`}>
      {title && (
        <div class="card-head">
          <h2>{title}</h2>
          <div class="beside">{beside}</div>
        </div>
      )}
      {children}
    </section>
  )
}

/** Figure is one number that one looks for. */
export function Figure({ name, children, note, tone = '', href }: { name: string; children: ComponentChildren; note?: ComponentChildren; tone?: string; href?: string }) {
  return (
    <div class={`figure ${tone}`}>
      <dt>{name}</dt>
      <dd>{href ? <a href={href}>{children}</a> : children}</dd>
      {note && <dd class="note">{note}</dd>}
    </div>
  )
}

/** Facts are names with values. */
export function Facts({ of }: { of: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {of
        .filter(([, value]) => value !== undefined && value !== false && value !== '')
        .map(([name, value]) => (
          <div>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}
