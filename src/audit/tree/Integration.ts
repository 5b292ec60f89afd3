import type { SteppedComputation } from "../../platform/os/EventLoop.ts"
import { RightEdge } from "./RightEdge.ts"
import { tileWidth } from "./TilePath.ts"
import { entryLength } from "./verify/LeafEntry.ts"
import { hashLeaf, hashLength } from "./verify/MerkleProofs.ts"

/** The row of `audit_tree`. */
export interface TreeState {
  readonly size: number
  readonly root: Uint8Array
  /** The hashes of the right edge, one behind the other. */
  readonly edge: Uint8Array
  /** The entries after the last full bundle. */
  readonly partial: Uint8Array
}

/** Numbers of one source. */
export interface SourceRun {
  readonly source: string
  readonly firstSeq: number
  readonly n: number
}

/** A row of `audit_intake`. */
export interface QueuedRun extends SourceRun {
  readonly no: string
  readonly entries: Uint8Array
}

/** A row of `audit_run`. */
export interface IndexedRun extends SourceRun {
  readonly firstIndex: number
}

/** What a step adds to the tree. */
export interface Integrated {
  readonly state: TreeState
  readonly runs: ReadonlyArray<IndexedRun>
  readonly bundles: ReadonlyArray<{ readonly index: number; readonly entries: Uint8Array; readonly root: Uint8Array }>
  /** Roots of 256^level leaves, of level 2 and above. */
  readonly subtrees: ReadonlyArray<{ readonly level: number; readonly index: number; readonly root: Uint8Array }>
}

/** Leaves that are hashed before other work of the process may run: about a millisecond. */
const leavesInTurn = 256

const split = (bytes: Uint8Array, length: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / length) }, (_, at) => bytes.subarray(at * length, (at + 1) * length))

/** Returns the parts of a run that none of the known runs has, in order. A row has one index, however often it is queued. */
export const uncovered = (run: SourceRun, known: ReadonlyArray<SourceRun>): ReadonlyArray<SourceRun> => {
  const parts: Array<SourceRun> = []
  const overlapping = known
    .filter(({ source, firstSeq, n }) => {
      return source === run.source && firstSeq < run.firstSeq + run.n && firstSeq + n > run.firstSeq
    })
    .toSorted((a, b) => a.firstSeq - b.firstSeq)
  let from = run.firstSeq
  for (const { firstSeq, n } of overlapping) {
    if (firstSeq > from) parts.push({ source: run.source, firstSeq: from, n: firstSeq - from })
    from = Math.max(from, firstSeq + n)
  }
  const end = run.firstSeq + run.n
  if (from < end) parts.push({ source: run.source, firstSeq: from, n: end - from })
  return parts
}

/** The state of the tree while entries are appended. */
class GrowingTree {
  private readonly edge: RightEdge
  private readonly partial: Array<Uint8Array>
  readonly bundles: Array<Integrated["bundles"][number]> = []
  readonly subtrees: Array<Integrated["subtrees"][number]> = []

  constructor({ edge, partial, size }: TreeState) {
    this.edge = new RightEdge(size, split(edge, hashLength))
    this.partial = [...split(partial, entryLength)]
  }

  get size(): number {
    return this.edge.size
  }

  append(entry: Uint8Array): void {
    this.partial.push(entry)
    this.edge.append(hashLeaf(entry), (level, index, root) => {
      if (level === 8) this.bundles.push({ index, entries: Buffer.concat(this.partial.splice(0, tileWidth)), root })
      else if (level > 8 && level % 8 === 0) this.subtrees.push({ level: level / 8, index, root })
    })
  }

  state(): TreeState {
    const { hashes, size } = this.edge
    return { size, root: this.edge.root(), edge: Buffer.concat(hashes), partial: Buffer.concat(this.partial) }
  }
}

/** Appends the queued entries that no run has yet, in the order of the queue. `known` has the runs that overlap with a queued one. */
export function* integrating(
  before: TreeState,
  queue: ReadonlyArray<QueuedRun>,
  known: ReadonlyArray<SourceRun>
): SteppedComputation<Integrated> {
  const tree = new GrowingTree(before)
  const runs: Array<IndexedRun> = []
  const bySource = new Map<string, ReadonlyArray<SourceRun>>()
  for (const run of known) bySource.set(run.source, [...(bySource.get(run.source) ?? []), run])
  let inTurn = 0
  for (const queued of queue) {
    const ofSource = bySource.get(queued.source) ?? []
    const parts = uncovered(queued, ofSource)
    for (const part of parts) {
      runs.push({ ...part, firstIndex: tree.size })
      const first = part.firstSeq - queued.firstSeq
      for (let at = first; at < first + part.n; at++) {
        tree.append(queued.entries.subarray(at * entryLength, (at + 1) * entryLength))
        inTurn += 1
        if (inTurn % leavesInTurn === 0) yield
      }
    }
    bySource.set(queued.source, [...ofSource, ...parts])
  }
  return { state: tree.state(), runs, bundles: tree.bundles, subtrees: tree.subtrees }
}
