import { hash } from "node:crypto"
import type { TokenCredential } from "../../domain/Stops.ts"

/** The result of verifying a token whose signature and claims are valid. Times in milliseconds since the epoch. */
export interface VerifiedToken extends TokenCredential {
  readonly ghostId: string
  /** It, or the token that it was exchanged for, is valid for longer than `JWT_MAX_LIFETIME`. */
  readonly isOverlong: boolean
  /** Inclusive. */
  readonly from: number
  /** Exclusive. */
  readonly until: number
  /** The generation of the issuer's keys; undefined where the shared secret signed, which does not change while the process runs. */
  readonly keyGeneration: number | undefined
  /** Set where a gatekeeper issued the token: the one service that may use it. */
  readonly audience?: string
}

/** The time and the keys for which a verified token must still be valid. */
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
 * A cache of verified tokens: the next request with one of them costs a digest and no signature check. It holds valid tokens only, so
 * a caller without a token cannot fill it, and their SHA-256 instead of the tokens. It has two halves. A token that is found moves
 * to the young half; when that is full, the old half is dropped. Together they hold at most `capacity` tokens.
 */
export class VerifiedTokens {
  private young = new Map<string, VerifiedToken>()
  private old = new Map<string, VerifiedToken>()

  constructor(private readonly capacity: number) {}

  /** The key of a token in the cache. */
  static digest(token: string): string {
    return hash("sha256", token, "base64")
  }

  /** Returns undefined where the token has to be verified. */
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
