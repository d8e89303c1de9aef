import type { abi } from './abi.gen.ts'

type Names<E extends keyof typeof abi.enums> = Exclude<(typeof abi.enums)[E][number], null>

/** Who keeps the credential of a session's repository: that of a `generic_git` one comes with the messages. */
export type RepositoryKind = Names<'repository'>

/** What a token counts for. */
export type CredentialOffer = Names<'offer'>

/** A message as it comes in. It has no place for a credential. */
export interface AdmissionCandidate {
  /** Chosen by the sender, the same for every attempt; 1..100 bytes. */
  readonly id: string
  readonly turn: string
  readonly mode: string
  readonly model: string
  /** The modes that there are; at most 32. */
  readonly modes: readonly string[]
  /** The models that there are, at most 32; absent or empty: any. */
  readonly models?: readonly string[]
  readonly offer: CredentialOffer
  /** By the sender's clock; absent: when it first comes. */
  readonly composedAt?: number
}

export type MessageStage = Exclude<Names<'messageStage'>, 'absent'>

export type DeliveryFailure = Exclude<Names<'deliveryFailure'>, 'none'>

/** What became of a message, for `settle`. `sends`: which attempt; only the last one's first report counts. */
export type MessageReport =
  | { readonly outcome: 'accepted' | 'completed' | 'aborted' }
  | { readonly outcome: 'undelivered'; readonly failure: DeliveryFailure; readonly sends: number }

/** The two records as the module understands them, and what they say. */
export interface MessageRecords {
  readonly session: Uint8Array
  readonly message: Uint8Array
  /** Of the session: how often its credential was stored, how many messages it has admitted, how many wait. */
  readonly version: number
  readonly admitted: number
  readonly open: number
  readonly stage: MessageStage
  /** What became of the credential that came with the message. */
  readonly credential: Names<'messageCredential'>
  /** Of the last attempt. */
  readonly failure: Names<'deliveryFailure'>
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
      readonly blob: Names<'admissionBlob'>
      /** That the stored session must have; 0: there must be none. */
      readonly epoch: number
      /** That the written session has. */
      readonly nextEpoch: number
      /** An alarm then, unless an earlier one is set. */
      readonly at: number | null
    } & MessageRecords)

export interface Admission {
  /** Whether a token counts; what is no text at all is malformed. Throws `claim_invalid` for another kind of repository. */
  offer(repository: RepositoryKind, token: string | undefined): CredentialOffer
  /**
   * Decides about a message that comes in; ask again after every write whose `then` is `nothing`. Throws
   * `claim_invalid`, `turn_invalid`, `mode_invalid`, `model_invalid`, `credential_invalid`, `queue_full`,
   * `message_conflict`, `message_ended`, `corrupt`, `time_invalid`, `utf8_invalid`, `output_too_small`, `slice_invalid`;
   * nothing is changed then.
   */
  plan(
    candidate: AdmissionCandidate,
    session: Uint8Array | null,
    message: Uint8Array | null,
    ctx: { now: number },
  ): AdmissionPlan
  /** Decides about one stored message when its time has come; throws `corrupt`, `time_invalid`. */
  drain(session: Uint8Array, message: Uint8Array, ctx: { now: number }): AdmissionPlan
  /** Decides what a report changes; throws `corrupt`, `claim_invalid`, `time_invalid`. */
  settle(session: Uint8Array, message: Uint8Array, report: MessageReport, ctx: { now: number }): AdmissionPlan
}
