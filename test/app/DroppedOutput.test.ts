import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { closedPort, untilClosed } from "../support/ClosedPort.ts"
import { eventually } from "../support/Eventually.ts"
import { request, rowsOf, signingSecret, tokenOf } from "../support/Gravitas.ts"
import { commandFor, program } from "../support/Program.ts"
import { skipBecause } from "../support/SkipBecause.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

/** The words of a shell that runs the program with redirected output; `redirect` may hold words of a shell only. */
const redirected = (redirect: string, ...words: ReadonlyArray<string>) => [
  "bash",
  "-c",
  `exec "$0" "$@" ${redirect}`,
  ...commandFor("src/main.ts"),
  ...words
]

const environmentOf = (databaseUrl: Redacted.Redacted, more: Readonly<Record<string, string>> = {}) => ({
  DATABASE_URL: Redacted.value(databaseUrl),
  JWT_SECRET_KEY: signingSecret,
  ...more
})

/** Makes the gatekeeper log an alarm: the second event has the first one's key, and differs. */
const alarm = (gatekeeper: string, key: string) =>
  Effect.gen(function* () {
    const token = yield* Effect.promise(() => tokenOf("service:guardian"))
    for (const action of ["deploy", "destroy"]) {
      const events = [{ id: key, action, resource: "sites/a" }]
      const { status } = yield* request(`${gatekeeper}/audit/events`, { method: "POST", token, body: { events } })
      expect(status).toBe(200)
    }
  })

const droppedLines = (gatekeeper: string) =>
  Effect.map(
    Effect.promise(async () => (await fetch(`${gatekeeper}/metrics`)).text()),
    (text) => Number(/^log_lines_dropped_total(?:\{.*\})? (\d+)/m.exec(text)?.[1] ?? 0)
  )

const untilDropped = (gatekeeper: string) => eventually(droppedLines(gatekeeper), (dropped) => dropped > 0)

const validate = (gatekeeper: string) =>
  Effect.gen(function* () {
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    const body = { action: "read", resource: "vaults/a" }
    return (yield* request(`${gatekeeper}/validate`, { method: "POST", token, body })).status
  })

const leave = (child: ChildProcess) => {
  const left = once(child, "exit")
  child.kill("SIGKILL")
  return left
}

/** The source's sign-off: its process ended in order, and all its events are in the table. */
const isSignedOff = (databaseUrl: Redacted.Redacted) =>
  Effect.map(
    rowsOf(databaseUrl, "select last_seq = signed_off_seq as ended from gatekeeper.audit_source where pid > 0"),
    (rows) => rows.length > 0 && rows.every((row) => row["ended"] === true)
  )

