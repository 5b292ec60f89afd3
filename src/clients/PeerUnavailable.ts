import * as Schema from "effect/Schema"
import { ServiceName, titleOf } from "../domain/Service.ts"

/** A service gave no usable answer to a question that must be asked. The caller refuses: it never allows by default. */
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
