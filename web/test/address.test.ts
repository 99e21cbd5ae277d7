import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { p, url } from '../src/api'
import { asQuery, asSelection, filterOf, inWords, matches } from '../src/pages/deliveryfilter'
import { href, parse, to } from '../src/router'

const hostile = `a/b?c=d&e#f%2f "<ü🦩>`

test('an address is read as it was written, whatever names are like', () => {
  for (const name of ['acme', hostile, '..', '%', 'constructor']) {
    const { path, query } = parse(href(['destination', name, 'hooks'], { user: name, state: ['dead', name] }))
    deepEqual(path, ['destination', name, 'hooks'])
    equal(query.get('user'), name)
    deepEqual(query.getAll('state'), ['dead', name])
  }
})

test('what is empty stands in no address', () => {
  equal(to.deliveries({ state: 'dead', user: '', since: undefined }), '#/deliveries?state=dead')
  equal(to.deliveries(), '#/deliveries')
  equal(url('/v1/events', { user: '', limit: 0, detail: true, totals: false, cursor: undefined, state: ['a', 'b'] }), '../v1/events?limit=0&detail=true&state=a&state=b')
})

test('an address that somebody has mangled is a page, and no exception', () => {
  deepEqual(parse('').path, [])
  deepEqual(parse('#/').path, [])
  deepEqual(parse('#/event/%zz').path, ['event', '%zz'])
  equal(parse('#/deliveries?user=%zz&&=').query.get('user'), '%zz')
})

test('names cannot leave their place in a path', () => {
  equal(new URL(p`/v1/deliveries/${'.'}/retry`, 'http://a').pathname, '/v1/deliveries/%20./retry')
  equal(p`/v1/destinations/${'..'}/${hostile}/pause`, '/v1/destinations/%20../a%2Fb%3Fc%3Dd%26e%23f%252f%20%22%3C%C3%BC%F0%9F%A6%A9%3E/pause')
})

const none = filterOf(new URLSearchParams())
const given = (text: string) => filterOf(new URLSearchParams(text))

test('the filter of a list goes through its address unchanged', () => {
  const f = given(`state=dead&developer=acme&destination=app&type=sleep&user=${encodeURIComponent(hostile)}&class=transient&code=0&since=24h&until=2026-07-01T00:00:00Z&event=0198`)
  deepEqual(filterOf(parse(to.deliveries({ ...f })).query), f)
  deepEqual(filterOf(parse(to.deliveries({ ...none })).query), none)
})

test('what the list shows is what a change of many selects', () => {
  const f = given('state=dead&developer=acme&destination=app&type=sleep&user=u&class=transient&code=503&event=0198')
  const { type, class: class_, code, ...same } = asQuery(f)
  const { types, classes, codes, ...too } = asSelection(f)
  deepEqual(same, too)
  deepEqual([[type], [class_], [Number(code)]], [types, classes, codes])
  deepEqual(asSelection(none).codes, [])
  deepEqual(asSelection(given('code=0')).codes, [0])
  // Names are each developer's own: without one, a destination selects nothing.
  equal(asQuery(given('destination=app')).destination, '')
})

test('words say all that is selected', () => {
  equal(inWords(none), 'of everybody')
  equal(
    inWords(given('state=dead&developer=acme&destination=app&type=sleep&user=u&class=transient&code=503&since=24h')),
    'that are dead of acme/app of type sleep of the user u whose last attempt was transient answered 503 since 24h ago',
  )
  equal(inWords(given('code=0')), 'of everybody that got no answer')
})

test('an attempt is news where its delivery would be listed', () => {
  const a = { developer: 'acme', destination: 'app', type: 'sleep', user: 'u', class: 'transient', code: 503, state: 'pending', delivery: '01980000-0000-7000-8000-000000000000_1' } as const
  for (const text of ['', 'state=pending', 'developer=acme', 'developer=acme&destination=app', 'type=sleep', 'user=u', 'class=transient', 'code=503', 'event=01980000', 'since=24h']) equal(matches(given(text), a), true, text)
  for (const text of ['state=dead', 'developer=other', 'type=daily', 'user=v', 'class=delivered', 'code=0', 'event=02', 'until=2026-07-01T00:00:00Z']) equal(matches(given(text), a), false, text)
  equal(matches(given('code=0'), { ...a, code: undefined }), true)
})
