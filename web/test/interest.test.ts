import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { covers, fits, narrowest } from '../src/interest'

const app = { developer: 'acme', destination: 'app' }
const crm = { developer: 'acme', destination: 'crm' }

test('tabs share the narrowest stream that has what each wants', () => {
  deepEqual(narrowest([]), { attempts: undefined, counters: false })
  deepEqual(narrowest([{ attempts: app }, { attempts: app }]), { attempts: app, counters: false })
  deepEqual(narrowest([{ attempts: app }, { attempts: crm }]), { attempts: { developer: 'acme' }, counters: false })
  deepEqual(narrowest([{ attempts: app }, { attempts: { developer: 'globex', destination: 'app' } }]), { attempts: {}, counters: false })
  deepEqual(narrowest([{ attempts: app }, { attempts: {} }]), { attempts: {}, counters: false })
})

test('counters bring no attempts along, and attempts no counters', () => {
  deepEqual(narrowest([{ counters: true }]), { attempts: undefined, counters: true })
  deepEqual(narrowest([{ counters: true }, { attempts: app }]), { attempts: app, counters: true })
})

test('a stream goes on while it has what is wanted', () => {
  equal(covers({ attempts: {} }, { attempts: app }), true)
  equal(covers({ attempts: app }, { attempts: { developer: 'acme' } }), false)
  equal(covers({ attempts: app }, { attempts: app, counters: true }), false)
  equal(covers({ attempts: app, counters: true }, { attempts: app }), true)
  equal(covers({ counters: true }, { attempts: app, counters: true }), false)
})

test('a stream of attempts that nobody wants ends where counters alone are wanted', () => {
  equal(covers({ attempts: {}, counters: true }, { counters: true }), false)
  equal(covers({ counters: true }, { counters: true }), true)
})

test('what fits a filter', () => {
  equal(fits({}, app), true)
  equal(fits({ developer: 'acme' }, app), true)
  equal(fits(app, crm), false)
  equal(fits(app, { developer: 'globex', destination: 'app' }), false)
})
