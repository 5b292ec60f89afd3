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

/** A variable that production needs: its problem says how to set it. */
export interface MissingSetting {
  readonly name: string
  readonly problem: string
}

const linesOf = (problems: ReadonlyArray<MissingSetting>): string =>
  problems.map(({ name, problem }) => `\n  ${name}: ${problem}`).join("")

/** Production was started with settings that are not safe there, or without those that it needs. */
export class InsecureSettings extends Schema.TaggedError<InsecureSettings>()("InsecureSettings", {
  problems: Schema.Array(Schema.Struct({ name: Schema.Literal(...insecureNames), problem: Schema.String })),
  /** No name accepts these. */
  missing: Schema.Array(Schema.Struct({ name: Schema.String, problem: Schema.String }))
}) {
  override get message(): string {
    const { missing, problems } = this
    const names = [...new Set(problems.map(({ name }) => name))].join(",")
    return [
      ...(missing.length === 0
        ? []
        : [
            "Settings are missing, and NODE_ENV is production, where none is made up. Set each, and keep it:" +
              missing.map(({ name, problem }) => `\n  ${name} is not set: ${problem}`).join("")
          ]),
      ...(problems.length === 0
        ? []
        : [
            "Insecure settings refused, since NODE_ENV is production. Correct each, or accept what it means by " +
              `ALLOW_INSECURE=${names}:${linesOf(problems)}`
          ])
    ].join("\n")
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
