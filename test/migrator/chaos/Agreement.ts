/** The objects that a revision of a walk creates, one per statement of its up; its down drops them in reverse order. */
export interface Made {
  readonly revision: number
  readonly objects: ReadonlyArray<string>
}

export interface Row {
  readonly revision: number
  readonly state: "applied" | "applying" | "reverting"
  readonly steps_done: number
}

/** An object that may exist or not, because its statement was running. */
type Expected = "there" | "missing" | "either"

/** The expected state after `done` statements, while the next one may have been running. */
const expectedAfter = (count: number, done: number): ReadonlyArray<Expected> =>
  Array.from({ length: count }, (_, index) => (index < done ? "there" : index === done ? "either" : "missing"))

const expectedOf = ({ objects }: Made, row: Row | undefined): ReadonlyArray<Expected> => {
  if (row === undefined) return objects.map(() => "missing")
  if (row.state === "applied") return objects.map(() => "there")
  if (row.state === "applying") return expectedAfter(objects.length, row.steps_done)
  const undone = expectedAfter(objects.length, row.steps_done).toReversed()
  return undone.map((expected) => (expected === "there" ? "missing" : expected === "missing" ? "there" : "either"))
}

/** Lists the differences between history and catalog of a schema; empty if they agree. */
export const disagreements = (
  made: ReadonlyArray<Made>,
  history: ReadonlyArray<Row>,
  catalog: ReadonlySet<string>
): ReadonlyArray<string> => {
  const order = history.flatMap(({ revision, state }, index) => [
    ...(revision === index + 1 ? [] : [`row ${index + 1} is of revision ${revision}`]),
    ...(state === "applied" || index === history.length - 1
      ? []
      : [`revision ${revision} is ${state}, with others above`])
  ])
  const objects = made.flatMap((one) => {
    const row = history.find(({ revision }) => revision === one.revision)
    return expectedOf(one, row).flatMap((expected, index) => {
      const object = one.objects[index] ?? ""
      const found = catalog.has(object) ? "there" : "missing"
      return expected === "either" || expected === found
        ? []
        : [`${object} is ${found}, and revision ${one.revision} is ${row === undefined ? "not applied" : row.state}`]
    })
  })
  return [...order, ...objects]
}
