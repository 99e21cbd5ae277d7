import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import { absolute } from '../format'

export interface Line {
  name: string
  /** One of the colours of the tokens: good, bad, info, warn, dim. */
  tone: string
  values: (number | null)[]
}

interface Props {
  title: string
  from: string
  step: number
  lines: Line[]
  /** How a value is written below the plot, and on the axis unless axis says otherwise. */
  value: (n: number) => string
  axis?: (n: number) => string
}

/** Plot draws lines over time. What it shows stands in a sentence for who does not see it. */
export function Plot({ title, from, step, lines, value, axis = value }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const write = useRef(axis)
  write.current = axis
  const [under, setUnder] = useState<number | null>(null) // the step below the pointer
  const shape = lines.map((l) => l.name + l.tone).join()

  const first = Date.parse(from) / 1000
  const n = lines[0]?.values.length ?? 0
  const data = [Array.from({ length: n }, (_, i) => first + i * step), ...lines.map((l) => l.values)] as uPlot.AlignedData

  useEffect(() => {
    const at = box.current!
    const draw = () => {
      plot.current?.destroy()
      plot.current = new uPlot(options(at, lines, (v) => write.current(v), setUnder), latest.current, at)
    }
    draw()
    const wide = new ResizeObserver(() => plot.current?.setSize({ width: at.clientWidth, height }))
    wide.observe(at)
    const dark = matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', draw)
    return () => {
      wide.disconnect()
      dark.removeEventListener('change', draw)
      plot.current?.destroy()
      plot.current = undefined
    }
  }, [shape])

  const latest = useRef(data)
  latest.current = data
  useEffect(() => plot.current?.setData(data), [from, n, lines])

  return (
    <figure class="plot">
      <figcaption>{title}</figcaption>
      <div ref={box} class="canvas" aria-hidden="true" />
      <p class="legend" aria-hidden="true">
        {lines.map((l) => (
          <span>
            <i class={l.tone} /> {l.name} <b>{written(under === null ? l.values.findLast((v) => v !== null) : l.values[under], value)}</b>
          </span>
        ))}
        <span class="dim">{under === null ? 'now' : absolute((first + under * step) * 1000)}</span>
      </p>
      <p class="unseen">{inWords(lines, value)}</p>
    </figure>
  )
}

const height = 150

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim()
}

function written(v: number | null | undefined, value: (n: number) => string): string {
  return v == null ? '–' : value(v)
}

function options(at: HTMLElement, lines: Line[], value: (n: number) => string, under: (step: number | null) => void): uPlot.Options {
  const axis = { stroke: colour('dim'), grid: { stroke: colour('edge'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' }
  return {
    width: at.clientWidth,
    height,
    padding: [8, 8, 0, 0],
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    legend: { show: false },
    hooks: { setCursor: [(u) => under(u.cursor.idx ?? null)] },
    scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.08 : 1] } },
    axes: [
      { ...axis, size: 28, space: 70, values: times },
      { ...axis, size: 62, space: 34, values: (_, ticks) => ticks.map(value) },
    ],
    series: [
      {},
      ...lines.map((l) => ({ stroke: colour(l.tone), width: 1.5, points: { size: 4, filter: alone } })),
    ],
  }
}

/** alone are the values without neighbours, which no line shows. */
function alone(u: uPlot, line: number): number[] {
  const values = u.data[line]!
  const is: number[] = []
  for (let i = 0; i < values.length; i++) if (values[i] != null && values[i - 1] == null && values[i + 1] == null) is.push(i)
  return is
}

/** times writes hours and minutes, and the day where a day begins. */
function times(u: uPlot, ticks: number[]): string[] {
  const days = u.data[0]!.length > 1 && u.data[0]!.at(-1)! - u.data[0]![0]! > 2 * 86400
  return ticks.map((t) => {
    const d = new Date(t * 1000)
    const hour = `${String(d.getHours()).padStart(2, '0')}:${String(d.getMinutes()).padStart(2, '0')}`
    return days || hour === '00:00' ? `${d.getDate()} ${d.toLocaleString('en-GB', { month: 'short' })}` : hour
  })
}

function inWords(lines: Line[], value: (n: number) => string): string {
  return lines
    .map((l) => {
      const known = l.values.filter((v) => v !== null)
      return known.length ? `${l.name}: last ${value(known.at(-1)!)}, at most ${value(Math.max(...known))}` : `${l.name}: nothing is known`
    })
    .join('; ')
}

/** Spark is a small picture of what was delivered and what failed. */
export function Spark({ delivered, failed }: { delivered: (number | null)[]; failed: (number | null)[] }) {
  const n = delivered.length
  const most = Math.max(1, ...delivered.map((d, i) => (d ?? 0) + (failed[i] ?? 0)))
  const bar = (v: number | null, i: number, under: number, kind: string) =>
    v ? <rect class={kind} x={i * 2} width="1.6" y={20 - ((under + v) / most) * 19} height={Math.max(1, (v / most) * 19)} /> : null
  const sum = (v: (number | null)[]) => v.reduce<number>((a, b) => a + (b ?? 0), 0)
  return (
    <svg class="spark" viewBox={`0 0 ${n * 2} 20`} width={n * 2} height="20" role="img" aria-label={`${sum(delivered)} delivered, ${sum(failed)} failed attempts in 24 h`}>
      {delivered.map((v, i) => bar(v, i, 0, 'good'))}
      {failed.map((v, i) => bar(v, i, delivered[i] ?? 0, 'bad'))}
    </svg>
  )
}
