/** Who keeps the credential of a session's repository: the caller brings that of a `generic_git` one along. */
export type RepositoryKind = 'generic_git' | 'github' | 'gitlab'

/** What a token counts for. */
export type CredentialOffer = 'none' | 'credential' | 'malformed'

/** A message as it comes in. It has no place for a credential. */
export interface AdmissionCandidate {
  /** Chosen by the sender, the same for every attempt; 1..100 bytes. */
  readonly id: string
  readonly turn: string
  readonly mode: string
  readonly model: string
  /** The modes that there are; at most 32. */
  readonly modes: readonly string[]
  /** The models that there are; absent or empty: any. */
  readonly models?: readonly string[]
  readonly offer: CredentialOffer
  /** By the sender's clock; absent: when it first comes. */
  readonly composedAt?: number
}

export type MessageStage = 'marked' | 'queued' | 'sent' | 'done' | 'failed' | 'lapsed'

export type DeliveryFailure =
  'interrupted' | 'starting' | 'unreachable' | 'setup_failed' | 'rate_limited' | 'overloaded' | 'permanent'

/** What became of a message, for `settle`. */
export type MessageReport =
  | { readonly outcome: 'accepted' | 'completed' | 'aborted' }
  | { readonly outcome: 'undelivered'; readonly failure: DeliveryFailure; readonly sends: number }

/** The two records as the module understands them, and what they say. */
interface MessageRecords {
  readonly session: Uint8Array
  readonly message: Uint8Array
  readonly stage: MessageStage
  /** What became of the credential that came with the message. */
  readonly credential: 'none' | 'stored' | 'superseded'
  /** Smaller ones go first; 0 before it is admitted. */
  readonly number: number
  /** How often it has been sent. */
  readonly sends: number
}

/** One thing to do. A refusal is thrown. */
export type AdmissionPlan =
  /** Nothing, before `at` where there is one. */
  | { readonly act: 'nothing'; readonly at: number | null }
  | ({ readonly act: 'acknowledge' } & MessageRecords)
  | ({
      readonly act: 'write'
      /** Once it is stored; `nothing`: ask again. */
      readonly then: 'nothing' | 'acknowledge' | 'send'
      /** Beside the records; `credential`: the caller's, sealed; `intent`: turn, mode and model; `wipe`: no intent stays. */
      readonly blob: 'keep' | 'credential' | 'intent' | 'wipe'
      /** That the stored session must have; 0: there must be none. */
      readonly epoch: number
      /** That the written session has. */
      readonly nextEpoch: number
      /** An alarm then, unless an earlier one is set. */
      readonly at: number | null
    } & MessageRecords)

export interface Admission {
  /** Whether a token counts; throws `claim_invalid` for another kind of repository. */
  offer(repository: RepositoryKind, token: string | null | undefined): CredentialOffer
  /**
   * Decides about a message that comes in; ask again after every write whose `then` is `nothing`. Throws
   * `claim_invalid`, `turn_invalid`, `mode_invalid`, `model_invalid`, `credential_invalid`, `queue_full`,
   * `message_conflict`, `message_ended`, `corrupt`, `time_invalid`, `utf8_invalid`, `output_too_small`; nothing is
   * changed then.
   */
  plan(
    candidate: AdmissionCandidate,
    session: Uint8Array | null,
    message: Uint8Array | null,
    ctx: { now: number },
  ): AdmissionPlan
  /** Decides about one stored message when an alarm goes off; throws `corrupt`, `time_invalid`. */
  drain(session: Uint8Array, message: Uint8Array, ctx: { now: number }): AdmissionPlan
  /** Decides what a report changes; throws `corrupt`, `claim_invalid`, `time_invalid`. */
  settle(session: Uint8Array, message: Uint8Array, report: MessageReport, ctx: { now: number }): AdmissionPlan
}
