import { env } from 'cloudflare:workers'

const vars = env as unknown as Readonly<Record<string, string | undefined>>

export const skewMs = Number(vars['SKEW_MS'] ?? 0)
export const alarmsLost = Number(vars['ALARMS_LOST'] ?? 0)

const now = Date.now.bind(Date)
Date.now = () => now() + skewMs
