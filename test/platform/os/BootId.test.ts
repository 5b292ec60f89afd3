import { execFileSync } from "node:child_process"
import * as Fs from "node:fs/promises"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { bootId } from "../../../src/platform/os/BootId.ts"
import { skipBecause } from "../../support/SkipBecause.ts"

it.live("the boot has one name, in this process and in others", () =>
  Effect.gen(function* () {
    const first = yield* bootId
    expect(first).not.toBe("")
    expect(yield* bootId).toBe(first)
    const script =
      'import * as Effect from "effect/Effect"; import { bootId } from "./src/platform/os/BootId.ts"; ' +
      "process.stdout.write(await Effect.runPromise(bootId))"
    const elsewhere = execFileSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", script])
    expect(elsewhere.toString("utf8")).toBe(first)
  })
)

it.live("on Linux it is the kernel's own", (context) =>
  Effect.gen(function* () {
    if (process.platform !== "linux") return skipBecause(context, "the system is not Linux")
    const text = yield* Effect.promise(() => Fs.readFile("/proc/sys/kernel/random/boot_id", "utf8"))
    expect(yield* bootId).toBe(text.trim())
  })
)
