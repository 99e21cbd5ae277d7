// What the API answers, as openapi.yaml describes it.

export type DeliveryState = 'pending' | 'delivered' | 'dead' | 'cancelled'
export type DestinationState = 'active' | 'paused' | 'disabled' | 'held' | 'removed'
export const attemptClasses = ['delivered', 'transient', 'throttled', 'rejected', 'misconfigured', 'interrupted', 'expired'] as const
export const deliveryStates: readonly DeliveryState[] = ['pending', 'delivered', 'dead', 'cancelled']
export const destinationStates: readonly DestinationState[] = ['active', 'paused', 'held', 'disabled', 'removed']

export type Right = 'ingest' | 'read' | 'operate' | 'configure' | 'link' | 'retry' | 'test' | 'replay'

export interface Session {
  name: string
  via?: string
  may: Right[]
  developers?: string[]
  ends?: string
  bearer?: string
}

export interface Page<T> {
  items: T[]
  next: string
  looked_back_to?: string
}

export interface LastAnswer {
  at: string
  class: string
  code: number
  answer?: string
  fault?: string
}

export interface Finding {
  name: string
  result: 'ok' | 'warn' | 'fail'
  message: string
  advice?: string
}

export interface Check {
  at: string
  ms: number
  result: 'ok' | 'warn' | 'fail'
  certificate_expires?: string
  findings: Finding[]
}

export interface Destination {
  developer: string
  name: string
  kind: string
  state: DestinationState
  reason?: string
  since?: string
  waits_for?: string
  waits_until?: string
  pending: number
  oldest_pending?: string
  in_flight: number
  breaker: 'closed' | 'open'
  last_success?: string
  last_answer?: LastAnswer
  failed_attempts: number
  dead_24h: number
  check?: Check
  outcomes_24h?: { from: string; step_seconds: number; delivered: (number | null)[]; failed: (number | null)[] }
}

export interface Totals {
  destinations: number
  states: Partial<Record<DestinationState, number>>
  failing: number
  waiting: number
  pending: number
  oldest_pending?: string
  in_flight: number
  dead_24h: number
}

export interface Attempt {
  at: string
  ms: number
  class: string
  code: number
  answer?: string
  address?: string
  counted: boolean
  requests?: number
}

export interface Delivery {
  id: string
  event: string
  developer: string
  destination: string
  kind: string
  state: DeliveryState
  reason?: string
  due?: string
  changed?: string
  tried: number
  frozen: boolean
  type?: string
  user?: string
  last_answer?: LastAnswer
  waits_for?: string
  waits_until?: string
  waits_reason?: string
  attempts?: Attempt[]
}

export interface Event {
  id: string
  developer: string
  type: string
  version?: string
  user?: string
  reference: string
  accepted: string
  ordering: string
  size: number
  destinations: string[]
  deliveries: string[]
  gone?: 'erased' | 'expired'
}

export interface LiveAttempt {
  at?: string
  delivery?: string
  developer?: string
  destination?: string
  type?: string
  user?: string
  class?: string
  code?: number
  answer?: string
  fault?: string
  ms?: number
  state?: DeliveryState
  due?: string
  lost?: number
}

export interface Explained {
  developer: string
  destination: string
  kind: string
  decision: 'sends' | 'waits' | 'filtered' | 'fails'
  reason?: string
  request?: { target: string; headers?: Record<string, unknown>; key?: string; body: string }
}

export interface Series {
  from: string
  step_seconds: number
  accepted: (number | null)[]
  delivered: (number | null)[]
  failed: (number | null)[]
  pending: (number | null)[]
  latency_p50_ms: (number | null)[]
  latency_p99_ms: (number | null)[]
}

export interface Readiness {
  ready: boolean
  problems: string[]
  warnings?: string[]
  version?: string
}

export interface Usage {
  since: string
  until: string
  items: { day?: string; accepted: number; delivered: number; pending: number; dead: number; cancelled: number; attempts: number | null; bytes: number | null }[]
}

export interface Act {
  at: string
  by?: string
  via?: string
  call: string
  developer?: string
  object?: string
  reason?: string
  result: string
  state?: string
  count: number
}

export interface Step {
  matched: number
  changed: number
  next: string
}
