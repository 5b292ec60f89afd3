import { pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { isBuilt } from "../../platform/config/ProgramLocation.ts"
import type { DataRevision } from "./DataRevision.ts"
import type { Revision } from "./Revision.ts"
import { isObject } from "./Statements.ts"

/** The file of a data revision cannot be imported, or does not export a data revision. */
export class DataRevisionUnreadable extends Schema.TaggedError<DataRevisionUnreadable>()("DataRevisionUnreadable", {
  service: ServiceName,
  file: Schema.String,
  problem: Schema.String
}) {
  readonly exitCode = ExitCode.invalidFiles
  override get message(): string {
    return (
      `${this.service}: ${this.file}: ${this.problem}; nothing was run. ` +
      `Correct the file, then: pnpm migrate --service ${this.service} check`
    )
  }
}

/** What is wrong with an export, or null. The compiler checks the types of the effects. */
const flaw = (candidate: unknown): string | null => {
  if (!isObject(candidate)) return "exports no { up, down } or { up, irreversible }"
  const [up, down, irreversible] = ["up", "down", "irreversible"].map((key) => Reflect.get(candidate, key))
  if (!Effect.isEffect(up)) return "its `up` is not an Effect"
  if (down !== undefined && irreversible !== undefined)
    return "has both `down` and `irreversible`; they exclude each other"
  if (irreversible !== undefined) {
    return typeof irreversible === "string" && irreversible.trim() !== ""
      ? null
      : "its `irreversible` does not state a reason"
  }
  return Effect.isEffect(down) ? null : "has neither a `down` that is an Effect nor `irreversible: <why>`"
}

const isDataRevision = (candidate: unknown): candidate is DataRevision => flaw(candidate) === null

/** Imports the source; Node, tsx or the test runner compiles it. */
const importSource = (path: string): Promise<unknown> => import(pathToFileURL(path).href)

/** Compiles the source in memory, since a build runs without tsx. */
const importCompiled = async (path: string): Promise<unknown> => {
  const { importRevision } = await import("./RevisionCompiler.ts")
  return importRevision(path)
}

/** Imports a data revision's module: its default export, or its named exports. */
export const loadDataRevision = (revision: Revision): Effect.Effect<DataRevision, DataRevisionUnreadable> => {
  const unreadable = (problem: string) =>
    new DataRevisionUnreadable({ service: revision.service, file: revision.file, problem })
  return Effect.tryPromise({
    try: () => (isBuilt ? importCompiled(revision.path) : importSource(revision.path)),
    catch: (cause) =>
      unreadable(
        `cannot be imported (${cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : String(cause)})`
      )
  }).pipe(
    Effect.map((module) => (isObject(module) && "default" in module ? module.default : module)),
    Effect.flatMap((candidate) =>
      isDataRevision(candidate) ? Effect.succeed(candidate) : Effect.fail(unreadable(flaw(candidate) ?? ""))
    )
  )
}
