import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { helpOf } from "../../platform/cli/Help.ts"
import { openSchema } from "../apply/Migrate.ts"
import { readScript } from "../apply/Script.ts"
import { terminated } from "../apply/Transcript.ts"
import type { MigratedService } from "../files/MigrationFiles.ts"
import { revisionName, type Section } from "../files/Revision.ts"
import { headOf } from "../files/RevisionSet.ts"
import { revisionStatuses } from "../inspect/Status.ts"
import { RevisionUnknown } from "../plan/PlanRefusal.ts"
import { parseDowngrade, Target } from "../plan/Target.ts"
import { onDatabase } from "./DatabaseCommand.ts"
import { commandOptions, globalOptions } from "./GlobalOptions.ts"
import { needsOneService } from "./TargetArgument.ts"

interface RevisionName {
  readonly number: number
  readonly slug: string | null
}

const texts = (file: string, section: Section, direction: "up" | "down" | "verify") =>
  Effect.map(readScript(file, section, direction), ({ statements }) => statements)

/** Reads one revision: its file and its history row. */
const show = Effect.fn("Migrator.show")(function* (migrated: MigratedService, { number, slug }: RevisionName) {
  const service = migrated.name
  const { entries, set } = yield* openSchema(migrated)
  const file = set.revisions.find((one) => one.number === number && (slug === null || slug === one.slug))
  const entry = entries.find((one) => one.revision === number && (slug === null || slug === one.slug))
  const known = file ?? entry
  if (known === undefined) {
    const target = slug === null ? String(number) : revisionName(number, slug)
    return yield* new RevisionUnknown({ service, target, known: `the head is ${headOf(set).name}` })
  }
  const revision = revisionName(number, known.slug)
  const sql = file?.kind === "sql" ? file : undefined
  const down = sql?.reversal._tag === "Down" ? sql.reversal.section : undefined
  return {
    service,
    revision,
    file: file?.file ?? null,
    kind: known.kind,
    phase: known.phase,
    transaction: file?.up.transaction ?? null,
    state: revisionStatuses(set, entries).find((one) => one.revision === revision)?.state ?? "pending",
    appliedAt: entry?.finished_at?.toISOString() ?? null,
    appliedBy: entry?.applied_by ?? null,
    stepsDone: entry?.steps_done ?? null,
    stepsTotal: entry?.steps_total ?? null,
    upChecksum: file?.up.checksum ?? null,
    appliedChecksum: entry?.up_checksum ?? null,
    irreversible: file?.reversal._tag === "Irreversible" ? file.reversal.reason : (entry?.irreversible_reason ?? null),
    up: sql === undefined ? null : yield* texts(sql.file, sql.up, "up"),
    down: sql === undefined || down === undefined ? null : yield* texts(sql.file, down, "down"),
    verify: sql === undefined || Option.isNone(sql.verify) ? null : yield* texts(sql.file, sql.verify.value, "verify"),
    storedDown: entry?.down_script ?? null
  }
}, Effect.scoped)

type ShownRevision = Effect.Effect.Success<ReturnType<typeof show>>

const part = (title: string, statements: ShownRevision["up"]): string =>
  statements === null
    ? ""
    : `\n\n-- ${title}\n${statements.map(({ line, text }) => `-- line ${line}\n${terminated(text)}`).join("\n")}`

const render = (shown: ReadonlyArray<ShownRevision>): string =>
  shown
    .map((one) => {
      const facts: ReadonlyArray<readonly [string, string | null]> = [
        ["revision", `${one.service} ${one.revision}`],
        ["file", one.file ?? "missing"],
        ["kind", one.kind],
        ["phase", one.phase],
        ["runs", one.transaction === null ? null : one.transaction ? "in one transaction" : "without a transaction"],
        ["state", one.state],
        [
          "statements done",
          one.state === "applying" || one.state === "reverting" ? `${one.stepsDone} of ${one.stepsTotal}` : null
        ],
        ["applied", one.appliedAt === null ? null : `${one.appliedAt} by ${one.appliedBy}`],
        ["sha-256 of up", one.upChecksum],
        ["as applied", one.appliedChecksum === one.upChecksum ? null : one.appliedChecksum],
        ["irreversible", one.irreversible]
      ]
      const lines = facts.flatMap(([name, value]) => (value === null ? [] : [`${`${name}:`.padEnd(17)}${value}`]))
      const stored = one.storedDown === null ? "" : `\n\n-- down, as stored in the database\n${one.storedDown}`
      return `${lines.join("\n")}${part("up", one.up)}${part("down, as in the file", one.down)}${part("verify", one.verify)}${stored}`
    })
    .join("\n\n")

const revision = Args.text({ name: "revision" }).pipe(
  Args.withDescription("A number or a full name, such as 2 or 0002_add_reason."),
  Args.mapEffect((text) =>
    Option.match(parseDowngrade(text), {
      onSome: (target) =>
        target._tag === "DownTo" && target.number > 0
          ? Effect.succeed<RevisionName>(target)
          : Effect.fail(HelpDoc.p(`${text} is not a single revision; expected one such as 2 or 0002_add_reason`)),
      onNone: () =>
        Effect.fail(HelpDoc.p(`${JSON.stringify(text)} is not a revision; expected one such as 2 or 0002_add_reason`))
    })
  )
)

export const showCommand = Command.make("show", { ...globalOptions, revision }, ({ revision, ...inner }) =>
  Effect.flatMap(commandOptions(inner), (options) =>
    onDatabase(options, {
      command: "show",
      effects: "reads",
      refusal: needsOneService(options, Target.UpTo(revision)),
      work: (service) => show(service, revision),
      render
    })
  )
).pipe(
  Command.withDescription(
    helpOf("Shows one revision: file, state, checksums, statements, and the down script that the database keeps.", [
      "migrate show --service gatekeeper 1",
      "migrate show --service router 0002_add_reason --json"
    ])
  )
)
