/** Whether objects and arrays nest in more than `limit` levels. Breadth first, so that depth costs no stack. */
export const isDeeperThan = (value: unknown, limit: number): boolean => {
  let level: ReadonlyArray<unknown> = [value]
  for (let depth = 0; level.length > 0; depth++) {
    const nested = level.filter((one): one is object => typeof one === "object" && one !== null)
    if (nested.length > 0 && depth >= limit) return true
    level = nested.flatMap((one) => Object.values(one))
  }
  return false
}
