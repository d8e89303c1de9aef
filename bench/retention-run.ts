// `npm run bench:retention`: see retention.ts.
import { readOptions } from '../scripts/options.ts'
import { measureRetention, showRetention } from './retention.ts'

const { values: options } = readOptions({
  rows: { type: 'string', default: '1000000' },
  check: { type: 'boolean', default: false },
})
const facts = await measureRetention({ rows: Number(options.rows), slices: 5 })
showRetention(facts)
if (options.check && facts.bars.some(({ met }) => !met)) process.exitCode = 1
