/** Ports for servers that must know theirs before they are started. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

/** Below every system's range for outgoing connections, whose ports come and go by themselves. */
const [lowest, count] = [20_000, 12_000]
const host = '127.0.0.1'

/**
 * A port of TCP that nothing listens on, and that no other caller is given, in any process, until this one
 * ends; the first one from `from` on.
 */
export async function freePort(from = lowest + Math.floor(Math.random() * count)): Promise<number> {
  for (let step = 0; step < count; step += 1) {
    const port = lowest + ((from - lowest + step) % count)
    if ((await claim(port)) && (await isFree(port))) return port
  }
  throw new Error('there is no free port')
}

/** The UDP port of the same number, which nobody uses here, is the mark; the system clears it with the process. */
function claim(port: number): Promise<boolean> {
  const mark = createSocket('udp4').unref()
  return new Promise((resolve) => {
    mark.once('error', () => resolve(false))
    mark.bind({ port, address: host, exclusive: true }, () => resolve(true))
  })
}

function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false))
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
