import * as Schema from "effect/Schema"
import { ServiceName, titleOf } from "../domain/Service.ts"

/** A service that has to be asked gave no usable answer: whoever asked must refuse, never pass. */
export class PeerUnavailable extends Schema.TaggedError<PeerUnavailable>()("PeerUnavailable", {
  peer: ServiceName,
  /** What went wrong, without anything secret. */
  reason: Schema.String,
  /** Of its answer, where it gave one that is not of its contract. */
  status: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return `${titleOf(this.peer)} cannot be asked (${this.reason}), so this is refused. Try again later; ${this.peer.toUpperCase()}_URL says where it is`
  }
}
