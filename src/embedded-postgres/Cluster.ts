import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { Binaries } from "./Binaries.ts"
import type { OsAccount } from "./DataLocation.ts"

/** The embedded PostgreSQL did not start, or its data cannot be used. */
export class ClusterUnusable extends Schema.TaggedError<ClusterUnusable>()("ClusterUnusable", {
  directory: Schema.String,
  reason: Schema.String,
  /** The last lines that PostgreSQL wrote. */
  log: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const log = this.log.length === 0 ? "" : `\n${this.log.map((line) => `  ${line}`).join("\n")}`
    return (
      `the embedded PostgreSQL in ${this.directory} is not usable: ${this.reason}. ` +
      `Correct that and start again, or set DATABASE_URL to another PostgreSQL, or GRAVITAS_HOME to another home.${log}`
    )
  }
}

/** The role and the database that the services use. */
export const roleName = "gravitas"

/** The environment of PostgreSQL's processes: none of our settings, and no PG* variable that could redirect them. */
export const environment: NodeJS.ProcessEnv = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" }

export const identity = (account: Option.Option<OsAccount>): { uid?: number; gid?: number } =>
  Option.match(account, { onNone: () => ({}), onSome: ({ uid, gid }) => ({ uid, gid }) })

/** Runs a program to its end; its output is used in the error only. */
const run = (command: string, args: ReadonlyArray<string>, cwd: string, account: Option.Option<OsAccount>) =>
  Effect.async<void, { readonly reason: string; readonly log: ReadonlyArray<string> }>((resume) => {
    const child = spawn(command, args, {
      cwd,
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
      ...identity(account)
    })
    let output = ""
    const append = (chunk: Buffer) => {
      output = (output + chunk.toString("utf8")).slice(-8_192)
    }
    child.stdout.on("data", append)
    child.stderr.on("data", append)
    const name = Path.basename(command)
    child.on("error", (cause) => resume(Effect.fail({ reason: `${name} did not start: ${cause.message}`, log: [] })))
    child.on("close", (code, signal) =>
      resume(
        code === 0
          ? Effect.void
          : Effect.fail({
              reason: `${name} ended with ${signal ?? `status ${code}`}`,
              log: output.trimEnd().split("\n").slice(-10)
            })
      )
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Fails unless the data are of this major version: no other can read them. */
export const requireSameMajor = (data: string, version: string): Effect.Effect<void, ClusterUnusable> =>
  Effect.promise(() => Fs.readFile(Path.join(data, "PG_VERSION"), "utf8").catch(() => "")).pipe(
    Effect.flatMap((text) => {
      const made = text.trim()
      const reason =
        made === ""
          ? "it holds no PG_VERSION, so it is not a cluster of PostgreSQL"
          : `it was made by PostgreSQL ${made}, and the installed one is ${version}`
      return made === version.split(".")[0]
        ? Effect.void
        : Effect.fail(new ClusterUnusable({ directory: data, reason, log: [] }))
    })
  )

interface ClusterOptions {
  readonly binaries: Binaries
  /** Becomes the data directory; must not exist. The account needs only to enter its parent. */
  readonly data: string
  readonly password: Redacted.Redacted
  readonly account: Option.Option<OsAccount>
  /** False only if a crash of the machine may lose the data. */
  readonly durable: boolean
}

/**
 * Makes a new cluster: data checksums, UTF-8, scram only, superuser `gravitas`.
 *
 * The collation is PostgreSQL's built-in C.UTF-8, the same on every machine: an update of the system cannot
 * reorder text under the indexes, as it can with a collation of the C library.
 */
export const make = Effect.fn("EmbeddedPostgres.initdb")(function* (options: ClusterOptions) {
  const parent = Path.dirname(options.data)
  const base = Path.basename(options.data)
  // Each attempt has a new name: the initdb of a killed process may still be writing to the last one.
  const partial = yield* Effect.sync(() => `${options.data}.${randomUUID()}.partial`)
  const passwordFile = `${partial}.password`
  const failed = (failure: { readonly reason: string; readonly log: ReadonlyArray<string> }) =>
    new ClusterUnusable({ directory: options.data, ...failure })
  const files = (body: () => Promise<void>) =>
    Effect.tryPromise({ try: body, catch: (cause) => failed({ reason: String(cause), log: [] }) })

  const writePassword = files(async () => {
    for (const name of await Fs.readdir(parent)) {
      if (!name.startsWith(`${base}.`) || !/\.partial(\.password)?$/.test(name)) continue
      await Fs.rm(Path.join(parent, name), { recursive: true, force: true }).catch(() => {})
    }
    await Fs.mkdir(partial, { mode: 0o700 })
    const file = await Fs.open(passwordFile, "wx", 0o600)
    try {
      await file.writeFile(`${Redacted.value(options.password)}\n`)
      if (Option.isSome(options.account)) {
        const { uid, gid } = options.account.value
        await file.chown(uid, gid)
        await Fs.chown(partial, uid, gid)
      }
    } finally {
      await file.close()
    }
  })
  const initdb = run(
    options.binaries.initdb,
    [
      `--pgdata=${partial}`,
      `--username=${roleName}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--data-checksums",
      ...(options.durable ? [] : ["--no-sync"])
    ],
    parent,
    options.account
  ).pipe(Effect.mapError(failed))
  yield* writePassword.pipe(
    Effect.zipRight(initdb),
    Effect.ensuring(Effect.ignore(files(() => Fs.rm(passwordFile, { force: true })))),
    // An interrupted attempt leaves only files that the next one removes.
    Effect.zipRight(files(() => Fs.rename(partial, options.data)))
  )
})
