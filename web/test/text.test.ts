import { deepEqual, equal, match } from 'node:assert/strict'
import { test } from 'node:test'
import { curl, headersOf, quote } from '../src/curl'
import { pretty } from '../src/pretty'

test('a body is set out in lines, and none of its tokens is changed', () => {
  const body = `{"z":123456789012345678901234567890,"a":1.10,"b":1e400,"__proto__":{"x":[]},  "s":"a \\"b\\" {c}, [d]: \\u202e","l":[1,{"x":null}],"e":{}}`
  const lines = pretty(body)
  equal(lines.replace(/\n\s*/g, '').replaceAll('": ', '":'), body.replaceAll(',  "s"', ',"s"'))
  match(lines, /\n {2}"a": 1\.10,\n/)
  match(lines, /\n {4}\{\n {6}"x": null\n {4}\}\n/)
})

test('what is no JSON stays as it is', () => {
  for (const text of ['', 'plain text', '{"a', '"unended', '<html>{"a":1}</html>"', 'a\nb']) equal(pretty(text).replace(/\s/g, ''), text.replace(/\s/g, ''), text)
})

test('a shell reads what was quoted, and runs none of it', () => {
  equal(quote(`it's $(rm -rf /) \`x\` "y"`), `'it'\\''s $(rm -rf /) \`x\` "y"'`)
  const { text, wantsFile } = curl({ target: 'https://a.example/?x=1&y=$z', headers: { 'A-B': ["it's", '2'], n: 1 }, body: "{'}" }, 'body.json')
  equal(wantsFile, false)
  equal(text, [`curl -i 'https://a.example/?x=1&y=$z'`, `-H 'A-B: it'\\''s'`, `-H 'A-B: 2'`, `-H 'n: 1'`, `--data-binary '{'\\''}'`].join(' \\\n  '))
})

test('a long body is read from a file', () => {
  const { text, wantsFile } = curl({ target: 'https://a.example/', body: 'x'.repeat(10_000) }, 'body.json')
  equal(wantsFile, true)
  match(text, /--data-binary '@body\.json'$/)
  deepEqual(headersOf({ target: '', body: '' }), [])
})
