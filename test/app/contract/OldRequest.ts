import type * as Schema from "effect/Schema"
import type { ServiceName } from "../../../src/domain/Service.ts"

/** What was answered, or is. */
export interface OldAnswer {
  readonly status: number
  /** The documented fields; others may stand beside them. */
  readonly fields: Schema.Schema.AnyNoContext
}

/** A documented request of the old system, as its clients send it. */
export interface OldRequest extends OldAnswer {
  readonly name: string
  readonly service: ServiceName
  /** `POST /validate`. */
  readonly route: string
  readonly body?: unknown
  /** The ghost whose token is sent; none if it is absent, as the old guardian needed none. */
  readonly as?: string
  /** What is sent as Authorization instead, made of the token. */
  readonly authorization?: (token: string) => string
  /** Where it is answered in another way today: the line of docs/old-clients.md that says so, and how. */
  readonly differs?: { readonly line: string } & Partial<OldAnswer>
}
