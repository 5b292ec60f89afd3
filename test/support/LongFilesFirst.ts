import { BaseSequencer, type TestSpecification } from "vitest/node"

/** Folders whose files start programs and kill them; each takes many times as long as its size suggests. */
const long = /\/test\/(app|chaos)\//

/** Begins with the long files, so that no process is left with one at the end. */
export default class LongFilesFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    // "app", "chaos", "others": in this order.
    const rank = ({ moduleId }: TestSpecification) => long.exec(moduleId)?.[1] ?? "others"
    return sorted.toSorted((left, right) => rank(left).localeCompare(rank(right)))
  }
}
