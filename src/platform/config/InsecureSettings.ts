import * as Context from "effect/Context"
import * as Schema from "effect/Schema"

/** What production refuses, by the name that `ALLOW_INSECURE` accepts it by. */
export const insecureNames = [
  "plain-http",
  "plain-peers",
  "plain-providers",
  "plain-postgres",
  "plain-telemetry",
  "open-proxies",
  "superuser",
  "embedded-postgres",
  "weak-secret",
  "unbound-tokens",
  "sample-policy",
  "echo-models",
  "lossy-audit"
] as const
export type InsecureName = (typeof insecureNames)[number]

/** An insecure setting: its problem says what can happen, and how it is fixed. */
export interface Insecurity {
  readonly name: InsecureName
  readonly problem: string
}

/** Production was started with settings that are not safe there. */
export class InsecureSettings extends Schema.TaggedError<InsecureSettings>()("InsecureSettings", {
  problems: Schema.Array(Schema.Struct({ name: Schema.Literal(...insecureNames), problem: Schema.String }))
}) {
  override get message(): string {
    const names = [...new Set(this.problems.map(({ name }) => name))].join(",")
    const lines = this.problems.map(({ name, problem }) => `  ${name}: ${problem}`)
    return (
      `Insecure settings refused, since NODE_ENV is production. Correct each, or accept what it means by ALLOW_INSECURE=${names}:\n` +
      lines.join("\n")
    )
  }
}

/** The insecure settings that `ALLOW_INSECURE` accepted for this process; /health and the banner show them. */
export class AllowedInsecurities extends Context.Reference<AllowedInsecurities>()(
  "platform/config/AllowedInsecurities",
  {
    defaultValue: (): ReadonlyArray<Insecurity> => []
  }
) {}

/** As the banner and the log show it. */
export const warningOf = ({ name, problem }: Insecurity): string => `ALLOW_INSECURE accepts ${name}: ${problem}`
