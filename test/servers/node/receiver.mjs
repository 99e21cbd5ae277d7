// A receiver of webhooks that notes what arrived: see StartNode.
import crypto from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'

const [mode, port, cert, key, arrivals] = process.argv.slice(2)
const early = mode.endsWith('-early')

function receive(req, res) {
  const answer = () => {
    res.writeHead(200, { 'Content-Type': 'text/plain' })
    res.end('ok')
  }
  const sum = crypto.createHash('sha256')
  let size = 0
  if (early) answer()
  req.on('data', (bytes) => {
    size += bytes.length
    sum.update(bytes)
    if (!early) return
    req.pause()
    setTimeout(() => req.resume(), 2)
  })
  req.on('end', () => {
    fs.appendFileSync(arrivals, `${req.headers['x-terra-trace-id']} ${size} ${sum.digest('hex')}\n`)
    if (!early) answer()
  })
  req.on('error', () => {}) // a body that was cut off is not noted
}

const server = mode.startsWith('http2')
  ? http2.createSecureServer({ allowHTTP1: true, cert: fs.readFileSync(cert), key: fs.readFileSync(key) }, receive)
  : http.createServer(receive)
server.keepAliveTimeout = 1000
server.listen(Number(port), '127.0.0.1')
