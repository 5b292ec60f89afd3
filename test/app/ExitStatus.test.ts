import { spawn } from "node:child_process"
import { Writable } from "node:stream"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import { describe, expect, it } from "@effect/vitest"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import { vi } from "vitest"
import { afterOutput, type ExitStatus, exitCode, exitMessage, outputMessage } from "../../src/app/ExitStatus.ts"
import { SigningSecretMissing } from "../../src/gatekeeper/tokens/SigningSecret.ts"
import { ExitCode } from "../../src/platform/cli/ExitCode.ts"
import { ShutdownReport } from "../../src/platform/os/ShutdownReport.ts"
import { makeStream } from "../../src/platform/os/StandardStreams.ts"
import { commandFor } from "../support/Program.ts"

const ending = (some: Partial<ExitStatus> = {}): ExitStatus => ({
  signal: undefined,
  serving: false,
  report: ShutdownReport.make(),
  ...some
})
const interrupted = Exit.interrupt(FiberId.none)
const usage = Exit.fail(ValidationError.invalidValue(HelpDoc.p("no such service")))

describe("afterOutput", () => {
  /** A stream that accepts what was written only when its reader reads. */
  const slow = () => {
    const accept: Array<() => void> = []
    const { dropped, log, problem } = makeStream(new Writable())
    return { accept, stream: { dropped, log, problem, write: (_: string, done = () => {}) => void accept.push(done) } }
  }

  it("ends a command once both readers have everything", () => {
    const [stdout, stderr] = [slow(), slow()]
    const end = vi.fn()
    afterOutput({ stdout: stdout.stream, stderr: stderr.stream }, ending(), end)
    stdout.accept[0]?.()
    expect(end).not.toHaveBeenCalled()
    stderr.accept[0]?.()
    expect(end).toHaveBeenCalledTimes(1)
  })

  it.each([{ serving: true }, { signal: "SIGINT" as const }])("waits for no reader beyond a second: %j", (state) => {
    vi.useFakeTimers()
    try {
      const end = vi.fn()
      afterOutput({ stdout: slow().stream, stderr: slow().stream }, ending(state), end)
      vi.advanceTimersByTime(999)
      expect(end).not.toHaveBeenCalled()
      vi.advanceTimersByTime(1)
      expect(end).toHaveBeenCalledTimes(1)
    } finally {
      vi.useRealTimers()
    }
  })

  it("ends a command that a signal cuts short while it waits", () => {
    const end = vi.fn()
    afterOutput({ stdout: slow().stream, stderr: slow().stream }, ending(), end)
    process.emit("SIGINT", "SIGINT")
    expect(end).toHaveBeenCalledTimes(1)
  })
})

describe("exitCode", () => {
  it.each([
    ["a command that succeeded", Exit.void, ending(), 0],
    ["a server that was asked to stop", interrupted, ending({ serving: true, signal: "SIGTERM" }), 0],
    ["a command cut short by SIGTERM", interrupted, ending({ signal: "SIGTERM" }), 143],
    ["a command cut short by Ctrl-C", interrupted, ending({ signal: "SIGINT" }), 130],
    [
      "a server that stopped before it could write",
      interrupted,
      ending({ serving: true, report: { ...ShutdownReport.make(), unwritten: () => 3 } }),
      ExitCode.unwritten
    ],
    ["wrong usage", usage, ending(), 2],
    ["a foreseen failure", Exit.fail(new SigningSecretMissing()), ending(), 1],
    ["a failure that names its code", Exit.fail({ exitCode: 4 }), ending(), 4],
    [
      "a failure that also left events unwritten",
      Exit.fail({ exitCode: 4 }),
      ending({ report: { ...ShutdownReport.make(), unwritten: () => 3 } }),
      4
    ],
    ["a defect", Exit.die(new Error("boom")), ending({ serving: true }), 1]
  ])("of %s", (_, exit, end, code) => {
    expect(exitCode(exit, end)).toBe(code)
  })
})

describe("a result that stdout did not accept", () => {
  it.each([
    ["makes the success of a command a failure", Exit.void, ending(), 74],
    ["does not hide why a command failed", Exit.fail({ exitCode: 4 }), ending(), 4],
    ["does not hide that a signal cut a command short", interrupted, ending({ signal: "SIGINT" }), 130],
    ["does not concern a server, which has none", interrupted, ending({ serving: true, signal: "SIGTERM" }), 0]
  ])("%s", (_, exit, end, code) => {
    expect(exitCode(exit, end, true)).toBe(code)
  })

  it("is named with the system's code, but for a reader that left", () => {
    expect(outputMessage("ENOSPC")).toBe("gravitas: the result could not be written to stdout (ENOSPC)")
    expect(outputMessage("EPIPE")).toBeUndefined()
  })
})

describe("boundedEnd", () => {
  it.each([
    ["1 when nothing is known to be missing", 0, 1],
    ["75 when events are", 3, ExitCode.unwritten]
  ])("ends a program whose end hangs, at SHUTDOWN_DEADLINE, with %s", async (_, unwritten, expected) => {
    const [command, ...words] = commandFor("test/app/fixtures/hanging.ts")
    const child = spawn(command, [...words, String(unwritten)])
    let stderr = ""
    child.stderr.on("data", (chunk) => {
      stderr += chunk
    })
    await new Promise((resolve) => child.stdout.once("data", resolve))
    child.kill("SIGTERM")
    const code = await new Promise((resolve) => child.once("close", resolve))
    expect(code).toBe(expected)
    expect(stderr).toContain("not stopped within 1s")
  })
})

describe("exitMessage", () => {
  it("are the message of a foreseen failure, alone", () => {
    expect(exitMessage(Exit.fail(new SigningSecretMissing()))).toMatch(/^gravitas: JWT_SECRET_KEY is not set[^\n]*$/)
  })
  it("are the whole cause of a defect", () => {
    expect(exitMessage(Exit.die(new Error("boom")))).toMatch(/internal error\n[\s\S]*boom[\s\S]*ExitStatus\.test\.ts/)
  })
  it("are none after success, an interruption, or usage errors, which the command line explains", () => {
    expect([Exit.void, interrupted, usage].map(exitMessage)).toEqual([undefined, undefined, undefined])
  })
})
