// How figures, times and sizes look. Nothing here rounds what somebody could want exactly: that stands in titles.

const grouped = new Intl.NumberFormat('en-GB')

/** count is a whole number with its thousands told apart. */
export function count(n: number | undefined): string {
  return n === undefined ? '–' : grouped.format(n)
}

/** counted is a number with its noun. */
export function counted(n: number, one: string, many = one + 's'): string {
  return `${count(n)} ${n === 1 ? one : many}`
}

/** rate is a number a second: three digits are enough to see whether it changed. */
export function rate(n: number): string {
  if (n === 0) return '0'
  if (n < 0.01) return '<0.01'
  return n >= 99.95 ? count(Math.round(n)) : n.toFixed(n < 9.995 ? 2 : 1)
}

const significant = new Intl.NumberFormat('en-GB', { maximumSignificantDigits: 3 })

/** tick is a number beside an axis, with no more digits than it needs. */
export function tick(n: number): string {
  return significant.format(n)
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

export function bytes(n: number): string {
  let i = 0
  while (Math.round(n) >= 1024 && i < units.length - 1) {
    n /= 1024
    i++
  }
  return `${i === 0 || n >= 99.95 ? Math.round(n) : n.toFixed(1)} ${units[i]}`
}

/** millis is how long something took. */
export function millis(ms: number): string {
  if (ms < 999.5) return `${ms < 10 ? +ms.toFixed(1) : Math.round(ms)} ms`
  return span(ms)
}

/** span is a length of time in its two largest units. */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000))
  const tenths = Math.round(ms / 100)
  if (s < 60) return tenths < 100 && tenths % 10 > 0 ? `${(tenths / 10).toFixed(1)} s` : `${s} s`
  const m = Math.floor(s / 60)
  if (m < 60) return s % 60 && m < 10 ? `${m} min ${s % 60} s` : `${m} min`
  const h = Math.floor(m / 60)
  if (h < 48) return m % 60 ? `${h} h ${m % 60} min` : `${h} h`
  return h % 24 ? `${Math.floor(h / 24)} d ${h % 24} h` : `${Math.floor(h / 24)} d`
}

/** relative is how far a time is from now, in its largest unit. */
export function relative(t: string, now: number): string {
  const ms = Date.parse(t) - now
  const s = Math.round(Math.abs(ms) / 1000)
  if (s < 1) return 'now'
  const far = s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min` : s < 48 * 3600 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`
  return ms > 0 ? 'in ' + far : far + ' ago'
}

/** acceptedAt is when an event was accepted, which its id says (UUIDv7), and those of its deliveries. */
export function acceptedAt(id: string): string {
  return new Date(parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toISOString()
}

const two = (n: number): string => String(n).padStart(2, '0')
const zoneName = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' })

/** zone is the name of the browser's time zone then, such as UTC or CET. */
function zone(d: Date): string {
  return zoneName.formatToParts(d).find((part) => part.type === 'timeZoneName')?.value ?? ''
}

/** absolute is a time in the browser's zone, which it names. */
export function absolute(t: string | number, fraction = false): string {
  const d = new Date(t)
  if (isNaN(d.getTime())) return String(t)
  const ms = fraction ? '.' + String(d.getMilliseconds()).padStart(3, '0') : ''
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}${ms} ${zone(d)}`
}

/** brief is a time in little room, with its zone: the time of a day that is today, else the day and the minute. */
export function brief(t: string | number, now: number): string {
  const full = absolute(t)
  const [day, time, zone] = full.split(' ')
  if (!time) return full
  return day === absolute(now).split(' ')[0] ? `${time} ${zone}` : `${day} ${time.slice(0, 5)} ${zone}`
}

/** since turns 24h, 7d, 30m or a time into a time; undefined where it is neither. */
export function since(text: string | undefined, now = Date.now()): string | undefined {
  if (!text) return undefined
  const m = /^(\d+)(s|m|h|d)$/.exec(text)
  if (m) return new Date(now - Number(m[1]) * { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[m[2] as 's' | 'm' | 'h' | 'd']).toISOString()
  const t = Date.parse(text)
  return isNaN(t) ? undefined : new Date(t).toISOString()
}

/** unended is an excerpt of an answer, in which the daemon escapes line ends, without those at its end. */
export function unended(text: string): string {
  return text.replace(/(\\[rn])+$/, '')
}

/**
 * visible writes characters that nobody sees, and those that turn the order of text around, as escapes: what is shown
 * must be what is there. JSON reads them as the same text.
 */
export function visible(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))
}
