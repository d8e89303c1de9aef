/** What became of a refresh, for whoever operates this: counted, and said in a line of the log. */
import type { News } from 'latchkey/connection'
import type { Outcome } from './counters.ts'

/** Somebody has to look. */
const alerts: ReadonlySet<News['news']> = new Set([
  'lost_in_flight',
  'operator_error',
  'not_understood',
  'refresh_token_missing',
  'persist_failed',
  'corrupt',
])

/** No token comes of a connection any more. */
const ends: ReadonlySet<News['news']> = new Set(['terminal', 'lost_in_flight'])

export const isEnd = ({ news }: News): boolean => ends.has(news)

export const countedAs = ({ news }: News): Outcome => (news === 'operator_error' ? 'operator' : news)

/** Codes alone: neither a token nor a person stands in a log line. */
export function logNews(provider: string, { news, cause }: News): void {
  const line = JSON.stringify({ event: 'refresh', provider, news, cause })
  if (alerts.has(news)) console.error(line)
  else console.log(line)
}
