import { expect, it } from "@effect/vitest"
import { makeSyncWatchdog } from "../../../src/audit/journal/JournalSync.ts"

it.each([
  { flushInterval: "100 millis", after: 2_999, isHanging: false },
  { flushInterval: "100 millis", after: 3_000, isHanging: true },
  { flushInterval: "2 seconds", after: 5_999, isHanging: false },
  { flushInterval: "2 seconds", after: 6_000, isHanging: true }
] as const)(
  "a disk hangs after three flush intervals, and never before three seconds ($flushInterval, $after ms)",
  async ({ after, flushInterval, isHanging }) => {
    let now = 1_000_000
    const disk = makeSyncWatchdog({ now: () => now, flushInterval, path: "here" })
    let answer = () => {}
    const work = disk.during(() => new Promise<void>((resolve) => (answer = resolve)))
    now += after
    expect(disk.hanging() === null ? null : disk.hanging()?.since).toBe(isHanging ? 1_000_000 : null)
    answer()
    await work
    expect(disk.hanging()).toBeNull()
  }
)
