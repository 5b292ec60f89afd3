import * as Fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { bundledProgram } from "../../../test/support/ProgramBundle.ts"
import { fixed, line } from "../../../test/support/Table.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { type ProfileReport, profileFile, readProfile } from "../http/CpuProfile.ts"
import { progress } from "../Progress.ts"
import { driveStreams, streamLoad } from "./StreamLoad.ts"
import { chatServer, startProvider, startRouter } from "./StreamTargets.ts"

const fullMillis = 20_000
const briefMillis = 2_000

/** The others have hardly a share. */
const shownPackages = 25

/** The parts of a chat's time, by the names of the packages that they are. */
const parts: ReadonlyArray<readonly [part: string, of: RegExp]> = [
  ["Effect", /^(effect|@effect\/.+)$/],
  ["driver", /^pg(-.+)?$|^postgres/],
  ["garbage collector", /^\(garbage collector\)$/],
  ["ours", /^src\//],
  ["node", /^node:|^undici$|^\(native\)$/]
]

const partOf = (name: string): string => parts.find(([, of]) => of.test(name))?.[0] ?? "other"

/**
 * Where the processor's time of the router goes while it streams, its start left out as far as it is short beside that. The profile
 * itself is copied to `out`.
 */
export const profileStreams = (server: Redacted.Redacted, isBrief: boolean, out: string | undefined) =>
  Effect.gen(function* () {
    const directory = yield* temporaryHome
    const program = yield* bundledProgram(chatServer)
    yield* Effect.gen(function* () {
      const provider = yield* startProvider
      const router = yield* startRouter(server, provider.order.url, {
        name: "router",
        title: "router",
        program,
        flags: ["--cpu-prof", `--cpu-prof-dir=${directory}`]
      })
      yield* progress("streams, profiled")
      const millis = isBrief ? briefMillis : fullMillis
      yield* driveStreams(yield* streamLoad, router, { streams: 16, millis, requests: null })
    }).pipe(Effect.scoped)
    const file = profileFile(directory)
    if (out !== undefined) yield* Effect.promise(() => Fs.copyFile(file, out))
    const profile = readProfile(file, Number.POSITIVE_INFINITY)
    const shares = new Map<string, number>()
    for (const { name, share } of profile.packages) shares.set(partOf(name), (shares.get(partOf(name)) ?? 0) + share)
    return { parts: [...shares].map(([name, share]) => ({ name, share })), ...profile }
  }).pipe(Effect.scoped)

export type StreamProfileReport = Effect.Effect.Success<ReturnType<typeof profileStreams>>

const lines = (title: string, shares: ProfileReport["packages"]): ReadonlyArray<string> => [
  line(title, ["%"]),
  ...shares.map(({ name, share }) => line(name, [fixed(1)(share * 100)])),
  ""
]

export const streamProfileTable = ({ functions, packages, parts: summed }: StreamProfileReport) => [
  ...lines("a streamed chat, self time by part", summed),
  ...lines("by package", packages.slice(0, shownPackages)),
  ...lines("by function", functions)
]
