import type { Module } from './module.ts'

export function redact(module: Module, text: string): string {
  if (typeof text !== 'string') throw new TypeError('latchkey: expected a string')
  if (text === '') return ''
  try {
    const at = module.free
    // Half a surrogate pair is no reason not to redact what is around it.
    const length = module.putText(text.toWellFormed())
    module.call('lk_redact', at, length, module.free)
    return module.replyText()
  } finally {
    module.wipe()
  }
}
