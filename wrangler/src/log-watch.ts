/** Who reads a run's log as it grows. Nothing here is kept: a subscriber that is lost comes back with its number. */

/** A piece of a log as it goes out. */
export interface Page {
  readonly bytes: Uint8Array
  /** The number of the last event in it. */
  readonly last: number
  /** That event ends the log. */
  readonly ended: boolean
}

interface Subscriber {
  readonly controller: ReadableStreamDefaultController<Uint8Array>
  /** The number of the last event that went out. */
  seen: number
  /** It is given what there is; otherwise it takes page after page by itself. */
  given: boolean
}

const comment = new TextEncoder().encode(':\n\n')
/** Tells a browser how soon to come back by itself, and opens the stream for everything in between. */
const greeting = new TextEncoder().encode('retry: 1000\n\n')
const beatMs = 15_000
/** Whoever has not taken so many is let go, and comes back with its number: what waits for it is not kept here. */
const mostWaiting = 64

/**
 * All subscribers of one object. An event is encoded once for all of them and given to each, which is what a waiting
 * one costs next to nothing for; a log that is longer than a page is taken in pages first, at the reader's own pace.
 * The timer runs only while somebody is subscribed, so it keeps no object in memory that nobody listens to.
 */
export class LogWatch {
  readonly #logs = new Map<number, Set<Subscriber>>()
  readonly #read: (run: number, after: number) => Page | undefined
  readonly #beat: () => void
  #timer: ReturnType<typeof setInterval> | undefined

  /** `read` gives what is durable after a number; `beat` is called from time to time while somebody is subscribed. */
  constructor(read: (run: number, after: number) => Page | undefined, beat: () => void) {
    this.#read = read
    this.#beat = beat
  }

  get subscribers(): number {
    let count = 0
    for (const log of this.#logs.values()) count += log.size
    return count
  }

  /** Events after that number, then whatever comes, up to the one that ends the log. */
  subscribe(run: number, after: number): ReadableStream<Uint8Array> {
    const page = this.#read(run, after)
    const isLong = page !== undefined && !page.ended && this.#read(run, page.last) !== undefined
    let subscriber: Subscriber
    const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      subscriber = { controller, seen: after, given: !isLong }
      const log = this.#logs.get(run) ?? new Set()
      this.#logs.set(run, log.add(subscriber))
      this.#timer ??= setInterval(() => this.#comment(), beatMs)
      controller.enqueue(greeting)
      if (page) this.#give(run, subscriber, page)
    }
    const cancel = (): void => this.#leave(run, subscriber)
    if (!isLong) return new ReadableStream({ start, cancel })
    const pull = (): void => {
      const next = this.#read(run, subscriber.seen)
      subscriber.given = next === undefined
      if (next) this.#give(run, subscriber, next)
    }
    return new ReadableStream({ start, pull, cancel })
  }

  /** Gives those who are given it what the log has grown by. */
  grown(run: number): void {
    const pages = new Map<number, Page | undefined>()
    for (const subscriber of this.#logs.get(run) ?? []) {
      const { given, seen } = subscriber
      if (!given) continue
      if (!pages.has(seen)) pages.set(seen, this.#read(run, seen))
      for (let page = pages.get(seen); page; page = this.#read(run, page.last))
        this.#give(run, subscriber, page)
    }
  }

  /** Lets go of whoever still reads: there is no more of that log. */
  gone(run: number): void {
    for (const subscriber of this.#logs.get(run) ?? []) {
      this.#leave(run, subscriber)
      subscriber.controller.close()
    }
  }

  #give(run: number, subscriber: Subscriber, page: Page): void {
    const { controller } = subscriber
    subscriber.seen = page.last
    controller.enqueue(page.bytes)
    if (!page.ended && (controller.desiredSize ?? 0) > -mostWaiting) return
    this.#leave(run, subscriber)
    controller.close()
  }

  #comment(): void {
    this.#beat()
    for (const log of this.#logs.values())
      for (const { controller } of log) if ((controller.desiredSize ?? 0) > 0) controller.enqueue(comment)
  }

  #leave(run: number, subscriber: Subscriber): void {
    const log = this.#logs.get(run)
    log?.delete(subscriber)
    if (log?.size === 0) this.#logs.delete(run)
    if (this.#logs.size > 0) return
    if (this.#timer !== undefined) clearInterval(this.#timer)
    this.#timer = undefined
  }
}
