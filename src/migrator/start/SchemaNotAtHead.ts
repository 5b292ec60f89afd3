import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"

/** Revisions are pending, and MIGRATE_ON_START=verify leaves them to a migration job. */
export class SchemaNotAtHead extends Schema.TaggedError<SchemaNotAtHead>()("SchemaNotAtHead", {
  service: ServiceName,
  /** Without password. */
  address: Schema.String,
  current: Schema.String,
  head: Schema.String,
  pending: Schema.Number
}) {
  get exitCode() {
    return ExitCode.pending
  }
  override get message(): string {
    const { address, current, head, pending, service } = this
    return (
      `${service}: the schema at ${address} is at ${current}, not at head ${head} (${pending} pending), and ` +
      `MIGRATE_ON_START=verify applies nothing. With the role that owns it: pnpm migrate --service ${service} upgrade; ` +
      "then start again"
    )
  }
}
