import { hash } from "node:crypto"

/** What is remembered of a token whose signature and claims were found good. Times in milliseconds since the epoch. */
export interface VerifiedToken {
  readonly ghostId: string
  /** Inclusive. */
  readonly from: number
  /** Exclusive. */
  readonly until: number
  /** That of the issuer's keys; undefined where the shared secret signed, which stays for as long as the process. */
  readonly keyGeneration: number | undefined
}

/** The time and the keys by which it must still hold. */
export interface ValidityContext {
  readonly now: number
  readonly keyGeneration: number
  readonly keysBelievedUntil: number
}

const isValid = ({ from, keyGeneration, until }: VerifiedToken, present: ValidityContext): boolean =>
  present.now >= from &&
  present.now < until &&
  (keyGeneration === undefined || (keyGeneration === present.keyGeneration && present.now < present.keysBelievedUntil))

/**
 * Tokens that were verified, so that the next request with one costs a digest and no signature. Only good ones are kept, so
 * that nobody without a token fills it; by their SHA-256, so that no token lies about in memory; at most `capacity`, in two
 * halves: what is asked for moves to the young one, and when that is full the old one is dropped.
 */
export class VerifiedTokens {
  private young = new Map<string, VerifiedToken>()
  private old = new Map<string, VerifiedToken>()

  constructor(private readonly capacity: number) {}

  /** Under which a token is kept. */
  static digest(token: string): string {
    return hash("sha256", token, "base64")
  }

  /** Undefined where the token has to be verified. */
  find(digest: string, present: ValidityContext): VerifiedToken | undefined {
    const young = this.young.get(digest)
    const found = young ?? this.old.get(digest)
    if (found === undefined) return undefined
    if (!isValid(found, present)) {
      this.young.delete(digest)
      this.old.delete(digest)
      return undefined
    }
    if (young === undefined) this.keep(digest, found)
    return found
  }

  keep(digest: string, verified: VerifiedToken): void {
    this.young.set(digest, verified)
    if (this.young.size * 2 < this.capacity) return
    this.old = this.young
    this.young = new Map()
  }

  get size(): number {
    return this.young.size + this.old.size
  }
}
