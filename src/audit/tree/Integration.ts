import type { SteppedComputation } from "../../platform/os/EventLoop.ts"
import { RightEdge } from "./RightEdge.ts"
import { tileWidth } from "./TilePath.ts"
import { entryLength } from "./verify/LeafEntry.ts"
import { emptyRoot, equalBytes, hashLeaf, hashLength } from "./verify/MerkleProofs.ts"

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

/** Leaves that are hashed, and runs that are compared, before other work of the process may run: about a millisecond. */
const workInTurn = 256

const split = (bytes: Uint8Array, length: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / length) }, (_, at) => bytes.subarray(at * length, (at + 1) * length))

/** Returns the parts of a run that none of these runs of its source has. They are sorted and overlap with it, but not with each other. */
const partsBetween = (run: SourceRun, overlapping: ReadonlyArray<SourceRun>): ReadonlyArray<SourceRun> => {
  const parts: Array<SourceRun> = []
  let from = run.firstSeq
  for (const { firstSeq, n } of overlapping) {
    if (firstSeq > from) parts.push({ source: run.source, firstSeq: from, n: firstSeq - from })
    from = Math.max(from, firstSeq + n)
  }
  const end = run.firstSeq + run.n
  if (from < end) parts.push({ source: run.source, firstSeq: from, n: end - from })
  return parts
}

const endOf = ({ firstSeq, n }: SourceRun): number => firstSeq + n

/** The numbers of each source that have an index. A row has one index, however often it is queued. */
export class IndexedNumbers {
  /** Of each source, in order and apart. */
  private readonly bySource = new Map<string, Array<SourceRun>>()

  /** The known runs do not overlap with each other. */
  constructor(known: ReadonlyArray<SourceRun>) {
    for (const run of known) this.of(run.source).push(run)
    for (const runs of this.bySource.values()) runs.sort((a, b) => a.firstSeq - b.firstSeq)
  }

  private of(source: string): Array<SourceRun> {
    const runs = this.bySource.get(source) ?? []
    this.bySource.set(source, runs)
    return runs
  }

  /** Adds a run. Returns the parts of it that had no index, and how many runs had one of its numbers. */
  add(run: SourceRun): { readonly parts: ReadonlyArray<SourceRun>; readonly overlaps: number } {
    const runs = this.of(run.source)
    let [low, high] = [0, runs.length]
    while (low < high) {
      const middle = (low + high) >> 1
      const known = runs[middle]
      if (known !== undefined && endOf(known) <= run.firstSeq) low = middle + 1
      else high = middle
    }
    let after = low
    for (let next = runs[after]; next !== undefined && next.firstSeq < endOf(run); next = runs[after]) after += 1
    const overlapping = runs.slice(low, after)
    const firstSeq = Math.min(run.firstSeq, overlapping[0]?.firstSeq ?? run.firstSeq)
    const end = Math.max(endOf(run), endOf(overlapping.at(-1) ?? run))
    runs.splice(low, after - low, { source: run.source, firstSeq, n: end - firstSeq })
    return { parts: partsBetween(run, overlapping), overlaps: overlapping.length }
  }
}

/**
 * Checks that the members of a state fit each other: damage to the row must not be built upon. Throws a RangeError where they do not.
 */
export const checkState = ({ edge, partial, root, size }: TreeState): void => {
  const hashes = split(edge, hashLength)
  if (!equalBytes(new RightEdge(size, hashes).root(), root)) {
    throw new RangeError("the root in gatekeeper.audit_tree is not that of its right edge")
  }
  const rest = new RightEdge()
  for (const entry of split(partial, entryLength)) rest.append(hashLeaf(entry))
  const last = rest.hashes
  const isSame = last.every((hash, at) => equalBytes(hash, hashes[hashes.length - last.length + at] ?? emptyRoot))
  if (rest.size !== size % tileWidth || !isSame) {
    throw new RangeError("the entries in gatekeeper.audit_tree are not those of its right edge")
  }
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
  const indexed = new IndexedNumbers(known)
  let work = 0
  for (const queued of queue) {
    const { overlaps, parts } = indexed.add(queued)
    work += 1 + overlaps
    if (work >= workInTurn) {
      work = 0
      yield
    }
    for (const part of parts) {
      const before = runs.at(-1)
      // The index goes on too: nothing is appended between two parts.
      if (before !== undefined && before.source === part.source && endOf(before) === part.firstSeq) {
        runs[runs.length - 1] = { ...before, n: before.n + part.n }
      } else {
        runs.push({ ...part, firstIndex: tree.size })
      }
      const first = part.firstSeq - queued.firstSeq
      for (let at = first; at < first + part.n; at++) {
        tree.append(queued.entries.subarray(at * entryLength, (at + 1) * entryLength))
        work += 1
        if (work >= workInTurn) {
          work = 0
          yield
        }
      }
    }
  }
  return { state: tree.state(), runs, bundles: tree.bundles, subtrees: tree.subtrees }
}
