import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { fixed, line } from "../../../test/support/Table.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { tokenOf } from "../../../test/support/Tokens.ts"
import { progress } from "../Progress.ts"
import { type ProfileReport, profileFile, readProfile } from "./CpuProfile.ts"
import { drive, question } from "./Drive.ts"
import { httpLoad } from "./HttpLoad.ts"
import { placeFor, startServer } from "./Rivals.ts"

const millis = 20_000

/** Where the processor's time of a server goes while it answers `/validate`, its start left out as far as it is short beside that. */
export const profileBench = (database: Redacted.Redacted) =>
  Effect.gen(function* () {
    const directory = yield* temporaryHome
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    const place = yield* placeFor(database, "journal")
    yield* Effect.gen(function* () {
      const server = yield* startServer(place, "journal", ["--cpu-prof", `--cpu-prof-dir=${directory}`])
      yield* progress("/validate under load, profiled")
      yield* drive(yield* httpLoad, server, question(server, token, { connections: 16, millis }))
    }).pipe(Effect.scoped)
    return readProfile(profileFile(directory))
  }).pipe(Effect.scoped)

export const profileTable = ({ functions, packages }: ProfileReport): ReadonlyArray<string> => [
  line("/validate, self time by package", ["%"]),
  ...packages.map(({ name, share }) => line(name, [fixed(1)(share * 100)])),
  "",
  line("by function", ["%"]),
  ...functions.map(({ name, share }) => line(name, [fixed(1)(share * 100)]))
]
