import type { TestContext } from "vitest"

/** Ends a test as skipped. The reason is also set by hand: of what an effect throws, vitest sees only a copy without it. */
export const skipBecause = ({ skip, task }: TestContext, reason: string): never => {
  if (task.result !== undefined) Object.assign(task.result, { note: reason })
  return skip(reason)
}
