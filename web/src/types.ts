// What the API answers: the types are those of the client in TypeScript, which are made of openapi.yaml, so that a page
// that asks for what the API does not say fails its check.

import type { Session as Who, State } from '../../clients/typescript/src/types'

export type {
  Act, Attempt, AuditRow, Check, Daemon, Delivery, Destination, DestinationState, DestinationTotals, DocumentChanged, DocumentHead, Event, Explained, LiveAttempt, PlanStep, PortalLink,
  Readiness, Replay, Series, Session, Step, Usage,
} from '../../clients/typescript/src/types'

export type Right = Who['may'][number]

export interface Page<T> {
  items: T[]
  next: string
  looked_back_to?: string
}

export const attemptClasses = ['delivered', 'transient', 'throttled', 'rejected', 'misconfigured', 'interrupted', 'expired'] as const
export const deliveryStates: readonly State[] = ['pending', 'delivered', 'dead', 'cancelled']
