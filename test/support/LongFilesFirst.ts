import { BaseSequencer, type TestSpecification } from "vitest/node"

/**
 * Files whose tests start programs, in the order of a run; each takes many times as long as its size suggests. The longest is first:
 * begun near the end, it would keep one process busy for minutes while the others have no file left.
 */
const long = [/\/test\/docs\/Commands\.test\.ts$/, /\/test\/app\//, /\/test\/(migrator\/)?chaos\//, /\/test\/build\//]

const rank = (path: string): number => {
  const found = long.findIndex((pattern) => pattern.test(path))
  return found === -1 ? long.length : found
}

/** Moves the long files to the front, and leaves the order within each kind as it is. */
export const longFilesFirst = <A>(files: ReadonlyArray<A>, pathOf: (file: A) => string): Array<A> =>
  files.toSorted((left, right) => rank(pathOf(left)) - rank(pathOf(right)))

/** Begins with the long files, so that no process is left with one at the end. */
export default class LongFilesFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    return longFilesFirst(await super.sort(files), ({ moduleId }) => moduleId)
  }
}
