/** The shipped Worker on a machine whose clock is wrong, and which forgets some of its alarms. */
import './clock.ts'
import { Thread as Shipped } from '../../../wrangler/src/thread.ts'
import { alarmsLost, skewMs } from './clock.ts'
import type { Env } from '../../../wrangler/src/env.ts'

export * from '../../../wrangler/src/worker.ts'
export { default } from '../../../wrangler/src/worker.ts'

export class Thread extends Shipped {
  constructor(context: DurableObjectState, env: Env) {
    const { storage } = context
    const setAlarm = storage.setAlarm.bind(storage)
    storage.setAlarm = async (at) => {
      // Who keeps alarms has the right time.
      if (Math.random() >= alarmsLost) await setAlarm(Math.max(Number(at) - skewMs, 0))
    }
    super(context, env)
  }
}
