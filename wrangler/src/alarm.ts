/** The one alarm that an object has, for all there that wait for a time of their own. */
export class Alarm {
  readonly #storage: DurableObjectStorage
  #at: number | null | undefined

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage
  }

  /** Sets an alarm unless an earlier one is set. Nothing is awaited, so that it is written together with what follows. */
  arm(at: number): Promise<void> | void {
    if (this.#at === undefined) return this.#read().then(() => this.arm(at))
    if (this.#at !== null && this.#at <= at) return
    this.#at = at
    this.#storage.setAlarm(at).catch(() => {
      this.#at = undefined
    })
  }

  /** It has gone off; whether another one was set since is not known. */
  wentOff(): void {
    this.#at = undefined
  }

  async #read(): Promise<void> {
    const at = await this.#storage.getAlarm()
    // Another caller may have set one meanwhile.
    if (this.#at === undefined) this.#at = at
  }
}
