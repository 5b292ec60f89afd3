import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type OutputFlags, runCommand, type Verdict } from "../../platform/cli/CommandRunner.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { program } from "../../platform/cli/Help.ts"
import { JournalInUse } from "../journal/Journal.ts"
import * as JournalDirectory from "../journal/JournalDirectory.ts"
import { attempt, type FileTrouble, nodeFiles } from "../journal/JournalFiles.ts"
import * as Quarantine from "../journal/Quarantine.ts"
import type { SegmentFile } from "../journal/RecoveryScan.ts"
import { renderReport, reportJson } from "./JournalInspect.ts"
import { journalAt } from "./JournalLocation.ts"
import { type JournalReport, readJournal, recordsIn, segmentsOf } from "./JournalReport.ts"

interface RepairCounts {
  /** Damaged spans that this repair moved to the quarantine. */
  readonly putAside: number
  /** Bytes of torn tails that were cut. */
  readonly cutBytes: number
}

interface FsckResult {
  /** Made after the repair, if there was one. */
  readonly report: JournalReport
  /** Null without `--repair`. */
  readonly repaired: RepairCounts | null
}

type Spans = ReadonlyArray<Quarantine.Span>

/** Replaces a file by parts of it. */
const keepOnly = (path: string, parts: Spans): Effect.Effect<void, FileTrouble> =>
  attempt(path, async () => {
    await Quarantine.copySpans(nodeFiles, path, parts, path)
    await nodeFiles.syncDirectory(Path.dirname(path))
  })

/** Splits a segment into the spans to keep, the corrupt spans and the torn tail. Memory grows with the damage only. */
const splitSegment = (file: SegmentFile, files: ReadonlyArray<SegmentFile>, header: number) =>
  Stream.runFold(
    recordsIn(file, files, false),
    { kept: [{ from: 0, to: header }] as Spans, corrupt: [] as Spans, tornBytes: 0 },
    (found, one) => {
      const span = { from: one.offset, to: one.offset + one.bytes }
      if (one._tag === "Damage") {
        return one.kind === "torn"
          ? { ...found, tornBytes: found.tornBytes + one.bytes }
          : { ...found, corrupt: [...found.corrupt, span] }
      }
      const last = found.kept.at(-1)
      return last?.to === span.from
        ? { ...found, kept: [...found.kept.slice(0, -1), { from: last.from, to: span.to }] }
        : { ...found, kept: [...found.kept, span] }
    }
  )

/**
 * Moves corrupt spans to the quarantine and cuts torn tails; records keep their bytes. The caller holds the journal's lock. A
 * segment with a damaged header is not changed: a new header would make its records unreadable.
 */
const repairJournal = (path: string, source: string): Effect.Effect<RepairCounts, FileTrouble> =>
  Effect.gen(function* () {
    const files = yield* segmentsOf(path)
    const directory = Quarantine.directoryOf(Path.dirname(path), source)
    let putAside = 0
    let cutBytes = 0
    for (const file of files) {
      if (file.header._tag !== "Valid") continue
      const { corrupt, kept, tornBytes } = yield* splitSegment(file, files, file.header.length)
      if (corrupt.length + tornBytes === 0) continue
      for (const span of corrupt) {
        if (yield* Quarantine.keep({ files: nodeFiles, directory, segment: file, ...span })) putAside += 1
      }
      yield* keepOnly(file.path, kept)
      cutBytes += tornBytes
    }
    return { putAside, cutBytes }
  })

const counted = (count: number, noun: string): ReadonlyArray<string> =>
  count === 0 ? [] : [`${count} ${noun}${count === 1 ? "" : "s"}`]

const damageOf = ({ segments, state }: JournalReport): ReadonlyArray<string> => [
  ...(state === null ? ["its state cannot be read"] : []),
  ...counted(segments.filter(({ header }) => header !== "whole").length, "unreadable header"),
  ...counted(
    segments.reduce((sum, { corruptSpans }) => sum + corruptSpans, 0),
    "corrupt span"
  ),
  ...counted(segments.filter(({ tornBytes }) => tornBytes > 0).length, "torn tail")
]

/** Null when the journal was whole. */
const fsckVerdict = ({ repaired, report }: FsckResult): Verdict | null => {
  const damage = damageOf(report)
  const { path } = report
  if (damage.length > 0) {
    const next =
      repaired === null
        ? `To repair it: ${program} journal fsck ${path} --repair`
        : "That cannot be repaired; its readable records can still be recovered"
    return {
      error: "JournalDamaged",
      message: `the journal ${path} is damaged: ${damage.join(", ")}. ${next}`,
      exitCode: ExitCode.journalDamaged
    }
  }
  if (repaired === null || repaired.putAside + repaired.cutBytes === 0) return null
  const changes = [
    ...counted(repaired.putAside, "corrupt span").map((spans) => `${spans} moved to the quarantine`),
    ...(repaired.cutBytes > 0 ? [`torn tails of ${repaired.cutBytes} bytes cut`] : [])
  ]
  return {
    error: "JournalRepaired",
    message: `the journal ${path} is repaired: ${changes.join(", ")}`,
    exitCode: ExitCode.journalRepaired
  }
}

const check = (path: string, repairWanted: boolean) =>
  Effect.gen(function* () {
    const holder = yield* JournalDirectory.hold(path)
    if (holder !== undefined) return yield* new JournalInUse({ path, holder })
    const found = yield* readJournal(path)
    const repaired = !repairWanted
      ? null
      : found.identity === null
        ? { putAside: 0, cutBytes: 0 }
        : yield* repairJournal(path, found.identity.source)
    const report = repaired === null ? found : yield* readJournal(path)
    // The holder is this command, which is about to end.
    return { report: { ...report, holder: null }, repaired } satisfies FsckResult
  }).pipe(Effect.scoped)

/** `journal fsck`. */
export const checkJournal = (location: string, { repair, ...options }: OutputFlags & { readonly repair: boolean }) =>
  runCommand({
    ...options,
    command: "journal fsck",
    work: Effect.flatMap(journalAt(location), (path) => check(path, repair)),
    render: ({ report }, colours) => renderReport(report, colours),
    toJson: ({ repaired, report }) => ({
      ...reportJson(report),
      repaired: repaired === null ? null : { put_aside: repaired.putAside, cut_bytes: repaired.cutBytes }
    }),
    verdict: fsckVerdict,
    exitCodes: { JournalInUse: ExitCode.journalInUse }
  })
