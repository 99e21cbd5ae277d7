import type { ComponentChildren } from 'preact'

export interface Column<T> {
  head: string
  /** num: to the right, in figures of one width; opt, opt2: left out below 900 and 1200 px; wide: takes what is left. */
  kind?: string
  cell: (item: T) => ComponentChildren
}

interface Props<T> {
  caption: string
  columns: Column<T>[]
  items: T[]
  id: (item: T) => string
  /** A class for a row, to point it out. */
  mark?: (item: T) => string | undefined
}

/**
 * Table shows a list. A cell that holds the row's link makes it of class `row-link`, which covers the row: a middle
 * click, a copied address and the keyboard work as on any link.
 */
export function Table<T>({ caption, columns, items, id, mark }: Props<T>) {
  return (
    <div class="table">
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {columns.map((c) => (
              <th scope="col" class={c.kind}>
                {c.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={id(item)} class={mark?.(item)}>
              {columns.map((c) => (
                <td class={c.kind}>{c.cell(item)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Bones keep the place of a list that is on its way, so that nothing jumps when it comes. */
export function Bones({ rows = 6 }: { rows?: number }) {
  return (
    <div class="bones" role="progressbar" aria-busy="true" aria-label="Loading">
      {Array.from({ length: rows }, () => (
        <div />
      ))}
    </div>
  )
}

/** Empty says that there is nothing, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p>
        <strong>{title}</strong>
      </p>
      {children}
    </div>
  )
}
