import { equal } from 'node:assert/strict'
import { test } from 'node:test'
import { absolute, acceptedAt, brief, bytes, count, counted, millis, rate, relative, since, span, tick, unended, visible } from '../src/format'

/** each compares what a function makes of some values. */
function each<T>(f: (v: T) => string | undefined, cases: [T, string | undefined][]): void {
  for (const [value, want] of cases) equal(f(value), want, String(value))
}

test('counts are whole and have their thousands apart', () => {
  each(count, [[0, '0'], [999, '999'], [1000, '1,000'], [2_000_000, '2,000,000'], [9007199254740991, '9,007,199,254,740,991'], [undefined, '–']])
  equal(counted(1, 'delivery', 'deliveries'), '1 delivery')
  equal(counted(0, 'warning'), '0 warnings')
  equal(counted(1234, 'warning'), '1,234 warnings')
})

test('rates have three digits', () => {
  each(rate, [[0, '0'], [0.001, '<0.01'], [0.01, '0.01'], [1, '1.00'], [9.994, '9.99'], [9.996, '10.0'], [12.34, '12.3'], [99.94, '99.9'], [99.96, '100'], [1234.5, '1,235']])
})

test('sizes go up by 1024, and never say 1024 of one unit', () => {
  each(bytes, [[0, '0 B'], [1023, '1023 B'], [1024, '1.0 KiB'], [1536, '1.5 KiB'], [102_350, '100 KiB'], [1024 * 1024 - 1, '1.0 MiB'], [1 << 30, '1.0 GiB'], [2 ** 60, '1024 PiB']])
})

test('durations are of two units at the most, and never 1000 ms or 60 s', () => {
  each(millis, [[0, '0 ms'], [0.25, '0.3 ms'], [9.96, '10 ms'], [12.4, '12 ms'], [999.4, '999 ms'], [999.6, '1 s'], [1500, '1.5 s'], [61_000, '1 min 1 s']])
  each(span, [
    [-5, '0 s'], [0, '0 s'], [1000, '1 s'], [9949, '9.9 s'], [9960, '10 s'], [59_400, '59 s'], [59_600, '1 min'], [61_000, '1 min 1 s'], [600_000, '10 min'], [659_000, '10 min'],
    [3_600_000, '1 h'], [5_400_000, '1 h 30 min'], [47 * 3_600_000, '47 h'], [48 * 3_600_000, '2 d'], [49 * 3_600_000, '2 d 1 h'], [98_426_000, '27 h 20 min'],
  ])
})

test('how far a time is from now, either way', () => {
  const now = Date.parse('2026-07-01T12:00:00Z')
  const at = (ms: number) => relative(new Date(now + ms).toISOString(), now)
  each(at, [
    [0, 'now'], [400, 'now'], [-400, 'now'], [-59_000, '59 s ago'], [-60_000, '1 min ago'], [-3_599_000, '59 min ago'], [-3_600_000, '1 h ago'], [-47 * 36e5, '47 h ago'], [-48 * 36e5, '2 d ago'],
    [30_000, 'in 30 s'], [90 * 60_000, 'in 1 h'],
  ])
})

test('times name their zone, summer and winter, over a change of clocks', () => {
  each(absolute, [
    ['2026-07-01T09:12:33Z', '2026-07-01 11:12:33 CEST'],
    ['2026-12-31T23:30:00Z', '2027-01-01 00:30:00 CET'],
    ['2026-10-25T00:59:59Z', '2026-10-25 02:59:59 CEST'],
    ['2026-10-25T01:00:00Z', '2026-10-25 02:00:00 CET'],
    ['never', 'never'],
  ])
  equal(absolute('2026-07-01T09:12:33.045678Z', true), '2026-07-01 11:12:33.045 CEST')
})

test('a time in little room has its zone, and its day unless that is today', () => {
  const now = Date.parse('2026-07-01T21:30:00Z') // 23:30 in Berlin
  each((t: string) => brief(t, now), [['2026-07-01T09:12:33Z', '11:12:33 CEST'], ['2026-06-30T22:00:00Z', '00:00:00 CEST'], ['2026-06-30T21:59:59Z', '2026-06-30 23:59 CEST'], ['never', 'never']])
})

test('an axis has no more digits than it needs', () => {
  each(tick, [[0, '0'], [0.5, '0.5'], [5, '5'], [10, '10'], [2500, '2,500']])
})

test('since takes how long ago, or a time', () => {
  const now = Date.parse('2026-07-02T00:00:00Z')
  each((text: string) => since(text, now), [
    ['', undefined], ['24h', '2026-07-01T00:00:00.000Z'], ['7d', '2026-06-25T00:00:00.000Z'], ['30m', '2026-07-01T23:30:00.000Z'], ['90s', '2026-07-01T23:58:30.000Z'],
    ['2026-07-01T09:12:33+02:00', '2026-07-01T07:12:33.000Z'], ['24 h', undefined], ['-1h', undefined], ['yesterday', undefined],
  ])
})

test('an answer has no line ends at its end', () => {
  each(unended, [['busy, try later\\n', 'busy, try later'], ['a\\nb\\r\\n\\n', 'a\\nb'], ['\\n', ''], ['', ''], ['plain', 'plain']])
})

test('an id says when its event was accepted', () => {
  equal(acceptedAt('01980000-0000-7000-8000-000000000000'), new Date(0x019800000000).toISOString())
})

test('what nobody sees, and what turns text around, is written out; all else stays', () => {
  each(visible, [
    ['a\u202eb', 'a\\u202eb'], ['a\u0000b', 'a\\u0000b'], ['zero\u200bwidth', 'zero\\u200bwidth'], ['\ufeffbom', '\\ufeffbom'], ['\u001b[31m', '\\u001b[31m'],
    ['tab\tline\nend', 'tab\tline\nend'], ['e\u0301 é 🦩 "quoted"', 'e\u0301 é 🦩 "quoted"'],
  ])
})
