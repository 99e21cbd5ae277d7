/**
 * pretty sets the tokens of a JSON text out in lines, and changes no other byte: no number is rounded, no member moved
 * or dropped, no string escaped anew. What is no JSON comes back as it is.
 */
export function pretty(text: string): string {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs)
  if (!tokens || tokens.join('').length !== text.replace(/"(?:[^"\\]|\\.)*"|\s+/gs, (m) => (m[0] === '"' ? m : '')).length) return text
  let out = ''
  let depth = 0
  const line = () => '\n' + '  '.repeat(depth)
  for (let i = 0; i < tokens.length; i++) {
    const t = tokens[i]!
    const next = tokens[i + 1]
    if (t === '{' || t === '[') {
      if (next === (t === '{' ? '}' : ']')) {
        out += t + next
        i++
        continue
      }
      depth++
      out += t + line()
    } else if (t === '}' || t === ']') {
      depth = Math.max(0, depth - 1)
      out += line() + t
    } else if (t === ',') {
      out += t + line()
    } else if (t === ':') {
      out += ': '
    } else {
      out += t
    }
  }
  return out
}