describe("a server", () => {
  it.scopedLive.each(["json", "pretty"])(
    "goes on, counts and stops in order when its log's reader has gone (%s)",
    (format) =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const running = yield* program({ environment: environmentOf(databaseUrl, { LOG_FORMAT: format }) })
        const gatekeeper = yield* running.url("gatekeeper")
        yield* running.closeOutput
        yield* alarm(gatekeeper, "twice")
        yield* untilDropped(gatekeeper)
        expect(yield* validate(gatekeeper)).toBe(200)
        yield* running.signal("SIGTERM")
        expect(yield* running.ended()).toEqual({ code: 0, signal: null })
        expect(yield* isSignedOff(databaseUrl)).toBe(true)
      }),
    90_000
  )

  it.scopedLive.each(["json", "pretty"])(
    "starts, serves and stops with a full disk below stdout and stderr (%s)",
    (format) =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const port = yield* closedPort
        const running = yield* program({
          command: redirected(">/dev/full 2>&1"),
          environment: environmentOf(databaseUrl, { GATEKEEPER_PORT: String(port), LOG_FORMAT: format })
        })
        const gatekeeper = `http://127.0.0.1:${port}`
        const ready = Effect.promise(() =>
          fetch(`${gatekeeper}/readyz`).then(
            ({ status }) => status,
            () => 0
          )
        )
        yield* eventually(ready, (status) => status === 200, { within: "60 seconds" })
        yield* untilDropped(gatekeeper)
        expect(yield* validate(gatekeeper)).toBe(200)
        yield* running.signal("SIGTERM")
        expect(yield* running.ended()).toEqual({ code: 0, signal: null })
        expect(yield* isSignedOff(databaseUrl)).toBe(true)
      }),
    90_000
  )

  it.scopedLive(
    "logs how many lines were dropped once stdout accepts lines again",
    () =>
      Effect.gen(function* () {
        const databaseUrl = yield* migratedDatabase
        const directory = yield* temporaryHome
        const log = join(directory, "log")
        expect(spawnSync("mkfifo", [log]).status).toBe(0)
        const reader = () => {
          let text = ""
          const child = spawn("cat", [log])
          child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk
          })
          return { text: () => text, leave: Effect.promise(() => leave(child)) }
        }
        const first = reader()
        const running = yield* program({
          command: redirected('>"$LOG"'),
          environment: environmentOf(databaseUrl, { LOG: log, LOG_FORMAT: "json" })
        })
        const gatekeeper = yield* running.url("gatekeeper")
        yield* first.leave
        yield* alarm(gatekeeper, "unheard")
        yield* untilDropped(gatekeeper)
        const second = reader()
        yield* Effect.addFinalizer(() => second.leave)
        yield* Effect.zipRight(alarm(gatekeeper, crypto.randomUUID()), Effect.sync(second.text)).pipe((look) =>
          eventually(look, (text) => /"message":"\d+ log lines were dropped: stdout/.test(text))
        )
        const dropped = yield* droppedLines(gatekeeper)
        yield* eventually(Effect.sync(second.text), (text) => {
          const told = [...text.matchAll(/(\d+) log lines were dropped/g)].reduce(
            (sum, [, count]) => sum + Number(count),
            0
          )
          return told === dropped
        })
      }),
    90_000
  )

  it.scopedLive(
    "stops in order when its terminal closes",
    (context) =>
      Effect.gen(function* () {
        if (spawnSync("script", ["--version"]).status !== 0) return skipBecause(context, "the system has no `script`")
        const databaseUrl = yield* migratedDatabase
        const port = yield* closedPort
        const words = commandFor("src/main.ts").map((word) => `'${word}'`)
        const terminal = yield* program({
          command: ["bash", "-c", `tail -f /dev/null | exec script -qfec "exec ${words.join(" ")}" /dev/null`],
          environment: environmentOf(databaseUrl, { GATEKEEPER_PORT: String(port) })
        })
        yield* terminal.url("gatekeeper")
        expect(yield* validate(`http://127.0.0.1:${port}`)).toBe(200)
        yield* terminal.signalGroup("SIGKILL")
        yield* untilClosed(port)
        yield* eventually(isSignedOff(databaseUrl), (ended) => ended)
      }),
    90_000
  )
})

describe("a command", () => {
  it.scopedLive.each([
    {
      stdout: "a full disk",
      redirect: ">/dev/full",
      message: "gravitas: the result could not be written to stdout (ENOSPC)\n"
    },
    // The pipe has a reader only until the program begins.
    { stdout: "a pipe without a reader", redirect: '3<>"$PIPE" >"$PIPE" 3<&-', message: "" }
  ])("whose stdout is $stdout ends with 74 and without a stack trace", ({ message, redirect }) =>
    Effect.gen(function* () {
      const databaseUrl = yield* migratedDatabase
      const home = yield* temporaryHome
      const pipe = join(home, "pipe")
      expect(spawnSync("mkfifo", [pipe]).status).toBe(0)
      const environment = environmentOf(databaseUrl, { GRAVITAS_HOME: home, PIPE: pipe, LOG_LEVEL: "error" })
      for (const words of [["--help"], ["token", "Librarian"], ["migrate", "status"], ["trail", "status"]]) {
        const running = yield* program({ command: redirected(redirect, ...words), environment })
        expect((yield* running.ended()).code, words.join(" ")).toBe(74)
        expect(running.stderr()).toBe(message)
      }
    })
  )
})
