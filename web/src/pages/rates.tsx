import { useState } from 'preact/hooks'
import { get } from '../api'
import { count, millis, rate, tick } from '../format'
import { usePoll } from '../poll'
import type { Series } from '../types'
import { Choice } from '../ui/choice'
import { Card } from '../ui/layout'
import { Plot } from '../ui/plot'
import { Problem } from '../ui/problem'
import { Bones } from '../ui/table'

const ranges = ['1h', '24h', '7d'] as const

/** Rates plots what happened to everything over an hour, a day or a week. */
export function Rates() {
  const [range, setRange] = useState<(typeof ranges)[number]>('1h')
  const series = usePoll('series' + range, range === '1h' ? 10_000 : 60_000, (signal) => get<Series>('/v1/series', { range }, signal))
  const now = series.data && lastMinute(series.data)
  return (
    <Card
      title="What happens"
      beside={
        <>
          {now && (
            <span class="dim num">
              now {rate(now.accepted)} accepted, {rate(now.delivered)} delivered, {rate(now.failed)} failed attempts a second
            </span>
          )}
          <Choice label="Range" options={ranges} value={range} set={setRange} />
        </>
      }
    >
      {series.error && <Problem error={series.error} again={series.refresh} />}
      {!series.data && !series.error && <Bones rows={12} />}
      {series.data && <Plots series={series.data} />}
    </Card>
  )
}

/** lastMinute is what happened a second over the last minute that is known, or over the last step. */
function lastMinute(s: Series): { accepted: number; delivered: number; failed: number } {
  const steps = Math.max(1, Math.round(60 / s.step_seconds))
  const mean = (values: (number | null)[]) => {
    const known = values.slice(-steps).filter((v) => v !== null)
    return known.reduce((a, b) => a + b, 0) / Math.max(1, known.length) / s.step_seconds
  }
  return { accepted: mean(s.accepted), delivered: mean(s.delivered), failed: mean(s.failed) }
}

/** Plots are outcomes, pending and latency of a series. */
export function Plots({ series: s }: { series: Series }) {
  const aSecond = (values: (number | null)[]) => values.map((v) => (v === null ? null : v / s.step_seconds))
  const at = { from: s.from, step: s.step_seconds }
  return (
    <div class="plots">
      <Plot
        title="Deliveries and attempts a second"
        {...at}
        value={rate}
        axis={tick}
        lines={[
          { name: 'Accepted', tone: 'dim', values: aSecond(s.accepted) },
          { name: 'Delivered', tone: 'good', values: aSecond(s.delivered) },
          { name: 'Failed', tone: 'bad', values: aSecond(s.failed) },
        ]}
      />
      <Plot title="Pending deliveries" {...at} value={(n) => (Number.isInteger(n) ? count(n) : '')} lines={[{ name: 'Pending', tone: 'info', values: s.pending }]} />
      <Plot
        title="From acceptance to delivery"
        {...at}
        value={millis}
        lines={[
          { name: 'p50', tone: 'info', values: s.latency_p50_ms },
          { name: 'p99', tone: 'warn', values: s.latency_p99_ms },
        ]}
      />
    </div>
  )
}
